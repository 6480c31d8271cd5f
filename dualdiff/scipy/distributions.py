"""Distributions of ``scipy.stats``: what is not there, the ends of a support, and shapes at which SciPy has a formula of its own.

SciPy fills one array with what several branches find. What a branch writes that depends on no parameter carries no derivative: NaN
outside a parameter's range, the end of a support as the quantile of 0, the limit of a formula at a shape where it is 0/0. Each
method here lets SciPy's own run, captured, and looks at those places after it.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import special
from scipy.stats import _continuous_distns, _distn_infrastructure, _multivariate

from dualdiff.capture.active import is_active
from dualdiff.capture.callables import Vectorized
from dualdiff.capture.names import drop_in
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.operators.modes import jvp
from dualdiff.register import REAL_ONLY, Facts
from dualdiff.rules.absent import missing
from dualdiff.rules.special.noncentral import chi_square_log_density, t_noncentral_density
from dualdiff.rules.special.series import log1p_over
from dualdiff.scipy.quadrature import quad
from dualdiff.scipy.room import Room
from dualdiff.shapes import shape_of
from dualdiff.solvers import serve
from dualdiff.values import decided, is_replayed, operand, raw

ROOM = Room("scipy.stats")
REAL = Facts(REAL_ONLY)

# --------------------------------------------------------------------------------------------------
# values that are not there


def where_absent(found: Any, absent: Callable[[Any], Any], given: Sequence[Any]) -> Any:
    """Return a result whose derivative is NaN where its value is not there."""
    nothing = np.asarray(decided(absent(found)) if is_replayed(found) else absent(raw(found)))
    if not nothing.any():
        return found
    return missing(nothing, found, *[operand(a) for a in given if is_active(a)], value=found)[()]


def _is_infinite(x: Any) -> Any:
    return ~np.isfinite(x)


# --------------------------------------------------------------------------------------------------
# shapes at which SciPy has another formula

SMALL = 1e-3
STEP = 1e-3
_TRUSTED: set[tuple[Any, ...]] = set()
"""The shapes, of which methods, at which a derivative was held against differences."""


def _is_special(shape: Any) -> bool:
    """Whether a shape is where SciPy may go over to another formula: near 0, or at a whole number."""
    at = np.asarray(raw(operand(shape)), dtype=float)
    return bool(np.any((np.abs(at) < SMALL) | (at == np.round(at))))


def look_at_shapes(self: Any, name: str, call: Callable[..., Any], shapes: Sequence[Any], which: Any = None) -> None:
    """Raise where a derivative by a shape is not what differences say, as where SciPy's formula of that value leaves it out.

    ``call`` is the method as a function of the shapes, in plain numbers; ``which`` tells it from others that the method finds.
    """
    looked = [i for i, a in enumerate(shapes) if is_active(a) and _is_special(a)]
    if not looked:
        return
    plain = [np.asarray(raw(operand(a)), dtype=float) for a in shapes]
    for i in looked:
        key = type(self), name, which, i, *[p.tobytes() for p in plain]
        if key in _TRUSTED:
            continue

        def along(h: Any, i: int = i) -> Any:
            return call(*plain[:i], plain[i] + h, *plain[i + 1 :])

        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            slope = np.asarray(jvp(along, (0.0,), (1.0,), capture="always")[1], dtype=float)
            near, far = _quotients(along, STEP), _quotients(along, 2 * STEP)
            size = np.abs(near) + np.abs(slope)
            known = np.isfinite(near) & (np.abs(near - far) <= 0.05 * np.abs(near)) & (np.abs(near) > 1e-6)
            wrong = known & (np.abs(slope - near) > 0.1 * size)
        if np.any(wrong):
            letter = str(self.shapes).split(",")[i].strip()
            raise UnsupportedFunctionError(
                f"{where()}: scipy.stats.{self.name}.{name} has a formula of its own where {letter} is {plain[i]}, in which its derivative "
                f"by {letter} is lost. Begin beside it, with 1e-3 more for instance."
            )
        if np.any(known):
            _TRUSTED.add(key)


def _quotients(along: Callable[[float], Any], h: float) -> Any:
    """Return difference quotients: of both sides, or of one where the other is outside the parameter's range."""
    low, here, high = (np.asarray(along(s), dtype=float) for s in (-h, 0.0, h))
    both = (high - low) / (2 * h)
    return np.where(np.isfinite(both), both, np.where(np.isfinite(high), (high - here) / h, (here - low) / h))


# --------------------------------------------------------------------------------------------------
# the methods

