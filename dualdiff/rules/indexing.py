"""Reading and writing entries: basic and advanced indices, on a batch axis the rule never sees."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from dualdiff.errors import InputError, where
from dualdiff.kinds import Movement, Primitive, Shape, Sweep, sum_into
from dualdiff.kinds.base import ALL, Asked, Step
from dualdiff.kinds.movement import moved_back
from dualdiff.labels import OWN, Labels
from dualdiff.ownership import SOLE, holders
from dualdiff.shapes import dtype_of, fit, shape_of, size_of, sum_to_shape
from dualdiff.tangents import DENSE, INSTEAD, store
from dualdiff.values import PLAIN_TYPES, Traced, bind, container, is_number, ndarray, packed

# --------------------------------------------------------------------------------------------------
# what an index says


def canonical_index(index: Any, shape: Shape) -> Any:
    """Return an index that only plain values fill and nobody can change later.

    Traced integers and masks leave to Python (which records a guard); writeable arrays are copied.
    """
    if type(index) is tuple:
        return tuple([_canonical(i) for i in index])
    return _canonical(index)


def _canonical(i: Any) -> Any:
    kind = type(i)
    if kind is int or i is None or i is Ellipsis:
        return i
    if kind is slice:
        if isinstance(i.start, Traced) or isinstance(i.stop, Traced) or isinstance(i.step, Traced):
            return slice(*[None if s is None else s.__index__() for s in (i.start, i.stop, i.step)])
        return i
    if isinstance(i, Traced):
        if dtype_of(i).kind not in "biu":
            raise InputError(f"{where()}: arrays used as indices must be integers or booleans, not {dtype_of(i)}")
        i = i.run.leave(i)
        kind = type(i)
    if kind is bool or kind is np.bool_:
        return i
    if kind is ndarray and i.dtype.char != "O":
        if i.ndim == 0 and i.dtype.kind == "b":
            return bool(i)
        return i.copy("K") if i.base is not None or i.flags.writeable else i
    if hasattr(i, "__index__") and kind is not ndarray:
        return i.__index__()
    i = np.array(i) if kind is not ndarray and (not hasattr(i, "__len__") or len(i)) else i
    if not hasattr(i, "dtype"):
        return np.zeros(np.shape(i), dtype=np.intp)  # x[[]] reads nothing
    if i.dtype.char == "O":
        i = np.array([_canonical(j) for j in i.flat]).reshape(i.shape)
    if i.dtype.kind not in "biu":
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are valid indices"
        )
    return i


def is_basic(index: Any) -> bool:
    """Whether an index uses only integers, slices, None and Ellipsis (NumPy then returns a view)."""
    if type(index) is tuple:
        for i in index:  # noqa: SIM110  (three times as fast as all())
            if isinstance(i, (ndarray, bool, np.bool_)):
                return False
        return True
    return not isinstance(index, (ndarray, bool, np.bool_))


def has_integer_arrays(index: Any) -> bool:
    """Whether an index names entries one by one, and so may name one twice."""
    if type(index) is tuple:
        for i in index:  # noqa: SIM110
            if type(i) is ndarray and i.dtype.kind != "b":
                return True
        return False
    return type(index) is ndarray and index.dtype.kind != "b"


def fronted(index: Any) -> int:
    """Return how many result axes NumPy moves to the front: those of advanced indices set apart by a slice."""
    if type(index) is not tuple:
        return 0
    arrays = [i for i in index if isinstance(i, (bool, np.bool_)) or (isinstance(i, ndarray) and i.ndim)]
    if not arrays:
        return 0
    at = [n for n, i in enumerate(index) if isinstance(i, (ndarray, bool, np.bool_, int, np.integer))]
    if at[-1] - at[0] + 1 == len(at):
        return 0
    return max([1 if isinstance(i, (bool, np.bool_)) or i.dtype.kind == "b" else i.ndim for i in arrays])


def batched_index(index: Any, rank: int) -> Any:
    """Put ``rank`` full slices in front of an index."""
    return (slice(None),) * rank + (index if type(index) is tuple else (index,))


def _expanded(index: Any, rank: int) -> tuple[Any, ...] | None:
    """Return a basic index with one entry per axis (and None where one is added); None if it names too many."""
    parts = index if type(index) is tuple else (index,)
    missing = rank - sum(1 for i in parts if i is not None and i is not Ellipsis)
    if missing < 0:
        return None
    full = (slice(None),) * missing
    if Ellipsis in parts:
        n = parts.index(Ellipsis)
        return (*parts[:n], *full, *parts[n + 1 :])
    return (*parts, *full)


def compose(outer: Any, inner: Any, shape: Shape) -> Any:
    """Return the basic index that reads ``x[outer][inner]`` at once; None where there is none."""
    if not (is_basic(outer) and is_basic(inner)):
        return None
    entries = _expanded(outer, len(shape))
    if entries is None:
        return None
    wanted = _expanded(inner, sum(1 for e in entries if type(e) is not int))
    if wanted is None:
        return None
    out: list[Any] = []
    n = axis = 0
    for w in wanted:
        if w is None:
            out.append(None)
            continue
        while type(entries[n]) is int:
            out.append(entries[n])
            n, axis = n + 1, axis + 1
        e = entries[n]
        n += 1
        if e is None:
            steps = range(1)
        else:
            steps = range(*e.indices(shape[axis]))
            axis += 1
        if type(w) is int:
            if not -len(steps) <= w < len(steps):
                return None  # let NumPy raise
            if e is not None:
                out.append(steps[w])
            continue
        steps = steps[w]
        if e is not None:
            out.append(
                slice(steps.start, steps.stop if steps.stop >= 0 else None, steps.step) if steps else slice(0, 0)
            )
        elif steps:
            out.append(None)
        else:
            return None
    out.extend(entries[n:])
    return tuple(out)


@lru_cache(maxsize=16)
def _positions(shape: Shape) -> Any:
    p = np.arange(size_of(shape)).reshape(shape)
    p.flags.writeable = False
    return p


def positions(shape: Shape) -> Any:
    """Return the flat index of every entry of an array (read-only)."""
    return _positions(shape) if size_of(shape) <= 1 << 17 else np.arange(size_of(shape)).reshape(shape)


def places(index: Any, shape: Shape) -> Any:
    """Return the flat positions that an index names, ``positions(shape)[index]``: O(named), not O(array)."""
    return positions(shape)[index] if size_of(shape) <= 1 << 17 else _named(index, shape)


def _named(index: Any, shape: Shape) -> Any:
    """Work out the positions axis by axis, for arrays too large to number all entries."""
    parts = index if type(index) is tuple else (index,)
    if any(isinstance(i, (bool, np.bool_)) or (isinstance(i, ndarray) and i.dtype.kind == "b") for i in parts):
        return positions(shape)[index]  # a mask is as large as what it masks
    read = _nothing(shape)[index].shape  # NumPy itself holds the index against the bounds
    missing = (slice(None),) * (len(shape) - sum(1 for i in parts if i is not None and i is not Ellipsis))
    at = next((n for n, i in enumerate(parts) if i is Ellipsis), len(parts))
    lines: list[Any] = []  # of every axis that a slice or None leaves, how far its entries are from its first
    named: Any = np.zeros((), np.intp)
    front, axis = 0, 0
    for i in (*parts[:at], *missing, *parts[at + 1 :]):
        if i is None:
            lines.append(np.zeros(1, np.intp))
            continue
        n, step = shape[axis], size_of(shape[axis + 1 :])
        axis += 1
        if type(i) is slice:
            lines.append(np.arange(*i.indices(n)) * step)
            continue
        front = front if named.ndim else len(lines)
        i = np.asarray(i).astype(np.intp)
        named = np.asarray(named + np.where(i < 0, i + n, i) * step)
    rank, count = named.ndim, len(lines)
    if fronted(index):
        front = 0
    total = np.zeros(read, np.intp)
    total += named.reshape(named.shape + (1,) * (count - front))
    for j, line in enumerate(lines):
        total += line.reshape((-1,) + (1,) * (count - 1 - j + (rank if j < front else 0)))
    return total


@lru_cache(maxsize=256)
def _nothing(shape: Shape) -> Any:
    """Return an array of this shape that takes no memory, to ask NumPy what shape an index reads."""
    return np.broadcast_to(np.False_, shape)


def without_repeats(index: Any, v: Any, shape: Shape) -> tuple[Any, Any]:
    """Return an assignment that does the same and names no entry twice: of several values the last one stays."""
    at = places(index, shape)
    flat = at.ravel()
    if flat.size == 1:
        return index, v
    entries = np.unique(flat)
    if entries.size == flat.size:
        return index, v
    if at.ndim == 1:
        last = flat.size - 1 - np.unique(flat[::-1], return_index=True)[1]
    else:
        owner = np.zeros(size_of(shape), dtype=np.intp)
        owner.reshape(shape)[index] = np.arange(flat.size).reshape(at.shape)  # NumPy itself says who is last
        last = owner[entries]
    if shape_of(v):
        v = np.broadcast_to(v if len(shape_of(v)) <= at.ndim else np.reshape(v, shape_of(v)[-at.ndim :]), at.shape)
        v = np.reshape(v, -1)[last]
    return np.unravel_index(entries, shape), v


# --------------------------------------------------------------------------------------------------
# reading


def take_at(t: Any, index: Any, lead: Shape) -> Any:
    """Read ``t[..., index]`` under the batch axis."""
    if not lead:
        try:
            return t[index]
        except TypeError:  # a Python number, as the tangent of a NumPy scalar
            if shape_of(t):
                raise
            return np.reshape(t, ())[index]
    picked = t[batched_index(index, len(lead))]
    moved = fronted(index)
    return np.moveaxis(picked, moved, 0) if moved else picked


def detached(part: Any, whole: Any) -> Any:
    """Return a small part of an array in memory of its own: who keeps the part need not keep the whole.

    A write copies an array that somebody else holds, so a loop that reads and writes rows would copy all of it each time.
    """
    if type(whole) is not ndarray or type(part) is not ndarray or whole.size <= 64 or 2 * part.size > whole.size:
        return part
    if part.flags.c_contiguous:
        return part.copy()
    if part.ndim == 1:  # with steps between the entries, as before: that decides which of its reshapes are views
        spread = np.empty((part.size, 2), part.dtype)[:, 0]
        spread[...] = part
        return spread
    return part


MOST_FOLLOWED = 1 << 20
"""Entries of an array that a pattern follows one by one while numbers are written into it."""


class GetItem(Movement):
    """``x[index]``: the movement whose position map need not be written out."""

    view = True
    pads = False
    access = "read"

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return detached(take_at(tangents[0], params["index"], sweep.lead), tangents[0])

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        shape = sweep.lead + args[0].shape
        buffer = np.zeros(shape, dtype_of(g)) if type(g) in PLAIN_TYPES else np.zeros_like(g, shape=shape)
        return (self.deposit(sweep, buffer, g, args[0].shape, params["index"]),)

    def deposit(self, sweep: Sweep, buffer: Any, g: Any, shape: Shape, index: Any) -> Any:
        """Add a cotangent to the entries it was read from, in place where it can be: O(read), not O(array)."""
        rank = sweep.rank
        if not shape:  # the one entry, read as often as the index shows it; its cotangent may be a number
            axes = tuple(range(rank, len(shape_of(g))))
            return buffer + (np.sum(g, axis=axes) if axes else g)
        if isinstance(g, Traced) and not isinstance(buffer, Traced):
            buffer = container(buffer)
        if not rank and type(index) is int:
            buffer[index] += g
            return buffer
        if has_integer_arrays(index):
            at = places(index, shape)
            flat = np.reshape(g, (*sweep.lead, at.size))
            wide = (*sweep.lead, size_of(shape))
            if type(buffer) is ndarray:
                if not buffer.flags.c_contiguous:
                    buffer = np.ascontiguousarray(buffer)
                sum_into(buffer.reshape(wide), at.ravel(), flat)
                return buffer  # not a view of it: the sweep may go on writing into it
            return sum_into(np.reshape(buffer, wide), at.ravel(), flat).reshape(buffer.shape)
        moved = fronted(index) if rank else 0
        if moved:
            g = np.moveaxis(g, 0, moved)
        buffer[batched_index(index, rank) if rank else index] += g
        return buffer

    in_place = True

    def forecast(self, asked: Asked) -> Any:
        """A number read from the arguments themselves has one direction."""
        (terms,), index = asked.live, asked.params["index"]
        if asked.shape:
            return super().forecast(asked)
        if len(terms) == 1 and type(index) is int:
            (term,) = terms
            if type(term) is tuple and term[0] == "x":
                return frozenset((term[1] + index % shape_of(asked.args[0])[0],))
        return asked.at(terms)

    def step(self, active: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Step:
        """What is read is a view."""
        size = size_of(shape_of(out))
        return Step(self.kind, active, size, size // 2, 0)

    def entry_read(self, args: Sequence[Any], params: dict[str, Any], out: Any) -> int | None:
        """Return the place of a number."""
        return None if shape_of(out) else int(self.labels(0, args, params, out)[0][0])

    def positions(self, shape: Shape, params: dict[str, Any]) -> Any:
        return places(params["index"], shape) + 1

    def labels(self, k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
        return np.reshape(places(params["index"], shape_of(args[0])), -1), OWN


def _getitem(x: Any, *, index: Any) -> Any:
    return x[index]


getitem = GetItem("indexing", _getitem)


# --------------------------------------------------------------------------------------------------
# writing


def stored(y: Any, index: Any, v: Any, sole: bool) -> Any:
    """Return ``y`` with ``y[index] = v`` carried out, in ``y`` itself where nobody else holds it (``sole``)."""
    if isinstance(y, Traced) or isinstance(v, Traced):
        level = y.run.level if isinstance(y, Traced) else 0
        if level and isinstance(v, Traced) and v.run.level > level:
            return bind(setitem, (y, v), {"index": index})
        if not isinstance(y, Traced):
            y = container(y if sole else np.array(y))
        elif is_number(y):  # a tangent or cotangent of what is an array without axes
            old, y = y, container(np.zeros((), dtype_of(y)))
            y[...] = old
        elif not sole or (y.link is not None and y.link.base is not None):
            y = y.copy("K")  # type: ignore[attr-defined]
    elif type(y) is not ndarray:
        y = y.copy() if hasattr(y, "__array_function__") else np.array(y)
    elif not sole or y.base is not None or not y.flags.writeable:
        y = np.array(y)
    y[index] = v
    return y


def stored_tangent(tangents: Any, index: Any, lead: Shape, out: Any, v: Any) -> Any:
    """Return the tangent of ``y`` after ``y[index] = v``, given those of ``y`` and of ``v``: None where there is none.

    A buffer that nobody holds but ``tangents`` is written into. ``out`` and ``v`` tell the shapes of the values.
    """
    sole = holders(tangents[0]) == SOLE
    ty, tv = tangents
    if ty is None:
        shape = lead + shape_of(out)
        ty = (
            np.zeros(shape, dtype_of(out))
            if type(tv) in PLAIN_TYPES
            else np.zeros_like(tv, shape=shape, dtype=dtype_of(out))
        )
        sole = True
    if tv is None:
        tv = 0.0
    elif lead:
        tv = _aligned(tv, index, lead, shape_of(out), shape_of(v))
    return stored(ty, batched_index(index, len(lead)) if lead else index, tv, sole)


def _aligned(tv: Any, index: Any, lead: Shape, shape: Shape, v: Shape) -> Any:
    """Give the tangent of what is stored the axes that the indexed place has under the batch axis."""
    target = shape[1:] if type(index) is int else _nothing(shape)[index].shape
    missing = len(target) - len(v)
    if missing > 0:
        tv = np.reshape(tv, lead + (1,) * missing + v)
    elif missing < 0:  # NumPy drops leading unit axes of what it stores
        tv = np.reshape(tv, lead + v[-missing:])
    moved = fronted(index)
    return np.moveaxis(np.broadcast_to(tv, lead + target), 0, moved) if moved else tv


class SetItem(Primitive):
    """``y`` with ``y[index] = v`` carried out: linear in both, and the same buffer is handed on where it may be."""

    kind = "movement"
    access = "write"

    def needs(self, active: tuple[bool, ...]) -> Any:
        return False, (False, False)

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return stored_tangent(tangents, params["index"], sweep.lead, out, args[1])

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        if type(g) in PLAIN_TYPES:
            g = np.array(g)
        elif is_number(g):  # which nobody can write into: it moves into an array without axes
            cell = np.zeros_like(g, shape=())
            cell[...] = g
            g = cell
        else:
            g = g.copy()
        gv = self.pull_in_place(sweep, g, ins, args, params, None)
        return g if ins[0] is not None and ins[0] >= 0 else None, gv

    def pull_in_place(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], forms: Any) -> Any:
        """As ``pull``, but in ``g`` itself, which nobody else holds: O(written), not O(array).

        ``g`` becomes the cotangent of the array before the write; that of the written value is returned.
        """
        index, lead = params["index"], sweep.lead
        i, j = ins
        gv = None
        if j is not None and j >= 0:
            gv = take_at(g, index, lead)
            if type(gv) not in PLAIN_TYPES or type(gv) is ndarray:
                gv = gv.copy()  # it may be a view of what is cleared below
            gv = sum_to_shape(gv, lead, shape_of(args[1]))
            if forms is not None and (shape_of(gv) or dtype_of(gv) != forms[1][1]):
                gv = fit(gv, lead, *forms[1])
        if i is not None and i >= 0:
            g[batched_index(index, len(lead)) if lead else index] = 0.0
        return gv

    in_place = True

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Write into maps and coefficients."""
        if run.lead[0] * size_of(shape_of(out)) <= DENSE:
            return INSTEAD
        return store(tangents, params["index"], out, values[1])

    def takes_columns(self, values: Sequence[Any]) -> bool:
        """A direction of all entries is one of those that were not written, from then on."""
        return True

    def pull_terms(self, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any, aligned: bool) -> Any:
        """Take what was written out of maps and coefficients; entry by entry an array is written in place."""
        return moved_back(self, g, ins, args, params, out) if shape_of(args[1]) else INSTEAD

    def forecast(self, asked: Asked) -> Any:
        """Say how many terms there are: as many as the one of the two has that has more."""
        if asked.k * asked.size <= DENSE:
            return ALL
        return asked.new(max(map(len, asked.live)))

    def step(self, active: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Step:
        """What is written moves; the rest stays where it is."""
        return Step(self.kind, active, size_of(shape_of(out)), size_of(shape_of(args[1])), 0)

    def entries_written(self, args: Sequence[Any], params: dict[str, Any], out: Any) -> Sequence[int] | None:
        """Return the places that one number is written to."""
        shape, index = shape_of(out), params["index"]
        size = size_of(shape)
        if size_of(shape_of(args[1])) != 1 or size > MOST_FOLLOWED:
            return None
        if type(index) is int and len(shape) == 1:
            return (index % size,)
        return np.ravel(np.arange(size).reshape(shape)[index]).tolist()

    def labels(self, k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
        index, shape = params["index"], shape_of(out)
        if k == 0:
            found = np.arange(size_of(shape)).reshape(shape)
            found[index] = -1
        else:
            v = shape_of(args[1])
            found = np.full(shape, -1)
            found[index] = np.arange(size_of(v)).reshape(v)
        return found.reshape(-1), OWN


def _setitem(y: Any, v: Any, *, index: Any) -> Any:
    return stored(y, index, packed(v), False)


setitem = SetItem("assignment", _setitem)

__all__ = ["canonical_index", "getitem", "setitem", "stored", "stored_tangent"]
