"""What is supported, function by function, as the rows state it."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from dualdiff.errors import InputError
from dualdiff.kinds.kinks import Kink
from dualdiff.register import BESIDE, REAL_ONLY, REGISTER, Entry, name_of
from dualdiff.rules.ufuncs import special_functions
from dualdiff.values import JOINED, ROOMS, enter_rooms, join

MEANING = {
    "elementwise": "entry by entry, with broadcasting; a partial derivative per operand",
    "movement": "entries are moved, repeated or dropped",
    "linear": "linear in its operand",
    "multilinear": "linear in each operand",
    "general": "with a derivative of its own",
    "composite": "written in functions of this table",
    "discrete": "integer, boolean or locally constant results, or results that no argument's value enters: no derivative",
    "refused": "raises when it meets a differentiated value",
}
DIFFERENTIATED = tuple(kind for kind in MEANING if kind not in ("discrete", "refused"))
"""The kinds whose functions carry derivatives."""
YES, NO = "yes", REAL_ONLY


@dataclass(frozen=True, slots=True)
class Support:
    """What is supported of one function.

    Attributes
    ----------
    name : str
        As users write it: ``"np.linalg.eigh"``.
    kind : str
        ``"elementwise"``, ``"movement"``, ``"linear"``, ``"multilinear"``, ``"general"`` or ``"composite"`` if it carries
        derivatives; ``"discrete"`` if its results have none; ``"refused"``.
    forward, reverse, second : bool
        Whether it is differentiated in forward mode, in reverse mode, and a second time (and more) in both.
    complex : str
        ``"yes"`` where it is differentiated at complex points as well; ``"no"`` where it, or its rule, refuses them by name;
        for vectors that are defined up to a phase, what can be differentiated.
    kinks : str
        What is taken for the derivative at kinks and ties; empty where there are none.
    without : tuple of (str, str)
        Arguments by which it has no derivative, and why. Differentiating by one is refused by its name.
    instead : str
        Of a refused function: why, and what to write instead.
    """

    name: str
    kind: str
    forward: bool
    reverse: bool
    second: bool
    complex: str
    kinks: str = ""
    without: tuple[tuple[str, str], ...] = ()
    instead: str = ""

    def __str__(self) -> str:
        text = [f"{self.name}: {self.kind}, {MEANING[self.kind]}"]
        if self.forward:
            said = [("forward", self.forward), ("reverse", self.reverse), ("second order", self.second)]
            text.append("  " + ", ".join(f"{what}: {_said(yes)}" for what, yes in said))
            text.append(f"  at complex points: {self.complex}")
        if self.kinks:
            text.append(f"  taken at kinks and ties: {self.kinks}")
        text += [f"  no derivative by {argument}: {why}" for argument, why in self.without]
        if self.instead:
            text.append(f"  {self.instead}")
        return "\n".join(text)


class Supported(tuple[Support, ...]):
    """Every function, in the order of their names; it prints as a short table of kinds."""

    __slots__ = ()

    def __str__(self) -> str:
        lines = [f"{len(self)} functions; dd.support(name) says more about one", ""]
        lines.append(
            f"{'kind':<12}{'functions':>10}{'forward':>9}{'reverse':>9}{'second':>9}{'complex':>9}{'kinks':>9}"
        )
        for kind in MEANING:
            these = [s for s in self if s.kind == kind]
            counts = [sum(map(bool, column)) for column in zip(*map(_facts, these), strict=True)]
            lines.append(f"{kind:<12}{len(these):>10}" + "".join(f"{n or '':>9}" for n in counts))
        return "\n".join(lines)

    __repr__ = __str__


def _facts(s: Support) -> tuple[bool, ...]:
    return s.forward, s.reverse, s.second, s.complex not in ("", NO), bool(s.kinks)


def _said(yes: bool) -> str:
    return YES if yes else NO


# --------------------------------------------------------------------------------------------------
# from the rows


def _complex(entry: Entry) -> str:
    """Return what the row states; where it does not, what the function's own loops tell."""
    if entry.facts.complex is not None:
        return entry.facts.complex
    if isinstance(entry.function, np.ufunc):
        taken = [loop.partition("->")[0] for loop in entry.function.types]
        return _said(any(not set("FDG").isdisjoint(loop) for loop in taken))
    return YES


def _kinks(entry: Entry) -> str:
    own = entry.primitive.kink if entry.primitive is not None else None
    found = [*([] if own is None else [own]), *entry.facts.kinks]
    said = [k.convention if isinstance(k, Kink) else f"as {name_of(k)}" for k in found]
    return "; ".join(dict.fromkeys(said))


