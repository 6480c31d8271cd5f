"""Which code a program runs as: flat Python at first, and machine code once the calls have paid for compiling it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dualdiff.compiled import calling, llvm, loops, repeated, rolled, straight
from dualdiff.compiled.entrance import Code
from dualdiff.compiled.flat import Flat
from dualdiff.passes.identities import simplified
from dualdiff.passes.program import Program
from dualdiff.passes.scalars import NotScalarError, expanded
from dualdiff.passes.units import NotRepeatedError

__all__ = ["LARGE", "START", "Code", "Lowered", "lowered"]

IMPORT, START, OPERATION, NODE = 200e3, 10e3, 70.0, 1e3
"""Microseconds that compiling takes: to import llvmlite; for any program; for each of its operations; for each in a loop."""
WIDE, FEW = 8, 400
"""Entries of a step up to which a program is one of numbers; and entries of all steps."""
TRIED = 300_000
"""Nodes up to which a program of wide arrays that has no loops is tried as one of numbers: finding out takes half a second."""
SHORT = 64
"""Steps below which nobody looks whether they repeat."""
LARGE = 3000
"""Steps of a program that becomes machine code at once, where it can: Python takes longer to compile as many."""


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
    entries = sum(math.prod(program.forms[s.result].shape) for s in program.steps)
    small = entries <= WIDE * len(program.steps) or entries <= FEW
    ways: list[Callable[[], Lowered | str]] = [
        lambda: _of_repeats(program, price),
        lambda: _of_loops(program, price),
    ]
    ways.insert(0 if small else 2, lambda: _of_numbers(program, price, entries, rolled.MOST if small else TRIED))
    reasons = []
    for way in ways:
        found = way()
        if not isinstance(found, str):
            return found
        reasons.append(found)
    return reasons[0 if small else 1]


def _of_numbers(program: Program, price: float, entries: int, most: int) -> Lowered | str:
    if entries > rolled.MOST:
        return "it is too large"
    found = rolled.rolled_by_periods(program) if len(program.steps) > straight.MOST else None
    if found is None:
        try:
            scalars = expanded(program, most)
            if scalars.count > straight.MOST:
                found = rolled.rolled(program, scalars)
            else:
                scalars = simplified(scalars)
                text = straight.straight(program, scalars)
                found = rolled.Rolled(text, 1, scalars.count, scalars.count, (), 0)
        except NotScalarError as error:
            return f"it is none of numbers of double precision alone ({error})"
    return _rolled(program, price, found)


def _rolled(program: Program, price: float, found: rolled.Rolled) -> Lowered:
    inputs = [program.forms[i] for i in range(program.inputs)]

    def compiled(way: Any) -> Code:
        run, entrance = calling.machine_code(found.text, found.effort, found.count, inputs, program.results, way)
        return Code(Flat(run, found.text, "machine code", found.count, 0, price, found.loops), entrance)

    return Lowered(_waiting() + START + OPERATION * found.written, compiled)


def _of_repeats(program: Program, price: float) -> Lowered | str:
    if len(program.steps) < SHORT:
        return "it is too short to repeat"
    try:
        plan = repeated.planned(program)
    except NotRepeatedError as error:
        return str(error)
    inputs = [program.forms[i] for i in range(program.inputs)]

    def compiled(way: Any) -> Code:
        code = repeated.written(program, plan)
        run, entrance = calling.machine_code(
            code.text, 1, code.work // loops.LANES, inputs, program.results, way, code.held
        )
        return Code(Flat(run, code.text, "repeated loops", code.work, code.memory, price, plan.loops), entrance)

    return Lowered(_waiting() + START + NODE * plan.nodes, compiled)


def _of_loops(program: Program, price: float) -> Lowered | str:
    plan = loops.planned(program)
    if plan is None or plan.fused < 2 * len(plan.kernels):
        return "nothing in it becomes loops"
    nodes = sum(len(nest.nodes) for kernel in plan.kernels for nest in kernel.nests)
    return Lowered(_waiting() + START + NODE * nodes, lambda way: loops.assembled(program, plan, way, price))


def _waiting() -> float:
    """Return what importing llvmlite is still to take."""
    return IMPORT * ("llvmlite" not in sys.modules)
