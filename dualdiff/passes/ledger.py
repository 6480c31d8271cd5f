"""The books of a run: at every slot of a tape its value, its tangents, its adjoints, and which reader contributed what to these.

A push and a pull keep no more than they need and return what arrives at the ends. Here every intermediate result is kept, one
step at a time and with nothing merged, in the order in which a textbook writes it down.

References
----------
Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 3, doi:10.1137/1.9780898717761.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dualdiff.kinds import Sweep
from dualdiff.passes.push import push
from dualdiff.passes.replay import replay
from dualdiff.reach import Reach, redone_if_not_finite
from dualdiff.shapes import fit
from dualdiff.tape import Tape

__all__ = ["Contribution", "Ledger", "ledger"]


class Contribution(NamedTuple):
    """What one operand of one equation adds to the adjoint of the slot it came from.

    Attributes
    ----------
    reader : int
        The slot that the equation wrote.
    operand : int
        Which of its operands.
    adjoint : ndarray, shape (r, *shape)
        For each of the ``r`` covectors what is added.
    """

    reader: int
    operand: int
    adjoint: Any


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """The intermediate results of one run, of ``k`` directions pushed and ``r`` covectors pulled.

    Attributes
    ----------
    values : tuple
        The value of each slot.
    tangents : tuple
        Of each slot an array (k, *shape), or None where no direction reaches it.
    adjoints : tuple
        Of each slot an array (r, *shape), or None where no covector reaches it.
    contributions : tuple of tuple of Contribution
        Of each slot what its adjoint is the sum of, beside the seeds, in the order in which a pull meets them.
    """

    values: tuple[Any, ...]
    tangents: tuple[Any, ...]
    adjoints: tuple[Any, ...]
    contributions: tuple[tuple[Contribution, ...], ...]


def ledger(tape: Tape, inputs: Sequence[Any], columns: Sequence[Any], rows: Sequence[tuple[int, Any]]) -> Ledger:
    r"""Return every value, tangent :math:`\dot v = \partial v / \partial x \; \dot x` and adjoint :math:`\bar v` of a run.

    Parameters
    ----------
    tape : Tape
        A recording made with ``replayable=True``.
    inputs : sequence
        The values of its inputs.
    columns : sequence
        One tangent per input (None for none), all with the same number of directions in front.
    rows : sequence of (slot, cotangent)
        Covectors at slots of the tape, all the same number of them in front.

    Returns
    -------
    Ledger

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff.tape import record
    >>> tape, y = record(lambda x: x * x, np.float64(3.0), replayable=True)
    >>> found = ledger(tape, [3.0], [np.ones(1)], [(y.mark, np.ones(1))])
    >>> found.tangents[y.mark].tolist(), [c.adjoint.tolist() for c in found.contributions[0]]
    ([6.0], [[3.0], [3.0]])
    """
    every = range(len(tape.inputs) + len(tape))
    k = next((len(t) for t in columns if t is not None), 0)
    with np.errstate(all="ignore"):  # the run that was recorded has warned
        values = replay(tape, inputs, every)
    tangents = redone_if_not_finite(lambda: push(tape, columns, every, (k,))) if k else [None for _ in every]
    adjoints, contributions = _pulled(tape, rows)
    return Ledger(tuple(values), tuple(tangents), tuple(adjoints), tuple(map(tuple, contributions)))


def _pulled(tape: Tape, seeds: Sequence[tuple[int, Any]]) -> tuple[list[Any], list[list[Contribution]]]:
    """Read a tape backwards, and keep what each equation hands to each of its operands."""
    n = len(tape.inputs)
    lead = (next((len(c) for _, c in seeds), 0),)
    places: list[tuple[int, int, int]] = []

    def swept() -> list[Any]:
        sweep = Sweep(lead)
        reach = Reach()
        places.clear()
        adjoints: list[Any] = [None] * (n + len(tape))
        handed: list[Any] = []
        for slot, seed in seeds:
            _add(adjoints, slot, reach.seed(seed) if sweep.careful else seed)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for slot in range(n + len(tape) - 1, n - 1, -1):
                if adjoints[slot] is None:
                    continue
                row, ins, args, params, out, forms = tape.equation(slot - n)
                for j, (i, c) in enumerate(zip(ins, row.pull(sweep, adjoints[slot], ins, args, params, out))):
                    if i is not None and i >= 0 and c is not None:
                        c = c if forms is None else fit(c, lead, *forms[j])
                        places.append((i, slot, j))
                        handed.append(c)
                        _add(adjoints, i, c)
        return [*adjoints, *handed]

    found = redone_if_not_finite(swept)
    contributions: list[list[Contribution]] = [[] for _ in range(n + len(tape))]
    for (i, slot, j), c in zip(places, found[n + len(tape) :], strict=True):
        contributions[i].append(Contribution(slot, j, c))
    return found[: n + len(tape)], contributions


def _add(adjoints: list[Any], slot: int, c: Any) -> None:
    adjoints[slot] = c if adjoints[slot] is None else adjoints[slot] + c
