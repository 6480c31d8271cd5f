"""The kernels against sixty digits, and their special values against NumPy's."""

import ctypes
import functools
import math
import re

import numpy as np
import pytest
import scipy.special
from mpmath import mp, mpf

pytest.importorskip("llvmlite")

from dualdiff.compiled import coefficients, kernels, llvm, writing
from dualdiff.compiled.kernels import KERNELS
from tests.compiled import fits
from tests.compiled.kernel_loops import looped, of_arrays

pytestmark = pytest.mark.skipif(not kernels.usable(), reason="no product and sum at once here")

L = np.longdouble
ONE = [name for name, kernel in KERNELS.items() if kernel.arguments == 1]


def held(f):
    """Return a function that is out of all bounds where its argument is, and which sixty digits need not be asked for."""
    return lambda x: f(min(max(x, mpf(-5000)), mpf(5000)))


TRUE = {
    "exp": held(mp.exp), "exp2": held(lambda x: mpf(2) ** x), "expm1": held(mp.expm1), "log": mp.log,
    "log2": lambda x: mp.log(x, 2), "log10": mp.log10, "log1p": mp.log1p, "sin": mp.sin, "cos": mp.cos, "tan": mp.tan,
    "arctan": mp.atan, "sinh": held(mp.sinh), "cosh": held(mp.cosh), "tanh": held(mp.tanh), "erf": held(mp.erf),
}  # fmt: skip
TINY = 5e-324
EDGES = [
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    TINY,
    -TINY,
    2.0**-1022,
    -(2.0**-1022),
    1e-310,
    -1e-310,
    1.0,
    -1.0,
    0.5,
    2.0,
    10.0,
]
LARGE = [709.78, 709.79, 710.47, 710.48, -745.1, -745.2, 1023.9, 1024.0, -1074.0, -1075.1, 1e6, -1e6]
HUGEST = np.finfo(float).max


@functools.cache
def compiled(name: str, attributes: str = "", passes: bool = True):
    return of_arrays(name, attributes, passes)


def points(name: str, n: int, seed: int = 0) -> np.ndarray:
    """Draw numbers from all of a kernel's domain, most of them where something happens."""
    rng = np.random.default_rng(seed)

    def signed(low: float, high: float) -> np.ndarray:
        return rng.choice([-1.0, 1.0], n) * np.exp2(rng.uniform(low, high, n))

    drawn = [
        signed(-1074, 1024),
        signed(-60, 12),
        rng.uniform(-1, 1, n),
        rng.uniform(-750, 750, n),
        rng.uniform(-3, 3, n),
    ]
    drawn.append(np.concatenate([signed(-1074, -1022), 1 + signed(-53, -1), -1 + np.exp2(rng.uniform(-53, -1, n))]))
    bound = KERNELS[name].bound
    if bound < np.inf:  # next to the multiples of π/2
        k = np.floor(rng.uniform(-1, 1, n) * np.exp2(rng.uniform(0, np.log2(bound), n)))
        near = (k * L(np.pi / 2) + k * L(6.123233995736766e-17)).astype(float)
        drawn += [near, np.nextafter(near, np.inf), np.nextafter(near, -np.inf), signed(40, np.log2(bound))]
    drawn.append(np.array([*EDGES, *LARGE, HUGEST, -HUGEST]))
    x = np.concatenate(drawn)
    return x[~(np.abs(x) > bound) | np.isinf(x)]


def in_last_places(y: float, true: mpf) -> float:
    """Return how far a result is from the true one, in units of its last place; ∞ counts as the power of 2 that is too large."""
    if abs(true) > mpf(2) ** 1024:
        true = mp.sign(true) * mpf(2) ** 1024
    unit = math.ulp(min(abs(float(true)), HUGEST))
    reached = mpf(y) if np.isfinite(y) else mp.sign(y) * mpf(2) ** 1024
    return float(abs(reached - true) / mpf(unit))


@pytest.mark.parametrize("name", ONE)
def test_a_kernel_is_as_near_as_it_says(name):
    x = points(name, 300)
    y = compiled(name)(x)
    worst = 0.0
    with mp.workdps(60):
        for a, b in zip(x.tolist(), y.tolist(), strict=True):
            true = TRUE[name](mpf(a)) if math.isfinite(a) else mp.nan
            if isinstance(true, mpf) and mp.isfinite(true):
                error = in_last_places(b, true)
                assert error <= KERNELS[name].error, (a, b)
                worst = max(worst, error)
    assert worst > 0.4  # else it was not held against what is true


