"""Several methods for one Jacobian, side by side: what each takes, and whether it is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any, Literal

import numpy as np

from dualdiff.errors import DerivativeError, InputError
from dualdiff.lab import tables
from dualdiff.lab.agreement import Agreement, agreement, difference
from dualdiff.lab.catalogue import Method, Work
from dualdiff.lab.catalogue import methods as methods_of
from dualdiff.lab.conditions import Conditions, conditions
from dualdiff.lab.memory import peaks
from dualdiff.lab.oracle import Oracle
from dualdiff.lab.oracle import oracle as oracle_of
from dualdiff.lab.progress import progress as bar
from dualdiff.lab.subject import Subject
from dualdiff.lab.tables import Table, said_ratio, said_seconds
from dualdiff.lab.timing import Times, interleaved
from dualdiff.lab.verification import MethodError
from dualdiff.operators.calls import Argnums
from dualdiff.ways import Explanation
from dualdiff.ways.choice import said_bytes

__all__ = ["Comparison", "Row", "compare", "difference"]

Outcome = Literal["done", "failed", "refused", "not run"]

SECONDS = 10.0
"""The time that a comparison takes, if nothing else is said."""
PATIENCE = 4.0
"""A Jacobian, or an oracle, that would take longer than that time over this number is not waited for."""
QUICK = 100.0
"""The first runs stop at half of that time; those that take less than it over this number are made all the same."""


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
        columns = ("method", "first", "least", "median", "IQR", "/ f", "largest error", "mean error", "not finite", "")
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
        return Table(head, columns, tuple(rows), tuple(notes))

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
            "conditions": {**asdict(self.conditions), "versions": dict(self.conditions.versions)},
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


# --------------------------------------------------------------------------------------------------


_F = ""
"""The key of the function itself among the calls that are timed: no method is called so."""


@dataclass(slots=True)
class _Trial:
    """A method under way."""

    method: Method
    work: Work
    call: Callable[[], Any] | None = None
    matrix: Any = None
    first: float = 0.0
    outcome: Outcome = "done"
    failure: str = ""


def compare(
    f: Callable[..., Any],
    *args: Any,
    methods: Any = None,
    oracle: Any = None,
    argnums: Argnums | None = None,
    seconds: float = SECONDS,
    rounds: int = 9,
    memory: bool = False,
    seed: int = 0,
    progress: bool | None = None,
) -> Comparison:
    """Compute one Jacobian by every method, count and time the work, and hold each result against an oracle.

    Parameters
    ----------
    f : callable
        A function of NumPy code. Arguments and results may be scalars, arrays of any shape, and nested structures.
    *args
        Where the Jacobian is wanted.
    methods : optional
        Names of methods or of their groups ("ways", "orders", "differences", "own"), functions ``(f, *args) -> J``, or a
        mapping of names to such functions. By default all that are registered and apply.
    oracle : str, callable or array, optional
        What they are held against: "complex", "extended" or "differences", a function ``(f, *args) -> J``, or the Jacobian.
        By default the complex step where differences confirm that the function is analytic, in extended precision where
        it takes that; otherwise extrapolated differences, with their error bars.
    argnums : int, str or sequence of them, optional
        Which arguments to differentiate by; all by default.
    seconds : float
        About how long it may take. A method that would take a quarter of it for one Jacobian is not run, and its row says
        so; an oracle that would take longer looks at some columns, drawn at random.
    rounds : int
        How many turns each method gets at most. All take turns, after a first run and one more to warm up.
    memory : bool
        Run each method once more in a fresh process, and say by how much that grew (on Linux).
    seed : int
        The seed of all that is drawn.
    progress : bool, optional
        Whether to draw a bar; by default on a terminal where rich is installed.

    Returns
    -------
    Comparison
        It prints as two tables, the counted and the measured; `agree` says whether the exact methods are right.

    Raises
    ------
    InputError
        If a method or an oracle is unknown, or the function is complex.

    Notes
    -----
    A method that raises is a row that says why. *Passes* are directions pushed, covectors pulled or colours, and for
    differences columns. *Multiplications* and *additions* are those of partial derivatives, counted on the linearised graph in
    the unit of vertex elimination (:mod:`dualdiff.passes.multiplications`), *nonlinear* the nonlinear evaluations in all runs
    of f. Errors are relative to the largest entry of the column, or of the row where there are more columns than rows; entries that
    are not finite agree where they are equal.

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff import lab
    >>> def f(x, scale):
    ...     return {"sum": np.sum(x) * scale, "waves": np.sin(scale * x)}
    >>> found = lab.compare(f, np.array([1.0, 2.0, 3.0]), 0.5, methods=["ways", "2-point"], rounds=1)
    >>> found.agree
    True
    >>> found["2-point"].work.passes
    4
    """
    if not seconds > 0:
        raise InputError(f"seconds={seconds!r} must be a positive number of seconds")
    if rounds < 1:
        raise InputError(f"rounds={rounds!r} must be at least 1")
    start = perf_counter()
    subject = Subject(f, args, argnums)
    rng = np.random.default_rng(seed)
    calls: dict[str, Callable[[], Any]] = {_F: lambda: subject.f(*subject.args)}
    with np.errstate(all="ignore"):
        of_f = interleaved(calls, rounds=3, seconds=seconds / PATIENCE)[_F]
        chosen = methods_of(methods, subject)
        with bar(len(chosen) * (1 + rounds) + 1, subject.name, progress) as step:
            step("oracle")
            most = seconds / PATIENCE / max(of_f.minimum, 1e-9)
            truth = oracle_of(subject, oracle, most=most, rng=rng)
            trials = []
            for m in chosen:
                step(m.name)
                late = perf_counter() - start > seconds / 2
                trials.append(_tried(m, subject, of_f.minimum, seconds / (QUICK if late else PATIENCE)))
            running = {t.method.name: t for t in trials if t.call is not None}
            calls |= {name: t.call for name, t in running.items() if t.call is not None}
            firsts = {_F: of_f.first, **{name: t.first for name, t in running.items()}}
            left = seconds - (perf_counter() - start)
            clock = interleaved(calls, rounds=rounds, seconds=left, first=firsts, progress=step)
    peak = peaks({name: t.method for name, t in running.items()}, subject) if memory else {}
    others = next((t.matrix for t in trials if t.matrix is not None and t.method.exact), None)
    unit = min(clock[_F].minimum, of_f.minimum)
    return Comparison(
        function=subject.name,
        outputs=subject.m,
        inputs=subject.n,
        times=clock[_F],
        rows=tuple([_row(t, clock.get(t.method.name), unit, truth, others, subject, peak) for t in trials]),
        oracle=truth,
        plan=_plan(subject),
        conditions=conditions(seed),
    )


def _tried(m: Method, subject: Subject, unit: float, most: float) -> _Trial:
    """Prepare a method and run it for the first time, unless that would take too long."""
    trial = _Trial(m, Work())
    expected = None
    with suppress(Exception):  # said better by the run itself
        expected = m.seconds(subject)
        if expected is None or expected <= most:
            trial.work = m.work(subject)
    if expected is None:
        expected = max(trial.work.seconds or 0.0, (trial.work.evaluations or 0) * unit)
    if expected > most:
        trial.outcome, trial.failure = "not run", f"it would take about {said_seconds(expected)}; allow more seconds="
        return trial
    try:
        call = m.prepared(subject)
        start = perf_counter()
        found = call()
        trial.first = perf_counter() - start
        trial.matrix, trial.call = subject.matrix(found), call
    except MethodError as error:
        trial.outcome, trial.failure = "refused", _first_line(error)
    except Exception as error:  # whatever it is: the row says it
        said = _first_line(error)
        trial.outcome = "failed"
        trial.failure = said if isinstance(error, DerivativeError) else f"{type(error).__name__}: {said}"
    return trial


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _row(
    trial: _Trial,
    times: Times | None,
    unit: float,
    truth: Oracle,
    others: Any,
    subject: Subject,
    peak: Mapping[str, Any],
) -> Row:
    m = trial.method
    precision = float(np.finfo(subject.dtype).eps / np.finfo(float).eps)
    tolerance = m.tolerance * max(precision, 1.0) ** (2 / 3)
    accuracy = None
    if trial.matrix is not None:
        reference = trial.matrix if others is None else others
        accuracy = agreement(trial.matrix, truth, reference, tolerance, m.exact)
    return Row(
        name=m.name,
        exact=m.exact,
        tolerance=tolerance,
        work=trial.work,
        times=times,
        evaluations=None if times is None else times.minimum / max(unit, 1e-12),
        accuracy=accuracy,
        peak=peak.get(m.name),
        outcome=trial.outcome,
        failure=trial.failure,
    )


def _plan(subject: Subject) -> Explanation | None:
    try:
        return subject.plan
    except Exception:  # the rows of the ways say why
        return None
