"""Iterative functions of SciPy: differentiated by what they solve, or refused as soon as something differentiated reaches them.

On plain numbers they are themselves.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.optimize as so
from scipy.optimize import newton

import dualdiff as dd
from dualdiff import solvers
from dualdiff.errors import TracedConversionError, UnsupportedFunctionError

ROOT = 0.45339765151640377


def _helper(p: Any) -> Any:
    return so.bracket(lambda x: (x - p) ** 2)[0]


CALLS = {
    "helper": _helper,
}


class _Model:
    """A solver by an attribute of the class, and of the object."""

    solve = staticmethod(newton)

    def __init__(self) -> None:
        self.own = newton

    def by_the_class(self, p: Any) -> Any:
        return self.solve(lambda x: x**2 - p, 2.0)

    def by_the_object(self, p: Any) -> Any:
        return self.own(lambda x: x**2 - p, 2.0)


RENAMED = newton
TABLE = {"newton": newton, "helper": lambda p: newton(lambda x: x**2 - p, 2.0)}


def _closed(solve: Any) -> Any:
    return lambda p: solve(lambda x: x**2 - p, 2.0)


#: ways to come by a solver; each starts at the answer, where it takes no step: the derivative of its steps is 0, not 1/4
WAYS = {
    "argument": lambda p, solve=newton: solve(lambda x: x**2 - p, 2.0),
    "variable": _closed(newton),
    "partial": functools.partial(lambda p, solve: solve(lambda x: x**2 - p, 2.0), solve=newton),
    "partial of the solver": lambda p: functools.partial(newton, x0=2.0)(lambda x: x**2 - p),
    "class": _Model().by_the_class,
    "object": _Model().by_the_object,
    "renamed": lambda p: RENAMED(lambda x: x**2 - p, 2.0),
    "table": lambda p: TABLE["newton"](lambda x: x**2 - p, 2.0),
    "helper in a table": lambda p: TABLE["helper"](p),
    "getattr": lambda p: getattr(so, "new" + "ton")(lambda x: x**2 - p, 2.0),
    "array": lambda p: newton(lambda x: x**2 - p, np.array([2.0, 2.0]))[0],
    "secant": lambda p: so.root_scalar(lambda x: x**2 - p, x0=2.0, x1=2.5, method="secant").root,
    "fixed point": lambda p: so.fixed_point(lambda x: x - (x**2 - p) / 4, 2.0),
    "toms748": lambda p: so.toms748(lambda x: x**2 - p, 2.0, 3.0),
    "bfgs": lambda p: so.minimize(lambda w: (w[0] ** 2 - p) ** 2, np.array([2.0])).x[0],
    "nelder-mead": lambda p: so.minimize(lambda w: (w[0] ** 2 - p) ** 2, np.array([2.0]), method="Nelder-Mead").x[0],
    "bounded": lambda p: so.minimize_scalar(lambda w: (w**2 - p) ** 2, bounds=(1, 3), method="bounded").x,
    "fsolve": lambda p: so.fsolve(lambda x: x**2 - p, 2.0)[0],
    "least_squares": lambda p: so.least_squares(lambda x: x**2 - p, 2.0).x[0],
    "krylov": lambda p: so.newton_krylov(lambda x: x**2 - p, np.array([2.0]))[0],
}
#: solvers whose steps have no honest derivative
REFUSED = {
    "a step": lambda p: scipy.integrate.RK45(lambda t, y: y * (p - 4), 0.0, np.ones(1), 1.0).step() or 1.0,
    "bracket": lambda p: so.bracket(lambda x: (x - p) ** 2)[0],
}


@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev], ids=["forward", "reverse"])
@pytest.mark.parametrize("f", WAYS.values(), ids=WAYS)
def test_whichever_way_a_function_comes_by_a_solver(f: Any, jac: Any) -> None:
    assert jac(f)(4.0) == pytest.approx(0.25, rel=1e-6)
    with pytest.raises(TracedConversionError, match="the steps it takes are not differentiated"):
        jac(f, capture="never")(4.0)


@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev], ids=["forward", "reverse"])
@pytest.mark.parametrize("f", REFUSED.values(), ids=REFUSED)
def test_whichever_solver_is_refused(f: Any, jac: Any) -> None:
    for capture in ("auto", "never"):
        with pytest.raises(UnsupportedFunctionError, match="iteration"):
            jac(f, capture=capture)(4.0)


def test_a_solver_that_is_an_argument_or_stands_in_a_variable_changed_since() -> None:
    def mine(f: Any, x: float) -> Any:
        return x - f(x) / (2 * x)

    assert dd.grad(_closed(mine))(4.0) == 0.25
    assert dd.grad(_closed(newton))(4.0) == 0.25
    f = lambda p, solve: solve(lambda x: x**2 - p, 2.0)  # noqa: E731
    assert dd.grad(f)(4.0, mine) == 0.25
    assert dd.grad(f)(4.0, newton) == 0.25


def test_a_step_is_refused_by_the_name_of_its_class() -> None:
    with pytest.raises(UnsupportedFunctionError, match=r"scipy\.integrate\.RK45 finds"):
        dd.grad(REFUSED["a step"])(4.0)


def test_a_caught_refusal_is_raised() -> None:
    def f(p: Any) -> Any:
        try:
            return CALLS["helper"](p)
        except Exception:
            return 2.0

    with pytest.raises(UnsupportedFunctionError, match="iteration"):
        dd.grad(f)(4.0)


def test_eager_tensors_are_refused_where_they_are_recorded() -> None:
    p = dd.tensor(4.0, requires_grad=True)
    with pytest.raises(TracedConversionError, match="the steps it takes"):
        _closed(newton)(p)
    assert float(_closed(newton)(p.detach())) == 2.0
    dd.capture(_closed(newton))(p).backward()
    assert p.grad is not None
    assert p.grad.item() == 0.25


def test_an_operator_that_a_solver_calls_is_not_the_solvers() -> None:
    x0 = np.array([1.2, 0.8, 1.1])
    found = so.minimize(so.rosen, x0, jac=dd.grad(so.rosen), hess=dd.hessian(so.rosen), method="Newton-CG")
    np.testing.assert_allclose(found.x, np.ones(3), atol=1e-4)

    def f(x: Any) -> Any:  # decides, and makes an array, under the solver
        y = np.zeros(3)
        for i in range(3):
            y[i] = x[i] ** 2 if x[i] > 0 else -x[i]
        return y.sum()

    assert so.minimize(f, x0, jac=dd.grad(f)).fun < 1e-6


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

    assert dd.grad(f)(2.0) == pytest.approx(-ROOT / (3 * ROOT**2 + 2), rel=1e-12)
    assert so.newton is newton


def test_where_nothing_leads_to_the_solver() -> None:
    def f(p: Any) -> Any:
        return vars(importlib.import_module("scipy.optimize"))["newton"](lambda x: x**2 - p, 2.0)

    with pytest.raises(TracedConversionError, match=r"the steps it takes.*Write scipy\.optimize\.newton"):
        dd.grad(f)(4.0)


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
