"""Generators of random numbers that shuffle and choose among traced entries: what moves where is drawn with plain numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.capture.active import is_active
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import operand


def _positions(x: Any) -> Any:
    return np.arange(size_of(shape_of(x))).reshape(shape_of(x))


def _moved(method: Any, x: Any, args: Any, kwargs: Any) -> Any:
    """Return entries of an array in other places, as a generator's method moves them."""
    if not is_active(x):
        return method(x, *args, **kwargs)
    x = operand(x)
    return np.take(np.reshape(x, -1), method(_positions(x), *args, **kwargs))


def _shuffled(method: Any, x: Any, args: Any, kwargs: Any) -> None:
    """Move the entries of an array in place."""
    if not is_active(x) or isinstance(x, list):
        method(x, *args, **kwargs)
        return
    moved = _positions(x)
    method(moved, *args, **kwargs)
    x[...] = np.take(np.reshape(x, -1).copy(), moved)


class Random(np.random.Generator):
    """A generator that draws from another one's source of bits, as that one does."""

    def __init__(self, real: np.random.Generator) -> None:
        super().__init__(real.bit_generator)

    def permutation(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As NumPy's."""
        return _moved(super().permutation, x, args, kwargs)

    def permuted(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As NumPy's."""
        return _moved(super().permuted, x, args, kwargs)

    def choice(self, a: Any, *args: Any, **kwargs: Any) -> Any:
        """As NumPy's."""
        return _moved(super().choice, a, args, kwargs)

    def shuffle(self, x: Any, *args: Any, **kwargs: Any) -> None:
        """As NumPy's."""
        _shuffled(super().shuffle, x, args, kwargs)


class Legacy:
    """The same for the older class, which keeps more than its source of bits."""

    def __init__(self, real: np.random.RandomState) -> None:
        self.__dict__["_real"] = real

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._real)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        if name not in ("permutation", "choice", "shuffle"):
            return method
        moving = _shuffled if name == "shuffle" else _moved

        def call(x: Any, *args: Any, **kwargs: Any) -> Any:
            return moving(method, x, args, kwargs)

        call.__name__ = name  # as messages call it
        vars(call)["__self__"] = method.__self__
        return call

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)

    def __repr__(self) -> str:
        return repr(self._real)


def standing_for(real: Any) -> Any:
    """Return what stands for a generator."""
    if isinstance(real, Random):
        return real
    return Random(real) if isinstance(real, np.random.Generator) else Legacy(real)


def making(real: Any) -> Any:
    """A function or class that makes a generator."""

    def make(*args: Any, **kwargs: Any) -> Any:
        return standing_for(real(*args, **kwargs))

    return make


GENERATORS = (np.random.Generator, np.random.RandomState)
"""The classes of generators."""

__all__ = ["GENERATORS", "making", "standing_for"]
