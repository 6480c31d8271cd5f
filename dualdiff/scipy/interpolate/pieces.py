"""Piecewise polynomials: evaluated, differentiated and integrated in their argument, coefficients and breakpoints.

An object that carries a derivative is one of SciPy's class, or of its parents', whose methods are those below.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from scipy import interpolate as scipy_interpolate

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.kinds import Discrete, Elementwise
from dualdiff.kinds.kinks import Kink, size
from dualdiff.operators import stop_gradient
from dualdiff.register import Facts
from dualdiff.rules.absent import missing
from dualdiff.rules.elementwise import cast
from dualdiff.scipy.room import Room
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import CARRYING, bind, decided, fixed, operand

ROOM = Room("scipy.interpolate")

joint = Discrete("scipy.interpolate", lambda distance: np.equal(distance, 0))
"""Whether a point is one of those at which two pieces meet with different slopes."""
joint.kink = Kink(
    size, "the mean of the slopes beside the breakpoint", "points between the breakpoints, or a smoother interpolant"
)
KINKS = Facts(kinks=[joint.kink])


def real(x: Any) -> Any:
    """Return an array as SciPy keeps breakpoints and points: in double precision."""
    return cast(operand(x), np.float64, copy=False)


def inexact(x: Any) -> Any:
    """Return an array as SciPy keeps coefficients: in double precision, real or complex."""
    x = operand(x)
    return cast(x, np.complex128 if dtype_of(x).kind == "c" else np.float64, copy=False)


def column(x: Any, rank: int) -> Any:
    """Return a vector with axes of length one behind it, as many as make it one of a rank."""
    more = rank - len(shape_of(x))
    return np.reshape(x, (*shape_of(x), *(1,) * more)) if more else x


def back_to(axis: int, out: Any, rank_of_points: int) -> Any:
    """Move the axes of the points from the front to the place of the axis along which was interpolated."""
    if axis == 0:
        return out
    axes = list(range(len(shape_of(out))))
    ends = rank_of_points + axis
    return np.transpose(out, axes[rank_of_points:ends] + axes[:rank_of_points] + axes[ends:])


def kinked(points: Any, places: Any, one: Any, other: Any) -> Any:
    """Return which points lie where two pieces meet with slopes, ``one`` and ``other``, that differ by more than rounding."""
    rest = tuple(range(1, len(shape_of(one))))
    differ = np.any(np.abs(one - other) > 1e-8 * (np.abs(one) + np.abs(other)), axis=rest)
    return bind(joint, (np.where(differ, points - places, 1.0),), {})


def meeting(value: Any, apart: Any, points: Any, places: Any, there: Any) -> Any:
    """Give a value, where two pieces meet, the mean of their slopes by how points move from the places where they meet.

    ``apart(s)`` is how far the other piece is at s. A point that moves with its place stays where it is on both pieces.
    """
    if not fixed(np.any(there)):
        return value
    mean = value + 0.5 * (apart(points) - apart(places))
    return np.where(column(there, len(shape_of(value))), mean, value)


# --------------------------------------------------------------------------------------------------
# values

places = Discrete(
    "scipy.interpolate",
    lambda x, p: np.stack([np.searchsorted(x, p, side="right"), np.searchsorted(x, p, side="left")]),
)
"""How many breakpoints do not lie behind a point, and how many lie before it."""


def intervals(x: Any, points: Any, first: int, last: int) -> tuple[Any, Any]:
    """Return for every point the interval that it lies in, and the one before where it lies between two; within bounds."""
    found = np.clip(fixed(bind(places, (x, points), {})) - 1, first, last)
    return found[0], found[1]


cubic = Elementwise(
    "cubic",
    lambda s, a, b, c, d: ((a * s + b) * s + c) * s + d,
    lambda _y, s, a, b, c, _d: (3.0 * a * s + 2.0 * b) * s + c,
    lambda _y, s, _a, _b, _c, _d: s * s * s,
    lambda _y, s, _a, _b, _c, _d: s * s,
    lambda _y, s, _a, _b, _c, _d: s,
    1,
)
"""A polynomial of the third degree, as one step."""


def _piece(c: Any, distance: Any, at: Any, nu: int) -> Any:
    """Return the derivative of some order of the polynomials number ``at``, so far from their breakpoints."""
    degree = shape_of(c)[0] - 1
    rest = shape_of(c)[2:]
    if nu > degree:
        return np.zeros_like(c, shape=(*shape_of(distance), *rest)) + 0.0 * column(distance, 1 + len(rest))
    s = column(distance, 1 + len(rest))
    own = c[:, at]
    if degree == 3 and nu == 0:
        return bind(cubic, (s, own[0], own[1], own[2], own[3]), {})
    factors = [float(math.perm(p, nu)) for p in range(degree, nu - 1, -1)]
    total = factors[0] * own[0]
    for q, factor in enumerate(factors[1:], 1):
        total = total * s + (own[q] if factor == 1.0 else factor * own[q])
    return total


def values(c: Any, x: Any, points: Any, nu: int, extrapolate: Any) -> Any:
    """Return a piecewise polynomial, or a derivative of it, at points along one axis.

    Parameters
    ----------
    c : array of shape (degree + 1, m, ...)
    x : array of shape (m + 1,)
        The breakpoints, rising or falling.
    points : array of shape (n,)
    nu : int
        The order of the derivative.
    extrapolate : bool
        Whether the outermost polynomials hold outside as well; NaN there otherwise.
    """
    if nu < 0:
        raise ValueError("Order of derivative cannot be negative")
    last = shape_of(c)[1] - 1
    falls = bool(fixed(x[-1] < x[0]))
    ordered, asked = (-x, -points) if falls else (x, points)
    at, before = intervals(ordered, asked, 0, last)
    value = _piece(c, points - x[at], at, nu)
    if np.any(at != before):

        def apart(p: Any) -> Any:
            return _piece(c, p - x[before], before, nu) - _piece(c, p - x[at], at, nu)

        held, breaks, here = map(stop_gradient, (c, x, points))
        left, right = (_piece(held, here - breaks[i], i, nu + 1) for i in (before, at))
        value = meeting(value, apart, points, x[at], kinked(points, x[at], left, right))
    outside = np.isnan(asked)
    if not extrapolate:
        outside = outside | (asked < ordered[0]) | (asked > ordered[-1])
    if fixed(np.any(outside)):
        rank = len(shape_of(value))
        value = missing(column(outside, rank), value, column(asked, rank))
    return value


def wrapped(points: Any, first: Any, last: Any) -> Any:
    """Move points into the period that begins at ``first`` and ends at ``last``."""
    return first + np.remainder(points - first, last - first)


def called(self: Any, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
    """``PPoly(...)(x, nu)``: to any order the derivative by x is the piecewise polynomial's own."""
    extrapolate = self.extrapolate if extrapolate is None else extrapolate
    c, breaks, points = inexact(self.c), real(self.x), real(x)
    shape = shape_of(points)
    points = points if len(shape) == 1 else np.reshape(points, -1)
    if isinstance(extrapolate, str) and extrapolate == "periodic":
        points, extrapolate = wrapped(points, breaks[0], breaks[-1]), False
    out = values(c, breaks, points, nu, extrapolate)
    return back_to(self.axis, out if len(shape) == 1 else np.reshape(out, shape + shape_of(c)[2:]), len(shape))


