"""The incomplete gamma and beta functions by their shapes, to any order: integrals of their densities' derivatives.

Of a density f that is x^(a-1) times what does not depend on a, the n-th derivative by a is f·B(log x - ψ(a), -ψ'(a), …), with
the complete Bell polynomial B of its logarithm's derivatives. Its integral is taken over the tail in which the first derivative
keeps its sign, so that nothing cancels, in the variable log t or log(t/(1-t)): there the integrand is a smooth hill
whose decay is known, which Gauss's rule on the interval where it counts integrates to rounding. Where the tail is the left one
and a is small, it would be long; one step of the recurrence in a makes it short, and what the step adds has the same sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from dualdiff.kinds import Elementwise
from dualdiff.kinds.base import family
from dualdiff.rules.elementwise import cast
from dualdiff.rules.special.densities import beta_density, f_density, gamma_density, t_density
from dualdiff.rules.special.rows import named
from dualdiff.rules.special.series import weak
from dualdiff.shapes import dtype_of

_NODES, _WEIGHTS = (0.5 * v for v in np.polynomial.legendre.leggauss(64))
_NODES = _NODES + 0.5
_END = 42.0
"""Where the exponential of minus this begins, an integral is over."""
_zeta: Any = named("_zeta")
_gamma_factor: Any = named("_igam_fac")
_beta_pdf: Any = named("_beta_pdf")


def _psi(k: int, x: Any) -> Any:
    """Return the k-th derivative of ψ."""
    return special.psi(x) if k == 0 else (-1) ** (k + 1) * math.factorial(k) * _zeta(k + 1.0, x)


def _moments(m: int, n: int, cumulant: Callable[[int, int], Any]) -> Any:
    """Return ∂ᵐₐ∂ⁿ_b f / f of a function whose logarithm has the given derivatives: a complete Bell polynomial."""
    found: dict[tuple[int, int], Any] = {(0, 0): 1.0}
    known: dict[tuple[int, int], Any] = {}

    def of_log(i: int, j: int) -> Any:
        if (i, j) not in known:
            known[i, j] = cumulant(i, j)
        return known[i, j]

    for i in range(m + 1):
        for j in range(n + 1):
            if i:
                found[i, j] = sum(
                    math.comb(i - 1, p) * math.comb(j, q) * (of_log(p + 1, q) * found[i - 1 - p, j - q])
                    for p in range(i)
                    for q in range(j + 1)
                )
            elif j:
                found[i, j] = sum(math.comb(j - 1, q) * (of_log(0, q + 1) * found[0, j - 1 - q]) for q in range(j))
    return found[m, n]


def _plainly(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Compute in double precision, on flat arrays, what is then given the operands' dtype and shape; NaN outside ``x`` and ``a`` > 0."""

    def value(*operands: Any) -> Any:
        dtype = np.result_type(*operands)
        dtype = dtype if dtype.kind == "f" else np.dtype(float)
        every = np.broadcast_arrays(*[np.asarray(v, dtype=float) for v in operands])
        with np.errstate(all="ignore"):
            return np.reshape(compute(*[v.ravel() for v in every]), every[0].shape).astype(dtype)[()]

    return value


def _end(start: Any, exponent: Callable[[Any], tuple[Any, Any]]) -> Any:
    """Return where a concave exponent has fallen to the end, by Newton's method from the right, which stays right of it."""
    s = start
    for _ in range(5):
        e, slope = exponent(s)
        s = np.where(slope < 0, np.minimum(s, s - (e + _END) / slope), s)
    return s


def _integral(end: Any, integrand: Callable[[Any], Any]) -> Any:
    s = end[:, None] * _NODES
    return end * (integrand(s) @ _WEIGHTS)


# --------------------------------------------------------------------------------------------------
# the incomplete gamma function


def _gamma_cumulants(a: Any, log_x: Any) -> Callable[[int, int], Any]:
    return lambda i, _j: (log_x if i == 1 else 0.0) - _psi(i - 1, a)


