"""dualdiff.numpy: NumPy's names, with new arrays that take differentiated values."""

from __future__ import annotations

from typing import Any

import numpy  # noqa: ICN001  (np is the module under test)
import pytest

import dualdiff as dd
import dualdiff.numpy as np
from dualdiff.containers import Plain
from dualdiff.errors import TracedAssignmentError


def test_every_other_name_is_numpys_own() -> None:
    assert np.sin is numpy.sin
    assert np.linalg.norm is numpy.linalg.norm
    assert np.float64 is numpy.float64
    assert np.pi == numpy.pi
    assert set(dir(numpy)) <= set(dir(np))
    with pytest.raises(AttributeError, match="nonsense"):
        np.nonsense


MAKERS = {
    "zeros": lambda np: np.zeros((2, 2)),
    "ones": lambda np: np.ones((2, 2), dtype=numpy.float32),
    "eye": lambda np: np.eye(2, k=1),
    "identity": lambda np: np.identity(2),
    "tri": lambda np: np.tri(2),
    "full": lambda np: np.full((2, 2), 3.0),
    "array": lambda np: np.array([[1.0, 2.0], [3.0, 4.0]]),
    "array ndmin": lambda np: np.array([1.0, 2.0], ndmin=2),
    "asarray": lambda np: np.asarray([[1.0, 2.0]], dtype=numpy.float32),
    "ascontiguousarray": lambda np: np.ascontiguousarray([[1.0, 2.0]]),
    "zeros_like": lambda np: np.zeros_like(numpy.ones((1, 2))),
    "ones_like": lambda np: np.ones_like([[1.0, 2.0]]),
    "full_like": lambda np: np.full_like([[1.0, 2.0]], 5),
    "linspace": lambda np: np.linspace(0, 1, 2)[None],
    "arange": lambda np: np.arange(1.0, 3.0)[None],
    "fromfunction": lambda np: np.fromfunction(lambda i, j: i + 2.0 * j, (1, 2)),
    "copy": lambda np: np.copy([[1.0, 2.0]]),
}


@pytest.mark.parametrize("name", MAKERS)
def test_new_arrays_are_numpys_and_take_differentiated_values(name: str) -> None:
    expected = MAKERS[name](numpy)
    made = MAKERS[name](np)
    assert type(made) is Plain
    numpy.testing.assert_array_equal(numpy.array(made), expected)
    assert made.dtype == expected.dtype

    def f(x: Any) -> Any:
        y = MAKERS[name](np)
        y[0, 1] = x * x
        return y

    for jacobian in (dd.jacfwd(f)(3.0), dd.jacrev(f)(3.0)):
        assert jacobian[0, 1] == 6.0
        assert numpy.count_nonzero(jacobian) == 1


def test_numpys_own_new_arrays_do_not() -> None:
    def f(x: Any) -> Any:
        y = numpy.zeros(2)
        y[0] = x
        return y

    with pytest.raises(TracedAssignmentError, match=r"test_numpy\.py"):
        dd.vjp(f, 1.0, capture="never")


def test_arrays_of_nested_differentiated_values() -> None:
    def f(x: Any) -> Any:
        rotation = np.array([[np.cos(x[0]), -np.sin(x[0])], [np.sin(x[0]), np.cos(x[0])]])
        return rotation @ np.asarray([x[1], 1.0]) + np.array((x, [0, 1.0]))[0] + np.asarray(x)

    expected = dd.jacfwd(f)(numpy.array([0.3, 2.0]))
    numpy.testing.assert_allclose(dd.jacrev(f)(numpy.array([0.3, 2.0])), expected)


def test_a_plain_array_stays_itself() -> None:
    x = numpy.ones(2)
    assert np.asarray(x) is x
    assert np.array(x) is not x


def test_containers_leave_operators_as_plain_arrays() -> None:
    def f(x: Any) -> Any:
        return np.zeros(2), np.ones(2) * x

    constant, value = dd.vjp(f, 2.0)[0]
    assert type(constant) is type(value) is numpy.ndarray
    assert type(dd.grad(lambda x: np.sum(np.zeros(2)) + x)(1.0)) is float


def test_a_container_made_outside_the_function_raises() -> None:
    outside = np.zeros(2)

    def f(x: Any) -> Any:
        outside[0] = x
        return outside

    for operator in (dd.vjp, lambda f, x: dd.jvp(f, (x,), (1.0,))):
        with pytest.raises(TracedAssignmentError, match="outside"):
            operator(f, 1.0)
    outside[0] = 5.0
    assert outside.tolist() == [5.0, 0.0]


def test_filling_in_a_loop() -> None:
    def oscillator(p: Any) -> Any:
        y = np.empty((50, 2))
        y[0] = [1.0, 0.0]
        for i in range(1, 50):
            y[i, 0] = y[i - 1, 0] + 0.1 * y[i - 1, 1]
            y[i, 1] = y[i - 1, 1] - 0.1 * p[0] * y[i, 0] - 0.1 * p[1] * y[i - 1, 1]
        return y

    p = numpy.array([2.0, 0.3])
    columns, rows = dd.jacfwd(oscillator)(p), dd.jacrev(oscillator)(p)
    numpy.testing.assert_allclose(columns, rows, rtol=1e-12, atol=1e-14)
    above, below = oscillator(p + numpy.array([1e-6, 0.0])), oscillator(p - numpy.array([1e-6, 0.0]))
    step = (numpy.array(above) - numpy.array(below)) / 2e-6
    numpy.testing.assert_allclose(rows[..., 0], step, atol=1e-7)
