"""Where the kernels are tried, and how far from the truth they are there."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mpmath import mp, mpf

from dualdiff.compiled.kernels import KERNELS

TINY = 5e-324
HUGEST = np.finfo(float).max
EDGES = [0.0, np.inf, TINY, 2.0**-1022, 1e-310, 1.0, 0.5, 2.0, 10.0, 709.78, 709.79, 710.47, 710.48, 745.1, 745.2]
EDGES += [1023.9, 1024.0, 1074.0, 1075.1, 1e6, HUGEST]
SPECIAL = np.array([np.nan, *EDGES, *[-x for x in EDGES]])
ARE_LONGER = np.finfo(np.longdouble).nmant >= 63
"""Whether long numbers have eleven bits more."""


@functools.cache
def nearest_to_multiples(bound: float) -> np.ndarray:
    """Return the numbers of double precision that are nearest to multiples of π/2: m·2ᵉ with m/k a convergent of π/2·2⁻ᵉ."""
    found = set()
    with mp.workdps(80):
        for e in range(-52, 1):
            rest = mp.pi / 2 / mpf(2) ** e
            (m, before), (k, under) = (1, 0), (0, 1)
            while m < 2**53 and m * 2.0**e <= bound:
                found.add(m * 2.0**e)
                whole = int(mp.floor(rest))
                (m, before), (k, under) = (whole * m + before, m), (whole * k + under, k)
                rest = 1 / (rest - whole)
    return np.array(sorted(found))


def points(name: str, n: int, seed: int = 0) -> np.ndarray:
    """Draw numbers from all of a kernel's domain, most of them where something happens."""
    rng = np.random.default_rng(seed)

    def signed(low: float, high: float) -> np.ndarray:
        return rng.choice([-1.0, 1.0], n) * np.exp2(rng.uniform(low, high, n))

    drawn = [signed(-1074, 1024), signed(-60, 12), signed(-1074, -1022), SPECIAL]
    drawn += [rng.uniform(-width, width, n) for width in (1.0, 3.0, 750.0)]
    drawn += [1 + signed(-53, -1), -1 + np.exp2(rng.uniform(-53, -1, n))]
    bound = KERNELS[name].bound
    if bound < np.inf:
        k = np.floor(np.exp2(rng.uniform(0, np.log2(bound), n)))
        with mp.workdps(40):
            near = np.array([float(int(i) * mp.pi / 2) for i in k])
        drawn += [near, np.nextafter(near, np.inf), -np.nextafter(near, 0.0), signed(40, np.log2(bound))]
        drawn += [nearest_to_multiples(bound), -nearest_to_multiples(bound)]
    x = np.concatenate(drawn)
    return x[~(np.abs(x) > bound) | np.isinf(x)]


def powers(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw bases and exponents: of all sizes that a result can have, next to 1, and with signs."""
    rng = np.random.default_rng(seed)
    sign = rng.choice([-1.0, 1.0], (5, n))
    x = np.concatenate([np.exp2(rng.uniform(-1074, 1024, 2 * n)), 1 + sign[4] * np.exp2(rng.uniform(-52, -1, n))])
    x = np.concatenate([x, rng.uniform(0.5, 2, n)])
    size = 746 * np.exp2(rng.uniform(-60, 0, 4 * n)) ** rng.choice([0.0, 0.1, 1.0], 4 * n)
    y = sign[:4].ravel() * size / np.abs(np.log(x))
    whole = rng.integers(-40, 40, n).astype(float)
    return np.concatenate([x, sign[4] * rng.uniform(0, 30, n)]), np.concatenate([y, whole])


def pairs(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw two numbers of all sizes, of like sizes, and both subnormal, with signs."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(-1070, 1020, 2 * n)
    x = np.concatenate([rng.uniform(-1074, 1024, n), size, rng.uniform(-1074, -1000, n)])
    y = np.concatenate([rng.uniform(-1074, 1024, n), size + rng.uniform(-2, 2, 2 * n), rng.uniform(-1074, -1000, n)])
    signs = rng.choice([-1.0, 1.0], (2, 4 * n))
    return signs[0] * np.exp2(y), signs[1] * np.exp2(x)


def drawn(name: str, n: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Draw a kernel's arguments."""
    if KERNELS[name].arguments == 1:
        return (points(name, n, seed),)
    return powers(n, seed) if name == "power" else pairs(n, seed)


def _held(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that is out of all bounds where its argument is, and which sixty digits need not be asked for."""
    return lambda x: f(min(max(x, mpf(-5000)), mpf(5000)))


TRUE: dict[str, Callable[..., Any]] = {
    "exp": _held(mp.exp),
    "exp2": _held(lambda x: mpf(2) ** x),
    "expm1": _held(mp.expm1),
    "log": mp.log,
    "log2": lambda x: mp.log(x, 2),
    "log10": mp.log10,
    "log1p": mp.log1p,
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "arctan": mp.atan,
    "arctan2": mp.atan2,
    "sinh": _held(mp.sinh),
    "cosh": _held(mp.cosh),
    "tanh": _held(mp.tanh),
    "erf": _held(mp.erf),
    "power": mp.power,
}


def errors(name: str, arguments: tuple[np.ndarray, ...], results: np.ndarray) -> np.ndarray:
    """Return how far results are from the true ones, in units of the last place of these; NaN where there is no true one.

    A result that is ∞ counts as the power of 2 that is just too large, and so does a true one that is larger.
    """
    limit = mpf(2) ** 1024
    found = []
    with mp.workdps(60):
        for *x, y in zip(*[a.tolist() for a in (*arguments, results)], strict=True):
            true = TRUE[name](*map(mpf, x)) if all(map(math.isfinite, x)) else mp.nan
            if not isinstance(true, mpf) or not mp.isfinite(true):
                found.append(math.nan)
                continue
            if math.isnan(y):
                found.append(math.inf)
                continue
            true = max(min(true, limit), -limit)
            reached = max(min(mpf(y), limit), -limit)
            found.append(float(abs(reached - true) / mpf(math.ulp(min(abs(float(true)), HUGEST)))))
    return np.array(found)


def long_errors(name: str, arguments: tuple[np.ndarray, ...], results: np.ndarray) -> np.ndarray:
    """Return the same by long numbers, to within 0.002; a result that is no number, or none, where the true one is, is infinitely far."""
    with np.errstate(all="ignore"):
        true = getattr(np, name)(*[a.astype(np.longdouble) for a in arguments])
        nearest = true.astype(float)
        far = np.abs(results.astype(np.longdouble) - true) / np.spacing(
            np.minimum(np.abs(nearest), np.nextafter(HUGEST, 0))
        )
        far = np.where(np.isfinite(results), far, np.where(np.abs(true) >= HUGEST, 0.0, np.inf))
    return np.where(np.isfinite(true), far, np.nan).astype(float)