def _gamma_left(n: int, a: Any, x: Any) -> Any:
    c = a + 1
    q = _END / c

    def exponent(s: Any, c: Any = c, x: Any = x) -> tuple[Any, Any]:
        return -c * s - x * np.expm1(-s), -c + x * np.exp(-s)

    column_c, column_x = c[:, None], x[:, None]
    log_x = np.log(x)
    psis = [None, *[_psi(k, column_c) for k in range(n)]]
    rest = _integral(
        _end(0.5 * (q + np.sqrt(q * q + 8 * q)), exponent),
        lambda s: (
            np.exp(exponent(s, column_c, column_x)[0])
            * _moments(n, 0, lambda i, _j: (log_x[:, None] - s if i == 1 else 0.0) - psis[i])
        ),
    )
    return _gamma_factor(c, x) * rest + _gamma_factor(a, x) / a * _moments(n, 0, _gamma_cumulants(c, log_x))


def _gamma_right(n: int, a: Any, x: Any) -> Any:
    def exponent(s: Any, a: Any = a, x: Any = x) -> tuple[Any, Any]:
        return a * s - x * np.expm1(s), a - x * np.exp(s)

    q = (_END + 2) / x
    column_a, column_x, log_x = a[:, None], x[:, None], np.log(x)[:, None]
    psis = [None, *[_psi(k, column_a) for k in range(n)]]
    tail = _integral(
        _end(np.log1p(q + 1.5 * np.sqrt(2 * q)), exponent),
        lambda s: (
            np.exp(exponent(s, column_a, column_x)[0])
            * _moments(n, 0, lambda i, _j: (log_x + s if i == 1 else 0.0) - psis[i])
        ),
    )
    return -_gamma_factor(a, x) * tail


def _gamma_value(n: int) -> Callable[..., Any]:
    def compute(a: Any, x: Any) -> Any:
        y = np.where((a > 0) & (x >= 0), 0.0, np.nan)  # at both ends, 0 and infinity, it is 0
        inner = (a > 0) & (x > 0) & np.isfinite(x) & np.isfinite(a)
        left = inner & (x < np.exp(special.psi(a + 1)))
        for where, part in ((left, _gamma_left), (inner & ~left, _gamma_right)):
            if np.any(where):
                y[where] = part(n, a[where], x[where])
        return y

    return _plainly(compute)


def _is_order(n: Any) -> bool:
    return type(n) is int and n > 0


def _is_count(n: Any) -> bool:
    return type(n) is int and n >= 0


def _density_value(n: int) -> Callable[..., Any]:
    def compute(a: Any, x: Any) -> Any:
        zero = np.equal(x, 0)
        away = np.where(zero, 1.0, x)
        with np.errstate(all="ignore"):
            y = gamma_density(a, away)
            if n:
                y = y * _moments(n, 0, _gamma_cumulants(a, np.log(away)))
            if not np.any(zero):
                return y
            # at 0 the limits of x^(a-1) (log x)^n / Γ(a)
            sign = special.rgamma(a)
            steep = np.where(np.equal(sign, 0), np.nan if n else 0.0, np.copysign(np.inf, (-1) ** n * sign))
        if not n:
            steep = np.where(np.equal(a, 1), 1.0, steep)
        steep = cast(np.where(np.greater(a, 1), 0.0, steep), dtype_of(y), copy=False)
        return np.where(zero, steep, y)[()]

    return compute


@family("gamma density by its shape", _is_count)
def gamma_density_by_shape(n: int) -> Elementwise:
    """Return the row of the n-th derivative by a of the density f = x^(a-1) e^-x / Γ(a), whose slope is f(a-1, x) - f(a, x)."""

    def by_x(_y: Any, a: Any, x: Any) -> Any:
        zero = np.equal(x, 0)
        at, away = np.where(zero, x, 1.0), np.where(zero, 1.0, x)
        here = gamma_density_by_shape(n)
        regular = here(a, away)
        slope = (a - 1) * regular
        if n:
            slope = slope + n * gamma_density_by_shape(n - 1)(a, away)
        return np.where(zero, here(a - 1, at) - here(a, at), slope / away - regular)

    return Elementwise(
        f"scipy.special.gammainc, derivative {n} by a of its density",
        _density_value(n),
        lambda _y, a, x: gamma_density_by_shape(n + 1)(a, x),
        by_x,
        singular=True,
    )


