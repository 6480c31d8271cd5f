"""Sparse matrices of traced numbers: what a sparse Jacobian is inside another operator, and in a program.

Its numbers are traced, its pattern is constant. So it is no matrix of ``scipy.sparse``, whose compiled code works on plain numbers,
but it answers what is linear: products, transposes, multiples. As the result of a program it is a matrix of ``scipy.sparse`` again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from dualdiff import trees
from dualdiff.errors import UnsupportedFunctionError, forgive, where
from dualdiff.kinds.movement import scatter_add
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.tangents import stretch
from dualdiff.values import HOLDERS, TRACED, Holder, Traced, is_sparse, operand, raw

__all__ = ["TracedMatrix", "flatten", "matrix", "nonzeros"]

_MOST = np.iinfo(np.int32).max
_NAMES = {"csr": "csr_array", "csc": "csc_array"}


class TracedMatrix:
    """A sparse matrix whose numbers are being differentiated, or recorded, and whose pattern is constant.

    Attributes
    ----------
    data : traced array
        The structural nonzeros, row by row (of format "csc": column by column).
    indices, indptr : ndarray
        The column (row) of each, and where the rows (columns) begin, as in ``scipy.sparse``.
    shape : tuple of int
        Rows and columns.
    format : {"csr", "csc"}
        In which order the nonzeros stand.
    """

    __slots__ = ("data", "format", "indices", "indptr", "shape")
    __array_ufunc__ = None  # arrays leave what they do with one to its own methods
    ndim = 2

    def __init__(self, data: Any, indices: Any, indptr: Any, shape: tuple[int, int], format: str = "csr") -> None:
        self.data = data
        self.indices = indices
        self.indptr = indptr
        self.shape = shape
        self.format = format

    def __repr__(self) -> str:
        return f"<{self.shape[0]}x{self.shape[1]} sparse matrix of {self.nnz} traced numbers>"

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the numbers."""
        return dtype_of(self.data)

    @property
    def nnz(self) -> int:
        """How many structural nonzeros there are."""
        return len(self.indices)

    @property
    def T(self) -> TracedMatrix:
        """The transpose, whose nonzeros stand in the same order."""
        other = "csc" if self.format == "csr" else "csr"
        return TracedMatrix(self.data, self.indices, self.indptr, self.shape[::-1], other)

    def transpose(self) -> TracedMatrix:
        """Return the transpose."""
        return self.T

    def nonzero(self) -> tuple[Any, Any]:
        """Return the rows and the columns of the structural nonzeros, in their order."""
        major = np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))
        return (major, self.indices) if self.format == "csr" else (self.indices, major)

    def toarray(self) -> Any:
        """Return the dense matrix."""
        (m, n), (rows, columns) = self.shape, self.nonzero()
        flat = np.zeros_like(self.data, shape=(m * n,))
        flat[stretch(rows.astype(np.intp) * n + columns)] = self.data
        return np.reshape(flat, (m, n))

    def copy(self) -> TracedMatrix:
        """Return a matrix with numbers of its own."""
        return self._with(self.data.copy())

    def _with(self, data: Any) -> TracedMatrix:
        return TracedMatrix(data, self.indices, self.indptr, self.shape, self.format)

    # -- what is linear -------------------------------------------------------------------------------
    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, TracedMatrix) or is_sparse(other):
            self._refuse("a product of two sparse matrices", "J @ B.toarray()")
        x = operand(other)
        shape = shape_of(x)
        if len(shape) not in (1, 2) or shape[0] != self.shape[1]:
            raise ValueError(
                f"{where()}: matmul: a sparse matrix of shape {self.shape} times an array of shape {shape}"
            )
        rows, columns = self.nonzero()
        products = self.data * x.T[..., columns]
        return scatter_add(products, position=rows, size=self.shape[0]).T

    def __rmatmul__(self, other: Any) -> Any:
        x = operand(other)
        return (self.T @ x.T).T if len(shape_of(x)) == 2 else self.T @ x

    dot = __matmul__

    def __mul__(self, other: Any) -> Any:
        return self._scaled(other, lambda x: self.data * x)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._scaled(other, lambda x: self.data / x)

    def __neg__(self) -> TracedMatrix:
        return self._with(-self.data)

    def _scaled(self, other: Any, by: Callable[[Any], Any]) -> TracedMatrix:
        if isinstance(other, TracedMatrix) or is_sparse(other) or shape_of(x := operand(other)):
            self._refuse("a product or quotient entry by entry", "J.toarray() * x")
        return self._with(by(x))

    # -- what is not there ------------------------------------------------------------------------------
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        error = self._refusal(f"the attribute {name!r}", f"J.toarray().{name}")
        forgive(error)  # it may be a question
        raise AttributeError(str(error)) from error

    def __getitem__(self, index: Any) -> NoReturn:
        self._refuse("indexing", "J.toarray()[i, j], or J.data[k]")

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        self._refuse("assignment", "J.toarray()")

    def __add__(self, other: Any) -> NoReturn:
        self._refuse("a sum", "J.toarray() + B")

    __radd__ = __sub__ = __rsub__ = __add__

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        error = self._refusal("a conversion to an array", "J.toarray()")
        held = self.data  # SciPy's functions that take one have a drop-in, where their caller is captured
        raise held._stumbled(error, "array") if isinstance(held, Traced) and hasattr(held, "_stumbled") else error

    def __array_function__(self, function: Any, *_: Any) -> NoReturn:
        self._refuse(f"np.{getattr(function, '__name__', function)}", "J.toarray()")

    def _refuse(self, what: str, instead: str) -> NoReturn:
        raise self._refusal(what, instead)

    def _refusal(self, what: str, instead: str) -> UnsupportedFunctionError:
        return UnsupportedFunctionError(
            f"{where()}: {what} is not supported for a sparse matrix of numbers that are being differentiated, such as a sparse "
            "Jacobian inside another operator. It has J @ x, x @ J, J.T, J.toarray(), multiples, and its nonzeros J.data at "
            f"J.indices and J.indptr. Write {instead}."
        )


