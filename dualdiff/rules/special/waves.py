"""Solutions of Mathieu's, Weber's and the spheroidal equation: SciPy gives each with its slope, whose own is in the equation.

DLMF 28.2, 12.2 and 30.2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from dualdiff.rules.elementwise import cast
from dualdiff.rules.special.rows import (
    ABOVE_ONE,
    NO_FORMULA,
    ORDER,
    PARAMETER,
    POSITIVE,
    REAL,
    UNIT,
    row,
    rows,
    without_formula,
)
from dualdiff.rules.special.series import weak
from dualdiff.shapes import dtype_of

Q = "small parameter"


def _pair(name: str, args: str, gaps: Any, equation: Any, domain: Any, scale: float = 1.0) -> None:
    """Add a solution and its slope; ``equation(y, slope, *args)`` is the second derivative. The last argument is theirs."""
    ufunc = getattr(special, name)
    rows(
        name,
        args,
        [*gaps, lambda _y, *at: scale * ufunc(*at)[1]],
        [*gaps, lambda slope, *at: equation(ufunc(*at)[0], slope, *at)],
        singular=True,
        domain=domain,
    )


# --------------------------------------------------------------------------------------------------
# Mathieu functions

DEGREE = math.pi / 180
_MATHIEU = (ORDER, NO_FORMULA)
for _name, _value in (("cem", "mathieu_a"), ("sem", "mathieu_b")):

    def _angular(y: Any, _s: Any, m: Any, q: Any, x: Any, value: str = _value) -> Any:
        return -DEGREE * (weak(getattr(special, value)(m, q)) - 2 * q * np.cos(2 * DEGREE * x)) * y

    _pair(f"mathieu_{_name}", "m q x", _MATHIEU, _angular, ("order", PARAMETER, "degrees"), scale=DEGREE)
    for _kind in "12":

        def _radial(y: Any, _s: Any, m: Any, q: Any, x: Any, value: str = _value) -> Any:
            return (weak(getattr(special, value)(m, q)) - 2 * q * np.cosh(2 * x)) * y

        _pair(f"mathieu_mod{_name}{_kind}", "m q x", _MATHIEU, _radial, ("order", PARAMETER, POSITIVE))

_NODES = 256


def _mean_square(solution: Any, m: Any, q: Any) -> Any:
    """Return (1/π) ∫ 2 cos(2t) y(t)² dt over a period, by the trapezoidal rule, which is exact for so smooth a period."""
    t = np.arange(_NODES) * (360.0 / _NODES)
    t = np.reshape(t, (-1,) + (1,) * max(np.ndim(m), np.ndim(q)))
    y = solution(m, cast(q, np.float64, copy=False), t)[0]
    return cast(2 * np.mean(2 * np.cos(2 * DEGREE * t) * y * y, axis=0), dtype_of(q), copy=False)


# how a characteristic value changes with q (Hellmann and Feynman): the mean of 2 cos 2t, weighted by the solution
row(
    "mathieu_a",
    "m q",
    ORDER,
    lambda _a, m, q: _mean_square(special.mathieu_cem, m, q),
    second=False,
    domain=("order", Q),
)
row(
    "mathieu_b",
    "m q",
    ORDER,
    lambda _b, m, q: _mean_square(special.mathieu_sem, m, q),
    second=False,
    domain=("order", Q),
)

# --------------------------------------------------------------------------------------------------
# parabolic cylinder functions

_pair("pbdv", "v x", (NO_FORMULA,), lambda y, _s, v, x: (0.25 * x * x - v - 0.5) * y, (PARAMETER, REAL))
_pair("pbvv", "v x", (NO_FORMULA,), lambda y, _s, v, x: (0.25 * x * x - v - 0.5) * y, (PARAMETER, REAL))
_pair("pbwa", "a x", (NO_FORMULA,), lambda y, _s, a, x: (a - 0.25 * x * x) * y, (PARAMETER, REAL))

# --------------------------------------------------------------------------------------------------
# spheroidal wave functions, with their characteristic value given or not


def _prolate_angular(y: Any, s: Any, m: Any, c: Any, cv: Any, x: Any) -> Any:
    w = (1 - x) * (1 + x)
    return (2 * x * s - (cv - np.square(c * x) - m * m / w) * y) / w


def _prolate_radial(y: Any, s: Any, m: Any, c: Any, cv: Any, x: Any) -> Any:
    w = (x - 1) * (x + 1)
    return ((cv - np.square(c * x) + m * m / w) * y - 2 * x * s) / w


def _oblate_angular(y: Any, s: Any, m: Any, c: Any, cv: Any, x: Any) -> Any:
    w = (1 - x) * (1 + x)
    return (2 * x * s - (cv + np.square(c * x) - m * m / w) * y) / w


def _oblate_radial(y: Any, s: Any, m: Any, c: Any, cv: Any, x: Any) -> Any:
    w = 1 + x * x
    return ((cv - np.square(c * x) - m * m / w) * y - 2 * x * s) / w


_SPHEROIDAL = {
    "pro_ang1": (_prolate_angular, UNIT),
    "pro_rad1": (_prolate_radial, ABOVE_ONE),
    "pro_rad2": (_prolate_radial, ABOVE_ONE),
    "obl_ang1": (_oblate_angular, UNIT),
    "obl_rad1": (_oblate_radial, POSITIVE),
    "obl_rad2": (_oblate_radial, POSITIVE),
}
for _name, (_equation, _domain) in _SPHEROIDAL.items():

    def _by_itself(y: Any, s: Any, m: Any, n: Any, c: Any, x: Any, e: Any = _equation, kind: str = _name[:3]) -> Any:
        return e(y, s, m, c, weak(getattr(special, f"{kind}_cv")(m, n, c)), x)

    def _given(y: Any, s: Any, m: Any, n: Any, c: Any, cv: Any, x: Any, e: Any = _equation) -> Any:
        return e(y, s, m, c, cv, x)

    _gaps = (ORDER, ORDER, NO_FORMULA)
    _pair(_name, "m n c x", _gaps, _by_itself, ("order", "order", PARAMETER, _domain))
    _pair(f"{_name}_cv", "m n c cv x", (*_gaps, NO_FORMULA), _given, ("order", "order", PARAMETER, "value", _domain))

without_formula(
    "pro_cv obl_cv", "the characteristic value of a spheroidal equation is an eigenvalue, and its slope no closed form"
)
