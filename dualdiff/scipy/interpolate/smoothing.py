r"""``make_smoothing_spline``: the natural cubic spline that is least in squares and curvature together, by Reinsch's equations.

With the second differences :math:`Q^T` and the curvatures' Gram matrix R at the inner knots,
:math:`(R + \lambda Q^T W^{-1} Q)\,\gamma = Q^T y` and the values are :math:`y - \lambda W^{-1} Q \gamma`.

References
----------
Reinsch, "Smoothing by spline functions", Numer. Math. 10 (1967), 177–183, doi:10.1007/BF02162161.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.scipy.interpolate.pieces import KINKS, ROOM, column, real
from dualdiff.scipy.interpolate.splines import make_interp_spline
from dualdiff.scipy.linalg.banded import solveh_banded
from dualdiff.shapes import shape_of
from dualdiff.values import fixed


@ROOM.function("make_smoothing_spline", facts=KINKS)
def make_smoothing_spline(x: Any, y: Any, w: Any = None, lam: Any = None, *, axis: int = 0) -> Any:
    """``scipy.interpolate.make_smoothing_spline`` with a given ``lam``."""
    if lam is None:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.interpolate.make_smoothing_spline without lam= chooses the smoothing by the data, by a search whose steps "
            "are not differentiated. Give it lam=, which may itself be differentiated."
        )
    x, y, lam = real(x), real(y), real(lam)
    n = shape_of(x)[0]
    if fixed(np.any(x[1:] <= x[:-1])):
        raise ValueError("``x`` should be an ascending array")
    if fixed(lam < 0):
        raise ValueError("Regularization parameter should be non-negative")
    y = np.moveaxis(y, axis, 0)
    if shape_of(y)[0] != n:
        raise ValueError(f"Shapes of x {shape_of(x)} and y {shape_of(y)} are incompatible")
    if n <= 4:
        raise ValueError("``x`` and ``y`` length must be at least 5")
    v = np.ones(n) if w is None else 1.0 / real(w)
    if fixed(np.any(v <= 0)):
        raise ValueError("Invalid vector of weights")
    h = x[1:] - x[:-1]
    first, last = 1.0 / h[:-1], 1.0 / h[1:]
    middle = -(first + last)
    diagonal = (h[:-1] + h[1:]) / 3 + lam * (first * first * v[:-2] + middle * middle * v[1:-1] + last * last * v[2:])
    beside = h[1:-1] / 6 + lam * (middle[:-1] * first[1:] * v[1:-2] + last[:-1] * middle[1:] * v[2:-1])
    beyond = lam * last[:-2] * first[2:] * v[2:-2]
    bands = np.stack(
        [
            diagonal,
            np.concatenate([beside, np.zeros(1)]),
            np.concatenate([beyond, np.zeros(2)]),
        ]
    )
    flat = np.reshape(y, (n, -1))
    first, middle, last = (column(c, 2) for c in (first, middle, last))
    bent = solveh_banded(bands, first * flat[:-2] + middle * flat[1:-1] + last * flat[2:], lower=True)
    none = np.zeros((1, shape_of(flat)[1]))
    pulled = (
        np.concatenate([first * bent, none, none])
        + np.concatenate([none, middle * bent, none])
        + np.concatenate([none, none, last * bent])
    )
    smooth = np.reshape(flat - lam * column(v, 2) * pulled, shape_of(y))
    return make_interp_spline(x, np.moveaxis(smooth, 0, axis), k=3, bc_type="natural", axis=axis)


__all__ = ["make_smoothing_spline"]
