"""Distribution functions and their inverses: the slope of one is a density, that of the other its reciprocal.

By their parameters those of gamma, beta, F and Student are integrals of :mod:`dualdiff.rules.special.shapes`; those of the
noncentral ones are sums of :mod:`dualdiff.rules.special.noncentral`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from dualdiff.rules.special.densities import (
    beta_density,
    binomial_slope,
    chi_square_density,
    f_density,
    gamma_density,
    kolmogorov_slope,
    negative_binomial_slope,
    smirnov_curvature,
    t_density,
)
from dualdiff.rules.special.elementary import power_mean
from dualdiff.rules.special.noncentral import (
    chi_square_noncentral_density,
    chi_square_slope,
    f_noncentral_density,
    noncentral_f_slope_above,
    noncentral_f_slope_below,
    noncentral_t_slope,
    t_by_noncentrality,
    t_noncentral_density,
)
from dualdiff.rules.special.rows import (
    ABOVE_ONE,
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
from dualdiff.rules.special.shapes import (
    beta_slope_a,
    beta_slope_b,
    f_slope_above,
    f_slope_below,
    gamma_density_by_shape,
    gamma_slope,
    student_slope,
)
from dualdiff.values import decided

# --------------------------------------------------------------------------------------------------
# incomplete gamma functions, χ² and Poisson

row(
    "gammainc",
    "a x",
    lambda _y, a, x: gamma_slope(a, x),
    lambda _y, a, x: gamma_density_by_shape(0)(a, x),
    singular=True,
    domain=(POSITIVE, POSITIVE),
)
row(
    "gammaincc",
    "a x",
    lambda _y, a, x: -gamma_slope(a, x),
    lambda _y, a, x: -gamma_density_by_shape(0)(a, x),
    singular=True,
    domain=(POSITIVE, POSITIVE),
)
for _name, _sign in (("gammaincinv", 1), ("gammainccinv", -1)):
    row(
        _name,
        "a y",
        lambda x, a, _y: -gamma_slope(a, x) / gamma_density(a, x),
        lambda x, a, _y, *, sign=_sign: sign / gamma_density(a, x),
        singular=True,
        domain=("above half", PROBABILITY),
    )
for _name, _sign in (("gdtr", 1), ("gdtrc", -1)):
    row(
        _name,
        "a b x",
        lambda _y, a, b, x, *, sign=_sign: sign * x * gamma_density_by_shape(0)(b, a * x),
        lambda _y, a, b, x, *, sign=_sign: sign * gamma_slope(b, a * x),
        lambda _y, a, b, x, *, sign=_sign: sign * a * gamma_density_by_shape(0)(b, a * x),
        singular=True,
        domain=(POSITIVE, POSITIVE, POSITIVE),
    )
row(
    "gdtria",
    "p b x",
    lambda a, _p, b, x: 1 / (x * gamma_density(b, a * x)),
    lambda a, _p, b, x: -gamma_slope(b, a * x) / (x * gamma_density(b, a * x)),
    lambda a, _p, _b, x: -a / x,
    singular=True,
    domain=(PROBABILITY, "above half", POSITIVE),
)
row(
    "gdtrib",
    "a p x",
    lambda b, a, _p, x: -x * gamma_density(b, a * x) / gamma_slope(b, a * x),
    lambda b, a, _p, x: 1 / gamma_slope(b, a * x),
    lambda b, a, _p, x: -a * gamma_density(b, a * x) / gamma_slope(b, a * x),
    singular=True,
    domain=(POSITIVE, INNER, POSITIVE),
)
row(
    "gdtrix",
    "a b p",
    lambda x, a, _b, _p: -x / a,
    lambda x, a, b, _p: -gamma_slope(b, a * x) / (a * gamma_density(b, a * x)),
    lambda x, a, b, _p: 1 / (a * gamma_density(b, a * x)),
    singular=True,
    domain=(POSITIVE, "above half", PROBABILITY),
)


def _chi_by_degrees(v: Any, x: Any) -> Any:
    return 0.5 * gamma_slope(0.5 * v, 0.5 * x)


row(
    "chdtr",
    "v x",
    lambda _y, v, x: _chi_by_degrees(v, x),
    lambda _y, v, x: 0.5 * gamma_density_by_shape(0)(0.5 * v, 0.5 * x),
    singular=True,
    domain=(POSITIVE, POSITIVE),
)
row(
    "chdtrc",
    "v x",
    lambda _y, v, x: -_chi_by_degrees(v, x),
    lambda _y, v, x: -0.5 * gamma_density_by_shape(0)(0.5 * v, 0.5 * x),
    singular=True,
    domain=(POSITIVE, POSITIVE),
)
row(
    "chdtri",
    "v p",
    lambda x, v, _p: -_chi_by_degrees(v, x) / chi_square_density(v, x),
    lambda x, v, _p: -1 / chi_square_density(v, x),
    singular=True,
    domain=(ABOVE_ONE, PROBABILITY),
)
row(
    "chdtriv",
    "p x",
    lambda v, _p, x: 1 / _chi_by_degrees(v, x),
    lambda v, _p, x: -chi_square_density(v, x) / _chi_by_degrees(v, x),
    singular=True,
    domain=(INNER, POSITIVE),
)
row("pdtr", "k m", ORDER, lambda _y, k, m: -gamma_density(weak(np.floor(k)) + 1, m), domain=("order", POSITIVE))
row("pdtrc", "k m", ORDER, lambda _y, k, m: gamma_density(weak(np.floor(k)) + 1, m), domain=("order", POSITIVE))
row("pdtri", "k y", ORDER, lambda m, k, _y: -1 / gamma_density(weak(np.floor(k)) + 1, m), domain=("order", PROBABILITY))
row(
    "pdtrik",
    "p m",
    lambda k, _p, m: -1 / gamma_slope(k + 1, m),
    lambda k, _p, m: -gamma_density(k + 1, m) / gamma_slope(k + 1, m),
    domain=(INNER, "above two"),
)

# --------------------------------------------------------------------------------------------------
# incomplete beta functions, F, Student, binomial

for _name, _sign in (("betainc", 1), ("betaincc", -1)):
    row(
        _name,
        "a b x",
        lambda _y, a, b, x, *, sign=_sign: sign * beta_slope_a(a, b, x),
        lambda _y, a, b, x, *, sign=_sign: sign * beta_slope_b(a, b, x),
        lambda _y, a, b, x, *, sign=_sign: sign * beta_density(a, b, x),
        singular=True,
        domain=(POSITIVE, POSITIVE, INNER),
    )
for _name, _sign in (("betaincinv", 1), ("betainccinv", -1)):
    row(
        _name,
        "a b y",
        lambda x, a, b, _y: -beta_slope_a(a, b, x) / beta_density(a, b, x),
        lambda x, a, b, _y: -beta_slope_b(a, b, x) / beta_density(a, b, x),
        lambda x, a, b, _y, *, sign=_sign: sign / beta_density(a, b, x),
        singular=True,
        domain=(POSITIVE, POSITIVE, INNER),
    )
row(
    "_beta_ppf",
    "x a b",
    lambda x, _p, a, b: 1 / beta_density(a, b, x),
    lambda x, _p, a, b: -beta_slope_a(a, b, x) / beta_density(a, b, x),
    lambda x, _p, a, b: -beta_slope_b(a, b, x) / beta_density(a, b, x),
    singular=True,
    domain=(INNER, POSITIVE, POSITIVE),
)
row(
    "btdtria",
    "p b x",
    lambda a, _p, b, x: 1 / beta_slope_a(a, b, x),
    lambda a, _p, b, x: -beta_slope_b(a, b, x) / beta_slope_a(a, b, x),
    lambda a, _p, b, x: -beta_density(a, b, x) / beta_slope_a(a, b, x),
    domain=(INNER, POSITIVE, INNER),
)
row(
    "btdtrib",
    "a p x",
    lambda b, a, _p, x: -beta_slope_a(a, b, x) / beta_slope_b(a, b, x),
    lambda b, a, _p, x: 1 / beta_slope_b(a, b, x),
    lambda b, a, _p, x: -beta_density(a, b, x) / beta_slope_b(a, b, x),
    domain=(POSITIVE, INNER, INNER),
)
for _name, _sign in (("fdtr", 1), ("fdtrc", -1)):
    row(
        _name,
        "dfn dfd x",
        lambda _y, m, n, x, *, sign=_sign: sign * f_slope_above(m, n, x),
        lambda _y, m, n, x, *, sign=_sign: sign * f_slope_below(m, n, x),
        lambda _y, m, n, x, *, sign=_sign: sign * f_density(m, n, x),
        domain=(POSITIVE, POSITIVE, POSITIVE),
    )
row(
    "fdtri",
    "dfn dfd p",
    lambda x, m, n, _p: -f_slope_above(m, n, x) / f_density(m, n, x),
    lambda x, m, n, _p: -f_slope_below(m, n, x) / f_density(m, n, x),
    lambda x, m, n, _p: 1 / f_density(m, n, x),
    domain=(ABOVE_ONE, ABOVE_ONE, INNER),
)
row(
    "stdtr",
    "df t",
    lambda _y, v, t: student_slope(v, t),
    lambda _y, v, t: t_density(v, t),
    domain=(ABOVE_ONE, REAL),
)
row(
    "stdtrit",
    "df p",
    lambda t, v, _p: -student_slope(v, t) / t_density(v, t),
    lambda t, v, _p: 1 / t_density(v, t),
    domain=(ABOVE_ONE, INNER),
)


A = PARAMETER
ORDERS = ("order", "number", INNER)
row("bdtr", "k n p", ORDER, NO_FORMULA, lambda _y, k, n, p: -binomial_slope(k, n, p), domain=ORDERS)
row("bdtrc", "k n p", ORDER, NO_FORMULA, lambda _y, k, n, p: binomial_slope(k, n, p), domain=ORDERS)
row("bdtri", "k n y", ORDER, NO_FORMULA, lambda p, k, n, _y: -1 / binomial_slope(k, n, p), domain=ORDERS)
row("nbdtr", "k n p", ORDER, NO_FORMULA, lambda _y, k, n, p: negative_binomial_slope(k, n, p), domain=ORDERS)
row("nbdtrc", "k n p", ORDER, NO_FORMULA, lambda _y, k, n, p: -negative_binomial_slope(k, n, p), domain=ORDERS)
row("nbdtri", "k n y", ORDER, NO_FORMULA, lambda p, k, n, _y: 1 / negative_binomial_slope(k, n, p), domain=ORDERS)

# --------------------------------------------------------------------------------------------------
# noncentral distributions: by the noncentrality the slope is a difference of two distribution functions, but for Student's


def _chi_by_noncentrality(p: Any, x: Any, v: Any, nc: Any) -> Any:
    return 0.5 * (special.chndtr(x, v + 2, nc) - p)


def _f_by_noncentrality(p: Any, m: Any, n: Any, nc: Any, x: Any) -> Any:
    return 0.5 * (special.ncfdtr(m + 2, n, nc, x * (m / (m + 2))) - p)


row(
    "chndtr",
    "x df nc",
    lambda _p, x, v, nc: chi_square_noncentral_density(x, v, nc),
    lambda _p, x, v, nc: chi_square_slope(x, v, nc),
    lambda p, x, v, nc: _chi_by_noncentrality(p, x, v, nc),
    domain=(POSITIVE, A, POSITIVE),
)
row(
    "chndtrix",
    "p df nc",
    lambda x, _p, v, nc: 1 / chi_square_noncentral_density(x, v, nc),
    lambda x, _p, v, nc: -chi_square_slope(x, v, nc) / chi_square_noncentral_density(x, v, nc),
    lambda x, p, v, nc: -_chi_by_noncentrality(p, x, v, nc) / chi_square_noncentral_density(x, v, nc),
    domain=(INNER, A, POSITIVE),
)
row(
    "chndtrinc",
    "x df p",
    lambda nc, x, v, p: -chi_square_noncentral_density(x, v, nc) / _chi_by_noncentrality(p, x, v, nc),
    lambda nc, x, v, p: -chi_square_slope(x, v, nc) / _chi_by_noncentrality(p, x, v, nc),
    lambda nc, x, v, p: 1 / _chi_by_noncentrality(p, x, v, nc),
    domain=("above three", A, "small probability"),
)
row(
    "ncfdtr",
    "dfn dfd nc f",
    lambda _p, m, n, nc, x: noncentral_f_slope_above(m, n, nc, x),
    lambda _p, m, n, nc, x: noncentral_f_slope_below(m, n, nc, x),
    lambda p, m, n, nc, x: _f_by_noncentrality(p, m, n, nc, x),
    lambda _p, m, n, nc, x: f_noncentral_density(m, n, nc, x),
    domain=(A, A, POSITIVE, POSITIVE),
)
row(
    "ncfdtri",
    "dfn dfd nc p",
    lambda x, m, n, nc, _p: -noncentral_f_slope_above(m, n, nc, x) / f_noncentral_density(m, n, nc, x),
    lambda x, m, n, nc, _p: -noncentral_f_slope_below(m, n, nc, x) / f_noncentral_density(m, n, nc, x),
    lambda x, m, n, nc, p: -_f_by_noncentrality(p, m, n, nc, x) / f_noncentral_density(m, n, nc, x),
    lambda x, m, n, nc, _p: 1 / f_noncentral_density(m, n, nc, x),
    domain=(A, A, POSITIVE, INNER),
)
row(
    "ncfdtrinc",
    "dfn dfd p f",
    lambda nc, m, n, p, x: -noncentral_f_slope_above(m, n, nc, x) / _f_by_noncentrality(p, m, n, nc, x),
    lambda nc, m, n, p, x: -noncentral_f_slope_below(m, n, nc, x) / _f_by_noncentrality(p, m, n, nc, x),
    lambda nc, m, n, p, x: 1 / _f_by_noncentrality(p, m, n, nc, x),
    lambda nc, m, n, p, x: -f_noncentral_density(m, n, nc, x) / _f_by_noncentrality(p, m, n, nc, x),
    domain=(A, A, "small probability", "above two"),
)
row(
    "nctdtr",
    "df nc t",
    lambda _p, v, nc, t: noncentral_t_slope(v, nc, t),
    lambda _p, v, nc, t: t_by_noncentrality(v, nc, t),
    lambda _p, v, nc, t: t_noncentral_density(v, nc, t),
    domain=(A, A, REAL),
)
row(
    "nctdtrit",
    "df nc p",
    lambda t, v, nc, _p: -noncentral_t_slope(v, nc, t) / t_noncentral_density(v, nc, t),
    lambda t, v, nc, _p: -t_by_noncentrality(v, nc, t) / t_noncentral_density(v, nc, t),
    lambda t, v, nc, _p: 1 / t_noncentral_density(v, nc, t),
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
    "bdtrik bdtrin nbdtrik nbdtrin chndtridf fdtridfd ncfdtridfd ncfdtridfn nctdtridf nctdtrinc stdtridf",
    "it is the inverse of a distribution function by a parameter, and no closed form is known of how that depends on the parameter",
)
