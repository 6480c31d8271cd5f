"""Elliptic integrals and Jacobi's elliptic functions.

Legendre's integrals are differentiated through Carlson's, whose partials are again integrals of their kind (DLMF 19.18, 19.25):
no quotient by m, and so no cancelling near m = 0. Those that are not among SciPy's functions are integrals over (0, ∞) of
products of powers, and are summed by the trapezoidal rule in log t, which converges exponentially for them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import special

from dualdiff.kinds import Elementwise
from dualdiff.kinds.base import family
from dualdiff.rules.elementwise import cast
from dualdiff.rules.special.rows import INNER, POSITIVE, REAL, UNIT, row, rows
from dualdiff.shapes import dtype_of, shape_of, size_of

# --------------------------------------------------------------------------------------------------
# Carlson's symmetric integrals

_STEPS = {"f": 0.5, "c": 0.2}
"""How far the nodes lie apart, in log t. The nearest singularity of the integrand is iπ away; for complex operands it is nearer."""
_END = 40.0
"""Where a factor has come down to the exponential of minus this, an integral is over."""
_LEAST = -700 - 2 * _END
"""Where an integral begins, in log t, when no one can be asked where: left of all numbers."""
_MOST = 1 << 18
"""How many values of the integrand are computed at once."""


def _integral_value(halves: tuple[int, ...]) -> Callable[..., Any]:
    powers = [0.5 * h for h in halves]

    def compute(*operands: Any) -> Any:
        dtypes = [dtype_of(x) for x in operands if type(x) not in (int, float)]  # Python's numbers have any precision
        dtype = np.result_type(np.float32, *dtypes or [np.dtype(float)])
        with np.errstate(all="ignore"):
            at = [x * np.ones((), np.result_type(dtype, float)) for x in operands]
            at_zero = sum(np.where(np.equal(x, 0), power, 0.0) for x, power in zip(at, powers, strict=True))
            within = np.isfinite(sum(map(np.sqrt, at)))  # not left of 0, and no infinity
            good = np.logical_and(within, np.less(at_zero, 1))
            found = _sum(powers, [np.where(good, x, 1.0) for x in at], np.where(good, at_zero, 0.0))
            return cast(np.where(good, found, np.where(within, np.inf, np.nan))[()], dtype, copy=False)

    return compute


def _sum(powers: Sequence[float], at: Sequence[Any], at_zero: Any) -> Any:
    """Return the integrals of operands of which those that are 0 leave the power ``at_zero`` < 1 of 1/t."""
    scale = functools.reduce(np.maximum, map(np.abs, at))
    at = [x / scale for x in at]
    # left of the least of them the integrand has the power -at_zero of t, right of 1 all powers
    least = functools.reduce(np.minimum, [np.where(np.equal(x, 0), 1.0, np.abs(x)) for x in at])
    left = np.min(np.log(least) - _END / (1 - at_zero), initial=0.0)
    step = _STEPS[dtype_of(at[0] * at[-1]).kind]
    first = math.floor((left if type(left) is np.float64 else _LEAST) / step)
    last = math.ceil(_END / (sum(powers) - 1) / step)
    shape = shape_of(scale)
    stride = max(1, _MOST // max(1, size_of(shape)))
    total: Any = 0.0
    for start in range(first, last + 1, stride):
        t = np.exp(step * np.arange(start, min(start + stride, last + 1)))
        t = np.reshape(t, (-1,) + (1,) * len(shape))
        product = t
        for x, power in zip(at, powers, strict=True):
            product = product * np.sqrt(t + x) ** (-2 * power)
        total = total + np.sum(product, axis=0)
    return step * total * scale ** (1 - sum(powers))


def _are_halves(halves: Any) -> bool:
    return type(halves) is tuple and all(type(h) is int for h in halves) and sum(halves) > 2


@family("Carlson's integrals", _are_halves)
def power_integral(halves: tuple[int, ...]) -> Elementwise:
    """Return the row of ∫₀^∞ Π (t+xᵢ)^(-hᵢ/2) dt."""

    def by(k: int) -> Callable[..., Any]:
        more = (*halves[:k], halves[k] + 2, *halves[k + 1 :])
        return lambda _y, *operands: -0.5 * halves[k] * power_integral(more)(*operands)

    return Elementwise(f"scipy.special.elliprd, powers {halves}", _integral_value(halves), *map(by, range(len(halves))))


def _rd_partial(p: Any, q: Any, z: Any) -> Any:
    """Return the partial by p of R_D(p, q, z), 3/2 of the integral with exponents ½, ½, 3/2."""
    return -0.75 * power_integral((3, 1, 3))(p, q, z)


def _rg_partial(p: Any, q: Any, z: Any) -> Any:
    """Return the partial by z of R_G(p, q, z), without the difference of R_F and z R_D/3, which may both be infinite."""
    return 0.125 * power_integral((1, 1, 3, -2))(p, q, z, 0.0)


def _parted(condition: Any, *operands: Any) -> tuple[list[Any], list[Any]]:
    """Return operands where a condition holds, and where it does not: each time with 1 in the place of the others."""
    return [np.where(condition, x, 1.0) for x in operands], [np.where(condition, 1.0, x) for x in operands]


def _rc_partials(r: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Return the partials of R_C; where y < 0, of its principal value, by the quotient of differences."""
    principal = np.logical_and(np.less(np.real(y), 0), np.equal(np.imag(y), 0))
    (r, u, v), (_, x, y) = _parted(principal, r, x, y)
    v = np.where(principal, v, -1.0)
    by_x = 0.5 * (r - 1 / np.sqrt(u)) / (v - u)
    by_y = -(0.5 * r + u * by_x) / v
    return (
        np.where(principal, by_x, -special.elliprd(y, y, x) / 6),
        np.where(principal, by_y, -special.elliprd(x, y, y) / 3),
    )


