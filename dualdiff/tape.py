"""The tape: the program of one evaluation, as a flat list of equations in the order they ran.

An equation is six consecutive cells of the list: ``primitive, ins, args, params, out, forms``. Inputs take the first slots and
equation ``e`` writes slot ``n_inputs + e``, so an output slot need not be stored.

- ``ins``: per operand the slot it came from; None for a constant, ``~slot`` for a discrete traced value.
- ``args`` and ``out``: values where a rule needs them, otherwise shape and dtype (``Aval``).
- ``forms``: None if every active operand has the shape and real dtype of the result; otherwise the
  (shape, dtype) to which a pull fits each cotangent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import ref

import numpy as np

from dualdiff.containers import plain
from dualdiff.errors import OUTLIVED, EscapedValueError, line_of, user_frame, where
from dualdiff.kinds import Primitive
from dualdiff.ownership import SOLE, holders
from dualdiff.rules.indexing import getitem, setitem, stored
from dualdiff.shapes import FLOAT64, Aval, aval, dtype_of, shape_of
from dualdiff.tracer import Run, Tracer
from dualdiff.values import LEVELS, NOTHING, NUMBERS, TRACED, Traced, bind, operand, set_class
from dualdiff.views import is_view, is_whole, note_root, tie_view

ndarray = np.ndarray
array = np.array
float64 = np.float64
ZERO = np.float64(0.0)
_NO_FORM = Aval((), FLOAT64)
_SCALARS = frozenset((float, np.float64))
_NOTHING_KEPT = (None, None)
_IMMUTABLE = frozenset((float, int, complex, bool, np.float64, np.float32, np.bool_, np.int64, np.complex128))


class Var(Tracer):
    """A value on a tape: its mark is the slot that holds it."""

    __slots__ = ()


class DiscreteVar(Tracer):
    """An integer, boolean or piecewise constant value computed from traced ones: recorded, without derivative."""

    __slots__ = ()
    discrete = True


Var.__name__ = DiscreteVar.__name__ = "TracedArray"  # the name Python's own errors show


class Equation(NamedTuple):
    """A readable form of one entry of a tape."""

    primitive: Primitive
    ins: tuple[int | None, ...]
    args: tuple[Any, ...]
    params: dict[str, Any]
    out: Any
    forms: tuple[tuple[tuple[int, ...], np.dtype[Any]], ...] | None


class Guard(NamedTuple):
    """A traced value that left to Python, the value it had then, and how many equations had run."""

    slot: int
    value: Any
    at: int


def frozen(x: Any) -> Any:
    """Return a value no user can still write into: a copy, unless it is read-only down to its base."""
    if type(x) in _IMMUTABLE or type(x) is Aval:
        return x
    if type(x) is ndarray:
        base: Any = x
        while type(base) is ndarray:
            if base.flags.writeable:
                return x.copy("K")
            base = base.base
        return x if base is None else x.copy("K")
    if isinstance(x, Traced):
        return x.copy("K")  # type: ignore[attr-defined]
    return x.copy() if hasattr(x, "copy") else x


def brief(x: Any) -> Any:
    """Return what a rule that does not need a value still may ask: its shape and dtype.

    Scalars and small arrays stay as they are: holding them costs less than describing them (a view would hold its base).
    """
    if type(x) is ndarray and (x.size > SMALL or x.base is not None):
        return Aval(x.shape, x.dtype)
    if type(x) is ndarray or type(x) in _IMMUTABLE or type(x) is Aval:
        return x
    return Aval(x.shape, x.dtype)


SMALL = 64
"""Arrays of at most this many elements are kept whole even where only their shape is needed."""


def _escaped(equation: Any) -> None:
    raise EscapedValueError(f"{where()}: {OUTLIVED}")


class Tape(Run):
    """A recording: a program (equations, shapes, dtypes, guards) and the values its rules need.

    Parameters
    ----------
    replayable : bool
        Keep every constant, so that the program can be run again at another point.
    lines : bool
        Note the user's line of every equation, for messages.
    """

    __slots__ = (
        "append",
        "cells",
        "guards",
        "inputs",
        "keys",
        "level",
        "lines",
        "nested",
        "next",
        "notes",
        "open",
        "outputs",
        "replayable",
        "vector",
    )

    def __init__(self, replayable: bool = False, lines: bool = False) -> None:
        self.level = LEVELS.new()
        # Six cells an equation, not a tuple each: what holds only numbers and arrays is of no interest to the
        # garbage collector, whose passes over a long tape would otherwise cost more than writing it.
        self.cells: list[Any] = []
        self.next = 0
        self.vector: tuple[Any, Any] = ((_NO_FORM,), (_NO_FORM, ZERO))
        self.guards: list[Guard] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.open = True
        self.keys: dict[int, Any] | None = None
        self.notes: list[Any] = []  # what went wrong in the function that is recorded, and it may have caught
        self.nested = False  # whether other passes ran inside the recording, and so are on the tape
        self.replayable = replayable
        self.lines: list[Any] | None = [] if lines else None
        self.append = self._append_with_line if lines else self.cells.extend

    def _append_with_line(self, equation: Any) -> None:
        frame = user_frame()
        self.lines.append(frame and (frame.f_code, frame.f_lasti))  # type: ignore[union-attr]
        self.cells.extend(equation)

    def close(self) -> None:
        """End the recording: what still points here afterwards has escaped."""
        self.open = False
        self.keys = self.keys and dict.fromkeys(self.keys)  # known as keys for ever, kept by nobody
        self.nested = LEVELS.current != self.level
        self.append = _escaped

    @property
    def was_read(self) -> bool:
        """Whether anything was computed of the inputs, or decided by them."""
        return bool(self.cells or self.guards)

    # -- reading -----------------------------------------------------------------------------------
    @property
    def equations(self) -> Any:
        """The equations as plain tuples, in the order they ran."""
        cell = iter(self.cells)
        return zip(cell, cell, cell, cell, cell, cell)

    @property
    def backwards(self) -> Any:
        """The equations from the last to the first; each comes with its fields in reverse as well."""
        cell = reversed(self.cells)
        return zip(cell, cell, cell, cell, cell, cell)

    def equation(self, e: int) -> Any:
        """Return one equation as a plain tuple."""
        return self.cells[6 * e : 6 * e + 6]

    def made(self, slot: int) -> Any:
        """Return the primitive of the equation that wrote a slot, with its operands' slots and values; None of an input."""
        e = slot - len(self.inputs)
        return None if e < 0 else self.cells[6 * e : 6 * e + 3]

    @property
    def rows(self) -> list[Any]:
        """The primitives of all equations."""
        return self.cells[0::6]

    @property
    def operands(self) -> list[Any]:
        """The operand slots of all equations."""
        return self.cells[1::6]

    @property
    def arguments(self) -> list[Any]:
        """The operands of all equations: values where a rule needs them, shapes and dtypes otherwise."""
        return self.cells[2::6]

    @property
    def parameters(self) -> list[Any]:
        """The parameters of all equations."""
        return self.cells[3::6]

    @property
    def results(self) -> list[Any]:
        """The results of all equations: values where a rule needs them, shapes and dtypes otherwise."""
        return self.cells[4::6]

    @property
    def slots(self) -> list[Any]:
        """What every slot holds: the inputs, then the results."""
        return [*self.inputs, *self.results]

    def form(self, slot: int) -> Any:
        """Return what a slot holds where a rule needs it, its shape and dtype otherwise."""
        n = len(self.inputs)
        return self.inputs[slot] if slot < n else self.cells[6 * (slot - n) + 4]

    def blame(self, error: BaseException, e: int) -> None:
        """Note on an error the equation whose derivative raised it, and the user's line where that is known."""
        if self.lines and self.lines[e]:
            error.add_note(f"in the derivative of {self.cells[6 * e].name}, {line_of(*self.lines[e])}")

    def __len__(self) -> int:
        return len(self.cells) // 6

    def __iter__(self) -> Any:
        return (Equation(*e) for e in self.equations)

    def __repr__(self) -> str:
        return f"<tape of {len(self.inputs)} inputs, {len(self)} equations, {len(self.guards)} guards>"

    # -- writing -----------------------------------------------------------------------------------
    def add_input(self, value: Any) -> Var:
        """Give an input the next slot."""
        if self.cells:
            raise RuntimeError("inputs come before the first equation")
        value = frozen(value)
        self.inputs.append(aval(value))
        self.next = len(self.inputs)
        return Var(value, self.next - 1, self)

    def note(self, row: Primitive, ins: tuple[int | None, ...], args: Sequence[Any], params: Any, out: Any) -> int:
        """Write one equation and return its slot."""
        active = tuple([i is not None and i >= 0 for i in ins])
        keep_out, keep_args = self.kept(row, active)
        kept = []
        for a, i, k in zip(args, ins, keep_args, strict=True):
            if i is None and (k or self.replayable):
                kept.append(frozen(a))
            else:
                kept.append(a if k else brief(a))
        forms = None
        if row.differentiable:
            shape, dtype = shape_of(out), dtype_of(out)
            for a, on in zip(args, active, strict=True):
                if on and (dtype.kind != "f" or shape_of(a) != shape or dtype_of(a) is not dtype):
                    forms = tuple([(shape_of(a), dtype_of(a)) for a in args])
                    break
        self.append((row, ins, tuple(kept), params, out if keep_out else brief(out), forms))
        self.next += 1
        return self.next - 1

    def kept(self, row: Primitive, active: tuple[bool, ...]) -> tuple[bool, Sequence[bool]]:
        """Say whether the result of an equation, and which of its operands, are kept as values."""
        # A push may ask for values that a pull does not; not so where entries are only moved.
        if self.replayable and not (row.shapes_only or row.kind == "movement"):
            return True, (True,) * len(active)
        return row.keep(active)

    # -- the run protocol --------------------------------------------------------------------------
    def process(self, row: Primitive, args: Sequence[Any], params: Any) -> Any:
        """Compute a primitive on values below this level and write down what happened."""
        if row.shapes_only and not self.replayable and type(args[0]) is Var and args[0].run is self:  # the short way
            x = args[0]
            a = x.value
            if type(a) is ndarray and a.dtype is FLOAT64:
                out = row.fn(a, **params)
                if type(out) is float64 or (type(out) is ndarray and out.dtype is FLOAT64):
                    form = Aval(a.shape, FLOAT64)
                    found = out if type(out) is float64 else Aval(out.shape, FLOAT64)
                    self.append(
                        (row, (x.mark,), (form,), params, found, None if form.shape == found.shape else (form,))
                    )
                    self.next = slot = self.next + 1
                    new: Any = Var(out, slot - 1, self)
                    if row.view and is_view(out, a):
                        tie_view(new, x, row, params)
                    return new
        ins: list[int | None] = []
        values = []
        live = False
        for a in args:
            if type(a) in TRACED and a.run is self:
                values.append(a.value)
                if type(a) is Var:
                    ins.append(a.mark)
                    live = True
                else:
                    ins.append(~a.mark)
            else:
                values.append(plain(a))
                ins.append(None)
        out = bind(row, values, params)
        discrete = not (live and row.differentiable) or _is_discrete(out)
        slot = self.note(row, tuple(ins), values, params, out)
        new = (DiscreteVar if discrete else Var)(out, slot, self)
        if row.view and is_view(out, values[0]):
            tie_view(new, args[0], row, params)
        elif row.under is not None and not row.plain:
            note_root(row, new, args, params)
        return new

    def unary(self, row: Any, x: Any) -> Any:
        """Record one elementwise operation of one operand: the short way for operators and ufuncs."""
        if (
            type(x) is not Var
            or x.run is not self
            or (x.link is not None and x.link.is_stale())
            or not row.differentiable
        ):
            return bind(row, (operand(x),), NOTHING)
        a = x.value
        out = row.op(a)
        if type(out) is ndarray and out.dtype is FLOAT64 and out.size <= SMALL and a.dtype is FLOAT64:
            self.append((row, (x.mark,), (a,), NOTHING, out, None))
            self.next = slot = self.next + 1
            return Var(out, slot - 1, self)
        if type(out) is float64:  # the hot path of scalar code
            self.append((row, (x.mark,), (a,), NOTHING, out, None if type(a) in _SCALARS else _forms((a,))))
            self.next = slot = self.next + 1
            return Var(out, slot - 1, self)
        return Var(out, self.note(row, (x.mark,), (a,), NOTHING, out), self)

    def binary(self, row: Any, x: Any, y: Any) -> Any:
        """Record one elementwise operation of two operands: the short way for operators and ufuncs."""
        i: int | None = None
        j: int | None = None
        if type(x) is Var and x.run is self and (x.link is None or not x.link.is_stale()):
            a, i = x.value, x.mark
        elif type(x) in NUMBERS or (type(x) is ndarray and x.dtype.char != "O"):
            a = x if type(x) is not ndarray or x.shape else x[()]
        else:
            return bind(row, (operand(x), operand(y)), NOTHING)
        if type(y) is Var and y.run is self and (y.link is None or not y.link.is_stale()):
            b, j = y.value, y.mark
        elif type(y) in NUMBERS or (type(y) is ndarray and y.dtype.char != "O"):
            b = y if type(y) is not ndarray or y.shape else y[()]
        else:
            return bind(row, (operand(x), operand(y)), NOTHING)
        if not row.differentiable:
            return bind(row, (x, y), NOTHING)
        if row.arithmetic:
            # NumPy takes a 0-d array twice as fast as a Python number beside an array, here and again in the pull; between
            # two numbers it is an array all the same, and takes twenty times as long.
            if type(a) is ndarray:
                if type(b) is not ndarray:
                    if not a.shape:
                        a = a[()]
                    elif type(b) is float and a.dtype is FLOAT64:
                        b = array(b)
            elif type(b) is ndarray:
                if not b.shape:
                    b = b[()]
                elif type(a) is float and b.dtype is FLOAT64:
                    a = array(a)
        out = row.op(a, b)
        if type(out) is ndarray and out.dtype is FLOAT64 and not self.replayable:  # the hot path of arrays
            shape = out.shape
            if (
                type(a) is ndarray and a.shape == shape and a.dtype is FLOAT64
                if i is not None
                else type(a) is not ndarray or not a.shape
            ) and (
                type(b) is ndarray and b.shape == shape and b.dtype is FLOAT64
                if j is not None
                else type(b) is not ndarray or not b.shape
            ):
                if out.size > SMALL:
                    keep_out, keep_a, keep_b = row.keeps_of[(i is not None) + 2 * (j is not None)]
                    form = Aval(shape, FLOAT64)
                    equation = (
                        row,
                        (i, j),
                        # A constant is a number here: its shape is not that of the form.
                        (a if keep_a or i is None else form, b if keep_b or j is None else form),
                        NOTHING,
                        out if keep_out else form,
                        None,
                    )
                else:
                    equation = (row, (i, j), (a, b), NOTHING, out, None)
                self.append(equation)
                self.next = slot = self.next + 1
                return Var(out, slot - 1, self)
            if _is_real(a) and _is_real(b):  # broadcast against one another
                keep_out, keep_a, keep_b = row.keeps_of[(i is not None) + 2 * (j is not None)]
                forms = (
                    (_NO_FORM if type(a) is not ndarray else Aval(a.shape, FLOAT64)),
                    (_NO_FORM if type(b) is not ndarray else Aval(b.shape, FLOAT64)),
                )
                args = (
                    (a if i is not None else frozen(a)) if keep_a or type(a) is not ndarray else forms[0],
                    (b if j is not None else frozen(b)) if keep_b or type(b) is not ndarray else forms[1],
                )
                found = out if keep_out or out.size <= SMALL else Aval(shape, FLOAT64)
                self.append((row, (i, j), args, NOTHING, found, forms))
                self.next = slot = self.next + 1
                return Var(out, slot - 1, self)
        if type(out) in _SCALARS and (  # the hot path of scalar code
            (type(a) in NUMBERS and type(b) in NUMBERS) or (_is_real(a) and _is_real(b))
        ):
            self.append((row, (i, j), (a, b), NOTHING, out, None))
            self.next = slot = self.next + 1
            return Var(out, slot - 1, self)
        return Var(out, self.note(row, (i, j), (a, b), NOTHING, out), self)

    def item(self, x: Any, i: int) -> Any:
        """Record the reading of one entry of a vector: the short way for scalar code."""
        if type(x) is not Var or (x.link is not None and x.link.is_stale()):
            return bind(getitem, (x,), {"index": i})
        vector = x.value
        out = vector[i]
        forms, _ = self._forms_of(vector)
        self.append((getitem, (x.mark,), forms, {"index": i}, out, forms))
        self.next = slot = self.next + 1
        return Var(out, slot - 1, self)

    def _forms_of(self, x: Any) -> tuple[Any, Any]:
        """Return the form of an array, alone and beside that of a scalar written into it; the last one is kept at hand."""
        form = self.vector[0][0]
        if x.shape != form.shape or x.dtype is not form.dtype:
            form = Aval(x.shape, x.dtype)
            self.vector = ((form,), (form, ZERO))
        return self.vector

    def leave(self, x: Any) -> Any:
        """Let a traced value's plain value out to Python, and record the value it had."""
        if not self.open:
            _escaped(None)
        value = super().leave(x)
        self.guards.append(Guard(x.mark, value, len(self)))
        return value

    def same(self, x: Any, y: Any) -> bool:
        """Whether two values of this tape stand in one slot, or are one entry that was read twice."""
        return x.mark == y.mark or self._entry(x.mark) == self._entry(y.mark) is not None

    def _entry(self, slot: int) -> Any:
        """Return which entry of which slot an equation reads, None where it does something else."""
        at = 6 * (slot - len(self.inputs))
        if at < 0 or self.cells[at] is not getitem:
            return None
        index = self.cells[at + 3]["index"]
        index = index if type(index) is tuple else (index,)
        return (self.cells[at + 1], index) if all(type(i) is int for i in index) else None

    def duplicate(self, x: Any) -> Any:
        """Return another array with the same value and slot; whoever is written first takes a copy then."""
        return type(x)(
            x.value if type(x.value) in _IMMUTABLE or type(x.value) is ndarray else x.value.copy(), x.mark, self
        )

    def write(self, x: Any, index: Any, v: Any) -> None:
        """Carry out ``x[index] = v`` on this tape, in the buffer of ``x`` where nobody else holds it."""
        own = holders(x.value) == SOLE
        if type(v) is Var and v.run is self:
            value = v.value
            if type(value) is float64 and x.run is self and type(x) is Var and not self.replayable:
                buffer = x.value
                if type(buffer) is ndarray and buffer.dtype is FLOAT64 and _is_entry(index, buffer.ndim):
                    if not (own and buffer.base is None and buffer.flags.writeable):
                        x.value = buffer = array(buffer)
                    buffer[index] = value  # the hot path: entries filled one by one
                    forms, args = self._forms_of(buffer)
                    self.append((setitem, (x.mark, v.mark), args, {"index": index}, forms[0], None))
                    x.mark = self.next
                    self.next += 1
                    return
            elif is_whole(x, index, v):
                set_class(x, Var)
                x.value, x.mark, x.run = value, v.mark, self  # whoever is written first takes a copy then
                return
        slot_x = (x.mark if type(x) is Var else ~x.mark) if x.run is self else None
        slot_v = (v.mark if type(v) is Var else ~v.mark) if isinstance(v, Traced) and v.run is self else None
        value = v.value if slot_v is not None else plain(v)
        form = aval(x.value)
        kept = np.array(x.value) if self.replayable and slot_x is None else form
        x.value = stored(x.value, index, value, own)
        slot = self.note(setitem, (slot_x, slot_v), (kept, value), {"index": index}, form)
        active = (slot_x is not None and slot_x >= 0) or (slot_v is not None and slot_v >= 0)
        set_class(x, Var if active and form.dtype.kind in "fc" else DiscreteVar)
        x.mark, x.run = slot, self


