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

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

import numpy as np

from dualdiff.errors import InputError
from dualdiff.kinds import Primitive, Shape
from dualdiff.reach import numbers, pushed, reach_of
from dualdiff.shapes import FLOAT64, dtype_of, shape_of, size_of
from dualdiff.tape import Tape
from dualdiff.values import Traced

MOST = 20_000
"""Vertices beyond which a program is refused: each of them is a Python object."""
EDGES_PER_VERTEX = 50
"""A graph of ``most`` vertices may have this many times as many edges."""
CELLS = 2**20
"""Numbers that one batch of unit directions may take at an equation that is not elementwise."""

AS_COMPUTED = {"forward": 1, "reverse": -1}
"""The orders that follow the program, by the step through its vertices."""
ORDERS = (*AS_COMPUTED, "markowitz", "reverse-markowitz", "relative-markowitz")
"""The orders that have a name; ``"best"`` tries them all."""


# --------------------------------------------------------------------------------------------------
# the graph


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
            raise ImportError("Graph.to_networkx needs NetworkX: pip install networkx") from error
        found = networkx.DiGraph(inputs=self.inputs, outputs=self.outputs)
        for v in self.vertices:
            found.add_node(v, **self.origins[v]._asdict() if v in self.origins else {})
        found.add_weighted_edges_from((u, v, w) for (u, v), w in self.edges.items())
        return found


# --------------------------------------------------------------------------------------------------
# from a tape to its graph


def linearized(tape: Tape, shapes: Sequence[Shape] | None = None, most: int = MOST) -> Graph:
    r"""Return the linearised computational graph of a recorded run, entry by entry.

    The vertices are the scalars between the inputs and ``tape.outputs``, numbered from 1 in the order in which they
    were computed; the weight of an edge :math:`u \to v` is :math:`\partial v / \partial u`. What is only moved, stored
    or read (indexing, stacking, reshaping, assignment) is the same vertex before and after.

    Edges are structural: they stay where a partial happens to be zero. What depends on the values is which branch of
    ``where``, and which operand of ``maximum`` and its kin, was taken: the others have none.

    Parameters
    ----------
    tape : Tape
        A recording of a real program, made with ``replayable=True``, whose ``outputs`` are set.
    shapes : sequence of tuple of int, optional
        The shapes of the outputs: needed if one of them is a constant, which the tape does not hold.
    most : int
        The most vertices to allow (and 50 times as many edges).

    Returns
    -------
    Graph
        With one input vertex for each entry of the inputs, and one output for each entry of the outputs.

    Raises
    ------
    InputError
        If the program is too large, works with complex numbers, is differentiated by another operator at the same
        time, or was not recorded for this.

    References
    ----------
    A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapters 2 and 9,
    doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> from dualdiff.tape import record
    >>> tape, y = record(lambda x: np.exp(x[0] * x[1]), np.array([2.0, 0.0]), replayable=True)
    >>> tape.outputs = [y.mark]
    >>> linearized(tape).edges
    {(1, 3): 0.0, (2, 3): 2.0, (3, 4): 1.0}
    """
    if not tape.replayable:
        raise InputError("this tape did not keep what the partial derivatives need; record it with replayable=True")
    first = len(tape.inputs)
    forms = tape.slots
    used = _used(tape)
    if any(dtype_of(forms[slot]).kind == "c" for slot in used):
        raise InputError(
            "vertex elimination is for real programs, and this one works with complex numbers; "
            "use mode='forward' or mode='reverse'"
        )
    rows = tape.rows
    new = [s for s in used if s < first or rows[s - first].kind != "movement"]
    _refuse_above(most, sum(size_of(shape_of(forms[slot])) for slot in new), "vertices")
    places, predecessors, origins = _vertices(tape, used, most)

    outputs: list[int | None] = []
    for i, slot in enumerate(tape.outputs):
        if slot >= 0:
            outputs += [v or None for v in _flat(places[slot], shape_of(forms[slot]))]
        elif shapes is not None:
            outputs += [None] * size_of(shapes[i])
        else:
            raise InputError(
                f"output {i} is a constant, whose shape is not on the tape; give the shapes of all outputs"
            )
    needed = {v for v in outputs if v is not None}
    for v in reversed(predecessors):
        if v in needed:
            needed.update(predecessors[v])
    inputs = tuple(range(1, 1 + sum(x.size for x in tape.inputs)))
    dtypes = [dtype_of(forms[slot]) for slot in tape.outputs if slot >= 0]
    return Graph(
        inputs,
        tuple(outputs),
        {v: row for v, row in predecessors.items() if v in needed},
        {v: origin for v, origin in origins.items() if v in needed or v <= len(inputs)},
        np.result_type(*dtypes) if dtypes else FLOAT64,
    )


