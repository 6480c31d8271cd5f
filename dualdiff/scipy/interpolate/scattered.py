"""Interpolation between scattered points: linear and cubic on triangles, and the value of the nearest point.

The triangles are SciPy's. On each of them the linear interpolant is a sum of the corners' values by barycentric coordinates, and on each
third of one the cubic interpolant is a polynomial of degree 3, which its values in ten places determine.

References
----------
Clough & Tocher, "Finite element stiffness matrices for analysis of plates in bending", Proc. Conf. Matrix Methods in Structural Mechanics
(1965), 515–545.
Farin, "Triangular Bernstein-Bézier patches", Comput. Aided Geom. Design 3 (1986), 83–127, doi:10.1016/0167-8396(86)90016-6.
"""

from __future__ import annotations

import inspect
import math
from importlib import import_module
from typing import Any

import numpy as np
from scipy import interpolate as scipy_interpolate
from scipy import spatial

from dualdiff.capture.active import is_active
from dualdiff.capture.names import drop_in, drop_in_kind
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.rules.absent import filled, missing
from dualdiff.rules.elementwise import cast
from dualdiff.scipy.answers import at_value
from dualdiff.scipy.interpolate.pieces import ROOM, column, inexact, real
from dualdiff.scipy.objects import Standing
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import decided, fixed, operand


def coordinates(points: Any, ndim: Any = None) -> Any:
    """Return points with their coordinates along the last axis, as SciPy reads them."""
    if isinstance(points, tuple) and len(points) == 1:
        points = points[0]
    if isinstance(points, tuple):
        return np.stack(np.broadcast_arrays(*map(operand, points)), axis=-1)
    points = operand(points)
    if len(shape_of(points)) == 1:
        return np.reshape(points, (-1, 1) if ndim is None else (-1, ndim))
    return points


for _place in ("scipy.interpolate._ndgriddata", "scipy.interpolate._interpolate", "scipy.interpolate._bsplines"):
    _real = getattr(import_module(_place), "_ndim_coords_from_arrays", None)
    if _real is not None:
        drop_in(_real, coordinates)


