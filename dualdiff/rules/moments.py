"""The variance and the standard deviation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.kinds import General, Sweep
from dualdiff.kinds.kinks import Kink, width
from dualdiff.register import register
from dualdiff.rules.elementwise import over, root
from dualdiff.rules.folding import (
    NONE,
    along_axes,
    axes_back,
    axes_last,
    axes_of,
    converted,
    count_of,
    deliver,
    expand,
    folded,
    freedom,
    keeps_axes,
    masked,
    square_of,
    taking_part,
)
from dualdiff.rules.sums import mean_of, sum_
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind, operand


def _freedom(shape: tuple[int, ...], axis: tuple[int, ...], ddof: float) -> float:
    n = max(count_of(shape, axis) - ddof, 0)
    return n if n else math.nan


def _var_partial(x: Any, out: Any, axis: tuple[int, ...], keepdims: bool, ddof: float) -> Any:
    return (x - np.mean(x, axis=axis, keepdims=True)) * (2.0 / _freedom(shape_of(x), axis, ddof))


def _std_partial(x: Any, out: Any, axis: tuple[int, ...], keepdims: bool, ddof: float) -> Any:
    mean = np.mean(x, axis=axis, keepdims=True)
    y = expand(out, shape_of(x), axis, keepdims)
    # The mean of equal numbers is rounded, and leaves a spread of that order: the constant is recognised exactly.
    if bool(np.any(y <= np.abs(mean) * math.sqrt(float(np.finfo(dtype_of(y)).eps)))):
        first = axes_back(axes_last(x, axis)[..., :1], folded(shape_of(x), axis), axis) if axis else x
        constant = np.all(np.equal(x, first), axis=axis, keepdims=True)
        y = np.where(constant, 0.0, y)
    return over(x - mean, y) * (1.0 / _freedom(shape_of(x), axis, ddof))


def _moment(function: Any, partial: Callable[..., Any]) -> General:
    def value(x: Any, *, axis: tuple[int, ...], keepdims: bool, ddof: float) -> Any:
        return function(x, axis=axis, ddof=ddof, keepdims=keepdims)

    def push(sweep: Sweep, ts: Any, out: Any, x: Any, *, axis: Any, keepdims: bool, ddof: float) -> Any:
        product = ts[0] * np.conjugate(partial(x, out, axis, keepdims, ddof))
        return np.sum(np.real(product) if dtype_of(x).kind == "c" else product, axis=axis, keepdims=keepdims)

    def pull(sweep: Sweep, g: Any, out: Any, x: Any, *, axis: Any, keepdims: bool, ddof: float) -> Any:
        return (expand(g, shape_of(x), axis, keepdims) * partial(x, out, axis, keepdims, ddof),)

    name = f"np.{function.__name__}"
    return General(name, value, push, pull, keeps=(partial is _std_partial, (True,)), joins=along_axes)


var_ = _moment(np.var, _var_partial)
std_ = _moment(np.std, _std_partial)
std_.kink = Kink(
    lambda _y, x, *, axis, keepdims, ddof: width(x, axis),
    "0",
    "differentiate the variance, np.var (np.std(x)**2 has its derivative too), or add a small number under the root",
)


def _spread_of(row: General, function: Any) -> None:
    def handler(
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
        params = axes_of(axis, len(shape_of(x)), keeps_axes(keepdims))
        if (where is NONE or where is True) and mean is NONE:
            return deliver(bind(row, (x,), {**params, "ddof": ddof}), out, row.name)
        kept = axes_of(axis, len(shape_of(x)), True)
        n = count_of(shape_of(x), params["axis"]) if where is NONE else taking_part(x, where, **params)
        if mean is NONE:
            mean = mean_of(x, axis, None, None, True, where=where)
        squares = square_of(x - mean)
        free = np.maximum(n - ddof, 0) if hasattr(n, "dtype") else max(n - ddof, 0) or math.nan
        y = bind(sum_, (masked(squares, where, 0),), params) / free
        if row is std_:
            zero = np.equal(y, 0)
            if where is NONE and kept["axis"]:
                zero = np.logical_or(zero, np.equal(np.ptp(x, axis=axis, keepdims=params["keepdims"]), 0))
            y = root(y, zero)
        return deliver(y, out, row.name)

    register(function, "general", handler, domain="distinct", primitive=row)


_spread_of(var_, np.var)
_spread_of(std_, np.std)
