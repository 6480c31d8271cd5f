"""Linear filters: the array is continued beyond its border, and windows of it are summed with weights.

Both the array and the weights may carry a derivative; so may the width of a Gaussian, whose window then keeps its size.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.kinds import Multilinear
from dualdiff.labels import MOST_LINKS, links_of
from dualdiff.rules.distances import distance
from dualdiff.rules.letters import conj
from dualdiff.scipy.ndimage.borders import ROOM, array, axes_of, extended, finished, mode_of, one_axis, plain, sequence
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import bind, decided, fixed, is_plain_constant, operand


def _sums(x: Any, w: Any) -> Any:
    """Sum the windows of the last axes of x, wherever they lie within it, with weights: SciPy's own sums."""
    from scipy import ndimage

    if x.dtype.kind == "c" or w.dtype.kind == "c":
        parts = [_sums(a, b) for a in (x.real, x.imag) for b in (w.real, w.imag)]
        return parts[0] - parts[3] + 1j * (parts[1] + parts[2])
    lead = x.ndim - w.ndim
    long = [k for k, n in enumerate(w.shape) if n > 1]
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    if len(long) <= 1:
        axis = lead + (long[0] if long else 0)
        found = ndimage.correlate1d(x, w.ravel(), axis=axis, mode="constant")
    else:
        found = ndimage.correlate(x, w.reshape((1,) * lead + w.shape), mode="constant")
    within = [slice(m // 2, m // 2 + n - m + 1) for n, m in zip(x.shape[lead:], w.shape)]
    return found[(..., *within)]


def _each(function: Any, t: Any, rank: int) -> Any:
    if len(shape_of(t)) == rank:
        return function(t)
    if not shape_of(t)[0]:
        one = function(np.zeros_like(t, shape=shape_of(t)[1:]))
        return np.zeros_like(one, shape=(0, *shape_of(one)))
    return np.stack([function(one) for one in t])


def _push(i: int, t: Any, args: Any, lead: Any) -> Any:
    x, w = args
    if i == 0:
        return windows(t, w)
    return _each(lambda one: windows(x, one), t, len(shape_of(w)))


def _pull_array(g: Any, x: Any, w: Any) -> Any:
    rank = len(shape_of(w))
    wide = [(0, 0)] * (len(shape_of(g)) - rank) + [(n - 1, n - 1) for n in shape_of(w)]
    found = windows(np.pad(g, wide), conj(np.flip(w)))
    return np.real(found) if dtype_of(x).kind != "c" and dtype_of(found).kind == "c" else found


def _pull_weights(g: Any, x: Any, w: Any) -> Any:
    found = _each(lambda one: windows(conj(x), one), g, len(shape_of(w)))
    return np.real(found) if dtype_of(w).kind != "c" and dtype_of(found).kind == "c" else found


class Windows(Multilinear):
    """The sums of all windows of an array with weights."""

    linked = True

    def links(self, k: int, args: Any, params: dict[str, Any], out: Any, most: int | None = None) -> Any:
        """Join a sum with the entries of its window whose weights are not zero."""
        x, w = args
        if k != 0 or not is_plain_constant(w) or len(shape_of(x)) != w.ndim:
            return None
        places = np.argwhere(w)
        sums = np.indices(shape_of(out)).reshape(w.ndim, -1)
        count = sums.shape[1]
        if count * len(places) > (MOST_LINKS if most is None else most):
            return None
        columns = np.ravel_multi_index(tuple(sums[:, :, None] + places.T[:, None, :]), shape_of(x))
        rows = np.broadcast_to(np.arange(count)[:, None], columns.shape)
        weights = np.broadcast_to(w[tuple(places.T)], columns.shape)
        return links_of(rows.ravel(), columns.ravel(), weights.ravel(), (count, size_of(shape_of(x))))


windows_ = Windows("scipy.ndimage.correlate", _sums, _pull_array, _pull_weights, push=_push)


def windows(x: Any, w: Any) -> Any:
    """Return the sums of windows of x with the weights w, wherever they lie within it."""
    return bind(windows_, (x, w), {})


def _check_origin(origin: int, n: int, what: str) -> None:
    if n // 2 + origin < 0 or n // 2 + origin >= n:
        raise ValueError(f"Invalid origin; origin must satisfy -({what} // 2) <= origin <= ({what}-1) // 2")


def _along(x: Any, w: Any, axis: int, mode: str, cval: Any, origin: int) -> Any:
    """Correlate along one axis."""
    n = shape_of(w)[0]
    before = n // 2 + origin
    x = extended(x, axis, before, n - 1 - before, mode, cval)
    rank = len(shape_of(x))
    return windows(x, np.reshape(w, (*(1,) * axis, n, *(1,) * (rank - axis - 1))))


def _numbers(w: Any) -> Any:
    w = operand(w)
    return (
        w
        if dtype_of(w) in (np.float64, np.complex128)
        else w.astype(np.complex128 if dtype_of(w).kind == "c" else np.float64)
    )


def _checked(x: Any, w: Any, cval: Any) -> Any:
    cval = plain(cval, "cval")
    if np.iscomplexobj(cval) and dtype_of(x).kind != "c":
        raise ValueError("Cannot provide a complex-valued cval when the input is real.")
    return cval


@ROOM.function("correlate1d", kind="multilinear", domain=None)
def correlate1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
) -> Any:
    """``scipy.ndimage.correlate1d``."""
    x, w = array(input), conj(_numbers(weights))
    if len(shape_of(w)) != 1 or not shape_of(w)[0]:
        raise RuntimeError("no filter weights given")
    _check_origin(origin, shape_of(w)[0], "len(weights)")
    axis = one_axis(axis, len(shape_of(x)))
    return finished(_along(x, w, axis, mode_of(mode), _checked(x, w, cval), origin), output, x, "correlate1d")


@ROOM.function("convolve1d", kind="multilinear", domain=None)
def convolve1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
) -> Any:
    """``scipy.ndimage.convolve1d``."""
    w = conj(operand(weights)[::-1])
    origin = -origin - (1 if shape_of(w)[0] % 2 == 0 else 0)
    return correlate1d(input, w, axis, output, mode, cval, origin)


