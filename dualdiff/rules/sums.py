"""Sums, means and averages, and how a total is spread again over what it was taken of."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.kinds import Linear
from dualdiff.labels import lanes
from dualdiff.register import composite, register
from dualdiff.rules.folding import (
    NONE,
    add_reduce,
    along_axes,
    axes_of,
    converted,
    count_of,
    deliver,
    expand,
    keeps_axes,
    masked,
    taking_part,
)
from dualdiff.rules.summing import Summing
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind, ndarray, operand

_SCALARS = frozenset((float, np.float64, np.float32))


def _sum(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    if type(x) is ndarray:
        return add_reduce(x, axis, None, None, keepdims)
    return np.sum(x, axis=axis, keepdims=keepdims)


def _spread(g: Any, *, axis: tuple[int, ...], keepdims: bool, shape: tuple[int, ...]) -> Any:
    """Repeat a reduced value along the axes it lacks."""
    have = shape_of(g)
    if not have and type(g) in _SCALARS:
        out = np.empty(shape, dtype_of(g))
        out.fill(g)
        return out
    lead = have[: len(have) - len(shape) + (0 if keepdims else len(axis))]
    out = np.empty_like(g, shape=lead + shape)
    out[...] = expand(g, shape, axis, keepdims)
    return out


sum_ = Summing(
    "np.sum",
    _sum,
    pull=lambda g, x, *, axis, keepdims: spread(g, axis=axis, keepdims=keepdims, shape=x.shape),
    joins=along_axes,
)
spread: Linear = Linear(
    "spread",
    _spread,
    pull=lambda g, _x, *, axis, keepdims, shape: sum_(g, axis=axis, keepdims=keepdims),
    joins=lambda k, args, params, out: lanes(shape_of(out), shape_of(args[0]), params["axis"])[::-1],
)


def _mean(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    if type(x) is ndarray and x.dtype.char in "fdgFDG" and x.size:
        return add_reduce(x, axis, None, None, keepdims) / count_of(x.shape, axis)
    return np.mean(x, axis=axis, keepdims=keepdims)


mean_ = Summing(
    "np.mean",
    _mean,
    pull=lambda g, x, *, axis, keepdims: spread(
        g / count_of(x.shape, axis), axis=axis, keepdims=keepdims, shape=x.shape
    ),
    joins=along_axes,
)
mean_.divides = True
sum_.on_objects = mean_.on_objects = spread.on_objects = True
sum_.folds = mean_.folds = "add"
spread.repeats = True


def sum_of(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NONE,
    initial: Any = NONE,
    where: Any = NONE,
) -> Any:
    """``np.sum``."""
    x = operand(a)
    if dtype is None and out is None and initial is NONE and where is NONE:
        return bind(sum_, (x,), axes_of(axis, len(shape_of(x)), keeps_axes(keepdims)))
    x = masked(converted(x, dtype), where, 0)
    y = bind(sum_, (x,), axes_of(axis, len(shape_of(x)), keeps_axes(keepdims)))
    return deliver(y if initial is NONE else y + initial, out, "np.sum")


def mean_of(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NONE, *, where: Any = NONE
) -> Any:
    """``np.mean``."""
    x = operand(a)
    if dtype is not None:
        x = converted(x, dtype)
    params = axes_of(axis, len(shape_of(x)), keeps_axes(keepdims))
    if where is NONE or where is True:
        return deliver(bind(mean_, (x,), params), out, "np.mean")
    y = bind(sum_, (masked(x, where, 0),), params) / taking_part(x, where, **params)
    return deliver(y, out, "np.mean")


register(np.sum, "linear", sum_of, domain="real", primitive=sum_)
register(np.mean, "linear", mean_of, domain="real", primitive=mean_)


def weights_along(w: Any, shape: tuple[int, ...], axis: Any, axes: tuple[int, ...]) -> Any:
    """Return weights, which may be given for the axes of a reduction only, in a form that broadcasts to an array's shape."""
    if shape_of(w) == shape:
        return w
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    if shape_of(w) != tuple([shape[i] for i in axes]):
        raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
    if sorted(axes) != list(axes):
        w = np.transpose(w, np.argsort(axes))
    return np.reshape(w, tuple([s if i - len(shape) in axes else 1 for i, s in enumerate(shape)]))


@composite(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = NONE) -> Any:
    """``np.average``."""
    a = operand(a)
    shape = shape_of(a)
    params = axes_of(axis, len(shape), keeps_axes(keepdims))
    if weights is None:
        mean = bind(mean_, (a,), params)
        total = np.full(shape_of(mean), float(count_of(shape, params["axis"])), dtype_of(mean))
        return (mean, total) if returned else mean
    w = operand(weights)
    spread_out = shape_of(w) != shape
    w = weights_along(w, shape, axis, params["axis"])
    scale = bind(sum_, (np.broadcast_to(w, shape) if spread_out else w,), params)
    if bool(np.any(np.equal(scale, 0))):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    mean = bind(sum_, (np.multiply(a, w),), params) / scale
    if not returned:
        return mean
    return mean, scale if shape_of(scale) == shape_of(mean) else np.broadcast_to(scale, shape_of(mean))
