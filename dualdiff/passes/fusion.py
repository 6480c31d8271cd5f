"""Which steps of a program become loops: what is stored, what is computed where it is needed, and which loops are one.

A value is *stored* where NumPy, a check or the caller is to see it, where it is put together from many entries, or where computing it
again would take longer than writing it down. Every other value is part of the expressions of those that use it. What is stored is cut
into boxes of indices within which it is one expression; boxes of one size become one nest of loops, so that they share what they
have in common.

Fusion as a choice between memory and computing again: J. Ragan-Kelley et al., "Halide: a language and compiler for optimizing
parallelism, locality, and recomputation in image processing pipelines", PLDI 2013, doi:10.1145/2491956.2462176.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dualdiff.passes.entries import (
    MOST_LOOKED_AT,
    PREDICATES,
    Along,
    Box,
    Folded,
    Mapped,
    Moved,
    entries_of,
)
from dualdiff.passes.program import Program, Step

__all__ = ["Fold", "Fusion", "Kernel", "Look", "Nest", "NotFusedError", "Store", "fused"]

WORTH = 8.0
"""How many simple operations take as long as storing a number and reading it again, while arrays are in the cache."""
WORTH_IN_MEMORY = 40.0
IN_CACHE = 1 << 16
"""Entries up to which an array is in the cache."""
SMALL = 16
"""Entries up to which a sum is an expression of them."""
UNROLLED = 8
"""Boxes side by side that become one nest."""
MOST_NODES = 256
"""Operations of one expression."""
MOST_BOXES = 64
MOST_WRITES = 64
"""Assignments and stacks of one program; many more are a scalar program's."""
DEEP = 4
"""Writes into writes that are one expression."""
_COSTS = {"divide": 4.0, "reciprocal": 4.0, "sqrt": 4.0, "quotient": 4.0}
_CHEAP = PREDICATES | frozenset((
    "add", "subtract", "multiply", "negative", "positive", "square", "absolute", "fabs", "maximum", "minimum", "fmax", "fmin",
    "where", "number", "floor", "ceil", "trunc", "rint", "sign", "copysign",
))  # fmt: skip
_FUNCTION = 20.0


class NotFusedError(Exception):
    """Inside the engine: a program is not one of loops."""


class _Split(Exception):
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

    A node is ``("load", value, offset, strides, of truth values)``, ``("constant", x)``, ``("given", value)`` for a number that is no
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


@dataclass(slots=True)
class Fusion:
    """A program as kernels and steps of NumPy.

    Attributes
    ----------
    items : list of Kernel or Step
        In order.
    checks : set of int
        The checks that kernels look at.
    finite : set of int
        The values that kernels find to be finite.
    before : dict
        By check that is left: the item before which it is looked at.
    constants : dict
        Arrays that loops read, beside the program's: what a mask was.
    fused : int
        How many steps became part of a loop.
    """

    items: list[Kernel | Step]
    checks: set[int]
    finite: set[int]
    before: dict[int, int]
    constants: dict[int, Any]
    fused: int


def fused(program: Program, known: frozenset[str]) -> Fusion:
    """Plan the loops of a program.

    Parameters
    ----------
    program : Program
    known : frozenset of str
        The functions that loops can compute.

    Raises
    ------
    NotFusedError
        Inside the engine, where there is nothing to be fused, or too much.
    """
    if any(0 in form.shape for form in program.forms.values()):
        raise NotFusedError("empty arrays")
    return _Planner(program, known).planned()


