"""Exponential, trigonometric and hyperbolic integrals, the dilogarithm, and the arithmetic-geometric mean."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from dualdiff.rules.special.elliptic import ellipk_slope
from dualdiff.rules.special.rows import NO_FORMULA, POSITIVE, row, rows
from dualdiff.rules.special.series import LOG1P, near_zero, sin_over, sinh_over

rows("sici", "x", [lambda _y, x: sin_over(x)], [lambda _y, x: np.cos(x) / x], singular=True, domain=POSITIVE)
rows("shichi", "x", [lambda _y, x: sinh_over(x)], [lambda _y, x: np.cosh(x) / x], singular=True, domain=POSITIVE)
row("exp1", "z", lambda _y, x: -np.exp(-x) / x, singular=True, domain=POSITIVE)
row("_scaled_exp1", "x", lambda y, x: y * (1 + 1 / x) - 1, singular=True, domain=POSITIVE)
row("expi", "x", lambda _y, x: np.exp(x) / x, singular=True, domain=POSITIVE)


def _expn_slope(y: Any, n: Any, x: Any) -> Any:
    first = np.equal(n, 0)
    return np.where(first, -np.exp(-x) * (1 + x) / (x * x), -special.expn(np.where(first, 0, n - 1), x))


row("expn", "n x", NO_FORMULA, lambda y, n, x: _expn_slope(y, n, x), singular=True, domain=("order", POSITIVE))


def _dilogarithm_slope(z: Any) -> Any:
    """Return log(z)/(1-z); near z = 1 from its power series."""
    u = z - 1
    near = np.less(np.abs(u), 0.1)  # z itself has more digits near 0 than u
    return -near_zero(u, 0.1, LOG1P, lambda moved: np.log(np.where(near, 1.1, z)) / moved)


row("spence", "z", lambda _y, z: _dilogarithm_slope(z), singular=True, domain=POSITIVE)


def _mean_slope(y: Any, a: Any, b: Any) -> Any:
    """Return the partial of the arithmetic-geometric mean by a, from π/4 (a+b)/K(k²), k = (a-b)/(a+b)."""
    k = (a - b) / (a + b)
    whole = special.ellipk(k * k)
    slope = ellipk_slope(k * k)
    return 0.25 * math.pi / whole * (1 - slope / whole * 4 * k * b / (a + b))


row(
    "agm",
    "a b",
    lambda y, a, b: _mean_slope(y, a, b),
    lambda y, a, b: _mean_slope(y, b, a),
    domain=(POSITIVE, POSITIVE),
)
