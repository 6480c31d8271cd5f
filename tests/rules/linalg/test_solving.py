"""Systems by hand, stacks of them, and the triangular solvers that large ones take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dualdiff as dd
from tests.rules.linalg.derivatives import ALL_SECOND, MODES, SECOND, L, both


def test_solve_by_hand() -> None:
    a = np.array([[2.0, 0], [0, 4]])
    both(lambda b: L.solve(a, b), [1, 1], [[0.5, 0], [0, 0.25]])
    both(lambda d: L.solve(np.diag([1.0, 1]) * d, np.array([2.0, 8])), [2, 4], np.diag([-0.5, -0.5]))
    both(lambda x: L.inv(x * a), 1.0, -L.inv(a))


def test_errors_of_linear_algebra_pass() -> None:
    for f in (L.inv, lambda x: L.solve(x, np.ones(2)), L.cholesky, lambda x: L.cholesky(-np.eye(2) * x)):
        for mode in MODES:
            with pytest.raises(L.LinAlgError):
                mode(f)(np.zeros((2, 2)))
    for f in (L.inv, L.det, lambda x: L.solve(x, np.ones(2)), L.eigvalsh, L.cholesky):
        with pytest.raises(L.LinAlgError):
            dd.jacrev(f)(np.ones((2, 3)))


def test_a_vector_right_hand_side_for_a_stack() -> None:
    a = np.stack([np.eye(2), 2 * np.eye(2)])
    j = dd.jacrev(lambda b: L.solve(a, b))(np.ones(2))
    assert_allclose(j, [[[1, 0], [0, 1]], [[0.5, 0], [0, 0.5]]])
    assert_allclose(dd.jacfwd(lambda b: L.solve(a, b))(np.ones(2)), j)


N = 40  # large enough for the triangular solvers of BLAS


def triangles(dtype: Any) -> dict[str, Any]:
    a = np.random.default_rng(6).standard_normal((N, N)).astype(dtype) + 2 * N * np.eye(N, dtype=dtype)
    return {
        "lower": np.tril(a),
        "upper": np.triu(a),
        "lower, by columns": np.asfortranarray(np.tril(a)),
        "transposed": np.tril(a).T,
        "diagonal": np.diag(np.diag(a)),
        "nearly lower": np.tril(a) + np.eye(N, k=2, dtype=dtype),
        "nearly upper": np.triu(a) + np.eye(N, k=-3, dtype=dtype),
        "full": a,
    }


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", triangles(float))
def test_solving_with_triangles(name: str, dtype: Any) -> None:
    a = triangles(dtype)[name]
    tol = 1e-11 if dtype is np.float64 else 1e-4
    rng = np.random.default_rng(7)
    for b in (rng.standard_normal(N), rng.standard_normal((N, 3)), np.asfortranarray(rng.standard_normal((N, 3)))):
        b = b.astype(dtype)
        w, t = rng.standard_normal(b.shape).astype(dtype), rng.standard_normal(a.shape).astype(dtype)
        x, pull = dd.vjp(L.solve, a, b)
        assert_allclose(x, L.solve(a, b), rtol=tol, atol=tol)
        assert x.flags.c_contiguous == L.solve(a, b).flags.c_contiguous
        ga, gb = pull(w)
        assert ga.dtype == gb.dtype == x.dtype == dtype
        assert_allclose(gb, L.inv(a).T @ w, rtol=tol, atol=tol)
        assert_allclose(ga, -np.outer(gb, x) if b.ndim == 1 else -gb @ x.T, rtol=tol, atol=tol)
        assert_allclose(dd.jvp(lambda a, b=b: L.solve(a, b), (a,), (t,))[1], -L.inv(a) @ t @ x, rtol=tol, atol=tol)


@pytest.mark.parametrize("name", triangles(float))
def test_solving_twice_differentiated_by_the_same_factors(name: str) -> None:
    rng = np.random.default_rng(17)
    a, (t, s) = triangles(float)[name] / N, rng.standard_normal((2, N, N)) / N
    b = rng.standard_normal((N, 2))

    def by(solution: Any) -> Any:
        return lambda c: np.sum(solution(a + c[0] * t + c[1] * c[0] * s, b * c[1]) ** 3)

    c = np.array([0.01, 1.0])
    expected = by(lambda a, b: L.inv(a) @ b)
    both(by(L.solve), c, dd.grad(expected)(c), 1e-9)
    for mode in ALL_SECOND:
        assert_allclose(mode(by(L.solve))(c), mode(expected)(c), rtol=1e-8)


@pytest.mark.parametrize("mode", [dd.jacfwd, dd.jacrev, dd.jacobian])
def test_a_program_that_solves_is_run_again_with_other_factors(mode: Any) -> None:
    a = triangles(float)["full"]
    j = mode(lambda c: L.solve(a * c[0] + np.diag(np.exp(c[1] * np.arange(N) / N)), np.ones(N) + c[1]))
    expected = dd.jacfwd(lambda c: L.inv(a * c[0] + np.diag(np.exp(c[1] * np.arange(N) / N))) @ (np.ones(N) + c[1]))
    for c in np.array([[1.0, 0.1], [2.0, -0.3], [0.5, 0.7]]):
        assert_allclose(j(c), expected(c), rtol=1e-10, atol=1e-13)


def test_triangles_that_cannot_be_solved_with() -> None:
    a = np.tril(np.ones((N, N)))
    a[5, 5] = 0
    with pytest.raises(L.LinAlgError, match="Singular"):
        dd.jacrev(lambda b: L.solve(a, b))(np.ones(N))
    a[:] = 1.0
    with pytest.raises(L.LinAlgError, match="Singular"):
        dd.jacrev(lambda b: L.solve(a, b))(np.ones(N))
    a = np.tril(a)
    a[5, 5] = np.nan
    assert np.isnan(dd.vjp(lambda b: L.solve(a, b), np.ones(N))[0]).any()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_large_cholesky_factor(dtype: Any) -> None:
    rng = np.random.default_rng(8)
    a, w, t = rng.standard_normal((3, N, N)).astype(dtype)
    a = a @ a.T + N * np.eye(N, dtype=dtype)
    tol = 1e-10 if dtype is np.float64 else 1e-3
    factor, inverse = L.cholesky(a), L.inv(L.cholesky(a))
    half = np.tril(np.ones((N, N))) - 0.5 * np.eye(N)
    change = np.tril(t) + np.tril(t, -1).T  # what the lower triangle of t says
    expected = factor @ (half * (inverse @ change @ inverse.T))
    assert_allclose(dd.jvp(L.cholesky, (a,), (t,))[1], expected, rtol=tol, atol=tol)
    for g in (w, np.asfortranarray(w), np.tril(w)):
        found = dd.vjp(L.cholesky, a)[1](g)[0]
        assert found.dtype == dtype
        assert np.sum(found * t) == pytest.approx(np.sum(g * expected), rel=tol)
        assert_allclose(np.triu(found, 1), 0)
    rows = dd.jacrev(lambda a: L.cholesky(a)[-1, -2:])(a)  # several covectors at once
    assert_allclose(np.sum(rows * t, axis=(1, 2)), expected[-1, -2:], rtol=tol, atol=tol)


def test_second_derivatives_through_large_triangles() -> None:
    rng = np.random.default_rng(9)
    a, t = rng.standard_normal((2, N, N))
    a = a @ a.T + N * np.eye(N)
    t = t + t.T
    y = rng.standard_normal(N)

    def likelihood(s: Any) -> Any:
        factor = L.cholesky(a + s * t)
        z = L.solve(factor, y)
        return z @ z + 2 * np.sum(np.log(np.diagonal(factor)))

    w = L.inv(a)
    first = -y @ w @ t @ w @ y + np.trace(w @ t)
    second = 2 * y @ w @ t @ w @ t @ w @ y - np.trace(w @ t @ w @ t)
    for mode in MODES:
        assert mode(likelihood)(0.0) == pytest.approx(first, rel=1e-10)
    for twice in SECOND:
        assert twice(likelihood)(0.0) == pytest.approx(second, rel=1e-10)
