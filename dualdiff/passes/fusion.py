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
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.passes.entries import (
    PREDICATES,
    Along,
    Box,
    Folded,
    Mapped,
    Moved,
    Part,
    Taken,
)
from dualdiff.passes.nests import (
    Expressions,
    Fold,
    Kernel,
    Look,
    Nest,
    SplitError,
    Store,
    applied,
    as_number,
    composed,
    long_dims,
    needed,
)
from dualdiff.passes.program import Program, Step

__all__ = ["Fusion", "NotFusedError", "fused"]

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
    "add", "subtract", "multiply", "negative", "positive", "square", "cube", "absolute", "fabs", "maximum", "minimum", "fmax", "fmin",
    "where", "number", "floor", "ceil", "trunc", "rint", "sign", "copysign",
))  # fmt: skip
_FUNCTION = 20.0


class NotFusedError(Exception):
    """Inside the engine: a program is not one of loops."""


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
        How many steps that compute became part of a loop.
    views : dict
        By output that shows all of a value which is stored: this value, and how far from each other the output's entries are in its
        memory, by axis.
    """

    items: list[Kernel | Step]
    checks: set[int]
    finite: set[int]
    before: dict[int, int]
    constants: dict[int, Any]
    fused: int
    views: dict[int, tuple[int, tuple[int, ...]]]

    @property
    def kernels(self) -> list[Kernel]:
        """The kernels among the items."""
        return [i for i in self.items if isinstance(i, Kernel)]


def fused(
    program: Program, known: frozenset[str], looked: Collection[int] | None = None, kept: Collection[int] = ()
) -> Fusion:
    """Plan the loops of a program.

    Parameters
    ----------
    program : Program
    known : frozenset of str
        The functions that loops can compute.
    looked : collection of int, optional
        The outputs that are to be finite; all of them by default. Where they are given, no check is left to NumPy that a loop can do.
    kept : collection of int
        Values that are stored at any rate.

    Raises
    ------
    NotFusedError
        Inside the engine, where there is nothing to be fused, or too much.
    """
    if any(0 in form.shape for form in program.forms.values()):
        raise NotFusedError("empty arrays")
    return _Planner(program, known, program.outputs if looked is None else looked, kept, looked is not None).planned()


class _Planner(Expressions):
    def __init__(
        self, program: Program, known: frozenset[str], looked: Collection[int], kept: Collection[int], alone: bool
    ) -> None:
        super().__init__(program, known)
        self.looked = looked
        self.alone = alone
        self.stored.update(i for i in kept if i in self.entries)
        self.shown: set[int] = set()
        self.looks: dict[int, list[int | None]] = {}  # by value: the checks that it is finite
        self.checks: dict[int, int] = {}  # the other checks in kernels, and their values
        self.cost: dict[int, float] = {}
        self.level: dict[int, int] = {}
        self.fused = 0
        self._leave_counts()
        if sum(isinstance(w, Moved) and len(w.parts) > 1 for w in self.entries.values()) > MOST_WRITES:
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
            if isinstance(what, Mapped):
                cost += _COSTS.get(what.name, 1.0 if what.name in _CHEAP else _FUNCTION)
                count += 1
            elif isinstance(what, Moved):
                if len(what.parts) > 1:
                    depth += 1
                    cost, count = cost + 1, count + 1
            elif isinstance(what, Taken):
                cost, count, depth = 2, 1, 0
                if what.operand in self.entries:
                    self.stored.add(what.operand)
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

    def _viewed(self, i: int) -> Part | None:
        """Return what a value is a view of, and by which coordinates; None if it is none."""
        what = self.entries.get(i)
        return what.parts[0] if isinstance(what, Moved) and what.is_view and len(what.parts) == 1 else None

    def _show(self, i: int) -> None:
        """See to it that NumPy can have a value: it is stored, or a view of what is."""
        while i in self.entries and i not in self.stored and i not in self.shown:
            part = self._viewed(i)
            if part is None or not (
                part.operand in self.stored
                or part.operand not in self.entries
                or self._size(part.operand) == self._size(i)
            ):
                self.stored.add(i)
                return
            self.shown.add(i)
            i = part.operand

    def _whole(self, i: int) -> int:
        """Return what a value shows all the entries of, in another order."""
        while i not in self.stored:
            part = self._viewed(i)
            if part is None or self._size(part.operand) != self._size(i):
                break
            i = part.operand
        return i

    def _look(self) -> None:
        program = self.program
        uses = dict.fromkeys(self.forms, 0)
        for i in (
            *[o for s in program.steps for o in s.operands],
            *program.outputs,
            *[c.value for c in program.checks],
        ):
            uses[i] += 1
        for c, check in enumerate(program.checks):
            outer = self.entries.get(check.value)
            if outer is None:
                self._show(check.value)
                continue
            if isinstance(outer, Folded) and outer.name == "logical_and" and bool(check.then):
                inner = self.entries.get(outer.operand)
                if isinstance(inner, Mapped) and inner.name == "isfinite":
                    whole = self._whole(inner.operands[0])
                    if whole in self.entries:
                        self.looks.setdefault(whole, []).append(c)
                        continue
                    if not self.alone and uses[check.value] == uses[outer.operand] == 1:  # a sum of NumPy's shows it
                        self._show(inner.operands[0])
                        continue
            self.checks[c] = check.value

    def _decide(self) -> None:
        """Go back from what is stored: a value that several places need is stored too where that is worth it."""
        occurrences: dict[int, dict[Any, None]] = {}
        for i in (*self.looks, *self.checks.values()):
            if i not in self.stored:
                self._add(occurrences, i, [((self.level.get(i, 0), self.forms[i].shape, ()), self.identity(i))])
        for s in reversed(self.program.steps):
            i, what = s.result, self.entries.get(s.result)
            if what is None:
                continue
            found = list(occurrences.get(i, ()))
            big = what if isinstance(what, Folded) and not self._is_small(i, what) else None
            if not found and (i not in self.stored or (big is not None and not self._is_wanted(i))):
                self.stored.discard(i)
                continue
            self.fused += not isinstance(what, Moved) or len(what.parts) > 1
            worth = WORTH if self._size(i) <= IN_CACHE else WORTH_IN_MEMORY
            if i not in self.stored and self.cost[i] > worth and _is_repeated(found) and self._viewed(i) is None:
                self.stored.add(i)
            if big is not None:
                shape = self.forms[big.operand].shape
                key = (self.level.get(big.operand, 0), shape, () if len(big.axes) == len(shape) else big.axes)
                self._add(occurrences, big.operand, [(key, self.identity(big.operand))])
                continue
            if i in self.stored:
                found = [((self.level[i], self.forms[i].shape, ()), self.identity(i))]
            self._pass(occurrences, i, what, found)

    def _is_wanted(self, i: int) -> bool:
        """Whether NumPy, a check or the caller is to see a value."""
        program = self.program
        if i in program.outputs or i in self.checks.values() or i in self.looks:
            return True
        return any(i in s.operands for s in program.steps if s.result not in self.entries or s.result in self.shown)

    def _add(self, occurrences: dict[int, dict[Any, None]], i: int, found: Iterable[Any]) -> None:
        at = occurrences.setdefault(i, {})
        for f in found:
            if len(at) < 16:
                at[f] = None

    def _pass(self, occurrences: dict[int, dict[Any, None]], i: int, what: Any, found: Sequence[Any]) -> None:
        if isinstance(what, Mapped):
            for o in what.operands:
                axes = self.broadcast(o, i)
                self._add(occurrences, o, [(key, composed(axes, at)) for key, at in found])
        elif isinstance(what, Moved):
            for part in what.parts:
                self._add(
                    occurrences,
                    part.operand,
                    [(_within(key, at, part.box), composed(part.axes, at)) for key, at in found],
                )
        elif isinstance(what, Taken):
            self._add(occurrences, what.operand, [(key, ()) for key, _ in found])
        else:
            axes = self.unfolded(i, what, None)
            self._add(occurrences, what.operand, [(key, composed(axes, at)) for key, at in found])

    # -- boxes and nests ---------------------------------------------------------------------------
    def _boxes(self, i: int, operand: int, defined: bool, unrolled: bool) -> list[tuple[Box, set[int], int]]:
        """Cut a value's indices into boxes; say what is read in each of them, and how many operations it takes."""
        waiting: list[Box] = [tuple([(0, n) for n in self.forms[operand].shape])]
        done: list[tuple[Box, set[int], int]] = []
        while waiting:
            if len(done) + len(waiting) > MOST_BOXES:
                raise NotFusedError("too many boxes")
            box = waiting.pop()
            nest, dims = Nest(()), long_dims(box)
            try:
                self.resolve(nest, operand, self.identity(operand), box, dims, defined)
            except SplitError as split:
                d, cut = split.args
                low, high = box[d]
                waiting += [(*box[:d], ends, *box[d + 1 :]) for ends in ((cut, high), (low, cut))]
                continue
            reads = {n[1] for n in nest.nodes if n[0] in ("load", "take", "given")}
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
        kernels = [k for k in items if isinstance(k, Kernel)]
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
        extra = {i: x for i, x in self.constants.items() if i not in program.constants}
        return Fusion(items, done, finite | outputs, before, extra, self.fused, dict(self._views()))

    def _views(self) -> Iterator[tuple[int, tuple[int, tuple[int, ...]]]]:
        """Yield the outputs that show all of what is stored, entry 0 first."""
        for o in self.program.outputs:
            i, at = o, self.identity(o)
            while i not in self.stored and (part := self._viewed(i)) is not None:
                i, at = part.operand, composed(part.axes, at)
            shape = self.forms[o].shape
            if i not in self.stored or self._size(i) != self._size(o):
                continue
            offset, strides = self._place(i, at, tuple([(0, n) for n in shape]), range(len(shape)))
            last = sum(n * s for n, s in zip([n - 1 for n in shape], strides, strict=True))
            if offset == 0 and last == self._size(o) - 1 and min(strides, default=0) >= 0:
                yield o, (i, strides)

    def _kernel(self, roots: Sequence[tuple[str, int, int]]) -> Kernel:
        nests: dict[Any, list[Nest]] = {}
        depth: dict[int, int] = {}
        reads_of: set[int] = set()
        for o in self.looked:
            whole = self._whole(o)
            if whole in self.stored and self.forms[o].dtype == np.float64:
                self.looks.setdefault(whole, [])
        for kind, i, c in roots:
            what: Any = self.entries[i]
            if kind == "store" and isinstance(what, Folded) and not self._is_small(i, what):
                found = self._boxes(i, what.operand, False, False)
                whole = len(what.axes) == len(self.forms[what.operand].shape)
                at = 1 + max([depth.get(r, 0) for _, reads, _ in found for r in reads], default=0)
                for box, reads, count in found:
                    reads_of |= reads
                    nest, dims = self._nest(nests, at, box, count, () if whole else what.axes)
                    node = self.resolve(nest, what.operand, self.identity(what.operand), box, dims, False)
                    if what.name == "add":
                        node = as_number(nest, node)
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
                node = self.resolve(nest, i, self.identity(i), box, dims, kind == "store")
                if kind == "check":
                    expected = self.leaf(nest, then, self.identity(i), box, dims)
                    nest.looks.append(Look("true", applied(nest, "equal", [node, expected]), c))
                    continue
                for check in self.looks.get(i, ()) or (() if i not in self.looks else (None,)):
                    nest.looks.append(Look("finite", node, check))
                if kind == "store":
                    strides = self.strides(i)
                    offset = sum([n * low for n, (low, _) in zip(strides, box, strict=True)])
                    nest.stores.append(Store(i, offset, tuple([strides[d] for d in dims]), node))
            if kind == "store":
                depth[i] = at
        ordered = [nest for key in sorted(nests, key=lambda k: k[0]) for nest in nests[key]]
        for nest in ordered:
            nest.looks = needed(nest)
        operands = tuple(sorted(i for i in reads_of if i not in depth and i not in self.constants))
        return Kernel(operands, (), dict.fromkeys(depth, 0), 0, ordered)

    def _nest(
        self, nests: dict[Any, list[Nest]], depth: int, box: Box, count: int, axes: tuple[int, ...]
    ) -> tuple[Nest, tuple[int, ...]]:
        """Return a nest for a box: one of the same size, as long as it is not too large."""
        dims = long_dims(box)
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
        return self.constant(np.array(np.broadcast_to(check.then, self.forms[check.value].shape), order="C"))


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
            if node[0] in ("load", "take") and node[1] in kernel.scratch:
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
