"""Bessel functions and their kin. By the argument a slope is made of neighbouring orders; by the order there is no closed form.

DLMF 10.6 and 10.29; struve's functions 11.4.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from dualdiff.kinds.kinks import Kink, size
from dualdiff.rules.special.rows import NO_FORMULA, ORDER, PARAMETER, POSITIVE, REAL, row, rows
from dualdiff.rules.special.series import beside, near_zero, weak
from dualdiff.shapes import dtype_of

# --------------------------------------------------------------------------------------------------
# any order


def _mean(f: Any, v: Any, z: Any) -> Any:
    return 0.5 * (f(v - 1, z) + f(v + 1, z))


def _half_difference(f: Any, v: Any, z: Any) -> Any:
    return 0.5 * (f(v - 1, z) - f(v + 1, z))


_AT = (PARAMETER, POSITIVE)
row("jv", "v z", NO_FORMULA, lambda _y, v, z: _half_difference(special.jv, v, z), singular=True, domain=_AT)
row("yv", "v z", NO_FORMULA, lambda _y, v, z: _half_difference(special.yv, v, z), singular=True, domain=_AT)
row("hankel1", "v z", NO_FORMULA, lambda _y, v, z: _half_difference(special.hankel1, v, z), singular=True, domain=_AT)
row("hankel2", "v z", NO_FORMULA, lambda _y, v, z: _half_difference(special.hankel2, v, z), singular=True, domain=_AT)
row("iv", "v z", NO_FORMULA, lambda _y, v, z: _mean(special.iv, v, z), singular=True, domain=_AT)
row("kv", "v z", NO_FORMULA, lambda _y, v, z: -_mean(special.kv, v, z), singular=True, domain=_AT)
row("yn", "n x", ORDER, lambda _y, n, x: _half_difference(special.yn, n, x), singular=True, domain=("order", POSITIVE))
row("kn", "n x", ORDER, lambda _y, n, x: -_mean_kn(n, x), singular=True, domain=("order", POSITIVE))


def _mean_kn(n: Any, x: Any) -> Any:
    return 0.5 * (special.kn(np.abs(n - 1), x) + special.kn(n + 1, x))


# --------------------------------------------------------------------------------------------------
# any order, scaled by an exponential

_TERMS = 24


def _tail_slope(v: Any, z: Any, sign: int) -> Any:
    """Return the slope of Σ cₖ z^(-k-½), Hankel's expansion (DLMF 10.40.1 and 2), which the scaled functions follow far out."""
    q = 1 / z
    mu = 4.0 * v * v
    term = np.sqrt(q) * q
    total = -0.5 * term
    for k in range(1, _TERMS):
        term = term * (sign * (mu - (2 * k - 1) ** 2) / (8.0 * k)) * q
        total = total - (k + 0.5) * term
    return total


def _scaled(v: Any, z: Any, near: Any, sign: int, factor: float, left: float = 1.0) -> Any:
    """Return a slope by neighbouring orders, which cancel far out, and there from Hankel's expansion.

    ``left`` is what the slope at z has from that at -z where z is negative.
    """
    size = np.abs(np.real(z))
    far = np.logical_and(np.greater(size, 60.0), np.greater(size, np.square(v)))
    if not np.any(far):
        return near
    tail = factor * _tail_slope(v, np.where(far, np.where(np.less(np.real(z), 0), -z, z), 100.0), sign)
    return np.where(far, np.where(np.less(np.real(z), 0), left * tail, tail), near)


def _scaled_i(y: Any, v: Any, z: Any) -> Any:
    """Return the slope of I_v(z) e^-|z|."""
    near = _mean(special.ive, v, z) - np.sign(z) * y
    # I_v(-z) = (-1)^v I_v(z), and for other orders SciPy has NaN left of 0
    left = weak(-np.cos(math.pi * (v - 2 * np.rint(0.5 * v))))
    return _scaled(v, z, near, -1, 1 / math.sqrt(2 * math.pi), left)


def _scaled_k(y: Any, v: Any, z: Any) -> Any:
    """Return the slope of K_v(z) e^z."""
    return _scaled(v, z, y - _mean(special.kve, v, z), 1, math.sqrt(0.5 * math.pi))


row("jve", "v z", NO_FORMULA, lambda _y, v, z: _half_difference(special.jve, v, z), real_only=True, domain=_AT)
row("yve", "v z", NO_FORMULA, lambda _y, v, z: _half_difference(special.yve, v, z), real_only=True, domain=_AT)
row(
    "ive",
    "v z",
    NO_FORMULA,
    lambda y, v, z: _scaled_i(y, v, z),
    real_only=True,
    singular=True,
    kink=Kink(lambda _y, v, z: np.where(np.equal(v, 0), np.abs(z), np.inf), "0", "keep away from 0"),
    domain=_AT,
)
row("kve", "v z", NO_FORMULA, lambda y, v, z: _scaled_k(y, v, z), singular=True, domain=_AT)
row(
    "hankel1e",
    "v z",
    NO_FORMULA,
    lambda y, v, z: _half_difference(special.hankel1e, v, z) - 1j * y,
    singular=True,
    domain=_AT,
)
row(
    "hankel2e",
    "v z",
    NO_FORMULA,
    lambda y, v, z: _half_difference(special.hankel2e, v, z) + 1j * y,
    singular=True,
    domain=_AT,
)

