r"""The steps of a solver carried out again on differentiated values, their lengths being given.

An explicit step is the formula of the method itself, in NumPy. An implicit one solves the equations of collocation,
:math:`Z_i = y + h\sum_j a_{ij} f(t + c_j h, Z_j)`, in plain numbers; its derivative follows from the implicit function theorem,

.. math:: (I - h A \otimes J)\,\dot Z = 1 \otimes \dot y + h (A \otimes I)\,(f_p\,\dot p).

Either says of a step how the state moves, in a few slopes: the state at its end, and between its ends, is that at its start and a
combination of them. So is its derivative of theirs, which are found for all steps at a time where the system is small.

References
----------
Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I*, 2nd ed., Springer 1993, sections II.4 to II.6,
doi:10.1007/978-3-540-78862-1; Hairer & Wanner, *II*, 2nd ed., Springer 1996, section IV.8, doi:10.1007/978-3-642-05221-7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.integrate import DOP853, RK45

from dualdiff.errors import DerivativeError, where
from dualdiff.kinds import General
from dualdiff.scipy.points import Points
from dualdiff.scipy.systems import Given, slope
from dualdiff.shapes import shape_of
from dualdiff.values import bind

_ROOT = 6**0.5
NODES = np.array([(4 - _ROOT) / 10, (4 + _ROOT) / 10, 1.0])
"""Where the method of Radau (IIA, order 5) collocates in a step of length one."""
WEIGHTS = np.linalg.solve(
    np.vander(NODES, increasing=True).T, np.array([NODES**k / k for k in (1, 2, 3)])
).T  # exact for polynomials up to degree two
_POWERS = np.linalg.inv(NODES[:, None] ** np.arange(1, 4))


@dataclass(frozen=True, slots=True, eq=False)
class Interpolant:
    """The solution within a step, as h times a polynomial of the place x in it whose coefficients are combinations of the slopes.

    Attributes
    ----------
    coefficients : array
        One in a row, by slopes; the last one first is followed by a factor.
    rising : sequence of bool
        By which of x and 1 - x each is followed.
    """

    coefficients: Any
    rising: Sequence[bool]

    def __call__(self, x: Any, coefficients: Any = None) -> Any:
        """Return the polynomial at places: by default the weights of the slopes there, one place in a row."""
        given = self.coefficients if coefficients is None else coefficients
        x = np.reshape(x, (-1, 1)) if shape_of(x) else x
        found: Any = 0.0 * x  # of the places' shape also where there is no coefficient
        for k in reversed(range(len(self.rising))):
            found = (found + given[k]) * (x if self.rising[k] else 1 - x)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Explicit:
    """The steps of an explicit method of SciPy.

    Attributes
    ----------
    given : Given
        The right-hand side, a function of ``(t, y)``.
    method : type
        SciPy's class.
    dense : bool
        Whether the solution within the steps is wanted, for which some methods take further slopes.
    f : callable
        The right-hand side with whatever it closes over.
    """

    given: Given
    method: Any
    dense: bool = False
    f: Any = None

    def on(self, inside: Sequence[Any]) -> Explicit:
        """Return the same steps with other values in the place of those that the right-hand side closes over."""
        return replace(self, f=self.given.with_inside(inside))

    @property
    def table(self) -> tuple[Any, Any, Any]:
        """The weights by which each slope's state follows from the slopes before, their times, and the weights of the last state."""
        m, s = self.method, self.method.n_stages
        further = m.A_EXTRA if self._further else np.zeros((0, 0))
        count = s + 1 + len(further)
        A = np.zeros((count, count))
        A[:s, : m.A.shape[1]] = m.A
        A[s, :s] = m.B
        A[s + 1 :, : further.shape[1]] = further
        C = np.concatenate([m.C, [1.0], m.C_EXTRA if self._further else []])
        return A, C, A[s]

    @property
    def _further(self) -> bool:
        return self.dense and issubclass(self.method, DOP853)

    @property
    def interpolant(self) -> Interpolant:
        """The solution within a step."""
        if not issubclass(self.method, DOP853):
            found = np.transpose(self.method.P)
            return Interpolant(found, [True] * len(found))
        _, _, B = self.table
        first, last = np.eye(len(B))[[0, self.method.n_stages]]
        rows = [B, first - B, 2 * B - (last + first), *self.method.D] if self._further else []
        return Interpolant(np.array(rows), [k % 2 == 0 for k in range(len(rows))])

    def step(self, t: Any, h: Any, y: Any, first: Any = None) -> tuple[Any, Any, list[Any]]:
        """Return the state at the end of a step, the slope there, and the slopes within it."""
        s = self.method.n_stages
        A, C, B = self.table
        slopes = [slope(self.f, t, y) if first is None else first]
        y_new = y
        for i in range(1, len(B)):
            at = y + (A[i, :i] @ np.stack(slopes)) * h
            y_new = at if i == s else y_new
            slopes.append(slope(self.f, t + C[i] * h, at))
        return y_new, slopes[s], slopes

    def derivatives(self, points: Points, times: Any, states: Any, slopes: Any) -> Any:
        """Return the derivatives of all slopes by the states before and what is closed over; None where they are not those seen.

        Parameters
        ----------
        points : Points
            The right-hand side.
        times, states, slopes : array
            Where the steps begin and end, the states where they begin, (steps, n), and the slopes, (steps, stages, n).
        """
        A, C, _ = self.table
        h = np.diff(times)[:, None, None]
        steps, stages, n = slopes.shape
        at = states[:, None] + h * (A @ slopes)
        moments = times[:-1, None] + C * h[:, 0]
        found, by_all = points.at({0: moments.ravel(), 1: at.reshape(-1, n)})
        if not np.allclose(
            found.reshape(slopes.shape), slopes, rtol=1e-7, atol=1e-9 * np.max(np.abs(slopes), initial=0)
        ):
            return None
        by_all = by_all.reshape(steps, stages, n, -1)
        moved = np.zeros((steps, stages, n, by_all.shape[-1]))
        start = np.eye(n, by_all.shape[-1])
        for i in range(stages):
            state = start + h * np.tensordot(moved[:, :i], A[i, :i], (1, 0)) if i else start
            moved[:, i] = by_all[:, i, :, :n] @ state
            moved[:, i, :, n:] += by_all[:, i, :, n:]
        return moved


