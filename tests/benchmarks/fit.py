"""A developer's tool: the prices that the library ships, fitted to the functions of the regret benchmark.

A third of those functions, and all that the prices are judged by in ``unseen``, is kept out. With
``python -m tests.benchmarks --times FILE fit`` the times are read from a file if it is there and written to it otherwise: they
depend on the machine and on how ways are carried out, but not on the model, so a change of the model's form is fitted
again in seconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dualdiff.errors import InputError
from dualdiff.lab.calibration import PRICES, Sample, beside, fitted, predictions, program_of
from dualdiff.lab.timing import interleaved_minima
from dualdiff.passes.costs import Machine, machine
from dualdiff.ways import Both, Columns, Elimination, Forward, Mixed, Program, Reverse, Rows, RowSparse, choose
from dualdiff.ways.forward import FEW, SOME
from dualdiff.ways.options import Options
from tests.benchmarks import regret
from tests.benchmarks.regret import Function, Row

times_file: Path | None = None
"""Where measured times are kept; ``--times`` sets it."""

DENSE = {w.name: w.options() for w in (Forward, Reverse, Mixed, Elimination)}
SPARSE = {w.name: w.options() for w in (RowSparse, Columns, Rows, Both)}
Times = dict[str, dict[str, float]]
"""Seconds by function, then by way; "f" is one evaluation."""


@dataclass(frozen=True)
class Choice:
    """The ways to one Jacobian between which ``auto`` chooses, with all that were measured."""

    function: Function
    sparse: bool
    samples: dict[str, Sample]
    times: dict[str, float]
    open: tuple[str, ...]

    @property
    def name(self) -> str:
        """The function's name, and which of its Jacobians."""
        return "sparse " * self.sparse + self.function.name

    def taken(self, prices: Machine) -> str:
        """Return the way that these prices choose."""
        predicted = predictions([self.samples[k] for k in self.open], prices)
        return self.open[int(predicted.argmin())]

    def regret(self, prices: Machine) -> float:
        """Return the time of that way over that of the fastest."""
        return self.times[self.taken(prices)] / min(self.times.values())


# ------------------------------------------------------------------------------------------------- measuring


def sparse_functions() -> list[Function]:
    """Return the functions of the sparse benchmark."""
    return [Function(c.name, c.function, (np.array(c.point),)) for c in regret.sparse_cases()]


def measured_sparse(function: Function) -> dict[str, float]:
    """Time the sparse ways to one Jacobian."""
    x = function.arguments
    predicted = {w.name: w.seconds for w in function.operator(sparse=True).explain(*x).ways}
    operators = {
        k: function.operator(**o) for k, o in SPARSE.items() if predicted.get(k, 0.0) < regret.TOO_SLOW_SPARSE * 3
    }
    times, _, _ = regret.timed({k: (lambda j=j: j(*x)) for k, j in operators.items()}, regret.TOO_SLOW_SPARSE)
    return times | {"f": interleaved_minima({"f": lambda: function.call(*x)}, rounds=5)["f"]}


def all_times() -> Times:
    """Return the times of all functions, dense and sparse: measured, or read from the file of an earlier run."""
    if times_file is not None and times_file.is_file():
        return json.loads(times_file.read_text(encoding="utf-8"))
    found = {g.function.name: g.ways | {"f": g.f} for g in regret.all_measured()}
    found |= {"sparse " + f.name: measured_sparse(f) for f in sparse_functions()}
    if times_file is not None:
        times_file.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def choices() -> list[Choice]:
    """Return every choice with its quantities by the model as it is now."""
    times = all_times()
    dense = [_choice(f, times[f.name], False) for f in regret.functions() if f.name in times]
    names = {f.name: "sparse " + f.name for f in sparse_functions()}
    sparse = [_choice(f, times[names[f.name]], True) for f in sparse_functions() if names[f.name] in times]
    return dense + sparse


def _choice(function: Function, times: dict[str, float], sparse: bool) -> Choice:
    options = SPARSE if sparse else DENSE
    ways = {k: t for k, t in times.items() if k in options}
    program = program_of(function.operator(sparse=sparse), function.arguments)
    samples = {}
    for name in ways:
        # One recording for all: patterns and colours are found once, and the options say which way is meant.
        try:
            way, _ = choose(program, function.operator(**options[name]).options)
        except InputError:
            continue
        if sparse and way.name != name:
            continue  # row-sparse duals do not apply, or one kind of colours is enough
        taken = way.quantities(program)
        samples[name] = Sample("sparse " * sparse + function.name, way.name, taken, beside(ways[name], times["f"]))
    ways = {k: t for k, t in ways.items() if k in samples}
    return Choice(function, sparse, samples, ways, _open(program, samples, sparse))


def _open(program: Program, samples: dict[str, Sample], sparse: bool) -> tuple[str, ...]:
    """Return between which of the measured ways ``auto`` chooses."""
    n, m = program.inputs, program.outputs
    if sparse:
        return tuple(samples)
    if Forward.name in samples and (n <= FEW or (n <= SOME and m >= n)):
        return (Forward.name,)
    return tuple(w.name for w in Options().ways if w.name in samples and w.at(program, Options()) is not None)


# ------------------------------------------------------------------------------------------------- the section


