"""``scipy.fft`` of values that are being differentiated.

SciPy lets backends take part in its transforms (``scipy.fft.register_backend``). Ours is asked before SciPy's own; it
serves what a traced value stands in, by :data:`DROP_INS`, and passes everything else on. It is registered when the first
run starts after SciPy's module was loaded (see :data:`dualdiff.values.JOINED`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft

from dualdiff.register import BESIDE, NOTHING, REAL_ONLY, Entry, Facts
from dualdiff.rules import fourier
from dualdiff.rules.cosines import TRANSPOSE, dct_, dst_, fht_, ifht_
from dualdiff.rules.elementwise import cast
from dualdiff.shapes import dtype_of, negative_axes, shape_of
from dualdiff.values import bind, contains_traced, fixed, operand

DROP_INS: dict[Any, Callable[..., Any]] = {}
"""For every transform of SciPy, a function of the same signature for values that are being differentiated."""
ROWS: list[Entry] = []
"""How the register would know them: each is linear, whatever the functions it is written in."""
BESIDE.append(lambda: ROWS)


def _drop_in(name: str, facts: Facts = NOTHING) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        original = getattr(scipy.fft, name)
        DROP_INS[original] = function
        ROWS.append(Entry(original, f"scipy.fft.{name}", "linear", function, domain="real", facts=facts))
        return function

    return decorate


def _input(x: Any, plan: Any = None) -> Any:
    """Return an array as SciPy transforms it: half precision in single, integers in double."""
    if plan is not None:
        raise NotImplementedError("Passing a precomputed plan is not yet supported by scipy.fft functions")
    x = operand(x)
    if dtype_of(x) == np.float16:
        return cast(x, np.float32)
    return x if dtype_of(x).kind in "fc" else cast(x, np.float64)


def _integers(x: Any, name: str) -> list[int]:
    x = fixed(x)
    try:
        return [operator.index(x)] if isinstance(x, (int, np.integer)) else [operator.index(i) for i in x]
    except TypeError as error:
        raise ValueError(f"{name} must be a scalar or iterable of integers") from error


def _sizes_and_axes(x: Any, s: Any, axes: Any) -> tuple[list[Any], list[int]]:
    """Return the lengths and the axes that SciPy reads from ``s=`` and ``axes=``."""
    shape = shape_of(x)
    sizes = None if s is None else _integers(s, "shape")
    if axes is not None:
        axes = _integers(axes, "axes")
        if any(not -len(shape) <= i < len(shape) for i in axes):
            raise ValueError("axes exceeds dimensionality of input")
        axes = [i % len(shape) for i in axes]
        if len(set(axes)) != len(axes):
            raise ValueError("all axes must be unique")
        if sizes is not None and len(sizes) != len(axes):
            raise ValueError("when given, axes and shape arguments have to be of the same length")
    elif sizes is not None and len(sizes) > len(shape):
        raise ValueError("shape requires more axes than are present")
    else:
        axes = list(range(len(shape)) if sizes is None else range(len(shape) - len(sizes), len(shape)))
    sizes = [-1] * len(axes) if sizes is None else sizes
    return [shape[i] if n == -1 else n for n, i in zip(sizes, axes, strict=True)], axes


def _takes(name: str) -> Facts:
    """Say that the transforms which are halved take real signals only."""
    return Facts(REAL_ONLY) if name.startswith(("rfft", "ihfft")) else NOTHING


def _one_axis(name: str, function: Callable[..., Any]) -> None:
    @_drop_in(name, _takes(name))
    def transform(
        x: Any,
        n: Any = None,
        axis: int = -1,
        norm: Any = None,
        overwrite_x: bool = False,
        workers: Any = None,
        *,
        plan: Any = None,
    ) -> Any:
        return function(_input(x, plan), n, axis, norm)


def _all_axes(name: str, function: Callable[..., Any], axes_of_two: bool = False, halved: bool = False) -> None:
    @_drop_in(name, _takes(name))
    def transform(
        x: Any,
        s: Any = None,
        axes: Any = (-2, -1) if axes_of_two else None,
        norm: Any = None,
        overwrite_x: bool = False,
        workers: Any = None,
        *,
        plan: Any = None,
    ) -> Any:
        x = _input(x, plan)
        sizes, axes = _sizes_and_axes(x, s, axes)
        if not axes:
            raise ValueError("at least 1 axis must be transformed")
        if halved and s is None:
            sizes[-1] = 2 * (sizes[-1] - 1)
        return function(x, sizes, axes, norm)


def hfftn(x: Any, s: Any, axes: Any, norm: Any) -> Any:
    """Transform a signal with Hermitian symmetry, half of which is given along the last axis."""
    return fourier.irfftn(np.conjugate(x), s, axes, fourier.other_way(norm))


def ihfftn(x: Any, s: Any, axes: Any, norm: Any) -> Any:
    """Invert :func:`hfftn`."""
    return np.conjugate(fourier.rfftn(x, s, axes, fourier.other_way(norm)))


for _name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
    _one_axis(_name, getattr(fourier, _name))
for _name, _function in (
    ("fft", fourier.fftn),
    ("ifft", fourier.ifftn),
    ("rfft", fourier.rfftn),
    ("irfft", fourier.irfftn),
    ("hfft", hfftn),
    ("ihfft", ihfftn),
):
    _all_axes(f"{_name}n", _function, halved=_name in ("irfft", "hfft"))
    _all_axes(f"{_name}2", _function, axes_of_two=True, halved=_name in ("irfft", "hfft"))


# --------------------------------------------------------------------------------------------------
# cosines and sines


@lru_cache(maxsize=1)
def _forgets_to_orthogonalize() -> bool:
    """Whether this SciPy leaves ``orthogonalize=`` unread where the signal is complex, as versions up to 1.17 do."""
    x = np.array([1.0, 2.0, 4.0])
    real, turned = (scipy.fft.dct(z, norm="ortho", orthogonalize=False) for z in (x, 1j * x))
    return not np.allclose(1j * real, turned)


def _cosines(name: str, row: Any, inverse: bool) -> None:
    """Write the drop-ins of a transform, or of its inverse: along one axis, and along several."""

    def along(x: Any, type: int, n: Any, axis: int, norm: Any, orthogonalize: bool | None) -> Any:
        other = fourier.other_way(norm)
        if type not in TRANSPOSE:
            raise ValueError(f"Invalid type {type}; must be 1, 2, 3 or 4")
        if orthogonalize is None or (dtype_of(x).kind == "c" and _forgets_to_orthogonalize()):
            orthogonalize = norm == "ortho"
        if inverse:
            type, norm = TRANSPOSE[type], other
        (axis,) = negative_axes(axis, len(shape_of(x)))
        if n is not None:
            n = operator.index(fixed(n))
            if n < 1:
                raise ValueError(f"invalid number of data points ({n}) specified")
            x = fourier.resized(x, n, axis)
        return bind(row, (x,), {"type": type, "norm": norm, "orthogonalize": bool(orthogonalize), "axis": axis})

    @_drop_in(name)
    def one_axis(
        x: Any,
        type: int = 2,
        n: Any = None,
        axis: int = -1,
        norm: Any = None,
        overwrite_x: bool = False,
        workers: Any = None,
        orthogonalize: bool | None = None,
    ) -> Any:
        return along(_input(x), type, n, axis, norm, orthogonalize)

    @_drop_in(f"{name}n")
    def all_axes(
        x: Any,
        type: int = 2,
        s: Any = None,
        axes: Any = None,
        norm: Any = None,
        overwrite_x: bool = False,
        workers: Any = None,
        orthogonalize: bool | None = None,
    ) -> Any:
        x = _input(x)
        for n, axis in zip(*_sizes_and_axes(x, s, axes), strict=True):
            x = along(x, type, n, axis, norm, orthogonalize)
        return x


_cosines("dct", dct_, inverse=False)
_cosines("idct", dct_, inverse=True)
_cosines("dst", dst_, inverse=False)
_cosines("idst", dst_, inverse=True)


def _hankel(row: Any, x: Any, dln: Any, mu: Any, offset: Any, bias: Any) -> Any:
    what = f"a parameter of {row.name} (dln, mu, offset or bias)"
    params = dict(zip(("dln", "mu", "offset", "bias"), (fixed(p, what) for p in (dln, mu, offset, bias))))
    return bind(row, (_input(x),), params)


@_drop_in("fht", Facts(REAL_ONLY))
def fht(a: Any, dln: Any, mu: Any, offset: Any = 0.0, bias: Any = 0.0) -> Any:
    """``scipy.fft.fht``: linear in its array."""
    return _hankel(fht_, a, dln, mu, offset, bias)


@_drop_in("ifht", Facts(REAL_ONLY))
def ifht(A: Any, dln: Any, mu: Any, offset: Any = 0.0, bias: Any = 0.0) -> Any:
    """``scipy.fft.ifht``: linear in its array."""
    return _hankel(ifht_, A, dln, mu, offset, bias)


class Backend:
    """What SciPy asks before it transforms anything."""

    __ua_domain__ = "numpy.scipy.fft"

    @staticmethod
    def __ua_function__(method: Any, args: Any, kwargs: Any) -> Any:
        """Serve a call in which a traced value stands; pass every other one on."""
        if not (any(map(contains_traced, args)) or any(map(contains_traced, kwargs.values()))):
            return NotImplemented
        function = DROP_INS.get(method)
        return NotImplemented if function is None else function(*args, **kwargs)


scipy.fft.register_backend(Backend)
