"""The functions whose result depends on how an array lies in memory: reshape and ravel with an order, and copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.kinds import Shape
from dualdiff.register import composite, register
from dualdiff.rules.movement.axes import ints
from dualdiff.rules.movement.reshaping import as_array, as_shape, reshape
from dualdiff.rules.movement.transposing import transposed
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import Traced, operand


def _without_minus_one(shape: Any, x: Any) -> Shape:
    shape = ints(shape)
    if shape.count(-1) == 1:
        known, size = -size_of(shape), size_of(shape_of(x))
        if known == 0 or size % known:
            raise ValueError(f"cannot reshape array of size {size} into shape {shape}")
        return tuple([size // known if s == -1 else s for s in shape])
    return shape


def _is_fortran(x: Any, order: str) -> bool:
    if order not in ("C", "F", "A"):
        raise ValueError(f"order must be one of 'C', 'F', 'A', not {order!r}")
    return order == "F" or (order == "A" and len(shape_of(x)) > 1 and x.flags.fnc)


def reshape_as(
    a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: bool | None = None
) -> Any:
    a = operand(a)
    shape = _without_minus_one(newshape if shape is None else shape, a)
    if order != "C" and _is_fortran(a, order):
        out = transposed(as_shape(transposed(a), shape[::-1]))
    else:
        out = as_shape(a, shape)
    if copy:
        return out.copy()
    if copy is False and isinstance(out, Traced) and (out.link is None or out.link.base is None):
        raise ValueError("Unable to avoid creating a copy while reshaping.")
    return out


def _as_kept(shape: Shape, strides: Shape) -> list[int]:
    """Return the axes from the outermost in memory to the innermost, as NumPy's order "K" does.

    They are inserted one by one, the last first. An axis along which nothing moves (broadcast, or of length 1) lies nowhere: it is
    passed over, and otherwise stays where it stands.
    """
    steps = [0 if n == 1 else abs(s) for n, s in zip(shape, strides)]
    inner = list(range(len(shape)))[::-1]
    for i in range(1, len(inner)):
        place = i
        for j in range(i - 1, -1, -1):
            if steps[inner[i]] and steps[inner[j]]:
                if steps[inner[j]] <= steps[inner[i]]:
                    break
                place = j
        inner.insert(place, inner.pop(i))
    return inner[::-1]


register(np.reshape, "movement", reshape_as, primitive=reshape)


@composite(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    a = operand(a)
    shape = shape_of(a)
    if len(shape) > 1 and order != "C":
        if order == "K":
            a = transposed(a, _as_kept(shape, a.strides))
        elif _is_fortran(a, order):
            a = transposed(a)
    out = as_shape(a, (size_of(shape),))
    # A reshape may be a view with steps between its entries; what ravel returns lies close, if need be as a copy.
    return out if not isinstance(a, Traced) or a.flags.c_contiguous else out.copy()  # type: ignore[attr-defined]


@composite(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    a = operand(a)
    return as_array(a).copy(order) if isinstance(a, Traced) else np.array(a, order=order)  # type: ignore[call-overload]
