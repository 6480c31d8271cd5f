"""Distribution functions and their inverses: the slope of one is a density, that of the other its reciprocal.

By their parameters most of them have no closed form; where one is known it stands here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from dualdiff.rules.special.densities import (
    beta_density,
    chi_square_density,
    f_density,
    gamma_density,
    kolmogorov_slope,
    noncentral_chi_square_density,
    noncentral_f_density,
    noncentral_t_density,
    smirnov_curvature,
    t_density,
)
from dualdiff.rules.special.elementary import power_mean
from dualdiff.rules.special.rows import (
    INNER,
    NO_FORMULA,
    ORDER,
    PARAMETER,
    POSITIVE,
    PROBABILITY,
    REAL,
    UNIT,
    named,
    row,
    without_formula,
)
from dualdiff.rules.special.series import weak
from dualdiff.values import decided

# --------------------------------------------------------------------------------------------------
# incomplete gamma functions, χ² and Poisson

A = PARAMETER
row("gammainc", "a x", NO_FORMULA, lambda _y, a, x: gamma_density(a, x), singular=True, domain=(A, POSITIVE))
row("gammaincc", "a x", NO_FORMULA, lambda _y, a, x: -gamma_density(a, x), singular=True, domain=(A, POSITIVE))
row("gammaincinv", "a y", NO_FORMULA, lambda x, a, _y: 1 / gamma_density(a, x), singular=True, domain=(A, PROBABILITY))
row(
    "gammainccinv", "a y", NO_FORMULA, lambda x, a, _y: -1 / gamma_density(a, x), singular=True, domain=(A, PROBABILITY)
)
row(
    "gdtr",
    "a b x",
    lambda _y, a, b, x: x * gamma_density(b, a * x),
    NO_FORMULA,
    lambda _y, a, b, x: a * gamma_density(b, a * x),
    singular=True,
    domain=(POSITIVE, A, POSITIVE),
)
row(
    "gdtrc",
    "a b x",
    lambda _y, a, b, x: -x * gamma_density(b, a * x),
    NO_FORMULA,
    lambda _y, a, b, x: -a * gamma_density(b, a * x),
    singular=True,
    domain=(POSITIVE, A, POSITIVE),
)
row(
    "gdtria",
    "p b x",
    lambda a, _p, b, x: 1 / (x * gamma_density(b, a * x)),
    NO_FORMULA,
    lambda a, _p, _b, x: -a / x,
    singular=True,
    domain=(PROBABILITY, A, POSITIVE),
)
row(
    "gdtrix",
    "a b p",
    lambda x, a, _b, _p: -x / a,
    NO_FORMULA,
    lambda x, a, b, _p: 1 / (a * gamma_density(b, a * x)),
    singular=True,
    domain=(POSITIVE, A, PROBABILITY),
)
row("chdtr", "v x", NO_FORMULA, lambda _y, v, x: chi_square_density(v, x), singular=True, domain=(A, POSITIVE))
row("chdtrc", "v x", NO_FORMULA, lambda _y, v, x: -chi_square_density(v, x), singular=True, domain=(A, POSITIVE))
row("chdtri", "v p", NO_FORMULA, lambda x, v, _p: -1 / chi_square_density(v, x), singular=True, domain=(A, PROBABILITY))
row("pdtr", "k m", ORDER, lambda _y, k, m: -gamma_density(weak(np.floor(k)) + 1, m), domain=("order", POSITIVE))
row("pdtrc", "k m", ORDER, lambda _y, k, m: gamma_density(weak(np.floor(k)) + 1, m), domain=("order", POSITIVE))
row("pdtri", "k y", ORDER, lambda m, k, _y: -1 / gamma_density(weak(np.floor(k)) + 1, m), domain=("order", PROBABILITY))

# --------------------------------------------------------------------------------------------------
# incomplete beta functions, F, Student, binomial

row(
    "betainc",
    "a b x",
    NO_FORMULA,
    NO_FORMULA,
    lambda _y, a, b, x: beta_density(a, b, x),
    singular=True,
    domain=(A, A, INNER),
)
row(
    "betaincc",
    "a b x",
    NO_FORMULA,
    NO_FORMULA,
    lambda _y, a, b, x: -beta_density(a, b, x),
    singular=True,
    domain=(A, A, INNER),
)
row(
    "betaincinv",
    "a b y",
    NO_FORMULA,
    NO_FORMULA,
    lambda x, a, b, _y: 1 / beta_density(a, b, x),
    singular=True,
    domain=(A, A, INNER),
)
row(
    "betainccinv",
    "a b y",
    NO_FORMULA,
    NO_FORMULA,
    lambda x, a, b, _y: -1 / beta_density(a, b, x),
    singular=True,
    domain=(A, A, INNER),
)
row(
    "_beta_ppf",
    "x a b",
    lambda x, _p, a, b: 1 / beta_density(a, b, x),
    NO_FORMULA,
    NO_FORMULA,
    singular=True,
    domain=(INNER, A, A),
)
row("fdtr", "dfn dfd x", NO_FORMULA, NO_FORMULA, lambda _y, m, n, x: f_density(m, n, x), domain=(A, A, POSITIVE))
row("fdtrc", "dfn dfd x", NO_FORMULA, NO_FORMULA, lambda _y, m, n, x: -f_density(m, n, x), domain=(A, A, POSITIVE))
row("fdtri", "dfn dfd p", NO_FORMULA, NO_FORMULA, lambda x, m, n, _p: 1 / f_density(m, n, x), domain=(A, A, INNER))
row("stdtr", "df t", NO_FORMULA, lambda _y, v, t: t_density(v, t), domain=(A, REAL))
row("stdtrit", "df p", NO_FORMULA, lambda t, v, _p: 1 / t_density(v, t), domain=(A, INNER))


def _binomial_density(k: Any, n: Any, p: Any) -> Any:
    return beta_density(weak(np.floor(k)) + 1, n - weak(np.floor(k)), p)


def _negative_binomial_density(k: Any, n: Any, p: Any) -> Any:
    return beta_density(n, weak(np.floor(k)) + 1, p)


ORDERS = ("order", "number", INNER)
row("bdtr", "k n p", ORDER, NO_FORMULA, lambda _y, k, n, p: -_binomial_density(k, n, p), domain=ORDERS)
row("bdtrc", "k n p", ORDER, NO_FORMULA, lambda _y, k, n, p: _binomial_density(k, n, p), domain=ORDERS)
row("bdtri", "k n y", ORDER, NO_FORMULA, lambda p, k, n, _y: -1 / _binomial_density(k, n, p), domain=ORDERS)
row("nbdtr", "k n p", ORDER, NO_FORMULA, lambda _y, k, n, p: _negative_binomial_density(k, n, p), domain=ORDERS)
row("nbdtrc", "k n p", ORDER, NO_FORMULA, lambda _y, k, n, p: -_negative_binomial_density(k, n, p), domain=ORDERS)
row("nbdtri", "k n y", ORDER, NO_FORMULA, lambda p, k, n, _y: 1 / _negative_binomial_density(k, n, p), domain=ORDERS)

# --------------------------------------------------------------------------------------------------
# noncentral distributions: by the noncentrality the slope is a difference of two distribution functions


def _chi_by_noncentrality(p: Any, x: Any, v: Any, nc: Any) -> Any:
    return 0.5 * (special.chndtr(x, v + 2, nc) - p)


def _f_by_noncentrality(p: Any, m: Any, n: Any, nc: Any, x: Any) -> Any:
    return 0.5 * (special.ncfdtr(m + 2, n, nc, x * (m / (m + 2))) - p)


row(
    "chndtr",
    "x df nc",
    lambda _p, x, v, nc: noncentral_chi_square_density(x, v, nc),
    NO_FORMULA,
    lambda p, x, v, nc: _chi_by_noncentrality(p, x, v, nc),
    domain=(POSITIVE, A, POSITIVE),
)
row(
    "chndtrix",
    "p df nc",
    lambda x, _p, v, nc: 1 / noncentral_chi_square_density(x, v, nc),
    NO_FORMULA,
    lambda x, p, v, nc: -_chi_by_noncentrality(p, x, v, nc) / noncentral_chi_square_density(x, v, nc),
    domain=(INNER, A, POSITIVE),
)
row(
    "chndtrinc",
    "x df p",
    lambda nc, x, v, p: -noncentral_chi_square_density(x, v, nc) / _chi_by_noncentrality(p, x, v, nc),
    NO_FORMULA,
    lambda nc, x, v, p: 1 / _chi_by_noncentrality(p, x, v, nc),
    domain=("above three", A, "small probability"),
)
row(
    "ncfdtr",
    "dfn dfd nc f",
    NO_FORMULA,
    NO_FORMULA,
    lambda p, m, n, nc, x: _f_by_noncentrality(p, m, n, nc, x),
    lambda _p, m, n, nc, x: noncentral_f_density(m, n, nc, x),
    domain=(A, A, POSITIVE, POSITIVE),
)
row(
    "ncfdtri",
    "dfn dfd nc p",
    NO_FORMULA,
    NO_FORMULA,
    lambda x, m, n, nc, p: -_f_by_noncentrality(p, m, n, nc, x) / noncentral_f_density(m, n, nc, x),
    lambda x, m, n, nc, _p: 1 / noncentral_f_density(m, n, nc, x),
    domain=(A, A, POSITIVE, INNER),
)
row(
    "ncfdtrinc",
    "dfn dfd p f",
    NO_FORMULA,
    NO_FORMULA,
    lambda nc, m, n, p, x: 1 / _f_by_noncentrality(p, m, n, nc, x),
    lambda nc, m, n, p, x: -noncentral_f_density(m, n, nc, x) / _f_by_noncentrality(p, m, n, nc, x),
    domain=(A, A, "small probability", "above two"),
)
row(
    "nctdtr",
    "df nc t",
    NO_FORMULA,
    NO_FORMULA,
    lambda _p, v, nc, t: noncentral_t_density(v, nc, t),
    domain=(A, A, REAL),
)
row(
    "nctdtrit",
    "df nc p",
    NO_FORMULA,
    NO_FORMULA,
    lambda t, v, nc, _p: 1 / noncentral_t_density(v, nc, t),
    domain=(A, A, INNER),
)

# --------------------------------------------------------------------------------------------------
# Tukey's lambda distribution: x = (p^λ - (1-p)^λ)/λ, two power means


def _tukey_slope(p: Any, x: Any, lam: Any) -> Any:
    q = special.tklmbda(-x, lam)
    return 1 / (p ** (lam - 1) + q ** (lam - 1))


row(
    "tklmbda",
    "x lmbda",
    lambda p, x, lam: _tukey_slope(p, x, lam),
    lambda p, x, lam: (
        -(power_mean(np.log(p), lam) - power_mean(np.log(special.tklmbda(-x, lam)), lam)) * _tukey_slope(p, x, lam)
    ),
    singular=True,
    domain=(UNIT, UNIT),
)

# --------------------------------------------------------------------------------------------------
# Kolmogorov and Smirnov

_smirnov_slope: Any = named("_smirnovp")

row("kolmogorov", "y", lambda _p, x: kolmogorov_slope(x), domain=POSITIVE)
row("kolmogi", "p", lambda x, _p: 1 / kolmogorov_slope(x), domain=INNER)
row("smirnov", "n d", ORDER, lambda _p, n, d: _smirnov_slope(n, d), domain=("order", INNER))
row("smirnovi", "n p", ORDER, lambda d, n, _p: 1 / _smirnov_slope(n, d), domain=("order", INNER))
row("_smirnovp", "n d", ORDER, lambda _p, n, d: smirnov_curvature(decided(n), d), domain=("order", INNER))

without_formula(
    "bdtrik bdtrin nbdtrik nbdtrin btdtria btdtrib chdtriv chndtridf fdtridfd gdtrib ncfdtridfd ncfdtridfn nctdtridf "
    "nctdtrinc stdtridf pdtrik",
    "it is the inverse of a distribution function by a parameter, and no closed form is known of how that depends on the parameter",
)
