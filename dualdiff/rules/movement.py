"""Functions that move entries: reshaping, transposing, joining, cutting, repeating."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.kinds import Movement, Primitive, Shape, Sweep, full
from dualdiff.kinds.base import ALL, Asked
from dualdiff.kinds.movement import moved_back
from dualdiff.labels import ALIGNED, OWN, Labels, broadcast, numbered
from dualdiff.register import composite, register
from dualdiff.rules.elementwise import cast, into
from dualdiff.rules.indexing import positions
from dualdiff.shapes import align, dtype_of, negative_axes, shape_of, size_of, sum_to_shape
from dualdiff.tangents import INSTEAD, Columns, Map, Terms, map_of, spread
from dualdiff.values import NOTHING, TRACED, Traced, bind, fixed, is_number, ndarray, operand


def reshaped(x: Any, shape: Shape) -> Any:
    """Return ``x`` (an array or a number) with another shape, in C order."""
    return x.reshape(shape) if hasattr(x, "reshape") else np.reshape(x, shape)


def axis_of(axis: Any, ndim: int) -> int:
    """Return one axis counted from the end."""
    return negative_axes(operator.index(axis), ndim)[0]


def along(axis: int, i: Any) -> tuple[Any, ...]:
    """Return the index that applies ``i`` to an axis counted from the end."""
    return (Ellipsis, i, *(slice(None),) * (-axis - 1))


def as_column(v: Any, axis: int) -> Any:
    """Return a vector laid along an axis counted from the end."""
    return as_shape(v, shape_of(v) + (1,) * (-axis - 1))


def ints(x: Any) -> tuple[int, ...]:
    """Return an int or several as a tuple; traced ones leave to Python."""
    if isinstance(x, (tuple, list)) or (isinstance(x, (ndarray, Traced)) and shape_of(x)):
        return tuple([operator.index(i) for i in x])  # type: ignore[union-attr]
    return (operator.index(x),)


# --------------------------------------------------------------------------------------------------
# other shapes of the same memory


class Reshape(Movement):
    """``x.reshape(shape)`` in C order."""

    view = True
    pads = False

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return reshaped(tangents[0], sweep.lead + params["shape"])

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        shape = sweep.lead + shape_of(args[0])
        return (g if shape_of(g) == shape else reshaped(g, shape),)

    def labels(self, k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
        return ALIGNED


reshape = Reshape("np.reshape", reshaped)


def as_shape(x: Any, shape: Shape) -> Any:
    """Reshape a traced or plain array; ``shape`` holds no -1."""
    return bind(reshape, (x,), {"shape": shape})


def _boxed(x: Any, *, shape: Shape) -> Any:
    return np.array(x)


box = Reshape("np.asarray", _boxed)
box.view = False


def as_array(x: Any) -> Any:
    """Return an array as it is, and a number as the 0-d array that ``np.asarray`` makes of it."""
    return bind(box, (x,), {"shape": ()}) if is_number(x) else x


def _without_minus_one(shape: Any, x: Any) -> Shape:
    shape = ints(shape)
    if shape.count(-1) == 1:
        known, size = -size_of(shape), size_of(shape_of(x))
        if known == 0 or size % known:
            raise ValueError(f"cannot reshape array of size {size} into shape {shape}")
        return tuple([size // known if s == -1 else s for s in shape])
    return shape


def _is_fortran(x: Any, order: str) -> bool:
    if order not in ("C", "F", "A"):
        raise ValueError(f"order must be one of 'C', 'F', 'A', not {order!r}")
    return order == "F" or (order == "A" and len(shape_of(x)) > 1 and x.flags.fnc)


def reshape_as(
    a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: bool | None = None
) -> Any:
    a = operand(a)
    shape = _without_minus_one(newshape if shape is None else shape, a)
    if order != "C" and _is_fortran(a, order):
        out = transposed(as_shape(transposed(a), shape[::-1]))
    else:
        out = as_shape(a, shape)
    if copy:
        return out.copy()
    if copy is False and isinstance(out, Traced) and (out.link is None or out.link.base is None):
        raise ValueError("Unable to avoid creating a copy while reshaping.")
    return out


register(np.reshape, "movement", reshape_as, primitive=reshape)


@composite(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    a = operand(a)
    shape = shape_of(a)
    if len(shape) > 1 and order != "C":
        if order == "K":
            strides = a.strides
            a = transposed(a, sorted(range(len(shape)), key=lambda n: -abs(strides[n])))
        elif _is_fortran(a, order):
            a = transposed(a)
    out = as_shape(a, (size_of(shape),))
    # A reshape may be a view with steps between its entries; what ravel returns lies close, if need be as a copy.
    return out if not isinstance(a, Traced) or a.flags.c_contiguous else out.copy()  # type: ignore[attr-defined]


class Transpose(Movement):
    """``x.transpose(axes)``, the axes counted from the end."""

    view = True
    pads = False

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return tangents[0].transpose((*range(sweep.rank), *params["axes"]))

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        axes = params["axes"]
        back = [0] * len(axes)
        for to, come in enumerate(axes):
            back[come] = to - len(axes)
        return (g.transpose((*range(sweep.rank), *back)),)


def _transpose(x: Any, *, axes: tuple[int, ...]) -> Any:
    return x.transpose(axes)


transpose = Transpose("np.transpose", _transpose)


def transposed(a: Any, axes: Any = None) -> Any:
    a = operand(a)
    n = len(shape_of(a))
    if n == 0:
        return as_shape(a, ())
    axes = tuple(range(-1, -n - 1, -1)) if axes is None else negative_axes(ints(axes), n)
    if len(axes) != n:
        raise ValueError("axes don't match array")
    return bind(transpose, (a,), {"axes": axes})


register(np.transpose, "movement", transposed, primitive=transpose)


@composite(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    a = operand(a)
    n = len(shape_of(a))
    axes = list(range(-n, 0))
    i, j = axis_of(axis1, n), axis_of(axis2, n)
    axes[i], axes[j] = j, i
    return bind(transpose, (a,), {"axes": tuple(axes)})


@composite(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    a = operand(a)
    n = len(shape_of(a))
    come, go = negative_axes(ints(source), n), negative_axes(ints(destination), n)
    if len(come) != len(go):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    axes = [i for i in range(-n, 0) if i not in come]
    for to, i in sorted(zip(go, come)):
        axes.insert(to + n, i)
    return bind(transpose, (a,), {"axes": tuple(axes)}) if n else as_shape(a, ())


@composite(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    n = len(shape_of(a))
    axis, start = axis_of(axis, n) + n, operator.index(start)
    if not -n <= start <= n:
        raise np.exceptions.AxisError(f"start arg requires {-n} <= start < {n + 1}, but {start} was passed in")
    start += n if start < 0 else 0
    return moveaxis(a, axis, start - 1 if axis < start else start)


@composite(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    if len(shape_of(x)) < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {len(shape_of(x))}")
    return swapaxes(x, -1, -2)


@composite(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    shape = shape_of(a)
    if axis is None:
        left = tuple([s for s in shape if s != 1])
        return a if left == shape and not is_number(a) else as_shape(a, left)  # itself, where there is nothing to do
    gone = negative_axes(ints(axis), len(shape))
    if any(shape[i] != 1 for i in gone):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return as_shape(a, tuple([s for i, s in enumerate(shape, -len(shape)) if i not in gone]))


@composite(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    a = operand(a)
    axis = ints(axis)
    shape = list(shape_of(a))
    for i in sorted(i + len(shape) + len(axis) for i in negative_axes(axis, len(shape) + len(axis))):
        shape.insert(i, 1)
    return as_shape(a, tuple(shape))


def _atleast(shape_for: Callable[[Shape], Shape]) -> Callable[..., Any]:
    def one(x: Any) -> Any:
        x = operand(x)
        shape = shape_for(shape_of(x))
        return x if shape == shape_of(x) else as_shape(x, shape)

    def handler(*arrays: Any) -> Any:
        return one(arrays[0]) if len(arrays) == 1 else tuple([one(x) for x in arrays])

    return handler


atleast_1d = composite(np.atleast_1d)(_atleast(lambda s: s or (1,)))
atleast_2d = composite(np.atleast_2d)(_atleast(lambda s: (1,) * (2 - len(s)) + s))
atleast_3d = composite(np.atleast_3d)(
    _atleast(lambda s: s if len(s) > 2 else (*s, 1) if len(s) == 2 else (1, *(s or (1,)), 1))
)


class BroadcastTo(Movement):
    """``np.broadcast_to(x, shape)``; its transpose sums."""

    view: Any = "read-only"
    pads = False

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        shape = params["shape"]
        return np.broadcast_to(align(tangents[0], sweep.lead, shape_of(args[0]), len(shape)), sweep.lead + shape)

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return (sum_to_shape(g, sweep.lead, shape_of(args[0])),)

    def labels(self, k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
        return broadcast(shape_of(args[0]), params["shape"])


def _broadcast_to(x: Any, *, shape: Shape) -> Any:
    return np.broadcast_to(x, shape)


broadcast_to = BroadcastTo("np.broadcast_to", _broadcast_to)


def broadcasted(array: Any, shape: Any, subok: bool = False) -> Any:
    return bind(broadcast_to, (as_array(operand(array)),), {"shape": ints(shape)})


register(np.broadcast_to, "movement", broadcasted, primitive=broadcast_to)


@composite(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    xs = [operand(x) for x in args]
    shape = np.broadcast_shapes(*[shape_of(x) for x in xs])
    return tuple([as_array(x) if shape_of(x) == shape else broadcasted(x, shape) for x in xs])


@composite(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    m = as_array(operand(m))
    n = len(shape_of(m))
    axes = negative_axes(None if axis is None else ints(axis), n)
    return m[tuple([slice(None, None, -1) if i in axes else slice(None) for i in range(-n, 0)])]


@composite(np.fliplr)
def fliplr(m: Any) -> Any:
    return flip(m, 1)


@composite(np.flipud)
def flipud(m: Any) -> Any:
    return flip(m, 0)


@composite(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    m = operand(m)
    i, j = negative_axes(ints(axes), len(shape_of(m)))
    k = operator.index(k) % 4
    if k == 0:
        return m[...]
    if k == 2:
        return flip(m, (i, j))
    return swapaxes(flip(m, j), i, j) if k == 1 else flip(swapaxes(m, i, j), j)


def _diagonal(x: Any, *, offset: int) -> Any:
    return np.diagonal(x, offset, -2, -1)


class Diagonal(Movement):
    """A diagonal of the last two axes; its transpose puts it back among zeros."""

    view: Any = "read-only"
    pads = False

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return np.diagonal(tangents[0], params["offset"], -2, -1)

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        whole = np.zeros_like(g, shape=sweep.lead + shape_of(args[0]))
        whole[(Ellipsis, *_diagonal_entries(params["offset"], shape_of(g)[-1]))] = g
        return (whole,)


def _diagonal_entries(k: int, n: int) -> tuple[Any, Any]:
    return np.arange(max(-k, 0), max(-k, 0) + n), np.arange(max(k, 0), max(k, 0) + n)


_last_diagonal = Diagonal("np.diagonal", _diagonal)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    n = len(shape_of(a))
    if n < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    i, j = negative_axes((axis1, axis2), n)
    if (i, j) != (-2, -1):
        a = moveaxis(a, (i, j), (-2, -1))
    return bind(_last_diagonal, (a,), {"offset": operator.index(offset)})


register(np.diagonal, "movement", diagonal, primitive=_last_diagonal)


@composite(np.linalg.diagonal)
def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return diagonal(x, offset, -2, -1)


@composite(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    if len(shape_of(v)) == 2:
        return diagonal(v, k)
    if len(shape_of(v)) != 1:
        raise ValueError("Input must be 1- or 2-d.")
    k = operator.index(k)
    size = shape_of(v)[0] + abs(k)
    out = np.zeros_like(v, shape=(size, size))
    out[_diagonal_entries(k, shape_of(v)[0])] = v
    return out


@composite(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    return diag(ravel(v), k)


@composite(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    a = operand(a)
    return as_array(a).copy(order) if isinstance(a, Traced) else np.array(a, order=order)  # type: ignore[call-overload]


# --------------------------------------------------------------------------------------------------
# joining


def _stack(*xs: Any, axis: int | None = None) -> Any:
    if xs and not _SCALARS.issuperset(map(type, xs)):
        return np.stack(xs, axis=0 if axis is None else axis)
    return np.array(xs)


_SCALARS = frozenset(
    (float, int, bool, complex, np.float64, np.float32, np.longdouble, np.complex128, np.complex64, np.int64)
)


def _part(shape: Shape, result: Shape, index: Any) -> Labels:
    """Return the labels of an operand that stands in the result at some place."""
    found = np.full(result, -1)
    found[index] = numbered(shape)
    return found.reshape(-1), OWN


def _joined_terms(row: Any, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
    """Stack or concatenate: the first terms of all operands are one term, and so the second ones, and so on."""
    if not any(type(t) is Terms for t in tangents):
        return INSTEAD  # columns of most directions: an array is not much more
    listed = [list(t.items()) if t else [] for t in tangents]
    found = Terms()
    for j in range(max([len(terms) for terms in listed], default=0)):
        present = [terms[j] if j < len(terms) else None for terms in listed]
        keys = {p[0] if p else None for p in present}
        if len(keys) == 1 and type(next(iter(keys))) is int:
            key: Any = next(iter(keys))
        else:
            maps = [
                map_of(p[0], shape_of(v)) if p else np.zeros(shape_of(v), np.int32)
                for p, v in zip(present, values, strict=True)
            ]
            key = Map(row.fn(*maps, **params))
        scalars = [p[1] for p in present if p]
        if all(not shape_of(c) and type(c) not in TRACED and c == scalars[0] for c in scalars):
            c = scalars[0]
        else:
            c = bind(
                row,
                [
                    spread(p[1], shape_of(v)) if p else np.zeros(shape_of(v), dtype_of(out))
                    for p, v in zip(present, values, strict=True)
                ],
                params,
            )
            if dtype_of(c) != dtype_of(out):
                c = c.astype(dtype_of(out))
        if key in found:  # cannot be added up: the same map stands for two terms
            c = found[key] + c
        found[key] = c
    return found


class Stack(Primitive):
    """Equal shapes joined along a new axis, counted from the end."""

    kind = "movement"

    def needs(self, active: tuple[bool, ...]) -> Any:
        return False, (False,) * len(active)

    @staticmethod
    def axis(args: Any, params: dict[str, Any]) -> int:
        return params.get("axis", -len(shape_of(args[0])) - 1)

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        if any(t is None for t in tangents):
            some = next(t for t in tangents if t is not None)
            shape = sweep.lead + shape_of(args[0])
            zero = np.zeros_like(some, shape=shape) if shape else 0.0
            tangents = [zero if t is None else t for t in tangents]
        axis = self.axis(args, params)
        return full(bind(self, tangents, {"axis": axis} if sweep.lead else params), sweep, out)

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        axis = self.axis(args, params)
        if type(g) is ndarray and g.ndim == 1:
            return list(g)  # the engine drops what is for a constant
        return [g[along(axis, n)] if i is not None and i >= 0 else None for n, i in enumerate(ins)]

    def labels(self, k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
        return _part(shape_of(args[k]), shape_of(out), along(self.axis(args, params), k))

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Join maps and coefficients, term by term."""
        if self.takes_columns(values) and all(t is None or type(t) is Columns for t in tangents):
            return run.stacked(self, tangents, values, out)
        return _joined_terms(self, tangents, values, params, out)

    def pull_terms(self, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any, aligned: bool) -> Any:
        """Take every operand's part of maps and coefficients."""
        if not shape_of(args[0]):
            return INSTEAD  # entry by entry an array is written in place
        return moved_back(self, g, ins, args, params, out)

    def forecast(self, asked: Asked) -> Any:
        """Say how many terms there are: as many as the operand with most of them has."""
        return ALL if asked.is_columns else asked.new(max(map(len, asked.live)))

    def takes_columns(self, values: Sequence[Any]) -> bool:
        """Numbers with few directions each become one array of directions."""
        return not shape_of(values[0])

    def made_at_once(self, asked: Asked) -> tuple[float, float, float] | None:
        """Numbers' coefficients are written where they belong."""
        if shape_of(asked.args[0]):
            return None
        return 1.0, 0.0, 0.5 * sum([len(s) for s in asked.live])

    def puts_numbers_side_by_side(self, args: Sequence[Any]) -> bool:
        """Of numbers it does nothing else."""
        return not shape_of(args[0])


