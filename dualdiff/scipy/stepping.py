r"""The steps of a solver carried out again on differentiated values, their lengths being given.

An explicit step is the formula of the method itself, in NumPy. An implicit one solves the equations of collocation,
:math:`Z_i = y + h\sum_j a_{ij} f(t + c_j h, Z_j)`, in plain numbers; its derivative follows from the implicit function theorem,

.. math:: (I - h A \otimes J)\,\dot Z = 1 \otimes \dot y + h (A \otimes I)\,(f_p\,\dot p).

References
----------
Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I*, 2nd ed., Springer 1993, sections II.4 to II.6,
doi:10.1007/978-3-540-78862-1; Hairer & Wanner, *II*, 2nd ed., Springer 1996, section IV.8, doi:10.1007/978-3-642-05221-7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import DOP853, RK45, DenseOutput

from dualdiff.errors import DerivativeError, where
from dualdiff.kinds import General
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
class Step:
    """One step, from ``t_old`` to ``t``, and how the solution between them is found."""

    t_old: float
    t: float
    y_old: Any
    y: Any
    #: the slope at its end, where the method knows it
    f: Any
    #: the coefficients of the interpolant, the constant first, and by which of x and 1 - x each but the last is followed
    coefficients: Callable[[], tuple[list[Any], list[bool]]]


class Piece(DenseOutput):
    """The interpolant of one step, of differentiated values."""

    def __init__(self, step: Step) -> None:
        super().__init__(step.t_old, step.t)
        self.y_old = step.y_old
        self._coefficients, self._rising = step.coefficients()

    def __call__(self, t: Any) -> Any:
        """Return the solution at a time, (n,), or at several, (n, number of times)."""
        return np.transpose(self.rows(t))

    def rows(self, t: Any) -> Any:
        """Return the solution at a time, or at several, one in a row."""
        x = (t - self.t_old) / ((self.t - self.t_old) or 1.0)
        if shape_of(x):
            x = np.reshape(x, (-1, 1))
        y: Any = 0.0 * x  # of the step's shape also where it has no length
        for c, rising in zip(reversed(self._coefficients), reversed(self._rising), strict=True):
            y = (y + c) * (x if rising else 1 - x)
        return y + self.y_old


class Explicit:
    """The steps of an explicit method of SciPy."""

    def __init__(self, f: Callable[..., Any], method: Any) -> None:
        self.f, self.method = f, method

    def stages(self, t: Any, y: Any, h: Any, first: Any = None) -> tuple[Any, list[Any]]:
        """Return the state at the end of a step, and the slopes within it."""
        method = self.method
        slopes = [slope(self.f, t, y) if first is None else first]
        for a, c in zip(method.A[1:], method.C[1:], strict=True):
            slopes.append(slope(self.f, t + c * h, y + combined(a, slopes) * h))
        return y + h * combined(method.B, slopes), slopes

    def step(self, t: Any, t_new: Any, y: Any, f: Any) -> Step:
        """Take a step."""
        h = t_new - t
        y_new, slopes = self.stages(t, y, h, f)
        slopes.append(slope(self.f, t_new, y_new))

        def coefficients() -> tuple[list[Any], list[bool]]:
            if issubclass(self.method, DOP853):
                return self._of_order_seven(t, h, y, y_new, slopes)
            found = np.transpose(self.method.P) @ np.stack(slopes) * h
            return list(found), [True] * len(self.method.P.T)

        return Step(t, t_new, y, y_new, slopes[-1], coefficients)

    def _of_order_seven(self, t: Any, h: Any, y: Any, y_new: Any, slopes: list[Any]) -> tuple[list[Any], list[bool]]:
        more = list(slopes)
        for a, c in zip(self.method.A_EXTRA, self.method.C_EXTRA, strict=True):
            more.append(slope(self.f, t + c * h, y + combined(a, more) * h))
        change = y_new - y
        first, last = h * slopes[0], h * slopes[-1]
        found = [change, first - change, 2 * change - (last + first), *(self.method.D @ np.stack(more) * h)]
        return found, [True, False] * 3 + [True]


def combined(weights: Any, slopes: Sequence[Any]) -> Any:
    """Return a linear combination of the slopes that are there."""
    return weights[: len(slopes)] @ np.stack(slopes)


def moved(f: Callable[..., Any], t: float, y: Any, by: Any) -> Any:
    """Return the state a differentiated time ``by`` later, whose value is zero: right to the fifth derivative by times."""
    return Explicit(f, RK45).stages(t, y, by)[0]


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

    def __init__(self, given: Given, guess: Callable[[Any], Any], tolerance: float) -> None:
        self.given, self.guess, self.tolerance = given, guess, tolerance
        self.inside: Sequence[Any] = given.inside
        self._solved: dict[tuple[float, float], tuple[Any, Any]] = {}

    def on(self, inside: Sequence[Any]) -> Implicit:
        """Return the same steps with other values in the place of those that the right-hand side closes over."""
        other = Implicit(self.given, self.guess, self.tolerance)
        other.inside, other._solved = inside, self._solved
        return other

    def step(self, t: float, t_new: float, y: Any, _: Any = None) -> Step:
        """Take a step."""
        found = bind(COLLOCATION, (y, *self.inside), {"scheme": self, "t": t, "h": t_new - t})

        def coefficients() -> tuple[list[Any], list[bool]]:
            return list(_POWERS @ (found - y)), [True] * 3

        return Step(t, t_new, y, found[-1], None, coefficients)

    def solved(self, y: Any, inside: Sequence[Any], t: float, h: float) -> Any:
        """Return the states at the nodes, in plain numbers."""
        start, found = self._solved.get((t, h), (None, None))
        if found is None or not np.array_equal(start, y):
            found = self._solve(y, inside, t, h)
            self._solved[t, h] = y, found
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


__all__ = ["NODES", "WEIGHTS", "Explicit", "Implicit", "Piece", "Step", "combined", "moved", "pushed"]
