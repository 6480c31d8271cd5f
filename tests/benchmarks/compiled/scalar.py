"""Small functions of single numbers: what a call costs beside its arithmetic, and how long compiling takes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import fsolve

import dualdiff as dd
from dualdiff.lab.problems import equations, scalar
from tests.benchmarks.compiled.entrants import compiled, run_compiled, tiers
from tests.benchmarks.compiled.workload import COMPILED, OPERATOR, Bar, Derivative, Maker, Task, Workload, as_it_is


def spherical(x: Any) -> Any:
    r, t, p = x
    return np.array([r * np.sin(t) * np.cos(p), r * np.sin(t) * np.sin(p), r * np.cos(t)])


def spherical_by_hand(x: Any) -> Any:
    r, t, p = x
    st, ct, sp, cp = np.sin(t), np.cos(t), np.sin(p), np.cos(p)
    return np.array([[st * cp, r * ct * cp, -r * st * sp], [st * sp, r * ct * sp, r * st * cp], [ct, -r * st, 0.0]])


def spherical_by_loops(x: Any) -> Any:
    r, st, ct, sp, cp = x[0], np.sin(x[1]), np.cos(x[1]), np.sin(x[2]), np.cos(x[2])
    J = np.empty((3, 3))
    J[0, 0], J[0, 1], J[0, 2] = st * cp, r * ct * cp, -r * st * sp
    J[1, 0], J[1, 1], J[1, 2] = st * sp, r * ct * sp, r * st * cp
    J[2, 0], J[2, 1], J[2, 2] = ct, -r * st, 0.0
    return J


def rosenbrock_by_loops(x: Any) -> Any:
    g = np.zeros(x.size)
    for i in range(x.size - 1):
        valley = 200 * (x[i + 1] - x[i] * x[i])
        g[i] -= 2 * valley * x[i] + 2 * (1 - x[i])
        g[i + 1] += valley
    return g


def rosenbrock_by_hand(x: Any) -> Any:
    g = np.zeros(x.size)
    valley = 200 * (x[1:] - x[:-1] ** 2)
    g[:-1] = -2 * valley * x[:-1] - 2 * (1 - x[:-1])
    g[1:] += valley
    return g


def rosenbrock_in_a_loop(x: Any) -> Any:
    total = 0.0
    for i in range(x.size - 1):
        total = total + 100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
    return total


def two_equations(x: Any) -> Any:
    return np.array([x[0] * np.cos(x[1]) - 4, x[0] * x[1] - x[1] - 5])


def two_equations_by_hand(x: Any) -> Any:
    return np.array([[np.cos(x[1]), -x[0] * np.sin(x[1])], [x[1], x[0] - 1]])


def drag(v: Any, *, density: float) -> Any:
    return -0.5 * density * v * np.sqrt(v @ v)


def drag_by_hand(v: Any, *, density: float) -> Any:
    speed = np.sqrt(v @ v)
    return -0.5 * density * (np.eye(3) * speed + v[:, np.newaxis] * v / speed)


def workloads(tiny: bool = False) -> list[Workload]:
    """Return the family."""
    n = 6 if tiny else 100
    few, many = (4, 6) if tiny else (22, 214)
    arm, flux, heart = scalar.robot_arm(), scalar.roe_flux(), scalar.heart_dipole()
    fast = (Bar(0.2), Bar(0.5, "CasADi C"))
    return [
        Derivative(
            name="spherical coordinates, 3 × 3",
            function=spherical,
            x=np.array([1.5, 0.4, 0.8]),
            by_hand=spherical_by_hand,
            by_loops=spherical_by_loops,
            symbols=True,
            differences=True,
            bars=fast,
        ),
        _rosenbrock("gradient of Rosenbrock's function, 10", equations.rosenbrock_objective(10).function, 10, fast),
        _rosenbrock(f"the same in a scalar loop, {n}", rosenbrock_in_a_loop, n, (Bar(0.3), Bar(0.5, "CasADi C"))),
        _by_keyword(),
        *[
            Derivative(
                name=name,
                function=case.function,
                x=np.array(case.point),
                by_hand=case.jacobian,
                symbols=True,
                differences=True,
                bars=(Bar(0.1, "2-point"),),
            )
            for name, case in (("robot arm, 6 × 6", arm), ("Roe's flux, 3 × 6", flux), ("heart dipole, 8 × 8", heart))
        ],
        Derivative(
            name="two equations, 2 × 2",
            function=two_equations,
            x=np.array([1.0, 1.0]),
            by_hand=two_equations_by_hand,
            symbols=True,
            differences=True,
            bars=(Bar(0.1, "2-point"),),
        ),
        _solved(),
        _rosenbrock(
            "a scalar loop of about 300 operations", rosenbrock_in_a_loop, few, (Bar(20, COMPILED),), in_jax=False
        ),
        _rosenbrock(
            "a scalar loop of about 3000 operations", rosenbrock_in_a_loop, many, (Bar(300, COMPILED),), in_jax=False
        ),
    ]


def _rosenbrock(name: str, function: Any, n: int, bars: tuple[Bar, ...], in_jax: bool = True) -> Derivative:
    return Derivative(
        name=name,
        function=function,
        x=np.array(equations.rosenbrock_objective(n).point),
        wanted="gradient",
        by_hand=rosenbrock_by_hand,
        by_loops=rosenbrock_by_loops,
        symbols=True,
        in_jax=in_jax,
        differences=True,
        bars=bars,
    )


def _by_keyword() -> Task:
    """An argument that is given by name."""
    v = np.array([3.0, -1.0, 2.0])

    def ours(tier: str) -> Any:
        derivative = dd.jacobian(drag)
        if tier != OPERATOR:
            derivative = compiled(derivative, tier)
            run_compiled(derivative, v, density=1.2)
        return partial(derivative, v, density=1.2), as_it_is

    ways: dict[str, Maker] = {tier: partial(ours, tier) for tier in (OPERATOR, *tiers())}
    ways["NumPy"] = lambda: (partial(drag_by_hand, v, density=1.2), as_it_is)
    return Task(name="drag by a keyword, 3 × 3", ways=ways, bars=(Bar(1.5),))


def _solved() -> Task:
    """The whole of SciPy's solver, with each Jacobian."""

    def ours(tier: str) -> Any:
        f, derivative = two_equations, dd.jacobian(two_equations)
        if tier != OPERATOR:
            f, derivative = compiled(f, tier), compiled(derivative, tier)
            run_compiled(f, start)
            run_compiled(derivative, start)
        return partial(fsolve, f, start, fprime=derivative), as_it_is

    start = np.array([1.0, 1.0])
    ways: dict[str, Maker] = {tier: partial(ours, tier) for tier in (OPERATOR, *tiers())}
    ways["2-point"] = lambda: (partial(fsolve, two_equations, start), as_it_is)
    ways["NumPy"] = lambda: (partial(fsolve, two_equations, start, fprime=two_equations_by_hand), as_it_is)
    return Task(name="fsolve of the two equations, whole", ways=ways)
