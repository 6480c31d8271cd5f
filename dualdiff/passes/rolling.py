"""Straight lists of operations whose repeated runs are found and rolled into loops.

A loop of the user's program leaves thousands of equal stretches on a recording. A stretch is a period where every operation is
that of one period earlier, and every operand has moved by a step that stays the same: by the period itself where it is computed in
the loop, by 0 where it does not change, by another step where it runs along an array. Periods are proposed by equal windows of
operations, as repeats in texts are by equal fingerprints (Karp & Rabin, "Efficient randomized pattern-matching algorithms",
IBM J. Res. Dev. 31 (1987), doi:10.1147/rd.312.0249); whether one holds is then decided exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np

from dualdiff.garbage import uncollected
from dualdiff.passes.scalars import NotScalarError, Scalars

__all__ = ["Listing", "Loop", "Piece", "Straight", "Stretch", "listed", "numbered", "pieces", "unrolled"]

WINDOW = 24
"""Operations on numbers that are compared at once when a period is looked for."""
NEAR = 64
"""Operands up to so many operations back are part of what is compared: where a loop carries them, they stay as far away."""
PROPOSED = 16
"""Periods that are tried on one stretch."""
WORTH = 128
"""Operations on numbers that a loop must save."""
DEPTH = 6

NONE, CONSTANT, INPUT, OPERATION, NUMBER = range(5)
"""What an operand is. A number is none of the program's: of a check, or of an entry of the results."""


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """Operations in the order in which they are carried out, as arrays.

    Values are numbered: first the constants, then the entries of the inputs, then the results of the operations.

    Attributes
    ----------
    names : list
        The names that occur. ``check`` compares its truth value with True, or with False (``check not``), and has a number;
        ``output`` delivers its value as the entry of a number, counted through all outputs.
    codes : array of int, shape (n,)
        By operation, which name it has.
    operands : array of int, shape (n, m)
        The values that it takes, -1 where it takes fewer.
    kinds : array of int, shape (n, m)
        What each operand is.
    constants : list
        Numbers and truth values.
    inputs : list of tuple
        Of every input its number and how many entries there are.
    window : int
        How many operations are compared at once when a period is looked for.
    worth : int
        How many operations a loop must save.
    """

    names: list[Any]
    codes: Any
    operands: Any
    kinds: Any
    constants: list[Any]
    inputs: list[tuple[int, int]]
    window: int = WINDOW
    worth: int = WORTH

    @property
    def first_input(self) -> int:
        """The number of the first entry of the inputs."""
        return len(self.constants)

    @property
    def first(self) -> int:
        """The number of the first operation's result."""
        return len(self.constants) + sum(size for _, size in self.inputs)


@dataclass(frozen=True, slots=True, eq=False)
class Straight:
    """Operations that are carried out once: those from ``start`` up to ``stop``."""

    start: int
    codes: Any
    operands: Any
    kinds: Any

    @property
    def stop(self) -> int:
        """Where what comes after begins."""
        return self.start + len(self.codes)


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """Operations that are carried out again and again.

    Attributes
    ----------
    start : int
        Where the first period begins.
    count : int
        How many periods there are.
    codes, kinds : array
        The operations of one period, and what their operands are from the second period on.
    initial, second, step : array
        The operands in the first period; in the second one; and by how much they move from then on.
    tables : dict
        Of operands that are constants, but not always the same: by operation and operand, those of every period.
    """

    start: int
    count: int
    codes: Any
    kinds: Any
    initial: Any
    second: Any
    step: Any
    tables: dict[tuple[int, int], Any]

    @property
    def period(self) -> int:
        """How many operations one period has."""
        return len(self.codes)

    @property
    def stop(self) -> int:
        """Where what comes after begins."""
        return self.start + self.count * self.period

    def taken(self, j: int, k: int) -> Any:
        """Return an operand in every period."""
        if (j, k) in self.tables:
            return self.tables[j, k]
        found = self.second[j, k] + self.step[j, k] * (np.arange(self.count) - 1)
        found[0] = self.initial[j, k]
        return found


Piece = Straight | Loop


@dataclass(frozen=True, slots=True)
class Stretch:
    """Operations of which it is known that a period repeats: where they begin, how often it does, and how many it has."""

    start: int
    count: int
    period: int

    @property
    def stop(self) -> int:
        """Where what comes after begins."""
        return self.start + self.count * self.period


# --------------------------------------------------------------------------------------------------
# lists


