"""Integrals of ``scipy.integrate``, by their limits and by whatever differentiated values their integrands are given or close over.

Rules with fixed nodes (``trapezoid``, ``romb``, ``fixed_quad``, ``cumulative_simpson`` …) run captured as they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy
import scipy.integrate

from dualdiff.capture.active import any_active, is_active, plain_call
from dualdiff.capture.closures import Fresh, lifted
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.scipy.answers import Result
from dualdiff.scipy.integrals import Integrand, integral, is_complex
from dualdiff.scipy.room import Room, rounded_as
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import fixed, operand

ROOM = Room("scipy.integrate")


def _applied(func: Any, args: tuple[Any, ...], t: Any) -> Any:
    return func(t, *args)


def _differentiated(
    rule: str, func: Any, a: Any, b: Any, args: Any, options: dict[str, Any], shown: Callable[[Any], Any] | None = None
) -> tuple[Any, Any] | None:
    """Return the integral of a function, in one row, and SciPy's own answer; None if nothing in it is differentiated.

    ``shown`` makes of the function's value what is integrated.
    """
    args = args if isinstance(args, tuple) else (args,)
    caught: list[Any] = []
    again = lifted(partial(_applied, func, args), caught, settled=True)
    if not any_active((a, b, caught), {}):
        return None
    if not callable(func) or isinstance(func, scipy.LowLevelCallable):
        raise UnsupportedFunctionError(
            f"{where()}: the integrand given to scipy.integrate.{rule} is compiled code, which cannot carry a derivative. Write it "
            "in Python."
        )
    if is_complex(caught):
        raise UnsupportedFunctionError(
            f"{where()}: scipy.integrate.{rule} is not differentiated by a complex number that its integrand depends on. Let the integrand "
            "depend on its real and imaginary parts."
        )

    def at(parameters: Any) -> Callable[[Any], Any]:
        f = again(Fresh(parameters))
        return f if shown is None else lambda t: shown(f(t))

    integrand = Integrand(func, at, rule, options)
    whole = integral(integrand, operand(a), operand(b), [operand(p) for p in caught])
    return whole, integrand.answers[0] if integrand.answers else None


def guarded(rule: str, func: Any) -> Any:
    """Return a function that refuses by name to return what carries a derivative that nobody sees from outside."""
    if not callable(func) or isinstance(func, scipy.LowLevelCallable):
        return func
    integrand = Integrand(func, lambda _: func, rule, {})
    return lambda *args: integrand.plain(func(*args))


@ROOM.function("quad", kind="general", solver=True)
def quad(
    func: Any,
    a: Any,
    b: Any,
    args: Any = (),
    full_output: Any = 0,
    epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8,
    limit: int = 50,
    points: Any = None,
    weight: Any = None,
    wvar: Any = None,
    wopts: Any = None,
    maxp1: int = 50,
    limlst: int = 50,
    complex_func: bool = False,
) -> Any:
    """Integrate a function over an interval, as :func:`scipy.integrate.quad`; the derivative is integrated to the same tolerances."""
    options: dict[str, Any] = {
        "full_output": full_output,
        "epsabs": epsabs,
        "epsrel": epsrel,
        "limit": limit,
        "points": fixed(points, "the difficult points of quad"),
        "weight": weight,
        "wvar": fixed(wvar, "the variable wvar of quad's weight"),
        "wopts": wopts,
        "maxp1": maxp1,
        "limlst": limlst,
    }
    if isinstance(weight, str) and weight.startswith("alg") and any(map(is_active, (a, b))):
        raise UnsupportedFunctionError(
            f"{where()}: scipy.integrate.quad with weight={weight!r} is not differentiated by its limits, where the weight is singular. "
            "Map the interval to one with fixed limits first."
        )
    if not complex_func:
        found = _differentiated("quad", func, a, b, args, options)
        if found is None:
            return plain_call(scipy.integrate.quad, (guarded("quad", func), a, b, args), options)
        return found[0][0], *found[1][1:]
    real, imaginary = (_differentiated("quad", func, a, b, args, options, part) for part in (np.real, np.imag))
    if real is None or imaginary is None:
        return plain_call(scipy.integrate.quad, (guarded("quad", func), a, b, args), {**options, "complex_func": True})
    value, error = real[0][0] + 1j * imaginary[0][0], real[1][1] + 1j * imaginary[1][1]
    return (value, error, {"real": real[1][2:], "imag": imaginary[1][2:]}) if full_output else (value, error)


@ROOM.function("quad_vec", kind="general", solver=True)
def quad_vec(
    f: Any,
    a: Any,
    b: Any,
    epsabs: float = 1e-200,
    epsrel: float = 1e-8,
    norm: str = "2",
    cache_size: float = 100e6,
    limit: float = 10000,
    workers: Any = 1,
    points: Any = None,
    quadrature: Any = None,
    full_output: bool = False,
    *,
    args: Any = (),
) -> Any:
    """Integrate a function with array values, as :func:`scipy.integrate.quad_vec`; so is its derivative, to the same tolerances."""
    options = {
        "epsabs": epsabs,
        "epsrel": epsrel,
        "norm": norm,
        "cache_size": cache_size,
        "limit": limit,
        "workers": workers,
        "points": fixed(points, "the difficult points of quad_vec"),
        "quadrature": quadrature,
        "full_output": full_output,
    }
    found = _differentiated("quad_vec", f, a, b, args, options, _real_only)
    if found is None:
        return plain_call(scipy.integrate.quad_vec, (guarded("quad_vec", f), a, b), {**options, "args": args})
    whole, answer = found
    return np.reshape(whole, np.shape(answer[0]))[()], *answer[1:]


@ROOM.function("tanhsinh", kind="general", solver=True)
def tanhsinh(
    f: Any,
    a: Any,
    b: Any,
    *,
    args: Any = (),
    kwargs: Any = None,
    log: bool = False,
    maxlevel: Any = None,
    minlevel: Any = 2,
    atol: Any = None,
    rtol: Any = None,
    preserve_shape: bool = False,
    callback: Any = None,
) -> Any:
    """Integrate entry by entry, as :func:`scipy.integrate.tanhsinh`; so are the derivatives, to the same tolerances."""
    args = args if isinstance(args, tuple) else (args,)
    if kwargs:  # of SciPy since 1.18; they are broadcast as the others are
        f, args = _by_position(f, len(args), list(kwargs)), (*args, *kwargs.values())
    options = {"maxlevel": maxlevel, "minlevel": minlevel, "atol": fixed(atol), "rtol": fixed(rtol)}
    if log or preserve_shape or callback is not None:
        caught: list[Any] = []
        lifted(f, caught)
        if any_active((a, b, args, caught), {}):
            raise UnsupportedFunctionError(
                f"{where()}: scipy.integrate.tanhsinh with log=True, preserve_shape=True or a callback is not differentiated. Integrate "
                "entry by entry, without a callback, and the function itself rather than its logarithm."
            )
        found = []
    else:
        start, end, *given = np.broadcast_arrays(*[operand(v) for v in (a, b, *args)])
        shape = shape_of(start)
        places = list(np.ndindex(shape))
        found = [
            _differentiated("tanhsinh", f, start[k], end[k], tuple([v[k] for v in given]), options) for k in places
        ]
    if not any(part is not None for part in found):
        more = {"log": log, "preserve_shape": preserve_shape, "callback": callback}
        return plain_call(scipy.integrate.tanhsinh, (guarded("tanhsinh", f), a, b), {"args": args, **options, **more})
    values, answers = zip(*[part for part in found if part is not None])
    known = [k for k in answers[0] if not k.startswith("_")]
    fields = {k: np.reshape([answer[k] for answer in answers], shape)[()] for k in known}
    fields["integral"] = np.reshape(np.stack([v[0] for v in values]), shape)[()]
    return Result(fields, {})


def _by_position(f: Any, count: int, names: list[str]) -> Any:
    return lambda x, *given: f(x, *given[:count], **dict(zip(names, given[count:])))


def _real_only(y: Any) -> Any:
    if dtype_of(operand(y)).kind == "c":
        raise UnsupportedFunctionError(
            f"{where()}: scipy.integrate.quad_vec of a function with complex values is not differentiated. Integrate its real and "
            "imaginary parts: np.stack([y.real, y.imag])."
        )
    return y


# --------------------------------------------------------------------------------------------------
# several variables, one inside the other


def _nested(func: Any, ranges: list[Any], options: list[Any], args: tuple[Any, ...], full_output: Any) -> Any:
    errors, count = [0.0], [0]

    def over(depth: int) -> Any:
        inner = func if depth == 0 else over(depth - 1)
        limits, choice = ranges[depth], options[depth]

        def integrate(*later: Any) -> Any:
            low, high = limits(*later) if callable(limits) else limits
            chosen = dict(choice(*later) if callable(choice) else choice)
            if "points" in chosen:
                chosen["points"] = [p for p in chosen["points"] if low <= p <= high]
            value, error, *more = quad(inner, low, high, later, full_output, **chosen)
            errors[0] = max(errors[0], error)
            if full_output and depth == 0:
                count[0] += more[0]["neval"]
            return value

        return integrate

    value = over(len(ranges) - 1)(*args)
    return (value, errors[0], {"neval": count[0]}) if full_output else (value, errors[0])


@ROOM.function("nquad", solver=True)
def nquad(func: Any, ranges: Any, args: Any = None, opts: Any = None, full_output: bool = False) -> Any:
    """Integrate over several variables, as :func:`scipy.integrate.nquad`."""
    ranges = list(ranges)
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    options = [opts] * len(ranges) if opts is None or isinstance(opts, dict) else list(opts)
    options = [{} if o is None else o for o in options]
    if len(options) != len(ranges):
        raise ValueError("opts must have an element for each of the ranges")
    return _nested(func, ranges, options, args, full_output)


@ROOM.function("dblquad", solver=True)
def dblquad(
    func: Any, a: Any, b: Any, gfun: Any, hfun: Any, args: Any = (), epsabs: float = 1.49e-8, epsrel: float = 1.49e-8
) -> Any:
    """Integrate over two variables, as :func:`scipy.integrate.dblquad`."""

    def inner(*later: Any) -> Any:
        return [f(later[0]) if callable(f) else f for f in (gfun, hfun)]

    return nquad(func, [inner, [a, b]], args=args, opts={"epsabs": epsabs, "epsrel": epsrel})


@ROOM.function("tplquad", solver=True)
def tplquad(
    func: Any,
    a: Any,
    b: Any,
    gfun: Any,
    hfun: Any,
    qfun: Any,
    rfun: Any,
    args: Any = (),
    epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8,
) -> Any:
    """Integrate over three variables, as :func:`scipy.integrate.tplquad`."""

    def innermost(*later: Any) -> Any:
        return [f(later[1], later[0]) if callable(f) else f for f in (qfun, rfun)]

    def inner(*later: Any) -> Any:
        return [f(later[0]) if callable(f) else f for f in (gfun, hfun)]

    return nquad(func, [innermost, inner, [a, b]], args=args, opts={"epsabs": epsabs, "epsrel": epsrel})


# --------------------------------------------------------------------------------------------------
# sampled data


def _over(a: Any, b: Any) -> Any:
    """Return a quotient, and 0 where there is nothing to divide by, as between samples in one place."""
    none = np.equal(b, 0)
    return np.where(none, 0.0, a / np.where(none, 1.0, b))


def _pairs(y: Any, d: Any) -> Any:
    """Return Simpson's sum over pairs of intervals."""
    first, second = d[..., 0::2], d[..., 1::2]
    both, ratio = first + second, _over(first, second)
    inner = y[..., 1:-1:2] * (both * _over(both, first * second))
    return np.sum(
        both / 6.0 * (y[..., :-2:2] * (2.0 - _over(1.0, ratio)) + inner + y[..., 2::2] * (2.0 - ratio)), axis=-1
    )


