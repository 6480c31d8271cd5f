"""``scipy.integrate.solve_ivp`` and ``odeint`` of values that are being differentiated.

SciPy solves the equation with plain numbers, by its own steps; the steps are then carried out again on differentiated values,
frozen (:mod:`dualdiff.scipy.stepping`). The derivative is that of the steps taken, in both modes, to every order. Where those steps
are too long for the sensitivities, or are those of an implicit method, others take their place (:mod:`dualdiff.scipy.meshes`):
then the derivative is right to the order of the solver's tolerance. Values are SciPy's in any case.

Differentiated times (the ends of the interval, ``t_eval``) move the state along its slope. The time of an event follows from the
implicit function theorem, t_e' = −(g_y y' + g_p) / (g_t + g_y f).

References
----------
Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 15, doi:10.1137/1.9780898717761. Galán, Feehery & Barton,
Parametric sensitivity functions for hybrid discrete/continuous systems, *Appl. Numer. Math.* 31 (1999),
doi:10.1016/S0168-9274(98)00125-1.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.integrate import BDF, DOP853, LSODA, OdeSolution, Radau
from scipy.integrate import odeint as solve_odeint
from scipy.integrate import solve_ivp as solve
from scipy.integrate._ivp.ivp import METHODS
from scipy.integrate._ivp.rk import RungeKutta

from dualdiff.errors import DerivativeError, NonDifferentiablePointError, UnsupportedFunctionError, forgive, where
from dualdiff.operators import jvp
from dualdiff.rules.elementwise import cast
from dualdiff.scipy import meshes
from dualdiff.scipy.crossings import Crossings, beside
from dualdiff.scipy.room import Room
from dualdiff.scipy.stepping import Explicit, moved
from dualdiff.scipy.systems import Given, carries, plain_of, recentred, uncaptured
from dualdiff.scipy.trajectories import Linear, Piece, Taken, is_small, solved
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import decided, fixed, is_replayed, operand, raw

ROOM = Room("scipy.integrate")
_ENOUGH = 3
"""Newton steps that the time of an event takes: derivatives up to order 7 are right then."""
_BDF = 2
"""How ``odeint`` says that it took steps of a method for stiff equations."""
_FLAT = 1e-7
"""A slope of an event's function below this, of the size that it has, is none."""


class Solution(OdeSolution):
    """A continuous solution of differentiated values, whose values are SciPy's."""

    def __init__(self, given: OdeSolution, times: Any, pieces: list[Piece]) -> None:
        super().__init__(times, pieces)
        self.t_min, self.t_max, self._given = given.t_min, given.t_max, given

    def __call__(self, t: Any) -> Any:
        """Return the solution at a time, (n,), or at several, (n, number of times)."""
        t = operand(t)
        plain = np.asarray(raw(t), float)
        if plain.ndim > 1:
            raise ValueError("`t` must be a float or a 1-D array.")
        if plain.ndim == 0:
            return recentred(self.interpolants[self._segments(plain)](t), self._given(plain))
        segments = self._segments(plain)
        order = np.argsort(segments, kind="stable")
        cuts = np.flatnonzero(np.diff(segments[order])) + 1
        groups = np.split(order, cuts) if len(order) else []
        found = np.concatenate([self.interpolants[segments[g[0]]].rows(t[g]) for g in groups])
        return recentred(np.transpose(found[np.argsort(order)]), self._given(plain))

    def _segments(self, t: Any) -> Any:
        found = np.clip(np.searchsorted(self.ts_sorted, t, side=self.side) - 1, 0, self.n_segments - 1)
        return found if self.ascending else self.n_segments - 1 - found


@ROOM.function("solve_ivp", kind="composite", solver=True)
def solve_ivp(
    fun: Callable[..., Any],
    t_span: Any,
    y0: Any,
    method: Any = "RK45",
    t_eval: Any = None,
    dense_output: bool = False,
    events: Any = None,
    vectorized: bool = False,
    args: Any = None,
    **options: Any,
) -> Any:
    """``scipy.integrate.solve_ivp``: the derivative of the steps taken, or of such as the sensitivities need."""
    return integrated(fun, t_span, y0, method, t_eval, dense_output, events, vectorized, args, None, options)


