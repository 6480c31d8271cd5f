"""Interpolation by radial basis functions: a dense system of them and of polynomials, as SciPy sets it up."""

from __future__ import annotations

import itertools
import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy import interpolate as scipy_interpolate
from scipy import spatial

from dualdiff.rules.distances import distance, squares
from dualdiff.scipy.interpolate.pieces import ROOM, carrying, inexact, real
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import decided, fixed, operand

RADIAL = scipy_interpolate.RBFInterpolator
LEAST = {"multiquadric": 0, "linear": 0, "thin_plate_spline": 1, "cubic": 1, "quintic": 2}
"""The degree of the polynomials that a kernel needs beside it."""
WITHOUT_SCALE = frozenset(("linear", "thin_plate_spline", "cubic", "quintic"))


def _thin_plate(squared: Any) -> Any:
    there = fixed(np.not_equal(squared, 0))
    return np.where(there, 0.5 * squared * np.log(np.where(there, squared, 1.0)), 0.0)


KERNELS: dict[str, Any] = {
    "linear": lambda s: -distance(s),
    "thin_plate_spline": _thin_plate,
    "cubic": lambda s: s * distance(s),
    "quintic": lambda s: -(s**2) * distance(s),
    "multiquadric": lambda s: -np.sqrt(s + 1.0),
    "inverse_multiquadric": lambda s: 1.0 / np.sqrt(s + 1.0),
    "inverse_quadratic": lambda s: 1.0 / (s + 1.0),
    "gaussian": lambda s: np.exp(-s),
}
"""As functions of the squared distance, in which all but the first are smooth enough at a centre for a first derivative."""


def _powers(ndim: int, degree: int) -> Any:
    found = []
    for total in range(degree + 1):
        for chosen in itertools.combinations_with_replacement(range(ndim), total):
            found.append([chosen.count(i) for i in range(ndim)])
    return np.array(found, dtype=np.int64).reshape(-1, ndim)


def _monomials(x: Any, powers: Any) -> Any:
    columns = []
    for row in powers:
        one: Any = np.ones_like(x[:, 0])
        for i, p in enumerate(row):
            for _ in range(p):
                one = one * x[:, i]
        columns.append(one)
    return np.stack(columns, axis=1) if columns else np.zeros((shape_of(x)[0], 0))


def _kernel(a: Any, b: Any, kernel: str, epsilon: Any) -> Any:
    return KERNELS[kernel](squares(epsilon * a, epsilon * b))


def _solved(y: Any, d: Any, smoothing: Any, kernel: str, epsilon: Any, powers: Any) -> tuple[Any, Any, Any]:
    low, high = np.min(y, axis=0), np.max(y, axis=0)
    shift, scale = (high + low) / 2, (high - low) / 2
    flat = fixed(np.equal(scale, 0))
    scale = np.where(flat, 1.0, scale)
    monomials = _monomials((y - shift) / scale, powers)
    r = len(powers)
    n = shape_of(y)[0]
    upper = np.concatenate([_kernel(y, y, kernel, epsilon) + smoothing * np.eye(n), monomials], axis=1)
    lower = np.concatenate([np.swapaxes(monomials, 0, 1), np.zeros((r, r))], axis=1)
    right = np.concatenate([d, np.zeros((r, shape_of(d)[1]))])
    return shift, scale, np.linalg.solve(np.concatenate([upper, lower]), right)


def _called(self: Any, x: Any, shift: Any, scale: Any, coefficients: Any) -> Any:
    x = real(x)
    if len(shape_of(x)) != 2:
        raise ValueError("`x` must be a 2-dimensional array.")
    if shape_of(x)[1] != shape_of(self.y)[1]:
        raise ValueError(f"Expected the second axis of `x` to have length {shape_of(self.y)[1]}.")
    powers = np.asarray(self.powers)
    functions = [_kernel(x, self.y, self.kernel, self.epsilon), _monomials((x - shift) / scale, powers)]
    return np.concatenate(functions, axis=1) @ coefficients


@ROOM.method(RADIAL, "__call__")
def called(self: Any, x: Any) -> Any:
    """``RBFInterpolator(...)(x)``."""
    if self.neighbors is not None:
        return np.reshape(_by_neighbours(self, x), (shape_of(operand(x))[0], *self.d_shape))
    out = _called(self, x, self._shift, self._scale, self._coeffs)
    if np.dtype(self.d_dtype).kind == "c":  # real and imaginary parts stand side by side
        out = out[:, ::2] + 1j * out[:, 1::2]
    return np.reshape(out, (shape_of(x)[0], *self.d_shape))


