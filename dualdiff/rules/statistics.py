"""Covariance and correlation, and counts with weights."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.kinds import scatter_add
from dualdiff.register import composite
from dualdiff.rules.folding import converted, flat
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import TRACED, fixed, operand


@composite(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """``np.cov``."""
    x = operand(m)
    if dtype is None:
        dtype = np.result_type(dtype_of(x), np.float64, *([] if y is None else [dtype_of(operand(y))]))
    x = converted(x, dtype)
    if len(shape_of(x)) > 2:
        raise ValueError("m has more than 2 dimensions")
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    turned = not rowvar and len(shape_of(x)) == 2 and shape_of(x)[0] == 1 and _turns_one_row()
    x = x.T if turned else _as_rows(x, rowvar)
    if shape_of(x)[0] == 0:
        return np.array([]).reshape(0, 0)
    if y is not None:
        y = operand(y)
        if len(shape_of(y)) > 2:
            raise ValueError("y has more than 2 dimensions")
        x = np.concatenate([x, _as_rows(converted(y, dtype), rowvar)], axis=0)
    if ddof is None:
        ddof = 0 if bias else 1
    w: Any = None
    if fweights is not None:
        w = _weights(fweights, "fweights", shape_of(x)[1])
    if aweights is not None:
        aweights = _weights(aweights, "aweights", shape_of(x)[1])
        w = aweights if w is None else w * aweights
    if w is None:
        total: Any = shape_of(x)[1]
        mean = np.mean(x, axis=1, keepdims=True)
        free: Any = total - ddof
    else:
        total = np.sum(w)
        if total == 0:
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        mean = np.sum(x * w, axis=1, keepdims=True) / total
        if ddof == 0:
            free = total
        elif aweights is None:
            free = total - ddof
        else:
            free = total - ddof * np.sum(w * aweights) / total
        free = np.where(np.less_equal(free, 0), 0.0, free)
    d = x - mean
    c = np.matmul(d if w is None else d * w, np.conjugate(d).T)
    c = c * (1 / free if type(free) is not int else np.true_divide(1, max(free, 0)).item())
    return np.squeeze(c)


def _weights(w: Any, name: str, n: int) -> Any:
    """Return the weights of a covariance, held against what NumPy asks of them."""
    w = operand(w)
    if name == "fweights" and not np.all(np.equal(w, np.round(w))):
        raise TypeError("fweights must be integer")
    if len(shape_of(w)) > 1:
        raise RuntimeError(f"cannot handle multidimensional {name}")
    if shape_of(w) != (n,):
        raise RuntimeError(f"incompatible numbers of samples and {name}")
    if np.any(np.less(w, 0)):
        raise ValueError(f"{name} cannot be negative")
    return w


@lru_cache(maxsize=1)
def _turns_one_row() -> bool:
    """Whether this NumPy takes a single row with variables in columns for one observation of several, as newer ones do."""
    return bool(np.ndim(np.cov(np.array([[1.0, 2.0]]), rowvar=False, ddof=0)))


def _as_rows(x: Any, rowvar: bool) -> Any:
    shape = shape_of(x)
    if len(shape) < 2:
        return np.reshape(x, (1, size_of(shape)))
    return x if rowvar or shape[0] == 1 else x.T


@composite(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """``np.corrcoef``."""
    c = cov(x, y, rowvar, dtype=dtype)
    if not shape_of(c):
        return c / c
    spread_ = np.sqrt(np.real(np.diagonal(c)))
    c = c / spread_[:, None] / spread_[None, :]
    if dtype_of(c).kind == "c":
        return c
    return np.where(np.greater(c, 1), 1.0, np.where(np.less(c, -1), -1.0, c))


@composite(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """``np.bincount``: linear in its weights."""
    x = operand(x)
    if dtype_of(x).kind not in "biu":
        raise TypeError("Cannot cast array data from a floating-point dtype to an integer according to the rule 'safe'")
    at = np.array(fixed(x))
    counts = np.bincount(at, minlength=minlength)
    if weights is None:
        return counts
    w = operand(weights)
    if shape_of(w) != at.shape:
        raise ValueError("The weights and list don't have the same length.")
    return scatter_add(converted(w, np.float64), position=at, size=counts.size)


@composite(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """``np.histogram`` of plain data: linear in its weights."""
    for what in (a, bins):
        if type(what) in TRACED and dtype_of(what).kind not in "biu":
            raise UnsupportedFunctionError(
                f"{where()}: np.histogram counts, so its derivative by the data or the edges is zero wherever it "
                "exists. Only weights= can be differentiated; if a constant is meant, pass dd.stop_gradient(x)."
            )
    data = np.asarray(fixed(a)).reshape(-1)
    edges = np.histogram_bin_edges(data, fixed(bins), range)
    w = np.ones(data.shape, np.intp) if weights is None else flat(operand(weights))
    if shape_of(w) != data.shape:
        raise ValueError("weights should have the same shape as a.")
    at = np.searchsorted(edges, data, side="right")
    at[data == edges[-1]] = edges.size - 1  # the last bin holds its right edge
    n = scatter_add(w, position=np.where(at == edges.size, 0, at), size=edges.size)[..., 1:]
    if density:
        n = n / np.diff(edges) / np.sum(n)
    return n, edges
