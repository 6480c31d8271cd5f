"""Arrays made like others, filled with traced values, or laid out between traced ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dualdiff as dd
import dualdiff.numpy as dn
from dualdiff.containers import Plain
from dualdiff.errors import NoDerivativeWarning, TracedAssignmentError, TracedConversionError


def both(f: Any, x: Any) -> Any:
    """Return the Jacobian, having checked that both modes agree on it and on NumPy's value."""
    x = np.asarray(x, dtype=float)
    np.testing.assert_allclose(dd.vjp(f, x)[0], f(x.copy()), rtol=1e-14)
    columns, rows = dd.jacfwd(f)(x), dd.jacrev(f)(x)
    np.testing.assert_allclose(columns, rows, rtol=1e-14)
    return rows


@pytest.mark.parametrize("make", [np.zeros_like, np.ones_like, np.empty_like])
def test_likes_are_containers_with_numpys_options(make: Any) -> None:
    def f(x: Any) -> Any:
        for options in ({}, {"dtype": np.float32}, {"shape": (2, 3)}, {"shape": 4, "dtype": int}, {"order": "F"}):
            made, expected = make(x, **options), make(np.empty((2, 3)), **options)
            assert type(made) is (Plain if type(x) is not np.ndarray else np.ndarray)
            assert isinstance(made, np.ndarray)
            assert (made.shape, made.dtype, made.flags.f_contiguous) == (
                expected.shape,
                expected.dtype,
                expected.flags.f_contiguous,
            )
        y = make(x)
        y[...] = 2.0 * x
        return y

    np.testing.assert_array_equal(both(f, np.ones((2, 3))).reshape(6, 6), 2 * np.eye(6))


def test_containers_take_part_in_arithmetic_as_constants() -> None:
    def f(x: Any) -> Any:
        a = np.ones_like(x)
        b = np.sin(a) + a * 2.0 - np.full_like(x, 3.0).T
        assert type(b) is (Plain if type(x) is not np.ndarray else np.ndarray)
        assert type(np.sum(b)) is not Plain
        return b * x + np.where(b > 0, a, x)

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(both(f, x), np.diag([np.sin(1) - 1 + (np.sin(1) - 1 <= 0)] * 2))


@pytest.mark.parametrize("outer", [dd.jacfwd, dd.jacrev])
@pytest.mark.parametrize("inner", [dd.jacfwd, dd.jacrev])
def test_containers_in_nested_derivatives(outer: Any, inner: Any) -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[0] = x[0] * x[1]
        y[1:] = x[:-1] ** 2
        z = np.full_like(x, x[0])
        z *= y
        return np.sum(z) + np.sum(np.ones_like(x) * y)

    hessian = outer(inner(f))(np.array([2.0, 3.0]))
    assert type(hessian) is np.ndarray
    # f = (1 + x0)(x0 x1 + x0²)
    np.testing.assert_allclose(hessian, [[2 * 3 + 2 + 12, 1 + 4], [1 + 4, 0]])


def test_full_like() -> None:
    np.testing.assert_array_equal(both(lambda x: np.full_like(x, x[::-1]), [1.0, 2.0]), np.eye(2)[::-1])
    np.testing.assert_array_equal(both(lambda x: np.full_like(x, x[0], shape=(1, 2)), [1.0, 2.0])[0], [[1, 0], [1, 0]])
    value, tangent = dd.jvp(lambda x: np.full_like(x, x * x, dtype=np.float32), (np.ones(2),), (np.ones(2),))
    assert value.dtype == tangent.dtype == np.float32
    value, tangent = dd.jvp(lambda x: np.full_like(x, x, dtype=int) * 1.0, (np.array([1.7]),), (np.ones(1),))
    assert (value.tolist(), tangent.tolist()) == ([1.0], [0.0])
    with pytest.raises(TracedAssignmentError, match=r"test_creation\.py"):
        dd.vjp(lambda x: np.full_like(np.zeros(2), x), 1.0, capture="never")
    assert dd.jvp(lambda x: np.full_like(np.zeros(2), x), (1.0,), (1.0,))[1].tolist() == [1, 1]
    assert dd.vjp(lambda x: np.full_like(np.zeros(2), np.floor(x)) * x, 1.5)[0].tolist() == [1.5, 1.5]