def integrated(
    fun: Callable[..., Any],
    t_span: Any,
    y0: Any,
    method: Any,
    t_eval: Any,
    dense_output: bool,
    events: Any,
    vectorized: bool,
    args: Any,
    checkpoints: int | None,
    options: dict[str, Any],
) -> Any:
    """Solve an initial value problem as SciPy does, with derivatives where something it is given carries one."""
    extra = () if args is None else _several(args)
    given = Given(_right_hand_side(fun, extra, vectorized), "solve_ivp", fun)
    kind = METHODS.get(method, method) if isinstance(method, str) else method
    watched = [] if events is None else [events] if callable(events) else list(events)
    tests = [_event(e, extra) for e in watched]
    start, end = t_span
    y0, t_eval = operand(y0), None if t_eval is None else operand(t_eval)
    if not (given.inside or carries([start, end, y0, t_eval]) or any(e.inside for e in tests)):
        return uncaptured(
            solve, given.seen(fun), t_span, y0, method, t_eval, dense_output, events, vectorized, args, **options
        )
    options = {k: _option(k, v, extra) for k, v in options.items()}
    explicit = _is_explicit(kind)
    noted = None
    if explicit:
        at = np.asarray(plain_of(y0)) * 1.0
        noted = meshes.Noted(float(plain_of(start)), at, checkpoints is None and is_small(given, at))
    plain = uncaptured(
        solve,
        given.plain,
        (plain_of(start), plain_of(end)),
        plain_of(y0),
        method if noted is None else _noting(kind, noted),
        None if t_eval is None else np.asarray(plain_of(t_eval)),
        dense_output or (noted is None and is_small(given, y0)),
        [_as_scipy_takes_it(e, original) for e, original in zip(tests, watched)] if watched else None,
        **({"vectorized": True} if vectorized and not explicit else {}),
        **options,
    )
    return _differentiated(given, plain, kind, noted, dense_output, start, end, y0, t_eval, tests, checkpoints, options)


def _differentiated(
    given: Given,
    plain: Any,
    kind: Any,
    noted: meshes.Noted | None,
    dense: bool,
    start: Any,
    end: Any,
    y0: Any,
    t_eval: Any,
    tests: Sequence[Given],
    checkpoints: int | None,
    options: dict[str, Any],
) -> Any:
    """Return SciPy's result with derivatives."""
    t0 = float(plain_of(start))
    y0 = _state(y0)
    happened = [t for ts in plain.t_events or [] for t in ts]
    wanted = np.concatenate([plain.t, happened])
    forward = float(plain_of(end)) >= t0
    order = np.argsort(wanted if forward else -wanted, kind="stable")
    bounds = [t0, float(wanted[order][-1]) if len(wanted) else t0]
    rtol = np.maximum(options.get("rtol", 1e-3), 100 * np.finfo(float).eps)
    tolerances = rtol, options.get("atol", 1e-6), options.get("max_step", np.inf)
    asked = plain.sol, plain.njev > 0, 4 * plain.nfev + 400
    try:
        steps = _chosen(given, kind, bounds, np.asarray(raw(y0)), wanted[order], tolerances, noted, *asked)
    except DerivativeError as error:
        _explain(given, plain, rtol, error)
        raise
    state = _started(given, steps, start, y0) if carries(start) else y0
    rows, pieces = solved(steps, state, wanted, dense, checkpoints, _watched(given, plain, dense, steps, order, rtol))
    if is_replayed(rows):
        decided(rows)  # the steps were chosen for this point: at another one a recording has to be made again
    n = len(plain.t)
    states = recentred(rows[:n], np.transpose(plain.y)) if n else rows
    result: dict[str, Any] = dict(plain)
    result["sol"] = Solution(plain.sol, steps.times, pieces) if dense else None
    span = abs(float(steps.times[-1]) - t0)
    at, t_events, y_events = n, [], []
    last = (None, None)
    for k, test in enumerate(tests):
        count = len(plain.t_events[k])
        found = [
            _crossing(
                test, given, steps, t, recentred(y, v), plain.y_events[k] if not n else np.transpose(plain.y), span
            )
            for t, y, v in zip(plain.t_events[k], rows[at : at + count], plain.y_events[k], strict=True)
        ]
        at += count
        t_events.append(np.stack([t for t, _ in found]) if count else plain.t_events[k])
        y_events.append(np.stack([y for _, y in found]) if count else plain.y_events[k])
        if plain.status == 1 and count and plain.t_events[k][-1] == plain.t[-1:]:
            last = found[-1]
    if plain.t_events is not None:
        result["t_events"], result["y_events"] = t_events, y_events
    if n:
        moments, states = _at_differentiated_times(given, steps, plain, states, start, end, y0, t_eval, last)
        result["t"], result["y"] = moments, np.transpose(states)
    return type(plain)(**result)


