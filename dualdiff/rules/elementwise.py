"""NumPy's elementwise functions: a partial per operand and a domain."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from dualdiff.primitive import Elementwise, elementwise
from dualdiff.shapes import dtype_of

REAL, POSITIVE, NONZERO, NONNEGATIVE = "real", "positive", "nonzero", "nonnegative"

add = elementwise(np.add, 1, 1, op=operator.add, domain=(REAL, REAL))
subtract = elementwise(np.subtract, 1, -1, op=operator.sub, domain=(REAL, REAL))
multiply = elementwise(np.multiply, lambda _z, _x, y: y, lambda _z, x, _y: x, op=operator.mul, domain=(REAL, REAL))
divide = elementwise(np.divide, lambda _z, _x, y: 1 / y, lambda z, _x, y: -z / y, op=operator.truediv, domain=(REAL, NONZERO))
negative = elementwise(np.negative, -1, op=operator.neg, domain=REAL)
absolute = elementwise(np.absolute, lambda _y, x: np.sign(x), op=operator.abs, domain=NONZERO)
power = elementwise(np.power, lambda _z, x, y: y * x ** (y - 1), lambda z, x, _y: z * np.log(x), op=operator.pow, domain=(POSITIVE, REAL))
remainder = elementwise(np.remainder, 1, lambda _z, x, y: -np.floor(x / y), op=operator.mod, domain=(REAL, NONZERO))
exp = elementwise(np.exp, lambda y, _x: y, domain=REAL)
log = elementwise(np.log, lambda _y, x: 1 / x, domain=POSITIVE)
sin = elementwise(np.sin, lambda _y, x: np.cos(x), domain=REAL)
cos = elementwise(np.cos, lambda _y, x: -np.sin(x), domain=REAL)
sqrt = elementwise(np.sqrt, lambda y, _x: 0.5 / y, singular=True, domain=POSITIVE)
tanh = elementwise(np.tanh, lambda y, _x: 1 - y * y, domain=REAL)
def cast(x: Any, dtype: Any) -> Any:
    """Return ``x.astype(dtype)``."""
    if np.dtype(dtype) == dtype_of(x):
        return x.copy()
    raise NotImplementedError


__all__ = ["Elementwise"]
