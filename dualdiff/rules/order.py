"""Sorting and order statistics: median, quantiles, percentiles."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from dualdiff.kinds import Discrete, General, Linear, Sweep, scatter_add
from dualdiff.kinds.kinks import Kink, apart
from dualdiff.register import REAL_ONLY, Facts, composite, register
from dualdiff.rules.absent import where_nan
from dualdiff.rules.elementwise import cast
from dualdiff.rules.folding import NONE, along_axes, axes_last, deliver, flat, folded, is_nan, keeps_axes, settled_form
from dualdiff.rules.sums import mean_of, weights_along
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


@composite(np.sort_complex, facts=Facts(kinks=[np.sort]))
def sort_complex(a: Any) -> Any:
    """``np.sort_complex``: by real parts, and among equal ones by imaginary parts."""
    x = sort(a)
    kind = dtype_of(x)
    if kind.kind == "c":
        return x
    return cast(x, {"b": "F", "h": "F", "B": "F", "H": "F", "g": "G"}.get(kind.char, "D"))


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


@composite(np.median, facts=Facts(kinks=[np.sort]))
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    """``np.median``."""
    rows, _, kept = _sorted_rows(a, axis)
    n = shape_of(rows)[-1]
    if n == 0:
        y = mean_of(rows, -1)
        return deliver(np.reshape(y, kept) if keeps_axes(keepdims) else y, out, "np.median")
    last = rows[..., -1]
    y = rows[..., n // 2] if n % 2 else (rows[..., n // 2 - 1] + rows[..., n // 2]) / 2
    y = np.where(is_nan(last), where_nan(last), y)
    return deliver(np.reshape(y, kept) if keeps_axes(keepdims) else number(y), out, "np.median")


_CONTINUOUS = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "linear": (1.0, 1.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}
"""The methods by which a quantile moves with its rank, as (α, β): it stands at n·q + α + q·(1 - α - β) - 1 (Hyndman & Fan).

