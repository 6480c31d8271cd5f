"""Functions that are recorded once and then run as programs, as long as these hold."""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from os import PathLike
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import IO, Any

import numpy as np

from dualdiff.capture import Captured, asked, captured_runs, captures_of
from dualdiff.capture.look import code_names, function_of
from dualdiff.compiled.flat import ChangedError, Flat, flat
from dualdiff.containers import plain
from dualdiff.errors import NOTES, CompileWarning, InputError, StaleProgramError, line_of, outside
from dualdiff.operators.calls import Operator
from dualdiff.passes import kinks
from dualdiff.passes.program import Program, Slot, program_of
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.tape import Recording
from dualdiff.trees import flatten
from dualdiff.values import TRACED, alive, native, packed
from dualdiff.ways.problem import Problem, run_user

__all__ = ["Compiled", "ProgramReport", "compile"]

VARIANTS = 8
"""Programs of one function for one form of its arguments."""
SIGNATURES = 64
"""Forms of arguments that programs are kept for."""
MOST_ENTRIES = 64
"""Entries up to which a list or a dictionary is looked through at every call."""
EVERY = 1000
"""How often a program is held against its function, once it has been 1, 2, 4, … calls old."""
_TRACED_KINDS = frozenset("biufc")
_UNCHANGING = (type, FunctionType, BuiltinFunctionType, ModuleType, np.ufunc, np.dtype, slice, range, Enum)
"""Classes of arguments that are what they are; others may change from call to call, and nobody would see it."""
_COMPARED = (int, float, complex, bool, str, bytes, tuple, frozenset, type(None), np.generic)


@dataclass(slots=True, eq=False)
class _Variant:
    """One program, and how its results are put together."""

    program: Program
    flat: Flat
    build: Callable[[list[Any]], Any]
    calls: int = 0


@dataclass(slots=True, eq=False)
class _Known:
    """What is known for one form of arguments."""

    variants: list[_Variant]
    recorded: int = 0
    given_up: str | None = None


