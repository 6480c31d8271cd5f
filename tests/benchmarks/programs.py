"""Compiled programs beside compiled peers, on every workload that is of interest: ``python -m tests.benchmarks programs``.

Whole calls, from an array to an array that is the caller's own: processor time, minima in turns within one run, after the answers have been
compared. Ours is shown by each tier that exists and by the operator, eagerly. First calls (recording, tracing, compiling) stand in a
table of their own. ``--rows TEXT`` keeps the workloads whose name contains a text; a family by itself is ``programs-loops``, for instance.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.benchmarks.compiled import arrays, fits, loops, scalar, sparse
from tests.benchmarks.compiled.contest import contest, tables
from tests.benchmarks.compiled.entrants import missing, versions

Row = dict[str, Any]
FAMILIES = {"scalar": scalar, "arrays": arrays, "loops": loops, "sparse": sparse, "fits": fits}
wanted = ""
"""Part of the names of the workloads to run; ``--rows`` sets it."""


def _family(*names: str) -> list[Row]:
    """Whole calls of compiled programs beside the operator, differences, code by hand and compiled peers."""
    found = {}
    for name in names:
        chosen = [w for w in FAMILIES[name].workloads() if wanted.casefold() in w.name.casefold()]
        if chosen:
            found[name] = contest(chosen)
    return tables(found, [*missing(), versions()])


def programs() -> list[Row]:
    """Whole calls of compiled programs beside the operator, differences, code by hand and compiled peers."""
    return _family(*FAMILIES)


def _one(name: str) -> Callable[[], list[Row]]:
    section = partial(_family, name)
    section.__doc__ = f"The same, of the family {name} alone."
    return section


TOOLS: dict[str, Callable[[], list[Row]]] = {f"programs-{name}": _one(name) for name in FAMILIES}