@pytest.mark.skipif(np.finfo(L).nmant < 63, reason="long numbers are no longer here")
@pytest.mark.parametrize("name", [name for name in ONE if hasattr(np, name)])
def test_a_kernel_is_as_near_as_it_says_at_many_points(name):
    x = points(name, 40_000, 1)
    x = x[np.isfinite(x)]
    y = compiled(name)(x)
    with np.errstate(all="ignore"):
        true = getattr(np, name)(x.astype(L))
        nearest = true.astype(float)
        some = np.isfinite(nearest) & np.isfinite(y)
        errors = np.abs(y[some].astype(L) - true[some]) / np.spacing(np.abs(nearest[some]))
    assert np.max(errors) <= KERNELS[name].error + 0.002  # long numbers have 11 bits more
    same = (nearest == y) | (np.isnan(nearest) & np.isnan(y))
    assert np.all(some | same | (np.abs(true) >= HUGEST))
    assert np.mean(some) > 0.2


@pytest.mark.parametrize("name", ONE)
def test_special_values_are_numpys(name):
    x = np.array([v for v in [*EDGES, *LARGE, HUGEST, -HUGEST] if not (KERNELS[name].bound < abs(v) < np.inf)])
    y = compiled(name)(x)
    with np.errstate(all="ignore"):
        asked = (getattr(np, name, None) or scipy.special.erf)(x)
    special = (asked == 0) | (np.abs(asked) == 1) | ~np.isfinite(asked) | (asked == x)
    assert np.sum(special) >= 5
    for a, b, c in zip(x[special], y[special], asked[special], strict=True):
        assert (np.isnan(b) and np.isnan(c)) or b.tobytes() == c.tobytes(), (a, b, c)