# --------------------------------------------------------------------------------------------------
# derivatives, integrals


def differentiated(c: Any, nu: int) -> Any:
    """Return the coefficients of the derivative of some order."""
    degree = shape_of(c)[0] - 1
    if nu > degree:
        return np.zeros_like(c, shape=(1, *shape_of(c)[1:]))
    factors = np.array([float(math.perm(p, nu)) for p in range(degree, nu - 1, -1)])
    return c[: degree + 1 - nu] * column(factors, len(shape_of(c)))


def integrated(c: Any, x: Any, nu: int) -> Any:
    """Return the coefficients of the antiderivative of some order: zero at the first breakpoint, and continuous."""
    for _ in range(nu):
        powers = np.arange(shape_of(c)[0], 0.0, -1.0)
        higher = c / column(powers, len(shape_of(c)))
        lengths = column(x[1:] - x[:-1], len(shape_of(c)) - 1)
        whole = higher[0]
        for one in higher[1:]:
            whole = whole * lengths + one
        whole = whole * lengths
        start = np.concatenate([np.zeros_like(whole[:1]), np.cumsum(whole[:-1], axis=0)], axis=0)
        c = np.concatenate([higher, start[None]], axis=0)
    return c


def _like(self: Any, c: Any, extrapolate: Any) -> Any:
    return pieces(type(self), c, self.x, extrapolate, self.axis)