class _Writer:
    """Operations that are added to those of a graph, each at its place in the order."""

    def __init__(self, scalars: Scalars) -> None:
        operations = scalars.operations
        self.code_of: dict[Any, int] = {"unused": 0, "constant": 1, "input": 2, "all": 3, "any": 4}
        code_of = self.code_of
        self.next = len(operations)  # the next node
        codes = np.array([code_of.setdefault(o[0], len(code_of)) for o in operations], dtype=np.int32)
        self.constants = {int(n): operations[n][1] for n in np.flatnonzero(codes == code_of["constant"])}
        self.inputs = {int(n): operations[n][1:] for n in np.flatnonzero(codes == code_of["input"])}
        self.rows: list[tuple[int, int, int, int, int, int, int]] = []  # place, rank there, code, three operands, node
        self.blocks: list[Any] = []
        arities = np.fromiter(map(len, operations), dtype=np.int32, count=len(operations)) - 1
        plain = codes > code_of["any"]
        for arity in (1, 2, 3):
            chosen = plain & (arities == arity)
            nodes = np.flatnonzero(chosen)
            block = np.full((len(nodes), 7), -1, dtype=np.int64)
            block[:, 0] = block[:, 6] = nodes
            block[:, 1] = 0
            block[:, 2] = codes[nodes]
            rows = list(compress(operations, chosen.tolist()))
            for k in range(arity):
                block[:, 3 + k] = np.fromiter([row[1 + k] for row in rows], dtype=np.int64, count=len(rows))
            self.blocks.append(block)
        if np.any(plain & ((arities < 1) | (arities > 3))):
            raise NotScalarError("an operation of more than three operands")
        for n in np.flatnonzero((codes == code_of["all"]) | (codes == code_of["any"])):
            self.chain(int(n), *operations[n])

    def fixed(self, n: int) -> bool:
        return n in self.constants or n in self.inputs

    def add(self, place: int, rank: int, name: str, *operands: int, node: int | None = None) -> int:
        code = self.code_of.setdefault(name, len(self.code_of))
        if node is None:
            node, self.next = self.next, self.next + 1
        given = (*operands, -1, -1, -1)
        self.rows.append((place, rank, code, given[0], given[1], given[2], node))
        return node

    def chain(self, n: int, name: str, *operands: int) -> None:
        """Write a conjunction or disjunction of many as a chain."""
        if not operands:
            self.constants[n] = name == "all"
            return
        word = "logical_and" if name == "all" else "logical_or"
        last = operands[0]
        rest = operands[1:] or operands
        for rank, m in enumerate(rest):
            last = self.add(n, rank, word, last, m, node=n if rank == len(rest) - 1 else None)


_AFTER = 1 << 40
"""The rank of what comes after an operation: its checks, then where its result is delivered."""


def listed(scalars: Scalars, expected: Sequence[Any]) -> Listing:
    """Return the operations of a graph as a list, with its checks and outputs among them, each as soon as it can be.

    Parameters
    ----------
    scalars : Scalars
        The graph.
    expected : sequence
        What each check is to find.
    """
    return numbered(scalars, expected)[0]


def numbered(scalars: Scalars, expected: Sequence[Any]) -> tuple[Listing, Any]:
    """Return the same, and by node of the graph its number in the list; that of an operation is where it stands, after all others."""
    with uncollected():
        writer = _Writer(scalars)
    for c, (nodes, then) in enumerate(zip(scalars.checks, expected, strict=True)):
        wanted = np.asarray(then).ravel().tolist()
        place = max([n for n in nodes if not writer.fixed(n)], default=-1)
        for r, (n, value) in enumerate(zip(nodes, wanted, strict=True)):
            rank = _AFTER + (c << 20) + 2 * r
            if not isinstance(value, bool) and value != value:
                n, value = writer.add(place, rank, "isnan", n), True
            elif not isinstance(value, bool):
                constant, writer.next = writer.next, writer.next + 1
                writer.constants[constant] = float(value)
                n, value = writer.add(place, rank, "equal", n, constant), True
            writer.add(place, rank + 1, "check" if value else "check not", n, c)
    entry, last = 0, len(scalars.operations)
    for _, nodes in scalars.outputs:
        for n in nodes:
            writer.add(last if writer.fixed(n) else n, 2 * _AFTER + entry, "output", n, entry)
            entry += 1
    return _numbered(writer)


