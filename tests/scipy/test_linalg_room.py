"""scipy.linalg as a whole: nothing is forgotten, dtypes are SciPy's, and so are errors and warnings; refusals say why."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.linalg as sla
import scipy.signal
import scipy.sparse

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
from dualdiff.scipy.linalg import ROOM

RNG = np.random.default_rng(2)
A = RNG.standard_normal((4, 4)) + 3 * np.eye(4)
S, b = A @ A.T, RNG.standard_normal(4)
WITHOUT_ARRAYS = {
    *("dft", "hadamard", "helmert", "hilbert", "invhilbert", "invpascal", "pascal"),
    *("LinAlgError", "LinAlgWarning"),
}
"""What takes no array: numbers and names alone."""


def test_every_function_is_differentiated_or_refused():
    known = {entry.name.rpartition(".")[2] for entry in ROOM.rows}
    assert {n for n in sla.__all__ if callable(getattr(sla, n))} - known == WITHOUT_ARRAYS & set(sla.__all__)


@pytest.mark.parametrize("entry", [e for e in ROOM.rows if e.status == "refused"], ids=lambda e: e.name)
def test_a_refusal_names_the_function_and_says_what_to_write(entry):
    name = entry.name.rpartition(".")[2]
    with pytest.raises(
        UnsupportedFunctionError, match=rf"test_linalg_room.py, line \d+.*{entry.name} is not differentiated: "
    ) as e:
        dd.grad(lambda a: np.sum(getattr(sla, name)(a, a)[0]))(A)
    assert any(word in str(e.value) for word in ("Write", "write", "Leave it out", "Draw"))


SINGLE = {
    "solve": lambda a, x: sla.solve(a, x),
    "cho_solve": lambda a, x: sla.cho_solve(sla.cho_factor(a), x),
    "lu_solve": lambda a, x: sla.lu_solve(sla.lu_factor(a), x),
    "solve_triangular": lambda a, x: sla.solve_triangular(a, x),
    "solve_banded": lambda a, x: sla.solve_banded((2, 1), a, x),
    "solve_toeplitz": lambda a, x: sla.solve_toeplitz(a[0], x),
    "det": lambda a, x: sla.det(a),
    "norm": lambda a, x: sla.norm(a, 1) + sla.norm(x) * x[0],
    "eigh": lambda a, x: sla.eigh(a),
    "pair": lambda a, x: sla.eigh(a, np.eye(4, dtype=a.dtype) + a),
    "svd": lambda a, x: sla.svd(a),
    "qr": lambda a, x: sla.qr(a),
    "expm": lambda a, x: sla.expm(a / 9),
    "sqrtm": lambda a, x: sla.sqrtm(a),
    "lyapunov": lambda a, x: sla.solve_continuous_lyapunov(a, a),
    "pinv": lambda a, x: sla.pinv(a),
    "lstsq": lambda a, x: sla.lstsq(a, x)[0],
    "toeplitz": lambda a, x: sla.toeplitz(x),
}


@pytest.mark.parametrize("name", SINGLE)
def test_single_precision_gives_what_scipy_gives(name):
    f, a, x = SINGLE[name], S.astype(np.float32), b.astype(np.float32)
    want, (got, pull) = f(a, x), dd.vjp(f, a, x)
    for w, g in zip(*[y if isinstance(y, tuple) else (y,) for y in (want, got)], strict=True):
        assert np.asarray(g).dtype == np.asarray(w).dtype
        np.testing.assert_allclose(g, w, rtol=2e-3, atol=2e-4 * np.abs(w).max())
    assert all(g is None or g.dtype == np.float32 for g in pull(got))


def test_where_scipy_mixes_precisions_single_is_refused():
    with pytest.raises(UnsupportedFunctionError, match=r"expm_frechet mixes precisions.*astype\(float\)"):
        dd.vjp(lambda a: sla.expm_frechet(a, a), A.astype(np.float32))


def test_integers_and_lists_are_computed_with_in_double_precision():
    found = dd.jacobian(lambda x: sla.solve([[2, 1], [1, 3]], x))
    np.testing.assert_allclose(found(np.array([1.0, 2.0])), np.linalg.inv([[2, 1], [1, 3]]))


ERRORS = {
    "solve": (lambda a: sla.solve(0 * a, b), np.linalg.LinAlgError),
    "solve, shapes": (lambda a: sla.solve(a, b[:2]), ValueError),
    "solve, structure": (lambda a: sla.solve(a, b, assume_a="nonsense"), ValueError),
    "solve, definite": (lambda a: sla.solve(-a, b, assume_a="pos"), np.linalg.LinAlgError),
    "solve, complex": (lambda a: sla.solve(a + 1j, b, transposed=True), NotImplementedError),
    "solve, not finite": (lambda a: sla.solve(a / np.array([0.0, 1, 1, 1]), b), ValueError),
    "cholesky": (lambda a: sla.cholesky(-a), np.linalg.LinAlgError),
    "cho_solve": (lambda a: sla.cho_solve((a, True), b[:3]), ValueError),
    "solve_triangular": (lambda a: sla.solve_triangular(0 * a, b), np.linalg.LinAlgError),
    "solve_banded": (lambda a: sla.solve_banded((3, 1), a, b), ValueError),
    "cholesky_banded": (lambda a: sla.cholesky_banded(-np.abs(a)), np.linalg.LinAlgError),
    "solve_circulant": (lambda a: sla.solve_circulant(0 * a[0], b), np.linalg.LinAlgError),
    "eigh, driver": (lambda a: sla.eigh(a, driver="gv"), ValueError),
    "eigh, subset": (lambda a: sla.eigh(a, subset_by_index=[2, 7]), ValueError),
    "eigh, second": (lambda a: sla.eigh(a, -a), np.linalg.LinAlgError),
    "expm": (lambda a: sla.expm(a[:2]), np.linalg.LinAlgError),
    "det": (lambda a: sla.det(a[:2]), ValueError),
    "solve_sylvester": (lambda a: sla.solve_continuous_are(a, b[:, None], a + np.eye(4, k=1), np.eye(1)), ValueError),
    "a sparse matrix": (lambda a: sla.solve(scipy.sparse.csr_array(np.eye(4)), a[0]), ValueError),
}


@pytest.mark.parametrize("name", ERRORS)
def test_bad_arguments_raise_what_scipy_raises(name):
    f, kind = ERRORS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with pytest.raises(kind):
            f(S)
        with pytest.raises(kind):
            dd.jacrev(f)(S)


def test_what_newer_scipy_have_no_more_is_refused():
    for f in (lambda a: sla.pinv(a, rcond=1e-3), lambda a: sla.eigvalsh(a, eigvals=(0, 1))):
        with pytest.raises(UnsupportedFunctionError, match=r"which newer SciPy have no more\. Write (rtol|driver)="):
            dd.jacrev(f, capture="always")(S)


def test_what_is_ill_conditioned_warns_as_in_scipy():
    ill = np.diag([1.0, 1e-17])
    for f in (lambda a: sla.solve(a, b[:2]), lambda a: sla.inv(a)):
        with pytest.warns(sla.LinAlgWarning, match="[Ii]ll-conditioned matrix"):
            dd.vjp(f, ill)
    with pytest.warns(sla.LinAlgWarning, match="Diagonal number 2 is exactly zero"):
        dd.vjp(lambda a: sla.lu_factor(a)[0], np.ones((2, 2)))


def test_questions_are_answered_by_plain_numbers():
    def f(a):
        assert sla.bandwidth(np.triu(a)) == (0, 3)
        assert sla.issymmetric(a)
        assert sla.ishermitian(a, atol=1e-9) is True
        return np.sum(a)

    np.testing.assert_array_equal(dd.grad(f, capture="always")(S), np.ones((4, 4)))


def test_a_function_of_scipy_that_calls_them_is_differentiated():
    def step(a):
        return scipy.signal.cont2discrete((a, np.eye(4)[:, :1], np.eye(4), np.zeros((4, 1))), 0.1)[0]

    tangent = 0.1 * sla.expm_frechet(0.1 * A, S)[1]
    np.testing.assert_allclose(dd.jvp(step, (A,), (S,))[1], tangent, rtol=0, atol=1e-13 * np.abs(tangent).max())


def test_a_recorded_program_follows_other_pivots_by_recording_again():
    f = dd.compile(dd.grad(lambda a: np.sum(sla.lu_solve(sla.lu_factor(a), b) ** 2)))
    for a in (A, A[::-1].copy(), A):
        x = np.linalg.solve(a, b)
        np.testing.assert_allclose(f(a), -2 * np.outer(np.linalg.solve(a.T, x), x), rtol=1e-8)
