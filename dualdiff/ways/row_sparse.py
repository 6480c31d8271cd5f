"""Row-sparse duals: one run in which every tangent says which directions reach its entries.

Nothing is coloured and nothing probed: the pattern comes out of each run anew. Where the nonzeros of an output stand
among the coefficients of its terms is found once and used again while the maps are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import scipy

from dualdiff.coloring.patterns import coordinates
from dualdiff.dual import CrowdedError
from dualdiff.kinds.base import ALL
from dualdiff.matrices import matrix
from dualdiff.passes.costs import Quantities, add_run_of_duals, peak
from dualdiff.passes.multiplications import Multiplications
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tangents import Terms, map_of, settled, spread, zeros_beside
from dualdiff.values import TRACED, raw
from dualdiff.ways.base import Answer, Way
from dualdiff.ways.options import Options
from dualdiff.ways.problem import Problem, check_sparse, identity, run_duals
from dualdiff.ways.program import Program

Layouts = tuple["Layout | None", ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class RowSparse(Way):
    """Push the identity once, as terms."""

    nonzeros: Any = field(default=None, repr=False)
    """The structural nonzeros, if a result's tangent would be an array of all directions."""
    places: dict[tuple[int, int], Any] = field(default_factory=dict, repr=False)
    """Those of some rows, as they were asked for: rows, columns, and where rows begin."""
    known: list[Layouts] = field(default_factory=lambda: [()], repr=False)
    """The layouts of the latest run."""

    name = "row-sparse"
    asked = {"sparse": ("auto", "forward"), "symmetric": ("auto", "forward")}
    nests = True

    @classmethod
    def at(cls, program: Program, options: Options, exact: bool = True) -> Self | None:
        n, m = program.inputs, program.outputs
        pattern = program.pattern
        found = program.results(n, True)
        most = options.crowded
        for out, form in zip(program.tape.results, found, strict=True):
            if form == ALL and size_of(shape_of(out)) * n > most:
                return None  # a tangent that is not sparse
        return cls(
            outputs=m,
            inputs=n,
            entries=pattern.nnz,
            columns=n,
            nonzeros=pattern if any(form == ALL for form in found) else None,
        )

    def quantities(self, program: Program) -> Quantities:
        q: Quantities = {"frame": 3.0}
        add_run_of_duals(q, program.tape, program.steps, program.forms(self.columns, True), self.columns)
        q["scatter"] = q.get("scatter", 0.0) + 2.0 * self.entries
        return q

    def memory(self, program: Program) -> int:
        return 2 * self.entries * (program.itemsize + 4) + peak(
            program.tape, self.inputs, program.forms(self.inputs, True)
        )

    def multiplications(self, program: Program) -> Multiplications:
        return program.multiplications("forward")

    @property
    def sweeps(self) -> int:
        return 1

    @property
    def says(self) -> str:
        return "one run of row-sparse duals"

    @property
    def details(self) -> str:
        return f"{self.entries:,} structural nonzeros, read from the terms of each run"

    def run(self, problem: Problem, options: Options, program: Program | None) -> Answer:
        """Run the function on row-sparse duals, all directions at once.

        Raises
        ------
        CrowdedError
            Inside the engine, where a tangent is not sparse.
        """
        n, known = problem.n, self.known[0]
        reader: list[Any] = [None, []]  # the run whose outputs are read, and what they were read by

        def finish(t: Any, v: Any, run: Any) -> Any:
            if run is not reader[0]:  # the first output, of the first run or of the careful one after it
                reader[:] = run, []
            parts = reader[1]
            shape, dtype = shape_of(v), dtype_of(v)
            if isinstance(t, Terms):
                t = settled(t)
            else:
                t = np.reshape(t, (n, size_of(shape)))
                if run.most is not None and t.size > run.most:
                    raise CrowdedError
                parts.append((None, None, None))
                return t.T
            k = len(parts)
            found = known[k] if k < len(known) else None
            if found is None or not found.fits(t, shape):
                found = layout(t, shape)
            parts.append((found, found.columns, found.starts))
            return found.data(t, shape, dtype)

        values, data = run_duals(problem, identity(problem.inputs), (n,), finish, options.crowded)
        check_sparse(problem, values)
        parts = reader[1]
        self.known[0] = tuple([p[0] for p in parts])
        m = sum(size_of(shape_of(v)) for v in values)
        if any(p[1] is None for p in parts):
            if all(type(x) not in TRACED for x in problem.inputs) and any(type(d) in TRACED for d in data):
                raise CrowdedError  # an outer operator's values come in by another door: this may not be the run that was recorded
            parts, data = self._without_zeros(parts, values, data)
        if len(data) == len(parts) == 1:
            return Answer(values, whole=matrix(data[0], parts[0][1], parts[0][2], (m, n)))
        columns, starts, total = [], [np.zeros(1, np.int64)], 0
        rest = iter(parts)
        for v, d in zip(values, data, strict=True):
            if d is None:
                starts.append(np.full(size_of(shape_of(v)), total))
                continue
            _, c, s = next(rest)
            columns.append(c)
            starts.append(s[1:] + total)
            total += len(c)
        live = [d for d in data if d is not None]
        dtype = np.result_type(*[dtype_of(v) for v in values]) if values else np.dtype(float)
        whole = matrix(
            np.concatenate(live).astype(dtype, copy=False) if live else np.zeros(0, dtype),
            np.concatenate(columns) if columns else np.zeros(0, np.int32),
            np.concatenate(starts),
            (m, n),
        )
        return Answer(values, whole=whole)

    def _without_zeros(self, parts: Sequence[Any], values: Sequence[Any], data: Sequence[Any]) -> tuple[Any, Any]:
        """Take the structural nonzeros out of arrays of all rows: those of the program, if there is none besides at this point."""
        found, picked, top = [], [], 0
        rest = iter(parts)
        for v, d in zip(values, data, strict=True):
            size = size_of(shape_of(v))
            part = None if d is None else next(rest)
            if part is not None and part[1] is None:
                own, plain = self._part(top, top + size), raw(d)
                if own is None or np.count_nonzero(plain[own[:2]]) < np.count_nonzero(plain):
                    if type(d) in TRACED:
                        raise CrowdedError  # zeros at this point may be none at others
                    # This is another branch of the function, which only a new decision would know.
                    own = _places(scipy.sparse.csr_array(plain))
                part, d = (None, *own[1:]), d[own[:2]]
            if part is not None:
                found.append(part)
            picked.append(d)
            top += size
        return found, picked

    def _part(self, top: int, bottom: int) -> Any:
        """Return the structural nonzeros of some rows; None where they are not known."""
        if self.nonzeros is None:
            return None
        if (top, bottom) not in self.places:
            self.places[top, bottom] = _places(self.nonzeros[top:bottom])
        return self.places[top, bottom]


