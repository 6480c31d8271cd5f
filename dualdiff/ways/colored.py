"""Coloured ways: few seeds, from which every structural nonzero can be read.

Columns that no row needs to tell apart are pushed together, rows that no column needs to tell apart pulled together, or some of
either. The pattern was read off a tape, so every run is recorded and held against that program first: an entry the
pattern lacks would not be a crash but a wrong number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

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
from dualdiff.errors import InputError
from dualdiff.matrices import matrix
from dualdiff.passes.costs import Quantities, add_sweep, peak
from dualdiff.passes.multiplications import Multiplications
from dualdiff.passes.pull import pull
from dualdiff.passes.push import push
from dualdiff.reach import numbers, redone_if_not_finite
from dualdiff.shapes import dtype_of
from dualdiff.ways.base import Answer, Side, Way, needed
from dualdiff.ways.options import Options
from dualdiff.ways.problem import Problem, check_sparse, chunks, seeds, side_by_side
from dualdiff.ways.program import Program


@dataclass(frozen=True, slots=True, eq=False)
class Compression:
    """A pattern, its colours, and where each nonzero stands in the compressed products.

    Attributes
    ----------
    shape : tuple of int
        That of the Jacobian.
    columns, starts : ndarray
        The pattern: column numbers row by row, and where rows begin.
    column_colors, row_colors : ndarray or None
        The colour of every column, and row; -1 for none.
    column_count, row_count : int
        How many colours.
    order : str
        In which order they were given.
    entries : ndarray or None
        Where each nonzero stands in the products: those of rows, if there are any, then those of columns.
    substitution : callable or None
        What solves for the nonzeros, where they cannot be read.
    """

    shape: tuple[int, int]
    columns: Any
    starts: Any
    column_colors: Any = None
    row_colors: Any = None
    column_count: int = 0
    row_count: int = 0
    order: str = "bidirectional"
    entries: Any = None
    substitution: Any = None

    @property
    def nonzeros(self) -> int:
        """The structural nonzeros."""
        return len(self.columns)


@dataclass(frozen=True, eq=False, kw_only=True)
class Colored(Way):
    """Carry a seed for every colour through a recording and read the nonzeros from the products."""

    colors: Compression | None = field(default=None, repr=False)

    replayed = True
    divisible = True
    apart = True
    bound = True
    nests = True
    bytes_of_search: ClassVar[int] = 24
    """Bytes an entry, while colours are looked for."""
    color: ClassVar[Any]
    """What colours a pattern."""
    read: ClassVar[Any]
    """Where the nonzeros of a pattern stand in the products of its colours, or what solves for them."""

    @classmethod
    def at(cls, program: Program, options: Options, exact: bool = True) -> Self | None:
        if not exact:
            return cls.roughly(program, options)
        if cls not in program.colored:
            program.colored[cls] = cls.compression(program.pattern, options.colors)
        return cls.with_colors(program.colored[cls], options)

    @property
    def is_exact(self) -> bool:
        return self.colors is not None

    @classmethod
    def with_colors(cls, c: Compression, options: Options) -> Self | None:
        """Return the way with its colours."""
        m, n = c.shape
        return cls(
            outputs=m,
            inputs=n,
            entries=c.nonzeros,
            columns=c.column_count,
            rows=c.row_count,
            chunk=options.chunk,
            colors=c,
        )

    @classmethod
    def roughly(cls, program: Program, options: Options) -> Self | None:
        """Return the way with no more colours than it will need."""
        found = cls.fewest(program.pattern)
        if found is None:
            return None
        return cls(
            outputs=program.outputs,
            inputs=program.inputs,
            entries=program.pattern.nnz,
            columns=found[0],
            rows=found[1],
            chunk=options.chunk,
        )

    @staticmethod
    def fewest(pattern: Any) -> tuple[int, int] | None:
        """Return no more colours, of columns and of rows, than the pattern needs; None where it does not pay."""
        raise NotImplementedError

    @classmethod
    def compression(cls, pattern: Any, coloring: Any = None) -> Compression:
        """Colour a pattern, or use the colours given."""
        c = coloring or cls.color(pattern)
        return Compression(
            pattern.shape, pattern.indices.astype(np.int32), pattern.indptr, **cls.found(c, cls.read(pattern, c))
        )

    @staticmethod
    def found(c: Any, read: Any) -> dict[str, Any]:
        """Say the colours, here those of columns, and where the nonzeros are read, as fields of a compression."""
        return {"column_colors": c.colors, "column_count": c.count, "order": c.order, "entries": read}

    def quantities(self, program: Program) -> Quantities:
        q: Quantities = {"frame": 1.0, "record": len(program), "replayable": len(program), "scatter": self.entries}
        if self.columns:
            add_sweep(q, program.steps, self.columns, "push_", self.chunk)
        if self.rows:
            add_sweep(q, program.steps, self.rows, "pull_", self.chunk)
        return q

    def memory(self, program: Program) -> int:
        result = self.entries * (program.itemsize + 4)
        swept = result + program.bytes + peak(program.tape, max(self.chunk or self.directions, 1))
        # The pattern, its transpose and the colours, while they are looked for.
        return swept + result + self.bytes_of_search * self.entries

    def multiplications(self, program: Program) -> Multiplications | None:
        c = self.colors
        return None if c is None else program.multiplications(columns=c.column_colors, rows=c.row_colors)

    @property
    def details(self) -> str:
        c = self.colors
        if c is None:
            return ""
        counts = ((c.column_count, "column colours"), (c.row_count, "row colours"))
        colors = " and ".join(f"{count} {what}" for count, what in counts if count)
        return f"{c.nonzeros:,} structural nonzeros, {colors or 'no colours'} ({c.order})"

    def run(self, problem: Problem, options: Options, program: Program | None) -> Answer:
        held = needed(program)
        values = list(held.values)
        check_sparse(problem, values)

        def read() -> Any:
            products = [
                in_chunks(
                    lambda lo, hi, side=side: self._product(problem, held, side.pulled, lo, hi),  # type: ignore[misc]
                    side.count,
                    self.chunk,
                )
                for side in self.sides
            ]
            return self._read(products, values)

        return self._answer(redone_if_not_finite(read), values)

    @property
    def sides(self) -> tuple[Side, ...]:
        return tuple([replace(side, name=f"groups of {side.name}") for side in super().sides])

    def block(
        self, problem: Problem, options: Options, program: Program | None, pulled: bool, lo: int, hi: int
    ) -> tuple[Sequence[Any], Any]:
        held = needed(program)
        return held.values, redone_if_not_finite(lambda: self._product(problem, held, pulled, lo, hi))

    def gathered(self, problem: Problem, options: Options, values: list[Any], products: Sequence[Any]) -> Answer:
        check_sparse(problem, values)
        return self._answer(self._read(products, values), values)

    def _product(self, problem: Problem, program: Program, pulled: bool, lo: int, hi: int) -> Any:
        """Return the products of the colours from ``lo`` to ``hi``, those of rows or those of columns."""
        c, tape, lead = self.colors, program.tape, (hi - lo,)
        if pulled:
            covectors = zip(tape.outputs, seeds(program.values, lo, hi, c.row_colors), strict=True)  # type: ignore[union-attr]
            pairs = [(s, w) for s, w in covectors if s >= 0 and w is not None]
            return side_by_side(numbers(pull(tape, pairs, lead)), problem.inputs, hi - lo)
        directions = seeds(problem.inputs, lo, hi, c.column_colors)  # type: ignore[union-attr]
        return side_by_side(numbers(push(tape, directions, tape.outputs, lead)), program.values, hi - lo)

    def _read(self, products: Sequence[Any], values: Sequence[Any]) -> Any:
        """Return the nonzeros, read from the products."""
        dtype = np.result_type(*[dtype_of(v) for v in values]) if values else np.dtype(float)
        if not products:
            return np.zeros(0, dtype)
        c: Any = self.colors
        if c.substitution is not None:
            found = c.substitution(products[0])
        else:
            flat = [np.reshape(p, -1) for p in products]
            found = np.take(flat[0] if len(flat) == 1 else np.concatenate(flat), c.entries)
        return found if found.dtype == dtype else found.astype(dtype)

    def _answer(self, data: Any, values: list[Any]) -> Answer:
        c: Any = self.colors
        return Answer(values, whole=matrix(data, c.columns, c.starts, c.shape))


def in_chunks(of: Callable[[int, int], Any], count: int, chunk: int | None) -> Any:
    """Return ``of(0, count)``, computed in chunks and put together."""
    first, *rest = chunks(count, chunk)
    part = of(*first)
    if not rest:
        return part
    if type(part) is not np.ndarray:  # an outer operator follows: it must see no write
        return np.concatenate([part, *[of(lo, hi) for lo, hi in rest]])
    whole = np.empty((count, part.shape[1]), part.dtype)
    whole[: len(part)] = part
    for n, (lo, hi) in enumerate(rest, 1):
        part = of(lo, hi)
        if type(part) is not np.ndarray:  # the chunks before held rows that are constant for the outer operator
            return np.concatenate([whole[:lo], part, *[of(*span) for span in rest[n:]]])
        whole[lo:hi] = part
    return whole


def _groups(count: int, what: str) -> str:
    return f"{count} group{'' if count == 1 else 's'} of {what}s"


class Columns(Colored):
    """Push columns together that share no row."""

    name = "columns"
    asked = {"sparse": ("auto", "forward")}
    coloring = {"sparse": "columns", "symmetric": "columns"}
    color = staticmethod(color_columns)
    read = staticmethod(column_entries)

    @staticmethod
    def fewest(pattern: Any) -> tuple[int, int] | None:
        return int(np.diff(pattern.indptr).max(initial=0)), 0

    @property
    def says(self) -> str:
        return f"pushing {_groups(self.columns, 'column')}"


class Rows(Colored):
    """Pull rows together that share no column."""

    name = "rows"
    asked = {"sparse": ("auto", "reverse"), "symmetric": ("reverse",)}
    coloring = {"sparse": "rows"}
    color = staticmethod(color_rows)
    read = staticmethod(row_entries)

    @staticmethod
    def fewest(pattern: Any) -> tuple[int, int] | None:
        return 0, int(np.bincount(pattern.indices, minlength=1).max(initial=0))

    @staticmethod
    def found(c: Any, read: Any) -> dict[str, Any]:
        return {"row_colors": c.colors, "row_count": c.count, "order": c.order, "entries": read}

    @property
    def says(self) -> str:
        return f"pulling {_groups(self.rows, 'row')}"


class Both(Colored):
    """Push some columns and pull some rows together: for a few full rows and columns in a sparse matrix."""

    name = "rows and columns"
    asked = {"sparse": ("auto", "mixed"), "symmetric": ("mixed",)}
    coloring = {"sparse": "both"}
    color = staticmethod(color_both)
    read = staticmethod(lambda pattern, both: both.entries(pattern))
    bytes_of_search = 120

    @classmethod
    def with_colors(cls, c: Compression, options: Options) -> Self | None:
        if not (c.column_count and c.row_count) and len(options.ways) > 1:
            return None  # one kind of colours is enough, and has a way of its own
        return super().with_colors(c, options)

    @staticmethod
    def fewest(pattern: Any) -> tuple[int, int] | None:
        # Both kinds of colours pay where a few rows, or columns, have many more entries than the others.
        by_row, by_column = np.diff(pattern.indptr), np.bincount(pattern.indices, minlength=1)
        least = min(_apart(by_row), _apart(by_column))
        return (least - 1, 1) if least < min(by_row.max(initial=0), by_column.max(initial=0)) else None

    @staticmethod
    def found(c: Any, read: Any) -> dict[str, Any]:
        from_rows, entries = read
        behind = c.row_count * len(c.column_colors)  # the pulled rows stand in front
        return {
            "column_colors": c.column_colors,
            "row_colors": c.row_colors,
            "column_count": c.column_count,
            "row_count": c.row_count,
            "entries": np.where(from_rows, entries, entries + behind),
        }

    @property
    def says(self) -> str:
        return f"pushing {_groups(self.columns, 'column')} and pulling {_groups(self.rows, 'row')}"


def _apart(sizes: Any) -> int:
    """Return the fewest colours if some of the largest rows have one each, and no other is larger than the colours left."""
    largest = np.sort(sizes)[::-1][:33]
    return min([t + int(size) for t, size in enumerate(largest)], default=0)


class Symmetric(Colored):
    """Push columns of a symmetric matrix together: an entry may be read from either of its two places."""

    asked = {"symmetric": ("auto", "forward")}

    @staticmethod
    def fewest(pattern: Any) -> tuple[int, int] | None:
        # Two colours hold a forest between them, so c colours have no more than (c - 1) n edges.
        n = pattern.shape[1]
        edges = max(pattern.nnz - n, 0) // 2
        return 1 + -(-edges // max(n, 1)), 0


class Star(Symmetric):
    """Read every entry of a Hessian directly."""

    name = "star"
    coloring = {"symmetric": "star"}
    color = staticmethod(color_star)
    read = staticmethod(symmetric_entries)

    @property
    def says(self) -> str:
        return f"pushing {_groups(self.columns, 'column')} of a star colouring"


class Acyclic(Symmetric):
    """Find the entries of a Hessian by substitution, from fewer products."""

    name = "acyclic"
    coloring = {"symmetric": "acyclic"}
    color = staticmethod(color_acyclic)
    read = staticmethod(substitution)

    @staticmethod
    def found(c: Any, read: Any) -> dict[str, Any]:
        return {"column_colors": c.colors, "column_count": c.count, "order": c.order, "substitution": read}

    def quantities(self, program: Program) -> Quantities:
        q = super().quantities(program)
        if self.colors is not None:
            q["level"] = len(self.colors.substitution.reads)
        return q

    @property
    def says(self) -> str:
        return f"pushing {_groups(self.columns, 'column')} of an acyclic colouring"


def way_of_colors(pattern: Any, coloring: Any, symmetric: bool = False) -> type[Colored]:
    """Return the way that given colours are for; raise unless every nonzero can be read from them."""
    m, n = pattern.shape
    if symmetric and isinstance(coloring, Coloring) and len(coloring.colors) == n:
        reads: tuple[tuple[type[Colored], Callable[..., Any]], ...] = (
            (Star, symmetric_entries),
            (Acyclic, substitution),
        )
        for way, read in reads:
            try:
                read(pattern, coloring)
            except InputError:
                continue
            return way
        raise InputError("the colouring is neither a star nor an acyclic colouring of this Hessian's pattern")
    if isinstance(coloring, BidirectionalColoring):
        if len(coloring.row_colors) != m or len(coloring.column_colors) != n:
            raise InputError(f"the colouring is for another shape than that of this Jacobian, ({m}, {n})")
        coloring.entries(pattern)
        return Both
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
    return Columns