def moved(f: Callable[..., Any], t: float, y: Any, by: Any) -> Any:
    """Return the state a differentiated time ``by`` later, whose value is zero: right to the fifth derivative by times."""
    slopes = [slope(f, t, y)]
    for a, c in zip(RK45.A[1:], RK45.C[1:], strict=True):
        slopes.append(slope(f, t + c * by, y + (a[: len(slopes)] @ np.stack(slopes)) * by))
    return y + by * (RK45.B @ np.stack(slopes))


class Implicit:
    """Steps of the method of Radau, each differentiated by the implicit function theorem.

    Parameters
    ----------
    given : Given
        The right-hand side, a function of ``(t, y)``.
    guess : callable
        A plain solution of time, from which the iteration starts.
    tolerance : float
        How well a step has to be solved at the least, relative to the solution.
    """

    interpolant = Interpolant(_POWERS, (True, True, True))
    table = WEIGHTS, NODES, np.array([0.0, 0.0, 1.0])

    def __init__(self, given: Given, guess: Callable[[Any], Any], tolerance: float) -> None:
        self.given, self.guess, self.tolerance = given, guess, tolerance
        self.inside: Sequence[Any] = given.inside
        self._solved: dict[tuple[float, float], tuple[list[Any], Any]] = {}

    def on(self, inside: Sequence[Any]) -> Implicit:
        """Return the same steps with other values in the place of those that the right-hand side closes over."""
        other = Implicit(self.given, self.guess, self.tolerance)
        other.inside, other._solved = inside, self._solved
        return other

    def step(self, t: float, h: float, y: Any, _: Any = None) -> tuple[Any, Any, Any]:
        """Return the state at the end of a step, and by h how far those at its nodes are from its start."""
        found = bind(COLLOCATION, (y, *self.inside), {"scheme": self, "t": t, "h": h})
        return found[-1], None, (found - y) / h

    def solution(self, points: Points, times: Any, y0: Any) -> tuple[Any, Any] | None:
        """Return the states between steps, and those at the nodes within: all equations at a time, by Newton's method.

        None where the iteration does not end.
        """
        h = np.diff(times)[:, None, None]
        steps, n = len(h), len(y0)
        moments = times[:-1, None] + NODES * h[:, 0]
        states = np.transpose(self.guess(times))
        inner = np.transpose(self.guess(moments.ravel())).reshape(steps, 3, n)
        size, before = np.max(np.abs(states), axis=0) + 1e-300, np.inf
        states[0] = y0
        unit = np.tile(np.eye(n), (steps, 3, 1))
        for _ in range(12):
            slopes, by_all = points.at({0: moments.ravel(), 1: inner.reshape(-1, n)})
            left = states[:-1, None] + h * (WEIGHTS @ slopes.reshape(inner.shape)) - inner
            matrix = _matrices(by_all[:, :, :n].reshape(steps, 3, n, n), h)
            change = np.linalg.solve(matrix, np.concatenate([left.reshape(steps, 3 * n, 1), unit], axis=2))
            change = change.reshape(steps, 3, n, n + 1)
            shift = np.zeros_like(states)
            for m, (c, by) in enumerate(zip(change[:, 2, :, 0], change[:, 2, :, 1:], strict=True)):
                shift[m + 1] = c + by @ shift[m]
            step = change[..., 0] + np.squeeze(change[..., 1:] @ shift[:-1, None, :, None], -1)
            inner, states = inner + step, states + shift
            states[1:] = inner[:, 2]
            moved = float(np.max(np.abs(step) / size, initial=0.0))
            if not moved > 4e-15 or (moved >= 0.5 * before and moved < 1e-6 * self.tolerance):
                return (states, inner) if np.isfinite(moved) else None
            before = moved
        return (states, inner) if before < self.tolerance else None

    def derivatives(self, points: Points, times: Any, states: Any, slopes: Any) -> Any:
        """Return the derivatives of all that :meth:`step` says of the steps, by the states before and what is closed over."""
        h = np.diff(times)[:, None, None]
        steps, _, n = slopes.shape
        inner = states[:, None] + h * slopes
        moments = times[:-1, None] + NODES * h[:, 0]
        _, by_all = points.at({0: moments.ravel(), 1: inner.reshape(-1, n)})
        by_all = by_all.reshape(steps, 3, n, -1)
        start = np.eye(n, by_all.shape[-1])
        right = np.tile(start, (steps, 3, 1, 1))
        right[..., n:] += h[..., None] * np.moveaxis(np.tensordot(WEIGHTS, by_all[..., n:], (1, 1)), 0, 1)
        found = np.linalg.solve(_matrices(by_all[..., :n], h), right.reshape(steps, 3 * n, -1))
        return (found.reshape(right.shape) - start) / h[..., None]

    def solved(self, y: Any, inside: Sequence[Any], t: float, h: float) -> Any:
        """Return the states at the nodes, in plain numbers."""
        operands, found = self._solved.get((t, h), ([], None))
        if found is None or not all(map(np.array_equal, operands, (y, *inside))):
            found = self._solve(y, inside, t, h)
            self._solved[t, h] = [np.copy(x) for x in (y, *inside)], found
        return found.copy()

    def _solve(self, y: Any, inside: Sequence[Any], t: float, h: float) -> Any:
        f = self.given.on_plain(self.given.with_inside(inside))
        times = t + NODES * h
        found = np.array([self.guess(s) for s in times]) + (y - self.guess(t))
        matrix, before = None, np.inf
        for _ in range(20):
            slopes = np.stack([np.asarray(slope(f, s, z)) for s, z in zip(times, found, strict=True)])
            if matrix is None:
                matrix = np.linalg.inv(_matrix(self.linearised(found, inside, t, h)[0], h))
            change = (matrix @ np.ravel(y + h * (WEIGHTS @ slopes) - found)).reshape(found.shape)
            found = found + change
            size = float(np.max(np.abs(change) / (np.max(np.abs(found), axis=0) + 1e-300), initial=0.0))
            if not size > 4e-15 or (size >= 0.5 * before and size < 1e-6 * self.tolerance):
                return found
            if size > 0.1 * before:
                matrix = None
            before = size
        if size < self.tolerance:
            return found
        raise DerivativeError(
            f"{where()}: the steps of {self.given.name} could not be solved again for their derivative near t = {t:.6g}; the right-hand "
            "side may have a jump there. Integrate from jump to jump."
        )

    def linearised(
        self, states: Any, inside: Sequence[Any], t: float, h: float, tangents: Sequence[Any] = (), count: int = 0
    ) -> tuple[Any, Any]:
        """Return the derivatives of the slopes at the nodes.

        By the state first, (3, n, n), and along ``count`` directions of what is closed over, (3, count, n).
        """
        n = shape_of(states)[1]
        along: list[Any] = [None] * len(inside)
        for k, v in enumerate(tangents):
            if v is not None:
                along[k] = np.concatenate([np.zeros((n, *shape_of(v)[1:])), v])
        units = np.eye(n + count, n)
        found = [
            self.given.pushed((s, z), inside, (None, units, *along), (n + count,))[1]
            for s, z in zip(t + NODES * h, states)
        ]
        both = np.reshape(np.stack(found), (len(found), n + count, n))
        return both[:, :n], both[:, n:]


