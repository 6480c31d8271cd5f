"""Linear algebra: solve, inverse, determinant, norms, and the factorisations.

Every rule works on the last two axes. A function of several results (``eigh``, ``svd``, ``qr``) is one primitive whose
result holds them side by side, so that its rule is written in that result alone and nests to any order.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.errors import DegenerateDirectionError, DegenerateError, UnsupportedFunctionError, where
from dualdiff.kinds import Discrete, General, Sweep
from dualdiff.labels import Labels, lanes, only
from dualdiff.register import composite, register
from dualdiff.rules.contraction import matmul, of_matrices, over_matrix
from dualdiff.rules.discrete import asks
from dualdiff.rules.elementwise import over, unsupported
from dualdiff.rules.extrema import max_of, min_of
from dualdiff.rules.folding import along_axes, axes_of, expand, flat, settled_form
from dualdiff.rules.letters import conj
from dualdiff.rules.products import products_of_others
from dualdiff.rules.sums import sum_of
from dualdiff.shapes import align, dtype_of, negative_axes, shape_of, size_of, sum_to_shape
from dualdiff.values import TRACED, bind, ndarray, number, operand, under

Shape = tuple[int, ...]


def adjoint(x: Any) -> Any:
    """Return the conjugate transpose of the last two axes."""
    return conj(np.swapaxes(x, -1, -2))


def product(a: Any, b: Any) -> Any:
    """Return ``a @ b``; a stack of matrices times one matrix is one product."""
    sa, sb = shape_of(a), shape_of(b)
    if len(sa) > 2 and len(sb) == 2:
        return np.reshape(np.reshape(a, (size_of(sa[:-1]), sa[-1])) @ b, (*sa[:-1], sb[-1]))
    return a @ b


def _is_square(shape: Shape) -> None:
    if len(shape) < 2:
        raise np.linalg.LinAlgError(f"{len(shape)}-dimensional array given. Array must be at least two-dimensional")
    if shape[-1] != shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")


# --------------------------------------------------------------------------------------------------
# triangular matrices

LARGE = 32
"""From this order on a matrix is looked at: whether it is triangular, and for BLAS to solve with it as such."""
_REAL = (np.dtype(np.float64), np.dtype(np.float32))


@functools.cache
def _blas(name: str, dtype: np.dtype[Any]) -> Any:
    from scipy.linalg import get_blas_funcs  # when it is first needed: it takes a while to import

    return get_blas_funcs(name, dtype=dtype)


def _suits_blas(a: Any, *others: Any) -> bool:
    """Whether BLAS takes these matrices as they are: large enough, real, of one precision, and nothing traced."""
    if type(a) is not ndarray or a.ndim != 2 or len(a) < LARGE or a.dtype not in _REAL:
        return False
    return all(type(b) is ndarray and b.ndim == 2 and b.dtype is a.dtype for b in others)


def _triangular(name: str, a: Any, b: Any, lower: bool, transposed: bool = False, right: bool = False) -> Any:
    """Return A⁻¹·b ("trsm") or A·b ("trmm") for a triangle a, or b·A⁻¹ and b·A (right), where A is a or its transpose."""
    # BLAS reads columns: what lies by rows is its own transpose there, and is given as that, not copied.
    if not a.flags.f_contiguous:
        a, lower, transposed = a.T, not lower, not transposed
    run = _blas(name, b.dtype)
    if b.flags.f_contiguous:
        return run(1.0, a, b, side=right, lower=lower, trans_a=transposed)
    return run(1.0, a, b.T, side=not right, lower=lower, trans_a=not transposed).T


def _triangle_of(a: Any) -> str:
    """Return which triangle holds all of a matrix, "lower" or "upper"; "" if neither does. A corner tells mostly."""
    if not a[0, -1]:
        if not np.logical_and(a, np.tri(len(a), k=-1, dtype=bool).T).any():
            return "lower"
    elif not a[-1, 0] and not np.logical_and(a, np.tri(len(a), k=-1, dtype=bool)).any():
        return "upper"
    return ""


# --------------------------------------------------------------------------------------------------
# solve and inverse


def _solve(a: Any, b: Any) -> Any:
    """Solve as NumPy does, but in a third of the time where the matrix is triangular."""
    if _suits_blas(a, b) and a.shape == (len(b), len(b)) and (triangle := _triangle_of(a)) and a.diagonal().all():
        return np.ascontiguousarray(_triangular("trsm", a, b, triangle == "lower"))
    return np.linalg.solve(a, b)


def _columns(solver: Callable[[Any], Any], r: Any, lead: Shape) -> Any:
    """Solve for a batch of right-hand sides, all as columns of one system."""
    if not lead:
        return solver(r)
    p = shape_of(r)[-1]
    columns = np.moveaxis(r, 0, -2)
    x = solver(np.reshape(columns, (*shape_of(columns)[:-2], lead[0] * p)))
    return np.moveaxis(np.reshape(x, (*shape_of(x)[:-1], *lead, p)), -2, 0)


def _solve_columns(a: Any, r: Any, lead: Shape) -> Any:
    return _columns(lambda columns: bind(solve_, (a, columns), {}), r, lead)


def _solve_push(sweep: Sweep, ts: Any, out: Any, a: Any, b: Any) -> Any:
    ta, tb = ts
    rank = len(shape_of(out))
    r = None if tb is None else align(tb, sweep.lead, shape_of(b), rank)
    if ta is not None:
        c = product(align(ta, sweep.lead, shape_of(a), rank), out)
        r = -c if r is None else r - c
    return _solve_columns(a, r, sweep.lead)


def _solve_pull(sweep: Sweep, g: Any, out: Any, a: Any, b: Any) -> Any:
    gb = _solve_columns(adjoint(a), g, sweep.lead)
    ga = -product(gb, adjoint(out))
    return sum_to_shape(ga, sweep.lead, shape_of(a)), sum_to_shape(gb, sweep.lead, shape_of(b))


solve_ = General(
    "np.linalg.solve",
    _solve,
    _solve_push,
    _solve_pull,
    keeps=(True, (True, False)),
    # A column of the solution depends on all of the matrix, but only on its own column of the right-hand side.
    joins=lambda k, args, params, out: lanes(shape_of(args[k]), shape_of(out), (-2,) if k else (-2, -1)),
)


# A large matrix is factored once. The factors are a value of their own, without derivative: what solves with them names the
# matrix beside them, and its derivatives, of any order, solve with the same factors and go by the matrix.

_LOWER, _UPPER = -1, -2
"""What stands in place of factors where the matrix is a triangle, and needs none; pivots are never negative."""


@functools.cache
def _lapack(name: str, dtype: np.dtype[Any]) -> Any:
    from scipy.linalg import get_lapack_funcs  # when it is first needed: it takes a while to import

    return get_lapack_funcs(name, dtype=dtype)


def _factors(a: Any) -> Any:
    """Return L and U of a matrix, packed in one, and the pivots in one more column."""
    if (triangle := _triangle_of(a)) and a.diagonal().all():
        return np.array([[_LOWER if triangle == "lower" else _UPPER]], a.dtype)
    n = len(a)
    packed = np.empty((n, n + 1), a.dtype, order="F")
    packed[:, :n] = a
    _, packed[:, n], info = _lapack("getrf", a.dtype)(packed[:, :n], overwrite_a=True)
    if info > 0:
        raise np.linalg.LinAlgError("Singular matrix")
    return packed


def _solve_by_factors(a: Any, b: Any, factors: Any, *, transposed: bool) -> Any:
    if factors[0, -1] < 0:
        x = _triangular("trsm", a, b, factors[0, -1] == _LOWER, transposed)
    else:
        n = len(a)
        x, _ = _lapack("getrs", b.dtype)(factors[:, :n], factors[:, n].astype(np.intc), b, trans=int(transposed))
    return np.ascontiguousarray(x)


def _by_factors_push(sweep: Sweep, ts: Any, out: Any, a: Any, b: Any, factors: Any, *, transposed: bool) -> Any:
    ta, tb, _ = ts
    r = tb
    if ta is not None:
        c = product(np.swapaxes(ta, -1, -2) if transposed else ta, out)
        r = -c if r is None else r - c
    return _columns(lambda x: bind(by_factors_, (a, x, factors), {"transposed": transposed}), r, sweep.lead)


def _by_factors_pull(sweep: Sweep, g: Any, out: Any, a: Any, b: Any, factors: Any, *, transposed: bool) -> Any:
    gb = _columns(lambda x: bind(by_factors_, (a, x, factors), {"transposed": not transposed}), g, sweep.lead)
    if transposed:
        return -(out @ np.swapaxes(gb, -1, -2)), gb, None
    return -product(gb, np.swapaxes(out, -1, -2)), gb, None


factors_ = Discrete("np.linalg.solve", _factors)
by_factors_ = General(
    "np.linalg.solve",
    _solve_by_factors,
    _by_factors_push,
    _by_factors_pull,
    keeps=(True, (True, False, True)),
    joins=solve_.joins,
)


def _solved(a: Any, b: Any) -> Any:
    plain = under(a), under(b)
    if _suits_blas(*plain) and plain[0].shape == (len(plain[1]),) * 2:
        return bind(by_factors_, (a, b, bind(factors_, (a,), {})), {"transposed": False})
    return bind(solve_, (a, b), {})


def solve(a: Any, b: Any) -> Any:
    """``np.linalg.solve``: a one-dimensional ``b`` is a vector, every other a stack of matrices."""
    a, b = operand(a), operand(b)
    _is_square(shape_of(a))
    if len(shape_of(b)) != 1:
        return _solved(a, b)
    return _solved(a, np.reshape(b, (*shape_of(b), 1)))[..., 0]


register(np.linalg.solve, "general", solve, domain=("nonsingular", "real"), primitive=solve_)


def _inv_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    return -product(product(out, ts[0]), out)


def _inv_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    h = adjoint(out)
    return (-product(product(h, g), h),)


inv_ = General(
    "np.linalg.inv",
    np.linalg.inv,
    _inv_push,
    _inv_pull,
    keeps=(True, (False,)),
    joins=of_matrices,
)


@composite(np.linalg.inv, status="general", domain="nonsingular")
def inv(a: Any) -> Any:
    """``np.linalg.inv``."""
    return bind(inv_, (operand(a),), {})


@composite(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """``np.linalg.tensorsolve``."""
    a, b = operand(a), operand(b)
    if axes is not None:
        rest = [k for k in range(len(shape_of(a))) if k not in axes]
        a = np.transpose(a, [*rest, *axes])
    n = size_of(shape_of(b))
    shape = shape_of(a)[len(shape_of(b)) :]
    if size_of(shape) != n:
        raise np.linalg.LinAlgError(
            "Input arrays must satisfy the requirement prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )
    return np.reshape(solve(np.reshape(a, (n, n)), flat(b)), shape)


@composite(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    """``np.linalg.tensorinv``."""
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    a = operand(a)
    shape = shape_of(a)
    n = size_of(shape[ind:])
    return np.reshape(inv(np.reshape(a, (size_of(shape[:ind]), n))), shape[ind:] + shape[:ind])


# --------------------------------------------------------------------------------------------------
# determinants


WELL = 1e5
"""Up to this condition number cofactors come from the inverse, beyond it (singular included) from singular values."""


def _inverse_if_well(a: Any) -> Any:
    """Return the inverse of well-conditioned matrices, and None if one of the stack is not."""
    try:
        w = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return None
    if not size_of(shape_of(a)):
        return w
    size = np.max(np.sum(np.abs(a), axis=-1), axis=-1) * np.max(np.sum(np.abs(w), axis=-1), axis=-1)
    return w if bool(np.all(np.less(size, WELL))) else None


def _cofactors(a: Any) -> Any:
    w = _inverse_if_well(a)
    if w is not None:
        d = np.linalg.det(a)
        if bool(np.all(np.isfinite(d))) and not bool(np.any(np.equal(d, 0))):
            return d[..., None, None] * np.swapaxes(w, -1, -2)
    u, s, vh = np.linalg.svd(a)
    turn = np.linalg.det(u) * np.linalg.det(vh)
    return turn[..., None, None] * conj((u * products_of_others(s)[..., None, :]) @ vh)


def _cofactor_rule(sweep: Sweep, t: Any, out: Any, a: Any, transpose: bool) -> Any:
    """Apply the derivative of the cofactor matrix, or its adjoint, which differ by conjugation."""
    mark = conj if transpose else (lambda x: x)
    w = _inverse_if_well(a)
    if w is not None and bool(np.any(np.not_equal(out, 0))):
        c, w = mark(out), mark(np.swapaxes(w, -1, -2))
        if transpose:
            whole = np.sum(t * w, axis=(-2, -1), keepdims=True)
            return whole * c - w @ np.swapaxes(t, -1, -2) @ c
        whole = np.sum(c * t, axis=(-2, -1), keepdims=True)
        return whole * w - c @ np.swapaxes(t, -1, -2) @ w
    if type(a) in TRACED:
        raise UnsupportedFunctionError(
            f"{where()}: the third derivative of np.linalg.det at a singular (or nearly singular) matrix is not "
            "available; write the determinant of a small matrix by its formula"
        )
    # In the singular bases the matrix is diagonal, and so is what its cofactors do to the diagonal of a change.
    u, s, vh = np.linalg.svd(a)
    turn = (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
    n = shape_of(s)[-1]
    eye = np.eye(n, dtype=bool)
    pairs = np.prod(np.where(eye[:, None, :] | eye[None, :, :], 1.0, s[..., None, None, :]), axis=-1)
    pairs = np.where(eye, 0.0, pairs)  # the product of all singular values but two
    if transpose:
        basis = conj(turn) * (np.swapaxes(u, -1, -2) @ t @ np.swapaxes(vh, -1, -2))
    else:
        basis = adjoint(u) @ t @ adjoint(vh)
    diagonal = np.sum(pairs * np.sum(basis * eye, axis=-1)[..., None, :], axis=-1)
    core = np.where(eye, diagonal[..., None], -np.swapaxes(basis, -1, -2) * pairs)
    return u @ core @ vh if transpose else turn * (conj(u) @ core @ conj(vh))


cofactors = General(
    "cofactors",
    _cofactors,
    lambda sweep, ts, out, a: _cofactor_rule(sweep, ts[0], out, a, False),
    lambda sweep, g, out, a: (_cofactor_rule(sweep, g, out, a, True),),
    joins=of_matrices,
)
"""The derivative of the determinant, right at every rank."""


def _det_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    return np.sum(bind(cofactors, (a,), {}) * ts[0], axis=(-2, -1))


def _det_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    return (over_matrix(g) * conj(bind(cofactors, (a,), {})),)


det_ = General(
    "np.linalg.det",
    np.linalg.det,
    _det_push,
    _det_pull,
    keeps=(False, (True,)),
    joins=of_matrices,
)


@composite(np.linalg.det, status="general", domain="matrix")
def det(a: Any) -> Any:
    """``np.linalg.det``."""
    return bind(det_, (operand(a),), {})


def _logdet_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    return np.real(np.sum(np.swapaxes(np.linalg.inv(a), -1, -2) * ts[0], axis=(-2, -1)))


def _logdet_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    return (over_matrix(g) * adjoint(np.linalg.inv(a)),)


def _phase_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    return 1j * out * np.imag(np.sum(np.swapaxes(np.linalg.inv(a), -1, -2) * ts[0], axis=(-2, -1)))


def _phase_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    c = np.real(np.conjugate(g) * (1j * out))
    return (over_matrix(c) * (1j * adjoint(np.linalg.inv(a))),)


def _logdet(a: Any) -> Any:
    return np.linalg.slogdet(a)[1]


def _sign(a: Any) -> Any:
    return np.linalg.slogdet(a)[0]


logdet_ = General("np.linalg.slogdet", _logdet, _logdet_push, _logdet_pull, keeps=(False, (True,)), joins=of_matrices)
phase_ = General("np.linalg.slogdet", _sign, _phase_push, _phase_pull, keeps=(True, (True,)), joins=of_matrices)
sign_ = Discrete("np.linalg.slogdet", _sign)
_SlogdetResult: Any = type(np.linalg.slogdet(np.eye(1)))


@composite(np.linalg.slogdet, status="general", domain="nonsingular")
def slogdet(a: Any) -> Any:
    """``np.linalg.slogdet``: a real sign is piecewise constant, a complex phase is not."""
    a = operand(a)
    sign = phase_ if dtype_of(a).kind == "c" else sign_
    return _SlogdetResult(bind(sign, (a,), {}), bind(logdet_, (a,), {}))


# --------------------------------------------------------------------------------------------------
# Cholesky


def _hermitian(t: Any, lower: bool = True) -> Any:
    """Return the Hermitian matrix that a LAPACK routine reads from one triangle of ``t``."""
    n = shape_of(t)[-1]
    tri = np.tri(n, dtype=bool)
    s = np.where(tri if lower else tri.T, t, adjoint(t))
    return np.where(np.eye(n, dtype=bool), np.real(t), s) if dtype_of(t).kind == "c" else s


def _hermitian_transpose(g: Any, lower: bool = True) -> Any:
    """Transpose :func:`_hermitian`: both triangles are gathered in the one that is read."""
    if lower and dtype_of(g).kind == "f":
        return _half_lower(g + adjoint(g))
    n = shape_of(g)[-1]
    eye = np.eye(n, dtype=bool)
    strict = np.tri(n, k=-1, dtype=bool)
    c = np.where(strict if lower else strict.T, g + adjoint(g), 0.0)
    return np.where(eye, np.real(g) if dtype_of(g).kind == "c" else g, c)


def _half_lower(p: Any) -> Any:
    """Return the lower triangle with half the diagonal."""
    n = shape_of(p)[-1]
    if type(p) is ndarray:
        low = np.tril(p)
        np.einsum("...ii->...i", low)[...] *= 0.5
        return low
    return np.where(np.tri(n, dtype=bool), p, 0.0) - np.where(np.eye(n, dtype=bool), 0.5 * p, 0.0)


def _inverse_of_factor(out: Any) -> Any:
    if _suits_blas(out):
        return _triangular("trsm", out, np.eye(len(out), dtype=out.dtype), lower=True)
    return np.linalg.inv(out)


def _cholesky_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    w = _inverse_of_factor(out)
    return out @ _half_lower(product(w @ _hermitian(ts[0]), adjoint(w)))


def _cholesky_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    if _suits_blas(out, g):
        core = _half_lower(_triangular("trmm", out, g, lower=True, transposed=True))
        core = _triangular("trsm", out, core, lower=True, transposed=True)
        return (_hermitian_transpose(_triangular("trsm", out, core, lower=True, right=True)),)
    w = _inverse_of_factor(out)
    return (_hermitian_transpose(product(adjoint(w) @ _half_lower(adjoint(out) @ g), w)),)


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


# --------------------------------------------------------------------------------------------------
# norms


def _norm2(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    if type(x) is ndarray and len(axis) == x.ndim and not keepdims and x.dtype.kind == "f":
        v = x.ravel(order="K")
        return np.sqrt(v.dot(v))
    squares = (np.conjugate(x) * x).real if dtype_of(x).kind == "c" else x * x
    return np.sqrt(np.sum(squares, axis=axis, keepdims=keepdims))


def _norm2_push(sweep: Sweep, ts: Any, out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    c = ts[0] * conj(x)
    total = np.sum(np.real(c) if dtype_of(x).kind == "c" else c, axis=axis, keepdims=keepdims)
    return over(total, out)


def _norm2_pull(sweep: Sweep, g: Any, out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return (expand(over(g, out), shape_of(x), axis, keepdims) * x,)


norm2_ = General("np.linalg.norm", _norm2, _norm2_push, _norm2_pull, joins=along_axes)


def _pnorm(x: Any, *, axis: tuple[int, ...], keepdims: bool, p: float) -> Any:
    return np.sum(np.abs(x) ** p, axis=axis, keepdims=keepdims) ** (1 / p)


def _pnorm_partial(x: Any, out: Any, axis: tuple[int, ...], keepdims: bool, p: float) -> Any:
    """Return sign(x)·(|x|/norm)^(p-1), and 0 where the entry or the norm is 0."""
    y = expand(out, shape_of(x), axis, keepdims)
    size = np.abs(x)
    if p > 1:
        return np.sign(x) * over(size, y) ** (p - 1)
    zero = np.logical_or(np.equal(size, 0), np.equal(y, 0))
    ratio = np.where(zero, 1.0, size) / np.where(np.equal(y, 0), 1.0, y)
    return np.where(zero, over(size, np.minimum(size, y)), np.sign(x) * ratio ** (p - 1))


def _pnorm_push(sweep: Sweep, ts: Any, out: Any, x: Any, *, axis: Any, keepdims: bool, p: float) -> Any:
    return np.sum(ts[0] * _pnorm_partial(x, out, axis, keepdims, p), axis=axis, keepdims=keepdims)


def _pnorm_pull(sweep: Sweep, g: Any, out: Any, x: Any, *, axis: Any, keepdims: bool, p: float) -> Any:
    return (expand(g, shape_of(x), axis, keepdims) * _pnorm_partial(x, out, axis, keepdims, p),)


pnorm_ = General("np.linalg.norm", _pnorm, _pnorm_push, _pnorm_pull, joins=along_axes)


def _check_order(order: Any) -> None:
    if type(order) in TRACED:
        raise unsupported("np.linalg.norm", ["ord"], "np.sum(np.abs(x) ** p) ** (1 / p) for a differentiated order")


def _vector_norm(x: Any, order: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    _check_order(order)
    params = {"axis": axis, "keepdims": keepdims}
    if order is None or order == 2:
        return bind(norm2_, (x,), params)
    if order == math.inf:
        return max_of(np.abs(x), **params)
    if order == -math.inf:
        return min_of(np.abs(x), **params)
    if order == 0:
        return sum_of(np.not_equal(x, 0).astype(np.dtype(dtype_of(x).char.lower())), **params)
    if order == 1:
        return sum_of(np.abs(x), **params)
    if isinstance(order, str):
        raise ValueError(f"Invalid norm order {order!r} for vectors")
    if dtype_of(x).kind == "c":
        x = np.abs(x)
    return bind(pnorm_, (x,), {**params, "p": float(order)})


def _matrix_norm(x: Any, order: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    _check_order(order)
    row, column = axes
    if order is None or order in ("fro", "f"):
        return bind(norm2_, (x,), {"axis": axes, "keepdims": keepdims})
    if order in (1, -1, math.inf, -math.inf):
        first, second = (row, column) if abs(order) == 1 else (column, row)
        pick = max_of if order > 0 else min_of
        y = pick(sum_of(np.abs(x), first, keepdims=True), second, keepdims=True)
    elif order in (2, -2, "nuc"):
        s = svdvals(np.moveaxis(x, axes, (-2, -1)))
        fold: Callable[..., Any] = sum_of if order == "nuc" else max_of if order == 2 else min_of
        # A singular value is an absolute value: at zero its derivative is taken as zero.
        y = fold(np.abs(s), axis=-1)
        shape = list(shape_of(x))
        shape[row] = shape[column] = 1
        return np.reshape(y, tuple(shape)) if keepdims else y
    else:
        raise ValueError(f"Invalid norm order {order!r} for matrices")
    return y if keepdims else number(np.squeeze(y, axis=axes))


def _as_float(x: Any) -> Any:
    x = operand(x)
    return x if dtype_of(x).kind in "fc" else x.astype(np.float64)


@composite(np.linalg.norm, status="general", domain="nonzero")
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.linalg.norm`` of vectors and matrices; at 0 its derivative is 0, and ties share it evenly."""
    _check_order(ord)
    x = _as_float(x)
    n = len(shape_of(x))
    keepdims = bool(keepdims)
    if axis is None:
        if ord is None or (n == 1 and ord == 2) or (n == 2 and ord in ("f", "fro")):
            return bind(norm2_, (x,), axes_of(None, n, keepdims))
        axes = tuple(range(-n, 0))
    else:
        axes = negative_axes(axis, n)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, axes, keepdims)
    raise ValueError("Improper number of dimensions to norm.")


