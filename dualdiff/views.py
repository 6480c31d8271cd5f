"""Memory shared as NumPy shares it: which array is a view of which, who else holds the memory, and what a write changes.

A traced value has no memory of its own, so what NumPy does by sharing is said here: a write into a view goes to its base, from
which all views then read, and what NumPy itself was shown of the memory either follows the write or makes it raise.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.errors import TracedAssignmentError, UnsupportedFunctionError, where
from dualdiff.kinds import Primitive
from dualdiff.rules import roots
from dualdiff.rules.indexing import (
    canonical_index,
    compose,
    detached,
    getitem,
    has_integer_arrays,
    is_basic,
    positions,
    without_repeats,
)
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import LEVELS, TRACED, Traced, alive, bind, containers, is_number, operand, raw, set_class

ndarray = np.ndarray


# --------------------------------------------------------------------------------------------------
# views and versions


class Link:
    """What ties an array to the arrays that share its memory in NumPy: whose view it is, and how often it was written.

    Writes end in the root of a chain of views, so only a root counts them, and knows what NumPy holds of its memory.
    """

    __slots__ = ("base", "born", "entry", "held", "params", "places", "primitive", "root", "seen", "under", "version")

    def __init__(self) -> None:
        self.base: Any = None
        self.root: Any = None
        self.primitive: Any = None
        self.params: Any = None
        self.seen = 0
        self.version = 0
        self.born = LEVELS.current
        self.places: Any = None
        self.held: list[Any] | None = None
        self.under: Any = None
        self.entry = False  # whether an object array may hold this, or a 0-d view of it, as an entry

    def is_held(self) -> bool:
        """Whether somebody still has a plain array that shows this memory (the dead ones are forgotten)."""
        if self.held is not None:
            self.held = [ref for ref in self.held if ref() is not None] or None
        return self.held is not None

    def is_stale(self) -> bool:
        """Whether the root was written since this view was read from it."""
        root = self.root
        return root is not None and root.link is not None and root.link.version != self.seen

    def refresh(self, x: Traced) -> None:
        """Bring a view up to date with writes into its root."""
        if not self.is_stale():
            return
        version = self.root.link.version
        stale = [x]
        while (base := stale[-1].link.base).link is not None and base.link.is_stale():
            stale.append(base)
        for view in reversed(stale):
            link = view.link
            link.seen = version
            become(view, bind(link.primitive, (link.base,), link.params))

    def place(self, index: Any) -> Any:
        """Return the index into the base that an index into this view stands for."""
        base = shape_of(self.base)
        if self.primitive is getitem:
            index_of_base = compose(self.params["index"], index, base)
            if index_of_base is not None:
                return index_of_base
        if getattr(self, "places", None) is None:
            self.places = self.primitive.fn(positions(base), **self.params)
        if not base:  # a view of the one entry there is may show it, or nothing
            return () if np.size(self.places[index]) else False
        at = np.unravel_index(self.places[index], base)
        return tuple([i if type(i) is ndarray else int(i) for i in at])


def link_of(x: Traced) -> Link:
    """Return the link of ``x``, made when first asked for."""
    if x.link is None:
        x.link = Link()
    return x.link


def is_view(out: Any, operand: Any) -> bool:
    """Whether a result shares its memory with its operand (a reshape may, or may be a copy)."""
    if type(out) is ndarray:
        if out.base is None:
            return False
        if out.base is operand or out.base is getattr(operand, "base", None):
            return True
        # What NumPy strides by itself (windows) has an object that is no array as its base: its memory tells.
        return type(out.base) is not ndarray and type(operand) is ndarray and bool(np.may_share_memory(out, operand))
    if isinstance(out, Traced):
        return out.link is not None and out.link.base is not None
    # Another type of array: it says itself, through NumPy's protocol.
    return hasattr(out, "__array_function__") and bool(np.may_share_memory(out, operand))


def tie_view(view: Traced, base: Traced, primitive: Primitive, params: dict[str, Any]) -> None:
    """Note that ``view`` is ``primitive(base)`` and shares its memory."""
    link = view.link = Link()
    link.base = base
    link.root = root = base if base.link is None or base.link.root is None else base.link.root
    link.primitive = primitive
    link.params = params
    link.seen = 0 if root.link is None else root.link.version
    if base.link is not None and base.link.under is not None:
        note_view(view, base, primitive, params)
    view.value = detached(view.value, base.value)
    if type(view.mark) is ndarray:
        view.mark = detached(view.mark, base.mark)


def note_view(view: Traced, base: Traced, primitive: Primitive, params: dict[str, Any]) -> None:
    """Let a view of a root know what stands under it."""
    note = roots.note_of(base)
    if note is not None:
        view.link.under = roots.Mark(roots.Moved(primitive, params, note), view)


def become(x: Traced, new: Any) -> None:
    """Let the object ``x`` stand for ``new`` from now on (a write gave it another value, or another level)."""
    if not isinstance(new, Traced):
        new = containers[0](new)
    set_class(x, type(new))
    x.value, x.mark, x.run = new.value, new.mark, new.run
    if new.link is not None and type(new.link) is not type(x.link):  # a tensor's link knows more
        x.link = new.link


def note_root(row: Any, out: Any, args: Sequence[Any], params: dict[str, Any]) -> None:
    """Let the traced result of a root know what stands under it."""
    if type(out) not in TRACED:
        return
    value = out.value
    # An entry that is not zero has all its derivatives; a spread of equal numbers may be rounded, and is noted always.
    if row.kind == "elementwise" and not roots.vanishes(value):
        return
    if dtype_of(out).kind == "f":
        link_of(out).under = roots.Mark(roots.Root(row, args, params), out)


def follow_root(row: Any, out: Any, x: Any, y: Any = None) -> Any:
    """Return the result of an operation on a root: its even powers and products with itself are smooth."""
    out, note = roots.followed(row, out, x, y)
    if note is not None:
        link_of(out).under = roots.Mark(note, out)
    return out


# --------------------------------------------------------------------------------------------------
# what NumPy was shown


class Shown:
    """Memory shown to NumPy: every array, view or buffer of it keeps this object alive, whichever of them was made first."""

    __slots__ = ("__array_interface__", "__weakref__", "base")

    def __init__(self, array: ndarray[Any, Any], writeable: bool) -> None:
        self.base = array
        interface = dict(array.__array_interface__)
        interface["data"] = interface["data"][0], not (writeable and array.flags.writeable)
        self.__array_interface__ = interface


def shown(x: Traced, array: ndarray[Any, Any], writeable: bool = False) -> Any:
    """Return an array of the same memory for NumPy to hold, and remember that it is held as long as anything shows it."""
    holder = Shown(array, writeable)
    _remember(x, holder)
    return np.asarray(holder)


def _remember(x: Traced, holder: Any) -> None:
    """Note that what ``holder`` shows should change with every write into the memory of ``x``."""
    while x.link is not None and x.link.base is not None:
        x = x.link.base
    link = link_of(x)
    link.is_held()  # those who have let go are forgotten here too: asking often must not pile them up
    link.held = [*(link.held or ()), weakref.ref(holder)]


class Twin:
    """What guards arguments that share memory with one another: as long as it lives, writes into them raise."""

    __slots__ = ("__weakref__",)
    refusal = (
        "this writes into an argument that shares its memory with another argument, as in f(x, x). In NumPy both would "
        "change, but they are differentiated one by one. Write into a copy (a = a.copy()), or pass f(x, x.copy())."
    )

    def guard(self, x: Traced) -> None:
        """Refuse writes into a traced argument from now on."""
        _remember(x, self)


_HELD = (
    "this writes into an array that np.asarray(…) was called on. In NumPy both would share their memory, "
    "and the other array would change too, which it cannot here. Write before that call, or take a copy with "
    "np.array(…) or .copy() there."
)


def snapshot(x: Traced, out: Any, copy: bool | None) -> Any:
    """Return what NumPy asked for as an array of its own, and remember it: a later write into ``x`` would not reach it."""
    if not copy and type(out) is ndarray and out.ndim:
        _remember(x, out)
    return out


def unless_copied(out: Any, copy: bool | None) -> Any:
    """Return a snapshot that nobody can write into, unless a copy was asked for: the write would not reach the array."""
    if not copy:
        out.flags.writeable = False
    return out


def memory_of(x: Any) -> Any:
    """Return the plain array that ``x`` shows, in the very memory of the array it is a view of."""
    link = x.link
    if link is None or link.base is None:
        return x.value
    return link.primitive.fn(memory_of(link.base), **link.params)


# --------------------------------------------------------------------------------------------------
# writes


def write(x: Traced, index: Any, v: Any) -> None:
    """Carry out ``x[index] = v``: a write into a view goes to its base, from which all views then read."""
    index = canonical_index(index, shape_of(x))
    v = alive(operand(v))
    if isinstance(v, Traced):
        link = v.link
        if link is not None:
            if is_itself(v, x, index):
                return
            link.refresh(v)
        if v is x:
            v = v.copy()  # type: ignore[attr-defined]
    link = x.link
    while link is not None and link.base is not None:
        if link.primitive.view == "read-only":
            raise ValueError(
                f"{where()}: assignment destination is read-only, as NumPy's {link.primitive.name} is; write into a copy"
            )
        if link.primitive.completed is not None:
            x = link.base
            v = link.primitive.completed(x[index], v)  # type: ignore[index]
            link = x.link
            continue
        if not hasattr(link.primitive, "positions"):
            raise UnsupportedFunctionError(
                f"{where()}: this writes into a view made by {link.primitive.name}, and so into the array it shows, which is not "
                "yet in dualdiff's vocabulary. Write into that array itself, or into a copy of the view."
            )
        index, x = link.place(index), link.base
        if isinstance(v, Traced) and is_itself(v, x, index):
            return
        if not shape_of(x):
            if index is False:
                v = 0.0
            elif shape_of(v):
                v = np.reshape(v, ())
        link = x.link
    if link is not None and link.held is not None and link.is_held() and not x._reaches_held(v):  # type: ignore[attr-defined]
        twin = any(type(ref()) is Twin for ref in link.held)
        raise TracedAssignmentError(f"{where()}: {Twin.refusal if twin else _HELD}")
    if is_number(x):
        raise TypeError(
            f"{where()}: this writes into a number, a {type(raw(x)).__name__!r} in NumPy, which does not support item assignment. "
            "Give the name another value, or make an array of it with np.array([x]) or np.zeros_like(x, shape=())."
        )
    if link is not None and link.entry and (x.run.level or isinstance(v, Traced)):
        raise TracedAssignmentError(
            f"{where()}: this writes into a 0-d array of which np.array([…]) made an entry, or which np.asarray(…) was called "
            "on, or into the array that it is a view of. What NumPy made of it then would change too, or should and would "
            "not. Compute a new value (total = total + 1), or put a copy, total.copy(), into the list."
        )
    run = x.run
    if isinstance(v, Traced) and v.run.level > run.level:
        run = v.run
        if x.mark is not None or link_of(x).born < run.level:
            raise TracedAssignmentError(
                f"{where()}: this stores a value that is being differentiated in an array made outside the function "
                "under differentiation, or computed from an outer function's values, where its derivative would be lost. "
                "Make the array inside the function with np.zeros_like(x) or dualdiff.numpy.zeros, and copy into it."
            )
    if run.level and has_integer_arrays(index):
        index, v = without_repeats(index, v, shape_of(x))
    run.write(x, index, v)
    link_of(x).version += 1


def is_itself(v: Traced, x: Traced, index: Any) -> bool:
    """Whether ``v`` is the view ``x[index]``: Python ends ``y[1:] += 1`` by storing in y[1:] the view that was written."""
    link = v.link
    return (
        link is not None
        and link.base is x
        and (v.mark is not None or x.mark is None)  # a tensor's view from under no_grad() counts as a constant
        and link.primitive is getitem
        and is_basic(index)
        and link.params["index"] == index
    )


def is_whole(x: Traced, index: Any, v: Traced) -> bool:
    """Whether ``x[index] = v`` replaces all of ``x`` by an array laid out alike, so that ``x`` may just take its value."""
    if index is not Ellipsis and not (type(index) is slice and index == slice(None)):
        return False
    a, b = x.value, v.value
    return (
        type(a) is ndarray
        and type(b) is ndarray
        and a.shape == b.shape
        and a.dtype == b.dtype
        and a.strides == b.strides
    )
