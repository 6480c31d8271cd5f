"""Arrays read between their entries: by splines on the grid of their indices, whose coefficients a filter makes of the entries."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from scipy import ndimage, special

from dualdiff.kinds import Discrete, Linear
from dualdiff.kinds.kinks import Kink, size
from dualdiff.labels import Labels, lanes
from dualdiff.operators import stop_gradient
from dualdiff.register import Facts
from dualdiff.rules.elementwise import cast
from dualdiff.scipy.interpolate.pieces import meeting
from dualdiff.scipy.ndimage.borders import (
    MODES,
    ROOM,
    array,
    extended,
    finished,
    mode_of,
    one_axis,
    plain,
    reached,
    sequence,
)
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind, fixed, operand

ALL = {**MODES, "grid-wrap": "grid-wrap", "grid-constant": "grid-constant"}
joint = Discrete("scipy.ndimage", lambda distance: np.equal(distance, 0))
"""Whether a coordinate is that of an entry, where two linear pieces meet."""
joint.kink = Kink(
    size, "the mean of the slopes beside the entry", "coordinates between the entries, or order=2 or more"
)
KINKS = Facts(kinks=[joint.kink])
PAD = 12
"""By how much SciPy continues an array for whose mode its spline filter has no exact border."""

# --------------------------------------------------------------------------------------------------
# the spline filter


@lru_cache(maxsize=16)
def _matrix(n: int, order: int, mode: str) -> Any:
    found = ndimage.spline_filter1d(np.eye(n), order, axis=0, mode=mode)
    found.flags.writeable = False
    return found


def _filtered(x: Any, *, axis: int, order: int, mode: str) -> Any:
    return ndimage.spline_filter1d(x, order, axis, output=np.promote_types(x.dtype, np.float64), mode=mode)


def _transposed(g: Any, x: Any, *, axis: int, order: int, mode: str) -> Any:
    matrix = _matrix(shape_of(x)[axis], order, mode)
    return np.moveaxis(np.moveaxis(g, axis, -1) @ matrix, -1, axis)


def _joins(k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
    return lanes(shape_of(args[0]), shape_of(out), (params["axis"],))


spline_filter_ = Linear("scipy.ndimage.spline_filter1d", _filtered, _transposed, joins=_joins)


def _spline_filter(x: Any, order: int, mode: str) -> Any:
    rank = len(shape_of(x))
    for axis in range(rank):
        x = bind(spline_filter_, (x,), {"axis": axis - rank, "order": order, "mode": mode})
    return x


@ROOM.function("spline_filter1d", kind="linear", domain=None)
def spline_filter1d(input: Any, order: int = 3, axis: int = -1, output: Any = np.float64, mode: str = "mirror") -> Any:
    """``scipy.ndimage.spline_filter1d``."""
    if order < 0 or order > 5:
        raise RuntimeError("spline order not supported")
    x = array(input)
    mode_of(mode, ALL)
    rank = len(shape_of(x))
    found = (
        x
        if order < 2
        else bind(spline_filter_, (x,), {"axis": one_axis(axis, rank) - rank, "order": order, "mode": mode})
    )
    return finished(found, output, x, "spline_filter1d")


@ROOM.function("spline_filter", kind="linear", domain=None)
def spline_filter(input: Any, order: int = 3, output: Any = np.float64, mode: str = "mirror") -> Any:
    """``scipy.ndimage.spline_filter``."""
    if order < 2 or order > 5:
        raise RuntimeError("spline order not supported")
    x = array(input)
    mode_of(mode, ALL)
    return finished(_spline_filter(x, order, mode), output, x, "spline_filter")


# --------------------------------------------------------------------------------------------------
# places and weights along an axis


def _weights(u: Any, order: int) -> Any:
    """Return the values of the splines of an order on whole numbers that live at ``u`` in [0, 1] of an interval, first to last."""
    found: Any = np.ones((1, *shape_of(u)))
    none = np.zeros((1, *shape_of(u)))
    for d in range(1, order + 1):
        m = np.reshape(np.arange(d), (d, *(1,) * len(shape_of(u))))
        found = found / d
        falls, rises = (1 + m - u) * found, (u - (1 - d + m)) * found
        found = np.concatenate([falls, none]) + np.concatenate([none, rises])
    return found


def _mapped(c: Any, n: int, mode: str) -> tuple[Any, Any]:
    """Return coordinates moved to where the array is, and which of them read the constant."""
    if mode == "constant":
        return c, (c < 0) | (c > n - 1)
    if mode in ("nearest", "grid-constant"):  # the places around them are moved
        return c, None
    if n == 1:
        return 0.0 * c, None
    if mode == "wrap":
        period = n - 1
        held = stop_gradient(c)
        turns = np.where(c < 0, np.floor(-held / period) + 1, np.where(c > n - 1, -np.floor(held / period), 0.0))
        return c + period * turns, None
    if mode == "grid-wrap":
        return c - n * np.floor(stop_gradient(c) / n), None
    if mode == "mirror":
        period = 2 * n - 2
        r = c - period * np.floor(stop_gradient(c) / period)
        return np.where((c < 0) & (r > n - 1) | (r >= n), period - r, r), None
    r = c - 2 * n * np.floor(stop_gradient(c) / (2 * n))
    return np.where(r >= n, 2 * n - 1 - r, r), None


def _places(c: Any, n: int, order: int, mode: str, before: bool = False) -> tuple[Any, Any]:
    """Return the places an axis is read at, -1 for the constant, and their weights; ``before``: those of the interval before."""
    base = np.floor(stop_gradient(c)) if order % 2 else np.floor(stop_gradient(c) + 0.5)
    if before:
        base = np.ceil(stop_gradient(c)) - 1
    u = c - base if order % 2 else c + 0.5 - base
    first = fixed(base.astype(int) if shape_of(base) else np.asarray(base).astype(int)) - order // 2
    steps = np.reshape(np.arange(order + 1), (order + 1, *(1,) * len(shape_of(c))))
    beyond = {"constant": "mirror", "wrap": "mirror", "grid-wrap": "wrap", "grid-constant": "constant"}.get(mode, mode)
    return reached(first + steps, n, beyond), _weights(u, order)


def _coefficients(x: Any, order: int, mode: str, cval: Any, prefilter: bool) -> tuple[Any, int]:
    """Return the spline's coefficients, and by how many places they begin before the array."""
    if not prefilter or order < 2:
        return x, 0
    pad = 0
    if mode in ("nearest", "grid-constant"):
        pad = PAD
        for axis in range(len(shape_of(x))):
            x = extended(x, axis, pad, pad, "nearest" if mode == "nearest" else "constant", cval)
    return _spline_filter(cast(x, np.promote_types(dtype_of(x), np.float64), copy=False), order, mode), pad


