"""The elementary functions as straight lines of arithmetic, which LLVM widens to as many numbers at once as the processor takes.

An argument is reduced to a short interval, where the function is near to a polynomial, and the result put together again; what would be
lost on the way is carried in a second number (J.-M. Muller, *Elementary Functions*, 3rd ed., Birkhäuser 2016,
doi:10.1007/978-1-4899-7983-4; W. J. Cody & W. Waite, *Software Manual for the Elementary Functions*, Prentice-Hall 1980; P. T. P. Tang,
doi:10.1145/63522.214389 and doi:10.1145/98267.98294). No branch, no table, no call: both sides are computed, and one is selected.

A product and a sum are rounded once, together; without an instruction for that there are no kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dualdiff.compiled import llvm
from dualdiff.compiled.coefficients import (
    ARCTAN,
    ARTANH,
    COS,
    ERF,
    EXP,
    HALF_PI,
    LN2,
    LN2_SHORT,
    LN_3_4,
    LN_5_4,
    LN_ERFC,
    LN_ERFC_1,
    LOG,
    LOG10_2,
    PER_HALF_PI,
    PER_LN2,
    PER_LN10,
    PI,
    QUARTER_PI,
    SIN,
    THIRD,
    THREE_QUARTER_PI,
)
from dualdiff.compiled.writing import DECLARED, Number, bits, fma, function, number, polynomial, where

__all__ = ["KERNELS", "Kernel", "bounds", "defined", "usable"]

MAGIC = 1.5 * 2.0**52
"""A sum with it is rounded to an integer, which stands in the last bits of the sum."""
BIASED = MAGIC + 2 * 1023
"""The same, with the bias of two exponents among the last bits."""
SIGN = -(2**63)
ONE, ROOT_HALF = 0x3FF0000000000000, 0x3FE6A09E667F3BCD
"""The bits of 1 and of √½."""
MANTISSA = 0x4330000000000000
"""The bits of 2⁵²: an integer among its last bits makes it that much larger."""
ROOT_2 = math.sqrt(2)
TINY = 2.0**-53
"""Below it a function with slope 1 at 0 is its argument."""
Pair = tuple[Number, Number]
"""A number and a small one, whose sum is meant."""
Regions = tuple[Number, Number]
"""Whether a number lies in the lowest of three regions, and whether in the highest."""


def _quick_sum(a: Number | float, b: Number) -> Pair:
    """Return a sum, and what was lost by rounding it, where a is the larger or nothing (T. J. Dekker, doi:10.1007/BF01397083)."""
    s = a + b
    return s, b - (s - a)


def _sum(a: Number, b: Number | float) -> Pair:
    """Return a sum, and what was lost by rounding it (D. E. Knuth, *The Art of Computer Programming*, vol. 2, 4.2.2)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _quotient(a: tuple[Number, Number | float], b: Pair) -> Pair:
    """Return a quotient of pairs; the second part of a pair is far smaller than the first."""
    inverse = 1.0 / b[0]
    q = a[0] * inverse
    return q, (fma(-q, b[0], a[0]) + (a[1] - q * b[1])) * inverse


def _absolute(x: Number) -> Number:
    return number(bits(x) & ~SIGN)


def _signed(x: Number, sign: Number) -> Number:
    """Return a positive number with the sign of another."""
    return number(bits(x) | (bits(sign) & SIGN))


def _at_most(x: Number, bound: float) -> Number:
    return where(x > bound, bound, x)


def _at_least(x: Number, bound: float) -> Number:
    return where(x < bound, bound, x)


# --------------------------------------------------------------------------------------------------
# powers of two, and of e


def _power(shifted: Number) -> Number:
    """Return 2 to an integer that stands in the last bits."""
    return number((bits(shifted) + 1023) << 52)


def _scaled(x: Number, shifted: Number) -> Number:
    """Return x·2ᵏ, rounded once: in two steps, since 2ᵏ may be no number where the result is one.

    What stands in the last bits is k and twice the exponents' bias, which the two powers share.
    """
    both = bits(shifted)
    half = both >> 1
    return x * number(half << 52) * number((both - half) << 52)


def _by_ln2(x: Number, magic: float = MAGIC) -> tuple[Number, Number, Pair]:
    """Return k, as it stands in a sum and as a number, and r with x = k·ln 2 + r, |r| ≤ ln 2 / 2."""
    shifted = fma(x, PER_LN2[0], magic)
    k = shifted - magic
    t = fma(k, -LN2[0], x)
    r = fma(k, -LN2[1], t)
    return shifted, k, (r, fma(k, -LN2[1], t - r))


