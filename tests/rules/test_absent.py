"""Where a function answers with NaN, or fills one in, its derivative is NaN by what caused it, in both modes, and never 0."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.interpolate as ip
import scipy.stats

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
from tests.rules.worked import MODES

NAN = np.nan
X, Y = np.arange(5.0), np.array([1.0, 3.0, 2.0, 5.0, 4.0])
AT = np.array([1.2, -1.0, 7.0])
GRID, PLANE = (X, np.arange(4.0)), np.outer(Y, [1.0, 2.0, 4.0, 3.0])
POINTS = np.array([[1.3, 1.6], [1.2, -1.0], [9.0, 1.0]])
SITES = np.random.default_rng(0).random((5, 2)) * 4
HOLES = np.array([[1.0, NAN, 3.0, 2.0], [4.0, 1.0, 0.0, 2.5]])
NOTHING = np.array([[NAN, NAN, NAN], [4.0, 1.0, 0.5]])

INTERPOLANTS: dict[str, Any] = {
    "interp1d": lambda x, y: ip.interp1d(X, y, bounds_error=False)(x),
    "interp1d, cubic": lambda x, y: ip.interp1d(X, y, "cubic", bounds_error=False)(x),
    "interp1d, one NaN of two": lambda x, y: ip.interp1d(X, y, bounds_error=False, fill_value=(NAN, NAN))(x),
    "np.interp": lambda x, y: np.interp(x, X, y, left=NAN, right=NAN),
    "CubicSpline": lambda x, y: ip.CubicSpline(X, y, extrapolate=False)(x),
    "PchipInterpolator": lambda x, y: ip.PchipInterpolator(X, y, extrapolate=False)(x),
    "Akima1DInterpolator": lambda x, y: ip.Akima1DInterpolator(X, y)(x),
    "BSpline": lambda x, y: ip.make_interp_spline(X, y)(x, extrapolate=False),
    "BPoly": lambda x, y: ip.BPoly(np.stack([y[:-1], y[1:]]), X, extrapolate=False)(x),
    "PPoly": lambda x, y: ip.PPoly(np.stack([y[:-1], y[1:]]), X, extrapolate=False)(x),
}
IN_PLANES: dict[str, Any] = {
    "RegularGridInterpolator": lambda x, y: ip.RegularGridInterpolator(GRID, y, bounds_error=False)(x),
    "of cubics": lambda x, y: ip.RegularGridInterpolator(GRID, y, "cubic", bounds_error=False)(x),
    "interpn": lambda x, y: ip.interpn(GRID, y, x, bounds_error=False),
}
SCATTERED: dict[str, Any] = {
    "linear": lambda x, y: ip.LinearNDInterpolator(SITES, y)(x),
    "cubic": lambda x, y: ip.CloughTocher2DInterpolator(SITES, y)(x),
    "nearest": lambda x, y: ip.NearestNDInterpolator(SITES, y)(x, distance_upper_bound=3.0) + 0.0 * np.sum(x, axis=-1),
}
CASES: dict[str, tuple[Any, Any, Any]] = {
    **{name: (f, AT, Y) for name, f in INTERPOLANTS.items()},
    **{name: (f, POINTS, PLANE) for name, f in IN_PLANES.items()},
    **{name: (f, np.array([SITES.mean(axis=0), [9.0, 1.0]]), SITES[:, 0] ** 2) for name, f in SCATTERED.items()},
}


@pytest.mark.parametrize("name", CASES)
def test_an_interpolator_outside_its_range(name: str) -> None:
    f, x, y = CASES[name]
    found = f(x, y)
    assert np.isnan(found).any()
    assert np.isfinite(found).any()
    for mode in (dd.jacfwd, dd.jacrev):
        by_x, by_y = (np.asarray(mode(f, argnums=k)(x, y)).reshape(len(found), -1) for k in (0, 1))
        of_own = by_x.reshape(len(found), len(found), -1)[np.arange(len(found)), np.arange(len(found))]
        assert np.array_equal(np.isnan(of_own).all(axis=-1), np.isnan(found))
        assert np.array_equal(np.isnan(by_y).any(axis=-1), np.isnan(found))


@pytest.mark.parametrize("name", ["np.interp", "CubicSpline", "PchipInterpolator", "BSpline", "BPoly", "PPoly"])
def test_an_interpolator_at_no_point(name: str) -> None:
    at = np.array([0.5, NAN, 2.5])
    for mode in MODES:
        assert np.isnan(mode(INTERPOLANTS[name])(at, Y)).tolist() == np.diag(np.isnan(at)).tolist()


def test_a_constant_that_is_filled_in() -> None:
    f = lambda x, v: ip.interp1d(X, Y, bounds_error=False, fill_value=v)(x)  # noqa: E731
    for mode in MODES:
        np.testing.assert_allclose(np.diag(mode(f)(AT, 9.0)), [-1, 0, 0])
        np.testing.assert_allclose(mode(lambda v: f(AT, v))(9.0), [0, 1, 1])
        grid = lambda x: ip.RegularGridInterpolator(GRID, PLANE, bounds_error=False, fill_value=2.0)(x)  # noqa: E731
        assert not np.any(mode(grid)(POINTS)[1:])
        # NaN of the user's own
        assert not np.any(mode(lambda x: np.where(x > 2, NAN, x))(AT)[2])


ANSWERS: dict[str, tuple[Any, Any]] = {
    **{f.__name__: (lambda x, f=f: f(x, axis=-1), HOLES) for f in (np.median, scipy.stats.iqr)},
    "quantiles": (lambda x: np.quantile(x, 0.3, axis=-1), HOLES),
    "quantiles by another method": (lambda x: np.percentile(x, 30, axis=-1, method="lower"), HOLES),
    **{
        f.__name__: (lambda x, f=f: f(x, axis=-1), NOTHING)
        for f in (np.nanmean, np.nanmedian, np.nanmax, np.nanmin, np.nanvar, np.nanstd)
    },
    "nanquantile": (lambda x: np.nanquantile(x, 0.3, axis=-1), NOTHING),
    "nanpercentile": (lambda x: np.nanpercentile(x, 30, axis=-1, method="higher"), NOTHING),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_statistics_of_missing_data(name: str) -> None:
    f, x = ANSWERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = f(x)
        assert np.isnan(found).tolist() == [True, False]
        for mode in MODES:
            try:
                J = mode(f)(x)
            except UnsupportedFunctionError as error:  # as SciPy's own functions are
                assert "the data hold NaN" in str(error)  # noqa: PT017
                continue
            assert np.isnan(J[0, 0][np.isnan(x[0])]).all()
            assert np.isfinite(J[1]).all()
            assert not np.any(J[0, 1])
    compiled = dd.compile(dd.jacobian(f))
    for _ in range(2):
        np.testing.assert_allclose(compiled(x[1:]), dd.jacobian(f)(x[1:]), rtol=1e-12)
