"""Functions that store into an array they are given: a traced one takes it, a plain one would lose the derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.advice import of_own_code
from dualdiff.errors import TracedAssignmentError, where
from dualdiff.register import composite, name_of
from dualdiff.rules.discrete import owner
from dualdiff.rules.elementwise import cast
from dualdiff.rules.indexing import canonical_index, places
from dualdiff.rules.movement.axes import axis_of
from dualdiff.rules.movement.broadcasting import broadcasted
from dualdiff.rules.movement.reshaping import as_shape
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import TRACED, Traced, fixed, ndarray, operand


def _stores(function: Any) -> Any:
    """Decorate the version of a storing function for traced destinations; plain ones keep NumPy's, or raise."""

    def decorate(store: Any) -> Any:
        @composite(function)
        def handler(destination: Any, *args: Any, **kwargs: Any) -> None:
            if isinstance(destination, Traced):
                store(destination, *args, **kwargs)
                return
            given = [*map(operand, args), *map(operand_or_option, kwargs.values())]
            lost: Any = next((a for a in given if isinstance(a, Traced) and not a._may_leave()), None)  # type: ignore[attr-defined]
            if lost is not None:
                raise lost._stumbled(
                    TracedAssignmentError(
                        f"{where()}: {name_of(function)} stores a value that is being differentiated in a plain array, "
                        "which would lose its derivative. "
                        + of_own_code("Make the array with np.zeros_like(x) or dualdiff.numpy.zeros(…).")
                    ),
                    "store",
                )
            function(destination, *map(fixed, args), **{k: fixed(v) for k, v in kwargs.items()})

        return handler

    return decorate


def operand_or_option(x: Any) -> Any:
    """Return an argument as :func:`operand` does; None and names of options as they are."""
    return x if x is None or isinstance(x, str) else operand(x)


def _cycled(v: Any, n: int) -> Any:
    """Return ``n`` values: a scalar as it is, others over and over again, as NumPy's storing functions take them."""
    size = size_of(shape_of(v))
    if not shape_of(v):
        return v
    flat = as_shape(v, (size,))
    return flat if size == n else flat[:n] if size > n else flat[np.arange(n) % size]


def _cast_like(v: Any, x: Any) -> Any:
    return cast(v, dtype_of(x), copy=False) if hasattr(v, "dtype") and dtype_of(v) != dtype_of(x) else v


def _store_at(x: Any, at: Any, v: Any) -> None:
    """Store values in turn at flat positions, one after the other; without values or positions nothing is stored."""
    v = operand(v)
    if not at.size or not size_of(shape_of(v)):
        return
    shape, v = shape_of(x), _cycled(v, at.size)
    if not shape or at.size == 1:
        entry = tuple([int(i) for i in np.unravel_index(at[-1], shape)]) if shape else ()
        x[entry] = v[-1] if shape_of(v) else v
    else:
        x[np.unravel_index(at, shape)] = v


def store_flat(x: Any, index: Any, v: Any) -> None:
    """Carry out ``x.flat[index] = v``: as NumPy's iterator it takes too few values over again, and leaves too many."""
    shape, v = shape_of(x), operand(v)
    n = size_of(shape)
    if type(index) is tuple and len(index) == 1:
        (index,) = index
    index = canonical_index(index, (n,))
    if index is None or type(index) in (tuple, bool):
        raise IndexError("only one integer, slice (`:`), ellipsis (`...`) or array of them is an index of x.flat")
    if type(index) is int:
        if shape_of(v):
            raise ValueError("x.flat[i] takes a single value")
        if not -n <= index < n:
            raise IndexError(f"index {index} is out of bounds for size {n}")
        x[tuple([int(i) for i in np.unravel_index(index % n, shape)]) if shape else ()] = v
    elif not size_of(shape_of(v)):
        return
    elif shape_of(v) and type(v) in TRACED and owner(v) is owner(x):
        # NumPy's iterator copies entry by entry, so that of memory it shares it reads what it has just written.
        given = shape_of(v)
        for k, at in enumerate(np.ravel(places(index, (n,)))):
            store_flat(x, int(at), v[np.unravel_index(k % size_of(given), given)])
    elif type(index) is not ndarray and (index is Ellipsis or index == slice(None)):
        if n:
            x[...] = np.reshape(_cycled(v, n), shape) if shape_of(v) else v
    else:
        _store_at(x, np.ravel(places(index, (n,))), v)


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
    shape, given = shape_of(dst), shape_of(src)
    mask = np.broadcast_to(fixed(operand(where)), shape)
    extra = len(given) - len(shape)
    if extra > 0 and size_of(given[:extra]) == 1:  # an assignment drops leading unit axes
        src = np.reshape(src, given[extra:])
    dst[mask] = broadcasted(src, shape)[mask] if shape_of(src) else src


@_stores(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    n, v = size_of(shape_of(a)), operand(v)
    at = np.ravel(fixed(operand(ind)))
    if not at.size or not size_of(shape_of(v)):
        return
    if at.dtype.kind not in "biu":
        raise TypeError(f"Cannot cast array data from {at.dtype!r} to dtype('int64') according to the rule 'safe'")
    if not n:
        raise IndexError("cannot replace elements of an empty array")
    at = at.astype(np.intp)  # truth values are the positions 1 and 0 here
    if mode == "raise":
        at = places(at, (n,))  # NumPy's own check and meaning of negative ones
    else:
        at = at % n if mode == "wrap" else np.clip(at, 0, n - 1)
    _store_at(a, at, v)


@_stores(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    indices, shape = fixed(operand(indices)), shape_of(arr)
    if axis is None:
        if indices.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        at = places(canonical_index(indices, shape), (size_of(shape),))
        _store_at(arr, at, broadcasted(operand(values), at.shape))
        return
    rank = len(shape)
    if indices.ndim != rank:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    along = axis_of(axis, rank) % rank
    lines = [np.arange(n).reshape((-1,) + (1,) * (rank - 1 - d)) for d, n in enumerate(shape) if d != along]
    arr[(*lines[:along], indices, *lines[along:])] = values


def _places_of(mask: Any, x: Any, name: str) -> Any:
    """Return the flat positions of what a mask names; it has as many entries as the array."""
    mask = np.asarray(fixed(operand(mask)))
    if mask.size != size_of(shape_of(x)):
        raise ValueError(f"{name}: mask and data must be the same size")
    return np.flatnonzero(mask)


@_stores(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    at = _places_of(mask, arr, "place")
    vals = np.reshape(operand(vals), -1)
    if at.size and not size_of(shape_of(vals)):
        raise ValueError("Cannot insert from an empty array!")
    _store_at(arr, at, _cast_like(vals, arr))


@_stores(np.putmask)
def putmask(a: Any, /, mask: Any, values: Any) -> None:
    at = _places_of(mask, a, "putmask")
    values = operand(values)
    size = size_of(shape_of(values))
    if at.size and size:
        _store_at(a, at, _cast_like(as_shape(values, (size,))[at % size], a))


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
    size = size_of(shape)
    _store_at(a, np.arange(0, size if end is None else min(end, size), step), val)


__all__: list[str] = []
