"""NumPy's elementwise functions: a partial per operand and a domain; selection, rounding, casts.

Conventions at kinks, the same in both modes: ``abs`` has derivative 0 at 0; so have ``hypot``, complex ``abs`` and
``arctan2`` at the origin, and no second one there; equal operands of ``maximum``, ``minimum``, ``fmax``, ``fmin`` (and so
``clip`` at its bound) get one half each; a NaN operand of ``fmax`` and ``fmin`` gets 0, as it is not the result. Rounding
has derivative 0.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from dualdiff.advice import of_own_code
from dualdiff.errors import TracedAssignmentError, UnsupportedFunctionError, where
from dualdiff.kinds import Discrete, Elementwise, Sweep, full, nonzero
from dualdiff.kinds.base import Asked, family
from dualdiff.kinds.kinks import JUMP, Kink, gap, integer, size
from dualdiff.register import REAL_ONLY, Facts, composite, elementwise
from dualdiff.shapes import align, dtype_of, shape_of
from dualdiff.tangents import INSTEAD, Columns, Terms
from dualdiff.values import NUMBERS, TRACED, bind, container, is_number, number, operand, under

REAL, POSITIVE, NONZERO, NONNEGATIVE = "real", "positive", "nonzero", "nonnegative"
UNIT, ABOVE_ONE, ABOVE_MINUS_ONE = "unit", "above one", "above minus one"


# --------------------------------------------------------------------------------------------------
# arithmetic


def _reciprocal(_y: Any, x: Any) -> Any:
    try:
        return 1 / x
    except ZeroDivisionError:  # a Python number, where NumPy says inf
        return np.divide(1, x)


def _one_over_y(_z: Any, _x: Any, y: Any) -> Any:
    try:
        return 1 / y
    except ZeroDivisionError:
        return np.divide(1, y)


add = elementwise(np.add, 1, 1, op=operator.add, domain=(REAL, REAL))
subtract = elementwise(np.subtract, 1, -1, op=operator.sub, domain=(REAL, REAL))
multiply = elementwise(np.multiply, lambda _z, _x, y: y, lambda _z, x, _y: x, op=operator.mul, domain=(REAL, REAL))
divide = elementwise(np.divide, _one_over_y, lambda z, _x, y: -z / y, op=operator.truediv, domain=(REAL, NONZERO))
negative = elementwise(np.negative, -1, op=operator.neg, domain=REAL)
positive = elementwise(np.positive, 1, domain=REAL)
reciprocal = elementwise(np.reciprocal, lambda y, _x: -y * y, singular=True, domain=NONZERO)
square = elementwise(np.square, lambda _y, x: 2 * x, domain=REAL)
remainder = elementwise(
    np.remainder, 1, lambda _z, x, y: -np.floor_divide(x, y), op=operator.mod, domain=(POSITIVE, NONZERO)
)
# the number of periods is read off the result: trunc(x / y) is one too many where x / y rounds up to an integer
fmod = elementwise(np.fmod, 1, lambda z, x, y: -np.rint((x - z) / y), domain=(POSITIVE, NONZERO))
remainder.kink = fmod.kink = Kink(
    lambda _z, x, y: integer(None, np.divide(x, y)),
    "that beside the jump: 1 to the dividend",
    "np.arctan2(np.sin(x), np.cos(x)) wraps an angle; sine and cosine need no wrapping",
)


def power_base(_z: Any, x: Any, y: Any) -> Any:
    """Return y x^(y-1), by the cheapest way for a constant exponent, and 0 for y = 0 even at x = 0."""
    if type(y) in NUMBERS:
        if y == 2:
            return 2 * x
        if y == 1:
            return 1.0
        if y == 0:
            return 0.0
        if y == 4:  # NumPy squares by a product, but raises to higher powers by logarithms
            return 4 * (x * x * x)
        if y == 0.5:
            return 0.5 / np.sqrt(x)
        if y == -1:
            return -1 / np.square(x)
        if -1 < y < 0:  # x^(y-1) may be infinite where y x^(y-1) is not
            return y * x**y / x if type(x) is not float or x else -math.inf
        return y * (np.power(x, float(y - 1)) if type(x) is float and not x else x ** (y - 1))
    # At x = y = 0 only: elsewhere the exponent may itself be differentiated once more.
    void = np.equal(y, 0) if dtype_of(y).kind in "biu" else np.logical_and(np.equal(x, 0), np.equal(y, 0))
    return y * x ** np.where(void, 1, y - 1)


def power_exponent(z: Any, x: Any, _y: Any) -> Any:
    """Return z log x, and 0 for x = 0 where y > 0."""
    if type(x) in (int, float) and x > 0:
        return z * math.log(x)
    return z * np.log(np.where(np.equal(z, 0), 1.0, x))


power = elementwise(np.power, power_base, power_exponent, op=operator.pow, singular=True, domain=(POSITIVE, REAL))


@composite(np.float_power, domain=(POSITIVE, REAL))
def _float_power(x: Any, y: Any) -> Any:
    wide = np.result_type(dtype_of(x), dtype_of(y), np.float64)
    return np.power(*[v if type(v) in NUMBERS else cast(v, wide, copy=False) for v in (x, y)])


# --------------------------------------------------------------------------------------------------
# exponentials, logarithms, roots

sqrt = elementwise(np.sqrt, lambda y, _x: 0.5 / y, singular=True, domain=POSITIVE)
cbrt = elementwise(np.cbrt, lambda y, _x: 1 / (3 * y * y), singular=True, domain=NONZERO)
exp = elementwise(np.exp, lambda y, _x: y, domain=REAL)
exp2 = elementwise(np.exp2, lambda y, _x: y * math.log(2), domain=REAL)
# not y + 1, which has lost every digit where e^x is below the rounding of 1
expm1 = elementwise(np.expm1, lambda _y, x: np.exp(x), domain=REAL)
log = elementwise(np.log, _reciprocal, singular=True, domain=POSITIVE)
log2 = elementwise(np.log2, lambda _y, x: np.divide(1 / math.log(2), x), singular=True, domain=POSITIVE)
log10 = elementwise(np.log10, lambda _y, x: np.divide(1 / math.log(10), x), singular=True, domain=POSITIVE)
log1p = elementwise(np.log1p, lambda _y, x: np.reciprocal(1 + x), singular=True, domain=ABOVE_MINUS_ONE)


def _gap(x: Any, y: Any) -> Any:
    """Return y - x, and 0 between equal infinities."""
    return np.where(np.logical_and(np.isinf(x), np.equal(x, y)), 0, y - x)


# The weight of x, 1 / (1 + e^(y-x)), in the form that neither overflows nor loses digits, at any order.
elementwise(
    np.logaddexp,
    lambda _z, x, y: np.exp(-np.logaddexp(0, _gap(x, y))),
    lambda _z, x, y: np.exp(-np.logaddexp(0, _gap(y, x))),
    singular=True,
    domain=(REAL, REAL),
)
elementwise(
    np.logaddexp2,
    lambda _z, x, y: np.exp2(-np.logaddexp2(0, _gap(x, y))),
    lambda _z, x, y: np.exp2(-np.logaddexp2(0, _gap(y, x))),
    singular=True,
    domain=(REAL, REAL),
)

# --------------------------------------------------------------------------------------------------
# circular and hyperbolic functions


def _is_complex(x: Any) -> bool:
    return dtype_of(x).kind == "c"


_ONE = complex(1, -0.0)
"""What a complex number is added to without losing the sign of its zero, which says on which side of a cut it lies."""


def _cathetus_value(x: Any) -> Any:
    """Return √(1-x²), without cancelling near ±1 and, for complex numbers, without overflow and on the right branch."""
    return np.sqrt(-(x - 1)) * np.sqrt(x + _ONE) if _is_complex(x) else np.sqrt((1 - x) * (1 + x))


def _leg_value(x: Any) -> Any:
    """Return √(x²-1) likewise."""
    return np.sqrt(x - 1) * np.sqrt(x + (_ONE if _is_complex(x) else 1))


def _one_over_circle_value(x: Any) -> Any:
    """Return 1 / (1-x²) likewise."""
    return np.reciprocal(1 - x) * np.reciprocal(1 + x) if _is_complex(x) else np.reciprocal((1 - x) * (1 + x))


# Rows of their own: at ±1 the slope of a product with a factor of 0 would be 0·∞, that of the whole is infinite in both modes.
_cathetus = Elementwise("np.arcsin, derivative", _cathetus_value, lambda c, x: -x / c, singular=True, domain=UNIT)
_leg = Elementwise("np.arccosh, derivative", _leg_value, lambda c, x: x / c, singular=True, domain=ABOVE_ONE)
_one_over_circle = Elementwise(
    "np.arctanh, derivative", _one_over_circle_value, lambda q, x: 2 * x * (q * q), singular=True, domain=UNIT
)
_cathetus.lower = lambda x: x.made("sqrt", (1 - x) * (1 + x))
_leg.lower = lambda x: x.made("sqrt", x - 1) * x.made("sqrt", x + 1)
_one_over_circle.lower = lambda x: 1 / ((1 - x) * (1 + x))
_cathetus.on_objects = _leg.on_objects = _one_over_circle.on_objects = True


CLOSE = 1e-3
"""Below this a difference 1 - y² has lost too many digits, and another formula replaces it."""


def _tanh_slope_value(y: Any, x: Any) -> Any:
    """Return 1 - tanh²: from the result y where that keeps the digits, from x where it does not."""
    if _is_complex(y):
        return _sech_square(np.where(np.real(x) < 0, -x, x))
    p = 1 - y * y
    if type(p) is np.ndarray:
        if p.size and np.fmin.reduce(p, axis=None) < CLOSE:
            close = p < CLOSE
            p[close] = _sech_square(np.abs(x[close]))
        return p
    return p if isinstance(p, (float, np.floating)) and p > CLOSE else _sech_square(np.abs(x))


def _sech_square(x: Any) -> Any:
    """Return 1 / cosh² where the real part of x is not negative."""
    e = np.exp(-2 * x)
    return 4 * e / np.square(1 + e)


# Of tanh's result and operand; a function of the operand alone. Its own slope is again made of itself and tanh.
_tanh_slope = Elementwise("np.tanh, derivative", _tanh_slope_value, 0, lambda p, y, _x: -2 * y * p, domain=(UNIT, REAL))
_tanh_slope.on_objects = True


def _tanh_slope_of_numbers(y: Any, x: Any) -> Any:
    p, e = 1 - y * y, x.made("exp", -2 * x.made("absolute", x))
    return x.made("where", x.made("greater", p, CLOSE), p, 4 * e / ((1 + e) * (1 + e)))


_tanh_slope.lower = _tanh_slope_of_numbers


def _arcsinh_slope(_y: Any, x: Any) -> Any:
    """Return 1/√(1+x²): by the fast formula where no square overflows."""
    if _is_complex(x):
        return 1 / _cathetus(1j * x)
    if type(x) is not np.ndarray:
        return np.reciprocal(np.hypot(1, x))
    q = 1 / np.sqrt(1 + x * x)
    if q.size and np.fmin.reduce(q, axis=None) == 0:
        far = q == 0
        q[far] = 1 / np.abs(x[far])
    return q


sin = elementwise(np.sin, lambda _y, x: np.cos(x), domain=REAL)
cos = elementwise(np.cos, lambda _y, x: -np.sin(x), domain=REAL)
tan = elementwise(
    np.tan, lambda y, x: _tanh_slope(1j * y, 1j * x) if _is_complex(x) else 1 + y * y, domain=UNIT
)  # tan(z) = -i tanh(iz), and 1 + y² cancels far from the real line
sinh = elementwise(np.sinh, lambda _y, x: np.cosh(x), domain=REAL)
cosh = elementwise(np.cosh, lambda _y, x: np.sinh(x), domain=REAL)
tanh = elementwise(np.tanh, lambda y, x: _tanh_slope(y, x), domain=REAL)
arcsin = elementwise(np.arcsin, lambda _y, x: 1 / _cathetus(x), singular=True, domain=UNIT)
arccos = elementwise(np.arccos, lambda _y, x: -1 / _cathetus(x), singular=True, domain=UNIT)
arctan = elementwise(
    np.arctan, lambda _y, x: _one_over_circle(1j * x) if _is_complex(x) else 1 / (1 + x * x), singular=True, domain=REAL
)
arcsinh = elementwise(np.arcsinh, _arcsinh_slope, singular=True, domain=REAL)
arccosh = elementwise(
    np.arccosh,
    lambda _y, x: 1 / _leg(x),
    singular=True,
    domain=ABOVE_ONE,
)
arctanh = elementwise(np.arctanh, lambda _y, x: _one_over_circle(x), singular=True, domain=UNIT)
for _to_radians in (np.deg2rad, np.radians):
    elementwise(_to_radians, lambda _y, _x: math.pi / 180, domain=REAL)
for _to_degrees in (np.rad2deg, np.degrees):
    elementwise(_to_degrees, lambda _y, _x: 180 / math.pi, domain=REAL)


def _over(x: Any, r: Any) -> Any:
    origin = np.equal(r, 0)
    return np.where(origin, x * 0, x / np.where(origin, 1, r))  # what is not finite stays NaN


# r/r is 1, and NaN where r is 0: the slope chosen there is not differentiated again
over = Elementwise(
    "slope", _over, lambda _z, _x, r: np.divide(r, r) / r, lambda z, _x, r: -z * (np.divide(r, r) / r), singular=True
)
"""x / r, and 0 where the radius r is 0: the slope of a root, of which 0 is chosen where it has none; its derivative is NaN there."""
over.on_objects = True


def _over_of_numbers(x: Any, r: Any) -> Any:
    origin = x.made("equal", r, 0)
    return x.made("where", origin, x * 0, x / x.made("where", origin, 1, r))


over.lower = _over_of_numbers


def _over_square(x: Any, y: Any) -> Any:
    """Return x / (x² + y²) without overflow on the way, and 0 at the origin."""
    r = np.hypot(x, y)
    return over(over(x, r), r)


hypot = elementwise(np.hypot, lambda z, x, _y: over(x, z), lambda z, _x, y: over(y, z), domain=(NONZERO, NONZERO))
hypot.kink = Kink(
    lambda z, _x, _y: np.abs(z), "0 to both", "np.sqrt(x**2 + y**2 + eps**2) is smooth; its square has a derivative"
)

root = Elementwise(
    "root",
    lambda v, zero: number(np.where(zero, 0.0, np.sqrt(np.where(zero, 1.0, v)))),
    lambda z, _v, _zero: over(0.5, z),
    0,
)
root.plain = False
"""The square root, with the slope 0 where ``zero`` says that the root is taken for 0."""
root.kink = Kink(
    lambda z, _v, zero: np.where(zero, 0.0, np.abs(z)),
    "0",
    "differentiate the variance, np.var, or add a small number",
    "np.std",
)
arctan2 = elementwise(
    np.arctan2, lambda _z, y, x: _over_square(x, y), lambda _z, y, x: -_over_square(y, x), domain=(NONZERO, NONZERO)
)
arctan2.kink = Kink(lambda _z, y, x: np.hypot(y, x), "0 to both", "the angle of a vanishing vector: keep away from it")

# --------------------------------------------------------------------------------------------------
# extremes, signs, parts of a number


def _share(wins: Any, alone: Any, z: Any) -> Any:
    """Return 1 where an operand is the result alone, 1/2 where it shares it, 0 elsewhere."""
    return 0.5 * np.add(wins, alone, dtype=dtype_of(z))


def _share_by_order(beaten: Any, equalled: Any, z: Any) -> Any:
    """Return the share of an operand from where it is beaten, and where beaten or equalled: mostly the same places."""
    if type(beaten) is np.ndarray and beaten.tobytes() == equalled.tobytes():
        return np.logical_not(beaten).astype(dtype_of(z))
    return _share(np.logical_not(beaten), np.logical_not(equalled), z)


def _share_by_value(x: Any, y: Any, z: Any) -> Any:
    mine = np.equal(x, z)
    return _share(mine, np.greater(mine, np.equal(y, z)), z)


maximum = elementwise(
    np.maximum,
    lambda _z, x, y: _share_by_order(np.less(x, y), np.less_equal(x, y), _z),
    lambda _z, x, y: _share_by_order(np.less(y, x), np.less_equal(y, x), _z),
    choice=True,
    domain=(REAL, REAL),
)
minimum = elementwise(
    np.minimum,
    lambda _z, x, y: _share_by_order(np.greater(x, y), np.greater_equal(x, y), _z),
    lambda _z, x, y: _share_by_order(np.greater(y, x), np.greater_equal(y, x), _z),
    choice=True,
    domain=(REAL, REAL),
)
for _extreme in (np.fmax, np.fmin):
    elementwise(
        _extreme,
        lambda z, x, y: _share_by_value(x, y, z),
        lambda z, x, y: _share_by_value(y, x, z),
        choice=True,
        domain=(REAL, REAL),
    )

absolute = elementwise(
    np.absolute,
    lambda _y, x: np.sign(x),
    op=operator.abs,
    wirtinger=(lambda y, z: 0.5 * over(np.conjugate(z), y), lambda y, z: 0.5 * over(z, y)),
    domain=NONZERO,
)
fabs = elementwise(np.fabs, lambda _y, x: np.sign(x), domain=NONZERO)
_SMOOTH = "np.sqrt(x**2 + eps**2) is smooth; the square np.abs(x)**2 has a derivative"
absolute.kink = Kink(size, "0", _SMOOTH, "np.abs")
fabs.kink = Kink(size, "0", _SMOOTH)
copysign = elementwise(np.copysign, lambda z, x, _y: np.sign(z) * np.sign(x), 0, domain=(NONZERO, NONZERO))
copysign.kink = Kink(lambda _z, x, y: np.minimum(np.abs(x), np.abs(y)), "0", _SMOOTH)
heaviside = elementwise(np.heaviside, 0, lambda _z, x, _h: np.equal(x, 0), choice=True, domain=(NONZERO, REAL))
heaviside.kink = Kink(size, JUMP, "1 / (1 + np.exp(-x / width)) is a smooth step")
elementwise(np.nextafter, 1, 0, domain=(REAL, REAL))
ldexp = elementwise(np.ldexp, lambda _z, x, i: np.ldexp(np.ones_like(x), i), 0, domain=(REAL, REAL))
_fraction = Elementwise("np.modf", lambda x: np.modf(x)[0], 1, domain=REAL)
_whole = Discrete("np.modf", lambda x: np.modf(x)[1])
_exponent = Discrete("np.frexp", lambda x: np.frexp(x)[1])
_sign = Discrete("np.sign", np.sign)
_sign.kink = Kink(size, JUMP, "np.tanh(x / width) is a smooth sign")
_fraction.kink = Kink(integer, "1: that between the jumps", "keep away from integers")


@composite(np.modf, facts=Facts(kinks=[_fraction.kink]))
def _modf(x: Any) -> Any:
    return bind(_fraction, (x,), {}), bind(_whole, (x,), {})


@composite(np.frexp)
def _frexp(x: Any) -> Any:
    i = bind(_exponent, (x,), {})
    return np.ldexp(x, -i), i


@composite(np.divmod, facts=Facts(REAL_ONLY, kinks=[np.remainder]))
def _divmod(x: Any, y: Any) -> Any:
    return np.floor_divide(x, y), np.remainder(x, y)


@composite(np.sign, facts=Facts(kinks=[_sign.kink]))
def _signum(x: Any) -> Any:
    if dtype_of(x).kind != "c":
        return bind(_sign, (x,), {})
    return _over(x, np.absolute(x))  # on the unit circle, and not constant there


# --------------------------------------------------------------------------------------------------
# complex numbers


_real = Elementwise("np.real", np.real, 1, wirtinger=(lambda _x, _z: 0.5, lambda _x, _z: 0.5), domain=REAL)
_imag = Elementwise("np.imag", np.imag, 1, wirtinger=(lambda _y, _z: -0.5j, lambda _y, _z: 0.5j), domain=REAL)
_real.view = _imag.view = True
conjugate = elementwise(np.conjugate, 1, wirtinger=(None, lambda _y, _z: 1.0), domain=REAL)


@composite(np.real)
def real(val: Any) -> Any:
    """Return the real part: of a real array, the array itself."""
    return bind(_real, (val,), {}) if dtype_of(val).kind == "c" else val


@composite(np.imag)
def imag(val: Any) -> Any:
    """Return the imaginary part: zeros for a real array."""
    if dtype_of(val).kind == "c":
        return bind(_imag, (val,), {})
    if type(under(val)) is not np.ndarray:
        return number(np.zeros_like(val)) if is_number(val) else np.zeros_like(val)
    return np.broadcast_to(np.zeros((), dtype_of(val)), shape_of(val))  # which nobody can write into, as NumPy's


_real.completed = lambda old, new: real(new) + 1j * imag(old)
_imag.completed = lambda old, new: real(old) + 1j * real(new)


@composite(np.angle, facts=Facts(kinks=[np.arctan2]))
def _angle(z: Any, deg: bool = False) -> Any:
    a = np.arctan2(np.imag(z), np.real(z))
    return a * (180 / math.pi) if deg else a


@composite(np.real_if_close)
def _real_if_close(a: Any, tol: float = 100) -> Any:
    a = np.copy(a) if is_number(a) else a  # an array, whatever it was
    if dtype_of(a).kind != "c":
        return a
    if tol > 1:
        tol = float(tol * np.finfo(dtype_of(a)).eps)
    y = np.imag(a)  # whose absolute value has a kink
    return np.real(a) if np.all(np.logical_and(np.less(y, tol), np.greater(y, -tol))) else a


# --------------------------------------------------------------------------------------------------
# selection


def _pick(t: Any, chosen: Any) -> Any:
    """Give exactly zero where the other branch was taken, whatever stands there."""
    return np.where(chosen, t, 0.0)


class Select(Elementwise):
    """``np.where(c, x, y)``: the branch not taken gets exactly zero, whatever stands there."""

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Select among the coefficients; in a careful pass which entries are reached is more than their maps say."""
        if run.careful:
            return INSTEAD
        found = Terms() if any(type(t) is Terms for t in tangents) else Columns()
        return self.scaled(tangents, values, out, found, _pick)

    def takes_columns(self, values: Sequence[Any]) -> bool:
        """A direction of all entries is one of those that were chosen."""
        return True

    def forecast(self, asked: Asked) -> Any:
        """As terms that are scaled."""
        return self.scaled_forecast(asked)

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        """Select among the tangents; a missing one is zero."""
        _, tx, ty = tangents
        if tx is None and ty is None:
            return None
        c, x, y = args
        rank = len(shape_of(out))
        tx = 0.0 if tx is None else align(tx, sweep.lead, shape_of(x), rank)
        ty = 0.0 if ty is None else align(ty, sweep.lead, shape_of(y), rank)
        return full(np.where(c, tx, ty), sweep, out)

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        """Give each branch the covector where it was taken."""
        c = args[0]
        _, i, j = ins
        # A product with a mask is exact for finite numbers, and much faster than a branch per entry; but a branch that
        # was not taken must not be multiplied by infinity.
        pick = (lambda c: np.where(c, g, 0.0)) if sweep.careful else (lambda c: g * c)
        return (
            None,
            pick(c) if i is not None and i >= 0 else None,
            pick(np.logical_not(c)) if j is not None and j >= 0 else None,
        )

    def masked(self, values: Sequence[Any], masks: Sequence[Any], params: dict[str, Any]) -> tuple[Any, Any]:
        """Choose among the masks as among the values."""
        _, x, y = [nonzero(v) if m is None else m for v, m in zip(values, masks, strict=True)]
        return bind(self, values, params), np.where(under(values[0]), x, y)