@ROOM.function("simpson")
def simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1, even: Any = "simpson") -> Any:
    """Integrate samples by Simpson's rule, as :func:`scipy.integrate.simpson`; ``even`` is an option of SciPy 1.13."""
    if even != "simpson":
        raise UnsupportedFunctionError(
            f"{where()}: scipy.integrate.simpson with even={even!r}, which SciPy has given up, is not differentiated. Leave it away."
        )
    return rounded_as(scipy.integrate.simpson, _simpson(operand(y), x, dx, axis), y, x=x, dx=dx, axis=axis)


def _simpson(y: Any, x: Any, dx: Any, axis: int) -> Any:
    n, rank = shape_of(y)[axis], len(shape_of(y))
    y = np.moveaxis(y, axis, -1)
    if x is None:
        d = dx * np.ones(max(n - 1, 0))
    else:
        x = operand(x)
        if len(shape_of(x)) not in (1, rank):
            raise ValueError("If given, shape of x must be 1-D or the same as y.")
        if len(shape_of(x)) > 1 or rank == 1:
            x = np.moveaxis(x, axis if len(shape_of(x)) == rank else -1, -1)
        if shape_of(x)[-1] != n:
            raise ValueError("If given, length of x along axis must be the same as y.")
        d = np.diff(x)
    if n % 2:
        return _pairs(y, d)
    if n == 2:
        return 0.5 * d[..., -1] * (y[..., -1] + y[..., -2])
    before, last = d[..., -2], d[..., -1]
    alpha = _over(2 * last**2 + 3 * before * last, 6 * (last + before))
    beta = _over(last**2 + 3 * before * last, 6 * before)
    eta = _over(last**3, 6 * before * (before + last))
    return _pairs(y[..., :-1], d[..., :-1]) + alpha * y[..., -1] + beta * y[..., -2] - eta * y[..., -3]


__all__ = ["ROOM", "guarded", "quad"]
