"""SciPy's iterative functions, whose steps are not differentiated: each is refused as soon as something traced is asked in one.

A solver that starts at the answer takes no step, so nothing depends on the parameters: its derivative would be zero. One that
chooses its steps by comparisons has a derivative of those steps, not of the answer. Whichever way a function comes by a
solver (its module's name, an argument, an attribute, another package), the solver decides by comparing what it was given or
by making plain numbers of it. So a traced value that is compared, or asked for a plain one, looks who asks: no name need be
exchanged, and on plain numbers a solver is SciPy's own.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from types import CodeType, FrameType, FunctionType
from typing import Any

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.register import BESIDE, Entry
from dualdiff.values import enter_rooms

BRACKETS = ("scipy.optimize: bracket", "scipy.optimize.elementwise: bracket_root bracket_minimum")
INTEGRALS = (("scipy.integrate: quadrature romberg ode complex_ode RK23 RK45 DOP853 Radau BDF LSODA"),)
_REMEDY = {
    BRACKETS: "Where a bracket ends is a choice, not a function of the parameters: find it with plain numbers, "
    "{name}(… dd.stop_gradient(p) …), and give it to scipy.optimize.brentq or minimize_scalar, which are differentiated",
    INTEGRALS: "Its steps are chosen for the value, not for the derivative. Use scipy.integrate.quad, nquad or "
    "solve_ivp, a rule with fixed points (np.trapezoid, scipy.integrate.simpson, fixed_quad, Gauss–Legendre nodes of "
    "np.polynomial.legendre.leggauss), or fixed steps of Runge and Kutta for an equation",
}


def _listed() -> list[tuple[str, str, str]]:
    found = []
    for lists, remedy in _REMEDY.items():
        for text in lists:
            module, _, names = text.partition(": ")
            found += [(module, name, remedy) for name in names.split()]
    return found


def rows() -> list[Entry]:
    """Return how the register would know the iterative functions that this SciPy has: all of them refused."""
    found = []
    for module, name, remedy in _listed():
        if (
            importlib.util.find_spec(module) is None
        ):  # scipy.optimize.elementwise is younger than the oldest SciPy allowed
            continue
        real = getattr(importlib.import_module(module), name, None)
        if real is not None and not inspect.isclass(real):
            reason = (
                f"it finds its answer by iteration, whose steps are not differentiated. {remedy.format(name='solve')}"
            )
            found.append(Entry(real, f"{module}.{name}", "refused", reason=reason))
    return found


BESIDE.append(rows)
_CODES: dict[CodeType, tuple[str, str]] = {}
"""The code of every solver that is imported, with its name and the remedy."""
_SEEN: dict[str, Any] = {}
_LOADED = [0]
"""How many modules had been loaded when they were last looked at."""
_OPERATORS = ("dualdiff.operators.calls", "dualdiff.scipy.integrals")
"""The modules that run a function for an operator or a rule: what asks is the function's, not who called these."""
_BETWEEN = ("scipy", "numpy", "dualdiff", "functools", "contextlib")
"""Packages whose code may run between a solver and the question that it asks."""


def _codes() -> dict[CodeType, tuple[str, str]]:
    """Return the code of the solvers of all modules that were imported so far."""
    if len(sys.modules) == _LOADED[0]:
        return _CODES
    _LOADED[0] = len(sys.modules)
    for module, name, remedy in _listed():
        space = sys.modules.get(module)
        if space is None or _SEEN.get(f"{module}.{name}") is space:
            continue
        _SEEN[f"{module}.{name}"] = space
        real = getattr(space, name, None)
        functions = [f for c in real.__mro__[:-1] for f in vars(c).values()] if inspect.isclass(real) else [real]
        for f in functions:
            inner = inspect.unwrap(f) if callable(f) else None  # the code of a decorator is that of all it decorates
            if type(inner) is FunctionType:
                _CODES[inner.__code__] = f"{module}.{name}", remedy
    return _CODES


_SERVED: dict[CodeType, tuple[str, str | None]] = {}
"""The code of the solvers that have a drop-in, with their names and the module that may call them on differentiated values."""


def serve(real: Any, name: str, caller: str | None = None) -> None:
    """Note that a solver has a drop-in: what asks in its code makes its caller's capture begin, unless a module of ours called it."""
    inner = inspect.unwrap(real)
    if type(inner) is FunctionType:
        _SERVED[inner.__code__] = name, caller


def served(frame: FrameType | None) -> str | None:
    """Return the name of the solver with a drop-in out of whose own code a question comes; None where it comes from elsewhere."""
    while frame is not None and (name := str(frame.f_globals.get("__name__"))).partition(".")[0] in _BETWEEN:
        if name in _OPERATORS:
            return None
        back = frame.f_back
        if frame.f_code in _SERVED:
            name, caller = _SERVED[frame.f_code]
            return None if caller and back and back.f_globals.get("__name__") == caller else name
        frame = back
    return None


def beyond_reach(name: str) -> str:
    """Say that a solver which has a drop-in was called where nothing that holds it can be exchanged."""
    return (
        f"{name} is differentiated where the function comes by it through a name, an attribute, a table, a default argument or an "
        'import; here it was reached in another way (through importlib or sys.modules, compiled code, or with capture="never"), and the '
        f"steps it takes are not differentiated. Write {name}(…)."
    )


def refusal(frame: FrameType | None) -> UnsupportedFunctionError | None:
    """Return the error for a question that comes out of a solver; None where it comes from elsewhere.

    Parameters
    ----------
    frame : frame
        Whose code asks a traced value something.
    """
    codes = _codes()
    while frame is not None and (name := str(frame.f_globals.get("__name__"))).partition(".")[0] in _BETWEEN:
        if name in _OPERATORS:
            return None  # a solver of plain numbers, given an operator as its derivative
        if frame.f_code in codes:
            enter_rooms()
            if served(frame) is not None:  # one that runs another, as solve_ivp does the class of a method
                return None
            name, remedy = codes[frame.f_code]
            if "self" in frame.f_locals:  # a method, which classes inherit from one another
                name = f"{name.rpartition('.')[0]}.{type(frame.f_locals['self']).__name__}"
            return UnsupportedFunctionError(
                f"{where()}: {name} finds its answer by iteration, whose steps are not differentiated: started at the answer it takes "
                f"none, and its derivative would come out as zero. {remedy.format(name=name.rpartition('.')[2])}; or freeze what it is "
                "given on purpose with dd.stop_gradient."
            )
        frame = frame.f_back
    return None


__all__ = ["beyond_reach", "refusal", "serve", "served"]
