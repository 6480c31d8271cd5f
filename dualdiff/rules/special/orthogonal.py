"""Orthogonal polynomials and Legendre functions: by the argument, the slope is a polynomial of the neighbouring family.

DLMF 18.9.15 to 18.9.28. The degree is a whole number as a rule; Chebyshev's polynomials alone have closed forms by it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from dualdiff.rules.special.rows import NO_FORMULA, ORDER, PARAMETER, REAL, UNIT, Without, is_differentiated, row
from dualdiff.values import TRACED, decided

# --------------------------------------------------------------------------------------------------
# Chebyshev's, by degree too: Tₙ(cos t) = cos nt, Uₙ(cos t) = sin (n+1)t / sin t


def _first_by_degree(n: Any, x: Any) -> Any:
    t = np.arccos(x)
    return -t * np.sin(n * t)


def _second_by_degree(n: Any, x: Any) -> Any:
    t = np.arccos(x)
    return t * np.cos((n + 1) * t) / np.sqrt((1 - x) * (1 + x))


def _second_by_argument(n: Any, x: Any) -> Any:
    """Return Uₙ'; by the degree only the form with a quotient, which has no limit at ±1, can be differentiated once more."""
    if is_differentiated(n):
        w = (x - 1) * (x + 1)
        return ((n + 1) * special.eval_chebyt(n + 1, x) - x * special.eval_chebyu(n, x)) / w
    return 2 * special.eval_gegenbauer(n - 1, 2.0, x)


DEGREE = "degree"
row(
    "eval_chebyt",
    "n x",
    lambda _y, n, x: _first_by_degree(n, x),
    lambda _y, n, x: n * special.eval_chebyu(n - 1, x),
    singular=True,
    domain=(DEGREE, UNIT),
)
row(
    "eval_chebyu",
    "n x",
    lambda _y, n, x: _second_by_degree(n, x),
    lambda _y, n, x: _second_by_argument(n, x),
    singular=True,
    domain=(DEGREE, UNIT),
)
row(
    "eval_chebyc",
    "n x",
    lambda _y, n, x: 2 * _first_by_degree(n, 0.5 * x),
    lambda _y, n, x: n * special.eval_chebyu(n - 1, 0.5 * x),
    singular=True,
    domain=(DEGREE, UNIT),
)
row(
    "eval_chebys",
    "n x",
    lambda _y, n, x: _second_by_degree(n, 0.5 * x),
    lambda _y, n, x: 0.5 * _second_by_argument(n, 0.5 * x),
    singular=True,
    domain=(DEGREE, UNIT),
)
row(
    "eval_sh_chebyt",
    "n x",
    lambda _y, n, x: _first_by_degree(n, 2 * x - 1),
    lambda _y, n, x: 2 * n * special.eval_chebyu(n - 1, 2 * x - 1),
    singular=True,
    domain=(DEGREE, "inner"),
)
row(
    "eval_sh_chebyu",
    "n x",
    lambda _y, n, x: _second_by_degree(n, 2 * x - 1),
    lambda _y, n, x: 2 * _second_by_argument(n, 2 * x - 1),
    singular=True,
    domain=(DEGREE, "inner"),
)

# --------------------------------------------------------------------------------------------------
# the others; of degree 0 they are constant


def _lower(polynomial: Any, n: Any, *more: Any) -> Any:
    """Return the polynomial of degree n-1, and 0 for n = 0."""
    constant = np.equal(n, 0)
    if not np.any(constant):
        return polynomial(n - 1, *more)
    return np.where(constant, 0.0, polynomial(np.where(constant, n, n - 1), *more))


def _is_whole(n: Any, *_more: Any) -> bool:
    return type(n) not in TRACED and bool(np.all(np.equal(n, np.floor(n))))


WHOLE_DEGREE = Without(
    "a closed form of it is known for whole degrees only, which a plain integer n is. Keep it constant, or freeze it on "
    "purpose with dd.stop_gradient",
    unless=_is_whole,
)


def _laguerre_by_parameter(n: Any, a: Any, x: Any) -> Any:
    """Return Σ_{k<n} L_k^a(x)/(n-k)."""
    n = decided(n)
    total = 0.0 * (a + x)
    for k in range(int(np.max(n, initial=0))):
        left = np.greater(n, k)
        total = total + np.where(left, special.eval_genlaguerre(k, a, x) / np.where(left, n - k, 1), 0.0)
    return total


