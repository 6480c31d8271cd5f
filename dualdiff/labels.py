"""Which entries of a result depend on which entries of an operand, said with labels.

A *labelling* is a pair ``(result, operand)``: one label for every entry of the result and of the operand.
Entry ``i`` of the result may depend on entry ``j`` of the operand if, and only if, both bear the same label.
One idea says all that the kinds know about sparsity:

- a diagonal (elementwise): every entry is its own label;
- a position map (movement): a result entry bears the number of the operand entry it was taken from;
- a sum over axes: an operand entry bears the number of the sum it goes into;
- a contraction: both bear the number of what their common letters say;
- a dense block: one label for all;
- a function of lanes or stacks: a dense block for each, with the number of the lane.

What labels cannot say are the zeros of a constant: ``T @ x`` has the pattern of ``T``. A row that multiplies by its operands
says that by *links*, the sparse matrix of its derivative by one operand where all others are constants. They follow from
values, unlike labels, so whoever keeps what he read from them keeps :func:`zeros_of` those constants beside it.

Labels are arrays of integers in the order of the flattened entries, with two short forms: ``OWN`` (entry ``i``
bears label ``i``) and ``SAME`` (all entries bear label 0). An entry with label -1 depends on nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

Shape = tuple[int, ...]

OWN = None
"""Every entry bears its own number."""
SAME = 0
"""All entries bear the label 0."""

Labels = tuple[Any, Any]
DENSE: Labels = (SAME, SAME)
"""Every entry of the result may depend on every entry of the operand."""
ALIGNED: Labels = (OWN, OWN)
"""Entry by entry."""


REMEMBERED = 64
"""How many labellings every function of shapes remembers."""
LARGE = 1 << 16
"""Labels of more entries than this are not remembered: they would hold too much memory."""


def remembered(function: Callable[..., Labels]) -> Callable[..., Labels]:
    """Decorate a function of shapes that returns labels: it remembers its last answers, but no large ones."""
    memory: dict[Any, Labels] = {}

    @wraps(function)
    def labels(*key: Any) -> Labels:
        try:
            return memory[key]
        except KeyError:
            found = function(*key)
            if all(part is OWN or part is SAME or part.size <= LARGE for part in found):
                if len(memory) >= REMEMBERED:
                    memory.clear()
                memory[key] = found
            return found

    return labels


def numbered(shape: Shape) -> Any:
    """Return the flat number of every entry of an array."""
    return np.arange(math.prod(shape)).reshape(shape)


@remembered
def broadcast(operand: Shape, result: Shape) -> Labels:
    """Return the labels of an elementwise function whose operand is broadcast to its result."""
    if math.prod(operand) == math.prod(result):
        return ALIGNED
    if math.prod(operand) == 1:
        return DENSE
    return _read_only(np.broadcast_to(numbered(operand), result).reshape(-1)), OWN


@remembered
def lanes(operand: Shape, result: Shape, mixed: tuple[int, ...]) -> Labels:
    """Return the labels of a function that works along some axes of its operand and treats the others as a batch.

    Parameters
    ----------
    operand, result : tuple of int
        Shapes. The result has the mixed axes removed; or kept, of any length, while the others broadcast against
        those of further operands; or (only where the mixed axes are the last ones, and fewer axes are left) any
        number of entries for each entry of the batch.
    mixed : tuple of int
        Negative axes of the operand.

    Returns
    -------
    tuple
        Labels of the result and of the operand. Where the shapes do not tell, a dense block.
    """
    n = len(operand)
    kept = tuple([1 if i - n in mixed else s for i, s in enumerate(operand)])
    count = math.prod(kept)
    if count <= 1:
        return DENSE
    total = math.prod(result)
    own = OWN if kept == operand else _read_only(np.broadcast_to(numbered(kept), operand).reshape(-1))
    if total == count:
        return OWN, own
    if result == operand:
        return own, own
    if len(result) >= n and all(k in (1, r) for k, r in zip(kept, result[len(result) - n :], strict=True)):
        return _read_only(np.broadcast_to(numbered(kept), result).reshape(-1)), own
    if total % count == 0 and sorted(mixed) == list(range(-len(mixed), 0)):
        return _read_only(np.repeat(np.arange(count), total // count)), own
    return DENSE


@remembered
def common_letters(operand: tuple[int, ...], shape: Shape, result: tuple[int, ...], result_shape: Shape) -> Labels:
    """Return the labels of a contraction: an operand's entry reaches the result's entries that share its letters."""
    common = [c for c in result if c in operand]
    if not common:
        return DENSE
    sizes = dict(zip(operand, shape, strict=True))
    numbers = numbered(tuple([sizes[c] for c in common]))

    def spread(letters: tuple[int, ...], to: Shape) -> Any:
        if len(letters) == len(common) and tuple(letters) == tuple(common):
            return OWN
        mine = [c for c in letters if c in common]
        view = numbers.transpose([common.index(c) for c in mine])
        view = view[tuple([slice(None) if c in common else None for c in letters])]
        return _read_only(np.broadcast_to(view, to).reshape(-1))

    return spread(result, result_shape), spread(operand, shape)


def contraction_links(
    operand: tuple[int, ...],
    shape: Shape,
    factor: tuple[int, ...],
    constant: Any,
    result: tuple[int, ...],
    most: int | None = None,
) -> Any:
    """Return the links of a contraction of an operand with a constant, all axes named by letters.

    Every letter stands in two or three of operand, factor and result.

    Returns
    -------
    scipy.sparse.csr_array or None
        Entries of the result by entries of the operand, each with the constant that multiplies it; None where the
        constant has no zeros, or there would be more than ``most`` of them (``MOST_LINKS``, if that is not given): then
        the labels say it all.
    """
    nonzeros = int(np.count_nonzero(constant))
    if not factor or nonzeros == constant.size:
        return None
    sizes = dict(zip(operand, shape, strict=True)) | dict(zip(factor, constant.shape, strict=True))
    free = [c for c in operand if c not in factor]
    each = math.prod([sizes[c] for c in free])
    if nonzeros * each > (MOST_LINKS if most is None else most):
        return None
    at: dict[int, Any] = {c: i[:, None] for c, i in zip(factor, np.nonzero(constant), strict=True)}
    at.update(zip(free, [i.reshape(1, -1) for i in np.indices([sizes[c] for c in free])]))

    def numbers(letters: tuple[int, ...]) -> Any:
        found = np.zeros((nonzeros, each), np.intp)
        for c in letters:
            found *= sizes[c]
            found += at[c]
        return found.reshape(-1)

    weights = np.broadcast_to(constant[constant != 0][:, None], (nonzeros, each))
    rows, columns = math.prod([sizes[c] for c in result]), math.prod(shape)
    return links_of(numbers(result), numbers(operand), weights.reshape(-1), (rows, columns))


MOST_LINKS = 1 << 24
"""More links than this are not written out."""


def links_of(rows: Any, columns: Any, weights: Any, shape: tuple[int, int]) -> Any:
    """Return links as a sparse matrix with sorted columns."""
    from scipy.sparse import coo_array, csr_array

    if (rows[1:] >= rows[:-1]).all() and (
        (rows[1:] > rows[:-1]) | (columns[1:] > columns[:-1])
    ).all():  # in order already
        starts = np.concatenate([[0], np.bincount(rows, minlength=shape[0]).cumsum()])
        return csr_array((weights, columns, starts), shape=shape)
    found = coo_array((weights, (rows, columns)), shape=shape).tocsr()
    found.sort_indices()
    return found


def zeros_of(constant: Any) -> Any:
    """Return where a constant is zero, packed into bytes that can be compared; None where it is nowhere."""
    mask = constant != 0
    return None if mask.all() else np.packbits(mask).tobytes()


def written(labels: Any, size: int) -> Any:
    """Return labels written out as an array."""
    if labels is OWN:
        return np.arange(size)
    if type(labels) is int:
        return np.full(size, labels)
    return labels


def only(labels: Any, mask: Any, shape: Shape) -> Any:
    """Take the labels of an array of some shape away where a mask of its last axes is False."""
    return np.where(np.broadcast_to(mask, shape).reshape(-1), written(labels, math.prod(shape)), -1)


def grouped(group: Any, count: int, operand: Shape) -> Labels:
    """Return the labels of a sum by groups along the last axis, whose result has ``count`` entries in its place.

    ``group`` says which of them the entries of a lane go into, -1 for none.
    """
    first = count * np.arange(math.prod(operand[:-1]))[:, None]
    return OWN, np.where(group < 0, -1, group + first).reshape(-1)


def _read_only(x: Any) -> Any:
    x = np.ascontiguousarray(x)
    x.flags.writeable = False
    return x
