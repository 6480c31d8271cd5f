"""The way into a program: a function that looks whether a call is one that the program is for, and runs it.

It is written for one form of arguments. What it looks at is identity (of classes, of what the code names outside of its
arguments); whenever anything is otherwise, the call takes the slow way, which looks closer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from operator import length_hint
from types import CellType
from typing import Any

import numpy as np

from dualdiff.compiled.flat import ChangedError, Flat
from dualdiff.errors import NOTES
from dualdiff.passes.kinks import CONVENTION, SETTING
from dualdiff.passes.program import Form

__all__ = ["ALWAYS", "CALM", "Code", "Entrance", "Fixed", "GONE", "Watched", "by_python", "is_calm"]

GONE: Any = object()
"""What stands where nothing is."""
ALWAYS = 1 << 62
"""More calls than there will be."""
CALM: tuple[tuple[ContextVar[Any], Any], ...] = ((SETTING, CONVENTION), (NOTES, None))
"""Settings under which programs run: kinks are no errors, and no operator runs the function that calls, of which even what is no
argument may be differentiated."""
_FLOAT64 = np.dtype(np.float64)


def is_calm() -> bool:
    """Whether programs may run now."""
    return all(setting.get() is value for setting, value in CALM)


@dataclass(frozen=True, slots=True)
class Fixed:
    """An argument that belongs to the program, as Python's integers do."""

    value: Any


@dataclass(frozen=True, slots=True)
class Watched:
    """Something outside of the arguments: where it is, and what it was.

    Attributes
    ----------
    holder : object
        A dictionary, a list, a cell, or a function of no arguments.
    name : object
        The key, the index, or None.
    value : object
        What it was.
    """

    holder: Any
    name: Any
    value: Any

    def now(self) -> Any:
        """Return what is there now."""
        holder, name = self.holder, self.name
        kind = type(holder)
        if kind is dict:
            return holder.get(name, GONE)
        if kind is list:
            return holder[name] if name < len(holder) else GONE
        if kind is not CellType:
            return holder()
        try:
            return holder.cell_contents
        except ValueError:
            return GONE

    def is_there(self) -> bool:
        """Whether it is there still, the same object."""
        return self.now() is self.value

    @property
    def python(self) -> str:
        """How it is read as Python code, where ``{0}`` is the holder and ``{1}`` the name."""
        return _READ.get(type(self.holder), "{0}()")


_READ: dict[type, str] = {
    dict: "{0}.get({1}, gone)",
    list: "({0}[{1}] if {1} < len({0}) else gone)",
    CellType: "{0}.cell_contents",
}


@dataclass(frozen=True, slots=True)
class Entrance:
    """A way into a program.

    Attributes
    ----------
    call : callable
        It takes what the function takes.
    left : callable
        How many calls it still serves itself.
    grant : callable
        Let it serve so many calls.
    """

    call: Callable[..., Any]
    left: Callable[[], int]
    grant: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Code:
    """A program as it runs, and the way in that is its own.

    Attributes
    ----------
    flat : Flat
        What runs.
    entrance : Entrance or None
        How calls enter it without Python, where that is known.
    """

    flat: Flat
    entrance: Entrance | None


def by_python(
    arguments: Sequence[Form | Fixed],
    watched: Sequence[Watched],
    run: Callable[..., tuple[Any, ...]],
    build: Callable[[tuple[Any, ...]], Any] | None,
    slow: Callable[..., Any],
    keywords: tuple[str, ...] = (),
) -> Entrance | None:
    """Return the way into a program as a Python function; None where its arguments cannot be looked at that quickly.

    Parameters
    ----------
    arguments : sequence
        What the function is given: the form of what varies, or what is fixed.
    watched : sequence
        What must be as it was.
    run : callable
        The program.
    build : callable or None
        What puts the results together; None where the one result is what is returned.
    slow : callable
        The other way.
    keywords : tuple of str
        Which arguments, the last ones, are given by name.
    """
    names: dict[str, Any] = {
        "ndarray": np.ndarray, "f8": _FLOAT64, "run": run, "build": build,
        "slow": slow, "changed": (ChangedError, ArithmeticError, ValueError, KeyError), "budget": iter(range(0)), "gone": GONE,
    }  # fmt: skip
    looks, varying = [], []
    for i, a in enumerate(arguments):
        if isinstance(a, Fixed):
            names[f"k{i}"] = a.value
            looks.append(f"x{i} is k{i}")
            continue
        varying.append(f"x{i}")
        if a.kind == "array":
            names[f"t{i}"], names[f"s{i}"] = a.dtype, a.shape
            looks += [f"type(x{i}) is ndarray", f"x{i}.dtype is t{i}", f"x{i}.shape == s{i}"]
            looks.append(f"x{i}.flags.c_contiguous")
        else:
            names[f"t{i}"] = float if a.kind == "float" else a.dtype.type
            if names[f"t{i}"] is float and a.dtype != _FLOAT64:
                return None
            looks.append(f"type(x{i}) is t{i}")
    for k, (setting, value) in enumerate(CALM):
        names[f"setting{k}"], names[f"calm{k}"] = setting.get, value
        looks.append(f"setting{k}() is calm{k}")
    for i, w in enumerate(watched):
        names[f"h{i}"], names[f"n{i}"], names[f"w{i}"] = w.holder, w.name, w.value
        looks.append(f"{w.python.format(f'h{i}', f'n{i}')} is w{i}")
    by_position = len(arguments) - len(keywords)
    given = ", ".join(f"x{i}" for i in range(by_position))
    named = [f"x{i} = kwargs[{name!r}]" for i, name in enumerate(keywords, by_position)]
    text = f"""\
def entrance(*args, **kwargs):
    if {f"len(kwargs) == {len(keywords)}" if keywords else "not kwargs"}:
        try:
            ({given}{"," if given else ""}) = args
            {"; ".join(named) or "pass"}
            if {" and ".join([*looks, "next(budget, None) is not None"])}:
                found = run({", ".join(varying)})
                return {"found[0]" if build is None else "build(found)"}
        except changed:
            pass
    return slow(*args, **kwargs)
"""
    exec(compile(text, "<entrance>", "exec"), names)

    def grant(calls: int) -> None:
        names["budget"] = iter(range(calls))

    return Entrance(names["entrance"], lambda: length_hint(names["budget"]), grant)