CONTINUOUS, DISCRETE, EITHER = (
    _distn_infrastructure.rv_continuous,
    _distn_infrastructure.rv_discrete,
    _distn_infrastructure.rv_generic,
)


def _at_ends(self: Any, name: str, found: Any, q: Any, shapes: Sequence[Any], scale: Any) -> Any:
    """Return quantiles of which those of 0 and 1, which SciPy fills in, move with the probability as the formula says there."""
    at = np.asarray(raw(operand(q)), dtype=float)
    end = np.asarray(decided(np.logical_or(np.equal(q, 0), np.equal(q, 1))))
    if not np.any(end):
        return found
    with np.errstate(all="ignore"):
        inner = getattr(self, "_" + name)(q, *shapes)
        change = (inner - raw(inner)) * scale
    return np.where(end, found + np.where(np.isfinite(raw(inner)), change, np.cbrt(q - at)), found)


def _around(owner: type, name: str, first: str) -> None:
    """Let SciPy's method run, and then look at what it found. ``first`` is what it calls the argument before the parameters."""
    real = inspect.getattr_static(owner, name)

    def method(self: Any, *args: Any, **kwds: Any) -> Any:
        x, given = (args[0], args[1:]) if args else (kwds[first], ())
        named = {key: value for key, value in kwds.items() if key != first}
        shapes, loc, scale = self._parse_args(*given, **named)

        def plainly(*at: Any) -> Any:
            rest = [raw(operand(a)) for a in ((x, loc, scale) if owner is CONTINUOUS else (x, loc))]
            return real(self, rest[0], *at, *rest[1:])

        look_at_shapes(self, name, plainly, shapes)
        found = real(self, x, *given, **named)
        if name in ("ppf", "isf") and owner is CONTINUOUS and is_active(x):
            found = _at_ends(self, name, found, x, shapes, scale)
        return where_absent(found, np.isnan, (x, *shapes, loc, scale))

    ROOM.method(owner, name, facts=REAL, around=True)(method)


for _name in ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf"):
    _around(CONTINUOUS, _name, "x")
for _name in ("pmf", "logpmf", "cdf", "logcdf", "sf", "logsf"):
    _around(DISCRETE, _name, "k")
for _name in ("ppf", "isf"):
    _around(CONTINUOUS, _name, "q")
    _around(DISCRETE, _name, "q")

_stats, _moment = EITHER.stats, EITHER.moment
serve(_moment, "scipy.stats.rv_generic.moment", __name__)  # where loc is 0 it stores nothing that depends on it


@ROOM.method(EITHER, "stats", facts=REAL, around=True)
def stats(self: Any, *args: Any, **kwds: Any) -> Any:
    """Moments, as :meth:`scipy.stats.rv_generic.stats`; one that is not finite has no derivative."""
    shapes, loc, scale, moments = self._parse_args_stats(*args, **kwds)
    for letter in moments:
        look_at_shapes(self, "stats", lambda *at, letter=letter: _stats(self, *at, moments=letter), shapes, letter)
    found = _stats(self, *args, **kwds)
    several = isinstance(found, tuple)
    looked = [where_absent(m, _is_infinite, (*shapes, loc, scale)) for m in (found if several else (found,))]
    return tuple(looked) if several else looked[0]


@ROOM.method(EITHER, "moment", facts=REAL, around=True)
def moment(self: Any, order: Any, *args: Any, **kwds: Any) -> Any:
    """A moment about the origin, as :meth:`scipy.stats.rv_generic.moment`: that of x + loc is a polynomial of loc also at 0."""
    shapes, loc, scale = self._parse_args(*args, **kwds)
    rest = [raw(operand(a)) for a in ((loc, scale) if isinstance(self, CONTINUOUS) else (loc,))]
    look_at_shapes(self, "moment", lambda *at: _moment(self, order, *at, *rest), shapes, order)
    found = _moment(self, order, *args, **kwds)
    if is_active(loc) and np.any(decided(np.equal(loc, 0))) and order > 0:
        about = [_moment(self, k, *shapes) * scale**k for k in range(order)]
        slope = sum(math.comb(order, k) * about[k] * loc ** (order - k) for k in range(order))
        found = np.where(np.equal(loc, 0), found + slope, found)
    return where_absent(found, _is_infinite, (*shapes, loc, scale))


_expect = CONTINUOUS.expect


