"""A program whose steps are elementary: what loops know nothing of, in terms of what they know.

A product of small matrices becomes products of entries and a sum; a function that says what it is on single numbers becomes
those operations. Sums are taken in another order than by BLAS; nothing else changes a bit.
"""

from __future__ import annotations

import math
import operator
from dataclasses import replace
from typing import Any

import numpy as np

from dualdiff.kinds import Primitive
from dualdiff.kinds.base import primitive_named
from dualdiff.passes.program import Form, Program, Step
from dualdiff.passes.scalars import PREDICATES, Node, NotScalarError

__all__ = ["elementary"]

MOST = 1 << 12
"""Products of a product of matrices up to which it is elementary."""
DEEP = 64
"""Products of one entry up to which it is."""
_FLOAT, _BOOL = np.dtype(float), np.dtype(bool)


def elementary(program: Program) -> tuple[Program, set[int]]:
    """Return a program of elementary steps, and the values that are better stored: the operands of products.

    Values keep their numbers, and steps between them get new ones.
    """
    writer = _Writer(program)
    for step in program.steps:
        writer.write(step)
    return replace(program, forms=writer.forms, constants=writer.constants, steps=writer.steps), writer.kept


def _row(name: str) -> Primitive | None:
    found: Primitive | None = primitive_named(name, 0)
    return found


class _Writer:
    """The steps written so far; as the graph of :class:`~dualdiff.passes.scalars.Node` it takes what functions say of numbers."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.forms = dict(program.forms)
        self.constants = dict(program.constants)
        self.steps: list[Step] = []
        self.kept: set[int] = set()
        self.next = max(self.forms, default=-1) + 1
        self.place: Any = None
        self.kind = "number"

    def write(self, step: Step) -> None:
        form = self.forms[step.result]
        self.place, self.kind = step.place, form.kind
        start = len(self.steps)
        try:
            written = form.dtype == _FLOAT and (self._lowered(step) or self._product(step, form))
        except NotScalarError:
            written = False
        if not written:
            del self.steps[start:]
            self.steps.append(step)

    def _new(self, form: Form) -> int:
        self.forms[self.next] = form
        self.next += 1
        return self.next - 1

    def _step(self, name: str, operands: tuple[int, ...], params: dict[str, Any], form: Form) -> int:
        row = _row(name)
        if row is None:
            raise NotScalarError(name)
        result = self._new(form)
        self.steps.append(Step(row, operands, params, result, self.place))
        return result

    def _ends_in(self, result: int) -> None:
        """Let the last step written give a value that is there already."""
        self.steps[-1] = self.steps[-1]._replace(result=result)

    # -- what a function says of numbers -----------------------------------------------------------
    def constant(self, x: Any) -> int:
        """Return the number of a constant."""
        number = self._new(Form((), _FLOAT, "float"))
        self.constants[number] = float(x)
        return number

    def made(self, name: str, *operands: int) -> int:
        """Return the value of an operation."""
        shape = np.broadcast_shapes(*[self.forms[o].shape for o in operands])
        dtype = _BOOL if name in PREDICATES else _FLOAT
        return self._step(f"np.{name}", operands, {}, Form(shape, dtype, "array" if shape else self.kind))

    def _lowered(self, step: Step) -> bool:
        if step.row.lower is None or step.params:
            return False
        graph: Any = self
        last = step.row.lower(*[Node(graph, o) for o in step.operands])
        if type(last) is not Node or not self.steps or self.steps[-1].result != last.number:
            raise NotScalarError(step.row.name)
        self._ends_in(step.result)
        return True

    # -- products ----------------------------------------------------------------------------------
    def _product(self, step: Step, form: Form) -> bool:
        if step.row.fn is not operator.matmul or step.params:
            return False
        a, b = step.operands
        p, q = self.forms[a].shape, self.forms[b].shape
        if self.forms[a].dtype != _FLOAT or self.forms[b].dtype != _FLOAT:
            return False
        self.kept |= {a, b}
        if math.prod(form.shape) * p[-1] > MOST or p[-1] > DEEP:
            return False
        if len(q) == 1:
            factors, shape, axis = (a, b), p, len(p) - 1
        else:
            shape = (*form.shape[:-1], q[-2], q[-1]) if len(p) > 1 else (*form.shape[:-1], *q[-2:])
            a = self._read(a, (..., None), (*p, 1))
            if len(p) > 1:
                b = self._read(b, (..., None, slice(None), slice(None)), (*q[:-2], 1, *q[-2:]))
            factors, axis = (a, b), len(shape) - 2
        products = self._step("np.multiply", factors, {}, Form(shape, _FLOAT, "array"))
        self._step("np.sum", (products,), {"axis": (axis,), "keepdims": False}, form)
        self._ends_in(step.result)
        return True

    def _read(self, x: int, index: Any, shape: tuple[int, ...]) -> int:
        return self._step("indexing", (x,), {"index": index}, Form(shape, _FLOAT, "array"))
