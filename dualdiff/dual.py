"""Dual numbers: a value and its ``k`` directions, ε² = 0.

``Dual(v, t)`` stands for v + ε·t. Every primitive maps it to f(v) + ε·f'(v)·t, and the engine's ``push``
is that map; a function of plain NumPy run on duals returns ``k`` columns of its Jacobian at once.

A tangent is usually one array with the directions in front. Two other forms spare known zeros, since a
Jacobian starts from the identity: :class:`OneHot`, a position map (each entry has one direction, with
coefficient one), and :class:`Columns`, an array per *active* direction (each of ten curve parameters
enters one term). Whatever does not know them gets the array.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.errors import EscapedValueError, where
from dualdiff.primitive import (
    LEVELS,
    TRACED,
    Elementwise,
    Movement,
    Primitive,
    Sweep,
    Traced,
    bind,
    container,
    full,
    operand,
)
from dualdiff.rules.indexing import getitem, stored, stored_tangent
from dualdiff.rules.movement import stack0
from dualdiff.shapes import FLOAT64, SOLE, dtype_of, shape_of
from dualdiff.tracer import Tracer, become, is_view, is_whole, plain, tie_view

ndarray = np.ndarray
float64 = np.float64
array = np.array
NOTHING: dict[str, Any] = {}
_SCALARS = frozenset((float, np.float64))
_NUMBERS = frozenset((float, np.float64, int))
PLAIN_TYPES = frozenset((float, complex, np.float64, np.float32, np.longdouble, np.complex64, np.complex128, ndarray))


def _alike(a: Any, out: Any) -> bool:
    """Whether an operand and a result are both float64 scalars, or both float64 arrays of one shape: nothing to align."""
    kind = type(out)
    if kind in _SCALARS:
        return type(a) in _SCALARS
    return (
        kind is ndarray and type(a) is ndarray and a.shape == out.shape and a.dtype is FLOAT64 and out.dtype is FLOAT64
    )


def _coefficient(q: Any, values: Sequence[Any], out: Any) -> Any:
    """Return a partial that may stand as a tangent: of the result's dtype, and in memory of its own.

    Integers overflow and truths do not add; and a partial that is an operand itself users may write into.
    """
    kind = type(q)
    if kind is float or kind is float64:
        return q
    if kind is ndarray or kind in TRACED:
        dtype = dtype_of(out)
        if q.dtype is not dtype and q.dtype != dtype:
            return q.astype(dtype)
        return q.copy() if q is values[0] or q is values[-1] else q
    return dtype_of(out).type(q)


class OneHot:
    """The tangent of inputs that nothing has happened to: entry by entry, one plus its direction (0 for none)."""

    __slots__ = ("positions",)

    def __init__(self, positions: Any) -> None:
        self.positions = positions


class Columns(dict[int, Any]):
    """The tangent of a value that few directions reach: direction -> array that broadcasts to the value's shape."""

    __slots__ = ()


ONE = 1.0
"""The coefficient of a seed: known by identity, so that multiplying by it costs nothing."""
MOST_COLUMNS = 32
"""A tangent that more directions reach becomes one array: a loop over directions in Python costs more."""
MOST_COLUMNS_OF_SCALARS = 8


class Dual(Tracer):
    """A value with a tangent: its mark has the batch of directions in front, then the value's shape."""

    __slots__ = ()


Dual.__name__ = "TracedArray"  # the name Python's own errors show


