"""The tables of a trace, before it is said whether they become text, HTML or LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dualdiff.lab.trace.words import array
from dualdiff.shapes import shape_of, size_of

if TYPE_CHECKING:
    from dualdiff.lab.trace.steps import Step, Trace

__all__ = ["LONGEST", "Column", "Row", "Sheet", "sheets", "text"]

LONGEST = 60
"""Of a longer table the middle is left out where it is printed."""


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, and what the cells under it are: labels of steps, code, or numbers."""

    heading: str
    kind: Literal["label", "code", "number"]


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one step, and which of them are a seed or what arrives of it: the number of the Jacobian's column or row."""

    texts: tuple[str, ...]
    marks: dict[int, int] = field(default_factory=dict)
    line: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def sheets(trace: Trace) -> list[Sheet]:
    """Return the table of dual numbers, and a table of adjoints for each row pulled."""
    found = [_duals(trace)] if trace.columns or not trace.rows else []
    return [*found, *[_adjoints(trace, k) for k in range(len(trace.rows))]]


def _duals(trace: Trace) -> Sheet:
    def write(x: Any) -> str:
        return array(x, trace.digits)

    rows = []
    at = 0
    for step in trace.steps:
        seeded: dict[int, int] = {}
        if step.operation == "input":
            size = size_of(shape_of(step.value))
            seeded = {4 + k: j for k, j in enumerate(trace.columns) if at <= j < at + size}
            at += size
        tangents = ["-" for _ in trace.columns] if step.tangents is None else map(write, step.tangents)
        cells = (step.label, step.name, step.operation, write(step.value), *tangents)
        rows.append(Row(cells, seeded, step.place.line))
    made = ", ".join(dict.fromkeys("constant" if s is None else trace.steps[s].label for s in trace.owners))
    number = trace.outputs == (trace.function,)
    ends = [write(v[0] if number else v) for v in (trace.value, *trace.pushed.T)]
    arrives = {4 + k: j for k, j in enumerate(trace.columns)}
    last = Row((trace.function, "", f"output {made}", *ends), arrives)
    return Sheet(
        f"Dual numbers, forward: the seed e_j fills column j{_of(trace.columns, len(trace.inputs))}",
        (
            Column("step", "label"),
            Column("variable", "code"),
            Column("operation", "code"),
            Column("value", "number"),
            *[Column(f"e_{j}", "number") for j in trace.columns],
        ),
        (*_abbreviated(rows), last),
    )


def _adjoints(trace: Trace, k: int) -> Sheet:
    i = trace.rows[k]
    seeded = trace.owners[i]
    rows = []
    for position in range(len(trace.steps) - 1, -1, -1):
        step = trace.steps[position]
        seed = position == seeded
        reached = seed or any(np.any(np.not_equal(c.adjoints[k], 0)) for c in step.contributions)
        if step.adjoints is None or not (reached or step.operation == "input"):
            continue  # absence is zero
        cells = (step.label, step.name, array(step.adjoints[k], trace.digits), _contributed(trace, step, k, seed))
        marked = (2, 3) if seed else (2,) if step.operation == "input" else ()
        rows.append(Row(cells, dict.fromkeys(marked, i), step.place.line))
    return Sheet(
        f"Adjoints, backward: the seed e_{i} fills row {i}{_of(trace.rows, len(trace.outputs)) if k == 0 else ''}",
        (
            Column("step", "label"),
            Column("variable", "code"),
            Column("adjoint", "number"),
            Column("contributed by", "label"),
        ),
        tuple(_abbreviated(rows)),
    )


def _contributed(trace: Trace, step: Step, k: int, seed: bool) -> str:
    """Say who contributed, and how much each where there are several."""
    who = [(f"the seed at {trace.outputs[trace.rows[k]]}", None)] if seed else []
    who += [(c.label, c.adjoints[k]) for c in step.contributions if np.any(np.not_equal(c.adjoints[k], 0))]
    if len(who) < 2:
        return who[0][0] if who else "nobody"
    return ", ".join(name if c is None else f"{name}: {array(c, trace.digits)}" for name, c in who)


def _of(shown: Sequence[int], count: int) -> str:
    """Say which are shown where that is not all."""
    if tuple(shown) == tuple(range(count)):
        return ""
    return f" (of {count} shown: {', '.join(map(str, shown))})"


def _abbreviated(rows: Sequence[Row]) -> Sequence[Row]:
    if len(rows) <= LONGEST:
        return rows
    half = LONGEST // 2
    left = len(rows) - 2 * half
    between = Row(("⋮", "", f"{left} more", *["⋮"] * (len(rows[0].texts) - 3)))
    return [*rows[:half], between, *rows[-half:]]


def text(sheet: Sheet) -> str:
    """Return a table as aligned text."""
    cells = [tuple(c.heading for c in sheet.columns), *[row.texts for row in sheet.rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rules = tuple("-" * width for width in widths)
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in (cells[0], rules, *cells[1:])
    ]
    return "\n".join([sheet.title, *lines])
