"""Integrals of functions over an interval: by the limits Leibniz' rule, by parameters the integral of the derivative.

The derivative is a function of the same variable, and its integral is found by the same quadrature to the same tolerances; so it is a
row of this kind again, and is differentiated as often as one likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.integrate

from dualdiff.capture import captures_of
from dualdiff.capture.active import is_active, unwrapped
from dualdiff.capture.captures import Captures
from dualdiff.errors import NOTES, InaccurateIntegralError, JumpError, RuleError, where
from dualdiff.kinds import General, Sweep
from dualdiff.operators.compiled import Compiled
from dualdiff.operators.solutions import is_plain
from dualdiff.scipy import jumps
from dualdiff.scipy.points import Points, serves
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import TRACED, bind, raw
from dualdiff.ways.problem import Problem, pull_rows, record


@dataclass(frozen=True, slots=True, eq=False)
class Integrand:
    """A function of one variable and of parameters, or its derivative by some of them: a vector of numbers.

    Attributes
    ----------
    function : callable
        The user's function, for what is captured while it runs.
    at : callable
        Of the parameters: the function of the variable alone.
    rule : str
        The name of SciPy's function.
    options : dict
        What SciPy's function is given beside the function and the limits.
    by : tuple of tuple of bool
        For each order of the derivative, by which parameters.
    moving : tuple of bool
        Of the parameters of the last order, which move at all.
    answers : list
        What SciPy's function returned when the value was computed, the last one.
    seen : list
        A point, the parameters and the value there when that was.
    nodes : list
        Where the function was asked for when the value was computed.
    """

    function: Any
    at: Callable[[Sequence[Any]], Callable[[Any], Any]]
    rule: str
    options: dict[str, Any]
    by: tuple[tuple[bool, ...], ...] = ()
    moving: tuple[bool, ...] = ()
    answers: list[Any] = field(default_factory=list)
    seen: list[Any] = field(default_factory=list)
    nodes: list[float] = field(default_factory=list)

    def __eq__(self, other: object) -> bool:
        # One program wherever the code is one, as of a checkpoint.
        return (
            type(other) is Integrand
            and _code(self.function) is _code(other.function)
            and (self.rule, self.by, repr(self.options)) == (other.rule, other.by, repr(other.options))
        )

    __hash__ = None  # type: ignore[assignment]

    def note(self, a: float, b: float, parameters: Sequence[Any], value: Callable[[Any], Any]) -> None:
        """Remember what the function was at one point."""
        t = _inside(a, b)
        with np.errstate(all="ignore"):
            self.seen[:] = [(t, [np.copy(p) for p in parameters], raw(value(t)))]

    def check(self, parameters: Sequence[Any]) -> None:
        """Raise if the function has become another one since."""
        if not self.seen:
            return
        t, then, y = self.seen[0]
        if not all(np.array_equal(raw(p), q) for p, q in zip(parameters, then)):
            return
        with np.errstate(all="ignore"):
            now = raw(replace(self, by=()).on([raw(p) for p in parameters])(t))
        if not np.array_equal(now, y, equal_nan=True):
            raise RuleError(
                f"{where()}: the integrand given to scipy.integrate.{self.rule} has other values now that it is differentiated: it reads "
                "an array that was changed since, or counts, or draws random numbers. Give it a copy, or pass what changes by args=."
            )

    def derivative(self, by: tuple[bool, ...], moving: tuple[bool, ...] = ()) -> Integrand:
        """Return the derivative of every entry by the parameters chosen."""
        return replace(self, by=(*self.by, by), moving=moving)

    def on(self, parameters: Sequence[Any]) -> Callable[[Any], Any]:
        """Return, for given parameters, what gives the entries at a point, in one row."""
        if self.by:
            return lambda t: self._derivative_at(t, parameters)
        f, plain = self.at(parameters), not any(map(is_active, parameters))

        def value(t: Any) -> Any:
            y = f(t)
            if type(y) in TRACED and plain and not is_active(t):
                y = self.plain(y)
            return np.reshape(y if hasattr(y, "dtype") else np.asarray(y, dtype=np.result_type(y, float)), -1)

        return value

    def _derivative_at(self, t: Any, parameters: Sequence[Any]) -> Any:
        *before, by = self.by
        below = replace(self, by=tuple(before))

        def run(given: list[Any]) -> list[Any]:
            own = iter(given)
            return [below.on([next(own) if on else p for p, on in zip(parameters, by)])(t)]

        live = [p for p, on in zip(parameters, by) if on]
        problem = Problem(run, live, self.function, captures_of(self.function), inner=True)
        tape, (value,) = record(problem)
        m, slot = shape_of(value)[0], tape.outputs[0]
        rows = [None] * len(live) if slot < 0 else pull_rows(problem, tape, [(slot, np.eye(m))], (m,))
        blocks = [
            np.zeros((m, size_of(shape_of(p)))) if c is None else np.reshape(c, (m, -1)) for c, p in zip(rows, live)
        ]
        return np.reshape(blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1), -1)

    def points(self, parameters: Sequence[Any]) -> Points | None:
        """Return the function whose first derivative this is at many points; None if that cannot be."""
        below, live = replace(self, by=()), [False, *(self.by[0] if len(self.by) == 1 else ())]
        if len(self.by) != 1 or not serves([0.0, *parameters], live):
            return None
        captures = Captures(self.function)
        captures.told = True

        def problem(given: list[Any]) -> Problem:
            return Problem(lambda leaves: [below.on(leaves[1:])(leaves[0])], given, self.function, captures, inner=True)

        return Points(problem, [0.0, *parameters], live)

    def plain(self, y: Any) -> Any:
        """Return a value of the user's function as a plain one; raise if it depends on what this does not know."""
        y = unwrapped(y)
        if type(y) in TRACED:
            raise RuleError(
                f"{where()}: the integrand given to scipy.integrate.{self.rule} depends on a differentiated value that is neither closed "
                "over nor one of its args= (a global, an attribute of an object, an array that is filled outside). Close over it, or pass "
                "it by args=."
            )
        return y


