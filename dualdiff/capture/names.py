"""What stands for what: for each module and function that a captured module may know, the one that speaks with traced values.

A stand-in is found by the identity of the real thing, never by its name, and never for a class. There are two levels: at the
first the makers of arrays, ``math`` and drop-ins are exchanged, at the second all functions of NumPy, so that
they take traced values in lists as well. Most modules need only the first, where ``np.sin`` is NumPy's own and costs nothing.
"""

from __future__ import annotations

import cmath
import functools
import inspect
import math
import sys
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from dualdiff.capture import creation, maths
from dualdiff.capture.active import ACTIVE, any_active, plain_call
from dualdiff.capture.callables import Compiled, Constructor, Vectorized, given_lists, uncached, vectorize
from dualdiff.capture.joining import joining
from dualdiff.capture.polynomials import of_polynomials
from dualdiff.capture.randoms import GENERATORS, making, standing_for
from dualdiff.register import REGISTER
from dualdiff.rules.ufuncs import special_functions
from dualdiff.values import TRACED, enter_rooms

MAKERS, EVERYTHING = 1, 2
"""The levels: makers of arrays and what cannot be asked, and all functions of NumPy."""

_TABLE: dict[int, tuple[Any, Any]] = {}
_LISTS: dict[int, tuple[Any, Any]] = {}
_NAMESPACES: dict[tuple[int, int], Any] = {}
_REAL: dict[int, tuple[Any, Any]] = {}
_NUMPY = (
    "numpy",
    "numpy.linalg",
    "numpy.random",
    "numpy.fft",
    "numpy.polynomial",
    "numpy.lib.stride_tricks",
    "numpy.lib.scimath",
)
_ARRAY_API = ("array_api_compat.numpy", "array_api_compat.numpy.linalg", "array_api_compat.numpy.fft")


def _enter(table: dict[int, tuple[Any, Any]], real: Any, new: Any) -> Any:
    table[id(real)] = real, new
    _REAL[id(new)] = new, real
    return new


def drop_in(real: Any, function: Any, always: bool = False) -> None:
    """Let a function stand for another in captured modules, whenever an argument carries a derivative.

    With ``always``, whenever its caller is captured: a function that it is given may hold what no argument shows.
    """
    _enter(_TABLE, real, _instead(real, function, always))


def _instead(real: Any, function: Any, always: bool = False) -> Any:
    @functools.wraps(real, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        if any_active(args, kwargs) or (always and ACTIVE.get()):
            return function(*args, **kwargs)
        return plain_call(real, args, kwargs)

    return call


def drop_in_class(real: type, make: Any, always: bool = False) -> None:
    """Let a function stand for a class in captured modules: it makes the object whenever an argument carries a derivative.

    With ``always``, whenever its caller is captured: the object may come to hold what carries one.
    """
    _enter(_TABLE, real, Constructor(real, make, always))


_KINDS: dict[type, Any] = {}


def drop_in_kind(kind: type, make: Any) -> None:
    """Let what a function makes of an object stand for it, for all objects of a compiled class; None where it stays itself."""
    _KINDS[kind] = make


METHODS: dict[Any, dict[str, Any]] = {}
"""For a class, what takes the place of its methods while it is captured."""


def drop_in_method(owner: type, name: str, function: Any, always: bool = False) -> None:
    """Let a function of ``self`` stand for a method while its class is captured, whenever one of its arguments carries a derivative.

    With ``always``, whenever its caller is captured: the object may hold what does.
    """
    real = inspect.getattr_static(owner, name)
    if isinstance(real, (classmethod, staticmethod)):
        new: Any = type(real)(_instead(real.__func__, function, always))
    else:
        new = _instead(real, function, always)
    METHODS.setdefault(owner, {})[name] = new


def _fill() -> None:
    for real, new in {**creation.makers(), **maths.functions(), **joining(), **of_polynomials()}.items():
        _enter(_TABLE, real, new)
    _enter(_TABLE, np.vectorize, vectorize())
    _enter(_TABLE, np.random.default_rng, making(np.random.default_rng))
    legacy = standing_for(np.random.mtrand._rand)  # whose methods np.random.permutation and its kin are
    for name in ("permutation", "shuffle", "choice"):
        _enter(_TABLE, getattr(np.random, name), getattr(legacy, name))


_fill()


def _fill_drop_ins() -> None:
    """Enter the functions of ``scipy.special`` that are written in Python, once it is imported."""
    if "scipy.special" in sys.modules and not _SPECIAL:
        special_functions()
        from dualdiff.rules.special.functions import DROP_INS

        for real, function in DROP_INS.items():
            drop_in(real, function)
        _SPECIAL.append(True)


_SPECIAL: list[bool] = []


def in_place_of(f: Any) -> Any:
    """Return what stands for a function of a library that is differentiated itself, ``dd.grad(math.sin)``; others as they are."""
    if str(getattr(f, "__module__", "")).startswith("scipy."):
        enter_rooms()
    if getattr(f, "__module__", None) is None or str(f.__module__).startswith("scipy.special"):
        _fill_drop_ins()
    if type(f) is functools.partial:
        inner = in_place_of(f.func)
        return f if inner is f.func else functools.partial(inner, *f.args, **f.keywords)
    if type(f) is MethodType:
        return _in_place_of_method(f)
    found = _TABLE.get(id(f))
    return found[1] if found is not None and found[0] is f else f


def _in_place_of_method(f: MethodType) -> MethodType:
    """Return what stands for the method of an object, which has been taken from it already."""
    for kind in type(f.__self__).__mro__:
        new = METHODS.get(kind, {}).get(f.__name__)
        if new is not None and getattr(new, "__wrapped__", None) is f.__func__:
            return MethodType(new, f.__self__)
    return f


class Namespace(ModuleType):
    """A module some of whose names are stand-ins. It bears a name of its own, so that nobody takes it for NumPy."""

    def __init__(self, real: ModuleType, level: int) -> None:
        name = real.__name__ if not real.__name__.startswith("numpy") else f"dualdiff.{real.__name__}"
        super().__init__(name if "array_api_compat" not in name else "dualdiff.numpy", real.__doc__)
        self.__dict__["_real"], self.__dict__["_level"] = real, level

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if "array_api_compat" in self._real.__name__:
            value = getattr(np, name, value) if id(getattr(np, name, None)) in _TABLE else value
        new = stand_in(value, self._level)
        if new is not None:
            value = new
        if self._real.__name__ in _NUMPY:  # NumPy's names stay what they are; others' may be patched in a test
            self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)

    def __dir__(self) -> list[str]:
        return dir(self._real)

    def __repr__(self) -> str:
        return f"<module {self._real.__name__!r}, captured>"

    def __reduce__(self) -> Any:
        return _module, (self._real.__name__,)


