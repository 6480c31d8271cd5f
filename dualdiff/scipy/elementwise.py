"""``scipy.optimize.elementwise``: roots and minima of a function of arrays, entry by entry."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.operators.gradients import grad
from dualdiff.register import NOTHING
from dualdiff.scipy.answers import (
    Arguments,
    Call,
    Result,
    absent_from,
    arguments_of,
    at_value,
    is_differentiated,
    solver,
)
from dualdiff.scipy.room import Room

ROOM = Room("scipy.optimize.elementwise")
_COUNTS = ("success", "status", "nfev", "nit")


def _function(own: Arguments) -> Any:
    named = own.get("kwargs") or {}  # since SciPy 1.18
    return lambda x: own["f"](x, *arguments_of(own["args"]), **named)


@solver(ROOM, "find_root", NOTHING)
def find_root(call: Call) -> Any:
    """Return the record of a search for roots."""
    x = call.solve(("f", "callback"), lambda found, own: found.x, lambda x, own: _function(own)(x), "f")
    return _told(call, x, None)


@solver(ROOM, "find_minimum", NOTHING)
def find_minimum(call: Call) -> Any:
    """Return the record of a search for minima: there the slopes are zero."""

    def slopes(x: Any, own: Arguments) -> Any:
        f = _function(own)
        return grad(lambda x: np.sum(f(x)))(x)

    x = call.solve(
        ("f", "callback"),
        lambda found, own: found.x,
        slopes,
        "f",
        probe=lambda found, own: _function(own)(found.x),
    )
    return _told(call, x, _function)


def _told(call: Call, x: Any, value: Any) -> Any:
    if not is_differentiated(x):
        return call.result
    found = call.result
    new = Result(found, absent_from(found, ("x", "f_x", *_COUNTS), call.frozen))
    new["x"] = x
    if value is not None:
        new["f_x"] = at_value(found.f_x, value(call.given.at(call.given.caught))(x))
    return new


__all__ = ["ROOM"]
