"""Forward mode over a tape: directions at the inputs, carried to the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.kinds import Sweep
from dualdiff.reach import Reach
from dualdiff.tape import Tape


def push(tape: Tape, seeds: Sequence[Any], slots: Sequence[int], lead: tuple[int, ...] = ()) -> list[Any]:
    r"""Propagate directions from the inputs of a tape to some of its slots: :math:`\dot y = J \dot x`.

    Parameters
    ----------
    tape : Tape
        The recorded run; it must have been recorded with ``replayable=True``, since a push asks for values
        that a pull alone would not keep.
    seeds : sequence
        One tangent per input (None for none), the batch axis ``lead`` in front.
    slots : sequence of int
        The slots asked for.
    lead
        As for :func:`pull`.

    Returns
    -------
    list
        One tangent per slot asked for; None where no direction reaches it. In a careful pass each knows which of its
        entries are reached (see :mod:`dualdiff.reach`).
    """
    sweep = Sweep(lead)
    tangents: list[Any] = list(map(Reach().seed, seeds)) if sweep.careful else list(seeds)
    uses = last_uses(tape, slots)
    n = len(tape.inputs)
    try:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for e, (row, ins, args, params, out, _) in enumerate(tape.equations):
                ts = [tangents[i] if i is not None and i >= 0 else None for i in ins]
                for i in ins:  # hand the buffer of a dying tangent on, so that writes may reuse it
                    if i is not None and i >= 0 and uses[i] == e:
                        tangents[i] = None
                if uses[n + e] < 0 or all(t is None for t in ts):
                    tangents.append(None)
                else:
                    tangents.append(row.push(sweep, ts, args, params, out))
                ts = []
    except Exception as error:
        tape.blame(error, len(tangents) - n)
        raise
    return [tangents[s] if s >= 0 else None for s in slots]


def last_uses(tape: Tape, slots: Sequence[int]) -> list[int]:
    """Return for every slot the last equation that reads it (never, for the slots asked for)."""
    n = len(tape.inputs)
    uses = [-1] * (n + len(tape))
    for e, equation in enumerate(tape.equations):
        for i in equation[1]:
            if i is not None and i >= 0:
                uses[i] = e
    for s in slots:
        if s >= 0:
            uses[s] = len(tape)
    return uses
