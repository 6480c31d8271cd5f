"""Functions that a solver calls, with what they close over made explicit: on plain values for SciPy, along directions for us.

A solver's function may hold differentiated values that no argument shows: its closure, its defaults, the object whose method it
is. They are collected, so that the function can be run with plain values in their place, or with directions of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.capture.active import ACTIVE, unwrapped
from dualdiff.capture.captures import Captures
from dualdiff.capture.closures import Fresh, lifted
from dualdiff.containers import plain
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.trees import flatten
from dualdiff.values import PLAIN_TYPES, TRACED, operand, raw
from dualdiff.ways.problem import Problem, pull_rows, record, run_duals


class Given:
    """A function that a solver was given.

    Attributes
    ----------
    f : callable
        As it was given, with whatever it closes over.
    inside : list
        The differentiated values it closes over.
    plain : callable
        The function with their plain values in their place.
    points : Points, optional
        The function at many points, once it was asked for.
    """

    __slots__ = ("_captures", "_make", "f", "inside", "name", "plain", "points", "users")

    def __init__(self, f: Callable[..., Any], name: str, users: Any = None) -> None:
        self.f, self.name = f, name
        self.users = f if users is None else users
        self._captures: Captures | None = None
        self.points: Any = None
        self.inside: list[Any] = []
        self._make = lifted(f, self.inside)
        self.plain = self.on_plain(self.with_inside([raw(x) for x in self.inside]))

    def with_inside(self, values: Sequence[Any]) -> Callable[..., Any]:
        """Return the function with other values in the place of those it closes over."""
        return self._make(Fresh(values)) if self.inside else self.f

    def captures(self) -> Captures:
        """Return what is captured while the function runs by itself: its user was told when the solver met it."""
        if self._captures is None:
            self._captures = Captures(self.users)
            self._captures.told = True
        return self._captures

    def seen(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function without differentiated values as it is; while its caller is captured, looked at for hidden ones."""
        return self.on_plain(f) if ACTIVE.get() else f

    def on_plain(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function for SciPy, which returns nothing that carries a derivative."""

        def call(*args: Any) -> Any:
            found = f(*args)
            kind = type(found)
            if kind is np.ndarray or ((kind is list or kind is tuple) and PLAIN_TYPES.issuperset(map(type, found))):
                return found
            found = unwrapped(found)
            if any(type(x) in TRACED for x in (flatten(found)[0] if isinstance(found, (list, tuple)) else (found,))):
                raise UnsupportedFunctionError(
                    f"{where()}: the function given to {self.name} depends on a differentiated value that is neither an argument "
                    "nor closed over (a global, an attribute of an object). Pass it by args=, or close over it."
                )
            return found

        return call

    def problem(self, args: Sequence[Any], inside: Sequence[Any], of: Callable[..., Any] | None = None) -> Problem:
        """Return the function as one of flat leaves: its arguments, and what it closes over."""
        n = len(args)

        def call(leaves: list[Any]) -> list[Any]:
            if of is not None:
                return [of(*leaves)]
            return [operand(plain(self.with_inside(leaves[n:])(*leaves[:n])))]

        return Problem(call, [*args, *inside], self.users, self.captures(), inner=True)

    def pushed(
        self,
        args: Sequence[Any],
        inside: Sequence[Any],
        tangents: Sequence[Any],
        lead: tuple[int, ...],
        of: Callable[..., Any] | None = None,
    ) -> Any:
        """Return the value, and its tangents, ``lead`` in front, along those of the arguments and of what it closes over.

        ``of`` is a function of both that calls this one; by default it is this one.
        """
        problem = self.problem(args, inside, of)
        (value,), (tangent,) = run_duals(problem, list(tangents), lead)
        if tangent is None:
            tangent = np.zeros((*lead, *shape_of(value)), dtype_of(value))
        return value, tangent

    def recorded(self, args: Sequence[Any], inside: Sequence[Any]) -> Callable[[Any, tuple[int, ...]], list[Any]]:
        """Return what pulls covectors of the value, ``lead`` in front, back to the arguments and to what it closes over."""
        problem = self.problem(args, inside)
        tape, (value,) = record(problem)
        (slot,) = tape.outputs
        shape = shape_of(value)

        def pull(g: Any, lead: tuple[int, ...]) -> list[Any]:
            g = np.reshape(np.sum(g, axis=-1) if not shape else g, (*lead, *shape))
            if slot < 0:
                return [np.zeros((*lead, *shape_of(x))) for x in problem.inputs]
            found = pull_rows(problem, tape, [(slot, g)], lead)
            return [np.zeros((*lead, *shape_of(x))) if c is None else c for c, x in zip(found, problem.inputs)]

        return pull


def uncaptured(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call SciPy on plain values, with NumPy's own functions in what it calls."""
    token = ACTIVE.set(False)
    try:
        return function(*args, **kwargs)
    finally:
        ACTIVE.reset(token)


def carries(x: Any) -> bool:
    """Whether a value, or one in the list or tuple it is, carries a derivative."""
    if isinstance(x, (list, tuple)):
        return any(map(carries, x))
    x = plain(x)
    return type(x) in TRACED and not x._may_leave()


def plain_of(x: Any) -> Any:
    """Return the plain value of a number, an array, or a list of them."""
    if isinstance(x, (list, tuple)):
        return type(x)([plain_of(i) for i in x])
    x = plain(x)
    return raw(x) if type(x) in TRACED else x


def recentred(x: Any, value: Any) -> Any:
    """Return a differentiated value moved onto a plain one that is its own but for rounding, or the tolerance."""
    return x + (value - raw(x))


def slope(f: Callable[..., Any], t: Any, y: Any) -> Any:
    """Return the slope that a right-hand side gives, in the shape of the state."""
    found = operand(plain(f(t, y)))
    shape = shape_of(y)
    if shape_of(found) == shape:
        return found
    return np.reshape(found, shape) if size_of(shape_of(found)) == size_of(shape) else np.broadcast_to(found, shape)


__all__ = ["Given", "carries", "plain_of", "recentred", "slope", "uncaptured"]
