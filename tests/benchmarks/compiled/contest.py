"""The contest: who gives the right answer is timed in turns, and ours is held against the bars."""

from __future__ import annotations

import gc
import math
import os
import resource
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Any

import numpy as np
from scipy.sparse import issparse

from dualdiff.lab.timing import interleaved
from tests.benchmarks.compiled.entrants import LeftOutError, RunsEagerlyError, entrants
from tests.benchmarks.compiled.workload import (
    COLUMNS,
    COMPILED,
    FLAT,
    IN_PLACE,
    LLVM,
    MICROSECONDS,
    OURS,
    Bar,
    Derivative,
    Workload,
)

Row = dict[str, Any]
ROUNDS, BLOCK, SECONDS = 25, 1e-3, 4.0
"""Turns of each call, seconds of a turn, and about how many seconds the turns of a workload take together."""
PATIENCE = 25.0
"""Seconds of a tier's first call after which the next is not tried: it would begin with the same."""
EAGER, WRONG, MACHINE = "eager", "wrong", "machine code"
COMPILED_PEERS = ("jax.jit", "asdex", "CasADi C")


@dataclass
class Outcome:
    """What came of one workload: seconds by column, a word instead where there are none, and what is to be said."""

    name: str
    bars: tuple[Bar, ...]
    times: dict[str, float] = field(default_factory=dict)
    firsts: dict[str, float] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    tier: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def ours(self) -> str | None:
        """The column that is held against the bars: the best tier that there is; a program that runs eagerly is the operator."""
        return next((column for column in OURS if column in self.times), None)

    def found(self, bar: Bar) -> float | None:
        """Return what ours takes, in the bar's unit."""
        if bar.of == COMPILED:
            if self.tier != MACHINE or FLAT not in self.firsts:
                return None
            return 1e3 * max(self.firsts[LLVM] - self.firsts[FLAT], 0.0)
        if bar.of == MICROSECONDS:
            return self.times[self.ours] * 1e6 if self.ours else None
        return self.over(bar.of)

    def over(self, column: str) -> float | None:
        """Return our time over that of a column."""
        return self.times[self.ours] / self.times[column] if self.ours and column in self.times else None

    @property
    def paid_back(self) -> int | None:
        """After how many calls the first one is paid back by what each of the others saves against differences."""
        ours = next((column for column in (LLVM, FLAT) if column in self.times), None)
        if ours is None or "2-point" not in self.times or self.times["2-point"] <= self.times[ours]:
            return None
        return math.ceil(self.firsts[ours] / (self.times["2-point"] - self.times[ours]))


def held(w: Workload) -> Outcome:
    """Set everybody up, compare the answers, time those that agree with the operator."""
    outcome = Outcome(w.name, w.bars)
    calls: dict[str, Any] = {}
    kept: list[Any] = []  # what reads a result holds on to the buffers that it lies in
    seconds: dict[str, float] = {}
    expected: Any = None
    again = any(bar.of == COMPILED for bar in w.bars)
    makers = entrants(w) if isinstance(w, Derivative) else dict(w.ways)
    for column, maker in makers.items():
        try:
            if column == LLVM and outcome.firsts.get(FLAT, 0.0) > PATIENCE:
                raise LeftOutError(f"the first call of the other tier took {outcome.firsts[FLAT]:.0f} s")
            if again and column in OURS:  # what is compiled first imports what compiles
                maker()
            start = _processors()
            call, read = maker()
            call()
            if column != IN_PLACE:  # compiled already
                outcome.firsts[column] = _processors() - start
            start = process_time()
            answer = read(call())
            seconds[column] = process_time() - start
        except RunsEagerlyError as error:
            outcome.words[column] = EAGER
            if not any(note.endswith(str(error)) for note in outcome.notes):
                outcome.notes.append(f"{column} runs eagerly: {error}")
            continue
        except LeftOutError as error:
            outcome.notes.append(f"{column} is left out: {error}")
            continue
        except Exception as error:
            outcome.words[column] = type(error).__name__
            outcome.notes.append(f"{column}: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
            continue
        if expected is None:
            expected = answer
        apart = difference(answer, expected)
        if not apart <= (1e-4 if column == "2-point" and isinstance(w, Derivative) else w.rtol):
            outcome.words[column] = WRONG
            outcome.notes.append(f"{column} differs from {next(iter(makers))} by {apart:.1e}")
            continue
        if column == LLVM and isinstance(w, Derivative):
            outcome.tier = call.func.explain(w.x).tier
        calls[column] = call
        kept.append(read)
    gc.collect()
    gc.disable()
    try:
        found = interleaved(calls, rounds=ROUNDS, block=BLOCK, seconds=SECONDS, first=seconds, clock=process_time)
    finally:
        gc.enable()
    outcome.times = {column: times.minimum for column, times in found.items()}
    return outcome


def _processors() -> float:
    """Return the seconds that this process and those it has started, compilers of C among them, have taken of the processors."""
    taken = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(t.ru_utime + t.ru_stime for t in taken)


def difference(answer: Any, expected: Any) -> float:
    """Return the largest difference of two results over the largest entry; infinite where the shapes differ."""
    if np.shape(answer) != np.shape(expected):
        return np.inf
    if issparse(expected):
        scale, apart = abs(expected).max(), abs(answer - expected)
        return float(apart.max() / scale) if apart.nnz else 0.0
    a, b = np.asarray(answer), np.asarray(expected)
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b))) if b.size else 0.0


