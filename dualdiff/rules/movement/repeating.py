"""Entries that come again: tile, repeat, resize."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.register import composite
from dualdiff.rules.movement.axes import along, axis_of, ints
from dualdiff.rules.movement.broadcasting import broadcasted
from dualdiff.rules.movement.layout import ravel
from dualdiff.rules.movement.reshaping import as_array, as_shape
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import fixed, operand


@composite(np.tile)
def tile(A: Any, reps: Any) -> Any:
    x = operand(A)
    reps = ints(fixed(reps))
    n = max(len(shape_of(x)), len(reps))
    shape, reps = (1,) * (n - len(shape_of(x))) + shape_of(x), (1,) * (n - len(reps)) + reps
    if all(r == 1 for r in reps):
        return as_array(x).copy() if shape == shape_of(x) else as_shape(x, shape).copy()
    narrow = tuple([i for s in shape for i in (1, s)])
    wide = tuple([i for r, s in zip(reps, shape) for i in (r, s)])
    return as_shape(broadcasted(as_shape(x, narrow), wide), tuple([r * s for r, s in zip(reps, shape)])).copy()


@composite(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    x = ravel(a) if axis is None else operand(a)
    axis = axis_of(-1 if axis is None else axis, len(shape_of(x)))
    repeats = np.asarray(fixed(repeats))
    shape = shape_of(x)
    if repeats.size != 1:
        return x[along(axis, np.repeat(np.arange(shape[axis]), repeats))]
    r = int(repeats.reshape(())[()])
    if r < 0:
        raise ValueError("repeats may not contain negative values.")
    head, tail = shape[: len(shape) + axis + 1], shape[len(shape) + axis + 1 :]
    wide = broadcasted(as_shape(x, (*head, 1, *tail)), (*head, r, *tail))
    return as_shape(wide, (*head[:-1], head[-1] * r, *tail)).copy()


@composite(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    x = ravel(a)
    shape = ints(fixed(new_shape))
    n = shape_of(x)[0]
    if n == 0 or 0 in shape:
        return np.zeros_like(x, shape=shape)
    return as_shape(x[np.arange(size_of(shape)) % n], shape)
