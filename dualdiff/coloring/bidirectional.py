"""Colour rows and columns together: where a few rows or columns are full, each side reads what it reads cheaply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from dualdiff.coloring.partial import color_columns, color_rows
from dualdiff.coloring.patterns import alone, as_pattern, coordinates, frozen
from dualdiff.errors import InputError

__all__ = ["BidirectionalColoring", "color_both"]

#: splits coloured, those with the lowest bounds
SPLITS = 20
#: nonzeros coloured in all, over the splits
NONZEROS = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class BidirectionalColoring:
    """Groups of rows and groups of columns from which every nonzero can be read directly.

    Attributes
    ----------
    row_colors : ndarray of intp, shape (m,)
        The group of each row, or -1 where the row is in none. Read-only.
    column_colors : ndarray of intp, shape (n,)
        The group of each column, or -1 where the column is in none. Read-only.
    row_count, column_count : int
        How many groups of each kind: so many pulls, and so many pushes.

    Examples
    --------
    >>> import numpy as np
    >>> BidirectionalColoring(np.array([0, -1]), np.array([0, 0]), 1, 1).count
    2
    """

    row_colors: NDArray[np.intp]
    column_colors: NDArray[np.intp]
    row_count: int
    column_count: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "row_colors", frozen(self.row_colors))
        object.__setattr__(self, "column_colors", frozen(self.column_colors))

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor, because a pickled array forgets that it is read-only.
        return type(self), (self.row_colors, self.column_colors, self.row_count, self.column_count)

    @property
    def count(self) -> int:
        """How many seeds in all."""
        return self.row_count + self.column_count

    def entries(self, pattern: Any) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Where each nonzero stands in the two compressed matrices.

        Parameters
        ----------
        pattern : sparse array, shape (m, n)
            The one that was coloured.

        Returns
        -------
        from_rows : ndarray of bool, shape (nnz,)
            For each nonzero in CSR order: whether it is read from the matrix compressed by rows.
        index : ndarray of intp, shape (nnz,)
            Its flat index there: ``row_colors[i] * n + j`` in the matrix of shape ``(row_count, n)`` that was compressed
            by rows, ``column_colors[j] * m + i`` in the one of shape ``(column_count, m)`` compressed by columns.

        Raises
        ------
        InputError
            If some nonzero can be read from neither: the colouring is not of this pattern.
        """
        csr = as_pattern(pattern)
        m, n = csr.shape
        if (m, n) != (len(self.row_colors), len(self.column_colors)):
            raise InputError(
                f"the colouring is of a matrix {len(self.row_colors)} by {len(self.column_colors)}, the pattern is "
                f"{m} by {n}: pass the pattern that was coloured"
            )
        rows, columns = coordinates(csr)
        by_column = self.column_colors[columns] * m + rows
        by_row = self.row_colors[rows] * n + columns
        from_columns = alone(by_column) & (by_column >= 0)
        if not (from_columns | (alone(by_row) & (by_row >= 0))).all():
            raise InputError(
                "the colouring leaves a nonzero that stands alone nowhere: pass the pattern that was coloured"
            )
        return ~from_columns, np.where(from_columns, by_column, by_row)


