r"""Which steps to carry out again for a derivative.

A solver chooses its steps for the state. The sensitivities :math:`s = \partial y/\partial p\cdot v` obey
:math:`\dot s = f_y s + f_p v`, and may need shorter ones: at an equilibrium the state stands still, and they do not. So they are
carried along in a few directions, in plain numbers, and looked at with the solver's own estimate of its error.

References
----------
Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I*, 2nd ed., Springer 1993, section II.4,
doi:10.1007/978-3-540-78862-1. Feehery, Tolsma & Barton, Efficient sensitivity analysis of large-scale differential-algebraic
systems, *Appl. Numer. Math.* 25 (1997), doi:10.1016/S0168-9274(97)00050-0 (one factorisation for all directions).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.integrate import OdeSolution, Radau

from dualdiff.errors import DerivativeError, where
from dualdiff.scipy.stepping import Explicit
from dualdiff.scipy.systems import Given, slope, uncaptured
from dualdiff.shapes import shape_of
from dualdiff.values import raw

MOST = 6
"""How many directions are carried along."""
LENIENT = 10.0
"""How often the tolerance an estimated error of a sensitivity may be until the steps are chosen anew."""


class Sensitivities:
    """The equation of the state and of its sensitivities in a few directions: a plain function of ``(t, (y, s))``.

    The directions are one for the state at the start and one for each value the right-hand side closes over, of the size of
    these values.
    """

    def __init__(self, given: Given, y0: Any, scale: Any = None) -> None:
        self.given, self.n = given, len(y0)
        self.inside = [raw(x) for x in given.inside]
        random = np.random.default_rng(0)
        count = min(MOST, 1 + len(self.inside))
        directions = []
        for k, x in enumerate([y0, *self.inside]):
            v = np.zeros((count, *shape_of(x)), np.result_type(x, np.float64))
            v[k % count] = random.uniform(0.5, 1.5, shape_of(x)) * np.where(np.equal(x, 0), 1.0, x)
            directions.append(v)
        self.count = count
        self.along = directions[1:]
        self.start = np.concatenate([y0, directions[0].ravel()])

    def __call__(self, t: float, both: Any) -> Any:
        """Return the slopes of both."""
        y, s = both[: self.n], both[self.n :].reshape(self.count, self.n)
        f, tangent = self.given.pushed((t, y), self.inside, (None, s, *self.along), (self.count,))
        return np.concatenate([np.broadcast_to(f, (self.n,)), np.broadcast_to(tangent.reshape(self.count, -1), s.shape).ravel()])

    def jacobian(self, t: float, both: Any) -> Any:
        """Return the derivative of the slope by the state, which stands in all directions."""
        none = [None] * len(self.inside)
        _, tangent = self.given.pushed((t, both[: self.n]), self.inside, (None, np.eye(self.n), *none), (self.n,))
        return np.transpose(np.broadcast_to(tangent.reshape(self.n, -1), (self.n, self.n)))


class Staggered(Radau):
    """The method of Radau for a state and its sensitivities: one factorisation, of the state's own size, for all of them."""

    def __init__(self, fun: Sensitivities, t0: float, y0: Any, t_bound: float, **options: Any) -> None:
        self._equation = fun
        super().__init__(fun, t0, y0, t_bound, jac=fun.jacobian, **options)
        self.I = np.identity(fun.n)
        self.lu, self.solve_lu = np.linalg.inv, lambda inverse, b: (b.reshape(-1, fun.n) @ inverse.T).ravel()

    def _validate_jac(self, jac: Any, sparsity: Any) -> Any:
        def counted(t: float, y: Any, _: Any = None) -> Any:
            self.njev += 1
            return jac(t, y)

        return counted, jac(self.t, self.y)


def taken(
    method: Any, f: Any, bounds: Sequence[float], y0: Any, most: float = np.inf, pieces: list[Any] | None = None, **options: Any
) -> list[float]:
    """Solve an equation from bound to bound; return the times of the steps.

    They end early where the solver fails, or has taken more evaluations than ``most``.
    """
    times, done = [bounds[0]], 0
    for t, t_new in zip(bounds, bounds[1:]):
        solver = method(f, t, y0, t_new, **options)
        while solver.status == "running":
            solver.step()
            if solver.status == "failed" or done + solver.nfev > most:
                return times
            times.append(float(solver.t))
            if pieces is not None:
                pieces.append(solver.dense_output())
        y0, done = solver.y, done + solver.nfev
    return times