class Compiled:
    """See :func:`compile`."""

    def __init__(self, function: Callable[..., Any], check_every: int | None = EVERY) -> None:
        if not callable(function):
            raise InputError(f"the first argument must be a function, not {type(function).__name__!r}")
        if check_every is not None and (type(check_every) is not int or check_every < 1):
            raise InputError(f"check_every={check_every!r} must be a positive integer, or None")
        functools.update_wrapper(self, function)
        self.function = function
        self.check_every = check_every
        self._known: OrderedDict[Any, _Known] = OrderedDict()
        self._lock = threading.RLock()
        self._watched: list[tuple[Any, Any, Any]] | None = None
        self._warned = False
        self._name: str | None = None
        self._changes = 0  # how often something outside of the arguments was another one

    def __reduce__(self) -> Any:
        return Compiled, (self.function, self.check_every)

    def __repr__(self) -> str:
        return f"compile({getattr(self.function, '__name__', self.function)})"

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Return what is compiled for an instance, which keeps it: its attributes belong to the program."""
        if instance is None:
            return self
        bound = Compiled(MethodType(self.function, instance), self.check_every)
        if self._name is not None and hasattr(instance, "__dict__"):
            return vars(instance).setdefault(self._name, bound)
        return bound

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function does, by a program where one holds."""
        found = _signature(args, kwargs)
        if found is None or kinks.raises():  # another operator differentiates this, or wants to see every step
            return self.function(*args, **kwargs)
        if isinstance(found, str):
            self._warn_of_argument(found)
            return self.function(*args, **kwargs)
        if self._changes > VARIANTS:
            return self.function(*args, **kwargs)
        key, inputs = found
        known = self._known.get(key)
        if known is None or not self._holds():
            return self._recorded(key, inputs, args, kwargs)[0]
        if known.given_up is not None:
            return self.function(*args, **kwargs)
        for n, variant in enumerate(known.variants):
            try:
                outputs = variant.flat.run(*inputs)
            except ChangedError as changed:
                if not changed.args or _is_finiteness(variant.program, changed.args[0]):
                    return self.function(*args, **kwargs)  # not finite: the operator looks closer
                continue
            except (ArithmeticError, ValueError):
                continue
            if n:
                with self._lock:
                    known.variants.sort(key=lambda v: v is not variant)
            variant.calls += 1
            result = variant.build(list(outputs))
            if self._is_due(variant.calls):
                self._hold(key, variant, outputs, args, kwargs)
            return result
        return self._recorded(key, inputs, args, kwargs)[0]

    # -- holding -----------------------------------------------------------------------------------
    def _is_due(self, calls: int) -> bool:
        every = self.check_every
        return every is not None and (calls % every == 0 or (calls < every and calls & (calls - 1) == 0))

    def _hold(self, key: Any, variant: _Variant, outputs: Sequence[Any], args: Any, kwargs: Any) -> None:
        """Run the function as well, and raise unless it gives the same."""
        expected = flatten(self.function(*args, **kwargs))[0]
        for n, (found, right) in enumerate(zip(outputs, expected, strict=True)):
            if not _agree(found, right):
                with self._lock:
                    self._known.pop(key, None)
                raise StaleProgramError(self._staleness(variant.program, n, len(expected), found, right))

    def _staleness(self, program: Program, n: int, count: int, found: Any, right: Any) -> str:
        name = getattr(self.function, "__name__", "the function")
        result = "its result" if count == 1 else f"result {n}"
        said = [
            f"an array of shape {shape_of(x)} that {_line(place)} uses was written into"
            for x, place in _changed(program)
        ]
        return (
            f"the program of {name} is stale: {result} is {_short(found)} by the program, {_short(right)} by the function. "
            + (
                f"{'; '.join(said)}. "
                if said
                else "What it takes from outside of its arguments has changed, or is random. "
            )
            + "What changes between calls must be an argument: give it as one, or compile the function again."
        )

    def _holds(self) -> bool:
        """Whether what the function's own code names outside of its arguments is what it was."""
        watched = self._watched
        if watched is None:
            watched = self._watched = list(_named(self.function))
        for holder, name, value in watched:
            now = _read(holder, name)
            if now is not value and not (
                type(now) is type(value) and isinstance(now, _COMPARED) and _equal(now, value)
            ):
                with self._lock:
                    self._known.clear()
                    self._watched = None
                    self._changes += 1
                if self._changes > VARIANTS:
                    what = (
                        name if isinstance(name, str) else "a default" if name is not None else "a variable around it"
                    )
                    self._warn(f"what its code names ({what}) changes again and again; pass it as an argument")
                return False
        return True

    # -- recording ---------------------------------------------------------------------------------
    def _recorded(self, key: Any, inputs: list[Any], args: Any, kwargs: Any) -> tuple[Any, _Variant | None]:
        """Run the function, record it, and keep the program if it can be run again."""
        before = [x.copy() if type(x) is np.ndarray else x for x in inputs]
        result = self.function(*args, **kwargs)
        with self._lock:
            known = self._known.setdefault(key, _Known([]))
            self._known.move_to_end(key)
            while len(self._known) > SIGNATURES:
                self._known.popitem(last=False)
            if self._watched is None:
                self._watched = list(_named(self.function))
        if known.given_up is not None:
            return result, None
        if known.recorded >= VARIANTS:
            self._give_up(known, _branches(known))
            return result, None
        known.recorded += 1
        if any(type(x) is np.ndarray and not _same(x, y) for x, y in zip(inputs, before, strict=True)):
            self._give_up(known, "it writes into an argument, which a program would not do")
            return result, None
        try:
            variant = self._record(inputs, args, kwargs, flatten(result)[0])
        except Exception as error:
            self._give_up(known, f"it cannot be recorded ({type(error).__name__}: {str(error).splitlines()[0]})")
            return result, None
        if variant is None:
            known.recorded -= 1  # the point, not the function, is in the way
            return result, None
        try:
            try:
                outputs = variant.flat.run(*inputs)
            except (
                ArithmeticError,
                ValueError,
            ):  # a branch not taken is computed as well, and Python's functions raise there
                variant.flat = flat(variant.program, arrays=True)
                outputs = variant.flat.run(*inputs)
        except (ChangedError, ArithmeticError, ValueError):
            known.recorded -= 1
            return result, None
        expected = flatten(result)[0]
        for n, (found, right) in enumerate(zip(outputs, expected, strict=True)):
            if not _agree(found, right):
                raise StaleProgramError(self._staleness(variant.program, n, len(expected), found, right))
        known.variants.insert(0, variant)
        return result, variant

    def _warn_of_argument(self, kind: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(
                f"an argument is of class {kind!r}, whose content may change from call to call unseen; pass arrays and numbers"
            )

    def _give_up(self, known: _Known, reason: str) -> None:
        known.given_up = reason
        known.variants.clear()
        self._warn(reason)

    def _warn(self, reason: str) -> None:
        warnings.warn(
            f"{getattr(self.function, '__name__', 'the function')} runs as it is, not as a program: {reason}.",
            CompileWarning,
            stacklevel=outside(),
        )

    def _record(self, inputs: list[Any], args: Any, kwargs: Any, expected: list[Any]) -> _Variant | None:
        """Record the function; return None where it is not finite, and so was computed by rules for such points only."""
        positions, build = _build_of(args, kwargs)
        tape = Recording()
        results: list[Any] = []

        def call(leaves: list[Any]) -> list[Any]:
            given, named = build(_placed(positions, leaves))
            out, results[:] = flatten(self.function(*given, **named)), ()
            results.append(out[1])
            return out[0]

        def once() -> tuple[Any, list[Any]]:
            nonlocal tape
            tape = Recording()
            try:
                return tape, run_user(problem, tape, [tape.add_input(x) for x in inputs], _tidied)
            finally:
                tape.close()

        problem = Problem(call, inputs, self.function, captures_of(self.function), check=False, inner=True)
        token = NOTES.set([])
        try:
            _, values = captured_runs(problem, once, 1)
        finally:
            NOTES.reset(token)
        if tape.careful:
            return None
        slots = [Slot(v.mark) if type(v) in TRACED and v.run is tape else v for v in values]
        program = program_of(tape, inputs, slots, expected)
        return _Variant(program, flat(program), results[0])

    # -- asking ------------------------------------------------------------------------------------
    def explain(self, *args: Any, **kwargs: Any) -> ProgramReport:
        """Return what the program for these arguments does; it is recorded if it is not known yet.

        Parameters
        ----------
        *args, **kwargs
            The function's arguments.

        Returns
        -------
        ProgramReport
            It prints as a few lines; ``.source`` is the code.
        """
        return ProgramReport.of(getattr(self.function, "__name__", "the function"), self._variant(args, kwargs))

    def source(self, *args: Any, **kwargs: Any) -> str:
        """Return the program for these arguments as Python code."""
        return self._variant(args, kwargs).flat.source

    def save(self, file: str | PathLike[str] | IO[bytes], *args: Any, **kwargs: Any) -> None:
        """Save programs in a file, for :func:`load_program`.

        A file holds equations and arrays, and no code: ``program.json`` and arrays in NumPy's format, in a zip.

        Parameters
        ----------
        file : path or binary file
            Where to; by convention its name ends in ``.ddp``.
        *args, **kwargs
            Arguments of the function: the programs for such arguments are saved, recorded now if there is none. All that are known
            by default.

        Raises
        ------
        ProgramFileError
            If there is no program, or one that holds what no file does: an object, a function whose rule is your own.
        InputError
            If there is no program for these arguments.
        """
        from dualdiff.compiled.saved import write  # which few programs need
        from dualdiff.operators.loaded import saved_programs

        if args or kwargs:
            self._variant(args, kwargs)
        found: Any = _signature(args, kwargs)
        write(file, saved_programs(self, [found[0]] if args or kwargs else list(self._known)))

    def _variant(self, args: Any, kwargs: Any) -> _Variant:
        found = _signature(args, kwargs)
        if found is None or isinstance(found, str):
            raise InputError(
                "a program is for plain arrays and numbers; these arguments "
                + ("are being differentiated" if found is None else f"hold an object of class {found!r}")
            )
        key, _inputs = found
        self(*args, **kwargs)
        known = self._known.get(key)
        if known is not None and known.variants:
            return known.variants[0]
        reason = known.given_up if known is not None else None
        raise InputError(
            f"{getattr(self.function, '__name__', 'the function')} has no program for these arguments: "
            f"{reason or 'its result is not finite here, and is computed by the function itself'}"
        )


@dataclass(frozen=True)
class ProgramReport:
    """What a program does, and of what it is made.

    Attributes
    ----------
    equations, steps, operations : int
        Of the recording; of the program; and what runs: operations on numbers, or calls of NumPy.
    tier : str
        "scalars" or "arrays".
    buffers : int
        Bytes kept from call to call.
    constants : tuple of str
        What the program has kept, with the line that brought it in.
    checks : tuple of str
        The decisions it holds for, with their lines.
    source : str
        The program as Python code.
    """

    name: str
    equations: int
    steps: int
    operations: int
    tier: str
    buffers: int
    constants: tuple[str, ...]
    checks: tuple[str, ...]
    source: str

    @classmethod
    def of(cls, name: str, variant: Any) -> ProgramReport:
        """Describe a program."""
        program, code = variant.program, variant.flat
        users: dict[int, Any] = {}
        for s in program.steps:
            for i in s.operands:
                users.setdefault(i, s.place)
        constants = tuple(
            f"{program.forms[i]} {_short(x)}, {_line(users.get(i))}"
            for i, x in program.constants.items()
            if shape_of(x)
        )
        made = {s.result: s.row.name for s in program.steps}
        checks = tuple(
            f"{made.get(c.value, 'an argument')} is {_short(c.then)}, {_line(c.place)}"
            for n, c in enumerate(program.checks)
            if not _is_finiteness(program, n)
        )
        return cls(
            name,
            program.recorded,
            len(program.steps),
            code.operations,
            code.kind,
            code.buffers,
            constants,
            checks,
            code.source,
        )

    def __str__(self) -> str:
        what = "operations on numbers" if self.tier == "scalars" else "calls of NumPy"
        lines = [
            f"{self.name}: {self.equations:,} equations recorded, {self.steps:,} needed, run as {self.operations:,} {what}",
            f"buffers: {self.buffers:,} bytes",
        ]
        for title, items in (("constants", self.constants), ("holds while", self.checks)):
            lines.append(f"{title}: {len(items) or 'none'}")
            lines += [f"  {item}" for item in items]
        return "\n".join(lines)


# --------------------------------------------------------------------------------------------------
# arguments


def _signature(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, list[Any]] | str | None:
    """Return what a program is kept by, and the values that vary.

    None if one of them is traced; the name of its class if one is an object that may change unseen.
    """
    if not kwargs:
        key: list[Any] = []
        for x in args:
            kind = type(x)
            if kind is np.ndarray and x.dtype.kind in _TRACED_KINDS:
                key.append((x.shape, x.dtype, _layout(x)))
            elif kind is float or kind is np.float64:
                key.append(kind)
            else:
                break
        else:
            return tuple(key), list(args)
    leaves, build = flatten((args, kwargs))
    key, inputs = [build], []
    for x in leaves:
        if type(x) in TRACED:
            return None
        if _varies(x):
            key.append((type(x), shape_of(x), dtype_of(x), _layout(x) if type(x) is np.ndarray else None))
            inputs.append(x)
        elif isinstance(x, _COMPARED):
            key.append((type(x), x))
        elif isinstance(x, _UNCHANGING):
            key.append(_Same(x))
        else:
            return type(x).__name__
    return tuple(key), inputs


def _varies(x: Any) -> bool:
    """Whether a leaf of the arguments varies from call to call; Python's integers and all else belong to the program."""
    if type(x) is np.ndarray:
        return x.dtype.kind in _TRACED_KINDS
    return type(x) in (float, complex) or (isinstance(x, np.generic) and x.dtype.kind in _TRACED_KINDS)


def _layout(x: Any) -> Any:
    """Return how an array lies in memory, if not entry by entry in order: code may ask."""
    return None if x.flags.c_contiguous else x.strides


class _Same:
    """An object as part of a key: equal to itself only."""

    __slots__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = x

    def __hash__(self) -> int:
        return id(self.x)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.x is other.x


def _build_of(args: Any, kwargs: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """Return the leaves of a call, a mark where one varies, and the way back to its structure."""
    leaves, build = flatten((args, kwargs))
    return [_VARIES if _varies(x) else x for x in leaves], build


_VARIES: Any = object()


def _placed(positions: Sequence[Any], leaves: Sequence[Any]) -> list[Any]:
    waiting = iter(leaves)
    return [next(waiting) if p is _VARIES else p for p in positions]


def _tidied(values: Sequence[Any]) -> list[Any]:
    """Bring the results of a recorded function up to date."""
    out = []
    for v in values:
        v = alive(plain(v) if type(v) in TRACED else packed(native(v)))
        if type(v) in TRACED and v.link is not None:
            v.link.refresh(v)
        out.append(v)
    return out


# --------------------------------------------------------------------------------------------------
# what is outside of the arguments


def _named(function: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield what the function's own code names: variables of enclosing functions and of its module, defaults, attributes of self."""
    seen: set[int] = set()
    todo = [function]
    while todo:
        f = todo.pop()
        if isinstance(f, (Compiled, Operator, Captured)):
            todo.append(f.function if isinstance(f, Compiled) else f.f)
            continue
        own = function_of(f)
        if own is None or id(own) in seen:
            continue
        seen.add(id(own))
        names = set(code_names(own.__code__))
        named: list[tuple[Any, Any]] = [(cell, None) for cell in own.__closure__ or ()]
        named += [(own.__globals__, name) for name in sorted(names & own.__globals__.keys())]
        named += [(own, k) for k in range(len(own.__defaults__ or ()))]
        named += [(own.__kwdefaults__, name) for name in own.__kwdefaults__ or ()]
        for holder, name in named:
            value = _read(holder, name)
            yield holder, name, value
            yield from _inside(value, names)
        owner = f.__self__ if isinstance(f, MethodType) else f if not hasattr(f, "__code__") else None
        if owner is not None and not isinstance(f, functools.partial):
            attributes = _Attributes(owner)
            for name in sorted(names):
                value = _read(attributes, name)
                if value is not _GONE:
                    yield attributes, name, value
                    yield from _inside(value, names, deeper=False)


def _inside(value: Any, names: set[str], deeper: bool = True) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the entries of a short list or dictionary, and the attributes of an object, or of a user's module, that the code names."""
    kind = type(value)
    if kind is dict or kind is list:
        if len(value) <= MOST_ENTRIES:
            yield value, _SIZE, len(value)
            for key in value if kind is dict else range(len(value)):
                yield value, key, value[key]
    elif (
        deeper
        and hasattr(value, "__dict__")
        and not isinstance(value, (*_UNCHANGING, MethodType, Compiled, Operator, Captured))
    ):
        attributes = _Attributes(value)
        for name in sorted(names):
            found = _read(attributes, name)
            if found is not _GONE:
                yield attributes, name, found
    elif deeper and kind is ModuleType and not _is_library(value):
        for name in sorted(names & vars(value).keys()):
            yield vars(value), name, vars(value)[name]


def _is_library(module: ModuleType) -> bool:
    """Whether a module is one of Python's, NumPy's or SciPy's, whose names stay what they are."""
    root = module.__name__.partition(".")[0]
    return root in ("numpy", "scipy", "dualdiff") or root in sys.stdlib_module_names


_GONE: Any = object()
_SIZE: Any = object()


class _Attributes:
    """The attributes of an object, as they stand in it or in its class: nothing is computed by asking."""

    __slots__ = ("kinds", "own")

    def __init__(self, owner: Any) -> None:
        self.own: dict[str, Any] = getattr(owner, "__dict__", {})
        self.kinds = [vars(kind) for kind in type(owner).__mro__]

    def get(self, name: str) -> Any:
        """Return what an attribute is."""
        if name in self.own:
            return self.own[name]
        return next((kind[name] for kind in self.kinds if name in kind), _GONE)


def _read(holder: Any, name: Any) -> Any:
    if name is _SIZE:
        return len(holder)
    if type(holder) is dict:
        return holder.get(name, _GONE)
    if type(holder) is list:
        return holder[name] if name < len(holder) else _GONE
    if type(holder) is _Attributes:
        return holder.get(name)
    if name is None:
        try:
            return holder.cell_contents
        except ValueError:
            return _GONE
    defaults = holder.__defaults__ or ()
    return defaults[name] if name < len(defaults) else _GONE


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b) or (a != a and b != b)
    except Exception:
        return False


def _changed(program: Program) -> Iterator[tuple[Any, Any]]:
    """Yield the constants whose arrays were written into since they were recorded, and the line that uses each."""
    for i, origin in program.origins.items():
        now = origin()
        if now is not None and not _same(now, program.constants[i]):
            yield now, next((s.place for s in program.steps if i in s.operands), None)


# --------------------------------------------------------------------------------------------------
# comparing and saying


def _same(x: Any, y: Any) -> bool:
    return bool(np.array_equal(x, y, equal_nan=np.asarray(x).dtype.kind in "fc"))


def _agree(found: Any, right: Any) -> bool:
    """Whether a program's result is the function's, up to rounding."""
    if not (isinstance(right, (int, float, complex, np.generic, np.ndarray))):
        return found is right or _equal(found, right)
    if shape_of(found) != shape_of(right):
        return False
    a, b = np.asarray(found), np.asarray(right)
    if b.dtype.kind not in "fc":
        return bool(np.array_equal(a, b))
    there = np.isfinite(b)
    size = float(np.max(np.abs(b), initial=0.0, where=there))
    bar = 1e6 * float(np.finfo(b.dtype).eps) * size
    with np.errstate(all="ignore"):
        return bool(np.all((np.abs(a - b) <= bar) | (a == b) | (np.isnan(a) & np.isnan(b))))


def _is_finiteness(program: Program, check: int) -> bool:
    """Whether a check only asks whether a derivative is finite: then the operator looks closer, and no branch has changed."""
    made = {s.result: s for s in program.steps}
    outer = made.get(program.checks[check].value)
    inner = made.get(outer.operands[0]) if outer is not None and outer.row.fn is np.all else None
    return inner is not None and inner.row.fn is np.isfinite


def _branches(known: _Known) -> str:
    lines = {_line(c.place) for v in known.variants for c in v.program.checks if not isinstance(c.place, type(None))}
    return f"it took more than {VARIANTS} different courses for arguments of one form" + (
        f" (decided in {', '.join(sorted(lines))})" if lines else ""
    )


def _line(place: tuple[CodeType, int] | str | None) -> str:
    """Return a line as it is said: one that was recorded, or that a file held."""
    return place if isinstance(place, str) else line_of(*place) if place else "an unknown line"


def _short(x: Any) -> str:
    if shape_of(x) and np.size(x) > 4:
        return f"[{np.ravel(x)[0]:.6g}, …]"
    return np.array2string(np.asarray(x), precision=6, threshold=4)


def compile(g: Callable[..., Any], *, check_every: int | None = EVERY, capture: Any = "auto") -> Compiled:
    r"""Return ``g`` as a function that is recorded at its first call and run as a program after that.

    ``g`` is any function of NumPy code, an operator's result included: ``dd.compile(dd.value_and_jacobian(f))``. A program is the
    list of what NumPy computed in the recorded call: small ones run as Python code on numbers, others call NumPy with buffers at
    hand. It is kept for the structure, shapes and dtypes of the arguments.

    The contract: Python code inside ``g`` runs when it is recorded, not at each call, and what is not an argument is a constant.
    That is looked after. A branch, a mask, a size that would come out otherwise is noticed, and recorded as another program (up
    to eight; then ``g`` runs as it is, with a warning). What ``g``'s own code names is compared at every call: numbers, strings,
    tuples, functions and arrays (by identity), also in short lists and dictionaries and as attributes of objects. At calls 1, 2, 4, 8, …
    and then every ``check_every``-th, ``g`` itself runs as well
    and a difference is an error: so random numbers, printing and files inside ``g`` do not pass. A result that is not finite is
    computed by ``g``.

    Parameters
    ----------
    g : callable
        The function.
    check_every : int or None
        How often a program is held against ``g``, after the first calls; None never does, not even at the first calls.
    capture : {"auto", "always", "never"} or sequence of modules
        Which modules speak with differentiated values while ``g`` is recorded: see :func:`capture`.

    Returns
    -------
    Compiled
        It takes the arguments of ``g`` and returns what ``g`` does. ``.explain(*args)`` says of what the program is made, and
        ``.source(*args)`` is its code. It pickles where ``g`` does, and is recorded anew.

    Raises
    ------
    StaleProgramError
        By a call that finds the program's result to differ from that of ``g``.
    InputError
        If ``g`` cannot be called.

    Warns
    -----
    CompileWarning
        Where ``g`` cannot be run as a program: once for each form of its arguments, with the reason.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> gradient = dd.compile(dd.grad(lambda x: np.sum(x**2) / 2))
    >>> gradient(np.array([1.0, 2.0]))
    array([1., 2.])
    >>> print(gradient.source(np.array([1.0, 2.0])))
    def program(x0):
        x0_0, x0_1, = x0.tolist()
        v6 = 0.5 * (2.0 * x0_0)
        v7 = 0.5 * (2.0 * x0_1)
        total = v6 + v7
        if total - total != 0.0: raise changed(0)
        return array([v6, v7]),
    <BLANKLINE>
    """
    return Compiled(asked(g, capture), check_every)