def _exp_less_1(r: Pair) -> Pair:
    """Return eʳ - 1 of a reduced argument: r and r²/2, and what is left."""
    square = r[0] * r[0]
    s, lost = _quick_sum(r[0], square * 0.5)
    rest = fma(fma(r[0], r[0], -square), 0.5, lost + r[1])
    return s, fma(square * r[0], polynomial(r[0], EXP[1:]), rest)


def _exp_of(r: Pair) -> Pair:
    """Return eʳ of a reduced argument."""
    s, lost = _quick_sum(1.0, r[0])
    return s, fma(r[0] * r[0], polynomial(r[0], EXP), lost + r[1])


def _exp(x: Number) -> Number:
    # 1 + r·(1 + r·(…)): what rounding loses on the way is multiplied by r, so that nothing has to be carried.
    x = _at_least(_at_most(x, 710.0), -746.0)
    shifted, _, (r, _) = _by_ln2(x, BIASED)
    return _scaled(fma(r, polynomial(r, (1.0, *EXP)), 1.0), shifted)


def _exp2(x: Number) -> Number:
    x = _at_least(_at_most(x, 1025.0), -1076.0)
    shifted = x + BIASED
    t = x - (shifted - BIASED)
    r = t * LN2[0]
    first, second = _exp_of((r, fma(t, LN2[0], -r) + t * LN2[1]))
    return _scaled(first + second, shifted)


def _expm1_part(x: Number, places: int) -> Pair:
    """Return (eˣ - 1)/2ᵖ: 2ᵏ⁻ᵖ - 2⁻ᵖ, and 2ᵏ⁻ᵖ·(eʳ - 1)."""
    shifted, _, r = _by_ln2(x)
    scale, one = _power(shifted - float(places)), 0.5**places
    first, second = _exp_less_1(r)
    less = scale - one
    s, lost = _quick_sum(less, scale * first)
    return _quick_sum(s, fma(scale, second, lost + ((scale - less) - one)))


def _expm1(x: Number) -> Number:
    first, _ = _expm1_part(_at_least(_at_most(x, 710.0), -40.0), 1)
    return where(_absolute(x) < TINY, x, first + first)


def _sinh(x: Number) -> Number:
    a = _absolute(x)
    quarter = _expm1_part(_at_most(a, 710.5), 2)  # sinh x = (E + E / (E + 1)) / 2, E = eˣ - 1
    whole, lost = _quick_sum(1.0, quarter[0] * 4.0)
    q, rest = _quotient(quarter, (whole, fma(quarter[1], 4.0, lost)))
    s, lost = _quick_sum(quarter[0], q)
    half = where(a > 40.0, quarter[0], s + (lost + (quarter[1] + rest)))
    return where(a < TINY, x, _signed(half + half, x))


def _cosh(x: Number) -> Number:
    shifted, k, r = _by_ln2(_at_most(_absolute(x), 710.5))
    first, second = _quick_sum(*_exp_of(r))
    inverse = 1.0 / first
    rest = (fma(-inverse, first, 1.0) - inverse * second) * inverse
    scale, small = _power(shifted - 2.0), _power((MAGIC - 2.0) - _at_most(k, 1000.0))
    s, lost = _quick_sum(scale * first, small * inverse)
    half = s + (lost + fma(scale, second, small * rest))
    return half + half


def _tanh(x: Number) -> Number:
    a = _absolute(x)
    first, second = _expm1_part(_at_most(a + a, 44.0), 0)  # tanh x = E / (E + 2), E = e²ˣ - 1
    whole, lost = _sum(first, 2.0)
    q, rest = _quotient((first, second), (whole, lost + second))
    return where(a < TINY, x, _signed(q + rest, x))


# --------------------------------------------------------------------------------------------------
# logarithms


@dataclass(frozen=True, slots=True)
class _Split:
    """x = 2ᵏ·(1 + f)/c."""

    k: Number
    f: Number
    c: Number
    less_ln_c: tuple[Number, Number]
    polynomial: Number


