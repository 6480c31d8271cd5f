"""How many multiplications a Jacobian takes, whichever way it is computed: one unit for all ways.

The unit is that of vertex elimination (:mod:`dualdiff.passes.elimination`): the chain rule multiplies the partial
derivative on an edge of the linearised graph by one derivative known already. Known zeros are left out, and so are
the ones of the seeds: an edge from an input costs nothing forwards, an edge into a mere output nothing backwards.
Every other product counts, with ±1 too.

The additions are those of the same unit: derivatives of one vertex along one direction come together from several edges,
and c of them take c - 1 additions. Beside the two stand the nonlinear evaluations of one run (:func:`nonlinear`): they are
the third of the classes into which Griewank and Walther sort the work (ADDS, MULTS, NLOPS; *Evaluating Derivatives*,
2nd ed., SIAM 2008, chapter 2, doi:10.1137/1.9780898717761).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.kinds import Primitive, Shape
from dualdiff.passes.cuts import activity
from dualdiff.passes.elimination import MOST, Graph, counts, linearized
from dualdiff.shapes import shape_of, size_of
from dualdiff.tape import Tape

BOUNDED = ("forward", "reverse", "best")
"""The orders that a bound is known for where the graph is too large to be written out."""


@dataclass(frozen=True, slots=True)
class Multiplications:
    """A number of multiplications.

    Parameters
    ----------
    count : int
        How many.
    exact : bool
        Whether it is that number, or a bound from above.
    additions : int, optional
        How many additions of such products go with them; None where only a bound is known.

    Examples
    --------
    >>> print(Multiplications(1200, exact=True)), print(Multiplications(1200, exact=False))
    1,200
    at most 1,200
    (None, None)
    """

    count: int
    exact: bool
    additions: int | None = None

    def __str__(self) -> str:
        return f"{self.count:,}" if self.exact else f"at most {self.count:,}"


def multiplications(
    tape: Tape,
    order: str | Sequence[int] | None = None,
    *,
    columns: Sequence[int] | None = None,
    rows: Sequence[int] | None = None,
    shapes: Sequence[Shape] | None = None,
    widths: Sequence[int] | None = None,
    most: int = MOST,
    graph: Graph | None = None,
) -> Multiplications:
    r"""Return how many multiplications the Jacobian of a recorded run takes in some order of the chain rule.

    Either in an ``order`` of elimination, or by sweeps with groups of columns and of rows. The two agree: the order
    ``"forward"`` takes as many multiplications as pushing every column by itself, ``"reverse"`` as pulling every row.

    Parameters
    ----------
    tape : Tape
        A recording of a real program, made with ``replayable=True``, whose ``outputs`` are set.
    order : str or sequence of int, optional
        As for :func:`~dualdiff.passes.elimination.counts`.
    columns : sequence of int, optional
        For every input entry the group it is pushed in, -1 for none. A direction reaches an entry of the program if
        some input of its group does.
    rows : sequence of int, optional
        For every output entry the group it is pulled in, -1 for none.
    shapes, most
        As for :func:`~dualdiff.passes.elimination.linearized`.
    widths : sequence of int, optional
        For every slot of the tape the most inputs one of its entries depends on (0 where that is not known), as
        :func:`~dualdiff.passes.sparsity.dependence` tells them. They make a bound narrower.
    graph : Graph, optional
        The linearised graph, if it is there already.

    Returns
    -------
    Multiplications
        Exact, where the graph has no more than ``most`` vertices. Otherwise a bound, from blocks of each equation: at
        most so many.

    Raises
    ------
    InputError
        If the graph is too large and no bound is known for the order.

    Examples
    --------
    >>> from dualdiff.tape import record
    >>> tape, y = record(lambda x: np.sin(x[1:] * x[:-1]), np.ones(4), replayable=True)
    >>> tape.outputs = [y.mark]
    >>> print(multiplications(tape, "forward"), multiplications(tape, "reverse"))
    6 6
    >>> print(multiplications(tape, columns=[0, 1, 0, 1]))
    6
    >>> print(multiplications(tape, columns=[0, 0, 0, 0]))
    3
    >>> print(multiplications(tape, "forward", most=5))
    at most 12
    >>> print(multiplications(tape, "forward", most=5, widths=[1, 1, 1, 2, 2]))
    at most 6
    """
    if (order is None) is (columns is None and rows is None):
        raise InputError("give an order of elimination, or the groups of columns and rows")
    try:
        graph = linearized(tape, shapes, most) if graph is None else graph
    except InputError:
        if order is not None and order not in BOUNDED:
            raise
        return Multiplications(_bound(tape, order, columns, rows, widths), exact=False)
    if order is not None:
        found = counts(graph, order)
        return Multiplications(found.multiplications, exact=True, additions=found.updates)
    (pushed, added), (pulled, summed) = _pushed(graph, columns), _pulled(graph, rows)
    return Multiplications(pushed + pulled, exact=True, additions=added + summed)


def nonlinear(tape: Tape) -> int:
    """Return how many nonlinear evaluations one run of a recorded program takes.

    A step is nonlinear in an operand if its derivative by that operand depends on it, or on the result: so are ``sin(x)``
    and ``x / y`` in y, and a sum, a product and ``x / y`` in x are not. Every entry of the result of a step that is
    nonlinear in an operand that depends on the inputs counts once.

    Examples
    --------
    >>> from dualdiff.tape import record
    >>> tape, y = record(lambda x: np.sin(x[1:] * x[:-1]) / x[0] + 2 * x[0], np.ones(4), replayable=True)
    >>> tape.outputs = [y.mark]
    >>> nonlinear(tape)
    6
    """
    needed = activity(tape)
    return sum(
        [
            size_of(shape_of(out))
            for slot, (row, ins, _, _, out, _) in enumerate(tape.equations, len(tape.inputs))
            if needed[slot] and row.differentiable and any(_is_nonlinear(row, k, ins) for k in range(len(ins)))
        ]
    )


def _is_nonlinear(row: Primitive, k: int, ins: Sequence[int | None]) -> bool:
    """Whether the derivative by operand ``k``, if that depends on the inputs, depends on it or on the result."""
    i = ins[k]
    if i is None or i < 0:
        return False
    result, operands = row.needs(tuple([j == k for j in range(len(ins))]))
    return bool(result or operands[k])


def edges(tape: Tape) -> int:
    """Return no fewer edges than the linearised graph of a recording has, from labels and shapes alone."""
    return sum(
        [
            _edges(row, k, args, params, out)
            for row, ins, args, params, out, _ in tape.equations
            if row.differentiable and row.kind != "movement"
            for k, i in enumerate(ins)
            if i is not None and i >= 0
        ]
    )


# --------------------------------------------------------------------------------------------------
# on the graph


def _pushed(graph: Graph, groups: Sequence[int] | None) -> tuple[int, int]:
    """Count an edge once for every group that reaches its source, unless that is an input; and the sums at their ends."""
    if groups is None:
        return 0, 0
    _check(groups, len(graph.inputs), "columns", "input")
    reached = {v: 1 << g if g >= 0 else 0 for v, g in zip(graph.inputs, groups, strict=True)}  # sets, as bits
    inputs = set(graph.inputs)
    total = added = 0
    for v, row in graph.predecessors.items():
        reached[v] = 0
        for u in row:
            added += (reached[v] & reached[u]).bit_count()
            reached[v] |= reached[u]
            if u not in inputs:
                total += reached[u].bit_count()
    return total, added


def _pulled(graph: Graph, groups: Sequence[int] | None) -> tuple[int, int]:
    """Count an edge once for every group of other outputs that its end reaches; and the sums at their sources."""
    if groups is None:
        return 0, 0
    _check(groups, len(graph.outputs), "rows", "output")
    own: dict[int, int] = {}
    for v, g in zip(graph.outputs, groups, strict=True):
        if v is not None and g >= 0:
            own[v] = own.get(v, 0) | 1 << g
    behind = dict.fromkeys(graph.vertices, 0)
    total = added = 0
    for v in reversed(graph.predecessors):
        row = graph.predecessors[v]
        total += len(row) * behind[v].bit_count()
        here = behind[v] | own.get(v, 0)
        for u in row:
            added += (behind[u] & here).bit_count()
            behind[u] |= here
    return total, added


def _check(groups: Sequence[int], size: int, name: str, what: str) -> None:
    if len(groups) != size:
        raise InputError(f"{name} must hold a group for each of the {size} {what} entries, not {len(groups)}")


# --------------------------------------------------------------------------------------------------
# bounds, from blocks


def _bound(
    tape: Tape,
    order: Any,
    columns: Sequence[int] | None,
    rows: Sequence[int] | None,
    widths: Sequence[int] | None,
) -> int:
    n = sum([size_of(a.shape) for a in tape.inputs])
    forms = tape.slots
    m = sum([size_of(shape_of(forms[s])) for s in tape.outputs if s >= 0])
    if order is not None:
        bounds = {"forward": partial(_pushed_at_most, tape, n, widths), "reverse": partial(_pulled_at_most, tape, m)}
        return bounds[order]() if order in bounds else min(bound() for bound in bounds.values())
    total = 0
    if columns is not None:
        total += _pushed_at_most(tape, _distinct(columns), widths)
    if rows is not None:
        total += _pulled_at_most(tape, _distinct(rows))
    return total


def _distinct(groups: Sequence[int]) -> int:
    return len({g for g in groups if g >= 0})


def _pushed_at_most(tape: Tape, directions: int, widths: Sequence[int] | None) -> int:
    """Count every edge of a block as often as there are directions, or inputs that its source depends on."""
    seeds = [True] * len(tape.inputs)  # what is an input itself, or moved from inputs alone
    total = 0
    needed = activity(tape)
    for slot, (row, ins, args, params, out, _) in enumerate(tape.equations, len(seeds)):
        active = [i for i in ins if i is not None and i >= 0]
        seeds.append(row.kind == "movement" and all(seeds[i] for i in active))
        if not needed[slot] or row.kind == "movement":
            continue
        for k, i in enumerate(ins):
            if i is not None and i >= 0 and not seeds[i]:
                width = (widths[i] if widths is not None else 0) or directions
                total += min(width, directions) * _edges(row, k, args, params, out)
    return total


def _pulled_at_most(tape: Tape, directions: int) -> int:
    """Count every edge of a block as often as there are directions, unless it leads to a mere output."""
    needed = activity(tape)
    ends = [True] * len(needed)  # what nothing but movements is computed from
    slot = len(needed)
    total = 0
    for _, out, params, args, ins, row in tape.backwards:
        slot -= 1
        if not needed[slot]:
            continue
        moved = row.kind == "movement"
        for k, i in enumerate(ins):
            if i is None or i < 0:
                continue
            if not moved and not ends[slot]:
                total += directions * _edges(row, k, args, params, out)
            ends[i] &= moved and ends[slot]
    return total


def _edges(row: Primitive, k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> int:
    """Return the most edges from operand ``k`` to the result: the pairs of entries that bear one label."""
    m, n = size_of(shape_of(out)), size_of(shape_of(args[k]))
    result, operand = row.labels(k, args, params, out)
    if type(result) is int and type(operand) is int:
        return m * n if result == operand else 0
    count = max(m, n)
    for labels in (result, operand):
        if labels is not None and type(labels) is not int:
            count = max(count, int(np.max(labels, initial=-1)) + 1)
    a, b = _tally(result, m, count), _tally(operand, n, count)
    return int(a @ b)


def _tally(labels: Any, size: int, count: int) -> Any:
    """Return how many entries bear each label."""
    if labels is None:
        return (np.arange(count) < size).astype(np.int64)
    if type(labels) is int:
        return np.where(np.arange(count) == labels, size, 0)
    labels = np.asarray(labels)
    return np.bincount(labels[labels >= 0], minlength=count)


__all__ = ["Multiplications", "edges", "multiplications", "nonlinear"]