select = Select(
    "np.where",
    np.where,
    0,
    lambda _z, c, _x, _y: c,
    lambda _z, c, _x, _y: np.logical_not(c),
    domain=(REAL, REAL, REAL),
)
_MISSING: Any = object()


@composite(np.where, domain=(REAL, REAL, REAL))
def _where(condition: Any, x: Any = _MISSING, y: Any = _MISSING, /) -> Any:
    if x is _MISSING and y is _MISSING:
        return np.nonzero(condition)
    if x is _MISSING or y is _MISSING:
        raise ValueError("either both or neither of x and y should be given")
    c = operand(condition)
    return bind(select, (c if dtype_of(c).kind == "b" else np.not_equal(c, 0), operand(x), operand(y)), {})


@composite(np.select)
def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if len(condlist) == 0:
        raise ValueError("select with an empty condition list is not possible")
    result = default
    for i in range(len(condlist) - 1, -1, -1):
        c = operand(condlist[i])
        if dtype_of(c).kind != "b":
            raise TypeError(f"invalid entry {i} in condlist: should be boolean ndarray")
        result = np.where(c, choicelist[i], result)
    return result


@composite(np.piecewise)
def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    functions = list(funclist)
    scalar = not shape_of(x)
    several = isinstance(condlist, (list, tuple)) or shape_of(condlist) != ()
    if several and (scalar or isinstance(condlist[0], (list, tuple)) or shape_of(condlist[0])):
        conditions = list(condlist)
    else:
        conditions = [condlist]
    conditions = [np.not_equal(operand(c), 0) for c in conditions]
    if scalar:
        x, conditions = np.reshape(x, 1), [np.reshape(c, 1) for c in conditions]
    if len(functions) == len(conditions) + 1:
        covered = functools.reduce(np.logical_or, conditions)
        conditions.append(np.logical_not(covered))
    elif len(functions) != len(conditions):
        n = len(conditions)
        raise ValueError(f"with {n} condition(s), either {n} or {n + 1} functions are expected")
    y = np.zeros_like(x) if type(x) in TRACED else container(np.zeros_like(x))
    for c, f in zip(conditions, functions, strict=True):
        if not callable(f):
            y[c] = f
        elif (chosen := x[c]).size:
            y[c] = f(chosen, *args, **kw)
    return np.reshape(y, ()) if scalar else y


