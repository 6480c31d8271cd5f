"""Entries in another order along their axes: flip, rot90, roll, fftshift."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from dualdiff.register import composite
from dualdiff.rules.movement.axes import along, axis_of, ints
from dualdiff.rules.movement.joining import joined
from dualdiff.rules.movement.layout import ravel
from dualdiff.rules.movement.reshaping import as_array, as_shape
from dualdiff.rules.movement.transposing import swapaxes
from dualdiff.shapes import negative_axes, shape_of
from dualdiff.values import fixed, operand


@composite(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    m = as_array(operand(m))
    n = len(shape_of(m))
    axes = negative_axes(None if axis is None else ints(axis), n)
    return m[tuple([slice(None, None, -1) if i in axes else slice(None) for i in range(-n, 0)])]


@composite(np.fliplr)
def fliplr(m: Any) -> Any:
    return flip(m, 1)


@composite(np.flipud)
def flipud(m: Any) -> Any:
    return flip(m, 0)


@composite(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    m = operand(m)
    i, j = negative_axes(ints(axes), len(shape_of(m)))
    k = operator.index(k) % 4
    if k == 0:
        return m[...]
    if k == 2:
        return flip(m, (i, j))
    return swapaxes(flip(m, j), i, j) if k == 1 else flip(swapaxes(m, i, j), j)


@composite(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    x = operand(a)
    if axis is None:
        return as_shape(roll(ravel(x), shift, 0), shape_of(x))
    shifts, axes = np.broadcast_arrays(ints(fixed(shift)), ints(axis))
    moves: dict[int, int] = {}
    for s, i in zip(shifts.tolist(), axes.tolist()):
        i = axis_of(i, len(shape_of(x)))
        moves[i] = moves.get(i, 0) + s
    for i, s in moves.items():
        n = shape_of(x)[i]
        s = s % n if n else 0
        if s:
            x = joined((x[along(i, slice(n - s, None))], x[along(i, slice(None, n - s))]), i)
    return x if x is not a else x.copy()


def _half(x: Any, axes: Any) -> tuple[Any, list[int]]:
    axes = list(range(len(shape_of(x)))) if axes is None else list(ints(axes))
    return axes, [shape_of(x)[i] // 2 for i in axes]


@composite(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    axes, half = _half(x, axes)
    return roll(x, half, axes)


@composite(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    axes, half = _half(x, axes)
    return roll(x, [-h for h in half], axes)
