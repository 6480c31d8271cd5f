"""Error functions and the normal distribution.

The scaled ones fall off as powers, and the textbook's slope 2x·erfcx(x) - 2/√π loses what it has left by cancelling: far out
the slope is the derivative of the asymptotic series (DLMF 7.12), whose first term left out is below rounding from |z| = 8 on.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from dualdiff.rules.special.rows import NEGATIVE, POSITIVE, PROBABILITY, REAL, UNIT, row, rows
from dualdiff.rules.special.series import polynomial
from dualdiff.shapes import dtype_of

ROOT_PI = math.sqrt(math.pi)
FAR = 8.0


def _odd_factorials() -> list[float]:
    terms = [1.0]
    for k in range(1, 22):
        terms.append(terms[-1] * (2 * k + 1) / 2)
    return terms


_TAIL = _odd_factorials()
"""(2k+1)!!/2ᵏ"""


def normal_density(x: Any) -> Any:
    """Return exp(-x²/2)/√(2π)."""
    return np.exp(-0.5 * (x * x)) / math.sqrt(2 * math.pi)


def _beyond(z: Any, positive: Any, decays: Any) -> Any:
    """Say where the asymptotic series serves: far out, and where what it leaves out decays."""
    if dtype_of(z).kind != "c":
        return np.greater(np.abs(z) if positive is None else positive, FAR)
    safe = np.greater(decays, 50)
    return np.logical_and(np.greater(np.abs(z), FAR), safe if positive is None else np.logical_or(safe, positive > 0))


def _either(far: Any, z: Any, near_value: Any, tail: Any) -> Any:
    return np.where(far, tail(np.where(far, z, FAR)), near_value)


def erfcx_slope(y: Any, z: Any) -> Any:
    """Return the derivative of exp(z²) erfc(z)."""
    far = _beyond(z, np.real(z), -np.real(z * z) if dtype_of(z).kind == "c" else None)

    def tail(z: Any) -> Any:
        q = 1 / (z * z)
        return -(q / ROOT_PI) * polynomial(-q, _TAIL)

    return _either(far, z, 2 * np.where(far, 0.0, z) * y - 2 / ROOT_PI, tail)


def dawson_slope(y: Any, z: Any) -> Any:
    """Return the derivative of Dawson's integral."""
    far = _beyond(z, None, np.real(z * z))

    def tail(z: Any) -> Any:
        q = 1 / (z * z)
        return -0.5 * q * polynomial(q, _TAIL)

    return _either(far, z, 1 - 2 * np.where(far, 0.0, z) * y, tail)


def faddeeva_slope(w: Any, z: Any) -> Any:
    """Return the derivative of exp(-z²) erfc(-iz)."""
    z = z + 0j
    far = _beyond(z, np.where(np.equal(np.imag(z), 0), 1.0, np.imag(z)), np.real(z * z))

    def tail(z: Any) -> Any:
        q = 1 / (z * z)
        return (-1j / ROOT_PI) * q * polynomial(q, _TAIL)

    return _either(far, z, -2 * np.where(far, 0.0, z) * w + 2j / ROOT_PI, tail)


row("erf", "z", lambda _y, x: (2 / ROOT_PI) * np.exp(-(x * x)), domain=REAL)
row("erfc", "x", lambda _y, x: (-2 / ROOT_PI) * np.exp(-(x * x)), domain=REAL)
row("erfi", "z", lambda _y, x: (2 / ROOT_PI) * np.exp(x * x), domain=REAL)
row("erfcx", "x", lambda y, x: erfcx_slope(y, x), domain=REAL)
row("dawsn", "x", lambda y, x: dawson_slope(y, x), domain=REAL)
row("wofz", "z", lambda w, z: faddeeva_slope(w, z), domain=REAL)
row("erfinv", "y", lambda x, _y: (ROOT_PI / 2) * np.exp(x * x), singular=True, domain=UNIT)
row("erfcinv", "y", lambda x, _y: (-ROOT_PI / 2) * np.exp(x * x), singular=True, domain=PROBABILITY)

