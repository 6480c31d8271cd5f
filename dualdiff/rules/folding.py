"""What the functions that fold an axis share: their axes, their masks, their destinations.

Every primitive of these tables takes its axes as a tuple of negative numbers, so that a batch axis in front changes
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from dualdiff.errors import where
from dualdiff.labels import Labels, lanes
from dualdiff.rules.elementwise import into
from dualdiff.shapes import dtype_of, negative_axes, shape_of, size_of
from dualdiff.values import TRACED, fixed, operand

NONE: Any = np._NoValue
add_reduce: Any = np.add.reduce


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


def keeps_axes(keepdims: Any) -> bool:
    """Say whether ``keepdims=`` asks for the reduced axes as unit axes."""
    return keepdims is not NONE and bool(keepdims)


def freedom(ddof: Any, correction: Any) -> Any:
    """Return what a variance takes off its count: NumPy knows it by two names, of which a call may give one."""
    if correction is not NONE:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    return fixed(ddof, "ddof")


def square_of(d: Any) -> Any:
    """Return the squared modulus of deviations."""
    return np.real(d * np.conjugate(d)) if dtype_of(d).kind == "c" else d * d


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


def flat(x: Any) -> Any:
    """Return ``x`` as one axis."""
    return x if len(shape_of(x)) == 1 else np.reshape(x, (size_of(shape_of(x)),))


def taking_part(x: Any, mask: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Count the entries of ``x`` that ``where=`` lets in."""
    mask = np.logical_and(operand(mask), np.ones(shape_of(x), bool))
    return np.sum(mask, axis=axis, keepdims=keepdims).astype(np.dtype(dtype_of(x).char.lower()))


def is_nan(x: Any) -> Any:
    """Say of every entry whether it is NaN, of any kind of array."""
    return np.not_equal(x, x)


def settled_form(y: Any) -> Any:
    """Return an empty plain array of the dtype of ``y`` (of its kind, for arrays that are not NumPy's)."""
    while type(y) in TRACED:
        y = y.value
    return y
