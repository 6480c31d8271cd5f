"""What a way to a Jacobian would cost on a tape: seconds and bytes, equation by equation.

The model is a plain function ``(program, way) -> seconds`` (:func:`seconds`), and a user may put another in its place.
A way says how much of everything it takes (its ``quantities``); here are the sums that ways share, and the prices.
Two things are counted: Python's and NumPy's fixed price of every step, and the elements that move. Forward mode is followed
by what its tangents would be (see :mod:`dualdiff.tangents`): arrays of all directions, or as many coefficient arrays as
there are terms. The prices are constants of the machine (:class:`Machine`): shipped defaults, or measured by
``python -m dualdiff calibrate``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from dualdiff.kinds.base import ALL, Asked, Step
from dualdiff.kinds.local import linked_forecast
from dualdiff.passes.cuts import activity
from dualdiff.passes.push import last_uses
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tangents import DENSE
from dualdiff.tape import Tape


@dataclass(frozen=True, slots=True)
class Machine:
    """The prices of one machine, in seconds.

    Attributes
    ----------
    frame : float
        One call of a Jacobian's operator, whatever the function.
    record : float
        Writing one equation down.
    replayable : float
        Keeping what a second look at an equation needs, and comparing it with the program known.
    dual : float
        One operation on dual numbers, beside its coefficients.
    term : float
        One coefficient array of a tangent, beside its elements.
    map : float
        The same where each entry has a direction of its own: the map of them moves and is compared.
    group : float
        Finding out which entries of an operand go into one entry of a result, for terms to pass.
    whole : float
        Making an array of all directions from terms.
    push_elementwise, push_movement, push_linear, push_multilinear, push_general : float
        One operand of one step forwards with several directions in one array, by the kind of the primitive.
    pull_elementwise, pull_movement, pull_linear, pull_multilinear, pull_general : float
        The same backwards.
    push_one, pull_one : float
        One step with a single direction.
    element, far : float
        One element of one direction, in the cache and beyond it.
    flop : float
        One multiplication and addition in a matrix product.
    scatter : float
        One element read or written by an index.
    stage : float
        Cutting a part out of a tape, and its seeds.
    level : float
        One step of a substitution.
    vertex : float
        One vertex of the linearised graph, eliminated.
    """

    frame: float = 12e-6
    record: float = 0.9e-6
    replayable: float = 1.0e-6
    dual: float = 1.1e-6
    term: float = 0.5e-6
    map: float = 1.5e-6
    group: float = 60e-6
    whole: float = 4.0e-6
    push_elementwise: float = 1.6e-6
    push_movement: float = 2.2e-6
    push_linear: float = 4.0e-6
    push_multilinear: float = 6.0e-6
    push_general: float = 12e-6
    pull_elementwise: float = 1.8e-6
    pull_movement: float = 3.0e-6
    pull_linear: float = 4.0e-6
    pull_multilinear: float = 7.0e-6
    pull_general: float = 14e-6
    push_one: float = 1.0e-6
    pull_one: float = 1.0e-6
    element: float = 0.45e-9
    far: float = 1.2e-9
    flop: float = 5e-11
    scatter: float = 2e-9
    stage: float = 10e-6
    level: float = 3e-6
    vertex: float = 8e-6


CACHE = 1 << 17
"""Elements of all directions that the cache holds."""


def file_of_constants() -> Path | None:
    """Return where the measured constants of this machine are kept; None where platformdirs is not installed."""
    try:
        import platformdirs
    except ImportError:
        return None
    return Path(platformdirs.user_cache_dir("dualdiff")) / "machine.json"


@lru_cache(maxsize=1)
def machine() -> Machine:
    """Return the constants of this machine: measured ones if there are, shipped ones otherwise."""
    if os.environ.get("DUALDIFF_CALIBRATION") == "shipped":
        return Machine()
    path = file_of_constants()
    if path is None or not path.is_file():
        return Machine()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return constants(found["constants"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Machine()  # a file of another version, or half written: the shipped constants are always right enough


def constants(found: dict[str, Any]) -> Machine:
    """Return constants read from a file: positive numbers under the names of :class:`Machine`."""
    known = {f.name for f in fields(Machine)}
    chosen = {k: float(v) for k, v in found.items() if k in known}
    if any(not (math.isfinite(v) and v > 0) for v in chosen.values()):
        raise ValueError("the constants of a machine are positive numbers")
    return replace(Machine(), **chosen)


# --------------------------------------------------------------------------------------------------
# what the tangents of a forward run would be


def forms(tape: Tape, k: int, counts: Sequence[int] | None = None) -> list[Any]:
    """Return for every slot what its tangent would be: None for none, a set of terms, or :data:`ALL` directions.

    A term is a direction (an int) or a token that stands for a map; equal tokens are maps known to be equal.
    ``counts``, of the pattern, says on how many inputs one entry of each slot depends: with no more terms than that
    a tangent can do, if like directions are merged.
    """
    found: list[Any] = []
    offset = 0
    for a in tape.inputs:
        found.append(frozenset((("x", offset),)) if a.shape else frozenset((offset,)))
        offset += size_of(a.shape)
    for e, (row, ins, args, params, out, _) in enumerate(tape.equations):
        sets = [found[i] if i is not None and i >= 0 else None for i in ins]
        form = None
        if counts is None and ALL in sets and row.differentiable:
            form = ALL
        elif row.differentiable and sets.count(None) < len(sets):
            asked = Asked(sets, args, params, out, k, e)
            form = form_of_result(row, ins, asked, counts is not None)
            if form is not None and counts is not None and counts[len(found)] and asked.shape:
                form = _merged(form, asked, counts[len(found)])
        found.append(form)
    return found


def form_of_result(row: Any, ins: Any, asked: Asked, counted: bool = False) -> Any:
    """Say what the tangent of one result would be, as a run of dual numbers decides before it asks the row."""
    if not row.passes(asked.sets):
        return None
    if ALL in asked.sets:
        return ALL
    columns = asked.is_columns
    if asked.shape and asked.k * asked.size <= DENSE and not row.moves and not columns:
        return ALL
    if counted and row.linked and (form := linked_forecast(row, ins, asked)) is not None:
        return form
    if columns and asked.shape and not row.plain and not row.takes_columns(asked.args):
        active = asked.together
        if active and 2 * len(active) <= asked.k:
            return active
    return row.forecast(asked)


def _merged(form: Any, asked: Asked, count: int) -> Any:
    """Return a form with its terms merged to as many as the pattern has."""
    if form == ALL:
        return ALL if ALL in asked.sets else asked.few(frozenset((asked.e, j, "merged") for j in range(count)))
    return frozenset((asked.e, j) for j in range(count)) if len(form) > count else form


# --------------------------------------------------------------------------------------------------
# seconds

Quantities = dict[str, float]
"""How much of everything that has a price (a field of :class:`Machine`)."""


def step(row: Any, ins: Any, args: Any, params: Any, out: Any) -> Step | None:
    """Return the step of an equation; None where no derivative passes."""
    active = len([i for i in ins if i is not None and i >= 0])
    return row.step(active, args, params, out) if active and row.differentiable else None


class Costed(Protocol):
    """What has quantities on a program: a way to a Jacobian, or a part of one."""

    def quantities(self, program: Any) -> Quantities: ...


def seconds(program: Any, way: Costed) -> float:
    """Return the time that a way would take on a program: quantities times prices.

    Parameters
    ----------
    program : Program
        The recorded run.
    way : Way
        The way.

    Returns
    -------
    float
        Seconds.

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff.passes.costs import seconds
    >>> from dualdiff.tape import record
    >>> from dualdiff.ways import Program, Reverse
    >>> tape, y = record(lambda x: np.sin(x) * x, np.ones(100))
    >>> way = Reverse(rows=100, outputs=100, inputs=100, entries=10_000)
    >>> way.quantities(Program(tape))["pull_elementwise"]
    3.0
    >>> 0 < seconds(Program(tape), way) < 1
    True
    """
    return priced(way.quantities(program))


def _add(q: Quantities, name: str, much: float) -> None:
    q[name] = q.get(name, 0.0) + much


def add_movement(q: Quantities, elements: float) -> None:
    """Add what it takes to write so many elements."""
    _add(q, "element" if elements <= CACHE else "far", float(elements))


def add_sweep(
    q: Quantities,
    steps: Sequence[Step | None],
    directions: int,
    way: str,
    chunk: int | None = None,
    start: int = 0,
    stop: int | None = None,
) -> None:
    """Add what pushing (``"push_"``) or pulling (``"pull_"``) directions through the equations from ``start`` to ``stop`` takes."""
    chunk = min(chunk or directions, directions) or 1
    times = -(-directions // chunk)
    fixed: dict[str, int] = {}
    near = far = flops = 0
    for s in steps[start:stop]:
        if s is None:
            continue
        kind, active, _, moved, products = s
        fixed[kind] = fixed.get(kind, 0) + active
        elements = moved * chunk
        if elements <= CACHE:
            near += elements * active
        else:
            far += elements * active
        flops += products * active
    if directions == 1:
        _add(q, way + "one", float(sum(fixed.values())))
    else:
        for kind, count in fixed.items():
            _add(q, way + kind, float(times * count))
    _add(q, "element", float(times * near))
    _add(q, "far", float(times * far))
    _add(q, "flop", float(times * flops * chunk))


def add_run_of_duals(q: Quantities, tape: Tape, steps: Sequence[Step | None], found: Sequence[Any], k: int) -> None:
    """Add what one run of dual numbers takes, by the forms their tangents would have."""
    if k == 1:
        _add(q, "dual", float(len(tape)))
        add_sweep(q, steps, 1, "push_")
        return
    n, rows = len(tape.inputs), tape.rows
    duals = terms = maps = groups = near = far = 0
    for e, (step, form) in enumerate(zip(steps, found[n:], strict=True)):
        if form is None or step is None:
            continue
        duals += 1
        if form == ALL:
            row, ins, args, params, out, _ = tape.equation(e)
            sets = [found[i] if i is not None and i >= 0 else None for i in ins]
            _made_whole(q, step, row, Asked(sets, args, params, out, k, e))
        else:
            terms += len(form)
            maps += len(form) - list(map(type, form)).count(int)
            if rows[e].groups_terms:
                groups += 1
                # The operands' terms are gathered for every entry; where that makes too many, like ones are merged.
                merged = (e, 0, "merged") in form
                _add(q, "scatter", float((60 if merged else 16) * len(form) * step.size))
            if step.size <= CACHE:
                near += step.size * len(form)
            else:
                far += step.size * len(form)
    _add(q, "dual", float(duals))
    _add(q, "term", float(terms))
    _add(q, "map", float(maps))
    _add(q, "group", float(groups))
    _add(q, "element", float(near))
    _add(q, "far", float(far))


def _made_whole(q: Quantities, step: Step, row: Any, asked: Asked) -> None:
    """Add what a step takes whose result has all directions in one array, from operands of whatever form."""
    k, has_arrays = asked.k, ALL in asked.sets
    if not has_arrays and (made := row.made_at_once(asked)) is not None:
        _add(q, "whole", made[0])
        _add(q, "scatter", made[1])
        _add(q, "term", made[2])
        add_movement(q, step.size * k)
        return
    active = [(a, s) for a, s in zip(asked.args, asked.sets) if s is not None]
    _add(q, "push_" + step.kind, float(len(active)))
    if step.flops:
        _add(q, "flop", float(step.flops * k * len(active)))
    add_movement(q, step.moved * k * len(active))
    for a, s in active:
        if s != ALL:  # an array is made of the terms
            _add(q, "whole", 1.0)
            add_movement(q, size_of(shape_of(a)) * k)


def add_product(q: Quantities, m: int, w: int, n: int) -> None:
    """Add what a product of an (m, w) by a (w, n) matrix takes."""
    _add(q, "whole", 1.0)
    _add(q, "flop", float(m * w * n))


def priced(q: Quantities) -> float:
    """Return quantities times prices, in seconds."""
    prices = machine()
    return sum([getattr(prices, name) * much for name, much in q.items()])


# --------------------------------------------------------------------------------------------------
# bytes


def peak(tape: Tape, directions: int, found: Sequence[Any] | None = None) -> int:
    """Return the most bytes of tangents (or cotangents) alive at once in a sweep with so many directions.

    Parameters
    ----------
    tape : Tape
        The recorded run.
    directions : int
        How many travel at once.
    found : sequence, optional
        The forms of forward mode's tangents; without them every tangent has all directions.
    """
    n = len(tape.inputs)
    active = activity(tape)
    uses = last_uses(tape, tape.outputs)

    def held(slot: int, size: int, itemsize: int) -> int:
        if not active[slot]:
            return 0
        width = directions
        if found is not None and found[slot] is not None and found[slot] != ALL:
            width = 2 * len(found[slot])  # coefficients and maps
        return size * itemsize * width

    sizes = [held(s, size_of(a.shape), a.dtype.itemsize) for s, a in enumerate(tape.inputs)]
    now = sum(sizes)
    most, widest = now, max(sizes, default=0)
    ends: dict[int, list[int]] = {}
    for s in range(n):
        ends.setdefault(uses[s], []).append(s)
    for e, (_, _, _, _, out, _) in enumerate(tape.equations):
        size = held(n + e, size_of(shape_of(out)), dtype_of(out).itemsize)
        sizes.append(size)
        now += size
        widest = max(widest, size)
        most = max(most, now)
        for s in ends.pop(e, ()):
            now -= sizes[s]
        ends.setdefault(uses[n + e], []).append(n + e)
    return most + 2 * widest  # a step's own temporaries


__all__ = [
    "Machine",
    "Step",
    "add_movement",
    "add_product",
    "add_run_of_duals",
    "add_sweep",
    "constants",
    "file_of_constants",
    "forms",
    "machine",
    "peak",
    "priced",
    "seconds",
    "step",
]
