"""Interpolation on rectilinear grids: along each axis every point has some places and weights, and the value is their product's sum."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import interpolate as scipy_interpolate

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.kinds import Discrete
from dualdiff.operators import stop_gradient
from dualdiff.rules.absent import filled, missing
from dualdiff.scipy.interpolate.cubic import pchip_slopes
from dualdiff.scipy.interpolate.pieces import KINKS, ROOM, carrying, column, inexact, joint, kinked, meeting, real
from dualdiff.scipy.interpolate.splines import basis, make_interp_spline, not_a_knot, spline_places
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind, fixed, operand

GRID = scipy_interpolate.RegularGridInterpolator
DEGREES = {"slinear": 1, "cubic": 3, "quintic": 5}
METHODS = (
    "linear",
    "nearest",
    *DEGREES,
    "pchip",
    *(f"{name}_legacy" for name in DEGREES),
)


def _coordinates(xi: Any, ndim: int) -> Any:
    """Return points with their coordinates along the last axis, as SciPy reads them."""
    if isinstance(xi, tuple) and len(xi) == 1:
        xi = xi[0]
    if isinstance(xi, tuple):
        return np.stack(np.broadcast_arrays(*map(real, xi)), axis=-1)
    xi = real(xi)
    return np.reshape(xi, (-1, ndim)) if len(shape_of(xi)) == 1 else xi


# --------------------------------------------------------------------------------------------------
# places and weights


def _cells(grid: Any, x: Any) -> tuple[Any, Any]:
    """Return for points along an axis the cell that each lies in, and the one before it where it lies on the border."""
    last = shape_of(grid)[0] - 2
    return tuple(np.clip(fixed(np.searchsorted(grid, x, side=s)) - 1, 0, last) for s in ("right", "left"))


def _of_cell(grid: Any, x: Any, i: Any) -> tuple[Any, Any]:
    t = (x - grid[i]) / (grid[i + 1] - grid[i])
    return np.stack([i, i + 1]), np.stack([1 - t, t])


def _summed(values: Any, axes: list[tuple[Any, Any]]) -> Any:
    """Return the sums of products: ``axes`` holds for each axis the places and the weights, shape (p, n) both."""
    d = len(axes)
    places = tuple(
        np.reshape(i, (*(1,) * k, len(i), *(1,) * (d - k - 1), i.shape[-1])) for k, (i, _) in enumerate(axes)
    )
    found = values[places]
    for _, w in axes:
        rank = len(shape_of(found))
        found = np.sum(
            found * np.reshape(w, (shape_of(w)[0], *(1,) * (d - 1), *shape_of(w)[1:], *(1,) * (rank - d - 1))), axis=0
        )
        d -= 1
    return found


def _linear(grid: Any, values: Any, xi: Any) -> Any:
    """Interpolate linearly along every axis; on a border between cells a slope is the mean of those beside it."""
    cells = [_cells(g, xi[:, k]) for k, g in enumerate(grid)]

    def at(x: Any, chosen: list[Any]) -> Any:
        return _summed(values, [_of_cell(g, x[:, k], i) for k, (g, i) in enumerate(zip(grid, chosen))])

    own = [here for here, _ in cells]
    found = at(xi, own)
    for k, (here, before) in enumerate(cells):
        if np.any(here != before):
            other = [*own[:k], before, *own[k + 1 :]]
            slopes = [_slopes(grid, values, xi, chosen, k) for chosen in (own, other)]
            there = kinked(xi[:, k], grid[k][here], *slopes)
            found = meeting(
                found, lambda x, other=other: at(x, other) - at(x, own), xi, _onto(xi, k, grid[k][here]), there
            )
    return found


def _onto(xi: Any, axis: int, places: Any) -> Any:
    """Return points with other coordinates along an axis."""
    return np.where(np.arange(shape_of(xi)[1]) == axis, places[:, None], xi)


def _slopes(grid: Any, values: Any, xi: Any, cells: list[Any], axis: int) -> Any:
    """Return the slopes along an axis in some cells, as plain numbers are told of."""
    values, xi, grid = stop_gradient((values, xi, tuple(grid)))
    axes = []
    for k, (g, i) in enumerate(zip(grid, cells)):
        places, weights = _of_cell(g, xi[:, k], i)
        slope = 1.0 / (g[i + 1] - g[i])
        axes.append((places, np.stack([-slope, slope]) if k == axis else weights))
    return _summed(values, axes)


def _nearest(grid: Any, values: Any, xi: Any) -> Any:
    places = []
    for k, g in enumerate(grid):
        i = _cells(g, xi[:, k])[0]
        upper = fixed((xi[:, k] - g[i]) / (g[i + 1] - g[i]) > 0.5)
        places.append(np.where(upper, i + 1, i))
    return values[tuple(places)]


def tensor(t: Any, c: Any, k: Any, xi: Any, nu: Any) -> Any:
    """Return a tensor product of B-splines, or a partial derivative of it, at points.

    Along an axis on which it is piecewise linear, a slope at a knot is the mean of those beside it.
    """

    def at(x: Any, places: list[Any]) -> Any:
        axes = []
        for d, knots in enumerate(t):
            degree = int(k[d])
            own = places[d] + np.arange(-degree, 1)[:, None]
            axes.append((own, basis(knots, degree, x[:, d], places[d], int(nu[d]))))
        return _summed(c, axes)

    here = [spline_places(knots, int(k[d]), xi[:, d]) for d, knots in enumerate(t)]
    found = at(xi, here)
    for d, knots in enumerate(t):
        if int(k[d]) - int(nu[d]) != 1:
            continue
        before = spline_places(knots, int(k[d]), xi[:, d], "left")
        if np.any(before != here[d]):
            other = [*here[:d], before, *here[d + 1 :]]
            there = bind(joint, (np.where(before != here[d], xi[:, d] - knots[here[d]], 1.0),), {})
            places = _onto(xi, d, knots[here[d]])
            found = meeting(found, lambda x, other=other: at(x, other) - at(x, here), xi, places, there)
    return found


def _one_axis(grid: Any, y: Any, x: Any, shared: bool, method: str) -> Any:
    """Interpolate along the first axis of ``y``, whose second one numbers the points unless they share the values."""
    m = shape_of(x)[0]
    of_points = () if shared else (np.arange(m),)
    rest = len(shape_of(y)) - (1 if shared else 2)
    if method == "pchip":
        slopes = pchip_slopes(grid[1:] - grid[:-1], y)
        i = _cells(grid, x)[0]
        h = column(grid[i + 1] - grid[i], 1 + rest)
        s = column(x - grid[i], 1 + rest)
        y0, y1, d0, d1 = (
            y[(i, *of_points)],
            y[(i + 1, *of_points)],
            slopes[(i, *of_points)],
            slopes[(i + 1, *of_points)],
        )
        secant = (y1 - y0) / h
        bend = (d0 + d1 - 2 * secant) / h
        return ((bend / h * s + ((secant - d0) / h - bend)) * s + d0) * s + y0
    made = make_interp_spline(grid, y, k=DEGREES[method.removesuffix("_legacy")])
    at = spline_places(made.t, made.k, x)
    functions = basis(made.t, made.k, x, at)
    total: Any = 0.0
    for q in range(made.k + 1):
        total = total + made.c[(at - made.k + q, *of_points)] * column(functions[q], 1 + rest)
    return total


def _one_after_the_other(grid: Any, values: Any, xi: Any, method: str) -> Any:
    d = len(grid)
    y = np.moveaxis(values, d - 1, 0)
    y = _one_axis(grid[-1], y, xi[:, -1], True, method)  # the points are its first axis now
    for k in range(d - 2, -1, -1):
        y = _one_axis(grid[k], np.moveaxis(y, k + 1, 0), xi[:, k], False, method)
    return y


# --------------------------------------------------------------------------------------------------
# the coefficients of a tensor product of splines


def _exact(points: Any, values: Any, degree: int) -> Any:
    c = values
    for d, x in enumerate(points):
        c = np.moveaxis(make_interp_spline(x, np.moveaxis(c, d, 0), k=degree).c, 0, d)
    return c


def _scipys(values: Any, *points: Any, degree: int, solver: Any, options: Any) -> Any:
    from scipy.interpolate._ndbspline import make_ndbspl

    more = {} if solver is None else {"solver": solver}
    return np.asarray(make_ndbspl(tuple(points), values, degree, **more, **dict(options)).c)


remainder = Discrete(
    "scipy.interpolate.RegularGridInterpolator",
    lambda values, *points, degree, solver, options: (
        _scipys(values, *points, degree=degree, solver=solver, options=options)
        - np.asarray(_exact(points, values, degree))
    ),
)
"""By how much SciPy's coefficients, found by iteration, differ from the solution."""


