"""Tracer: what makes a traced value behave as the NumPy array it stands for.

NumPy's two protocols, the operators, the methods and the in-place writes of ``ndarray`` all end in a
primitive. What a primitive then does to a traced value is the business of the running operator
(``dual.py``, ``tape.py``, ``tensor.py``); nothing here knows about modes.
"""

from __future__ import annotations

import math
import operator
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dualdiff import rules
from dualdiff.errors import (
    STORED_IN_PLAIN_ARRAY,
    EscapedValueError,
    InputError,
    TracedAssignmentError,
    TracedConversionError,
    UnsupportedFunctionError,
    stores_item,
    where,
)
from dualdiff.primitive import (
    LEVELS,
    REGISTER,
    TRACED,
    Elementwise,
    Primitive,
    Traced,
    bind,
    container,
    containers,
    is_number,
    number,
    operand,
    packed,
    packers,
    without_rule,
)
from dualdiff.rules import elementwise as ew
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
from dualdiff.shapes import dtype_of, shape_of, size_of

ndarray = np.ndarray


# --------------------------------------------------------------------------------------------------
# views and versions


class Link:
    """What ties an array to the arrays that share its memory in NumPy: whose view it is, and how often it was written.

    Writes end in the root of a chain of views, so only a root counts them, and knows what NumPy holds of its memory.
    """

    __slots__ = ("base", "born", "held", "params", "places", "primitive", "root", "seen", "version")

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
    view.value = detached(view.value, base.value)
    if type(view.mark) is ndarray:
        view.mark = detached(view.mark, base.mark)


def become(x: Traced, new: Any) -> None:
    """Let the object ``x`` stand for ``new`` from now on (a write gave it another value, or another level)."""
    if not isinstance(new, Traced):
        new = Plain(new)
    _CLASS.__set__(x, type(new))
    x.value, x.mark, x.run = new.value, new.mark, new.run
    if new.link is not None and type(new.link) is not type(x.link):  # a tensor's link knows more
        x.link = new.link


_CLASS: Any = object.__dict__["__class__"]


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


def memory_of(x: Any) -> Any:
    """Return the plain array that ``x`` shows, in the very memory of the array it is a view of."""
    link = x.link
    if link is None or link.base is None:
        return x.value
    return link.primitive.fn(memory_of(link.base), **link.params)


def write(x: Traced, index: Any, v: Any) -> None:
    """Carry out ``x[index] = v``: a write into a view goes to its base, from which all views then read."""
    index = canonical_index(index, shape_of(x))
    v = operand(v)
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


def pack(x: ndarray[Any, Any]) -> Any:
    """Turn an object array of traced scalars into one traced array (plain when it holds only numbers)."""
    items = list(x.flat)
    if not any(isinstance(i, Traced) for i in items):
        return x
    return rules.movement.stack_scalars(items, x.shape)


packers.append(pack)
containers.append(lambda x: Plain(x))


# --------------------------------------------------------------------------------------------------
# the class


def _binary(row: Primitive) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward(self: Any, other: Any) -> Any:
        return self.run.binary(row, self, other)

    def reflected(self: Any, other: Any) -> Any:
        return self.run.binary(row, other, self)

    return forward, reflected


def _inplace(row: Primitive) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        if is_number(self):  # which += rebinds
            return self.run.binary(row, self, other)
        return assigned(self, self.run.binary(row, self, other))

    return method


def assigned(x: Any, new: Any) -> Any:
    """Store the result of ``x += y`` in ``x`` as NumPy does; return ``x``."""
    if shape_of(new) != shape_of(x):
        raise ValueError(
            f"non-broadcastable output operand with shape {shape_of(x)} doesn't match the broadcast shape {shape_of(new)}"
        )
    have, want = dtype_of(new), dtype_of(x)
    if have != want and not np.can_cast(have, want, "same_kind"):
        raise TypeError(f"{where()}: cannot cast the result from {have} to {want} with casting rule 'same_kind'")
    write(x, Ellipsis, new)
    return x


def _comparison(function: Any) -> Callable[..., Any]:
    row: Any = REGISTER[function].primitive

    def method(self: Any, other: Any) -> Any:
        return bind(row, (self, operand(other)), {})

    return method


