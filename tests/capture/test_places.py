"""Solvers and functions of SciPy, NumPy and math are exchanged wherever a function holds them, and given back."""

from __future__ import annotations

import builtins
import functools
import math
import threading
from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from scipy.optimize import brentq

import dualdiff as dd
from dualdiff.errors import TracedConversionError

pytestmark = pytest.mark.filterwarnings("ignore::dualdiff.errors.CaptureWarning")
SLOPE = -0.1732702315504081  # of the root of x**3 + p*x - 1 by p, at p = 2


def equation(p: Any) -> Any:
    return lambda x: x**3 + p * x - 1


@dataclass(frozen=True, slots=True)
class Frozen:
    solve: Any


class Guarded:
    __slots__ = ("_solve",)

    def __init__(self) -> None:
        self._solve = brentq

    @property
    def solve(self) -> Any:
        return self._solve


class Base:
    table: ClassVar[Any] = {}

    def chosen(self) -> Any:
        return self.table["first"][0]


class Derived(Base):
    from scipy.optimize import brentq as imported

    table: ClassVar[Any] = {"first": (brentq, 1)}
    sine = math.sin

    def __call__(self, p: Any) -> Any:
        return self.chosen()(equation(p), 0, 1)


class OfModules:
    def __init__(self) -> None:
        self.np, self.math, self.optimize = np, math, scipy.optimize

    def root(self, p: Any) -> Any:
        z = self.np.zeros(2)
        z[0] = self.optimize.brentq(equation(p), 0, 1) + self.math.sin(p)
        return z[0] - np.sin(p)


FROZEN, GUARDED, DERIVED, MODULES = Frozen(brentq), Guarded(), Derived(), OfModules()
PAIR, NAMED, SPACE = (brentq, 1), namedtuple("Named", "solve")(brentq), SimpleNamespace(solve=brentq)
LISTED, PARTIAL = {"root": [brentq]}, functools.partial(brentq, xtol=1e-14)


def with_default(p: Any, solve: Any = brentq, *, other: Any = math.sin) -> Any:
    return solve(equation(p), 0, 1) + other(p) - np.sin(p)


def with_attribute(p: Any) -> Any:
    return with_attribute.solve(equation(p), 0, 1)  # type: ignore[attr-defined]


with_attribute.solve = brentq  # type: ignore[attr-defined]


def importing(p: Any) -> Any:
    import math as m

    import numpy as own
    import scipy.optimize
    from scipy import optimize
    from scipy.optimize import brentq as one

    z = own.zeros(3)
    z[:] = one(equation(p), 0, 1), optimize.brentq(equation(p), 0, 1), scipy.optimize.brentq(equation(p), 0, 1)
    return z.sum() / 3 + m.exp(p) - np.exp(p)


def closing() -> Any:
    held = (brentq,)
    return lambda p: held[0](equation(p), 0, 1)


WAYS = {
    "a frozen object": lambda p: FROZEN.solve(equation(p), 0, 1),
    "slots and a property": lambda p: GUARDED.solve(equation(p), 0, 1),
    "a table of the class": DERIVED,
    "a bound method": DERIVED.__call__,
    "an import of the class": lambda p: Derived.imported(equation(p), 0, 1) + Derived.sine(p) - np.sin(p),
    "modules": lambda p: MODULES.root(p),
    "a tuple": lambda p: PAIR[0](equation(p), 0, 1),
    "a named tuple": lambda p: NAMED.solve(equation(p), 0, 1),
    "a namespace": lambda p: SPACE.solve(equation(p), 0, 1),
    "a list in a table": lambda p: LISTED["root"][0](equation(p), 0, 1),
    "a partial": lambda p: PARTIAL(equation(p), 0, 1),
    "defaults": with_default,
    "an attribute of a function": with_attribute,
    "imports inside": importing,
    "a tuple in a variable": closing(),
    "a partial of the function": functools.partial(with_default, solve=PARTIAL),
}