def _code(f: Any) -> Any:
    return getattr(f, "__code__", f)


# --------------------------------------------------------------------------------------------------
# the quadrature of plain numbers


def _value(a: Any, b: Any, *parameters: Any, integrand: Integrand) -> Any:
    a, b = float(a), float(b)
    return _ENGINES.get(integrand.rule, _one_by_one)(integrand, a, b, parameters)


def _one_by_one(integrand: Integrand, a: float, b: float, parameters: Sequence[Any]) -> Any:
    """Integrate every entry by itself, as far as it takes; points that were met before are not computed again."""
    options = integrand.options
    value = integrand.on(parameters)
    if not integrand.by:
        nodes = integrand.nodes
        nodes.clear()

        def noted(t: float) -> float:
            nodes.append(t)
            return float(raw(value(t))[0])

        answer = scipy.integrate.quad(noted, a, b, **options)
        integrand.note(a, b, parameters, value)
        integrand.answers[:] = [answer]
        return np.array([answer[0]])
    integrand.check(parameters)
    known = _Known(integrand, parameters, value)

    found = []
    at = known.at
    for i in range(len(at(_inside(a, b)))):
        y, error, *more = scipy.integrate.quad(lambda t, i=i: float(at(t)[i]), a, b, **{**options, "full_output": 1})
        if len(more) > 1:  # a message
            _check(integrand, error, max(options["epsabs"], options["epsrel"] * abs(y)), more[1])
        found.append(y)
    return _finite(integrand, np.array(found), integrand.answers[0][0], known.found.values())


def _look_for_jumps(integrand: Integrand, parameters: Sequence[Any], nodes: Any, points: Points | None) -> None:
    """Raise if the function whose derivative is integrated jumps where that moves with a parameter."""
    below = replace(integrand, by=integrand.by[:-1])
    if len(nodes) < 2 or not is_plain(parameters) or (points is not None and points.is_steady()):
        return

    def one_by_one(varied: jumps.Varied) -> Any:
        found, f = [], below.on(parameters)
        with np.errstate(all="ignore"):
            for k, t in enumerate(varied[0].tolist()):
                if len(varied) > 1:
                    f = below.on([varied[1 + i][k] if 1 + i in varied else p for i, p in enumerate(parameters)])
                found.append(np.array(raw(f(t))))
        return np.array(found)

    f = jumps.Function(one_by_one, lambda places: {0: places[:, 0]}, points)
    live = {1 + i: (p, np.abs(p)) for i, (p, on) in enumerate(zip(parameters, _moving(integrand))) if on}
    for jump in f.jumps(nodes[:, None], SMALL):
        if f.moves(jump, live):
            raise _jumping(integrand, jump)


def _moving(integrand: Integrand) -> Sequence[bool]:
    """Return which parameters move."""
    own = iter(integrand.moving)
    return [on and next(own) for on in integrand.by[-1]]


