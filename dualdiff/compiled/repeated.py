"""Programs of arrays whose steps repeat, as machine code: loops around the loops of one period.

A period is planned as any program of arrays is (:mod:`dualdiff.passes.fusion`), and its kernels are called period by period
with the addresses that hold there. Larger products of matrices and linear systems are calls of BLAS and LAPACK
(:mod:`dualdiff.compiled.algebra`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.compiled import algebra, kernels
from dualdiff.compiled.arena import Arena, Place, bytes_of
from dualdiff.compiled.nests import Tags, Text, declared
from dualdiff.compiled.operations import FUNCTIONS, KNOWN
from dualdiff.compiled.rolled import way_in
from dualdiff.passes.elementary import elementary
from dualdiff.passes.fusion import NotFusedError, fused
from dualdiff.passes.nests import Kernel
from dualdiff.passes.program import Program, Step
from dualdiff.passes.repeats import repeats
from dualdiff.passes.units import Joined, NotRepeatedError, Repeats, Unit

__all__ = ["Planned", "Repeated", "planned", "written"]

MOST_MEMORY = 1 << 28
"""Bytes of memory up to which a program is one of repeated steps."""
FEWEST, FEWEST_LONG, LONG = 5, 50, 2048
"""Periods of the longest loop below which steps are better written one after the other, so that loops over entries reach across them.

There are two numbers: the second is for arrays of more entries than the last, on the average.
"""
MOST_NODES = 6000
"""Operations of the code beyond which it takes too long to compile."""
_PLAIN = KNOWN - FUNCTIONS.keys() - {"all", "any"} | {"square", "cube", "positive"}


@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """A program in LLVM's language.

    Attributes
    ----------
    text : str
        The module; see :class:`~dualdiff.compiled.rolled.Rolled`.
    held : list
        Arrays that the code reads.
    work : int
        How many operations a run takes.
    memory : int
        Bytes of the arena.
    """

    text: str
    held: list[Any]
    work: int
    memory: int


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """Units, each with what is done in one period.

    Attributes
    ----------
    repeats, arena
        The units, and where their values are.
    periods : list of tuple
        By unit: its body of elementary steps, kernels and products, and the arrays that its loops read.
    nodes : int
        Operations that are written.
    """

    repeats: Repeats
    arena: Arena
    periods: list[tuple[Program, Sequence[Kernel | Step], dict[int, Any]]]
    nodes: int

    @property
    def loops(self) -> tuple[tuple[int, int], ...]:
        """Of each loop, how many steps it has and how often it runs."""
        return tuple([(u.period, u.count) for u in self.repeats.units if u.count > 1])


def planned(program: Program) -> Planned:
    """Plan a program's loops.

    Raises
    ------
    NotRepeatedError
        Inside the engine, if its steps do not repeat, or there is no machine code for some.
    """
    found = repeats(program)
    entries = sum(math.prod(program.forms[s.result].shape) for s in program.steps)
    fewest = FEWEST if entries <= LONG * len(program.steps) else FEWEST_LONG
    if max([unit.count for unit in found.units], default=1) < fewest:
        raise NotRepeatedError("its steps repeat a few times only")
    arena = Arena(found)
    if arena.size > MOST_MEMORY:
        raise NotRepeatedError("it needs too much memory")
    for read in [read for unit in found.units for read in unit.taken]:
        arena.place(read)  # what has no place is found out here
    periods = [_period(unit, needed) for unit, needed in zip(found.units, arena.needed, strict=True)]
    nodes = sum(
        len(nest.nodes) for _, items, _ in periods for item in items if isinstance(item, Kernel) for nest in item.nests
    )
    if nodes > MOST_NODES:
        raise NotRepeatedError("too much of it does not repeat")
    return Planned(found, arena, periods, nodes)


def _period(unit: Unit, needed: dict[int, int]) -> tuple[Program, Sequence[Kernel | Step], dict[int, Any]]:
    body = unit.body
    given = [unit.made[j] for j in sorted(needed) if j in unit.made] + [p.value for w in unit.written for p in w.parts]
    body.outputs = tuple(dict.fromkeys([i for i in given if i >= body.inputs and i not in body.constants]))
    body, kept = elementary(body)
    kept |= {i for s in body.steps if algebra.is_known(body, s) for i in s.operands}
    if not body.steps and not body.checks:
        return body, [], body.constants
    known = frozenset(_PLAIN | kernels.KERNELS.keys()) if kernels.usable() else _PLAIN
    if body.steps and all(algebra.is_known(body, s) for s in body.steps) and not body.checks:
        return body, body.steps, body.constants
    try:
        plan = fused(body, known, (), kept | {*body.outputs})
    except NotFusedError as error:
        raise NotRepeatedError(str(error)) from error
    if plan.before:
        raise NotRepeatedError("a check that no loop can do")
    for item in plan.items:
        if isinstance(item, Step) and not algebra.is_known(body, item):
            raise NotRepeatedError(f"no machine code for {item.row.name}")
    return body, plan.items, {**body.constants, **plan.constants}


def written(program: Program, plan: Planned) -> Repeated:
    """Return a planned program in LLVM's language."""
    return _Writer(program, plan).written()


