"""The house has floors: a module imports only from lower ones, or from its own package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from dualdiff.ways import WAYS

HOUSE = Path(__file__).parent.parent / "dualdiff"
FLOORS = {
    "errors": -1,  # the ground that every floor stands on
    "executors": 0,
    "callers": 0,
    "ownership": 0,
    "shapes": 0,
    "labels": 0,
    "trees": 0,
    "allocator": 1,
    "garbage": 1,
    "coloring": 0,
    "values": 1,
    "advice": 2,
    "tangents": 2,
    "kinds": 3,
    "register": 4,
    "matrices": 4,
    "rules": 5,
    "solvers": 5,
    "views": 6,
    "tracer": 7,
    "containers": 8,
    "reach": 9,
    "dual": 10,
    "tape": 10,
    "passes": 11,
    "capture": 11,
    "tensor": 12,
    "ways": 12,
    "compiled": 12,
    "numpy": 12,
    "custom": 13,
    "operators": 13,
    "scipy": 14,
    "lmfit": 14,
    "testing": 15,
    "lab": 16,
}
#: the front door sees every room; the command line, which stands at it, is in the lab
DOORS = ("__init__", "__main__")


ROOMS = {p.stem if p.is_file() else p.name for p in HOUSE.iterdir()}


def room_of(path: Path) -> str:
    """Return the first part of a module's name inside the package: its room."""
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return parts[0]


def imports(tree: ast.AST, path: Path) -> Iterator[tuple[str, int]]:
    """Yield the rooms that a module asks for, wherever in it, with the line."""
    package = ("dualdiff", *path.relative_to(HOUSE).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                parts = name.name.split(".")
                if parts[0] == "dualdiff":
                    yield parts[1] if len(parts) > 1 else "", node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            parts = [*base, *(node.module or "").split(".")] if node.module else list(base)
            if parts and parts[0] == "dualdiff":
                if len(parts) > 1:
                    yield parts[1], node.lineno
                else:
                    for name in node.names:
                        yield name.name if name.name in ROOMS else "", node.lineno


MODULES = sorted(HOUSE.rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def complaints(path: Path, tree: ast.AST) -> list[str]:
    """Return what a module's imports do against the order of the floors."""
    room = room_of(path)
    if room in DOORS:
        return []
    if room not in FLOORS:
        return [f"{path.relative_to(HOUSE)}: the room has no floor; give it one here and in the design"]
    out = []
    for other, line in imports(tree, path):
        if other == room or (other == "" and room == "lab"):
            continue
        if other == "":
            out.append(f"{path.relative_to(HOUSE)}:{line} goes out by the front door")
        elif other not in FLOORS or FLOORS[other] >= FLOORS[room]:
            out.append(
                f"{path.relative_to(HOUSE)}:{line} (floor {FLOORS[room]}) asks {other} (floor {FLOORS.get(other)})"
            )
    return out


def test_imports_go_down() -> None:
    assert [c for path in MODULES for c in complaints(path, tree_of(path))] == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("shapes.py", "from dualdiff.values import bind"),
        ("dual.py", "def f():\n    from dualdiff.tape import Tape"),
        ("passes/push.py", "import dualdiff.operators"),
        ("passes/push.py", "from ..operators import jvp"),
        ("tape.py", "import dualdiff as dd"),
        ("tape.py", "from dualdiff import operators"),
        ("cellar.py", ""),
    ],
)
def test_imports_that_go_up_are_seen(room: str, source: str) -> None:
    assert len(complaints(HOUSE / room, ast.parse(source))) == 1


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("passes/push.py", "from dualdiff.passes.pull import pull\nfrom dualdiff.tape import Tape"),
        ("passes/push.py", "from .pull import pull"),
        ("lab/fits.py", "import dualdiff as dd"),
        ("operators.py", "import numpy as np\nfrom dualdiff import errors"),
    ],
)
def test_imports_that_go_down_pass(room: str, source: str) -> None:
    assert complaints(HOUSE / room, ast.parse(source)) == []


