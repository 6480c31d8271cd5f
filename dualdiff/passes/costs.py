"""What a sweep over a tape would cost, equation by equation, from the constants of each kind."""

from __future__ import annotations

from dataclasses import dataclass

from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tape import Tape

BATCH = 1.1e-6
"""Seconds more for an equation that carries several directions: scalars become arrays, operands are aligned."""
PULL_TO_PUSH = 1.15
"""The elements of a pulled equation take this much longer than those of a pushed one: it accumulates."""
CACHE = 2**17
"""Elements over all directions beyond which temporaries leave the cache."""
BEYOND_CACHE = 3.0
"""How much longer an element takes there."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of carrying some directions through a tape: element operations, peak bytes and seconds."""

    operations: int
    bytes: int
    seconds: float


def cost_of(tape: Tape, directions: int, mode: str) -> Cost:
    """Return the cost of pushing or pulling a number of directions through every differentiable equation.

    Parameters
    ----------
    tape : Tape
        The recorded run.
    directions : int
        How many columns (forward) or rows (reverse) travel at once.
    mode : {"forward", "reverse"}
        The way.
    """
    operations = largest = 0
    seconds = 0.0
    for row, ins, args, params, out, _ in tape.equations:
        if not row.differentiable or not any(i is not None and i >= 0 for i in ins):
            continue
        size = max([size_of(shape_of(out)), *(size_of(shape_of(a)) for a in args)])
        operations += size * directions
        largest = max(largest, size * dtype_of(out).itemsize)
        fixed = row.cost_fixed + (BATCH if directions > 1 else 0.0)
        elements = row.cost(args, params, out, directions) - row.cost_fixed
        if size * directions > CACHE:
            elements *= BEYOND_CACHE
        seconds += fixed + elements * (PULL_TO_PUSH if mode == "reverse" else 1.0)
    return Cost(operations, 3 * largest * directions, seconds)
