"""The choice, measured: the time of ``auto`` over the time of the best way, on more than a hundred functions.

The best way is the same public call with its mode forced, in turns with the others. The functions are the zoo, the zoo
at sizes where two ways are nearly equal, the shapes of the older benchmark, and random programs. A third of them, by a
checksum of the name, is kept unseen while the constants of the cost model are fitted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import Any
from zlib import crc32

import numpy as np
from hypothesis import HealthCheck, given, settings

import dualdiff as dd
from dualdiff.errors import InputError
from dualdiff.lab.problems import chains, equations, fitting, learning, mechanics, stencils
from dualdiff.lab.problems.case import Case
from dualdiff.lab.problems.zoo import zoo
from dualdiff.lab.timing import interleaved_minima
from dualdiff.testing.strategies import Program, programs
from tests.benchmarks import sections

Row = dict[str, Any]

TOO_SLOW = 2.0
"""Seconds of one call from which on a dense way is left out."""
TOO_SLOW_SPARSE = 1.0
"""The same for the sparse ways."""
FAR = 6.0
"""A way that takes so many times the least is timed apart from those that could be the best."""
BUDGET = 0.6
"""Seconds of turns for the ways that could be the best."""
RANDOM = 21
"""How many random programs."""


@dataclass(frozen=True)
class Function:
    """A function whose Jacobian is timed, with its arguments."""

    name: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    by_hand: Callable[..., Any] | None = None

    @property
    def unseen(self) -> bool:
        """Whether it is kept out of the fit."""
        return crc32(self.name.encode()) % 3 == 2

    def operator(self, **options: Any) -> Any:
        """Return a new Jacobian operator, which knows nothing."""
        count = len(self.arguments)
        return dd.jacobian(self.call, 0 if count == 1 else tuple(range(count)), **options)


@dataclass(frozen=True)
class Figures:
    """What was measured of one function: seconds of each way, and what the choice said and did."""

    function: Function
    inputs: int
    outputs: int
    equations: int
    f: float
    times: dict[str, float]
    first: float
    predicted: dict[str, float]
    chosen: str
    taken: str
    skipped: tuple[str, ...]
    disagreement: float

    @property
    def ways(self) -> dict[str, float]:
        """The forced ways."""
        return {k: t for k, t in self.times.items() if k != "auto"}

    @property
    def best(self) -> str:
        """The fastest of the forced ways."""
        return min(self.ways, key=self.ways.__getitem__)

    @property
    def regret(self) -> float:
        """The time of auto over that of the fastest way."""
        return self.times["auto"] / self.times[self.best]

    def close(self, factor: float = 3.0) -> bool:
        """Whether two ways are within a factor of each other, the fastest being one of them."""
        return sorted(self.ways.values())[1:2] < [factor * self.times[self.best]] if len(self.ways) > 1 else False


# ------------------------------------------------------------------------------------------------- the functions


def near_the_crossover() -> list[Case]:
    """Return the zoo's problems at sizes where the choice is not plain."""
    sizes: tuple[tuple[Callable[..., Case], tuple[tuple[Any, ...], ...]], ...] = (
        (
            chains.layers,
            (
                (400, 50, 4),
                (100, 100, 100, 2),
                (64, 64),
                (100, 80, 60),
                (60, 80, 100),
                (30, 30, 30, 30),
                (300, 60, 280),
                (8, 3, 12, 2),
            ),
        ),
        (chains.dense_map, ((20, 30), (100, 100), (80, 60), (60, 80), (200, 150), (150, 200), (500, 400))),
        (chains.hourglass, ((12, 1, 9), (50, 1, 50), (100, 50, 100), (300, 100, 250), (200, 60, 200), (120, 3, 80))),
        (chains.matrix_product, ((3, (4, 5, 2)), (5, (6, 6, 6)), (10, (8, 12, 8)))),
        (chains.small_operations, ((8, 4), (30, 4), (60, 6))),
        (chains.speelpenning, ((4,), (12,), (40,), (200,))),
        (chains.arrowhead, ((10,), (100,))),
        (learning.lstm_cell, ((4, 5), (8, 16), (16, 32), (64, 64))),
        (learning.lstm_weights, ((2, 2), (4, 4), (8, 8), (24, 8), (32, 4))),
        (learning.logistic_loss, ((15, 6), (2000, 5), (300, 40), (500, 200))),
        (learning.mixture_likelihood, ((20, 3, 2), (100, 2, 1), (200, 8, 3), (300, 10, 4))),
        (learning.mixture_densities, ((20, 3, 2), (8, 4, 2))),
        (mechanics.lorenz_rk4, ((5,), (20,))),
        (mechanics.planar_arm, ((4,), (8,), (20,), (300,))),
        (mechanics.planar_links, ((8,), (30,))),
        (mechanics.gravity, ((3,), (8,), (20,))),
        (mechanics.robertson_cells, ((5,), (30,))),
        (mechanics.oscillator_chain, ((8,),)),
        (equations.rosenbrock_loop, ((10,), (40,))),
        (equations.rosenbrock_objective, ((4,), (30,), (5000,))),
        (equations.discrete_integral, ((12,), (60,))),
        (equations.trigonometric, ((12,), (80,))),
        (equations.chandrasekhar, ((12,), (60,))),
        (equations.helmholtz_energy, ((4,), (30,), (120,), (300,))),
        (equations.broyden_tridiagonal, ((12,), (60,))),
        (stencils.brusselator, ((4,),)),
        (fitting.bundle_adjustment, ((2, 4, 7),)),
        (fitting.gaussians, ((12, 3),)),
        (fitting.exponential_decay, ((5,),)),
    )
    return [build(*arguments) for build, several in sizes for arguments in several]


