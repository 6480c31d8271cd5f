"""Which step of a program has the wrong derivative: the tape is searched for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.errors import DerivativeError, line_of
from dualdiff.shapes import Aval, dtype_of, shape_of
from dualdiff.tape import Tape
from dualdiff.testing.laws import adjoint_law, truth_law
from dualdiff.testing.subject import Subject
from dualdiff.ways.problem import record

__all__ = ["culprit"]


def culprit(f: Callable[..., Any], args: Sequence[Any]) -> str:
    """Return a sentence about the first step of ``f`` whose own derivative is wrong; an empty one if none is found.

    Every step is a small function of what stood in its operands. Each is held to the laws by itself, in the order in which they
    ran, so that a wrong one is found whatever the steps after it make of it.

    Parameters
    ----------
    f : callable
        A function of NumPy code.
    args : sequence
        The point.

    Returns
    -------
    str
    """
    try:
        tape, _ = record(Subject(f, args).problem, replayable=True, lines=True)
    except Exception:  # what cannot be recorded cannot be searched
        return ""
    for e, (row, ins, values, params, out, _) in enumerate(tape.equations):
        active = [k for k, i in enumerate(ins) if i is not None and dtype_of(values[k]).kind in "fc"]
        if not row.differentiable or not active or dtype_of(out).kind not in "fc":
            continue
        if any(type(values[k]) is Aval for k in active):  # its rule needs no value, and the tape has kept none
            continue
        told = _broken(row, values, params, active)
        if told:
            return f"the step that is wrong is {row.name}{_line(tape, e)}: {told}"
    return ""


def _broken(row: Any, values: Sequence[Any], params: dict[str, Any], active: Sequence[int]) -> str:
    """Say what a step breaks, by itself."""

    def step(*operands: Any) -> Any:
        given = list(values)
        for k, x in zip(active, operands, strict=True):
            given[k] = x
        return row(*given, **params)

    operands = [np.array(values[k]) if shape_of(values[k]) else values[k] for k in active]
    rng = np.random.default_rng(0)
    for law in (adjoint_law, truth_law):
        try:
            with np.errstate(all="ignore"):
                law(step, *operands, rng=rng)
        except AssertionError as broken:
            return str(broken)
        except (DerivativeError, ArithmeticError, ValueError, TypeError):  # not a step that stands by itself
            return ""
    return ""


def _line(tape: Tape, e: int) -> str:
    return f", {line_of(*tape.lines[e])}" if tape.lines and tape.lines[e] else ""
