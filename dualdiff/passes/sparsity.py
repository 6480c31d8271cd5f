"""Which output depends on which input: the pattern of a Jacobian, read off the tape.

Every kind says by labels which entries of a result depend on which entries of an operand; composing them along the
tape gives the pattern of the whole. Sets of inputs are kept per entry: as rows of a sparse matrix for arrays, all
entries at once, and as plain sets for what scalar code reads and writes one by one.

References
----------
Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 7.1, doi:10.1137/1.9780898717761.
Walther, "Computing sparse Hessians with automatic differentiation", ACM Transactions on Mathematical Software 34
(2008), doi:10.1145/1322436.1322439.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from dualdiff.labels import OWN, written
from dualdiff.passes.push import last_uses
from dualdiff.shapes import shape_of, size_of
from dualdiff.tape import Tape

Sets = Any
"""The dependence of one slot: a frozenset (of a scalar), a list of them (of a small array), or a csr_array (size, n)."""

NOTHING: frozenset[int] = frozenset()


def dependence(
    tape: Tape, slots: Sequence[int] | None = None, counts: list[int] | None = None
) -> scipy.sparse.csr_array:
    """Return which inputs the entries of some slots may depend on.

    Parameters
    ----------
    tape : Tape
        The recorded run.
    slots : sequence of int, optional
        Whose entries are the rows, in this order; a negative slot (a constant) is left out. By default the outputs'.
    counts : list, optional
        Is filled with the most inputs that one entry of each slot of the tape depends on.

    Returns
    -------
    scipy.sparse.csr_array of bool
        Of shape (entries of all slots, entries of all inputs), with sorted column numbers. It may hold entries whose
        derivative is zero at this point, or everywhere; never too few.

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff.passes.sparsity import dependence
    >>> from dualdiff.tape import record
    >>> tape, y = record(lambda x: x[1:] * x[:-1], np.ones(4))
    >>> dependence(tape, [y.mark]).toarray().astype(int)
    array([[1, 1, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 1, 1]])
    """
    slots = [s for s in (tape.outputs if slots is None else slots) if s >= 0]
    sizes = [size_of(a.shape) for a in tape.inputs]
    n = sum(sizes)
    offset = 0
    found: list[Sets] = []
    for a, size in zip(tape.inputs, sizes, strict=True):
        if a.shape:
            ones, columns = np.ones(size, bool), np.arange(offset, offset + size, dtype=np.int32)
            found.append(scipy.sparse.csr_array((ones, columns, np.arange(size + 1, dtype=np.int32)), shape=(size, n)))
        else:
            found.append(frozenset((offset,)))
        offset += size
    uses = last_uses(tape, slots)
    first = len(found)
    if counts is not None:
        counts[:] = [1] * first
    for e, (row, ins, args, params, out, _) in enumerate(tape.equations):
        slot = first + e
        if uses[slot] < 0 or not row.differentiable:
            found.append(None)
            if counts is not None:
                counts.append(0)
            continue
        sets = [found[i] if i is not None and i >= 0 else None for i in ins]
        dying = [i is not None and i >= 0 and uses[i] == e for i in ins]
        found.append(_through(row, ins, sets, dying, args, params, out, n))
        if counts is not None:
            counts.append(_widest(found[-1]))
        for i, dies in zip(ins, dying, strict=True):
            if dies:
                found[i] = None
    parts = [_rows(found[s], n) for s in slots]
    if not parts:
        return scipy.sparse.csr_array((0, n), dtype=bool)
    whole = parts[0] if len(parts) == 1 else _stacked(parts, n)
    if any(whole is p for p in found):
        whole = whole.copy()
    whole.sum_duplicates()
    return whole


def _through(row: Any, ins: Any, sets: list[Sets], dying: list[bool], args: Any, params: Any, out: Any, n: int) -> Sets:
    """Return the dependence of one result on the inputs."""
    shape = shape_of(out)
    if all(s is None or type(s) is frozenset for s in sets) and not shape:
        return _union([s for s in sets if s])
    if not shape and type(sets[0]) in (list, scipy.sparse.csr_array):
        i = row.entry_read(args, params, out)
        if i is not None:
            p = sets[0]
            return p[i] if type(p) is list else frozenset(p.indices[p.indptr[i] : p.indptr[i + 1]].tolist())
    places = row.entries_written(args, params, out)
    if places is not None:
        return _written(sets, dying, places, out)
    if row.puts_numbers_side_by_side(args):
        return [NOTHING if s is None else s for s in sets]
    parts = []
    for k, s in enumerate(sets):
        if s is not None:
            links = row.links_seen(k, args, params, out) if row.linked and row.constants(ins, args) else None
            if row.patterned:
                links = row.entries(k, args, params, out)
            if links is not None:
                parts.append(_linked(links, _rows(s, n), n))
                continue
            parts.append(_composed(row.labels(k, args, params, out), s, size_of(shape), n))
    return _merged(parts, shape)


def _written(sets: list[Sets], dying: list[bool], places: Sequence[int], out: Any) -> Sets:
    """Write one entry after the other: in the same list, where nobody reads the array before the write."""
    y, v = sets
    if y is None:
        y = [NOTHING] * size_of(shape_of(out))
    elif type(y) is not list:
        y = _sets(y)
    elif not dying[0]:
        y = list(y)
    v = NOTHING if v is None else v if type(v) is frozenset else _sets(v)[0]
    for i in places:
        y[i] = v
    return y if shape_of(out) else y[0]  # an array without axes may be written from one of one entry: s[...] = x[1:2]


def _widest(s: Sets) -> int:
    """Return the most inputs of one entry."""
    if type(s) is frozenset:
        return len(s)
    if type(s) is list:
        return 0  # scalar code: the arrays it fills are not followed
    return int(np.diff(s.indptr).max(initial=0))


def _union(sets: list[frozenset[int]]) -> frozenset[int]:
    if not sets:
        return NOTHING
    whole = sets[0]
    for s in sets[1:]:
        if s is not whole:
            whole = whole | s
    return whole


def _sets(p: Sets) -> list[frozenset[int]]:
    """Return rows as plain sets."""
    if type(p) is list:
        return p
    if type(p) is frozenset:
        return [p]
    starts, columns = p.indptr.tolist(), p.indices.tolist()
    return [frozenset(columns[a:b]) for a, b in itertools.pairwise(starts)]


def _rows(p: Sets, n: int) -> scipy.sparse.csr_array:
    """Return sets as rows of a sparse matrix."""
    if type(p) is scipy.sparse.csr_array:
        return p
    rows = [p] if type(p) is frozenset else p if p is not None else []
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    columns = np.fromiter((c for r in rows for c in sorted(r)), np.int32, int(starts[-1]))
    return _csr(columns, starts, n)


def _csr(columns: Any, starts: Any, n: int) -> scipy.sparse.csr_array:
    return scipy.sparse.csr_array((np.ones(len(columns), bool), columns, starts), shape=(len(starts) - 1, n))


def _stacked(parts: list[scipy.sparse.csr_array], n: int) -> scipy.sparse.csr_array:
    starts, total = [np.zeros(1, np.int64)], 0
    for p in parts:
        starts.append(p.indptr[1:].astype(np.int64) + total)
        total += p.nnz
    return _csr(np.concatenate([p.indices for p in parts]), np.concatenate(starts), n)


def _composed(labels: Any, s: Sets, size: int, n: int) -> scipy.sparse.csr_array:
    """Return, for each of ``size`` result entries, the union of the rows of ``s`` that bear its label."""
    result, operand = labels
    if result is OWN and operand is OWN and type(s) is scipy.sparse.csr_array:
        return s
    p = _rows(s, n)
    total = p.shape[0]
    if operand is not OWN:
        b = written(operand, total)
        groups = size if result is OWN else int(b.max(initial=-1)) + 1
        if groups == total and np.array_equal(b, np.arange(total)):
            pass
        elif groups == 1 and (b == 0).all():
            p = _one_row(p, n)
        else:
            p = _grouped(p, b, groups, n)
    if result is OWN:
        return p
    if type(result) is int:
        return _gathered(p, np.full(size, result), n)
    return _gathered(p, result, n)


def _linked(links: scipy.sparse.csr_array, p: scipy.sparse.csr_array, n: int) -> scipy.sparse.csr_array:
    """Unite, for each entry of a result, the rows of the entries it is linked with."""
    m, size = links.shape
    work = int(np.diff(p.indptr)[links.indices].sum())
    if work > WORK and 100 * work > m * size * n and max(m * size, size * n, m * n) <= DENSE:
        # Nearly full: BLAS counts the ways from input to result faster than anyone unites sets.
        ways = _csr(links.indices, links.indptr, size).toarray().astype(np.float32) @ p.toarray().astype(np.float32)
        rows, columns = np.nonzero(ways)
        return _csr(columns.astype(np.int32), np.concatenate([[0], np.bincount(rows, minlength=m).cumsum()]), n)
    united = _csr(links.indices, links.indptr, size) @ p
    united.sort_indices()
    return united


WORK = 1 << 20
"""With fewer entries to unite, nobody asks how."""
DENSE = 1 << 24
"""The most entries of a pattern written out as an array."""


def _one_row(p: scipy.sparse.csr_array, n: int) -> scipy.sparse.csr_array:
    seen = np.zeros(n, bool)
    seen[p.indices] = True
    columns = np.flatnonzero(seen).astype(np.int32)
    return _csr(columns, np.array([0, len(columns)]), n)


def _grouped(p: scipy.sparse.csr_array, label: Any, groups: int, n: int) -> scipy.sparse.csr_array:
    """Unite rows with one label (none for -1)."""
    inside = np.flatnonzero(label >= 0)
    select = scipy.sparse.csr_array((np.ones(len(inside), bool), (label[inside], inside)), shape=(groups, p.shape[0]))
    united = select @ p
    united.sum_duplicates()
    return united


def _gathered(p: scipy.sparse.csr_array, rows: Any, n: int) -> scipy.sparse.csr_array:
    """Return chosen rows, empty ones for numbers outside."""
    rows = np.asarray(rows)
    inside = (rows >= 0) & (rows < p.shape[0])
    if not p.shape[0]:
        return scipy.sparse.csr_array((len(rows), n), dtype=bool)
    safe = rows if inside.all() else np.where(inside, rows, 0)
    starts = p.indptr[safe].astype(np.int64)
    lengths = np.where(inside, p.indptr[safe + 1] - starts, 0)
    ends = np.cumsum(lengths)
    begins = ends - lengths
    total = int(ends[-1]) if len(ends) else 0
    places = np.arange(total) + np.repeat(starts - begins, lengths)
    return _csr(p.indices[places], np.concatenate([[0], ends]), n)


def _merged(parts: list[scipy.sparse.csr_array], shape: tuple[int, ...]) -> Sets:
    whole = parts[0]
    for p in parts[1:]:
        if p is whole or p.nnz == 0:
            continue
        if whole.nnz == p.nnz and np.array_equal(whole.indptr, p.indptr) and np.array_equal(whole.indices, p.indices):
            continue
        whole = p if whole.nnz == 0 else whole + p
    if not shape:
        return frozenset(whole.indices.tolist())
    return whole


__all__ = ["dependence"]
