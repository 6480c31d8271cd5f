"""Leaving: what happens where a traced value would become a plain one, in Python's hands or in NumPy's.

A piecewise constant one may leave; any other is refused, with the line and what to write instead, and the stumble is noted for
capture.
"""

from __future__ import annotations

import operator
import sys
from sys import _getframe
from typing import Any

import numpy as np

from dualdiff import rules, solvers
from dualdiff.advice import of_loss, of_store
from dualdiff.callers import calls, formats, is_masked, stores_item
from dualdiff.errors import (
    EscapedValueError,
    TracedAssignmentError,
    TracedConversionError,
    forgive,
    stumble,
    where,
)
from dualdiff.methods import Methods
from dualdiff.rules.sparse import is_factor, refusal
from dualdiff.values import NAMESPACES, PACKING, TRACED, enter_rooms, raw, refuse_own_rules
from dualdiff.views import link_of, shown, snapshot, unless_copied

ndarray = np.ndarray


class Leaving(Methods):
    """A value with the doors to Python's numbers and to NumPy's arrays."""

    __slots__ = ()
    #: whether the value has no derivative at this level, so that it may become a plain one
    discrete = False
    #: how a message says to leave the recording on purpose
    _opt_out = "To freeze it on purpose: dd.stop_gradient(x)."

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
            error.stumble = stumble(kind)
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


__all__ = ["Leaving"]
