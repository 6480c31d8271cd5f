"""Products with a constant matrix of ``scipy.sparse``: ``S @ x``, ``S.dot(x)``, ``csr_matrix * x``, ``x @ S``.

SciPy's matrices know nothing of NumPy's protocols. But a product gives way, by NotImplemented, to an operand of which
``np.asanyarray`` makes a single object; Python then asks that operand for ``__rmatmul__``. So a traced value that is asked
from inside such a product answers as a single object (:func:`is_factor`), and nowhere else: no compiled code of SciPy's
ever meets an object. What it cannot take part in is refused by name (:func:`refusal`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.kinds import Linear, Sweep
from dualdiff.kinds.base import ALL, Asked, Step
from dualdiff.labels import MOST_LINKS, Labels, lanes, links_of
from dualdiff.register import BESIDE, Entry
from dualdiff.rules.contraction import matmul_
from dualdiff.rules.elementwise import multiply
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tangents import INSTEAD, Columns, zeros_beside
from dualdiff.values import HOLDERS, Traced, bind, enter_rooms, is_array, matrices

PACKAGE = "scipy.sparse"
_PRODUCTS = ("_matmul_dispatch", "_mul_dispatch")
"""The functions in which SciPy gives way."""


# --------------------------------------------------------------------------------------------------
# who asks


def _caller() -> FrameType:
    """Return the frame that asked the method which asks here; that method's own where none did (compiled code alone)."""
    method = sys._getframe(2)
    return method.f_back or method


def is_matrix_code(frame: FrameType) -> bool:
    """Whether a traced value is no array to a frame of this package: it is not, but where only its shape is looked at."""
    # The method dot of coo arrays asks before it goes on to the product.
    return frame.f_code.co_name != "isdense" or frame.f_back is None or frame.f_back.f_code.co_name != "dot"


def is_factor() -> bool:
    """Whether the caller's caller is a product with a sparse matrix, which gives way to a single object."""
    frame = _caller()
    return frame.f_code.co_name in _PRODUCTS and frame.f_globals.get("__package__") == PACKAGE


def refusal() -> Any:
    """Return the error for a function of ``scipy.sparse`` that asks for plain numbers; None where another one asks."""
    frame: FrameType | None = _caller()
    entered = None
    while frame is not None:
        package = str(frame.f_globals.get("__package__"))
        if package == PACKAGE or package.startswith(PACKAGE + "."):
            entered = frame.f_code.co_name
            owner = frame.f_locals.get("self")
            if owner is not None:
                entered = f"{type(owner).__name__}.{entered}" if entered != "__init__" else type(owner).__name__
        elif not package.startswith("numpy") or entered is not None:
            break
        frame = frame.f_back
    if entered is None:
        return None
    return UnsupportedFunctionError(
        f"{where()}: scipy.sparse's {entered} cannot carry derivatives. Products of a constant matrix with a differentiated "
        "vector or matrix can: S @ x, S.dot(x), S.T @ x, x @ S. Otherwise write it with arrays: S.toarray() * x, "
        "np.linalg.solve(S.toarray(), b); and what a matrix with differentiated entries v does at places i, j is "
        "np.add.at(y, i, v * x[j])."
    )


# --------------------------------------------------------------------------------------------------
# the product


def along(matrix: Any, x: Any, *, axis: int) -> Any:
    """Multiply along one axis of ``x``, the last or the last but one, whatever axes stand before it."""
    if x.ndim == -axis:
        return matrix @ x
    moved = np.moveaxis(x, axis, 0)
    found = matrix @ moved.reshape(moved.shape[0], size_of(moved.shape[1:]))
    return np.ascontiguousarray(np.moveaxis(found.reshape(found.shape[0], *moved.shape[1:]), 0, axis))


def _adjoint(matrix: Any) -> Any:
    return matrix.T.conj() if matrix.dtype.kind == "c" else matrix.T


