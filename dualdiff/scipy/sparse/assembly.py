"""Writes into a sparse matrix with differentiated entries: ``K[i, j] = v``, ``K[np.ix_(i, j)] += block``.

The values lie in a vector that grows as a list does, and SciPy's matrix holds the positions; so a write costs what it costs in
SciPy, and what the entries of the block cost in the vector.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from dualdiff.errors import where
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import TRACED, container, is_sparse, operand

FIRST = 64
"""How many entries an empty matrix has room for."""


def buffer(size: int, dtype: Any) -> Any:
    """Return a new vector that can come to hold differentiated values."""
    return container(np.zeros(size, dtype))


def _grown(matrix: Any, more: int) -> None:
    """Give a matrix room for more entries; on the first write, in a vector and with positions that are its own."""
    values = matrix.values
    if matrix.filled is None:
        matrix.structure, matrix.values = matrix.structure.copy(), np.reshape(values, -1)
        matrix.filled, room = shape_of(matrix.values)[0], 0
    else:
        room = shape_of(values)[0]
    if matrix.filled + more > room:
        old = matrix.values
        matrix.values = buffer(max(2 * (matrix.filled + more), FIRST), dtype_of(old))
        if matrix.filled:
            matrix.values[: matrix.filled] = old[: matrix.filled]


def _read(structure: Any, index: Any) -> Any:
    try:
        return structure[index]
    except NotImplementedError:  # arrays of older versions cannot be read by rows, though they can be written so
        return getattr(sparse, f"{structure.format}_matrix")(structure)[index]


def put(matrix: Any, index: Any, value: Any) -> None:
    """Write into places of a matrix."""
    if matrix.format not in ("lil", "dok", "csr", "csc"):
        raise TypeError(f"{where()}: {type(matrix.structure).__name__!r} object does not support item assignment")
    if matrix.format in ("csr", "csc"):
        matrix.sum_duplicates()
    positions = _read(matrix.structure, index)
    dense = positions.toarray() if sparse.issparse(positions) else np.asarray(positions)
    if is_sparse(value):
        value = value.toarray()
    v = operand(value)
    if dtype_of(v).kind == "c" and matrix.dtype.kind != "c":
        raise TypeError(f"{where()}: complex entries cannot be written into a matrix of {matrix.dtype}")
    shape = shape_of(v)
    if shape != dense.shape:
        while len(shape_of(v)) > dense.ndim and shape_of(v)[0] == 1:
            v = v[0]
        v = np.broadcast_to(v, dense.shape)
    there = np.ones(dense.shape, bool) if type(v) in TRACED else np.asarray(v) != 0
    slots = dense.astype(np.intp)
    new = there & (slots == 0)
    count = int(new.sum())
    _grown(matrix, count)
    matrix._compressed = None
    slots[new] = matrix.filled + 1 + np.arange(count)
    slots[~there] = 0
    matrix.filled += count
    if there.any():
        matrix.values[slots[there] - 1] = v[there] if shape_of(v) else v
    matrix.structure[index] = slots.astype(float) if dense.shape else float(slots)


__all__ = ["buffer", "put"]