def _split(x: Number) -> _Split:
    """Take a positive number apart so that |f| < 1/6: c is 5/4, 1 or 3/4, and 1 where the logarithm is near 0."""
    small = x < 2.0**-1022
    b = bits(where(small, x * 2.0**54, x)) + (ONE - ROOT_HALF)
    k = number((b >> 52) | MANTISSA) - where(small, 2.0**52 + 1023.0 + 54.0, 2.0**52 + 1023.0)
    m = number((b & (2**52 - 1)) + ROOT_HALF)
    low, high = m < 0.875, m > 7.0 / 6.0

    def chosen(a: float, b: float, c: float) -> Number:
        return where(low, a, where(high, b, c))

    c = chosen(1.25, 0.75, 1.0)
    f = fma(m, c, -1.0)
    less_ln_c = chosen(-LN_5_4[0], -LN_3_4[0], 0.0), chosen(-LN_5_4[1], -LN_3_4[1], 0.0)
    return _Split(k, f, c, less_ln_c, polynomial(f, LOG))


def _logged(x: Number, result: Number) -> Number:
    """Return a logarithm, with what it is of 0, ∞ and what has none."""
    result = where(x > 0.0, result, where(x.equals(0.0), -math.inf, math.nan))
    return where(x < math.inf, result, x)


def _log(x: Number) -> Number:
    p = _split(x)
    s, lost = _quick_sum(fma(p.k, LN2_SHORT[0], p.less_ln_c[0]), p.f)
    return _logged(x, s + fma(p.f * p.f, p.polynomial, lost + fma(p.k, LN2_SHORT[1], p.less_ln_c[1])))


def _log1p(x: Number) -> Number:
    whole, left = _sum(x, 1.0)
    p = _split(whole)
    left = left * _power(MAGIC - _at_most(p.k, 1000.0)) * p.c
    s, lost = _quick_sum(fma(p.k, LN2_SHORT[0], p.less_ln_c[0]), p.f)
    lost = lost + fma(p.k, LN2_SHORT[1], p.less_ln_c[1]) + left * fma(p.f, p.f - 1.0, 1.0)
    return where(_absolute(x) < TINY, x, _logged(whole, s + fma(p.f * p.f, p.polynomial, lost)))


def _log_to(x: Number, per: tuple[float, ...], two: tuple[float, float]) -> Number:
    """Return a logarithm to another base: 1 / ln of the base, and the logarithm of 2."""
    p = _split(x)
    s, lost = _quick_sum(p.less_ln_c[0], p.f)
    first, second = _quick_sum(s, fma(p.f * p.f, p.polynomial, lost + p.less_ln_c[1]))
    product = first * per[0]
    rest = fma(first, per[0], -product) + fma(first, per[1], second * per[0])
    s, lost = _quick_sum(p.k * two[0], product)
    return _logged(x, s + (lost + fma(p.k, two[1], rest)))


def _log2(x: Number) -> Number:
    return _log_to(x, PER_LN2, (1.0, 0.0))


def _log10(x: Number) -> Number:
    return _log_to(x, PER_LN10, LOG10_2)


# --------------------------------------------------------------------------------------------------
# powers, and the error function


def _log_pair(x: Number) -> Pair:
    """Return the logarithm of a positive number as a pair, to 66 bits: artanh s = s + s³/3 + …, s = f / (2 + f)."""
    p = _split(x)
    s, rest = _quick_sum(*_quotient((p.f, 0.0), _quick_sum(2.0, p.f)))
    square = s * s
    less = fma(s + s, rest, fma(s, s, -square))
    third = square * THIRD[0]
    fine = fma(square, THIRD[0], -third) + fma(square, THIRD[1], less * THIRD[0])
    fine = fma(square * square, polynomial(square, ARTANH), fine)
    cube = s * third
    fine = fma(s, third, -cube) + fma(rest, third, fma(s, fine, rest))
    s, lost = _quick_sum(s, cube)
    first, second = _quick_sum(fma(p.k, LN2_SHORT[0], p.less_ln_c[0]), s + s)
    return _quick_sum(first, second + fma(p.k, LN2_SHORT[1], p.less_ln_c[1]) + (lost + fine) * 2.0)


def _whole(x: Number) -> Number:
    """Return whether a number that is not negative is an integer, as are all from 2⁵² on."""
    return (x < 2.0**52).no() | ((x + 2.0**52) - 2.0**52).equals(x)


