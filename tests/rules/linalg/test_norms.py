"""Norms at zero, at ties, and over axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
from tests.rules.linalg.derivatives import L, both, second


@pytest.mark.parametrize("order", [None, 1, 2, 3, 1.5, 0.5, np.inf, 0])
def test_norm_at_zero(order: Any) -> None:
    both(lambda x: L.norm(x, order), np.zeros(3), np.zeros(3))
    both(lambda x: L.norm(x, order, axis=1), np.zeros((2, 3)), np.zeros((2, 2, 3)))
    # Where the first derivative is a chosen slope, there is no second one; between two straight lines it is 0.
    straight = order in (0, 1, np.inf)
    second(
        lambda x: np.sum(x * x) * 0.5 + L.norm(x, order),
        np.zeros(2),
        np.eye(2) if straight else np.full((2, 2), np.nan),
    )


@pytest.mark.parametrize("order", [None, "fro", 1, 2, np.inf, "nuc"])
def test_matrix_norm_at_zero(order: Any) -> None:
    both(lambda x: L.norm(x, order), np.zeros((2, 2)), np.zeros((2, 2)))


def test_norm_where_some_entries_are_zero() -> None:
    both(L.norm, [3, 0, 4], [0.6, 0, 0.8])
    both(lambda x: L.norm(x, 1), [3, 0, -4], [1, 0, -1])
    both(lambda x: L.norm(x, 3), [2, 0], [1, 0])
    both(lambda x: L.norm(x, 0), [2, 0], [0, 0])
    second(L.norm, [3, 4], np.array([[16, -12], [-12, 9]]) / 125)


def test_norms_share_ties() -> None:
    both(lambda x: L.norm(x, np.inf), [3, -3, 1], [0.5, -0.5, 0])
    both(lambda x: L.norm(x, -np.inf), [1, -1, 3], [0.5, -0.5, 0])
    both(lambda x: L.norm(x, 1), np.eye(2), np.eye(2) / 2)
    both(lambda x: L.norm(x, np.inf), np.eye(2), np.eye(2) / 2)
    both(lambda x: L.norm(x, 2), np.eye(2), np.eye(2) / 2)
    both(lambda x: L.norm(x, "nuc"), np.diag([1.0, 1.0]), np.eye(2))


def test_norm_of_a_matrix_of_rank_one() -> None:
    u, v = np.array([0.6, 0.8]), np.array([1.0, 0.0])
    both(lambda x: L.norm(x, 2), 5 * np.outer(u, v), np.outer(u, v))


def test_bad_norms_raise() -> None:
    for order, x in (("nuc", np.ones(2)), (3, np.ones((2, 2))), ("bad", np.ones((2, 2)))):
        with pytest.raises(ValueError, match="norm order"):
            dd.grad(lambda x, order=order: L.norm(x, order))(x)
    with pytest.raises(UnsupportedFunctionError, match="ord="):
        dd.grad(lambda p: L.norm(np.ones(3) * p, p))(2.0)


def test_norm_keeps_axes() -> None:
    x = np.arange(1.0, 7).reshape(1, 2, 3)
    for order in (None, 1, 2, np.inf, "nuc"):
        value, _ = dd.vjp(lambda x, order=order: L.norm(x, order, axis=(1, 2), keepdims=True), x)
        assert value.shape == (1, 1, 1)
        assert_allclose(value, L.norm(x, order, axis=(1, 2), keepdims=True))


def test_nuclear_norm_of_a_complex_matrix() -> None:
    rng = np.random.default_rng(3)
    z, v = rng.standard_normal((2, 3, 2)) + 1j * rng.standard_normal((2, 3, 2))

    def f(t: Any) -> Any:
        return np.sum(L.svd(z + t * v, compute_uv=False) ** 2)  # = the sum of squares

    for mode in (
        lambda f: dd.jacfwd(dd.jacfwd(f)),
        lambda f: dd.jacrev(dd.jacfwd(f)),
        lambda f: dd.jacfwd(dd.jacrev(f)),
    ):
        assert_allclose(mode(f)(0.5), 2 * np.sum(np.abs(v) ** 2))
