"""Exponentials, logarithms, powers and angles: SciPy's own ufuncs, also where they bear a name of NumPy's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from dualdiff.kinds import Elementwise
from dualdiff.kinds.kinks import Kink
from dualdiff.rules.elementwise import power_base, power_exponent
from dualdiff.rules.special.rows import ABOVE_MINUS_ONE, INNER, NONZERO, POSITIVE, REAL, piecewise_constant, row
from dualdiff.rules.special.series import exprel_slope, log1p_over, log1p_over_slope

row("log1p", "x", lambda _y, x: np.reciprocal(1 + x), singular=True, domain=ABOVE_MINUS_ONE)
row("expm1", "x", lambda _y, x: np.exp(x), domain=REAL)
row("exp2", "x", lambda y, _x: y * math.log(2), domain=REAL)
row("exp10", "x", lambda y, _x: y * math.log(10), domain=REAL)
row("cbrt", "x", lambda y, _x: 1 / (3 * y * y), singular=True, domain=NONZERO)
row("cosm1", "x", lambda _y, x: -np.sin(x), domain=REAL)
row("exprel", "x", lambda y, x: exprel_slope(y, x), domain=REAL)

DEGREE = math.pi / 180
row("sindg", "x", lambda _y, x: DEGREE * special.cosdg(x), domain=REAL)
row("cosdg", "x", lambda _y, x: -DEGREE * special.sindg(x), domain=REAL)
row("tandg", "x", lambda y, _x: DEGREE * (1 + y * y), domain=REAL)
row("cotdg", "x", lambda y, _x: -DEGREE * (1 + y * y), domain=NONZERO)
row(
    "radian",
    "d m s",
    lambda _y, _d, _m, _s: DEGREE,
    lambda _y, _d, _m, _s: DEGREE / 60,
    lambda _y, _d, _m, _s: DEGREE / 3600,
    domain=(REAL, REAL, REAL),
)
piecewise_constant("round")

# --------------------------------------------------------------------------------------------------
# logistic functions


def _logistic_slope(y: Any, x: Any) -> Any:
    """Return y(1-y): from y alone where that keeps the digits."""
    if type(y) is np.ndarray and y.size and np.max(y) < 0.99:
        return y * (1 - y)
    return y * special.expit(-x)


row("expit", "x", _logistic_slope, domain=REAL)
row("log_expit", "x", lambda _y, x: special.expit(-x), domain=REAL)
row("logit", "x", lambda _y, x: 1 / (x * (1 - x)), singular=True, domain=INNER)

# --------------------------------------------------------------------------------------------------
# products with logarithms, powers


def _quotient(x: Any, y: Any) -> Any:
    void = np.logical_and(np.equal(x, 0), np.equal(y, 0))
    return np.where(void, 0.0, x / np.where(void, 1.0, y))


# 0/0 counts as 0, a chosen value: its derivative is NaN there
CORNER = Kink(
    lambda _z, x, y: np.maximum(np.abs(x), np.abs(y)), "0 by the logarithm's argument", "keep one of them from 0"
)
"""Where x·log(y) is 0·log(0)."""
quotient = Elementwise("share", _quotient, lambda _z, _x, y: 1 / y, lambda z, _x, y: -z / y, singular=True)
"""x / y, and 0 for 0/0: what x·log(y) has for a slope by y where it is 0 for every y."""


def _quotient_of_numbers(x: Any, y: Any) -> Any:
    void = x.made("logical_and", x.made("equal", x, 0), x.made("equal", y, 0))
    return x.made("where", void, 0, x / x.made("where", void, 1, y))


quotient.lower = _quotient_of_numbers

row(
    "xlogy",
    "x y",
    lambda _z, _x, y: np.log(y),
    lambda _z, x, y: quotient(x, y),
    singular=True,
    kink=CORNER,
    domain=(REAL, POSITIVE),
)
row(
    "xlog1py",
    "x y",
    lambda _z, _x, y: special.log1p(y),  # NumPy's loses the digits of a small complex number
    lambda _z, x, y: quotient(x, 1 + y),
    singular=True,
    kink=Kink(lambda _z, x, y: np.maximum(np.abs(x), np.abs(1 + y)), CORNER.convention, CORNER.advice),
    domain=(REAL, ABOVE_MINUS_ONE),
)
row(
    "powm1",
    "x y",
    lambda z, x, y: power_base(z, x, y),
    lambda _z, x, y: power_exponent(x**y, x, y),
    singular=True,
    domain=(POSITIVE, REAL),
)


def power_mean(log: Any, lam: Any) -> Any:
    """Return the derivative by λ of (x^λ-1)/λ, from log x; also at λ = 0."""
    u = lam * log
    return log * log * exprel_slope(special.exprel(u), u)


row(
    "boxcox",
    "x lmbda",
    lambda _z, x, lam: np.exp((lam - 1) * np.log(x)),
    lambda _z, x, lam: power_mean(np.log(x), lam),
    singular=True,
    domain=(POSITIVE, REAL),
)
row(
    "boxcox1p",
    "x lmbda",
    lambda _z, x, lam: np.exp((lam - 1) * np.log1p(x)),
    lambda _z, x, lam: power_mean(np.log1p(x), lam),
    singular=True,
    domain=(ABOVE_MINUS_ONE, REAL),
)
# the inverse is exp(log(1+λy)/λ)
row(
    "inv_boxcox",
    "y lmbda",
    lambda _z, y, lam: np.exp((1 - lam) * y * log1p_over(lam * y)),
    lambda z, y, lam: z * y * y * log1p_over_slope(lam * y),
    domain=(INNER, INNER),
)
row(
    "inv_boxcox1p",
    "y lmbda",
    lambda _z, y, lam: np.exp((1 - lam) * y * log1p_over(lam * y)),
    lambda z, y, lam: (1 + z) * y * y * log1p_over_slope(lam * y),
    domain=(INNER, INNER),
)

# --------------------------------------------------------------------------------------------------
# what SciPy keeps for its own use

row("_log1pmx", "x", lambda _y, x: -x / (1 + x), singular=True, domain=ABOVE_MINUS_ONE)
row("_log1mexp", "x", lambda _y, x: -1 / np.expm1(-x), singular=True, domain="negative")
row("_sinpi", "x", lambda _y, x: math.pi * special._ufuncs._cospi(x), domain=REAL)
row("_cospi", "x", lambda _y, x: -math.pi * special._ufuncs._sinpi(x), domain=REAL)

__all__ = ["power_mean", "quotient"]
