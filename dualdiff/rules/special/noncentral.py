"""Noncentral distributions by their degrees of freedom and their noncentrality.

Those of χ² and F are mixtures of central ones with Poisson's weights, and Student's is one of two families of beta distributions:
every derivative is the same mixture of theirs, a sum of terms of one sign but for Student's at a noncentrality that points away.

Johnson, Kotz & Balakrishnan, *Continuous Univariate Distributions*, volume 2, 2nd edition, Wiley 1995, chapters 29 to 31.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from dualdiff.rules.special.densities import (
    beta_density,
    chi_square_density,
    noncentral_chi_square_density,
    noncentral_f_density,
    noncentral_t_density,
)
from dualdiff.rules.special.rows import is_differentiated
from dualdiff.rules.special.shapes import beta_slope_a, beta_slope_b, gamma_slope
from dualdiff.values import raw

WIDTH = 8.0
"""As many standard deviations from its mean Poisson's distribution is over, in double precision and with the few terms more."""


def _terms(mean: Any, *others: Any) -> Any:
    """Return the numbers of the terms, along a new first axis, whose Poisson weights count."""
    most = np.asarray(raw(mean), dtype=float)
    most = most[np.isfinite(most)]
    low, high = np.min(most, initial=np.inf), np.max(most, initial=0.0)
    first = max(0, math.floor(low - WIDTH * math.sqrt(low) - 10)) if most.size else 0
    last = math.ceil(high + WIDTH * math.sqrt(high) + 25)
    rank = max(np.ndim(raw(x)) for x in (mean, *others))
    return np.reshape(np.arange(first, last, dtype=float), (-1,) + (1,) * rank)


def _weights(j: Any, mean: Any, shift: float = 1.0) -> Any:
    """Return mean^j e^-mean / Γ(j + shift): with a shift of 1, Poisson's weights."""
    return np.exp(special.xlogy(j, mean) - mean - special.gammaln(j + shift))


def chi_square_slope(x: Any, v: Any, nc: Any) -> Any:
    """Return the derivative of the noncentral χ² distribution function by its degrees of freedom v."""
    j = _terms(0.5 * nc, x, v)
    return 0.5 * np.sum(_weights(j, 0.5 * nc) * gamma_slope(0.5 * v + j, 0.5 * x), axis=0)


def chi_square_noncentral_density(x: Any, v: Any, nc: Any) -> Any:
    """Return its density: as a mixture where v is differentiated."""
    if not is_differentiated(v):
        return noncentral_chi_square_density(x, v, nc)
    j = _terms(0.5 * nc, x, v)
    return np.sum(_weights(j, 0.5 * nc) * chi_square_density(v + 2 * j, x), axis=0)


def chi_square_log_density(x: Any, v: Any, nc: Any) -> Any:
    """Return the logarithm of that mixture, also where the density is too small for a number."""
    j = _terms(0.5 * nc, x, v)
    a = 0.5 * v + j
    logs = special.xlogy(a - 1, 0.5 * x) - 0.5 * (x + nc) - special.gammaln(a) - math.log(2)
    logs = logs + special.xlogy(j, 0.5 * nc) - special.gammaln(j + 1)
    top = np.max(raw(logs), axis=0)
    return np.log(np.sum(np.exp(logs - top), axis=0)) + top


def _share(m: Any, n: Any, x: Any) -> Any:
    return m * x / (m * x + n)


def f_noncentral_density(m: Any, n: Any, nc: Any, x: Any) -> Any:
    """Return the density of the noncentral F distribution: as a mixture where degrees of freedom are differentiated."""
    if not (is_differentiated(m) or is_differentiated(n)):
        return noncentral_f_density(m, n, nc, x)
    j = _terms(0.5 * nc, m, n, x)
    terms = _weights(j, 0.5 * nc) * beta_density(0.5 * m + j, 0.5 * n, _share(m, n, x))
    return np.sum(terms, axis=0) * m * n / np.square(m * x + n)


def noncentral_f_slope_above(m: Any, n: Any, nc: Any, x: Any) -> Any:
    """Return the derivative of the noncentral F distribution function by the degrees of freedom of the numerator, m."""
    j = _terms(0.5 * nc, m, n, x)
    terms = _weights(j, 0.5 * nc) * beta_slope_a(0.5 * m + j, 0.5 * n, _share(m, n, x))
    return 0.5 * np.sum(terms, axis=0) + x / m * f_noncentral_density(m, n, nc, x)


