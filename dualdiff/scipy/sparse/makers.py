"""What makes sparse matrices: the classes of ``scipy.sparse``, blocks side by side, diagonals, Kronecker products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from dualdiff.capture.active import is_active, plain_call
from dualdiff.errors import UnsupportedFunctionError, replaced, where
from dualdiff.rules.contraction import matmul_
from dualdiff.rules.elementwise import add, divide, multiply, subtract
from dualdiff.rules.sparse import MEETINGS, Matrix
from dualdiff.scipy.room import Room
from dualdiff.scipy.sparse.arithmetic import is_matrix
from dualdiff.scipy.sparse.assembly import buffer
from dualdiff.scipy.sparse.matrix import Sparse, lift, taken
from dualdiff.scipy.sparse.positions import made_coo, numbered, places, with_entries
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import fixed, operand

ROOM = Room("scipy.sparse")
FORMATS = ("coo", "csr", "csc", "dia", "bsr", "lil", "dok")
_WRITTEN = ("lil", "dok", "csr", "csc")
"""The formats that ``K[i, j] = v`` is for: an empty matrix of one may come to hold traced values."""


# --------------------------------------------------------------------------------------------------
# the classes


def _is_shape(x: Any) -> bool:
    return isinstance(x, tuple) and 0 < len(x) <= 2 and all(isinstance(n, (int, np.integer)) for n in x)


def _made(kind: type, form: str, arg: Any, shape: Any, copy: bool = False) -> Sparse:
    if is_matrix(arg):
        found = lift(arg)
        if copy or found.format != form:
            moved = lift(found.asformat(form))
            return Sparse(kind(moved.structure), moved.held())
        # As SciPy's, both are written into by a write into one.
        if form in ("lil", "dok"):
            return found if type(found.structure) is kind else Sparse(kind(found.structure.copy()), found.held())
        data = found.data
        return Sparse(kind(found.structure), data)
    if isinstance(arg, tuple) and len(arg) == 2 and form != "dia":
        data, at = _data(arg[0], copy), fixed(arg[1], "the places of entries")
        like: Any = sparse.coo_array if issubclass(kind, sparse.sparray) else sparse.coo_matrix
        coo = Sparse(like((numbered(shape_of(data)), at), shape=shape), data)
        return coo if form == "coo" else _made(kind, form, coo, None)
    if isinstance(arg, tuple):
        data, rest = _data(arg[0], copy), [np.array(fixed(i, "the places of entries")) for i in arg[1:]]
        if form == "dia" and len(shape_of(data)) == 1:
            data = np.reshape(data, (1, -1))
        structure: Any = kind((numbered(shape_of(data)), *rest), shape=shape)
        return Sparse(structure, data)
    found = Sparse.of_dense(arg, sparse.coo_array if issubclass(kind, sparse.sparray) else sparse.coo_matrix)
    return found if form == "coo" else _made(kind, form, found, None)


def _data(x: Any, copy: bool) -> Any:
    x = operand(x)
    return x.copy() if copy else x


def _empty(kind: type, form: str, shape: Any, dtype: Any) -> Sparse:
    dtype = np.dtype(float if dtype is None else dtype)
    structure: Any = kind(tuple(shape), dtype=float)
    return Sparse(structure, buffer(64, dtype), 0)


def _printed(most: Any) -> dict[str, Any]:
    """Return how many entries are printed, as younger versions of SciPy take it."""
    return {} if most is None else {"maxprint": most}


def _constructor(name: str, form: str) -> None:
    kind = getattr(sparse, name, None)
    if kind is None:
        return

    def make(arg1: Any, shape: Any = None, dtype: Any = None, copy: bool = False, *, maxprint: Any = None) -> Any:
        if not is_active(arg1):
            given = {"shape": shape, "dtype": dtype, "copy": copy, **_printed(maxprint)}
            holds = np.dtype(float if dtype is None else dtype).kind in "fc"
            if form in _WRITTEN and _is_shape(arg1) and shape is None and holds and len(arg1) == 2:
                return _empty(kind, form, arg1, dtype)
            if form in ("lil", "dok") and type(arg1) is Sparse and arg1.format == form and not copy:
                return _made(kind, form, arg1, shape)
            found = plain_call(kind, (arg1,), given)
            return Sparse.written(found) if form in ("lil", "dok") and found.dtype.kind in "fc" else found
        found = _made(kind, form, arg1, None if shape is None else fixed(shape, "a shape"), copy)
        return found if dtype is None or np.dtype(dtype) == found.dtype else found.astype(dtype)

    if form == "bsr":

        def make_blocks(
            arg1: Any,
            shape: Any = None,
            dtype: Any = None,
            copy: bool = False,
            blocksize: Any = None,
            *,
            maxprint: Any = None,
        ) -> Any:
            if not is_active(arg1):
                return plain_call(kind, (arg1, shape, dtype, copy, blocksize), _printed(maxprint))
            found = make(arg1, shape, dtype, copy)
            return found if blocksize is None else found.tobsr(blocksize)

    maker: Any = make_blocks if form == "bsr" else make
    maker.__name__ = name
    maker.__doc__ = f"Make what stands for a ``scipy.sparse.{name}`` with differentiated entries."
    ROOM.constructor(kind, "linear", always=form in _WRITTEN)(maker)


for _form in FORMATS:
    for _suffix in ("matrix", "array"):
        _constructor(f"{_form}_{_suffix}", _form)


def _write(self: Any, key: Any, x: Any) -> None:
    name = type(self).__name__
    raise UnsupportedFunctionError(
        f"{where()}: this writes a differentiated value into a {name} that holds plain numbers. Make the matrix inside the function, by "
        f"its class: K = lil_matrix(K0) in place of K0.tolil() or K0.copy(), K = lil_matrix((m, n)); or collect the entries, and make "
        "coo_matrix((entries, (i, j)))."
    )


def _definers(name: str) -> list[type]:
    """Return the classes in which the matrices of SciPy have a method of their own."""
    found: list[type] = []
    for form in FORMATS:
        for suffix in ("matrix", "array"):
            for c in getattr(sparse, f"{form}_{suffix}").__mro__:
                if name in vars(c) and c not in found:
                    found.append(c)
    return found


# --------------------------------------------------------------------------------------------------
# operations of plain matrices with differentiated operands


def _meet(row: Any, args: Sequence[Any]) -> Any:
    """Carry out an operation of a sparse matrix and an array or number, one of which carries a derivative."""
    left, right = [a.value if type(a) is Matrix else a for a in args] if len(args) == 2 else (None, None)
    if right is None:
        return NotImplemented
    if type(args[0]) is Matrix:
        matrix, other = lift(left), right
        if row is multiply:
            return matrix * other
        if row is matmul_:
            return matrix @ other
        if row is divide:
            return matrix / other
        return matrix + other if row is add else matrix - other if row is subtract else NotImplemented
    matrix, other = lift(right), left
    if row is multiply:
        return other * matrix if is_matrix(other) else matrix.__rmul__(other)
    if row is matmul_:
        return matrix.__rmatmul__(other)
    return matrix + other if row is add else (-matrix) + other if row is subtract else NotImplemented


MEETINGS.append(_meet)
for _definer in _definers("__init__"):
    replaced(vars(_definer)["__init__"])  # which the classes inherit


def _multiplied(self: Any, other: Any) -> Any:
    return lift(self).multiply(other)


def _divided(self: Any, other: Any) -> Any:
    return lift(self) / other


for _definer in _definers("multiply"):
    ROOM.method(_definer, "multiply", "multilinear")(_multiplied)
for _definer in _definers("__truediv__"):
    ROOM.method(_definer, "__truediv__", "multilinear")(_divided)
for _definer in _definers("__setitem__"):
    ROOM.method(_definer, "__setitem__", "refused")(_write)


# --------------------------------------------------------------------------------------------------
# blocks


class _Blocks:
    """Matrices given to a function that only moves entries: their positions are numbered on from one to the next."""

    def __init__(self, given: Any) -> None:
        self.values: list[Any] = []
        self.count = 0
        self.old = not any(isinstance(b, sparse.sparray) for b in _leaves(given))

    def positions(self, x: Any) -> Any:
        """Return nested lists of matrices as lists of positions."""
        if isinstance(x, (list, tuple)) or (isinstance(x, np.ndarray) and x.dtype == object):
            return [self.positions(b) for b in x]
        if x is None:
            return None
        if not is_matrix(x):
            x = Sparse.of_dense(x, sparse.coo_matrix if self.old else sparse.coo_array)
        matrix = lift(x)
        matrix = matrix.compress("csr") if matrix.format in ("lil", "dok") else matrix.single()
        values = matrix.held()
        at = matrix.structure.data
        found = with_entries(matrix.structure, np.where(at > 0, at + self.count, 0.0))
        self.values.append(values)
        self.count += shape_of(values)[0]
        return found

    def joined(self, structure: Any) -> Any:
        """Return what stands at positions."""
        values = np.concatenate(self.values) if len(self.values) > 1 else self.values[0]
        return taken(structure, Sparse(structure, values))


def _leaves(x: Any) -> list[Any]:
    if isinstance(x, (list, tuple)) or (isinstance(x, np.ndarray) and x.dtype == object):
        return [leaf for b in x for leaf in _leaves(b)]
    return [x]


def _typed(found: Any, dtype: Any) -> Any:
    return found if dtype is None else found.astype(dtype)


@ROOM.function("hstack", "movement")
def hstack(blocks: Any, format: Any = None, dtype: Any = None) -> Any:
    """``scipy.sparse.hstack``."""
    b = _Blocks(blocks)
    return _typed(b.joined(sparse.hstack(b.positions(list(blocks)), format)), dtype)


@ROOM.function("vstack", "movement")
def vstack(blocks: Any, format: Any = None, dtype: Any = None) -> Any:
    """``scipy.sparse.vstack``."""
    b = _Blocks(blocks)
    return _typed(b.joined(sparse.vstack(b.positions(list(blocks)), format)), dtype)


@ROOM.function("bmat", "movement")
def bmat(blocks: Any, format: Any = None, dtype: Any = None) -> Any:
    """``scipy.sparse.bmat``."""
    b = _Blocks(blocks)
    return _typed(b.joined(sparse.bmat(b.positions(blocks), format)), dtype)


@ROOM.function("block_array", "movement")
def block_array(blocks: Any, *, format: Any = None, dtype: Any = None) -> Any:
    """``scipy.sparse.block_array``."""
    b = _Blocks(blocks)
    return _typed(b.joined(sparse.block_array(b.positions(blocks), format=format)), dtype)


@ROOM.function("block_diag", "movement")
def block_diag(mats: Any, format: Any = None, dtype: Any = None) -> Any:
    """``scipy.sparse.block_diag``."""
    b = _Blocks(mats)
    mats = [x if is_matrix(x) else np.atleast_2d(operand(x)) for x in mats]
    return _typed(b.joined(sparse.block_diag(b.positions(mats), format)), dtype)


@ROOM.function("tril", "movement")
def tril(A: Any, k: Any = 0, format: Any = None) -> Any:
    """``scipy.sparse.tril``."""
    return _one(A).moved(lambda s: sparse.tril(s, k, format))


@ROOM.function("triu", "movement")
def triu(A: Any, k: Any = 0, format: Any = None) -> Any:
    """``scipy.sparse.triu``."""
    return _one(A).moved(lambda s: sparse.triu(s, k, format))


def _one(A: Any) -> Sparse:
    found = lift(A) if is_matrix(A) else Sparse.of_dense(A, sparse.coo_matrix)
    return found.compress("csr") if found.format in ("lil", "dok") else found


@ROOM.function("find", "movement")
def find(A: Any) -> Any:
    """``scipy.sparse.find``."""
    coo = _one(A).compress("csr").coo()
    there = np.not_equal(coo.data, 0)
    row, column = places(coo.structure)
    return row[there], column[there], coo.data[there]


# --------------------------------------------------------------------------------------------------
# diagonals


def _diagonals(diagonals: Any, offsets: Any) -> tuple[Any, Any]:
    """Return the diagonals as lists of positions, and their values."""
    if not shape_of(offsets) and not isinstance(offsets, (list, tuple)):
        first = diagonals[0] if len(shape_of(diagonals)) or isinstance(diagonals, (list, tuple)) else diagonals
        if not (isinstance(first, (list, tuple)) or shape_of(first)):
            diagonals = [diagonals]
    values = [np.reshape(v, -1) if not shape_of(v) else v for v in map(operand, diagonals)]
    starts = np.cumsum([0, *[shape_of(v)[0] for v in values]])
    return [numbered(shape_of(v)) + n for v, n in zip(values, starts)], np.concatenate(values)


@ROOM.function("diags", "movement")
def diags(diagonals: Any, offsets: Any = 0, shape: Any = None, format: Any = None, dtype: Any = None) -> Any:
    """``scipy.sparse.diags``."""
    at, values = _diagonals(diagonals, fixed(offsets, "offsets"))
    structure = sparse.diags(at, np.atleast_1d(offsets), shape, format, dtype=float)
    return _typed(taken(structure, Sparse(structure, values)), dtype)


@ROOM.function("diags_array", "movement")
def diags_array(
    diagonals: Any, /, *, offsets: Any = 0, shape: Any = None, format: Any = None, dtype: Any = None
) -> Any:
    """``scipy.sparse.diags_array``."""
    at, values = _diagonals(diagonals, fixed(offsets, "offsets"))
    structure = sparse.diags_array(at, offsets=np.atleast_1d(offsets), shape=shape, format=format, dtype=float)
    return _typed(taken(structure, Sparse(structure, values)), dtype)


@ROOM.function("spdiags", "movement")
def spdiags(data: Any, diags: Any, m: Any = None, n: Any = None, format: Any = None) -> Any:
    """``scipy.sparse.spdiags``."""
    data = operand(data)
    structure = sparse.spdiags(numbered(shape_of(data)), diags, m, n, format)
    return taken(structure, Sparse(structure, np.reshape(data, -1)))


# --------------------------------------------------------------------------------------------------
# Kronecker products


@ROOM.function("kron", "multilinear")
def kron(A: Any, B: Any, format: Any = None) -> Any:
    """``scipy.sparse.kron``."""
    b = _Blocks([A, B])
    old = sparse.coo_matrix if b.old else sparse.coo_array
    left, right = [(lift(x) if is_matrix(x) else Sparse.of_dense(x, old)).coo() for x in (A, B)]
    (i, j), (k, n) = places(left.structure), places(right.structure)
    rows, columns = np.add.outer(i * np.int64(right.shape[0]), k), np.add.outer(j * np.int64(right.shape[1]), n)
    values = np.reshape(left.data, (-1, 1)) * right.data
    shape = left.shape[0] * right.shape[0], left.shape[1] * right.shape[1]
    like = left.structure if not b.old else sparse.coo_matrix((1, 1))
    structure = made_coo(
        like if isinstance(like, sparse.sparray) or b.old else sparse.coo_array((1, 1)),
        (rows.ravel(), columns.ravel()),
        shape,
    )
    structure.has_canonical_format = True
    return Sparse(structure, np.reshape(values, -1)).asformat(format or _format_of_kron(right))


def _format_of_kron(right: Sparse) -> str:
    return "bsr" if 2 * right.nnz >= right.shape[0] * right.shape[1] else "coo"


@ROOM.function("kronsum", "linear")
def kronsum(A: Any, B: Any, format: Any = None) -> Any:
    """``scipy.sparse.kronsum``."""
    if len(shape_of(A)) != 2 or shape_of(A)[0] != shape_of(A)[1]:
        raise ValueError("A is not square")
    if len(shape_of(B)) != 2 or shape_of(B)[0] != shape_of(B)[1]:
        raise ValueError("B is not square")
    old = _Blocks([A, B]).old
    eye = sparse.eye if old else sparse.eye_array
    dtype = np.result_type(dtype_of(A), dtype_of(B))
    left = kron(eye(shape_of(B)[0], dtype=dtype), A)
    right = kron(B, eye(shape_of(A)[0], dtype=dtype))
    return (left + right).asformat(format)


ROOM.refused("save_npz", "a file cannot hold derivatives; save the matrix of dd.stop_gradient(K.data)")

__all__ = ["ROOM"]
