"""Calls that move, join, repeat and cut."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dualdiff.register import name_of
from tests.catalogue.base import Sample, arrays, distinct

SAMPLES: list[Sample] = []
SEEN: dict[str, int] = {}
# duck=False: which entries are read depends on their values, which an array that refuses coercion does not show.


def add(function: Any, call: Callable[..., Any], *shapes: Any, domain: str = "real", **options: Any) -> None:
    """Add one sample; operands are drawn of the shapes given (or from the strategies given)."""
    if function is None:
        return
    name = name_of(function)
    SEEN[name] = SEEN.get(name, 0) + 1
    operands = st.tuples(*[s if isinstance(s, st.SearchStrategy) else arrays(s, domain) for s in shapes])
    SAMPLES.append(Sample(f"{name} {SEEN[name]}", function, call, operands, **options))


# other shapes of the same entries
add(np.reshape, lambda x: np.reshape(x, (3, 2)), (2, 3), complex=True)
add(np.reshape, lambda x: x.reshape(2, -1, 1), (4, 3))
add(np.reshape, lambda x: np.reshape(x, (3, 4), order="F"), (2, 3, 2))
add(np.reshape, lambda x: np.reshape(x.T, (2, 6), order="A"), (2, 6))
if "copy" in inspect.signature(np.reshape).parameters:  # since NumPy 2.1
    add(np.reshape, lambda x: np.reshape(x, -1, copy=True), (2, 2))
add(np.reshape, lambda x: x.reshape(1), ())
add(np.reshape, lambda x: np.reshape(x, (0, 3)), (3, 0))
add(np.ravel, np.ravel, (2, 3))
add(np.ravel, lambda x: np.ravel(x, order="F"), (2, 3, 2))
add(np.ravel, lambda x: x.T.ravel(order="K"), (2, 3))
add(np.ravel, lambda x: x.flatten(), (2, 3))
add(np.transpose, np.transpose, (2, 3, 4), complex=True)
add(np.transpose, lambda x: x.transpose(1, -1, 0), (2, 3, 4))
add(np.transpose, lambda x: x.T, (3,))
add(np.transpose, np.transpose, ())
add(np.swapaxes, lambda x: np.swapaxes(x, 0, -1), (2, 3, 4))
add(np.swapaxes, lambda x: x.swapaxes(1, 0), (2, 3))
add(np.moveaxis, lambda x: np.moveaxis(x, 0, -1), (2, 3, 4))
add(np.moveaxis, lambda x: np.moveaxis(x, [0, -1], [-2, 0]), (2, 3, 4))
add(np.rollaxis, lambda x: np.rollaxis(x, 2), (2, 3, 4))
add(np.rollaxis, lambda x: np.rollaxis(x, 0, 3), (2, 3, 4))
add(np.matrix_transpose, np.matrix_transpose, (2, 3, 4))
add(np.linalg.matrix_transpose, np.linalg.matrix_transpose, (2, 3))
add(np.matrix_transpose, lambda x: x.mT, (2, 3), duck=True)
add(np.squeeze, np.squeeze, (1, 3, 1))
add(np.squeeze, lambda x: np.squeeze(x, axis=(0, -1)), (1, 1, 2, 1))
add(np.squeeze, np.squeeze, (1, 1))
add(np.expand_dims, lambda x: np.expand_dims(x, 1), (2, 3))
add(np.expand_dims, lambda x: np.expand_dims(x, (0, -1)), (2, 3))
add(np.expand_dims, lambda x: np.expand_dims(x, 0), ())
for _f in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    for _s in ((), (2,), (2, 3), (2, 1, 3)):
        add(_f, _f, _s)
add(np.atleast_2d, lambda x, y: np.atleast_2d(x, y), (2,), ())
add(np.broadcast_to, lambda x: np.broadcast_to(x, (4, 2, 3)), (2, 1))
add(np.broadcast_to, lambda x: np.broadcast_to(x, (3,)), ())
add(np.broadcast_to, lambda x: np.broadcast_to(x, (0, 3)), (3,))
add(np.broadcast_arrays, lambda x, y: np.broadcast_arrays(x, y), (2, 1), (3,))
add(np.flip, np.flip, (2, 3))
add(np.flip, lambda x: np.flip(x, (0, -1)), (2, 3, 2))
add(np.fliplr, np.fliplr, (2, 3))
add(np.flipud, np.flipud, (2, 3))
for _k in range(-1, 4):
    add(np.rot90, lambda x, k=_k: np.rot90(x, k), (2, 3))
add(np.rot90, lambda x: np.rot90(x, 1, axes=(2, 0)), (2, 3, 4))
add(np.copy, np.copy, (2, 3))
add(np.ascontiguousarray, lambda x: np.ascontiguousarray(x, like=x), (2, 3), duck=False)

# diagonals and triangles
add(np.diagonal, np.diagonal, (3, 4), complex=True)
add(np.diagonal, lambda x: np.diagonal(x, 1, 0, 2), (3, 2, 4))
add(np.diagonal, lambda x: np.diagonal(x, -2, axis1=2, axis2=1), (2, 3, 4))
add(np.diagonal, lambda x: x.diagonal(5), (3, 4))
add(np.linalg.diagonal, lambda x: np.linalg.diagonal(x, offset=1), (2, 3, 3))
add(np.diag, np.diag, (3,))
add(np.diag, lambda x: np.diag(x, -2), (3,))
add(np.diag, lambda x: np.diag(x, 1), (3, 4))
add(np.diagflat, lambda x: np.diagflat(x, 1), (2, 2))
for _f in (np.tril, np.triu):
    add(_f, _f, (3, 4), complex=True)
    add(_f, lambda x, f=_f: f(x, 1), (2, 3, 3))
    add(_f, lambda x, f=_f: f(x, -1), (3,))

# joining
for _f in (np.concatenate, np.hstack, np.vstack, np.dstack, np.column_stack, np.stack):
    add(_f, lambda x, y, f=_f: f((x, y, x)), (2, 3), (2, 3), complex=True)
    add(_f, lambda x, f=_f: f([x, np.arange(3.0), x]), (3,), duck=False)
add(np.concatenate, lambda x, y: np.concatenate([x, y], axis=-1), (2, 3), (2, 1))
add(np.concatenate, lambda x, y: np.concatenate([x, y], axis=None), (2, 3), ())
add(np.concatenate, lambda x, y: np.concatenate((x, y), axis=1), (2, 0, 2), (2, 3, 2))
add(np.concatenate, lambda x: np.concatenate(x, axis=-1), (2, 2, 3), duck=False)
add(np.concatenate, lambda x: np.concatenate((x, np.arange(2))), (2,), float32=False, duck=False)
add(np.stack, lambda x, y: np.stack([x, y], axis=-1), (2, 3), (2, 3))
add(np.stack, lambda x, y: np.stack([x, y], axis=1), (2, 3), (2, 3))
add(np.stack, lambda x: np.stack([x[0], x[2], 2.0 * x[0]]), (3,))
add(np.stack, lambda x: np.stack([x[1], 1.0], axis=0), (3,), float32=False, duck=False)
add(np.hstack, lambda x: np.hstack([x[0], x[1:], x[2]]), (3,))
add(np.vstack, lambda x, y: np.vstack([x, y]), (3,), (2, 3))
add(np.column_stack, lambda x, y: np.column_stack([x, y]), (2,), (2, 3))
add(np.block, lambda x, y: np.block([[x, y], [y[:, :1], x[:, :1], x]]), (2, 2), (2, 2))
add(np.block, lambda x: np.block([x, 2.0 * x]), (3,))
add(np.block, lambda x, y: np.block([[x[0], y], [y, x[1]]]), (2,), ())
add(np.append, lambda x, y: np.append(x, y), (2, 2), (3,))
add(np.append, lambda x, y: np.append(x, y, axis=1), (2, 2), (2, 1))
add(np.insert, lambda x, y: np.insert(x, 1, y), (4,), ())
add(np.insert, lambda x, y: np.insert(x, [0, 2, 2], y), (4,), (3,))
add(np.insert, lambda x, y: np.insert(x, 1, y, axis=1), (2, 3), (2,))
add(np.insert, lambda x, y: np.insert(x, slice(0, 3), y, axis=0), (3, 2), (2,))
add(np.delete, lambda x: np.delete(x, 1), (4,))
add(np.delete, lambda x: np.delete(x, [0, -1], axis=1), (2, 4))
add(np.choose, lambda x, y: np.choose([0, 1, 1], [x, y]), (3,), (2, 1))
add(np.choose, lambda x, y: np.choose(np.array([0, 3, -1]), [x, y], mode="wrap"), (3,), (3,))

# cutting
add(np.split, lambda x: np.split(x, 3), (6,))
add(np.split, lambda x: np.split(x, [1, 3], axis=-1), (2, 4))
add(np.array_split, lambda x: np.array_split(x, 3), (5, 2))
add(np.hsplit, lambda x: np.hsplit(x, 2), (2, 4))
add(np.vsplit, lambda x: np.vsplit(x, [1]), (3, 2))
add(np.dsplit, lambda x: np.dsplit(x, 2), (1, 2, 4))
add(getattr(np, "unstack", None), lambda x: np.unstack(x, axis=-1), (2, 3))  # type: ignore[attr-defined]
add(np.trim_zeros, lambda x: np.trim_zeros(np.concatenate((0 * x[:2], x))), (3,), domain="nonzero", duck=False)
add(np.trim_zeros, lambda x: np.trim_zeros(np.concatenate((x, 0 * x[:2])), "b"), (3,), domain="nonzero", duck=False)

# repeating and shifting
add(np.tile, lambda x: np.tile(x, 3), (2,))
add(np.tile, lambda x: np.tile(x, (2, 1, 2)), (2, 3))
add(np.tile, lambda x: np.tile(x, (1, 1)), (2, 3))
add(np.tile, lambda x: np.tile(x, 2), ())
add(np.repeat, lambda x: np.repeat(x, 2), (2, 2))
add(np.repeat, lambda x: x.repeat(2, axis=0), (2, 3))
add(np.repeat, lambda x: np.repeat(x, [0, 2, 1], axis=-1), (2, 3))
add(np.resize, lambda x: np.resize(x, (3, 3)), (2, 2))
add(np.resize, lambda x: np.resize(x, 2), (2, 2))
add(np.roll, lambda x: np.roll(x, 2), (2, 3), complex=True)
add(np.roll, lambda x: np.roll(x, -1, axis=0), (3, 2))
add(np.roll, lambda x: np.roll(x, (1, 2), axis=(0, -1)), (2, 3))
add(np.roll, lambda x: np.roll(x, 3), (3,))
add(np.fft.fftshift, np.fft.fftshift, (2, 3))
add(np.fft.ifftshift, lambda x: np.fft.ifftshift(x, axes=1), (2, 3))

# padding
for _mode in (
    "constant",
    "edge",
    "reflect",
    "symmetric",
    "wrap",
    "mean",
    "maximum",
    "minimum",
    "median",
    "linear_ramp",
):
    _stat = _mode in ("maximum", "minimum", "median")
    add(np.pad, lambda x, m=_mode: np.pad(x, (2, 1), m), distinct((4,)) if _stat else (4,))
    add(np.pad, lambda x, m=_mode: np.pad(x, ((1, 0), (2, 3)), mode=m), distinct((2, 2)) if _stat else (2, 2))
add(np.pad, lambda x, c: np.pad(x, 1, constant_values=c), (2, 3), ())
add(np.pad, lambda x, c: np.pad(x, ((1, 2), (0, 1)), constant_values=c), (2, 3), (2, 2))
add(np.pad, lambda x: np.pad(x, (3, 2), "reflect", reflect_type="odd"), (3,))
add(np.pad, lambda x: np.pad(x, ((0, 1), (2, 1)), "symmetric", reflect_type="odd"), (2, 3))
add(np.pad, lambda x, e: np.pad(x, (3, 2), "linear_ramp", end_values=e), (3,), (2,))
add(np.pad, lambda x: np.pad(x, 2, "mean", stat_length=2), (4,))
add(np.pad, lambda x: np.pad(x, 0, "edge"), (3,))

# grids and windows
for _sparse in (False, True):
    for _indexing in ("xy", "ij"):
        add(np.meshgrid, lambda x, y, s=_sparse, i=_indexing: np.meshgrid(x, y, sparse=s, indexing=i), (2,), (3,))
add(np.meshgrid, lambda x, y, z: np.meshgrid(x, y, z), (2,), (3,), (2,))
add(np.ix_, lambda x, y: np.ix_(x, y), (2,), (3,))
add(np.vander, np.vander, (3,))
add(np.vander, lambda x: np.vander(x, 4, increasing=True), (2,))
add(np.lib.stride_tricks.sliding_window_view, lambda x: np.lib.stride_tricks.sliding_window_view(x, 3), (5,))
add(
    np.lib.stride_tricks.sliding_window_view,
    lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(0, 2)),
    (3, 2, 3),
)

# reading by index
add(np.take, lambda x: np.take(x, [0, 2, 0]), (2, 2), complex=True)
add(np.take, lambda x: np.take(x, [[0, -1], [1, 1]], axis=1), (2, 3))
add(np.take, lambda x: x.take(1, axis=0), (2, 3))
add(np.take, lambda x: np.take(x, [5, -4], mode="wrap"), (3,))
add(np.take, lambda x: np.take(x, [5, -4], mode="clip", axis=-1), (2, 3))
add(np.take_along_axis, lambda x: np.take_along_axis(x, np.array([[1, 1], [0, 1]]), axis=0), (2, 2))
add(np.take_along_axis, lambda x: np.take_along_axis(x, np.array([[2], [0]]), axis=-1), (2, 3))
add(np.compress, lambda x: np.compress([True, False, True], x, axis=1), (2, 3))
add(np.compress, lambda x: np.compress([0, 1, 1], x), (2, 3))
add(np.extract, lambda x: np.extract(x > 0, x), (2, 3), duck=False)
add(np.unique, np.unique, distinct((2, 3)), duck=False)
add(np.unique, lambda x: np.unique(x, return_index=True)[0], distinct((4,)), duck=False)
add(np.unique_values, lambda x: np.sort(np.unique_values(x)), distinct((4,)), duck=False)
for _f in (np.unique_all, np.unique_counts, np.unique_inverse):
    add(_f, lambda x, f=_f: f(x).values, distinct((4,)), duck=False)
add(np.union1d, lambda x, y: np.union1d(x, y), distinct((3,)), distinct((2,)).map(lambda v: v + 0.07), duck=False)
add(np.intersect1d, lambda x: np.intersect1d(x, x[1:]), distinct((4,)), duck=False)
add(np.setdiff1d, lambda x: np.setdiff1d(x, x[1:3]), distinct((4,)), duck=False)
add(np.setxor1d, lambda x: np.setxor1d(x[:3], x[1:]), distinct((4,)), duck=False)
add(np.partition, lambda x: np.partition(x, 2)[2], distinct((5,)), duck=False)
add(np.partition, lambda x: np.partition(x, 1, axis=0)[1], distinct((3, 2)), duck=False)

# applying a function along axes
add(np.apply_along_axis, lambda x: np.apply_along_axis(lambda v: v * v[0], 0, x), (3, 2), duck=False)
add(np.apply_along_axis, lambda x: np.apply_along_axis(np.sum, 1, x), (3, 2), duck=False)
add(np.apply_over_axes, lambda x: np.apply_over_axes(np.sum, x, [0, 2]), (2, 3, 2), duck=False)

# differences and integrals
add(np.diff, np.diff, (2, 4), complex=True)
add(np.diff, lambda x: np.diff(x, n=2, axis=0), (4, 2))
add(np.diff, lambda x, p, a: np.diff(x, prepend=p, append=a), (2, 3), (), (2, 2))
add(np.ediff1d, np.ediff1d, (2, 2))
add(np.ediff1d, lambda x, b, e: np.ediff1d(x, to_begin=b, to_end=e), (3,), (), (2,))
add(np.gradient, np.gradient, (4,))
# Of a row of equal numbers the slope and its derivative by the spacing are the rounding of terms that cancel.
_CURVE = np.array([8.0, 0.0, 0.0, 8.0])
add(np.gradient, lambda x, h: np.gradient(x + _CURVE, h, edge_order=2), (4,), arrays((), "positive"))
add(np.gradient, lambda x: np.gradient(x, 2.0, axis=-1), (2, 3))
add(np.gradient, lambda x: np.gradient(x, 2.0, np.array([0.0, 1.0, 3.0])), (2, 3), float32=False, duck=False)
_INCREASING = arrays((4,), "positive").map(np.cumsum)
add(np.gradient, lambda f, x: np.gradient(f + _CURVE, x), (4,), _INCREASING)
add(np.gradient, lambda f, x: np.gradient(f + _CURVE[:, None], x, axis=0, edge_order=2), (4, 2), _INCREASING)
_TRAPEZOID = getattr(np, "trapezoid", None)
add(_TRAPEZOID, lambda y: np.trapezoid(y), (2, 3))
add(_TRAPEZOID, lambda y, x: np.trapezoid(y, x), (2, 3), (3,))
add(_TRAPEZOID, lambda y, x: np.trapezoid(y, x, axis=0), (3, 2), (3, 2))
add(_TRAPEZOID, lambda y, d: np.trapezoid(y, dx=d), (3,), ())

# convolution and interpolation
for _mode in ("full", "same", "valid"):
    for _n, _m in ((5, 3), (3, 5), (4, 4), (5, 2), (2, 5), (1, 1)):
        add(np.convolve, lambda a, v, m=_mode: np.convolve(a, v, m), (_n,), (_m,), complex=True, duck=_n == 5)
        add(np.correlate, lambda a, v, m=_mode: np.correlate(a, v, m), (_n,), (_m,), complex=True, duck=_n == 5)
_INSIDE = st.tuples(*[st.floats(0.125, 0.875)] * 3).map(np.array)
_POINTS = _INCREASING.map(lambda x: (x - x[0]) / (x[-1] - x[0]))
add(
    np.interp,
    lambda x, f: np.interp(x, np.array([0.0, 0.3, 0.7, 1.0]), f),
    (5,),
    (4,),
    duck=False,
    complex=(1,),
)
add(np.interp, lambda x, xp, f: np.interp(x, xp, f), _INSIDE, _POINTS, (4,), duck=False)
add(
    np.interp,
    lambda x, f, a, b: np.interp(x, np.array([0.0, 0.3, 0.7, 1.0]), f, left=a, right=b),
    (5,),
    (4,),
    (),
    (),
    duck=False,
)
add(np.interp, lambda x, f: np.interp(x, np.array([0.0, 0.3, 0.7]), f, period=1.0), (5,), (3,), duck=False)
