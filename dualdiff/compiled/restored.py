"""Programs from files, held against the register: what is read is data of known kinds, in its place, or refused.

A file is taken for one that somebody altered. Nothing in it is executed or imported; a name leads to a row of the register or
nowhere; numbers that stand for values, forms, lines and arrays are looked at before they are used, and sizes before anything is
made of them.
"""

from __future__ import annotations

import inspect
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from os import PathLike, fspath
from typing import IO, Any

import numpy as np

from dualdiff.compiled.literals import Numbers, Record, dtype_named, items, read, refusal, whole
from dualdiff.compiled.saved import FORMAT, JSON, SUMS, UNKNOWN, VERSION, Entry, Leaf, Saved, digest
from dualdiff.errors import ProgramFileError
from dualdiff.kinds import Primitive
from dualdiff.kinds.base import primitive_named
from dualdiff.passes.program import Check, Form, Program, Step, form_of
from dualdiff.shapes import size_of

__all__ = ["loaded"]

MOST_TEXT = 1 << 30
"""Bytes of JSON that are read."""
MOST_BYTES = 1 << 36
"""Bytes of one value of a program."""
KINDS = ("array", "number", "float", "other")
_P = inspect.Parameter
_PARAMETER_KINDS = (_P.POSITIONAL_ONLY, _P.POSITIONAL_OR_KEYWORD, _P.VAR_POSITIONAL, _P.KEYWORD_ONLY, _P.VAR_KEYWORD)


def loaded(file: str | PathLike[str] | IO[bytes]) -> Saved:
    """Return what a file holds, once it has been held against the register.

    Raises
    ------
    ProgramFileError
        If the file is damaged, was written by a newer version, or holds what is no program.
    OSError
        If it cannot be opened.
    """
    if isinstance(file, (str, PathLike)):
        with open(file, "rb") as opened:
            return _named_errors(opened, fspath(file))
    return _named_errors(file, "the file")


def _named_errors(file: Any, name: str) -> Saved:
    """Return what a file holds; errors say which file."""
    try:
        return _loaded(file)
    except ProgramFileError as error:
        raise ProgramFileError(f"{name}: {error}") from None
    except Exception as error:  # whatever an altered file brings about in zipfile, json or NumPy
        raise ProgramFileError(
            f"{name}: the file holds no program that can be run ({type(error).__name__}: {error!s:.200})"
        ) from error


def _loaded(file: Any) -> Saved:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        raise ProgramFileError("the file is no saved program, or is cut short: it is no zip archive") from None
    with archive:
        held = {info.filename: info for info in archive.infolist()}
        if len(held) != len(archive.infolist()):
            raise ProgramFileError("the file is damaged: two of its members have one name")
        if JSON not in held:
            raise ProgramFileError(f"the file is no saved program: it has no member {JSON}")
        text = _content(archive, held[JSON], MOST_TEXT)
        document = _parsed(text)
        if SUMS not in held:
            raise ProgramFileError(f"the file is damaged: it has no member {SUMS}")
        names = [JSON, *[f"arrays/{n}.npy" for n in range(len(held) - 2)]]
        if set(names) != held.keys() - {SUMS}:
            raise ProgramFileError(
                "the file is damaged: members are missing, or it has others than a saved program has"
            )
        sums = _content(archive, held[SUMS], MOST_TEXT).decode().splitlines(keepends=True)
        arrays = []
        for n, member in enumerate(names):
            content = text if n == 0 else _content(archive, held[member], MOST_BYTES)
            if n >= len(sums) or digest(content, member) != sums[n]:
                raise ProgramFileError(f"the file was altered: {member} is not what its digest in {SUMS} says")
            if n:
                arrays.append(_array(content, member))
        if len(sums) != len(names):
            raise ProgramFileError(f"the file was altered: {SUMS} names members that are not there")
    return _Reader(document, arrays).saved()


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    if info.file_size > most or (info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size):
        raise ProgramFileError(f"the file is damaged: {info.filename} is said to have {info.file_size:,} bytes")
    if info.filename not in (JSON, SUMS) and info.compress_type != zipfile.ZIP_STORED:
        raise ProgramFileError(f"the file was altered: {info.filename} is compressed")
    try:
        return archive.read(info)
    except Exception as error:
        raise ProgramFileError(f"the file is damaged: {info.filename} cannot be read ({error!s:.100})") from None


def _parsed(text: bytes) -> Any:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProgramFileError(f"the file is damaged: {JSON} is no JSON ({error!s:.100})") from None
    if type(document) is not dict or document.get("format") != FORMAT:
        raise ProgramFileError(f"the file is no saved program: {JSON} does not say format {FORMAT!r}")
    version = document.get("version")
    if type(version) is not int or version < 1:
        raise ProgramFileError(f"the file is damaged: it has version {version!r:.60}")
    if version > VERSION:
        raise ProgramFileError(
            f"the file is of version {version}, and this dualdiff reads versions up to {VERSION}: it was written by "
            f"dualdiff {document.get('dualdiff')!s:.20}. Install that one, or save the program with this one"
        )
    return document


