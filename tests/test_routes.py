"""No route by which a differentiated value leaves silently: each keeps the derivative, or raises a sentence that helps."""

# ruff: noqa: ICN001, NPY002, UP031  (code as people write it)

from __future__ import annotations

import array
import cmath
import copy
import ctypes
import datetime
import decimal
import fractions
import functools
import io
import json
import math
import operator
import pickle
import random
import statistics
import struct
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import (
    DerivativeError,
    DerivativeMismatch,
    EscapedValueError,
    ForeignError,
    InPlaceError,
    InputError,
    TracedConversionError,
    UnsupportedFunctionError,
)

X = np.array([0.25, 0.5, 0.75])
both = pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev], ids=["forward", "reverse"])
STATE = np.random.default_rng(3)


def differences(f: Callable[[Any], Any]) -> Any:
    h = 1e-6
    return np.stack([(f(X + h * e) - f(X - h * e)) / (2 * h) for e in np.eye(3)], axis=-1)


def at(lines: Any) -> Any:
    """Return the lines of a table of functions, each with the name it has there."""
    return [pytest.param(f, id=name) for name, f in lines.items()]


# --------------------------------------------------------------------------------------------------
# routes that keep the derivative

KEPT = {
    "float": lambda x: float(x[0]) * x,
    "complex": lambda x: complex(x[0]).real * x,
    "round": lambda x: x * abs(x[0]),
    "math": lambda x: math.sin(x[0]) * math.hypot(x[0], x[1]) * x,
    "math of a list": lambda x: math.fsum(x) * math.prod(x) * math.dist(x, [0.0, 0.0, 0.0]) * x,
    "cmath": lambda x: cmath.exp(1j * x[0]).real * x,
    "asarray": lambda x: np.asarray(x, dtype=float) * np.array(x) * np.ascontiguousarray(x),
    "array of a list": lambda x: np.array([x[0], x[1] * x[2], 1.0]),
    "array of objects": lambda x: np.array([x[0], x[1], 1.0], dtype=object) * x,
    "zeros": lambda x: filled(x),
    "tolist": lambda x: np.stack(x.tolist()) * x[0].item(),
    "iteration": lambda x: sum(x) * max(x) * np.stack(sorted(x, reverse=True)),
    "copy": lambda x: copy.copy(x) * copy.deepcopy(x) * copy.deepcopy({"a": [x * 2]})["a"][0],
    "astype": lambda x: x.astype(complex).real * x.astype(float),
    "vectorize": lambda x: np.vectorize(lambda t: t * t)(x),
    "vectorize with types": lambda x: np.vectorize(lambda t: t * t, otypes=[float])(x),
    "vectorize of math": lambda x: np.vectorize(math.sin)(x),
    "frompyfunc": lambda x: np.frompyfunc(lambda t: t * t, 1, 1)(x),
    "fromiter": lambda x: np.fromiter((t * t for t in x), float, count=3),
    "r_ and c_": lambda x: np.c_[np.r_[x[0], x[1:]], x**2],
    "ndenumerate": lambda x: np.stack([t * t * i for (i,), t in np.ndenumerate(x)]),
    "keys of its own": lambda x: {x[0]: x[1]}[x[0]] * len({x[0], x[1]}) * x,
    "comparison": lambda x: x * x * (2.0 if x[0] > 0 else 1.0) * (x > 0),
    "whole numbers": lambda x: x * x * int(x[0] * 10 + 0.2) * math.floor(x[1] + 0.2) + x * x * round(x[2] + 0.1),
    "random numbers beside": lambda x: x * random.Random(0).random() * np.random.default_rng(0).normal(size=3),
    "uniform of Python": lambda x: x * random.Random(0).uniform(x[0], 2.0),
    "permutation": lambda x: np.random.default_rng(0).permutation(x) * 1.0,
    "arange": lambda x: x * np.arange(3.0) * np.linspace(0.0, x[2], 3),
}  # fmt: skip


def filled(x: Any) -> Any:
    y = np.zeros(3)
    for i in range(3):
        y[i] = x[i] * x[0]
    return y


@both
@pytest.mark.parametrize("f", at(KEPT))
def test_a_route_that_keeps_the_derivative(f: Any, jac: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dd.errors.CaptureWarning)
        found = jac(f)(X)
    want = differences(lambda x: np.real(np.asarray(f(x), dtype=float)))
    assert np.abs(want).max() > 0
    np.testing.assert_allclose(found, want, atol=1e-7)


# --------------------------------------------------------------------------------------------------
# routes that raise

Z = (TracedConversionError, ("stop_gradient",))


def drawn(*words: str) -> Any:
    return TracedConversionError, ("Draw plain numbers", *words, "stop_gradient")


