"""The exact derivative of a function while a solver calls both: by an operator, and by a program once the calls have paid for one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from time import perf_counter
from typing import Any

import numpy as np

from dualdiff.agreement import agree
from dualdiff.errors import InputError
from dualdiff.operators.calls import Call
from dualdiff.operators.compiled import ROUNDING, Compiled
from dualdiff.operators.jacobian import value_and_jacobian
from dualdiff.operators.repeated import Repeated
from dualdiff.scipy.optimize.bodies import Body, body_of
from dualdiff.shapes import size_of
from dualdiff.trees import flatten
from dualdiff.values import NUMBERS
from dualdiff.ways import Program
from dualdiff.ways.problem import record

__all__ = [
    "Derivative",
    "Values",
    "columns_of",
    "fill",
    "of_curve",
    "of_jacobian",
    "of_sparse_jacobian",
    "of_vector",
    "refuse_steps",
]

PAID, WORTH = 32, 4e-3
"""Calls, and seconds that they took, after which a derivative is recorded as a program: recording takes as long."""
PATIENCE = 3
"""How often in turn a program may differ from its function before operators run for good."""
TRIED = 16
"""Calls of a program that are timed beside the operator's."""
KEPT = 64
"""Bodies of code whose programs are kept from solve to solve."""


class Values:
    """A function as the solver calls it, which remembers what it gave last.

    Parameters
    ----------
    f : callable
        The user's function.
    place : int
        Which of its arguments is the point: a vector, or, with those behind it, so many numbers.
    """

    def __init__(self, f: Callable[..., Any], place: int = 0) -> None:
        self.f = self.__wrapped__ = f  # its signature is read from there
        self.__name__ = getattr(f, "__name__", type(f).__name__)
        self.place = place
        self.watched = False
        self.last: tuple[Any, Any] = (None, None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function does."""
        value = self.f(*args, **kwargs)
        if self.watched:  # a copy: solvers scale residuals in place
            point = args[0] if self.place == 0 else np.array(args[1:])
            self.last = point.tobytes(), value.copy() if type(value) is np.ndarray else value
        return value

    def at(self, args: Any, kwargs: Any) -> Any:
        """Return the function's value at a vector and what else it takes: the last one, if it was there."""
        point, value = self.last
        if point != args[0].tobytes():
            value = self.f(*args, **kwargs) if self.place == 0 else self.f(args[1], *args[0])
        return value


@dataclass(slots=True, eq=False)
class Slopes:
    """What is known of the derivative of one body of code, from solve to solve: what its operator took, and its program."""

    calls: int = 0
    seconds: float = float("inf")
    """The least time of an operator."""
    spent: float = 0.0
    """The time of all its calls."""
    program: Any = None
    doubts: int = 0
    runs: int = 0
    """How often the program was timed."""
    best: float = float("inf")
    """The least time of the program."""
    settled: bool = False
    """Whether operators were found to serve better."""
    is_paid: bool = False
    """Whether a program is to run."""

    def count(self, seconds: float) -> None:
        """Count a call of the operator, and what it took."""
        self.calls += 1
        self.spent += seconds
        self.seconds = min(self.seconds, seconds)
        self.is_paid = self.calls >= PAID and self.spent >= WORTH and not self.settled

    def settle(self) -> None:
        """Let operators run for good."""
        self.settled, self.is_paid, self.program = True, False, None

    def doubt(self) -> None:
        """Count that the program did not serve."""
        self.doubts += 1
        if self.doubts >= PATIENCE:
            self.settle()

    def weigh(self, seconds: float) -> None:
        """Time a call of the program, and let operators run if the quickest of the first ones is slower than theirs."""
        self.runs += 1
        self.best = min(self.best, seconds)
        if self.runs == TRIED and self.best > self.seconds:
            self.settle()


class Derivative:
    """The derivative of a function while a solver asks for its values as well.

    It is what its operator gives until the calls have paid for a program. The program gives the function's value too, and that must
    be what the function itself gave at this point: a program that is out of date cannot give it.

    Parameters
    ----------
    f : callable
        The user's function.
    make : callable
        ``make(function, with_value)`` returns the operator.
    known : callable
        What is differentiated, at the arguments: ``known(args, kwargs)``.
    values : Values, optional
        What has to remember that, once programs run.
    form : callable, optional
        Makes of the function the one that is differentiated.
    what : any
        Tells several derivatives of one function apart.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        make: Callable[[Any, bool], Any],
        known: Callable[[Any, Any], Any],
        values: Values | None = None,
        form: Callable[[Any], Any] | None = None,
        what: Any = None,
    ) -> None:
        self.f, self.make, self.known, self.values = f, make, known, values
        self.form = form if form is not None else lambda g: g
        self.operator: Any = None
        self.body: Body | None = None
        self.data: list[Any] = []
        found = body_of(f)
        if found is None:
            self.slopes = Slopes()
        else:
            self.body, self.data = found
            self.slopes = _kept((self.body.key, what))
        if values is not None:
            values.watched = self.slopes.is_paid

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the derivative at the arguments."""
        if self.slopes.is_paid:
            found = self.of_program(args, kwargs)
            if found is not None:
                return found
        return self.of_operator(args, kwargs)

    def of_operator(self, args: Any, kwargs: Any) -> Any:
        """Return the derivative as the operator has it, and count what it took."""
        if self.operator is None:
            self.operator = self.make(self.form(self.f), False)
        begun = perf_counter()
        found = self.operator(*args, **kwargs)
        if getattr(found, "dtype", np.dtype(float)).kind == "c":
            raise InputError(
                "the function that a solver was given returns complex numbers, where it takes real ones. Return their parts, "
                "np.concatenate([z.real, z.imag])"
            )
        self.slopes.count(perf_counter() - begun)
        return found

    def of_program(self, args: Any, kwargs: Any) -> Any:
        """Return the derivative by the program; None where it does not serve."""
        slopes = self.slopes
        program = slopes.program
        if program is None:
            program = self._program(args, kwargs)
        begun = perf_counter() if slopes.runs < TRIED else 0.0
        try:
            value, found = program(args[0], *self.data, *args[1:], **kwargs)
        except Exception:  # the operator runs then, and says what is wrong
            slopes.doubt()
            return None
        if begun:
            slopes.weigh(perf_counter() - begun)
        if not _same(value, self.known(args, kwargs)):
            slopes.doubt()
            return None
        slopes.doubts = 0
        return found

    def _program(self, args: Any, kwargs: Any) -> Any:
        """Record the program."""
        if self.values is not None:
            self.values.watched = True
        program = Compiled(self.make(self._recorded(), True), check_every=None, warns=False)
        with suppress(Exception):
            program(args[0], *self.data, *args[1:], **kwargs)
        self.slopes.program = program
        return program

    def _recorded(self) -> Callable[..., Any]:
        """Return the function that is recorded: the data of its closure follow the point as arguments."""
        body, form, n = self.body, self.form, len(self.data)
        if body is None:
            return form(self.f)

        @wraps(body.function([0.0] * n))
        def recorded(x: Any, *rest: Any, **kwargs: Any) -> Any:
            return form(body.function(rest[:n]))(x, *rest[n:], **kwargs)

        return recorded


def _same(found: Any, right: Any) -> bool:
    """Whether a program's value is the function's up to rounding."""
    if type(right) is np.ndarray and type(found) is np.ndarray:
        return agree(found, right, ROUNDING)
    if _is_of_numbers(found) and _is_of_numbers(right):  # to solvers they are one vector
        return agree(np.array(found, float), np.array(right, float), ROUNDING)
    mine, theirs = flatten(found)[0], flatten(right)[0]
    return len(mine) == len(theirs) and all(agree(a, b, ROUNDING) for a, b in zip(mine, theirs, strict=True))


def _is_of_numbers(x: Any) -> bool:
    """Whether a result is a list of numbers."""
    return type(x) in (list, tuple) and NUMBERS.issuperset(map(type, x))


_KEPT: OrderedDict[Any, Slopes] = OrderedDict()


def _kept(key: Any) -> Slopes:
    """Return what earlier solves have found for a body of code. It holds no data of theirs."""
    found = _KEPT.get(key)
    if found is None:
        found = _KEPT[key] = Slopes()
        while len(_KEPT) > KEPT:
            with suppress(KeyError):  # another thread was here
                _KEPT.popitem(last=False)
    return found


def of_jacobian(function: Any, with_value: bool) -> Any:
    """Return the operator of a Jacobian, a matrix."""
    return value_and_jacobian(function, flat=True) if with_value else Repeated(function)


def of_curve(function: Any, with_value: bool) -> Any:
    """Return the operator of the Jacobian of a model as :func:`of_vector` has it."""
    if with_value:
        return of_jacobian(function, True)
    return Repeated(function, function.__wrapped__)


def of_vector(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a model of separate parameters as a function of the vector of them."""

    @wraps(f)
    def model(parameters: Any, xdata: Any) -> Any:
        return f(xdata, *parameters)

    return model


def of_sparse_jacobian(function: Any, with_value: bool) -> Any:
    """Return the operator of a sparse Jacobian."""
    return value_and_jacobian(function, sparse=True) if with_value else Repeated(function, sparse=True)


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