def _numbered(writer: _Writer) -> tuple[Listing, Any]:
    table = np.concatenate([*writer.blocks, np.array(writer.rows, dtype=np.int64).reshape(-1, 7)])
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    sizes: dict[int, int] = {}
    for i, k in writer.inputs.values():
        sizes[i] = max(sizes.get(i, 0), k + 1)
    inputs = sorted(sizes.items())
    first_of, at = {}, len(writer.constants)
    for i, size in inputs:
        first_of[i] = at
        at += size
    numbers = np.full(writer.next + 1, -1, dtype=np.int64)  # the last one is that of no operand
    kind_of = np.full(writer.next + 1, NONE, dtype=np.int8)
    for number, n in enumerate(writer.constants):
        numbers[n], kind_of[n] = number, CONSTANT
    for n, (i, k) in writer.inputs.items():
        numbers[n], kind_of[n] = first_of[i] + k, INPUT
    numbers[table[:, 6]] = at + np.arange(len(table))
    kind_of[table[:, 6]] = OPERATION
    codes, given = table[:, 2].astype(np.int32), table[:, 3:6]
    operands, kinds = numbers[given].astype(np.int32), kind_of[given]
    numbered = np.zeros(len(writer.code_of), dtype=bool)
    for name in ("check", "check not", "output"):
        if name in writer.code_of:
            numbered[writer.code_of[name]] = True
    raw = numbered[codes]
    operands[raw, 1], kinds[raw, 1] = given[raw, 1], NUMBER
    return Listing(list(writer.code_of), codes, operands, kinds, list(writer.constants.values()), inputs), numbers


# --------------------------------------------------------------------------------------------------
# repeats


def pieces(listing: Listing, known: Sequence[Stretch] = ()) -> list[Piece]:
    """Split a list into loops and what is carried out once.

    Parameters
    ----------
    listing : Listing
        The list.
    known : sequence of Stretch
        Where periods are known, one stretch after the other and all of the list; otherwise they are looked for.
    """
    known = known or [Stretch(0, 1, len(listing.codes))]
    found_loops = [
        loop for s in known for loop in _loops(listing, s.start, s.stop, 0, s.period if s.count > 1 else None)
    ]
    loops = sorted(found_loops, key=lambda loop: loop.start)
    found: list[Piece] = []
    at = 0
    for loop in loops:
        if loop.start > at:
            found.append(_straight(listing, at, loop.start))
        found.append(loop)
        at = loop.stop
    if at < len(listing.codes):
        found.append(_straight(listing, at, len(listing.codes)))
    return found


def unrolled(piece: Piece) -> tuple[Any, Any]:
    """Return the operations of a piece one after the other: codes and operands."""
    if isinstance(piece, Straight):
        return piece.codes, piece.operands
    most = piece.kinds.shape[1]
    operands = np.empty((piece.count, piece.period, most), dtype=np.int64)
    for j in range(piece.period):
        for k in range(most):
            operands[:, j, k] = piece.taken(j, k)
    return np.tile(piece.codes, piece.count), operands.reshape(-1, most)


def _straight(listing: Listing, start: int, stop: int) -> Straight:
    return Straight(start, listing.codes[start:stop], listing.operands[start:stop], listing.kinds[start:stop])


