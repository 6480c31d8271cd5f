"""The largest and the smallest entry: those that tie for it share its derivative evenly."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.kinds import General, Sweep, chosen
from dualdiff.kinds.kinks import Kink, runner_up
from dualdiff.register import Facts, composite, register
from dualdiff.rules.folding import (
    NONE,
    add_reduce,
    along_axes,
    axes_of,
    count_of,
    deliver,
    expand,
    folded,
    keeps_axes,
    masked,
)
from dualdiff.rules.sums import sum_of
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind, ndarray, operand


def _winners(x: Any, out: Any, axis: tuple[int, ...], keepdims: bool) -> tuple[Any, Any]:
    """Return where the extremum is attained, and how often."""
    mask = np.equal(x, expand(out, shape_of(x), axis, keepdims))
    if type(mask) is ndarray and len(axis) == mask.ndim:
        n = int(np.count_nonzero(mask))
        return mask, n if n else math.nan  # NaN equals nothing, and its derivative is NaN
    if type(mask) is ndarray and x.dtype.char == "d":  # numbers add up several times as fast as truth values
        mask = mask.astype(x.dtype)
        return mask, add_reduce(mask, axis, None, None, True)
    return mask, np.sum(mask, axis=axis, keepdims=True).astype(np.dtype(dtype_of(x).char.lower()))


def _extremum_push(sweep: Sweep, ts: Any, out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    if not axis:
        return ts[0]
    mask, ties = _winners(x, out, axis, keepdims)
    return np.sum(
        chosen(sweep, ts[0], mask / ties if type(ties) is not int else mask), axis=axis, keepdims=keepdims
    ) / (ties if type(ties) is int else 1)


def _extremum_pull(sweep: Sweep, g: Any, out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    if not axis:
        return (g,)
    mask, ties = _winners(x, out, axis, keepdims)
    g = expand(g, shape_of(x), axis, keepdims)
    return (chosen(sweep, g / ties, mask) if type(ties) is int else chosen(sweep, g, mask / ties),)


def _extremum(function: Any, reduce: Any, opposite: float, pair: Any, aliases: tuple[Any, ...]) -> Callable[..., Any]:
    """Register np.max or np.min: entries that tie for it share its derivative evenly."""

    def value(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
        if type(x) is ndarray:
            return reduce(x, axis, None, None, keepdims)
        return function(x, axis=axis, keepdims=keepdims)

    name = f"np.{function.__name__}"
    row = General(name, value, _extremum_push, _extremum_pull, keeps=(True, (True,)), joins=along_axes)
    row.folds = pair.__name__
    row.kink = Kink(
        runner_up(1 if opposite < 0 else -1),
        "shared evenly among the entries that tie",
        "np.log(np.sum(np.exp(k * x))) / k is a smooth maximum; x[np.argmax(x)] decides for one entry",
    )

    def handler(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = NONE, initial: Any = NONE, where: Any = NONE
    ) -> Any:
        x = operand(a)
        params = axes_of(axis, len(shape_of(x)), keeps_axes(keepdims))
        if initial is NONE and where is NONE:
            return deliver(bind(row, (x,), params), out, name)
        if initial is NONE:
            if where is not True:
                raise ValueError(
                    f"{name} does not have an identity, so to use a where mask one has to specify 'initial'"
                )
            return deliver(bind(row, (x,), params), out, name)
        x = masked(x, where, opposite)
        if not count_of(shape_of(x), params["axis"]):
            kept = folded(shape_of(x), params["axis"]) if params["keepdims"] else shape_of(sum_of(x, axis))
            return deliver(np.broadcast_to(initial, kept), out, name)
        return deliver(pair(bind(row, (x,), params), initial), out, name)

    register((function, *aliases), "general", handler, domain="distinct", primitive=row)
    return handler


max_of = _extremum(np.max, np.maximum.reduce, -math.inf, np.maximum, (np.amax,))
min_of = _extremum(np.min, np.minimum.reduce, math.inf, np.minimum, (np.amin,))


@composite(np.ptp, facts=Facts(kinks=[np.max, np.min]))
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NONE) -> Any:
    """``np.ptp``."""
    return deliver(max_of(a, axis, None, keepdims) - min_of(a, axis, None, keepdims), out, "np.ptp")
