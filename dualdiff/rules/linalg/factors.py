"""The factorisations without a spectrum: Cholesky and QR."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.errors import DegenerateError, where
from dualdiff.kinds import General, Sweep
from dualdiff.labels import Labels, only
from dualdiff.register import composite
from dualdiff.rules.contraction import of_matrices
from dualdiff.rules.elementwise import unsupported
from dualdiff.rules.linalg.matrices import adjoint, diagonal_of, product
from dualdiff.rules.linalg.phases import pulled_complement, pushed_complement
from dualdiff.rules.linalg.triangles import half_lower, hermitian, hermitian_transpose, suits_blas, triangular
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind, operand


def _inverse_of_factor(out: Any) -> Any:
    if suits_blas(out):
        return triangular("trsm", out, np.eye(len(out), dtype=out.dtype), lower=True)
    return np.linalg.inv(out)


def _cholesky_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    w = _inverse_of_factor(out)
    return out @ half_lower(product(w @ hermitian(ts[0]), adjoint(w)))


def _cholesky_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    if suits_blas(out, g):
        core = half_lower(triangular("trmm", out, g, lower=True, transposed=True))
        core = triangular("trsm", out, core, lower=True, transposed=True)
        return (hermitian_transpose(triangular("trsm", out, core, lower=True, right=True)),)
    w = _inverse_of_factor(out)
    return (hermitian_transpose(product(adjoint(w) @ half_lower(adjoint(out) @ g), w)),)


def _cholesky_joins(k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
    shape = shape_of(out)
    result, read = of_matrices(k, args, params, out)
    lower = np.tri(shape[-1], dtype=bool)
    return only(result, lower, shape), only(read, lower, shape)


cholesky_ = General(
    "np.linalg.cholesky",
    np.linalg.cholesky,
    _cholesky_push,
    _cholesky_pull,
    keeps=(True, (False,)),
    joins=_cholesky_joins,
)


@composite(np.linalg.cholesky, status="general", domain="positive definite")
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """``np.linalg.cholesky``: a function of the triangle it reads, the lower one (or the upper one)."""
    a = operand(a)
    return adjoint(bind(cholesky_, (adjoint(a),), {})) if upper else bind(cholesky_, (a,), {})


def _qr(a: Any) -> Any:
    return np.concatenate(np.linalg.qr(a), axis=-2)


def _skew(c: Any) -> Any:
    """Return what is to be taken off ``c`` for an upper triangle with a real diagonal: a skew matrix."""
    n = shape_of(c)[-1]
    low = np.where(np.tri(n, k=-1, dtype=bool), c, 0.0)
    turn = low - adjoint(low)
    return turn if dtype_of(c).kind == "f" else np.where(np.eye(n, dtype=bool), 1j * np.imag(c), turn)


def _skew_transpose(s: Any) -> Any:
    """Transpose the map from ``c`` to that triangle."""
    n = shape_of(s)[-1]
    up = np.where(np.tri(n, k=-1, dtype=bool).T, s, 0.0)
    return np.where(np.eye(n, dtype=bool), np.real(s) if dtype_of(s).kind == "c" else s, up + adjoint(up))


def _inverse_of_triangle(r: Any, what: str) -> Any:
    """Return the inverse of R, if no column is a combination of those before it.

    There the length of what a column adds is zero, and has a kink; and its direction, a column of Q, is rounding.
    """
    own = diagonal_of(r)[..., None, :]
    entries = np.abs(np.where(np.equal(r, 0), own, r))  # the zeros of R are no kinks
    if bool(np.any(np.abs(own) <= 10 * shape_of(r)[-1] * np.finfo(dtype_of(r)).eps * entries)):
        raise DegenerateError(
            f"{where()}: {what} has no derivative at this matrix: a column is a combination of those before it (to rounding), "
            "so that the column of Q and the entry of R's diagonal that belong to it are not defined by it. Decompose the "
            "independent columns alone, or use np.linalg.svd, np.linalg.lstsq or np.linalg.pinv."
        )
    return np.linalg.inv(r)


def _turned_factors(q: Any, r: Any, t: Any, what: str) -> tuple[Any, Any]:
    """Return how Q and R of a thin decomposition change along a direction."""
    b = product(t, _inverse_of_triangle(r, what))
    c = adjoint(q) @ b
    turn = _skew(c)
    return b + q @ (turn - c), product(c - turn, r)


def _cotangent_of(q: Any, r: Any, gq: Any, gr: Any, what: str) -> Any:
    s = product(gr, adjoint(r)) - adjoint(q) @ gq
    return product(gq + q @ _skew_transpose(s), adjoint(_inverse_of_triangle(r, what)))


def qr_push(sweep: Sweep, ts: Any, out: Any, a: Any, *, what: str = "np.linalg.qr") -> Any:
    """Return how Q and R change."""
    m = shape_of(a)[-2]
    return np.concatenate(_turned_factors(out[..., :m, :], out[..., m:, :], ts[0], what), axis=-2)


def qr_pull(sweep: Sweep, g: Any, out: Any, a: Any, *, what: str = "np.linalg.qr") -> Any:
    """Transpose :func:`qr_push`."""
    m = shape_of(a)[-2]
    return (_cotangent_of(out[..., :m, :], out[..., m:, :], g[..., :m, :], g[..., m:, :], what),)


def qr_joins(k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
    """Say that R is zero below its diagonal."""
    m, n = shape_of(args[0])[-2:]
    result, read = of_matrices(k, args, params, out)
    below = np.tri(m + n, n, -m - 1, dtype=bool)  # R is zero below its diagonal
    return only(result, ~below, shape_of(out)), read


qr_ = General(
    "np.linalg.qr",
    _qr,
    qr_push,
    qr_pull,
    keeps=(True, (False,)),
    joins=qr_joins,
)
"""Q, and R below it, of matrices with at least as many rows as columns."""


def complete_push(sweep: Sweep, ts: Any, out: Any, a: Any, *, what: str = "np.linalg.qr") -> Any:
    """Return how a square Q and R change."""
    m, n = shape_of(a)[-2:]
    q, w, r = out[..., :n], out[..., n:m], out[..., :n, m:]
    dq, dr = _turned_factors(q, r, ts[0], what)
    below = np.zeros_like(dr, shape=(*shape_of(dr)[:-2], m - n, n))
    return np.concatenate(
        [dq, pushed_complement(f"{what} with the whole of Q", q, dq, w), np.concatenate([dr, below], axis=-2)], axis=-1
    )


def complete_pull(sweep: Sweep, g: Any, out: Any, a: Any, *, what: str = "np.linalg.qr") -> Any:
    """Transpose :func:`complete_push`."""
    m, n = shape_of(a)[-2:]
    q, w, r = out[..., :n], out[..., n:m], out[..., :n, m:]
    gq = g[..., :n] + pulled_complement(f"{what} with the whole of Q", q, w, g[..., n:m])
    return (_cotangent_of(q, r, gq, g[..., :n, m:], what),)


complete_ = General(
    "np.linalg.qr",
    lambda a: np.concatenate(np.linalg.qr(a, "complete"), axis=-1),
    complete_push,
    complete_pull,
    keeps=(True, (False,)),
    joins=of_matrices,
)
"""A square Q and, beside it, R with rows of zeros, of matrices with more rows than columns."""
_QRResult: Any = type(np.linalg.qr(np.eye(1)))


@composite(np.linalg.qr, status="general", domain="full rank")
def qr(a: Any, mode: str = "reduced") -> Any:
    """``np.linalg.qr`` of matrices whose first columns are independent; the diagonal of R is real."""
    a = operand(a)
    m, n = shape_of(a)[-2:]
    if mode not in ("reduced", "r", "complete"):
        raise unsupported("np.linalg.qr", ["mode"], "mode='reduced', 'complete' or 'r'")
    if mode == "complete" and m > n:
        packed = bind(complete_, (a,), {})
        return _QRResult(packed[..., :m], packed[..., m:])
    if m >= n:
        packed = bind(qr_, (a,), {})
        q, r = packed[..., :m, :], packed[..., m:, :]
    else:
        packed = bind(qr_, (a[..., :m],), {})
        q = packed[..., :m, :]
        r = np.concatenate([packed[..., m:, :], adjoint(q) @ a[..., m:]], axis=-1)
    return r if mode == "r" else _QRResult(q, r)
