"""The batch axis: aligning directions, summing broadcasts away, negative axes, position maps.

Directions ride on leading axes. ``lead`` is ``()`` for a single direction and ``(k,)`` for ``k`` of them;
a tangent or cotangent of an array of shape ``s`` has shape ``lead + s``. Because every rule counts its
axes from the end, the same rule serves both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

FLOAT64 = np.dtype(np.float64)
_PYTHON_DTYPES = {float: FLOAT64, int: np.dtype(np.int64), bool: np.dtype(bool), complex: np.dtype(np.complex128)}


class Aval(NamedTuple):
    """What is left of a value whose elements no rule needs: its shape and dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return size_of(self.shape)


def size_of(shape: tuple[int, ...]) -> int:
    """Return the number of elements of an array of this shape."""
    size = 1
    for s in shape:
        size *= s
    return size


def shape_of(x: Any) -> tuple[int, ...]:
    """Return ``x.shape``; a Python number has shape ``()`` (``np.shape`` would cost a microsecond)."""
    try:
        return x.shape
    except AttributeError:
        return ()


def dtype_of(x: Any) -> np.dtype[Any]:
    """Return ``x.dtype``, and for a Python number the dtype NumPy would give it."""
    try:
        return x.dtype
    except AttributeError:
        return _PYTHON_DTYPES.get(type(x)) or np.asarray(x).dtype


def aval(x: Any) -> Aval:
    """Return the shape and dtype of ``x``."""
    return Aval(shape_of(x), dtype_of(x))


def align(t: Any, lead: tuple[int, ...], shape: tuple[int, ...], rank: int) -> Any:
    """Insert unit axes after the batch axis so that a tangent broadcasts against an array of ``rank``."""
    missing = rank - len(shape)
    if missing <= 0 or not lead:
        return t
    return t.reshape(lead + (1,) * missing + shape)


def sum_to_shape(c: Any, lead: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """Return a cotangent in the shape of its operand: summed over broadcast axes, with the unit axes that a store dropped."""
    have = shape_of(c)
    if have == lead + shape:
        return c
    if not shape and not lead and type(c) is np.ndarray:
        return np.add.reduce(c, axis=None)
    n, first = len(shape), len(lead)
    extra = len(have) - first - n
    if extra < 0:  # NumPy drops leading unit axes of what it stores: they come back
        c = np.reshape(c, lead + (1,) * -extra + have[first:])
        have = shape_of(c)
        if have == lead + shape:
            return c
    elif extra:
        c = _summed(c, first, first + extra)
    have = shape_of(c)
    if have == lead + shape:
        return c
    ones = [first + i for i in range(n) if shape[i] == 1 and have[first + i] != 1]
    if len(ones) == 1 and type(c) is np.ndarray:
        return _summed(c, ones[0], ones[0] + 1).reshape(lead + shape)
    return np.sum(c, axis=tuple(ones), keepdims=True) if ones else c


def _summed(c: Any, start: int, stop: int) -> Any:
    """Sum over neighbouring axes."""
    if type(c) is not np.ndarray:
        return np.sum(c, axis=tuple(range(start, stop)))
    if c.size > 1 << 11 and c.dtype is FLOAT64 and c.flags.c_contiguous:
        s = c.shape
        before, count, after = size_of(s[:start]), size_of(s[start:stop]), size_of(s[stop:])
        # NumPy's loop is as long as the axis it runs along: where that is short, a product with ones is eight times as fast.
        if after == 1 and count < 64:
            return (c.reshape(before, count) @ np.ones(count)).reshape(s[:start] + s[stop:])
        if 1 < after < 64 and before <= count:
            return (np.ones(count) @ c.reshape(before, count, after)).reshape(s[:start] + s[stop:])
    # What np.sum does to an array, without its own microsecond of Python.
    return np.add.reduce(c, axis=None if stop - start == c.ndim else tuple(range(start, stop)))


def fit(c: Any, lead: tuple[int, ...], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Project a cotangent onto its operand: its shape, its field (real part) and its precision."""
    c = sum_to_shape(c, lead, shape)
    have = dtype_of(c)
    if have != dtype:
        if have.kind == "c" and dtype.kind != "c":
            c = np.real(c)
        if dtype_of(c) != dtype and dtype.kind in "fc":
            c = c.astype(dtype) if hasattr(c, "astype") else dtype.type(c)
    return c


def negative_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return ``axis`` (None, an int, or several) as a tuple of negative axes."""
    if axis is None:
        return tuple(range(-ndim, 0))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    out = []
    for a in axes:
        a = a.__index__()
        if not -ndim <= a < ndim:
            raise np.exceptions.AxisError(a, ndim)
        out.append(a - ndim if a >= 0 else a)
    if len(set(out)) != len(out):
        raise ValueError("duplicate value in 'axis'")
    return tuple(out)
