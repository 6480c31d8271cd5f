"""Axes in another order."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from dualdiff.kinds import Movement, Sweep
from dualdiff.register import composite, register
from dualdiff.rules.movement.axes import axis_of, ints
from dualdiff.rules.movement.reshaping import as_shape
from dualdiff.shapes import negative_axes, shape_of
from dualdiff.values import bind, operand


class Transpose(Movement):
    """``x.transpose(axes)``, the axes counted from the end."""

    view = True
    pads = False

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return tangents[0].transpose((*range(sweep.rank), *params["axes"]))

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        axes = params["axes"]
        back = [0] * len(axes)
        for to, come in enumerate(axes):
            back[come] = to - len(axes)
        return (g.transpose((*range(sweep.rank), *back)),)


def _transpose(x: Any, *, axes: tuple[int, ...]) -> Any:
    return x.transpose(axes)


transpose = Transpose("np.transpose", _transpose)


def transposed(a: Any, axes: Any = None) -> Any:
    a = operand(a)
    n = len(shape_of(a))
    if n == 0:
        return as_shape(a, ())
    axes = tuple(range(-1, -n - 1, -1)) if axes is None else negative_axes(ints(axes), n)
    if len(axes) != n:
        raise ValueError("axes don't match array")
    return bind(transpose, (a,), {"axes": axes})


register(np.transpose, "movement", transposed, primitive=transpose)


@composite(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    a = operand(a)
    n = len(shape_of(a))
    axes = list(range(-n, 0))
    i, j = axis_of(axis1, n), axis_of(axis2, n)
    axes[i], axes[j] = j, i
    return bind(transpose, (a,), {"axes": tuple(axes)})


@composite(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    a = operand(a)
    n = len(shape_of(a))
    come, go = negative_axes(ints(source), n), negative_axes(ints(destination), n)
    if len(come) != len(go):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    axes = [i for i in range(-n, 0) if i not in come]
    for to, i in sorted(zip(go, come)):
        axes.insert(to + n, i)
    return bind(transpose, (a,), {"axes": tuple(axes)}) if n else as_shape(a, ())


@composite(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    n = len(shape_of(a))
    axis, start = axis_of(axis, n) + n, operator.index(start)
    if not -n <= start <= n:
        raise np.exceptions.AxisError(f"start arg requires {-n} <= start < {n + 1}, but {start} was passed in")
    start += n if start < 0 else 0
    return moveaxis(a, axis, start - 1 if axis < start else start)


@composite(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    if len(shape_of(x)) < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {len(shape_of(x))}")
    return swapaxes(x, -1, -2)
