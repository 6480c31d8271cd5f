"""Functions that store into an array they are given: a traced one takes it, a plain one would lose the derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.errors import TracedAssignmentError, where
from dualdiff.primitive import Traced, composite, fixed, name_of, operand
from dualdiff.rules.elementwise import cast
from dualdiff.rules.indexing import positions
from dualdiff.rules.movement import as_shape, axis_of, broadcasted
from dualdiff.shapes import dtype_of, shape_of, size_of

ndarray = np.ndarray


def _stores(function: Any) -> Any:
    """Decorate the version of a storing function for traced destinations; plain ones keep NumPy's, or raise."""

    def decorate(store: Any) -> Any:
        @composite(function)
        def handler(destination: Any, *args: Any, **kwargs: Any) -> None:
            if isinstance(destination, Traced):
                store(destination, *args, **kwargs)
                return
            given = [*map(operand, args), *map(operand_or_option, kwargs.values())]
            if any(isinstance(a, Traced) and not a._may_leave() for a in given):  # type: ignore[attr-defined]
                raise TracedAssignmentError(
                    f"{where()}: {name_of(function)} stores a value that is being differentiated in a plain array, "
                    "which would lose its derivative. Make the array with np.zeros_like(x) or dualdiff.numpy.zeros(…)."
                )
            function(destination, *map(fixed, args), **{k: fixed(v) for k, v in kwargs.items()})

        return handler

    return decorate


def operand_or_option(x: Any) -> Any:
    """Return an argument as :func:`operand` does; None and names of options as they are."""
    return x if x is None or isinstance(x, str) else operand(x)


def _cycled(v: Any, n: int) -> Any:
    """Return ``n`` values: a scalar as it is, others over and over again, as NumPy's storing functions take them."""
    v = operand(v)
    size = size_of(shape_of(v))
    if not shape_of(v) or n == 0:
        return v if not shape_of(v) else np.reshape(v, -1)[:0]
    if size == 0:
        raise ValueError("Cannot insert from an empty array!")
    flat = as_shape(v, (size,))
    return flat if size == n else flat[np.arange(n) % size]


def _cast_like(v: Any, x: Any) -> Any:
    return cast(v, dtype_of(x), copy=False) if hasattr(v, "dtype") and dtype_of(v) != dtype_of(x) else v


def _store_flat(x: Any, at: Any, v: Any) -> None:
    """Carry out ``x.flat[at] = v``."""
    shape = shape_of(x)
    x[np.unravel_index(at, shape) if shape else ()] = v if shape or not shape_of(v) else v[0]


@_stores(np.copyto)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    src = operand(src)
    if hasattr(src, "dtype") and not np.can_cast(dtype_of(src), dtype_of(dst), casting):
        raise TypeError(
            f"Cannot cast array data from {dtype_of(src)!r} to {dtype_of(dst)!r} according to the rule {casting!r}"
        )
    if where is True:
        dst[...] = src
        return
    mask = np.broadcast_to(fixed(operand(where)), shape_of(dst))
    dst[mask] = broadcasted(src, shape_of(dst))[mask] if shape_of(src) else src


@_stores(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    n = size_of(shape_of(a))
    at = np.ravel(fixed(operand(ind)))
    if mode == "wrap":
        at = at % n
    elif mode == "clip":
        at = np.clip(at, 0, n - 1)
    at = np.arange(n)[at]  # NumPy's own check and meaning of negative ones
    _store_flat(a, at, _cycled(v, at.size))


@_stores(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    indices = fixed(operand(indices))
    if axis is None:
        _store_flat(arr, np.arange(size_of(shape_of(arr)))[np.ravel(indices)], values)
        return
    places = np.take_along_axis(positions(shape_of(arr)), indices, axis_of(axis, len(shape_of(arr))))
    _store_flat(arr, places, values)


@_stores(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    at = np.flatnonzero(fixed(operand(mask)))
    vals = np.reshape(operand(vals), -1)
    _store_flat(arr, at, _cast_like(_cycled(vals, at.size), arr))


@_stores(np.putmask)
def putmask(a: Any, /, mask: Any, values: Any) -> None:
    at = np.flatnonzero(fixed(operand(mask)))
    values = operand(values)
    size = size_of(shape_of(values))
    if at.size and size:
        _store_flat(a, at, _cast_like(as_shape(values, (size,))[at % size], a))


@_stores(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    shape = shape_of(a)
    if len(shape) < 2:
        raise ValueError("array must be at least 2-d")
    if len(shape) == 2:
        end = None if wrap or shape[1] >= shape[0] else shape[1] * shape[1]
        step = shape[1] + 1
    else:
        if len(set(shape)) != 1:
            raise ValueError("All dimensions of input must be of equal length")
        end, step = None, 1 + int(np.cumprod(shape[:-1]).sum())
    at = np.arange(size_of(shape))[:end:step]
    _store_flat(a, at, _cycled(val, at.size))


__all__: list[str] = []
