"""Whole solves by ``dualdiff.scipy.optimize`` over the same solves by SciPy without derivatives.

The small fits are of exponentials and peaks, each of data sets of its own, as in a loop over pixels: the first fit of a process and
later ones are told apart. Times are the thread's processor time, and ratios those of medians of interleaved solves.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import thread_time
from typing import Any

import numpy as np
import scipy.optimize as plain

from dualdiff.scipy import optimize as exact
from dualdiff.scipy.optimize import derivatives

Row = dict[str, Any]
LATER = 20
"""Solves after which a solve is a later one."""


def decay(t: Any, a: Any, k: Any) -> Any:
    return a * np.exp(-k * t)


def decay_to(t: Any, a: Any, k: Any, c: Any) -> Any:
    return a * np.exp(-k * t) + c


def peak(t: Any, a: Any, m: Any, s: Any, c: Any) -> Any:
    return a * np.exp(-(((t - m) / s) ** 2) / 2) + c


def decays(t: Any, a1: Any, k1: Any, a2: Any, k2: Any, a3: Any, k3: Any) -> Any:
    return a1 * np.exp(-k1 * t) + a2 * np.exp(-k2 * t) + a3 * np.exp(-k3 * t)


def peaks(t: Any, a: Any, b: Any, a1: Any, m1: Any, s1: Any, a2: Any, m2: Any, s2: Any, k: Any, c: Any) -> Any:
    first = a1 * np.exp(-(((t - m1) / s1) ** 2) / 2)
    return a + b * t + first + a2 * np.exp(-(((t - m2) / s2) ** 2) / 2) + k * np.cos(c * t)


_TEN = [1.0, 0.2, 2.0, 1.0, 0.3, 1.0, 3.0, 0.4, 0.3, 2.0], [0.9, 0.1, 1.8, 1.1, 0.35, 1.1, 2.9, 0.35, 0.25, 1.9]
SMALL: tuple[tuple[Any, int, list[float], list[float]], ...] = (
    (decay, 20, [2.0, 0.7], [1.0, 1.0]),
    (decay_to, 50, [2.0, 0.7, 0.5], [1.0, 1.0, 0.0]),
    (peak, 200, [2.0, 2.0, 0.5, 0.3], [1.5, 1.8, 0.7, 0.0]),
    (decays, 200, [2.0, 0.3, 1.0, 2.0, 3.0, 8.0], [1.8, 0.25, 1.2, 1.8, 2.7, 7.0]),
    (peaks, 200, *_TEN),
    (peaks, 2000, *_TEN),
)
"""Models, points, true parameters and starts."""


def ratio(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = 15) -> float:
    """Return the median time of one call over that of the other, taking turns."""
    times: tuple[list[float], list[float]] = [], []
    for k in range(2 * rounds):
        which = (k + k // 2) % 2
        begun = thread_time()
        (ours, theirs)[which]()
        times[which].append(thread_time() - begun)
    return statistics.median(times[0]) / statistics.median(times[1])


def _first(ours: Callable[[], Any], theirs: Callable[[], Any]) -> float:
    """Return the ratio of solves that nothing is known of."""

    def forgetful() -> None:
        derivatives._KEPT.clear()
        ours()

    return ratio(forgetful, theirs)


def _small(model: Any, points: int, true: list[float], start: list[float]) -> Row:
    t, rng = np.linspace(0.0, 4.0, points), np.random.default_rng(0)

    def data() -> Any:
        return model(t, *true) + 0.02 * rng.standard_normal(points)

    def squares(solver: Any, method: str) -> Callable[[], Any]:
        def solve() -> Any:
            y = data()
            return solver(lambda b: model(t, *b) - y, start, method=method)

        return solve

    def curve(solver: Any) -> Callable[[], Any]:
        return lambda: solver(model, t, data(), start)

    row: Row = {"fit": f"{len(start)} × {points}"}
    for name, ours, theirs in (
        ("trf", squares(exact.least_squares, "trf"), squares(plain.least_squares, "trf")),
        ("lm", squares(exact.least_squares, "lm"), squares(plain.least_squares, "lm")),
        ("curve_fit", curve(exact.curve_fit), curve(plain.curve_fit)),
    ):
        row[f"{name}, first"] = _first(ours, theirs)
        for _ in range(LATER):
            ours()
        row[f"{name}, later"] = ratio(ours, theirs)
    return row


def _large() -> list[Row]:
    """Fits and minima with many unknowns."""
    rng = np.random.default_rng(0)
    t, centres = np.linspace(0, 20, 2000), np.arange(20.0)

    def lines(b: Any) -> Any:
        return np.exp(-((t - centres[:, None] - b[20:, None]) ** 2)).T @ b[:20]

    measured = lines(np.concatenate([1 + rng.random(20), 0.2 * rng.random(20)])) + 0.01 * rng.standard_normal(2000)
    where = np.repeat(np.arange(200), 4)
    seen = np.sin(where / 50.0) + 0.01 * rng.standard_normal(800)

    def spectrum(b: Any) -> Any:
        return lines(b) - measured

    def smooth(levels: Any) -> Any:
        return np.concatenate([levels[where] - seen, 3.0 * np.diff(levels, 2)])

    def chain(x: Any) -> Any:
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    start = np.concatenate([np.ones(20), np.zeros(20)])
    low = np.full(100, 0.9)
    solves = (
        ("spectrum, 40 × 2000, lm", "least_squares", (spectrum, start), {"method": "lm"}),
        ("smoothing, 200 × 998", "least_squares", (smooth, np.zeros(200)), {}),
        ("Rosenbrock, 100, BFGS", "minimize", (chain, low), {"options": {"maxiter": 30}}),
        ("Rosenbrock, 100, L-BFGS-B", "minimize", (chain, low), {"method": "L-BFGS-B", "options": {"maxiter": 30}}),
    )

    def solving(solver: Any, given: Any, options: Any) -> Callable[[], Any]:
        return lambda: solver(*given, **options)

    return [
        {
            "solve": name,
            "exact/SciPy's differences": ratio(
                solving(getattr(exact, solver), given, options),
                solving(getattr(plain, solver), given, options),
                rounds=3,
            ),
        }
        for name, solver, given, options in solves
    ]


def solvers() -> list[Row]:
    """Whole fits and minima, exact derivatives over SciPy's own differences."""
    return [*[_small(*case) for case in SMALL], *_large()]