NO_PATH = (TracedConversionError, ("along a sample path", "stop_gradient"))
TAKES = (ForeignError, ("does not take", "stop_gradient"))
RAISED: dict[str, tuple[Callable[[Any], Any], tuple[type[DerivativeError], tuple[str, ...]]]] = {
    "np.float64": (lambda x: np.float64(x[0]) * x, (TracedConversionError, ("np.float64(x[0])", "Leave the conversion out"))),
    "np.float32": (lambda x: np.float32(x[0]) * x, (TracedConversionError, ("x.astype(np.float32)",))),
    "np.int64": (lambda x: np.int64(x[0]) * x, (TracedConversionError, ("int(x)",))),
    "index": (lambda x: x * [1.0, 2.0][x[0]], (TracedConversionError, ("whole numbers", "int(x)"))),
    "slice": (lambda x: x[: x[0]], (TracedConversionError, ("whole numbers", "int(x)"))),
    "operator.index": (lambda x: x * operator.index(x[0]), (TracedConversionError, ("whole numbers",))),
    "bytes": (lambda x: x * len(bytes(x)), (TracedConversionError, ("whole numbers",))),
    "shape": (lambda x: np.zeros(x[0]) * x, (ForeignError, ("np.zeros(x[0])",))),
    "memoryview": (lambda x: memoryview(x)[0] * x, TAKES),
    "frombuffer": (lambda x: np.frombuffer(x) * x, TAKES),
    "from_dlpack": (lambda x: np.from_dlpack(x) * x, TAKES),
    "array interface": (lambda x: len(x.__array_interface__) * x, TAKES),
    "ndarray of memory": (lambda x: np.ndarray((3,), float, x) * x, TAKES),
    "ndarray.sum": (lambda x: np.ndarray.sum(x) * x, TAKES),
    "data": (lambda x: x.data[0] * x, (UnsupportedFunctionError, ("stop_gradient(x).data",))),
    "tobytes": (lambda x: len(x.tobytes()) * x, (UnsupportedFunctionError, ("stop_gradient(x).tobytes",))),
    "ctypes": (lambda x: ctypes.c_double(x[0]).value * x, (TracedConversionError, ("ctypes.c_double(x[0])", "plain numbers only"))),
    "struct": (lambda x: len(struct.pack("d", x[0])) * x, (TracedConversionError, ("struct.pack('d', x[0])", "plain numbers only"))),
    "array.array": (lambda x: array.array("d", x)[0] * x, (TracedConversionError, ("array.array('d', x)", "plain numbers only"))),
    "pickle": (lambda x: pickle.loads(pickle.dumps(x)) * x, (EscapedValueError, ("pickled",))),
    "pickle of a number": (lambda x: pickle.loads(pickle.dumps([x[0]]))[0] * x, (EscapedValueError, ("pickled",))),
    "json": (lambda x: json.loads(json.dumps(x.tolist()))[0] * x, (ForeignError, ("in json.dumps", "plain numbers only", "'obj'"))),
    "np.save": (lambda x: np.save(io.BytesIO(), x) or x, (UnsupportedFunctionError, ("np.save", "stop_gradient"))),
    "tofile": (lambda x: x.tofile("/dev/null") or x, (UnsupportedFunctionError, ("stop_gradient",))),
    "decimal": (lambda x: float(decimal.Decimal(x[0])) * x, (ForeignError, ("decimal.Decimal(x[0])",))),
    "fraction": (lambda x: float(fractions.Fraction(x[0])) * x, (ForeignError, ("in fractions.Fraction.__new__", "'numerator'"))),
    "timedelta": (lambda x: datetime.timedelta(seconds=x[0]).seconds * x, (ForeignError, ("datetime.timedelta(seconds=x[0])",))),
    "statistics": (lambda x: statistics.mean(x) * x, (ForeignError, ("Write np.mean", "'data'"))),
    "statistics.fmean": (lambda x: statistics.fmean(x) * x, (TracedConversionError, ("Write np.mean", "'data'"))),
    "text": (lambda x: x.astype(str)[0] and x, (UnsupportedFunctionError, ("stop_gradient",))),
    "characters": (lambda x: np.char.add(x, "a"), (InputError, ("'str'",))),
    "objects": (lambda x: x.astype(object) * x, (UnsupportedFunctionError, ("stop_gradient",))),
    "whole numbers by bytes": (lambda x: x.view(np.int64) * x, (UnsupportedFunctionError, ("astype",))),
    "rng.normal": (lambda x: STATE.normal(x[0], 1.0) * x, drawn("STATE.normal(x[0], 1.0)", "loc + scale * rng.normal")),
    "rng.normal scale": (lambda x: STATE.normal(0.0, scale=x) * x, drawn("loc + scale")),
    "np.random.normal": (lambda x: np.random.normal(loc=x) * x, drawn("np.random.normal(loc=x)", "loc + scale")),
    "rng.uniform": (lambda x: STATE.uniform(x[0], x[1]) * x, drawn("low + (high - low)")),
    "rng.exponential": (lambda x: np.random.default_rng(0).exponential(x) * x, drawn("scale * rng.exponential")),
    "multivariate_normal": (lambda x: STATE.multivariate_normal(x, np.eye(3)) * x, drawn("cholesky")),
    "poisson": (lambda x: STATE.poisson(x) * x, NO_PATH),
    "gamma": (lambda x: STATE.gamma(x[0]) * x, NO_PATH),
    "dirichlet": (lambda x: STATE.dirichlet(x) * x, NO_PATH),
    "choice by weights": (lambda x: STATE.choice(3, p=x / x.sum()) * x, NO_PATH),
    "choices of Python": (lambda x: random.choices([1.0, 2.0], weights=list(x[:2]))[0] * x, NO_PATH),
    "RandomState": (lambda x: np.random.RandomState(0).normal(x) * x, drawn("loc + scale")),
    "records": (lambda x: np.rec.fromarrays([x, x]).f0 * x, (TracedConversionError, ("fields of plain numbers",))),
    "nditer": (lambda x: next(np.nditer(x)) * x, (TracedConversionError, ("x.flat",))),
    "as_strided": (lambda x: np.lib.stride_tricks.as_strided(x, (2,), (8,)) * x[:2], (TracedConversionError, ("sliding_window_view",))),
    "shape assigned": (lambda x: setattr(x, "shape", (3, 1)) or x, (InPlaceError, ("x.reshape(shape)",))),
}  # fmt: skip


