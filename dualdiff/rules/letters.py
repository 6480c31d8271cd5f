"""Two arrays with lettered axes: the plan of their contraction, and the kind of row that its derivatives follow from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from dualdiff.kinds import Multilinear, Sweep, full, with_patterns
from dualdiff.kinds.base import Step
from dualdiff.labels import Labels, common_letters, contraction_links
from dualdiff.shapes import Aval, dtype_of, shape_of, size_of
from dualdiff.values import is_plain_constant

Letters = tuple[int, ...]
Shape = tuple[int, ...]


def conj(x: Any) -> Any:
    """Return the complex conjugate, and a real array as it is."""
    return np.conjugate(x) if dtype_of(x).kind == "c" else x


class Plan(NamedTuple):
    """How to carry out a contraction as one (stacked) matrix product, or as a broadcast product."""

    swap: bool
    left: Letters
    right: Letters
    batch: Letters
    rows: Letters
    inner: Letters
    columns: Letters


@lru_cache(maxsize=8192)
def plan_of(left: Letters, right: Letters, result: Letters) -> Plan:
    """Sort the letters of a contraction: in both and kept, left only, summed, right only."""
    swap = bool(result) and result[-1] in left and result[-1] not in right
    if swap:
        left, right = right, left
    ls, rs, kept = set(left), set(right), set(result)
    return Plan(
        swap,
        left,
        right,
        tuple([c for c in result if c in ls and c in rs]),
        tuple([c for c in result if c in ls and c not in rs]),
        tuple([c for c in left if c not in kept]),
        tuple([c for c in result if c in rs and c not in ls]),
    )


def _ordered(x: Any, letters: Letters, wanted: Letters) -> Any:
    return x if letters == wanted else x.transpose([letters.index(c) for c in wanted])


def _as_stack(x: Any, letters: Letters, batch: Letters, rows: Letters, columns: Letters) -> Any:
    """Order the axes as batch, rows, columns and join each group but the batch (an absent group is absent)."""
    if letters == batch + columns + rows and rows and columns:  # a transposed matrix is no copy
        y = _joined(x, len(batch), len(columns), len(rows))
        return y.transpose((*range(len(batch)), -1, -2)) if batch else y.T
    return _joined(_ordered(x, letters, batch + rows + columns), len(batch), len(rows), len(columns))


def _joined(x: Any, batch: int, first: int, second: int) -> Any:
    if first <= 1 and second <= 1:
        return x
    s = x.shape
    a, b = s[batch : batch + first], s[batch + first :]
    return x.reshape(s[:batch] + ((math.prod(a),) if first else ()) + ((math.prod(b),) if second else ()))


WIDE = 16
"""A batch of products with at least so many columns each is left a batch: joining it would cost more in copies."""


def _contract(a: Any, b: Any, *, left: Letters, right: Letters, result: Letters) -> Any:
    if not left or not right:
        c = a * b
        letters = left or right
        return _ordered(c, letters, result) if letters != result else c
    p = plan_of(left, right, result)
    if p.swap:
        a, b = b, a
    if not p.inner:  # nothing is summed: a broadcast product
        return _aligned(a, p.left, result) * _aligned(b, p.right, result)
    batch, rows, inner, columns = p.batch, p.rows, p.inner, p.columns
    front: Letters = ()
    if columns and rows and not batch and result[0] == columns[0] and len(columns) > 1:
        others = math.prod([s for s, c in zip(b.shape, p.right) if c in columns[1:]])
        if others >= WIDE:
            front, columns = columns[:1], columns[1:]
    x = _as_stack(a, p.left, batch, rows, inner)
    y = _as_stack(b, p.right, front + batch, inner, columns)
    if batch and not rows and not columns:
        c = np.einsum("...k,...k->...", x, y)
    elif not batch:
        c = x @ y
    elif not rows:
        c = (x[..., None, :] @ y)[..., 0, :]
    elif not columns:
        c = (x @ y[..., None])[..., 0]
    else:
        c = x @ y
    order = front + batch + rows + columns
    if len(rows) > 1 or len(columns) > 1:
        sizes = dict(zip(p.left, a.shape)) | dict(zip(p.right, b.shape))
        c = c.reshape([sizes[i] for i in order])
    return _ordered(c, order, result) if order != result else c


def _aligned(x: Any, letters: Letters, result: Letters) -> Any:
    """Order the axes as in ``result``, with unit axes for the letters that ``x`` lacks."""
    x = _ordered(x, letters, tuple([c for c in result if c in letters]))
    if len(letters) == len(result):
        return x
    sizes = iter(x.shape)
    return x.reshape([next(sizes) if c in letters else 1 for c in result])


class Contraction(Multilinear):
    """The contraction of two arrays: letters in both but not in the result are summed over.

    Every letter occurs once per operand, and in two of the three of left, right and result.
    """

    linked = True

    def __init__(self, name: str, fn: Any) -> None:
        """Name the contraction; its transposes are contractions themselves."""
        super().__init__(name, fn, None, None)  # type: ignore[arg-type]

    def letters(self, args: Sequence[Any], params: dict[str, Any]) -> tuple[Letters, Letters, Letters, Shape, Shape]:
        """Return the letters of both operands and the result, and the shapes those letters stand for."""
        return params["left"], params["right"], params["result"], shape_of(args[0]), shape_of(args[1])

    def step(self, active: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Step:
        """Count the products of all letters."""
        left, right, _, a_shape, b_shape = self.letters(args, params)
        size = size_of(shape_of(out))
        products = math.prod((dict(zip(left, a_shape)) | dict(zip(right, b_shape))).values())
        return Step(self.kind, active, size, size, products)

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        """Contract each tangent with the other operand; the batch is one more letter."""
        left, right, result, a_shape, b_shape = self.letters(args, params)
        k, lead = _new_letter(left, right, result) if sweep.lead else (), sweep.lead
        a, b = with_patterns(args, tangents) if sweep.careful else args
        ta, tb = tangents
        total = None
        if ta is not None:
            total = contract(
                shaped(ta, lead + a_shape), shaped(b, b_shape), left=k + left, right=right, result=k + result
            )
        if tb is not None:
            c = contract(shaped(a, a_shape), shaped(tb, lead + b_shape), left=left, right=k + right, result=k + result)
            total = c if total is None else total + c
        return full(total, sweep, out)

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        """Contract the cotangent with the conjugate of the other operand."""
        left, right, result, a_shape, b_shape = self.letters(args, params)
        k, lead = _new_letter(left, right, result) if sweep.lead else (), sweep.lead
        a, b = with_patterns(args, ins, g) if sweep.careful else args
        i, j = ins
        ca = cb = None
        if i is not None and i >= 0:
            ca = contract(g, conj(shaped(b, b_shape)), left=k + result, right=right, result=k + left)
            ca = shaped(ca, lead + shape_of(a))
        if j is not None and j >= 0:
            cb = contract(g, conj(shaped(a, a_shape)), left=k + result, right=left, result=k + right)
            cb = shaped(cb, lead + shape_of(b))
        return ca, cb

    def labels(self, k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
        """Join the entries of an operand and of the result that share their common letters."""
        left, right, result, a_shape, b_shape = self.letters(args, params)
        sizes = dict(zip(left, a_shape)) | dict(zip(right, b_shape))
        letters, shape = (left, a_shape) if k == 0 else (right, b_shape)
        return common_letters(letters, shape, result, tuple([sizes[c] for c in result]))

    def links(self, k: int, args: Any, params: dict[str, Any], out: Any, most: int | None = None) -> Any:
        """Join an entry of the operand and one of the result only where the constant between them is not zero."""
        if not is_plain_constant(args[1 - k]):
            return None
        left, right, result, a_shape, b_shape = self.letters(args, params)
        if k == 0:
            return contraction_links(left, a_shape, right, args[1].reshape(b_shape), result, most)
        return contraction_links(right, b_shape, left, args[0].reshape(a_shape), result, most)


def _new_letter(*groups: Letters) -> Letters:
    return (min([0, *[min(g) for g in groups if g]]) - 1,)


def shaped(x: Any, shape: Shape) -> Any:
    """Return an operand in the shape its letters stand for."""
    return x if shape_of(x) == shape or type(x) is Aval else np.reshape(x, shape)


contract = Contraction("contraction", _contract)
contract.on_objects = True


@lru_cache(maxsize=8192)
def stacked(
    sa: Shape, sb: Shape, a_core: Letters, b_core: Letters, core: Letters
) -> tuple[Letters, Letters, Letters, Shape, Shape]:
    """Give letters to two stacks that broadcast against each other; an axis of size 1 that is repeated gets none.

    ``a_core``, ``b_core`` and ``core`` are the letters (below 8) of the last axes of the operands and the result.
    """
    ha, hb = sa[: len(sa) - len(a_core)], sb[: len(sb) - len(b_core)]
    n = max(len(ha), len(hb))
    left, right, result = [], [], []
    a_shape, b_shape = [], []
    for i in range(n):
        s = ha[i - n + len(ha)] if i - n + len(ha) >= 0 else None
        t = hb[i - n + len(hb)] if i - n + len(hb) >= 0 else None
        c = 8 + i
        result.append(c)
        if s is not None and (s == t or s != 1 or t is None):
            left.append(c)
            a_shape.append(s)
        if t is not None and (s == t or t != 1 or s is None):
            right.append(c)
            b_shape.append(t)
    return (
        (*left, *a_core),
        (*right, *b_core),
        (*result, *core),
        (*a_shape, *sa[len(ha) :]),
        (*b_shape, *sb[len(hb) :]),
    )
