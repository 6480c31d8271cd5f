"""Places other than a module's names where a function comes by what is exchanged: defaults, tables, attributes, partials, imports.

They are looked for from the function on, through whatever it can reach, once the names of its module were not enough.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Iterator
from dis import opname
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from dualdiff.capture.active import ACTIVE
from dualdiff.capture.binding import MISSING, Attributes, Names, Variable, in_use, is_bound
from dualdiff.capture.look import code_names, contents, is_foreign
from dualdiff.capture.names import real_of, stand_in
from dualdiff.trees import slots
from dualdiff.values import TRACED

MOST = 2000
"""How many objects a search looks at."""
LONG = 100
"""Containers with more members than this are data."""


class Entries:
    """The entries of a list, read and written as a dictionary is."""

    __slots__ = ("of",)

    def __init__(self, of: list[Any]) -> None:
        self.of = of

    def get(self, at: int, default: Any) -> Any:
        """Return an entry; the default if the list is shorter by now."""
        return self.of[at] if at < len(self.of) else default

    def __setitem__(self, at: int, value: Any) -> None:
        self.of[at] = value


class Slots:
    """The attributes of an object or function that stand in no dictionary, written past whatever forbids it."""

    __slots__ = ("of",)

    def __init__(self, of: Any) -> None:
        self.of = of

    def get(self, name: str, default: Any) -> Any:
        """Return an attribute; the default if it is not there."""
        return getattr(self.of, name, default)

    def __setitem__(self, name: str, value: Any) -> None:
        object.__setattr__(self.of, name, value)


class Parts:
    """What a ``functools.partial`` is made of, read and written as a dictionary is."""

    __slots__ = ("of",)

    def __init__(self, of: functools.partial[Any]) -> None:
        self.of = of

    def get(self, name: str, _default: Any) -> Any:
        """Return the function, or the arguments."""
        return getattr(self.of, name)

    def __setitem__(self, name: str, value: Any) -> None:
        own = self.of
        parts = {"func": own.func, "args": own.args, name: value}
        own.__setstate__((parts["func"], parts["args"], own.keywords, vars(own)))  # type: ignore[attr-defined]


def exchanged(value: Any, level: int) -> Any:
    """Return what stands for a value, or for a tuple that holds one; None where it stays itself."""
    if type(value) in _DATA or type(value) in TRACED:
        return None
    new = stand_in(value, level)
    if new is not None:
        return new
    if isinstance(value, staticmethod):
        inner = exchanged(value.__func__, level)
        return None if inner is None else staticmethod(inner)
    if isinstance(value, tuple) and len(value) <= LONG:
        found = [exchanged(v, level) for v in value]
        if any(v is not None for v in found):
            members = [v if new is None else new for v, new in zip(value, found)]
            return value._make(members) if hasattr(value, "_make") else type(value)(members)
    return None


_DATA = frozenset((int, float, complex, bool, str, bytes, type(None), np.float64, np.ndarray))


def places(f: Any, level: int) -> list[Names]:
    """Return what is to be bound in the defaults, tables, attributes and partials that a function can reach, and in its imports."""
    found: list[Names] = []
    todo, seen = [f], set[int]()
    kept: list[Any] = []  # what is looked at stays alive meanwhile, so that no identity returns
    while todo and len(seen) < MOST:
        x = real_of(todo.pop())
        if type(x) in _DATA or type(x) in TRACED or id(x) in seen:
            continue
        seen.add(id(x))
        kept.append(x)
        for place, key, items, make in _parts(x):
            held = _exchanges(key, items, level, make)
            if held:
                found.append(Names(place, key, level, held))
        todo += _inside(x)
    return found


Make = Callable[[Any, int], Any]


def _exchanges(key: int, items: dict[Any, Any], level: int, make: Make) -> dict[Any, tuple[Any, Any]]:
    of = {}
    for name, value in items.items():
        pair = in_use(key, name, value)
        if pair is None:
            real = real_of(value)
            new = make(real, level)
            pair = None if new is None else (real, new)
        if pair is not None:
            of[name] = pair
    return of


def _of_class(value: Any, level: int) -> Any:
    """Return what stands for an attribute of a class: what is compiled is no method, so what stands for it must not be one."""
    new = exchanged(value, level)
    return staticmethod(new) if type(new) is FunctionType and not isinstance(value, FunctionType) else new


def _parts(x: Any) -> Iterator[tuple[Any, int, dict[Any, Any], Make]]:
    """Yield the places of an object: how it is written, the identity it is known by, what stands there, and what makes the others."""
    if isinstance(x, functools.partial):
        yield Parts(x), id(x), {"func": x.func, "args": x.args}, exchanged
        yield x.keywords, id(x.keywords), x.keywords, exchanged
    elif isinstance(x, dict):
        if len(x) <= LONG:
            yield x, id(x), x, exchanged
    elif type(x) is list:
        if len(x) <= LONG:
            yield Entries(x), id(x), dict(enumerate(x)), exchanged
    elif type(x) is FunctionType:
        if x.__defaults__:
            yield Slots(x), id(x), {"__defaults__": x.__defaults__}, exchanged
        for own in (x.__kwdefaults__, x.__dict__):
            if own:
                yield own, id(own), own, exchanged
        if not is_foreign(x.__module__):
            named = {n: v for n in code_names(x.__code__) if isinstance(v := x.__globals__.get(n), tuple)}
            yield x.__globals__, id(x.__globals__), named, exchanged
        for cell in x.__closure__ or ():
            inside = [v for v in contents([cell]) if isinstance(v, tuple)]
            yield Variable(cell), id(cell), dict(zip([""], inside)), exchanged
        if _imports(x.__code__):
            yield vars(builtins), id(vars(builtins)), {"__import__": builtins.__import__}, _importing
    elif isinstance(x, type):
        if not is_foreign(x.__module__):
            yield Attributes(x), id(x), dict(vars(x)), _of_class
    elif _is_of_users(x):
        own = getattr(x, "__dict__", None)
        if type(own) is dict:
            yield own, id(own), own, exchanged
        held = {n: v for n in slots(type(x)) if (v := getattr(x, n, MISSING)) is not MISSING}
        if held:
            yield Slots(x), id(x), held, exchanged


def _is_of_users(x: Any) -> bool:
    return type(x) is SimpleNamespace or not (is_foreign(type(x).__module__) or isinstance(x, ModuleType))


def _inside(x: Any) -> list[Any]:
    """Return what a function, a container, a class or an object holds that may hold a place."""
    if isinstance(x, functools.partial):
        return [x.func, *x.args, *x.keywords.values()]
    if isinstance(x, (dict, list, tuple)):
        return [] if len(x) > LONG else list(x.values() if isinstance(x, dict) else x)
    if isinstance(x, MethodType):
        return [x.__func__, x.__self__]
    if isinstance(x, (staticmethod, classmethod)):
        return [x.__func__]
    if isinstance(x, property):
        return [x.fget]
    if type(x) is FunctionType:
        return [] if is_foreign(x.__module__) else _of_function(x)
    if isinstance(x, type):
        return [] if is_foreign(x.__module__) else [*vars(x).values(), *x.__bases__]
    if isinstance(x, ModuleType) or not _is_of_users(x):
        return []
    own = getattr(x, "__dict__", None)
    held = [*(own.values() if type(own) is dict else ()), *[getattr(x, n, None) for n in slots(type(x))]]
    return [*held, type(x), getattr(x, "__wrapped__", None)]


def _of_function(f: FunctionType) -> list[Any]:
    """Return what a function holds, and what it names in its module, or in modules of the user's that it names there."""
    found = [*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values(), *f.__dict__.values()]
    found += contents(f.__closure__ or ())
    names = set(code_names(f.__code__))
    for n in names:
        value = f.__globals__.get(n)
        if isinstance(value, ModuleType) and not is_foreign(value.__name__):
            found += [getattr(value, other, None) for other in names]
        else:
            found.append(value)
    return found


# --------------------------------------------------------------------------------------------------
# imports


def _imports(code: CodeType) -> bool:
    """Whether a function, or one written inside it, imports something."""
    return any(opname[o] == "IMPORT_NAME" for o in code.co_code[::2]) or any(
        isinstance(c, CodeType) and _imports(c) for c in code.co_consts
    )


@functools.cache
def _importing(real: Any, level: int) -> Any:
    """Return what imports into captured modules as ``real`` does, and gives them what stands for a module."""

    @functools.wraps(real)
    def bring(
        name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), depth: int = 0, **kwargs: Any
    ) -> Any:
        found = real(name, globals, locals, fromlist, kwargs.get("level", depth))
        if globals is not None and ACTIVE.get() and is_bound(id(globals)):
            new = stand_in(found, level)
            return found if new is None else new
        return found

    return bring


__all__ = ["exchanged", "places"]
