"""What a captured function makes by NumPy's own Python code, and fills by other ways than ``a[i] = v``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.special
from numpy import c_, r_

import dualdiff as dd
from dualdiff.errors import DerivativeError, TracedAssignmentError, TracedConversionError, UnsupportedFunctionError

X = np.array([0.3, 0.7, 1.2])
T = np.linspace(0.0, 1.0, 5)
BUFFER = np.zeros(3)
modes = pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev, dd.jacobian], ids=["forward", "reverse", "auto"])
scaled = np.frompyfunc(lambda a, b: a * b + 1, 2, 1)


def added(x: Any) -> Any:
    total = np.zeros_like(T[:3])
    total += x**2
    return total


def added_to_complex_numbers(x: Any) -> Any:
    total = np.zeros_like(T[:3], dtype=complex)
    total += 1j * x**2
    return total.imag


def put(x: Any) -> Any:
    y = np.zeros(3)
    np.put(y, [2, 0], x[:2])
    return y


def summed_at(x: Any) -> Any:
    y = np.zeros(2)
    np.add.at(y, [0, 1, 0], x)
    return y


def out_of_a_product(x: Any) -> Any:
    y = np.empty((3, 3))
    np.multiply.outer(x, x, out=y)
    return y


def unpacked(x: Any) -> Any:
    a, b, c = map(float, x)
    return [a * b, c]


@modes
@pytest.mark.parametrize(
    ("f", "g"),
    [
        (added, lambda x: x**2),
        (added_to_complex_numbers, lambda x: x**2),
        (put, lambda x: np.stack([x[1], 0 * x[0], x[0]])),
        (summed_at, lambda x: np.stack([x[0] + x[2], x[1]])),
        (out_of_a_product, lambda x: np.outer(x, x)),
        (unpacked, lambda x: [x[0] * x[1], x[2]]),
        (lambda x: [*map(float, x)], lambda x: [x[0], x[1], x[2]]),
        (lambda x: np.full_like(T, x[1]), lambda x: x[1] * np.ones(5)),
        (lambda x: np.fromiter((v * v for v in x), float), lambda x: x**2),
        (lambda x: np.fromiter(map(float, x), float, 2), lambda x: x[:2]),
        (lambda x: sum(v * (i[1] + 1) for i, v in np.ndenumerate(np.outer(x, x))), lambda x: np.outer(x, x).sum(0) @ [1, 2, 3]),
        (lambda x: np.r_[x, 1.0, x[0]], lambda x: np.concatenate([x, np.ones(1), x[:1]])),
        (lambda x: r_[0:2, x[0], x * 2], lambda x: np.concatenate([np.arange(2.0), x[:1], 2 * x])),
        (lambda x: r_["0,2", x, T[:3]], lambda x: np.vstack([x, T[:3]])),
        (lambda x: c_[x, T[:3], x**2], lambda x: np.stack([x, T[:3], x**2], axis=1)),
        (lambda x: scaled(x, 2.0).astype(float), lambda x: 2 * x + 1),
        (
            lambda x: np.piecewise(T, [T < 0.5], [lambda t: x[0] * t, x[1]]),
            lambda x: np.where(T < 0.5, x[0] * T, x[1]),
        ),
    ],
)  # fmt: skip
def test_it_is_as_if_written_otherwise(jac: Any, f: Callable[..., Any], g: Callable[..., Any]) -> None:
    for _ in range(2):
        for J, expected in zip(np.atleast_1d(jac(f)(X)), np.atleast_1d(jac(g)(X)), strict=True):
            np.testing.assert_allclose(J, expected, rtol=1e-14)


def test_what_it_does_not_reach() -> None:
    def fills(x: Any) -> Any:
        for i in range(3):
            BUFFER[i] = x[i]
        return BUFFER @ x

    with pytest.raises(TracedAssignmentError, match=r"test_plain_memory\.py, line \d+.*array of the module"):
        dd.grad(fills)(X)
    with pytest.raises(UnsupportedFunctionError, match=r"makes a np\.matrix"):
        dd.jacfwd(lambda x: np.r_["r", x])(X)
    for draw in (
        lambda x: np.random.default_rng(0).normal(x[0], 1.0),
        lambda x: np.random.normal(x[0], x[1]),
        lambda x: np.random.default_rng(0).uniform(0.0, high=x[2], size=3),
    ):
        with pytest.raises(DerivativeError, match=r"test_plain_memory\.py, line \d+: .*(normal|uniform)\("):
            dd.jacfwd(draw)(X)


@modes
def test_random_numbers_and_joined_constants_stay_plain(jac: Any) -> None:
    def noisy(x: Any) -> Any:
        rng = np.random.default_rng(3)
        return np.array([x[0], x[1]]) * rng.normal(size=2) + r_[0.0, 1.0] * rng.random(np.zeros(2).size)

    np.testing.assert_array_equal(jac(noisy)(X)[:, :2], np.diag(np.random.default_rng(3).normal(size=2)))


@modes
def test_a_function_of_a_library_is_differentiated_itself(jac: Any) -> None:
    np.testing.assert_allclose(jac(math.sin)(0.3), math.cos(0.3), rtol=1e-15)
    p = scipy.special.softmax(X)
    np.testing.assert_allclose(jac(scipy.special.softmax)(X), np.diag(p) - np.outer(p, p), rtol=1e-13)
    np.testing.assert_array_equal(jac(np.array)(X), np.eye(3))


def test_a_conversion_in_a_library_names_the_function_that_was_called() -> None:
    message = r"test_plain_memory\.py, line \d+, in scipy\.linalg\.(eigh|solve_banded): .*[wW]rite .*np\.linalg"
    for f in (lambda x: scipy.linalg.eigh(np.diag(x))[0], lambda x: scipy.linalg.solve_banded((0, 0), x[None], X)):
        with pytest.raises(TracedConversionError, match=message):
            dd.jacfwd(f, capture="never")(X)
