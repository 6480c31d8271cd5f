"""Functions of sampled curves: differences, integrals, convolution, interpolation."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from dualdiff.kinds import Discrete, Multilinear
from dualdiff.kinds.kinks import Kink, size
from dualdiff.labels import MOST_LINKS, links_of
from dualdiff.register import Facts, composite, register
from dualdiff.rules.absent import filled, missing
from dualdiff.rules.elementwise import cast
from dualdiff.rules.movement.axes import along, axis_of, ints
from dualdiff.rules.movement.broadcasting import broadcasted
from dualdiff.rules.movement.joining import joined
from dualdiff.rules.movement.layout import ravel
from dualdiff.rules.movement.reshaping import as_column, as_shape
from dualdiff.shapes import dtype_of, negative_axes, shape_of, size_of
from dualdiff.values import bind, fixed, is_plain_constant, number, operand

# --------------------------------------------------------------------------------------------------
# differences and integrals


def _differences(x: Any, axis: int) -> Any:
    later, earlier = x[along(axis, slice(1, None))], x[along(axis, slice(None, -1))]
    return later != earlier if dtype_of(x).kind == "b" else later - earlier


@composite(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    x = operand(a)
    n = operator.index(n)
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    if n == 0:
        return a
    if not shape_of(x):
        raise ValueError("diff requires input that is at least one dimensional")
    axis = axis_of(axis, len(shape_of(x)))
    edge = list(shape_of(x))
    edge[axis] = 1
    ends = [None if e is np._NoValue else operand(e) for e in (prepend, append)]
    before, after = [e if e is None or shape_of(e) else broadcasted(e, edge) for e in ends]
    if before is not None or after is not None:
        x = joined([p for p in (before, x, after) if p is not None], axis)
    for _ in range(n):
        x = _differences(x, axis)
    return x


@composite(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    x = _differences(ravel(ary), -1)
    parts = [p if p is x else ravel(p) for p in (to_begin, x, to_end) if p is not None]
    for p in parts:
        if not np.can_cast(dtype_of(p), dtype_of(ary), "same_kind"):
            raise TypeError(
                "dtype of `to_begin` and `to_end` must be compatible with input `ary` under the `same_kind` rule."
            )
    return joined(parts).astype(dtype_of(ary)) if len(parts) > 1 else x


@composite(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = operand(f)
    rank = len(shape_of(f))
    if dtype_of(f).kind in "biu":
        f = f.astype(np.float64)
    axes = negative_axes(None if axis is None else ints(axis), rank)
    if len(varargs) == 0:
        spacings: list[Any] = [1.0] * len(axes)
    elif len(varargs) == 1 and not shape_of(operand(varargs[0])):
        spacings = [operand(varargs[0])] * len(axes)
    elif len(varargs) == len(axes):
        spacings = [operand(v) for v in varargs]
    else:
        raise TypeError("invalid number of arguments")
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    found = []
    for i, h in zip(axes, spacings):
        n = shape_of(f)[i]
        if n < edge_order + 1:
            raise ValueError(
                "Shape of array too small to calculate a numerical gradient, "
                "at least (edge_order + 1) elements are required."
            )
        if shape_of(h):
            if len(shape_of(h)) != 1:
                raise ValueError("distances must be either scalars or 1d")
            if shape_of(h)[0] != n:
                raise ValueError("when 1d, distances must match the length of the corresponding dimension")
            h = _differences(h, -1)
            if type(h) is np.ndarray and (h == h[0]).all():
                h = h[0]  # NumPy takes even distances for one number, and rounds otherwise then
        found.append(_gradient_along(f, h, i, edge_order))
    if len(axes) == 1:
        return found[0]
    return tuple(found)


def _gradient_along(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    def at(j: int) -> Any:
        return f[along(axis, slice(j, j + 1 or None))]

    uneven = bool(shape_of(h))
    if uneven:
        left, right = as_column(h[:-1], axis), as_column(h[1:], axis)
    else:
        left = right = h
    before, here, after = f[along(axis, slice(None, -2))], f[along(axis, slice(1, -1))], f[along(axis, slice(2, None))]
    if uneven:
        middle = (
            -right / (left * (left + right)) * before
            + (right - left) / (left * right) * here
            + left / (right * (left + right)) * after
        )
    else:
        middle = (after - before) / (2.0 * h)
    if edge_order == 1:
        first, last = (h[0], h[-1]) if uneven else (h, h)
        start, end = (at(1) - at(0)) / first, (at(-1) - at(-2)) / last
    elif uneven:
        first, second, last, butlast = h[0], h[1], h[-1], h[-2]
        start = (
            -(2.0 * first + second) / (first * (first + second)) * at(0)
            + (first + second) / (first * second) * at(1)
            - first / (second * (first + second)) * at(2)
        )
        end = (
            last / (butlast * (butlast + last)) * at(-3)
            - (last + butlast) / (butlast * last) * at(-2)
            + (2.0 * last + butlast) / (last * (butlast + last)) * at(-1)
        )
    else:
        start = -1.5 / h * at(0) + 2.0 / h * at(1) + -0.5 / h * at(2)
        end = 0.5 / h * at(-3) + -2.0 / h * at(-2) + 1.5 / h * at(-1)
    return joined((start, middle, end), axis)


@composite(getattr(np, "trapezoid", None), np.__dict__.get("trapz"))
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = operand(y)
    axis = axis_of(axis, len(shape_of(y)))
    if x is None:
        d = dx
    else:
        x = operand(x)
        d = as_column(_differences(x, -1), axis) if len(shape_of(x)) == 1 else _differences(x, axis)
    return np.sum(d * (y[along(axis, slice(1, None))] + y[along(axis, slice(None, -1))]) / 2.0, axis=axis)


# --------------------------------------------------------------------------------------------------
# convolution


def _by_row(function: Any, g: Any, *others: Any) -> Any:
    """Apply a function of vectors to every direction."""
    if len(shape_of(g)) == 1:
        return function(g, *others)
    if not shape_of(g)[0]:
        return np.zeros_like(g, shape=(0, *shape_of(function(np.zeros_like(g, shape=shape_of(g)[1:]), *others))))
    return np.stack([function(row, *others) for row in g])


def _convolve_push(i: int, t: Any, args: Any, lead: Any, *, mode: Any) -> Any:
    return _by_row(lambda row, other: np.convolve(row, other, mode), t, args[1 - i])


def _convolve_pull_first(g: Any, a: Any, v: Any, *, mode: str) -> Any:
    if mode == "full":
        return _by_row(lambda row: np.correlate(row, v, "valid"), g)
    return _by_row(lambda row: np.convolve(row, np.conjugate(v)[::-1], "full"), g)


def _convolve_pull_second(g: Any, a: Any, v: Any, *, mode: str) -> Any:
    return _by_row(lambda row: np.correlate(row, a, "valid"), g)  # NumPy turns it round where row is the shorter one


def _convolve(a: Any, v: Any, *, mode: Any) -> Any:
    return np.convolve(a, v, mode)


class Convolution(Multilinear):
    """The convolution of two vectors, all of it or where they overlap fully."""

    linked = True

    def links(self, k: int, args: Any, params: dict[str, Any], out: Any, most: int | None = None) -> Any:
        """Join entries as far apart as an entry of the constant that is not zero."""
        constant = args[1 - k]
        if not is_plain_constant(constant):
            return None
        n, m = size_of(shape_of(args[k])), constant.size
        (apart,) = np.nonzero(constant)
        if n * apart.size > (MOST_LINKS if most is None else most):
            return None
        first = min(n, m) - 1 if params["mode"] == "valid" else 0
        rows = np.add.outer(np.arange(n), apart) - first
        columns = np.broadcast_to(np.arange(n)[:, None], rows.shape)
        weights = np.broadcast_to(constant[apart], rows.shape)
        count = size_of(shape_of(out))
        inside = (rows >= 0) & (rows < count)
        return links_of(rows[inside], columns[inside], weights[inside], (count, n))


_convolution = Convolution(
    "np.convolve",
    _convolve,
    _convolve_pull_first,
    _convolve_pull_second,
    push=_convolve_push,
)

_MODES = {0: "valid", 1: "same", 2: "full", "v": "valid", "s": "same", "f": "full"}


def _convolved(a: Any, v: Any, mode: Any, correlating: bool) -> Any:
    """Convolve two vectors; ``correlating`` says at which of two places NumPy centres the part of mode "same"."""
    mode = _MODES.get(mode, mode)
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    n, m = size_of(shape_of(a)), size_of(shape_of(v))
    if not n or not m:
        raise ValueError(f"{'a' if not n else 'v'} cannot be empty")
    if len(shape_of(a)) > 1 or len(shape_of(v)) > 1:
        raise ValueError("object too deep for desired array")
    a, v = as_shape(a, (n,)), as_shape(v, (m,))
    swapped = m > n
    if swapped:
        a, v, n, m = v, a, m, n
    if mode != "same":
        return bind(_convolution, (a, v), {"mode": mode})
    start = m // 2 if swapped and correlating else (m - 1) // 2
    return bind(_convolution, (a, v), {"mode": "full"})[start : start + n].copy()


def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    return _convolved(operand(a), operand(v), mode, correlating=False)


def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    v = operand(v)
    return _convolved(operand(a), np.conjugate(as_shape(v, (size_of(shape_of(v)),)))[::-1], mode, correlating=True)


register(np.convolve, "multilinear", convolve, primitive=_convolution)
composite(np.correlate)(correlate)


# --------------------------------------------------------------------------------------------------
# interpolation


_lands = Discrete("np.interp", lambda step: np.equal(step, 0))
"""Whether a point is one of those that are joined."""
_lands.kink = Kink(
    size, "the mean of the slopes beside the point", "np.interp at points between those given, or a smooth spline"
)


@composite(np.interp, facts=Facts(kinks=[_lands.kink]))
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Join the points (xp, fp) by straight lines; at a point the slope is the mean of those beside it."""
    x, xp, fp = operand(x), operand(xp), operand(fp)
    if len(shape_of(xp)) != 1 or shape_of(xp) != shape_of(fp):
        raise ValueError("fp and xp are not of the same length.")
    x, xp = cast(x, np.float64, copy=False), cast(xp, np.float64, copy=False)  # NumPy computes in double precision
    fp = cast(fp, np.complex128 if dtype_of(fp).kind == "c" else np.float64, copy=False)
    if period is not None:
        if fixed(period) == 0:
            raise ValueError("period must be a non-zero value")
        period = abs(fixed(period))
        left = right = None
        x, xp = np.remainder(x, period), np.remainder(xp, period)
        order = fixed(np.argsort(xp))
        xp, fp = xp[order], fp[order]
        xp = joined((xp[-1:] - period, xp, xp[:1] + period))
        fp = joined((fp[-1:], fp, fp[:1]))
    n = shape_of(xp)[0]
    if n == 0:  # an error but, from NumPy 2.5 on, where nothing is asked for: then nothing depends on anything
        return np.interp(np.zeros(shape_of(x)), np.zeros(0), np.zeros(0))
    if n == 1:
        inside = fp[0] + 0.0 * x
    else:
        # Interval j runs from point j to j + 1. The zero slopes at both ends make an end point a kink like the others.
        j = fixed(np.clip(np.searchsorted(xp, x, side="right") - 1, 0, n - 1))
        slopes = (fp[1:] - fp[:-1]) / (xp[1:] - xp[:-1])
        outside = np.zeros_like(slopes, shape=(1,))
        slopes = joined((outside, slopes, outside))
        step = x - xp[j]
        slope = np.where(bind(_lands, (step,), {}), 0.5 * (slopes[j] + slopes[j + 1]), slopes[j + 1])
        inside = fp[j] + slope * step
    found = inside
    for beyond, given, end in ((x > xp[-1], right, -1), (x < xp[0], left, 0)):
        found = np.where(beyond, fp[end], found) if given is None else filled(beyond, given, found, x - xp[end])
    return number(missing(np.isnan(x), found, x) if fixed(np.any(np.isnan(x))) else found)


__all__: list[str] = []
