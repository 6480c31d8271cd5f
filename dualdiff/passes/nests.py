"""Nests of loops around expressions: what is read, computed, stored and put together for every index of a box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dualdiff.passes.entries import MOST_LOOKED_AT, PREDICATES, Along, Box, Folded, Mapped, Moved, Taken, entries_of
from dualdiff.passes.program import Form, Program

__all__ = [
    "Expressions",
    "Fold",
    "Kernel",
    "Look",
    "Nest",
    "SplitError",
    "Store",
    "applied",
    "as_number",
    "composed",
    "long_dims",
    "needed",
]


class SplitError(Exception):
    """A box is to be cut along a dimension."""


class Store(NamedTuple):
    """A node's value goes where ``offset + strides · index`` says, in the memory of a value."""

    value: int
    offset: int
    strides: tuple[int, ...]
    node: int


class Fold(NamedTuple):
    """A node's values are put together along the nest's dimensions ``along``; the rest says where in the memory of a value."""

    value: int
    name: str
    node: int
    along: tuple[int, ...]
    strides: tuple[int, ...]
    divisor: int


class Look(NamedTuple):
    """A node's value is to be "finite", "true" or "false" everywhere; else the program does not hold, by a check or in general."""

    what: str
    node: int
    check: int | None


@dataclass(slots=True)
class Nest:
    """Loops over ``extents`` around expressions.

    A node is ``("load", value, offset, strides, of truth values)``, ``("take", value, offset, strides, table)`` where these are those of a
    table of positions, ``("constant", x)``, ``("given", value)`` for a number that is no
    array, or a function's name and its operands' nodes.
    """

    extents: tuple[int, ...]
    nodes: list[tuple[Any, ...]] = field(default_factory=list)
    known: dict[Any, int] = field(default_factory=dict)
    stores: list[Store] = field(default_factory=list)
    folds: list[Fold] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)

    def node(self, *key: Any) -> int:
        """Return the number of a node; equal ones are one."""
        known = (*key, str(key[1])) if key[0] == "constant" else key  # -0.0 is not 0.0, and 1.0 is not True
        found = self.known.get(known)
        if found is None:
            found = self.known[known] = len(self.nodes)
            self.nodes.append(key)
        return found


@dataclass(slots=True)
class Kernel:
    """Nests of loops one after another.

    Attributes
    ----------
    operands, results : tuple of int
        What is read, and what is stored for others; constants are not among them.
    scratch : dict
        What is stored for the kernel itself, and from which entry of its scratch memory on.
    size : int
        Entries of scratch memory.
    nests : list of Nest
    """

    operands: tuple[int, ...]
    results: tuple[int, ...]
    scratch: dict[int, int]
    size: int
    nests: list[Nest]


