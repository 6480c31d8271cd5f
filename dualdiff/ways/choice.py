"""The choice between the ways: the cheapest that fits the memory allowed, its directions cut into chunks that stay in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dualdiff.errors import InputError
from dualdiff.passes.costs import seconds
from dualdiff.ways.base import Way
from dualdiff.ways.colored import way_of_colors
from dualdiff.ways.options import Options
from dualdiff.ways.program import Program

WORKING_SET = 1 << 22
"""Elements over all directions of the widest tangent beyond which directions travel in chunks."""
MARGIN = 1.5
"""What Python's own objects, BLAS, and temporaries that no kind tells of may make of the bytes predicted beside the result."""
SMALL = 1 << 26
"""Bytes that are not worth a closer look."""


def ways_of(program: Program, options: Options) -> tuple[type[Way], ...]:
    """Return the ways that the options allow on a program."""
    if options.colors is not None:
        return (way_of_colors(program.pattern, options.colors, options.symmetric),)
    return options.ways


def price(program: Program, way: Way, options: Options) -> float:
    """Return what a way costs by the model in use."""
    if options.cost is None:
        return seconds(program, way)
    found: object = options.cost(program, way)
    try:
        number = float(found)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise InputError(
            f"cost= returned {found!r} for the way {way.name!r}; it must return a finite number of seconds"
        )
    return number


def bytes_of(program: Program, way: Way) -> int:
    """Return the peak memory a way takes beside the function's own values, the result included."""
    result = way.entries * program.itemsize
    return result + int(MARGIN * (way.memory(program) - result)) + 1024


def fitted(program: Program, way: Way, options: Options) -> Way | None:
    """Return a way cut into chunks that stay within the memory allowed, or None where one direction does not."""
    limit = options.limit
    if not way.divisible:
        return way if bytes_of(program, way) <= limit else None
    if _rough_bytes(program, way, limit) <= min(limit, SMALL):
        return way
    whole = bytes_of(program, way)
    if options.chunk is not None:
        return way if whole <= limit else None
    directions = way.directions
    if whole <= limit and max(way.arrays(program, directions), default=0) <= WORKING_SET:
        return way
    fixed = bytes_of(program, replace(way, chunk=1))
    if fixed > limit:
        return None
    each = max(1, bytes_of(program, replace(way, chunk=2)) - fixed)
    room = 1 + (limit - fixed) // each
    chunk = max(1, min(room, max(16, WORKING_SET // program.widest), directions))
    return replace(way, chunk=None if chunk >= directions and whole <= limit else chunk)


def _rough_bytes(program: Program, way: Way, limit: int) -> int:
    """Return more than a way takes with all directions at once, the result apart, from sizes alone."""
    room = program.inputs + program.outputs + sum([s.size for s in program.steps if s is not None])
    result = 16 * way.entries
    return 16 * (2 * sum(way.held(program, way.directions)) + room) + (result if result > limit else 0)


def choose(program: Program, options: Options, without: Sequence[type[Way]] = ()) -> tuple[Way, float]:
    """Choose the cheapest way that fits the memory allowed, and say what it would take in seconds.

    Parameters
    ----------
    program : Program
        The recorded run.
    options : Options
        How the Jacobian was asked for.
    without : sequence of type
        Ways that were tried and do not serve.

    Raises
    ------
    InputError
        If no way applies, or none fits into the memory allowed.
    """
    kinds = [w for w in ways_of(program, options) if w not in without]
    # The cheapest so far is looked at closely: colours are found, and directions cut into chunks that fit. If that makes it
    # dearer, the next one has its turn. What cannot win is never looked at.
    open_ones: list[tuple[float, Way]] = []
    done: list[tuple[float, Way]] = []
    misfits: list[Way] = []
    for kind in kinds:
        if open_ones and options.cost is None and kind.least(program) >= min(s for s, _ in open_ones):
            continue
        way = kind.at(program, options, exact=len(kinds) == 1)
        if way is not None:
            open_ones.append((price(program, way, options), way))
    while open_ones:
        nearest = min(open_ones, key=lambda o: o[0])
        if done and min(s for s, _ in done) <= nearest[0]:
            break
        open_ones.remove(nearest)
        cost, rough = nearest
        way = rough if rough.is_exact else type(rough).at(program, options)
        if way is None:
            continue
        found = fitted(program, way, options)
        if found is None:
            misfits.append(way)
        else:
            done.append((cost if found is rough else price(program, found, options), found))
    if not done:
        raise InputError(_too_small(program, options, misfits) if misfits else kinds[0].missing(options))
    least, best = min(done, key=lambda pair: pair[0])
    return best, least


def _too_small(program: Program, options: Options, misfits: Sequence[Way]) -> str:
    least = min(bytes_of(program, replace(w, chunk=1) if w.divisible else w) for w in misfits)
    given = (
        f"max_bytes={options.max_bytes}"
        if options.max_bytes is not None
        else f"half the memory ({said_bytes(options.limit)})"
    )
    dense = program.outputs * program.inputs * 8
    advice = (
        "use dd.linear_operator(f, x), which forms no Jacobian"
        if options.sparse or dense <= options.limit
        else "use sparse=True if most entries are zero, or dd.linear_operator(f, x), which forms no Jacobian"
    )
    return (
        f"{given} is too small: the Jacobian of {program.outputs} outputs by {program.inputs} inputs takes "
        f"{said_bytes(least)} with one direction at a time; allow more, or {advice}"
    )


def said_bytes(n: int) -> str:
    """Return a number of bytes with its unit."""
    size = float(n)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"
