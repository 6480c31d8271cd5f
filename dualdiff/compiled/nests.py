"""Nests of loops as text in LLVM's language, whose vectoriser widens the loops.

Arithmetic is not contracted. Sums are taken over blocks of 128 entries in several lanes, and the blocks' sums pairwise, as NumPy
does it: N. J. Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 14 (1993), doi:10.1137/0914050.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from dualdiff.compiled import kernels, operations
from dualdiff.compiled.operations import KNOWN, constant
from dualdiff.passes.nests import Fold, Kernel, Nest
from dualdiff.passes.program import Program

__all__ = ["DOMAIN", "LAYOUT", "Tags", "Text", "declared"]

BLOCK = 128
"""Entries that are summed in lanes."""
STRIP = 512
"""Entries of a row of sums that are done one after another."""
LAYOUT, DOMAIN = -1, -2
"""Why a kernel gave up: an input does not lie as it is read, or an argument is not one of a kernel's."""
_HEAD, _FLAGS = 16, 48
"""Where an array keeps its address, and how far after it its flags."""
_READY = 0x0001 | 0x0100
"""C-contiguous and aligned."""
_READS = ("load", "take")
_LEAVES = (*_READS, "constant", "given")
ABREAST = 3
"""Calls of an elementary function that are written side by side: each by itself waits for its own results most of the time."""

_FOLDS = {
    "add": ("double", "0.0", "fadd reassoc double {0}, {1}"),
    "maximum": ("double", "0xFFF0000000000000", "call double @llvm.maximum.f64(double {0}, double {1})"),
    "minimum": ("double", "0x7FF0000000000000", "call double @llvm.minimum.f64(double {0}, double {1})"),
    "logical_and": ("i1", "true", "and i1 {0}, {1}"),
    "logical_or": ("i1", "false", "or i1 {0}, {1}"),
}
"""What entries are put together in: its type, where it starts, and how."""


def declared(texts: Sequence[Text]) -> str:
    """Return what kernels call: LLVM's own functions, and elementary ones."""
    names = {node[0] for t in texts for nest in t.kernel.nests for node in nest.nodes}
    text = kernels.defined({called for t in texts for called in t.called})
    more = operations.declared({*(names & KNOWN) - kernels.KERNELS.keys(), "absolute"})
    extrema = "declare double @llvm.maximum.f64(double, double)\ndeclare double @llvm.minimum.f64(double, double)\n"
    folds = {f.name for t in texts for nest in t.kernel.nests for f in nest.folds if _FOLDS[f.name][0] == "double"}
    return text + extrema + more + "".join(map(_together, sorted(folds)))


def _together(name: str) -> str:
    """Return the function that puts partial results together, pair by pair."""
    how = _FOLDS[name][2].replace(" reassoc", "")
    return f"""\
define internal double @together.{name}(ptr %p, i64 %n) #1 {{
entry:
  br label %round
round:
  %left = phi i64 [ %n, %entry ], [ %kept, %done ]
  %half = lshr i64 %left, 1
  %odd = and i64 %left, 1
  %kept = add i64 %half, %odd
  %is.one = icmp ule i64 %left, 1
  br i1 %is.one, label %exit, label %pair
pair:
  %i = phi i64 [ 0, %round ], [ %j, %pair ]
  %twice = shl i64 %i, 1
  %a.at = getelementptr double, ptr %p, i64 %twice
  %a = load double, ptr %a.at
  %b.at = getelementptr double, ptr %a.at, i64 1
  %b = load double, ptr %b.at
  %c = {how.format("%a", "%b")}
  %c.at = getelementptr double, ptr %p, i64 %i
  store double %c, ptr %c.at
  %j = add i64 %i, 1
  %more = icmp ult i64 %j, %half
  br i1 %more, label %pair, label %rest
rest:
  %is.odd = icmp ne i64 %odd, 0
  br i1 %is.odd, label %move, label %done
move:
  %last = sub i64 %left, 1
  %d.at = getelementptr double, ptr %p, i64 %last
  %d = load double, ptr %d.at
  %e.at = getelementptr double, ptr %p, i64 %half
  store double %d, ptr %e.at
  br label %done
done:
  br label %round
exit:
  %result = load double, ptr %p
  ret double %result
}}
"""


