"""Stand-ins for NumPy's objects that are indexed or iterated: ``np.r_``, ``np.c_``, ``np.ndenumerate``, ``np.fromiter``.

They make plain arrays inside, in whatever way they are asked. Where nothing they are given carries a derivative they are NumPy's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dualdiff.capture.active import ACTIVE, is_active
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.shapes import shape_of
from dualdiff.values import operand


class Joined:
    """``np.r_`` or ``np.c_``: what stands in the brackets, one after the other along the first or the last axis."""

    def __init__(self, real: Any, name: str, axis: int) -> None:
        self._real, self._name, self._axis = real, name, axis

    def __getitem__(self, key: Any) -> Any:
        """Return the parts as one array."""
        parts = key if type(key) is tuple else (key,)
        if not (ACTIVE.get() and any(map(is_active, parts))):
            return self._real[key]
        if any(isinstance(p, str) for p in parts):
            raise UnsupportedFunctionError(
                f"{where()}: np.{self._name} with a directive in words is not differentiated. Write np.concatenate or np.stack with an "
                "axis."
            )
        return np.concatenate([self._whole(p) for p in parts], axis=self._axis)

    def _whole(self, part: Any) -> Any:
        """Return a part with as many axes as the result has: of ``c_`` two, a vector being a column."""
        x = np.r_[part] if type(part) is slice else operand(np.stack(part) if type(part) in (list, tuple) else part)
        if self._axis:
            return x if len(shape_of(x)) > 1 else np.reshape(x, (-1, 1))
        return x if shape_of(x) else np.reshape(x, (1,))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __len__(self) -> int:
        return 0


def _ndenumerate(real: Any) -> Callable[[Any], Any]:
    """The indices and entries of an array, entries of differentiated ones being what they are."""

    def enumerate_entries(x: Any) -> Iterator[Any]:
        for i in np.ndindex(shape_of(x)):
            yield i, x[i]

    @functools.wraps(real, updated=())
    def call(arr: Any) -> Any:
        return enumerate_entries(operand(arr)) if ACTIVE.get() and is_active(arr) else real(arr)

    return call


def _fromiter(make: Callable[..., Any]) -> Callable[..., Any]:
    """An array of what an iterator yields."""

    @functools.wraps(make)
    def call(iter: Any, dtype: Any, count: int = -1, **kwargs: Any) -> Any:
        if not ACTIVE.get():
            return make(iter, dtype, count, **kwargs)
        entries = [v for _, v in zip(range(count), iter)] if count >= 0 else list(iter)
        if any(map(is_active, entries)):
            return np.stack(entries).astype(dtype)
        return make(entries, dtype, count, **kwargs)

    return call


def indices(fromiter: Callable[..., Any]) -> list[tuple[Any, Any]]:
    """Return each of these objects with its stand-in, given the maker that stands for ``np.fromiter``."""
    return [
        (np.r_, Joined(np.r_, "r_", 0)),
        (np.c_, Joined(np.c_, "c_", -1)),
        (np.ndenumerate, _ndenumerate(np.ndenumerate)),
        (np.fromiter, _fromiter(fromiter)),
    ]


__all__ = ["indices"]
