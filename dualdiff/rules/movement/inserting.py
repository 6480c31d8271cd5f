"""Entries put into an array, taken out of it, or chosen from several."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.register import composite
from dualdiff.rules.elementwise import into
from dualdiff.rules.indexing import positions
from dualdiff.rules.movement.axes import along, axis_of
from dualdiff.rules.movement.joining import joined
from dualdiff.rules.movement.layout import ravel
from dualdiff.rules.movement.reshaping import as_shape
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import fixed, operand


def gathered(xs: Any, places: Any) -> Any:
    """Return ``concatenate(all entries of all xs)[places]``: a movement of several operands by its position map."""
    return joined([as_shape(x, (size_of(shape_of(x)),)) for x in xs])[places]


@composite(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    arr, values = operand(arr), operand(values)
    if dtype_of(values) != dtype_of(arr):  # NumPy converts what it inserts
        values = values.astype(dtype_of(arr)) if hasattr(values, "astype") else np.array(values, dtype=dtype_of(arr))
    new = positions(shape_of(values)) + size_of(shape_of(arr))
    return gathered((arr, values), np.insert(positions(shape_of(arr)), fixed(obj), new, axis))


@composite(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    arr = ravel(arr) if axis is None else operand(arr)
    axis = axis_of(-1 if axis is None else axis, len(shape_of(arr)))
    return arr[along(axis, np.delete(np.arange(shape_of(arr)[axis]), fixed(obj)))]


@composite(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    xs = [operand(x) for x in choices]
    start, places = 0, []
    for x in xs:
        places.append(positions(shape_of(x)) + start)
        start += size_of(shape_of(x))
    chosen = np.choose(fixed(a), places, mode=mode)  # type: ignore[call-overload]
    return into(gathered(xs, chosen), out, "np.choose")
