"""What a comparison found: a row a method, and the tables that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from dualdiff.lab import tables
from dualdiff.lab.agreement import Agreement
from dualdiff.lab.catalogue import Work
from dualdiff.lab.conditions import Conditions
from dualdiff.lab.oracle import Oracle
from dualdiff.lab.tables import Table, said_ratio, said_seconds
from dualdiff.lab.timing import Times
from dualdiff.ways import Explanation
from dualdiff.ways.choice import said_bytes

__all__ = ["Comparison", "Outcome", "Row"]

Outcome = Literal["done", "failed", "refused", "not run"]


@dataclass(frozen=True, slots=True)
class Row:
    """One method's work, times and accuracy.

    Attributes
    ----------
    name : str
    exact : bool
        Whether it is off by rounding alone, so that a larger difference is an error.
    tolerance : float
        How far from the oracle it may be.
    work : Work
        What was counted or predicted.
    times : Times or None
        What the clock showed; None if it was not run.
    evaluations : float or None
        Its least time over that of one evaluation of f.
    accuracy : Agreement or None
        How far from the oracle it is.
    peak : int or None
        Bytes by which a process grew while it ran, where that was asked for.
    outcome : {"done", "failed", "refused", "not run"}
        Whether there is a Jacobian; a method that is wrong on a problem whose Jacobian is known is refused.
    failure : str
        Why there is none.
    """

    name: str
    exact: bool
    tolerance: float
    work: Work
    times: Times | None = None
    evaluations: float | None = None
    accuracy: Agreement | None = None
    peak: int | None = None
    outcome: Outcome = "done"
    failure: str = ""

    @property
    def agrees(self) -> bool | None:
        """Whether it is as near the oracle as it should be; None if it has no Jacobian."""
        return False if self.outcome == "refused" else None if self.accuracy is None else self.accuracy.agrees

    @property
    def verdict(self) -> str:
        """The same in a word."""
        if self.outcome != "done":
            return self.outcome.upper() if self.agrees is False else self.outcome
        return "agrees" if self.agrees else "DISAGREES" if self.exact else "inaccurate"


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(tables.Tabular):
    """The methods for the Jacobian of one function at one point. Prints as tables.

    Attributes
    ----------
    function : str
        The function's name.
    outputs, inputs : int
        The shape of the Jacobian.
    times : Times
        Those of one evaluation of f.
    rows : tuple of Row
        One a method.
    oracle : Oracle
        What they were held against.
    plan : Explanation or None
        The ways `dualdiff.jacobian` saw, and which it chose; None where it cannot record the function.
    conditions : Conditions
        Where it was measured.
    """

    function: str
    outputs: int
    inputs: int
    times: Times
    rows: tuple[Row, ...]
    oracle: Oracle
    plan: Explanation | None
    conditions: Conditions

    @property
    def agree(self) -> bool:
        """Whether all exact methods that gave a Jacobian agree, none was refused, and there is one; differences have no vote."""
        votes = [row.agrees for row in self.rows if row.exact and row.agrees is not None]
        return all(votes) and (bool(votes) or all(not row.exact for row in self.rows))

    @property
    def disagreeing(self) -> tuple[Row, ...]:
        """The exact methods that do not agree."""
        return tuple([row for row in self.rows if row.exact and row.agrees is False])

    def __getitem__(self, name: str) -> Row:
        """Return the row of the method of that name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    @property
    def tables(self) -> tuple[Table, ...]:
        """What was counted, and what came out."""
        head = f"{self.function}: {self.outputs} outputs by {self.inputs} inputs"
        return (self._counted(head), self._measured(f"one evaluation takes {said_seconds(self.times.minimum)}"))

    def _counted(self, head: str) -> Table:
        with_peak = any(row.peak is not None for row in self.rows)
        columns = ("method", "passes", "multiplications", "additions", "nonlinear", "tape", "predicted")
        rows = []
        for row in self.rows:
            work = row.work
            count = work.multiplications
            cells = (
                row.name,
                _number(work.passes),
                "-" if count is None else str(count),
                _number(None if count is None else count.additions),
                _number(work.nonlinear),
                _bytes(work.tape),
                _bytes(work.predicted),
            )
            rows.append((*cells, _bytes(row.peak)) if with_peak else cells)
        notes = [self.plan.reason] if self.plan is not None else []
        return Table(head, (*columns, "peak") if with_peak else columns, tuple(rows), tuple(notes))

    def _measured(self, head: str) -> Table:
        columns = (
            "method",
            "first",
            "least",
            "median",
            "IQR",
            "least / f",
            "largest error",
            "mean error",
            "not finite",
            "",
        )
        rows = []
        for row in self.rows:
            t, a = row.times, row.accuracy
            rows.append(
                (
                    row.name,
                    *(("-",) * 4 if t is None else _times(t)),
                    "-" if row.evaluations is None else said_ratio(row.evaluations),
                    *(("-",) * 2 if a is None else (f"{a.largest:.1e}", f"{a.mean:.1e}")),
                    "-" if a is None else f"{a.infinite}{f', {a.apart} apart' if a.apart else ''}",
                    row.verdict,
                )
            )
        why: dict[str, list[str]] = {}
        for row in self.rows:
            if row.failure:
                why.setdefault(row.failure, []).append(row.name)
        notes = [f"{'; '.join(names)}: {failure}" for failure, names in why.items()]
        notes += [f"oracle: {self.oracle}", str(self.conditions)]
        return Table(head, columns, tuple(rows), tuple(notes), (0, len(columns) - 1))

    def records(self) -> list[dict[str, Any]]:
        """Return one mapping a method: times in seconds, memory in bytes."""
        found = []
        for row in self.rows:
            work, t, a = row.work, row.times, row.accuracy
            count = work.multiplications
            found.append(
                {
                    "method": row.name,
                    "exact": row.exact,
                    "passes": work.passes,
                    "evaluations": work.evaluations,
                    "multiplications": count and count.count,
                    "multiplications_exact": count and count.exact,
                    "additions": count and count.additions,
                    "nonlinear": work.nonlinear,
                    "tape_bytes": work.tape,
                    "predicted_bytes": work.predicted,
                    "peak_bytes": row.peak,
                    "first": t and t.first,
                    "least": t and t.minimum,
                    "median": t and t.median,
                    "iqr": t and t.spread,
                    "over_f": row.evaluations,
                    "largest_error": a and a.largest,
                    "mean_error": a and a.mean,
                    "not_finite": a and a.infinite,
                    "tolerance": row.tolerance,
                    "agrees": row.agrees,
                    "outcome": row.outcome,
                    "failure": row.failure or None,
                }
            )
        return found

    def document(self) -> dict[str, Any]:
        """Return everything as plain mappings, lists, numbers and strings."""
        return {
            "function": self.function,
            "outputs": self.outputs,
            "inputs": self.inputs,
            "seconds_of_f": self.times.minimum,
            "agree": self.agree,
            "chosen": None if self.plan is None else self.plan.chosen,
            "reason": None if self.plan is None else self.plan.reason,
            "oracle": {
                "name": self.oracle.name,
                "columns": len(self.oracle.columns),
                "unknown": self.oracle.unknown,
            },
            "methods": self.records(),
            "conditions": self.conditions.document(),
        }

    def plot(self, path: Any = None) -> Any:
        """Draw time against error, a point a method; write it to a file if a path is given.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        from dualdiff.lab.plots import plot_comparison

        return plot_comparison(self, path)


def _times(t: Times) -> tuple[str, ...]:
    # Of very few turns there are no quartiles.
    spread = said_seconds(t.spread) if len(t.samples) > 3 else "-"
    return (said_seconds(t.first), said_seconds(t.minimum), said_seconds(t.median), spread)


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _bytes(value: int | None) -> str:
    return "-" if value is None else said_bytes(value)