class Scattered(Standing):
    """An interpolator whose points or values carry a derivative, or that may be asked for places that do.

    Attributes
    ----------
    points, values : array
        What it was made of, the points as they stand in the triangulation.
    """

    def __init__(self, real: Any, points: Any, values: Any) -> None:
        super().__init__(real)
        self.points, self.values = points, values

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate at points."""
        n = shape_of(self.points)[1]
        xi = coordinates(args, n)
        if shape_of(xi)[-1] != n:
            raise ValueError("number of dimensions in xi does not match x")
        if not is_active((xi, self.points, self.values)):
            return self._real(np.asarray(xi), **kwargs)
        shape = shape_of(xi)[:-1]
        found = self.at(np.reshape(real(xi), (-1, n)), **kwargs)
        return np.reshape(found, (*shape, *shape_of(self.values)[1:]))

    def at(self, xi: Any, **options: Any) -> Any:
        """Return the values at a list of points."""
        raise NotImplementedError

    def _simplices(self, xi: Any, simplex_tolerance: Any = 1.0) -> tuple[Any, Any]:
        """Return in which simplex each point lies, and which lie in none."""
        if simplex_tolerance <= 0:
            raise ValueError("simplex_tolerance must be positive")
        own = self._real._scale_x(np.ascontiguousarray(decided(xi)))
        tolerance = None if simplex_tolerance == 1.0 else 100 * np.finfo(float).eps * simplex_tolerance
        found = self._real.tri.find_simplex(own, tol=tolerance)
        return np.maximum(found, 0), found < 0

    def _barycentric(self, xi: Any, corners: Any) -> Any:
        """Return barycentric coordinates of points in simplices, whose corners have shape (points, corners, dimensions)."""
        last = corners[:, -1]
        edges = np.swapaxes(corners[:, :-1] - last[:, None], 1, 2)
        own = np.linalg.solve(edges, (xi - last)[..., None])[..., 0]
        return np.concatenate([own, 1.0 - np.sum(own, axis=1, keepdims=True)], axis=1)

    def _outside(self, found: Any, outside: Any, xi: Any) -> Any:
        if not np.any(outside):
            return found
        rank = len(shape_of(found))
        return filled(column(outside, rank), self._real.fill_value, found, column(np.sum(xi, axis=-1), rank))


class Linear(Scattered):
    """``LinearNDInterpolator``; between triangles the slope is that of the one in which SciPy finds the point."""

    def at(self, xi: Any, **options: Any) -> Any:
        """Return the values at a list of points; SciPy has had ``simplex_tolerance`` since 1.18."""
        simplex, outside = self._simplices(xi, **options)
        corners = self._real.tri.simplices[simplex]
        weights = self._barycentric(xi, self.points[corners])
        values = self.values[corners]
        found = np.sum(column(weights, len(shape_of(values))) * values, axis=1)
        return self._outside(found, outside, xi)


#: the powers of barycentric coordinates in the ten polynomials of Bernstein, and where these are large
_POWERS = np.array([(i, j, 3 - i - j) for i in range(4) for j in range(4 - i)])
_FACTORS = np.array([6 // math.prod(map(math.factorial, p)) for p in _POWERS.tolist()], float)
_PLACES = 1 / 3 + 0.9 * (_POWERS / 3 - 1 / 3)


def _bernstein(weights: Any) -> Any:
    """Return the polynomials of Bernstein of degree 3 at barycentric coordinates."""
    powers = [[np.ones_like(weights[..., c]), weights[..., c]] for c in range(3)]
    for p in powers:
        p += [p[1] * p[1], p[1] * p[1] * p[1]]
    return np.stack(
        [f * powers[0][i] * powers[1][j] * powers[2][k] for f, (i, j, k) in zip(_FACTORS, _POWERS)], axis=-1
    )


_FROM_PLACES = np.linalg.inv(_bernstein(_PLACES))


class Cubic(Scattered):
    """``CloughTocher2DInterpolator``, in the values and in the argument."""

    def at(self, xi: Any, **options: Any) -> Any:
        """Return the values at a list of points."""
        if is_active(self.points):
            raise UnsupportedFunctionError(
                f"{where()}: CloughTocher2DInterpolator is not differentiated by its points, from which it estimates slopes. Use "
                "LinearNDInterpolator or RBFInterpolator, which are."
            )
        points = np.asarray(self.points)
        simplex, outside = self._simplices(xi, **options)
        corners = points[self._real.tri.simplices[simplex]]
        third = np.argmin(self._barycentric(np.asarray(decided(xi)), corners), axis=1)
        corners[np.arange(len(third)), third] = corners.mean(axis=1)
        places = np.einsum("pc,qcd->qpd", _PLACES, corners)
        values = self._at_places(places)
        coefficients = np.sum(column(_FROM_PLACES[None], len(shape_of(values)) + 1) * values[:, None], axis=2)
        polynomials = _bernstein(self._barycentric(xi, corners))
        found = np.sum(column(polynomials, len(shape_of(coefficients))) * coefficients, axis=1)
        value = np.reshape(self._real(np.asarray(decided(xi)), **options), shape_of(found))
        value[outside] = decided(found)[outside]
        return self._outside(at_value(value, found), outside, xi)

    def _at_places(self, places: Any) -> Any:
        """Return the interpolant in the places: in its values it is linear."""
        if not is_active(self.values):
            return np.nan_to_num(self._real(places))
        n = shape_of(self.values)[0]
        each = scipy_interpolate.CloughTocher2DInterpolator(self._real.tri, np.eye(n), 0.0, tol=1e-12, maxiter=4000)
        offset, scale = (getattr(self._real, k, None) for k in ("offset", "scale"))
        own = places if scale is None else (places - offset) / scale
        return np.tensordot(each(own), self.values, axes=1)


class Nearest(Scattered):
    """``NearestNDInterpolator``: constant where the same point is the nearest."""

    def at(self, xi: Any, **options: Any) -> Any:
        """Return the values at a list of points."""
        numbers = scipy_interpolate.NearestNDInterpolator.__new__(scipy_interpolate.NearestNDInterpolator)
        vars(numbers).update(vars(self._real))
        numbers.values = np.arange(float(shape_of(self.values)[0]))
        if hasattr(numbers, "values_shape"):
            numbers.values_shape = ()
        found = numbers(np.asarray(decided(xi)), **options)
        none = np.isnan(found)
        values = self.values[np.where(none, 0, found).astype(int)]
        if dtype_of(values).char in "fF":  # which this SciPy may widen
            values = cast(values, self._real(np.asarray(decided(xi))[:1]).dtype, copy=False)
        if not np.any(none):
            return values
        rank = len(shape_of(values))
        return missing(column(none, rank), values, column(np.sum(xi, axis=-1), rank))


def _own(points: Any) -> tuple[Any, Any]:
    """Return points, or a triangulation, as SciPy takes them, and the points."""
    if isinstance(points, spatial.Delaunay):
        plain = getattr(points, "_real", points)
        return plain, points.points
    points = real(coordinates(points))
    return decided(points), points


def _enter(kind: Any, standing: type[Scattered], signature: inspect.Signature) -> None:
    first, second = list(signature.parameters)[:2]

    def make(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        values = operand(given.pop(second))
        plain, points = _own(given.pop(first))
        made = kind(plain, decided(values), **{k: fixed(v, f"{k} of an interpolator") for k, v in given.items()})
        return standing(made, points, values if standing is Nearest else inexact(values))

    make.__signature__ = signature  # type: ignore[attr-defined]
    ROOM.constructor(kind, always=True)(make)
    drop_in_kind(kind, lambda made: standing(made, _points(made), _values(made)))


def _points(made: Any) -> Any:
    """Return the points of an interpolator as they were given."""
    points = np.asarray(made.points)
    offset, scale = (getattr(made, k, None) for k in ("offset", "scale"))
    return points if scale is None else points * scale + offset


def _values(made: Any) -> Any:
    """Return the values of an interpolator as they were given."""
    values = np.asarray(made.values)
    shape = getattr(made, "values_shape", None)
    return values if shape is None else values.reshape(-1, *shape)


def _linear(points: Any, values: Any, fill_value: float = np.nan, rescale: bool = False) -> None: ...


def _cubic(
    points: Any, values: Any, fill_value: float = np.nan, tol: float = 1e-6, maxiter: int = 400, rescale: bool = False
) -> None: ...


_enter(scipy_interpolate.LinearNDInterpolator, Linear, inspect.signature(_linear))
_enter(scipy_interpolate.CloughTocher2DInterpolator, Cubic, inspect.signature(_cubic))
_enter(scipy_interpolate.NearestNDInterpolator, Nearest, inspect.signature(scipy_interpolate.NearestNDInterpolator))


@ROOM.method(scipy_interpolate.NearestNDInterpolator, "__call__")
def nearest(self: Any, *args: Any, **kwargs: Any) -> Any:
    """``NearestNDInterpolator(...)(x)``."""
    return Nearest(self, _points(self), _values(self))(*args, **kwargs)


__all__ = ["Cubic", "Linear", "Nearest", "coordinates"]
