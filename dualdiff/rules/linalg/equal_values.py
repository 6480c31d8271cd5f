"""Equal eigenvalues and equal singular values: what has a derivative there, and what has none."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.errors import DegenerateDirectionError, DegenerateError, where
from dualdiff.kinds import Sweep
from dualdiff.rules.linalg.matrices import adjoint
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import TRACED

# Equal values. The vectors of a repeated eigenvalue may be turned among themselves, so they have no derivative; a function
# that such a turn leaves alone (the projector onto their space) has one. A covector shows which of the two it is: the turn
# meets its skew part. It does not show how a function depends on vectors and values together, and no tangent of one vector
# shows anything: so a covector that would need more than it says raises, and forward mode asks the covectors.


CLOSE = 10
"""How many times n ε of the largest value the computed copies of one value may lie apart, all of a cluster together."""


def are_close(gap: Any, largest: Any) -> Any:
    """Return where values differ by no more than the rounding of the largest, off the diagonal."""
    n = shape_of(gap)[-1]
    limit = CLOSE * n * np.finfo(dtype_of(gap)).eps * largest
    return np.logical_and(np.less_equal(np.abs(gap), limit[..., None, None]), ~np.eye(n, dtype=bool))


def over_gaps(p: Any, gap: Any, omitted: Any) -> Any:
    """Return p / gap, and 0 where it is to be left out and on the diagonal."""
    out = np.logical_or(omitted, np.eye(shape_of(gap)[-1], dtype=bool))
    return np.where(out, 0.0, p / np.where(out, 1.0, gap))


def turned(what: str, close: Any, vectors: bool, sweep: Sweep, *turns: Any) -> tuple[Any, ...]:
    """Return how vectors turn along a direction; raise where they have equal values.

    Where only the values are asked for, the vectors serve second derivatives alone: for these they become NaN, and what
    comes out as NaN is computed once more the careful way. An outer run would write the NaN down, so there it raises.
    """
    if not bool(np.any(close)):
        return turns
    if vectors or sweep.careful or type(turns[0]) in TRACED:
        raise DegenerateDirectionError(
            f"{where()}: {what} at a matrix with equal values: their vectors have no derivative of their own, and forward "
            "mode alone cannot tell whether the function depends on the choice of them. Use dd.jacrev, dd.grad or dd.vjp."
        )
    return tuple([np.where(close, np.nan, t) for t in turns])


@dataclass(frozen=True, slots=True)
class Covector:
    """What a pull gets: looked at closely only where values are equal."""

    parts: tuple[tuple[Any, Any], ...]  # adjoint vectors, and the covector of the vectors
    values: Any  # the covector of the values
    spectrum: Any  # the values themselves
    vectors: bool  # whether the vectors can be used at all


def scale_of(g: Covector) -> Any:
    """Return the size of the covectors of the vectors."""
    found = [np.max(np.abs(c), axis=(-2, -1), keepdims=True, initial=0.0) for _, c in g.parts]
    return functools.reduce(np.maximum, found)


def _terms(g: Covector) -> Any:
    """Return the sizes of the terms from which skew parts are summed."""
    found = functools.reduce(np.add, [np.abs(h) @ np.abs(c) for h, c in g.parts])
    return np.maximum(found, np.swapaxes(found, -1, -2))


def are_used(g: Covector) -> Any:
    """Return whether the vectors are used. Where all values are zero, they may be, in proportion to these, unseen."""
    unseen = np.all(np.equal(g.spectrum, 0), axis=-1)[..., None, None]
    return np.logical_or(np.greater(scale_of(g), 0), np.logical_and(g.vectors, unseen))


def rounding(x: Any) -> Any:
    """Return how small entries of the last axis may be by rounding alone."""
    return 100 * shape_of(x)[-1] * np.finfo(dtype_of(x)).eps * np.max(np.abs(x), axis=-1, keepdims=True, initial=0.0)


def quotient(what: str, skew: Any, gap: Any, close: Any, g: Covector) -> Any:
    """Return the skew parts of a covector over the gaps, where there is no doubt about them.

    Between equal values a skew part that is rounding contributes nothing.
    """
    if not bool(np.any(close)):
        return over_gaps(skew, gap, False)
    size = np.abs(skew)
    n, eps = shape_of(gap)[-1], np.finfo(dtype_of(gap)).eps
    turned = np.logical_and(close, np.greater(size, 100 * n * eps * scale_of(g)))
    # Values near zero are known to many digits of their own, and so is what is in proportion to them.
    known = np.logical_and(np.greater(size, math.sqrt(eps) * _terms(g)), np.not_equal(gap, 0))
    omitted = np.logical_and(close, np.logical_not(known))
    # Vectors and values together: what then belongs to a pair shows only in that its two values count differently.
    differ = np.greater(np.abs(gaps_of(g.values)), rounding(g.values)[..., None])
    lost = np.logical_and(omitted, np.logical_and(differ, are_used(g)))
    if bool(np.any(np.logical_or(turned, lost))):
        raise DegenerateError(
            f"{where()}: the derivative of {what} is not defined at this matrix: some values are equal (to rounding), and "
            "the function depends on which vectors stand for them, or on these vectors and the values together. Use "
            "a function of their whole space alone or of the values alone (np.linalg.eigvalsh, svdvals), the matrix "
            "itself, or a matrix with distinct values."
        )
    return over_gaps(skew, gap, omitted)


def skew_part(e: Any) -> Any:
    """Return half the difference of a matrix and its adjoint."""
    return 0.5 * (e - adjoint(e))


def gaps_of(w: Any) -> Any:
    """Return w[j] - w[i] at [i, j]."""
    return w[..., None, :] - w[..., :, None]
