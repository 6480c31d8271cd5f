"""From a function to its Jacobian by the way that was chosen: deciding once, carrying out each time, noticing change.

What is kept from call to call are ways (with their directions, colours, cuts), never values. Those that are right for one
program only are held against the structure of every new tape before they are used; where it is another one, the choice is made
again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from dualdiff.dual import CrowdedError
from dualdiff.errors import InputError
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import TRACED
from dualdiff.ways.base import Answer, Way
from dualdiff.ways.choice import choose, fitted
from dualdiff.ways.options import Options
from dualdiff.ways.problem import Problem, check_real, check_sparse, record
from dualdiff.ways.program import Program

MOST_AT_ONCE = 4096
"""The most inputs whose directions travel at once inside another operator without a look at what that takes."""
BRANCHES = 8
"""How many programs of one function are remembered for one structure of its inputs."""


class ChangedError(Exception):
    """Inside the engine: the function ran another program than the one a way was made for."""

    def __init__(self, program: Program) -> None:
        super().__init__("the program changed")
        self.program = program


class Decisions:
    """Ways by the shapes and dtypes of the inputs, the latest first, and those that were tried in vain: bounded, and locked."""

    __slots__ = ("known", "lock", "most", "unfit")

    def __init__(self, most: int = 64) -> None:
        self.known: OrderedDict[Any, tuple[Way, ...]] = OrderedDict()
        self.unfit: dict[Any, tuple[type[Way], ...]] = {}
        self.lock = threading.Lock()
        self.most = most

    def put(self, key: Any, *found: Way) -> None:
        """Remember ways."""
        with self.lock:
            self.known[key] = found[:BRANCHES]
            while len(self.known) > self.most:
                old, _ = self.known.popitem(last=False)
                self.unfit.pop(old, None)

    def drop(self, key: Any, kind: type[Way]) -> None:
        """Remember that a way does not serve."""
        with self.lock:
            self.unfit[key] = (*self.unfit.get(key, ()), kind)
            self.known.pop(key, None)


def key_of(problem: Problem) -> Any:
    """Return the shapes and dtypes of the inputs, which ways are kept by."""
    return tuple([(shape_of(x), dtype_of(x).char) for x in problem.inputs])


# --------------------------------------------------------------------------------------------------
# deciding


def recorded(problem: Problem, options: Options, replayable: bool = True) -> Program:
    """Record a run."""
    tape, values = record(problem, replayable=replayable)
    return Program(tape, values, options.symmetric)


def decide(
    problem: Problem, options: Options, program: Program | None = None, without: tuple[type[Way], ...] = ()
) -> tuple[Way, Program | None]:
    """Choose a way; return it, and the recording it was chosen on."""
    check_real(problem, options.holomorphic)
    if options.sparse:  # what can be known before the function runs
        check_sparse(problem, ())
    kinds = options.ways
    if len(kinds) == 1 and kinds[0].plain:
        return kinds[0](inputs=problem.n, columns=problem.n), None
    if program is None:
        # Ways that replay are held against later runs, and only a recording that keeps everything can be.
        whole = options.sparse or options.chunk is not None or all(w.replayed is True for w in kinds)
        program = recorded(problem, options, whole)
    if options.sparse:
        check_sparse(problem, program.values)
    way, _ = choose(program, options, without)
    if way.replayed and not program.tape.replayable:
        return decide(problem, options, recorded(problem, options), without)
    return way.made_for(program), program


def carry_out(problem: Problem, options: Options, way: Way, program: Program | None = None) -> Answer:
    """Compute the Jacobian as decided.

    Raises
    ------
    ChangedError
        Inside the engine, if the way was made for another program.
    CrowdedError
        Inside the engine, if row-sparse duals do not serve.
    """
    if way.replayed:
        if program is None or not program.tape.replayable:
            program = recorded(problem, options)
        if way.structure is not None and not way.structure.holds(program.tape):
            raise ChangedError(program)
    return way.run(problem, options, program)


def evaluate(problem: Problem, options: Options, decisions: Decisions) -> Answer:
    """Compute a Jacobian: by a decision that holds, or by a new one."""
    for x in problem.inputs:
        if type(x) in TRACED:
            return _nested(problem, options, decisions)
    key = key_of(problem)
    known = decisions.known.get(key)
    if known:
        return follow(problem, options, decisions, key, known)
    settled = settled_way(problem, options)
    if settled is not None:
        return _early(problem, options, decisions, key, settled)
    if known is None and options.is_plain and len(options.ways) > 1:
        return _first(problem, options, decisions, key)
    return anew(problem, options, decisions, key, ())


def settled_way(problem: Problem, options: Options, outputs: int | None = None) -> type[Way] | None:
    """Return the way that is taken without a comparison, if there is one."""
    return next((w for w in options.ways if w.is_settled(problem, options, outputs)), None)


def _early(problem: Problem, options: Options, decisions: Decisions, key: Any, kind: type[Way]) -> Answer:
    """Go a way at once: to write the run down would take as long."""
    n = problem.n
    answer = kind(inputs=n, columns=n).run(problem, options, None)
    m = sum([size_of(shape_of(v)) for v in answer.values])
    decisions.put(key, kind(inputs=n, columns=n, outputs=m, entries=m * n))
    return answer


def _first(problem: Problem, options: Options, decisions: Decisions, key: Any) -> Answer:
    """Go by the shape of the Jacobian alone where comparing the ways would take as long as any of them.

    Unless the shape settles it, nothing is known by that: who calls again has them compared.
    """
    program = recorded(problem, options, False)
    settled = settled_way(problem, options, program.outputs)
    if settled is not None and (way := settled.at(program, options)) is not None:
        decisions.put(key, way)
        return carry_out(problem, options, way, program)
    quick = next((found for w in options.ways if (found := w.at_first(program)) is not None), None)
    if quick is None:
        return anew(problem, options, decisions, key, (), program)
    decisions.put(key)
    return carry_out(problem, options, quick, program)


def follow(
    problem: Problem, options: Options, decisions: Decisions, key: Any, known: tuple[Way, ...], changed: Any = None
) -> Answer:
    """Compute a Jacobian by one of the known ways; ``changed()`` is told if none of them holds."""
    program: Program | None = None
    for i, way in enumerate(known):
        try:
            answer = carry_out(problem, options, way, program)
        except ChangedError as change:
            program = change.program
            continue
        except CrowdedError:
            decisions.drop(key, type(way))
            return anew(problem, options, decisions, key, ())
        if i:
            decisions.put(key, way, *known[:i], *known[i + 1 :])
        return answer
    if changed is not None:
        changed()
    return anew(problem, options, decisions, key, known, program)


def anew(
    problem: Problem,
    options: Options,
    decisions: Decisions,
    key: Any,
    known: tuple[Way, ...],
    program: Program | None = None,
) -> Answer:
    """Decide, compute, and remember."""
    way, program = decide(problem, options, program, decisions.unfit.get(key, ()))
    try:
        answer = carry_out(problem, options, way, program)
    except CrowdedError:
        decisions.drop(key, type(way))
        return anew(problem, options, decisions, key, known, program)
    decisions.put(key, way, *known)
    return answer


def _nested(problem: Problem, options: Options, decisions: Decisions) -> Answer:
    """Compute a Jacobian inside another operator: its inputs and results are traced by that one."""
    if options.sparse:
        check_sparse(problem, ())
        if options.colors is not None or any(w.nests for w in options.ways):
            return _nested_sparse(problem, options, decisions.known.get(key_of(problem), ()))
    kinds = [w for w in options.ways if w.nests]
    if not kinds:
        if options.ways[0].plain:
            options.ways[0]().run(problem, options, None)
        raise InputError(
            f"mode={options.mode!r} gives plain numbers, which an outer derivative cannot see; use 'auto', 'forward' or "
            "'reverse' inside other operators"
        )
    if len(kinds) > 1 and options.chunk is None:
        settled = settled_way(problem, options, problem.n)  # nobody knows yet how many outputs there are
        kinds = kinds if settled is None else [settled]
    whole = all(w.replayed is True for w in kinds)
    if (
        len(kinds) == 1
        and not (kinds[0].recorded or whole)
        and options.chunk is None
        and options.max_bytes is None
        and problem.n <= MOST_AT_ONCE
    ):
        return kinds[0](inputs=problem.n, columns=problem.n).run(problem, options, None)
    program = recorded(problem, options, replayable=whole or options.chunk is not None)
    if len(kinds) == 1 and (way := kinds[0].at(program, options)) is not None:
        found = fitted(program, way, options) if way.directions > 1 or options.max_bytes is not None else way
        if found is not None:
            return carry_out(problem, options, found, program)
    without = [w for w in options.ways if not w.nests]
    best, _ = choose(program, options, without)
    if best.replayed and not program.tape.replayable:
        program = recorded(problem, options)
        best, _ = choose(program, options, without)
    return carry_out(problem, options, best, program)


def _nested_sparse(problem: Problem, options: Options, known: tuple[Way, ...]) -> Answer:
    """Compute a sparse Jacobian inside another operator: by the way that was taken outside, so with the same pattern.

    The pattern is that of the run which is differentiated, whatever other runs were like.
    """
    program = recorded(problem, options)
    check_sparse(problem, program.values)
    for way in known:
        if not way.nests:
            continue
        own = way if way.bound else type(way).at(program, options)
        if own is not None:
            try:
                return carry_out(problem, options, own, program)
            except (ChangedError, CrowdedError):
                continue
    without = tuple([w for w in options.ways if not w.nests])
    while True:
        way, _ = choose(program, options, without)
        try:
            return carry_out(problem, options, way, program)
        except CrowdedError:
            without = (*without, type(way))
