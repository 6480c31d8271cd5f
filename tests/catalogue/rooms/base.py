"""What a drop-in's sample is: a call of SciPy's function, and other values of every option it has."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult

from dualdiff.scipy.room import OPEN
from dualdiff.shapes import dtype_of
from dualdiff.trees import flatten


class Call(NamedTuple):
    """One call: ``call(*operands)`` is plain SciPy, differentiated in all its operands; ``option`` is what it tries, if any."""

    name: str
    option: str | None
    call: Callable[..., Any]
    operands: tuple[Any, ...]
    noise: float = 1.0  # of its values and derivatives, in parts of rounding
    twin: Callable[..., Any] | None = (
        None  # what it computes in closed form, where its own values are too noisy for differences
    )


class Values(tuple):
    """Several values to try for one option."""

    def __new__(cls, *values: Any) -> Values:
        return super().__new__(cls, values)


class Deprecated(NamedTuple):
    """A value of an option that SciPy warns of."""

    value: Any


class With(NamedTuple):
    """A value of an option that needs other operands, or other options beside it."""

    value: Any
    operands: tuple[Any, ...] | None = None
    beside: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class DropIn:
    """A function of SciPy that has a drop-in, called plainly and with another value of each of its options.

    Arrays of floating-point numbers among the options' values are differentiated in as well, and tried as plain ones beside that,
    unless the truth is told by a ``twin`` that knows of the operands alone.
    """

    function: Any
    operands: tuple[Any, ...]
    options: dict[str, Any]
    given: Mapping[str, Any]
    shown: Callable[[Any], Any]
    called: Callable[..., Any]
    second: bool
    float32: bool
    twin: Callable[..., Any] | None
    noise: float  # of its values and derivatives, in parts of rounding: a solver stops at its tolerance
    places: int  # how many of the operands are parameters of the function: the rest is what it closes over

    @property
    def name(self) -> str:
        """The name of the function, as users know it."""
        for row in (row for room in OPEN for row in room.rows):
            if row.function is self.function or getattr(row.function, "__func__", None) is self.function:
                return row.name
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def exact(self) -> bool:
        """Whether it is computed to rounding, so that all laws hold."""
        return self.noise == 1.0 and self.twin is None

    def parameters(self) -> list[str]:
        """Return the names of the options of this SciPy: all parameters that are no operands."""
        try:
            found = list(inspect.signature(self.function).parameters.values())
        except (TypeError, ValueError):  # compiled code that does not say
            return list(self.options)
        kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        names = [p.name for p in found if p.kind not in kinds and p.name != "self" and p.name not in self.given]
        return names[self.places :]

    def calls(self) -> Iterator[Call]:
        """Return the plain call, and one for each value of an option that this SciPy has."""
        yield Call(self.name, None, self._with({}), self.operands, self.noise, self.twin)
        known = self.parameters()
        for option, values in self.options.items():
            if option not in known:
                continue
            for k, value in enumerate(values if type(values) is Values else (values,)):
                beside, operands = {}, self.operands
                short = value.value if type(value) is Deprecated else value
                if type(value) is With:
                    short, beside = value.value, dict(value.beside)
                    operands = self.operands if value.operands is None else value.operands
                name = f"{self.name}({option}={_short(short, k)})"
                yield Call(name, option, self._with({**beside, option: short}), operands, self.noise, self.twin)
                if type(short) is np.ndarray and short.dtype.kind in "fc" and self.twin is None:
                    yield Call(
                        f"{name}, differentiated",
                        option,
                        self._with(beside, option),
                        (*operands, short),
                        self.noise,
                        self.twin,
                    )

    def _with(self, options: Mapping[str, Any], keyword: str | None = None) -> Callable[..., Any]:
        """Return the function as a plain one of the operands, and of one option if it is differentiated by that too."""
        function, shown, given = self.called, self.shown, {**self.given, **options}

        def call(*operands: Any) -> Any:
            if keyword is None:
                return shown(function(*operands, **given))
            return shown(function(*operands[:-1], **{**given, keyword: operands[-1]}))

        return call


def _short(value: Any, k: int) -> str:
    told = repr(value)
    return told if len(told) < 30 and " at 0x" not in told else f"{type(value).__name__} {k}"


def numbers(result: Any) -> list[Any]:
    """Return what of a result is a floating-point number, or an array of them."""
    if isinstance(result, OptimizeResult):
        result = [result[key] for key in ("x", "fun", "root") if key in result]
    return [y for y in flatten(result)[0] if isinstance(y, float) or (hasattr(y, "dtype") and dtype_of(y).kind in "fc")]


def of(
    function: Any,
    *operands: Any,
    given: Mapping[str, Any] = {},
    shown: Callable[[Any], Any] = numbers,
    called: Callable[..., Any] | None = None,
    second: bool = True,
    float32: bool = True,
    twin: Callable[..., Any] | None = None,
    noise: float = 1.0,
    places: int | None = None,
    **options: Any,
) -> DropIn:
    """Return the samples of a function: its operands, and other values of its options."""
    return DropIn(
        function,
        operands,
        options,
        given,
        shown,
        function if called is None else called,
        second,
        float32,
        twin,
        noise,
        len(operands) if places is None else places,
    )
