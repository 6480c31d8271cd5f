"""Triangular matrices: which is one, BLAS for the large, and matrices that are read from one triangle."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from dualdiff.rules.linalg.matrices import adjoint
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import ndarray

LARGE = 32
"""From this order on a matrix is looked at: whether it is triangular, and for BLAS to solve with it as such."""
_REAL = (np.dtype(np.float64), np.dtype(np.float32))


@functools.cache
def _blas(name: str, dtype: np.dtype[Any]) -> Any:
    from scipy.linalg import get_blas_funcs  # when it is first needed: it takes a while to import

    return get_blas_funcs(name, dtype=dtype)


def suits_blas(a: Any, *others: Any) -> bool:
    """Whether BLAS takes these matrices as they are: large enough, real, of one precision, and nothing traced."""
    if type(a) is not ndarray or a.ndim != 2 or len(a) < LARGE or a.dtype not in _REAL:
        return False
    return all(type(b) is ndarray and b.ndim == 2 and b.dtype is a.dtype for b in others)


def triangular(name: str, a: Any, b: Any, lower: bool, transposed: bool = False, right: bool = False) -> Any:
    """Return A⁻¹·b ("trsm") or A·b ("trmm") for a triangle a, or b·A⁻¹ and b·A (right), where A is a or its transpose."""
    # BLAS reads columns: what lies by rows is its own transpose there, and is given as that, not copied.
    if not a.flags.f_contiguous:
        a, lower, transposed = a.T, not lower, not transposed
    run = _blas(name, b.dtype)
    if b.flags.f_contiguous:
        return run(1.0, a, b, side=right, lower=lower, trans_a=transposed)
    return run(1.0, a, b.T, side=not right, lower=lower, trans_a=not transposed).T


@functools.lru_cache(maxsize=64)
def below(n: int, k: int = 0) -> Any:
    """Return where a small matrix has its lower triangle, up to diagonal ``k``; nobody may write into it."""
    mask = np.tri(n, k=k, dtype=bool)
    mask.flags.writeable = False
    return mask


def triangle_of(a: Any) -> str:
    """Return which triangle holds all of a matrix, "lower" or "upper"; "" if neither does. A corner tells mostly."""
    if not a[0, -1]:
        if not np.logical_and(a, np.tri(len(a), k=-1, dtype=bool).T).any():
            return "lower"
    elif not a[-1, 0] and not np.logical_and(a, np.tri(len(a), k=-1, dtype=bool)).any():
        return "upper"
    return ""


def hermitian(t: Any, lower: bool = True) -> Any:
    """Return the Hermitian matrix that a LAPACK routine reads from one triangle of ``t``."""
    n = shape_of(t)[-1]
    tri = np.tri(n, dtype=bool)
    s = np.where(tri if lower else tri.T, t, adjoint(t))
    return np.where(np.eye(n, dtype=bool), np.real(t), s) if dtype_of(t).kind == "c" else s


def hermitian_transpose(g: Any, lower: bool = True) -> Any:
    """Transpose :func:`hermitian`: both triangles are gathered in the one that is read."""
    if lower and dtype_of(g).kind == "f":
        return half_lower(g + adjoint(g))
    n = shape_of(g)[-1]
    eye = np.eye(n, dtype=bool)
    strict = np.tri(n, k=-1, dtype=bool)
    c = np.where(strict if lower else strict.T, g + adjoint(g), 0.0)
    return np.where(eye, np.real(g) if dtype_of(g).kind == "c" else g, c)


def half_lower(p: Any) -> Any:
    """Return the lower triangle with half the diagonal."""
    n = shape_of(p)[-1]
    if type(p) is ndarray:
        low = np.tril(p)
        np.einsum("...ii->...i", low)[...] *= 0.5
        return low
    return np.where(np.tri(n, dtype=bool), p, 0.0) - np.where(np.eye(n, dtype=bool), 0.5 * p, 0.0)
