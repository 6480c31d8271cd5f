"""Forward mode: columns, by dual numbers that carry the identity, or in chunks pushed through one recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from dualdiff.dual import Pushing
from dualdiff.kinds.base import ALL
from dualdiff.passes.costs import Quantities, add_movement, add_run_of_duals, add_sweep, peak
from dualdiff.passes.multiplications import Multiplications
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tangents import Terms, scattered, seed
from dualdiff.tape import Tape
from dualdiff.values import PLAIN_TYPES, TRACED
from dualdiff.ways.base import SMALL, Answer, Way
from dualdiff.ways.options import Options
from dualdiff.ways.problem import (
    Problem,
    check_cauchy_riemann,
    check_real,
    chunks,
    directions,
    empty_block,
    identity,
    push_columns,
    run_duals,
    seeds,
    side_by_side,
)
from dualdiff.ways.program import Program

FEW = 3
"""With at most this many inputs ``mode="auto"`` runs dual numbers, without a tape."""
SOME = 12
"""With at most this many inputs it does so where there are as many outputs, and no other way is looked at."""


class Forward(Way):
    """Push the columns of the identity."""

    name = "forward"
    asked = {"dense": ("auto", "forward")}
    divisible = True
    apart = True
    nests = True

    @property
    def replayed(self) -> bool:  # type: ignore[override]
        """Whether it needs a recording: the function runs once, whatever the number of chunks."""
        return self.chunk is not None

    @classmethod
    def at(cls, program: Program, options: Options, exact: bool = True) -> Self:
        n, m = program.inputs, program.outputs
        return cls(outputs=m, inputs=n, entries=m * n, columns=n, chunk=options.chunk)

    @classmethod
    def is_settled(cls, problem: Problem, options: Options, outputs: int | None = None) -> bool:
        if not options.is_plain:
            return False
        n = problem.n
        return n <= FEW or (outputs is not None and n <= SOME and outputs >= n)

    @classmethod
    def at_first(cls, program: Program) -> Self | None:
        n, m = program.inputs, program.outputs
        small = n <= m and n * program.widest <= SMALL
        return cls(outputs=m, inputs=n, entries=m * n, columns=n) if small else None

    def quantities(self, program: Program) -> Quantities:
        q: Quantities = {"frame": 1.0}
        if self.chunk is None:
            add_run_of_duals(q, program.tape, program.steps, program.forms(self.columns), self.columns)
        else:
            q["record"] = len(program)
            add_sweep(q, program.steps, self.columns, "push_", self.chunk)
        add_movement(q, self.entries)
        return q

    def memory(self, program: Program) -> int:
        result = self.entries * program.itemsize
        if self.chunk is None:
            return result + peak(program.tape, self.columns, program.forms(self.columns))
        return result + program.bytes + peak(program.tape, self.chunk)

    def held(self, program: Program, directions: int) -> list[int]:
        if self.chunk is not None:
            return super().held(program, directions)
        return elements_of_forms(program, directions)

    def arrays(self, program: Program, directions: int) -> list[int]:
        found = program.results(directions)
        return [
            s.size * directions for s, form in zip(program.steps, found, strict=True) if s is not None and form == ALL
        ]

    def multiplications(self, program: Program) -> Multiplications:
        return program.multiplications("forward")

    @property
    def says(self) -> str:
        return f"pushing {self.columns} columns"

    def run(self, problem: Problem, options: Options, program: Program | None) -> Answer:
        if self.chunk is None or program is None:
            return Answer(*by_duals(problem, options.holomorphic))
        if options.holomorphic:
            check_cauchy_riemann(problem)
        return Answer(list(program.values), on_tape(problem, program.tape, program.values, self.chunk))

    def block(
        self, problem: Problem, options: Options, program: Program | None, pulled: bool, lo: int, hi: int
    ) -> tuple[Sequence[Any], Any]:
        k = hi - lo
        if program is not None:
            found = push_columns(program.tape, seeds(problem.inputs, lo, hi), (k,))
            return program.values, side_by_side(found, program.values, k)
        values, found = run_duals(problem, identity(problem.inputs, lo, hi), (k,), columns_of)
        rows = [None if t is None else np.reshape(t, (-1, k)).T for t in found]
        return values, side_by_side(rows, values, k)

    def gathered(self, problem: Problem, options: Options, values: list[Any], products: Sequence[Any]) -> Answer:
        check_real(problem, options.holomorphic)
        if options.holomorphic:
            check_cauchy_riemann(problem)
        return Answer(values, whole=products[0].T if products else np.zeros((self.outputs, 0)))


def elements_of_forms(program: Program, directions: int) -> list[int]:
    """Return for every equation the elements that the tangent of its result has in a run of dual numbers."""
    found = program.results(directions)
    return [
        0 if s is None or not form else s.size * (directions if form == ALL else 2 * len(form))
        for s, form in zip(program.steps, found, strict=True)
    ]


def columns_of(t: Any, v: Any, run: Pushing) -> Any:
    """Return a tangent of any form as an array with the batch axis last."""
    if isinstance(t, Terms) and (type(v) in PLAIN_TYPES or type(v) in TRACED):
        k, shape = run.lead[0], shape_of(v)
        return scattered(t, shape, k, dtype_of(v)).reshape((*shape, k))
    return columns_last(run.dense(t, v), shape_of(v))


def columns_last(t: Any, shape: tuple[int, ...]) -> Any:
    """Move the batch axis, first in a tangent, to the end, where a Jacobian has its columns."""
    rank = len(shape)
    return t if rank == 0 else t.T if rank == 1 else t.transpose((*range(1, rank + 1), 0))


def by_duals(problem: Problem, holomorphic: bool = False) -> tuple[list[Any], list[list[Any]]]:
    """Compute the Jacobian by one run of dual numbers that carry the identity."""
    inputs = problem.inputs
    if len(inputs) == 1 and type(inputs[0]) is np.ndarray and not holomorphic:
        x = inputs[0]
        if x.ndim == 1 and x.dtype.char == "d" and x.size > 1:
            # The common case, a vector of parameters: nothing to cut.
            k = x.size
            values, found = run_duals(problem, (seed(directions(0, (k,))),), (k,), columns_of)
            return values, [[empty_block(v, x) if t is None else t] for t, v in zip(found, values)]
    check_real(problem, holomorphic)
    shapes = [shape_of(x) for x in inputs]
    n = problem.n
    if n == 1:  # one direction needs no batch axis
        ones: list[Any] = [np.ones(s, dtype_of(x))[()] if size_of(s) else None for x, s in zip(inputs, shapes)]
        values, found = run_duals(problem, ones, ())
        whole = [None if t is None else t.reshape((*shape_of(v), 1)) for v, t in zip(values, found)]
    else:
        values, whole = run_duals(problem, identity(inputs), (n,), columns_of)
    if holomorphic:
        check_cauchy_riemann(problem)
    return values, _blocks(whole, values, inputs)


def on_tape(problem: Problem, tape: Tape, values: Sequence[Any], chunk: int) -> list[list[Any]]:
    """Compute the Jacobian by columns pushed through a recording: no more directions alive at once than asked for."""
    n = problem.n
    whole: list[Any] = [None] * len(values)
    parts: list[list[Any]] = [[] for _ in values]
    for lo, hi in chunks(n, chunk):
        found = push_columns(tape, seeds(problem.inputs, lo, hi), (hi - lo,))
        for i, (v, t) in enumerate(zip(values, found, strict=True)):
            if type(v) in TRACED or type(t) in TRACED:  # an outer operator follows: it must see no write
                parts[i].append(
                    columns_last(np.zeros_like(v, shape=(hi - lo, *shape_of(v))) if t is None else t, shape_of(v))
                )
            elif t is not None:
                if whole[i] is None:
                    whole[i] = np.zeros((*shape_of(v), n), dtype_of(v))
                whole[i][..., lo:hi] = columns_last(t, shape_of(v))
    whole = [np.concatenate(p, axis=-1) if p else w for w, p in zip(whole, parts, strict=True)]
    return _blocks(whole, values, problem.inputs)


def _blocks(whole: Sequence[Any], values: Sequence[Any], inputs: Sequence[Any]) -> list[list[Any]]:
    """Cut the columns of every output, on its last axis, into a block for each input."""
    shapes = [shape_of(x) for x in inputs]
    sizes = [size_of(s) for s in shapes]
    n = sum(sizes)
    blocks: list[list[Any]] = []
    for v, t in zip(values, whole, strict=True):
        if t is None:
            blocks.append([empty_block(v, x) for x in inputs])
            continue
        head, offset, row = shape_of(v), 0, []
        for s, size in zip(shapes, sizes):
            piece = t if size == n else t[..., offset : offset + size]
            row.append(piece if len(s) == 1 else piece.reshape(head + s))
            offset += size
        blocks.append(row)
    return blocks
