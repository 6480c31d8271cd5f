"""np.pad, mode by mode and axis by axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.register import Facts, composite
from dualdiff.rules.elementwise import unsupported
from dualdiff.rules.indexing import positions
from dualdiff.rules.movement.axes import along
from dualdiff.rules.movement.broadcasting import broadcasted
from dualdiff.rules.movement.joining import joined
from dualdiff.rules.movement.reshaping import as_column, as_shape
from dualdiff.rules.movement.transposing import moveaxis
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import Traced, container, fixed, operand

_BY_POSITION = ("reflect", "symmetric", "wrap")
_BY_STATISTIC: dict[str, Any] = {"mean": np.mean, "maximum": np.max, "minimum": np.min, "median": np.median}
_PAD_OPTIONS = {
    "constant": ("constant_values",),
    "linear_ramp": ("end_values",),
    "reflect": ("reflect_type",),
    "symmetric": ("reflect_type",),
    **dict.fromkeys(_BY_STATISTIC, ("stat_length",)),
    **dict.fromkeys(("edge", "wrap", "empty"), ()),
}


def _pairs(x: Any, rank: int) -> list[Any]:
    """Return one (before, after) per axis of what np.pad takes: a number, a pair, a pair per axis."""
    if isinstance(x, dict):
        raise unsupported("np.pad", ["dict of values"], "a sequence of (before, after) pairs")
    if x is None:
        return [(None, None)] * rank
    x = operand(x)
    shape = shape_of(x)
    if not shape:
        return [(x, x)] * rank
    rows = np.broadcast_to(positions(shape), (rank, 2))
    flat = as_shape(x, (size_of(shape),))
    return [(flat[int(i)], flat[int(j)]) for i, j in rows]


@composite(np.pad, facts=Facts(kinks=[np.max, np.min, np.sort]))
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    x = operand(array)
    rank = len(shape_of(x))
    if callable(mode):
        raise unsupported("np.pad", ["mode=function"], "np.concatenate, or one of NumPy's own modes")
    if mode not in _PAD_OPTIONS:
        raise ValueError(f"mode '{mode}' is not supported")
    wrong = set(kwargs) - set(_PAD_OPTIONS[mode])
    if wrong:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {wrong}")
    if isinstance(pad_width, dict):
        pairs = {k % rank: (v if isinstance(v, tuple) else (v, v)) for k, v in pad_width.items()}
        pad_width = [pairs.get(i, (0, 0)) for i in range(rank)]
    widths = [(int(a), int(b)) for a, b in _pairs(fixed(pad_width), rank)]
    if any(a < 0 or b < 0 for a, b in widths):
        raise ValueError("index can't contain negative values")
    if mode == "constant" or mode == "empty":
        return _pad_constant(x, widths, _pairs(kwargs.get("constant_values", 0.0), rank))
    option = (
        _pairs(next(iter(kwargs.values()), 0.0 if mode == "linear_ramp" else None), rank)
        if mode not in _BY_POSITION
        else None
    )
    for i, (a, b) in enumerate(widths, -rank):
        if not a and not b:
            continue
        n = shape_of(x)[i]
        if n == 0:
            raise ValueError(f"can't extend empty axis {i + rank} using modes other than 'constant' or 'empty'")
        if option is None:
            x = _pad_by_position(x, a, b, mode, i, kwargs.get("reflect_type", "even"))
            continue
        before, after = option[i]
        if mode == "edge":
            left, right = x[along(i, slice(0, 1))], x[along(i, slice(n - 1, n))]
        elif mode == "linear_ramp":
            left, right = x[along(i, slice(0, 1))], x[along(i, slice(n - 1, n))]
            steps = as_column(np.arange(max(a, b), dtype=dtype_of(x)), i)
            left = before + (left - before) * (steps[along(i, slice(0, a))] / max(a, 1))
            right = after + (right - after) * (
                steps[along(i, slice(0, b))][along(i, slice(None, None, -1))] / max(b, 1)
            )
        else:
            k, m = (
                n if before is None else min(int(fixed(before)), n),
                n if after is None else min(int(fixed(after)), n),
            )
            of = _BY_STATISTIC[mode]
            left = of(x[along(i, slice(0, k))], axis=i, keepdims=True)
            right = of(x[along(i, slice(n - m, n))], axis=i, keepdims=True)
        shape = list(shape_of(x))
        shape[i] = a
        left = broadcasted(left, shape)
        shape[i] = b
        x = joined((left, x, broadcasted(right, shape)), i)
    return x if x is not array else x.copy()


def _pad_constant(x: Any, widths: list[tuple[int, int]], values: list[tuple[Any, Any]]) -> Any:
    shape = tuple([s + a + b for s, (a, b) in zip(shape_of(x), widths)])
    out = np.zeros_like(x, shape=shape)
    if not isinstance(x, Traced):
        out = container(out)
    for i, ((a, b), (before, after)) in enumerate(zip(widths, values), -len(shape)):
        if a:
            out[along(i, slice(0, a))] = before
        if b:
            out[along(i, slice(shape[i] - b, None))] = after
    out[tuple([slice(a, a + s) for s, (a, _) in zip(shape_of(x), widths)])] = x
    return out


def _pad_by_position(x: Any, a: int, b: int, mode: str, axis: int, kind: str) -> Any:
    n = shape_of(x)[axis]
    if kind == "even" or n == 1:
        return x[along(axis, np.pad(np.arange(n), (a, b), mode))]  # type: ignore[call-overload]
    # Odd reflections are sums of entries; run on the unit vectors, np.pad gives their matrix.
    matrix = np.pad(np.eye(n, dtype=dtype_of(x)), ((a, b), (0, 0)), mode, reflect_type=kind)  # type: ignore[call-overload]
    return moveaxis(np.tensordot(matrix, x, axes=((1,), (axis,))), 0, axis)


__all__: list[str] = []