def _look_beside(integrand: Integrand, t: float, other: float, parameters: Sequence[Any]) -> None:
    """Raise if the function has another value at an end that is differentiated than beside it."""
    far = other if math.isfinite(other) else t + math.copysign(1.0, other) * max(1.0, abs(t))
    value = integrand.on(parameters)
    with np.errstate(all="ignore"):
        place = jumps.differs(lambda t, _: np.array(raw(value(t))), (t, 0.0), (far, 0.0), 1e-12)
        if place is not None:
            at, beside = np.array([t]), np.array([place[0]])
            values = [np.array(raw(value(float(z[0])))) for z in (at, beside)]
            raise _jumping(integrand, jumps.Jump(at, beside, values[0], values[1], np.array([0])))


def _jumping(integrand: Integrand, jump: jumps.Jump) -> JumpError:
    what = "a derivative of the function" if integrand.by[1:] else "the function"
    return jumps.error(
        where(), f"{what} given to scipy.integrate.{integrand.rule}", "x", jump, "what is being differentiated", None,
        "Split the interval there, and give each part the function of its side, without a jump at the limit: "
        "quad(left, a, p)[0] + quad(right, p, b)[0].",
    )  # fmt: skip


SMALL = 1e-7
"""A jump less than this, of the size of the integrand there, is none."""
_MANY = 32
"""Points that pay for a program."""


class _Known:
    """The derivative of an integrand at the points where it is known: at once wherever the integrand itself was asked for.

    Other points come one by one, and so many of them pay for a program.
    """

    def __init__(self, integrand: Integrand, parameters: Sequence[Any], value: Callable[[Any], Any]) -> None:
        self.value = value
        self.program = Compiled(value, check_every=None, warns=False)
        self.others = 0 if is_plain(parameters) else None
        self.found: dict[float, Any] = {}
        points = integrand.points(parameters)
        nodes = np.unique(np.array(integrand.nodes, float))
        if points is not None:

            def at_once(t: Any) -> Any:
                return np.reshape(points.at({0: t})[1], (len(t), -1))

            self.value = lambda t: at_once(np.array([t]))[0]
            if len(nodes):
                self.found = dict(zip(nodes.tolist(), at_once(nodes), strict=True))
        _look_for_jumps(integrand, parameters, nodes, points)

    def at(self, t: float) -> Any:
        """Return all entries at a point."""
        found = self.found.get(t)
        if found is None:
            if self.others is not None:
                self.others += 1
                if self.others == _MANY:
                    self.value = self.program
            token = NOTES.set(None)  # around plain numbers, which a program may serve
            try:
                found = self.found[t] = raw(self.value(t))
            finally:
                NOTES.reset(token)
        return found


def _inside(a: float, b: float) -> float:
    if math.isfinite(a) and math.isfinite(b):
        return 0.5 * (a + b)
    return (a + math.copysign(1.0, b)) if math.isfinite(a) else b + math.copysign(1.0, a) if math.isfinite(b) else 0.0


def _together(integrand: Integrand, a: float, b: float, parameters: Sequence[Any]) -> Any:
    """Integrate all entries on the same intervals, until the norm of the error is small."""
    options, value = integrand.options, integrand.on(parameters)
    if not integrand.by:
        f = integrand.at(parameters)
        nodes = integrand.nodes
        nodes.clear()

        def noted(t: float) -> Any:
            nodes.append(t)
            return integrand.plain(f(t))

        answer = scipy.integrate.quad_vec(noted, a, b, **options)
        integrand.answers[:] = [answer]
        integrand.note(a, b, parameters, value)
        return np.reshape(answer[0], -1)
    integrand.check(parameters)
    known = _Known(integrand, parameters, value)
    y, error, info = scipy.integrate.quad_vec(known.at, a, b, **{**options, "full_output": True})
    if not info.success:
        size = float(np.max(np.abs(y), initial=0.0)) if options["norm"] == "max" else float(np.linalg.norm(y))
        _check(integrand, error, max(options["epsabs"], options["epsrel"] * size), info.message)
    return _finite(integrand, y, integrand.answers[0][0], known.found.values())


