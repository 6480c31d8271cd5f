"""What a way to a Jacobian would cost on a tape: seconds, operations and bytes, equation by equation.

The model is a plain function ``(tape, way) -> seconds`` (:func:`seconds`), and a user may put another in its place.
It counts two things: Python's and NumPy's fixed price of every step, and the elements that move. Forward mode is followed
by what its tangents would be (see :mod:`dualdiff.terms`): arrays of all directions, or as many coefficient arrays as
there are terms. The prices are constants of the machine (:class:`Machine`): shipped defaults, or measured by
``python -m dualdiff calibrate``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from dualdiff.dual import DENSE as DENSE_BELOW
from dualdiff.dual import MOST_COLUMNS, MOST_COLUMNS_OF_SCALARS, MOST_TERMS, SMALL
from dualdiff.passes.cuts import Cut, activity
from dualdiff.primitive import Elementwise, Movement, Multilinear
from dualdiff.rules.contraction import matmul_
from dualdiff.rules.elementwise import select
from dualdiff.rules.indexing import getitem, setitem
from dualdiff.rules.movement import concatenate, stack0
from dualdiff.rules.reduction import mean_, sum_
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tape import Tape
from dualdiff.terms import LOCAL


@dataclass(frozen=True, slots=True)
class Machine:
    """The prices of one machine, in seconds.

    Attributes
    ----------
    frame : float
        One call of a Jacobian's operator, whatever the function.
    record : float
        Writing one equation down.
    dual : float
        One operation on dual numbers, beside its coefficients.
    term : float
        One coefficient array of a tangent, beside its elements.
    elementwise, movement, linear, multilinear, general : float
        One step of a sweep with all directions in one array, by the kind of the primitive.
    pull : float
        How many times as long a step backwards takes as a step forwards.
    element : float
        One element of one direction, in the cache.
    beyond : float
        How many times as long an element takes beyond the cache.
    cache : float
        Elements of all directions that the cache holds.
    flop : float
        One multiplication and addition in a matrix product.
    scatter : float
        One element read or written by an index.
    """

    frame: float = 12e-6
    record: float = 0.9e-6
    dual: float = 1.1e-6
    term: float = 0.5e-6
    elementwise: float = 1.6e-6
    movement: float = 2.2e-6
    linear: float = 4.0e-6
    multilinear: float = 6.0e-6
    general: float = 12e-6
    pull: float = 1.15
    element: float = 0.45e-9
    beyond: float = 2.5
    cache: float = 2.0**17
    flop: float = 5e-11
    scatter: float = 2e-9


def file_of_constants() -> Path | None:
    """Return where the measured constants of this machine are kept; None where platformdirs is not installed."""
    try:
        import platformdirs
    except ImportError:
        return None
    return Path(platformdirs.user_cache_dir("dualdiff")) / "machine.json"


@lru_cache(maxsize=1)
def machine() -> Machine:
    """Return the constants of this machine: measured ones if there are, shipped ones otherwise."""
    if os.environ.get("DUALDIFF_CALIBRATION") == "shipped":
        return Machine()
    path = file_of_constants()
    if path is None or not path.is_file():
        return Machine()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return constants(found["constants"])
    except (OSError, ValueError, KeyError, TypeError):
        return Machine()  # a file of another version, or half written: the shipped constants are always right enough


def constants(found: dict[str, Any]) -> Machine:
    """Return constants read from a file: positive numbers under the names of :class:`Machine`."""
    known = {f.name for f in fields(Machine)}
    chosen = {k: float(v) for k, v in found.items() if k in known}
    if any(not (math.isfinite(v) and v > 0) for v in chosen.values()):
        raise ValueError("the constants of a machine are positive numbers")
    return replace(Machine(), **chosen)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a Jacobian.

    Attributes
    ----------
    name : str
        "forward", "reverse", "mixed", "row-sparse", "columns", "rows", "rows and columns", "elimination",
        "finite-differences" or "complex-step".
    columns, rows : int
        Directions pushed, covectors pulled.
    outputs, inputs : int
        The shape of the Jacobian.
    entries : int
        The entries of the result: all, or the structural nonzeros of a sparse one.
    counts : tuple of int
        For "row-sparse": on how many inputs an entry of each slot depends.
    levels : int
        For "acyclic": the steps of the substitution, one after the other.
    cuts : tuple of Cut
        For "mixed": the places where the program narrows, the inputs and the outputs included.
    tree : tuple
        For "mixed": ``("forward", i, j)`` or ``("reverse", i, j)``, the part of the tape between two cuts, or
        ``("product", second, first)``.
    chunk : int or None
        Directions at once; None for all.
    """

    name: str
    columns: int
    rows: int
    outputs: int
    inputs: int
    entries: int
    counts: tuple[int, ...] = ()
    levels: int = 0
    cuts: tuple[Cut, ...] = ()
    tree: Any = None
    chunk: int | None = None


