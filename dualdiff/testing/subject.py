"""A function at a point, with its structure taken off, and all that the engine says about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.capture import captures_of, in_place_of
from dualdiff.containers import check_input
from dualdiff.passes import push, replay
from dualdiff.reach import redone_if_not_finite
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.tape import Tape
from dualdiff.testing.witness import Estimate, estimate
from dualdiff.trees import flatten
from dualdiff.ways.problem import Problem, pull_rows, record, run_duals


class Subject:
    """A function of nested arguments at a point: flat inputs, flat outputs, both modes, replay, differences.

    Parameters
    ----------
    f : callable
        The function.
    args : sequence
        Its arguments, nested structures of arrays.
    """

    def __init__(self, f: Callable[..., Any], args: Sequence[Any]) -> None:
        leaves, self.build = flatten(tuple(args))
        self.f = f = in_place_of(f)
        self.inputs = [check_input(x, "an argument") for x in leaves]
        self.problem = Problem(self.call, self.inputs, f, captures_of(f), check=False)
        self.recorded: dict[bool, tuple[Tape, list[Any]]] = {}

    def call(self, leaves: list[Any]) -> list[Any]:
        """Run the function on flat leaves; return its flat outputs."""
        return flatten(self.f(*self.build(leaves)))[0]

    def plain(self, leaves: Sequence[Any] | None = None) -> list[Any]:
        """Run the function without the engine, on copies, and return its outputs."""
        return self.call([_copied(x) for x in (self.inputs if leaves is None else leaves)])

    def push(self, tangents: Sequence[Any], lead: tuple[int, ...] = ()) -> tuple[list[Any], list[Any]]:
        """Return the values and the tangents by dual numbers."""
        values, found = run_duals(self.problem, tangents, lead)
        return values, filled(found, values, lead)

    def record(self, replayable: bool = False) -> tuple[Tape, list[Any]]:
        """Return the tape of a run and its values. A subject is recorded once: passes over one tape are many."""
        if replayable not in self.recorded:
            self.recorded[replayable] = record(self.problem, replayable)
        return self.recorded[replayable]

    def push_tape(self, tangents: Sequence[Any], lead: tuple[int, ...] = ()) -> tuple[list[Any], list[Any]]:
        """Return the values and the tangents by a push through the tape."""
        tape, values = self.record(replayable=True)
        found = redone_if_not_finite(lambda: push(tape, tangents, tape.outputs, lead))
        return values, filled(found, values, lead)

    def pull(self, cotangents: Sequence[Any], lead: tuple[int, ...] = ()) -> tuple[list[Any], list[Any]]:
        """Return the values and the cotangents of the inputs by reverse mode."""
        tape, values = self.record()
        found = pull_rows(self.problem, tape, list(zip(tape.outputs, cotangents, strict=True)), lead)
        return values, filled(found, self.inputs, lead)

    def replay(self, leaves: Sequence[Any]) -> list[Any]:
        """Record the function here and run the tape at another point."""
        tape, values = self.record(replayable=True)
        found = replay(tape, leaves, tape.outputs)
        return [v if f is None else f for f, v in zip(found, values, strict=True)]

    def truth(self, direction: Sequence[Any], settled: Callable[[Estimate], bool] | None = None) -> Estimate:
        """Estimate the derivative along a direction without the engine, until ``settled`` says that it is known well enough."""
        return estimate(self.plain, self.inputs, direction, settled)

    # -- seeds -------------------------------------------------------------------------------------
    def direction(self, rng: np.random.Generator, lead: tuple[int, ...] = ()) -> list[Any]:
        """Return a random direction, every entry in proportion to that of the point, so that steps are sane."""
        return [random_like(x, rng, lead) * scale_of(x) for x in self.inputs]

    def covector(self, rng: np.random.Generator, values: Sequence[Any], lead: tuple[int, ...] = ()) -> list[Any]:
        """Return a random covector of the outputs."""
        return [random_like(v, rng, lead) for v in values]


def _copied(x: Any) -> Any:
    if type(x) is np.ndarray:
        return x.copy("K")  # a function may ask how its operand lies
    return x.copy() if hasattr(x, "copy") else x


def filled(found: Sequence[Any], like: Sequence[Any], lead: tuple[int, ...]) -> list[Any]:
    """Write the zeros out that the engine leaves absent."""
    return [np.zeros(lead + shape_of(v), dtype_of(v)) if t is None else t for t, v in zip(found, like, strict=True)]


def random_like(x: Any, rng: np.random.Generator, lead: tuple[int, ...] = ()) -> Any:
    """Return random numbers away from zero, of the shape and dtype of ``x``, with ``lead`` in front."""
    shape, dtype = lead + shape_of(x), dtype_of(x)

    def draw() -> Any:
        return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)

    found = draw() + 1j * draw() if dtype.kind == "c" else draw()
    return np.asarray(found).astype(dtype)[()]


def scale_of(x: Any) -> Any:
    """Return the magnitude of every entry, and 1 for a zero."""
    size = np.abs(x)
    return np.where(size == 0, np.ones_like(size), size)[()]
