"""Functions that read entries at computed places: triangles, grids, windows, take, sets; functions along an axis."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.kinds import Discrete, Linear, Movement
from dualdiff.kinds.kinks import Kink, gap
from dualdiff.labels import OWN, Labels, numbered
from dualdiff.register import Facts, composite, register
from dualdiff.rules.elementwise import cast, into, unsupported
from dualdiff.rules.indexing import positions
from dualdiff.rules.movement.axes import along, axis_of, ints
from dualdiff.rules.movement.broadcasting import broadcasted
from dualdiff.rules.movement.joining import joined
from dualdiff.rules.movement.layout import ravel
from dualdiff.rules.movement.reshaping import as_shape, expand_dims
from dualdiff.rules.movement.stacking import stacked
from dualdiff.rules.movement.transposing import moveaxis, swapaxes
from dualdiff.shapes import dtype_of, negative_axes, shape_of, size_of
from dualdiff.values import Traced, bind, fixed, number, operand

# --------------------------------------------------------------------------------------------------
# triangles, grids, windows


def _triangle(function: Any, name: str) -> Callable[..., Any]:
    def of(x: Any, *, k: int) -> Any:
        return function(x, k)

    def joins(k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
        return np.reshape(of(numbered(shape_of(args[0])) + 1, **params), -1) - 1, OWN

    row = Linear(name, of, pull=lambda g, x, *, k: function(g, k), joins=joins)
    row.on_objects = True

    def handler(m: Any, k: int = 0) -> Any:
        m = operand(m)
        if len(shape_of(m)) == 1:
            m = broadcasted(m, shape_of(m) * 2)
        return bind(row, (m,), {"k": operator.index(k)})

    register(function, "linear", handler, primitive=row)
    return handler


tril = _triangle(np.tril, "np.tril")
triu = _triangle(np.triu, "np.triu")


@composite(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    n = len(xi)
    grids = [
        as_shape(x, (1,) * i + (size_of(shape_of(x)),) + (1,) * (n - i - 1)) for i, x in enumerate(map(operand, xi))
    ]
    if indexing == "xy" and n > 1:
        grids = [swapaxes(g, 0, 1) for g in grids]
    if not sparse:
        shape = np.broadcast_shapes(*[shape_of(g) for g in grids])
        grids = [broadcasted(g, shape) for g in grids]
    return tuple([g.copy() for g in grids] if copy else grids)


@composite(np.ix_)
def ix_(*args: Any) -> Any:
    out = []
    for i, x in enumerate(map(operand, args)):
        if len(shape_of(x)) != 1:
            raise ValueError("Cross index must be 1 dimensional")
        if dtype_of(x).kind == "b":
            x = np.nonzero(x)[0]
        out.append(as_shape(x, (1,) * i + shape_of(x) + (1,) * (len(args) - i - 1)))
    return tuple(out)


@composite(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    x = operand(x)
    if len(shape_of(x)) != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n = shape_of(x)[0] if N is None else operator.index(N)
    if n <= 0:
        return np.zeros_like(x, shape=(*shape_of(x), 0))
    x = cast(x, np.promote_types(dtype_of(x), int), copy=False)
    columns = [np.ones_like(x)]
    while len(columns) < n:
        columns.append(columns[-1] * x)
    return stacked(columns if increasing else columns[::-1], axis=1)


class _Windows(Movement):
    view: Any = "read-only"


def _windows(x: Any, *, window_shape: Any, axis: Any) -> Any:
    return np.lib.stride_tricks.sliding_window_view(x, window_shape, axis)


_sliding: Any = _Windows("np.lib.stride_tricks.sliding_window_view", _windows)
_sliding.view = "read-only"


@composite(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    if writeable:
        raise unsupported("np.lib.stride_tricks.sliding_window_view", ["writeable"], "a write into the array itself")
    axis = None if axis is None else negative_axes(ints(axis), len(shape_of(x)))
    return bind(_sliding, (x,), {"window_shape": ints(fixed(window_shape)), "axis": axis})


# --------------------------------------------------------------------------------------------------
# reading by index


@composite(np.take)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    x = ravel(a) if axis is None else operand(a)
    axis = axis_of(-1 if axis is None else axis, len(shape_of(x)))
    n = shape_of(x)[axis]
    i = np.asarray(fixed(indices))
    if i.size == 0:
        i = i.astype(np.intp)
    if mode == "wrap":
        i = i % n
    elif mode == "clip":
        i = np.clip(i, 0, n - 1)
    return into(number(x[along(axis, i)]), out, "np.take")


@composite(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    places = np.take_along_axis(positions(shape_of(arr)), fixed(operand(indices)), axis)
    return ravel(arr)[places]


@composite(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    x = ravel(a) if axis is None else operand(a)
    axis = axis_of(-1 if axis is None else axis, len(shape_of(x)))
    keep = np.flatnonzero(fixed(operand(condition)))
    return into(x[along(axis, keep)], out, "np.compress")


@composite(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    return ravel(arr)[np.flatnonzero(fixed(operand(condition)))]


_differ = Discrete("np.unique", np.not_equal)
"""Whether sorted neighbours differ."""
_differ.kink = Kink(lambda _out, x, y: gap(x, y), "that of the first of the equal entries", "make the entries distinct")
_DISTINCT = Facts(kinks=[_differ.kink])


def _sorted_groups(x: Any, equal_nan: bool) -> tuple[Any, Any]:
    """Return the order that sorts a vector, and where in it a new value begins."""
    order = fixed(np.argsort(x, kind="stable"))
    if not order.size:
        return order, np.zeros(0, dtype=bool)
    s = x[order]
    new = fixed(bind(_differ, (s[1:], s[:-1]), {}))
    if equal_nan:
        nan = fixed(np.isnan(s))
        new = new & ~(nan[1:] & nan[:-1])
    return order, np.concatenate([[True], new])


@composite(np.unique, facts=_DISTINCT)
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    if axis is not None and len(shape_of(ar)) != 1:
        raise UnsupportedFunctionError(
            f"{where()}: np.unique along an axis is not yet in dualdiff's vocabulary; find the rows with "
            "np.unique(dd.stop_gradient(x), axis=…, return_index=True) and read them: x[index]"
        )
    x = ravel(ar)
    order, new = _sorted_groups(x, equal_nan)
    first = order[new]
    found = [x[first]]
    if return_index:
        found.append(first)
    if return_inverse:
        inverse = np.empty(order.size, dtype=np.intp)
        inverse[order] = np.cumsum(new) - 1
        found.append(inverse.reshape(shape_of(ar)))
    if return_counts:
        found.append(np.diff(np.flatnonzero(new), append=order.size))
    return found[0] if len(found) == 1 else tuple(found)


@composite(np.unique_values, facts=_DISTINCT)
def unique_values(x: Any, /) -> Any:
    return unique(x, equal_nan=False)


def _unique_like(function: Any, **options: bool) -> None:
    result = type(function(np.zeros(1)))

    def handler(x: Any, /) -> Any:
        return result(*unique(x, equal_nan=False, **options))

    composite(function, facts=_DISTINCT)(handler)


_unique_like(np.unique_counts, return_counts=True)
_unique_like(np.unique_inverse, return_inverse=True)
_unique_like(np.unique_all, return_index=True, return_inverse=True, return_counts=True)


@composite(np.union1d, facts=_DISTINCT)
def union1d(ar1: Any, ar2: Any) -> Any:
    return unique(joined((ar1, ar2), None))


@composite(np.intersect1d, facts=_DISTINCT)
def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    if return_indices:
        raise unsupported(
            "np.intersect1d", ["return_indices"], "np.intersect1d(..., return_indices=True) of dd.stop_gradient(x)"
        )
    x, y = (ravel(ar1), ravel(ar2)) if assume_unique else (unique(ar1), unique(ar2))
    x = joined((x, y))
    x = x[fixed(np.argsort(x, kind="stable"))]
    return x[:-1][np.flatnonzero(fixed(x[1:] == x[:-1]))]


@composite(np.setdiff1d, facts=_DISTINCT)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    x = ravel(ar1) if assume_unique else unique(ar1)
    return x[np.flatnonzero(~fixed(np.isin(x, ar2)))]


@composite(np.setxor1d, facts=_DISTINCT)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    x = joined((ar1, ar2), None) if assume_unique else joined((unique(ar1), unique(ar2)))
    x = x[fixed(np.argsort(x, kind="stable"))]
    if not size_of(shape_of(x)):
        return x
    edge = np.concatenate([[True], fixed(x[1:] != x[:-1]), [True]])
    return x[np.flatnonzero(edge[1:] & edge[:-1])]


@composite(np.partition)
def partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    x, axis = (ravel(a), -1) if axis is None else (operand(a), axis)
    order_ = np.argpartition(x, fixed(kth), axis=axis, kind=kind)  # type: ignore[arg-type]
    return take_along_axis(x, order_, axis)


@composite(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    arr = operand(arr)
    x = moveaxis(arr, axis, -1)
    outer = shape_of(x)[:-1]
    if 0 in outer:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    rows = as_shape(x, (size_of(outer), shape_of(x)[-1]))
    found = [operand(func1d(rows[i], *args, **kwargs)) for i in range(size_of(outer))]
    dtype = dtype_of(found[0])  # NumPy makes room for such as the first is, and puts the others there
    found = [y if dtype_of(y) == dtype or dtype.kind not in "biuf" else y.astype(dtype) for y in found]
    out = as_shape(stacked(found), outer + shape_of(found[0]))
    at = axis_of(axis, len(shape_of(arr))) + len(shape_of(arr))
    rank = len(shape_of(found[0]))
    return moveaxis(out, tuple(range(-rank, 0)), tuple(range(at, at + rank))) if rank else out


@composite(np.apply_over_axes)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    x = operand(a)
    rank = len(shape_of(x))
    for i in ints(axes):
        found = func(x, i + rank if i < 0 else i)
        x = found if len(shape_of(found)) == rank else expand_dims(found, i)
        if len(shape_of(x)) != rank:
            raise ValueError("function is not returning an array of the correct shape")
    return x


# --------------------------------------------------------------------------------------------------
# index arithmetic


@composite(np.unravel_index, status="discrete")
def unravel_index(indices: Any, shape: Any, order: str = "C") -> Any:
    return np.unravel_index(fixed(operand(indices)), fixed(shape), order)  # type: ignore[call-overload]


@composite(np.ravel_multi_index, status="discrete")
def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: Any = "C") -> Any:
    index = fixed(multi_index) if isinstance(multi_index, Traced) else tuple([fixed(operand(i)) for i in multi_index])
    return np.ravel_multi_index(index, fixed(dims), mode, order)


def _of_shape(function: Any) -> None:
    @composite(function, status="discrete")
    def handler(arr: Any, *args: Any, **kwargs: Any) -> Any:
        return function(np.empty(shape_of(arr)), *map(fixed, args), **{k: fixed(v) for k, v in kwargs.items()})


for _function in (np.diag_indices_from, np.tril_indices_from, np.triu_indices_from):
    _of_shape(_function)


@composite(np.einsum_path, status="discrete")
def einsum_path(*operands: Any, **options: Any) -> Any:
    shapes: list[Any] = [np.empty(shape_of(x)) if isinstance(x, Traced) else x for x in operands]
    return np.einsum_path(*shapes, **options)


__all__: list[str] = []
