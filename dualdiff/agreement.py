"""Whether two runs of one function gave the same: equal but for rounding."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.shapes import FLOAT64, shape_of
from dualdiff.trees import flatten, tree_map

__all__ = ["agree", "is_amplified"]

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


def is_amplified(f: Callable[[Any], Any], x: Any, found: Sequence[Any], right: Sequence[Any]) -> bool:
    """Whether results are apart by what a function makes of the rounding of its arguments: it is chaotic, or ill-conditioned.

    A loop that doubles an error with each of its steps makes 1 of the 53rd digit in 53 of them, and no two orders of adding up
    agree. So the function is run at two neighbours of the point, whose entries differ by up to four units of rounding: results
    that are further apart than a hundred times what that changes are others. A function that does not repeat itself is none.

    Parameters
    ----------
    f : callable
        The function of ``x``, any structure of arrays and numbers.
    x : tree
        The point.
    found, right : sequence of array or number
        The leaves of two results there; ``right`` are those of ``f``.
    """
    rng = np.random.default_rng(0)
    units = 4.0 * rng.uniform(-1.0, 1.0, 64)

    def moved(t: Any, sign: float) -> Any:
        if not isinstance(t, (float, complex, np.ndarray, np.inexact)) or np.asarray(t).dtype.kind not in "fc":
            return t
        near = np.asarray(t) * (1 + sign * np.finfo(np.asarray(t).dtype).eps * np.resize(units, np.shape(t)))
        return near.astype(np.asarray(t).dtype) if isinstance(t, np.ndarray) else type(t)(near)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            again, *beside = (
                flatten(f(y))[0] for y in (x, *[tree_map(lambda t, s=s: moved(t, s), x) for s in (1, -1)])
            )
        except Exception:  # it cannot be run there
            return False
        if not len(again) == len(right) == len(found):
            return False
        if not all(isinstance(b, _KNOWN) and agree(a, b, 0.0) for a, b in zip(again, right, strict=True)):
            return False
        return all(
            len(near) == len(right) and all(_is_between(a, b, c) for a, b, c in zip(found, right, near, strict=True))
            for near in beside
        )


_KNOWN = (int, float, complex, str, np.ndarray, np.generic)
"""What can be compared: of other results nothing is known."""

AMPLIFIED = 100.0
"""How much further apart than a neighbour's the results may be."""


def _is_between(found: Any, right: Any, near: Any) -> bool:
    """Whether a result is not much further from the right one than one beside it is."""
    a, b, c = np.asarray(found), np.asarray(right), np.asarray(near)
    if not a.shape == b.shape == c.shape or any(t.dtype.kind not in "fc" for t in (a, b, c)):
        return bool(np.array_equal(a, b))
    apart = float(np.max(np.abs(a - b), initial=0.0))
    return apart <= AMPLIFIED * float(np.max(np.abs(c - b), initial=0.0))


_DOUBLES = (float, np.float64)
_EPS = float(np.finfo(float).eps)
_TINY, _HUGE = 1e-250, float("inf")
"""Between them a sum of squares is finite, and the squares of differences that count do not vanish."""
