"""Which entries a direction reaches: what the careful pass carries beside every tangent and cotangent.

A product 0·∞ is not a number. Yet √x has at x = (0, 4) no NaN off the diagonal of its Jacobian: the first direction does
not reach the second entry, and what is not there cannot be multiplied. Such zeros are *structural*: a direction that
does not reach an entry, the branch of ``where`` that was not taken, an entry overwritten. A zero that was *computed*
(2·x·dx at x = 0) is a number like any other.

Numbers do not tell the two apart. So a pass whose result is not finite is done once more, with seeds that know which
of their entries are reached: a :class:`Reached` is traced like any value, and every step a rule takes carries both
the numbers and the mask, by the answer of its kind (``Primitive.masked``). Rules know nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.containers import plain
from dualdiff.kinds import CAREFUL, Primitive, Sweep, nonzero, patterns
from dualdiff.rules.indexing import stored
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.tracer import Run, Tracer
from dualdiff.values import LEVELS, TRACED, Traced, bind, is_replayed, raw, set_class
from dualdiff.views import become, is_view, tie_view

ndarray = np.ndarray


class Reached(Tracer):
    """A tangent or cotangent whose mark says which entries are reached; the others are 0."""

    __slots__ = ()


Reached.__name__ = "TracedArray"  # the name Python's own errors show


class Reach(Run):
    """The run of one careful pass: the level of its tangents. No user's code sees them, so none outlives it, none is a key."""

    __slots__ = ("level",)

    def __init__(self) -> None:
        self.level = LEVELS.new()

    def same(self, x: Any, y: Any) -> bool:
        """Whether two tangents reach the same entries."""
        return bool(np.array_equal(x.mark, y.mark))

    def seed(self, t: Any) -> Any:
        """Return a seed that reaches the entries that are not zero; None stays None."""
        return t if t is None else Reached(np.float64(t) if type(t) is float else t, nonzero(t), self)

    def again(self, t: Any) -> Any:
        """Return a result of another careful pass as a value of this one."""
        return Reached(numbers(t), reach_of(t), self)

    # -- the run protocol --------------------------------------------------------------------------
    def process(self, row: Primitive, args: Sequence[Any], params: Any) -> Any:
        """Compute a step of a rule on the numbers, and which entries of the result are reached."""
        values: list[Any] = []
        masks: list[Any] = []
        for a in args:
            if type(a) is Reached and a.run is self:
                values.append(a.value)
                masks.append(a.mark)
            else:
                values.append(plain(a))
                masks.append(None)
        with np.errstate(all="ignore"):
            if not row.differentiable:
                return bind(row, values, params)
            out, mask = row.masked(values, masks, params)
        if dtype_of(out).kind not in "fc":
            return out
        new = Reached(out, mask, self)
        if row.view and is_view(out, values[0]):
            tie_view(new, args[0], row, params)
        return new

    def duplicate(self, x: Any) -> Any:
        """Return another array with the same numbers and mask; whoever is written first takes a copy then."""
        value = x.value
        return Reached(value.copy() if type(value) in TRACED else value, x.mark, self)

    def write(self, x: Any, index: Any, v: Any) -> None:
        """Carry out ``x[index] = v``: the entries written are reached where those of ``v`` are."""
        own = isinstance(v, Traced) and v.run is self
        value = v.value if own else plain(v)
        mask_of_v = v.mark if own else nonzero(value)
        mask = x.mark if x.run is self else nonzero(x.value)
        # A careful pass is rare and its writes may copy: nobody is asked who else holds the buffers.
        out = stored(x.value, index, value, False)
        if dtype_of(out).kind not in "fc":
            become(x, out)
            return
        mask = stored(mask, index, mask_of_v, False)
        set_class(x, Reached)
        x.value, x.mark, x.run = out, mask, self


def numbers(t: Any) -> Any:
    """Return the numbers of a tangent or cotangent, without what a careful pass knew of it."""
    if type(t) is Reached:
        if t.link is not None:
            t.link.refresh(t)
        return t.value
    return [numbers(c) for c in t] if type(t) is list else t


def reach_of(t: Any) -> Any:
    """Return which entries of a careful pass's result are reached."""
    if type(t) is Reached:
        if t.link is not None:
            t.link.refresh(t)
        return t.mark
    return nonzero(t)


def pushed(
    row: Primitive, k: int, t: Any, args: Sequence[Any], params: dict[str, Any], out: Any, variable: Sequence[bool] = ()
) -> Any:
    """Push a tangent of operand ``k``, with or without a batch axis, through one primitive the careful way.

    ``variable`` says which operands are no constants; by default all but ``k`` are.
    """
    shape = shape_of(t)
    lead = shape[: len(shape) - len(shape_of(args[k]))]
    reach = Reach()
    tangents: list[Any] = [None] * len(args)
    for j, (a, on) in enumerate(zip(args, variable)):
        if on:
            tangents[j] = reach.seed(np.zeros(lead + shape_of(a), dtype_of(a))[()])
    tangents[k] = reach.seed(t)
    token = CAREFUL.set(True)
    try:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return row.push(Sweep(lead), tangents, args, params, out)
    finally:
        CAREFUL.reset(token)


def _pattern(a: Any, t: Any) -> Any:
    return Reached(a, nonzero(a), t.run) if type(a) is ndarray and type(t) is Reached and not a.all() else a


patterns.append(_pattern)


def is_finite_everywhere(x: Any) -> bool:
    """Whether a derivative holds no NaN and no infinity (under all levels)."""
    if type(x) is not ndarray:
        if is_replayed(x):
            return bool(np.all(np.isfinite(x)))
        x = raw(x)
        if type(x) is float or type(x) is np.float64:
            return math.isfinite(x)
    if type(x) is ndarray:  # a quarter of the time that .all() takes
        return int(np.count_nonzero(np.isfinite(x))) == x.size
    return bool(np.isfinite(x).all())


def redone_if_not_finite(compute: Callable[[], Any]) -> Any:
    """Return ``compute()``; if it is not finite, the result of doing it again the careful way, where zeros are structural.

    ``compute`` returns an array, or a list of arrays with None for those that are zero.
    """
    found = compute()
    if CAREFUL.get():
        return numbers(found)
    for c in found if type(found) is list else (found,):
        if c is not None and not is_finite_everywhere(c):
            break
    else:
        return found
    token = CAREFUL.set(True)
    try:
        return numbers(compute())
    finally:
        CAREFUL.reset(token)


__all__ = ["Reach", "Reached", "numbers", "pushed", "reach_of", "redone_if_not_finite"]
