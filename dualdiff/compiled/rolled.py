"""Large programs of numbers as machine code: loops where operations repeat, straight lines in between.

A value that only the next periods of its loop need is carried in a register. One that is needed elsewhere goes into memory as soon
as it is known, and an array of such values is where a later loop runs along them: forwards, or backwards as an adjoint does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dualdiff.compiled import operations
from dualdiff.passes.periods import listed_by_periods
from dualdiff.passes.program import Program
from dualdiff.passes.repeats import repeats
from dualdiff.passes.rolling import CONSTANT, INPUT, NUMBER, OPERATION, Listing, Loop, Straight, Stretch, listed, pieces
from dualdiff.passes.scalars import NotScalarError, Scalars
from dualdiff.passes.units import NotRepeatedError

__all__ = ["MOST", "Rolled", "rolled", "rolled_by_periods", "way_in"]

MOST = 1 << 21
"""Nodes up to which a program is expanded to be rolled."""
MOST_WRITTEN = 50_000
"""Operations of the code: beyond them it takes too long to compile."""
MOST_OPTIMIZED = 4000
"""Operations of the code up to which the generator of code looks for good registers."""
CHUNK = 1000
"""Operations of one function of straight lines."""
CARRIED = 4
"""Periods over which a value is carried in registers; one that is needed later comes from memory."""
_UNCOUNTED = frozenset(("check", "check not", "output", "logical_and", "logical_or"))
"""What takes next to no time."""
_FLOAT = np.dtype(float)


@dataclass(frozen=True, slots=True)
class Rolled:
    """A program in LLVM's language.

    Attributes
    ----------
    text : str
        The module. Its function is ``i32 @program(ptr inputs, ptr outputs)``: of the addresses of the inputs' numbers, and of where
        the outputs' numbers go, one output after the other. It returns 0; or -1 where an output is not finite; or the number of a
        check that does not hold, counted from 1. It may run in many threads at a time.
    effort : int
        How hard the generator of code is to try.
    written : int
        How many operations the code has.
    count : int
        How many operations a run takes.
    loops : tuple of tuple
        Of each loop, how many operations it has and how often it runs.
    memory : int
        Numbers that are kept in memory for a later loop.
    """

    text: str
    effort: int
    written: int
    count: int
    loops: tuple[tuple[int, int], ...]
    memory: int


def rolled(program: Program, scalars: Scalars) -> Rolled:
    """Return a program of numbers in LLVM's language, with loops where operations repeat.

    Raises
    ------
    NotScalarError
        Inside the engine, if there is no machine code for some operation, input or result, or too much of it.
    """
    _check(program, scalars)
    return _Writer(listed(scalars, [c.then for c in program.checks])).written()


def rolled_by_periods(program: Program) -> Rolled | None:
    """Return the same of a program whose steps are seen to repeat, of which one period is expanded; None where they do not.

    That takes no longer than reading the steps does.
    """
    if any(program.forms[i].dtype != _FLOAT for i in range(program.inputs)):
        return None
    try:
        listing, stretches = listed_by_periods(program, repeats(program))
        return _Writer(listing, stretches).written()
    except (NotRepeatedError, NotScalarError):
        return None


def _check(program: Program, scalars: Scalars) -> None:
    for form, _ in scalars.outputs:
        if form.dtype != _FLOAT:
            raise NotScalarError(f"a result of {form.dtype}")
    for i in {o[1] for o in scalars.operations if o[0] == "input"}:
        if program.forms[i].dtype != _FLOAT:
            raise NotScalarError(f"an input of {program.forms[i].dtype}")


# --------------------------------------------------------------------------------------------------
# one function


class _Function:
    """The lines of one function: what is read before, and what is done."""

    def __init__(self, writer: _Writer, name: str) -> None:
        self.writer = writer
        self.name = name
        self.before: list[str] = []
        self.lines: list[str] = []
        self.after: list[str] = []  # where checks fail
        self.pointers: set[int] = set()
        self.serial = 0

    def new(self) -> str:
        self.serial += 1
        return f"%t{self.serial}"

    def pointer(self, i: int) -> str:
        """Return where the numbers of an input begin."""
        if i not in self.pointers:
            self.pointers.add(i)
            self.before += [f"%a{i} = getelementptr ptr, ptr %inputs, i64 {i}", f"%x{i} = load ptr, ptr %a{i}"]
        return f"%x{i}"

    def place(self, lines: list[str], base: str, offset: int | str) -> str:
        """Return the address of a number in an array."""
        if offset == 0:
            return base
        address = self.new()
        lines.append(f"{address} = getelementptr double, ptr {base}, i64 {offset}")
        return address

    def load(self, lines: list[str], address: str, truth: bool = False) -> str:
        value = self.new()
        lines.append(f"{value} = load double, ptr {address}")
        if not truth:
            return value
        lines.append(f"{value}.true = fcmp une double {value}, 0.0")
        return f"{value}.true"

    def store(self, lines: list[str], value: str, address: str, truth: bool = False) -> None:
        if truth:
            number = self.new()
            lines.append(f"{number} = uitofp i1 {value} to double")
            value = number
        lines.append(f"store double {value}, ptr {address}")

    def fixed(self, lines: list[str], number: int) -> str:
        """Return a value that was there before: a constant, an entry of an input, or what is in memory."""
        writer = self.writer
        if number < writer.first_input:
            return operations.constant(writer.listing.constants[number])
        if number < writer.first:
            i, k = writer.entry(number)
            return self.load(lines, self.place(lines, self.pointer(i), k))
        slot = int(writer.slots[number])
        return self.load(lines, self.place(lines, "%memory", slot), bool(writer.truths[number - writer.first]))

    def check(self, label: str, value: str, holds: bool, number: str) -> None:
        """Leave where a truth value is another one."""
        go, changed = f"%go{label}", f"%changed{label}"
        self.lines += [
            f"br i1 {value}, label {go if holds else changed}, label {changed if holds else go}",
            f"go{label}:",
        ]
        self.after.append(f"changed{label}:")
        if number.startswith("%"):
            self.after.append(f"%status{label} = trunc i64 {number} to i32")
            number = f"%status{label}"
        self.after.append(f"ret i32 {number}")

    @property
    def text(self) -> str:
        body = "\n".join(["entry:", *self.before, *self.lines, "ret i32 0", *self.after])
        return f"define internal i32 @{self.name}(ptr %inputs, ptr %outputs, ptr %memory) {{\n{body}\n}}\n"


# --------------------------------------------------------------------------------------------------
# a whole program


@dataclass(slots=True)
class _Places:
    """How a loop keeps its values: which in every period, which of the last one alone."""

    each: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)


class _Writer:
    def __init__(self, listing: Listing, known: Sequence[Stretch] = ()) -> None:
        self.listing = listing
        self.first_input, self.first = listing.first_input, listing.first
        self.units: list[Loop | Straight] = []
        for piece in pieces(listing, known):
            if isinstance(piece, Loop):
                self.units.append(piece)
                continue
            for at in range(0, len(piece.codes), CHUNK):
                some = slice(at, at + CHUNK)
                self.units.append(
                    Straight(piece.start + at, piece.codes[some], piece.operands[some], piece.kinds[some])
                )
        self.size = sum(len(unit.codes) for unit in self.units)
        if self.size > MOST_WRITTEN:
            raise NotScalarError(f"{self.size} operations that do not repeat")
        self.truths = np.array([name in operations.TRUTHS for name in listing.names])[listing.codes]
        self.slots = np.full(self.first + len(listing.codes), -1, dtype=np.int64)  # where values are in memory
        self.memory = 0
        self.tables: dict[tuple[Any, ...], str] = {}
        self.table_lines: list[str] = []
        self.starts = np.cumsum([listing.first_input, *[size for _, size in listing.inputs]])

    def entry(self, number: int) -> tuple[int, int]:
        """Return which entry of which input a value is."""
        n = int(np.searchsorted(self.starts, number, side="right")) - 1
        return self.listing.inputs[n][0], number - int(self.starts[n])

    def written(self) -> Rolled:
        listing = self.listing
        self._allot(self._needed())
        functions = [self._copied_inputs()]
        for n, unit in enumerate(self.units):
            functions.append(self._loop(n, unit) if isinstance(unit, Loop) else self._straight(n, unit))
        functions = [f for f in functions if f.lines]
        counts = np.bincount(listing.codes, minlength=len(listing.names)).tolist()
        number_of = {name: n for name, n in zip(listing.names, counts, strict=True) if n}
        outputs = number_of.get("output", 0)
        count = sum(n for name, n in number_of.items() if name not in _UNCOUNTED)
        text = "".join(
            [
                operations.declared(list(number_of)),
                *self.table_lines,
                *[f.text for f in functions],
                way_in([f.name for f in functions], outputs, self.memory),
            ]
        )
        loops = tuple([(u.period, u.count) for u in self.units if isinstance(u, Loop)])
        return Rolled(text, 1 if self.size <= MOST_OPTIMIZED else 0, self.size, count, loops, self.memory)

    # -- memory ------------------------------------------------------------------------------------
    def _needed(self) -> Any:
        """Return which values must be in memory: those that another piece takes, or another period of a loop that is far away."""
        needed = np.zeros(len(self.slots), dtype=bool)
        for unit in self.units:
            begin, end = self.first + unit.start, self.first + unit.stop
            if isinstance(unit, Straight):
                taken = unit.operands[unit.kinds == OPERATION]
                needed[taken[taken < begin]] = True
                continue
            for j, k in zip(*np.nonzero((unit.kinds == OPERATION) | (unit.kinds == INPUT)), strict=True):
                way, distance = self._way(unit, j, k)
                taken = unit.taken(j, k)
                if way == "memory":
                    needed[taken] = True
                elif way in ("fixed", "carried"):
                    taken = taken[: max(distance, 1)]
                    needed[taken[(taken >= self.first) & (taken < end)]] = True
        needed[: self.first_input] = False
        return needed

    def _way(self, loop: Loop, j: int, k: int) -> tuple[str, int]:
        """Return how an operand of a loop is reached, and over how many periods it is carried."""
        kind, second, step = loop.kinds[j, k], int(loop.second[j, k]), int(loop.step[j, k])
        begin = self.first + loop.start
        if kind == NUMBER:
            return "number", 0
        if kind == CONSTANT:
            return ("table" if (j, k) in loop.tables else "fixed"), 0
        if step == 0 and second == loop.initial[j, k]:
            return "fixed", 0
        if kind == INPUT:
            ends = [self.entry(int(n))[0] for n in (second - step, second + step * (loop.count - 2))]
            return ("input" if ends[0] == ends[1] else "memory"), 0
        if step == loop.period:
            distance = 1 - (second - begin) // loop.period
            if distance == 0:
                return "same", 0
            if distance <= CARRIED and distance < loop.count:
                return "carried", distance
        return "memory", 0

    def _allot(self, needed: Any) -> None:
        """Give every value that must be in memory its place; those of a loop's period stand together."""
        self.places: dict[int, _Places] = {}
        inputs = np.flatnonzero(needed[: self.first])
        self.slots[inputs] = self.memory + np.arange(len(inputs))
        self.memory += len(inputs)
        for n, unit in enumerate(self.units):
            begin, end = self.first + unit.start, self.first + unit.stop
            if isinstance(unit, Straight):
                wanted = begin + np.flatnonzero(needed[begin:end])
                self.slots[wanted] = self.memory + np.arange(len(wanted))
                self.memory += len(wanted)
                continue
            where = needed[begin:end].reshape(unit.count, unit.period)
            each = np.flatnonzero(where[:-1].any(axis=0))
            last = np.flatnonzero(where[-1] & ~where[:-1].any(axis=0))
            places = self.places[n] = _Places(
                {int(j): self.memory + q for q, j in enumerate(each)},
                {int(j): self.memory + len(each) * unit.count + q for q, j in enumerate(last)},
            )
            slots = self.slots[begin:end].reshape(unit.count, unit.period)
            for j, slot in places.each.items():
                slots[:, j] = slot + len(each) * np.arange(unit.count)
            for j, slot in places.last.items():
                slots[-1, j] = slot
            self.memory += len(each) * unit.count + len(last)

    def _copied_inputs(self) -> _Function:
        """Write how entries of inputs are put where a loop runs along several inputs."""
        function = _Function(self, "inputs")
        for number in np.flatnonzero(self.slots[: self.first] >= 0).tolist():
            i, k = self.entry(number)
            value = function.load(function.lines, function.place(function.lines, function.pointer(i), k))
            function.store(function.lines, value, function.place(function.lines, "%memory", int(self.slots[number])))
        return function

    def _table(self, kind: str, values: Sequence[str]) -> str:
        """Return the name of an array of constants."""
        key = (kind, *values)
        if key not in self.tables:
            name = self.tables[key] = f"@table{len(self.tables)}"
            entries = ", ".join(f"{kind} {v}" for v in values)
            self.table_lines.append(f"{name} = private constant [{len(values)} x {kind}] [{entries}]\n")
        return self.tables[key]

    # -- straight lines ----------------------------------------------------------------------------
    def _straight(self, n: int, unit: Straight) -> _Function:
        function, listing = _Function(self, f"piece{n}"), self.listing
        lines, names, first = function.lines, listing.names, self.first
        known: dict[Any, Any] = {}
        truths = self.truths[unit.start : unit.stop].tolist()
        slots = self.slots[first + unit.start : first + unit.stop].tolist()
        rows = zip(unit.codes.tolist(), unit.operands.tolist(), unit.kinds.tolist(), strict=True)
        for at, (code, taken, kinds) in enumerate(rows, unit.start):
            given = []
            for number, kind in zip(taken, kinds, strict=True):
                if kind == NUMBER:
                    given.append(str(number))
                elif kind in (CONSTANT, INPUT, OPERATION):
                    value = known.get(number)
                    if value is None:
                        value = known[number] = function.fixed(lines, number)
                    given.append(value)
            name, value = names[code], f"%v{at}"
            if name == "output":
                function.store(lines, given[0], function.place(lines, "%outputs", int(given[1])))
            elif name in ("check", "check not"):
                function.check(str(at), given[0], name == "check", str(int(given[1]) + 1))
            else:
                lines += operations.text(name, value, given)
                known[first + at] = value
                slot = slots[at - unit.start]
                if slot >= 0:
                    function.store(lines, value, function.place(lines, "%memory", slot), truths[at - unit.start])
        return function

    # -- loops -------------------------------------------------------------------------------------
    def _loop(self, n: int, loop: Loop) -> _Function:
        return _LoopWriter(self, f"piece{n}", loop, self.places[n]).written()