def _coefficients(points: Any, values: Any, degree: int, solver: Any, options: Any) -> Any:
    params = {"degree": degree, "solver": solver, "options": tuple(sorted(options.items()))}
    return _exact(points, values, degree) + bind(remainder, (values, *points), params)


# --------------------------------------------------------------------------------------------------
# objects


def _evaluated(self: Any, xi: Any, method: Any, nu: Any, coefficients: Any) -> Any:
    """Interpolate; ``coefficients`` makes the knots, coefficients and degrees of a method that is a tensor product of splines."""
    method = self.method if method is None else method
    if method not in METHODS:
        raise ValueError(f"Method '{method}' is not defined")
    if nu is not None and method not in DEGREES:
        raise ValueError(f"Can only compute derivatives for methods {set(DEGREES)}, got {method =}.")
    grid = [real(g) for g in self.grid]
    values = operand(self.values)
    d = len(grid)
    xi = _coordinates(xi, d)
    if shape_of(xi)[-1] != d:
        raise ValueError(
            f"The requested sample points xi have dimension {shape_of(xi)[-1]} but this RegularGridInterpolator has dimension {d}"
        )
    shape = shape_of(xi)
    xi = np.reshape(xi, (-1, d))
    outside: Any = np.zeros(shape_of(xi)[0], bool)
    for k, g in enumerate(grid):
        beyond = (xi[:, k] < g[0]) | (xi[:, k] > g[-1])
        if self.bounds_error and fixed(np.any(beyond | np.isnan(xi[:, k]))):
            raise ValueError(f"One of the requested xi is out of bounds in dimension {k}")
        outside = outside | beyond
    if method == "linear":
        found = _linear(grid, values, xi)
    elif method == "nearest":
        found = _nearest(grid, values, xi)
    elif method in DEGREES:
        t, c, degrees = coefficients(method)
        found = tensor([real(k) for k in t], inexact(c), degrees, xi, (0,) * d if nu is None else nu)
    else:
        _long_enough(grid, DEGREES.get(method.removesuffix("_legacy"), 3), method)
        found = _one_after_the_other(grid, values, xi, method)
    rank = len(shape_of(found))
    if not self.bounds_error and self.fill_value is not None and fixed(np.any(outside)):
        found = filled(column(outside, rank), self.fill_value, found, column(np.sum(xi, axis=-1), rank))
    nowhere = np.isnan(xi)
    if fixed(np.any(nowhere)):
        found = missing(column(np.any(nowhere, axis=-1), rank), found, column(np.sum(xi, axis=-1), rank))
    return np.reshape(found, shape[:-1] + shape_of(values)[d:])


