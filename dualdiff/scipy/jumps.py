r"""Where a function that a solver integrates jumps, and whether that place moves with what is differentiated.

Let the slope of a solution jump from f⁻ to f⁺ as it crosses g(t, y, p) = 0. The sensitivities s jump there too,

.. math:: s^+ = s^- + (f^+ - f^-)\,\frac{g_y s^- + g_p}{g_t + g_y f^-},

unless nothing moves the crossing. Linearised steps do not know of that, nor does the integral of a derivative know of the jumps of its
integrand. So a path through the arguments is looked at: between places where decisions are taken otherwise, or where the value goes
on changing however near they come, the crossing is enclosed to rounding. Beside it the least change of an argument shows whether it moves.

References
----------
Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I*, 2nd ed., Springer 1993, sections I.14 and II.6,
doi:10.1007/978-3-540-78862-1. Leine & Nijmeijer, *Dynamics and Bifurcations of Non-Smooth Mechanical Systems*, Springer 2004,
doi:10.1007/978-3-540-44398-8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.errors import JumpError
from dualdiff.scipy.points import Points

_BITS = 50
_REMAINS = 0.3
"""So much of the change over a wider interval a jump is at the least: half of it, where the place itself has a value in the middle."""
_PERSISTS = 0.6
"""A part of an interval over which so much of the change goes on is looked into: of what is smooth, each half has half."""
_MOST = 1 << 12
_MOST_BY_VALUES = 16
"""Intervals that are looked into; of values that are rough through and through, these are the worst."""
_SAMPLE = 64
_NOISE = 1e-10
"""A change below this, of the size that a function has along a path, is none."""
_ROUGH = 1e-8
"""The same where nothing but values tells, which may be those of another solver."""
_NUDGES = (1e-9, 1e-7)
"""By how much of its size an argument is changed beside a crossing."""
BESIDE = 1e-6
"""How far from the end of a path, of the way to its neighbour, it is looked at: the side at the end itself is a matter of rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Jump:
    """A place where a function jumps: arguments on either side, beside each other, the values there, and which entries jump, most first."""

    before: Any
    after: Any
    value: Any
    value_after: Any
    entries: Any


def _enclosed(look: Callable[[Any], Any], path: Any, size_of: Callable[[Any, Any], Any], parts: int, most: int) -> Any:
    """Return the ends of intervals, as narrow as rounding lets them be, over which what is seen changes, and those of wider ones.

    None where nothing is seen.
    """
    seen = look(path)
    if seen is None:
        return None
    a, b, at_a, at_b = path[:-1], path[1:], seen[:-1], seen[1:]
    size, part = size_of(at_a, at_b), np.arange(len(a))
    for n in range(1 + int(np.ceil(_BITS / np.log2(parts)))):
        keep = np.argsort(-size, kind="stable")[: None if n < 3 else most]
        keep = np.sort(keep[size[keep] > 0])
        a, b, at_a, at_b, size, part = [x[keep] for x in (a, b, at_a, at_b, size, part)]
        if not len(a) or n * np.log2(parts) >= _BITS:
            break
        x = np.arange(1, parts)[:, None] / parts
        inner = a[:, None] + x * (b - a)[:, None]
        seen = look(inner.reshape(-1, path.shape[1]))
        if seen is None:
            return None
        within = seen.reshape(len(a), parts - 1, -1)
        ends = [np.concatenate([a[:, None], inner], 1), np.concatenate([inner, b[:, None]], 1)]
        ends += [np.concatenate([at_a[:, None], within], 1), np.concatenate([within, at_b[:, None]], 1)]
        found = size_of(ends[2], ends[3])
        keep = found > _PERSISTS * size[:, None]
        part = np.broadcast_to(part[:, None], keep.shape)[keep]
        a, b, at_a, at_b, size = *[end[keep] for end in ends], found[keep]
    return a, b, a + BESIDE * (path[part] - a), b + BESIDE * (path[part + 1] - b)


