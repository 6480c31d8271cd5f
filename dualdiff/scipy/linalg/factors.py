"""Factorisations without a spectrum, and systems solved with them: Cholesky, LU, QR."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.linalg
from scipy.linalg import LinAlgWarning

from dualdiff.rules.linalg.elimination import lu_, lu_solve_, pivots_, rows_of
from dualdiff.rules.linalg.factors import cholesky_
from dualdiff.rules.linalg.matrices import adjoint
from dualdiff.rules.linalg.substitution import cho_solve_
from dualdiff.scipy.linalg.arguments import (
    ROOM,
    VECTOR_OR_MATRIX,
    as_columns,
    check_square,
    checked,
    inexact,
    over_stacks,
    together,
)
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind, fixed, raw

# --------------------------------------------------------------------------------------------------
# Cholesky


def _factor(a: Any, lower: bool, check_finite: bool) -> Any:
    a = inexact(a, check_finite)
    if len(shape_of(a)) < 2:
        a = np.reshape(a, (1, -1))
    if shape_of(a)[0] != shape_of(a)[1]:
        raise ValueError(f"Input array is expected to be square but has the shape: {shape_of(a)}.")
    c = bind(cholesky_, (a,), {}) if lower else adjoint(bind(cholesky_, (adjoint(a),), {}))
    return a, c


@ROOM.function("cholesky", kind="general", domain="positive definite")
@over_stacks(a=2)
def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """``scipy.linalg.cholesky``: a function of the triangle it reads."""
    return _factor(a, bool(lower), check_finite)[1]


LEFT = bool(scipy.linalg.cho_factor(np.array([[1.0, 0.0], [1.0, 1.0]]))[0][1, 0])
"""Whether the triangle that ``cho_factor`` does not read stays as it was: since SciPy 1.18 it is 0, where a matrix is not overwritten."""


@ROOM.function("cho_factor", kind="general", domain="positive definite")
@over_stacks(a=2)
def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """``scipy.linalg.cho_factor``: the other triangle holds what it held, or 0, as this SciPy has it."""
    a, c = _factor(a, bool(lower), check_finite)
    triangle = np.tri(shape_of(a)[-1], dtype=bool)
    return np.where(triangle if lower else triangle.T, c, a) if LEFT or overwrite_a else c, lower


@over_stacks(c=2, b=VECTOR_OR_MATRIX)
def _cho_solve(c: Any, b: Any, lower: bool, check_finite: bool) -> Any:
    c, b = together(c, b, check_finite=check_finite)
    check_square(c, "The factored matrix c is not square.")
    if shape_of(c)[1] != shape_of(b)[0]:
        raise ValueError(f"incompatible dimensions ({shape_of(c)} and {shape_of(b)})")
    return as_columns(lambda x: bind(cho_solve_, (c, x), {"lower": lower}), b)


@ROOM.function("cho_solve", kind="general", domain="positive definite")
def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    """``scipy.linalg.cho_solve``."""
    c, lower = c_and_lower
    return _cho_solve(c, b, bool(np.ravel(fixed(lower))[0]), check_finite)  # of a stack there is one for each


# --------------------------------------------------------------------------------------------------
# LU


def _packed(a: Any) -> Any:
    return bind(lu_, (a,), {})


@ROOM.function("lu_factor", kind="general", domain="nonsingular")
@over_stacks(a=2)
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """``scipy.linalg.lu_factor``, at the pivots that LAPACK takes."""
    a = inexact(a, check_finite)
    m, n = shape_of(a)
    packed = _packed(a)
    zero = np.flatnonzero(np.equal(np.diagonal(raw(packed)[:, :n]), 0))
    if len(zero):
        warnings.warn(f"Diagonal number {zero[0] + 1} is exactly zero. Singular matrix.", LinAlgWarning, stacklevel=2)
    return packed[:, :n], bind(pivots_, (packed,), {"rows": min(m, n)})


@over_stacks(lu=2, piv=1, b=VECTOR_OR_MATRIX)
def _lu_solve(lu: Any, piv: Any, b: Any, trans: int, check_finite: bool) -> Any:
    b = checked(b, check_finite)
    lu, b = together(lu, b, check_finite=False)
    if shape_of(lu)[0] != shape_of(b)[0]:
        raise ValueError(f"Shapes of lu {shape_of(lu)} and b {shape_of(b)} are incompatible")
    if trans == 1 and dtype_of(lu).kind == "c":
        lu = np.conjugate(lu)
    return as_columns(lambda x: bind(lu_solve_, (lu, x, piv), {"transposed": trans != 0}), b)


@ROOM.function("lu_solve", kind="general", domain="nonsingular")
def lu_solve(lu_and_piv: Any, b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    """``scipy.linalg.lu_solve``."""
    lu, piv = lu_and_piv
    if trans not in (0, 1, 2):
        raise ValueError("illegal value in 1th argument of internal gesv|posv")
    return _lu_solve(lu, piv, b, int(trans), check_finite)


@ROOM.function("lu", kind="general", domain="nonsingular")
@over_stacks(a=2)
def lu(
    a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True, p_indices: bool = False
) -> Any:
    """``scipy.linalg.lu``, at the pivots that LAPACK takes."""
    a = inexact(a, check_finite)
    m, n = shape_of(a)
    k = min(m, n)
    packed = _packed(a)
    low = np.tril(packed[:, :k], -1) + np.eye(m, k, dtype=dtype_of(a))
    up = np.triu(packed[:k, :n])
    order = rows_of(bind(pivots_, (packed,), {"rows": k}), m, inverse=True)
    if permute_l:
        return np.take(low, order, axis=0), up
    if p_indices:
        return order.astype(np.int32), low, up
    return np.take(np.eye(m, dtype=np.dtype(dtype_of(a).char.lower())), order, axis=0), low, up
