"""Binding stand-ins to the names of a module and to the variables of a function, for the length of a call.

A name may be wanted by several calls at once, in several threads and at two levels: under a lock each counts its users. The
name goes back to what it was with the last of them, and only if nobody bound it to something else meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import CellType
from typing import Any, NamedTuple

from dualdiff.capture.maths import CONVERSIONS
from dualdiff.capture.names import real_of, stand_in

LOCK = threading.RLock()
MISSING: Any = object()


class Binding(NamedTuple):
    """A name in a dictionary of globals, or a cell (whose name is None), and what stands for its value at a level."""

    holder: Any
    name: str | None
    real: Any
    level: int
    new: Any

    def read(self) -> Any:
        """Return what the name is bound to now."""
        if self.name is not None:
            return self.holder.get(self.name, MISSING)
        try:
            return self.holder.cell_contents
        except ValueError:
            return MISSING

    def bind(self, value: Any) -> None:
        """Bind the name to a value; to none, if it was not there."""
        if self.name is None:
            self.holder.cell_contents = value
        elif value is MISSING:
            self.holder.pop(self.name, None)
        else:
            self.holder[self.name] = value


class _Users:
    """Who uses a name at this moment: per level how many, and what stands for it."""

    __slots__ = ("bindings", "counts")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.bindings: dict[int, Binding] = {}


_BOUND: dict[tuple[int, str | None], _Users] = {}
_NAMES: dict[tuple[int, int, frozenset[str]], tuple[Any, int, list[Binding]]] = {}


def of_module(names: dict[str, Any], level: int, conversions: frozenset[str]) -> list[Binding]:
    """Return what is to be bound in a module's names; the list is kept until the module has other names."""
    key = id(names), level, conversions
    known = _NAMES.get(key)
    if known is not None and known[0] is names and known[1] == len(names):
        return known[2]
    found = []
    for name, value in list(names.items()):
        real = real_of(value)
        new = stand_in(real, level)
        if new is not None:
            found.append(Binding(names, name, real, level, new))
    count = len(names)
    for name in conversions:
        new, now = CONVERSIONS[name], names.get(name, MISSING)
        if now is MISSING or now is new or now is new._real:
            found.append(Binding(names, name, MISSING if now is new else now, level, new))
            count += now is MISSING  # while it is bound the module has a name more
    _NAMES[key] = names, count, found
    return found


def of_cells(cells: Iterable[CellType], level: int) -> list[Binding]:
    """Return what is to be bound in variables of enclosing functions."""
    found = []
    for cell in cells:
        try:
            real = real_of(cell.cell_contents)
        except ValueError:  # not assigned yet
            continue
        new = stand_in(real, level)
        if new is not None:
            found.append(Binding(cell, None, real, level, new))
    return found


def bind(bindings: Iterable[Binding]) -> list[Binding]:
    """Bind the names; return those that were."""
    done = []
    with LOCK:
        for b in bindings:
            key = id(b.holder), b.name
            users = _BOUND.get(key)
            if users is None:
                if b.read() is not b.real:
                    continue  # the module has changed it since
                users = _BOUND[key] = _Users()
            users.counts[b.level] = users.counts.get(b.level, 0) + 1
            users.bindings[b.level] = b
            top = users.bindings[max(users.counts)]
            now = b.read()
            if now is b.real or any(now is o.new for o in users.bindings.values()):
                b.bind(top.new)
            done.append(b)
    return done


def unbind(done: Iterable[Binding]) -> None:
    """Give the names back, those of which this was the last user."""
    with LOCK:
        for b in done:
            users = _BOUND[id(b.holder), b.name]
            users.counts[b.level] -= 1
            ours = [o.new for o in users.bindings.values()]
            if not users.counts[b.level]:
                del users.counts[b.level], users.bindings[b.level]
            if not users.counts:
                del _BOUND[id(b.holder), b.name]
            now = b.read()
            if any(now is o for o in ours):
                b.bind(users.bindings[max(users.counts)].new if users.counts else b.real)


__all__ = ["LOCK", "bind", "of_cells", "of_module", "unbind"]