class _LoopWriter:
    """The writing of one loop."""

    def __init__(self, writer: _Writer, name: str, loop: Loop, places: _Places) -> None:
        self.writer, self.loop, self.places = writer, loop, places
        self.function = _Function(writer, name)
        self.top: list[str] = []  # where the numbers of this period begin in the arrays
        self.body: list[str] = []
        self.phis: list[str] = []
        self.bases: dict[tuple[str, int], str] = {}
        self.carried: dict[tuple[int, tuple[int, ...]], str] = {}
        self.truths = writer.truths[loop.start : loop.start + loop.period].tolist()

    def written(self) -> _Function:
        function, loop, writer = self.function, self.loop, self.writer
        function.lines = body = self.body
        stride = len(self.places.each)
        for j, code in enumerate(loop.codes.tolist()):
            name = writer.listing.names[code]
            if name == "output":
                entry, step = self.number(j)
                function.store(body, self.operand(j, 0), function.place(body, self.base("%outputs", step), entry))
            elif name in ("check", "check not"):
                value = self.operand(j, 0)
                entry, step = self.number(j)
                number = str(entry + 1)
                if step:
                    by = function.new()
                    number = f"{by}.number"
                    body += [f"{by} = mul i64 %k, {step}", f"{number} = add i64 {by}, {entry + 1}"]
                function.check(str(j), value, name == "check", number)
            else:
                given = [self.operand(j, k) for k in range(3) if loop.kinds[j, k]]
                body += operations.text(name, f"%v{j}", given)
                if j in self.places.each:
                    base = self.base("%memory", stride)
                    function.store(body, f"%v{j}", function.place(body, base, self.places.each[j]), self.truths[j])
        end: list[str] = []
        for j, slot in self.places.last.items():
            function.store(end, f"%v{j}", function.place(end, "%memory", slot), self.truths[j])
        function.lines = [
            "br label %loop",
            "loop:",
            "%k = phi i64 [0, %entry], [%next, %latch]",
            *self.phis,
            *self.top,
            *body,
            "br label %latch",
            "latch:",
            "%next = add i64 %k, 1",
            f"%done = icmp eq i64 %next, {loop.count}",
            "br i1 %done, label %end, label %loop",
            "end:",
            *end,
        ]
        return function

    def number(self, j: int) -> tuple[int, int]:
        """Return a number that is none of the program's in the first period, and by how much it grows."""
        step = int(self.loop.step[j, 1])
        return int(self.loop.second[j, 1]) - step, step

    def base(self, array: str, stride: int) -> str:
        """Return where the numbers of this period begin in an array, so many of which belong to each."""
        if stride == 0:
            return array
        found = self.bases.get((array, stride))
        if found is None:
            found = self.bases[array, stride] = self.function.new()
            index = "%k"
            if stride != 1:
                index = f"{found}.index"
                self.top.append(f"{index} = mul i64 %k, {stride}")
            self.top.append(f"{found} = getelementptr double, ptr {array}, i64 {index}")
        return found

    def operand(self, j: int, k: int) -> str:
        writer, function, loop, body = self.writer, self.function, self.loop, self.body
        way, distance = writer._way(loop, j, k)
        first = int(loop.initial[j, k])
        if way == "same":
            return f"%v{first - writer.first - loop.start}"
        if way == "carried":
            j2 = (int(loop.second[j, k]) - writer.first - loop.start) % loop.period
            return self.phi(j2, tuple(loop.taken(j, k)[:distance].tolist()))
        if way == "fixed":
            return function.fixed(function.before if writer.first_input <= first else body, first)
        if way == "input":
            i, entry = writer.entry(first)
            base = self.base(function.pointer(i), int(loop.step[j, k]))
            return function.load(body, function.place(body, base, entry))
        taken = loop.taken(j, k)
        if way == "table":
            values = [writer.listing.constants[c] for c in taken.tolist()]
            kind = "i1" if isinstance(values[0], bool) else "double"
            if {isinstance(v, bool) for v in values} != {kind == "i1"}:
                raise NotScalarError("a constant that is a number here and a truth value there")
            table = writer._table(kind, [operations.constant(v) for v in values])
            address, value = function.new(), function.new()
            body += [
                f"{address} = getelementptr {kind}, ptr {table}, i64 %k",
                f"{value} = load {kind}, ptr {address}",
            ]
            return value
        slots = writer.slots[taken]
        truth = loop.kinds[j, k] == OPERATION and bool(writer.truths[taken[-1] - writer.first])
        stride = int(slots[1] - slots[0])
        if np.all(np.diff(slots) == stride):
            return function.load(body, function.place(body, self.base("%memory", stride), int(slots[0])), truth)
        table = writer._table("i32", list(map(str, slots.tolist())))
        address, slot = function.new(), function.new()
        body += [
            f"{address} = getelementptr i32, ptr {table}, i64 %k",
            f"{slot} = load i32, ptr {address}",
            f"{slot}.wide = zext i32 {slot} to i64",
        ]
        return function.load(body, function.place(body, "%memory", f"{slot}.wide"), truth)

    def phi(self, j: int, initial: tuple[int, ...]) -> str:
        """Return the value of an operation as many periods ago as there are values for it before the loop."""
        found = self.carried.get((j, initial))
        if found is None:
            function = self.function
            found = self.carried[j, initial] = function.new()
            before = function.fixed(function.before, initial[0])
            later = self.phi(j, initial[1:]) if len(initial) > 1 else f"%v{j}"
            kind = "i1" if self.truths[j] else "double"
            self.phis.append(f"{found} = phi {kind} [{before}, %entry], [{later}, %latch]")
        return found


