"""Dual numbers: a value and its ``k`` directions, ε² = 0.

``Dual(v, t)`` stands for v + ε·t. Every primitive maps it to f(v) + ε·f'(v)·t, and the engine's ``push``
is that map; a function of plain NumPy run on duals returns ``k`` columns of its Jacobian at once.

A tangent is usually one array with the directions in front. Since a Jacobian starts from the identity, most of its
entries are known zeros, and two other forms spare them: the terms of :mod:`dualdiff.tangents`. Whatever does not know
them gets the array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.containers import plain
from dualdiff.errors import OUTLIVED, EscapedValueError, where
from dualdiff.kinds import Elementwise, Primitive, Sweep, full
from dualdiff.kinds.local import linked
from dualdiff.ownership import SOLE, holders
from dualdiff.reach import Reach, Reached, numbers
from dualdiff.rules.indexing import getitem, stored, stored_tangent
from dualdiff.shapes import FLOAT64, dtype_of, shape_of, size_of
from dualdiff.tangents import (
    DENSE,
    INSTEAD,
    MERGED_FROM,
    MOST_COLUMNS_OF_SCALARS,
    ONE,
    Columns,
    Map,
    Scaled,
    Terms,
    coefficient,
    is_few,
    kind_of,
    merged,
    places_reached,
    settled,
    store,
    whole,
    zeros_beside,
)
from dualdiff.tracer import Run, Tracer, is_same
from dualdiff.values import (
    LEVELS,
    NOTHING,
    NUMBERS,
    PLAIN_TYPES,
    TRACED,
    Traced,
    bind,
    container,
    is_array,
    operand,
    set_class,
)
from dualdiff.views import become, is_view, is_whole, note_root, tie_view

ndarray = np.ndarray
float64 = np.float64
array = np.array
_SCALARS = frozenset((float, np.float64))
_TERMS_OR_NONE = frozenset((Terms, Columns, type(None)))


def _alike(a: Any, out: Any) -> bool:
    """Whether an operand and a result are both float64 scalars, or both float64 arrays of one shape: nothing to align."""
    kind = type(out)
    if kind in _SCALARS:
        return type(a) in _SCALARS
    return (
        kind is ndarray and type(a) is ndarray and a.shape == out.shape and a.dtype is FLOAT64 and out.dtype is FLOAT64
    )


def _plus(a: Any, b: Any) -> Any:
    """Add two coefficients of one direction."""
    a = a.array * a.factor if type(a) is Scaled else a
    return a + (b.array * b.factor if type(b) is Scaled else b)


def _negated(t: Any) -> Any:
    if type(t) in NUMBERS:
        return -t
    if type(t) is Scaled:
        return Scaled(-t.factor, t.array)
    return Scaled(-1.0, t) if type(t) is ndarray and t.ndim and t.dtype is FLOAT64 else -t


class CrowdedError(Exception):
    """Inside the engine: a run of all directions at once met a tangent that is not sparse; another way must serve."""


class Dual(Tracer):
    """A value with a tangent: its mark has the batch of directions in front, then the value's shape."""

    __slots__ = ()


Dual.__name__ = "TracedArray"  # the name Python's own errors show


