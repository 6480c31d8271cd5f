"""Functions that only move entries, and the position maps that say where from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.kinds.base import Primitive, Shape, Sweep
from dualdiff.kinds.linear import Linear
from dualdiff.labels import OWN, Labels, grouped
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import bind, ndarray


class Movement(Primitive):
    """A function that only moves, repeats or drops entries, or puts zeros between them.

    Its derivative is read off one run of the function on an array of positions: entry ``j`` of that
    *position map* says which entry of the operand stands at ``j`` (0 for none, otherwise one more than
    its index). Push gathers by the map, pull adds by it.
    """

    kind = "movement"
    shapes_only = True
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
