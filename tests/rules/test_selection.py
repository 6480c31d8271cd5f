"""Sets and partitions: which of equal entries is read."""

from __future__ import annotations

from typing import Any

import numpy as np

import dualdiff as dd
from tests.rules.worked import modes_agree


def test_unique_reads_the_first_of_equal_entries() -> None:
    """JAX's Jacobian of unique is zero."""
    jacobian = modes_agree(np.unique, [3.0, 1.0, 3.0, 2.0])
    np.testing.assert_array_equal(jacobian, [[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]])

    def f(x: Any) -> Any:
        values, index, inverse, counts = np.unique(x, True, True, True)
        assert (index.tolist(), inverse.tolist(), counts.tolist()) == ([1, 3, 0], [2, 0, 2, 1], [1, 1, 2])
        return values[inverse] * counts[inverse]

    np.testing.assert_array_equal(modes_agree(f, [3.0, 1.0, 3.0, 2.0]).sum(axis=1), [2, 1, 2, 1])


def test_unique_of_nan_and_of_nothing() -> None:
    x = np.array([np.nan, 1.0, np.nan])
    assert dd.vjp(np.unique, x)[0].shape == np.unique(x).shape == (2,)
    assert dd.vjp(lambda x: np.unique(x, equal_nan=False), x)[0].shape == (3,)
    assert dd.vjp(np.unique, np.zeros(0))[0].shape == (0,)
    assert dd.vjp(lambda x: np.setxor1d(x, x[:0]), np.zeros(0))[0].shape == (0,)


def test_partition_moves_entries_with_their_derivatives() -> None:
    x = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    jacobian = dd.jacrev(lambda x: np.partition(x, 2))(x)
    np.testing.assert_array_equal(jacobian @ x, dd.vjp(lambda x: np.partition(x, 2), x)[0])
    np.testing.assert_array_equal(jacobian[2], [0, 0, 0, 0, 1])
    assert dd.vjp(lambda x: np.partition(x, 1, axis=None), x.reshape(5, 1))[0].shape == (5,)
