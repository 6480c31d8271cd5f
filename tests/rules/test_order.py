"""Sorting with ties, median and quantiles, worked by hand; and what they refuse."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dualdiff as dd
from tests.rules.worked import both, second


def test_sort_with_ties() -> None:
    expected = [[0, 1, 0, 0], [0.5, 0, 0.5, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 1]]
    both(np.sort, [2, 1, 2, 3], expected)
    both(lambda x: np.sort(x[:, None], axis=0)[:, 0], [2, 1, 2, 3], expected)
    both(lambda x: np.sort(x[None], axis=None), [2, 1, 2, 3], expected)
    third = 1 / 3
    both(np.sort, [7, 7, 7], np.full((3, 3), third))
    second(lambda x: np.sum(np.sort(x) ** 2), [2, 1, 2], 2 * np.array([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]]))


def test_sort_method_in_place() -> None:
    def f(x: Any) -> Any:
        y = x * 2
        y.sort()
        return y

    both(f, [3, 1, 2], 2 * np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]))


def test_median_and_quantiles() -> None:
    both(np.median, [5, 1, 3], [0, 0, 1])
    both(np.median, [5, 1, 3, 4], [0, 0, 0.5, 0.5])
    both(np.median, [3, 1, 3], [0.5, 0, 0.5])
    both(lambda x: np.quantile(x, 0.25), [4, 1, 2], [0, 0.5, 0.5])
    both(lambda x: np.percentile(x, [0, 100]), [4, 1, 2], [[0, 1, 0], [1, 0, 0]])
    both(lambda q: np.quantile(np.array([1.0, 2.0, 4.0]), q), 0.75, 4.0)
    both(lambda q: np.quantile(np.array([1.0, 2.0, 4.0]), q), 1.0, 4.0)


METHODS = (
    *("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull"),
    *("linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest"),
)


@pytest.mark.parametrize("method", METHODS)
def test_quantiles_by_every_method_have_numpys_value(method: str) -> None:
    rng = np.random.default_rng(3)
    for n in (1, 2, 5, 8):
        x = rng.permutation(n * 3).reshape(n, 3) * 0.5
        holed = np.where(rng.random((n, 3)) < 0.3, np.nan, x)
        for q in (0.0, 0.3, 0.5, 1.0, [0.1, 0.5, 0.9], [[0.25, 0.5], [0.75, 1.0]]):
            for axis in (None, 0, 1, (0, 1)):
                for f, data in (
                    (np.quantile, x),
                    (np.quantile, holed),
                    (np.nanquantile, holed),
                    (np.quantile, x > 0.5 * n),
                ):
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        expected = f(data.astype(float), q, axis=axis, method=method)
                        got = dd.vjp(
                            lambda v, f=f, q=q, axis=axis: f(v, q, axis=axis, method=method), data.astype(float)
                        )[0]
                    np.testing.assert_allclose(got, expected, rtol=1e-15)


@pytest.mark.filterwarnings("ignore::dualdiff.errors.NoDerivativeWarning")  # constants among them
@pytest.mark.parametrize("method", METHODS)
def test_a_quantile_moves_with_its_rank_as_the_method_says(method: str) -> None:
    x = np.array([1.0, 2.0, 4.0, 8.0, 3.0])
    q, h = np.array([0.29, 0.61]), 1e-6
    slope = (np.quantile(x, q + h, method=method) - np.quantile(x, q - h, method=method)) / (2 * h)
    for jac in (dd.jacfwd, dd.jacrev):
        np.testing.assert_allclose(jac(lambda q: np.quantile(x, q, method=method))(q), np.diag(slope), atol=1e-6)


def test_quantiles_with_weights() -> None:
    x = np.array([[4.0, 1.0, 3.0], [2.0, 5.0, 0.0]])
    w = np.array([[1.0, 2.0, 0.5], [0.0, 1.0, 1.0]])
    ways: list[tuple[Any, dict[str, Any]]] = [(w, {}), (w, {"axis": 1}), (w[0], {"axis": 1}), (w[:, 1], {"axis": 0})]
    for q in (0.0, 0.4, [0.2, 0.9]):
        for weights, options in ways:
            for f in (
                (np.quantile, np.nanquantile) if weights is w else (np.quantile,)
            ):  # NumPy's nanquantile fails there
                given = {"method": "inverted_cdf", "q": q, **options}
                got, _ = dd.vjp(lambda v, w, f=f, given=given: f(v, weights=w, **given), x, weights)
                np.testing.assert_array_equal(got, f(x, weights=weights, **given))
    both(lambda v: np.quantile(v, 0.6, weights=w[0], method="inverted_cdf"), x[0], [0, 0, 1])
    # The weights decide which entry it is: piecewise constant.
    both(lambda w: np.quantile(x[0], 0.6, weights=w, method="inverted_cdf") * w[0], w[0], [3, 0, 0])


def test_sort_complex() -> None:
    for x in (np.array([3.0, 1.0, 2.0]), np.array([3.0, 1.0, 2.0], np.float32), np.array([1 + 2j, 1 - 1j, 0j])):
        got, pull = dd.vjp(np.sort_complex, x)
        assert got.dtype == np.sort_complex(x).dtype
        np.testing.assert_array_equal(got, np.sort_complex(x))
        w = np.array([1 + 1j, 2.0, 3j])
        np.testing.assert_array_equal(pull(w)[0], (w if x.dtype.kind == "c" else w.real)[np.argsort(np.argsort(x))])


def test_what_numpy_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a valid method"):
        dd.grad(lambda x: np.quantile(x, 0.5, method="other"))(np.arange(3.0))
    with pytest.raises(ValueError, match="supports weights"):
        dd.grad(lambda x: np.percentile(x, 50, weights=[1, 2, 3]))(np.arange(3.0))
    with pytest.raises(TypeError, match="Axis must be specified"):
        dd.grad(lambda x: np.quantile(x, 0.5, weights=[1, 2, 3], method="inverted_cdf"))(np.ones((2, 3)))
    with pytest.raises(ValueError, match="range"):
        dd.grad(lambda x: np.quantile(x, 1.5))(np.arange(3.0))


@pytest.mark.parametrize("q", [0.1, [0.05, 0.5, 0.95], [[0.3], [1.0]]], ids=str)
def test_quantiles_of_rows_that_lack_different_entries(q: Any) -> None:
    x = np.array([[3.0, np.nan, 1.0, 7.0, 2.5], [np.nan, 4.0, np.nan, 5.5, 4.25]])
    for mode in ("forward", "reverse"):
        values = []

        def f(x):
            y = np.nanquantile(x, q, axis=-1)
            values.append(y)  # noqa: B023
            return y * 1.0

        def g(z):
            return f(np.where(np.isnan(x), np.nan, z))

        found = dd.jacobian(g, mode=mode)(np.where(np.isnan(x), 0.0, x))
        step = 1e-6
        for at in zip(*np.nonzero(~np.isnan(x)), strict=True):
            e = np.zeros_like(x)
            e[at] = step
            expected = (np.nanquantile(x + e, q, axis=-1) - np.nanquantile(x - e, q, axis=-1)) / (2 * step)
            np.testing.assert_allclose(found[(..., *at)], expected, atol=1e-8)


@pytest.mark.parametrize("q", [[0.0, 0.3, 0.55, 0.68, 0.93, 1.0], [[0.9], [0.2]]], ids=str)
def test_quantiles_above_and_below_the_middle_between_two_entries(q: Any) -> None:
    x = np.random.default_rng(5).permutation(np.array([1.0, 2.5, 7.0, 7.5, 11.0, 20.0]))
    q = np.array(q)
    place = q * (x.size - 1)
    low = np.minimum(place.astype(int), x.size - 2)
    part = (place - low)[..., None]
    rows = np.eye(x.size)[np.argsort(x)]
    both(lambda x: np.quantile(x, q), x, rows[low] * (1 - part) + rows[low + 1] * part)
    both(lambda x: np.percentile(x, 100 * q), x, rows[low] * (1 - part) + rows[low + 1] * part)
    assert_allclose(dd.vjp(lambda x: np.quantile(x, q), x)[0], np.quantile(x, q))


@pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning")
@pytest.mark.parametrize(
    "f", [np.nanmedian, lambda x, axis: np.nanquantile(x, 0.5, axis=axis)], ids=["median", "quantile"]
)
def test_a_row_of_nothing_but_nan_has_no_derivative(f: Any) -> None:
    x = np.array([[np.nan, np.nan, np.nan], [3.0, 1.0, np.nan]])
    expected = np.zeros((2, 2, 3))
    expected[0, 0] = np.nan
    expected[1, 1, :2] = 0.5
    for mode in (dd.jacfwd, dd.jacrev):
        assert_allclose(mode(lambda x: f(x, axis=1))(x), expected)
    assert_allclose(dd.vjp(lambda x: f(x, axis=1), x)[0], [np.nan, 2.0])
