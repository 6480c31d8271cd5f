"""Cosine, sine and Hankel transforms: linear rows, whose functions are SciPy's.

A cosine transform of type 1 to 4 is, up to one factor, a symmetric matrix of cosines (types 2 and 3: one the transpose
of the other) whose first and last columns may count half. So is the transpose, with these weights on the other side.
With ``orthogonalize`` the weights are spread over both sides, and the matrix is orthogonal up to the factor. Sine
transforms differ only in that the entry of weight is the last one. The fast Hankel transform is a circulant matrix read
backwards, between equal diagonal factors, so that it is symmetric.

Makhoul, J. (1980), A fast cosine transform in one and two dimensions, https://doi.org/10.1109/TASSP.1980.1163351;
Hamilton, A. J. S. (2000), Uncorrelated modes of the non-linear power spectrum, https://doi.org/10.1046/j.1365-8711.2000.03071.x.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.kinds import Linear
from dualdiff.labels import lanes
from dualdiff.rules.folding import along_axes
from dualdiff.shapes import dtype_of, shape_of

TRANSPOSE = {1: 1, 2: 3, 3: 2, 4: 4}
"""The type of the transpose, and of the inverse, of a transform of each type."""


def _of_scipy(name: str) -> Callable[..., Any]:
    def function(x: Any, **params: Any) -> Any:
        import scipy.fft  # when it is first needed: it takes a while to import

        return getattr(scipy.fft, name)(x, **params)

    return function


def _weighted(x: Any, axis: int, inner: float, **ends: float) -> Any:
    """Multiply the inner entries along a negative axis by one number, and the first or last by others."""
    w = np.full(shape_of(x)[axis], inner, np.dtype(dtype_of(x).char.lower()))
    for end, factor in ends.items():
        w[0 if end == "first" else -1] = factor
    return x * w.reshape((-1,) + (1,) * (-axis - 1))


def _cosine_pull(g: Any, _x: Any, *, type: int, norm: Any, orthogonalize: bool, axis: int) -> Any:
    params = {"type": TRANSPOSE[type], "norm": norm, "orthogonalize": orthogonalize, "axis": axis}
    if orthogonalize or type == 4:
        return dct_(g, **params)
    if type == 1:
        return _weighted(dct_(_weighted(g, axis, 0.5, first=1, last=1), **params), axis, 2, first=1, last=1)
    if type == 2:
        return dct_(_weighted(g, axis, 1, first=2), **params)
    return _weighted(dct_(g, **params), axis, 1, first=0.5)


def _sine_pull(g: Any, _x: Any, *, type: int, norm: Any, orthogonalize: bool, axis: int) -> Any:
    params = {"type": TRANSPOSE[type], "norm": norm, "orthogonalize": orthogonalize, "axis": axis}
    if orthogonalize or type in (1, 4):
        return dst_(g, **params)
    if type == 2:
        return dst_(_weighted(g, axis, 1, last=2), **params)
    return _weighted(dst_(g, **params), axis, 1, last=0.5)


dct_: Linear = Linear("scipy.fft.dct", _of_scipy("dct"), pull=_cosine_pull, joins=along_axes)
dst_: Linear = Linear("scipy.fft.dst", _of_scipy("dst"), pull=_sine_pull, joins=along_axes)


def _hankel(name: str) -> Linear:
    row: Linear = Linear(
        f"scipy.fft.{name}",
        _of_scipy(name),
        pull=lambda g, _x, **params: row(g, **params),
        joins=lambda k, args, params, out: lanes(shape_of(args[0]), shape_of(out), (-1,)),
    )
    return row


fht_, ifht_ = _hankel("fht"), _hankel("ifht")
