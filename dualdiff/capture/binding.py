"""Binding stand-ins to the names of a module and to the variables of a function, for the length of a call.

The same names may be wanted by several calls at once, in several threads and at two levels: under a lock each place counts its
users. A name goes back to what it was with the last of them, and only if nobody bound it to something else meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import CellType
from typing import Any

from dualdiff.capture.maths import CONVERSIONS
from dualdiff.capture.names import MAKERS, METHODS, real_of, stand_in
from dualdiff.capture.names import known as stand_ins
from dualdiff.values import enter_rooms

LOCK = threading.RLock()
MISSING: Any = object()


class Variable:
    """A variable of an enclosing function, read and written as a dictionary with one name is."""

    __slots__ = ("cell",)

    def __init__(self, cell: CellType) -> None:
        self.cell = cell

    def get(self, name: str, default: Any) -> Any:
        """Return what the variable is; the default if it is not assigned."""
        try:
            return self.cell.cell_contents
        except ValueError:
            return default

    def __setitem__(self, name: str, value: Any) -> None:
        self.cell.cell_contents = value


class Attributes:
    """The attributes of a class, read and written as a dictionary is."""

    __slots__ = ("of",)

    def __init__(self, of: type) -> None:
        self.of = of

    def get(self, name: str, default: Any) -> Any:
        """Return the class's own attribute; the default if it has none of this name."""
        return vars(self.of).get(name, default)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self.of, name, value)

    def __delitem__(self, name: str) -> None:
        delattr(self.of, name)


class Names:
    """Names of one place, and for each of them what it is and what stands for it at a level. It is known by its identity."""

    __slots__ = ("key", "level", "of", "place")

    def __init__(self, place: Any, key: int, level: int, of: dict[Any, tuple[Any, Any]]) -> None:
        self.place = place
        self.key = key
        self.level = level
        self.of = of

    def exchange(self) -> None:
        """Bind every name to its stand-in, but those that the module has changed since."""
        place = self.place
        for name, (real, new) in self.of.items():
            if place.get(name, MISSING) is real:
                place[name] = new

    def give_back(self) -> None:
        """Bind every name to what it was, where our stand-in still stands."""
        place = self.place
        for name, (real, new) in self.of.items():
            if place.get(name, MISSING) is new:
                _bind(place, name, real)


def _bind(place: Any, name: str, value: Any) -> None:
    if value is MISSING:
        del place[name]
    else:
        place[name] = value


_IN_USE: dict[int, dict[Names, int]] = {}
_KNOWN: dict[tuple[int, int, frozenset[str]], tuple[Any, int, int, Names]] = {}
_CLASSES: dict[type, Names] = {}


def of_module(names: dict[str, Any], level: int, conversions: frozenset[str]) -> Names:
    """Return what is to be bound in a module's names; it is kept until the module has other names."""
    key = id(names), level, conversions
    size = len(names)
    for name in conversions:  # while one is bound the module may have a name more
        size -= names.get(name) is CONVERSIONS[name]
    enter_rooms()
    known = _KNOWN.get(key)
    if known is not None and known[0] is names and known[1] == size and known[2] == stand_ins():
        return known[3]
    of: dict[str, tuple[Any, Any]] = {}
    for name, value in list(names.items()):
        real = real_of(value)
        new = stand_in(real, level)
        if new is not None:
            of[name] = real, new
    for name in conversions:
        new, now = CONVERSIONS[name], names.get(name, MISSING)
        if now is MISSING or now is new or now is new._real:
            of[name] = MISSING if now is new else now, new
    found = Names(names, id(names), level, of)
    _KNOWN[key] = names, size, stand_ins(), found
    return found


def is_renewed(names: dict[str, Any]) -> bool:
    """Forget what is to be bound in a module's names; return whether it had come to know a stand-in's original by another name."""
    renewed = False
    for key in [key for key in _KNOWN if key[0] == id(names)]:
        before = _KNOWN.pop(key)[3].of
        after = of_module(names, key[1], key[2]).of
        renewed |= any(name not in before or before[name][0] is not real for name, (real, _) in after.items())
    return renewed


def of_class(kind: type) -> Names:
    """Return the methods to be exchanged in a class."""
    if kind not in _CLASSES:
        own = vars(kind)
        of = {
            name: (own.get(name, MISSING), new) for name, new in METHODS[kind].items()
        }  # one that is inherited is missing
        _CLASSES[kind] = Names(Attributes(kind), id(kind), MAKERS, of)
    return _CLASSES[kind]


def of_cells(cells: Iterable[CellType], level: int) -> list[Names]:
    """Return what is to be bound in variables of enclosing functions."""
    found = []
    for cell in cells:
        try:
            real = real_of(cell.cell_contents)
        except ValueError:  # not assigned yet
            continue
        new = stand_in(real, level)
        if new is not None:
            found.append(Names(Variable(cell), id(cell), level, {"": (real, new)}))
    return found


def in_use(key: int, name: Any, value: Any) -> tuple[Any, Any] | None:
    """Return what is exchanged for what under a name of a place, if the value is one of the two; None if nothing is."""
    for names in _IN_USE.get(key, ()):
        pair = names.of.get(name)
        if pair is not None and any(value is v for v in pair):
            return pair
    return None


def is_bound(key: int) -> bool:
    """Whether names of a place are bound at this moment."""
    return key in _IN_USE


def bind(wanted: Iterable[Names]) -> None:
    """Bind names to their stand-ins, for one user more."""
    with LOCK:
        for names in wanted:
            users = _IN_USE.get(names.key)
            if users is None:
                _IN_USE[names.key] = {names: 1}
                names.exchange()
            elif names in users:
                users[names] += 1
            else:
                users[names] = 1
                _settle(users, names)


def unbind(wanted: Iterable[Names]) -> None:
    """Give the names back, those of which this was the last user."""
    with LOCK:
        for names in wanted:
            users = _IN_USE[names.key]
            users[names] -= 1
            if users[names]:
                continue
            del users[names]
            if users:
                _settle(users, names)
            else:
                del _IN_USE[names.key]
                names.give_back()


def _settle(users: Iterable[Names], changed: Names) -> None:
    """Let the highest level in use have each of the names that one user brought or took away."""
    place = changed.place
    for name, (real, new) in changed.of.items():
        others = [u for u in users if name in u.of]
        now = place.get(name, MISSING)
        if now is real or now is new or any(now is u.of[name][1] for u in others):
            _bind(place, name, max(others, key=lambda u: u.level).of[name][1] if others else real)


__all__ = [
    "LOCK",
    "MISSING",
    "Attributes",
    "Names",
    "Variable",
    "bind",
    "in_use",
    "is_bound",
    "is_renewed",
    "of_cells",
    "of_class",
    "of_module",
    "unbind",
]
