"""Why a way was chosen: all ways with their costs, and the reason in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from dualdiff.dual import CrowdedError
from dualdiff.passes.multiplications import Multiplications
from dualdiff.ways.base import WAYS, Way
from dualdiff.ways.choice import bytes_of, choose, fitted, price, said_bytes
from dualdiff.ways.decisions import ChangedError, carry_out, recorded, settled_way
from dualdiff.ways.options import Options
from dualdiff.ways.problem import Problem, check_real, check_sparse
from dualdiff.ways.program import Program


@dataclass(frozen=True, slots=True)
class Estimate:
    """One way to a Jacobian and what it would cost.

    Attributes
    ----------
    way : Way
        The way.
    multiplications : Multiplications or None
        How many products of partial derivatives it takes, in the unit of vertex elimination: exact, or at most so many;
        None for ways that multiply none.
    bytes : int
        Peak memory beside the function's own values, the result included.
    seconds : float
        Estimated time, in seconds, beyond one evaluation of the function.
    measured : float or None
        Measured time of the whole call, in seconds.
    """

    way: Way
    multiplications: Multiplications | None
    bytes: int
    seconds: float
    measured: float | None = None

    @property
    def name(self) -> str:
        """The name of the way."""
        return self.way.name

    @property
    def sweeps(self) -> int:
        """Directions it carries: columns pushed (or evaluated), rows pulled."""
        return self.way.sweeps


@dataclass(frozen=True, slots=True)
class Explanation:
    """The ways to a Jacobian with their costs, the one chosen, and the reason in a sentence. Prints as a table."""

    ways: tuple[Estimate, ...]
    chosen: str
    reason: str
    inputs: int
    outputs: int
    equations: int
    executor: str = ""
    """Whether the executor that was given is used, and why; empty where none was."""

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        head = f"Jacobian of {self.outputs} outputs by {self.inputs} inputs, {self.equations} equations"
        timed = any(w.measured is not None for w in self.ways)
        rows = [("way", "sweeps", "multiplications", "bytes", "est. time", *(["measured"] if timed else []), "")]
        for w in self.ways:
            rows.append(
                (
                    w.name,
                    f"{w.sweeps:,}",
                    "-" if w.multiplications is None else str(w.multiplications),
                    said_bytes(w.bytes),
                    _time(w.seconds),
                    *([_time(w.measured) if w.measured is not None else "-"] if timed else []),
                    "← chosen" if w.name == self.chosen else "",
                )
            )
        last = len(rows[0]) - 1
        widths = [max(len(r[c]) for r in rows) for c in range(last + 1)]
        lines = [
            "  ".join(
                c.ljust(w) if j in (0, last) else c.rjust(w) for j, (c, w) in enumerate(zip(r, widths, strict=True))
            ).rstrip()
            for r in rows
        ]
        return "\n".join([head, *lines, self.reason, *([self.executor] if self.executor else [])])


def _time(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def estimate(program: Program, way: Way, options: Options) -> Estimate:
    """Return what a way would cost."""
    return Estimate(way, way.multiplications(program), bytes_of(program, way), price(program, way, options))


def explain(
    problem: Problem,
    options: Options,
    measure: bool = False,
    without: Sequence[type[Way]] = (),
    program: Program | None = None,
) -> Explanation:
    """Cost every way on a recording, by default a new one, but those tried before in vain; with ``measure`` time them."""
    check_real(problem, options.holomorphic)
    if options.sparse:
        check_sparse(problem, ())
    program = recorded(problem, options) if program is None else program
    chosen, _ = choose(program, options, without)
    best = estimate(program, chosen, options)
    # Those that compete, and the one asked for.
    open_to_all = replace(options, mode="auto", coloring=None, order=None)
    found: dict[type[Way], Estimate] = {type(chosen): best}
    misfits: set[type[Way]] = set()
    for kind in open_to_all.ways:
        if kind in without or kind in found:
            continue
        way = kind.at(program, open_to_all)
        if way is not None:
            fits = fitted(program, way, open_to_all)
            found[kind] = estimate(program, fits or way, open_to_all)
            if fits is None:
                misfits.add(kind)
    listed = [found[kind] for kind in WAYS if kind in found]
    open_ones = [e for e in listed if type(e.way) not in misfits]
    settled = settled_way(problem, options, program.outputs)
    if settled is not None and settled in found:
        if best is not found[settled]:
            best = found[settled]
            why = f"{best.name}: with {problem.n} inputs dual numbers run at once, without a tape."
        else:
            why = reason(best, open_ones, options)
    else:
        why = reason(best, open_ones, options)
    if measure:
        listed, best, why = _measured(problem, options, program, listed, best, why, open_ones)
    return Explanation(tuple(listed), best.name, why, program.inputs, program.outputs, len(program))


def reason(best: Estimate, found: Sequence[Estimate], options: Options) -> str:
    """Say in a sentence why a way was chosen."""
    what = best.way.says
    if options.coloring is not None:
        return f"{best.name}: asked for by coloring= ({what})."
    if options.mode != "auto" and len(options.ways) == 1:
        return f"{best.name}: asked for by mode={options.mode!r} ({what})."
    others = sorted((e for e in found if e is not best), key=lambda e: e.seconds)
    if not others or options.mode != "auto":
        return f"{best.name}: {what}."
    other = others[0]
    ratio = other.seconds / best.seconds if best.seconds else float("inf")
    close = "about as fast as" if ratio < 1.05 else f"estimated {ratio:.1f} times faster than"
    return f"{best.name}: {what} is {close} {other.way.says} on this tape."


def _measured(
    problem: Problem,
    options: Options,
    program: Program,
    listed: Sequence[Estimate],
    best: Estimate,
    why: str,
    open_ones: Sequence[Estimate],
) -> tuple[list[Estimate], Estimate, str]:
    """Time the ways; one that should take ten times as long is not waited for."""
    best_seconds = _timed(problem, options, best.way.made_for(program))
    found = []
    for e in listed:
        if e is best:
            found.append(replace(e, measured=best_seconds))
        elif e in open_ones and e.seconds < 10 * max(best.seconds, best_seconds):
            found.append(replace(e, measured=_timed(problem, options, e.way.made_for(program))))
        else:
            found.append(e)
    mine = found[listed.index(best)]
    fastest = min(found, key=lambda e: float("inf") if e.measured is None else e.measured)
    if fastest is mine:
        return found, mine, f"{why} Measured, it is the fastest."
    share = (fastest.measured or 0.0) / (mine.measured or 1.0)
    return found, mine, f"{why} Measured, {fastest.name} takes {share:.2f} of its time."


def _timed(problem: Problem, options: Options, way: Way) -> float:
    """Return the least time of three runs of one way."""
    least = float("inf")
    for _ in range(3):
        start = perf_counter()
        try:
            carry_out(problem, options, way)
        except (ChangedError, CrowdedError):  # the function is not what was recorded: its next call decides anew
            return float("inf")
        least = min(least, perf_counter() - start)
    return least
