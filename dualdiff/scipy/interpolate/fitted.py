"""Splines that were fitted to data: FITPACK's functions and classes, and least squares."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from scipy import interpolate as scipy_interpolate

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.scipy.interpolate.grids import tensor
from dualdiff.scipy.interpolate.pieces import KINKS, ROOM, inexact, real
from dualdiff.scipy.interpolate.splines import (
    antiderivative,
    basis,
    derivative,
    differentiated,
    integrate,
    integrated,
    make_interp_spline,
    spline,
    spline_places,
    spline_values,
)
from dualdiff.shapes import shape_of
from dualdiff.values import fixed, operand

# --------------------------------------------------------------------------------------------------
# least squares


@ROOM.function("make_lsq_spline", facts=KINKS)
def make_lsq_spline(
    x: Any, y: Any, t: Any, k: Any = 3, w: Any = None, axis: int = 0, check_finite: bool = True, *, method: str = "qr"
) -> Any:
    """``scipy.interpolate.make_lsq_spline``: the coefficients solve a dense system of least squares."""
    x, y, t, k = real(x), inexact(y), real(t), operator.index(k)
    w = np.ones(shape_of(x)) if w is None else real(w)
    if check_finite and not all(fixed(np.all(np.isfinite(a))) for a in (x, y, t, w)):
        raise ValueError("Array must not contain infs or nans.")
    if axis < -len(shape_of(y)) or axis >= len(shape_of(y)):
        raise np.exceptions.AxisError(axis, len(shape_of(y)))
    axis = axis % len(shape_of(y))
    y = np.moveaxis(y, axis, 0)
    if method not in ("qr", "norm-eq"):
        raise ValueError(f"Unknown {method =}.")
    if len(shape_of(x)) != 1 or fixed(np.any(x[1:] < x[:-1])):
        raise ValueError("Expect x to be a 1-D non-decreasing sequence.")
    if k < 0:
        raise ValueError("Expect non-negative k.")
    m = shape_of(x)[0]
    if m < k + 1:
        raise ValueError("Need more x points.")
    if len(shape_of(t)) != 1 or fixed(np.any(t[1:] < t[:-1])):
        raise ValueError("Expect t to be a 1-D strictly increasing sequence.")
    for name, other in (("y", y), ("w", w)):
        if shape_of(other)[0] != m:
            raise ValueError(f"Shapes of x {shape_of(x)} and {name} {shape_of(other)} are incompatible")
    if k > 0 and fixed(np.any((x < t[k]) | (x > t[-k]))):
        raise ValueError("Out of bounds: the points lie outside of the base interval of the knots.")
    n = shape_of(t)[0] - k - 1
    at = spline_places(t, k, x)
    functions = basis(t, k, x, at) * w
    columns = at + np.arange(-k, 1)[:, None]
    matrix: Any = 0.0
    for q in range(k + 1):
        there = np.zeros((m, n))
        there[np.arange(m), columns[q]] = 1.0
        matrix = matrix + there * functions[q][:, None]
    flat = np.reshape(y, (m, -1)) * w[:, None]
    c = np.linalg.lstsq(matrix, flat, rcond=None)[0]
    return spline(t, np.reshape(c, (n, *shape_of(y)[1:])), k, True, axis)


ROOM.refused(
    "make_splprep bisplrep generate_knots",
    "it chooses knots or smoothing by the data, in compiled code. Fit plain data (splines are differentiated in their argument), or use "
    "make_interp_spline or make_lsq_spline.",
)

# --------------------------------------------------------------------------------------------------
# FITPACK's functions and classes


@ROOM.function("splrep", facts=KINKS)
def splrep(
    x: Any,
    y: Any,
    w: Any = None,
    xb: Any = None,
    xe: Any = None,
    k: int = 3,
    task: int = 0,
    s: Any = None,
    t: Any = None,
    full_output: int = 0,
    per: int = 0,
    quiet: int = 1,
) -> Any:
    """``scipy.interpolate.splrep``: through the points (``s=0``), with the knots of make_interp_spline, or of least squares with ``t``."""
    if t is not None and task == 0 and not per and not full_output and xb is None and xe is None:
        x = real(x)
        knots = np.concatenate([*[x[:1]] * (k + 1), real(t), *[x[-1:]] * (k + 1)])
        least = make_lsq_spline(x, y, knots, k, w)
        return least.t, np.concatenate([least.c, np.zeros(k + 1)]), k
    through = (s is None and w is None) or (s is not None and not fixed(np.any(np.not_equal(operand(s), 0))))
    if not through or task != 0 or t is not None or per or full_output or xb is not None or xe is not None:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.interpolate.splrep is differentiated where the spline goes through the points (s=0), with no other option "
            "than k, or has inner knots t; smoothing chooses the knots by the data. Use s=0 or make_interp_spline, knots of your own, "
            "splrep(x, y, t=…), or make_smoothing_spline with lam=."
        )
    made = make_interp_spline(x, y, k=k)
    return made.t, np.concatenate([made.c, np.zeros(k + 1)]), k


@ROOM.function("splev", facts=KINKS)
def splev(x: Any, tck: Any, der: int = 0, ext: int = 0) -> Any:
    """``scipy.interpolate.splev``."""
    if isinstance(tck, scipy_interpolate.BSpline):
        if len(shape_of(tck.c)) > 1:
            raise ValueError(
                "Calling splev() with BSpline objects with c.ndim > 1 is not allowed. Use BSpline.__call__(x) instead."
            )
        if ext != 0:
            raise ValueError(f"Extrapolation mode {ext} is not supported by BSpline.")
        tck = tck.t, tck.c, tck.k
    t, c, k = tck
    if isinstance(c, (list, tuple)) and c and shape_of(operand(c[0])):
        return [splev(x, (t, one, k), der, ext) for one in c]
    if not 0 <= der <= k:
        raise ValueError(f"0<=der={der}<=k={k} must hold")
    if ext not in (0, 1, 2, 3):
        raise ValueError(f"ext = {ext} not in (0, 1, 2, 3) ")
    t, c, x = real(t), inexact(c), real(x)
    points = np.reshape(x, -1)
    first, last = t[k], t[shape_of(t)[0] - k - 1]
    outside = (points < first) | (points > last)
    if ext == 2 and fixed(np.any(outside)):
        raise ValueError("Invalid input data")
    if ext == 3 and der == 0:  # a derivative is that of the outermost polynomials
        points = np.where(points < first, first, np.where(points > last, last, points))
    out = spline_values(t, c, k, points, der, True)
    if ext == 1:
        out = np.where(outside, 0.0, out)
    return np.reshape(out, shape_of(x))


@ROOM.function("splder")
def splder(tck: Any, n: int = 1) -> Any:
    """``scipy.interpolate.splder``."""
    if isinstance(tck, scipy_interpolate.BSpline):
        return derivative(tck, n)
    t, c, k = tck
    return integrated(real(t), inexact(c), k, -n) if n < 0 else differentiated(real(t), inexact(c), k, n)


@ROOM.function("splantider")
def splantider(tck: Any, n: int = 1) -> Any:
    """``scipy.interpolate.splantider``."""
    if isinstance(tck, scipy_interpolate.BSpline):
        return antiderivative(tck, n)
    return splder(tck, -n)


@ROOM.function("splint")
def splint(a: Any, b: Any, tck: Any, full_output: int = 0) -> Any:
    """``scipy.interpolate.splint``: the spline is zero outside of its base interval."""
    if full_output:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.interpolate.splint with full_output is not differentiated. Leave it out."
        )
    if isinstance(tck, scipy_interpolate.BSpline):
        return integrate(tck, a, b, extrapolate=False)
    return integrate(spline(*tck), a, b, extrapolate=False)[()]


OUTSIDE = {"extrapolate": 0, "zeros": 1, "raise": 2, "const": 3}


@ROOM.method(scipy_interpolate.UnivariateSpline, "__call__", facts=KINKS)
def univariate(self: Any, x: Any, nu: int = 0, ext: Any = None) -> Any:
    """``UnivariateSpline(...)(x, nu)`` and its kin."""
    ext = self.ext if ext is None else ext
    ext = OUTSIDE.get(ext, ext) if isinstance(ext, str) else ext
    if ext not in (0, 1, 2, 3):
        raise ValueError(f"Unknown extrapolation mode {ext}.")
    return splev(x, self._eval_args, nu, ext)


@ROOM.method(scipy_interpolate.UnivariateSpline, "integral")
def univariate_integral(self: Any, a: Any, b: Any) -> Any:
    """``UnivariateSpline.integral``: the spline is zero outside of its base interval."""
    return splint(a, b, self._eval_args)


@ROOM.method(scipy_interpolate.BivariateSpline.__mro__[1], "__call__", facts=KINKS)
def bivariate(self: Any, x: Any, y: Any, dx: int = 0, dy: int = 0, grid: bool = True) -> Any:
    """``RectBivariateSpline(...)(x, y)`` and its kin: outside, the value is that at the border."""
    tx, ty, c = self.tck[:3]
    kx, ky = self.degrees
    x, y = real(x), real(y)
    if grid:
        x, y = np.reshape(x, -1), np.reshape(y, -1)
        for name, p in (("x", x), ("y", y)):
            if fixed(np.any(p[1:] < p[:-1])):
                raise ValueError(f"{name} must be strictly increasing when `grid` is True")
        x, y = x[:, None], y[None, :]
    x, y = np.broadcast_arrays(x, y)
    shape = shape_of(x)
    points = []
    for p, t, k in ((x, tx, kx), (y, ty, ky)):
        p, first, last = np.reshape(p, -1), t[k], t[-k - 1]
        points.append(np.where(p < first, first, np.where(p > last, last, p)))
    c = np.reshape(c, (len(tx) - kx - 1, len(ty) - ky - 1))
    return np.reshape(tensor((tx, ty), c, (kx, ky), np.stack(points, axis=-1), (dx, dy)), shape)


__all__ = ["bivariate", "make_lsq_spline", "splev", "splrep", "univariate"]
