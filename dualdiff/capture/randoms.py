"""Generators of random numbers that shuffle and choose among traced entries: what moves where is drawn with plain numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.capture.active import is_active
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
        return method

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

    call.__name__ = method.__name__  # as messages call it
    vars(call)["__self__"] = method.__self__
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


def making(real: Any) -> Any:
    """A function or class that makes a generator."""

    def make(*args: Any, **kwargs: Any) -> Any:
        return Random(real(*args, **kwargs))

    return make


GENERATORS = (np.random.Generator, np.random.RandomState)
"""The classes of generators."""

__all__ = ["GENERATORS", "Random", "making"]
