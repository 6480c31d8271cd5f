"""scipy.linalg, what solves and what is solved with: as users call it, in every option, against SciPy's values and differences."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg as sla

from dualdiff.testing import check
from tests.versions import SCIPY

RNG = np.random.default_rng(0)
N = 4
A = RNG.standard_normal((N, N)) + 3 * np.eye(N)
S = A @ A.T + np.eye(N)
C = A + 1j * RNG.standard_normal((N, N))
H = C @ C.conj().T + np.eye(N)
b, B = RNG.standard_normal(N), RNG.standard_normal((N, 3))

BAND = RNG.standard_normal((4, 5))  # two diagonals below, one above
BAND[1] += 5
HALF = 0.3 * RNG.standard_normal((3, 5)) + 0.2j * RNG.standard_normal((3, 5))
LOWER, UPPER = HALF.copy(), HALF.copy()
LOWER[0], UPPER[2] = HALF[0].real + 5, HALF[2].real + 5
b5, B5 = RNG.standard_normal(5), RNG.standard_normal((5, 2))
COLUMN, ROW = np.array([5, 1.0, 0.3, 0.2, 0.1]), np.array([5, 0.5, 0.2, 0.4, 0.3])

SYSTEMS = {
    "cholesky": (lambda a: sla.cholesky(a), S),
    "cholesky, lower": (lambda a: sla.cholesky(a, lower=True), S),
    "cholesky, complex": (lambda a: sla.cholesky(a), H),
    "cholesky, stack": (lambda a: sla.cholesky(a), np.stack([S, 2 * S])),
    "cho_factor": (lambda a: np.concatenate([sla.cho_factor(a)[0], sla.cho_factor(a, True, True)[0]]), S),
    "cho_solve": (lambda a, x: sla.cho_solve(sla.cho_factor(a), x), S, b),
    "cho_solve, lower": (lambda a, x: sla.cho_solve(sla.cho_factor(a, lower=True), x), S, B),
    "cho_solve, complex": (lambda a, x: sla.cho_solve(sla.cho_factor(a), x), H, B),
    "cho_solve, stack": (lambda a, x: sla.cho_solve(sla.cho_factor(a), x), np.stack([S, 2 * S]), B),
    "lu_factor": (lambda a: sla.lu_factor(a)[0], A[::-1]),
    "lu_solve": (lambda a, x: sla.lu_solve(sla.lu_factor(a), x), A[::-1], b),
    "lu": (lambda a: sla.lu(a), A[::-1]),
    "lu, tall": (lambda a: sla.lu(a), A[::-1, :2]),
    "lu, wide": (lambda a: sla.lu(a, permute_l=True), A[1::-1]),
    "lu, indices": (lambda a: (lambda p, low, up: low[p] @ up * np.arange(N))(*sla.lu(a, p_indices=True)), C),
    "inv": (lambda a: sla.inv(a), A),
    "det": (lambda a: sla.det(a), A),
    "det, stack": (lambda a: sla.det(a), np.stack([C, H])),
    "det, singular": (lambda a: sla.det(a), np.ones((3, 3))),
    "pinv": (lambda a: sla.pinv(a), A[:, :2]),
    "pinv, tolerance": (lambda a: sla.pinv(a, atol=1e-9, return_rank=True)[0], C[:2]),
    "pinvh": (lambda a: sla.pinvh(a), S),
    "lstsq": (lambda a, x: sla.lstsq(a, x)[:2], A[:, :2], B),
    "lstsq, vector": (lambda a, x: sla.lstsq(a, x), A[:, :2], b),
    "lstsq, wide": (lambda a, x: sla.lstsq(a, x, lapack_driver="gelsy")[0], A[:2], B[:2]),
    "norm": (lambda a: sla.norm(a), A),
    "norm, largest column": (lambda a: sla.norm(a, 1), A),
    "norm, nuclear": (lambda a: sla.norm(a, "nuc", keepdims=True), A),
    "solve_banded": (lambda a, x: sla.solve_banded((2, 1), a, x), BAND, B5),
    "solve_banded, tridiagonal": (lambda a, x: sla.solve_banded((1, 1), a, x), BAND[:3], b5),
    "solve_banded, complex": (lambda a, x: sla.solve_banded((2, 1), a, x), BAND + 1j, b5),
    "solve_banded, stack": (lambda a, x: sla.solve_banded((1, 1), a, x), BAND[None, :3], b5),
    "solveh_banded": (lambda a, x: sla.solveh_banded(a, x), UPPER, B5),
    "solveh_banded, lower": (lambda a, x: sla.solveh_banded(a, x, lower=True), LOWER.real, b5),
    "solveh_banded, two": (lambda a, x: sla.solveh_banded(a, x, lower=True), LOWER[:2], B5),
    "cholesky_banded": (lambda a: sla.cholesky_banded(a), UPPER),
    "cholesky_banded, lower": (lambda a: sla.cholesky_banded(a, lower=True), LOWER.real),
    "cho_solve_banded": (
        lambda a, x: sla.cho_solve_banded((sla.cholesky_banded(a), False), x),
        UPPER,
        b5,
    ),
    "cho_solve_banded, lower": (
        lambda a, x: sla.cho_solve_banded((sla.cholesky_banded(a, lower=True), True), x),
        LOWER.real,
        B5,
    ),
    "solve_toeplitz": (lambda c, r, x: sla.solve_toeplitz((c, r), x), COLUMN, ROW, b5),
    "solve_toeplitz, complex": (lambda c, x: sla.solve_toeplitz(c, x), COLUMN + 0.2j * ROW, B5),
    "matmul_toeplitz": (lambda c, r, x: sla.matmul_toeplitz((c, r), x), COLUMN, ROW[:4], b5[:4]),
    "matmul_toeplitz, complex": (lambda c, x: sla.matmul_toeplitz(c, x), COLUMN + 1j, B5),
    "solve_circulant": (lambda c, x: sla.solve_circulant(c, x), COLUMN, b5),
    "solve_circulant, axes": (
        lambda c, x: sla.solve_circulant(c, x, caxis=0, baxis=1, outaxis=-1),
        COLUMN,
        B5.T,
    ),
    "solve_circulant, singular": (
        lambda c, x: sla.solve_circulant(c, x, singular="lstsq", tol=2.0),
        COLUMN,
        b5,
    ),
}
ASSUMED = ["gen", "sym", "her", "pos"]
if "triangular" in (sla.solve.__doc__ or ""):
    ASSUMED += [None, "diagonal", "tridiagonal", "banded", "upper triangular", "lower triangular"]
for kind in ASSUMED:
    for lower in (False, True):
        SYSTEMS[f"solve, {kind}, {lower}"] = (
            lambda a, x, kind=kind, lower=lower: sla.solve(a, x, assume_a=kind, lower=lower),
            S,
            B,
        )
    SYSTEMS[f"solve, {kind}, transposed"] = (
        lambda a, x, kind=kind: sla.solve(a, x, assume_a=kind, transposed=True),
        S,
        b,
    )
    SYSTEMS[f"solve, {kind}, complex"] = (
        lambda a, x, kind=kind: sla.solve(a, x, assume_a=kind),
        H if kind in ("her", "pos") else C,
        b,
    )
if "assume_a" in (sla.inv.__doc__ or ""):
    for kind in ("gen", "sym", "her", "pos", "upper triangular", "lower triangular"):
        SYSTEMS[f"inv, {kind}"] = (lambda a, kind=kind: sla.inv(a, assume_a=kind), S)
for trans in (0, "T", 2):
    for lower in (False, True):
        options = {"trans": trans, "lower": lower, "unit_diagonal": lower}
        SYSTEMS[f"solve_triangular, {trans}, {lower}"] = (
            lambda a, x, options=options: sla.solve_triangular(a, x, **options),
            A,
            B,
        )
        SYSTEMS[f"solve_triangular, {trans}, {lower}, complex"] = (
            lambda a, x, options=options: sla.solve_triangular(a, x, **options),
            C,
            b,
        )
for trans in (1, 2):
    SYSTEMS[f"lu_solve, {trans}, complex"] = (
        lambda a, x, trans=trans: sla.lu_solve(sla.lu_factor(a), x, trans=trans),
        C[::-1],
        B,
    )
if SCIPY < (1, 15):  # which takes no stacks
    for name in ("cholesky, stack", "cho_solve, stack", "solve_banded, stack"):
        del SYSTEMS[name]
TWICE = [
    *(
        "cholesky",
        "cho_solve, lower",
        "cho_solve, complex",
        "lu_solve",
        "lu_solve, 1, complex",
        "lu, wide",
        "solve, pos, True",
    ),
    *(
        "solve, gen, complex",
        "solve_triangular, T, True",
        "solve_banded",
        "solveh_banded",
        "solve_toeplitz",
        "cholesky_banded",
    ),
]
"""What is held to second derivatives as well."""


@pytest.mark.parametrize("name", [n for n in SYSTEMS if n not in TWICE])
def test_a_function_has_scipys_value_and_right_derivatives(name):
    f, *point = SYSTEMS[name]
    check(f, *point, directions=1)


@pytest.mark.parametrize("name", TWICE)
def test_second_derivatives_are_right_too(name):
    f, *point = SYSTEMS[name]
    check(f, *point, directions=1, order=2)
