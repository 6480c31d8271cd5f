"""Integrals over boxes of ``scipy.integrate``: by parameters the integral of the derivative, by a limit that over the side of the box.

The derivative is a function of the same variables, integrated by the same rule to the same tolerances, relative to the integral of its
absolute value: entries that cancel, or are zero, need no more points than others.

References
----------
Flanders, "Differentiation under the integral sign", Amer. Math. Monthly 80 (1973), 615–627, doi:10.2307/2319163.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import scipy.integrate

from dualdiff.capture import captures_of
from dualdiff.capture.active import any_active, is_active, plain_call
from dualdiff.capture.closures import Fresh, lifted
from dualdiff.errors import InaccurateIntegralError, UnsupportedFunctionError, where
from dualdiff.kinds import General, Sweep
from dualdiff.operators.solutions import is_plain
from dualdiff.passes.push import push
from dualdiff.scipy import jumps
from dualdiff.scipy.answers import PATH, Result
from dualdiff.scipy.integrals import SMALL, Integrand, apart, is_complex, side_by_side
from dualdiff.scipy.quadrature import guarded
from dualdiff.scipy.room import Room
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import TRACED, bind, fixed, operand, raw
from dualdiff.ways.problem import Problem, record

ROOM = Room("scipy.integrate")


class Density(Integrand):
    """A function of many points, in rows, and of parameters, or its derivative by some of them: a row of numbers for each point."""

    __slots__ = ()

    def on(self, parameters: Sequence[Any]) -> Callable[[Any], Any]:
        """Return, for given parameters, what gives the entries at points."""
        if self.by:
            return lambda xs: self._derivative_at(xs, parameters)
        f, plain = self.at(parameters), not any(map(is_active, parameters))

        def values(xs: Any) -> Any:
            y = operand(f(xs))
            if type(y) in TRACED and plain and not is_active(xs):
                y = self.plain(y)
            if dtype_of(y).kind == "c":
                raise UnsupportedFunctionError(
                    f"{where()}: scipy.integrate.cubature of a function with complex values is not differentiated. Integrate its real and "
                    "imaginary parts, along a last axis: np.stack([y.real, y.imag], axis=-1)."
                )
            return np.reshape(y, (shape_of(xs)[0], size_of(shape_of(y)[1:])))

        return values

    def _derivative_at(self, xs: Any, parameters: Sequence[Any]) -> Any:
        *before, by = self.by
        below = replace(self, by=tuple(before))
        live = [p for p, on in zip(parameters, by) if on]

        def run(given: list[Any]) -> list[Any]:
            own = iter(given)
            return [below.on([next(own) if on else p for p, on in zip(parameters, by)])(xs)]

        tape, (y,) = record(Problem(run, live, self.function, captures_of(self.function), inner=True), replayable=True)
        count = sum([size_of(shape_of(p)) for p in live])
        seeds, at = [], 0
        for p in live:
            n = size_of(shape_of(p))
            seeds.append(np.reshape(np.eye(count)[:, at : at + n], (count, *shape_of(p))))
            at += n
        (t,) = push(tape, seeds, tape.outputs, (count,)) if tape.outputs[0] >= 0 else (None,)
        t = np.zeros((count, *shape_of(y))) if t is None else t
        return np.reshape(np.moveaxis(t, 0, -1), (shape_of(y)[0], shape_of(y)[1] * count))


# --------------------------------------------------------------------------------------------------
# the cubature of plain numbers

_LOOKS = 33
"""Points of the box, at random, between which jumps are looked for along straight lines."""


def _path(a: Any, b: Any) -> Any:
    """Return points of a box, whose sides may be infinite, one in a row."""
    u = np.random.default_rng(0).uniform(size=(_LOOKS, len(a)))
    with np.errstate(invalid="ignore"):
        near, far = a + u / (1 - u), b - u / (1 - u)
        one_sided = np.where(np.isfinite(a), near, np.where(np.isfinite(b), far, np.tan(np.pi * (u - 0.5))))
        return np.where(np.isfinite(a) & np.isfinite(b), a + u * (b - a), one_sided)


def _look_for_jumps(integrand: Density, a: Any, b: Any, parameters: Sequence[Any]) -> None:
    """Raise if the function whose derivative is integrated jumps where that moves with a parameter."""
    below = replace(integrand, by=integrand.by[:-1])
    if not is_plain(parameters):
        return

    def values(varied: jumps.Varied) -> Any:
        with np.errstate(all="ignore"):
            if len(varied) == 1:
                return np.array(raw(below.on(parameters)(varied[0])))
            found = []
            for k, x in enumerate(varied[0]):
                f = below.on([varied[1 + i][k] if 1 + i in varied else p for i, p in enumerate(parameters)])
                found.append(raw(f(x[None]))[0])
            return np.array(found)

    f = jumps.Function(values, lambda places: {0: places})
    live = {1 + i: (p, np.abs(p)) for i, (p, on) in enumerate(zip(parameters, integrand.by[-1])) if on}
    for jump in f.jumps(_path(a, b), SMALL):
        if f.moves(jump, live):
            raise jumps.error(
                where(), "the function given to scipy.integrate.cubature", "x[0]", jump, "what is being differentiated", None,
                "Integrate over that variable alone with quad, in two parts, inside of an integral over the others; or choose variables "
                "in which the place stands still.",
            )  # fmt: skip


def _value(a: Any, b: Any, *parameters: Any, integrand: Density) -> Any:
    options, values = integrand.options, integrand.on(parameters)
    middle = np.where(
        np.isfinite(a) & np.isfinite(b), 0.5 * (a + b), np.where(np.isfinite(a), a, np.where(np.isfinite(b), b, 0.0))
    )
    if not integrand.by:
        answer = scipy.integrate.cubature(values, a, b, **options)
        integrand.answers[:] = [answer]
        with np.errstate(all="ignore"):
            integrand.seen[:] = [(middle[None], [np.copy(p) for p in parameters], raw(values(middle[None])))]
        return np.reshape(answer.estimate, -1)
    integrand.check(parameters)
    _look_for_jumps(integrand, a, b, parameters)

    def plain(xs: Any) -> Any:
        return raw(values(xs))

    sizes = scipy.integrate.cubature(
        lambda xs: np.abs(plain(xs)), a, b, **{**options, "rtol": 1.0, "atol": math.inf}
    ).estimate
    allowed = options["atol"] + options["rtol"] * np.abs(sizes)
    answer = scipy.integrate.cubature(plain, a, b, **{**options, "atol": allowed})
    if answer.status != "converged":
        error, bar = float(np.max(answer.error)), float(np.min(allowed))
        raise InaccurateIntegralError(
            f"{where()}: the value of scipy.integrate.cubature is found, but the integral of its derivative is not: its error is "
            f"{error:.2g} where the tolerances allow {bar:.2g}. Allow more with atol= and rtol=, raise max_subdivisions=, or give the "
            "places where it is difficult as points=.",
            error,
            bar,
        )
    return np.reshape(answer.estimate, -1)


# --------------------------------------------------------------------------------------------------
# the row


def _side(integrand: Density, k: int, i: int, args: Sequence[Any]) -> Any:
    """Return the integrals over a side of the box, where one variable is at its first limit, or its last; None at infinity."""
    a, b, *parameters = args
    at = args[k][i]
    if math.isinf(float(raw(at))):
        return None
    n = shape_of(a)[0]
    if n == 1:
        return integrand.on(parameters)(np.reshape(at, (1, 1)))[0]
    others = [j for j in range(n) if j != i]
    rule, points = integrand.options["rule"], integrand.options["points"]
    if not isinstance(rule, str):
        raise UnsupportedFunctionError(
            f"{where()}: scipy.integrate.cubature with a rule of your own is not differentiated by its limits, since sides of the box have "
            "a variable less. Name a rule, rule='gk21'."
        )
    if rule == "genz-malik" and n == 2:  # it is one for two variables or more
        rule = "gk21"
    less = {
        **integrand.options,
        "rule": rule,
        "points": None if points is None else [np.asarray(p)[others] for p in points],
    }
    face = replace(
        integrand,
        at=lambda given: partial(_beside, integrand.at(given[:-1]), given[-1], i),
        by=tuple([(*by, False) for by in integrand.by]),
        options=less,
        answers=[],
        seen=[],
    )
    return bind(volume_, (a[others], b[others], *parameters, at), {"integrand": face})


def _grown(integrand: Density, k: int, i: int, args: Sequence[Any], out: Any) -> Any:
    """Return what :func:`_side` does; raise if that is no number although the integral is one."""
    side = _side(integrand, k, i, args)
    if side is not None and np.all(np.isfinite(raw(out))) and not np.all(np.isfinite(raw(side))):
        raise InaccurateIntegralError(
            f"{where()}: the integrand given to scipy.integrate.cubature has no finite value at the limit {float(raw(args[k][i])):.6g} of "
            f"variable {i}, which is being differentiated, and that value is a term of the derivative of the integral. Integrate between "
            "limits that do not move: x = a + (b - a)*u, with u from 0 to 1.",
            math.inf,
        )
    return side


def _beside(f: Callable[[Any], Any], at: Any, i: int, xs: Any) -> Any:
    """Return the function at points of a side."""
    column = np.broadcast_to(at, (shape_of(xs)[0], 1))
    return f(np.concatenate([xs[:, :i], column, xs[:, i:]], axis=1))


class _Volume(General):
    def _jacobian(self, on: Sequence[bool], args: Sequence[Any], integrand: Density, out: Any) -> Any:
        flat = bind(self, args, {"integrand": integrand.derivative(tuple(on))})
        m = shape_of(out)[0]
        return np.reshape(flat, (m, shape_of(flat)[0] // m if m else 0))

    def _pushed(self, sweep: Sweep, ts: Any, out: Any, *args: Any, integrand: Density) -> Any:
        total: Any = np.zeros((*sweep.lead, *shape_of(out)))
        on = [t is not None for t in ts[2:]]
        if any(on):
            total = total + side_by_side(ts[2:], args[2:], sweep.lead) @ self._jacobian(on, args, integrand, out).T
        for k, sign in ((0, -1), (1, 1)):
            for i in range(shape_of(args[k])[0]) if ts[k] is not None else ():
                t = ts[k][..., i, None]
                stays = type(t) not in TRACED and not np.any(t)
                side = None if stays else _grown(integrand, k, i, args, out)
                if side is not None:
                    total = total + sign * t * side
        return total

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        integrand = params["integrand"]
        on = [i is not None and i >= 0 for i in ins]
        found: list[Any] = [None] * len(ins)
        for k, sign in ((0, -1), (1, 1)):
            if on[k]:
                sides = [_grown(integrand, k, i, args, out) for i in range(shape_of(args[k])[0])]
                none = np.zeros(sweep.lead)
                found[k] = np.stack([none if s is None else sign * np.sum(g * s, axis=-1) for s in sides], axis=-1)
        if any(on[2:]):
            whole = g @ self._jacobian(on[2:], args, integrand, out)
            found[2:] = apart(whole, on[2:], args[2:], sweep.lead)
        return found

    def __init__(self) -> None:
        super().__init__("scipy.integrate.cubature", _value, self._pushed, lambda *_: ())


volume_ = _Volume()


def _applied(f: Any, args: tuple[Any, ...], xs: Any) -> Any:
    return f(xs, *args)


@ROOM.function("cubature", kind="general", solver=True)
def cubature(
    f: Any,
    a: Any,
    b: Any,
    *,
    rule: Any = "gk21",
    rtol: float = 1e-8,
    atol: float = 0,
    max_subdivisions: Any = 10000,
    args: Any = (),
    workers: Any = 1,
    points: Any = None,
) -> Any:
    """Integrate over a box, as :func:`scipy.integrate.cubature`; so is the derivative, to the same tolerances."""
    options = {
        "rule": rule,
        "rtol": rtol,
        "atol": atol,
        "max_subdivisions": max_subdivisions,
        "points": fixed(points, "the difficult points of cubature"),
    }
    caught: list[Any] = []
    again = lifted(partial(_applied, f, tuple(args)), caught, settled=True)
    if not any_active((a, b, caught), {}):
        return plain_call(
            scipy.integrate.cubature, (guarded("cubature", f), a, b), {**options, "args": args, "workers": workers}
        )
    if is_complex(caught):
        raise UnsupportedFunctionError(
            f"{where()}: scipy.integrate.cubature is not differentiated by a complex number that its integrand depends on. Let the "
            "integrand depend on its real and imaginary parts."
        )
    a, b = np.broadcast_arrays(operand(a) * 1.0, operand(b) * 1.0)
    form: list[Any] = []

    def at(parameters: Any) -> Callable[[Any], Any]:
        own = again(Fresh(parameters))

        def values(xs: Any) -> Any:
            y = own(xs)
            form[:] = [shape_of(y)[1:]]
            return y

        return values

    integrand = Density(f, at, "cubature", options)
    whole = bind(volume_, (a, b, *[operand(p) for p in caught]), {"integrand": integrand})
    answer = integrand.answers[0]
    fields = {k: getattr(answer, k) for k in ("error", "status", "subdivisions", "regions", "rtol", "atol")}
    return Result({**fields, "estimate": np.reshape(whole, form[0]) if form[0] else whole[0]}, {"regions": PATH})


__all__ = ["ROOM", "Density", "cubature"]
