"""The methods for a Jacobian that the lab compares: ways, compiled programs, elimination orders, differences, and anybody's own.

A method is an object that prepares a call without arguments for a function at a point, and says what is known beforehand of
the work it will be. Whoever compares, sweeps or lists goes over the methods and asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

from dualdiff.errors import InputError
from dualdiff.lab.catalogue.base import EXACT, Method, Work
from dualdiff.lab.catalogue.differences import of_differences
from dualdiff.lab.catalogue.orders import of_orders
from dualdiff.lab.catalogue.own import Given
from dualdiff.lab.catalogue.programs import of_programs
from dualdiff.lab.catalogue.ways import of_ways
from dualdiff.lab.problems import zoo
from dualdiff.lab.subject import Subject

__all__ = ["METHODS", "Given", "Method", "Methods", "Work", "forget", "method", "methods"]


class Methods(Sequence[Method]):
    """All methods in the order in which they are listed: the ways as they are registered now, programs, orders, differences, one's own.

    Attributes
    ----------
    own : list of Given
        Those that users registered.
    """

    def __init__(self) -> None:
        self.own: list[Given] = []

    def _all(self) -> list[Method]:
        return [*of_ways(), *of_programs(), *of_orders(), *of_differences(), *self.own]

    @overload
    def __getitem__(self, at: int) -> Method: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Method]: ...
    def __getitem__(self, at: int | slice) -> Method | Sequence[Method]:
        return self._all()[at]

    def __len__(self) -> int:
        return len(self._all())


METHODS = Methods()
"""Every method that `compare` tries by default."""


def method(
    name: str, *, exact: bool = True, tolerance: float = EXACT, on: Iterable[Any] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a method of one's own: `compare` and `sweep` list it from then on.

    Before it is timed for the first time it is computed on the zoo and held against the Jacobians known there; one that is
    wrong is refused, with the problem's name and the numbers.

    Parameters
    ----------
    name : str
        What its row is called. A method of that name is replaced.
    exact : bool
        Whether it is off by rounding alone, so that a larger difference is an error.
    tolerance : float
        How far off it may be, relative to the size of the terms.
    on : iterable of Case, optional
        On which problems it must be right; by default on the small zoo. An empty one for methods that take functions
        written for another library.

    Returns
    -------
    callable
        A decorator, which returns the function as it is.

    Raises
    ------
    InputError
        If the name is that of a method of the library.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> from dualdiff import lab
    >>> @lab.method("columns one by one", on=lab.problems.zoo("small")[:3])
    ... def one_by_one(f, x):
    ...     return np.stack([dd.jvp(f, (x,), (e,))[1] for e in np.eye(x.size)], axis=-1)
    >>> found = lab.compare(np.sin, np.array([1.0, 2.0]), methods=["columns one by one"], rounds=1)
    >>> found.agree
    True
    >>> lab.forget("columns one by one")
    """

    def register(call: Callable[..., Any]) -> Callable[..., Any]:
        known = next((m for m in METHODS if m.name == name), None)
        if known is not None and not isinstance(known, Given):
            raise InputError(f"there is a method {name!r} in the library already; give yours another name")
        if known is not None:
            METHODS.own.remove(known)
        cases = zoo("small") if on is None else tuple(on)
        METHODS.own.append(Given(name=name, exact=exact, tolerance=tolerance, call=call, on=cases))
        return call

    return register


def methods(asked: Any = None, subject: Subject | None = None) -> tuple[Method, ...]:
    """Return the methods that are meant by what was given for ``methods=``.

    Parameters
    ----------
    asked : str, callable, Method, or iterable or mapping of them, optional
        Names, names of groups ("ways", "programs", "orders", "differences", "own"), functions ``(f, *args) -> J``, or a mapping of
        names to such functions. All that are registered by default.
    subject : Subject, optional
        A function at a point: of a group those that do not apply there are left out.

    Returns
    -------
    tuple of Method

    Raises
    ------
    InputError
        If there is no method or group of a name, or two rows would have one name.

    Examples
    --------
    >>> [m.name for m in methods(["2-point", "3-point"])]
    ['2-point', '3-point']
    >>> methods("4-point")
    Traceback (most recent call last):
    ...
    dualdiff.errors.InputError: there is no method '4-point'; there are ...
    """
    if asked is None:
        return _applicable(METHODS, subject)
    if isinstance(asked, Mapping):
        return tuple([_named(str(name), one) for name, one in asked.items()])
    several = [asked] if isinstance(asked, str | Method) or callable(asked) else asked
    # A method asked for by its name and by its group's is one.
    found = tuple(dict.fromkeys([m for one in several for m in _meant(one, subject)]))
    names = [m.name for m in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two methods are called {twice!r}; give a mapping of names to functions")
    return found


def _meant(asked: Any, subject: Subject | None) -> tuple[Method, ...]:
    if isinstance(asked, Method):
        return (asked,)
    if not isinstance(asked, str):
        return (_named(str(getattr(asked, "__name__", "") or type(asked).__name__), asked),)
    named = tuple([m for m in METHODS if m.name == asked])
    if named:
        return named
    group = [m for m in METHODS if m.group == asked]
    if group:
        return _applicable(group, subject)
    known = ", ".join([repr(m.name) for m in METHODS])
    groups = ", ".join([repr(g) for g in dict.fromkeys([m.group for m in METHODS])])
    raise InputError(
        f"there is no method {asked!r}; there are {known}, the groups {groups}, and your own functions (f, *args) -> J"
    )


def _applicable(listed: Iterable[Method], subject: Subject | None) -> tuple[Method, ...]:
    return tuple([m for m in listed if subject is None or _applies(m, subject)])


def _applies(m: Method, subject: Subject) -> bool:
    try:
        return m.applies(subject)
    except Exception:  # a function that cannot be recorded: the method's own row will say why
        return True


def _named(name: str, asked: Any) -> Method:
    if isinstance(asked, str):
        found = _meant(asked, None)
        if len(found) > 1:
            raise InputError(f"{asked!r} is a group of methods, and cannot be called {name!r}")
        return replace(found[0], name=name)
    if isinstance(asked, Method):
        return replace(asked, name=name)
    if not callable(asked) or not name:
        raise InputError(f"a method is a name or a function (f, *args) -> J, not {type(asked).__name__!r}")
    return Given(name=name, call=asked)


def forget(name: str) -> None:
    """Take a method of one's own out of the register.

    Parameters
    ----------
    name : str

    Raises
    ------
    InputError
        If there is none of that name.
    """
    found = next((m for m in METHODS.own if m.name == name), None)
    if found is None:
        raise InputError(f"no method {name!r} of your own is registered")
    METHODS.own.remove(found)
