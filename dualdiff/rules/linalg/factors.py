"""The factorisations without a spectrum: Cholesky and QR."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.kinds import General, Sweep
from dualdiff.labels import Labels, only
from dualdiff.register import composite
from dualdiff.rules.contraction import of_matrices
from dualdiff.rules.elementwise import unsupported
from dualdiff.rules.linalg.matrices import adjoint, product, refuse_phases
from dualdiff.rules.linalg.triangles import half_lower, hermitian, hermitian_transpose, suits_blas, triangular
from dualdiff.shapes import shape_of
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
    low = np.where(np.tri(shape_of(c)[-1], k=-1, dtype=bool), c, 0.0)
    return low - np.swapaxes(low, -1, -2)


def _qr_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    m = shape_of(a)[-2]
    q, r = out[..., :m, :], out[..., m:, :]
    b = product(ts[0], np.linalg.inv(r))
    c = np.swapaxes(q, -1, -2) @ b
    turn = _skew(c)
    return np.concatenate([b + q @ (turn - c), product(c - turn, r)], axis=-2)


def _qr_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    m, n = shape_of(a)[-2:]
    q, r = out[..., :m, :], out[..., m:, :]
    gq, gr = g[..., :m, :], g[..., m:, :]
    s = r @ np.swapaxes(gr, -1, -2) - product(np.swapaxes(gq, -1, -2), q)
    low = np.where(np.tri(n, dtype=bool), s, 0.0)
    strict = np.where(np.tri(n, k=-1, dtype=bool), s, 0.0)
    return (product(gq + q @ (low + np.swapaxes(strict, -1, -2)), np.swapaxes(np.linalg.inv(r), -1, -2)),)


def _qr_joins(k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
    m, n = shape_of(args[0])[-2:]
    result, read = of_matrices(k, args, params, out)
    below = np.tri(m + n, n, -m - 1, dtype=bool)  # R is zero below its diagonal
    return only(result, ~below, shape_of(out)), read


qr_ = General(
    "np.linalg.qr",
    _qr,
    _qr_push,
    _qr_pull,
    keeps=(True, (False,)),
    joins=_qr_joins,
)
"""Q, and R below it, of matrices with at least as many rows as columns."""
_QRResult: Any = type(np.linalg.qr(np.eye(1)))


@composite(np.linalg.qr, status="general", domain="full rank")
def qr(a: Any, mode: str = "reduced") -> Any:
    """``np.linalg.qr`` of real matrices whose first columns are independent."""
    a = operand(a)
    m, n = shape_of(a)[-2:]
    if mode not in ("reduced", "r", "complete") or (mode == "complete" and m > n):
        raise unsupported("np.linalg.qr", ["mode"], "mode='reduced'")
    refuse_phases("np.linalg.qr", a, "use real matrices")
    if m >= n:
        packed = bind(qr_, (a,), {})
        q, r = packed[..., :m, :], packed[..., m:, :]
    else:
        packed = bind(qr_, (a[..., :m],), {})
        q = packed[..., :m, :]
        r = np.concatenate([packed[..., m:, :], np.swapaxes(q, -1, -2) @ a[..., m:]], axis=-1)
    return r if mode == "r" else _QRResult(q, r)