def _matrix(derivatives: Any, h: float) -> Any:
    """Return the matrix of the linearised equations of one step, from the derivatives of the slopes by the state first."""
    n = shape_of(derivatives)[1]
    blocks = derivatives[None] * (-h * WEIGHTS)[:, :, None, None]  # of node i, by node j, by the unknown, of the slope
    return np.eye(3 * n) + np.reshape(np.transpose(blocks, (0, 3, 1, 2)), (3 * n, 3 * n))


def _matrices(derivatives: Any, h: Any) -> Any:
    """Return the matrices of all steps, from the derivatives of the slopes by the state, (steps, 3, n, n)."""
    steps, _, n, _ = derivatives.shape
    blocks = np.einsum("ij,mjuv->miujv", WEIGHTS, derivatives).reshape(steps, 3 * n, 3 * n)
    return np.eye(3 * n) - h * blocks


def _value(y: Any, *inside: Any, scheme: Implicit, t: float, h: float) -> Any:
    return scheme.solved(y, inside, t, h)


def pushed(
    start: Any,
    tangents: Sequence[Any],
    count: int,
    states: Any,
    inside: Sequence[Any],
    scheme: Implicit,
    t: float,
    h: float,
) -> tuple[Any, Any, Any]:
    """Return the tangents of the states at the nodes, (count, 3, n), and at the last one their slopes, and the state's derivative."""
    n = shape_of(states)[1]
    by_state, forced = scheme.linearised(states, inside, t, h, tangents, count)
    right = np.transpose(h * np.tensordot(WEIGHTS, forced, 1), (1, 0, 2))
    if start is not None:
        right = right + np.reshape(start, (count, 1, n))
    flat = np.transpose(np.reshape(right, (count, 3 * n)))
    found = np.reshape(np.transpose(np.linalg.solve(_matrix(by_state, h), flat)), (count, 3, n))
    return found, found[:, -1] @ by_state[-1] + forced[-1], by_state[-1]


