"""Stand-ins for what goes through entries one by one: ``np.ndenumerate`` and ``np.fromiter``.

They make plain arrays inside. Where nothing they are given carries a derivative they are NumPy's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dualdiff.capture.active import ACTIVE, is_active
from dualdiff.shapes import shape_of
from dualdiff.values import operand


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
        (np.ndenumerate, _ndenumerate(np.ndenumerate)),
        (np.fromiter, _fromiter(fromiter)),
    ]


__all__ = ["indices"]