class Tags:
    """Metadata of a module: what loops may assume."""

    def __init__(self) -> None:
        self.lines = [
            "!0 = distinct !{}",
            '!1 = !{!"llvm.loop.parallel_accesses", !0}',
            '!3 = !{!"llvm.loop.mustprogress"}',
            '!4 = !{!"llvm.loop.unroll.disable"}',
            "attributes #0 = { nounwind }",
            "attributes #1 = { nounwind noinline }",
        ]
        self.next = 4

    def new(self, content: str) -> str:
        """Return the name of new metadata."""
        self.next += 1
        self.lines.append(f"!{self.next} = {content.replace('self', f'!{self.next}')}")
        return f"!{self.next}"


class _Loops:
    """A nest with its dimensions in the order of its loops, neighbours that are walked through as one merged."""

    def __init__(self, nest: Nest, groups: Sequence[Sequence[int]]) -> None:
        self.nest = nest
        strides = [n[3] for n in nest.nodes if n[0] in _READS]
        strides += [s.strides for s in nest.stores] + [
            f.strides for f in nest.folds if len(f.along) < len(nest.extents)
        ]
        self.extents: list[int] = []
        self.members: list[int] = []  # of each loop, the dimension whose strides it walks by
        self.group: list[int] = []
        for g, dims in enumerate(groups):
            for d in dims:
                n = nest.extents[d]
                if self.group and self.group[-1] == g and all(s[self.members[-1]] == s[d] * n for s in strides):
                    self.extents[-1] *= n
                    self.members[-1] = d
                else:
                    self.extents.append(n)
                    self.members.append(d)
                    self.group.append(g)

    def steps(self, strides: Sequence[int]) -> list[int]:
        """Return strides by loop."""
        return [strides[d] for d in self.members]

    def levels(self) -> list[int]:
        """Return, by node, the innermost loop that it depends on, -1 where it is the same throughout."""
        found: list[int] = []
        for name, *rest in self.nest.nodes:
            if name in _READS:
                found.append(max([k for k, s in enumerate(self.steps(rest[2])) if s], default=-1))
            elif name in _LEAVES:
                found.append(-1)
            else:
                found.append(max([found[n] for n in rest], default=-1))
        return found


def _ordered(nest: Nest, dims: Sequence[int]) -> list[int]:
    """Return dimensions from the longest strides to the shortest: those of what is written, else of what is read."""
    strides = [s.strides for s in nest.stores] or [n[3] for n in nest.nodes if n[0] in _READS]
    return sorted(dims, key=lambda d: -max([abs(s[d]) for s in strides], default=0))


