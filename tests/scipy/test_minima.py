"""Minima of ``scipy.optimize`` in code as people write it, held against those that Newton's method has polished."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import scipy.optimize as so

import dualdiff as dd
from dualdiff.errors import DegenerateError, UnsupportedFunctionError

pytestmark = [
    pytest.mark.filterwarnings("ignore::dualdiff.errors.CaptureWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # SciPy's, of the methods' options
    pytest.mark.filterwarnings("ignore::scipy.optimize.OptimizeWarning"),
    pytest.mark.filterwarnings("ignore:delta_grad:UserWarning"),
]


def cost(x: Any, p: Any) -> Any:
    return np.sum((x - p) ** 4 + (x - p) ** 2) + 0.1 * np.sum(x) ** 2


def slope_of(p: Any) -> Any:
    return dd.grad(lambda x: cost(x, p))


def equation(x: Any, p: Any) -> Any:
    return x[0] + x[1] ** 2 - 1 - p[0]


def total(x: Any, p: Any) -> Any:
    return np.sum(x) - 1.5 - p[0]


P = np.array([0.1, 0.5, 2.0])
START = np.full(3, 0.3)
SEEDED: dict[str, Any] = {"rng" if "rng" in inspect.signature(so.basinhopping).parameters else "seed": 0}
BOX = [(0, 1)] * 3
TRUE = {
    "free": dd.argmin(cost, START),
    "box": dd.argmin(cost, START, bounds=(0.0, 1.0)),
    "equation": dd.argmin(cost, START, equality=equation),
    "box and equation": dd.argmin(cost, START, bounds=(0.0, 1.0), equality=total),
    "roof": lambda p: dd.argmin(cost, START, bounds=(None, [9.0, 9.0, p[0]]))(p),
}
WANT = {k: (f(P), dd.jacobian(f)(P), dd.jacfwd(dd.jacrev(f))(P)) for k, f in TRUE.items()}


def minimum(**options: Any) -> Any:
    return lambda p: so.minimize(cost, START, args=(p,), **options).x


#: what is minimised, by which call, and how far off the answer is at most
CALLS: dict[str, tuple[str, Any, float]] = {
    "brute": ("free", lambda p: so.brute(cost, ((-1, 3),) * 3, args=(p,), Ns=4), 1e-3),
    **{
        m: ("free", minimum(method=m, tol=1e-9), 1e-5)
        for m in ("Nelder-Mead", "Powell", "CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP")
    },
    "Newton-CG": (
        "free",
        lambda p: so.minimize(lambda x: cost(x, p), START, method="Newton-CG", jac=slope_of(p)).x,
        1e-5,
    ),
    "trust-exact": (
        "free",
        lambda p: (
            so.minimize(
                lambda x: cost(x, p),
                START,
                method="trust-exact",
                jac=slope_of(p),
                hess=dd.hessian(lambda x: cost(x, p)),
            ).x
        ),
        1e-4,
    ),
    "closed over": ("free", lambda p: so.minimize(lambda x: cost(x, p), START).x, 1e-5),
    "at the answer": ("free", lambda p: so.minimize(lambda x: cost(x, p), WANT["free"][0]).x, 1e-6),
    "with its slope": (
        "free",
        lambda p: (
            so.minimize(lambda x: (cost(x, p), 4 * (x - p) ** 3 + 2 * (x - p) + 0.2 * np.sum(x)), START, jac=True).x
        ),
        1e-5,
    ),
    "fmin": ("free", lambda p: so.fmin(cost, START, (p,), disp=0, xtol=1e-8, ftol=1e-8), 1e-5),
    "fmin_bfgs": ("free", lambda p: so.fmin_bfgs(cost, START, args=(p,), disp=0), 1e-5),
    "fmin_cg": ("free", lambda p: so.fmin_cg(lambda x: cost(x, p), START, disp=0), 1e-5),
    "fmin_ncg": ("free", lambda p: so.fmin_ncg(lambda x: cost(x, p), START, slope_of(p), disp=0), 1e-5),
    "fmin_powell": ("free", lambda p: so.fmin_powell(lambda x: cost(x, p), START, disp=0, xtol=1e-8, ftol=1e-10), 1e-4),
    "fmin_tnc": ("free", lambda p: so.fmin_tnc(lambda x: cost(x, p), START, approx_grad=True, disp=0)[0], 1e-4),
    "fmin_l_bfgs_b": (
        "box",
        lambda p: so.fmin_l_bfgs_b(lambda x: cost(x, p), START, approx_grad=True, bounds=BOX)[0],
        1e-5,
    ),
    "basinhopping": (
        "box",
        lambda p: so.basinhopping(lambda x: cost(x, p), START, niter=1, minimizer_kwargs={"bounds": BOX}, **SEEDED).x,
        1e-5,
    ),
    "differential_evolution": (
        "box",
        lambda p: so.differential_evolution(cost, BOX, (p,), maxiter=3, popsize=5).x,
        1e-4,
    ),
    "direct": ("box", lambda p: so.direct(lambda x: cost(x, p), BOX, maxiter=150).x, 1e-3),
    "shgo": ("box", lambda p: so.shgo(lambda x: cost(x, p), BOX, n=20).x, 1e-5),
    **{
        f"{m} in a box": ("box", minimum(method=m, bounds=BOX, tol=1e-9), 1e-4)
        for m in ("L-BFGS-B", "TNC", "Nelder-Mead", "SLSQP", "trust-constr")
    },
    "Bounds": ("box", minimum(bounds=so.Bounds(0, 1)), 1e-5),
    "Bounds that move": (
        "roof",
        lambda p: so.minimize(cost, START, (p,), bounds=so.Bounds(-9, np.array([9, 9, p[0]]))).x,
        1e-5,
    ),
    "a bound that is differentiated": (
        "roof",
        lambda p: so.minimize(cost, START, (p,), bounds=[(None, 9), (None, 9), (None, p[0])]).x,
        1e-5,
    ),
    "SLSQP, an equation": (
        "equation",
        lambda p: so.minimize(cost, START, (p,), constraints={"type": "eq", "fun": equation, "args": (p,)}).x,
        1e-4,
    ),
    "SLSQP, an inequality that binds": (
        "equation",
        lambda p: (
            so.minimize(
                cost,
                START,
                (p,),
                constraints=[
                    {"type": "ineq", "fun": lambda x: equation(x, p)},
                    {"type": "ineq", "fun": lambda x: 5 - x[0]},
                ],
            ).x
        ),
        1e-4,
    ),
    "trust-constr": (
        "equation",
        lambda p: (
            so.minimize(
                cost,
                START,
                (p,),
                method="trust-constr",
                constraints=so.NonlinearConstraint(lambda x: equation(x, p), 0, 0),
            ).x
        ),
        1e-4,
    ),
    "a box and an equation": (
        "box and equation",
        lambda p: (
            so.minimize(
                cost, START, (p,), bounds=BOX, constraints={"type": "eq", "fun": lambda x: total(x, p)}, tol=1e-10
            ).x
        ),
        1e-3,
    ),
    "fmin_slsqp": (
        "box and equation",
        lambda p: so.fmin_slsqp(lambda x: cost(x, p), START, [lambda x: total(x, p)], bounds=BOX, iprint=0, acc=1e-10),
        1e-3,
    ),
    "fmin_cobyla": ("equation", lambda p: so.fmin_cobyla(cost, START, [equation], args=(p,), rhoend=1e-7), 1e-2),
    "constraints that do not bind": (
        "free",
        lambda p: (
            so.minimize(
                lambda x: cost(x, p),
                START,
                bounds=[(-9, 9)] * 3,
                constraints=so.LinearConstraint(np.ones(3), -np.inf, 9),
                tol=1e-9,
            ).x
        ),
        1e-4,
    ),
}


@pytest.mark.parametrize(("of", "f", "off"), CALLS.values(), ids=CALLS)
def test_minima(of: str, f: Any, off: float) -> None:
    x, J, _ = WANT[of]
    assert np.max(np.abs(f(P) - x)) <= off
    forward, reverse = dd.jacfwd(f)(P), dd.jacrev(f)(P)
    np.testing.assert_allclose(forward, J, atol=5 * off)  # of the order of the solver's own error
    np.testing.assert_allclose(reverse, J, atol=5 * off)


@pytest.mark.parametrize("name", ["BFGS", "L-BFGS-B in a box", "SLSQP, an equation", "a bound that is differentiated"])
def test_second_derivatives_of_minima(name: str) -> None:
    of, f, _ = CALLS[name]
    np.testing.assert_allclose(dd.jacfwd(dd.jacrev(f))(P), WANT[of][2], atol=1e-3)


def test_the_least_value_and_the_slope_at_a_bound() -> None:
    f = lambda p: so.minimize(cost, START, args=(p,), bounds=BOX)  # noqa: E731
    x, J, _ = WANT["box"]
    np.testing.assert_allclose(dd.grad(lambda p: f(p).fun)(P), dd.grad(lambda p: cost(x, p))(P), atol=1e-5)
    want = dd.jacobian(lambda p: slope_of(p)(TRUE["box"](p)))(P)
    np.testing.assert_allclose(dd.jacobian(lambda p: f(p).jac)(P), want, atol=1e-4)
    assert J.shape == want.shape


def test_fields_that_depend_on_the_steps_raise() -> None:
    f = lambda p: so.minimize(cost, START, args=(p,))  # noqa: E731
    with pytest.raises(UnsupportedFunctionError, match="'hess_inv' of this result"):
        dd.jacobian(lambda p: f(p).hess_inv)(P)
    with pytest.raises(UnsupportedFunctionError, match="full_output"):
        dd.jacobian(lambda p: so.fmin_bfgs(cost, START, args=(p,), disp=0, full_output=1)[3])(P)
    assert not np.any(dd.grad(lambda p: np.sum(f(p).x) * f(p).nit * 0)(P))


def test_degenerate_minima_are_refused() -> None:
    f = lambda p: so.minimize(lambda x: np.sum((x - p) ** 2), START, bounds=BOX).x  # noqa: E731
    with pytest.raises(DegenerateError, match="bound of variable 1"):
        dd.jacobian(f)(np.array([0.5, 1.0, 2.0]))


def quartic(x: Any, p: Any) -> Any:
    return (x - p) ** 2 + 0.1 * x**4


OF_ONE = {
    "minimize_scalar": lambda p: so.minimize_scalar(lambda x: quartic(x, p)).x,
    "golden": lambda p: so.minimize_scalar(quartic, args=(p,), method="golden").x,
    "bounded": lambda p: so.minimize_scalar(quartic, bounds=(0, 3), args=(p,)).x,
    "fminbound": lambda p: so.fminbound(quartic, 0, 3, (p,)),
    "brent": lambda p: so.brent(quartic, (p,), brack=(0, 1)),
    "so.golden": lambda p: so.golden(lambda x: quartic(x, p)),
    "an array of one": lambda p: so.minimize(lambda x: quartic(x, p), 1.0).x[0],
}


@pytest.mark.parametrize("f", OF_ONE.values(), ids=OF_ONE)
def test_minima_of_one_variable(f: Any) -> None:
    g = dd.argmin(quartic, 1.0)
    assert dd.grad(f)(1.3) == pytest.approx(dd.grad(g)(1.3), rel=1e-6)
    assert dd.jacfwd(f)(1.3) == pytest.approx(dd.grad(g)(1.3), rel=1e-6)
    assert dd.grad(dd.grad(f))(1.3) == pytest.approx(dd.grad(dd.grad(g))(1.3), rel=1e-5)


def test_the_end_of_an_interval() -> None:
    assert dd.grad(lambda p: so.minimize_scalar(quartic, bounds=(0, p), args=(5.0,)).x)(1.3) == 1.0
    fit = dd.jacobian(lambda p: so.least_squares(lambda z: z - 9.0, np.zeros(3), bounds=so.Bounds(-1, p)).x)
    np.testing.assert_allclose(fit(P), np.eye(3))
    program = dd.jacobian(lambda p: so.milp(-np.arange(1.0, 4), bounds=so.Bounds(-1, p)).x)
    np.testing.assert_allclose(program(P), np.eye(3))
    assert dd.grad(lambda p: so.fminbound(quartic, 0, 1.3, (p,)))(5.0) == 0.0


def test_a_compiled_function_finds_what_binds_anew() -> None:
    f = minimum(bounds=BOX, tol=1e-12)
    compiled = dd.compile(f)
    for p in (P, P, P, P + 0.1, 2 * P, np.array([0.1, 0.5, 0.3])):
        np.testing.assert_array_equal(compiled(p), f(p))