@ROOM.method(CONTINUOUS, "expect", facts=REAL, around=True)
def expect(
    self: Any,
    func: Any = None,
    args: Any = (),
    loc: Any = 0,
    scale: Any = 1,
    lb: Any = None,
    ub: Any = None,
    conditional: Any = False,
    **kwds: Any,
) -> Any:
    """An expectation, as :meth:`scipy.stats.rv_continuous.expect`; an end of the support at 0 does not move with the scale."""
    lb, ub = [
        loc if given is None and not is_active(end) and np.all(np.equal(end, 0)) else given
        for given, end in zip((lb, ub), self._get_support(*args), strict=True)
    ]
    return _expect(self, func, args, loc, scale, lb, ub, conditional, **kwds)


@ROOM.method(EITHER, "entropy", facts=REAL)
def entropy(self: Any, *args: Any, **kwds: Any) -> Any:
    """The entropy, entry by entry of the parameters: a distribution's own loop over them was made where nothing was captured."""
    shapes, _, scale = self._parse_args(*args, **kwds)
    shapes, scale = [operand(a) for a in shapes], operand(scale)
    look_at_shapes(self, "entropy", lambda *at: _entropy(self, at), shapes)
    good = np.logical_and(self._argcheck(*[raw(a) for a in shapes]), raw(scale) > 0)
    found = np.where(good, _entropy(self, shapes) + np.log(scale), self.badvalue)[()]
    return where_absent(found, _is_infinite, (*shapes, scale))


def _entropy(self: Any, shapes: Sequence[Any]) -> Any:
    return Vectorized(self.vecentropy)(*shapes) if shapes else self._entropy()


# --------------------------------------------------------------------------------------------------
# quantiles and distribution functions without a formula

STEPS = 3
"""Newton's steps from the root: after k of them derivatives up to the order 2^k - 1 are right."""


@ROOM.method(CONTINUOUS, "_ppf", facts=REAL)
def quantile(self: Any, q: Any, *args: Any) -> Any:
    """Return where a distribution function reaches q, found by SciPy's iteration, and its derivatives by Newton's steps from there."""
    x = np.asarray(self._ppfvec(raw(q), *[raw(a) for a in args]))
    for _ in range(STEPS):
        x = x - (self._cdf(x, *args) - q) / self._pdf(x, *args)
    return x


@ROOM.method(EITHER, "_munp", facts=REAL)
def moment_without_formula(self: Any, n: Any, *args: Any) -> Any:
    """Return a moment found by an integral, or a sum, entry by entry."""
    return Vectorized(self.generic_moment)(n, *args)


@ROOM.method(CONTINUOUS, "_cdf", facts=REAL)
def distribution(self: Any, x: Any, *args: Any) -> Any:
    """Return the distribution function of one that has a density only: its integral, entry by entry."""
    x, *shapes_of_all = np.broadcast_arrays(x, *args)
    found = []
    for at in np.ndindex(shape_of(x)):
        shapes = tuple([a[at] for a in shapes_of_all])
        found.append(quad(self._pdf, self._get_support(*shapes)[0], x[at], args=shapes)[0])
    return np.reshape(np.stack(found), shape_of(x)) if found else 0.0 * x


# --------------------------------------------------------------------------------------------------
# distributions that are fitted from a shape of 0

EXTREME, PARETO = type(_continuous_distns.genextreme), type(_continuous_distns.genpareto)


def _at_zero(kind: type, name: str, limit: Callable[..., Any]) -> None:
    """Take at a shape of 0 a formula that is smooth there, and SciPy's own elsewhere."""
    real = inspect.getattr_static(kind, name)

    def method(self: Any, x: Any, c: Any) -> Any:
        zero = decided(np.equal(c, 0))
        if not np.any(zero):
            return real(self, x, c)
        return np.where(zero, limit(x, np.where(zero, c, 0.0)), real(self, x, c))

    ROOM.method(kind, name, facts=REAL, around=True)(method)


def _gumbel_scale(x: Any, c: Any) -> Any:
    """Return log(1 - c x)/c."""
    return -x * log1p_over(-c * x)


def _extreme_log_density(x: Any, c: Any) -> Any:
    y = _gumbel_scale(x, c)
    return (1 - c) * y - np.exp(y)


_at_zero(EXTREME, "_loglogcdf", _gumbel_scale)
_at_zero(EXTREME, "_logpdf", _extreme_log_density)
_at_zero(EXTREME, "_ppf", lambda q, c: _stretched(-np.log(-np.log(q)), c))
_at_zero(EXTREME, "_isf", lambda q, c: _stretched(-np.log(-np.log1p(-q)), c))
_at_zero(PARETO, "_logpdf", lambda x, c: -(c + 1) * x * log1p_over(c * x))
_at_zero(PARETO, "_logsf", lambda x, c: -x * log1p_over(c * x))


