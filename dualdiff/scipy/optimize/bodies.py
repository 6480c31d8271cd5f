"""A function apart from its data, so that what was found for it serves the next one that a fit's loop makes of the same code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

__all__ = ["Body", "body_of"]

_CONSTANT = (int, bool, str, type(None))
"""Classes of which a closure's values are compared."""
_FIXED = (BuiltinFunctionType, ModuleType, np.ufunc, type)
"""Classes of objects that hold no data."""


class _Data:
    """Stands where an array or a number of the closure goes."""


@dataclass(frozen=True, slots=True)
class _Constant:
    """A value that is compared with its class: 1 is not True."""

    kind: type
    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A function's code, and where the data of its closure and of its defaults go.

    ``def residual(b): return model(t, *b) - y``, made anew for each data set, is one body, and ``t`` and ``y`` are its data.
    """

    code: CodeType
    names: dict[str, Any]
    name: str
    closure: tuple[Any, ...]
    defaults: tuple[Any, ...]

    @property
    def key(self) -> Any:
        """What tells one body from another."""
        return self.code, id(self.names), self.closure, self.defaults

    def function(self, data: Sequence[Any]) -> Callable[..., Any]:
        """Return the function with other data."""
        rest = iter(data)
        closure = tuple([CellType(_value(v, rest)) for v in self.closure])
        defaults = tuple([_value(v, rest) for v in self.defaults])
        return FunctionType(self.code, self.names, self.name, defaults or None, closure or None)


def _value(v: Any, data: Iterator[Any]) -> Any:
    return next(data) if v is _Data else v.value if type(v) is _Constant else v


def body_of(f: Any) -> tuple[Body, list[Any]] | None:
    """Return a function's body and its data; None for what holds other things than numbers, arrays and plain functions."""
    if type(f) is not FunctionType or f.__kwdefaults__:
        return None
    data: list[Any] = []
    try:
        closure = tuple([_place(cell.cell_contents, data) for cell in f.__closure__ or ()])
        defaults = tuple([_place(v, data) for v in f.__defaults__ or ()])
    except ValueError:  # an empty cell, or an object of another kind
        return None
    return Body(f.__code__, f.__globals__, f.__name__, closure, defaults), data


def _place(v: Any, data: list[Any]) -> Any:
    kind = type(v)
    if kind is float or (kind is np.ndarray and v.dtype.kind in "fiu") or kind is np.float64:
        data.append(v)
        return _Data
    if kind in _CONSTANT:
        return _Constant(kind, v)
    if isinstance(v, _FIXED) or (
        kind is FunctionType and not v.__closure__ and not v.__defaults__ and not v.__kwdefaults__
    ):
        return v
    raise ValueError(kind)