@contextmanager
def one_processor() -> Iterator[None]:
    """Keep this process, and the threads that it is to start, to one processor.

    A thread that runs on another one is charged late, by the tick: the least time of a call that leaves its work to such a thread can be
    a third of what it takes.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def contest(workloads: Iterable[Workload]) -> list[Outcome]:
    """Hold one workload after the other, on one processor; what fails is said, and the rest goes on."""
    with one_processor():
        return _contest(workloads)


def _contest(workloads: Iterable[Workload]) -> list[Outcome]:
    outcomes = []
    for w in workloads:
        start = perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                outcomes.append(held(w))
            except Exception as error:
                outcomes.append(Outcome(w.name, w.bars, notes=[f"{type(error).__name__}: {error}"]))
        print(f"  {w.name}: {perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return outcomes


# -- tables ----------------------------------------------------------------------------------------


def tables(families: Mapping[str, list[Outcome]], said: Iterable[str] = ()) -> list[Row]:
    """Return the rows of the tables: times, ratios and first calls of each family, then all bars, and notes."""
    rows: list[Row] = []
    for family, outcomes in families.items():
        there = [c for c in COLUMNS if any(c in o.times or c in o.words for o in outcomes)]
        rows += [
            {f"{family}: a call, µs": o.name}
            | {c: _rounded(o.times[c] * 1e6) if c in o.times else o.words.get(c) for c in there}
            for o in outcomes
        ]
        rows += [
            {f"{family}: ours over theirs": o.name, "ours": o.ours}
            | {c: _rounded(ratio) if (ratio := o.over(c)) is not None else None for c in there if c not in (FLAT, LLVM)}
            for o in outcomes
        ]
        rows += [
            {f"{family}: first call, ms": o.name}
            | {c: _rounded(o.firsts[c] * 1e3) if c in o.firsts else None for c in there if c != IN_PLACE}
            | {"LLVM runs as": o.tier, "paid back after": o.paid_back}
            for o in outcomes
        ]
    everything = [o for outcomes in families.values() for o in outcomes]
    rows += [_held(o, bar) for o in everything for bar in o.bars]
    notes = [f"{o.name}: {note}" for o in everything for note in o.notes]
    return rows + [{"notes": note} for note in (*notes, *_together(everything), *said)]


def _held(outcome: Outcome, bar: Bar) -> Row:
    found = outcome.found(bar)
    unit = bar.of if bar.of in (MICROSECONDS, COMPILED) else f"× {bar.of}"
    return {
        "bar": outcome.name,
        "at most": f"{bar.most:.3g} {unit}",
        "found": None if found is None else _rounded(found),
        "holds": "-" if found is None else "yes" if found <= bar.most else "NO",
    }


def _together(outcomes: Iterable[Outcome]) -> list[str]:
    """Say in one number where ours stands against the best of the compiled peers."""
    best = [max(ratios) for o in outcomes if (ratios := [r for c in COMPILED_PEERS if (r := o.over(c)) is not None])]
    if not best:
        return []
    mean = float(np.exp(np.mean(np.log(best))))
    return [
        f"ours over the best of {', '.join(COMPILED_PEERS)}: {mean:.2g}, the geometric mean of {len(best)} workloads"
    ]


def _rounded(x: float) -> float | int:
    return round(x) if x >= 100 else float(f"{x:.2g}")
