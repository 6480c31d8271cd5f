"""Entries that stand for many."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.kinds import Movement, Shape, Sweep
from dualdiff.labels import Labels, broadcast
from dualdiff.register import composite, register
from dualdiff.rules.movement.axes import ints
from dualdiff.rules.movement.reshaping import as_array
from dualdiff.shapes import align, shape_of, sum_to_shape
from dualdiff.values import bind, operand


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