def _power_of(x: Number, y: Number) -> Number:
    a, size = _absolute(x), _absolute(y)
    first, second = _log_pair(a)
    first = where(a < math.inf, where(a.equals(0.0), -math.inf, first), a)
    product = y * first
    rest = where(_absolute(product) < 800.0, fma(y, first, -product) + y * second, 0.0)
    shifted, _, r = _by_ln2(_at_least(_at_most(product, 720.0), -760.0), BIASED)
    first, second = _exp_of(_quick_sum(r[0], r[1] + rest))
    result = where(a.equals(1.0) & size.equals(size), 1.0, _scaled(first + second, shifted))
    whole, even = _whole(size), _whole(size * 0.5)
    result = where(whole & even.no(), _signed(result, x), result)
    result = where((x < 0.0) & (a < math.inf) & whole.no(), math.nan, result)
    return where(y.equals(0.0) | x.equals(1.0), 1.0, result)


def _erf(x: Number) -> Number:
    a = _absolute(x)
    square = a * a
    near = fma(a, fma(square, polynomial(square, ERF[1:]), ERF[0]), a)
    v = _at_most(a, 6.0) - 1.0
    first, rest = _quick_sum(LN_ERFC_1[0], v * polynomial(v, LN_ERFC))
    shifted, _, r = _by_ln2(first)
    first, second = _exp_of((r[0], r[1] + rest + LN_ERFC_1[1]))
    scale = _power(shifted)
    s, lost = _quick_sum(1.0, -(scale * first))
    return _signed(where(a > 0.75, fma(scale, -second, lost) + s, near), x)


# --------------------------------------------------------------------------------------------------
# circular functions


def _by_half_pi(x: Number) -> tuple[Number, Pair]:
    """Return the bits of an integer k, and r with x = k·π/2 + r, |r| about π/4 at most: r to more than its last digit."""
    shifted = fma(x, PER_HALF_PI[0], MAGIC)
    k = shifted - MAGIC
    t = fma(k, -HALF_PI[0], x)  # exact
    product = k * HALF_PI[1]
    s, lost = _sum(t, -product)
    return bits(shifted), _sum(s, fma(k, -HALF_PI[2], lost - fma(k, HALF_PI[1], -product)))


def _sin_of(r: Pair, square: Pair) -> Pair:
    rest = fma(square[0] * -0.5, r[1], fma(square[1] * SIN[0], r[0], r[1]))
    return r[0], fma(square[0] * r[0], polynomial(square[0], SIN), rest)


def _cos_of(r: Pair, square: Pair) -> Pair:
    half = square[0] * 0.5
    first = 1.0 - half
    lost = (1.0 - first) - half - fma(square[1], 0.5, r[0] * r[1])
    return first, fma(square[0] * square[0], polynomial(square[0], COS), lost)


def _both(x: Number) -> tuple[Number, Pair, Pair]:
    """Return the bits of k, and the sine and the cosine of what x is more than k·π/2."""
    quadrant, r = _by_half_pi(x)
    first = r[0] * r[0]
    square = first, fma(r[0], r[0], -first)
    return quadrant, _sin_of(r, square), _cos_of(r, square)


def _circular(x: Number, quadrants: int) -> Number:
    quadrant, (s, s_rest), (c, c_rest) = _both(x)
    quadrant = quadrant + quadrants
    even = (quadrant & 1).equals(0)
    return number(bits(where(even, s, c) + where(even, s_rest, c_rest)) ^ ((quadrant << 62) & SIGN))


def _sin(x: Number) -> Number:
    return where(x.equals(0.0), x, _circular(x, 0))


def _cos(x: Number) -> Number:
    return _circular(x, 1)


def _tan(x: Number) -> Number:
    quadrant, s, c = _both(x)
    s, c = _quick_sum(*s), _quick_sum(*c)
    even = (quadrant & 1).equals(0)
    q, rest = _quotient(
        (where(even, s[0], c[0]), where(even, s[1], c[1])), (where(even, c[0], s[0]), where(even, c[1], s[1]))
    )
    return where(x.equals(0.0), x, number(bits(q + rest) ^ (quadrant << 63)))


def _arctan_of(a: Number, b: Number | float) -> tuple[Regions, Pair]:
    """Return where a/b lies, and arctan t, t below √2 - 1 and above 1 - √2: arctan a/b is 0, π/4 or π/2 more."""
    regions = a < b * (ROOT_2 - 1.0), a > b * (ROOT_2 + 1.0)
    (less, less_rest), (more, more_rest) = _sum(a, -b), _sum(a, b)
    above = _by_region(regions, a, less, -b), _by_region(regions, 0.0, less_rest, 0.0)
    below = _by_region(regions, b, more, a), _by_region(regions, 0.0, more_rest, 0.0)
    t, rest = _quotient(above, below)
    square = t * t
    return regions, (t, fma(t * square, polynomial(square, ARCTAN), fma(rest, -square, rest)))