@composite(getattr(np.linalg, "vector_norm", None), domain="nonzero")
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """``np.linalg.vector_norm``."""
    x = _as_float(x)
    return _vector_norm(x, ord, negative_axes(axis, len(shape_of(x))), bool(keepdims))


@composite(getattr(np.linalg, "matrix_norm", None), domain="nonzero")
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """``np.linalg.matrix_norm``."""
    return _matrix_norm(_as_float(x), ord, (-2, -1), bool(keepdims))


@composite(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """``np.linalg.cond``."""
    x = operand(x)
    if len(shape_of(x)) < 2:
        raise np.linalg.LinAlgError("Array must be at least two-dimensional")
    if p in (None, 2, -2):
        s = svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return norm(x, p, axis=(-2, -1)) * norm(inv(x), p, axis=(-2, -1))


asks(1, np.linalg.matrix_rank)


# --------------------------------------------------------------------------------------------------
# eigenvalues


_quiet = np.errstate(divide="ignore", invalid="ignore")
"""Factors are infinite where values coincide or vanish; the derivative itself shows whether that matters."""


def _gaps(w: Any) -> Any:
    """Return 1/(w[j] - w[i]) at [i, j], 0 on the diagonal; infinite between equal values."""
    gap = w[..., None, :] - w[..., :, None]
    eye = np.eye(shape_of(w)[-1], dtype=bool)
    return np.where(eye, 0.0, 1.0 / np.where(eye, 1.0, gap))


def _diagonal(p: Any) -> Any:
    return np.diagonal(p, axis1=-2, axis2=-1)


def _as_diagonal(w: Any) -> Any:
    return w[..., None, :] * np.eye(shape_of(w)[-1], dtype=bool)


def _side_by_side(vectors: Any, values: Any) -> Any:
    return np.concatenate([vectors, values[..., None, :].astype(dtype_of(vectors))], axis=-2)


def _eigh(a: Any, *, lower: bool, vectors: bool = True) -> Any:
    w, v = np.linalg.eigh(a, "L" if lower else "U")
    return _side_by_side(v, w)


# Equal values. The vectors of a repeated eigenvalue may be turned among themselves, so they have no derivative; a function
# that such a turn leaves alone (the projector onto their space) has one. A covector shows which of the two it is: the turn
# meets its skew part. It does not show how a function depends on vectors and values together, and no tangent of one vector
# shows anything: so a covector that would need more than it says raises, and forward mode asks the covectors.


CLOSE = 10
"""How many times n ε of the largest value the computed copies of one value may lie apart, all of a cluster together."""


def _close(gap: Any, largest: Any) -> Any:
    """Return where values differ by no more than the rounding of the largest, off the diagonal."""
    n = shape_of(gap)[-1]
    limit = CLOSE * n * np.finfo(dtype_of(gap)).eps * largest
    return np.logical_and(np.less_equal(np.abs(gap), limit[..., None, None]), ~np.eye(n, dtype=bool))


def _over_gaps(p: Any, gap: Any, omitted: Any) -> Any:
    """Return p / gap, and 0 where it is to be left out and on the diagonal."""
    out = np.logical_or(omitted, np.eye(shape_of(gap)[-1], dtype=bool))
    return np.where(out, 0.0, p / np.where(out, 1.0, gap))


def _turned(what: str, close: Any, vectors: bool, sweep: Sweep, *turns: Any) -> tuple[Any, ...]:
    """Return how vectors turn along a direction; raise where they have equal values.

    Where only the values are asked for, the vectors serve second derivatives alone: for these they become NaN, and what
    comes out as NaN is computed once more the careful way. An outer run would write the NaN down, so there it raises.
    """
    if not bool(np.any(close)):
        return turns
    if vectors or sweep.careful or type(turns[0]) in TRACED:
        raise DegenerateDirectionError(
            f"{where()}: {what} at a matrix with equal values: their vectors have no derivative of their own, and forward "
            "mode alone cannot tell whether the function depends on the choice of them. Use dd.jacrev, dd.grad or dd.vjp."
        )
    return tuple([np.where(close, np.nan, t) for t in turns])


@dataclass(frozen=True, slots=True)
class _Covector:
    """What a pull gets: looked at closely only where values are equal."""

    parts: tuple[tuple[Any, Any], ...]  # adjoint vectors, and the covector of the vectors
    values: Any  # the covector of the values
    spectrum: Any  # the values themselves
    vectors: bool  # whether the vectors can be used at all


def _scale(g: _Covector) -> Any:
    """Return the size of the covectors of the vectors."""
    found = [np.max(np.abs(c), axis=(-2, -1), keepdims=True, initial=0.0) for _, c in g.parts]
    return functools.reduce(np.maximum, found)


def _terms(g: _Covector) -> Any:
    """Return the sizes of the terms from which skew parts are summed."""
    found = functools.reduce(np.add, [np.abs(h) @ np.abs(c) for h, c in g.parts])
    return np.maximum(found, np.swapaxes(found, -1, -2))


def _used(g: _Covector) -> Any:
    """Return whether the vectors are used. Where all values are zero, they may be, in proportion to these, unseen."""
    unseen = np.all(np.equal(g.spectrum, 0), axis=-1)[..., None, None]
    return np.logical_or(np.greater(_scale(g), 0), np.logical_and(g.vectors, unseen))


def _rounding(x: Any) -> Any:
    """Return how small entries of the last axis may be by rounding alone."""
    return 100 * shape_of(x)[-1] * np.finfo(dtype_of(x)).eps * np.max(np.abs(x), axis=-1, keepdims=True, initial=0.0)


def _quotient(what: str, skew: Any, gap: Any, close: Any, g: _Covector) -> Any:
    """Return the skew parts of a covector over the gaps, where there is no doubt about them.

    Between equal values a skew part that is rounding contributes nothing.
    """
    if not bool(np.any(close)):
        return _over_gaps(skew, gap, False)
    size = np.abs(skew)
    n, eps = shape_of(gap)[-1], np.finfo(dtype_of(gap)).eps
    turned = np.logical_and(close, np.greater(size, 100 * n * eps * _scale(g)))
    # Values near zero are known to many digits of their own, and so is what is in proportion to them.
    known = np.logical_and(np.greater(size, math.sqrt(eps) * _terms(g)), np.not_equal(gap, 0))
    omitted = np.logical_and(close, np.logical_not(known))
    # Vectors and values together: what then belongs to a pair shows only in that its two values count differently.
    differ = np.greater(np.abs(_gap(g.values)), _rounding(g.values)[..., None])
    lost = np.logical_and(omitted, np.logical_and(differ, _used(g)))
    if bool(np.any(np.logical_or(turned, lost))):
        raise DegenerateError(
            f"{where()}: the derivative of {what} is not defined at this matrix: some values are equal (to rounding), and "
            "the function depends on which vectors stand for them, or on these vectors and the values together. Use "
            "a function of their whole space alone or of the values alone (np.linalg.eigvalsh, svdvals), the matrix "
            "itself, or a matrix with distinct values."
        )
    return _over_gaps(skew, gap, omitted)


def _skew_part(e: Any) -> Any:
    return 0.5 * (e - adjoint(e))


def _gap(w: Any) -> Any:
    """Return w[j] - w[i] at [i, j]."""
    return w[..., None, :] - w[..., :, None]


def _eigh_push(sweep: Sweep, ts: Any, out: Any, a: Any, *, lower: bool, vectors: bool = True) -> Any:
    v, w = out[..., :-1, :], np.real(out[..., -1, :])
    p = product(adjoint(v) @ _hermitian(ts[0], lower), v)
    gap = _gap(w)
    close = _close(gap, np.max(np.abs(w), axis=-1, initial=0.0))
    (turn,) = _turned("np.linalg.eigh", close, vectors, sweep, _over_gaps(p, gap, close))
    return _side_by_side(v @ turn, np.real(_diagonal(p)))


def _eigh_pull(sweep: Sweep, g: Any, out: Any, a: Any, *, lower: bool, vectors: bool = True) -> Any:
    v, w = out[..., :-1, :], np.real(out[..., -1, :])
    gv, gw = g[..., :-1, :], np.real(g[..., -1, :])
    vh, gap, largest = adjoint(v), _gap(w), np.max(np.abs(w), axis=-1, initial=0.0)
    covector = _Covector(((vh, gv),), gw, w, vectors)
    turn = _quotient("np.linalg.eigh", _skew_part(vh @ gv), gap, _close(gap, largest), covector)
    return (_hermitian_transpose(product(v @ (_as_diagonal(gw) + turn), vh), lower),)


def _eigh_joins(k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
    shape = shape_of(args[0])
    result, read = of_matrices(k, args, params, out)
    lower = np.tri(shape[-1], dtype=bool)
    return result, only(read, lower if params["lower"] else lower.T, shape)


eigh_ = General(
    "np.linalg.eigh",
    _eigh,
    _eigh_push,
    _eigh_pull,
    keeps=(True, (False,)),
    joins=_eigh_joins,
)
"""Eigenvectors, and below them one row of eigenvalues."""
_EighResult: Any = type(np.linalg.eigh(np.eye(1)))


def _triangle(uplo: str) -> dict[str, bool]:
    if uplo.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return {"lower": uplo.upper() == "L"}


def _refuse_phases(name: str, a: Any, instead: str) -> None:
    if dtype_of(a).kind == "c":
        raise UnsupportedFunctionError(
            f"{where()}: {name} of a complex matrix returns vectors whose phases are arbitrary, and so are their "
            f"derivatives; {instead}."
        )


@composite(np.linalg.eigh, status="general", domain="distinct eigenvalues")
def eigh(a: Any, UPLO: str = "L") -> Any:
    """``np.linalg.eigh`` of real symmetric matrices: a function of the triangle it reads."""
    a = operand(a)
    _is_square(shape_of(a))
    _refuse_phases("np.linalg.eigh", a, "np.linalg.eigvalsh is supported")
    packed = bind(eigh_, (a,), _triangle(UPLO))
    return _EighResult(packed[..., -1, :], packed[..., :-1, :])


@composite(np.linalg.eigvalsh, status="general", domain="distinct eigenvalues")
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """``np.linalg.eigvalsh``: a function of the triangle it reads."""
    a = operand(a)
    _is_square(shape_of(a))
    return np.real(bind(eigh_, (a,), {**_triangle(UPLO), "vectors": False})[..., -1, :])


def _eig(a: Any) -> Any:
    w, v = np.linalg.eig(a)
    return np.concatenate([v, w[..., None, :]], axis=-2).astype(np.result_type(dtype_of(a), np.complex64))


@_quiet
def _eig_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    v, w = out[..., :-1, :], out[..., -1, :]
    p = product(np.linalg.inv(v) @ ts[0], v)
    return _side_by_side(v @ sweep.mul(p, _gaps(w)), _diagonal(p))


@_quiet
def _eig_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    v, w = out[..., :-1, :], out[..., -1, :]
    gv, gw = g[..., :-1, :], g[..., -1, :]
    core = _as_diagonal(gw) + sweep.mul(adjoint(v) @ gv, conj(_gaps(w)))
    return (product(adjoint(np.linalg.inv(v)) @ core, adjoint(v)),)


eig_ = General(
    "np.linalg.eigvals",
    _eig,
    _eig_push,
    _eig_pull,
    keeps=(True, (False,)),
    joins=of_matrices,
)


_ALWAYS_COMPLEX = np.linalg.eigvals(np.eye(1)).dtype.kind == "c"  # from NumPy 2.5 on


@composite(np.linalg.eigvals, status="general", domain="distinct eigenvalues")
def eigvals(a: Any) -> Any:
    """``np.linalg.eigvals``; real where all of them are, if NumPy's is."""
    a = operand(a)
    _is_square(shape_of(a))
    w = bind(eig_, (a,), {})[..., -1, :]
    if dtype_of(a).kind != "c" and not _ALWAYS_COMPLEX and not bool(np.any(np.not_equal(np.imag(w), 0))):
        return np.real(w)
    return w


register(
    np.linalg.eig,
    "refused",
    None,
    reason="the lengths and phases of its eigenvectors are a convention; use np.linalg.eigvals, "
    "or np.linalg.eigh for symmetric matrices",
)


# --------------------------------------------------------------------------------------------------
# singular values


def _cut(packed: Any, m: int, n: int) -> tuple[Any, Any, Any]:
    """Return U, S and Vᴴ from a packed decomposition of m×n matrices."""
    k = min(m, n)
    head = shape_of(packed)[:-1]
    u, s, vh = packed[..., : m * k], packed[..., m * k : m * k + k], packed[..., m * k + k :]
    return np.reshape(u, (*head, m, k)), np.real(s), np.reshape(vh, (*head, k, n))


def _packed(u: Any, s: Any, vh: Any) -> Any:
    head = shape_of(s)[:-1]
    parts = [np.reshape(x, (*head, size_of(shape_of(x)[len(head) :]))) for x in (u, s, vh)]
    return np.concatenate([parts[0], parts[1].astype(dtype_of(u)), parts[2]], axis=-1)


def _svd(a: Any, *, vectors: bool = True) -> Any:
    return _packed(*np.linalg.svd(a, full_matrices=False))


def _svd_gaps(s: Any) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Return the differences and sums of pairs, where they vanish, the values, and which of them vanish.

    s[j]² - s[i]² is taken apart into difference and sum, so that no square overflows or cancels.
    """
    gap, both = _gap(s), s[..., None, :] + s[..., :, None]
    largest = np.max(s, axis=-1, initial=0.0)
    null = np.less_equal(s, CLOSE * shape_of(s)[-1] * np.finfo(dtype_of(s)).eps * largest[..., None])
    return gap, both, _close(gap, largest), _close(both, largest), s[..., None, :], null[..., None, :]


def _over_values(p: Any, s: Any, omitted: Any) -> Any:
    return np.where(omitted, 0.0, p / np.where(omitted, 1.0, s))


def _svd_push(sweep: Sweep, ts: Any, out: Any, a: Any, *, vectors: bool = True) -> Any:
    m, n = shape_of(a)[-2:]
    u, s, vh = _cut(out, m, n)
    t, uh, v = ts[0], adjoint(u), adjoint(vh)
    tv = product(t, v)
    p = uh @ tv
    gap, both, close, closing, row, null = _svd_gaps(s)
    null = np.logical_and(null, m != n)
    undefined = np.logical_or(close, np.logical_or(closing, null))
    ph = adjoint(p)
    plus, minus = 0.5 * _over_gaps(p + ph, gap, close), 0.5 * _over_gaps(p - ph, both, closing)
    left, right = _turned("np.linalg.svd", undefined, vectors, sweep, plus + minus, plus - minus)
    du, dv = u @ left, v @ right
    if dtype_of(a).kind == "c":
        du = du + u * (1j * _over_values(np.imag(_diagonal(p))[..., None, :], row, np.equal(row, 0)))
    if m > n:
        du = du + _over_values(tv - u @ p, row, null)
    if n > m:
        dv = dv + _over_values(adjoint(t) @ u - v @ ph, row, null)
    return _packed(du, np.real(_diagonal(p)), adjoint(dv))


def _svd_pull(sweep: Sweep, g: Any, out: Any, a: Any, *, vectors: bool = True) -> Any:
    m, n = shape_of(a)[-2:]
    u, s, vh = _cut(out, m, n)
    gu, gs, gvh = _cut(g, m, n)
    uh, v, gv = adjoint(u), adjoint(vh), adjoint(gvh)
    gap, both, close, closing, row, null = _svd_gaps(s)
    eu, ev = uh @ gu, vh @ gv
    covector = _Covector(((uh, gu), (vh, gv)), gs, s, vectors)
    name = "np.linalg.svd"
    core = (
        _as_diagonal(gs)
        + _quotient(name, _skew_part(eu + ev), gap, close, covector)
        + _quotient(name, _skew_part(eu - ev), both, closing, covector)
    )
    if dtype_of(a).kind == "c":
        imaginary = np.imag(_diagonal(eu))
        core = core + 1j * _as_diagonal(
            _over_values(imaginary, s, np.logical_or(np.equal(imaginary, 0), np.equal(s, 0)))
        )
    c = product(u @ core, vh)
    if m > n:
        c = c + product(_beside(gu, u @ eu, row, null, covector), vh)
    if n > m:
        c = c + u @ adjoint(_beside(gv, v @ ev, row, null, covector))
    return (c,)


def _beside(g: Any, inside: Any, row: Any, null: Any, covector: _Covector) -> Any:
    """Return what of a covector lies outside the space of the vectors, over the singular values.

    The longer vector of a vanishing one may be turned out of that space, as equal values may turn each other.
    """
    rest = g - inside
    if not bool(np.any(null)):
        return rest / row
    size, terms = [np.max(np.abs(x), axis=-2, keepdims=True, initial=0.0) for x in (rest, g)]
    n, eps = shape_of(g)[-2], np.finfo(dtype_of(row)).eps
    turned = np.logical_and(null, np.greater(size, 100 * n * eps * _scale(covector)))
    known = np.logical_and(np.greater(size, math.sqrt(eps) * terms), np.not_equal(row, 0))
    omitted = np.logical_and(null, np.logical_not(known))
    counts = np.greater(np.abs(covector.values), _rounding(covector.values))[..., None, :]
    lost = np.logical_and(omitted, np.logical_and(counts, _used(covector)))
    if bool(np.any(np.logical_or(turned, lost))):
        raise DegenerateError(
            f"{where()}: the derivative of np.linalg.svd is not defined at this matrix: it has not full rank, and the "
            "function depends on which vectors stand for the vanishing singular values. Use the matrix itself, "
            "np.linalg.svdvals, or only the vectors of the values that do not vanish."
        )
    return _over_values(rest, row, omitted)


svd_ = General("np.linalg.svd", _svd, _svd_push, _svd_pull, joins=of_matrices)
"""U, the singular values and Vᴴ of the thin decomposition, flattened side by side."""
_SVDResult: Any = type(np.linalg.svd(np.eye(1)))


@composite(getattr(np.linalg, "svdvals", None), status="general", domain="distinct singular values")
def svdvals(x: Any, /) -> Any:
    """``np.linalg.svdvals``."""
    x = operand(x)
    m, n = shape_of(x)[-2:]
    k = min(m, n)
    return np.real(bind(svd_, (x,), {"vectors": False})[..., m * k : m * k + k])


@composite(np.linalg.svd, status="general", domain="distinct singular values")
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """``np.linalg.svd``: the vectors of real matrices, the values of all."""
    a = operand(a)
    if hermitian:
        raise unsupported("np.linalg.svd", ["hermitian"], "np.linalg.eigh")
    if not compute_uv:
        return svdvals(a)
    m, n = shape_of(a)[-2:]
    if full_matrices and m != n:
        raise unsupported("np.linalg.svd", ["full_matrices"], "full_matrices=False: the further vectors are arbitrary")
    _refuse_phases("np.linalg.svd", a, "np.linalg.svdvals is supported")
    return _SVDResult(*_cut(bind(svd_, (a,), {}), m, n))


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
    """``np.linalg.pinv`` of matrices of full rank (elsewhere it is not even continuous)."""
    a = operand(a)
    if hermitian:
        raise unsupported("np.linalg.pinv", ["hermitian"], "np.linalg.pinv(a) without it")
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


# --------------------------------------------------------------------------------------------------
# QR


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
    _refuse_phases("np.linalg.qr", a, "use real matrices")
    if m >= n:
        packed = bind(qr_, (a,), {})
        q, r = packed[..., :m, :], packed[..., m:, :]
    else:
        packed = bind(qr_, (a[..., :m],), {})
        q = packed[..., :m, :]
        r = np.concatenate([packed[..., m:, :], np.swapaxes(q, -1, -2) @ a[..., m:]], axis=-1)
    return r if mode == "r" else _QRResult(q, r)
