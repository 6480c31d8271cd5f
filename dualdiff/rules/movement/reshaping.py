"""Other shapes of the same entries: reshape, squeeze, expand_dims, atleast_1d and its like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.kinds import Movement, Shape, Sweep
from dualdiff.labels import ALIGNED, Labels
from dualdiff.register import composite
from dualdiff.rules.movement.axes import ints
from dualdiff.shapes import negative_axes, shape_of
from dualdiff.values import bind, is_number, operand


def reshaped(x: Any, shape: Shape) -> Any:
    """Return ``x`` (an array or a number) with another shape, in C order."""
    return x.reshape(shape) if hasattr(x, "reshape") else np.reshape(x, shape)


def as_column(v: Any, axis: int) -> Any:
    """Return a vector laid along an axis counted from the end."""
    return as_shape(v, shape_of(v) + (1,) * (-axis - 1))


class Reshape(Movement):
    """``x.reshape(shape)`` in C order."""

    view = True
    pads = False

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return reshaped(tangents[0], sweep.lead + params["shape"])

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        shape = sweep.lead + shape_of(args[0])
        return (g if shape_of(g) == shape else reshaped(g, shape),)

    def labels(self, k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
        return ALIGNED


reshape = Reshape("np.reshape", reshaped)


def as_shape(x: Any, shape: Shape) -> Any:
    """Reshape a traced or plain array; ``shape`` holds no -1."""
    return bind(reshape, (x,), {"shape": shape})


def _boxed(x: Any, *, shape: Shape) -> Any:
    return np.array(x)


box = Reshape("np.asarray", _boxed)
box.view = False


def as_array(x: Any) -> Any:
    """Return an array as it is, and a number as the 0-d array that ``np.asarray`` makes of it."""
    return bind(box, (x,), {"shape": ()}) if is_number(x) else x


@composite(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    a = operand(a)
    shape = shape_of(a)
    if axis is None:
        left = tuple([s for s in shape if s != 1])
        return a if left == shape and not is_number(a) else as_shape(a, left)  # itself, where there is nothing to do
    gone = negative_axes(ints(axis), len(shape))
    if any(shape[i] != 1 for i in gone):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return as_shape(a, tuple([s for i, s in enumerate(shape, -len(shape)) if i not in gone]))


@composite(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    a = operand(a)
    axis = ints(axis)
    shape = list(shape_of(a))
    for i in sorted(i + len(shape) + len(axis) for i in negative_axes(axis, len(shape) + len(axis))):
        shape.insert(i, 1)
    return as_shape(a, tuple(shape))


def _atleast(shape_for: Callable[[Shape], Shape]) -> Callable[..., Any]:
    def one(x: Any) -> Any:
        x = operand(x)
        shape = shape_for(shape_of(x))
        return x if shape == shape_of(x) else as_shape(x, shape)

    def handler(*arrays: Any) -> Any:
        return one(arrays[0]) if len(arrays) == 1 else tuple([one(x) for x in arrays])

    return handler


atleast_1d = composite(np.atleast_1d)(_atleast(lambda s: s or (1,)))
atleast_2d = composite(np.atleast_2d)(_atleast(lambda s: (1,) * (2 - len(s)) + s))
atleast_3d = composite(np.atleast_3d)(
    _atleast(lambda s: s if len(s) > 2 else (*s, 1) if len(s) == 2 else (1, *(s or (1,)), 1))
)
