"""Programs of arrays whose steps repeat: units that are carried out once, or again and again, each a small program of its own.

The steps are a list as :mod:`dualdiff.passes.rolling` reads it. A loop's body takes what is the same in every period, what an
earlier period made, and what stands elsewhere at another place each time; it gives what others take. So what is planned is one
period, however many there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dualdiff.garbage import uncollected
from dualdiff.passes.program import Check, Form, Program, Step, content
from dualdiff.passes.rolling import CONSTANT, INPUT, NONE, NUMBER, OPERATION, Listing, Loop, Piece, Straight, pieces

__all__ = ["Gathered", "Joined", "NotRepeatedError", "Read", "Repeats", "Stored", "Unit", "Written", "repeats"]

MOST = 2000
"""Steps of all units, beyond which planning them takes too long."""
WINDOW, WORTH = 12, 24
"""Steps that are compared at once when a period is looked for, and that a loop must save."""
WIDE = 8
"""Operands that a step in a loop may have."""
_FLOAT = np.dtype(float)


class NotRepeatedError(Exception):
    """Inside the engine: a program is none of repeated steps."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """An operand from outside of a unit.

    Attributes
    ----------
    form : Form
        What it is.
    values : array of int
        By period, the number of the value of which it is a part.
    at : array of int
        By period, how many entries of that stand before it.
    """

    form: Form
    values: Any
    at: Any


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """A part of something from outside whose entries do not stand together: an input of the body, which is read before the period.

    Attributes
    ----------
    row : int
        The row that reads.
    value : int
        The body's value.
    source : Read
        Where the first entry stands.
    strides : tuple of int
        How many entries it is to the next one, by axis.
    """

    row: int
    value: int
    source: Read
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Many values of one form that are put together one after the other: an input of the body, which does no more.

    Attributes
    ----------
    value : int
        The body's value.
    source : Read
        What is put together; there the arrays go along the values, not along periods.
    """

    value: int
    source: Read


class Stored(NamedTuple):
    """What is written into an array in one period.

    Attributes
    ----------
    value : int
        The body's value: of the shape of the part, or a number.
    at : array of int
        By period, how many entries stand before the part.
    shape, strides : tuple of int
        Of the part.
    """

    value: int
    at: Any
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """An array of which every period writes parts, in place: nobody looks at it before the last period has written.

    Attributes
    ----------
    row : int
        The row that writes last.
    base : Read
        What the array is before the first period.
    parts : list of Stored
        What is written, one after the other.
    """

    row: int
    base: Read
    parts: list[Stored]


class _Part(NamedTuple):
    """Where the entries are that a basic index picks: how many stand before the first one, and how far it is to the next."""

    at: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def is_together(self) -> bool:
        """Whether they stand together in their order."""
        expected = 1
        for n, step in zip(self.shape[::-1], self.strides[::-1], strict=True):
            if n > 1:
                if step != expected:
                    return False
                expected *= n
        return True


@dataclass(slots=True, eq=False)
class Unit:
    """Steps that are carried out ``count`` times.

    Attributes
    ----------
    start, period : int
        Of the list of rows, where they begin and how many one period has.
    count : int
        How often.
    body : Program
        One period; its inputs are the reads.
    reads : list of Read
        By input of the body.
    made : dict
        By row of the period, the body's value.
    checks : list
        By check of the body: by period, which of the program's it is.
    gathered, written : list
        What is read, and what is written, entry by entry.
    joined : Joined or None
        What is put together by a unit that does no more.
    """

    start: int
    period: int
    count: int
    body: Program
    reads: list[Read] = field(default_factory=list)
    made: dict[int, int] = field(default_factory=dict)
    checks: list[Any] = field(default_factory=list)
    gathered: list[Gathered] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    joined: Joined | None = None

    @property
    def taken(self) -> list[Read]:
        """All that is read from outside."""
        joined = [] if self.joined is None else [self.joined.source]
        return [*self.reads, *[w.base for w in self.written], *joined]


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """A program as units, one after the other.

    Values are numbered: first the constants, then the inputs, then the rows of the list.

    Attributes
    ----------
    units : list of Unit
        In order.
    constants : list
        Their values.
    first_input, first : int
        The numbers of the first input and of the first row.
    inputs : list of Form
        What the inputs are.
    outputs : list of Read
        Where the program's outputs are, as if they were read.
    """

    units: list[Unit]
    constants: list[Any]
    first_input: int
    first: int
    inputs: list[Form]
    outputs: list[Read]


