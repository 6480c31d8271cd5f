"""A stiff equation solved with exact Jacobians, with SciPy's differences, and with differences coloured by our pattern."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

import dualdiff as dd
from tests.benchmarks.peers import medians

Row = dict[str, Any]


def brusselator(t: float, y: Any) -> Any:
    """Return the right-hand side of two substances that react and diffuse along a line, those of a place side by side."""
    u, v = y[0::2], y[1::2]
    slope = np.empty_like(y)
    diffusion = 0.02 * (len(y) / 2 + 1) ** 2
    slope[0::2] = 1 + u**2 * v - 4 * u + diffusion * np.diff(np.pad(u, 1, constant_values=1.0), 2)
    slope[1::2] = 3 * u - u**2 * v + diffusion * np.diff(np.pad(v, 1, constant_values=3.0), 2)
    return slope


def stiff() -> list[Row]:
    """``solve_ivp`` of a Brusselator: processor time over that with SciPy's dense differences (medians of turns)."""
    rows = []
    for method in ("BDF", "Radau"):
        for places in (100, 400):
            at = np.arange(1, places + 1) / (places + 1)
            start = np.empty(2 * places)
            start[0::2], start[1::2] = 1 + np.sin(2 * np.pi * at), 3.0
            jac = dd.jacobian(brusselator, argnums=1, sparse=True)
            pattern = jac(0.0, start) != 0
            done: dict[str, Any] = {}

            def solve(name: str, start: Any = start, method: str = method, done: Any = done, **how: Any) -> None:
                done[name] = solve_ivp(brusselator, (0.0, 10.0), start, method=method, rtol=1e-6, atol=1e-8, **how)

            times = medians(
                {
                    "exact": lambda solve=solve, jac=jac: solve("exact", jac=jac),
                    "dense differences": lambda solve=solve: solve("dense differences"),
                    "coloured differences": lambda solve=solve, p=pattern: solve(
                        "coloured differences", jac_sparsity=p
                    ),
                },
                rounds=3,
            )
            for name, found in done.items():
                np.testing.assert_allclose(found.y[:, -1], done["exact"].y[:, -1], rtol=1e-4, err_msg=name)
            rows.append(
                {
                    "what": f"{method}, {2 * places} unknowns",
                    "Jacobians": done["exact"].njev,
                    "factorisations": done["exact"].nlu,
                    "exact, s": times["exact"],
                    "exact/dense": times["exact"] / times["dense differences"],
                    "coloured/dense": times["coloured differences"] / times["dense differences"],
                }
            )
    return rows