def color_both(pattern: Any) -> BidirectionalColoring:
    """Group rows and columns of a sparse matrix so that every nonzero stands alone in some group, with few groups.

    A full row makes every column conflict with every other; read that row by itself, and the columns are free. Each
    split of the nonzeros into those that rows read and those that columns read gives such a colouring. The splits tried
    are by columns alone, by rows alone, and those in which the fullest rows, the fullest columns or both read their own
    nonzeros, for the distinct numbers of nonzeros as thresholds. A row with k nonzeros that columns read needs k
    groups of columns, and likewise for columns; the splits are coloured by rising bound until no better one can follow.

    Parameters
    ----------
    pattern : sparse array, shape (m, n)

    Returns
    -------
    BidirectionalColoring
        With no more groups than `color_columns` or `color_rows`; one of the two counts is 0 where one side suffices.

    Notes
    -----
    At most 20 splits are coloured, fewer where they have more than four million nonzeros together. It is a heuristic, as
    the least number is NP-hard to find.

    References
    ----------
    Coleman & Verma (1998), doi:10.1137/S1064827595295325. Gebremedhin, Manne & Pothen (2005), section 6,
    doi:10.1137/S0036144504444711. Hossain & Steihaug (1998), doi:10.1080/10556789808805701.

    Examples
    --------
    An arrowhead needs n groups of columns, or n groups of rows, or three of both kinds.

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> arrowhead = np.eye(5)
    >>> arrowhead[0] = arrowhead[:, 0] = 1
    >>> coloring = color_both(csr_array(arrowhead))
    >>> coloring.row_count, coloring.column_count
    (1, 2)
    """
    csr = as_pattern(pattern)
    columns, rows = color_columns(csr), color_rows(csr)
    if rows.count < columns.count:
        best = BidirectionalColoring(rows.colors, np.full(csr.shape[1], -1), rows.count, 0)
    else:
        best = BidirectionalColoring(np.full(csr.shape[0], -1), columns.colors, 0, columns.count)
    # A split proper has a group of each kind, and can beat nothing that has two.
    splits = sorted(
        (_bound(csr, split.reads(csr)), at, split) for at, split in enumerate(_splits(csr) if best.count > 2 else ())
    )
    for bound, _, split in splits[: max(2, min(SPLITS, NONZEROS // max(1, csr.nnz)))]:
        if bound >= best.count:
            break
        from_rows = split.reads(csr)
        mirrored = scipy.sparse.csr_array((np.arange(csr.nnz), csr.indices, csr.indptr), shape=csr.shape).T.tocsr()
        column_colors = _color_side(csr, ~from_rows)
        row_colors = _color_side(mirrored, from_rows[mirrored.data])
        found = BidirectionalColoring(
            row_colors, column_colors, int(row_colors.max(initial=-1)) + 1, int(column_colors.max(initial=-1)) + 1
        )
        if found.count < best.count:
            best = found
    return best


@dataclass(frozen=True, slots=True, order=True)
class _Split:
    """Which nonzeros rows read: rows and columns with more nonzeros than a threshold read their own."""

    row_threshold: int
    column_threshold: int
    rest_by_rows: bool

    def reads(self, csr: scipy.sparse.csr_array) -> NDArray[np.bool_]:
        """For each nonzero whether its row reads it. Where a full row meets a full column, the side of the rest does."""
        rows, columns = coordinates(csr)
        in_row = (np.diff(csr.indptr) > self.row_threshold)[rows]
        in_column = (np.bincount(columns, minlength=csr.shape[1]) > self.column_threshold)[columns]
        return in_row | ~in_column if self.rest_by_rows else in_row & ~in_column


def _splits(csr: scipy.sparse.csr_array) -> Iterator[_Split]:
    """Full rows apart, full columns apart, and both, for each threshold that makes a difference."""
    none = csr.nnz
    row_sizes, column_sizes = np.diff(csr.indptr), np.bincount(csr.indices, minlength=csr.shape[1])
    for t in _thresholds(row_sizes):
        yield _Split(t, none, False)
    for t in _thresholds(column_sizes):
        yield _Split(none, t, True)
    for t in _thresholds(np.append(row_sizes, column_sizes)):
        yield _Split(t, t, False)
        yield _Split(t, t, True)


def _thresholds(sizes: NDArray[np.integer]) -> list[int]:
    """Up to twelve numbers of nonzeros, none of them the largest."""
    distinct = np.unique(sizes[sizes > 0])[:-1]
    return distinct[np.unique(np.linspace(0, len(distinct) - 1, min(12, len(distinct))).astype(np.intp))].tolist()


def _bound(csr: scipy.sparse.csr_array, from_rows: NDArray[np.bool_]) -> int:
    """No colouring that reads so has fewer groups: what one line reads across, it reads from different groups."""
    rows, columns = coordinates(csr)
    return int(np.bincount(rows[~from_rows]).max(initial=0) + np.bincount(columns[from_rows]).max(initial=0))


def _color_side(csr: scipy.sparse.csr_array, read: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Colour those columns that read something, so that what they read stands alone."""
    rows, columns = coordinates(csr)
    m, n = csr.shape
    active = np.zeros(n, dtype=bool)
    active[columns[read]] = True
    meets = active[columns]
    both = (np.bincount(rows[read], minlength=m) > 0) & (np.bincount(rows[meets & ~read], minlength=m) > 0)
    if not both.any():
        # A row in which nothing is read forbids nothing, so the plain colouring of what is read will do.
        return color_columns(_restricted(csr, read)).colors
    colors = np.full(n, -1)
    count = n + 1
    for order in (np.flatnonzero(active), np.argsort(-np.bincount(columns, minlength=n), kind="stable")):
        found = _greedy(csr, read, order[active[order]].tolist())
        if (used := int(found.max(initial=-1)) + 1) < count:
            colors, count = found, used
    return colors


def _restricted(csr: scipy.sparse.csr_array, keep: NDArray[np.bool_]) -> scipy.sparse.csr_array:
    rows, columns = coordinates(csr)
    starts = np.append(0, np.cumsum(np.bincount(rows[keep], minlength=csr.shape[0])))
    return scipy.sparse.csr_array((np.ones(int(keep.sum()), np.int8), columns[keep], starts), shape=csr.shape)


def _greedy(csr: scipy.sparse.csr_array, read: NDArray[np.bool_], order: list[int]) -> NDArray[np.intp]:
    """The greedy colouring in which two nonzeros of a row conflict only if one of the two is to be read there.

    A loop in Python for the reason given in `greedy`; here a row keeps two sets of colours as the bits of integers.
    """
    csc = scipy.sparse.csr_array((np.where(read, 1, 0), csr.indices, csr.indptr), shape=csr.shape).tocsc()
    rows, reads, ends = csc.indices.tolist(), csc.data.tolist(), csc.indptr.tolist()
    met, met_by_readers = [0] * csr.shape[0], [0] * csr.shape[0]
    colors = [-1] * csr.shape[1]
    for j in order:
        mine = range(ends[j], ends[j + 1])
        forbidden = 0
        for at in mine:
            forbidden |= met[rows[at]] if reads[at] else met_by_readers[rows[at]]
        bit = ~forbidden & (forbidden + 1)
        for at in mine:
            met[rows[at]] |= bit
            if reads[at]:
                met_by_readers[rows[at]] |= bit
        colors[j] = bit.bit_length() - 1
    return np.array(colors, dtype=np.intp)
