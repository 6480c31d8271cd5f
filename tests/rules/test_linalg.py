"""Linear algebra at special matrices: singular, repeated eigenvalues, zero; and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError

L = np.linalg
MODES = [dd.jacfwd, dd.jacrev]
SECOND = [lambda f: dd.jacfwd(dd.jacrev(f)), lambda f: dd.jacrev(dd.jacfwd(f)), lambda f: dd.jacrev(dd.jacrev(f))]


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
    j = dd.jacrev(lambda a: L.eigh(a)[1])(np.eye(2))
    assert not np.isfinite(j).all(), "eigenvectors of a repeated eigenvalue have no derivative"


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
