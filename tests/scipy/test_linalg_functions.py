"""scipy.linalg, functions of matrices, matrix equations and builders: in every option, against SciPy's values and differences."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import scipy.linalg as sla

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
from dualdiff.testing import check
from tests.versions import SCIPY

RNG = np.random.default_rng(5)
N = 4
A, E = RNG.standard_normal((N, N)), 0.3 * RNG.standard_normal((N, N))
C = A + 1j * RNG.standard_normal((N, N))
S, P, PH = A + A.T, A @ A.T + 2 * np.eye(N), C @ C.conj().T + 2 * np.eye(N)
T = RNG.standard_normal((6, 3))
B, R = RNG.standard_normal((N, 2)), np.array([[2.0, 0.3], [0.3, 1.5]])
Q = S @ S + np.eye(N)
NEAR_ONE, CROSS = np.eye(N) + 0.1 * E, 0.1 * B[::-1]
TURNED = np.diag([1.0, 2.0, -3.0]) + 0.1 * T[:3]
c, r = np.array([5, 1.0, 0.3, 0.2, 0.1]), np.array([5, 0.5, 0.2, 0.4])


def half(x):
    """Return the symmetric part: SciPy takes nothing else."""
    return (x + x.conj().T) / 2


FUNCTIONS = {
    "expm": (lambda a: sla.expm(a), C),
    "expm, large": (lambda a: sla.expm(a) / 1e3, 5 * A),
    "expm, stack": (lambda a: sla.expm(a), np.stack([A, 0.1 * S])),
    "expm_frechet": (lambda a, e: sla.expm_frechet(a, e), A, E),
    "expm_frechet, alone": (lambda a, e: sla.expm_frechet(a, e, method="blockEnlarge", compute_expm=False), A, E),
    "sqrtm": (lambda a: sla.sqrtm(a), P),
    "sqrtm, complex": (lambda a: sla.sqrtm(a), C),
    "logm": (lambda a: sla.logm(a), P),
    "fractional_matrix_power": (lambda a: sla.fractional_matrix_power(a, -1.7), P),
    "fractional_matrix_power, whole": (lambda a: sla.fractional_matrix_power(a, 3), A),
    "sqrtm, complex result": (lambda a: sla.sqrtm(a), TURNED),
    "logm, complex result": (lambda a: sla.logm(a), TURNED),
    "fractional_matrix_power, complex result": (lambda a: sla.fractional_matrix_power(a, 0.4), TURNED),
    "signm": (lambda a: sla.signm(a), A),
    "solve_sylvester": (lambda a, b, q: sla.solve_sylvester(a, b, q), PH, P[:3, :3], A[:, :3]),
    "solve_continuous_lyapunov": (lambda a, q: sla.solve_continuous_lyapunov(a, q), A - 3 * np.eye(N), S),
    "solve_continuous_lyapunov, complex": (lambda a, q: sla.solve_continuous_lyapunov(a, q), C - 5 * np.eye(N), A),
    "solve_continuous_lyapunov, stack": (lambda a, q: sla.solve_lyapunov(a, q), (A - 3 * np.eye(N))[None], S),
    "solve_discrete_lyapunov": (lambda a, q: sla.solve_discrete_lyapunov(a, q), 0.3 * A, S),
    "solve_discrete_lyapunov, bilinear": (
        lambda a, q: sla.solve_discrete_lyapunov(a, q, method="bilinear"),
        0.2 * C,
        A,
    ),
    "toeplitz": (lambda c: sla.toeplitz(c), c + 1j),
    "toeplitz, row": (lambda c, r: sla.toeplitz(c, r), c, r),
    "circulant": (lambda c: sla.circulant(c), np.stack([c, c**2])),
    "hankel": (lambda c: sla.hankel(c), c),
    "hankel, row": (lambda c, r: sla.hankel(c, r), c, r),
    "block_diag": (lambda a, b, c: sla.block_diag(a, b, c), A, T, c),
    "block_diag, repeated": (lambda p: sla.block_diag(*[p[0] * np.ones((2, 2)) + p[1] * np.eye(2)] * 3), c),
    "khatri_rao": (lambda a, b: sla.khatri_rao(a, b), A, T.T[:, :4]),
    "diagsvd": (lambda s: sla.diagsvd(s, 5, 6), c),
    "diagsvd, tall": (lambda s: sla.diagsvd(s, 7, 5), c),
    "leslie": (lambda f, s: sla.leslie(f, s), c, r),
    "companion": (lambda a: sla.companion(a), c),
    "fiedler": (lambda a: sla.fiedler(a), c),
    "convolution_matrix": (lambda a: sla.convolution_matrix(a, 4), c),
}
for name in ("cosm", "sinm", "tanm", "coshm", "sinhm", "tanhm"):
    FUNCTIONS[name] = (lambda a, name=name: getattr(sla, name)(a), 0.4 * A)
    FUNCTIONS[f"{name}, complex"] = (lambda a, name=name: getattr(sla, name)(a), 0.3 * C)
for size in (2, 3, 4, 5):
    FUNCTIONS[f"fiedler_companion, {size}"] = (lambda a: sla.fiedler_companion(a), c[:size])
for mode in ("same", "valid"):
    for n in (4, 7):
        FUNCTIONS[f"convolution_matrix, {mode}, {n}"] = (
            lambda a, mode=mode, n=n: sla.convolution_matrix(a, n, mode),
            c,
        )
for solver in (sla.solve_continuous_are, sla.solve_discrete_are):
    FUNCTIONS[solver.__name__] = (
        lambda a, b, q, r, name=solver.__name__: getattr(sla, name)(a, b, half(q), half(r)),
        C,
        B,
        Q,
        R,
    )
    FUNCTIONS[f"{solver.__name__}, general"] = (
        lambda a, b, q, r, e, s, name=solver.__name__: getattr(sla, name)(a, b, half(q), half(r), e, s, balanced=False),
        A,
        B,
        Q,
        R,
        NEAR_ONE,
        CROSS,
    )
if SCIPY < (1, 15):  # which takes no stacks, or makes one vector of them
    del FUNCTIONS["solve_continuous_lyapunov, stack"], FUNCTIONS["circulant"]
TWICE = [
    *("expm", "sqrtm", "logm", "signm", "solve_sylvester", "solve_discrete_lyapunov", "solve_continuous_are, general"),
    "solve_discrete_are",
]


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in TWICE])
def test_a_function_has_scipys_value_and_right_derivatives(name):
    f, *point = FUNCTIONS[name]
    check(f, *point, directions=1)


@pytest.mark.parametrize("name", TWICE)
def test_second_derivatives_are_right_too(name):
    f, *point = FUNCTIONS[name]
    check(f, *point, directions=1, order=2)


def test_the_derivative_of_the_exponential_is_scipys_own_at_every_size_of_matrix():
    for size in (1e-8, 0.1, 4.0, 40.0):
        a = size * A / np.linalg.norm(A, 1)
        want, tangent = sla.expm_frechet(a, E)
        value, got = dd.jvp(lambda x: sla.expm(x), (a,), (E,))
        np.testing.assert_allclose(value, want, rtol=0, atol=1e-13 * np.abs(want).max())
        np.testing.assert_allclose(got, tangent, rtol=0, atol=1e-13 * np.abs(tangent).max())


def test_a_solution_that_is_none_has_no_derivative():
    e = np.eye(N) + 0.05 * E  # which some SciPy scale wrongly
    x = sla.solve_continuous_are(A, B, Q, R, e)
    k = np.linalg.solve(R, B.T @ x @ e)
    h = (A - B @ k).T @ x @ e
    is_one = np.linalg.norm(h + h.T + Q + k.T @ R @ k) < 1e-8 * np.linalg.norm(h)

    def solve(q):
        return sla.solve_continuous_are(A, B, half(q), R, e)

    if is_one:  # this SciPy scales as it should
        check(solve, Q, directions=1)
    else:
        with pytest.raises(
            np.linalg.LinAlgError, match=r"solve_continuous_are returns a matrix that leaves a residual.*balanced=False"
        ):
            dd.jacobian(solve)(Q)


def test_an_equation_without_a_solution_raises():
    singular = np.diag([1.0, 0.0, 0.0])
    for f in (lambda a: sla.solve_sylvester(a, -a, a), lambda a: sla.sqrtm(a), lambda a: sla.polar(a)[0]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sla.LinAlgWarning)
            with pytest.raises(
                np.linalg.LinAlgError, match=r"test_linalg_functions.py, line \d+: an equation A X \+ X B = Q has no"
            ):
                dd.jacrev(f)(singular)


def test_a_power_that_is_differentiated_is_refused_with_what_to_write():
    with pytest.raises(UnsupportedFunctionError, match=r"the power t .*expm\(t \* logm\(A\)\)"):
        dd.grad(lambda t: np.sum(sla.fractional_matrix_power(P, t)))(0.5)
    slope = dd.grad(lambda t: np.sum(sla.expm(t * sla.logm(P))))(0.5)
    np.testing.assert_allclose(slope, np.sum(sla.sqrtm(P) @ sla.logm(P)), rtol=1e-10)


@pytest.mark.filterwarnings("ignore:The `disp` argument is deprecated:DeprecationWarning")
def test_an_estimate_of_the_error_is_refused():
    if "disp" not in inspect.signature(sla.sqrtm).parameters:
        pytest.skip("this SciPy gives none")
    for f in (sla.sqrtm, sla.logm, sla.signm):
        with pytest.raises(UnsupportedFunctionError, match=rf"scipy\.linalg\.{f.__name__} is not .* disp=False"):
            dd.jacobian(lambda a, name=f.__name__: getattr(sla, name)(a, disp=False)[0])(P)
