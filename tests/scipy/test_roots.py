"""Roots and fixed points of ``scipy.optimize`` in code as people write it: first and second derivatives, from both sides."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.optimize as so
from scipy.optimize import brentq, newton

import dualdiff as dd
from dualdiff.errors import InaccurateSolutionError, SingularSolutionError, UnsupportedFunctionError

R = 0.45339765151640377
"""The root of x³ + 2x = 1."""
SLOPE = -R / (3 * R * R + 2)
CURVATURE = -(SLOPE * (3 * R * R + 2) - R * (6 * R * SLOPE + 1)) / (3 * R * R + 2) ** 2

pytestmark = pytest.mark.filterwarnings("ignore::dualdiff.errors.CaptureWarning")


def cubic(x: Any, p: Any) -> Any:
    return x**3 + p * x - 1


def pair(x: Any, p: Any) -> Any:
    return [x[0] ** 3 + p * x[0] - 1, x[1] - x[0]]


class Model:
    def __init__(self, p: Any) -> None:
        self.p = p

    def residual(self, x: Any) -> Any:
        return cubic(x, self.p)


CALLS = {
    "brentq": lambda p: brentq(lambda x: cubic(x, p), 0, 1),
    "brentq, arguments": lambda p: so.brentq(cubic, 0, 1, args=(p,)),
    "brentq, an argument": lambda p: so.brentq(cubic, 0, 1, args=p),
    "brentq, all": lambda p: so.brentq(cubic, 0, 1, (p,), full_output=True)[1].root,
    "bisect": lambda p: so.bisect(cubic, 0, 1, (p,)),
    "brenth": lambda p: so.brenth(cubic, 0, 1, (p,)),
    "ridder": lambda p: so.ridder(cubic, 0, 1, (p,)),
    "toms748": lambda p: so.toms748(cubic, 0, 1, (p,)),
    "newton, at the root": lambda p: newton(lambda x: cubic(x, p), R),
    "newton with a slope, at the root": lambda p: newton(lambda x: cubic(x, p), R, fprime=lambda x: 3 * x * x + p),
    "newton with two": lambda p: newton(cubic, 0.4, lambda x, p: 3 * x * x + p, (p,), fprime2=lambda x, p: 6 * x),
    "newton, an array": lambda p: newton(lambda x: cubic(x, p), np.array([R, 0.4]))[1],
    "newton, an array, all": lambda p: newton(lambda x: cubic(x, p), np.array([R, 0.4]), full_output=True).root[0],
    "root_scalar": lambda p: so.root_scalar(cubic, args=(p,), bracket=[0, 1]).root,
    "root_scalar, secant": lambda p: so.root_scalar(lambda x: cubic(x, p), x0=R, x1=0.5, method="secant").root,
    "root_scalar, pairs": lambda p: so.root_scalar(lambda x: (cubic(x, p), 3 * x * x + p), x0=R, fprime=True).root,
    "fsolve, at the root": lambda p: so.fsolve(lambda x: cubic(x, p), R)[0],
    "fsolve, lists": lambda p: so.fsolve(pair, [R, R], args=(p,))[1],
    "fsolve, all": lambda p: so.fsolve(pair, [R, R], args=(p,), full_output=True)[0][1],
    "root with a Jacobian": lambda p: so.root(
        lambda x: (cubic(x, p), np.array([[3 * x[0] ** 2 + p]])), np.array([0.45]), jac=True
    ).x[0],
    "fixed_point, at the root": lambda p: so.fixed_point(lambda x: 1 / (x * x + p), R),
    "fixed_point, iteration": lambda p: so.fixed_point(lambda x, p: 1 / (x * x + p), [R, R], (p,), method="iteration")[
        1
    ],
    "newton_krylov": lambda p: so.newton_krylov(lambda x: cubic(x, p), np.array([R, 0.45]), f_tol=1e-12)[1],
    "broyden1": lambda p: so.broyden1(lambda x: cubic(x, p), np.array([R, 0.45]), f_tol=1e-12)[1],
    "an attribute": lambda p: so.brentq(Model(p).residual, 0, 1),
    **{
        f"root, {m}": lambda p, m=m: so.root(lambda x: cubic(x, p), np.array([R, 0.45]), method=m, tol=1e-10).x[1]
        for m in ("hybr", "lm", "broyden1", "broyden2", "diagbroyden", "krylov", "df-sane")
    },
}


@pytest.mark.parametrize("f", CALLS.values(), ids=CALLS)
def test_roots(f: Any) -> None:
    value, slope = dd.value_and_grad(f)(2.0)
    assert value == pytest.approx(float(f(2.0)), rel=1e-15)
    assert slope == pytest.approx(SLOPE, rel=1e-9)
    assert dd.jacfwd(f)(2.0) == pytest.approx(SLOPE, rel=1e-9)
    assert dd.jacfwd(dd.jacrev(f))(2.0) == pytest.approx(CURVATURE, rel=1e-8)


def test_a_root_does_not_depend_on_the_bracket() -> None:
    g = dd.grad(lambda q: so.brentq(cubic, q[0], q[1], (q[2],)))(np.array([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(g, [0.0, 0.0, SLOPE])


def test_complex_roots() -> None:
    f = lambda p: newton(lambda z: z**3 - p, 1j * np.exp(0.3j))  # noqa: E731
    np.testing.assert_allclose(dd.jvp(f, (2.0,), (1.0,))[1], 1 / (3 * f(2.0) ** 2))
    np.testing.assert_allclose(dd.jacobian(f, holomorphic=True)(2.0 + 1j), 1 / (3 * f(2.0 + 1j) ** 2))


def test_fields_that_depend_on_the_steps_raise() -> None:
    f = lambda p: so.root(cubic, np.array([R]), args=(p,))  # noqa: E731
    assert dd.grad(lambda p: f(p).x[0] * f(p).success)(2.0) == pytest.approx(SLOPE)
    with pytest.raises(UnsupportedFunctionError, match="'fjac' of this result"):
        dd.grad(lambda p: f(p).fjac[0, 0])(2.0)
    assert dd.grad(lambda p: float(f(p).fun[0]) + p)(2.0) == 1.0  # what is left at a root stays nothing


def test_what_has_no_derivative_is_refused() -> None:
    with pytest.raises(SingularSolutionError, match=r"multiple root|condition number"):
        dd.grad(lambda p: newton(lambda x: (x - p) ** 2, 3.0))(2.0)
    with pytest.raises(InaccurateSolutionError, match="too inaccurate"):
        dd.grad(lambda p: so.bisect(cubic, 0, 1, (p,), xtol=0.05))(2.0)


def test_plain_solvers_inside_are_scipys_own() -> None:
    def f(p: Any) -> Any:
        return brentq(lambda x: cubic(x, p), 0, 1) * so.brentq(lambda x: cubic(x, 2.0), 0, 1)

    assert dd.grad(f)(2.0) == pytest.approx(SLOPE * R)


def test_solvers_inside_solvers() -> None:
    def f(p: Any) -> Any:
        return so.brentq(lambda y: y - so.brentq(cubic, 0, 1, args=(p * y,)), 0, 1)

    h = 1e-4
    assert dd.grad(f)(2.0) == pytest.approx((f(2.0 + h) - f(2.0 - h)) / (2 * h), rel=1e-6)
    assert dd.grad(dd.grad(f))(2.0) == pytest.approx((dd.grad(f)(2.0 + h) - dd.grad(f)(2.0 - h)) / (2 * h), rel=1e-5)


def test_compiled_functions_solve_again_or_say_that_they_run_as_they_are() -> None:
    f = lambda p: so.brentq(lambda x: cubic(x, p), 0, 1)  # noqa: E731
    value, slope = dd.compile(f), dd.compile(dd.grad(f))
    for p in (2.0, 2.0, 3.0, 4.0):
        assert value(p) == f(p)
        assert slope(p) == dd.grad(f)(p)
    counted = dd.compile(lambda p: so.root_scalar(cubic, args=(p,), bracket=(0, 1)).iterations * p)
    with pytest.warns(dd.errors.CompileWarning, match="'iterations'"):
        counted(2.0)
    assert counted(7.0) == so.root_scalar(cubic, args=(7.0,), bracket=(0, 1)).iterations * 7.0


def test_minpack_prints_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dd.grad(lambda p: so.fsolve(lambda x: x**2 - p, 1.0)[0])(4.0) == pytest.approx(0.25)
    assert capfd.readouterr().err == ""


def test_what_a_loop_changes_after_a_solver_has_run() -> None:
    def in_a_loop(p: Any) -> Any:
        found = []
        for k in (1.0, 2.0, 3.0):
            found.append(so.brentq(lambda x: x**3 + p * x - k, 0, 3))  # noqa: B023
        return np.stack(found)

    def in_a_buffer(p: Any) -> Any:
        right, total = np.zeros(2), 0.0
        for k in (1.0, 2.0):
            right[:] = k
            total = total + so.root(lambda x: x**3 + p * x - right, np.ones(2)).x.sum()
        return total

    h = 1e-5
    for f in (in_a_loop, in_a_buffer):
        J = dd.jacrev(f)
        np.testing.assert_allclose(J(2.0), (f(2.0 + h) - f(2.0 - h)) / (2 * h), rtol=1e-8)
        np.testing.assert_allclose(dd.jacrev(J)(2.0), (J(2.0 + h) - J(2.0 - h)) / (2 * h), rtol=1e-8)
    value, slope = dd.compile(in_a_loop), dd.compile(dd.jacrev(in_a_loop))
    for p in (2.0, 2.0, 3.0, 3.5, 4.0):
        np.testing.assert_array_equal(value(p), in_a_loop(p))
        np.testing.assert_array_equal(slope(p), dd.jacrev(in_a_loop)(p))


def test_a_compiled_gradient_takes_the_branches_of_the_equations() -> None:
    def f(p: Any) -> Any:
        return so.brentq(lambda x: cubic(x, p) if p > 2.5 else cubic(x, 2 * p), 0, 1)

    compiled = dd.compile(dd.grad(f))
    for p in (2.0, 2.0, 2.0, 2.1, 3.0, 3.0, 2.2):
        assert compiled(p) == dd.grad(f)(p)


def test_functions_that_are_not_differentiated_may_be_anything() -> None:
    def f(p: Any) -> Any:
        w = so.minimize(lambda x: float(math.fsum((x - 1) ** 2)), np.zeros(2), bounds=[(0, 0.5)] * 2).x
        return so.brentq(lambda x: cubic(x, p), 0, 1) * w.sum()

    assert dd.grad(f)(2.0) == pytest.approx(SLOPE)


def test_entry_by_entry() -> None:
    elementwise = pytest.importorskip("scipy.optimize.elementwise")
    p = np.array([1.0, 2.0])

    def f(p: Any) -> Any:
        roots = elementwise.find_root(lambda x, p: x**3 + p * x - 1, (0.0, 1.0), args=(p,))
        least = elementwise.find_minimum(lambda x, p: (x - p) ** 4 + (x - p) ** 2 + x, (-3.0, 1.0, 6.0), args=(p,))
        assert roots.success.all()
        return np.concatenate([roots.x, least.f_x])

    x = f(p)[:2]
    for jac in (dd.jacfwd, dd.jacrev):
        found = jac(f)(p)
        np.testing.assert_allclose(found[:2], np.diag(-x / (3 * x * x + p)), rtol=1e-8)
        np.testing.assert_allclose(
            found[2:], np.eye(2), atol=1e-6
        )  # the minimum moves with p, and the line x adds its own
    with pytest.raises(UnsupportedFunctionError, match="bracket"):
        dd.grad(lambda p: elementwise.find_root(lambda x: x - p, (0.0, 1.0)).bracket[0])(0.3)
