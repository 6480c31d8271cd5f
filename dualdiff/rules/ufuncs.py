"""The ufunc door when more than a plain call is asked: out=, where=, dtype=, reduce, accumulate, outer, at.

Everything here ends in plain calls of the ufunc and in NumPy's reductions, which dispatch again.
"""

from __future__ import annotations

import functools
import importlib
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.advice import of_own_code
from dualdiff.errors import TracedAssignmentError, UnsupportedFunctionError, asked_by_replaced, where
from dualdiff.kinds import Discrete, Linear, scatter, scatter_add
from dualdiff.kinds.base import family, later
from dualdiff.kinds.kinks import Kink, gap
from dualdiff.labels import Labels, grouped, lanes
from dualdiff.register import REGISTER, UMATH, name_of
from dualdiff.rules.discrete import left
from dualdiff.rules.elementwise import cast, into, unsupported
from dualdiff.rules.indexing import canonical_index, has_integer_arrays, places
from dualdiff.shapes import dtype_of, negative_axes, shape_of, size_of
from dualdiff.values import TRACED, bind, native, number, operand, packed

HARMLESS = ("order", "subok")
"""Options that say how a result lies in memory, which a derivative need not know."""


def brings_rows(ufunc: Any) -> bool:
    """Import SciPy's tables if an unknown ufunc is one of theirs, and say whether it was."""
    if getattr(UMATH, ufunc.__name__, None) is ufunc or "scipy.special" not in sys.modules:
        return False
    special_functions()
    return ufunc in REGISTER


def special_functions() -> None:
    """Import the tables of ``scipy.special``."""
    importlib.import_module("dualdiff.rules.special")


later.append(special_functions)


