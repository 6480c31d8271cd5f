"""Generators of random numbers that shuffle and choose among traced entries: what moves where is drawn with plain numbers."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from dualdiff.capture.active import any_active, is_active, plain_call
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import operand


class Random:
    """A generator: its moves of traced entries are those it makes of their positions, its numbers are its own."""

    def __init__(self, real: Any) -> None:
        self.__dict__["_real"] = real

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._real)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        if name in _MOVES:
            return _moving(method)
        if name == "shuffle":
            return _shuffling(method)
        return _drawing(method) if callable(method) and not name.startswith("_") else method

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)

    def __repr__(self) -> str:
        return repr(self._real)


_MOVES = ("permutation", "permuted", "choice")


def _positions(x: Any) -> Any:
    return np.arange(size_of(shape_of(x))).reshape(shape_of(x))


def _moving(method: Any) -> Any:
    """A method that returns entries of its first argument in other places."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_active(x):
            return method(x, *args, **kwargs)
        x = operand(x)
        return np.take(np.reshape(x, -1), method(_positions(x), *args, **kwargs))

    return call


def _shuffling(method: Any) -> Any:
    """A method that moves the entries of its argument in place."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_active(x) or isinstance(x, list):
            return method(x, *args, **kwargs)
        moved = _positions(x)
        method(moved, *args, **kwargs)
        x[...] = np.take(np.reshape(x, -1).copy(), moved)
        return None

    return call


def _drawing(method: Any) -> Any:
    """A method that draws numbers: the distribution's parameters are plain."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any_active(args, kwargs):
            raise UnsupportedFunctionError(
                f"{where()}: {method.__name__} draws random numbers, and its argument is being differentiated. Draw standard ones "
                "and transform them (mu + s * rng.standard_normal(n), a + (b - a) * rng.random(n)), or freeze the argument on "
                "purpose with dd.stop_gradient(x)."
            )
        return plain_call(method, args, kwargs)

    return call


def drawing() -> dict[Any, Any]:
    """Return what stands for the functions of ``numpy.random`` that draw numbers."""
    found = {
        n: getattr(np.random, n)
        for n in np.random.__all__
        if n not in ("seed", "get_state", "set_state", "default_rng")
    }
    return {f: _drawing(f) for n, f in found.items() if callable(f) and not isinstance(f, type)}


def making(real: Any) -> Any:
    """A function or class that makes a generator."""

    def make(*args: Any, **kwargs: Any) -> Any:
        return Random(real(*args, **kwargs))

    return make


GENERATORS = (np.random.Generator, np.random.RandomState)
"""The classes of generators."""

__all__ = ["GENERATORS", "Random", "drawing", "making"]
