"""Arithmetic of sparse matrices with differentiated entries: with numbers, arrays, and matrices of either kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.matrices import TracedMatrix
from dualdiff.rules.entries import product_of_entries
from dualdiff.scipy.sparse.dense import OldMatrix
from dualdiff.scipy.sparse.positions import gathered, made_coo, numbered, places, scattered, with_entries
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import bind, fixed, is_sparse, operand, raw


def is_matrix(x: Any) -> bool:
    """Whether ``x`` is a sparse matrix, of SciPy's or of ours."""
    return type(x) is TracedMatrix or is_sparse(x)


class Arithmetic:
    """The operators and methods that compute; what they work on is made by ``lift``."""

    __slots__ = ()
    structure: Any
    shape: Any
    dtype: Any
    format: Any
    data: Any

    # what the class itself answers
    lift: Any
    made: Any
    tocsr: Any
    compressed: Any
    compress: Any
    changed: Any
    mapped: Any
    coo: Any
    toarray: Any
    single: Any

    @property
    def is_array(self) -> bool:
        """Whether it is of the new classes, whose ``*`` goes entry by entry."""
        return isinstance(self.structure, sparse.sparray)

    # -- products of matrices ----------------------------------------------------------------------
    def dot(self, other: Any) -> Any:
        """Return a product of matrices."""
        return self._times(other) if is_matrix(other) or shape_of(other) else self._scaled(other)

    def __matmul__(self, other: Any) -> Any:
        _no_number(other)
        return self._times(other)

    def __rmatmul__(self, other: Any) -> Any:
        _no_number(other)
        return self._times_from_the_left(other)

    def _times(self, other: Any) -> Any:
        if is_matrix(other):
            return self._times_matrix(self.lift(other))
        return _product(self, operand(other), from_the_left=False)

    def _times_from_the_left(self, other: Any) -> Any:
        if is_matrix(other):
            return self.lift(other)._times_matrix(self)
        return _product(self, operand(other), from_the_left=True)

    def _times_matrix(self, other: Any) -> Any:
        m, n = shape_of(self)[0], shape_of(other)[-1]
        if len(shape_of(self)) != 2 or len(shape_of(other)) != 2:
            raise self.refused("a product with a sparse vector")
        if self.shape[1] != other.shape[0]:
            raise ValueError(
                f"{where()}: matmul: dimension mismatch with signature (n,k={self.shape[1]}),(k={other.shape[0]},m)->(n,m)"
            )
        left, a = self.compressed()
        right, b = self.lift(other.tocsr()).compressed()
        # Every entry of the left matrix meets the row of the right one that its column says.
        counts = np.diff(right.indptr)[left.columns]
        begins = np.cumsum(counts) - counts
        first = np.repeat(np.arange(left.size), counts)
        second = np.arange(int(counts.sum())) + np.repeat(right.indptr[left.columns] - begins, counts)
        at = left.rows[first], right.indices[second]
        found = self.made(made_coo(self.structure, at, (m, n)), a[first] * b[second])
        return found.compress("csc" if self.format == "csc" else "csr").settled()

    # -- entry by entry ----------------------------------------------------------------------------
    def __mul__(self, other: Any) -> Any:
        if self.is_array or not (is_matrix(other) or shape_of(other)):
            return self.multiply(other)
        return self._times(other)

    def __rmul__(self, other: Any) -> Any:
        if self.is_array or not (is_matrix(other) or shape_of(other)):
            return self.multiply(other)
        return self._times_from_the_left(other)

    def multiply(self, other: Any) -> Any:
        """Multiply entry by entry."""
        if is_matrix(other):
            return self._multiplied(self.lift(other))
        x = operand(other)
        if size_of(shape_of(x)) == 1 and len(shape_of(x)) <= 2:
            return self._scaled(x if not shape_of(x) else np.reshape(x, -1)[0])
        return self._multiplied_by_array(x)

    def _scaled(self, number: Any) -> Any:
        number = operand(number)
        return self.changed(lambda v: v * number)

    def _multiplied(self, other: Any) -> Any:
        a, b = [self.lift(x.tocsr()).single() for x in (self, other)]
        ones = [with_entries(x.structure, np.ones(x.structure.data.shape)) for x in (a, b)]
        first, second = a.structure.multiply(ones[1]).tocsr(), ones[0].multiply(b.structure).tocsr()
        for found in (first, second):
            found.sort_indices()
        values = gathered(a.values, first.data) * gathered(b.values, second.data)
        return self.made(with_entries(first, numbered(first.data.shape)), values).settled()

    def _multiplied_by_array(self, x: Any) -> Any:
        shape = np.broadcast_shapes(self.shape, shape_of(x))
        if len(shape) > 2:
            raise self.refused("a product with an array of more than two dimensions")
        coo = self.coo()
        if shape != self.shape:
            spread = coo.structure.multiply(np.ones(shape)).tocoo()
            coo = self.made(with_entries(spread, numbered(spread.data.shape)), gathered(coo.values, spread.data))
        factors = np.broadcast_to(x, shape)[places(coo.structure)]
        return self.made(coo.structure, gathered(coo.values, coo.structure.data) * factors, True).settled()

    def __truediv__(self, other: Any) -> Any:
        if is_matrix(other):
            raise self.refused("its quotient with a sparse matrix")
        x = operand(other)
        return self.multiply(1.0 / x) if shape_of(x) else self.changed(lambda v: v / x)

    def __rtruediv__(self, other: Any) -> Any:
        raise self.refused("division by it")

    def __neg__(self) -> Any:
        return self.changed(lambda v: -v)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self.mapped(np.abs)

    def __pow__(self, n: Any) -> Any:
        if self.is_array:
            return self.power(n)
        n = fixed(n, "the power of a matrix")
        if n != int(n) or n < 1:
            raise self.refused(f"its power {n}")
        found: Any = self
        for _ in range(int(n) - 1):
            found = found @ self
        return found

    def power(self, n: Any, dtype: Any = None) -> Any:
        """Raise entry by entry to a power."""
        if shape_of(n):
            raise NotImplementedError("input is not scalar")
        if not raw(n) > 0:
            raise self.refused("a power of zero and less, which makes every zero an entry,")
        return self.mapped(lambda v: (v if dtype is None else v.astype(dtype)) ** n)

    # -- sums --------------------------------------------------------------------------------------
    def __add__(self, other: Any) -> Any:
        return self._plus(other, 1)

    def __radd__(self, other: Any) -> Any:
        return self._plus(other, 1)

    def __sub__(self, other: Any) -> Any:
        return self._plus(other, -1)

    def __rsub__(self, other: Any) -> Any:
        return (-self)._plus(other, 1)

    def _plus(self, other: Any, sign: int) -> Any:
        if is_matrix(other):
            other = self.lift(other)
            if other.shape != self.shape:
                raise ValueError(f"{where()}: inconsistent shapes {self.shape} and {other.shape}")
            a, b = self.coo(), other.coo()
            at = tuple([np.concatenate([i, j]) for i, j in zip(places(a.structure), places(b.structure))])
            values = np.concatenate([a.data, b.data if sign == 1 else -b.data])
            found = self.made(made_coo(self.structure, at, self.shape), values)
            form = self.format if self.format in ("csr", "csc") else "csr"
            kept = self.format if self.format == other.format and self.format in ("dia", "bsr") else form
            return found.compress(form).asformat(kept).settled()
        x = operand(other)
        if not shape_of(x):
            if type(x) in (int, float, np.float64, np.int64) and x == 0:
                return self.changed(lambda v: v * 1.0)
            raise NotImplementedError("adding a nonzero scalar to a sparse array is not supported")
        found = self.toarray() + sign * np.broadcast_to(x, self.shape)
        return found if self.is_array else OldMatrix(found)

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        """Sum all entries, or those of each column or row."""
        return self._as_returned(self._total(axis, dtype, out), axis)

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        """Return the mean of all entries, or of each column or row."""
        count = size_of(self.shape) if axis is None else self.shape[axis]
        return self._as_returned(self._total(axis, dtype, out) / count, axis)

    def _total(self, axis: Any, dtype: Any, out: Any) -> Any:
        if out is not None or type(axis) is tuple:
            raise self.refused("sum(out=…)" if out is not None else "a sum over a tuple of axes")
        coo = self.coo()
        entries = coo.data if dtype is None else coo.data.astype(dtype)
        rank = len(self.shape)
        if axis is None or (rank == 1 and axis in (0, -1)):
            return np.sum(entries)
        if not -rank <= axis < rank:
            raise ValueError("axis out of range")
        left = 1 - axis % 2
        return scattered(entries, places(coo.structure)[left], self.shape[left])

    def _as_returned(self, total: Any, axis: Any) -> Any:
        if self.is_array or axis is None:
            return total
        return OldMatrix(np.reshape(total, (-1, 1) if axis % 2 else (1, -1)))

    def refused(self, what: str) -> UnsupportedFunctionError:
        """Return the error for what is not differentiated."""
        return UnsupportedFunctionError(
            f"{where()}: {what} of a {type(self.structure).__name__} with differentiated entries is not differentiated. Write it with "
            "K.toarray()."
        )

    def _compared(self, other: Any) -> Any:
        raise self.refused("a comparison")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _compared
    __hash__ = object.__hash__


