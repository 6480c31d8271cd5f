"""SciPy's iterative functions, which are looked up before any capture: differentiated step by step they can be silently wrong.

A solver that starts at the answer takes no step, so nothing depends on the parameters: its derivative would be zero. One that
chooses its steps by comparisons has a derivative of those steps, not of the answer. Each is refused as soon as something
differentiated reaches it, as an argument or out of the function it is given; on plain numbers it is SciPy's own.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.capture.active import any_active, is_active, plain_call
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.register import BESIDE, Entry

ROOTS = (
    (
        "scipy.optimize: newton bisect brentq brenth ridder toms748 root_scalar root fsolve fixed_point broyden1 broyden2 anderson "
        "newton_krylov linearmixing diagbroyden excitingmixing"
    ),
    "scipy.optimize.elementwise: find_root bracket_root",
)
MINIMA = (
    (
        "scipy.optimize: minimize minimize_scalar fmin fmin_bfgs fmin_cg fmin_ncg fmin_powell fmin_l_bfgs_b fmin_tnc fmin_slsqp "
        "fmin_cobyla fminbound brent golden bracket brute basinhopping differential_evolution dual_annealing shgo direct least_squares "
        "leastsq curve_fit nnls lsq_linear linprog milp isotonic_regression linear_sum_assignment quadratic_assignment"
    ),
    "scipy.optimize.elementwise: find_minimum bracket_minimum",
)
INTEGRALS = (
    (
        "scipy.integrate: quad quad_vec dblquad tplquad nquad tanhsinh nsum cubature quadrature romberg solve_ivp odeint ode "
        "complex_ode solve_bvp RK23 RK45 DOP853 Radau BDF LSODA"
    ),
)
SYSTEMS = (
    "scipy.sparse.linalg: cg cgs bicg bicgstab gmres lgmres minres qmr gcrotmk tfqmr lsqr lsmr eigs eigsh svds lobpcg",
)
_REMEDY = {
    ROOTS: "Solve with plain numbers, and take one Newton step with the differentiated ones, which has the right derivative: "
    "x = {name}(lambda x: g(x, dd.stop_gradient(p)), …); x = x - g(x, p) / dg_dx",
    MINIMA: "Solve with plain numbers, x = {name}(… dd.stop_gradient(p) …), and take one Newton step on the gradient g with the "
    "differentiated ones: x = x - np.linalg.solve(H, g(x, p)), with H the Hessian at x",
    INTEGRALS: "Its steps are chosen for the value, not for the derivative. Use a rule with fixed points (np.trapezoid, "
    "scipy.integrate.simpson, fixed_quad, Gauss–Legendre nodes of np.polynomial.legendre.leggauss), or fixed steps of Runge and Kutta "
    "for an equation",
    SYSTEMS: "Use np.linalg.solve, eigh or svd with a dense matrix, or differentiate the solution x of A x = b by dx = A⁻¹(db − dA x)",
}


def _holds(x: Any) -> bool:
    """Whether a result of the user's function carries a derivative."""
    return is_active(x) or (type(x) is np.ndarray and x.dtype.char == "O" and any(map(is_active, x.flat)))


def refused(real: Callable[..., Any], name: str, remedy: str) -> Callable[..., Any]:
    """Return what stands for a solver: itself on plain numbers, a refusal as soon as something traced reaches it."""

    def refuse() -> None:
        raise UnsupportedFunctionError(
            f"{where()}: {name} finds its answer by iteration, whose steps are not differentiated: started at the answer it takes "
            f"none, and its derivative would come out as zero. {remedy.format(name=name.rpartition('.')[2])}; or freeze what it is "
            "given on purpose with dd.stop_gradient."
        )

    def watched(f: Any) -> Any:
        @functools.wraps(f, updated=())
        def call(*args: Any, **kwargs: Any) -> Any:
            found = f(*args, **kwargs)
            if _holds(found):
                refuse()
            return found

        return call

    def guard(f: Any) -> Any:
        return watched(f) if inspect.isroutine(f) or isinstance(f, functools.partial) else f

    @functools.wraps(real, updated=())
    def solver(*args: Any, **kwargs: Any) -> Any:
        if any_active(args, kwargs):
            refuse()
        return plain_call(real, map(guard, args), {k: guard(v) for k, v in kwargs.items()})

    return solver


def _listed() -> list[tuple[str, str, str]]:
    found = []
    for lists, remedy in _REMEDY.items():
        for text in lists:
            module, _, names = text.partition(": ")
            found += [(module, name, remedy) for name in names.split()]
    return found


def rows() -> list[Entry]:
    """Return how the register would know the iterative functions that this SciPy has: all of them refused."""
    found = []
    for module, name, remedy in _listed():
        real = getattr(importlib.import_module(module), name, None)
        if real is not None and not inspect.isclass(real):
            reason = (
                f"it finds its answer by iteration, whose steps are not differentiated. {remedy.format(name='solve')}"
            )
            found.append(Entry(real, f"{module}.{name}", "refused", reason=reason))
    return found


BESIDE.append(rows)
NAMES = frozenset(name for _, name, _ in _listed())
"""The names of all iterative functions of SciPy."""
MODULES = frozenset(module for module, _, _ in _listed())


def solvers() -> dict[Any, Any]:
    """Return the stand-in for each iterative function of the SciPy modules imported so far."""
    found: dict[Any, Any] = {}
    for module, name, remedy in _listed():
        real = getattr(sys.modules.get(module), name, None)
        if real is not None and not inspect.isclass(real):
            found[real] = refused(real, f"{module}.{name}", remedy)
    return found


__all__ = ["MODULES", "NAMES", "refused", "solvers"]