@family("incomplete gamma function by its shape", _is_order)
def gamma_by_shape(n: int) -> Elementwise:
    """Return the row of ∂ⁿP(a, x)/∂aⁿ."""
    return Elementwise(
        f"scipy.special.gammainc, derivative {n} by a",
        _gamma_value(n),
        lambda _y, a, x: gamma_by_shape(n + 1)(a, x),
        lambda _y, a, x: gamma_density_by_shape(n)(a, x),
    )


def gamma_slope(a: Any, x: Any) -> Any:
    """Return ∂P(a, x)/∂a."""
    return gamma_by_shape(1)(a, x)


# --------------------------------------------------------------------------------------------------
# the incomplete beta function


def _beta_cumulants(a: Any, b: Any, both: Any, log_x: Any, log_y: Any) -> Callable[[int, int], Any]:
    def cumulant(i: int, j: int) -> Any:
        k = _psi(i + j - 1, both)
        if j == 0:
            k = k - _psi(i - 1, a) + (log_x if i == 1 else 0.0)
        if i == 0:
            k = k - _psi(j - 1, b) + (log_y if j == 1 else 0.0)
        return k

    return cumulant


def _beta_factor(a: Any, b: Any, x: Any, y: Any) -> Any:
    """Return x^a y^b / B(a, b), with y = 1-x."""
    low = x < 0.5
    return x * y * _beta_pdf(np.where(low, x, y), np.where(low, a, b), np.where(low, b, a))


def _beta_left(m: int, n: int, a: Any, b: Any, x: Any, y: Any) -> Any:
    c = a + 1

    def share(s: Any, x: Any, y: Any) -> Any:
        """Return log(1 - x(1-e^-s)), where t has gone away from x by s in log(t/(1-t))."""
        gone = x * np.expm1(-s)
        return np.where(gone < -0.5, np.log(y + x * np.exp(-s)), np.log1p(gone))

    def exponent(s: Any) -> tuple[Any, Any]:
        e = np.exp(-s)
        return -c * s - (c + b) * share(s, x, y), -c + (c + b) * x * e / (y + x * e)

    q = _END / (c * y)
    start = np.minimum(0.5 * (q + np.sqrt(q * q + 8 * q)), (_END - (c + b) * np.log(y)) / c)
    column_c, column_b, column_x, column_y = (v[:, None] for v in (c, b, x, y))
    log_x, log_y = np.log(x), np.log(y)

    def integrand(s: Any) -> Any:
        gone = share(s, column_x, column_y)
        logs = log_x[:, None] - s - gone, log_y[:, None] - gone
        hill = np.exp(-column_c * s - (column_c + column_b) * gone)
        return hill * _moments(m, n, _beta_cumulants(column_c, column_b, column_c + column_b, *logs))

    step = _moments(m, n, _beta_cumulants(c, b, a + b, log_x, log_y))
    return _beta_factor(c, b, x, y) * _integral(_end(start, exponent), integrand) + _beta_factor(a, b, x, y) / a * step


def _beta_value(m: int, n: int) -> Callable[..., Any]:
    def compute(a: Any, b: Any, x: Any, y: Any) -> Any:
        if m == 0:
            return -_any_side(n, m, b, a, y, x)
        return _any_side(m, n, a, b, x, y)

    return _plainly(compute)


def _any_side(m: int, n: int, a: Any, b: Any, x: Any, y: Any) -> Any:
    found = np.where((a > 0) & (b > 0) & (x >= 0) & (y >= 0), 0.0, np.nan)
    inner = (a > 0) & (b > 0) & (x > 0) & (y > 0) & np.isfinite(a) & np.isfinite(b)
    left = inner & (x < np.exp(special.psi(a + 1) - special.psi(a + 1 + b)))
    right = inner & ~left
    if np.any(left):
        found[left] = _beta_left(m, n, a[left], b[left], x[left], y[left])
    if np.any(right):
        found[right] = -_beta_left(n, m, b[right], a[right], y[right], x[right])
    return found


