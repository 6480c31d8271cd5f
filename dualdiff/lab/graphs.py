"""The linearised graph of a function at a point, with the names of its numbers: counted, searched, drawn, exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.lab import layers
from dualdiff.lab.shown import argument_names, called, function_name
from dualdiff.lab.tables import Table, Tabular
from dualdiff.lab.trace.names import names
from dualdiff.lab.trace.words import SIGNS, entry
from dualdiff.operators.calls import Argnums
from dualdiff.passes.elimination import (
    MOST,
    ORDERS,
    Annealing,
    Count,
    Elimination,
    Graph,
    anneal,
    counts,
    eliminate,
    linearized,
    lower_bound,
    vertices_of,
)
from dualdiff.shapes import shape_of
from dualdiff.tape import Tape
from dualdiff.ways.problem import record

__all__ = ["NamedGraph", "Orders", "graph"]

DRAWN = 150
"""The most vertices of a drawing that one can read."""
SUMMED_UP, BOUNDED = 3000, 500
"""The most vertices up to which a summary counts the orders, and up to which it bounds them: a second or two."""


@dataclass(frozen=True, slots=True, repr=False)
class Orders(Tabular):
    """What orders of elimination cost on one graph; a table in every form that the lab writes.

    Attributes
    ----------
    counts : tuple of Count
    """

    counts: tuple[Count, ...]

    def __getitem__(self, rule: str) -> Count:
        """Return the order of that name."""
        for count in self.counts:
            if count.rule == rule:
                return count
        raise KeyError(rule)

    @property
    def best(self) -> Count:
        """The cheapest of them."""
        return min(self.counts, key=lambda count: count.multiplications)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The orders as cells of text, a row each."""
        columns = ("order", "multiplications", "additions", "most edges")
        rows = tuple((c.rule, f"{c.multiplications:,}", f"{c.updates:,}", f"{c.peak:,}") for c in self.counts)
        return (Table("Orders of elimination", columns, rows),)

    def records(self) -> list[dict[str, Any]]:
        """Return one mapping an order, its vertices among them."""
        return [
            {
                "order": c.rule,
                "multiplications": c.multiplications,
                "additions": c.updates,
                "most edges": c.peak,
                "vertices": " ".join(map(str, c.order)),
            }
            for c in self.counts
        ]


@dataclass(frozen=True, slots=True, eq=False)
class NamedGraph:
    """The linearised graph of one run of a function, and what its vertices are called.

    In a notebook it shows as a drawing where it is small enough, elsewhere as a summary.

    Attributes
    ----------
    function : str
        The name of the function.
    graph : Graph
        Vertices and partial derivatives, for :mod:`dualdiff.passes.elimination`.
    labels : dict
        For every vertex its name (the variable that the source assigns it to, or ``v`` with its number) and the operation
        that made it, empty for an input.
    """

    function: str
    graph: Graph
    labels: dict[int, layers.Label]

    def __str__(self) -> str:
        m, n = self.graph.shape
        edges = sum(map(len, self.graph.predecessors.values()))
        head = (
            f"{self.function}: {_counted(n, 'input')}, {_counted(len(self.graph.intermediates), 'intermediate vertex')}, "
            f"{_counted(m, 'output')}, {_counted(edges, 'edge')}"
        )
        size = len(self.graph.vertices)
        parts = [head, str(self.counts()).partition("\n")[2]] if size <= SUMMED_UP else [head]
        if size <= BOUNDED:
            parts.append(f"no order takes fewer than {self.lower_bound():,}")
        return "\n".join(parts)

    __repr__ = __str__

    @property
    def order(self) -> tuple[int, ...]:
        """The vertices to eliminate, in the order in which they were computed."""
        return self.graph.intermediates

    def counts(self) -> Orders:
        """Return what every rule takes on this graph.

        Examples
        --------
        >>> import numpy as np
        >>> print(graph(lambda x: np.array([x[0] * x[1] * x[2]] * 2), np.ones(3)).counts())
        Orders of elimination
        order               multiplications  additions  most edges
        ------------------  ---------------  ---------  ----------
        forward                           2          0           4
        reverse                           2          0           4
        markowitz                         2          0           4
        reverse-markowitz                 2          0           4
        relative-markowitz                2          0           4
        """
        return Orders(tuple([counts(self.graph, rule) for rule in ORDERS]))

    def lower_bound(self) -> int:
        """Return how many multiplications every order takes at least; one that takes no more is the cheapest there is.

        Examples
        --------
        >>> from dualdiff.lab.problems import scalar
        >>> case = scalar.propane_combustion()
        >>> drawn = graph(case.function, case.point)
        >>> drawn.counts().best.multiplications, drawn.lower_bound()
        (88, 88)
        """
        return lower_bound(self.graph)

    def search(
        self,
        start: str | Sequence[int] = "best",
        *,
        seconds: float | None = None,
        evaluations: int | None = None,
        seed: int = 0,
    ) -> Annealing:
        """Return a cheaper order, found by :func:`~dualdiff.passes.elimination.anneal`.

        Parameters are those of that function. The order may be given to ``dualdiff.jacobian(f, mode="elimination",
        order=found.order)``.

        Examples
        --------
        >>> from dualdiff.lab.problems import scalar
        >>> case = scalar.robot_arm()
        >>> drawn = graph(case.function, case.point)
        >>> drawn.counts()["markowitz"].multiplications, drawn.search(evaluations=5_000).multiplications
        (288, 221)
        """
        return anneal(self.graph, start, seconds=seconds, evaluations=evaluations, seed=seed)

    def eliminate(self, order: str | Sequence[int] = "markowitz") -> Elimination:
        """Return the Jacobian accumulated in an order, with what it cost: the proof that the order is one."""
        return eliminate(self.graph, order)

    def to_networkx(self) -> Any:
        """Return the graph as a ``networkx.DiGraph``; beside what :meth:`Graph.to_networkx` gives, nodes carry a ``label``.

        Raises
        ------
        ImportError
            If NetworkX is not installed.
        """
        found = self.graph.to_networkx()
        for v, (name, _) in self.labels.items():
            found.nodes[v]["label"] = name
        return found

    def mermaid(self) -> str:
        """Return the graph in the language of Mermaid.

        Examples
        --------
        >>> def f(x, y):
        ...     product = x * y
        ...     return np.sin(product)
        >>> print(graph(f, 2.0, 3.0).mermaid())
        flowchart LR
            v1(["x"])
            v2(["y"])
            v3["product<br>×"]
            v4[["v4<br>sin"]]
            v1 --> v3
            v2 --> v3
            v3 --> v4
        """
        return layers.mermaid(self.graph, self.labels)

    def svg(self) -> str:
        """Return a drawing, inputs on the left and outputs on the right; edges tell their partial derivatives.

        Raises
        ------
        InputError
            If the graph has more than 150 vertices.
        """
        if len(self.graph.vertices) > DRAWN:
            raise InputError(
                f"a drawing of {len(self.graph.vertices)} vertices cannot be read, and at most {DRAWN} are drawn; draw a "
                "smaller case, or give .mermaid() or .to_networkx() to a program for large graphs"
            )
        return layers.svg(self.graph, self.labels)

    def _repr_html_(self) -> str:
        summary = f"<pre>{escape(str(self))}</pre>"
        return summary if len(self.graph.vertices) > DRAWN else f"<div>{self.svg()}</div>{summary}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}


