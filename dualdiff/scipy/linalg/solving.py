"""Linear systems, inverses, determinants, least squares and norms."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import scipy.linalg

from dualdiff.kinds import Elementwise
from dualdiff.register import Facts
from dualdiff.rules.elementwise import cast
from dualdiff.rules.linalg.elimination import factored_, solved_, warn_if_ill
from dualdiff.rules.linalg.lapack import determinant_
from dualdiff.rules.linalg.least_squares import lstsq as _lstsq
from dualdiff.rules.linalg.least_squares import pinv as _pinv
from dualdiff.rules.linalg.norms import norm as _norm
from dualdiff.rules.linalg.norms import norm2_
from dualdiff.rules.linalg.solving import inv_
from dualdiff.rules.linalg.substitution import triangular_
from dualdiff.rules.linalg.triangles import hermitian
from dualdiff.scipy.linalg.arguments import (
    ROOM,
    UNSAID,
    VECTOR_OR_MATRIX,
    as_columns,
    check_square,
    checked,
    default_of,
    inexact,
    over_stacks,
    precision,
    refuse_removed,
    together,
)
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import bind, fixed, raw

_DEFAULT = default_of("solve", "assume_a", None)  # it was "gen" before SciPy 1.15
_DEFINITE = ("pos", "positive definite")
_LOWER, _UPPER = "lower triangular", "upper triangular"
_STRUCTURES = {"gen", "sym", "her", "pos"}
if _DEFAULT is None:
    _STRUCTURES |= {"general", "symmetric", "hermitian", *_DEFINITE}
    _STRUCTURES |= {"banded", "diagonal", "tridiagonal", _LOWER, _UPPER}


def _as_read(a: Any, structure: Any, lower: bool) -> Any:
    """Return the matrix that SciPy sees where it is told of a structure: it reads no more than that holds."""
    n = shape_of(a)[-1]
    if structure in ("sym", "symmetric"):
        triangle = np.tri(n, dtype=bool)
        return np.where(triangle if lower else triangle.T, a, np.swapaxes(a, -1, -2))
    if structure in ("her", "hermitian", *_DEFINITE):
        return hermitian(a, lower)
    if structure in (_LOWER, _UPPER):
        return np.tril(a) if structure == _LOWER else np.triu(a)
    if structure in ("diagonal", "tridiagonal"):
        return np.triu(np.tril(a, int(structure != "diagonal")), -int(structure != "diagonal"))
    return a


@ROOM.function("solve", kind="general", domain=("nonsingular", "real"))
@over_stacks(a=2, b=VECTOR_OR_MATRIX)
def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: Any = _DEFAULT,
    transposed: bool = False,
) -> Any:
    """``scipy.linalg.solve``: with a structure assumed, a function of the entries it then reads."""
    a, b = together(a, b, check_finite=check_finite)
    if len(shape_of(a)) < 2 or not shape_of(b):
        a, b = np.atleast_2d(a), np.atleast_1d(b)
    if assume_a not in (_DEFAULT, *_STRUCTURES):
        raise ValueError(f"{assume_a} is not a recognized matrix structure")
    check_square(a, f"Expected square matrix, got a1.shape={shape_of(a)}")
    if shape_of(a) == (1, 1):
        if raw(a)[0, 0] == 0:
            raise np.linalg.LinAlgError("A singular matrix detected.")
        return b / a[0, 0]
    if shape_of(a)[0] != shape_of(b)[0]:
        raise ValueError(f"incompatible shapes: a1.shape={shape_of(a)} and b1.shape={shape_of(b)}")
    if transposed and dtype_of(a).kind == "c":
        raise NotImplementedError(
            "scipy.linalg.solve can currently not solve a^T x = b or a^H x = b for complex matrices."
        )
    if not size_of(shape_of(b)):
        return np.zeros_like(b)
    if assume_a in (_LOWER, _UPPER):
        params: dict[str, Any] = {"lower": assume_a == _LOWER, "transposed": bool(transposed), "unit": False}
        return as_columns(lambda x: bind(triangular_, (a, x), params), b)
    definite = ("lower" if lower else "upper") if assume_a in _DEFINITE else ""
    a = _as_read(a, assume_a, bool(lower))
    factors = bind(factored_, (a,), {"definite": definite})
    params = {"transposed": bool(transposed), "definite": definite}
    return as_columns(lambda x: bind(solved_, (a, x, factors), params), b)


@ROOM.function("solve_triangular", kind="general", domain=("nonsingular", "real"))
@over_stacks(a=2, b=VECTOR_OR_MATRIX)
def solve_triangular(
    a: Any,
    b: Any,
    trans: Any = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """``scipy.linalg.solve_triangular``: a function of the triangle it reads."""
    a, b = together(a, b, check_finite=check_finite)
    check_square(a)
    if shape_of(a)[0] != shape_of(b)[0]:
        raise ValueError(f"shapes of a {shape_of(a)} and b {shape_of(b)} are incompatible")
    trans = {"N": 0, "T": 1, "C": 2}.get(trans, trans)
    if trans not in (0, 1, 2):
        raise ValueError("illegal value in 4-th argument of internal trtrs")
    if trans == 1 and dtype_of(a).kind == "c":
        a = np.conjugate(a)
    params = {"lower": bool(lower), "transposed": trans != 0, "unit": bool(unit_diagonal)}
    return as_columns(lambda x: bind(triangular_, (a, x), params), b)


@ROOM.function("inv", kind="general", domain="nonsingular")
@over_stacks(a=2)
def inv(
    a: Any, overwrite_a: bool = False, check_finite: bool = True, *, assume_a: Any = None, lower: bool = False
) -> Any:
    """``scipy.linalg.inv``: with a structure assumed, a function of the entries it then reads."""
    a = inexact(a, check_finite)
    check_square(a, f"Expected square matrix, got a1.shape={shape_of(a)}")
    if assume_a not in (None, *_STRUCTURES):
        raise ValueError(f"{assume_a} is not a recognized matrix structure")
    a = _as_read(a, assume_a, bool(lower))
    if assume_a in _DEFINITE:
        np.linalg.cholesky(raw(a))
    w = bind(inv_, (a,), {})
    if size_of(shape_of(a)):
        warn_if_ill(float(1 / (np.linalg.norm(raw(a), 1) * np.linalg.norm(raw(w), 1))), dtype_of(a))
    return w


@ROOM.function("det", kind="general", domain="matrix")
def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """``scipy.linalg.det``, in double precision as there."""
    a = checked(a, check_finite)
    shape = shape_of(a)
    if len(shape) < 2:
        raise ValueError("The input array must be at least two-dimensional.")
    if shape[-1] != shape[-2]:
        raise ValueError(f"Last 2 dimensions of the array must be square but received shape {shape}.")
    return bind(determinant_, (cast(a, precision(a), copy=False),), {})


@ROOM.function("lstsq", domain=("full rank", "real"))
@over_stacks(a=2, b=VECTOR_OR_MATRIX)
def lstsq(
    a: Any,
    b: Any,
    cond: Any = None,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    lapack_driver: Any = None,
) -> Any:
    """``scipy.linalg.lstsq`` of matrices of full rank."""
    a, b = together(a, b, check_finite=check_finite)
    if len(shape_of(a)) != 2:
        raise ValueError("Input array a should be 2D")
    m = shape_of(a)[0]
    if m != shape_of(b)[0]:
        raise ValueError(f"Shape mismatch: a and b should have the same number of rows ({m} != {shape_of(b)[0]}).")
    driver = lapack_driver or scipy.linalg.lstsq.default_lapack_driver
    if driver not in ("gelsd", "gelsy", "gelss"):
        raise ValueError(f'LAPACK driver "{driver}" is not found')
    cond = float(np.finfo(dtype_of(a)).eps) if cond is None else fixed(cond, "cond of scipy.linalg.lstsq")
    x, residuals, rank, s = _lstsq(a, b, cond)
    if driver == "gelsy":
        return x, np.zeros(0, dtype_of(x)), rank, None
    if len(shape_of(b)) == 1 and size_of(shape_of(residuals)):
        residuals = np.reshape(residuals, ()) if _residual_is_array() else residuals[0]
    return x, residuals, rank, s


@functools.cache
def _residual_is_array() -> bool:
    """Whether the residual of one vector is an array without axes, as since SciPy 1.18, and not a number."""
    return isinstance(scipy.linalg.lstsq(np.ones((2, 1)), np.arange(2.0))[1], np.ndarray)


def _pseudo_inverse(a: Any, atol: Any, rtol: Any, return_rank: bool, what: str) -> Any:
    atol, rtol = (fixed(x, f"atol or rtol of {what}") for x in (atol, rtol))
    atol = 0.0 if atol is None else atol
    rtol = max(shape_of(a)) * np.finfo(dtype_of(a)).eps if rtol is None else rtol
    if atol < 0 or rtol < 0:
        raise ValueError("atol and rtol values must be positive.")
    largest = np.max(np.linalg.svd(raw(a), compute_uv=False), initial=0.0) if atol else 1.0
    p = _pinv(a, rtol=float(rtol + atol / largest))
    return (p, min(shape_of(a))) if return_rank else p


@ROOM.function("pinv", kind="general", domain="full rank")
@over_stacks(a=2)
def pinv(
    a: Any,
    *,
    atol: Any = None,
    rtol: Any = None,
    return_rank: bool = False,
    check_finite: bool = True,
    cond: Any = UNSAID,
    rcond: Any = UNSAID,
) -> Any:
    """``scipy.linalg.pinv`` of matrices of full rank."""
    refuse_removed("scipy.linalg.pinv", "Write rtol=", cond=cond, rcond=rcond)
    return _pseudo_inverse(inexact(a, check_finite), atol, rtol, return_rank, "scipy.linalg.pinv")


@ROOM.function("pinvh", kind="general", domain="positive definite")
@over_stacks(a=2)
def pinvh(
    a: Any,
    atol: Any = None,
    rtol: Any = None,
    lower: bool = True,
    return_rank: bool = False,
    check_finite: bool = True,
) -> Any:
    """``scipy.linalg.pinvh`` of matrices of full rank: a function of the triangle it reads."""
    a = hermitian(inexact(a, check_finite), bool(lower))
    return _pseudo_inverse(a, atol, rtol, return_rank, "scipy.linalg.pinvh")


_number = Elementwise("float", float, 1)
"""A number as one of Python's."""


@ROOM.function("norm", kind="general", domain="nonzero", facts=Facts(kinks=[norm2_.kink, np.absolute, np.max, np.min]))
def norm(a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True) -> Any:
    """``scipy.linalg.norm``, which is ``np.linalg.norm`` but that some results are Python's numbers."""
    a = checked(a, check_finite)
    y = _norm(a, ord, axis, keepdims)
    return bind(_number, (y,), {}) if axis is None and not keepdims and _is_of_lapack(raw(a), ord) else y


def _is_of_lapack(a: Any, ord: Any) -> bool:
    """Whether SciPy has BLAS or LAPACK find a norm, which is then one of Python's numbers."""
    if not a.size or a.dtype.char not in "fdFD":
        return False
    if a.ndim == 1:
        return ord in (None, 2)
    return a.ndim == 2 and ord in (1, np.inf) and (np.isfortran(a) or np.isfortran(a.T))