def suffice(given: Given, method: Any, times: Sequence[float], y0: Any, rtol: Any, atol: Any) -> bool:
    """Whether the steps taken for the state do for the sensitivities, by the method's own estimate of the error."""
    equation = Sensitivities(given, y0)
    n = equation.n

    def carried_out(y: Any, *inside: Any) -> Any:
        scheme = Explicit(given.with_inside(inside), method)
        states, slopes, f = [], [], None
        for t, t_new in zip(times, times[1:]):
            y, within = scheme.stages(t, y, t_new - t, f)
            f = slope(scheme.f, t_new, y)
            states.append(y)
            slopes.append(np.stack([*within, f]))
        return np.concatenate([np.ravel(np.stack(states)), np.ravel(np.stack(slopes))])

    _, both = given.pushed(
        (y0,), equation.inside, (equation.start[n:].reshape(-1, n), *equation.along), (equation.count,), carried_out
    )
    count = len(times) - 1
    states, slopes = np.split(both, [count * n], axis=1)
    if not np.all(np.isfinite(both)):
        return False
    size = np.max(np.abs(states.reshape(-1, count, n)), axis=1)
    scale = np.broadcast_to(atol, (n,)) + rtol * size
    estimator = object.__new__(method)
    return all(
        estimator._estimate_error_norm(within, h, each) <= LENIENT
        for along, each in zip(slopes.reshape(-1, count, method.n_stages + 1, n), scale, strict=True)
        for within, h in zip(along, np.diff(times), strict=True)
    )


def explicit(
    given: Given, method: Any, bounds: Sequence[float], y0: Any, rtol: Any, atol: Any, max_step: float, most: float = np.inf
) -> list[float] | None:
    """Return the times of the steps that an explicit method takes for the state, and if need be for its sensitivities.

    None if it would take more evaluations than ``most``.
    """
    times = uncaptured(taken, method, given.plain, bounds, y0, most, rtol=rtol, atol=atol, max_step=max_step)
    if times[-1] != bounds[-1]:
        return None
    return times if suffice(given, method, times, y0, rtol, atol) else refined(
        given, method, bounds, y0, rtol, atol, max_step, most
    )


def refined(
    given: Given, method: Any, bounds: Sequence[float], y0: Any, rtol: Any, atol: Any, max_step: float, most: float = np.inf
) -> list[float] | None:
    """Return the times of the steps that an explicit method takes for the state and its sensitivities, None if it cannot."""
    equation = Sensitivities(given, y0)
    times = taken(method, equation, bounds, equation.start, most, **_tolerances(equation, rtol, atol, max_step))
    return times if times[-1] == bounds[-1] else None


def implicit(
    given: Given, bounds: Sequence[float], y0: Any, rtol: Any, atol: Any, max_step: float
) -> tuple[list[float], Callable[[Any], Any]]:
    """Return the times of the steps that the method of Radau takes for the state and its sensitivities, and the plain solution."""
    equation = Sensitivities(given, y0)
    pieces: list[Any] = []
    times = taken(
        Staggered, equation, bounds, equation.start, pieces=pieces, **_tolerances(equation, rtol, atol, max_step)
    )
    if times[-1] != bounds[-1]:
        raise DerivativeError(
            f"{where()}: the sensitivities of {given.name} could not be integrated beyond t = {times[-1]:.6g}, where their steps become "
            "too short: the right-hand side may have a jump there, or a derivative that is not finite."
        )
    solution = OdeSolution(times, pieces)
    return times, lambda t: solution(t)[: equation.n]


def _tolerances(equation: Sensitivities, rtol: Any, atol: Any, max_step: float) -> dict[str, Any]:
    each = np.tile(np.broadcast_to(atol, (equation.n,)), 1 + equation.count)
    rtol = np.tile(rtol, 1 + equation.count) if np.ndim(rtol) else rtol
    return {"rtol": rtol, "atol": each, "max_step": max_step}


__all__ = ["Sensitivities", "Staggered", "explicit", "implicit", "refined", "suffice"]
