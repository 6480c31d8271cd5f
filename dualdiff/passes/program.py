"""A recording as a program: what is computed, of what, in which order, with everything superfluous taken away.

The equations of a recording (:class:`~dualdiff.tape.Recording`) become steps between numbered values. Steps that no result and
no decision needs are left out (dead code), equal steps are one (common subexpressions), a factor that is one everywhere is no
step, and an array of equal entries is a number. Nothing of this changes a bit of any result.

The terms and the order of the passes are those of Aho, Lam, Sethi & Ullman, *Compilers*, 2nd ed., Addison-Wesley 2006,
chapters 8 and 9.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from dualdiff.garbage import uncollected
from dualdiff.kinds import Elementwise, Movement, Primitive
from dualdiff.passes.regions import Region, Write, region
from dualdiff.shapes import Aval, dtype_of, shape_of
from dualdiff.tape import Recording

__all__ = ["Check", "Form", "Program", "Slot", "Step", "program_of"]

MOST_LOOKED_AT = 1 << 16
"""Entries of a constant from which on nobody looks whether they are all equal."""
MOST_MOVED = 1 << 20
"""Entries from which on nobody looks whether they all stay where they are."""


class Form(NamedTuple):
    """What a value is: its shape, its dtype, and its kind.

    That is "array", "number" (one of NumPy's), "float" (one of Python's), or "other" (a sparse matrix).
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    kind: str

    @property
    def is_float(self) -> bool:
        """Whether it is one number of double precision."""
        return self.kind in ("number", "float") and self.dtype == np.float64

    def __str__(self) -> str:
        name = str(self.dtype)
        return name if not self.shape else f"{name}[{', '.join(map(str, self.shape))}]"


class Step(NamedTuple):
    """One function of values, and the user's line that asked for it (a code object and an instruction in it)."""

    row: Primitive
    operands: tuple[int, ...]
    params: dict[str, Any]
    result: int
    place: Any


class Slot(int):
    """A place on a recording, among results that may be integers."""


class Check(NamedTuple):
    """A decision that Python took: a value, what it was, before which step it is to be looked at, and the user's line."""

    value: int
    then: Any
    before: int
    place: Any


@dataclass(slots=True)
class Program:
    """Steps between numbered values: the inputs come first.

    Attributes
    ----------
    inputs : int
        How many inputs there are.
    forms : dict
        The form of every value.
    constants : dict
        The values that are the same in every run.
    origins : dict
        Of constants that are arrays: weak references to the arrays they were copied from.
    steps, checks : list
        In the order in which they are carried out.
    outputs : tuple of int
        The values asked for.
    results : tuple of Form
        As what each of them is returned: a number may have been computed as an array without axes.
    recorded : int
        How many equations the recording had.
    distinct : int
        How many of them were steps of their own: neither equal to another nor without effect.
    """

    inputs: int
    forms: dict[int, Form]
    constants: dict[int, Any]
    origins: dict[int, Any]
    steps: list[Step]
    checks: list[Check]
    outputs: tuple[int, ...]
    results: tuple[Form, ...]
    recorded: int
    distinct: int


_OTHER = Form((), np.dtype(object), "other")
"""What is no number, and only returned."""


_NUMBER = Form((), np.dtype(np.float64), "number")


def form_of(x: Any) -> Form:
    """Return the form of a value, or of what is known of one."""
    if type(x) is np.float64:
        return _NUMBER
    if type(x) is Aval:
        return Form(x.shape, x.dtype, "array")
    if type(x) in (float, int, complex, bool):
        kind = "float"
    else:
        kind = "array" if type(x) is np.ndarray else "number" if isinstance(x, np.generic) else "other"
    return Form(shape_of(x), dtype_of(x), kind)