def _share_between(z: Any, x: Any, low: Any, high: Any) -> Any:
    """Return 1 between the bounds, 1/2 at one of them, 0 beyond."""
    beaten = np.logical_or(np.less(x, low), np.greater(x, high))
    equalled = np.logical_or(np.less_equal(x, low), np.greater_equal(x, high))
    return _share_by_order(beaten, equalled, z)


between = Elementwise(
    "np.clip",
    lambda x, low, high: np.minimum(np.maximum(x, low), high),
    _share_between,
    lambda z, x, low, _high: _share_by_order(np.less(low, x), np.less_equal(low, x), z),
    lambda z, x, _low, high: _share_by_order(np.greater(high, x), np.greater_equal(high, x), z),
    choice=True,
    kink=Kink(
        lambda _z, x, low, high: np.minimum(gap(x, low), gap(x, high)),
        "one half to the entry, one half to the bound",
        "keep away from the bound, or map the line smoothly to the interval, as np.tanh does",
    ),
)
"""An entry held between two bounds, of which the first is less than the second."""


def _as_bounds(x: Any, *bounds: Any) -> Any:
    """Return numbers as 0-d arrays, which NumPy compares with an array in half the time."""
    dtype = dtype_of(x)
    if dtype.kind != "f" or not shape_of(x):
        return [operand(b) for b in bounds]
    return [np.array(b, dtype) if type(b) in NUMBERS else operand(b) for b in bounds]


