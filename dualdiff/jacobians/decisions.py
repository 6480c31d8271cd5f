"""From a function to its Jacobian by the way that was chosen: deciding once, carrying out each time, noticing change.

What is kept from call to call are decisions (the way, a pattern, colours, cuts), never values. Those that follow from
a tape are held against the structure of every new tape before they are used; where it is another one, the choice is made
again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from dualdiff.dual import CrowdedError
from dualdiff.errors import InputError
from dualdiff.jacobians import ways
from dualdiff.jacobians.choice import COLORED, Candidates, Estimate, Explanation, Options, choose, estimate, reason
from dualdiff.jacobians.differenced import differences
from dualdiff.jacobians.mixed import product
from dualdiff.jacobians.sparse import check_sparse, compressed, row_sparse
from dualdiff.jacobians.ways import Problem, check_real, forward, record, reverse
from dualdiff.passes.costs import Way
from dualdiff.passes.elimination import eliminated
from dualdiff.passes.structure import Structure, structure
from dualdiff.primitive import TRACED
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tape import Tape

FEW = 3
"""With at most this many inputs ``mode="auto"`` runs dual numbers, without a tape."""
SOME = 12
"""With at most this many inputs it does so the first time, and looks closer only if there are fewer outputs yet."""
BRANCHES = 8
"""How many programs of one function are remembered for one structure of its inputs."""

Recorded = tuple[Tape, list[Any]]


class ChangedError(Exception):
    """Inside the engine: the function ran another program than the one a decision was made for."""

    def __init__(self, recorded: Recorded) -> None:
        super().__init__("the program changed")
        self.recorded = recorded


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """How a Jacobian is computed.

    Attributes
    ----------
    way : Way
        The way, its directions and chunks.
    program : Structure or None
        The program it was made for; None where it is right for any.
    detail : Compression, tuple of Layout, or None
        Colours, seeds and places of the nonzeros, for the sparse ways.
    without : tuple of str
        Ways that were tried and do not serve.
    """

    way: Way
    program: Structure | None = None
    detail: Any = None
    without: tuple[str, ...] = ()


@dataclass(slots=True)
class Answer:
    """Outputs and Jacobian: ``blocks`` per output and input, or the ``whole`` (m, n) matrix."""

    values: list[Any]
    blocks: list[list[Any]] | None = None
    whole: Any = None
    layouts: Any = None


class Decisions:
    """Decisions by the shapes and dtypes of the inputs: bounded, and locked."""

    __slots__ = ("known", "lock", "most")

    def __init__(self, most: int = 64) -> None:
        self.known: OrderedDict[Any, tuple[Decision, ...]] = OrderedDict()
        self.lock = threading.Lock()
        self.most = most

    def put(self, key: Any, *found: Decision) -> None:
        """Remember decisions, the latest first."""
        with self.lock:
            self.known[key] = found[:BRANCHES]
            while len(self.known) > self.most:
                self.known.popitem(last=False)


def remembered(key: Any, decision: Decision) -> Decisions:
    """Return decisions that hold one."""
    found = Decisions()
    found.put(key, decision)
    return found


def key_of(problem: Problem) -> Any:
    """Return the shapes and dtypes of the inputs, which decisions are kept by."""
    return tuple([(shape_of(x), dtype_of(x).char) for x in problem.inputs])


# --------------------------------------------------------------------------------------------------
# deciding


def candidates_of(problem: Problem, options: Options, recorded: Recorded) -> Candidates:
    """Return the ways to a Jacobian on a recorded tape."""
    tape, values = recorded
    return Candidates(tape, values, options, problem.n, sum([size_of(shape_of(v)) for v in values]))


def decide(
    problem: Problem, options: Options, recorded: Recorded | None = None, without: tuple[str, ...] = ()
) -> tuple[Decision, Recorded | None]:
    """Choose a way; return the decision, and the recording it was made on."""
    if options.sparse:  # what can be known before the function runs
        check_real(problem)
        check_sparse(problem, ())
    if options.mode in ("finite-differences", "complex-step"):
        check_real(problem)
        n = problem.n
        return Decision(Way(options.mode, n, 0, 0, n, 0)), None
    if recorded is None:
        check_real(problem)
        recorded = record(problem, replayable=options.sparse or options.mode == "mixed")
    found = candidates_of(problem, options, recorded)
    if options.sparse:
        check_sparse(problem, recorded[1])
    way, _ = choose(found, without)
    if way.name == "mixed" and not recorded[0].replayable:
        # Such a way is held against later runs, and only a recording that keeps everything can be.
        return decide(problem, options, record(problem, replayable=True), without)
    return decision_for(way, found, recorded[0], without), recorded


def decision_for(way: Way, found: Candidates, tape: Tape, without: tuple[str, ...] = ()) -> Decision:
    """Return the decision to go one of the ways."""
    if way.name in COLORED:
        return Decision(way, structure(tape), found.colored(way.name), without)
    if way.name == "mixed":
        return Decision(way, structure(tape), None, without)
    return Decision(way, None, () if way.name == "row-sparse" else None, without)


# --------------------------------------------------------------------------------------------------
# carrying out


def carry_out(problem: Problem, options: Options, decision: Decision, recorded: Recorded | None = None) -> Answer:
    """Compute the Jacobian as decided.

    Raises
    ------
    ChangedError
        Inside the engine, if the decision was made for another program.
    CrowdedError
        Inside the engine, if row-sparse duals do not serve.
    """
    way = decision.way
    if way.name == "forward" and way.chunk is None:
        return Answer(*forward(problem))
    if way.name == "reverse":
        return Answer(*reverse(problem if way.chunk == problem.chunk else replace(problem, chunk=way.chunk), recorded))
    if way.name == "row-sparse":
        values, whole, layouts = row_sparse(problem, decision.detail or (), options.crowded)
        return Answer(values, whole=whole, layouts=layouts)
    if way.name in ("finite-differences", "complex-step"):
        values, whole = differences(problem, way.name, options.limit)
        return Answer(values, whole=_asked(whole, options))
    if recorded is None or not recorded[0].replayable:
        recorded = record(problem, replayable=True)
    tape, values = recorded
    if decision.program is not None and not decision.program.holds(tape):
        raise ChangedError(recorded)
    if way.name in COLORED:
        return Answer(values, whole=compressed(problem, tape, values, decision.detail, way.chunk))
    if way.name == "forward":
        return Answer(values, ways.forward_on_tape(problem, tape, values, way.chunk or problem.n))
    if way.name == "mixed":
        return Answer(values, whole=_mixed(problem, tape, values, way))
    shapes = [shape_of(v) for v in values]
    return Answer(values, whole=_asked(eliminated(tape, shapes=shapes), options))


def _asked(whole: Any, options: Options) -> Any:
    return csr_array(whole) if options.sparse else whole


def _mixed(problem: Problem, tape: Tape, values: Sequence[Any], way: Way) -> Any:
    whole = ways.redone_if_not_finite(lambda careful: product(tape, way.cuts, way.tree, careful))
    dtype = np.result_type(*[dtype_of(v) for v in values])
    if whole.dtype != dtype:
        whole = whole.astype(dtype)
    if len(way.cuts[-1].slots) == len(values):
        return whole
    # Outputs that depend on nothing have rows of zeros.
    parts, at = [], 0
    for v, s in zip(values, tape.outputs, strict=True):
        size = size_of(shape_of(v))
        if s < 0:
            parts.append(np.zeros((size, problem.n), whole.dtype))
        else:
            parts.append(whole[at : at + size])
            at += size
    return np.concatenate(parts)


def evaluate(problem: Problem, options: Options, decisions: Decisions) -> Answer:
    """Compute a Jacobian: by a decision that holds, or by a new one."""
    for x in problem.inputs:
        if type(x) in TRACED:
            return _nested(problem, options)
    key = key_of(problem)
    known = decisions.known.get(key)
    if known is not None:
        way = known[0].way
        if way.name == "forward" and way.chunk is None:  # the short way for small functions
            return Answer(*forward(problem))
    if known is None:
        if settled_early(problem, options):
            return _early(problem, options, decisions, key)
        return _anew(problem, options, decisions, key, ())
    return follow(problem, options, decisions, key, known)


def settled_early(problem: Problem, options: Options) -> bool:
    """Whether there are so few inputs that dual numbers run at once: to write the run down would take as long."""
    return (
        options.mode == "auto"
        and not options.sparse
        and problem.n <= SOME
        and options.max_bytes is None
        and options.cost is None
    )


def _early(problem: Problem, options: Options, decisions: Decisions, key: Any) -> Answer:
    """Run dual numbers, and look for a better way only where there are fewer outputs than inputs."""
    answer = Answer(*forward(problem))
    n, m = problem.n, sum([size_of(shape_of(v)) for v in answer.values])
    if n <= FEW or m >= n:
        decision = Decision(Way("forward", n, 0, m, n, m * n, chunk=options.chunk))
    else:
        decision, _ = decide(problem, options)
    decisions.put(key, decision)
    return answer


def follow(
    problem: Problem, options: Options, decisions: Decisions, key: Any, known: tuple[Decision, ...], changed: Any = None
) -> Answer:
    """Compute a Jacobian by one of the known decisions; ``changed()`` is told if none of them holds."""
    recorded: Recorded | None = None
    for i, decision in enumerate(known):
        try:
            answer = carry_out(problem, options, decision, recorded)
        except ChangedError as change:
            recorded = change.recorded
            continue
        except CrowdedError:
            return _anew(problem, options, decisions, key, (), without=("row-sparse",))
        if answer.layouts is not None and not _same(answer.layouts, decision.detail):
            decisions.put(key, replace(decision, detail=answer.layouts), *known[:i], *known[i + 1 :])
        elif i:
            decisions.put(key, decision, *known[:i], *known[i + 1 :])
        return answer
    if changed is not None:
        changed()
    return _anew(problem, options, decisions, key, known, recorded)


def _same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return b is not None and len(a) == len(b) and all(x is y for x, y in zip(a, b))


def _anew(
    problem: Problem,
    options: Options,
    decisions: Decisions,
    key: Any,
    known: tuple[Decision, ...],
    recorded: Recorded | None = None,
    without: tuple[str, ...] = (),
) -> Answer:
    """Decide, compute, and remember."""
    decision, recorded = decide(problem, options, recorded, without)
    try:
        answer = carry_out(problem, options, decision, recorded)
    except CrowdedError:
        return _anew(problem, options, decisions, key, known, recorded, (*without, "row-sparse"))
    except ChangedError as change:
        # It ran another program the very next time: what was decided is decided on that recording, which is used at once.
        return _anew(problem, options, decisions, key, known, change.recorded, without)
    if answer.layouts is not None:
        decision = replace(decision, detail=answer.layouts)
    decisions.put(key, decision, *known)
    return answer


def _nested(problem: Problem, options: Options) -> Answer:
    """Compute a Jacobian inside another operator: its inputs and results are traced by that one."""
    if options.sparse:
        check_sparse(problem, ())
    if options.mode in ("finite-differences", "complex-step"):
        differences(problem, options.mode)
    if options.mode == "reverse":
        return Answer(*reverse(problem))
    if options.mode == "forward" or problem.n <= FEW:
        return Answer(*forward(problem))
    if options.mode in ("mixed", "elimination"):
        raise InputError(
            f"mode={options.mode!r} gives plain numbers, which an outer derivative cannot see; use 'auto', 'forward' or "
            "'reverse' inside other operators"
        )
    recorded = record(problem)
    best, _ = choose(candidates_of(problem, replace(options, mode="auto"), recorded), without=("mixed",))
    return Answer(*forward(problem)) if best.name == "forward" else Answer(*reverse(problem, recorded))


# --------------------------------------------------------------------------------------------------
# explaining


def explain(problem: Problem, options: Options, measure: bool = False, without: Sequence[str] = ()) -> Explanation:
    """Cost every way on a new recording, but those tried before in vain; with ``measure`` time them."""
    check_real(problem)
    if options.sparse:
        check_sparse(problem, ())
    recorded = record(problem, replayable=True)
    found = candidates_of(problem, options, recorded)
    chosen, _ = choose(found, without)
    best = estimate(found, chosen)
    everything = replace(options, mode="auto", coloring=None)
    all_ways = Candidates(found.tape, found.values, everything, found.inputs, found.outputs)
    all_ways._pattern, all_ways._counts, all_ways._colored = found._pattern, found._counts, found._colored
    names = list(all_ways.names())
    if options.mode in ("elimination", "finite-differences", "complex-step"):
        names.append(options.mode)
    listed = []
    for name in (n for n in names if n not in without):
        if name == best.name:
            listed.append(best)
            continue
        if name == "row-sparse" and all_ways.crowded():
            continue
        way = all_ways.way(name)
        if way is not None:
            listed.append(estimate(all_ways, all_ways.fitted(way) or way))
    if settled_early(problem, options) and (problem.n <= FEW or found.outputs >= problem.n) and best.name != "forward":
        best = next(e for e in listed if e.name == "forward")
        why = f"forward: with {problem.n} inputs dual numbers run at once, without a tape."
    else:
        why = reason(best, listed if options.mode == "auto" and options.coloring is None else [best], options)
    if measure:
        least = _timed(problem, options, next(e for e in listed if e.name == best.name), all_ways, found.tape)
        listed = [  # a way that should take ten times as long is not waited for
            replace(e, measured=least if e.name == best.name else _timed(problem, options, e, all_ways, found.tape))
            if e.seconds < 10 * max(best.seconds, least)
            else e
            for e in listed
        ]
        measured = next(e for e in listed if e.name == best.name)
        fastest = min(listed, key=lambda e: float("inf") if e.measured is None else e.measured)
        if fastest is measured:
            why += " Measured, it is the fastest."
        else:
            why += f" Measured, {fastest.name} takes {(fastest.measured or 0.0) / (measured.measured or 1.0):.2f} of its time."
    return Explanation(tuple(listed), best.name, why, found.inputs, found.outputs, len(found.tape))


def _timed(problem: Problem, options: Options, e: Estimate, found: Candidates, tape: Tape) -> float:
    """Return the least time of three runs of one way."""
    decision = decision_for(e.way, found, tape)
    least = float("inf")
    for _ in range(3):
        start = perf_counter()
        try:
            answer = carry_out(problem, options, decision)
        except CrowdedError:
            return float("inf")
        least = min(least, perf_counter() - start)
        if answer.layouts is not None:
            decision = replace(decision, detail=answer.layouts)
    return least


__all__ = [
    "Answer",
    "Decision",
    "Decisions",
    "carry_out",
    "decide",
    "evaluate",
    "explain",
    "follow",
    "key_of",
    "remembered",
]
