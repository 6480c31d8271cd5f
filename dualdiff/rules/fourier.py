"""Discrete Fourier transforms: four linear rows along one axis, and everything else written in them.

With the real inner product the adjoint of the transform F is its conjugate transpose, which is the inverse transform
without its factor 1/n: the *other* transform with the *other* normalisation. A real transform keeps one half of a
Hermitian spectrum, so that an entry of it stands for two, itself and its conjugate, but for the first one and, where n
is even, the last; its adjoint weighs the entries by these numbers.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from dualdiff.kinds import Linear
from dualdiff.register import NOTHING, REAL_ONLY, Facts, composite, register
from dualdiff.rules.folding import along_axes, deliver
from dualdiff.shapes import dtype_of, negative_axes, shape_of
from dualdiff.values import bind, fixed, operand

OTHER_WAY = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}
"""The normalisation with which the inverse transform is the adjoint of this one."""


def other_way(norm: Any) -> str:
    """Return the normalisation of the adjoint; raise for one that NumPy does not know."""
    try:
        return OTHER_WAY[norm]
    except KeyError:
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".') from None


def _weights(n: int, axis: int, dtype: np.dtype[Any], inverse: bool) -> Any:
    """Return how often each entry of a half spectrum stands in the whole one (or the inverse), along a negative axis."""
    make = _known_weights if n <= LARGE else _new_weights
    return make(n, axis, dtype, inverse)


def _new_weights(n: int, axis: int, dtype: np.dtype[Any], inverse: bool) -> Any:
    w = np.full(n // 2 + 1, 0.5 if inverse else 2.0, dtype)
    w[0] = 1
    if n % 2 == 0:
        w[-1] = 1
    return w.reshape((-1,) + (1,) * (-axis - 1))


LARGE = 1 << 12
"""Weights of longer transforms are not remembered: they would hold too much memory, and take little of the time."""


@lru_cache(maxsize=64)
def _known_weights(n: int, axis: int, dtype: np.dtype[Any], inverse: bool) -> Any:
    w = _new_weights(n, axis, dtype, inverse)
    w.flags.writeable = False
    return w


def _precision(x: Any) -> np.dtype[Any]:
    return np.dtype(dtype_of(x).char.lower())


def _irfft_pull(g: Any, to_complex: bool, n: int, axis: int, norm: Any) -> Any:
    c = rfft_(g, axis=axis, norm=OTHER_WAY[norm]) * _weights(n, axis, _precision(g), False)
    return c if to_complex else np.real(c)


fft_: Linear = Linear(
    "np.fft.fft",
    lambda x, *, axis, norm: np.fft.fft(x, axis=axis, norm=norm),
    pull=lambda g, _x, *, axis, norm: ifft_(g, axis=axis, norm=OTHER_WAY[norm]),
    joins=along_axes,
)
ifft_: Linear = Linear(
    "np.fft.ifft",
    lambda x, *, axis, norm: np.fft.ifft(x, axis=axis, norm=norm),
    pull=lambda g, _x, *, axis, norm: fft_(g, axis=axis, norm=OTHER_WAY[norm]),
    joins=along_axes,
)
rfft_: Linear = Linear(
    "np.fft.rfft",
    lambda x, *, axis, norm: np.fft.rfft(x, axis=axis, norm=norm),
    pull=lambda g, x, *, axis, norm: irfft_(
        g * _weights(x.shape[axis], axis, _precision(g), True), n=x.shape[axis], axis=axis, norm=OTHER_WAY[norm]
    ),
    joins=along_axes,
)
irfft_: Linear = Linear(
    "np.fft.irfft",
    lambda x, *, n, axis, norm: np.fft.irfft(x, n=n, axis=axis, norm=norm),
    pull=lambda g, x, *, n, axis, norm: _irfft_pull(g, dtype_of(x).kind == "c", n, axis, norm),
    joins=along_axes,
)


def resized(x: Any, n: int, axis: int) -> Any:
    """Crop an array to ``n`` entries along a negative axis, or fill it up with zeros."""
    shape = shape_of(x)
    have = shape[axis]
    if have == n:
        return x
    if n < have:
        return x[(Ellipsis, slice(n), *[slice(None)] * (-axis - 1))]
    return np.pad(x, [(0, n - have if i - len(shape) == axis else 0) for i in range(len(shape))])


def _length(n: Any, default: int) -> int:
    n = default if n is None else operator.index(fixed(n, "the length n= of a transform"))
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    return n


def fft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """``np.fft.fft``."""
    return _whole(fft_, a, n, axis, norm, out)


def ifft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """``np.fft.ifft``."""
    return _whole(ifft_, a, n, axis, norm, out)


def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """``np.fft.rfft``."""
    return _whole(rfft_, a, n, axis, norm, out)


def _whole(row: Linear, a: Any, n: Any, axis: int, norm: Any, out: Any) -> Any:
    other_way(norm)
    x = operand(a)
    (axis,) = negative_axes(axis, len(shape_of(x)))
    x = resized(x, _length(n, shape_of(x)[axis]), axis)
    return deliver(bind(row, (x,), {"axis": axis, "norm": norm}), out, row.name)


def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """``np.fft.irfft``."""
    other_way(norm)
    x = operand(a)
    (axis,) = negative_axes(axis, len(shape_of(x)))
    n = _length(n, 2 * (shape_of(x)[axis] - 1))
    x = resized(x, n // 2 + 1, axis)
    return deliver(bind(irfft_, (x,), {"n": n, "axis": axis, "norm": norm}), out, irfft_.name)


for _function, _handler, _row in (
    (np.fft.fft, fft, fft_),
    (np.fft.ifft, ifft, ifft_),
    (np.fft.rfft, rfft, rfft_),
    (np.fft.irfft, irfft, irfft_),
):
    _facts = Facts(REAL_ONLY) if _row is rfft_ else NOTHING
    register(_function, "linear", _handler, domain="real", primitive=_row, facts=_facts)


@composite(np.fft.hfft)
def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """``np.fft.hfft``: the spectrum, real, of a signal of which one half is given."""
    return irfft(np.conjugate(operand(a)), n, axis, other_way(norm), out)


@composite(np.fft.ihfft, facts=Facts(REAL_ONLY))
def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """``np.fft.ihfft``."""
    return deliver(np.conjugate(rfft(a, n, axis, other_way(norm))), out, "np.fft.ihfft")


# --------------------------------------------------------------------------------------------------
# several axes


def sizes_and_axes(x: Any, s: Any, axes: Any, halved: bool = False) -> tuple[list[Any], list[int]]:
    """Return the lengths and the axes that NumPy reads from ``s=`` and ``axes=``; ``halved``: of a half spectrum's last one."""
    shape = shape_of(x)
    given: list[Any] | None = None if s is None else [None if i is None else operator.index(i) for i in fixed(s)]
    if axes is None:
        if given is not None:
            warnings.warn(
                "`axes` should not be `None` if `s` is not `None` (Deprecated in NumPy 2.0): pass axes as well.",
                DeprecationWarning,
                stacklevel=5,
            )
        axes = range(-len(shape if given is None else given), 0)
    axes = [operator.index(i) for i in axes]
    sizes: list[Any] = [shape[i] for i in axes] if given is None else given
    if len(sizes) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    if None in sizes:
        warnings.warn("`None` values in `s` are deprecated in NumPy 2.0.", DeprecationWarning, stacklevel=5)
    if halved and given is None:
        sizes[-1] = 2 * (sizes[-1] - 1)
    return [shape[i] if n == -1 else n for n, i in zip(sizes, axes)], axes


