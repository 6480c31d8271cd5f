"""A function along a straight line: the values that a witness has to go by, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.shapes import dtype_of

Flat = Callable[[list[Any]], list[Any]]


def wide(x: Any) -> Any:
    """Return ``x`` in at least double precision."""
    x = np.asarray(x)
    return x.astype(np.result_type(x.dtype, np.float64)) if x.dtype.kind in "fc" else x.astype(np.float64)


class Line:
    """The function t ↦ f(x + t·v), which keeps count of its evaluations.

    Parameters
    ----------
    f : callable
        It takes and returns flat lists of arrays.
    x, v : sequence of array
        Point and direction, both taken in at least double precision.
    here : sequence of array, optional
        f(x), where that is known.
    limit : int or None
        How many evaluations are allowed; once they are used up, :meth:`at` knows no more values.

    Attributes
    ----------
    here : list of array
        f(x).
    evaluations : int
        How often ``f`` was called.
    """

    def __init__(
        self,
        f: Flat,
        x: Sequence[Any],
        v: Sequence[Any],
        limit: int | None = None,
        here: Sequence[Any] | None = None,
    ) -> None:
        self.f = f
        self.x, self.v = [wide(a) for a in x], [wide(d) for d in v]
        self.limit = limit
        self.evaluations = 0
        self.spent = False
        with np.errstate(all="ignore"):
            self.here = self._call(0.0) if here is None else [np.array(y) for y in here]
        self.rounding = [
            float(np.finfo(y.dtype).eps) if y.dtype.kind in "fc" else float(np.finfo(np.float64).eps) for y in self.here
        ]

    def _call(self, t: Any) -> list[Any]:
        self.evaluations += 1
        moved = [(a + t * d)[()] for a, d in zip(self.x, self.v, strict=True)]
        return [np.array(y) for y in self.f(moved)]

    def at(self, t: Any) -> list[Any] | None:
        """Return f(x + t·v), or None where ``f`` raises, whatever it raises: that point is outside its domain."""
        if self.limit is not None and self.evaluations >= self.limit:
            self.spent = True
            return None
        with np.errstate(all="ignore"):
            try:
                found = self._call(t)
            except Exception:  # whatever the function says of a point that it does not like
                return None
        return found if len(found) == len(self.here) else None

    @property
    def is_real(self) -> bool:
        """Whether point and direction are real."""
        return all(dtype_of(a).kind != "c" for a in (*self.x, *self.v))
