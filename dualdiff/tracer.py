"""Tracer: what makes a traced value behave as the NumPy array it stands for.

NumPy's two protocols, the operators, the methods and the in-place writes of ``ndarray`` all end in a
primitive. What a primitive then does to a traced value is the business of the running operator
(``dual.py``, ``tape.py``, ``tensor/``); nothing here knows about modes.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from sys import _getframe, modules
from typing import Any

import numpy as np

from dualdiff import rules, solvers
from dualdiff.advice import of_loss, of_store
from dualdiff.callers import calls, calls_cache, compares, formats, is_masked, is_pandas, stores_item
from dualdiff.errors import (
    EscapedValueError,
    InPlaceError,
    Stumble,
    TracedAssignmentError,
    TracedConversionError,
    UnsupportedFunctionError,
    code_frame,
    forgive,
    where,
)
from dualdiff.kinds import Elementwise, Primitive
from dualdiff.register import REGISTER, without_rule
from dualdiff.rules import elementwise as ew
from dualdiff.rules.indexing import canonical_index, compose, getitem, is_basic
from dualdiff.rules.roots import unsigned, vanishes
from dualdiff.rules.sparse import PACKAGE as SPARSE
from dualdiff.rules.sparse import is_factor, is_matrix_code, refusal
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import (
    FAMILIAR,
    FOUND,
    NAMESPACES,
    NOTHING,
    PACKING,
    TRACED,
    DeclinedError,
    Traced,
    bind,
    enter_rooms,
    is_number,
    native,
    number,
    operand,
    raw,
    refuse_own_rules,
)
from dualdiff.views import follow_root, link_of, note_root, shown, snapshot, unless_copied, write

ndarray = np.ndarray
_class = type


def _scaling(row: Primitive) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """As ``_binary``, for the operations that keep a root a root, or make it smooth."""

    def forward(self: Any, other: Any) -> Any:
        link = self.link
        try:
            if link is None or link.under is None:
                return self.run.binary(row, self, other)
            return follow_root(row, self.run.binary(row, self, other), self, other)
        except DeclinedError:
            return NotImplemented

    def reflected(self: Any, other: Any) -> Any:
        link = self.link
        if link is None or link.under is None:
            return self.run.binary(row, other, self)
        return follow_root(row, self.run.binary(row, other, self), other, self)

    return forward, reflected


def _binary(row: Primitive) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward(self: Any, other: Any) -> Any:
        try:
            return self.run.binary(row, self, other)
        except DeclinedError:
            return NotImplemented

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


def is_same(x: Any, y: Any) -> bool:
    """Whether two numbers or arrays are equal, their derivatives at every level included."""
    if type(x) in TRACED and type(y) in TRACED:
        return x.run is y.run and x.run.same(x, y) and is_same(x.value, y.value)
    return type(x) not in TRACED and type(y) not in TRACED and np.array_equal(x, y)


def _are_keys(x: Any, y: Any) -> bool:
    """Whether both of two values have been hashed: they then meet in a dictionary, a set or a cache."""
    a, b = x.run.keys, y.run.keys
    return a is not None and b is not None and id(x) in a and id(y) in b


def _check_swap(x: Any, v: Any) -> None:
    """Raise where compiled code stores a row of an array in the array itself, as if it were a list whose rows are objects."""
    if rules.discrete.owner(v) is rules.discrete.owner(x) and not stores_item(direct=True):
        raise x._stumbled(
            UnsupportedFunctionError(
                f"{where()}: compiled code (shuffle of np.random?) exchanges rows of an array that is being differentiated as if "
                "it were a list; since rows are views, one would be lost. Write x = x[rng.permutation(len(x))] instead."
            ),
            "array",
        )


def _comparison(function: Any) -> Callable[..., Any]:
    row: Any = REGISTER[function].primitive

    def method(self: Any, other: Any) -> Any:
        self._compared(_getframe(1))
        return bind(row, (self, operand(other)), {})

    return method


class Run:
    """The general way of a run: Python's operators are bound as any function is, and one entry is read as any index.

    Runs that record or push in scalar code (:class:`~dualdiff.tape.Tape`, the run of duals) have shorter ways.
    """

    __slots__ = ()
    #: whether it still goes on: a value of a run that has ended has escaped
    open = True
    #: whether what it records will run again at other points, so that every decision must be noted
    replayed = False
    #: the values that have been hashed, where user's code sees them
    keys: dict[int, Any] | None = None
    #: what went wrong in the user's code that is run, which it may have caught; None where no operator looks
    notes: list[Any] | None = None

    def objects(self) -> bool:
        """Whether whoever calls may have a value as an array of Python objects: pandas, whose columns are such."""
        return is_pandas()

    def unary(self, row: Primitive, x: Any) -> Any:
        """Carry out an elementwise function of one operand."""
        return bind(row, (operand(x),), NOTHING)

    def binary(self, row: Primitive, x: Any, y: Any) -> Any:
        """Carry out an elementwise function of two operands."""
        return bind(row, (operand(x), operand(y)), NOTHING)

    def item(self, x: Any, i: int) -> Any:
        """Read one entry of a vector."""
        return bind(getitem, (x,), {"index": i})

    def leave(self, x: Any) -> Any:
        """Let the plain value out to Python."""
        if x.link is not None:
            x.link.refresh(x)
        value = x.value
        return value.run.leave(value) if isinstance(value, Traced) else value


def _order(function: Any) -> Callable[..., Any]:
    """As ``_comparison``; a value of an ended run counts as the number it was, as in ``best = min(best, cost)``."""
    row: Any = REGISTER[function].primitive

    def method(self: Any, other: Any) -> Any:
        self._compared(_getframe(1))
        other = operand(other)
        if type(other) in TRACED and not other.run.open:
            other = raw(other)
        return bind(row, (self if self.run.open else raw(self), other), {})

    return method


class Tracer(Traced):
    """A value that takes part in NumPy code while something records what is done to it."""

    __slots__ = ()
    # Above that of pandas (1000 and 4000), whose objects would otherwise take a traced value apart: it takes theirs.
    __array_priority__ = 1e6
    __pandas_priority__ = 1e6
    #: whether the value has no derivative at this level, so that it may become a plain one
    discrete = False
    #: how a message says to leave the recording on purpose
    _opt_out = "To freeze it on purpose: dd.stop_gradient(x)."

    def __init__(self, value: Any, mark: Any, run: Any) -> None:
        self.value = value
        self.mark = mark
        self.run = run
        self.link = None

    # -- what users test ---------------------------------------------------------------------------
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        if SPARSE in modules:
            # The package is looked at here: who asks is found by the frame, and every call between would cost a frame object.
            asks = _getframe(1)
            if asks.f_globals.get("__package__") == SPARSE and is_matrix_code(asks):
                return type(self)
        return self.value.__class__

    @property
    def shape(self) -> tuple[int, ...]:
        return shape_of(self.value)

    @shape.setter
    def shape(self, shape: Any) -> None:
        raise InPlaceError(
            f"{where()}: x.shape = … would give another shape to an array that is being differentiated, which others may hold. "
            "Write x = x.reshape(shape)."
        )

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

    def __str__(self) -> str:
        return str(raw(self))

    def __format__(self, spec: str) -> str:
        return format(raw(self), spec)

    def __hash__(self) -> int:
        """Hash a number by its value, as NumPy does, so that dictionaries and sets find it; the value leaves as by ``bool``."""
        if type(raw(self)) is ndarray:
            raise TypeError("unhashable type: 'numpy.ndarray'")
        value = self.run.leave(self)
        if not self._may_leave():
            if self.run.keys is None:
                self.run.keys = {}
            self.run.keys[id(self)] = self  # kept as long as the run lasts, so that the id stays its own
        return hash(value)

    # -- ways out to Python ------------------------------------------------------------------------
    def _may_leave(self) -> bool:
        """Whether the value is piecewise constant at every level: becoming plain then loses no derivative."""
        return self.dtype.kind in "biu" or (
            self.discrete and (type(self.value) not in TRACED or self.value._may_leave())
        )

    def _reaches_held(self, v: Any) -> bool:
        """Whether a write of ``v`` goes into the memory that NumPy holds as well, and there loses no derivative."""
        return False

    def _refuse(self, what: str, kind: str = "array") -> Any:
        what, fix = of_loss(what)
        raise self._stumbled(
            TracedConversionError(
                f"{where()}: {what} would turn a value that is being differentiated into a plain number and lose its derivative. "
                f"{fix}. {self._opt_out}"
            ),
            kind,
        )

    def _compared(self, asks: Any) -> None:
        """Raise where a value with a derivative is compared by an iterative solver of SciPy: ``asks`` is the frame that compares."""
        if str(asks.f_globals.get("__name__")).startswith("scipy.") and not self._may_leave():
            enter_rooms()
            error = solvers.refusal(asks)
            if error is None and solvers.served(asks) is not None:
                error = self._stumbled(None, "array")
            if error is not None:
                raise error

    def _stumbled(self, error: Any, kind: str) -> Any:
        """Note in whose code the value was taken for a plain one, for the operator that runs it."""
        refused = solvers.refusal(_getframe(1))
        if refused is not None:
            error = refused  # which capture would not mend
        else:
            if "scipy.special" in sys.modules:
                rules.ufuncs.special_functions()  # some functions of it are replaced
            enter_rooms()
            if (name := solvers.served(_getframe(1))) is not None:
                error = TracedConversionError(f"{where()}: {solvers.beyond_reach(name)} {self._opt_out}")
            frame, owners = code_frame()
            if frame is not None:
                error.stumble = Stumble(frame.f_globals, frame.f_code, frame.f_lasti, kind, owners)
        notes = self.run.notes
        if notes is not None and error not in notes:
            notes.append(error)
        return error

    def __float__(self) -> float:
        if self._may_leave():
            return float(self.run.leave(self))
        if formats():  # printing loses nothing
            return float(raw(self))
        if stores_item():
            raise self._stumbled(TracedAssignmentError(f"{where()}: {of_store()}"), "store")
        return self._refuse("float()", "float" if calls("float") else "array")

    def __complex__(self) -> complex:
        if self._may_leave():
            return complex(self.run.leave(self))
        if stores_item():
            raise self._stumbled(TracedAssignmentError(f"{where()}: {of_store()}"), "store")
        return self._refuse("complex()", "complex" if calls("complex") else "array")

    def __int__(self) -> int:
        return int(self.run.leave(self))

    def __trunc__(self) -> int:
        return int(self.run.leave(self))

    def __index__(self) -> int:
        if self.dtype.kind not in "biu":
            error = TracedConversionError(
                f"{where()}: only whole numbers can be an index, a shape or a count, and this is a {self.dtype} under differentiation "
                "(NumPy refuses a plain one as well). Write int(x): which entries are read has no derivative."
            )
            forgive(error)  # nothing is lost where the caller goes another way, as NumPy's own code does
            raise error
        return operator.index(self.run.leave(self))

    def __bool__(self) -> bool:
        return bool(self.run.leave(self))

    def _number(self) -> Any:
        """Return this 0-d value as an entry of an object array: a number, which nothing that is written later reaches."""
        return self[()] if type(raw(self)) is ndarray else self

    def _given(self) -> None:
        """Note that an object array may hold this 0-d array itself: in ``np.array([total])`` NumPy asks, and keeps who answers."""
        if type(raw(self)) is ndarray and not PACKING.get() and not stores_item():
            root: Any = self
            while root.link is not None and root.link.base is not None:
                root = root.link.base
            link_of(root).entry = True

    def _as_object(self) -> ndarray[Any, Any]:
        """Return an array without axes that holds this value as a single object."""
        cell = np.empty((), dtype=object)
        cell[()] = self
        return cell

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray[Any, Any]:
        if is_factor():
            return self._as_object()
        if PACKING.get():
            return self._as_objects(copy)
        if self._may_leave():
            if not (copy or self.shape):
                self._given()
            out = self.run.leave(self)
            if copy or type(out) is not ndarray or (dtype is not None and np.dtype(dtype) != out.dtype):
                return np.array(out, dtype=dtype)
            return shown(self, out, writeable=True)
        if (factor := rules.dots.factor(self, dtype)) is not None:
            return factor
        if (dtype is None or np.dtype(dtype) == np.dtype(object)) and self.run.objects():
            return self._as_objects(copy)
        if (error := solvers.refusal(_getframe(1))) is not None:
            raise error
        if (error := refusal()) is not None:
            raise self._stumbled(error, "array")
        if stores_item():
            raise self._stumbled(TracedAssignmentError(f"{where()}: {of_store()}"), "store")
        if is_masked():
            refuse_own_rules("MaskedArray")
        return self._refuse("conversion to a plain array" + ("" if dtype is None else f" of {np.dtype(dtype)}"))

    def _as_objects(self, copy: bool | None) -> ndarray[Any, Any]:
        """Return an array of Python objects, the entries: what a list is made of on the way to one traced array."""
        if type(self.value) in (float, np.float64):  # a list of scalars comes here often
            return self._as_object()
        out = np.empty(self.shape, dtype=object)
        if self.ndim == 0:
            out[()] = self._number()
            if not copy:
                self._given()
        else:
            for i in np.ndindex(self.shape):
                out[i] = self[i]._number()
        return snapshot(self, unless_copied(out, copy), copy)

    def __array_wrap__(self, x: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return x[()] if return_scalar else x

    def __array_namespace__(self, *, api_version: Any = None) -> Any:
        return NAMESPACES[0] if NAMESPACES else np

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
                    if row.under is not None or (self.link is not None and self.link.under is not None):
                        return self._rooted(row, inputs)
                    if len(inputs) == 1:
                        return (
                            self.run.unary(row, self)
                            if type(self.value) is not float or row.op is row.fn
                            else bind(row, (self,), {})
                        )
                    if len(inputs) == 2:
                        x, y = inputs
                        # On Python numbers alone the ufunc and the operator differ (1 / 0.0), so the ufunc itself is called.
                        if type(x) is not float and type(y) is not float and type(self.value) is not float:
                            return self.run.binary(row, x, y)
                return row(*[operand(i) for i in inputs])
        return rules.ufuncs.call(ufunc, method, inputs, kwargs)

    def _rooted(self, row: Any, inputs: Sequence[Any]) -> Any:
        """Compute an elementwise function that is a root, or one of a root."""
        if len(inputs) == 1 and (type(self.value) is not float or row.op is row.fn):
            out = self.run.unary(row, self)
        else:
            out = row(*[operand(i) for i in inputs])
        if row.under is None:
            return follow_root(row, out, *inputs)
        if vanishes(out):
            note_root(row, out, inputs, {})
            if row is ew.absolute:
                return unsigned(out, self)
        return out

    def __array_function__(self, function: Any, types: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        if not FAMILIAR.issuperset(map(type, args)):
            args = [a if type(a) in FAMILIAR else native(a) for a in args]
        if kwargs and not FAMILIAR.issuperset(map(type, kwargs.values())):
            kwargs = {k: native(v) for k, v in kwargs.items()}
        entry = REGISTER.get(function)
        if entry is not None and entry.handler is not None:
            return entry.handler(*args, **kwargs)
        return without_rule(function, args, kwargs)

    # -- operators ---------------------------------------------------------------------------------
    __add__, __radd__ = _binary(ew.add)
    __sub__, __rsub__ = _binary(ew.subtract)
    __mul__, __rmul__ = _scaling(ew.multiply)
    __truediv__, __rtruediv__ = _scaling(ew.divide)
    __rpow__ = _binary(ew.power)[1]
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
        try:
            return bind(rules.contraction.matmul_, (self, operand(other)), {})
        except DeclinedError:
            return NotImplemented

    def __rmatmul__(self, other: Any) -> Any:
        return bind(rules.contraction.matmul_, (operand(other), self), {})

    def __imatmul__(self, other: Any) -> Any:
        return assigned(self, np.matmul(self, operand(other)))

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __pow__(self, other: Any) -> Any:
        try:
            out = self.run.binary(ew.power, self, other)
        except DeclinedError:
            return NotImplemented
        if type(other) is float and other == 0.5:
            note_root(ew.sqrt, out, (self,), {})
        elif self.link is not None and self.link.under is not None:
            return follow_root(ew.power, out, self, other)
        return out

    def __neg__(self) -> Any:
        out = self.run.unary(ew.negative, self)
        if self.link is not None and self.link.under is not None:
            return follow_root(ew.negative, out, self)
        return out

    def __pos__(self) -> Any:
        return number(self.copy())

    def __abs__(self) -> Any:
        out = self.run.unary(ew.absolute, self)
        if vanishes(out):
            note_root(ew.absolute, out, (self,), {})
            return unsigned(out, self)
        return out

    def __invert__(self) -> Any:
        return bind(REGISTER[np.invert].primitive, (self,), {})

    def __round__(self, ndigits: int = 0) -> Any:
        return np.round(self, ndigits)

    def __floor__(self) -> Any:
        return np.floor(self)

    def __ceil__(self) -> Any:
        return np.ceil(self)

    __lt__ = _order(np.less)
    __le__ = _order(np.less_equal)
    __gt__ = _order(np.greater)
    __ge__ = _order(np.greater_equal)
    _equal = _comparison(np.equal)

    def __eq__(self, other: Any) -> Any:
        self._compared(_getframe(1))
        if not self.run.open and self.run.keys and id(self) in self.run.keys and not compares():
            return (
                False  # a key of an ended run, still in somebody's cache, meets the key looked up now: a miss is right
            )
        if type(other) not in TRACED:
            equal = self._equal(other)
            if self.run.keys and id(self) in self.run.keys and equal and not compares():
                return self._is_found(other)
            return equal
        if not _are_keys(self, other):
            return self._equal(other)
        equal = self._equal(other)
        if equal and not is_same(self, other) and not compares():
            raise TracedConversionError(
                f"{where()}: a dictionary, a set or a cache takes two values that are being differentiated for one, because "
                "they are equal here, and would give out the derivative of one for that of the other. Make its keys of what "
                "does not depend on them (indices), or of the plain numbers, float(dd.stop_gradient(x))."
            )
        return equal

    def _is_found(self, key: Any) -> bool:
        """Whether this value, looked up by its own, is to find what is kept for an equal plain number.

        A cache of results is not: what it keeps was computed of plain numbers. A table is; whether it is one, or a cache
        written by hand, the operator asks differences.
        """
        of_cache = calls_cache()
        if of_cache:
            return False
        if of_cache is None:
            raise TracedConversionError(
                f"{where()}: this looks up a value that is being differentiated, in a table or in the cache of a function "
                "(functools.lru_cache), and which of them cannot be told here. What a cache keeps for the plain number would lose the "
                "derivative. Put the look-up in the table on a line of another function, or freeze its key with dd.stop_gradient(x)."
            )
        self.run.keys[FOUND] = None
        return True

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
            and (link is None or (link.base is None and link.held is None and not link.entry))
        ):
            self.run.write(self, index, v)  # the hot path: entries filled one by one
            link_of(self).version += 1
        else:
            if type(index) is int and type(v) in TRACED and v.link is not None and v.link.base is not None:
                _check_swap(self, v)
            if is_number(self) and solvers.served(_getframe(1)) is not None:
                raise self._stumbled(None, "array")
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
        return rules.movement.transposing.transposed(self)

    @property
    def mT(self) -> Any:
        return rules.movement.transposing.matrix_transpose(self)

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

    @property
    def base(self) -> Any:
        """The array whose memory this shows, if it is a view."""
        return None if self.link is None else self.link.base

    @property
    def device(self) -> str:
        """Where the array is, in the words of the array API."""
        return getattr(raw(self), "device", "cpu")

    def to_device(self, device: Any, /, *, stream: Any = None) -> Any:
        """Return the array itself: there is nowhere else to go."""
        if stream is not None:
            raise ValueError("The stream argument in to_device() is not supported")
        if device != self.device:
            raise ValueError(f"Unsupported device: {device}.")
        return self

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

    def view(self, dtype: Any = None, type: Any = None) -> Any:
        """Show the same memory: as it is, or as the parts of its complex numbers, or the other way round."""
        whole = self if is_number(self) else None
        for asked in (dtype, type):
            if asked is None or asked is ndarray:
                continue
            if isinstance(asked, _class) and issubclass(asked, ndarray):
                raise UnsupportedFunctionError(
                    f"{where()}: view({asked.__name__}) makes an array of a class of its own, whose rules a derivative "
                    "would not follow; work with the array itself."
                )
            shown_as = rules.reinterpreted.view_as(self, asked)
            if shown_as is not None:
                return shown_as
        return self[...] if whole is None else whole

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        return rules.movement.layout.reshape_as(self, shape[0] if len(shape) == 1 else shape, **kwargs)

    def transpose(self, *axes: Any) -> Any:
        return rules.movement.transposing.transposed(self, (axes[0] if len(axes) == 1 else axes) or None)

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


_BYTES = "shows or copies the bytes of plain numbers; use dd.stop_gradient(x).{name} where no derivative is meant"
_WITHOUT_DERIVATIVE = {
    **dict.fromkeys(
        ("data", "ctypes", "dump", "dumps", "tobytes", "tofile", "tostring", "byteswap", "getfield", "setfield"), _BYTES
    ),
    "resize": "changes an array's memory in place; write x = np.resize(x, shape), or np.pad to fill up with zeros",
    "setflags": "changes what may be done with memory that a differentiated value does not have; leave it out",
}
"""What an array can do, and a value that is being differentiated cannot, with what to write instead."""


def _refused_method(name: str) -> Any:
    reason = _WITHOUT_DERIVATIVE[name].format(name=name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._may_leave():
            return getattr(np.asarray(self.run.leave(self)), name)(*args, **kwargs)
        raise UnsupportedFunctionError(f"{where()}: ndarray.{name} of a value that is being differentiated {reason}.")

    if name not in ("data", "ctypes"):
        return method

    def attribute(self: Any) -> Any:
        if self._may_leave():
            return getattr(np.asarray(self.run.leave(self)), name)
        return method(self)

    return property(attribute)


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
for _name in _WITHOUT_DERIVATIVE:
    setattr(Tracer, _name, _refused_method(_name))


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
        rules.destinations.store_flat(self.array, index, v)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.reshape(self.array, -1).__array__(dtype)
