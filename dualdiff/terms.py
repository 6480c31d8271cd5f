"""Tangents of a Jacobian's own run: what reaches an entry, direction by direction, and nothing else.

A Jacobian starts from the identity, so most entries of most tangents are known zeros. A tangent is then a sum of
terms, *coefficient times direction*, and the direction of a term is said in one of two ways:

- an ``int``: that direction for all entries (each of ten curve parameters enters one term of the curve);
- a :class:`Map`: entry by entry, one plus its direction, or 0 for none (a stencil's neighbours, a gather).

:class:`Columns` has directions of the first kind only, :class:`Terms` of both. Elementwise functions scale the
coefficients; movements move maps and coefficients; a sum of two tangents joins their terms, adding up only where the
directions agree. Nothing is coloured and nothing probed: the pattern of the Jacobian comes out of each run anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.labels import OWN, written
from dualdiff.ownership import SOLE, holders
from dualdiff.primitive import TRACED, Elementwise, Movement, Multilinear, Primitive, Sweep, bind
from dualdiff.rules.contraction import matmul_
from dualdiff.rules.elementwise import multiply, select
from dualdiff.rules.indexing import setitem
from dualdiff.rules.movement import concatenate, stack0
from dualdiff.rules.reduction import mean_, sum_
from dualdiff.shapes import dtype_of, shape_of, size_of

ndarray = np.ndarray
float64 = np.float64

ONE = 1.0
"""The coefficient of a seed: known by identity, so that multiplying by it costs nothing."""
MOST_TERMS = 64
"""A tangent with more terms than this is no longer sparse: a loop over them in Python costs more than what it spares."""
LOCAL = 24
"""The most entries of an operand on which one entry of a result may depend, for terms to be pushed through."""
PLAIN_TYPES = frozenset((float, complex, np.float64, np.float32, np.longdouble, np.complex64, np.complex128, ndarray))
INSTEAD: Any = NotImplemented
"""What a push of terms returns where an array of all directions serves better."""


class Columns(dict[int, Any]):
    """Direction -> coefficient, an array that broadcasts to the value's shape."""

    __slots__ = ()


class Map:
    """The direction of every entry: one plus its number, 0 for none. Equal maps are equal as keys."""

    __slots__ = ("positions",)

    def __init__(self, positions: Any) -> None:
        self.positions = positions

    def __hash__(self) -> int:
        p = self.positions
        return hash((p.shape, p.item(0), p.item(-1))) if p.size else 0

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(other) is not Map:
            return False
        a, b = self.positions, other.positions
        if a.shape != b.shape:
            return False
        if a.strides == b.strides and a.__array_interface__["data"] == b.__array_interface__["data"]:
            return True
        return bool((a == b).all())


class Terms(dict[Any, Any]):
    """Direction or map of directions -> coefficient, an array that broadcasts to the value's shape."""

    __slots__ = ()


class Scaled:
    """A coefficient that is a number times an array, not multiplied out: the next factor may be a number again."""

    __slots__ = ("array", "factor")

    def __init__(self, factor: Any, array: Any) -> None:
        self.factor = factor
        self.array = array


def settled(terms: Any) -> Any:
    """Return terms with every product carried out."""
    for c in terms.values():
        if type(c) is Scaled:
            break
    else:
        return terms
    return type(terms)((d, c.array * c.factor if type(c) is Scaled else c) for d, c in terms.items())


def seed(positions: Any) -> Terms:
    """Return the tangent of an input: the identity."""
    return Terms(((Map(positions), ONE),))


def coefficient(q: Any, values: Sequence[Any], out: Any) -> Any:
    """Return a partial that may stand as a tangent: of the result's dtype, and in memory of its own.

    Integers overflow and truths do not add; and a partial that is an operand itself users may write into.
    """
    kind = type(q)
    if kind is float or kind is float64:
        return q
    if kind is ndarray or kind in TRACED:
        dtype = dtype_of(out)
        if q.dtype is not dtype and q.dtype != dtype:
            return q.astype(dtype)
        return q.copy() if q is values[0] or q is values[-1] else q
    return dtype_of(out).type(q)