def _module(name: str) -> ModuleType:
    return sys.modules[name]


def _namespace(real: ModuleType, level: int) -> Any:
    key = id(real), level
    if key not in _NAMESPACES:
        new = _NAMESPACES[key] = Namespace(real, level)
        _REAL[id(new)] = new, real
    return _NAMESPACES[key]


def real_of(value: Any) -> Any:
    """Return what a stand-in stands for; anything else as it is."""
    found = _REAL.get(id(value))
    return value if found is None else found[1]


def _of_module(real: ModuleType, level: int) -> Any:
    name = getattr(real, "__name__", "")
    if name in _NUMPY or real is math or real is cmath or name.endswith(_ARRAY_API):
        return _namespace(real, level)
    if name.partition(".")[0] == "scipy":
        _fill_drop_ins()
        return _namespace(real, level)
    return None


def _is_compiled(value: Any) -> bool:
    """Whether a function is compiled code of an installed package: not Python's own, not NumPy's."""
    if isinstance(value, BuiltinFunctionType):
        root = str(value.__module__ or "").partition(".")[0]
        return bool(root) and root != "numpy" and root not in sys.stdlib_module_names
    return type(value).__name__ in ("cython_function_or_method", "fused_cython_function", "fortran", "CPUDispatcher")


def stand_in(value: Any, level: int) -> Any:
    """Return what stands for a value in a captured module; None where it stays itself."""
    found = _TABLE.get(id(value))
    if found is not None and found[0] is value:
        return found[1]
    kind = type(value)
    if kind in TRACED:  # a variable that a function left its own value in
        return None
    if kind is ModuleType or isinstance(value, ModuleType):
        return _of_module(value, level)
    if kind is np.vectorize:
        return Vectorized(value)
    if kind in GENERATORS:
        return standing_for(value)
    if kind is MethodType:
        method = _in_place_of_method(value)
        return None if method is value else method
    if kind in _KINDS and (made := _KINDS[kind](value)) is not None:
        return made
    if kind is functools._lru_cache_wrapper:
        return _enter(_TABLE, value, uncached(value))
    if kind is FunctionType and not _SPECIAL and str(value.__module__).startswith("scipy.special"):
        _fill_drop_ins()
        found = _TABLE.get(id(value))
        return None if found is None else found[1]
    if _is_compiled(value):
        return _enter(_TABLE, value, Compiled(value))
    if level >= EVERYTHING and id(value) not in _LISTS:
        try:
            known = value in REGISTER
        except TypeError:  # a list or a dict
            return None
        new = given_lists(value) if known else None
        if new is None:
            return None
        _enter(_LISTS, value, new)
    return _LISTS[id(value)][1] if level >= EVERYTHING and id(value) in _LISTS else None


def known() -> int:
    """Return how many things have a stand-in: what was looked up before there were as many is looked up again."""
    return len(_TABLE) + len(_KINDS)


__all__ = [
    "EVERYTHING",
    "MAKERS",
    "METHODS",
    "Namespace",
    "drop_in",
    "drop_in_class",
    "drop_in_kind",
    "drop_in_method",
    "in_place_of",
    "known",
    "real_of",
    "stand_in",
]