def derivative(self: Any, nu: int = 1) -> Any:
    """``PPoly.derivative``."""
    if nu < 0:
        return antiderivative(self, -nu)
    return _like(self, differentiated(inexact(self.c), nu), self.extrapolate)


def antiderivative(self: Any, nu: int = 1) -> Any:
    """``PPoly.antiderivative``."""
    if nu <= 0:
        return derivative(self, -nu)
    extrapolate = False if isinstance(self.extrapolate, str) else self.extrapolate
    return _like(self, integrated(inexact(self.c), real(self.x), nu), extrapolate)


def between(antiderived: Any, first: Any, last: Any, a: Any, b: Any, extrapolate: Any) -> Any:
    """Return the integral between two numbers, given its antiderivative and the ends of the range.

    Parameters
    ----------
    antiderived : callable
        Of an array of points and of whether to extrapolate.
    first, last, a, b : numbers
    extrapolate : bool or "periodic"
    """

    def integral(p: Any, q: Any, beyond: Any) -> Any:
        found = antiderived(np.stack([p, q]), beyond)
        return found[1] - found[0]

    a, b = real(a), real(b)
    if not (isinstance(extrapolate, str) and extrapolate == "periodic"):
        return integral(a, b, extrapolate)
    sign = 1.0
    if fixed(b < a):
        a, b, sign = b, a, -1.0
    period = last - first
    periods = np.floor((b - a) / period)
    rest = (b - a) - periods * period
    start = wrapped(a, first, last)
    end = start + rest
    if fixed(end <= last):
        remainder = integral(start, end, False)
    else:
        remainder = integral(start, last, False) + integral(first, first + (end - last), False)
    if fixed(periods > 0):
        remainder = remainder + periods * integral(first, last, False)
    return sign * remainder


def boxed(integral: Any) -> Any:
    """Return an integral as SciPy does: one of a single function is an array without axes."""
    return np.reshape(np.stack([integral]), shape_of(integral))


def integrate(self: Any, a: Any, b: Any, extrapolate: Any = None) -> Any:
    """``PPoly.integrate``: by the limits it is the piecewise polynomial itself."""
    extrapolate = self.extrapolate if extrapolate is None else extrapolate
    c, x = inexact(self.c), real(self.x)
    whole = integrated(c, x, 1)
    return boxed(between(lambda p, beyond: values(whole, x, p, 0, beyond), x[0], x[-1], a, b, extrapolate))


def solve(self: Any, y: Any = 0.0, discontinuity: bool = True, extrapolate: Any = None) -> Any:
    """``PPoly.solve``: the roots of the plain polynomials, and one Newton step to each, which carries the derivative."""
    c, x, y = inexact(self.c), real(self.x), real(y)
    if len(shape_of(c)) > 2:
        raise UnsupportedFunctionError(
            f"{where()}: the roots of several piecewise polynomials at once are not differentiated, since each has another "
            "number of them. Make one of each of them, and find the roots one after the other."
        )
    extrapolate = self.extrapolate if extrapolate is None else extrapolate
    plain = scipy_interpolate.PPoly(decided(c), decided(x), extrapolate=extrapolate)
    roots = plain.solve(float(decided(y)), discontinuity, extrapolate)
    if not roots.size:
        return roots
    if np.isnan(roots).any():
        raise UnsupportedFunctionError(
            f"{where()}: a piece is constant at the value asked for, so that its roots are a whole interval and have no derivative."
        )
    at = np.clip(np.searchsorted(decided(x), roots, side="right") - 1, 0, shape_of(c)[1] - 1)
    slope = _piece(c, roots - x[at], at, 1)
    if not np.all(np.abs(decided(slope)) > 0):
        raise UnsupportedFunctionError(
            f"{where()}: the piecewise polynomial touches the value at a root without crossing it (its slope is 0), and such a root "
            "has no derivative."
        )
    found = roots
    for _ in range(2):  # each step doubles the number of orders that are right
        s = found - x[at]
        found = found - (_piece(c, s, at, 0) - y) / _piece(c, s, at, 1)
    return found + (roots - stop_gradient(found))


