"""``scipy.linalg``."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.linalg as sla

from tests.catalogue.rooms.base import Deprecated, DropIn, Values, With, of
from tests.versions import SCIPY

RNG = np.random.default_rng(5)
A = RNG.standard_normal((3, 3)) + 3 * np.eye(3)
M = RNG.standard_normal((3, 3))
S = A @ A.T + np.eye(3)
C = A + 0.3j * RNG.standard_normal((3, 3))
L = np.tril(A)
TALL = RNG.standard_normal((4, 2))
b, B = RNG.standard_normal(3), RNG.standard_normal((3, 2))
BAND = RNG.standard_normal((3, 4)) + np.array([[0.0], [5.0], [0.0]])
HALF = np.array([[0.0, 0.3, 0.2, -0.4], [4.0, 5.0, 4.5, 6.0]])
LOWER = np.array([[4.0, 5.0, 4.5, 6.0], [0.3, 0.2, -0.4, 0.0]])
b4 = RNG.standard_normal(4)
c, r = np.array([4.0, 1.0, 0.3, -0.2]), np.array([4.0, 0.5, 0.2, 0.1])
D, E = np.array([1.0, 2.5, 4.5]), np.array([0.4, 0.3])
CHECKED = {"check_finite": False}
OVER_A = {"overwrite_a": True, **CHECKED}


def signless(found: Any) -> Any:
    """Return what of a decomposition hangs on no sign."""
    return [np.abs(y) for y in found] if isinstance(found, tuple) else [np.abs(found)]


def projections(found: Any) -> Any:
    """Return eigenvalues, and what of the vectors hangs on no phase."""
    w, *vectors = found
    return [w, *[np.abs(v) ** 2 for v in vectors]]


def factor_solved(a: Any, x: Any, **options: Any) -> Any:
    return sla.lu_solve(sla.lu_factor(a), x, **options)


def cho_solved(a: Any, x: Any, **options: Any) -> Any:
    return sla.cho_solve(sla.cho_factor(a), x, **options)


def cho_banded(a: Any, x: Any, **options: Any) -> Any:
    return sla.cho_solve_banded((sla.cholesky_banded(a), False), x, **options)


def toeplitz_solved(c: Any, x: Any, **options: Any) -> Any:
    # SciPy's own does not take what is read-only before 1.15.
    return sla.solve_toeplitz(np.array(c), np.array(x), **options)


HALVES = S / 2


def riccati(solve: Any) -> Any:
    """Return a solver of halves of matrices that must be symmetric."""
    return lambda a, b, q, r, **options: solve(a, b, q + q.T, r + r.T, **options)


WHICH = {
    "subset_by_index": [0, 1],
    "subset_by_value": [-0.5, 1e3],
    "type": Values(2, 3),
    "lower": False,
    "driver": Values("ev", "evd"),
}
BEFORE = {"turbo": Deprecated(True), "eigvals": Deprecated((0, 1))}  # before SciPy 1.14
SELECT = {"select": Values(With("i", beside={"select_range": (0, 1)}), With("v", beside={"select_range": (0.0, 9.0)}))}
RANGE = With((0, 1), beside={"select": "i"})

DROP_INS: list[DropIn] = [
    of(
        sla.solve,
        A,
        B,
        lower=With(True, (S, B), {"assume_a": "pos"}),
        overwrite_b=True,
        assume_a=Values(
            *("gen", With("sym", (S, B)), With("her", (S, B)), With("pos", (S, B))),
            *(
                ("upper triangular", "lower triangular", "tridiagonal", "banded", "diagonal")
                if SCIPY >= (1, 15)
                else ()
            ),
        ),
        transposed=True,
        **OVER_A,
    ),
    of(
        sla.solve_triangular, A, B, trans=Values(1, "T", 2), lower=True, unit_diagonal=True, overwrite_b=True, **CHECKED
    ),
    of(
        sla.solve_banded,
        BAND,
        b4,
        called=lambda ab, x, l_and_u=(1, 1), **o: sla.solve_banded(l_and_u, ab, x, **o),
        given={"l_and_u": (1, 1)},
        overwrite_ab=True,
        overwrite_b=True,
        **CHECKED,
    ),
    of(sla.solveh_banded, HALF, b4, overwrite_ab=True, overwrite_b=True, lower=With(True, (LOWER, b4)), **CHECKED),
    of(sla.cholesky_banded, HALF, overwrite_ab=True, lower=With(True, (LOWER,)), **CHECKED),
    of(sla.cho_solve_banded, HALF, b4, called=cho_banded, overwrite_b=True, **CHECKED),
    of(sla.toeplitz, c, r=r),
    of(sla.circulant, c),
    of(sla.hankel, c, r=r),
    of(sla.block_diag, A, B),
    of(sla.khatri_rao, TALL, B),
    of(sla.diagsvd, D, given={"M": 4, "N": 3}),
    of(sla.leslie, c, D),
    of(sla.companion, c),
    of(sla.fiedler, D),
    of(sla.fiedler_companion, c),
    of(sla.convolution_matrix, D, given={"n": 3}, mode=Values("same", "valid")),
    of(sla.solve_sylvester, A, S, M),
    of(sla.solve_continuous_lyapunov, A, S),
    of(sla.solve_lyapunov, A, S),
    of(sla.solve_discrete_lyapunov, 0.2 * A, S, method=Values("direct", "bilinear")),
    of(
        sla.solve_continuous_are,
        M,
        B,
        HALVES,
        np.eye(2),
        called=riccati(sla.solve_continuous_are),
        e=A,
        s=0.1 * B,
        balanced=False,
        second=False,
        float32=False,
    ),
    of(
        sla.solve_discrete_are,
        M,
        B,
        HALVES,
        np.eye(2),
        called=riccati(sla.solve_discrete_are),
        e=A,
        s=0.1 * B,
        balanced=False,
        second=False,
        float32=False,
    ),
    of(sla.cholesky, S, lower=True, **OVER_A),
    of(sla.cho_factor, S, lower=True, shown=lambda f: f[0], **OVER_A),
    of(sla.cho_solve, S, b, called=cho_solved, overwrite_b=True, **CHECKED),
    of(sla.lu_factor, A, shown=lambda f: f[0], **OVER_A),
    of(sla.lu_solve, A, b, called=factor_solved, trans=Values(1, 2), overwrite_b=True, **CHECKED),
    of(sla.lu, A, permute_l=True, p_indices=True, **OVER_A),
    of(sla.expm, M),
    of(sla.expm_frechet, M, A, float32=False, method="blockEnlarge", compute_expm=False, **CHECKED),
    of(sla.sqrtm, S, disp=Deprecated(False), blocksize=Deprecated(32)),
    of(sla.logm, S, disp=Deprecated(False)),
    of(sla.fractional_matrix_power, S, given={"t": 0.5}),
    of(sla.signm, S - 9 * np.eye(3), disp=Deprecated(False)),
    *[of(getattr(sla, f"{name}m"), 0.3 * M) for name in ("cos", "sin", "tan", "cosh", "sinh", "tanh")],
    of(sla.qr, A, lwork=64, mode=Values("r", With("economic", (TALL,)), "raw"), pivoting=True, **OVER_A),
    of(
        sla.qr_multiply,
        TALL,
        b4,
        mode=With("left", (TALL, b[:2])),
        pivoting=True,
        conjugate=True,
        overwrite_a=True,
        overwrite_c=True,
    ),
    of(sla.rq, A, lwork=64, mode=Values("r", With("economic", (TALL.T.copy(),))), **OVER_A),
    of(sla.polar, A, side="left"),
    of(sla.orthogonal_procrustes, A, M, **CHECKED),
    of(
        sla.inv,
        A,
        assume_a=Values("gen", With("sym", (S,)), With("pos", (S,)), "upper triangular"),
        lower=With(True, (S,)),
        **OVER_A,
    ),
    of(sla.det, A, **OVER_A),
    of(sla.lstsq, TALL, b4, cond=1e-9, overwrite_b=True, lapack_driver=Values("gelss", "gelsy"), **OVER_A),
    of(
        sla.pinv,
        TALL,
        atol=1e-9,
        rtol=1e-9,
        return_rank=True,
        **CHECKED,
        **dict.fromkeys(("cond", "rcond"), Deprecated(1e-9)),
    ),
    of(sla.pinvh, S, atol=1e-9, rtol=1e-9, lower=False, return_rank=True, **CHECKED),
    of(sla.norm, A, ord=Values(1, 2, np.inf, "nuc", "fro"), axis=Values(0, (0, 1)), keepdims=True, **CHECKED),
    of(
        sla.eigh,
        S,
        shown=projections,
        b=A @ A.T,
        eigvals_only=True,
        overwrite_b=With(True, (S, A @ A.T)),
        **WHICH | OVER_A | BEFORE,
    ),
    of(sla.eigvalsh, S, b=A @ A.T, overwrite_b=With(True, (S, A @ A.T)), **WHICH | OVER_A | BEFORE),
    of(
        sla.eigh_tridiagonal,
        D,
        E,
        shown=projections,
        eigvals_only=True,
        select_range=RANGE,
        tol=1e-12,
        lapack_driver="stebz",
        **SELECT | CHECKED,
    ),
    of(sla.eigvalsh_tridiagonal, D, E, select_range=RANGE, tol=1e-12, lapack_driver="stebz", **SELECT | CHECKED),
    of(
        sla.eig_banded,
        HALF,
        shown=projections,
        lower=With(True, (LOWER,)),
        eigvals_only=True,
        overwrite_a_band=True,
        select_range=RANGE,
        max_ev=2,
        **SELECT | CHECKED,
    ),
    of(
        sla.eigvals_banded,
        HALF,
        lower=With(True, (LOWER,)),
        overwrite_a_band=True,
        select_range=RANGE,
        **SELECT | CHECKED,
    ),
    of(
        sla.eig,
        S + 0.1 * A,
        shown=projections,
        b=S,
        left=True,
        right=False,
        overwrite_b=True,
        homogeneous_eigvals=True,
        **OVER_A,
    ),
    of(sla.eigvals, A, b=S, overwrite_b=True, homogeneous_eigvals=True, **OVER_A),
    of(sla.svd, A, shown=signless, full_matrices=False, compute_uv=False, lapack_driver="gesvd", **OVER_A),
    of(sla.svdvals, TALL, **OVER_A),
    of(sla.solve_toeplitz, c, b4, called=sla.solve_toeplitz if SCIPY >= (1, 15) else toeplitz_solved, **CHECKED),
    of(sla.matmul_toeplitz, c, b4, check_finite=True, workers=2),
    of(sla.solve_circulant, c, b4, singular="lstsq", tol=1e-9, caxis=0, baxis=-1, outaxis=-1),
]


def kron(a: Any, b: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return sla.kron(a, b)


if hasattr(sla, "kron"):  # before SciPy 1.17
    DROP_INS.append(of(sla.kron, A, B, called=kron))
