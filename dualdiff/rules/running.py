"""Running sums and products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.kinds import General, Linear, Sweep
from dualdiff.register import register
from dualdiff.rules.folding import along_axes, converted, deliver, flat, settled_form
from dualdiff.shapes import negative_axes, shape_of
from dualdiff.values import bind, operand


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
cumsum_.on_objects = True


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
    s = recurrence(x, t * before)
    return np.swapaxes(s, axis, -1) if axis != -1 else s


def _cumprod_pull(sweep: Sweep, g: Any, y: Any, x: Any, *, axis: int) -> Any:
    g, y, x = [np.swapaxes(v, axis, -1) if axis != -1 else v for v in (g, y, x)]
    one = np.ones_like(y, shape=(*shape_of(y)[:-1], 1))
    before = np.concatenate([one, y[..., :-1]], axis=-1)
    after = np.concatenate([one, x[..., :0:-1]], axis=-1)
    s = recurrence(np.conjugate(after), g[..., ::-1])[..., ::-1]
    s = s * np.conjugate(before)
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


cumsum = _running(cumsum_, np.cumsum, getattr(np, "cumulative_sum", None), 0)
cumprod = _running(cumprod_, np.cumprod, getattr(np, "cumulative_prod", None), 1)