def _are_orders(m: Any, n: Any) -> bool:
    return type(m) is int and type(n) is int and m >= 0 and n >= 0 and m + n > 0


@family("incomplete beta function by its shapes", _are_orders)
def beta_by_shapes(m: int, n: int) -> Elementwise:
    """Return the row of ∂ᵐ⁺ⁿI(x; a, b)/∂aᵐ∂bⁿ, of operands a, b, x and 1-x, which is there for its digits alone."""
    return Elementwise(
        f"scipy.special.betainc, derivatives {m} and {n} by a and b",
        _beta_value(m, n),
        lambda _v, a, b, x, y: beta_by_shapes(m + 1, n)(a, b, x, y),
        lambda _v, a, b, x, y: beta_by_shapes(m, n + 1)(a, b, x, y),
        lambda _v, a, b, x, y: (
            beta_density(a, b, x) * _moments(m, n, _beta_cumulants(a, b, a + b, np.log(x), np.log(y)))
        ),
        0,
    )


def beta_slope_a(a: Any, b: Any, x: Any) -> Any:
    """Return ∂I(x; a, b)/∂a."""
    return beta_by_shapes(1, 0)(a, b, x, 1 - x)


def beta_slope_b(a: Any, b: Any, x: Any) -> Any:
    """Return ∂I(x; a, b)/∂b."""
    return beta_by_shapes(0, 1)(a, b, x, 1 - x)


# --------------------------------------------------------------------------------------------------
# the distributions of F and Student


def _f_operands(m: Any, n: Any, x: Any) -> tuple[Any, ...]:
    whole = m * x + n
    return 0.5 * m, 0.5 * n, m * x / whole, n / whole


def f_slope_above(m: Any, n: Any, x: Any) -> Any:
    """Return the derivative of the distribution function of F by the degrees of freedom of its numerator."""
    return 0.5 * beta_by_shapes(1, 0)(*_f_operands(m, n, x)) + x * f_density(m, n, x) / weak(m)


def f_slope_below(m: Any, n: Any, x: Any) -> Any:
    """Return the derivative of the distribution function of F by the degrees of freedom of its denominator."""
    return 0.5 * beta_by_shapes(0, 1)(*_f_operands(m, n, x)) - x * f_density(m, n, x) / weak(n)


def _student_value(n: int) -> Callable[..., Any]:
    beta = _beta_value(0, n)

    def compute(v: Any, t: Any) -> Any:
        whole = v + t * t
        far = np.isinf(whole)
        y = np.where(far, 1.0, t * t / whole)
        return np.sign(t) * 0.5**n * 0.5 * beta(np.full_like(v, 0.5), 0.5 * v, y, np.where(far, 0.0, v / whole))

    return _plainly(compute)


@family("Student's distribution by its degrees of freedom", _is_order)
def _student(n: int) -> Elementwise:
    """Return the row of the n-th derivative by v of the distribution function at a fixed t²/v."""

    def by_t(v: Any, t: Any) -> Any:
        share = -np.log1p(t * t / v)
        inner = _moments(0, n, _beta_cumulants(0.5, 0.5 * v, 0.5 * v + 0.5, 0.0, share))
        return 0.5**n * t_density(v, t) * inner

    return Elementwise(
        f"scipy.special.stdtr, derivative {n} by df",
        _student_value(n),
        lambda _y, v, t: _student(n + 1)(v, t) - t / (2 * v) * by_t(v, t),
        lambda _y, v, t: by_t(v, t),
    )


def student_slope(v: Any, t: Any) -> Any:
    """Return the derivative of Student's distribution function by the degrees of freedom v.

    Two terms of the order 1/v leave one of the order 1/v²: of its 16 digits it loses as many as v has.
    """
    return _student(1)(v, t) - t * t_density(v, t) / (2 * weak(v))


__all__ = [
    "beta_by_shapes",
    "beta_slope_a",
    "beta_slope_b",
    "f_slope_above",
    "f_slope_below",
    "gamma_by_shape",
    "gamma_density_by_shape",
    "gamma_slope",
    "student_slope",
]
