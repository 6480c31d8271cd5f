"""Sums over axes as rows: what terms become where few entries go into one, and where many do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.kinds import Linear
from dualdiff.kinds.base import ALL, Asked, is_column
from dualdiff.kinds.movement import scatter_add
from dualdiff.labels import written
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tangents import (
    INSTEAD,
    LOCAL,
    Map,
    Terms,
    is_identity,
    key_of,
    kind_of,
    map_of,
    spread,
    stretch,
    zeros_beside,
)
from dualdiff.values import PLAIN_TYPES, TRACED, bind, is_array


class Summing(Linear):
    """A sum, or a mean, over axes counted from the end (the parameter ``axis``)."""

    groups_terms = False
    #: whether the sum is divided by the number of entries in it
    divides = False

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Sum over axes: few entries give terms, many are added up where their directions say."""
        (terms,) = tangents
        x = values[0]
        shape, result = shape_of(x), shape_of(out)
        axis = params["axis"]
        count = _summed(shape, axis)
        if count * len(terms) <= LOCAL and result and is_array(x):
            return _folded(self, terms, shape, axis, count, result, dtype_of(out))
        if type(out) not in PLAIN_TYPES and type(out) not in TRACED:
            return INSTEAD
        k, m = run.lead[0] if run.lead else 0, size_of(result)
        if dtype_of(out).char != "d" or not run.lead or (run.most is not None and k * m > run.most):
            return INSTEAD
        if not TRACED.isdisjoint(map(type, terms.values())):
            return INSTEAD if run.careful else _added(self, terms, values, params, out, k)
        lane = None
        total = np.zeros(k * m)
        there = np.zeros(k * m if run.careful else 0, bool)
        for key, c in terms.items():
            if type(key) is int:
                total.reshape(k, m)[key] += np.reshape(self.fn(spread(c, shape), **params), -1)
                if run.careful:
                    there.reshape(k, m)[key] = True
                continue
            at = map_of(key, shape).reshape(-1)
            weights = np.reshape(spread(c, shape), -1)
            if self.divides:
                weights = weights / count
            if m == 1 and not run.careful and is_identity(at, k):
                total += weights
                continue
            if lane is None:
                lane = written(self.labels(0, values, params, out)[1], size_of(shape))
            inside = at > 0
            if not inside.all():
                at, weights, lanes = at[inside], weights[inside], lane[inside]
            else:
                lanes = lane
            places = (at.astype(np.intp) - 1) * m + lanes
            total += np.bincount(places, weights, k * m)
            if run.careful:
                there[places] = True
        total = total.reshape((k, *result))
        return run.reached(total, there.reshape(total.shape)) if run.careful else total

    def pull_terms(
        self, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any, aligned: bool
    ) -> Any:
        """Repeat maps and coefficients along the axes that were summed over."""
        x, axis = args[0], params["axis"]
        shape = shape_of(x)
        folded = tuple([1 if i - len(shape) in axis else s for i, s in enumerate(shape)])
        count = _summed(shape, axis)
        found = Terms()
        for key, c in g.items():
            new = key if type(key) is int else Map(np.broadcast_to(key.positions.reshape(folded), shape))
            q = c / count if self.divides else c
            found[new] = np.broadcast_to(q.reshape(folded), shape) if shape_of(q) else q
        return [found]

    def forecast(self, asked: Asked) -> Any:
        """Say how many terms a sum makes: as many as entries go into one, each with its own."""
        (terms,) = asked.live
        count = _summed(shape_of(asked.args[0]), asked.params["axis"])
        if not asked.shape or count * len(terms) > LOCAL:
            return ALL
        columns = [t for t in terms if is_column(t)]
        return asked.new(count * (len(terms) - len(columns)), columns if count else ())

    def made_at_once(self, asked: Asked) -> tuple[float, float, float] | None:
        """Every coefficient is added up where its direction says."""
        entries = sum([size_of(shape_of(a)) * len(s) for a, s in zip(asked.args, asked.sets) if s is not None])
        return 2.0, float(entries), 0.0


def _added(row: Any, terms: Any, values: Sequence[Any], params: dict[str, Any], out: Any, k: int) -> Any:
    """Add up traced coefficients where their directions say, as an array of all directions."""
    shape, result = shape_of(values[0]), shape_of(out)
    m = size_of(result)
    lane = written(row.labels(0, values, params, out)[1], size_of(shape))
    total: Any = None
    columns = [(key, c) for key, c in terms.items() if type(key) is int]
    if columns:
        total = zeros_beside(terms.values(), (k * m,), dtype_of(out))
        for key, c in columns:
            total[key * m : (key + 1) * m] = np.reshape(bind(row, (spread(c, shape),), params), -1)
    for key, c in terms.items():
        if type(key) is int:
            continue
        at, weights = np.reshape(map_of(key, shape), -1), np.reshape(spread(c, shape), -1)
        if row.divides:
            weights = weights / _summed(shape, params["axis"])
        if m > 1 or not is_identity(at, k):
            inside = np.flatnonzero(at)
            if inside.size < at.size:
                weights = weights[stretch(inside)]
            places = (at[inside].astype(np.intp) - 1) * m + lane[inside]
            weights = scatter_add(weights, position=places, size=k * m)
        total = weights if total is None else total + weights
    return np.reshape(total, (k, *result))


def _summed(shape: tuple[int, ...], axis: tuple[int, ...]) -> int:
    """Return how many entries go into one."""
    count = 1
    for a in axis:
        count *= shape[a]
    return count


def _folded(
    row: Any, terms: Any, shape: tuple[int, ...], axis: tuple[int, ...], count: int, result: tuple[int, ...], dtype: Any
) -> Any:
    """Sum over a few entries: the terms of the first of them, of the second, and so on."""
    k = len(axis)
    found = Terms()

    def parted(a: Any) -> Any:
        if sorted(axis) != list(range(-k, 0)):
            a = np.moveaxis(a, tuple(sorted(axis)), tuple(range(-k, 0)))
        return a if k == 1 else a.reshape((*a.shape[: a.ndim - k], count))

    for key, c in terms.items():
        positions = parted(map_of(key, shape)) if type(key) is Map else None
        values = parted(np.broadcast_to(c, shape)) if shape_of(c) else None
        for j in range(count):
            new = key if positions is None else key_of(positions[..., j].reshape(result))
            if new is None:
                continue
            q = c if values is None else values[..., j].reshape(result)
            if row.divides:
                q = q / count
                q = dtype.type(q) if values is None and type(q) not in TRACED else q
            found[new] = found[new] + q if new in found else q
    return kind_of(found)
