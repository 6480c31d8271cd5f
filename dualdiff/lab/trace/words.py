"""How numbers, arrays, indices and operations are written in a table of steps: on one line, abbreviated where they are long."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import numpy as np

from dualdiff.rules.indexing import getitem, setitem

__all__ = ["MOST_LINES", "array", "counted", "entry", "index", "operation"]

SIGNS = {
    "np.add": "+",
    "np.subtract": "-",
    "np.multiply": "*",
    "np.divide": "/",
    "np.floor_divide": "//",
    "np.remainder": "%",
    "np.power": "**",
    "np.matmul": "@",
    "np.less": "<",
    "np.less_equal": "<=",
    "np.greater": ">",
    "np.greater_equal": ">=",
    "np.equal": "==",
    "np.not_equal": "!=",
}
"""Functions that Python has a sign for."""
MOST_LINES = 6
"""So many columns, and so many rows, of a Jacobian are shown unless others are asked for."""
LONG = 6
"""Arrays with more entries than this are abbreviated, each axis to its ends."""


def array(x: Any, digits: int = 4) -> str:
    """Write a number or an array on one line, to a number of significant digits.

    Examples
    --------
    >>> array(np.array([[1.0, -0.0], [np.inf, 1 / 3]]))
    '[[1, 0], [inf, 0.3333]]'
    >>> array(np.arange(100.0))
    '[0, 1, …, 98, 99]'
    """
    given, x = x, np.asarray(x)
    if x.dtype.kind == "O":
        return f"{type(given).__name__} {getattr(given, 'shape', x.shape)}"
    if x.dtype.kind in "fc":
        x = x + np.zeros((), x.dtype)  # a negative zero is a zero
    written = np.array2string(
        x,
        separator=", ",
        threshold=LONG,
        edgeitems=2 if x.ndim < 2 else 1,
        max_line_width=1 << 20,
        formatter={"float_kind": f"{{:.{digits}g}}".format, "complex_kind": f"{{:.{digits}g}}".format},
    )
    return " ".join(written.replace("\n", " ").split()).replace("[ ", "[").replace("...", "…").replace(",, ", ", ")


def index(i: Any) -> str:
    """Write an index as it stands between brackets.

    Examples
    --------
    >>> index((slice(None, 2), 0, None, ...))
    ':2, 0, None, ...'
    """
    if type(i) is tuple:
        return ", ".join(map(index, i)) or "()"
    if type(i) is slice:
        ends = [("" if e is None else index(e)) for e in (i.start, i.stop)]
        return ":".join(ends if i.step is None else [*ends, index(i.step)])
    if isinstance(i, EllipsisType):
        return "..."
    return str(i) if i is None or isinstance(i, (int, np.integer)) else array(i)


def entry(name: str, position: int, shape: tuple[int, ...]) -> str:
    """Name one entry of an array, counted flat: ``x[1, 0]``; a number is its own entry."""
    return f"{name}[{', '.join(str(int(i)) for i in np.unravel_index(position, shape))}]" if shape else name


def operation(row: Any, operands: Sequence[str], ranks: Sequence[int], params: dict[str, Any]) -> str:
    """Write what a step computes of its operands.

    Parameters
    ----------
    row : Primitive
    operands : sequence of str
        Labels of steps, or constants written out.
    ranks : sequence of int
        How many axes each operand has: an axis is named where there are several.
    params : dict
    """
    if row is getitem:
        return f"{operands[0]}[{index(params['index'])}]"
    if row is setitem:
        return f"{operands[0]} with [{index(params['index'])}] = {operands[1]}"
    if row.name in SIGNS and len(operands) == 2:
        return f"{operands[0]} {SIGNS[row.name]} {operands[1]}"
    if row.name == "np.negative":
        return f"-{operands[0]}"
    axis = params.get("axis")
    if axis is not None and max(ranks, default=0) > 1 and isinstance(axis, (int, tuple)):
        axis = axis[0] if type(axis) is tuple and len(axis) == 1 else axis
        return f"{row.name}({', '.join(operands)}, axis={axis})"
    return f"{row.name}({', '.join(operands)})"


def counted(count: int, what: str) -> str:
    """Write a number of things: ``1 step``, ``2 steps``."""
    return f"{count} {what}{'' if count == 1 else 's'}"
