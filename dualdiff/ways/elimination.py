"""Vertex elimination: the Jacobian of a scalar program, one intermediate number at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from dualdiff.errors import InputError
from dualdiff.matrices import matrix
from dualdiff.passes.costs import Quantities
from dualdiff.passes.elimination import eliminate, linearized
from dualdiff.passes.elimination.linearization import CELLS
from dualdiff.passes.multiplications import Multiplications, edges
from dualdiff.passes.structure import Structure
from dualdiff.shapes import shape_of, size_of
from dualdiff.tape import Tape
from dualdiff.ways.base import Answer, Way, needed
from dualdiff.ways.options import Options
from dualdiff.ways.problem import Problem
from dualdiff.ways.program import Program

PER_ITEM = 300
"""Bytes of a vertex, an edge or an entry that is found, in the dictionaries that hold them."""
PER_CELL = 32
"""Bytes of a number in a batch of unit directions, with what is made of it on its way through an equation."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Elimination(Way):
    """Eliminate the vertices of the linearised graph, the cheapest next or in the order that was given.

    Attributes
    ----------
    order : str or tuple of int
        The name of a rule, or vertices.
    given_for : Structure or None
        The program whose vertices were given: another one has others, though they may bear the same numbers.
    """

    order: str | tuple[int, ...] = field(default="markowitz", repr=False)
    given_for: Structure | None = field(default=None, repr=False)

    name = "elimination"
    asked = {"dense": ("elimination",), "sparse": ("elimination",)}
    ordered = True
    replayed = True
    nests = True

    @classmethod
    def at(cls, program: Program, options: Options, exact: bool = True) -> Self:
        n, m = program.inputs, program.outputs
        return cls(outputs=m, inputs=n, entries=m * n, order="markowitz" if options.order is None else options.order)

    def quantities(self, program: Program) -> Quantities:
        vertices = sum([s.size for s in program.steps if s is not None])
        return {"frame": 1.0, "record": len(program), "vertex": vertices}

    def memory(self, program: Program) -> int:
        tape = program.tape
        items = self.inputs + 2 * edges(tape) + program.pattern.nnz  # a vertex that is no input has an edge at least
        return self.entries * program.itemsize + program.bytes + PER_ITEM * items + PER_CELL * _largest_batch(tape)

    def multiplications(self, program: Program) -> Multiplications | None:
        if program.graph is None:  # a program that cannot be eliminated
            return None
        return program.multiplications(self.order)

    @property
    def says(self) -> str:
        rule = repr(self.order) if isinstance(self.order, str) else "given"
        return f"eliminating vertex by vertex in the order {rule}"

    def run(self, problem: Problem, options: Options, program: Program | None) -> Answer:
        program = needed(program)
        if self.given_for is not None and not self.given_for.holds(program.tape):
            raise InputError(
                "order= was given for another program: the function took another branch here, looped otherwise or indexed "
                "elsewhere; take an order from the graph of this run, or give the name of a rule"
            )
        found = eliminate(linearized(program.tape, [shape_of(v) for v in program.values]), self.order)
        if not options.sparse:
            return Answer(list(program.values), whole=found.jacobian())
        rows, columns, values = found.nonzeros()
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=found.shape[0]))])
        values = values if values.dtype == found.dtype else values.astype(found.dtype)
        return Answer(list(program.values), whole=matrix(values, columns.astype(np.int32), starts, found.shape))

    def made_for(self, program: Program) -> Self:
        return self if isinstance(self.order, str) else replace(self, given_for=program.structure)


def _largest_batch(tape: Tape) -> int:
    """Return the most numbers in a batch of unit directions at an equation whose edges are found by pushing them."""
    most = 0
    for row, ins, args, _, out, _ in tape.equations:
        if row.differentiable and row.kind not in ("elementwise", "movement"):
            sizes = [size_of(shape_of(a)) for i, a in zip(ins, args, strict=True) if i is not None and i >= 0]
            wide = max(size_of(shape_of(out)), *sizes, 1)
            most = max(most, wide * min(max(sizes, default=0), max(1, CELLS // wide)))
    return most
