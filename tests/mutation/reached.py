"""Which tests reach a line, and how long each takes: one run of the tests under coverage, kept in ``.mutation/``."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from coverage import CoverageData

FOLDER = ".mutation"
LONG = 60.0
"""Seconds of a test whose duration is not known."""


class Reached:
    """The tests that reach each line of the package."""

    def __init__(self, root: Path, data: CoverageData, seconds: dict[str, float]) -> None:
        self.root = root
        self.data = data
        self.seconds = seconds
        self._lines: dict[str, dict[int, list[str]]] = {}

    def tests(self, path: str, line: int) -> list[str]:
        """Return the tests that run a line, the quickest first."""
        if path not in self._lines:
            self._lines[path] = self.data.contexts_by_lineno(str(self.root / path))
        found = {c.rpartition("|")[0] for c in self._lines[path].get(line, []) if "|" in c}
        return sorted(found, key=self.duration)

    def imported(self, path: str, line: int) -> bool:
        """Whether a line runs when the package is imported."""
        self.tests(path, line)
        return "" in self._lines[path].get(line, [])

    def duration(self, test: str) -> float:
        """Return the seconds a test takes."""
        return self.seconds.get(test, LONG)


def measured(root: Path, tests: Sequence[str], fresh: bool) -> Reached:
    """Return what is kept from the last measurement of these sources and tests, or measure."""
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    kept, data = folder / "measured.json", folder / "coverage"
    print_of = _fingerprint(root, tests)
    if not fresh and kept.exists() and data.exists():
        known = json.loads(kept.read_text())
        if known["of"] == print_of:
            return Reached(root, _read(data), known["seconds"])
    print("Measuring which tests reach which lines: one run of the tests under coverage.", flush=True)
    data.unlink(missing_ok=True)
    report = folder / "report.xml"
    options = ["--cov=dualdiff", "--cov-context=test", "--cov-report=", f"--junitxml={report}", "-q"]
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-o", "junit_family=xunit1", *tests],
        cwd=root,
        env=os.environ | {"COVERAGE_FILE": str(data)},
        check=True,
    )
    seconds = _durations(report)
    kept.write_text(json.dumps({"of": print_of, "seconds": seconds}))
    return Reached(root, _read(data), seconds)


def _read(path: Path) -> CoverageData:
    data = CoverageData(basename=str(path))
    data.read()
    return data


def _durations(report: Path) -> dict[str, float]:
    """Return the seconds of each test, by the name under which pytest knows it."""
    found = {}
    for case in ET.parse(report).iter("testcase"):
        file, name = case.get("file", ""), case.get("name", "")
        inner = case.get("classname", "").removeprefix(file.removesuffix(".py").replace("/", ".")).lstrip(".")
        found["::".join([file, *([inner.replace(".", "::")] if inner else []), name])] = float(case.get("time", LONG))
    return found


def _fingerprint(root: Path, tests: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps(list(tests)).encode())
    for folder in ("dualdiff", "tests"):
        for path in sorted((root / folder).rglob("*.py")):
            if "mutation" not in path.parts and "benchmarks" not in path.parts:
                digest.update(path.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
