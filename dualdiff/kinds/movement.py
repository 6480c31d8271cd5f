"""Functions that only move entries, and the position maps that say where from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.kinds.base import Asked, Primitive, Shape, Sweep, is_column
from dualdiff.kinds.linear import Linear
from dualdiff.labels import OWN, Labels, grouped, written
from dualdiff.shapes import shape_of, size_of
from dualdiff.tangents import INSTEAD, Map, Terms, key_of, kind_of, map_of, spread, zeros_beside
from dualdiff.values import bind, ndarray


class Movement(Primitive):
    """A function that only moves, repeats or drops entries, or puts zeros between them.

    Its derivative is read off one run of the function on an array of positions: entry ``j`` of that
    *position map* says which entry of the operand stands at ``j`` (0 for none, otherwise one more than
    its index). Push gathers by the map, pull adds by it.
    """

    kind = "movement"
    shapes_only = True
    on_objects = True
    #: whether it may put zeros between the entries it moves
    pads = True

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        return False, (False,)

    def labels(self, k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Labels:
        return np.reshape(self.positions(shape_of(args[k]), params), -1) - 1, OWN

    def positions(self, shape: Shape, params: dict[str, Any]) -> Any:
        """Return the position map: one plus the flat operand index of every result entry, 0 where none."""
        return self.fn(np.arange(1, size_of(shape) + 1).reshape(shape), **params)

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        (t,) = tangents
        if not sweep.lead:
            return bind(self, (t,), params)
        shape = shape_of(args[0])
        return gather(t, len(shape), self.positions(shape, params))

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        x = args[0]
        position = self.positions(shape_of(x), params)
        return (scatter(g, position.ndim, position, shape_of(x)),)

    # -- terms -----------------------------------------------------------------------------------
    moves = True

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        return moved(self, tangents[0], values[0], params)

    def pull_terms(
        self, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any, aligned: bool
    ) -> Any:
        return moved_back(self, g, ins, args, params, out)

    def forecast(self, asked: Asked) -> Any:
        (terms,) = asked.live
        if not asked.shape:
            return asked.at(terms)
        what = (self.name, _said(asked.params))
        if asked.is_columns and not self.pads:
            return terms
        return asked.few(frozenset(t if is_column(t) and not self.pads else (what, t) for t in terms))


def moved(row: Any, terms: Any, x: Any, params: Any) -> Any:
    """Move maps and coefficients."""
    found = Terms()
    shape = shape_of(x)
    for key, c in terms.items():
        if type(key) is int and not row.pads:
            new: Any = key
        else:
            new = key_of(row.fn(map_of(key, shape), **params))
            if new is None:
                continue
        if shape_of(c):
            c = bind(row, (spread(c, shape),), params)
        found[new] = found[new] + c if new in found else c
    return kind_of(found)


def moved_back(
    row: Any, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
) -> list[Any]:
    """Put each entry's rows where the entry was taken from, operand by operand."""
    return [None if i is None or i < 0 else _moved_back(row, g, k, args, params, out) for k, i in enumerate(ins)]


def _moved_back(row: Any, g: Any, k: int, args: Sequence[Any], params: Any, out: Any) -> Any:
    """Put each entry's rows where the entry was taken from, if none was taken twice."""
    shape = shape_of(args[k])
    size = size_of(shape)
    labels, own = row.labels(k, args, params, out)
    if own is not OWN:
        return INSTEAD
    if labels is not OWN:
        labels = written(labels, size_of(shape_of(out)))
        inside = labels >= 0
        labels = labels[inside]
        if labels.size and np.bincount(labels).max() > 1:
            return INSTEAD
    found = Terms()
    for key, c in g.items():
        at = np.reshape(map_of(key, shape_of(out)), -1)
        values = np.reshape(spread(c, shape_of(out)), -1) if shape_of(c) else c
        if labels is OWN:
            positions = at
        else:
            positions = np.zeros(size, at.dtype)
            positions[labels] = at[inside]
            if shape_of(values):
                whole = zeros_beside((values,), (size,), values.dtype)
                whole[labels] = values[inside]
                values = whole
        new = Map(positions.reshape(shape))
        values = values.reshape(shape) if shape_of(values) else values
        found[new] = found[new] + values if new in found else values
    return found