def _by_region(regions: Regions, low: Number | float, middle: Number | float, high: Number | float) -> Number:
    small, large = regions
    return where(small, low, where(large, high, middle))


def _arctan(x: Number) -> Number:
    a = _at_most(_absolute(x), 2.0**60)
    regions, (t, rest) = _arctan_of(a, 1.0)
    s, lost = _quick_sum(_by_region(regions, 0.0, QUARTER_PI[0], HALF_PI[0]), t)
    return _signed(s + (lost + (rest + _by_region(regions, 0.0, QUARTER_PI[1], HALF_PI[1]))), x)


def _arctan2(y: Number, x: Number) -> Number:
    a, b = _absolute(y), _absolute(x)
    largest = where(a > b, a, b)
    # The larger goes between 2 and 4, exactly, so that the quotient neither overflows nor loses digits.
    scale = number(((bits(_at_least(_at_most(largest, 2.0**1023), 2.0**-1022)) >> 52) ^ 2047) << 52)
    scale = where(largest.equals(math.inf), 0.0, scale)
    upper = where(a.equals(math.inf), 1.0, a * scale)
    right = where(b.equals(math.inf) | largest.equals(0.0), 1.0, b * scale)
    regions, (t, rest) = _arctan_of(upper, right)
    left = (bits(x) >> 63).equals(1)

    def angle(part: int) -> Number:
        middle = where(left, THREE_QUARTER_PI[part], QUARTER_PI[part])
        return _by_region(regions, where(left, PI[part], 0.0), middle, HALF_PI[part])

    s, lost = _quick_sum(angle(0), where(left, -t, t))
    result = _signed(s + (lost + (where(left, -rest, rest) + angle(1))), y)
    return where(a.equals(a) & b.equals(b), result, x + y)


# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kernel:
    """A function, and what is known of it.

    Attributes
    ----------
    written : callable
        It writes the function of numbers.
    error : float
        What the largest error found is below, in units of the last place of the true result.
    bound : float
        The largest absolute value of an argument for which it may be used.
    arguments : int
        How many it takes.
    """

    written: Callable[..., Number]
    error: float
    bound: float = math.inf
    arguments: int = 1


FAR = 1e14
KERNELS: dict[str, Kernel] = {
    "exp": Kernel(_exp, 0.9),
    "exp2": Kernel(_exp2, 0.8),
    "expm1": Kernel(_expm1, 0.85),
    "log": Kernel(_log, 0.7),
    "log2": Kernel(_log2, 0.7),
    "log10": Kernel(_log10, 0.7),
    "log1p": Kernel(_log1p, 0.8),
    "sin": Kernel(_sin, 0.75, FAR),
    "cos": Kernel(_cos, 0.75, FAR),
    "tan": Kernel(_tan, 0.9, FAR),
    "arctan": Kernel(_arctan, 0.75),
    "sinh": Kernel(_sinh, 0.8),
    "cosh": Kernel(_cosh, 0.7),
    "tanh": Kernel(_tanh, 0.8),
    "arctan2": Kernel(_arctan2, 1.0, arguments=2),
    "power": Kernel(_power_of, 0.8, arguments=2),
    "erf": Kernel(_erf, 0.9),
}
"""The kernels, by NumPy's names, and SciPy's."""


def usable() -> bool:
    """Whether kernels can be used here: llvmlite is installed, and the processor multiplies and adds at once."""
    if not llvm.is_there():
        return False
    triple, _, features = llvm.host()
    return "fma" in features or triple.startswith(("aarch64", "arm64"))


def bounds(name: str) -> float:
    """Return the absolute value of an argument beyond which a kernel must not be used."""
    return KERNELS[name].bound


def defined(wanted: Iterable[tuple[str, int]]) -> str:
    """Return the text that defines functions: that of ("exp", 2) is ``[2 x double] @dd.exp.2(double, double)``.

    The text declares what it calls, which is ``llvm.fma.f64``, and is to stand in a module once.
    """
    return DECLARED + "".join([_written(name, count) for name, count in sorted(set(wanted))])


def _written(name: str, count: int) -> str:
    kernel = KERNELS[name]
    lines: list[str] = []
    result = kernel.written(*[Number(lines, f"%x{i}") for i in range(kernel.arguments)])
    return function(f"dd.{name}.{count}", kernel.arguments, lines, result, count)
