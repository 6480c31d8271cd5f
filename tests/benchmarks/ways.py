"""Single ways against the hand-written Jacobian, SciPy's differences, and one evaluation of the function."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from scipy.optimize._numdiff import approx_derivative
from scipy.sparse import diags_array

import dualdiff as dd
from dualdiff.coloring import color_columns
from dualdiff.lab.problems import chains, equations, fitting, stencils
from dualdiff.lab.problems.case import Case
from dualdiff.lab.timing import interleaved_minima
from dualdiff.passes.sparsity import dependence
from dualdiff.tape import record
from tests.benchmarks.regret import both_orders, timed

Row = dict[str, Any]


def ways() -> list[Row]:
    """Dense Jacobians, from the second call on: auto over the hand-written one, 2-point differences, the better mode."""
    rows: list[Row] = []
    for case, differenced, bound in (
        (fitting.gaussians(1000, 3), True, "hand 3, 2-point 1"),
        (fitting.gaussians(100_000, 3), True, "hand 1.6, 2-point 1"),
        (fitting.gaussians_broadcast(1000, 3), True, ""),
        (fitting.gaussians_broadcast(100_000, 3), True, ""),
        (chains.hourglass(1000, 3, 1000), False, "hand 2"),
        (chains.hourglass(1000, 1, 1000), False, ""),
        (chains.dense_map(5000, 5), False, "hand 2"),
        (chains.dense_map(200, 200), False, "hand 2"),
        (chains.layers(200, 200, 200, 200), False, "hand 2"),
        (chains.small_operations(30, 10), False, "better mode 1.1"),
    ):
        x = np.array(case.point)
        operators = {"auto": dd.jacobian(case.function)}
        plan = operators["auto"].explain(x)
        # Pulling 1e5 rows through arrays of 1e5 takes minutes.
        possible = {w.name for w in plan.ways if w.seconds < 5.0} - {"mixed"}
        operators |= {k: dd.jacobian(case.function, mode=k) for k in sorted(possible)}
        calls: dict[str, Callable[[], Any]] = {k: (lambda j=j, x=x: j(x)) for k, j in operators.items()}
        calls["hand"] = lambda case=case, x=x: case.jacobian(x)
        if differenced:
            calls["2-point"] = lambda case=case, x=x: approx_derivative(case.function, x, method="2-point")
        times, results, _ = timed(calls, 2.0)
        f = interleaved_minima({"f": lambda case=case, x=x: case.function(x)}, rounds=5)["f"]
        gap = np.max(np.abs(results["auto"] - results["hand"])) / np.max(np.abs(results["hand"]))
        better = min(times.get("forward", np.inf), times.get("reverse", np.inf))
        rows.append(
            {
                "case": case.name,
                "auto ms": times["auto"] * 1e3,
                "/hand": times["auto"] / times["hand"],
                "/2-point": times["auto"] / times["2-point"] if differenced else None,
                "/better mode": times["auto"] / better,
                "/f": times["auto"] / f,
                "chosen": plan.chosen,
                "at most": bound,
                "apart": float(gap),
            }
        )
    return rows


def _coloured(case: Case) -> tuple[float, float, int, int]:
    """Return the seconds of finding the pattern and of colouring it, its nonzeros, and the colours."""
    tape, result = record(case.function, np.array(case.point))
    tape.outputs = [result.mark]
    seconds: list[tuple[float, float]] = []
    for _ in range(2):
        start = perf_counter()
        pattern = dependence(tape)
        middle = perf_counter()
        found = color_columns(pattern)
        seconds.append((middle - start, perf_counter() - middle))
    detect, color = map(min, zip(*seconds, strict=True))
    return detect, color, pattern.nnz, found.count


def sparse() -> list[Row]:
    """Sparse Jacobians, from the second call on, in units of f; and what finding pattern and colours takes once."""
    rows: list[Row] = []
    once: list[Row] = []
    for case, bound in (
        (equations.broyden_tridiagonal(100_000), 0.5),
        (stencils.brusselator(100), 1.0),
        (fitting.bundle_adjustment(50, 8000, 36_000), 3.0),
    ):
        x = np.array(case.point)
        detect, color, nonzeros, colors = _coloured(case)
        options: dict[str, Row] = {"auto": {}, "row-sparse": {"mode": "forward"}} | {
            k: {"coloring": k} for k in ("columns", "rows", "both")
        }
        operators = {k: dd.jacobian(case.function, sparse=True, **o) for k, o in options.items()}
        start = perf_counter()
        operators["auto"](x)
        first = perf_counter() - start
        plan = operators["auto"].explain(x)
        estimates = {w.name: w.seconds for w in plan.ways}
        slow = [k for k in options if estimates.get({"both": "rows and columns"}.get(k, k), 0.0) > 5.0]
        calls = {k: (lambda j=j, x=x: j(x)) for k, j in operators.items() if k not in slow}
        calls["f"] = lambda case=case, x=x: case.function(x)
        # f is timed in the same turns as the ways it is the unit of.
        rough, _, skipped = timed({k: c for k, c in calls.items() if k != "f"}, 2.0)
        near = {k: c for k, c in calls.items() if k == "f" or rough.get(k, 1.0) < 0.5}
        times = both_orders(near, 10)
        rows.append(
            {
                "case": case.name,
                "f ms": times["f"] * 1e3,
                "auto ms": times["auto"] * 1e3,
                "auto/f": times["auto"] / times["f"],
                "at most": 1.5 * (colors + 1),
                "colours": colors,
                "chosen": plan.chosen,
                **{
                    f"{k}/f": times[k] / times["f"] if k in times else "slow" if k in (*slow, *skipped) else None
                    for k in list(options)[1:]
                },
            }
        )
        once.append(
            {
                "case": case.name,
                "nonzeros": nonzeros,
                "detect s": detect,
                "colour s": color,
                "together": detect + color,
                "at most": bound,
                "first call s": first,
            }
        )
    return rows + once + _million()


def sparse_product() -> list[Row]:
    """A product with a constant sparse matrix of 1e5 rows, against the same with a gather and np.add.at: SciPy's must not be slower."""
    n = 100_000
    S = diags_array([np.ones(n - 1), -2 * np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1]).tocsr()
    coo, x = S.tocoo(), np.linspace(0.0, 1.0, n)

    def written(x: Any) -> Any:
        y = np.zeros_like(x, shape=n)
        np.add.at(y, coo.row, coo.data * x[coo.col])
        return y

    rows: list[Row] = []
    operators: dict[str, Any] = {
        "value": lambda f: f,
        "jvp": lambda f: lambda x: dd.jvp(f, (x,), (x,)),
        "gradient of a sum of squares": lambda f: dd.grad(lambda x: np.sum(f(x) ** 2)),
        "sparse Jacobian": lambda f: dd.jacobian(f, sparse=True),
    }
    for name, operator in operators.items():
        ours, other = operator(lambda x: S @ x), operator(written)
        times = interleaved_minima({"S @ x": lambda f=ours: f(x), "np.add.at": lambda f=other: f(x)}, rounds=10)
        rows.append(
            {"product": name, "S @ x ms": times["S @ x"] * 1e3, "of np.add.at": times["S @ x"] / times["np.add.at"]}
        )
    return rows