def _expanded(w: Any, axes: tuple[int, ...], rank: int, what: str) -> Any:
    if len(shape_of(w)) != len(axes):
        raise RuntimeError(f"{what}.ndim ({len(shape_of(w))}) must match len(axes) ({len(axes)})")
    shape = [1] * rank
    order = sorted(range(len(axes)), key=lambda k: axes[k])
    if order != list(range(len(axes))) and len(axes) < rank:
        order = list(range(len(axes)))
    for axis, k in zip(sorted(axes), order):
        shape[axis] = shape_of(w)[k]
    return np.reshape(w, shape)


def _filtered(
    input: Any, w: Any, output: Any, mode: Any, cval: Any, origin: Any, axes: Any, name: str, turned: bool
) -> Any:
    x = array(input)
    rank = len(shape_of(x))
    axes = axes_of(axes, rank)
    if not isinstance(mode, str):
        raise RuntimeError("A sequence of modes is not supported")
    w = _expanded(_numbers(w), tuple(sorted(axes)), rank, "weights")
    origins = [0] * rank
    for axis, o in zip(axes, sequence(origin, len(axes))):
        origins[axis] = -o - (1 - shape_of(w)[axis] % 2) if turned else o
    cval = _checked(x, w, cval)
    w = np.flip(w) if turned else conj(w)
    like = x
    for axis, (o, n) in enumerate(zip(origins, shape_of(w))):
        _check_origin(o, n, "weights.shape[k]")
        before = n // 2 + o
        x = extended(x, axis, before, n - 1 - before, mode_of(mode), cval)
    return finished(windows(x, w), output, like, name)


