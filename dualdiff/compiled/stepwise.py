"""Programs carried out step by step, by the rows themselves: slowly, but on any operands, and with every value looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.compiled.flat import ChangedError
from dualdiff.passes.program import Check, Program, form_of
from dualdiff.values import TRACED, bind, decided

__all__ = ["FormError", "stepwise"]


class FormError(Exception):
    """Inside the engine: a step gives a value of another form than the program says. Its argument says which."""


def stepwise(program: Program, inputs: Sequence[Any]) -> list[Any]:
    """Return the outputs of a program, each value held against the form that the program gives it.

    Traced inputs make traced outputs: the rows are those that operators know.

    Raises
    ------
    ChangedError
        Inside the engine, if a decision would be taken otherwise: with its number.
    FormError
        Inside the engine, if a value has another form.
    """
    values: dict[int, Any] = dict(enumerate(inputs)) | program.constants
    last = {i: n for n, s in enumerate(program.steps) for i in s.operands}
    last |= dict.fromkeys(
        [*program.outputs, *program.constants, *[c.value for c in program.checks]], len(program.steps)
    )
    waiting = list(enumerate(program.checks))[::-1]
    for n, s in enumerate(program.steps):
        while waiting and waiting[-1][1].before <= n:
            _hold(*waiting.pop(), values)
        value = bind(s.row, [values[i] for i in s.operands], s.params)
        form = program.forms[s.result]
        if type(value) not in TRACED and (found := form_of(value))[:2] != form[:2]:
            raise FormError(f"step {n} ({s.row.name}) gives {found}, where {form} is expected")
        values[s.result] = value
        for i in {*s.operands, s.result}:
            if last.get(i, -1) <= n:
                del values[i]
    while waiting:
        _hold(*waiting.pop(), values)
    return [values[i] for i in program.outputs]


def _hold(number: int, check: Check, values: dict[int, Any]) -> None:
    then = check.then
    if not np.array_equal(decided(values[check.value]), then, equal_nan=np.asarray(then).dtype.kind == "f"):
        raise ChangedError(number)
