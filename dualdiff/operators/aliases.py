"""Arguments that share memory: what is written through one of them would show in the others.

Each argument is traced by itself, so a write into one would not reach its twin. Reading is all that most functions do,
and costs nothing; a write raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.containers import plain
from dualdiff.kinds import Movement
from dualdiff.rules.indexing import positions
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import TRACED, Traced, ndarray
from dualdiff.views import Twin

MOST_PAIRS = 1000
"""So many pairs of parts of one array are compared; where more lie among each other, all of them count as shared."""
MOST_WORK = 1000
"""The candidates that NumPy may try for a common entry of two arrays (see ``np.shares_memory``)."""


def shared(xs: Sequence[Any]) -> set[int]:
    """Return the places of the arrays that share memory with another one of the sequence.

    Plain arrays and traced ones alike; anything else shares nothing. It takes time in proportion to the number of
    arrays, unless many are parts of one.
    """
    roots = [id(r) for x in xs if (r := _root(x)) is not None]
    if len(set(roots)) == len(roots):
        return set()
    groups: dict[int, list[int]] = {}
    for i, x in enumerate(xs):
        root = _root(x)
        if root is not None:
            groups.setdefault(id(root), []).append(i)
    found: set[int] = set()
    for group in groups.values():
        if len(group) > 1:
            found |= _overlapping(group, xs)
    return found


def _root(x: Any) -> Any:
    """Return the object whose memory an array shows, or None where there is none to share."""
    if type(x) is not ndarray:
        x = plain(x)
    if type(x) in TRACED:
        while x.link is not None and x.link.base is not None:
            x = x.link.base
        return x
    if not isinstance(x, ndarray):
        return None
    while (base := x.obj if type(x) is memoryview else getattr(x, "base", None)) is not None:
        x = base  # an array, or what NumPy and others put between: a buffer, an object that shows an array's memory
    return x


def _overlapping(group: list[int], xs: Sequence[Any]) -> set[int]:
    """Return those of a group of parts of one memory that have entries in common with another."""
    spans = sorted((*_span(xs[i]), i) for i in group if size_of(shape_of(xs[i])))
    found: set[int] = set()
    pairs = 0
    for n, (_, end, i) in enumerate(spans):
        for start, _, j in spans[n + 1 :]:
            if start >= end:
                break
            pairs += 1
            if pairs > MOST_PAIRS:
                return set(group)
            if _meet(plain(xs[i]), plain(xs[j])):
                found |= {i, j}
    return found


def _span(x: Any) -> tuple[int, int]:
    """Return the first place of an array and the one behind its last, in memory or among the entries of its root."""
    x = plain(x)
    if type(x) in TRACED:
        at = _entries(x)
        return (int(at.min()), int(at.max()) + 1) if at.size else (0, 0)
    return np.lib.array_utils.byte_bounds(x)


def _meet(x: Any, y: Any) -> bool:
    if x is y:
        return True
    if type(x) in TRACED:
        return bool(np.isin(_entries(x), _entries(y)).any())
    try:
        return np.shares_memory(x, y, max_work=MOST_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _entries(x: Traced) -> Any:
    """Return which entries of its root a traced array shows."""
    link = x.link
    if link is None or link.base is None:
        return positions(shape_of(x))
    whole = _entries(link.base)
    return link.primitive.fn(whole, **link.params) if isinstance(link.primitive, Movement) else whole


def guarded(x: Any, twin: Twin) -> Any:
    """Return an argument that refuses writes: a traced one itself, of a plain array a view."""
    if type(x) in TRACED:
        if size_of(shape_of(x)):
            twin.guard(x)
        return x
    if isinstance(x, ndarray):
        x = x.view()
        x.flags.writeable = False
    return x
