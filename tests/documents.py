"""What the documents show: the blocks of pages and the cells of notebooks, run again.

A page shows what a block prints in an ``output`` block right below it; ``print(…)  # …`` shows one line beside the code.
``python -m tests.documents paths`` runs pages and notebooks, and stores what they print now.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts and "generated" not in p.parts),
]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

PEERS = "advect|autograd|casadi|distributed|jax|lmfit|numdifftools|torch"  # a block that imports one runs where it is installed
BLOCK = re.compile(r"```python\n(?P<code>.*?)```(?:\n+```output\n(?P<output>.*?)```)?", flags=re.DOTALL)
CLAIM = re.compile(r"^ *(?:print\(.*)?\)  # ((?:[\[({\d-]|True|False|tensor|forward|reverse).*)$", flags=re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a page: its code, the line it starts at, and what the page says it prints, if it shows that."""

    code: str
    line: int
    output: str | None

    @property
    def claims(self) -> list[str]:
        """What comments beside ``print`` say."""
        return CLAIM.findall(self.code)


def blocks(path: Path) -> list[Block]:
    """Return the Python blocks of a page."""
    text = path.read_text(encoding="utf-8")
    return [Block(b["code"], text.count("\n", 0, b.start("code")), b["output"]) for b in BLOCK.finditer(text)]


def runs_here(block: Block) -> bool:
    """Return whether the peers that a block imports are installed."""
    return all(map(find_spec, re.findall(rf"^ *(?:import|from) ({PEERS})\b", block.code, flags=re.MULTILINE)))


def run(block: Block, path: Path, names: dict[str, object]) -> str:
    """Run a block among the names that the blocks before it left; return what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * block.line + block.code, str(path), "exec", dont_inherit=True), names)
    return printed.getvalue()


def executed(path: Path) -> nbformat.NotebookNode:
    """Return a notebook with the outputs it has when it is run again."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", coalesce_streams=True, resources={"metadata": {"path": str(ROOT)}}
    )
    # On a server of continuous integration Hypothesis prints more.
    client.execute(env={name: value for name, value in os.environ.items() if name != "CI"})
    return notebook


def shown(cell: nbformat.NotebookNode) -> list[str]:
    """Return the text of a cell's outputs."""
    return [o.get("text") or o.get("data", {}).get("text/plain") for o in cell.outputs]


def masked(text: str) -> str:
    """Return text without what differs from run to run, from machine to machine, or with the place of a block.

    These are times, error bars, the last digits of long numbers, widths of columns, and lines of a page.

    So do, of what the lab prints, ratios of times, exponents and crossovers found from times, errors, which rounding decides,
    and under which conditions it ran.

    >>> masked("forward   4  42.5 µs    147 µs  ← chosen") == masked("forward  4  40 µs  1.2 ms  ← chosen")
    True
    >>> masked("283.7 times faster") == masked("3 times faster")
    True
    >>> masked("4 columns") == masked("5 columns")
    False
    >>> masked("forward  27.3×  5.7e-15") == masked("forward  1,027×  1.1e-16")
    True
    >>> masked("2-point  27.3×  agrees") == masked("2-point  27.3×  inaccurate")
    False
    """
    text = re.sub(r"Python \d.*; seed \d+", "CONDITIONS", text)
    text = re.sub(r"(?<![\w.])[\d.,]+×", "RATIO", text)
    text = re.sub(r"(?<=: best at )\S+|[\d.]+(?= digits$)", "BEST", text, flags=re.MULTILINE)
    text = re.sub(r".* is faster up to .* beyond\n?|(?m:^fastest .*$)", "", text)
    text = re.sub(r"n\^-?\d\.\d\d ± \d\.\d\d(?=\s+(?:n\^|-))", "GROWTH", text)
    text = re.sub(r"(?<![\w.])[\d.,]+(?:e[+-]?\d+)? ?(?:ns|[µu]s|ms|s|min)\b", "TIME", text)
    text = re.sub(r"[\d.,]+ times (?=faster|slower|as )", "RATIO times ", text)
    text = re.sub(r"(?<=\.md, line )\d+", "LINE", text)
    text = re.sub(r"-?\d+\.\d{9,}(?:e[+-]?\d+)?", lambda number: f"{float(number[0]):.8g}", text)
    text = re.sub(r"± (?:\d(?:\.\d)?e[+-]\d+|[A-Z]+)", "± BAR", text)
    text = re.sub(r"(?<![\w.])(?:\d\.\de-\d\d|0\.0e\+00)\b|(?<=right to )\de-\d\d", "ERROR", text)
    text = re.sub(r"-{3,}", "---", text)  # as long as the columns are wide
    text = re.sub(r"Measured, .*", "Measured", text)
    text = re.sub(r"(?<=\s)-(?=\s|$)", "TIME", text)  # a way that was not waited for
    return re.sub(r"[ ─━]+", " ", text).strip()


def store_page(path: Path) -> None:
    """Write below each block what it prints, where the page shows it: below already, or in comments beside the code."""
    text, names, done, parts = path.read_text(encoding="utf-8"), {}, 0, []
    for found, block in zip(BLOCK.finditer(text), blocks(path), strict=True):
        if not runs_here(block):
            continue
        printed = run(block, path, names)
        if block.claims or (block.output is not None and masked(printed) != masked(block.output)):
            code = re.sub(CLAIM, lambda claim: claim[0].split("  # ")[0], block.code)
            parts += [text[done : found.start()], f"```python\n{code}```\n\n```output\n{printed.rstrip()}\n```"]
            done = found.end()
    path.write_text("".join([*parts, text[done:]]), encoding="utf-8")


def store_notebook(path: Path) -> None:
    """Execute a notebook and keep its outputs."""
    notebook = executed(path)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
    nbformat.write(notebook, path)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.environ["DUALDIFF_CALIBRATION"] = "shipped"
    for each in map(Path, sys.argv[1:]):
        store_notebook(each) if each.suffix == ".ipynb" else store_page(each)