def _chosen(
    given: Given,
    kind: Any,
    bounds: Sequence[float],
    y0: Any,
    wanted: Any,
    tolerances: tuple[Any, Any, float],
    noted: meshes.Noted | None,
    solution: Any,
    stiff: bool,
    most: float,
) -> Taken:
    """Return the steps that do for the derivative of a solution.

    They are those ``noted`` of an explicit method if they do. ``most`` is how many evaluations another explicit one may take for LSODA.
    """
    if noted is not None:
        steps = noted.steps(given, kind)
        if meshes.suffice(steps, Linear.of(steps), *tolerances[:2]):
            return steps
        return meshes.refined(given, kind, [bounds[0], noted.times[-1]], y0, *tolerances)
    if bounds[-1] == bounds[0]:
        return Taken(given, Explicit(given, DOP853), np.full(2, bounds[0]), np.array([y0, y0]))
    if kind is LSODA and not (
        stiff and is_small(given, y0)
    ):  # which takes explicit steps where the equation is not stiff
        other = meshes.explicit(given, DOP853, bounds, y0, *tolerances, most)
        if other is not None:
            return other
    return meshes.implicit(given, bounds, y0, wanted, *tolerances, solution)


def _explain(given: Given, plain: Any, rtol: Any, error: DerivativeError) -> None:
    """Raise if a moving jump is why the steps of an implicit method could not be solved again."""
    if plain.sol is not None:
        states = np.transpose(plain.sol(plain.sol.ts))
        steps = Taken(given, None, plain.sol.ts, states)  # type: ignore[arg-type]
        forgive(error)
        Crossings(given, steps, float(plain.sol.ts[-1]), states[-1], rtol, where())([True] * (1 + len(given.inside)))


def _watched(given: Given, plain: Any, dense: bool, steps: Taken, order: Any, rtol: Any) -> Crossings | None:
    """Return what looks for jumps of the slope up to the last time that is asked for."""
    if dense:
        last = float(plain.sol.ts[-1])
        return Crossings(given, steps, last, plain.sol(last), rtol, where())
    if not len(order):
        return None
    n, last = len(plain.t), order[-1]
    if last < n:
        return Crossings(given, steps, plain.t[last], plain.y[:, last], rtol, where())
    t, y = [np.concatenate(found) for found in (plain.t_events, [v for v in plain.y_events if len(v)])]
    return Crossings(given, steps, t[last - n], y[last - n], rtol, where())


def _started(given: Given, steps: Taken, start: Any, y0: Any) -> Any:
    """Return the state at the plain time that a differentiated start is at: on the side where the solution goes on."""
    t, y = float(plain_of(start)), np.asarray(raw(y0))
    t_new, y_new = beside(given, steps, t, y, first=True) or (t, y)
    return recentred(moved(given.f, start - t + t_new, recentred(y0, y_new), t - start), y)


def _moved(given: Given, steps: Taken, t: float, y: Any, by: Any) -> Any:
    """Return the state a differentiated time after a plain one: with the slope on the side from which the solution comes."""
    before = beside(given, steps, t, raw(y))
    if before is None:
        return moved(given.f, t, y, by)
    return recentred(moved(given.f, before[0], recentred(y, before[1]), by), raw(y))


