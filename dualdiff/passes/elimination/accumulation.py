"""The numeric phase of an elimination: the Jacobian, accumulated in an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.kinds import Shape
from dualdiff.passes.elimination.graph import Graph
from dualdiff.passes.elimination.linearization import MOST, linearized
from dualdiff.passes.elimination.orders import Count, bridged, counts, successors_of
from dualdiff.tangents import zeros_beside
from dualdiff.tape import Tape
from dualdiff.values import TRACED


@dataclass(frozen=True, slots=True)
class Elimination(Count):
    """A Jacobian accumulated by elimination, and what it cost.

    Parameters
    ----------
    shape : tuple of int
        The shape of the Jacobian, (outputs, inputs).
    entries : dict
        ``{(row, column): value}`` of the entries that some path reaches.
    dtype : numpy.dtype
        The dtype of the Jacobian.
    """

    shape: tuple[int, int]
    entries: dict[tuple[int, int], Any]
    dtype: np.dtype[Any]

    def jacobian(self) -> np.ndarray[Any, Any]:
        """Return the Jacobian as a dense array."""
        rows, columns, values = self.nonzeros()
        J = zeros_beside((values,), self.shape, self.dtype)
        J[rows, columns] = values
        return J

    def nonzeros(self) -> tuple[Any, Any, Any]:
        """Return the entries, row by row: their rows, their columns and their values."""
        found = sorted(self.entries.items(), key=lambda entry: entry[0])
        places = np.array([at for at, _ in found], np.intp).reshape(-1, 2)
        values = [value for _, value in found]
        traced = not TRACED.isdisjoint(map(type, values))
        return places[:, 0], places[:, 1], np.stack(values) if traced else np.array(values, self.dtype)


def eliminate(graph: Graph, order: str | Sequence[int] = "markowitz") -> Elimination:
    r"""Accumulate the Jacobian of a linearised graph by eliminating its intermediate vertices.

    .. math:: c_{su} \mathrel{+}= c_{sv}\, c_{vu}

    What is not there adds nothing: a branch not taken has no edge. A weight that happens to be zero is a number, and
    its product with an infinite one is NaN.

    Parameters
    ----------
    graph : Graph
        The graph; it stays as it is. Weights may be numbers of any type.
    order : str or sequence of int
        As for :func:`counts`.

    Returns
    -------
    Elimination
        The entries of the Jacobian, the order taken, and the exact number of multiplications and additions.

    Raises
    ------
    InputError
        As :func:`counts` does.

    References
    ----------
    A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 9, doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> graph = Graph((1,), (3, 4), {2: {1: 2.0}, 3: {2: 3.0}, 4: {2: 5.0, 1: 1.0}})
    >>> found = eliminate(graph)
    >>> found.jacobian()
    array([[ 6.],
           [11.]])
    >>> found.multiplications, found.updates, found.fills
    (2, 1, 1)
    """
    count = counts(graph, order)
    predecessors = {v: dict(row) for v, row in graph.predecessors.items()}
    successors = successors_of(graph)
    kept = set(graph.outputs)
    for v in count.order:
        before, behind = predecessors[v], successors[v]
        for s in behind:
            row = predecessors[s]
            b = row.pop(v)
            for u, a in before.items():
                c = b * a
                row[u] = row[u] + c if u in row else c
        bridged(successors, before, v, behind, kept)
    column = {v: j for j, v in enumerate(graph.inputs)}
    entries: dict[tuple[int, int], Any] = {}
    for i, y in enumerate(graph.outputs):
        if y in column:
            entries[i, column[y]] = 1.0
        elif y is not None:
            entries.update({(i, column[u]): w for u, w in predecessors[y].items()})
    cost = (count.multiplications, count.updates, count.fills, count.peak)
    return Elimination(count.rule, count.order, *cost, graph.shape, entries, graph.dtype)


def eliminated(
    tape: Tape,
    order: str | Sequence[int] = "markowitz",
    shapes: Sequence[Shape] | None = None,
    most: int = MOST,
) -> np.ndarray[Any, Any]:
    """Return the dense Jacobian of a recorded run, by vertex elimination on its linearised graph.

    Parameters
    ----------
    tape, shapes, most
        As for :func:`linearized`.
    order : str or sequence of int
        As for :func:`counts`.

    Returns
    -------
    numpy.ndarray
        Of shape (m, n): a row for each entry of the outputs, a column for each entry of the inputs, each in the order
        of the tape, flattened.

    Raises
    ------
    InputError
        As :func:`linearized` and :func:`counts` do.

    References
    ----------
    A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 9, doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> from dualdiff.tape import record
    >>> tape, y = record(lambda x: x * x[0], np.array([2.0, 3.0]), replayable=True)
    >>> tape.outputs = [y.mark]
    >>> eliminated(tape)
    array([[4., 0.],
           [3., 2.]])
    """
    return eliminate(linearized(tape, shapes, most), order).jacobian()


__all__ = ["Elimination", "eliminate", "eliminated"]