def graph(f: Callable[..., Any], *args: Any, argnums: Argnums | None = None, most: int = MOST) -> NamedGraph:
    r"""Return the linearised computational graph of a function at a point.

    Its vertices are the numbers that the function computes, and the weight of the edge :math:`u \to v` is the local
    partial derivative :math:`\partial v / \partial u`; the sum over all paths from :math:`x_j` to :math:`y_i` of the
    products of the weights is the entry :math:`J_{ij}` of the Jacobian.

    Parameters
    ----------
    f : callable
        A function of NumPy code; results of any type: numbers, arrays, ``np.array([...])``, nested tuples, lists, dicts.
    *args
        The point: numbers, arrays, or nested structures of them.
    argnums : int, str, or sequence of them, optional
        Which arguments to differentiate; all of them by default.
    most : int
        The most vertices to allow.

    Returns
    -------
    NamedGraph
        It prints as a summary and shows in a notebook as a drawing.

    Raises
    ------
    InputError
        If the program is too large, works with complex numbers, or is being differentiated by another operator.

    References
    ----------
    A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapters 2 and 9,
    doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> import numpy as np
    >>> def f(x):
    ...     a = x[0] * x[1]
    ...     b = np.sin(a)
    ...     return np.array([a * b, np.exp(b)])
    >>> found = graph(f, np.array([2.0, 3.0]))
    >>> print(found)
    f: 2 inputs, 2 intermediate vertices, 2 outputs, 6 edges
    order               multiplications  additions  most edges
    ------------------  ---------------  ---------  ----------
    forward                           8          2           6
    reverse                           6          1           6
    markowitz                         6          1           6
    reverse-markowitz                 6          1           6
    relative-markowitz                6          1           6
    no order takes fewer than 6
    >>> found.labels[4]
    ('b', 'sin')
    """
    call = called("lab.graph", f, args, argnums)
    with np.errstate(all="ignore"):  # what is not finite is seen in the weights
        tape, values = record(call.problem(), replayable=True, lines=True)
    found = linearized(tape, [shape_of(v) for v in values], most)
    return NamedGraph(function_name(call.f), found, _labels(tape, found, argument_names(call)))


def _labels(tape: Tape, graph: Graph, arguments: Sequence[str]) -> dict[int, layers.Label]:
    """Name every vertex: an entry of the first variable that holds it; an input by a variable of its own, if it has one."""
    inputs = len(tape.inputs)
    slots = vertices_of(tape)
    given: dict[int, str] = {}
    own: dict[int, str] = {}
    for slot, name in enumerate([*arguments, *names(tape)]):
        shape = shape_of(slots[slot])
        for position, v in enumerate(np.ravel(slots[slot]).tolist() if name else ()):
            given.setdefault(v, entry(name, position, shape))
            if slot >= inputs and not shape:
                own.setdefault(v, name)
    first = set(graph.inputs)
    found = {}
    for v in graph.vertices:
        origin = graph.origins[v]
        name = own.get(v, given.get(v, f"v{v}")) if v in first else given.get(v, f"v{v}")
        found[v] = (name, "" if v in first else _operation(origin.name))
    return found


def _operation(name: str) -> str:
    sign = SIGNS.get(name)
    return {"*": "×", "-": "−"}.get(sign, sign) if sign else name.rpartition(".")[2]


def _counted(count: int, what: str) -> str:
    many = what.removesuffix("ex") + "ices" if what.endswith("ex") else what + "s"
    return f"{count} {what if count == 1 else many}"
