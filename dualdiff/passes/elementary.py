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
MOST_ELSEWHERE = 1 << 17
"""Products up to which what is no product of two matrices is elementary."""
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
        """Write a product of arrays as products of numbers and a sum."""
        if len(step.operands) != 2:
            return False
        a, b = [self.forms[i] for i in step.operands]
        if a.dtype != _FLOAT or b.dtype != _FLOAT:
            return False
        letters: Any = getattr(step.row, "letters", None)
        if step.row.fn is operator.matmul and not step.params:
            left, right, result = _letters(len(a.shape), len(b.shape))
            is_for_blas = max(len(a.shape), len(b.shape)) <= 2
            most = MOST if is_for_blas and a.shape[-1] <= DEEP else 0 if is_for_blas else MOST_ELSEWHERE
        elif letters is not None:
            left, right, result, *_ = letters((a, b), step.params)
            most = MOST_ELSEWHERE
        else:
            return False
        self.kept.update(step.operands)
        sizes = dict(zip((*left, *right), (*a.shape, *b.shape), strict=True))
        sizes |= {c: n for c, n in zip(left, a.shape, strict=True) if n > 1}  # an axis of one is repeated
        if math.prod(sizes.values()) > most:
            return False
        summed = tuple([c for c in dict.fromkeys((*left, *right)) if c not in result])
        order = (*result, *summed)
        factors = (self._aligned(step.operands[0], left, order), self._aligned(step.operands[1], right, order))
        shape = tuple([sizes[c] for c in order])
        products = self._step("np.multiply", factors, {}, Form(shape, _FLOAT, "array") if summed else form)
        if summed:
            axes = tuple(range(len(result), len(order)))
            self._step("np.sum", (products,), {"axis": axes, "keepdims": False}, form)
        self._ends_in(step.result)
        return True

    def _aligned(self, x: int, letters: tuple[int, ...], order: tuple[int, ...]) -> int:
        """Return an operand with its axes in an order of letters, and axes of one where it has none."""
        shape = dict(zip(letters, self.forms[x].shape, strict=True))
        wanted = tuple([c for c in order if c in shape])
        if wanted != letters:
            axes = tuple([letters.index(c) for c in wanted])
            x = self._step(
                "np.transpose", (x,), {"axes": axes}, Form(tuple([shape[c] for c in wanted]), _FLOAT, "array")
            )
        while order and order[0] not in shape:  # axes in front are there by broadcasting
            order = order[1:]
        if order == wanted:
            return x
        index = tuple([slice(None) if c in shape else None for c in order])
        form = Form(tuple([shape.get(c, 1) for c in order]), _FLOAT, "array")
        return self._step("indexing", (x,), {"index": index}, form)


def _letters(left: int, right: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the letters of a product of matrices with so many axes: rows, columns and what is summed, those of stacks below 0."""
    rows, inner, columns = 0, 1, 2
    stack = tuple(range(-max(left, right) + 2, 0))
    a = (inner,) if left == 1 else (*stack[len(stack) - (left - 2) :], rows, inner)
    b = (inner,) if right == 1 else (*stack[len(stack) - (right - 2) :], inner, columns)
    return a, b, (*stack, *a[-2:-1], *(b[-1:] if right > 1 else ()))