def roots(self: Any, discontinuity: bool = True, extrapolate: Any = None) -> Any:
    """``PPoly.roots``."""
    return solve(self, 0.0, discontinuity, extrapolate)


# --------------------------------------------------------------------------------------------------
# objects


def itself(x: Any, **_options: Any) -> Any:
    """Return an array as it is, where SciPy's own code would make one of another library's."""
    return x


class Pieces:
    """The part of a piecewise polynomial that carries a derivative; SciPy's class is its other parent."""

    c: Any = None
    x: Any = None
    axis: Any = 0
    extrapolate: Any = True
    __call__ = called
    derivative = derivative
    antiderivative = antiderivative
    integrate = integrate
    solve = solve
    roots = roots
    _asarray = staticmethod(itself)

    @property
    def _c(self) -> Any:  # as SciPy's own code reads them
        return self.c

    @property
    def _x(self) -> Any:
        return self.x

    def extend(self, c: Any, x: Any) -> None:
        """Refuse to change the object."""
        raise UnsupportedFunctionError(
            f"{where()}: extend of a piecewise polynomial that carries a derivative is not supported. Make a new one of all coefficients."
        )


@cache
def carrying(kind: type, part: type = Pieces) -> type:
    """Return the class of objects of SciPy's class that carry a derivative."""
    if issubclass(kind, part):
        return kind
    made = type(kind.__name__, (part, kind), {"__module__": kind.__module__})
    CARRYING.add(made)
    return made


def pieces(kind: type, c: Any, x: Any, extrapolate: Any, axis: int = 0) -> Any:
    """Return an object of a class of piecewise polynomials, with coefficients or breakpoints that carry a derivative."""
    made: Any = object.__new__(carrying(kind))
    made.c, made.x, made.axis = c, x, axis
    made.extrapolate = extrapolate if isinstance(extrapolate, str) else bool(extrapolate)
    return made


@ROOM.constructor(scipy_interpolate.PPoly, facts=KINKS)
def ppoly(c: Any, x: Any, extrapolate: Any = None, axis: int = 0) -> Any:
    """``scipy.interpolate.PPoly`` of coefficients or breakpoints that carry a derivative."""
    c, x = inexact(c), real(x)
    scipy_interpolate.PPoly(np.zeros(shape_of(c)), fixed_order(x), extrapolate, axis)  # raises what SciPy raises
    if axis != 0:
        c = np.moveaxis(np.moveaxis(c, axis + 1, 0), axis + 1, 0)
    return pieces(scipy_interpolate.PPoly, c, x, True if extrapolate is None else extrapolate, axis)


def fixed_order(x: Any) -> Any:
    """Return plain numbers that lie as the given ones do: rising, falling, or neither."""
    if len(shape_of(x)) != 1:
        return np.zeros(shape_of(x))
    steps = fixed(np.sign(x[1:] - x[:-1]))
    return np.concatenate([[0.0], np.cumsum(steps)])


ROOM.method(scipy_interpolate.PPoly, "__call__", facts=KINKS)(called)
ROOM.method(scipy_interpolate.PPoly, "integrate")(integrate)
ROOM.method(scipy_interpolate.PPoly, "solve")(solve)


__all__ = ["ROOM", "carrying", "pieces", "ppoly", "values"]
