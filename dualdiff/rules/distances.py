"""Squared distances of all pairs of points, and their roots: a root has a kink where two points coincide, its square has none."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.kinds import Elementwise, General, Sweep
from dualdiff.kinds.kinks import Kink
from dualdiff.labels import Labels
from dualdiff.rules.elementwise import over
from dualdiff.shapes import shape_of
from dualdiff.values import bind, number

distance_ = Elementwise(
    "distance",
    lambda squared: number(np.sqrt(squared)),
    lambda d, _squared: over(0.5, d),
)
distance_.plain = False
distance_.under = lambda squared: squared
distance_.kink = Kink(
    lambda d, _squared: np.abs(d),
    "0",
    "differentiate the squared distance, or add a small number under the root",
    "the distance of points that coincide",
)


def distance(squared: Any) -> Any:
    """Return a distance, given its square; where points coincide its slope is 0."""
    return bind(distance_, (squared,), {})


# --------------------------------------------------------------------------------------------------
# of all pairs: coordinate by coordinate, so that no array is larger than the result


def _squares(a: Any, b: Any) -> Any:
    from scipy.spatial.distance import cdist

    return cdist(a, b, "sqeuclidean")


def _apart(a: Any, b: Any, k: int) -> Any:
    return a[..., :, k, None] - b[..., None, :, k]


def _push(sweep: Sweep, ts: Any, out: Any, a: Any, b: Any) -> Any:
    ta, tb = ts
    total: Any = 0.0
    for k in range(shape_of(a)[-1]):
        if ta is None:
            moved = -tb[..., None, :, k]
        else:
            moved = ta[..., :, k, None] if tb is None else _apart(ta, tb, k)
        total = total + 2 * _apart(a, b, k) * moved
    return total


def _pull(sweep: Sweep, g: Any, out: Any, a: Any, b: Any) -> Any:
    by_a, by_b = [], []
    for k in range(shape_of(a)[-1]):
        part = 2 * g * _apart(a, b, k)
        by_a.append(np.sum(part, axis=-1))
        by_b.append(-np.sum(part, axis=-2))
    return np.stack(by_a, axis=-1), np.stack(by_b, axis=-1)


def _joins(k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
    """Say that a distance hangs on one point of each set."""
    (rows, width), (m, n) = shape_of(args[k]), shape_of(out)
    own = np.broadcast_to(np.arange(m)[:, None] if k == 0 else np.arange(n), (m, n))
    return np.reshape(own, -1), np.repeat(np.arange(rows), width)


squares_ = General("scipy.spatial.distance.cdist", _squares, _push, _pull, keeps=(False, (True, True)), joins=_joins)


def squares(a: Any, b: Any) -> Any:
    """Return the squared distances of all pairs of rows of two matrices."""
    if not shape_of(a)[1]:
        return np.zeros((shape_of(a)[0], shape_of(b)[0]))
    return bind(squares_, (a, b), {})


__all__ = ["distance", "distance_", "squares", "squares_"]
