r"""Vertex elimination: a Jacobian accumulated on the linearised computational graph, in any order of the chain rule.

A scalar program is a graph: its vertices are the numbers it computes, and an edge carries the partial derivative of
one number with respect to another it was computed from. An entry of the Jacobian is the sum, over all paths from an
input to an output, of the products of the weights. Eliminating a vertex connects what stands before it directly with
what stands behind it,

.. math:: c_{su} \mathrel{+}= c_{sv}\, c_{vu} \quad\text{for all predecessors } u \text{ and successors } s
    \text{ of } v,

which keeps those sums and costs (predecessors × successors) multiplications. When only inputs and outputs are left,
the weights are the Jacobian. From the inputs on this is the sparse forward mode, from the outputs back the sparse
reverse mode; other orders may be cheaper than both. The cheapest is hard to find, and Markowitz's rule, to take what
costs least now, is often close.

As in the sparse factorisation of matrices there is a symbolic phase (:func:`counts`), which fixes the order and knows
what it will cost, and a numeric one (:func:`eliminate`).
"""

from dualdiff.passes.elimination.accumulation import Elimination, eliminate, eliminated
from dualdiff.passes.elimination.annealing import Annealing, anneal
from dualdiff.passes.elimination.bound import lower_bound
from dualdiff.passes.elimination.graph import Graph, Origin
from dualdiff.passes.elimination.linearization import MOST, linearized, vertices_of
from dualdiff.passes.elimination.orders import ORDERS, Count, counts

__all__ = [
    "MOST",
    "ORDERS",
    "Annealing",
    "Count",
    "Elimination",
    "Graph",
    "Origin",
    "anneal",
    "counts",
    "eliminate",
    "eliminated",
    "linearized",
    "lower_bound",
    "vertices_of",
]