def _given(order: Any, mode: Any, cval: Any) -> tuple[int, str, Any]:
    if order < 0 or order > 5:
        raise RuntimeError("spline order not supported")
    return int(order), mode_of(mode, ALL), plain(cval, "cval")


def _lies_on_knots(c: Any, order: int, n: int, mode: str) -> Any:
    """Return which coordinates lie where two linear pieces meet; of the constant's border only the inside counts."""
    if order != 1:
        return None
    whole = np.floor(stop_gradient(c))
    counts = (c > 0) & (c < n - 1) if mode == "constant" else np.ones(shape_of(c), bool)
    on = bind(joint, (np.where(counts, c - whole, 1.0),), {})
    return on if fixed(np.any(on)) else None


def _read(x: Any, coordinates: list[Any], order: int, mode: str, cval: Any, prefilter: bool) -> Any:
    """Return an array read at points, given by their coordinates along each axis."""
    c, pad = _coefficients(x, order, mode, cval, prefilter)
    sizes = shape_of(c)
    outside: Any = None
    moved = []
    for k, one in enumerate(coordinates):
        own, beyond = _mapped(one + pad if pad else one, sizes[k], mode)
        moved.append(own)
        if beyond is not None:
            outside = beyond if outside is None else outside | beyond

    def at(points: list[Any], other: int | None = None) -> Any:
        d = len(points)
        places, weights, missing = [], [], []
        for k, p in enumerate(points):
            i, w = _places(p, sizes[k], order, mode, k == other)
            shape = (*(1,) * k, order + 1, *(1,) * (d - k - 1), *shape_of(p))
            places.append(np.reshape(i, shape))
            missing.append(np.reshape(i < 0, shape))
            weights.append(w)
        found = c[tuple(places)]
        if mode == "grid-constant" and any(m.any() for m in missing):
            found = np.where(np.logical_or.reduce(np.broadcast_arrays(*missing)), cval, found)
        for k, w in enumerate(weights):
            found = np.sum(found * np.reshape(w, (order + 1, *(1,) * (d - k - 1), *shape_of(w)[1:])), axis=0)
        return found

    found = at(moved)
    for k, one in enumerate(moved):
        on = _lies_on_knots(one, order, sizes[k], mode)
        if on is not None:

            def apart(p: Any, k: int = k) -> Any:
                points = [*moved[:k], p, *moved[k + 1 :]]
                return at(points, k) - at(points)

            found = meeting(found, apart, one, stop_gradient(one), on)
    return found if outside is None else np.where(outside, cval, found)