def powers(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw bases and exponents: of all sizes that a result can have, next to 1, and with signs."""
    rng = np.random.default_rng(seed)
    sign = rng.choice([-1.0, 1.0], (4, n))
    x = np.exp2(rng.uniform(-1074, 1024, n))
    x = np.concatenate([x, x, 1 + sign[0] * np.exp2(rng.uniform(-52, -1, n)), rng.uniform(0.5, 2, n)])
    with np.errstate(divide="ignore"):
        y = (
            np.concatenate(sign)
            * np.exp2(rng.uniform(-60, 0, 4 * n)) ** rng.choice([0.0, 0.1, 1.0], 4 * n)
            * 746
            / np.log(x)
        )
    y = np.where(np.isfinite(y), y, 1.0)
    whole = rng.integers(-40, 40, n).astype(float)
    return np.concatenate([x, sign[0] * rng.uniform(0, 30, n)]), np.concatenate([y, whole])


def test_powers_are_as_near_as_they_say():
    x, y = powers(500)
    z = compiled("power")(x, y)
    worst = 0.0
    with mp.workdps(60):
        for a, b, c in zip(x.tolist(), y.tolist(), z.tolist(), strict=True):
            worst = max(worst, in_last_places(c, mp.power(mpf(a), mpf(b))))
            assert worst <= KERNELS["power"].error, (a, b, c)
    assert worst > 0.4


@pytest.mark.skipif(np.finfo(L).nmant < 63, reason="long numbers are no longer here")
def test_powers_are_as_near_as_they_say_at_many_points():
    x, y = powers(40_000, 1)
    z = compiled("power")(x, y)
    with np.errstate(all="ignore"):
        true = np.power(x.astype(L), y.astype(L))
        nearest = true.astype(float)
        some = np.isfinite(nearest) & np.isfinite(z)
        errors = np.abs(z[some].astype(L) - true[some]) / np.spacing(np.abs(nearest[some]))
    assert np.max(errors) <= KERNELS["power"].error + 0.002
    assert np.all(some | (nearest == z) | (np.abs(true) >= HUGEST))


def test_special_powers_are_numpys():
    values = [*EDGES, -0.5, -2.0, 3.0, -3.0, 1e300, -1e300, 2.5, -2.5, 1 / 3]
    values += [2.0**52 + 1, 2.0**53 - 1, -(2.0**53) + 1, 2.0**53, 2.0**54, 2.0**51 + 0.5, 2.0**52 - 0.5]
    x, y = (a.ravel() for a in np.meshgrid(values, values))
    z = compiled("power")(x, y)
    with np.errstate(all="ignore"):
        asked = np.power(x, y)
    special = (asked == 0) | (np.abs(asked) == 1) | ~np.isfinite(asked) | (asked == x)
    for a, b, c, d in zip(x[special], y[special], z[special], asked[special], strict=True):
        assert (np.isnan(c) and np.isnan(d)) or c.tobytes() == d.tobytes(), (a, b, c, d)
    assert np.array_equal(np.signbit(z[~special]), np.signbit(asked[~special]))


def test_powers_that_are_numbers_have_no_error():
    x, y = (a.ravel() for a in np.meshgrid(np.arange(-9.0, 10.0), np.arange(0.0, 17.0)))
    true = np.array([int(a) ** int(b) for a, b in zip(x, y, strict=True)], float)
    assert np.array_equal(compiled("power")(x, y), true)


def test_powers_have_logarithms_without_error():
    n = np.arange(-1074.0, 1024.0)
    assert np.array_equal(compiled("log2")(np.ldexp(1.0, n.astype(int))), n)
    assert np.array_equal(compiled("exp2")(n), np.ldexp(1.0, n.astype(int)))
    assert np.array_equal(compiled("log10")(10.0 ** np.arange(23)), np.arange(23.0))


@pytest.mark.parametrize("name", ["exp", "expm1", "tanh", "arctan", "sinh", "log"])
def test_a_kernel_does_not_fall_where_the_function_rises(name):
    x = np.sort(
        np.concatenate([np.nextafter(c, np.full(60, np.inf)) for c in (0.3, 0.875, 7 / 6, 0.41421356, 2.4142, 20.0)])
    )
    steps = np.diff(compiled(name)(np.unique(x)))
    assert np.all(steps >= -np.spacing(np.abs(compiled(name)(np.unique(x)[1:]))))


@pytest.mark.parametrize("name", KERNELS)
def test_every_width_gives_the_same_bits(name):
    arrays = [points(name, 500, seed) for seed in range(KERNELS[name].arguments)]
    one_by_one = compiled(name, passes=False)(*arrays)
    for width in (128, 256, 512):
        y = compiled(name, f'"prefer-vector-width"="{width}"')(*arrays)
        same = (y.view(np.int64) == one_by_one.view(np.int64)) | (np.isnan(y) & np.isnan(one_by_one))
        assert np.all(same), width


TARGETS = {
    "x86-64-v3": ("x86_64-unknown-linux-gnu", "x86-64-v3", 4),
    "x86-64-v4": ("x86_64-unknown-linux-gnu", "x86-64-v4", 8),
    "windows": ("x86_64-pc-windows-msvc", "x86-64-v3", 4),
    "aarch64": ("aarch64-unknown-linux-gnu", "neoverse-n1", 2),
    "apple": ("arm64-apple-darwin", "apple-m1", 2),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", KERNELS)
def test_a_loop_is_widened_and_calls_nothing(name, target):
    triple, processor, lanes = TARGETS[target]
    text, assembly = llvm.translated(looped(name, '"prefer-vector-width"="512"'), (triple, processor, frozenset()))
    loop = text[text.index("@loop") :]
    assert f"@llvm.fma.v{lanes}f64" in loop
    wide = re.findall(rf"<{lanes} x double>", loop)
    assert len(wide) > 20
    assert {f.split(".")[1] for f in re.findall(r"call [^@\n]*@([\w.]+)", loop)} <= {"fma", "fabs", "copysign"}
    assert not re.search(r"^\s*(callq?|bl)\s", assembly, re.MULTILINE)


def test_a_loop_is_widened_here():
    text, assembly = llvm.translated(looped("exp"))
    assert re.search(r"@llvm\.fma\.v\d+f64", text)
    assert not re.search(r"^\s*(callq?|bl)\s", assembly, re.MULTILINE)


def test_functions_are_defined_once_with_what_they_call():
    text = kernels.defined(["exp", "sin", "exp"])
    assert text.count("define ") == 2
    assert text.count("declare ") == 1
    llvm.assembled(text)


def test_bounds_are_those_of_the_circular_functions():
    assert {name for name in KERNELS if kernels.bounds(name) < np.inf} == {"sin", "cos", "tan"}


def test_without_a_product_and_sum_at_once_there_are_no_kernels(monkeypatch):
    monkeypatch.setattr(llvm, "host", lambda: ("x86_64-unknown-linux-gnu", "x86-64", frozenset({"sse2"})))
    assert not kernels.usable()
    monkeypatch.setattr(llvm, "host", lambda: ("arm64-apple-darwin", "apple-m1", frozenset()))
    assert kernels.usable()
    monkeypatch.setattr(llvm, "is_there", lambda: False)
    assert not kernels.usable()


@pytest.mark.parametrize("name", fits.FITS)
def test_coefficients_are_those_of_the_best_polynomial(name):
    assert getattr(coefficients, name) == fits.found(name)


@pytest.mark.parametrize("name", fits.PARTS)
def test_numbers_in_parts_are_what_they_are_parts_of(name):
    assert getattr(coefficients, name) == fits.parted(name)


def test_a_polynomial_is_its_value():
    lines: list[str] = []
    result = writing.polynomial(writing.Number(lines, "%x0"), [1.0, 2.0, 3.0, 4.0])
    assert sum("fma" in line for line in lines) == 3
    text = writing.DECLARED + writing.function("f", 1, lines, result).replace("internal ", "").replace(
        "alwaysinline", ""
    )
    machine = llvm.assembled(text)
    assert ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(machine.address("f"))(2.0) == 1 + 4 + 12 + 32
