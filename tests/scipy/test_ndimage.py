"""scipy.ndimage: filters and interpolation of arrays, with SciPy's own values, by capture of plain code."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.ndimage as nd

import dualdiff as dd
from dualdiff.errors import NonDifferentiablePointError, UnsupportedFunctionError
from dualdiff.testing import check

RNG = np.random.default_rng(3)
X = RNG.standard_normal((5, 6))
LINE = RNG.standard_normal(7)
WEIGHTS, ROW = RNG.standard_normal((3, 4)), RNG.standard_normal(4)
MODES = ["reflect", "constant", "nearest", "mirror", "wrap", "grid-mirror", "grid-wrap", "grid-constant"]

pytestmark = pytest.mark.filterwarnings(
    "ignore::dualdiff.errors.CaptureWarning",
    "ignore:The behavior of affine_transform:UserWarning",  # SciPy's own, before 1.17
)


def agrees(f: Any, *args: Any, order: int = 1) -> None:
    report = check(f, *args, directions=1, order=order)
    assert report.verdict == "agree", report.doubts


def joined(*parts: Any) -> Any:
    return np.concatenate([np.ravel(p) for p in parts])


def same_value(f: Any, x: Any) -> None:
    found, _ = dd.jvp(f, (x,), (np.ones_like(x),))
    for a, b in zip(found, f(x), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        assert np.allclose(a, b, rtol=1e-12, atol=1e-12 if a.dtype != np.float32 else 1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_filters_have_scipys_values_in_every_mode(mode: str) -> None:
    def f(x: Any) -> Any:
        given = {"mode": mode, "cval": 0.3}
        found = [g(x, WEIGHTS, **given, origin=o) for g in (nd.correlate, nd.convolve) for o in (0, (1, -1))]
        found += [nd.correlate(x, np.ones((9, 2)), **given)]
        found += [g(x, ROW, axis=0, origin=-1, **given) for g in (nd.correlate1d, nd.convolve1d)]
        found += [g(x, 1.3, **given) for g in (nd.gaussian_filter, nd.gaussian_laplace, nd.gaussian_gradient_magnitude)]
        found += [g(x, **given) for g in (nd.laplace, nd.sobel, nd.prewitt, nd.uniform_filter)]
        found += [g(x, size=(3, 4), **given) for g in (nd.maximum_filter, nd.minimum_filter, nd.median_filter)]
        return [*found, nd.spline_filter(x, 3, mode=mode), nd.spline_filter1d(x, 4, axis=0, mode=mode)]

    same_value(f, X)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", range(6))
def test_interpolation_has_scipys_values_in_every_mode_and_order(order: int, mode: str) -> None:
    between = RNG.uniform(-14, 19, (2, 60))
    whole = np.array(list(itertools.product(range(-7, 14), range(-6, 15)))).T * 1.0

    def f(x: Any) -> Any:
        given = {"order": order, "mode": mode, "cval": 0.3}
        return [
            nd.map_coordinates(x, between, **given),
            nd.map_coordinates(x, whole, **given),
            nd.map_coordinates(x, between, prefilter=False, **given),
            nd.shift(x, (1.3, -2.4), **given),
            nd.zoom(x, (1.7, 0.6), **given),
            nd.rotate(x, 33.0, **given),
            nd.rotate(x, 90.0, reshape=False, **given),
            nd.affine_transform(x, [0.7, 1.2], (0.3, 0.2), **given),
            nd.affine_transform(x, [[0.7, 0.2], [-0.1, 0.6]], (0.3, 0.2), output_shape=(4, 4), **given),
        ]

    same_value(f, X)


def test_types_axes_and_complex_numbers() -> None:
    def f(x: Any) -> Any:
        return [
            nd.gaussian_filter(x, (1.0, 0.5), order=(1, 2), mode=("wrap", "nearest")),
            nd.gaussian_filter(x, 1.0, axes=(1,), radius=2),
            nd.gaussian_filter(x, 1.0, output=np.float32),
            nd.correlate1d(x, ROW * (1 + 2j), mode="constant"),
            nd.zoom(x, 1.0),
        ]

    same_value(f, X)
    same_value(f, X.astype(np.float32))
    turned = X + 1j * X[::-1]
    weights = WEIGHTS + 1j * WEIGHTS[::-1]
    same_value(
        lambda x: [nd.correlate(x, weights), nd.convolve(x, weights), nd.shift(x, 0.3, cval=1j), nd.rotate(x, 30)],
        turned,
    )
    agrees(lambda w: joined(nd.correlate(X, w), nd.convolve(turned, w, mode="wrap")), weights)


def test_filters_by_the_array_and_by_the_weights() -> None:
    def f(x: Any, w: Any, r: Any) -> Any:
        return joined(
            nd.correlate(x, w),
            nd.convolve(x, w, mode="constant"),
            nd.correlate1d(x, r, axis=0, mode="wrap"),
            nd.convolve1d(x, r, mode="mirror", origin=1),
        )

    agrees(f, X, WEIGHTS, ROW, order=2)


def test_filters_by_the_array_and_by_the_width() -> None:
    def f(x: Any, s: Any) -> Any:
        return joined(
            nd.gaussian_filter(x, s),
            nd.gaussian_filter(x, s, order=1),
            nd.gaussian_filter1d(x, s[0], order=3, mode="nearest"),
            nd.gaussian_laplace(x, s),
            nd.gaussian_gradient_magnitude(x, s[1]),
        )

    agrees(f, X, np.array([1.3, 0.7]))


def test_linear_filters() -> None:
    def f(x: Any) -> Any:
        found = [
            nd.laplace(x),
            nd.sobel(x),
            nd.prewitt(x, axis=0),
            nd.uniform_filter(x, 3),
            nd.uniform_filter1d(x, 4, origin=1),
        ]
        found += [nd.spline_filter(x, n, mode=m) for n in (2, 5) for m in MODES]
        found += [nd.fourier_gaussian(x, 1.0), nd.fourier_uniform(x, 2.0), nd.fourier_ellipsoid(x, 2.0)]
        found += [np.real(nd.fourier_shift(x, 0.7)), np.imag(nd.fourier_shift(x + 1j * x, 0.7))]
        return joined(*found)

    agrees(f, X)


def test_a_filter_of_few_weights_has_a_sparse_jacobian() -> None:
    u = RNG.standard_normal(400)
    for f, most in ((lambda u: nd.laplace(u.reshape(20, 20)).ravel() - u**3, 5), (lambda u: nd.convolve(u, ROW), 4)):
        J = dd.jacobian(f, sparse=True)(u)
        assert J.nnz <= most * 400
        assert np.allclose(J.toarray(), dd.jacobian(f, mode="reverse")(u))


def test_chosen_entries() -> None:
    def f(x: Any) -> Any:
        found = [g(x, 3) for g in (nd.maximum_filter, nd.minimum_filter, nd.median_filter)]
        found += [nd.maximum_filter1d(x, 3, axis=0), nd.minimum_filter1d(x, 4), nd.rank_filter(x, -2, size=2)]
        return joined(*found, nd.percentile_filter(x, 30, footprint=[[1, 0, 1], [1, 1, 1]]))

    agrees(f, X)
    assert dd.jacobian(lambda x: nd.maximum_filter(x, 3))(np.ones(3)).tolist()[1] == [1 / 3, 1 / 3, 1 / 3]


@pytest.mark.parametrize("order", [0, 1, 2, 3, 5])
def test_interpolation_by_the_array_and_by_the_coordinates(order: int) -> None:
    at = RNG.uniform(0.2, 3.8, (2, 3))

    def f(x: Any, c: Any, s: Any, modes: Any = MODES) -> Any:
        found = [nd.map_coordinates(x, c, order=order, mode=m) for m in modes]
        return joined(*found, *[nd.shift(x, s, order=order, mode=m) for m in modes])

    agrees(f, X, 2 * at - 2, np.array([0.3, -0.4]))
    if order == 3:
        agrees(lambda *args: f(*args, modes=("constant", "mirror")), X, 2 * at - 2, np.array([0.3, -0.4]), order=2)


def test_turned_and_stretched_arrays() -> None:
    def f(x: Any, angle: Any, m: Any, b: Any) -> Any:
        return joined(
            nd.rotate(x, angle, reshape=False),
            nd.rotate(x, angle, mode="nearest"),
            nd.affine_transform(x, m, b, mode="mirror"),
            nd.affine_transform(x, m[0], b, mode="mirror"),
            nd.affine_transform(x, np.concatenate([m, b[:, None]], axis=1), mode="mirror"),
            nd.zoom(x, 1.4),
            nd.rotate(np.stack([x, x**2], axis=1), 33.0, axes=(0, 2)),
        )

    agrees(f, X, 33.0, np.array([[0.7, 0.2], [-0.1, 0.6]]), np.array([0.3, 0.2]))


def test_where_linear_pieces_meet_a_slope_is_the_mean_of_those_beside_it() -> None:
    slopes = dd.jacobian(lambda c: nd.map_coordinates(LINE, c, order=1))(np.array([[1.0, 2.0, 2.5]]))[:, 0]
    assert np.allclose(np.diag(slopes), [(LINE[2] - LINE[0]) / 2, (LINE[3] - LINE[1]) / 2, LINE[3] - LINE[2]])
    moved = dd.jacobian(lambda s: nd.shift(LINE, s, order=1, mode="nearest"))(np.zeros(1))
    assert np.allclose(moved[1:-1, 0], (LINE[:-2] - LINE[2:]) / 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: nd.label(x),
        lambda x: nd.distance_transform_edt(x),
        lambda x: nd.distance_transform_edt(X > 0, x[0, :2], distances=np.zeros(X.shape)),
        lambda x: nd.generic_filter1d(x, lambda a, b: None, 3),
        lambda x: nd.gaussian_filter(x, 1.0, output=np.zeros((5, 6))),
        lambda x: nd.correlate(np.arange(30).reshape(5, 6), x[:3, :3]),
    ],
)
def test_the_rest_is_refused_by_name(call: Any) -> None:
    with pytest.raises(UnsupportedFunctionError, match=r"scipy\.ndimage"):
        dd.jacobian(lambda x: call(x) * x)(X)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: nd.correlate(x, ROW), RuntimeError),
        (lambda x: nd.correlate1d(x, ROW, origin=3), ValueError),
        (lambda x: nd.gaussian_filter(x, 1.0, mode="nowhere"), RuntimeError),
        (lambda x: nd.gaussian_filter(x, (1.0, 1.0, 1.0)), RuntimeError),
        (lambda x: nd.map_coordinates(x, np.zeros((3, 2))), RuntimeError),
        (lambda x: nd.median_filter(x), RuntimeError),
        (lambda x: nd.uniform_filter1d(x, 3, axis=4), np.exceptions.AxisError),
    ],
)
def test_bad_arguments_raise_what_scipy_raises(call: Any, error: Any) -> None:
    for run in (call, dd.jacobian(call)):
        with pytest.raises(error):
            run(X)


@pytest.mark.parametrize("mode", MODES[:5])
def test_linear_filters_of_nothing(mode: str) -> None:
    for shape in ((0,), (0, 3), (2, 0)):
        for f in (
            lambda x: nd.gaussian_filter(x, 1.0, mode=mode),
            lambda x: nd.correlate1d(x, [1.0, 2.0, 3.0], mode=mode),
            lambda x: nd.uniform_filter(x, 3, mode=mode),
        ):
            x = np.zeros(shape)
            assert f(x).shape == shape
            for jac in (dd.jacfwd, dd.jacrev):
                assert jac(f)(x).shape == shape + shape


def test_grey_morphology_and_filters_by_functions() -> None:
    cross, ramp = np.array([[1, 0, 1], [0, 1, 0]]), np.arange(6.0).reshape(3, 2)

    def f(x: Any, s: Any) -> Any:
        found = [
            nd.grey_dilation(x, (2, 3), origin=(0, 1)),
            nd.grey_erosion(x, structure=s),
            nd.grey_dilation(x, structure=ramp),
        ]
        found += [
            nd.grey_dilation(x, footprint=cross),
            nd.black_tophat(x, (2, 3)),
            nd.white_tophat(x, 3),
            nd.grey_opening(x, 3),
        ]
        found += [nd.morphological_gradient(x, 3), nd.generic_filter(x, np.mean, footprint=cross)]
        found += [nd.generic_gradient_magnitude(x, nd.sobel), nd.generic_laplace(x, _bent)]
        found += [nd.geometric_transform(x, lambda at: (at[0] * s[0, 0], at[1] * 0.7), order=2)]
        found += [nd.distance_transform_edt(X > 0, sampling=s[0]), x[nd.maximum_position(x)]]
        return joined(*found)

    def _bent(a: Any, axis: int, output: Any, mode: str, cval: float) -> Any:
        return nd.correlate1d(a, [1, -2, 1], axis, output, mode, cval)

    agrees(f, X, np.array([[0.51, 1.1], [0.3, 2.0]]))


def test_arrays_of_no_entries_are_filtered_to_such() -> None:
    for g in (nd.maximum_filter, nd.median_filter, nd.gaussian_filter):
        assert dd.jacobian(lambda x, g=g: g(x, 3))(np.zeros((0, 3))).shape == (0, 3, 0, 3)


def test_a_kink_of_this_room_says_so() -> None:
    with dd.kinks("raise"), pytest.raises(NonDifferentiablePointError, match=r"scipy\.ndimage"):
        dd.jacobian(lambda c: nd.map_coordinates(LINE, c[None], order=1))(np.array([2.0]))