def _by_levels(integrand: Integrand, a: float, b: float, parameters: Sequence[Any]) -> Any:
    """Integrate every entry by itself, by the substitution whose weights fall doubly exponentially."""
    options, value = integrand.options, integrand.on(parameters)
    known: dict[float, Any] = {}

    def at(t: float) -> Any:  # of NumPy's numbers, as SciPy's are, which an end may be among
        if t not in known:
            known[t] = raw(value(t))
        return known[t]

    def entry(i: int) -> Any:
        return scipy.integrate.tanhsinh(
            lambda t: np.reshape([at(one)[i] for one in np.ravel(t)], np.shape(t)), a, b, **options
        )

    if not integrand.by:
        integrand.note(a, b, parameters, value)
        integrand.answers[:] = [entry(0)]
        integrand.nodes[:] = known
        return np.array([integrand.answers[0].integral])
    integrand.check(parameters)
    _look_for_jumps(integrand, parameters, np.unique(np.array(integrand.nodes, float)), None)
    found = []
    for i in range(len(at(_inside(a, b)))):
        answer = entry(i)
        if not answer.success:
            rtol = float(np.finfo(float).eps ** 0.75) if options["rtol"] is None else options["rtol"]
            allowed = max(options["atol"] or 0.0, rtol * abs(answer.integral))
            _check(integrand, answer.error, allowed, f"status {answer.status}", "atol=, rtol= and maxlevel=")
        found.append(answer.integral)
    return _finite(integrand, np.array(found), integrand.answers[0].integral, known.values())


_ENGINES = {"quad_vec": _together, "tanhsinh": _by_levels}
_MORE = "epsabs= and epsrel=, raise limit=, or give the places where it is difficult as points="


def _check(integrand: Integrand, error: float, allowed: float, message: str, more: str = _MORE) -> None:
    text = " ".join(str(message).split())
    if "divergent" in text:  # whatever the estimate of the error, which extrapolation makes
        raise _diverges(integrand, error, allowed)
    if not error <= allowed:
        raise InaccurateIntegralError(
            f"{where()}: the value of scipy.integrate.{integrand.rule} is found, but the integral of its derivative is not: its error is "
            f"{error:.2g} where the tolerances allow {allowed:.2g} ({text}). Allow more with {more}.",
            error,
            allowed,
        )


def _finite(integrand: Integrand, found: Any, value: Any, points: Iterable[Any]) -> Any:
    """Return integrals of derivatives; raise if one diverges of a function that has an integral."""
    if not np.all(np.isfinite(found)) and np.all(np.isfinite(value)):
        somewhere = np.any([np.isfinite(y) for y in points], axis=0)
        if np.any(somewhere & ~np.isfinite(found)):
            raise _diverges(integrand)
    return found


def _diverges(integrand: Integrand, error: float = math.inf, allowed: float = math.nan) -> InaccurateIntegralError:
    return InaccurateIntegralError(
        f"{where()}: the value of scipy.integrate.{integrand.rule} is found, but the integral of its derivative is probably divergent, or "
        "converges too slowly. Where the integrand is singular at a place that moves, substitute such that it does not, and integrate "
        "each side of it by itself: quad(lambda u: p*f(p*u), 0, 1) for quad(f, 0, p).",
        error,
        allowed,
    )


# --------------------------------------------------------------------------------------------------
# the row


LIMITS = (1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10)
"""How near to an end, of what it is apart from the other one, a limit is looked for."""


def _edge(integrand: Integrand, k: int, args: Sequence[Any], out: Any) -> Any:
    """Return what the integral grows by when its lower or upper end moves; None at infinity, where nothing is left.

    That is the limit of the integrand there. Quadrature touches no end, so that it may have no value, or one that rounding spoils.
    """
    t, other, *parameters = args[k], args[1 - k], *args[2:]
    end, far = float(raw(t)), float(raw(other))
    if math.isinf(end):
        return None
    plain = [raw(p) for p in parameters]
    beside = _inside(end, far) - end
    if np.all(np.isfinite(raw(out))) and beside and not np.all(np.isfinite(_tried(integrand, plain, end))):
        t = t + _nearest(integrand, plain, end, beside)
        end = float(raw(t))
    _look_beside(integrand, end, far, plain)
    return _weighed(integrand, t, integrand.on(parameters)(t))


def _weighed(integrand: Integrand, t: Any, y: Any) -> Any:
    """Return a value of the integrand with the weight of the quadrature."""
    kind, at = integrand.options.get("weight"), integrand.options.get("wvar")
    if kind in ("cos", "sin"):
        return y * (np.cos if kind == "cos" else np.sin)(at * t)
    return y / (t - at) if kind == "cauchy" else y


def _tried(integrand: Integrand, parameters: Sequence[Any], t: float) -> Any:
    """Return the values at a point in plain numbers, NaN where Python's arithmetic raises."""
    with np.errstate(all="ignore"):
        try:
            return np.asarray(raw(_weighed(integrand, t, integrand.on(parameters)(t))))
        except (ArithmeticError, ValueError):
            return np.full(1, np.nan)


