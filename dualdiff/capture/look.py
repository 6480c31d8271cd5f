"""A look at a function's code before it runs: what it makes, and whose variables it uses."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from dis import opmap, opname
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from dualdiff.capture.names import real_of

MOST, MOST_NAMED = 300, 50
"""How many functions a look follows: by the variables of enclosing functions, and by names."""
_ALWAYS = frozenset(
    [
        "array",
        "asarray",
        "asanyarray",
        "ascontiguousarray",
        "asfortranarray",
        "asarray_chkfinite",
        "shuffle",
        "r_",
        "c_",
    ]
)
_FILLED = frozenset(["zeros", "empty", "ones", "full", "eye", "identity"])
_SOLVERS = frozenset(
    [
        *("brentq", "brenth", "bisect", "ridder", "toms748", "newton", "root_scalar", "root", "fsolve", "fixed_point"),
        *(
            "minimize",
            "minimize_scalar",
            "brent",
            "golden",
            "fminbound",
            "fmin",
            "fmin_bfgs",
            "least_squares",
            "leastsq",
            "curve_fit",
        ),
        *(
            "quad",
            "quad_vec",
            "dblquad",
            "tplquad",
            "nquad",
            "tanhsinh",
            "cubature",
            "solve_ivp",
            "odeint",
            "solve_bvp",
        ),
    ]
)
"""Solvers of SciPy that call a function back. It may do no more with a differentiated value than compare it, at which a solver does not
stumble; and the compiled code of some prints an error of that function before it passes it on."""
_WITH_SOLVERS = {"scipy.optimize", "scipy.integrate"}
_FOREIGN = ("numpy", "scipy", "dualdiff")


def function_of(f: Any) -> Any:
    """Return the Python function that is run when an object is called; None where there is none."""
    for _ in range(32):
        kind = type(f)
        if kind is FunctionType:
            return f
        if kind is MethodType:
            f = f.__func__
        elif isinstance(f, functools.partial):
            f = f.func
        elif hasattr(f, "__wrapped__"):
            f = f.__wrapped__
        elif hasattr(f, "pyfunc"):
            f = f.pyfunc
        elif not isinstance(f, type) and type(_call_of(type(f))) is FunctionType:
            return _call_of(type(f))
        else:
            return None
    return None


def _call_of(kind: type) -> Any:
    """Return the method that calls an object of a class; None if it has none."""
    return next((vars(c)["__call__"] for c in kind.__mro__ if "__call__" in vars(c)), None)


def code_names(code: CodeType) -> Iterator[str]:
    """Yield the names that a function's code uses, those of functions written inside it included."""
    for inner in _codes(code):
        yield from inner.co_names


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a code, and those of functions written inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _handlers(code: CodeType, of_with: bool) -> int:
    """Return how many handlers of errors a code has, those of its ``with`` statements among them or not."""
    operations = code.co_code[::2]
    return operations.count(opmap["PUSH_EXC_INFO"]) - (not of_with) * operations.count(opmap["WITH_EXCEPT_START"])


_ABOUT_TYPES = frozenset(
    [
        "type",
        "hasattr",
        "issubclass",
        "Iterable",
        "Iterator",
        "Sized",
        "Container",
        "Collection",
        "Sequence",
        "Hashable",
        "suppress",
    ]
)
"""Names by which code asks what a value is, and may be told something else of a differentiated one; or passes over an error."""


def _stores(code: CodeType) -> bool:
    return any(opname[o] in ("STORE_SUBSCR", "STORE_SLICE") for o in code.co_code[::2]) or any(
        isinstance(c, CodeType) and _stores(c) for c in code.co_consts
    )


def makes_arrays(function: FunctionType) -> bool:
    """Whether the function's own code makes an array of what may be traced, or fills a new one, by names of its module."""
    names = set(code_names(function.__code__))
    wanted = _ALWAYS | _FILLED if _stores(function.__code__) else _ALWAYS
    met = names & wanted
    if not met:
        return False
    known = function.__globals__
    if any(n in known and real_of(known[n]) is getattr(np, n, None) for n in met):
        return True
    return any(real_of(known.get(n)) is np for n in names) or any(real_of(v) is np for v in _contents(function))


def _names_scipy(function: FunctionType, names: set[str]) -> bool:
    """Whether a name that the code uses, in its module or in an enclosing function, is a part of SciPy."""
    values = [*[function.__globals__.get(n) for n in names], *_contents(function)]
    return any(
        str(getattr(v, "__module__", None) or getattr(v, "__name__", "")).partition(".")[0] == "scipy" for v in values
    )


def _contents(function: FunctionType) -> Iterator[Any]:
    return contents(function.__closure__ or ())


