"""A solution on steps whose lengths are given, as one value that is differentiated: a row of the states at its start and closed over.

Its value is that of the solver. Its derivative is that of the steps: of a small system they are linearised all at a time
(:mod:`dualdiff.scipy.points`), and the sensitivities, or the adjoints, go from step to step as products with small matrices. Of any
other the steps are carried out again on differentiated values, as they are for derivatives of derivatives.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.integrate import DenseOutput

from dualdiff.custom import checkpoint
from dualdiff.kinds import General, Sweep
from dualdiff.scipy.points import MOST, Points, serves
from dualdiff.scipy.stepping import Explicit, Implicit, Interpolant
from dualdiff.scipy.systems import Given, slope
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import TRACED, bind, raw
from dualdiff.ways.problem import Problem, pull_rows, record, run_duals

_AT_ONCE = 1 << 18
"""Numbers that the derivatives of some steps may be."""


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """Steps that were taken, in plain numbers.

    Attributes
    ----------
    given : Given
        The right-hand side, a function of ``(t, y)``.
    scheme : Explicit or Implicit
        How a step is made.
    times : array
        Where the steps begin and end.
    states : array
        The states there, one in a row.
    slopes : array, optional
        What the scheme says of each step, (steps, stages, n), where that is kept.
    linear : list
        The steps linearised, or None, once that was tried.
    """

    given: Given
    scheme: Explicit | Implicit
    times: Any
    states: Any
    slopes: Any = None
    linear: list[Any] = field(default_factory=list)

    @property
    def inside(self) -> list[Any]:
        """What the right-hand side closes over, in plain numbers."""
        return [raw(x) for x in self.given.inside]

    def points(self) -> Points | None:
        """Return the right-hand side at many points; None where the system is too large for that, or none of real numbers."""
        given = self.given
        if given.points is None:
            inputs = [float(self.times[0]), self.states[0], *self.inside]
            live = [False, True, *[True] * len(given.inside)]
            if serves(inputs, live):
                given.points = Points(lambda inputs: given.problem(inputs[:2], inputs[2:]), inputs, live)
        return given.points


def is_small(given: Given, y0: Any) -> bool:
    """Whether a system may be linearised at many points."""
    return size_of(shape_of(y0)) + sum([size_of(shape_of(x)) for x in given.inside]) <= MOST


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What is asked of the steps, one in a row: the state at a node, or a combination of what the scheme says of the step after it.

    Attributes
    ----------
    nodes : array
        The number of the node.
    states : array
        Whether the state there is part of it: 1 or 0.
    weights : array
        By h, those of what the scheme says of the step.
    """

    nodes: Any
    states: Any
    weights: Any


