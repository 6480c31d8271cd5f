"""Positions in place of entries: what SciPy does to a matrix of positions says which entry stands where."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from scipy import sparse

from dualdiff.rules.sparse import product
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import bind


def numbered(shape: Any) -> Any:
    """Return positions in order, from 1 on: 0 stands for no entry."""
    return np.arange(1.0, size_of(shape) + 1).reshape(shape)


def with_entries(structure: Any, entries: Any) -> Any:
    """Return a matrix of SciPy's with the same places and other entries."""
    found = copy.copy(structure)
    found.data = entries
    return found


def places(coo: Any) -> tuple[Any, ...]:
    """Return the places of the entries, one array an axis."""
    return tuple(coo.coords) if hasattr(coo, "coords") else (coo.row, coo.col)


def made_coo(like: Any, at: tuple[Any, ...], shape: Any) -> Any:
    """Return a matrix of positions at these places, of the new classes if ``like`` is, and else of the old ones."""
    kind = sparse.coo_array if isinstance(like, sparse.sparray) else sparse.coo_matrix
    return kind((numbered((len(at[0]),)), at), shape=shape)


def gathered(values: Any, at: Any) -> Any:
    """Return the values at positions; zero at the position 0."""
    index = np.asarray(at).astype(np.intp) - 1
    flat = values if len(shape_of(values)) == 1 else np.reshape(values, -1)
    if index.size and index.min() < 0:
        zero = np.zeros((), dtype_of(values))
        if not shape_of(flat)[0]:
            return np.zeros(index.shape, dtype_of(values))
        return np.where(index >= 0, flat[np.maximum(index, 0)], zero)
    return flat[index]


def scattered(values: Any, at: Any, size: int) -> Any:
    """Return a vector with the sum of the values for each place."""
    entries = len(at)
    ones = np.ones(entries, np.zeros((), dtype_of(values)).real.dtype)
    sums = sparse.csc_array((ones, at, np.arange(entries + 1)), shape=(size, entries))
    return bind(product, (sums, values), {"axis": -1})


def merged(compressed: Any, values: Any) -> tuple[Any, Any]:
    """Return places by rows or columns, each once, and the sums of the values at each; ``compressed`` is the caller's own."""
    compressed.sort_indices()
    indices, indptr, at = compressed.indices, compressed.indptr, compressed.data
    first = np.ones(len(indices), bool)
    first[1:] = indices[1:] != indices[:-1]
    first[indptr[:-1][np.diff(indptr) > 0]] = True
    if first.all():
        return compressed, values
    starts = np.flatnonzero(first)
    ones = np.ones(len(at), np.zeros((), dtype_of(values)).real.dtype)
    sums = sparse.csr_array(
        (ones, at.astype(np.intp) - 1, np.append(starts, len(at))), shape=(len(starts), size_of(shape_of(values)))
    )
    counted = np.concatenate([[0], np.cumsum(first)])[indptr].astype(indptr.dtype)
    found = type(compressed)((numbered((len(starts),)), indices[starts], counted), shape=compressed.shape)
    return found, bind(product, (sums, values), {"axis": -1})


__all__ = ["gathered", "made_coo", "merged", "numbered", "places", "scattered", "with_entries"]
