"""Products, and the products of all the other factors, which are their derivative without a division."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.kinds import General, Sweep
from dualdiff.register import register
from dualdiff.rules.folding import (
    NONE,
    along_axes,
    axes_back,
    axes_last,
    axes_of,
    converted,
    deliver,
    expand,
    keeps_axes,
    masked,
)
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import bind, operand


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
    if not axis:
        return ts[0]
    return np.sum(ts[0] * _prod_partial(x, axis) if size_of(shape_of(x)) else ts[0], axis=axis, keepdims=keepdims)


def _prod_pull(sweep: Sweep, g: Any, out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    if not size_of(shape_of(x)):
        return (None,)
    g = expand(g, shape_of(x), axis, keepdims)
    return (g * np.conjugate(_prod_partial(x, axis)) if axis else g,)


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
    y = bind(prod_, (x,), axes_of(axis, len(shape_of(x)), keeps_axes(keepdims)))
    return deliver(y if initial is NONE else y * initial, out, "np.prod")


register(np.prod, "general", prod, domain="real", primitive=prod_)
