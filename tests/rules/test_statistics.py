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
