"""scipy.interpolate: in the argument, in the values and in the knots, with SciPy's own values, by capture of plain code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.interpolate as ip
from scipy.sparse.linalg import spsolve

import dualdiff as dd
from dualdiff.errors import ForeignError, NonDifferentiablePointError, UnsupportedFunctionError
from dualdiff.testing import check
from tests.versions import SCIPY

RNG = np.random.default_rng(1)
X = np.sort(RNG.random(8)) * 5
Y = RNG.standard_normal(8)
T = np.linspace(X[0] - 0.3, X[-1] + 0.4, 7)
INSIDE = np.linspace(X[0] + 0.01, X[-1] - 0.02, 7)

pytestmark = pytest.mark.filterwarnings("ignore::dualdiff.errors.CaptureWarning")


def agrees(f: Any, *args: Any, order: int = 1, **options: Any) -> None:
    report = check(f, *args, directions=1, order=order, **options)
    assert report.verdict == "agree", report.doubts


def joined(*parts: Any) -> Any:
    return np.concatenate([np.ravel(p) for p in parts])


# --------------------------------------------------------------------------------------------------
# cubics and piecewise polynomials


@pytest.mark.parametrize("n", [2, 3, 4, 8])
def test_cubic_splines_by_their_points_under_every_condition_at_the_ends(n: int) -> None:
    conditions = [
        "not-a-knot",
        "natural",
        "clamped",
        ((1, 0.3), (2, 0.4)),
        ((2, 0.3), "not-a-knot"),
        ((2, 0.1), (1, 0.2)),
    ]

    def f(x: Any, y: Any) -> Any:
        found = [ip.CubicSpline(x, y, bc_type=c)(T) for c in conditions]
        return joined(*found, ip.CubicSpline(x, np.append(y[:-1], y[0]), bc_type="periodic")(T))

    agrees(f, X[:n], Y[:n], order=2 if n == 4 else 1)


def test_values_along_any_axis_and_of_complex_numbers() -> None:
    y = RNG.standard_normal((2, 8, 2))
    agrees(lambda y: ip.CubicSpline(X, y, axis=1)(T.reshape(7, 1)), y)
    agrees(lambda y: np.abs(ip.CubicSpline(X, y * (1 + 2j * y), bc_type=((1, 1j), (2, 0.5)))(T)), Y)
    agrees(lambda v: ip.CubicSpline(X, Y, bc_type=((1, v), (2, v**2)))(T), 0.3)


@pytest.mark.parametrize(
    "make",
    [
        lambda x, y: ip.PchipInterpolator(x, y),
        lambda x, y: ip.Akima1DInterpolator(x, y),
        lambda x, y: ip.Akima1DInterpolator(x, y, method="makima"),
        lambda x, y: ip.CubicHermiteSpline(x, y, y**2),
    ],
    ids=["pchip", "akima", "makima", "hermite"],
)
def test_local_cubics_by_points_and_argument(make: Any) -> None:
    agrees(lambda x, y, t: make(x, y)(t), X, Y, INSIDE, order=2)
    y = np.stack([Y, Y[::-1]], axis=1)
    agrees(lambda y: make(X, y)(INSIDE), y)


def test_two_points_are_joined_by_a_line() -> None:
    agrees(lambda x, y: ip.PchipInterpolator(x, y)(0.3 * x[:1] + 0.7 * x[1:]), X[:2], Y[:2])


@pytest.mark.parametrize("make", [ip.CubicSpline, ip.make_interp_spline, ip.PchipInterpolator])
def test_in_its_argument_a_spline_is_its_own_derivative(make: Any) -> None:
    s = make(X, Y)
    assert np.allclose(dd.jacobian(s)(T), np.diag(s(T, 1)), atol=1e-11)
    assert np.isclose(dd.hessian(lambda t: s(t))(1.1), s(1.1, 2))
    assert np.isclose(dd.grad(lambda t: s(t, 1))(1.1), s(1.1, 2))
    assert np.allclose(dd.jacobian(lambda p: s(T - p[0]))(np.array([0.3])), -s(T - 0.3, 1)[:, None])


def test_derivatives_integrals_and_roots() -> None:
    def f(x: Any, y: Any, a: Any, b: Any) -> Any:
        s = ip.CubicSpline(x, y)
        p = ip.CubicSpline(x, np.append(y[:-1], y[0]), bc_type="periodic")
        return joined(
            s.derivative()(T),
            s.derivative(2)(T),
            s.antiderivative(2)(T),
            s.derivative(-1)(T),
            s.integrate(a, b),
            s.integrate(b, a),
            p.integrate(a, a + 7 * b),
            p.integrate(a, b),
            s.roots(extrapolate=False),
        )

    agrees(f, X, Y, 0.8, 3.1, noise=1e-14)
    s = ip.CubicSpline(X, Y)
    assert np.isclose(dd.grad(lambda b: s.integrate(0.5, b))(2.0), s(2.0))
    agrees(lambda v: s.solve(v, extrapolate=False), 0.1, order=2)


def test_piecewise_polynomials_by_coefficients_and_breakpoints() -> None:
    c = RNG.standard_normal((3, 4, 2))
    t = np.linspace(-0.5, 4.7, 9)

    def f(c: Any, x: Any, t: Any) -> Any:
        falling = ip.PPoly(c[:, ::-1], x[::-1])
        return joined(ip.PPoly(c, x)(t), ip.PPoly(c, x, extrapolate="periodic")(t), falling(t), falling(t, 1))

    agrees(f, c, np.array([0.0, 1.1, 2.3, 3.0, 4.2]), t, order=2)
    outside = ip.PPoly(c, np.arange(5.0), extrapolate=False)
    assert np.isnan(dd.jvp(lambda t: outside(t), (t,), (np.ones(9),))[0][0]).all()
    swapped = ip.PPoly(np.moveaxis(c, 2, 0), np.arange(5.0), axis=1)
    agrees(lambda t: swapped(t), t)
    constructed = dd.jacobian(lambda c: ip.PPoly(c, np.arange(5.0), axis=1)(t))(np.moveaxis(c, 2, 0))
    assert constructed.shape == (2, 9, 2, 3, 4)


def test_where_pieces_meet_a_slope_is_the_mean_of_those_beside_it() -> None:
    p = ip.PPoly([[1.0, 2.0, -1.0], [0.0, 1.0, 3.0]], [0.0, 1.0, 2.0, 3.0])
    assert np.diag(dd.jacobian(lambda t: p(t))(np.array([0.0, 1.0, 2.0, 3.0]))).tolist() == [1.0, 1.5, 0.5, -1.0]
    by_value = dd.jacobian(lambda c: ip.PPoly(c, p.x)(1.0))(p.c)  # that of the piece which SciPy evaluates
    assert by_value.tolist() == [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    for linear in (ip.interp1d(X, Y, fill_value="extrapolate"), ip.make_interp_spline(X, Y, k=1)):
        slopes = np.diff(Y) / np.diff(X)
        assert np.allclose(np.diag(dd.jacobian(lambda t, f=linear: f(t))(X[1:-1])), (slopes[1:] + slopes[:-1]) / 2)
    with dd.kinks("raise"), pytest.raises(NonDifferentiablePointError):
        dd.jacobian(lambda t: p(t))(np.array([0.5, 1.0]))
    s = ip.CubicSpline(X, Y)
    with dd.kinks("raise"):
        assert np.allclose(dd.jacobian(lambda t: s(t))(X), np.diag(s(X, 1)))


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_point_that_moves_with_its_breakpoint_has_no_part_of_the_other_piece(mode: Any) -> None:
    surface = np.outer(Y, Y)
    through = [  # what goes through the points, wherever they lie
        lambda x: ip.make_interp_spline(x, Y, k=1)(x),
        lambda x: ip.PPoly(np.stack([np.diff(Y) / np.diff(x), Y[:-1]]), x)(x),
        lambda x: ip.BPoly(np.stack([Y[:-1], Y[1:]]), x)(x),
        lambda x: ip.interp1d(x, Y, fill_value="extrapolate")(x),
        lambda x: ip.interpn((x,), Y, x[:, None]),
        lambda x: ip.RectBivariateSpline(x, x, surface, kx=1, ky=1)(x, x),
    ]
    for f in through:
        assert np.allclose(dd.jacobian(f, mode=mode)(X), 0.0, atol=1e-12)
    for make, order in (
        (ip.CubicSpline, 2),
        (ip.PchipInterpolator, 1),
    ):  # the slope is the piece's own at its beginning
        found = dd.jacobian(lambda x, make=make, order=order: make(x, Y)(x[:-1], order), mode=mode)(X)
        wanted = dd.jacobian(lambda x, make=make, order=order: make(x, Y).derivative(order).c[-1], mode=mode)(X)
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_pieces_of_a_spline_are_those_to_the_right_of_its_knots(mode: Any) -> None:
    def spline(v: Any) -> Any:
        return ip.make_interp_spline(v[:8], Y)(v[8:])

    v = np.r_[X, INSIDE]
    wanted = dd.jacobian(spline, mode=mode)(v)
    for made in (ip.make_interp_spline, ip.splrep):
        with dd.kinks("raise"):
            found = dd.jacobian(lambda v, made=made: ip.PPoly.from_spline(made(v[:8], Y))(v[8:]), mode=mode)(v)
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8)
    plain = dd.jacobian(lambda v: ip.PPoly.from_spline(ip.splrep(v, Y))(INSIDE), mode=mode)(X)
    np.testing.assert_allclose(plain, wanted[:, :8], rtol=1e-8, atol=1e-8)


def test_what_is_made_is_of_scipys_class() -> None:
    def f(y: Any) -> Any:
        s, b = ip.CubicSpline(X, y), ip.make_interp_spline(X, y)
        assert isinstance(s, ip.CubicSpline)
        assert isinstance(s, ip.PPoly)
        assert isinstance(b, ip.BSpline)
        assert isinstance(s.derivative(), ip.PPoly)
        assert s.c.shape == (4, 7)
        assert np.all(s.x == X)
        t, c, k = b.tck
        return s.c[0, 0] + c[1] + k * t[0]

    assert dd.grad(f)(Y).shape == (8,)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda y: ip.CubicSpline(X[::-1], y), ValueError),
        (lambda y: ip.CubicSpline(X[:3], y), ValueError),
        (lambda y: ip.CubicSpline(X, y, bc_type="periodic"), ValueError),
        (lambda y: ip.CubicSpline(X, y, bc_type="loose"), ValueError),
        (lambda y: ip.CubicSpline(X, y * np.nan), ValueError),
        (lambda y: ip.Akima1DInterpolator(X, y, method="other"), NotImplementedError),
        (lambda y: ip.make_interp_spline(X, y, k=-1), ValueError),
        (lambda y: ip.make_interp_spline(X, y, k=3, t=np.arange(5.0)), ValueError),
        (lambda y: ip.make_interp_spline(X, y, bc_type=([(1, 0.0)], None)), ValueError),
        (lambda y: ip.interp1d(X, y)(9.0), ValueError),
        (lambda y: ip.RegularGridInterpolator((X,), y)([[9.0]]), ValueError),
        (lambda y: ip.RegularGridInterpolator((X[:3],), y), ValueError),
        (lambda y: ip.RBFInterpolator(X, y), ValueError),
        (lambda y: ip.splrep(X, y, s=1.0), UnsupportedFunctionError),
        (lambda y: ip.CubicSpline(X, np.stack([y, y], 1)).roots(), UnsupportedFunctionError),
        (
            lambda y: ip.interpn((X[:4], X[:4]), np.outer(y[:4], y[:4]), X[:2], method="splinef2d"),
            UnsupportedFunctionError,
        ),
    ],
)
def test_bad_arguments_raise_what_scipy_raises_and_the_rest_is_refused(call: Any, error: Any) -> None:
    with pytest.raises(error):
        dd.jacobian(lambda y: call(y) and y)(Y)
    if error is not UnsupportedFunctionError:
        with pytest.raises(error):
            call(Y)


# --------------------------------------------------------------------------------------------------
# B-splines


@pytest.mark.parametrize("k", [0, 1, 2, 3, 5])
def test_splines_of_every_degree_by_points_knots_and_argument(k: int) -> None:
    def f(x: Any, y: Any, t: Any) -> Any:
        s = ip.make_interp_spline(x, y, k=k)
        found = [s(t), s.antiderivative()(t)]
        if k:
            found += [s(t, 1)]
            around = ip.make_interp_spline(x, np.append(y[:-1], y[0]), k=k, bc_type="periodic")
            found += [s.derivative()(t), s.integrate(0.9, 2.1), s.integrate(-3.0, 9.0, extrapolate=False), around(t)]
            found += [around.integrate(0.9, 9.1), ip.BSpline(s.t, s.c, k, extrapolate=False)(x[0] + t[1:3] * 0.5)]
        return joined(*found)

    agrees(f, X, Y, T, order=2 if k == 3 else 1)


def test_splines_with_conditions_at_the_ends_and_values_along_an_axis() -> None:
    def f(x: Any, y: Any) -> Any:
        both = ([(1, 0.2), (2, 0.3)], [(1, 0.0), (3, y[0])])
        return joined(
            ip.make_interp_spline(x, y, bc_type="natural")(T),
            ip.make_interp_spline(x, y, bc_type="clamped")(T),
            ip.make_interp_spline(x, y, k=5, bc_type=both)(T),
            ip.make_interp_spline(x, np.stack([y, y**2]), k=2, axis=1)(T),
            ip.make_interp_spline(X, y, t=np.r_[[X[0]] * 4, X[2:6] + 0.01, [X[-1]] * 4])(T),
        )

    agrees(f, X, Y)
    t = np.linspace(0.0, 5.0, 12)
    t[5] = t[6]  # a knot that counts twice
    agrees(lambda c, x: ip.BSpline(t, c, 3)(x), RNG.standard_normal(8), INSIDE)


def test_fitpacks_functions() -> None:
    smooth = ip.splrep(X, Y, s=0.5)

    def f(x: Any, y: Any, t: Any) -> Any:
        tck = ip.splrep(x, y, s=0)
        found = [ip.splev(t, tck, der=d, ext=e) for d, e in ((0, 0), (1, 0), (2, 0), (0, 3))]
        found += [ip.splev(t[1:-1], tck, ext=1)]
        found += [ip.splev(INSIDE, ip.splantider(tck)), ip.splev(INSIDE, ip.splder(tck)), ip.splint(0.9, 3.0, tck)]
        return joined(*found, ip.splev(t, smooth))

    agrees(f, X, Y, T)


def test_outside_a_curve_is_what_scipy_says_for_every_extrapolation_and_derivative() -> None:
    at = np.array([X[0] - 0.5, 1.7, X[-1] + 0.3])

    def f(x: Any, y: Any, t: Any) -> Any:
        tck, curve = ip.splrep(x, y), ip.InterpolatedUnivariateSpline(x, y)
        orders = [(der, ext) for der in range(4) for ext in (0, 1, 3)]
        return joined(*[(ip.splev(t, tck, der, ext), curve(t, der, ext)) for der, ext in orders])

    np.testing.assert_allclose(dd.value_and_jacobian(f)(X, Y, at)[0], f(X, Y, at), rtol=1e-10, atol=1e-10)
    agrees(f, X, Y, at)
    with pytest.raises(ValueError, match="Extrapolation mode 3 is not supported"):  # as SciPy's own
        dd.grad(lambda q: ip.splev(q, ip.make_interp_spline(X, Y), ext=3))(1.0)


def test_fitted_splines_in_one_and_two_variables() -> None:
    univariate = [ip.UnivariateSpline(X, Y, s=0.3, ext=e) for e in ("extrapolate", "const")]
    surface = ip.RectBivariateSpline(np.arange(5.0), np.arange(6.0), RNG.standard_normal((5, 6)))
    knots = np.r_[[X[0] - 0.1] * 4, 2.0, [X[-1] + 0.1] * 4]

    def f(t: Any, y: Any) -> Any:
        found = [joined(s(t), s(t, 1), s.integral(t[1], t[4])) for s in univariate]
        found += [surface(t, 0.3 * t + 1), surface.ev(t, t**2 / 5), surface.ev(t[1:3], t[2:4], dx=1)]
        return joined(*found, ip.make_lsq_spline(X, y, knots)(t), ip.make_lsq_spline(X, y, knots, w=y**2 + 1)(t))

    agrees(f, INSIDE, Y)
    with pytest.raises(UnsupportedFunctionError, match="make_smoothing_spline"):
        dd.jacobian(lambda y: ip.make_smoothing_spline(X, y)(X))(Y)


# --------------------------------------------------------------------------------------------------
# interp1d, grids, radial functions


@pytest.mark.parametrize(
    "kind", ["linear", "nearest", "nearest-up", "previous", "next", "zero", "slinear", "quadratic", "cubic"]
)
def test_interp1d_of_every_kind(kind: str) -> None:
    wide = np.stack([Y, Y**2])

    def f(x: Any, y: Any, t: Any) -> Any:
        return joined(
            ip.interp1d(x, y, kind=kind, bounds_error=False, fill_value=(y[0], 2.0))(t),
            ip.interp1d(x, y, kind=kind, fill_value="extrapolate")(INSIDE if kind in ("previous", "next") else t),
            ip.interp1d(X, wide * y[1], kind=kind)(INSIDE.reshape(7, 1)),
        )

    agrees(f, X, Y, T)


GX, GY = np.sort(RNG.random(7)), np.sort(RNG.random(6))[::-1] * 2
VALUES = RNG.standard_normal((7, 6))
XI = np.stack([RNG.uniform(GX[0], GX[-1], 3), RNG.uniform(GY[-1], GY[0], 3)], axis=-1)
METHODS = ["linear", "nearest", "slinear", "cubic", "quintic", "pchip", "cubic_legacy"]


@pytest.mark.parametrize("method", METHODS)
def test_grids_by_argument_values_and_grid(method: str) -> None:
    given = ip.RegularGridInterpolator((GX, GY), VALUES, method=method)
    loose = {"method": method, "bounds_error": False}
    iterated = method in ("slinear", "cubic", "quintic")  # by a solver that stops at 1e-5
    exact = {"solver": spsolve} if iterated else {}

    def f(x: Any, v: Any, gx: Any) -> Any:
        return joined(
            given(x),
            ip.RegularGridInterpolator((gx, GY), v, fill_value=1.0, **loose, **exact)((1.5 * x[:, 0], x[:, 1])),
            ip.interpn((GX, GY), np.stack([v, v**2], axis=-1), 2 * x, fill_value=None, **loose) if not iterated else [],
        )

    agrees(f, XI, VALUES, GX)


@pytest.mark.parametrize("method", ["cubic", "quintic"])
def test_coefficients_that_scipy_finds_by_iteration_have_the_derivative_of_the_solution(method: str) -> None:
    exact = dd.jacobian(lambda v: ip.interpn((GX, GY), v, XI, f"{method}_legacy"))(VALUES)
    try:
        found = dd.jacobian(lambda v: ip.interpn((GX, GY), v, XI, method))(VALUES)
    except UnsupportedFunctionError:  # SciPy up to 1.16 takes the values to its solver as they are
        pytest.skip("the solver is met before the function that has a drop-in")
    assert np.allclose(found, exact, rtol=1e-10, atol=1e-10)


def test_grids_have_partial_derivatives_and_other_methods() -> None:
    g = ip.RegularGridInterpolator((GX, GY), VALUES, method="cubic")
    J = dd.jacobian(lambda x: g(x))(XI)
    for axis in (0, 1):
        assert np.allclose(J[[0, 1, 2], [0, 1, 2], axis], g(XI, nu=np.eye(2, dtype=int)[axis]))
    agrees(lambda x: joined(g(x, method="linear"), g(x, method="slinear"), g(x, nu=(1, 0))), XI, order=2)
    border = np.array([GX[2], GY[3]])
    slopes = dd.jacobian(lambda p: ip.RegularGridInterpolator((GX, GY), VALUES)(p))(border)[0]
    assert np.isclose(slopes[0], np.mean(np.diff(VALUES[1:4, 3]) / np.diff(GX[1:4])))


@pytest.mark.parametrize(
    "kernel",
    [
        "linear",
        "thin_plate_spline",
        "cubic",
        "quintic",
        "multiquadric",
        "inverse_multiquadric",
        "inverse_quadratic",
        "gaussian",
    ],
)
def test_radial_functions_by_points_values_and_scale(kernel: str) -> None:
    y, d = RNG.random((8, 2)), RNG.standard_normal(8)
    given = ip.RBFInterpolator(y, d, kernel=kernel, epsilon=3.0)

    def f(y: Any, d: Any, x: Any, e: Any) -> Any:
        return joined(given(x), ip.RBFInterpolator(y, d, kernel=kernel, epsilon=e, smoothing=0.1 * e)(x))

    agrees(f, y, d, RNG.random((3, 2)), 3.0, noise=1e-13)


# --------------------------------------------------------------------------------------------------
# scattered points, and FITPACK's fits by their data

PLACES = np.random.default_rng(0).random((12, 2))
HEIGHTS = np.sin(3 * PLACES[:, 0]) + PLACES[:, 1] ** 2
WITHIN = np.array([[0.4, 0.5], [0.52, 0.31], [2.0, 0.1]])
MADE = [kind(PLACES, HEIGHTS) for kind in (ip.LinearNDInterpolator, ip.CloughTocher2DInterpolator)]


def test_scattered_points_by_values_and_places() -> None:
    def f(v: Any, q: Any) -> Any:
        given = {"fill_value": -1.0, "rescale": True}
        exact = {"tol": 1e-12, **given}
        found = [g(q[:2]) for g in MADE]
        found += [ip.LinearNDInterpolator(PLACES, v[:, None] * [1.0, 2.0], **given)(q), MADE[0](q[0, 0], q[0, 1])]
        found += [ip.CloughTocher2DInterpolator(PLACES, v, **exact)(q), ip.NearestNDInterpolator(PLACES, v)(q)]
        found += [ip.griddata(PLACES, v, (q[:2, 0], q[:2, 1]), method=m) for m in ("nearest", "linear")]
        return joined(*found, ip.RBFInterpolator(PLACES, v, neighbors=5, smoothing=0.1)(q))

    agrees(f, HEIGHTS, WITHIN)
    agrees(lambda x: ip.LinearNDInterpolator(x, HEIGHTS)(WITHIN[:2]), PLACES)
    for g in (MADE[0], MADE[1], ip.LinearNDInterpolator(PLACES, HEIGHTS * 1j)):
        value = dd.jvp(lambda q, g=g: np.abs(g(q)), (WITHIN[:2],), (WITHIN[:2],))[0]
        np.testing.assert_allclose(value, np.abs(g(WITHIN[:2])), rtol=1e-14)
    if SCIPY >= (1, 18):  # a place that is taken to lie in a triangle only with this tolerance
        edge = PLACES[MADE[0].tri.convex_hull[0]].mean(axis=0)
        out = 1e-9 * (edge - PLACES.mean(axis=0))
        for g in MADE:
            value, slope = dd.jvp(lambda q, g=g: g(q, simplex_tolerance=1e7), (edge + out,), (edge,))
            np.testing.assert_allclose(value, g(edge + out, simplex_tolerance=1e7), rtol=1e-12)
            np.testing.assert_allclose(slope, dd.jvp(lambda q, g=g: g(q), (edge - out,), (edge,))[1], rtol=1e-6)
            assert np.isnan(dd.jvp(lambda q, g=g: g(q), (edge + out,), (edge,))[0])
            with pytest.raises(ValueError, match="must be positive"):
                dd.jvp(lambda q, g=g: g(q, simplex_tolerance=0), (edge,), (edge,))
    with pytest.raises(UnsupportedFunctionError, match="by its points"):
        dd.jacobian(lambda x: ip.CloughTocher2DInterpolator(x, HEIGHTS)(WITHIN))(PLACES)


def test_curves_of_fitpack_by_their_points() -> None:
    inner = np.array([0.9, 2.0])

    def f(x: Any, y: Any, at: Any) -> Any:
        through = ip.splrep(x, y)
        spline = ip.InterpolatedUnivariateSpline(x, y, ext="const")
        least = ip.LSQUnivariateSpline(x, y, inner, k=2)
        (t, c, k), u = ip.splprep([x, y], s=0)
        found = [
            ip.spalde(at, through),
            ip.sproot(through),
            spline.derivatives(at),
            spline.derivative()(at),
            spline.integral(X[0], at),
        ]
        found += [spline.antiderivative()(at), ip.UnivariateSpline(x, y, s=0, k=5).get_coeffs(), spline.roots()]
        found += [least(at), ip.splev(at, ip.splrep(x, y, w=1 + y**2, t=inner, k=2)), u[1:-1]]
        found += [*ip.splev(0.3, (t, c, k)), ip.make_splrep(x, y)(at) if hasattr(ip, "make_splrep") else at]
        return joined(*found)

    agrees(f, np.linspace(0.0, 3.0, 8), Y, 1.7)
    agrees(lambda y: ip.splev(2.0, ip.insert(2.1, ip.splrep(X, y))), Y)


def test_smoothing_splines_by_everything() -> None:
    f = lambda x, y, w, lam: ip.make_smoothing_spline(x, y, w=w, lam=lam)(np.linspace(X[0], X[-1], 5))  # noqa: E731
    agrees(f, X, Y, 1 + Y**2, 0.3)
    assert np.allclose(dd.jvp(f, (X, Y, 1 + Y**2, 0.3), (X, Y, Y, 0.1))[0], f(X, Y, 1 + Y**2, 0.3), rtol=1e-9)


def test_surfaces_by_their_values() -> None:
    x, y = np.sort(RNG.random(6)), np.sort(RNG.random(5))
    z = RNG.standard_normal((6, 5))
    plain = ip.RectBivariateSpline(x, y, z)

    def f(z: Any, p: Any) -> Any:
        own = ip.RectBivariateSpline(x, y, z, kx=2)
        tck = (*own.tck, 2, 3)
        parts = [
            own(p[0], p[1], grid=False),
            own.ev(p[0], p[1], dx=1),
            own.partial_derivative(1, 2)(p[0], p[1], grid=False),
        ]
        parts += [own.integral(x[0], p[0], y[1], p[1]), plain.integral(x[0], p[0], y[1], p[1])]
        return joined(*parts, ip.bisplev(p[0], p[1], tck), plain.partial_derivative(1, 0)(p[0], p[1], grid=False))

    agrees(f, z, np.array([0.4 * x[0] + 0.6 * x[-1], 0.5 * (y[0] + y[-1])]))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda y: ip.UnivariateSpline(X, y)(X), "s=0"),
        (lambda y: ip.make_smoothing_spline(X, y)(X), "lam="),
        (lambda y: ip.RectBivariateSpline(X[:4], X[:4], np.outer(y[:4], y[:4]), s=1.0), "Leave s out"),
        (lambda y: ip.SmoothBivariateSpline(X, Y, y, kx=1, ky=1), "RBFInterpolator"),
        (lambda y: ip.splprep([X, y], s=1.0)[1], "s=0"),
    ],
)
def test_fits_that_choose_by_the_data_say_what_to_write(call: Any, says: str) -> None:
    with pytest.raises(UnsupportedFunctionError, match=says):
        dd.jacobian(call)(Y)


def test_a_piecewise_polynomial_that_carries_a_derivative_is_named_where_it_is_not_taken() -> None:
    def f(c: Any) -> Any:
        return ip.BSpline.from_power_basis(ip.PPoly(c, X[:3]))

    with pytest.raises(
        ForeignError,
        match=r"test_interpolate.py, line \d+, in scipy.interpolate.BSpline.from_power_basis: .*\(its argument 'pp'\)",
    ):
        dd.jacobian(f, capture="always")(Y[:4].reshape(2, 2))


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (lambda c: ip.BPoly.from_power_basis(ip.PPoly(c, X[:3])), lambda c: ip.PPoly(c, X[:3])),
        (lambda c: ip.PPoly.from_bernstein_basis(ip.BPoly(c, X[:3])), lambda c: ip.BPoly(c, X[:3])),
    ],
    ids=["to Bernstein's", "to powers"],
)
def test_the_basis_is_changed_from_the_first_call(mode: Any, changed: Any, same: Any) -> None:
    # SciPy's own function asks the object for what only SciPy's has, before it asks a number of it.
    c, at = Y[:6].reshape(3, 2), INSIDE[:3]
    found = dd.jacobian(lambda c: changed(c)(at), mode=mode)(c)
    np.testing.assert_allclose(found, dd.jacobian(lambda c: same(c)(at))(c), rtol=1e-12, atol=1e-13)
