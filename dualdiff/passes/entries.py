"""What one entry of a step's result is made of: the same entry of its operands, an entry elsewhere, or a sum of entries.

A step that moves entries is run on arrays of *coordinates*. Where each coordinate of the operand is an affine function of the
result's indices, the step needs no memory of its own: it is a way of reading (a view); where that holds part by part (assignments,
stacks), the parts are boxes of indices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dualdiff.kinds import Elementwise
from dualdiff.passes.program import Form, Program, Step
from dualdiff.passes.scalars import name_of

__all__ = ["Along", "Box", "Folded", "Mapped", "Moved", "Part", "Taken", "entries_of", "says"]

MOST_PARTS = 64
"""Parts of a result beyond which it is not taken apart."""
MOST_LOOKED_AT = 1 << 22
"""Entries beyond which nobody looks where each of them comes from."""
PREDICATES = frozenset((
    "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_xor", "logical_not",
    "isfinite", "isnan", "isinf", "signbit",
))  # fmt: skip
_EXPONENTS = {-1.0: "reciprocal", 0.5: "sqrt", 1.0: "positive", 2.0: "square"}
"""Powers that NumPy computes otherwise than by a logarithm."""
_FLOAT, _BOOL, _INT = np.dtype(float), np.dtype(bool), np.dtype(np.int64)

Box = tuple[tuple[int, int], ...]


class Along(NamedTuple):
    """One coordinate of an operand: ``start + step * (index along dim)``; a dim of -1 is none."""

    dim: int
    step: int
    start: int


class Mapped(NamedTuple):
    """A function of the operands' entries, by NumPy's name."""

    name: str
    operands: tuple[int, ...]


class Part(NamedTuple):
    """The entries in a box (all where it is None): an operand's, by its coordinates."""

    box: Box | None
    operand: int
    axes: tuple[Along, ...]


class Moved(NamedTuple):
    """Entries of operands; where parts overlap, the first one holds. ``is_view`` says that NumPy would show the operand's memory."""

    parts: tuple[Part, ...]
    is_view: bool


class Taken(NamedTuple):
    """Entries of an operand by a table of positions in the order of its memory; -1 is for zero."""

    operand: int
    positions: Any


class Folded(NamedTuple):
    """Entries put together along axes: "add", "maximum", "minimum", "logical_and", "logical_or"; then divided by a number."""

    name: str
    operand: int
    axes: tuple[int, ...]
    keeps: bool
    divisor: int


def says(program: Program, i: int) -> bool:
    """Whether a value is of numbers of double precision or truth values, or a count of them."""
    form = program.forms[i]
    if form.kind == "other":
        return False
    if form.dtype in (_FLOAT, _BOOL):
        return True
    x = program.constants.get(i)
    return form.dtype == _INT and not form.shape and x is not None and float(x) == x


def entries_of(program: Program, known: frozenset[str]) -> dict[int, Mapped | Moved | Taken | Folded]:
    """Say, by result, what entries are made of; steps that are not in it are done by NumPy.

    Parameters
    ----------
    program : Program
    known : frozenset of str
        The functions that can be had entry by entry.
    """
    found: dict[int, Mapped | Moved | Taken | Folded] = {}
    counts: set[int] = set()  # sums of truth values, which are integers
    for s in program.steps:
        form = program.forms[s.result]
        if form.kind == "other" or (form.dtype not in (_FLOAT, _BOOL) and form.dtype != _INT):
            continue
        spoken = all(says(program, i) or i in counts for i in s.operands)
        if not spoken or any(
            not program.forms[i].shape
            and program.forms[i].dtype == _BOOL
            and i not in found
            and i not in program.constants
            for i in s.operands
        ):
            continue
        what = _entry(program, s, form, known, counts)
        if what is None:
            continue
        if form.dtype == _INT:
            counts.add(s.result)
        found[s.result] = what
    return found


