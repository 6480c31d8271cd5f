"""Hypergeometric functions and Wright's: by the argument, the slope is the same function of shifted parameters (DLMF 13.3, 15.5)."""

from __future__ import annotations

import numpy as np
from scipy import special

from dualdiff.rules.special.rows import NO_FORMULA, PARAMETER, POSITIVE, REAL, UNIT, row

P = PARAMETER
row("hyp0f1", "v z", NO_FORMULA, lambda _y, v, z: special.hyp0f1(v + 1, z) / v, domain=(P, REAL))
row(
    "hyp1f1",
    "a b x",
    NO_FORMULA,
    NO_FORMULA,
    lambda _y, a, b, x: a / b * special.hyp1f1(a + 1, b + 1, x),
    domain=(P, P, REAL),
)
row(
    "hyp2f1",
    "a b c z",
    NO_FORMULA,
    NO_FORMULA,
    NO_FORMULA,
    lambda _y, a, b, c, z: a * b / c * special.hyp2f1(a + 1, b + 1, c + 1, z),
    domain=(P, P, P, UNIT),
)
row(
    "hyperu",
    "a b x",
    NO_FORMULA,
    NO_FORMULA,
    lambda _y, a, b, x: -a * special.hyperu(a + 1, b + 1, x),
    singular=True,
    domain=(P, P, POSITIVE),
)
row(
    "wright_bessel",
    "a b x",
    NO_FORMULA,
    NO_FORMULA,
    lambda _y, a, b, x: special.wright_bessel(a, a + b, x),
    domain=(P, P, POSITIVE),
)
row(
    "log_wright_bessel",
    "a b x",
    NO_FORMULA,
    NO_FORMULA,
    lambda y, a, b, x: np.exp(special.log_wright_bessel(a, a + b, x) - y),
    domain=(P, P, POSITIVE),
)
row("wrightomega", "z", lambda w, _z: w / (1 + w), domain=REAL)
row(
    "_lambertw",
    "z k tol",
    lambda w, z, k, tol: _lambert_slope(w, z, k),
    NO_FORMULA,
    NO_FORMULA,
    singular=True,
    domain=(POSITIVE, "branch", "tolerance"),
)


def _lambert_slope(w: object, z: object, k: object) -> object:
    """Return the slope of W: e^-W/(1+W), which has no quotient by z."""
    return np.exp(-w) / (1 + w)  # type: ignore[operator]
