"""``KDTree`` and ``cKDTree``: SciPy finds who is near, and the distances to whom it found are differentiated."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import spatial

from dualdiff.capture.active import is_active
from dualdiff.capture.names import drop_in_kind
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.scipy.objects import Standing
from dualdiff.scipy.room import Room, like
from dualdiff.scipy.spatial.distances import METRICS
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import decided, fixed, operand

ROOM = Room("scipy.spatial")


def double(x: Any) -> Any:
    """Return points in double precision."""
    x = operand(x)
    return x if dtype_of(x) == np.float64 else x.astype(np.float64)


class Tree(Standing):
    """A tree of points that carry a derivative, or that may be asked about such.

    Attributes
    ----------
    data : array
        The points.
    """

    def __init__(self, real: Any, data: Any) -> None:
        super().__init__(real)
        self.data = data

    def query(
        self, x: Any, k: Any = 1, eps: Any = 0, p: Any = 2, distance_upper_bound: Any = np.inf, workers: int = 1
    ) -> Any:
        """Return the distances to the nearest points, and their numbers, which are constant between places where they change."""
        x = double(x)
        p, far = fixed(p, "the norm of a query"), fixed(distance_upper_bound, "the bound of a query")
        plain = decided(x)
        distances, numbers = self._real.query(plain, k, eps, p, far, workers)
        found = np.asarray(numbers)
        if not is_active((x, self.data)):
            return distances, numbers
        missing = found >= self._real.n
        ahead = np.reshape(x, (*shape_of(x)[:-1], *(1,) * (found.ndim - plain.ndim + 1), shape_of(x)[-1]))
        near = self.data[np.where(missing, 0, found)]
        box = self._real.boxsize
        if box is not None:
            size = np.where(box > 0, box, np.inf)
            ahead = ahead - np.where(box > 0, box, 0.0) * np.round((decided(ahead) - decided(near)) / size)
        measured = METRICS["minkowski"](ahead, near, None, p)
        return np.where(missing, np.inf, measured), numbers

    def sparse_distance_matrix(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: which pairs are there depends on the points."""
        raise UnsupportedFunctionError(
            f"{where()}: KDTree.sparse_distance_matrix is not differentiated. Take the pairs (i, j) of query_pairs or query_ball_tree, and "
            "their distances np.linalg.norm(x[i] - y[j], axis=-1)."
        )

    def _counted(self, name: str, args: Any, kwargs: Any) -> Any:
        plain = [a._real if type(a) is Tree else decided(operand(a)) if is_active(a) else a for a in args]
        return getattr(self._real, name)(*plain, **{k: fixed(v, f"{k} of {name}") for k, v in kwargs.items()})

    def query_ball_point(self, *args: Any, **kwargs: Any) -> Any:
        """As SciPy's: numbers of points."""
        return self._counted("query_ball_point", args, kwargs)

    def query_ball_tree(self, *args: Any, **kwargs: Any) -> Any:
        """As SciPy's: numbers of points."""
        return self._counted("query_ball_tree", args, kwargs)

    def count_neighbors(self, *args: Any, **kwargs: Any) -> Any:
        """As SciPy's: a number of points."""
        return self._counted("count_neighbors", args, kwargs)


def _made(kind: Any) -> Any:
    def tree(data: Any, *args: Any, **kwargs: Any) -> Any:
        data = double(data)
        return Tree(kind(decided(data), *args, **kwargs), data)

    return like(kind, tree)


for _kind in (spatial.KDTree, spatial.cKDTree):
    ROOM.constructor(_kind, always=True)(_made(_kind))
    drop_in_kind(_kind, lambda real: Tree(real, np.asarray(real.data)))


def _asked(name: str) -> None:
    @ROOM.method(spatial.KDTree, name, "composite" if name == "query" else "discrete")
    def ask(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(Tree(self, np.asarray(self.data)), name)(*args, **kwargs)


for _name in ("query", "query_ball_point"):
    _asked(_name)


__all__ = ["ROOM", "Tree", "double"]