def _places(pattern: Any) -> tuple[Any, Any, Any]:
    """Return the rows and columns of the entries of a pattern, and where rows begin."""
    return coordinates(pattern)[0], pattern.indices.astype(np.int32), pattern.indptr


# --------------------------------------------------------------------------------------------------
# where coefficients go


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the coefficients of one output's terms stand among the nonzeros of its rows.

    Attributes
    ----------
    shape : tuple of int
        That of the output.
    keys : tuple
        The directions or maps of the terms.
    columns, starts : ndarray
        The pattern: column numbers row by row, and where rows begin.
    runs : tuple or None
        Steps that fill the nonzeros: a term, slices of the nonzeros and of its entries that fit each other, and whether these
        are added to what stands there.
    rounds : tuple
        Where the slices would be many: places among all coefficients, of the first one of every nonzero, then of the
        second ones, with the nonzeros that these are added to, and so on.
    """

    shape: tuple[int, ...]
    keys: tuple[Any, ...]
    columns: Any
    starts: Any
    runs: Any
    rounds: Any = ()

    def fits(self, terms: Any, shape: tuple[int, ...]) -> bool:
        """Whether terms have the very maps this layout was made for, and the value the shape."""
        if shape != self.shape or len(terms) != len(self.keys):
            return False
        return all(type(mine) is type(key) and mine == key for mine, key in zip(self.keys, terms))

    def data(self, terms: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the nonzeros, row by row."""
        traced = not TRACED.isdisjoint(map(type, terms.values()))

        def memory(shape: tuple[int, ...]) -> Any:  # of which every entry will be written
            return zeros_beside(terms.values(), shape, dtype) if traced else np.empty(shape, dtype)

        if self.runs is None:
            values = memory((len(terms), *shape))
            for n, c in sorted(enumerate(terms.values()), key=lambda term: type(term[1]) in TRACED):
                values[n] = c
            values = np.reshape(values, -1)
            found = np.take(values, self.rounds[0][1])
            for to, source in self.rounds[1:]:
                found[to] += np.take(values, source)
            return found
        found = memory((len(self.columns),))
        flat = [np.reshape(spread(c, shape), -1) if shape_of(c) else c for c in terms.values()]
        for k, to, source, adds in self.runs:
            c = flat[k][source] if shape_of(flat[k]) else flat[k]
            if not adds:
                found[to] = c
            elif traced:
                found[to] = found[to] + c
            else:
                found[to] += c
        return found


