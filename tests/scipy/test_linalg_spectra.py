"""scipy.linalg, eigenvalues, singular values and orthogonal factors: in every option, against SciPy's values and differences."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg as sla

import dualdiff as dd
from dualdiff.errors import DegenerateError, UnsupportedFunctionError
from dualdiff.testing import check
from tests.versions import SCIPY

RNG = np.random.default_rng(5)
N = 4
A = RNG.standard_normal((N, N))
S, T = A + A.T, RNG.standard_normal((6, 3))
C = A + 1j * RNG.standard_normal((N, N))
H = C + C.conj().T
P, PH = A @ A.T + 2 * np.eye(N), C @ C.conj().T + 2 * np.eye(N)
D = np.diag([1.0, 2.5, 4.0, 7.0]) + 0.1 * A
d, e = np.array([1.0, 2.5, 4.0, 7.0]), np.array([0.3, 0.4, 0.5])
BAND = RNG.standard_normal((3, 5))

SPECTRA = {
    "eigh": (lambda a: sla.eigh(a), S),
    "eigh, upper": (lambda a: sla.eigh(a, lower=False), S),
    "eigh, by index": (lambda a: sla.eigh(a, subset_by_index=[1, 2]), S),
    "eigh, by value": (lambda a: sla.eigh(a, subset_by_value=[-1, 3.0]), S),
    "eigh, stack": (lambda a: (lambda w, v: (w, v * v))(*sla.eigh(a)), np.stack([S, D + D.T])),
    "eigvalsh": (lambda a: sla.eigvalsh(a), H),
    "eigvalsh, by index": (lambda a: sla.eigvalsh(a, subset_by_index=[1, 2]), S),
    "eigvalsh, pair": (lambda a, b: sla.eigvalsh(a, b), H, PH),
    "eigh_tridiagonal": (lambda d, e: sla.eigh_tridiagonal(d, e), d, e),
    "eigh_tridiagonal, by index": (lambda d, e: sla.eigh_tridiagonal(d, e, select="i", select_range=(1, 2)), d, e),
    "eigh_tridiagonal, by value": (
        lambda d, e: sla.eigh_tridiagonal(d, e, select="v", select_range=(2, 5), lapack_driver="stemr"),
        d,
        e,
    ),
    "eigvalsh_tridiagonal": (lambda d, e: sla.eigvalsh_tridiagonal(d, e, lapack_driver="sterf"), d, e),
    "eig_banded": (lambda a: sla.eig_banded(a), BAND),
    "eig_banded, lower": (lambda a: sla.eig_banded(a, lower=True, select="i", select_range=(0, 2)), BAND),
    "eigvals_banded": (lambda a: sla.eigvals_banded(a, select="v", select_range=(-1, 2.0)), BAND),
    "eig": (lambda a: sla.eig(a), D),
    "eig, left": (lambda a: sla.eig(a, left=True), D),
    "eig, left alone": (lambda a: sla.eig(a, left=True, right=False), D),
    "eigvals": (lambda a: sla.eigvals(a), A),
    "eigvals, homogeneous": (lambda a: sla.eigvals(a, homogeneous_eigvals=True), C),
    "svd": (lambda a: sla.svd(a), A),
    "svd, tall": (lambda a: sla.svd(a, full_matrices=False), T),
    "svd, wide": (lambda a: sla.svd(a, full_matrices=False, lapack_driver="gesvd"), T.T),
    "svd, values": (lambda a: sla.svd(a, compute_uv=False), T),
    "svdvals": (lambda a: sla.svdvals(a), C),
    "qr": (lambda a: sla.qr(a), A),
    "qr, economic": (lambda a: sla.qr(a, mode="economic"), T),
    "qr, r": (lambda a: sla.qr(a, mode="r"), T),
    "qr, wide": (lambda a: sla.qr(a), T.T),
    "qr, pivoting": (lambda a: sla.qr(a, pivoting=True, mode="economic")[:2], T * [1, 2, 3]),
    "qr, pivoting, complex": (lambda a: sla.qr(a, pivoting=True)[:2], C),
    "qr_multiply": (lambda a, c: sla.qr_multiply(a, c), T, T.T),
    "qr_multiply, left": (lambda a, c: sla.qr_multiply(a, c, mode="left"), T, T[:3]),
    "qr_multiply, conjugate": (lambda a, c: sla.qr_multiply(a, c, mode="left", conjugate=True), C, d),
    "rq": (lambda a: sla.rq(a), C),
    "rq, tall": (lambda a: sla.rq(a), T),
    "rq, economic": (lambda a: sla.rq(a, mode="economic"), T.T),
    "rq, r": (lambda a: sla.rq(a, mode="r"), T.T),
    "polar": (lambda a: sla.polar(a), C),
    "polar, tall": (lambda a: sla.polar(a), T),
    "polar, tall, left": (lambda a: sla.polar(a, side="left"), T),
    "polar, wide": (lambda a: sla.polar(a), T.T),
    "polar, wide, left": (lambda a: sla.polar(a, side="left"), T.T),
    "polar, equal values": (lambda a: sla.polar(a), 2 * np.eye(3)),
    "orthogonal_procrustes": (lambda a, b: sla.orthogonal_procrustes(a, b), T, T[::-1] ** 2),
}
for driver in ("ev", "evd", "evx"):
    SPECTRA[f"eigh, {driver}"] = (lambda a, driver=driver: sla.eigh(a, driver=driver), S)
for driver in ("gv", "gvx"):
    SPECTRA[f"eigh, {driver}"] = (lambda a, b, driver=driver: sla.eigh(a, b, driver=driver), S, P)
for driver in ("stebz", "stev"):
    SPECTRA[f"eigh_tridiagonal, {driver}"] = (
        lambda d, e, driver=driver: sla.eigh_tridiagonal(d, e, lapack_driver=driver),
        d,
        e,
    )
for kind in (1, 2, 3):
    SPECTRA[f"eigh, pair, {kind}"] = (lambda a, b, kind=kind: sla.eigh(a, b, type=kind, lower=False), S, P)
    SPECTRA[f"eigh, pair, {kind}, by index"] = (
        lambda a, b, kind=kind: sla.eigh(a, b, type=kind, subset_by_index=[0, 1]),
        S,
        P,
    )
if SCIPY < (1, 15):  # which takes no stacks
    del SPECTRA["eigh, stack"]
TWICE = ["eigh, by index", "eigh, pair, 1", "eigh, pair, 2", "eigh, pair, 3", "polar, tall", "eig, left", "rq, tall"]


@pytest.mark.parametrize("name", [n for n in SPECTRA if n not in TWICE])
def test_a_function_has_scipys_value_and_right_derivatives(name):
    f, *point = SPECTRA[name]
    check(f, *point, directions=1)


@pytest.mark.parametrize("name", TWICE)
def test_second_derivatives_are_right_too(name):
    f, *point = SPECTRA[name]
    check(f, *point, directions=1, order=2)


PHASELESS = {
    "eigh": (lambda a: np.sum(np.abs(sla.eigh(a)[1][:2]) ** 4), H),
    "eigh, pair": (lambda a: np.sum(np.abs(sla.eigh(a, PH, type=3)[1][:2]) ** 4), H),
    "eigh, pair, by the second": (lambda b: np.sum(np.abs(sla.eigh(H, b, type=2)[1][:2]) ** 4), PH),
    "eig": (lambda a: np.sum(np.abs(sla.eig(a, left=True)[1][:2]) ** 4), C),
    "svd": (lambda a: np.sum(np.abs(sla.svd(a)[0][:2]) ** 4), C),
    "the rest of a basis": (lambda a: np.sum((lambda w: (w @ w.T)[:2])(sla.qr(a)[0][:, 3:]) ** 3), T),
    "the rest of singular vectors": (lambda a: np.sum((lambda w: (w @ w.T)[:2])(sla.svd(a)[0][:, 3:]) ** 3), T),
}


@pytest.mark.parametrize("name", PHASELESS)
def test_what_no_phase_and_no_basis_changes_has_a_gradient(name):
    f, point = PHASELESS[name]
    v = RNG.standard_normal((*point.shape, 2)) @ [1, 1j if point.dtype.kind == "c" else 1]
    difference = (f(point + 1e-5 * v) - f(point - 1e-5 * v)) / 2e-5
    np.testing.assert_allclose(np.sum(np.real(np.conj(dd.grad(f)(point)) * v)), difference, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(dd.jvp(f, (point,), (v,))[1], difference, rtol=1e-6, atol=1e-8)


def test_what_a_phase_changes_raises_by_scipys_name():
    for f, x in [
        (lambda a: np.sum(np.real(sla.eigh(a)[1][:2])), H),
        (lambda a: np.sum(np.real(sla.eigh(a, PH)[1][:2])), H),
        (lambda a: np.sum(np.real(sla.eig(a)[1][:2])), C),
        (lambda a: np.sum(np.real(sla.svd(a)[0][:2])), C),
    ]:
        with pytest.raises(DegenerateError, match=r"the derivative of scipy\.linalg\.\w+ is not defined here"):
            dd.grad(f)(x)


def test_equal_eigenvalues_count_together():
    b = P[:3, :3]  # of the pair of b and b all eigenvalues are 1; their sum is the trace of b⁻¹ a
    total = dd.grad(lambda a: np.sum(sla.eigh(a, b, eigvals_only=True)))(b)
    inverse = np.linalg.inv(b)
    np.testing.assert_allclose(total, np.tril(2 * inverse) - np.diag(np.diag(inverse)), rtol=1e-10)
    with pytest.raises(DegenerateError, match=r"scipy\.linalg\.eigh"):
        dd.grad(lambda a: sla.eigh(a, b)[1][0, 0])(b)


def test_pairs_without_symmetry_are_refused_with_what_to_write():
    with pytest.raises(
        UnsupportedFunctionError, match=r"scipy\.linalg\.eig is not .* b=\. Give it scipy\.linalg\.solve\(b, a\)"
    ):
        dd.jacobian(lambda a: sla.eig(a, P)[0])(A)
    w = dd.jacobian(lambda a: np.sort(np.abs(sla.eigvals(sla.solve(P, a)))))(A)
    assert w.shape == (N, N, N)


def test_reflectors_are_refused():
    with pytest.raises(UnsupportedFunctionError, match=r"mode='raw'.*mode='economic'"):
        dd.jacobian(lambda a: sla.qr(a, mode="raw")[0][0])(A)
    with pytest.raises(UnsupportedFunctionError, match="overwrite_c"):
        dd.jacobian(lambda a: sla.qr_multiply(a, T, mode="left", overwrite_c=True)[0])(T)
