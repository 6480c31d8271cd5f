"""Compiled functions in files: saved with what they know, and run without the function that they were recorded from."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, fields, is_dataclass
from functools import partial
from os import PathLike
from typing import IO, Any, NamedTuple

import numpy as np

from dualdiff.compiled.flat import ChangedError, Flat, flat
from dualdiff.compiled.gate import Entered, Gate
from dualdiff.compiled.literals import Numbers, Record
from dualdiff.compiled.restored import loaded
from dualdiff.compiled.saved import UNKNOWN, Entry, Leaf, Saved, said, write
from dualdiff.compiled.stepwise import FormError, stepwise
from dualdiff.errors import NoProgramError, ProgramFileError, StaleProgramError
from dualdiff.matrices import TracedMatrix
from dualdiff.operators.compiled import (
    Compiled,
    ProgramReport,
    _agree,
    _changed,
    _is_finiteness,
    _layout,
    _short,
    _signature,
    _varies,
    one_by_one,
)
from dualdiff.passes import kinks
from dualdiff.passes.program import Form, Program, form_of
from dualdiff.trees import flatten
from dualdiff.values import TRACED, number, under

__all__ = ["LoadedProgram", "load_program", "saved_programs"]


# --------------------------------------------------------------------------------------------------
# saving


def saved_programs(compiled: Compiled, keys: Sequence[Any]) -> Saved:
    """Return what a file holds of a compiled function: the programs for some forms of its arguments."""
    signature = _signature_of(compiled)
    name = str(getattr(compiled, "__name__", "program"))
    entries = []
    for key in keys:
        for v in compiled._known[key].variants:
            for x, place in _changed(v.program):
                raise StaleProgramError(
                    f"an array of shape {x.shape} that {said(place)} uses was written into since the program of {name} was recorded; "
                    "a file would hold its former entries. Compile the function again, or pass the array as an argument."
                )
        known = compiled._known[key]
        arguments, leaves = _of_key(key)
        programs = tuple([(v.program, _result_of(v.build, len(v.program.outputs))) for v in known.variants])
        if programs:
            entries.append(Entry(_known_by_name(_by_name(signature, *arguments)), leaves, programs))
    if not entries:
        raise ProgramFileError(
            f"{name} has no program yet to be saved; call it, or give the arguments that a program is to be saved for"
        )
    return Saved(name, str(getattr(compiled, "__doc__", None) or ""), signature, tuple(entries))


def _signature_of(function: Any) -> inspect.Signature | None:
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    return inspect.Signature([p.replace(annotation=p.empty) for p in found.parameters.values()])


def _numbered(build: Callable[[list[Any]], Any], count: int) -> Any:
    """Return a structure with numbers at its leaves."""
    return build(list(range(count)))


def _in_order(x: Any, orders: Any) -> Any:
    """Return a structure with the keys of its dictionaries in their order."""
    if isinstance(x, dict):
        return {key: _in_order(x[key], below) for key, below in zip(orders[0], orders[1:], strict=True)} if x else x
    if type(x) in (tuple, list):
        return type(x)([_in_order(part, below) for part, below in zip(x, orders, strict=True)])
    return x


def _result_of(build: Any, count: int) -> Any:
    """Return the structure of a result, with numbers at its leaves; sparse matrices are made of theirs."""
    makers = getattr(build, "makers", None)
    if makers is None:
        return _numbered(build, count)
    return build.build([Numbers(n, make) if make else n for n, make in enumerate(makers)])


def _known_by_name(x: Any) -> Any:
    """Return a structure of arguments whose dataclasses are known by their names: nobody will have to make one."""
    if is_dataclass(x):
        return Record(type(x).__name__, {f.name: _known_by_name(getattr(x, f.name)) for f in fields(x)})
    if type(x) is dict:
        return {key: _known_by_name(part) for key, part in x.items()}
    if isinstance(x, (tuple, list)):
        parts = [_known_by_name(part) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    return x


def _of_key(key: tuple[Any, ...]) -> tuple[tuple[Any, Any], tuple[Leaf, ...]]:
    """Return the arguments that a program is kept by, with numbers at their leaves, and what the leaves are."""
    if key and callable(key[0]) and not isinstance(key[0], type):
        leaves = key[2:]
        args, kwargs = _in_order(_numbered(key[0], len(leaves)), key[1])
    else:
        names = [part for part in key if isinstance(part, str)]
        leaves = key[: len(key) - len(names)]
        count = len(leaves) - len(names)
        places = dict(zip(sorted(names), range(count, len(leaves)), strict=True))
        args, kwargs = tuple(range(count)), {name: places[name] for name in names}
    return (args, kwargs), tuple([_leaf_of(part) for part in leaves])


def _leaf_of(part: Any) -> Leaf:
    """Return a leaf of the arguments from its part of a key."""
    if isinstance(part, type):  # a number
        return Leaf(Form((), np.dtype(part), "float" if part is float else "number"))
    if isinstance(part, tuple) and len(part) == 3:
        return Leaf(Form(part[0], part[1], "array"), part[2])
    if isinstance(part, tuple) and len(part) == 4:
        kind, shape, dtype, layout = part
        named = "array" if kind is np.ndarray else "number" if issubclass(kind, np.generic) else "float"
        return Leaf(Form(shape, dtype, named), layout)
    return Leaf(None, value=part[1] if isinstance(part, tuple) else part.x)


def _leaf(x: Any) -> Leaf:
    """Return what a value among the arguments of a call is."""
    x = under(x)
    if not _varies(x):
        return Leaf(None, value=x)
    return Leaf(form_of(x), _layout(x) if type(x) is np.ndarray else None)


def _by_name(signature: inspect.Signature | None, args: Any, kwargs: Any) -> Any:
    """Return the arguments of a call by the names of the parameters, as far as these are known."""
    if signature is None:
        return {"args": tuple(args), "kwargs": dict(kwargs)}
    return dict(signature.bind(*args, **kwargs).arguments)


# --------------------------------------------------------------------------------------------------
# running


@dataclass(slots=True, eq=False)
class _Variant(Entered):
    """One program of a file."""

    _: KW_ONLY
    seen: bool = False  # whether its first run was held against its steps
    arrays: Flat | None = None  # where numbers of Python's raise what arrays of NumPy's do not

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Return the outputs."""
        try:
            return self.running.run(*inputs)
        except (
            ArithmeticError,
            ValueError,
        ):  # a branch not taken is computed as well, and Python's functions raise there
            if self.arrays is None:
                self.arrays = flat(self.program, arrays=True)
            return self.arrays.run(*inputs)


