"""Laws of calling: a derivative depends on its point alone, and leaves everything as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.testing.claims import Claim
from dualdiff.testing.place import Place
from dualdiff.testing.report import CheckError, name_of
from dualdiff.testing.tolerances import tolerance
from dualdiff.trees import flatten

__all__ = ["asked_first", "hold_to_laws_of_calling"]


def asked_first(claim: Claim, args: Sequence[Any]) -> Exception | None:
    """Call the rule before the function has been called; return what it raises."""
    try:
        with np.errstate(all="ignore"):
            claim.rule(*_copies(args))
    except Exception as e:  # whatever it stumbles over
        return e
    return None


def hold_to_laws_of_calling(claim: Claim, place: Place, early: Exception | None, rtol: float = 0.0) -> list[str]:
    """Raise unless the rule gives the same twice, and after a call of f elsewhere, and writes into nothing.

    Parameters
    ----------
    claim : Claim
        The rule.
    place : Place
        The point. The rule has been called there, after ``f``.
    early : Exception or None
        What the rule raised when it was called before ``f`` was.
    rtol : float
        By how much two calls may differ.

    Returns
    -------
    list of str
        A line for the report.
    """
    _leaves_alone(place.f, place.args, name_of(place.f))
    _leaves_alone(claim.rule, place.args, claim.name, lambda args: _called(claim, place, args))
    once, twice = claim.again(place), claim.again(place)
    if not _equal(once, twice, rtol):
        raise CheckError(f"{claim.name}: called twice at one point it gives two answers{_differing(once, twice)}")
    for elsewhere in _elsewhere(place):
        try:
            with np.errstate(all="ignore"):
                place.f(*elsewhere)
        except Exception:  # outside its domain
            continue
        after = claim.again(place)
        if not _equal(once, after, rtol):
            raise CheckError(
                f"{claim.name} is stale: after f was called at another point it gives another answer at this one{_differing(once, after)}. "
                "It uses what the last call of f left behind; compute that from its own argument"
            )
    if early is not None:
        raise CheckError(
            f"{claim.name} works only after f has been called; before that it raises {type(early).__name__}: {early}. "
            "Compute what it needs from its own argument"
        )
    return ["calls: the same twice and after calls of f elsewhere; nothing is written to"]


def _called(claim: Claim, place: Place, args: tuple[Any, ...]) -> None:
    if claim.what != "rule":
        claim.rule(*args)


def _leaves_alone(
    f: Callable[..., Any], args: Sequence[Any], name: str, call: Callable[[tuple[Any, ...]], Any] | None = None
) -> None:
    """Raise if a function writes into its arguments."""
    given = _copies(args)
    try:
        with np.errstate(all="ignore"):
            call(given) if call is not None else f(*given)
    except CheckError:
        raise
    except Exception:  # it is called elsewhere as well, where that is told
        return
    for i, (a, b) in enumerate(zip(given, args, strict=True)):
        for x, y in zip(flatten(a)[0], flatten(b)[0], strict=False):
            if isinstance(x, np.ndarray) and not np.array_equal(x, y, equal_nan=x.dtype.kind in "fc"):
                raise CheckError(f"{name} writes into its argument {i}; it must leave it as it is, and work on a copy")


def _elsewhere(place: Place) -> list[tuple[Any, ...]]:
    """Return two points beside this one."""
    found = []
    for factor in (1.25, 0.875):
        moved = [np.asarray(np.where(x == 0, factor, x * factor)).astype(x.dtype)[()] for x in place.inputs]
        found.append(place.arguments(moved))
    return found


def _copies(args: Sequence[Any]) -> tuple[Any, ...]:
    leaves, build = flatten(tuple(args))
    return build([x.copy() if isinstance(x, np.ndarray) else x for x in leaves])


def _equal(a: Sequence[Any], b: Sequence[Any], rtol: float) -> bool:
    for x, y in zip(a, b, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        with np.errstate(all="ignore"):
            size = np.max(np.abs(x), initial=0.0, where=np.isfinite(x))
            close = (x == y) | (np.isnan(x) & np.isnan(y)) | (np.abs(x - y) <= max(rtol, tolerance(x, y)) * size)
        if not close.all():
            return False
    return True


def _differing(a: Sequence[Any], b: Sequence[Any]) -> str:
    for x, y in zip(a, b, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        differ = np.argwhere(~((x == y) | (np.isnan(x) & np.isnan(y))))
        if len(differ):
            at = tuple(int(i) for i in differ[0])
            return f", {x[at]:.17g} and then {y[at]:.17g} in entry {list(at)}"
    return ""