def test_linspace_reaches_its_ends_exactly() -> None:
    jacobian = both(lambda x: np.linspace(x[0], x[1], 4), [0.1, 0.7])
    np.testing.assert_allclose(jacobian, [[1, 0], [2 / 3, 1 / 3], [1 / 3, 2 / 3], [0, 1]])
    assert jacobian[-1].tolist() == [0, 1]
    np.testing.assert_allclose(
        both(lambda x: np.linspace(0, x, 3, endpoint=False), [1.0, 2.0]).sum(axis=-1)[:, 0], [0, 1 / 3, 2 / 3]
    )
    samples, step = dd.jvp(lambda x: np.linspace(0.0, x, 5, retstep=True), (1.0,), (1.0,))[1]
    assert step == 0.25
    np.testing.assert_allclose(samples, np.arange(5) / 4)
    assert dd.vjp(lambda x: np.linspace(x, 2.0, 0), 1.0)[0].shape == (0,)
    assert dd.vjp(lambda x: np.linspace(x, 5.0, 3, dtype=int) * 1.0, 1.0)[0].tolist() == [1, 3, 5]


def test_geomspace_and_logspace_by_hand() -> None:
    jacobian = both(lambda x: np.geomspace(x[0], x[1], 3), [1.0, 4.0])  # sqrt(x0 x1) in the middle
    np.testing.assert_allclose(jacobian, [[1, 0], [1, 0.25], [0, 1]], atol=1e-15)
    negative = both(lambda x: np.geomspace(x[0], x[1], 3), [-1.0, -4.0])
    np.testing.assert_allclose(negative[1], [1, 0.25])
    np.testing.assert_allclose(
        both(lambda x: np.logspace(0, x, 3), [2.0]).ravel(), [0, 5 * np.log(10), 100 * np.log(10)]
    )


def test_arange_moves_with_its_start() -> None:
    """JAX's derivative of arange(start) is zero."""
    with pytest.raises(TracedConversionError, match=r"test_creation\.py"):
        dd.vjp(lambda a: np.arange(a, 3.0), 0.5, capture="never")
    for f in (lambda a: np.arange(a, 3.0), lambda a: np.arange(a, 3.0, like=a), lambda a: dd.numpy.arange(a, 3.0)):
        np.testing.assert_array_equal(dd.jvp(f, (0.5,), (1.0,)), ([0.5, 1.5, 2.5], [1, 1, 1]))
    np.testing.assert_array_equal(dd.jvp(lambda a: dd.numpy.arange(0.0, 3.0, a), (1.0,), (1.0,))[1], [0, 1, 2])
    with pytest.warns(NoDerivativeWarning):
        np.testing.assert_array_equal(dd.jvp(lambda a: dd.numpy.arange(a), (2.5,), (1.0,)), ([0, 1, 2], [0, 0, 0]))
    assert (
        dd.jvp(lambda a: dd.numpy.arange(start=a, stop=2.0, step=None, dtype=np.float32), (1.0,), (1.0,))[1].dtype
        == np.float32
    )


def test_like_makes_containers() -> None:
    def f(x: Any) -> Any:
        made = [np.zeros(2, like=x), np.ones(2, like=x), np.eye(2, like=x)[0], np.array([1.0, 2.0], like=x)]
        made += [np.full(2, 3.0, like=x), np.arange(2.0, like=x), np.identity(2, like=x)[1], np.empty((2,), like=x)]
        for y in made:
            y[0] = x[0]
            y[1] = 0.0
        return np.stack(made)

    np.testing.assert_array_equal(both(f, [2.0, 3.0])[:, 0], [[1, 0]] * 8)


def test_a_range_that_starts_at_nothing() -> None:
    for f in (lambda x: dn.arange(x, None), lambda x: dn.arange(x), lambda x: dn.arange(0, x, None)):
        value, tangent = dd.jvp(lambda x, f=f: x * f(x), (3.5,), (1.0,))
        assert_allclose(value, 3.5 * np.arange(4.0))
        assert_allclose(tangent, np.arange(4.0))
