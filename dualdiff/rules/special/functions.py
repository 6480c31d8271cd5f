"""The Python functions of ``scipy.special``, written so that they work on differentiated values.

SciPy's own convert their arguments to plain arrays. ``DROP_INS`` says for each which function takes its place where a module
is captured; each keeps SciPy's signature, value and dtype.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from dualdiff.errors import UnsupportedFunctionError, replaced, where
from dualdiff.kinds import Discrete, Elementwise, General, Sweep
from dualdiff.kinds.base import family
from dualdiff.register import NOTHING, REAL_ONLY, REGISTER, Facts, real_only, refused, register, without_rule
from dualdiff.rules.elementwise import cast
from dualdiff.rules.folding import along_axes, axes_of, expand
from dualdiff.rules.special.rows import PARAMETER, POSITIVE, REAL, UNIT, named
from dualdiff.rules.special.series import sin_over
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import TRACED, bind, fixed, operand

DROP_INS: dict[Any, Callable[..., Any]] = {}
"""SciPy's function, and the one that does the same to differentiated values."""


def drop_in(name: str, domain: Any = REAL, facts: Facts = NOTHING) -> Callable[[Any], Any]:
    """Write the drop-in of a SciPy function of this name; nothing happens where this version has none."""

    def decorate(function: Any) -> Any:
        original = getattr(special, name, None)
        if original is not None:
            if facts.complex == REAL_ONLY:
                function = real_only(f"scipy.special.{name}", function)
            DROP_INS[original] = function
            replaced(original if hasattr(original, "__code__") else type(original).__call__)
            if original not in REGISTER:
                register(original, "composite", function, domain=domain, facts=facts)
        return function

    return decorate


def _whole(x: Any, what: str) -> Any:
    """Return an order as a plain array; one that is being differentiated is refused."""
    return np.asarray(fixed(x, what))


# --------------------------------------------------------------------------------------------------
# sums of exponentials


def _conjugate(x: Any) -> Any:
    return np.conjugate(x) if dtype_of(x).kind == "c" else x


def _finite(top: Any) -> Any:
    return np.where(np.isfinite(top), top, 0)