@composite(np.clip, facts=Facts(kinks=[between.kink, np.maximum, np.minimum]))
def _clip(
    a: Any,
    a_min: Any = np._NoValue,
    a_max: Any = np._NoValue,
    out: Any = None,
    *,
    min: Any = np._NoValue,
    max: Any = np._NoValue,
    **kwargs: Any,
) -> Any:
    if kwargs:
        raise unsupported("np.clip", kwargs, "clip without them")
    given = np._NoValue
    if (a_min is given) != (a_max is given):
        raise TypeError("clip() missing 1 required positional argument: give both a_min and a_max, or min= and max=")
    if a_min is not given and (min is not given or max is not given):
        raise ValueError("passing min or max keyword argument when a_min and a_max are provided is forbidden")
    low = min if a_min is given else a_min
    high = max if a_max is given else a_max
    y = a
    lower, upper = low is not given and low is not None, high is not given and high is not None
    if lower and upper:
        closed = low >= high if type(low) in NUMBERS and type(high) in NUMBERS else np.greater_equal(low, high)
        if closed is False or not bool(np.any(closed)):
            x = operand(a)
            return into(bind(between, (x, *_as_bounds(x, low, high)), {}), out, "np.clip")
        y = np.where(closed, low, y)  # bounds that leave nothing between them: the result does not depend on a
    if lower:
        y = np.maximum(y, low)
    if upper:
        y = np.minimum(y, high)
    return into(np.positive(a) if y is a else y, out, "np.clip")


