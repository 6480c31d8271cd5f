"""Linear algebra at special matrices: singular, repeated eigenvalues, zero; and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dualdiff as dd
from dualdiff.errors import DegenerateError, UnsupportedFunctionError

L = np.linalg
MODES = [dd.jacfwd, dd.jacrev]
SECOND = [lambda f: dd.jacfwd(dd.jacrev(f)), lambda f: dd.jacrev(dd.jacfwd(f)), lambda f: dd.jacrev(dd.jacrev(f))]
ALL_SECOND = [*SECOND, lambda f: dd.jacfwd(dd.jacfwd(f))]


def both(f: Any, x: Any, expected: Any, tol: float = 1e-12) -> None:
    for mode in MODES:
        assert_allclose(mode(f)(np.asarray(x, float)), expected, rtol=tol, atol=tol)


def second(f: Any, x: Any, expected: Any, tol: float = 1e-10) -> None:
    for mode in SECOND:
        assert_allclose(mode(f)(np.asarray(x, float)), expected, rtol=tol, atol=tol)


# -- determinants --------------------------------------------------------------------------------------------------


def cofactors(a: Any) -> Any:
    """Return the cofactor matrix from its minors."""
    n = len(a)
    minors = [[L.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(n)] for i in range(n)]
    return np.array(minors) * (-1.0) ** np.add.outer(np.arange(n), np.arange(n))


def cofactor_derivative(a: Any) -> Any:
    """Return the second derivative of the determinant from the minors of minors."""
    n = len(a)
    out = np.zeros((n,) * 4)
    for i in range(n):
        for j in range(n):
            rest = np.delete(np.delete(a, i, 0), j, 1)
            rows, columns = [r for r in range(n) if r != i], [c for c in range(n) if c != j]
            out[i, j][np.ix_(rows, columns)] = (-1.0) ** (i + j) * cofactors(rest)
    return out


RANKS = {
    "regular": np.array([[2.0, 1, 0], [1, 3, 1], [0, 1, 4]]),
    "rank two": np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]),
    "rank two, diagonal": np.diag([2.0, 0, 3]),
    "rank one": np.outer([1.0, 2, 3], [1.0, -1, 2]),
    "zero": np.zeros((3, 3)),
    "nearly singular": np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9 + 1e-9]]),
}


@pytest.mark.parametrize("name", RANKS)
def test_det_at_every_rank(name: str) -> None:
    a = RANKS[name]
    both(L.det, a, cofactors(a))
    second(L.det, a, cofactor_derivative(a))


def test_det_of_stacks_and_small_orders() -> None:
    stack = np.array([RANKS["regular"], RANKS["rank two"]])
    expected = np.zeros((2, 2, 3, 3))
    expected[0, 0], expected[1, 1] = cofactors(stack[0]), cofactors(stack[1])
    both(L.det, stack, expected)
    both(L.det, [[0.0]], [[1.0]])
    both(L.det, np.zeros((0, 0)), np.zeros((0, 0)))
    second(L.det, np.zeros((2, 2)), cofactor_derivative_of_order_two())


def cofactor_derivative_of_order_two() -> Any:
    out = np.zeros((2, 2, 2, 2))
    out[0, 0, 1, 1] = out[1, 1, 0, 0] = 1
    out[0, 1, 1, 0] = out[1, 0, 0, 1] = -1
    return out


def test_third_derivative_of_det() -> None:
    third = dd.jacfwd(dd.jacfwd(dd.jacrev(L.det)))
    t = third(RANKS["regular"])
    assert t[0, 0, 1, 1, 2, 2] == pytest.approx(1)
    assert t[0, 1, 1, 2, 2, 0] == pytest.approx(1)
    with pytest.raises(UnsupportedFunctionError, match=r"third derivative of np\.linalg\.det at a singular"):
        third(RANKS["rank two"])


def test_complex_singular_determinant() -> None:
    a = np.outer([1, 1j], [2, 1 - 1j])
    _, pull = dd.vjp(L.det, a)
    assert_allclose(pull(1.0 + 0j)[0], np.conj([[a[1, 1], -a[1, 0]], [-a[0, 1], a[0, 0]]]), atol=1e-14)
    v = np.array([[1, 2j], [3, 4 + 1j]])
    assert_allclose(
        dd.jvp(lambda x: dd.jvp(L.det, (x,), (v,))[1], (a,), (v,))[1], 2 * (v[0, 0] * v[1, 1] - v[0, 1] * v[1, 0])
    )


def test_slogdet() -> None:
    a = RANKS["regular"]
    both(lambda x: L.slogdet(x)[1], a, L.inv(a).T)
    both(lambda x: L.slogdet(x).sign * L.slogdet(x).logabsdet, -a, -L.inv(-a).T)
    with pytest.raises(L.LinAlgError):
        dd.grad(lambda x: L.slogdet(x)[1])(RANKS["rank two, diagonal"])


# -- solve, inverse ------------------------------------------------------------------------------------------------


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


# -- norms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [None, 1, 2, 3, 1.5, 0.5, np.inf, 0])
def test_norm_at_zero(order: Any) -> None:
    both(lambda x: L.norm(x, order), np.zeros(3), np.zeros(3))
    both(lambda x: L.norm(x, order, axis=1), np.zeros((2, 3)), np.zeros((2, 2, 3)))
    # Where the first derivative is a chosen slope, there is no second one; between two straight lines it is 0.
    straight = order in (0, 1, np.inf)
    second(
        lambda x: np.sum(x * x) * 0.5 + L.norm(x, order),
        np.zeros(2),
        np.eye(2) if straight else np.full((2, 2), np.nan),
    )


@pytest.mark.parametrize("order", [None, "fro", 1, 2, np.inf, "nuc"])
def test_matrix_norm_at_zero(order: Any) -> None:
    both(lambda x: L.norm(x, order), np.zeros((2, 2)), np.zeros((2, 2)))


def test_norm_where_some_entries_are_zero() -> None:
    both(L.norm, [3, 0, 4], [0.6, 0, 0.8])
    both(lambda x: L.norm(x, 1), [3, 0, -4], [1, 0, -1])
    both(lambda x: L.norm(x, 3), [2, 0], [1, 0])
    both(lambda x: L.norm(x, 0), [2, 0], [0, 0])
    second(L.norm, [3, 4], np.array([[16, -12], [-12, 9]]) / 125)


def test_norms_share_ties() -> None:
    both(lambda x: L.norm(x, np.inf), [3, -3, 1], [0.5, -0.5, 0])
    both(lambda x: L.norm(x, -np.inf), [1, -1, 3], [0.5, -0.5, 0])
    both(lambda x: L.norm(x, 1), np.eye(2), np.eye(2) / 2)
    both(lambda x: L.norm(x, np.inf), np.eye(2), np.eye(2) / 2)
    both(lambda x: L.norm(x, 2), np.eye(2), np.eye(2) / 2)
    both(lambda x: L.norm(x, "nuc"), np.diag([1.0, 1.0]), np.eye(2))


def test_norm_of_a_matrix_of_rank_one() -> None:
    u, v = np.array([0.6, 0.8]), np.array([1.0, 0.0])
    both(lambda x: L.norm(x, 2), 5 * np.outer(u, v), np.outer(u, v))


def test_bad_norms_raise() -> None:
    for order, x in (("nuc", np.ones(2)), (3, np.ones((2, 2))), ("bad", np.ones((2, 2)))):
        with pytest.raises(ValueError, match="norm order"):
            dd.grad(lambda x, order=order: L.norm(x, order))(x)
    with pytest.raises(UnsupportedFunctionError, match="ord="):
        dd.grad(lambda p: L.norm(np.ones(3) * p, p))(2.0)


def test_norm_keeps_axes() -> None:
    x = np.arange(1.0, 7).reshape(1, 2, 3)
    for order in (None, 1, 2, np.inf, "nuc"):
        value, _ = dd.vjp(lambda x, order=order: L.norm(x, order, axis=(1, 2), keepdims=True), x)
        assert value.shape == (1, 1, 1)
        assert_allclose(value, L.norm(x, order, axis=(1, 2), keepdims=True))


# -- factorisations ------------------------------------------------------------------------------------------------


def test_only_the_triangle_that_is_read_counts() -> None:
    a = np.array([[4.0, 99], [2, 5]])
    j = dd.jacrev(L.cholesky)(a)
    assert_allclose(j[..., 0, 1], 0)
    assert_allclose(j[:, :, 1, 0], [[0, 0], [0.5, -0.5 / 2]])
    assert_allclose(dd.jacfwd(L.cholesky)(a), j)
    j = dd.jacrev(lambda a: L.cholesky(a, upper=True))(a.T)
    assert_allclose(j[..., 1, 0], 0)
    assert_allclose(dd.jacrev(L.eigvalsh)(a)[..., 0, 1], 0)
    assert_allclose(dd.jacrev(lambda a: L.eigvalsh(a, "U"))(a)[..., 1, 0], 0)


def test_eigenvalues_by_hand() -> None:
    both(lambda x: L.eigvalsh(np.diag([1.0, 2.0]) * x), [3, 4], dd.jacfwd(lambda x: x * np.array([1.0, 2]))(np.ones(2)))
    both(lambda t: L.eigvalsh(np.array([[0, 1.0], [1, 0]]) * t), 2.0, [-1, 1])
    for mode in MODES:
        w = mode(lambda t: np.sort(np.imag(L.eigvals(np.array([[0, -1.0], [1, 0]]) * t))))(2.0)
        assert_allclose(w, [-1, 1])


def test_symmetric_functions_of_repeated_eigenvalues() -> None:
    both(lambda a: np.sum(L.eigvalsh(a)), np.eye(3), np.eye(3))
    both(lambda a: np.sum(L.eigh(a)[0] ** 2), 2 * np.eye(2), 4 * np.eye(2))
    both(lambda a: L.norm(a, "nuc") + L.svd(a, compute_uv=False).sum(), 3 * np.eye(2), 2 * np.eye(2))


# -- equal eigenvalues and singular values -------------------------------------------------------------------------

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
        with pytest.raises(L.LinAlgError, match=r"test_linalg\.py, line \d+: .*(not defined|no derivative)"):
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


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_factors_of_empty_matrices(shape: Any) -> None:
    assert dd.jacrev(rebuilt)(np.zeros(shape)).shape == shape + shape
    if shape == (0, 0):
        assert dd.jacrev(lambda a: L.eigh(a)[1])(np.zeros(shape)).shape == shape + shape


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


@pytest.mark.parametrize(("dtype", "scales"), [(float, (1e160, 1e-160, 1e-300)), (np.float32, (1e19, 1e-19))])
def test_scales_whose_squares_no_number_holds(dtype: Any, scales: Any) -> None:
    a = np.array([[4.0, 1, 0], [1, 3, 1], [0, 1, 2]], dtype)
    tall = np.array([[4.0, 1], [1, 3], [0, 2]], dtype)
    tol = 1e-10 if dtype is float else 1e-4
    functions = [
        (lambda a: np.sum(L.svd(a, compute_uv=False)), a),
        (lambda a: L.norm(a, 2), tall),
        (lambda a: L.norm(a, "nuc"), tall.T),
        (lambda a: L.eigvalsh(a)[0], a),
    ]
    for f, x in functions:
        for second in SECOND[:2]:
            one = second(f)(x)
            for scale in map(dtype, scales):
                with np.errstate(over="raise", invalid="raise"):
                    found = second(f)(x * scale)
                assert found.dtype == dtype
                if np.isfinite(1 / scale * np.abs(one).max()):
                    assert_allclose(found * scale, one, rtol=0, atol=tol)
    vectors = [
        (lambda a: L.eigh(a)[1], a),
        (lambda a: L.svd(a, full_matrices=False)[0], tall),
        (lambda a: L.svd(a, full_matrices=False)[2], tall.T),
        (lambda a: np.log(L.cond(a)), tall),
    ]
    for f, x in vectors:
        for mode in MODES:
            one = mode(f)(x)
            for scale in map(dtype, scales):
                assert_allclose(mode(f)(x * scale) * scale, one, rtol=0, atol=tol)


def test_pinv_of_large_and_small_matrices() -> None:
    a = np.array([[1.0, 2], [3, 4], [5, 7]])
    for x in (a, a.T):
        v = np.ones_like(x)
        one = dd.jvp(L.pinv, (x,), (v,))[1]
        back = dd.vjp(L.pinv, x)[1](np.ones_like(x.T))[0]
        for scale in (1e160, 1e-160):
            assert_allclose(dd.jvp(L.pinv, (x * scale,), (v * scale,))[1] * scale, one, rtol=1e-10)
            seed = np.full(x.T.shape, scale)
            assert_allclose(dd.vjp(L.pinv, x * scale)[1](seed)[0] * scale, back, rtol=1e-10)


def test_second_derivative_of_an_eigenvalue() -> None:
    # The larger eigenvalue of [[a, b], [b, -a]] is hypot(a, b).
    def f(x: Any) -> Any:
        return L.eigvalsh(x[0] * np.diag([1.0, -1]) + x[1] * np.array([[0, 1.0], [1, 0]]))[1]

    second(f, [3, 4], np.array([[16, -12], [-12, 9]]) / 125)


def test_factors_multiply_to_the_matrix() -> None:
    a = np.array([[3.0, 1], [-1, 1.5], [1, 0.75]])
    eye = np.eye(6).reshape(3, 2, 3, 2)

    def from_svd(x: Any) -> Any:
        u, s, vh = L.svd(x, full_matrices=False)
        return (u * s) @ vh

    def from_qr(x: Any) -> Any:
        q, r = L.qr(x)
        return q @ r

    both(from_svd, a, eye, 1e-10)
    both(from_qr, a, eye, 1e-10)
    both(lambda x: from_svd(x.T).T, a, eye, 1e-10)
    both(lambda x: from_qr(x.T).T, a, eye, 1e-10)
    second(lambda x: np.sum(from_svd(x) ** 2), a, 2 * eye, 1e-8)
    second(lambda x: np.sum(from_qr(x) ** 2), a, 2 * eye, 1e-8)


def test_nuclear_norm_of_a_complex_matrix() -> None:
    rng = np.random.default_rng(3)
    z, v = rng.standard_normal((2, 3, 2)) + 1j * rng.standard_normal((2, 3, 2))

    def f(t: Any) -> Any:
        return np.sum(L.svd(z + t * v, compute_uv=False) ** 2)  # = the sum of squares

    for mode in (
        lambda f: dd.jacfwd(dd.jacfwd(f)),
        lambda f: dd.jacrev(dd.jacfwd(f)),
        lambda f: dd.jacfwd(dd.jacrev(f)),
    ):
        assert_allclose(mode(f)(0.5), 2 * np.sum(np.abs(v) ** 2))


def test_pinv_of_full_rank() -> None:
    a = np.array([[1.0, 2], [3, 4], [5, 6]])
    both(lambda x: L.pinv(x) @ x, a, np.zeros((2, 2, 3, 2)), 1e-9)
    both(lambda b: L.lstsq(a, b, rcond=None)[0], [1, 2, 3], L.pinv(a))
    with pytest.raises(L.LinAlgError, match="pseudo-inverse"):
        dd.jacrev(L.pinv)(np.ones((2, 2)))
    with pytest.raises(L.LinAlgError, match="full rank"):
        dd.jacfwd(lambda a: L.lstsq(a, np.ones(2), rcond=None)[0])(np.ones((2, 2)))


def test_a_constant_matrix_may_have_any_rank() -> None:
    a = np.array([[1.0, 1], [1, 1], [1, 1]])
    both(lambda b: L.lstsq(a, b, rcond=None)[0], [1, 2, 3], L.pinv(a))
    found = L.lstsq(a, np.ones(3), rcond=None)

    def rest(b: Any) -> Any:
        _, residuals, rank, s = L.lstsq(a, b, rcond=None)
        assert (residuals.shape, rank) == (found[1].shape, found[2])
        assert_allclose(s, found[3], atol=1e-12)
        return b.sum()

    both(rest, [1, 2, 3], np.ones(3))


def test_refusals_say_what_to_write() -> None:
    z = np.eye(2) + 0j
    for f, x, message in (
        (lambda a: L.svd(a)[0], np.ones((3, 2)), "full_matrices=False"),
        (lambda a: L.eigh(a)[1], z, "eigvalsh is supported"),
        (lambda a: L.svd(a)[0], z, "svdvals is supported"),
        (lambda a: L.qr(a)[0], z, "real matrices"),
        (lambda a: L.qr(a, "complete")[0], np.ones((3, 2)), "mode='reduced'"),
        (lambda a: L.eig(a)[1], np.eye(2), "np.linalg.eigvals"),
    ):
        with pytest.raises(UnsupportedFunctionError, match=message):
            dd.vjp(f, x)


def test_eigenvalues_of_hermitian_matrices() -> None:
    a = np.array([[2, 1j], [-1j, 5]])
    v = np.array([[1, 2 - 1j], [2 + 1j, 0]])
    _, t = dd.jvp(L.eigvalsh, (a,), (v,))
    h = 1e-6
    assert_allclose(t, (L.eigvalsh(a + h * v) - L.eigvalsh(a - h * v)) / (2 * h), atol=1e-9)


def test_float32_stays() -> None:
    a = (np.array([[3, 1], [1, 2]])).astype(np.float32)
    for f in (
        L.inv,
        L.det,
        L.cholesky,
        L.norm,
        L.eigvalsh,
        L.pinv,
        lambda a: L.solve(a, a[0]),
        lambda a: L.norm(a, "nuc"),
    ):
        for mode in MODES:
            assert mode(f)(a).dtype == np.float32
