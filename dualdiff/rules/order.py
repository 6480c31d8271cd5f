"""Sorting and order statistics: median, quantiles, percentiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dualdiff.kinds import General, Linear, Sweep, scatter_add
from dualdiff.kinds.kinks import Kink, apart
from dualdiff.register import composite, register
from dualdiff.rules.elementwise import unsupported
from dualdiff.rules.folding import NONE, along_axes, axes_last, deliver, flat, folded, is_nan, keeps_axes, settled_form
from dualdiff.rules.sums import mean_of
from dualdiff.shapes import dtype_of, negative_axes, shape_of
from dualdiff.values import TRACED, bind, fixed, number, operand


def _arranged(x: Any, *, order: Any, inverse: Any, axis: int) -> Any:
    missing = len(shape_of(x)) - order.ndim
    return np.take_along_axis(x, order.reshape((1,) * missing + order.shape) if missing else order, axis=axis)


arranged: Linear = Linear(
    "arrangement",
    _arranged,
    pull=lambda g, _x, *, order, inverse, axis: arranged(g, order=inverse, inverse=order, axis=axis),
    joins=along_axes,  # not the order itself: that comes from values, and another run may have another one
)
"""Entries put in another order along an axis; its transpose puts them back."""


def _order(x: Any, axis: int) -> Any:
    order = fixed(np.argsort(x, axis=axis, kind="stable"))
    return {"order": order, "inverse": np.argsort(order, axis=axis), "axis": axis}


def _shared(t: Any, y: Any, axis: int) -> Any:
    """Give every entry of a run of equal sorted values the mean of the run (a symmetric map: its own transpose)."""
    n = shape_of(y)[axis]
    tail = (slice(None),) * (-axis - 1)
    same = fixed(np.equal(y[(Ellipsis, slice(1, None), *tail)], y[(Ellipsis, slice(None, -1), *tail)]))
    if not bool(np.any(same)):
        return t
    same, t = np.moveaxis(same, axis, -1), np.moveaxis(t, axis, -1)
    edge = np.zeros_like(same, shape=(*same.shape[:-1], 1))
    at = np.arange(n)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, same], axis=-1), 0, at), axis=-1)
    last = np.minimum.accumulate(np.where(np.concatenate([same, edge], axis=-1), n, at)[..., ::-1], axis=-1)[..., ::-1]
    # Group g of row r is entry first + n·r: a scatter into groups, and a gather from them.
    position = (first + n * np.arange(math.prod(first.shape[:-1])).reshape((*first.shape[:-1], 1))).reshape(-1)
    shape = shape_of(t)
    lead = shape[: len(shape) - first.ndim]
    sums = scatter_add(np.reshape(t, (*lead, position.size)), position=position, size=position.size)
    means = np.reshape(sums[..., position], shape) / (last - first + 1).astype(dtype_of(t))
    return np.moveaxis(means, -1, axis)


def _sort_push(sweep: Sweep, ts: Any, y: Any, x: Any, *, axis: int) -> Any:
    return _shared(arranged(ts[0], **_order(x, axis)), y, axis)


def _sort_pull(sweep: Sweep, g: Any, y: Any, x: Any, *, axis: int) -> Any:
    order = _order(x, axis)
    return (arranged(_shared(g, y, axis), order=order["inverse"], inverse=order["order"], axis=axis),)


def _sort(x: Any, *, axis: int) -> Any:
    return np.sort(x, axis=axis, kind="stable")


sort_ = General("np.sort", _sort, _sort_push, _sort_pull, joins=along_axes)
sort_.kink = Kink(
    apart,
    "shared evenly among equal entries",
    "x[np.argsort(x)] keeps equal entries in their order",
)


def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """``np.sort``: equal entries share their derivatives evenly."""
    if order is not None:
        raise ValueError("Cannot specify order when the array has no fields.")
    x = operand(a)
    if axis is None:
        x, axis = flat(x), -1
    (axis,) = negative_axes(axis, len(shape_of(x)))
    return bind(sort_, (x,), {"axis": axis})


register(np.sort, "general", sort, domain="distinct", primitive=sort_)


def _sorted_rows(a: Any, axis: Any) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
    """Sort along some axes joined to one at the end; return also the reduced axes and the shape with them at 1."""
    x = operand(a)
    shape = shape_of(x)
    axes = negative_axes(axis, len(shape))
    x = axes_last(x, axes) if axes else np.reshape(x, (*shape, 1))
    return bind(sort_, (x,), {"axis": -1}), axes, folded(shape, axes)


def _between(low: Any, high: Any, part: Any) -> Any:
    """Interpolate as NumPy does, from whichever end is nearer."""
    if type(part) is float:
        return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)
    return np.where(np.less(part, 0.5), low + (high - low) * part, high - (high - low) * (1 - part))


@composite(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    """``np.median``."""
    rows, _, kept = _sorted_rows(a, axis)
    n = shape_of(rows)[-1]
    if n == 0:
        return deliver(mean_of(rows, -1), out, "np.median")
    last = rows[..., -1]
    y = rows[..., n // 2] if n % 2 else (rows[..., n // 2 - 1] + rows[..., n // 2]) / 2
    y = np.where(is_nan(last), last, y)
    return deliver(np.reshape(y, kept) if keeps_axes(keepdims) else number(y), out, "np.median")


def _quantile(
    name: str, a: Any, q: Any, axis: Any, out: Any, method: str, keepdims: Any, weights: Any, skip_nan: bool
) -> Any:
    if weights is not None:
        raise unsupported(name, ["weights"], "np.sort, and np.cumsum of the weights")
    if method != "linear":
        raise unsupported(name, ["method"], "method='linear', or index np.sort(x) at the ranks you want")
    plain_q = settled_form(q)
    if not bool(np.all((np.asarray(plain_q) >= 0) & (np.asarray(plain_q) <= 1))):
        raise ValueError(
            "Percentiles must be in the range [0, 100]"
            if "percentile" in name
            else "Quantiles must be in the range [0, 1]"
        )
    rows, _, kept = _sorted_rows(a, axis)
    n = shape_of(rows)[-1]
    if n == 0:
        raise IndexError("cannot take a quantile of an empty axis")
    q = operand(q)
    if type(q) in (float, int) and dtype_of(rows).kind == "f":
        q = dtype_of(rows).type(q)  # an array keeps its own precision
    ranks = shape_of(q)
    if skip_nan:
        y = _quantile_of_each(rows, q)
    else:
        y = _quantile_of_all(rows, q, n)
    if ranks:  # NumPy puts the axes of q first
        y = np.moveaxis(y, tuple(range(-len(ranks), 0)), tuple(range(len(ranks))))
    return deliver(np.reshape(y, ranks + kept) if keeps_axes(keepdims) else number(y), out, name)


def _quantile_of_all(rows: Any, q: Any, n: int) -> Any:
    at = q * (n - 1)
    traced = type(q) in TRACED
    low = np.asarray(fixed(np.floor(at).astype(np.intp) if hasattr(at, "astype") else math.floor(at)))
    low = np.minimum(low, max(n - 2, 0) if traced else n - 1)
    high = np.minimum(low + 1, n - 1)
    part = at - (low if low.ndim else int(low))
    last = rows[..., -1]
    if low.ndim:
        last = np.reshape(last, shape_of(last) + (1,) * low.ndim)
        a, b = rows[..., low], rows[..., high]
    else:
        a, b = rows[..., int(low)], rows[..., int(high)]
        part = part if type(part) in TRACED else float(part)
    return np.where(is_nan(last), last, _between(a, b, part))


def _quantile_of_each(rows: Any, q: Any) -> Any:
    """Interpolate in every row among its entries that are not NaN (they stand first)."""
    n = shape_of(rows)[-1]
    count = fixed(np.sum(np.logical_not(is_nan(rows)), axis=-1))
    last = np.reshape(count - 1, shape_of(count) + (1,) * len(shape_of(q)))
    real = np.dtype(dtype_of(rows).char.lower())
    at = q * last.astype(real)
    low = np.floor(at).astype(np.intp)
    low = np.clip(fixed(low), 0, np.maximum(last - (1 if type(q) in TRACED else 0), 0))
    high = np.clip(low + 1, 0, np.maximum(last, 0))
    y = _between(_entry(rows, low, n), _entry(rows, high, n), at - low.astype(real))
    return np.where(np.less(last, 0), math.nan, y)


def _entry(rows: Any, at: Any, n: int) -> Any:
    """Return from every row the entries that stand at ``at``."""
    spread_out = np.reshape(rows, (*shape_of(rows)[:-1], *(1,) * (at.ndim - len(shape_of(rows)) + 1), n))
    return np.sum(np.where(np.equal(np.arange(n), at[..., None]), spread_out, 0), axis=-1)


def _interpolating(function: Any, whole: int, skip_nan: bool) -> None:
    """Register a function of ranks, given in parts of ``whole``, that interpolates linearly between sorted entries."""
    name = f"np.{function.__name__}"

    def handler(
        a: Any,
        q: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: Any = NONE,
        *,
        weights: Any = None,
    ) -> Any:
        q = q if whole == 1 else operand(q) / whole
        return _quantile(name, a, q, axis, out, method, keepdims, weights, skip_nan)

    register(function, "composite", handler)


_interpolating(np.quantile, 1, skip_nan=False)
_interpolating(np.percentile, 100, skip_nan=False)
_interpolating(np.nanquantile, 1, skip_nan=True)
_interpolating(np.nanpercentile, 100, skip_nan=True)


@composite(np.nanmedian)
def nanmedian(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = NONE) -> Any:
    """``np.nanmedian``."""
    rows, _, kept = _sorted_rows(a, axis)
    count = fixed(np.sum(np.logical_not(is_nan(rows)), axis=-1))
    n = shape_of(rows)[-1]
    low, high = _entry(rows, np.maximum(count - 1, 0) // 2, n), _entry(rows, np.maximum(count, 0) // 2, n)
    y = np.where(np.equal(count, 0), math.nan, np.where(np.equal(count % 2, 1), low, (low + high) / 2))
    return deliver(np.reshape(y, kept) if keeps_axes(keepdims) else number(y), out, "np.nanmedian")
