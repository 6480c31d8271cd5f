"""A room: what takes the place of the functions, methods and classes of one module of SciPy.

SciPy's own code makes plain arrays of its arguments. Where a traced value meets it, capture exchanges names for the length of a
call (:mod:`dualdiff.capture`), and a room says what for what. Whoever calls the function is captured, not the function: so a
function of SciPy that calls another one meets the other's drop-in as well.

A room is listed in :data:`dualdiff.values.ROOMS` beside the module of SciPy it serves (several may serve one). It is loaded when one
of that module's functions first takes a traced value for a plain one, not before.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from dualdiff.capture.names import drop_in, drop_in_class, drop_in_method
from dualdiff.errors import UnsupportedFunctionError, replaced, where
from dualdiff.register import BESIDE, NOTHING, REAL_ONLY, Entry, Facts, real_only
from dualdiff.rules.elementwise import cast
from dualdiff.shapes import dtype_of
from dualdiff.solvers import serve
from dualdiff.values import raw

OPEN: list[Room] = []
"""The rooms that have been loaded."""


class Room:
    """The drop-ins of one SciPy module, and the rows by which the register knows them.

    Parameters
    ----------
    module : str
        The name of SciPy's module.

    Attributes
    ----------
    drop_ins : dict
        For every function of SciPy that has one, what takes its place.
    rows : list of Entry
        How the register, the census and the support table know what stands here.
    """

    def __init__(self, module: str) -> None:
        self.name = module
        try:
            self.module = import_module(module)
        except ModuleNotFoundError:  # this SciPy has none, and so nothing to exchange
            self.module = ModuleType(module)
        self.drop_ins: dict[Any, Callable[..., Any]] = {}
        self.rows: list[Entry] = []
        BESIDE.append(lambda: self.rows)
        OPEN.append(self)

    def function(
        self, name: str, kind: str = "composite", *, domain: Any = "real", facts: Facts = NOTHING, solver: bool = False
    ) -> Callable[[Any], Any]:
        """Write the drop-in of a function: of SciPy's signature, called when an argument carries a derivative.

        Nothing happens where this SciPy has no such function.

        Parameters
        ----------
        name : str
            The function's name in the module.
        kind, domain, facts
            What the register is to know of it.
        solver : bool
            Whether the function calls what it is given, which may hold traced values without showing them: then it is called
            whenever the caller is captured, and a question that SciPy's own code asks a traced value, a comparison too, is
            where the caller's capture begins.
        """

        def decorate(function: Any) -> Any:
            real = getattr(self.module, name, None)
            if real is not None:
                if facts.complex == REAL_ONLY:
                    function = real_only(f"{self.name}.{name}", function)
                drop_in(real, function, always=solver)
                replaced(real)
                if solver:
                    serve(real, f"{self.name}.{name}")
                self.drop_ins[real] = function
                self.rows.append(Entry(real, f"{self.name}.{name}", kind, function, domain=domain, facts=facts))
            return function

        return decorate

    def method(
        self,
        owner: Any,
        name: str,
        kind: str = "composite",
        *,
        domain: Any = "real",
        facts: Facts = NOTHING,
        around: bool = False,
        always: bool = False,
    ) -> Callable[[Any], Any]:
        """Write the drop-in of a method: a function of ``self`` (of the class, for a class's own) and SciPy's arguments.

        One that stands ``around`` SciPy's calls it, so that this is captured too. With ``always`` it is called whenever the caller is
        captured, for the object may hold what carries a derivative.
        """

        def decorate(function: Any) -> Any:
            real = None if owner is None else inspect.getattr_static(owner, name, None)
            if real is not None:
                drop_in_method(owner, name, function, always)
                replaced(getattr(real, "__func__", real), owner, whole=not around)
                if isinstance(real, staticmethod):  # whose frame shows no class
                    replaced(real.__func__)
                self._row(f"{owner.__name__}.{name}".removesuffix(".__call__"), real, kind, function, domain, facts)
            return function

        return decorate

    def constructor(
        self,
        owner: Any,
        kind: str = "composite",
        *,
        domain: Any = "real",
        facts: Facts = NOTHING,
        always: bool = False,
    ) -> Callable[[Any], Any]:
        """Write what is made in place of an object of a class, by the class's arguments, when one of them carries a derivative.

        With ``always``, whenever the caller is captured, for the object may come to hold what carries one.
        """

        def decorate(function: Any) -> Any:
            if owner is not None:
                self._make(owner, function, always)
                self._row(owner.__name__, owner, kind, function, domain, facts)
            return function

        return decorate

    def _make(self, owner: Any, function: Any, always: bool = False) -> None:
        drop_in_class(owner, function, always)
        for way in ("__init__", "__new__"):  # its own or its parent's
            replaced(getattr(owner, way))
        self.drop_ins[owner] = function

    def _row(self, name: str, real: Any, kind: str, function: Any, domain: Any, facts: Facts) -> None:
        self.rows.append(Entry(real, f"{self.name}.{name}", kind, function, domain=domain, facts=facts))

    def refused(self, names: str, reason: str) -> None:
        """Refuse functions by name, with the reason and what to write instead; ``names`` are separated by spaces."""
        for name in names.split():
            real = getattr(self.module, name, None)
            if real is not None:
                whole = f"{self.name}.{name}"
                drop_in(real, _refusal(whole, reason))
                replaced(real)
                self.rows.append(Entry(real, whole, "refused", reason=reason))

    def refused_class(self, name: str, reason: str) -> None:
        """Refuse to make an object of a class of what is differentiated, with the reason and what to write instead."""
        owner = getattr(self.module, name, None)
        if owner is not None:
            whole = f"{self.name}.{name}"
            self._make(owner, like(owner, _refusal(whole, reason)))
            self.rows.append(Entry(owner, whole, "refused", reason=reason))


def _refusal(name: str, reason: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise UnsupportedFunctionError(f"{where()}: {name} is not differentiated: {reason}")

    return refuse


def like(real: Any, function: Any) -> Any:
    """Let a function say that it takes what another one takes, as far as that says what it takes."""
    with suppress(TypeError, ValueError):
        function.__signature__ = inspect.signature(real)
    return function


def rounded_as(real: Any, found: Any, *args: Any, **kwargs: Any) -> Any:
    """Give a result the dtype of SciPy's own, which of numbers in single precision is not to be foretold: it is asked."""
    if all(getattr(raw(x), "dtype", np.dtype(float)) == np.float64 for x in args):
        return found
    return cast(found, dtype_of(real(*map(raw, args), **{k: raw(x) for k, x in kwargs.items()})), copy=False)


__all__ = ["OPEN", "Room", "like", "rounded_as"]
