"""Where the values of repeated steps are kept: as long as others take them, in one arena.

What later units take is there for every period; what only the next periods of a loop take, in a ring of as many places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dualdiff.passes.program import Form
from dualdiff.passes.units import NotRepeatedError, Read, Repeats, Unit

__all__ = ["Arena", "Place", "bytes_of"]

ALIGNED = 64
"""Bytes that lines of a cache have."""


class Place(NamedTuple):
    """Where a value is in every period: bytes after a base, which is "memory", an input's number, or an array of constants."""

    base: Any
    offsets: Any


def bytes_of(form: Form) -> int:
    """Return how many bytes a value takes."""
    return math.prod(form.shape) * form.dtype.itemsize


class Arena:
    """The memory of a program of units.

    Attributes
    ----------
    size : int
        Bytes.
    copied : list of tuple
        What is copied there before: the base, and from which byte on.
    needed : list of dict
        By unit: rows of its period whose values are kept.
    """

    def __init__(self, repeats: Repeats) -> None:
        self.repeats = repeats
        self.starts = np.array([u.start for u in repeats.units])
        self.slots = np.full(repeats.first + sum(u.period * u.count for u in repeats.units), -1, dtype=np.int64)
        self.size = 0
        self.copied: list[tuple[Any, int, int]] = []
        self.stacked: dict[Any, Any] = {}
        self.needed = self._needed()
        for unit, needed in zip(repeats.units, self.needed, strict=True):
            for j, places in sorted(needed.items()):
                self._allot(unit, j, places)

    def take(self, size: int) -> int:
        """Return where so many bytes begin."""
        at = self.size
        self.size += -(-size // ALIGNED) * ALIGNED if size >= ALIGNED else -(-size // 8) * 8
        if size >= ALIGNED and at % ALIGNED:
            self.size += ALIGNED - at % ALIGNED
            at += ALIGNED - at % ALIGNED
        return at

    def _needed(self) -> list[dict[int, int]]:
        """Return, by unit and row, how many of the last values are needed at once, all of them if others take an early one."""
        repeats = self.repeats
        found: list[dict[int, int]] = [{} for _ in repeats.units]
        for u, unit in enumerate(repeats.units):
            for read in unit.taken:
                self._note(found, read, u)
            for w in unit.written:
                found[u].setdefault(w.row, 1)
        for read in repeats.outputs:
            self._note(found, read, len(repeats.units))
        return found

    def _note(self, found: list[dict[int, int]], read: Read, by: int) -> None:
        inside = read.values >= self.repeats.first
        if not inside.any():
            return
        rows = read.values[inside] - self.repeats.first
        periods = np.flatnonzero(inside)
        units = np.searchsorted(self.starts, rows, side="right") - 1
        for u in np.unique(units).tolist():
            unit = self.repeats.units[u]
            mine = units == u
            within = rows[mine] - unit.start
            k, j = within // unit.period, within % unit.period
            back = (periods[mine] - k) + 1 if u == by else unit.count - k
            for row in np.unique(j).tolist():
                most = int(back[j == row].max())
                if any(w.row == row for w in unit.written):
                    if most > (2 if u == by else 1):
                        raise NotRepeatedError("an array that is looked at while parts of it are written")
                elif row not in unit.made:
                    raise NotRepeatedError("a part that is read before it is made")
                found[u][row] = max(found[u].get(row, 1), most)

    def _allot(self, unit: Unit, j: int, places: int) -> None:
        written = next((w for w in unit.written if w.row == j), None)
        form = unit.body.forms[unit.made[j]] if written is None else written.base.form
        size = bytes_of(form)
        places = min(places, unit.count) if written is None else 1
        step = -(-size // 8) * 8
        at = self.take(step * places)
        mine = self.repeats.first + unit.start + j + unit.period * np.arange(unit.count)
        self.slots[mine] = at + step * (np.arange(unit.count) % places)

    def place(self, read: Read) -> Place:
        """Return where an operand is."""
        repeats, values = self.repeats, read.values
        at = read.at * read.form.dtype.itemsize
        if (values < repeats.first_input).all():
            if (values == values[0]).all():
                return Place(self._constant(int(values[0])), at)
            if at.any():
                raise NotRepeatedError("parts of constants")
            return self._stack(values)
        if repeats.first_input <= values[0] < repeats.first and (values == values[0]).all():
            return Place(int(values[0]) - repeats.first_input, at)
        for n in np.unique(values[values < repeats.first]).tolist():
            if self.slots[n] < 0:
                self._copy(n)
        return Place("memory", self.slots[values] + at)

    def made(self, unit: Unit, j: int) -> Place:
        """Return where the value of a row is kept."""
        mine = self.repeats.first + unit.start + j + unit.period * np.arange(unit.count)
        return Place("memory", self.slots[mine])

    def _copy(self, n: int) -> None:
        """Let a constant or an input stand in the arena, beside what is taken in turns with it."""
        repeats = self.repeats
        if n < repeats.first_input:
            base = self._constant(n)
            size = base.nbytes
        else:
            base = n - repeats.first_input
            size = bytes_of(repeats.inputs[base])
        self.slots[n] = self.take(size)
        self.copied.append((base, int(self.slots[n]), size))

    def _constant(self, n: int) -> Any:
        """Return a constant as an array."""
        if n not in self.stacked:
            self.stacked[n] = _array(self.repeats.constants[n])
        return self.stacked[n]

    def _stack(self, values: Any) -> Place:
        """Let constants stand one after another."""
        key = values.tobytes()
        if key not in self.stacked:
            self.stacked[key] = _stacked([_array(self.repeats.constants[n]) for n in values.tolist()])
        found = self.stacked[key]
        return Place(found, found.strides[0] * np.arange(len(values)))


def _array(x: Any) -> Any:
    found = np.ascontiguousarray(x)
    if found.dtype == np.bool_ or found.dtype == np.float64:
        return found
    other = found.astype(float)
    if not np.array_equal(other, found):
        raise NotRepeatedError("a constant that is no number of double precision")
    return other


def _stacked(arrays: Sequence[Any]) -> Any:
    return np.ascontiguousarray(np.stack(arrays))