class Pushing(Sweep):
    """One forward run: the level its duals belong to, and the batch of directions they carry."""

    __slots__ = ("level", "open", "single")

    def __init__(self, lead: tuple[int, ...], careful: bool = False) -> None:
        super().__init__(lead, careful)
        self.single = Sweep((), careful) if lead else self
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
        t = self.push(row, tangents, values, params, out)
        if t is None:  # piecewise constant; the user may go on to store traced values in it
            return container(out) if type(out) is ndarray and out.dtype.kind in "fc" else out
        new = Dual(out, t, self)
        if row.view and is_view(out, values[0]):
            tie_view(new, args[0], row, params)
        return new

    def push(self, row: Primitive, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
        """Push tangents of any form through a primitive."""
        special = False
        for t in tangents:
            kind = type(t)
            if kind is Columns or kind is OneHot:
                special = True
                break
        if special:
            if type(tangents[0]) is OneHot and isinstance(row, Movement) and len(tangents) == 1:
                positions = row.fn(tangents[0].positions, **params)
                if shape_of(positions):
                    return OneHot(positions)
                return Columns(((int(positions) - 1, ONE),)) if positions else Columns()
            if all(t is None or type(t) is Columns for t in tangents):
                if row.plain:
                    new = self._few(out, self._push_columns(row, tangents, values, out))  # type: ignore[arg-type]
                    return new.mark if type(new) is Dual else None
                if row is stack0 and not shape_of(values[0]):
                    return self._stack_columns(tangents, values, out)
            tangents = [self.dense(t, v) for t, v in zip(tangents, values)]
        return row.push(self, tangents, values, params, out)

    def _push_columns(self, row: Elementwise, tangents: Sequence[Any], values: Sequence[Any], out: Any) -> Columns:
        """Push each active direction by itself; a partial is computed once for all of them."""
        found = Columns()
        mul = self.mul
        for p, columns in zip(row.partials, tangents):
            if not columns or p == 0:
                continue
            q = p if type(p) is int else _coefficient(row.partial(p, out, values), values, out)
            for d, t in columns.items():
                if type(p) is int:
                    c = t if p == 1 else -t
                else:
                    c = q if t is ONE else mul(t, q)
                found[d] = found[d] + c if d in found else c
        return found

    def _one(self, row: Elementwise, p: Any, columns: Columns, out: Any, values: Sequence[Any]) -> Any:
        """Push the active directions of the only operand that has any."""
        found = Columns()  # filled in a loop: a third of the time of building it from a list of pairs
        if type(p) is int:
            if p == 1:
                return Dual(out, columns, self)
            if p == 0:
                return out
            for d, t in columns.items():
                found[d] = -t
        elif columns:
            q = row.partial(p, out, values) if row.singular else p(out, *values)
            if type(q) is not float64:
                q = _coefficient(q, values, out)
            for d, t in columns.items():
                found[d] = q if t is ONE else self.mul(t, q)
        return Dual(out, found, self)

    def _few(self, out: Any, columns: Columns) -> Any:
        """Return a dual with these columns, as one array if they are many."""
        if len(columns) > MOST_COLUMNS_OF_SCALARS and (
            len(columns) > MOST_COLUMNS or not (type(out) is ndarray and out.size > 64)
        ):
            return Dual(out, self.dense(columns, out), self)
        return Dual(out, columns, self)

    def item(self, x: Any, i: int) -> Any:
        """Return entry ``i`` of a vector: the short way to a parameter."""
        t = x.mark
        if type(t) is not OneHot or (x.link is not None and x.link.is_stale()):
            return bind(getitem, (x,), {"index": i})
        out = x.value[i]
        p = t.positions.item(i)
        # Without a direction in this chunk it is traced all the same: a function must not see which are asked for.
        columns = Columns()
        if p:
            columns[p - 1] = ONE
        return Dual(out, columns, self)

    def _stack_columns(self, tangents: Sequence[Any], values: Sequence[Any], out: Any) -> Any:
        """Stack scalars with few directions each into one array of directions."""
        entries = [(d, j, t) for j, columns in enumerate(tangents) if columns for d, t in columns.items()]
        if any(type(t) in TRACED for _, _, t in entries) or type(out) is not ndarray:
            return stack0.push(self, [self.dense(t, v) for t, v in zip(tangents, values)], values, NOTHING, out)
        t = np.zeros((len(out), *self.lead), out.dtype)
        for d, j, c in entries:
            t[j, d] = c
        return t.T

    def dense(self, t: Any, value: Any) -> Any:
        """Return a tangent of any form as one array with the directions in front."""
        kind = type(t)
        if kind is OneHot:
            flat = t.positions.reshape(-1)
            eye = np.zeros((*self.lead, flat.size), dtype_of(value))
            at = np.flatnonzero(flat)
            eye[flat[at] - 1, at] = 1
            return eye.reshape(self.lead + t.positions.shape)
        if kind is Columns:
            if type(value) not in PLAIN_TYPES or not TRACED.isdisjoint(map(type, t.values())):
                zero = np.zeros_like(value)
                return np.stack([full(t[d], self.single, value) if d in t else zero for d in range(self.lead[0])])
            whole = (np.empty if len(t) == self.lead[0] else np.zeros)(self.lead + shape_of(value), dtype_of(value))
            for d, c in t.items():
                whole[d] = c
            return whole
        return t

    def _times(self, t: Any, p: Any) -> Any:
        # NumPy multiplies an array by a 0-d array three times as fast as by a scalar.
        return t * array(p) if self.lead and type(p) is float64 else t * p

    def unary(self, row: Any, x: Any) -> Any:
        """Push through one elementwise operation of one operand: the short way for Python operators."""
        if x.link is not None and x.link.is_stale():
            return bind(row, (x,), NOTHING)
        if not self.open:
            self._check_open()
        a, s = x.value, x.mark
        out = row.op(a)
        if type(s) is Columns and row.plain:
            return self._one(row, row.partials[0], s, out, (a,))
        if type(s) is Columns or type(s) is OneHot:
            t = self.push(row, (s,), (a,), NOTHING, out)
            return out if t is None else Dual(out, t, self)
        if (
            self.careful
            or not _alike(a, out)
            or type(row) is not Elementwise
            or row.wirtinger is not None
            or row.singular
        ):
            t = row.push(self, (s,), (a,), NOTHING, out)
            return out if t is None else Dual(out, t, self)
        (p,) = row.partials
        if type(p) is not int:
            return Dual(out, self._times(s, row.partial(p, out, (a,))), self)
        return Dual(out, s if p == 1 else -s, self) if p else out

    def binary(self, row: Any, x: Any, y: Any) -> Any:
        """Push through one elementwise operation of two operands: the short way for operators and ufuncs."""
        if type(x) is Dual and x.run is self and (x.link is None or not x.link.is_stale()):
            a, s = x.value, x.mark
        elif type(x) in _NUMBERS or (type(x) is ndarray and x.dtype.char != "O"):
            a, s = x if type(x) is not ndarray or x.shape else x[()], None
        else:
            return bind(row, (operand(x), operand(y)), NOTHING)
        if type(y) is Dual and y.run is self and (y.link is None or not y.link.is_stale()):
            b, t = y.value, y.mark
        elif type(y) in _NUMBERS or (type(y) is ndarray and y.dtype.char != "O"):
            b, t = y if type(y) is not ndarray or y.shape else y[()], None
        else:
            return bind(row, (operand(x), operand(y)), NOTHING)
        if not self.open:
            self._check_open()
        out = row.op(a, b)
        if row.plain and (type(s) is Columns or type(t) is Columns):
            if t is None:
                return self._one(row, row.partials[0], s, out, (a, b))
            if s is None:
                return self._one(row, row.partials[1], t, out, (a, b))
            if type(s) is type(t):
                return self._few(out, self._push_columns(row, (s, t), (a, b), out))
        if type(s) is Columns or type(t) is Columns or type(s) is OneHot or type(t) is OneHot:
            u = self.push(row, (s, t), (a, b), NOTHING, out)
            return out if u is None else Dual(out, u, self)
        if (
            self.careful
            or type(row) is not Elementwise
            or row.singular
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
            s = t if s is None else s if t is None else s + t
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
        return Dual(value.copy() if type(value) in TRACED else value, t.copy() if type(t) in TRACED else t, self)

    def write(self, x: Any, index: Any, v: Any) -> None:
        """Carry out ``x[index] = v``, in the buffers of ``x`` where nobody else holds them."""
        self._check_open()
        if type(v) is Dual and v.run is self and is_whole(x, index, v):
            object.__dict__["__class__"].__set__(x, Dual)
            x.value, x.mark, x.run = v.value, v.mark, self  # whoever is written first takes a copy then
            return
        if isinstance(v, Traced) and v.run is self:
            value, tv = v.value, self.dense(v.mark, v.value)
        else:
            value, tv = plain(v), None
        tx = self.dense(x.mark, x.value) if x.run is self else None
        buffer = x.value
        x.value = x.mark = None
        sole, sole_tangent = sys.getrefcount(buffer) <= SOLE, sys.getrefcount(tx) <= SOLE
        try:
            out = stored(buffer, index, value, sole)
        except BaseException:
            x.value, x.mark = buffer, tx
            raise
        if dtype_of(out).kind not in "fc":  # what an array of integers takes is truncated, and has no derivative
            become(x, out)
            return
        t = stored_tangent(tx, tv, index, self.lead, out, value, sole_tangent)
        object.__dict__["__class__"].__set__(x, Dual)
        x.value, x.mark, x.run = out, t, self
