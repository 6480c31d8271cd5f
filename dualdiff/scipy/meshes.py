r"""Which steps to carry out again for a derivative.

A solver chooses its steps for the state. The sensitivities :math:`s = \partial y/\partial p\cdot v` obey
:math:`\dot s = f_y s + f_p v`, and may need shorter ones: at an equilibrium the state stands still, and they do not. So they are
carried along in a few directions, in plain numbers, and looked at with the solver's own estimate of its error.

References
----------
Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I*, 2nd ed., Springer 1993, section II.4,
doi:10.1007/978-3-540-78862-1; Hairer & Wanner, *II*, 2nd ed., Springer 1996, section IV.8, doi:10.1007/978-3-642-05221-7.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.integrate import OdeSolution, Radau

from dualdiff.errors import DerivativeError, where
from dualdiff.scipy.stepping import Explicit, Implicit, pushed
from dualdiff.scipy.systems import Given, slope, uncaptured
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import raw

MOST = 6
"""How many directions are carried along."""
_AT_ONCE = 1 << 15
"""How many numbers are kept of them."""
_ROUNDS = 12
_ESTIMATE = np.array([-13 - 7 * 6**0.5, -13 + 7 * 6**0.5, -1]) / 3
_DAMPING = 3 + 3 ** (2 / 3) - 3 ** (1 / 3)
"""The estimate of the error of a step of Radau's method: its weights of the nodes, and the eigenvalue that damps it."""
LENIENT = 10.0
"""How many times the tolerance an estimated error of a sensitivity may be until the steps are chosen anew."""


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
        directions: list[Any] = []
        for k, x in enumerate([y0, *self.inside]):
            if dtype_of(x).kind not in "fc":  # which has no derivative
                directions.append(None)
                continue
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
        return np.concatenate(
            [np.broadcast_to(f, (self.n,)), np.broadcast_to(tangent.reshape(self.count, -1), s.shape).ravel()]
        )

    def jacobian(self, t: float, both: Any) -> Any:
        """Return the derivative of the slope by the state, which stands in all directions."""
        none = [None] * len(self.inside)
        _, tangent = self.given.pushed((t, both[: self.n]), self.inside, (None, np.eye(self.n), *none), (self.n,))
        return np.transpose(np.broadcast_to(tangent.reshape(self.n, -1), (self.n, self.n)))