def layout(terms: Any, shape: tuple[int, ...]) -> Layout:
    """Return the order in which coefficients of terms become rows with sorted columns."""
    size = size_of(shape)
    keys = tuple(terms)  # whoever writes into a tangent leaves alone what another holds
    if not keys or not size:
        return Layout(shape, keys, np.zeros(0, np.int32), np.zeros(size + 1, np.int32), ())
    columns = np.stack([np.reshape(map_of(k, shape), -1) for k in terms]) - 1
    place = np.flatnonzero(columns >= 0)
    rows = place % size
    columns = columns.reshape(-1)[place]
    inner = np.lexsort((columns, rows))
    order, rows, columns = place[inner], rows[inner], columns[inner]
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows[new], minlength=size))]).astype(np.int32)
    to = np.cumsum(new) - 1
    # What is constant beside traced coefficients is written first: then it is a part of what the others are written into.
    by_kind = sorted(range(len(keys)), key=lambda k: type(list(terms.values())[k]) in TRACED)
    runs = _runs(order, to, by_kind, size)
    rounds = () if runs is not None else _rounds(order, to, new)
    return Layout(shape, keys, columns[new].astype(np.int32), starts, runs, rounds)


def _rounds(order: Any, to: Any, new: Any) -> Any:
    """Return the places of the first coefficient of every nonzero, of the second ones, and so on, with their nonzeros."""
    nth = np.arange(len(to)) - np.flatnonzero(new)[to]
    return tuple([(to[nth == n], order[nth == n]) for n in range(int(nth.max(initial=0)) + 1)])


def _runs(order: Any, to: Any, terms: Sequence[int], size: int) -> Any:
    """Return, term by term, slices of the nonzeros and of its entries that fit each other; None if they are many.

    A stencil's coefficients go to every third place, or fifth: to say so takes no list of places, and no reading of one.
    """
    most = 2 + len(order) // 2000
    there = np.zeros(len(order), bool)
    found = []
    for k in terms:
        mine = np.flatnonzero((order >= k * size) & (order < (k + 1) * size))
        places, source = to[mine], order[mine] - k * size  # both ascend: a term has one entry a row at most
        adds = there[places]
        there[places] = True
        # A run ends where either step changes, or what is written is added; a lone entry between two runs is a run of its own.
        bends = (np.diff(places, n=2) != 0) | (np.diff(source, n=2) != 0)
        turns = np.flatnonzero(adds[1:] != adds[:-1]) + 1
        change = np.flatnonzero(bends) + 1
        if len(change) + len(turns) > 2 * most:
            return None
        start, n, runs = 0, len(places), 0
        while start < n:
            stop = min(
                [int(c[0]) + later for c, later in ((change[change > start], 1), (turns[turns > start], 0)) if len(c)],
                default=n,
            )
            several = stop - start > 1
            by, step = (places[start + 1] - places[start], source[start + 1] - source[start]) if several else (1, 1)
            last = stop - 1
            found.append(
                (
                    k,
                    slice(int(places[start]), int(places[last]) + 1, int(by)),
                    slice(int(source[start]), int(source[last]) + 1, int(step)),
                    bool(adds[start]),
                )
            )
            start, runs = stop, runs + 1
            if runs > most:
                return None
    return tuple(found)
