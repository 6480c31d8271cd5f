"""What the user calls the result of a step: the variable that the source of the line assigns it to.

A recorded equation knows its instruction, and Python knows which part of the source an instruction carries out. Where that part
is all that stands on the right of an assignment, its result has the name on the left; an entry that is written has the name of
its array. What is written otherwise has no name here: none is guessed.
"""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, islice
from types import CodeType

from dualdiff.errors import line_of
from dualdiff.rules.indexing import getitem, setitem
from dualdiff.tape import Tape

__all__ = ["Place", "names", "places"]

Span = tuple[int | None, int | None, int | None, int | None]
NEXT, CACHE = dis.opmap["FOR_ITER"], dis.opmap["CACHE"]
"""The instruction by which a loop reads the next entry, and what Python 3.12 takes for where it is while a generator runs."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the user's source a step was taken.

    Attributes
    ----------
    line : str
        File and line; empty where they are not known.
    source : str
        The text of that line, where the file can be read.
    """

    line: str = ""
    source: str = ""


@dataclass(slots=True)
class _Assignments:
    """The names that a source gives, by the part of it that makes the value."""

    values: dict[Span, tuple[str, ast.expr | None]] = field(default_factory=dict)
    stores: dict[Span, str] = field(default_factory=dict)
    unpacked: dict[Span, list[str | None]] = field(default_factory=dict)
    iterated: dict[Span, str] = field(default_factory=dict)


def places(tape: Tape) -> list[Place]:
    """Return for each equation of a tape recorded with ``lines=True`` where in the user's source it was taken."""
    found = []
    for noted in tape.lines or [None] * len(tape):
        if noted is None:
            found.append(Place())
        else:
            line = line_of(*noted)
            number = int(line.rpartition(" ")[2])
            found.append(Place(line, linecache.getline(noted[0].co_filename, number).strip()))
    return found


def names(tape: Tape) -> list[str]:
    """Return for each equation of a tape recorded with ``lines=True`` the name its result is assigned to, or an empty text.

    Examples
    --------
    >>> from dualdiff.tape import record
    >>> tape, _ = record(abs, -2.0, lines=True)
    >>> names(tape)
    ['']
    """
    found = [""] * len(tape)
    noted = enumerate(tape.lines or [])
    for key, steps in groupby(noted, key=lambda step: step[1]):
        if key is not None:
            code, at = key
            for e, name in _named(tape, code, at, [e for e, _ in steps]):
                if _is_of(name, code):
                    found[e] = name
    return found


def _named(tape: Tape, code: CodeType, at: int, steps: list[int]) -> Iterator[tuple[int, str]]:
    """Say which of the equations of one instruction, that follow one another, is what an assignment names."""
    span = next(islice(code.co_positions(), at // 2, None), None)
    if span is None or None in span:
        return
    known = _assignments_around(code)
    for e in steps:
        if tape.rows[e] is setitem and span in known.stores:
            yield e, known.stores[span]
    reads = [e for e in steps if tape.rows[e] is getitem]
    if span in known.unpacked:
        for e in reads:
            index, targets = tape.parameters[e]["index"], known.unpacked[span]
            if type(index) is int and index < len(targets) and (name := targets[index]) is not None:
                yield e, name
    elif (
        span in known.iterated and _instruction(code, at) == NEXT
    ):  # what is run over may be an entry itself, of the same span
        for e in reads:
            yield e, known.iterated[span]
    elif span in known.values:
        name, node = known.values[span]
        if not isinstance(node, ast.Call):  # an operator of Python is one step each time
            yield from ((e, name) for e in steps)
            return
        # A function of NumPy may take several steps, the last of which is its result; a loop over it repeats them all.
        called = ast.unparse(node.func).rpartition(".")[2]
        own = [e for e in steps if tape.rows[e].name.rpartition(".")[2] == called]
        yield from ((e, name) for e in own or steps[-1:])


def _instruction(code: CodeType, at: int) -> int:
    while code.co_code[at] == CACHE:
        at -= 2
    return code.co_code[at]


def _is_of(name: str, code: CodeType) -> bool:
    """Whether a name is one of the code's: source that was edited since has others."""
    return name.partition(".")[0] in {*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars}


def _assignments_around(code: CodeType) -> _Assignments:
    """Return the assignments of the file a function stands in, or of the function alone where the rest is not Python: a page."""
    lines = linecache.getlines(code.co_filename)
    first = code.co_firstlineno
    with suppress(SyntaxError, ValueError):
        return _assignments("".join(lines))
    with suppress(SyntaxError, ValueError, IndexError):
        block = "".join(inspect.getblock(lines[first - 1 :]))
        if block[:1].isspace() and first > 1:
            return _assignments("\n" * (first - 2) + "if True:\n" + block)
        return _assignments("\n" * (first - 1) + block)
    return _Assignments()


@lru_cache(maxsize=32)
def _assignments(text: str) -> _Assignments:
    found = _Assignments()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                _assign(found, target, node.value)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            _assign(found, node.target, node.value)
        elif isinstance(node, ast.AugAssign):
            if isinstance(node.target, ast.Name):
                found.values[_span(node)] = node.target.id, None
            _assign(found, node.target, node.target)
        elif isinstance(node, ast.For):
            _iterate(found, node, node.target, node.iter)
        elif isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)) and len(node.generators) == 1:
            _iterate(found, node, node.generators[0].target, node.generators[0].iter)
    return found


def _assign(found: _Assignments, target: ast.expr, value: ast.expr) -> None:
    if isinstance(target, (ast.Tuple, ast.List)):
        if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
            for t, v in zip(target.elts, value.elts, strict=True):
                _assign(found, t, v)
        else:
            found.unpacked[_span(target)] = [t.id if isinstance(t, ast.Name) else None for t in target.elts]
    elif isinstance(target, ast.Subscript):
        root: ast.expr = target
        while isinstance(root, ast.Subscript):
            root = root.value
        if isinstance(root, (ast.Name, ast.Attribute)):
            found.stores[_span(target)] = ast.unparse(root)
    elif isinstance(value, ast.IfExp):
        _assign(found, target, value.body)
        _assign(found, target, value.orelse)
    elif target is not value:
        found.values[_span(value)] = ast.unparse(target), value


def _iterate(found: _Assignments, loop: ast.expr | ast.stmt, target: ast.expr, iterable: ast.expr) -> None:
    """Note what a loop calls the entries it reads: by its own part of the source, or that of what it runs over."""
    if isinstance(target, ast.Name):
        found.iterated[_span(loop)] = found.iterated[_span(iterable)] = target.id


def _span(node: ast.expr | ast.stmt) -> Span:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset
