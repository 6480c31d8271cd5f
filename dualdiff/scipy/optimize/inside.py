"""The solvers inside a function that is being differentiated: they solve as they do outside, and carry the derivatives of the answer."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

import scipy.optimize

from dualdiff.capture.active import ACTIVE
from dualdiff.errors import NOTES
from dualdiff.operators.calls import LONG
from dualdiff.scipy.answers import SOLVERS, Call
from dualdiff.scipy.optimize.starts import best_of
from dualdiff.values import TRACED, enter_rooms

__all__ = ["DRIVEN", "differentiated"]

P = ParamSpec("P")
R = TypeVar("R")
Finish = Callable[[Any, Call], Any]

DRIVEN: dict[str, Callable[..., Any]] = {}
"""The solvers, by name, as they are outside."""


def _holds(x: Any) -> bool:
    """Whether an argument is an eager tensor, which no operator runs, a short container of some, or a function that closes over one."""
    if type(x) in (list, tuple):
        return len(x) <= LONG and not TRACED.isdisjoint(map(type, x))
    for cell in getattr(x, "__closure__", None) or ():
        with suppress(ValueError):  # nothing is in it yet
            if type(cell.cell_contents) in TRACED:
                return True
    return type(x) in TRACED


def _as_found(found: Any, call: Call) -> Any:
    return found


def differentiated(finish: Finish = _as_found) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a solver of SciPy's name be differentiated by what it solves, as SciPy's own is there.

    Parameters
    ----------
    finish : callable
        ``finish(found, call)`` makes of an answer with derivatives what this solver returns.
    """

    def decorate(solve: Callable[P, R]) -> Callable[P, R]:
        name = solve.__name__
        DRIVEN[name] = solve
        signature = inspect.signature(solve)

        @functools.wraps(solve)
        def solver(*args: P.args, **kwargs: P.kwargs) -> R:
            if NOTES.get() is None and not ACTIVE.get() and not any(map(_holds, (*args, *kwargs.values()))):
                return solve(*args, **kwargs)
            enter_rooms()
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            arguments = dict(given.arguments)
            if arguments.get("starts") is not None and arguments["executor"] is None:
                first, more = arguments["x0"], arguments["starts"]
                return best_of(lambda x0: run({**arguments, "x0": x0, "starts": None}), [first, *more], None)
            return run(arguments)

        def run(arguments: dict[str, Any]) -> Any:
            call = Call(solve, signature, arguments)
            found = SOLVERS[getattr(scipy.optimize, name)](call)
            return finish(found, call)

        return solver

    return decorate
