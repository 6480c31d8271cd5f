"""Power series that replace a quotient near its removable singularity, so that derivatives of every order are right there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.shapes import dtype_of


def weak(x: Any) -> Any:
    """Return a number that is a function of parameters alone as a Python float, beside which single precision stays single."""
    return float(x) if type(x) in (np.float64, np.int64) else x


def beside(a: Any, x: Any) -> Any:
    """Return a Python number in the precision of ``x``: many of SciPy's ufuncs take it for double precision, as NumPy's do not."""
    dtype = dtype_of(x)
    return dtype.type(a) if type(a) in (int, float) and dtype.kind == "f" and dtype.itemsize < 8 else a


def polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """Return Σ cₖ xᵏ by Horner's scheme."""
    total = x * 0 + coefficients[-1]
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def near_zero(
    x: Any, radius: float, coefficients: Sequence[float], far: Callable[[Any], Any], *, even: bool = False
) -> Any:
    """Return a power series (in x², if ``even``) within a radius, and ``far(x)`` outside.

    Each of the two sees the points of the other one moved to where it is finite.
    """
    near = np.less(np.abs(x), radius)
    inside = np.where(near, x, 0.0)
    return np.where(near, polynomial(inside * inside if even else inside, coefficients), far(np.where(near, radius, x)))


SINC = [(-1) ** k / math.factorial(2 * k + 1) for k in range(10)]
SINHC = [1 / math.factorial(2 * k + 1) for k in range(10)]


def sin_over(x: Any) -> Any:
    """Return sin(x)/x."""
    return near_zero(x, 1.0, SINC, lambda x: np.sin(x) / x, even=True)


def sinh_over(x: Any) -> Any:
    """Return sinh(x)/x."""
    return near_zero(x, 1.0, SINHC, lambda x: np.sinh(x) / x, even=True)


LOG1P = [(-1) ** k / (k + 1) for k in range(20)]
LOG1P_SLOPE = [(-1) ** (k + 1) * (k + 1) / (k + 2) for k in range(20)]


def log1p_over(u: Any) -> Any:
    """Return log(1+u)/u."""
    return near_zero(u, 0.1, LOG1P, lambda u: np.log1p(u) / u)


def log1p_over_slope(u: Any) -> Any:
    """Return the derivative of log(1+u)/u."""
    return near_zero(u, 0.1, LOG1P_SLOPE, lambda u: (1 / (1 + u) - np.log1p(u) / u) / u)


EXPREL_SLOPE = [(k + 1) / math.factorial(k + 2) for k in range(20)]


def exprel_slope(y: Any, x: Any) -> Any:
    """Return the derivative of y = (eˣ-1)/x, without cancellation at either end."""

    def far(x: Any) -> Any:
        rises = np.greater(x, 0)
        return np.where(rises, y + (1 - y) / x, (np.exp(np.where(rises, 0.0, x)) - y) / x)

    return near_zero(x, 1.0, EXPREL_SLOPE, far)


__all__ = [
    "LOG1P",
    "beside",
    "exprel_slope",
    "log1p_over",
    "log1p_over_slope",
    "near_zero",
    "polynomial",
    "sin_over",
    "sinh_over",
    "weak",
]