row(
    "elliprc",
    "x y",
    lambda r, x, y: _rc_partials(r, x, y)[0],
    lambda r, x, y: _rc_partials(r, x, y)[1],
    singular=True,
    domain=(POSITIVE, POSITIVE),
)
row(
    "elliprf",
    "x y z",
    lambda _r, x, y, z: -special.elliprd(y, z, x) / 6,
    lambda _r, x, y, z: -special.elliprd(z, x, y) / 6,
    lambda _r, x, y, z: -special.elliprd(x, y, z) / 6,
    domain=(POSITIVE, POSITIVE, POSITIVE),
)
row(
    "elliprg",
    "x y z",
    lambda _r, x, y, z: _rg_partial(y, z, x),
    lambda _r, x, y, z: _rg_partial(z, x, y),
    lambda _r, x, y, z: _rg_partial(x, y, z),
    domain=(POSITIVE, POSITIVE, POSITIVE),
)
row(
    "elliprd",
    "x y z",
    lambda _r, x, y, z: _rd_partial(x, y, z),
    lambda _r, x, y, z: _rd_partial(y, x, z),
    lambda _r, x, y, z: -2.25 * power_integral((1, 1, 5))(x, y, z),
    domain=(POSITIVE, POSITIVE, POSITIVE),
)


def _rj_principal(r: Any, x: Any, y: Any, z: Any, p: Any) -> Any:
    """Return the partial by x of R_J where p < 0, by the quotient of differences."""
    return 0.5 * (special.elliprd(y, z, x) - r) / (x - p)


def _rj_partial(r: Any, x: Any, y: Any, z: Any, p: Any) -> Any:
    """Return the partial by x of R_J; where p < 0, of its principal value."""
    principal = np.less(p, 0)
    (r, *seen), rest = _parted(principal, r, x, y, z, p)
    seen[-1] = np.where(principal, seen[-1], -1.0)
    return np.where(principal, _rj_principal(r, *seen), -0.75 * power_integral((3, 1, 1, 2))(*rest[1:]))


def _rj_last(r: Any, x: Any, y: Any, z: Any, p: Any) -> Any:
    """Return the partial by p; where p < 0, from R_J's being homogeneous of degree -3/2."""
    principal = np.less(p, 0)
    (r, x, y, z, p), rest = _parted(principal, r, x, y, z, p)
    p = np.where(principal, p, -1.0)
    others = x * _rj_principal(r, x, y, z, p) + y * _rj_principal(r, y, z, x, p) + z * _rj_principal(r, z, x, y, p)
    return np.where(principal, -(1.5 * r + others) / p, -1.5 * power_integral((1, 1, 1, 4))(*rest[1:]))


row(
    "elliprj",
    "x y z p",
    lambda r, x, y, z, p: _rj_partial(r, x, y, z, p),
    lambda r, x, y, z, p: _rj_partial(r, y, z, x, p),
    lambda r, x, y, z, p: _rj_partial(r, z, x, y, p),
    lambda r, x, y, z, p: _rj_last(r, x, y, z, p),
    real_only=True,
    domain=(POSITIVE, POSITIVE, POSITIVE, POSITIVE),
)

# --------------------------------------------------------------------------------------------------
# Legendre's integrals


def ellipk_slope(m: Any) -> Any:
    """Return K'(m) = R_D(0, 1, 1-m)/6."""
    return special.elliprd(0.0, 1.0, 1 - m) / 6


def ellipe_slope(m: Any) -> Any:
    """Return E'(m) = -R_D(0, 1-m, 1)/6."""
    return -special.elliprd(0.0, 1 - m, 1.0) / 6


row("ellipk", "m", lambda _y, m: ellipk_slope(m), singular=True, domain=UNIT)
row("ellipe", "m", lambda _y, m: ellipe_slope(m), singular=True, domain=UNIT)
row("ellipkm1", "p", lambda _y, p: -special.elliprd(0.0, 1.0, p) / 6, singular=True, domain=INNER)


def _folded(phi: Any) -> tuple[Any, Any, Any]:
    """Return an angle's whole turns by π, and sine and cosine of what is left of it."""
    turns = np.rint(phi / math.pi)
    rest = phi - turns * math.pi
    return turns, np.sin(rest), np.cos(rest)


