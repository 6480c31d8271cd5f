"""The choice between the ways, from the cost of each on the recorded tape."""

from __future__ import annotations

from dataclasses import dataclass

from dualdiff.passes import cost_of
from dualdiff.tape import Tape

RECORD_EQUATION = 0.7e-6
"""Seconds to write one equation down."""
SWEEP = 12e-6
"""Seconds that any sweep costs before its first equation: seeds, and putting the result together."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a Jacobian and what it would cost.

    Attributes
    ----------
    name : str
        "forward" or "reverse".
    sweeps : int
        Directions it carries: columns for forward, rows for reverse.
    operations : int
        Element operations over all directions.
    bytes : int
        Peak memory of its temporaries, in bytes.
    seconds : float
        Estimated time, in seconds, beyond one evaluation of the function.
    """

    name: str
    sweeps: int
    operations: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """The ways to a Jacobian with their costs, the one chosen, and the reason in a sentence. Prints as a table."""

    ways: tuple[Way, ...]
    chosen: str
    reason: str
    inputs: int
    outputs: int
    equations: int

    def __str__(self) -> str:
        head = f"Jacobian of {self.outputs} outputs by {self.inputs} inputs, {self.equations} equations"
        rows = [("way", "sweeps", "operations", "bytes", "est. time", "")]
        for w in self.ways:
            rows.append(
                (
                    w.name,
                    f"{w.sweeps:,}",
                    f"{w.operations:,}",
                    _bytes(w.bytes),
                    _time(w.seconds),
                    "← chosen" if w.name == self.chosen else "",
                )
            )
        widths = [max(len(r[c]) for r in rows) for c in range(6)]
        lines = [
            "  ".join(
                c.ljust(w) if j in (0, 5) else c.rjust(w) for j, (c, w) in enumerate(zip(r, widths, strict=True))
            ).rstrip()
            for r in rows
        ]
        return "\n".join([head, *lines, self.reason])


def _time(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            return f"{seconds * factor:.3g} {unit}"
    return ""


def _bytes(n: int) -> str:
    size = float(n)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.4g} {unit}"
        size /= 1024
    return ""


def choose(tape: Tape, n: int, m: int) -> Explanation:
    """Cost every way on a tape and choose the cheapest.

    Parameters
    ----------
    tape : Tape
        The recorded run.
    n, m : int
        Inputs and outputs, counted as scalars.
    """
    columns, rows = cost_of(tape, n, "forward"), cost_of(tape, m, "reverse")
    ways = (
        Way("forward", n, columns.operations, columns.bytes, columns.seconds + SWEEP),
        Way("reverse", m, rows.operations, rows.bytes, rows.seconds + RECORD_EQUATION * len(tape) + SWEEP),
    )
    best = min(ways, key=lambda w: w.seconds)
    other = next(w for w in ways if w is not best)
    ratio = other.seconds / best.seconds
    what = f"pushing {n} columns" if best.name == "forward" else f"pulling {m} rows"
    against = f"pulling {m} rows" if best.name == "forward" else f"pushing {n} columns"
    close = "about as fast as" if ratio < 1.05 else f"estimated {ratio:.1f} times faster than"
    return Explanation(ways, best.name, f"{best.name}: {what} is {close} {against} on this tape.", n, m, len(tape))
