"""Small programs as straight-line machine code: one function of numbers, without loops."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dualdiff.compiled import operations
from dualdiff.passes.program import Program
from dualdiff.passes.scalars import NotScalarError, Scalars

__all__ = ["MOST", "straight"]

MOST = 3000
"""Operations beyond which straight lines take too long to compile."""
TOGETHER = 16
"""Results that are looked at together, whether they are finite. What follows is another block: long ones take longer to compile."""
_FLOAT = np.dtype(float)


def straight(program: Program, scalars: Scalars) -> str:
    """Return a program in LLVM's language.

    Its function is ``i32 @program(ptr inputs, ptr outputs)``: of the addresses of the inputs' numbers, and of where the outputs'
    numbers go, one output after the other. It returns 0; or -1 where an output is not finite; or the number of a check that does
    not hold, counted from 1. It keeps nothing, and so may run in many threads at a time.

    Raises
    ------
    NotScalarError
        Inside the engine, if there is no machine code for some operation or result.
    """
    return _Straight(program, scalars).written()


class _Straight:
    """The writing of one program."""

    def __init__(self, program: Program, scalars: Scalars) -> None:
        self.program, self.scalars = program, scalars
        self.lines: list[str] = []
        self.names: dict[int, str] = {}  # of the nodes that have been computed
        self.pointers: set[int] = set()  # inputs whose address has been read
        self.truths: set[int] = set()  # nodes that are no numbers
        self.known = bytearray(len(scalars.operations))  # which nodes have been come to
        self.delivered: dict[int, list[int]] = {}  # by check, -1 for that of the results: numbers not yet looked at
        self.looks = 0
        self.goals: dict[int, list[int]] = {}  # where the number of a node goes
        self.fixed: list[float] = []  # what results are before anything is computed
        self.asking: dict[int, list[int]] = {}  # by number, the checks that only ask whether it is finite
        self.hidden = self._looked_at()
        circular = {o: n for n, o in enumerate(scalars.operations) if o[0] in ("sin", "cos")}
        pairs = [(n, circular.get(("cos", m))) for (name, m), n in circular.items() if name == "sin"]
        # Sines and cosines of one number are one call where they stand side by side.
        self.partners = {n: m for a, b in pairs if b is not None for n, m in ((a, b), (b, a))}
        at = 0
        for form, nodes in scalars.outputs:
            if form.dtype != _FLOAT:
                raise NotScalarError(f"a result of {form.dtype}")
            for n in nodes:
                name, *operands = scalars.operations[n]
                if name == "constant":
                    self.fixed.append(float(operands[0]))
                else:
                    self.fixed.append(0.0)
                    self.goals.setdefault(n, []).append(at)
                at += 1

    def _looked_at(self) -> set[int]:
        """Return the nodes that only ask whether a number is finite, for a check of all of them, which looks at the numbers itself."""
        asked = {c[0] for c in self.scalars.checks if len(c) == 1 and self._is_finiteness(c[0])}
        for n, (name, *operands) in enumerate(self.scalars.operations):
            if name not in ("input", "constant", "unused") and n not in asked:
                asked.difference_update(operands)
        hidden = set(asked)
        for n in asked:
            hidden.update(self.scalars.operations[n][1:])
        for n, (name, *operands) in enumerate(self.scalars.operations):
            if name not in ("input", "constant", "unused") and n not in asked:
                hidden.difference_update(operands)
        for c, nodes in enumerate(self.scalars.checks):
            if nodes and nodes[0] in asked:
                for m in dict.fromkeys(self.scalars.operations[nodes[0]][1:]):
                    self.asking.setdefault(self.scalars.operations[m][1], []).append(c)
        return hidden

    def _is_finiteness(self, n: int) -> bool:
        name, *operands = self.scalars.operations[n]
        return name == "all" and all(self.scalars.operations[m][0] == "isfinite" for m in operands)

    def written(self) -> str:
        scalars, lines = self.scalars, self.lines
        template = self._template()
        checks = {c: max(nodes) for c, nodes in enumerate(scalars.checks) if nodes}  # of no numbers: always the same
        roots = sorted([*[(n, -1) for n in self.goals], *[(n, c) for c, n in checks.items()]])
        for n, c in roots:
            for m in self._missing([n] if c < 0 else scalars.checks[c]):
                self._node(m, *scalars.operations[m])
            if c >= 0:
                self._check(c)
                del checks[c]
            self._look(min(checks, default=-1), TOGETHER)
        self._look(-1, 1)
        lines += ["  ret i32 0", "changed-1:", "  ret i32 -1"]
        used = {name for name, *_ in scalars.operations if isinstance(name, str)}
        declared = operations.declared(used | ({"isfinite"} if scalars.checks else set()))
        body = "\n".join(lines)
        return (
            f"{declared}{template}\ndefine internal i32 @program(ptr noalias %inputs, ptr noalias %outputs) {{\n{body}\n"
            + "".join(f"changed{c}:\n  ret i32 {c + 1}\n" for c in range(len(scalars.checks)))
            + "}\n"
        )

    def _missing(self, wanted: Sequence[int]) -> Iterator[int]:
        """Yield what is to be computed for some nodes, each as late as possible, so that few numbers wait in registers."""
        operations, known = self.scalars.operations, self.known
        waiting = list(wanted)[::-1]
        while waiting:
            n = waiting[-1]
            name, *operands = operations[n]
            missing = [] if known[n] or name in ("input", "constant") else [m for m in operands if not known[m]]
            if missing:
                waiting += missing[::-1]
                continue
            waiting.pop()
            for m in (n, self.partners.get(n, n)):
                if not known[m]:
                    known[m] = True
                    yield m

    def _look(self, pending: int, least: int) -> None:
        """Leave where one of the results so far is not finite, if there are enough of them, and no check before that is pending."""
        for c, nodes in self.delivered.items():
            if len(nodes) >= least and pending in (c, -1):
                self._finite(c, nodes)
                nodes.clear()

    def _finite(self, c: int, nodes: Sequence[int]) -> None:
        """Leave where one of some numbers is not finite."""
        names = [self.names[n] for n in nodes if self.scalars.operations[n][0] != "constant"]
        self.looks += 1
        k = self.looks
        total = self._total(names, f"r{k}.")
        if total:
            self.lines += [
                f"  %rest.r{k} = fsub double {total}, {total}",
                f"  %finite.r{k} = fcmp oeq double %rest.r{k}, 0.0",
            ]
            self._unless(c, f"%finite.r{k}", f".r{k}")

    def _template(self) -> str:
        """Begin with the results that are constants, and return the array that they are copied from."""
        if sum(len(places) for places in self.goals.values()) == len(self.fixed):
            return ""
        size = len(self.fixed)
        self.lines.append(f"  call void @llvm.memmove.p0.p0.i64(ptr %outputs, ptr @template, i64 {8 * size}, i1 false)")
        entries = ", ".join(f"double {operations.constant(x)}" for x in self.fixed)
        if not any(self.fixed) and not any(math.copysign(1.0, x) < 0 for x in self.fixed):
            entries = "zeroinitializer"
        else:
            entries = f"[{entries}]"
        return (
            f"declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)\n"
            f"@template = private constant [{size} x double] {entries}\n"
        )

    def _node(self, n: int, name: Any, *operands: Any) -> None:
        if n in self.hidden:
            return
        if name == "constant":
            if isinstance(operands[0], bool):
                self.truths.add(n)
            self.names[n] = operations.constant(operands[0])
        elif name == "input":
            i, k = operands
            if self.program.forms[i].dtype != _FLOAT:
                raise NotScalarError(f"an input of {self.program.forms[i].dtype}")
            if i not in self.pointers:
                self.pointers.add(i)
                self.lines += [f"  %a{i} = getelementptr ptr, ptr %inputs, i64 {i}", f"  %x{i} = load ptr, ptr %a{i}"]
            self.lines += [f"  %e{n} = getelementptr double, ptr %x{i}, i64 {k}", f"  %v{n} = load double, ptr %e{n}"]
            self.names[n] = f"%v{n}"
        else:
            takes = {m in self.truths for m in (operands[1:] if name == "where" else operands)}
            logical = name in operations.OF_TRUTHS
            if takes and takes != {logical}:
                raise NotScalarError(f"{name} of other operands")
            self.lines += [f"  {line}" for line in operations.text(name, f"%v{n}", [self.names[m] for m in operands])]
            self.names[n] = f"%v{n}"
            if name in operations.TRUTHS:
                self.truths.add(n)
        for c in self.asking.get(n, (-1,) if n in self.goals else ()):
            self.delivered.setdefault(c, []).append(n)
        for k in self.goals.get(n, ()):
            if n in self.truths:
                raise NotScalarError("a result that is no number")
            self.lines += [
                f"  %o{k} = getelementptr double, ptr %outputs, i64 {k}",
                f"  store double {self.names[n]}, ptr %o{k}",
            ]

    def _check(self, c: int) -> None:
        nodes, then = self.scalars.checks[c], self.program.checks[c].then
        if nodes[0] in self.hidden:
            self._finite(c, self.delivered.pop(c, []))
            return
        wanted = np.asarray(then).ravel().tolist()
        for k, (n, x) in enumerate(zip(nodes, wanted, strict=True)):
            holds = f"%holds{c}.{k}"
            if n in self.truths:
                self.lines.append(f"  {holds} = icmp eq i1 {self.names[n]}, {operations.constant(bool(x))}")
            elif math.isnan(x):
                self.lines.append(f"  {holds} = fcmp uno double {self.names[n]}, 0.0")
            else:
                self.lines.append(f"  {holds} = fcmp oeq double {self.names[n]}, {operations.constant(float(x))}")
            self._unless(c, holds, f".{k}")

    def _unless(self, c: int, holds: str, label: str = "") -> None:
        self.lines += [f"  br i1 {holds}, label %go{c}{label}, label %changed{c}", f"go{c}{label}:"]

    def _total(self, values: list[str], prefix: str = "t") -> str | None:
        """Add numbers up two by two: the sum is finite only if all of them are."""
        level = 0
        while len(values) > 1:
            level += 1
            pairs = []
            for k in range(0, len(values) - 1, 2):
                name = f"%sum.{prefix}{level}.{k}"
                self.lines.append(f"  {name} = fadd double {values[k]}, {values[k + 1]}")
                pairs.append(name)
            values = pairs + values[len(values) - len(values) % 2 :]
        return values[0] if values else None