def _is_order(n: Any) -> bool:
    return type(n) is int and n > 0


def _rising(x: float, n: int) -> float:
    return math.prod(x + k for k in range(n))


def _with_turns(part: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a function of φ and m from the one, of sin φ, cos²φ and 1 - m sin²φ, that holds up to a quarter turn."""

    def compute(phi: Any, m: Any) -> Any:
        turns, s, c = _folded(phi)
        return part(s, c * c, 1 - m * s * s) + 2 * turns * part(1.0, 0.0, 1 - m)

    return compute


def _first_value(n: int) -> Callable[[Any, Any, Any], Any]:
    if n == 1:
        return lambda s, c2, q: s**3 / 6 * special.elliprd(c2, 1.0, q)
    scale, integral = 0.5 * _rising(0.5, n), power_integral((1, 2 * n + 1, 1))
    return lambda s, c2, q: scale * s ** (2 * n + 1) * integral(c2, q, 1.0)


def _second_value(n: int) -> Callable[[Any, Any, Any], Any]:
    if n == 1:
        return lambda s, c2, q: -(s**3) / 6 * special.elliprd(c2, q, 1.0)
    scale, integral = 0.5 * _rising(-0.5, n), power_integral((1, 2 * n - 1, 3))
    return lambda s, c2, q: scale * s ** (2 * n + 1) * integral(c2, q, 1.0)


@family("first elliptic integral by its parameter", _is_order)
def first_by_parameter(n: int) -> Elementwise:
    """Return the row of ∂ⁿF(φ, m)/∂mⁿ, of which the partial by φ is elementary: a derivative of the integrand."""
    return Elementwise(
        f"scipy.special.ellipkinc, derivative {n} by m",
        _with_turns(_first_value(n)),
        lambda _y, phi, m: _rising(0.5, n) * np.sin(phi) ** (2 * n) * _modulus(phi, m) ** (-1 - 2 * n),
        lambda _y, phi, m: first_by_parameter(n + 1)(phi, m),
        singular=True,
    )


@family("second elliptic integral by its parameter", _is_order)
def second_by_parameter(n: int) -> Elementwise:
    """Return the row of ∂ⁿE(φ, m)/∂mⁿ."""
    return Elementwise(
        f"scipy.special.ellipeinc, derivative {n} by m",
        _with_turns(_second_value(n)),
        lambda _y, phi, m: _rising(-0.5, n) * np.sin(phi) ** (2 * n) * _modulus(phi, m) ** (1 - 2 * n),
        lambda _y, phi, m: second_by_parameter(n + 1)(phi, m),
        singular=True,
    )


def _modulus(phi: Any, m: Any) -> Any:
    return np.sqrt(1 - m * np.square(np.sin(phi)))


row(
    "ellipkinc",
    "phi m",
    lambda _y, phi, m: 1 / _modulus(phi, m),
    lambda _y, phi, m: first_by_parameter(1)(phi, m),
    singular=True,
    domain=(REAL, UNIT),
)
row(
    "ellipeinc",
    "phi m",
    lambda _y, phi, m: _modulus(phi, m),
    lambda _y, phi, m: second_by_parameter(1)(phi, m),
    singular=True,
    domain=(REAL, UNIT),
)

# --------------------------------------------------------------------------------------------------
# Jacobi's functions: u is the first integral of the amplitude φ, so φ_m = -dn F_m(φ, m)


def _amplitude_by_parameter(u: Any, m: Any) -> tuple[Any, Any, Any, Any]:
    sn, cn, dn, phi = special.ellipj(u, m)
    return sn, cn, dn, -dn * first_by_parameter(1)(phi, m)


def _sn_m(_y: Any, u: Any, m: Any) -> Any:
    _, cn, _, slope = _amplitude_by_parameter(u, m)
    return cn * slope


def _cn_m(_y: Any, u: Any, m: Any) -> Any:
    sn, _, _, slope = _amplitude_by_parameter(u, m)
    return -sn * slope


def _dn_m(_y: Any, u: Any, m: Any) -> Any:
    sn, cn, dn, slope = _amplitude_by_parameter(u, m)
    return -(sn * sn + 2 * m * sn * cn * slope) / (2 * dn)


def _product(i: int, j: int) -> Any:
    def slope(_y: Any, u: Any, m: Any) -> Any:
        found = special.ellipj(u, m)
        return found[i] * found[j]

    return slope


rows(
    "ellipj",
    "u m",
    [_product(1, 2), _sn_m],
    [lambda _y, u, m: -_product(0, 2)(_y, u, m), _cn_m],
    [lambda _y, u, m: -m * _product(0, 1)(_y, u, m), _dn_m],
    [lambda _y, u, m: special.ellipj(u, m)[2], lambda _y, u, m: _amplitude_by_parameter(u, m)[3]],
    domain=(REAL, INNER),
)

__all__ = ["ellipe_slope", "ellipk_slope", "power_integral"]