@pytest.mark.parametrize("f", WAYS.values(), ids=WAYS)
def test_wherever_a_function_holds_a_solver(f: Any) -> None:
    assert dd.jacfwd(f)(2.0) == pytest.approx(SLOPE, rel=1e-9)
    assert dd.grad(f)(2.0) == pytest.approx(SLOPE, rel=1e-9)


def test_what_was_exchanged_is_given_back() -> None:
    real = builtins.__import__
    for f in WAYS.values():
        dd.grad(f)(2.0)
    assert builtins.__import__ is real
    assert FROZEN.solve is GUARDED._solve is PAIR[0] is NAMED.solve is SPACE.solve is LISTED["root"][0] is brentq
    assert PARTIAL.func is with_default.__defaults__[0] is with_attribute.solve is brentq  # type: ignore[index, attr-defined]
    assert with_default.__kwdefaults__ == {"other": math.sin}
    assert vars(Derived)["sine"] is MODULES.math.sin is math.sin
    assert (MODULES.np, MODULES.optimize) == (np, scipy.optimize)


def test_a_solver_as_an_argument_of_the_call() -> None:
    f = lambda p, solve, **more: solve(equation(p), 0, 1) + more["other"](p) - np.sin(p)  # noqa: E731
    assert dd.grad(f)(2.0, PARTIAL, other=math.sin) == pytest.approx(SLOPE, rel=1e-9)


def test_second_derivatives_and_threads() -> None:
    f = WAYS["a tuple"]
    assert dd.hessian(f)(2.0) == pytest.approx(dd.hessian(lambda p: brentq(equation(p), 0, 1))(2.0), rel=1e-9)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(dd.grad(f)(2.0))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == pytest.approx([SLOPE] * 4, rel=1e-9)
    assert PAIR[0] is brentq


def test_functions_without_a_solver_are_held_as_well() -> None:
    table = {"solve": scipy.linalg.solve, "expm": scipy.linalg.expm}
    a = np.array([[2.0, 1.0], [1.0, 3.0]])
    f = lambda p: table["solve"](a * p, np.ones(2)) + table["expm"](a * 0.1 * p)[0]  # noqa: E731
    wanted = lambda p: scipy.linalg.solve(a * p, np.ones(2)) + scipy.linalg.expm(a * 0.1 * p)[0]  # noqa: E731
    np.testing.assert_allclose(dd.jacobian(f)(2.0), dd.jacobian(wanted)(2.0), rtol=1e-13)


def test_nothing_is_exchanged_where_capture_is_not_wanted() -> None:
    with pytest.raises(TracedConversionError):
        dd.grad(WAYS["a list in a table"], capture="never")(2.0)


def test_leading_coefficients_that_are_zero_keep_their_derivative() -> None:
    P = np.polynomial.Polynomial
    assert dd.grad(lambda p: np.poly1d(np.stack([p, 1.0, 2.0]))(3.0))(0.0) == 9.0
    assert dd.grad(lambda p: (np.poly1d(np.array([p, 1.0])) * np.poly1d([1.0, 2.0]))(3.0))(0.0) == 15.0
    assert dd.grad(lambda p: (P([2.0, 1.0, p]) * P([1.0, 1.0]) + P([1.0, p]))(3.0))(0.0) == 39.0
    roots = lambda p: np.sort(np.polynomial.polynomial.polyroots(np.array([p, -3.0, 1.0, 0.0 * p])))  # noqa: E731
    np.testing.assert_allclose(dd.jacobian(roots)(2.0), [1.0, -1.0], rtol=1e-9)


def test_a_generator_stays_one() -> None:
    def f(x: Any) -> Any:
        rng = np.random.default_rng(3)
        assert np.random.default_rng(rng) is rng
        return rng.permutation(x) * rng.normal(size=3)

    x = np.arange(3.0)
    rng = np.random.default_rng(3)
    order, factors = rng.permutation(3), rng.normal(size=3)
    np.testing.assert_allclose(dd.jacobian(f)(x), np.eye(3)[order] * factors[:, None])
