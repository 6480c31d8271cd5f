"""The steps that a function takes on dual numbers, and seeds of every form to push through each of them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from dualdiff.capture.captures import RunAgain
from dualdiff.containers import plain
from dualdiff.dual import Dual, Pushing
from dualdiff.kinds import Elementwise, Primitive
from dualdiff.kinds.base import ALL, Asked
from dualdiff.passes.costs import form_of_result
from dualdiff.rules.indexing import getitem, setitem
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tangents import ONE, Columns, Map, Scaled, Terms
from dualdiff.tape import frozen
from dualdiff.values import bind, is_sparse, operand
from dualdiff.views import is_whole
from dualdiff.ways.problem import Problem, identity, run_user

NOTHING: dict[str, Any] = {}


class Step(NamedTuple):
    """One primitive on plain values, what of them has a tangent, and what the run that met it said and made.

    ``said`` and ``made`` are forms as a forecast has them: None, a set of terms, or ``ALL``.
    """

    row: Primitive
    values: list[Any]
    active: tuple[bool, ...]
    params: dict[str, Any]
    out: Any
    said: Any
    made: Any

    @property
    def key(self) -> Any:
        """What two steps have in common that no seed can tell apart but by the numbers.

        Elementwise functions go the same way for all shapes that are broadcast alike.
        """
        shapes: list[Any] = [shape_of(v) for v in (*self.values, self.out)]
        if isinstance(self.row, Elementwise):
            shapes = [(len(s), min(size_of(s), 2), s == shapes[-1]) for s in shapes]
        kinds = [(type(v).__name__, dtype_of(v)) for v in (*self.values, self.out)]
        return self.row, self.active, tuple(shapes), tuple(kinds), repr(self.params)


def steps_of(problem: Problem, directions: int) -> list[Step]:
    """Run a function on dual numbers that carry the identity, of so many directions; return its differentiable steps."""
    while True:
        run = Watching((directions,))
        try:
            run_user(
                problem,
                run,
                [run.start(frozen(x), t) for x, t in zip(problem.inputs, identity(problem.inputs), strict=True)],
            )
            return run.steps
        except RunAgain:  # what it stumbled in is captured from now on
            continue
        finally:
            run.close()


class Watching(Pushing):
    """A run that notes its steps."""

    __slots__ = ("inside", "steps")

    def __init__(self, lead: tuple[int, ...]) -> None:
        super().__init__(lead)
        self.steps: list[Step] = []
        self.inside = False

    def process(self, row: Primitive, args: Sequence[Any], params: Any) -> Any:
        """Compute a primitive, and note it."""
        return self._noted(row, args, params, lambda: super(Watching, self).process(row, args, params))

    def unary(self, row: Any, x: Any) -> Any:
        """Compute a function of one operand, and note it."""
        return self._noted(row, (x,), NOTHING, lambda: super(Watching, self).unary(row, x))

    def binary(self, row: Any, x: Any, y: Any) -> Any:
        """Compute a function of two operands, and note it."""
        if is_sparse(x) or is_sparse(y):  # the matrix says what is computed
            return bind(row, (operand(x), operand(y)), NOTHING)
        return self._noted(row, (x, y), NOTHING, lambda: super(Watching, self).binary(row, x, y))

    def item(self, x: Any, i: int) -> Any:
        """Read an entry, and note it."""
        return self._noted(getitem, (x,), {"index": i}, lambda: super(Watching, self).item(x, i))

    def write(self, x: Any, index: Any, v: Any) -> None:
        """Carry out a write, and note it."""
        if type(v) is Dual and is_whole(x, index, v):  # nothing is computed
            super().write(x, index, v)
            return
        before = x.value.copy()

        def written() -> Any:
            super(Watching, self).write(x, index, v)
            return x

        self._noted(setitem, (x, v), {"index": index}, written, before)

    def _noted(
        self, row: Primitive, args: Sequence[Any], params: Any, work: Callable[[], Any], before: Any = None
    ) -> Any:
        """Carry a step out, and note it unless it is a part of another or of a view brought up to date."""
        duals = [type(a) is Dual and a.run is self for a in args]
        if (
            self.inside
            or not row.differentiable
            or not any(duals)
            or any(own and a.link is not None and a.link.is_stale() for own, a in zip(duals, args, strict=True))
        ):
            return work()
        active = tuple(duals)
        values = [a.value if own else plain(a) for own, a in zip(duals, args, strict=True)]
        sets = [form_of(a.mark) if own else None for own, a in zip(duals, args, strict=True)]
        if before is not None:
            values[0] = before
        self.inside = True
        try:
            result = work()
        finally:
            self.inside = False
        traced = type(result) is Dual and result.run is self
        out = result.value if traced else result
        if dtype_of(out).kind in "fc":
            asked = Asked(sets, values, params, out, self.lead[0], len(self.steps))
            said = form_of_result(row, [0 if own else None for own in active], asked)
            if before is not None:
                out = out.copy()
            self.steps.append(Step(row, values, active, params, out, said, form_of(result.mark) if traced else None))
        return result


def form_of(t: Any) -> Any:
    """Return the form of a tangent, as a forecast says it."""
    return None if t is None else frozenset(t) if isinstance(t, Terms) else ALL


def told(form: Any) -> str:
    """Return a form in words."""
    return "no tangent" if form is None else "one array" if form == ALL else f"{len(form)} terms"


def is_at_most(made: Any, said: Any) -> bool:
    """Whether a tangent is no more than was said of it: none, fewer terms or as many, an array of all directions."""
    if made is None or said is None:
        return made is said
    return said == ALL or (made != ALL and len(made) <= len(said))


class Seeds(NamedTuple):
    """A tangent of some form for each operand of a step.

    ``generic`` says that no two terms can turn out to have one map, and no direction is missing.
    """

    name: str
    tangents: list[Any]
    directions: int
    generic: bool = True


def seeds_of(step: Step, rng: np.random.Generator) -> Iterator[Seeds]:
    """Return the identity on the operands of a step, and other tangents, as terms of every form."""
    live = [i for i, on in enumerate(step.active) if on and dtype_of(step.values[i]).kind in "fc"]
    shapes = [shape_of(v) for v in step.values]
    sizes = [size_of(s) for s in shapes]
    total = max([sizes[i] for i in live], default=0) or 1

    def chosen(make: Callable[[int], Any], of: Sequence[int] = live) -> list[Any]:
        return [make(i) if i in of else None for i in range(len(shapes))]

    def places(i: int, start: int = 0) -> Any:
        return Map(np.arange(start + 1, start + sizes[i] + 1, dtype=np.int32).reshape(shapes[i]))

    def numbers(i: int) -> Any:
        found = rng.uniform(0.5, 1.5, shapes[i]).astype(dtype_of(step.values[i]))
        return found if shapes[i] else found[()]

    def number(i: int) -> Any:
        return dtype_of(step.values[i]).type(rng.uniform(0.5, 1.5))

    offsets = np.cumsum([0, *[sizes[i] if i in live else 0 for i in range(len(sizes))]]).tolist()

    def unit(i: int) -> Any:
        return Terms({places(i, offsets[i]): ONE}) if shapes[i] else Columns({offsets[i]: ONE})

    def two_maps(i: int) -> Any:
        if not shapes[i]:
            return Columns({2 * total * i: numbers(i), 2 * total * i + 1: number(i)})
        return Terms({places(i, 2 * total * i): numbers(i), places(i, total * (2 * i + 1)): number(i)})

    def shared_map(i: int) -> Any:
        return Terms({places(i): numbers(i)}) if shapes[i] else Columns({0: numbers(i)})

    def columns(i: int) -> Any:
        c = numbers(i)
        if type(c) is np.ndarray and c.dtype == float:
            c = Scaled(2.0, c)
        return Columns({0: c, 1 + i: number(i)})

    def map_and_column(i: int) -> Any:
        if i != live[0] or not shapes[i]:
            return columns(i)
        return Terms({places(i, 1): numbers(i), 0: numbers(i)})

    def holes(i: int) -> Any:
        if not shapes[i]:
            return Columns()
        positions = (places(i).positions + np.int32(0)) * (np.arange(sizes[i]).reshape(shapes[i]) % 3 != 1)
        return Terms({Map(positions.astype(np.int32)): numbers(i), Map(positions[..., ::-1].copy()): number(i)})

    # A write of everything, or of nothing, leaves maps behind that are equal.
    part = True
    if step.row is setitem:
        there = size_of(shape_of(np.zeros(shapes[0], bool)[step.params["index"]]))
        part = 0 < there < sizes[0]
    yield Seeds("the identity", chosen(unit), offsets[-1], part)
    yield Seeds("two maps", chosen(two_maps), 2 * total * len(shapes), part)
    if len(live) > 1:
        yield Seeds("one map", chosen(shared_map), total, generic=False)
    yield Seeds("columns", chosen(columns), 1 + len(shapes), part)
    yield Seeds("a map and a column", chosen(map_and_column), 1 + max(total, len(shapes)), part)
    yield Seeds("maps with holes", chosen(holes), total, generic=False)
    if len(live) > 1:
        for i in live:
            yield Seeds(f"the identity of operand {i}", chosen(unit, (i,)), offsets[-1], part)
            yield Seeds(f"columns of operand {i}", chosen(columns, (i,)), 1 + len(shapes), part)


def written_out(terms: Any, value: Any, directions: int) -> Any:
    """Return terms as an array of all directions, entry by entry."""
    if terms is None:
        return None
    shape, dtype = shape_of(value), dtype_of(value)
    found = np.zeros((directions, size_of(shape)), dtype)
    for key, c in terms.items():
        if type(c) is Scaled:
            c = c.factor * c.array
        flat = np.broadcast_to(c, shape).reshape(-1)
        if type(key) is not Map:
            found[key] += flat
            continue
        at = np.broadcast_to(key.positions, shape).reshape(-1)
        entries = np.flatnonzero(at)
        np.add.at(found, (at[entries] - 1, entries), flat[entries])
    return found.reshape((directions, *shape))


def pushes(step: Step, tangents: Sequence[Any], run: Pushing) -> Iterator[tuple[str, Any]]:
    """Push tangents through a step, in every way that a run has for it."""
    row, values, params, out = step.row, step.values, step.params, step.out
    yield "push", run.push(row, [_anew(t) for t in tangents], values, params, out)

    def operand(k: int) -> Any:
        return values[k] if tangents[k] is None else Dual(values[k], _anew(tangents[k]), run)

    if isinstance(row, Elementwise) and not params:
        if len(values) == 1:
            yield "unary", _mark(run.unary(row, operand(0)), run)
        elif len(values) == 2 and all(type(v) in (float, np.float64, np.ndarray) for v in values):
            yield "binary", _mark(run.binary(row, operand(0), operand(1)), run)
    elif row is getitem and type(params["index"]) is int and len(shape_of(values[0])) == 1:
        yield "item", _mark(run.item(operand(0), params["index"] % len(values[0])), run)
    elif row is setitem and shape_of(out):
        x = Dual(values[0].copy(), None if tangents[0] is None else _anew(tangents[0]), run)
        v = operand(1)
        if type(v) is not Dual or not is_whole(x, params["index"], v):
            run.write(x, params["index"], v)
            yield "write", _mark(x, run)


def _anew(t: Any) -> Any:
    """Return terms in memory of their own, of which nobody else holds anything."""
    if type(t) is not Terms:
        return t
    return Terms(
        (Map(key.positions.copy()) if type(key) is Map else key, c if c is ONE or not shape_of(c) else c.copy())
        for key, c in t.items()
    )


def _mark(x: Any, run: Pushing) -> Any:
    return x.mark if type(x) is Dual and x.run is run else None
