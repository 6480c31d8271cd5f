"""Which code a program runs as: flat Python at first, and machine code once the calls have paid for compiling it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dualdiff.compiled import calling, llvm
from dualdiff.compiled.entrance import Entrance
from dualdiff.compiled.flat import Flat
from dualdiff.compiled.straight import MOST, straight
from dualdiff.passes.program import Program
from dualdiff.passes.scalars import NotScalarError, expanded

__all__ = ["START", "Code", "Lowered", "lowered"]

IMPORT, START, OPERATION = 200e3, 10e3, 70.0
"""Microseconds that compiling takes: to import llvmlite; for any program; for each of its operations."""


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


def lowered(program: Program, flat: Flat) -> Lowered | str:
    """Return how a program becomes machine code, or why it does not."""
    if not llvm.may_be_there():
        return "llvmlite is not installed"
    try:
        scalars = expanded(program)
        if scalars.count > MOST:
            return f"it has more than {MOST} operations"
        text = straight(program, scalars)
    except NotScalarError as error:
        return f"it is none of numbers of double precision alone ({error})"
    inputs = [program.forms[i] for i in range(program.inputs)]

    def compiled(way: Any) -> Code:
        run, entrance = calling.machine_code(text, 1, scalars.count, inputs, program.results, way)
        return Code(Flat(run, text, "machine code", scalars.count, 0, flat.price), entrance)

    waiting = IMPORT * ("llvmlite" not in sys.modules)
    return Lowered(waiting + START + OPERATION * scalars.count, compiled)
