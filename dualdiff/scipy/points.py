"""A small function at many points: its values and its derivatives there, in one run of its program.

Solvers ask a function of a few numbers at hundreds of points. It is recorded at one of them, taken apart into operations on numbers
(:mod:`dualdiff.passes.scalars`), and each operation is done for all points at a time, with its row's own push. A decision that would be
taken otherwise at some of the points has the function recorded again at one of those.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.capture.captures import captured_runs
from dualdiff.errors import NOTES, DerivativeError
from dualdiff.kinds import Elementwise, Sweep
from dualdiff.operators.compiled import tidied
from dualdiff.passes import kinks
from dualdiff.passes.program import Program, Slot, program_of
from dualdiff.passes.scalars import PREDICATES, NotScalarError, Scalars, expanded
from dualdiff.register import REGISTER
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tape import Recording
from dualdiff.values import TRACED, raw
from dualdiff.ways.problem import Problem, run_duals, run_user

MOST = 64
"""Directions up to which all of them are followed at every point."""
_VARIANTS = 6
"""How often a function is recorded until its decisions count as too many."""
_AT_ONCE = 1 << 20
"""Numbers that are held at a time."""
_FLOAT = np.dtype(float)
_WITHOUT = PREDICATES | {"constant", "unused", "number"}
"""Operations without a derivative."""
_STEPS = PREDICATES | {"sign", "heaviside"}
"""Operations whose results are the same from jump to jump, beside those of rows that are discrete."""
_SIDES: dict[str, Callable[..., Any]] = {
    "remainder": np.floor_divide,
    "fmod": lambda x, y: np.trunc(x / y),
    "arctan2": lambda y, x: np.less(x, 0) * (1 + np.signbit(y)),
    "copysign": lambda x, y: 2 * np.signbit(x) + np.signbit(y),
}
"""Operations that jump, and of their operands what is the same from jump to jump."""
_KEYS = np.random.default_rng(0).integers(1 << 40, 1 << 62, 1 << 10)


class Points:
    """A function of numbers and small arrays, with one result, at many points.

    Parameters
    ----------
    problem : callable
        Of a list of plain inputs: the problem of the function there.
    inputs : sequence
        Plain inputs. What does not vary from point to point stays as it is here.
    live : sequence of bool
        By which inputs it is differentiated.
    """

    def __init__(self, problem: Callable[[list[Any]], Problem], inputs: Sequence[Any], live: Sequence[bool]) -> None:
        self.problem, self.inputs = problem, list(inputs)
        self.sizes = [size_of(shape_of(x)) if on else 0 for x, on in zip(inputs, live, strict=True)]
        self.count = sum(self.sizes)
        self.programs: list[tuple[Program, Scalars]] = []
        self.recordings = 0
        self.refused = False

    def at(self, varied: dict[int, Any]) -> tuple[Any, Any]:
        """Return the values at some points, (points, size), and their derivatives, (points, size, directions).

        ``varied`` holds, by the number of the input, what it is at each point.
        """
        total = len(next(iter(varied.values())))
        found: list[Any] = [None, None]

        def keep(at: Any, parts: Sequence[Any]) -> None:
            for i, part in enumerate(parts):
                if found[i] is None:
                    found[i] = np.empty((total, *part.shape[1:]))
                found[i][at] = part

        def run(program: Program, scalars: Scalars, at: Any) -> Any:
            *both, holds = self._run(program, scalars, {i: x[at] for i, x in varied.items()}, len(at))
            keep(at[holds], [x[holds] for x in both])
            return holds

        for k in self._served(varied, run, 1 + self.count):  # one by one, and with all the care that there is
            keep([k], self._eagerly({i: x[k] for i, x in varied.items()}))
        return found[0], found[1]

    def is_steady(self) -> bool:
        """Whether it is known that no decisions are taken, and so no jumps met."""
        return any(not scalars.checks and not _decisions(scalars) for _, scalars in self.programs)

    def decisions(self, varied: dict[int, Any]) -> Any:
        """Return for each point a number, which is the same where all decisions are: on which side of its jumps the function is.

        None where that cannot be told. ``varied`` is that of :meth:`at`.
        """
        found = np.zeros(len(next(iter(varied.values()))), np.int64)

        def run(program: Program, scalars: Scalars, at: Any) -> Any:
            nodes = _decisions(scalars)
            if not nodes and not scalars.checks:
                return np.ones(len(at), bool)
            with np.errstate(all="ignore"):
                values = self._values(scalars, {i: x[at] for i, x in varied.items()}, len(at))
                holds = _holds(program, scalars, values, len(at))
                found[at] = id(program)
                for (name, *of), m, key in zip([scalars.operations[m] for m in nodes], nodes, itertools.cycle(_KEYS)):
                    side = _SIDES[name](*[values[i] for i in of]) if name in _SIDES else values[m]
                    found[at] += np.asarray(side).astype(np.int64) * key
            return holds

        return None if len(self._served(varied, run, 1)) else found

    def values(self, varied: dict[int, Any]) -> Any:
        """Return the values at some points, (points, size), without their derivatives; None where no program gives them."""
        found: list[Any] = []

        def run(program: Program, scalars: Scalars, at: Any) -> Any:
            with np.errstate(all="ignore"):
                values = self._values(scalars, {i: x[at] for i, x in varied.items()}, len(at))
                ((_, nodes),) = scalars.outputs
                if not found:
                    found.append(np.empty((len(next(iter(varied.values()))), len(nodes))))
                holds = _holds(program, scalars, values, len(at))
                for j, m in enumerate(nodes):
                    found[0][at, j] = values[m]
            return holds

        return None if len(self._served(varied, run, 1)) else found[0]

    def _served(self, varied: dict[int, Any], run: Callable[[Program, Scalars, Any], Any], width: int) -> Any:
        """Let programs run at the points for which they hold, as ``run`` says; return the points that none serves."""
        todo = np.arange(len(next(iter(varied.values()))))
        known = list(self.programs)
        while len(todo):
            if known:
                program, scalars = known.pop(0)
            else:
                if self.refused or self.recordings >= _VARIANTS:
                    break
                self.recordings += 1
                recorded = self._recorded({i: x[todo[0]] for i, x in varied.items()})
                if recorded is None:
                    self.refused = True
                    break
                program, scalars = recorded
                self.programs.insert(0, recorded)
            each = max(16, _AT_ONCE // (max(len(scalars.operations), 1) * width))
            parts = [todo[first : first + each] for first in range(0, len(todo), each)]
            todo = np.concatenate([part[~run(program, scalars, part)] for part in parts])
        return todo

    def _recorded(self, varied: dict[int, Any]) -> tuple[Program, Scalars] | None:
        """Record the function at a point; None where it is none of numbers."""
        inputs = [varied.get(i, x) for i, x in enumerate(self.inputs)]
        problem = self.problem(inputs)
        token = NOTES.set([])
        try:
            (tape, _), results = captured_runs(problem, lambda: _once(problem), 1)
            slots = [Slot(v.mark) if type(v) in TRACED and v.run is tape else v for v in results]
            if any(type(x) in TRACED for x in (*slots, *tape.arguments)):
                return None
            program = program_of(tape, inputs, slots, [raw(v) for v in results])
            if any(type(x) in TRACED for x in program.constants.values()):
                return None
            return program, expanded(program)
        except (NotScalarError, DerivativeError):
            return None
        finally:
            NOTES.reset(token)

    def _values(self, scalars: Scalars, varied: dict[int, Any], count: int) -> list[Any]:
        """Return the values of all operations."""
        values: list[Any] = []
        for name, *of in scalars.operations:
            if name == "input":
                i, entry = of
                x = varied.get(i)
                values.append(np.ravel(self.inputs[i])[entry] if x is None else np.reshape(x, (count, -1))[:, entry])
            elif name == "constant":
                values.append(of[0])
            else:
                values.append(None if name == "unused" else _value(name, [values[m] for m in of]))
        return values

    def _run(self, program: Program, scalars: Scalars, varied: dict[int, Any], count: int) -> tuple[Any, Any, Any]:
        """Return values, derivatives, and at which points the program holds."""
        k, sweep = self.count, Sweep((self.count,))
        starts = np.cumsum([0, *self.sizes])
        tangents: dict[int, Any] = {}
        with np.errstate(all="ignore"):
            values = self._values(scalars, varied, count)
            for n, (name, *of) in enumerate(scalars.operations):
                if name == "input":
                    i, entry = of
                    if self.sizes[i]:
                        tangents[n] = np.zeros((k, *values[n].shape))
                        tangents[n][starts[i] + entry] = 1.0
                elif name not in _WITHOUT:
                    ts = [tangents.get(m) for m in of]
                    if any(t is not None for t in ts):
                        t = _tangent(name, ts, [values[m] for m in of], values[n], sweep)
                        if t is not None:
                            tangents[n] = t
            holds = _holds(program, scalars, values, count)
            ((_, nodes),) = scalars.outputs
            value, derivative = np.empty((count, len(nodes))), np.zeros((count, len(nodes), k))
            for j, m in enumerate(nodes):
                value[:, j] = values[m]
                if m in tangents:
                    derivative[:, j] = np.transpose(np.reshape(tangents[m], (k, -1)))
            holds &= np.isfinite(value).all(1) & np.isfinite(derivative).all((1, 2))
        return value, derivative, holds

    def _eagerly(self, varied: dict[int, Any]) -> tuple[Any, Any]:
        inputs = [varied.get(i, x) for i, x in enumerate(self.inputs)]
        seeds, at = [], 0
        for x, size in zip(inputs, self.sizes, strict=True):
            seeds.append(np.eye(self.count, size, -at).reshape(self.count, *shape_of(x)) if size else None)
            at += size
        (value,), (t,) = run_duals(self.problem(inputs), seeds, (self.count,))
        value = np.ravel(raw(value))
        t = np.zeros((self.count, len(value))) if t is None else np.reshape(t, (self.count, -1))
        return value[None], np.transpose(t)[None]


def serves(inputs: Sequence[Any], live: Sequence[bool]) -> bool:
    """Whether inputs are plain numbers of double precision, few of them live, and nobody wants to be told of kinks."""
    return (
        all(type(x) in (float, np.float64, np.ndarray) and dtype_of(x) == _FLOAT for x in inputs)
        and sum(size_of(shape_of(x)) for x, on in zip(inputs, live, strict=True) if on) <= MOST
        and kinks.SETTING.get() == kinks.CONVENTION
    )


def _once(problem: Problem) -> tuple[Any, list[Any]]:
    tape = Recording(pushed=True)
    try:
        results = run_user(problem, tape, [tape.add_input(x) for x in problem.inputs], tidied)
    finally:
        tape.close()
    return (tape, None), results


def _holds(program: Program, scalars: Scalars, values: list[Any], count: int) -> Any:
    """Return at which points Python's decisions are those of a program."""
    holds = np.ones(count, bool)
    for check, nodes in zip(program.checks, scalars.checks, strict=True):
        for m, then in zip(nodes, np.ravel(check.then).tolist(), strict=True):
            holds &= np.equal(values[m], then) | (then != then and np.isnan(values[m]))
    return holds


