r"""A search for better orders of elimination than the rules find: simulated annealing on exact counts.

What a vertex costs depends on which others are gone, not on the order in which they went: its predecessors are then all
vertices from which a path leads to it over eliminated ones, and so with its successors. So a vertex that moves within
an order changes the cost of no other vertex than those it passes, and what follows finds the same graph as before. An
order is improved by such moves; one that makes it dearer by :math:`\Delta` is taken with the probability
:math:`e^{-\Delta/T}`, and the temperature :math:`T` falls.

The graph is held as sets of bits, one integer for the predecessors of a vertex and one for its successors.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from dualdiff.errors import InputError
from dualdiff.passes.elimination.graph import Graph
from dualdiff.passes.elimination.orders import Count, counts

EVALUATIONS = 100_000
"""Moves that are tried where nothing else is said."""
FARTHEST = 30
"""The most places that a vertex moves at once; near ones are tried more often."""
MOVES = 4
"""Moves tried at a place before the next one has its turn."""
COLD = 0.15
"""The temperature at the end, in multiplications: even one more is hardly ever taken."""


@dataclass(frozen=True, slots=True)
class Annealing(Count):
    """The cheapest order that a search met, and how it was found.

    Parameters
    ----------
    start : int
        The multiplications of the order it started from.
    evaluations : int
        How many moves were tried.
    seed : int
        The seed of the random moves.
    """

    start: int
    evaluations: int
    seed: int


def anneal(
    graph: Graph,
    start: str | Sequence[int] = "best",
    *,
    evaluations: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
) -> Annealing:
    r"""Return a cheap order of elimination, found by simulated annealing.

    A vertex is moved to another place of the order, and the order that follows is kept if it takes fewer
    multiplications, or with probability :math:`e^{-\Delta/T}` if it takes :math:`\Delta` more. The temperature falls
    geometrically from the mean cost of a vertex to a fraction of one multiplication. The count of every order tried is
    exact.

    Parameters
    ----------
    graph : Graph
        The graph; it stays as it is.
    start : str or sequence of int
        The order to start from, as for :func:`counts`. No dearer one is returned.
    evaluations : int, optional
        How many moves to try; with it the result is always the same. By default 100 000, where ``seconds`` is not given.
    seconds : float, optional
        A limit of time. Given alone, it is the time in which the temperature falls.
    seed : int
        Another seed is another search.

    Returns
    -------
    Annealing
        The cheapest order met, with its exact counts; it may be given to :func:`eliminate`.

    Raises
    ------
    InputError
        If there is no such order to start from, or the limits are not positive.

    References
    ----------
    U. Naumann and P. Gottschling, *Simulated annealing for optimal pivot selection in Jacobian accumulation*, in:
    Stochastic Algorithms: Foundations and Applications, LNCS 2827, Springer 2003, doi:10.1007/978-3-540-39816-5_8.
    S. Kirkpatrick, C. D. Gelatt and M. P. Vecchi, *Optimization by simulated annealing*, Science 220 (1983),
    doi:10.1126/science.220.4598.671.

    Examples
    --------
    Markowitz's rule takes eight multiplications here, and so do both modes; seven are enough.

    >>> rows = {3: {1: 1}, 4: {2: 1}, 5: {3: 1, 4: 1}, 6: {4: 1, 5: 1}, 7: {4: 1, 5: 1}}
    >>> graph = Graph((1, 2), (6, 7), rows)
    >>> counts(graph, "markowitz").multiplications
    8
    >>> found = anneal(graph, "markowitz", evaluations=100)
    >>> found.multiplications, found.order
    (7, (3, 5, 4))
    """
    _refuse_nothing(evaluations, seconds)
    first = counts(graph, start)
    if evaluations is None and seconds is None:
        evaluations = EVALUATIONS
    vertices = graph.intermediates
    place = {v: i for i, v in enumerate(vertices)}
    order, tried = _annealed(_bits(graph), [place[v] for v in first.order], evaluations, seconds, Random(seed))
    found = counts(graph, [vertices[i] for i in order])
    cost = (found.multiplications, found.updates, found.fills, found.peak)
    return Annealing("annealing", found.order, *cost, first.multiplications, tried, seed)


def _refuse_nothing(evaluations: int | None, seconds: float | None) -> None:
    if evaluations is not None and evaluations < 1:
        raise InputError(f"evaluations={evaluations!r} must be a positive number of moves to try")
    if seconds is not None and not seconds > 0:
        raise InputError(f"seconds={seconds!r} must be a positive time")


class Bits(NamedTuple):
    """A graph as sets of bits: the intermediate vertices come first, by their place in an order of evaluation."""

    before: list[int]
    behind: list[int]
    inner: int
    """The intermediate vertices: what the others see is not kept up to date, for it costs nothing."""
    kept: int
    """The vertices that stay as ends of edges when they are eliminated: the outputs."""

    def copy(self) -> Bits:
        """Return the same graph in lists of its own."""
        return Bits(self.before[:], self.behind[:], self.inner, self.kept)


def _bits(graph: Graph) -> Bits:
    inner = graph.intermediates
    place = {v: i for i, v in enumerate(dict.fromkeys((*inner, *graph.vertices)))}
    before, behind = [0] * len(place), [0] * len(place)
    for v, row in graph.predecessors.items():
        for u in row:
            before[place[v]] |= 1 << place[u]
            behind[place[u]] |= 1 << place[v]
    kept = sum([1 << place[v] for v in set(graph.outputs) if v is not None])
    return Bits(before[: len(inner)], behind[: len(inner)], (1 << len(inner)) - 1, kept)


def _eliminate(graph: Bits, v: int) -> int:
    """Take an intermediate vertex out of a graph; return the multiplications."""
    before, behind, inner, kept = graph
    b, s, gone = before[v], behind[v], 1 << v
    stays = ~(gone & ~kept)
    left = b & inner
    while left:
        u = left.bit_length() - 1
        left ^= 1 << u
        behind[u] = (behind[u] | s) & stays
    left = s & inner
    while left:
        w = left.bit_length() - 1
        left ^= 1 << w
        before[w] = (before[w] | b) ^ gone
    return b.bit_count() * s.bit_count()


def _annealed(
    graph: Bits, order: list[int], evaluations: int | None, seconds: float | None, random: Random
) -> tuple[list[int], int]:
    """Return the cheapest order met, and how many moves were tried."""
    state = graph.copy()
    costs = [_eliminate(state, v) for v in order]
    cost = least = sum(costs)
    best, last, draw = order[:], len(order) - 1, random.random
    hot = max(cost / max(len(order), 1), 1.0)
    tried, begun = 0, time.perf_counter()
    while last > 0:
        state = graph.copy()  # at each place the graph as it is when the vertices before it are gone
        for i in range(last):
            spent = (time.perf_counter() - begun) / seconds if seconds is not None else 0.0
            done = tried / evaluations if evaluations is not None else spent
            if max(done, spent) >= 1:
                return best, tried
            temperature = hot * (COLD / hot) ** done
            for _ in range(MOVES):
                tried += 1
                j = min(i + 1 + int(FARTHEST * draw() ** 2), last) + 1
                there, back = (i, j - 1) if draw() < 0.5 else (j - 1, i)
                moved = order[i:j]
                moved.insert(back - i, v := moved.pop(there - i))
                near = state.before[v] | state.behind[v]
                if not any(near >> w & 1 for w in moved):  # no neighbour is passed: nothing gets dearer or cheaper
                    order[i:j] = moved
                    costs.insert(back, costs.pop(there))
                    continue
                spending = sum(costs[i:j])
                change = _dearer(state, moved, spending - temperature * math.log(1.0 - draw()))
                if change is None:
                    continue
                order[i:j], costs[i:j] = moved, change
                cost += sum(change) - spending
                if cost < least:
                    least, best = cost, order[:]
            _eliminate(state, order[i])
    return best, tried


def _dearer(state: Bits, vertices: list[int], most: float) -> list[int] | None:
    """Return what the next vertices of an order cost, one by one; None if it is more than ``most``."""
    state = state.copy()
    costs = []
    total = 0
    for v in vertices:
        cost = _eliminate(state, v)
        total += cost
        if total > most:
            return None
        costs.append(cost)
    return costs


__all__ = ["Annealing", "anneal"]