def map_of(key: Any, shape: tuple[int, ...]) -> Any:
    """Return the directions of a term as an array of this shape."""
    if type(key) is Map:
        p = key.positions
        return p if p.shape == shape else np.broadcast_to(p, shape)
    return np.broadcast_to(np.int32(key + 1), shape)


def _key(positions: Any) -> Any:
    """Return the key of a moved map: one number where all entries have the same direction; None if none is left."""
    if shape_of(positions) and (any(positions.strides) or not positions.size):
        return Map(positions)
    p = int(positions.reshape(-1)[0]) if shape_of(positions) else int(positions)
    return p - 1 if p else None


def _spread(c: Any, shape: tuple[int, ...]) -> Any:
    return c if shape_of(c) == shape else np.broadcast_to(c, shape)


def kind_of(found: Any) -> Any:
    """Return collected terms as what they are: columns if every direction is one number."""
    if type(found) is Terms and not any(type(k) is Map for k in found):
        return Columns(found)
    return found


# --------------------------------------------------------------------------------------------------
# pushing


def push(run: Any, row: Primitive, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
    """Push terms through a primitive; return terms, an array, or ``INSTEAD`` where an array of all directions serves better."""
    tangents = [t if t is None else settled(t) for t in tangents]
    if row.plain:
        return elementwise(run, row, tangents, values, out)  # type: ignore[arg-type]
    if row is select:
        return elementwise(run, select, tangents, values, out, mul=_pick)
    if row is stack0 or row is concatenate:
        return _join(row, tangents, values, params, out)
    if isinstance(row, Movement) and len(tangents) == 1:
        return _move(row, tangents[0], values[0], params)
    if row is setitem:
        return store(tangents, params["index"], out, values[1])
    if row is sum_ or row is mean_:
        return _sum(run, row, tangents, values, params, out)
    if row is matmul_:
        found = _matvec(run, tangents, values, out)
        if found is not INSTEAD:
            return found
        if tangents[0] and len(shape_of(values[0])) == 2 and len(shape_of(values[1])) == 1:
            # Sparse in the matrix: entry by entry, then summed, it stays sparse.
            products = values[0] * values[1]
            terms = elementwise(run, multiply, tangents, values, products)
            return _sum(run, sum_, (terms,), (products,), {"axis": (-1,), "keepdims": False}, out)
    return _local(run, row, tangents, values, params, out)


def elementwise(
    run: Any,
    row: Elementwise,
    tangents: Sequence[Any],
    values: Sequence[Any],
    out: Any,
    found: Any = None,
    mul: Any = None,
) -> Any:
    """Push each term by itself; a partial is computed once for all of them."""
    found = Terms() if found is None else found
    mul = mul or run.mul
    shape = shape_of(out)
    for p, terms, a in zip(row.partials, tangents, values):
        if not terms or p == 0:
            continue
        q = p if type(p) is int else coefficient(row.partial(p, out, values), values, out)
        wider = shape_of(a) != shape
        for key, t in terms.items():
            if type(p) is int:
                c = t if p == 1 else -t
            elif t is ONE:
                c = q
            elif row.singular:
                with np.errstate(invalid="ignore", over="ignore"):
                    c = mul(t, q)
            else:
                c = mul(t, q)
            if wider and type(key) is Map:
                key = Map(np.broadcast_to(key.positions, shape))
            found[key] = found[key] + c if key in found else c
    return found


def _pick(t: Any, chosen: Any) -> Any:
    """Give exactly zero where the other branch was taken, whatever stands there."""
    return np.where(chosen, t, 0.0)


def _move(row: Movement, terms: Any, x: Any, params: Any) -> Any:
    found = Terms()
    shape = shape_of(x)
    for key, c in terms.items():
        if type(key) is int and not row.pads:
            moved: Any = key
        else:
            moved = _key(row.fn(map_of(key, shape), **params))
            if moved is None:
                continue
        if shape_of(c):
            c = bind(row, (_spread(c, shape),), params)
        found[moved] = found[moved] + c if moved in found else c
    return kind_of(found)


def _join(row: Any, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
    """Stack or concatenate: the first terms of all operands are one term, and so the second ones, and so on."""
    listed = [list(t.items()) if t else [] for t in tangents]
    found = Terms()
    for j in range(max([len(terms) for terms in listed], default=0)):
        present = [terms[j] if j < len(terms) else None for terms in listed]
        keys = {p[0] if p else None for p in present}
        if len(keys) == 1 and type(next(iter(keys))) is int:
            key: Any = next(iter(keys))
        else:
            maps = [
                map_of(p[0], shape_of(v)) if p else np.zeros(shape_of(v), np.int32)
                for p, v in zip(present, values, strict=True)
            ]
            key = Map(row.fn(*maps, **params))
        scalars = [p[1] for p in present if p]
        if all(not shape_of(c) and type(c) not in TRACED and c == scalars[0] for c in scalars):
            c = scalars[0]
            if type(key) is int and len(scalars) < len(present):
                return INSTEAD
        else:
            c = bind(
                row,
                [
                    _spread(p[1], shape_of(v)) if p else np.zeros(shape_of(v), dtype_of(out))
                    for p, v in zip(present, values, strict=True)
                ],
                params,
            )
            if dtype_of(c) != dtype_of(out):
                c = c.astype(dtype_of(out))
        if key in found:  # cannot be added up: the same map stands for two terms
            c = found[key] + c
        found[key] = c
    return found


def _sum(run: Any, row: Any, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
    """Sum over axes: few entries give terms, many are added up where their directions say."""
    (terms,) = tangents
    x = values[0]
    shape, result = shape_of(x), shape_of(out)
    axis = params["axis"]
    count = 1
    for a in axis:
        count *= shape[a]
    if count * len(terms) <= LOCAL and result and type(x) is ndarray:
        return _folded(row, terms, shape, axis, count, result, dtype_of(out))
    if type(out) not in PLAIN_TYPES or dtype_of(out).char != "d" or not run.lead:
        return INSTEAD
    k, m = run.lead[0], size_of(result)
    if not TRACED.isdisjoint(map(type, terms.values())) or (run.most is not None and k * m > run.most):
        return INSTEAD
    lane = written(row.labels(0, values, params, out)[1], size_of(shape))
    total = np.zeros(k * m)
    for key, c in terms.items():
        if type(key) is int:
            total.reshape(k, m)[key] += np.reshape(row.fn(_spread(c, shape), **params), -1)
            continue
        at = map_of(key, shape).reshape(-1)
        weights = np.reshape(_spread(c, shape), -1)
        if row is mean_:
            weights = weights / count
        inside = at > 0
        if not inside.all():
            at, weights, lanes = at[inside], weights[inside], lane[inside]
        else:
            lanes = lane
        total += np.bincount((at.astype(np.intp) - 1) * m + lanes, weights, k * m)
    return total.reshape((k, *result))


def _folded(
    row: Any, terms: Any, shape: tuple[int, ...], axis: tuple[int, ...], count: int, result: tuple[int, ...], dtype: Any
) -> Any:
    """Sum over a few entries: the terms of the first of them, of the second, and so on."""
    k = len(axis)
    found = Terms()

    def parted(a: Any) -> Any:
        if sorted(axis) != list(range(-k, 0)):
            a = np.moveaxis(a, tuple(sorted(axis)), tuple(range(-k, 0)))
        return a if k == 1 else a.reshape((*a.shape[: a.ndim - k], count))

    for key, c in terms.items():
        positions = parted(map_of(key, shape)) if type(key) is Map else None
        values = parted(np.broadcast_to(c, shape)) if shape_of(c) else None
        for j in range(count):
            new = key if positions is None else _key(positions[..., j].reshape(result))
            if new is None:
                continue
            q = c if values is None else values[..., j].reshape(result)
            if row is mean_:
                q = dtype.type(q / count) if values is None else q / count
            found[new] = found[new] + q if new in found else q
    return kind_of(found)


def _matvec(run: Any, tangents: Sequence[Any], values: Sequence[Any], out: Any) -> Any:
    """Multiply a plain matrix by a vector of terms: the columns of the matrix, scaled, stand where the map says."""
    a, x = values
    if tangents[0] or type(a) is not ndarray or type(x) is not ndarray or a.ndim != 2 or x.ndim != 1:
        return INSTEAD
    (k,) = run.lead or (0,)
    if len(tangents[1]) != 1 or not k or run.careful:
        return INSTEAD
    ((key, c),) = tangents[1].items()
    if type(key) is not Map or type(c) in TRACED or dtype_of(out).kind != "f":
        return INSTEAD
    at = key.positions
    scaled = a if c is ONE else a * c
    if scaled.dtype != out.dtype:
        scaled = scaled.astype(out.dtype)
    if at.size == k and at[0] == 1 and at[-1] == k and (at[1:] > at[:-1]).all():
        return scaled.T.copy() if scaled is a else scaled.T
    if not at.all() or np.bincount(at).max() > 1:
        return INSTEAD
    columns = np.zeros((a.shape[0], k), out.dtype)
    columns[:, at - 1] = scaled
    return columns.T


def _members(result: Any, operand: Any, size: int, total: int) -> tuple[Any, Any] | None:
    """Return for every entry of a result the entries of the operand it depends on, as (members, number of them)."""
    b = written(operand, total)
    present = np.flatnonzero(b >= 0)
    order = present[np.argsort(b[present], kind="stable")]
    if not order.size:
        return None
    counts = np.bincount(b[order])
    most = int(counts.max())
    if most > LOCAL:
        return None
    starts = np.concatenate([[0], np.cumsum(counts)])
    members = np.full((len(counts), most), -1)
    lane = b[order]
    members[lane, np.arange(order.size) - starts[lane]] = order
    a = written(result, size)
    inside = (a >= 0) & (a < len(counts))
    return np.where(inside[:, None], members[np.where(inside, a, 0)], -1), members


def is_worth_an_array(row: Primitive, count: int, directions: int, size: int) -> bool:
    """Whether an array of all directions is quicker to push than so many terms one by one; a matrix product is sooner."""
    if isinstance(row, Multilinear):
        return 32 * count > directions and directions * size <= 1 << 20
    return 8 * count > directions and directions * size <= 1 << 16


def linked(run: Any, row: Primitive, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
    """Push terms through a product with a constant that has zeros, link by link; None where it has none, or all is wide."""
    shape = shape_of(out)
    if tangents[0] is not None and tangents[1] is not None:
        return None
    k = 0 if tangents[1] is None else 1
    x, terms = values[k], settled(tangents[k])
    if not shape or type(out) is not ndarray or type(x) is not ndarray or not x.ndim or dtype_of(out).kind != "f":
        return None
    # An array of columns is made anyway where most rows have many links: they need not be written out to see that.
    most = None if type(terms) is Columns else LOCAL * size_of(shape)
    links = row.links(k, values, params, out, most)
    if links is None or not TRACED.isdisjoint(map(type, terms.values())):
        return None
    counts = np.diff(links.indptr)
    width = int(counts.max(initial=0))
    count = width * len(terms)
    if width > LOCAL or count > MOST_TERMS or is_worth_an_array(row, count, run.lead[0], size_of(shape)):
        # Directions of all entries would stand in rows that nothing reaches; an array shows what it holds.
        return INSTEAD if type(terms) is Columns and not counts.all() else None
    members = np.full((len(counts), width), -1)
    weights = np.zeros((width, len(counts)), out.dtype)
    at = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(at)) - np.repeat(links.indptr[:-1], counts)
    members[at, place] = links.indices
    weights[place, at] = links.data
    found = Terms()
    for j in range(width):
        _joined_by(run, found, terms, members[:, j], weights[j].reshape(shape), x.shape)
    return found


def _joined_by(run: Any, found: Terms, terms: Any, at: Any, local: Any, operand: tuple[int, ...]) -> None:
    """Add terms times a partial of each result entry by one operand entry, that at ``at`` (-1 for none)."""
    shape = shape_of(local)
    here = at >= 0
    for key, c in terms.items():
        p = map_of(key, operand).reshape(-1)[at]
        if not here.all():
            p = np.where(here, p, 0)
        q = local
        if c is not ONE:
            if shape_of(c):
                c = np.reshape(_spread(c, operand), -1)[at].reshape(shape)
            with np.errstate(invalid="ignore"):
                q = run.mul(c, q)
        new: Any = Map(p.reshape(shape)) if type(key) is Map or not here.all() else key
        found[new] = found[new] + q if new in found else q


def _local(run: Any, row: Primitive, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
    """Push through any primitive whose results depend on few operand entries each, as its labels say.

    The local Jacobian is pushed with one direction per place in a group; its entries multiply the operands' terms.
    """
    shape = shape_of(out)
    if not shape or type(out) is not ndarray:
        return INSTEAD
    if any(dtype_of(v).kind == "c" for v in (out, *values)):
        return INSTEAD  # it may be linear over the reals only
    found = Terms()
    for i, terms in enumerate(tangents):
        if not terms:
            continue
        x = values[i]
        if type(x) is not ndarray or not TRACED.isdisjoint(map(type, terms.values())) or x.ndim == 0:
            return INSTEAD
        labels = row.labels(i, values, params, out)
        if labels[1] is not OWN and type(labels[1]) is int and x.size > LOCAL:
            return INSTEAD
        grouped = _members(*labels, size_of(shape), x.size)
        if grouped is None:
            return INSTEAD
        members, groups = grouped
        width = members.shape[1]
        count = width * len(terms)
        if count > MOST_TERMS or is_worth_an_array(row, count, run.lead[0], size_of(shape)):
            return INSTEAD
        unit = np.zeros((width, x.size), x.dtype)
        for j in range(width):
            at = groups[:, j]
            unit[j, at[at >= 0]] = 1
        local = row.push(
            Sweep((width,), run.careful),
            [unit.reshape((width, *x.shape)) if n == i else None for n in range(len(values))],
            values,
            params,
            out,
        )
        if local is None:
            continue
        for j in range(width):
            _joined_by(run, found, terms, members[:, j], local[j], x.shape)
    return found


# --------------------------------------------------------------------------------------------------
# pulling


def pull(
    row: Primitive, g: Any, ins: Sequence[Any], args: Sequence[Any], params: Any, out: Any, careful: bool, aligned: bool
) -> Any:
    """Pull covectors given as terms (each entry of the result reaches the rows its maps say) to the operands.

    Return for each operand terms, an array of all rows, or None; or ``INSTEAD`` where only an array serves.
    """
    if row.plain:
        if not aligned or careful or row.singular:  # type: ignore[attr-defined]
            return INSTEAD
        return [
            None if i is None or i < 0 or p == 0 else _times(g, p, out, args)
            for i, p in zip(ins, row.partials, strict=True)  # type: ignore[attr-defined]
        ]
    if row.kind == "movement":
        if (row is setitem and not shape_of(args[1])) or (row is stack0 and not shape_of(args[0])):
            return INSTEAD  # entry by entry an array is written in place
        return [None if i is None or i < 0 else _moved_back(row, g, k, args, params, out) for k, i in enumerate(ins)]
    if row is sum_ or row is mean_:
        return [_spread_back(row, g, args[0], params)]
    return INSTEAD


def _times(g: Any, p: Any, out: Any, args: Sequence[Any]) -> Any:
    if type(p) is int:
        return Terms((key, c if p == 1 else -c) for key, c in g.items())
    q = coefficient(p(out, *args), args, out)
    if type(q) is ndarray and any(q is a for a in args):
        q = q.copy()
    return Terms((key, q if c is ONE else c * q) for key, c in g.items())


def _moved_back(row: Any, g: Any, k: int, args: Sequence[Any], params: Any, out: Any) -> Any:
    """Put each entry's rows where the entry was taken from, if none was taken twice."""
    shape = shape_of(args[k])
    size = size_of(shape)
    labels, own = row.labels(k, args, params, out)
    if own is not OWN:
        return INSTEAD
    if labels is not OWN:
        labels = written(labels, size_of(shape_of(out)))
        inside = labels >= 0
        labels = labels[inside]
        if labels.size and np.bincount(labels).max() > 1:
            return INSTEAD
    found = Terms()
    for key, c in g.items():
        at = np.reshape(map_of(key, shape_of(out)), -1)
        values = np.reshape(_spread(c, shape_of(out)), -1) if shape_of(c) else c
        if labels is OWN:
            positions = at
        else:
            positions = np.zeros(size, at.dtype)
            positions[labels] = at[inside]
            if shape_of(values):
                whole = np.zeros(size, values.dtype)
                whole[labels] = values[inside]
                values = whole
        new = Map(positions.reshape(shape))
        values = values.reshape(shape) if shape_of(values) else values
        found[new] = found[new] + values if new in found else values
    return found


def _spread_back(row: Any, g: Any, x: Any, params: Any) -> Any:
    shape, axis = shape_of(x), params["axis"]
    folded = tuple([1 if i - len(shape) in axis else s for i, s in enumerate(shape)])
    count = 1
    for a in axis:
        count *= shape[a]
    found = Terms()
    for key, c in g.items():
        new = key if type(key) is int else Map(np.broadcast_to(key.positions.reshape(folded), shape))
        q = c / count if row is mean_ else c
        found[new] = np.broadcast_to(q.reshape(folded), shape) if shape_of(q) else q
    return found


def whole(terms: Any, rows: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return terms as an array with the rows (or directions) in front."""
    return np.ascontiguousarray(scattered(terms, shape, rows, dtype).T).reshape((rows, *shape))


# --------------------------------------------------------------------------------------------------
# writing


def store(tangents: Any, index: Any, out: Any, v: Any) -> Any:
    """Return the terms of ``y`` after ``y[index] = v``, given those of ``y`` and of ``v``.

    Terms of ``y`` that nobody holds but ``tangents`` are taken apart and written into.
    """
    sole = type(tangents[0]) is Terms and holders(tangents[0]) == SOLE
    ty, tv = tangents
    shape, dtype = shape_of(out), dtype_of(out)
    if not TRACED.isdisjoint(map(type, (*(ty or {}).values(), *(tv or {}).values()))):
        return INSTEAD
    found = Terms()
    incoming = list(tv.items()) if tv else []
    single = not shape_of(v)
    pairs = list(ty.items()) if ty else []
    if sole:
        ty.clear()  # the pairs alone hold their maps and coefficients now, and each map its positions
    for n in range(len(pairs)):
        own = (
            sole
            and type(pairs[n][0]) is Map
            and type(pairs[n][1]) is ndarray
            and holders(pairs[n][0]) == SOLE
            and holders(pairs[n][0].positions) == SOLE
            and holders(pairs[n][1]) == SOLE
        )
        key, c = pairs[n]
        if own:
            positions = key.positions
            own = (
                positions.shape == shape == c.shape
                and positions.base is None
                and c.base is None
                and positions.flags.writeable
                and c.flags.writeable
                and c.dtype == dtype
            )
        if not own:
            positions = np.array(map_of(key, shape))
            c = np.array(_spread(c, shape), dtype)
        _write(positions, c, index, incoming[n] if n < len(incoming) else None, v, single)
        new = Map(positions)  # two maps that differed only where was written are one now
        found[new] = found[new] + c if new in found else c
    for pair in incoming[len(pairs) :]:
        positions, c = np.zeros(shape, np.int32), np.zeros(shape, dtype)
        _write(positions, c, index, pair, v, single)
        new = Map(positions)
        found[new] = found[new] + c if new in found else c
    return found


def _write(positions: Any, c: Any, index: Any, pair: Any, v: Any, single: bool) -> None:
    if pair is None:
        positions[index] = 0
        c[index] = 0
        return
    key, value = pair
    if single and type(key) is int:
        positions[index] = key + 1
        c[index] = value
        return
    shape = shape_of(v)
    positions[index] = map_of(key, shape)
    c[index] = _spread(value, shape)


# --------------------------------------------------------------------------------------------------
# putting the directions in front, or at the end


def scattered(terms: Any, shape: tuple[int, ...], directions: int, dtype: Any) -> Any:
    """Return the entries of terms as an array ``(size, directions)``: rows of the Jacobian."""
    size = size_of(shape)
    if type(terms) is Columns:  # direction by direction: each is written in one stretch of memory
        lines = (np.empty if len(terms) == directions else np.zeros)((directions, size), dtype)
        for d, c in terms.items():
            if type(c) is Scaled:
                if c.array.shape == shape:
                    np.multiply(c.array.reshape(-1), c.factor, out=lines[d])
                    continue
                c = c.array * c.factor
            lines[d] = np.reshape(_spread(c, shape), -1) if shape_of(c) else c
        return lines.T
    terms = settled(terms)
    whole = np.zeros((size, directions), dtype)
    flat = whole.reshape(-1)
    base = None
    for n, (key, c) in enumerate(terms.items()):
        if type(key) is int:
            if n == 0:
                whole[:, key] = np.reshape(_spread(c, shape), -1) if shape_of(c) else c
            else:
                whole[:, key] += np.reshape(_spread(c, shape), -1) if shape_of(c) else c
            continue
        at = key.positions.reshape(-1) if key.positions.shape == shape else map_of(key, shape).reshape(-1)
        if base is None:
            base = np.arange(0, size * directions, directions) - 1 if directions else np.zeros(size, np.intp)
        places = base + at
        value = np.reshape(_spread(c, shape), -1) if shape_of(c) else c
        if not at.all():
            inside = at > 0
            places = places[inside]
            value = value[inside] if shape_of(value) else value
        if n == 0:
            flat[places] = value
        else:
            flat[places] += value
    return whole


def entries(terms: Any, shape: tuple[int, ...], dtype: Any) -> tuple[Any, Any]:
    """Return the directions (0 for none) and the coefficients of terms, each as an array ``(terms, size)``."""
    size = size_of(shape)
    maps = np.empty((len(terms), size), np.int32)
    values = np.empty((len(terms), size), dtype)
    for n, (key, c) in enumerate(terms.items()):
        maps[n] = map_of(key, shape).reshape(-1) if type(key) is Map else key + 1
        values[n] = np.reshape(_spread(c, shape), -1) if shape_of(c) else c
    return maps, values


def merged(terms: Terms, shape: tuple[int, ...], dtype: Any) -> Terms:
    """Return the same tangent with every direction once per entry, and as few terms as that takes."""
    maps, values = entries(terms, shape, dtype)
    order = np.argsort(maps, axis=0, kind="stable")
    maps, values = np.take_along_axis(maps, order, 0), np.take_along_axis(values, order, 0)
    # Runs of equal directions, entry by entry: each is summed into its first place.
    new = np.ones(maps.shape, bool)
    new[1:] = maps[1:] != maps[:-1]
    rank = np.cumsum(new, axis=0) - 1 - (maps[0] == 0)  # the run of "none" counts for nothing
    count = int(rank.max(initial=-1)) + 1
    at = np.broadcast_to(np.arange(maps.shape[1]), maps.shape)
    live = maps > 0
    found_maps = np.zeros((count, maps.shape[1]), np.int32)
    found = np.zeros((count, maps.shape[1]), dtype)
    found_maps[rank[live], at[live]] = maps[live]
    np.add.at(found, (rank[live], at[live]), values[live])
    return Terms((Map(p.reshape(shape)), c.reshape(shape)) for p, c in zip(found_maps, found))


__all__ = [
    "INSTEAD",
    "ONE",
    "Columns",
    "Map",
    "Scaled",
    "Terms",
    "coefficient",
    "elementwise",
    "entries",
    "linked",
    "merged",
    "push",
    "scattered",
    "seed",
    "store",
    "whole",
]
