"""Reverse mode: a tape read backwards. Given covectors at the outputs it returns those at the inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.errors import line_of
from dualdiff.primitive import TRACED, Elementwise, Sweep, is_number
from dualdiff.rules.indexing import getitem, setitem
from dualdiff.shapes import SOLE, dtype_of, fit, shape_of
from dualdiff.tape import Tape
from dualdiff.terms import INSTEAD, Terms, whole
from dualdiff.terms import pull as pull_terms

ndarray = np.ndarray


def pull(
    tape: Tape,
    seeds: Sequence[tuple[int, Any]],
    lead: tuple[int, ...] = (),
    careful: bool = False,
    watch: dict[int, Callable[[Any], Any]] | None = None,
) -> list[Any]:
    r"""Propagate covectors from slots of a tape to its inputs: :math:`\bar x = J^T \bar y`.

    Parameters
    ----------
    tape : Tape
        The recorded run.
    seeds : sequence of (slot, cotangent)
        A cotangent has the batch axis ``lead`` in front of the value's shape, or is given as terms (see
        :mod:`dualdiff.terms`), of which each entry's rows are known. It is never written to.
    lead : tuple of int
        ``()`` for one direction, ``(k,)`` for ``k`` of them.
    careful : bool
        Let exact zeros win over infinite partials.
    watch : dict of slot to function, optional
        Called with the whole cotangent of a slot when the sweep passes it; what it returns goes on instead.

    Returns
    -------
    list
        One cotangent per input; None where nothing reaches it.
    """
    sweep = Sweep(lead, careful)
    careful = sweep.careful
    n = len(tape.inputs)
    cot: list[Any] = [None] * (n + len(tape))
    for slot, seed in seeds:
        if slot >= 0:
            _add(cot, slot, seed.view() if type(seed) is ndarray else seed)
    seed = None
    slot = len(cot)
    try:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for forms, out, params, args, ins, row in tape.backwards:
                slot -= 1
                g = cot[slot]
                if g is None:
                    continue
                cot[slot] = None
                if watch is not None and slot in watch:
                    g = watch[slot](g)
                if type(g) is Terms:
                    found = pull_terms(row, g, ins, args, params, out, careful, forms is None)
                    if found is INSTEAD or any(c is INSTEAD for c in found):
                        g = whole(g, lead[0], shape_of(out), dtype_of(out))
                    else:
                        for i, c in zip(ins, found):
                            if c is not None:
                                _join(cot, i, c, tape, lead)
                        g = found = c = None
                        continue
                for i in ins:
                    if i is not None and i >= 0 and type(cot[i]) is Terms:
                        cot[i] = _whole(cot[i], i, tape, lead)
                if row is getitem:
                    i = ins[0]
                    buffer = cot[i]
                    cot[i] = None
                    if buffer is not None and not (sys.getrefcount(buffer) <= SOLE and _is_own(buffer)):
                        buffer = np.array(buffer) if type(buffer) is ndarray else buffer.copy()
                    if buffer is None:
                        cot[i] = getitem.pull(sweep, g, ins, args, params, out)[0]
                    else:
                        cot[i] = getitem.deposit(sweep, buffer, g, args[0].shape, params["index"])
                    buffer = None
                    continue
                if row is setitem and sys.getrefcount(g) <= SOLE and _is_own(g):
                    c = setitem.pull_in_place(sweep, g, ins, args, params, forms)
                    if c is not None:
                        _add(cot, ins[1], c)
                    i = ins[0]
                    if i is not None and i >= 0:
                        _add(cot, i, g)
                    g = c = None
                    continue
                if forms is None and type(row) is Elementwise and not careful:  # the hot path: real, nothing broadcast
                    for i, p in zip(ins, row.partials):
                        if i is not None and i >= 0:
                            if type(p) is int:
                                if p == 0:
                                    continue
                                c = g if p == 1 else -g
                            else:
                                c = g * p(out, *args)
                            if cot[i] is None:
                                cot[i] = c
                            else:
                                _add(cot, i, c)
                    g = c = None
                    continue
                found = row.pull(sweep, g, ins, args, params, out)
                for k, (i, c) in enumerate(zip(ins, found)):
                    if c is not None and i is not None and i >= 0:
                        _add(cot, i, c if forms is None else fit(c, lead, *forms[k]))
                g = found = c = None
    except Exception as error:
        if tape.lines and tape.lines[slot - n]:
            error.add_note(f"in the derivative of {tape.cells[6 * (slot - n)].name}, {line_of(*tape.lines[slot - n])}")
        raise
    return [_whole(c, s, tape, lead) if type(c) is Terms else c for s, c in enumerate(cot[:n])]


def _whole(terms: Any, slot: int, tape: Tape, lead: tuple[int, ...]) -> Any:
    """Return the cotangent of a slot, given as terms, as an array."""
    n = len(tape.inputs)
    form = tape.inputs[slot] if slot < n else tape.cells[6 * (slot - n) + 4]
    return whole(terms, lead[0], shape_of(form), dtype_of(form))


def _join(cot: list[Any], slot: int, c: Any, tape: Tape, lead: tuple[int, ...]) -> None:
    """Accumulate terms: beside terms as they are, beside an array as an array."""
    have = cot[slot]
    if have is None:
        cot[slot] = c
    elif type(have) is Terms:
        total = Terms(have)
        for key, value in c.items():
            total[key] = total[key] + value if key in total else value
        cot[slot] = total if len(total) <= MOST else _whole(total, slot, tape, lead)
    else:
        _add(cot, slot, _whole(c, slot, tape, lead))


MOST = 8
"""Cotangents of more terms become arrays."""


def _is_own(c: Any) -> bool:
    """Whether a cotangent that only one variable holds shares no memory with others, so that it may be written into."""
    if type(c) is ndarray:
        return c.base is None and c.flags.writeable
    return type(c) in TRACED and not is_number(c) and (c.link is None or c.link.base is None)


def _add(cot: list[Any], slot: int, c: Any) -> None:
    """Accumulate, in place where the buffer is the engine's and nobody else holds it."""
    have = cot[slot]
    if have is None:
        cot[slot] = c
        return
    cot[slot] = None
    sole = sys.getrefcount(have) <= SOLE
    if sole and type(have) is ndarray and _is_own(have) and have.shape == shape_of(c) and type(c) not in TRACED:
        np.add(have, c, out=have)
        cot[slot] = have
    else:
        cot[slot] = have + c
