"""Variance and standard deviation, by hand and of constants; and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
from tests.rules.worked import both, second


@pytest.mark.parametrize("c", [0.0, 0.1, 1e8, 1e-300])
def test_std_of_a_constant(c: float) -> None:
    both(np.std, np.full(7, c), np.zeros(7))
    both(lambda x: np.std(x, axis=0), np.full((7, 1), c), np.zeros((1, 7, 1)))
    second(np.std, np.full(3, c), np.full((3, 3), np.nan))  # a chosen slope is not differentiated again
    both(lambda x: np.std(x, mean=np.mean(x, keepdims=True)), np.full(7, c), np.zeros(7))
    both(np.nanstd, np.full(2, c), np.zeros(2))


def test_var_and_std_by_hand() -> None:
    both(np.var, [1, 3], [-1, 1])
    both(lambda x: np.var(x, ddof=1), [1, 3], [-2, 2])
    both(lambda x: np.var(x, correction=1), [1, 3], [-2, 2])
    both(np.std, [1, 3], [-0.5, 0.5])
    second(np.var, [1, 3], [[0.5, -0.5], [-0.5, 0.5]])
    second(np.std, [1, 3, 5], dd.jacfwd(dd.jacfwd(lambda x: np.sqrt(np.var(x))))(np.array([1.0, 3, 5])))


def test_ddof_twice() -> None:
    with pytest.raises(ValueError, match="correction"):
        dd.grad(lambda x: np.var(x, ddof=1, correction=1))(np.ones(3))
    with pytest.raises(ValueError, match="correction"):
        dd.grad(lambda x: np.nanvar(x, ddof=1, correction=1))(np.ones(3))


def test_settings_that_are_differentiated_are_refused() -> None:
    with pytest.raises(UnsupportedFunctionError, match="ddof"):
        dd.grad(lambda x: np.var(x, ddof=x[0]))(np.arange(3.0))
