"""The whole account of one problem, as data, as tables and as JSON."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dualdiff.lab.comparison import Comparison, compare
from dualdiff.lab.fits import Fit, fit
from dualdiff.lab.problems import Problem
from dualdiff.lab.tables import Table

__all__ = ["Report", "fits_table", "methods_table", "record", "report", "summary_table"]


@dataclass(frozen=True, slots=True)
class Report:
    """What was found out about a problem.

    Attributes
    ----------
    problem : Problem
    comparison : Comparison
        The methods for its Jacobian at the start of the fit.
    fits : tuple of Fit
        The fit with exact derivatives, then with finite differences.
    """

    problem: Problem
    comparison: Comparison
    fits: tuple[Fit, ...]

    @property
    def agree(self) -> bool:
        """Whether all exact methods agree."""
        return self.comparison.agree


def report(problem: Problem, *, rounds: int = 9) -> Report:
    """Compare the methods for a problem's Jacobian at its start, and fit it.

    Parameters
    ----------
    problem : Problem
    rounds : int
        How many turns each method gets on the clock.

    Returns
    -------
    Report
    """
    return Report(
        problem=problem,
        comparison=compare(problem.residual, problem.start, by_hand=problem.jacobian, rounds=rounds),
        fits=(fit(problem), fit(problem, "2-point")),
    )


def methods_table(found: Report) -> Table:
    """Return what each method for the Jacobian costs and how far it is from forward mode."""
    return Table(
        title="The Jacobian, method by method",
        columns=("method", "time", "time / f", "difference", "verdict"),
        rows=tuple(
            (
                method.name,
                _duration(method.seconds),
                _ratio(method.evaluations),
                f"{method.difference:.1e}",
                "agrees" if method.agrees else "DISAGREES" if method.exact else "inaccurate",
            )
            for method in found.comparison.methods
        ),
    )


def fits_table(found: Report) -> Table:
    """Return where the fits arrived."""
    known = "parameters" if found.problem.certified is not None else "observations"
    return Table(
        title=f"The fit (digits that agree with the certified {known})",
        columns=("Jacobian", "solver", "evaluations", "sum of squares", "converged", "digits"),
        rows=tuple(
            (
                fitted.jacobian,
                fitted.method,
                str(fitted.evaluations),
                f"{fitted.rss:.10e}",
                "yes" if fitted.converged else "no",
                f"{fitted.digits:.1f}",
            )
            for fitted in found.fits
        ),
    )


def summary_table(reports: Iterable[Report]) -> Table:
    """Return one row a problem: the choice, times in evaluations of f, and the digits of the fit."""
    timed = ("auto", "forward", "reverse", "by hand", "2-point")
    return Table(
        title="In evaluations of f",
        columns=("problem", "m x n", "chosen", *timed, "digits"),
        rows=tuple(
            (
                found.problem.name,
                f"{found.problem.outputs} x {found.problem.inputs}",
                found.comparison.plan.chosen,
                *(
                    # A method may be missing: SciPy's differences are behind a private name.
                    next((_ratio(row.evaluations) for row in found.comparison.methods if row.name == name), "-")
                    for name in timed
                ),
                f"{found.fits[0].digits:.1f}",
            )
            for found in reports
        ),
    )


def record(found: Report) -> dict[str, Any]:
    """Return the report as plain dicts, lists, numbers and strings, as JSON has them.

    Times are in seconds. What is not finite is None: JSON has no name for it.
    """
    problem, comparison, plan = found.problem, found.comparison, found.comparison.plan
    return {
        "name": problem.name,
        "title": problem.title,
        "source": problem.source,
        "inputs": problem.inputs,
        "outputs": problem.outputs,
        "seconds": comparison.seconds,
        "agree": comparison.agree,
        "plan": {
            "chosen": plan.chosen,
            "reason": plan.reason,
            "ways": [
                {
                    "name": way.name,
                    "sweeps": int(way.sweeps),
                    "multiplications": way.multiplications and way.multiplications.count,
                    "bytes": int(way.bytes),
                    "seconds": _finite(way.seconds),
                }
                for way in plan.ways
            ],
        },
        "methods": [
            {
                "name": method.name,
                "exact": method.exact,
                "seconds": method.seconds,
                "evaluations": method.evaluations,
                "difference": _finite(method.difference),
                "tolerance": method.tolerance,
                "agrees": method.agrees,
            }
            for method in comparison.methods
        ],
        "fits": [
            {
                "jacobian": fitted.jacobian,
                "method": fitted.method,
                "parameters": [_finite(value) for value in fitted.parameters],
                "rss": _finite(fitted.rss),
                "evaluations": fitted.evaluations,
                "converged": fitted.converged,
                "digits": fitted.digits,
            }
            for fitted in found.fits
        ],
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _ratio(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 1e-9:.0f} ns"