class Expressions:
    """The expressions of a program's values, as far as these are not stored."""

    def __init__(self, program: Program, known: frozenset[str]) -> None:
        self.program = program
        self.forms = program.forms
        self.entries = entries_of(program, known | {"positive", "number"})
        self.constants: dict[int, Any] = dict(program.constants)
        self.stored: set[int] = set()
        self._effective: dict[int, tuple[int, ...]] = {}
        self._tables: dict[int, int] = {}

    def identity(self, i: int) -> tuple[Along, ...]:
        """Return a value's coordinates where its indices are those of the box."""
        return tuple([Along(d, 1, 0) for d in range(len(self.forms[i].shape))])

    def broadcast(self, o: int, i: int) -> tuple[Along, ...]:
        """Return an operand's coordinates by those of a result."""
        have, want = self.forms[o].shape, self.forms[i].shape
        lead = len(want) - len(have)
        return tuple([Along(k + lead, 1, 0) if n > 1 else Along(-1, 0, 0) for k, n in enumerate(have)])

    def unfolded(self, i: int, what: Folded, at: Sequence[int] | None) -> tuple[Along, ...]:
        """Return the coordinates of the operand of a fold: along the folded axes those given, or dimensions of their own."""
        axes, d = [], 0
        for a in range(len(self.forms[what.operand].shape)):
            if a in what.axes:
                axes.append(Along(-1, 0, at[what.axes.index(a)]) if at is not None else Along(-2, 1, a))
                d += what.keeps
            else:
                axes.append(Along(d, 1, 0))
                d += 1
        return tuple(axes)

    def resolve(self, nest: Nest, i: int, at: tuple[Along, ...], box: Box, dims: Sequence[int], defined: bool) -> int:
        """Return the node of a value's entry at coordinates, within a box whose longer dimensions are the nest's."""
        key = ("entry", i, at, defined)
        if key in nest.known:
            return nest.known[key]
        found = nest.known[key] = self._resolved(nest, i, at, box, dims, defined)
        return found

    def _resolved(self, nest: Nest, i: int, at: tuple[Along, ...], box: Box, dims: Sequence[int], defined: bool) -> int:
        what = self.entries.get(i)
        if what is None or (i in self.stored and not defined):
            return self.leaf(nest, i, at, box, dims)
        if isinstance(what, Mapped):
            nodes = [self.resolve(nest, o, composed(self.broadcast(o, i), at), box, dims, False) for o in what.operands]
            name = what.name
            if name == "divide" and self.forms[i].kind == "float":
                name = "quotient"  # Python raises where NumPy does not
            return applied(nest, name, nodes)
        if isinstance(what, Moved):
            part = next(p for p in what.parts if p.box is None or _is_inside(at, p.box, box))
            return self.resolve(nest, part.operand, composed(part.axes, at), box, dims, False)
        if isinstance(what, Taken):
            offset, strides = self._place(i, at, box, dims)
            return nest.node("take", what.operand, offset, strides, self._table(i, what))
        shape = self.forms[what.operand].shape
        nodes = [
            self.resolve(nest, what.operand, composed(self.unfolded(i, what, k), at), box, dims, False)
            for k in np.ndindex(*[shape[a] for a in what.axes])
        ]
        if what.name == "add":
            nodes = [as_number(nest, n) for n in nodes]
        while len(nodes) > 1:
            nodes = [
                applied(nest, what.name, nodes[k : k + 2]) if k + 1 < len(nodes) else nodes[k]
                for k in range(0, len(nodes), 2)
            ]
        if what.divisor != 1:
            return applied(nest, "divide", [nodes[0], nest.node("constant", float(what.divisor))])
        return nodes[0]

    def leaf(self, nest: Nest, i: int, at: tuple[Along, ...], box: Box, dims: Sequence[int]) -> int:
        """Return the node of an entry that is read, or is a constant."""
        form = self.forms[i]
        x = self.constants.get(i)
        if x is None and not form.shape and form.kind != "array" and i not in self.entries:
            return nest.node("given", i)
        if x is not None and not form.shape:
            return self._constant(nest, np.asarray(x)[()])
        offset, kept = self._place(i, at, box, dims)
        if x is not None and not any(kept):
            return self._constant(nest, np.asarray(x).reshape(-1)[offset])
        return nest.node("load", i, offset, kept, form.dtype == np.bool_)

    def _place(self, i: int, at: tuple[Along, ...], box: Box, dims: Sequence[int]) -> tuple[int, tuple[int, ...]]:
        """Return where a value's entries stand: an offset, and a stride by dimension of the nest."""
        strides = self.strides(i)
        offset = 0
        of_dim = [0] * len(box)
        for n, a in zip(strides, at, strict=True):
            offset += n * a.start
            if a.dim >= 0:
                offset += n * a.step * box[a.dim][0]
                of_dim[a.dim] += n * a.step
        return offset, tuple([of_dim[d] for d in dims])

    def _table(self, i: int, what: Taken) -> int:
        """Return the number of a table of positions, which is a constant."""
        number = self._tables.get(i)
        if number is None:
            number = self._tables[i] = self.constant(what.positions)
        return number

    def constant(self, x: Any) -> int:
        """Return the number of an array that loops read beside the program's values."""
        number = -2 - len(self.constants)
        self.constants[number] = x
        self.forms = {**self.forms, number: Form(x.shape, x.dtype, "array")}
        return number

    def _constant(self, nest: Nest, x: Any) -> int:
        return nest.node("constant", bool(x) if isinstance(x, (bool, np.bool_)) else float(x))

    def strides(self, i: int) -> tuple[int, ...]:
        """Return how far entries are from each other; along an axis where a constant's are all equal, not at all."""
        found = self._effective.get(i)
        if found is not None:
            return found
        shape = self.forms[i].shape
        strides = [math.prod(shape[a + 1 :]) for a in range(len(shape))]
        x = self.constants.get(i)
        if x is not None and x.size <= MOST_LOOKED_AT:
            bits = np.ascontiguousarray(x).view(np.uint8 if x.dtype.itemsize == 1 else np.int64)
            for a in range(len(shape)):
                first = (slice(None),) * a + (slice(0, 1),)
                if bool((bits == bits[first]).all()):
                    strides[a] = 0
        found = self._effective[i] = tuple(strides)
        return found


