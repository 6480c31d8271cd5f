"""Whether a function is captured at this moment, and which values count as traced there."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from dualdiff.containers import Plain
from dualdiff.values import HOLDERS, TRACED

ACTIVE: ContextVar[bool] = ContextVar("dualdiff_capture", default=False)
"""True in the thread whose function is captured: elsewhere a stand-in does what the real thing does."""


def is_active(x: Any) -> bool:
    """Whether a value carries a derivative, or is a list or tuple that holds one that does."""
    kind = type(x)
    if kind in TRACED:
        if kind is Plain:
            return type(x._fresh()) in TRACED
        return not x._may_leave()
    if kind is list or kind is tuple:
        return any(map(is_active, x))
    if kind in HOLDERS:
        return is_active(HOLDERS[kind].held(x))
    return kind is dict and any(map(is_active, x.values()))


def any_active(args: Any, kwargs: Any) -> bool:
    """Whether an argument of a call carries a derivative."""
    for a in args:
        if is_active(a):
            return True
    return bool(kwargs) and any(map(is_active, kwargs.values()))


def unwrapped(x: Any) -> Any:
    """Return the plain value of what carries no derivative, for code that knows only such; anything else as it is."""
    kind = type(x)
    if kind in TRACED:
        x = x._fresh() if kind is Plain else x
        return x.run.leave(x) if type(x) in TRACED and x._may_leave() else x
    if kind is list or kind is tuple:
        found = [unwrapped(i) for i in x]
        return x if all(a is b for a, b in zip(found, x)) else kind(found)
    return HOLDERS[kind].plain(x) if kind in HOLDERS else x


def plain_call(function: Any, args: Any, kwargs: Any) -> Any:
    """Call a function on plain values: containers without traced values become the arrays they are."""
    return function(*[unwrapped(a) for a in args], **{k: unwrapped(v) for k, v in kwargs.items()})


__all__ = ["ACTIVE", "any_active", "is_active", "plain_call", "unwrapped"]