@ROOM.function("correlate", kind="multilinear", domain=None)
def correlate(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """``scipy.ndimage.correlate``."""
    return _filtered(input, weights, output, mode, cval, origin, axes, "correlate", False)


@ROOM.function("convolve", kind="multilinear", domain=None)
def convolve(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """``scipy.ndimage.convolve``."""
    return _filtered(input, weights, output, mode, cval, origin, axes, "convolve", True)


# --------------------------------------------------------------------------------------------------
# means, Gaussians, differences


@ROOM.function("uniform_filter1d", kind="linear", domain=None)
def uniform_filter1d(
    input: Any, size: int, axis: int = -1, output: Any = None, mode: str = "reflect", cval: Any = 0.0, origin: int = 0
) -> Any:
    """``scipy.ndimage.uniform_filter1d``."""
    x = array(input)
    size = int(plain(size, "the size of a filter"))
    if size < 1:
        raise RuntimeError("incorrect filter size")
    if size // 2 + origin < 0 or size // 2 + origin >= size:
        raise ValueError("invalid origin")
    axis = one_axis(axis, len(shape_of(x)))
    found = _along(x, np.full(size, 1.0 / size), axis, mode_of(mode), plain(cval, "cval"), origin)
    return finished(found, output, x, "uniform_filter1d")


@ROOM.function("uniform_filter", kind="linear", domain=None)
def uniform_filter(
    input: Any,
    size: Any = 3,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """``scipy.ndimage.uniform_filter``."""
    x = array(input)
    axes = axes_of(axes, len(shape_of(x)))
    like, n = x, len(axes)
    for axis, s, m, o in zip(axes, sequence(size, n), sequence(mode, n), sequence(origin, n)):
        if s > 1:
            x = uniform_filter1d(x, int(s), axis, output, m, cval, o)
    return finished(x, output, like, "uniform_filter")


def gaussian(sigma: Any, order: int, radius: int) -> Any:
    """Return the weights of a Gaussian, or of a derivative of it, at whole numbers."""
    if order < 0:
        raise ValueError("order must be non-negative")
    x = np.arange(-radius, radius + 1)
    variance = sigma * sigma
    bell = np.exp(-0.5 / variance * x**2)
    bell = bell / np.sum(bell)
    if order == 0:
        return bell
    polynomial: list[Any] = [1.0]  # p with (p · bell)' = (p' − x p / σ²) · bell
    for _ in range(order):
        slope = [*[k * c for k, c in enumerate(polynomial)][1:], 0.0, 0.0]
        falling = [0.0, *[-c / variance for c in polynomial]]
        polynomial = [a + b for a, b in zip(slope, falling)]
    total: Any = 0.0
    for k, c in enumerate(polynomial):
        total = total + c * x.astype(float) ** k
    return total * bell


@ROOM.function("gaussian_filter1d", kind="composite", domain=None)
def gaussian_filter1d(
    input: Any,
    sigma: Any,
    axis: int = -1,
    order: int = 0,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
) -> Any:
    """``scipy.ndimage.gaussian_filter1d``: by sigma, the window keeps its size."""
    x = array(input)
    sigma = operand(sigma)
    wide = int(decided(np.floor(truncate * sigma + 0.5))) if radius is None else radius
    if not isinstance(wide, (int, np.integer)) or wide < 0:
        raise ValueError("Radius must be a nonnegative integer.")
    axis = one_axis(axis, len(shape_of(x)))
    weights = gaussian(sigma, order, int(wide))[::-1]
    return finished(_along(x, weights, axis, mode_of(mode), plain(cval, "cval"), 0), output, x, "gaussian_filter1d")


@ROOM.function("gaussian_filter", kind="composite", domain=None)
def gaussian_filter(
    input: Any,
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
    axes: Any = None,
) -> Any:
    """``scipy.ndimage.gaussian_filter``: by sigma, the window keeps its size."""
    x = array(input)
    axes = axes_of(axes, len(shape_of(x)))
    like, n = x, len(axes)
    given = zip(axes, sequence(sigma, n), sequence(order, n), sequence(mode, n), sequence(radius, n))
    for axis, s, o, m, r in given:
        if fixed(s > 1e-15):
            x = gaussian_filter1d(x, s, axis, o, output, m, cval, truncate, radius=r)
    return finished(x, output, like, "gaussian_filter")


def _along_all(input: Any, axis: int, output: Any, mode: Any, cval: Any, smooth: list[float], name: str) -> Any:
    x = array(input)
    rank = len(shape_of(x))
    axis = one_axis(axis, rank)
    modes = [mode_of(m) for m in sequence(mode, rank)]
    found = finished(_along(x, np.array([-1.0, 0.0, 1.0]), axis, modes[axis], cval, 0), output, x, name)
    for other in range(rank):
        if other != axis:
            found = finished(_along(found, np.array(smooth), other, modes[other], cval, 0), output, x, name)
    return found


@ROOM.function("sobel", kind="linear", domain=None)
def sobel(input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0) -> Any:
    """``scipy.ndimage.sobel``."""
    return _along_all(input, axis, output, mode, plain(cval, "cval"), [1.0, 2.0, 1.0], "sobel")


@ROOM.function("prewitt", kind="linear", domain=None)
def prewitt(input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0) -> Any:
    """``scipy.ndimage.prewitt``."""
    return _along_all(input, axis, output, mode, plain(cval, "cval"), [1.0, 1.0, 1.0], "prewitt")


def _axis_by_axis(input: Any, axes: Any, mode: Any, one: Any) -> list[Any]:
    """Return a filter along each axis: ``one(x, axis, mode)``."""
    x = array(input)
    axes = axes_of(axes, len(shape_of(x)))
    return [one(x, axis, m) for axis, m in zip(axes, sequence(mode, len(axes)))]


@ROOM.function("laplace", kind="linear", domain=None)
def laplace(input: Any, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, axes: Any = None) -> Any:
    """``scipy.ndimage.laplace``."""
    parts = _axis_by_axis(input, axes, mode, lambda x, a, m: correlate1d(x, [1.0, -2.0, 1.0], a, output, m, cval, 0))
    return sum(parts[1:], parts[0]) if parts else finished(array(input), output, array(input), "laplace")


def _orders(x: Any, axis: int, order: int) -> list[int]:
    return [order if k == axis else 0 for k in range(len(shape_of(x)))]


@ROOM.function("gaussian_laplace", kind="composite", domain=None)
def gaussian_laplace(
    input: Any,
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    *,
    axes: Any = None,
    **kwargs: Any,
) -> Any:
    """``scipy.ndimage.gaussian_laplace``."""
    parts = _derived(input, sigma, output, mode, cval, axes, 2, kwargs)
    return sum(parts[1:], parts[0]) if parts else finished(array(input), output, array(input), "gaussian_laplace")


def _derived(
    input: Any, sigma: Any, output: Any, mode: Any, cval: Any, axes: Any, order: int, kwargs: Any
) -> list[Any]:
    """Return the derivative of some order of the smoothed array along each axis."""
    x = array(input)
    rank = len(shape_of(x))
    chosen = axes_of(axes, rank)
    # SciPy smooths along all axes for the gradient, and for the Laplacian along those only that it sums over.
    if order == 1:
        sigmas = sequence(sigma, rank)
    else:
        given = dict(zip(chosen, sequence(sigma, len(chosen))))
        sigmas = [given.get(axis, 0) for axis in range(rank)]
    found = []
    for axis, m in zip(chosen, sequence(mode, len(chosen))):
        orders = [order if a == axis else 0 for a in range(rank)]
        found.append(gaussian_filter(x, sigmas, orders, output, m, cval, **kwargs))
    return found


@ROOM.function("gaussian_gradient_magnitude", kind="composite", domain="real")
def gaussian_gradient_magnitude(
    input: Any,
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    *,
    axes: Any = None,
    **kwargs: Any,
) -> Any:
    """``scipy.ndimage.gaussian_gradient_magnitude``; where the gradient vanishes its slope is 0."""
    parts = _derived(input, sigma, output, mode, cval, axes, 1, kwargs)
    if dtype_of(array(input)).kind == "c":
        raise UnsupportedFunctionError(
            f"{where()}: scipy.ndimage.gaussian_gradient_magnitude of complex values is not differentiated. Take np.abs or np.real of them."
        )
    squares = [p * p for p in parts]
    return distance(sum(squares[1:], squares[0])) if parts else finished(array(input), output, array(input), "")


ROOM.refused(
    "generic_filter1d vectorized_filter",
    "it calls a function of yours with memory to write into, or on windows cut by its own rules. Write the windows with "
    "np.lib.stride_tricks.sliding_window_view(np.pad(x, …), …), or use generic_filter.",
)


# --------------------------------------------------------------------------------------------------
# in the frequency domain


def _fourier(name: str, parameter: str, kinds: str) -> None:
    from scipy import ndimage

    real = getattr(ndimage, name)

    def filtered(input: Any, amount: Any, n: int, axis: int, output: Any) -> Any:
        x = array(input)
        amount = plain(amount, f"the {parameter} of scipy.ndimage.{name}")
        factor = real(np.ones(shape_of(x)), amount, n, axis)
        kind = dtype_of(x) if dtype_of(x).char in kinds else np.dtype(np.complex128 if "f" not in kinds else np.float64)
        return finished(x * factor, kind if output is None else output, x, name)

    if parameter == "sigma":

        @ROOM.function(name, kind="linear", domain=None)
        def of_sigma(input: Any, sigma: Any, n: int = -1, axis: int = -1, output: Any = None) -> Any:
            return filtered(input, sigma, n, axis, output)

    elif parameter == "shift":

        @ROOM.function(name, kind="linear", domain=None)
        def of_shift(input: Any, shift: Any, n: int = -1, axis: int = -1, output: Any = None) -> Any:
            return filtered(input, shift, n, axis, output)

    else:

        @ROOM.function(name, kind="linear", domain=None)
        def of_size(input: Any, size: Any, n: int = -1, axis: int = -1, output: Any = None) -> Any:
            return filtered(input, size, n, axis, output)


for _name, _parameter, _kinds in (
    ("fourier_gaussian", "sigma", "FDf"),
    ("fourier_uniform", "size", "FDf"),
    ("fourier_ellipsoid", "size", "FDf"),
    ("fourier_shift", "shift", "FD"),
):
    _fourier(_name, _parameter, _kinds)


__all__ = ["convolve", "correlate", "gaussian_filter", "windows"]
