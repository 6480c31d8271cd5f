"""Values that are not there: where a function answers with NaN, or fills one in, its derivative is NaN as well, never 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.kinds import Elementwise
from dualdiff.rules.elementwise import cast
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind, decided, fixed, is_number, is_replayed, number, operand, raw

_absent = Elementwise(
    "a value that is not there",
    lambda value, cause: np.where(True, value, cause),
    0,
    lambda _y, _value, cause: np.nan * cause,
    domain=("real", "real"),
)
"""The first operand, as a function whose derivative by the second is NaN."""


def missing(where: Any, found: Any, *causes: Any, value: Any = math.nan) -> Any:
    """Return a result in which some values are not there, and have no derivative.

    Parameters
    ----------
    where : array of bool
        Where they are not.
    found : array
        The result, of which the others are kept; what it depends on, the missing ones depend on.
    causes : arrays
        What beside that the missing ones depend on, to be broadcast with it.
    value : array or number, optional
        What stands in their place.
    """
    cause = sum(causes, found)
    if dtype_of(cause) != dtype_of(found):
        cause = cast(cause, dtype_of(found))
    whole = np.where(where, bind(_absent, (value, cause), {}), found)
    return number(whole) if is_number(found) else whole


def filled(where: Any, fill: Any, found: Any, *causes: Any) -> Any:
    """Return a result with a value filled in: what it was made of has the derivative 0 there, or NaN if a NaN is filled in.

    ``where``, ``found`` and ``causes`` are those of :func:`missing`.
    """
    fill = operand(fill)
    whole = np.where(where, fill, found)
    empty = np.isnan(fill)
    return np.where(where & empty, missing(empty, found, *causes), whole) if fixed(np.any(empty)) else whole


def where_nan(found: Any, cause: Callable[[], Any] | None = None) -> Any:
    """Return a result whose derivatives are NaN where its values are: those that a function answers with NaN.

    ``cause`` makes, if there are any, what beside the result itself they depend on.
    """
    none = np.isnan(found if is_replayed(found) else raw(found))
    if not decided(np.any(none)):
        return found
    return missing(none, found, *([] if cause is None else [cause()]))


def answered(x: Any, index: Any, v: Any) -> Any:
    """Return what a function of a library stores in an array in place of entries: a NaN is its answer to all entries of a row."""
    if dtype_of(v).kind not in "fc" or not np.any(nan := np.isnan(v)):
        return v
    found = x[index]
    row = [np.sum(found, axis=-1, keepdims=True)] if shape_of(found) else []
    return np.where(nan, missing(True, found, *row), v)


__all__ = ["answered", "filled", "missing", "where_nan"]
