"""The symbolic phase of an elimination: an order, and what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any

from dualdiff.errors import InputError
from dualdiff.passes.elimination.graph import Graph

AS_COMPUTED = {"forward": 1, "reverse": -1}
"""The orders that follow the program, by the step through its vertices."""
ORDERS = (*AS_COMPUTED, "markowitz", "reverse-markowitz", "relative-markowitz")
"""The orders that have a name; ``"best"`` tries them all."""
LISTED = 8
"""Vertices that a message lists."""


@dataclass(frozen=True, slots=True)
class Count:
    """What an elimination in some order costs, counted exactly.

    Parameters
    ----------
    rule : str
        The name of the order, or ``"given"``.
    order : tuple of int
        The vertices as they are eliminated.
    multiplications : int
        The sum of (predecessors × successors), each taken when its vertex goes. Every product counts, with a weight
        of ±1 too, as usual in the literature.
    updates : int
        The products that are added to an edge that is there already: the additions.
    fills : int
        The products that make a new edge.
    peak : int
        The most edges there are at any time, before, between and after eliminations.
    """

    rule: str
    order: tuple[int, ...]
    multiplications: int
    updates: int
    fills: int
    peak: int


def counts(graph: Graph, order: str | Sequence[int] = "markowitz") -> Count:
    r"""Return the order of an elimination and its exact cost, without touching a weight.

    Parameters
    ----------
    graph : Graph
        The graph; it stays as it is.
    order : str or sequence of int
        - ``"forward"``, ``"reverse"``: as computed, or backwards.
        - ``"markowitz"``: always a vertex of least (predecessors × successors); of several the one computed first, and
          with ``"reverse-markowitz"`` the one computed last.
        - ``"relative-markowitz"``: least relative to what the vertex would cost as the last one, which is
          (inputs before it × other outputs behind it).
        - ``"best"``: the cheapest of these five.
        - a sequence: all of ``graph.intermediates``, each once.

    Raises
    ------
    InputError
        If there is no such order, or the sequence misses a vertex, repeats one or names one that cannot be eliminated.

    References
    ----------
    A. Griewank and S. Reese, *On the calculation of Jacobian matrices by the Markowitz rule*, in: Automatic
    Differentiation of Algorithms, SIAM 1991. A. Albrecht, P. Gottschling and U. Naumann, *Markowitz-type heuristics
    for computing Jacobian matrices efficiently*, ICCS 2003. A. Griewank and A. Walther, *Evaluating Derivatives*,
    2nd ed., SIAM 2008, chapters 9 and 10, doi:10.1137/1.9780898717761.

    Examples
    --------
    An hourglass of two inputs and two outputs; its waist 4, 5 goes last, or in the wrong place:

    >>> graph = Graph((1, 2), (6, 7), {3: {1: 1.0, 2: 1.0}, 4: {3: 1.0}, 5: {4: 1.0}, 6: {5: 1.0}, 7: {5: 1.0}})
    >>> counts(graph, "forward").multiplications, counts(graph, "reverse").multiplications
    (8, 8)
    >>> counts(graph)
    Count(rule='markowitz', order=(4, 3, 5), multiplications=7, updates=0, fills=7, peak=6)
    """
    if order == "best":
        return min((counts(graph, name) for name in ORDERS), key=lambda count: count.multiplications)
    predecessors = {v: set(row) for v, row in graph.predecessors.items()}
    successors = successors_of(graph)
    if isinstance(order, str):
        rule, sequence = order, _named(order, graph, predecessors, successors)
    else:
        rule, sequence = "given", iter(_checked(order, graph))
    kept = set(graph.outputs)
    done = []
    multiplications = fills = 0
    edges = peak = sum(map(len, predecessors.values()))
    for v in sequence:
        before, behind = predecessors[v], successors[v]
        multiplications += len(before) * len(behind)
        new = 0
        for s in behind:
            row = predecessors[s]
            new += len(before - row)
            row |= before
            row.remove(v)
        fills += new
        edges += new - len(behind) - bridged(successors, before, v, behind, kept)
        peak = max(peak, edges)
        done.append(v)
    return Count(rule, tuple(done), multiplications, multiplications - fills, fills, peak)


def successors_of(graph: Graph) -> dict[int, set[int]]:
    successors: dict[int, set[int]] = {v: set() for v in graph.vertices}
    for v, row in graph.predecessors.items():
        for u in row:
            successors[u].add(v)
    return successors


def bridged(successors: dict[int, set[int]], before: Iterable[int], v: int, behind: set[int], kept: Any) -> int:
    """Lead all edges that end in ``v`` on to what stands behind it; return how many of them are gone.

    Those into an output stay, whoever else uses it: they become its row of the Jacobian.
    """
    gone = 0
    for u in before:
        successors[u] |= behind
        if v not in kept:
            successors[u].remove(v)
            gone += 1
    return gone


def _checked(order: Sequence[int], graph: Graph) -> tuple[int, ...]:
    """Return a user's order; raise unless it holds each intermediate vertex once."""
    given, wanted = tuple(order), set(graph.intermediates)
    if len(given) == len(wanted) and set(given) == wanted:
        return given
    wrong = {
        "misses": wanted.difference(given),
        "repeats": {v for v, times in Counter(given).items() if times > 1},
        "names what cannot be eliminated in": set(given) - wanted,
    }
    said = ", ".join([f"{verb} {_listed(vertices)}" for verb, vertices in wrong.items() if vertices])
    raise InputError(f"an order of elimination must hold each of graph.intermediates once; this one {said}")


