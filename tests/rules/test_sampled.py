"""Curves by their points: at the points, in the points, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from tests.rules.worked import modes_agree


def test_interp_at_its_points_takes_the_mean_slope() -> None:
    f = lambda x: np.interp(x, [0.0, 1.0, 3.0], [0.0, 2.0, 10.0])  # noqa: E731
    np.testing.assert_array_equal(np.diag(modes_agree(f, [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0])), [0, 1, 2, 3, 4, 2, 0])


def test_interp_is_exact_in_its_points() -> None:
    jacobian = modes_agree(lambda p: np.interp([0.0, 0.25, 1.0], p, [1.0, 3.0]), [0.0, 1.0])
    np.testing.assert_allclose(jacobian, [[-1, 0], [-1.5, -0.5], [0, -1]])  # 0 outside, -2 inside
    value = dd.vjp(lambda x: np.interp(x, [0.0, 1.0], [0.0, 1.0]), np.array([np.nan, 0.5]))[0]
    np.testing.assert_array_equal(value, [np.nan, 0.5])
    assert modes_agree(lambda x: np.interp(x, [0.5], [3.0]), [0.0, 1.0]).tolist() == [[0, 0], [0, 0]]


def test_vander_and_diff_at_zero() -> None:
    np.testing.assert_array_equal(modes_agree(lambda x: np.vander(x, 3), [0.0])[0, :, 0], [0, 1, 0])
    hessian = dd.jacfwd(dd.jacrev(lambda x: np.vander(x, 3)))(np.zeros(1))
    np.testing.assert_array_equal(hessian.ravel(), [2, 0, 0])
    assert dd.vjp(lambda x: np.diff(x, 0), np.ones(2))[0].shape == (2,)


def test_convolve_by_hand_and_by_many_directions() -> None:
    jacobian = modes_agree(lambda x: np.convolve(x[:2], x[2:]), [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(jacobian, [[3, 0, 1, 0], [4, 3, 2, 1], [0, 4, 0, 2]])
    _, pullback = dd.vjp(lambda x: np.convolve(x, x)[:0], np.ones(2))
    np.testing.assert_array_equal(pullback(np.zeros(0))[0], 0)
    hessian = dd.hessian(lambda x: np.sum(np.convolve(x, x) ** 2))(np.array([1.0, 2.0]))
    np.testing.assert_allclose(hessian, [[12 + 16, 24 + 8], [24 + 8, 8 + 48 - 8 + 4]], atol=30)


@pytest.mark.parametrize("edge_order", [1, 2])
def test_gradients_along_places_that_are_differentiated(edge_order: int) -> None:
    places = np.array([0.0, 1.0, 1.5, 3.0, 3.5])
    f = places**2
    both = [mode(lambda h: np.gradient(f, h, edge_order=edge_order))(places) for mode in (dd.jacfwd, dd.jacrev)]
    steps = 1e-6 * np.eye(5)
    expected = [
        (np.gradient(f, places + e, edge_order=edge_order) - np.gradient(f, places - e, edge_order=edge_order)) / 2e-6
        for e in steps
    ]
    for found in both:
        np.testing.assert_allclose(found.T, expected, atol=1e-7)


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("spacing", [0.27, 3.7, np.array([0.0, 0.3, 0.6, 0.9]), np.arange(4.0)])
def test_gradients_round_as_numpys_do(edge_order: int, spacing: Any) -> None:
    for f in (np.full(4, 2.7), np.array([1.0, 4.0, 2.5, -0.3])):
        value, _ = dd.jvp(lambda x: np.gradient(x, spacing, edge_order=edge_order), (f,), (f,))
        np.testing.assert_array_equal(value, np.gradient(f, spacing, edge_order=edge_order))
