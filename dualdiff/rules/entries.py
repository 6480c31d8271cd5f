"""Products with a sparse matrix whose entries are differentiated: which entries there are is a constant, what they are is not.

A matrix is a *pattern*, rows or columns one after the other as SciPy keeps them, and one vector of entries in its order. The
product is linear in both of its operands, the entries and the vector. Its value is SciPy's own product; its derivative by the
entries is ``g[i] * x[j]`` at the places (i, j), and nothing outside the pattern is ever made.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csc_array, csr_array

from dualdiff.kinds import General, Sweep
from dualdiff.kinds.base import ALL, Asked, Step
from dualdiff.labels import DENSE, MOST_LINKS, Labels, lanes
from dualdiff.rules.sparse import along, product
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tangents import INSTEAD
from dualdiff.values import bind


class Pattern:
    """Where a sparse matrix has entries: the indices of a compressed matrix, each place once, which nobody may write into.

    Attributes
    ----------
    shape : tuple
        Of the matrix.
    form : str
        ``"csr"`` or ``"csc"``.
    indices, indptr : ndarray
        As SciPy's.
    """

    dtype = np.dtype(bool)

    def __init__(self, shape: tuple[int, int], form: str, indices: Any, indptr: Any) -> None:
        self.shape, self.form = shape, form
        self.indices, self.indptr = _fixed(indices), _fixed(indptr)

    @property
    def size(self) -> int:
        """The number of entries."""
        return len(self.indices)

    @cached_property
    def T(self) -> Pattern:
        """Of the transposed matrix, with the entries in the same order."""
        found = Pattern(self.shape[::-1], "csc" if self.form == "csr" else "csr", self.indices, self.indptr)
        found.__dict__["T"] = self
        return found

    @cached_property
    def _places(self) -> tuple[Any, Any]:
        across = np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))
        return (across, self.indices) if self.form == "csr" else (self.indices, across)

    @property
    def rows(self) -> Any:
        """The row of each entry."""
        return self._places[0]

    @property
    def columns(self) -> Any:
        """The column of each entry."""
        return self._places[1]

    @cached_property
    def _sums(self) -> dict[str, Any]:
        return {}

    def sums(self, dtype: np.dtype[Any]) -> Any:
        """Return the matrix that sums entries row by row: rows by entries."""
        found = self._sums.get(dtype.char)
        if found is None:
            each, shape = np.arange(self.size + 1), (self.shape[0], self.size)
            ones = np.ones(self.size, dtype)
            if self.form == "csr":
                found = csr_array((ones, each[:-1], self.indptr), shape=shape)
            else:
                found = csc_array((ones, self.indices, each), shape=shape)
            self._sums[dtype.char] = found
        return found

    def filled(self, entries: Any) -> Any:
        """Return SciPy's matrix of plain entries."""
        kind = csr_array if self.form == "csr" else csc_array
        return kind((entries, self.indices, self.indptr), shape=self.shape)

    def same(self, other: Pattern) -> bool:
        """Whether another pattern is this one."""
        return other is self or (
            self.form == other.form
            and self.shape == other.shape
            and np.array_equal(self.indptr, other.indptr)
            and np.array_equal(self.indices, other.indices)
        )

    def key(self) -> Any:
        """Say which pattern this is, in a form that can be compared."""
        return self.shape, self.form, self.indptr.tobytes(), self.indices.tobytes()


def _fixed(x: Any) -> Any:
    if x.flags.writeable or x.base is not None:
        x = x.copy()
        x.flags.writeable = False
    return x


def _beside(entries: Any, x: Any, axis: int) -> Any:
    """Give entries with any axes before their own the axes of ``x`` before and after the one they lie along."""
    shape = shape_of(entries)
    before, after = len(shape_of(x)) + axis, -axis - 1
    return np.reshape(entries, (*shape[:-1], *(1,) * before, shape[-1], *(1,) * after))


def change_of_product(pattern: Pattern, tangents: Any, x: Any, axis: int) -> Any:
    """Return the product with a matrix of a batch of entries: ``tangents`` have one axis before their own, or none."""
    products = _beside(tangents, x, axis) * np.take(x, pattern.columns, axis=axis)
    return bind(product, (pattern.sums(dtype_of(products)), products), {"axis": axis})


def covector_of_entries(pattern: Pattern, g: Any, x: Any, axis: int, lead: tuple[int, ...]) -> Any:
    """Return what a covector of the product says of the entries: ``g[i] * conj(x[j])`` for an entry at i, j."""
    factors = np.take(x, pattern.columns, axis=axis)
    if dtype_of(factors).kind == "c":
        factors = np.conjugate(factors)
    products = np.take(g, pattern.rows, axis=axis) * factors
    rank = len(shape_of(products))
    others = tuple(k for k in range(len(lead), rank) if k != rank + axis)
    return np.sum(products, axis=others) if others else products


