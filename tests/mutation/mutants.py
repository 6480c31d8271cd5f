"""Mutants: a source file with one token changed, its lines where they were."""

from __future__ import annotations

import ast
import io
import random
import tokenize
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

SWAPS: dict[str, str] = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "is": "is not",
    "is not": "is",
    "in": "not in",
    "not in": "in",
    "+": "-",
    "-": "+",
    "*": "+",
    "/": "*",
    "//": "*",
    "%": "*",
    "**": "*",
    "@": "*",
    "<<": ">>",
    ">>": "<<",
    "&": "|",
    "|": "&",
    "^": "|",
    "and": "or",
    "or": "and",
    "+=": "-=",
    "-=": "+=",
    "*=": "+=",
    "/=": "*=",
    "|=": "&=",
    "&=": "|=",
    ">>=": "<<=",
    "<<=": ">>=",
}
TUNING = frozenset(("maxsize", "slots", "frozen"))
"""Keywords whose values are of no consequence to a result."""

Place = tuple[int, int]


@dataclass(frozen=True)
class Mutant:
    """One change: in which file and line, between which columns, from what to what."""

    path: str
    line: int
    start: int
    stop: int
    before: str
    after: str
    source: str

    @property
    def says(self) -> str:
        """The change in one line, as in a list of survivors."""
        return f"{self.path}:{self.line}: {self.before!r} -> {self.after!r} in: {self.source.strip()}"

    @property
    def key(self) -> str:
        """What stays the same when lines move: the file, the line's text, and what becomes of it."""
        return f"{self.path}: {self.source.strip()} => {self.changed.strip()}".strip()

    @property
    def changed(self) -> str:
        """The line with the change."""
        return self.source[: self.start] + self.after + self.source[self.stop :]

    def applied(self, text: str) -> str:
        """Return the file's text with the change."""
        lines = text.split("\n")
        lines[self.line - 1] = self.changed
        return "\n".join(lines)


def mutants_of(path: str, text: str) -> list[Mutant]:
    """Return every mutant of a file, in the order of its places. Whether it can be compiled is asked of those drawn."""
    lines = text.split("\n")
    found: dict[tuple[int, int, int, str], Mutant] = {}
    for (line, start), (last, stop), after in _changes(text, lines):
        source = lines[line - 1]
        if line != last or source[start:stop] == after:
            continue
        found[line, start, stop, after] = Mutant(path, line, start, stop, source[start:stop], after, source)
    return [found[k] for k in sorted(found)]


def _changes(text: str, lines: list[str]) -> Iterator[tuple[Place, Place, str]]:
    """Yield from where to where what may stand instead; columns count characters."""
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    starts = [t.start for t in tokens]

    def at(line: int, column: int) -> Place:  # the parser counts bytes
        return line, len(lines[line - 1].encode()[:column].decode())

    def begin(node: Any) -> Place:
        return at(node.lineno, node.col_offset)

    def end(node: Any) -> Place:
        return at(node.end_lineno, node.end_col_offset)

    def operators(start: Place, stop: Place, wanted: Iterable[str]) -> Iterator[tuple[Place, Place, str]]:
        between = tokens[bisect_left(starts, start) : bisect_left(starts, stop)]
        words = [t for t in between if t.string in wanted]
        if words:
            whole = " ".join(t.string for t in words)
            if whole in SWAPS:
                yield words[0].start, words[-1].end, SWAPS[whole]

    for node in _code(ast.parse(text)):
        match node:
            case ast.BinOp(left=left, right=right):
                yield from operators(end(left), begin(right), SWAPS)
            case ast.AugAssign(target=target, value=value):
                yield from operators(end(target), begin(value), SWAPS)
            case ast.Compare(left=left, comparators=others):
                for a, b in pairwise([left, *others]):
                    yield from operators(end(a), begin(b), (*SWAPS, "not"))
            case ast.BoolOp(values=values):
                for a, b in pairwise(values):
                    yield from operators(end(a), begin(b), ("and", "or"))
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
                yield begin(node), begin(operand), ""
            case ast.Constant(value=bool() as value):
                yield begin(node), end(node), repr(not value)
            case ast.Constant(value=int() as value):
                yield begin(node), end(node), repr(value + 1)
                yield begin(node), end(node), repr(value - 1)
            case ast.Constant(value=float() as value):
                yield begin(node), end(node), repr(value + 1.0)
            case ast.Break():
                yield begin(node), end(node), "continue"
            case ast.Continue():
                yield begin(node), end(node), "break"
            case ast.Call(keywords=keywords):
                for keyword in keywords:
                    if keyword.arg is not None and begin(keyword)[0] == end(keyword)[0]:
                        yield _with_comma(lines[keyword.lineno - 1], begin(keyword), end(keyword))
            case ast.IfExp(test=test):
                yield begin(test), begin(test), "not "


def _with_comma(line: str, start: Place, stop: Place) -> tuple[Place, Place, str]:
    """Widen the place of an argument by the comma that goes with it."""
    rest = line[stop[1] :]
    if rest.lstrip().startswith(","):
        comma = stop[1] + rest.index(",") + 1
        return start, (stop[0], comma + len(line[comma:]) - len(line[comma:].lstrip())), ""
    before = line[: start[1]].rstrip()
    return ((start[0], len(before) - 1) if before.endswith(",") else start), stop, ""


def _code(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that do something: no annotations, texts, decorators, or what only type checkers read."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.JoinedStr):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.keyword) and node.arg in TUNING:
            continue
        yield node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list"):
                continue
            waiting += [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, ast.AST)]


def drawn(mutants: Sequence[Mutant], count: int, seed: int, root: Path) -> list[Mutant]:
    """Draw so many mutants that can be compiled."""
    order = random.Random(seed).sample(mutants, len(mutants))
    found: list[Mutant] = []
    for mutant in order:
        if len(found) == count:
            break
        try:
            ast.parse(mutant.applied((root / mutant.path).read_text(encoding="utf-8")))
        except SyntaxError:
            continue
        found.append(mutant)
    return found


def of_rooms(root: Path, globs: Iterable[str]) -> list[Mutant]:
    """Return the mutants of all files that the globs match."""
    paths = sorted({p for g in globs for p in root.glob(g) if p.suffix == ".py"})
    return [m for p in paths for m in mutants_of(p.relative_to(root).as_posix(), p.read_text(encoding="utf-8"))]
