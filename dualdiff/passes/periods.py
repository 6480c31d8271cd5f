"""Numbers of a program whose steps repeat: one period is expanded, and written down as often as it is carried out.

To expand a loop of the user's program step by step takes as long as all its periods ask for. Where the steps are known to repeat
(:mod:`dualdiff.passes.repeats`), a period is a program of its own, and so are its operations on numbers; of another period only
the operands from outside are others. So the list that :mod:`dualdiff.passes.rolling` reads is written as arrays, period beside period, and
where its loops are is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dualdiff.passes.program import Program
from dualdiff.passes.rolling import CONSTANT, INPUT, NONE, NUMBER, OPERATION, Listing, Stretch, numbered
from dualdiff.passes.scalars import NotScalarError, Scalars, expanded
from dualdiff.passes.units import Read, Repeats, Unit, Written

__all__ = ["listed_by_periods"]

MOST = 50_000
"""Nodes of one period."""
NO_PLACE = NO_NUMBER = -1


def listed_by_periods(program: Program, repeats: Repeats) -> tuple[Listing, list[Stretch]]:
    """Return the operations on numbers of a program of units as a list, and where of it which period repeats.

    Raises
    ------
    NotScalarError
        Inside the engine, if some step has no such form.
    """
    return _Writer(program, repeats).written()


@dataclass(slots=True, eq=False)
class _Segment:
    """Operations that are carried out ``count`` times.

    Attributes
    ----------
    count : int
        How often.
    codes, operands, kinds : array
        Those of one period, as in a list of its own: an operand is a constant, an entry from outside, or a result, each counted from 0;
        or the number of a check of the period.
    taken : array of int, shape (count, entries)
        The numbers of the entries from outside.
    checks : list of array
        By check, its numbers in the program.
    begin, width : int
        The number of the first result, and how many results a period has: what delivers some of them comes after.
    needed : array of bool
        Which operations are.
    """

    count: int
    codes: Any
    operands: Any
    kinds: Any
    taken: Any
    checks: Sequence[Any]
    begin: int
    width: int
    needed: Any

    def delivers(self, code: int, entries: Sequence[tuple[int, Any]]) -> None:
        """Add that results are entries of the outputs: by result of a period, which ones they are, period by period."""
        count = len(entries)
        operands, kinds = np.full((count, 3), -1, dtype=np.int64), np.full((count, 3), NONE, dtype=np.int8)
        operands[:, 0], kinds[:, 0] = [o for o, _ in entries], OPERATION
        operands[:, 1], kinds[:, 1] = len(self.checks) + np.arange(count), NUMBER
        self.checks = [*self.checks, *[numbers for _, numbers in entries]]
        self.codes = np.concatenate([self.codes, np.full(count, code)])
        self.operands, self.kinds = np.concatenate([self.operands, operands]), np.concatenate([self.kinds, kinds])
        self.needed = np.concatenate([self.needed, np.zeros(count, dtype=bool)])

    def order(self) -> Any:
        """Return the operations of a period that are needed, in order: a result is delivered as soon as it is there."""
        kept = np.flatnonzero(self.needed)
        return kept[np.argsort(np.where(kept < self.width, kept, self.operands[kept, 0]), kind="stable")]


@dataclass(frozen=True, slots=True, eq=False)
class _Versions:
    """An array of which every period writes parts, after each of them.

    Attributes
    ----------
    values : array of int
        By period, the number of the array as it is then.
    period : array of int
        By entry, when it is written: after all periods if never.
    before, after : array of int
        By entry, the place of what it is before and after that.
    """

    values: Any
    period: Any
    before: Any
    after: Any

    def place(self, values: Any, entries: Any) -> Any:
        """Return the places of entries of values."""
        k = np.searchsorted(self.values, values)[:, np.newaxis]
        return np.where(self.period[entries] <= k, self.after[entries], self.before[entries])


class _Writer:
    """The list while it is written.

    Every entry of a value that is taken from outside of its period has a place in one table, which says its number: of an entry of
    an input or of an operation's result, counted through all of them; or ``-2 - c`` of constant ``c``. What is only moved has the
    place of what it is.
    """

    def __init__(self, program: Program, repeats: Repeats) -> None:
        self.program, self.repeats = program, repeats
        self.names: dict[Any, int] = {}
        self.constants: list[Any] = []
        self.known: dict[Any, int] = {}
        self.segments: list[_Segment] = []
        self.versions: list[_Versions] = []
        units = repeats.units
        rows = sum(u.period * u.count for u in units)
        # By value, where its entries are in the table.
        self.starts = np.full(repeats.first + rows, NO_PLACE, dtype=np.int64)
        self.size = 0
        self.kept = self._places()
        self.nowhere = self._room(1)  # it never gets a number
        self.stands = np.arange(self.size)
        self.numbers = np.full(self.size, NO_NUMBER, dtype=np.int64)
        self.next = 0
        self._begin()

    # -- places ------------------------------------------------------------------------------------
    def _places(self) -> list[list[tuple[int, Any]]]:
        """Give values that are taken from outside their places; return, by unit, which of its body's they are, and where by period."""
        repeats = self.repeats
        wanted = np.zeros(len(self.starts), dtype=bool)
        for read in (
            *[r for u in repeats.units for r in u.taken],
            *[g.source for u in repeats.units for g in u.gathered],
        ):
            wanted[read.values] = True
        for read in repeats.outputs:
            wanted[read.values] = True
        for n in np.flatnonzero(wanted[: repeats.first]).tolist():
            form = repeats.inputs[n - repeats.first_input] if n >= repeats.first_input else None
            self.starts[n] = self._room(int(np.size(repeats.constants[n])) if form is None else _size(form.shape))
        kept: list[list[tuple[int, Any]]] = []
        for unit in repeats.units:
            mine: list[tuple[int, Any]] = []
            begin = repeats.first + unit.start
            for j, i in unit.made.items():
                if wanted[begin + j : begin + unit.period * unit.count : unit.period].any():
                    size = _size(unit.body.forms[i].shape)
                    places = self._room(size * unit.count) + size * np.arange(unit.count)
                    self.starts[begin + j : begin + unit.period * unit.count : unit.period] = places
                    mine.append((i, places))
            for w in unit.written:
                for part in w.parts:
                    size = _size(unit.body.forms[part.value].shape)
                    mine.append((part.value, self._room(size * unit.count) + size * np.arange(unit.count)))
                self.starts[begin + w.row + unit.period * (unit.count - 1)] = self._room(_size(w.base.form.shape))
            kept.append(mine)
        return kept

    def _room(self, size: int) -> int:
        at = self.size
        self.size += size
        return at

    def _place(self, read: Read, within: Any) -> Any:
        """Return the places of entries of an operand, by period."""
        starts = self.starts[read.values]
        entries = read.at[:, np.newaxis] + within
        places = starts[:, np.newaxis] + entries
        left = starts == NO_PLACE
        for version in self.versions if left.any() else ():
            mine = left & np.isin(read.values, version.values)
            places[mine] = version.place(read.values[mine], entries[mine])
            left &= ~mine
        places[left] = self.nowhere
        return self.stands[places]

    def _numbers_at(self, places: Any) -> Any:
        """Return the numbers of what stands at places."""
        numbers = self.numbers[places]
        if (numbers == NO_NUMBER).any():
            raise NotScalarError("a value that is not there yet")
        return numbers

    def _begin(self) -> None:
        """Number what is there before."""
        repeats = self.repeats
        for n in np.flatnonzero(self.starts[: repeats.first_input] >= 0).tolist():
            numbers = [-2 - self.constant(x) for x in _entries(repeats.constants[n])]
            self.numbers[self.starts[n] : self.starts[n] + len(numbers)] = numbers
        for i, form in enumerate(repeats.inputs):
            start, size = int(self.starts[repeats.first_input + i]), _size(form.shape)
            if start >= 0:
                self.numbers[start : start + size] = self.next + np.arange(size)
            self.next += size

    def constant(self, x: Any) -> int:
        key = x if type(x) is bool else x.hex()  # -0.0 is not 0.0
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = len(self.constants)
            self.constants.append(x)
        return found

    # -- units -------------------------------------------------------------------------------------
    def written(self) -> tuple[Listing, list[Stretch]]:
        self.first = self.next
        for unit, kept in zip(self.repeats.units, self.kept, strict=True):
            if unit.joined is not None:
                self._join(unit)
            else:
                self._unit(unit, kept)
        outputs = []
        for read in self.repeats.outputs:
            outputs.append(self._numbers_at(self._place(read, np.arange(_size(read.form.shape)))[0]))
        self._deliver(np.concatenate(outputs) if outputs else np.zeros(0, dtype=np.int64))
        self._look_for_needed()
        return self._assembled()

    def _join(self, unit: Unit) -> None:
        """Let the entries of values that are put together be where they are."""
        source: Any = unit.joined and unit.joined.source
        start = int(
            self.starts[self.repeats.first + unit.start]
        )  # it has a place: what nobody takes is no step of a program
        places = self._place(source, np.arange(_size(source.form.shape))).ravel()
        self.stands[start : start + len(places)] = places
        self.numbers[start : start + len(places)] = self.numbers[places]

    def _unit(self, unit: Unit, kept: Sequence[tuple[int, Any]]) -> None:
        body, count = unit.body, unit.count
        forms = tuple([body.forms[i] for i, _ in kept])
        scalars = expanded(replace(body, outputs=tuple([i for i, _ in kept]), results=forms), MOST)
        listing, of_node = numbered(
            Scalars(scalars.operations, [], scalars.checks, scalars.count, scalars.calls), [c.then for c in body.checks]
        )
        constants = [self.constant(x) for x in listing.constants]
        first_input, first = listing.first_input, listing.first
        # Which entries are moved, and which are made: by number in the period's list.
        entries = [of_node[list(nodes)] for _, nodes in scalars.outputs]
        low = high = 0
        if kept:
            low = int(kept[0][1][0])
            high = int(kept[-1][1][-1]) + _size(forms[-1].shape)
        for w in unit.written:
            self.versions.append(self._versions(unit, w, kept))
        taken = self._taken(unit, listing)
        for (_, places), numbers in zip(kept, entries, strict=True):
            moved = (numbers >= first_input) & (numbers < first)
            if moved.any():
                to = places[:, np.newaxis] + np.flatnonzero(moved)
                self.stands[to] = taken[:, numbers[moved] - first_input]
        self._follow(low, high)
        taken = self.stands[taken]
        hoisted = self._hoisted(listing, taken)
        own = self._numbers_of(listing, hoisted, count)
        for (_, places), numbers in zip(kept, entries, strict=True):
            made, fixed = numbers >= first, numbers < first_input
            self.numbers[places[:, np.newaxis] + np.flatnonzero(made)] = own[:, numbers[made] - first]
            if fixed.any():
                self.numbers[places[:, np.newaxis] + np.flatnonzero(fixed)] = [
                    -2 - constants[n] for n in numbers[fixed]
                ]
        self.numbers[low:high] = self.numbers[self.stands[low:high]]
        self._note(unit, listing, constants, self._numbers_at(taken), hoisted)
        for versions in self.versions[len(self.versions) - len(unit.written) :]:
            stands = self.stands[versions.after]
            start = int(self.starts[versions.values[-1]])
            self.stands[start : start + len(stands)] = stands
            self.numbers[start : start + len(stands)] = self.numbers[stands]

    def _taken(self, unit: Unit, listing: Listing) -> Any:
        """Return the places of the entries that a period takes from outside."""
        gathered = {g.value: g for g in unit.gathered}
        columns = []
        for i, size in listing.inputs:
            if i in gathered:
                source, strides = gathered[i].source, gathered[i].strides
                within = _strided(source.form.shape, strides)[:size]
            else:
                source, within = unit.reads[i], np.arange(size)
            columns.append(self._place(source, within))
        return np.concatenate(columns, axis=1) if columns else np.zeros((unit.count, 0), dtype=np.int64)

    def _follow(self, low: int, high: int) -> None:
        """Let what is moved from period to period stand where it was first: each turn goes twice as far back."""
        at = self.stands[low:high]
        while True:
            further = self.stands[at]
            if np.array_equal(further, at):
                return
            self.stands[low:high] = at = further

    def _hoisted(self, listing: Listing, taken: Any) -> Any:
        """Return which operations are the same in every period: those of what is the same."""
        found = np.zeros(len(listing.codes), dtype=bool)
        if len(taken) == 1:
            return found
        first_input, first = listing.first_input, listing.first
        same = (taken == taken[0]).all(axis=0).tolist()
        at_work = [name not in ("check", "check not") for name in listing.names]
        for o, (code, given) in enumerate(zip(listing.codes.tolist(), listing.operands.tolist(), strict=True)):
            found[o] = at_work[code] and all(
                n < first_input or (same[n - first_input] if n < first else found[n - first]) for n in given
            )
        return found

    def _numbers_of(self, listing: Listing, hoisted: Any, count: int) -> Any:
        """Return the numbers that results get, by period."""
        before = int(hoisted.sum())
        period = len(hoisted) - before
        begin = self.next + before
        own = np.empty((count, len(hoisted)), dtype=np.int64)
        own[:, hoisted] = self.next + np.arange(before)
        own[:, ~hoisted] = begin + np.arange(period) + period * np.arange(count)[:, np.newaxis]
        return own

    def _note(self, unit: Unit, listing: Listing, constants: Sequence[int], taken: Any, hoisted: Any) -> None:
        """Take the operations of a unit down: first those that are the same in every period."""
        codes = np.array([self.names.setdefault(name, len(self.names)) for name in listing.names])[listing.codes]
        kinds = listing.kinds
        own = self._numbers_of(listing, hoisted, unit.count)
        fixed = np.flatnonzero(hoisted)
        rank = np.empty(len(hoisted), dtype=np.int64)
        rank[fixed] = np.arange(len(fixed))
        rank[~hoisted] = np.arange(len(hoisted) - len(fixed))
        for some, count in ((hoisted, 1), (~hoisted, unit.count)):
            if not some.any():
                continue
            given, kind = listing.operands[some].astype(np.int64), kinds[some].copy()
            # Results of the others come from outside.
            others = (kind == OPERATION) & ~some[np.where(kind == OPERATION, given - listing.first, 0)]
            outside = np.unique(given[others]) - listing.first
            results = (kind == OPERATION) & ~others
            entries = taken.shape[1]
            new = given.copy()
            new[kind == INPUT] -= listing.first_input
            new[others] = entries + np.searchsorted(outside, given[others] - listing.first)
            new[results] = rank[given[results] - listing.first]
            at = kind == CONSTANT
            new[at] = np.array([*constants, 0])[given[at]]
            kind[others] = INPUT
            self.segments.append(
                _Segment(
                    count,
                    codes[some],
                    new,
                    kind,
                    np.concatenate([taken[:count], own[:count, outside]], axis=1),
                    unit.checks,
                    self.next,
                    int(some.sum()),
                    np.zeros(int(some.sum()), dtype=bool),
                )
            )
            self.next += count * int(some.sum())

    def _versions(self, unit: Unit, written: Written, kept: Sequence[tuple[int, Any]]) -> _Versions:
        """Find out where the entries of an array are of which every period writes parts."""
        base, body, count = written.base, unit.body, unit.count
        before = self._place(base, np.arange(_size(base.form.shape)))[0]
        parts = dict(kept)
        to, source = [], []
        for part in written.parts:
            form = body.forms[part.value]
            if form.dtype == bool:
                raise NotScalarError("truth values that are written as numbers")
            within = _strided(part.shape, part.strides)
            to.append(part.at[:, np.newaxis] + within)
            own = np.arange(len(within)) if form.shape else np.zeros(len(within), dtype=np.int64)
            source.append(parts[part.value][:, np.newaxis] + own)
        entries = np.concatenate(to, axis=1)
        if np.bincount(entries.ravel()).max(initial=0) > 1:
            raise NotScalarError("an entry that is written again")
        after, period = before.copy(), np.full(len(before), count)
        after[entries] = np.concatenate(source, axis=1)
        period[entries] = np.arange(count)[:, np.newaxis]
        first = self.repeats.first + unit.start + written.row
        return _Versions(first + unit.period * np.arange(count), period, before, after)

    def _deliver(self, numbers: Any) -> None:
        """Take down that these are the entries of the outputs: in the period that makes them where each does, the others at the end."""
        output = self.names.setdefault("output", len(self.names))
        left = np.ones(len(numbers), dtype=bool)
        for s in self.segments:
            mine = np.flatnonzero((numbers >= s.begin) & (numbers < s.begin + s.count * s.width))
            of, period = (numbers[mine] - s.begin) % s.width, (numbers[mine] - s.begin) // s.width
            found = []
            for o in np.unique(of).tolist():
                entries = mine[of == o][np.argsort(period[of == o], kind="stable")]
                steps = np.diff(entries)
                if np.array_equal(np.sort(period[of == o]), np.arange(s.count)) and (steps == steps[:1]).all():
                    found.append((o, entries))
                    left[entries] = False
            s.delivers(output, found)
        rest = np.flatnonzero(left)
        end = _Segment(
            1,
            np.zeros(0, dtype=np.int64),
            np.zeros((0, 3), dtype=np.int64),
            np.zeros((0, 3), dtype=np.int8),
            numbers[rest][np.newaxis],
            [],
            self.next,
            0,
            np.zeros(0, dtype=bool),
        )
        end.delivers(output, [(k, rest[k : k + 1]) for k in range(len(rest))])
        end.kinds[:, 0] = INPUT
        self.segments.append(end)

    # -- what nobody needs -------------------------------------------------------------------------
    def _look_for_needed(self) -> None:
        """Find out which operations a check or an output needs, in any period."""
        begins = np.array([s.begin for s in self.segments], dtype=np.int64)
        ends = frozenset(self.names[name] for name in ("check", "check not", "output") if name in self.names)
        for segment in reversed(self.segments):
            codes, operands, kinds = segment.codes.tolist(), segment.operands.tolist(), segment.kinds.tolist()
            needed, entries = segment.needed, set()
            while True:
                before = int(needed.sum())
                for o in range(len(codes) - 1, -1, -1):
                    if needed[o] or codes[o] in ends:
                        needed[o] = True
                        for n, kind in zip(operands[o], kinds[o], strict=True):
                            if kind == OPERATION:
                                needed[n] = True
                            elif kind == INPUT and n not in entries:
                                entries.add(n)
                                self._need(begins, segment.taken[:, n])
                if int(needed.sum()) == before:  # otherwise another period of the same may need more
                    break

    def _need(self, begins: Any, numbers: Any) -> None:
        numbers = numbers[numbers >= self.first]
        of = np.searchsorted(begins, numbers, side="right") - 1
        for n in np.unique(of).tolist():
            segment = self.segments[n]
            segment.needed[(numbers[of == n] - segment.begin) % segment.width] = True

    # -- the list ----------------------------------------------------------------------------------
    def _assembled(self) -> tuple[Listing, list[Stretch]]:
        """Put the periods beside each other, without what nobody needs."""
        first = self.first
        new = np.full(self.next, -1, dtype=np.int64)  # by number
        new[:first] = np.arange(first)
        at = first
        orders = [s.order() for s in self.segments]
        for s, order in zip(self.segments, orders, strict=True):
            own = new[s.begin : s.begin + s.count * s.width].reshape(s.count, s.width)
            ranks = np.flatnonzero(order < s.width)
            own[:, order[ranks]] = at + ranks + len(order) * np.arange(s.count)[:, np.newaxis]
            at += s.count * len(order)
        codes, operands, kinds, stretches = [], [], [], []
        at, shift = first, len(self.constants)
        for s, order in zip(self.segments, orders, strict=True):
            if not len(order):
                continue
            stretches.append(Stretch(at - first, s.count, len(order)))
            codes.append(np.tile(s.codes[order], s.count))
            given, kind = self._given(s, order, new, at, shift)
            operands.append(given)
            kinds.append(kind)
            at += s.count * len(order)
        inputs = [(i, _size(form.shape)) for i, form in enumerate(self.repeats.inputs)]
        listing = Listing(
            list(self.names),
            np.concatenate(codes).astype(np.int32),
            np.concatenate(operands),
            np.concatenate(kinds),
            self.constants,
            inputs,
        )
        return listing, stretches

    def _given(self, s: _Segment, order: Any, new: Any, begin: int, shift: int) -> tuple[Any, Any]:
        """Return the operands of a segment in all periods, and what they are."""
        rank = np.empty(len(s.needed), dtype=np.int64)
        rank[order] = np.arange(len(order))
        given, kind = s.operands[order], s.kinds[order]
        count, period = s.count, len(given)
        operands = np.empty((count, period, 3), dtype=np.int32)
        operands[:] = given
        kinds = np.empty((count, period, 3), dtype=np.int8)
        kinds[:] = kind
        later = shift + begin + period * np.arange(count)[:, np.newaxis]
        for k in range(3):
            mine = np.flatnonzero(kind[:, k] == OPERATION)
            operands[:, mine, k] = later + rank[given[mine, k]]
            mine = np.flatnonzero(kind[:, k] == INPUT)
            numbers = s.taken[:, given[mine, k]]
            fixed = numbers < 0
            operands[:, mine, k] = np.where(fixed, -2 - numbers, shift + new[numbers])
            kinds[:, mine, k] = np.where(fixed, CONSTANT, np.where(numbers < self.first, INPUT, OPERATION))
            for j in np.flatnonzero(kind[:, k] == NUMBER).tolist():
                operands[:, j, k] = s.checks[given[j, k]]
        return operands.reshape(-1, 3), kinds.reshape(-1, 3)


def _size(shape: Sequence[int]) -> int:
    return int(np.prod(shape, dtype=int))


def _strided(shape: Sequence[int], strides: Sequence[int]) -> Any:
    """Return how many entries stand before each of a part, after the first one."""
    within = np.zeros((), dtype=np.int64)
    for n, step in zip(shape, strides, strict=True):
        within = within[..., np.newaxis] + step * np.arange(n)
    return within.ravel()


def _entries(x: Any) -> list[Any]:
    """Return the entries of a constant as numbers of double precision, or truth values."""
    found = np.ravel(np.asarray(x))
    if found.dtype == bool:
        return list(found.tolist())
    numbers = found.astype(float)
    if not np.array_equal(numbers.astype(found.dtype), found):
        raise NotScalarError("a constant that is no number of double precision")
    return list(numbers.tolist())
