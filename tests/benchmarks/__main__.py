"""Run the benchmarks: ``python -m tests.benchmarks [--json] [--keep-memory] [section ...]``.

Every figure is a ratio of minima of interleaved runs in one process. The state of the allocator is printed: with
``--keep-memory`` the C library keeps freed memory for everybody in the process, the peers included.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys

import numpy as np

import dualdiff as dd
from tests.benchmarks import sections


def main() -> int:
    """Run the sections asked for, print their tables, return 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*sections.SECTIONS, []], help="which (default: all)")
    parser.add_argument("--json", action="store_true", help="print machine-readable results")
    parser.add_argument(
        "--keep-memory", action="store_true", help="let the C library keep freed memory (dd.keep_freed_memory)"
    )
    options = parser.parse_args()
    kept = options.keep_memory and dd.keep_freed_memory()
    state = "freed memory kept" if kept else "the C library's defaults"
    results = {}
    if not options.json:
        print(f"Python {platform.python_version()}, NumPy {np.__version__}, allocator: {state}")
    for name in options.sections or sections.SECTIONS:
        rows = sections.SECTIONS[name]()
        results[name] = rows
        if not options.json:
            print(f"\n{name}: {(sections.SECTIONS[name].__doc__ or '').splitlines()[0]}")
            for row in rows:
                print("  " + "  ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{v:<28}" for k, v in row.items()))
            sys.stdout.flush()
    if options.json:
        print(json.dumps({"allocator": state, "results": results}, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
