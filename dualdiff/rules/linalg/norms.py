"""Norms of vectors and matrices, and what is asked of them: condition and rank."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from dualdiff.kinds import General, Sweep
from dualdiff.kinds.kinks import Kink
from dualdiff.register import Facts, composite
from dualdiff.rules.discrete import asks
from dualdiff.rules.elementwise import over, unsupported
from dualdiff.rules.extrema import max_of, min_of
from dualdiff.rules.folding import along_axes, axes_of, expand
from dualdiff.rules.letters import conj
from dualdiff.rules.linalg.singular_values import svdvals
from dualdiff.rules.linalg.solving import inv
from dualdiff.rules.sums import sum_of
from dualdiff.shapes import dtype_of, negative_axes, shape_of, size_of
from dualdiff.values import TRACED, bind, ndarray, number, operand


def _norm2(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    if type(x) is ndarray and len(axis) == x.ndim and not keepdims and x.dtype.kind == "f":
        v = x.ravel(order="K")
        return np.sqrt(v.dot(v))
    squares = (np.conjugate(x) * x).real if dtype_of(x).kind == "c" else x * x
    return np.sqrt(np.sum(squares, axis=axis, keepdims=keepdims))


def _norm2_push(sweep: Sweep, ts: Any, out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    c = ts[0] * conj(x)
    total = np.sum(np.real(c) if dtype_of(x).kind == "c" else c, axis=axis, keepdims=keepdims)
    return over(total, out)


def _norm2_pull(sweep: Sweep, g: Any, out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return (expand(over(g, out), shape_of(x), axis, keepdims) * x,)


norm2_ = General("np.linalg.norm", _norm2, _norm2_push, _norm2_pull, joins=along_axes)
_SMOOTH = "np.sqrt(x @ x + eps**2) is smooth; the square np.linalg.norm(x)**2 has a derivative, and so has x @ x"
norm2_.kink = Kink(lambda y, _x, **_params: np.abs(y), "0", _SMOOTH)


def _pnorm(x: Any, *, axis: tuple[int, ...], keepdims: bool, p: float) -> Any:
    return np.sum(np.abs(x) ** p, axis=axis, keepdims=keepdims) ** (1 / p)


def _pnorm_partial(x: Any, out: Any, axis: tuple[int, ...], keepdims: bool, p: float) -> Any:
    """Return sign(x)·(|x|/norm)^(p-1), and 0 where the entry or the norm is 0."""
    y = expand(out, shape_of(x), axis, keepdims)
    size = np.abs(x)
    if p > 1:
        return np.sign(x) * over(size, y) ** (p - 1)
    zero = np.logical_or(np.equal(size, 0), np.equal(y, 0))
    ratio = np.where(zero, 1.0, size) / np.where(np.equal(y, 0), 1.0, y)
    return np.where(zero, over(size, np.minimum(size, y)), np.sign(x) * ratio ** (p - 1))


def _pnorm_push(sweep: Sweep, ts: Any, out: Any, x: Any, *, axis: Any, keepdims: bool, p: float) -> Any:
    return np.sum(ts[0] * _pnorm_partial(x, out, axis, keepdims, p), axis=axis, keepdims=keepdims)


def _pnorm_pull(sweep: Sweep, g: Any, out: Any, x: Any, *, axis: Any, keepdims: bool, p: float) -> Any:
    return (expand(g, shape_of(x), axis, keepdims) * _pnorm_partial(x, out, axis, keepdims, p),)


pnorm_ = General("np.linalg.norm", _pnorm, _pnorm_push, _pnorm_pull, joins=along_axes)
pnorm_.kink = Kink(
    lambda y, x, *, axis, keepdims, p: np.abs(y) if p > 1 else np.min(np.abs(x), axis=axis, keepdims=keepdims),
    "0",
    _SMOOTH,
)


@lru_cache(maxsize=1)
def _nothing_has_a_norm() -> bool:
    """Whether the largest of no entries is 0 to this NumPy's norms, as to newer ones, and no error."""
    try:
        return bool(np.linalg.norm(np.zeros(0), np.inf) == 0)
    except ValueError:
        return False


def _largest(x: Any) -> Callable[..., Any]:
    """Return what folds entries to the largest of them; none at all add up to 0."""
    return sum_of if not size_of(shape_of(x)) and _nothing_has_a_norm() else max_of