def _crossing(
    test: Given, given: Given, steps: Taken, t_event: float, y_event: Any, seen: Any, span: float
) -> tuple[Any, Any]:
    """Return the time and the state of an event, whose function vanishes there."""
    f, here = given.f, np.asarray(raw(y_event))
    t, y_before = beside(given, steps, t_event, here) or (t_event, here)
    y = recentred(y_event, y_before)

    def value(by: Any) -> Any:
        return np.reshape(operand(test.f(t + by, moved(f, t, y, by))), ())[()]

    by: Any = 0.0
    first = None
    for _ in range(_ENOUGH):
        at, rate = jvp(value, (by,), (1.0,))
        if first is None:
            first = raw(at)
            size = np.max(np.abs([np.asarray(test.plain(t, z)) for z in seen]), initial=0.0)
            if not abs(raw(rate)) * span > _FLAT * size:
                raise NonDifferentiablePointError(
                    f"{where()}: an event of solve_ivp at t = {t:.6g} touches zero without crossing it (its slope along the solution is "
                    f"{float(raw(rate)):.2g}), where its time has no derivative. Take another event function, or freeze what it "
                    "depends on with dd.stop_gradient."
                )
        by = by - (at - first) / rate
    return t_event + by, recentred(moved(f, t, y, by), here)


def _at_differentiated_times(
    given: Given,
    steps: Taken,
    plain: Any,
    states: Any,
    start: Any,
    end: Any,
    y0: Any,
    t_eval: Any,
    last: tuple[Any, Any],
) -> tuple[Any, Any]:
    """Return the times of a result, and the states there, where times carry derivatives."""
    n = len(plain.t)
    if t_eval is not None:
        if not carries(t_eval):
            return plain.t, states
        moments = operand(t_eval)[:n]
        return moments, np.stack([_moved(given, steps, t, y, m - t) for t, y, m in zip(plain.t, states, moments)])
    ends: dict[int, tuple[Any, Any]] = {}
    if carries(start):
        ends[0] = start, y0
    if last[0] is not None:
        ends[n - 1] = last
    elif plain.status == 0 and carries(end):
        ends[n - 1] = end, _moved(given, steps, plain.t[-1], states[-1], end - plain.t[-1])
    if not ends:
        return plain.t, states
    moments = np.stack([ends[i][0] if i in ends else t for i, t in enumerate(plain.t)])
    states = np.stack([ends[i][1] if i in ends else states[i] for i in range(n)])
    return moments, states


@ROOM.function("odeint", kind="composite", solver=True)
def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    args: Any = (),
    Dfun: Any = None,
    col_deriv: Any = 0,
    full_output: Any = 0,
    ml: Any = None,
    mu: Any = None,
    rtol: Any = None,
    atol: Any = None,
    tcrit: Any = None,
    h0: Any = 0.0,
    hmax: Any = 0.0,
    hmin: Any = 0.0,
    ixpr: Any = 0,
    mxstep: Any = 0,
    mxhnil: Any = 0,
    mxordn: Any = 12,
    mxords: Any = 5,
    printmessg: Any = 0,
    tfirst: Any = False,
) -> Any:
    """``scipy.integrate.odeint``: its values, and the derivative on steps that the sensitivities need."""
    extra = args if isinstance(args, tuple) else ()
    turned = (lambda t, y, *extra: func(t, y, *extra)) if tfirst else (lambda t, y, *extra: func(y, t, *extra))
    given = Given(_right_hand_side(turned, extra), "odeint", func)
    y0, t = operand(y0), operand(t)
    steering = [
        col_deriv,
        1,
        ml,
        mu,
        rtol,
        atol,
        tcrit,
        h0,
        hmax,
        hmin,
        ixpr,
        mxstep,
        mxhnil,
        mxordn,
        mxords,
        printmessg,
    ]
    steering = [fixed(x, "an option of odeint") for x in steering]
    slope_by_state = None
    if Dfun is not None:
        slope_by_state = Given(lambda *at: Dfun(*at, *extra), "odeint by Dfun=", Dfun).plain
    plain_t = np.asarray(plain_of(t))
    f = given.plain if tfirst else (lambda y, t: given.plain(t, y))
    passed = plain_of(args) if extra is not args else ()  # which SciPy refuses
    values, info = uncaptured(solve_odeint, f, plain_of(y0), plain_t, passed, slope_by_state, *steering, bool(tfirst))
    if given.inside or carries([y0, t]):
        values = _differentiated_at(given, values, info, y0, t, plain_t, steering)
    return (values, info) if full_output else values


