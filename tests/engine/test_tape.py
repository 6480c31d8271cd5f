"""The short ways on to a tape: operands of several shapes, numbers beside arrays, arrays without axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualdiff as dd

RNG = np.random.default_rng(0)
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "hypot": np.hypot,
    "maximum": np.maximum,
}
SHAPES = [
    ((), ()),
    ((100,), (100,)),
    ((100,), ()),
    ((), (4,)),
    ((3, 1), (4,)),
    ((3, 4), (4,)),
    ((3, 4), ()),
    ((100, 1), (100,)),
    ((1,), (1,)),
]


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("active", [(0,), (1,), (0, 1)], ids=str)
@pytest.mark.parametrize("swapped", [False, True])
def test_broadcast_operands_give_the_products_of_forward_mode(
    name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], active: tuple[int, ...], swapped: bool
) -> None:
    point = [1.5 + RNG.random(s) for s in (shapes[::-1] if swapped else shapes)]
    f = OPERATIONS[name]

    def of_active(*some: Any) -> Any:
        operands = list(point)
        for k, x in zip(active, some, strict=True):
            operands[k] = x
        return f(*operands)

    primals = tuple(point[k] for k in active)
    tangents = tuple(RNG.standard_normal(x.shape) for x in primals)
    value, pullback = dd.vjp(of_active, *primals)
    value_there, pushed = dd.jvp(of_active, primals, tangents)
    np.testing.assert_array_equal(value, f(*point))
    np.testing.assert_array_equal(value_there, f(*point))
    assert type(value) is type(f(*point))
    w = RNG.standard_normal(np.shape(value))
    found = pullback(w)
    assert [g.shape for g in found] == [x.shape for x in primals]
    assert sum(np.sum(g * t) for g, t in zip(found, tangents, strict=True)) == pytest.approx(np.sum(w * pushed))


@pytest.mark.parametrize("size", [3, 300])
def test_a_constant_that_changes_after_its_use_keeps_the_value_it_had(size: int) -> None:
    x, c = RNG.random((size, 1)), RNG.random(4)
    expected = np.sum(c) * np.ones((size, 1))

    def f(x: Any) -> Any:
        y = x * c
        c[:] = 0
        return np.sum(y)

    np.testing.assert_allclose(dd.grad(f)(x), expected)


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2.0), np.array(2.0), np.array(2)], ids=repr)
def test_arrays_without_axes_and_numbers_are_the_same_operand(number: Any) -> None:
    x = np.array(3.0)
    for f, expected in (
        (lambda x: x * number, 2.0),
        (lambda x: number - x, -1.0),
        (lambda x: x / number + x * x, 6.5),
        (lambda x: np.sin(x) * 0.0 + x**number, 6.0),
    ):
        g = dd.grad(f)(x)
        assert np.shape(g) == ()
        assert g == pytest.approx(expected)
        assert dd.grad(dd.grad(f))(x) == pytest.approx(dd.hessian(f)(3.0))


def test_an_array_without_axes_that_is_written_to_keeps_what_was_used() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[()] = x * 2.0
        z = y * 3.0
        y[()] = 100.0
        return z * x + y * 0.0

    assert dd.grad(f)(np.array(5.0)) == pytest.approx(60.0)


def test_float32_stays_float32_beside_numbers_and_arrays_without_axes() -> None:
    x = np.ones(4, np.float32)
    for f in (lambda x: np.sum(x * x[0]), lambda x: np.sum(x[:, None] * x), lambda x: np.sum(x * np.float32(2)) * 2.0):
        assert dd.grad(f)(x).dtype == np.float32


@pytest.mark.parametrize("n", [-2, -1, 0, 1, 2, 3, 4, 5, 6])
def test_integer_powers(n: int) -> None:
    x = np.array([-2.0, -0.5, 0.25, 3.0])
    for power in (n, float(n), np.float64(n)):
        np.testing.assert_allclose(dd.grad(lambda x, p=power: np.sum(x**p))(x), n * x ** (n - 1.0), rtol=1e-14)
        np.testing.assert_allclose(
            np.diag(dd.hessian(lambda x, p=power: np.sum(x**p))(x)), n * (n - 1) * x ** (n - 2.0), rtol=1e-13
        )
        assert dd.grad(lambda x, p=power: x**p)(3.0) == pytest.approx(n * 3.0 ** (n - 1), rel=1e-14)


def test_arithmetic_with_a_python_float_leaves_a_python_float() -> None:
    w = np.ones(3, np.float32)
    for f in (lambda x: x + 1.0, lambda x: x - 1.0, lambda x: 2.0 * x, lambda x: x / 2.0, lambda x: -x, lambda x: x**2):
        for value in (dd.jvp(lambda x, f=f: f(x) * w, (1.5,), (1.0,))[0], dd.vjp(lambda x, f=f: f(x) * w, 1.5)[0]):
            assert value.dtype == np.float32