Hyndman, R. J. & Fan, Y. (1996), Sample quantiles in statistical packages, https://doi.org/10.2307/2684934. By the other
methods it stands at an entry, or half-way between two: at which of them is piecewise constant in the rank.
"""


def _ranks(x: Any, *more: Any, method: str) -> Any:
    """Return where the quantiles of the last axis stand among its sorted entries that are not NaN, as NumPy has it."""
    *weights, q = more
    order = np.argsort(np.argsort(x, axis=-1, kind="stable"), axis=-1)
    ranks = np.where(is_nan(x), math.nan, order).astype(dtype_of(x))
    options = {"weights": weights[0]} if weights else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        at = np.nanquantile(ranks, q, axis=-1, method=method, **options)  # type: ignore[call-overload]
    return np.moveaxis(np.asarray(at), tuple(range(np.ndim(q))), tuple(range(-np.ndim(q), 0)))


ranks_ = Discrete("np.quantile", _ranks)


def _quantile(
    name: str, a: Any, q: Any, axis: Any, out: Any, method: str, keepdims: Any, weights: Any, skip_nan: bool
) -> Any:
    plain_q = settled_form(q)
    if not bool(np.all((np.asarray(plain_q) >= 0) & (np.asarray(plain_q) <= 1))):
        raise ValueError(
            "Percentiles must be in the range [0, 100]"
            if "percentile" in name
            else "Quantiles must be in the range [0, 1]"
        )
    x = operand(a)
    rows, axes, kept = _sorted_rows(x, axis)
    n = shape_of(rows)[-1]
    if n == 0:
        raise IndexError("cannot take a quantile of an empty axis")
    if weights is not None and method != "inverted_cdf":
        raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")
    np.quantile([0.0], 0.5, method=method)  # type: ignore[call-overload]  # NumPy's own error for an unknown method
    q = operand(q)
    if type(q) in (float, int) and dtype_of(rows).kind == "f":
        q = dtype_of(rows).type(q)  # an array keeps its own precision
    ranks = shape_of(q)
    if method not in _CONTINUOUS:
        if weights is None:  # how many there are says it all
            lanes = [rows if skip_nan else np.arange(n, dtype=dtype_of(rows).char.lower())]
        else:
            w = np.broadcast_to(weights_along(operand(weights), shape_of(x), axis, axes), shape_of(x))
            lanes = [axes_last(v, axes) if axes else np.reshape(v, (*shape_of(v), 1)) for v in (x, w)]
        y = _at_ranks(rows, fixed(bind(ranks_, (*lanes, q), {"method": method})), n, len(ranks), skip_nan)
    elif skip_nan:
        y = _quantile_of_each(rows, q, method)
    else:
        y = _quantile_of_all(rows, q, n, method)
    if ranks:  # NumPy puts the axes of q first
        y = np.moveaxis(y, tuple(range(-len(ranks), 0)), tuple(range(len(ranks))))
    return deliver(np.reshape(y, ranks + kept) if keeps_axes(keepdims) else number(y), out, name)


def _place(count: Any, q: Any, method: str) -> Any:
    """Return where quantiles stand among so many sorted entries, by a method that moves with the rank."""
    alpha, beta = _CONTINUOUS[method]
    if alpha == beta == 1:
        return q * (count - 1)
    at = count * q + (alpha + q * (1 - alpha - beta)) - 1
    at = np.where(np.less(at, 0), 0.0, at)
    return number(np.where(np.greater(at, count - 1), count - 1.0, at))


def _quantile_of_all(rows: Any, q: Any, n: int, method: str) -> Any:
    at = _place(n, q, method)
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
    return np.where(is_nan(last), where_nan(last), _between(a, b, part))


def _quantile_of_each(rows: Any, q: Any, method: str) -> Any:
    """Interpolate in every row among its entries that are not NaN (they stand first)."""
    n = shape_of(rows)[-1]
    count = fixed(np.sum(np.logical_not(is_nan(rows)), axis=-1))
    count = np.reshape(count, shape_of(count) + (1,) * len(shape_of(q)))
    last = count - 1
    real = np.dtype(dtype_of(rows).char.lower())
    at = _place(count.astype(real), q, method)
    low = np.floor(at).astype(np.intp)
    low = np.clip(fixed(low), 0, np.maximum(last - (1 if type(q) in TRACED else 0), 0))
    high = np.clip(low + 1, 0, np.maximum(last, 0))
    y = _between(_entry(rows, low, n), _entry(rows, high, n), at - low.astype(real))
    y = np.where(np.less(last, 0), math.nan, y)
    return where_nan(y, lambda: _all(rows, last.ndim))


def _at_ranks(rows: Any, at: Any, n: int, more: int, skip_nan: bool) -> Any:
    """Return from every row the entries at given places, or the middle of two: the same places, or each row's own."""
    none = np.isnan(at)
    at = np.where(none, 0, at)
    low = np.floor(at).astype(np.intp)
    alike = at.ndim == more
    y = rows[..., low] if alike else _entry(rows, low, n)
    if bool(np.any(low != at)):
        high = np.minimum(low + 1, n - 1)
        between = 0.5 * (y + (rows[..., high] if alike else _entry(rows, high, n)))
        y = np.where(low != at, between, y)
    if skip_nan:
        return where_nan(np.where(none, math.nan, y), lambda: _all(rows, at.ndim)) if bool(np.any(none)) else y
    last = rows[..., -1]
    last = np.reshape(last, shape_of(last) + (1,) * more) if more else last
    return np.where(is_nan(last), where_nan(last), y)


def _all(rows: Any, rank: int) -> Any:
    """Return what depends on all entries of every row."""
    whole = np.sum(rows, axis=-1)
    return np.reshape(whole, shape_of(whole) + (1,) * (rank - len(shape_of(whole))))


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

    composite(function, facts=Facts(REAL_ONLY, kinks=[np.sort]))(handler)


_interpolating(np.quantile, 1, skip_nan=False)
_interpolating(np.percentile, 100, skip_nan=False)
_interpolating(np.nanquantile, 1, skip_nan=True)
_interpolating(np.nanpercentile, 100, skip_nan=True)


@composite(np.nanmedian, facts=Facts(kinks=[np.sort]))
def nanmedian(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = NONE) -> Any:
    """``np.nanmedian``."""
    rows, _, kept = _sorted_rows(a, axis)
    count = fixed(np.sum(np.logical_not(is_nan(rows)), axis=-1))
    n = shape_of(rows)[-1]
    low, high = _entry(rows, np.maximum(count - 1, 0) // 2, n), _entry(rows, np.maximum(count, 0) // 2, n)
    y = np.where(np.equal(count, 0), math.nan, np.where(np.equal(count % 2, 1), low, (low + high) / 2))
    y = where_nan(y, lambda: np.sum(rows, axis=-1))
    return deliver(np.reshape(y, kept) if keeps_axes(keepdims) else number(y), out, "np.nanmedian")
