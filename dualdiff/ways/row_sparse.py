"""Row-sparse duals: one run in which every tangent says which directions reach its entries.

Nothing is coloured and nothing probed: the pattern comes out of each run anew. Where the nonzeros of an output stand
among the coefficients of its terms is found once and used again while the maps are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array

from dualdiff.coloring.patterns import coordinates
from dualdiff.dual import CrowdedError
from dualdiff.kinds.base import ALL
from dualdiff.matrices import matrix
from dualdiff.passes.costs import Quantities, add_run_of_duals, peak
from dualdiff.passes.multiplications import Multiplications
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tangents import Terms, map_of, settled, zeros_beside
from dualdiff.values import TRACED, raw
from dualdiff.ways.base import Answer, Way
from dualdiff.ways.options import Options
from dualdiff.ways.problem import Problem, check_sparse, identity, run_duals
from dualdiff.ways.program import Program

Layouts = tuple["Layout | None", ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class RowSparse(Way):
    """Push the identity once, as terms."""

    counts: tuple[int, ...] = field(default=(), repr=False)
    """On how many inputs an entry of each slot of the program depends."""
    rows: Any = field(default=None, repr=False)
    """The structural nonzeros, for results whose tangents are arrays of all directions."""
    known: list[Layouts] = field(default_factory=lambda: [()], repr=False)
    """The layouts of the latest run."""

    name = "row-sparse"
    asked = {"sparse": ("auto", "forward"), "symmetric": ("auto", "forward")}
    nests = True

    @classmethod
    def at(cls, program: Program, options: Options, exact: bool = True) -> Self | None:
        n, m = program.inputs, program.outputs
        pattern, counts = program.dependence
        found = program.results(n, True)
        most = options.crowded
        for out, form in zip(program.tape.results, found, strict=True):
            if form == ALL and size_of(shape_of(out)) * n > most:
                return None  # a tangent that is not sparse
        return cls(outputs=m, inputs=n, entries=pattern.nnz, columns=n, counts=counts, rows=pattern)

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
                own = None if self.rows is None else self.rows[top : top + size]
                plain = raw(d)
                if own is None or np.count_nonzero(plain[coordinates(own)]) < np.count_nonzero(plain):
                    own = csr_array(plain)  # another branch of the function, which only a new decision would know
                part, d = (None, own.indices.astype(np.int32), own.indptr), d[coordinates(own)]
            if part is not None:
                found.append(part)
            picked.append(d)
            top += size
        return found, picked


# --------------------------------------------------------------------------------------------------
# where coefficients go


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the coefficients of one output's terms stand among the nonzeros of its rows."""

    shape: tuple[int, ...]
    keys: tuple[Any, ...]
    order: Any
    sums: Any
    columns: Any
    starts: Any
    runs: Any = None

    def fits(self, terms: Any, shape: tuple[int, ...]) -> bool:
        """Whether terms have the very maps this layout was made for, and the value the shape."""
        if shape != self.shape or len(terms) != len(self.keys):
            return False
        return all(type(mine) is type(key) and mine == key for mine, key in zip(self.keys, terms))

    def data(self, terms: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the nonzeros, row by row."""
        size = size_of(shape)
        if self.runs is not None:
            found = self._empty(terms, (len(self.columns),), dtype)
            for runs, c in zip(self.runs, terms.values(), strict=True):
                flat = np.reshape(np.broadcast_to(c, shape), -1) if shape_of(c) else None
                for to, source in runs:
                    found[to] = c if flat is None else flat[source]
            return found
        values = self._empty(terms, (len(terms), *shape), dtype)
        for n, c in enumerate(terms.values()):
            values[n] = c
        found = np.take(np.reshape(values, -1), self.order)
        return found if self.sums is None else np.add.reduceat(found, self.sums) if size else found

    @staticmethod
    def _empty(terms: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return memory for the coefficients of terms, of which every entry will be written."""
        traced = not TRACED.isdisjoint(map(type, terms.values()))
        return zeros_beside(terms.values(), shape, dtype) if traced else np.empty(shape, dtype)


def layout(terms: Any, shape: tuple[int, ...]) -> Layout:
    """Return the order in which coefficients of terms become rows with sorted columns."""
    size = size_of(shape)
    keys = tuple(terms)  # whoever writes into a tangent leaves alone what another holds
    if not keys or not size:
        nothing = np.zeros(0, np.int32)
        return Layout(shape, keys, np.zeros(0, np.intp), None, nothing, np.zeros(size + 1, np.int32))
    columns = np.stack([np.reshape(map_of(k, shape), -1) for k in terms]) - 1
    place = np.flatnonzero(columns >= 0)
    rows = place % size
    columns = columns.reshape(-1)[place]
    inner = np.lexsort((columns, rows))
    order, rows, columns = place[inner], rows[inner], columns[inner]
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    sums = None if new.all() else np.flatnonzero(new)
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows[new], minlength=size))]).astype(np.int32)
    runs = _runs(order, len(keys), size) if sums is None else None
    return Layout(shape, keys, order, sums, columns[new].astype(np.int32), starts, runs)


def _runs(order: Any, terms: int, size: int) -> Any:
    """Return, for each term, slices of the nonzeros and of its entries that fit each other; None if they are many.

    A stencil's coefficients go to every third place, or fifth: to say so takes no list of places, and no reading of one.
    """
    most = 2 + len(order) // 2000
    found = []
    for k in range(terms):
        to = np.flatnonzero((order >= k * size) & (order < (k + 1) * size))
        source = order[to] - k * size  # it ascends: a term has one entry a row at most, and the rows stand in order
        # A run ends where either step changes; a lone entry between two runs is a run of its own.
        change = np.flatnonzero((np.diff(to, n=2) != 0) | (np.diff(source, n=2) != 0)) + 1
        if len(change) > 2 * most:
            return None
        runs, start, n = [], 0, len(to)
        while start < n:
            later = change[change > start]
            stop = int(later[0]) + 1 if len(later) else n
            by, step = (to[start + 1] - to[start], source[start + 1] - source[start]) if stop - start > 1 else (1, 1)
            last = stop - 1
            runs.append(
                (
                    slice(int(to[start]), int(to[last]) + 1, int(by)),
                    slice(int(source[start]), int(source[last]) + 1, int(step)),
                )
            )
            start = stop
            if len(runs) > most:
                return None
        found.append(tuple(runs))
    return tuple(found)
