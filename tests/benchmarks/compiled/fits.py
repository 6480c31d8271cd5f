"""Whole fits: SciPy's ``least_squares`` with a compiled residual and Jacobian, beside its own differences."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import least_squares

import dualdiff as dd
from dualdiff.lab.problems import fitting
from tests.benchmarks.compiled.entrants import compiled, run_compiled, tiers
from tests.benchmarks.compiled.workload import OPERATOR, Bar, Maker, Task, Workload
from tests.benchmarks.installed import installed


def saturation(p: Any, *, dose: Any, seen: Any) -> Any:
    return p[0] * dose / (p[1] + dose) - seen


def saturation_by_hand(p: Any, *, dose: Any, seen: Any) -> Any:
    share = dose / (p[1] + dose)
    return np.stack([share, -p[0] * share / (p[1] + dose)], axis=1)


def growth(p: Any, *, t: Any, seen: Any) -> Any:
    return p[0] / (1 + np.exp(-p[1] * (t - p[2]))) - seen


def growth_by_hand(p: Any, *, t: Any, seen: Any) -> Any:
    share = 1 / (1 + np.exp(-p[1] * (t - p[2])))
    slope = p[0] * share * (1 - share)
    return np.stack([share, slope * (t - p[2]), -p[1] * slope], axis=1)


def _fit(name: str, residual: Any, by_hand: Any, start: Any, method: str = "trf") -> Task:
    """Return a fit by each of our tiers, by hand, by differences, and by JAX, with one of SciPy's methods."""

    def ours(tier: str) -> Any:
        f, jac = residual, dd.jacobian(residual)
        if tier != OPERATOR:
            f, jac = compiled(f, tier), compiled(jac, tier)
            run_compiled(f, start)
            run_compiled(jac, start)
        return _solving(f, jac)

    def jax() -> Any:
        from tests.benchmarks.compiled.translation import translated

        module = installed("jax")
        f = translated(residual, module.numpy)
        value, jac = module.jit(f), module.jit(module.jacfwd(f))
        return _solving(lambda p: np.asarray(value(p)), lambda p: np.asarray(jac(p)))

    def _solving(f: Any, jac: Any) -> Any:
        return partial(least_squares, f, start, jac=jac, method=method), lambda found: found.x

    ways: dict[str, Maker] = {tier: partial(ours, tier) for tier in (OPERATOR, *tiers())}
    ways["2-point"] = partial(_solving, residual, "2-point")
    ways["NumPy"] = partial(_solving, residual, by_hand)
    if installed("jax"):
        ways["jax.jit"] = jax
    return Task(name=name, ways=ways, bars=(Bar(0.5, "2-point"),), rtol=1e-5)


def workloads(tiny: bool = False) -> list[Workload]:
    """Return the family."""
    rng = np.random.default_rng(0)
    dose, t = np.linspace(0.2, 8, 8 if tiny else 20), np.linspace(-4, 6, 10 if tiny else 100)
    taken = {"dose": dose, "seen": 3 * dose / (1.5 + dose) + 0.02 * rng.standard_normal(dose.size)}
    grown = {"t": t, "seen": 2 / (1 + np.exp(-1.3 * (t - 0.7))) + 0.02 * rng.standard_normal(t.size)}
    decay, peaks = fitting.exponential_decay(20 if tiny else 50), fitting.gaussians(40 if tiny else 200, 3)
    fits = [
        ("saturation", partial(saturation, **taken), partial(saturation_by_hand, **taken), np.array([1.0, 1.0])),
        ("logistic growth", partial(growth, **grown), partial(growth_by_hand, **grown), np.array([1.0, 1.0, 0.0])),
        ("two decays", decay.function, decay.jacobian, np.array(decay.point)),
        ("three Gaussian peaks", peaks.function, peaks.jacobian, np.array(peaks.point)),
    ]
    # The default method is Python: with functions that cost nothing the smallest fit still takes half of what differences do.
    return [
        _fit(f"fit of {name}, {residual(start).size} × {start.size}{said}", residual, by_hand, start, method)
        for method, said, some in (("trf", "", fits), ("lm", ", MINPACK", fits[:1]))
        for name, residual, by_hand, start in some
    ]
