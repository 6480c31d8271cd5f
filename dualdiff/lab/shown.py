"""A function that is shown at a point: its call, made sure of, and what it and its arguments are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from dualdiff.capture import asked
from dualdiff.errors import InputError
from dualdiff.operators.calls import Argnums, Call
from dualdiff.trees import paths
from dualdiff.values import TRACED

__all__ = ["argument_names", "called", "function_name"]


def called(who: str, f: Callable[..., Any], args: tuple[Any, ...], argnums: Argnums | None) -> Call:
    """Return a call of ``f`` that ``who`` is to show, all of whose arguments are differentiated unless some are named.

    Raises
    ------
    InputError
        If there is no function, no point, or a point that another operator differentiates.
    """
    if not callable(f):
        raise InputError(f"the first argument must be a function, not {type(f).__name__!r}")
    if not args:
        raise InputError(f"{who}(f, x) needs the point x")
    call = Call(asked(f, "auto"), tuple(range(len(args))) if argnums is None else argnums, args, {}, False)
    if any(type(x) in TRACED for x in call.leaves):
        raise InputError(
            f"{who} shows plain numbers: call it outside of other operators, and with x.detach().numpy() of a tensor"
        )
    return call


def function_name(f: Any) -> str:
    """Return a function's name, "f" if it has none."""
    name = str(getattr(f, "__name__", ""))
    return name if name.isidentifier() else "f"


def argument_names(call: Call) -> list[str]:
    """Return what the differentiated leaves are called: the function's parameters, with the path inside a structure."""
    try:
        parameters = list(inspect.signature(call.f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    found = []
    for a in call.argnums:
        if isinstance(a, str):
            name, tree = a, call.kwargs[a]
        else:
            tree = call.args[a]
            named = a < len(parameters) and parameters[a].kind in (0, 1)
            name = parameters[a].name if named else "x" if len(call.args) == 1 else f"x{a}"
        found += [f"{name}{path}" for path in paths(tree)]
    return found
