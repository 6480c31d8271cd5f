"""What lies beyond the border of an array, and how results take the type that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.rules.elementwise import cast
from dualdiff.scipy.room import Room
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import Traced, fixed, operand

ROOM = Room("scipy.ndimage")
MODES = {
    "reflect": "reflect",
    "grid-mirror": "reflect",
    "constant": "constant",
    "nearest": "nearest",
    "mirror": "mirror",
    "wrap": "wrap",
}
"""The modes that filters know by these names; interpolation tells wrap and constant from their grid- namesakes."""
FILTERS = {**MODES, "grid-wrap": "wrap", "grid-constant": "constant"}


def mode_of(mode: Any, modes: dict[str, str] = FILTERS) -> str:
    """Return the name of a mode; raise what SciPy raises for an unknown one."""
    if mode not in modes:
        raise RuntimeError("boundary mode not supported")
    return modes[mode]


def reached(i: Any, n: int, mode: str) -> Any:
    """Return the places in an axis of length n that stand for places beyond it; -1 where the constant does."""
    i = np.asarray(i)
    if mode == "nearest":
        return np.clip(i, 0, n - 1)
    if mode == "wrap":
        return i % n
    if mode == "reflect":
        j = i % (2 * n)
        return np.where(j >= n, 2 * n - 1 - j, j)
    if mode == "mirror":
        if n == 1:
            return np.zeros_like(i)
        j = i % (2 * n - 2)
        return np.where(j >= n, 2 * n - 2 - j, j)
    return np.where((i >= 0) & (i < n), i, -1)


def extended(x: Any, axis: int, before: int, after: int, mode: str, cval: Any) -> Any:
    """Return an array with so many entries more before and behind an axis."""
    if not before and not after:
        return x
    shape = shape_of(x)
    if mode == "constant" or not shape[axis]:  # no entry could stand beyond the border of none
        ends = []
        for n in (before, after):
            fill = np.full((*shape[:axis], n, *shape[axis + 1 :]), cval)
            ends.append(fill.astype(dtype_of(x), copy=False) if dtype_of(x).kind != "c" else fill.astype(dtype_of(x)))
        return np.concatenate([ends[0], x, ends[1]], axis=axis)
    return np.take(x, reached(np.arange(-before, shape[axis] + after), shape[axis], mode), axis=axis)


# --------------------------------------------------------------------------------------------------
# arguments


def sequence(x: Any, n: int) -> list[Any]:
    """Return an argument that is given for all axes at once, or one by one, for each of them."""
    if not isinstance(x, str) and (
        isinstance(x, (Iterable, Traced)) and shape_of(operand(x)) != () if x is not None else False
    ):
        found = list(x)
        if len(found) != n:
            raise RuntimeError("sequence argument must have length equal to input rank")
        return found
    return [x] * n


def axes_of(axes: Any, rank: int) -> tuple[int, ...]:
    """Return the axes that a function works along."""
    if axes is None:
        return tuple(range(rank))
    given = (axes,) if np.isscalar(axes) else tuple(axes)
    for axis in given:
        if not -rank <= axis < rank:
            raise ValueError(f"specified axis: {axis} is out of range")
    found = tuple(int(axis) % rank for axis in given)
    if len(set(found)) != len(found):
        raise ValueError("axes must be unique")
    return found


def one_axis(axis: int, rank: int) -> int:
    """Return an axis counted from the front."""
    if not -rank <= axis < rank:
        raise np.exceptions.AxisError(axis, rank)
    return axis % rank


def array(x: Any) -> Any:
    """Return an input as SciPy takes it."""
    return operand(x)


def finished(found: Any, output: Any, like: Any, name: str) -> Any:
    """Return a result in the type that is asked for with ``output=``: by default that of the input."""
    kind = dtype_of(like)
    if output is not None:
        if not isinstance(output, (str, type, np.dtype)):
            raise UnsupportedFunctionError(
                f"{where()}: scipy.ndimage.{name} with an array as output= is not supported where its result is differentiated. Assign "
                "the result."
            )
        kind = np.dtype(output)
    if dtype_of(found).kind == "c" and kind.kind != "c":
        kind = np.promote_types(kind, np.complex64)
    if kind.kind not in "fc":
        raise UnsupportedFunctionError(
            f"{where()}: scipy.ndimage.{name} returns {kind} here, which has no derivative. Pass the input as floating-point numbers, or "
            "output=float."
        )
    return cast(found, kind, copy=False)


def plain(x: Any, what: str) -> Any:
    """Return an argument by which nothing is differentiated."""
    return fixed(x, what)
