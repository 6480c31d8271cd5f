"""Which code a program runs as: flat Python at first, and machine code once the calls have paid for compiling it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dualdiff.compiled import calling, llvm, rolled, straight
from dualdiff.compiled.entrance import Entrance
from dualdiff.compiled.flat import Flat
from dualdiff.passes.program import Program
from dualdiff.passes.scalars import NotScalarError, expanded

__all__ = ["LARGE", "START", "Code", "Lowered", "lowered"]

IMPORT, START, OPERATION = 200e3, 10e3, 70.0
"""Microseconds that compiling takes: to import llvmlite; for any program; for each of its operations."""
LARGE = 3000
"""Steps of a program that becomes machine code at once, where it can: Python takes longer to compile as many."""


@dataclass(frozen=True, slots=True)
class Code:
    """A program as it runs, and the way in that is its own.

    Attributes
    ----------
    flat : Flat
        What runs.
    entrance : Entrance or None
        How calls enter it without Python, where that is known.
    """

    flat: Flat
    entrance: Entrance | None


@dataclass(frozen=True, slots=True)
class Lowered:
    """A program that could be machine code.

    Attributes
    ----------
    price : float
        What compiling it is estimated to take, in microseconds.
    compiled : callable
        It compiles: given a :class:`~dualdiff.compiled.calling.Way`, or None.
    """

    price: float
    compiled: Callable[[Any], Code]


def lowered(program: Program, price: float) -> Lowered | str:
    """Return how a program becomes machine code, or why it does not.

    Parameters
    ----------
    program : Program
        The program.
    price : float
        What a run of its flat code is estimated to take, in microseconds.
    """
    if not llvm.may_be_there():
        return "llvmlite is not installed"
    try:
        return _of_numbers(program, price)
    except NotScalarError as error:
        return f"it is none of numbers of double precision alone ({error})"


def _of_numbers(program: Program, price: float) -> Lowered:
    entries = sum(math.prod(program.forms[s.result].shape) for s in program.steps)
    if entries > rolled.MOST:
        raise NotScalarError("too many operations")
    scalars = expanded(program, rolled.MOST)
    if scalars.count <= straight.MOST:
        text, effort, written = straight.straight(program, scalars), 1, scalars.count
    else:
        found = rolled.rolled(program, scalars)
        text, effort, written = found.text, found.effort, found.written
    inputs = [program.forms[i] for i in range(program.inputs)]

    def compiled(way: Any) -> Code:
        run, entrance = calling.machine_code(text, effort, scalars.count, inputs, program.results, way)
        return Code(Flat(run, text, "machine code", scalars.count, 0, price), entrance)

    waiting = IMPORT * ("llvmlite" not in sys.modules)
    return Lowered(waiting + START + OPERATION * written, compiled)