SKEW, CIRCLE = type(_continuous_distns.skewnorm), type(_continuous_distns.vonmises)
_at_zero(SKEW, "_pdf", lambda x, a: math.sqrt(2 / math.pi) * np.exp(-0.5 * x * x) * special.ndtr(a * x))
_at_zero(SKEW, "_logpdf", lambda x, a: 0.5 * math.log(2 / math.pi) - 0.5 * x * x + special.log_ndtr(a * x))
_at_zero(CIRCLE, "_pdf", lambda x, k: np.exp(k * np.cos(x)) / (2 * math.pi * special.i0(k)))
_at_zero(CIRCLE, "_logpdf", lambda x, k: k * np.cos(x) - math.log(2 * math.pi) - np.log(special.i0(k)))


def _stretched(x: Any, c: Any) -> Any:
    """Return (1 - e^(-c x))/c."""
    return x * special.exprel(-c * x)


# --------------------------------------------------------------------------------------------------
# distributions that fill an array made of some of what they are given


def _that_holds(x: Any, *others: Any) -> Any:
    """Return an array that may be filled with what depends on others, which it does not depend on itself."""
    live = [a for a in others if is_active(a)]
    return np.where(True, x, sum(live)) if live else x


SKEWED = 0.01
"""Down to this skew the derivative of Pearson's distribution by it has five digits; at a tenth of it two are left."""
PEARSON, PARETO_LOGNORM = type(_continuous_distns.pearson3), type(getattr(_continuous_distns, "dpareto_lognorm", None))
_pearson_parts, _pareto_lognorm = PEARSON._preprocess, getattr(PARETO_LOGNORM, "_logpdf", PEARSON._logpdf)


@ROOM.method(PEARSON, "_preprocess", facts=REAL, around=True)
def pearson_parts(self: Any, x: Any, skew: Any) -> Any:
    """Return what Pearson's third distribution is made of, and first of all the array for it."""
    if is_active(skew) and np.any(np.abs(decided(skew)) < SKEWED):
        raise UnsupportedFunctionError(
            f"{where()}: scipy.stats.pearson3 is not differentiated by a skew nearer to 0 than {SKEWED}, where its formula by the gamma "
            "distribution loses the derivative to rounding. Begin beside it, or freeze the skew with dd.stop_gradient."
        )
    found, *parts = _pearson_parts(self, x, skew)
    return _that_holds(found, x, skew), *parts


@ROOM.method(PARETO_LOGNORM, "_logpdf", facts=REAL, around=True)
def pareto_lognorm_log_density(self: Any, x: Any, *shapes: Any) -> Any:
    """Return the logarithm of the density, which is added up in an array made of x and two of the shapes."""
    return _pareto_lognorm(self, _that_holds(x, *shapes), *shapes)


# --------------------------------------------------------------------------------------------------
# counts of several kinds

MULTINOMIAL = type(_multivariate.multinomial)
_log_counts = MULTINOMIAL.logpmf


@ROOM.method(MULTINOMIAL, "logpmf", facts=REAL, around=True)
def log_counts(self: Any, x: Any, n: Any, p: Any) -> Any:
    """Return the logarithm of the multinomial distribution, which is not there where p are no probabilities."""
    return where_absent(_log_counts(self, x, n, p), np.isnan, (np.sum(operand(p), axis=-1),) if is_active(p) else ())


# --------------------------------------------------------------------------------------------------
# noncentral χ² and Student's noncentral distribution

_log_density = _continuous_distns._ncx2_log_pdf


def _noncentral_log_density(x: Any, df: Any, nc: Any) -> Any:
    """Return the logarithm of the density: SciPy's formula has a Bessel function whose order is not differentiated."""
    return chi_square_log_density(x, df, nc) if is_active(df) else _log_density(x, df, nc)


drop_in(_log_density, _noncentral_log_density)
_NONCENTRAL = type(_continuous_distns.nct)
_density = _NONCENTRAL._pdf


@ROOM.method(_NONCENTRAL, "_pdf", facts=REAL, around=True)
def noncentral_density(self: Any, x: Any, df: Any, nc: Any) -> Any:
    """Return Student's noncentral density, which was one of hypergeometric functions before SciPy 1.14."""
    return t_noncentral_density(df, nc, x) if is_active(df) else _density(self, x, df, nc)


__all__ = ["ROOM", "entropy", "look_at_shapes", "moment", "stats", "where_absent"]
