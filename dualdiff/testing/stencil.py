"""Nine equally spaced values of a function along a line: a derivative, and three reasons why it may be off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.testing.line import Line
from dualdiff.testing.noise import noise_of

__all__ = ["SPACINGS", "Stencil", "measure"]

REACH = 4
"""Points on either side."""
OCTAVES = (5, 8, 13, 18, 23, 28, 33, 38)
"""Binary orders of the spacings."""


def _spacing(octave: int) -> float:
    bits = min(20, 47 - octave)
    return (round(0.6133 * 2**bits) | 1) * 2.0 ** -(bits + octave)


SPACINGS = tuple(_spacing(k) for k in OCTAVES)
"""Spacings of the points, as a fraction of the direction, from 2e-2 to 2e-12.

They have so few bits that a direction which is a power of two moves a number of its size to numbers that exist. And they are no
simple fractions: evenly spaced jumps must not pass for a slope, nor numbers that are short for numbers that were rounded.
"""
FIRST = 1
"""The spacing that is tried first: at it a function as smooth as its argument is large gives twelve digits or more."""
EIGHTH = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
"""Weights of f(k) - f(-k) in the difference of eighth order."""
SIXTH = (3 / 4, -3 / 20, 1 / 60, 0.0)
"""Weights of f(k) - f(-k) in the difference of sixth order."""
SPREAD = float(np.sqrt(2 * np.sum(np.square(EIGHTH))))
"""What the difference of eighth order makes of noise of deviation one."""
BOUND = 4.0
"""Noise that is declared bounds what values are off by; a deviation is a part of that."""
ONE_SIDED = (-25 / 12, 4.0, -3.0, 4 / 3, -1 / 4)
"""Weights of f(0) to f(4) in the one-sided difference of fourth order."""


@dataclass(frozen=True, slots=True)
class Stencil:
    """What one spacing says of one output, entry by entry.

    Attributes
    ----------
    spacing : float
        Distance of the points, as a fraction of the direction.
    slope, error : array
        The derivative and how far it may be off; infinite where a value is missing.
    left, right : array
        One-sided derivatives.
    noise : array
        Deviation of the noise of the values.
    secant : array
        The steepest line from the middle to another point: what terms of the derivative may have cancelled.
    size : array
        The largest value.
    still : array of shape (2, ...)
        Whether the values on the left, and on the right, equal the middle one to the last bit.
    """

    spacing: float
    slope: Any
    error: Any
    left: Any
    right: Any
    noise: Any
    secant: Any
    size: Any
    still: Any


def measure(line: Line, spacing: float, noise: float = 0.0) -> list[Stencil] | None:
    r"""Take the derivative along a line from nine points, one result for each output; None if nothing could be evaluated.

    The difference of eighth order is off by its truncation, which the difference of sixth order tells, and by the noise of
    the values over the spacing, which their table of differences tells (:func:`noise_of`); rounding is the least of it:

    .. math:: |D_8 - D_6| + \frac{1.17}{s} \max(\sigma, \tfrac12 \varepsilon \max|f|, \tfrac14 \text{noise} \cdot \max|f|).

    Parameters
    ----------
    line : Line
        The function along a line.
    spacing : float
        Distance of the points, as a fraction of the direction.
    noise : float
        Relative noise that the function is known to have, a solver's tolerance say.

    Returns
    -------
    list of Stencil, or None
    """
    steps = [k for k in range(-REACH, REACH + 1) if k]
    values = {k: line.at(k * spacing) for k in steps}
    if all(v is None for v in values.values()):
        return None
    found = []
    for i, y in enumerate(line.here):
        gap = np.full(y.shape, np.nan)
        rows = [y]
        for k in steps:
            v = values[k]
            rows.append(gap if v is None or v[i].shape != y.shape else v[i])
        kind = np.result_type(y.dtype, np.float64)
        at = dict(zip([0, *steps], [r.astype(np.result_type(r.dtype, kind)) for r in rows], strict=True))
        found.append(_stencil(at, spacing, line.rounding[i], noise))
    return found


def _stencil(at: dict[int, Any], s: float, rounding: float, noise: float) -> Stencil:
    with np.errstate(all="ignore"):
        y = at[0]
        column = np.array([at[k] for k in range(-REACH, REACH + 1)])
        magnitude = np.abs(column)
        size = np.max(magnitude, axis=0, where=np.isfinite(magnitude), initial=0.0)
        odd = [at[k] - at[-k] for k in range(1, REACH + 1)]
        slope = _weighted(EIGHTH, odd) / s
        truncated = np.abs(slope - _weighted(SIXTH, odd) / s)
        level = np.maximum(noise_of(column), np.maximum(0.5 * _rounding(column, rounding), noise / BOUND) * size)
        error = truncated + SPREAD * level / s
        complete = np.isfinite(magnitude).all(axis=0) & np.isfinite(error)
        right = _weighted(ONE_SIDED, [at[k] for k in range(REACH + 1)]) / s
        left = -_weighted(ONE_SIDED, [at[-k] for k in range(REACH + 1)]) / s
        secants = np.array([np.abs(at[k] - y) / (abs(k) * s) for k in at if k])
        return Stencil(
            s,
            np.where(complete, slope, np.nan),
            np.where(complete, error, np.inf),
            left,
            right,
            np.where(complete, level, np.nan),
            np.max(secants, axis=0, where=np.isfinite(secants), initial=0.0),
            size,
            np.array([np.all(column[:REACH] == y, axis=0), np.all(column[REACH + 1 :] == y, axis=0)]),
        )


def _rounding(column: Any, known: float) -> Any:
    """Return the relative rounding of values, entry by entry: values that all fit into single precision were made in it.

    Their table may not show it: rounded to few digits, a curve is a straight line over a few points.
    """
    narrow = np.complex64 if column.dtype.kind == "c" else np.float32
    if known >= np.finfo(narrow).eps:
        return known
    moves = np.any(column != column[REACH], axis=0)
    fits = np.all((column == column.astype(narrow)) | ~np.isfinite(column), axis=0)
    return np.where(fits & moves, float(np.finfo(narrow).eps), known)


def _weighted(weights: Any, values: Any) -> Any:
    return sum(w * v for w, v in zip(weights, values, strict=True) if w)