def _array(content: bytes, name: str) -> np.ndarray[Any, Any]:
    """Return the array that bytes hold, once its size was found to be that of the bytes."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise refusal(f"{name} is an array of version {version}")
    dtype_named(dtype.str)
    if size_of(shape) * dtype.itemsize != len(content) - file.tell():
        raise refusal(f"{name} is not as long as its shape {shape} says")
    file.seek(0)
    x: np.ndarray[Any, Any] = np.lib.format.read_array(file, allow_pickle=False)
    x.flags.writeable = False
    return x


class _Reader:
    """The document of a file, and its tables, on their way to programs."""

    def __init__(self, document: dict[str, Any], arrays: Sequence[Any]) -> None:
        self.document = document
        self.arrays = arrays
        self.lines = [line if type(line) is str else _no(line, "a line") for line in self._listed("lines")]
        self.forms = [_form(form) for form in self._listed("forms")]
        self.rows = [self._row(row) for row in self._listed("rows")]
        self.parameters = [self._parameters(found) for found in self._listed("parameters")]
        self.bound: set[tuple[int, int, int | None]] = set()

    def _listed(self, name: str) -> list[Any]:
        return items(self.document.get(name), what=f"its list of {name}")

    def value(self, x: Any) -> Any:
        return read(x, self.arrays)

    def saved(self) -> Saved:
        name, doc = self.document.get("name"), self.document.get("doc")
        if type(name) is not str or type(doc) is not str:
            raise refusal("its function has no name")
        signature = self._signature(self.document.get("signature"))
        return Saved(name, doc, signature, tuple([self._entry(entry) for entry in self._listed("programs")]))

    def _signature(self, given: Any) -> inspect.Signature | None:
        if given is None:
            return None
        found = []
        for parameter in items(given, what="the signature"):
            name, kind, *default = items(parameter, what="a parameter")
            kinds: dict[Any, Any] = {k.name: k for k in _PARAMETER_KINDS}
            if type(name) is not str or kind not in kinds or len(default) > 1:
                raise refusal(f"a parameter is {parameter!r:.60}")
            value = [UNKNOWN if d == {"unknown": None} else self.value(d) for d in default]
            found.append(inspect.Parameter(name, kinds[kind], default=value[0] if value else inspect.Parameter.empty))
        return inspect.Signature(found)

    def _row(self, given: Any) -> Primitive:
        name, kind, number = items(given, 3, "a row")
        if type(name) is not str:
            raise refusal(f"a row is {name!r:.60}")
        number = self.value(number)
        if type(number) is not int and not (type(number) is tuple and len(number) == 3 and type(number[1]) is tuple):
            raise refusal(f"the number of a row is {number!r:.60}")
        row = primitive_named(name, number)
        if row is None or row.by_user:
            raise refusal(f"this dualdiff has no row {name!r:.60}")
        if row.kind != kind:
            raise refusal(f"{name} is {kind!r:.30} there, and {row.kind!r} in this dualdiff")
        return row

    def _parameters(self, given: Any) -> dict[str, Any]:
        found = {}
        for pair in items(given):
            name, x = items(pair, 2, "a parameter")
            if type(name) is not str or name in found:
                raise refusal(f"a parameter is {name!r:.60}")
            found[name] = self.value(x)
        return found

    def _entry(self, given: Any) -> Entry:
        arguments, leaves, programs = _fields(given, "arguments", "leaves", "programs")
        found = tuple([self._leaf(leaf) for leaf in items(leaves, what="the arguments")])
        structure = self.value(arguments)
        if type(structure) is not dict or any(type(name) is not str for name in structure):
            raise refusal("the arguments have no names")
        _count(structure, len(found), "argument")
        forms = [leaf.form for leaf in found if leaf.form is not None]
        listed = items(programs, what="its list of programs")
        if not listed:
            raise refusal("there is no program for some arguments")
        return Entry(structure, found, tuple([self._program(program, forms) for program in listed]))

    def _leaf(self, given: Any) -> Leaf:
        if type(given) is dict:
            return Leaf(None, value=self.value(_fields(given, "constant")[0]))
        form, layout = items(given, 2, "an argument")
        form = self.form(form)
        if form.kind == "other":
            raise refusal("an argument that varies is no number or array")
        if layout is not None:
            layout = tuple(items(layout, len(form.shape), "a layout"))
            if any(type(n) is not int for n in layout):
                raise refusal(f"a layout is {layout!r:.60}")
        return Leaf(form, layout)

    def form(self, at: Any) -> Form:
        return self.forms[whole(at, len(self.forms), "the number of a form")]

    def line(self, at: Any) -> str | None:
        return None if at is None else self.lines[whole(at, len(self.lines), "the number of a line")]

    def _program(self, given: Any, inputs: Sequence[Form]) -> tuple[Program, Any]:
        recorded, distinct, constants, steps, checks, outputs, results, tree = _fields(
            given, "recorded", "distinct", "constants", "steps", "checks", "outputs", "results", "result"
        )
        forms = dict(enumerate(inputs))
        held = {}
        for x in items(constants, what="the constants"):
            held[len(forms)] = value = self.value(x)
            forms[len(forms)] = form_of(value)
        made = []
        for s in items(steps, what="the steps"):
            made.append(self._step(s, forms))
        decided = [self._check(c, len(forms), len(made)) for c in items(checks, what="the decisions")]
        if any(a.before > b.before for a, b in pairwise(decided)):
            raise refusal("the decisions are not in order")
        for c in decided:
            if c.value >= len(inputs) + len(held) + c.before:
                raise refusal("a decision comes before what it looks at")
        asked = tuple([whole(i, len(forms), "the number of a result") for i in items(outputs, what="the results")])
        returned = tuple([self.form(form) for form in items(results, len(asked), "the forms of the results")])
        for i, form in zip(asked, returned, strict=True):
            others = (forms[i].kind == "other") + (form.kind == "other")
            if others == 1 or (not others and forms[i][:2] != form[:2]):
                raise refusal(f"a result is {form}, and what is computed {forms[i]}")
        structure = self.value(tree)
        _count(structure, len(asked), "result")
        for matrix in _matrices_of(structure):
            if returned[matrix.leaf].shape != (len(matrix.make.indices),):
                raise refusal("a sparse matrix has not as many numbers as places")
        program = Program(
            len(inputs), forms, held, {}, made, decided, asked, returned, whole(recorded), whole(distinct)
        )
        return program, structure

    def _step(self, given: Any, forms: dict[int, Form]) -> Step:
        at, operands, params, form, line = items(given, 5, "a step")
        row = self.rows[whole(at, len(self.rows), "the number of a row")]
        result = len(forms)
        used = tuple([whole(i, result, f"an operand of {row.name}") for i in items(operands, what="the operands")])
        given_params = (
            {} if params is None else self.parameters[whole(params, len(self.parameters), "a set of parameters")]
        )
        key = at, len(used), params
        if key not in self.bound:
            _bind(row, len(used), given_params)
            self.bound.add(key)
        forms[result] = self.form(form)
        return Step(row, used, given_params, result, self.line(line))

    def _check(self, given: Any, values: int, steps: int) -> Check:
        value, then, before, line = items(given, 4, "a decision")
        return Check(
            whole(value, values, "what a decision looks at"),
            self.value(then),
            whole(before, steps + 1, "a step"),
            self.line(line),
        )


def _no(x: Any, what: str) -> Any:
    raise refusal(f"{what} is {x!r:.60}")


def _fields(given: Any, *names: str) -> list[Any]:
    if type(given) is not dict or given.keys() != set(names):
        raise refusal(f"where {', '.join(names)} should be, there is {given!r:.60}")
    return [given[name] for name in names]


def _form(given: Any) -> Form:
    shape, dtype, kind = items(given, 3, "a form")
    found = tuple([whole(n, 1 << 62, "the length of an axis") for n in items(shape, what="a shape")])
    if kind not in KINDS or len(found) > 64:
        raise refusal(f"a form is {given!r:.60}")
    if kind == "other":
        return Form(found, np.dtype(object) if dtype == "|O" else dtype_named(dtype), kind)
    named = dtype_named(dtype)
    if size_of(found) * named.itemsize > MOST_BYTES:
        raise refusal(f"a value of shape {found} and dtype {named} is too large")
    if found and kind != "array":
        raise refusal(f"a number has the shape {found}")
    return Form(found, named, kind)


def _leaves_of(structure: Any) -> Iterable[Any]:
    """Yield what stands at the leaves of a structure."""
    if type(structure) is Record:
        structure = structure.fields
    if type(structure) is Numbers:
        structure = structure.leaf
    if isinstance(structure, dict):
        structure = list(structure.values())
    if isinstance(structure, (tuple, list)):
        for part in structure:
            yield from _leaves_of(part)
    elif structure is not None:
        yield structure


def _matrices_of(structure: Any) -> Iterable[Numbers]:
    """Yield the sparse matrices of a structure."""
    if type(structure) is Numbers:
        yield structure
    elif isinstance(structure, (dict, tuple, list)):
        for part in structure.values() if isinstance(structure, dict) else structure:
            yield from _matrices_of(part)


def _count(structure: Any, count: int, what: str) -> None:
    """Hold a structure to its leaves: each of them stands in it once."""
    found = list(_leaves_of(structure))
    if any(type(n) is not int for n in found) or sorted(found) != list(range(count)):
        raise refusal(f"the structure of the {what}s does not hold each {what} once")


@lru_cache(maxsize=4096)
def _parameters_of(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _bind(row: Primitive, operands: int, params: dict[str, Any]) -> None:
    """Hold the number of operands, and the parameters, against those that a row takes."""
    function: Any = row.fn
    if isinstance(function, np.ufunc):
        if operands != function.nin or params:
            raise refusal(f"{row.name} takes {function.nin} operands, and no parameters")
        return
    signature = _parameters_of(function)
    if signature is not None:
        try:
            signature.bind(*range(operands), **params)
        except TypeError as error:
            raise refusal(
                f"{row.name} does not take {operands} operands and {', '.join(params) or 'no parameters'}: {error}"
            ) from None
