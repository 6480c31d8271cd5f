"""Programs in a file: equations and arrays, and no code.

The file is a zip. ``program.json`` holds the programs: rows by the names under which the register knows them, operands by number,
parameters; ``arrays/0.npy``, … the arrays among their constants; ``SHA256SUMS`` a digest of every one of these. Whatever is read
is held against the register before anything runs: that a row is there, of that kind, and takes these operands and parameters. An
operand has a number below that of its result, so that there are no cycles.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from typing import IO, Any

import numpy as np

from dualdiff.compiled.literals import NotSavedError, Writer
from dualdiff.errors import ProgramFileError, line_of
from dualdiff.kinds.base import primitive_named
from dualdiff.passes.program import Form, Program, Step, content

__all__ = ["Entry", "Leaf", "Saved", "said", "write"]

FORMAT, VERSION = "dualdiff program", 1
JSON, SUMS = "program.json", "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Leaf:
    """What one leaf of the arguments is: a constant, or a value of some form.

    Attributes
    ----------
    form : Form or None
        Of a value that varies from call to call.
    layout : tuple of int or None
        The strides of an array that does not lie entry by entry in order.
    value
        Of a constant.
    """

    form: Form | None
    layout: tuple[int, ...] | None = None
    value: Any = None


@dataclass(frozen=True, slots=True)
class Entry:
    """The programs for one form of the arguments.

    Attributes
    ----------
    arguments : dict or tuple
        Their structure, by name (positions and keywords where Python knows no names); integers stand for the leaves.
    leaves : tuple of Leaf
    programs : tuple of (Program, structure of the result)
        Most recent first.
    """

    arguments: Any
    leaves: tuple[Leaf, ...]
    programs: tuple[tuple[Program, Any], ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """What a file holds.

    Attributes
    ----------
    name, doc : str
        Of the function.
    signature : inspect.Signature or None
        Its parameters, with the defaults that are plain data.
    entries : tuple of Entry
    """

    name: str
    doc: str
    signature: inspect.Signature | None
    entries: tuple[Entry, ...]


class _Unknown:
    """The default of a parameter that no file holds."""

    def __repr__(self) -> str:
        return "..."


UNKNOWN = _Unknown()


# --------------------------------------------------------------------------------------------------
# writing


def write(file: str | PathLike[str] | IO[bytes], saved: Saved) -> None:
    """Write programs into a file; nothing is written unless all of it can be.

    Raises
    ------
    ProgramFileError
        If a program holds what no file does, naming it and the user's line.
    """
    texts = _Texts()
    try:
        signature = None if saved.signature is None else _signature_written(texts, saved.signature)
        entries = [_entry_written(texts, entry) for entry in saved.entries]
    except NotSavedError as error:
        raise ProgramFileError(
            f"the program of {saved.name} cannot be saved: it holds {error.args[0]}. A file holds numbers, arrays, text, and "
            "lists, tuples and dictionaries of them."
        ) from None
    document = {
        "format": FORMAT,
        "version": VERSION,
        "dualdiff": _version(),
        "numpy": np.__version__,
        "name": saved.name,
        "doc": saved.doc,
        "signature": signature,
        "rows": texts.rows.listed,
        "forms": texts.forms.listed,
        "lines": texts.lines.listed,
        "parameters": texts.parameters.listed,
        "programs": entries,
    }
    text = json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        sums = []
        for n, x in enumerate(texts.writer.arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, x, allow_pickle=False)
            sums.append(_put(archive, f"arrays/{n}.npy", buffer.getbuffer()))
        sums.insert(0, _put(archive, JSON, text, zipfile.ZIP_DEFLATED))
        archive.writestr(_named(SUMS), "".join(sums))


def _version() -> str:
    """Return the library's version; a source tree that was never installed has none."""
    try:
        return version("dualdiff")
    except PackageNotFoundError:
        return "not installed"


def _put(archive: zipfile.ZipFile, name: str, content: Any, how: int = zipfile.ZIP_STORED) -> str:
    archive.writestr(_named(name), content, how)
    return digest(content, name)


def digest(content: Any, name: str) -> str:
    """Return a line of digests, of one member."""
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n"


def _named(name: str) -> zipfile.ZipInfo:
    """Return a member without the time: the same programs make the same file."""
    return zipfile.ZipInfo(name)


