"""Whether a method of one's own is right: it is computed on problems whose Jacobians are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dualdiff.errors import DerivativeError, InputError
from dualdiff.lab.agreement import difference
from dualdiff.lab.problems import Case, zoo
from dualdiff.lab.subject import Subject

__all__ = ["MethodError", "verify"]

_VERIFIED: dict[tuple[int, float, tuple[str, ...]], tuple[Any, int]] = {}
"""The methods that were found right, with the problems they were tried on: nobody waits for that twice."""


class MethodError(DerivativeError):
    """A method that was to be compared gives a wrong Jacobian on a problem whose Jacobian is known."""


def verify(
    call: Callable[..., Any], cases: Iterable[Case] | None = None, *, name: str = "", tolerance: float = 1e-10
) -> int:
    """Hold a method against the known Jacobians of problems; return on how many it was right.

    Parameters
    ----------
    call : callable
        ``(f, x) -> J``.
    cases : iterable of Case, optional
        The small zoo by default. Those without a Jacobian by hand are left out.
    name : str, optional
        What the method is called in the message.
    tolerance : float
        How far off it may be, relative to the largest entry of a column (of a row, if there are more columns than rows).

    Returns
    -------
    int
        How many problems it was tried on, those apart on which it raised: a method may not apply everywhere.

    Raises
    ------
    MethodError
        If it is wrong on one, with the problem's name and both numbers, or raises on all.

    Examples
    --------
    >>> import dualdiff as dd
    >>> verify(lambda f, x: dd.jacrev(f)(x), zoo("small")[:5])
    5
    >>> verify(lambda f, x: 2 * dd.jacrev(f)(x), zoo("small")[:5])
    Traceback (most recent call last):
    ...
    dualdiff.lab.verification.MethodError: the method is wrong on rosenbrock-10: J[2, 2] is 51.67..., and 25.83... by hand ...
    """
    said = f"the method {name!r}" if name else "the method"
    known = [(c, c.jacobian) for c in (zoo("small") if cases is None else cases) if c.jacobian is not None]
    key = id(call), tolerance, tuple([case.name for case, _ in known])
    if key in _VERIFIED and _VERIFIED[key][0] is call:
        return _VERIFIED[key][1]
    right, failure = 0, ""
    for case, jacobian in known:
        subject = Subject(case.function, (case.point,))
        wanted = np.reshape(jacobian(case.point), (subject.m, subject.n))
        try:
            found = call(case.function, case.point)
        except Exception as error:  # a method may not apply to every function
            failure = f"{type(error).__name__} on {case.name}: {error}"
            continue
        try:
            found = subject.matrix(found)
        except InputError as error:
            raise MethodError(f"{said} is wrong on {case.name}: {error}") from None
        gap = difference(found, wanted)
        if not gap <= tolerance:
            off = np.abs(found - wanted)
            i, j = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), off.shape)
            raise MethodError(
                f"{said} is wrong on {case.name}: J[{i}, {j}] is {found[i, j]:.17g}, and {wanted[i, j]:.17g} by hand "
                f"({gap:.1e} of the largest entry beside it; {tolerance:.0e} is allowed)"
            )
        right += 1
    if not right and known:
        raise MethodError(f"{said} raised on all of {len(known)} problems, the last time {failure}")
    _VERIFIED[key] = call, right
    return right