# --------------------------------------------------------------------------------------------------
# the normal distribution


def _hazard(x: Any) -> Any:
    """Return φ(x)/Φ(x), which neither overflows nor cancels in the left tail."""
    return math.sqrt(2 / math.pi) / special.erfcx(-x / math.sqrt(2))


row("ndtr", "x", lambda _y, x: normal_density(x), domain=REAL)
row("log_ndtr", "x", lambda _y, x: _hazard(x), domain=REAL)
row("ndtri", "y", lambda x, _y: math.sqrt(2 * math.pi) * np.exp(0.5 * x * x), singular=True, domain=PROBABILITY)
row("ndtri_exp", "y", lambda x, _y: 1 / _hazard(x), singular=True, domain=NEGATIVE)
row(
    "nrdtrimn",
    "p std x",
    lambda _m, p, s, _x: -s / normal_density(special.ndtri(p)),
    lambda _m, p, _s, _x: -special.ndtri(p),
    1,
    domain=(PROBABILITY, POSITIVE, REAL),
)
row(
    "nrdtrisd",
    "mn p x",
    lambda _s, _m, p, _x: -1 / special.ndtri(p),
    lambda s, _m, p, _x: -s / (special.ndtri(p) * normal_density(special.ndtri(p))),
    lambda _s, _m, p, _x: 1 / special.ndtri(p),
    domain=(REAL, "small probability", REAL),
)
row(
    "owens_t",
    "h a",
    lambda _y, h, a: -0.5 * normal_density(h) * special.erf(a * h / math.sqrt(2)),
    lambda _y, h, a: np.exp(-0.5 * h * h * (1 + a * a)) / (2 * math.pi * (1 + a * a)),
    domain=(REAL, REAL),
)


def _voigt(x: Any, s: Any, g: Any) -> tuple[Any, Any]:
    """Return z = (x + iγ)/(σ√2), of whose Faddeeva function the profile is the real part, and that one's slope.

    At σ = 0 it is NaN, although the profile has a limit there.
    """
    z = (x + 1j * g) / (s * math.sqrt(2))
    return z, faddeeva_slope(special.wofz(z), z)


def _voigt_by_width(y: Any, x: Any, s: Any, g: Any) -> Any:
    z, slope = _voigt(x, s, g)
    return -y / s - np.real(slope * z) / (s * s * math.sqrt(2 * math.pi))


row(
    "voigt_profile",
    "x sigma gamma",
    lambda _y, x, s, g: np.real(_voigt(x, s, g)[1]) / (2 * ROOT_PI * s * s),
    lambda y, x, s, g: _voigt_by_width(y, x, s, g),
    lambda _y, x, s, g: -np.imag(_voigt(x, s, g)[1]) / (2 * ROOT_PI * s * s),
    domain=(REAL, POSITIVE, POSITIVE),
)

# --------------------------------------------------------------------------------------------------
# Fresnel's integrals


def _quarter(x: Any) -> Any:
    return (math.pi / 2) * (x * x)


rows("fresnel", "z", [lambda _y, x: np.sin(_quarter(x))], [lambda _y, x: np.cos(_quarter(x))], domain=REAL)


def _modified_slope(sign: int) -> Any:
    turn = complex(
        sign * math.sqrt(0.5), math.sqrt(0.5)
    )  # K±(x) is half the Faddeeva function at x exp(iπ/4), x exp(3iπ/4)

    def slope(y: Any, x: Any) -> Any:
        return 0.5 * turn * faddeeva_slope(2 * y, turn * x)

    return slope


rows("modfresnelp", "x", [lambda _y, x: -np.exp(1j * (x * x))], [_modified_slope(1)], domain=POSITIVE)
rows("modfresnelm", "x", [lambda _y, x: -np.exp(-1j * (x * x))], [_modified_slope(-1)], domain=POSITIVE)

__all__ = ["dawson_slope", "erfcx_slope", "faddeeva_slope", "normal_density"]
