"""A function that has a rule of its own: called as the function is, on plain values and on differentiated ones."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from functools import WRAPPER_ASSIGNMENTS
from types import MethodType
from typing import Any

import numpy as np

from dualdiff.containers import plain
from dualdiff.custom.layout import Held, Layout
from dualdiff.errors import InputError, RuleError, where
from dualdiff.kinds import given_to
from dualdiff.kinds.base import SUSPECTS
from dualdiff.trees import flatten
from dualdiff.values import TRACED, Traced, bind, contains_traced, fixed, ndarray, packed

Names = int | str | Sequence[int | str]


def own(result: Any, args: Any) -> Any:
    """Return a result that shares no memory with an argument: differentiated, it never does."""
    if type(result) is np.ndarray and any(type(a) is np.ndarray and np.may_share_memory(result, a) for a in args):
        return result.copy()
    return result


class CustomFunction:
    """A function with a rule of its own. It is called as the function is, and differentiated by the rule.

    Made by :func:`primitive`, :func:`custom_jvp`, :func:`custom_vjp` and :func:`checkpoint`.

    Attributes
    ----------
    rows : tuple
        What the engine has of it; each says ``by_user``.
    """

    rows: tuple[Any, ...] = ()
    #: whether arguments that were left at their defaults are arguments of the rule all the same
    fills_defaults = False
    #: how many positional arguments may be differentiated
    most: int = 1 << 30

    def __init__(self, f: Callable[..., Any], nondiff: Names = ()) -> None:
        if not callable(f):
            raise InputError(f"a rule belongs to a function, not to a {type(f).__name__!r}")
        self.f = f
        self._wear_name()
        try:
            self.__signature__: inspect.Signature | None = inspect.signature(f)
        except (TypeError, ValueError):
            self.__signature__ = None
        self.names = _names_of(f, self.__signature__)
        self.nondiff = (nondiff,) if isinstance(nondiff, (int, str)) else tuple(nondiff)

    def _wear_name(self) -> None:
        for name in WRAPPER_ASSIGNMENTS:
            if hasattr(self.f, name):
                setattr(self, name, getattr(self.f, name))
        self.__name__: str = getattr(self.f, "__name__", type(self.f).__name__)
        self.__wrapped__ = self.f

    #: whether it was held against differences
    examined = False
    #: whether its derivative is computed, or meant to be what it is: nobody holds it against differences unasked
    trusted = False
    #: whether a pattern was declared of it
    has_pattern = False

    def take(self, *rows: Any) -> None:
        """Make rows this function's own."""
        given_to(self, rows)
        self.rows = rows

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.__name__}>"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Be a method, where the function stands in a class."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> Any:
        """Pickle by name where the name leads here, as functions do; otherwise by the parts."""
        name = getattr(self, "__qualname__", self.__name__)
        found: Any = sys.modules.get(getattr(self, "__module__", None) or "")
        for part in name.split("."):
            found = getattr(found, part, None)
        return name if found is self else (_made_again, (type(self), self.__getstate__()))

    # -- calls ---------------------------------------------------------------------------------------
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the function's value; where something is being differentiated, its rule goes with it."""
        if not is_traced(args) and not is_traced(kwargs.values()):
            return own(self.f(*args, **kwargs), args)
        self.suspect()
        args, kwargs, names = self.arranged(args, kwargs)
        operands: list[Any] = []
        layout = Layout(args, kwargs, operands, names)
        return self.carried_out(layout, operands)

    def suspect(self) -> None:
        """Let the operator that runs this hold it against differences, the first time it is differentiated."""
        if not self.examined and (self.has_pattern or not self.trusted) and self not in SUSPECTS.found:
            SUSPECTS.found.append(self)

    def carried_out(self, layout: Layout, operands: list[Any]) -> Any:
        """Bind the row, and give the results their structure back."""
        return layout.give(bind(self.rows[0], operands, {"call": layout}))

    def arranged(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], list[str]]:
        """Return the positional arguments, of which those that are not differentiated are held; keywords; and names."""
        if (kwargs or self.fills_defaults) and self.__signature__ is not None:
            bound = self.__signature__.bind(*args, **kwargs)
            if self.fills_defaults:
                bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        names = [*self.names, *[f"arg{i}" for i in range(len(self.names), len(args))]]
        covered = self.covered(len(args))
        if len(covered) < len(args):
            args = tuple([a if i in covered else Held(self._fixed(names[i], a)) for i, a in enumerate(args)])
        return args, {k: self._fixed(k, v) for k, v in kwargs.items()}, names

    def covered(self, count: int) -> list[int]:
        """Return which of so many positional arguments the rule covers."""
        asked = {n + len(self.names) if isinstance(n, int) and n < 0 else n for n in self.nondiff}
        names = self.names
        return [i for i in range(count) if i not in asked and (i >= len(names) or names[i] not in asked)][: self.most]

    def _fixed(self, name: str, v: Any) -> Any:
        if not is_traced((v,)):
            return v
        leaves, build = flatten(v)
        for x in leaves:
            if type(x) in TRACED and plain(x) is x and not x._may_leave():
                raise RuleError(
                    f"{where()}: the parameter {name!r} of {self.__name__} is being differentiated, and its rule knows no derivative by "
                    "it. Pass it by position where the rule covers it, or freeze it on purpose with dd.stop_gradient."
                )
        return build([fixed(plain(x)) if isinstance(x, Traced) else x for x in leaves])


def _names_of(f: Any, signature: inspect.Signature | None) -> list[str]:
    """Return the names of a function's positional arguments; of a ufunc those that NumPy's manual gives them."""
    if isinstance(f, np.ufunc):
        return ["x"] if f.nin == 1 else [f"x{i + 1}" for i in range(f.nin)]
    if signature is None:
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in signature.parameters.values() if p.kind in kinds]


def _made_again(kind: Any, state: Any) -> Any:
    new = kind.__new__(kind)
    new.__setstate__(state)
    return new


def is_traced(values: Any) -> bool:
    """Whether something among the arguments, or in containers among them, is traced."""
    for v in values:
        kind = type(v)
        if kind in TRACED:
            return True
        if kind is ndarray:
            if v.dtype.char == "O" and type(packed(v)) in TRACED:
                return True
        elif kind in (list, tuple):
            if contains_traced(v):
                return True
            if any(type(i) not in (float, int) for i in v) and is_traced(v):
                return True
        elif kind not in (float, int, str, bool, type(None)) and not hasattr(kind, "__array_ufunc__"):
            leaves = flatten(v)[0]
            if any(type(x) in TRACED for x in leaves) or (len(leaves) > 1 and is_traced(leaves)):
                return True
    return False


__all__ = ["CustomFunction", "Names", "is_traced"]