def _check_order(order: Any) -> None:
    if type(order) in TRACED:
        raise unsupported("np.linalg.norm", ["ord"], "np.sum(np.abs(x) ** p) ** (1 / p) for a differentiated order")


def _vector_norm(x: Any, order: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    _check_order(order)
    params = {"axis": axis, "keepdims": keepdims}
    if order is None or order == 2:
        return bind(norm2_, (x,), params)
    if order == math.inf:
        return _largest(x)(np.abs(x), **params)
    if order == -math.inf:
        return min_of(np.abs(x), **params)
    if order == 0:
        return sum_of(np.not_equal(x, 0).astype(np.dtype(dtype_of(x).char.lower())), **params)
    if order == 1:
        return sum_of(np.abs(x), **params)
    if isinstance(order, str):
        raise ValueError(f"Invalid norm order {order!r} for vectors")
    if dtype_of(x).kind == "c":
        x = np.abs(x)
    return bind(pnorm_, (x,), {**params, "p": float(order)})


def _matrix_norm(x: Any, order: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    _check_order(order)
    row, column = axes
    if order is None or order in ("fro", "f"):
        return bind(norm2_, (x,), {"axis": axes, "keepdims": keepdims})
    if order in (1, -1, math.inf, -math.inf):
        first, second = (row, column) if abs(order) == 1 else (column, row)
        pick = _largest(x) if order > 0 else min_of
        y = pick(sum_of(np.abs(x), first, keepdims=True), second, keepdims=True)
    elif order in (2, -2, "nuc"):
        s = svdvals(np.moveaxis(x, axes, (-2, -1)))
        fold: Callable[..., Any] = sum_of if order == "nuc" else _largest(s) if order == 2 else min_of
        # A singular value is an absolute value: at zero its derivative is taken as zero.
        y = fold(np.abs(s), axis=-1)
        shape = list(shape_of(x))
        shape[row] = shape[column] = 1
        return np.reshape(y, tuple(shape)) if keepdims else y
    else:
        raise ValueError(f"Invalid norm order {order!r} for matrices")
    return y if keepdims else number(np.squeeze(y, axis=axes))


def _as_float(x: Any) -> Any:
    x = operand(x)
    return x if dtype_of(x).kind in "fc" else x.astype(np.float64)


@composite(
    np.linalg.norm, status="general", domain="nonzero", facts=Facts(kinks=[norm2_.kink, np.absolute, np.max, np.min])
)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.linalg.norm`` of vectors and matrices; at 0 its derivative is 0, and ties share it evenly."""
    _check_order(ord)
    x = _as_float(x)
    n = len(shape_of(x))
    keepdims = bool(keepdims)
    if axis is None:
        if ord is None or (n == 1 and ord == 2) or (n == 2 and ord in ("f", "fro")):
            return bind(norm2_, (x,), axes_of(None, n, keepdims))
        axes = tuple(range(-n, 0))
    else:
        axes = negative_axes(axis, n)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, axes, keepdims)
    raise ValueError("Improper number of dimensions to norm.")


@composite(getattr(np.linalg, "vector_norm", None), domain="nonzero", facts=Facts(kinks=[np.linalg.norm]))
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """``np.linalg.vector_norm``."""
    x = _as_float(x)
    return _vector_norm(x, ord, negative_axes(axis, len(shape_of(x))), bool(keepdims))


@composite(getattr(np.linalg, "matrix_norm", None), domain="nonzero", facts=Facts(kinks=[np.linalg.norm]))
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """``np.linalg.matrix_norm``."""
    return _matrix_norm(_as_float(x), ord, (-2, -1), bool(keepdims))


@composite(np.linalg.cond, facts=Facts(kinks=[np.linalg.norm]))
def cond(x: Any, p: Any = None) -> Any:
    """``np.linalg.cond``."""
    x = operand(x)
    if len(shape_of(x)) < 2:
        raise np.linalg.LinAlgError("Array must be at least two-dimensional")
    if p in (None, 2, -2):
        s = svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return norm(x, p, axis=(-2, -1)) * norm(inv(x), p, axis=(-2, -1))


asks(1, np.linalg.matrix_rank)
