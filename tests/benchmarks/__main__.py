"""Run the benchmarks: ``python -m tests.benchmarks [--json] [--keep-memory] [--times FILE] [section ...]``.

Every figure is a ratio of minima of interleaved runs in one process. The state of the allocator is printed: with
``--keep-memory`` the C library keeps freed memory for everybody in the process, the peers included.
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
from tests.benchmarks import fit, memory, regret, sections, ways

SECTIONS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    **sections.SECTIONS,
    "regret": regret.regret,
    "model": regret.model,
    "sparse-regret": regret.sparse_regret,
    "ways": ways.ways,
    "sparse": ways.sparse,
    "memory": memory.memory,
}
TOOLS: dict[str, Callable[[], list[dict[str, Any]]]] = {"fit": fit.fit}
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


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "*" if value else ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> int:
    """Run the sections asked for, print their tables, return 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, *TOOLS, []], help="which (default: all but fit)")
    parser.add_argument("--json", action="store_true", help="print machine-readable results")
    parser.add_argument(
        "--keep-memory", action="store_true", help="let the C library keep freed memory (dd.keep_freed_memory)"
    )
    parser.add_argument("--times", metavar="FILE", type=Path, help="for fit: read the times, or keep them there")
    options = parser.parse_args()
    fit.times_file = options.times
    kept = options.keep_memory and dd.keep_freed_memory()
    state = "freed memory kept" if kept else "the C library's defaults"
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
            print(table(rows))
            sys.stdout.flush()
    if options.json:
        print(json.dumps({"allocator": state, "results": results}, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
