"""Reading and writing entries: basic and advanced indices, on a batch axis the rule never sees."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from dualdiff.errors import InputError, where
from dualdiff.primitive import Movement, Primitive, Sweep, Traced, bind, gather, packed
from dualdiff.shapes import SOLE, Aval, dtype_of, shape_of, size_of, sum_to_shape

ndarray = np.ndarray


def canonical_index(index: Any, shape: tuple[int, ...]) -> Any:
    """Return an index that only plain values fill and nobody can change later.

    Traced integers and masks leave to Python (which records a guard); writeable arrays are copied.
    """
    if type(index) is tuple:
        return tuple([_canonical(i) for i in index])
    return _canonical(index)


def _canonical(i: Any) -> Any:
    kind = type(i)
    if kind is int or kind is slice or i is None or i is Ellipsis:
        if kind is slice and (isinstance(i.start, Traced) or isinstance(i.stop, Traced) or isinstance(i.step, Traced)):
            return slice(*[None if s is None else s.__index__() for s in (i.start, i.stop, i.step)])
        return i
    if isinstance(i, Traced):
        if dtype_of(i).kind not in "biu":
            raise InputError(f"{where()}: arrays used as indices must be integers or booleans, not {dtype_of(i)}")
        i = i.run.leave(i)
        kind = type(i)
    if isinstance(i, list):
        i = np.asarray(i) if i else np.zeros(0, dtype=np.intp)
        if i.dtype.char == "O":
            i = np.array([_canonical(j) for j in i.flat]).reshape(i.shape)
        return i
    if type(i) is ndarray:
        if i.dtype.char == "O":
            return np.array([_canonical(j) for j in i.flat]).reshape(i.shape)
        return i.copy() if i.flags.writeable or i.base is not None else i
    return i


def is_basic(index: Any) -> bool:
    """Whether an index uses only integers, slices, None and Ellipsis (NumPy then returns a view)."""
    if type(index) is tuple:
        return not any(isinstance(i, (ndarray, list)) or isinstance(i, (bool, np.bool_)) for i in index)
    return not isinstance(index, (ndarray, list, bool, np.bool_))


def fronted(index: Any) -> int:
    """Return how many result axes NumPy moves to the front: those of advanced indices set apart by a slice."""
    if type(index) is not tuple:
        return 0
    advanced = [isinstance(i, (ndarray, bool, np.bool_, int, np.integer)) for i in index]
    if not any(isinstance(i, (ndarray, bool, np.bool_)) for i in index):
        return 0
    at = [n for n, a in enumerate(advanced) if a]
    if at[-1] - at[0] + 1 == len(at):
        return 0
    arrays = [np.asarray(i) for i, a in zip(index, advanced, strict=True) if a]
    ranks = [1 if a.dtype == bool else a.ndim for a in arrays]
    return max(ranks)


def batched_index(index: Any, rank: int) -> Any:
    """Put ``rank`` full slices in front of an index."""
    return (slice(None),) * rank + (index if type(index) is tuple else (index,))


def take_at(t: Any, index: Any, lead: tuple[int, ...]) -> Any:
    """Read ``t[..., index]`` under the batch axis."""
    if not lead:
        return t[index]
    picked = t[batched_index(index, len(lead))]
    moved = fronted(index)
    return np.moveaxis(picked, moved, 0) if moved else picked


def _position(shape: tuple[int, ...], index: Any) -> Any:
    return np.arange(size_of(shape)).reshape(shape)[index]


def _repeats(index: Any) -> bool:
    """Whether an index may name an entry more than once."""
    parts = index if type(index) is tuple else (index,)
    return any(isinstance(i, (ndarray, list)) and np.asarray(i).dtype != bool for i in parts)


class GetItem(Movement):
    """``x[index]``: the movement whose position map need not be written out."""

    view = True

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return take_at(tangents[0], params["index"], sweep.lead)

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        x = args[0]
        if type(g) is ndarray or not isinstance(g, Traced):
            buffer = np.zeros(sweep.lead + x.shape, dtype_of(g))
            self.deposit(sweep, buffer, g, args, params)
            return (buffer,)
        return (embed(g, index=params["index"], shape=x.shape, lead=sweep.lead),)

    def deposit(self, sweep: Sweep, buffer: Any, g: Any, args: Any, params: dict[str, Any]) -> None:
        """Add a cotangent to the entries it was read from, in place: O(read), not O(array)."""
        index = params["index"]
        if type(index) is int and not sweep.rank:
            buffer[index] += g
        elif is_basic(index):
            buffer[batched_index(index, sweep.rank)] += g
        else:
            moved = fronted(index)
            if sweep.rank and moved:
                g = np.moveaxis(g, 0, moved)
            at = batched_index(index, sweep.rank)
            if _repeats(index):
                np.add.at(buffer, at, g)
            else:
                buffer[at] += g

    def cost(self, args: Any, params: dict[str, Any], out: Any, directions: int) -> float:
        return self.cost_fixed + self.cost_element * size_of(shape_of(out)) * directions


def _getitem(x: Any, *, index: Any) -> Any:
    return x[index]


getitem = GetItem("indexing", _getitem)


class Embed(Primitive):
    """The transpose of reading: zeros with ``g`` added at an index. Its own transpose is reading."""

    kind = "linear"

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return embed(tangents[0], index=params["index"], shape=params["shape"], lead=sweep.lead + params["lead"])

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        return (take_at(g, params["index"], sweep.lead + params["lead"]),)

    def needs(self, active: tuple[bool, ...]) -> Any:
        return False, (False,)


def _embed(g: Any, *, index: Any, shape: tuple[int, ...], lead: tuple[int, ...]) -> Any:
    buffer = np.zeros_like(g, shape=lead + shape)
    getitem.deposit(Sweep(lead), buffer, g, (), {"index": index})
    return buffer


embed = Embed("embedding", _embed)


# --------------------------------------------------------------------------------------------------
# writing


def setitem_at(
    ty: Any, tv: Any, index: Any, lead: tuple[int, ...], shape: tuple[int, ...], out: Any, v: Any
) -> Any:
    """Return the tangent of ``y`` after ``y[index] = v``, in the tangent's own buffer where nobody else holds it.

    ``ty`` and ``tv`` are None where a value has no tangent.
    """
    if isinstance(ty, Traced) or isinstance(tv, Traced):
        if ty is None:
            ty = np.zeros_like(tv, shape=lead + shape)
        zero = np.zeros_like(ty, shape=(*lead, 1)).reshape(lead) if lead else 0.0
        return bind(setitem, (ty, zero if tv is None else tv), {"index": index, "lead": lead, "rank": len(shape_of(v))})
    if ty is None:
        ty = np.zeros(lead + shape, dtype_of(out))
    elif type(ty) is not ndarray or sys.getrefcount(ty) > SOLE + 2 or ty.base is not None or not ty.flags.writeable:
        ty = np.array(ty, dtype=dtype_of(out))
    _store(ty, 0.0 if tv is None else tv, index, lead, len(shape_of(v)))
    return ty


def _store(y: Any, v: Any, index: Any, lead: tuple[int, ...], rank: int) -> None:
    """Write ``y[..., index] = v`` under the batch axis; ``rank`` is that of ``v`` without it."""
    if not lead:
        y[index] = v
        return
    at = batched_index(index, len(lead))
    if shape_of(v) and shape_of(v)[: len(lead)] == lead:
        target = shape_of(take_at(y, index, lead))
        missing = len(target) - len(lead) - rank
        if missing > 0:
            v = v.reshape(lead + (1,) * missing + shape_of(v)[len(lead) :])
        elif missing < 0:  # NumPy drops leading unit axes of what it stores
            v = v.reshape(lead + shape_of(v)[len(lead) - missing :])
        moved = fronted(index)
        if moved:
            v = np.moveaxis(np.broadcast_to(v, target), 0, moved)
    y[at] = v


class SetItem(Primitive):
    """``y`` with ``y[index] = v`` carried out: linear in both, and the same buffer is handed on where it may be."""

    kind = "movement"

    def needs(self, active: tuple[bool, ...]) -> Any:
        return False, (False, False)

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        ty, tv = tangents
        lead = sweep.lead + params.get("lead", ())
        y = shape_of(args[0])[len(params.get("lead", ())) :]
        rank = params.get("rank", len(shape_of(args[1])))
        v = Aval(shape_of(args[1])[-rank:] if rank else (), dtype_of(args[1]))
        return setitem_at(ty, tv, params["index"], lead, y, out, v)

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        index = params["index"]
        inner = params.get("lead", ())
        lead = sweep.lead + inner
        i, j = ins
        gv = None
        if j is not None and j >= 0:
            gv = self.cotangent_of_value(take_at(g, index, lead), sweep.lead, shape_of(args[1]))
        if i is None or i < 0:
            return None, gv
        if isinstance(g, Traced):
            zero = np.zeros_like(g, shape=(*lead, 1)).reshape(lead) if lead else 0.0
            return bind(setitem, (g, zero), {"index": index, "lead": lead, "rank": 0}), gv
        g = np.array(g)
        g[batched_index(index, len(lead))] = 0.0
        return g, gv

    @staticmethod
    def cotangent_of_value(gv: Any, lead: tuple[int, ...], shape: tuple[int, ...]) -> Any:
        extra = len(shape) - (len(shape_of(gv)) - len(lead))
        if extra > 0:  # NumPy dropped leading unit axes of what it stored
            return np.reshape(sum_to_shape(gv, lead, shape[extra:]), lead + shape)
        return sum_to_shape(gv, lead, shape)

    def pull_in_place(self, sweep: Sweep, g: ndarray, ins: Any, args: Any, params: dict[str, Any]) -> Any:
        """As ``pull``, but in ``g`` itself, which nobody else holds: O(written), not O(array)."""
        index = params["index"]
        i, j = ins
        gv = None
        if j is not None and j >= 0:
            gv = take_at(g, index, sweep.lead)
            if type(gv) is ndarray:
                gv = gv.copy() if is_basic(index) else gv
                gv = self.cotangent_of_value(gv, sweep.lead, shape_of(args[1]))
        if i is None or i < 0:
            return None, gv
        g[batched_index(index, sweep.rank) if sweep.rank else index] = 0.0
        return g, gv

    def cost(self, args: Any, params: dict[str, Any], out: Any, directions: int) -> float:
        return self.cost_fixed + self.cost_element * size_of(shape_of(args[1])) * directions


def _setitem(y: Any, v: Any, *, index: Any, lead: tuple[int, ...] = (), rank: int = 0) -> Any:
    y = np.array(y) if type(y) is not ndarray else y.copy()
    if lead:
        _store(y, v, index, lead, rank)
    else:
        y[index] = packed(v)
    return y


setitem = SetItem("assignment", _setitem)
