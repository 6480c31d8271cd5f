"""Filters that choose an entry of every window: the largest, the smallest, or one by its rank. Equal entries share the slope."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.scipy.ndimage.borders import ROOM, array, axes_of, extended, finished, mode_of, one_axis, plain, sequence
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import raw


def windows(
    input: Any, size: Any, footprint: Any, mode: Any, cval: Any, origin: Any, axes: Any, lacking: str
) -> tuple[Any, Any]:
    """Return the array, and the entries of the window of each of its entries along a last axis."""
    x = array(input)
    if dtype_of(x).kind == "c":
        raise TypeError("Complex type not supported")
    if np.any(np.isnan(raw(x))):
        raise UnsupportedFunctionError(
            f"{where()}: the data hold NaN, which has no rank: what SciPy's filter chooses then depends on how it sorts, and has no "
            "derivative. Fill in what is missing first."
        )
    rank = len(shape_of(x))
    axes = axes_of(axes, rank)
    if size is not None and footprint is not None:
        warnings.warn("ignoring size because footprint is set", UserWarning, stacklevel=4)
    if footprint is None:
        if size is None:
            raise RuntimeError(lacking)
        footprint = np.ones([int(s) for s in sequence(plain(size, "the size of a filter"), len(axes))], bool)
    footprint = np.asarray(plain(footprint, "the footprint of a filter"), dtype=bool)
    if footprint.ndim != len(axes):
        raise RuntimeError(f"footprint.ndim ({footprint.ndim}) must match len(axes) ({len(axes)})")
    if not footprint.any():
        raise ValueError("All-zero footprint is not supported.")
    if 0 in shape_of(x):
        return x, x[..., None] + np.zeros(int(footprint.sum()))
    cval = plain(cval, "cval")
    padded = x
    for axis, n, m, o in zip(axes, footprint.shape, sequence(mode, len(axes)), sequence(origin, len(axes))):
        if n // 2 + o < 0 or n // 2 + o >= n:
            raise ValueError("invalid origin")
        padded = extended(padded, axis, n // 2 + o, n - 1 - n // 2 - o, mode_of(m), cval)
    views = np.lib.stride_tricks.sliding_window_view(padded, footprint.shape, axis=axes)
    return x, views[..., footprint]


def _extreme(name: str, choose: Any) -> None:
    @ROOM.function(name, kind="composite")
    def whole(
        input: Any,
        size: Any = None,
        footprint: Any = None,
        output: Any = None,
        mode: Any = "reflect",
        cval: Any = 0.0,
        origin: Any = 0,
        *,
        axes: Any = None,
    ) -> Any:
        x, entries = windows(input, size, footprint, mode, cval, origin, axes, "no footprint provided")
        return finished(choose(entries, axis=-1), output, x, name)

    @ROOM.function(f"{name}1d", kind="composite")
    def along(
        input: Any,
        size: int,
        axis: int = -1,
        output: Any = None,
        mode: str = "reflect",
        cval: Any = 0.0,
        origin: int = 0,
    ) -> Any:
        if size < 1:
            raise RuntimeError("incorrect filter size")
        axis = one_axis(axis, len(shape_of(array(input))))
        x, entries = windows(input, size, None, mode, cval, origin, axis, "")
        return finished(choose(entries, axis=-1), output, x, f"{name}1d")


_extreme("maximum_filter", np.max)
_extreme("minimum_filter", np.min)


def _ranked(
    rank: Any,
    input: Any,
    size: Any,
    footprint: Any,
    output: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    axes: Any,
    name: str,
) -> Any:
    x, entries = windows(input, size, footprint, mode, cval, origin, axes, "no footprint or filter size provided")
    n = shape_of(entries)[-1]
    rank = rank(n)
    rank = rank + n if rank < 0 else rank
    if not 0 <= rank < n:
        raise RuntimeError("rank not within filter footprint size")
    return finished(np.sort(entries, axis=-1)[..., rank], output, x, name)


@ROOM.function("rank_filter")
def rank_filter(
    input: Any,
    rank: int,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """``scipy.ndimage.rank_filter``."""
    chosen = int(plain(rank, "the rank of a filter"))
    return _ranked(lambda n: chosen, input, size, footprint, output, mode, cval, origin, axes, "rank_filter")


@ROOM.function("median_filter")
def median_filter(
    input: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """``scipy.ndimage.median_filter``."""
    return _ranked(lambda n: n // 2, input, size, footprint, output, mode, cval, origin, axes, "median_filter")


@ROOM.function("percentile_filter")
def percentile_filter(
    input: Any,
    percentile: float,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """``scipy.ndimage.percentile_filter``."""
    q = float(plain(percentile, "the percentile of a filter"))
    q = q + 100.0 if q < 0 else q
    if not 0 <= q <= 100:
        raise RuntimeError("invalid percentile")
    return _ranked(
        lambda n: n - 1 if q == 100.0 else int(float(n) * q / 100.0),
        input,
        size,
        footprint,
        output,
        mode,
        cval,
        origin,
        axes,
        "percentile_filter",
    )


ROOM.refused(
    "binary_closing binary_dilation binary_erosion binary_fill_holes binary_hit_or_miss binary_opening binary_propagation label "
    "find_objects value_indices watershed_ift distance_transform_bf distance_transform_cdt histogram",
    "its result is a mask, a count or a place, or jumps, and has no derivative. Freeze its argument with dd.stop_gradient(x).",
)


__all__ = ["median_filter", "percentile_filter", "rank_filter", "windows"]