@composite(np.nan_to_num)
def _nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    if dtype_of(x).kind == "c":
        y = _nan_to_num(np.real(x), True, nan, posinf, neginf) + 1j * _nan_to_num(np.imag(x), True, nan, posinf, neginf)
    else:
        limits = np.finfo(dtype_of(x)) if dtype_of(x).kind == "f" else None
        if limits is None:
            return x.copy() if copy else x
        y = np.where(np.isnan(x), nan, x)
        y = np.where(np.equal(x, np.inf), limits.max if posinf is None else posinf, y)
        y = np.where(np.equal(x, -np.inf), limits.min if neginf is None else neginf, y)
    if not copy and type(x) in TRACED and isinstance(x, np.ndarray):
        x[...] = y
        return number(x)
    return number(y)


# --------------------------------------------------------------------------------------------------
# functions whose derivatives are of their own family


def _is_order(n: Any) -> bool:
    return type(n) is int and 0 <= n < 100


@family("np.sinc", _is_order)
def _sinc(n: int) -> Elementwise:
    """Return the row of the n-th derivative of sin(u)/u at u = πx: its partial is the next one."""
    fn = np.sinc if n == 0 else functools.partial(_sinc_value, n=n)
    return Elementwise(f"np.sinc, derivative {n}" if n else "np.sinc", fn, lambda _y, x: math.pi * _sinc(n + 1)(x))