# --------------------------------------------------------------------------------------------------
# orders 0 and 1

row("j0", "x", lambda _y, x: -special.j1(x), domain=REAL)
row("j1", "x", lambda _y, x: 0.5 * (special.j0(x) - special.jv(2, x)), domain=REAL)
row("i0", "x", lambda _y, x: special.i1(x), domain=REAL)
row("i1", "x", lambda _y, x: 0.5 * (special.i0(x) + special.iv(2, x)), domain=REAL)
row("y0", "x", lambda _y, x: -special.y1(x), singular=True, domain=POSITIVE)
row("y1", "x", lambda y, x: special.y0(x) - y / x, singular=True, domain=POSITIVE)
row("k0", "x", lambda _y, x: -special.k1(x), singular=True, domain=POSITIVE)
row("k1", "x", lambda y, x: -special.k0(x) - y / x, singular=True, domain=POSITIVE)
_AT_ZERO = "multiply by np.exp(np.abs(x)), or keep away from 0"
row("i0e", "x", lambda y, x: _scaled_i(y, 0, x), kink=Kink(size, "0", _AT_ZERO), domain="nonzero")
row("i1e", "x", lambda y, x: _scaled_i(y, 1, x), domain="nonzero")
row(
    "k0e",
    "x",
    lambda y, x: _scaled(0, x, y - special.k1e(x), 1, math.sqrt(0.5 * math.pi)),
    singular=True,
    domain=POSITIVE,
)
row(
    "k1e",
    "x",
    lambda y, x: _scaled(1, x, y - special.k0e(x) - y / x, 1, math.sqrt(0.5 * math.pi)),
    singular=True,
    domain=POSITIVE,
)

# --------------------------------------------------------------------------------------------------
# integrals of them

row(
    "besselpoly",
    "a lmb nu",
    lambda _y, a, lam, nu: special.besselpoly(a, lam + 1, nu - 1) - special.besselpoly(a, lam + 1, nu + 1),
    NO_FORMULA,
    NO_FORMULA,
    domain=(POSITIVE, PARAMETER, PARAMETER),
)
rows("iti0k0", "x", [lambda _y, x: special.i0(x)], [lambda _y, x: special.k0(x)], singular=True, domain=POSITIVE)
rows("itj0y0", "x", [lambda _y, x: special.j0(x)], [lambda _y, x: special.y0(x)], singular=True, domain=POSITIVE)

_I0 = [1 / (4**k * math.factorial(k) ** 2) for k in range(1, 14)]
_J0 = [-((-1) ** k) * c for k, c in enumerate(_I0, start=1)]


def _i0_over(x: Any) -> Any:
    """Return (I₀(x)-1)/x."""
    return x * near_zero(x, 1.0, _I0, lambda x: (special.i0(x) - 1) / (x * x), even=True)


def _j0_over(x: Any) -> Any:
    """Return (1-J₀(x))/x."""
    return x * near_zero(x, 1.0, _J0, lambda x: (1 - special.j0(x)) / (x * x), even=True)


rows("it2i0k0", "x", [lambda _y, x: _i0_over(x)], [lambda _y, x: -special.k0(x) / x], singular=True, domain=POSITIVE)
rows("it2j0y0", "x", [lambda _y, x: _j0_over(x)], [lambda _y, x: -special.y0(x) / x], singular=True, domain=POSITIVE)

# --------------------------------------------------------------------------------------------------
# Airy functions

rows(
    "airy",
    "z",
    [lambda _y, z: special.airy(z)[1]],
    [lambda _y, z: z * special.airy(z)[0]],
    [lambda _y, z: special.airy(z)[3]],
    [lambda _y, z: z * special.airy(z)[2]],
    domain=REAL,
)


def _growth(z: Any) -> Any:
    """Return the slope of ⅔ z^(3/2) where z is positive; left of 0 the functions of the second kind are not scaled."""
    return np.sqrt(np.where(np.less(z, 0), 0.0, z))


rows(
    "airye",
    "z",
    [lambda y, z: special.airye(z)[1] + np.sqrt(z) * y],
    [lambda y, z: z * special.airye(z)[0] + np.sqrt(z) * y],
    [lambda y, z: special.airye(z)[3] - _growth(z) * y],
    [lambda y, z: z * special.airye(z)[2] - _growth(z) * y],
    real_only=True,
    domain=POSITIVE,
)
rows(
    "itairy",
    "x",
    [lambda _y, x: special.airy(x)[0]],
    [lambda _y, x: special.airy(x)[2]],
    [lambda _y, x: special.airy(-x)[0]],
    [lambda _y, x: special.airy(-x)[2]],
    domain=POSITIVE,
)

