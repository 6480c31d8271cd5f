"""Views of complex numbers as pairs of real ones, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError

modes = pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev, dd.jacobian])
X = np.array([[1.0, -2.0, 0.5, 3.0], [0.25, 1.5, -1.0, 2.0]])


@modes
def test_the_residuals_of_a_complex_model(jac: Any) -> None:
    def f(p: Any) -> Any:
        return (p[0] * np.exp(1j * p[1] * np.arange(3.0))).view(float)

    def g(p: Any) -> Any:
        z = p[0] * np.exp(1j * p[1] * np.arange(3.0))
        return np.stack([z.real, z.imag], axis=-1).reshape(-1)

    p = np.array([1.5, 0.25])
    np.testing.assert_array_equal(f(p), g(p))
    np.testing.assert_allclose(jac(f)(p), jac(g)(p), rtol=1e-15, atol=1e-16)


@modes
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.longdouble])
def test_pairs_as_complex_numbers(jac: Any, dtype: Any) -> None:
    x = X.astype(dtype)
    kind = np.result_type(dtype, np.complex64)
    got = jac(lambda x: np.abs(x.view(kind)) ** 2)(x)
    assert got.dtype == dtype
    expected = jac(lambda x: x[..., ::2] ** 2 + x[..., 1::2] ** 2)(x)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    back = jac(lambda x: x.view(kind).view(dtype) * x)(x)
    np.testing.assert_allclose(back, jac(lambda x: x * x)(x), rtol=1e-6)


def test_second_derivatives() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.abs(np.exp(x.view(complex))) ** 2)

    def g(x: Any) -> Any:
        return np.sum(np.exp(2 * x[..., ::2])) + 0 * np.sum(x)

    np.testing.assert_allclose(dd.hessian(f)(X), dd.hessian(g)(X), atol=1e-13)


def test_the_memory_is_shared_so_that_writes_are_refused() -> None:
    def f(x: Any) -> Any:
        z = x.copy()
        z.view(complex)[0] = 0
        return z

    with pytest.raises(UnsupportedFunctionError, match="writes into a view"):
        dd.vjp(f, X)

    def g(x: Any) -> Any:
        z = x.copy()
        v = z.view(complex)
        z[0, 0] = 7.0
        return v.real

    np.testing.assert_array_equal(dd.vjp(g, X)[0], [[7.0, 0.5], [0.25, -1.0]])
    assert dd.jacobian(g)(X)[0, 0].sum() == 0


def test_the_pattern_is_that_of_pairs() -> None:
    pattern = dd.jacobian(lambda x: (x.view(complex) * 2j).view(float), sparse=True)(X)
    assert pattern.nnz == 2 * X.size


@pytest.mark.parametrize(
    ("view", "error", "match"),
    [
        (lambda x: x.view(np.int64), UnsupportedFunctionError, r"view\(int64\) of an array of float64"),
        (lambda x: x.view(np.float32), UnsupportedFunctionError, "reinterprets bytes"),
        (lambda x: x.view(np.matrix), UnsupportedFunctionError, "class of its own"),
        (lambda x: (x + 0j)[:, ::2].view(float), ValueError, "must be contiguous"),
        (lambda x: x[:, :3].view(complex), ValueError, "must be a divisor"),
        (lambda x: (x.sum() + np.zeros_like(x, shape=(), dtype=complex))[...].view(float), ValueError, "0d array"),
    ],
)
def test_what_cannot_be_viewed_says_why(view: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        dd.vjp(view, X)
    if error is ValueError:
        with pytest.raises(ValueError, match=match):
            view(X)


def test_views_that_change_nothing() -> None:
    for view in (
        lambda x: x.view(),
        lambda x: x.view(np.float64),
        lambda x: x.view(np.ndarray),
        lambda x: x.view(type=np.ndarray),
    ):
        np.testing.assert_array_equal(dd.jacobian(lambda x, v=view: v(x)[0])(X), dd.jacobian(lambda x: x[0])(X))