def taken(
    method: Any,
    f: Any,
    bounds: Sequence[float],
    y0: Any,
    most: float = np.inf,
    pieces: list[Any] | None = None,
    **options: Any,
) -> list[float]:
    """Solve an equation from bound to bound; return the times of the steps.

    They end early where the solver fails, or has taken more evaluations than ``most``.
    """
    times, done = [bounds[0]], 0
    for t, t_new in itertools.pairwise(bounds):
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
    n, k, stages = equation.n, equation.count, method.n_stages + 1
    estimator = object.__new__(method)
    each = max(1, _AT_ONCE // (stages * n * k))
    y, s = y0, equation.start[n:].reshape(k, n)
    size = np.abs(s)
    for first in range(0, len(times) - 1, each):
        part = times[first : first + each + 1]

        def carried_out(y: Any, *inside: Any, part: Sequence[float] = part) -> Any:
            scheme = Explicit(given.with_inside(inside), method)
            states, slopes, f = [], [], None
            for t, t_new in itertools.pairwise(part):
                y, within = scheme.stages(t, y, t_new - t, f)
                f = slope(scheme.f, t_new, y)
                states.append(y)
                slopes.append(np.stack([*within, f]))
            return np.concatenate([np.ravel(np.stack(states)), np.ravel(np.stack(slopes))])

        values, both = given.pushed((y,), equation.inside, (s, *equation.along), (k,), carried_out)
        if not np.all(np.isfinite(both)):
            return False
        count = len(part) - 1
        states, slopes = np.split(both, [count * n], axis=1)
        states, slopes = states.reshape(-1, count, n), slopes.reshape(-1, count, stages, n)
        y, s = values[(count - 1) * n : count * n], np.broadcast_to(states[:, -1], (k, n))
        size = np.maximum(size, np.max(np.abs(states), axis=1))
        scale = np.broadcast_to(atol, (n,)) + rtol * size
        for along, allowed in zip(slopes, scale, strict=True):
            for within, h in zip(along, np.diff(part), strict=True):
                if not estimator._estimate_error_norm(within, h, allowed) <= LENIENT:
                    return False
    return True


def explicit(
    given: Given,
    method: Any,
    bounds: Sequence[float],
    y0: Any,
    rtol: Any,
    atol: Any,
    max_step: float,
    most: float = np.inf,
) -> list[float] | None:
    """Return the times of the steps that an explicit method takes for the state, and if need be for its sensitivities.

    None if it would take more evaluations than ``most``.
    """
    times = uncaptured(taken, method, given.plain, bounds, y0, most, rtol=rtol, atol=atol, max_step=max_step)
    if times[-1] != bounds[-1]:
        return None
    return (
        times
        if suffice(given, method, times, y0, rtol, atol)
        else refined(given, method, bounds, y0, rtol, atol, max_step, most)
    )


def refined(
    given: Given,
    method: Any,
    bounds: Sequence[float],
    y0: Any,
    rtol: Any,
    atol: Any,
    max_step: float,
    most: float = np.inf,
) -> list[float] | None:
    """Return the times of the steps that an explicit method takes for the state and its sensitivities, None if it cannot."""
    equation = Sensitivities(given, y0)
    times = taken(method, equation, bounds, equation.start, most, **_tolerances(equation, rtol, atol, max_step))
    return times if times[-1] == bounds[-1] else None


def implicit(
    given: Given, bounds: Sequence[float], y0: Any, wanted: Any, rtol: Any, atol: Any, max_step: float
) -> tuple[list[float], Implicit]:
    """Return the times of steps of the method of Radau that do for the state and its sensitivities, the wanted ones among them.

    They are SciPy's for the state; those in which a sensitivity is in error by too much are cut.
    """
    equation = Sensitivities(given, y0)
    pieces: list[Any] = []
    options = {"rtol": rtol, "atol": atol, "max_step": max_step, "jac": equation.jacobian}
    times = taken(Radau, given.plain, bounds, y0, pieces=pieces, **options)
    if times[-1] != bounds[-1]:
        raise _stuck(given, times[-1])
    scheme = Implicit(given, OdeSolution(times, pieces), float(np.min(rtol)))
    nodes = np.unique(np.concatenate([times, wanted]))
    nodes = nodes if bounds[-1] > bounds[0] else nodes[::-1]
    span = abs(bounds[-1] - bounds[0])
    keep = np.append(True, np.abs(np.diff(nodes)) > 1e-12 * span) | np.isin(nodes, [*wanted, *bounds])
    nodes = nodes[keep]
    for _ in range(_ROUNDS):
        parts = _cuts(scheme, equation, nodes, rtol, atol)
        parts[np.abs(np.diff(nodes)) < 1e-10 * span] = 1
        if np.all(parts == 1):
            return [float(t) for t in nodes], scheme
        pairs = zip(nodes, nodes[1:], parts, strict=False)
        nodes = np.append(
            np.concatenate([np.linspace(t, t_new, m, endpoint=False) for t, t_new, m in pairs]), nodes[-1]
        )
    raise _stuck(given, float(nodes[np.argmax(parts)]))


def _cuts(scheme: Implicit, equation: Sensitivities, nodes: Any, rtol: Any, atol: Any) -> Any:
    """Return into how many parts each step is to be cut: its error, of the third order, is to come below what is allowed."""
    n, k, inside = equation.n, equation.count, equation.inside
    y, s = equation.start[:n], equation.start[n:].reshape(k, n)
    _, slopes = equation.given.pushed((float(nodes[0]), y), inside, (None, s, *equation.along), (k,))
    slopes = np.reshape(np.broadcast_to(slopes, (k, *np.shape(slopes)[1:])), (k, -1))
    by_state = np.transpose(equation.jacobian(float(nodes[0]), y))
    errors, size = [], np.abs(s)
    for t, t_new in zip(nodes.tolist(), nodes[1:].tolist()):
        h = t_new - t
        states = scheme.solved(y, inside, t, h)
        tangents, slopes_after, by_state_after = pushed(s, equation.along, k, states, inside, scheme, t, h)
        right = slopes + np.tensordot(tangents - s[:, None], _ESTIMATE, (1, 0)) / h
        errors.append(right @ np.linalg.inv(_DAMPING / h * np.eye(n) - by_state))
        y, s, slopes, by_state = states[-1], tangents[:, -1], slopes_after, by_state_after
        size = np.maximum(size, np.abs(s))
    scale = LENIENT * (np.broadcast_to(atol, (n,)) + rtol * size)
    excess = np.array([np.max(np.sqrt(np.mean(np.abs(e / scale) ** 2, axis=1))) for e in errors])
    return np.clip(np.ceil(excess**0.25), 1, 8).astype(int)


def _stuck(given: Given, t: float) -> DerivativeError:
    return DerivativeError(
        f"{where()}: the sensitivities of {given.name} could not be integrated beyond t = {t:.6g}, where their steps become too short: the "
        "right-hand side may have a jump there, or a derivative that is not finite."
    )


def _tolerances(equation: Sensitivities, rtol: Any, atol: Any, max_step: float) -> dict[str, Any]:
    each = np.tile(np.broadcast_to(atol, (equation.n,)), 1 + equation.count)
    rtol = np.tile(rtol, 1 + equation.count) if np.ndim(rtol) else rtol
    return {"rtol": rtol, "atol": each, "max_step": max_step}


__all__ = ["Sensitivities", "explicit", "implicit", "refined", "suffice"]
