"""The pseudo-inverse and least squares, of matrices of full rank."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.errors import where
from dualdiff.kinds import General, Sweep
from dualdiff.register import composite
from dualdiff.rules.contraction import matmul, of_matrices
from dualdiff.rules.folding import settled_form
from dualdiff.rules.letters import conj
from dualdiff.rules.linalg.matrices import adjoint, check_square, product
from dualdiff.rules.linalg.singular_values import svdvals
from dualdiff.rules.linalg.triangles import hermitian as hermitian_of
from dualdiff.rules.sums import sum_of
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import TRACED, bind, operand


def _pinv(a: Any, *, options: tuple[tuple[str, Any], ...]) -> Any:
    return np.linalg.pinv(a, **dict(options))


def _pinv_push(sweep: Sweep, ts: Any, p: Any, a: Any, *, options: Any) -> Any:
    m, n = shape_of(a)[-2:]
    t, ph = ts[0], adjoint(p)
    th = adjoint(t)  # never p·pᴴ first: its square may underflow where the product does not
    d = -product(p @ t, p)
    if m >= n:
        d = d + p @ (ph @ product(th, np.eye(m, dtype=dtype_of(a)) - a @ p))
    if n >= m:
        d = d + product(product((np.eye(n, dtype=dtype_of(a)) - p @ a) @ th, ph), p)
    return d


def _pinv_pull(sweep: Sweep, g: Any, p: Any, a: Any, *, options: Any) -> Any:
    m, n = shape_of(a)[-2:]
    ph, gh = adjoint(p), adjoint(g)
    c = -product(ph @ g, ph)
    if m >= n:
        c = c + product(product((np.eye(m, dtype=dtype_of(a)) - a @ p) @ gh, p), ph)
    if n >= m:
        c = c + ph @ (p @ product(gh, np.eye(n, dtype=dtype_of(a)) - p @ a))
    return (c,)


pinv_ = General("np.linalg.pinv", _pinv, _pinv_push, _pinv_pull, joins=of_matrices)


@composite(np.linalg.pinv, status="general", domain="full rank")
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Any:
    """``np.linalg.pinv`` of matrices of full rank (elsewhere it is not even continuous); of one triangle, if Hermitian."""
    a = operand(a)
    if hermitian:
        check_square(shape_of(a))
        a = hermitian_of(a)
    options = {} if rcond is None else {"rcond": rcond}
    if rtol is not np._NoValue:
        options["rtol"] = rtol
    p = bind(pinv_, (a,), {"options": tuple(options.items())})
    if type(a) in TRACED and not a._may_leave():
        _require_full_rank(a, options.get("rtol", rcond))
    return p


def _require_full_rank(a: Any, tolerance: Any) -> None:
    """Raise where the pseudo-inverse jumps."""
    s = np.linalg.svd(settled_form(a), compute_uv=False)
    if not size_of(shape_of(s)):
        return
    if tolerance is None:
        tolerance = max(shape_of(a)[-2:]) * np.finfo(dtype_of(s)).eps
    if bool(np.any(s[..., -1] <= tolerance * s[..., 0])):
        raise np.linalg.LinAlgError(
            f"{where()}: the pseudo-inverse (np.linalg.pinv, lstsq) jumps at a matrix that has not full rank, "
            "so it has no derivative there"
        )


@composite(np.linalg.lstsq, domain=("full rank", "real"))
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """``np.linalg.lstsq`` of matrices of full rank."""
    a, b = operand(a), operand(b)
    m, n = shape_of(a)[-2:]
    if rcond is None:
        rcond = max(m, n) * float(np.finfo(np.result_type(dtype_of(a), np.float32)).eps)
    elif rcond == -1:
        rcond = float(np.finfo(dtype_of(a)).eps)
    x = matmul(pinv(a, rcond), b)
    s = svdvals(a)
    above = np.greater(s, rcond * np.max(s, initial=0.0))
    rank = min(m, n) if bool(np.all(above)) else int(np.sum(above))
    if rank < n or m <= n:
        return x, np.zeros(0, dtype_of(x)), rank, s
    r = b - matmul(a, x)
    residuals = sum_of(np.real(r * conj(r)) if dtype_of(r).kind == "c" else r * r, 0)
    return x, residuals if shape_of(residuals) else np.reshape(residuals, (1,)), rank, s
