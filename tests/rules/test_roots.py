"""Roots at the points where they have no derivative: their even powers, and their second derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd

L = np.linalg
ORDERS = [(a, b) for a in (dd.jacfwd, dd.jacrev) for b in (dd.jacfwd, dd.jacrev)]


def eager(f: Any) -> Any:
    """Return the Hessian by two calls of backward."""

    def hessian(x: Any) -> Any:
        t = dd.tensor(x, requires_grad=True)
        (g,) = dd.gradients(f(t), [t], create_graph=True)
        rows = []
        for i in np.ndindex(np.shape(x)):
            (row,) = dd.gradients(g[i], [t], retain_graph=True)
            rows.append(np.array(row.detach()))
        return np.reshape(rows, np.shape(x) * 2)

    return hessian


def second(f: Any, x: Any, expected: Any) -> None:
    """Hold the Hessian by every order of the modes, and by tensors, to the expected one."""
    x = np.asarray(x, float)
    for outer, inner in ORDERS:
        np.testing.assert_allclose(outer(inner(f))(x), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(eager(f)(x), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dd.hessian(f)(x), expected, rtol=1e-12, atol=1e-14)


ROOTS = {
    "norm": L.norm,
    "norm of a matrix": lambda x: L.norm(x[None]),
    "norm of rows": lambda x: L.norm(np.stack([x, 0 * x]), axis=1)[:1].sum(),
    "hypot": lambda x: np.hypot(x[0], x[1]),
    "std": np.std,
    "std about a given mean": lambda x: np.std(x, mean=np.mean(x, keepdims=True)),
    "nanstd": np.nanstd,
    "complex abs": lambda x: np.abs(x[0] + 1j * x[1]),
    "p-norm": lambda x: L.norm(x, 3),
}


@pytest.mark.parametrize("name", ROOTS)
def test_a_chosen_slope_has_no_derivative(name: str) -> None:
    f = ROOTS[name]
    for jacobian in (dd.jacfwd, dd.jacrev):
        assert not jacobian(f)(np.zeros(2)).any()
    with np.errstate(all="ignore"):
        second(f, [0, 0], np.full((2, 2), np.nan))


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x: L.norm(x) ** 2, 2 * np.eye(2)),
        (lambda x: L.norm(x) * L.norm(x), np.full((2, 2), np.nan)),  # two roots: neither knows of the other
        (lambda x: L.norm(x[None]) ** 2.0, 2 * np.eye(2)),
        (lambda x: np.square(L.norm(x)), 2 * np.eye(2)),
        (lambda x: np.power(L.norm(x), 2), 2 * np.eye(2)),
        (lambda x: L.norm(x) ** 4, np.zeros((2, 2))),
        (lambda x: np.hypot(x[0], x[1]) ** 2, 2 * np.eye(2)),
        (lambda x: np.hypot(x[0], 0.0) ** 2, np.diag([2.0, 0])),
        (lambda x: np.sqrt(x @ x) ** 2, 2 * np.eye(2)),
        (lambda x: ((x @ x) ** 0.5) ** 2, 2 * np.eye(2)),
        (lambda x: np.abs(x[0] + 1j * x[1]) ** 2, 2 * np.eye(2)),
        (lambda x: abs(x[0] - 2j * x[1]) ** 2, np.diag([2.0, 8])),
        (lambda x: np.sum(np.abs(x) ** 2), 2 * np.eye(2)),
        (lambda x: np.std(x) ** 2, np.array([[0.5, -0.5], [-0.5, 0.5]])),
        (lambda x: np.std(x, ddof=1) ** 2, np.array([[1.0, -1], [-1, 1]])),
        (lambda x: np.std(x, mean=np.mean(x, keepdims=True)) ** 2, np.array([[0.5, -0.5], [-0.5, 0.5]])),
        (lambda x: np.nanstd(x) ** 2, np.array([[0.5, -0.5], [-0.5, 0.5]])),
        (lambda x: np.exp(-(L.norm(x) ** 2) / 2), -np.eye(2)),
        (lambda x: np.exp(-0.5 * (L.norm(x) / 3.0) ** 2), -np.eye(2) / 9),
        (lambda x: np.sum(L.norm(np.stack([x, 2 * x]), axis=1) ** 2), 10 * np.eye(2)),
        (lambda x: np.sum(L.norm(np.stack([x, 2 * x]), axis=1, keepdims=True)[:, 0] ** 2), 10 * np.eye(2)),
        (lambda x: np.sum((L.norm(np.stack([x, x]), axis=1) * np.array([1.0, 2.0])) ** 2), 10 * np.eye(2)),
    ],
)
def test_even_powers_of_roots_are_smooth(f: Any, expected: Any) -> None:
    with np.errstate(all="ignore"):
        second(f, [0, 0], expected)


@pytest.mark.parametrize(
    "product",
    [
        lambda r: r * r,
        lambda r: -(-r * r),
        lambda r: 0.5 * r * (2 * r),
        lambda r: r / 4.0 * (r * 4.0),
        lambda r: np.multiply(r, r),
        lambda r: np.negative(r) ** 2,
        lambda r: np.multiply(2.0, r) * np.divide(r, 2.0),
    ],
)
def test_products_of_a_root_with_itself_are_smooth(product: Any) -> None:
    with np.errstate(all="ignore"):
        second(lambda x: product(L.norm(x)), [0, 0], 2 * np.eye(2))
        second(lambda x: np.sum(product(L.norm(np.stack([x, x]), axis=1))), [0, 0], 4 * np.eye(2))


def test_every_order() -> None:
    f = lambda x: L.norm(x) ** 4  # noqa: E731
    fourth = dd.jacfwd(dd.jacrev(dd.jacfwd(dd.jacrev(f))))(np.zeros(2))
    i, j, k, m = np.indices((2, 2, 2, 2))
    np.testing.assert_array_equal(
        fourth, 8.0 * ((i == j) & (k == m)) + 8.0 * ((i == k) & (j == m)) + 8.0 * ((i == m) & (j == k))
    )


def test_values_are_those_of_numpy() -> None:
    x = np.array([0.1, 0.7, -2.3])
    for f in (lambda x: L.norm(x) ** 2, lambda x: np.std(x) ** 2, lambda x: np.hypot(x[0], x[1]) ** 2):
        assert dd.value_and_grad(f)(x)[0] == f(x)
        assert dd.jvp(f, (x,), (x,))[0] == f(x)
        assert f(dd.tensor(x, requires_grad=True)).item() == f(x)
    np.testing.assert_allclose(dd.grad(lambda x: L.norm(x) ** 2)(1e-170 * x), 2e-170 * x, rtol=1e-15)


@pytest.mark.parametrize("first", [dd.jacfwd, dd.jacrev])
def test_what_is_written_into_is_no_longer_known(first: Any) -> None:
    def operand(x: Any) -> Any:
        y = 1.0 * x
        r = L.norm(np.stack([y, y]), axis=1)
        s = np.hypot(y, 0.0)
        y[0] = 5.0
        return np.sum(s**2) + np.sum(r) * 0 + np.sum(y)

    def result(x: Any) -> Any:
        r = L.norm(np.stack([x, x]), axis=1)
        r[0] = 3.0 * x[0]
        return np.sum(r**2)

    def view(x: Any) -> Any:
        r = L.norm(np.stack([x, x]), axis=1)
        v = r[1:]
        r[1] = 3.0 * x[0]
        return np.sum(v**2)

    x = np.array([3.0, 4.0])
    np.testing.assert_allclose(first(operand)(x), [6, 9], rtol=1e-14)
    np.testing.assert_allclose(first(result)(x), [54 + 6, 8], rtol=1e-14)
    np.testing.assert_allclose(first(view)(x), [54, 0], rtol=1e-14)


def test_constants_of_a_root_may_change_later() -> None:
    c = np.array([0.0, 1.0])
    x = dd.tensor([0.0, 2.0], requires_grad=True)
    r = np.hypot(x, c) * c
    c[:] = 7.0
    (r**2).sum().backward()
    assert x.grad.tolist() == [0.0, 4.0]


def test_clip_between_bounds_that_leave_nothing() -> None:
    for first in (dd.jacfwd, dd.jacrev):
        assert first(lambda x: np.clip(x, 1.0, 1.0))(1.0) == 0.0
        J = first(lambda v: np.clip(v[0], v[1], v[2]))
        assert J(np.ones(3)).tolist() == [0.0, 0.5, 0.5]
        assert J(np.array([1.0, 1.0, 2.0])).tolist() == [0.5, 0.5, 0.0]
        assert J(np.array([2.0, 3.0, 1.0])).tolist() == [0.0, 0.0, 1.0]
        x, low = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0])
        assert np.diag(first(lambda x: np.clip(x, low, 1.0))(x)).tolist() == [0.5, 0.0, 0.0]  # noqa: B023


@pytest.mark.parametrize("d", [dd.grad, dd.jacfwd, dd.jacrev])
def test_roots_of_pythons_floats_are_differentiated_twice(d: Any) -> None:
    for f in (lambda x: x**0.5, np.sqrt, lambda x: abs(x) ** 0.5):
        np.testing.assert_allclose(d(f)(4.0), 0.25, rtol=1e-14)
        np.testing.assert_allclose(d(d(f))(4.0), -1 / 32, rtol=1e-14)
