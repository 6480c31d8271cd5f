"""Entries on a grid of multiples of a power of two: how likely each is, and towards what they shrink."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dualdiff.errors import InputError
from dualdiff.testing.points import Domain, domain_of

Draw = Callable[[st.SearchStrategy[Any]], Any]

SCALE = 8.0
"""Entries are no larger than this, unless told otherwise."""
BITS = 4
"""Entries are multiples of ``2**-BITS``, unless told otherwise."""
ZERO, SAME, OPPOSITE, NAMED = "zero", "same", "opposite", "named"
"""Entries that are not drawn from a level of the grid: 0, one drawn before, its negative, one the caller named."""


def multiples(domain: Domain, bits: int, scale: float) -> tuple[int, int]:
    """Return the least and the greatest ``k`` with ``k / 2**bits`` in a domain and no larger than ``scale``.

    Where there is none, the first is greater than the second.

    Examples
    --------
    >>> multiples(domain_of("positive"), 4, 8.0)
    (1, 128)
    """
    unit = 2.0**-bits
    low, high = math.ceil(max(domain.low, -scale) / unit), math.floor(min(domain.high, scale) / unit)
    if domain.open:
        low += low * unit == domain.low
        high -= high * unit == domain.high
    if not domain.zero:
        low += low == 0
        high -= high == 0
    return low, high


class Entries:
    """Draws entries of one domain: a coarse grid or a fine one, zeros, ties, and numbers the caller names.

    Simpler entries come first in what is sampled from, so that Hypothesis shrinks towards zero, then whole numbers,
    then halves.
    """

    __slots__ = ("domain", "first", "levels", "multiples", "named", "often", "unit")

    def __init__(self, domain: Any, scale: float, bits: int, including: Sequence[float], dtype: np.dtype) -> None:
        if not (isinstance(bits, int) and 0 <= bits <= 30):
            raise InputError(f"bits says of which power of two entries are multiples, from 0 to 30, not {bits!r}")
        if not (0 < scale < math.inf):
            raise InputError(f"scale is the largest modulus of an entry, a positive number, not {scale!r}")
        if dtype.kind in "iu":
            bits = 0
        self.domain = domain_of(domain)
        if dtype.kind == "u" and self.domain.low < 0:
            self.domain = replace(self.domain, low=0.0)
        self.unit = 2.0**-bits
        found = {level: multiples(self.domain, level, scale) for level in sorted({0, min(1, bits), bits})}
        self.levels = {level: ends for level, ends in found.items() if ends[0] <= ends[1]}
        if not self.levels:
            raise InputError(
                f"no multiple of 2**-{bits} up to {scale:g} lies in the domain {domain!r}; raise scale, or bits"
            )
        fine = max(self.levels)
        if scale * 2.0**fine > 2.0 ** (np.finfo(dtype).nmant + 1 if dtype.kind in "fc" else 31):
            raise InputError(
                f"{dtype} does not represent all multiples of 2**-{fine} up to {scale:g}; lower scale, or bits"
            )
        if wrong := [x for x in including if not self.domain.holds(x)]:
            raise InputError(f"including names {wrong[0]!r}, which is not in the domain {domain!r}")
        zero = (ZERO, ZERO) if self.domain.holds(0.0) else ()
        coarse = tuple(level for level in self.levels if level < fine)
        first = (*zero, *coarse, *coarse, *(NAMED,) * (2 * bool(including)), *(fine,) * 6)
        # Made once, because making a strategy takes longer than drawing from it.
        self.first, self.often = st.sampled_from(first), st.sampled_from((*first, SAME, OPPOSITE))
        self.named = st.sampled_from(tuple(map(float, including)))
        self.multiples = {n: st.integers(low, high - self.gap(low, high)) for n, (low, high) in self.levels.items()}

    def one(self, draw: Draw, before: Sequence[float] = ()) -> float:
        """Draw one entry."""
        what = draw(self.often if before else self.first)
        if what == ZERO:
            return 0.0
        if what == NAMED:
            return draw(self.named)
        if what in (SAME, OPPOSITE):
            tied = draw(st.sampled_from(before))
            return -tied if what == OPPOSITE and self.domain.holds(-tied) else tied
        return self.skipped(draw(self.multiples[what]), *self.levels[what]) * 2.0**-what

    def several(self, draw: Draw, n: int) -> list[float]:
        """Draw entries, among them some that tie."""
        found: list[float] = []
        for _ in range(n):
            found.append(self.one(draw, found))
        return found

    def distinct(self, draw: Draw, n: int, apart: float) -> list[float]:
        """Draw entries that lie at least ``apart`` from each other, and from zero where that is left out."""
        step = math.ceil(apart / self.unit)
        low, high = next(reversed(self.levels.values()))
        low, high = -(-low // step), high // step
        if not self.domain.zero:
            low, high = low + (low == 0), high - (high == 0)
        room = high - low + 1 - self.gap(low, high)
        if room < n:
            raise InputError(f"{n} entries that are {apart:g} apart do not fit into the domain; raise scale")
        ks = draw(st.lists(st.integers(low, high - self.gap(low, high)), min_size=n, max_size=n, unique=True))
        return [self.skipped(k, low, high) * step * self.unit for k in ks]

    def gap(self, low: int, high: int) -> int:
        """Return how many multiples between two are left out: zero, or none."""
        return int(not self.domain.zero and low < 0 < high)

    def skipped(self, k: int, low: int, high: int) -> int:
        """Count past the zero that is left out."""
        return k + 1 if k >= 0 and self.gap(low, high) else k


def entries_of(
    domain: Any, scale: float, bits: int, including: Sequence[float], dtype: Any
) -> tuple[Entries, np.dtype]:
    """Return what draws the entries of a dtype, and the dtype."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise InputError(f"{dtype!r} is not a dtype; the shape comes first: arrays(shape, dtype)") from None
    if kind.kind not in "fciu":
        raise InputError(f"derivatives are of real and complex numbers; the dtype {kind} is neither")
    return Entries(domain, scale, bits, including, kind), kind