def fit() -> list[Row]:
    """The prices to ship: fitted to the times of the regret benchmark's fit set, with spread and regret by both."""
    found = choices()
    groups = {
        "fit": [c for c in found if not c.function.unseen],
        "unseen": [c for c in found if c.function.unseen],
        "all": found,
    }
    old = machine()
    new = rounded(fitted([s for c in groups["fit"] for s in c.samples.values()], old))
    told = {k for c in groups["fit"] for s in c.samples.values() for k, v in s.quantities.items() if v}
    rows: list[Row] = [
        {
            "price": f"    {k}: float = {getattr(new, k):g}",
            "before": getattr(old, k),
            "factor": getattr(new, k) / getattr(old, k),
            "samples": sum(1 for c in groups["fit"] for s in c.samples.values() if s.quantities.get(k)),
            "share": _share(k, groups["fit"], new) if k in told else 0.0,
        }
        for k in PRICES
    ]
    for which, prices in (("before", old), ("after", new)):
        for group, members in groups.items():
            rows += _spreads(which, group, members, prices)
    for which, prices in (("before", old), ("after", new)):
        for group, members in groups.items():
            for sparse in (False, True):
                chosen = [c for c in members if c.sparse == sparse]
                if chosen:
                    rows.append(_regrets(which, f"{group}, {'sparse' if sparse else 'dense'}", chosen, prices))
    rows += _worst(found, new)
    return rows


def rounded(prices: Machine) -> Machine:
    """Return prices of two digits."""
    return Machine(**{k: float(f"{getattr(prices, k):.2g}") for k in PRICES})


def _share(name: str, members: Sequence[Choice], prices: Machine) -> float:
    """Return the largest part that a price has in the prediction of any sample: what says little moves little."""
    samples = [s for c in members for s in c.samples.values()]
    whole = predictions(samples, prices)
    return max(getattr(prices, name) * s.quantities.get(name, 0.0) / w for s, w in zip(samples, whole, strict=True))


def _spreads(which: str, group: str, members: Sequence[Choice], prices: Machine) -> list[Row]:
    samples = [s for c in members for s in c.samples.values()]
    rows = []
    for way in ("all ways", *dict.fromkeys(s.way for s in samples)):
        chosen = [s for s in samples if way in ("all ways", s.way)]
        ratios = predictions(chosen, prices) / [s.seconds for s in chosen]
        low, middle, high = np.percentile(ratios, (5, 50, 95))
        rows.append(
            {
                "prices": which,
                "functions": group,
                "predicted/measured of": way,
                "samples": len(chosen),
                "5 %": float(low),
                "median": float(middle),
                "95 %": float(high),
                "typical factor": math.exp(math.sqrt(float(np.mean(np.log(ratios) ** 2)))),
            }
        )
    return rows


def _regrets(which: str, group: str, members: Sequence[Choice], prices: Machine) -> Row:
    regrets = np.array([c.regret(prices) for c in members])
    worst = members[int(regrets.argmax())]
    return {
        "prices": which,
        "functions": f"{len(members)} {group}",
        "regret: median": float(np.median(regrets)),
        "mean": float(np.mean(regrets)),
        "95 %": float(np.percentile(regrets, 95, method="higher")),
        "max": float(regrets.max()),
        "share <= 1.3": float(np.mean(regrets <= 1.3)),
        "worst": f"{worst.name} ({worst.taken(prices)})",
    }


def _worst(found: Sequence[Choice], prices: Machine, count: int = 25) -> list[Row]:
    """Return the samples that the new prices predict worst, and the choices that cost most."""
    samples = [(s, c) for c in found for s in c.samples.values()]
    ratios = predictions([s for s, _ in samples], prices) / [s.seconds for s, _ in samples]
    order = np.argsort(-np.abs(np.log(ratios)))[:count]
    rows: list[Row] = []
    for i in order:
        s, c = samples[i]
        rows.append(
            {
                "worst predicted": s.program,
                "way": s.way,
                "set": "unseen" if c.function.unseen else "fit",
                "measured ms": s.seconds * 1e3,
                "predicted/measured": float(ratios[i]),
                "made of": _made_of(s, prices),
            }
        )
    for c in sorted(found, key=lambda c: -c.regret(prices))[:count]:
        taken, best = c.taken(prices), min(c.times, key=c.times.__getitem__)
        if taken == best:
            break
        rows.append(
            {
                "worst chosen": c.name,
                "set": "unseen" if c.function.unseen else "fit",
                "taken": taken,
                "best": best if best in c.open else f"{best} (not looked at)",
                "regret": c.regret(prices),
                "predicted/measured, taken": _ratio(c.samples[taken], prices),
                "best's": _ratio(c.samples[best], prices),
                "taken is": _made_of(c.samples[taken], prices),
                "best is": _made_of(c.samples[best], prices),
            }
        )
    return rows


def _ratio(sample: Sample, prices: Machine) -> float:
    return float(predictions([sample], prices)[0] / sample.seconds)


def _made_of(sample: Sample, prices: Machine) -> str:
    """Return the three largest parts of a prediction."""
    parts = {k: getattr(prices, k) * v for k, v in sample.quantities.items()}
    whole = sum(parts.values())
    return ", ".join(f"{k} {parts[k] / whole:.0%}" for k in sorted(parts, key=lambda k: -parts[k])[:3])
