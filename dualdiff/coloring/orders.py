"""The orders in which a greedy colouring visits its vertices.

A greedy colouring uses at most one colour more than the largest number of coloured neighbours it meets, so a good order
keeps that number low. Gebremedhin, Manne & Pothen (2005), section 7, doi:10.1137/S0036144504444711.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

__all__ = ["ORDERS", "incidence_degree", "largest_first", "smallest_last"]

#: The orders, from the cheapest to the dearest.
ORDERS = ("natural", "largest_first", "smallest_last", "incidence_degree")


def largest_first(degrees: NDArray[np.integer]) -> list[int]:
    """Order vertices by falling degree (Welsh & Powell 1967, doi:10.1093/comjnl/10.1.85); ties stay in order."""
    return np.argsort(-degrees, kind="stable").tolist()


def smallest_last(graph: scipy.sparse.csr_array) -> list[int]:
    """Order vertices so that each has the fewest neighbours before it, chosen from the last to the first.

    Matula & Beck (1983), doi:10.1145/2402.322385. Its largest number of earlier neighbours is the degeneracy of the
    graph, which no other order beats. One vertex leaves after the other, hence the loop in Python: O(edges).
    """
    degrees = np.diff(graph.indptr).tolist()
    indices, ends = graph.indices.tolist(), graph.indptr.tolist()
    buckets: list[list[int]] = [[] for _ in range(max(degrees, default=0) + 1)]
    for v, d in enumerate(degrees):
        buckets[d].append(v)
    order: list[int] = []
    least = 0
    while len(order) < len(degrees):
        while not buckets[least]:
            least += 1
        v = buckets[least].pop()
        # A vertex stays in its former buckets when its degree falls; only its newest place counts.
        if degrees[v] != least:
            continue
        degrees[v] = -1
        order.append(v)
        for w in indices[ends[v] : ends[v + 1]]:
            d = degrees[w]
            if d > 0:
                degrees[w] = d - 1
                buckets[d - 1].append(w)
        if least:
            least -= 1
    order.reverse()
    return order


def incidence_degree(graph: scipy.sparse.csr_array) -> list[int]:
    """Order vertices so that each has the most neighbours before it, chosen from the first to the last.

    Coleman & Moré (1983), doi:10.1137/0720013. One vertex follows the other, hence the loop in Python: O(edges).
    """
    n = graph.shape[0]
    indices, ends = graph.indices.tolist(), graph.indptr.tolist()
    sizes = np.diff(graph.indptr)
    met = [0] * n
    buckets: list[list[int]] = [[] for _ in range(int(sizes.max(initial=0)) + 1)]
    # Pushed by rising degree, because what was pushed last is popped first, and of equals the largest should lead.
    buckets[0] = np.lexsort((-np.arange(n), sizes)).tolist()
    order: list[int] = []
    most = 0
    while len(order) < n:
        while not buckets[most]:
            most -= 1
        v = buckets[most].pop()
        if met[v] != most:
            continue
        met[v] = -1
        order.append(v)
        for w in indices[ends[v] : ends[v + 1]]:
            d = met[w]
            if d >= 0:
                met[w] = d + 1
                buckets[d + 1].append(w)
        if most + 1 < len(buckets):
            most += 1
    return order
