"""NumPy's makers of arrays as a captured module sees them: what they make can come to hold differentiated values.

Arrays of integers and truth values stay plain, and so does an array that was there before. In a thread that is not
captured every maker is NumPy's own.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.capture.active import ACTIVE, is_active
from dualdiff.containers import Plain
from dualdiff.register import REGISTER
from dualdiff.rules import creation as made
from dualdiff.shapes import dtype_of
from dualdiff.values import HOLDERS, TRACED, container


def _holding(out: Any) -> Any:
    """Return a new array of floating-point numbers as a container; anything else as it is."""
    return Plain(out) if type(out) is np.ndarray and out.dtype.kind in "fc" else out


def _maker(real: Callable[..., Any]) -> Callable[..., Any]:
    """What makes a new array from sizes and plain numbers: zeros, eye, loadtxt."""

    @functools.wraps(real)
    def make(*args: Any, **kwargs: Any) -> Any:
        out = real(*args, **kwargs)
        return _holding(out) if ACTIVE.get() else out

    return make


def _dtype(dtype: Any) -> Any:
    """Return the dtype asked for; None for objects, since a differentiated value is no object among others."""
    return None if dtype is not None and np.dtype(dtype).char == "O" else dtype


def _array(real: Callable[..., Any], asked_to_copy: bool) -> Callable[..., Any]:
    """``array`` and its kin: what is an array already keeps what it is, and a nested list becomes a container."""

    @functools.wraps(real)
    def make(object: Any = None, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        kind = type(object)
        if kind in TRACED or is_active(object):
            return _of_traced(object, _dtype(dtype), args, kwargs)
        if dtype is not None:
            kwargs["dtype"] = dtype
        out = real(object, *args, **kwargs)
        fresh = kind is list or kind is tuple or (asked_to_copy and out is not object)
        return _holding(out) if fresh and ACTIVE.get() else out

    def _of_traced(object: Any, dtype: Any, args: Any, kwargs: Any) -> Any:
        if type(object) in HOLDERS and hasattr(type(object), "A"):  # what stands for an np.matrix
            object = object.A
        elif type(object) in HOLDERS and hasattr(type(object), "__array__"):  # which says what to write instead
            return real(object, dtype)
        options = {k: v for k, v in kwargs.items() if k in ("copy", "order", "ndmin")}
        if args:  # positional only in older spellings: copy or order
            options.setdefault("order", next((a for a in args if isinstance(a, str)), None))
        order = options.pop("order", None)
        asked = options.get("copy", asked_to_copy)
        x = made.array(object, dtype, copy=asked is True or asked is np._CopyMode.ALWAYS, ndmin=options.get("ndmin", 0))
        return x if order in (None, "K", "A") else laid(x, order)

    return make


def laid(x: Any, order: str) -> Any:
    """Return an array as it is if it lies in memory in this order, and otherwise a copy that does."""
    flags = x.flags
    return x if (flags.c_contiguous if order == "C" else flags.f_contiguous) else x.copy(order)


def _contiguous(real: Callable[..., Any], order: str) -> Callable[..., Any]:
    @functools.wraps(real)
    def make(a: Any, dtype: Any = None, **kwargs: Any) -> Any:
        if not is_active(a):
            out = real(a, dtype, **kwargs)
            return _holding(out) if out is not a and ACTIVE.get() else out
        x = made.array(a, _dtype(dtype), copy=False)
        return laid(x if x.shape else x.reshape(1), order)

    return make


def _require(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def require(a: Any, dtype: Any = None, requirements: Any = None, **kwargs: Any) -> Any:
        if not is_active(a):
            return real(a, dtype, requirements, **kwargs)
        x = made.array(a, _dtype(dtype), copy=False)
        letters = {str(r)[0].upper() for r in ([requirements] if isinstance(requirements, str) else requirements or ())}
        return laid(x, "F") if "F" in letters else laid(x, "C") if "C" in letters else x

    return require


def _full(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", **kwargs: Any) -> Any:
        if is_active(fill_value):
            return made.full(shape, fill_value, _dtype(dtype), order)
        out = real(shape, fill_value, dtype, order, **kwargs)
        return _holding(out) if ACTIVE.get() else out

    return full


def _like(real: Callable[..., Any]) -> Callable[..., Any]:
    """``zeros_like`` and its kin, also of plain arrays; a fill value may be a traced one."""

    @functools.wraps(real)
    def like(a: Any, *args: Any, **kwargs: Any) -> Any:
        value = kwargs.get("fill_value", args[0] if args else None)
        if real is np.full_like and is_active(value) and type(a) not in TRACED:
            given = dict(zip(("fill_value", "dtype", "order", "subok", "shape"), args), **kwargs)
            dtype = given.get("dtype")
            out = container(
                np.empty_like(a, dtype=dtype_of(a) if dtype is None else _dtype(dtype), shape=given.get("shape"))
            )
            out[...] = value
            return out
        if type(a) is list and is_active(a):
            a = made.array(a)
        out = real(a, *args, **kwargs)
        return _holding(out) if ACTIVE.get() else out

    return like


def _between(real: Callable[..., Any], traced: Callable[..., Any]) -> Callable[..., Any]:
    """``arange`` and ``linspace``: differentiable in their ends."""

    @functools.wraps(real)
    def make(*args: Any, **kwargs: Any) -> Any:
        if any(map(is_active, args)) or any(map(is_active, kwargs.values())):
            return traced(*args, **kwargs)
        out = real(*args, **kwargs)
        return _holding(out) if ACTIVE.get() else out

    return make


def _copy(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def copy(a: Any, order: Any = "K", subok: bool = False) -> Any:
        if is_active(a) and type(a) not in TRACED:
            return made.array(a, copy=True)
        out = real(a, order, subok)
        return _holding(out) if ACTIVE.get() and type(out) not in TRACED else out

    return copy


def _asfarray(real: Any) -> Any:
    @functools.wraps(real)
    def asarray_chkfinite(a: Any, dtype: Any = None, order: Any = None) -> Any:
        if not is_active(a):
            return real(a, dtype, order)
        x = made.array(a, _dtype(dtype), copy=False)
        if not bool(np.isfinite(x).all()):
            raise ValueError("array must not contain infs or NaNs")
        return x if order is None else laid(x, order)

    return asarray_chkfinite


def _fromiter(real: Any) -> Any:
    """``fromiter``, whose iterable runs once."""

    @functools.wraps(real)
    def fromiter(iter: Any, dtype: Any, count: int = -1, **kwargs: Any) -> Any:
        if not ACTIVE.get():
            return real(iter, dtype, count, **kwargs)
        items = list(iter if count < 0 else itertools.islice(iter, count))
        return made.array(items, _dtype(dtype)) if is_active(items) else _holding(real(items, dtype, count, **kwargs))

    return fromiter


def _piecewise(real: Any) -> Any:
    """``piecewise``, whose result takes what the functions return."""

    @functools.wraps(real)
    def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kwargs: Any) -> Any:
        traced: Any = REGISTER[real].handler
        return (traced if ACTIVE.get() else real)(x, condlist, funclist, *args, **kwargs)

    return piecewise


def makers() -> dict[Any, Any]:
    """Return the stand-in for each of NumPy's makers of arrays."""
    found: dict[Any, Any] = {}
    for name in ("zeros", "ones", "empty", "eye", "identity", "tri", "fromfunction"):
        found[getattr(np, name)] = _maker(getattr(np, name))
    for name in ("zeros_like", "ones_like", "empty_like", "full_like"):
        found[getattr(np, name)] = _like(getattr(np, name))
    found[np.array] = _array(np.array, True)
    found[np.asarray] = _array(np.asarray, False)
    found[np.asanyarray] = _array(np.asanyarray, False)
    found[np.ascontiguousarray] = _contiguous(np.ascontiguousarray, "C")
    found[np.asfortranarray] = _contiguous(np.asfortranarray, "F")
    found[np.asarray_chkfinite] = _asfarray(np.asarray_chkfinite)
    found[np.require] = _require(np.require)
    found[np.full] = _full(np.full)
    found[np.copy] = _copy(np.copy)
    found[np.arange] = _between(np.arange, made.arange)
    for name in ("linspace", "logspace", "geomspace"):
        found[getattr(np, name)] = _between(getattr(np, name), getattr(made, name))
    found[np.fromiter] = _fromiter(np.fromiter)
    found[np.piecewise] = _piecewise(np.piecewise)
    return found


__all__ = ["makers"]
