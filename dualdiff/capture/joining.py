"""``np.r_[…]``, ``np.c_[…]`` and ``np.ndenumerate``: NumPy's own Python code, which makes plain arrays of what it is given.

What moves where is found by moving positions: NumPy joins arrays of integers, and the answer says which entry stands where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dualdiff.capture.active import is_active
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import operand


class Joining:
    """An object of NumPy's that joins what stands in its brackets."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getitem__(self, key: Any) -> Any:
        items = key if type(key) is tuple else (key,)
        if not any(map(is_active, items)):
            return self._real[key]
        places: list[Any] = []
        entries: list[Any] = []
        start = 0
        for item in items:
            if isinstance(item, str):
                if item in ("r", "c"):
                    raise UnsupportedFunctionError(
                        f"{where()}: np.r_[{item!r}, …] makes a np.matrix, which has rules of its own. Use np.stack, np.vstack or "
                        "np.hstack."
                    )
                places.append(item)
                continue
            x = operand(self._real[item] if isinstance(item, slice) else item)
            n = size_of(shape_of(x))
            places.append(np.arange(start, start + n).reshape(shape_of(x)) if shape_of(x) else start)
            entries.append(x)
            start += n
        dtype = np.result_type(*[x if type(x) in (int, float, complex) else dtype_of(x) for x in entries])
        flat = np.concatenate([np.reshape(x, -1) for x in entries])
        return np.take(flat if dtype_of(flat) == dtype else flat.astype(dtype), np.asarray(self._real[tuple(places)]))

    def __len__(self) -> int:
        return len(self._real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _ndenumerate(a: Any) -> Any:
    """Return an iterator over the places and entries of an array."""
    if not is_active(a):
        return np.ndenumerate(a)
    x = operand(a)
    return _entries(x, np.ndindex(shape_of(x)))


def _entries(x: Any, places: Any) -> Iterator[Any]:
    for at in places:
        yield at, x[at]


def joining() -> dict[Any, Callable[..., Any] | Joining]:
    """Return what stands for each of these."""
    return {np.r_: Joining(np.r_), np.c_: Joining(np.c_), np.ndenumerate: _ndenumerate}


__all__ = ["Joining", "joining"]
