"""The exact derivative of a function while a solver calls both: by an operator, and by a program once the calls have paid for one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from types import FunctionType
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.operators.calls import Call
from dualdiff.operators.compiled import Compiled
from dualdiff.operators.jacobian import jacobian
from dualdiff.shapes import size_of
from dualdiff.trees import flatten
from dualdiff.ways import Program
from dualdiff.ways.problem import record

__all__ = ["Derivative", "Slopes", "Values", "fill", "kept", "refuse_steps"]

PAID = 32
"""Calls after which a derivative is recorded as a program: recording takes as long as 30 to 60 calls of its operator."""
PATIENCE = 3
"""How often in turn a program may differ from its function, or be slower than the operator, before the operator runs again."""
KEPT = 64
"""Functions whose derivatives are kept from solve to solve."""
ROUNDING = 1e6
"""Units of rounding, of the largest entry, by which a program's value may differ from the function's."""


class Values:
    """A function as the solver calls it, which remembers what it gave last.

    Parameters
    ----------
    f : callable
        The user's function.
    point : callable
        What tells one call from the next: ``point(args)`` is compared with ``==``.
    """

    def __init__(self, f: Callable[..., Any], point: Callable[[Any], Any]) -> None:
        self.f = self.__wrapped__ = f  # its signature is read from there
        self.__name__ = getattr(f, "__name__", type(f).__name__)
        self.point = point
        self.watched = False
        self.last: tuple[Any, Any] = (None, None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function does."""
        value = self.f(*args, **kwargs)
        if self.watched:  # a copy: solvers scale residuals in place
            self.last = self.point(args), value.copy() if type(value) is np.ndarray else value
        return value

    def at(self, args: Any, kwargs: Any) -> Any:
        """Return the function's value at a point: the last one, if it was there."""
        point, value = self.last
        if point is None or point != self.point(args):
            self(*args, **kwargs)
            value = self.last[1]
        return value


@dataclass(slots=True, eq=False)
class Slopes:
    """An operator and, once its calls have paid for it, its program. Shared between solves and threads."""

    operator: Any
    recorded: Any
    """What is recorded: the operator that gives the value of the function with its derivative."""
    calls: int = 0
    seconds: float = float("inf")
    """The least time of the operator."""
    program: Any = None
    doubts: int = 0
    losses: int = 0
    settled: bool = False
    """Whether the operator was found to serve better."""

    @property
    def is_paid(self) -> bool:
        """Whether a program is to run."""
        return self.calls >= PAID and not self.settled

    @classmethod
    def of(cls, f: Callable[..., Any], argnums: Any = 0, **options: Any) -> Slopes:
        """Return those of a function's Jacobian, a matrix of its results by its arguments."""
        operator = jacobian(f, argnums, **options) if options.get("sparse") else jacobian(f, argnums, flat=True)
        return cls(operator, replace(operator, with_value=True))

    def of_operator(self, args: Any, kwargs: Any) -> Any:
        """Return the derivative as the operator has it, and count what it took."""
        begun = perf_counter()
        found = self.operator(*args, **kwargs)
        self.seconds = min(self.seconds, perf_counter() - begun)
        self.calls += 1
        return found

    def of_program(self, args: Any, kwargs: Any, known: Callable[[Any, Any], Any]) -> Any:
        """Return the derivative by the program; None where it does not serve.

        The program computes the function as well, and that value must be the one the function itself gave at this point: a
        program that is out of date cannot give it.
        """
        if self.program is None:
            self.program = Compiled(self.recorded, check_every=None, warns=False)
            with suppress(Exception):
                self.program(*args, **kwargs)
        begun = perf_counter()
        try:
            value, found = self.program(*args, **kwargs)
        except Exception:  # the operator runs then, and says what is wrong
            self._doubt()
            return None
        taken = perf_counter() - begun
        self.losses = self.losses + 1 if taken > self.seconds else 0
        self.settled = self.losses >= PATIENCE
        if not agree(value, known(args, kwargs)):
            self._doubt()
            return None
        self.doubts = 0
        return found

    def _doubt(self) -> None:
        self.doubts += 1
        self.settled = self.doubts >= PATIENCE
        self.program = None if self.settled else self.program


class Derivative:
    """A derivative of a function whose values a solver asks for as well.

    Parameters
    ----------
    slopes : Slopes
        Where it comes from.
    known : callable
        What the function itself gives at the arguments: ``known(args, kwargs)``.
    values : Values, optional
        What has to remember that, once programs run.
    """

    __slots__ = ("known", "slopes", "values")

    def __init__(self, slopes: Slopes, known: Callable[[Any, Any], Any], values: Values | None = None) -> None:
        self.slopes = slopes
        self.known = known
        self.values = values
        if values is not None:
            values.watched = slopes.is_paid

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the derivative at the arguments."""
        if self.slopes.is_paid:
            if self.values is not None:
                self.values.watched = True
            found = self.slopes.of_program(args, kwargs, self.known)
            if found is not None:
                return found
        return self.slopes.of_operator(args, kwargs)


def agree(found: Any, right: Any) -> bool:
    """Whether a program's value is the function's up to rounding."""
    mine, theirs = flatten(found)[0], flatten(right)[0]
    if len(mine) != len(theirs):
        return False
    for x, y in zip(mine, theirs, strict=True):
        a, b = np.asarray(x), np.asarray(y)
        if a.shape != b.shape or b.dtype.kind not in "fc":
            return False
        if a.size and not np.max(np.abs(a - b)) <= ROUNDING * np.finfo(b.dtype).eps * np.max(np.abs(b)):
            return False
    return True


_KEPT: OrderedDict[Any, Slopes] = OrderedDict()


def kept(f: Any, what: Any, make: Callable[[], Slopes]) -> Slopes:
    """Return the slopes of a function, those of an earlier solve if it is a plain one.

    A function without closure and defaults holds nothing: only such are remembered, so that no data outlive their fit.
    """
    if type(f) is not FunctionType or f.__closure__ or f.__defaults__ or f.__kwdefaults__:
        return make()
    key = f, what
    found = _KEPT.get(key)
    if found is None:
        found = _KEPT[key] = make()
        while len(_KEPT) > KEPT:
            with suppress(KeyError):  # another thread was here
                _KEPT.popitem(last=False)
    return found


def fill(f: Callable[..., Any], args: Sequence[Any], kwargs: Any = None) -> tuple[int, int, int]:
    """Return the rows, columns and structural nonzeros of the Jacobian of a function by its first argument."""
    call = Call(f, 0, tuple(args), kwargs or {}, False)
    tape, values = record(call.problem(), replayable=True)
    pattern = Program(tape, values).pattern
    m, n = pattern.shape
    return m, n, pattern.nnz


def refuse_steps(given: dict[str, Any], name: str, instead: str) -> None:
    """Raise where an option for differences was given, and no differences are taken."""
    for option, value in given.items():
        if value is not None:
            raise InputError(
                f"{option}= is for differences, and {name} takes the exact derivative. Leave it out; or ask for "
                f"differences: {instead}."
            )


def columns_of(x: Any) -> int:
    """Return how many parameters a start has."""
    return size_of(np.shape(x))
