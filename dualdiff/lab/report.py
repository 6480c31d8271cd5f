"""The whole account of one problem, as data, as tables and as JSON."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dualdiff.lab.catalogue import Given
from dualdiff.lab.comparison import Comparison, Row, compare
from dualdiff.lab.fits import Fit, fit
from dualdiff.lab.problems import Problem
from dualdiff.lab.tables import Table, finite, said_ratio, said_seconds
from dualdiff.ways import Explanation

SECONDS = 3.0
"""The time that the turns on the clock take for one problem."""

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
    by_hand = Given(name="by hand", call=lambda _, b: problem.jacobian(b))
    return Report(
        problem=problem,
        comparison=compare(
            problem.residual,
            problem.start,
            methods=["ways", by_hand, "2-point", "3-point"],
            rounds=rounds,
            seconds=SECONDS,
        ),
        fits=(fit(problem), fit(problem, "2-point")),
    )


def methods_table(found: Report) -> Table:
    """Return what each method for the Jacobian takes and how far it is from the oracle."""
    rows = found.comparison.rows
    return Table(
        title="The Jacobian, method by method",
        columns=("method", "passes", "multiplications", "time", "time / f", "largest error", "verdict"),
        rows=tuple(
            (
                row.name,
                "-" if row.work.passes is None else f"{row.work.passes:,}",
                "-" if row.work.multiplications is None else str(row.work.multiplications),
                "-" if row.times is None else said_seconds(row.times.minimum),
                "-" if row.evaluations is None else said_ratio(row.evaluations),
                "-" if row.accuracy is None else f"{row.accuracy.largest:.1e}",
                row.verdict,
            )
            for row in rows
        ),
        notes=(
            f"errors are relative to the size of the terms; oracle: {found.comparison.oracle}",
            *(f"{row.name}: {row.failure}" for row in rows if row.failure),
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
                "-" if found.comparison.plan is None else found.comparison.plan.chosen,
                *(
                    # A method may be missing: SciPy's differences are behind a private name.
                    next((_evaluations(row) for row in found.comparison.rows if row.name == name), "-")
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
    document: dict[str, Any] = finite(_document(problem, comparison, plan, found.fits))
    return document


def _document(
    problem: Problem, comparison: Comparison, plan: Explanation | None, fits: Iterable[Fit]
) -> dict[str, Any]:
    return {
        "name": problem.name,
        "title": problem.title,
        "source": problem.source,
        "inputs": problem.inputs,
        "outputs": problem.outputs,
        "seconds": comparison.times.minimum,
        "agree": comparison.agree,
        "plan": plan
        and {
            "chosen": plan.chosen,
            "reason": plan.reason,
            "ways": [
                {
                    "name": way.name,
                    "sweeps": int(way.sweeps),
                    "multiplications": way.multiplications and way.multiplications.count,
                    "bytes": int(way.bytes),
                    "seconds": way.seconds,
                }
                for way in plan.ways
            ],
        },
        "methods": [
            {
                "name": row.name,
                "exact": row.exact,
                "seconds": row.times and row.times.minimum,
                "evaluations": row.evaluations,
                "difference": row.accuracy and row.accuracy.largest,
                "tolerance": row.tolerance,
                "agrees": row.agrees,
                "failure": row.failure or None,
            }
            for row in comparison.rows
        ],
        "oracle": str(comparison.oracle),
        "fits": [
            {
                "jacobian": fitted.jacobian,
                "method": fitted.method,
                "parameters": fitted.parameters.tolist(),
                "rss": fitted.rss,
                "evaluations": fitted.evaluations,
                "converged": fitted.converged,
                "digits": fitted.digits,
            }
            for fitted in fits
        ],
    }


def _evaluations(row: Row) -> str:
    return "-" if row.evaluations is None else said_ratio(row.evaluations)
