"""Reductions that leave NaN out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.register import Facts, composite, register
from dualdiff.rules.absent import where_nan
from dualdiff.rules.elementwise import root
from dualdiff.rules.extrema import max_of, min_of
from dualdiff.rules.folding import NONE, converted, deliver, freedom, is_nan, keeps_axes, masked, square_of, taking_part
from dualdiff.rules.products import prod
from dualdiff.rules.running import cumprod, cumsum
from dualdiff.rules.sums import mean_of, sum_of
from dualdiff.shapes import negative_axes, shape_of
from dualdiff.values import number, operand


def _present(x: Any, mask: Any) -> Any:
    """Return where an entry is not NaN (and ``where=`` lets it in)."""
    there = np.logical_not(is_nan(x))
    return there if mask is NONE or mask is True else np.logical_and(there, operand(mask))


def _leaving_out(function: Any, handler: Callable[..., Any], filler: float) -> None:
    """Register a reduction that puts its identity in the place of NaN."""

    def skipping(a: Any, *args: Any, where: Any = NONE, **kwargs: Any) -> Any:
        x = operand(a)
        if len(args) > 5:
            *args, where = args  # type: ignore[assignment]
        return handler(masked(np.where(is_nan(x), filler, x), where, filler), *args, **kwargs)

    register(function, "composite", skipping)


_leaving_out(np.nansum, sum_of, 0.0)
_leaving_out(np.nanprod, prod, 1.0)
_leaving_out(np.nancumsum, cumsum, 0.0)
_leaving_out(np.nancumprod, cumprod, 1.0)


def _nan_extremum(function: Any, like: Any, handler: Callable[..., Any], opposite: float) -> None:
    def skipping(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = NONE, initial: Any = NONE, where: Any = NONE
    ) -> Any:
        x = operand(a)
        there = _present(x, where)
        y = handler(np.where(there, x, opposite), axis, None, keepdims, initial)
        if initial is NONE:
            none = np.logical_not(np.any(there, axis=axis, keepdims=keeps_axes(keepdims)))
            y = where_nan(np.where(none, math.nan, y), lambda: sum_of(x, axis, None, None, keeps_axes(keepdims)))
        return deliver(number(y), out, f"np.{function.__name__}")

    register(function, "composite", skipping, facts=Facts(kinks=[like]))


_nan_extremum(np.nanmax, np.max, max_of, -math.inf)
_nan_extremum(np.nanmin, np.min, min_of, math.inf)


@composite(np.nanmean)
def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NONE, *, where: Any = NONE
) -> Any:
    """``np.nanmean``."""
    x = converted(operand(a), dtype)
    y = mean_of(np.where(is_nan(x), 0.0, x), axis, None, None, keepdims, where=_present(x, where))
    return deliver(where_nan(y, lambda: sum_of(x, axis, None, None, keeps_axes(keepdims))), out, "np.nanmean")


def _nan_moment(function: Any) -> None:
    def skipping(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: float = 0,
        keepdims: Any = NONE,
        *,
        where: Any = NONE,
        mean: Any = NONE,
        correction: Any = NONE,
    ) -> Any:
        ddof = freedom(ddof, correction)
        x = converted(operand(a), dtype)
        keep = keeps_axes(keepdims)
        there, whole = _present(x, where), x
        x = np.where(there, x, 0.0)
        count = taking_part(x, there, axis=negative_axes(axis, len(shape_of(x))), keepdims=keep)
        if mean is NONE:
            mean = mean_of(x, axis, None, None, True, where=there)
        squares = square_of(np.where(there, x - mean, 0.0))
        free = count - ddof
        enough = np.greater(free, 0)
        y = number(np.where(enough, sum_of(squares, axis, None, None, keep) / np.where(enough, free, 1.0), math.nan))
        y = where_nan(y, lambda: sum_of(whole, axis, None, None, keep))
        if function is np.nanstd:
            zero = np.equal(y, 0)
            y = root(y, zero)
        return deliver(y, out, f"np.{function.__name__}")

    register(function, "composite", skipping, facts=Facts(kinks=[np.std] if function is np.nanstd else []))


_nan_moment(np.nanvar)
_nan_moment(np.nanstd)
