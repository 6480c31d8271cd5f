"""``numpy.polynomial`` drops leading coefficients that are zero here, and with them a derivative that need not be zero."""

from __future__ import annotations

import sys
from typing import Any

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


def of_polynomials() -> dict[Any, Any]:
    """Return the stand-in for the function that trims."""
    return {_REAL: lambda seq: _trimmed(seq) if is_active(seq) else _REAL(seq)}


__all__ = ["of_polynomials"]