def _is_entry(index: Any, ndim: int) -> bool:
    """Whether an index names a single entry."""
    if type(index) is int:
        return ndim == 1
    return type(index) is tuple and len(index) == ndim and all(type(i) is int for i in index)


def _is_real(x: Any) -> bool:
    """Whether an operand is a Python number or a float64 of any shape."""
    return type(x) in NUMBERS or (type(x) is ndarray and x.dtype is FLOAT64)


def _forms(args: Sequence[Any]) -> tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]:
    return tuple([(shape_of(a), dtype_of(a)) for a in args])


def _is_discrete(out: Any) -> bool:
    kind = type(out)
    if kind is float or kind is float64:
        return False
    return dtype_of(out).kind not in "fc"


class Recording(Tape):
    """A recording of the program alone, which will run again at other points: its constants, but no values.

    What nobody differentiates takes part as well: integers among the inputs are traced, as decisions are.

    Attributes
    ----------
    origins : dict
        For each constant array, by equation and operand: a weak reference to the array it was copied from.
    places : list
        The user's line where each of the guards was noted.
    careful : bool
        Whether a derivative was not finite, and was computed again by rules that hold at such points only.
    pushed : bool
        Whether what it holds is pushed through as it stands, so that it may hold nothing without a derivative.
    """

    __slots__ = ("avals", "careful", "known_lines", "origins", "places", "pushed")
    replayed = True

    def __init__(self, pushed: bool = False) -> None:
        super().__init__(replayable=True, lines=True)
        self.pushed = pushed
        self.origins: dict[tuple[int, int], Any] = {}
        self.places: list[Any] = []
        self.careful = False
        # A loop records the same shapes and lines again and again; one object each leaves the garbage collector little to look at.
        self.avals: dict[Any, Aval] = {}
        self.known_lines: dict[tuple[int, int], Any] = {}

    def _append_with_line(self, equation: Any) -> None:
        frame, line = user_frame(), None
        if frame is not None:
            key = (id(frame.f_code), frame.f_lasti)
            line = self.known_lines.get(key)
            if line is None:
                line = self.known_lines[key] = (frame.f_code, frame.f_lasti)
        self.lines.append(line)  # type: ignore[union-attr]
        self.cells.extend(equation)

    def add_input(self, value: Any) -> Any:
        """Give an input the next slot."""
        found = super().add_input(value)
        return found if dtype_of(value).kind in "fc" else DiscreteVar(found.value, found.mark, self)

    def binary(self, row: Any, x: Any, y: Any) -> Any:
        """Record one elementwise operation: of two values of this recording, or of one and a number, there is little to keep."""
        own_x, own_y = type(x) is Var and x.run is self, type(y) is Var and y.run is self
        if (
            not row.differentiable
            or (x.link is not None and x.link.is_stale() if own_x else type(x) not in _SCALARS)
            or (y.link is not None and y.link.is_stale() if own_y else type(y) not in _SCALARS)
        ):
            return super().binary(row, x, y)
        a, b = x.value if own_x else x, y.value if own_y else y
        if own_x and own_y:
            ins, kept = (x.mark, y.mark), _NOTHING_KEPT
        elif type(a) in _SCALARS and type(b) in _SCALARS and (own_x or own_y):
            ins, kept = ((x.mark, None), (None, b)) if own_x else ((None, y.mark), (a, None))
        else:
            return super().binary(row, x, y)
        out = row.op(a, b)
        if type(out) is ndarray:
            form: Any = self.avals.get((out.shape, out.dtype)) or self._aval(out)
        elif type(out) is float64:
            form = out
        else:
            return super().binary(row, x, y)
        self.append((row, ins, kept, NOTHING, form, None))
        self.next = slot = self.next + 1
        return Var(out, slot - 1, self)

    def _aval(self, out: Any) -> Aval:
        """Return the one object for the shape and dtype of a value."""
        key = out.shape, out.dtype
        return self.avals.setdefault(key, Aval(*key))

    def process(self, row: Primitive, args: Sequence[Any], params: Any) -> Any:
        """Compute a primitive and write down what happened: nothing is recorded around a recording."""
        ins: list[int | None] = []
        values = []
        live = outside = False
        for a in args:
            kind = type(a)
            if kind is Var and a.run is self:
                values.append(a.value)
                ins.append(a.mark)
                live = True
            elif kind is DiscreteVar and a.run is self:
                values.append(a.value)
                ins.append(~a.mark)
            else:
                values.append(plain(a))
                ins.append(None)
                outside = True
        out = bind(row, values, params) if outside else row.fn(*values, **params)
        slot = self.note(row, tuple(ins), values, params, out)
        new = (Var if live and row.differentiable and not _is_discrete(out) else DiscreteVar)(out, slot, self)
        if row.view and is_view(out, values[0]):
            tie_view(new, args[0], row, params)
        elif row.under is not None and not row.plain:
            note_root(row, new, args, params)
        return new

    def note(self, row: Primitive, ins: tuple[int | None, ...], args: Sequence[Any], params: Any, out: Any) -> int:
        """Write one equation and return its slot."""
        kept: tuple[Any, ...] = (
            _NOTHING_KEPT if len(ins) == 2 else (None,) * len(ins)
        )  # what varies is no part of a program
        if None in ins:
            kept = tuple(
                [self.constant(a, k) if i is None else None for k, (a, i) in enumerate(zip(args, ins, strict=True))]
            )
        kind = type(out)
        if kind is ndarray or kind is Aval:
            out = self.avals.get((out.shape, out.dtype)) or self._aval(out)
        elif kind not in _IMMUTABLE:
            out = brief(out)
        self.append((row, ins, kept, params, out, None))
        self.next += 1
        return self.next - 1

    def constant(self, a: Any, k: int) -> Any:
        """Return the constant operand of the next equation as it is kept, and note what it was copied from."""
        if type(a) in _IMMUTABLE:
            return a
        if type(a) is ndarray and a.ndim:
            self.origins[self.next - len(self.inputs), k] = ref(a)
        return frozen(a)

    def leave(self, x: Any) -> Any:
        """Let a traced value's plain value out to Python, and record the value it had, and the line."""
        frame = user_frame()
        self.places.append(frame and (frame.f_code, frame.f_lasti))
        return super().leave(x)


def record(f: Any, *args: Any, replayable: bool = False, lines: bool = False) -> tuple[Tape, Any]:
    """Run ``f`` on flat arguments and write down what it does; return the tape and what ``f`` returned."""
    tape = Tape(replayable, lines)
    try:
        result = f(*[tape.add_input(a) for a in args])
    finally:
        tape.close()
    return tape, result


__all__ = ["Equation", "Guard", "Recording", "Tape", "record"]
