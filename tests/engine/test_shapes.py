"""Summing a cotangent to its operand's shape, by NumPy's loops and by products with ones."""

from __future__ import annotations

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.shapes import sum_to_shape

RNG = np.random.default_rng(0)
BROADCASTS = [
    ((3, 900, 5), (3, 1, 5)),
    ((3, 900, 5), (5,)),
    ((3, 900, 5), (900, 1)),
    ((900, 5), (5,)),
    ((700, 6), (700, 1)),
    ((5, 900), (5, 1)),
    ((5, 900), ()),
    ((900, 3, 5), (900, 1, 5)),
    ((900, 3, 5), (1, 3, 1)),
    ((2, 3), (3,)),
    ((2, 3), (1, 1)),
    ((0, 3), (3,)),
    ((4, 0, 3), (4, 1, 3)),
]


@pytest.mark.parametrize(("whole", "part"), BROADCASTS)
@pytest.mark.parametrize("lead", [(), (2,)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_sum_is_that_over_the_axes_of_the_broadcast(
    whole: tuple[int, ...], part: tuple[int, ...], lead: tuple[int, ...], dtype: type, order: str
) -> None:
    c = np.asarray(RNG.standard_normal(lead + whole).astype(dtype), order=order)
    kept = c.copy()
    padded = (1,) * (len(whole) - len(part)) + part
    axes = tuple(len(lead) + i for i, (s, t) in enumerate(zip(whole, padded, strict=True)) if s != t)
    expected = np.sum(c.astype(np.clongdouble), axis=axes).reshape(lead + part)
    found = sum_to_shape(c, lead, part)
    assert found.shape == lead + part
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=np.finfo(dtype).eps * 5000)
    np.testing.assert_array_equal(c, kept)


def test_what_is_not_finite_stays_in_its_own_column() -> None:
    c = np.ones((900, 5))
    c[3, 1], c[4, 2], c[5, 2], c[6, 4] = np.inf, np.inf, -np.inf, np.nan
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(sum_to_shape(c, (), (5,)), [900, np.inf, np.nan, 900, np.nan])


def test_gradients_of_broadcast_operands() -> None:
    w = RNG.standard_normal((4, 800, 6))
    a, b, s = RNG.standard_normal((4, 1, 6)), RNG.standard_normal((800, 6)), np.float64(0.3)

    def f(a: np.ndarray, b: np.ndarray, s: np.float64) -> np.ndarray:
        return np.sum(w * (a - b) * s)

    da, db, ds = dd.grad(f, (0, 1, 2))(a, b, s)
    np.testing.assert_allclose(da, s * w.sum(axis=1, keepdims=True), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(db, -s * w.sum(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ds, (w * (a - b)).sum(), rtol=1e-12)
