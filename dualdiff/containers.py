"""Containers: plain arrays that may come to hold traced values, and plain arrays of objects that already do.

Level zero is here: what is computed of containers alone stays plain, and stays able to receive a traced value. So is the way in:
what an operator takes as an input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.kinds import Primitive
from dualdiff.rules.movement.stacking import stack_scalars
from dualdiff.rules.sparse import is_factor
from dualdiff.tracer import Run, Tracer
from dualdiff.values import Traced, alive, container, containers, native, packed, packers
from dualdiff.views import Link, is_view, memory_of, shown, tie_view

ndarray = np.ndarray


class Plain(Tracer):
    """An array with no derivative that may come to hold traced values: what ``np.zeros_like(x)`` gives inside a function."""

    __slots__ = ()
    discrete = True

    def __init__(self, value: Any) -> None:
        self.value = value
        self.mark = None
        self.run = PLAIN
        self.link = Link()

    def _fresh(self) -> Any:
        """Return the plain array, or this object itself where a write into its base has made it a traced one."""
        self.link.refresh(self)
        return self.value if type(self) is Plain else self

    def __repr__(self) -> str:
        return repr(self._fresh())

    def __float__(self) -> float:
        return float(self._fresh())

    def __complex__(self) -> complex:
        return complex(self._fresh())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if is_factor():
            return self._as_object()
        x = self._fresh()
        if not (copy or x.shape):
            self._given()
        if x is self or copy or type(x) is not ndarray or (dtype is not None and np.dtype(dtype) != x.dtype):
            return np.array(x, dtype=dtype)
        # Read-only: a write into it would not reach this array once that holds traced values.
        return shown(self, memory_of(self))

    def _reaches_held(self, v: Any) -> bool:
        return not isinstance(v, Traced) and type(self.value) is ndarray and _is_own(self.value)

    def __format__(self, spec: str) -> str:
        return format(self._fresh(), spec)

    def __reduce__(self) -> Any:
        return Plain, (self.value,)


def _is_own(x: ndarray[Any, Any]) -> bool:
    """Whether an array may be written into, and is nobody's view."""
    return x.base is None and x.flags.writeable


class _PlainRun(Run):
    """The run of level zero: it computes, and keeps arrays able to receive traced values."""

    level = 0

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        out = primitive.fn(*[a.value if isinstance(a, Traced) else a for a in args], **params)
        if type(out) is not ndarray:
            return container(out)
        if primitive.view and is_view(out, args[0].value if isinstance(args[0], Traced) else None):
            base = args[0]
            new = Plain(out)
            tie_view(new, base, primitive, params)
            return new
        return Plain(out)

    def duplicate(self, x: Any) -> Any:
        return Plain(x.value.copy("K") if type(x.value) is ndarray else x.value.copy())

    def write(self, x: Any, index: Any, v: Any) -> None:
        if type(x.value) is ndarray and not _is_own(x.value):
            x.value = np.array(x.value)
        x.value[index] = v.value if isinstance(v, Traced) else v


PLAIN = _PlainRun()


def plain(x: Any) -> Any:
    """Return the array inside a container that never became active; anything else as it is."""
    return x._fresh() if type(x) is Plain else x


containers.append(Plain)


# --------------------------------------------------------------------------------------------------
# the way in


def pack(x: ndarray[Any, Any]) -> Any:
    """Turn an object array of traced scalars into one traced array, and one of numbers into a plain array of them.

    Integers count as floating-point numbers, as beside the traced ones. What holds anything else stays as it is.
    """
    items = list(x.flat)
    if not any(isinstance(i, Traced) for i in items):
        if not all(isinstance(i, _NUMBERS) for i in items):  # None would become nan
            return x
        dtype = np.array(items).dtype
        return np.array(items, dtype if dtype.kind in "fc" else float).reshape(x.shape)
    return stack_scalars(items, x.shape)


_NUMBERS = (int, float, complex, np.number, np.bool_)


packers.append(pack)


def check_input(x: Any, what: str) -> Any:
    """Return an input ready for tracing: a floating-point number or array (integers are promoted once)."""
    if isinstance(x, Traced):
        if alive(x).dtype.kind in "biu":
            return x.astype(np.float64)  # type: ignore[attr-defined]
        return x
    kind = type(x)
    if kind is float or kind is complex or kind is np.float64:
        return x
    if kind is int or kind is bool:
        return float(x)
    if kind is not ndarray:
        x = native(x)  # a Series becomes the array of its values: its labels a traced array does not have
    if isinstance(x, (list, str, bytes)) or x is None:
        raise InputError(
            f"{what} is of type {kind.__name__!r}, which cannot be differentiated; pass a number or a floating-point array"
        )
    if not hasattr(x, "dtype"):
        if isinstance(x, (int, float, complex)):
            return type(x).__mro__[-2](x) if not isinstance(x, float) else float(x)
        raise InputError(
            f"{what} is of type {kind.__name__!r}, which cannot be differentiated; pass a number or a floating-point array"
        )
    k = x.dtype.kind
    if k in "biu":
        return x.astype(np.float64)
    if k == "O" and type(x) is ndarray:
        p = packed(x)
        if p is not x:
            return p
    if k not in "fc":
        raise InputError(f"{what} has dtype {x.dtype}, which cannot be differentiated; pass a floating-point array")
    return x
