"""Every elementwise row's partials against arithmetic of 60 digits: over its domain, to its ends, at every scale."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import dualdiff as dd
from dualdiff.kinds import PRIMITIVES, Elementwise

ALLOWED = 1e-12
LEAST, MOST = mp.mpf(float(np.finfo(float).tiny)), mp.mpf(float(np.finfo(float).max))

SIZES = [1e-300, 1e-160, 1e-20, 1e-8, 0.3, 0.75, 1.0, 2.5, 9.0, 20.0, 40.0, 300.0, 700.0, 1e8, 1e160, 1e200, 1e300]
REAL = [0.0, *SIZES, *[-x for x in SIZES]]
POSITIVE = SIZES
NONZERO = [x for x in REAL if x]
MODERATE = [x for x in REAL if abs(x) <= 700]  # beyond, one digit of the operand is many of the result
NEAR_ONE = [1 - 1e-3, 1 - 1e-8, float(np.nextafter(1, 0))]
INSIDE = [x for x in REAL if abs(x) < 1] + NEAR_ONE + [-x for x in NEAR_ONE]
ABOVE_ONE = [float(np.nextafter(1, 2)), 1 + 1e-8, *[x for x in SIZES if x > 1]]
ABOVE_MINUS_ONE = [*[-x for x in NEAR_ONE], *[x for x in REAL if x > -1]]
COMPLEX = [
    0.3 + 0.2j,
    -1.5 + 0.7j,
    2 - 3j,
    0.1 - 9j,
    20 + 1j,
    -25 - 0.4j,
    0.2 + 20j,
    -0.7 - 25j,
    1e-8 + 1e-300j,
    40 + 40j,
]

Twin = Callable[..., Any]


def sech_square(x: Any) -> Any:
    return mp.sech(x) ** 2


def weight(base: Any) -> tuple[Twin, Twin]:
    """Return the two partials of log(b^x + b^y) by b."""
    return (lambda x, y: 1 / (1 + mp.power(base, y - x)), lambda x, y: 1 / (1 + mp.power(base, x - y)))


def sinc_slope(x: Any) -> Any:
    with mp.workdps(700):  # near 0 the two terms agree in twice as many digits as x has zeros
        return mp.mpf(0) if x == 0 else (mp.cos(mp.pi * x) - mp.sin(mp.pi * x) / (mp.pi * x)) / x


HALF = mp.mpf(1) / 2
# name: the true partials (one per operand), then the points of each operand
TWINS: dict[str, tuple[tuple[Twin, ...], tuple[Sequence[float], ...]]] = {
    "np.multiply": ((lambda x, y: y, lambda x, y: x), (REAL, REAL)),
    "np.divide": ((lambda x, y: 1 / y, lambda x, y: -x / y**2), (REAL, NONZERO)),
    "np.reciprocal": ((lambda x: -1 / x**2,), (NONZERO,)),
    "np.square": ((lambda x: 2 * x,), (REAL,)),
    "np.power": (
        (lambda x, y: y * mp.power(x, y - 1), lambda x, y: mp.power(x, y) * mp.log(x)),
        (POSITIVE, [*MODERATE, 0.5, -1.0, 2.0, 3.0]),
    ),
    "np.remainder": (
        (lambda x, y: mp.mpf(1), lambda x, y: -mp.floor(x / y)),
        ([0.3, 2.5, -9.0, 40.0], [0.75, -1.0, 2.5]),
    ),
    "np.fmod": (
        (lambda x, y: mp.mpf(1), lambda x, y: -mp.sign(x / y) * mp.floor(abs(x / y))),
        ([0.3, 2.5, -9.0, 40.0], [0.75, -1.0, 2.5]),
    ),
    "np.sqrt": ((lambda x: HALF / mp.sqrt(x),), (POSITIVE,)),
    "np.cbrt": ((lambda x: 1 / (3 * mp.cbrt(abs(x)) ** 2),), (NONZERO,)),
    "np.exp": ((mp.exp,), (REAL,)),
    "np.exp2": ((lambda x: mp.power(2, x) * mp.log(2),), (REAL,)),
    "np.expm1": ((mp.exp,), (REAL,)),
    "np.log": ((lambda x: 1 / x,), (POSITIVE,)),
    "np.log2": ((lambda x: 1 / (x * mp.log(2)),), (POSITIVE,)),
    "np.log10": ((lambda x: 1 / (x * mp.log(10)),), (POSITIVE,)),
    "np.log1p": ((lambda x: 1 / (1 + x),), (ABOVE_MINUS_ONE,)),
    "np.logaddexp": (weight(mp.e), (REAL, REAL)),
    "np.logaddexp2": (weight(mp.mpf(2)), (REAL, REAL)),
    "np.sin": ((mp.cos,), (REAL,)),
    "np.cos": ((lambda x: -mp.sin(x),), (REAL,)),
    "np.tan": ((lambda x: mp.sec(x) ** 2,), (REAL,)),
    "np.sinh": ((mp.cosh,), (REAL,)),
    "np.cosh": ((mp.sinh,), (REAL,)),
    "np.tanh": ((sech_square,), (REAL,)),
    "np.arcsin": ((lambda x: 1 / (mp.sqrt(1 - x) * mp.sqrt(1 + x)),), (INSIDE,)),
    "np.arccos": ((lambda x: -1 / (mp.sqrt(1 - x) * mp.sqrt(1 + x)),), (INSIDE,)),
    "np.arctan": ((lambda x: 1 / (1 + x**2),), (REAL,)),
    "np.arcsinh": ((lambda x: 1 / (mp.sqrt(1 + 1j * x) * mp.sqrt(1 - 1j * x)),), (REAL,)),
    "np.arccosh": ((lambda x: 1 / (mp.sqrt(x - 1) * mp.sqrt(x + 1)),), (ABOVE_ONE,)),
    "np.arctanh": ((lambda x: 1 / ((1 - x) * (1 + x)),), (INSIDE,)),
    "np.deg2rad": ((lambda x: mp.pi / 180,), (REAL,)),
    "np.radians": ((lambda x: mp.pi / 180,), (REAL,)),
    "np.rad2deg": ((lambda x: 180 / mp.pi,), (REAL,)),
    "np.degrees": ((lambda x: 180 / mp.pi,), (REAL,)),
    "np.hypot": ((lambda x, y: x / mp.hypot(x, y), lambda x, y: y / mp.hypot(x, y)), (NONZERO, NONZERO)),
    "np.arctan2": (
        (lambda y, x: x / (x**2 + y**2), lambda y, x: -y / (x**2 + y**2)),
        (NONZERO, NONZERO),
    ),
    "np.maximum": ((lambda x, y: mp.mpf(x > y), lambda x, y: mp.mpf(y > x)), (REAL, [-1.5, 1e-170])),
    "np.minimum": ((lambda x, y: mp.mpf(x < y), lambda x, y: mp.mpf(y < x)), (REAL, [-1.5, 1e-170])),
    "np.fmax": ((lambda x, y: mp.mpf(x > y), lambda x, y: mp.mpf(y > x)), (REAL, [-1.5, 1e-170])),
    "np.fmin": ((lambda x, y: mp.mpf(x < y), lambda x, y: mp.mpf(y < x)), (REAL, [-1.5, 1e-170])),
    "np.absolute": ((mp.sign,), (REAL,)),
    "np.fabs": ((mp.sign,), (REAL,)),
    "np.copysign": ((lambda x, y: mp.sign(x) * mp.sign(y), lambda x, y: mp.mpf(0)), (NONZERO, NONZERO)),
    "np.heaviside": ((lambda x, h: mp.mpf(0), lambda x, h: mp.mpf(x == 0)), (REAL, [0.3, 1e300])),
    "np.sinc": ((sinc_slope,), ([*MODERATE, 1e8 + 0.25, -12345.125],)),
    "np.i0": ((lambda x: mp.besseli(1, x),), ([x for x in REAL if abs(x) <= 700],)),
}

WITHOUT_TWIN = {
    "np.ldexp": "its partial is a power of two, of an integer operand",
    "np.where": "its partials are the mask and its opposite",
    "np.clip": "its partials say where a bound is reached",
    "slope": "the quotient by a radius: a partial of roots, held as that of np.hypot",
    "root": "the square root, with the slope 0 at 0",
    "share": "the quotient that SciPy's xlogy has for a slope, 0 for 0/0",
    "distance": "the square root of a squared distance, with the slope 0 at 0",
    "cubic": "a polynomial: its partials are powers, which tests/scipy/test_interpolate.py holds against the complex step",
    "a value that is not there": "its partial is NaN, which tests/scipy/test_distributions.py holds",
    **{
        f"np.{n}, derivative": "in a partial: its own is a second derivative"
        for n in ("tanh", "arcsin", "arccosh", "arctanh")
    },
}
# fmt: off
HOLOMORPHIC = [
    "reciprocal", "square", "sqrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan",
    "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "sinc",
]
# fmt: on


def judge(found: Any, true: Any, at: Any) -> str | None:
    """Say what is wrong with a derivative; None if nothing is."""
    size = abs(true)
    if size > MOST:
        ok = np.isinf(found) and (found > 0) == (true > 0)
    elif size < LEAST:
        ok = abs(found) <= 2 * LEAST
    else:
        ok = np.isfinite(found) and abs(mp.mpmathify(found) - true) <= ALLOWED * size
    return None if ok else f"at {at}: {found!r}, in truth {mp.nstr(true, 17)}"


def number(x: Any) -> Any:
    return mp.mpc(x) if isinstance(x, complex) else mp.mpf(float(x))


def function_of(name: str) -> Any:
    return getattr(np, name.removeprefix("np."))


def representable(f: Any, columns: Sequence[Any]) -> Any:
    with np.errstate(all="ignore"):
        return np.isfinite(f(*columns))


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("form", ["array", "number"])
def test_partials_keep_their_digits_over_the_whole_domain(name: str, mode: str, form: str) -> None:
    f, (partials, domains) = function_of(name), TWINS[name]
    points = list(itertools.product(*domains))
    columns = [np.array(c) for c in zip(*points, strict=True)]
    points = [p for p, ok in zip(points, representable(f, columns), strict=True) if ok]
    columns = [np.array(c) for c in zip(*points, strict=True)]
    wrong = []
    with mp.workdps(60), np.errstate(all="ignore"):
        for k, partial in enumerate(partials):
            some = points if form == "array" else points[:: 1 + len(points) // 60]
            found = slopes(f, columns, k, mode) if form == "array" else [float(slopes(f, p, k, mode)) for p in some]
            for p, d in zip(some, found, strict=True):
                wrong.append(judge(d, mp.mpf(partial(*map(number, p)).real), (k, *p)))
    wrong = [w for w in wrong if w]
    assert not wrong, "\n".join(wrong[:20])


def slopes(f: Any, args: Sequence[Any], k: int, mode: str) -> Any:
    """Return the partial of a function by its ``k``-th argument, entry by entry."""

    def of_one(x: Any) -> Any:
        return f(*args[:k], x, *args[k + 1 :])

    if mode == "forward":
        return dd.jvp(of_one, (args[k],), (np.ones_like(args[k])[()],))[1]
    value, pull = dd.vjp(of_one, args[k])
    return pull(np.ones_like(value)[()])[0]


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_partials_of_holomorphic_functions_keep_their_digits(name: str) -> None:
    f, partial = getattr(np, name), TWINS[f"np.{name}"][0][0]
    z = np.array(COMPLEX)
    with mp.workdps(60), np.errstate(all="ignore"):
        found = dd.jvp(f, (z,), (np.ones_like(z),))[1]
        pulled = dd.vjp(f, z)[1](np.ones_like(z))[0]
        wrong = [judge_complex(d, partial(number(complex(x))), x) for x, d in zip(z, found, strict=True)]
    wrong = [w for w in wrong if w]
    assert not wrong, "\n".join(wrong)
    np.testing.assert_allclose(pulled, np.conj(found), rtol=1e-14)


def judge_complex(found: Any, true: Any, at: Any) -> str | None:
    ok = abs(mp.mpc(complex(found)) - true) <= ALLOWED * abs(true)
    return None if ok else f"at {at}: {found!r}, in truth {mp.nstr(true, 17)}"


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_negative_fraction_as_exponent_does_not_overflow_on_the_way(mode: str) -> None:
    # Only for an exponent that is a number: among arrays of exponents the slope is infinite here.
    assert slopes(np.power, [1e-300, -0.03], 0, mode) == pytest.approx(-0.03 * 1e9 / 1e-300, rel=ALLOWED)
    with np.errstate(divide="ignore"):
        assert slopes(np.power, [0.0, -0.5], 0, mode) == -np.inf


def has_a_partial_of_the_library(row: Any) -> bool:
    partials = row.partials if isinstance(row, Elementwise) else ()
    return any(callable(p) and p.__module__.startswith("dualdiff.") for p in partials)


def test_every_elementwise_row_has_a_twin() -> None:
    # Tests make rows of their own; constants need no twin.
    rows = {name for name, found in PRIMITIVES.items() if any(map(has_a_partial_of_the_library, found))}
    rows -= {name for name in rows if name.startswith(("np.sinc, derivative", "I"))}  # made while they are needed
    rows -= {name for name in rows if name.startswith("scipy.special.")}  # which test_special_partials.py holds
    unheld = rows - set(TWINS) - set(WITHOUT_TWIN)
    assert not unheld, f"give these rows their true partials in TWINS: {sorted(unheld)}"
    assert not set(TWINS) & set(WITHOUT_TWIN)


@pytest.mark.parametrize(
    ("f", "true", "points"),
    [
        (np.tanh, lambda x: -2 * mp.tanh(x) * sech_square(x), [-40.0, -20.0, -3.0, 1e-8, 0.3, 4.0, 20.0, 300.0]),
        (np.expm1, mp.exp, [-700.0, -40.0, -1e-8, 0.3, 40.0]),
        (np.arcsinh, lambda x: -x / mp.power(1 + x**2, 1.5), [-1e100, -2.5, 1e-8, 0.3, 1e100, 1e150]),
        (np.arctan, lambda x: -2 * x / (1 + x**2) ** 2, [-1e70, 0.3, 40.0, 1e70]),
        (lambda x: x**-0.25, lambda x: mp.mpf(0.3125) * mp.power(x, mp.mpf(-2.25)), [1e-130, 0.3, 40.0]),
    ],
)
def test_second_derivatives_keep_their_digits(f: Any, true: Any, points: list[float]) -> None:
    x = np.array(points)
    with mp.workdps(60), np.errstate(all="ignore"):
        for inner, outer in ((dd.jvp, dd.jvp), (dd.vjp, dd.jvp), (dd.jvp, dd.vjp), (dd.vjp, dd.vjp)):
            found = along(along(f, inner), outer)(x)
            wrong = [w for p, d in zip(points, found, strict=True) if (w := judge(d, true(mp.mpf(p)), p))]
            assert not wrong, "\n".join(wrong)


def along(f: Any, operator: Any) -> Any:
    """Return the derivative of an elementwise function as a function."""

    def slope(x: Any) -> Any:
        if operator is dd.jvp:
            return dd.jvp(f, (x,), (np.ones(x.shape),))[1]
        return dd.vjp(f, x)[1](np.ones(x.shape))[0]

    return slope