def _decisions(scalars: Scalars) -> list[int]:
    """Return the operations that say on which side of its jumps a function is."""
    return [n for n, (name, *_) in enumerate(scalars.operations) if _is_stepwise(name)]


def _is_stepwise(name: Any) -> bool:
    if name in _STEPS or name in _SIDES:
        return True
    if name in ("input", "constant", "unused", "number", "where"):
        return False
    entry = REGISTER.get(_function(name))
    return entry is not None and entry.primitive is not None and entry.primitive.kind == "discrete"


def _function(name: Any) -> Any:
    return getattr(np, name) if isinstance(name, str) else name


def _value(name: Any, args: Sequence[Any]) -> Any:
    if name in ("all", "any"):
        return np.logical_and.reduce(args) if name == "all" else np.logical_or.reduce(args)
    if name == "number":
        return np.asarray(args[0], float)
    return _function(name)(*args)


def _tangent(name: Any, tangents: Sequence[Any], args: Sequence[Any], out: Any, sweep: Sweep) -> Any:
    if name == "where":
        _, a, b = [
            0.0 if t is None else np.reshape(t, (*sweep.lead, size_of(shape_of(x)))) for t, x in zip(tangents, args)
        ]
        return np.reshape(np.where(args[0], a, b), sweep.lead + shape_of(out))
    entry = REGISTER.get(_function(name))
    row = None if entry is None else entry.primitive
    if not isinstance(row, Elementwise):
        return None if row is not None and row.kind == "discrete" else np.full(sweep.lead + shape_of(out), np.nan)
    return row.push(sweep, tangents, args, {}, out)


__all__ = ["MOST", "Points", "serves"]
