"""What ``scipy.stats`` calls: ufuncs that SciPy keeps for its own use, of distributions with a place, a scale and a shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from dualdiff.kinds import Elementwise
from dualdiff.register import REAL_ONLY, Facts, composite
from dualdiff.rules.absent import where_nan
from dualdiff.rules.special.densities import (
    beta_density,
    binomial_slope,
    negative_binomial_slope,
)
from dualdiff.rules.special.elementary import quotient
from dualdiff.rules.special.error import normal_density
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
from dualdiff.rules.special.shapes import beta_slope_a, beta_slope_b
from dualdiff.values import bind, operand

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
    lambda _p, x: np.where(np.abs(x) >= math.pi, 0.0, np.square(np.cos(0.5 * x)) / math.pi),
    domain=REAL,
)
row("_cosine_invcdf", "p", lambda x, _p: math.pi / np.square(np.cos(0.5 * x)), singular=True, domain=INNER)

# --------------------------------------------------------------------------------------------------
# the beta distribution

row(
    "_beta_pdf",
    "x a b",
    lambda f, x, a, b: f * (quotient(a - 1, x) - quotient(b - 1, 1 - x)),
    lambda f, x, a, b: f * (np.log(x) - special.psi(a) + special.psi(a + b)),
    lambda f, x, a, b: f * (np.log1p(-x) - special.psi(b) + special.psi(a + b)),
    singular=True,
    domain=(INNER, POSITIVE, POSITIVE),
)
for _name, _sign in (("_beta_cdf", 1), ("_beta_sf", -1)):
    row(
        _name,
        "x a b",
        lambda _p, x, a, b, *, sign=_sign: sign * beta_density(a, b, x),
        lambda _p, x, a, b, *, sign=_sign: sign * beta_slope_a(a, b, x),
        lambda _p, x, a, b, *, sign=_sign: sign * beta_slope_b(a, b, x),
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
# noncentral distributions


def _noncentral(tail: str, sign: int) -> None:
    """Add the rows of the distribution functions, or of the survival functions: by the noncentrality a difference of two of them."""
    chi_square, f = named(f"_ncx2_{tail}"), named(f"_ncf_{tail}")
    row(
        f"_ncx2_{tail}",
        "x df nc",
        lambda _q, x, v, nc: sign * chi_square_noncentral_density(x, v, nc),
        lambda _q, x, v, nc: sign * chi_square_slope(x, v, nc),
        lambda q, x, v, nc: 0.5 * (chi_square(x, v + 2, nc) - q),
        domain=(POSITIVE, PARAMETER, POSITIVE),
    )
    row(
        f"_ncf_{tail}",
        "x dfn dfd nc",
        lambda _q, x, m, n, nc: sign * f_noncentral_density(m, n, nc, x),
        lambda _q, x, m, n, nc: sign * noncentral_f_slope_above(m, n, nc, x),
        lambda _q, x, m, n, nc: sign * noncentral_f_slope_below(m, n, nc, x),
        lambda q, x, m, n, nc: 0.5 * (f(x * (m / (m + 2)), m + 2, n, nc) - q),
        domain=(POSITIVE, PARAMETER, PARAMETER, POSITIVE),
    )
    row(
        f"_nct_{tail}",
        "x df nc",
        lambda _q, t, v, nc: sign * t_noncentral_density(v, nc, t),
        lambda _q, t, v, nc: sign * noncentral_t_slope(v, nc, t),
        lambda _q, t, v, nc: sign * t_by_noncentrality(v, nc, t),
        domain=(REAL, PARAMETER, PARAMETER),
    )


_noncentral("sf", -1)
_noncentral("cdf", 1)


def _noncentral_inverse(tail: str, of: str, sign: int) -> None:
    """Add the rows of the inverses: the slope by p is a density's reciprocal, by a parameter that of p over the density."""
    chi_square, f = named(f"_ncx2_{of}"), named(f"_ncf_{of}")
    row(
        f"_ncx2_{tail}",
        "p df nc",
        lambda x, _p, v, nc: sign / chi_square_noncentral_density(x, v, nc),
        lambda x, _p, v, nc: -chi_square_slope(x, v, nc) / chi_square_noncentral_density(x, v, nc),
        lambda x, p, v, nc: sign * 0.5 * (p - chi_square(x, v + 2, nc)) / chi_square_noncentral_density(x, v, nc),
        domain=(INNER, PARAMETER, POSITIVE),
    )
    row(
        f"_ncf_{tail}",
        "p dfn dfd nc",
        lambda x, _p, m, n, nc: sign / f_noncentral_density(m, n, nc, x),
        lambda x, _p, m, n, nc: -noncentral_f_slope_above(m, n, nc, x) / f_noncentral_density(m, n, nc, x),
        lambda x, _p, m, n, nc: -noncentral_f_slope_below(m, n, nc, x) / f_noncentral_density(m, n, nc, x),
        lambda x, p, m, n, nc: (
            sign * 0.5 * (p - f(x * (m / (m + 2)), m + 2, n, nc)) / f_noncentral_density(m, n, nc, x)
        ),
        domain=(INNER, PARAMETER, PARAMETER, POSITIVE),
    )
    row(
        f"_nct_{tail}",
        "p df nc",
        lambda t, _p, v, nc: sign / t_noncentral_density(v, nc, t),
        lambda t, _p, v, nc: -noncentral_t_slope(v, nc, t) / t_noncentral_density(v, nc, t),
        lambda t, _p, v, nc: -t_by_noncentrality(v, nc, t) / t_noncentral_density(v, nc, t),
        domain=(INNER, PARAMETER, PARAMETER),
    )