def _listed(vertices: Collection[int]) -> str:
    first = sorted(vertices)[:LISTED]
    return str(first) if len(first) == len(vertices) else f"{str(first)[:-1]}, …] ({len(vertices)} in all)"


def _named(
    name: str, graph: Graph, predecessors: dict[int, set[int]], successors: dict[int, set[int]]
) -> Iterator[int]:
    """Return the vertices in one of the orders that have a name; the graph may shrink while they are drawn."""
    vertices = graph.intermediates
    if name in AS_COMPUTED:
        return iter(vertices[:: AS_COMPUTED[name]])
    if name not in ORDERS:
        raise InputError(f"there is no order {name!r}: choose from {', '.join(ORDERS)}, best, or give the vertices")
    turns = {v: -i if name == "reverse-markowitz" else i for i, v in enumerate(vertices)}
    last = _costs_as_the_last(graph, successors) if name == "relative-markowitz" else dict.fromkeys(vertices, 0)

    def key(v: int) -> tuple[int, int, int]:
        return len(predecessors[v]) * len(successors[v]) - last[v], turns[v], v

    return _greedy(vertices, key, lambda v: predecessors[v] | successors[v])


def _greedy(
    vertices: Iterable[int], key: Callable[[int], tuple[int, int, int]], neighbours: Callable[[int], set[int]]
) -> Iterator[int]:
    """Yield always the vertex of least key; between two of them the first is eliminated, which changes its neighbours' keys."""
    keys = {v: key(v) for v in vertices}
    heap = list(keys.values())
    heapify(heap)
    while heap:
        least = heappop(heap)
        v = least[-1]
        if keys.get(v) != least:
            continue  # out of date: there is a newer entry further on
        del keys[v]
        around = neighbours(v) & keys.keys()
        yield v
        for w in around:
            new = key(w)
            if new != keys[w]:
                keys[w] = new
                heappush(heap, new)


def _costs_as_the_last(graph: Graph, successors: dict[int, set[int]]) -> dict[int, int]:
    """Return what every vertex would cost as the last one: (inputs before it × other outputs behind it)."""
    before = {v: 1 << i for i, v in enumerate(graph.inputs)}  # sets, as the bits of integers
    for v, row in graph.predecessors.items():
        before[v] = 0
        for u in row:
            before[v] |= before[u]
    own = {v: 1 << i for i, v in enumerate(graph.outputs)}
    behind: dict[int, int] = {}
    for v in reversed(graph.predecessors):
        behind[v] = 0
        for s in successors[v]:
            behind[v] |= behind[s] | own.get(s, 0)
    return {v: before[v].bit_count() * behind[v].bit_count() for v in behind}


__all__ = ["ORDERS", "Count", "counts"]
