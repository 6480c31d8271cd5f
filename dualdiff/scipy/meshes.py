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
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.integrate import OdeSolution, Radau
from scipy.integrate._ivp.rk import RungeKutta

from dualdiff.errors import NOTES, DerivativeError, where
from dualdiff.operators.compiled import Compiled
from dualdiff.scipy.points import Points
from dualdiff.scipy.stepping import Explicit, Implicit, pushed
from dualdiff.scipy.systems import Given, uncaptured
from dualdiff.scipy.trajectories import Linear, Taken, followed, is_small
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

    def __init__(self, given: Given, y0: Any) -> None:
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
        self.slopes = Compiled(self._slopes, check_every=None, warns=False)

    @property
    def flat(self) -> Any:
        """The directions of what the right-hand side closes over, side by side."""
        parts = [v.reshape(self.count, -1) for v in self.along if v is not None]
        return np.concatenate([np.zeros((self.count, 0)), *parts], axis=1)

    def _slopes(self, t: float, y: Any, s: Any) -> tuple[Any, Any]:
        f, tangent = self.given.pushed((t, y), self.inside, (None, s, *self.along), (self.count,))
        return np.broadcast_to(f, (self.n,)), np.broadcast_to(tangent.reshape(self.count, -1), s.shape)

    def __call__(self, t: float, both: Any) -> Any:
        """Return the slopes of both."""
        token = NOTES.set(None)  # around plain numbers, which a program may serve
        try:
            f, tangent = self.slopes(float(t), both[: self.n], both[self.n :].reshape(self.count, self.n))
        finally:
            NOTES.reset(token)
        return np.concatenate([f, tangent.ravel()])

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
    seen: Callable[[Any], None] | None = None,
    **options: Any,
) -> list[float]:
    """Solve an equation from bound to bound; return the times of the steps.

    They end early where the solver fails, or has taken more evaluations than ``most``. ``seen`` is called with SciPy's solver after
    each step.
    """
    times, done = [bounds[0]], 0
    for t, t_new in itertools.pairwise(bounds):
        solver = method(f, t, y0, t_new, **options)
        if not np.isfinite(solver.h_abs):  # SciPy would go on for ever
            return times
        while solver.status == "running":
            solver.step()
            if solver.status == "failed" or done + solver.nfev > most:
                return times
            times.append(float(solver.t))
            if seen is not None:
                seen(solver)
        y0, done = solver.y, done + solver.nfev
    return times


class Noted:
    """What an explicit solver of SciPy computes on its way: the states between its steps, and the slopes within where they are wanted.

    Parameters
    ----------
    t0, y0
        Where it starts.
    slopes : bool
        Whether slopes are noted.
    """

    def __init__(self, t0: float, y0: Any, slopes: bool) -> None:
        self.n = len(y0)
        self.times, self.states = [t0], [y0]
        self.slopes: list[Any] | None = [] if slopes else None

    def __call__(self, solver: Any) -> None:
        """Note a step that a solver has taken, of the state or of the state and more."""
        self.times.append(float(solver.t))
        self.states.append(np.array(solver.y[: self.n]))
        if self.slopes is not None:
            within = solver.K[:, : self.n]
            self.slopes.append(np.array(within) if solver.t != solver.t_old else np.zeros(within.shape))

    def steps(self, given: Given, method: Any) -> Taken:
        """Return what was noted as steps of a method."""
        slopes = None if self.slopes is None else np.array(self.slopes).reshape(-1, method.n_stages + 1, self.n)
        return Taken(given, Explicit(given, method), np.array(self.times), np.array(self.states), slopes)


def suffice(steps: Taken, linear: Linear | None, rtol: Any, atol: Any) -> bool:
    """Whether the steps taken for the state do for the sensitivities, by the method's own estimate of the error."""
    equation = Sensitivities(steps.given, steps.states[0])
    return (_slowly if linear is None else _quickly)(steps, linear, equation, rtol, atol)