class _Planner:
    def __init__(self, program: Program, known: frozenset[str]) -> None:
        self.program = program
        self.forms = program.forms
        self.entries = entries_of(program, known | {"positive", "number"})
        self.constants: dict[int, Any] = dict(program.constants)
        self.effective: dict[int, tuple[int, ...]] = {}
        self.stored: set[int] = set()
        self.shown: set[int] = set()
        self.looks: dict[int, list[int | None]] = {}  # by value: the checks that it is finite
        self.checks: dict[int, int] = {}  # the other checks in kernels, and their values
        self.cost: dict[int, float] = {}
        self.level: dict[int, int] = {}
        self._leave_counts()
        if sum(type(w) is Moved and len(w.parts) > 1 for w in self.entries.values()) > MOST_WRITES:
            raise NotFusedError("too many writes")

    def _leave_counts(self) -> None:
        """Leave counts that anybody but a loop is to see to NumPy."""
        program = self.program
        seen = {*program.outputs, *[c.value for c in program.checks]}
        for s in reversed(program.steps):
            if s.result in self.entries and s.result in seen and self.forms[s.result].dtype.kind == "i":
                del self.entries[s.result]
            if s.result not in self.entries:
                seen.update(s.operands)

    # -- what is stored ----------------------------------------------------------------------------
    def planned(self) -> Fusion:
        program = self.program
        self._weigh()
        for s in program.steps:
            if s.result not in self.entries:
                for i in s.operands:
                    self._show(i)
        for i in program.outputs:
            self._show(i)
        self._look()
        self._decide()
        return self._scheduled()

    def _size(self, i: int) -> int:
        return math.prod(self.forms[i].shape)

    def _weigh(self) -> None:
        """Say how many operations a value takes from what is stored on, and how often something was put together before it."""
        counts: dict[int, float] = {}
        deep: dict[int, int] = {}
        for s in self.program.steps:
            i, what = s.result, self.entries.get(s.result)
            below = max([self.level.get(o, 0) for o in s.operands], default=0)
            if what is None:
                self.level[i] = below + 1
                continue
            sources = dict.fromkeys(s.operands)
            count = sum([counts.get(o, 0) for o in sources])
            cost = sum([self.cost.get(o, 0.0) for o in sources])
            depth = max([deep.get(o, 0) for o in sources], default=0)
            if type(what) is Mapped:
                cost += _COSTS.get(what.name, 1.0 if what.name in _CHEAP else _FUNCTION)
                count += 1
            elif type(what) is Moved:
                if len(what.parts) > 1:
                    depth += 1
                    cost, count = cost + 1, count + 1
            elif self._is_small(i, what):
                n = self._folded(what)
                cost, count = n * (cost + 1), n * (count + 1)
            else:
                self.stored.add(i)
                below += 1
                if depth and len(what.axes) < len(self.forms[what.operand].shape):
                    self.stored.add(what.operand)  # sums along an axis are of one expression
            if count > MOST_NODES or depth > DEEP:
                self.stored.add(i)
            if i in self.stored:
                cost = count = depth = 0
            self.cost[i], counts[i], deep[i], self.level[i] = cost, count, depth, below

    def _folded(self, what: Folded) -> int:
        shape = self.forms[what.operand].shape
        return math.prod([shape[a] for a in what.axes])

    def _is_small(self, i: int, what: Folded) -> bool:
        return self._folded(what) <= SMALL

    def _viewed(self, i: int) -> int | None:
        """Return what a value is a view of, None if it is none."""
        what = self.entries.get(i)
        if type(what) is Moved and what.is_view and len(what.parts) == 1:
            return what.parts[0].operand
        return None

    def _show(self, i: int) -> None:
        """See to it that NumPy can have a value: it is stored, or a view of what is."""
        while i in self.entries and i not in self.stored and i not in self.shown:
            base = self._viewed(i)
            if base is None or not (
                base in self.stored or base not in self.entries or self._size(base) == self._size(i)
            ):
                self.stored.add(i)
                return
            self.shown.add(i)
            i = base

    def _whole(self, i: int) -> int:
        """Return what a value shows all the entries of, in another order."""
        while i not in self.stored:
            base = self._viewed(i)
            if base is None or self._size(base) != self._size(i):
                break
            i = base
        return i

    def _look(self) -> None:
        for c, check in enumerate(self.program.checks):
            outer = self.entries.get(check.value)
            if outer is None:
                self._show(check.value)
                continue
            if type(outer) is Folded and outer.name == "logical_and" and bool(check.then):
                inner = self.entries.get(outer.operand)
                if type(inner) is Mapped and inner.name == "isfinite":
                    whole = self._whole(inner.operands[0])
                    if whole in self.entries:
                        self.looks.setdefault(whole, []).append(c)
                        continue
            self.checks[c] = check.value

    def _decide(self) -> None:
        """Go back from what is stored: a value that several places need is stored too where that is worth it."""
        occurrences: dict[int, dict[Any, None]] = {}
        for i in (*self.looks, *self.checks.values()):
            if i not in self.stored:
                self._add(occurrences, i, [((self.level.get(i, 0), self.forms[i].shape, ()), self._identity(i))])
        for s in reversed(self.program.steps):
            i, what = s.result, self.entries.get(s.result)
            if what is None:
                continue
            found = list(occurrences.get(i, ()))
            is_big = type(what) is Folded and not self._is_small(i, what)
            if not found and (i not in self.stored or (is_big and not self._is_wanted(i))):
                self.stored.discard(i)
                continue
            worth = WORTH if self._size(i) <= IN_CACHE else WORTH_IN_MEMORY
            if i not in self.stored and self.cost[i] > worth and _is_repeated(found) and self._viewed(i) is None:
                self.stored.add(i)
            if is_big:
                shape = self.forms[what.operand].shape
                whole = len(what.axes) == len(shape)
                key = (self.level.get(what.operand, 0), shape, () if whole else what.axes)
                self._add(occurrences, what.operand, [(key, self._identity(what.operand))])
                continue
            if i in self.stored:
                found = [((self.level[i], self.forms[i].shape, ()), self._identity(i))]
            self._pass(occurrences, i, what, found)

    def _is_wanted(self, i: int) -> bool:
        """Whether NumPy, a check or the caller is to see a value."""
        program = self.program
        if i in program.outputs or i in self.checks.values() or i in self.looks:
            return True
        return any(i in s.operands for s in program.steps if s.result not in self.entries or s.result in self.shown)

    def _identity(self, i: int) -> tuple[Along, ...]:
        return tuple([Along(d, 1, 0) for d in range(len(self.forms[i].shape))])

    def _add(self, occurrences: dict[int, dict[Any, None]], i: int, found: Iterable[Any]) -> None:
        at = occurrences.setdefault(i, {})
        for f in found:
            if len(at) < 16:
                at[f] = None

    def _pass(self, occurrences: dict[int, dict[Any, None]], i: int, what: Any, found: Sequence[Any]) -> None:
        if type(what) is Mapped:
            for o in what.operands:
                axes = self._broadcast(o, i)
                self._add(occurrences, o, [(key, _composed(axes, at)) for key, at in found])
        elif type(what) is Moved:
            for part in what.parts:
                self._add(
                    occurrences,
                    part.operand,
                    [(_within(key, at, part.box), _composed(part.axes, at)) for key, at in found],
                )
        else:
            axes = self._unfolded(i, what, None)
            self._add(occurrences, what.operand, [(key, _composed(axes, at)) for key, at in found])

    def _broadcast(self, o: int, i: int) -> tuple[Along, ...]:
        have, want = self.forms[o].shape, self.forms[i].shape
        lead = len(want) - len(have)
        return tuple([Along(k + lead, 1, 0) if n > 1 else Along(-1, 0, 0) for k, n in enumerate(have)])

    def _unfolded(self, i: int, what: Folded, at: Sequence[int] | None) -> tuple[Along, ...]:
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

    # -- expressions -------------------------------------------------------------------------------
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
            return self._leaf(nest, i, at, box, dims)
        if type(what) is Mapped:
            nodes = [
                self.resolve(nest, o, _composed(self._broadcast(o, i), at), box, dims, False) for o in what.operands
            ]
            name = what.name
            if name == "divide" and self.forms[i].kind == "float":
                name = "quotient"  # Python raises where NumPy does not
            return _applied(nest, name, nodes)
        if type(what) is Moved:
            part = next(p for p in what.parts if p.box is None or _is_inside(at, p.box, box))
            return self.resolve(nest, part.operand, _composed(part.axes, at), box, dims, False)
        shape = self.forms[what.operand].shape
        nodes = [
            self.resolve(nest, what.operand, _composed(self._unfolded(i, what, k), at), box, dims, False)
            for k in np.ndindex(*[shape[a] for a in what.axes])
        ]
        if what.name == "add":
            nodes = [_as_number(nest, n) for n in nodes]
        while len(nodes) > 1:
            nodes = [
                _applied(nest, what.name, nodes[k : k + 2]) if k + 1 < len(nodes) else nodes[k]
                for k in range(0, len(nodes), 2)
            ]
        if what.divisor != 1:
            return _applied(nest, "divide", [nodes[0], nest.node("constant", float(what.divisor))])
        return nodes[0]

    def _leaf(self, nest: Nest, i: int, at: tuple[Along, ...], box: Box, dims: Sequence[int]) -> int:
        form = self.forms[i]
        x = self.constants.get(i)
        if x is None and not form.shape and form.kind != "array" and i not in self.entries:
            return nest.node("given", i)
        if x is not None and not form.shape:
            return self._constant(nest, np.asarray(x)[()])
        strides = self._strides(i)
        offset = sum(
            [n * (a.start + a.step * (box[a.dim][0] if a.dim >= 0 else 0)) for n, a in zip(strides, at, strict=True)]
        )
        of_dim = [0] * len(box)
        for n, a in zip(strides, at, strict=True):
            if a.dim >= 0:
                of_dim[a.dim] += n * a.step
        kept = tuple([of_dim[d] for d in dims])
        if x is not None and not any(kept):
            return self._constant(nest, np.asarray(x).reshape(-1)[offset])
        return nest.node("load", i, offset, kept, form.dtype == np.bool_)

    def _constant(self, nest: Nest, x: Any) -> int:
        return nest.node("constant", bool(x) if isinstance(x, (bool, np.bool_)) else float(x))

    def _strides(self, i: int) -> tuple[int, ...]:
        """Return how far entries are from each other; along an axis where a constant's are all equal, not at all."""
        found = self.effective.get(i)
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
        found = self.effective[i] = tuple(strides)
        return found

    # -- boxes and nests ---------------------------------------------------------------------------
    def _boxes(self, i: int, operand: int, defined: bool, unrolled: bool) -> list[tuple[Box, set[int], int]]:
        """Cut a value's indices into boxes; say what is read in each of them, and how many operations it takes."""
        waiting: list[Box] = [tuple([(0, n) for n in self.forms[operand].shape])]
        done: list[tuple[Box, set[int], int]] = []
        while waiting:
            if len(done) + len(waiting) > MOST_BOXES:
                raise NotFusedError("too many boxes")
            box = waiting.pop()
            nest, dims = Nest(()), _dims(box)
            try:
                self.resolve(nest, operand, self._identity(operand), box, dims, defined)
            except _Split as split:
                d, cut = split.args
                low, high = box[d]
                waiting += [(*box[:d], ends, *box[d + 1 :]) for ends in ((cut, high), (low, cut))]
                continue
            reads = {n[1] for n in nest.nodes if n[0] in ("load", "given")}
            count = sum(n[0] not in ("load", "given", "constant") for n in nest.nodes)
            if unrolled and len(dims) > 1:
                d = dims[0]
                low, high = box[d]
                if high - low <= UNROLLED and count * (high - low) <= MOST_NODES:
                    done += [((*box[:d], (k, k + 1), *box[d + 1 :]), reads, count) for k in range(low, high)]
                    continue
            done.append((box, reads, count))
        return done

    def _roots(self) -> Iterator[tuple[str, int, int]]:
        """Yield what loops are for, in the order of the steps: kind, value, check."""
        checked: dict[int, list[int]] = {}
        for c, i in self.checks.items():
            checked.setdefault(i, []).append(c)
        for s in self.program.steps:
            i = s.result
            if i in self.entries:
                if i in self.stored:
                    yield "store", i, -1
                elif i in self.looks:
                    yield "look", i, -1
                for c in checked.get(i, ()):
                    yield "check", i, c

    def _scheduled(self) -> Fusion:
        program = self.program
        calls = [(n, s) for n, s in enumerate(program.steps) if s.result not in self.entries or s.result in self.shown]
        segment = dict.fromkeys((*range(program.inputs), *self.constants), 0)
        number = {s.result: k for k, (_, s) in enumerate(calls)}
        for s in program.steps:
            below = max([segment[o] for o in s.operands], default=0)
            segment[s.result] = number[s.result] + 1 if s.result not in self.entries else below
        by_segment: dict[int, list[tuple[str, int, int]]] = {}
        for root in self._roots():
            by_segment.setdefault(segment[root[1]], []).append(root)
        if not by_segment:
            raise NotFusedError("nothing to fuse")
        wanted = {i for _, s in calls for i in s.operands} | {*program.outputs}
        wanted |= {c.value for n, c in enumerate(program.checks) if n not in self.checks}
        items: list[Kernel | Step] = []
        before: dict[int, int] = {}
        starts = []
        for k in range(len(calls) + 1):
            if k in by_segment:
                items.append(self._kernel(by_segment[k]))
            starts.append(len(items))
            if k < len(calls):
                items.append(calls[k][1])
        kernels = [k for k in items if type(k) is Kernel]
        made_in = {i: k for k, kernel in enumerate(kernels) for i in kernel.scratch}
        for k, kernel in enumerate(kernels):
            wanted |= {i for i in kernel.operands if made_in.get(i, k) != k}
        for kernel in kernels:
            _settle(kernel, wanted, self)
        finite = {i for i in self.looks if i in self.stored}
        done = {*self.checks, *[c for i in self.looks for c in self.looks[i] if c is not None]}
        for c, check in enumerate(program.checks):
            if c not in done:
                before[c] = next((starts[k] for k, (n, _) in enumerate(calls) if n >= check.before), len(items))
        outputs = {o for o in program.outputs if self._whole(o) in finite}
        fused = len(self.entries) - len(self.shown)
        extra = {i: x for i, x in self.constants.items() if i not in program.constants}
        return Fusion(items, done, finite | outputs, before, extra, fused)

    def _kernel(self, roots: Sequence[tuple[str, int, int]]) -> Kernel:
        nests: dict[Any, list[Nest]] = {}
        depth: dict[int, int] = {}
        reads_of: set[int] = set()
        for o in self.program.outputs:
            whole = self._whole(o)
            if whole in self.stored and self.forms[o].dtype == np.float64:
                self.looks.setdefault(whole, [])
        for kind, i, c in roots:
            what: Any = self.entries[i]
            if kind == "store" and type(what) is Folded and not self._is_small(i, what):
                found = self._boxes(i, what.operand, False, False)
                whole = len(what.axes) == len(self.forms[what.operand].shape)
                if not whole and len(found) > 1:
                    raise NotFusedError("a sum of parts")
                at = 1 + max([depth.get(r, 0) for _, reads, _ in found for r in reads], default=0)
                for box, reads, count in found:
                    reads_of |= reads
                    nest, dims = self._nest(nests, at, box, count, () if whole else what.axes)
                    node = self.resolve(nest, what.operand, self._identity(what.operand), box, dims, False)
                    if what.name == "add":
                        node = _as_number(nest, node)
                    along = tuple([n for n, d in enumerate(dims) if d in what.axes])
                    of = [a for a in range(len(box)) if a not in what.axes]
                    shape = [self.forms[what.operand].shape[a] for a in of]
                    steps = {a: math.prod(shape[n + 1 :]) for n, a in enumerate(of)}
                    strides = tuple([steps.get(d, 0) for d in dims])
                    nest.folds.append(Fold(i, what.name, node, along, strides, what.divisor))
                depth[i] = at
                continue
            found = self._boxes(i, i, kind == "store", True)
            at = 1 + max([depth.get(r, 0) for _, reads, _ in found for r in reads], default=0)
            if kind == "check":
                then = self._then(c)
            for box, reads, count in found:
                reads_of |= reads
                nest, dims = self._nest(nests, at, box, count, ())
                node = self.resolve(nest, i, self._identity(i), box, dims, kind == "store")
                if kind == "check":
                    expected = self._leaf(nest, then, self._identity(i), box, dims)
                    nest.looks.append(Look("true", _applied(nest, "equal", [node, expected]), c))
                    continue
                for check in self.looks.get(i, ()) or (() if i not in self.looks else (None,)):
                    nest.looks.append(Look("finite", node, check))
                if kind == "store":
                    strides = self._strides(i)
                    offset = sum([n * low for n, (low, _) in zip(strides, box, strict=True)])
                    nest.stores.append(Store(i, offset, tuple([strides[d] for d in dims]), node))
            if kind == "store":
                depth[i] = at
        ordered = [nest for key in sorted(nests, key=lambda k: k[0]) for nest in nests[key]]
        operands = tuple(sorted(i for i in reads_of if i not in depth and i not in self.constants))
        return Kernel(operands, (), dict.fromkeys(depth, 0), 0, ordered)

    def _nest(
        self, nests: dict[Any, list[Nest]], depth: int, box: Box, count: int, axes: tuple[int, ...]
    ) -> tuple[Nest, tuple[int, ...]]:
        """Return a nest for a box: one of the same size, as long as it is not too large."""
        dims = _dims(box)
        extents = tuple([box[d][1] - box[d][0] for d in dims])
        along = tuple([n for n, d in enumerate(dims) if d in axes])
        there = nests.setdefault((depth, extents, along), [])
        if not there or len(there[-1].nodes) + count > 3 * MOST_NODES:
            there.append(Nest(extents))
        nest = there[-1]
        for key in [k for k in nest.known if k[0] == "entry"]:
            del nest.known[key]  # coordinates are those within a box
        return nest, dims

    def _then(self, c: int) -> int:
        """Return what a check expects as a constant that loops can read."""
        check = self.program.checks[c]
        number = -1 - c
        self.constants[number] = np.array(np.broadcast_to(check.then, self.forms[check.value].shape), order="C")
        self.forms = {**self.forms, number: self.forms[check.value]}
        return number


