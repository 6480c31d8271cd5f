"""Polynomials by their coefficients, worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
from tests.rules.worked import both


def test_polynomials() -> None:
    both(lambda x: np.polyval([1, 2, 3], x), 2.0, 6.0)
    both(lambda p: np.polyval(p, 2.0), [1, 2, 3], [4, 2, 1])
    both(lambda x: np.polyval(np.poly1d([1, 2, 3]), x), 2.0, 6.0)
    both(np.roots, [1, -3, 2], [[-4, -2, -1], [1, 1, 1]])
    with pytest.raises(UnsupportedFunctionError, match=r"np.polyfit with full="):
        dd.jacfwd(lambda y: np.polyfit(np.arange(3.0), y, 1, full=True))(np.ones(3))


def test_constants_of_integration_are_one_or_enough() -> None:
    p = np.array([1.0, -2.0, 0.5])
    with pytest.raises(ValueError, match="k must be"):
        dd.jvp(lambda x: np.polyint(x, 3, [1.0, 2.0]), (p,), (p,))
    for m, k in ((0, None), (2, 3.0), (2, [1.0, 2.0, 5.0])):
        value, tangent = dd.jvp(lambda x, m=m, k=k: np.polyint(x, m, k), (p,), (p,))
        np.testing.assert_allclose(value, np.polyint(p, m, k))
        np.testing.assert_allclose(tangent, np.polyint(p, m))


@pytest.mark.parametrize("shape", [(7,), (7, 2)])
def test_fitted_polynomials_of_one_and_of_several_columns(shape: Any) -> None:
    rng = np.random.default_rng(2)
    x, y, t, w = np.linspace(-1, 2, 7), rng.standard_normal(shape), rng.standard_normal(shape), rng.uniform(1, 2, 7)
    value, tangent = dd.jvp(lambda y: np.polyfit(x, y, 2, w=w), (y,), (t,))
    np.testing.assert_allclose(value, np.polyfit(x, y, 2, w=w), rtol=1e-10)
    np.testing.assert_allclose(tangent, np.polyfit(x, t, 2, w=w), rtol=1e-10)  # the fit is linear in y