def _said(params: dict[str, Any]) -> Any:
    """Return a name for parameters: equal names mean equal parameters."""
    if not params:
        return ""
    for v in params.values():
        if hasattr(v, "dtype") or (type(v) is tuple and any(hasattr(i, "dtype") for i in v)):
            return id(v)
    return repr(params)


# --------------------------------------------------------------------------------------------------
# position maps


def gather(t: Any, rank: int, position: Any) -> Any:
    """Pick entries of the last ``rank`` axes of ``t`` by a position map (0 picks a zero)."""
    lead, tail = shape_of(t)[: len(shape_of(t)) - rank], shape_of(t)[len(shape_of(t)) - rank :]
    flat = np.reshape(t, (*lead, size_of(tail)))
    if position.size == 0:
        return np.zeros_like(t, shape=lead + position.shape)
    if position.min() == 0:
        flat = np.concatenate([np.zeros_like(flat, shape=(*lead, 1)), flat], axis=-1)
        return flat[..., position]
    return flat[..., position - 1]


def scatter(g: Any, rank: int, position: Any, shape: Shape) -> Any:
    """Add entries of the last ``rank`` axes of ``g`` to where a position map took them from."""
    lead = shape_of(g)[: len(shape_of(g)) - rank]
    n = size_of(shape)
    flat = np.reshape(g, (*lead, position.size))
    return np.reshape(scatter_add(flat, position=position.reshape(-1), size=n + 1)[..., 1:], lead + shape)


def _scatter_add(g: Any, *, position: Any, size: int) -> Any:
    """Sum ``g[..., j]`` into entry ``position[j]`` of a new last axis of length ``size``."""
    return sum_into(np.zeros_like(g, shape=(*g.shape[:-1], size)), position, g)


def sum_into(out: Any, position: Any, g: Any) -> Any:
    """Add ``g[..., j]`` to ``out[..., position[j]]``, however often a position occurs; return ``out``."""
    if position.size == 0:
        return out
    if _distinct(position, out.shape[-1]):
        out[..., position] += g
    elif type(out) is ndarray and type(g) is ndarray and out.ndim == 1:
        np.add.at(out, position, g)
    else:
        # Sum what goes to one place first: add.at costs ten times as much on more than one axis.
        order = np.argsort(position, kind="stable")
        ordered = position[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        out[..., ordered[starts]] += add_runs(g[..., order], starts=starts)
    return out


def _distinct(position: Any, size: int) -> bool:
    """Whether no position occurs twice; a few among many are not worth a count of all."""
    if position.size == 1:
        return True
    if size > 1 << 12 and 16 * position.size < size:
        ordered = np.sort(position)
        return bool((ordered[1:] != ordered[:-1]).all())
    return bool(np.bincount(position).max() <= 1)


def _add_runs(g: Any, *, starts: Any) -> Any:
    """Sum the runs of the last axis that begin at ``starts``."""
    return np.add.reduceat(g, starts, axis=-1)


add_runs = Linear(
    "np.add.reduceat",
    _add_runs,
    pull=lambda g, x, *, starts: np.repeat(g, np.diff(starts, append=x.shape[-1]), axis=-1),
    joins=lambda k, args, params, out: grouped(
        np.searchsorted(params["starts"], np.arange(shape_of(args[0])[-1]), side="right") - 1,
        len(params["starts"]),
        shape_of(args[0]),
    ),
)


scatter_add = Linear(
    "scatter_add",
    _scatter_add,
    pull=lambda g, x, *, position, size: g[..., position],
    joins=lambda k, args, params, out: grouped(params["position"], params["size"], shape_of(args[0])),
)
