"""Functions that are recorded once and then run as programs, as long as these hold."""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass
from os import PathLike
from time import perf_counter
from types import CodeType, MethodType
from typing import IO, Any, cast

import numpy as np

from dualdiff import matrices
from dualdiff.agreement import agree, is_amplified
from dualdiff.capture import Captured, asked, captured_runs, captures_of
from dualdiff.capture.look import catches_errors, takes_any_names
from dualdiff.capture.watching import watched
from dualdiff.compiled.entrance import ALWAYS, Fixed, Watched, is_calm
from dualdiff.compiled.flat import ChangedError, flat
from dualdiff.compiled.gate import Entered, Gate
from dualdiff.compiled.llvm import may_be_there
from dualdiff.containers import plain
from dualdiff.errors import NOTES, CompileWarning, InputError, StaleProgramError, line_of, outside
from dualdiff.operators.calls import Operator
from dualdiff.operators.effects import effects
from dualdiff.operators.watched import COMPARED, UNCHANGING, named, still
from dualdiff.passes.program import Form, Program, Slot, content, program_of
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.tape import Recording
from dualdiff.trees import flatten
from dualdiff.values import TRACED, alive, is_sparse, native, packed
from dualdiff.ways.problem import Problem, run_user

__all__ = ["Compiled", "ProgramReport", "compile", "tidied"]

VARIANTS = 8
"""Programs of one function for one form of its arguments."""
SIGNATURES = 64
"""Forms of arguments that programs are kept for."""
LONG, BEHIND, LOSSES = 1000.0, 2, 3
"""A program that is estimated to take more microseconds is timed when it is held against its function; if it takes so many times as
long, so often in turn, the function runs instead."""
REPLACED = 8
"""How often what the code names may be another object of the same value before its identity is not asked for."""
ROUNDING = 1e6
"""Units of rounding, of the largest entry, by which a program's value may differ from its function's."""
EVERY = 1000
"""How often a program is held against its function, once it has been 1, 2, 4, … calls old."""
_TRACED_KINDS = frozenset("biufc")


@dataclass(slots=True, eq=False)
class _Variant(Entered):
    """One program of a function."""

    _: KW_ONLY
    due: int = 1
    """The call at which it is held against its function next."""
    losses: int = 0
    """How often in turn it was slower than its function."""


@dataclass(slots=True, eq=False)
class _Known:
    """What is known for one form of arguments."""

    variants: list[_Variant]
    given_up: str | None = None
    errors: int = 0  # how often an error was caught in a recording, so that it was none


class _CaughtError(Exception):
    """Inside the engine: a function caught an error while it was recorded."""


