"""Matrices made of vectors and of blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.rules.letters import conj
from dualdiff.rules.linalg.bands import toeplitz_of
from dualdiff.scipy.linalg.arguments import ROOM, over_stacks
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import operand, raw


def _vector(x: Any) -> Any:
    return np.atleast_1d(operand(x))


@ROOM.function("toeplitz", kind="movement")
@over_stacks(c=1, r=1)
def toeplitz(c: Any, r: Any = None) -> Any:
    """``scipy.linalg.toeplitz``."""
    c = _vector(c)
    r = conj(c) if r is None else _vector(r)
    return toeplitz_of(np.concatenate([r[:0:-1], c]), shape_of(c)[0], shape_of(r)[0])


@ROOM.function("circulant", kind="movement")
def circulant(c: Any) -> Any:
    """``scipy.linalg.circulant``."""
    c = _vector(c)
    n = shape_of(c)[-1]
    return np.take(c, (np.arange(n)[:, None] - np.arange(n)) % max(n, 1), axis=-1)


@ROOM.function("hankel", kind="movement")
def hankel(c: Any, r: Any = None) -> Any:
    """``scipy.linalg.hankel``."""
    c = np.ravel(operand(c))
    r = np.zeros_like(c) if r is None else np.ravel(operand(r))
    at = np.arange(shape_of(c)[0])[:, None] + np.arange(shape_of(r)[0])
    return np.take(np.concatenate([c, r[1:]]), at)


@ROOM.function("block_diag", kind="movement")
def block_diag(*arrs: Any) -> Any:
    """``scipy.linalg.block_diag``."""
    blocks = [np.atleast_2d(operand(a)) for a in arrs]
    stack = np.broadcast_shapes(*[shape_of(a)[:-2] for a in blocks])
    dtype = np.result_type(*[dtype_of(a) for a in blocks])
    width, column = sum(shape_of(a)[-1] for a in blocks), 0
    rows = []
    for a in blocks:
        m, n = shape_of(a)[-2:]
        left, right = (np.zeros((*stack, m, k), dtype) for k in (column, width - column - n))
        rows.append(np.concatenate([left, np.broadcast_to(a, (*stack, m, n)), right], axis=-1))
        column += n
    return np.concatenate(rows, axis=-2)


@ROOM.function("khatri_rao", kind="multilinear")
@over_stacks(a=2, b=2)
def khatri_rao(a: Any, b: Any) -> Any:
    """``scipy.linalg.khatri_rao``."""
    a, b = operand(a), operand(b)
    if len(shape_of(a)) != 2 or len(shape_of(b)) != 2:
        raise ValueError("The both arrays should be 2-dimensional.")
    if shape_of(a)[1] != shape_of(b)[1]:
        raise ValueError("The number of columns for both arrays should be equal.")
    return np.reshape(a[:, None, :] * b, (shape_of(a)[0] * shape_of(b)[0], shape_of(a)[1]))


@ROOM.function("kron", kind="multilinear")
def kron(a: Any, b: Any) -> Any:
    """``scipy.linalg.kron``, which SciPy has no more."""
    return np.kron(operand(a), operand(b))


@ROOM.function("diagsvd", kind="movement")
@over_stacks(s=1)
def diagsvd(s: Any, M: int, N: int) -> Any:
    """``scipy.linalg.diagsvd``."""
    s = operand(s)
    if shape_of(s)[0] not in (M, N):
        raise ValueError("Length of s must be M or N.")
    return s * np.eye(M, N, dtype=dtype_of(s)) if shape_of(s)[0] == N else s[:, None] * np.eye(M, N, dtype=dtype_of(s))


@ROOM.function("leslie", kind="movement")
@over_stacks(f=1, s=1)
def leslie(f: Any, s: Any) -> Any:
    """``scipy.linalg.leslie``."""
    f, s = _vector(f), _vector(s)
    n = shape_of(f)[0]
    if n != shape_of(s)[0] + 1:
        raise ValueError(
            "Incorrect lengths for f and s. The length of s along the last axis must be one less than the length of f."
        )
    if n < 2:
        raise ValueError("The length of s must be at least 1.")
    below = np.concatenate([s[:, None] * np.eye(n - 1, dtype=dtype_of(s)), np.zeros((n - 1, 1), dtype_of(s))], axis=1)
    return np.concatenate([f[None, :], below])


@ROOM.function("companion", domain="nonzero")
def companion(a: Any) -> Any:
    """``scipy.linalg.companion``."""
    a = _vector(a)
    n = shape_of(a)[-1]
    if n < 2:
        raise ValueError("The length of `a` along the last axis must be at least 2.")
    if np.any(np.equal(raw(a)[..., 0], 0)):
        raise ValueError("The first coefficient(s) of `a` (i.e. elements of `a[..., 0]`) must not be zero.")
    first = -a[..., 1:] / (1.0 * a[..., :1])
    rest = np.eye(n - 2, n - 1, dtype=dtype_of(first))
    return np.concatenate([first[..., None, :], np.broadcast_to(rest, (*shape_of(a)[:-1], n - 2, n - 1))], axis=-2)


@ROOM.function("fiedler")
def fiedler(a: Any) -> Any:
    """``scipy.linalg.fiedler``: the distances of numbers."""
    a = _vector(a)
    if not size_of(shape_of(a)):
        return np.zeros(0)
    if size_of(shape_of(a)) == 1:
        return np.zeros((1, 1))
    return np.abs(a[..., :, None] - a[..., None, :])


@ROOM.function("fiedler_companion", domain="nonzero")
@over_stacks(a=1)
def fiedler_companion(a: Any) -> Any:
    """``scipy.linalg.fiedler_companion``."""
    a = _vector(a)
    size = shape_of(a)[0]
    if size < 2:
        return np.zeros(0, dtype_of(a))
    if raw(a)[0] == 0:
        raise ValueError("Leading coefficient is zero.")
    a = a / a[0]
    n = size - 1
    if n == 1:
        return np.reshape(-a[1], (1, 1))
    # Column by column: which coefficient an entry is the negative of (0 for none), and where it is 1.
    at, ones = np.zeros((n, n), int), np.zeros((n, n))
    ones[range(3, n, 2), range(1, n - 2, 2)] = 1.0
    at[range(2, n, 2), range(1, n - 1, 2)] = range(3, size, 2)
    ones[range(0, n - 2, 2), range(2, n, 2)] = 1.0
    at[range(0, n - 1, 2), range(1, n, 2)] = range(2, size, 2)
    at[0, 0], ones[1, 0] = 1, 1.0
    return ones.astype(dtype_of(a)) - np.where(at > 0, np.take(a, at), 0.0)


@ROOM.function("convolution_matrix", kind="movement")
@over_stacks(a=1)
def convolution_matrix(a: Any, n: int, mode: str = "full") -> Any:
    """``scipy.linalg.convolution_matrix``."""
    if n <= 0:
        raise ValueError("n must be a positive integer.")
    a = operand(a)
    m = size_of(shape_of(a))
    if not m:
        raise ValueError("len(a) must be at least 1.")
    if mode not in ("full", "valid", "same"):
        raise ValueError("'mode' argument must be one of ('full', 'valid', 'same')")
    trim = min(n, m) - 1
    first = {"full": 0, "same": trim // 2, "valid": trim}[mode]
    rows = {"full": m + n - 1, "same": max(m, n), "valid": max(m, n) - trim}[mode]
    at = np.arange(first, first + rows)[:, None] - np.arange(n)
    inside = (at >= 0) & (at < m)
    return np.where(inside, np.take(a, np.where(inside, at, 0)), np.zeros_like(a[:1]))
