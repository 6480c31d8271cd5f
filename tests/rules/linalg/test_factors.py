"""What all factorisations keep: triangles that are read, empty matrices, scales, precisions, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dualdiff as dd
from dualdiff.errors import DegenerateError, UnsupportedFunctionError
from tests.rules.linalg.derivatives import MODES, SECOND, L, both, second
from tests.rules.linalg.test_equal_values import rebuilt


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


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_factors_of_empty_matrices(shape: Any) -> None:
    assert dd.jacrev(rebuilt)(np.zeros(shape)).shape == shape + shape
    if shape == (0, 0):
        assert dd.jacrev(lambda a: L.eigh(a)[1])(np.zeros(shape)).shape == shape + shape


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
        for modes in SECOND[:2]:
            one = modes(f)(x)
            for scale in map(dtype, scales):
                with np.errstate(over="raise", invalid="raise"):
                    found = modes(f)(x * scale)
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


def test_refusals_say_what_to_write() -> None:
    with pytest.raises(UnsupportedFunctionError, match="mode='reduced'"):
        dd.vjp(lambda a: L.qr(a, "raw")[0], np.ones((3, 2)))


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


@pytest.mark.parametrize(
    "a",
    [
        np.array([[1.0, 2], [2, 4]]),  # R's last entry is rounding, not zero
        np.zeros((3, 2)),
        np.array([[1.0, 2, 3], [2, 4, 1], [3, 6, 5]]),
        np.array([[1.0, 2, 0], [2, 4, 1]]),  # more columns than rows
        np.array([[[2.0, 1], [1, 3]], [[1.0, 1], [1, 1]]]),  # one of a stack
    ],
)
@pytest.mark.parametrize("mode", [*MODES, lambda f: dd.jacfwd(dd.jacrev(f))])
@pytest.mark.parametrize("k", [0, 1])
def test_qr_of_dependent_columns_has_no_derivative(a: Any, mode: Any, k: int) -> None:
    def f(a: Any) -> Any:
        return L.qr(a)[k]

    with pytest.raises(DegenerateError, match=r"np.linalg.qr has no derivative at this matrix.*np.linalg.svd"):
        mode(f)(a)
    with pytest.raises(DegenerateError, match=r"np\.linalg\.qr"):
        mode(lambda t: np.real(L.qr(t * np.exp(1j) * a)[k]))(1.0)


@pytest.mark.parametrize("scales", [(1e-200, 1.0), (1.0, 1e160), (1e-160, 1e-160)])
def test_qr_knows_dependent_columns_from_small_ones(scales: Any) -> None:
    a = np.array([[1.0, 2], [1, 3]]) * scales

    def orthogonal(a: Any) -> Any:
        return L.qr(a)[0][0, 1] / L.qr(a)[0][1, 1]

    with dd.kinks("raise"):
        for mode in MODES:  # q2 is at right angles to the first column: q2[0] / q2[1] = -a[1, 0] / a[0, 0]
            slope = mode(orthogonal)(a)
            assert_allclose(slope[:, 0] * scales[0], [1, -1], rtol=1e-12)
            assert_allclose(slope[:, 1] * scales[1], [0, 0], atol=1e-12)
        assert_allclose(dd.jacrev(lambda t: L.qr(t * np.eye(3))[1])(2.0), L.qr(np.eye(3))[1])


@pytest.mark.parametrize("full", [False, True])
def test_the_singular_values_and_vectors_of_a_stack_are_those_of_each(full: bool) -> None:
    rng = np.random.default_rng(4)
    for shape in ((2, 3, 3), (2, 4, 3), (2, 2, 3)):
        a = rng.standard_normal(shape)
        values, pull = dd.vjp(lambda a: L.svd(a, full_matrices=full), a)
        n = min(shape[1:])
        w = [rng.standard_normal(np.shape(y)) for y in values]
        if full:  # only which space the rest spans is defined
            w[0][..., n:], w[2][..., n:, :] = 0.0, 0.0
        (found,) = pull(type(values)(*w))
        for k in range(2):
            _, one = dd.vjp(lambda a: L.svd(a, full_matrices=full), a[k])
            np.testing.assert_allclose(found[k], one(type(values)(*[c[k] for c in w]))[0], rtol=1e-10)