def _entry(
    program: Program, s: Step, form: Form, known: frozenset[str], counts: set[int]
) -> Mapped | Moved | Taken | Folded | None:
    row, fn = s.row, s.row.fn
    shapes = [program.forms[i].shape for i in s.operands]
    counted = any(i in counts for i in s.operands)
    if form.dtype == _INT:
        if row.folds == "add" and program.forms[s.operands[0]].dtype == _BOOL:
            return _fold(s, shapes[0])
        if not (counted and len(s.operands) == 1 and (row.access == "read" or _moves(s))):
            return None
    elif counted and row.name != "astype":
        return None
    if isinstance(row, Elementwise) or isinstance(fn, np.ufunc) or fn is np.where:
        name = _name(program, s, form)
        return Mapped(name, s.operands[:1] if name in _EXPONENTS.values() else s.operands) if name in known else None
    if row.access == "write":
        return _written(s, form.shape, shapes[1]) if form.dtype == _FLOAT else None
    if row.folds:
        return _fold(s, shapes[0]) if program.forms[s.operands[0]].dtype == _FLOAT == form.dtype else None
    if fn in (np.all, np.any) and program.forms[s.operands[0]].dtype == _BOOL:
        if s.params.get("axis") is not None or s.params.get("keepdims"):
            return None
        return Folded(
            "logical_and" if fn is np.all else "logical_or", s.operands[0], tuple(range(len(shapes[0]))), False, 1
        )
    if row.access == "read" or (_moves(s) and len(s.operands) == 1):
        if program.forms[s.operands[0]].dtype != form.dtype:
            return None
        move = (lambda c: c[s.params["index"]]) if row.access == "read" else (lambda c: s.row.fn(c, **s.params))
        found = _read(move, s.operands[0], shapes[0], form.shape)
        return (
            found if found is not None or form.dtype != _FLOAT else _taken(move, s.operands[0], shapes[0], form.shape)
        )
    if _moves(s) and form.dtype == _FLOAT:
        return _joined(s, shapes, form.shape)
    return None


def _moves(s: Step) -> bool:
    return s.row.on_objects and (s.row.kind == "movement" or s.row.repeats)


def _name(program: Program, s: Step, form: Form) -> str:
    """Return the name of an elementwise function, "" where there is none."""
    fn: Any = s.row.fn
    if s.row.name == "astype":
        return "number" if form.dtype == _FLOAT else ""
    if fn is np.where:
        return "where" if form.dtype == _FLOAT and program.forms[s.operands[0]].dtype == _BOOL else ""
    if not isinstance(fn, np.ufunc) or s.params or fn.nout != 1:
        return ""
    name = name_of(fn)
    if not isinstance(name, str) or (name in PREDICATES) != (form.dtype == _BOOL):
        return ""
    if name == "power":
        exponent = program.constants.get(s.operands[1])
        if exponent is not None and not np.shape(exponent):
            name = _EXPONENTS.get(float(exponent), name)
        if form.kind == "float" and name not in ("square", "positive"):
            return ""  # Python raises, or returns a complex number, where NumPy does not
    return name


def _fold(s: Step, shape: tuple[int, ...]) -> Folded:
    axes = tuple(sorted(a % len(shape) for a in s.params["axis"]))
    divisor = math.prod([shape[a] for a in axes]) if getattr(s.row, "divides", False) else 1
    return Folded(s.row.folds, s.operands[0], axes, bool(s.params["keepdims"]), divisor)


# --------------------------------------------------------------------------------------------------
# where entries come from


def _coordinates(shape: tuple[int, ...], axis: int) -> tuple[Any, Any]:
    """Return one plus the index along an axis, as an array of the shape that takes no memory, and the line it shows."""
    line = np.arange(1, shape[axis] + 1)
    return np.broadcast_to(line.reshape((-1,) + (1,) * (len(shape) - axis - 1)), shape), line


def _read(move: Callable[[Any], Any], operand: int, shape: tuple[int, ...], result: tuple[int, ...]) -> Moved | None:
    found = _affine(move, shape, result)
    if found is None:
        return None
    axes, is_view = found
    return Moved((Part(None, operand, axes),), is_view)


def _taken(move: Callable[[Any], Any], operand: int, shape: tuple[int, ...], result: tuple[int, ...]) -> Taken | None:
    """Return a table of positions; what is put between the entries must be zero, whatever the entries are."""
    size = math.prod(shape)
    if not result or max(size, math.prod(result)) > MOST_LOOKED_AT:
        return None
    first = np.arange(1, size + 1).reshape(shape)
    try:
        found, other = np.asarray(move(first)), np.asarray(move(first + size))
    except Exception:
        return None
    if found.shape != result or found.dtype != first.dtype or not np.array_equal(other, found + size * (found > 0)):
        return None
    return Taken(operand, np.ascontiguousarray(found - 1))


