"""The kernels against sixty digits, and their special values against NumPy's."""

import ctypes
import functools
import re

import numpy as np
import pytest
import scipy.special

pytest.importorskip("llvmlite")

from dualdiff.compiled import coefficients, kernels, llvm, writing
from dualdiff.compiled.kernels import KERNELS
from tests.compiled import fits
from tests.compiled.kernel_loops import looped, of_arrays
from tests.compiled.kernel_points import ARE_LONGER, SPECIAL, drawn, errors, long_errors

pytestmark = pytest.mark.skipif(not kernels.usable(), reason="no product and sum at once here")

ONE = [name for name, kernel in KERNELS.items() if kernel.arguments == 1]


@functools.cache
def compiled(name: str, attributes: str = "", passes: bool = True):
    return of_arrays(name, attributes, passes)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_as_near_as_it_says(name):
    arguments = drawn(name, 300)
    found = errors(name, arguments, compiled(name)(*arguments))
    assert np.nanmax(found) <= KERNELS[name].error, [a[np.nanargmax(found)] for a in arguments]
    assert np.sum(np.isfinite(found)) > 1000
    assert np.nanmax(found) > 0.4  # else it was not held against what is true


@pytest.mark.skipif(not ARE_LONGER, reason="long numbers are no longer here")
@pytest.mark.parametrize("name", [name for name in KERNELS if hasattr(np, name)])
def test_a_kernel_is_as_near_as_it_says_at_many_points(name):
    arguments = drawn(name, 40_000, 1)
    found = long_errors(name, arguments, compiled(name)(*arguments))
    assert np.nanmax(found) <= KERNELS[name].error + 0.002, [a[np.nanargmax(found)] for a in arguments]
    assert np.sum(np.isfinite(found)) > 60_000


@pytest.mark.parametrize("name", ONE)
def test_special_values_are_numpys(name):
    x = SPECIAL[~(np.abs(SPECIAL) > KERNELS[name].bound) | np.isinf(SPECIAL)]
    y = compiled(name)(x)
    with np.errstate(all="ignore"):
        asked = (getattr(np, name, None) or scipy.special.erf)(x)
    same_bits(y, asked, (asked == 0) | (np.abs(asked) == 1) | ~np.isfinite(asked) | (asked == x))


def same_bits(found: np.ndarray, asked: np.ndarray, where: np.ndarray) -> None:
    """Hold numbers against others bit by bit, but for what is no number."""
    assert np.sum(where) >= 5
    assert np.array_equal(np.isnan(found[where]), np.isnan(asked[where]))
    there = where & ~np.isnan(asked)
    assert np.array_equal(found[there].view(np.int64), asked[there].view(np.int64))


@pytest.mark.parametrize("name", [name for name in KERNELS if name not in ONE])
def test_special_values_of_two_numbers_are_numpys(name):
    values = [*SPECIAL, -0.5, -2.0, 3.0, -3.0, 1e300, -1e300, 2.5, -2.5, 1 / 3]
    values += [2.0**52 + 1, 2.0**53 - 1, -(2.0**53) + 1, 2.0**53, 2.0**54, 2.0**51 + 0.5, 2.0**52 - 0.5]
    x, y = (a.ravel() for a in np.meshgrid(values, values))
    z = compiled(name)(x, y)
    with np.errstate(all="ignore"):
        asked = getattr(np, name)(x, y)
    special = (asked == 0) | (np.abs(asked) == 1) | ~np.isfinite(asked) | (asked == x)
    same_bits(z, asked, special)
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


SEAMS = {
    "exp": np.log(2) * np.array([0.5, 1.5, -0.5, 10.5]),
    "expm1": np.log(2) * np.array([0.5, 1.5, -0.5, 10.5]),
    "log": np.sqrt(0.5) * np.array([1.0, 2.0, 4.0]),
    "log1p": np.array([np.sqrt(2) - 1, -0.125, 1 / 6]),
    "log2": np.array([0.875, 7 / 6]),
    "sin": np.pi / 4 * np.array([1.0, -1.0]),
    "arctan": np.sqrt(2) + np.array([1.0, -1.0]),
    "erf": np.array([0.75, -0.75]),
    "tanh": np.log(2) / 4 * np.array([1.0, 3.0, 51.0]),
}


@pytest.mark.parametrize("name", SEAMS)
def test_pieces_meet_where_one_formula_gives_way_to_another(name):
    for seam in SEAMS[name]:
        x = seam + np.spacing(np.abs(seam)) * np.arange(-300.0, 300.0)
        y = compiled(name)(x)
        assert y[-1] > y[0] or name == "tanh"
        assert np.all(np.diff(y) >= -np.spacing(np.max(np.abs(y)))), seam  # it rises, or falls by the last place


@pytest.mark.parametrize("name", KERNELS)
def test_every_width_gives_the_same_bits(name):
    arguments = drawn(name, 500)
    one_by_one = compiled(name, passes=False)(*arguments)
    for width in (128, 256, 512):
        same_bits(
            compiled(name, f'"prefer-vector-width"="{width}"')(*arguments), one_by_one, np.full(one_by_one.shape, True)
        )


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
    text = kernels.defined([("exp", 3), ("sin", 1), ("exp", 3)])
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
    text = writing.DECLARED + writing.function("f", 1, lines, result, 2)
    machine = llvm.assembled(f"""{text}
define double @both(double %a, double %b) {{
  %found = call [2 x double] @f(double %a, double %b)
  %first = extractvalue [2 x double] %found, 0
  %second = extractvalue [2 x double] %found, 1
  %less = fsub double %first, %second
  ret double %less
}}
""")
    both = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_double)(machine.address("both"))
    assert both(2.0, 3.0) == (1 + 4 + 12 + 32) - (1 + 6 + 27 + 108)