class Compiled(Gate):
    """See :func:`compile`."""

    def __init__(
        self,
        f: Callable[..., Any],
        check_every: int | None = EVERY,
        backend: str = "auto",
        now: bool = False,
        warns: bool = True,
    ) -> None:
        if not callable(f):
            raise InputError(f"the first argument must be a function, not {type(f).__name__!r}")
        if check_every is not None and (type(check_every) is not int or check_every < 1):
            raise InputError(f"check_every={check_every!r} must be a positive integer, or None")
        if backend not in ("auto", "numpy", "llvm"):
            raise InputError(f'backend={backend!r} must be "auto", "numpy" or "llvm"')
        if backend == "numpy" and now:
            raise InputError('backend="numpy" never compiles, and now=True asks to: leave one of them out')
        if backend == "llvm" and not may_be_there():
            raise ImportError("backend=\"llvm\" needs llvmlite: pip install 'dualdiff[compile]'")
        super().__init__()
        functools.update_wrapper(self, f)
        self.f = f
        self.check_every, self.backend, self.now = check_every, backend, now
        self._known: OrderedDict[Any, _Known] = OrderedDict()
        self._watched: list[Watched] | None = None
        self._warned = not warns
        self._warns = warns
        self._name: str | None = None
        self._changes = 0  # how often something outside of the arguments was another one
        self._replaced = 0  # how often it was another object of the same value

    def __reduce__(self) -> Any:
        return Compiled, (self.f, self.check_every, self.backend, self.now, self._warns)

    def __repr__(self) -> str:
        return f"compile({getattr(self.f, '__name__', self.f)})"

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Return what is compiled for an instance, which keeps it: its attributes belong to the program."""
        if instance is None:
            return self
        bound = Compiled(MethodType(self.f, instance), self.check_every, self.backend, self.now, self._warns)
        if self._name is not None and hasattr(instance, "__dict__"):
            return vars(instance).setdefault(self._name, bound)
        return bound

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function does, by a program where one holds."""
        found = _signature(args, kwargs)
        if found is None or not is_calm():  # another operator differentiates this, or wants to see every step
            return self.f(*args, **kwargs)
        if isinstance(found, str):
            self._warn_of_argument(found)
            return self.f(*args, **kwargs)
        if self._changes > VARIANTS:
            return self.f(*args, **kwargs)
        key, inputs = found
        self._settle()
        known = self._known.get(key)
        if known is None or not self._holds():
            return self._recorded(key, inputs, args, kwargs)[0]
        if known.given_up is not None:
            return self.f(*args, **kwargs)
        for n, variant in enumerate(known.variants):
            try:
                outputs = variant.running.run(*inputs)
            except ChangedError as changed:
                if not changed.args or _is_finiteness(variant.program, changed.args[0]):
                    return self.f(*args, **kwargs)  # not finite: the operator looks closer
                continue
            except (ArithmeticError, ValueError):
                continue
            if n:
                with self._lock:
                    known.variants.sort(key=lambda v: v is not variant)
            result = variant.build(list(outputs))
            variant.calls += 1
            if self.check_every is not None and variant.calls >= variant.due:
                variant.due = _next_check(variant.calls, self.check_every)
                seconds = self._hold(key, variant, result, args, kwargs)
                if variant.price > LONG and self._loses(known, variant, inputs, seconds):
                    return result
            self._speed_up(variant, inputs, result)
            self._let_in(variant)
            return result
        return self._recorded(key, inputs, args, kwargs)[0]

    # -- entering ----------------------------------------------------------------------------------
    def _until(self, variant: Entered) -> int:
        """Return the call that is to be looked at next: to hold the program against its function, or to compile it."""
        until = ALWAYS if self.check_every is None else cast(_Variant, variant).due
        return until if self.backend == "numpy" else min(until, variant.pays_at())

    def _speed_up(self, variant: _Variant, inputs: Sequence[Any], result: Any) -> None:
        """Compile a program to machine code, if its calls have paid for that or it is asked for."""
        if self.backend == "numpy" or variant.is_settled:
            return

        def agrees(outputs: Sequence[Any]) -> bool:
            return all(map(_agree, flatten(variant.build(list(outputs)))[0], flatten(result)[0]))

        with self._lock:
            if variant.speed_up(inputs, agrees, self.now or self.backend == "llvm", lambda: self._way(variant)):
                self._renew(variant)

    def _why(self, variant: _Variant) -> str:
        """Return why a program runs as what it does."""
        return 'asked for by backend="numpy"' if self.backend == "numpy" else variant.why

    def _close(self) -> None:
        """Let no call in directly: what it would look at has changed."""
        with self._lock:
            for known in self._known.values():
                for variant in known.variants:
                    variant.entrance, variant.code, variant.slowly = None, None, 0
            self._shut()

    # -- holding -----------------------------------------------------------------------------------
    def _hold(self, key: Any, variant: _Variant, result: Any, args: Any, kwargs: Any) -> float:
        """Run the function as well, and raise unless it gives the same; return the seconds that it took."""
        begun = perf_counter()
        expected = flatten(self.f(*args, **kwargs))[0]
        seconds = perf_counter() - begun
        stale = self._staleness(variant.program, flatten(result)[0], expected, args, kwargs)
        if stale is not None:
            with self._lock:
                self._close()
                self._known.pop(key, None)
            raise StaleProgramError(stale)
        return seconds

    def _loses(self, known: _Known, variant: _Variant, inputs: Sequence[Any], seconds: float) -> bool:
        """Whether a program has now been slower than its function time and again; then the function runs."""
        begun = perf_counter()
        variant.running.run(*inputs)
        variant.losses = variant.losses + 1 if perf_counter() - begun > BEHIND * seconds else 0
        if variant.losses < LOSSES:
            return False
        self._give_up(known, f"its program takes more than {BEHIND} times as long as it does")
        return True

    def _staleness(self, program: Program, results: Any, expected: Any, args: Any, kwargs: Any) -> str | None:
        """Say which result of a program is not the function's; None where all are, but for what this makes of rounding."""
        if len(results) != len(expected):
            name = getattr(self.f, "__name__", "the function")
            return f"the program of {name} is stale: it gives {len(results)} results, the function {len(expected)}."
        pairs = zip(results, expected, strict=True)
        n, (found, right) = next(((n, pair) for n, pair in enumerate(pairs) if not _agree(*pair)), (-1, (None, None)))
        if n < 0 or is_amplified(lambda x: self.f(*x[0], **x[1]), (args, kwargs), results, expected):
            return None
        name = getattr(self.f, "__name__", "the function")
        result = "its result" if len(expected) == 1 else f"result {n}"
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
        watched = self._watch()
        for n, w in enumerate(watched):
            value = w.now()
            if value is w.value:
                continue
            if still(w, value):
                if isinstance(w.value, COMPARED) and self._replaced < REPLACED:
                    self._replaced += 1
                    self._close()
                    watched[n] = Watched(w.holder, w.name, value)
                continue
            with self._lock:
                self._close()
                self._known.clear()
                self._watched = None
                self._changes += 1
            if self._changes > VARIANTS:
                what = w.name if isinstance(w.name, str) else "a variable around it, or one of its defaults"
                self._warn(f"what its code names ({what}) changes again and again; pass it as an argument")
            return False
        return True

    def _watch(self) -> list[Watched]:
        if self._watched is None:
            self._watched = list(named(self.f, (Operator, Captured, Compiled)))
        return self._watched

    # -- recording ---------------------------------------------------------------------------------
    def _recorded(self, key: Any, inputs: list[Any], args: Any, kwargs: Any) -> tuple[Any, _Variant | None]:
        """Run the function, record it, and keep the program if it can be run again."""
        before = [x.copy() if type(x) is np.ndarray else x for x in inputs]
        with effects() as found:
            result = self.f(*args, **kwargs)
        expected, build = flatten(result)
        if not TRACED.isdisjoint(
            map(type, expected)
        ):  # of what the code names; an eager tensor's graph is made at each call
            return result, None
        with self._lock:
            known = self._known.setdefault(key, _Known([]))
            self._known.move_to_end(key)
            while len(self._known) > SIGNATURES:
                self._known.popitem(last=False)
            self._watch()
        if known.given_up is not None:
            return result, None
        if len(known.variants) >= VARIANTS:
            self._give_up(known, _branches(known))
            return result, None
        if found:
            self._give_up(known, "; ".join(found))
            return result, None
        now = _signature(args, kwargs)
        if type(now) is not tuple or now[0] != key or not all(_same(x, y) for x, y in zip(now[1], before, strict=True)):
            self._give_up(known, "it writes into an argument, which a program would not do")
            return result, None
        try:
            variant = self._record(inputs, args, kwargs, matrices.flatten(result)[0])
        except _CaughtError as caught:  # where there is none it does something else, which no step of a recording tells
            known.errors += 1
            if known.errors == VARIANTS:
                self._give_up(known, f"it catches errors ({caught}), and does something else where there is none")
            return result, None
        except Exception as error:
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            self._give_up(known, f"it cannot be recorded ({said})")
            return result, None
        if variant is None:  # the point, not the function, is in the way
            return result, None
        if not any(map(is_sparse, expected)):
            variant.build = build  # of the class that it has outside of a recording
        if self.now or self.backend == "llvm" or variant.is_large:
            self._speed_up(variant, inputs, result)
        try:
            try:
                outputs = variant.running.run(*inputs)
            except (
                ArithmeticError,
                ValueError,
            ):  # a branch not taken is computed as well, and Python's functions raise there
                variant.written = flat(variant.program, arrays=True)
                outputs = variant.flat.run(*inputs)
        except (ChangedError, ArithmeticError, ValueError):
            return result, None
        stale = self._staleness(variant.program, flatten(variant.build(list(outputs)))[0], expected, args, kwargs)
        if stale is not None:
            raise StaleProgramError(stale)
        with self._lock:
            if not any(
                _serves(v, inputs) for v in known.variants
            ):  # another thread may have recorded the same meanwhile
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
        self._close()
        known.variants.clear()
        self._warn(reason)

    def _warn(self, reason: str) -> None:
        if not self._warns:  # nobody asked for a program
            return
        warnings.warn(
            f"{getattr(self.f, '__name__', 'the function')} runs as it is, not as a program: {reason}.",
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
            out, results[:] = matrices.flatten(self.f(*given, **named)), ()
            results.append(out[1])
            return out[0]

        def once() -> tuple[Any, list[Any]]:
            nonlocal tape
            tape = Recording()
            errors.clear()
            with watched(errors) if catches else nullcontext():
                try:
                    return tape, run_user(problem, tape, [tape.add_input(x) for x in inputs], tidied)
                finally:
                    tape.close()

        errors: list[type[BaseException]] = []
        catches = catches_errors(self.f)
        problem = Problem(call, inputs, self.f, captures_of(self.f), check=False, inner=True)
        token = NOTES.set([])
        try:
            _, values = captured_runs(problem, once, 1)
        finally:
            NOTES.reset(token)
        if tape.careful:
            return None
        if errors:
            raise _CaughtError(errors[-1].__name__)
        slots = [Slot(v.mark) if type(v) in TRACED and v.run is tape else v for v in values]
        program = program_of(tape, inputs, slots, expected)
        by_name = len(kwargs) < 2 or not takes_any_names(self.f)
        given = one_by_one(args, kwargs, program) if by_name else None
        return _Variant(program, results[0], given, keywords=tuple(sorted(kwargs)))

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
        variant = self._variant(args, kwargs)
        return ProgramReport.of(getattr(self.f, "__name__", "the function"), self._why(variant), variant)

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
        StaleProgramError
            If an array that a program uses was written into since it was recorded.
        InputError
            If there is no program for these arguments.
        """
        from dualdiff.compiled.saved import write  # which few programs need
        from dualdiff.operators.loaded import saved_programs

        if args or kwargs:
            self._variant(args, kwargs)
        else:
            self._holds()
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
            f"{getattr(self.f, '__name__', 'the function')} has no program for these arguments: "
            f"{reason or 'its result is not finite here, or it catches an error, and is computed by the function itself'}"
        )


@dataclass(frozen=True)
class ProgramReport:
    """What a program does, and of what it is made.

    Attributes
    ----------
    equations, distinct, steps, operations : int
        Of the recording; those that are neither equal to another nor without effect; those that are needed; and what runs:
        operations on numbers, or calls of NumPy.
    tier : str
        "scalars", "arrays", "machine code", "loops" (around expressions of arrays, and calls of NumPy between them), or
        "repeated loops" (around steps of arrays that repeat).
    why : str
        Why it runs as that.
    milliseconds : float
        What compiling machine code took.
    buffers : int
        Bytes kept from call to call.
    constants : tuple of str
        What the program has kept, with the line that brought it in.
    checks : tuple of str
        The decisions it holds for, with their lines.
    source : str
        The program as Python code.
    loops : tuple of tuple
        Where steps that repeat were found: how many one period has, and how often it runs.
    """

    name: str
    equations: int
    distinct: int
    steps: int
    operations: int
    tier: str
    why: str
    milliseconds: float
    buffers: int
    constants: tuple[str, ...]
    checks: tuple[str, ...]
    source: str
    loops: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, name: str, why: str, variant: Any) -> ProgramReport:
        """Describe a program."""
        program, code = variant.program, variant.running
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
            program.distinct,
            len(program.steps),
            code.operations,
            code.kind,
            why,
            variant.milliseconds,
            code.buffers,
            constants,
            checks,
            (code if variant.is_large else variant.flat).source,
            code.loops,
        )

    def __str__(self) -> str:
        what = {"arrays": "calls of NumPy", "loops": "calls of loops and of NumPy"}.get(
            self.tier, "operations on numbers"
        )
        lines = [
            f"{self.name}: {self.equations:,} equations recorded, {self.distinct:,} of them distinct, {self.steps:,} needed",
            f"runs as {self.operations:,} {what}, by {self.tier}: {self.why}",
            f"buffers: {self.buffers:,} bytes",
        ]
        if self.loops:
            lines.append(f"loops: {', '.join(f'{period:,} steps {count:,} times' for period, count in self.loops)}")
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
    names = sorted(kwargs) if kwargs else ()
    key: list[Any] = []
    for x in (*args, *[kwargs[name] for name in names]) if names else args:
        kind = type(x)
        if kind is np.ndarray and x.dtype.kind in _TRACED_KINDS:
            key.append((x.shape, x.dtype, _layout(x)))
        elif kind is float or kind is np.float64:
            key.append(kind)
        else:
            break
    else:
        return (*key, *kwargs), [*args, *[kwargs[name] for name in names]]
    leaves, build = flatten((args, kwargs))
    key, inputs = (
        [build, _orders((args, kwargs))],
        [],
    )  # the orders of keys stand apart: structures that differ in them are equal
    for x in leaves:
        if type(x) in TRACED:
            return None
        if _varies(x):
            key.append((type(x), shape_of(x), dtype_of(x), _layout(x) if type(x) is np.ndarray else None))
            inputs.append(x)
        elif isinstance(x, COMPARED):
            key.append((type(x), x))
        elif isinstance(x, UNCHANGING):
            key.append(_Same(x))
        else:
            return type(x).__name__
    return tuple(key), inputs


def _orders(x: Any) -> Any:
    """Return the keys of the dictionaries in a structure in their order, which a function may see."""
    if isinstance(x, dict):
        return (tuple(x), *map(_orders, x.values()))
    return tuple(map(_orders, x)) if isinstance(x, (tuple, list)) else ()


def one_by_one(args: Any, kwargs: Any, program: Program) -> list[Form | Fixed] | None:
    """Return what a call is given, by position and then by name in alphabetical order; None if there is more to look at."""
    found: list[Form | Fixed] = []
    for x in (*args, *[kwargs[name] for name in sorted(kwargs)]):
        if _varies(x):
            found.append(program.forms[sum(type(a) is Form for a in found)])
            if type(x) is np.ndarray and not x.flags.c_contiguous:
                return None
        elif isinstance(x, COMPARED) and not isinstance(x, tuple):
            found.append(Fixed(x))
        else:
            return None
    return found


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


def tidied(values: Sequence[Any]) -> list[Any]:
    """Bring the results of a recorded function up to date."""
    out = []
    for v in values:
        v = alive(plain(v) if type(v) in TRACED else packed(native(v)))
        if type(v) in TRACED and v.link is not None:
            v.link.refresh(v)
        out.append(v)
    return out


def _changed(program: Program) -> Iterator[tuple[Any, Any]]:
    """Yield the constants whose arrays were written into since they were recorded, and the line that uses each."""
    for i, origin in program.origins.items():
        now = origin()
        if now is not None and not _same(now, program.constants[i]):
            yield now, next((s.place for s in program.steps if i in s.operands), None)


# --------------------------------------------------------------------------------------------------
# comparing and saying


def _next_check(calls: int, every: int) -> int:
    """Return the call at which a program is looked at after this one: 1, 2, 4, 8, …, and then every so often."""
    power = 1 << calls.bit_length()
    return power if power < every else (calls // every + 1) * every


def _same(x: Any, y: Any) -> bool:
    return bool(np.array_equal(x, y, equal_nan=np.asarray(x).dtype.kind in "fc"))


def _agree(found: Any, right: Any) -> bool:
    """Whether a program's result is the function's, up to rounding."""
    if is_sparse(right) and type(found) is type(right):
        return found is right or (found.shape == right.shape and _agree(*matrices.nonzeros(found, right)))
    if not (isinstance(right, (int, float, complex, np.generic, np.ndarray))):
        return found is right or content(found) == content(right)
    return agree(found, right, ROUNDING)


def _serves(variant: _Variant, inputs: Sequence[Any]) -> bool:
    try:
        variant.running.run(*inputs)
    except (ChangedError, ArithmeticError, ValueError):
        return False
    return True


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
    x = x.data if is_sparse(x) else x
    if shape_of(x) and np.size(x) > 4:
        return f"[{np.ravel(x)[0]:.6g}, …]"
    return np.array2string(np.asarray(x), precision=6, threshold=4)


def compile(
    g: Callable[..., Any],
    *,
    backend: str = "auto",
    now: bool = False,
    check_every: int | None = EVERY,
    capture: Any = "auto",
) -> Compiled:
    r"""Return ``g`` as a function that is recorded at its first call and run as a program after that.

    ``g`` is any function of NumPy code, an operator's result included: ``dd.compile(dd.value_and_jacobian(f))``. A program is the
    list of what NumPy computed in the recorded call: small ones run as Python code on numbers, others call NumPy with buffers at
    hand. Where llvmlite is installed (``pip install 'dualdiff[compile]'``), programs of numbers become machine code once their
    calls have paid for compiling it: when what they are estimated to have taken reaches what compiling is estimated to take. A
    program is kept for the structure, shapes and dtypes of the arguments.

    The contract: Python code inside ``g`` runs when it is recorded, not at each call, and what is not an argument is a constant.
    That is looked after. A branch, a mask, a size that would come out otherwise is noticed, and recorded as another program (up
    to eight; then ``g`` runs as it is, with a warning). What ``g``'s own code names is compared at every call: numbers, strings,
    tuples, functions and arrays (by identity), also in short lists and dictionaries and as attributes of objects. At calls 1, 2, 4, 8, …
    and then every ``check_every``-th, ``g`` itself runs as well
    and a difference is an error, unless rounding the arguments changes ``g`` as much: so random numbers do not pass, and chaotic
    functions do. A function that prints or opens a file when it is first called
    runs as it is, with a warning. A result that is not finite is computed by ``g``.

    Parameters
    ----------
    g : callable
        The function.
    backend : {"auto", "numpy", "llvm"}
        "numpy" runs Python code and calls of NumPy; "llvm" compiles what can be compiled when it is recorded; "auto" begins with
        the first and compiles when it pays.
    now : bool
        Compile when recording, where that can be done.
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
        If ``g`` cannot be called, or an option is none of those above.
    ImportError
        If ``backend="llvm"`` and llvmlite is not installed.

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
    return Compiled(asked(g, capture), check_every, backend, now)
