"""Shapes, orders in memory, and complex entries that move."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from tests.rules.worked import modes_agree


def test_reshape_checks_its_arguments() -> None:
    x = np.ones((2, 3))
    for shape in ((4, -1), (5,), (-1, -1), (0, -1)):
        with pytest.raises(ValueError):
            dd.vjp(lambda x, s=shape: x.reshape(s), x)
    if "copy" in inspect.signature(np.reshape).parameters:  # since NumPy 2.1
        with pytest.raises(ValueError, match="copy"):
            dd.vjp(lambda x: np.reshape((x * 1.0).T, -1, copy=False), x)
        assert dd.vjp(lambda x: np.reshape(x * 1.0, -1, copy=False), x)[0].shape == (6,)
    with pytest.raises(ValueError, match="order"):
        dd.vjp(lambda x: np.reshape(x, 6, order="K"), x)


def test_shapes_may_come_from_traced_integers() -> None:
    def f(x: Any) -> Any:
        n = np.count_nonzero(x > 0)
        return np.roll(np.tile(np.repeat(x, n), (n, 1)).reshape(n, -1), np.argmax(x), axis=1)

    assert modes_agree(f, [1.0, 2.0]).shape == (2, 4, 2)


def test_trim_zeros_is_decided_by_the_values() -> None:
    np.testing.assert_array_equal(modes_agree(np.trim_zeros, [0.0, 1.0, 0.0, 2.0, 0.0]), np.eye(5)[1:4])
    assert dd.vjp(np.trim_zeros, np.zeros(3))[0].shape == (0,)


def test_transposed_memory_is_read_as_numpy_reads_it() -> None:
    def f(x: Any) -> Any:
        y = (x * 1.0).T
        return np.concatenate([y.ravel(), y.ravel(order="K"), y.copy().ravel(order="K"), np.copy(y).ravel(order="K")])

    x = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(dd.vjp(f, x)[0], f(x))
    np.testing.assert_array_equal(dd.vjp(f, x.copy())[0], f(x.copy()))


def test_complex_movements_pull_without_conjugation() -> None:
    z = np.array([1 + 2j, 3 - 1j])
    _, pullback = dd.vjp(lambda z: np.concatenate([np.roll(z, 1), z[:1]]), z)
    np.testing.assert_array_equal(pullback(np.array([1j, 2, 3]))[0], [2 + 3, 1j])


def test_a_list_of_arrays_is_the_array_that_they_make() -> None:
    for f in (lambda x: np.squeeze([x, 2 * x]), lambda x: np.diagonal([x, 2 * x])):
        assert modes_agree(lambda x, f=f: np.ravel(f(x)), [1.0, 3.0]).shape == (np.size(f(np.ones(2))), 2)
        np.testing.assert_array_equal(dd.vjp(f, np.array([1.0, 3.0]))[0], f(np.array([1.0, 3.0])))
