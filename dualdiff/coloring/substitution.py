"""Recover a symmetric matrix from an acyclic colouring, leaves first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualdiff.coloring.patterns import Coloring, as_symmetric, coordinates, fits
from dualdiff.errors import InputError

__all__ = ["Substitution", "substitute", "substitution"]


@dataclass(frozen=True, slots=True, eq=False)
class Substitution:
    """The order in which the entries of a symmetric matrix become known; call it with the compressed matrix.

    The compressed matrix ``B = (H S)^T``, of shape ``(count, n)``, holds at ``(c, i)`` the sum of row i over the columns
    of colour c. With an acyclic colouring the places ``(color(j), i)`` and ``(color(i), j)`` are the ends of the edge
    ``{i, j}`` in a forest. An entry is read at a leaf, where it stands alone, and subtracted at the edge's other end, which
    so becomes a leaf in its turn. All leaves are taken at once, so there are about half as many levels as the longest
    path in two colours has edges.

    Attributes
    ----------
    shape : tuple of int
        The shape of the compressed matrix, ``(count, n)``.
    reads, writes : tuple of ndarray
        For each level the flat places where entries are read, and those where they are subtracted.
    source : ndarray of intp, shape (nnz,)
        For each nonzero in CSR order: its number in the order of reading.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from dualdiff.coloring import color_acyclic
    >>> H = np.array([[1.0, 2.0, 0.0, 0.0], [2.0, 3.0, 4.0, 0.0], [0.0, 4.0, 5.0, 6.0], [0.0, 0.0, 6.0, 7.0]])
    >>> coloring = color_acyclic(csr_array(H))
    >>> compressed = np.array([H[:, group].sum(axis=1) for group in coloring.groups()])
    >>> compressed.shape
    (2, 4)
    >>> substitution(csr_array(H), coloring)(compressed)
    array([1., 2., 2., 3., 4., 4., 5., 6., 6., 7.])
    """

    shape: tuple[int, int]
    reads: tuple[NDArray[np.intp], ...]
    writes: tuple[NDArray[np.intp], ...]
    source: NDArray[np.intp]

    def __call__(self, compressed: Any) -> NDArray:
        """Return the nonzeros in CSR order."""
        if not hasattr(compressed, "dtype"):
            compressed = np.asarray(compressed)
        if compressed.shape != self.shape:
            raise InputError(
                f"the compressed matrix has shape {self.shape} (colours, rows), not {compressed.shape}: pass (H @ S).T"
            )
        rest = compressed.flatten()
        known = []
        for read, write in zip(self.reads, self.writes, strict=True):
            known.append(rest[read])
            # Several leaves may hang on one vertex, so the subtraction must repeat.
            np.subtract.at(rest, write, known[-1])
        return np.concatenate([*known, rest[:0]])[self.source]


def substitution(pattern: Any, coloring: Coloring) -> Substitution:
    """Schedule the recovery of a symmetric matrix from its products with the seeds of an acyclic colouring.

    Parameters
    ----------
    pattern : sparse array, shape (n, n)
        Structurally symmetric.
    coloring : Coloring
        From `color_acyclic`; a star colouring will do, and gives one level.

    Returns
    -------
    Substitution

    Raises
    ------
    InputError
        If two colours meet in a cycle: the colouring is not an acyclic colouring of this pattern.

    References
    ----------
    Gebremedhin, Pothen, Tarafdar & Walther (2009), "Efficient computation of sparse Hessians using coloring and automatic
    differentiation", doi:10.1287/ijoc.1080.0286.
    """
    csr = as_symmetric(pattern)
    n = csr.shape[0]
    fits(coloring, n, "rows")
    rows, columns = coordinates(csr)
    colors = coloring.colors
    once = rows <= columns
    i, j = rows[once], columns[once]
    if (colors[i] == colors[j])[i != j].any():
        raise InputError("two neighbours have the same colour: pass a colouring of this pattern from color_acyclic")
    # A diagonal entry stands alone from the start: both its ends are one place, where nothing else is added.
    ends = np.stack([colors[j] * n + i, colors[i] * n + j])
    order, reads, writes = _leaves_first(ends, coloring.count * n)
    known = np.empty(len(i), dtype=np.intp)
    known[order] = np.arange(len(order))
    # The entries on and above the diagonal ascend in (row, column), so their mirror images are found by bisection.
    upper = np.searchsorted(i * n + j, np.minimum(rows, columns) * n + np.maximum(rows, columns))
    return Substitution((coloring.count, n), reads, writes, known[upper])


def substitute(pattern: Any, coloring: Coloring, compressed: Any) -> NDArray:
    """Return the nonzeros of a symmetric matrix in CSR order: ``substitution(pattern, coloring)(compressed)``.

    Keep the `Substitution` where one pattern serves many matrices.

    Parameters
    ----------
    pattern : sparse array, shape (n, n)
    coloring : Coloring
        From `color_acyclic`.
    compressed : array_like, shape (count, n)
        ``(H @ S).T`` for the seeds ``S[j, c] = [color(j) = c]``.

    Returns
    -------
    ndarray, shape (nnz,)

    References
    ----------
    Coleman & Cai (1986), doi:10.1137/0607026.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from dualdiff.coloring import color_acyclic
    >>> H = csr_array(np.array([[1.0, 2.0], [2.0, 3.0]]))
    >>> substitute(H, color_acyclic(H), H.toarray())
    array([1., 2., 2., 3.])
    """
    return substitution(pattern, coloring)(compressed)


def _leaves_first(
    ends: NDArray[np.intp], places: int
) -> tuple[NDArray[np.intp], tuple[NDArray[np.intp], ...], tuple[NDArray[np.intp], ...]]:
    """Peel a forest, given by the two places each edge joins: the edges in order, where each is read and subtracted."""
    degree = np.bincount(ends.ravel(), minlength=places)
    # The exclusive-or of the edges at a place is, once it is a leaf, the one edge left: no list of edges to search.
    left = np.zeros(places, dtype=np.intp)
    edges = np.arange(ends.shape[1])
    np.bitwise_xor.at(left, ends, np.broadcast_to(edges, ends.shape))
    loops = np.flatnonzero(ends[0] == ends[1])
    taken, reads, writes = [loops], [ends[0, loops]], [ends[0, loops]]
    degree[ends[0, loops]] -= 2
    leaves = np.flatnonzero(degree == 1)
    while len(leaves):
        # An edge whose two ends are leaves comes up twice.
        level, at = np.unique(left[leaves], return_index=True)
        leaf = leaves[at]
        other = ends[0, level] + ends[1, level] - leaf
        taken.append(level)
        reads.append(leaf)
        writes.append(other)
        degree[leaf] -= 1
        np.subtract.at(degree, other, 1)
        np.bitwise_xor.at(left, other, level)
        leaves = np.unique(other[degree[other] == 1])
    order = np.concatenate(taken)
    if len(order) < ends.shape[1]:
        raise InputError(
            "two colours meet in a cycle, which substitution cannot open: pass a colouring from color_acyclic"
        )
    return order, tuple(reads), tuple(writes)
