"""Both modes in one Jacobian: where a program narrows, rows up to the waist times columns from it.

With ``w`` numbers between two parts of a program the Jacobian is :math:`J = J_2 J_1`. The first part, ``w`` rows long,
is pulled; the second, ``w`` columns wide, is pushed. With several cuts the order of the products is that of a matrix chain
whose factors may also be computed whole; dynamic programming finds the cheapest tree.

References
----------
Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 10.2 (Jacobian chain products),
doi:10.1137/1.9780898717761.
Naumann, "Optimal Jacobian accumulation is NP-complete", Mathematical Programming 112 (2008),
doi:10.1007/s10107-006-0042-z.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from dualdiff.passes.costs import (
    Quantities,
    add_movement,
    add_product,
    add_sweep,
    machine,
    peak,
    priced,
)
from dualdiff.passes.cuts import Cut, cuts, segment, whole
from dualdiff.passes.multiplications import Multiplications
from dualdiff.passes.pull import pull
from dualdiff.passes.push import push
from dualdiff.reach import Reach, Reached, redone_if_not_finite
from dualdiff.shapes import dtype_of
from dualdiff.ways.base import Answer, Way, needed
from dualdiff.ways.options import Options
from dualdiff.ways.problem import Problem, seeds, side_by_side, with_constant_rows
from dualdiff.ways.program import Program

WAIST = 24
"""Programs with no more inputs, or outputs, than this are not searched for narrower places."""


# --------------------------------------------------------------------------------------------------
# trees of parts


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a program between two cuts, its Jacobian computed by one of the modes."""

    before: Cut
    after: Cut

    def directions(self) -> tuple[int, int]:
        """Return how many columns are pushed, and rows pulled."""
        raise NotImplementedError

    def add(self, q: Quantities, program: Program) -> None:
        """Add how much of everything that has a price it takes."""
        raise NotImplementedError

    def multiplications(self, program: Program) -> Multiplications:
        """Return how many multiplications of partial derivatives it takes."""
        raise NotImplementedError

    def _alone(self, program: Program) -> Program:
        part = segment(program.tape, self.before, self.after)
        return Program(part, [part.form(s) for s in part.outputs])

    def jacobian(self, program: Program) -> Any:
        """Return the Jacobian, of shape (entries after, entries before)."""
        raise NotImplementedError


class Pushed(Part):
    """By columns: as many as numbers cross the first cut."""

    def directions(self) -> tuple[int, int]:
        return self.before.width, 0

    def add(self, q: Quantities, program: Program) -> None:
        q["stage"] = q.get("stage", 0.0) + 1.0
        add_sweep(q, program.steps, self.before.width, "push_", None, self.before.at, self.after.at)

    def multiplications(self, program: Program) -> Multiplications:
        return self._alone(program).multiplications("forward")

    def jacobian(self, program: Program) -> Any:
        part = segment(program.tape, self.before, self.after)
        k = self.before.width
        found = push(part, seeds(part.inputs, 0, k), part.outputs, (k,))
        return side_by_side(found, [part.form(s) for s in part.outputs], k).T


class Pulled(Part):
    """By rows: as many as numbers cross the second cut."""

    def directions(self) -> tuple[int, int]:
        return 0, self.after.width

    def add(self, q: Quantities, program: Program) -> None:
        q["stage"] = q.get("stage", 0.0) + 1.0
        add_sweep(q, program.steps, self.after.width, "pull_", None, self.before.at, self.after.at)

    def multiplications(self, program: Program) -> Multiplications:
        return self._alone(program).multiplications("reverse")

    def jacobian(self, program: Program) -> Any:
        part = segment(program.tape, self.before, self.after)
        m = self.after.width
        covectors = zip(part.outputs, seeds([part.form(s) for s in part.outputs], 0, m), strict=True)
        found = pull(part, [(s, w) for s, w in covectors if w is not None], (m,))
        return side_by_side(found, part.inputs, m)