def contents(cells: Iterable[CellType]) -> Iterator[Any]:
    """Yield what variables of enclosing functions are, those that are assigned."""
    for cell in cells:
        try:
            yield cell.cell_contents
        except ValueError:
            continue


def _unwrapped(value: Any) -> list[Any]:
    """Return the functions behind a value: of a method, a partial, a decorated function, a class."""
    if isinstance(value, (FunctionType, MethodType, functools.partial)) or hasattr(value, "__wrapped__"):
        found = function_of(value)
        inner = getattr(found, "__wrapped__", None)
        own = [f for f in (found, inner and function_of(inner)) if f is not None]
        if isinstance(value, MethodType):
            own += _methods(type(value.__self__))
        return own
    if isinstance(value, type):
        return _methods(value)
    call = _call_of(type(value))
    return _methods(type(value)) if type(call) is FunctionType else []


def _methods(kind: type) -> list[Any]:
    if is_foreign(kind.__module__):
        return []
    return [
        m for c in kind.__mro__ if not is_foreign(c.__module__) for m in vars(c).values() if type(m) is FunctionType
    ]


def is_foreign(module: Any) -> bool:
    """Whether a module belongs to Python, NumPy, SciPy or this library."""
    root = str(module or "").partition(".")[0]
    return root in _FOREIGN or (root in sys.stdlib_module_names and root != "__main__")


def _of(value: Any) -> list[Any]:
    if value is None or is_foreign(getattr(value, "__module__", None) or type(value).__module__):
        return []
    return _unwrapped(value)


def _reached(f: Any, following: Callable[[FunctionType], Iterable[Any]], most: int) -> Iterator[FunctionType]:
    """Yield the functions behind an object, and those that they reach: what a function leads to is given by ``following``."""
    start = function_of(f)
    todo, seen = [] if start is None else [start, *_unwrapped(f)], set[int]()
    while todo and len(seen) < most:
        function = todo.pop()
        if id(function) not in seen:
            seen.add(id(function))
            yield function
            todo += following(function)


def _by_variables(function: FunctionType) -> Iterator[FunctionType]:
    """Yield what the variables of enclosing functions hold."""
    for value in _contents(function):
        yield from _of(real_of(value))


def _by_names(function: FunctionType) -> Iterator[FunctionType]:
    """Yield the functions that the code names, and methods of objects of the same package: those of others are too many to look at."""
    root = str(function.__module__ or "").partition(".")[0]  # of code that was executed, none
    for value in (*_contents(function), *map(function.__globals__.get, code_names(function.__code__))):
        if type(value) is FunctionType:
            if not is_foreign(value.__module__):
                yield value
        elif str(type(value).__module__ or "").partition(".")[0] == root:
            yield from _methods(type(value))


def variables(f: Any) -> list[CellType]:
    """Return the variables of enclosing functions that a function, and those it can reach, use."""
    start = function_of(f)
    if start is None:
        return []
    if start.__closure__ is None and type(f) is FunctionType and getattr(f, "__wrapped__", None) is None:
        return []
    return list({id(cell): cell for g in _reached(f, _by_variables, MOST) for cell in g.__closure__ or ()}.values())


def calling_solvers(f: Any) -> list[FunctionType]:
    """Return which functions call a solver of SciPy by name: the one given, and those that it reaches."""
    if not _WITH_SOLVERS & sys.modules.keys():
        return []
    found = []
    for g in _reached(f, _by_names, MOST_NAMED):
        names = set(code_names(g.__code__))
        if names & _SOLVERS and _names_scipy(g, names):
            found.append(g)
    return found


def catches_errors(f: Any) -> bool:
    """Whether a function, or one that it reaches, may catch errors: then what is computed may hang on whether there was one.

    A ``with`` statement may (``contextlib.suppress``).
    """
    return any(_handlers(code, True) for g in _reached(f, _by_names, MOST_NAMED) for code in _codes(g.__code__))


def may_differ(f: Any) -> bool:
    """Whether a function, or one that it reaches, may do something else for differentiated values without a word.

    It asks what a value is, but by ``isinstance`` of numbers and arrays; or it catches errors.
    """
    codes = (code for g in _reached(f, _by_names, MOST_NAMED) for code in _codes(g.__code__))
    return any(_handlers(code, False) or not _ABOUT_TYPES.isdisjoint(code.co_names) for code in codes)


def takes_any_names(f: Any) -> bool:
    """Whether a function takes arguments by names of the caller's, whose order it sees."""
    function = function_of(f)
    return function is None or bool(function.__code__.co_flags & 8)


__all__ = [
    "calling_solvers",
    "catches_errors",
    "code_names",
    "contents",
    "function_of",
    "is_foreign",
    "makes_arrays",
    "may_differ",
    "takes_any_names",
    "variables",
]