class Text:
    """The writing of one kernel."""

    def __init__(self, program: Program, kernel: Kernel, constants: dict[int, Any], name: str, tags: Tags) -> None:
        self.program = program
        self.kernel = kernel
        self.constants = constants
        self.name = name
        self.tags = tags
        self.lines: list[str] = []
        self.count = 0
        self.codes: list[int | None] = []
        self.flags: dict[tuple[str, int | None], str] = {}  # by kind and check, in the order of the codes
        self.locals: list[str] = []
        self.domain = False
        self.called: set[tuple[str, int]] = set()  # the elementary functions, and of how many numbers at once
        self.scratch = kernel.size
        self.numbers: list[bool] = []
        self.work = sum(math.prod(n.extents) * (len(n.nodes) + 1) for n in kernel.nests)
        self.given = {n[1] for nest in kernel.nests for n in nest.nodes if n[0] == "given"}
        stored = {s.value for n in kernel.nests for s in n.stores} | {f.value for n in kernel.nests for f in n.folds}
        read = {n[1] for nest in kernel.nests for n in nest.nodes if n[0] in _READS}
        read |= {n[4] for nest in kernel.nests for n in nest.nodes if n[0] == "take"}
        self.read = sorted(read & constants.keys())
        self.tag = self._scopes([*sorted(stored | read), "partials"])
        self.partials: dict[int, list[int]] = {}  # by sum: where its blocks' sums stand, and how many there are so far
        self.accumulators: dict[int, str] = {}

    def _scopes(self, bases: Sequence[Any]) -> dict[Any, str]:
        """Say that what is stored for one value is not read for another."""
        domain = self.tags.new("distinct !{self}")
        scope = {b: self.tags.new(f"distinct !{{self, {domain}}}") for b in bases}
        found = {}
        for b in bases:
            own = self.tags.new(f"!{{{scope[b]}}}")
            others = self.tags.new(f"!{{{', '.join(scope[o] for o in bases if o != b)}}}")
            found[b] = f", !alias.scope {own}, !noalias {others}, !llvm.access.group !0"
        return found

    def _new(self, word: str) -> str:
        self.count += 1
        return f"{word}.{self.count}"

    def _say(self, line: str) -> None:
        self.lines.append(f"  {line}")

    def _is(self, line: str, word: str = "%t") -> str:
        """Write an instruction, and return the name of what it gives."""
        name = self._new(word)
        self._say(f"{name} = {line}")
        return name

    def _local(self, kind: str, start: str) -> str:
        """Return a variable, which the passes turn into registers."""
        name = self._new("%local")
        self.locals += [f"{name} = alloca {kind}", f"store {kind} {start}, ptr {name}"]
        return name

    # -- the whole ---------------------------------------------------------------------------------
    def written(self) -> str:
        """Return the text of the kernel, and of its way in from Python."""
        return "\n".join([self.core(), *self._wrapper()])

    def core(self) -> str:
        """Return the text of the kernel as a function of addresses and numbers."""
        kernel = self.kernel
        last = {f.value: n for n, nest in enumerate(kernel.nests) for f in nest.folds}
        full = {f.value: f for nest in kernel.nests for f in nest.folds if len(f.along) == len(nest.extents)}
        for n, nest in enumerate(kernel.nests):
            if nest.folds and len(nest.folds[0].along) < len(nest.extents):
                self._folded_along(nest)
            else:
                self._whole(nest)
            for i in [i for i in full if last[i] == n]:
                self._finished(full[i])
        return "\n".join(self._core())

    def arguments(self) -> Iterator[tuple[int | None, str]]:
        """Yield what the kernel is given: the value (None for scratch memory), and its name."""
        for i in (*self.kernel.operands, *self.kernel.results):
            yield i, f"%g{i}" if i in self.given else _base(i)
        if self.scratch:
            yield None, "%scratch"

    def _core(self) -> list[str]:
        """Return the function of addresses and numbers."""
        heads = [f"{_base(i)} = getelementptr double, ptr %scratch, i64 {at}" for i, at in self.kernel.scratch.items()]
        heads += [f"{_base(i)} = inttoptr i64 {self.constants[i].ctypes.data} to ptr" for i in self.read]
        heads += [
            f"%partials{i} = getelementptr double, ptr %scratch, i64 {at}" for i, (at, _) in self.partials.items()
        ]
        given = ", ".join(f"{'double' if i in self.given else 'ptr'} {name}" for i, name in self.arguments())
        out = [f"define internal i32 @{self.name}.core({given}) #0 {{", "entry:"]
        out += [*[f"  {h}" for h in (*heads, *self.locals)], *self.lines]
        status = "0"
        for k, ((kind, _), flag) in reversed(list(enumerate(self.flags.items()))):
            out += [
                f"  %flag{k} = load {kind}, ptr {flag}",
                f"  %is{k} = icmp ne {kind} %flag{k}, 0",
                f"  %s{k} = select i1 %is{k}, i32 {k + 1}, i32 {status}",
            ]
            status = f"%s{k}"
        if self.domain:
            out += ["  %is.out = load i1, ptr %domain", f"  %s.out = select i1 %is.out, i32 {DOMAIN}, i32 {status}"]
            status = "%s.out"
        return [*out, f"  ret i32 {status}", "}"]

    def _wrapper(self) -> list[str]:
        """Return the function of Python's arrays and of numbers; it looks whether the inputs lie as they are read."""
        arguments, heads, ready, given = [], [], "true", []
        for i, name in self.arguments():
            if i in self.given:
                arguments.append(f"double {name}")
                given.append(f"double {name}")
                self.numbers.append(True)
                continue
            self.numbers.append(False)
            arguments.append(f"ptr {name}.o")
            given.append(f"ptr {name}")
            heads += [f"{name}.p = getelementptr i8, ptr {name}.o, i64 {_HEAD}", f"{name} = load ptr, ptr {name}.p"]
            if i is not None and i < self.program.inputs:
                heads += [
                    f"{name}.f = getelementptr i8, ptr {name}.p, i64 {_FLAGS}",
                    f"{name}.g = load i32, ptr {name}.f",
                    f"{name}.h = and i32 {name}.g, {_READY}",
                    f"{name}.i = icmp eq i32 {name}.h, {_READY}",
                    f"{name}.ready = and i1 {ready}, {name}.i",
                ]
                ready = f"{name}.ready"
        return [
            f"define i32 @{self.name}({', '.join(arguments)}) #0 {{",
            *[f"  {h}" for h in heads],
            f"  br i1 {ready}, label %start, label %layout",
            "layout:",
            f"  ret i32 {LAYOUT}",
            "start:",
            f"  %status = call i32 @{self.name}.core({', '.join(given)})",
            "  ret i32 %status",
            "}",
        ]

    def entered(self, results: Sequence[int]) -> str:
        """Return the function ``program`` of the inputs' and the outputs' addresses, for a program that is this kernel.

        The results follow the order of the outputs.
        """
        heads, given, at = [], [], 0
        starts = {}
        for made in results:
            starts[made] = at
            at += math.prod(self.program.forms[made].shape)
        for i, name in self.arguments():
            if i is None:
                heads.append(f"{name} = alloca double, i64 {self.scratch}, align 64")
            elif i in starts:
                heads.append(f"{name} = getelementptr double, ptr %outputs, i64 {starts[i]}")
            else:
                heads += [f"{name}.p = getelementptr ptr, ptr %inputs, i64 {i}"]
                heads.append(f"{name}{'.a' if i in self.given else ''} = load ptr, ptr {name}.p")
                if i in self.given:
                    heads.append(f"{name} = load double, ptr {name}.a")
            given.append(f"{'double' if i in self.given else 'ptr'} {name}")
        return "\n".join([
            "define i32 @program(ptr %inputs, ptr %outputs) #0 {",
            *[f"  {h}" for h in heads],
            f"  %status = call i32 @{self.name}.core({', '.join(given)})",
            "  ret i32 %status",
            "}",
        ])  # fmt: skip

    # -- loops -------------------------------------------------------------------------------------
    def _loop(self, extent: str, inner: bool = False, first: str = "0") -> Iterator[str]:
        """Write a loop around what is written meanwhile; yield its index."""
        name = self._new("loop")
        index = f"%{name}.i"
        self._say(f"br label %{name}.before")
        self.lines.append(f"{name}.before:")
        self._say(f"br label %{name}")
        self.lines.append(f"{name}:")
        self._say(f"{index} = phi i64 [ {first}, %{name}.before ], [ %{name}.next, %{name}.latch ]")
        yield index
        self._say(f"br label %{name}.latch")
        self.lines.append(f"{name}.latch:")
        self._say(f"%{name}.next = add nuw nsw i64 {index}, 1")
        self._say(f"%{name}.more = icmp ult i64 %{name}.next, {extent}")
        own = "self, !1, !3, !4" if inner else "self, !3, !4"
        hint = f", !llvm.loop {self.tags.new(f'distinct !{{{own}}}')}"
        self._say(f"br i1 %{name}.more, label %{name}, label %{name}.after{hint}")
        self.lines.append(f"{name}.after:")

    def _sum_of(self, offset: int, indices: Sequence[str], steps: Sequence[int]) -> str:
        """Write ``offset + steps · indices``."""
        total = str(offset)
        for index, step in zip(indices, steps, strict=False):
            if step:
                by = index if step == 1 else self._is(f"mul nsw i64 {index}, {step}")
                total = by if total == "0" else self._is(f"add nsw i64 {total}, {by}")
        return total

    def _nodes(
        self, loops: _Loops, level: int, levels: Sequence[int], values: dict[int, str], at: Sequence[str]
    ) -> None:
        """Write the nodes that are computed in the body of one loop."""
        nodes = loops.nest.nodes
        rounds = _rounds(nodes)
        here = sorted([n for n, k in enumerate(levels) if k == level], key=lambda n: rounds[n])
        for (_, function), alike in groupby(here, key=lambda n: rounds[n]):
            if function:
                self._elementary(function, list(alike), nodes, values)
                continue
            for n in alike:
                values[n] = self._node(loops, nodes[n], values, at)

    def _node(self, loops: _Loops, node: tuple[Any, ...], values: dict[int, str], at: Sequence[str]) -> str:
        """Write a node that is no elementary function, and return the name of its value."""
        name, *rest = node
        if name == "constant":
            return constant(rest[0])
        if name == "given":
            return f"%g{rest[0]}"
        if name == "take":
            return self._taken(rest[0], rest[1], loops.steps(rest[2]), rest[3], at)
        if name != "load":
            return self._operation(name, [values[o] for o in rest])
        i, offset, strides, is_flag = rest
        index = self._sum_of(offset, at, loops.steps(strides))
        kind = "i8" if is_flag else "double"
        place = self._is(f"getelementptr inbounds {kind}, ptr {_base(i)}, i64 {index}")
        x = self._is(f"load {kind}, ptr {place}, align {1 if is_flag else 8}{self.tag[i]}")
        return self._is(f"icmp ne i8 {x}, 0") if is_flag else x

    def _taken(self, i: int, offset: int, steps: Sequence[int], table: int, at: Sequence[str]) -> str:
        """Write how an entry is read whose position a table says."""
        index = self._sum_of(offset, at, steps)
        place = self._is(f"getelementptr inbounds i64, ptr {_base(table)}, i64 {index}")
        position = self._is(f"load i64, ptr {place}, align 8{self.tag[table]}")
        is_none, pads = "false", bool((self.constants[table] < 0).any())
        if pads:
            is_none = self._is(f"icmp slt i64 {position}, 0")
            position = self._is(f"select i1 {is_none}, i64 0, i64 {position}")
        place = self._is(f"getelementptr inbounds double, ptr {_base(i)}, i64 {position}")
        x = self._is(f"load double, ptr {place}, align 8{self.tag[i]}")
        return self._is(f"select i1 {is_none}, double 0.0, double {x}") if pads else x

    def _operation(self, name: str, operands: Sequence[str]) -> str:
        result = self._new("%v")
        self.lines += [
            f"  {line}" for line in operations.text({"quotient": "divide"}.get(name, name), result, operands)
        ]
        if name == "quotient":
            self._leave(self._is(f"fcmp oeq double {operands[1]}, 0.0"))
        return result

    def _elementary(
        self, name: str, alike: Sequence[int], nodes: Sequence[tuple[Any, ...]], values: dict[int, str]
    ) -> None:
        """Write calls of an elementary function, several at once."""
        for first in range(0, len(alike), ABREAST):
            some = alike[first : first + ABREAST]
            operands = [values[o] for n in some for o in nodes[n][1:]]
            if kernels.bounds(name) < math.inf:
                for x in operands:
                    size = self._is(f"call double @llvm.fabs.f64(double {x})")
                    self._leave(self._is(f"fcmp ogt double {size}, {constant(kernels.bounds(name))}"))
            self.called.add((name, len(some)))
            kind = f"[{len(some)} x double]"
            found = self._is(f"call {kind} @dd.{name}.{len(some)}({', '.join(f'double {x}' for x in operands)})")
            for k, n in enumerate(some):
                values[n] = self._is(f"extractvalue {kind} {found}, {k}", "%v")

    def _leave(self, condition: str) -> None:
        """Let the first tier compute everything, if a condition holds anywhere."""
        if not self.domain:
            self.domain = True
            self.locals += ["%domain = alloca i1", "store i1 false, ptr %domain"]
        self._gather("%domain", "i1", "or i1 {0}, {1}", condition)

    def _raise(self, kind: str, check: int | None, x: str) -> None:
        """Let a check fail, if a truth value or any bit of an integer is set anywhere."""
        if (kind, check) not in self.flags:
            self.flags[kind, check] = self._local(kind, "0")
            self.codes.append(check)
        self._gather(self.flags[kind, check], kind, f"or {kind} {{0}}, {{1}}", x)

    def _ends(self, loops: _Loops, values: dict[int, str], at: Sequence[str]) -> None:
        """Write what is stored and looked at in the innermost body."""
        nest = loops.nest
        for s in nest.stores:
            is_flag = self.program.forms[s.value].dtype == np.bool_
            kind, x = ("i8" if is_flag else "double"), values[s.node]
            if is_flag:
                x = self._is(f"zext i1 {x} to i8")
            index = self._sum_of(s.offset, at, loops.steps(s.strides))
            place = self._is(f"getelementptr inbounds {kind}, ptr {_base(s.value)}, i64 {index}")
            self._say(f"store {kind} {x}, ptr {place}, align {1 if is_flag else 8}{self.tag[s.value]}")
        for look in nest.looks:
            x = values[look.node]
            if look.what == "finite":
                if nest.nodes[look.node][0] == "number":
                    continue
                zero = self._is(f"fsub double {x}, {x}")  # all bits 0, if the number is finite
                self._raise("i64", look.check, self._is(f"bitcast double {zero} to i64"))
            else:
                self._raise("i1", look.check, self._is(f"xor i1 {x}, true"))

    def _whole(self, nest: Nest) -> None:
        """Write loops that store, look, and put everything together."""
        loops = _Loops(nest, [_ordered(nest, range(len(nest.extents)))])
        levels = loops.levels()
        values: dict[int, str] = {}
        self._nodes(loops, -1, levels, values, [])
        sums = [f for f in nest.folds if f.name == "add"]
        rest = [f for f in nest.folds if f.name != "add"]
        inner = len(loops.extents) - 1
        blocks = -(-loops.extents[-1] // BLOCK) if loops.extents else 1
        taken = [self._room(f.value, math.prod(loops.extents[:-1]) * blocks) for f in sums]

        def body(at: list[str]) -> None:
            self._ends(loops, values, at)
            for f in rest:
                kind, start, how = _FOLDS[f.name]
                if f.value not in self.accumulators:
                    self.accumulators[f.value] = self._local(kind, start)
                self._gather(self.accumulators[f.value], kind, how, values[f.node])

        def into(k: int, at: list[str]) -> None:
            if k > inner:
                body(at)
                for f, first in zip(sums, taken, strict=True):
                    self._partial(f.value, str(first), values[f.node])
                return
            if k < inner or not sums:
                for index in self._loop(str(loops.extents[k]), k == inner):
                    self._nodes(loops, k, levels, values, [*at, index])
                    if k < inner:
                        into(k + 1, [*at, index])
                    else:
                        body([*at, index])
                return
            n = loops.extents[k]
            row = self._sum_of(0, at, [math.prod(loops.extents[d + 1 : -1]) for d in range(k)])
            for block in self._loop(str(blocks)):
                start, length = self._span(block, BLOCK, n)
                totals = [self._local("double", "0.0") for _ in sums]
                for t in totals:
                    self._say(f"store double 0.0, ptr {t}")
                for j in self._loop(length, True):
                    index = self._is(f"add nuw nsw i64 {start}, {j}")
                    self._nodes(loops, k, levels, values, [*at, index])
                    body([*at, index])
                    for f, t in zip(sums, totals, strict=True):
                        self._gather(t, "double", _FOLDS["add"][2], values[f.node])
                place = self._is(f"mul nuw nsw i64 {row}, {blocks}")
                place = self._is(f"add nuw nsw i64 {place}, {block}")
                for f, t, first in zip(sums, totals, taken, strict=True):
                    total = self._is(f"load double, ptr {t}")
                    self._partial(f.value, self._is(f"add nuw nsw i64 {place}, {first}"), total)

        into(0, [])

    def _span(self, block: str, size: int, n: int) -> tuple[str, str]:
        """Write where a block begins, and how many of n entries are in it."""
        start = self._is(f"mul nuw nsw i64 {block}, {size}")
        if n <= size or n % size == 0:
            return start, str(min(size, n))
        left = self._is(f"sub nuw nsw i64 {n}, {start}")
        is_last = self._is(f"icmp ult i64 {left}, {size}")
        return start, self._is(f"select i1 {is_last}, i64 {left}, i64 {size}")

    def _gather(self, local: str, kind: str, how: str, x: str) -> None:
        before = self._is(f"load {kind}, ptr {local}")
        after = self._is(how.format(before, x))
        self._say(f"store {kind} {after}, ptr {local}")

    def _room(self, i: int, count: int) -> int:
        """Make room for a sum's partial sums, and return which of them is the next."""
        if i not in self.partials:
            total = 0
            for nest in self.kernel.nests:
                for f in nest.folds:
                    if f.value == i:
                        extents = _Loops(nest, [_ordered(nest, range(len(nest.extents)))]).extents
                        total += math.prod(extents[:-1]) * -(-extents[-1] // BLOCK) if extents else 1
            self.partials[i] = [self.scratch, 0]
            self.scratch += -(-total // 8) * 8
        at = self.partials[i][1]
        self.partials[i][1] += count
        return at

    def _partial(self, i: int, index: str, x: str) -> None:
        place = self._is(f"getelementptr inbounds double, ptr %partials{i}, i64 {index}")
        self._say(f"store double {x}, ptr {place}, align 8{self.tag['partials']}")

    def _finished(self, fold: Fold) -> None:
        """Write how what was put together is stored."""
        if fold.name == "add":
            x = self._is(f"call double @together.add(ptr %partials{fold.value}, i64 {self.partials[fold.value][1]})")
        else:
            kind = _FOLDS[fold.name][0]
            x = self._is(f"load {kind}, ptr {self.accumulators[fold.value]}")
            if kind == "i1":
                x = self._is(f"zext i1 {x} to i8")
                self._say(f"store i8 {x}, ptr {_base(fold.value)}")
                return
        if fold.divisor != 1:
            x = self._is(f"fdiv double {x}, {constant(float(fold.divisor))}")
        self._say(f"store double {x}, ptr {_base(fold.value)}, align 8")

    def _folded_along(self, nest: Nest) -> None:
        """Write sums (or extrema) along some of the dimensions."""
        along = nest.folds[0].along
        kept = [d for d in range(len(nest.extents)) if d not in along]
        strides = [n[3] for n in nest.nodes if n[0] in _READS]
        nearest = min(
            range(len(nest.extents)), key=lambda d: (min([abs(s[d]) for s in strides if s[d]], default=1 << 60), -d)
        )
        if nearest in along:
            self._rows(_Loops(nest, [kept, _ordered(nest, along)]))
        else:
            kept = [d for d in kept if d != nearest] + [nearest]
            self._columns(_Loops(nest, [kept[:-1], _ordered(nest, along), kept[-1:]]))

    def _rows(self, loops: _Loops) -> None:
        """Each result from a row of its own."""
        nest = loops.nest
        levels = loops.levels()
        values: dict[int, str] = {}
        first = loops.group.index(1)
        inner = len(loops.extents) - 1
        n = loops.extents[-1]
        blocks = -(-n // BLOCK)
        count = math.prod(loops.extents[first:-1]) * blocks
        rooms = [self._space(count) for _ in nest.folds]
        self._nodes(loops, -1, levels, values, [])

        def into(k: int, at: list[str], room: str) -> None:
            if k == inner:
                for block in self._loop(str(blocks)):
                    start, length = self._span(block, BLOCK, n)
                    totals = []
                    for f in nest.folds:
                        totals.append(self._local("double", "0.0"))
                        self._say(f"store double {_FOLDS[f.name][1]}, ptr {totals[-1]}")
                    for j in self._loop(length, True):
                        index = self._is(f"add nuw nsw i64 {start}, {j}")
                        self._nodes(loops, k, levels, values, [*at, index])
                        for f, t in zip(nest.folds, totals, strict=True):
                            self._gather(t, "double", _FOLDS[f.name][2], values[f.node])
                    place = self._is(f"add nuw nsw i64 {room}, {block}")
                    for t, base in zip(totals, rooms, strict=True):
                        total = self._is(f"load double, ptr {t}")
                        where = self._is(f"add nuw nsw i64 {place}, {base}")
                        target = self._is(f"getelementptr inbounds double, ptr %scratch, i64 {where}")
                        self._say(f"store double {total}, ptr {target}, align 8{self.tag['partials']}")
                return
            for index in self._loop(str(loops.extents[k])):
                self._nodes(loops, k, levels, values, [*at, index])
                if k >= first:
                    step = math.prod(loops.extents[k + 1 : -1]) * blocks
                    into(k + 1, [*at, index], self._is(f"add i64 {room}, {self._sum_of(0, [index], [step])}"))
                else:
                    into(k + 1, [*at, index], room)
                if k == first - 1:
                    self._row_done(loops, [*at, index], rooms, count)

        into(0, [], "0")

    def _row_done(self, loops: _Loops, at: Sequence[str], rooms: Sequence[int], count: int) -> None:
        for f, base in zip(loops.nest.folds, rooms, strict=True):
            place = self._is(f"getelementptr inbounds double, ptr %scratch, i64 {base}")
            x = self._is(f"call double @together.{f.name}(ptr {place}, i64 {count})")
            self._deliver(loops, f, at, x)

    def _deliver(self, loops: _Loops, fold: Fold, at: Sequence[str], x: str) -> None:
        if fold.divisor != 1:
            x = self._is(f"fdiv double {x}, {constant(float(fold.divisor))}")
        index = self._sum_of(0, at, loops.steps(fold.strides))
        place = self._is(f"getelementptr inbounds double, ptr {_base(fold.value)}, i64 {index}")
        self._say(f"store double {x}, ptr {place}, align 8{self.tag[fold.value]}")

    def _space(self, count: int) -> int:
        at = self.scratch
        self.scratch += -(-count // 8) * 8
        return at

    def _columns(self, loops: _Loops) -> None:
        """Many results side by side, strip by strip, each row added to all of them."""
        nest = loops.nest
        levels = loops.levels()
        values: dict[int, str] = {}
        inner = len(loops.extents) - 1
        n = loops.extents[-1]
        first = loops.group.index(1)
        rooms = [self._space(STRIP) for _ in nest.folds]
        self._nodes(loops, -1, levels, values, [])

        def each(length: str, write: Callable[[Fold, str, str], None]) -> None:
            for j in self._loop(length, True):
                for f, base in zip(nest.folds, rooms, strict=True):
                    where = self._is(f"add nuw nsw i64 {j}, {base}")
                    place = self._is(f"getelementptr inbounds double, ptr %scratch, i64 {where}")
                    write(f, j, place)

        def strip(at: list[str]) -> None:
            for block in self._loop(str(-(-n // STRIP))):
                start, length = self._span(block, STRIP, n)

                def begin(f: Fold, j: str, place: str) -> None:
                    self._say(f"store double {_FOLDS[f.name][1]}, ptr {place}, align 8{self.tag['partials']}")

                def end(f: Fold, j: str, place: str, at: list[str] = at, start: str = start) -> None:
                    x = self._is(f"load double, ptr {place}, align 8{self.tag['partials']}")
                    index = self._is(f"add nuw nsw i64 {start}, {j}")
                    self._deliver(loops, f, [*at, *["0"] * (inner - len(at)), index], x)

                each(length, begin)
                down(first, at, start, length)
                each(length, end)

        def down(k: int, at: list[str], start: str, length: str) -> None:
            if k == inner:
                for j in self._loop(length, True):
                    index = self._is(f"add nuw nsw i64 {start}, {j}")
                    self._nodes(loops, k, levels, values, [*at, index])
                    for f, base in zip(nest.folds, rooms, strict=True):
                        where = self._is(f"add nuw nsw i64 {j}, {base}")
                        place = self._is(f"getelementptr inbounds double, ptr %scratch, i64 {where}")
                        before = self._is(f"load double, ptr {place}, align 8{self.tag['partials']}")
                        after = self._is(_FOLDS[f.name][2].format(before, values[f.node]))
                        self._say(f"store double {after}, ptr {place}, align 8{self.tag['partials']}")
                return
            for index in self._loop(str(loops.extents[k])):
                self._nodes(loops, k, levels, values, [*at, index])
                down(k + 1, [*at, index], start, length)

        def into(k: int, at: list[str]) -> None:
            if k == first:
                strip(at)
                return
            for index in self._loop(str(loops.extents[k])):
                self._nodes(loops, k, levels, values, [*at, index])
                into(k + 1, [*at, index])

        into(0, [])


def _rounds(nodes: Sequence[tuple[Any, ...]]) -> list[tuple[int, str]]:
    """Return, by node, how many elementary functions stand below it one after another, and which one it is itself, if any."""
    found: list[tuple[int, str]] = []
    for name, *rest in nodes:
        below = [] if name in _LEAVES else [found[o] for o in rest]
        number = max([k + (function != "") for k, function in below], default=0)
        found.append((number, name if name in kernels.KERNELS else ""))
    return found


def _base(i: int) -> str:
    return f"%b{i}" if i >= 0 else f"%c{-i}"