class _Writer:
    def __init__(self, program: Program, plan: Planned) -> None:
        self.program, self.plan, self.arena = program, plan, plan.arena
        self.tags = Tags()
        self.texts: list[Text] = []
        self.bodies: list[str] = []
        self.held: list[Any] = []
        self.tables: dict[bytes, str] = {}
        self.called = algebra.Called(self.hold)
        self.work = 0

    def written(self) -> Repeated:
        arena, plan = self.arena, self.plan
        units = [
            _Unit(self, n, unit, needed, *period)
            for n, (unit, needed, period) in enumerate(zip(plan.repeats.units, arena.needed, plan.periods, strict=True))
            if period[1] or unit.gathered or unit.written or unit.joined
        ]
        own = arena.size
        for unit in units:  # what one period alone needs, all of them in the same place
            arena.size = max(arena.size, own + unit.allot(own))
        functions = [u.text() for u in units]
        ends = self._ends()
        names = ["begun", *[u.name for u in units], "ended"]
        outputs = sum(np.prod(r.shape, dtype=int) for r in self.program.results)
        text = "\n".join([
            declared(self.texts),
            algebra.declared(self.called),
            _COPY,
            *self.bodies,
            self._begins(),
            *functions,
            ends,
            way_in(names, int(outputs), -(-arena.size // 8)),
            *self.tags.lines,
            "",
        ])  # fmt: skip
        return Repeated(text, [*self.held, arena], self.work, arena.size)

    def hold(self, x: Any) -> str:
        """Return the address of an array that lives as long as the code."""
        self.held.append(x)
        return f"inttoptr (i64 {x.ctypes.data} to ptr)"

    def table(self, values: Any) -> str:
        """Return the address of a table of integers; equal ones are one."""
        table = np.ascontiguousarray(values, dtype=np.int64)
        key = table.tobytes()
        if key not in self.tables:
            self.tables[key] = self.hold(table)
        return self.tables[key]

    def base(self, lines: list[str], base: Any, name: str) -> str:
        """Return where a place's bytes are counted from."""
        if isinstance(base, str):
            return "%memory"
        if isinstance(base, int):
            lines += [f"{name}.at = getelementptr ptr, ptr %inputs, i64 {base}", f"{name} = load ptr, ptr {name}.at"]
            return name
        return self.hold(base)

    def _begins(self) -> str:
        lines: list[str] = []
        for n, (base, at, size) in enumerate(self.arena.copied):
            source = self.base(lines, base, f"%x{n}")
            lines += [
                f"%to{n} = getelementptr i8, ptr %memory, i64 {at}",
                f"call void @copied(ptr %to{n}, ptr {source}, i64 {size})",
            ]
        return _function("begun", lines)

    def _ends(self) -> str:
        lines: list[str] = []
        at = 0
        for n, (read, form) in enumerate(zip(self.plan.repeats.outputs, self.program.results, strict=True)):
            place = self.arena.place(read)
            source = self.base(lines, place.base, f"%x{n}")
            size = bytes_of(form)
            lines += [
                f"%from{n} = getelementptr i8, ptr {source}, i64 {int(place.offsets[0])}",
                f"%to{n} = getelementptr i8, ptr %outputs, i64 {at}",
                f"call void @copied(ptr %to{n}, ptr %from{n}, i64 {size})",
            ]
            at += size
        return _function("ended", lines)


class _Unit:
    """The writing of one unit."""

    def __init__(
        self,
        writer: _Writer,
        n: int,
        unit: Unit,
        needed: dict[int, int],
        body: Program,
        items: Sequence[Kernel | Step],
        constants: dict[int, Any],
    ) -> None:
        self.writer, self.unit, self.body = writer, unit, body
        self.name = f"unit{n}"
        arrays = {i: np.ascontiguousarray(x) for i, x in constants.items() if np.shape(x)}
        writer.held.append(arrays)
        self.items: list[Text | Step] = []
        for m, item in enumerate(items):
            if isinstance(item, Step):
                self.items.append(item)
                writer.work += unit.count * algebra.work(body, item)
                continue
            text = Text(body, item, arrays, f"{self.name}.k{m}", writer.tags)
            # Its loads and stores say what they have nothing to do with; that holds within one period.
            writer.bodies.append(text.core().replace(") #0 {", ") #1 {", 1))
            writer.texts.append(text)
            writer.work += unit.count * text.work
            self.items.append(text)
        self.sources = {g.value: writer.arena.place(g.source) for g in unit.gathered}
        self.places: dict[int, Place] = {
            i: writer.arena.place(read) for i, read in enumerate(unit.reads) if i not in self.sources
        }
        self.joined = None if unit.joined is None else writer.arena.place(unit.joined.source)
        for j, i in unit.made.items():
            if j in needed:
                self.places[i] = writer.arena.made(unit, j)
        self.body_constants = constants
        self.lines: list[str] = []
        self.scratch = 0
        self.count = 0

    def allot(self, start: int) -> int:
        """Give what one period alone needs a place from a byte on; return how many bytes it takes."""
        at = start
        made = [i for item in self.items for i in (item.kernel.results if isinstance(item, Text) else (item.result,))]
        for i in (*self.sources, *made):
            if i not in self.places:
                self.places[i] = Place("memory", np.full(self.unit.count, at))
                at += -(-bytes_of(self.body.forms[i]) // 64) * 64
        self.scratch = at
        most = max([i.scratch if isinstance(i, Text) else algebra.scratch(self.body, i) for i in self.items], default=0)
        return at + 8 * most - start

    def new(self, line: str) -> str:
        self.count += 1
        name = f"%t{self.count}"
        self.lines.append(f"{name} = {line}")
        return name

    def number(self, values: Any) -> str:
        """Return a number of this period."""
        if (values == values[0]).all():
            return str(int(values[0]))
        steps = np.diff(values)
        if (steps == steps[0]).all():
            by = self.new(f"mul nsw i64 %k, {int(steps[0])}")
            return self.new(f"add nsw i64 {by}, {int(values[0])}")
        place = self.new(f"getelementptr i64, ptr {self.writer.table(values)}, i64 %k")
        return self.new(f"load i64, ptr {place}")

    def at(self, place: Place) -> str:
        """Return the address of a place in this period."""
        self.count += 1
        base = self.writer.base(self.lines, place.base, f"%t{self.count}.base")
        return self.new(f"getelementptr i8, ptr {base}, i64 {self.number(place.offsets)}")

    def copy(self, to: str, source: str, shape: Sequence[int], there: Sequence[int], here: Sequence[int]) -> None:
        """Write how the numbers of a box are copied, by the strides there and here."""
        if not shape:
            x = self.new(f"load double, ptr {source}")
            self.lines.append(f"store double {x}, ptr {to}")
            return
        self.count += 1
        name = f"copy{self.count}"
        before = self.new("add i64 0, 0")
        self.lines += [
            f"br label %{name}.before",
            f"{name}.before:",
            f"br label %{name}",
            f"{name}:",
            f"%{name}.k = phi i64 [{before}, %{name}.before], [%{name}.next, %{name}.latch]",
        ]
        places = []
        for base, strides in ((to, there), (source, here)):
            by = self.new(f"mul nsw i64 %{name}.k, {strides[0]}")
            places.append(self.new(f"getelementptr double, ptr {base}, i64 {by}"))
        self.copy(places[0], places[1], shape[1:], there[1:], here[1:])
        self.lines += [
            f"br label %{name}.latch",
            f"{name}.latch:",
            f"%{name}.next = add nuw nsw i64 %{name}.k, 1",
            f"%{name}.more = icmp ult i64 %{name}.next, {shape[0]}",
            f"br i1 %{name}.more, label %{name}, label %{name}.after",
            f"{name}.after:",
        ]

    def address(self, i: int) -> str:
        """Return where a value is in this period."""
        place = self.places.get(i)
        if place is None:  # a constant that a product takes
            place = Place(np.ascontiguousarray(self.body_constants[i], dtype=float), np.zeros(self.unit.count, int))
            self.places[i] = place
        return self.at(place)

    def text(self) -> str:
        """Return the unit as a function."""
        after: list[str] = []
        unit, arena = self.unit, self.writer.arena
        for w in unit.written:
            start = arena.place(w.base)
            to = self.new(f"getelementptr i8, ptr %memory, i64 {int(arena.made(unit, w.row).offsets[0])}")
            size = bytes_of(w.base.form)
            self.lines.append(f"call void @copied(ptr {to}, ptr {self.at(start)}, i64 {size})")
        before, self.lines = self.lines, []
        for g in unit.gathered:
            shape = g.source.form.shape
            own = [int(np.prod(shape[a + 1 :])) for a in range(len(shape))]
            self.copy(self.address(g.value), self.at(self.sources[g.value]), shape, own, g.strides)
        if unit.joined is not None and 0 in self.places:
            self._join(unit.joined)
        for m, item in enumerate(self.items):
            if isinstance(item, Step):
                self._computed(m, item, after)
                continue
            self._called(m, item, after)
        for w in unit.written:
            offsets = arena.made(unit, w.row).offsets
            for part in w.parts:
                shape = self.body.forms[part.value].shape
                own = [int(np.prod(shape[a + 1 :])) for a in range(len(shape))] or [0] * len(part.shape)
                to = self.at(Place("memory", offsets + 8 * part.at))
                self.copy(to, self.address(part.value), part.shape, part.strides, own)
        count = unit.count
        lines = [
            *before,
            "br label %loop",
            "loop:",
            "%k = phi i64 [0, %entry], [%next, %latch]",
            *self.lines,
            "br label %latch",
            "latch:",
            "%next = add nuw nsw i64 %k, 1",
            f"%done = icmp eq i64 %next, {count}",
            "br i1 %done, label %end, label %loop",
            "end:",
        ]
        said = f"; {unit.period} steps, {'once' if count == 1 else f'{count} times'}\n"
        return said + _function(self.name, lines, after)

    def _join(self, joined: Joined) -> None:
        """Write how values are put together."""
        place: Any = self.joined
        base = self.writer.base(self.lines, place.base, "%joined")
        table, size = self.writer.table(place.offsets), bytes_of(joined.source.form)
        given = f"ptr {self.address(joined.value)}, ptr {base}, ptr {table}"
        self.lines.append(f"call void @joined({given}, i64 {len(place.offsets)}, i64 {size})")

    def _computed(self, m: int, step: Step, after: list[str]) -> None:
        """Write a step of linear algebra."""
        addresses = [self.address(i) for i in (*step.operands, step.result)]
        memory = self.new(f"getelementptr i8, ptr %memory, i64 {self.scratch}")
        call, has_status = algebra.text(self.body, step, addresses, memory, self.writer.called)
        if not has_status:
            self.lines.append(call)
            return
        status = self.new(call)
        holds = self.new(f"icmp eq i32 {status}, 0")
        self.lines += [f"br i1 {holds}, label %go{m}, label %changed{m}", f"go{m}:"]
        after += [f"changed{m}:", "br label %redone"]

    def _called(self, m: int, text: Text, after: list[str]) -> None:
        given = []
        for i, _ in text.arguments():
            if i is None:
                given.append(f"ptr {self.new(f'getelementptr i8, ptr %memory, i64 {self.scratch}')}")
            elif i in text.given:
                given.append(f"double {self.new(f'load double, ptr {self.address(i)}')}")
            else:
                given.append(f"ptr {self.address(i)}")
        status = self.new(f"call i32 @{text.name}.core({', '.join(given)})")
        if not text.codes and not text.domain:
            return
        holds = self.new(f"icmp eq i32 {status}, 0")
        self.lines += [f"br i1 {holds}, label %go{m}, label %changed{m}", f"go{m}:"]
        cases = [(n, c) for n, c in enumerate(text.codes) if c is not None]
        after.append(f"changed{m}:")
        after.append(
            f"switch i32 {status}, label %redone [{' '.join(f'i32 {n + 1}, label %failed{m}.{n}' for n, _ in cases)}]"
        )
        for n, c in cases:
            before, self.lines = self.lines, []
            number = self.number(np.asarray(self.unit.checks[c]) + 1)
            found = self.new(f"trunc i64 {number} to i32")
            after += [f"failed{m}.{n}:", *self.lines, f"ret i32 {found}"]
            self.lines = before


def _function(name: str, lines: Sequence[str], after: Sequence[str] = ()) -> str:
    body = "\n".join(["entry:", *lines, "ret i32 0", *after])
    redone = "\nredone:\nret i32 -1" if after else ""
    return f"define internal i32 @{name}(ptr %inputs, ptr %outputs, ptr %memory) #1 {{\n{body}{redone}\n}}\n"


_COPY = """define internal void @copied(ptr %to, ptr %from, i64 %size) #1 {
entry:
br label %loop
loop:
%k = phi i64 [0, %entry], [%next, %loop]
%a = getelementptr i8, ptr %from, i64 %k
%x = load i8, ptr %a
%b = getelementptr i8, ptr %to, i64 %k
store i8 %x, ptr %b
%next = add nuw nsw i64 %k, 1
%done = icmp eq i64 %next, %size
br i1 %done, label %end, label %loop
end:
ret void
}
define internal void @joined(ptr %to, ptr %from, ptr %table, i64 %count, i64 %size) #1 {
entry:
br label %loop
loop:
%k = phi i64 [0, %entry], [%next, %loop]
%entry.at = getelementptr i64, ptr %table, i64 %k
%at = load i64, ptr %entry.at
%a = getelementptr i8, ptr %from, i64 %at
%offset = mul i64 %k, %size
%b = getelementptr i8, ptr %to, i64 %offset
call void @copied(ptr %b, ptr %a, i64 %size)
%next = add nuw nsw i64 %k, 1
%done = icmp eq i64 %next, %count
br i1 %done, label %end, label %loop
end:
ret void
}
"""