def _axis_by_axis(x: Any, coordinates: list[Any], order: int, mode: str, cval: Any, prefilter: bool) -> Any:
    """Return an array read on a grid, given by the coordinates of its lines along each axis."""
    c, pad = _coefficients(x, order, mode, cval, prefilter)
    rank = len(shape_of(c))
    beyond = []
    for k, one in enumerate(coordinates):
        n = shape_of(c)[k]
        p, outside = _mapped(one + pad if pad else one, n, mode)
        if outside is not None and fixed(np.any(outside)):
            beyond.append(np.reshape(outside, (*(1,) * k, -1, *(1,) * (rank - k - 1))))
        held = c

        def at(p: Any, before: bool = False, k: int = k, n: int = n, held: Any = held) -> Any:
            i, w = _places(p, n, order, mode, before)
            found = np.take(held, np.maximum(i, 0), axis=k)  # the places of every line take two axes
            tail = (1,) * (rank - k - 1)
            if mode == "grid-constant" and (i < 0).any():
                found = np.where(np.reshape(i < 0, (*i.shape, *tail)), cval, found)
            return np.sum(found * np.reshape(w, (*shape_of(w), *tail)), axis=k)

        c = at(p)
        on = _lies_on_knots(p, order, n, mode)
        if on is not None:
            on_lines = np.reshape(on, (*(1,) * k, -1, *(1,) * (rank - k - 1)))
            c = meeting(c, lambda q, at=at: at(q, True) - at(q), p, stop_gradient(p), on_lines)
    for outside in beyond:
        c = np.where(outside, cval, c)
    return c


# --------------------------------------------------------------------------------------------------
# SciPy's functions


@ROOM.function("map_coordinates", domain=None, facts=KINKS)
def map_coordinates(
    input: Any,
    coordinates: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
) -> Any:
    """``scipy.ndimage.map_coordinates``, by the array and by the coordinates."""
    order, mode, cval = _given(order, mode, cval)
    x, at = array(input), operand(coordinates)
    if dtype_of(at).kind == "c":
        raise TypeError("Complex type not supported")
    shape = shape_of(at)[1:]
    rank = len(shape_of(x))
    if rank < 1 or len(shape) < 1:
        raise RuntimeError("input and output rank must be > 0")
    if shape_of(at)[0] != rank:
        raise RuntimeError("invalid shape for coordinate array")
    at = np.reshape(cast(at, np.float64, copy=False), (rank, -1))
    found = _read(x, [at[k] for k in range(rank)], order, mode, cval, prefilter)
    return finished(np.reshape(found, shape), output, x, "map_coordinates")


@ROOM.function("shift", domain=None, facts=KINKS)
def shift(
    input: Any,
    shift: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
) -> Any:
    """``scipy.ndimage.shift``, by the array and by the shift."""
    order, mode, cval = _given(order, mode, cval)
    x = array(input)
    lines = [np.arange(float(n)) - s for n, s in zip(shape_of(x), sequence(shift, len(shape_of(x))))]
    return finished(_axis_by_axis(x, lines, order, mode, cval, prefilter), output, x, "shift")


@ROOM.function("zoom", domain=None)
def zoom(
    input: Any,
    zoom: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
    *,
    grid_mode: bool = False,
) -> Any:
    """``scipy.ndimage.zoom``, by the array: of the factor only the rounded size of the result matters."""
    order, mode, cval = _given(order, mode, cval)
    x = array(input)
    factors = sequence(plain(zoom, "the zoom factor"), len(shape_of(x)))
    if all(z == 1 for z in factors) and prefilter:
        return finished(x, output, x, "zoom")
    lines = []
    for n, z in zip(shape_of(x), factors):
        m = round(n * z)
        of, by = (n, m) if grid_mode else (n - 1, m - 1)
        step = of / by if by else 1.0
        lines.append((np.arange(float(m)) + 0.5) * step - 0.5 if grid_mode else np.arange(float(m)) * step)
    return finished(_axis_by_axis(x, lines, order, mode, cval, prefilter), output, x, "zoom")


