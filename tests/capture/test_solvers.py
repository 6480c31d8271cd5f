"""Iterative functions of SciPy: refused as soon as something differentiated reaches them, themselves on plain numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.optimize as so
from scipy.optimize import newton

import dualdiff as dd
from dualdiff.capture import solvers
from dualdiff.errors import UnsupportedFunctionError

ROOT = 0.45339765151640377


def _helper(p: Any) -> Any:
    return so.fixed_point(lambda x: np.cos(p * x), 0.7)


CALLS = {
    "newton": lambda p: newton(lambda x: x**3 + p * x - 1, ROOT),
    "newton of the module": lambda p: scipy.optimize.newton(lambda x: x**3 + p * x - 1, ROOT),
    "brentq": lambda p: so.brentq(lambda x: x**3 + p * x - 1, 0, 1),
    "arguments": lambda p: so.brentq(lambda x, q: x**3 + q * x - 1, 0, 1, args=(p,)),
    "helper": _helper,
    "minimize": lambda p: so.minimize(lambda w: np.sum((w - p) ** 2), np.zeros(1)).x[0],
    "golden": lambda p: so.minimize_scalar(lambda w: (w - p) ** 2, method="golden").x,
    "powell": lambda p: so.minimize(lambda w: np.sum((w - p) ** 2), np.zeros(2), method="Powell").x[0],
    "quad": lambda p: scipy.integrate.quad(lambda s: np.exp(-p * s), 0, 1)[0],
    "solve_ivp": lambda p: scipy.integrate.solve_ivp(lambda t, y: [-p * y[0]], (0, 1), [1.0]).y[0, -1],
}


@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev], ids=["forward", "reverse"])
@pytest.mark.parametrize("f", CALLS.values(), ids=CALLS)
def test_a_solver_is_refused_with_the_line_and_the_remedy(f: Any, jac: Any) -> None:
    with pytest.raises(UnsupportedFunctionError) as caught:
        jac(f)(2.0)
    message = str(caught.value)
    assert f"test_solvers.py, line {f.__code__.co_firstlineno + (f is _helper)}" in message
    assert "scipy." in message
    assert "stop_gradient" in message


def test_imported_inside_the_function() -> None:
    def f(p: Any) -> Any:
        from scipy.optimize import newton

        return newton(lambda x: x**3 + p * x - 1, ROOT)

    with pytest.raises(UnsupportedFunctionError, match="iteration"):
        dd.grad(f)(2.0)
    assert so.newton is newton


def test_a_solver_of_plain_numbers_is_itself() -> None:
    def f(p: Any) -> Any:
        r = so.brentq(lambda x: x**3 + 2 * x - 1, 0, 1)
        return p * r

    assert dd.grad(f)(3.0) == pytest.approx(ROOT)


def test_the_remedy_of_the_message_is_right() -> None:
    def f(p: Any) -> Any:
        q = dd.stop_gradient(p)
        x = so.newton(lambda x: x**3 + q * x - 1, ROOT)
        return x - (x**3 + p * x - 1) / (3 * x * x + q)

    assert dd.grad(f)(2.0) == pytest.approx(-ROOT / (3 * ROOT**2 + 2), rel=1e-12)


def test_every_name_of_the_table_is_one_of_scipy() -> None:
    known = {(module, name) for module, name, _ in solvers._listed()}
    missing = [n for m, n in known if m == "scipy.optimize" and not hasattr(so, n)]
    assert not missing
