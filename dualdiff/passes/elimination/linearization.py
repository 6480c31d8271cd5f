"""From a recorded run to its linearised graph, number by number."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.kinds import Primitive, Shape
from dualdiff.passes.elimination.graph import Graph, Origin
from dualdiff.reach import numbers, pushed, reach_of
from dualdiff.shapes import FLOAT64, dtype_of, shape_of, size_of
from dualdiff.tape import Tape
from dualdiff.values import TRACED, decided

MOST = 20_000
"""Vertices beyond which a program is refused: each of them is a Python object."""
EDGES_PER_VERTEX = 50
"""A graph of ``most`` vertices may have this many times as many edges."""
CELLS = 2**20
"""Numbers that one batch of unit directions may take at an equation that is not elementwise."""


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
        If the program is too large, works with complex numbers, or was not recorded for this, or if the tape has no
        outputs.

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
    if not tape.outputs and shapes is None:
        raise InputError(
            "this tape has no outputs, so nothing is between them and the inputs: set tape.outputs to the marks of the "
            "results, or use dualdiff.lab.graph(f, x), which takes results of any type"
        )
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


def vertices_of(tape: Tape) -> list[Any]:
    """Return for every slot of a tape the vertices of its entries, in its shape: 0 where an entry has none.

    Slots on which no output depends have none. What is only moved has the vertices of where it came from.

    Examples
    --------
    >>> from dualdiff.tape import record
    >>> tape, y = record(lambda x: np.exp(x[::-1]), np.array([2.0, 0.0]), replayable=True)
    >>> tape.outputs = [y.mark]
    >>> [places.tolist() for places in vertices_of(tape)]
    [[1, 2], [2, 1], [3, 4]]
    """
    return _vertices(tape, _used(tape), MOST)[0]


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
                there = zip(_flat(place, shape), _flat(decided(reach_of(t)), shape))
                yield range(size_of(shape)), [u if on else 0 for u, on in there], _flat(numbers(t), shape)
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
                columns = np.reshape(numbers(t), (at.size, size_of(shape)))
                i, j = np.nonzero(np.reshape(decided(reach_of(t)), columns.shape))
                yield j.tolist(), vertices[at[i]].tolist(), _flat(columns[i, j], i.shape)


def _flat(x: Any, shape: Shape) -> list[Any]:
    if not shape:
        return [x.item() if isinstance(x, np.generic | np.ndarray) else x]
    flat = np.ravel(x if shape_of(x) == shape else np.broadcast_to(x, shape))
    return [flat[k] for k in range(len(flat))] if type(flat) in TRACED else flat.tolist()


__all__ = ["MOST", "linearized", "vertices_of"]