#: Hypothesis is an extra: what needs it stands in these, which nothing else imports before it is asked for them
DRAWN = (HOUSE / "testing" / "strategies", HOUSE / "testing" / "properties.py")


IMPORTS = re.compile(r"^\s*((?:from|import) .*)$", re.MULTILINE)


def test_the_library_never_imports_its_tests_or_peers() -> None:
    banned = {"hypothesis", "pytest", "tests", "torch", "jax", "autograd"}
    for path in MODULES:
        for line in IMPORTS.findall(path.read_text(encoding="utf-8")):
            names = [
                name.strip() for name in line.removeprefix("from").removeprefix("import").split(" import")[0].split(",")
            ]
            peers = {n.split(".")[0].split(" ")[0] for n in names} & banned
            allowed = {"torch", "jax", "autograd"} if room_of(path) == "lab" else set()
            if any(path.is_relative_to(place) for place in DRAWN):
                allowed = {"hypothesis"}
            assert peers <= allowed, f"{path}: {peers}"


# --------------------------------------------------------------------------------------------------
# ask, do not branch

NAMES = {w.name for w in WAYS}


def comparisons_of_ways(tree: ast.AST) -> list[int]:
    """Return the lines on which something is compared with the name of a way."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, (ast.Compare, ast.MatchValue))
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and part.value in NAMES
    ]


def test_nobody_compares_a_ways_name() -> None:
    assert {p: found for p in MODULES if (found := comparisons_of_ways(tree_of(p)))} == {}


@pytest.mark.parametrize(
    "source",
    [
        'if way.name == "forward": pass',
        'x = mode in ("auto", "reverse")',
        'match name:\n    case "row-sparse": pass',
        'assert "columns" != way.name',
    ],
)
def test_comparisons_with_names_are_seen(source: str) -> None:
    assert comparisons_of_ways(ast.parse(source))
    for name in NAMES:
        source = source.replace(f'"{name}"', f'"no {name}"')
    assert not comparisons_of_ways(ast.parse(source))


ANALYSES = ("tangents", "kinds", "passes", "ways", "compiled")
#: what the two runs record themselves: reading and writing entries
RECORDED = {"getitem", "setitem", "stored", "stored_tangent"}


def rows_named(tree: ast.AST, room: str) -> list[str]:
    """Return what a module takes from the rules that its room has no business with."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dualdiff.rules"):
            found += [a.name for a in node.names if room in ANALYSES or a.name not in RECORDED]
        elif isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.startswith("dualdiff.rules")]
    return found


def test_no_analysis_imports_a_row() -> None:
    analyses = [p for p in MODULES if room_of(p) in ANALYSES]
    assert {p: found for p in analyses if (found := rows_named(tree_of(p), room_of(p)))} == {}


def test_a_row_that_is_named_is_seen() -> None:
    assert rows_named(ast.parse("from dualdiff.rules.sums import sum_"), "passes") == ["sum_"]
    assert rows_named(ast.parse("from dualdiff.rules.indexing import getitem"), "ways") == ["getitem"]
    assert rows_named(ast.parse("from dualdiff.rules.indexing import getitem, setitem"), "tape") == []
    assert rows_named(ast.parse("from dualdiff.rules.sums import sum_"), "tape") == ["sum_"]
    assert rows_named(ast.parse("import dualdiff.rules.sums"), "passes") == ["dualdiff.rules.sums"]


def cells_spelt(tree: ast.AST) -> list[int]:
    """Return the lines on which a module reads or writes the flat cells of a tape."""
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "cells"]


def test_the_layout_of_a_tape_is_its_own() -> None:
    others = [p for p in MODULES if room_of(p) != "tape"]
    assert {p: found for p in others if (found := cells_spelt(tree_of(p)))} == {}
    assert cells_spelt(ast.parse("tape.cells[6 * e]")) == [1]
