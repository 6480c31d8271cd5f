"""The densities of the statistical distributions: the slopes of their distribution functions, as plain functions.

Each is the exponential of one sum of logarithms, so that neither a power nor a gamma function overflows on the way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from dualdiff.rules.special.series import beside, weak


def gamma_density(a: Any, x: Any) -> Any:
    """Return x^(a-1) e^-x / Γ(a)."""
    return np.exp(special.xlogy(beside(a - 1, x), x) - x - weak(special.gammaln(a)))


def beta_density(a: Any, b: Any, x: Any) -> Any:
    """Return x^(a-1) (1-x)^(b-1) / B(a, b)."""
    return np.exp(
        special.xlogy(beside(a - 1, x), x) + special.xlog1py(beside(b - 1, x), -x) - weak(special.betaln(a, b))
    )


def binomial_slope(k: Any, n: Any, p: Any) -> Any:
    """Return by how much at most k of n trials are less probable when the probability p of one grows."""
    return beta_density(weak(np.floor(k)) + 1, n - weak(np.floor(k)), p)


def negative_binomial_slope(k: Any, n: Any, p: Any) -> Any:
    """Return by how much at most k failures before the n-th success are more probable when that of success p grows."""
    return beta_density(n, weak(np.floor(k)) + 1, p)


def chi_square_density(v: Any, x: Any) -> Any:
    """Return the density of χ² with v degrees of freedom."""
    return 0.5 * gamma_density(0.5 * v, 0.5 * x)


def f_density(d1: Any, d2: Any, x: Any) -> Any:
    """Return the density of the F distribution with d1 and d2 degrees of freedom."""
    ratio = d1 / d2
    return ratio * np.exp(
        special.xlogy(beside(0.5 * d1 - 1, x), ratio * x)
        - 0.5 * (d1 + d2) * np.log1p(ratio * x)
        - weak(special.betaln(0.5 * d1, 0.5 * d2))
    )


def t_density(v: Any, t: Any) -> Any:
    """Return the density of Student's distribution with v degrees of freedom."""
    return np.exp(-0.5 * (v + 1) * np.log1p(t * t / v) - weak(special.betaln(0.5, 0.5 * v))) / weak(np.sqrt(v))


def noncentral_chi_square_density(x: Any, v: Any, nc: Any) -> Any:
    """Return the density of χ² with v degrees of freedom and noncentrality nc: ½ (x/nc)^(v/4-½) e^(-(x+nc)/2) I(v/2-1, √(nc x)).

    Near nc = 0 the Bessel function is its power series, which goes over into the central density.
    """
    z = nc * x
    large = np.greater(z, 100.0)
    small_z = np.where(large, 1.0, z)
    a = np.where(large, nc, 1.0)
    b = np.where(large, x, 101.0)
    near = np.exp(
        special.xlogy(beside(0.5 * v - 1, x), 0.5 * x) - 0.5 * (x + nc) - weak(special.gammaln(0.5 * v))
    ) * special.hyp0f1(beside(0.5 * v, x), 0.25 * small_z)
    far = np.exp((0.25 * v - 0.5) * np.log(b / a) - 0.5 * np.square(np.sqrt(b) - np.sqrt(a))) * special.ive(
        beside(0.5 * v - 1, x), np.sqrt(a * b)
    )
    return 0.5 * np.where(large, far, near)


def noncentral_f_density(d1: Any, d2: Any, nc: Any, x: Any) -> Any:
    """Return the density of the F distribution with noncentrality nc: the central one times e^(-nc/2) ₁F₁."""
    share = d1 * x / (d1 * x + d2)
    return (
        f_density(d1, d2, x)
        * weak(np.exp(-0.5 * nc))
        * special.hyp1f1(beside(0.5 * (d1 + d2), x), beside(0.5 * d1, x), 0.5 * nc * share)
    )


def noncentral_t_density(v: Any, nc: Any, t: Any) -> Any:
    """Return the density of Student's distribution with noncentrality nc: the central one times e^(-nc²/2) and two ₁F₁."""
    u = nc * t / np.sqrt(2 * (v + t * t))
    ratio = weak(special.poch(0.5 * (v + 1), 0.5))
    return (
        t_density(v, t)
        * weak(np.exp(-0.5 * nc * nc))
        * (
            special.hyp1f1(beside(0.5 * (v + 1), t), beside(0.5, t), u * u)
            + 2 * u * ratio * special.hyp1f1(beside(0.5 * v + 1, t), beside(1.5, t), u * u)
        )
    )


KOLMOGOROV_TERMS = range(1, 12)


def kolmogorov_slope(x: Any) -> Any:
    """Return the derivative of Kolmogorov's survival function: by its series below 1 and above, which serve one side each."""
    low = np.less(x, 1.0)
    a, b = np.where(low, x, 1.0), np.where(low, 1.0, x)
    q = math.pi**2 / 8 / (a * a)
    left: Any = 0.0
    right: Any = 0.0
    for k in KOLMOGOROV_TERMS:
        odd = (2 * k - 1) ** 2
        left = left + (1 - 2 * odd * q) * np.exp(-odd * q)
        right = right + (-1) ** k * k * k * np.exp(-2 * k * k * (b * b))
    return np.where(low, math.sqrt(2 * math.pi) / (a * a) * left, 8 * b * right)


def smirnov_terms(n: Any, d: Any) -> tuple[Any, Any, Any]:
    """Return, along a new first axis, the terms T of Smirnov's sum d·Σ T, the logarithmic slope of each and that one's slope."""
    most = int(np.max(n, initial=0))
    j = np.reshape(np.arange(most + 1), (-1,) + (1,) * np.ndim(n + d))
    there = np.logical_and(np.less_equal(j, np.floor(n * (1 - d))), np.less(j, n + 1))
    share = np.where(there, j / n, 0.0)
    before, after = d + share, np.where(there, 1 - d - share, 1.0)
    after = np.where(np.equal(after, 0), np.nan, after)  # a kink, where one term more begins
    left, right = j - 1, np.where(there, n - j, 0)
    term = np.where(
        there, np.exp(_log_binomial(n, j, there) + left * np.log(before) + special.xlogy(right, after)), 0.0
    )
    return term, left / before - right / after, -left / np.square(before) - right / np.square(after)


def _log_binomial(n: Any, j: Any, there: Any) -> Any:
    rest = np.where(there, n - j, 0)
    return special.gammaln(n + 1) - special.gammaln(j + 1) - special.gammaln(rest + 1)


def smirnov_curvature(n: Any, d: Any) -> Any:
    """Return the second derivative by d of Smirnov's survival function, a finite sum."""
    term, slope, bend = smirnov_terms(n, d)
    return np.sum(term * (2 * slope + d * (slope * slope + bend)), axis=0)


__all__ = [
    "beta_density",
    "binomial_slope",
    "chi_square_density",
    "f_density",
    "gamma_density",
    "kolmogorov_slope",
    "negative_binomial_slope",
    "noncentral_chi_square_density",
    "noncentral_f_density",
    "noncentral_t_density",
    "smirnov_curvature",
    "smirnov_terms",
    "t_density",
]
