"""Functions that fold an axis: sums, products, extrema, moments, order statistics, running sums.

Every primitive here takes its axes as a tuple of negative numbers, so that a batch axis in front changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.labels import Labels, lanes
from dualdiff.primitive import TRACED, General, Linear, Sweep, bind, composite, fixed, operand, register, scatter_add
from dualdiff.rules.elementwise import into, unsupported
from dualdiff.shapes import dtype_of, negative_axes, shape_of, size_of

ndarray = np.ndarray
NONE: Any = np._NoValue
add_reduce: Any = np.add.reduce
_SCALARS = frozenset((float, np.float64, np.float32))


# --------------------------------------------------------------------------------------------------
# operands, destinations, axes


def deliver(result: Any, out: Any, name: str) -> Any:
    """Store a result where ``out=`` asks for it, or refuse where its derivative would be lost."""
    if type(out) is tuple and len(out) == 1:
        (out,) = out
    if out is None or out is NONE:
        return result
    if shape_of(out) != shape_of(result):
        raise ValueError(
            f"output parameter for {name} has shape {shape_of(out)}, but the result has {shape_of(result)}"
        )
    return into(result, out, name)


@lru_cache(maxsize=4096)
def axes_of(axis: Any, ndim: int, keepdims: bool) -> dict[str, Any]:
    """Return the parameters of a reduction; the cached dict is shared and never written."""
    return {"axis": negative_axes(axis, ndim), "keepdims": keepdims}


def folded(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape with its reduced axes set to 1."""
    n = len(shape)
    return tuple([1 if i - n in axis else s for i, s in enumerate(shape)])


def _flag(keepdims: Any) -> bool:
    return keepdims is not NONE and bool(keepdims)


def count_of(shape: tuple[int, ...], axis: tuple[int, ...]) -> int:
    """Return how many entries a reduction folds into one."""
    return math.prod([shape[a] for a in axis])


