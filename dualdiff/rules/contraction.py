"""Products summed over common axes: matmul, dot, einsum and their family.

All of them are one primitive, the contraction of two arrays whose axes carry letters (here integers). A batch of
directions is one more letter of the operand that moves, so that ``k`` directions make one larger matrix product.
"""

from __future__ import annotations

import math
import operator as op
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from dualdiff.errors import where
from dualdiff.kinds import Linear, Movement, Multilinear, Sweep, full, with_patterns
from dualdiff.kinds.base import ALL, Asked
from dualdiff.labels import Labels, grouped, lanes
from dualdiff.register import composite, register
from dualdiff.rules.elementwise import multiply, unsupported
from dualdiff.rules.folding import NONE, converted, deliver, flat
from dualdiff.rules.letters import Contraction, Letters, Shape, conj, contract, shaped, stacked
from dualdiff.rules.sums import sum_
from dualdiff.shapes import Aval, dtype_of, negative_axes, shape_of
from dualdiff.tangents import INSTEAD, ONE, Map, is_identity, zeros_beside
from dualdiff.values import bind, is_array, number, operand


def of_vectors(k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Labels:
    """Say the pattern of a row that works on the last axis of its operands, whose stacks broadcast."""
    return lanes(shape_of(args[k]), shape_of(out), (-1,))


def of_matrices(k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Labels:
    """Say the pattern of a row that works on the last two axes of its operands, whose stacks broadcast."""
    return lanes(shape_of(args[k]), shape_of(out), (-2, -1))


# --------------------------------------------------------------------------------------------------
# matmul


def _columns_times(run: Any, tangents: Sequence[Any], values: Sequence[Any], out: Any) -> Any:
    """Multiply a plain matrix by a vector of terms: the columns of the matrix, scaled, stand where the map says."""
    a, x = values
    if tangents[0] or not is_array(a) or not is_array(x) or a.ndim != 2 or x.ndim != 1:
        return INSTEAD
    (k,) = run.lead or (0,)
    if len(tangents[1]) != 1 or not k:
        return INSTEAD
    ((key, c),) = tangents[1].items()
    if type(key) is not Map or dtype_of(out).kind != "f":
        return INSTEAD
    at = key.positions
    scaled = a if c is ONE else a * c
    if scaled.dtype != out.dtype:
        scaled = scaled.astype(out.dtype)
    if is_identity(at, k):
        return scaled.T.copy() if scaled is a else scaled.T
    if not at.all() or np.bincount(at).max() > 1:
        return INSTEAD
    columns = zeros_beside((scaled,), (a.shape[0], k), out.dtype)
    columns[:, at - 1] = scaled
    return columns.T


class MatMul(Contraction):
    """``a @ b`` by NumPy's rules for one, two and more dimensions. The plain cases go straight to BLAS."""

    def letters(self, args: Sequence[Any], params: dict[str, Any]) -> tuple[Letters, Letters, Letters, Shape, Shape]:
        """Return the letters of rows, columns and stacks."""
        sa, sb = shape_of(args[0]), shape_of(args[1])
        rows = (1,) if len(sa) > 1 else ()
        columns = (3,) if len(sb) > 1 else ()
        return stacked(sa, sb, (*rows, 2), (2, *columns), rows + columns)

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Scale and place the columns of a matrix; what is sparse in the matrix itself is multiplied entry by entry."""
        if run.careful:
            return INSTEAD  # which entries are reached is more than their maps say
        found = _columns_times(run, tangents, values, out)
        if found is not INSTEAD:
            return found
        if tangents[0] and len(shape_of(values[0])) == 2 and len(shape_of(values[1])) == 1:
            products = values[0] * values[1]
            terms = multiply.scaled(tangents, values, products)
            return sum_.terms(run, (terms,), (products,), {"axis": (-1,), "keepdims": False}, out)
        return super().terms(run, tangents, values, params, out)

    def forecast(self, asked: Asked) -> Any:
        """Say what becomes of terms; of a vector's one map it is taken that no direction is missing or there twice."""
        a, b = [shape_of(v) for v in asked.args]
        if len(a) == 2 and len(b) == 1:
            matrix, vector = asked.sets
            if matrix:
                products = Aval(a, dtype_of(asked.out))
                return sum_.forecast(asked._replace(sets=[asked.together], args=[products], params={"axis": (-1,)}))
            if vector is not None and len(vector) == 1 and not asked.is_columns and dtype_of(asked.out).kind == "f":
                return ALL
        return super().forecast(asked)

    def made_at_once(self, asked: Asked) -> tuple[float, float, float] | None:
        """The columns of a plain matrix are scaled and placed."""
        matrix, vector = asked.sets
        return (2.0, 0.0, 0.0) if matrix is None and vector is not None and len(vector) == 1 else None

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        """Multiply as ``matmul`` does, where there is one direction."""
        if sweep.lead:
            return super().push(sweep, tangents, args, params, out)
        a, b = with_patterns(args, tangents) if sweep.careful else args
        ta, tb = tangents
        total = None if ta is None else bind(self, (ta, b), params)
        if tb is not None:
            c = bind(self, (a, tb), params)
            total = c if total is None else total + c
        return full(total, sweep, out)

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: dict[str, Any], out: Any) -> Any:
        """Multiply by the transpose, where that is one product."""
        na, nb = len(shape_of(args[0])), len(shape_of(args[1]))
        if na > 2 or nb > 2 or (na == nb == 2 and sweep.lead):
            return super().pull(sweep, g, ins, args, params, out)
        a, b = with_patterns(args, ins, g) if sweep.careful else args
        i, j = ins
        left, right = i is not None and i >= 0, j is not None and j >= 0
        if na == nb == 2:
            return g @ conj(b).T if left else None, conj(a).T @ g if right else None
        if na == 2:
            return g[..., None] * conj(b) if left else None, g @ conj(a) if right else None
        if nb == 2:
            return g @ conj(b).T if left else None, conj(a)[:, None] * g[..., None, :] if right else None
        if sweep.lead:
            g = g[..., None]
        return g * conj(b) if left else None, g * conj(a) if right else None


matmul_ = MatMul("np.matmul", op.matmul)
matmul_.on_objects = True


_AXES_IN_PLACE = ([(-2, -1), (-2, -1), (-2, -1)], [(-1,), (-2, -1), (-1,)])  # how NumPy spells y @= x


def matmul(x1: Any, x2: Any, /, out: Any = None, **options: Any) -> Any:
    """``np.matmul``, also the operator ``@``."""
    if options.get("axes") in _AXES_IN_PLACE:
        del options["axes"]
    _only_defaults("np.matmul", options)
    return deliver(bind(matmul_, (operand(x1), operand(x2)), {}), out, "np.matmul")


_DEFAULTS = {"casting": "same_kind", "order": "K", "subok": True, "keepdims": False}


def _only_defaults(name: str, options: dict[str, Any]) -> None:
    """Refuse the options of a generalised ufunc that no rule knows."""
    odd = [k for k, v in options.items() if v is not None and v is not NONE and v != _DEFAULTS.get(k, NONE)]
    if odd:
        raise unsupported(name, odd, "np.moveaxis and astype on its operands")


register(
    (np.matmul, getattr(np.linalg, "matmul", None)), "multilinear", matmul, domain=("real", "real"), primitive=matmul_
)


def _stack_product(
    function: Any, a_core: Letters, b_core: Letters, core: Letters, conjugate: bool, aliases: tuple[Any, ...] = ()
) -> None:
    """Register a product of stacks (vecdot, matvec, vecmat)."""
    if function is None:
        return
    name = f"np.{function.__name__}"

    def handler(x1: Any, x2: Any, /, out: Any = None, *, axis: int = -1, **options: Any) -> Any:
        _only_defaults(name, options)
        a, b = operand(x1), operand(x2)
        if len(shape_of(a)) < len(a_core) or len(shape_of(b)) < len(b_core):
            raise ValueError(f"{name}: Input operand does not have enough dimensions")
        if axis is not None and axis is not NONE and axis != -1:
            a, b = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
        if shape_of(a)[-1] != shape_of(b)[len(shape_of(b)) - len(b_core) + b_core.index(a_core[-1])]:
            raise ValueError(f"{name}: Input operand 1 has a mismatch in its core dimension")
        if conjugate:
            a = conj(a)
        left, right, result, a_shape, b_shape = stacked(shape_of(a), shape_of(b), a_core, b_core, core)
        np.broadcast_shapes(shape_of(a)[: -len(a_core)], shape_of(b)[: -len(b_core)])
        y = bind(contract, (shaped(a, a_shape), shaped(b, b_shape)), {"left": left, "right": right, "result": result})
        return deliver(y, out, name)

    register((function, *aliases), "multilinear", handler, domain=("real", "real"), primitive=contract)


_stack_product(np.vecdot, (1,), (1,), (), True, (getattr(np.linalg, "vecdot", None),))
_stack_product(getattr(np, "matvec", None), (1, 2), (2,), (1,), False)
_stack_product(getattr(np, "vecmat", None), (1,), (1, 2), (2,), True)


# --------------------------------------------------------------------------------------------------
# dot and its relatives


def _letters(n: int, start: int = 0) -> Letters:
    return tuple(range(start, start + n))


def _contracted(a: Any, b: Any, left: Letters, right: Letters, result: Letters) -> Any:
    sizes = dict(zip(left, shape_of(a)))
    for c, s in zip(right, shape_of(b)):
        if sizes.setdefault(c, s) != s:
            raise ValueError(f"shapes {shape_of(a)} and {shape_of(b)} not aligned: {sizes[c]} != {s}")
    return bind(contract, (a, b), {"left": left, "right": right, "result": result})


def dot(a: Any, b: Any, out: Any = None) -> Any:
    """``np.dot`` for all ranks."""
    a, b = operand(a), operand(b)
    m, n = len(shape_of(a)), len(shape_of(b))
    if not m or not n:
        y = np.multiply(a, b)
    elif n == 1 or m == n == 2 or (m == 1 and n == 2):
        if shape_of(a)[-1] != shape_of(b)[0]:
            raise ValueError(f"shapes {shape_of(a)} and {shape_of(b)} not aligned")
        y = bind(matmul_, (a, b), {})
    else:
        left, right = _letters(m), list(_letters(n, m))
        right[-2] = m - 1
        y = _contracted(a, b, left, tuple(right), (*left[:-1], *right[:-2], right[-1]))
    return deliver(y, out, "np.dot")


register(np.dot, "multilinear", dot, domain=("real", "real"), primitive=matmul_)


def inner(a: Any, b: Any, /) -> Any:
    """``np.inner``."""
    a, b = operand(a), operand(b)
    m, n = len(shape_of(a)), len(shape_of(b))
    if not m or not n:
        return np.multiply(a, b)
    left, right = _letters(m), (*_letters(n - 1, m), m - 1)
    return _contracted(a, b, left, right, left[:-1] + right[:-1])


register(np.inner, "multilinear", inner, domain=("real", "real"), primitive=contract)


def vdot(a: Any, b: Any, /) -> Any:
    """``np.vdot``: the first operand is conjugated."""
    return _contracted(conj(flat(operand(a))), flat(operand(b)), (0,), (0,), ())


register(np.vdot, "multilinear", vdot, domain=("real", "real"), primitive=contract)


def outer(a: Any, b: Any, out: Any = None) -> Any:
    """``np.outer``."""
    return deliver(_contracted(flat(operand(a)), flat(operand(b)), (0,), (1,), (0, 1)), out, "np.outer")


register(np.outer, "multilinear", outer, domain=("real", "real"), primitive=contract)


@composite(getattr(np.linalg, "outer", None))
def linalg_outer(x1: Any, x2: Any, /) -> Any:
    """``np.linalg.outer``."""
    if len(shape_of(operand(x1))) != 1 or len(shape_of(operand(x2))) != 1:
        raise ValueError("Input arrays must be one-dimensional")
    return outer(x1, x2)


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """``np.tensordot``."""
    a, b = operand(a), operand(b)
    m, n = len(shape_of(a)), len(shape_of(b))
    if hasattr(axes, "__index__"):
        k = axes.__index__()
        if k < 0:
            raise ValueError("tensordot with a negative number of axes")
        axes_a, axes_b = tuple(range(-k, 0)), tuple(range(k))
    else:
        axes_a, axes_b = (tuple(s) if isinstance(s, (tuple, list)) else (s,) for s in axes)
    axes_a, axes_b = negative_axes(axes_a, m), negative_axes(axes_b, n)
    if len(axes_a) != len(axes_b) or any(shape_of(a)[i] != shape_of(b)[j] for i, j in zip(axes_a, axes_b)):
        raise ValueError("shape-mismatch for sum")
    left, right = _letters(m), list(_letters(n, m))
    for i, j in zip(axes_a, axes_b):
        right[j] = left[i]
    summed = {left[i] for i in axes_a}
    y = _contracted(a, b, left, tuple(right), tuple([c for c in (*left, *right) if c not in summed]))
    return y if shape_of(y) else np.copy(y)  # NumPy's, unlike dot's, has no axes and is an array all the same


register(
    (np.tensordot, getattr(np.linalg, "tensordot", None)),
    "multilinear",
    tensordot,
    domain=("real", "real"),
    primitive=contract,
)


@composite(np.kron)
def kron(a: Any, b: Any) -> Any:
    """``np.kron``."""
    a, b = operand(a), operand(b)
    n = max(len(shape_of(a)), len(shape_of(b)))
    sa = (1,) * (n - len(shape_of(a))) + shape_of(a)
    sb = (1,) * (n - len(shape_of(b))) + shape_of(b)
    left, right = _letters(n), _letters(n, n)
    both = tuple([c for pair in zip(left, right) for c in pair])
    y = _contracted(np.reshape(a, sa), np.reshape(b, sb), left, right, both)
    return np.reshape(y, tuple([s * t for s, t in zip(sa, sb)]))


# --------------------------------------------------------------------------------------------------
# einsum


def _diagonals(x: Any, *, letters: Letters) -> Any:
    return np.einsum(x, list(letters), list(dict.fromkeys(letters)))


class Diagonals(Movement):
    """The entries whose axes of one letter have one index; in NumPy a view."""

    view = True

    def positions(self, shape: Shape, params: dict[str, Any]) -> Any:
        """Return the position map as an array of its own."""
        return np.array(super().positions(shape, params))


diagonals = Diagonals("np.einsum", _diagonals)


@lru_cache(maxsize=1024)
def _lettered(text: str, ranks: tuple[int, ...]) -> tuple[list[Letters], Letters]:
    """Return the letters of the operands and the result that an einsum string stands for."""
    terms, arrow, result = text.replace(" ", "").partition("->")
    return _numbered([_labels(p) for p in terms.split(",")], _labels(result) if arrow else None, ranks)


def _labels(text: str) -> list[Any]:
    before, dots, after = text.partition("...")
    if not (before + after).isalpha() and before + after:
        raise ValueError(f"invalid subscripts {text!r} in einstein sum subscripts string, subscripts must be letters")
    return [*before, Ellipsis, *after] if dots else list(before)


def _implicit(terms: list[list[Any]]) -> list[Any]:
    """Return the result's labels where none are given: an ellipsis, then every label that occurs once, in order."""
    every = [c for t in terms for c in t if c is not Ellipsis]
    once = sorted([c for c in set(every) if every.count(c) == 1])
    return ([Ellipsis] if any(Ellipsis in t for t in terms) else []) + once


def einsum(*operands: Any, out: Any = None, optimize: Any = False, **options: Any) -> Any:
    """``np.einsum``: recorded as contractions of two operands, in the order that takes the fewest operations."""
    dtype = options.pop("dtype", None)
    if set(options) - {"order", "casting"}:
        raise TypeError(f"einsum got unexpected keyword arguments {sorted(options)}")
    if isinstance(operands[0], str):
        arrays = [converted(operand(x), dtype) for x in operands[1:]]
        letters, final = _lettered(operands[0], tuple([len(shape_of(x)) for x in arrays]))
    else:
        found, lists = list(operands[::2]), [list(s) for s in operands[1::2]]
        result = list(found.pop()) if len(found) > len(lists) else None
        arrays = [converted(operand(x), dtype) for x in found]
        letters, final = _numbered(lists, result, [len(shape_of(x)) for x in arrays])
    sizes: dict[int, int] = {}
    for ls, x in zip(letters, arrays, strict=True):
        for c, s in zip(ls, shape_of(x)):
            if sizes.setdefault(c, s) == 1:
                sizes[c] = s
            elif s not in (1, sizes[c]):
                raise ValueError(
                    f"operands could not be broadcast together in einsum: sizes {sizes[c]} and {s} of one subscript"
                )
    parts = [_prepared(x, ls, sizes) for x, ls in zip(arrays, letters, strict=True)]
    for n, (x, ls) in enumerate(parts):  # what only one operand has is summed before anything is multiplied
        others = {c for m, (_, o) in enumerate(parts) if m != n for c in o} | set(final)
        alone = tuple([i - len(ls) for i, c in enumerate(ls) if c not in others])
        if alone:
            parts[n] = (np.sum(x, axis=alone), tuple([c for c in ls if c in others]))
    while len(parts) > 1:
        i, j = _cheapest(parts, sizes) if len(parts) > 2 else (0, 1)
        (y, ly), (x, lx) = parts.pop(j), parts.pop(i)
        needed = {c for _, o in parts for c in o} | set(final)
        kept = final if not parts else tuple([c for c in dict.fromkeys(lx + ly) if c in needed])
        parts.append((bind(contract, (x, y), {"left": lx, "right": ly, "result": kept}), kept))
    (y, ls), *_ = parts
    if ls != final:
        y = np.transpose(y, [ls.index(c) for c in final])
    elif y is arrays[0]:  # what NumPy shows of it is a view, and of no axes a number
        y = y[...] if final else number(y)
    return deliver(y, out, "np.einsum")


register(np.einsum, "multilinear", einsum, domain=("real", "real"), primitive=contract)


def _numbered(terms: list[list[Any]], result: list[Any] | None, ranks: Sequence[int]) -> tuple[list[Letters], Letters]:
    """Return labels as integers; an ellipsis stands for as many of them as an operand has axes left, from the right."""
    if len(terms) != len(ranks):
        raise ValueError(f"einstein sum subscripts name {len(terms)} operands, but there are {len(ranks)}")
    if result is None:
        result = _implicit(terms)
    rest = [rank - len(t) + (Ellipsis in t) for t, rank in zip(terms, ranks)]
    if any(r < 0 or (r and Ellipsis not in t) for r, t in zip(rest, terms)):
        raise ValueError(f"einstein sum subscripts do not fit operands of {', '.join(map(str, ranks))} dimensions")
    wide = max(rest)
    if wide and Ellipsis not in result:
        raise ValueError("output has subscripts without ellipsis, but the operands broadcast over one")
    numbers = {c: wide + n for n, c in enumerate(dict.fromkeys([c for t in terms for c in t if c is not Ellipsis]))}

    def translated(labels: list[Any], r: int) -> Letters:
        return tuple([n for c in labels for n in (range(wide - r, wide) if c is Ellipsis else (numbers[c],))])

    for c in result:
        if c is not Ellipsis and c not in numbers:
            raise ValueError(
                f"einstein sum subscripts string included output subscript {c!r} which never appeared in an input"
            )
    final = translated(result, wide)
    if len(set(final)) != len(final):
        raise ValueError("einstein sum subscripts string includes an output subscript multiple times")
    return [translated(t, r) for t, r in zip(terms, rest)], final


def _prepared(x: Any, letters: Letters, sizes: dict[int, int]) -> tuple[Any, Letters]:
    """Take diagonals of repeated letters, and drop axes of size 1 that another operand repeats."""
    dropped = [i for i, (c, s) in enumerate(zip(letters, shape_of(x))) if s == 1 and sizes[c] != 1]
    if dropped:
        x = np.reshape(x, tuple([s for i, s in enumerate(shape_of(x)) if i not in dropped]))
        letters = tuple([c for i, c in enumerate(letters) if i not in dropped])
    if len(set(letters)) != len(letters):
        x = bind(diagonals, (x,), {"letters": letters})
        letters = tuple(dict.fromkeys(letters))
    return x, letters


def _cheapest(parts: list[tuple[Any, Letters]], sizes: dict[int, int]) -> tuple[int, int]:
    """Return the pair of operands whose contraction takes the fewest operations."""
    pairs = [(i, j) for i in range(len(parts)) for j in range(i + 1, len(parts))]
    return min(pairs, key=lambda p: math.prod([sizes[c] for c in {*parts[p[0]][1], *parts[p[1]][1]}]))


# --------------------------------------------------------------------------------------------------
# trace and cross


def _trace(x: Any, *, offset: int) -> Any:
    return np.trace(x, offset, -2, -1)


def over_matrix(g: Any) -> Any:
    """Give scalars (also Python's) two unit axes at the end, to multiply matrices."""
    return np.reshape(g, (*shape_of(g), 1, 1))


def _trace_pull(g: Any, x: Any, *, offset: int) -> Any:
    n, m = x.shape[-2:]
    return np.where(np.eye(n, m, offset, dtype=bool), over_matrix(g), 0.0)


def _trace_joins(k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
    *stack, n, m = shape_of(args[0])
    diagonal = np.eye(n, m, params["offset"], dtype=bool).reshape(-1)
    return grouped(np.where(diagonal, 0, -1), 1, (*stack, n * m))


trace_ = Linear("np.trace", _trace, pull=_trace_pull, joins=_trace_joins)
trace_.on_objects = True


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    """``np.trace``."""
    x = converted(operand(a), dtype)
    axes = negative_axes((axis1, axis2), len(shape_of(x)))
    if axes != (-2, -1):
        x = np.moveaxis(x, axes, (-2, -1))
    return deliver(bind(trace_, (x,), {"offset": int(offset)}), out, "np.trace")


register(np.trace, "linear", trace, domain="real", primitive=trace_)


@composite(getattr(np.linalg, "trace", None))
def linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """``np.linalg.trace``."""
    return trace(x, offset, -2, -1, dtype)


def _cross(a: Any, b: Any) -> Any:
    return np.cross(a, b)


cross_ = Multilinear(
    "np.cross",
    _cross,
    lambda g, _a, b: np.cross(conj(b), g),
    lambda g, a, _b: np.cross(g, conj(a)),
    joins=of_vectors,
)
cross_.additive = False
cross_.on_objects = True
"""The cross product of vectors of three entries, on the last axis."""


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None) -> Any:
    """``np.cross`` of vectors of two or three entries."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = operand(a), operand(b)
    if not shape_of(a) or not shape_of(b):
        raise ValueError("At least one array has zero dimension")
    a = np.moveaxis(a, axisa, -1) if axisa != -1 else a
    b = np.moveaxis(b, axisb, -1) if axisb != -1 else b
    m, n = shape_of(a)[-1], shape_of(b)[-1]
    if m not in (2, 3) or n not in (2, 3):
        raise ValueError("incompatible dimensions for cross product\n(dimension must be 2 or 3)")
    if m == n == 2:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    a, b = [x if shape_of(x)[-1] == 3 else np.concatenate([x, np.zeros_like(x[..., :1])], axis=-1) for x in (a, b)]
    y = bind(cross_, (a, b), {})
    return y if axisc == -1 else np.moveaxis(y, -1, axisc)


register(np.cross, "multilinear", cross, domain=("real", "real"), primitive=cross_)


@composite(getattr(np.linalg, "cross", None))
def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """``np.linalg.cross``."""
    x1, x2 = operand(x1), operand(x2)
    if shape_of(x1)[axis] != 3 or shape_of(x2)[axis] != 3:
        raise ValueError("Both input arrays must be (arrays of) 3-dimensional vectors")
    return cross(x1, x2, axis=axis)


# --------------------------------------------------------------------------------------------------
# several matrices


@composite(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """``np.linalg.multi_dot``: in the order that takes the fewest operations."""
    xs = [operand(x) for x in arrays]
    if len(xs) < 2:
        raise ValueError("Expecting at least two arrays.")
    first, last = len(shape_of(xs[0])) == 1, len(shape_of(xs[-1])) == 1
    sizes = [1 if first else shape_of(xs[0])[0], *[shape_of(x)[0] for x in xs[1:]], 1 if last else shape_of(xs[-1])[1]]
    if first:
        sizes[1] = shape_of(xs[0])[0]
    n = len(xs)
    best: dict[tuple[int, int], tuple[float, int]] = {(i, i): (0, i) for i in range(n)}
    for width in range(1, n):
        for i in range(n - width):
            j = i + width
            best[i, j] = min(
                [(best[i, s][0] + best[s + 1, j][0] + sizes[i] * sizes[s + 1] * sizes[j + 1], s) for s in range(i, j)]
            )

    def product(i: int, j: int) -> Any:
        if i == j:
            return xs[i]
        s = best[i, j][1]
        return dot(product(i, s), product(s + 1, j))

    return deliver(product(0, n - 1), out, "np.linalg.multi_dot")


@composite(np.linalg.matrix_power)
def matrix_power(a: Any, n: Any) -> Any:
    """``np.linalg.matrix_power``, by repeated squaring."""
    a = operand(a)
    shape = shape_of(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise np.linalg.LinAlgError(
            f"{where()}: the last two axes of a matrix power must have one length, not {shape[-2:]}"
        )
    n = n.__index__()
    if n == 0:
        return np.zeros_like(a) + np.eye(shape[-1], dtype=dtype_of(a))
    if n < 0:
        a, n = np.linalg.inv(a), -n
    y = None
    while n:
        if n & 1:
            y = a if y is None else matmul(y, a)
        n >>= 1
        if n:
            a = matmul(a, a)
    return y  # to the power 1 the matrix itself, as NumPy's