def _vertices(tape: Tape, used: set[int], most: int) -> tuple[list[Any], dict[int, dict[int, Any]], dict[int, Origin]]:
    """Number the entries of the slots that are used; return their vertices, the edges into them and their origins.

    The vertices of a slot are integers in its shape, 0 where an entry is constant: so any movement can be asked to
    move them.
    """
    places: list[Any] = []
    predecessors: dict[int, dict[int, Any]] = {}
    origins: dict[int, Origin] = {}
    for i, x in enumerate(tape.inputs):
        n = len(origins)
        origins.update((n + j, Origin("input", f"input {i}", at)) for j, at in enumerate(np.ndindex(x.shape), 1))
        places.append(_tidy(np.arange(n + 1, n + x.size + 1).reshape(x.shape)))
    edges = 0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for slot, (primitive, ins, args, params, out, _) in enumerate(tape.equations, len(places)):
            if slot not in used or not primitive.differentiable:
                places.append(0)
                continue
            operands = [places[i] if i is not None and i >= 0 else 0 for i in ins]
            if primitive.kind == "movement":
                whole = [
                    (p if shape_of(a) else np.int64(p)) if shape_of(p) == shape_of(a) else np.full(shape_of(a), p)
                    for p, a in zip(operands, args)
                ]
                places.append(_tidy(primitive.fn(*whole, **params)))
                continue
            shape = shape_of(out)
            rows: list[dict[int, Any]] = [{} for _ in range(size_of(shape))]
            for entries, sources, weights in _partials(primitive, operands, args, params, out):
                edges += len(sources)
                _refuse_above(EDGES_PER_VERTEX * most, edges, "edges")
                for j, u, w in zip(entries, sources, weights):
                    if u:
                        row = rows[j]
                        row[u] = row[u] + w if u in row else w
            here = [0] * len(rows)
            for j, (row, at) in enumerate(zip(rows, np.ndindex(shape) if shape else ((),))):
                if row:
                    here[j] = v = len(origins) + 1
                    predecessors[v] = row
                    origins[v] = Origin(primitive.kind, primitive.name, at)
            places.append(_tidy(np.array(here, int).reshape(shape)) if shape else here[0])
    return places, predecessors, origins


def _refuse_above(most: int, size: int, what: str) -> None:
    if size > most:
        raise InputError(
            f"the linearised graph of this program has {size} {what} or more, and at most {most} are allowed: vertex "
            "elimination works number by number. Use mode='forward' or mode='reverse', or allow more with most="
        )


def _used(tape: Tape) -> set[int]:
    """Return the slots that some output depends on."""
    used = {s for s in tape.outputs if s >= 0}
    slot = len(tape.inputs) + len(tape)
    for _, _, _, _, ins, _ in tape.backwards:
        slot -= 1
        if slot in used:
            used.update([i for i in ins if i is not None and i >= 0])
    return used


def _tidy(places: Any) -> Any:
    """Return the vertices of a slot: of a scalar an int, since most programs worth all this are made of scalars."""
    return places if shape_of(places) else int(places)


Batch = tuple[Iterable[int], Collection[int], Iterable[Any]]
"""Edges of one equation: flat entries of its result, vertices of an operand, weights."""


def _partials(
    primitive: Primitive, operands: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any
) -> Iterator[Batch]:
    """Yield the local partial derivatives of one equation, in batches of (result entries, vertices, weights)."""
    shape = shape_of(out)
    variable = [bool(place if type(place) is int else place.any()) for place in operands]
    for k, (place, a) in enumerate(zip(operands, args)):
        if not variable[k]:
            continue
        s, dtype = shape_of(a), dtype_of(a)
        if primitive.kind == "elementwise":
            # Entry by entry, so that one direction of ones shows every partial, those that happen to be zero among them.
            t = pushed(primitive, k, np.ones(s, dtype) if s else dtype.type(1), args, params, out)
            if t is not None:
                there = zip(_flat(place, shape), _flat(reach_of(t), shape))
                yield range(size_of(shape)), [u if on else 0 for u, on in there], _flat(_plain(t), shape)
            continue
        vertices = np.ravel(place)
        active = np.flatnonzero(vertices)
        chunk = max(1, CELLS // max(vertices.size, size_of(shape), 1))
        for start in range(0, active.size, chunk):
            at = active[start : start + chunk]
            seed = np.zeros((at.size, vertices.size), dtype)
            seed[np.arange(at.size), at] = 1
            t = pushed(primitive, k, seed.reshape(at.size, *s), args, params, out, variable)
            if t is not None:
                columns = np.reshape(_plain(t), (at.size, size_of(shape)))
                i, j = np.nonzero(np.reshape(reach_of(t), columns.shape))
                yield j.tolist(), vertices[at[i]].tolist(), columns[i, j].tolist()


def _plain(t: Any) -> Any:
    t = numbers(t)
    if isinstance(t, Traced):
        raise InputError(
            "vertex elimination does not nest: this run is being differentiated by another operator as well; "
            "use mode='forward' or mode='reverse' in the inner one"
        )
    return t


def _flat(x: Any, shape: Shape) -> list[Any]:
    if not shape:
        return [x.item() if isinstance(x, np.generic | np.ndarray) else x]
    return np.ravel(x if shape_of(x) == shape else np.broadcast_to(x, shape)).tolist()


# --------------------------------------------------------------------------------------------------
# the symbolic phase: an order, and what it costs


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
    successors = _successors(graph)
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
        edges += new - len(behind) - _bridge(successors, before, v, behind, kept)
        peak = max(peak, edges)
        done.append(v)
    return Count(rule, tuple(done), multiplications, multiplications - fills, fills, peak)


def _successors(graph: Graph) -> dict[int, set[int]]:
    successors: dict[int, set[int]] = {v: set() for v in graph.vertices}
    for v, row in graph.predecessors.items():
        for u in row:
            successors[u].add(v)
    return successors


def _bridge(successors: dict[int, set[int]], before: Iterable[int], v: int, behind: set[int], kept: Any) -> int:
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
    said = ", ".join([f"{verb} {sorted(vertices)}" for verb, vertices in wrong.items() if vertices])
    raise InputError(f"an order of elimination must hold each of graph.intermediates once; this one {said}")


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


# --------------------------------------------------------------------------------------------------
# the numeric phase


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
        J = np.zeros(self.shape, self.dtype)
        for at, value in self.entries.items():
            J[at] = value
        return J


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
    successors = _successors(graph)
    kept = set(graph.outputs)
    for v in count.order:
        before, behind = predecessors[v], successors[v]
        for s in behind:
            row = predecessors[s]
            b = row.pop(v)
            for u, a in before.items():
                c = b * a
                row[u] = row[u] + c if u in row else c
        _bridge(successors, before, v, behind, kept)
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
