"""Dual numbers: a value and its ``k`` directions, ε² = 0.

``Dual(v, t)`` stands for v + ε·t. Every primitive maps it to f(v) + ε·f'(v)·t, and the engine's ``push``
is that map; a function of plain NumPy run on duals returns ``k`` columns of its Jacobian at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.errors import EscapedValueError, where
from dualdiff.primitive import LEVELS, Elementwise, Primitive, Sweep, Traced, bind
from dualdiff.rules.indexing import setitem, setitem_at
from dualdiff.shapes import FLOAT64, SOLE, shape_of
from dualdiff.tracer import Tracer, is_view, operand, plain, tie_view

ndarray = np.ndarray
float64 = np.float64
array = np.array
NOTHING: dict[str, Any] = {}
_SCALARS = frozenset((float, np.float64))
_NUMBERS = frozenset((float, np.float64, int))


def _alike(a: Any, out: Any) -> bool:
    """Whether an operand and a result are both float64 scalars, or both float64 arrays of one shape: nothing to align."""
    kind = type(out)
    if kind in _SCALARS:
        return type(a) in _SCALARS
    return kind is ndarray and type(a) is ndarray and a.shape == out.shape and a.dtype is FLOAT64 and out.dtype is FLOAT64


class Dual(Tracer):
    """A value with a tangent: its mark has the batch of directions in front, then the value's shape."""

    __slots__ = ()


class Pushing(Sweep):
    """One forward run: the level its duals belong to, and the batch of directions they carry."""

    __slots__ = ("level", "open")

    def __init__(self, lead: tuple[int, ...], careful: bool = False) -> None:
        super().__init__(lead, careful)
        self.level = LEVELS.new()
        self.open = True

    def _check_open(self) -> None:
        if not self.open:
            raise EscapedValueError(
                f"{where()}: a value under differentiation outlived the operator that made it (it was stored outside "
                "the function). Return it from the function instead."
            )

    def process(self, row: Primitive, args: Sequence[Any], params: Any) -> Any:
        """Compute a primitive on the values, then push the tangents through it."""
        self._check_open()
        values, tangents = [], []
        for a in args:
            if type(a) is Dual and a.run is self:
                values.append(a.value)
                tangents.append(a.mark)
            else:
                values.append(plain(a))
                tangents.append(None)
        out = bind(row, values, params)
        t = row.push(self, tangents, values, params, out)
        if t is None:
            return out
        new = Dual(out, t, self)
        if row.view and is_view(out, values[0]):
            tie_view(new, args[0], row, params)
        return new

    def _times(self, t: Any, p: Any) -> Any:
        # NumPy multiplies an array by a 0-d array three times as fast as by a scalar.
        return t * array(p) if self.lead and type(p) is float64 else t * p

    def unary(self, row: Any, x: Any) -> Any:
        """Push through one elementwise operation of one operand: the short way for Python operators."""
        if x.link is not None:
            return bind(row, (x,), NOTHING)
        self._check_open()
        a, s = x.value, x.mark
        out = row.op(a)
        if self.careful or not _alike(a, out) or type(row) is not Elementwise or row.wirtinger is not None:
            t = row.push(self, (s,), (a,), NOTHING, out)
            return out if t is None else Dual(out, t, self)
        (p,) = row.partials
        if type(p) is not int:
            return Dual(out, self._times(s, row.partial(p, out, (a,))), self)
        return Dual(out, s if p == 1 else -s, self) if p else out

    def binary(self, row: Any, x: Any, y: Any) -> Any:
        """Push through one elementwise operation of two operands: the short way for operators and ufuncs."""
        if type(x) is Dual and x.run is self and x.link is None:
            a, s = x.value, x.mark
        elif type(x) in _NUMBERS or (type(x) is ndarray and x.dtype.char != "O"):
            a, s = x if type(x) is not ndarray or x.shape else x[()], None
        else:
            return bind(row, (operand(x), operand(y)), NOTHING)
        if type(y) is Dual and y.run is self and y.link is None:
            b, t = y.value, y.mark
        elif type(y) in _NUMBERS or (type(y) is ndarray and y.dtype.char != "O"):
            b, t = y if type(y) is not ndarray or y.shape else y[()], None
        else:
            return bind(row, (operand(x), operand(y)), NOTHING)
        self._check_open()
        out = row.op(a, b)
        if (
            self.careful
            or type(row) is not Elementwise
            or (s is not None and not _alike(a, out))
            or (t is not None and not _alike(b, out))
        ):
            u = row.push(self, (s, t), (a, b), NOTHING, out)
            return out if u is None else Dual(out, u, self)
        p, q = row.partials
        if s is not None:
            s = (s if p == 1 else -s if p else None) if type(p) is int else self._times(s, row.partial(p, out, (a, b)))
        if t is not None:
            t = (t if q == 1 else -t if q else None) if type(q) is int else self._times(t, row.partial(q, out, (a, b)))
            if s is not None:
                return Dual(out, s + t, self)
            s = t
        return out if s is None else Dual(out, s, self)

    def leave(self, x: Any) -> Any:
        """Let the plain value out to Python: forward mode needs no record of it."""
        if x.link is not None:
            x.link.refresh(x)
        value = x.value
        return value.run.leave(value) if isinstance(value, Traced) else value

    def duplicate(self, x: Any) -> Any:
        """Return another array with the same value and tangent; whoever is written first takes a copy then."""
        value, t = x.value, x.mark
        return Dual(
            value.copy() if isinstance(value, Traced) else value, t.copy() if isinstance(t, Traced) else t, self
        )

    def write(self, x: Any, index: Any, v: Any) -> None:
        """Carry out ``x[index] = v``, in the buffers of ``x`` where nobody else holds them."""
        self._check_open()
        shape = shape_of(x)
        if isinstance(v, Traced) and v.run is self:
            value, tv = v.value, v.mark
        else:
            value, tv = plain(v), None
        tx = x.mark if x.run is self else None
        buffer = x.value
        x.value = x.mark = None
        try:
            if isinstance(buffer, Traced) or isinstance(value, Traced):
                out = bind(setitem, (buffer, value), {"index": index})
            else:
                out = buffer
                mine = sys.getrefcount(buffer) <= SOLE + 1 and type(buffer) is ndarray and buffer.base is None
                if not (mine and buffer.flags.writeable):
                    out = np.array(buffer)
                out[index] = value
        except BaseException:
            x.value, x.mark = buffer, tx
            raise
        t = setitem_at(tx, tv, index, self.lead, shape, out, value)
        object.__dict__["__class__"].__set__(x, Dual)
        x.value, x.mark, x.run = out, t, self
