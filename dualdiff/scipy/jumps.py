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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.errors import JumpError
from dualdiff.scipy.points import Points

_BITS = 50
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
    """A place where a function jumps: arguments on either side, beside each other, and the values there."""

    before: Any
    after: Any
    value: Any
    value_after: Any

    @property
    def height(self) -> Any:
        """By how much each entry jumps."""
        return self.value_after - self.value


def _enclosed(look: Callable[[Any], Any], path: Any, size_of: Callable[[Any, Any], Any], parts: int, most: int) -> Any:
    """Return the ends of intervals, as narrow as rounding lets them be, over which what is seen changes; None where nothing is seen."""
    seen = look(path)
    if seen is None:
        return None
    a, b, at_a, at_b = path[:-1], path[1:], seen[:-1], seen[1:]
    size = size_of(at_a, at_b)
    for n in range(1 + int(np.ceil(_BITS / np.log2(parts)))):
        keep = np.argsort(-size, kind="stable")[: None if n < 3 else most]
        keep = np.sort(keep[size[keep] > 0])
        a, b, at_a, at_b, size = a[keep], b[keep], at_a[keep], at_b[keep], size[keep]
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
        a, b, at_a, at_b, size = *[end[keep] for end in ends], found[keep]
    return a, b


def found(f: Callable[[Any], Any], path: Any, points: Points | None, parts: Any, rtol: float) -> list[Jump]:
    """Return where a function jumps along a path.

    Parameters
    ----------
    f : callable
        Of places, one in a row, the values there, one in a row.
    path : array
        Places from one to the next of which the way is straight.
    points : Points, optional
        The function at many points.
    parts : callable
        What ``points`` is given of places.
    rtol : float
        A jump less than this, of the size that the entry has there, is none.
    """
    sides = None
    if points is not None:

        def decided(places: Any) -> Any:
            codes = points.decisions(parts(places))
            return None if codes is None else codes[:, None]

        sides = _enclosed(decided, path, lambda a, b: np.any(a != b, axis=-1).astype(float), 16, _MOST)
        if sides is not None and not len(sides[0]):
            return []
    scale = np.max(np.abs(f(path[:: 1 + len(path) // _SAMPLE])), axis=0, initial=0.0) + 1e-300
    if sides is None:
        sides = _by_values(lambda places: points and points.values(parts(places)), path, scale, max(rtol, _ROUGH))
    if sides is None:
        sides = _by_values(f, path, scale, max(rtol, _ROUGH))
    found = []
    for a, b, u, v in zip(*sides, f(sides[0]), f(sides[1]), strict=True) if len(sides[0]) else ():
        if np.any(np.abs(v - u) > np.maximum(_NOISE * scale, rtol * np.maximum(np.abs(u), np.abs(v)))):
            found.append(Jump(a, b, u, v))
    return found


def _by_values(f: Callable[[Any], Any], path: Any, scale: Any, floor: float) -> Any:
    """Return the ends of narrow intervals over which a value changes for all that."""

    def steep(a: Any, b: Any) -> Any:
        size = np.max(np.abs(b - a) / scale, axis=-1, initial=0.0)
        return np.where(size > floor, size, 0.0)

    return _enclosed(f, path, steep, 2, _MOST_BY_VALUES)


def moves(jump: Jump, f: Callable[..., Any], arguments: Sequence[Any], sizes: Sequence[Any]) -> list[int]:
    """Return with which arguments a jump moves.

    Parameters
    ----------
    f : callable
        Of whether the place is that after the jump, and of what is added to the arguments there: the value.
    arguments, sizes : sequence of array
        What each is, and how large its entries are.
    """
    random = np.random.default_rng(0)
    k = int(np.argmax(np.abs(jump.height) / (np.abs(jump.value) + np.abs(jump.value_after) + 1e-300)))
    found = []
    for i, (x, size) in enumerate(zip(arguments, sizes, strict=True)):
        direction = np.where(np.equal(size, 0), 1.0, size) * random.uniform(0.5, 1.5, np.shape(x))
        changes = [
            (f(after, i, nudge * direction)[k] + f(after, i, -nudge * direction)[k] - 2 * here[k]) / sign / jump.height[k]
            for nudge in _NUDGES
            for after, here, sign in ((False, jump.value, 1.0), (True, jump.value_after, -1.0))
        ]
        if np.any(np.real(changes) > 0.5):
            found.append(i)
    return found


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
    k = np.flatnonzero(np.abs(jump.height) > 1e-3 * np.max(np.abs(jump.height)))
    t = float(np.real(jump.before[0]))
    entries = "" if len(jump.height) == 1 else f" in entry {', '.join(map(str, k[:3]))}{' …' if len(k) > 3 else ''}"
    at = "" if state is None else f", y = {np.array2string(np.asarray(state), precision=4, threshold=6, edgeitems=2)}"
    return JumpError(
        f"{place}: {what} jumps{entries} from {jump.value[k[0]]:.4g} to {jump.value_after[k[0]]:.4g} at {variable} = {t:.6g}{at}, and that place "
        f"moves with {moved_by}, so that its share of the derivative is missing. {instead}",
        t, state, k,
    )  # fmt: skip


__all__ = ["BESIDE", "Jump", "differs", "error", "found", "moves"]