def _quickly(steps: Taken, linear: Any, equation: Sensitivities, rtol: Any, atol: Any) -> bool:
    n, along = equation.n, equation.flat
    start = equation.start[n:].reshape(equation.count, n)
    method: Any = steps.scheme.method  # type: ignore[union-attr]
    _, _, last = steps.scheme.table
    unit = np.eye(n, linear.points.count)

    def parts() -> Iterator[tuple[Any, Any, Any]]:
        s = start
        for part, derivatives in linear.parts():
            h = np.diff(steps.times[part.start : part.stop + 1])
            states = followed(unit + h[:, None, None] * np.tensordot(derivatives, last, (1, 0)), s, along)
            s = states[-1]
            yield h, states, derivatives

    size = np.abs(start)
    for _, states, _ in parts():
        if not np.all(np.isfinite(states)):
            return False
        size = np.maximum(size, np.max(np.abs(states), axis=0))
    for h, states, derivatives in parts():
        slopes = derivatives[..., :n] @ np.transpose(states[:-1, None], (0, 1, 3, 2))
        slopes = slopes + derivatives[..., n:] @ along.T  # (steps, stages, n, directions)
        if not np.all(_errors(method, np.transpose(slopes, (0, 3, 1, 2)), h, atol + rtol * size) <= LENIENT):
            return False
    return True


def _errors(method: Any, slopes: Any, h: Any, scale: Any) -> Any:
    """Return a method's own estimates, beside what is allowed, of slopes (steps, directions, stages, n)."""
    if (
        method._estimate_error_norm is RungeKutta._estimate_error_norm
        and method._estimate_error is RungeKutta._estimate_error
    ):
        errors = np.tensordot(slopes, method.E, (2, 0)) * h[:, None, None] / scale
        return np.sqrt(np.mean(errors**2, axis=2))
    estimator = object.__new__(method)
    return np.array([
        [estimator._estimate_error_norm(within, step, allowed) for within, allowed in zip(along, scale, strict=True)]
        for along, step in zip(slopes, h.tolist(), strict=True)
    ])  # fmt: skip


def _slowly(steps: Taken, _: Any, equation: Sensitivities, rtol: Any, atol: Any) -> bool:
    given, times = steps.given, steps.times.tolist()
    method: Any = steps.scheme.method  # type: ignore[union-attr]
    n, k, stages = equation.n, equation.count, method.n_stages + 1
    estimator = object.__new__(method)
    each = max(1, _AT_ONCE // (stages * n * k))
    y, s = steps.states[0], equation.start[n:].reshape(k, n)
    size = np.abs(s)
    for first in range(0, len(times) - 1, each):
        part = times[first : first + each + 1]

        def carried_out(y: Any, *inside: Any, part: Sequence[float] = part) -> Any:
            scheme = Explicit(given, method).on(inside)
            states, slopes, f = [], [], None
            for t, t_new in itertools.pairwise(part):
                y, f, within = scheme.step(t, t_new - t, y, f)
                states.append(y)
                slopes.append(np.stack(within))
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
    given: Given, method: Any, bounds: Sequence[float], y0: Any, rtol: Any, atol: Any, max_step: float, most: float
) -> Taken | None:
    """Return the steps that an explicit method takes for the state, and if need be for its sensitivities.

    None if it would take more evaluations than ``most``.
    """
    noted = Noted(bounds[0], y0, is_small(given, y0))
    options = {"rtol": rtol, "atol": atol, "max_step": max_step}
    times = uncaptured(taken, method, given.plain, bounds, y0, most, noted, **options)
    if times[-1] != bounds[-1]:
        return None
    steps = noted.steps(given, method)
    if suffice(steps, Linear.of(steps), rtol, atol):
        return steps
    return _refined(given, method, bounds, y0, rtol, atol, max_step, most)


def refined(
    given: Given, method: Any, bounds: Sequence[float], y0: Any, rtol: Any, atol: Any, max_step: float
) -> Taken:
    """Return the steps that an explicit method takes for the state and its sensitivities."""
    found = _refined(given, method, bounds, y0, rtol, atol, max_step, np.inf)
    if found is None or found.times[-1] != bounds[-1]:
        raise _stuck(given, bounds[0] if found is None else float(found.times[-1]))
    return found


