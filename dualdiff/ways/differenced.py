"""Finite differences and the complex step: asked for by name, never chosen.

They evaluate the function, plain, at neighbouring points. Central differences are right to some ten digits where the function is
smooth; the complex step to all digits, where the function is analytic and its code works on complex numbers.

References
----------
Squire & Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40 (1998),
doi:10.1137/S003614459631241X.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from dualdiff.errors import InputError
from dualdiff.passes.costs import Quantities
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import Traced, is_number
from dualdiff.ways.base import Answer, Way
from dualdiff.ways.options import Options
from dualdiff.ways.problem import Problem, as_asked, outputs_of
from dualdiff.ways.program import Program

STEP = 1e-30
"""The complex step: nothing is subtracted, so it may be as small as numbers get."""
SHORT_STEP = 1e-8
"""The same in single precision, whose smallest numbers leave less room below a step."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Differenced(Way):
    """Evaluate the function at neighbouring points, column by column."""

    plain = True
    apart = True
    times: ClassVar[int] = 1
    """Evaluations a column."""

    @classmethod
    def at(cls, program: Program, options: Options, exact: bool = True) -> Self:
        n, m = program.inputs, program.outputs
        return cls(outputs=m, inputs=n, entries=m * n, columns=n)

    def quantities(self, program: Program) -> Quantities:
        # Evaluations of the function, of which the tape tells the steps.
        times = self.columns * self.times
        elements = sum([s.size for s in program.steps if s is not None])
        return {"frame": 1.0, "record": times * len(program), "element": 2.0 * times * elements}

    def memory(self, program: Program) -> int:
        return 2 * self.entries * program.itemsize

    @property
    def evaluations(self) -> int:
        return 1 + self.columns * self.times

    @property
    def says(self) -> str:
        return f"{self.columns} columns of {self.name.replace('-', ' ')}"

    def run(self, problem: Problem, options: Options, program: Program | None) -> Answer:
        values = self.evaluated(problem, options)
        return self.gathered(problem, options, values, [self._columns(problem, 0, problem.n)] if problem.n else [])

    def evaluated(self, problem: Problem, options: Options) -> list[Any]:
        """Return the outputs at the point itself.

        Raises
        ------
        InputError
            If a value is complex, is being differentiated by an outer operator, or has lost the complex step.
        """
        if any(isinstance(x, Traced) for x in problem.inputs):
            raise InputError(
                f"mode={self.name!r} evaluates the function at plain points, which an outer derivative cannot see; "
                "use 'forward' or 'reverse' inside other operators"
            )
        if any(dtype_of(x).kind == "c" for x in problem.inputs):
            raise InputError(f"mode={self.name!r} is for real functions; use 'forward' or 'reverse' for complex ones")
        values = outputs_of(problem.call([_copy(x) for x in problem.inputs]))
        self.check_outputs(values)
        m = sum(size_of(shape_of(v)) for v in values)
        dtype = np.result_type(*[dtype_of(v) for v in values]) if values else np.dtype(float)
        needed = 2 * m * problem.n * dtype.itemsize
        if needed > options.limit:
            raise InputError(
                f"max_bytes={options.limit} is too small: the Jacobian of {m} outputs by {problem.n} inputs takes {needed} bytes "
                f"by mode={self.name!r}; allow more, or use dd.linear_operator(f, x), which forms no Jacobian"
            )
        return values

    def block(
        self, problem: Problem, options: Options, program: Program | None, pulled: bool, lo: int, hi: int
    ) -> tuple[Sequence[Any], Any]:
        return (), self._columns(problem, lo, hi)

    def gathered(self, problem: Problem, options: Options, values: list[Any], products: Sequence[Any]) -> Answer:
        dtype = np.result_type(*[dtype_of(v) for v in values]) if values else np.dtype(float)
        if not products:
            m = sum([size_of(shape_of(v)) for v in values])
            return Answer(values, whole=as_asked(np.zeros((m, 0), dtype), options))
        whole = np.ascontiguousarray(products[0].T)
        self.check(problem, whole)
        return Answer(values, whole=as_asked(whole.astype(dtype), options))

    def _columns(self, problem: Problem, lo: int, hi: int) -> Any:
        entries = [(k, i) for k, x in enumerate(problem.inputs) for i in range(size_of(shape_of(x)))]
        return np.stack([self.column(problem, k, i) for k, i in entries[lo:hi]])

    def column(self, problem: Problem, k: int, i: int) -> Any:
        """Return the column of entry ``i`` of input ``k``."""
        raise NotImplementedError

    def check_outputs(self, values: Sequence[Any]) -> None:
        """Raise if the function's results are not ones that this can differentiate."""

    def check(self, problem: Problem, whole: Any) -> None:
        """Raise if the result cannot be right."""