@both
@pytest.mark.parametrize(("f", "said"), [pytest.param(*v, id=k) for k, v in RAISED.items()])
def test_a_route_that_raises_says_what_to_do(f: Any, said: Any, jac: Any) -> None:
    error, words = said
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dd.errors.CaptureWarning)
        with pytest.raises(error) as caught:
            jac(f)(X)
    message = str(caught.value)
    assert f"test_routes.py, line {f.__code__.co_firstlineno}" in message
    for word in words:
        assert word in message
    for name in ("Traced", "Dual", "'Var'", "Plain"):
        assert name not in message
    assert caught.value.__notes__[-1] == f"docs: reference/errors#{type(caught.value).__name__.lower()}"


@both
def test_nothing_is_swallowed(jac: Any) -> None:
    def f(x: Any) -> Any:
        try:
            return STATE.normal(x)
        except (TypeError, ValueError):
            return x * 0.0

    with pytest.raises(TracedConversionError, match="Draw plain numbers"):
        jac(f)(X)


@both
def test_printing_shows_the_value_and_goes_on(jac: Any) -> None:
    def f(x: Any) -> Any:
        shown = f"{x[0]:.3f} {x[0]} {x}", "%.3f" % x[0], str(x), repr(x[0]), format(x[1], ".2f")
        assert "0.25" in shown[0]
        assert shown[1] == "0.250"
        return x * x

    np.testing.assert_array_equal(jac(f)(X), np.diag(2 * X))


# --------------------------------------------------------------------------------------------------
# caches and tables


@functools.lru_cache
def squared(t: Any) -> Any:
    return t * t


class Holder:
    """A class whose method keeps its results."""

    @functools.cache  # noqa: B019
    def squared(self, t: Any) -> Any:
        return t * t


HOLDER = Holder()


@both
@pytest.mark.parametrize("f", [lambda t: squared(t) * t, lambda t: HOLDER.squared(t) * t], ids=["function", "method"])
def test_a_cache_does_not_answer_with_what_it_kept_for_the_plain_number(f: Any, jac: Any) -> None:
    assert f(0.5) == 0.125
    assert jac(f)(0.5) == 0.75
    assert f(0.5) == 0.125
    assert jac(f)(0.5) == 0.75


@both
def test_a_plain_number_does_not_find_what_a_cache_kept_for_a_differentiated_one(jac: Any) -> None:
    squared.cache_clear()
    assert jac(lambda t: squared(t) + squared(0.75))(0.75) == 1.5


@both
def test_a_cache_by_hand_is_held_against_differences(jac: Any) -> None:
    memory: dict[Any, Any] = {}

    def f(t: Any) -> Any:
        if t not in memory:
            memory[t] = t * t
        return memory[t] * t

    assert f(0.5) == 0.125
    for _ in range(2):
        with pytest.raises(DerivativeMismatch, match="cache"):
            jac(f)(0.5)
    assert jac(f)(0.75) == 3 * 0.75**2


@both
def test_a_table_is_none(jac: Any) -> None:
    rates = {0.5: 3.0, 1.0: 4.0}
    for f in (lambda t: rates[t] * t, lambda t: rates.get(t, 7.0) * t, lambda t: t * (3.0 if t in {0.5} else 1.0)):
        assert jac(f)(0.5) == 3.0


@both
def test_what_may_be_a_cache_or_a_table_is_asked_about(jac: Any) -> None:
    rates = {0.5: 3.0}

    def f(t: Any) -> Any:
        return rates.get(t, 1.0) * squared(t)

    with pytest.raises(TracedConversionError, match="another function"):
        jac(f)(0.5)
