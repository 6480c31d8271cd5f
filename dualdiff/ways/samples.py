"""Ways to the Jacobians of all samples at once: one seed serves them all, where no sample depends on another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.ways.base import Answer, Side, needed
from dualdiff.ways.colored import Columns, Rows
from dualdiff.ways.options import Options
from dualdiff.ways.problem import Problem, pull_rows, push_columns
from dualdiff.ways.program import Program


@dataclass(frozen=True, eq=False, kw_only=True)
class SampleColumns(Columns):
    """Push a sample's columns for all samples together."""

    @property
    def sides(self) -> tuple[Side, ...]:
        return (Side(False, self.columns, "columns of every sample"),)

    def block(
        self, problem: Problem, options: Options, program: Program | None, pulled: bool, lo: int, hi: int
    ) -> tuple[Sequence[Any], Any]:
        tape, values = _recorded(program)
        (x,), k = problem.inputs, hi - lo
        seed = _tiled(self.columns, shape_of(x)[0], dtype_of(x), lo, hi).reshape((k, *shape_of(x)))
        (t,) = push_columns(tape, [seed], (k,))
        return values, _rows_of(t, values[0], k)

    def gathered(self, problem: Problem, options: Options, values: list[Any], products: Sequence[Any]) -> Answer:
        (x,), (v,) = problem.inputs, values
        batch, *sample = shape_of(x)
        found = products[0].reshape((self.columns, batch, size_of(shape_of(v)[1:])))
        return Answer(values, [[np.moveaxis(found, 0, 2).copy().reshape(shape_of(v) + tuple(sample))]])


@dataclass(frozen=True, eq=False, kw_only=True)
class SampleRows(Rows):
    """Pull a sample's rows for all samples together."""

    @property
    def sides(self) -> tuple[Side, ...]:
        return (Side(True, self.rows, "rows of every sample"),)

    def block(
        self, problem: Problem, options: Options, program: Program | None, pulled: bool, lo: int, hi: int
    ) -> tuple[Sequence[Any], Any]:
        tape, values = _recorded(program)
        (v,), k = values, hi - lo
        seed = _tiled(self.rows, shape_of(v)[0], dtype_of(v), lo, hi).reshape((k, *shape_of(v)))
        (c,) = pull_rows(problem, tape, [(tape.outputs[0], seed)], (k,))
        return values, _rows_of(c, problem.inputs[0], k)

    def gathered(self, problem: Problem, options: Options, values: list[Any], products: Sequence[Any]) -> Answer:
        (x,), (v,) = problem.inputs, values
        batch, *sample = shape_of(x)
        found = products[0].reshape((self.rows, batch, size_of(tuple(sample))))
        shape = shape_of(v) + tuple(sample)
        return Answer(values, [[np.moveaxis(found, 0, 1).copy().reshape(shape).astype(dtype_of(v))]])


PER_SAMPLE = (SampleColumns, SampleRows)
"""The ways that serve all samples at once: by a sample's columns, or by its rows."""


def samples_of(problem: Problem) -> tuple[int, int]:
    """Return how many samples the argument has, and the numbers of one."""
    if len(problem.inputs) != 1 or not shape_of(problem.inputs[0]):
        raise InputError("dd.batch_jacobian differentiates one array whose first axis counts the samples")
    (batch, *sample) = shape_of(problem.inputs[0])
    return batch, size_of(tuple(sample))


def results_of(values: Sequence[Any], batch: int) -> int:
    """Return the numbers that a sample of the result has."""
    if len(values) != 1 or shape_of(values[0])[:1] != (batch,):
        shapes = ", ".join(str(shape_of(v)) for v in values)
        raise InputError(
            f"dd.batch_jacobian needs a function that returns one array with the {batch} samples on its first axis, "
            f"not {shapes}"
        )
    if dtype_of(values[0]).kind == "c":
        raise InputError("dd.batch_jacobian is for real functions")
    return size_of(shape_of(values[0])[1:])


def check_samples(program: Program, batch: int, n: int, m: int) -> None:
    """Raise unless every sample of the result depends on its own sample of the argument only."""
    pattern = program.pattern
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr)) // max(m, 1)
    columns = pattern.indices // max(n, 1)
    mixed = np.flatnonzero(rows != columns)
    if mixed.size:
        i, j = int(rows[mixed[0]]), int(columns[mixed[0]])
        raise InputError(
            f"the function mixes its samples: sample {i} of the result depends on sample {j} of the argument (a mean or a "
            "norm over the batch does that). Use dd.jacobian, or dd.jacobian(f, sparse=True)."
        )


def _recorded(program: Program | None) -> tuple[Any, Sequence[Any]]:
    held = needed(program)
    return held.tape, held.values


def _tiled(k: int, batch: int, dtype: Any, lo: int, hi: int) -> Any:
    """Return the rows of an identity from ``lo`` to ``hi``, the same for every sample: (hi - lo, batch, k)."""
    return np.broadcast_to(np.eye(k, dtype=dtype)[lo:hi, None, :], (hi - lo, batch, k)).copy()


def _rows_of(t: Any, a: Any, k: int) -> Any:
    return np.zeros((k, size_of(shape_of(a))), dtype_of(a)) if t is None else t.reshape((k, size_of(shape_of(a))))
