"""Running products at zeros and of many factors."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

import dualdiff as dd
from tests.rules.worked import both


def test_cumprod_jacobian_by_hand() -> None:
    both(np.cumprod, [2, 0, 4, 5], [[1, 0, 0, 0], [0, 2, 0, 0], [0, 8, 0, 0], [0, 40, 0, 0]])


def test_cumprod_of_a_long_vector() -> None:
    x = np.full(1000, 1.001)
    g = dd.grad(lambda x: np.cumprod(x)[-1])(x)
    assert_allclose(g, 1.001**999, rtol=1e-10)
