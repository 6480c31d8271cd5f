"""Whether two runs of one function gave the same: equal but for rounding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dualdiff.shapes import FLOAT64, shape_of

__all__ = ["agree"]

_NUMERIC = "biufc"


def agree(found: Any, right: Any, units: float) -> bool:
    r"""Whether a number or array is another one but for rounding.

    Entry by entry :math:`\lvert a - b \rvert \le u\,\varepsilon \max \lvert b \rvert`, the largest over the finite entries, or both are
    the same infinity, or both not a number. What is not of floating point is equal or not.

    Parameters
    ----------
    found, right : array or number
        The value that is held against the other, which sets the scale and the precision.
    units : float
        The units of rounding, :math:`u`.
    """
    if (
        type(found) is type(right) is np.ndarray
        and found.shape == right.shape
        and found.dtype is right.dtype is FLOAT64
    ):
        if found.tobytes() == right.tobytes():
            return True
        size = float(np.vdot(right, right))
        if _TINY < size < _HUGE:  # in two microseconds; what is not finite, or tiny, is looked at below
            apart = found - right
            if right.size * float(np.vdot(apart, apart)) <= (units * _EPS) ** 2 * size:
                return True
    elif type(found) in _DOUBLES and type(right) in _DOUBLES:
        x, y = float(found), float(right)
        return x == y or (x != x and y != y) or (math.isfinite(y) and abs(x - y) <= units * _EPS * abs(y))
    if shape_of(found) != shape_of(right):
        return False
    a, b = np.asarray(found), np.asarray(right)
    inexact = next((x.dtype for x in (b, a) if x.dtype.kind in "fc"), None)
    if inexact is None or a.dtype.kind not in _NUMERIC or b.dtype.kind not in _NUMERIC:
        return bool(np.array_equal(a, b))
    bar = units * float(np.finfo(inexact).eps) * float(np.max(np.abs(b), initial=0.0, where=np.isfinite(b)))
    with np.errstate(all="ignore"):
        return bool(np.all((np.abs(a - b) <= bar) | (a == b) | (np.isnan(a) & np.isnan(b))))


_DOUBLES = (float, np.float64)
_EPS = float(np.finfo(float).eps)
_TINY, _HUGE = 1e-250, float("inf")
"""Between them a sum of squares is finite, and the squares of differences that count do not vanish."""