@ROOM.method(GRID, "__call__", facts=KINKS)
def called(self: Any, xi: Any, method: Any = None, *, nu: Any = None) -> Any:
    """``RegularGridInterpolator(...)(xi)``, by every method."""

    def coefficients(method: str) -> Any:
        made = self._spline if method == self.method else self._construct_spline(method)
        return made.t, made.c, made.k

    return _evaluated(self, xi, method, nu, coefficients)


def _long_enough(grid: Any, degree: int, method: str) -> None:
    for i, g in enumerate(grid):
        n = shape_of(g)[0]
        if n <= degree:
            raise ValueError(
                f"There are {n} points in dimension {i}, but method {method} requires at least  {degree + 1} points per dimension."
            )


class Grid:
    """The part of an interpolator on a grid that carries a derivative; SciPy's class is its other parent."""

    grid: Any = ()
    values: Any = None
    method: Any = "linear"
    bounds_error: Any = True
    fill_value: Any = np.nan
    solver: Any = None
    solver_args: Any = None

    def __call__(self, xi: Any, method: Any = None, *, nu: Any = None) -> Any:
        """Interpolate at points."""

        def coefficients(method: str) -> Any:
            degree = DEGREES[method]
            _long_enough(self.grid, degree, method)
            own = method == self.method
            c = _coefficients(
                self.grid, self.values, degree, self.solver if own else None, (self.solver_args or {}) if own else {}
            )
            return [not_a_knot(g, degree) for g in self.grid], c, (degree,) * len(self.grid)

        return _evaluated(self, xi, method, nu, coefficients)


