"""Where a program narrows: the numbers that cross from one part of a tape to the next.

If all that later equations read of the earlier ones is ``w`` numbers, the Jacobian is a product of two, through
``w`` intermediate numbers: :math:`J = J_2 J_1` with :math:`J_1` of ``w`` rows and :math:`J_2` of ``w`` columns.
"""

from __future__ import annotations

from typing import NamedTuple

from dualdiff.passes.push import last_uses
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tape import Tape


class Cut(NamedTuple):
    """A place in a tape: before equation ``at``, the slots that carry derivatives across it, and their numbers."""

    at: int
    slots: tuple[int, ...]
    width: int


def activity(tape: Tape) -> list[bool]:
    """Return for every slot whether derivatives pass through it, from the inputs to the outputs."""
    n = len(tape.inputs)
    reached = [True] * n
    for row, ins, _, _, _, _ in tape.equations:
        reached.append(row.differentiable and any(i is not None and i >= 0 and reached[i] for i in ins))
    needed = [False] * len(reached)
    for s in tape.outputs:
        if s >= 0:
            needed[s] = True
    slot = len(reached)
    for _, _, _, _, ins, _ in tape.backwards:
        slot -= 1
        if needed[slot] and reached[slot]:
            for i in ins:
                if i is not None and i >= 0:
                    needed[i] = True
    return [a and b for a, b in zip(reached, needed, strict=True)]


def cuts(tape: Tape, narrower_than: int, most: int = 6) -> list[Cut]:
    """Return the places where fewer numbers cross than before and after, the narrowest ``most`` of them, in order.

    Parameters
    ----------
    tape : Tape
        The recorded run.
    narrower_than : int
        Only cuts with fewer numbers than this.
    most : int
        How many.
    """
    n = len(tape.inputs)
    active = activity(tape)
    uses = last_uses(tape, tape.outputs)
    sizes = [size_of(a.shape) for a in tape.inputs]
    ends: dict[int, list[int]] = {}
    for s in range(n):
        if active[s]:
            ends.setdefault(uses[s], []).append(s)
    width = sum(sizes[s] for s in range(n) if active[s])
    widths = [width]
    for e, (_, _, _, _, out, _) in enumerate(tape.equations):
        for s in ends.pop(e, ()):
            width -= sizes[s]
        size = size_of(shape_of(out))
        sizes.append(size)
        if active[n + e]:
            width += size
            ends.setdefault(uses[n + e], []).append(n + e)
        widths.append(width)
    # Local minima: the last place of a run of equal widths before it widens.
    places = [
        e
        for e in range(1, len(widths) - 1)
        if widths[e] < narrower_than and widths[e] < widths[e + 1] and widths[e] == min(widths[max(0, e - 1) : e + 1])
    ]
    places = sorted(sorted(places, key=lambda e: (widths[e], e))[:most])
    found = []
    for e in places:
        slots = tuple([s for s in range(n + e) if active[s] and uses[s] >= e])
        found.append(Cut(e, slots, widths[e]))
    return found


def segment(tape: Tape, start: Cut, stop: Cut) -> Tape:
    """Return the part of a tape between two cuts as a tape of its own: inputs and outputs are the slots of the cuts."""
    part = Tape(replayable=True)
    n = len(tape.inputs)
    new = {s: k for k, s in enumerate(start.slots)}
    for s in start.slots:
        if s < n:
            part.inputs.append(tape.inputs[s])
        else:
            out = tape.form(s)
            part.inputs.append(type(tape.inputs[0])(shape_of(out), dtype_of(out)))
    k = len(start.slots)
    for e in range(start.at, stop.at):
        row, ins, args, params, out, forms = tape.equation(e)
        part.append(
            (
                row,
                tuple([new.get(i) if i is not None and i >= 0 else None for i in ins]),
                args,
                params,
                out,
                forms,
            )
        )
        new[n + e] = k
        k += 1
    part.next = k
    part.outputs = [new[s] for s in stop.slots]
    part.lines = None
    part.close()
    return part


def whole(tape: Tape) -> tuple[Cut, Cut]:
    """Return the cuts before the first and after the last equation: the inputs and the outputs."""
    n = len(tape.inputs)
    sizes = [size_of(a.shape) for a in tape.inputs]
    outputs = tuple([s for s in tape.outputs if s >= 0])
    m = sum([size_of(shape_of(tape.form(s))) for s in outputs])
    return Cut(0, tuple(range(n)), sum(sizes)), Cut(len(tape), outputs, m)
