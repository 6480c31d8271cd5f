"""A sparse matrix whose entries are being differentiated: it stands for one of SciPy's, of any of its classes.

It holds one vector of differentiated entries, and a matrix of SciPy's whose entries are *positions* in that vector, from 1 on. What
only moves entries (a slice, a transpose, another format, blocks side by side) is done by SciPy to the positions, and the answer
says which entry stands where. Entries that stand at the same place are added before that.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from dualdiff.capture.active import is_active, unwrapped
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.matrices import TracedMatrix
from dualdiff.rules.entries import Pattern
from dualdiff.rules.sparse import PACKAGE
from dualdiff.scipy.sparse.arithmetic import Arithmetic, is_matrix
from dualdiff.scipy.sparse.assembly import put
from dualdiff.scipy.sparse.dense import OldMatrix
from dualdiff.scipy.sparse.positions import (
    gathered,
    merged,
    numbered,
    places,
    scattered,
    with_entries,
)
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tracer import Tracer
from dualdiff.values import HOLDERS, Holder, container, decided, fixed, operand, raw

_GIVES_WAY = frozenset(
    ("__add__", "__radd__", "__sub__", "__rsub__", "_matmul_dispatch", "_mul_dispatch", "_rmatmul_dispatch")
)
"""The functions of SciPy's matrices that leave an operation to the other operand, if that is no matrix to them."""
_AS_IT_IS = ("dia", "lil", "dok")
"""The formats that hold no place twice."""