def _nearest(integrand: Integrand, parameters: Sequence[Any], end: float, beside: float) -> float:
    """Return a step from an end to where the integrand is its limit there; raise if it has none."""
    smallest = 4 * math.ulp(end) / abs(beside)
    steps = [beside * max(part, smallest * 4**i) for i, part in enumerate(LIMITS)]
    tried = [(step, _tried(integrand, parameters, end + step)) for step in steps]
    there = [(step, y) for step, y in tried if np.all(np.isfinite(y))]
    if len(there) > 1:
        step, limit = there[0]
        size = np.abs(limit) + np.abs(_tried(integrand, parameters, end + beside))
        if np.all([np.abs(y - limit) <= 1e-6 * size for _, y in there[1:]]):
            return step
    raise _without_limit(integrand, end)


def _without_limit(integrand: Integrand, end: float) -> InaccurateIntegralError:
    what = "its derivative" if integrand.by else "its value"
    return InaccurateIntegralError(
        f"{where()}: the integrand given to scipy.integrate.{integrand.rule} is singular at the limit {end:.6g}, which is being "
        f"differentiated: {what} there is a term of the derivative of the integral, and is not finite. Integrate between limits that do "
        "not move: t = a + (b - a)*u turns it into quad(lambda u: (b - a)*f(a + (b - a)*u), 0, 1).",
        math.inf,
    )


def side_by_side(tangents: Sequence[Any], parameters: Sequence[Any], lead: tuple[int, ...]) -> Any:
    """Return the tangents of parameters, those that have one, as one row for each direction."""
    live = [np.reshape(t, (*lead, size_of(shape_of(p)))) for t, p in zip(tangents, parameters) if t is not None]
    return np.concatenate(live, axis=-1)


def apart(row: Any, on: Sequence[bool], parameters: Sequence[Any], lead: tuple[int, ...]) -> list[Any]:
    """Return the covectors of parameters, those that are on, out of one row for each direction."""
    found, at = [], 0
    for p, is_on in zip(parameters, on, strict=True):
        size = size_of(shape_of(p)) if is_on else 0
        found.append(np.reshape(row[..., at : at + size], (*lead, *shape_of(p))) if is_on else None)
        at += size
    return found


class _Integral(General):
    def _jacobian(self, ts: Sequence[Any], args: Sequence[Any], integrand: Integrand, out: Any) -> Any:
        """Return the integrals of the derivatives of all entries by the parameters that have tangents."""
        moving = [type(t) in TRACED or bool(np.any(t)) for t in ts if t is not None]
        derivative = integrand.derivative(tuple([t is not None for t in ts]), tuple(moving))
        flat = bind(self, args, {"integrand": derivative})
        return np.reshape(flat, (shape_of(out)[0], -1))

    def _pushed(self, sweep: Sweep, ts: Any, out: Any, *args: Any, integrand: Integrand) -> Any:
        total: Any = 0.0
        for k, (t, sign) in enumerate(zip(ts[:2], (-1, 1))):
            stays = t is None or (type(t) not in TRACED and not np.any(t))
            edge = None if stays else _edge(integrand, k, args, out)
            if edge is not None:
                total = total + sign * t[..., None] * edge
        if any(t is not None for t in ts[2:]):
            total = total + side_by_side(ts[2:], args[2:], sweep.lead) @ self._jacobian(ts[2:], args, integrand, out).T
        return total

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        integrand = params["integrand"]
        on = [i is not None and i >= 0 for i in ins]
        found: list[Any] = [None] * len(ins)
        for k, sign in ((0, -1), (1, 1)):
            edge = _edge(integrand, k, args, out) if on[k] else None
            if edge is not None:
                found[k] = sign * np.sum(g * edge, axis=-1)
        if any(on[2:]):
            whole = g @ self._jacobian([1.0 if o else None for o in on[2:]], args, integrand, out)
            found[2:] = apart(whole, on[2:], args[2:], sweep.lead)
        return found

    def __init__(self) -> None:
        super().__init__("scipy.integrate.quad", _value, self._pushed, lambda *_: ())


integral_ = _Integral()


def integral(integrand: Integrand, a: Any, b: Any, parameters: Sequence[Any]) -> Any:
    """Return the integral of every entry of an integrand, in one row."""
    args = [_double(v) for v in (a, b, *parameters)]
    return bind(integral_, args, {"integrand": integrand})


def _double(x: Any) -> Any:
    return float(x) if type(x) in (int, bool) else x


def is_complex(parameters: Sequence[Any]) -> bool:
    """Whether a parameter is a complex number, of which an integral is not differentiated."""
    return any(dtype_of(p).kind == "c" for p in parameters)


__all__ = ["SMALL", "Integrand", "apart", "integral", "is_complex", "side_by_side"]