# --------------------------------------------------------------------------------------------------
# what the tangents of a forward run would be

def forms(tape: Tape, k: int, counts: Sequence[int] | None = None) -> list[Any]:
    """Return for every slot what its tangent would be: None for none, a set of terms, or the string "all".

    A term is a direction (an int) or a token that stands for a map; equal tokens are maps known to be equal.
    ``counts``, of the pattern, says on how many inputs one entry of each slot depends: with no more terms than that
    a tangent can do, if like directions are merged.
    """
    found: list[Any] = []
    offset = 0
    for a in tape.inputs:
        found.append(frozenset((("x", offset),)) if a.shape else frozenset((offset,)))
        offset += size_of(a.shape)
    for e, (row, ins, args, params, out, _) in enumerate(tape.equations):
        sets = [found[i] if i is not None and i >= 0 else None for i in ins]
        form = _form(row, sets, args, params, out, k, e) if row.differentiable else None
        if counts is not None and counts[len(found)] and form is not None and shape_of(out):
            form = _merged(form, sets, counts[len(found)], size_of(shape_of(out)), k, e)
        found.append(form)
    return found


def _merged(form: Any, sets: list[Any], count: int, size: int, k: int, e: int) -> Any:
    """Return a form with its terms merged to as many as the pattern has."""
    if form == "all":
        if "all" in sets or count > MOST_TERMS or _few(frozenset(range(count)), size, k) == "all":
            return "all"
        return frozenset((e, j) for j in range(count))
    return frozenset((e, j) for j in range(count)) if len(form) > count else form


def _form(row: Any, sets: list[Any], args: Any, params: Any, out: Any, k: int, e: int) -> Any:
    live = [s for s in sets if s is not None]
    if not live:
        return None
    if "all" in live:
        return "all"
    shape = shape_of(out)
    size = size_of(shape)
    if (
        k * size <= DENSE_BELOW
        and shape
        and not isinstance(row, Movement)
        and not all(type(t) is int for s in live for t in s)
    ):
        return "all"
    if isinstance(row, Elementwise) and (row.plain or row is select):
        whole = live[0] if len(live) == 1 else frozenset().union(*live)
        if len(whole) <= MOST_COLUMNS_OF_SCALARS:
            return whole if len(whole) < max(k, 3) else "all"
        return _few(whole, size, k)
    if row is getitem and not shape:
        index = params["index"]
        (s,) = live
        if len(s) == 1 and type(next(iter(s))) is tuple and next(iter(s))[0] == "x" and type(index) is int:
            n = shape_of(args[0])[0]
            return frozenset((next(iter(s))[1] + index % n,))
        return frozenset(t if type(t) is int else ("at", t, e) for t in s)
    if isinstance(row, Movement):
        what = (row.name, _said(params))
        return frozenset(t if type(t) is int and not row.pads else (what, t) for t in live[0])
    if row is stack0 and not shape_of(args[0]):
        return "all"
    if row is stack0 or row is concatenate or row is setitem:
        if row is setitem and k * size <= DENSE_BELOW:
            return "all"
        if len(live) == 1 and len(live[0]) == 1 and row is not setitem:
            return frozenset(((e, 0),))
        return _few(frozenset((e, j) for j in range(max(map(len, live)))), size, k)
    if all(type(t) is int for s in live for t in s):
        whole = frozenset().union(*live)
        return whole if 2 * len(whole) <= k else "all"
    if not shape:
        return "all"
    width = 0
    for i, s in enumerate(sets):
        if s is not None:
            if row is sum_ or row is mean_:
                group = size_of(shape_of(args[i])) // max(size, 1)
            else:
                group = _group(row, i, args, params, out)
            width += group * len(s)
            if group > LOCAL or (8 * width > k and k * size <= 1 << 20):
                return "all"
    return _few(frozenset((e, j) for j in range(width)), size, k)