# --------------------------------------------------------------------------------------------------
# the way in


def way_in(names: Sequence[str], outputs: int, memory: int) -> str:
    """Return the function ``program`` of a module, which calls others in order, and what it needs.

    Parameters
    ----------
    names : sequence of str
        The functions, each ``i32 (ptr inputs, ptr outputs, ptr memory)``; what is not 0 ends the run.
    outputs, memory : int
        How many numbers there are.
    """
    return _finite(outputs) + _run(names) + _program(memory)


def _finite(count: int) -> str:
    """Return a function that looks whether all outputs are finite, by their exponents."""
    if not count:
        return "define internal i32 @finite(ptr %outputs) {\nret i32 0\n}\n"
    return f"""define internal i32 @finite(ptr %outputs) {{
entry:
br label %loop
loop:
%k = phi i64 [0, %entry], [%next, %loop]
%bad = phi i1 [false, %entry], [%worse, %loop]
%address = getelementptr i64, ptr %outputs, i64 %k
%bits = load i64, ptr %address
%exponent = and i64 %bits, 9218868437227405312
%is = icmp eq i64 %exponent, 9218868437227405312
%worse = or i1 %bad, %is
%next = add i64 %k, 1
%done = icmp eq i64 %next, {count}
br i1 %done, label %end, label %loop
end:
%status = sext i1 %worse to i32
ret i32 %status
}}
"""


