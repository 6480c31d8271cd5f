"""Domains as intervals, and the multiples of a power of two that lie in them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dualdiff.errors import InputError

Ends = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers between two ends, with or without the ends, and with or without zero.

    Attributes
    ----------
    low, high : float
        The ends; infinity where there is none.
    open : bool
        Whether the ends are left out.
    nonzero : bool
        Whether zero is left out.
    """

    low: float = -math.inf
    high: float = math.inf
    open: bool = True
    nonzero: bool = False

    def __contains__(self, x: float) -> bool:
        inside = self.low < x < self.high if self.open else self.low <= x <= self.high
        return inside and not (self.nonzero and x == 0)

    def multiples(self, bits: int, scale: float) -> tuple[int, int]:
        """Return the least and the greatest ``k`` with ``k / 2**bits`` inside and no larger than ``scale``.

        Where there is none, the first is greater than the second.

        Examples
        --------
        >>> DOMAINS["unit"].multiples(4, 8.0)
        (-15, 15)
        """
        unit = 2.0**-bits
        low, high = math.ceil(max(self.low, -scale) / unit), math.floor(min(self.high, scale) / unit)
        if self.open:
            low += low * unit == self.low
            high -= high * unit == self.high
        if self.nonzero:
            low += low == 0
            high -= high == 0
        return low, high


DOMAINS: dict[str, Interval] = {
    "real": Interval(),
    "nonzero": Interval(nonzero=True),
    "positive": Interval(0.0),
    "nonnegative": Interval(0.0, open=False),
    "negative": Interval(high=0.0),
    "unit": Interval(-1.0, 1.0),
    "probability": Interval(0.0, 1.0),
    "inner": Interval(0.0, 1.0),
    "above minus one": Interval(-1.0),
    "above half": Interval(0.5),
    "above one": Interval(1.0),
    "above two": Interval(2.0),
    "above three": Interval(3.0),
}
"""The intervals that the tables of rules name as domains."""


def interval(domain: str | Ends | Interval) -> Interval:
    """Return the interval that a name, a pair of ends (both included) or an interval means.

    Examples
    --------
    >>> 1.0 in interval((0.0, 1.0)), 1.0 in interval("inner")
    (True, False)
    """
    if isinstance(domain, Interval):
        return domain
    if isinstance(domain, str):
        if domain not in DOMAINS:
            raise InputError(f"there is no domain {domain!r}; there are {', '.join(DOMAINS)}, or write (low, high)")
        return DOMAINS[domain]
    try:
        low, high = map(float, domain)
    except (TypeError, ValueError):
        raise InputError(f"a domain is a name or a pair (low, high), not {domain!r}") from None
    if not low <= high:
        raise InputError(f"the domain {domain!r} is empty: its low end is above its high end")
    return Interval(low, high, open=False)
