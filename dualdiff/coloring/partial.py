"""Colour columns so that no row meets a colour twice: partial distance-2 colouring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from dualdiff.coloring.greedy import greedy
from dualdiff.coloring.lattice import lattice, modulus
from dualdiff.coloring.orders import ORDERS, incidence_degree, largest_first, smallest_last
from dualdiff.coloring.patterns import Coloring, as_pattern
from dualdiff.errors import InputError

__all__ = ["color_columns", "color_rows"]

#: pairs of nonzeros in a row beyond which no neighbour is visited one by one
PAIRS = 1_000_000
#: nonzeros up to which the greedy colouring is faster than the guess of a formula
FORMULA = 20_000
#: times that a colouring is coloured again, group by group
REGROUPINGS = 4


def color_columns(pattern: Any, orders: Sequence[str] = ORDERS) -> Coloring:
    """Partition the columns of a sparse matrix into structurally orthogonal groups, as few as can be found quickly.

    Two columns are structurally orthogonal if no row has a nonzero in both. The Jacobian times the sum of such columns'
    unit vectors holds each of their nonzeros by itself, so `count` products give the whole matrix.

    A formula for regular patterns is tried first, then greedy colourings in several orders, and the best is kept; the
    search stops as soon as there are no more colours than the fullest row has nonzeros, since fewer cannot be. The
    result never has more colours than the greedy colouring in natural order.

    Parameters
    ----------
    pattern : sparse array, shape (m, n)
        Its stored entries, explicit zeros among them, are the structure.
    orders : sequence of str
        Orders to try beside the natural one, out of `ORDERS`. ``"smallest_last"`` and ``"incidence_degree"`` visit every
        pair of nonzeros that share a row, and are left out where these are more than a million.

    Returns
    -------
    Coloring
        Of the columns; an empty column has colour -1.

    Raises
    ------
    InputError
        If `pattern` is not a two-dimensional sparse array, or an order is unknown.

    Notes
    -----
    The greedy colouring takes O(nnz) steps and memory: each row keeps the set of its colours as the bits of an integer.

    References
    ----------
    Curtis, Powell & Reid (1974), doi:10.1093/imamat/13.1.117. Gebremedhin, Manne & Pothen (2005), "What color is your
    Jacobian?", doi:10.1137/S0036144504444711.

    Examples
    --------
    >>> from scipy.sparse import diags_array
    >>> tridiagonal = diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(6, 6))
    >>> coloring = color_columns(tridiagonal)
    >>> coloring.count, coloring.colors
    (3, array([0, 1, 2, 0, 1, 2]))
    """
    unknown = [order for order in orders if order not in ORDERS]
    if unknown:
        raise InputError(f"there is no order {unknown[0]!r}: choose among {', '.join(ORDERS)}")
    csr = as_pattern(pattern)
    bound = int(np.diff(csr.indptr).max(initial=0))
    if bound == 0:
        return Coloring(np.full(csr.shape[1], -1), 0, "natural", 0)
    best, count, name = np.arange(csr.shape[1]), csr.shape[1] + 1, ""
    for found, colors in _attempts(csr, bound, orders):
        if (used := int(colors.max()) + 1) < count:
            best, count, name = colors, used, found
        if count == bound:
            break
    for _ in range(REGROUPINGS if bound < count and csr.nnz <= PAIRS else 0):
        # Visited group by group, no column needs a higher colour than its group's number (Culberson 1992).
        best = greedy(csr, np.argsort(-best, kind="stable").tolist())
        if (used := int(best.max()) + 1) < count:
            count, name = used, name.removesuffix(", regrouped") + ", regrouped"
    empty = np.ones(csr.shape[1], dtype=bool)
    empty[csr.indices] = False
    return Coloring(np.where(empty, -1, best), count, name, bound)


def color_rows(pattern: Any, orders: Sequence[str] = ORDERS) -> Coloring:
    """Partition the rows of a sparse matrix into structurally orthogonal groups: `color_columns` of the transpose.

    Parameters
    ----------
    pattern : sparse array, shape (m, n)
    orders : sequence of str
        As for `color_columns`.

    Returns
    -------
    Coloring
        Of the rows; an empty row has colour -1.

    References
    ----------
    Gebremedhin, Manne & Pothen (2005), doi:10.1137/S0036144504444711.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> color_rows(csr_array(np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]]))).colors
    array([0, 0, 1])
    """
    return color_columns(as_pattern(pattern).T, orders)


def _attempts(csr: scipy.sparse.csr_array, bound: int, orders: Sequence[str]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Colourings, from the one found fastest to the one found slowest."""
    if (colors := modulus(csr, bound)) is not None:
        yield "modulus", colors
    natural = None
    # A formula costs a few milliseconds, whatever the size of the pattern: a small one is coloured in less.
    if csr.nnz < FORMULA:
        yield "natural", (natural := greedy(csr, range(csr.shape[1])))
    if (colors := lattice(csr, [bound])) is not None:
        yield "lattice", colors
    if natural is None:
        yield "natural", (natural := greedy(csr, range(csr.shape[1])))
    if (colors := lattice(csr, range(bound + 1, int(natural.max()) + 1))) is not None:
        yield "lattice", colors
    sizes = np.diff(csr.indptr).astype(np.intp)
    if "largest_first" in orders:
        # Counted with multiplicity: a neighbour met in two rows counts twice.
        yield "largest_first", greedy(csr, largest_first(csr.T @ (sizes - 1)))
    if sizes @ sizes > PAIRS or not {"smallest_last", "incidence_degree"} & set(orders):
        return
    graph = neighbours(csr)
    if "smallest_last" in orders:
        yield "smallest_last", greedy(csr, smallest_last(graph))
    if "incidence_degree" in orders:
        yield "incidence_degree", greedy(csr, incidence_degree(graph))


def neighbours(csr: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """The graph in which two columns are joined if a row has a nonzero in both."""
    ones = scipy.sparse.csr_array((np.ones(csr.nnz, dtype=np.int32), csr.indices, csr.indptr), shape=csr.shape)
    pairs = (ones.T @ ones).tocoo()
    apart = pairs.row != pairs.col
    return scipy.sparse.csr_array((pairs.data[apart], (pairs.row[apart], pairs.col[apart])), shape=pairs.shape)
