"""Products at zeros, worked by hand, to the third order; running products with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from tests.rules.worked import both, second


@pytest.mark.parametrize(
    ("x", "gradient"),
    [([2, 3, 4], [12, 8, 6]), ([2, 0, 4], [0, 8, 0]), ([0, 3, 0], [0, 0, 0]), ([0, 0, 0], [0, 0, 0]), ([5], [1])],
)
def test_prod_with_zeros(x: Any, gradient: Any) -> None:
    both(np.prod, x, gradient)
    both(lambda x: np.cumprod(x)[-1], x, gradient)
    both(lambda x: np.multiply.reduce(x), x, gradient)


def test_second_derivative_of_a_product_with_two_zeros() -> None:
    hessian = np.array([[0, 0, 3], [0, 0, 0], [3, 0, 0]])
    second(np.prod, [0, 3, 0], hessian)
    second(lambda x: np.cumprod(x)[2], [0, 3, 0], hessian)
    second(lambda x: np.prod(x.reshape(3, 1), axis=(0, 1)), [0, 3, 0], hessian)


def test_third_derivative_of_a_product_of_zeros() -> None:
    for f in (np.prod, lambda x: np.cumprod(x)[-1]):
        third = dd.jacrev(dd.jacfwd(dd.jacrev(f)))(np.zeros(3))
        assert third[0, 1, 2] == third[2, 1, 0] == 1
        assert third.sum() == 6
