"""Arrays joined along an axis they have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.kinds import Primitive, Shape, Sweep, full
from dualdiff.kinds.base import ALL, Asked
from dualdiff.kinds.movement import moved_back
from dualdiff.labels import OWN, Labels, numbered
from dualdiff.register import composite, register
from dualdiff.rules.elementwise import cast, into
from dualdiff.rules.movement.axes import along, axis_of
from dualdiff.rules.movement.layout import ravel
from dualdiff.rules.movement.reshaping import as_shape, atleast_1d, atleast_2d, atleast_3d
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tangents import INSTEAD, Map, Terms, map_of, spread
from dualdiff.values import TRACED, bind, operand


def part_of(shape: Shape, result: Shape, index: Any) -> Labels:
    """Return the labels of an operand that stands in the result at some place."""
    found = np.full(result, -1)
    found[index] = numbered(shape)
    return found.reshape(-1), OWN


def joined_terms(row: Any, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
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


def typed(x: Any, dtype: Any, casting: str) -> Any:
    """Return what was joined in the dtype that the call asks for."""
    return x if dtype is None else cast(x, dtype, casting=casting, copy=False)


class Concatenate(Primitive):
    """Arrays joined along one axis, counted from the end."""

    kind = "movement"
    on_objects = True

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
        return part_of(shape, shape_of(out), along(axis, slice(start, start + shape[axis])))

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Join maps and coefficients, term by term."""
        return joined_terms(self, tangents, values, params, out)

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
    return into(typed(result, dtype, casting), out, "np.concatenate")


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
