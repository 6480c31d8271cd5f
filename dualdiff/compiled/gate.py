"""What calls go through: a function that runs programs, and lets calls which look alike enter one of them directly."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from types import MethodType
from typing import Any

import numpy as np

from dualdiff.compiled.calling import Way
from dualdiff.compiled.entrance import Entrance, Fixed, Watched, by_python
from dualdiff.compiled.running import Running
from dualdiff.passes.program import Form

__all__ = ["Entered", "Gate", "builder"]

SETTLED = 16
"""Calls in turn that another program than the one let in must serve before it is let in instead."""


@dataclass(slots=True, eq=False)
class Entered(Running):
    """A program, how its results are put together, and how it is entered."""

    build: Callable[[list[Any]], Any]
    arguments: list[Form | Fixed] | None
    """What is given, one by one; None where there is more to look at."""
    _: KW_ONLY
    keywords: tuple[str, ...] = ()
    """Which of them, the last ones, are given by name."""
    slowly: int = 0
    """How often it has run since another one did, without the entrance being its own."""
    entrance: Entrance | None = None


def builder(build: Callable[[list[Any]], Any], count: int) -> Callable[[tuple[Any, ...]], Any] | None:
    """Return what puts results together; None where the result is one leaf."""
    marks = [np.empty(0) for _ in range(count)]
    made = build(list(marks))
    if count == 1 and made is marks[0]:
        return None
    if type(made) is tuple and len(made) == count and all(map(operator.is_, made, marks)):
        return tuple
    return lambda outputs: build(list(outputs))


class Gate:
    """A function that runs programs. What looks like the calls before enters the program of these without being looked at here."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._open: Entered | None = None  # the program that calls enter without looking around
        self._granted = 0

    # -- what a gate is asked ----------------------------------------------------------------------
    def _watch(self) -> Sequence[Watched]:
        """Return what must be as it was, outside of the arguments."""
        return ()

    def _until(self, variant: Entered) -> int:
        """Return the call that is to be looked at next."""
        return variant.pays_at()

    # -- entering ----------------------------------------------------------------------------------
    @classmethod
    def _kind(cls) -> type:
        """Return the class whose ``__call__`` is the way in that looks around."""
        return cls.__mro__[1] if "_of_one" in vars(cls) else cls

    def _slow(self) -> Callable[..., Any]:
        return MethodType(self._kind().__call__, self)

    def _way(self, variant: Entered) -> Way | None:
        """Return how machine code is to be entered; None where its arguments cannot be looked at that quickly."""
        if variant.arguments is None:
            return None
        build = builder(variant.build, len(variant.program.outputs)) and variant.build
        return Way(variant.arguments, self._watch(), build, self._slow(), variant.keywords)

    def _let_in(self, variant: Entered) -> None:
        """Let calls that look like this one enter its program directly, until it is to be looked at again."""
        if variant is not self._open:
            variant.slowly += 1
            if variant.slowly < (SETTLED if self._open is not None else 2) or variant.arguments is None:
                return
        with self._lock:
            if variant.entrance is None:
                if variant.code is not None and variant.code.entrance is not None:
                    variant.entrance = variant.code.entrance
                else:
                    variant.entrance = by_python(
                        variant.arguments or (),
                        self._watch(),
                        variant.running.run,
                        builder(variant.build, len(variant.program.outputs)),
                        self._slow(),
                        variant.keywords,
                    )
                if variant.entrance is None:
                    variant.arguments = None
                    return
            if variant is not self._open:
                variant.slowly = 0
                kind = self._kind()
                if type(self) is kind:  # Python looks for __call__ in the class: each has its own
                    own = {"__module__": kind.__module__, "__doc__": kind.__doc__, "_of_one": True}
                    self.__class__ = type(kind.__name__, (kind,), own)
                self._open = variant
                type(self).__call__ = staticmethod(variant.entrance.call)  # type: ignore[method-assign]
            self._granted = self._until(variant) - variant.calls - 1
            variant.entrance.grant(self._granted)

    def _settle(self) -> None:
        """Count the calls that went in directly."""
        variant = self._open
        if variant is not None and variant.entrance is not None:
            left = variant.entrance.left()
            variant.calls, self._granted = variant.calls + self._granted - left, left

    def _renew(self, variant: Entered) -> None:
        """Let a program that became machine code be entered anew."""
        if self._open is variant:
            self._shut()
        variant.entrance, variant.slowly = None, SETTLED

    def _shut(self) -> None:
        if self._open is not None:
            self._open = None
            del type(self).__call__