def _differentiated_at(
    given: Given, values: Any, info: Any, y0: Any, t: Any, plain_t: Any, steering: Sequence[Any]
) -> Any:
    """Return what ``odeint`` returned, with derivatives."""
    _, _, _, _, rtol, atol, tcrit, _, hmax, *_ = steering
    t0, tf = float(plain_t[0]), float(plain_t[-1])
    y0 = np.reshape(_state(operand(y0)), (-1,))
    breaks = [] if tcrit is None else [float(c) for c in np.unique(tcrit) if min(t0, tf) < c < max(t0, tf)]
    bounds = [t0, *(breaks if tf > t0 else breaks[::-1]), tf]
    rtol, atol = (1.49012e-8 if x is None else x for x in (rtol, atol))
    tolerances = rtol, atol, hmax or np.inf
    asked = None, bool(np.any(info["mused"] == _BDF)), 4 * float(np.max(info["nfe"], initial=0)) + 400
    steps = _chosen(given, LSODA, bounds, np.asarray(raw(y0)), plain_t, tolerances, None, *asked)
    differs = carries(t)
    state = _started(given, steps, t[0], y0) if differs and carries(t[0]) else y0
    check = Crossings(given, steps, tf, values[-1], rtol, where())
    rows, _ = solved(steps, state, plain_t, False, None, check)
    if is_replayed(rows):
        decided(rows)
    found = recentred(rows, values)
    if differs:
        found = np.stack(
            [_moved(given, steps, s, y, m - s) for s, y, m in zip(plain_t, found, operand(t), strict=True)]
        )
        found = np.concatenate([y0[None], found[1:]])
    return found


# --------------------------------------------------------------------------------------------------
# what SciPy is given


def _right_hand_side(fun: Callable[..., Any], args: tuple[Any, ...], vectorized: bool = False) -> Callable[..., Any]:
    """Return a function of ``(t, y)``, as SciPy makes one."""
    if vectorized:
        return lambda t, y: _column(fun(t, y[:, None], *args) if len(shape_of(y)) == 1 else fun(t, y, *args), y)
    return lambda t, y: fun(t, y, *args)


def _column(found: Any, y: Any) -> Any:
    return np.reshape(operand(found), (-1,)) if len(shape_of(y)) == 1 else found


def _several(args: Any) -> tuple[Any, ...]:
    try:
        return tuple(args)
    except TypeError as error:
        raise TypeError(
            f"Supplied 'args' cannot be unpacked. Please supply `args` as a tuple (e.g. `args=({args},)`)"
        ) from error


def _event(event: Callable[..., Any], args: tuple[Any, ...]) -> Given:
    return Given(lambda t, y: event(t, y, *args), "an event of solve_ivp", event)


def _as_scipy_takes_it(test: Given, event: Any) -> Callable[..., Any]:
    """Return an event's function of plain values, with what the user's says of itself."""

    def call(t: Any, y: Any) -> Any:
        return test.plain(t, y)

    for name in ("terminal", "direction"):
        if hasattr(event, name):
            setattr(call, name, plain_of(getattr(event, name)))
    return call


def _option(name: str, value: Any, args: tuple[Any, ...]) -> Any:
    """Return an option of a method in plain values: what steers an iteration has no derivative."""
    if callable(value):
        return Given(lambda t, y: value(t, y, *args), f"solve_ivp by {name}=", value).plain
    return plain_of(value) if name == "jac" else fixed(value, f"the option {name} of solve_ivp")


def _state(y0: Any) -> Any:
    """Return the state at the start in double precision, as SciPy integrates it."""
    return cast(y0, np.complex128 if dtype_of(y0).kind == "c" else np.float64)


def _is_explicit(kind: Any) -> bool:
    if inspect.isclass(kind) and issubclass(kind, RungeKutta):
        return True
    if kind in (Radau, BDF, LSODA) or isinstance(kind, str) or not inspect.isclass(kind):
        return False  # SciPy says what is wrong with another one
    raise UnsupportedFunctionError(
        f"{where()}: solve_ivp is differentiated with SciPy's own methods, and with Runge–Kutta methods derived from "
        f"theirs, not with {kind.__name__}. Write its steps in NumPy, or take one of RK23, RK45, DOP853, Radau, BDF, LSODA."
    )


def _noting(kind: Any, noted: meshes.Noted) -> Any:
    """Return a method of SciPy whose steps are noted."""

    class Noting(kind):
        def step(self) -> Any:
            message = super().step()
            if self.status != "failed":
                noted(self)
            return message

    return Noting
