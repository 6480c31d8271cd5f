"""A Jacobian whose directions are carried by the workers of an executor, block by block: whether it pays, and doing it.

A worker that shares no memory runs the function itself, where the blocks of a recording that it does have that recording in common.
The function runs here as well meanwhile, as it is: its values are those that are returned, and those of every worker are held
against them, so that a function that draws random numbers, or reads what is another thing elsewhere, is no wrong Jacobian.
"""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from dualdiff import allocator
from dualdiff.agreement import agree
from dualdiff.capture.captures import ROUNDING
from dualdiff.errors import NOTES, ExecutorError
from dualdiff.executors import Block, Pool, carry_out, handed, is_inside, parcel, pool_of
from dualdiff.executors.pools import said, ticket
from dualdiff.passes.costs import priced
from dualdiff.passes.kinks import SETTING
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import TRACED
from dualdiff.ways.base import Answer, Way
from dualdiff.ways.choice import bytes_of, price
from dualdiff.ways.decisions import ChangedError, decide, key_of, recorded
from dualdiff.ways.options import Cost, Options
from dualdiff.ways.problem import Problem, check_real, check_sparse, chunks, outputs_of
from dualdiff.ways.program import Program

TURNS = (1, 2, 4)
"""How many blocks a worker may have: more of them balance better, and cost more."""
WORTH = 0.03
"""What finer blocks may cost more than the cheapest ones, in parts of what these take: they balance better."""
FREE = frozenset(("element", "far", "flop", "scatter"))
"""What NumPy does without Python's lock, among all that has a price."""
ONCE = frozenset(("record", "replayable"))
"""What a worker does once for all of its blocks."""

Chooser = Callable[[Problem, Options, Program], Way]


@dataclass(frozen=True, slots=True)
class Division:
    """Blocks of a way's directions, and what they should take.

    Attributes
    ----------
    size : int
        Directions of a block.
    blocks : int
        How many there are.
    seconds : float
        The whole Jacobian, the function's own run and what follows included.
    sent : float
        Handing the tasks over, and what travels.
    share : float
        The part of all directions that one worker carries, one block after the other.
    held : float
        Bytes that a block takes, as far as is known.
    """

    size: int
    blocks: int
    seconds: float
    sent: float
    share: float
    held: float


@dataclass(slots=True, eq=False)
class Known:
    """What was found out for one structure of the inputs: estimates until the call was timed, then the least time it took."""

    way: Way
    division: Division | None
    run: float
    estimated: float
    here: float | None = None
    there: float | None = None
    calls: int = 0
    packed: Any = None

    def pays(self, cut: Division) -> bool:
        """Whether the executor is to be used, by these blocks."""
        here = self.estimated if self.here is None else self.here
        return (self._expected(cut, here) if self.there is None else self.there) < here

    def _expected(self, cut: Division, here: float) -> float:
        """Return what the executor should take, in the light of what the call took here."""
        if here > self.estimated:  # the model does not know what takes so long: directions, most likely
            return cut.seconds + cut.share * (here - self.estimated)
        return cut.sent + (cut.seconds - cut.sent) * here / self.estimated


class Spread:
    """An executor, and what is known of the Jacobians of one function that it may be used for."""

    __slots__ = ("executor", "known", "lock", "most")

    def __init__(self, executor: Any, most: int = 64) -> None:
        self.executor = executor
        self.known: OrderedDict[Any, Known] = OrderedDict()
        self.lock = threading.Lock()
        self.most = most

    def put(self, key: Any, found: Known) -> None:
        """Remember."""
        with self.lock:
            self.known[key] = found
            while len(self.known) > self.most:
                self.known.popitem(last=False)


# --------------------------------------------------------------------------------------------------
# whether it pays


