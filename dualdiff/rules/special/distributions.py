"""What ``scipy.stats`` calls: ufuncs that SciPy keeps for its own use, of distributions with a place, a scale and a shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from dualdiff.rules.special.densities import (
    binomial_slope,
    negative_binomial_slope,
    noncentral_chi_square_density,
    noncentral_f_density,
    noncentral_t_density,
)
from dualdiff.rules.special.elementary import quotient
from dualdiff.rules.special.error import normal_density
from dualdiff.rules.special.rows import (
    ABOVE_ONE,
    INNER,
    NO_FORMULA,
    ORDER,
    PARAMETER,
    POSITIVE,
    REAL,
    UNIT,
    named,
    piecewise_constant,
    row,
)
from dualdiff.rules.special.series import weak
from dualdiff.rules.special.shapes import beta_slope_a

# --------------------------------------------------------------------------------------------------
# the skew normal distribution, Φ(z) - 2 T(z, a) with Owen's function


def _skew_density(z: Any, a: Any) -> Any:
    return 2 * normal_density(z) * special.ndtr(a * z)


def _skew_by_shape(z: Any, a: Any) -> Any:
    return -np.exp(-0.5 * z * z * (1 + a * a)) / (math.pi * (1 + a * a))


row(
    "_skewnorm_cdf",
    "x loc scale a",
    lambda _p, x, loc, s, a: _skew_density((x - loc) / s, a) / s,
    lambda _p, x, loc, s, a: -_skew_density((x - loc) / s, a) / s,
    lambda _p, x, loc, s, a: -_skew_density((x - loc) / s, a) * (x - loc) / (s * s),
    lambda _p, x, loc, s, a: _skew_by_shape((x - loc) / s, a),
    domain=(UNIT, UNIT, ABOVE_ONE, UNIT),
)
for _name, _sign in (("_skewnorm_ppf", 1), ("_skewnorm_isf", -1)):
    row(
        _name,
        "p loc scale a",
        lambda x, _p, loc, s, a, *, sign=_sign: sign * s / _skew_density((x - loc) / s, a),
        1,
        lambda x, _p, loc, s, _a: (x - loc) / s,
        lambda x, _p, loc, s, a: -s * _skew_by_shape((x - loc) / s, a) / _skew_density((x - loc) / s, a),
        domain=(INNER, REAL, ABOVE_ONE, UNIT),
    )

# --------------------------------------------------------------------------------------------------
# Cauchy's distribution, and a cosine's arch

for _name, _sign in (("_cauchy_ppf", 1), ("_cauchy_isf", -1)):
    row(
        _name,
        "p loc scale",
        lambda x, _p, loc, s, *, sign=_sign: sign * math.pi * s * (1 + np.square((x - loc) / s)),
        1,
        lambda x, _p, loc, s: (x - loc) / s,
        domain=(INNER, REAL, POSITIVE),
    )
row(
    "_cosine_cdf",
    "x",
    lambda _p, x: np.where(np.abs(x) < math.pi, np.square(np.cos(0.5 * x)) / math.pi, 0.0),
    domain=REAL,
)
row("_cosine_invcdf", "p", lambda x, _p: math.pi / np.square(np.cos(0.5 * x)), singular=True, domain=INNER)

# --------------------------------------------------------------------------------------------------
# the beta density

row(
    "_beta_pdf",
    "x a b",
    lambda f, x, a, b: f * (quotient(a - 1, x) - quotient(b - 1, 1 - x)),
    lambda f, x, a, b: f * (np.log(x) - special.psi(a) + special.psi(a + b)),
    lambda f, x, a, b: f * (np.log1p(-x) - special.psi(b) + special.psi(a + b)),
    singular=True,
    domain=(INNER, POSITIVE, POSITIVE),
)
# --------------------------------------------------------------------------------------------------
# counts of successes: by whole numbers k they are constant between


def _binomial_by_p(f: Any, k: Any, n: Any, p: Any) -> Any:
    return f * (quotient(k, p) - quotient(n - k, 1 - p))


def _negative_by_p(f: Any, k: Any, n: Any, p: Any) -> Any:
    return f * (quotient(n, p) - quotient(k, 1 - p))


COUNTS = ("order", "number", INNER)
row("_binom_pmf", "k n p", ORDER, ORDER, lambda f, k, n, p: _binomial_by_p(f, k, n, p), domain=COUNTS)
row(
    "_nbinom_pmf",
    "k n p",
    ORDER,
    lambda f, k, n, p: f * (special.psi(k + n) - special.psi(n) + np.log(p)),
    lambda f, k, n, p: _negative_by_p(f, k, n, p),
    domain=("order", POSITIVE, INNER),
)
for _tail, _sign in (("cdf", 1), ("sf", -1)):
    row(
        f"_binom_{_tail}",
        "k n p",
        ORDER,
        ORDER,
        lambda _p, k, n, p, *, sign=_sign: -sign * binomial_slope(k, n, p),
        domain=COUNTS,
    )
    row(
        f"_nbinom_{_tail}",
        "k n p",
        ORDER,
        lambda _p, k, n, p, *, sign=_sign: sign * beta_slope_a(n, weak(np.floor(k)) + 1, p),
        lambda _p, k, n, p, *, sign=_sign: sign * negative_binomial_slope(k, n, p),
        domain=("order", POSITIVE, INNER),
    )
piecewise_constant("_binom_ppf", "_binom_isf", "_nbinom_ppf", "_nbinom_isf")
row("_nbinom_mean", "n p", lambda _m, n, p: (1 - p) / p, lambda _m, n, p: -n / (p * p), domain=(POSITIVE, INNER))
row(
    "_nbinom_variance",
    "n p",
    lambda _v, n, p: (1 - p) / (p * p),
    lambda _v, n, p: n * (p - 2) / (p * p * p),
    domain=(POSITIVE, INNER),
)
row(
    "_nbinom_skewness",
    "n p",
    lambda s, n, p: -0.5 * s / n,
    lambda s, n, p: s * (0.5 / (1 - p) - 1 / (2 - p)),
    domain=(POSITIVE, INNER),
)
row(
    "_nbinom_kurtosis_excess",
    "n p",
    lambda e, n, p: -e / n,
    lambda _e, n, p: (p * p - 6 * p + 6 + (1 - p) * (2 * p - 6)) / (n * np.square(1 - p)),
    domain=(POSITIVE, INNER),
)

# --------------------------------------------------------------------------------------------------
# survival functions of noncentral distributions

_chi_square: Any = named("_ncx2_sf")
_f: Any = named("_ncf_sf")
row(
    "_ncx2_sf",
    "x df nc",
    lambda _q, x, v, nc: -noncentral_chi_square_density(x, v, nc),
    NO_FORMULA,
    lambda q, x, v, nc: 0.5 * (_chi_square(x, v + 2, nc) - q),
    domain=(POSITIVE, PARAMETER, POSITIVE),
)
row(
    "_ncf_sf",
    "x dfn dfd nc",
    lambda _q, x, m, n, nc: -noncentral_f_density(m, n, nc, x),
    NO_FORMULA,
    NO_FORMULA,
    lambda q, x, m, n, nc: 0.5 * (_f(x * (m / (m + 2)), m + 2, n, nc) - q),
    domain=(POSITIVE, PARAMETER, PARAMETER, POSITIVE),
)
row(
    "_nct_sf",
    "x df nc",
    lambda _q, t, v, nc: -noncentral_t_density(v, nc, t),
    NO_FORMULA,
    NO_FORMULA,
    domain=(REAL, PARAMETER, PARAMETER),
)
