"""What SciPy's solvers return, with its derivatives: the drop-ins of all of them are made here.

A solver is run by SciPy, on plain values: whatever is differentiated in its arguments, or in variables that its functions close over,
is taken out before and is an operand of the solution after. Values are SciPy's own, the derivatives those of the equations that the
solver solves, at the point where it ended: they are off by about as much as that point is.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from dualdiff.containers import plain
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.operators.solutions import Given, Solved
from dualdiff.register import REAL_ONLY, Facts
from dualdiff.scipy.room import Room
from dualdiff.shapes import shape_of
from dualdiff.trees import flatten, tree_map
from dualdiff.values import LEVELS, TRACED, contains_traced, is_replayed, operand, packed, raw

Arguments = dict[str, Any]


def plainly(f: Any) -> Any:
    """Return a function whose results are plain values, for code that decides by them; anything but a function as it is.

    What an operator traces that the solver itself begins, to have a derivative of the function, stays traced.
    """
    if not callable(f):
        return f
    level = LEVELS.current

    @functools.wraps(f)  # SciPy may count its parameters
    def call(*args: Any, **kwargs: Any) -> Any:
        return stripped(f(*args, **kwargs), level)

    return call


def stripped(x: Any, level: float = np.inf) -> Any:
    """Return a structure without what is differentiated in it, on levels up to the given one."""

    def plain_leaf(leaf: Any) -> Any:
        leaf = packed(leaf)
        return leaf if type(leaf) in TRACED and leaf.run.level > level else raw(leaf)

    if type(x) in TRACED:
        return plain_leaf(x)
    return tree_map(plain_leaf, x) if isinstance(x, (list, tuple, dict, np.ndarray)) else x


def is_differentiated(x: Any) -> bool:
    """Whether something in a structure carries a derivative."""
    return any(
        type(leaf) in TRACED and plain(leaf) is leaf and not leaf._may_leave() for leaf in map(packed, flatten(x)[0])
    )


def number(x: Any) -> Any:
    """Return what a function of one number returned as a number: an array of one entry is one."""
    x = operand(x) if not contains_traced(x) or isinstance(x, (list, tuple)) else x
    return x if not shape_of(x) else np.reshape(x, ())[()] if np.size(raw(x)) == 1 else x


def at_value(value: Any, x: Any) -> Any:
    """Return the derivatives of ``x`` on SciPy's own value, which rounding may set apart."""
    if not is_differentiated(x):
        return value
    if is_replayed(x):  # a program computes its values anew
        return x
    return x + (np.asarray(value) - raw(x))


class Result(OptimizeResult):
    """What a solver returns, with derivatives; a field that has no honest one raises when it is read."""

    def __init__(self, fields: Any, absent: dict[str, str]) -> None:
        super().__init__({k: v for k, v in fields.items() if k not in absent})
        object.__setattr__(self, "_absent", {k: v for k, v in absent.items() if k in fields})

    def __missing__(self, name: str) -> Any:
        absent = self.__dict__.get("_absent", {})
        if name in absent:
            raise UnsupportedFunctionError(f"{where()}: the field {name!r} of this result {absent[name]}")
        raise KeyError(name)


PATH = (
    "depends on the steps that the solver took and has no derivative of its own; compute it from the solution, or take it from a call "
    "with plain values (dd.stop_gradient)"
)


def absent_from(found: Any, known: Sequence[str], frozen: bool = False) -> dict[str, str]:
    """Return which fields of a result have no honest derivative: whatever is no count, flag or text, but for those that are known."""
    absent = {
        k: PATH
        for k, v in found.items()
        if k not in known and not isinstance(v, (bool, int, str, np.integer, np.bool_))
    }
    if frozen:
        absent.update({k: FROZEN for k in found if k not in known})
    return absent