class FiniteDifferences(Differenced):
    """Central differences."""

    name = "finite-differences"
    asked = {"dense": ("finite-differences",), "sparse": ("finite-differences",)}
    exact = False
    times = 2

    def column(self, problem: Problem, k: int, i: int) -> Any:
        return _central(problem, k, i)


class ComplexStep(Differenced):
    """The imaginary part of a step along the imaginary axis."""

    name = "complex-step"
    asked = {"dense": ("complex-step",), "sparse": ("complex-step",)}

    @property
    def evaluations(self) -> int:
        return super().evaluations + 2  # one difference that the step is held against

    def column(self, problem: Problem, k: int, i: int) -> Any:
        return _complex(problem, k, i)

    def check_outputs(self, values: Sequence[Any]) -> None:
        if any(dtype_of(v).kind == "c" for v in values):
            raise InputError(
                f"mode={self.name!r} reads the derivative from the imaginary part, which the function's complex result has "
                "taken already; use 'forward' or 'reverse'"
            )

    def check(self, problem: Problem, whole: Any) -> None:
        _check_step(problem, whole)


def _copy(x: Any) -> Any:
    return x.copy() if type(x) is np.ndarray else x


def _at(problem: Problem, k: int, i: int, step: Any, dtype: Any = None) -> Any:
    """Return all outputs, flat, with one entry of one input moved by a step."""
    inputs = [_copy(x) for x in problem.inputs]
    x = np.array(inputs[k], dtype=dtype)
    x.reshape(-1)[i] += step
    inputs[k] = x[()] if is_number(problem.inputs[k]) else x
    values = outputs_of(problem.call(inputs))
    return np.concatenate([np.reshape(v, -1) for v in values]) if values else np.zeros(0)


def _central(problem: Problem, k: int, i: int) -> Any:
    x = np.reshape(problem.inputs[k], -1)[i]
    # The step that balances truncation (h²) against rounding (ε/h).
    h = np.cbrt(np.finfo(np.asarray(x).dtype).eps) * max(1.0, abs(float(x)))
    above, below = x + h, x - h
    return (_at(problem, k, i, above - x) - _at(problem, k, i, below - x)) / (above - below)


def _complex(problem: Problem, k: int, i: int) -> Any:
    try:
        step = STEP if dtype_of(problem.inputs[k]).itemsize >= 8 else SHORT_STEP
        found = _at(problem, k, i, 1j * step, np.result_type(dtype_of(problem.inputs[k]), np.complex64))
    except TypeError as e:
        raise InputError(
            f"mode='complex-step': the function does not work on complex numbers ({e}); use 'forward' or 'reverse'"
        ) from e
    if found.size and found.dtype.kind != "c":
        raise InputError(
            "mode='complex-step': the function returned real numbers at a complex point, so the step was lost (np.abs, "
            ".real, or a conversion to float); use 'forward' or 'reverse'"
        )
    return found.imag / step


def _check_step(problem: Problem, whole: Any) -> None:
    """Raise if the complex step disagrees with differences along one direction: the code is not analytic there."""
    rng = np.random.default_rng(0)
    flat = [np.reshape(np.asarray(x), -1) for x in problem.inputs]
    v = [rng.uniform(0.5, 1.0, len(x)) * np.maximum(np.abs(x), 1e-3) for x in flat]
    h = np.cbrt(np.finfo(np.result_type(*flat)).eps)

    def at(step: float) -> Any:
        moved = [
            np.reshape((x + step * d).astype(x.dtype), shape_of(given))
            for x, d, given in zip(flat, v, problem.inputs, strict=True)
        ]
        moved = [x[()] if is_number(given) else x for x, given in zip(moved, problem.inputs, strict=True)]
        values = outputs_of(problem.call(moved))
        return np.concatenate([np.reshape(o, -1) for o in values]) if values else np.zeros(0)

    expected = (at(h) - at(-h)) / (2 * h)
    direction = np.concatenate(v)
    found = whole @ direction
    scale = np.abs(whole) @ np.abs(direction) + np.abs(expected)
    if np.any(np.abs(found - expected) > max(1e-3, 30 * h * h) * scale + 1e-8 * np.max(np.abs(expected), initial=0.0)):
        raise InputError(
            "mode='complex-step' gives another derivative than differences do: the function's code is not analytic in the "
            "complex plane (it takes np.abs, np.linalg.norm, np.conjugate or the like); use 'forward' or 'reverse'"
        )
