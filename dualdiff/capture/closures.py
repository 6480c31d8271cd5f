"""What a function closes over: the differentiated values in it, taken out, and the function made anew with others in their place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from dualdiff.containers import plain
from dualdiff.trees import flatten
from dualdiff.values import TRACED, packed


class Fresh:
    """One rebuilding: the values that stand in the place of those caught, in order, and the functions made anew so far."""

    __slots__ = ("functions", "values")

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = iter(values)
        self.functions: dict[int, Any] = {}


Make = Callable[[Fresh], Any]


def lifted(f: Any, caught: list[Any], seen: frozenset[int] = frozenset(), settled: bool = False) -> Make:
    """Collect the differentiated values that a function closes over; return how to make it anew with others in their place.

    Looked through are closures, defaults, ``functools.partial`` and the attributes of objects (those whose method it is, and those in a
    closure), in functions that are closed over themselves, and in tuples, lists and dicts. What stands elsewhere (globals) is noticed
    when it shows in the result, and refused.

    ``settled`` functions keep what their variables are now: a loop may go on to change them before they run again.
    """
    if id(f) in seen:  # it calls itself, or one that calls it
        return lambda fresh: fresh.functions.get(id(f), f)
    seen = seen | {id(f)}
    if isinstance(f, partial):
        inner, args = lifted(f.func, caught, seen, settled), lifted_tree((f.args, f.keywords), caught, seen, settled)

        def made(fresh: Fresh) -> Any:
            func = inner(fresh)
            positional, keywords = args(fresh)
            return partial(func, *positional, **keywords)

        return made
    if isinstance(f, MethodType):
        function, owner = lifted(f.__func__, caught, seen, settled), _lifted_object(f.__self__, caught, seen, settled)
        return lambda fresh: MethodType(function(fresh), owner(fresh))
    if not isinstance(f, FunctionType):
        return _lifted_object(f, caught, seen - {id(f)}, settled)
    before = len(caught)
    cells: list[tuple[CellType, Any]] = []
    closes = False
    for cell in f.__closure__ or ():
        start = len(caught)
        try:
            content = cell.cell_contents
        except ValueError:  # nothing is in it yet
            cells.append((cell, None))
            continue
        make = lifted_tree(content, caught, seen, settled)
        closes = True
        cells.append((cell, make if settled or len(caught) > start or id(content) in seen else None))
    defaults = lifted_tree((f.__defaults__ or (), f.__kwdefaults__ or {}), caught, seen, settled)
    if len(caught) == before and not (settled and closes):
        return lambda _: f

    def rebuilt(fresh: Fresh) -> Any:
        closure = tuple([cell if make is None else CellType() for cell, make in cells])
        new = FunctionType(f.__code__, f.__globals__, f.__name__, None, closure or None)
        fresh.functions[id(f)] = new
        for cell, (_, make) in zip(closure, cells, strict=True):
            if make is not None:
                cell.cell_contents = make(fresh)
        positional, keywords = defaults(fresh)
        new.__defaults__, new.__kwdefaults__ = positional or None, keywords or None
        return new

    return rebuilt


def _lifted_object(x: Any, caught: list[Any], seen: frozenset[int], settled: bool = False) -> Make:
    """Do the same for the attributes of an object: a copy of it is made."""
    own = getattr(x, "__dict__", None)
    if id(x) in seen:
        return lambda fresh: fresh.functions.get(id(x), x)
    if type(own) is not dict or not own or isinstance(x, (type, ModuleType)) or _is_of_a_library(type(x)):
        return lambda _: x
    before = len(caught)
    make = lifted_tree(own, caught, seen | {id(x)}, settled)
    if len(caught) == before:
        return lambda _: x

    def rebuilt(fresh: Fresh) -> Any:
        new = fresh.functions[id(x)] = object.__new__(type(x))
        new.__dict__.update(make(fresh))
        return new

    return rebuilt


def _is_of_a_library(kind: type) -> bool:
    """Whether objects of a class hold no differentiated value that a user put there."""
    root = kind.__module__.partition(".")[0]
    if kind.__module__ == _OF_BOUNDS:
        return False
    return root in _LIBRARIES or (root in sys.stdlib_module_names and root != "__main__")


_LIBRARIES = frozenset(("builtins", "dualdiff", "matplotlib", "numpy", "optree", "pandas", "scipy"))
_OF_BOUNDS = "scipy.optimize._constraints"
"""The module of SciPy's bounds and constraints, which hold what their user gives them."""


def lifted_tree(tree: Any, caught: list[Any], seen: frozenset[int] = frozenset(), settled: bool = False) -> Make:
    """Do the same for what a structure holds."""
    if type(tree) in _DATA or (type(tree) in (list, tuple) and _DATA.issuperset(map(type, tree))):
        return lambda _: tree
    leaves, build = flatten(tree)
    makes: list[Make] = []
    for x in leaves:
        x = packed(x)
        if type(x) in TRACED and plain(x) is x:
            caught.append(x)
            makes.append(lambda fresh: next(fresh.values))
        elif isinstance(x, (FunctionType, MethodType, partial)):
            makes.append(lifted(x, caught, seen, settled))
        else:
            makes.append(_lifted_object(x, caught, seen, settled))
    return lambda fresh: build([make(fresh) for make in makes])


_DATA = frozenset((int, float, complex, bool, str, bytes, type(None), np.float64))


__all__ = ["Fresh", "Make", "lifted", "lifted_tree"]