Varied = dict[int, Any]
"""Inputs of a function by their numbers: what each is at some points, one in a row."""


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of several inputs, which is looked at along a path through some of them.

    Attributes
    ----------
    one_by_one : callable
        Of :data:`Varied`: the values, one in a row.
    parts : callable
        Of places along the path, one in a row: what the inputs are there.
    points : Points, optional
        The same function at many points at a time.
    """

    one_by_one: Callable[[Varied], Any]
    parts: Callable[[Any], Varied]
    points: Points | None = None

    def at(self, varied: Varied) -> Any:
        """Return the values at some points."""
        values = None if self.points is None else self.points.values(varied)
        return self.one_by_one(varied) if values is None else values

    def jumps(self, path: Any, rtol: float) -> list[Jump]:
        """Return where it jumps along a path, by more than ``rtol`` of the size that an entry has there."""
        sides = None if self.points is None else _enclosed(self._decided, path, _other, 16, _MOST)
        if sides is not None and not len(sides[0]):
            return []
        seen = self.at(self.parts(path if sides is None else path[:: 1 + len(path) // _SAMPLE]))
        scale = np.max(np.abs(seen), axis=0, initial=0.0) + 1e-300
        if sides is None:
            floor, known = max(rtol, _ROUGH), [seen]

            def steep(a: Any, b: Any) -> Any:
                size = np.max(np.abs(b - a) / scale, axis=-1, initial=0.0)
                return np.where(size > floor, size, 0.0)

            def look(places: Any) -> Any:
                return known.pop() if known else self.at(self.parts(places))

            sides = _enclosed(look, path, steep, 2, _MOST_BY_VALUES)
            if not len(sides[0]):
                return []
        found = []
        values = [self.at(self.parts(side)) for side in sides]
        for a, b, u, v, u_wide, v_wide in zip(*sides[:2], *values, strict=True):
            excess = np.abs(v - u) / np.maximum(_NOISE * scale, rtol * np.maximum(np.abs(u), np.abs(v)))
            excess = np.where(
                np.abs(v - u) > _REMAINS * np.abs(v_wide - u_wide), excess, 0.0
            )  # a root is steep, and has no jump
            if np.any(excess > 1):
                found.append(Jump(a, b, u, v, np.argsort(-excess)[: np.sum(excess > 1)]))
        return found

    def _decided(self, places: Any) -> Any:
        codes = self.points.decisions(self.parts(places))  # type: ignore[union-attr]
        return None if codes is None else codes[:, None]

    def moves(self, jump: Jump, inputs: dict[int, tuple[Any, Any]]) -> list[int]:
        """Return with which inputs a jump moves: ``inputs`` holds what they are, and how large their entries are."""
        random = np.random.default_rng(0)
        k = jump.entries[0]
        here = np.array([[jump.value[k]], [jump.value_after[k]]])
        ends = self.parts(np.repeat([jump.before, jump.after], 2 * len(_NUDGES), axis=0))
        found = []
        for i, (x, size) in inputs.items():
            direction = np.where(np.equal(size, 0), 1.0, size) * random.uniform(0.5, 1.5, np.shape(x))
            by = np.multiply.outer(np.tile([*_NUDGES, *[-n for n in _NUDGES]], 2), direction)
            beside = self.at({**ends, i: ends.get(i, x) + by})[:, k].reshape(2, 2, -1)
            # Half of what lies beside a place that moves is on the other side of it; what is smooth cancels.
            changed = (np.sum(beside, axis=1) - 2 * here) / (here[::-1] - here)
            if np.any(np.real(changed) > 0.5):
                found.append(i)
        return found


def _other(a: Any, b: Any) -> Any:
    return np.any(a != b, axis=-1).astype(float)


def differs(
    f: Callable[[Any, Any], Any], here: tuple[float, Any], neighbour: tuple[float, Any], near: float = 1e-2 * BESIDE
) -> tuple[float, Any] | None:
    """Return a place beside another one, towards a neighbour, if the value there differs however near it is; None otherwise."""
    t, y = here
    t_far, y_far = neighbour

    def beside(part: float) -> tuple[float, Any]:
        return t + part * (t_far - t), y + part * (y_far - y)

    value = np.asarray(f(t, y))
    wide, narrow = [np.abs(np.asarray(f(*beside(part))) - value) for part in (BESIDE, near)]
    return beside(BESIDE) if np.any((narrow > 0.5 * wide) & (narrow > 1e-6 * np.abs(value))) else None


def error(place: str, what: str, variable: str, jump: Jump, moved_by: str, state: Any, instead: str) -> JumpError:
    """Return what says that a jump moves."""
    k, more = int(jump.entries[0]), len(jump.entries) - 1
    t = float(np.real(jump.before[0]))
    entry = "" if len(jump.value) == 1 else f" in entry {k}" + (f" and {more} more" if more else "")
    at = "" if state is None else f", y = {np.array2string(np.asarray(state), precision=4, threshold=6, edgeitems=2)}"
    return JumpError(
        f"{place}: {what} jumps{entry} from {jump.value[k]:.4g} to {jump.value_after[k]:.4g} at {variable} = {t:.6g}{at}, "
        f"and that place moves with {moved_by}, so that its share of the derivative is missing. {instead}",
        t, state, jump.entries,
    )  # fmt: skip


__all__ = ["BESIDE", "Function", "Jump", "Varied", "differs", "error"]