def _refined(
    given: Given, method: Any, bounds: Sequence[float], y0: Any, rtol: Any, atol: Any, max_step: float, most: float
) -> Taken | None:
    equation = Sensitivities(given, y0)
    noted = Noted(bounds[0], y0, is_small(given, y0))
    options = _tolerances(equation, rtol, atol, max_step)
    times = uncaptured(taken, method, equation, bounds, equation.start, most, noted, **options)
    return noted.steps(given, method) if times[-1] == bounds[-1] or most == np.inf else None


def implicit(
    given: Given,
    bounds: Sequence[float],
    y0: Any,
    wanted: Any,
    rtol: Any,
    atol: Any,
    max_step: float,
    solution: Any = None,
) -> Taken:
    """Return steps of the method of Radau that do for the state and its sensitivities, the wanted times among their ends.

    They are those of ``solution``, which SciPy found for the state, or of the method itself; those in which a sensitivity, or the
    state, is in error by too much are cut.
    """
    equation = Sensitivities(given, y0)
    points = Taken(given, None, np.array(bounds), np.asarray(y0)[None]).points()  # type: ignore[arg-type]
    if solution is None or points is None:
        solution = _of_radau(given, equation, bounds, y0, rtol, atol, max_step)
    scheme = Implicit(given, solution, float(np.min(rtol)))
    nodes = np.unique(np.concatenate([solution.ts, wanted, bounds]))
    span = abs(bounds[-1] - bounds[0])
    low, high = min(bounds), max(bounds)
    nodes = nodes[(nodes >= low) & (nodes <= high)]
    nodes = nodes if bounds[-1] > bounds[0] else nodes[::-1]
    keep = np.append(True, np.abs(np.diff(nodes)) > 1e-12 * span) | np.isin(nodes, [*wanted, *bounds])
    nodes = nodes[keep]
    for _ in range(_ROUNDS):
        steps = None if points is None else _solved(given, scheme, points, nodes, y0)
        if steps is None:
            points = None
            excess = _excess(scheme, equation, nodes, rtol, atol)
        else:
            excess = _excess_at_once(steps, points, equation, rtol, atol)
        parts = np.clip(np.ceil(excess**0.25), 1, 8).astype(int)
        parts[np.abs(np.diff(nodes)) < 1e-10 * span] = 1
        if np.all(parts == 1):
            return Taken(given, scheme, nodes, _states(scheme, equation, nodes, y0)) if steps is None else steps
        pairs = zip(nodes, nodes[1:], parts, strict=False)
        nodes = np.append(
            np.concatenate([np.linspace(t, t_new, m, endpoint=False) for t, t_new, m in pairs]), nodes[-1]
        )
    raise _stuck(given, float(nodes[np.argmax(parts)]))


def _of_radau(
    given: Given, equation: Sensitivities, bounds: Sequence[float], y0: Any, rtol: Any, atol: Any, max_step: float
) -> OdeSolution:
    pieces: list[Any] = []
    options = {"rtol": rtol, "atol": atol, "max_step": max_step, "jac": equation.jacobian}
    times = taken(Radau, given.plain, bounds, y0, seen=lambda solver: pieces.append(solver.dense_output()), **options)
    if times[-1] != bounds[-1]:
        raise _stuck(given, times[-1])
    return OdeSolution(times, pieces)


def _states(scheme: Implicit, equation: Sensitivities, nodes: Any, y0: Any) -> Any:
    """Return the states between steps that were solved one after another."""
    states = [np.asarray(y0)]
    for t, t_new in itertools.pairwise(nodes.tolist()):
        states.append(scheme.solved(states[-1], equation.inside, t, t_new - t)[-1])
    return np.array(states)


def _solved(given: Given, scheme: Implicit, points: Points, nodes: Any, y0: Any) -> Taken | None:
    """Solve the equations of all steps; None where that fails."""
    try:
        found = scheme.solution(points, nodes, y0)
    except np.linalg.LinAlgError:
        return None
    if found is None:
        return None
    states, inner = found
    slopes = (inner - states[:-1, None]) / np.diff(nodes)[:, None, None]
    return Taken(given, scheme, nodes, states, slopes)


