"""Vertex elimination: the Jacobian of a scalar program, one intermediate number at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from dualdiff.errors import InputError
from dualdiff.passes.costs import Quantities, peak
from dualdiff.passes.elimination import eliminated
from dualdiff.passes.multiplications import Multiplications
from dualdiff.passes.structure import Structure
from dualdiff.shapes import shape_of
from dualdiff.ways.base import Answer, Way
from dualdiff.ways.options import Options
from dualdiff.ways.problem import Problem, as_asked
from dualdiff.ways.program import Program


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

    @classmethod
    def at(cls, program: Program, options: Options, exact: bool = True) -> Self:
        n, m = program.inputs, program.outputs
        return cls(outputs=m, inputs=n, entries=m * n, order="markowitz" if options.order is None else options.order)

    def quantities(self, program: Program) -> Quantities:
        vertices = sum([s.size for s in program.steps if s is not None])
        return {"frame": 1.0, "record": len(program), "vertex": vertices}

    def memory(self, program: Program) -> int:
        return self.entries * program.itemsize + program.bytes + peak(program.tape, 1)

    def multiplications(self, program: Program) -> Multiplications | None:
        if program.graph is None:  # a program that cannot be eliminated
            return None
        return program.multiplications(self.order)

    @property
    def says(self) -> str:
        rule = repr(self.order) if isinstance(self.order, str) else "given"
        return f"eliminating vertex by vertex in the order {rule}"

    def run(self, problem: Problem, options: Options, program: Program | None) -> Answer:
        if program is None:
            raise RuntimeError("elimination runs on a recording")
        if self.given_for is not None and not self.given_for.holds(program.tape):
            raise InputError(
                "order= was given for another program: the function took another branch here, looped otherwise or indexed "
                "elsewhere; take an order from the graph of this run, or give the name of a rule"
            )
        whole = eliminated(program.tape, self.order, [shape_of(v) for v in program.values])
        return Answer(list(program.values), whole=as_asked(whole, options))

    def made_for(self, program: Program) -> Self:
        return self if isinstance(self.order, str) else replace(self, given_for=program.structure)
