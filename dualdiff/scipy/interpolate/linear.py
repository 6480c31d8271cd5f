"""``interp1d``: its object is SciPy's own, made by SciPy's own code; only the call is written here."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import interpolate as scipy_interpolate

from dualdiff.operators import stop_gradient
from dualdiff.rules.absent import filled, where_nan
from dualdiff.rules.elementwise import cast
from dualdiff.scipy.interpolate import splines
from dualdiff.scipy.interpolate.pieces import KINKS, ROOM, column, kinked, meeting
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import fixed, operand


def _joined(x: Any, y: Any, points: Any) -> Any:
    """Return the lines through the points (x, y), prolonged at both ends; at a point the slope is the mean of those beside it."""

    def line(p: Any, x: Any, y: Any, i: Any) -> Any:
        return (y[i] - y[i - 1]) / column(x[i] - x[i - 1], 2) * column(p - x[i - 1], 2) + y[i - 1]

    last = shape_of(x)[0] - 1
    here, behind = (np.clip(fixed(np.searchsorted(x, points, side=s)), 1, last) for s in ("left", "right"))
    value = line(points, x, y, here)
    if np.any(here != behind):
        held = stop_gradient(x), stop_gradient(y)
        slopes = [(held[1][i] - held[1][i - 1]) / column(held[0][i] - held[0][i - 1], 2) for i in (behind, here)]
        there = kinked(points, x[here], *slopes)
        value = meeting(value, lambda p: line(p, x, y, behind) - line(p, x, y, here), points, x[here], there)
    return value


def _within(self: Any, points: Any) -> Any:
    kind, x, y = self._kind, self.x, self._y
    if kind == "spline":
        out = splines.called(self._spline, points)
        return np.nan * out if self._call is type(self)._call_nan_spline else out
    if kind == "linear":
        if self._call is type(self)._call_linear_np:
            return np.interp(points, x, self.y)[:, None]
        return _joined(x, y, points)
    if kind in ("previous", "next"):
        at = fixed(np.searchsorted(self._x_shift, points, side=self._side))
        return y[np.clip(at, 1 - self._ind, shape_of(x)[0] - self._ind) + self._ind - 1]
    at = fixed(np.searchsorted(self.x_bds, points, side=self._side))
    return y[np.clip(at, 0, shape_of(x)[0] - 1)]


@ROOM.method(scipy_interpolate.interp1d, "__call__", facts=KINKS)
def called(self: Any, x: Any) -> Any:
    """``interp1d(...)(x)``, of every kind."""
    x = operand(x)
    if dtype_of(x).kind not in "fc":
        x = cast(x, np.float64)
    shape = shape_of(x)
    points = np.reshape(x, -1)
    out = _within(self, points)
    if not self._extrapolate:
        below, above = points < self.x[0], points > self.x[-1]
        for outside, side, end, i in ((below, "below", "minimum", 0), (above, "above", "maximum", -1)):
            if self.bounds_error and fixed(np.any(outside)):
                raise ValueError(
                    f"A value in x_new is {side} the interpolation range's {end} value ({fixed(stop_gradient(self.x))[i]})."
                )
        out = filled(column(below, 2), self._fill_value_below, out, column(points, 2))
        out = filled(column(above, 2), self._fill_value_above, out, column(points, 2))
    out = where_nan(out, lambda: column(points, 2))
    rest = self._y_extra_shape
    out = np.reshape(out, shape + tuple(rest))
    axis = self._y_axis
    if axis == 0 or not shape:
        return out
    n, axes = len(shape), list(range(len(shape) + len(rest)))
    return np.transpose(out, axes[n : n + axis] + axes[:n] + axes[n + axis :])


__all__ = ["called"]