@ROOM.constructor(GRID, facts=KINKS)
def regular_grid_interpolator(
    points: Any,
    values: Any,
    method: str = "linear",
    bounds_error: bool = True,
    fill_value: Any = np.nan,
    *,
    solver: Any = None,
    solver_args: Any = None,
) -> Any:
    """``scipy.interpolate.RegularGridInterpolator`` of values, or of a grid, that carry a derivative."""
    if method not in METHODS:
        raise ValueError(f"Method '{method}' is not defined")
    values = operand(values)
    if dtype_of(values).kind not in "fc":
        values = inexact(values)
    grid, falling = [], []
    for i, p in enumerate(points):
        p = real(p)
        if not fixed(np.all(p[1:] > p[:-1])):
            if not fixed(np.all(p[1:] < p[:-1])):
                raise ValueError(f"The points in dimension {i} must be strictly ascending or descending")
            falling.append(i)
            p = p[::-1]
        grid.append(p)
    if len(grid) > len(shape_of(values)):
        raise ValueError(f"There are {len(grid)} point arrays, but values has {len(shape_of(values))} dimensions")
    for i, p in enumerate(grid):
        if len(shape_of(p)) != 1:
            raise ValueError(f"The points in dimension {i} must be 1-dimensional")
        if shape_of(values)[i] != shape_of(p)[0]:
            raise ValueError(f"There are {shape_of(p)[0]} points and {shape_of(values)[i]} values in dimension {i}")
    if method not in ("linear", "nearest"):
        _long_enough(grid, DEGREES.get(method.removesuffix("_legacy"), 3), method)
    if fill_value is not None and not np.can_cast(dtype_of(operand(fill_value)), dtype_of(values), casting="same_kind"):
        raise ValueError("fill_value must be either 'None' or of a type compatible with values")
    if method not in DEGREES and (solver is not None or solver_args):
        raise ValueError(f"{method =} does not accept the 'solver' argument.")
    if method == "pchip" and dtype_of(values).kind == "c":
        raise ValueError("`PchipInterpolator` only works with real values.")
    made: Any = object.__new__(carrying(GRID, Grid))
    made.grid, made.values = tuple(grid), np.flip(values, axis=tuple(falling)) if falling else values
    made.method, made.bounds_error, made.fill_value = method, bounds_error, fill_value
    made.solver, made.solver_args = solver, solver_args
    return made


@ROOM.function("interpn", facts=KINKS)
def interpn(
    points: Any, values: Any, xi: Any, method: str = "linear", bounds_error: bool = True, fill_value: Any = np.nan
) -> Any:
    """``scipy.interpolate.interpn``."""
    if method == "splinef2d":
        raise UnsupportedFunctionError(
            f"{where()}: scipy.interpolate.interpn with method='splinef2d' is compiled code, which cannot carry a derivative. Use "
            "method='cubic', which is the same spline."
        )
    if method not in METHODS:
        raise ValueError(
            "interpn only understands the methods 'linear', 'nearest', 'slinear', 'cubic', 'quintic', 'pchip', and 'splinef2d'. "
            f"You provided {method}."
        )
    made = regular_grid_interpolator(points, values, method, bounds_error, fill_value)
    return made(xi)


ND = getattr(scipy_interpolate, "NdBSpline", None)


@ROOM.method(ND, "__call__", facts=KINKS)
def tensor_called(self: Any, xi: Any, *, nu: Any = None, extrapolate: Any = None) -> Any:
    """``NdBSpline(...)(xi)``."""
    extrapolate = self.extrapolate if extrapolate is None else extrapolate
    t, c, d = [real(k) for k in self.t], inexact(self.c), len(self.t)
    xi = real(xi)
    shape = shape_of(xi)
    if shape[-1] != d:
        raise ValueError(f"Shapes: xi.shape={shape} and ndim={d}")
    orders = np.zeros(d, int) if nu is None else np.asarray(nu, dtype=np.int64)
    if orders.shape != (d,):
        raise ValueError(f"invalid number of derivative orders {nu = } for ndim = {d}.")
    if np.any(orders < 0):
        raise ValueError(f"derivatives must be positive, got {nu = }")
    xi = np.reshape(xi, (-1, d))
    found = tensor(t, c, self.k, xi, orders)
    if not extrapolate:
        outside: Any = np.zeros(shape_of(xi)[0], bool)
        for k, knots in enumerate(t):
            degree = int(self.k[k])
            outside = outside | (xi[:, k] < knots[degree]) | (xi[:, k] > knots[-degree - 1])
        rank = len(shape_of(found))
        found = missing(column(outside, rank), found, column(np.sum(xi, axis=-1), rank))
    return np.reshape(found, shape[:-1] + shape_of(c)[d:])


__all__ = ["interpn", "regular_grid_interpolator", "tensor"]
