"""What is never negative, or never positive, by the way it was computed: ``x**2``, ``-exp(x)``, sums and multiples of such.

The absolute value has no slope of its own at 0, and half of the slopes on both sides is 0. But of ``-(x**2)`` it is ``x**2``,
with all its derivatives. Where a result of ``abs`` is 0, and only there, the recording is asked how the operand came about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.rules.elementwise import (
    absolute,
    add,
    divide,
    exp,
    multiply,
    negative,
    power,
    square,
    subtract,
)
from dualdiff.rules.sums import sum_
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import TRACED, under

Asked = Callable[[int], int]
"""It says the sign of an operand, by its place: 1, -1, or 0 for unknown."""
DEPTH = 50
"""How many steps back a look goes."""


def _both(of: Asked, ins: Any, args: Any, opposite: int = 1) -> int:
    first, second = of(0), opposite * of(1)
    return first if first == second else 0


def _product(of: Asked, ins: Any, args: Any) -> int:
    return 1 if ins[0] is not None and ins[0] == ins[1] else of(0) * of(1)


def _power(of: Asked, ins: Any, args: Any) -> int:
    exponent = args[1]
    even = type(exponent) in (int, float, np.float64, np.int64) and exponent % 2 == 0
    return 1 if even else 1 if of(0) > 0 else 0


_SIGNS: dict[Any, Callable[[Asked, Any, Any], int]] = {
    absolute: lambda of, ins, args: 1,
    exp: lambda of, ins, args: 1,
    square: lambda of, ins, args: 1,
    power: _power,
    negative: lambda of, ins, args: -of(0),
    multiply: _product,
    divide: _product,
    add: _both,
    subtract: lambda of, ins, args: _both(of, ins, args, -1),
    sum_: lambda of, ins, args: of(0),
}


def _of_number(x: Any) -> int:
    """Return the sign that all entries of a constant have. One that an outer pass traces decides there, and is noted."""
    if not isinstance(under(x), (int, float, np.floating, np.ndarray)) or dtype_of(x).kind not in "fiu":
        return 0
    if not size_of(shape_of(x)):
        return 0
    return 1 if bool(np.all(np.greater_equal(x, 0))) else -1 if bool(np.all(np.less_equal(x, 0))) else 0


def sign_of(x: Any) -> int:
    """Return 1 for a traced value that cannot be negative at any input, -1 for one that cannot be positive, 0 for unknown."""
    while type(x) in TRACED:
        made = getattr(x.run, "made", None)
        if made is not None and x.link is None:
            return _sign(made, x.mark, DEPTH)
        x = x.value
    return 0


def _sign(made: Callable[[int], Any], slot: int, depth: int) -> int:
    equation = made(slot)
    if equation is None or depth == 0:
        return 0
    row, ins, args = equation
    answer = _SIGNS.get(row)
    if answer is None:
        return 0

    def of(place: int) -> int:
        if ins[place] is None:
            return _of_number(args[place])
        return _sign(made, ins[place], depth - 1) if ins[place] >= 0 else 0

    return answer(of, ins, args)


__all__ = ["sign_of"]