class Pushing(Run, Sweep):
    """One forward run: the level its duals belong to, and the batch of directions they carry."""

    __slots__ = ("keys", "level", "most", "notes", "open", "reach", "single")

    def __init__(self, lead: tuple[int, ...], most: int | None = None) -> None:
        super().__init__(lead)
        self.most = most
        self.single = Sweep(()) if lead else self
        self.reach = Reach() if self.careful else None
        self.level = LEVELS.new()
        self.open = True
        self.keys: dict[int, Any] | None = None
        self.notes: list[Any] = []

    def _check_open(self) -> None:
        if not self.open:
            raise EscapedValueError(f"{where()}: {OUTLIVED}")

    def close(self) -> None:
        """End the run: what still points here afterwards has escaped."""
        self.open = False
        self.keys = self.keys and dict.fromkeys(self.keys)  # known as keys for ever, kept by nobody

    def same(self, x: Any, y: Any) -> bool:
        """Whether two duals of this run have one tangent."""
        return is_same(self.dense(x.mark, x.value), self.dense(y.mark, y.value))

    def start(self, x: Any, t: Any) -> Any:
        """Return an input with its seed (None for none; it is traced all the same: a function must not see which are asked for)."""
        if t is None:
            shape = self.lead + shape_of(x)
            t = np.zeros_like(x, shape=shape) if shape else 0.0
        if self.reach is not None and not isinstance(t, Terms):
            t = self.reach.seed(t)
        return Dual(x, t, self)

    def finished(self, x: Any) -> Any:
        """Return the tangent of a result, the numbers only."""
        t = x.mark
        return t if self.reach is None or isinstance(t, Terms) else numbers(t)

    def reached(self, t: Any, mask: Any) -> Any:
        """Return the tangent of a careful run whose directions reach the entries of a mask."""
        return Reached(t, mask, self.reach)

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
        elif row.under is not None and not row.plain:
            note_root(row, new, args, params)
        return new

    def push(self, row: Primitive, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
        """Push tangents of any form through a primitive."""
        if not row.differentiable:
            return None
        for t in tangents:
            if isinstance(t, Terms):
                found = self._push_terms(row, tangents, values, params, out)
                if found is not INSTEAD:
                    return found
                tangents = [self.dense(t, v) for t, v in zip(tangents, values)]
                break
        return row.push(self, tangents, values, params, out)

    def _push_terms(self, row: Primitive, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
        """Push tangents of which some are terms, as far as terms serve."""
        kinds = set(map(type, tangents))
        if not kinds <= _TERMS_OR_NONE or dtype_of(out).kind not in "fc":
            return INSTEAD
        # What is only moved stays as it is: a small part may go back into something large.
        small = self.lead[0] * size_of(shape_of(out)) <= DENSE and shape_of(out)
        if small and Terms in kinds and not row.moves:
            return INSTEAD
        if row.linked and self.most is not None:
            found = linked(self, row, tangents, values, params, out)
            if found is not None:
                return self._few(out, found)
        operands = [t if t is None else settled(t) for t in tangents]
        if row.plain and not self.careful:
            return self._push_plain(row, operands, values, out, Columns if Terms not in kinds else Terms)
        if Terms not in kinds and not row.takes_columns(values):
            found = self._active(row, operands, values, params, out)
            if found is not INSTEAD:
                return found
        found = row.terms(self, operands, values, params, out)
        return found if row.moves and type(found) is Columns else self._few(out, found)

    def _push_plain(self, row: Any, tangents: Sequence[Any], values: Sequence[Any], out: Any, kind: Any) -> Any:
        """Push terms through an elementwise function; of one operand alone they stay as many as they are."""
        live = [n for n, t in enumerate(tangents) if t is not None]
        alone = len(live) == 1
        if alone and row.partials[live[0]] == 0:
            return None
        found = row.scaled(tangents, values, out, kind())
        if alone and (kind is Columns or shape_of(values[live[0]]) == shape_of(out)):
            return found
        return self._few(out, kind_of(found))

    def _active(self, row: Primitive, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
        """Push only the directions that reach the operands, through a primitive of any kind."""
        active = sorted({d for t in tangents if t for d in t})
        if self.careful or not active or 2 * len(active) > self.lead[0] or not is_array(out) or not out.ndim:
            return INSTEAD
        if any(type(v) not in PLAIN_TYPES and type(v) not in TRACED for v in values):
            return INSTEAD
        place = {d: i for i, d in enumerate(active)}
        packed: list[Any] = []
        for t, v in zip(tangents, values):
            if not t:
                packed.append(None)
                continue
            some = zeros_beside(t.values(), (len(active), *shape_of(v)), dtype_of(v))
            for d, c in t.items():
                some[place[d]] = c
            packed.append(some)
        found = row.push(Sweep((len(active),)), packed, values, params, out)
        return None if found is None else Columns(zip(active, found))

    def _one(self, row: Elementwise, p: Any, columns: Any, out: Any, values: Sequence[Any]) -> Any:
        """Push the active directions of the only operand that has any."""
        if type(p) is int:
            if p == 1:
                return Dual(out, columns, self)
            if p == 0:
                return out
        found = type(columns)()
        if columns:
            self._scaled(row, p, columns, out, values, found)
        return Dual(out, found, self)

    def _both(self, row: Elementwise, s: Columns, t: Columns, out: Any, values: Sequence[Any]) -> Any:
        """Push the active directions of two operands."""
        p, q = row.partials
        found = Columns(s) if type(p) is int and p == 1 else Columns()
        if not found and p != 0:
            self._scaled(row, p, s, out, values, found)
        if type(q) is int and q == 1 and found.keys().isdisjoint(t):
            found.update(t)
        elif q != 0:
            self._scaled(row, q, t, out, values, found)
        return Dual(out, found if len(found) <= MOST_COLUMNS_OF_SCALARS else self._few(out, found), self)

    def _scaled(self, row: Elementwise, p: Any, columns: Any, out: Any, values: Sequence[Any], found: Any) -> None:
        """Add to ``found`` the terms of one operand times its partial."""
        if type(p) is int:
            for d, t in columns.items():
                c = t if p == 1 else _negated(t)
                found[d] = _plus(found[d], c) if d in found else c
            return
        if type(out) is float64 and not row.singular:  # the short way of scalar code
            q = p(out, *values)
            if type(q) is not float64:
                q = coefficient(q, values, out)
            for d, t in columns.items():
                c = q if t is ONE else t * q
                found[d] = found[d] + c if d in found else c
            return
        if row.singular:
            with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
                self._times_partial(p(out, *values), columns, out, values, found)
        else:
            self._times_partial(p(out, *values), columns, out, values, found)

    def _times_partial(self, q: Any, columns: Any, out: Any, values: Sequence[Any], found: Any) -> None:
        number = type(q) is float64
        if not number and (type(q) is not ndarray or q.dtype is not FLOAT64 or dtype_of(out) is not FLOAT64):
            q = coefficient(q, values, out)
        for d, t in columns.items():
            kind = type(t)
            if t is ONE:
                c = q.copy() if type(q) is ndarray and (q is values[0] or q is values[-1]) else q
            elif kind is Scaled:
                c = Scaled(q * t.factor, t.array) if number else Scaled(t.factor, t.array * q)
            elif kind is ndarray:  # the array first: NumPy is slower where a number leads
                c = Scaled(q, t) if number and t.ndim and t.dtype is FLOAT64 else t * q
            else:
                c = q * t
            found[d] = _plus(found[d], c) if d in found else c

    def _few(self, out: Any, found: Any) -> Any:
        """Return terms as they are; merged, or as one array, if they are many. Any other form stays as it is."""
        if not isinstance(found, Terms):
            return found
        mapped = type(found) is Terms
        count = len(found)
        if count < 3 or (not mapped and count <= MOST_COLUMNS_OF_SCALARS):
            return found
        k, size = self.lead[0], size_of(shape_of(out))
        if not is_few(count, size, k, mapped):
            return self.dense(found, out)
        if mapped and count > MERGED_FROM:
            found = merged(found, shape_of(out), dtype_of(out))
            if 2 * len(found) > count and len(found) > MERGED_FROM:
                return self.dense(found, out)
        return found

    def item(self, x: Any, i: int) -> Any:
        """Return entry ``i`` of a vector: the short way to a parameter."""
        t = x.mark
        if type(t) is not Terms or (x.link is not None and x.link.is_stale()):
            return bind(getitem, (x,), {"index": i})
        if not self.open:
            self._check_open()
        out = x.value[i]
        # Without a direction in this chunk it is traced all the same: a function must not see which are asked for.
        columns = Columns()
        if len(t) == 1:
            for key, c in t.items():
                if c is ONE:  # an entry of the arguments themselves
                    p = key.positions.item(i)
                    if p:
                        columns[p - 1] = ONE
                    return Dual(out, columns, self)
        for key, c in t.items():
            if type(c) is Scaled:
                c = c.array * c.factor
            if type(key) is Map:
                key = key.positions.item(i) - 1
                if key < 0:
                    continue
            if c is not ONE and shape_of(c):
                c = c[i] if len(c) == len(x.value) else c[0]
            columns[key] = columns[key] + c if key in columns else c
        return Dual(out, columns, self)

    def stacked(self, row: Primitive, tangents: Sequence[Any], values: Sequence[Any], out: Any) -> Any:
        """Stack numbers with few directions each into one array of directions."""
        entries = [(d, j, t) for j, columns in enumerate(tangents) if columns for d, t in columns.items()]
        if self.careful or not is_array(out):
            return row.push(self, [self.dense(t, v) for t, v in zip(tangents, values)], values, NOTHING, out)
        coefficients = [c for _, _, c in entries]
        t = zeros_beside(coefficients, (len(out), *self.lead), out.dtype)
        if type(t) is ndarray:
            for d, j, c in entries:
                t[j, d] = c
        else:
            t[[j for _, j, _ in entries], [d for d, _, _ in entries]] = np.stack(coefficients)
        return t.T

    def dense(self, t: Any, value: Any) -> Any:
        """Return a tangent of any form as one array with the directions in front."""
        if not isinstance(t, Terms):
            return t
        if self.careful:
            mask = places_reached(t, shape_of(value), self.lead[0])
            return self.reached(self._dense(t, value), mask)
        return self._dense(t, value)

    def _dense(self, t: Terms, value: Any) -> Any:
        mapped = type(t) is Terms
        t = settled(t)
        k, shape = self.lead[0], shape_of(value)
        if self.most is not None and k * size_of(shape) > self.most:
            raise CrowdedError
        if mapped or type(value) in PLAIN_TYPES or type(value) in TRACED:
            return whole(t, k, shape, dtype_of(value))
        zero = np.zeros_like(value)
        return np.stack([full(t[d], self.single, value) if d in t else zero for d in range(k)])

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
        if type(s) is Terms and self.lead[0] * a.size <= DENSE:
            s = x.mark = self.dense(s, a)
        if isinstance(s, Terms):
            if row.plain and not self.careful:
                return self._one(row, row.partials[0], s, out, (a,))
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
        elif type(x) in NUMBERS or (type(x) is ndarray and x.dtype.char != "O"):
            a, s = x if type(x) is not ndarray or x.shape else x[()], None
        else:
            return bind(row, (operand(x), operand(y)), NOTHING)
        if type(y) is Dual and y.run is self and (y.link is None or not y.link.is_stale()):
            b, t = y.value, y.mark
        elif type(y) in NUMBERS or (type(y) is ndarray and y.dtype.char != "O"):
            b, t = y if type(y) is not ndarray or y.shape else y[()], None
        else:
            return bind(row, (operand(x), operand(y)), NOTHING)
        if not self.open:
            self._check_open()
        out = row.op(a, b)
        if (type(s) is Terms or type(t) is Terms) and self.lead[0] * size_of(shape_of(out)) <= DENSE:
            if type(s) is Terms:
                s = x.mark = self.dense(s, a)
            if type(t) is Terms:
                t = y.mark = s if y is x else self.dense(t, b)
        if isinstance(s, Terms) or isinstance(t, Terms):
            if row.plain and not self.careful:
                if t is None and (type(s) is Columns or shape_of(a) == shape_of(out)):
                    return self._one(row, row.partials[0], s, out, (a, b))
                if s is None and (type(t) is Columns or shape_of(b) == shape_of(out)):
                    return self._one(row, row.partials[1], t, out, (a, b))
                if type(s) is Columns and type(t) is Columns:
                    return self._both(row, s, t, out, (a, b))
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
        self._check_open()
        return super().leave(x)

    def duplicate(self, x: Any) -> Any:
        """Return another array with the same value and tangent; whoever is written first takes a copy then."""
        value, t = x.value, x.mark
        return Dual(value.copy() if type(value) in TRACED else value, t.copy() if type(t) in TRACED else t, self)

    def write(self, x: Any, index: Any, v: Any) -> None:
        """Carry out ``x[index] = v``, in the buffers of ``x`` where nobody else holds them."""
        self._check_open()
        if type(v) is Dual and v.run is self and is_whole(x, index, v):
            set_class(x, Dual)
            x.value, x.mark, x.run = v.value, v.mark, self  # whoever is written first takes a copy then
            return
        if isinstance(v, Traced) and v.run is self:
            value, tv = v.value, v.mark
        else:
            value, tv = plain(v), None
        sole = holders(x.value) == SOLE
        out = stored(x.value, index, value, sole)
        if dtype_of(out).kind not in "fc":  # what an array of integers takes is truncated, and has no derivative
            become(x, out)
            return
        tangents = [x.mark if x.run is self else None, tv]
        x.value = x.mark = None  # what an interrupted write leaves behind must not pass for a value
        kinds = {type(tangents[0]), type(tv)}
        t = INSTEAD
        if kinds != {type(None)} and kinds <= _TERMS_OR_NONE and is_array(out) and self.lead[0] * out.size > DENSE:
            tangents = [c and settled(c) for c in tangents]
            t = self._few(out, store(tangents, index, out, value))
        if t is INSTEAD:
            if isinstance(tangents[0], Terms):
                tangents[0] = self.dense(tangents[0], out)
            if isinstance(tangents[1], Terms):
                tangents[1] = self.dense(tangents[1], value)
            t = stored_tangent(tangents, index, self.lead, out, value)
        set_class(x, Dual)
        x.value, x.mark, x.run = out, t, self