# --------------------------------------------------------------------------------------------------
# Kelvin functions: those of a turned argument

_BERP = [(-1) ** k * 4 * k / (2 * math.factorial(2 * k) ** 2) / 2 ** (4 * k - 1) for k in range(1, 9)]
_BEIP = [(-1) ** k * (4 * k + 2) / (2 * math.factorial(2 * k + 1) ** 2) / 2 ** (4 * k + 1) for k in range(9)]


def _berp_over(x: Any) -> Any:
    """Return ber'(x)/x."""
    square = x * x
    return square * near_zero(square, 1.0, _BERP, lambda s: special.berp(np.sqrt(s)) / (np.sqrt(s) * s), even=True)


def _beip_over(x: Any) -> Any:
    """Return bei'(x)/x."""
    square = x * x
    return near_zero(square, 1.0, _BEIP, lambda s: special.beip(np.sqrt(s)) / np.sqrt(s), even=True)


row("ber", "x", lambda _y, x: special.berp(x), domain=REAL)
row("bei", "x", lambda _y, x: special.beip(x), domain=REAL)
row("ker", "x", lambda _y, x: special.kerp(x), singular=True, domain=POSITIVE)
row("kei", "x", lambda _y, x: special.keip(x), singular=True, domain=POSITIVE)
row("berp", "x", lambda _y, x: -special.bei(x) - _berp_over(x), domain=REAL)
row("beip", "x", lambda _y, x: special.ber(x) - _beip_over(x), domain=REAL)
row("kerp", "x", lambda y, x: -special.kei(x) - y / x, singular=True, domain=POSITIVE)
row("keip", "x", lambda y, x: special.ker(x) - y / x, singular=True, domain=POSITIVE)
rows(
    "kelvin",
    "x",
    [lambda _y, x: special.kelvin(x)[2]],
    [lambda _y, x: special.kelvin(x)[3]],
    [lambda y, x: 1j * special.kelvin(x)[0] - y / x],
    [lambda y, x: 1j * special.kelvin(x)[1] - y / x],
    singular=True,
    domain=POSITIVE,
)

# --------------------------------------------------------------------------------------------------
# Struve functions


def _half_power(v: Any, x: Any) -> Any:
    return np.power(0.5 * x, v + 0.0) * weak(special.rgamma(v + 1.5)) / math.sqrt(math.pi)


def _struve_slope(y: Any, v: Any, x: Any) -> Any:
    """Return H_v': near 0 without a quotient, far out without terms that cancel."""
    v = beside(v, x)
    near = np.less(np.abs(x), 1.0)
    a = np.where(near, x, 0.5)
    b = np.where(near, 1.0, x)
    inside = 0.5 * (special.struve(v - 1, a) - special.struve(v + 1, a) + _half_power(v, a))
    return np.where(near, inside, special.struve(v - 1, b) - v / b * special.struve(v, b))


row("struve", "v x", NO_FORMULA, lambda y, v, x: _struve_slope(y, v, x), singular=True, domain=_AT)
row(
    "modstruve",
    "v x",
    NO_FORMULA,
    lambda _y, v, x: _mean(special.modstruve, beside(v, x), x) + 0.5 * _half_power(v, x),
    singular=True,
    domain=_AT,
)
row("itstruve0", "x", lambda _y, x: special.struve(beside(0, x), x), domain=POSITIVE)
row("itmodstruve0", "x", lambda _y, x: special.modstruve(beside(0, x), x), domain=POSITIVE)
row("it2struve0", "x", lambda _y, x: -special.struve(beside(0, x), x) / x, singular=True, domain=POSITIVE)

# --------------------------------------------------------------------------------------------------
# spherical ones, which SciPy's functions of these names call: fₙ' = n/z fₙ ∓ fₙ₊₁, and without a quotient by both neighbours


def _neighbours(name: str, up: int) -> Any:
    ufunc = getattr(special._ufuncs, name)
    before, after = (-1, -1) if up == 2 else (1, up)

    def slope(_y: Any, n: Any, z: Any) -> Any:
        # Integers would make double precision of single.
        real = np.finfo(dtype_of(z)).dtype
        first, second = (np.divide(k, 2 * n + 1).astype(real) for k in (np.where(np.greater(n, 0), n, 0), n + 1))
        return before * first * ufunc(np.maximum(n - 1, 0), z) + after * second * ufunc(n + 1, z)

    return slope


for _kind, _up in (("jn", -1), ("yn", -1), ("in", 1), ("kn", 2)):
    if hasattr(special._ufuncs, f"_spherical_{_kind}"):
        row(
            f"_spherical_{_kind}",
            "n z",
            ORDER,
            _neighbours(f"_spherical_{_kind}", _up),
            singular=True,
            domain=("order", POSITIVE),
        )