def noncentral_f_slope_below(m: Any, n: Any, nc: Any, x: Any) -> Any:
    """Return that by the degrees of freedom of the denominator, n."""
    j = _terms(0.5 * nc, m, n, x)
    terms = _weights(j, 0.5 * nc) * beta_slope_b(0.5 * m + j, 0.5 * n, _share(m, n, x))
    return 0.5 * np.sum(terms, axis=0) - x / n * f_noncentral_density(m, n, nc, x)


def _both_families(of: Any, v: Any, nc: Any, t: Any) -> Any:
    """Return Σ pⱼ of(j + ½, ½v, y) + qⱼ of(j + 1, ½v, y), the two families of Student's distribution on the side of t."""
    side = np.where(np.less(t, 0), -nc, nc)
    mean = 0.5 * nc * nc
    j = _terms(mean, v, t)
    y = t * t / (v + t * t)
    even = _weights(j, mean) * of(j + 0.5, 0.5 * v, y)
    odd = side / math.sqrt(2) * _weights(j, mean, 1.5) * of(j + 1.0, 0.5 * v, y)
    return np.sum(even + odd, axis=0)


def t_noncentral_density(v: Any, nc: Any, t: Any) -> Any:
    """Return the density of Student's noncentral distribution: by the two families where v is differentiated."""
    if not is_differentiated(v):
        return noncentral_t_density(v, nc, t)
    # |t| times densities that are infinite at zero, as 1/|t|: they are put together so that nothing is lost there.
    mean, whole = 0.5 * nc * nc, v + t * t
    j = _terms(mean, v, t)
    even = np.sqrt(whole) * _weights(j, mean) * _without_pole(j, 0.5, v, t)
    odd = t * nc / math.sqrt(2) * _weights(j, mean, 1.5) * _without_pole(j, 1.0, v, t)
    return np.sum(even + odd, axis=0) * v / np.square(whole)


def _without_pole(j: Any, shift: float, v: Any, t: Any) -> Any:
    """Return yʲ (1 - y)^(½v - 1) / B(j + shift, ½v) at y = t²/(v + t²): by logarithms where factors are no numbers."""
    y = t * t / (v + t * t)
    rest = (1 - 0.5 * v) * np.log1p(t * t / v) - special.betaln(j + shift, 0.5 * v)
    far, some = np.greater(np.abs(rest), 300.0), np.greater(y, 0)
    by_logs = np.exp(j * np.log(np.where(far & some, y, 1.0)) + np.where(far, rest, 0.0))
    return np.where(far, np.where(some, by_logs, 0.0), y**j * np.exp(np.where(far, 0.0, rest)))


def noncentral_t_slope(v: Any, nc: Any, t: Any) -> Any:
    """Return the derivative of Student's noncentral distribution function by its degrees of freedom v."""
    return 0.25 * np.sign(t) * _both_families(beta_slope_b, v, nc, t) - 0.5 * t / v * t_noncentral_density(v, nc, t)


def t_by_noncentrality(v: Any, nc: Any, t: Any) -> Any:
    """Return the derivative of Student's noncentral distribution function by its noncentrality.

    It is -φ(nc) (1 + t²/v)^(-v/2) (₁F₁(v/2; ½; u²) + 2u Γ((v+1)/2)/Γ(v/2) ₁F₁((v+1)/2; 3/2; u²)) with u = nc t/√(2(v + t²)).
    """
    u = nc * t / np.sqrt(2 * (v + t * t))
    both = special.hyp1f1(0.5 * v, 0.5, u * u) + 2 * u * special.poch(0.5 * v, 0.5) * special.hyp1f1(
        0.5 * (v + 1), 1.5, u * u
    )
    return -np.exp(-0.5 * nc * nc - 0.5 * v * np.log1p(t * t / v)) / math.sqrt(2 * math.pi) * both


__all__ = [
    "chi_square_log_density",
    "chi_square_noncentral_density",
    "chi_square_slope",
    "f_noncentral_density",
    "noncentral_f_slope_above",
    "noncentral_f_slope_below",
    "noncentral_t_slope",
    "t_by_noncentrality",
    "t_noncentral_density",
]
