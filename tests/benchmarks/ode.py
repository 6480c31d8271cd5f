"""Whole solutions of stiff equations by ``dualdiff.scipy.integrate.solve_ivp`` over SciPy's own, and derivatives of solutions over them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.integrate

import dualdiff as dd
from dualdiff.scipy import integrate
from tests.benchmarks.stiff import brusselator

Row = dict[str, Any]


def robertson(t: float, y: Any, a: float = 0.04, b: float = 1e4, c: float = 3e7) -> Any:
    """Return the slopes of three substances, one of them very quick."""
    first, last = -a * y[0] + b * y[1] * y[2], c * y[1] ** 2
    return [first, -first - last, last]


def van_der_pol(t: float, y: Any, stiffness: float = 1e3) -> Any:
    """Return the slopes of an oscillator that relaxes."""
    return [y[1], stiffness * (1 - y[0] ** 2) * y[1] - y[0]]


def hires(t: float, y: Any) -> Any:
    """Return the slopes of eight substances in a plant that light makes grow."""
    slope = np.zeros(8)
    slope[0] = -1.71 * y[0] + 0.43 * y[1] + 8.32 * y[2] + 0.0007
    slope[1] = 1.71 * y[0] - 8.75 * y[1]
    slope[2] = -10.03 * y[2] + 0.43 * y[3] + 0.035 * y[4]
    slope[3] = 8.32 * y[1] + 1.71 * y[2] - 1.12 * y[3]
    slope[4] = -1.745 * y[4] + 0.43 * y[5] + 0.43 * y[6]
    slope[5] = -280 * y[5] * y[7] + 0.69 * y[3] + 1.71 * y[4] - 0.43 * y[5] + 0.69 * y[6]
    slope[6] = 280 * y[5] * y[7] - 1.81 * y[6]
    slope[7] = -slope[6]
    return slope


def _brusselator(places: int) -> tuple[Any, float, Any]:
    at = np.arange(1, places + 1) / (places + 1)
    start = np.full(2 * places, 3.0)
    start[0::2] = 1 + np.sin(2 * np.pi * at)
    return brusselator, 10.0, start


SYSTEMS = {
    "Robertson": (robertson, 1e5, np.array([1.0, 0, 0])),
    "van der Pol": (van_der_pol, 2000.0, np.array([2.0, 0.0])),
    "HIRES": (hires, 321.8, np.array([1.0, 0, 0, 0, 0, 0, 0, 0.0057])),
    **{f"Brusselator of {n} places": _brusselator(n) for n in (20, 50, 100)},
}
TOLERANCES = {"rtol": 1e-6, "atol": 1e-9}


def _least(ways: dict[str, Callable[[], Any]], rounds: int = 5) -> dict[str, float]:
    """Return the least processor time of each, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append(time.process_time() - start)
    return {name: min(found) for name, found in times.items()}


def ode() -> list[Row]:
    """``solve_ivp`` of stiff equations: processor time over that of SciPy without ``jac`` (the least of five)."""
    rows = []
    for name, (fun, end, start) in SYSTEMS.items():
        row: Row = {"what": name, "unknowns": len(start)}
        for method in ("Radau", "BDF", "LSODA"):
            options = {"method": method, **TOLERANCES}
            times = _least(
                {
                    "SciPy": lambda f=fun, t=end, y=start, o=options: scipy.integrate.solve_ivp(f, (0, t), y, **o),
                    "exact": lambda f=fun, t=end, y=start, o=options: integrate.solve_ivp(f, (0, t), y, **o),
                }
            )
            row[method] = times["exact"] / times["SciPy"]
        rows.append(row)
    return rows


def _costs(f: Callable[[Any], Any], point: Any) -> dict[str, float]:
    points = [point, *(point + 1e-6 * np.diag(point))]
    ways = {
        "one": lambda: f(point),
        "gradient": lambda: dd.grad(f)(point),
        "forward": lambda: dd.jacfwd(f)(point),
        "differences": lambda: [f(p) for p in points],
    }
    return _least(ways, rounds=3)


def ode_derivatives() -> list[Row]:
    """A gradient of the end of a solution, and two-point differences of it, by two or three parameters: over one solution."""

    def orbit(p: Any, method: str) -> Any:
        fun = lambda t, y: [y[2], y[3], *(-p[1] * y[:2] / (y[0] ** 2 + y[1] ** 2) ** 1.5)]  # noqa: E731
        found = scipy.integrate.solve_ivp(fun, (0, 10), [1.0, 0.0, 0.0, p[0]], method=method, rtol=1e-8, atol=1e-10)
        return found.y[0, -1]

    def kinetics(p: Any, method: str) -> Any:
        fun = lambda t, y: robertson(t, y, *p)  # noqa: E731
        options = {"method": method, "rtol": 1e-6, "atol": [1e-10, 1e-13, 1e-10]}
        return scipy.integrate.solve_ivp(fun, (0, 40), [1.0, 0, 0], **options).y[2, -1]

    rows = []
    for f, point, methods in (
        (orbit, np.array([1.1, 1.0]), ("RK45", "DOP853", "LSODA")),
        (kinetics, np.array([0.04, 1e4, 3e7]), ("Radau", "BDF", "LSODA")),
    ):
        for method in methods:
            times = _costs(functools.partial(f, method=method), point)
            one = times.pop("one")
            rows.append({"what": f"{f.__name__}, {method}", "ms": 1e3 * one, **{k: t / one for k, t in times.items()}})
    return rows


__all__ = ["ode", "ode_derivatives"]
