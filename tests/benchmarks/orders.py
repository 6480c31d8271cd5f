"""Orders of vertex elimination: the rules, what is printed, and what a search finds; every order is proved by its Jacobian."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from dualdiff.lab import graph
from dualdiff.lab.problems import scalar
from dualdiff.lab.problems.case import Case
from dualdiff.lab.problems.gas import roe_flux_3d
from dualdiff.lab.problems.greeks import black_scholes_greeks
from dualdiff.lab.problems.learning import perceptron_loss
from dualdiff.passes.elimination import anneal, eliminate

Row = dict[str, Any]
EVALUATIONS = 500_000
SEEDS = range(3)

SAME: tuple[tuple[Case, int], ...] = (
    (scalar.roe_flux(shifted=False), 320),
    (scalar.robot_arm(), 231),
    (scalar.heart_dipole(), 148),
    (scalar.propane_combustion(), 88),
)
"""Programs whose graph is that of the published comparison, with what was learned (arXiv:2406.05027)."""
OTHERS: tuple[tuple[Case, None], ...] = (
    (scalar.roe_flux(), None),
    (roe_flux_3d(), None),
    (black_scholes_greeks(), None),
    (perceptron_loss(), None),
)
"""Programs that have no published number, or one of another graph only."""


def orders(evaluations: int = EVALUATIONS) -> list[Row]:
    """Multiplications of a Jacobian by orders of elimination: rules, learned in print, annealed from three seeds, and what all take."""
    rows = []
    for case, learned in (*SAME, *OTHERS):
        drawn = graph(case.function, case.point)
        counts, least = drawn.counts(), drawn.lower_bound()
        begun = time.process_time()
        searches = SEEDS if counts.best.multiplications > least else ()  # where a rule is as cheap as can be
        found = [anneal(drawn.graph, evaluations=evaluations, seed=seed) for seed in searches]
        seconds = (time.process_time() - begun) / len(SEEDS)
        best = min([counts.best, *found], key=lambda count: count.multiplications)
        wanted = case.jacobian(case.point) if case.jacobian is not None else None
        error = np.max(np.abs(eliminate(drawn.graph, best.order).jacobian() - wanted)) / np.max(np.abs(wanted))
        if not error < 1e-12:
            raise RuntimeError(f"{case.name}: the order found gives another Jacobian, by {error:.1e}")
        rows.append(
            {
                "program": case.name,
                "vertices": len(drawn.order),
                **{name: counts[name].multiplications for name in ("forward", "reverse", "markowitz")},
                "best rule": counts.best.multiplications,
                "learned": learned,
                "found": best.multiplications,
                "at least": least,
                "by seed": " ".join(str(count.multiplications) for count in found) or None,
                "CPU s a search": round(seconds, 1) if found else None,
                "error of J": f"{error:.0e}",
            }
        )
    return rows