@ROOM.function("affine_transform", domain=None, facts=KINKS)
def affine_transform(
    input: Any,
    matrix: Any,
    offset: Any = 0.0,
    output_shape: Any = None,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
) -> Any:
    """``scipy.ndimage.affine_transform``, by the array, the matrix and the offset."""
    order, mode, cval = _given(order, mode, cval)
    x, m = array(input), operand(matrix)
    rank = len(shape_of(x))
    shape = shape_of(x) if output_shape is None else tuple(int(n) for n in plain(output_shape, "output_shape"))
    if len(shape_of(m)) not in (1, 2) or shape_of(m)[0] < 1:
        raise RuntimeError("no proper affine matrix provided")
    if len(shape_of(m)) == 2 and shape_of(m)[1] == rank + 1 and shape_of(m)[0] in (rank, rank + 1):
        if shape_of(m)[0] == rank + 1 and fixed(np.any(np.not_equal(m[rank], [0] * rank + [1]))):
            raise ValueError(
                f"Expected homogeneous transformation matrix with shape {shape_of(m)} for image shape {shape_of(x)}, but bottom row "
                f"was not equal to {[0] * rank + [1]}"
            )
        offset, m = m[:rank, rank], m[:rank, :rank]
    if shape_of(m)[0] != rank:
        raise RuntimeError("affine matrix has wrong number of rows")
    offsets = sequence(offset, rank)
    if len(shape_of(m)) == 1:
        lines = [np.arange(float(shape[k])) * m[k] + offsets[k] for k in range(rank)]
        return finished(_axis_by_axis(x, lines, order, mode, cval, prefilter), output, x, "affine_transform")
    if shape_of(m)[1] != len(shape):
        raise RuntimeError("affine matrix has wrong number of columns")
    grid = np.reshape(np.indices(shape).astype(float), (len(shape), -1))
    coordinates = []
    for k in range(rank):
        total = offsets[k]
        for j in range(len(shape)):
            total = total + m[k, j] * grid[j]
        coordinates.append(total)
    found = _read(x, coordinates, order, mode, cval, prefilter)
    return finished(np.reshape(found, shape), output, x, "affine_transform")


@ROOM.function("rotate", domain=None, facts=KINKS)
def rotate(
    input: Any,
    angle: Any,
    axes: Any = (1, 0),
    reshape: bool = True,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
) -> Any:
    """``scipy.ndimage.rotate``, by the array and by the angle; the shape of the result is that at this angle."""
    x = array(input)
    rank = len(shape_of(x))
    if rank < 2:
        raise ValueError("input array should be at least 2D")
    if len(list(axes)) != 2:
        raise ValueError("axes should contain exactly two values")
    if not all(float(axis).is_integer() for axis in axes):
        raise ValueError("axes should contain only integer values")
    first, second = sorted(int(axis) + rank if axis < 0 else int(axis) for axis in axes)
    if first < 0 or second >= rank:
        raise ValueError("invalid rotation plane specified")
    c, s = special.cosdg(angle), special.sindg(angle)
    turn = np.stack([np.stack([c, s]), np.stack([-s, c])])
    own = np.array([shape_of(x)[first], shape_of(x)[second]])
    plane = own
    if reshape:
        corners = turn @ np.array([[0, 0, own[0], own[0]], [0, own[1], 0, own[1]]])
        plane = fixed(np.floor(np.max(corners, axis=1) - np.min(corners, axis=1) + 0.5)).astype(int)
    offset = (own - 1) / 2 - turn @ ((plane - 1) / 2)
    shape = tuple(int(n) for n in plane)
    moved = np.moveaxis(x, (first, second), (0, 1))
    rest = shape_of(moved)[2:]
    layers = np.reshape(moved, (*shape_of(moved)[:2], -1))
    turned = [
        affine_transform(layers[:, :, k], turn, offset, shape, output, order, mode, cval, prefilter)
        for k in range(shape_of(layers)[2])
    ]
    found = np.reshape(np.stack(turned, axis=-1), (*shape, *rest))
    return finished(np.moveaxis(found, (0, 1), (first, second)), output, x, "rotate")


__all__ = ["affine_transform", "map_coordinates", "rotate", "shift", "spline_filter", "zoom"]
