"""FITPACK's splines through points, as functions of the points: curves, surfaces, and what is asked of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import interpolate as scipy_interpolate

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.operators.solutions import Given, Solved
from dualdiff.scipy.interpolate.fitted import (
    OUTSIDE,
    bivariate,
    splder,
    splev,
    splrep,
    univariate,
    univariate_integral,
)
from dualdiff.scipy.interpolate.pieces import KINKS, ROOM, carrying, inexact, real
from dualdiff.scipy.interpolate.splines import integrate, make_interp_spline, not_a_knot, spline
from dualdiff.shapes import shape_of
from dualdiff.values import fixed, operand

UNIVARIATE = scipy_interpolate.UnivariateSpline
SURFACE = scipy_interpolate.BivariateSpline

# --------------------------------------------------------------------------------------------------
# what is asked of a curve


def _parts(tck: Any) -> tuple[Any, Any, int]:
    if isinstance(tck, scipy_interpolate.BSpline):
        return tck.t, tck.c, tck.k
    t, c, k = tck
    return t, c, k


@ROOM.function("spalde")
def spalde(x: Any, tck: Any) -> Any:
    """``scipy.interpolate.spalde``: all derivatives at points."""
    t, c, k = _parts(tck)
    x = real(x)
    if not shape_of(x):
        return np.stack([splev(x, (t, c, k), der) for der in range(k + 1)])
    return [spalde(one, (t, c, k)) for one in np.reshape(x, -1)]


@ROOM.function("sproot")
def sproot(tck: Any, mest: int = 10) -> Any:
    """``scipy.interpolate.sproot``: the roots of a cubic spline, by the equations that hold there."""
    t, c, k = _parts(tck)

    def solve(held: Any) -> Any:
        return scipy_interpolate.sproot((*held, k), mest)

    given = Given((real(t), real(c)))
    if not len(solve(given.plain())):
        return np.zeros(0)
    return Solved(given, solve, lambda x, held: splev(x, (*held, k))).result()


@ROOM.function("insert")
def insert(x: Any, tck: Any, m: int = 1, per: int = 0) -> Any:
    """``scipy.interpolate.insert`` with plain knots: linear in the coefficients."""
    t, c, k = _parts(tck)
    x, t, c = fixed(operand(x), "a knot to insert"), fixed(operand(t), "the knots of a spline"), inexact(c)
    columns = []
    for e in np.eye(shape_of(c)[0]):
        knots, column, _ = scipy_interpolate.insert(x, (t, e, k), m, per)
        columns.append(column)
    made = knots, np.stack(columns, axis=1) @ c, k
    return spline(*made) if isinstance(tck, scipy_interpolate.BSpline) else made


@ROOM.function("splprep", facts=KINKS)
def splprep(
    x: Any,
    w: Any = None,
    u: Any = None,
    ub: Any = None,
    ue: Any = None,
    k: int = 3,
    task: int = 0,
    s: Any = None,
    t: Any = None,
    full_output: int = 0,
    nest: Any = None,
    per: int = 0,
    quiet: int = 1,
) -> Any:
    """``scipy.interpolate.splprep``: the curve through the points (``s=0``), by the lengths of the chords."""
    through = s is not None and not fixed(np.any(np.not_equal(s, 0)))
    if not through or task != 0 or full_output or per or any(v is not None for v in (ub, ue, t)):
        raise UnsupportedFunctionError(
            f"{where()}: scipy.interpolate.splprep is differentiated where the curve goes through the points (s=0), with no other option "
            "than u and k; smoothing chooses the knots by the data."
        )
    points = np.stack([real(one) for one in x])
    if u is None:
        chords = np.sqrt(np.sum(np.diff(points, axis=1) ** 2, axis=0))
        lengths = np.concatenate([np.zeros(1), np.cumsum(chords)])
        u = lengths / lengths[-1]
    u = real(u)
    made = make_interp_spline(u, np.swapaxes(points, 0, 1), k=k)
    return [made.t, [made.c[:, i] for i in range(shape_of(points)[0])], k], u


@ROOM.function("make_splrep", facts=KINKS)
def make_splrep(
    x: Any,
    y: Any,
    *,
    w: Any = None,
    xb: Any = None,
    xe: Any = None,
    k: int = 3,
    s: Any = 0,
    t: Any = None,
    nest: Any = None,
    bc_type: Any = None,
) -> Any:
    """``scipy.interpolate.make_splrep`` through the points (``s=0``)."""
    if fixed(np.any(np.not_equal(s, 0))) or any(v is not None for v in (xb, xe, t, bc_type)):
        raise UnsupportedFunctionError(
            f"{where()}: scipy.interpolate.make_splrep is differentiated where the spline goes through the points (s=0), with no other "
            "option than k; smoothing chooses the knots by the data. Use make_lsq_spline with knots of your own, or "
            "make_smoothing_spline with lam=."
        )
    return make_interp_spline(x, y, k=k)


# --------------------------------------------------------------------------------------------------
# objects for curves


class Curve:
    """The part of a ``UnivariateSpline`` that carries a derivative; SciPy's class is its other parent."""

    _eval_args: Any = None
    ext: Any = 0
    __call__ = univariate
    integral = univariate_integral

    def derivative(self, n: int = 1) -> Any:
        """As SciPy's."""
        return _curve(splder(self._eval_args, n), 1 if self.ext == 3 else self.ext)

    def antiderivative(self, n: int = 1) -> Any:
        """As SciPy's."""
        return _curve(splder(self._eval_args, -n), self.ext)

    def derivatives(self, x: Any) -> Any:
        """As SciPy's."""
        return spalde(x, self._eval_args)

    def roots(self) -> Any:
        """As SciPy's."""
        return sproot(self._eval_args, 3 * len(self._eval_args[1]))

    def get_knots(self) -> Any:
        """As SciPy's."""
        t, _, k = self._eval_args
        return t[k : shape_of(t)[0] - k]

    def get_coeffs(self) -> Any:
        """As SciPy's."""
        t, c, k = self._eval_args
        return c[: shape_of(t)[0] - k - 1]

    def __getattr__(self, name: str) -> Any:
        if name in ("get_residual", "set_smoothing_factor", "_data"):
            raise UnsupportedFunctionError(
                f"{where()}: UnivariateSpline.{name} of a spline that carries a derivative is not supported. Compute it from spline(x) - y."
            )
        raise AttributeError(name)