class SparseProduct(Linear):
    """A constant sparse matrix times one axis of an array. The matrix is the first operand, and a constant always."""

    shapes_only = False
    groups_terms = False
    is_product = True
    linked = True

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        """A pull needs the matrix."""
        return False, (active[1], False)

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        """Multiply as the function does; what the matrix does not store is not there, in a careful pass too."""
        return bind(self, (args[0], tangents[1]), params)

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        """Multiply by the adjoint."""
        return None, bind(self, (_adjoint(args[0]), g), params)

    def masked(self, values: Sequence[Any], masks: Sequence[Any], params: dict[str, Any]) -> tuple[Any, Any]:
        """A result is there where an entry is that a number of the matrix multiplies: what its zeros multiply is not there."""
        matrix, (x, mask), axis = _without_zeros(values[0]), (values[1], masks[1]), params["axis"]
        there = along(_ones(matrix), mask.astype(np.float64), axis=axis) > 0
        if np.isfinite(matrix.data).all():
            return bind(self, (matrix, x), params), there
        coo = matrix.tocoo()  # an infinite number must not meet what is not there
        x, mask = np.moveaxis(x, axis, 0)[coo.col], np.moveaxis(mask, axis, 0)[coo.col]
        column = (-1,) + (1,) * (len(shape_of(x)) - 1)
        products = np.where(mask, coo.data.reshape(column) * x, 0.0)
        out = np.zeros_like(products, shape=(matrix.shape[0], *shape_of(products)[1:]))
        np.add.at(out, coo.row, products)
        return np.moveaxis(out, 0, axis), there

    def labels(self, k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
        """Say what shapes tell: the product works along its axis."""
        return lanes(shape_of(args[1]), shape_of(out), (params["axis"],))

    def links(self, k: int, args: Any, params: dict[str, Any], out: Any, most: int | None = None) -> Any:
        """Join the entries between which the matrix has a number other than zero."""
        matrix = _without_zeros(args[0])
        shape, axis = shape_of(args[1]), params["axis"]
        before, after = size_of(shape[:axis]), 1 if axis == -1 else shape[-1]
        if matrix.nnz * before * after > (MOST_LINKS if most is None else most):
            return None
        (m, n), coo = matrix.shape, matrix.tocoo()
        first, last = np.arange(before).reshape(-1, 1, 1), np.arange(after)
        rows = (first * m + coo.row[:, None].astype(np.intp)) * after + last
        columns = (first * n + coo.col[:, None].astype(np.intp)) * after + last
        weights = np.broadcast_to(coo.data[:, None], rows.shape)
        return links_of(
            rows.reshape(-1), columns.reshape(-1), weights.reshape(-1), (before * m * after, before * n * after)
        )

    def constants(self, ins: Sequence[int | None], args: Sequence[Any]) -> Sequence[int]:
        """The matrix, whose pattern ``links`` read."""
        return (0,)

    def zeros(self, constant: Any) -> Any:
        """Say where the matrix has numbers other than zero."""
        matrix = _without_zeros(constant)
        return matrix.shape, matrix.indptr.tobytes(), matrix.indices.tobytes()

    def step(self, active: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Step:
        """Every stored number meets every entry that lies across the axis."""
        size = size_of(shape_of(out))
        across = size_of(shape_of(args[1])) // max(shape_of(args[1])[params["axis"]], 1)
        return Step(self.kind, active, size, max(size, size_of(shape_of(args[1])), args[0].nnz * across), 0)

    # -- terms -------------------------------------------------------------------------------------
    def takes_columns(self, values: Sequence[Any]) -> bool:
        """Directions of all entries are multiplied side by side."""
        return True

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Multiply columns, if they are few; maps go link by link before anyone asks here, or are an array."""
        columns, x = tangents[1], values[1]
        if type(columns) is not Columns or run.careful or not is_array(x):
            return INSTEAD
        if not columns or 2 * len(columns) > run.lead[0]:
            return INSTEAD
        some = zeros_beside(columns.values(), (len(columns), *x.shape), x.dtype)
        for i, c in enumerate(columns.values()):
            some[i] = c
        return Columns(zip(columns, bind(self, (values[0], some), params)))

    def forecast(self, asked: Asked) -> Any:
        """Say that few columns stay columns."""
        if asked.is_columns and asked.together and 2 * len(asked.together) <= asked.k:
            return asked.few(asked.together)
        return ALL


def _without_zeros(matrix: Any) -> Any:
    """Return a matrix by rows, each of its entries once and none that is zero; the one that was given stays as it is."""
    found = matrix.tocsr()
    if found.has_canonical_format and found.data.all():
        return found
    if found is matrix or found.format == matrix.format:
        found = found.copy()
    found.sum_duplicates()
    found.eliminate_zeros()
    return found


def _ones(matrix: Any) -> Any:
    """Return a matrix by rows with ones for its numbers."""
    return type(matrix)((np.ones(matrix.data.shape), matrix.indices, matrix.indptr), shape=matrix.shape)


product = SparseProduct("scipy.sparse product", along, pull=_adjoint)
_PRODUCTS_OF_MATRICES = ("S @ x", "x @ S", "S.dot(x)", "S.T @ X", "csr_matrix * x")
BESIDE.append(
    lambda: [
        Entry(None, f"scipy.sparse: {how}", product.kind, _times, domain="real", primitive=product)
        for how in _PRODUCTS_OF_MATRICES
    ]
)


# --------------------------------------------------------------------------------------------------
# the matrix as an operand


class Matrix(Traced):
    """A sparse matrix that meets a traced value: it decides what their operation is, above all levels."""

    __slots__ = ()

    def __init__(self, value: Any) -> None:
        self.value = value
        self.mark = self.link = None
        self.run = _MEETING

    @property
    def shape(self) -> tuple[int, ...]:
        """As an array's."""
        return self.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """As an array's."""
        return self.value.dtype


MEETINGS: list[Callable[[Any, Sequence[Any]], Any]] = []
"""A hook: what takes every other operation, and matrices whose entries are differentiated."""


class _Meeting:
    """The run of sparse operands: products are bound as the row above, everything else is left to another room."""

    level = sys.maxsize
    open = True

    def process(self, row: Any, args: Sequence[Any], params: Any) -> Any:
        """Bind a product with a matrix; of the old matrix classes ``*`` is one as well."""
        matrix = next(a.value for a in args if type(a) is Matrix)
        if type(matrix) in HOLDERS:
            return MEETINGS[0](row, args)
        is_product = row is matmul_ or (row is multiply and not _is_array(matrix) and all(map(shape_of, args)))
        if is_product and len(args) == 2:
            if type(args[0]) is Matrix:
                return _times(matrix, args[1])
            return _times(matrix.T, args[0], from_the_left=True)
        enter_rooms()
        found = MEETINGS[0](row, args) if MEETINGS else NotImplemented
        if found is not NotImplemented:
            return found
        if row is multiply:
            advice = "S @ x is the product of matrices, S.toarray() * x that of entries; S.toarray() * t scales S"
        else:
            advice = "use S.toarray()"
        raise UnsupportedFunctionError(
            f"{where()}: {row.name} of a scipy.sparse {type(matrix).__name__} and a value that is being differentiated would "
            f"be a sparse matrix of differentiated entries, or an np.matrix, which carry no derivatives. Instead, {advice}."
        )


_MEETING = _Meeting()
matrices.append(Matrix)


def _is_array(matrix: Any) -> bool:
    from scipy.sparse import sparray

    return isinstance(matrix, sparray)


def _times(matrix: Any, x: Any, from_the_left: bool = False) -> Any:
    """Return the product; ``from_the_left`` says that the matrix is a transposed one, and works on the last axis of ``x``."""
    flat = matrix.ndim == 1
    if flat:
        matrix = matrix.reshape(1, -1).tocsr()
    shape = shape_of(x)
    if matrix.ndim != 2 or len(shape) not in (1, 2):
        raise ValueError(
            f"{where()}: a scipy.sparse matrix of {matrix.ndim} dimensions times a differentiated array of {len(shape)}; "
            "only products of a matrix with a vector or a matrix carry derivatives. Reshape the array to two dimensions."
        )
    axis = -1 if from_the_left or len(shape) == 1 else -2
    if shape[axis] != matrix.shape[1]:
        raise ValueError(
            f"{where()}: matmul: dimension mismatch: a sparse matrix whose rows have {matrix.shape[1]} entries meets an array of "
            f"shape {shape}"
        )
    if dtype_of(x).kind not in "biufc":
        raise UnsupportedFunctionError(f"{where()}: a scipy.sparse matrix cannot multiply an array of {dtype_of(x)}")
    if matrix.format not in _QUICK:
        matrix = matrix.tocsr()
    if matrix.format == "coo" and matrix.shape[0] == 1 and len(shape) == 1:  # of one row SciPy makes a number
        flat = not shape_of(matrix @ np.zeros(shape))
        matrix = matrix.tocsr()
    found = bind(product, (matrix, x), {"axis": axis})
    if not flat:
        return found
    return found[0] if axis == -2 or len(shape) == 1 else found[..., 0]


_QUICK = ("csr", "csc", "coo", "dia", "bsr")
"""The formats that have a product of their own."""

__all__ = ["MEETINGS", "Matrix", "SparseProduct", "along", "is_factor", "is_matrix_code", "product", "refusal"]
