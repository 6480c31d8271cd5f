"""Sorting with ties, median and quantiles, worked by hand; and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
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


def test_refusals_name_the_function() -> None:
    with pytest.raises(UnsupportedFunctionError, match=r"np.quantile with method="):
        dd.grad(lambda x: np.quantile(x, 0.5, method="hazen"))(np.arange(3.0))
    with pytest.raises(UnsupportedFunctionError, match=r"np.percentile with weights="):
        dd.grad(lambda x: np.percentile(x, 50, method="inverted_cdf", weights=[1, 2, 3]))(np.arange(3.0))
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
def test_a_row_of_nothing_but_nan_has_no_entry_to_depend_on(f: Any) -> None:
    x = np.array([[np.nan, np.nan, np.nan], [3.0, 1.0, np.nan]])
    expected = np.zeros((2, 2, 3))
    expected[1, 1, :2] = 0.5
    for mode in (dd.jacfwd, dd.jacrev):
        assert_allclose(mode(lambda x: f(x, axis=1))(x), expected)
    assert_allclose(dd.vjp(lambda x: f(x, axis=1), x)[0], [np.nan, 2.0])
