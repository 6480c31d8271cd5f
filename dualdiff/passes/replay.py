"""Running a recorded program again at another point, honestly: a guard that no longer holds raises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.shapes import aval
from dualdiff.tape import Guard, Tape
from dualdiff.values import bind


class BranchChangedError(InputError):
    """A recorded decision (an ``if``, a mask used as an index) would go the other way at this point."""


def replay(tape: Tape, inputs: Sequence[Any], slots: Sequence[int]) -> list[Any]:
    """Evaluate the program of a tape at other inputs, without the function: constants stay as recorded.

    Parameters
    ----------
    tape : Tape
        A recording made with ``replayable=True``.
    inputs : sequence
        One value per input, with the shapes and dtypes of the recording.
    slots : sequence of int
        The slots whose values are asked for.

    Returns
    -------
    list
        Their values.

    Raises
    ------
    BranchChangedError
        If a value that had left to Python in the recording (through ``bool()``, ``int()`` or an index) is another one now.
    InputError
        If the tape was not recorded for replay, or an input has another shape or dtype.
    """
    if not tape.replayable:
        raise InputError("this tape did not keep its constants; record it with replayable=True")
    values: list[Any] = []
    for x, a in zip(inputs, tape.inputs, strict=True):
        if aval(x) != a:
            raise InputError(
                f"the recording was made for shape {a.shape} and dtype {a.dtype}, not {aval(x).shape} and {aval(x).dtype}"
            )
        values.append(x)
    waiting = tape.guards[::-1]
    for e, (row, ins, args, params, _, _) in enumerate(tape.equations):
        while waiting and waiting[-1].at <= e:  # before anything is computed that the decision was to rule out
            _hold(waiting.pop(), values)
        operands = [a if i is None else values[i if i >= 0 else ~i] for a, i in zip(args, ins, strict=True)]
        values.append(bind(row, operands, params))
    for guard in reversed(waiting):
        _hold(guard, values)
    return [values[s] if s >= 0 else None for s in slots]


def _hold(guard: Guard, values: Sequence[Any]) -> None:
    """Raise unless a decision is taken as in the recording."""
    slot = guard.slot if guard.slot >= 0 else ~guard.slot
    then = guard.value
    if not np.array_equal(values[slot], then, equal_nan=np.asarray(then).dtype.kind == "f"):
        raise BranchChangedError(
            f"a decision recorded with the value {then!r} would be taken otherwise here; record the function again at this point"
        )
