"""Functions that make arrays: like others, filled with a value, or between traced ends.

Their results are containers (:class:`dualdiff.containers.Plain`): plain arrays that can come to hold traced values.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.errors import TracedAssignmentError, where
from dualdiff.register import REAL_ONLY, REGISTER, UMATH, Facts, composite
from dualdiff.rules.elementwise import cast
from dualdiff.rules.movement.reshaping import as_array, as_shape
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import Traced, container, fixed, operand, under


def _like(function: Callable[..., Any]) -> None:
    @composite(function, status="discrete")
    def handler(prototype: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs = {k: fixed(v) for k, v in kwargs.items()}
        return container(function(under(prototype), *map(fixed, args), **kwargs))


for _function in (np.zeros_like, np.ones_like, np.empty_like):
    _like(_function)

composite(UMATH._ones_like, status="discrete")(np.ones_like)
composite(UMATH.clip, facts=REGISTER[np.clip].facts)(
    np.clip
)  # the method of a plain array calls it: a.clip(traced, traced)


@composite(np.full_like)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    fill_value = operand(fill_value)
    if isinstance(fill_value, Traced) and not isinstance(a, Traced) and not fill_value._may_leave():  # type: ignore[attr-defined]
        raise fill_value._stumbled(  # type: ignore[attr-defined]
            TracedAssignmentError(
                f"{where()}: np.full_like of a plain array makes a plain array, which cannot hold a differentiated value. "
                "Make it like a differentiated array, np.full_like(x, value), or use dualdiff.numpy.full(shape, value)."
            ),
            "store",
        )
    out = np.empty_like(a, dtype=dtype, order=order, subok=subok, shape=None if shape is None else fixed(shape))
    out[...] = fill_value
    return out


def full(
    shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, device: Any = None, like: Any = None
) -> Any:
    """Return a container filled with a value, which may be a traced one."""
    fill_value = operand(fill_value)
    dtype = dtype_of(fill_value) if dtype is None else dtype
    out = container(np.empty(fixed(shape), dtype, order=order))
    out[...] = fill_value
    return out


def array(
    object: Any,
    dtype: Any = None,
    *,
    copy: bool | None = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    ndmax: int = 0,
    like: Any = None,
) -> Any:
    """Return numbers, arrays and traced values, nested in lists, as one array that can hold traced values."""
    x = operand(object)
    if not isinstance(x, Traced):
        x = container(np.array(x, dtype, order=order, ndmin=ndmin))
    elif dtype is not None:
        x = cast(x, dtype, copy=False)
    if len(shape_of(x)) < ndmin:
        x = as_shape(x, (1,) * (ndmin - len(shape_of(x))) + shape_of(x))
    x = as_array(x)
    return x.copy() if copy and x is object else x


def asarray(
    a: Any, dtype: Any = None, order: Any = None, *, device: Any = None, copy: bool | None = None, like: Any = None
) -> Any:
    """Return an array as it is, and anything else as :func:`array` would."""
    if type(a) is np.ndarray and a.dtype.char != "O" and not copy and (dtype is None or a.dtype == dtype):
        return a
    return array(a, dtype, copy=copy)


def _laid(x: Any, order: str) -> Any:
    """Return an array of at least one axis as it is if it lies in memory in this order, and otherwise a copy that does."""
    if not shape_of(x):
        return as_shape(x, (1,))
    flags = x.flags
    return x if (flags.c_contiguous if order == "C" else flags.f_contiguous) else x.copy(order)


def _from_ends(start: Any, stop: Any) -> tuple[Any, Any]:
    start, stop = operand(start), operand(stop)
    return start * 1.0, stop * 1.0


@composite(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    start, stop = _from_ends(start, stop)
    shape = np.broadcast_shapes(shape_of(start), shape_of(stop))
    intervals = num - 1 if endpoint else num
    delta = stop - start
    real = np.empty(0, dtype_of(delta)).real.dtype
    steps = np.arange(num, dtype=real).reshape((num,) + (1,) * len(shape))
    step = delta / intervals if intervals > 0 else math.nan * delta
    y = start + (steps * step if intervals > 0 else steps * delta)
    if endpoint and num > 1:
        y[-1] = stop
    if dtype is not None:
        y = cast(np.floor(y) if np.dtype(dtype).kind in "iu" else y, dtype, copy=False)
    y = np.moveaxis(y, 0, axis) if axis != 0 else y
    return (y, step) if retstep else y


@composite(np.logspace)
def logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    base = operand(base)
    if shape_of(base):
        start, stop, base = np.broadcast_arrays(start, stop, base)
        base = np.expand_dims(base, axis)
    y = np.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else cast(y, dtype, copy=False)


@composite(np.geomspace)
def geomspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    num = operator.index(num)
    start, stop = _from_ends(start, stop)
    if fixed(np.any(start == 0)) or fixed(np.any(stop == 0)):
        raise ValueError("Geometric sequence cannot include zero")
    t = linspace(0.0, 1.0, num, endpoint).reshape(
        (num,) + (1,) * len(np.broadcast_shapes(shape_of(start), shape_of(stop)))
    )
    y = start * (stop / start) ** t
    if endpoint and num > 1:
        y[-1] = stop
    if num > 0:
        y[0] = start
    y = np.moveaxis(y, 0, axis) if axis != 0 else y
    return y if dtype is None else cast(y, dtype, copy=False)


def arange(*args: Any, dtype: Any = None, device: Any = None, like: Any = None, **named: Any) -> Any:
    """``start + step * (0, 1, …)``: how many there are is a decision, which a recording notes."""
    start, stop, step = named.get("start", 0), named.get("stop"), named.get("step", 1)
    given = list(args)
    if len(given) == 1 and stop is None:
        stop = given[0]
    else:
        start, stop, step = (given + [start, stop, step][len(given) :])[:3]
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if not any(isinstance(a, Traced) for a in (start, stop, step)):
        return container(np.arange(start, stop, step, dtype=dtype))
    count = max(0, int(np.ceil((stop - start) / step)))
    dtype = np.result_type(*map(dtype_of, (start, stop, step))) if dtype is None else dtype
    return cast(start + step * np.arange(count), dtype, copy=False)


# These dispatch only when NumPy is told so: np.array(x, like=traced). dualdiff.numpy calls them directly.
composite(np.array)(array)
composite(np.asarray, np.asanyarray)(asarray)
composite(np.ascontiguousarray)(lambda a, dtype=None, *, like=None: _laid(asarray(a, dtype), "C"))
composite(np.asfortranarray)(lambda a, dtype=None, *, like=None: _laid(asarray(a, dtype), "F"))
composite(np.require)(lambda a, dtype=None, requirements=None, *, like=None: asarray(a, dtype))
composite(np.full)(full)
composite(np.arange, facts=Facts(REAL_ONLY))(arange)


def _filled(function: Callable[..., Any]) -> None:
    @composite(function, status="discrete")
    def handler(*args: Any, like: Any = None, **kwargs: Any) -> Any:
        return container(function(*map(fixed, args), **{k: fixed(v) for k, v in kwargs.items()}))


for _made in (
    np.zeros, np.ones, np.empty, np.eye, np.identity, np.tri,
    np.fromfunction, np.frombuffer, np.fromfile, np.fromiter, np.fromstring, np.genfromtxt, np.loadtxt
):  # fmt: skip
    _filled(_made)

__all__ = ["arange", "array", "asarray", "full"]
