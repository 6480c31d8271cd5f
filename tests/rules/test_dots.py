"""``A.dot(x)`` of a plain array: the method asks nobody, and is differentiated all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import TracedConversionError

A = np.arange(6.0).reshape(2, 3) - 2.5
N = np.arange(6).reshape(2, 3)
B = np.random.default_rng(0).standard_normal((4, 2, 3))
Z = A * (1 + 2j)
X = np.array([1.0, -2.0, 3.0])
modes = pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev, dd.jacobian], ids=["forward", "reverse", "auto"])


class Model:
    def __init__(self) -> None:
        self.matrix = A

    def __call__(self, x: Any) -> Any:
        return self.matrix.dot(np.exp(-x) * 2)


@modes
@pytest.mark.parametrize(
    ("f", "g"),
    [
        (lambda x: A.dot(x), lambda x: A @ x),
        (lambda x: N.dot(x), lambda x: N @ x),
        (lambda x: B.dot(x), lambda x: B @ x),
        (lambda x: A.T.dot(A.dot(x) - 1), lambda x: A.T @ (A @ x - 1)),
        (lambda x: A.dot(np.outer(x, x)), lambda x: A @ np.outer(x, x)),
        (lambda x: sum(row.dot(x) for row in A), lambda x: np.sum(A @ x)),
        (lambda x: A[0].dot(x[0]), lambda x: A[0] * x[0]),
        (lambda x: A.dot(b=x), lambda x: A @ x),
        (lambda x: A.sum(axis=0).dot(x[::-1] * x[0]), lambda x: A.sum(axis=0) @ (x[::-1] * x[0])),
        (lambda x: Z.dot(x).imag, lambda x: (Z @ x).imag),
        (lambda x: A.dot(1j * x).imag, lambda x: A @ x),
        (Model(), lambda x: A @ (np.exp(-x) * 2)),
    ],
)
def test_a_product_with_a_plain_array(jac: Any, f: Callable[..., Any], g: Callable[..., Any]) -> None:
    np.testing.assert_allclose(f(X), g(X), rtol=1e-14)
    np.testing.assert_allclose(jac(f)(X), jac(g)(X), rtol=1e-14)


def test_second_derivatives_and_eager_tensors() -> None:
    np.testing.assert_allclose(dd.hessian(lambda x: A.dot(x).dot(A.dot(x)))(X), 2 * A.T @ A)
    x = dd.tensor(X, requires_grad=True)
    A.dot(x).sum().backward()
    np.testing.assert_array_equal(x.grad, A.sum(axis=0))


def test_the_dtype_is_not_narrowed() -> None:
    assert dd.jacfwd(lambda x: A.astype(np.float32).dot(x))(X).dtype == np.float64
    wide = A.astype(np.longdouble) / 3
    J = dd.jacfwd(lambda x: wide.dot(x))(X.astype(np.longdouble))
    assert J.dtype == np.longdouble
    np.testing.assert_array_equal(J, wide)


@modes
def test_lists_and_others_methods_of_that_name_are_loud(jac: Any) -> None:
    class Other:
        def __init__(self, work: Any) -> None:
            self.dot = work

    for f in (
        lambda x: A.dot([x[0], 2.0, x[2]]),
        lambda x: A.dot([x, x, x]),
        lambda x: A.dot(x if x.size else 1.0 * x),
        lambda x: Other(np.array).dot(x) * 2.0,
    ):
        with pytest.raises((TracedConversionError, TypeError), match="test_dots"):
            jac(f, capture="never")(X)
