"""Run the benchmarks: ``python -m tests.benchmarks [option ...] [section ...]``.

Every figure is a ratio of minima of interleaved runs in one process. The state of the allocator is printed: it belongs to the
process, so freed memory is kept for everybody in it, the peers included. By default it is what dualdiff's first large tape
makes of it, from the start; ``--keep-memory`` keeps a gibibyte, ``--give-back`` leaves the C library as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

import dualdiff as dd
from dualdiff import allocator
from tests.benchmarks import (
    eager,
    executors,
    fit,
    kernels,
    loops,
    memory,
    ode,
    orders,
    peers,
    programs,
    regret,
    sections,
    solvers,
    stiff,
    topology,
    ways,
)

SECTIONS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    **sections.SECTIONS,
    "regret": regret.regret,
    "model": regret.model,
    "sparse-regret": regret.sparse_regret,
    "ways": ways.ways,
    "sparse": ways.sparse,
    "sparse-product": ways.sparse_product,
    "loops": loops.loops,
    "programs": programs.programs,
    "kernels": kernels.kernels,
    "memory": memory.memory,
    "torch": eager.torch_eager,
    **peers.SECTIONS,
    "stiff": stiff.stiff,
    "solvers": solvers.solvers,
    "executors": executors.executors,
    "ode": ode.ode,
    "ode-derivatives": ode.ode_derivatives,
    "topology": topology.topology,
}
TOOLS: dict[str, Callable[[], list[dict[str, Any]]]] = {"fit": fit.fit, "orders": orders.orders, **programs.TOOLS}
"""What runs only if it is asked for."""


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as text: each run of rows with the same keys as one table under its keys."""
    lines = []
    for keys, group in groupby(rows, key=tuple):
        cells = [keys, *[[_cell(v) for v in row.values()] for row in group]]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        texts = [not any(_is_number(row[k]) for row in rows if tuple(row) == keys) for k in keys]
        lines += [
            "  "
            + "  ".join(c.ljust(w) if t else c.rjust(w) for c, w, t in zip(row, widths, texts, strict=True)).rstrip()
            for row in cells
        ]
        lines.append("")
    return "\n".join(lines)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return rows as tables of Markdown."""
    lines = []
    for keys, group in groupby(rows, key=tuple):
        cells = [[_cell(v) for v in row.values()] for row in group]
        aligned = ["--:" if any(_is_number(row[k]) for row in rows if tuple(row) == keys) else "---" for k in keys]
        lines += ["| " + " | ".join(c) + " |" for c in (keys, aligned, *cells)] + [""]
    return "\n".join(lines)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "*" if value else ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _settled(kept: int) -> str:
    """Settle for the whole run how much freed memory is kept, and say so."""
    allocator.sweeps = None
    if kept and allocator.nobody_else_decides() and dd.keep_freed_memory(kept):
        return f"up to {kept >> 20} MiB of freed memory kept"
    return "the C library's, as it is"


def main() -> int:
    """Run the sections asked for, print their tables, return 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", choices=[*SECTIONS, *TOOLS, []], help=f"which (default: all but {', '.join(TOOLS)})"
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print machine-readable results")
    forms.add_argument("--markdown", action="store_true", help="print tables of Markdown")
    memories = parser.add_mutually_exclusive_group()
    memories.add_argument("--keep-memory", action="store_true", help="keep up to 1 GiB of freed memory, not 256 MiB")
    memories.add_argument("--give-back", action="store_true", help="leave the C library's allocator as it is")
    parser.add_argument("--times", metavar="FILE", type=Path, help="for fit: read the times, or keep them there")
    parser.add_argument(
        "--rows", metavar="TEXT", default="", help="for programs: only workloads whose name contains it"
    )
    options = parser.parse_args()
    fit.times_file = options.times
    programs.wanted = options.rows
    state = _settled(2**30 if options.keep_memory else 0 if options.give_back else allocator.KEPT)
    results = {}
    if not options.json:
        threads = os.environ["OPENBLAS_NUM_THREADS"]
        print(
            f"Python {platform.python_version()}, NumPy {np.__version__}, allocator: {state}, BLAS threads: {threads}"
        )
    for name in options.sections or SECTIONS:
        section = (SECTIONS | TOOLS)[name]
        rows = section()
        results[name] = rows
        if not options.json:
            print(f"\n{name}: {(section.__doc__ or '').splitlines()[0]}\n")
            print(markdown(rows) if options.markdown else table(rows))
            sys.stdout.flush()
    if options.json:
        print(json.dumps({"allocator": state, "results": results}, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