def program_of(tape: Recording, inputs: Sequence[Any], outputs: Sequence[Any], results: Sequence[Any]) -> Program:
    """Turn a recording into a program.

    Parameters
    ----------
    tape : Recording
        The recording, closed.
    inputs : sequence
        What it was recorded for.
    outputs : sequence
        What is asked for: slots of the recording, or other values, which are constants.
    results : sequence
        What the function returned for the inputs.
    """
    with uncollected():
        return _Builder(tape, inputs).built(outputs, results)


class _Builder:
    """What is known of a recording while its program is written. Equal forms, and equal parameters, become one object."""

    def __init__(self, tape: Recording, inputs: Sequence[Any]) -> None:
        self.tape = tape
        self.arrays: dict[Any, Form] = {}
        self.others: dict[Form, Form] = {_NUMBER: _NUMBER}
        self.known_params: dict[Any, dict[str, Any]] = {}
        self.regions: dict[Any, Region | None] = {}  # by parameters and form, which live as long as this does
        self.uniform: dict[int, int | None] = {}  # by constant, the number that all its entries are
        self.value_of = list(range(len(inputs)))  # by slot
        self.forms: dict[int, Form] = {i: self.form(x) for i, x in enumerate(inputs)}
        self.constants: dict[int, Any] = {}
        self.origins: dict[int, Any] = {}
        self.by_content: dict[Any, int] = {}
        self.by_step: dict[Any, int] = {}
        self.reads: dict[int, tuple[int, Region]] = {}  # by value: of what, and where
        self.writes: dict[int, Write] = {}  # by value

    def built(self, outputs: Sequence[Any], results: Sequence[Any]) -> Program:
        tape, value_of, forms, by_step, arrays = self.tape, self.value_of, self.forms, self.by_step, self.arrays
        float64 = np.float64
        steps: list[Step] = []
        checks: list[Check] = []
        waiting = list(zip(tape.guards, tape.places, strict=True))[::-1]
        looked_at: set[Any] = set()

        def check(guard: Any, place: Any) -> None:
            """Take a decision down, the first time it is taken."""
            key = value_of[guard.slot], content(guard.value)
            if key not in looked_at:
                looked_at.add(key)
                checks.append(Check(key[0], guard.value, len(steps), place))

        lines = tape.lines or []
        for e, (row, ins, args, params, out, _) in enumerate(tape.equations):
            while waiting and waiting[-1][0].at <= e:
                check(*waiting.pop())
            form = _NUMBER if type(out) is float64 else arrays.get(id(out)) or self.form(out)
            if None in ins:
                operands = tuple(
                    [
                        self.constant(args[k], tape.origins.get((e, k))) if i is None else value_of[i if i >= 0 else ~i]
                        for k, i in enumerate(ins)
                    ]
                )
                if len(operands) == 2:
                    operands = self.as_numbers(row, operands, form)
                    same = self.times_one(row, operands, form)
                else:
                    same = None
            else:
                operands = tuple([value_of[i if i >= 0 else ~i] for i in ins])
                same = None
            if params:
                params = self.interned(params)
            if row.access:
                operands, params = self.forwarded(row, operands, params)
            if same is None and (row.access or row.kind == "movement"):
                same = self.unmoved(row, operands, params, form)
            if same is None:
                key = (row, operands, id(params)) if params else (row, operands)
                same = by_step.get(key)
                if same is None or forms[same] is not form:
                    by_step[key] = same = len(forms)
                    forms[same] = form
                    if row.access:
                        self.note_access(row, operands, params, same)
                    steps.append(Step(row, operands, params, same, lines[e] if lines else None))
            value_of.append(same)
        for guard, place in reversed(waiting):
            check(guard, place)
        asked = tuple([value_of[o] if type(o) is Slot else self.returned(o) for o in outputs])
        distinct = len(steps)
        steps, checks, used = _alive(steps, checks, asked)
        return Program(
            len(tape.inputs),
            forms,
            {k: v for k, v in self.constants.items() if k in used},
            {k: v for k, v in self.origins.items() if k in used},
            steps,
            checks,
            asked,
            tuple(
                [form_of(r) if hasattr(r, "dtype") or isinstance(r, (int, float, complex)) else _OTHER for r in results]
            ),
            len(tape),
            distinct,
        )

    def interned(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the one object of all parameters that are equal."""
        return self.known_params.setdefault(content(params), params)

    def region(self, params: dict[str, Any], i: int) -> Region | None:
        """Return what the index among interned parameters picks of a value."""
        form = self.forms[i]
        key = id(params), id(form)
        if key not in self.regions:
            self.regions[key] = region(params["index"], form.shape)
        return self.regions[key]

    def form(self, x: Any) -> Form:
        """Return the one form of all values of that form."""
        if type(x) is np.float64:
            return _NUMBER
        if type(x) is Aval or type(x) is np.ndarray:
            # A recording has one object for all arrays of a form, which lives as long as it does.
            key = id(x) if type(x) is Aval else (x.shape, x.dtype)
            form = self.arrays.get(key)
            if form is None:
                form = form_of(x)
                form = self.arrays[key] = self.others.setdefault(form, form)
            return form
        form = form_of(x)
        return self.others.setdefault(form, form)

    def new(self, form: Form) -> int:
        number = len(self.forms)
        self.forms[number] = form
        return number

    def constant(self, x: Any, origin: Any) -> int:
        """Return the number of a constant; equal small ones, and copies of one array, are one."""
        key = content(x)
        known = self.by_content.get(key)
        if known is None:
            known = self.by_content[key] = self.new(self.form(x))
            self.constants[known] = x
            if origin is not None:
                self.origins[known] = origin
        return known

    def returned(self, x: Any) -> int:
        """Return the number of a constant result, which may be anything."""
        if hasattr(x, "dtype") or isinstance(x, (int, float, complex)):
            return self.constant(x, None)
        number = self.new(_OTHER)
        self.constants[number] = x
        return number

    def as_numbers(self, row: Primitive, operands: tuple[int, ...], form: Form) -> tuple[int, ...]:
        """Let a constant whose entries are all equal be a number beside an operand that has the shape of the result."""
        if not (form.shape and isinstance(row, Elementwise) and isinstance(row.fn, np.ufunc)):
            return operands
        for k in (0, 1):
            a, b = operands[k], operands[1 - k]
            if a in self.constants and self.forms[b].shape == form.shape and self.forms[b].dtype == form.dtype:
                number = self.number_of(a) if self.forms[a].dtype == form.dtype else None
                if number is not None:
                    return (number, b) if k == 0 else (b, number)
        return operands

    def number_of(self, a: int) -> int | None:
        """Return the number that all entries of a constant array are."""
        if a not in self.uniform:
            x = self.constants[a]
            self.uniform[a] = None
            if (
                type(x) is np.ndarray
                and x.ndim
                and 0 < x.size <= MOST_LOOKED_AT
                and x.dtype.kind == "f"
                and bool(np.all(x == x.flat[0]))
                and np.signbit(x).any() == np.signbit(x).all()
            ):
                self.uniform[a] = self.constant(x.dtype.type(x.flat[0]), None)
        return self.uniform[a]

    def note_access(self, row: Primitive, operands: tuple[int, ...], params: dict[str, Any], result: int) -> None:
        """Remember what a value was read from, or written into, and where."""
        form = self.forms[operands[0]]
        place = self.region(params, operands[0])
        if place is None or form.kind != "array":
            return
        if row.access == "read":
            self.reads[result] = operands[0], place
            return
        value = self.forms[operands[1]]
        if value.kind == "array" and value.shape == place.shape and value.dtype == form.dtype:
            self.writes[result] = Write(operands[0], operands[1], place)

    def forwarded(
        self, row: Primitive, operands: tuple[int, ...], params: dict[str, Any]
    ) -> tuple[tuple[int, ...], dict[str, Any]]:
        """Let a read come from what was written in its place, and a write hide the one before it there."""
        first = operands[0]
        write = self.writes.get(first)
        if write is None:
            return operands, params
        place = self.region(params, first)
        while place is not None and write is not None:
            if row.access == "write":
                if write.region != place:
                    break
                first = write.base
            elif place.is_apart(write.region):
                first = write.base
            else:
                inner = place.inside(write.region)
                if inner is None:
                    break
                first, params = write.written, self.interned({"index": inner})
                place = self.region(params, first)
            write = self.writes.get(first)
        return (first, *operands[1:]), params

    def unmoved(self, row: Primitive, operands: tuple[int, ...], params: dict[str, Any], form: Form) -> int | None:
        """Return the operand that stays as it is: moved nowhere, or where what is written was read in that place."""
        if row.access == "write":
            read = self.reads.get(operands[1])
            if read is not None and read == (operands[0], self.region(params, operands[0])):
                return operands[0]
        elif row.access == "read" and operands[0] in self.constants and form.shape:
            x = self.constants[operands[0]]
            return self.constant(np.array(x[params["index"]]), None) if type(x) is np.ndarray else None
        elif isinstance(row, Movement) and self.forms[operands[0]] == form and _moves_nothing(row, form.shape, params):
            return operands[0]
        return None

    def times_one(self, row: Primitive, operands: tuple[int, ...], form: Form) -> int | None:
        """Return the operand that a product with one leaves as it is."""
        if row.fn is np.multiply:
            for k in (0, 1):
                x = self.constants.get(operands[k])
                if (
                    x is not None
                    and not self.forms[operands[k]].shape
                    and x == 1
                    and self.forms[operands[1 - k]] == form
                ):
                    return operands[1 - k]
        return None


def _moves_nothing(row: Movement, shape: tuple[int, ...], params: dict[str, Any]) -> bool:
    """Whether every entry stays in its place."""
    if row.access == "read":
        place = region(params["index"], shape)
        return place is not None and place.shape == shape
    size = math.prod(shape)
    if not shape or size > MOST_MOVED:
        return False
    return bool(np.array_equal(np.reshape(row.positions(shape, params), -1), np.arange(1, size + 1)))


def _alive(
    steps: Sequence[Step], checks: Sequence[Check], outputs: Iterable[int]
) -> tuple[list[Step], list[Check], set[int]]:
    """Leave out the steps that no output and no check needs; the checks stand before the same steps as they did.

    The values that are needed come third.
    """
    needed = {*outputs, *[c.value for c in checks]}
    kept, counts = [], [0] * (len(steps) + 1)
    for n in range(len(steps) - 1, -1, -1):
        s = steps[n]
        if s.result in needed:
            needed.update(s.operands)
            kept.append(s)
            counts[n + 1] = 1
    kept.reverse()
    before = list(accumulate(counts))
    return kept, [c._replace(before=before[c.before]) for c in checks], needed


def content(x: Any) -> Any:
    """Return a key that is equal for values that are the same bit by bit; one of its own for what cannot be looked at."""
    kind = type(x)
    if kind is int or kind is str or x is None:
        return x  # which equals no other key
    if kind is float or kind is np.float64:
        return kind, x if x == x else None, math.copysign(1.0, x)  # -0.0 is not 0.0
    if kind is dict:
        return kind, *[(k, content(v)) for k, v in x.items()]
    if kind is tuple or kind is list:
        return kind, *map(content, x)
    if kind is slice:
        a, b, c = x.start, x.stop, x.step
        if (a is None or type(a) is int) and (b is None or type(b) is int) and (c is None or type(c) is int):
            return kind, a, b, c
        return kind, content(a), content(b), content(c)
    if kind is np.ndarray:
        if x.size > MOST_LOOKED_AT or x.dtype.hasobject:
            return kind, id(x)
        return kind, x.shape, x.dtype.str, x.strides, x.tobytes("K")
    if isinstance(x, np.generic):
        return kind, np.asarray(x).tobytes()
    if kind is complex:
        return kind, np.asarray(x).tobytes()
    if kind in (bool, type(Ellipsis)) or isinstance(x, (np.dtype, type)):
        return kind, x
    return kind, id(x)