_noncentral_inverse("ppf", "cdf", 1)
_noncentral_inverse("isf", "sf", -1)
for _name, _density, _domain in (
    ("_ncx2_pdf", chi_square_noncentral_density, (POSITIVE, PARAMETER, POSITIVE)),
    ("_ncf_pdf", lambda x, m, n, nc: f_noncentral_density(m, n, nc, x), (POSITIVE, PARAMETER, PARAMETER, POSITIVE)),
):
    composite(named(_name), domain=_domain, facts=Facts(REAL_ONLY))(_density)

_as_computed = Elementwise("as _nct_pdf", lambda _y, t, v, nc: named("_nct_pdf")(t, v, nc), 1, 0, 0, 0)


@composite(named("_nct_pdf"), domain=(REAL, PARAMETER, PARAMETER), facts=Facts(REAL_ONLY))
def _t_density(t: Any, v: Any, nc: Any) -> Any:
    # Within 1e-8 of zero SciPy returns the density at zero: that is the value, and the density's derivative that of it.
    density = t_noncentral_density(v, nc, t)
    return bind(_as_computed, tuple([operand(x) for x in (density, t, v, nc)]), {})


def _there(exists: Any, moment: Any) -> Any:
    """Return a moment where it exists."""
    return where_nan(np.where(exists, moment, np.nan)[()], lambda: moment)


@composite(named("_ncf_mean"), domain=("above three", "above three", POSITIVE), facts=Facts(REAL_ONLY))
def _f_mean(m: Any, n: Any, nc: Any) -> Any:
    return _there(n > 2, n * (m + nc) / (m * (n - 2)))


@composite(named("_ncf_variance"), domain=("above three", "degrees", POSITIVE), facts=Facts(REAL_ONLY))
def _f_variance(m: Any, n: Any, nc: Any) -> Any:
    whole = 2 * np.square(n / m) * (np.square(m + nc) + (m + 2 * nc) * (n - 2)) / (np.square(n - 2) * (n - 4))
    return _there(n > 4, whole)


@composite(named("_nct_mean"), domain=("above three", REAL), facts=Facts(REAL_ONLY))
def _t_mean(v: Any, nc: Any) -> Any:
    return _there(v > 1, nc * np.sqrt(0.5 * v) / special.poch(0.5 * (v - 1), 0.5))


@composite(named("_nct_variance"), domain=("above three", REAL), facts=Facts(REAL_ONLY))
def _t_variance(v: Any, nc: Any) -> Any:
    return _there(v > 2, (1 + nc * nc) * v / (v - 2) - np.square(_t_mean(v, nc)))


# --------------------------------------------------------------------------------------------------
# moments that SciPy computed by ufuncs before 1.14, and by these formulas since


def _moments(name: str, *formulas: Callable[..., Any]) -> None:
    for moment, formula in zip(("mean", "variance", "skewness", "kurtosis_excess"), formulas, strict=True):
        composite(named(f"_{name}_{moment}"), domain=(ABOVE_ONE, INNER), facts=Facts(REAL_ONLY))(formula)


_moments(
    "beta",
    lambda a, b: a / (a + b),
    lambda a, b: a * b / (np.square(a + b) * (a + b + 1)),
    lambda a, b: 2 * (b - a) * np.sqrt((a + b + 1) / (a * b)) / (a + b + 2),
    lambda a, b: 6 * (np.square(a - b) * (a + b + 1) / (a * b) - (a + b + 2)) / ((a + b + 2) * (a + b + 3)),
)
_moments(
    "binom",
    lambda n, p: n * p,
    lambda n, p: n * p * (1 - p),
    lambda n, p: (1 - 2 * p) / np.sqrt(n * p * (1 - p)),
    lambda n, p: (1 - 6 * p * (1 - p)) / (n * p * (1 - p)),
)
_moments(
    "ncx2",
    lambda v, nc: v + nc,
    lambda v, nc: 2 * (v + 2 * nc),
    lambda v, nc: math.sqrt(8) * (v + 3 * nc) / (v + 2 * nc) ** 1.5,
    lambda v, nc: 12 * (v + 4 * nc) / np.square(v + 2 * nc),
)