@dataclass(slots=True, eq=False)
class _Known:
    """What a file has for one form of the arguments."""

    entry: Entry
    variants: list[_Variant]


class _Given(NamedTuple):
    """A leaf among the arguments of a call, and its place there; None if it comes from a default."""

    at: int | None
    value: Any


class LoadedProgram(Gate):
    """See :func:`load_program`."""

    def __init__(self, saved: Saved) -> None:
        super().__init__()
        self._saved = saved
        self._entries = [
            _Known(e, [_Variant(p, partial(_filled, tree), None) for p, tree in e.programs]) for e in saved.entries
        ]
        self._found: dict[Any, tuple[_Known, list[_Given] | None]] = {}
        self.__name__ = self.__qualname__ = saved.name
        self.__doc__ = saved.doc or type(self).__doc__
        if saved.signature is not None:
            self.__signature__ = saved.signature

    def __repr__(self) -> str:
        forms = len(self._entries)
        return f"<program of {self.__name__}, for {forms} form{'s' if forms > 1 else ''} of arguments>"

    def __reduce__(self) -> Any:
        file = io.BytesIO()
        write(file, self._saved)
        return _of_bytes, (file.getvalue(),)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function did for such arguments."""
        found = _signature(args, kwargs)
        if found is None:
            return self._traced(args, kwargs)
        if isinstance(found, str):
            raise NoProgramError(
                f"a program takes arrays and numbers, and an argument of {self.__name__} is of class {found!r}"
            )
        if kinks.raises():
            raise NoProgramError(
                f'dd.kinks("raise") looks into the function of {self.__name__}, and a program from a file has none; use the function'
            )
        key, inputs = found
        self._settle()
        if key not in self._found:
            self._found[key] = self._places(args, kwargs)
        known, places = self._found[key]
        if places is not None:
            inputs = [p.value if p.at is None else inputs[p.at] for p in places]
        failed: list[tuple[str, Exception]] = []
        for n, variant in enumerate(known.variants):
            try:
                outputs = variant.run(inputs) if variant.seen else self._first(variant, inputs)
            except ProgramFileError:
                raise
            except Exception as error:  # the function, which might do otherwise, is not there to be asked
                failed.append((_reason(variant.program, error, inputs), error))
                continue
            if n:  # most recent first
                known.variants = [variant, *[v for v in known.variants if v is not variant]]
            variant.calls += 1
            if places is None and variant.calls == 2:  # the first one looked at every step
                variant.keywords = tuple(sorted(kwargs))
                if len(kwargs) < 2 or not self._takes_any_names():
                    variant.arguments = one_by_one(args, kwargs, variant.program)
            self._choose(variant, inputs, outputs)
            if variant.seen:
                self._let_in(variant)
            return variant.build(list(outputs))
        raise self._no_program(failed)

    def _choose(self, variant: _Variant, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Choose what a program runs as: machine code once its calls have paid for that, as of compiled functions."""
        with self._lock:
            if variant.speed_up(inputs, lambda found: all(map(_agree, found, outputs)), way=lambda: self._way(variant)):
                self._renew(variant)

    def _first(self, variant: _Variant, inputs: Sequence[Any]) -> Sequence[Any]:
        """Run a program for the first time: step by step as well, each value held against the form that the file gives it."""
        try:
            with np.errstate(all="ignore"):
                expected = stepwise(variant.program, inputs)
            if variant.is_large:
                self._choose(variant, inputs, expected)
        except FormError as error:
            raise ProgramFileError(
                f"the program of {self.__name__} was altered, or NumPy computes otherwise than when it was saved: {error}"
            ) from None
        outputs = variant.run(inputs)
        for found, right, form in zip(outputs, expected, variant.program.results, strict=True):
            if form.kind != "other" and (form_of(found) != form or not _agree(found, right)):
                raise ProgramFileError(
                    f"the program of {self.__name__} was altered: a result is {form_of(found)}, where {form} is expected"
                )
        variant.seen = True
        return outputs

    def _traced(self, args: Any, kwargs: Any) -> Any:
        """Carry a program out on values of another operator, which so differentiates it."""
        known, given = self._matched(args, kwargs)
        failed: list[tuple[str, Exception]] = []
        for variant in known.variants:
            try:
                values = stepwise(variant.program, [g.value for g in given])
            except (ChangedError, FormError) as error:
                failed.append((_reason(variant.program, error, ()), error))
                continue
            results = variant.program.results
            outputs = [v if f.kind == "array" else number(v) for v, f in zip(values, results, strict=True)]
            return variant.build(outputs)
        raise self._no_program(failed)

    def _no_program(self, failed: Sequence[tuple[str, Exception]]) -> NoProgramError:
        reasons = "; ".join(dict.fromkeys([reason for reason, _ in failed]))
        error = NoProgramError(
            f"no program of {self.__name__} holds here: {reasons}. A file has programs and not the function: call that, or save the "
            "programs again once it has met such arguments"
        )
        error.__cause__ = None if isinstance(failed[-1][1], (ChangedError, FormError)) else failed[-1][1]
        return error

    # -- arguments ---------------------------------------------------------------------------------
    def _places(self, args: Any, kwargs: Any) -> tuple[_Known, list[_Given] | None]:
        """Return what there is for the arguments of a call, and where among the values that vary the inputs are; None if in order."""
        known, given = self._matched(args, kwargs)
        varying = [n for n, x in enumerate(flatten((args, kwargs))[0]) if _varies(x)]
        places = [g if g.at is None else _Given(varying.index(g.at), None) for g in given]
        return known, None if [p.at for p in places] == list(range(len(varying))) else places

    def _matched(self, args: Any, kwargs: Any) -> tuple[_Known, list[_Given]]:
        """Return what there is for the arguments of a call, and the inputs among them."""
        leaves, build = flatten((args, kwargs))
        args, kwargs = build([_Given(n, x) for n, x in enumerate(leaves)])
        signature = self._saved.signature
        given = _by_name(signature, args, kwargs)
        for known in self._entries:
            entry, found = known.entry, dict[int, _Given]()
            arguments = given | self._defaults(entry.arguments.keys() - given.keys())
            if _matches(entry.arguments, arguments, entry.leaves, found):
                return known, [found[n] for n, leaf in enumerate(entry.leaves) if leaf.form is not None]
        known_forms = [_described(k.entry.arguments, k.entry.leaves.__getitem__) for k in self._entries[:4]]
        raise NoProgramError(
            f"{self.__name__} has no program for {_described(given, lambda g: _leaf(g.value))}; the file holds those for "
            + " and for ".join(known_forms)
            + (", and others" if len(self._entries) > 4 else "")
        )

    def _takes_any_names(self) -> bool:
        """Whether the function took arguments by names of its caller's, whose order it saw."""
        signature = self._saved.signature
        return signature is None or any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())

    def _defaults(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the defaults of some parameters, of those that have one in the file."""
        parameters = {} if self._saved.signature is None else self._saved.signature.parameters
        found = {}
        for name in names:
            if name in parameters and not any(
                parameters[name].default is none for none in (inspect.Parameter.empty, UNKNOWN)
            ):
                leaves, build = flatten(parameters[name].default)
                found[name] = build([_Given(None, x) for x in leaves])
        return found

    # -- asking ------------------------------------------------------------------------------------
    def explain(self, *args: Any, **kwargs: Any) -> ProgramReport:
        """Return what the program for these arguments does.

        Parameters
        ----------
        *args, **kwargs
            The function's arguments.

        Returns
        -------
        ProgramReport
            It prints as a few lines; ``.source`` is the code.
        """
        variant = self._matched(args, kwargs)[0].variants[0]
        return ProgramReport.of(self.__name__, variant.why, variant)

    def source(self, *args: Any, **kwargs: Any) -> str:
        """Return the program for these arguments as Python code."""
        return self._matched(args, kwargs)[0].variants[0].flat.source


def _reason(program: Program, error: Exception, inputs: Sequence[Any]) -> str:
    """Say why a program does not hold."""
    if not isinstance(error, (ChangedError, FormError)):
        try:
            with np.errstate(all="ignore"):
                stepwise(program, inputs)
        except ChangedError as changed:
            error = changed
        except Exception as failed:
            return f"a step fails ({type(failed).__name__}: {failed})"
        else:
            return "a value is not finite"  # Python's functions of numbers raise there, and NumPy's do not
    if isinstance(error, FormError):
        return f"{error}"
    if not error.args or _is_finiteness(program, error.args[0]):
        return "a value is not finite"
    check = program.checks[error.args[0]]
    made = next((s.row.name for s in program.steps if s.result == check.value), "an argument")
    return f"{made} in {said(check.place)} is not {_short(check.then)}, as it was"


def _matches(template: Any, given: Any, leaves: Sequence[Leaf], found: dict[int, _Given], inside: bool = False) -> bool:
    """Whether arguments have the structure that programs are for, with the same leaves; note what stands for each.

    The order of the arguments, by name, does not count; that of keys inside one does.
    """
    if type(template) is int:
        if type(given) is not _Given or not _same_leaf(leaves[template], _leaf(given.value)):
            return False
        found[template] = given
        return True
    if type(template) is Record:
        if not is_dataclass(given) or type(given).__name__ != template.name:
            return False
        template, given = template.fields, {f.name: getattr(given, f.name) for f in fields(given)}
        inside = False
    if type(template) is dict:
        return (
            type(given) is dict
            and (list(given) == list(template) if inside else given.keys() == template.keys())
            and all(_matches(part, given[key], leaves, found, True) for key, part in template.items())
        )
    if isinstance(template, (tuple, list)):
        alike = type(given) is type(template) or (
            getattr(given, "_fields", None) == getattr(template, "_fields", ())
            and type(given).__name__ == type(template).__name__
        )
        return (
            alike
            and len(given) == len(template)
            and all(_matches(a, b, leaves, found, True) for a, b in zip(template, given, strict=True))
        )
    return template is None and given is None


def _same_leaf(known: Leaf, given: Leaf) -> bool:
    if known.form is not None or given.form is not None:
        return known.form == given.form and known.layout == given.layout
    return type(known.value) is type(given.value) and bool(known.value == given.value)


def _filled(structure: Any, outputs: Sequence[Any]) -> Any:
    """Return a structure with values for the numbers at its leaves."""
    if type(structure) is int:
        return outputs[structure]
    if type(structure) is dict:
        return {key: _filled(part, outputs) for key, part in structure.items()}
    if structure is None:
        return None
    if type(structure) is Numbers:
        data, make = outputs[structure.leaf], structure.make
        if type(data) in TRACED:
            return TracedMatrix(data, make.indices, make.indptr, make.shape, make.format)
        return make(data)
    parts = [_filled(part, outputs) for part in structure]
    return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)


class _Text(str):
    """A text that stands in a structure as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _described(arguments: dict[str, Any], leaf_at: Callable[[Any], Leaf]) -> str:
    """Say of which forms arguments are."""

    def text(x: Any) -> Any:
        if type(x) is int or type(x) is _Given:
            return _Text(_of_leaf(leaf_at(x)))
        if type(x) is dict:
            return {key: text(part) for key, part in x.items()}
        if isinstance(x, (tuple, list)):
            parts = [text(part) for part in x]
            return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
        return x if x is None else _Text(type(x).__name__ if type(x) is not Record else x.name)

    return "(" + ", ".join([f"{name}: {text(part)!r}" for name, part in arguments.items()]) + ")"


def _of_leaf(leaf: Leaf) -> str:
    if leaf.form is None:
        return repr(leaf.value)
    shape, dtype, kind = leaf.form
    if kind == "array":
        return f"an array {dtype}[{', '.join(map(str, shape))}]" + (
            "" if leaf.layout is None else f" with strides {leaf.layout}"
        )
    return f"a {'Python' if kind == 'float' else 'NumPy'} {dtype}"


def _of_bytes(content: bytes) -> LoadedProgram:
    return LoadedProgram(loaded(io.BytesIO(content)))


def load_program(file: str | PathLike[str] | IO[bytes]) -> LoadedProgram:
    """Return the programs in a file, written by ``compile(g).save(file)``, as a function.

    It takes the arguments of ``g`` and returns what ``g`` did, without ``g``: for arguments of the forms that were saved (their
    structure, shapes, dtypes and layout), and as long as every decision is taken as it was. Where that is not so it raises, for
    there is no function to ask. Inside another operator it is differentiated as ``g`` would be.

    Nothing in a file is code, and nothing of it is executed: it holds equations, numbers and arrays. On loading, all of it is held
    against digests and against the functions that dualdiff knows; the first run of a program goes step by step as well, and
    every value is held against the form that the file says.

    Parameters
    ----------
    file : path or binary file
        The file.

    Returns
    -------
    LoadedProgram
        A function with the name, the signature and the documentation of ``g``. ``.explain(*args)`` and ``.source(*args)`` are
        those of a compiled function. It pickles.

    Raises
    ------
    ProgramFileError
        If the file is damaged, was altered or written by a newer version, or holds what this version does not know; also by the
        first call, if a step gives another form of value than the file says.
    NoProgramError
        By a call with arguments of another form, at which a decision would be taken otherwise, or a value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> import io
    >>> gradient, file = dd.compile(dd.grad(lambda x: np.sum(x**3))), io.BytesIO()
    >>> gradient.save(file, np.array([1.0, 2.0]))
    >>> program = dd.load_program(file)
    >>> program(np.array([2.0, 3.0]))
    array([12., 27.])
    >>> program(np.array([2.0, 3.0, 4.0]))
    Traceback (most recent call last):
    ...
    dualdiff.errors.NoProgramError: ... has no program for (x: an array float64[3]); the file holds those for (x: ...
    """
    return LoadedProgram(loaded(file))
