"""How many multiplications every order of elimination takes at least."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from dualdiff.passes.elimination.graph import Graph
from dualdiff.passes.elimination.orders import successors_of

Node = tuple[int, bool]
"""Where a path enters a vertex, or (True) leaves it."""


def lower_bound(graph: Graph) -> int:
    r"""Return a number of multiplications below which no order of vertex elimination gets.

    .. math:: \sum_v \kappa(\text{inputs}, v)\, \kappa(v, \text{outputs})

    over the intermediate vertices, with :math:`\kappa` the most paths between them that share no vertex but :math:`v`. Whenever
    the turn of :math:`v` comes, every path from an input to it goes through one of its predecessors then; so these separate it from
    the inputs, and by Menger's theorem there are at least :math:`\kappa` of them. The same holds for its successors, and
    its elimination takes (predecessors × successors) multiplications.

    An order that takes no more is the cheapest there is. Where vertices get in each other's way, none may take so few.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    int

    References
    ----------
    K. Menger, *Zur allgemeinen Kurventheorie*, Fundamenta Mathematicae 10 (1927), doi:10.4064/fm-10-1-96-115. L. R. Ford
    and D. R. Fulkerson, *Maximal flow through a network*, Canadian Journal of Mathematics 8 (1956),
    doi:10.4153/CJM-1956-045-5.

    Examples
    --------
    Both modes take eight multiplications here, and Markowitz's rule as well. The order 3, 5, 4 takes seven, and none
    takes fewer: 3 costs one at least, 4 costs 1 × 2, and 5 costs 2 × 2.

    >>> rows = {3: {1: 1}, 4: {2: 1}, 5: {3: 1, 4: 1}, 6: {4: 1, 5: 1}, 7: {4: 1, 5: 1}}
    >>> lower_bound(Graph((1, 2), (6, 7), rows))
    7
    """
    behind = successors_of(graph)
    inputs = set(graph.inputs)
    outputs = {v for v in graph.outputs if v is not None}
    return sum(
        [
            _disjoint_paths(graph.predecessors, v, inputs) * _disjoint_paths(behind, v, outputs - {v})
            for v in graph.intermediates
        ]
    )


def _disjoint_paths(near: Mapping[int, Iterable[int]], start: int, ends: set[int]) -> int:
    """Return the most paths from a vertex to different ends that have nothing else in common: a maximal flow of units."""
    residual: dict[Node, set[Node]] = {(start, True): {(v, False) for v in near.get(start, ())}}
    reached = [v for v, _ in residual[start, True]]
    while reached:
        v = reached.pop()
        if (v, True) not in residual:
            following = {(w, False) for w in near.get(v, ())}
            residual[v, False], residual[v, True] = {(v, True)}, following
            reached += [w for w, _ in following]
    used: set[int] = set()
    while (path := _path(residual, (start, True), ends - used)) is not None:
        for one, other in pairwise(path):
            residual[one].remove(other)
            residual[other].add(one)
        used.add(path[-1][0])
    return len(used)


def _path(residual: Mapping[Node, Iterable[Node]], start: Node, ends: set[int]) -> list[Node] | None:
    """Return a path to where it would leave one of the ends, breadth first."""
    came: dict[Node, Node | None] = {start: None}
    queue = [start]
    for node in queue:
        for other in residual[node]:
            if other not in came:
                came[other] = node
                if other[1] and other[0] in ends:
                    path = [other]
                    while (before := came[path[-1]]) is not None:
                        path.append(before)
                    return path[::-1]
                queue.append(other)
    return None


__all__ = ["lower_bound"]
