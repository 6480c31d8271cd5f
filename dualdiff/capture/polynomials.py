"""``numpy.polynomial`` drops leading coefficients that are zero here, and with them a derivative that need not be zero."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.polynomial import polyutils

from dualdiff.capture.active import is_active

_DIVIDING = ("roots", "companion", "div", "_div")
"""How the functions are called that divide by the leading coefficient, which must not be zero."""


_REAL = polyutils.trimseq


def _trimmed(seq: Any) -> Any:
    """Drop zeros at the end only for functions that divide by what stands there; elsewhere a zero coefficient changes nothing."""
    frame: Any = sys._getframe(1)
    while frame is not None and not frame.f_globals.get("__name__", "").startswith("numpy.polynomial"):
        frame = frame.f_back
    while frame is not None and frame.f_globals.get("__name__", "").startswith("numpy.polynomial"):
        if frame.f_code.co_name.endswith(_DIVIDING):
            return _REAL(seq)
        frame = frame.f_back
    return seq


def _at_points(value: Any, c: Any, *points: Any) -> Any:
    """Evaluate a series of several variables. NumPy gives the coefficients axes for those of an array, which a foreign one is not."""
    if len({np.shape(x) for x in points}) > 1:
        raise ValueError(f"{', '.join('xyz'[: len(points)])} are incompatible")
    c = np.reshape(c, np.shape(c) + (1,) * len(np.shape(points[0])))
    for x in points:
        c = value(x, c, tensor=False)
    return c


def _on_grid(value: Any, c: Any, *points: Any) -> Any:
    for x in points:
        c = value(x, np.reshape(c, np.shape(c) + (1,) * len(np.shape(x))), tensor=False)
    return c


def of_polynomials() -> dict[Any, Any]:
    """Return the stand-ins for what trims and for what evaluates series of several variables."""

    def instead(real: Any, function: Any) -> Any:
        return lambda *args: (function if is_active(args) else real)(*args)

    several = {"_valnd": _at_points, "_gridnd": _on_grid}
    return {_REAL: instead(_REAL, _trimmed)} | {
        real: instead(real, function) for name, function in several.items() if (real := getattr(polyutils, name, None))
    }


__all__ = ["of_polynomials"]
