"""B-splines: sums of the basis of de Boor and Cox, in argument, coefficients and knots.

The k + 1 functions of the basis that live on an interval are built up from one degree to the next; the last of these steps are
replaced by those of the derivative where one is asked for. A spline through points has the solution of a banded system as
coefficients, whose entries are such functions.
"""

from __future__ import annotations

import math
import operator
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import interpolate as scipy_interpolate

from dualdiff.capture.active import is_active, plain_call
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.operators import stop_gradient
from dualdiff.rules.absent import missing
from dualdiff.rules.linalg.bands import solve_banded
from dualdiff.scipy.interpolate.pieces import (
    KINKS,
    ROOM,
    back_to,
    between,
    boxed,
    carrying,
    column,
    fixed_order,
    inexact,
    intervals,
    itself,
    kinked,
    meeting,
    pieces,
    real,
    wrapped,
)
from dualdiff.shapes import shape_of
from dualdiff.values import fixed, is_plain_constant, operand


def basis(t: Any, k: int, x: Any, at: Any, nu: int = 0) -> Any:
    """Return the functions of the basis, or derivatives of them, that live on the intervals of some points.

    Parameters
    ----------
    t : array
        The knots.
    k : int
        The degree.
    x : array of shape (n,)
    at : array of int, shape (n,)
        The interval of each point: the number of the knot at which it begins.
    nu : int
        The order of the derivative.

    Returns
    -------
    array of shape (k + 1, n)
        Those numbered ``at - k`` to ``at``.
    """
    shape = shape_of(x)
    if nu > k:
        return np.zeros((k + 1, *shape))
    found: Any = np.ones((1, *shape))
    none = np.zeros((1, *shape))
    for d in range(1, k + 1):
        right, left = t[at + np.arange(1, d + 1)[:, None]], t[at + np.arange(1 - d, 1)[:, None]]
        length = right - left
        empty = fixed(np.equal(length, 0))  # at the very end of knots that all fall together
        weight = np.where(empty, 0.0, found / np.where(empty, 1.0, length)) if np.any(empty) else found / length
        falls, rises = (d * -weight, d * weight) if d > k - nu else ((right - x) * weight, (x - left) * weight)
        found = np.concatenate([falls, none]) + np.concatenate([none, rises])
    return found


def _sum(c: Any, k: int, at: Any, functions: Any) -> Any:
    """Return the sums of the functions with the coefficients that belong to them, along the axes behind the first."""
    own = c[at + np.arange(-k, 1)[:, None]]
    return np.sum(own * column(functions, len(shape_of(own))), axis=0)


def spline_places(t: Any, k: int, x: Any, side: Any = "right") -> Any:
    """Return the interval of every point: the number of the knot at which it begins; at a knot, the one on that side."""
    return np.clip(fixed(np.searchsorted(t, x, side=side)) - 1, k, shape_of(t)[0] - k - 2)


def spline_values(t: Any, c: Any, k: int, x: Any, nu: int, extrapolate: Any) -> Any:
    """Return a spline, or a derivative of it, at points along one axis; NaN outside of the base interval unless it holds there."""
    if nu < 0:
        raise ValueError(f"Cannot do derivative order nu={nu}.")
    n = shape_of(t)[0] - k - 1
    at, before = intervals(t, x, k, n - 1)
    value = _sum(c, k, at, basis(t, k, x, at, nu))
    if np.any(at != before):

        def apart(p: Any) -> Any:
            return _sum(c, k, before, basis(t, k, p, before, nu)) - _sum(c, k, at, basis(t, k, p, at, nu))

        held, knots, here = map(stop_gradient, (c, t, x))
        left, right = (_sum(held, k, i, basis(knots, k, here, i, nu + 1)) for i in (before, at))
        value = meeting(value, apart, x, t[at], kinked(x, t[at], left, right))
    outside = np.isnan(x) if extrapolate else np.isnan(x) | (x < t[k]) | (x > t[n])
    if not fixed(np.any(outside)):
        return value
    rank = len(shape_of(value))
    return missing(column(outside, rank), value, column(x, rank))