@dataclass(slots=True, eq=False)
class Path:
    """Steps, and what is asked of them: what the row is told.

    Attributes
    ----------
    taken : Taken
        The steps.
    rows : Rows
        What is asked of them.
    checkpoints : int, optional
        Of how many steps reverse mode keeps the states alone.
    check : callable, optional
        What raises where the derivative by those operands that are active is not that of the steps.
    """

    taken: Taken
    rows: Rows
    checkpoints: int | None = None
    check: Callable[[Sequence[bool]], None] | None = None
    linear: Linear | None = None
    known: list[Any] = field(default_factory=list)

    def at(self, y0: Any) -> Any:
        """Return what is asked, for a state at the start."""
        if self.checkpoints is None and self.linear is None:
            self.linear = Linear.of(self.taken)
        return bind(STEPS, (y0, *self.taken.given.inside), {"path": self})

    def is_as_taken(self, operands: Sequence[Any]) -> bool:
        """Whether operands are those for which the steps were taken."""
        taken = self.taken
        return all(
            type(x) in (float, np.float64, np.ndarray) and (x is y or np.array_equal(x, y))
            for x, y in zip(operands, [taken.states[0], *taken.inside], strict=True)
        )

    def value(self, operands: Sequence[Any]) -> Any:
        """Return what is asked, in plain numbers."""
        taken, rows = self.taken, self.rows
        if self.is_as_taken(operands):
            inner = np.any(rows.weights, axis=1)
            found = rows.states[:, None] * taken.states[rows.nodes]
            if not np.any(inner):
                return found
            if taken.slopes is not None:
                at = rows.nodes[inner]
                found[inner] += np.diff(taken.times)[at, None] * np.einsum(
                    "rs,rsn->rn", rows.weights[inner], taken.slopes[at]
                )
                return found
        return raw(self.carried_out(operands[0], operands[1:]))

    def carried_out(self, y0: Any, inside: Sequence[Any]) -> Any:
        """Take the steps for any operands, by the operations of the right-hand side."""
        taken, rows = self.taken, self.rows
        length = len(taken.times) - 1
        each = max(1, length if not self.checkpoints else -(-length // self.checkpoints))
        order = np.argsort(rows.nodes, kind="stable")
        cuts = np.searchsorted(rows.nodes[order], np.arange(length + 2)).tolist()
        found: list[Any] = []
        state: tuple[Any, ...] = (y0,)
        for first in range(0, length, each):
            part = range(first, min(first + each, length))

            def run(inside: Any, *state: Any, part: range = part) -> Any:
                scheme = taken.scheme.on(inside)
                y, f = (*state, None)[:2]
                more = []
                for m in part:
                    asked = order[cuts[m] : cuts[m + 1]]
                    t, t_new = float(taken.times[m]), float(taken.times[m + 1])
                    y_new, f, slopes = scheme.step(t, t_new - t, y, f)
                    if len(asked):
                        more.append(_asked(rows, asked, y, t_new - t, slopes))
                    y = y_new
                return ((y,) if f is None else (y, f)), more

            state, more = (checkpoint(run) if self.checkpoints else run)(tuple(inside), *state)
            found += more
        last = order[cuts[length] :]
        if len(last):
            found.append(_asked(rows, last, state[0], 0.0, None))
        if not found:
            return np.zeros((0, *shape_of(y0)))
        return np.concatenate(found)[np.argsort(order)]

    def problem(self, operands: Sequence[Any], active: Sequence[bool]) -> Problem:
        """Return the steps as a function of those operands that have derivatives."""

        def run(leaves: list[Any]) -> list[Any]:
            own = iter(leaves)
            y0, *inside = [next(own) if on else x for x, on in zip(operands, active, strict=True)]
            return [self.carried_out(y0, inside)]

        given = self.taken.given
        live = [x for x, on in zip(operands, active, strict=True) if on]
        return Problem(run, live, given.users, given.captures(), inner=True)


def _asked(rows: Rows, asked: Any, y: Any, h: float, slopes: Any) -> Any:
    """Return what is asked of one step."""
    weights = rows.weights[asked]
    found = rows.states[asked, None] * y
    return found + h * (weights @ np.stack(slopes)) if np.any(weights) else found


@dataclass(slots=True, eq=False)
class Linear:
    """Steps linearised, for as many of them at a time as numbers of their derivatives are held.

    Attributes
    ----------
    taken : Taken
        The steps.
    points : Points
        The right-hand side at many points.
    kept : tuple, optional
        The derivatives of all steps, if they are few.
    """

    taken: Taken
    points: Points
    kept: Any = None

    @classmethod
    def of(cls, taken: Taken) -> Linear | None:
        """Linearise steps, which is done once; return None where that cannot be done."""
        if not taken.linear:
            points = taken.points() if taken.slopes is not None and len(taken.slopes) else None
            found = None if points is None or not np.all(np.diff(taken.times)) else cls(taken, points)
            try:
                fits = found is not None and all(d is not None for _, d in found.parts())
            except np.linalg.LinAlgError:
                fits = False
            taken.linear.append(found if fits else None)
        return taken.linear[0]

    def parts(self, backwards: bool = False) -> Iterator[tuple[range, Any]]:
        """Yield for some steps after the others the derivatives of what the scheme says of them, (steps, stages, n, all)."""
        taken = self.taken
        steps, stages, n = taken.slopes.shape
        each = max(1, _AT_ONCE // (stages * n * self.points.count))
        firsts = range(0, steps, each)
        for first in reversed(firsts) if backwards else firsts:
            part = range(first, min(first + each, steps))
            found = self.kept
            if found is None:
                own = slice(part.start, part.stop)
                times = taken.times[part.start : part.stop + 1]
                found = taken.scheme.derivatives(self.points, times, taken.states[own], taken.slopes[own])
                if len(part) == steps:
                    self.kept = found
            yield part, found

    def _maps(self, part: range, derivatives: Any, rows: Rows) -> tuple[Any, Any, Any, Any]:
        """Return the steps as maps of all to the next state, which rows lie within steps, these as maps, and which are nodes."""
        n = derivatives.shape[2]
        h = np.diff(self.taken.times)
        start = np.eye(n, derivatives.shape[3])
        _, _, last = self.taken.scheme.table
        steps = start + h[part.start : part.stop, None, None] * np.tensordot(derivatives, last, (1, 0))
        here = (rows.nodes >= part.start) & (rows.nodes < part.stop)
        within = np.any(rows.weights, axis=1)
        inner = np.flatnonzero(here & within)
        at = rows.nodes[inner] - part.start
        parts = np.einsum("rs,rsnk->rnk", rows.weights[inner], derivatives[at])
        parts = rows.states[inner, None, None] * start + h[rows.nodes[inner], None, None] * parts
        return steps, inner, parts, np.flatnonzero(here & ~within)

    def pushed(self, start: Any, along: Any, rows: Rows) -> Any:
        """Return the tangents of rows, (count, rows, n): of the state at the start, (count, n), and of what is closed over."""
        n = start.shape[1]
        found = np.zeros((len(start), len(rows.nodes), n))
        s = start
        for part, derivatives in self.parts():
            steps, inner, maps, nodes = self._maps(part, derivatives, rows)
            states = followed(steps, s, along)
            s = states[-1]
            at = rows.nodes[inner] - part.start
            both = maps[..., :n] @ np.transpose(states[at], (0, 2, 1)) + maps[..., n:] @ along.T
            found[:, inner] = np.transpose(both, (2, 0, 1))
            found[:, nodes] = np.transpose(
                rows.states[nodes, None, None] * states[rows.nodes[nodes] - part.start], (1, 0, 2)
            )
        last = np.flatnonzero(rows.nodes == len(self.taken.times) - 1)
        found[:, last] = rows.states[last, None] * s[:, None]
        return found

    def pulled(self, g: Any, rows: Rows) -> tuple[Any, Any]:
        """Return the covectors of the state at the start and of what is closed over, from those of rows, (count, rows, n)."""
        count, _, n = g.shape
        last = np.flatnonzero(rows.nodes == len(self.taken.times) - 1)
        adjoint = np.sum(rows.states[last, None] * g[:, last], axis=1)
        closed = np.zeros((count, self.points.count - n))
        for part, derivatives in self.parts(backwards=True):
            steps, inner, maps, nodes = self._maps(part, derivatives, rows)
            arriving = np.zeros((len(part), count, n))
            own = np.transpose(g[:, nodes], (1, 0, 2)) * rows.states[nodes, None, None]
            np.add.at(arriving, rows.nodes[nodes] - part.start, own)
            own = np.transpose(g[:, inner], (1, 0, 2))
            np.add.at(arriving, rows.nodes[inner] - part.start, own @ maps[..., :n])
            closed += np.sum(own @ maps[..., n:], axis=0)
            adjoints = np.empty((len(part), count, n))
            by_state = np.ascontiguousarray(steps[..., :n])
            for m in reversed(range(len(part))):
                adjoints[m] = adjoint
                adjoint = arriving[m] + adjoint @ by_state[m]
            closed += np.sum(adjoints @ steps[..., n:], axis=0)
        return adjoint, closed


def followed(steps: Any, start: Any, along: Any) -> Any:
    """Return the tangents of the states between steps, (steps + 1, count, n), which are maps of all to the next state."""
    n = start.shape[1]
    by_state = np.ascontiguousarray(np.transpose(steps[..., :n], (0, 2, 1)))
    forced = along @ np.transpose(steps[..., n:], (0, 2, 1))
    found = np.empty((len(steps) + 1, *start.shape))
    found[0] = start
    for m in range(len(steps)):
        found[m + 1] = found[m] @ by_state[m] + forced[m]
    return found


# --------------------------------------------------------------------------------------------------
# the row


class _Steps(General):
    """The steps of a solver: what is asked of them, by the state at the start and what the right-hand side closes over."""

    def __init__(self) -> None:
        super().__init__("the steps of solve_ivp", lambda *q, path: path.value(q), self._pushed, lambda *_: ())

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        return False, (True,) * len(active)

    def _pushed(self, sweep: Sweep, tangents: Sequence[Any], out: Any, *operands: Any, path: Path) -> Any:
        lead = sweep.lead
        if path.check is not None:
            path.check([t is not None and (type(t) in TRACED or bool(np.any(t))) for t in tangents])
        if _is_plain(tangents) and path.linear is not None and path.is_as_taken(operands):
            count = size_of(lead)
            parts = [
                np.zeros((count, size_of(shape_of(x)))) if t is None else np.reshape(t, (count, -1))
                for t, x in zip(tangents, operands, strict=True)
            ]
            along = np.concatenate([np.zeros((count, 0)), *parts[1:]], axis=1)
            return np.reshape(path.linear.pushed(parts[0], along, path.rows), lead + shape_of(out))
        problem = path.problem(operands, [t is not None for t in tangents])
        (value,), (found,) = run_duals(problem, [t for t in tangents if t is not None], lead)
        return np.zeros(lead + shape_of(value), dtype_of(value)) if found is None else found

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        path, lead = params["path"], sweep.lead
        active = [i is not None and i >= 0 for i in ins]
        if path.check is not None:
            path.check(active)
        if _is_plain([g]) and path.linear is not None and path.is_as_taken(args):
            start, closed = path.linear.pulled(np.reshape(g, (size_of(lead), *shape_of(g)[len(lead) :])), path.rows)
            cuts = np.cumsum([0, *[size_of(shape_of(x)) for x in args[1:]]]).tolist()
            parts = [start, *[closed[:, i:j] for i, j in itertools.pairwise(cuts)]]
            return [np.reshape(c, lead + shape_of(x)) if on else None for c, x, on in zip(parts, args, active)]
        problem = path.problem(args, active)
        tape, _ = record(problem)
        seeds = [(s, g) for s in tape.outputs if s >= 0]
        found = iter(pull_rows(problem, tape, seeds, lead) if seeds else [None] * len(problem.inputs))
        return [next(found) if on else None for on in active]


def _is_plain(values: Sequence[Any]) -> bool:
    return all(v is None or type(v) in (float, np.float64, np.ndarray) for v in values)


STEPS = _Steps()


# --------------------------------------------------------------------------------------------------
# between the steps


class Piece(DenseOutput):
    """The interpolant of one step, of differentiated values.

    Parameters
    ----------
    t_old, t : float
        The ends of the step.
    found : array
        What was asked of the steps: the state at the step's start in row ``first``, then the interpolant's coefficients.
    """

    def __init__(self, t_old: float, t: float, found: Any, first: int, interpolant: Interpolant) -> None:
        super().__init__(t_old, t)
        self._found, self._first, self._interpolant = found, first, interpolant

    def __call__(self, t: Any) -> Any:
        """Return the solution at a time, (n,), or at several, (n, number of times)."""
        return np.transpose(self.rows(t))

    def rows(self, t: Any) -> Any:
        """Return the solution at a time, or at several, one in a row."""
        x = (t - self.t_old) / ((self.t - self.t_old) or 1.0)
        count = len(self._interpolant.rising)
        own = self._found[self._first : self._first + 1 + count]
        return self._interpolant(x, own[1:]) + own[0]


def with_interior(taken: Taken) -> Taken:
    """Return the same steps with all slopes that the solution within them needs."""
    scheme = taken.scheme
    if not isinstance(scheme, Explicit) or scheme.dense:
        return taken
    scheme = replace(scheme, dense=True)
    A, C, _ = scheme.table
    slopes, given = taken.slopes, taken.given
    if slopes is not None and slopes.shape[1] < len(C):
        h = np.diff(taken.times)[:, None, None]
        f = given.with_inside(taken.inside)
        for i in range(slopes.shape[1], len(C)):
            at = taken.states[:-1] + (h * np.tensordot(slopes, A[i, :i], (1, 0))[:, None])[:, 0]
            moments = (taken.times[:-1] + C[i] * h[:, 0, 0]).tolist()
            new = np.array([np.asarray(slope(f, t, y)) for t, y in zip(moments, at)]).reshape(at.shape)
            slopes = np.concatenate([slopes, new[:, None]], axis=1)
    return replace(taken, scheme=scheme, slopes=slopes, linear=[])


def solved(
    taken: Taken,
    y0: Any,
    wanted: Any,
    dense: bool,
    checkpoints: int | None,
    check: Callable[[Sequence[bool]], None] | None = None,
) -> tuple[Any, list[Piece]]:
    """Return the states at the times wanted, one in a row, and if they are dense the interpolants of the steps."""
    times = taken.times
    length = len(times) - 1
    direction = 1.0 if times[-1] >= times[0] else -1.0
    ends = direction * times
    # In which step: a node belongs to itself, and what lies beyond the last one to the step before it.
    nodes = np.clip(np.searchsorted(ends, direction * wanted, side="right") - 1, 0, length)
    inner = wanted != times[nodes]
    nodes = np.where(inner, np.minimum(nodes, max(length - 1, 0)), nodes)
    if dense or np.any(inner):
        taken = with_interior(taken)
    stages, interpolant = len(taken.scheme.table[2]), taken.scheme.interpolant
    weights = np.zeros((len(wanted), stages))
    if np.any(inner) and length:
        at = nodes[inner]
        weights[inner] = interpolant((wanted[inner] - times[at]) / (times[at + 1] - times[at]))
    parts = [Rows(nodes, np.ones(len(nodes)), weights)]
    if dense:
        count = 1 + len(interpolant.rising)
        own = np.zeros((count, stages))
        own[1:] = interpolant.coefficients
        parts.append(
            Rows(
                np.repeat(np.arange(length), count),
                np.tile(np.eye(1, count)[0], length),
                np.tile(own, (length, 1)),
            )
        )
    rows = Rows(*[np.concatenate([getattr(p, k) for p in parts]) for k in ("nodes", "states", "weights")])
    found = Path(taken, rows, checkpoints, check).at(y0)
    pieces = []
    if dense:
        pieces = [
            Piece(t, t_new, found, len(wanted) + m * count, interpolant)
            for m, (t, t_new) in enumerate(zip(times.tolist(), times[1:].tolist()))
        ]
    return found[: len(wanted)], pieces


__all__ = ["Linear", "Path", "Piece", "Rows", "Taken", "followed", "is_small", "solved", "with_interior"]