def repeats(program: Program) -> Repeats:
    """Find the loops of a program.

    Raises
    ------
    NotRepeatedError
        Inside the engine, if it has none, or what is left is too much.
    """
    if any(form.kind == "other" or 0 in form.shape for form in program.forms.values()):
        raise NotRepeatedError("arrays of no numbers")
    if any(program.forms[i].dtype != _FLOAT for i in range(program.inputs)):
        raise NotRepeatedError("inputs that are no numbers of double precision")
    with uncollected():
        return _Reader(program).found()


class _Reader:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.constants = list(program.constants)
        self.first_input = len(self.constants)
        self.first = self.first_input + program.inputs
        self.number: dict[int, int] = {i: n for n, i in enumerate(self.constants)}
        self.number |= {i: self.first_input + i for i in range(program.inputs)}
        self.rows: list[Step | Check] = []
        self.wide: set[int] = set()
        self.parts: dict[int, _Part] = {}  # by result: what is read or written
        self._memory: dict[Form, Any] = {}
        self._codes: dict[Any, int] = {}
        self._forms: dict[int, int] = {}
        self._equal_forms: dict[Form, int] = {}
        self._params: dict[int, int] = {}
        self._contents: dict[Any, int] = {}

    # -- the list ----------------------------------------------------------------------------------
    def _form(self, i: int) -> int:
        form = self.program.forms[i]
        found = self._forms.get(id(form))
        if found is None:
            found = self._forms[id(form)] = self._equal_forms.setdefault(form, len(self._equal_forms))
        return found

    def _content(self, params: dict[str, Any]) -> int:
        if not params:
            return -1
        found = self._params.get(id(params))
        if found is None:
            found = self._params[id(params)] = self._contents.setdefault(content(params), len(self._contents))
        return found

    def _listing(self) -> Listing:
        program = self.program
        most = WIDE + 1
        codes: list[int] = []
        operands: list[int] = []
        kinds: list[int] = []
        waiting = list(enumerate(program.checks))[::-1]

        def note(row: Step | Check, code: Any, given: Sequence[int], number: int | None) -> None:
            if len(given) > WIDE:
                self.wide.add(len(self.rows))
                given = ()
            codes.append(self._codes.setdefault(code, len(self._codes)))
            left = WIDE - len(given)
            operands.extend([*given, *[-1] * left, -1 if number is None else number])
            kinds.extend([CONSTANT if n < self.first_input else INPUT if n < self.first else OPERATION for n in given])
            # Where a part stands may be anywhere, as a constant may be any; checks are in order.
            kinds.extend([*[NONE] * left, NONE if number is None else CONSTANT if type(row) is Step else NUMBER])
            self.rows.append(row)

        number = self.number
        for n, s in enumerate(program.steps):
            while waiting and waiting[-1][1].before <= n:
                c, check = waiting.pop()
                note(check, ("check", content(check.then), self._form(check.value)), (number[check.value],), c)
            forms = (self._form(s.result), *[self._form(i) for i in s.operands])
            part = self._part(s)
            if part is None:
                code: Any = (s.row, forms, self._content(s.params))
            else:
                code = (s.row, forms, part.shape, part.strides)
                self.parts[s.result] = part
            number[s.result] = self.first + len(self.rows)
            note(s, code, [number[i] for i in s.operands], None if part is None else part.at)
        while waiting:
            c, check = waiting.pop()
            note(check, ("check", content(check.then), self._form(check.value)), (number[check.value],), c)
        shape = len(codes), most
        return Listing(
            [],
            np.array(codes, dtype=np.int32),
            np.array(operands, dtype=np.int32).reshape(shape),
            np.array(kinds, dtype=np.int8).reshape(shape),
            self.constants,
            [(i, 1) for i in range(program.inputs)],
            WINDOW,
            WORTH,
        )

    def _part(self, s: Step) -> _Part | None:
        """Return what a step reads or writes of an array, if slices and integers say it."""
        if not s.row.access:
            return None
        form = self.program.forms[s.operands[0]]
        index = s.params["index"]
        parts = index if type(index) is tuple else (index,)
        if form.kind != "array" or not all(
            type(i) is slice or type(i) is int or i is None or i is Ellipsis for i in parts
        ):
            return None
        memory = self._memory.get(form)
        if memory is None:
            memory = self._memory[form] = np.empty(form.shape, dtype=np.int8)
        read = memory[parts if any(i is Ellipsis for i in parts) else (*parts, ...)]
        at = read.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
        strides = tuple([step if n > 1 else 0 for n, step in zip(read.shape, read.strides, strict=True)])
        return _Part(int(at), read.shape, strides)

    # -- units -------------------------------------------------------------------------------------
    def found(self) -> Repeats:
        program = self.program
        listing = self._listing()
        found = pieces(listing)
        if not any(isinstance(p, Loop) for p in found):
            raise NotRepeatedError("nothing in it repeats")
        if sum(len(p.codes) for p in found) > min(MOST, len(self.rows) // 2):
            raise NotRepeatedError("too much of it does not repeat")
        total = self.first + len(self.rows)
        self.root = np.arange(total)  # of what is a part of another value: that value, and where it begins there
        self.at = np.zeros(total, dtype=np.int64)
        units = [self._unit(part) for piece in found for part in self._parted(piece)]
        outputs = []
        for i, form in zip(program.outputs, program.results, strict=True):
            n = self.number[i]
            if program.forms[i].dtype != _FLOAT or form.dtype != _FLOAT:
                raise NotRepeatedError(f"a result of {form.dtype}")
            outputs.append(Read(program.forms[i], self.root[n : n + 1], self.at[n : n + 1]))
        constants = [program.constants[i] for i in self.constants]
        inputs = [program.forms[i] for i in range(program.inputs)]
        return Repeats(units, constants, self.first_input, self.first, inputs, outputs)

    def _parted(self, piece: Piece) -> Iterator[Piece]:
        """Cut straight lines where many values are put together."""
        at = 0
        if isinstance(piece, Straight):
            for n in sorted(self.wide):
                k = n - piece.start
                if at <= k < len(piece.codes) and self._is_in_order(self.rows[n]):
                    for some in (slice(at, k), slice(k, k + 1)):
                        if some.start < some.stop:
                            yield _straight(piece, some)
                    at = k + 1
        if at == 0:
            yield piece
        elif at < len(piece.codes):
            yield _straight(piece, slice(at, len(piece.codes)))

    def _is_in_order(self, row: Any) -> bool:
        """Whether a step puts its operands together entry after entry."""
        forms = [self.program.forms[i] for i in row.operands]
        if row.row.kind != "movement" or any(f != forms[0] for f in forms) or forms[0].dtype != _FLOAT:
            return False
        size = math.prod(forms[0].shape)
        entries = np.arange(size * len(forms)).reshape(-1, *forms[0].shape)
        found = row.row.fn(*[x if x.shape else x[()] for x in entries], **row.params)
        return np.array_equal(np.ravel(found), np.ravel(entries))

    def _joined(self, unit: Unit, row: Step) -> Unit:
        numbers = np.array([self.number[i] for i in row.operands])
        form = self.program.forms[row.operands[0]]
        unit.body.forms[0] = self.program.forms[row.result]
        unit.body.inputs = 1
        unit.made[0] = 0
        unit.joined = Joined(0, Read(form, self.root[numbers], self.at[numbers]))
        return unit

    def _unit(self, piece: Piece) -> Unit:
        program = self.program
        period = len(piece.codes)
        count = piece.count if isinstance(piece, Loop) else 1
        unit = Unit(piece.start, period, count, Program(0, {}, {}, {}, [], [], (), (), period, period))
        if period == 1 and piece.start in self.wide and self._is_in_order(self.rows[piece.start]):
            return self._joined(unit, self.rows[piece.start])  # type: ignore[arg-type]
        builder = _Body(self, unit)
        begin = (
            self.first + piece.start + (period if count > 1 else 0)
        )  # of the period that is looked at: the second one
        chains = self._chains(piece, begin)
        in_place = {j for chain in chains for j in chain}
        for j in range(period):
            n = begin + j
            row = self.rows[n - self.first]
            if n - self.first in self.wide:
                if count > 1:
                    raise NotRepeatedError("a step of many operands")
                taken = [(np.array([self.number[i]]), i) for i in row.operands]  # type: ignore[union-attr]
            else:
                given = row.operands if isinstance(row, Step) else (row.value,)
                taken = [(_taken(piece, j, k), i) for k, i in enumerate(given)]
            if j in in_place:
                builder.stored(row, builder.operand(*taken[1]), j, _taken(piece, j, WIDE), self.parts[row.result])
                continue
            operands = [builder.operand(values, i) for values, i in taken]
            if isinstance(row, Check):
                builder.check(row, operands[0], _taken(piece, j, WIDE))
                continue
            part = self.parts.get(row.result)
            if part is not None and row.row.access == "read":
                at = _taken(piece, j, WIDE)
                moves = bool(np.any(at != at[0]))
                read = builder.read_of(operands[0])
                if read is not None and (moves or part.is_together):
                    if not part.is_together:
                        builder.gathered(row, read, j, at, part)
                        continue
                    mine = self.first + piece.start + j + period * np.arange(count)
                    self.root[mine], self.at[mine] = read.values, read.at + at
                    continue
                if moves:
                    raise NotRepeatedError("a part of what is computed that moves")
            builder.step(row, operands, j)
        for chain in chains:
            builder.written(chain, _taken(piece, chain[0], 0))
        return builder.finished(program)

    def _chains(self, piece: Piece, begin: int) -> list[list[int]]:
        """Find the rows of a loop that write parts of one array, one after the other, if some of these parts move."""
        if not isinstance(piece, Loop):
            return []
        rows = {}
        for j in range(piece.period):
            row = self.rows[begin + j - self.first]
            if isinstance(row, Step) and row.row.access == "write" and row.result in self.parts:
                rows[j] = bool(np.any((at := _taken(piece, j, WIDE)) != at[0]))
        before: dict[int, tuple[int, int]] = {}  # the row that makes what a row writes into, and how many periods ago
        for j in rows:
            ago, of = divmod(int(piece.second[j, 0]) - begin, piece.period)
            if of in rows and ago in (0, -1) and int(piece.step[j, 0]) == piece.period:
                before[j] = of, -ago
        after = {of: j for j, (of, _) in before.items()}
        chains = []
        for j, (_, ago) in before.items():
            if ago != 1:
                continue
            chain = [j]
            while (k := after.get(chain[-1])) is not None and before[k][1] == 0:
                chain.append(k)
            if before[j][0] == chain[-1] and any(rows[k] for k in chain):
                chains.append(chain)
        if any(is_moving and not any(j in chain for chain in chains) for j, is_moving in rows.items()):
            raise NotRepeatedError("a part that is written of an array that is none of the loop's")
        return chains


def _straight(piece: Straight, some: slice) -> Straight:
    return Straight(piece.start + some.start, piece.codes[some], piece.operands[some], piece.kinds[some])


def _taken(piece: Piece, j: int, k: int) -> Any:
    """Return an operand in every period."""
    return piece.taken(j, k) if isinstance(piece, Loop) else piece.operands[j : j + 1, k].astype(np.int64)


class _Body:
    """One period while it is written: operands are ("read", its number), or a value of the body's steps or constants."""

    def __init__(self, reader: _Reader, unit: Unit) -> None:
        self.reader, self.unit = reader, unit
        self.begin = reader.first + unit.start
        self.known: dict[Any, Any] = {}
        self.steps: list[tuple[Step, list[Any], int]] = []
        self.checks: list[tuple[Check, Any, Any]] = []
        self.reads: list[Read] = []
        self.gathers: dict[int, tuple[int, Read, tuple[int, ...]]] = {}  # by read: the row, where it begins, strides
        self.stores: dict[int, tuple[Step, Any, Any, _Part]] = {}
        self.chains: list[tuple[list[int], Read]] = []

    def operand(self, values: Any, i: int) -> Any:
        """Return an operand: what the same period makes, a constant, or something from outside."""
        reader, unit = self.reader, self.unit
        mine = self.begin + unit.period * np.arange(unit.count)
        within = values - mine
        if (within == within[0]).all() and 0 <= within[0] < unit.period:
            j = int(within[0])
            found = self.known.get(("made", j))
            if found is not None:
                return found
            # A part of something from outside, which is no step.
        elif (values == values[0]).all() and values[0] < reader.first_input:
            return "constant", reader.constants[int(values[0])]
        roots, at = reader.root[values], reader.at[values]
        if (roots >= self.begin).any() and (roots >= mine).any():
            raise NotRepeatedError("a value that is not there yet")
        form = reader.program.forms[i]
        if form.kind == "float" and form.dtype.kind == "i" and (roots < reader.first_input).all():
            form = form._replace(
                dtype=_FLOAT
            )  # one of Python's integers in every period: beside numbers they are numbers
        key = ("read", roots.tobytes(), at.tobytes(), form)
        if key not in self.known:
            self.known[key] = "read", len(self.reads)
            self.reads.append(Read(form, roots, at))
        return self.known[key]

    def read_of(self, operand: Any) -> Read | None:
        """Return an operand from outside, also of a constant; None of what the period makes."""
        kind, which = operand
        if kind == "read":
            return self.reads[which]
        if kind == "constant":
            n = self.reader.number[which]
            zeros = np.zeros(self.unit.count, dtype=np.int64)
            return Read(self.reader.program.forms[which], n + zeros, zeros)
        return None

    def step(self, row: Step, operands: list[Any], j: int) -> None:
        self.known["made", j] = "made", j
        self.steps.append((row, operands, j))

    def gathered(self, row: Step, read: Read, j: int, at: Any, part: _Part) -> None:
        """Take a part down that is read before the period."""
        form = self.reader.program.forms[row.result]
        which = len(self.reads)
        self.known["made", j] = "read", which
        source = Read(form, read.values, read.at + at)
        self.reads.append(source)
        self.gathers[which] = j, source, part.strides

    def stored(self, row: Step, value: Any, j: int, at: Any, part: _Part) -> None:
        """Take a part down that is written at the end of the period."""
        forms = self.reader.program.forms
        form = forms[row.operands[1]]
        if (
            (form.shape and form.shape != part.shape)
            or (form.dtype != _FLOAT and value[0] != "constant")
            or forms[row.result].dtype != _FLOAT
        ):
            raise NotRepeatedError("a part that is written of what has another form")
        self.stores[j] = row, value, at, part

    def written(self, chain: list[int], values: Any) -> None:
        """Take an array down into which rows write one after the other, the first one into what the last one left a period ago."""
        reader = self.reader
        first = values[:1]
        if first[0] >= self.begin:
            raise NotRepeatedError("a value that is not there yet")
        form = reader.program.forms[self.stores[chain[0]][0].result]
        self.chains.append((chain, Read(form, reader.root[first], reader.at[first])))

    def check(self, row: Check, operand: Any, numbers: Any) -> None:
        self.checks.append((row, operand, numbers))

    def finished(self, program: Program) -> Unit:
        """Number the body's values: the reads that are still used first."""
        unit, body = self.unit, self.unit.body
        operands = [*[o for _, given, _ in self.steps for o in given], *[o for _, o, _ in self.checks]]
        operands += [o for _, o, _, _ in self.stores.values()]
        used = {which for kind, which in operands if kind == "read"} | self.gathers.keys()
        number: dict[Any, int] = {}
        for which in sorted(used):
            number["read", which] = n = len(unit.reads)
            body.forms[n] = self.reads[which].form
            unit.reads.append(self.reads[which])
            if which in self.gathers:
                j, source, strides = self.gathers[which]
                unit.made[j] = n
                unit.gathered.append(Gathered(j, n, source, strides))
        body.inputs = len(unit.reads)
        for operand in operands:
            kind, which = operand
            if kind == "constant" and operand not in number:
                number[operand] = len(body.forms)
                body.forms[number[operand]] = program.forms[which]
                body.constants[number[operand]] = program.constants[which]
        for row, given, j in self.steps:
            result = number["made", j] = unit.made[j] = len(body.forms)
            body.forms[result] = program.forms[row.result]
            body.steps.append(Step(row.row, tuple([number[o] for o in given]), row.params, result, row.place))
        for check, operand, numbers in self.checks:
            body.checks.append(Check(number[operand], check.then, len(body.steps), check.place))
            unit.checks.append(numbers)
        for chain, base in self.chains:
            parts = []
            for j in chain:
                _, operand, at, part = self.stores[j]
                self._look_apart(operand)
                parts.append(Stored(number[operand], at, part.shape, part.strides))
            unit.written.append(Written(chain[-1], base, parts))
        return unit

    def _look_apart(self, operand: Any) -> None:
        """See to it that what is written into an array is not itself read from one that is written in place."""
        kind, which = operand
        if kind != "read" or which in self.gathers:
            return
        values = self.reads[which].values
        mine = values[values >= self.begin]
        if np.isin((mine - self.begin) % self.unit.period, [*self.stores]).any():
            raise NotRepeatedError("a part that is written where others are read")
