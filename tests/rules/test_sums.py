"""Averages, and sums of exponentials."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from tests.rules.worked import both, second


def test_average() -> None:
    both(lambda w: np.average(np.array([1.0, 3.0]), weights=w), [1, 1], [-0.5, 0.5])
    with pytest.raises(ZeroDivisionError):
        dd.grad(lambda w: np.average(np.ones(2), weights=w))(np.array([1.0, -1.0]))
    with pytest.raises(TypeError, match="Axis"):
        dd.grad(lambda x: np.average(x, weights=[1, 2]))(np.ones((2, 2)))


def test_logsumexp_of_large_numbers() -> None:
    def f(x: Any) -> Any:
        return np.log(np.sum(np.exp(x - x.max()))) + x.max()

    both(f, [1000, 1000, -1000], [0.5, 0.5, 0])
    second(f, [1000, 1000], [[0.25, -0.25], [-0.25, 0.25]])