class Sparse(Arithmetic):
    """See the module.

    Attributes
    ----------
    structure : sparse array or matrix of SciPy
        With positions for entries; 0 stands for no entry.
    values : traced vector
        The entries, in any order, and perhaps more.
    """

    __slots__ = ("_compressed", "filled", "is_read", "structure", "values")
    __array_ufunc__ = None  # arrays leave what they do with one to its own methods
    __array_priority__ = 2e6

    def __init__(self, structure: Any, values: Any, filled: int | None = None) -> None:
        self.structure, self.values = structure, values
        self.filled = filled  # of a vector that is written into: how many of its entries are in use
        self.is_read = False  # whether it was read from a matrix that is written into
        self._compressed: Any = None

    # -- what it looks like ------------------------------------------------------------------------
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        asks = sys._getframe(1)
        while asks.f_code.co_name in ("__instancecheck__", "issparse") and asks.f_back is not None:
            asks = asks.f_back
        if asks.f_code.co_name in _GIVES_WAY and asks.f_globals.get("__package__") == PACKAGE:
            return Sparse
        return type(self.structure)

    @property
    def shape(self) -> tuple[int, ...]:
        """As SciPy's."""
        found: tuple[int, ...] = self.structure.shape
        return found

    @property
    def ndim(self) -> int:
        """As SciPy's."""
        return len(self.structure.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the entries."""
        return dtype_of(self.values)

    @property
    def format(self) -> str:
        """As SciPy's."""
        found: str = self.structure.format
        return found

    @property
    def nnz(self) -> int:
        """The number of entries that are stored."""
        found: int = self.structure.nnz
        return found

    @property
    def size(self) -> int:
        """The number of entries that are stored."""
        return self.nnz

    def getnnz(self, axis: Any = None) -> Any:
        """As SciPy's."""
        return self.structure.getnnz(axis) if hasattr(self.structure, "getnnz") else self.structure._getnnz(axis)

    def count_nonzero(self, axis: Any = None) -> Any:
        """As SciPy's, of the values."""
        coo = self.coo()
        there = with_entries(coo.structure, decided(np.not_equal(coo.data, 0)))
        return there.count_nonzero() if axis is None else there.count_nonzero(axis=axis)

    def nonzero(self) -> Any:
        """As SciPy's, of the values."""
        coo = self.coo()
        there = decided(np.not_equal(coo.data, 0))
        return tuple([i[there] for i in places(coo.structure)])

    def __repr__(self) -> str:
        return f"<{type(self.structure).__name__} of shape {self.shape} with {self.nnz} differentiated entries>"

    def __len__(self) -> int:
        raise TypeError("sparse array length is ambiguous; use getnnz() or shape[0]")

    def __bool__(self) -> bool:
        if self.shape == (1, 1):
            return self.nnz != 0
        raise ValueError("The truth value of an array with more than one element is ambiguous. Use a.any() or a.all().")

    def __getattr__(self, name: str) -> Any:
        of = type(self.structure)
        if name in _PLACES:
            return getattr(self.structure, name)
        if (name.startswith("__") and name.endswith("__")) or not (name.startswith("_") or hasattr(of, name)):
            raise AttributeError(f"{of.__name__!r} object has no attribute {name!r}")
        error: Any = UnsupportedFunctionError(
            f"{where()}: {of.__name__}.{name} of a matrix with differentiated entries is not differentiated. Products, sums, slices, "
            "transposes, other formats, diagonal() and toarray() are; K.data holds the entries."
        )
        # What is private SciPy's own code asks for, which met a matrix that it does not know.
        held: Any = self.values
        raise (held._stumbled(error, "array") if name.startswith("_") and isinstance(held, Tracer) else error)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("indices", "indptr", "row", "col", "coords", "offsets"):
            raise UnsupportedFunctionError(
                f"{where()}: the places of the entries of a matrix with differentiated entries cannot be written. Make another matrix: "
                "csr_array((K.data, indices, indptr), shape=K.shape)."
            )
        object.__setattr__(self, name, value)

    # -- its entries -------------------------------------------------------------------------------
    @property
    def data(self) -> Any:
        """The entries, in the order in which SciPy's format stores them; what is written into them is written into the matrix."""
        if self.format in ("lil", "dok"):
            raise UnsupportedFunctionError(
                f"{where()}: the entries of a {type(self.structure).__name__} are Python objects; write K.tocoo().data."
            )
        held = self.structure.data
        if self.filled is None and shape_of(self.values) == held.shape and np.array_equal(held, numbered(held.shape)):
            return self.values
        self.values, self.filled = gathered(self.values, held), None
        self.structure = with_entries(self.structure, numbered(held.shape))
        return self.values

    @data.setter
    def data(self, new: Any) -> None:
        held = self.structure.data
        if shape_of(new) != held.shape:
            raise ValueError(
                f"{where()}: the entries of this matrix are an array of shape {held.shape}, not {shape_of(new)}"
            )
        self.values, self._compressed, self.filled = operand(new), None, None
        self.structure = with_entries(self.structure, numbered(held.shape))

    def made(self, structure: Any, values: Any, renumbered: bool = False) -> Sparse:
        """Return a matrix of other positions and values."""
        return Sparse(with_entries(structure, numbered(shape_of(values))) if renumbered else structure, values)

    def lift(self, other: Any) -> Sparse:
        """Return a matrix of any kind as one of ours."""
        return lift(other)

    def settled(self) -> Any:
        """Return it, or a matrix of SciPy's if it carries no derivative."""
        return self if is_active(self.values) else plain(self)

    def held(self) -> Any:
        """Return the vector of values for another matrix, which writes into this one do not reach."""
        values = self.values if self.filled is None else self.values[: self.filled]
        values = values.copy()
        return values if len(shape_of(values)) == 1 else np.reshape(values, -1)

    def moved(self, move: Callable[[Any], Any]) -> Any:
        """Return what a movement of SciPy's makes of this matrix, once every place is held once."""
        single = self.single()
        return taken(move(single.structure), single)

    def single(self) -> Sparse:
        """Return the same matrix with every place held once."""
        if self.format in _AS_IT_IS or self.structure.has_canonical_format:
            return self
        if self.format == "bsr":
            return lift(self.compress("csr").tobsr(self.structure.blocksize))
        if self.format == "coo":
            found = self.compress("csr")
            return self if found.nnz == self.nnz else lift(found.tocoo())
        return Sparse(*merged(self.structure.copy(), self.held()))

    def compress(self, form: str) -> Sparse:
        """Return the same matrix by rows (or by columns), every place held once."""
        if self.format not in ("coo", "bsr"):
            single = self.single()
            return Sparse(getattr(single.structure, f"to{form}")(copy=self.filled is not None), single.held())
        positions = copy.copy(self.structure if self.format == "coo" else self.structure.tocoo())
        positions.has_canonical_format = True  # lest SciPy add positions
        return Sparse(*merged(getattr(positions, f"to{form}")(), self.held()))

    def coo(self) -> Sparse:
        """Return the same matrix as entries with their places, each held once."""
        single = self.single()
        return single if self.format == "coo" else Sparse(single.structure.tocoo(), single.held())

    def compressed(self) -> tuple[Pattern, Any]:
        """Return the places by rows or columns, and the entries in their order; those of a vector are one row."""
        own = self.format in ("csr", "csc") and self.filled is None and self.structure.has_canonical_format
        if own and self._compressed is not None and self._compressed[1] is self.data:
            known: tuple[Pattern, Any] = self._compressed
            return known
        found = self if own else self.compress(self.format if self.format == "csc" else "csr")
        entries, s = found.data, found.structure
        pattern = Pattern(s.shape if len(s.shape) == 2 else (1, *s.shape), s.format, s.indices, s.indptr)
        if own:
            self._compressed = pattern, entries
        return pattern, entries

    # -- formats -----------------------------------------------------------------------------------
    def tocsr(self, copy: bool = False) -> Any:
        """Return it by rows."""
        return self._as("csr", copy)

    def tocsc(self, copy: bool = False) -> Any:
        """Return it by columns."""
        return self._as("csc", copy)

    def tocoo(self, copy: bool = False) -> Any:
        """Return it as entries with their places."""
        return self._as("coo", copy)

    def todia(self, copy: bool = False) -> Any:
        """Return it by diagonals."""
        return self._as("dia", copy)

    def tolil(self, copy: bool = False) -> Any:
        """Return it as lists of rows."""
        return self._as("lil", copy)

    def todok(self, copy: bool = False) -> Any:
        """Return it as a dictionary."""
        return self._as("dok", copy)

    def tobsr(self, blocksize: Any = None, copy: bool = False) -> Any:
        """Return it by blocks."""
        if blocksize is None and self.format == "bsr":
            return self._as("bsr", copy)
        return self.tocsr().moved(lambda s: s.tobsr(blocksize))

    def asformat(self, format: Any, copy: bool = False) -> Any:
        """Return it in a format of SciPy's."""
        if format is None:
            return self._as(self.format, copy)
        if format not in ("csr", "csc", "coo", "dia", "lil", "dok", "bsr"):
            raise ValueError(f"Format {format} is unknown.")
        return self._as(format, copy)

    def _as(self, form: str, copied: bool) -> Any:
        if form == self.format:
            return self.copy() if copied else self
        if form in ("csr", "csc"):
            return self.compress(form).settled()
        return self.moved(lambda s: getattr(s, f"to{form}")())

    @staticmethod
    def written(x: Any) -> Sparse:
        """Return a plain matrix as one that can come to hold differentiated values."""
        found, form = lift(x), x.format
        return Sparse(found.structure.asformat(form), container(found.values), shape_of(found.values)[0])

    @staticmethod
    def of_dense(x: Any, kind: type) -> Sparse:
        """Return an array as a matrix of a class of SciPy's: every entry is stored, for any may have a derivative."""
        x = operand(x)
        shape = shape_of(x)
        if len(shape) > 2:
            raise TypeError(f"{where()}: expected a matrix of two dimensions, not an array of shape {shape}")
        rows = np.atleast_2d(numbered(shape)) if not issubclass(kind, sparse.sparray) or not shape else numbered(shape)
        return Sparse(kind(rows), np.reshape(x, -1))

    def toarray(self, order: Any = None, out: Any = None) -> Any:
        """Return an array of all entries."""
        if out is not None:
            raise UnsupportedFunctionError(f"{where()}: toarray(out=…) is not differentiated. Write D = K.toarray().")
        coo = self.coo()
        at = np.ravel_multi_index(places(coo.structure), self.shape) if self.nnz else np.zeros(0, np.intp)
        flat = scattered(coo.data, at, size_of(self.shape))
        return np.reshape(flat, self.shape)

    def todense(self, order: Any = None, out: Any = None) -> Any:
        """Return an array of all entries; of the old classes, what stands for an np.matrix."""
        return self.toarray(order, out) if self.is_array else OldMatrix(self.toarray(order, out))

    def copy(self) -> Sparse:
        """Return a copy."""
        return Sparse(self.structure.copy(), self.values.copy(), self.filled)

    def __copy__(self) -> Sparse:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Sparse:
        return self.copy()

    def astype(self, dtype: Any, casting: str = "unsafe", copy: bool = True) -> Any:
        """Return it with entries of another type."""
        return self.changed(lambda v: v.astype(np.dtype(dtype)))

    def changed(self, function: Callable[[Any], Any]) -> Any:
        """Return the matrix whose entries are a linear function of these, entry by entry."""
        structure = self.structure if self.filled is None else self.structure.copy()
        return Sparse(structure, function(self.held())).settled()

    def mapped(self, function: Callable[[Any], Any]) -> Any:
        """Return the matrix whose entries are a function of these, entry by entry, that leaves zero alone."""
        return self.single().changed(function)

    # -- movements ---------------------------------------------------------------------------------
    @property
    def T(self) -> Any:
        """The transposed matrix."""
        return self.transpose()

    @property
    def H(self) -> Any:
        """The adjoint matrix."""
        return self.transpose().conj()

    def transpose(self, axes: Any = None, copy: bool = False) -> Any:
        """Return the transposed matrix, which shares its entries with this one where SciPy's does."""
        if self.format not in ("coo", "csr", "csc") or self.filled is not None or copy:
            return taken(self.structure.transpose(axes), self)
        data, known = self.data, self._compressed
        found = Sparse(self.structure.transpose(axes), data)
        if known is not None and known[1] is data and self.ndim == 2:
            found._compressed = known[0].T, data
        return found.settled()

    def getH(self) -> Any:
        """Return the adjoint matrix."""
        return self.H

    def reshape(self, *shape: Any, **options: Any) -> Any:
        """Return it in another shape."""
        return self.moved(lambda s: s.reshape(*shape, **options))

    def __getitem__(self, index: Any) -> Any:
        return self.moved(lambda s: s[fixed_index(index)])

    def __iter__(self) -> Any:
        return map(self._row, range(self.shape[0]))

    def _row(self, i: int) -> Any:
        try:
            return self[i]
        except NotImplementedError:  # arrays of older versions have no rows of one dimension
            return self[[i]]

    def getrow(self, i: int) -> Any:
        """Return a row."""
        return self.moved(lambda s: s.getrow(i))

    def getcol(self, j: int) -> Any:
        """Return a column."""
        return self.moved(lambda s: s.getcol(j))

    def diagonal(self, k: int = 0) -> Any:
        """Return the entries of a diagonal."""
        return self.moved(lambda s: s.diagonal(k))

    def trace(self, offset: int = 0) -> Any:
        """Return the sum of a diagonal."""
        return np.sum(self.diagonal(offset))

    def sorted_indices(self) -> Any:
        """Return it with the indices of each row in order."""
        return self.moved(lambda s: s.sorted_indices())

    def sort_indices(self) -> None:
        """Put the indices of each row in order."""
        self._become(lift(self.sorted_indices()))

    def sum_duplicates(self) -> None:
        """Add the entries that stand at the same place."""
        single = self.single()
        if self.format == "coo" and single is self:
            single = lift(self.compress("csr").tocoo())
        self._become(single)

    def eliminate_zeros(self) -> None:
        """Do nothing: an entry that is zero here has a derivative."""

    def _become(self, other: Sparse) -> None:
        if other is not self:
            self.structure, self.values, self.filled = other.structure, other.values, other.filled
            self._compressed = other._compressed

    # -- writes ------------------------------------------------------------------------------------
    def __setitem__(self, index: Any, value: Any) -> None:
        put(self, fixed_index(index), value)

    def setdiag(self, values: Any, k: int = 0) -> None:
        """Write a diagonal."""
        m, n = self.shape
        if not -m < k < n:
            raise ValueError("k exceeds array dimensions")
        count = min(m + min(k, 0), n - max(k, 0))
        v = operand(values)
        if shape_of(v):
            count = min(count, len(v))
            v = v[:count]
        i = np.arange(count)
        if self.format in ("coo", "dia", "bsr"):
            other = lift(self.tocsr())
            put(other, (i + max(-k, 0), i + max(k, 0)), v)
            self._become(lift(other.asformat(self.format)))
        else:
            put(self, (i + max(-k, 0), i + max(k, 0)), v)

    # -- arithmetic --------------------------------------------------------------------------------
    def __iadd__(self, other: Any) -> Any:
        if self.is_read and not self.is_array and not is_matrix(other) and shape_of(other):
            # K[np.ix_(i, j)] += Ke: what SciPy would make of it is an np.matrix, and only stored.
            return self.of_dense(self.toarray() + operand(other), type(self.structure))
        return self + other

    def __isub__(self, other: Any) -> Any:
        return self.__iadd__(-other)

    def __imul__(self, other: Any) -> Any:
        return self * other

    def __itruediv__(self, other: Any) -> Any:
        return self / other

    def conjugate(self, copy: bool = True) -> Any:
        """Return the conjugate entries."""
        if self.dtype.kind == "c":
            return self.changed(np.conjugate)
        return self.copy() if copy else self

    conj = conjugate

    @property
    def real(self) -> Any:
        """The real parts."""
        return self.changed(np.real)

    @property
    def imag(self) -> Any:
        """The imaginary parts."""
        return self.changed(np.imag)


_PLACES = frozenset(
    (
        *("row", "col", "coords", "indices", "indptr", "offsets", "blocksize"),
        *("has_sorted_indices", "has_canonical_format", "maxprint", "get_shape", "getformat"),
    )
)
"""What says where the entries are."""
_ENTRY_BY_ENTRY = (
    "sin tan arcsin arctan sinh tanh arcsinh arctanh rint sign expm1 log1p deg2rad rad2deg floor ceil trunc sqrt"
)


def _entry_by_entry(name: str) -> Any:
    function = getattr(np, name)

    def method(self: Sparse) -> Any:
        return self.mapped(function)

    method.__name__, method.__doc__ = name, f"Return np.{name} of every entry."
    return method


for _name in _ENTRY_BY_ENTRY.split():
    setattr(Sparse, _name, _entry_by_entry(_name))


# --------------------------------------------------------------------------------------------------
# from and to SciPy's


def lift(x: Any) -> Sparse:
    """Return a matrix of any kind as one of ours."""
    if type(x) is Sparse:
        return x
    if type(x) is TracedMatrix:
        kind = sparse.csr_array if x.format == "csr" else sparse.csc_array
        positions = numbered(np.shape(x.indices))
        return Sparse(kind((positions, x.indices, x.indptr), shape=x.shape), x.data)
    if x.format in ("lil", "dok"):
        x = x.tocoo()
    values = x.data.copy()
    return Sparse(with_entries(x.copy(), numbered(values.shape)), values)


def taken(found: Any, of: Sparse) -> Any:
    """Return what stands where SciPy has put positions: a matrix, an array or a number."""
    if sparse.issparse(found):
        if of.filled is None:
            return Sparse(found, of.held()).settled()
        coo = found.tocoo()  # of a matrix that is written into, what is read is copied
        values = gathered(of.values, coo.data)
        block = Sparse(with_entries(coo, numbered(coo.data.shape)).asformat(found.format), values)
        block.is_read = True
        return block
    if isinstance(found, np.matrix):
        return OldMatrix(gathered(of.values, found))
    if shape_of(found):
        return gathered(of.values, found)
    if not isinstance(found, (int, float, np.number)):
        return found
    at = int(found)
    return of.values[at - 1] if at else np.zeros((), of.dtype)[()]


def plain(x: Sparse) -> Any:
    """Return a matrix of SciPy's with the plain values."""
    values = np.reshape(np.asarray(raw(unwrapped(x.values))), -1)
    structure = x.structure
    if structure.format in ("lil", "dok"):
        csr = structure.tocsr()
        return with_entries(csr, gathered(values, csr.data)).asformat(structure.format)
    return with_entries(structure if x.filled is None else structure.copy(), gathered(values, structure.data))


def fixed_index(index: Any) -> Any:
    """Return an index as plain numbers."""
    return tuple([fixed(i, "an index") for i in index]) if type(index) is tuple else fixed(index, "an index")


HOLDERS[Sparse] = Holder(lambda x: x.values, plain, lambda x, v: Sparse(x.structure.copy(), v, x.filled))

__all__ = ["Sparse", "lift", "plain", "taken"]