def long_dims(box: Box) -> tuple[int, ...]:
    """Return the dimensions along which a box has more than one index."""
    return tuple([d for d, (low, high) in enumerate(box) if high - low > 1])


def composed(axes: Sequence[Along], at: Sequence[Along]) -> tuple[Along, ...]:
    """Return coordinates of coordinates."""
    out = []
    for dim, step, start in axes:
        if dim == -1:
            out.append(Along(-1, 0, start))
        elif dim < -1:
            out.append(Along(dim, step, start))
        else:
            a = at[dim]
            out.append(
                Along(a.dim, step * a.step, start + step * a.start)
                if a.dim != -1
                else Along(-1, 0, start + step * a.start)
            )
    return tuple(out)


def _is_inside(at: Sequence[Along], part: Box, box: Box) -> bool:
    """Whether coordinates are within a part everywhere in a box; if only somewhere, the box is to be cut."""
    for a, (low, high) in zip(at, part, strict=True):
        if a.dim < 0:
            if not low <= a.start < high:
                return False
            continue
        first, end = box[a.dim]
        ends = a.start + a.step * first, a.start + a.step * (end - 1)
        if max(ends) < low or min(ends) >= high:
            return False
        for bound in (low, high):
            if a.step > 0:
                cut = -((a.start - bound) // a.step)
            else:
                cut = (a.start - bound) // -a.step + 1
            if first < cut < end:
                raise SplitError(a.dim, cut)
    return True


_SHOWING = {"add": 2, "subtract": 2, "multiply": 2, "negative": 1, "sqrt": 1, "sin": 1, "cos": 1, "divide": 1}
"""How many operands are finite where a function's value is, counted from the first."""


def needed(nest: Nest) -> list[Look]:
    """Return the looks of a nest without those that others imply: what a finite value is made of is finite as well."""
    implied = set()
    for check in {look.check for look in nest.looks}:
        seen: set[int] = set()
        waiting = [look.node for look in nest.looks if look.what == "finite" and look.check == check]
        while waiting:
            name, *operands = nest.nodes[waiting.pop()]
            below = [n for n in operands[: _SHOWING.get(name, 0)] if n not in seen]
            seen.update(below)
            waiting += below
        implied |= {Look("finite", n, check) for n in seen}
    return [look for look in dict.fromkeys(nest.looks) if look not in implied]


_BOOLEAN = frozenset(("logical_and", "logical_or", "logical_xor", "logical_not"))


def _is_flag(nest: Nest, node: int) -> bool:
    name = nest.nodes[node][0]
    if name == "load":
        return bool(nest.nodes[node][4])
    return name in PREDICATES or (name == "constant" and nest.nodes[node][1].__class__ is bool)


def as_number(nest: Nest, node: int) -> int:
    """Return the node of a truth value as a number, and of a number as it is."""
    return nest.node("number", node) if _is_flag(nest, node) else node


def applied(nest: Nest, name: str, nodes: Sequence[int]) -> int:
    """Return the node of a function of nodes."""
    if name == "number":
        return as_number(nest, nodes[0])
    if name in _BOOLEAN:
        nodes = [n if _is_flag(nest, n) else nest.node("not_equal", n, nest.node("constant", 0.0)) for n in nodes]
        return nest.node(name, *nodes)
    if name == "where":
        condition, *nodes = nodes
        return nest.node("where", condition, *[as_number(nest, n) for n in nodes])
    nodes = [as_number(nest, n) for n in nodes]
    if name == "positive":
        return nodes[0]
    if name == "square":
        name, nodes = "multiply", [nodes[0], nodes[0]]
    if name == "cube":
        name, nodes = "multiply", [nest.node("multiply", nodes[0], nodes[0]), nodes[0]]
    if name == "reciprocal":
        name, nodes = "divide", [nest.node("constant", 1.0), nodes[0]]
    if name == "multiply":
        for a, b in (nodes, nodes[::-1]):
            if nest.nodes[a] == ("constant", 1.0):
                return b
    return nest.node(name, *nodes)
