"""Linear systems and inverses."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.kinds import Discrete, General, Shape, Sweep
from dualdiff.labels import lanes
from dualdiff.register import composite, register
from dualdiff.rules.contraction import of_matrices
from dualdiff.rules.folding import flat
from dualdiff.rules.linalg.matrices import adjoint, check_square, product
from dualdiff.rules.linalg.triangles import suits_blas, triangle_of, triangular
from dualdiff.shapes import align, shape_of, size_of, sum_to_shape
from dualdiff.values import bind, operand, under


def _solve(a: Any, b: Any) -> Any:
    """Solve as NumPy does, but in a third of the time where the matrix is triangular."""
    if suits_blas(a, b) and a.shape == (len(b), len(b)) and (triangle := triangle_of(a)) and a.diagonal().all():
        return np.ascontiguousarray(triangular("trsm", a, b, triangle == "lower"))
    return np.linalg.solve(a, b)


def columns_of(solver: Callable[[Any], Any], r: Any, lead: Shape) -> Any:
    """Solve for a batch of right-hand sides, all as columns of one system."""
    if not lead:
        return solver(r)
    p = shape_of(r)[-1]
    columns = np.moveaxis(r, 0, -2)
    x = solver(np.reshape(columns, (*shape_of(columns)[:-2], lead[0] * p)))
    return np.moveaxis(np.reshape(x, (*shape_of(x)[:-1], *lead, p)), -2, 0)


def solve_columns(a: Any, r: Any, lead: Shape) -> Any:
    """Solve for a batch of right-hand sides with one matrix."""
    return columns_of(lambda columns: bind(solve_, (a, columns), {}), r, lead)


def _solve_push(sweep: Sweep, ts: Any, out: Any, a: Any, b: Any) -> Any:
    ta, tb = ts
    rank = len(shape_of(out))
    r = None if tb is None else align(tb, sweep.lead, shape_of(b), rank)
    if ta is not None:
        c = product(align(ta, sweep.lead, shape_of(a), rank), out)
        r = -c if r is None else r - c
    return solve_columns(a, r, sweep.lead)


def _solve_pull(sweep: Sweep, g: Any, out: Any, a: Any, b: Any) -> Any:
    gb = solve_columns(adjoint(a), g, sweep.lead)
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
def lapack(name: str, dtype: np.dtype[Any]) -> Any:
    """Return a routine of LAPACK for arrays of a precision."""
    from scipy.linalg import get_lapack_funcs  # when it is first needed: it takes a while to import

    return get_lapack_funcs(name, dtype=dtype)


def _factors(a: Any) -> Any:
    """Return L and U of a matrix, packed in one, and the pivots in one more column."""
    if (triangle := triangle_of(a)) and a.diagonal().all():
        return np.array([[_LOWER if triangle == "lower" else _UPPER]], a.dtype)
    n = len(a)
    packed = np.empty((n, n + 1), a.dtype, order="F")
    packed[:, :n] = a
    _, packed[:, n], info = lapack("getrf", a.dtype)(packed[:, :n], overwrite_a=True)
    if info > 0:
        raise np.linalg.LinAlgError("Singular matrix")
    return packed


def _solve_by_factors(a: Any, b: Any, factors: Any, *, transposed: bool) -> Any:
    if factors[0, -1] < 0:
        x = triangular("trsm", a, b, factors[0, -1] == _LOWER, transposed)
    else:
        n = len(a)
        pivots = factors[:, n].real
        if not ((pivots >= 0) & (pivots < n)).all():  # LAPACK would follow them anywhere
            raise ValueError("these are no factors of a matrix: a pivot is none of its rows")
        x, _ = lapack("getrs", b.dtype)(factors[:, :n], pivots.astype(np.intc), b, trans=int(transposed))
    return np.ascontiguousarray(x)


def _by_factors_push(sweep: Sweep, ts: Any, out: Any, a: Any, b: Any, factors: Any, *, transposed: bool) -> Any:
    ta, tb, _ = ts
    r = tb
    if ta is not None:
        c = product(np.swapaxes(ta, -1, -2) if transposed else ta, out)
        r = -c if r is None else r - c
    return columns_of(lambda x: bind(by_factors_, (a, x, factors), {"transposed": transposed}), r, sweep.lead)


def _by_factors_pull(sweep: Sweep, g: Any, out: Any, a: Any, b: Any, factors: Any, *, transposed: bool) -> Any:
    gb = columns_of(lambda x: bind(by_factors_, (a, x, factors), {"transposed": not transposed}), g, sweep.lead)
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
    if suits_blas(*plain) and plain[0].shape == (len(plain[1]),) * 2:
        return bind(by_factors_, (a, b, bind(factors_, (a,), {})), {"transposed": False})
    return bind(solve_, (a, b), {})


def solve(a: Any, b: Any) -> Any:
    """``np.linalg.solve``: a one-dimensional ``b`` is a vector, every other a stack of matrices."""
    a, b = operand(a), operand(b)
    check_square(shape_of(a))
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
