"""The register: every function the engine knows, and the functions that write its rows."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.kinds import Discrete, Elementwise, Movement, Partial, Primitive
from dualdiff.shapes import dtype_of
from dualdiff.values import Traced, bind

REAL_ONLY = "no"
"""Of complex points: the function itself, or its rule, refuses them by name."""
PHASES = "of what does not hang on phases"
"""Of complex points: the function returns vectors that are defined up to a phase."""


class Facts(NamedTuple):
    """What a row says of itself where neither its function nor its kind tells it.

    Attributes
    ----------
    complex : str, optional
        What it does at complex points. By default a ufunc takes them if it has a loop for them, and every other function does.
    second : bool
        Whether it has derivatives of the second and every higher order.
    kinks : sequence
        Of a function written in others: its kinks, each as a :class:`Kink` or as the function whose kinks it shares.
    without : sequence of (str, str)
        The arguments by which it has no derivative, and why.
    """

    complex: str | None = None
    second: bool = True
    kinks: Sequence[Any] = ()
    without: Sequence[tuple[str, str]] = ()


NOTHING = Facts()


@dataclass(frozen=True, slots=True)
class Entry:
    """How the register knows a NumPy or SciPy function: what it is, and what to call or say."""

    function: Any
    name: str
    status: str  # primitive kinds, "composite", "discrete", "refused"
    handler: Callable[..., Any] | None = None
    reason: str = ""
    domain: Any = None
    primitive: Primitive | None = None
    facts: Facts = NOTHING


UMATH: Any = np._core.umath  # type: ignore[attr-defined]
"""Where NumPy keeps its ufuncs, those too that have no public name."""


BESIDE: list[Callable[[], Iterable[Entry]]] = []
"""Rooms that answer for functions which no protocol brings to the register; each returns how it knows them."""
REGISTER: dict[Any, Entry] = {}
"""Every function the engine knows, by the function object. It is written while the rules are imported, and not after:
those of NumPy with dualdiff, those of a library that some programs never import when one of its functions is first met.
"""


def name_of(function: Any) -> str:
    """Return the name users know a function by, such as ``np.linalg.norm``."""
    module = getattr(function, "__module__", None) or ("numpy" if isinstance(function, np.ufunc) else "")
    if isinstance(function, np.ufunc):  # SciPy has some of the same names as NumPy
        module = "numpy" if getattr(UMATH, function.__name__, None) is function else "scipy.special"
    elif module.startswith("scipy.special."):
        module = "scipy.special"
    short = {"numpy": "np", "numpy.linalg": "np.linalg", "numpy.fft": "np.fft"}.get(module, module)
    name = getattr(function, "__name__", None)
    if name is None:  # an object that only its module names, as SciPy 1.15 has them
        names = vars(sys.modules[module]) if module in sys.modules else {}
        name = next((n for n, v in names.items() if v is function), function)
    return f"{short}.{name}"


def register(
    functions: Any,
    status: str,
    handler: Callable[..., Any] | None,
    *,
    reason: str = "",
    domain: Any = None,
    primitive: Primitive | None = None,
    facts: Facts = NOTHING,
) -> None:
    """Write one row of the register. Several names of one function, and names this NumPy lacks (None), are fine."""
    for function in functions if isinstance(functions, (tuple, list)) else (functions,):
        if function is not None:
            REGISTER[function] = Entry(function, name_of(function), status, handler, reason, domain, primitive, facts)


def elementwise(function: Any, *partials: Partial, domain: Any, **options: Any) -> Elementwise:
    """Add an elementwise row: the function and one partial ``(out, *operands) -> derivative`` per operand."""
    row = Elementwise(name_of(function), function, *partials, domain=domain, **options)
    register(function, row.kind, row, domain=domain, primitive=row)
    return row


def discrete(*functions: Any, domain: Any = None) -> None:
    """Add rows for functions whose results are integers, booleans or piecewise constant."""
    for function in functions:
        if function is not None:
            row = Discrete(name_of(function), function, domain)
            register(function, row.kind, row, domain=domain, primitive=row)


def movement(function: Any, domain: Any = None) -> Movement:
    """Add a movement row: the function alone. Its first argument is the operand, the rest are parameters."""
    signature = inspect.signature(function)
    row = Movement(name_of(function), function, domain)
    first = next(iter(signature.parameters))

    def handler(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs).arguments
        x = bound.pop(first)
        return bind(row, (x,), {k: v for k, v in bound.items() if v is not np._NoValue})

    register(function, row.kind, handler, domain=domain, primitive=row)
    return row


def real_only(name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that refuses complex values that are being differentiated, by its name."""

    @functools.wraps(handler)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, Traced) and dtype_of(x).kind == "c" for x in (*args, *kwargs.values())):
            raise UnsupportedFunctionError(
                f"{where()}: {name} takes real numbers only, and so has no derivative at complex ones. Give it np.real(z), "
                "np.imag(z) or np.abs(z), or freeze the argument on purpose with dd.stop_gradient(z)."
            )
        return handler(*args, **kwargs)

    return checked


def composite(
    *functions: Any, domain: Any = None, status: str = "composite", facts: Facts = NOTHING
) -> Callable[[Any], Any]:
    """Add a function written in primitives: decorate a function with NumPy's own signature."""

    def decorate(handler: Callable[..., Any]) -> Callable[..., Any]:
        for f in functions:
            if f is not None:
                row = real_only(name_of(f), handler) if facts.complex == REAL_ONLY else handler
                register(f, status, row, domain=domain, facts=facts)
        return handler

    return decorate


def refused(functions: Any, reason: str) -> None:
    """Add functions that cannot carry derivatives, with the reason and what to write instead."""
    listed = functions if isinstance(functions, (tuple, list)) else (functions,)
    register([f for f in listed if f not in REGISTER], "refused", None, reason=reason)


def without_rule(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Call a function that has no rule on arguments that carry no derivative; raise if one does."""

    def leaves(x: Any) -> Any:
        if isinstance(x, Traced):
            if not x._may_leave():  # type: ignore[attr-defined]
                raise UnsupportedFunctionError(f"{where()}: {_why_not(function)}")
            return x.run.leave(x)
        return type(x)([leaves(i) for i in x]) if type(x) in (list, tuple) else x

    return function(*map(leaves, args), **{k: leaves(v) for k, v in kwargs.items()})


def _why_not(function: Any) -> str:
    entry = REGISTER.get(function)
    if entry is not None and entry.status == "refused":
        return f"{entry.name} cannot be differentiated: {entry.reason}."
    return (
        f"{name_of(function)} is not yet in dualdiff's vocabulary. Write it with functions that are (docs: "
        "reference/support), or freeze its argument on purpose with dd.stop_gradient(x)."
    )
