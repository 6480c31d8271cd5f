"""The pseudo-inverse, and where it jumps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dualdiff as dd
from tests.rules.linalg.derivatives import L, both


def test_pinv_of_large_and_small_matrices() -> None:
    a = np.array([[1.0, 2], [3, 4], [5, 7]])
    for x in (a, a.T):
        v = np.ones_like(x)
        one = dd.jvp(L.pinv, (x,), (v,))[1]
        back = dd.vjp(L.pinv, x)[1](np.ones_like(x.T))[0]
        for scale in (1e160, 1e-160):
            assert_allclose(dd.jvp(L.pinv, (x * scale,), (v * scale,))[1] * scale, one, rtol=1e-10)
            seed = np.full(x.T.shape, scale)
            assert_allclose(dd.vjp(L.pinv, x * scale)[1](seed)[0] * scale, back, rtol=1e-10)


def test_pinv_of_full_rank() -> None:
    a = np.array([[1.0, 2], [3, 4], [5, 6]])
    both(lambda x: L.pinv(x) @ x, a, np.zeros((2, 2, 3, 2)), 1e-9)
    both(lambda b: L.lstsq(a, b, rcond=None)[0], [1, 2, 3], L.pinv(a))
    with pytest.raises(L.LinAlgError, match="pseudo-inverse"):
        dd.jacrev(L.pinv)(np.ones((2, 2)))
    with pytest.raises(L.LinAlgError, match="full rank"):
        dd.jacfwd(lambda a: L.lstsq(a, np.ones(2), rcond=None)[0])(np.ones((2, 2)))


def test_a_constant_matrix_may_have_any_rank() -> None:
    a = np.array([[1.0, 1], [1, 1], [1, 1]])
    both(lambda b: L.lstsq(a, b, rcond=None)[0], [1, 2, 3], L.pinv(a))
    found = L.lstsq(a, np.ones(3), rcond=None)

    def rest(b: Any) -> Any:
        _, residuals, rank, s = L.lstsq(a, b, rcond=None)
        assert (residuals.shape, rank) == (found[1].shape, found[2])
        assert_allclose(s, found[3], atol=1e-12)
        return b.sum()

    both(rest, [1, 2, 3], np.ones(3))


def test_the_pseudo_inverse_of_a_column_and_of_rounded_rank_one() -> None:
    v = np.array([[1.0], [2.0], [-2.0]])
    n = 9.0  # vᵀv: the pseudo-inverse of a column is vᵀ/(vᵀv)
    expected = np.eye(3) / n - 2 * v @ v.T / n**2
    for mode in (dd.jacfwd, dd.jacrev):
        assert_allclose(mode(lambda v: L.pinv(v)[0])(v)[:, :, 0], expected, atol=1e-14)
        assert_allclose(mode(lambda w: L.pinv(w)[:, 0])(v.T)[:, 0], expected, atol=1e-14)
        with pytest.raises(L.LinAlgError, match="pseudo-inverse"):
            mode(L.pinv)(np.outer([1.0, 2.0, 3.0], [1 / 3, 1 / 7]))
