"""Tracer: what makes a traced value behave as the NumPy array it stands for.

NumPy's two protocols, the operators, the methods and the in-place writes of ``ndarray`` all end in a
primitive. What a primitive then does to a traced value is the business of the running operator
(``dual.py``, ``tape.py``, ``tensor/``); nothing here knows about modes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from sys import _getframe, modules
from typing import Any

import numpy as np

from dualdiff import rules, solvers
from dualdiff.callers import calls, calls_cache, compares, is_pandas, stores_item
from dualdiff.errors import (
    TracedConversionError,
    UnsupportedFunctionError,
    where,
)
from dualdiff.kinds import Elementwise, Primitive
from dualdiff.leaving import Leaving
from dualdiff.register import REGISTER, without_rule
from dualdiff.rules import elementwise as ew
from dualdiff.rules.absent import answered
from dualdiff.rules.indexing import canonical_index, compose, getitem
from dualdiff.rules.roots import unsigned, vanishes
from dualdiff.rules.sparse import PACKAGE as SPARSE
from dualdiff.rules.sparse import is_matrix_code
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import (
    FAMILIAR,
    FOUND,
    NOTHING,
    TRACED,
    DeclinedError,
    Traced,
    bind,
    decided,
    is_number,
    is_replayed,
    native,
    note_equal,
    number,
    operand,
    raw,
)
from dualdiff.views import follow_root, link_of, note_root, write

ndarray = np.ndarray
_PLAIN = frozenset((float, np.float64, ndarray))


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


class Tracer(Leaving):
    """A value that takes part in NumPy code while something records what is done to it."""

    __slots__ = ()
    # Above that of pandas (1000 and 4000), whose objects would otherwise take a traced value apart: it takes theirs.
    __array_priority__ = 1e6
    __pandas_priority__ = 1e6

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

    def __len__(self) -> int:
        shape = self.shape
        if not shape:
            raise TypeError("len() of unsized object")
        return shape[0]

    def __repr__(self) -> str:
        return f"Traced({raw(self)!r})"

    def __str__(self) -> str:
        return str(decided(self) if is_replayed(self) else raw(self))

    def __format__(self, spec: str) -> str:
        return format(decided(self) if is_replayed(self) else raw(self), spec)

    def __hash__(self) -> int:
        """Hash a number by its value, as NumPy does, so that dictionaries and sets find it; the value leaves as by ``bool``."""
        if type(raw(self)) is ndarray:
            raise TypeError("unhashable type: 'numpy.ndarray'")
        value = self.run.leave(self)
        if not self._may_leave():
            if self.run.keys is None:
                self.run.keys = {}
            self.run.keys[id(self)] = self  # kept as long as the run lasts, so that the id stays its own
            if calls("hash"):  # nobody sees what the number is a key of
                self.run.keys[FOUND] = None
        return hash(value)

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
                elif ufunc is np.equal or ufunc is np.not_equal:
                    return self._equal_to(ufunc, row, *inputs)
                return row(*[operand(i) for i in inputs])
        return rules.ufuncs.call(ufunc, method, inputs, kwargs)

    def _equal_to(self, ufunc: Any, row: Any, x: Any, y: Any) -> Any:
        """Compare where NumPy's own scalar or array stands before this value: as a key that is there does with one looked up."""
        if ufunc is np.equal and y is self and not isinstance(x, Traced) and not shape_of(x):
            return self == x
        found = row(operand(x), operand(y))
        note_equal(x, y, found, differs=ufunc is np.not_equal)
        return found

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
            note_equal(self, other, equal)
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

    _unequal = _comparison(np.not_equal)

    def __ne__(self, other: Any) -> Any:
        self._compared(_getframe(1))
        unequal = self._unequal(other)
        if type(other) not in TRACED:
            note_equal(self, other, unequal, differs=True)
        return unequal

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
            if type(v) in _PLAIN and str(_getframe(1).f_globals.get("__name__")).startswith("scipy."):
                v = answered(self, index, v)
            write(self, index, v)

    def __iter__(self) -> Iterator[Any]:
        shape = self.shape
        if not shape:
            raise TypeError("iteration over a 0-d array")  # at iter(), as np.iterable expects
        return (self[i] for i in range(shape[0]))

    def __contains__(self, item: Any) -> bool:
        return bool((self == item).any())
