"""Reverse mode: rows, by pulls through one recording that carry the identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from dualdiff.passes.costs import Quantities, add_movement, add_sweep, peak
from dualdiff.passes.multiplications import Multiplications
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tangents import seed
from dualdiff.tape import Tape
from dualdiff.values import is_array
from dualdiff.ways.base import SMALL, Answer, Way, needed
from dualdiff.ways.options import Options
from dualdiff.ways.problem import (
    Problem,
    apart,
    check_cauchy_riemann,
    check_real,
    chunks,
    directions,
    empty_block,
    pull_rows,
    record,
    seeds,
    side_by_side,
)
from dualdiff.ways.program import Program


class Reverse(Way):
    """Pull the rows of the identity."""

    name = "reverse"
    asked = {"dense": ("auto", "reverse")}
    recorded = True
    divisible = True
    apart = True
    nests = True

    @classmethod
    def at(cls, program: Program, options: Options, exact: bool = True) -> Self:
        n, m = program.inputs, program.outputs
        return cls(outputs=m, inputs=n, entries=m * n, rows=m, chunk=options.chunk)

    @classmethod
    def at_first(cls, program: Program) -> Self | None:
        n, m = program.inputs, program.outputs
        small = m < n and m * program.widest <= SMALL
        return cls(outputs=m, inputs=n, entries=m * n, rows=m) if small else None

    def quantities(self, program: Program) -> Quantities:
        q: Quantities = {"frame": 1.0, "record": len(program)}
        add_sweep(q, program.steps, self.rows, "pull_", self.chunk)
        add_movement(q, self.entries)
        return q

    def memory(self, program: Program) -> int:
        directions = max(self.chunk or self.rows, 1)
        return self.entries * program.itemsize + program.bytes + peak(program.tape, directions)

    def multiplications(self, program: Program) -> Multiplications:
        return program.multiplications("reverse")

    @property
    def says(self) -> str:
        return f"pulling {self.rows} rows"

    def run(self, problem: Problem, options: Options, program: Program | None) -> Answer:
        check_real(problem, options.holomorphic)
        tape, values = (program.tape, list(program.values)) if program is not None else record(problem)
        if options.holomorphic:
            check_cauchy_riemann(problem)
        blocks: list[list[Any]] = []
        for v, slot in zip(values, tape.outputs, strict=True):
            if slot < 0 or size_of(shape_of(v)) == 0:
                blocks.append([empty_block(v, x) for x in problem.inputs])
                continue
            rows = _rows(problem, tape, slot, v, self.chunk, 1)
            if options.holomorphic:
                rows = [None if r is None else np.conjugate(r) for r in rows]
            elif dtype_of(v).kind == "c":
                imaginary = _rows(problem, tape, slot, v, self.chunk, 1j)
                rows = [None if r is None else r + 1j * i for r, i in zip(rows, imaginary, strict=True)]
            if len(rows) > 1:
                rows = apart(rows, ())
            blocks.append(
                [
                    empty_block(v, x) if r is None else _of_dtype(r.reshape(shape_of(v) + shape_of(x)), v)
                    for r, x in zip(rows, problem.inputs, strict=True)
                ]
            )
        return Answer(values, blocks)

    def block(
        self, problem: Problem, options: Options, program: Program | None, pulled: bool, lo: int, hi: int
    ) -> tuple[Sequence[Any], Any]:
        program = needed(program)
        tape, values, k = program.tape, program.values, hi - lo
        pairs = [
            (slot, w)
            for slot, w in zip(tape.outputs, seeds(values, lo, hi), strict=True)
            if slot >= 0 and w is not None
        ]
        rows = pull_rows(problem, tape, pairs, (k,), True) if pairs else [None] * len(problem.inputs)
        if options.holomorphic:
            rows = [None if r is None else np.conjugate(r) for r in rows]
        elif turned := [(slot, 1j * w) for slot, w in pairs if w.dtype.kind == "c"]:
            imaginary = pull_rows(problem, tape, turned, (k,), True)
            rows = [r if i is None else 1j * i if r is None else r + 1j * i for r, i in zip(rows, imaginary)]
        return values, side_by_side(rows, problem.inputs, k)

    def gathered(self, problem: Problem, options: Options, values: list[Any], products: Sequence[Any]) -> Answer:
        check_real(problem, options.holomorphic)
        if options.holomorphic:
            check_cauchy_riemann(problem)
        dtype = np.result_type(*[dtype_of(v) for v in values]) if values else np.dtype(float)
        whole = products[0] if products else np.zeros((0, self.inputs))
        return Answer(values, whole=whole.astype(dtype, copy=False))


def _of_dtype(block: Any, v: Any) -> Any:
    """Return a block in the dtype of the result, as columns have it: a cotangent has that of the argument."""
    want = dtype_of(v)
    return block if dtype_of(block) == want or want.kind == "c" else block.astype(want)


def _rows(problem: Problem, tape: Tape, slot: int, v: Any, chunk: int | None, unit: complex) -> list[Any]:
    """Pull all unit covectors of one output; return per input an array of m rows."""
    shape = shape_of(v)
    m = size_of(shape)
    if m == 1:
        one = np.full(shape, unit, dtype_of(v))
        found = pull_rows(problem, tape, [(slot, one[()] if shape == () else one)], (), True)
        return [None if c is None else np.reshape(c, (1, *shape_of(c))) for c in found]
    if chunk is None or chunk >= m:
        if is_array(v) and v.dtype.char == "d" and m * m > 1 << 11 and unit == 1:
            return pull_rows(problem, tape, [(slot, seed(directions(0, shape)))], (m,), True)
        return pull_rows(problem, tape, [(slot, _unit_rows(v, 0, m, unit))], (m,), True)
    # Chunk by chunk into place, so that no row is held twice.
    rows: list[Any] = [None] * len(problem.inputs)
    for lo, hi in chunks(m, chunk):
        found = pull_rows(problem, tape, [(slot, _unit_rows(v, lo, hi, unit))], (hi - lo,), True)
        for i, c in enumerate(found):
            if c is None:
                continue
            if rows[i] is None:
                rows[i] = np.zeros_like(c, shape=(m, *shape_of(c)[1:]))
            rows[i][lo:hi] = c
    return rows


def _unit_rows(v: Any, lo: int, hi: int, unit: complex) -> Any:
    (found,) = seeds((v,), lo, hi)
    return found if unit == 1 else unit * found