def _sinc_value(x: Any, n: int) -> Any:
    # With s = sin(u)/u, u s = sin u gives u s⁽ⁿ⁾ = sin(u + nπ/2) - n s⁽ⁿ⁻¹⁾, which is stable for |u| > n;
    # nearer to 0 the power series of s is differentiated term by term.
    u = math.pi * x
    near = np.abs(u) < n + 1
    far_u = np.where(near, n + 1, u)
    turn = np.where(near, n + 1, math.pi * (x - 2 * np.rint(np.real(x) / 2)))  # whole periods taken off before rounding
    waves = (np.sin(turn), np.cos(turn))
    far = waves[0] / far_u
    for m in range(1, n + 1):
        wave = waves[m % 2] if m % 4 < 2 else -waves[m % 2]
        far = (wave - m * far) / far_u
    near_u = np.where(near, u, 0)
    square = near_u * near_u
    k = (n + 1) // 2  # the first term that n derivatives leave, and after it by ratios
    term = (-1.0) ** k / ((2 * k + 1) * math.factorial(2 * k - n)) * (near_u if n % 2 else np.ones_like(near_u))
    total = term
    while 2 * k - n < 20 + 4 * n:
        k += 1
        i = 2 * k - n
        term = term * square * (-(2 * k - 1) / ((2 * k + 1) * i * (i - 1)))
        total = total + term
    y = np.where(near, total, far)
    return y if shape_of(y) else y[()]