def along_each(one: Callable[..., Any], x: Any, sizes: Sequence[Any], axes: Sequence[int], norm: Any) -> Any:
    """Transform along axis after axis, the last one first, as NumPy does."""
    for n, axis in zip(reversed(sizes), reversed(axes)):
        x = one(x, n, axis, norm)
    return x


def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """``np.fft.fftn``."""
    x = operand(a)
    return deliver(along_each(fft, x, *sizes_and_axes(x, s, axes), norm), out, "np.fft.fftn")


def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """``np.fft.ifftn``."""
    x = operand(a)
    return deliver(along_each(ifft, x, *sizes_and_axes(x, s, axes), norm), out, "np.fft.ifftn")


def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """``np.fft.rfftn``: real along the last axis, complex along the others."""
    x = operand(a)
    sizes, axes = sizes_and_axes(x, s, axes)
    y = along_each(fft, rfft(x, sizes[-1], axes[-1], norm), sizes[:-1], axes[:-1], norm)
    return deliver(y, out, "np.fft.rfftn")


def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """``np.fft.irfftn``."""
    x = operand(a)
    sizes, axes = sizes_and_axes(x, s, axes, halved=True)
    for n, axis in zip(sizes[:-1], axes[:-1]):
        x = ifft(x, n, axis, norm)
    return deliver(irfft(x, sizes[-1], axes[-1], norm), out, "np.fft.irfftn")


def _several(all_axes: Any, two_axes: Any, handler: Callable[..., Any], facts: Facts = NOTHING) -> None:
    """Register a transform along all axes, and under the name of that along the last two."""

    def last_two(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
        return handler(a, s, axes, norm, out)

    composite(all_axes, facts=facts)(handler)
    composite(two_axes, facts=facts)(last_two)


_several(np.fft.fftn, np.fft.fft2, fftn)
_several(np.fft.ifftn, np.fft.ifft2, ifftn)
_several(np.fft.rfftn, np.fft.rfft2, rfftn, Facts(REAL_ONLY))
_several(np.fft.irfftn, np.fft.irfft2, irfftn)
