"""Polynomials given by their coefficients, the highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.register import composite, register
from dualdiff.rules.elementwise import unsupported
from dualdiff.rules.folding import flat
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import fixed, operand


@composite(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """``np.polyval``, by Horner's rule."""
    p, x = operand(np.asarray(p) if isinstance(p, np.poly1d) else p), operand(x)
    if isinstance(x, np.poly1d):
        raise unsupported("np.polyval", ["x"], "an array x")
    y = np.zeros_like(x)
    for n in range(len(p)):
        y = y * x + p[n]
    return y


def _at_least_1d(x: Any) -> Any:
    x = operand(np.asarray(x) if isinstance(x, np.poly1d) else x)
    return x if shape_of(x) else flat(x)


def _poly_sum(function: Any, sign: int) -> None:
    def handler(a1: Any, a2: Any) -> Any:
        a, b = _at_least_1d(a1), _at_least_1d(a2)
        m, n = len(a), len(b)
        if m < n:
            a = np.concatenate([np.zeros_like(a, shape=(n - m,)), a])
        elif n < m:
            b = np.concatenate([np.zeros_like(b, shape=(m - n,)), b])
        return a + b if sign > 0 else a - b

    register(function, "composite", handler)


_poly_sum(np.polyadd, 1)
_poly_sum(np.polysub, -1)


