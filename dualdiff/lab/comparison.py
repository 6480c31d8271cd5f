"""Several methods for one Jacobian, side by side: each is run, timed in turns, and held against an oracle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from dualdiff.errors import DerivativeError, InputError
from dualdiff.lab.agreement import agreement, difference
from dualdiff.lab.catalogue import Method, Work
from dualdiff.lab.catalogue import methods as methods_of
from dualdiff.lab.conditions import conditions
from dualdiff.lab.memory import peaks
from dualdiff.lab.oracle import Oracle
from dualdiff.lab.oracle import oracle as oracle_of
from dualdiff.lab.outcome import Comparison, Outcome, Row
from dualdiff.lab.progress import progress as bar
from dualdiff.lab.subject import Subject
from dualdiff.lab.tables import said_seconds
from dualdiff.lab.timing import Times, interleaved
from dualdiff.lab.verification import MethodError
from dualdiff.operators.calls import Argnums
from dualdiff.ways import Explanation

__all__ = ["Comparison", "Row", "compare", "difference"]

SECONDS = 10.0
"""The time that a comparison takes, if nothing else is said."""
PATIENCE = 4.0
"""A Jacobian, or an oracle, that would take longer than that time over this number is not waited for."""
QUICK = 100.0
"""The first runs stop at half of that time; those that take less than it over this number are made all the same."""

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
        Names of methods or of their groups ("ways", "programs", "orders", "differences", "own"), functions
        ``(f, *args) -> J``, or a mapping of names to such functions. By default all that are registered and apply.
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
