"""What ``scipy.sparse.linalg`` finds by iteration is differentiated by its equations: held against dense matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as sl

import dualdiff as dd
from dualdiff.errors import DegenerateError, DerivativeError, SingularSolutionError, UnsupportedFunctionError

RNG = np.random.default_rng(0)
TALL, WIDE, RIGHT = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 5)), RNG.normal(size=5)
OPTIONS = {"atol": 1e-14, "btol": 1e-14}
N = 6
START = np.ones(N)
P = np.array([1.0, 0.4])
GENERAL = RNG.normal(size=(N, N))
BLOCK = np.random.default_rng(3).random((N, 1))


def _bands(p: Any) -> Any:
    ones = np.ones(N - 1)
    return sp.diags_array([p[0] * np.arange(1.0, N + 1) ** 1.5, p[1] * ones, p[1] * ones], offsets=[0, 1, -1]).tocsr()


def _full(p: Any) -> Any:
    return _bands(p).toarray()


def _mass(p: Any) -> Any:
    return sp.diags_array(1 + p[1] * np.arange(1.0, N + 1)).tocsc()


def _as_functions(p: Any) -> Any:
    return sl.LinearOperator((N, N), matvec=lambda x: _bands(p) @ x, rmatvec=lambda x: _bands(p) @ x)


class _Bands(sl.LinearOperator):
    def __init__(self, p: Any) -> None:
        self.p = p
        super().__init__(np.dtype(float), (N, N))

    def _matvec(self, x: Any) -> Any:
        return _bands(self.p) @ x


def _near(a: Any, b: Any) -> Any:
    """Return the combination of both of least length from a start."""
    return np.linalg.pinv(a) @ b


def _stacked(a: Any, d: Any) -> Any:
    return np.concatenate([a, d * np.eye(a.shape[1])])


def _sides(b: Any, d: Any, x0: Any) -> Any:
    return np.concatenate([b, d * x0])


SAME = {
    "lsqr by the right side": (
        lambda b: sl.lsqr(sp.csr_array(TALL), b, **OPTIONS)[0],
        lambda b: np.linalg.lstsq(TALL, b)[0],
        RIGHT,
    ),
    "lsqr by the matrix": (lambda a: sl.lsqr(a, RIGHT, **OPTIONS)[0], lambda a: _near(a, RIGHT), TALL),
    "lsqr of fewer equations": (lambda a: sl.lsqr(a, RIGHT[:3], **OPTIONS)[0], lambda a: _near(a, RIGHT[:3]), WIDE),
    "lsqr from a start": (
        lambda x: sl.lsqr(WIDE, RIGHT[:3], x0=x, **OPTIONS)[0],
        lambda x: x + _near(WIDE, RIGHT[:3] - WIDE @ x),
        RIGHT,
    ),
    "lsqr with damping": (
        lambda d: sl.lsqr(TALL, RIGHT, damp=d, x0=np.ones(3), **OPTIONS)[0],
        lambda d: _near(_stacked(TALL, d), _sides(RIGHT, d, np.ones(3))),
        0.7,
    ),
    "lsqr's norms": (
        lambda b: np.stack([sl.lsqr(TALL, b, **OPTIONS)[k] for k in (3, 8)]),
        lambda b: np.stack([np.linalg.norm(b - TALL @ _near(TALL, b)), np.linalg.norm(_near(TALL, b))]),
        RIGHT,
    ),
    "lsmr with damping": (
        lambda a: sl.lsmr(a, RIGHT, damp=0.3, **OPTIONS)[0],
        lambda a: _near(_stacked(a, 0.3), np.concatenate([RIGHT, np.zeros(3)])),
        TALL,
    ),
    "eigsh of entries": (
        lambda p: sl.eigsh(_bands(p), k=2, v0=START)[0],
        lambda p: np.linalg.eigvalsh(_full(p))[-2:],
        P,
    ),
    "eigsh alone, about a shift": (
        lambda p: sl.eigsh(_bands(p), k=2, sigma=0, v0=START, return_eigenvectors=False),
        lambda p: np.linalg.eigvalsh(_full(p))[:2],
        P,
    ),
    "eigsh with a mass": (
        lambda p: sl.eigsh(_bands(p), k=2, M=_mass(p), v0=START)[1] ** 2,
        lambda p: scipy.linalg.eigh(_full(p), _mass(p).toarray())[1][:, -2:] ** 2,
        P,
    ),
    "eigsh of functions": (
        lambda p: sl.eigsh(_as_functions(p), k=2, v0=START)[0],
        lambda p: np.linalg.eigvalsh(_full(p))[-2:],
        P,
    ),
    "lobpcg": (
        lambda p: sl.lobpcg(_bands(p), BLOCK, largest=False, tol=1e-10, maxiter=200)[0],
        lambda p: np.linalg.eigvalsh(_full(p))[:1],
        P,
    ),
    "lobpcg with a mass": (
        lambda p: sl.lobpcg(_bands(p), BLOCK, B=_mass(p), tol=1e-10, maxiter=200)[1] ** 2,
        lambda p: scipy.linalg.eigh(_full(p), _mass(p).toarray())[1][:, -1:] ** 2,
        P,
    ),
    "eigs": (
        lambda a: np.abs(np.sort_complex(sl.eigs(a, k=2, v0=START, return_eigenvectors=False))),
        lambda a: np.abs(np.sort_complex(_largest(np.linalg.eigvals(a), 2))),
        GENERAL,
    ),
    "eigs' real vectors": (
        lambda p: np.abs(sl.eigs(_bands(p), k=2, v0=START)[1]).sum(axis=1),
        lambda p: np.abs(np.linalg.eigh(_full(p))[1][:, -2:]).sum(axis=1),
        P,
    ),
    "svds": (lambda a: _low(*sl.svds(a, k=2, v0=np.ones(3))), lambda a: _low(*np.linalg.svd(a, False), 2), TALL),
    "svds alone": (
        lambda a: sl.svds(a, k=2, v0=np.ones(3), return_singular_vectors=False),
        lambda a: np.linalg.svd(a, compute_uv=False)[1::-1],
        TALL,
    ),
    "expm_multiply": (
        lambda p: sl.expm_multiply(_bands(p) * 0.3, START * p[0]),
        lambda p: scipy.linalg.expm(_full(p) * 0.3) @ (START * p[0]),
        P,
    ),
    "expm_multiply at several times": (
        lambda p: sl.expm_multiply(_bands(p), np.eye(N)[:, :2], start=-0.1, stop=0.1, num=3),
        lambda p: np.stack([scipy.linalg.expm(_full(p) * t)[:, :2] for t in (-0.1, 0.0, 0.1)]),
        P,
    ),
    "cg of functions": (
        lambda p: sl.cg(_as_functions(p), START * p[1], rtol=1e-13)[0],
        lambda p: np.linalg.solve(_full(p), START * p[1]),
        P,
    ),
    "gmres of a class": (
        lambda p: sl.gmres(_Bands(p), START, rtol=1e-13)[0],
        lambda p: np.linalg.solve(_full(p), START),
        P,
    ),
    "an operator applied": (
        lambda p: _as_functions(p) @ START + _as_functions(p).matvec(p[0] * START) + _as_functions(p).rmatvec(START),
        lambda p: _full(p) @ (START * (2 + p[0])),
        P,
    ),
}


def _largest(w: Any, k: int) -> Any:
    return w[np.argsort(-np.abs(w))[:k]]


def _low(u: Any, s: Any, vh: Any, k: Any = None) -> Any:
    return (u[:, :k] * s[:k]) @ vh[:k]


@pytest.mark.parametrize(("f", "dense", "x"), SAME.values(), ids=SAME)
def test_as_of_a_dense_matrix(f: Any, dense: Any, x: Any) -> None:
    wanted = dd.jacobian(dense)(x)
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(dd.jacobian(f, mode=mode)(x), wanted, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(f(x), dense(x), rtol=1e-8, atol=1e-9)


def test_second_derivatives() -> None:
    lowest = lambda p: sl.eigsh(_bands(p), k=1, sigma=0, v0=START)[0][0]  # noqa: E731
    np.testing.assert_allclose(
        dd.hessian(lowest)(P), dd.hessian(lambda p: np.linalg.eigvalsh(_full(p))[0])(P), rtol=1e-6, atol=1e-8
    )
    length = lambda b: np.sum(sl.lsqr(TALL, b, **OPTIONS)[0] ** 3)  # noqa: E731
    np.testing.assert_allclose(
        dd.hessian(length)(RIGHT), dd.hessian(lambda b: np.sum(_near(TALL, b) ** 3))(RIGHT), rtol=1e-6, atol=1e-8
    )


def test_what_has_no_derivative_raises() -> None:
    twice = sp.diags_array([1.0, 2.0, 3.0, 3.0, 5.0, 5.0]).tocsr()
    with pytest.raises(DegenerateError, match="equal values"):
        dd.jacobian(lambda p: sl.eigsh(twice * p, k=2, v0=START)[0])(2.0)
    with pytest.raises(UnsupportedFunctionError, match="lobpcg with constraints Y"):
        dd.jacobian(lambda p: sl.lobpcg(_bands(p), BLOCK, Y=BLOCK + 1)[0])(P)
    with pytest.raises(UnsupportedFunctionError, match="histories"):
        dd.jacobian(lambda p: sl.lobpcg(_bands(p), BLOCK, retLambdaHistory=True)[0])(P)
    flat = np.outer(RIGHT, np.ones(3))
    with pytest.raises(SingularSolutionError):
        dd.jacobian(lambda b: sl.lsqr(flat, b, **OPTIONS)[0])(RIGHT)
    with pytest.raises(UnsupportedFunctionError, match="norm of the matrix"):
        dd.jacobian(lambda b: sl.lsqr(TALL, b)[5] * 2.0)(RIGHT)
    with pytest.raises(UnsupportedFunctionError, match="up to a phase"):
        dd.jacobian(lambda p: abs(sl.eigs(np.diag([1.0, 2, 1], 1) - np.diag([3.0, p, p], -1), k=1)[1]))(2.0)
    plain = sl.LinearOperator((N, N), matvec=lambda x: _full(P) @ x, dtype=float)
    with pytest.raises(DerivativeError, match="rmatvec"):
        dd.jacrev(lambda b: sl.gmres(plain, b)[0])(START)