@dataclass(frozen=True, slots=True)
class Product:
    """The product of the Jacobians of two parts, one behind the other."""

    second: Part | Product
    first: Part | Product

    @property
    def before(self) -> Cut:
        """Where the first part begins."""
        return self.first.before

    @property
    def after(self) -> Cut:
        """Where the second part ends."""
        return self.second.after

    @property
    def between(self) -> tuple[int, ...]:
        """The widths of the places where it is cut, in order."""
        inner = [side.between if isinstance(side, Product) else () for side in (self.first, self.second)]
        return (*inner[0], self.first.after.width, *inner[1])

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers there are: at the inputs, at every cut, at the outputs."""
        return (self.before.width, *self.between, self.after.width)

    def directions(self) -> tuple[int, int]:
        """Return how many columns are pushed, and rows pulled."""
        a, b = self.second.directions(), self.first.directions()
        return a[0] + b[0], a[1] + b[1]

    def add(self, q: Quantities, program: Program) -> None:
        """Add how much of everything that has a price it takes."""
        self.second.add(q, program)
        self.first.add(q, program)
        add_product(q, self.after.width, self.first.after.width, self.before.width)

    def multiplications(self, program: Program) -> Multiplications:
        """Return the multiplications of both parts and of their product, which multiplies the zeros too."""
        parts = [side.multiplications(program) for side in (self.second, self.first)]
        product = self.after.width * self.first.after.width * self.before.width
        count = product + sum([p.count for p in parts])
        added = [p.additions for p in parts if p.additions is not None]
        sums = self.after.width * max(self.first.after.width - 1, 0) * self.before.width
        additions = sums + sum(added) if len(added) == len(parts) else None
        return Multiplications(count, all(p.exact for p in parts), additions)

    def jacobian(self, program: Program) -> Any:
        """Return the Jacobian, of shape (entries after, entries before)."""
        return _times(self.second.jacobian(program), self.first.jacobian(program))


def _times(second: Any, first: Any) -> Any:
    """Multiply two Jacobians; those of a careful pass know which entries are reached, as in a sweep of either mode."""
    if type(second) is Reached and type(first) is Reached:
        reach = Reach()
        second, first = [reach.again(t) for t in (second, first)]
    return second @ first


def best_tree(program: Program, most: int = 6) -> Product | None:
    """Return the cheapest product of parts; None where the program does not narrow.

    Parameters
    ----------
    program : Program
        The recorded run.
    most : int
        How many places to look at.
    """
    tape = program.tape
    if any(dtype_of(a).kind == "c" for a in tape.slots):
        return None  # a part between complex numbers may be linear over the reals only
    narrow = cuts(tape, min(program.inputs, program.outputs), most)
    if not narrow:
        return None
    first, last = whole(tape)
    places = (first, *narrow, last)
    k = len(places)

    def cost(part: Part) -> float:
        q: Quantities = {}
        part.add(q, program)
        return priced(q)

    def joined(i: int, c: int, j: int) -> tuple[float, Product]:
        q: Quantities = {}
        add_product(q, places[j].width, places[c].width, places[i].width)
        return best[i, c][0] + best[c, j][0] + priced(q), Product(best[c, j][1], best[i, c][1])

    best: dict[tuple[int, int], tuple[float, Part | Product]] = {}
    for length in range(1, k):
        for i in range(k - length):
            j = i + length
            if length < k - 1:
                parts = (Pushed(places[i], places[j]), Pulled(places[i], places[j]))
                options: list[tuple[float, Any]] = [(cost(p), p) for p in parts]
            else:  # the whole as one part is forward, or reverse: ways of their own
                options = []
            options += [joined(i, c, j) for c in range(i + 1, j)]
            best[i, j] = min(options, key=lambda o: o[0])
    found = best[0, k - 1][1]
    return found if isinstance(found, Product) else None


# --------------------------------------------------------------------------------------------------
# the way


@dataclass(frozen=True, eq=False, kw_only=True)
class Mixed(Way):
    """Multiply the Jacobians of the parts between narrow places."""

    tree: Product | None = field(default=None, repr=False)

    name = "mixed"
    asked = {"dense": ("auto", "mixed")}
    replayed = True
    bound = True
    nests = True

    @classmethod
    def at(cls, program: Program, options: Options, exact: bool = True) -> Self | None:
        n, m = program.inputs, program.outputs
        least = min(n, m)
        if options.mode == "auto" and options.cost is None and least <= WAIST:
            return None
        if not any(s is not None and s.size < least for s in program.steps):
            return None
        tree = best_tree(program)
        if tree is None:
            return None
        columns, rows = tree.directions()
        return cls(outputs=m, inputs=n, entries=m * n, columns=columns, rows=rows, tree=tree)

    @classmethod
    def least(cls, program: Program) -> float:
        c = machine()  # it records, compares, cuts, and carries a direction through every step in any case
        passed = min(c.push_one, c.pull_one) * sum([s.active for s in program.steps if s is not None])
        return c.frame + (c.record + c.replayable) * len(program) + 2 * c.stage + passed

    @classmethod
    def missing(cls, options: Options) -> str:
        return (
            f"mode={options.mode!r} needs a place where fewer numbers cross the program than it has inputs or outputs, and this "
            "program has none; use mode='auto'"
        )

    def quantities(self, program: Program) -> Quantities:
        q: Quantities = {"frame": 1.0, "record": len(program), "replayable": len(program)}
        self._tree.add(q, program)
        add_movement(q, self.entries)
        return q

    def memory(self, program: Program) -> int:
        widest = max(self._tree.between)
        result = self.entries * program.itemsize
        products = 2 * program.itemsize * widest * (self.inputs + self.outputs)
        return result + program.bytes + peak(program.tape, widest) + products

    def multiplications(self, program: Program) -> Multiplications:
        return self._tree.multiplications(program)

    @property
    def _tree(self) -> Product:
        if self.tree is None:
            raise RuntimeError("the way through narrow places needs its tree of parts")
        return self.tree

    @property
    def says(self) -> str:
        return f"a product through a waist of {' and '.join(map(str, self._tree.between))}"

    def run(self, problem: Problem, options: Options, program: Program | None) -> Answer:
        held = needed(program)
        found = redone_if_not_finite(lambda: self._tree.jacobian(held))
        values = list(held.values)
        return Answer(values, whole=with_constant_rows(found, values, held.tape, self.inputs))
