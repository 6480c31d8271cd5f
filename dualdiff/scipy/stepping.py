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

from dualdiff.custom import primitive
from dualdiff.errors import DerivativeError, where
from dualdiff.scipy.systems import Given, slope
from dualdiff.shapes import shape_of

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
        x = (t - self.t_old) / (self.t - self.t_old)
        if shape_of(x):
            x = np.reshape(x, (-1, 1))
        y: Any = 0.0
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
        self.collocated: Any = primitive(self._solve, jvp=self._push)
        self.collocated.trusted = True  # it is no rule of the user's

    def step(self, t: float, t_new: float, y: Any, _: Any) -> Step:
        """Take a step."""
        found = self.collocated(y, *self.given.inside, t=t, h=t_new - t)

        def coefficients() -> tuple[list[Any], list[bool]]:
            return list(_POWERS @ (found - y)), [True] * 3

        return Step(t, t_new, y, found[-1], None, coefficients)

    def _solve(self, y: Any, *inside: Any, t: float, h: float) -> Any:
        """Return the states at the nodes, in plain numbers."""
        f = self.given.on_plain(self.given.with_inside(inside))
        times = t + NODES * h
        found = np.array([self.guess(s) for s in times]) + (y - self.guess(t))
        matrix, before = None, np.inf
        for _ in range(20):
            slopes = np.stack([np.asarray(slope(f, s, z)) for s, z in zip(times, found, strict=True)])
            if matrix is None:
                matrix = self._matrix(times, found, inside, h)
            change = np.linalg.solve(matrix, np.ravel(y + h * (WEIGHTS @ slopes) - found)).reshape(found.shape)
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

    def _matrix(self, times: Any, states: Any, inside: Sequence[Any], h: Any) -> Any:
        """Return the matrix of the linearised equations of one step."""
        n = shape_of(states)[1]
        none = [None] * len(inside)
        slopes = [self.given.pushed((s, z), inside, (None, np.eye(n), *none), (n,))[1] for s, z in zip(times, states)]
        blocks = np.stack(slopes)[None] * (-h * WEIGHTS)[:, :, None, None]  # of node i, by node j, the unknown, the equation
        return np.eye(3 * n) + np.reshape(np.transpose(blocks, (0, 3, 1, 2)), (3 * n, 3 * n))

    def _push(self, primals: Any, tangents: Any, out: Any, *, t: float, h: float) -> Any:
        inside = primals[1:]
        times = t + NODES * h
        right = np.zeros_like(out) + tangents[0]
        if inside:
            slopes = [
                self.given.pushed((s, z), inside, (None, None, *tangents[1:]), ())[1] for s, z in zip(times, out)
            ]
            right = right + h * (WEIGHTS @ np.stack(slopes))
        found = np.linalg.solve(self._matrix(times, out, inside, h), np.reshape(right, (-1,)))
        return np.reshape(found, shape_of(out))


__all__ = ["NODES", "WEIGHTS", "Explicit", "Implicit", "Piece", "Step", "combined", "moved"]