def call(ufunc: Any, method: str, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Serve one ufunc call that is not of the simplest form."""
    entry = REGISTER.get(ufunc)
    if entry is None and brings_rows(ufunc):
        return getattr(ufunc, method)(*inputs, **kwargs)
    name = name_of(ufunc)
    if entry is not None and entry.handler is None:
        raise UnsupportedFunctionError(f"{where()}: {name} cannot be differentiated: {entry.reason}.")
    if entry is None and method == "__call__" and ufunc.types == [f"{'O' * ufunc.nin}->{'O' * ufunc.nout}"]:
        return _entry_by_entry(ufunc, inputs, kwargs)
    lost: Any = next((i for i in inputs if type(i) in TRACED), None)
    if entry is None and lost is not None:
        error = UnsupportedFunctionError(
            f"{where()}: {name} is not yet in dualdiff's vocabulary. Write it with functions that are "
            "(docs: reference/support), or freeze its argument on purpose with dd.stop_gradient(x)."
        )
        raise lost._stumbled(error, "ufunc") if asked_by_replaced() else error
    options = {
        k: v for k, v in kwargs.items() if k not in HARMLESS and v is not np._NoValue and (v is not None or k == "axis")
    }
    out = options.pop("out", None)
    if method == "__call__":
        return _store(_call(ufunc, inputs, options, out, name), out, name)
    if method == "at":
        return _at(ufunc, name, *inputs)
    inputs = [native(i) for i in inputs]
    if any(type(i) in TRACED for i in inputs):
        found = _METHODS[method](ufunc, *inputs, **options)
    else:
        found = getattr(ufunc, method)(*inputs, **options)
    return _store(found, out, f"{name}.{method}")


def _entry_by_entry(ufunc: Any, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Call what ``np.frompyfunc`` made of a function, on entries that are traced one by one."""
    found = ufunc(*[i._as_objects(None) if type(i) in TRACED else i for i in inputs], **kwargs)
    return tuple(map(packed, found)) if ufunc.nout > 1 else packed(found)


def _store(result: Any, out: Any, name: str) -> Any:
    """Put results where ``out=`` asks for them."""
    if out is None:
        return result
    if type(out) is not tuple:
        return into(result, out, name)
    if len(out) == 1:
        return into(result, out[0], name)
    return tuple([into(r, o, name) for r, o in zip(result, out, strict=True)])


# --------------------------------------------------------------------------------------------------
# calls with options


def _call(ufunc: Any, inputs: Sequence[Any], options: dict[str, Any], out: Any, name: str) -> Any:
    mask = options.pop("where", True)
    dtype = options.pop("dtype", None)
    signature = options.pop("signature", options.pop("sig", None))
    casting = options.pop("casting", "same_kind")
    if dtype is not None or signature is not None or casting != "same_kind":
        inputs = _cast_inputs(ufunc, [operand(i) for i in inputs], dtype, signature, casting)
    if mask is True:
        return _plain_call(ufunc, inputs, options)
    if out is None or any(o is None for o in out):
        instead = "np.where(mask, f(x), other), or pass out= as well (without it the rest is undefined)"
        raise unsupported(name, ["where"], instead)
    with np.errstate(all="ignore"):  # entries that are masked out are computed as well
        found = _plain_call(ufunc, inputs, options)
    if ufunc.nout == 1:
        return np.where(mask, found, out[0])
    return tuple([np.where(mask, f, o) for f, o in zip(found, out, strict=True)])


def _plain_call(ufunc: Any, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    if not options:
        return ufunc(*inputs)
    if ufunc.signature is None:
        raise unsupported(name_of(ufunc), options, "the call without them")
    handler: Any = REGISTER[ufunc].handler
    return handler(*inputs, **options)  # the axes of a generalised ufunc are its row's affair


def _cast_inputs(ufunc: Any, inputs: list[Any], dtype: Any, signature: Any, casting: Any) -> list[Any]:
    """Cast the operands to those of the loop that NumPy would choose."""
    if dtype is not None:
        signature = (None,) * ufunc.nin + (np.dtype(dtype),) * ufunc.nout
    plain = [type(i.value if type(i) in TRACED else i) for i in inputs]
    given = [p if p in (int, float, complex) else dtype_of(i) for p, i in zip(plain, inputs, strict=True)]
    loop = ufunc.resolve_dtypes((*given, *[None] * ufunc.nout), signature=signature, casting=casting)
    return [cast(i, d, copy=False) for i, d in zip(inputs, loop)]


# --------------------------------------------------------------------------------------------------
# reduce


def _axis_of(x: Any, axis: Any) -> Any:
    """Return the axes of a reduction in a form that all functions take: a ufunc accepts axis 0 of a scalar."""
    return None if axis is not None and shape_of(x) == () and axis in (0, -1, ()) else axis


_DEFAULTS = {("where", True, False), ("keepdims", False, True)}


def _reduce(ufunc: Any, x: Any, axis: Any = 0, dtype: Any = None, **options: Any) -> Any:
    x = operand(x)
    options = {k: v for k, v in options.items() if (k, v is True, v is False) not in _DEFAULTS}
    if type(axis) is tuple and len(axis) == 1:
        (axis,) = axis
    axis = _axis_of(x, axis)
    if ufunc in _SUMS:
        return _SUMS[ufunc](x, axis=axis, **({} if dtype is None else {"dtype": dtype}), **options)
    if isinstance(_row_of(ufunc), Discrete):
        settings = {k: left(v) for k, v in options.items()}
        return bind(_query(ufunc, "reduce"), (x,), {"axis": axis, "dtype": dtype, **settings})
    if dtype is not None:
        x = cast(x, dtype, copy=False)
    if ufunc in _EXTREMES:
        return _EXTREMES[ufunc](x, axis=axis, **options)
    return _folded(ufunc, x, axis, **options)


def _folded(
    ufunc: Any, x: Any, axis: Any, keepdims: bool = False, initial: Any = np._NoValue, where: Any = True
) -> Any:
    """Fold an axis with any ufunc of two operands, entry after entry, from the first one or from ``initial``."""
    shape = shape_of(x)
    axes = negative_axes(axis, len(shape))
    if len(axes) > 1 and ufunc not in _REORDERABLE:
        raise ValueError(
            f"reduction operation '{ufunc.__name__}' is not reorderable, so at most one axis may be specified"
        )
    kept = tuple([1 if i - len(shape) in axes else s for i, s in enumerate(shape)])
    rest = tuple([s for i, s in enumerate(shape) if i - len(shape) not in axes])
    count = size_of(tuple([shape[a] for a in axes]))
    given = initial is not np._NoValue and initial is not None
    start: Any = operand(initial) if given else ufunc.identity if initial is np._NoValue else None
    if start is not None and type(start) not in TRACED:
        start = np.asarray(start, dtype_of(x))[()]
    if start is None and (where is not True or count == 0):
        if where is True:  # NumPy's own error
            return ufunc.reduce(np.empty(shape, dtype_of(x)), axis=axes, keepdims=keepdims)
        raise ValueError(
            f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a where mask one has to "
            "specify 'initial'"
        )

    def lanes(v: Any) -> Any:
        v = np.moveaxis(v, axes, tuple(range(len(axes))))
        return np.reshape(v, (count, *rest)) if len(axes) != 1 else v

    entries = lanes(x)
    masks = None if where is True else lanes(np.broadcast_to(left(operand(where)), shape))
    if ufunc in _FOLDS and count:
        fold, neutral = _FOLDS[ufunc]
        if masks is not None:
            entries = np.where(masks, entries, neutral)
        if given:
            entries = np.concatenate([np.reshape(np.broadcast_to(start, rest), (1, *rest)), entries])
        y = fold(entries)
    elif masks is None and not given and count:
        y = functools.reduce(ufunc, list(entries))
        if count == 1 and ufunc is np.hypot:
            y = np.hypot(y, 0.0)  # NumPy begins with the identity, 0, which takes the sign off
    else:
        y = np.broadcast_to(start, rest)
        for i in range(count):
            new = ufunc(y, entries[i])
            y = new if masks is None else np.where(masks[i], new, y)
    return np.reshape(y, kept) if keepdims else number(y)


def _log_sum(exp: Any, log: Any) -> Callable[[Any], Any]:
    def fold(x: Any) -> Any:
        # The shift may be a constant, as it cancels in the derivative.
        top = bind(_query(np.maximum, "reduce"), (x,), {"axis": 0})
        shift = np.where(np.isfinite(top), top, 0)
        with np.errstate(divide="ignore"):
            y = log(np.sum(exp(x - shift), axis=0)) + shift
        if not np.any(np.isinf(top)):
            return y
        # Where the largest is infinite the sum is too; equal ones share the derivative, as in logaddexp.
        mine = np.equal(x, top)
        mean = np.sum(np.where(mine, x, 0), axis=0) / np.sum(cast(mine, dtype_of(x)), axis=0)
        return np.where(np.isinf(top), mean, y)

    return fold


_SUMS: dict[Any, Any] = {np.add: np.sum, np.multiply: np.prod}
_EXTREMES = {np.maximum: np.max, np.minimum: np.min}
_REORDERABLE = {np.hypot, np.logaddexp, np.logaddexp2, np.fmax, np.fmin}
_FOLDS: dict[Any, tuple[Callable[[Any], Any], float]] = {
    np.subtract: (lambda x: x[0] - np.sum(x[1:], axis=0), 0.0),
    np.divide: (lambda x: x[0] / np.prod(x[1:], axis=0), 1.0),
    np.logaddexp: (_log_sum(np.exp, np.log), -math.inf),
    np.logaddexp2: (_log_sum(np.exp2, np.log2), -math.inf),
}
"""Folds in one step, and what takes no part in them."""


# --------------------------------------------------------------------------------------------------
# accumulate, reduceat, outer


def _row_of(ufunc: Any) -> Any:
    return REGISTER[ufunc].primitive


def _is_query(name: Any, method: Any) -> bool:
    return method in ("reduce", "accumulate", "reduceat") and _ufunc_named(name) is not None


def _ufunc_named(name: Any) -> Any:
    return next((f for f in REGISTER if isinstance(f, np.ufunc) and name_of(f) == name), None)


@family("folds without derivative", _is_query)
def _queries(name: str, method: str) -> Discrete:
    return Discrete(f"{name}.{method}", getattr(_ufunc_named(name), method))


def _query(ufunc: Any, method: str) -> Any:
    return _queries(name_of(ufunc), method)


def _accumulate(ufunc: Any, x: Any, axis: Any = 0, dtype: Any = None) -> Any:
    x = operand(x)
    if not shape_of(x):
        raise TypeError("cannot accumulate on a scalar")
    if isinstance(_row_of(ufunc), Discrete):
        return bind(_query(ufunc, "accumulate"), (x,), {"axis": axis, "dtype": dtype})
    if dtype is not None:
        x = cast(x, dtype, copy=False)
    if ufunc in _RUNNING_SUMS:
        return _RUNNING_SUMS[ufunc](x, axis=axis)
    if ufunc in _RUNNING:
        at = list(np.ogrid[tuple(slice(s) for s in shape_of(x))])
        at[axis] = bind(_RUNNING[ufunc], (x,), {"axis": axis})
        return x[tuple(at)]
    entries = list(np.moveaxis(x, axis, 0))
    if not entries:
        return x.copy()
    for i in range(1, len(entries)):
        entries[i] = ufunc(entries[i - 1], entries[i])
    return np.moveaxis(np.stack(entries), 0, axis)


def _running(ufunc: Any) -> Discrete:
    """Return the discrete row that says where a running extreme stands: the first of several equal ones."""

    def positions(x: Any, *, axis: int) -> Any:
        best = ufunc.accumulate(x, axis=axis)
        ranks = np.reshape(np.arange(x.shape[axis]), [-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
        before = np.roll(best, 1, axis=axis)
        changed = np.not_equal(best, before) & ~(np.isnan(best) & np.isnan(before))
        return np.maximum.accumulate(np.where(changed | (ranks == 0), ranks, 0), axis=axis)

    def before(_out: Any, x: Any, *, axis: int) -> Any:
        x = np.moveaxis(x, axis, 0)
        first = np.full(x[:1].shape, np.inf)  # nothing stands before it
        return np.moveaxis(np.concatenate([first, gap(x[1:], ufunc.accumulate(x, axis=0)[:-1])]), 0, axis)

    row = Discrete(f"{name_of(ufunc)}.accumulate", positions)
    row.kink = Kink(
        before, "1 to the first of the equal entries", "a maximum that is smooth, as np.logaddexp.accumulate"
    )
    return row


_RUNNING_SUMS: dict[Any, Any] = {np.add: np.cumsum, np.multiply: np.cumprod}
_RUNNING = {f: _running(f) for f in (np.maximum, np.minimum, np.fmax, np.fmin)}


def _outer(ufunc: Any, a: Any, b: Any, **options: Any) -> Any:
    a, b = operand(a), operand(b)
    left_operand = np.reshape(a, shape_of(a) + (1,) * len(shape_of(b)))
    return ufunc(left_operand, b, **options)


def _segments(indices: Any, n: int) -> list[Any]:
    """Return the entries that each segment of ``reduceat`` takes."""
    ends = [*indices[1:], n][: len(indices)]
    return [np.arange(a, b) if a < b else np.array([a]) for a, b in zip(indices, ends, strict=True)]


def _reduceat_pull(g: Any, x: Any, *, indices: Any) -> Any:
    parts = _segments(indices, x.shape[-1])
    segment = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    return bind(scatter_add, (g[..., segment],), {"position": np.concatenate(parts), "size": x.shape[-1]})


def _reduceat_joins(k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
    shape = shape_of(args[0])
    parts = _segments(params["indices"], shape[-1])
    entries = np.concatenate(parts)
    if np.bincount(entries).max() > 1:  # an entry that goes into two sums has no one label
        return lanes(shape, shape_of(out), (-1,))
    group = np.full(shape[-1], -1)
    group[entries] = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    return grouped(group, len(parts), shape)


_add_reduceat = Linear(
    "np.add.reduceat",
    lambda x, *, indices: np.add.reduceat(x, indices, axis=-1),
    pull=_reduceat_pull,
    joins=_reduceat_joins,
)


def _reduceat(ufunc: Any, x: Any, indices: Any, axis: int = 0, dtype: Any = None) -> Any:
    x, indices = operand(x), np.array(left(indices))
    if isinstance(_row_of(ufunc), Discrete):
        return bind(_query(ufunc, "reduceat"), (x,), {"indices": indices, "axis": axis, "dtype": dtype})
    if dtype is not None:
        x = cast(x, dtype, copy=False)
    x = np.moveaxis(x, axis, -1)
    if indices.size and not (indices.min() >= 0 and indices.max() < shape_of(x)[-1]):
        raise IndexError(f"index of {name_of(ufunc)}.reduceat out of bounds [0, {shape_of(x)[-1]})")
    if not indices.size:
        y = x[..., :0]
    elif ufunc is np.add:
        y = bind(_add_reduceat, (x,), {"indices": indices})
    else:
        parts = _segments(indices, shape_of(x)[-1])  # one entry alone is taken as it is
        y = np.stack([ufunc.reduce(x[..., s], axis=-1) if s.size > 1 else x[..., s[0]] for s in parts], axis=-1)
    return np.moveaxis(y, -1, axis)


_METHODS: dict[str, Callable[..., Any]] = {
    "reduce": _reduce,
    "accumulate": _accumulate,
    "reduceat": _reduceat,
    "outer": _outer,
}


# --------------------------------------------------------------------------------------------------
# at


def _at(ufunc: Any, name: str, x: Any, index: Any, *values: Any) -> None:
    """Carry out ``ufunc.at(x, index, v)`` on a traced array: in place, repeated entries one after the other."""
    index = tuple(map(left, index)) if type(index) is tuple else left(index)
    if type(x) not in TRACED:
        values = tuple([v.run.leave(v) if type(v) in TRACED and v._may_leave() else v for v in values])
        lost: Any = next((v for v in values if type(v) in TRACED), None)
        if lost is not None:
            raise lost._stumbled(
                TracedAssignmentError(
                    f"{where()}: {name}.at would store a differentiated value in a plain array, which would lose its "
                    "derivative. "
                    + of_own_code(
                        "Make the array with np.zeros_like(x) of a differentiated x inside the function, or use np.bincount(i, weights)."
                    )
                ),
                "store",
            )
        ufunc.at(x, index, *values)
        return
    values = tuple(map(operand, values))
    found = np.result_type(*[dtype_of(v) for v in (x, *values)])
    if not np.can_cast(found, dtype_of(x), "same_kind"):
        raise TypeError(f"Cannot cast {name}.at output from {found!r} to {dtype_of(x)!r} with casting rule 'same_kind'")
    shape = shape_of(x)
    index = canonical_index(index, shape)
    if not has_integer_arrays(index):  # it names no entry twice
        x[index] = ufunc(x[index], *values)
        return
    at = places(index, shape)
    values = tuple([np.broadcast_to(v, at.shape) for v in values])
    sums = ufunc in (np.add, np.subtract)
    if sums and 1 < size_of(shape) <= 4 * at.size:  # so many that an array of all entries costs no more
        x[...] = ufunc(x, scatter(values[0], at.ndim, at + 1, shape))
        return
    at = at.reshape(-1)
    entries, group, counts = np.unique(at, return_inverse=True, return_counts=True)
    rounds = counts.max(initial=0)
    if rounds <= 1:
        x[index] = ufunc(x[index], *values)
        return
    # What is stored is read before the first write, as NumPy reads it: it may be x itself, or a view of it.
    values = tuple([np.reshape(v, -1).copy() for v in values])
    if sums:
        these = np.unravel_index(entries, shape)
        x[these] = ufunc(x[these], bind(scatter_add, (values[0],), {"position": group, "size": entries.size}))
        return
    order = np.argsort(group, kind="stable")  # the r-th visit of every entry makes one round
    starts = np.cumsum(counts) - counts
    visit = np.arange(at.size) - np.repeat(starts, counts)
    for r in range(rounds):
        these = order[visit == r]
        places_now = np.unravel_index(at[these], shape)
        x[places_now] = ufunc(x[places_now], *[v[these] for v in values])


__all__ = ["call", "special_functions"]
