"""Programs of arrays as machine code: loops around expressions, and calls of NumPy for what has no expression.

The plan is that of :mod:`dualdiff.passes.fusion`.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.compiled import kernels, llvm
from dualdiff.compiled.arrays import Arrays, Called
from dualdiff.compiled.calling import Way, is_known, way_in
from dualdiff.compiled.entrance import Code
from dualdiff.compiled.flat import flat
from dualdiff.compiled.nests import DOMAIN, LAYOUT, Tags, Text, declared
from dualdiff.compiled.numbers import ChangedError, Flat
from dualdiff.compiled.operations import FUNCTIONS, KNOWN
from dualdiff.passes.fusion import Fusion, NotFusedError, fused
from dualdiff.passes.nests import Kernel
from dualdiff.passes.program import Program, Step

__all__ = ["Fusion", "assembled", "looped", "planned"]

LONG = 1 << 17
"""Operations from which on other threads may run meanwhile."""
LANES = 8
"""Operations that a loop does at once."""
_ON_THE_STACK = 1 << 12
"""Entries of scratch memory that are taken from the stack."""
_PLAIN = KNOWN - FUNCTIONS.keys() - {"all", "any"} | {"square", "cube", "positive"}
"""What loops compute on every machine; a call of the mathematical library would be no gain."""


def looped(program: Program, way: Way | None = None) -> Code | None:
    """Return a program as machine code, None where nothing in it becomes loops.

    Parameters
    ----------
    program : Program
        The program.
    way : Way or None
        How it is entered; then there may be a way in that is its own.
    """
    plan = planned(program) if llvm.is_there() else None
    return None if plan is None else assembled(program, plan, way)


def planned(program: Program) -> Fusion | None:
    """Return how a program becomes loops, None where nothing does; llvmlite is not imported for that."""
    return _planned(program, _PLAIN | kernels.KERNELS.keys())


def _planned(program: Program, known: frozenset[str]) -> Fusion | None:
    if not is_known():
        return None
    try:
        return fused(program, known)
    except NotFusedError:
        return None


def assembled(program: Program, plan: Fusion, way: Way | None = None, price: float = 0.0) -> Code:
    """Return a planned program as machine code.

    Parameters
    ----------
    program, plan
        The program, and its plan.
    way : Way or None
        How it is entered; then there may be a way in that is its own.
    price : float
        What a run is estimated to take, in microseconds.
    """
    if not kernels.usable():
        plain = _planned(program, _PLAIN)
        if plain is None:
            return Code(flat(program, arrays=True), None)
        plan = plain
    constants = {**program.constants, **plan.constants}
    arrays = {i: np.ascontiguousarray(x) for i, x in constants.items() if np.shape(x)}
    tags = Tags()
    texts = [Text(program, k, arrays, f"k{n}", tags) for n, k in enumerate(plan.kernels)]
    bodies = [t.written() for t in texts]
    door = None
    if way is not None and _is_one(program, plan, texts[0]):
        shown = [plan.views[o] for o in program.outputs]
        door = way_in(way, program.results, texts[0].work // LANES, [strides for _, strides in shown])
        if door is not None:
            bodies += [texts[0].entered([i for i, _ in shown]), door.text]
    machine = llvm.assembled("\n".join([declared(texts), *bodies, *tags.lines, ""]), passes=True)
    run: list[Any] = []
    slower: list[Flat] = []

    def otherwise(status: int, codes: Sequence[int | None], inputs: Sequence[Any]) -> Any:
        """Do what is to be done where a kernel gave up."""
        if status == LAYOUT:
            return run[0](*[np.array(x, order="C") if type(x) is np.ndarray else x for x in inputs])
        if status == DOMAIN:
            if not slower:
                slower.append(flat(program, arrays=True))
            return slower[0].run(*inputs)
        check = codes[status - 1]
        raise ChangedError() if check is None else ChangedError(check)

    waiting = iter([
        Called(
            k.kernel.operands,
            k.kernel.results,
            tuple(k.numbers),
            k.scratch,
            _callable(machine, k),
            functools.partial(_given_up, otherwise, tuple(k.codes)),
        )
        for k in texts
    ])  # fmt: skip
    items: list[Step | Called] = [next(waiting) if isinstance(i, Kernel) else i for i in plan.items]
    written = Arrays(program, items, plan.checks, plan.finite, plan.before).written()
    run.append(written.run)
    found = Flat(
        _keeping(written.run, machine, arrays), written.source, "loops", written.operations, written.buffers, price
    )
    return Code(found, None if door is None else door.opened(machine, arrays))


def _is_one(program: Program, plan: Fusion, text: Text) -> bool:
    """Whether a program is one kernel, whose results are the outputs, or all of what these show."""
    shown = [plan.views[o][0] for o in program.outputs if o in plan.views]
    return (
        plan.items[0] is text.kernel
        and len(plan.kernels) == 1
        and len(shown) == len(program.outputs)
        and sorted(text.kernel.results) == sorted(shown)
        and not plan.before
        and text.scratch <= _ON_THE_STACK
        and set(program.outputs) <= plan.finite
        and all(program.forms[o].shape == r.shape for o, r in zip(program.outputs, program.results, strict=True))
    )


def _given_up(otherwise: Callable[..., Any], codes: Sequence[int | None], status: int, *inputs: Any) -> Any:
    return otherwise(status, codes, inputs)


def _keeping(run: Callable[..., Any], *held: Any) -> Callable[..., Any]:
    """Keep machine code and constants as long as a program."""
    run.held = held  # type: ignore[attr-defined]
    return run


def _callable(machine: llvm.Machine, text: Text) -> Callable[..., int]:
    """Return a kernel as a function of arrays and numbers."""
    prototype = ctypes.CFUNCTYPE if text.work >= LONG else ctypes.PYFUNCTYPE
    kinds = [ctypes.c_double if is_number else ctypes.py_object for is_number in text.numbers]
    found: Callable[..., int] = prototype(ctypes.c_int, *kinds)(machine.address(text.name))
    return found
