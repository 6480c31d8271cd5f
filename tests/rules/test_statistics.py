"""Covariance and correlation as this NumPy has them, and counts, which are linear in their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
from tests.rules.worked import both


def test_counts_are_linear_in_their_weights() -> None:
    both(lambda w: np.bincount([0, 2, 0], w), [1, 2, 3], [[1, 0, 1], [0, 0, 0], [0, 1, 0]])
    both(lambda w: np.histogram([0.0, 1.0, 0.4], 2, weights=w)[0], [1, 2, 3], [[1, 0, 1], [0, 1, 0]])
    with pytest.raises(UnsupportedFunctionError, match=r"test_statistics.py, line \d+: np.histogram counts"):
        dd.grad(lambda x: np.histogram(x, 3)[0].sum())(np.arange(3.0))
    with pytest.raises(TypeError, match="floating-point"):
        dd.grad(lambda x: np.bincount(x).sum())(np.arange(3.0))


def test_correlation_of_parallel_rows() -> None:
    x = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    j = dd.jacrev(np.corrcoef)(x)
    assert_allclose(j[0, 0], 0, atol=1e-14)
    assert_allclose(dd.jacfwd(np.corrcoef)(x), j, atol=1e-14)


_SAMPLES = [
    np.arange(n, dtype=float).reshape(s) ** 2 - 3.0 for n, s in ((12, (3, 4)), (3, (1, 3)), (3, (3, 1)), (4, (4,)))
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("x", [*_SAMPLES, np.array([[2.0]]), np.array(2.0), np.zeros((0, 3))], ids=np.shape)
@pytest.mark.parametrize("rowvar", [True, False])
def test_covariances_have_the_values_and_shapes_of_this_numpy(x: Any, rowvar: bool) -> None:
    calls = [
        lambda x, d=d, b=b: np.cov(x, rowvar=rowvar, ddof=d, bias=b) for d in (None, 0, 1, 9) for b in (True, False)
    ]
    calls += [lambda x: np.corrcoef(x, rowvar=rowvar), lambda x: np.cov(x, rowvar=rowvar, ddof=0.5)]
    for y in _SAMPLES:
        calls += [
            lambda x, y=y: np.cov(x, y, rowvar=rowvar, ddof=0),
            lambda x, y=y: np.cov(y, x, rowvar=rowvar),
            lambda x, y=y: np.corrcoef(x, y, rowvar=rowvar),
        ]
    for w in ([1, 2, 1, 3], [2, 1, 1], [0, 0, 0, 0], [1, -1, 2, 1], [0.5, 1, 1, 2], [[1, 1, 1, 1]]):
        calls += [
            lambda x, w=w: np.cov(x, rowvar=rowvar, fweights=w),
            lambda x, w=w: np.cov(x, rowvar=rowvar, aweights=w, ddof=3),
            lambda x, w=w: np.cov(x, rowvar=rowvar, fweights=[1] * len(w), aweights=w),
        ]
    for f in calls:
        try:
            wanted = f(x)
        except Exception as error:
            with pytest.raises(type(error)):
                dd.vjp(f, x)
            continue
        for found in (dd.vjp(f, x)[0], dd.jvp(f, (x,), (np.ones_like(x),))[0]):
            assert np.shape(found) == np.shape(wanted)
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_histograms_of_several_dimensions() -> None:
    rng = np.random.default_rng(2)
    data, w = rng.random((30, 2)), rng.random(30)
    edges = [np.array([0.0, 0.3, 0.7]), np.array([0.1, 0.5, 1.0, 1.5])]
    for density in (None, True):
        for bins in (3, [2, 3], edges):
            both_ = dd.vjp(lambda w, b=bins, d=density: np.histogramdd(data, b, density=d, weights=w)[0], w)
            np.testing.assert_allclose(both_[0], np.histogramdd(data, bins, density=density, weights=w)[0], rtol=1e-13)
            both_ = dd.vjp(lambda w, b=bins, d=density: np.histogram2d(*data.T, b, None, d, w)[0], w)
            np.testing.assert_allclose(both_[0], np.histogram2d(*data.T, bins, None, density, w)[0], rtol=1e-13)
    whole = dd.jacobian(lambda w: np.histogram2d(*data.T, edges[0], weights=w)[0])(w)
    np.testing.assert_array_equal(whole.sum((0, 1)), np.all((data >= 0) & (data <= 0.7), axis=1))
    for f in (lambda x: np.histogram2d(x, x)[0], lambda x: np.histogramdd(x[:, None], [x])[0]):
        with pytest.raises(UnsupportedFunctionError, match=r"test_statistics.py, line \d+: np.histogram.* counts"):
            dd.vjp(f, w)


def test_bin_edges_move_with_the_data_and_the_range() -> None:
    x = np.array([0.5, 2.0, -1.0, 0.25])
    for bins in (4, "auto", "fd"):
        n = len(np.histogram_bin_edges(x, bins)) - 1
        t = np.linspace(0, 1, n + 1)[:, None]
        both(lambda x, bins=bins: np.histogram_bin_edges(x, bins), x, t * [0, 1, 0, 0] + (1 - t) * [0, 0, 1, 0])
    both(lambda r: np.histogram_bin_edges(x, 2, (r[0], r[1])), [0.0, 3.0], [[1, 0], [0.5, 0.5], [0, 1]])
    both(lambda x: np.histogram_bin_edges(x, 1), [2.0], [[1.0], [1.0]])
    both(lambda e: np.histogram_bin_edges(x, e), [0.0, 3.0], np.eye(2))
    with pytest.raises(ValueError, match="increase"):
        dd.vjp(lambda e: np.histogram_bin_edges(x, e), np.array([1.0, 0.0]))
    with pytest.raises(TypeError, match="not supported for weighted"):
        dd.vjp(lambda x: np.histogram_bin_edges(x, "auto", weights=x), x)
