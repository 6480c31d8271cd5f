"""Colour the graph of a symmetric matrix: each entry is known if either of its two mirror images is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from dualdiff.coloring.orders import ORDERS, incidence_degree, largest_first, smallest_last
from dualdiff.coloring.partial import color_columns
from dualdiff.coloring.patterns import Coloring, alone, as_symmetric, coordinates, fits
from dualdiff.errors import InputError

__all__ = ["color_acyclic", "color_star", "symmetric_entries"]


def color_star(pattern: Any, orders: Sequence[str] = ORDERS) -> Coloring:
    """Colour the graph of a symmetric matrix so that any two colours meet in stars: for direct recovery.

    Neighbours differ in colour, and no path on four vertices has two colours only. Then of each edge one end is the only
    neighbour of its colour that the other has, so the Hessian times the sum of each colour's unit vectors holds every
    entry, or its mirror image, by itself.

    Parameters
    ----------
    pattern : sparse array, shape (n, n)
        Structurally symmetric. The diagonal counts as present.
    orders : sequence of str
        Orders to try beside the natural one, out of `ORDERS`; the best is kept.

    Returns
    -------
    Coloring
        Of the vertices, with no more colours than `color_columns` takes once the diagonal is full.
        `Coloring.lower_bound` counts edges: two colours share at most one edge fewer than vertices.

    Raises
    ------
    InputError
        If the pattern is not sparse, not square or not symmetric.

    References
    ----------
    Gebremedhin, Tarafdar, Manne & Pothen (2007), algorithm 4.1, doi:10.1137/050639879. Coleman & Moré (1984),
    doi:10.1007/BF02612334.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> arrowhead = np.eye(5)
    >>> arrowhead[0] = arrowhead[:, 0] = 1
    >>> color_star(csr_array(arrowhead)).colors
    array([0, 1, 1, 1, 1])
    """
    csr = as_symmetric(pattern)
    best = _best(_attempts(csr, orders, _star))
    full = scipy.sparse.csr_array(csr + scipy.sparse.eye_array(csr.shape[0], dtype=np.int8))
    if int(np.diff(full.indptr).max(initial=0)) < best.count:
        columns = color_columns(full, orders)
        if columns.count < best.count:
            return Coloring(columns.colors, columns.count, columns.order, best.lower_bound)
    return best


def color_acyclic(pattern: Any, orders: Sequence[str] = ORDERS) -> Coloring:
    """Colour the graph of a symmetric matrix so that any two colours meet in trees: for recovery by substitution.

    Neighbours differ in colour, and no cycle has two colours only. The products with the colours' seeds then hold every
    entry of a tree's leaves by itself, and the others once those are subtracted; see `Substitution`. A star
    colouring is acyclic, and often more colours than needed.

    Parameters
    ----------
    pattern : sparse array, shape (n, n)
        Structurally symmetric. The diagonal counts as present.
    orders : sequence of str
        Orders to try beside the natural one, out of `ORDERS`; the best is kept.

    Returns
    -------
    Coloring
        Of the vertices, with no more colours than `color_star` finds. `Coloring.lower_bound` counts edges: two
        colours share at most one edge fewer than vertices.

    Raises
    ------
    InputError
        If the pattern is not sparse, not square or not symmetric.

    References
    ----------
    Gebremedhin, Tarafdar, Manne & Pothen (2007), algorithm 3.1, doi:10.1137/050639879. Coleman & Cai (1986),
    doi:10.1137/0607026.

    Examples
    --------
    The graph of a tridiagonal matrix is a path, which is a tree.

    >>> from scipy.sparse import diags_array
    >>> tridiagonal = diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(5, 5))
    >>> color_acyclic(tridiagonal).colors, color_star(tridiagonal).count
    (array([0, 1, 0, 1, 0]), 3)
    """
    csr = as_symmetric(pattern)
    best = _best(_attempts(csr, orders, _acyclic))
    if best.count > best.lower_bound:
        star = color_star(csr, orders)
        return star if star.count < best.count else best
    return best


def symmetric_entries(pattern: Any, coloring: Coloring) -> NDArray[np.intp]:
    """Where each nonzero of a symmetric matrix stands in the matrix compressed by a star colouring.

    With seeds ``S[j, c] = [color(j) = c]`` the compressed matrix is ``B = (H S)^T``, of shape ``(count, n)``. The nonzero
    ``H[i, j]`` is ``B[color(j), i]`` where j is the only neighbour of i with its colour, and ``B[color(i), j]`` otherwise.

    Parameters
    ----------
    pattern : sparse array, shape (n, n)
        Structurally symmetric.
    coloring : Coloring
        From `color_star`.

    Returns
    -------
    ndarray of intp, shape (nnz,)
        For each nonzero in CSR order the index into ``B.ravel()``.

    Raises
    ------
    InputError
        If some nonzero stands alone nowhere: the colouring is not a star colouring of this pattern.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> H = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 0.0], [3.0, 0.0, 5.0]])
    >>> coloring = color_star(csr_array(H))
    >>> compressed = np.array([H[:, group].sum(axis=1) for group in coloring.groups()])
    >>> compressed.ravel()[symmetric_entries(csr_array(H), coloring)]
    array([1., 2., 3., 2., 4., 3., 5.])
    """
    csr = as_symmetric(pattern)
    n = csr.shape[0]
    fits(coloring, n, "rows")
    rows, columns = coordinates(csr)
    here, there = coloring.colors[columns] * n + rows, coloring.colors[rows] * n + columns
    direct = alone(here)
    # The pattern is symmetric, so the mirror image of an entry stands alone where the entry, read from there, does.
    if not (direct | np.isin(there, here[direct])).all():
        raise InputError("the colouring leaves a nonzero that stands alone nowhere: pass one from color_star")
    return np.where(direct, here, there)


def _attempts(
    csr: scipy.sparse.csr_array, orders: Sequence[str], color: Callable[[list[list[int]], list[int]], list[int]]
) -> Iterator[Coloring]:
    """Greedy colourings in the given orders, with a bound from the number of edges."""
    unknown = [order for order in orders if order not in ORDERS]
    if unknown:
        raise InputError(f"there is no order {unknown[0]!r}: choose among {', '.join(ORDERS)}")
    rows, columns = coordinates(csr)
    off = rows != columns
    n = csr.shape[0]
    graph = scipy.sparse.csr_array((np.ones(int(off.sum()), np.int8), (rows[off], columns[off])), shape=csr.shape)
    indices, ends = graph.indices.tolist(), graph.indptr.tolist()
    neighbours = [indices[a:b] for a, b in pairwise(ends)]
    bound = _bound(n, graph.nnz // 2)
    for name in dict.fromkeys(("natural", *orders)):
        colors = color(neighbours, _order(name, graph))
        yield Coloring(np.array(colors, dtype=np.intp), max(colors, default=-1) + 1, name, bound)


def _order(name: str, graph: scipy.sparse.csr_array) -> list[int]:
    if name == "largest_first":
        return largest_first(np.diff(graph.indptr))
    if name == "smallest_last":
        return smallest_last(graph)
    if name == "incidence_degree":
        return incidence_degree(graph)
    return list(range(graph.shape[0]))


def _best(attempts: Iterable[Coloring]) -> Coloring:
    """The first with the fewest colours; nothing is tried once the bound is reached."""
    waiting = iter(attempts)
    best = next(waiting)
    while best.count > best.lower_bound and (coloring := next(waiting, None)) is not None:
        if coloring.count < best.count:
            best = coloring
    return best


def _bound(n: int, edges: int) -> int:
    """The least k for which a graph of k colours, any two of them meeting in a forest, can have so many edges."""
    k = min(n, 1)
    # Colours a and b share at most n_a + n_b - 1 edges; summed over all pairs.
    while edges > (k - 1) * n - k * (k - 1) // 2:
        k += 1
    return k


def _star(neighbours: list[list[int]], order: list[int]) -> list[int]:
    """Greedy star colouring in O(edges) steps.

    What a vertex may take depends on all before it, so this is a loop in Python; sets of colours are the bits of integers.
    A vertex v, about to be coloured, must avoid the colours of its neighbours, and closing a path on four vertices:

    - ``u-v-w-x``, where u and w share a colour: v avoids the colours around w;
    - ``v-w-x-y``, where w and y share a colour: v avoids the colour of x, which is the hub of a star that w is in.
    """
    n = len(neighbours)
    colors = [-1] * n
    once, twice, hubs = [0] * n, [0] * n, [0] * n  # colours around a vertex; those seen again; those of its hubs
    first: list[dict[int, int]] = [{} for _ in range(n)]  # colour -> the first neighbour that has it
    for v in order:
        forbidden = once[v]
        for w in neighbours[v]:
            if colors[w] >= 0:
                forbidden |= once[w] if twice[v] >> colors[w] & 1 else hubs[w]
        bit = ~forbidden & (forbidden + 1)
        colors[v] = bit.bit_length() - 1
        for x in neighbours[v]:
            if not once[x] & bit:
                once[x] |= bit
                first[x][bit] = v
            else:
                if colors[x] >= 0:
                    hubs[v] |= 1 << colors[x]
                    hubs[first[x][bit]] |= 1 << colors[x]
                twice[x] |= bit
            if colors[x] >= 0 and twice[v] >> colors[x] & 1:
                hubs[x] |= bit
    return colors


def _acyclic(neighbours: list[list[int]], order: list[int]) -> list[int]:
    """Greedy acyclic colouring: v avoids a colour if two of its neighbours lie in one tree of their colour and that one.

    What a vertex may take depends on all before it, so this is a loop in Python. The tree of w in its own colour and k is
    a set of a union-find forest, whose elements are the pairs (w, k).
    """
    n = len(neighbours)
    colors = [-1] * n
    once, twice = [0] * n, [0] * n
    trees: list[dict[int, int]] = [{} for _ in range(n)]  # of each vertex: other colour -> element
    parent: list[int] = []

    def find(a: int) -> int:
        while parent[a] != a:
            parent[a] = a = parent[parent[a]]
        return a

    def tree(v: int, color: int) -> int:
        if color not in trees[v]:
            trees[v][color] = len(parent)
            parent.append(len(parent))
        return trees[v][color]

    for v in order:
        forbidden = once[v]
        touched: dict[tuple[int, int], int] = {}
        for w in neighbours[v]:
            if colors[w] >= 0 and twice[v] >> colors[w] & 1:
                for k, element in trees[w].items():
                    if touched.setdefault((k, find(element)), w) != w:
                        forbidden |= 1 << k
        bit = ~forbidden & (forbidden + 1)
        c = colors[v] = bit.bit_length() - 1
        for w in neighbours[v]:
            twice[w] |= once[w] & bit
            once[w] |= bit
            if colors[w] >= 0:
                parent[find(tree(w, c))] = find(tree(v, colors[w]))
    return colors