def _run(names: Sequence[str]) -> str:
    lines = []
    for n, name in enumerate(names):
        lines += [
            f"%s{n} = call i32 @{name}(ptr %inputs, ptr %outputs, ptr %memory)",
            f"%ok{n} = icmp eq i32 %s{n}, 0",
            f"br i1 %ok{n}, label %go{n}, label %changed{n}",
            f"go{n}:",
        ]
    lines += ["%status = call i32 @finite(ptr %outputs)", "ret i32 %status"]
    for n in range(len(names)):
        lines += [f"changed{n}:", f"ret i32 %s{n}"]
    body = "\n".join(lines)
    return f"define internal i32 @run(ptr %inputs, ptr %outputs, ptr %memory) {{\nentry:\n{body}\n}}\n"


def _program(memory: int) -> str:
    """Return the way in: the memory is the program's own unless another thread is in it."""
    if not memory:
        return """define internal i32 @program(ptr %inputs, ptr %outputs) {
%status = call i32 @run(ptr %inputs, ptr %outputs, ptr null)
ret i32 %status
}
"""
    return f"""@memory = internal global [{memory} x double] zeroinitializer, align 64
@busy = internal global i32 0, align 4
declare ptr @malloc(i64)
declare void @free(ptr)
define internal i32 @program(ptr %inputs, ptr %outputs) {{
%was = atomicrmw xchg ptr @busy, i32 1 acquire
%free = icmp eq i32 %was, 0
br i1 %free, label %own, label %other
own:
%status = call i32 @run(ptr %inputs, ptr %outputs, ptr @memory)
store atomic i32 0, ptr @busy release, align 4
ret i32 %status
other:
%more = call ptr @malloc(i64 {8 * memory})
%none = icmp eq ptr %more, null
br i1 %none, label %refused, label %there
there:
%result = call i32 @run(ptr %inputs, ptr %outputs, ptr %more)
call void @free(ptr %more)
ret i32 %result
refused:
ret i32 -1
}}
"""
