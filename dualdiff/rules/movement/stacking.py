"""Equal shapes joined along a new axis, numbers among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.kinds import Primitive, Shape, Sweep, full
from dualdiff.kinds.base import ALL, Asked
from dualdiff.kinds.movement import moved_back
from dualdiff.labels import Labels
from dualdiff.register import register
from dualdiff.rules.elementwise import into
from dualdiff.rules.movement.axes import along, axis_of
from dualdiff.rules.movement.joining import joined_terms, part_of, typed
from dualdiff.rules.movement.reshaping import reshape
from dualdiff.shapes import shape_of
from dualdiff.tangents import INSTEAD, Columns
from dualdiff.values import NOTHING, bind, ndarray, operand


def _stack(*xs: Any, axis: int | None = None) -> Any:
    if xs and not _SCALARS.issuperset(map(type, xs)):
        first = xs[0]
        if type(first) is ndarray and first.ndim == 1 and axis in (None, 0, -2):  # in a third of the time
            n, dtype = len(first), first.dtype
            if all(type(x) is ndarray and x.shape == (n,) and x.dtype is dtype for x in xs):
                return np.concatenate(xs).reshape(len(xs), n)
        return np.stack(xs, axis=0 if axis is None else axis)
    return np.array(xs)


_SCALARS = frozenset(
    (float, int, bool, complex, np.float64, np.float32, np.longdouble, np.complex128, np.complex64, np.int64)
)


class Stack(Primitive):
    """Equal shapes joined along a new axis, counted from the end."""

    kind = "movement"
    on_objects = True

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
        return part_of(shape_of(args[k]), shape_of(out), along(self.axis(args, params), k))

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Join maps and coefficients, term by term."""
        if self.takes_columns(values) and all(t is None or type(t) is Columns for t in tangents):
            return run.stacked(self, tangents, values, out)
        return joined_terms(self, tangents, values, params, out)

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
    return into(typed(result, dtype, casting), out, "np.stack")


register(np.stack, "movement", stacked, primitive=stack0)