def _few(terms: frozenset[Any], size: int, k: int) -> Any:
    count = len(terms)
    if count >= k or (count > 8 and k * size <= SMALL) or count > max(MOST_TERMS, MOST_COLUMNS):
        return "all"
    return terms


def _group(row: Any, i: int, args: Any, params: Any, out: Any) -> int:
    """Return on how many entries of an operand one entry of the result depends."""
    _result, operand = row.labels(i, args, params, out)
    size = size_of(shape_of(args[i]))
    if operand is None:
        return 1
    if type(operand) is int:
        return size
    groups = int(operand.max(initial=-1)) + 1
    return max(1, size // max(groups, 1))


def _said(params: dict[str, Any]) -> Any:
    """Return a name for parameters: equal names mean equal parameters."""
    if not params:
        return ""
    for v in params.values():
        if hasattr(v, "dtype") or (type(v) is tuple and any(hasattr(i, "dtype") for i in v)):
            return id(v)
    return repr(params)


# --------------------------------------------------------------------------------------------------
# seconds


def seconds(tape: Tape, way: Way) -> float:
    """Return the time that a way would take on this tape, beside evaluating the function once.

    Parameters
    ----------
    tape : Tape
        The recorded run.
    way : Way
        The way.

    Returns
    -------
    float
        Seconds.
    """
    c = machine()
    entries = c.element * way.entries * (c.beyond if way.entries > c.cache else 1.0)
    if way.name == "forward":
        return c.frame + pushing(tape, way.columns, way.chunk) + entries
    if way.name == "row-sparse":
        return c.frame + pushing(tape, way.columns, None, way.counts) + 3 * c.scatter * way.entries
    if way.name == "reverse":
        return c.frame + c.record * len(tape) + sweeping(tape, way.rows, True, way.chunk) + entries
    if way.name in ("columns", "rows", "rows and columns", "star", "acyclic"):
        total = c.frame + 2 * c.record * len(tape) + c.scatter * way.entries + LEVEL * way.levels
        if way.columns:
            total += sweeping(tape, way.columns, False, way.chunk)
        if way.rows:
            total += sweeping(tape, way.rows, True, way.chunk)
        return total
    if way.name == "mixed":
        return c.frame + 2 * c.record * len(tape) + entries + _tree_seconds(tape, way.cuts, way.tree)[0]
    if way.name == "elimination":
        return c.frame + 40e-6 * len(tape) + 0.5e-6 * way.entries
    # Differences: an evaluation for every column, of which the tape tells the steps.
    evaluations = way.columns * (1 if way.name == "complex-step" else 2)
    return c.frame + evaluations * evaluating(tape) + entries


LEVEL = 3e-6
"""One step of a substitution."""
STAGE = 8e-6
"""Cutting a part out of a tape, and its seeds."""


def _tree_seconds(tape: Tape, cuts: tuple[Cut, ...], tree: Any) -> tuple[float, int, int]:
    """Return what a mixed way takes, and between which cuts its product stands."""
    if tree[0] == "product":
        second, j, k = _tree_seconds(tape, cuts, tree[1])
        first, i, _ = _tree_seconds(tape, cuts, tree[2])
        return first + second + multiplying(cuts[k].width, cuts[j].width, cuts[i].width), i, k
    name, i, k = tree
    return stage(tape, cuts[i], cuts[k], name), i, k


def stage(tape: Tape, before: Cut, after: Cut, name: str) -> float:
    """Return what the Jacobian of one part of a tape takes, by columns or by rows."""
    directions = before.width if name == "forward" else after.width
    return STAGE + sweeping(tape, directions, name == "reverse", None, before.at, after.at)


def multiplying(m: int, w: int, n: int) -> float:
    """Return what a product of an (m, w) by a (w, n) matrix takes."""
    c = machine()
    return 1e-6 + c.flop * m * w * n


def evaluating(tape: Tape) -> float:
    """Return what one evaluation of the function itself takes, roughly."""
    c = machine()
    return sum(0.6e-6 + 2 * c.element * size_of(shape_of(e[4])) for e in tape.equations)


def _fixed(c: Machine, row: Any) -> float:
    price: float = getattr(c, row.kind, c.general)
    return price


def _elements(c: Machine, row: Any, args: Any, params: Any, out: Any, directions: float) -> float:
    """Return what the elements of one step take, with all directions in one array."""
    size = size_of(shape_of(out))
    for a in args:
        size = max(size, size_of(shape_of(a)))
    total = size * directions
    if isinstance(row, Multilinear) and hasattr(row, "letters"):
        left, right, _, a_shape, b_shape = row.letters(args, params)
        sizes = dict(zip(left, a_shape)) | dict(zip(right, b_shape))
        flops = math.prod(sizes.values()) * directions
        moved = size_of(shape_of(out)) * directions
        return c.flop * flops + c.element * moved * (c.beyond if moved > c.cache else 1.0)
    factor = {"movement": 1.0, "linear": 1.0, "elementwise": 1.0}.get(row.kind, 4.0)
    if row is getitem:
        total = size_of(shape_of(out)) * directions * 0.3
    elif row is setitem:
        total = size_of(shape_of(args[1])) * directions
    return c.element * factor * total * (c.beyond if total > c.cache else 1.0)


def sweeping(
    tape: Tape, directions: int, backwards: bool, chunk: int | None = None, start: int = 0, stop: int | None = None
) -> float:
    """Return what pushing or pulling directions through the equations from ``start`` to ``stop`` takes."""
    c = machine()
    chunk = min(chunk or directions, directions) or 1
    times = -(-directions // chunk)
    fixed = elements = 0.0
    cells = tape.cells
    for e in range(start, len(tape) if stop is None else stop):
        row, ins, args, params, out, _ = cells[6 * e : 6 * e + 6]
        if not row.differentiable:
            continue
        active = sum([i is not None and i >= 0 for i in ins])
        if not active:
            continue
        fixed += _fixed(c, row) * (1 if active == 1 else 1.5)
        elements += _elements(c, row, args, params, out, chunk) * active
    return times * (fixed + elements) * (c.pull if backwards else 1.0)


def pushing(tape: Tape, k: int, chunk: int | None, counts: Sequence[int] = ()) -> float:
    """Return what one run of dual numbers takes, by the forms their tangents would have."""
    c = machine()
    if k == 1:
        return c.dual * len(tape) + sweeping(tape, 1, False) * 0.5
    directions = min(chunk or k, k)
    times = -(-k // directions) if directions else 1
    found = forms(tape, directions, counts or None)
    n = len(tape.inputs)
    total = 0.0
    for e, (row, ins, args, params, out, _) in enumerate(tape.equations):
        form = found[n + e]
        if form is None:
            continue
        size = size_of(shape_of(out))
        if form == "all":
            total += _made_whole(
                c, row, [found[i] if i is not None and i >= 0 else None for i in ins], args, params, out, directions
            )
        else:
            total += c.dual + len(form) * (c.term + c.element * size * (c.beyond if size > c.cache else 1.0))
    return times * total


def _made_whole(c: Machine, row: Any, sets: list[Any], args: Any, params: Any, out: Any, k: int) -> float:
    """Return what a step takes whose result has all directions in one array, from operands of whatever form."""
    active = [(a, s) for a, s in zip(args, sets) if s is not None]
    size = size_of(shape_of(out))
    if all(s != "all" for _, s in active):
        if row is sum_ or row is mean_:  # every coefficient is added up where its direction says
            taken = sum([size_of(shape_of(a)) * len(s) for a, s in active])
            return 10e-6 + c.scatter * taken + c.element * size * k
        if row is matmul_ and sets[0] is None and len(active) == 1 and len(active[0][1]) == 1:
            return 10e-6 + c.element * size * k * (c.beyond if size * k > c.cache else 1.0)
        if row is stack0 and not shape_of(args[0]):
            return 3e-6 + 0.3e-6 * sum([len(s) for _, s in active]) + c.element * size * k
    total = _fixed(c, row) * (1 if len(active) == 1 else 1.5)
    total += _elements(c, row, args, params, out, k) * len(active)
    for a, s in active:
        if s != "all":  # an array is made of the terms
            total += 3e-6 + c.element * size_of(shape_of(a)) * k
    return total


# --------------------------------------------------------------------------------------------------
# bytes


def peak(tape: Tape, directions: int, found: Sequence[Any] | None = None) -> int:
    """Return the most bytes of tangents (or cotangents) alive at once in a sweep with so many directions.

    Parameters
    ----------
    tape : Tape
        The recorded run.
    directions : int
        How many travel at once.
    found : sequence, optional
        The forms of forward mode's tangents; without them every tangent has all directions.
    """
    from dualdiff.passes.push import last_uses

    n = len(tape.inputs)
    active = activity(tape)
    uses = last_uses(tape, tape.outputs)

    def held(slot: int, size: int, itemsize: int) -> int:
        if not active[slot]:
            return 0
        width = directions
        if found is not None and found[slot] is not None and found[slot] != "all":
            width = 2 * len(found[slot])  # coefficients and maps
        return size * itemsize * width

    sizes = [held(s, size_of(a.shape), a.dtype.itemsize) for s, a in enumerate(tape.inputs)]
    now = sum(sizes)
    most, widest = now, max(sizes, default=0)
    ends: dict[int, list[int]] = {}
    for s in range(n):
        ends.setdefault(uses[s], []).append(s)
    for e, (_, _, _, _, out, _) in enumerate(tape.equations):
        size = held(n + e, size_of(shape_of(out)), dtype_of(out).itemsize)
        sizes.append(size)
        now += size
        widest = max(widest, size)
        most = max(most, now)
        for s in ends.pop(e, ()):
            now -= sizes[s]
        ends.setdefault(uses[n + e], []).append(n + e)
    return most + 2 * widest  # a step's own temporaries


def operations(tape: Tape, directions: int, start: int = 0, stop: int | None = None) -> int:
    """Return the multiplications of carrying directions through the equations from ``start`` to ``stop``, one by one."""
    total = 0
    cells = tape.cells
    for e in range(start, len(tape) if stop is None else stop):
        row, ins, args, params, out = cells[6 * e : 6 * e + 5]
        if row.differentiable:
            active = sum([i is not None and i >= 0 for i in ins])
            if active:
                total += int(_operations(row, args, params, out)) * active
    return total * directions


def _operations(row: Any, args: Sequence[Any], params: Any, out: Any) -> float:
    if isinstance(row, Multilinear) and hasattr(row, "letters"):
        left, right, _, a_shape, b_shape = row.letters(args, params)
        return math.prod((dict(zip(left, a_shape)) | dict(zip(right, b_shape))).values())
    if row.kind == "movement":
        return 0
    return max([size_of(shape_of(out)), *[size_of(shape_of(a)) for a in args]])


__all__ = [
    "Machine",
    "Way",
    "constants",
    "file_of_constants",
    "forms",
    "machine",
    "operations",
    "peak",
    "pushing",
    "seconds",
    "sweeping",
]