stack0 = Stack("np.stack", _stack)


def stack_scalars(items: list[Any], shape: Shape) -> Any:
    """Join scalars into an array of the given shape."""
    flat = bind(stack0, [i[()] if type(i) is ndarray else i for i in items], NOTHING)
    return bind(reshape, (flat,), {"shape": shape}) if len(shape) != 1 else flat


def _typed(x: Any, dtype: Any, casting: str) -> Any:
    return x if dtype is None else cast(x, dtype, casting=casting, copy=False)


def stacked(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    xs = [operand(x) for x in arrays]
    if not xs:
        raise ValueError("need at least one array to stack")
    shape = shape_of(xs[0])
    for x in xs:
        if shape_of(x) != shape:
            raise ValueError("all input arrays must have the same shape")
    if not shape:
        xs = [x[()] if type(x) is ndarray else x for x in xs]
    axis = axis_of(axis, len(shape) + 1)
    result = bind(stack0, xs, NOTHING if axis == -len(shape) - 1 else {"axis": axis})
    return into(_typed(result, dtype, casting), out, "np.stack")


register(np.stack, "movement", stacked, primitive=stack0)


class Concatenate(Primitive):
    """Arrays joined along one axis, counted from the end."""

    kind = "movement"

    def needs(self, active: tuple[bool, ...]) -> Any:
        return False, (False,) * len(active)

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        some = next(t for t in tangents if t is not None)
        parts = [
            np.zeros_like(some, shape=sweep.lead + shape_of(a)) if t is None else t for t, a in zip(tangents, args)
        ]
        return full(bind(self, parts, params), sweep, out)

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        axis = params["axis"]
        found: list[Any] = []
        start = 0
        for i, a in zip(ins, args):
            stop = start + shape_of(a)[axis]
            found.append(g[along(axis, slice(start, stop))] if i is not None and i >= 0 else None)
            start = stop
        return found

    def labels(self, k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
        axis = params["axis"]
        start = sum([shape_of(a)[axis] for a in args[:k]])
        shape = shape_of(args[k])
        return _part(shape, shape_of(out), along(axis, slice(start, start + shape[axis])))

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Join maps and coefficients, term by term."""
        return _joined_terms(self, tangents, values, params, out)

    def pull_terms(self, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any, aligned: bool) -> Any:
        """Take every operand's part of maps and coefficients."""
        return moved_back(self, g, ins, args, params, out)

    def forecast(self, asked: Asked) -> Any:
        """Say how many terms there are: as many as the operand with most of them has."""
        return ALL if asked.is_columns else asked.new(max(map(len, asked.live)))


def _concatenate(*xs: Any, axis: int) -> Any:
    return np.concatenate(xs, axis=axis)


concatenate = Concatenate("np.concatenate", _concatenate)


def joined(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    xs = [operand(x) for x in arrays]
    if not xs:
        raise ValueError("need at least one array to concatenate")
    if axis is None:
        xs, axis = [as_shape(x, (size_of(shape_of(x)),)) for x in xs], 0
    if not shape_of(xs[0]):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    result = bind(concatenate, xs, {"axis": axis_of(axis, len(shape_of(xs[0])))})
    return into(_typed(result, dtype, casting), out, "np.concatenate")


register(np.concatenate, "movement", joined, primitive=concatenate)


def _several(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


@composite(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    xs = _several(atleast_1d(*tup))
    return joined(xs, 0 if xs and len(shape_of(xs[0])) == 1 else 1, dtype=dtype, casting=casting)


@composite(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return joined(_several(atleast_2d(*tup)), 0, dtype=dtype, casting=casting)


@composite(np.dstack)
def dstack(tup: Any) -> Any:
    return joined(_several(atleast_3d(*tup)), 2)


@composite(np.column_stack)
def column_stack(tup: Any) -> Any:
    xs = [operand(x) for x in tup]
    return joined([as_shape(x, (size_of(shape_of(x)), 1)) if len(shape_of(x)) < 2 else x for x in xs], 1)


@composite(np.block)
def block(arrays: Any) -> Any:
    def depth(x: Any) -> int:
        return 1 + max([depth(i) for i in x]) if isinstance(x, list) else 0

    def leaves(x: Any) -> Any:
        return [i for part in x for i in leaves(part)] if isinstance(x, list) else [operand(x)]

    levels = depth(arrays)
    rank = max([levels, *(len(shape_of(x)) for x in leaves(arrays))])

    def build(x: Any, level: int) -> Any:
        if isinstance(x, list):
            if not x:
                raise ValueError("List at np.block cannot be empty")
            return joined([build(i, level - 1) for i in x], -level)
        if level:
            raise ValueError("List depths are mismatched in np.block")
        x = operand(x)
        return as_shape(x, (1,) * (rank - len(shape_of(x))) + shape_of(x))

    return build(arrays, levels).copy()


@composite(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    if axis is None:
        return joined((ravel(arr), ravel(values)))
    return joined((arr, values), axis)


def gathered(xs: Any, places: Any) -> Any:
    """Return ``concatenate(all entries of all xs)[places]``: a movement of several operands by its position map."""
    return joined([as_shape(x, (size_of(shape_of(x)),)) for x in xs])[places]


@composite(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    arr, values = operand(arr), operand(values)
    if dtype_of(values) != dtype_of(arr):  # NumPy converts what it inserts
        values = values.astype(dtype_of(arr)) if hasattr(values, "astype") else np.array(values, dtype=dtype_of(arr))
    new = positions(shape_of(values)) + size_of(shape_of(arr))
    return gathered((arr, values), np.insert(positions(shape_of(arr)), fixed(obj), new, axis))


@composite(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    arr = ravel(arr) if axis is None else operand(arr)
    axis = axis_of(-1 if axis is None else axis, len(shape_of(arr)))
    return arr[along(axis, np.delete(np.arange(shape_of(arr)[axis]), fixed(obj)))]


@composite(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    xs = [operand(x) for x in choices]
    start, places = 0, []
    for x in xs:
        places.append(positions(shape_of(x)) + start)
        start += size_of(shape_of(x))
    chosen = np.choose(fixed(a), places, mode=mode)  # type: ignore[call-overload]
    return into(gathered(xs, chosen), out, "np.choose")


# --------------------------------------------------------------------------------------------------
# cutting


def _pieces(x: Any, sections: Any, axis: Any, even: bool) -> list[Any]:
    x = operand(x)
    if not shape_of(x):
        raise ValueError("array split does not work on 0-d arrays")
    axis = axis_of(axis, len(shape_of(x)))
    n = shape_of(x)[axis]
    sections = fixed(sections)
    if hasattr(sections, "__len__"):
        cuts = [0, *ints(sections), n]
    else:
        k = operator.index(sections)
        if k <= 0:
            raise ValueError("number sections must be larger than 0.")
        if even and n % k:
            raise ValueError("array split does not result in an equal division")
        cuts = [0]
        for i in range(k):
            cuts.append(cuts[-1] + n // k + (i < n % k))
    return [x[along(axis, slice(a, b))] for a, b in itertools.pairwise(cuts)]


@composite(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    return _pieces(ary, indices_or_sections, axis, even=True)


@composite(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    return _pieces(ary, indices_or_sections, axis, even=False)


@composite(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> Any:
    if not shape_of(ary):
        raise ValueError("hsplit only works on arrays of 1 or more dimensions")
    return _pieces(ary, indices_or_sections, 1 if len(shape_of(ary)) > 1 else 0, even=True)


@composite(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> Any:
    if len(shape_of(ary)) < 2:
        raise ValueError("vsplit only works on arrays of 2 or more dimensions")
    return _pieces(ary, indices_or_sections, 0, even=True)


@composite(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> Any:
    if len(shape_of(ary)) < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return _pieces(ary, indices_or_sections, 2, even=True)


@composite(getattr(np, "unstack", None))
def unstack(x: Any, /, *, axis: int = 0) -> Any:
    if not shape_of(x):
        raise ValueError("Input array must be at least 1-d.")
    x = moveaxis(x, axis, 0)
    return tuple([x[i] for i in range(shape_of(x)[0])])


@composite(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    x = operand(filt)
    rank = len(shape_of(x))
    axes = negative_axes(None if axis is None else ints(axis), rank)
    trim = trim.lower()
    if trim not in ("fb", "bf", "f", "b"):
        raise ValueError(f"unexpected character(s) in `trim`: {trim!r}")
    full_places = np.nonzero(fixed(x != 0))
    cuts = []
    for i in range(-rank, 0):
        at, n = full_places[i], shape_of(x)[i]
        if i not in axes:
            cuts.append(slice(None))
        elif not at.size:
            cuts.append(slice(0, 0))
        else:
            cuts.append(slice(int(at.min()) if "f" in trim else 0, int(at.max()) + 1 if "b" in trim else n))
    return x[tuple(cuts)]


# --------------------------------------------------------------------------------------------------
# repeating and shifting


@composite(np.tile)
def tile(A: Any, reps: Any) -> Any:
    x = operand(A)
    reps = ints(fixed(reps))
    n = max(len(shape_of(x)), len(reps))
    shape, reps = (1,) * (n - len(shape_of(x))) + shape_of(x), (1,) * (n - len(reps)) + reps
    if all(r == 1 for r in reps):
        return as_array(x).copy() if shape == shape_of(x) else as_shape(x, shape).copy()
    narrow = tuple([i for s in shape for i in (1, s)])
    wide = tuple([i for r, s in zip(reps, shape) for i in (r, s)])
    return as_shape(broadcasted(as_shape(x, narrow), wide), tuple([r * s for r, s in zip(reps, shape)])).copy()


@composite(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    x = ravel(a) if axis is None else operand(a)
    axis = axis_of(-1 if axis is None else axis, len(shape_of(x)))
    repeats = np.asarray(fixed(repeats))
    shape = shape_of(x)
    if repeats.size != 1:
        return x[along(axis, np.repeat(np.arange(shape[axis]), repeats))]
    r = int(repeats.reshape(())[()])
    if r < 0:
        raise ValueError("repeats may not contain negative values.")
    head, tail = shape[: len(shape) + axis + 1], shape[len(shape) + axis + 1 :]
    wide = broadcasted(as_shape(x, (*head, 1, *tail)), (*head, r, *tail))
    return as_shape(wide, (*head[:-1], head[-1] * r, *tail)).copy()


@composite(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    x = ravel(a)
    shape = ints(fixed(new_shape))
    n = shape_of(x)[0]
    if n == 0 or 0 in shape:
        return np.zeros_like(x, shape=shape)
    return as_shape(x[np.arange(size_of(shape)) % n], shape)


@composite(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    x = operand(a)
    if axis is None:
        return as_shape(roll(ravel(x), shift, 0), shape_of(x))
    shifts, axes = np.broadcast_arrays(ints(fixed(shift)), ints(axis))
    moves: dict[int, int] = {}
    for s, i in zip(shifts.tolist(), axes.tolist()):
        i = axis_of(i, len(shape_of(x)))
        moves[i] = moves.get(i, 0) + s
    for i, s in moves.items():
        n = shape_of(x)[i]
        s = s % n if n else 0
        if s:
            x = joined((x[along(i, slice(n - s, None))], x[along(i, slice(None, n - s))]), i)
    return x if x is not a else x.copy()


def _half(x: Any, axes: Any) -> tuple[Any, list[int]]:
    axes = list(range(len(shape_of(x)))) if axes is None else list(ints(axes))
    return axes, [shape_of(x)[i] // 2 for i in axes]


@composite(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    axes, half = _half(x, axes)
    return roll(x, half, axes)


@composite(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    axes, half = _half(x, axes)
    return roll(x, [-h for h in half], axes)


__all__ = ["as_column", "as_shape", "reshape", "stack0", "stack_scalars"]
