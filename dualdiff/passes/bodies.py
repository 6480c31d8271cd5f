"""One period of steps that repeat as a program of its own, while it is written."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.passes.program import Check, Program, Step
from dualdiff.passes.units import Gathered, NotRepeatedError, Numbering, Part, Read, Stored, Unit, Written

__all__ = ["Body"]

_FLOAT = np.dtype(float)


class Body:
    """One period while it is written: operands are ("read", its number), or a value of the body's steps or constants."""

    def __init__(self, numbering: Numbering, unit: Unit) -> None:
        self.numbering, self.unit = numbering, unit
        self.begin = numbering.first + unit.start
        self.known: dict[Any, Any] = {}
        self.steps: list[tuple[Step, list[Any], int]] = []
        self.checks: list[tuple[Check, Any, Any]] = []
        self.reads: list[Read] = []
        self.gathers: dict[int, tuple[int, Read, tuple[int, ...]]] = {}  # by read: the row, where it begins, strides
        self.stores: dict[int, tuple[Step, Any, Any, Part]] = {}
        self.chains: list[tuple[list[int], Read]] = []

    def operand(self, values: Any, i: int) -> Any:
        """Return an operand: what the same period makes, a constant, or something from outside."""
        numbering, unit = self.numbering, self.unit
        mine = self.begin + unit.period * np.arange(unit.count)
        within = values - mine
        if (within == within[0]).all() and 0 <= within[0] < unit.period:
            j = int(within[0])
            found = self.known.get(("made", j))
            if found is not None:
                return found
            # A part of something from outside, which is no step.
        elif (values == values[0]).all() and values[0] < numbering.first_input:
            return "constant", numbering.constants[int(values[0])]
        roots, at = numbering.root[values], numbering.at[values]
        if (roots >= self.begin).any() and (roots >= mine).any():
            raise NotRepeatedError("a value that is not there yet")
        form = numbering.program.forms[i]
        if form.kind == "float" and form.dtype.kind == "i" and (roots < numbering.first_input).all():
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
            n = self.numbering.number[which]
            zeros = np.zeros(self.unit.count, dtype=np.int64)
            return Read(self.numbering.program.forms[which], n + zeros, zeros)
        return None

    def step(self, row: Step, operands: list[Any], j: int) -> None:
        """Take a step down."""
        self.known["made", j] = "made", j
        self.steps.append((row, operands, j))

    def gathered(self, row: Step, read: Read, j: int, at: Any, part: Part) -> None:
        """Take a part down that is read before the period."""
        form = self.numbering.program.forms[row.result]
        which = len(self.reads)
        self.known["made", j] = "read", which
        source = Read(form, read.values, read.at + at)
        self.reads.append(source)
        self.gathers[which] = j, source, part.strides

    def stored(self, row: Step, value: Any, j: int, at: Any, part: Part) -> None:
        """Take a part down that is written at the end of the period."""
        forms = self.numbering.program.forms
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
        numbering = self.numbering
        first = values[:1]
        if first[0] >= self.begin:
            raise NotRepeatedError("a value that is not there yet")
        form = numbering.program.forms[self.stores[chain[0]][0].result]
        self.chains.append((chain, Read(form, numbering.root[first], numbering.at[first])))

    def check(self, row: Check, operand: Any, numbers: Any) -> None:
        """Take a decision down, and which of the program's it is by period."""
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
