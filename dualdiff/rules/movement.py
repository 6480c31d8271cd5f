"""Functions that move entries: reshaping, transposing, joining, repeating."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.primitive import Linear, Movement, Primitive, Sweep, bind, composite, dtype_of, shape_of
from dualdiff.shapes import align, negative_axes, size_of


def _reshape(x: Any, *, shape: tuple[int, ...]) -> Any:
    return x.reshape(shape)


class Reshape(Movement):
    """``x.reshape(shape)`` in C order."""

    view = True

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return tangents[0].reshape(sweep.lead + params["shape"])

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return (g.reshape(sweep.lead + args[0].shape) if shape_of(g) != sweep.lead + args[0].shape else g,)


reshape = Reshape("np.reshape", _reshape)


class Stack(Primitive):
    """Equal shapes joined along a new first axis."""

    kind = "movement"

    def needs(self, active: tuple[bool, ...]) -> Any:
        return False, (False,) * len(active)

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        some = next(t for t in tangents if t is not None)
        shape = sweep.lead + shape_of(args[0])
        zero = None
        parts = []
        for t in tangents:
            if t is None:
                zero = np.zeros_like(some, shape=shape) if zero is None else zero
                t = zero
            parts.append(t)
        return np.stack(parts, axis=sweep.rank)

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        if not sweep.rank:
            return [g[n] if i is not None and i >= 0 else None for n, i in enumerate(ins)]
        return [g[:, n] if i is not None and i >= 0 else None for n, i in enumerate(ins)]


def _stack0(*xs: Any) -> Any:
    return np.stack(xs) if xs and shape_of(xs[0]) else np.array(xs)


stack0 = Stack("np.stack", _stack0)


def stack_scalars(items: list[Any], shape: tuple[int, ...]) -> Any:
    """Join scalars into an array of the given shape."""
    flat = bind(stack0, [i[()] if shape_of(i) == () and type(i) is np.ndarray else i for i in items], {})
    return bind(reshape, (flat,), {"shape": shape}) if len(shape) != 1 else flat


__all__ = ["Linear", "align", "composite", "dtype_of", "negative_axes", "size_of"]
