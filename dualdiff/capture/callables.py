"""Stand-ins for what calls, keeps or compiles: compiled code, caches, ``np.vectorize``, and functions given lists.

Compiled code cannot see a derivative: it gets the plain arrays in containers, and a traced value is refused by name.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.advice import of_compiled
from dualdiff.capture.active import ACTIVE, any_active, is_active, plain_call
from dualdiff.errors import UnsupportedFunctionError, stumble, where
from dualdiff.register import REGISTER
from dualdiff.values import TRACED, operand


def called(function: Any) -> str:
    """Return the name under which a function is known."""
    module = str(getattr(function, "__module__", "") or "")
    parts = [p for p in module.split(".") if p and not p.startswith("_")]
    return ".".join(
        [
            *parts,
            str(getattr(function, "__qualname__", getattr(function, "__name__", function))).removeprefix("function "),
        ]
    )


class Compiled:
    """A compiled function, or an object with methods like one, that refuses traced values by name."""

    def __init__(self, real: Any) -> None:
        functools.update_wrapper(self, real, updated=())
        self._real = real

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the compiled function on plain values."""
        if any_active(args, kwargs):
            error = UnsupportedFunctionError(
                f"{where()}: {called(self._real)} is compiled code, which cannot carry a derivative. {of_compiled()}. To freeze its "
                "arguments on purpose: dd.stop_gradient(x)."
            )
            error.stumble = stumble("call")  # who called a function that has a drop-in may not have been captured yet
            raise error
        return plain_call(self._real, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __getitem__(self, key: Any) -> Any:
        return Compiled(self._real[key])

    def __eq__(self, other: Any) -> bool:
        return other is self or other is self._real

    def __hash__(self) -> int:
        return hash(self._real)


class Constructor:
    """What stands for a class: it makes another object whenever an argument carries a derivative, and is the class otherwise."""

    def __init__(self, real: type, make: Callable[..., Any], always: bool = False) -> None:
        functools.update_wrapper(self, real, updated=())
        self._real, self._make, self._always = real, make, always

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make an object."""
        if any_active(args, kwargs) or (self._always and ACTIVE.get()):
            return self._make(*args, **kwargs)
        return plain_call(self._real, args, kwargs)

    def __instancecheck__(self, x: Any) -> bool:
        return isinstance(x, self._real)

    def __subclasscheck__(self, kind: Any) -> bool:
        return issubclass(kind, self._real)

    def __mro_entries__(self, bases: Any) -> tuple[type, ...]:
        return (self._real,)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __eq__(self, other: Any) -> bool:
        return other is self or other is self._real

    def __hash__(self) -> int:
        return hash(self._real)

    def __reduce__(self) -> Any:
        return getattr, (sys.modules[self._real.__module__], self._real.__qualname__)


def uncached(real: Any) -> Callable[..., Any]:
    """A cache of results, which must keep no traced value: such arguments go round it, and others reach it uncaptured."""

    @functools.wraps(real.__wrapped__)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any_active(args, kwargs):
            return real.__wrapped__(*args, **kwargs)
        token = ACTIVE.set(False)
        try:
            return plain_call(real, args, kwargs)
        finally:
            ACTIVE.reset(token)

    for name in ("cache_info", "cache_clear", "cache_parameters"):
        setattr(call, name, getattr(real, name))
    return call


class Vectorized:
    """``np.vectorize`` of a Python function, called entry by entry and put together again."""

    def __init__(self, real: np.vectorize) -> None:
        functools.update_wrapper(self, real, updated=())
        self._real = real

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function on every entry."""
        if not any_active(args, kwargs):
            return plain_call(self._real, args, kwargs)
        real: Any = self._real
        if real.signature is not None:
            raise UnsupportedFunctionError(
                f"{where()}: np.vectorize with a signature is not differentiated. Write the loop over the leading axes, and "
                "np.stack its results."
            )
        free = [i for i in range(len(args)) if i not in real.excluded]
        named = [k for k in kwargs if k not in real.excluded]
        every = np.broadcast_arrays(*[operand(args[i]) for i in free], *[operand(kwargs[k]) for k in named])
        shape = every[0].shape
        found: list[Any] = []
        for at in np.ndindex(shape):
            entries = [x[at] for x in every]
            given = list(args)
            for i, v in zip(free, entries):
                given[i] = v
            found.append(real.pyfunc(*given, **{**kwargs, **dict(zip(named, entries[len(free) :]))}))
        if found and isinstance(found[0], tuple):
            return tuple([_put_together([f[n] for f in found], shape) for n in range(len(found[0]))])
        return _put_together(found, shape)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _put_together(found: list[Any], shape: tuple[int, ...]) -> Any:
    if not found:
        return np.zeros(shape)
    if not any(type(v) in TRACED for v in found):
        return np.array(found).reshape(shape)[()]
    return np.reshape(np.stack([np.reshape(v, ()) for v in found]), shape)


def vectorize(real: Any = np.vectorize) -> Any:
    """Return what stands for the class ``np.vectorize``: it makes what goes entry by entry."""

    @functools.wraps(real, updated=())
    def make(*args: Any, **kwargs: Any) -> Any:
        if not args and "pyfunc" not in kwargs:  # @np.vectorize(otypes=…)
            return lambda f: Vectorized(real(f, **kwargs))
        return Vectorized(real(*args, **kwargs))

    return make


def given_lists(real: Any) -> Any:
    """A function of NumPy that takes traced values in lists as well."""
    entry = REGISTER.get(real)
    if isinstance(real, np.ufunc):
        return _Ufunc(real)
    if entry is None or entry.handler is None:
        return None
    handler = entry.handler

    @functools.wraps(real)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(type(a) in (list, tuple) and is_active(a) for a in (*args, *kwargs.values())):
            return handler(*args, **kwargs)
        return real(*args, **kwargs)

    return call


class _Ufunc:
    """A ufunc that takes traced values in lists as well."""

    def __init__(self, real: np.ufunc) -> None:
        self._real = real

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return np.ufunc

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._real(*[operand(a) if type(a) in (list, tuple) and is_active(a) else a for a in args], **kwargs)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        if not callable(method):
            return method

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            return method(*[operand(a) if type(a) in (list, tuple) and is_active(a) else a for a in args], **kwargs)

        return call

    def __repr__(self) -> str:
        return repr(self._real)

    def __eq__(self, other: Any) -> bool:
        return other is self or other is self._real

    def __hash__(self) -> int:
        return hash(self._real)


__all__ = ["Compiled", "Constructor", "Vectorized", "called", "given_lists", "uncached", "vectorize"]
