"""What entries are made of: steps that say so are part of loops, and those that do not, or answer otherwise on integers, are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualdiff.kinds import Movement
from dualdiff.passes.entries import Moved, entries_of
from dualdiff.passes.fusion import NotFusedError, fused
from dualdiff.passes.program import Form, Program, Step
from dualdiff.rules.indexing import setitem
from tests.repeated import program_of_arrays

KNOWN = frozenset(("add", "multiply", "sin", "greater", "power", "square", "number"))
FLOAT = np.dtype(float)


def entry(row: Any, shapes: list[tuple[int, ...]], result: tuple[int, ...], dtype: Any = FLOAT, **params: Any) -> Any:
    """Return what a program of one step says of it."""
    n = len(shapes)
    forms = {i: Form(s, np.dtype(dtype), "array") for i, s in enumerate(shapes)} | {n: Form(result, FLOAT, "array")}
    program = Program(n, forms, {}, {}, [Step(row, tuple(range(n)), params, n, "")], [], (n,), (forms[n],), 1, 1)
    return entries_of(program, KNOWN).get(n)


def moving(fn: Any) -> Movement:
    row = Movement("a movement of these tests", fn)
    row.on_objects = True
    return row


def fails_on_integers(*operands: Any) -> Any:
    if operands[0].dtype.kind == "i":
        raise TypeError("no integers")
    return operands[0]


@pytest.mark.parametrize(
    ("fn", "shapes", "result"),
    [
        (fails_on_integers, [(3,)], (3,)),
        (lambda x: 1.0 * x, [(3,)], (3,)),
        (lambda x: x[:2], [(3,)], (3,)),
        (lambda x: 0 * x[0], [(3,)], ()),
        (fails_on_integers, [(3,), (3,)], (6,)),
        (lambda x, y: 1.0 * np.concatenate([x, y]), [(3,), (3,)], (6,)),
        (lambda x, y: x[::-1], [(3,), (3,)], (3,)),
        (lambda x, y: np.stack([x, y], axis=1).ravel(), [(3,), (3,)], (6,)),
        (lambda x, y: np.concatenate([x[np.array([0, 2, 1])], y]), [(3,), (3,)], (6,)),
    ],
)
def test_movements_that_are_no_boxes_are_left_to_numpy(fn: Any, shapes: Any, result: Any) -> None:
    assert entry(moving(fn), shapes, result) is None


def test_a_movement_of_truth_values_into_numbers_is_left_to_numpy() -> None:
    assert entry(moving(lambda x: x[::-1]), [(3,)], (3,), bool) is None


def test_operands_without_entries_are_passed_over() -> None:
    found = entry(moving(lambda x, y: np.concatenate([x, y])), [(3,), (0,)], (3,))
    assert [part.operand for part in found.parts] == [0]


def test_writes_of_nothing_and_of_one_place_twice() -> None:
    found = entry(setitem, [(3,), ()], (3,), index=slice(0, 0))
    assert [(part.operand, part.box) for part in found.parts] == [(0, None)]
    assert entry(setitem, [(3,), (2,)], (3,), index=np.array([1, 1])) is None


def test_powers_and_counts() -> None:
    def f(x: Any) -> Any:
        y = x.reshape(3, 4)
        return x**x, np.sum(y > 0.5, axis=1)[1:] * y[1:, 0]

    program = program_of_arrays(f, np.linspace(0.1, 0.9, 12))
    said = entries_of(program, KNOWN)
    reads = [s for s in program.steps if s.row.access == "read" and program.forms[s.result].dtype.kind == "i"]
    assert [type(said[s.result]) for s in reads] == [Moved]


def test_programs_of_very_many_boxes_are_none_of_loops() -> None:
    def f(x: Any) -> Any:
        y = np.concatenate([x[10 * k : 10 * k + 10] * (k + 2.0) for k in range(40)])
        z = np.concatenate([x[:5], *[x[10 * k : 10 * k + 10] * (k + 3.0) for k in range(39)], x[:5]])
        return y * z

    with pytest.raises(NotFusedError, match="too many boxes"):
        fused(program_of_arrays(f, np.ones(400)), KNOWN)
