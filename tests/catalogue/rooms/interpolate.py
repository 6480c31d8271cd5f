"""``scipy.interpolate``: made and evaluated, in the argument, the values and the knots."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.interpolate as ip

from tests.catalogue.rooms.base import DropIn, Values, With, of
from tests.versions import SCIPY

X = np.array([0.0, 0.7, 1.5, 2.2, 3.1, 4.0])
Y = np.array([0.3, 1.2, -0.4, 0.5, 0.9, -0.2])
SLOPES = np.array([0.5, -0.3, 0.2, 0.8, -0.6, 0.1])
AT = np.array([0.4, 1.1, 2.9])
PIECES = np.random.default_rng(4).standard_normal((4, 5))
T = np.concatenate([[0.0] * 3, X, [4.0] * 3])
C = np.array([0.3, 1.2, -0.4, 0.5, 0.9, -0.2, 0.6, 0.1])
KNOTS = np.array([-1.0, -0.5, 0.0, 0.7, 1.5, 2.2, 3.1, 4.0, 4.5])
PLANE = np.random.default_rng(5).standard_normal((4, 5))
GRID = (np.arange(4.0), np.array([0.0, 0.8, 2.0, 2.5, 4.0]))
POINTS = np.array([[0.4, 1.3], [2.2, 3.1]])
SITES = np.random.default_rng(6).random((7, 2))
DATA = np.sin(SITES[:, 0] * 3) + SITES[:, 1]
MIDST = np.array([SITES[:3].mean(axis=0), SITES[2:6].mean(axis=0)])
SERIES = np.stack([Y, Y[::-1]])


def made(name: str, *operands: Any, **options: Any) -> DropIn:
    """Return the samples of a class that is made of its operands and evaluated at points."""
    kind = getattr(ip, name)
    return of(kind, *operands, called=lambda *xs, **o: kind(*xs, **o)(AT), **options)


DROP_INS: list[DropIn] = [
    made("PPoly", PIECES, X, extrapolate=False, axis=With(0)),
    made("CubicHermiteSpline", X, Y, SLOPES, extrapolate=False, axis=With(1, (X, SERIES, SERIES[::-1].copy()))),
    made("PchipInterpolator", X, Y, extrapolate=False, axis=With(1, (X, SERIES))),
    made("Akima1DInterpolator", X, Y, extrapolate=True, method="makima", axis=With(1, (X, SERIES))),
    made(
        "CubicSpline",
        X,
        Y,
        extrapolate=False,
        bc_type=Values("clamped", "natural", ((1, 0.3), (2, 0.1))),
        axis=With(1, (X, SERIES)),
    ),
    made("BSpline", KNOTS, C[:6], given={"k": 2}, extrapolate=False, axis=With(0)),
    of(
        ip.make_interp_spline,
        X,
        Y,
        called=lambda x, y, **o: ip.make_interp_spline(x, y, **o)(AT),
        k=Values(1, 2, 5),
        t=With(None),
        bc_type="natural",
        axis=With(1, (X, SERIES)),
        check_finite=False,
    ),
    of(
        ip.make_lsq_spline,
        X,
        Y,
        called=lambda x, y, t=None, **o: ip.make_lsq_spline(x, y, np.array([-0.1] * 4 + [2.0] + [4.1] * 4), **o)(AT),
        given={"t": None},
        k=With(3),
        w=np.array([1.0, 2.0, 1.0, 3.0, 1.0, 2.0]),
        axis=With(1, (X, SERIES)) if SCIPY >= (1, 16) else 0,  # before, SciPy fails along another axis than the first
        check_finite=False,
        method="norm-eq",
    ),
    of(
        ip.RegularGridInterpolator,
        PLANE,
        given={"points": None},
        called=lambda v, points=None, **o: ip.RegularGridInterpolator(GRID, v, **o)(POINTS),
        method=Values("nearest", "slinear", "cubic", "pchip"),
        bounds_error=False,
        fill_value=0.5,
        solver=With(None),
        solver_args=With(None),
    ),
    of(
        ip.interpn,
        PLANE,
        POINTS,
        given={"points": None},
        called=lambda v, xi, points=None, **o: ip.interpn(GRID, v, xi, **o),
        method=Values("nearest", "cubic"),
        bounds_error=False,
        fill_value=0.5,
    ),
    of(
        ip.splrep,
        Y,
        given={"x": None},
        called=lambda y, x=None, **o: ip.splev(AT, ip.splrep(X, y, **o)),
        w=np.array([1.0, 2.0, 1.0, 3.0, 1.0, 2.0]),
        xb=-0.1,
        xe=4.1,
        k=Values(1, 5),
        task=With(0),
        s=Values(0.01, 0.0),
        t=With(np.array([2.0]), None, {"task": -1}),
        full_output=With(0),
        per=With(0),
        quiet=With(1),
    ),
    of(
        ip.splev,
        AT,
        C,
        called=lambda x, c, tck=None, **o: ip.splev(x, (T, np.concatenate([c, np.zeros(4)]), 3), **o),
        der=Values(1, 2),
        ext=Values(1, 2, 3),
    ),
    of(
        ip.splint,
        np.float64(0.3),
        np.float64(2.7),
        C,
        called=lambda a, b, c, **o: ip.splint(a, b, (T, np.concatenate([c, np.zeros(4)]), 3), **o),
        full_output=1,
    ),
    of(ip.splder, C, called=lambda c, **o: ip.splev(AT, ip.splder((T, np.concatenate([c, np.zeros(4)]), 3), **o)), n=2),
    of(
        ip.splantider,
        C,
        called=lambda c, **o: ip.splev(AT, ip.splantider((T, np.concatenate([c, np.zeros(4)]), 3), **o)),
        n=2,
    ),
    of(
        ip.RBFInterpolator,
        SITES,
        DATA,
        called=lambda y, d, **o: ip.RBFInterpolator(y, d, **o)(POINTS / 4),
        neighbors=5,
        smoothing=0.1,
        kernel=Values(With("gaussian", None, {"epsilon": 2.0}), "cubic", With("linear")),
        epsilon=With(2.0, None, {"kernel": "gaussian"}),
        degree=2,
    ),
    of(
        ip.PPoly.__call__,
        AT,
        called=lambda x, **o: ip.PPoly(PIECES, X)(x, **o),
        nu=Values(1, 2),
        extrapolate=Values(False, "periodic"),
    ),
    of(
        ip.PPoly.integrate,
        np.float64(0.3),
        np.float64(2.7),
        called=lambda a, b, **o: ip.PPoly(PIECES, X).integrate(a, b, **o),
        extrapolate=Values(False, "periodic"),
    ),
    of(
        ip.BSpline.__call__,
        AT,
        called=lambda x, **o: ip.BSpline(T, C, 3)(x, **o),
        nu=Values(1, 2),
        extrapolate=Values(False, "periodic"),
    ),
    of(
        ip.BSpline.integrate,
        np.float64(0.3),
        np.float64(2.7),
        called=lambda a, b, **o: ip.BSpline(T, C, 3).integrate(a, b, **o),
        extrapolate=Values(False, "periodic"),
    ),
    made("BPoly", PIECES, X, extrapolate=False, axis=With(0)),
    of(
        vars(ip.BPoly)["from_derivatives"],
        X,
        np.stack([Y, SLOPES], axis=1),
        called=lambda x, y, **o: ip.BPoly.from_derivatives(x, y, **o)(AT),
        orders=Values(2, 3),
        extrapolate=With(False),
    ),
    of(
        vars(ip.BPoly)["from_power_basis"],
        PIECES,
        X,
        given={"pp": None},
        places=0,
        called=lambda c, x, pp=None, **o: ip.BPoly.from_power_basis(ip.PPoly(c, x), **o)(AT),
        extrapolate=False,
    ),
    of(
        vars(ip.PPoly)["from_spline"],
        C,
        given={"tck": None},
        places=0,
        called=lambda c, tck=None, **o: ip.PPoly.from_spline(ip.BSpline(T, c, 3), **o)(AT),
        extrapolate=False,
    ),
    of(
        vars(ip.PPoly)["from_bernstein_basis"],
        PIECES,
        X,
        given={"bp": None},
        places=0,
        called=lambda c, x, bp=None, **o: ip.PPoly.from_bernstein_basis(ip.BPoly(c, x), **o)(AT),
        extrapolate=False,
    ),
    of(
        ip.BPoly.integrate,
        np.float64(0.3),
        np.float64(2.7),
        called=lambda a, b, **o: ip.BPoly(PIECES, X).integrate(a, b, **o),
        extrapolate=Values(False, "periodic"),
    ),
    of(
        ip.LinearNDInterpolator,
        SITES,
        DATA,
        called=lambda x, y, **o: ip.LinearNDInterpolator(x, y, **o)(MIDST),
        fill_value=0.5,
        rescale=True,
    ),
    of(
        ip.NearestNDInterpolator,
        DATA,
        given={"x": None},
        called=lambda y, x=None, **o: ip.NearestNDInterpolator(SITES, y, **o)(MIDST),
        rescale=True,
        tree_options={"leafsize": 4},
    ),
    of(
        ip.NearestNDInterpolator.__call__,
        MIDST,
        called=lambda x: ip.NearestNDInterpolator(SITES, DATA)(x) + np.sum(x, axis=-1),
    ),
    of(
        ip.BPoly.__call__,
        AT,
        called=lambda x, **o: ip.BPoly(PIECES, X)(x, **o),
        nu=Values(1, 2),
        extrapolate=Values(False, "periodic"),
    ),
    of(
        ip.RegularGridInterpolator.__call__,
        POINTS,
        called=lambda x, **o: ip.RegularGridInterpolator(GRID, PLANE, method="cubic")(x, **o),
        method=Values("linear", "pchip"),
        nu=With((1, 0)),
    ),
    of(
        ip.UnivariateSpline.__call__,
        AT,
        called=lambda x, **o: ip.UnivariateSpline(X, Y, s=0)(x, **o),
        nu=Values(1, 2),
        ext=Values(1, 2, 3),
    ),
    of(
        ip.UnivariateSpline.integral,
        np.float64(0.3),
        np.float64(2.7),
        called=lambda a, b: ip.UnivariateSpline(X, Y, s=0).integral(a, b),
    ),
    of(
        ip.BivariateSpline.__call__,
        AT,
        AT,
        called=lambda x, y, **o: ip.RectBivariateSpline(X, X, np.outer(Y, Y))(x, y, **o),
        dx=1,
        dy=1,
        grid=False,
    ),
    of(ip.interp1d.__call__, AT, called=lambda x: ip.interp1d(X, Y, kind="cubic")(x)),
    of(ip.RBFInterpolator.__call__, POINTS / 4, called=lambda x: ip.RBFInterpolator(SITES, DATA)(x)),
    of(
        ip.PPoly.solve,
        np.float64(0.1),
        called=lambda y, **o: ip.CubicSpline(X, Y).solve(y, **o),
        discontinuity=False,
        extrapolate=False,
    ),
    of(
        ip.NdBSpline.__call__,
        POINTS,
        called=lambda x, **o: ip.NdBSpline((T, T), np.outer(C, C), 3)(x, **o),
        nu=With((1, 0)),
        extrapolate=False,
    ),
]
