"""What a function's own code names outside of its arguments: what a program of it has to watch."""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np

from dualdiff.capture.look import code_names, function_of
from dualdiff.capture.names import real_of
from dualdiff.compiled.entrance import GONE, Watched
from dualdiff.passes.program import content

__all__ = ["COMPARED", "UNCHANGING", "named", "still"]

MOST_ENTRIES = 64
"""Entries up to which a list or a dictionary is looked through at every call."""
DEPTH = 3
"""Objects, lists and dictionaries inside one another that are looked into: ``model.grid.weights[0]``."""
UNCHANGING = (type, FunctionType, BuiltinFunctionType, ModuleType, np.ufunc, np.dtype, slice, range, Enum)
"""Classes of objects that are what they are; others may change from call to call, and nobody would see it."""
COMPARED = (int, float, complex, bool, str, bytes, tuple, frozenset, type(None), np.generic)
"""Classes of objects that are compared by value."""


def named(function: Any, wrappers: tuple[type, ...]) -> Iterator[Watched]:
    """Yield what the function's own code names: variables of enclosing functions and of its module, defaults, attributes of self.

    Objects of the classes ``wrappers`` stand for the function ``f`` that they hold.
    """
    seen: set[int] = set()
    todo: list[Any] = [function]
    while todo:
        f: Any = todo.pop()
        if isinstance(f, wrappers):
            todo.append(vars(f)["f"])
            continue
        own = function_of(f)
        if own is None or id(own) in seen:
            continue
        seen.add(id(own))
        names = set(code_names(own.__code__))
        for cell in own.__closure__ or ():
            yield from _entry(cell, None, names, wrappers)
        for name in sorted(names & own.__globals__.keys()):
            yield from _entry(own.__globals__, name, names, wrappers)
        if own.__defaults__:
            yield Watched(partial(getattr, own, "__defaults__"), None, own.__defaults__)
            for value in own.__defaults__:
                yield from _inside(value, names, wrappers)
        for name in own.__kwdefaults__ or ():
            yield from _entry(own.__kwdefaults__, name, names, wrappers)
        owner = f.__self__ if isinstance(f, MethodType) else f if not hasattr(f, "__code__") else None
        if owner is not None and not isinstance(f, functools.partial):
            yield from _attributes(owner, names, wrappers, DEPTH)


def _entry(holder: Any, name: Any, names: set[str], wrappers: tuple[type, ...]) -> Iterator[Watched]:
    found = Watched(holder, name, None).now()
    value = real_of(found)
    if value is not found and value is getattr(builtins, str(name), GONE):
        return  # there only while another thread's function is differentiated
    yield Watched(holder, name, value)
    yield from _inside(value, names, wrappers)


def _inside(
    value: Any, names: set[str], wrappers: tuple[type, ...], depth: int = DEPTH, most: int = MOST_ENTRIES
) -> Iterator[Watched]:
    """Yield the entries of a short list or dictionary; attributes of an object, a class or a module of the user's that the code names."""
    kind = type(value)
    if not depth:
        return
    if isinstance(value, (set, dict)) and len(value) <= most:  # which entries there are, and in which order
        kept = _Kept(partial(frozenset if isinstance(value, set) else tuple, value))
        yield Watched(kept, None, kept.value)
    if isinstance(value, tuple):
        for entry in value if len(value) <= most else ():
            yield from _inside(entry, names, wrappers, depth - 1, most // len(value))
    elif isinstance(value, (dict, list)):
        if len(value) <= most:
            yield Watched(partial(len, value), None, len(value))
            for key in value if isinstance(value, dict) else range(len(value)):
                now = partial(_found, value, key)
                yield Watched(value, key, value[key]) if kind is dict or kind is list else Watched(now, None, now())
                yield from _inside(value[key], names, wrappers, depth - 1, most // len(value))
    elif kind is ModuleType:
        if not _is_library(value.__name__):
            for name in sorted(names & vars(value).keys()):
                yield Watched(vars(value), name, vars(value)[name])
    elif isinstance(value, type):
        if not _is_library(value.__module__):
            yield from _attributes(value, names, wrappers, depth)
    elif not isinstance(value, (*UNCHANGING, *COMPARED, np.ndarray, MethodType, *wrappers)):
        yield from _attributes(value, names, wrappers, depth)


def _attributes(owner: Any, names: set[str], wrappers: tuple[type, ...], depth: int) -> Iterator[Watched]:
    """Yield the attributes of an object that the code names, as they stand in it or in its class: nothing is computed by asking."""
    own = getattr(owner, "__dict__", None)
    for name in sorted(names):
        value = _attribute(owner, name)
        if value is GONE:
            continue
        in_it = type(own) is dict and name in own
        yield Watched(own, name, value) if in_it else Watched(partial(_attribute, owner, name), None, value)
        yield from _inside(value, names, wrappers, depth - 1)


class _Kept:
    """What is read now: the same object as long as it is equal."""

    __slots__ = ("read", "value")

    def __init__(self, read: Callable[[], Any]) -> None:
        self.read = read
        self.value = read()

    def __call__(self) -> Any:
        now = self.read()
        return self.value if now == self.value else now


def _found(holder: Any, key: Any) -> Any:
    """Return an entry of a list or a dictionary of another class."""
    if isinstance(holder, dict):
        return dict.get(holder, key, GONE)
    return list.__getitem__(holder, key) if key < len(holder) else GONE


def _attribute(owner: Any, name: str) -> Any:
    own = getattr(owner, "__dict__", {})
    if name in own:
        return own[name]
    kinds = (owner if isinstance(owner, type) else type(owner)).__mro__
    found = next((vars(kind)[name] for kind in kinds if name in vars(kind)), GONE)
    if type(found) is MemberDescriptorType and not isinstance(owner, type):  # of a class with __slots__
        return getattr(owner, name, GONE)
    return found


def _is_library(module: str) -> bool:
    """Whether a module is one of Python's, NumPy's or SciPy's, whose names stay what they are."""
    root = module.partition(".")[0]
    return root in ("numpy", "scipy", "dualdiff") or root in sys.stdlib_module_names


def still(watched: Watched, value: Any) -> bool:
    """Whether a value is what was there: itself, or, where values are compared, one of the same class with the same bits.

    A stand-in is what it stands for: it is bound while another thread's function is differentiated.
    """
    then = watched.value
    return real_of(value) is then or (isinstance(then, COMPARED) and content(value) == content(then))
