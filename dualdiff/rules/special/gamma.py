"""The gamma function and its kin: logarithms, quotients, the psi function and Hurwitz's zeta function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from dualdiff.rules.special.rows import ABOVE_ONE, NO_FORMULA, PARAMETER, POSITIVE, named, piecewise_constant, row
from dualdiff.shapes import dtype_of
from dualdiff.values import is_replayed, under

_zeta: Any = named("_zeta")

# --------------------------------------------------------------------------------------------------
# psi and its derivatives

_EVEN_BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510]
_SHIFT = 14


def hurwitz(s: int, z: Any) -> Any:
    """Return Σ (z+k)^-s for complex z and a whole number s > 1: so many terms, and Euler and Maclaurin's formula for the rest.

    DLMF 2.10.1 and 25.11.43.
    """
    seen = z if is_replayed(z) else under(z)
    least = np.min(np.real(seen), initial=_SHIFT)
    if not least > -1e4:
        return z * np.nan
    count = max(0, int(np.ceil(_SHIFT - least)))
    total = z * 0
    for k in range(count):
        total = total + (z + k) ** -s
    w = z + count
    total = total + w ** (1 - s) / (s - 1) + 0.5 * w**-s
    factor = 1.0
    for k, b in enumerate(_EVEN_BERNOULLI, start=1):  # B₂ₖ/(2k)! · s(s+1)…(s+2k-2) · w^(1-s-2k)
        factor = float(s) if k == 1 else factor * (s + 2 * k - 3) * (s + 2 * k - 2)
        total = total + b / math.factorial(2 * k) * factor * w ** (1 - s - 2 * k)
    return total


def trigamma(x: Any) -> Any:
    """Return ψ'(x); SciPy has it for real x only."""
    return hurwitz(2, x) if dtype_of(x).kind == "c" else _zeta(2.0, x)


row("psi", "x", lambda _y, x: trigamma(x), singular=True, domain=POSITIVE)
row(
    "_zeta",
    "x q",
    NO_FORMULA,
    lambda _y, s, q: -s * _zeta(s + 1, q),
    singular=True,
    real_only=True,  # complex is the argument of which no slope is known
    domain=(PARAMETER, POSITIVE),
)

# --------------------------------------------------------------------------------------------------
# gamma

row("gamma", "x", lambda y, x: y * special.psi(x), singular=True, domain=POSITIVE)
row("gammaln", "x", lambda _y, x: special.psi(x), singular=True, domain=POSITIVE)
row("loggamma", "z", lambda _y, x: special.psi(x), singular=True, domain=POSITIVE)
row("_lgam1p", "x", lambda _y, x: special.psi(1 + x), singular=True, domain=POSITIVE)
piecewise_constant("gammasgn")


def reciprocal_gamma_slope(y: Any, x: Any) -> Any:
    """Return the derivative of 1/Γ, also at the poles of Γ: left of 1/2 from Γ(1-x) sin(πx)/π."""
    left = np.less(np.real(x), 0.5)
    a = np.where(left, x, 0.0)
    turn = math.pi * (a - 2 * np.rint(np.real(a) / 2))
    reflected = special.gamma(1 - a) * (np.cos(turn) - special.psi(1 - a) * np.sin(turn) / math.pi)
    b = np.where(left, 1.0, x)
    return np.where(left, reflected, -special.rgamma(b) * special.psi(b))


row("rgamma", "z", lambda y, x: reciprocal_gamma_slope(y, x), domain=POSITIVE)


def _is_pole(x: Any) -> Any:
    return np.logical_and(np.less_equal(x, 0), np.equal(x, np.floor(x)))


def psi_difference(x: Any, y: Any) -> Any:
    """Return ψ(x)-ψ(y); where both have poles, the limit as x and y move together, and their cotangents cancel."""
    both = np.logical_and(_is_pole(x), _is_pole(y))
    return special.psi(np.where(both, 1 - x, x)) - special.psi(np.where(both, 1 - y, y))


def _rising_slope(y: Any, z: Any, m: Any) -> Any:
    """Return the partial by z of Γ(z+m)/Γ(z), also where it is 0 because Γ has a pole in the denominator alone."""
    top = z + m
    zero = np.logical_and(_is_pole(z), np.logical_not(_is_pole(top)))
    above, below = np.where(zero, top, 1.0), np.where(zero, z, 1.0)
    at_zero = y * special.psi(above) + special.gamma(above) * reciprocal_gamma_slope(None, below)
    return np.where(zero, at_zero, y * psi_difference(np.where(zero, 1.0, top), np.where(zero, 1.0, z)))


