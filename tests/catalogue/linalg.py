"""Samples of linear algebra, with matrices that are well conditioned by construction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.catalogue.base import Sample, arrays

SAMPLES: list[Sample] = []


def add(name: str, function: Any, call: Callable[..., Any], *operands: Any, **options: Any) -> None:
    if function is not None:
        SAMPLES.append(Sample(name, function, call, st.tuples(*operands), **options))


def dominant(*shape: int, strength: float = 4.0) -> st.SearchStrategy[Any]:
    """Square matrices (or stacks) whose diagonal outweighs the rest, and differs along itself by more than that."""
    n = shape[-1]
    return arrays(shape, "unit").map(lambda x: x + 0.125 + strength * np.diag(np.arange(1.0, n + 1)))


def dense(m: int, n: int) -> st.SearchStrategy[Any]:
    """Matrices of full rank without a small entry, whose singular values stay apart."""
    base = np.array([[3.0, 1.0], [-1.0, 1.5], [1.0, 0.75]])
    return arrays((m, n), "unit").map(lambda x: 0.25 * x + (base[:m] if n == 2 else base.T[:, :n]))


def squares(*parts: Any) -> Any:
    """Square what is defined up to a sign (by which LAPACK's routines differ among precisions)."""
    return tuple([x * x for x in parts])


def symmetric(x: Any) -> Any:
    return x + np.conjugate(np.swapaxes(x, -1, -2))


def exponential(w: Any, v: Any) -> Any:
    return (v * np.exp(0.25 * w)) @ np.linalg.inv(v)


L = np.linalg
for s, t in [
    ((3, 3), (3,)),
    ((3, 3), (3, 2)),
    ((2, 3, 3), (2, 3, 1)),
    ((2, 2, 2), (2,)),
    ((2, 2), (3, 2, 2)),
    ((2, 2), (2, 2)),
]:
    add(f"solve {s} {t}", L.solve, L.solve, dominant(*s), arrays(t), complex=True)
add("inv", L.inv, L.inv, dominant(3, 3), complex=True)
add("inv of a stack", L.inv, L.inv, dominant(2, 2, 2))
add("tensorsolve", L.tensorsolve, lambda a, b: L.tensorsolve(a.reshape(2, 2, 4), b), dominant(4, 4), arrays((2, 2)))
add("tensorinv", L.tensorinv, lambda a: L.tensorinv(a.reshape(2, 2, 4), 2), dominant(4, 4))
add("det", L.det, L.det, dominant(3, 3), complex=True)
add("det of any matrix", L.det, L.det, arrays((3, 3)))
add("det of a stack", L.det, L.det, arrays((2, 2, 2)))
add("det of order 1", L.det, L.det, arrays((1, 1)))
add("slogdet", L.slogdet, lambda a: L.slogdet(a)[1], dominant(3, 3), complex=True)
add(
    "slogdet, the phase",
    L.slogdet,
    lambda a: L.slogdet(a + 1j * np.diag([1.0, 2.0]))[0],
    dominant(2, 2),
    complex=True,
    float32=False,
)
add("cholesky", L.cholesky, lambda a: L.cholesky(symmetric(a)), dominant(3, 3), complex=True)
add("cholesky of one triangle", L.cholesky, L.cholesky, dominant(3, 3))
add("cholesky of a stack", L.cholesky, lambda a: L.cholesky(symmetric(a)), dominant(2, 2, 2))
add("cholesky, upper", L.cholesky, lambda a: L.cholesky(a, upper=True), dominant(3, 3))

for order in (None, 1, 2, 3, 0.5, 2.5, -1, -2, np.inf, -np.inf):
    add(
        f"norm of a vector, {order}",
        L.norm,
        partial(L.norm, ord=order),
        arrays(4, "nonzero"),
        complex=order in (None, 2, 3),
    )
for order in (None, "fro", 1, -1, np.inf, -np.inf, 2, -2, "nuc"):
    add(f"norm of a matrix, {order}", L.norm, partial(L.norm, ord=order), dense(3, 2), complex=order in (None, 2))
add("norm along an axis", L.norm, partial(L.norm, axis=0, keepdims=True), arrays((3, 2), "nonzero"))
add("norm along an axis, inf", L.norm, partial(L.norm, axis=-1, ord=np.inf), arrays((3, 2), "nonzero"))
add("norm of a stack", L.norm, partial(L.norm, axis=(0, 2)), arrays((2, 3, 2), "nonzero"))
add("norm of a stack, 1", L.norm, partial(L.norm, axis=(2, 0), ord=1, keepdims=True), arrays((2, 3, 2), "nonzero"))
add("norm of everything", L.norm, L.norm, arrays((2, 1, 2), "nonzero"))
add("norm of order 0", L.norm, lambda x: x * L.norm(x, 0), arrays(3, "nonzero"))
if hasattr(L, "vector_norm"):
    add("vector_norm", L.vector_norm, partial(L.vector_norm, ord=3, axis=(0, 1)), arrays((2, 2, 2), "nonzero"))
    add("matrix_norm", L.matrix_norm, partial(L.matrix_norm, ord=1), arrays((2, 2, 2), "nonzero"))
add("cond", L.cond, L.cond, dominant(3, 3))
#: before, NumPy returns the condition of a complex matrix as a complex number
REAL = L.cond(np.eye(1, dtype=complex), 1).dtype.kind == "f"
add("cond, 1", L.cond, partial(L.cond, p=1), dominant(3, 3), complex=None if REAL else False)

for name, shape in [("tall", (3, 2)), ("wide", (2, 3)), ("square", (2, 2))]:
    matrices = dense(*shape)
    add(f"pinv, {name}", L.pinv, L.pinv, matrices, complex=True)
    add(f"svdvals, {name}", getattr(L, "svdvals", None), getattr(L, "svdvals", None), matrices, complex=True)
    add(f"svd, {name}", L.svd, lambda a: squares(*L.svd(a, full_matrices=False)), matrices)
    add(f"qr, {name}", L.qr, lambda a: squares(*L.qr(a)), matrices, complex=True)
    add(f"lstsq, {name}", L.lstsq, lambda a, b: L.lstsq(a, b[: len(a)], rcond=None)[0], matrices, arrays(3))
add(
    "svd of a complex matrix, put together again",
    L.svd,
    lambda a: L.svd(a, compute_uv=False),
    dense(3, 2),
    complex=True,
)
add("svd with all vectors", L.svd, lambda a: squares(*L.svd(a)), dense(3, 2))
add("svd with all vectors, wide", L.svd, lambda a: squares(*L.svd(a)), dense(2, 3))
# In which order they stand depends on the values, which an array that refuses coercion does not show.
add(
    "svd of a symmetric matrix",
    L.svd,
    lambda a: squares(*L.svd(symmetric(a), hermitian=True)),
    dominant(3, 3),
    duck=False,
)
add("pinv of a symmetric matrix", L.pinv, lambda a: L.pinv(a, hermitian=True), dominant(3, 3), complex=True)
add("residual of lstsq", L.lstsq, lambda a, b: L.lstsq(a, b, rcond=None)[1], dense(3, 2), arrays((3, 2)))
add("qr, complete", L.qr, lambda a: squares(*L.qr(a, mode="complete")), dense(3, 2))
add("qr, only r", L.qr, lambda a: squares(L.qr(a, mode="r")), dense(3, 2))
add("eigh", L.eigh, lambda a: squares(*L.eigh(a)), dominant(3, 3))
add("eigh, upper", L.eigh, lambda a: squares(*L.eigh(a, "U")), dominant(2, 2, 2))
add("eigvalsh", L.eigvalsh, lambda a: L.eigvalsh(symmetric(a)), dominant(3, 3), complex=True)
# Eigenvalues come in an order that LAPACK's routines need not share among precisions.
add("eig", L.eig, lambda a: squares(*L.eig(a)), dominant(3, 3), float32=False)
add("eig, put together again", L.eig, lambda a: exponential(*L.eig(a)), dominant(2, 2), float32=False)
add("eigvals", L.eigvals, lambda a: np.sort(L.eigvals(a)), dominant(3, 3))
add(
    "eigvals, complex pairs",
    L.eigvals,
    lambda a: np.sum(np.abs(L.eigvals(a + np.array([[0, 9], [-9, 0]]))) ** 3),
    dominant(2, 2),
    float32=False,
)
add("matrix_rank", L.matrix_rank, lambda a: L.matrix_rank(a) * np.sum(a), dense(3, 2))