def division(pool: Pool, program: Program | None, way: Way, options: Options, run: float) -> Division | None:
    """Return the blocks that a way's directions are best cut into, None where they are not; ``run`` is a run of the function."""
    if not way.apart or way.sweeps < 2:
        return None
    if options.chunk is not None:
        sizes = [options.chunk]
    else:
        sizes = [-(-way.sweeps // (turns * pool.workers)) for turns in TURNS]
        if way.chunk is not None:
            sizes = [min(size, way.chunk) for size in sizes]
    found = []
    for size in dict.fromkeys(sizes):
        while size > 1 and options.chunk is None and not _fits(pool, program, way, options, size):
            size = size // 2
        if _fits(pool, program, way, options, size):
            found.append(_division(pool, program, way, options, run, size))
    least = min([d.seconds for d in found], default=0.0)
    # A price that somebody gave may be any number; a direction takes about as long as a run, or less.
    spare = WORTH * min(least, run * (1.0 + way.sweeps / pool.workers))
    return max([d for d in found if d.seconds <= least + spare], key=lambda d: d.blocks, default=None)


def _of_block(way: Way, options: Options, size: int) -> Way:
    """Return what a way is in one block."""
    share = min(size / way.sweeps, 1.0)
    chunk = None if way.chunk is None and options.chunk is None else size
    return replace(
        way,
        columns=min(way.columns, size),
        rows=min(way.rows, size),
        entries=int(np.ceil(share * way.entries)),
        chunk=chunk,
    )


def _fits(pool: Pool, program: Program | None, way: Way, options: Options, size: int) -> bool:
    """Whether all workers on one machine stay within the memory allowed."""
    if program is None:
        return True
    times = pool.workers if pool.local else 1
    return times * bytes_of(program, _of_block(way, options, size)) <= options.limit


def _division(pool: Pool, program: Program | None, way: Way, options: Options, run: float, size: int) -> Division:
    count = sum([-(-side.count // size) for side in way.sides])
    rounds = -(-count // pool.workers)
    share = min(size / way.sweeps, 1.0)
    runs = count if pool.shares else rounds  # Python's lock lets one of them run at a time
    if program is None:
        times, itemsize = way.evaluations / way.sweeps, 8
        seconds = run * (1.0 + runs * size * times)
    else:
        itemsize = program.itemsize
        seconds = run * (1.0 if way.recorded or way.replayed else runs)
        if options.cost is not None or len(way.sides) > 1:
            seconds += rounds * share * price(program, way, options)
        else:
            q = _of_block(way, options, size).quantities(program)
            free = priced({k: v for k, v in q.items() if k in FREE})
            once = priced({k: v for k, v in q.items() if k in ONCE})
            seconds += once + rounds * free + runs * (priced(q) - free - once)
    moved = itemsize * (way.rows * way.inputs + way.columns * way.outputs + pool.workers * way.inputs)
    sent = count * pool.seconds + moved * pool.seconds_a_byte
    held = 0.0 if program is None else bytes_of(program, _of_block(way, options, size))
    return Division(size, count, seconds + sent, sent, min(rounds * share, 1.0), held)


def considered(problem: Problem, options: Options, pool: Pool, choose: Chooser) -> tuple[Known, Program | None]:
    """Record the function, choose a way with the executor in mind, and say whether it is to be used."""
    check_real(problem, options.holomorphic)
    if options.sparse:
        check_sparse(problem, ())
    kinds = options.ways
    start = perf_counter()
    if len(kinds) == 1 and kinds[0].plain:
        plain: Any = kinds[0](inputs=problem.n, columns=problem.n)
        values = plain.evaluated(problem, options)
        run = perf_counter() - start
        m = sum([size_of(shape_of(v)) for v in values])
        way = replace(plain, outputs=m, entries=m * problem.n)
        return Known(way, division(pool, None, way, options, run), run, run * way.evaluations), None
    program = recorded(problem, options)
    run = perf_counter() - start
    way = choose(problem, replace(options, cost=spread_cost(pool, options, run)), program)
    alone = run + price(program, way, options)
    return Known(way, division(pool, program, way, options, run), run, alone), program


def spread_cost(pool: Pool, options: Options, run: float) -> Cost:
    """Return the model of what a way takes, here or by the executor, whichever is less."""

    def cost(program: Program, way: Way) -> float:
        alone = price(program, way, options)
        cut = division(pool, program, way, options, run)
        return alone if cut is None else min(alone, max(cut.seconds - run, 0.0))

    return cost


def choose_among_all(problem: Problem, options: Options, program: Program) -> Way:
    """Choose a way as the options allow."""
    return decide(problem, options, program)[0]


def told(pool: Pool, known: Known) -> str:
    """Say in a sentence whether an executor is used, and why."""
    cut = known.division
    if cut is None:
        return f"executor: {pool} is not used, since {known.way.says} is not cut into blocks that fit."
    blocks = f"{cut.blocks} blocks of at most {cut.size} {' and '.join(side.name for side in known.way.sides)}"
    there, here = said(cut.seconds), said(known.estimated)
    if not known.pays(cut):
        return f"executor: {pool} is not used: {blocks} would take about {there} there, and {here} here."
    return f"executor: {pool} carries {blocks}, in about {there}; here it would take {here}."


# --------------------------------------------------------------------------------------------------
# doing it


def evaluate_spread(
    problem: Problem,
    options: Options,
    spread: Spread,
    here: Callable[[Program | None], Answer],
    choose: Chooser = choose_among_all,
) -> Answer:
    """Compute a Jacobian by an executor where that pays, and by ``here`` where it does not, or cannot be done.

    Inside another operator it cannot: the values that are differentiated there stay in this thread.
    """
    if NOTES.get() is not None or is_inside(spread.executor) or any(type(x) in TRACED for x in problem.inputs):
        return here(None)
    pool = pool_of(spread.executor)
    key = key_of(problem)
    program: Program | None = None
    known = spread.known.get(key)
    for _ in range(2):
        if known is None:
            known, program = considered(problem, options, pool, choose)
            spread.put(key, known)
        start = perf_counter()
        cut = known.division
        if cut is None or not known.pays(cut):
            answer = here(program)
            known.here = _least(known.here, perf_counter() - start, program is None and options.cost is None)
            return answer
        try:
            answer = by_blocks(problem, options, pool, known, cut, program)
        except ChangedError:  # another branch: what is kept is for another program
            known = program = None
            continue
        # The first time workers are sent the function, and import what it needs.
        known.there = _least(known.there, perf_counter() - start, known.calls > 0 and options.cost is None)
        known.calls += 1
        return answer
    return here(None)  # a function that runs another program every time


def _least(before: float | None, now: float, counts: bool) -> float | None:
    return before if not counts else now if before is None else min(before, now)


def by_blocks(
    problem: Problem, options: Options, pool: Pool, known: Known, cut: Division, program: Program | None
) -> Answer:
    """Compute a Jacobian by the workers of an executor. ``program`` is a recording at the point, if there is one.

    Raises
    ------
    ExecutorError
        If a block did not come back, or a worker's function gives other values than this one does.
    ChangedError
        Inside the engine, if the way was made for another program.
    """
    way = known.way
    sides = way.sides
    spans = [(i, lo, hi) for i, side in enumerate(sides) for lo, hi in chunks(side.count, cut.size)]
    names = [sides[i].named(lo, hi) for i, lo, hi in spans]
    values: list[Any] = []
    products: list[Any] = [None] * len(sides)
    if pool.shares:
        if program is None and (way.recorded or way.replayed):
            program = recorded(problem, options)
        if program is not None and not _is_for(way, program):
            raise ChangedError(program)
        own = program if way.recorded or way.replayed else None
        parcels: Sequence[Any] = [handed(_Shared(way, options, problem, own))]
        function: Any = block_beside
        settings: tuple[Any, ...] = ()
    else:
        parcels = _packed(problem, options, known)
        function, settings = block_elsewhere, (ticket(), SETTING.get(), np.geterr(), cut.held >= allocator.LARGE)

    def meanwhile() -> None:
        if program is not None:
            values[:] = program.values
        elif problem.check is True or problem.strict is not None:  # what was asked for at every call is looked at here
            values[:] = recorded(problem, options).values
        elif way.plain:
            values[:] = way.evaluated(problem, options)  # type: ignore[attr-defined]
        else:
            values[:] = outputs_of(problem.call([x.copy() if type(x) is np.ndarray else x for x in problem.inputs]))

    def take(n: int, answer: Any) -> None:
        if answer is None:
            raise ChangedError(program)  # type: ignore[arg-type]
        found, product = answer
        if found is not None:
            _compare(problem, pool, names[n], found, values)
        i, lo, hi = spans[n]
        if products[i] is None:
            products[i] = np.empty((sides[i].count, product.shape[1]), product.dtype)
        if products[i].dtype != product.dtype:
            products[i] = products[i].astype(np.result_type(products[i], product))
        products[i][lo:hi] = product

    blocks = [Block(name, (*settings, sides[i].pulled, lo, hi)) for name, (i, lo, hi) in zip(names, spans, strict=True)]
    carry_out(pool, function, parcels, blocks, take, meanwhile)
    if program is None and not way.plain and not any(p.any() for p in products):
        recorded(problem, options)  # which warns where no result depends on anything
    return way.gathered(problem, options, values, products)


def _is_for(way: Way, program: Program) -> bool:
    """Whether a way that is kept can be gone on a program."""
    return way.outputs == program.outputs and (way.structure is None or way.structure.holds(program.tape))


def _compare(problem: Problem, pool: Pool, name: str, found: Sequence[Any], values: Sequence[Any]) -> None:
    if len(found) == len(values) and all(agree(a, b, ROUNDING) for a, b in zip(found, values, strict=True)):
        return
    f = getattr(problem.function, "__name__", "the function")
    raise ExecutorError(
        f"{f} returned another value to a worker of {pool.name}, in {name}, than it returns here. It draws random numbers, changes what it "
        "reads, or reads what is another thing there (a global that was set after the worker had started, a file, another version of a "
        "module). Pass such things as arguments, or leave out executor="
    )


# --------------------------------------------------------------------------------------------------
# in a worker that shares this memory


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """What threads have in common."""

    way: Way
    options: Options
    problem: Problem
    program: Program | None


def block_beside(parcels: Sequence[Any], pulled: bool, lo: int, hi: int) -> Any:
    """Carry a block of directions in a thread: through the recording that all share, or by a run of the function."""
    shared = parcels[0].once()
    if shared.program is not None:
        return None, shared.way.block(shared.problem, shared.options, shared.program, pulled, lo, hi)[1]
    problem = replace(shared.problem, call=copy.copy(shared.problem.call), check=False, strict=None)
    values, product = shared.way.block(problem, shared.options, None, pulled, lo, hi)
    return (None if shared.way.plain else values), product


# --------------------------------------------------------------------------------------------------
# in a worker of another process


def _packed(problem: Problem, options: Options, known: Known) -> Sequence[Any]:
    """Return the function, the way, the arguments that are constant, and the point, each of which is sent when it has changed."""
    call: Any = problem.call
    maker = type(call)
    name = getattr(call.f, "__name__", "the function")
    if known.packed is None:
        known.packed = parcel((known.way, Options(holomorphic=options.holomorphic)), "the way to a Jacobian")
    if call.apart is None:
        args = tuple([None if i in call.argnums else a for i, a in enumerate(call.args)])
        kwargs = {k: v for k, v in call.kwargs.items() if k not in call.argnums}
        point = {a: call.kwargs[a] if isinstance(a, str) else call.args[a] for a in call.argnums}
    else:  # what shares memory here is to share it there
        args, kwargs, point = (), {}, {**dict(enumerate(call.args)), **call.kwargs}
    argnums = call.argnums[0] if call.single else call.argnums
    return (
        parcel((maker, call.f, argnums, call.has_aux), f"{name}"),
        known.packed,
        parcel((args, kwargs), f"an argument of {name}"),
        parcel(point, f"an argument of {name}"),
    )


def _unpacked(parcels: Sequence[Any]) -> Problem:
    maker, f, argnums, has_aux = parcels[0].once()
    args, kwargs = parcels[2].anew()
    point = parcels[3].anew()
    places = {a: v for a, v in point.items() if not isinstance(a, str)}
    every = [places.get(i, args[i] if i < len(args) else None) for i in range(max(len(args), len(places)))]
    kwargs |= {a: v for a, v in point.items() if isinstance(a, str)}
    return maker(f, argnums, every, kwargs, has_aux).problem(False)


class _Recording:
    """A recording in the making: the first block that needs it makes it, and others of the same process wait."""

    __slots__ = ("found", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.found: tuple[Problem, Program] | None = None


_RECORDINGS: OrderedDict[Any, _Recording] = OrderedDict()
_LOCK = threading.Lock()
MOST_RECORDINGS = 2
"""How many recordings a worker keeps: that of the latest call, and of one that may be going on beside it."""


def _recording(call: str, parcels: Sequence[Any], options: Options, replayable: bool) -> tuple[Problem, Program, bool]:
    """Return the function at its point, its recording, and whether that was made now.

    A recording serves one call: before the next one, what the function reads may have changed.
    """
    key = (call, *[p.digest for p in parcels])
    with _LOCK:
        made = _RECORDINGS.setdefault(key, _Recording())
        _RECORDINGS.move_to_end(key)
        while len(_RECORDINGS) > MOST_RECORDINGS:
            _RECORDINGS.popitem(last=False)
    with made.lock:
        if made.found is not None:
            return *made.found, False
        problem = _unpacked(parcels)
        made.found = problem, recorded(problem, options, replayable)
        return *made.found, True


def block_elsewhere(
    parcels: Sequence[Any], call: str, setting: str, errors: Any, large: bool, pulled: bool, lo: int, hi: int
) -> tuple[list[Any] | None, Any] | None:
    """Carry a block of directions in another process; None where the way was made for another program.

    ``large`` says that it takes much memory, as a large tape does, and that what it frees is to be kept for the next array.
    """
    way, options = parcels[1].once()
    token = SETTING.set(setting)
    try:
        with np.errstate(**errors), allocator.kept_meanwhile() if large else nullcontext():
            if way.recorded or way.replayed:
                problem, program, is_new = _recording(call, parcels, options, way.replayed)
                if not _is_for(way, program):
                    return None
                values, product = way.block(problem, options, program, pulled, lo, hi)
            else:
                is_new = not way.plain
                values, product = way.block(_unpacked(parcels), options, None, pulled, lo, hi)
    finally:
        SETTING.reset(token)
    return (list(values) if is_new else None), np.ascontiguousarray(product)


__all__ = ["Division", "Known", "Spread", "considered", "division", "evaluate_spread", "told"]