def _gegenbauer_by_parameter(y: Any, n: Any, a: Any, x: Any) -> Any:
    """Return the partial by a of C_n^a(x), a finite sum of polynomials of lower degree."""
    n = decided(n)
    total = 0.0 * (a + x)
    for k in range(int(np.max(n, initial=0))):
        left = np.greater(n, k)
        down = np.where(left, n - k, 1)
        even = 2.0 * (1 + np.where(np.equal(down % 2, 0), 1, -1))
        share = even * (k + a) / ((k + n + 2 * a) * down) * special.eval_gegenbauer(k, a, x)
        own = 2 * (k + 1) / ((k + 2 * a) * (2 * k + 2 * a + 1)) + 2 / (k + n + 2 * a)
        total = total + np.where(left, share + own * y, 0.0)
    return total


_ANY = ("order", UNIT)
row("eval_legendre", "n x", NO_FORMULA, lambda _y, n, x: _lower(special.eval_gegenbauer, n, 1.5, x), domain=_ANY)
row(
    "eval_sh_legendre",
    "n x",
    NO_FORMULA,
    lambda _y, n, x: 2 * _lower(special.eval_gegenbauer, n, 1.5, 2 * x - 1),
    domain=("order", "inner"),
)
row(
    "eval_gegenbauer",
    "n alpha x",
    NO_FORMULA,
    WHOLE_DEGREE._replace(partial=lambda y, n, a, x: _gegenbauer_by_parameter(y, n, a, x)),
    lambda _y, n, a, x: 2 * a * _lower(special.eval_gegenbauer, n, a + 1, x),
    domain=("order", "positive", UNIT),
)
row(
    "eval_jacobi",
    "n alpha beta x",
    NO_FORMULA,
    NO_FORMULA,
    NO_FORMULA,
    lambda _y, n, a, b, x: 0.5 * (n + a + b + 1) * _lower(special.eval_jacobi, n, a + 1, b + 1, x),
    domain=("order", PARAMETER, PARAMETER, UNIT),
)
row(
    "eval_sh_jacobi",
    "n p q x",
    NO_FORMULA,
    NO_FORMULA,
    NO_FORMULA,
    lambda _y, n, p, q, x: (
        (n + p) / special.binom(2 * n + p - 1, n) * _lower(special.eval_jacobi, n, p - q + 1, q, 2 * x - 1)
    ),
    domain=("order", PARAMETER, PARAMETER, "inner"),
)
row(
    "eval_laguerre",
    "n x",
    NO_FORMULA,
    lambda _y, n, x: -_lower(special.eval_genlaguerre, n, 1.0, x),
    domain=("order", REAL),
)
row(
    "eval_genlaguerre",
    "n alpha x",
    NO_FORMULA,
    WHOLE_DEGREE._replace(partial=lambda _y, n, a, x: _laguerre_by_parameter(n, a, x)),
    lambda _y, n, a, x: -_lower(special.eval_genlaguerre, n, a + 1, x),
    domain=("order", "positive", REAL),
)
row("eval_hermite", "n x", ORDER, lambda _y, n, x: 2 * n * _lower(special.eval_hermite, n, x), domain=("order", REAL))
row(
    "eval_hermitenorm",
    "n x",
    ORDER,
    lambda _y, n, x: n * _lower(special.eval_hermitenorm, n, x),
    domain=("order", REAL),
)
row(
    "lpmv",
    "m v x",
    ORDER,
    NO_FORMULA,
    lambda y, m, v, x: (v * x * y - (v + m) * special.lpmv(m, v - 1, x)) / ((x - 1) * (x + 1)),
    singular=True,
    domain=("order", PARAMETER, UNIT),
)


# --------------------------------------------------------------------------------------------------
# spherical harmonics, the ufunc of older SciPy: θ is the azimuth, φ the polar angle


def _by_polar_angle(y: Any, m: Any, n: Any, theta: Any, phi: Any) -> Any:
    """Return m cot φ Yₙᵐ + √((n-m)(n+m+1)) e^-iθ Yₙᵐ⁺¹."""
    last = np.greater_equal(m, n)
    higher = special.sph_harm(np.where(last, m, m + 1), n, theta, phi)
    raised = np.sqrt(np.where(last, 0, (n - m) * (n + m + 1))) * np.exp(-1j * theta) * higher
    return m * np.cos(phi) / np.sin(phi) * y + raised


row(
    "sph_harm",
    "m n theta phi",
    ORDER,
    ORDER,
    lambda y, m, _n, _theta, _phi: 1j * m * y,
    lambda y, m, n, theta, phi: _by_polar_angle(y, m, n, theta, phi),
    domain=("order", "order", REAL, "inner"),
)