class Absent:
    """What stands in a tuple for a result that has no honest derivative: whatever is done with it raises.

    Parameters
    ----------
    what : str
        What it is, and why it has no derivative, as a sentence.
    """

    __slots__ = ("_what",)
    __array_ufunc__ = None  # arrays leave it to the methods below

    def __init__(self, what: str) -> None:
        self._what = what

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedFunctionError(f"{where()}: {self._what}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._refuse()


_OPERATORS = (
    "add radd sub rsub mul rmul truediv rtruediv pow rpow matmul rmatmul neg abs float complex int bool lt le gt ge"
)
for _name in (*_OPERATORS.split(), "len", "iter", "getitem", "array"):
    setattr(Absent, f"__{_name}__", Absent._refuse)


FROZEN = "is another one in each run of a program, so a compiled function cannot keep it; call the function as it is"


class Call:
    """One call of a solver.

    Attributes
    ----------
    real : callable
        SciPy's function.
    arguments : dict
        Its arguments, by name, and ``given``, the same with what is differentiated taken out.
    kept : list
        What SciPy returned last.
    """

    def __init__(self, real: Callable[..., Any], signature: inspect.Signature, arguments: Arguments) -> None:
        self.real, self.signature, self.arguments = real, signature, arguments
        self.given = Given(arguments)
        self.kept: list[Any] = []

    def run(self, arguments: Arguments, functions: Sequence[str], prepared: Any = None) -> Any:
        """Call SciPy's function with plain arguments, and keep what it returns."""
        own = {k: plainly(v) if k in functions else stripped(v) for k, v in arguments.items()}
        found = called(self.real, self.signature, own if prepared is None else prepared(own))
        self.kept[:] = [found]
        return found

    @property
    def result(self) -> Any:
        """What SciPy returned."""
        return self.kept[0]

    @property
    def frozen(self) -> bool:
        """Whether a program is recorded that will run again at other points."""
        return any(map(is_replayed, self.given.caught))

    def solve(
        self,
        functions: Sequence[str],
        answer: Callable[[Any, Arguments], Any],
        residual: Callable[[Any, Arguments], Any],
        function: str,
        size: Callable[[Any, Arguments], Any] | None = None,
        prepared: Callable[[Arguments], Arguments] | None = None,
        probe: Callable[[Any, Arguments], Any] | None = None,
    ) -> Any:
        """Return the solution with its derivatives.

        ``answer(found, arguments)`` is the solution in what SciPy returned, ``residual(x, arguments)`` what its equations leave,
        ``size(x, arguments)`` how large it is, ``prepared(arguments)`` the arguments as SciPy takes them,
        ``probe(found, arguments)`` what the user's functions return at the answer: if nothing was taken out of the arguments, and that
        is plain, so is the answer, and nobody differentiates the functions, which may be compiled.
        """
        given = self.given
        if not given.caught:
            own = given.plain()
            found = self.run(own, functions, prepared)
            seen = residual(answer(found, own), own) if probe is None else probe(found, own)
            if not is_differentiated(seen):
                return answer(found, own) if probe is None else None
        return Solved(
            given,
            lambda own: answer(self.run(own, functions, prepared), own),
            residual,
            given.plain()[function],
            None if size is None else lambda v: size(v, given.plain()),
        ).result()

    @property
    def exact(self) -> bool:
        """Whether the solver is one of ours, which takes no differences."""
        return not str(self.real.__module__).startswith("scipy.")

    def check_program(self, why: str) -> None:
        """Refuse to be recorded as a part of a program."""
        if self.frozen:
            raise UnsupportedFunctionError(
                f"{where()}: scipy.optimize.{self.real.__name__} {why}, which a compiled function cannot keep. Call the function as it is."
            )

    def refuse(self, *options: tuple[str, Any]) -> None:
        """Refuse options that cannot be honoured, if they were given."""
        for name, default in options:
            given = self.given.plain().get(name, default)
            if given is not default and given != default:
                raise UnsupportedFunctionError(
                    f"{where()}: {self.real.__name__}(…, {name}={given!r}) returns what depends on the solver's steps and has no "
                    f"derivative; leave {name} out where something is differentiated, or freeze what the solver is given with "
                    "dd.stop_gradient."
                )


def called(real: Callable[..., Any], signature: inspect.Signature, arguments: Arguments) -> Any:
    """Call a function with the arguments that were given, not with those that were left at their defaults."""
    args: list[Any] = []
    named: Arguments = {}
    skipped = False
    for name, value in arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            named.update(value)
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            args += value
        elif value is parameter.default:
            skipped = True
        elif skipped or parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            named[name] = value
        else:
            args.append(value)
    return real(*args, **named)


SOLVERS: dict[Any, Callable[[Call], Any]] = {}
"""For every function of SciPy that is a solver, what a call of it returns."""
OF_REALS = Facts(complex=REAL_ONLY)


def solver(room: Room, names: str, facts: Facts = OF_REALS) -> Callable[[Any], Any]:
    """Write the drop-in of some solvers of one kind: a function of the :class:`Call`, which is told SciPy's arguments by name.

    It takes what SciPy's takes, in whichever version this is, and is called whenever the solver's caller is captured.
    """

    def decorate(function: Callable[[Call], Any]) -> Any:
        for name in names.split():
            real = getattr(room.module, name, None)
            if real is not None:
                SOLVERS[real] = function
                room.function(name, "general", solver=True, facts=facts)(_drop_in(real, function))
        return function

    return decorate


def _drop_in(real: Callable[..., Any], function: Callable[[Call], Any]) -> Callable[..., Any]:
    signature = inspect.signature(real)

    def drop_in(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)  # a TypeError as SciPy's own
        given.apply_defaults()
        return function(Call(real, signature, dict(given.arguments)))

    drop_in.__name__, drop_in.__doc__ = real.__name__, real.__doc__
    drop_in.__signature__ = signature  # type: ignore[attr-defined]
    return drop_in


def arguments_of(args: Any) -> tuple[Any, ...]:
    """Return further arguments of a function as SciPy takes them: a single one need not stand in a tuple."""
    return tuple(args) if isinstance(args, tuple) else (args,)


__all__ = [
    "FROZEN",
    "PATH",
    "SOLVERS",
    "Absent",
    "Arguments",
    "Call",
    "Result",
    "absent_from",
    "arguments_of",
    "at_value",
    "called",
    "is_differentiated",
    "number",
    "plainly",
    "solver",
    "stripped",
]