def expand(y: Any, shape: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> Any:
    """Give a reduced value (with or without a batch axis) its reduced axes back, as unit axes."""
    if keepdims or not axis:
        return y
    have = shape_of(y)
    want = have[: len(have) - len(shape) + len(axis)] + folded(shape, axis)
    return y.reshape(want) if hasattr(y, "reshape") else np.reshape(y, want)


def axes_last(x: Any, axis: tuple[int, ...]) -> Any:
    """Move some axes to the end and join them into one; leading axes stay."""
    k = len(axis)
    if sorted(axis) != list(range(-k, 0)):
        x = np.moveaxis(x, tuple(sorted(axis)), tuple(range(-k, 0)))
    shape = shape_of(x)
    cut = len(shape) - k
    return x if k == 1 else np.reshape(x, (*shape[:cut], size_of(shape[cut:])))


def axes_back(y: Any, shape: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    """Undo :func:`axes_last` for an array of ``shape``."""
    order = sorted(axis)
    k = len(order)
    if k != 1:
        have = shape_of(y)
        y = np.reshape(y, (*have[:-1], *[shape[a] for a in order]))
    return y if order == list(range(-k, 0)) else np.moveaxis(y, tuple(range(-k, 0)), tuple(order))


def masked(x: Any, mask: Any, filler: Any) -> Any:
    """Return ``x`` with ``filler`` where a reduction's ``where=`` says that an entry does not take part."""
    if mask is NONE or mask is True:
        return x
    mask = operand(mask)
    if np.broadcast_shapes(shape_of(mask), shape_of(x)) != shape_of(x):
        raise ValueError(f"{where()}: where= of shape {shape_of(mask)} does not fit an array of shape {shape_of(x)}")
    return np.where(mask, x, filler)


def converted(x: Any, dtype: Any) -> Any:
    """Return ``x`` in the dtype a reduction was asked to compute in."""
    return x if dtype is None or np.dtype(dtype) == dtype_of(x) else x.astype(dtype)


def along_axes(k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Labels:
    """Say the pattern of a row that works along the axes of its parameter ``axis``: lane by lane."""
    axis = params["axis"]
    return lanes(shape_of(args[k]), shape_of(out), axis if type(axis) is tuple else (axis,))


# --------------------------------------------------------------------------------------------------
# sum and mean


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


sum_: Linear = Linear(
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


mean_ = Linear(
    "np.mean",
    _mean,
    pull=lambda g, x, *, axis, keepdims: spread(
        g / count_of(x.shape, axis), axis=axis, keepdims=keepdims, shape=x.shape
    ),
    joins=along_axes,
)


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
        return bind(sum_, (x,), axes_of(axis, len(shape_of(x)), _flag(keepdims)))
    x = masked(converted(x, dtype), where, 0)
    y = bind(sum_, (x,), axes_of(axis, len(shape_of(x)), _flag(keepdims)))
    return deliver(y if initial is NONE else y + initial, out, "np.sum")


def mean_of(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NONE, *, where: Any = NONE
) -> Any:
    """``np.mean``."""
    x = operand(a)
    if dtype is not None:
        x = converted(x, dtype)
    params = axes_of(axis, len(shape_of(x)), _flag(keepdims))
    if where is NONE or where is True:
        return deliver(bind(mean_, (x,), params), out, "np.mean")
    y = bind(sum_, (masked(x, where, 0),), params) / _taking_part(x, where, **params)
    return deliver(y, out, "np.mean")


def _taking_part(x: Any, mask: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Count the entries of ``x`` that ``where=`` lets in."""
    mask = np.logical_and(operand(mask), np.ones(shape_of(x), bool))
    return np.sum(mask, axis=axis, keepdims=keepdims).astype(np.dtype(dtype_of(x).char.lower()))


register(np.sum, "linear", sum_of, domain="real", primitive=sum_)
register(np.mean, "linear", mean_of, domain="real", primitive=mean_)


@composite(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = NONE) -> Any:
    """``np.average``."""
    a = operand(a)
    shape = shape_of(a)
    params = axes_of(axis, len(shape), _flag(keepdims))
    if weights is None:
        mean = bind(mean_, (a,), params)
        total = np.full(shape_of(mean), float(count_of(shape, params["axis"])), dtype_of(mean))
        return (mean, total) if returned else mean
    w = operand(weights)
    if shape_of(w) != shape:
        if axis is None:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        axes = params["axis"]
        if shape_of(w) != tuple([shape[i] for i in axes]):
            raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
        if sorted(axes) != list(axes):
            w = np.transpose(w, np.argsort(axes))
        w = np.reshape(w, tuple([s if i - len(shape) in axes else 1 for i, s in enumerate(shape)]))
        scale = bind(sum_, (np.broadcast_to(w, shape),), params)
    else:
        scale = bind(sum_, (w,), params)
    if bool(np.any(np.equal(scale, 0))):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    mean = bind(sum_, (np.multiply(a, w),), params) / scale
    if not returned:
        return mean
    return mean, scale if shape_of(scale) == shape_of(mean) else np.broadcast_to(scale, shape_of(mean))


# --------------------------------------------------------------------------------------------------
# products


def shifted_products(x: Any) -> Any:
    """Return, at each entry of the last axis, the product of all entries before it."""
    ones = np.ones_like(x, shape=(*shape_of(x)[:-1], 1))
    return np.concatenate([ones, np.cumprod(x, axis=-1)[..., :-1]], axis=-1)


def products_of_others(x: Any) -> Any:
    """Return, at each entry of the last axis, the product of all other entries, without a division."""
    return shifted_products(x) * shifted_products(x[..., ::-1])[..., ::-1]


def _prod_partial(x: Any, axis: tuple[int, ...]) -> Any:
    return axes_back(products_of_others(axes_last(x, axis)), shape_of(x), axis)


def _prod_push(sweep: Sweep, ts: Any, out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    if not size_of(shape_of(x)):
        return None
    return np.sum(sweep.mul(ts[0], _prod_partial(x, axis)), axis=axis, keepdims=keepdims) if axis else ts[0]


def _prod_pull(sweep: Sweep, g: Any, out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    if not size_of(shape_of(x)):
        return (None,)
    g = expand(g, shape_of(x), axis, keepdims)
    return (sweep.mul(g, np.conjugate(_prod_partial(x, axis))) if axis else g,)


def _prod(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return np.prod(x, axis=axis, keepdims=keepdims)


prod_ = General("np.prod", _prod, _prod_push, _prod_pull, keeps=(False, (True,)), joins=along_axes)


def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NONE,
    initial: Any = NONE,
    where: Any = NONE,
) -> Any:
    """``np.prod``."""
    x = masked(converted(operand(a), dtype), where, 1)
    y = bind(prod_, (x,), axes_of(axis, len(shape_of(x)), _flag(keepdims)))
    return deliver(y if initial is NONE else y * initial, out, "np.prod")


register(np.prod, "general", prod, domain="real", primitive=prod_)


# --------------------------------------------------------------------------------------------------
# extrema


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
    return np.sum(sweep.mul(ts[0], mask / ties if type(ties) is not int else mask), axis=axis, keepdims=keepdims) / (
        ties if type(ties) is int else 1
    )


def _extremum_pull(sweep: Sweep, g: Any, out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    if not axis:
        return (g,)
    mask, ties = _winners(x, out, axis, keepdims)
    return (sweep.mul(expand(g, shape_of(x), axis, keepdims) / ties, mask),)


def _extremum(function: Any, reduce: Any, opposite: float, pair: Any, aliases: tuple[Any, ...]) -> Callable[..., Any]:
    """Register np.max or np.min: entries that tie for it share its derivative evenly."""

    def value(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
        if type(x) is ndarray:
            return reduce(x, axis, None, None, keepdims)
        return function(x, axis=axis, keepdims=keepdims)

    name = f"np.{function.__name__}"
    row = General(name, value, _extremum_push, _extremum_pull, keeps=(True, (True,)), joins=along_axes)

    def handler(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = NONE, initial: Any = NONE, where: Any = NONE
    ) -> Any:
        x = operand(a)
        params = axes_of(axis, len(shape_of(x)), _flag(keepdims))
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


@composite(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NONE) -> Any:
    """``np.ptp``."""
    return deliver(max_of(a, axis, None, keepdims) - min_of(a, axis, None, keepdims), out, "np.ptp")


# --------------------------------------------------------------------------------------------------
# variance and standard deviation


def reciprocal_or_zero(y: Any) -> Any:
    """Return 1/y, and 0 where y is 0."""
    zero = np.equal(y, 0)
    return np.where(zero, 0.0, 1.0 / np.where(zero, 1.0, y))


def _freedom(shape: tuple[int, ...], axis: tuple[int, ...], ddof: float) -> float:
    n = max(count_of(shape, axis) - ddof, 0)
    return n if n else math.nan


def _var_partial(x: Any, out: Any, axis: tuple[int, ...], keepdims: bool, ddof: float) -> Any:
    return (x - np.mean(x, axis=axis, keepdims=True)) * (2.0 / _freedom(shape_of(x), axis, ddof))


def _std_partial(x: Any, out: Any, axis: tuple[int, ...], keepdims: bool, ddof: float) -> Any:
    mean = np.mean(x, axis=axis, keepdims=True)
    y = expand(out, shape_of(x), axis, keepdims)
    scale = reciprocal_or_zero(y)
    # The mean of equal numbers is rounded, and leaves a spread of that order: the constant is recognised exactly.
    if bool(np.any(y <= np.abs(mean) * math.sqrt(float(np.finfo(dtype_of(y)).eps)))):
        first = axes_back(axes_last(x, axis)[..., :1], folded(shape_of(x), axis), axis) if axis else x
        constant = np.all(np.equal(x, first), axis=axis, keepdims=True)
        scale = np.where(constant, 0.0, scale)
    return (x - mean) * scale * (1.0 / _freedom(shape_of(x), axis, ddof))


def _moment(function: Any, partial: Callable[..., Any]) -> General:
    def value(x: Any, *, axis: tuple[int, ...], keepdims: bool, ddof: float) -> Any:
        return function(x, axis=axis, ddof=ddof, keepdims=keepdims)

    def push(sweep: Sweep, ts: Any, out: Any, x: Any, *, axis: Any, keepdims: bool, ddof: float) -> Any:
        product = sweep.mul(ts[0], np.conjugate(partial(x, out, axis, keepdims, ddof)))
        return np.sum(np.real(product) if dtype_of(x).kind == "c" else product, axis=axis, keepdims=keepdims)

    def pull(sweep: Sweep, g: Any, out: Any, x: Any, *, axis: Any, keepdims: bool, ddof: float) -> Any:
        return (sweep.mul(expand(g, shape_of(x), axis, keepdims), partial(x, out, axis, keepdims, ddof)),)

    name = f"np.{function.__name__}"
    return General(name, value, push, pull, keeps=(partial is _std_partial, (True,)), joins=along_axes)


var_ = _moment(np.var, _var_partial)
std_ = _moment(np.std, _std_partial)


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
        if correction is not NONE:
            if ddof != 0:
                raise ValueError("ddof and correction can't be provided simultaneously.")
            ddof = correction
        ddof = fixed(ddof, "ddof")
        x = converted(operand(a), dtype)
        params = axes_of(axis, len(shape_of(x)), _flag(keepdims))
        if (where is NONE or where is True) and mean is NONE:
            return deliver(bind(row, (x,), {**params, "ddof": ddof}), out, row.name)
        kept = axes_of(axis, len(shape_of(x)), True)
        n = count_of(shape_of(x), params["axis"]) if where is NONE else _taking_part(x, where, **params)
        if mean is NONE:
            mean = mean_of(x, axis, None, None, True, where=where)
        d = x - mean
        squares = np.real(d * np.conjugate(d)) if dtype_of(d).kind == "c" else d * d
        free = np.maximum(n - ddof, 0) if hasattr(n, "dtype") else max(n - ddof, 0) or math.nan
        y = bind(sum_, (masked(squares, where, 0),), params) / free
        if row is std_:
            zero = np.equal(y, 0)
            if where is NONE and kept["axis"]:
                zero = np.logical_or(zero, np.equal(np.ptp(x, axis=axis, keepdims=params["keepdims"]), 0))
            y = np.where(zero, 0.0, np.sqrt(np.where(zero, 1.0, y)))
        return deliver(y, out, row.name)

    register(function, "general", handler, domain="distinct", primitive=row)


_spread_of(var_, np.var)
_spread_of(std_, np.std)


# --------------------------------------------------------------------------------------------------
# running sums and products


def flat(x: Any) -> Any:
    """Return ``x`` as one axis."""
    return x if len(shape_of(x)) == 1 else np.reshape(x, (size_of(shape_of(x)),))


def reversed_along(x: Any, axis: int) -> Any:
    """Return ``x`` read backwards along a negative axis."""
    return x[(Ellipsis, slice(None, None, -1), *[slice(None)] * (-axis - 1))]


def _cumsum(x: Any, *, axis: int) -> Any:
    return np.cumsum(x, axis=axis)


cumsum_: Linear = Linear(
    "np.cumsum",
    _cumsum,
    pull=lambda g, _x, *, axis: reversed_along(cumsum_(reversed_along(g, axis), axis=axis), axis),
    joins=along_axes,
)


def recurrence(a: Any, b: Any) -> Any:
    """Solve s[i] = a[i]·s[i-1] + b[i] along the last axis, by doubling: log n vectorised steps, no division."""
    n = shape_of(a)[-1]
    step = 1
    while step < n:
        b = np.concatenate([b[..., :step], b[..., step:] + a[..., step:] * b[..., :-step]], axis=-1)
        a = np.concatenate([a[..., :step], a[..., step:] * a[..., :-step]], axis=-1)
        step *= 2
    return b


def _cumprod_push(sweep: Sweep, ts: Any, y: Any, x: Any, *, axis: int) -> Any:
    t, y, x = [np.swapaxes(v, axis, -1) if axis != -1 else v for v in (ts[0], y, x)]
    before = np.concatenate([np.ones_like(y, shape=(*shape_of(y)[:-1], 1)), y[..., :-1]], axis=-1)
    s = recurrence(x, sweep.mul(t, before))
    return np.swapaxes(s, axis, -1) if axis != -1 else s


def _cumprod_pull(sweep: Sweep, g: Any, y: Any, x: Any, *, axis: int) -> Any:
    g, y, x = [np.swapaxes(v, axis, -1) if axis != -1 else v for v in (g, y, x)]
    one = np.ones_like(y, shape=(*shape_of(y)[:-1], 1))
    before = np.concatenate([one, y[..., :-1]], axis=-1)
    after = np.concatenate([one, x[..., :0:-1]], axis=-1)
    s = recurrence(np.conjugate(after), g[..., ::-1])[..., ::-1]
    s = sweep.mul(s, np.conjugate(before))
    return (np.swapaxes(s, axis, -1) if axis != -1 else s,)


def _cumprod(x: Any, *, axis: int) -> Any:
    return np.cumprod(x, axis=axis)


cumprod_ = General("np.cumprod", _cumprod, _cumprod_push, _cumprod_pull, joins=along_axes)


def _running(row: Linear | General, function: Any, modern: Any, identity: int) -> Callable[..., Any]:
    """Register a running reduction under its old name and, where NumPy has it, its array-API name."""

    def handler(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        x = converted(operand(a), dtype)
        if axis is None or not shape_of(x):
            x, axis = flat(x), -1
        (axis,) = negative_axes(axis, len(shape_of(x)))
        return deliver(bind(row, (x,), {"axis": axis}) if shape_of(x)[axis] else x, out, row.name)

    def array_api(
        x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
    ) -> Any:
        x = operand(x)
        if not shape_of(x):
            x = flat(x)
        if axis is None:
            if len(shape_of(x)) != 1:
                raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
            axis = 0
        y = handler(x, axis, dtype)
        if include_initial:
            (axis,) = negative_axes(axis, len(shape_of(x)))
            shape = list(shape_of(y))
            shape[axis] = 1
            y = np.concatenate([np.full_like(settled_form(y), identity, shape=tuple(shape)), y], axis=axis)
        return deliver(y, out, f"np.{modern.__name__}")

    register(function, row.kind, handler, domain="real", primitive=row)
    register(modern, "composite", array_api)
    return handler


def settled_form(y: Any) -> Any:
    """Return an empty plain array of the dtype of ``y`` (of its kind, for arrays that are not NumPy's)."""
    while type(y) in TRACED:
        y = y.value
    return y


cumsum = _running(cumsum_, np.cumsum, getattr(np, "cumulative_sum", None), 0)
cumprod = _running(cumprod_, np.cumprod, getattr(np, "cumulative_prod", None), 1)


# --------------------------------------------------------------------------------------------------
# sorting and order statistics


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


sort_ = General(
    "np.sort", _sort, _sort_push, _sort_pull, cost=lambda x, axis: 2e-8 * size_of(shape_of(x)), joins=along_axes
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


def _is_nan(x: Any) -> Any:
    return np.not_equal(x, x)


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
    y = np.where(_is_nan(last), last, y)
    return deliver(np.reshape(y, kept) if _flag(keepdims) else y, out, "np.median")


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
    return deliver(np.reshape(y, ranks + kept) if _flag(keepdims) else y, out, name)


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
    return np.where(_is_nan(last), last, _between(a, b, part))


def _quantile_of_each(rows: Any, q: Any) -> Any:
    """Interpolate in every row among its entries that are not NaN (they stand first)."""
    n = shape_of(rows)[-1]
    count = fixed(np.sum(np.logical_not(_is_nan(rows)), axis=-1))
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


@composite(np.quantile)
def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
) -> Any:
    """``np.quantile`` with linear interpolation."""
    return _quantile("np.quantile", a, q, axis, out, method, keepdims, weights, False)


@composite(np.percentile)
def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
) -> Any:
    """``np.percentile`` with linear interpolation."""
    return _quantile("np.percentile", a, operand(q) / 100, axis, out, method, keepdims, weights, False)


@composite(np.nanquantile)
def nanquantile(
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
    """``np.nanquantile`` with linear interpolation."""
    return _quantile("np.nanquantile", a, q, axis, out, method, keepdims, weights, True)


@composite(np.nanpercentile)
def nanpercentile(
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
    """``np.nanpercentile`` with linear interpolation."""
    return _quantile("np.nanpercentile", a, operand(q) / 100, axis, out, method, keepdims, weights, True)


@composite(np.nanmedian)
def nanmedian(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = NONE) -> Any:
    """``np.nanmedian``."""
    rows, _, kept = _sorted_rows(a, axis)
    count = fixed(np.sum(np.logical_not(_is_nan(rows)), axis=-1))
    n = shape_of(rows)[-1]
    low, high = _entry(rows, np.maximum(count - 1, 0) // 2, n), _entry(rows, np.maximum(count, 0) // 2, n)
    y = np.where(np.equal(count, 0), math.nan, np.where(np.equal(count % 2, 1), low, (low + high) / 2))
    return deliver(np.reshape(y, kept) if _flag(keepdims) else y, out, "np.nanmedian")


# --------------------------------------------------------------------------------------------------
# reductions that leave NaN out


def _present(x: Any, mask: Any) -> Any:
    """Return where an entry is not NaN (and ``where=`` lets it in)."""
    there = np.logical_not(_is_nan(x))
    return there if mask is NONE or mask is True else np.logical_and(there, operand(mask))


def _leaving_out(function: Any, handler: Callable[..., Any], filler: float) -> None:
    """Register a reduction that puts its identity in the place of NaN."""

    def skipping(a: Any, *args: Any, where: Any = NONE, **kwargs: Any) -> Any:
        x = operand(a)
        if len(args) > 5:
            *args, where = args  # type: ignore[assignment]
        return handler(masked(np.where(_is_nan(x), filler, x), where, filler), *args, **kwargs)

    register(function, "composite", skipping)


_leaving_out(np.nansum, sum_of, 0.0)
_leaving_out(np.nanprod, prod, 1.0)
_leaving_out(np.nancumsum, cumsum, 0.0)
_leaving_out(np.nancumprod, cumprod, 1.0)


def _nan_extremum(function: Any, handler: Callable[..., Any], opposite: float) -> None:
    def skipping(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = NONE, initial: Any = NONE, where: Any = NONE
    ) -> Any:
        x = operand(a)
        there = _present(x, where)
        y = handler(np.where(there, x, opposite), axis, None, keepdims, initial)
        if initial is NONE:
            none = np.logical_not(np.any(there, axis=axis, keepdims=_flag(keepdims)))
            y = np.where(none, math.nan, y)
        return deliver(y, out, f"np.{function.__name__}")

    register(function, "composite", skipping)


_nan_extremum(np.nanmax, max_of, -math.inf)
_nan_extremum(np.nanmin, min_of, math.inf)


@composite(np.nanmean)
def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NONE, *, where: Any = NONE
) -> Any:
    """``np.nanmean``."""
    x = converted(operand(a), dtype)
    return mean_of(np.where(_is_nan(x), 0.0, x), axis, None, out, keepdims, where=_present(x, where))


def _nan_moment(function: Any, plain_function: Any) -> None:
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
        if correction is not NONE:
            ddof = correction
        ddof = fixed(ddof, "ddof")
        x = converted(operand(a), dtype)
        keep = _flag(keepdims)
        there = _present(x, where)
        x = np.where(there, x, 0.0)
        count = _taking_part(x, there, axis=negative_axes(axis, len(shape_of(x))), keepdims=keep)
        if mean is NONE:
            mean = mean_of(x, axis, None, None, True, where=there)
        d = np.where(there, x - mean, 0.0)
        squares = np.real(d * np.conjugate(d)) if dtype_of(d).kind == "c" else d * d
        free = count - ddof
        enough = np.greater(free, 0)
        y = np.where(enough, sum_of(squares, axis, None, None, keep) / np.where(enough, free, 1.0), math.nan)
        if function is np.nanstd:
            zero = np.equal(y, 0)
            y = np.where(zero, 0.0, np.sqrt(np.where(zero, 1.0, y)))
        return deliver(y, out, f"np.{function.__name__}")

    register(function, "composite", skipping)


_nan_moment(np.nanvar, np.var)
_nan_moment(np.nanstd, np.std)


# --------------------------------------------------------------------------------------------------
# covariance, counts with weights


@composite(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """``np.cov``."""
    x = operand(m)
    if dtype is None:
        dtype = np.result_type(dtype_of(x), np.float64, *([] if y is None else [dtype_of(operand(y))]))
    x = converted(x, dtype)
    if len(shape_of(x)) > 2:
        raise ValueError("m has more than 2 dimensions")
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    turned = not rowvar and len(shape_of(x)) == 2 and shape_of(x)[0] == 1 and _turns_one_row()
    x = x.T if turned else _as_rows(x, rowvar)
    if shape_of(x)[0] == 0:
        return np.array([]).reshape(0, 0)
    if y is not None:
        y = operand(y)
        if len(shape_of(y)) > 2:
            raise ValueError("y has more than 2 dimensions")
        x = np.concatenate([x, _as_rows(converted(y, dtype), rowvar)], axis=0)
    if ddof is None:
        ddof = 0 if bias else 1
    w: Any = None
    if fweights is not None:
        w = _weights(fweights, "fweights", shape_of(x)[1])
    if aweights is not None:
        aweights = _weights(aweights, "aweights", shape_of(x)[1])
        w = aweights if w is None else w * aweights
    if w is None:
        total: Any = shape_of(x)[1]
        mean = np.mean(x, axis=1, keepdims=True)
        free: Any = total - ddof
    else:
        total = np.sum(w)
        if total == 0:
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        mean = np.sum(x * w, axis=1, keepdims=True) / total
        if ddof == 0:
            free = total
        elif aweights is None:
            free = total - ddof
        else:
            free = total - ddof * np.sum(w * aweights) / total
        free = np.where(np.less_equal(free, 0), 0.0, free)
    d = x - mean
    c = np.matmul(d if w is None else d * w, np.conjugate(d).T)
    c = c * (1 / free if type(free) is not int else np.true_divide(1, max(free, 0)).item())
    return np.squeeze(c)


def _weights(w: Any, name: str, n: int) -> Any:
    """Return the weights of a covariance, held against what NumPy asks of them."""
    w = operand(w)
    if name == "fweights" and not np.all(np.equal(w, np.round(w))):
        raise TypeError("fweights must be integer")
    if len(shape_of(w)) > 1:
        raise RuntimeError(f"cannot handle multidimensional {name}")
    if shape_of(w) != (n,):
        raise RuntimeError(f"incompatible numbers of samples and {name}")
    if np.any(np.less(w, 0)):
        raise ValueError(f"{name} cannot be negative")
    return w


@lru_cache(maxsize=1)
def _turns_one_row() -> bool:
    """Whether this NumPy takes a single row with variables in columns for one observation of several, as newer ones do."""
    return bool(np.ndim(np.cov(np.array([[1.0, 2.0]]), rowvar=False, ddof=0)))


def _as_rows(x: Any, rowvar: bool) -> Any:
    shape = shape_of(x)
    if len(shape) < 2:
        return np.reshape(x, (1, size_of(shape)))
    return x if rowvar or shape[0] == 1 else x.T


@composite(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """``np.corrcoef``."""
    c = cov(x, y, rowvar, dtype=dtype)
    if not shape_of(c):
        return c / c
    spread_ = np.sqrt(np.real(np.diagonal(c)))
    c = c / spread_[:, None] / spread_[None, :]
    if dtype_of(c).kind == "c":
        return c
    return np.where(np.greater(c, 1), 1.0, np.where(np.less(c, -1), -1.0, c))


@composite(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """``np.bincount``: linear in its weights."""
    x = operand(x)
    if dtype_of(x).kind not in "biu":
        raise TypeError("Cannot cast array data from a floating-point dtype to an integer according to the rule 'safe'")
    at = np.array(fixed(x))
    counts = np.bincount(at, minlength=minlength)
    if weights is None:
        return counts
    w = operand(weights)
    if shape_of(w) != at.shape:
        raise ValueError("The weights and list don't have the same length.")
    return scatter_add(converted(w, np.float64), position=at, size=counts.size)


@composite(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """``np.histogram`` of plain data: linear in its weights."""
    for what in (a, bins):
        if type(what) in TRACED and dtype_of(what).kind not in "biu":
            raise UnsupportedFunctionError(
                f"{where()}: np.histogram counts, so its derivative by the data or the edges is zero wherever it "
                "exists. Only weights= can be differentiated; if a constant is meant, pass dd.stop_gradient(x)."
            )
    data = np.asarray(fixed(a)).reshape(-1)
    edges = np.histogram_bin_edges(data, fixed(bins), range)
    w = np.ones(data.shape, np.intp) if weights is None else flat(operand(weights))
    if shape_of(w) != data.shape:
        raise ValueError("weights should have the same shape as a.")
    at = np.searchsorted(edges, data, side="right")
    at[data == edges[-1]] = edges.size - 1  # the last bin holds its right edge
    n = scatter_add(w, position=np.where(at == edges.size, 0, at), size=edges.size)[..., 1:]
    if density:
        n = n / np.diff(edges) / np.sum(n)
    return n, edges
