"""Systems with Toeplitz and circulant matrices, and products with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.rules.elementwise import cast
from dualdiff.rules.letters import conj
from dualdiff.rules.linalg.bands import toeplitz_
from dualdiff.scipy.linalg.arguments import ROOM, VECTOR_OR_MATRIX, checked, over_stacks
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import bind, fixed, operand, raw


def _column_and_row(c_or_cr: Any) -> tuple[Any, Any]:
    if isinstance(c_or_cr, tuple):
        return c_or_cr
    return c_or_cr, conj(operand(c_or_cr))


def _in_double(*arrays: Any) -> list[Any]:
    is_complex = any(dtype_of(x).kind == "c" for x in arrays)
    return [cast(x, np.complex128 if is_complex else np.float64, copy=False) for x in arrays]


@over_stacks(c=1, r=1, b=VECTOR_OR_MATRIX)
def _solve_toeplitz(c: Any, r: Any, b: Any, check_finite: bool) -> Any:
    c, r, b = _in_double(*[checked(x, check_finite) for x in (c, r, b)])
    n = shape_of(c)[0]
    if shape_of(r)[0] != n or shape_of(b)[0] != n:
        raise ValueError("Incompatible dimensions.")
    if not size_of(shape_of(b)):
        return np.zeros_like(b)
    diagonals = np.concatenate([r[:0:-1], c])
    return np.reshape(bind(toeplitz_, (diagonals, np.reshape(b, (n, -1))), {}), shape_of(b))


@ROOM.function("solve_toeplitz", kind="general", domain="nonsingular")
def solve_toeplitz(c_or_cr: Any, b: Any, check_finite: bool = True) -> Any:
    """``scipy.linalg.solve_toeplitz``, in double precision as there."""
    c, r = _column_and_row(c_or_cr)
    return _solve_toeplitz(c, r, b, check_finite)


@over_stacks(c=1, r=1, x=VECTOR_OR_MATRIX)
def _matmul_toeplitz(c: Any, r: Any, x: Any, check_finite: bool) -> Any:
    c, r, x = _in_double(*[checked(v, check_finite) for v in (c, r, x)])
    if shape_of(x)[0] != shape_of(r)[0]:
        raise ValueError("Incompatible dimensions.")
    rows, p = shape_of(c)[0], shape_of(c)[0] + shape_of(r)[0] - 1
    shape = (rows, *shape_of(x)[1:])
    if not size_of(shape_of(x)):
        return np.zeros_like(x, shape=shape)
    circle = np.reshape(np.concatenate([c, r[:0:-1]]), (p, 1))
    columns = np.reshape(x, (shape_of(x)[0], -1))
    if dtype_of(x).kind == "c":
        y: Any = np.fft.ifft(np.fft.fft(circle, axis=0) * np.fft.fft(columns, n=p, axis=0), axis=0)
    else:
        y = np.fft.irfft(np.fft.rfft(circle, axis=0) * np.fft.rfft(columns, n=p, axis=0), axis=0, n=p)
    return np.reshape(y[:rows], shape)


@ROOM.function("matmul_toeplitz")
def matmul_toeplitz(c_or_cr: Any, x: Any, check_finite: bool = False, workers: Any = None) -> Any:
    """``scipy.linalg.matmul_toeplitz``, in double precision as there."""
    c, r = _column_and_row(c_or_cr)
    return _matmul_toeplitz(c, r, x, check_finite)


@ROOM.function("solve_circulant", domain="nonsingular")
def solve_circulant(
    c: Any, b: Any, singular: str = "raise", tol: Any = None, caxis: int = -1, baxis: int = 0, outaxis: int = 0
) -> Any:
    """``scipy.linalg.solve_circulant``: a division of Fourier transforms."""
    c, b = np.atleast_1d(operand(c)), np.atleast_1d(operand(b))
    for name, x, axis in (("c", c, caxis), ("b", b, baxis)):
        if not -len(shape_of(x)) <= axis < len(shape_of(x)):
            raise ValueError(f"'{name}axis' entry is out of bounds")
    n = shape_of(c)[caxis]
    if n != shape_of(b)[baxis]:
        raise ValueError(f"Shapes of c {shape_of(c)} and b {shape_of(b)} are incompatible")
    if not size_of(shape_of(b)):
        return np.zeros_like(b)
    fc = np.fft.fft(np.moveaxis(c, caxis, -1), axis=-1)
    sizes = np.abs(raw(fc))
    if tol is None:
        tol = np.max(sizes, axis=-1, keepdims=True) * n * np.finfo(np.float64).eps
    small = sizes <= fixed(tol, "tol of scipy.linalg.solve_circulant")
    if np.any(small) and singular == "raise":
        raise np.linalg.LinAlgError("near singular circulant matrix.")
    fb = np.fft.fft(np.moveaxis(b, baxis, -1), axis=-1)
    x = np.fft.ifft(np.where(small, 0.0, fb / np.where(small, 1.0, fc)), axis=-1)
    if dtype_of(c).kind != "c" and dtype_of(b).kind != "c":
        x = np.real(x)
    return np.moveaxis(x, -1, outaxis)
