"""A root remembers what stood under it: its even powers are smooth where it is not.

The norm of x has no derivative at 0, its square has all of them. The chain rule through the norm cannot know: it
multiplies a computed zero by a slope that was chosen. So the traced result of a root (``norm``, ``std``, ``hypot``, ``sqrt``,
the absolute value of a complex number) carries a note of what it was computed from. Multiples of it and views of it
carry the note on; and where one is squared, raised to an even power or multiplied by another, the derivative goes
through what stood under the root, and only the value through the root.

A note holds while nothing it speaks of is written into.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.kinds import Elementwise, Primitive
from dualdiff.rules.elementwise import absolute, divide, hypot, multiply, negative, power, root, sqrt, square
from dualdiff.rules.linalg.norms import norm2_
from dualdiff.rules.moments import std_, var_
from dualdiff.rules.signs import sign_of
from dualdiff.rules.sums import sum_
from dualdiff.shapes import dtype_of
from dualdiff.values import TRACED, bind, ndarray


def _magnitude(z: Any) -> Any:
    """Return |z|²."""
    if dtype_of(z).kind != "c":
        return z * z
    return np.real(z) ** 2 + np.imag(z) ** 2


sqrt.under = lambda x: x
root.under = lambda v, _zero: v
hypot.under = lambda x, y: x * x + y * y
absolute.under = _magnitude
norm2_.under = lambda x, *, axis, keepdims: bind(sum_, (_magnitude(x),), {"axis": axis, "keepdims": keepdims})
std_.under = lambda x, **params: bind(var_, (x,), params)

_known = Elementwise("value", lambda v, _s: v.copy() if type(v) is ndarray else v, 0, 1)
"""A value computed in one way, with the derivative of what it equals."""


def _writes(x: Any) -> int:
    """Return how often the memory of a traced value was written so far."""
    link = x.link
    if link is None:
        return 0
    if link.root is not None:
        link = link.root.link
    return 0 if link is None else link.version


def _kept(args: Sequence[Any]) -> tuple[Any, ...]:
    return tuple([a.copy() if type(a) is ndarray and a.flags.writeable else a for a in args])


class Root:
    """A note: the operands of a root, as they are now."""

    __slots__ = ("args", "counts", "params", "row")

    def __init__(self, row: Any, args: Sequence[Any], params: dict[str, Any]) -> None:
        self.row = row
        self.args = _kept(args)
        self.params = params
        self.counts = [_writes(a) if type(a) in TRACED else 0 for a in args]

    def square(self) -> Any:
        """Return what stood under the root; None if an operand was written since."""
        if any(type(a) in TRACED and _writes(a) != n for a, n in zip(self.args, self.counts)):
            return None
        return self.row.under(*self.args, **self.params)


class Moved:
    """A note: a view of a root."""

    __slots__ = ("note", "params", "row")

    def __init__(self, row: Primitive, params: dict[str, Any], note: Any) -> None:
        self.row = row
        self.params = params
        self.note = note

    def square(self) -> Any:
        """Return the same view of the square."""
        s = self.note.square()
        return None if s is None else bind(self.row, (s,), self.params)


class Multiple:
    """A note: a root times and over other factors."""

    __slots__ = ("core", "counts", "steps")

    def __init__(self, core: Any, steps: Sequence[tuple[Any, Any]]) -> None:
        self.core = core
        self.steps = [(row, *_kept((y,))) for row, y in steps]
        self.counts = [_writes(y) if type(y) in TRACED else 0 for _, y in steps]

    def applied(self, s: Any) -> Any:
        """Return a number with all the factors; None if one was written since."""
        for (row, y), n in zip(self.steps, self.counts):
            if type(y) in TRACED and _writes(y) != n:
                return None
            s = -s if row is negative else s * y if row is multiply else s / y
        return s

    def square(self) -> Any:
        """Return the square, factors and all."""
        return _product(self, self)


class Mark:
    """A note on a traced value, and how often that was written when the note was made."""

    __slots__ = ("note", "writes")

    def __init__(self, note: Any, x: Any) -> None:
        self.note = note
        self.writes = _writes(x)


def note_of(x: Any) -> Any:
    """Return the note on a value, if it has one that holds."""
    if type(x) not in TRACED or x.link is None or x.link.under is None:
        return None
    return x.link.under.note if x.link.under.writes == _writes(x) else None


def _product(a: Any, b: Any) -> Any:
    """Return the product of two multiples of one root; None if they are none."""
    core = a.core if type(a) is Multiple else a
    if core is not (b.core if type(b) is Multiple else b):
        return None
    s = core.square()
    for note in (a, b):
        if s is not None and type(note) is Multiple:
            s = note.applied(s)
    return s


def unsigned(out: Any, x: Any) -> Any:
    """Return an absolute value of which some entry is 0, with the smooth derivative where the operand has one sign by its making."""
    sign = sign_of(x)
    return out if sign == 0 or type(out) not in TRACED else bind(_known, (out, x if sign > 0 else -x), {})


def followed(row: Any, out: Any, x: Any, y: Any) -> Any:
    """Return the result of an operation on a root: with its smooth derivative, or with a note of its own.

    Returns
    -------
    result, note
        The traced result; what is to be noted on it, or None.
    """
    a, b = note_of(x), note_of(y)
    if type(out) not in TRACED or (a is None and b is None):
        return out, None
    s = None
    if row is square:
        s = a.square()
    elif row is power:
        k = y if type(y) in _NUMBERS else 0
        if a is not None and k > 0 and k % 2 == 0:
            s = a.square()
            s = s if k == 2 or s is None else s ** int(k // 2)
    elif row is multiply and a is not None and b is not None:
        s = _product(a, b)
    if s is not None:
        return bind(_known, (out, s), {}), None
    if row is multiply and a is None:
        a, y = b, x
        b = None
    if b is None and a is not None and (row is multiply or row is divide or row is negative):
        core, steps = (a.core, a.steps) if type(a) is Multiple else (a, [])
        return out, Multiple(core, [*steps, (row, y)])
    return out, None


SMALL = 1 << 12
"""Arrays with more entries get a note unasked: to look for a zero would cost more."""
_NUMBERS = frozenset((int, float, np.float64, np.int64))


def vanishes(x: Any) -> bool:
    """Whether a root, which is never negative, may need its note: a number that is not zero has all its derivatives."""
    while type(x) in TRACED:
        x = x.value
    if type(x) is ndarray and 0 < x.size <= SMALL and x.dtype.kind == "f":
        return not x.item(x.argmin()) > 0  # NaN, which hides zeros, is the least
    return not x if issubclass(type(x), (float, np.generic)) else True


__all__ = ["Mark", "Moved", "Root", "followed", "note_of", "unsigned", "vanishes"]
