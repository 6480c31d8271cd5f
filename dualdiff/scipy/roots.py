"""Roots and fixed points of ``scipy.optimize``: differentiated by the equations that hold there."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.operators.solutions import as_vector
from dualdiff.register import NOTHING
from dualdiff.scipy.answers import (
    FROZEN,
    PATH,
    Arguments,
    Call,
    Result,
    absent_from,
    arguments_of,
    is_differentiated,
    number,
    solver,
    stripped,
)
from dualdiff.scipy.room import Room
from dualdiff.shapes import shape_of
from dualdiff.values import operand

ROOM = Room("scipy.optimize")


def _scalar(x: Any, own: Arguments) -> Any:
    return number(own["f"](x, *arguments_of(own["args"])))


def _distance(*names: str) -> Any:
    """Return how large a solution is, or how far it lies from where the search began."""

    def size(v: Any, own: Arguments) -> float:
        starts = [np.ravel(np.asarray(stripped(own[n]))) for n in names if own.get(n) is not None]
        far = [
            float(np.max(np.abs(v - s), initial=0.0))
            for s in starts
            if s.size in (1, v.size) and s.dtype.kind in "biuf"
        ]
        return max([float(np.max(np.abs(v), initial=0.0)), *far])

    return size


def _told(found: Any, root: Any, call: Call) -> Any:
    """Return SciPy's record of a search, with the root's derivative in it."""
    new = Result(found, dict.fromkeys([k for k in found if k != "root"], FROZEN) if call.frozen else {})
    new["root"] = root
    return new


@solver(ROOM, "brentq brenth bisect ridder toms748")
def bracketed(call: Call) -> Any:
    """Return a root between two points."""
    whole = bool(call.given.plain()["full_output"])
    root = call.solve(("f",), lambda found, own: found[0] if whole else found, _scalar, "f", _distance("a", "b"))
    if not is_differentiated(root):
        return call.result
    return (root, _told(call.result[1], root, call)) if whole else root


@solver(ROOM, "newton", NOTHING)
def newton(call: Call) -> Any:
    """Return a root near a point, or the roots of a function of arrays entry by entry."""

    def residual(x: Any, own: Arguments) -> Any:
        return own["func"](x, *arguments_of(own["args"]))

    whole = bool(call.given.plain()["full_output"])
    root = call.solve(
        ("func", "fprime", "fprime2"),
        lambda found, own: found[0] if whole else found,
        lambda x, own: residual(x, own) if shape_of(x) else number(residual(x, own)),
        "func",
        _distance("x0", "x1"),
    )
    if not is_differentiated(root):
        return call.result
    if not whole:
        return root
    rest = call.result[1:]
    if len(rest) == 1:
        return root, _told(rest[0], root, call)
    call.refuse(("full_output", False)) if call.frozen else None
    kind = type(call.result)
    return kind(root, *rest) if hasattr(kind, "_fields") else (root, *rest)


@solver(ROOM, "root_scalar")
def root_scalar(call: Call) -> Any:
    """Return the record of a search for a root."""

    def residual(x: Any, own: Arguments) -> Any:
        y = own["f"](x, *arguments_of(own["args"]))
        pairs = own["fprime"] is not None and not callable(own["fprime"]) and bool(own["fprime"])
        pairs = pairs or (own["fprime2"] is not None and not callable(own["fprime2"]) and bool(own["fprime2"]))
        return number(y[0] if pairs else y)

    root = call.solve(
        ("f", "fprime", "fprime2"), lambda found, own: found.root, residual, "f", _distance("bracket", "x0", "x1")
    )
    return _told(call.result, root, call) if is_differentiated(root) else call.result


def _system(name: str) -> Any:
    def residual(x: Any, own: Arguments) -> Any:
        y = own[name](x, *arguments_of(own.get("args", ())))
        return y[0] if own.get("jac") is True else y

    return residual


@solver(ROOM, "fsolve")
def fsolve(call: Call) -> Any:
    """Return a root of a system."""
    whole = bool(call.given.plain()["full_output"])
    x = call.solve(
        ("func", "fprime"), lambda found, own: found[0] if whole else found, _system("func"), "func", _distance("x0")
    )
    if not is_differentiated(x):
        return call.result
    if not whole:
        return x
    call.refuse(("full_output", False)) if call.frozen else None
    _, told, ier, message = call.result
    return x, Result(told, dict.fromkeys(("fjac", "r", "qtf"), PATH)), ier, message


@solver(ROOM, "root", NOTHING)
def root(call: Call) -> Any:
    """Return the record of a search for a root of a system."""
    x = call.solve(("fun", "jac", "callback"), lambda found, own: found.x, _system("fun"), "fun", _distance("x0"))
    if not is_differentiated(x):
        return call.result
    # What is left at a root stays nothing, whatever the parameters are.
    new = Result(call.result, absent_from(call.result, ("x", "fun"), call.frozen))
    new["x"] = x
    return new


@solver(ROOM, "broyden1 broyden2 anderson linearmixing diagbroyden excitingmixing newton_krylov", NOTHING)
def quasi_newton(call: Call) -> Any:
    """Return a root of a large system."""
    x = call.solve(("F", "callback"), lambda found, own: found, _system("F"), "F", _distance("xin"))
    return x if is_differentiated(x) else call.result


@solver(ROOM, "fixed_point")
def fixed_point(call: Call) -> Any:
    """Return a fixed point, of one number or of an array."""

    def residual(x: Any, own: Arguments) -> Any:
        return operand(x) - as_vector(own["func"](x, *arguments_of(own["args"])), np.dtype(float)).reshape(shape_of(x))

    x = call.solve(("func",), lambda found, own: found, residual, "func", _distance("x0"))
    return x if is_differentiated(x) else call.result


__all__ = ["ROOM"]
