"""A recorded run, and what analyses found out about it: the ground on which ways are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.passes.costs import Step, forms, step
from dualdiff.passes.elimination import Graph, linearized
from dualdiff.passes.multiplications import Multiplications, edges, multiplications
from dualdiff.passes.sparsity import dependence
from dualdiff.passes.structure import Structure, structure
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tape import Tape

MOST_EDGES = 1 << 12
"""The edges of a linearised graph up to which multiplications are counted on it, and not bounded."""


@dataclass(eq=False)
class Program:
    """One recording. Steps, patterns and colours are found when asked for, and once.

    Attributes
    ----------
    tape : Tape
        The recorded run.
    values : sequence
        The outputs, as the function returned them.
    symmetric : bool
        Whether the Jacobian is a Hessian, so that what one triangle shows stands in both.
    """

    tape: Tape
    values: Sequence[Any] = ()
    symmetric: bool = False
    _forms: dict[Any, list[Any]] = field(default_factory=dict, repr=False)
    _counted: dict[str | tuple[int, ...], Multiplications] = field(default_factory=dict, repr=False)
    colored: dict[Any, Any] = field(default_factory=dict, repr=False)
    """Colours by the way that asked for them."""

    def __len__(self) -> int:
        return len(self.tape)

    @cached_property
    def inputs(self) -> int:
        """The number of inputs, counted as scalars."""
        return sum([size_of(a.shape) for a in self.tape.inputs])

    @cached_property
    def outputs(self) -> int:
        """The number of outputs, counted as scalars."""
        return sum([size_of(shape_of(v)) for v in self.values])

    @cached_property
    def itemsize(self) -> int:
        """Bytes of one entry of the Jacobian."""
        return max([dtype_of(v).itemsize for v in self.values], default=8)

    @cached_property
    def steps(self) -> list[Step | None]:
        """What each equation costs a sweep; None where no derivative passes."""
        return [step(*e[:5]) for e in self.tape.equations]

    @cached_property
    def widest(self) -> int:
        """The elements of the largest result of an equation."""
        return max([1, *[size_of(shape_of(out)) for out in self.tape.results]])

    @cached_property
    def bytes(self) -> int:
        """What the recording holds: results that the function would have let go, and copies of what it was given."""
        held = [*self.tape.slots]
        for ins, args in zip(self.tape.operands, self.tape.arguments, strict=True):
            held += [a for i, a in zip(ins, args, strict=True) if i is None]  # others are results of earlier equations
        return sum([size_of(shape_of(a)) * dtype_of(a).itemsize for a in held])

    @cached_property
    def structure(self) -> Structure:
        """The program without its values."""
        return structure(self.tape)

    @cached_property
    def dependence(self) -> tuple[Any, tuple[int, ...]]:
        """The structural nonzeros, and the most inputs that one entry of each slot depends on."""
        counts: list[int] = []
        found = pattern_of(self.tape, self.values, self.inputs, counts)
        if self.symmetric:
            found = found + found.T.tocsr()
            found.sum_duplicates()
        return found, tuple(counts)

    @property
    def pattern(self) -> Any:
        """The structural nonzeros, with an empty row for every constant output."""
        return self.dependence[0]

    def multiplications(
        self, order: str | tuple[int, ...] | None = None, columns: Any = None, rows: Any = None
    ) -> Multiplications:
        """Return how many multiplications of partial derivatives it takes, in an order or with groups of directions."""
        if isinstance(order, str) and order in self._counted:
            return self._counted[order]
        graph = self.graph
        found = multiplications(
            self.tape,
            order,
            columns=columns,
            rows=rows,
            widths=self.dependence[1],
            most=0,
            graph=graph,
        )
        if isinstance(order, str):
            self._counted[order] = found
        return found

    @cached_property
    def graph(self) -> Graph | None:
        """The linearised graph; None where writing it out would take longer than what it is asked for is worth."""
        if edges(self.tape) > MOST_EDGES:
            return None
        try:
            return linearized(self.tape, [shape_of(v) for v in self.values])
        except InputError:  # complex numbers, or too many entries
            return None

    def forms(self, k: int, counted: bool = False) -> list[Any]:
        """Return what the tangents of a run with ``k`` directions would be; ``counted`` knows the pattern."""
        key = k, counted
        if key not in self._forms:
            self._forms[key] = forms(self.tape, k, self.dependence[1] if counted else None)
        return self._forms[key]

    def results(self, k: int, counted: bool = False) -> list[Any]:
        """Return the forms of the results of the equations alone."""
        return self.forms(k, counted)[len(self.tape.inputs) :]


def pattern_of(tape: Tape, values: Sequence[Any], n: int, widest: list[int] | None = None) -> Any:
    """Return the pattern of the whole Jacobian, (m, n); outputs that depend on nothing have empty rows."""
    found = dependence(tape, counts=widest)
    if all(s >= 0 for s in tape.outputs):
        return found
    lengths = np.diff(found.indptr)
    counts: list[Any] = []
    at = 0
    for v, s in zip(values, tape.outputs, strict=True):
        size = size_of(shape_of(v))
        if s < 0:
            counts.append(np.zeros(size, np.int64))
        else:
            counts.append(lengths[at : at + size])
            at += size
    starts = np.concatenate([[0], *list(counts)]).cumsum() if counts else np.zeros(1, np.int64)
    return type(found)((found.data, found.indices, starts), shape=(len(starts) - 1, n))