@composite(np.sinc, domain=REAL)
def sinc(x: Any) -> Any:
    """Return sin(πx)/(πx), with right derivatives of every order at 0."""
    return _sinc(0)(x)


@family("np.i0", _is_order)
def _bessel_i(n: int) -> Elementwise:
    """Return the row of the modified Bessel function I_n: the derivative of I_n is the mean of its neighbours."""
    if n == 0:
        return Elementwise("np.i0", np.i0, lambda _y, x: _bessel_i(1)(x))
    special = scipy.special  # imported when it is first asked for
    fn = special.i1 if n == 1 else functools.partial(special.iv, n)  # iv(1, x) is 0 for the smallest x
    return Elementwise(f"I{n}", fn, lambda _y, x: 0.5 * (_bessel_i(n - 1)(x) + _bessel_i(n + 1)(x)))


@composite(np.i0, domain=REAL, facts=Facts(REAL_ONLY))
def _i0(x: Any) -> Any:
    return _bessel_i(0)(x)


_unwrap_row = Elementwise("np.unwrap", np.unwrap, 1, domain=REAL)


@composite(np.unwrap, domain=REAL, facts=Facts(REAL_ONLY))
def _unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * math.pi) -> Any:
    for what, setting in (("discont", discont), ("period", period)):
        if type(setting) in TRACED:
            raise unsupported("np.unwrap", [what], "a constant (dd.stop_gradient(x))")
    return bind(_unwrap_row, (p,), {"discont": discont, "axis": axis, "period": period})