def _curve(tck: Any, ext: Any) -> Any:
    made: Any = object.__new__(carrying(UNIVARIATE, Curve))
    made._eval_args, made.ext = tck, ext
    return made


def _outside(ext: Any) -> int:
    found = OUTSIDE.get(ext, ext) if isinstance(ext, str) else ext
    if found not in (0, 1, 2, 3):
        raise ValueError(f"Unknown extrapolation mode {ext}.")
    return int(found)


def _default_bounds(bbox: Any, what: str) -> None:
    if any(b is not None for b in np.ravel(np.asarray(bbox, object))):
        raise UnsupportedFunctionError(
            f"{where()}: scipy.interpolate.{what} with bbox= is not differentiated by its data. Leave bbox out, or use "
            "make_interp_spline with knots of your own."
        )


@ROOM.constructor(scipy_interpolate.InterpolatedUnivariateSpline, facts=KINKS)
def interpolated(
    x: Any, y: Any, w: Any = None, bbox: Any = (None, None), k: int = 3, ext: Any = 0, check_finite: bool = False
) -> Any:
    """``InterpolatedUnivariateSpline(x, y)``."""
    _default_bounds(bbox, "InterpolatedUnivariateSpline")
    return _curve(splrep(x, y, k=k), _outside(ext))


@ROOM.constructor(UNIVARIATE, facts=KINKS)
def univariate_spline(
    x: Any,
    y: Any,
    w: Any = None,
    bbox: Any = (None, None),
    k: int = 3,
    s: Any = None,
    ext: Any = 0,
    check_finite: bool = False,
) -> Any:
    """``UnivariateSpline(x, y, s=0)``, which goes through the points."""
    if s is None or fixed(np.any(np.not_equal(s, 0))):
        raise UnsupportedFunctionError(
            f"{where()}: scipy.interpolate.UnivariateSpline with smoothing chooses its knots by the data, and is not differentiated by "
            "them. Use s=0, LSQUnivariateSpline with knots of your own, or make_smoothing_spline with lam=."
        )
    _default_bounds(bbox, "UnivariateSpline")
    return _curve(splrep(x, y, k=k), _outside(ext))


@ROOM.constructor(scipy_interpolate.LSQUnivariateSpline, facts=KINKS)
def least_squares(
    x: Any,
    y: Any,
    t: Any,
    w: Any = None,
    bbox: Any = (None, None),
    k: int = 3,
    ext: Any = 0,
    check_finite: bool = False,
) -> Any:
    """``LSQUnivariateSpline(x, y, t)``: inner knots, and least squares."""
    _default_bounds(bbox, "LSQUnivariateSpline")
    return _curve(splrep(x, y, w, k=k, t=t), _outside(ext))


@ROOM.method(UNIVARIATE, "derivatives")
def curve_derivatives(self: Any, x: Any) -> Any:
    """``UnivariateSpline.derivatives``."""
    return spalde(x, self._eval_args)


# --------------------------------------------------------------------------------------------------
# surfaces