def random_programs(count: int = RANDOM) -> list[Function]:
    """Return programs of some length drawn from the tests' strategy, always the same."""
    found: dict[str, Program] = {}

    @settings(
        max_examples=20 * count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(programs(max_ops=25))
    def collect(program: Program) -> None:
        size = sum(np.size(x) for x in program.point)
        if size > 1 and program.source.count("\n") > 8:
            found.setdefault(program.source, program)

    collect()
    drawn = list(found.values())
    step = max(1, len(drawn) // count)
    return [Function(f"random-{i}", p, p.point) for i, p in enumerate(drawn[::step][:count])]


def functions() -> list[Function]:
    """Return all functions of the measurement, always in the same order."""
    cases = [*zoo("medium"), *near_the_crossover()]
    found = [Function(c.name, c.function, (np.array(c.point),), c.jacobian) for c in cases]
    found += [Function(name.replace(" -> ", "-to-").replace(" ", "-"), f, (x,)) for name, (f, x) in shapes().items()]
    return [*found, *random_programs()]


shapes = sections.shapes


# ------------------------------------------------------------------------------------------------- timing


def _once(call: Callable[[], Any]) -> tuple[float, Any]:
    start = perf_counter()
    result = call()
    return perf_counter() - start, result


def timed(calls: dict[str, Callable[[], Any]], too_slow: float) -> tuple[dict[str, float], dict[str, Any], list[str]]:
    """Return the least time of each call, its result, and which were too slow to be timed in turns.

    The first call is what is asked about: it is timed however slow it is. Others that raise InputError do not apply, and
    are left out.
    """
    rough: dict[str, float] = {}
    results: dict[str, Any] = {}
    skipped = []
    for i, (name, call) in enumerate(calls.items()):
        try:
            t, results[name] = _once(call)
        except InputError:
            if not i:
                raise
            continue
        if t < 2 * too_slow or not i:
            t = min(t, _once(call)[0])
        if t < too_slow or not i:
            rough[name] = t
        else:
            skipped.append(name)
    least = min(rough.values())
    near = {k: calls[k] for k, t in rough.items() if t < FAR * least}
    far = {k: calls[k] for k in rough if k not in near}
    turn = sum(max(2e-3, rough[k]) for k in near)
    found = both_orders(near, rounds=int(min(20, max(4, BUDGET / turn / 2))))
    found |= interleaved_minima(far, rounds=2) if far else {}
    return {k: found[k] for k in calls if k in found}, results, skipped


def both_orders(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the least time of each call, in turns that go forwards and in turns that go backwards.

    A call right after another of the same way finds the memory that it needs in the caches, and one after a large call
    of another way does not: in one cyclic order the same calls would always be the lucky ones.
    """
    one = interleaved_minima(calls, rounds=rounds)
    other = interleaved_minima(dict(reversed(calls.items())), rounds=rounds)
    return {k: min(t, other[k]) for k, t in one.items()}


def _leaves(tree: Any) -> Iterable[Any]:
    if isinstance(tree, tuple | list):
        for t in tree:
            yield from _leaves(t)
    else:
        yield tree.toarray() if hasattr(tree, "toarray") else np.asarray(tree)


def _difference(a: Any, b: Any) -> float:
    """Return how far two Jacobians are apart, relative to the largest entry."""
    worst = 0.0
    for p, q in zip(_leaves(a), _leaves(b), strict=True):
        if p.size != q.size:
            return float("inf")
        gap = np.abs(p.reshape(-1) - q.reshape(-1))
        scale = max(1e-30, float(np.max(np.abs(q), initial=0.0)))
        worst = max(worst, float(np.max(gap, initial=0.0)) / scale)
    return worst


def measured(function: Function) -> Figures:
    """Time all dense ways to one Jacobian."""
    x = function.arguments
    auto = function.operator()
    plan = auto.explain(*x)
    predicted = {w.name: w.seconds for w in plan.ways}
    operators = {"auto": auto} | {k: function.operator(mode=k) for k in ("forward", "reverse", "mixed")}
    hopeless = [k for k, s in predicted.items() if s > 3 * TOO_SLOW]
    if plan.inputs * plan.outputs <= 400 and plan.equations <= 300 and _of_scalars(function):
        operators["elimination"] = function.operator(mode="elimination")
    calls = {k: (lambda j=j: j(*x)) for k, j in operators.items() if k not in hopeless}
    times, results, skipped = timed(calls, TOO_SLOW)
    first = min(_once(lambda: function.operator()(*x))[0] for _ in range(5 if times["auto"] < 0.05 else 2))
    f = interleaved_minima({"f": lambda: function.call(*x)}, rounds=5)["f"]
    apart = [_difference(results["auto"], r) for k, r in results.items() if k != "auto"]
    if function.by_hand is not None:
        apart.append(_difference(results["auto"], function.by_hand(*x)))
    (taken, *_) = next(iter(auto._decisions.known.values()))
    return Figures(
        function,
        plan.inputs,
        plan.outputs,
        plan.equations,
        f,
        times,
        first,
        predicted,
        plan.chosen,
        taken.name,
        (*hopeless, *skipped),
        max(apart, default=0.0),
    )


def _of_scalars(function: Function) -> bool:
    """Whether a run consists of single numbers, as far as its arguments show: small enough for elimination."""
    return sum(np.size(x) for x in function.arguments) <= 40


@lru_cache(maxsize=1)
def all_measured() -> tuple[Figures, ...]:
    """Time all functions, once."""
    return tuple(measured(f) for f in functions())


# ------------------------------------------------------------------------------------------------- the sections


def _policies(figures: Figures) -> dict[str, float]:
    """Return the regret of auto and of the fixed policies; a way that was too slow counts as endless."""
    best = figures.times[figures.best]
    by_shape = "forward" if figures.inputs < figures.outputs else "reverse"
    return {
        "auto": figures.regret,
        "auto, first call": figures.first / best,
        "always forward": figures.times.get("forward", float("inf")) / best,
        "always reverse": figures.times.get("reverse", float("inf")) / best,
        "n < m: forward, else reverse": figures.times.get(by_shape, float("inf")) / best,
    }


def _summary(found: Sequence[Figures]) -> list[Row]:
    groups = {
        "fit": [g for g in found if not g.function.unseen],
        "unseen": [g for g in found if g.function.unseen],
        "all": list(found),
    }
    rows: list[Row] = []
    for policy in _policies(found[0]):
        for group, members in groups.items():
            regrets = np.array([_policies(g)[policy] for g in members])
            rows.append(
                {
                    "policy": policy,
                    "functions": f"{len(members)} {group}",
                    "median": float(np.median(regrets)),
                    "95 %": float(np.percentile(regrets, 95, method="higher")),
                    "max": float(regrets.max()),
                    "share <= 1.3": float(np.mean(regrets <= 1.3)),
                    "share <= 2": float(np.mean(regrets <= 2)),
                    "worst": members[int(regrets.argmax())].function.name,
                }
            )
    return rows


def _confusion(found: Sequence[Figures]) -> list[Row]:
    counts = Counter((g.chosen, g.best) for g in found)
    best = sorted({b for _, b in counts})
    return [
        {"chosen": chosen}
        | {f"best {b}": counts[chosen, b] for b in best}
        | {"worst regret": max(g.regret for g in found if g.chosen == chosen)}
        for chosen in sorted({c for c, _ in counts})
    ]


def regret() -> list[Row]:
    """Regret: time of auto (decision cached) over the best forced mode, on functions where the choice is hard."""
    found = all_measured()
    rows: list[Row] = []
    for g in found:
        best = g.times[g.best]
        rows.append(
            {
                "function": g.function.name,
                "n": g.inputs,
                "m": g.outputs,
                "equations": g.equations,
                "set": "unseen" if g.function.unseen else "fit",
                "f ms": g.f * 1e3,
                **{
                    f"{k} ms": g.times[k] * 1e3 if k in g.times else "slow" if k in g.skipped else None
                    for k in ("auto", "forward", "reverse", "mixed", "elimination")
                },
                "chosen": g.chosen if g.chosen == g.taken else f"{g.chosen} ({g.taken} taken)",
                "best": g.best,
                "regret": g.regret,
                "first/best": g.first / best,
                "apart": g.disagreement,
            }
        )
    rows += _summary(found)
    rows.append({"two ways within 3x": float(np.mean([g.close() for g in found])), "of functions": len(found)})
    return rows + _confusion(found)


def model() -> list[Row]:
    """The cost model: predicted over measured milliseconds (f's own taken off), for every way of every function."""
    rows: list[Row] = []
    for g in all_measured():
        for name, seconds in g.predicted.items():
            if name in g.times:
                beyond = max(g.times[name] - g.f, 0.02 * g.times[name])
                rows.append(
                    {
                        "function": g.function.name,
                        "set": "unseen" if g.function.unseen else "fit",
                        "way": name,
                        "n": g.inputs,
                        "m": g.outputs,
                        "equations": g.equations,
                        "f ms": g.f * 1e3,
                        "predicted ms": seconds * 1e3,
                        "measured ms": g.times[name] * 1e3,
                        "predicted/measured": seconds / beyond,
                        "chosen": name == g.chosen,
                        "best": name == g.best,
                    }
                )
    for way in ("forward", "reverse", "mixed"):
        logs = [np.log2(r["predicted/measured"]) for r in rows if r.get("way") == way]
        if logs:
            low, middle, high = (float(2**q) for q in np.percentile(logs, (5, 50, 95)))
            rows.append({"ratios of": way, "rows": len(logs), "5 %": low, "median": middle, "95 %": high})
    return rows


def sparse_cases() -> list[Case]:
    """Return the sparse problems on which the sparse choice is measured."""
    return [
        equations.rosenbrock(1000),
        equations.broyden_tridiagonal(1000),
        equations.broyden_tridiagonal(100_000),
        equations.broyden_banded(1000),
        stencils.brusselator(20),
        stencils.brusselator(100),
        stencils.bratu_slices(30),
        stencils.burgers_upwind(100_000),
        chains.arrowhead(1000),
        chains.block_diagonal(200, 5),
        chains.matrix_product(20, (20, 30, 10)),
        fitting.panel_decay(50, 10),
        fitting.bundle_adjustment(10, 100, 400),
        fitting.bundle_adjustment(50, 8000, 36_000),
        mechanics.planar_links(100),
        mechanics.robertson_cells(300),
        mechanics.robertson_cells(30_000),
        mechanics.oscillator_chain(400),
    ]


def sparse_regret() -> list[Row]:
    """Regret of sparse=True: auto over the best of the forced modes and of coloring="columns"."""
    rows: list[Row] = []
    for case in sparse_cases():
        function = Function(case.name, case.function, (np.array(case.point),))
        auto = function.operator(sparse=True)
        planning, plan = _once(lambda auto=auto, function=function: auto.explain(*function.arguments))
        options: dict[str, Row] = {k: {"mode": k} for k in ("forward", "reverse", "mixed")}
        options["columns"] = {"coloring": "columns"}
        of = {"reverse": "rows", "mixed": "rows and columns", "columns": "columns"}
        predicted = {w.name: w.seconds for w in plan.ways}
        hopeless = [k for k in options if predicted.get(of.get(k, ""), 0.0) > 3 * TOO_SLOW_SPARSE]
        operators = {"auto": auto} | {k: function.operator(sparse=True, **o) for k, o in options.items()}
        x = function.arguments[0]
        calls = {k: (lambda j=j, x=x: j(x)) for k, j in operators.items() if k not in hopeless}
        times, results, skipped = timed(calls, TOO_SLOW_SPARSE)
        reference = results["auto"]
        gap = max((abs(r - reference).max() / max(abs(reference).max(), 1e-30) for r in results.values()), default=0.0)
        first = min(_once(lambda function=function, x=x: function.operator(sparse=True)(x))[0] for _ in range(2))
        best = min((k for k in times if k != "auto"), key=times.__getitem__)
        rows.append(
            {
                "sparse function": case.name,
                "nonzeros": reference.nnz,
                "pattern": None if case.pattern is None else case.pattern().nnz,
                **{
                    f"{k} ms": times[k] * 1e3 if k in times else "slow" if k in (*hopeless, *skipped) else None
                    for k in ("auto", *options)
                },
                "chosen": plan.chosen,
                "best": best,
                "regret": times["auto"] / times[best],
                "first/best": first / times[best],
                "explain ms": planning * 1e3,
                "apart": float(gap),
            }
        )
    regrets = np.array([r["regret"] for r in rows])
    firsts = np.array([r["first/best"] for r in rows])
    for what, values in (("auto", regrets), ("auto, first call", firsts)):
        rows.append(
            {
                "policy": f"sparse, {what}",
                "functions": f"{len(values)} all",
                "median": float(np.median(values)),
                "95 %": float(np.percentile(values, 95, method="higher")),
                "max": float(values.max()),
            }
        )
    return rows