def _by_neighbours(self: Any, x: Any) -> Any:
    """Evaluate at each point the interpolant of its nearest neighbours: it jumps where these change."""
    x = real(x)
    if len(shape_of(x)) != 2 or shape_of(x)[1] != shape_of(self.y)[1]:
        raise ValueError(
            f"Expected `x` to be a 2-dimensional array whose second axis has length {shape_of(self.y)[1]}."
        )
    n, k = shape_of(self.y)[0], int(self.neighbors)
    _, near = spatial.KDTree(decided(self.y)).query(decided(x), k)
    sets, of = np.unique(np.sort(near.reshape(len(near), -1), axis=1), axis=0, return_inverse=True)
    of = np.ravel(of)
    d = np.reshape(self.d, (n, -1))
    if np.dtype(self.d_dtype).kind == "c" and dtype_of(d).kind != "c":  # SciPy keeps both parts side by side
        d = d[:, ::2] + 1j * d[:, 1::2]
    smoothing = np.broadcast_to(self.smoothing, (n,))
    powers = np.asarray(self.powers)
    rows: list[Any] = []
    for i, own in enumerate(sets):
        one = _Part(self.y[own], self.kernel, self.epsilon, powers)
        solution = _solved(one.y, d[own], smoothing[own], self.kernel, self.epsilon, powers)
        rows.append(_called(one, x[of == i], *solution))
    order = np.argsort(np.concatenate([np.flatnonzero(of == i) for i in range(len(sets))]))
    return np.concatenate(rows)[order]


class _Part(NamedTuple):
    """The part of an interpolator that a set of neighbours makes."""

    y: Any
    kernel: str
    epsilon: Any
    powers: Any


class Radial:
    """The part of a radial interpolator that carries a derivative; SciPy's class is its other parent."""

    y: Any = None
    d_shape: Any = ()
    kernel: Any = "thin_plate_spline"
    epsilon: Any = 1.0
    powers: Any = None
    solution: Any = None
    neighbors: Any = None

    def __call__(self, x: Any) -> Any:
        """Evaluate at points."""
        out = _called(self, x, *self.solution) if self.neighbors is None else _by_neighbours(self, x)
        return np.reshape(out, (shape_of(operand(x))[0], *self.d_shape))


@ROOM.constructor(RADIAL)
def rbf_interpolator(
    y: Any,
    d: Any,
    neighbors: Any = None,
    smoothing: Any = 0.0,
    kernel: str = "thin_plate_spline",
    epsilon: Any = None,
    degree: Any = None,
) -> Any:
    """``scipy.interpolate.RBFInterpolator`` of points, values, smoothing or a scale that carry a derivative."""
    y, d = real(y), inexact(d)
    if len(shape_of(y)) != 2:
        raise ValueError("`y` must be a 2-dimensional array.")
    n, ndim = shape_of(y)
    if shape_of(d)[0] != n:
        raise ValueError(f"Expected the first axis of `d` to have length {n}.")
    smoothing = real(smoothing)
    if shape_of(smoothing) not in ((), (n,)):
        raise ValueError(f"Expected `smoothing` to be a scalar or have shape ({n},).")
    kernel = kernel.lower()
    if kernel not in KERNELS:
        raise ValueError(f"`kernel` must be one of {set(KERNELS)}.")
    if epsilon is None:
        if kernel not in WITHOUT_SCALE:
            raise ValueError(f"`epsilon` must be specified if `kernel` is not one of {set(WITHOUT_SCALE)}.")
        epsilon = 1.0
    least = LEAST.get(kernel, -1)
    degree = max(least, 0) if degree is None else int(degree)
    if degree < -1:
        raise ValueError("`degree` must be at least -1.")
    if -1 < degree < least:
        warnings.warn(
            f"`degree` should not be below {least} except -1 when `kernel` is '{kernel}'.The interpolant may not be uniquely "
            "solvable, and the smoothing parameter may have an unintuitive effect.",
            UserWarning,
            stacklevel=2,
        )
    powers = _powers(ndim, degree)
    if len(powers) > (n if neighbors is None else min(int(neighbors), n)):
        raise ValueError(
            f"At least {len(powers)} data points are required when `degree` is {degree} and the number of dimensions is {ndim}."
        )
    made: Any = object.__new__(carrying(RADIAL, Radial))
    made.y, made.d, made.d_shape, made.d_dtype = y, d, shape_of(d)[1:], dtype_of(d)
    made.neighbors, made.smoothing, made.kernel, made.epsilon, made.powers = (
        None if neighbors is None else min(int(neighbors), n),
        smoothing,
        kernel,
        operand(epsilon),
        powers,
    )
    if neighbors is None:
        made.solution = _solved(y, np.reshape(d, (n, -1)), smoothing, kernel, made.epsilon, powers)
    return made


__all__ = ["rbf_interpolator"]
