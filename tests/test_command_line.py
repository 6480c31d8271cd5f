"""The page on the command line: every command it shows is run, and prints what stands below it.

``python -m tests.test_command_line`` stores what they print now.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

import pytest

from dualdiff.lab import cli
from dualdiff.passes.costs import machine
from tests.documents import ROOT, blocks, masked

PAGE = ROOT / "docs" / "reference" / "command-line.md"
CONSOLE = re.compile(r"(?<=```console\n)(.*?)(?=```)", flags=re.DOTALL)


def sessions() -> list[list[tuple[str, str]]]:
    """Return the commands of every block, each with what the page says it prints."""
    found = []
    for session in CONSOLE.findall(PAGE.read_text(encoding="utf-8")):
        parts = re.split(r"^\$ (.*)\n", session, flags=re.MULTILINE)
        found.append(list(zip(parts[1::2], parts[2::2], strict=True)))
    return found


def printed(command: str, status: int) -> tuple[str, int]:
    """Run a command of a shell as far as the page needs one; return what it prints, on both streams, and its status."""
    program, *words = shlex.split(command)
    if program == "echo":
        assert words == ["$?"]
        return f"{status}\n", 0
    assert program == "dualdiff"
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        status = cli.main(words)
    return stream.getvalue(), status


def steady(text: str) -> str:
    """Return what a command prints without what was measured: times, what was made of them, errors by rounding, the machine."""
    lines = []
    for line in masked(text).splitlines():
        if line.startswith(("Python 3", "oracle: ", "fastest ")) or " is faster up to " in line or set(line) <= {*"- "}:
            continue
        known, time, measured = line.partition("TIME")
        lines.append(known + time + re.sub(r"(?<!\w)[\d.]+(?:e[-+]?\d+)?|n\^\S+", "N", measured))
    return "\n".join(lines)


@contextlib.contextmanager
def folder_of_the_page(path: Path):
    """Stand in a folder that holds the file that the page shows."""
    (path / "curve.py").write_text(blocks(PAGE)[0].code, encoding="utf-8")
    before, known, paths, arguments = os.getcwd(), set(sys.modules), list(sys.path), sys.argv
    os.chdir(path)
    sys.argv = ["dualdiff"]
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:], sys.argv = paths, arguments
        for name in set(sys.modules) - known:
            if name == "curve":
                del sys.modules[name]


@pytest.mark.parametrize("session", sessions(), ids=lambda s: shlex.split(s[0][0])[1])
def test_a_session_prints_what_the_page_shows(session, tmp_path, monkeypatch):
    monkeypatch.setenv("DUALDIFF_CALIBRATION", "shipped")
    machine.cache_clear()
    status = 0
    with folder_of_the_page(tmp_path):
        for command, shown in session:
            found, status = printed(command, status)
            assert steady(found) == steady(shown), command
    machine.cache_clear()


def test_what_is_not_measured_is_not_masked():
    assert steady("forward  3  25  26.3 µs  2.5  1e-17  agrees") == steady("forward  3  25  1.2 ms  3.1  2e-16  agrees")
    assert steady("forward  3  25  26.3 µs") != steady("forward  3  24  26.3 µs")
    assert steady("way  1 ms  3.1  agrees") != steady("way  1 ms  3.1  DISAGREES")


def test_every_command_has_its_place_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    for command in cli.COMMANDS:
        assert re.search(rf"^\| \[`{command.name}`\]\(#", text, flags=re.MULTILINE), command.name


def store() -> None:
    """Write below each command of the page what it prints."""

    def ran(session: re.Match[str]) -> str:
        status, lines = 0, []
        for command in re.findall(r"^\$ (.*)$", session[0], flags=re.MULTILINE):
            found, status = printed(command, status)
            lines.append(f"$ {command}\n{found}")
        return "".join(lines)

    with tempfile.TemporaryDirectory() as name, folder_of_the_page(Path(name)):
        text = CONSOLE.sub(ran, PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    os.environ["DUALDIFF_CALIBRATION"] = "shipped"
    store()
