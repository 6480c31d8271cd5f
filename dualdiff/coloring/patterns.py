"""What a pattern and a colouring are, and how an entry is found again in a compressed matrix."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from dualdiff.errors import InputError

__all__ = [
    "Coloring",
    "alone",
    "as_pattern",
    "as_symmetric",
    "column_entries",
    "coordinates",
    "fits",
    "frozen",
    "row_entries",
]


@dataclass(frozen=True, slots=True, eq=False)
class Coloring:
    """A partition of columns, rows or vertices into groups that one seed can serve together.

    Attributes
    ----------
    colors : ndarray of intp, shape (n,)
        The group of each line, from 0 to ``count - 1``; -1 where the line is empty and needs no seed. Read-only.
    count : int
        How many groups, and so how many seeds.
    order : str
        What found it: the name of a vertex order, or of a construction.
    lower_bound : int
        No colouring of this kind has fewer groups. Where it equals `count`, the colouring is optimal.

    Examples
    --------
    >>> import numpy as np
    >>> Coloring(np.array([0, 1, 0]), 2, "natural", 2).groups()
    [array([0, 2]), array([1])]
    """

    colors: NDArray[np.intp]
    count: int
    order: str
    lower_bound: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "colors", frozen(self.colors))

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor, because a pickled array forgets that it is read-only.
        return Coloring, (self.colors, self.count, self.order, self.lower_bound)

    def groups(self) -> list[NDArray[np.intp]]:
        """Return the lines of each colour, in ascending order."""
        by_color = np.argsort(self.colors, kind="stable")
        ends = np.searchsorted(self.colors[by_color], np.arange(self.count + 1))
        return [by_color[a:b] for a, b in pairwise(ends)]


def frozen(colors: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return a read-only array of intp, which nobody else can write to."""
    if colors.dtype != np.intp or colors.flags.writeable:
        colors = np.array(colors, dtype=np.intp)
        colors.setflags(write=False)
    return colors


def as_pattern(pattern: Any) -> scipy.sparse.csr_array:
    """Return the structure of a sparse matrix in canonical form: sorted, without duplicates, explicit zeros kept.

    The order of its nonzeros is what every function here calls CSR order.

    Parameters
    ----------
    pattern : sparse array or matrix, shape (m, n)
        Of any dtype and format; the values are not looked at.

    Raises
    ------
    InputError
        If `pattern` is not a two-dimensional SciPy sparse array.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> as_pattern(csr_array((np.zeros(3), [1, 0, 0], [0, 2, 3]), shape=(2, 2))).indices.tolist()
    [0, 1, 0]
    """
    if not scipy.sparse.issparse(pattern):
        raise InputError(
            f"a pattern is a sparse array, not {type(pattern).__name__}: pass scipy.sparse.csr_array(A), "
            "whose stored entries are the structure"
        )
    if pattern.ndim != 2:
        raise InputError(
            f"a pattern has two dimensions, this one has {pattern.ndim}: pass the (1, n) or (n, 1) sparse array instead"
        )
    csr = scipy.sparse.csr_array(pattern)
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    return scipy.sparse.csr_array((np.ones(csr.nnz, np.int8), csr.indices, csr.indptr), shape=csr.shape)


def as_symmetric(pattern: Any) -> scipy.sparse.csr_array:
    """Return the canonical structure of a structurally symmetric matrix, or raise InputError."""
    csr = as_pattern(pattern)
    m, n = csr.shape
    if m != n:
        raise InputError(
            f"a symmetric pattern is square, this one is {m} by {n}: use color_columns or color_rows instead"
        )
    mirrored = scipy.sparse.csr_array(csr.T)
    if not (np.array_equal(csr.indptr, mirrored.indptr) and np.array_equal(csr.indices, mirrored.indices)):
        raise InputError(
            "the pattern is not symmetric: an entry (i, j) is stored without its mirror (j, i). Pass the pattern of "
            "A + A.T (with no entries that cancel), or use color_columns"
        )
    return csr


def coordinates(csr: scipy.sparse.csr_array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the row and the column of each nonzero in CSR order, wide enough to be multiplied."""
    rows = np.repeat(np.arange(csr.shape[0], dtype=np.intp), np.diff(csr.indptr))
    return rows, csr.indices.astype(np.intp)


def alone(keys: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which keys occur once: the entries that nothing else was added to when the matrix was compressed."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    new = np.ones(len(keys) + 1, dtype=bool)
    np.not_equal(ranked[1:], ranked[:-1], out=new[1:-1])
    out = np.empty(len(keys), dtype=bool)
    out[order] = new[1:] & new[:-1]
    return out


def column_entries(pattern: Any, coloring: Coloring) -> NDArray[np.intp]:
    """Where each nonzero stands in the matrix compressed by columns.

    With seeds ``S[j, c] = [color(j) = c]`` the compressed matrix is ``B = (J S)^T``, of shape ``(count, m)``, and the
    nonzero ``J[i, j]`` is ``B[color(j), i]``.

    Parameters
    ----------
    pattern : sparse array, shape (m, n)
    coloring : Coloring
        Of its columns, from `color_columns`.

    Returns
    -------
    ndarray of intp, shape (nnz,)
        For each nonzero in CSR order the index into ``B.ravel()``.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from dualdiff.coloring import color_columns
    >>> J = csr_array(np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 4.0]]))
    >>> coloring = color_columns(J)
    >>> compressed = np.array([J.toarray()[:, group].sum(axis=1) for group in coloring.groups()])
    >>> compressed.ravel()[column_entries(J, coloring)]
    array([1., 2., 3., 4.])
    """
    csr = as_pattern(pattern)
    fits(coloring, csr.shape[1], "columns")
    rows, columns = coordinates(csr)
    return coloring.colors[columns] * csr.shape[0] + rows


def row_entries(pattern: Any, coloring: Coloring) -> NDArray[np.intp]:
    """Where each nonzero stands in the matrix compressed by rows.

    With seeds ``W[c, i] = [color(i) = c]`` the compressed matrix is ``B = W J``, of shape ``(count, n)``, and the
    nonzero ``J[i, j]`` is ``B[color(i), j]``.

    Parameters
    ----------
    pattern : sparse array, shape (m, n)
    coloring : Coloring
        Of its rows, from `color_rows`.

    Returns
    -------
    ndarray of intp, shape (nnz,)
        For each nonzero in CSR order the index into ``B.ravel()``.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from dualdiff.coloring import color_rows
    >>> J = csr_array(np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 4.0]]))
    >>> coloring = color_rows(J)
    >>> coloring.count
    1
    >>> J.toarray().sum(axis=0, keepdims=True).ravel()[row_entries(J, coloring)]
    array([1., 2., 4.])
    """
    csr = as_pattern(pattern)
    fits(coloring, csr.shape[0], "rows")
    rows, columns = coordinates(csr)
    return coloring.colors[rows] * csr.shape[1] + columns


def fits(coloring: Coloring, lines: int, name: str) -> None:
    """Raise InputError if a colouring has another number of lines than the pattern."""
    if len(coloring.colors) != lines:
        raise InputError(
            f"the colouring is of {len(coloring.colors)} lines, the pattern has {lines} {name}: "
            "pass the colouring of this pattern's " + name
        )