def _loops(listing: Listing, start: int, stop: int, depth: int, known: int | None = None) -> Iterator[Loop]:
    """Find the loops of a stretch, of which a period may be known: those that save most, then those between them."""
    if stop - start < listing.worth + listing.window or depth > DEPTH:
        return
    runs: list[tuple[int, int, int, int]] = []  # saved, start, period, count
    left = stop - start
    enough = max(listing.worth, (stop - start) // 50)
    tried: set[int] = set()
    if known is not None:
        tried.add(known)
        runs += _runs(listing, start, stop, known)
        enough = max(enough, 4 * known)  # the first and the last periods may be others
        left = stop - start - sum(saved for saved, *_ in _apart(runs))
    for along in (False, True):
        if left <= enough:
            break
        for period in _periods(listing, start, stop, along):
            if left > enough and period not in tried:
                tried.add(period)
                runs += _runs(listing, start, stop, period)
                left = stop - start - sum(saved for saved, *_ in _apart(runs))
    chosen = sorted(_apart(runs), key=lambda run: run[1])
    if not chosen:
        return
    at = start
    for run in chosen:
        _, begin, period, count = _shortest(listing, run)
        yield from _loops(listing, at, begin, depth + 1)
        yield _loop(listing, begin, period, count)
        at = begin + period * count
    yield from _loops(listing, at, stop, depth + 1)


def _shortest(listing: Listing, run: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Return a run by the shortest period that it has: a multiple of one is a period as well."""
    saved, begin, period, count = run
    codes = listing.codes[begin + period : begin + 2 * period]  # which are part of whatever saves more
    for part in range(1, period // 2 + 1):
        if period % part == 0 and np.array_equal(codes[part:], codes[:-part]):
            for shorter in _runs(listing, begin, begin + period * count, part):
                if shorter[0] > saved:
                    return shorter
    return run


def _apart(runs: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Choose runs that do not overlap, those that save most first."""
    chosen: list[tuple[int, int, int, int]] = []
    for run in sorted(runs, reverse=True):
        _, begin, period, count = run
        if all(begin + period * count <= b or begin >= b + p * c for _, b, p, c in chosen):
            chosen.append(run)
    return chosen


def _periods(listing: Listing, start: int, stop: int, along: bool) -> list[int]:
    """Propose periods: distances from windows to the next equal ones, the most frequent first.

    What operands are is compared by how far back they are, or by how far they are from those of the operation before: where one
    operation runs along what others made, only that tells its periods.
    """
    codes, operands, kinds = listing.codes[start:stop], listing.operands[start:stop], listing.kinds[start:stop]
    mixed = codes.astype(np.uint64)
    places = listing.first + np.arange(start, stop, dtype=np.int64)
    for k in range(operands.shape[1]):
        if along:
            away = np.diff(operands[:, k].astype(np.int64), prepend=0)
        else:
            away = np.where(kinds[:, k] == OPERATION, places - operands[:, k], 0)
            away[away >= NEAR] = 0
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + (away * 8 + kinds[:, k]).astype(np.uint64)
    mixed ^= mixed >> np.uint64(29)
    size = len(mixed) - listing.window + 1
    hashes = np.zeros(size, dtype=np.uint64)
    for k in range(listing.window):
        hashes *= np.uint64(0xBF58476D1CE4E5B9)
        hashes += mixed[k : k + size]
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    distances = np.diff(order)[ordered[1:] == ordered[:-1]]
    if not len(distances):
        return []
    votes = np.bincount(distances[distances <= (stop - start) // 3])
    if not votes.size:
        return []
    best = np.argsort(votes)[::-1][:PROPOSED]
    return [int(p) for p in best if votes[p] >= listing.window]


def _runs(listing: Listing, start: int, stop: int, period: int) -> Iterator[tuple[int, int, int, int]]:
    """Find where a period holds: (operations saved, start, period, count)."""
    codes, operands, kinds = listing.codes, listing.operands, listing.kinds
    size = stop - start - 2 * period  # a period is at most a third of the stretch
    a, b, c = [slice(start + k * period, start + k * period + size) for k in range(3)]
    holds = (codes[a] == codes[b]) & (codes[b] == codes[c])
    for k in range(operands.shape[1]):
        x, y, z = operands[a, k], operands[b, k], operands[c, k]
        kind = kinds[b, k]
        holds &= (kind == kinds[a, k]) & (kind == kinds[c, k]) & ((y - x == z - y) | (kind == CONSTANT))
    edges = np.flatnonzero(np.diff(holds, prepend=False, append=False)).reshape(-1, 2)
    lengths = edges[:, 1] - edges[:, 0]
    saved = (lengths + 2 * period) // period * period  # with another period before
    for begin, end in edges[(lengths >= period) & (saved >= listing.worth)].tolist():
        begin, end = begin + start, end + start + 2 * period
        if begin - period >= start and _may_begin(listing, begin - period, period):
            begin -= period
        count = (end - begin) // period
        if (count - 1) * period >= listing.worth:
            yield (count - 1) * period, begin, period, count


def _may_begin(listing: Listing, begin: int, period: int) -> bool:
    """Whether the first period may stand before those that hold: what a period takes from the last one, it takes from anywhere."""
    a, b, c = [slice(begin + k * period, begin + (k + 1) * period) for k in range(3)]
    if not np.array_equal(listing.codes[a], listing.codes[b]):
        return False
    x, y, z = listing.operands[a], listing.operands[b], listing.operands[c]
    kind = listing.kinds[b]
    moves = (kind == listing.kinds[a]) & ((y - x == z - y) | (kind == CONSTANT))
    carried = (
        (kind == OPERATION) & (z - y == period) & (y >= listing.first + begin) & (y < listing.first + begin + period)
    )
    return bool(np.all(moves | carried))


def _loop(listing: Listing, begin: int, period: int, count: int) -> Loop:
    end = begin + period * count
    operands = listing.operands[begin:end].reshape(count, period, listing.operands.shape[1])
    kinds = listing.kinds[begin + period : begin + 2 * period]
    step = operands[2] - operands[1]
    tables: dict[tuple[int, int], Any] = {}
    for j, k in zip(*np.nonzero(kinds == CONSTANT), strict=True):
        if np.any(operands[:, j, k] != operands[0, j, k]):
            tables[int(j), int(k)] = operands[:, j, k]
            step[j, k] = 0
    return Loop(begin, count, listing.codes[begin : begin + period], kinds, operands[0], operands[1], step, tables)