row(
    "poch",
    "z m",
    lambda y, z, m: _rising_slope(y, z, m),
    lambda y, z, m: y * special.psi(z + m),
    domain=(POSITIVE, POSITIVE),
)
row(
    "beta",
    "a b",
    lambda y, a, b: y * psi_difference(a, a + b),
    lambda y, a, b: y * psi_difference(b, a + b),
    domain=(POSITIVE, POSITIVE),
)
row(
    "betaln",
    "a b",
    lambda _y, a, b: special.psi(a) - special.psi(a + b),
    lambda _y, a, b: special.psi(b) - special.psi(a + b),
    domain=(POSITIVE, POSITIVE),
)


def _reflected(x: Any, y: Any, top: Any) -> tuple[Any, Any]:
    """Return y ψ(x) as two terms, where y contains 1/Γ(x), and Γ(top)Γ(1-x)/Γ(top+1-x) instead of it with a sine.

    Left of 1/2 they are y ψ(1-x) and a beta function times a cosine, which are smooth at the poles of ψ, where y is 0.
    """
    left = np.less(x, 0.5)
    if type(left) in (np.ndarray, np.bool_) and not np.any(left):
        return y * special.psi(x), 0.0
    factor = special.beta(np.where(left, top, 1.0), np.where(left, 1 - x, 1.0))
    turn = math.pi * (x - 2 * np.rint(x / 2))
    return y * special.psi(np.where(left, 1 - x, x)), np.where(left, -factor * np.cos(turn), 0.0)


def binomial_slopes(y: Any, n: Any, k: Any) -> tuple[Any, Any]:
    """Return the partials of n over k, Γ(n+1)/(Γ(k+1)Γ(n-k+1)), also where it is 0 because Γ has a pole in the denominator."""
    by_rest, more = _reflected(n - k + 1, y, n + 1)
    by_k, again = _reflected(k + 1, y, n + 1)
    return y * special.psi(n + 1) - by_rest - more, by_rest + more - by_k - again


row(
    "binom",
    "x y",
    lambda y, n, k: binomial_slopes(y, n, k)[0],
    lambda y, n, k: binomial_slopes(y, n, k)[1],
    singular=True,
    domain=("above two", "above half"),
)

# --------------------------------------------------------------------------------------------------
# Riemann's zeta function: its derivative by Euler and Maclaurin's formula


def _zeta_slope(x: Any) -> Any:
    """Return ζ'(x) for real x: twelve terms of the series, and the derivative by x of the formula for the rest."""
    left = np.less(x, -1)
    return np.where(left, _reflected_slope(np.where(left, x, -2.0)), _right_slope(np.where(left, 2.0, x)))


def _right_slope(x: Any) -> Any:
    n = 12
    total = x * 0
    for k in range(2, n):
        total = total - math.log(k) * np.exp(-x * math.log(k))
    log = math.log(n)
    power = np.exp(-x * log)
    # n^(1-x)/(x-1) + n^-x/2 + Σ B₂ₖ/(2k)! x(x+1)…(x+2k-2) n^(1-x-2k)
    total = total - n * power * (log / (x - 1) + 1 / np.square(x - 1)) - 0.5 * log * power
    rising, slope = x, x * 0 + 1  # the rising factorial and its derivative
    for k, b in enumerate(_EVEN_BERNOULLI, start=1):
        if k > 1:
            for j in (2 * k - 3, 2 * k - 2):
                rising, slope = rising * (x + j), slope * (x + j) + rising
        total = total + b / math.factorial(2 * k) * n ** (1.0 - 2 * k) * power * (slope - log * rising)
    return total


def _reflected_slope(x: Any) -> Any:
    """Return ζ' from ζ(x) = 2(2π)^(x-1) sin(πx/2) Γ(1-x) ζ(1-x) (DLMF 25.4.1)."""
    turn = 0.5 * math.pi * (x - 4 * np.rint(x / 4))
    scale = 2 * np.exp((x - 1) * math.log(2 * math.pi)) * special.gamma(1 - x)
    z, z_slope = 1 + special.zetac(1 - x), _right_slope(1 - x)
    sine, cosine = np.sin(turn), np.cos(turn)
    return scale * (
        sine * z * (math.log(2 * math.pi) - special.psi(1 - x)) + 0.5 * math.pi * cosine * z - sine * z_slope
    )


row("zetac", "x", lambda _y, x: _zeta_slope(x), domain=ABOVE_ONE)
row("_riemann_zeta", "x", lambda _y, x: _zeta_slope(x), real_only=True, domain=ABOVE_ONE)

__all__ = ["binomial_slopes", "hurwitz", "reciprocal_gamma_slope", "trigamma"]