class Tracer(Traced):
    """A value that takes part in NumPy code while something records what is done to it."""

    __slots__ = ()
    __array_priority__ = 1000.0
    #: whether the value has no derivative at this level, so that it may become a plain one
    discrete = False

    def __init__(self, value: Any, mark: Any, run: Any) -> None:
        self.value = value
        self.mark = mark
        self.run = run
        self.link = None

    # -- what users test ---------------------------------------------------------------------------
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return self.value.__class__

    @property
    def shape(self) -> tuple[int, ...]:
        return shape_of(self.value)

    @property
    def dtype(self) -> np.dtype[Any]:
        return dtype_of(self.value)

    @property
    def ndim(self) -> int:
        return len(shape_of(self.value))

    @property
    def size(self) -> int:
        return size_of(shape_of(self.value))

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    def __len__(self) -> int:
        shape = self.shape
        if not shape:
            raise TypeError("len() of unsized object")
        return shape[0]

    def __repr__(self) -> str:
        return f"Traced({raw(self)!r})"

    def __format__(self, spec: str) -> str:
        if spec and self._may_leave():
            return format(self.run.leave(self), spec)
        if spec:
            self._refuse(f"formatting with {spec!r}", "print it without a format, or use dd.stop_gradient first")
        return repr(self)

    __hash__ = object.__hash__

    # -- ways out to Python ------------------------------------------------------------------------
    def _may_leave(self) -> bool:
        """Whether the value is piecewise constant at every level: becoming plain then loses no derivative."""
        return self.dtype.kind in "biu" or (
            self.discrete and (type(self.value) not in TRACED or self.value._may_leave())
        )

    def _reaches_held(self, v: Any) -> bool:
        """Whether a write of ``v`` goes into the memory that NumPy holds as well, and there loses no derivative."""
        return False

    def _refuse(self, what: str, fix: str) -> Any:
        raise TracedConversionError(
            f"{where()}: {what} would turn a value that is being differentiated into a plain number and lose its derivative. "
            f"Instead, {fix}."
        )

    def __float__(self) -> float:
        if self._may_leave():
            return float(self.run.leave(self))
        return self._refuse(
            "float()",
            "use NumPy's functions (math.sin → np.sin), make arrays that are filled entry by entry with "
            "np.zeros_like(x) or dualdiff.numpy.zeros, or freeze the value on purpose with dd.stop_gradient(x)",
        )

    def __complex__(self) -> complex:
        if self._may_leave():
            return complex(self.run.leave(self))
        return self._refuse("complex()", "use NumPy's functions, or freeze it on purpose with dd.stop_gradient(x)")

    def __int__(self) -> int:
        return int(self.run.leave(self))

    def __trunc__(self) -> int:
        return int(self.run.leave(self))

    def __index__(self) -> int:
        if self.dtype.kind not in "biu":
            raise TypeError(f"{where()}: only integer values can be used as an index, not {self.dtype}")
        return operator.index(self.run.leave(self))

    def __bool__(self) -> bool:
        return bool(self.run.leave(self))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray[Any, Any]:
        if dtype is None and type(self.value) in (float, np.float64):  # np.array of a list of scalars comes here often
            cell = np.empty((), dtype=object)
            cell[()] = self
            return cell
        if self._may_leave():
            out = self.run.leave(self)
            if copy or type(out) is not ndarray or (dtype is not None and np.dtype(dtype) != out.dtype):
                return np.array(out, dtype=dtype)
            return shown(self, out, writeable=True)
        if dtype is not None and np.dtype(dtype) != np.dtype(object):
            if stores_item():
                raise TracedAssignmentError(f"{where()}: {STORED_IN_PLAIN_ARRAY}")
            self._refuse(
                f"conversion to a plain array of {np.dtype(dtype)}",
                "drop the dtype= or the conversion (the value is already an array), or freeze it with dd.stop_gradient(x)",
            )
        out = np.empty(self.shape, dtype=object)
        if self.ndim == 0:
            out[()] = self
        else:
            for i in np.ndindex(self.shape):
                out[i] = self[i]
        return snapshot(self, unless_copied(out, copy), copy)

    def __reduce__(self) -> Any:
        raise EscapedValueError(
            f"{where()}: a value under differentiation cannot be pickled; it lives only while the operator runs"
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__reduce__()

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    # -- NumPy's two protocols ---------------------------------------------------------------------
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs:
            entry = REGISTER.get(ufunc)
            if entry is not None and entry.handler is not None:
                row = entry.handler
                if type(row) is Elementwise:
                    if len(inputs) == 1:
                        return (
                            self.run.unary(row, self)
                            if type(self.value) is not float or row.op is row.fn
                            else bind(row, (self,), {})
                        )
                    x, y = inputs
                    # On Python numbers alone the ufunc and the operator differ (1 / 0.0), so the ufunc itself is called.
                    if type(x) is not float and type(y) is not float and type(self.value) is not float:
                        return self.run.binary(row, x, y)
                return row(*[operand(i) for i in inputs])
        return rules.ufuncs.call(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        entry = REGISTER.get(function)
        if entry is not None and entry.handler is not None:
            return entry.handler(*args, **kwargs)
        return without_rule(function, args, kwargs)

    # -- operators ---------------------------------------------------------------------------------
    __add__, __radd__ = _binary(ew.add)
    __sub__, __rsub__ = _binary(ew.subtract)
    __mul__, __rmul__ = _binary(ew.multiply)
    __truediv__, __rtruediv__ = _binary(ew.divide)
    __pow__, __rpow__ = _binary(ew.power)
    __mod__, __rmod__ = _binary(ew.remainder)
    __floordiv__, __rfloordiv__ = _binary(REGISTER[np.floor_divide].primitive)  # type: ignore[arg-type]

    __iadd__ = _inplace(ew.add)
    __isub__ = _inplace(ew.subtract)
    __imul__ = _inplace(ew.multiply)
    __itruediv__ = _inplace(ew.divide)
    __ipow__ = _inplace(ew.power)
    __imod__ = _inplace(ew.remainder)
    __ifloordiv__ = _inplace(REGISTER[np.floor_divide].primitive)  # type: ignore[arg-type]

    def __matmul__(self, other: Any) -> Any:
        return bind(rules.contraction.matmul_, (self, operand(other)), {})

    def __rmatmul__(self, other: Any) -> Any:
        return bind(rules.contraction.matmul_, (operand(other), self), {})

    def __imatmul__(self, other: Any) -> Any:
        return assigned(self, np.matmul(self, operand(other)))

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __neg__(self) -> Any:
        return self.run.unary(ew.negative, self)

    def __pos__(self) -> Any:
        return number(self.copy())

    def __abs__(self) -> Any:
        return self.run.unary(ew.absolute, self)

    def __invert__(self) -> Any:
        return bind(REGISTER[np.invert].primitive, (self,), {})  # type: ignore[arg-type]

    def __round__(self, ndigits: int = 0) -> Any:
        return np.round(self, ndigits)

    def __floor__(self) -> Any:
        return np.floor(self)

    def __ceil__(self) -> Any:
        return np.ceil(self)

    __lt__ = _comparison(np.less)
    __le__ = _comparison(np.less_equal)
    __gt__ = _comparison(np.greater)
    __ge__ = _comparison(np.greater_equal)
    __eq__ = _comparison(np.equal)
    __ne__ = _comparison(np.not_equal)
    __and__ = __rand__ = _comparison(np.bitwise_and)
    __or__ = __ror__ = _comparison(np.bitwise_or)
    __xor__ = __rxor__ = _comparison(np.bitwise_xor)

    # -- indexing ----------------------------------------------------------------------------------
    def __getitem__(self, index: Any) -> Any:
        if type(index) is int:
            if type(self.value) is ndarray and self.value.ndim == 1:
                if self.link is None or self.link.base is None:
                    return self.run.item(self, index)
                if (
                    self.link.is_stale()
                ):  # the entry is read from the base: bringing the whole view up to date costs more
                    return self.link.base[self.link.place(index)]
        else:
            index = canonical_index(index, self.shape)
            if (
                self.link is not None
                and self.link.primitive is getitem
                and self.link.is_stale()
                and index is not Ellipsis
            ):
                through = compose(self.link.params["index"], index, shape_of(self.link.base))
                if through is not None and not (type(index) is tuple and Ellipsis in index):
                    return self.link.base[through]
        return bind(getitem, (self,), {"index": index})

    def __setitem__(self, index: Any, v: Any) -> None:
        link = self.link
        if (
            type(index) is int
            and type(v) is type(self)
            and v.run is self.run
            and v.link is None
            and (link is None or (link.base is None and link.held is None))
        ):
            self.run.write(self, index, v)  # the hot path: entries filled one by one
            link_of(self).version += 1
        else:
            write(self, index, v)

    def __iter__(self) -> Iterator[Any]:
        shape = self.shape
        if not shape:
            raise TypeError("iteration over a 0-d array")  # at iter(), as np.iterable expects
        return (self[i] for i in range(shape[0]))

    def __contains__(self, item: Any) -> bool:
        return bool((self == item).any())

    # -- methods and attributes of ndarray ---------------------------------------------------------
    @property
    def T(self) -> Any:
        return rules.movement.transposed(self)

    @property
    def mT(self) -> Any:
        return rules.movement.matrix_transpose(self)

    @property
    def real(self) -> Any:
        return np.real(self)

    @real.setter
    def real(self, v: Any) -> None:
        write(self.real, Ellipsis, v)

    @property
    def imag(self) -> Any:
        return np.imag(self)

    @imag.setter
    def imag(self, v: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError(f"{where()}: array does not have imaginary part to set")
        write(self.imag, Ellipsis, v)

    @property
    def flat(self) -> Any:
        return Flat(self)

    @flat.setter
    def flat(self, v: Any) -> None:
        Flat(self)[:] = v

    @property
    def flags(self) -> Any:
        return getattr(raw(self), "flags", None) or np.empty(self.shape, self.dtype).flags

    @property
    def strides(self) -> tuple[int, ...]:
        return getattr(raw(self), "strides", None) or np.empty(self.shape, self.dtype).strides

    def copy(self, order: str = "C") -> Any:
        if self.link is not None:
            self.link.refresh(self)
        new = self.run.duplicate(self)
        # How a copy lies in memory decides which of its reshapes are views: it must lie as NumPy's would.
        inner = new
        while isinstance(inner.value, Traced):
            inner = inner.value
        if type(inner.value) is ndarray and inner.value.ndim:
            if order != "K":
                inner.value = np.asarray(inner.value, order=order)  # type: ignore[call-overload]
            elif not inner.value.flags.forc:
                inner.value = inner.value.copy("K")
        return new

    def item(self, *index: Any) -> Any:
        if not index:
            if self.size != 1:
                raise ValueError("can only convert an array of size 1 to a Python scalar")
            return np.reshape(self, ())
        if len(index) == 1 and not isinstance(index[0], tuple):
            return np.reshape(self, -1)[index[0]]
        return self[index[0] if len(index) == 1 else index]

    def tolist(self) -> Any:
        return [v.tolist() for v in self] if self.ndim else self

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        return rules.elementwise.cast(self, dtype, *args, **kwargs)

    def view(self, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            raise UnsupportedFunctionError(
                f"{where()}: view(dtype) reinterprets bytes, which has no derivative; use astype"
            )
        return self if is_number(self) else self[...]

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        return rules.movement.reshape_as(self, shape[0] if len(shape) == 1 else shape, **kwargs)

    def transpose(self, *axes: Any) -> Any:
        return rules.movement.transposed(self, (axes[0] if len(axes) == 1 else axes) or None)

    def flatten(self, order: Any = "C") -> Any:
        return np.ravel(self, order=order).copy()

    def fill(self, value: Any) -> None:
        write(self, Ellipsis, value)

    def sort(self, axis: int = -1, **kwargs: Any) -> None:
        write(self, Ellipsis, np.sort(self, axis=axis, **kwargs))

    def partition(self, kth: Any, axis: int = -1, **kwargs: Any) -> None:
        write(self, Ellipsis, np.partition(self, kth, axis=axis, **kwargs))

    def dot(self, other: Any, out: Any = None) -> Any:
        return np.dot(self, other) if out is None else np.dot(self, other, out=out)

    def conj(self) -> Any:
        return np.conjugate(self) if self.dtype.kind == "c" else self  # itself, not a copy, as NumPy's

    conjugate = conj

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Any:
        return np.compress(condition, self, axis, out)

    def clip(self, min: Any = None, max: Any = None, out: Any = None, **kwargs: Any) -> Any:
        return np.clip(self, min, max, out=out, **kwargs)

    def max(self, *args: Any, **kwargs: Any) -> Any:
        return np.max(self, *args, **kwargs)

    def min(self, *args: Any, **kwargs: Any) -> Any:
        return np.min(self, *args, **kwargs)


def _method(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"Call ``np.{name}`` on this array."
    return method


for _name in (
    "all",
    "any",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "choose",
    "cumprod",
    "cumsum",
    "diagonal",
    "mean",
    "nonzero",
    "prod",
    "ptp",
    "put",
    "ravel",
    "repeat",
    "round",
    "searchsorted",
    "squeeze",
    "std",
    "sum",
    "swapaxes",
    "take",
    "trace",
    "var",
):
    setattr(Tracer, _name, _method(_name))


def _ufunc_method(ufunc: Any) -> Callable[..., Any]:
    def method(self: Any, *args: Any) -> Any:
        return ufunc(self, *args)

    return method


def _missing_method(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedFunctionError(
            f"{where()}: ndarray.{name} is not yet in dualdiff's vocabulary for differentiated values."
        )

    return method


def _eager_only(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedFunctionError(
            f"{where()}: .{name} belongs to eager tensors; this value is being differentiated by an operator. "
            "Use dd.stop_gradient(x) to cut it off, and the operators (dd.grad, dd.jacobian) for derivatives."
        )

    return method


for _name in ("backward", "detach", "numpy", "register_hook", "requires_grad_", "retain_grad", "zero_", "zero_grad"):
    setattr(Tracer, _name, _eager_only(_name))
# Object arrays call a ufunc's name as a method of their entries (x.sin(), x.hypot(y)).
for _name in dir(np):
    if isinstance(getattr(np, _name), np.ufunc) and not hasattr(Tracer, _name):
        setattr(Tracer, _name, _ufunc_method(getattr(np, _name)))
for _name in dir(ndarray):
    if not _name.startswith("_") and not hasattr(Tracer, _name):
        setattr(Tracer, _name, _missing_method(_name))


class Flat:
    """``x.flat`` of a traced array: the entries in order, readable and writable."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __len__(self) -> int:
        return size_of(shape_of(self.array))

    @property
    def base(self) -> Any:
        """The array whose entries these are."""
        return self.array

    def copy(self) -> Any:
        """Return the entries in an array of their own."""
        return np.ravel(self.array).copy()

    def __iter__(self) -> Iterator[Any]:
        shape = shape_of(self.array)
        return (self.array[at] for at in np.ndindex(shape))  # read when they are asked for, as NumPy's

    def __getitem__(self, index: Any) -> Any:
        entries = np.reshape(self.array, -1)[index]
        return entries.copy() if shape_of(entries) and is_basic(index) else entries  # never a view

    def __setitem__(self, index: Any, v: Any) -> None:
        at = np.arange(len(self))[index]
        write(self.array, np.unravel_index(at, shape_of(self.array)), v)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.reshape(self.array, -1).__array__(dtype)


def unless_copied(out: Any, copy: bool | None) -> Any:
    """Return a snapshot that nobody can write into, unless a copy was asked for: the write would not reach the array."""
    if not copy:
        out.flags.writeable = False
    return out


def raw(x: Any) -> Any:
    """Return the plain NumPy value under all levels of tracing."""
    while isinstance(x, Traced):
        if x.link is not None:
            x.link.refresh(x)
        x = x.value
    return x


# --------------------------------------------------------------------------------------------------
# plain containers


class Plain(Tracer):
    """An array with no derivative that may come to hold traced values: what ``np.zeros_like(x)`` gives inside a function."""

    __slots__ = ()
    discrete = True

    def __init__(self, value: Any) -> None:
        self.value = value
        self.mark = None
        self.run = PLAIN
        self.link = Link()

    def _fresh(self) -> Any:
        """Return the plain array, or this object itself where a write into its base has made it a traced one."""
        self.link.refresh(self)
        return self.value if type(self) is Plain else self

    def __repr__(self) -> str:
        return repr(self._fresh())

    def __float__(self) -> float:
        return float(self._fresh())

    def __complex__(self) -> complex:
        return complex(self._fresh())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        x = self._fresh()
        if x is self or copy or type(x) is not ndarray or (dtype is not None and np.dtype(dtype) != x.dtype):
            return np.array(x, dtype=dtype)
        # Read-only: a write into it would not reach this array once that holds traced values.
        return shown(self, memory_of(self))

    def _reaches_held(self, v: Any) -> bool:
        return not isinstance(v, Traced) and type(self.value) is ndarray and _is_own(self.value)

    def __format__(self, spec: str) -> str:
        return format(self._fresh(), spec)

    def __reduce__(self) -> Any:
        return Plain, (self.value,)


def _is_own(x: ndarray[Any, Any]) -> bool:
    """Whether an array may be written into, and is nobody's view."""
    return x.base is None and x.flags.writeable


class _PlainRun:
    """The run of level zero: it computes, and keeps arrays able to receive traced values."""

    level = 0

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        out = primitive.fn(*[a.value if isinstance(a, Traced) else a for a in args], **params)
        if type(out) is not ndarray:
            return container(out)
        if primitive.view and is_view(out, args[0].value if isinstance(args[0], Traced) else None):
            base = args[0]
            new = Plain(out)
            tie_view(new, base, primitive, params)
            return new
        return Plain(out)

    def unary(self, row: Primitive, x: Any) -> Any:
        return bind(row, (x,), {})

    def binary(self, row: Primitive, x: Any, y: Any) -> Any:
        return bind(row, (operand(x), operand(y)), {})

    def item(self, x: Any, i: int) -> Any:
        return bind(getitem, (x,), {"index": i})

    def leave(self, x: Any) -> Any:
        if x.link is not None:
            x.link.refresh(x)
        return x.value

    def duplicate(self, x: Any) -> Any:
        return Plain(x.value.copy("K") if type(x.value) is ndarray else x.value.copy())

    def write(self, x: Any, index: Any, v: Any) -> None:
        if type(x.value) is ndarray and not _is_own(x.value):
            x.value = np.array(x.value)
        x.value[index] = v.value if isinstance(v, Traced) else v


PLAIN = _PlainRun()


def plain(x: Any) -> Any:
    """Return the array inside a container that never became active; anything else as it is."""
    return x._fresh() if type(x) is Plain else x


def check_input(x: Any, what: str) -> Any:
    """Return an input ready for tracing: a floating-point number or array (integers are promoted once)."""
    if isinstance(x, Traced):
        if x.dtype.kind in "biu":  # type: ignore[attr-defined]
            return x.astype(np.float64)  # type: ignore[attr-defined]
        return x
    kind = type(x)
    if kind is float or kind is complex or kind is np.float64:
        return x
    if kind is int or kind is bool:
        return float(x)
    if isinstance(x, (list, str, bytes)) or x is None:
        raise InputError(
            f"{what} is of type {kind.__name__!r}, which cannot be differentiated; pass a number or a floating-point array"
        )
    if not hasattr(x, "dtype"):
        if isinstance(x, (int, float, complex)):
            return type(x).__mro__[-2](x) if not isinstance(x, float) else float(x)
        raise InputError(
            f"{what} is of type {kind.__name__!r}, which cannot be differentiated; pass a number or a floating-point array"
        )
    k = x.dtype.kind
    if k in "biu":
        return x.astype(np.float64)
    if k == "O" and type(x) is ndarray:
        p = packed(x)
        if p is not x:
            return p
        if all(isinstance(v, (int, float, np.number)) for v in x.flat):  # None would become nan
            return x.astype(np.float64)
    if k not in "fc":
        raise InputError(f"{what} has dtype {x.dtype}, which cannot be differentiated; pass a floating-point array")
    return x


def is_finite_everywhere(x: Any) -> bool:
    """Whether a derivative holds no NaN and no infinity (under all levels)."""
    x = raw(x)
    if type(x) is float or type(x) is np.float64:
        return math.isfinite(x)
    return bool(np.isfinite(x).all())


__all__ = ["Elementwise", "Plain", "Tracer"]