def _record(entry: Entry) -> Support:
    carries = entry.status in DIFFERENTIATED
    return Support(
        entry.name,
        entry.status,
        forward=carries,
        reverse=carries,
        second=carries and entry.facts.second,
        complex=_complex(entry) if carries else "",
        kinks=_kinks(entry),
        without=tuple([(argument, why.format(name=entry.name)) for argument, why in entry.facts.without]),
        instead=entry.reason,
    )


def entries() -> list[Entry]:
    """Return every row: those of the register, once all tables are imported, and those of the rooms beside it."""
    special_functions()
    for library in [*JOINED, *ROOMS]:
        importlib.import_module(library)
    join()
    enter_rooms()
    return [*REGISTER.values(), *[e for more in BESIDE for e in more()]]


@overload
def support() -> Supported: ...
@overload
def support(function: str | Callable[..., Any]) -> Support: ...
def support(function: str | Callable[..., Any] | None = None) -> Supported | Support:
    """Say what is supported: of every function, or of one.

    The facts are those that the rules themselves state, and the laws of the test suite hold every rule to them.

    Parameters
    ----------
    function : str or callable, optional
        A function of NumPy or SciPy, or its name: ``np.median``, ``"np.median"``, ``"numpy.median"``, ``"median"``.

    Returns
    -------
    Support or Supported
        One frozen record; without an argument a tuple of all of them, which prints as a short table.

    Raises
    ------
    InputError
        If nothing is known under the name; the message says which names are nearest.

    Examples
    --------
    >>> import dualdiff as dd
    >>> print(dd.support("np.median"))
    np.median: composite, written in functions of this table
      forward: yes, reverse: yes, second order: yes
      at complex points: yes
      taken at kinks and ties: as np.sort
    >>> dd.support("np.sort").kinks
    'shared evenly among equal entries'
    >>> [s.name for s in dd.support() if s.kind == "linear" and s.name.startswith("np.t")]
    ['np.trace', 'np.tril', 'np.triu']
    """
    listed = entries()
    if function is None:
        # A function and an older name of its stand under one name each.
        public = sorted([e for e in listed if "._" not in e.name], key=lambda e: e.name)
        return Supported({e.name: _record(e) for e in public}.values())
    if not isinstance(function, str):
        found = [e for e in listed if e.function is function]
        if not found:
            raise _unknown(name_of(function), listed)
        return _record(found[0])
    by_name = {e.name: e for e in listed}
    entry = by_name.get(_shortened(function)) or _alias(function, listed)
    if entry is None:
        last = [e for e in listed if e.name.rpartition(".")[2] == function]
        entry = last[0] if len(last) == 1 else None
    if entry is None:
        raise _unknown(function, listed)
    return _record(entry)


def _shortened(name: str) -> str:
    for long, short in (("numpy.linalg.", "np.linalg."), ("numpy.fft.", "np.fft."), ("numpy.", "np.")):
        if name.startswith(long) and not name.startswith(("numpy.lib.", "numpy.polynomial.", "numpy.char.")):
            return short + name[len(long) :]
    return name


def _alias(name: str, listed: Iterable[Entry]) -> Entry | None:
    """Return the row of a function that has another name than its own, such as ``np.abs``."""
    first, *rest = name.split(".")
    module = {"np": "numpy", "sp": "scipy"}.get(first, first)
    found: Any = sys.modules.get(module) if module in ("numpy", "scipy") else None
    for part in rest:
        found = getattr(found, part, None)
    return None if found is None else next((e for e in listed if e.function is found), None)


def _unknown(name: str, listed: Iterable[Entry]) -> InputError:
    """Return the error for a name that is not known, with the nearest ones that are."""
    names = sorted({e.name for e in listed if "._" not in e.name})
    last = name.rpartition(".")[2].lower()
    near = [n for n in names if n.rpartition(".")[2].lower() == last]
    near += difflib.get_close_matches(name, names, n=3)
    ends: dict[str, list[str]] = defaultdict(list)
    for n in names:
        ends[n.rpartition(".")[2].lower()].append(n)
    for end in difflib.get_close_matches(last, ends, n=3):
        near += ends[end]
    told = ", ".join(dict.fromkeys(near))
    return InputError(
        f"no function {name!r} is known here; "
        + (f"the nearest names are {told}" if told else "dd.support() lists all")
    )


__all__ = ["DIFFERENTIATED", "MEANING", "NO", "YES", "Support", "Supported", "entries", "support"]
