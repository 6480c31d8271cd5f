"""Peak memory of each way to a Jacobian against the ``max_bytes`` it was given, in fresh processes.

The figure is how much the peak resident size of the process grew while the Jacobian was computed, over ``max_bytes``.
Before that the same way went through a small problem, so that what is imported late is there, and f ran alone.
Run as a module with one argument, a JSON object, this file measures one Jacobian and prints what it found.
"""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import dualdiff as dd
from dualdiff.errors import InputError
from dualdiff.lab.problems import chains, equations, fitting, learning, mechanics, stencils

Row = dict[str, Any]
ROOMS = {m.__name__.rpartition(".")[2]: m for m in (chains, equations, fitting, learning, mechanics, stencils)}

#: way, options, builder, arguments of the problem, arguments of a small one
PROBLEMS: tuple[tuple[str, Row, str, tuple[Any, ...], tuple[Any, ...]], ...] = (
    ("forward", {"mode": "forward"}, "fitting.gaussians", (1_000_000, 3), (1000, 3)),
    ("forward", {"mode": "forward"}, "equations.trigonometric", (2500,), (60,)),
    ("forward", {"mode": "forward"}, "equations.broyden_banded", (3000,), (60,)),
    ("reverse", {"mode": "reverse"}, "equations.broyden_banded", (3000,), (60,)),
    ("reverse", {"mode": "reverse"}, "learning.lstm_weights", (128, 128), (4, 4)),
    ("mixed", {"mode": "mixed"}, "chains.hourglass", (4000, 3, 4000), (100, 3, 100)),
    ("mixed", {"mode": "mixed"}, "chains.hourglass", (3000, 300, 3000), (100, 10, 100)),
    ("auto, dense", {}, "equations.broyden_banded", (3000,), (60,)),
    ("row-sparse", {"sparse": True, "mode": "forward"}, "equations.broyden_tridiagonal", (1_000_000,), (1000,)),
    ("row-sparse", {"sparse": True, "mode": "forward"}, "stencils.brusselator", (300,), (10,)),
    (
        "columns",
        {"sparse": True, "coloring": "columns"},
        "equations.broyden_tridiagonal",
        (500_000,),
        (1000,),
    ),
    ("rows", {"sparse": True, "coloring": "rows"}, "equations.broyden_tridiagonal", (500_000,), (1000,)),
    ("rows and columns", {"sparse": True, "coloring": "both"}, "chains.arrowhead", (300_000,), (1000,)),
)


def _build(name: str, arguments: list[Any]) -> Any:
    room, _, builder = name.partition(".")
    return getattr(ROOMS[room], builder)(*[tuple(a) if isinstance(a, list) else a for a in arguments])


def _status(field: str) -> int:
    """Return a size from Linux's account of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def _growth(call: Any) -> tuple[int, Any]:
    """Return by how many bytes the peak resident size grew in a call, and its result."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is the present size again
        before = _status("VmRSS")
        result = call()
        return max(0, _status("VmHWM") - before), result
    except OSError:  # elsewhere the peak so far is the start
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result = call()
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, result


def measure(job: Row) -> Row:
    """Compute one Jacobian twice in this process, and return what it took."""
    small, case = _build(job["builder"], job["small"]), _build(job["builder"], job["sizes"])
    dd.jacobian(small.function, **job["options"])(np.array(small.point))
    x = np.array(case.point)
    if job["max_bytes"] is None:
        plan = dd.jacobian(case.function, **job["options"]).explain(x)
        (way,) = [w for w in plan.ways if w.name == plan.chosen]
        return {"bytes": way.bytes, "chosen": plan.chosen}
    j = dd.jacobian(case.function, max_bytes=job["max_bytes"], **job["options"])
    alone, _ = _growth(lambda: case.function(x))
    try:
        first, found = _growth(lambda: j(x))
    except InputError as error:
        return {"raised": str(error)}
    held = found.data.nbytes + found.indices.nbytes + found.indptr.nbytes if j.sparse else found.nbytes
    del found
    later, _ = _growth(lambda: j(x))
    (taken, *_) = next(iter(j._decisions.known.values()))
    return {"alone": alone, "first": first, "later": later, "held": held, "way": taken.way.name}


def _run(job: Row) -> Row:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.memory", json.dumps(job)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout)


def memory() -> list[Row]:
    """Peak growth of the process beyond max_bytes: first call (it plans) and later ones, generous and tight limits."""
    rows: list[Row] = []
    for way, options, builder, sizes, small in PROBLEMS:
        job = {"builder": builder, "sizes": sizes, "small": small, "options": options}
        plan = _run(job | {"max_bytes": None})
        name = f"{builder.partition('.')[2]}{sizes}"
        if "failed" in plan:
            rows.append({"problem": name, "way": way, "limit": "none", "failed": plan["failed"]})
            continue
        predicted = plan["bytes"]
        for limit, fractions in (("generous", (1.5,)), ("tight", (0.2, 0.35, 0.5, 0.7, 0.85, 1.0)), ("small", (0.01,))):
            for fraction in fractions:
                most = int(fraction * predicted)
                found = _run(job | {"max_bytes": most})
                if "raised" not in found:
                    break
            if "failed" in found:
                rows.append({"problem": name, "way": way, "limit": limit, "failed": found["failed"]})
            elif limit == "small":
                rows.append({"too small for": way, "problem": name, "raises": found.get("raised", "NO")[:60]})
            elif "raised" in found:
                rows.append({"problem": name, "way": way, "limit": limit, "failed": found["raised"][:100]})
            else:
                rows.append(
                    {
                        "problem": name,
                        "way": way,
                        "taken": found["way"],
                        "limit": limit,
                        "max_bytes MB": most / 1e6,
                        "predicted MB": predicted / 1e6,
                        "result MB": found["held"] / 1e6,
                        "f alone MB": found["alone"] / 1e6,
                        "first MB": found["first"] / 1e6,
                        "later MB": found["later"] / 1e6,
                        "first/max_bytes": found["first"] / most,
                        "later/max_bytes": found["later"] / most,
                    }
                )
    return sorted(rows, key=lambda r: ("max_bytes MB" not in r, "failed" not in r))


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
