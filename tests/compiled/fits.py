"""The numbers of the kernels, found anew: ``python -m tests.compiled.fits`` prints what ``dualdiff/compiled/coefficients.py`` holds.

The best polynomial of a degree for the largest error on an interval is found by exchanging points where the error alternates (E. Ya. Remez,
1934; J.-M. Muller, *Elementary Functions*, 3rd ed., Birkhäuser 2016, doi:10.1007/978-1-4899-7983-4, chapter 3), and its coefficients
are rounded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

from mpmath import mp, mpf

DIGITS = 60


@dataclass(frozen=True, slots=True)
class Fit:
    """What a polynomial is to be near, and how much an error counts."""

    function: Callable[[Any], Any]
    low: float
    high: float
    degree: int
    weight: Callable[[Any], Any] = lambda _: mpf(1)


def _root(g: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function of the square of what it is a function of."""
    return lambda z: g(mp.sqrt(z))


QUARTER = 0.79
"""Half of the step of the circular functions, and a little more: of large arguments the multiple of π/2 is not always the nearest."""
HALF = 0.3468
"""Half of ln 2, and a little more."""

FITS: dict[str, Fit] = {
    "EXP": Fit(lambda r: (mp.exp(r) - 1 - r) / r**2, -HALF, HALF, 10),
    "LOG": Fit(lambda f: (mp.log1p(f) - f) / f**2, -0.1251, 0.1667, 13),
    "SIN": Fit(_root(lambda r: (mp.sin(r) - r) / r**3), 0.0, QUARTER**2, 6),
    "COS": Fit(_root(lambda r: (mp.cos(r) - 1 + r**2 / 2) / r**4), 0.0, QUARTER**2, 5),
    "ARCTAN": Fit(_root(lambda t: (mp.atan(t) - t) / t**3), 0.0, 0.4143**2, 10),
    "ARTANH": Fit(_root(lambda s: (mp.atanh(s) / s - 1 - s**2 / 3) / s**4), 0.0, 0.0772**2, 5),
    "ERF": Fit(_root(lambda x: mp.erf(x) / x - 1), 0.0, 0.75**2, 10),
    "LN_ERFC": Fit(
        lambda v: (mp.log(mp.erfc(1 + v)) - mp.log(mp.erfc(1))) / v, -0.25, 5.0, 18, lambda v: abs(v) * mp.erfc(1 + v)
    ),
}

PARTS: dict[str, tuple[Callable[[], Any], int, int]] = {
    "PI": (lambda: mp.pi, 2, 0),
    "THREE_QUARTER_PI": (lambda: 3 * mp.pi / 4, 2, 0),
    "HALF_PI": (lambda: mp.pi / 2, 3, 0),
    "QUARTER_PI": (lambda: mp.pi / 4, 2, 0),
    "LN2": (lambda: mp.log(2), 2, 0),
    "LN2_SHORT": (lambda: mp.log(2), 2, 42),
    "LN_5_4": (lambda: mp.log(mpf(5) / 4), 2, 42),
    "LN_3_4": (lambda: mp.log(mpf(3) / 4), 2, 42),
    "LOG10_2": (lambda: mp.log10(2), 2, 42),
    "THIRD": (lambda: mpf(1) / 3, 2, 0),
    "LN_ERFC_1": (lambda: mp.log(mp.erfc(1)), 2, 0),
    "PER_HALF_PI": (lambda: 2 / mp.pi, 2, 0),
    "PER_LN2": (lambda: 1 / mp.log(2), 2, 0),
    "PER_LN10": (lambda: 1 / mp.log(10), 2, 0),
}
"""Numbers as sums of several of double precision: how many, and how many places after the point the first has, or as many as fit."""


def _value(coefficients: list[Any], z: Any) -> Any:
    return reduce(lambda value, c: value * z + c, reversed(coefficients))


def best(fit: Fit) -> tuple[list[Any], Any]:
    """Return the coefficients of the best polynomial, lowest first, and its largest error."""
    low, high, n = mpf(fit.low), mpf(fit.high), fit.degree + 2
    middle, radius = (low + high) / 2, (high - low) / 2
    grid = [middle - radius * mp.cos(mp.pi * (i + mpf("0.37")) / (30 * n)) for i in range(30 * n)]
    values, weights = [fit.function(z) for z in grid], [fit.weight(z) for z in grid]
    nodes = [round((30 * n - 1) * i / (n - 1)) for i in range(n)]
    for _ in range(30):
        rows = [[grid[i] ** j for j in range(n - 1)] + [(-1) ** s / weights[i]] for s, i in enumerate(nodes)]
        *coefficients, level = mp.lu_solve(mp.matrix(rows), mp.matrix([values[i] for i in nodes]))
        errors = [w * (v - _value(coefficients, z)) for z, v, w in zip(grid, values, weights, strict=True)]
        turns = [
            i
            for i in range(len(grid))
            if all(
                abs(errors[i]) >= abs(errors[k]) or errors[i] * errors[k] < 0
                for k in (i - 1, i + 1)
                if 0 <= k < len(grid)
            )
        ]
        alternating: list[int] = []
        for i in turns:
            if alternating and errors[i] * errors[alternating[-1]] > 0:
                if abs(errors[i]) > abs(errors[alternating[-1]]):
                    alternating[-1] = i
            else:
                alternating.append(i)
        while len(alternating) > n:
            alternating.pop(0 if abs(errors[alternating[0]]) < abs(errors[alternating[-1]]) else -1)
        largest = max(map(abs, errors))
        if len(alternating) < n or alternating == nodes or largest < mpf("1.001") * abs(level):
            break
        nodes = alternating
    return coefficients, largest


def found(name: str) -> tuple[float, ...]:
    """Return a kernel's coefficients in double precision."""
    with mp.workdps(DIGITS):
        return tuple(float(c) for c in best(FITS[name])[0])


def parted(name: str) -> tuple[float, ...]:
    """Return a number as a sum."""
    value, count, places = PARTS[name]
    with mp.workdps(DIGITS):
        rest, parts = value(), []
        for i in range(count):
            parts.append(float(mp.nint(rest * 2**places) / 2**places if places and not i else rest))
            rest -= mpf(parts[-1])
    return tuple(parts)


def table() -> str:
    """Return the numbers as they are written down."""
    lines = [f"{name} = {', '.join(map(repr, parted(name)))}" for name in PARTS]
    for name, fit in FITS.items():
        with mp.workdps(DIGITS):
            coefficients, error = best(fit)
        lines.append(f"{name} = (  # on [{fit.low:.6g}, {fit.high:.6g}]: {mp.nstr(error, 3)}")
        lines += [*[f"    {float(c)!r}," for c in coefficients], ")"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