def _push(
    sweep: Any, tangents: Sequence[Any], out: Any, y: Any, *inside: Any, scheme: Implicit, t: float, h: float
) -> Any:
    count = sweep.lead[0] if sweep.lead else 1
    if not sweep.lead:
        tangents = [None if v is None else np.reshape(v, (1, *shape_of(v))) for v in tangents]
    found, _, _ = pushed(tangents[0], tangents[1:], count, out, inside, scheme, t, h)
    return found if sweep.lead else found[0]


def _pull(sweep: Any, g: Any, out: Any, y: Any, *inside: Any, scheme: Implicit, t: float, h: float) -> list[Any]:
    n, lead = shape_of(y)[0], sweep.lead
    count = lead[0] if lead else 1
    runs = [scheme.given.recorded((s, z), inside) for s, z in zip(t + NODES * h, out)]
    by_state = np.stack([np.transpose(run(np.eye(n), (n,))[1]) for run in runs])
    flat = np.transpose(np.reshape(g, (count, 3 * n)))
    found = np.transpose(np.linalg.solve(np.transpose(_matrix(by_state, h)), flat))
    covectors = np.reshape(found, (*lead, 3, n))
    weighed = h * (np.transpose(WEIGHTS) @ covectors)
    results: list[Any] = [np.sum(covectors, axis=-2), *[None] * len(inside)]
    if inside:
        for i, run in enumerate(runs):
            for k, c in enumerate(run(weighed[..., i, :], lead)[2:], start=1):
                results[k] = c if results[k] is None else results[k] if c is None else results[k] + c
    return results


COLLOCATION = General("a step of the method of Radau", _value, _push, _pull)


__all__ = ["NODES", "WEIGHTS", "Explicit", "Implicit", "Interpolant", "moved", "pushed"]