def _log_sum_value(a: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    # The largest terms are set apart, so that a result near 0 keeps its digits.
    top = np.max(a, axis=axis, keepdims=True)
    largest = np.equal(a, top)
    count = np.sum(largest, axis=axis, keepdims=True).astype(dtype_of(a))
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        rest = np.sum(np.where(largest, 0, np.exp(a - _finite(top))), axis=axis, keepdims=True)
        y = np.log1p(rest / count) + np.log(count) + top
    return (
        y if keepdims else np.reshape(y, [s for i, s in enumerate(shape_of(y)) if i - len(shape_of(y)) not in axis])[()]
    )


def _log_sum_weights(a: Any, y: Any) -> Any:
    """Return exp(a-y); where y is infinite, equal shares of the entries that make it so."""
    equal = np.equal(a, y)
    return np.exp(np.where(equal, 0, a - np.where(equal, 0, y)))


def _shares(a: Any, out: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    y = expand(out, shape_of(a), axis, keepdims)
    with np.errstate(invalid="ignore"):
        p = _log_sum_weights(a, y)
    infinite = np.isinf(y)
    if np.any(infinite):
        p = np.where(infinite, p / np.sum(p, axis=axis, keepdims=True), p)
    return p


def _log_sum_push(sweep: Sweep, ts: Any, out: Any, a: Any, *, axis: Any, keepdims: bool) -> Any:
    return np.sum(ts[0] * _shares(a, out, axis, keepdims), axis=axis, keepdims=keepdims)


def _log_sum_pull(sweep: Sweep, g: Any, out: Any, a: Any, *, axis: Any, keepdims: bool) -> Any:
    return (expand(g, shape_of(a), axis, keepdims) * _shares(a, out, axis, keepdims),)


_log_sum = General("scipy.special.logsumexp", _log_sum_value, _log_sum_push, _log_sum_pull, joins=along_axes)


def _weighted_value(b: Any, a: Any) -> Any:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(np.equal(b, 0), 0, b * np.exp(a))


_weighted = Elementwise(
    "scipy.special.logsumexp", _weighted_value, lambda _y, _b, a: np.exp(a), lambda y, _b, _a: y, singular=True
)
"""The product of a weight and an exponential, of which nothing is left where the weight is 0; its slope by the weight is."""
_top = Discrete("scipy.special.logsumexp", lambda a, *, axis: np.max(np.real(a), axis=axis, keepdims=True))


@drop_in("logsumexp")
def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """Return log Σ b eᵃ, as :func:`scipy.special.logsumexp`."""
    a = _inexact(operand(a))
    if b is None and not return_sign and dtype_of(a).kind != "c":
        if not shape_of(a):
            return np.reshape(a, (1,) if keepdims else ())[...] if keepdims else a * 1
        return bind(_log_sum, (a,), axes_of(axis, len(shape_of(a)), bool(keepdims)))
    b = 1.0 if b is None else operand(b)
    a, b = a + 0 * np.where(np.isfinite(b), b, 0), b + np.zeros(shape_of(a), dtype_of(a))
    axes = axes_of(axis, len(shape_of(a)), True)["axis"]
    with np.errstate(divide="ignore", invalid="ignore"):
        top = _finite(bind(_top, (np.where(np.equal(b, 0), -np.inf, a),), {"axis": axes}))
        total = np.sum(_weighted(b, a - top), axis=axes, keepdims=True)
        sign = np.sign(total)
        y = np.log(np.abs(total)) + top if return_sign else np.log(total) + top
    if not keepdims:
        y, sign = (np.squeeze(v, axis=axes)[()] for v in (y, sign))
    return (y, sign) if return_sign else y


def _inexact(x: Any) -> Any:
    return x if dtype_of(x).kind in "fc" else np.asarray(x, dtype=float)


def _soft_value(x: Any, *, axis: tuple[int, ...]) -> Any:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def _soft_push(sweep: Sweep, ts: Any, out: Any, x: Any, *, axis: Any) -> Any:
    p = out * ts[0]
    return p - out * np.sum(p, axis=axis, keepdims=True)


def _soft_pull(sweep: Sweep, g: Any, out: Any, x: Any, *, axis: Any) -> Any:
    p = out * g
    return (p - out * np.sum(p, axis=axis, keepdims=True),)


_softmax = General(
    "scipy.special.softmax", _soft_value, _soft_push, _soft_pull, keeps=(True, (False,)), joins=along_axes
)


def _log_soft_value(x: Any, *, axis: tuple[int, ...]) -> Any:
    shifted = x - _finite(np.max(x, axis=axis, keepdims=True))
    with np.errstate(divide="ignore"):
        return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def _log_soft_push(sweep: Sweep, ts: Any, out: Any, x: Any, *, axis: Any) -> Any:
    return ts[0] - np.sum(np.exp(out) * ts[0], axis=axis, keepdims=True)


def _log_soft_pull(sweep: Sweep, g: Any, out: Any, x: Any, *, axis: Any) -> Any:
    return (g - np.exp(out) * np.sum(g, axis=axis, keepdims=True),)


_log_softmax = General(
    "scipy.special.log_softmax",
    _log_soft_value,
    _log_soft_push,
    _log_soft_pull,
    keeps=(True, (False,)),
    joins=along_axes,
)


def _normalised(primitive: General, x: Any, axis: Any) -> Any:
    x = _inexact(operand(x))
    if not shape_of(x):
        x = np.reshape(x, (1,))
        return np.reshape(bind(primitive, (x,), {"axis": (-1,)}), ())
    return bind(primitive, (x,), {"axis": axes_of(axis, len(shape_of(x)), True)["axis"]})


@drop_in("softmax", facts=Facts(REAL_ONLY))
def softmax(x: Any, axis: Any = None) -> Any:
    """Return eˣ/Σ eˣ, as :func:`scipy.special.softmax`."""
    return _normalised(_softmax, x, axis)


@drop_in("log_softmax", facts=Facts(REAL_ONLY))
def log_softmax(x: Any, axis: Any = None) -> Any:
    """Return x - log Σ eˣ, as :func:`scipy.special.log_softmax`."""
    return _normalised(_log_softmax, x, axis)


@drop_in("softplus", facts=Facts(REAL_ONLY))
def softplus(x: Any, **kwargs: Any) -> Any:
    """Return log(1+eˣ), as :func:`scipy.special.softplus`."""
    return np.logaddexp(0, x, **kwargs)


# --------------------------------------------------------------------------------------------------
# gamma functions


@drop_in("multigammaln", "above three", facts=Facts(REAL_ONLY))
def multigammaln(a: Any, d: Any) -> Any:
    """Return the logarithm of the multivariate gamma function, as :func:`scipy.special.multigammaln`."""
    n: Any = _whole(d, "the dimension d of multigammaln")[()]  # a number
    if np.ndim(n) or np.floor(n) != n:
        raise ValueError("d should be a positive integer (dimension)")
    if np.any(np.less_equal(a, 0.5 * (n - 1))):
        raise ValueError(f"condition a ({a}) > 0.5 * (d-1) ({0.5 * (n - 1)}) not met")
    terms = [special.gammaln(a - (j - 1.0) / 2) for j in range(1, int(n) + 1)]
    return np.float64(n * (n - 1) * 0.25) * np.log(np.pi) + np.sum(np.stack(terms), axis=0)


@drop_in("polygamma", POSITIVE, facts=Facts(REAL_ONLY))
def polygamma(n: Any, x: Any) -> Any:
    """Return the n-th derivative of the digamma function, as :func:`scipy.special.polygamma`."""
    n = _whole(n, "the order n of polygamma")
    s = np.maximum(n, 1)
    found = (-1.0) ** (s + 1) * special.gamma(s + 1.0) * special.zeta(s + 1, x)
    return np.where(n == 0, special.psi(x), found) if np.any(n == 0) else found


@drop_in("zeta", (PARAMETER, POSITIVE), facts=Facts(REAL_ONLY))
def zeta(x: Any, q: Any = None, out: Any = None) -> Any:
    """Return Riemann's or Hurwitz's zeta function, as :func:`scipy.special.zeta`."""
    more = {} if out is None else {"out": out}
    return _riemann(x, **more) if q is None else _hurwitz(x, q, **more)


_riemann: Any = named("_riemann_zeta")
_hurwitz: Any = named("_zeta")


@drop_in("comb", ("above two", "above half"), facts=Facts(REAL_ONLY))
def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:
    """Return the number of combinations, as :func:`scipy.special.comb`."""
    _not_exact("comb", exact)
    N, k = _array(N), _array(k)
    if repetition:
        return np.where(np.logical_and(np.equal(k, 0), np.greater_equal(N, 0)), 1.0, special.binom(N + k - 1, k))[()]
    return np.where(_chosen(N, k), special.binom(N, k), 0.0)[()]


@drop_in("perm", ("above two", "above half"), facts=Facts(REAL_ONLY))
def perm(N: Any, k: Any, exact: bool = False) -> Any:
    """Return the number of arrangements, as :func:`scipy.special.perm`."""
    _not_exact("perm", exact)
    N, k = _array(N), _array(k)
    return np.where(_chosen(N, k), special.poch(N - k + 1, k), 0.0)[()]


def _array(x: Any) -> Any:
    """Return a number as an array, whose dtype counts where numbers meet; a differentiated value as it is."""
    return x if type(x) in TRACED else np.asarray(x)


def _chosen(n: Any, k: Any) -> Any:
    return np.logical_and(np.less_equal(k, n), np.logical_and(np.greater_equal(n, 0), np.greater_equal(k, 0)))


@drop_in("factorial", POSITIVE)
def factorial(n: Any, exact: bool = False, extend: str = "zero") -> Any:
    """Return Γ(n+1), as :func:`scipy.special.factorial`."""
    _not_exact("factorial", exact)
    if extend not in ("zero", "complex"):
        raise ValueError(f"argument `extend` must be either 'zero' or 'complex', received: {extend}")
    if extend == "complex":
        return special.gamma(n + 1.0)
    below = np.less(n, 0)
    y = np.where(below, 0.0, special.gamma(np.where(below, 0.0, n) + 1.0))[()]
    return cast(y, np.float64, copy=False) if shape_of(n) else y


def _not_exact(name: str, exact: Any) -> None:
    if exact:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.special.{name} with exact=True counts in whole numbers, which have no derivative. "
            "Leave exact=True away, or freeze the argument on purpose with dd.stop_gradient(x)."
        )


# --------------------------------------------------------------------------------------------------
# Lambert's W, Dirichlet's kernel


@drop_in("lambertw", POSITIVE)
def lambertw(z: Any, k: Any = 0, tol: float = 1e-8) -> Any:
    """Return the branch k of Lambert's W, as :func:`scipy.special.lambertw`."""
    return named("_lambertw")(z, np.asarray(fixed(k, "the branch k of lambertw"), dtype=np.dtype("long")), tol)


@drop_in("diric", (REAL, "order"), facts=Facts(REAL_ONLY))
def diric(x: Any, n: Any) -> Any:
    """Return sin(nx/2)/(n sin(x/2)), as :func:`scipy.special.diric`; right also at the zeros of the denominator."""
    n = _whole(n, "the order n of diric")
    half = 0.5 * (x + (n - n))  # in the precision of both
    turns = np.rint(half / np.pi)
    rest = half - turns * np.pi
    sign = np.where(np.equal((turns * (n - 1)) % 2, 0), 1.0, -1.0)
    void = np.logical_or(n <= 0, n != np.floor(n))
    return sign * (sin_over(np.where(void, np.nan, n) * rest) / sin_over(rest))


# --------------------------------------------------------------------------------------------------
# spherical Bessel functions, and derivatives of Bessel functions


def _spherical(kind: str, parity: int) -> None:
    ufunc = named(f"_spherical_{kind}")
    name = f"spherical_{kind}"

    def function(n: Any, z: Any, derivative: bool = False) -> Any:
        n = np.asarray(_whole(n, f"the order n of {name}"), dtype=np.dtype("long"))
        z = operand(z)
        f = functools.partial(_spherical_slope, ufunc) if derivative else ufunc
        if dtype_of(z).kind == "c":
            return f(n, z)
        left = np.less(z, 0)
        if not np.any(left):
            y = f(n, z)
        elif kind == "kn":  # left of 0 it is the real part of its complex self
            y = np.real(f(n, z + 0j))
        else:
            sign = np.where(left, np.where(n % 2 == 0, parity, -parity) * (-1 if derivative else 1), 1)
            y = sign * f(n, np.where(left, -z, z))
        want = _dtype_of_result(name, dtype_of(z))
        return y if dtype_of(y) == want else cast(y, want)

    function.__name__ = name
    function.__doc__ = f"Return a spherical Bessel function or its slope, as :func:`scipy.special.{name}`."
    drop_in(name, ("order", POSITIVE))(function)


@functools.cache
def _dtype_of_result(name: str, dtype: Any) -> Any:
    return getattr(special, name)(1, np.ones(1, dtype)).dtype


def _spherical_slope(ufunc: Any, n: Any, z: Any) -> Any:
    return REGISTER[ufunc].primitive.partials[1](None, n, z)  # type: ignore[union-attr]


for _kind, _parity in (("jn", 1), ("yn", -1), ("in", 1), ("kn", 1)):
    _spherical(_kind, _parity)


def _nth(name: str, function: Any, phase: int) -> None:
    def derivative(v: Any, z: Any, n: int = 1) -> Any:
        n = int(fixed(n, f"the order n of {name}"))
        if n < 0:
            raise ValueError("n must be a non-negative integer")
        if n == 0:
            return function(v, z)
        v = _array(v)
        total = sum(phase**i * math.comb(n, i) * function(v - n + 2 * i, z) for i in range(n + 1))
        return (total if name != "kvp" else (-1) ** n * total) / 2.0**n

    derivative.__name__ = name
    derivative.__doc__ = f"Return the n-th derivative of a Bessel function, as :func:`scipy.special.{name}`."
    drop_in(name, (PARAMETER, POSITIVE))(derivative)


for _name, _function, _phase in (
    ("jvp", special.jv, -1),
    ("yvp", special.yv, -1),
    ("h1vp", special.hankel1, -1),
    ("h2vp", special.hankel2, -1),
    ("ivp", special.iv, 1),
    ("kvp", special.kv, 1),
):
    _nth(_name, _function, _phase)

# --------------------------------------------------------------------------------------------------
# Legendre functions with all their derivatives up to an order: those of order 2 are in the differential equation


def _is_legendre(name: Any, settings: Any) -> bool:
    return name in ("assoc_legendre_p", "sph_legendre_p") and all(
        type(setting) is tuple and len(setting) == 2 and type(setting[1]) in (bool, int) for setting in settings
    )


@family("Legendre functions", _is_legendre)
def _legendre(name: str, settings: tuple[tuple[str, Any], ...]) -> tuple[Elementwise, Elementwise]:
    """Return the rows of a function of (n, m, x) and of its slope, with some settings."""
    function = getattr(special, name)
    equation = _on_the_sphere if name == "sph_legendre_p" else _on_the_line
    label = f"scipy.special.{name}{dict(settings) or ''}"
    value = Elementwise(
        label, lambda n, m, x: function(n, m, x, **dict(settings))[0], 0, 0, lambda _y, n, m, x: slope(n, m, x)
    )
    slope = Elementwise(
        f"{label}, derivative",
        lambda n, m, x: function(n, m, x, diff_n=1, **dict(settings))[1],
        0,
        0,
        lambda y, n, m, x: equation(value(n, m, x), y, n, m, x),
    )
    return value, slope


def _on_the_line(y: Any, slope: Any, n: Any, m: Any, x: Any) -> Any:
    w = (1 - x) * (1 + x)
    return (2 * x * slope - (n * (n + 1) - m * m / w) * y) / w


def _on_the_sphere(y: Any, slope: Any, n: Any, m: Any, x: Any) -> Any:
    pole = np.equal(np.sin(x), 0)
    away = np.where(pole, 1.0, x)
    s = np.sin(away)
    regular = -(np.cos(away) / s) * slope - (n * (n + 1) - np.square(m / s)) * y
    return np.where(pole, _at_the_pole(n, m, np.where(pole, x, 0.0)), regular)


_at_the_pole = Elementwise(
    "scipy.special.sph_legendre_p, second derivative at a pole",
    lambda n, m, x: special.sph_legendre_p(n, m, x, diff_n=2)[2],
    0,
    0,
    lambda y, _n, _m, _x: y * np.nan,  # no further one is known there
)


def _up_to(diff_n: int, name: str, n: Any, m: Any, x: Any, **settings: Any) -> Any:
    """Return a function and its derivatives up to an order, along a new first axis."""
    if diff_n not in (0, 1, 2):
        raise ValueError(f"diff_n is currently only implemented for orders 0, 1, and 2, received: {diff_n}.")
    n, m = _whole(n, f"the degree n of {name}"), _whole(m, f"the order m of {name}")
    value, slope = _legendre(name, tuple(sorted(settings.items())))
    found = [value(n, m, x)]
    if diff_n:
        found.append(slope(n, m, x))
    if diff_n == 2:
        found.append(slope.partials[2](found[1], n, m, x))
    return np.stack(found)


@drop_in("assoc_legendre_p", ("order", "order", UNIT))
def assoc_legendre_p(n: Any, m: Any, z: Any, *, branch_cut: int = 2, norm: bool = False, diff_n: int = 0) -> Any:
    """Return associated Legendre functions, as :func:`scipy.special.assoc_legendre_p`."""
    return _up_to(diff_n, "assoc_legendre_p", n, m, z, branch_cut=branch_cut, norm=norm)


@drop_in("sph_legendre_p", ("order", "order", "inner"), facts=Facts(REAL_ONLY))
def sph_legendre_p(n: Any, m: Any, theta: Any, *, diff_n: int = 0) -> Any:
    """Return spherical Legendre functions, as :func:`scipy.special.sph_legendre_p`."""
    return _up_to(diff_n, "sph_legendre_p", n, m, theta)


@drop_in("legendre_p", ("order", UNIT))
def legendre_p(n: Any, z: Any, *, diff_n: int = 0) -> Any:
    """Return Legendre polynomials, as :func:`scipy.special.legendre_p`."""
    if diff_n not in (0, 1, 2):
        raise ValueError(f"diff_n is currently only implemented for orders 0, 1, and 2, received: {diff_n}.")
    n = _whole(n, "the degree n of legendre_p")
    found = [special.eval_legendre(n, z)]
    for k in range(1, diff_n + 1):  # dᵏPₙ/dzᵏ = (2k-1)!! Cₙ₋ₖ of order k+½
        low = n < k
        polynomial = special.eval_gegenbauer(np.where(low, 0, n - k), k + 0.5, z)
        found.append(math.prod(range(1, 2 * k, 2)) * np.where(low, 0.0, polynomial))
    return np.stack(found)


@drop_in("sph_harm_y", ("order", "order", "inner", REAL), facts=Facts(REAL_ONLY))
def sph_harm_y(n: Any, m: Any, theta: Any, phi: Any, *, diff_n: int = 0) -> Any:
    """Return spherical harmonics, as :func:`scipy.special.sph_harm_y`; without stacks of their derivatives."""
    if diff_n:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.special.sph_harm_y with diff_n= is not in dualdiff's vocabulary for differentiated values. "
            "Call it without, and differentiate with dd.jacobian."
        )
    m = _whole(m, "the order m of sph_harm_y")
    return _up_to(0, "sph_legendre_p", n, m, theta)[0] * np.exp(1j * (m * phi))


def _refuse_all_degrees(name: str) -> None:
    original = getattr(special, f"{name}_all", None)
    if original is not None:
        refused(
            original,
            f"it gives all degrees at once. Write np.stack([scipy.special.{name}(k, …) for k in range(n + 1)])",
        )
        DROP_INS[original] = lambda *args, **kwargs: without_rule(original, args, kwargs)


for _name in ("legendre_p", "assoc_legendre_p", "sph_legendre_p", "sph_harm_y"):
    _refuse_all_degrees(_name)
refused(
    [getattr(special, "ellip_harm", None), named("_ellip_harm")],
    "no closed form of the slope of Lamé's functions is known. Keep its arguments constant or freeze them with "
    "dd.stop_gradient",
)

__all__ = ["DROP_INS"]
