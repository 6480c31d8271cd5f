"""Arrays cut into pieces."""

from __future__ import annotations

import itertools
import operator
import sys
from typing import Any

import numpy as np

from dualdiff.register import composite
from dualdiff.rules.movement.axes import along, axis_of, ints
from dualdiff.rules.movement.transposing import moveaxis
from dualdiff.shapes import negative_axes, shape_of
from dualdiff.values import fixed, operand


def _pieces(x: Any, sections: Any, axis: Any, even: bool) -> list[Any]:
    x = operand(x)
    if not shape_of(x):
        raise ValueError("array split does not work on 0-d arrays")
    axis = axis_of(axis, len(shape_of(x)))
    n = shape_of(x)[axis]
    sections = fixed(sections)
    if hasattr(sections, "__len__"):
        cuts = [0, *ints(sections), n]
    else:
        k = operator.index(sections)
        if k <= 0:
            raise ValueError("number sections must be larger than 0.")
        if even and n % k:
            raise ValueError("array split does not result in an equal division")
        cuts = [0]
        for i in range(k):
            cuts.append(cuts[-1] + n // k + (i < n % k))
    return [x[along(axis, slice(a, b))] for a, b in itertools.pairwise(cuts)]


@composite(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    return _pieces(ary, indices_or_sections, axis, even=True)


@composite(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    return _pieces(ary, indices_or_sections, axis, even=False)


@composite(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> Any:
    if not shape_of(ary):
        raise ValueError("hsplit only works on arrays of 1 or more dimensions")
    return _pieces(ary, indices_or_sections, 1 if len(shape_of(ary)) > 1 else 0, even=True)


@composite(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> Any:
    if len(shape_of(ary)) < 2:
        raise ValueError("vsplit only works on arrays of 2 or more dimensions")
    return _pieces(ary, indices_or_sections, 0, even=True)


@composite(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> Any:
    if len(shape_of(ary)) < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return _pieces(ary, indices_or_sections, 2, even=True)


@composite(getattr(np, "unstack", None))
def unstack(x: Any, /, *, axis: int = 0) -> Any:
    if not shape_of(x):
        raise ValueError("Input array must be at least 1-d.")
    x = moveaxis(x, axis, 0)
    return tuple([x[i] for i in range(shape_of(x)[0])])


def _is_polynomial() -> bool:
    """Whether ``np.poly1d`` asks: what leads there may be zero here and not beside here, and its derivative is a coefficient."""
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("dualdiff", "numpy"):
        if frame.f_code is _POLYNOMIAL:
            return True
        frame = frame.f_back
    return False


_POLYNOMIAL = np.poly1d.__init__.__code__


@composite(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    x = operand(filt)
    rank = len(shape_of(x))
    axes = negative_axes(None if axis is None else ints(axis), rank)
    trim = trim.lower()
    if trim not in ("fb", "bf", "f", "b"):
        raise ValueError(f"unexpected character(s) in `trim`: {trim!r}")
    if _is_polynomial():
        return np.reshape(x, -1)
    full_places = np.nonzero(fixed(x != 0))
    cuts = []
    for i in range(-rank, 0):
        at, n = full_places[i], shape_of(x)[i]
        if i not in axes:
            cuts.append(slice(None))
        elif not at.size:
            cuts.append(slice(0, 0))
        else:
            cuts.append(slice(int(at.min()) if "f" in trim else 0, int(at.max()) + 1 if "b" in trim else n))
    return x[tuple(cuts)]
