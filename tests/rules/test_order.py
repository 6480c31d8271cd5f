"""Sorting with ties, median and quantiles, worked by hand; and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

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
