"""The linearised computational graph: who was computed from whom, and with which partial derivative."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dualdiff.errors import InputError
from dualdiff.shapes import FLOAT64


class Origin(NamedTuple):
    """Where a vertex comes from: the kind and name of the primitive, and the place in its result."""

    kind: str
    name: str
    position: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A linearised computational graph: who was computed from whom, and with which partial derivative.

    Parameters
    ----------
    inputs : tuple of int
        The vertices that stand for the columns of the Jacobian.
    outputs : tuple of int or None
        The vertices that stand for its rows; None for a row that does not depend on the inputs. A vertex may occur
        several times, may be an input, and others may be computed from it.
    predecessors : dict
        For every vertex that is not an input, ``{predecessor: weight}``; the keys in an order of evaluation.
    origins : dict, optional
        For a vertex its :class:`Origin`.
    dtype : numpy.dtype, optional
        The dtype of the Jacobian.

    Raises
    ------
    InputError
        If an edge comes from a vertex that does not stand before its end.

    Examples
    --------
    >>> from dualdiff.passes.elimination import eliminate
    >>> graph = Graph(inputs=(1, 2), outputs=(4,), predecessors={3: {1: 2.0, 2: 5.0}, 4: {3: 10.0, 1: 1.0}})
    >>> graph.intermediates
    (3,)
    >>> eliminate(graph).jacobian()
    array([[21., 50.]])
    """

    inputs: tuple[int, ...]
    outputs: tuple[int | None, ...]
    predecessors: dict[int, dict[int, Any]]
    origins: dict[int, Origin] = field(default_factory=dict)
    dtype: np.dtype[Any] = FLOAT64

    def __post_init__(self) -> None:
        known = set(self.inputs)
        if len(known) != len(self.inputs):
            raise InputError("an input vertex is listed twice")
        for v, row in self.predecessors.items():
            if v in known:
                raise InputError(f"vertex {v} is an input and has predecessors as well")
            if not row.keys() <= known:
                raise InputError(
                    f"vertex {v} has predecessors {sorted(row.keys() - known)} that do not stand before it"
                )
            known.add(v)
        if not known.issuperset(missing := {v for v in self.outputs if v is not None}):
            raise InputError(f"outputs {sorted(missing - known)} are not vertices of the graph")

    def __repr__(self) -> str:
        m, n = self.shape
        edges = sum(map(len, self.predecessors.values()))
        return f"<graph of {n} inputs, {len(self.intermediates)} intermediates, {m} outputs, {edges} edges>"

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the Jacobian."""
        return len(self.outputs), len(self.inputs)

    @property
    def vertices(self) -> tuple[int, ...]:
        """All vertices, in an order of evaluation."""
        return (*self.inputs, *self.predecessors)

    @property
    def edges(self) -> dict[tuple[int, int], Any]:
        """The weight of every edge (from, to)."""
        return {(u, v): w for v, row in self.predecessors.items() for u, w in row.items()}

    @property
    def intermediates(self) -> tuple[int, ...]:
        """The vertices to eliminate, in an order of evaluation: all but the inputs, and outputs that nobody else uses."""
        used = {u for row in self.predecessors.values() for u in row}
        return tuple([v for v in self.predecessors if v in used or v not in self.outputs])

    def copy(self) -> Graph:
        """Return a graph that shares no dict with this one."""
        rows = {v: dict(row) for v, row in self.predecessors.items()}
        return Graph(self.inputs, self.outputs, rows, dict(self.origins), self.dtype)

    def to_networkx(self) -> Any:
        """Return the graph as a ``networkx.DiGraph``.

        Nodes carry ``kind``, ``name`` and ``position`` (see :class:`Origin`), edges their ``weight``; the graph itself
        carries ``inputs`` and ``outputs``.

        Raises
        ------
        ImportError
            If NetworkX is not installed.
        """
        try:
            networkx: Any = importlib.import_module("networkx")
        except ImportError as error:
            raise ImportError("Graph.to_networkx needs NetworkX: pip install 'dualdiff[graph]'") from error
        found = networkx.DiGraph(inputs=self.inputs, outputs=self.outputs)
        for v in self.vertices:
            found.add_node(v, **self.origins[v]._asdict() if v in self.origins else {})
        found.add_weighted_edges_from((u, v, w) for (u, v), w in self.edges.items())
        return found


__all__ = ["Graph", "Origin"]
