"""Vertex elimination: the Jacobian of a scalar program, one intermediate number at a time."""

from __future__ import annotations

from typing import Self

from dualdiff.errors import InputError
from dualdiff.passes.costs import Quantities, peak
from dualdiff.passes.elimination import eliminated
from dualdiff.passes.multiplications import Multiplications
from dualdiff.shapes import shape_of
from dualdiff.ways.base import Answer, Way
from dualdiff.ways.options import Options
from dualdiff.ways.problem import Problem, as_asked
from dualdiff.ways.program import Program


class Elimination(Way):
    """Eliminate the vertices of the linearised graph, the cheapest next."""

    name = "elimination"
    asked = {"dense": ("elimination",), "sparse": ("elimination",)}
    replayed = True

    @classmethod
    def at(cls, program: Program, options: Options, exact: bool = True) -> Self:
        n, m = program.inputs, program.outputs
        return cls(outputs=m, inputs=n, entries=m * n)

    def quantities(self, program: Program) -> Quantities:
        vertices = sum([s.size for s in program.steps if s is not None])
        return {"frame": 1.0, "record": len(program), "vertex": vertices}

    def memory(self, program: Program) -> int:
        return self.entries * program.itemsize + program.bytes + peak(program.tape, 1)

    def multiplications(self, program: Program) -> Multiplications | None:
        try:
            return program.multiplications("markowitz")
        except InputError:  # a program that cannot be eliminated
            return None

    @property
    def says(self) -> str:
        return "eliminating vertex by vertex"

    def run(self, problem: Problem, options: Options, program: Program | None) -> Answer:
        if program is None:
            raise RuntimeError("elimination runs on a recording")
        whole = eliminated(program.tape, shapes=[shape_of(v) for v in program.values])
        return Answer(list(program.values), whole=as_asked(whole, options))
