"""The program of a tape without its values: what a decision made for one run must find again in the next.

Which entries depend on which, what an equation costs and where a program narrows follow from its equations, their
parameters and shapes, and from where the constants are zero that something is multiplied by. Two runs with the same
structure share all of it, whatever their values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.shapes import shape_of
from dualdiff.tape import Tape


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """Primitives, operand slots, parameters and shapes of all equations, and the output slots. Pickles.

    With the zeros of the constants that show in a pattern: where they are others, so are the pattern and its colours.
    """

    inputs: tuple[Any, ...]
    rows: list[Any]
    ins: list[Any]
    shapes: list[Any]
    params: list[Any]
    outputs: tuple[int, ...]
    zeros: list[tuple[int, Any]]

    def holds(self, tape: Tape) -> bool:
        """Whether another recording is a run of the same program."""
        if (
            tuple(tape.inputs) != self.inputs
            or tuple(tape.outputs) != self.outputs
            or tape.rows != self.rows
            or tape.operands != self.ins
        ):
            return False
        for mine, other in zip(self.params, tape.parameters, strict=True):
            if mine is not other and (mine or other) and not same(mine, other):
                return False
        return self.shapes == _shapes(tape) and self.zeros == _zeros(tape)


def structure(tape: Tape) -> Structure:
    """Return the structure of a tape."""
    return Structure(
        tuple(tape.inputs), tape.rows, tape.operands, _shapes(tape), tape.parameters, tuple(tape.outputs), _zeros(tape)
    )


def _shapes(tape: Tape) -> list[Any]:
    # Shapes of results follow from those of the operands.
    return [shape_of(a) for args in tape.arguments for a in args]


def _zeros(tape: Tape) -> list[tuple[int, Any]]:
    """Return, for each constant whose zeros a row reads, its equation and its zeros."""
    found = []
    for e, (row, ins, args, _, _, _) in enumerate(tape.equations):
        if row.linked:
            found += [(e, row.zeros(args[k])) for k in row.constants(ins, args)]
    return found


def same(a: Any, b: Any) -> bool:
    """Whether two parameters are equal; arrays are, if all their entries are."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    try:
        return bool(a == b)
    except (TypeError, ValueError):
        return False
