"""Tangents of a Jacobian's own run: what reaches an entry, direction by direction, and nothing else.

A Jacobian starts from the identity, so most entries of most tangents are known zeros. A tangent is then a sum of
terms, *coefficient times direction*, and the direction of a term is said in one of two ways:

- an ``int``: that direction for all entries (each of ten curve parameters enters one term of the curve);
- a :class:`Map`: entry by entry, one plus its direction, or 0 for none (a stencil's neighbours, a gather).

:class:`Terms` has directions of both kinds; :class:`Columns` are terms without a map. Elementwise functions scale the
coefficients; movements move maps and coefficients; a sum of two tangents joins their terms, adding up only where the
directions agree. Nothing is coloured and nothing probed: the pattern of the Jacobian comes out of each run anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dualdiff.ownership import SOLE, holders
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import TRACED, ndarray

float64 = np.float64

# --------------------------------------------------------------------------------------------------
# from when on an array of all directions serves better

MOST_COLUMNS = 32
"""A tangent that more directions reach becomes one array: a loop over directions in Python costs more."""
MOST_COLUMNS_OF_SCALARS = 8
"""The same for numbers and short arrays, where there are not many more directions in all."""
MERGED_FROM = 24
"""From so many terms on they are merged, if that makes them fewer, and otherwise become one array."""
MOST_TERMS = 64
"""A tangent with more terms than this is no longer sparse: a loop over them in Python costs more than what it spares."""
LOCAL = 24
"""The most entries of an operand on which one entry of a result may depend, for terms to be pushed through."""
DENSE = 1 << 11
"""An array of all directions with so few elements is quicker than terms, however few they are."""
SMALL = 1 << 15
"""An array of all directions with so many elements is quicker than a handful of terms."""
WORTH_AN_ARRAY = 1 << 16
"""An array of all directions with more elements is never quicker to push than terms, however many they are."""
WORTH_AN_ARRAY_OF_PRODUCTS = 1 << 20
"""The same for a matrix product, which is quicker for its elements."""
MOST_OF_COVECTORS = 8
"""Cotangents of more terms become arrays."""


def most_columns(size: int, directions: int) -> int:
    """Return how many directions, one by one, a tangent of so many entries may have."""
    return MOST_COLUMNS if size > 64 else max(MOST_COLUMNS_OF_SCALARS, directions >> 7)


def is_few(count: int, size: int, directions: int, mapped: bool = True) -> bool:
    """Whether so many terms, of which some have a map, are quicker than an array of all directions, unmerged."""
    if not mapped:
        return count <= most_columns(size, directions)
    return count < 3 or not (count >= directions or (count > 8 and directions * size <= SMALL))


def is_worth_an_array(count: int, directions: int, size: int, product: bool) -> bool:
    """Whether an array of all directions is quicker to push than so many terms one by one; a matrix product is sooner."""
    if product:
        return 32 * count > directions and directions * size <= WORTH_AN_ARRAY_OF_PRODUCTS
    return 8 * count > directions and directions * size <= WORTH_AN_ARRAY


# --------------------------------------------------------------------------------------------------
# tangents that are not one array

ONE = 1.0
"""The coefficient of a seed: known by identity, so that multiplying by it costs nothing."""
INSTEAD: Any = NotImplemented
"""What a push of terms returns where an array of all directions serves better."""


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


class Columns(Terms):
    """Terms without a map, so that a coefficient may be pushed through any function by itself.

    A type says that, not a flag and not the keys, since scalar code asks at every operation. An operation on two
    numbers takes about 2 µs in all: a flag set on each new tangent adds 0.2 to the 0.2 that making it takes, looking
    through two keys for a map 0.7, and the test of the type 0.05.
    """

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
        for v in values:
            if q is v:
                return q.copy()
        return q
    return dtype_of(out).type(q)


def map_of(key: Any, shape: tuple[int, ...]) -> Any:
    """Return the directions of a term as an array of this shape."""
    if type(key) is Map:
        p = key.positions
        return p if p.shape == shape else np.broadcast_to(p, shape)
    return np.broadcast_to(np.int32(key + 1), shape)


def is_identity(positions: Any, directions: int) -> bool:
    """Whether entry by entry a flat map names all directions in their order."""
    return (
        positions.size == directions > 0
        and positions[0] == 1
        and positions[-1] == directions
        and bool((positions[1:] > positions[:-1]).all())
    )


def key_of(positions: Any) -> Any:
    """Return the key of a moved map: one number where all entries have the same direction; None if none is left."""
    if shape_of(positions) and (any(positions.strides) or not positions.size):
        return Map(positions)
    p = int(positions.reshape(-1)[0]) if shape_of(positions) else int(positions)
    return p - 1 if p else None


def spread(c: Any, shape: tuple[int, ...]) -> Any:
    """Return a coefficient with the shape of the value."""
    return c if shape_of(c) == shape else np.broadcast_to(c, shape)


def kind_of(found: Any) -> Any:
    """Return collected terms as what they are: columns if every direction is one number."""
    if type(found) is Terms and not any(type(k) is Map for k in found):
        return Columns(found)
    return found


def places_reached(terms: Any, shape: tuple[int, ...], directions: int) -> Any:
    """Return which entries each direction reaches, the directions in front."""
    ones = type(terms)((key, ONE) for key in terms)
    return np.ascontiguousarray(scattered(ones, shape, directions, np.float64).T).reshape((directions, *shape)) != 0


def whole(terms: Any, rows: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return terms as an array with the rows (or directions) in front."""
    if not TRACED.isdisjoint(map(type, terms.values())):
        if _are_whole_columns(terms, rows):
            return _stacked(terms, rows, shape, dtype)
        return np.reshape(_placed(terms, shape, rows, dtype, 1, size_of(shape)), (rows, *shape))
    if type(terms) is Columns:  # direction by direction: each is written in one stretch of memory
        lines = (np.empty if len(terms) == rows else np.zeros)((rows, *shape), dtype)
        for d, c in terms.items():
            if type(c) is not Scaled:
                lines[d] = c
            elif c.array.shape == shape:
                np.multiply(c.array, c.factor, out=lines[d])
            else:
                lines[d] = c.array * c.factor
        return lines
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
    found = Terms()
    incoming = list(tv.items()) if tv else []
    pairs = list(ty.items()) if ty else []
    plain = TRACED.isdisjoint([type(c) for _, c in incoming])
    if sole:
        ty.clear()  # the pairs alone hold their maps and coefficients now, and each map its positions
    for n in range(len(pairs)):
        own = (
            sole
            and plain
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
            if plain and type(c) not in TRACED:
                c = np.array(spread(c, shape), dtype)
            else:
                c = _written_into(c, shape, dtype, incoming[n : n + 1])
        _write(positions, c, index, incoming[n] if n < len(incoming) else None, v)
        new = Map(positions)  # two maps that differed only where was written are one now
        found[new] = found[new] + c if new in found else c
    for pair in incoming[len(pairs) :]:
        positions, c = np.zeros(shape, np.int32), zeros_beside(pair[1:], shape, dtype)
        _write(positions, c, index, pair, v)
        new = Map(positions)
        found[new] = found[new] + c if new in found else c
    return found


def _written_into(c: Any, shape: tuple[int, ...], dtype: Any, incoming: Sequence[Any]) -> Any:
    """Return a coefficient in memory of its own, which one that comes in can be written into, traced or not."""
    new = zeros_beside((c, *[value for _, value in incoming]), shape, dtype)
    new[...] = c
    return new


def _write(positions: Any, c: Any, index: Any, pair: Any, v: Any) -> None:
    if pair is None:
        positions[index] = 0
        c[index] = 0
        return
    key, value = pair
    if type(key) is int:
        positions[index] = key + 1
        c[index] = value
        return
    shape = shape_of(v)
    positions[index] = map_of(key, shape)
    c[index] = spread(value, shape)


# --------------------------------------------------------------------------------------------------
# putting the directions in front, or at the end


def scattered(terms: Any, shape: tuple[int, ...], directions: int, dtype: Any) -> Any:
    """Return the entries of terms as an array ``(size, directions)``: rows of the Jacobian."""
    size = size_of(shape)
    if not TRACED.isdisjoint(map(type, terms.values())):
        if _are_whole_columns(terms, directions):
            return np.reshape(_stacked(terms, directions, shape, dtype), (directions, size)).T
        return np.reshape(_placed(terms, shape, directions, dtype, directions, 1), (size, directions))
    if type(terms) is Columns:
        return whole(terms, directions, shape, dtype).reshape(directions, size).T
    terms = settled(terms)
    rows = np.zeros((size, directions), dtype)
    flat = rows.reshape(-1)
    base = None
    for n, (key, c) in enumerate(terms.items()):
        if type(key) is int:
            if n == 0:
                rows[:, key] = np.reshape(spread(c, shape), -1) if shape_of(c) else c
            else:
                rows[:, key] += np.reshape(spread(c, shape), -1) if shape_of(c) else c
            continue
        at = key.positions.reshape(-1) if key.positions.shape == shape else map_of(key, shape).reshape(-1)
        if base is None:
            base = np.arange(0, size * directions, directions) - 1 if directions else np.zeros(size, np.intp)
        places = base + at
        value = np.reshape(spread(c, shape), -1) if shape_of(c) else c
        if not at.all():
            inside = at > 0
            places = places[inside]
            value = value[inside] if shape_of(value) else value
        if n == 0:
            flat[places] = value
        else:
            flat[places] += value
    return rows


def _are_whole_columns(terms: Any, directions: int) -> bool:
    """Whether terms are columns, and most of them are there."""
    return type(terms) is Columns and 2 * len(terms) >= directions


def _stacked(terms: Any, directions: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return traced columns as an array with the directions in front, in one step."""
    nothing = np.zeros(shape, dtype)
    return np.stack([spread(terms[d], shape) if d in terms else nothing for d in range(directions)])


def _placed(terms: Any, shape: tuple[int, ...], directions: int, dtype: Any, entry: int, direction: int) -> Any:
    """Return traced coefficients in one flat array: so far from entry to entry, and from direction to direction.

    It takes as many writes as there are terms, whatever the number of directions.
    """
    terms, size = settled(terms), size_of(shape)
    total = size * directions
    flat = zeros_beside(terms.values(), (total,), dtype)
    there = np.zeros(total, bool)
    for key, c in terms.items():
        at = np.reshape(map_of(key, shape), -1)
        inside = np.flatnonzero(at)
        if not inside.size:
            continue
        places = stretch(inside * entry + (at[inside].astype(np.intp) - 1) * direction)
        value = c
        if shape_of(c):
            value = np.reshape(spread(c, shape), -1)
            value = value if inside.size == size else value[stretch(inside)]
        flat[places] = flat[places] + value if there[places].any() else value
        there[places] = True
    return flat


def stretch(places: Any) -> Any:
    """Return ascending places that are equally far apart as a slice, which reads and writes faster; others as they are."""
    if places.size < 2:
        return slice(int(places[0]), int(places[0]) + 1) if places.size else places
    step = int(places[1] - places[0])
    if step > 0 and places[-1] - places[0] == step * (places.size - 1) and bool((np.diff(places) == step).all()):
        return slice(int(places[0]), int(places[-1]) + 1, step)
    return places


def zeros_beside(values: Iterable[Any], shape: tuple[int, ...], dtype: Any) -> Any:
    """Return zeros that these values can be written into: beside traced ones they may come to hold them."""
    for c in values:
        if type(c) in TRACED:
            return np.zeros_like(c, shape=shape, dtype=dtype)
    return np.zeros(shape, dtype)


def entries(terms: Any, shape: tuple[int, ...], dtype: Any) -> tuple[Any, Any]:
    """Return the directions (0 for none) and the coefficients of terms, each as an array ``(terms, size)``."""
    size = size_of(shape)
    maps = np.empty((len(terms), size), np.int32)
    values = zeros_beside(terms.values(), (len(terms), size), dtype)
    for n, (key, c) in enumerate(terms.items()):
        maps[n] = map_of(key, shape).reshape(-1) if type(key) is Map else key + 1
        values[n] = np.reshape(spread(c, shape), -1) if shape_of(c) else c
    return maps, values


def merged(terms: Terms, shape: tuple[int, ...], dtype: Any) -> Terms:
    """Return the same tangent with every direction once per entry, and as few terms as that takes."""
    maps, values = entries(terms, shape, dtype)
    order = np.argsort(maps, axis=0, kind="stable")
    maps, values = np.take_along_axis(maps, order, 0), values[order, np.arange(maps.shape[1])]
    # Runs of equal directions, entry by entry: each is summed into its first place.
    new = np.ones(maps.shape, bool)
    new[1:] = maps[1:] != maps[:-1]
    rank = np.cumsum(new, axis=0) - 1 - (maps[0] == 0)  # the run of "none" counts for nothing
    count = int(rank.max(initial=-1)) + 1
    at = np.broadcast_to(np.arange(maps.shape[1]), maps.shape)
    live = maps > 0
    found_maps = np.zeros((count, maps.shape[1]), np.int32)
    found = zeros_beside((values,), (count, maps.shape[1]), dtype)
    found_maps[rank[live], at[live]] = maps[live]
    np.add.at(found, (rank[live], at[live]), values[live])
    return Terms((Map(p.reshape(shape)), c.reshape(shape)) for p, c in zip(found_maps, found))
