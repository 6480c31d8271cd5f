"""Reductions that leave NaN out."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import dualdiff as dd
from tests.rules.worked import MODES


def test_nan_reductions() -> None:
    x = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    for mode in MODES:
        assert_allclose(mode(np.nansum)(x), [[1, 0, 1], [0, 0, 0]])
        assert_allclose(mode(np.nanmean)(x), [[0.5, 0, 0.5], [0, 0, 0]])
        assert_allclose(mode(np.nanmax)(x), [[0, 0, 1], [0, 0, 0]])
        assert_allclose(mode(np.nanmedian)(x), [[0.5, 0, 0.5], [0, 0, 0]])
        assert_allclose(mode(np.nanprod)(x), [[3, 0, 1], [0, 0, 0]])
    value, _ = dd.vjp(lambda x: np.nanmax(x, axis=1), x)
    assert_array_equal(value, [3, np.nan])


def test_the_count_of_a_variance_is_that_of_its_slice() -> None:
    x = np.array([[1.0, np.nan, 3.0], [4.0, 5.0, 9.0]])
    for axis in (0, 1, None, (0, 1)):
        value, pullback = dd.vjp(lambda x, axis=axis: np.sum(np.nanvar(x, axis=axis)), x)
        assert_allclose(value, np.sum(np.nanvar(x, axis=axis)))
        assert_allclose(pullback(1.0)[0][0, 1], 0.0)
