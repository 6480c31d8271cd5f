"""How a call says which axes and which entries of them."""

from __future__ import annotations

import operator
from typing import Any

from dualdiff.shapes import negative_axes, shape_of
from dualdiff.values import Traced, ndarray


def axis_of(axis: Any, ndim: int) -> int:
    """Return one axis counted from the end."""
    return negative_axes(operator.index(axis), ndim)[0]


def along(axis: int, i: Any) -> tuple[Any, ...]:
    """Return the index that applies ``i`` to an axis counted from the end."""
    return (Ellipsis, i, *(slice(None),) * (-axis - 1))


def ints(x: Any) -> tuple[int, ...]:
    """Return an int or several as a tuple; traced ones leave to Python."""
    if isinstance(x, (tuple, list, range)) or (isinstance(x, (ndarray, Traced)) and shape_of(x)):
        return tuple([operator.index(i) for i in x])  # type: ignore[union-attr]
    return (operator.index(x),)
