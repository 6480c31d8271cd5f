"""Equal eigenvalues and singular values: what has a derivative there, and what raises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dualdiff as dd
from dualdiff.errors import DegenerateError
from tests.rules.linalg.derivatives import ALL_SECOND, L, both

OPERATORS = {
    "jacfwd": lambda f, x: dd.jacfwd(f)(x),
    "jacrev": lambda f, x: dd.jacrev(f)(x),
    "jacobian": lambda f, x: dd.jacobian(f)(x),
    "jvp": lambda f, x: dd.jvp(f, (x,), (np.ones_like(x),)),
    "linearize": lambda f, x: dd.linearize(f, x)[1](np.ones_like(x)),
    "forward over reverse": lambda f, x: dd.jacfwd(dd.jacrev(f))(x),
    "reverse over forward": lambda f, x: dd.jacrev(dd.jacfwd(f))(x),
    "tensor": lambda f, x: f(dd.tensor(x, requires_grad=True)).sum().backward(),
}


def symmetric(values: Any, seed: int = 0) -> tuple[Any, Any]:
    """Return a symmetric matrix of given eigenvalues (to rounding), and its eigenvectors."""
    n = len(values)
    q = L.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    a = (q * np.asarray(values)) @ q.T
    return (a + a.T) / 2, q


def projected(p: Any, group: slice) -> Any:
    """Return the function tr(P U Uᵀ) of the eigenvectors U in a group."""

    def f(a: Any) -> Any:
        u = L.eigh((a + np.swapaxes(a, -1, -2)) / 2)[1][..., group]
        return np.trace(np.swapaxes(u, -1, -2) @ p @ u, axis1=-2, axis2=-1)

    return f


def projected_slope(p: Any, values: Any, q: Any, group: slice) -> Any:
    s = q.T @ (p + p.T) @ q / 2
    inside = range(*group.indices(len(values)))
    terms = [
        s[i, j] / (values[i] - values[j]) * (np.outer(q[:, i], q[:, j]) + np.outer(q[:, j], q[:, i]))
        for i in inside
        for j in range(len(values))
        if j not in inside
    ]
    return sum(terms)


@pytest.mark.parametrize("values", [[1, 3, 3, 5.5], [-2, 0, 0, 1], [0, 1e-3, 1e-3, 1], [-1e160, 1e160, 1e160, 2e160]])
def test_the_space_of_equal_eigenvalues_has_a_derivative(values: Any) -> None:
    p = np.random.default_rng(1).standard_normal((4, 4))
    a, q = symmetric(values)
    expected = projected_slope(p, values, q, slice(1, 3))
    scale = np.abs(expected).max()
    for operator in ("jacfwd", "jacrev", "jacobian"):
        assert_allclose(OPERATORS[operator](projected(p, slice(1, 3)), a) / scale, expected / scale, atol=1e-9)
    v = np.random.default_rng(2).standard_normal((4, 4))
    for push in (
        dd.jvp(projected(p, slice(1, 3)), (a,), (v,))[1],
        dd.linearize(projected(p, slice(1, 3)), a)[1](v),
    ):
        assert_allclose(push / scale, np.sum(expected * v) / scale, atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_computed_copies_of_one_eigenvalue_count_as_equal(seed: int) -> None:
    n = 4 + 2 * seed
    values = np.concatenate([np.full(n - 2, 1.7), [3.0, -40.0]])
    a, q = symmetric(values, seed)
    p = np.random.default_rng(seed).standard_normal((n, n))
    group = slice(1, n - 1)
    expected = projected_slope(p, np.sort(values), q[:, np.argsort(values)], group)
    both(projected(p, group), a, expected, 1e-9)
    with pytest.raises(DegenerateError):
        dd.grad(lambda a: p[0] @ L.eigh((a + a.T) / 2)[1][:, 1])(a)


def test_the_space_of_exactly_equal_eigenvalues() -> None:
    p = np.arange(9.0).reshape(3, 3)
    a = np.diag([2.0, 2.0, 5.0])
    both(projected(p, slice(0, 2)), a, projected_slope(p, [2, 2, 5], np.eye(3), slice(0, 2)))
    stack = np.stack([a, np.diag([1.0, 2.0, 4.0]), 3 * np.eye(3)])
    j = np.zeros((3, 3, 3, 3))
    j[0, 0] = projected_slope(p, [2, 2, 5], np.eye(3), slice(0, 2))
    j[1, 1] = projected_slope(p, [1, 2, 4], np.eye(3), slice(0, 2))
    both(lambda a: projected(p, slice(0, 2))(a[:2]), stack, j[:2])
    t = dd.tensor(a, requires_grad=True)
    projected(p, slice(0, 2))(t).backward()
    assert_allclose(t.grad, j[0, 0])


def test_several_results_and_complex_numbers_beside_equal_eigenvalues() -> None:
    a, p = np.diag([2.0, 2.0, 5.0]), np.arange(9.0).reshape(3, 3)
    g = projected_slope(p, [2, 2, 5], np.eye(3), slice(0, 2))
    t, c = np.arange(9.0).reshape(3, 3) - 2, 1.5 - 2j
    s = projected(p, slice(0, 2))(a)

    def f(a: Any, z: Any) -> Any:
        s = projected(p, slice(0, 2))(a)
        return {"real": s, "complex": s * z * np.array([1.0, 1j]), "constant": np.ones(2), "apart": np.abs(z) ** 2}

    expected = {
        "real": np.sum(g * t),
        "complex": (np.sum(g * t) * c + s * (2 + 1j)) * np.array([1.0, 1j]),
        "constant": np.zeros(2),
        "apart": 2 * (c * np.conj(2 + 1j)).real,
    }
    _, push = dd.linearize(f, a, c)
    for found in (dd.jvp(f, (a, c), (t, 2 + 1j))[1], push(t, 2 + 1j)):
        for name, value in expected.items():
            assert_allclose(found[name], value, rtol=1e-12, err_msg=name)
    assert_allclose(dd.jacfwd(lambda a: np.array([1.0, 2.0]) * projected(p, slice(0, 2))(a))(a), [g, 2 * g])


def test_a_space_of_equal_singular_values() -> None:
    rng = np.random.default_rng(4)
    u, v, p = L.qr(rng.standard_normal((4, 3)))[0], L.qr(rng.standard_normal((3, 3)))[0], rng.standard_normal((4, 4))
    y = (u * [3.0, 1.0, 1.0]) @ v.T

    def f(y: Any) -> Any:
        w = L.svd(y, full_matrices=False)[0][:, 1:]
        return np.trace(w.T @ p @ w)

    h = 1e-5

    steps = [(f(y + h * e) - f(y - h * e)) / (2 * h) for e in np.eye(12).reshape(12, 4, 3)]
    both(f, y, np.reshape(steps, (4, 3)), 1e-8)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("exact", [True, False])
def test_vectors_of_equal_values_raise(operator: str, exact: bool) -> None:
    a = 2 * np.eye(3) if exact else symmetric([1, 2, 2])[0]
    y = a if exact else a @ symmetric([1, 1, 1], seed=1)[1]
    mixed = np.array([1.0, 2.0, 4.0])
    functions = {
        "one eigenvector": (lambda a: mixed @ L.eigh(a)[1][:, 1], a),
        "one left vector": (lambda y: mixed @ L.svd(y)[0][:, 0], y),
        "one right vector": (lambda y: L.svd(y)[2][1] @ mixed, y),
        "values and vectors": (lambda a: np.sum((L.eigh(a)[1] * np.exp(L.eigh(a)[0] * mixed)) @ L.eigh(a)[1].T), a),
    }
    for what, (f, x) in functions.items():
        with pytest.raises(L.LinAlgError, match=r"test_equal_values\.py, line \d+: .*(not defined|no derivative)"):
            raise AssertionError(f"{what}: {OPERATORS[operator](f, x)}")


def rebuilt(y: Any) -> Any:
    u, s, vh = L.svd(y, full_matrices=False)
    return (u * s) @ vh


@pytest.mark.parametrize("shape", [(5, 5), (6, 4), (4, 6)])
def test_a_matrix_of_low_rank_is_rebuilt_from_its_factors(shape: Any) -> None:
    rng = np.random.default_rng(5)
    y = rng.standard_normal((shape[0], 2)) @ rng.standard_normal((2, shape[1]))
    weights = rng.standard_normal(shape)
    for gradient in (dd.grad, dd.jacfwd):
        assert_allclose(gradient(lambda y: np.sum(weights * rebuilt(y)))(y), weights, atol=1e-10)
    with pytest.raises(DegenerateError):  # what belongs to values that are exactly zero is not in the covector
        dd.jacrev(rebuilt)(np.zeros(shape))


def test_a_function_of_the_matrix_by_way_of_equal_eigenvalues_raises() -> None:
    def exponential(a: Any) -> Any:
        w, v = L.eigh(a)
        return (v * np.exp(w)) @ v.T

    weights = np.arange(9.0).reshape(3, 3)
    for a in (np.eye(3), np.zeros((3, 3)), symmetric([1, 2, 2])[0]):
        for gradient in (dd.grad, dd.jacfwd):
            with pytest.raises(DegenerateError, match="vectors and the values together"):
                gradient(lambda a: np.sum(weights * exponential(a)))(a)


def test_second_derivatives_beside_equal_values() -> None:
    # What belongs to a value that stands alone does not mind that others are equal; what belongs to these is refused.
    t = np.arange(9.0).reshape(3, 3)
    t = t + t.T

    def top(s: Any) -> Any:
        return L.eigvalsh(np.diag([1.0, 1.0, 4.0]) + s * t)[2]

    def norm(s: Any) -> Any:
        return L.norm(np.diag([4.0, 0.0, 0.0]) + s * t, 2)

    def tall(s: Any) -> Any:
        return L.norm(np.outer([0, 0, 4.0], [1.0, 0]) + s * t[:, :2], 2)

    for twice in ALL_SECOND:
        assert_allclose(twice(top)(0.0), 2 * (t[2, 0] ** 2 + t[2, 1] ** 2) / 3)
        assert_allclose(twice(norm)(0.0), (2 * t[0, 1] ** 2 + 2 * t[0, 2] ** 2) / 4)
        assert_allclose(twice(tall)(0.0), (t[2, 1] ** 2 + t[0, 0] ** 2 + t[1, 0] ** 2) / 4)
        for f in (lambda a: np.sum(L.eigvalsh(a) ** 3), lambda a: np.sum(L.svd(a, compute_uv=False) ** 3)):
            with pytest.raises(DegenerateError):
                twice(f)(np.eye(2))
