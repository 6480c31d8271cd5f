"""Cubic interpolants through points: their slopes at the points are functions of the points, written down once.

Of a cubic spline the slopes solve a system with three diagonals; of the others each is a formula of its neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import interpolate as scipy_interpolate

from dualdiff.rules.linalg.bands import solve_banded
from dualdiff.scipy.interpolate.pieces import KINKS, ROOM, column, inexact, pieces, real
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import fixed, operand


def _points(x: Any, y: Any, axis: int, *others: Any) -> tuple[Any, ...]:
    """Return the points, the steps between them, and the values along the first axis; raise what SciPy raises."""
    x, y = operand(x), operand(y)
    if dtype_of(x).kind == "c":
        raise ValueError("`x` must contain real values.")
    x, y = real(x), inexact(y)
    rest = [inexact(o) for o in others]
    if any(shape_of(o) != shape_of(y) for o in rest):
        raise ValueError("The shapes of `y` and `dydx` must be identical.")
    axis = axis % len(shape_of(y))
    if len(shape_of(x)) != 1:
        raise ValueError("`x` must be 1-dimensional.")
    if shape_of(x)[0] < 2:
        raise ValueError("`x` must contain at least 2 elements.")
    if shape_of(x)[0] != shape_of(y)[axis]:
        raise ValueError(f"The length of `y` along `axis`={axis} doesn't match the length of `x`")
    for name, a in zip(("x", "y", "dydx"), (x, y, *rest)):
        if not fixed(np.all(np.isfinite(a))):
            raise ValueError(f"`{name}` must contain only finite values.")
    dx = x[1:] - x[:-1]
    if fixed(np.any(dx <= 0)):
        raise ValueError("`x` must be strictly increasing sequence.")
    return (x, dx, axis, *[np.moveaxis(a, axis, 0) for a in (y, *rest)])


def hermite(dx: Any, y: Any, slopes: Any) -> Any:
    """Return the coefficients of the cubics with given values and slopes at their ends."""
    h = column(dx, len(shape_of(y)))
    secants = (y[1:] - y[:-1]) / h
    t = (slopes[:-1] + slopes[1:] - 2 * secants) / h
    return np.stack([t / h, (secants - slopes[:-1]) / h - t, slopes[:-1], y[:-1]])


def _made(kind: Any, x: Any, dx: Any, y: Any, slopes: Any, axis: int, extrapolate: Any) -> Any:
    return pieces(kind, hermite(dx, y, slopes), x, extrapolate, axis)


@ROOM.constructor(scipy_interpolate.CubicHermiteSpline, facts=KINKS)
def cubic_hermite_spline(x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Any = None) -> Any:
    """``scipy.interpolate.CubicHermiteSpline``."""
    x, dx, axis, y, slopes = _points(x, y, axis, dydx)
    extrapolate = True if extrapolate is None else extrapolate
    return _made(scipy_interpolate.CubicHermiteSpline, x, dx, y, slopes, axis, extrapolate)


# --------------------------------------------------------------------------------------------------
# pchip


def _end_slope(h0: Any, h1: Any, m0: Any, m1: Any) -> Any:
    """Return the slope at an end, by three points, kept to the shape of the data."""
    d = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    turns = np.sign(d) != np.sign(m0)
    steep = ~turns & (np.sign(m0) != np.sign(m1)) & (np.abs(d) > 3.0 * np.abs(m0))
    return np.where(turns, 0.0, np.where(steep, 3.0 * m0, d))


def pchip_slopes(dx: Any, y: Any) -> Any:
    """Return the slopes of Fritsch and Butland: the harmonic mean of those beside a point, 0 where they differ in sign."""
    h = column(dx, len(shape_of(y)))
    m = (y[1:] - y[:-1]) / h
    if shape_of(y)[0] == 2:
        return np.concatenate([m, m])
    before, after = m[:-1], m[1:]
    flat = (np.sign(before) != np.sign(after)) | (before == 0) | (after == 0)
    w1, w2 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    mean = (w1 / np.where(flat, 1.0, before) + w2 / np.where(flat, 1.0, after)) / (w1 + w2)
    inner = np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, mean))
    first, last = _end_slope(h[0], h[1], m[0], m[1]), _end_slope(h[-1], h[-2], m[-1], m[-2])
    return np.concatenate([first[None], inner, last[None]])


@ROOM.constructor(scipy_interpolate.PchipInterpolator, facts=KINKS)
def pchip(x: Any, y: Any, axis: int = 0, extrapolate: Any = None) -> Any:
    """``scipy.interpolate.PchipInterpolator``."""
    x, dx, axis, y = _points(x, y, axis)
    _only_real(y, "PchipInterpolator")
    extrapolate = True if extrapolate is None else extrapolate
    return _made(scipy_interpolate.PchipInterpolator, x, dx, y, pchip_slopes(dx, y), axis, extrapolate)


def _only_real(y: Any, name: str) -> None:
    if dtype_of(y).kind == "c":
        raise ValueError(
            f"`{name}` only works with real values for `y`. If you are trying to use the real components of the passed array, "
            f"use `np.real` on the array before passing to `{name}`."
        )


# --------------------------------------------------------------------------------------------------
# Akima


def _akima_slopes(dx: Any, y: Any, method: str) -> Any:
    h = column(dx, len(shape_of(y)))
    m = (y[1:] - y[:-1]) / h
    if shape_of(y)[0] == 2:
        return np.concatenate([m, m])
    left, right = 2.0 * m[0] - m[1], 2.0 * m[-1] - m[-2]
    m = np.concatenate([(2.0 * left - m[0])[None], left[None], m, right[None], (2.0 * right - m[-1])[None]])
    change = np.abs(m[1:] - m[:-1])
    if method == "makima":
        change = change + 0.5 * np.abs(m[1:] + m[:-1])
    f1, f2 = change[2:], change[:-2]
    both = f1 + f2
    known = both > 1e-9 * np.max(both)
    weighted = m[1:-2] + f2 / np.where(known, both, 1.0) * (m[2:-1] - m[1:-2])
    return np.where(known, weighted, 0.5 * (m[3:] + m[:-3]))


@ROOM.constructor(scipy_interpolate.Akima1DInterpolator, facts=KINKS)
def akima(x: Any, y: Any, axis: int = 0, *, method: str = "akima", extrapolate: Any = None) -> Any:
    """``scipy.interpolate.Akima1DInterpolator``."""
    if method not in {"akima", "makima"}:
        raise NotImplementedError(f"`method`={method} is unsupported.")
    x, dx, axis, y = _points(x, y, axis)
    _only_real(y, "Akima1DInterpolator")
    extrapolate = False if extrapolate is None else extrapolate
    return _made(scipy_interpolate.Akima1DInterpolator, x, dx, y, _akima_slopes(dx, y, method), axis, extrapolate)


# --------------------------------------------------------------------------------------------------
# cubic splines


def _conditions(bc_type: Any, y: Any, axis: int) -> tuple[list[Any], Any]:
    """Return what is asked for at both ends, as SciPy reads it: a name, or the order and value of a derivative."""
    shape = shape_of(y)[1:]
    if isinstance(bc_type, str):
        if bc_type == "periodic" and not fixed(np.all(np.abs(y[0] - y[-1]) <= 1e-15 + 1e-15 * np.abs(y[-1]))):
            raise ValueError(
                f"The first and last `y` point along axis {axis} must be identical (within machine precision) when "
                "bc_type='periodic'."
            )
        bc_type = (bc_type, bc_type)
    else:
        if len(bc_type) != 2:
            raise ValueError("`bc_type` must contain 2 elements to specify start and end conditions.")
        if any(isinstance(b, str) and b == "periodic" for b in bc_type):
            raise ValueError(
                "'periodic' `bc_type` is defined for both curve ends and cannot be used with other boundary conditions."
            )
    found: list[Any] = []
    for condition in bc_type:
        if isinstance(condition, str):
            if condition not in ("clamped", "natural", "not-a-knot", "periodic"):
                raise ValueError(f"bc_type={condition} is not allowed.")
            order = {"clamped": 1, "natural": 2}.get(condition)
            found.append(condition if order is None else (order, np.zeros(shape)))
            continue
        try:
            order, value = condition
        except Exception as error:
            raise ValueError("A specified derivative value must be given in the form (order, value).") from error
        if order not in (1, 2):
            raise ValueError("The specified derivative order must be 1 or 2.")
        value = inexact(value)
        if shape_of(value) != shape:
            raise ValueError(f"`deriv_value` shape {shape_of(value)} is not the expected one {shape}.")
        if dtype_of(value).kind == "c":
            y = y.astype(complex)
        found.append((order, value))
    return found, y


def _tridiagonal(below: Any, middle: Any, above: Any, b: Any) -> Any:
    """Solve a system with three diagonals, given without the places outside the matrix."""
    zero = np.zeros(1)
    ab = np.stack([np.concatenate([zero, above]), middle, np.concatenate([below, zero])])
    return solve_banded(ab, b, 1, 1)


def _periodic_slopes(dx: Any, m: Any, b: Any) -> Any:
    """Return the slopes of a periodic spline: the system is closed by one unknown more, which is found first."""
    n = shape_of(dx)[0]
    h = column(dx, len(shape_of(m)))
    if n == 2:
        t = np.sum(m / h, axis=0) / np.sum(1.0 / h, axis=0)
        return np.broadcast_to(t, (3, *shape_of(t)))
    first = 3 * (h[0] * m[-1] + h[-1] * m[0])
    last = 3 * (h[-1] * m[-2] + h[-2] * m[-1])
    b1 = np.concatenate([first[None], b[: n - 2]])
    middle = np.concatenate([(2 * (dx[-1] + dx[0]))[None], 2 * (dx[: n - 2] + dx[1 : n - 1])])
    above = np.concatenate([dx[-1:], dx[: n - 3]])
    below = dx[1 : n - 1]
    size = n - 1
    corner = np.zeros((size, 2))
    corner[0, 0], corner[-1, 1] = -1.0, -1.0
    b2 = (corner[:, 0] * dx[0] + corner[:, 1] * dx[-3]) if size > 1 else -(dx[0] + dx[-3])[None]
    s1 = _tridiagonal(below, middle, above, b1)
    s2 = column(_tridiagonal(below, middle, above, b2), len(shape_of(m)))
    s_last = (last - h[-2] * s1[0] - h[-1] * s1[-1]) / (2 * (h[-1] + h[-2]) + h[-2] * s2[0] + h[-1] * s2[-1])
    s = s1 + s_last * s2
    return np.concatenate([s, s_last[None], s[:1]])


def _end(condition: Any, h: Any, m: Any, rise: Any, sign: float) -> tuple[Any, Any, Any]:
    """Return the entry on the diagonal, the one beside it and the right-hand side of the equation at an end.

    ``h`` and ``m`` are the two steps and secants next to that end, the outer one first; ``rise`` is the change of the values there.
    """
    if condition == "not-a-knot":
        d = h[0] + h[1]
        return h[1], d, ((h[0] + 2 * d) * h[1] * m[0] + h[0] ** 2 * m[1]) / d
    order, value = condition
    if order == 1:
        return 1.0 + 0.0 * h[0], 0.0 * h[0], value + 0.0 * rise
    return 2 * h[0], h[0], -sign * 0.5 * value * h[0] ** 2 + 3 * rise


def spline_slopes(x: Any, dx: Any, y: Any, conditions: list[Any]) -> Any:
    """Return the slopes at the points of the cubic whose second derivative is continuous."""
    n = shape_of(x)[0]
    h = column(dx, len(shape_of(y)))
    m = (y[1:] - y[:-1]) / h
    start, end = conditions
    names = [c if isinstance(c, str) else "" for c in conditions]
    if n == 2:
        start, end = [(1, m[0]) if name else c for name, c in zip(names, conditions)]
        slopes = [value if order == 1 else None for order, value in (start, end)]
        if slopes[0] is None and slopes[1] is None:
            b0 = 3 * (y[1] - y[0]) - 0.5 * start[1] * h[0] ** 2
            b1 = 3 * (y[1] - y[0]) + 0.5 * end[1] * h[0] ** 2
            return np.stack([(2 * b0 - b1) / (3 * h[0]), (2 * b1 - b0) / (3 * h[0])])
        if slopes[0] is None:
            b0 = 3 * (y[1] - y[0]) - 0.5 * start[1] * h[0] ** 2
            slopes[0] = (b0 / h[0] - slopes[1]) / 2
        elif slopes[1] is None:
            b1 = 3 * (y[1] - y[0]) + 0.5 * end[1] * h[0] ** 2
            slopes[1] = (b1 / h[0] - slopes[0]) / 2
        return np.stack([s + 0.0 * m[0] for s in slopes])
    if n == 3 and names == ["not-a-knot", "not-a-knot"]:
        curve = (m[1] - m[0]) / (h[0] + h[1])  # of the parabola through the three points
        return np.stack([m[0] - h[0] * curve, m[0] + h[0] * curve, m[1] + h[1] * curve])
    b = 3 * (h[1:] * m[:-1] + h[:-1] * m[1:])
    if names[0] == "periodic":
        return _periodic_slopes(dx, m, b)
    rises = y[1] - y[0], y[-1] - y[-2]
    d0, e0, b0 = _end(names[0] or start, h[:2], m[:2], rises[0], 1.0)
    d1, e1, b1 = _end(names[1] or end, h[-1:-3:-1], m[-1:-3:-1], rises[1], -1.0)
    middle = np.concatenate([np.reshape(d0, (1,)), 2 * (dx[:-1] + dx[1:]), np.reshape(d1, (1,))])
    above = np.concatenate([np.reshape(e0, (1,)), dx[:-1]])
    below = np.concatenate([dx[1:], np.reshape(e1, (1,))])
    return _tridiagonal(below, middle, above, np.concatenate([b0[None], b, b1[None]]))


@ROOM.constructor(scipy_interpolate.CubicSpline, facts=KINKS)
def cubic_spline(x: Any, y: Any, axis: int = 0, bc_type: Any = "not-a-knot", extrapolate: Any = None) -> Any:
    """``scipy.interpolate.CubicSpline``."""
    x, dx, axis, y = _points(x, y, axis)
    conditions, y = _conditions(bc_type, y, axis)
    if extrapolate is None:
        extrapolate = "periodic" if isinstance(conditions[0], str) and conditions[0] == "periodic" else True
    slopes = y if 0 in shape_of(y) else spline_slopes(x, dx, y, conditions)
    return _made(scipy_interpolate.CubicSpline, x, dx, y, slopes, axis, extrapolate)


__all__ = ["akima", "cubic_hermite_spline", "cubic_spline", "hermite", "pchip", "pchip_slopes", "spline_slopes"]
