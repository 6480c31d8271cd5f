"""The same function in another library's names: its code is run with that library where it says ``np``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import CellType, CodeType, FunctionType
from typing import Any

import numpy as np


def translated(f: Callable[..., Any], names: Any) -> Callable[..., Any]:
    """Return a function of the same code, its own helpers included, that finds `names` under the name ``np``."""
    return _translated(f, names, {})


def _translated(f: Any, names: Any, known: dict[Any, Any]) -> Any:
    if isinstance(f, partial):
        bound = {key: _translated(value, names, known) for key, value in f.keywords.items()}
        return partial(_translated(f.func, names, known), *f.args, **bound)
    if f is np:
        return names
    if type(f) is np.ndarray and isinstance(names, Symbolic):
        return f.astype(object)  # entries that are Python's numbers leave a product to the symbol
    if type(f) is not FunctionType or f.__module__.partition(".")[0] not in ("dualdiff", "tests", "__main__"):
        return f
    if f not in known:
        scope = dict(f.__globals__)
        cells = tuple([CellType() for _ in f.__closure__ or ()])
        known[f] = made = FunctionType(f.__code__, scope, f.__name__, f.__defaults__, cells)
        made.__kwdefaults__ = f.__kwdefaults__
        for name in set(_named(f.__code__)) & scope.keys():
            scope[name] = _translated(scope[name], names, known)
        for new, old in zip(cells, f.__closure__ or (), strict=True):
            new.cell_contents = _translated(old.cell_contents, names, known)
    return known[f]


def _named(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _named(constant)


class Symbolic:
    """NumPy's names for arrays whose entries are a library's symbols; the elementary functions are the library's."""

    def __init__(self, elementary: dict[str, Callable[..., Any]]) -> None:
        for name, function in elementary.items():
            setattr(self, name, _entrywise(function))

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def stack(self, parts: Any, axis: int = 0) -> Any:
        """Return arrays, or symbols, side by side."""
        if any(isinstance(p, np.ndarray) and p.ndim for p in parts):
            return np.stack(parts, axis=axis)
        return boxed(parts)

    array = stack


def boxed(symbols: Any) -> Any:
    """Return an array that holds symbols and numbers one by one: NumPy would ask a symbol for its entries."""
    out = np.empty(len(symbols), dtype=object)
    for i, s in enumerate(symbols):
        out[i] = s
    return out


def _entrywise(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*operands: Any) -> Any:
        if any(isinstance(x, np.ndarray) and x.ndim for x in operands):
            return np.frompyfunc(function, len(operands), 1)(*operands)
        return function(*operands)

    return call