@composite(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """``np.polymul``."""
    return np.convolve(_at_least_1d(a1), _at_least_1d(a2))


@composite(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """``np.poly`` of roots, or of a matrix, whose eigenvalues they are."""
    roots = _at_least_1d(seq_of_zeros)
    shape = shape_of(roots)
    if len(shape) == 2 and shape[0] == shape[1] != 0:
        roots = np.linalg.eigvals(roots)
    elif len(shape) != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    y = np.ones_like(roots, shape=(1,))
    for n in range(len(roots)):
        y = np.concatenate([y, np.zeros_like(y, shape=(1,))]) - np.concatenate(
            [np.zeros_like(y, shape=(1,)), y * roots[n]]
        )
    if dtype_of(y).kind == "c" and _are_paired(roots):
        return np.real(y)
    return y


def _are_paired(roots: Any) -> bool:
    """Whether every root has its conjugate beside it, as often as it is there. Sorting would put kinks where there are none."""
    conjugates = np.sum(np.equal(roots[:, np.newaxis], np.conjugate(roots)), axis=1)
    equal = np.sum(np.equal(roots[:, np.newaxis], roots), axis=1)
    return bool(np.all(np.logical_and(np.equal(conjugates, equal), np.greater(conjugates, 0))))  # no NaN has


@composite(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    """``np.polyder``."""
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    p = _at_least_1d(p)
    for _ in range(m):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


@composite(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """``np.polyint``."""
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    constants = _at_least_1d(0.0 if k is None else k)
    if len(constants) == 1 and m > 1:
        constants = np.concatenate([constants] * m)
    if len(constants) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    p = _at_least_1d(p)
    for n in range(m):
        p = np.concatenate([p / np.arange(len(p), 0, -1), np.reshape(constants[n], (1,))])
    return p


@composite(np.polydiv)
def polydiv(u: Any, v: Any) -> Any:
    """``np.polydiv``, by long division."""
    u, v = _at_least_1d(u) + 0.0, _at_least_1d(v) + 0.0
    m, n = len(u), len(v)
    scale = 1.0 / v[0]
    digits = []
    for _ in range(m - n + 1):
        d = scale * u[0]
        digits.append(d)
        u = np.concatenate([u[1:n] - d * v[1:], u[n:]])
    drop = 0  # NumPy drops the leading zeros of the rest
    while drop < len(u) - 1 and bool(np.isclose(u[drop], 0, rtol=1e-14)):
        drop += 1
    return np.stack(digits) if digits else np.zeros_like(v, shape=(1,)), u[drop:] if len(u) else np.zeros_like(
        v, shape=(1,)
    )


@composite(np.roots)
def roots(p: Any) -> Any:
    """``np.roots``: the eigenvalues of the companion matrix."""
    p = _at_least_1d(p)
    if len(shape_of(p)) != 1:
        raise ValueError("Input must be a rank-1 array.")
    (places,) = np.nonzero(fixed(np.not_equal(p, 0)))
    if not len(places):
        return np.array([])
    zeros = len(p) - 1 - places[-1]
    p = p[places[0] : places[-1] + 1]
    n = len(p) - 1
    if not n:
        return np.zeros(zeros)
    first = np.reshape(-p[1:] / p[0], (1, n))
    w = np.linalg.eigvals(np.concatenate([first, np.eye(n, dtype=dtype_of(p))[:-1]], axis=0))
    if dtype_of(w).kind == "c" and dtype_of(p).kind != "c" and fixed(np.equal(np.imag(w), 0).all()):
        w = np.real(w)  # as NumPy does, whatever its eigenvalues are
    return np.concatenate([w, np.zeros_like(w, shape=(zeros,))]) if zeros else w


@composite(np.polyfit)
def polyfit(x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False) -> Any:
    """``np.polyfit``: the coefficients of a least-squares fit, and their covariance."""
    order = int(deg) + 1
    if deg < 0:
        raise ValueError("expected deg >= 0")
    x, y = operand(x) + 0.0, operand(y) + 0.0
    if len(shape_of(x)) != 1:
        raise TypeError("expected 1D vector for x")
    if not len(x):
        raise TypeError("expected non-empty vector for x")
    if len(shape_of(y)) not in (1, 2) or shape_of(y)[0] != shape_of(x)[0]:
        raise TypeError("expected x and y to have same length")
    a = np.stack([x**n if n else np.ones_like(x) for n in range(deg, -1, -1)], axis=1)
    if w is not None:
        w = operand(w) + 0.0
        if shape_of(w) != shape_of(x):
            raise TypeError("expected w and y to have the same length")
        a, y = a * w[:, None], y * (w if len(shape_of(y)) == 1 else w[:, None])
    scale = np.sqrt(np.sum(a * a, axis=0))
    if rcond is None:
        rcond = shape_of(x)[0] * float(np.finfo(dtype_of(x)).eps)
    a = a / scale
    c, residuals, rank, s = np.linalg.lstsq(a, y, rcond)
    c = c / (scale if len(shape_of(c)) == 1 else scale[:, None])
    if full:
        return c, residuals, rank, s, rcond
    if not cov:
        return c
    spread = np.linalg.inv(a.T @ a) / (scale[:, None] * scale)
    if cov == "unscaled":
        factor: Any = 1.0
    elif len(x) <= order:
        raise ValueError("the number of data points must exceed order to scale the covariance matrix")
    else:
        factor = residuals / (len(x) - order)
    return c, spread * factor if len(shape_of(y)) == 1 else spread[:, :, None] * factor


# --------------------------------------------------------------------------------------------------
# numpy.polynomial: coefficients from the constant one on


def _series(x: Any, c: Any) -> Any:
    """Sum a power series by Horner's rule: the first axis of ``c`` counts powers, the others take the axes of ``x``."""
    y = c[-1] + x * 0
    for n in range(2, len(c) + 1):
        y = c[-n] + y * x
    return y


def _at_points(c: Any, *points: Any) -> Any:
    c, (*given,) = operand(c), map(operand, points)
    if len({shape_of(x) for x in given}) > 1:
        raise ValueError(f"{', '.join('xyz'[: len(given)])} are incompatible")
    c = np.reshape(c, shape_of(c) + (1,) * len(shape_of(given[0])))
    for x in given:
        c = _series(x, c)
    return c


def _on_grid(c: Any, *points: Any) -> Any:
    c = operand(c)
    for x in map(operand, points):
        c = _series(x, np.reshape(c, shape_of(c) + (1,) * len(shape_of(x))))
    return c


_P = np.polynomial.polynomial
composite(_P.polyval2d)(lambda x, y, c: _at_points(c, x, y))
composite(_P.polygrid2d)(lambda x, y, c: _on_grid(c, x, y))
composite(getattr(_P, "polyvalnd", None))(lambda pts, c: _at_points(c, *pts))
