"""Scalar loops: where SciPy's 2-point differences are ahead, beside the same shapes written in arrays, where they are not.

A step of a scalar loop costs Python about a microsecond, in plain NumPy as in a recording; what a derivative adds is two or three of
them. A difference adds nothing but the loop, once a column: with few columns it cannot be caught up with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff import lab
from dualdiff.lab.problems import chains, equations, fitting, learning, mechanics, scalar

Row = dict[str, Any]

STEPS = 200
"""Steps of the integration."""


def _integrated(slope: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the state after steps of the classical Runge-Kutta method."""

    def run(p: Any) -> Any:
        h = 0.005
        for _ in range(STEPS):
            k1 = slope(p)
            k2 = slope(p + h / 2 * k1)
            k3 = slope(p + h / 2 * k2)
            k4 = slope(p + h * k3)
            p = p + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return p

    return run


def _in_a_new_array(p: Any) -> Any:
    x, y, z = p
    return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])


def _stacked(p: Any) -> Any:
    x, y, z = p[0], p[1], p[2]
    return np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])


def _filled(p: Any) -> Any:
    d = np.zeros_like(p)
    d[0] = 10 * (p[1] - p[0])
    d[1] = p[0] * (28 - p[2]) - p[1]
    d[2] = p[0] * p[1] - 8 / 3 * p[2]
    return d


def _by_scalars(p: Any) -> Any:
    """Return the state after the same steps, every number by itself."""

    def slope(x: Any, y: Any, z: Any) -> Any:
        return 10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z

    def moved(p: Any, h: float, k: Any) -> Any:
        return tuple([a + h * b for a, b in zip(p, k, strict=True)])

    p, h = (p[0], p[1], p[2]), 0.005
    for _ in range(STEPS):
        k1 = slope(*p)
        k2 = slope(*moved(p, h / 2, k1))
        k3 = slope(*moved(p, h / 2, k2))
        k4 = slope(*moved(p, h, k3))
        p = tuple([a + h / 6 * (b + 2 * c + 2 * d + e) for a, b, c, d, e in zip(p, k1, k2, k3, k4, strict=True)])
    return np.array(p)


def _filtered(theta: Any) -> Any:
    """Return the innovations of a Kalman filter of one number, by the variances of its two noises."""
    mean, variance = 0.0, 1.0
    found = []
    for y in np.sin(np.arange(100) / 7):
        variance = variance + theta[0]
        gain = variance / (variance + theta[1])
        found.append(y - mean)
        mean, variance = mean + gain * (y - mean), (1 - gain) * variance
    return np.array(found)


START = np.array([1.0, 2.0, 20.0])


def _functions() -> list[tuple[str, str, Callable[[Any], Any], Any]]:
    cases = [
        ("loop", scalar.robot_arm()),
        ("loop", scalar.roe_flux()),
        ("loop", scalar.propane_combustion()),
        ("loop", scalar.heart_dipole()),
        ("loop", equations.rosenbrock_loop(200)),
        ("loop", chains.speelpenning(500)),
        ("arrays", mechanics.planar_arm(100)),
        ("arrays", learning.lstm_cell(32, 64)),
        ("arrays", fitting.gaussians(1000, 3)),
        ("arrays", equations.trigonometric(500)),
        ("arrays", chains.dense_map(5000, 5)),
    ]
    return [
        ("loop", f"lorenz, {STEPS} steps, np.array([...])", _integrated(_in_a_new_array), START),
        ("loop", f"lorenz, {STEPS} steps, np.stack", _integrated(_stacked), START),
        ("loop", f"lorenz, {STEPS} steps, zeros_like filled", _integrated(_filled), START),
        ("loop", f"lorenz, {STEPS} steps, scalars", _by_scalars, START),
        ("loop", "kalman filter, 100 steps", _filtered, np.array([0.1, 0.5])),
        *[(kind, case.name, case.function, np.array(case.point)) for kind, case in cases],
    ]


def loops() -> list[Row]:
    """Scalar loops and arrays: times in evaluations of f, and dualdiff's choice over SciPy's 2-point differences."""
    rows = []
    for kind, name, f, x in _functions():
        asked = ["auto", "forward", "reverse", "2-point", "3-point"]
        found = lab.compare(f, x, methods=asked, seconds=15, rounds=200, progress=False)
        if not found.agree:
            raise SystemExit(f"{name}: {', '.join(row.name for row in found.disagreeing)} is wrong")
        over_f = {row.name: row.evaluations for row in found.rows}
        auto, difference = over_f["auto"], over_f["2-point"]
        rows.append(
            {
                "function": name,
                "written in": kind,
                "m x n": f"{found.outputs} x {found.inputs}",
                "f": lab.tables.said_seconds(found.times.minimum),
                **{f"{key} / f": over_f[key] for key in asked},
                "auto / 2-point": auto / difference if auto and difference else None,
                "2-point error": found["2-point"].accuracy and found["2-point"].accuracy.largest,
            }
        )
    return rows
