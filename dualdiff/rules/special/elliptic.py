"""Elliptic integrals and Jacobi's elliptic functions.

Legendre's integrals are differentiated through Carlson's, whose partials are again integrals of their kind (DLMF 19.18, 19.25):
no quotient by m, and so no cancelling near m = 0. Those of R_D and R_J that are not among SciPy's functions are integrals
over (0, ∞) of products of powers, and are summed by the trapezoidal rule in log t, which converges exponentially for them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special

from dualdiff.rules.special.rows import INNER, POSITIVE, REAL, UNIT, row, rows
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import under

# --------------------------------------------------------------------------------------------------
# Carlson's symmetric integrals

_STEPS = {"f": 0.5, "c": 0.2}
"""How far the nodes lie apart, in log t. The nearest singularity of the integrand is iπ away; for complex operands it is nearer."""
_NODES = {kind: np.exp(step * np.arange(round(-80 / step), round(60 / step) + 1)) for kind, step in _STEPS.items()}


def power_integral(operands: Sequence[Any], halves: Sequence[int]) -> Any:
    """Return ∫₀^∞ Π (t+xᵢ)^(-hᵢ/2) dt, with nodes at the scale of the operands' mean, which the result does not depend on."""
    scale = np.abs(sum(map(under, operands))) / len(operands)
    rank = max(len(shape_of(x)) for x in operands)
    dtype = np.result_type(*map(dtype_of, operands))
    t = np.reshape(_NODES[dtype.kind].astype(np.finfo(dtype).dtype), (-1,) + (1,) * rank)
    product = t * 1.0
    for x, h in zip(operands, halves, strict=True):
        root = np.sqrt(t + x / scale)
        product = product / root**h
    return _STEPS[dtype.kind] * np.sum(product, axis=0) * scale ** (1 - 0.5 * sum(halves))


def _rd_partial(p: Any, q: Any, z: Any) -> Any:
    """Return the partial by p of R_D(p, q, z), 3/2 of the integral with exponents ½, ½, 3/2."""
    return -0.75 * power_integral((p, q, z), (3, 1, 3))


row(
    "elliprc",
    "x y",
    lambda _r, x, y: -special.elliprd(y, y, x) / 6,
    lambda _r, x, y: -special.elliprd(x, y, y) / 3,
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
    lambda _r, x, y, z: 0.25 * (special.elliprf(x, y, z) - x / 3 * special.elliprd(y, z, x)),
    lambda _r, x, y, z: 0.25 * (special.elliprf(x, y, z) - y / 3 * special.elliprd(z, x, y)),
    lambda _r, x, y, z: 0.25 * (special.elliprf(x, y, z) - z / 3 * special.elliprd(x, y, z)),
    domain=(POSITIVE, POSITIVE, POSITIVE),
)
row(
    "elliprd",
    "x y z",
    lambda _r, x, y, z: _rd_partial(x, y, z),
    lambda _r, x, y, z: _rd_partial(y, x, z),
    lambda _r, x, y, z: -2.25 * power_integral((x, y, z), (1, 1, 5)),
    domain=(POSITIVE, POSITIVE, POSITIVE),
)


def _rj_partial(r: Any, x: Any, y: Any, z: Any, p: Any) -> Any:
    """Return the partial by x of R_J; where p < 0, the principal value, by the quotient of differences."""
    principal = np.less(p, 0)
    found = -0.75 * power_integral((x, y, z, np.where(principal, 1.0, p)), (3, 1, 1, 2))
    return np.where(principal, 0.5 * (special.elliprd(y, z, x) - r) / (x - np.where(principal, p, -1.0)), found)


def _rj_last(r: Any, x: Any, y: Any, z: Any, p: Any) -> Any:
    """Return the partial by p: R_J is homogeneous of degree -3/2."""
    rest = x * _rj_partial(r, x, y, z, p) + y * _rj_partial(r, y, z, x, p) + z * _rj_partial(r, z, x, y, p)
    return (-1.5 * r - rest) / p


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


def _first_by_parameter(phi: Any, m: Any) -> Any:
    turns, s, c = _folded(phi)
    return s * s * s / 6 * special.elliprd(c * c, 1.0, 1 - m * s * s) + 2 * turns * ellipk_slope(m)


def _second_by_parameter(phi: Any, m: Any) -> Any:
    turns, s, c = _folded(phi)
    return -s * s * s / 6 * special.elliprd(c * c, 1 - m * s * s, 1.0) + 2 * turns * ellipe_slope(m)


def _modulus(phi: Any, m: Any) -> Any:
    return np.sqrt(1 - m * np.square(np.sin(phi)))


row(
    "ellipkinc",
    "phi m",
    lambda _y, phi, m: 1 / _modulus(phi, m),
    lambda _y, phi, m: _first_by_parameter(phi, m),
    singular=True,
    domain=(REAL, UNIT),
)
row(
    "ellipeinc",
    "phi m",
    lambda _y, phi, m: _modulus(phi, m),
    lambda _y, phi, m: _second_by_parameter(phi, m),
    singular=True,
    domain=(REAL, UNIT),
)

# --------------------------------------------------------------------------------------------------
# Jacobi's functions: u is the first integral of the amplitude φ, so φ_m = -dn F_m(φ, m)


def _amplitude_by_parameter(u: Any, m: Any) -> tuple[Any, Any, Any, Any]:
    sn, cn, dn, phi = special.ellipj(u, m)
    return sn, cn, dn, -dn * _first_by_parameter(phi, m)


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