def conjugated(x: Any) -> Any:
    """Return the conjugate of what is complex."""
    return np.conjugate(x) if dtype_of(x).kind == "c" else x


class ProductOfEntries(General):
    """A pattern and its entries times one axis of an array; the pattern is a constant always."""

    groups_terms = False
    is_product = True
    linked = True  # what a run found is held against the pattern of a later one
    patterned = True

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        """Each of the factors needs the other."""
        return False, (True, active[2], active[1])

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        """Apply the product rule."""
        (pattern, entries, x), axis = args, params["axis"]
        of_entries, of_x = tangents[1:]
        total = None if of_x is None else bind(self, (pattern, entries, of_x), params)
        if of_entries is not None:
            change = change_of_product(pattern, of_entries, x, axis)
            total = change if total is None else total + change
        return total

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        """Multiply by the adjoint, and by the other factor at the places of the entries."""
        pattern, entries, x = args
        of_entries = of_x = None
        if ins[1] is not None and ins[1] >= 0:
            of_entries = covector_of_entries(pattern, g, x, params["axis"], sweep.lead)
        if ins[2] is not None and ins[2] >= 0:
            of_x = bind(self, (pattern.T, conjugated(entries), g), params)
        return None, of_entries, of_x

    def masked(self, values: Sequence[Any], masks: Sequence[Any], params: dict[str, Any]) -> tuple[Any, Any]:
        """A result is there where an entry and what it multiplies are; nothing else meets in it."""
        (pattern, entries, x), axis = values, params["axis"]
        there = [np.ones(shape_of(v), bool) if m is None else m for v, m in zip(values[1:], masks[1:], strict=True)]
        met = _beside(there[0], x, axis) & np.take(there[1], pattern.columns, axis=axis)
        products = _beside(entries, x, axis) * np.take(x, pattern.columns, axis=axis)
        sums = pattern.sums(dtype_of(products))
        out = bind(product, (sums, np.where(met, products, 0.0)), {"axis": axis})
        return out, along(pattern.sums(np.dtype(float)), met.astype(np.float64), axis=axis) > 0

    def labels(self, k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
        """Say what shapes tell: the product works along its axis."""
        return lanes(shape_of(args[2]), shape_of(out), (params["axis"],)) if k == 2 else DENSE

    def entries(self, k: int, args: Any, params: dict[str, Any], out: Any) -> Any:
        """Join each result with the entries of its row, and with what these multiply."""
        pattern, axis = args[0], params["axis"]
        if type(pattern) is not Pattern:  # its form alone
            return None
        shape = shape_of(args[2])
        before, after = size_of(shape[: len(shape) + axis]), 1 if axis == -1 else shape[-1]
        if pattern.size * before * after > MOST_LINKS:
            return None
        m, n = pattern.shape
        first, last = np.arange(before).reshape(-1, 1, 1), np.arange(after)
        rows = (first * m + pattern.rows[:, None].astype(np.intp)) * after + last
        if k == 1:
            columns = np.broadcast_to(np.arange(pattern.size)[:, None], rows.shape)
            width = pattern.size
        else:
            columns = (first * n + pattern.columns[:, None].astype(np.intp)) * after + last
            width = before * n * after
        there = np.ones(rows.size, bool)
        return csr_array((there, (rows.reshape(-1), columns.reshape(-1))), shape=(before * m * after, width))

    def constants(self, ins: Any, args: Any) -> Sequence[int]:
        """The pattern, which ``entries`` read."""
        return (0,)

    def zeros(self, constant: Any) -> Any:
        """Say which pattern it is."""
        return constant.key()

    def step(self, active: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Step:
        """Every entry meets every number that lies across the axis."""
        size = size_of(shape_of(out))
        across = size_of(shape_of(args[2])) // max(shape_of(args[2])[params["axis"]], 1)
        return Step(self.kind, active, size, max(size, size_of(shape_of(args[2])), args[0].size * across), 0)

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Take an array of all directions."""
        return INSTEAD

    def forecast(self, asked: Asked) -> Any:
        """Say so."""
        return ALL


def _product(pattern: Pattern, entries: Any, x: Any, *, axis: int) -> Any:
    return along(pattern.filled(entries), x, axis=axis)


def _unused(*_args: Any, **_params: Any) -> Any:
    raise NotImplementedError


product_of_entries = ProductOfEntries("scipy.sparse product of entries", _product, _unused, _unused)

__all__ = [
    "Pattern",
    "ProductOfEntries",
    "change_of_product",
    "conjugated",
    "covector_of_entries",
    "product_of_entries",
]