def _affine(
    move: Callable[[Any], Any], shape: tuple[int, ...], result: tuple[int, ...]
) -> tuple[tuple[Along, ...], bool] | None:
    """Return how an operand's coordinates depend on a result's indices, and whether the result shows the operand's memory."""
    axes = []
    is_view = True
    if not shape:
        return ((), False) if np.array_equal(move(np.ones((), int)), np.ones(result)) else None
    for axis in range(len(shape)):
        coordinate, line = _coordinates(shape, axis)
        try:
            moved = np.asarray(move(coordinate))
        except Exception:
            return None
        if moved.shape != result or moved.dtype != line.dtype:
            return None
        shown = np.may_share_memory(moved, line)
        along = _along(moved, shown)
        if along is None:
            return None
        axes.append(along)
        is_view = is_view and (shown or not result)
    return tuple(axes), is_view


def _along(moved: Any, shown: bool) -> Along | None:
    """Return one coordinate as an affine function of one index."""
    start = int(moved[(0,) * moved.ndim])
    found = Along(-1, 0, start - 1)
    expected: Any = start
    for d, n in enumerate(moved.shape):
        if n > 1:
            step = int(moved[(0,) * d + (1,) + (0,) * (moved.ndim - d - 1)]) - start
            if step:
                if found.dim >= 0:
                    return None
                found = Along(d, step, start - 1)
                expected = (start + step * np.arange(n)).reshape((-1,) + (1,) * (moved.ndim - d - 1))
    if start < 1:
        return None
    if not shown and (moved.size > MOST_LOOKED_AT or not np.array_equal(moved, np.broadcast_to(expected, moved.shape))):
        return None
    return found


def _written(s: Step, shape: tuple[int, ...], given: tuple[int, ...]) -> Moved | None:
    """Say where the entries of ``x`` are after ``x[index] = value``."""
    x, value = s.operands
    index = s.params["index"]
    whole = Part(None, x, tuple([Along(d, 1, 0) for d in range(len(shape))]))
    region = np.shape(np.broadcast_to(np.zeros((), np.int8), shape)[index])
    if 0 in region:
        return Moved((whole,), False)
    found = _affine(lambda c: c[index], shape, region)
    if found is None:
        return None
    box, of_dim = [], {}
    for a, (dim, step, start) in enumerate(found[0]):
        if dim < 0:
            box.append((start, start + 1))
            continue
        if step not in (1, -1) or dim in of_dim:
            return None
        end = start + step * (region[dim] - 1)
        box.append((min(start, end), max(start, end) + 1))
        of_dim[dim] = Along(a, step, -start * step)
    if any(n > 1 and d not in of_dim for d, n in enumerate(region)):
        return None
    lead = len(region) - len(given)
    axes = tuple([of_dim.get(k + lead, Along(-1, 0, 0)) if n > 1 else Along(-1, 0, 0) for k, n in enumerate(given)])
    return Moved((Part(tuple(box), value, axes), whole), False)


def _joined(s: Step, shapes: list[tuple[int, ...]], result: tuple[int, ...]) -> Moved | None:
    """Say which box of a result comes from which of its operands."""
    size = math.prod(result)
    if len(s.operands) > MOST_PARTS or size > MOST_LOOKED_AT:
        return None
    call = s.row.fn
    try:
        owner = np.asarray(call(*[_filled(k + 1, shape) for k, shape in enumerate(shapes)], **s.params))
    except Exception:
        return None
    if owner.shape != result or owner.dtype.kind != "i":
        return None
    rank = max(map(len, shapes))
    moved = [
        np.asarray(call(*[_coordinates(q, a)[0] if a < len(q) else _filled(1, q) for q in shapes], **s.params))
        for a in range(rank)
    ]
    parts = []
    flat, total = owner.reshape(-1), 0
    for k, shape in enumerate(shapes):
        is_there = flat == k + 1
        if not is_there.any():
            if math.prod(shape):
                return None
            continue
        low = np.unravel_index(int(is_there.argmax()), result)
        high = np.unravel_index(size - 1 - int(is_there[::-1].argmax()), result)
        box = tuple([(int(a), int(b) + 1) for a, b in zip(low, high, strict=True)])
        window = tuple([slice(a, b) for a, b in box])
        if not (owner[window] == k + 1).all():
            return None
        total += owner[window].size
        axes = []
        for a in range(len(shape)):
            along = _along(moved[a][window], False)
            if along is None:
                return None
            axes.append(along._replace(start=along.start - along.step * box[along.dim][0]) if along.dim >= 0 else along)
        parts.append(Part(box, s.operands[k], tuple(axes)))
    return Moved(tuple(parts), False) if total == size else None


def _filled(x: int, shape: tuple[int, ...]) -> Any:
    return np.full(shape, x) if shape else x