def surface_integral(self: Any, xa: Any, xb: Any, ya: Any, yb: Any) -> Any:
    """``BivariateSpline.integral``: the surface is zero outside of its rectangle."""
    tx, ty, c = self.tck[:3]
    kx, ky = self.degrees
    nx, ny = shape_of(tx)[0] - kx - 1, shape_of(ty)[0] - ky - 1
    along = [
        integrate(spline(t, np.eye(n), k), a, b, extrapolate=False)
        for t, n, k, a, b in ((tx, nx, kx, xa, xb), (ty, ny, ky, ya, yb))
    ]
    return along[0] @ np.reshape(c, (nx, ny)) @ along[1]


class Surface:
    """The part of a ``BivariateSpline`` that carries a derivative; SciPy's class is its other parent."""

    tck: Any = None
    degrees: Any = None
    fp = 0.0
    __call__ = bivariate
    integral = surface_integral

    def ev(self, xi: Any, yi: Any, dx: int = 0, dy: int = 0) -> Any:
        """As SciPy's."""
        return bivariate(self, xi, yi, dx, dy, grid=False)

    def partial_derivative(self, dx: int, dy: int) -> Any:
        """As SciPy's."""
        tx, ty, c = self.tck
        c = np.reshape(c, [shape_of(t)[0] - k - 1 for t, k in zip((tx, ty), self.degrees)])
        kx, ky = self.degrees
        if dx:
            tx, c, kx = _differentiated(tx, c, kx, dx)
        if dy:
            ty, c, ky = _differentiated(ty, np.swapaxes(c, 0, 1), ky, dy)
            c = np.swapaxes(c, 0, 1)
        return _surface(SURFACE, (tx, ty, np.reshape(c, -1)), (kx, ky))


def _differentiated(t: Any, c: Any, k: int, n: int) -> tuple[Any, Any, int]:
    knots, found, degree = splder((t, np.concatenate([c, np.zeros((k + 1, shape_of(c)[1]))]), k), n)
    return knots, found[: shape_of(knots)[0] - degree - 1], degree


def _surface(kind: Any, tck: Any, degrees: Any) -> Any:
    made: Any = object.__new__(carrying(kind, Surface))
    made.tck, made.degrees = tck, degrees
    return made


ROOM.method(SURFACE, "integral")(surface_integral)


@ROOM.constructor(scipy_interpolate.RectBivariateSpline, facts=KINKS)
def rectangular(
    x: Any, y: Any, z: Any, bbox: Any = (None,) * 4, kx: int = 3, ky: int = 3, s: Any = 0, maxit: int = 20
) -> Any:
    """``RectBivariateSpline(x, y, z)``: a tensor product through the values on a grid."""
    if fixed(np.any(np.not_equal(s, 0))):
        raise UnsupportedFunctionError(
            f"{where()}: scipy.interpolate.RectBivariateSpline with smoothing chooses its knots by the data, and is not differentiated by "
            "them. Leave s out."
        )
    _default_bounds(bbox, "RectBivariateSpline")
    x, y, z = real(x), real(y), real(z)
    if shape_of(z) != (shape_of(x)[0], shape_of(y)[0]):
        raise ValueError("x and y dimensions of z must have same number of elements as x and y")
    first = make_interp_spline(x, z, k=kx, t=not_a_knot(x, kx))
    second = make_interp_spline(y, np.swapaxes(first.c, 0, 1), k=ky, t=not_a_knot(y, ky))
    return _surface(
        scipy_interpolate.RectBivariateSpline,
        (first.t, second.t, np.reshape(np.swapaxes(second.c, 0, 1), -1)),
        (kx, ky),
    )


@ROOM.function("bisplev", facts=KINKS)
def bisplev(x: Any, y: Any, tck: Any, dx: int = 0, dy: int = 0) -> Any:
    """``scipy.interpolate.bisplev``: on the grid of two vectors of points."""
    tx, ty, c, kx, ky = tck
    found = bivariate(_surface(SURFACE, (tx, ty, c), (kx, ky)), x, y, dx, dy)
    lengths = [n for p in (x, y) for n in shape_of(operand(p))]
    return np.reshape(found, lengths)


_SCATTERED = (
    "it is fitted by compiled code. A surface with knots of your own is linear in the values: np.linalg.lstsq of the products of "
    "BSpline.design_matrix(x, tx, kx).toarray() and that of y. RBFInterpolator takes scattered points as well."
)
for _name in ("SmoothBivariateSpline", "LSQBivariateSpline"):
    ROOM.refused_class(_name, _SCATTERED)
for _name in ("SmoothSphereBivariateSpline", "LSQSphereBivariateSpline", "RectSphereBivariateSpline"):
    ROOM.refused_class(_name, "it is fitted by compiled code.")


__all__ = ["Curve", "Surface", "bisplev", "insert", "spalde", "splprep", "sproot"]
