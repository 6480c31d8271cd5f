"""Reverse mode: a tape read backwards. Given covectors at the outputs it returns those at the inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff import allocator
from dualdiff.kinds import Elementwise, Sweep
from dualdiff.ownership import SOLE, holders
from dualdiff.reach import Reach, numbers
from dualdiff.shapes import dtype_of, fit, shape_of
from dualdiff.tangents import INSTEAD, MOST_OF_COVECTORS, Terms, whole
from dualdiff.tape import Tape
from dualdiff.values import TRACED, is_number

ndarray = np.ndarray


def pull(
    tape: Tape,
    seeds: Sequence[tuple[int, Any]],
    lead: tuple[int, ...] = (),
    watch: dict[int, Callable[[Any], Any]] | None = None,
) -> list[Any]:
    r"""Propagate covectors from slots of a tape to its inputs: :math:`\bar x = J^T \bar y`.

    Parameters
    ----------
    tape : Tape
        The recorded run.
    seeds : sequence of (slot, cotangent)
        A cotangent has the batch axis ``lead`` in front of the value's shape, or is given as terms (see
        :mod:`dualdiff.tangents`), of which each entry's rows are known. It is never written to.
    lead : tuple of int
        ``()`` for one direction, ``(k,)`` for ``k`` of them.
    watch : dict of slot to function, optional
        Called with the whole cotangent of a slot when the sweep passes it; what it returns goes on instead.

    Returns
    -------
    list
        One cotangent per input; None where nothing reaches it. In a careful pass each knows which of its entries are
        reached (see :mod:`dualdiff.reach`).
    """
    sweep = Sweep(lead)
    careful = sweep.careful
    n = len(tape.inputs)
    cot: list[Any] = [None] * (n + len(tape))
    if careful:
        reach = Reach()
        seeds = [(s, reach.seed(_whole(g, s, tape, lead) if type(g) is Terms else g)) for s, g in seeds if s >= 0]
        watch = watch and {s: _seen(look) for s, look in watch.items()}
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
                    found = row.pull_terms(g, ins, args, params, out, forms is None)
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
                if row.in_place:
                    if row.deposit is not None:
                        i = ins[0]
                        if cot[i] is None:
                            cot[i] = row.pull(sweep, g, ins, args, params, out)[0]
                            continue
                        if not (holders(cot[i]) == SOLE and _is_own(cot[i])):
                            cot[i] = cot[i].copy() if hasattr(cot[i], "__array_function__") else np.array(cot[i])
                        cot[i] = row.deposit(sweep, cot[i], g, args[0].shape, params["index"])
                        continue
                    cot[slot] = g
                    g = None  # in its slot alone, where its holders are counted
                    if holders(cot[slot]) == SOLE and _is_own(cot[slot]):
                        c = row.pull_in_place(sweep, cot[slot], ins, args, params, forms)
                        if c is not None:
                            _add(cot, ins[1], c)
                        i = ins[0]
                        if i is not None and i >= 0:
                            _add(cot, i, cot[slot])
                        cot[slot] = c = None
                        continue
                    g = cot[slot]
                    cot[slot] = None
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
        tape.blame(error, slot - n)
        raise
    sweeps = allocator.sweeps
    if sweeps is not None and not next(sweeps) % allocator.EVERY:
        allocator.weigh((out for _, _, _, _, out, _ in tape.equations), *lead or (1,))
    return [_whole(c, s, tape, lead) if type(c) is Terms else c for s, c in enumerate(cot[:n])]


def _seen(look: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let a watcher see the numbers of a cotangent that knows which entries are reached."""

    def seen(g: Any) -> Any:
        plain = numbers(g)
        new = look(plain)
        return g if new is plain else g.run.seed(new)

    return seen


def _whole(terms: Any, slot: int, tape: Tape, lead: tuple[int, ...]) -> Any:
    """Return the cotangent of a slot, given as terms, as an array."""
    form = tape.form(slot)
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
        cot[slot] = total if len(total) <= MOST_OF_COVECTORS else _whole(total, slot, tape, lead)
    else:
        _add(cot, slot, _whole(c, slot, tape, lead))


def _is_own(c: Any) -> bool:
    """Whether a cotangent that only one slot holds shares no memory with others, so that it may be written into."""
    if type(c) is ndarray:
        return c.base is None and c.flags.writeable
    return type(c) in TRACED and (c.link is None or c.link.base is None) and not is_number(c)


def _add(cot: list[Any], slot: int, c: Any) -> None:
    """Accumulate, in place where the buffer is the engine's and nobody else holds it."""
    sole = holders(cot[slot]) == SOLE
    have = cot[slot]
    if have is None:
        cot[slot] = c
    elif sole and type(have) is ndarray and _is_own(have) and have.shape == shape_of(c) and type(c) not in TRACED:
        np.add(have, c, out=have)
    else:
        cot[slot] = have + c