_MILLION = """
import json, sys
from time import perf_counter
import numpy as np, dualdiff as dd
from dualdiff.lab.problems import equations
from dualdiff import allocator
allocator.sweeps = None
if sys.argv[1] == "kept":
    dd.keep_freed_memory()
case = equations.broyden_tridiagonal(10**6)
x = np.array(case.point)
options = {} if sys.argv[2] == "auto" else {"coloring": sys.argv[2]}
j = dd.jacobian(case.function, sparse=True, **options)
def timed(call):
    start = perf_counter()
    result = call()
    return perf_counter() - start, result
def peak_rss():  # ru_maxrss would include the parent, from before the exec
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM"))
f = min(timed(lambda: case.function(x))[0] for _ in range(3))
before = peak_rss()
first, found = timed(lambda: j(x))
second = min(timed(lambda: j(x))[0] for _ in range(3))
peak = peak_rss()
print(json.dumps({"f ms": f * 1e3, "first call s": first, "later call/f": second / f, "nonzeros": found.nnz,
    "before MB": before / 1024, "peak MB": peak / 1024}))
"""


def _million() -> list[Row]:
    """A million unknowns in fresh processes, with their peak memory."""
    rows: list[Row] = []
    for way in ("auto", "columns"):
        for allocator in ("default", "kept"):
            done = subprocess.run(
                [sys.executable, "-c", _MILLION, allocator, way], capture_output=True, text=True, check=False
            )
            head = {"fresh process": f"broyden-tridiagonal-1000000, {way}", "allocator": allocator}
            failed = {"failed": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]}
            rows.append(head | (failed if done.returncode else json.loads(done.stdout)))
    return rows