def called(self: Any, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
    """``BSpline(...)(x, nu)``: to any order the derivative by x is the spline's own."""
    extrapolate = self.extrapolate if extrapolate is None else extrapolate
    t, c, k, points = real(self.t), inexact(self.c), self.k, real(x)
    shape = shape_of(points)
    points = points if len(shape) == 1 else np.reshape(points, -1)
    if isinstance(extrapolate, str) and extrapolate == "periodic":
        n = shape_of(t)[0] - k - 1
        points, extrapolate = wrapped(points, t[k], t[n]), False
    out = spline_values(t, c, k, points, nu, extrapolate)
    return back_to(self.axis, out if len(shape) == 1 else np.reshape(out, shape + shape_of(c)[1:]), len(shape))


# --------------------------------------------------------------------------------------------------
# derivatives, integrals


def _padded(t: Any, c: Any) -> Any:
    """Return as many coefficients as there are knots: zeros behind them."""
    more = shape_of(t)[0] - shape_of(c)[0]
    return c if more <= 0 else np.concatenate([c, np.zeros_like(c, shape=(more, *shape_of(c)[1:]))])


def differentiated(t: Any, c: Any, k: int, nu: int) -> tuple[Any, Any, int]:
    """Return knots, coefficients and degree of the derivative of some order."""
    if nu > k:
        raise ValueError(f"Order of derivative (n = {nu!r}) must be <= order of spline (k = {k!r})")
    c = _padded(t, c)
    for _ in range(nu):
        dt = t[k + 1 : -1] - t[1 : -k - 1]
        if fixed(np.any(dt == 0)):
            raise ValueError(f"The spline has internal repeated knots and is not differentiable {nu} times")
        c = (c[1 : -1 - k] - c[: -2 - k]) * k / column(dt, len(shape_of(c)))
        c = np.concatenate([c, np.zeros_like(c, shape=(k, *shape_of(c)[1:]))])
        t, k = t[1:-1], k - 1
    return t, c, k


def integrated(t: Any, c: Any, k: int, nu: int) -> tuple[Any, Any, int]:
    """Return knots, coefficients and degree of the antiderivative of some order, which is zero at the first knot."""
    c = _padded(t, c)
    for _ in range(nu):
        dt = column(t[k + 1 :] - t[: -k - 1], len(shape_of(c)))
        c = np.cumsum(c[: -k - 1] * dt, axis=0) / (k + 1)
        c = np.concatenate([np.zeros_like(c[:1]), c, *[c[-1:]] * (k + 2)])
        t, k = np.concatenate([t[:1], t, t[-1:]]), k + 1
    return t, c, k


def derivative(self: Any, nu: int = 1) -> Any:
    """``BSpline.derivative``."""
    if nu < 0:
        return antiderivative(self, -nu)
    return spline(*differentiated(real(self.t), inexact(self.c), self.k, nu), self.extrapolate, self.axis)


def antiderivative(self: Any, nu: int = 1) -> Any:
    """``BSpline.antiderivative``."""
    if nu < 0:
        return derivative(self, -nu)
    extrapolate = False if isinstance(self.extrapolate, str) else self.extrapolate
    return spline(*integrated(real(self.t), inexact(self.c), self.k, nu), extrapolate, self.axis)


def integrate(self: Any, a: Any, b: Any, extrapolate: Any = None) -> Any:
    """``BSpline.integrate``: by the limits it is the spline itself, and zero outside of the base interval unless it holds there."""
    extrapolate = self.extrapolate if extrapolate is None else extrapolate
    t, c, k = real(self.t), inexact(self.c), self.k
    first, last = t[k], t[shape_of(t)[0] - k - 1]
    a, b = real(a), real(b)
    if not isinstance(extrapolate, str) and not extrapolate:
        a, b = np.clip(a, first, last), np.clip(b, first, last)
    whole, sums, degree = integrated(t, c, k, 1)
    found = between(lambda p, beyond: spline_values(whole, sums, degree, p, 0, True), first, last, a, b, extrapolate)
    shape = shape_of(found) or _integral_of_numbers(extrapolate if isinstance(extrapolate, str) else bool(extrapolate))
    return found if shape is None else np.reshape(boxed(found), shape)


@lru_cache(maxsize=3)
def _integral_of_numbers(extrapolate: Any) -> tuple[int, ...] | None:
    """Return the shape of what this SciPy makes of the integral of a spline of numbers, None for a number."""
    found = scipy_interpolate.BSpline([0.0, 1.0], [1.0], 0, extrapolate=extrapolate).integrate(0.0, 0.5)
    return found.shape if isinstance(found, np.ndarray) else None


class Spline:
    """The part of a spline that carries a derivative; SciPy's class is its other parent."""

    t: Any = None
    c: Any = None
    k: Any = 0
    axis: Any = 0
    extrapolate: Any = True
    __call__ = called
    derivative = derivative
    antiderivative = antiderivative
    integrate = integrate
    _asarray = staticmethod(itself)

    @property
    def _t(self) -> Any:  # as SciPy's own code reads them
        return self.t

    @property
    def _c(self) -> Any:
        return self.c

    @property
    def tck(self) -> Any:
        """The knots, coefficients and the degree."""
        return self.t, self.c, self.k

    def insert_knot(self, x: Any, m: int = 1) -> Any:
        """Refuse to insert a knot."""
        raise UnsupportedFunctionError(
            f"{where()}: insert_knot of a spline that carries a derivative is not supported; the spline with one knot more is the same "
            "function, so evaluate the spline as it is."
        )


def spline(t: Any, c: Any, k: int, extrapolate: Any = True, axis: int = 0) -> Any:
    """Return an object of the class of B-splines, with coefficients or knots that carry a derivative."""
    made: Any = object.__new__(carrying(scipy_interpolate.BSpline, Spline))
    made.t, made.c, made.k, made.axis = t, c, k, axis
    made.extrapolate = extrapolate if isinstance(extrapolate, str) else bool(extrapolate)
    return made


@ROOM.constructor(scipy_interpolate.BSpline, facts=KINKS)
def bspline(t: Any, c: Any, k: Any, extrapolate: Any = True, axis: int = 0) -> Any:
    """``scipy.interpolate.BSpline`` of coefficients or knots that carry a derivative."""
    t, c, k = real(t), inexact(c), operator.index(k)
    scipy_interpolate.BSpline(fixed_order(t), np.zeros(shape_of(c)), k, extrapolate, axis)  # raises what SciPy raises
    axis = axis % len(shape_of(c))
    return spline(t, np.moveaxis(c, axis, 0), k, extrapolate, axis)


ROOM.method(scipy_interpolate.BSpline, "__call__", facts=KINKS)(called)
ROOM.method(scipy_interpolate.BSpline, "integrate")(integrate)


_from_spline = scipy_interpolate.PPoly.from_spline


@ROOM.method(scipy_interpolate.PPoly, "from_spline", always=True)
def from_spline(kind: Any, tck: Any, extrapolate: Any = None) -> Any:
    """``PPoly.from_spline``: Taylor's coefficients at every knot, of the piece that begins there."""
    is_spline = isinstance(tck, scipy_interpolate.BSpline)
    parts = (tck.t, tck.c, tck.k) if is_spline else tck
    if not is_active(parts) or not isinstance(parts, (tuple, list)):
        return plain_call(_from_spline, (tck, extrapolate), {})
    t, c, k = real(parts[0]), inexact(parts[1]), parts[2]
    if len(shape_of(c)) > 1:
        raise ValueError("PPoly.from_spline takes splines with coefficients along one axis only.")
    if extrapolate is None:
        extrapolate = tck.extrapolate if is_spline else True
    starts = t[:-1]
    at = spline_places(t, k, starts)
    taylor = [_sum(c, k, at, basis(t, k, starts, at, m)) / math.factorial(m) for m in range(k, -1, -1)]
    return pieces(kind, np.stack(taylor), t, extrapolate)


# --------------------------------------------------------------------------------------------------
# through points


def not_a_knot(x: Any, k: int) -> Any:
    """Return the knots at which no polynomial next to an end is joined to its neighbour."""
    inner = x if k % 2 == 1 else (x[1:] + x[:-1]) / 2
    cut = (k + 1) // 2 if k % 2 == 1 else k // 2
    inner = inner[cut : shape_of(inner)[0] - cut] if cut else inner
    return np.concatenate([*[x[:1]] * (k + 1), inner, *[x[-1:]] * (k + 1)])


def _periodic_knots(x: Any, k: int) -> Any:
    n = shape_of(x)[0]
    if k % 2 == 0:
        x = np.concatenate([x[:1], x[1:-1] - (x[1:-1] - x[:-2]) / 2, x[-1:]])
    dx = x[1:] - x[:-1]
    steps = np.arange(k) % (n - 1)
    before = x[0] - np.cumsum(dx[-steps - 1])[::-1]
    return np.concatenate([before, x, x[-1] + np.cumsum(dx[steps])])


def _specified(side: Any, shape: tuple[int, ...]) -> list[tuple[int, Any]]:
    """Return the orders and values of the derivatives that are asked for at an end."""
    if side is None:
        return []
    if isinstance(side, str):
        if side not in ("clamped", "natural"):
            raise ValueError(f"Unknown boundary condition : {side}")
        return [(1 if side == "clamped" else 2, np.zeros(shape))]
    try:
        return [(int(order), operand(value)) for order, value in side]
    except TypeError as error:
        raise ValueError(
            "Derivatives, `bc_type`, should be specified as a pair of iterables of pairs of (order, value)."
        ) from error


def _collocated(t: Any, k: int, x: Any, start: list[Any], end: list[Any]) -> tuple[Any, Any, Any]:
    """Return the entries of the system of a spline through points, with their rows and columns."""
    at, nt = spline_places(t, k, x), shape_of(t)[0] - k - 1
    entries, rows, columns = [], [], []

    def add(values: Any, first: Any, at: Any) -> None:
        entries.append(values)
        rows.append(np.broadcast_to(first, shape_of(values)))
        columns.append(at + np.arange(-k, 1)[:, None])

    add(basis(t, k, x, at), len(start) + np.arange(shape_of(x)[0]), at)
    for offset, place, conditions in ((0, 0, start), (nt - len(end), -1, end)):
        for i, (order, _) in enumerate(conditions):
            here = slice(0, 1) if place == 0 else slice(-1, None)
            add(basis(t, k, x[here], at[here], order), np.array([offset + i]), at[here])
    return tuple(np.concatenate(parts, axis=1) for parts in (entries, rows, columns))  # type: ignore[return-value]


def _interpolated(t: Any, k: int, x: Any, y: Any, start: list[Any], end: list[Any]) -> Any:
    """Return the coefficients of the spline through points, with given derivatives at the ends."""
    nt = shape_of(t)[0] - k - 1
    rest = shape_of(y)[1:]
    entries, rows, columns = _collocated(t, k, x, start, end)
    diagonals = np.zeros_like(entries, shape=(2 * k + 1, nt))
    if is_plain_constant(entries):
        diagonals[k + rows - columns, columns] = entries
    else:
        places = (k + rows - columns) * nt + columns
        order = np.full((2 * k + 1) * nt, -1)
        order[places.ravel()] = np.arange(places.size)
        padded = np.concatenate([np.reshape(entries, -1), np.zeros(1)])
        diagonals = np.reshape(padded[order], (2 * k + 1, nt))
    sides = [
        [np.reshape(np.broadcast_to(inexact(v), rest), (1, *rest)) for _, v in conditions]
        for conditions in (start, end)
    ]
    return solve_banded(diagonals, np.concatenate([*sides[0], y, *sides[1]]), k, k)


def _periodic(t: Any, k: int, x: Any, y: Any) -> Any:
    """Return the coefficients of the periodic spline: the last k of them are the first ones again."""
    n = shape_of(x)[0]
    entries, rows, columns = _collocated(t, k, x[:-1], [], [])
    dense = np.zeros((n - 1, n - 1)) * entries[0, 0]
    for j in range(k + 1):
        one = np.zeros((n - 1, n - 1))
        one[rows[j], columns[j] % (n - 1)] = 1.0
        dense = dense + one * entries[j][:, None]
    flat = np.reshape(y[:-1], (n - 1, -1))
    c = np.linalg.solve(dense, flat)
    return np.reshape(c[np.arange(n + k - 1) % (n - 1)], (n + k - 1, *shape_of(y)[1:]))


@ROOM.function("make_interp_spline", facts=KINKS)
def make_interp_spline(
    x: Any, y: Any, k: Any = 3, t: Any = None, bc_type: Any = None, axis: int = 0, check_finite: bool = True
) -> Any:
    """``scipy.interpolate.make_interp_spline``."""
    x, y = real(x), inexact(y)
    if axis < -len(shape_of(y)) or axis >= len(shape_of(y)):
        raise np.exceptions.AxisError(axis, len(shape_of(y)))
    if check_finite and not fixed(np.all(np.isfinite(x)) & np.all(np.isfinite(y))):
        raise ValueError("Array must not contain infs or nans.")
    axis = axis % len(shape_of(y))
    y = np.moveaxis(y, axis, 0)
    plain = isinstance(bc_type, str) or bc_type is None
    periodic = plain and bc_type == "periodic"
    if plain and bc_type in (None, "not-a-knot", "periodic"):
        left = right = None
    elif plain:
        left = right = bc_type
    else:
        try:
            left, right = bc_type
        except TypeError as error:
            raise ValueError(f"Unknown boundary condition: {bc_type}") from error
    if len(shape_of(x)) != 1 or fixed(np.any(x[1:] < x[:-1])):
        raise ValueError("Expect x to be a 1D strictly increasing sequence.")
    if fixed(np.any(x[1:] == x[:-1])):
        raise ValueError("Expect x to not have duplicates")
    if shape_of(x)[0] != shape_of(y)[0]:
        raise ValueError(f"Shapes of x {shape_of(x)} and y {shape_of(y)} are incompatible")
    if periodic and not fixed(np.all(np.abs(y[0] - y[-1]) <= 1e-15 + 1e-5 * np.abs(y[-1]))):
        raise ValueError("First and last points does not match while periodic case expected")
    k = operator.index(k)
    if k == 0:
        if any(given is not None for given in (t, left, right)):
            raise ValueError("Too much info for k=0: t and bc_type can only be None.")
        return spline(np.concatenate([x, x[-1:]]), y, k, True, axis)
    if k == 1 and t is None:
        if left is not None or right is not None:
            raise ValueError("Too much info for k=1: bc_type can only be None.")
        return spline(np.concatenate([x[:1], x, x[-1:]]), y, k, True, axis)
    if k < 0:
        raise ValueError("Expect non-negative k.")
    if periodic and t is not None:
        raise NotImplementedError("For periodic case t is constructed automatically and can not be passed manually")
    if t is None:
        if periodic:
            t = _periodic_knots(x, k)
        elif left is None and right is None:
            t = not_a_knot(x, k)
        else:
            t = np.concatenate([*[x[:1]] * k, x, *[x[-1:]] * k])
    t = real(t)
    if len(shape_of(t)) != 1 or fixed(np.any(t[1:] < t[:-1])):
        raise ValueError("Expect t to be a 1-D sorted array_like.")
    if shape_of(t)[0] < shape_of(x)[0] + k + 1:
        raise ValueError(f"Got {shape_of(t)[0]} knots, need at least {shape_of(x)[0] + k + 1}.")
    if fixed((x[0] < t[k]) | (x[-1] > t[-k])):
        raise ValueError("Out of bounds: the points lie outside of the base interval of the knots.")
    if periodic:
        return spline(t, _periodic(t, k, x, y), k, "periodic", axis)
    start, end = (_specified(side, shape_of(y)[1:]) for side in (left, right))
    for conditions, at in ((start, "first"), (end, "last")):
        if not all(0 <= order <= k for order, _ in conditions):
            raise ValueError(f"Bad boundary conditions at the {at} point.")
    n, nt = shape_of(x)[0], shape_of(t)[0] - k - 1
    if nt - n != len(start) + len(end):
        raise ValueError(
            f"The number of derivatives at boundaries does not match: expected {nt - n}, got {len(start)}+{len(end)}"
        )
    return spline(t, _interpolated(t, k, x, y, start, end), k, True, axis)


__all__ = [
    "basis",
    "bspline",
    "make_interp_spline",
    "not_a_knot",
    "spline",
    "spline_places",
    "spline_values",
]