# --------------------------------------------------------------------------------------------------
# dtypes, and where results go


def _astype(x: Any, *, dtype: np.dtype[Any]) -> Any:
    return x.astype(dtype) if hasattr(x, "astype") else dtype.type(x)


_convert = Elementwise("astype", _astype, 1, domain=REAL)
_convert.plain = False  # its tangents change their dtype
_truncate = Discrete("astype", _astype)


def cast(x: Any, dtype: Any, order: str = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True) -> Any:
    """Return ``x.astype(dtype)``: the identity among floating-point dtypes, without derivative to integers."""
    want, have = np.dtype(dtype), dtype_of(x)
    if casting != "unsafe" and not np.can_cast(have, want, casting):
        raise TypeError(f"Cannot cast array data from {have!r} to {want!r} according to the rule {casting!r}")
    if want == have:
        return x.copy() if copy and hasattr(x, "copy") else x
    if want.kind in "fc":
        return bind(_convert, (x,), {"dtype": want})
    if want.kind in "biu":
        return bind(_truncate, (x,), {"dtype": want})
    raise UnsupportedFunctionError(
        f"{where()}: astype({want}) cannot carry a derivative. Keep the array as numbers, "
        "or freeze it on purpose with dd.stop_gradient(x)."
    )


@composite(getattr(np, "astype", None))
def _astype_function(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return cast(x, dtype, copy=copy)


def unsupported(name: str, options: Any, instead: str) -> UnsupportedFunctionError:
    """Return the error for options of a function that have no derivative yet."""
    named = " with " + ", ".join(f"{o}=" for o in options) if options else ""
    return UnsupportedFunctionError(
        f"{where()}: {name}{named} is not yet in dualdiff's vocabulary for differentiated values. Use {instead}."
    )


def into(result: Any, out: Any, name: str) -> Any:
    """Serve ``out=``: write into a traced array and return it; refuse a plain one, which would lose the derivative."""
    if out is None:
        return result
    have, want = shape_of(result), shape_of(out)
    if np.broadcast_shapes(have, want) != want:
        raise ValueError(f"non-broadcastable output operand with shape {want} doesn't match the broadcast shape {have}")
    if not np.can_cast(dtype_of(result), dtype_of(out), "same_kind"):
        raise TypeError(
            f"Cannot cast {name} output from {dtype_of(result)!r} to {dtype_of(out)!r} with casting rule 'same_kind'"
        )
    if type(out) not in TRACED and type(result) in TRACED:
        if type(out) is np.ndarray and out.dtype.char == "O":  # its entries may be traced values
            out[...] = np.asarray(result)
            return out
        if not result._may_leave():
            raise result._stumbled(
                TracedAssignmentError(
                    f"{where()}: {name} was to store a differentiated value in a plain array (out=), which would lose its "
                    "derivative. "
                    + of_own_code(
                        f"Write y = {name}(...) without out=, or make the array with np.empty_like(x) inside the function."
                    )
                ),
                "store",
            )
        result = result.run.leave(result)
    out[...] = result
    return out


array_of = operand

__all__ = [
    "Elementwise",
    "Select",
    "array_of",
    "cast",
    "imag",
    "into",
    "over",
    "real",
    "root",
    "select",
    "sinc",
    "unsupported",
]