class _Table:
    """What occurs again and again, and is written once."""

    def __init__(self) -> None:
        self.listed: list[Any] = []
        self._known: dict[Any, int] = {}

    def at(self, key: Any, written: Callable[[], Any]) -> int:
        """Return the place of what has a key; it is written when it is first met."""
        found = self._known.get(key)
        if found is None:
            self.listed.append(written())
            found = self._known[key] = len(self.listed) - 1
        return found


class _Texts:
    """The tables of a file that is being written."""

    def __init__(self) -> None:
        self.writer = Writer()
        self.rows, self.forms, self.lines, self.parameters = _Table(), _Table(), _Table(), _Table()
        self._places: dict[Any, int] = {}

    def form(self, form: Form) -> int:
        return self.forms.at(form, lambda: [list(form.shape), form.dtype.str, form.kind])

    def line(self, place: Any) -> int | None:
        if not place:
            return None
        at = self._places.get(place)
        if at is None:
            line = said(place)
            at = self._places[place] = self.lines.at(line, lambda: line)
        return at


def said(place: Any) -> str:
    """Return a line as it is said: one that was recorded, or that a file held."""
    return place if type(place) is str else line_of(*place) if place else "an unknown line"


def _signature_written(texts: _Texts, signature: inspect.Signature) -> list[Any]:
    written = []
    for p in signature.parameters.values():
        parameter: list[Any] = [p.name, p.kind.name]
        if p.default is not p.empty:
            try:
                parameter.append(texts.writer.written(p.default))
            except NotSavedError:
                parameter.append({"unknown": None})
        written.append(parameter)
    return written


def _entry_written(texts: _Texts, entry: Entry) -> Any:
    write = texts.writer.written
    leaves: list[Any] = []
    for leaf in entry.leaves:
        if leaf.form is None:
            leaves.append({"constant": write(leaf.value)})
        else:
            leaves.append([texts.form(leaf.form), None if leaf.layout is None else list(leaf.layout)])
    programs = [_program_written(texts, program, tree) for program, tree in entry.programs]
    return {"arguments": write(entry.arguments), "leaves": leaves, "programs": programs}


def _program_written(texts: _Texts, program: Program, tree: Any) -> Any:
    number = {i: i for i in range(program.inputs)}
    constants, steps, checks = [], [], []
    lines = {i: s.place for s in reversed(program.steps) for i in s.operands}
    for i, x in program.constants.items():
        number[i] = len(number)
        constants.append(_held(texts, x, "a constant", lines.get(i)))
    for s in program.steps:
        row = texts.rows.at(s.row, partial(_row_written, texts, s))
        params = texts.parameters.at(content(s.params), partial(_parameters_written, texts, s)) if s.params else None
        operands = [number[i] for i in s.operands]
        steps.append([row, operands, params, texts.form(program.forms[s.result]), texts.line(s.place)])
        number[s.result] = len(number)
    for c in program.checks:
        checks.append([number[c.value], _held(texts, c.then, "a decision", c.place), c.before, texts.line(c.place)])
    return {
        "recorded": program.recorded,
        "distinct": program.distinct,
        "constants": constants,
        "steps": steps,
        "checks": checks,
        "outputs": [number[i] for i in program.outputs],
        "results": [texts.form(form) for form in program.results],
        "result": _held(texts, tree, "a result", None),
    }


def _parameters_written(texts: _Texts, s: Step) -> Any:
    return [[name, _held(texts, x, f"the parameter {name} of {s.row.name},", s.place)] for name, x in s.params.items()]


def _held(texts: _Texts, x: Any, what: str, place: Any) -> Any:
    try:
        return texts.writer.written(x)
    except NotSavedError as error:
        where = f", which {said(place)} uses" if place else ""
        raise NotSavedError(f"{error.args[0]} as {what}{where}".replace(",,", ",")) from None


def _row_written(texts: _Texts, s: Step) -> Any:
    row = s.row
    if row.by_user:
        raise NotSavedError(f"{row.name}, whose rule is your own, in {said(s.place)}")
    number = row.family or row.number
    if primitive_named(row.name, number) is not row:
        raise NotSavedError(f"{row.name}, which a file cannot name, in {said(s.place)}")
    return [row.name, row.kind, texts.writer.written(number)]
