"""The sparse ways to a Jacobian: row-sparse duals, and products with few seeds that colours found.

- **Row-sparse duals** need no plan: every tangent says which directions reach its entries, run by run.
- **Compressed**: columns no row needs to tell apart are pushed together, rows no column needs to tell apart pulled together, or
  some of either. The pattern was read off a tape, so every run is recorded and held against that program first: an
  entry the pattern lacks would not be a crash but a wrong number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from dualdiff.coloring import (
    BidirectionalColoring,
    Coloring,
    color_acyclic,
    color_both,
    color_columns,
    color_rows,
    color_star,
    column_entries,
    row_entries,
    substitution,
    symmetric_entries,
)
from dualdiff.dual import CrowdedError
from dualdiff.errors import InputError
from dualdiff.jacobians.ways import Problem, one_hot, run_duals
from dualdiff.passes import pull, push
from dualdiff.primitive import TRACED
from dualdiff.reach import numbers, redone_if_not_finite
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tape import Tape
from dualdiff.terms import Columns, Terms, map_of, settled

ndarray = np.ndarray

# --------------------------------------------------------------------------------------------------
# the result


def matrix(data: Any, columns: Any, starts: Any, shape: tuple[int, int]) -> csr_array:
    """Return a sparse matrix that owns its index arrays: users may write into what they get."""
    whole = csr_array((data, columns.copy(), starts.copy()), shape=shape)
    whole.has_canonical_format = True
    return whole


def check_sparse(problem: Problem, values: Sequence[Any]) -> None:
    """Raise where a sparse Jacobian cannot be built."""
    if any(type(x) in TRACED for x in (*problem.inputs, *values)):
        raise InputError(
            "a sparse Jacobian holds plain numbers, so it cannot be differentiated again: use sparse=False inside other operators"
        )
    if any(dtype_of(x).kind == "c" for x in (*problem.inputs, *values)):
        raise InputError("sparse=True is for real functions; use sparse=False for complex ones")


# --------------------------------------------------------------------------------------------------
# row-sparse duals


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
            found = np.empty(len(self.columns), dtype)
            for runs, c in zip(self.runs, terms.values(), strict=True):
                flat = np.reshape(np.broadcast_to(c, shape), -1) if shape_of(c) else None
                for to, source in runs:
                    found[to] = c if flat is None else flat[source]
            return found
        values = np.empty((len(terms), *shape), dtype)
        for n, c in enumerate(terms.values()):
            values[n] = c
        found = values.reshape(-1).take(self.order)
        return found if self.sums is None else np.add.reduceat(found, self.sums) if size else found


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
        source = order[to] - k * size
        # A run ends where either step changes; a lone entry between two runs is a run of its own.
        change = np.flatnonzero((np.diff(to, n=2) != 0) | (np.diff(source, n=2) != 0)) + 1
        if len(change) > 2 * most:
            return None
        runs, start, n = [], 0, len(to)
        while start < n:
            later = change[change > start]
            stop = int(later[0]) + 1 if len(later) else n
            by, step = (to[start + 1] - to[start], source[start + 1] - source[start]) if stop - start > 1 else (1, 1)
            if step < 1:
                return None
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


def row_sparse(problem: Problem, known: tuple[Layout | None, ...], most: int) -> tuple[list[Any], csr_array, Any]:
    """Run the function on row-sparse duals, all directions at once.

    Parameters
    ----------
    problem : Problem
        The function at its point.
    known : tuple of Layout or None
        Layouts of the outputs of an earlier run, used where the maps are the same again.
    most : int
        The most elements that an array of all directions may have.

    Returns
    -------
    values : list
        The outputs.
    jacobian : csr_array
        Of shape (m, n).
    layouts : tuple
        For the next run.

    Raises
    ------
    CrowdedError
        Inside the engine, where a tangent is not sparse.
    """
    tangents, offset = [], 0
    n = problem.n
    for x in problem.inputs:
        shape = shape_of(x)
        tangents.append(one_hot(0, n, offset, shape, size_of(shape)))
        offset += size_of(shape)
    parts: list[Any] = []

    def finish(t: Any, v: Any, run: Any) -> Any:
        shape, dtype = shape_of(v), dtype_of(v)
        if type(t) is Terms or type(t) is Columns:
            t = settled(t)
        else:
            t = np.reshape(t, (n, size_of(shape)))
            if run.most is not None and t.size > run.most:
                raise CrowdedError
            rows, columns = np.nonzero(t.T)
            starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=size_of(shape)))])
            parts.append((None, columns.astype(np.int32), starts))
            return t.T[rows, columns]
        k = len(parts)
        found = known[k] if k < len(known) else None
        if found is None or not found.fits(t, shape):
            found = layout(t, shape)
        parts.append((found, found.columns, found.starts))
        return found.data(t, shape, dtype)

    def restart(t: Any, v: Any, run: Any) -> Any:
        if run is not restart.run:  # type: ignore[attr-defined]
            restart.run = run  # type: ignore[attr-defined]
            parts.clear()
        return finish(t, v, run)

    restart.run = None  # type: ignore[attr-defined]
    values, data = run_duals(problem, tangents, (n,), restart, most)
    check_sparse(problem, values)
    columns, starts, total, layouts = [], [np.zeros(1, np.int64)], 0, []
    rest = iter(parts)
    for v, d in zip(values, data, strict=True):
        if d is None:
            starts.append(np.full(size_of(shape_of(v)), total))
            continue
        known_layout, c, s = next(rest)
        layouts.append(known_layout)
        columns.append(c)
        starts.append(s[1:] + total)
        total += len(c)
    live = [d for d in data if d is not None]
    m = sum(size_of(shape_of(v)) for v in values)
    if len(live) == len(data) == 1:
        return values, matrix(live[0], columns[0], parts[0][2], (m, n)), tuple(layouts)
    dtype = np.result_type(*[dtype_of(v) for v in values]) if values else np.dtype(float)
    whole = matrix(
        np.concatenate(live).astype(dtype, copy=False) if live else np.zeros(0, dtype),
        np.concatenate(columns) if columns else np.zeros(0, np.int32),
        np.concatenate(starts),
        (m, n),
    )
    return values, whole, tuple(layouts)


# --------------------------------------------------------------------------------------------------
# compressed products


@dataclass(frozen=True, slots=True, eq=False)
class Compression:
    """A pattern, its colours, and where each nonzero stands in the compressed products."""

    name: str
    shape: tuple[int, int]
    columns: Any
    starts: Any
    column_colors: Any
    row_colors: Any
    column_count: int
    row_count: int
    order: str
    from_rows: Any
    entries: Any
    substitution: Any = None

    @property
    def nonzeros(self) -> int:
        """The structural nonzeros."""
        return len(self.columns)


def compression(pattern: csr_array, name: str, coloring: Any = None) -> Compression:
    """Colour a pattern for one of the ways.

    Parameters
    ----------
    pattern : csr_array
        The structural nonzeros.
    name : {"columns", "rows", "rows and columns", "star", "acyclic"}
        What is coloured.
    coloring : Coloring or BidirectionalColoring, optional
        Use these colours.

    Raises
    ------
    InputError
        If the given colours do not fit the pattern.
    """
    m, n = pattern.shape
    column_colors, row_colors = np.full(n, -1), np.full(m, -1)
    column_count = row_count = 0
    from_rows = entries = schedule = None
    order = "bidirectional"
    if name == "rows and columns":
        both = coloring or color_both(pattern)
        from_rows, entries = both.entries(pattern)
        column_colors, row_colors = both.column_colors, both.row_colors
        column_count, row_count = both.column_count, both.row_count
    elif name == "rows":
        c = coloring or color_rows(pattern)
        entries = row_entries(pattern, c)
        row_colors, row_count, order = c.colors, c.count, c.order
    else:
        color = {"columns": color_columns, "star": color_star, "acyclic": color_acyclic}[name]
        c = coloring or color(pattern)
        column_colors, column_count, order = c.colors, c.count, c.order
        if name == "acyclic":
            schedule = substitution(pattern, c)
        else:
            entries = (column_entries if name == "columns" else symmetric_entries)(pattern, c)
    return Compression(
        name,
        (m, n),
        pattern.indices.astype(np.int32),
        pattern.indptr,
        column_colors,
        row_colors,
        column_count,
        row_count,
        order,
        from_rows,
        entries,
        schedule,
    )


def check_coloring(pattern: csr_array, coloring: Any, symmetric: bool = False) -> str:
    """Return the way that given colours are for; raise unless every nonzero can be read from them."""
    m, n = pattern.shape
    if symmetric and isinstance(coloring, Coloring) and len(coloring.colors) == n:
        for name, reads in (("star", symmetric_entries), ("acyclic", substitution)):
            try:
                reads(pattern, coloring)
            except InputError:
                continue
            return name
        raise InputError("the colouring is neither a star nor an acyclic colouring of this Hessian's pattern")
    if isinstance(coloring, BidirectionalColoring):
        if len(coloring.row_colors) != m or len(coloring.column_colors) != n:
            raise InputError(f"the colouring is for another shape than that of this Jacobian, ({m}, {n})")
        coloring.entries(pattern)
        return "rows and columns"
    if not isinstance(coloring, Coloring):
        raise InputError(f"coloring={coloring!r} must be 'columns', 'rows', 'both', or colours from dualdiff.coloring")
    if len(coloring.colors) != n:
        raise InputError(f"the colouring has {len(coloring.colors)} columns where the Jacobian has {n}")
    rows = np.repeat(np.arange(m), np.diff(pattern.indptr))
    colors = coloring.colors[pattern.indices]
    if (colors < 0).any():
        raise InputError("the colouring leaves a column without a colour that has nonzeros in this Jacobian")
    key = rows * (coloring.count + 1) + colors
    if len(np.unique(key)) != len(key):
        raise InputError("the colouring gives two columns one colour that share a row of this Jacobian's pattern")
    return "columns"


def compressed(
    problem: Problem, tape: Tape, values: Sequence[Any], plan: Compression, chunk: int | None = None
) -> csr_array:
    """Carry the seeds of a compression through a tape and read the nonzeros from the products."""
    check_sparse(problem, values)
    dtype = np.result_type(*[dtype_of(v) for v in values]) if values else np.dtype(float)
    data = redone_if_not_finite(lambda: _read(problem, tape, values, plan, chunk, dtype))
    return matrix(data, plan.columns, plan.starts, plan.shape)


def _read(problem: Problem, tape: Tape, values: Sequence[Any], plan: Compression, chunk: int | None, dtype: Any) -> Any:
    m, n = plan.shape
    by_columns = by_rows = None
    if plan.column_count:
        by_columns = np.zeros((plan.column_count, m), dtype)
        for lo, hi in _chunks(plan.column_count, chunk):
            seeds = _seeds(problem.inputs, plan.column_colors, lo, hi)
            _fill(by_columns[lo:hi], push(tape, seeds, tape.outputs, (hi - lo,)), values)
    if plan.row_count:
        by_rows = np.zeros((plan.row_count, n), dtype)
        for lo, hi in _chunks(plan.row_count, chunk):
            seeds = _seeds(values, plan.row_colors, lo, hi)
            pairs = [(s, w) for s, w in zip(tape.outputs, seeds, strict=True) if s >= 0]
            _fill(by_rows[lo:hi], pull(tape, pairs, (hi - lo,)), problem.inputs)
    if plan.substitution is not None:
        return np.asarray(plan.substitution(by_columns), dtype)
    if plan.from_rows is None:
        source = by_columns if by_columns is not None else by_rows
        return np.zeros(0, dtype) if source is None else source.reshape(-1).take(plan.entries)
    data = np.empty(plan.nonzeros, dtype)
    if by_rows is not None:
        data[plan.from_rows] = by_rows.reshape(-1)[plan.entries[plan.from_rows]]
    if by_columns is not None:
        data[~plan.from_rows] = by_columns.reshape(-1)[plan.entries[~plan.from_rows]]
    return data


def _chunks(count: int, chunk: int | None) -> list[tuple[int, int]]:
    step = min(chunk or count, count)
    return [(a, min(a + step, count)) for a in range(0, count, step)]


def _seeds(leaves: Sequence[Any], colors: Any, lo: int, hi: int) -> list[Any]:
    """Return for each leaf the seeds of colours ``lo`` to ``hi``: one where an entry has the colour."""
    seeds, offset = [], 0
    for x in leaves:
        shape = shape_of(x)
        size = size_of(shape)
        mine = colors[offset : offset + size] - lo
        seed = np.zeros((hi - lo, size), dtype_of(x))
        at = np.flatnonzero((mine >= 0) & (mine < hi - lo))
        seed[mine[at], at] = 1
        seeds.append(seed.reshape((hi - lo, *shape)))
        offset += size
    return seeds


def _fill(block: Any, found: Sequence[Any], leaves: Sequence[Any]) -> None:
    offset = 0
    for t, x in zip(numbers(found), leaves, strict=True):
        size = size_of(shape_of(x))
        if t is not None:
            block[:, offset : offset + size] = np.reshape(t, (len(block), size))
        offset += size