def _excess_at_once(steps: Taken, points: Any, equation: Sensitivities, rtol: Any, atol: Any) -> Any:
    """Return for each step the estimated errors of the sensitivities and of the state, beside what is allowed."""
    n, along = equation.n, equation.flat
    s = equation.start[n:].reshape(equation.count, n)
    h = np.diff(steps.times)
    y = steps.states[:-1]
    derivatives = steps.scheme.derivatives(points, steps.times, y, steps.slopes)
    maps = np.eye(n, points.count) + h[:, None, None] * derivatives[:, -1]
    states = followed(maps, s, along)
    tangents = derivatives[..., :n] @ np.transpose(states[:-1, None], (0, 1, 3, 2)) + derivatives[..., n:] @ along.T
    slopes, by_all = points.at({0: steps.times[:-1], 1: y})
    by_state = by_all[..., :n]
    before = by_state @ np.transpose(states[:-1], (0, 2, 1)) + by_all[..., n:] @ along.T
    # of the sensitivities, (steps, n, directions), and last of the state itself
    right = np.concatenate([
        before + np.tensordot(tangents, _ESTIMATE, (1, 0)),
        (slopes + np.tensordot(steps.slopes, _ESTIMATE, (1, 0)))[..., None],
    ], axis=2)  # fmt: skip
    errors = np.linalg.solve(_DAMPING / h[:, None, None] * np.eye(n) - by_state, right)
    size = np.abs(steps.states)
    sizes = np.concatenate([
        np.broadcast_to(np.max(np.abs(states), axis=0), (len(h), *s.shape)), np.maximum(size[1:], size[:-1])[:, None],
    ], axis=1)  # fmt: skip
    scale = np.transpose(LENIENT * (np.broadcast_to(atol, (n,)) + rtol * sizes), (0, 2, 1))
    return np.max(np.sqrt(np.mean(np.abs(errors / scale) ** 2, axis=1)), axis=1)


def _excess(scheme: Implicit, equation: Sensitivities, nodes: Any, rtol: Any, atol: Any) -> Any:
    """Return for each step the estimated error of the sensitivities, which is of the third order, beside what is allowed."""
    n, k, inside = equation.n, equation.count, equation.inside
    y, s = equation.start[:n], equation.start[n:].reshape(k, n)
    _, slopes = equation.given.pushed((float(nodes[0]), y), inside, (None, s, *equation.along), (k,))
    slopes = np.reshape(np.broadcast_to(slopes, (k, *np.shape(slopes)[1:])), (k, -1))
    by_state = np.transpose(equation.jacobian(float(nodes[0]), y))
    errors, size = [], np.abs(s)
    for t, t_new in itertools.pairwise(nodes.tolist()):
        h = t_new - t
        states = scheme.solved(y, inside, t, h)
        tangents, slopes_after, by_state_after = pushed(s, equation.along, k, states, inside, scheme, t, h)
        right = slopes + np.tensordot(tangents - s[:, None], _ESTIMATE, (1, 0)) / h
        errors.append(right @ np.linalg.inv(_DAMPING / h * np.eye(n) - by_state))
        y, s, slopes, by_state = states[-1], tangents[:, -1], slopes_after, by_state_after
        size = np.maximum(size, np.abs(s))
    scale = LENIENT * (np.broadcast_to(atol, (n,)) + rtol * size)
    return np.array([np.max(np.sqrt(np.mean(np.abs(e / scale) ** 2, axis=1))) for e in errors])


def _stuck(given: Given, t: float) -> DerivativeError:
    return DerivativeError(
        f"{where()}: the sensitivities of {given.name} could not be integrated beyond t = {t:.6g}, where their steps become too short: the "
        "right-hand side may have a jump there, or a derivative that is not finite."
    )


def _tolerances(equation: Sensitivities, rtol: Any, atol: Any, max_step: float) -> dict[str, Any]:
    each = np.tile(np.broadcast_to(atol, (equation.n,)), 1 + equation.count)
    rtol = np.tile(rtol, 1 + equation.count) if np.ndim(rtol) else rtol
    return {"rtol": rtol, "atol": each, "max_step": max_step}


__all__ = ["Noted", "Sensitivities", "explicit", "implicit", "refined", "suffice"]
