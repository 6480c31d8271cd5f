"""Compiled programs: whole calls of a derivative, recorded once, beside the operator itself and SciPy's 2-point differences."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np
from scipy.optimize._numdiff import approx_derivative

import dualdiff as dd
from dualdiff.lab.problems import chains, equations, fitting, learning, mechanics, scalar
from tests.benchmarks.loops import START, _by_scalars, _filtered
from tests.benchmarks.peers import medians

Row = dict[str, Any]


def _spherical(x: Any) -> Any:
    r, t, p = x
    return np.array([r * np.sin(t) * np.cos(p), r * np.sin(t) * np.sin(p), r * np.cos(t)])


def _cases() -> list[tuple[str, Callable[[Any], Any], Callable[..., Any], Any]]:
    def of(case: Any, operator: Callable[..., Any]) -> tuple[str, Callable[[Any], Any], Callable[..., Any], Any]:
        return case.name, case.function, operator, np.array(case.point)

    return [
        ("spherical, 3 x 3", _spherical, dd.jacobian, np.array([1.5, 0.4, 0.8])),
        of(equations.rosenbrock_objective(10), dd.grad),
        of(equations.rosenbrock_objective(1000), dd.grad),
        of(equations.rosenbrock_objective(1_000_000), dd.grad),
        ("lorenz, 200 steps, scalars", _by_scalars, dd.jacobian, START),
        ("kalman filter, 100 steps", _filtered, dd.jacobian, np.array([0.1, 0.5])),
        of(scalar.robot_arm(), dd.jacobian),
        of(scalar.roe_flux(), dd.jacobian),
        of(scalar.heart_dipole(), dd.jacobian),
        of(equations.rosenbrock_loop(100), dd.jacobian),
        of(fitting.gaussians(1000, 3), dd.jacobian),
        of(fitting.gaussians(100_000, 3), dd.jacobian),
        of(mechanics.planar_arm(100), dd.jacobian),
        of(learning.lstm_cell(32, 64), dd.jacobian),
        of(chains.dense_map(5000, 5), dd.jacobian),
    ]


def programs() -> list[Row]:
    """Whole calls in microseconds: the operator, its program, and 2-point differences; and what the first call takes."""
    rows = []
    for name, f, operator, x in _cases():
        derivative = operator(f)
        program = dd.compile(derivative, check_every=None)
        expected = derivative(x)
        start = process_time()
        found = program(x)
        first = process_time() - start
        size = np.max(np.abs(expected))
        if not np.allclose(program(x), found, rtol=0, atol=1e-13 * size) or not np.allclose(
            found, expected, rtol=0, atol=1e-13 * size
        ):
            raise SystemExit(f"{name}: the program gives something else")
        calls: dict[str, Callable[[], Any]] = {
            "operator": lambda d=derivative, x=x: d(x),
            "program": lambda p=program, x=x: p(x),
        }
        if x.size <= 1000:
            calls["2-point"] = lambda f=f, x=x: approx_derivative(f, x, method="2-point")
        times = {name: 1e6 * seconds for name, seconds in medians(calls).items()}
        report = program.explain(x)
        rows.append(
            {
                "function": name,
                "operator, us": times["operator"],
                "program, us": times["program"],
                "2-point, us": times.get("2-point"),
                "operator / program": times["operator"] / times["program"],
                "2-point / program": times["2-point"] / times["program"] if "2-point" in times else None,
                "runs as": f"{report.operations} {'operations' if report.tier == 'scalars' else 'calls'}",
                "first call, ms": 1e3 * first,
            }
        )
    return rows