def _no_number(other: Any) -> None:
    if not is_matrix(other) and not shape_of(other):
        raise ValueError("Scalar operands are not allowed, use '*' instead")


def _product(matrix: Any, x: Any, from_the_left: bool) -> Any:
    """Return the product with a vector or an array of two dimensions."""
    shape, flat = shape_of(x), len(matrix.shape) == 1
    pattern, entries = matrix.compressed()
    if from_the_left:
        pattern = pattern.T
    if len(shape) not in (1, 2):
        raise ValueError(f"{where()}: a sparse matrix times an array of {len(shape)} dimensions; reshape it to two")
    axis = -1 if from_the_left or len(shape) == 1 else -2
    if flat and from_the_left:
        pattern = pattern.T
    if shape[axis] != pattern.shape[1]:
        raise ValueError(
            f"{where()}: matmul: dimension mismatch: a sparse matrix whose rows have {pattern.shape[1]} entries meets an array of shape "
            f"{shape}"
        )
    if dtype_of(x).kind not in "biufc":
        raise UnsupportedFunctionError(f"{where()}: a sparse matrix cannot multiply an array of {dtype_of(x)}")
    if dtype_of(x).kind != "c" and dtype_of(x).kind != "f":
        x = np.asarray(raw(x), np.result_type(entries.dtype, dtype_of(x)))
    found = bind(product_of_entries, (pattern, entries, x), {"axis": axis})
    if not flat:
        return found
    return found[0] if axis == -2 or len(shape) == 1 else found[..., 0]


__all__ = ["Arithmetic", "is_matrix"]