def _plain(x: TracedMatrix) -> Any:
    import scipy.sparse

    kind = getattr(scipy.sparse, _NAMES[x.format])
    return kind((np.array(raw(x.data)), x.indices.copy(), x.indptr.copy()), shape=x.shape)


HOLDERS[TracedMatrix] = Holder(lambda x: x.data, _plain, TracedMatrix._with)


def matrix(data: Any, columns: Any, starts: Any, shape: tuple[int, int]) -> Any:
    """Return a sparse matrix, by rows whose columns ascend, that owns its index arrays: users may write into what they get."""
    from scipy.sparse import csr_array

    traced = type(data) in TRACED
    index = np.int32 if max(len(columns), *shape) < _MOST else np.int64
    numbers = np.zeros(len(columns)) if traced else data
    whole = csr_array((numbers, columns.astype(index), starts.astype(index)), shape=shape)
    whole.has_canonical_format = True
    return TracedMatrix(data, whole.indices, whole.indptr, shape) if traced else whole


# --------------------------------------------------------------------------------------------------
# results


def flatten(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """As :func:`dualdiff.trees.flatten`, but of a sparse matrix the numbers are a leaf, and its pattern belongs to the structure.

    The function that puts leaves together makes matrices of ``scipy.sparse``, each with index arrays of its own.
    """
    leaves, build = trees.flatten(tree)
    makers = tuple([Maker.of(x) if _is_matrix(x) else None for x in leaves])
    if not any(makers):
        return leaves, build
    return [x.data if make else x for x, make in zip(leaves, makers, strict=True)], _Structure(build, makers)


@dataclass(frozen=True, slots=True)
class _Structure:
    """A structure with sparse matrices; called with leaves it builds it anew."""

    build: Callable[[list[Any]], Any]
    makers: tuple[Maker | None, ...]

    def __call__(self, leaves: list[Any]) -> Any:
        return self.build([make(x) if make else x for x, make in zip(leaves, self.makers, strict=True)])


@dataclass(slots=True)
class Maker:
    """Makes matrices of one pattern: the first is looked at by SciPy, which takes a while, the others are made like it."""

    format: str
    shape: tuple[int, int]
    indices: Any
    indptr: Any
    canonical: bool
    first: Any = None

    @classmethod
    def of(cls, x: Any) -> Maker:
        """Return what makes matrices like this one."""
        canonical = type(x) is TracedMatrix or bool(x.has_canonical_format)
        return cls(x.format, x.shape, x.indices.copy(), x.indptr.copy(), canonical)

    def __call__(self, data: Any) -> Any:
        """Return a matrix with these numbers."""
        first = self.first
        if first is None:
            import scipy.sparse

            kind = getattr(scipy.sparse, _NAMES[self.format])
            first = kind((np.zeros(len(self.indices), data.dtype), self.indices, self.indptr), shape=self.shape)
            first.has_canonical_format = self.canonical
            self.first = first
        found = object.__new__(type(first))  # a copy, in a tenth of the time that copy.copy takes
        vars(found).update(vars(first))
        found.data, found.indices, found.indptr = data, first.indices.copy(), first.indptr.copy()
        return found


def nonzeros(a: Any, b: Any) -> tuple[Any, Any]:
    """Return the numbers of two matrices of ``scipy.sparse`` of one shape, at the places where either has any."""
    if _is_matrix(a) and np.array_equal(a.indptr, b.indptr) and np.array_equal(a.indices, b.indices):
        return a.data, b.data
    a, b = a.tocoo(), b.tocoo()
    keys = [c.row.astype(np.int64) * c.shape[1] + c.col for c in (a, b)]
    places = np.union1d(*keys)
    found = [np.zeros(len(places), c.dtype) for c in (a, b)]
    for whole, key, c in zip(found, keys, (a, b), strict=True):
        np.add.at(whole, np.searchsorted(places, key), c.data)
    return found[0], found[1]


def _is_matrix(x: Any) -> bool:
    return type(x) is TracedMatrix or (is_sparse(x) and x.__class__.__name__ in _NAMES.values())
