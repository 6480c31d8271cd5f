"""Change one token of the engine at a time and see whether a test notices.

Each mutant lives in a copy of the tree. The tests that reach its line run first, the quickest first, until one
fails; with ``--whole`` the rest of the suite follows. Too much time counts as noticed (a loop without end). What survives is
listed with its line, and the run fails if a survivor is not in ``equivalent.txt``.
"""

from __future__ import annotations

import argparse
import os
import queue
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutation.mutants import Mutant, drawn, of_rooms
from tests.mutation.reached import FOLDER, Reached, measured

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = (
    "dualdiff/values.py",
    "dualdiff/tangents.py",
    "dualdiff/kinds/*.py",
    "dualdiff/rules/**/*.py",
    "dualdiff/dual.py",
    "dualdiff/tape.py",
    "dualdiff/reach.py",
    "dualdiff/passes/*.py",
    "dualdiff/ways/*.py",
)
"""What is mutated, as globs; one that matches nothing is passed over."""
EQUIVALENT = Path(__file__).parent / "equivalent.txt"
MEMORY = 8 * 2**30
"""Bytes a mutant's tests may take."""
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "_build", "generated")
NOTHING_RAN = 5
"""Pytest's exit status where it found no test."""


def equivalents(text: str) -> dict[str, str]:
    """Read the mutants known to change nothing: a line ``file: before => after``, then one, indented, with the reason."""
    found: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            if not key:
                raise ValueError(f"a reason without a mutant: {line.strip()}")
            found[key] = f"{found[key]} {line.strip()}".strip()
        else:
            key = line.strip()
            found[key] = ""
    silent = [k for k, reason in found.items() if not reason]
    if silent:
        raise ValueError(f"no reason is given for: {silent[0]}")
    return found


def run_tests(tree: Path, tests: Sequence[str], seconds: float) -> bool:
    """Run tests in a tree, all of them if none are named; return whether one failed or time ran out."""
    listed = tree / ".tests"
    listed.write_text("\n".join(tests))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    process = subprocess.Popen(
        [*command, *([f"@{listed}"] if tests else [])],
        cwd=tree,
        env=os.environ
        | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_PROFILE": "ci", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )
    try:
        return process.wait(seconds) not in (0, NOTHING_RAN)
    except subprocess.TimeoutExpired:
        return True
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def affordable(reached: Reached, tests: Sequence[str], seconds: float) -> tuple[list[str], float]:
    """Return the quickest tests that take so many seconds together, at least one of them, and what they take."""
    chosen: list[str] = []
    total = 0.0
    for test in tests:
        total += reached.duration(test)
        if chosen and total > seconds:
            return chosen, total - reached.duration(test)
        chosen.append(test)
    return chosen, total


def noticed(mutant: Mutant, tree: Path, reached: Reached, options: argparse.Namespace) -> bool:
    """Whether a test fails with the mutant in the tree."""
    file = tree / mutant.path
    text = file.read_text(encoding="utf-8")
    file.write_text(mutant.applied(text), encoding="utf-8")
    try:
        tests = reached.tests(mutant.path, mutant.line)
        if not tests and reached.imported(mutant.path, mutant.line):
            tests = sorted(reached.seconds, key=reached.duration)  # what stands in a table may be used by any test
        if tests:
            chosen, total = affordable(reached, tests, options.seconds)
            if run_tests(tree, chosen, 60 + 4 * total):
                return True
        return bool(options.whole) and run_tests(tree, options.tests, 60 + 4 * sum(reached.seconds.values()))
    finally:
        file.write_text(text, encoding="utf-8")


def main() -> int:
    """Run the mutants; return 1 if one survives that is not known to be equivalent."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="how many mutants (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (default: %(default)s)")
    parser.add_argument(
        "--from", type=int, default=0, dest="first", metavar="K", help="leave out the first K of them, judged before"
    )
    parser.add_argument("--rooms", nargs="+", default=ROOMS, metavar="GLOB", help="files to mutate")
    parser.add_argument(
        "--tests", nargs="+", default=[], metavar="PATH", help="tests to hold them against (default: all)"
    )
    parser.add_argument("--whole", action="store_true", help="run the whole suite where the tests of the line pass")
    parser.add_argument(
        "--seconds", type=float, default=120, help="of tests that reach the line (default: %(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time")
    parser.add_argument("--measure", action="store_true", help="measure anew which tests reach which lines")
    parser.add_argument("--list", action="store_true", help="only say which mutants there would be")
    options = parser.parse_args()

    every = of_rooms(ROOT, options.rooms)
    chosen = drawn(every, options.count, options.seed, ROOT)[options.first :]
    if options.list:
        print("\n".join(m.says for m in chosen))
        return 0
    known = equivalents(EQUIVALENT.read_text(encoding="utf-8"))
    reached = measured(ROOT, options.tests, options.measure)
    print(f"{len(chosen)} of {len(every)} mutants, seed {options.seed}", flush=True)

    trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        for job in range(options.jobs):
            trees.put(Path(shutil.copytree(ROOT, Path(folder) / str(job), ignore=LEFT_OUT)))

        def judge(mutant: Mutant) -> bool:
            tree = trees.get()
            try:
                killed = noticed(mutant, tree, reached, options)
            finally:
                trees.put(tree)
            if not killed:
                print(f"survives: {mutant.says}", flush=True)
            return killed

        with ThreadPoolExecutor(options.jobs) as pool:
            killed = list(pool.map(judge, chosen))

    survivors = [m for m, dead in zip(chosen, killed, strict=True) if not dead]
    fresh = [m for m in survivors if m.key not in known]
    unreached = [m for m in fresh if not reached.tests(m.path, m.line) and not reached.imported(m.path, m.line)]
    print(
        f"\n{len(chosen) - len(survivors)} noticed, {len(survivors) - len(fresh)} known to be equivalent, {len(fresh)} survive"
        f" ({len(unreached)} of them on lines that no test reaches)"
    )
    lines = [f"{m.key}\n    [line {m.line}] the reason" for m in sorted(fresh, key=lambda m: (m.path, m.line))]
    if lines:
        print(f"Give each a test, or a reason in {EQUIVALENT.relative_to(ROOT)}:\n")
        print("\n".join(lines))
    (ROOT / FOLDER / "survivors.txt").write_text("".join(f"{m.says}\n" for m in fresh), encoding="utf-8")
    return int(bool(fresh))


if __name__ == "__main__":
    raise SystemExit(main())