def _settle(kernel: Kernel, wanted: set[int], planner: _Planner) -> None:
    """Decide what a kernel stores for others, and where in its scratch memory the rest stands as long as it is needed."""
    made = tuple(kernel.scratch)
    kernel.results = tuple([i for i in made if i in wanted])
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for n, nest in enumerate(kernel.nests):
        for i in (*[s.value for s in nest.stores], *[f.value for f in nest.folds]):
            first.setdefault(i, n)
            last[i] = max(last.get(i, n), n)
        for node in nest.nodes:
            if node[0] == "load" and node[1] in kernel.scratch:
                last[node[1]] = n
    kernel.scratch = {}
    taken: list[tuple[int, int, int]] = []  # from, to, until
    for i in sorted((i for i in made if i not in wanted), key=lambda i: first[i]):
        size = -(-planner._size(i) // 8) * 8
        taken = [t for t in taken if t[2] >= first[i]]
        at = 0
        for low, high, _ in sorted(taken):
            if at + size <= low:
                break
            at = max(at, high)
        taken.append((at, at + size, last[i]))
        kernel.scratch[i] = at
        kernel.size = max(kernel.size, at + size)


def _dims(box: Box) -> tuple[int, ...]:
    return tuple([d for d, (low, high) in enumerate(box) if high - low > 1])


def _composed(axes: Sequence[Along], at: Sequence[Along]) -> tuple[Along, ...]:
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
                raise _Split(a.dim, cut)
    return True


def _within(key: Any, at: Sequence[Along], box: Box | None) -> Any:
    """Return where a part is needed: beside others only, where it is a few rows."""
    if box is None:
        return key
    level, shape, axes = key
    shape = list(shape)
    for a, (low, high) in zip(at, box, strict=True):
        if a.dim >= 0 and high - low <= UNROLLED:
            shape[a.dim] = min(shape[a.dim], high - low)
    return level, tuple(shape), axes


def _is_repeated(found: Sequence[Any]) -> bool:
    """Whether a value is needed in more than one place, or again and again along a dimension that it does not have."""
    if len(found) > 1:
        return True
    for key, at in found:
        shape = key[1]
        used = {a.dim for a in at}
        last = max(used, default=-1)
        missing = [n for d, n in enumerate(shape) if d < last and d not in used and n > 1]
        if missing and not (len(missing) == 1 and missing[0] <= UNROLLED):
            return True
    return False


_BOOLEAN = frozenset(("logical_and", "logical_or", "logical_xor", "logical_not"))


def _is_flag(nest: Nest, node: int) -> bool:
    name = nest.nodes[node][0]
    if name == "load":
        return bool(nest.nodes[node][4])
    return name in PREDICATES or (name == "constant" and nest.nodes[node][1].__class__ is bool)


def _as_number(nest: Nest, node: int) -> int:
    return nest.node("number", node) if _is_flag(nest, node) else node


def _applied(nest: Nest, name: str, nodes: Sequence[int]) -> int:
    """Return the node of a function of nodes."""
    if name == "number":
        return _as_number(nest, nodes[0])
    if name in _BOOLEAN:
        nodes = [n if _is_flag(nest, n) else nest.node("not_equal", n, nest.node("constant", 0.0)) for n in nodes]
        return nest.node(name, *nodes)
    if name == "where":
        condition, *nodes = nodes
        return nest.node("where", condition, *[_as_number(nest, n) for n in nodes])
    nodes = [_as_number(nest, n) for n in nodes]
    if name == "positive":
        return nodes[0]
    if name == "square":
        name, nodes = "multiply", [nodes[0], nodes[0]]
    if name == "reciprocal":
        name, nodes = "divide", [nest.node("constant", 1.0), nodes[0]]
    if name == "multiply":
        for a, b in (nodes, nodes[::-1]):
            if nest.nodes[a] == ("constant", 1.0):
                return b
    return nest.node(name, *nodes)
