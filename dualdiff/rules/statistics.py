"""Covariance and correlation, and counts with weights."""

from __future__ import annotations

import builtins
from functools import lru_cache
from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.kinds import Discrete, scatter_add
from dualdiff.register import REAL_ONLY, Facts, composite
from dualdiff.rules.folding import converted, flat
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import bind, contains_traced, fixed, operand


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
    w = np.real(operand(w))  # as NumPy takes them, with a warning
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


@composite(np.bincount, facts=Facts(REAL_ONLY))
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
    _counts("np.histogram", a, bins, range)
    data = np.asarray(fixed(a)).reshape(-1)
    edges = np.histogram_bin_edges(data, fixed(bins), fixed(range))
    w = np.ones(data.shape, np.intp) if weights is None else flat(operand(weights))
    if shape_of(w) != data.shape:
        raise ValueError("weights should have the same shape as a.")
    n = scatter_add(w, position=_bin_of(data, edges) % edges.size, size=edges.size)[..., 1:]
    if density:
        n = n / np.diff(edges) / np.sum(n)
    return n, edges


def _counts(name: str, *given: Any) -> None:
    """Raise if the data or the edges of a histogram are being differentiated."""
    for what in given:
        if contains_traced(what) and dtype_of(operand(what)).kind not in "biu":
            raise UnsupportedFunctionError(
                f"{where()}: {name} counts, so its derivative by the data or the edges is zero wherever it "
                "exists. Only weights= can be differentiated; if a constant is meant, pass dd.stop_gradient(x)."
            )


def _bin_of(data: Any, edges: Any) -> Any:
    """Return one plus the number of the bin of every datum: 0 before the first, ``edges.size`` after the last."""
    at = np.searchsorted(edges, data, side="right")
    at[data == edges[-1]] = edges.size - 1  # the last bin holds its right edge
    return at


@composite(np.histogramdd, facts=Facts(REAL_ONLY))
def histogramdd(sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """``np.histogramdd`` of plain data: linear in its weights."""
    _counts("np.histogramdd", sample, range, *(bins if isinstance(bins, (list, tuple)) else (bins,)))
    return _histogramdd(fixed(sample), fixed(bins), fixed(range), density, weights)


def _histogramdd(sample: Any, bins: Any, range: Any, density: Any, weights: Any) -> Any:
    counts, edges = np.histogramdd(sample, bins, range)
    if weights is None:
        return np.histogramdd(sample, edges, density=density)
    columns = np.asarray(sample).T if hasattr(sample, "shape") else sample
    data = np.atleast_2d(np.asarray(columns))
    w = converted(operand(weights), np.float64)
    if shape_of(w) != data.shape[1:]:
        raise ValueError("The weights and list don't have the same length.")
    at = [_bin_of(x, e) for x, e in zip(data, edges, strict=True)]
    inside = np.logical_and.reduce([(i > 0) & (i < e.size) for i, e in zip(at, edges, strict=True)])
    place = np.ravel_multi_index([np.where(inside, i - 1, 0) for i in at], counts.shape)
    # What is outside goes into a place of its own at the front, which is then dropped.
    n = scatter_add(w, position=np.where(inside, place + 1, 0), size=counts.size + 1)
    n = np.reshape(n[1:], counts.shape)
    if density:
        total = np.sum(n)
        for i, e in enumerate(edges):
            n = n / np.reshape(np.diff(e), [-1 if j == i else 1 for j in builtins.range(len(edges))])
        n = n / total
    return n, edges


@composite(np.histogram2d, facts=Facts(REAL_ONLY))
def histogram2d(x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """``np.histogram2d`` of plain data: linear in its weights."""
    _counts("np.histogram2d", x, y, range, *(bins if isinstance(bins, (list, tuple)) else (bins,)))
    x, y, bins = fixed(x), fixed(y), fixed(bins)
    if len(x) != len(y):
        raise ValueError("x and y must have the same length.")
    if hasattr(bins, "__len__") and len(bins) not in (1, 2):
        bins = [np.asarray(bins), np.asarray(bins)]  # one list of edges for both
    n, edges = _histogramdd([x, y], bins, fixed(range), density, weights)
    return n, edges[0], edges[1]


_count_of_edges = Discrete(
    "np.histogram_bin_edges",
    lambda x, *ends, bins: np.asarray(len(np.histogram_bin_edges(x, bins, ends or None))),
)


@composite(np.histogram_bin_edges, facts=Facts(kinks=[np.max, np.min]))
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """``np.histogram_bin_edges``: they move with the least and the greatest datum; their number is piecewise constant."""
    if not isinstance(bins, str) and len(shape_of(operand(bins))) == 1:
        edges = operand(bins)
        if bool(np.any(np.greater(edges[:-1], edges[1:]))):
            raise ValueError("`bins` must increase monotonically, when an array")
        return edges
    if isinstance(bins, str) and weights is not None:
        raise TypeError("Automated estimation of the number of bins is not supported for weighted data")
    x = flat(operand(a))
    ends = () if range is None else tuple(map(operand, range))
    count = int(bind(_count_of_edges, (x, *ends), {"bins": bins if isinstance(bins, str) else fixed(bins)}))
    if ends:
        first, last = ends
    elif size_of(shape_of(x)):
        first, last = np.min(x), np.max(x)
    else:
        first, last = 0.0, 1.0
    if bool(np.equal(first, last)):
        first, last = first - 0.5, last + 0.5
    kind = np.result_type(dtype_of(first), dtype_of(last), dtype_of(x))
    return np.linspace(first, last, count, dtype=kind if kind.kind == "f" else np.result_type(kind, float))
