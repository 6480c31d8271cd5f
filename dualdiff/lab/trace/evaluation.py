"""One evaluation, recorded and carried through in both modes, for :class:`~dualdiff.lab.trace.steps.Trace`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from operator import index as whole_number
from types import CodeType, FrameType
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.lab.shown import argument_names, called, function_name
from dualdiff.lab.trace.names import Place, names, places
from dualdiff.lab.trace.steps import Contribution, Step, Trace
from dualdiff.lab.trace.words import MOST_LINES, array, counted, entry, operation
from dualdiff.operators.calls import Argnums, Call
from dualdiff.passes.ledger import Ledger, ledger
from dualdiff.shapes import Aval, dtype_of, shape_of, size_of
from dualdiff.tape import Tape
from dualdiff.trees import paths
from dualdiff.ways.problem import apiece, record
from dualdiff.ways.program import pattern_of

__all__ = ["MOST_STEPS", "show"]

MOST_STEPS = 400
"""A longer run is refused: no table of it can be read."""


def show(
    f: Callable[..., Any],
    *args: Any,
    columns: int | Sequence[int] | None = None,
    rows: int | Sequence[int] | None = None,
    argnums: Argnums | None = None,
    digits: int = 4,
) -> Trace:
    r"""Return the steps of one evaluation, with the dual numbers that fill columns and the adjoints that fill rows.

    A dual number pairs a value :math:`v` with its tangent :math:`\dot v`; started with :math:`\dot x = e_j`, the tangent of
    the result is the ``j``-th column :math:`J e_j` of the Jacobian. An adjoint :math:`\bar v = \partial (w^T f) / \partial v` is
    the sum of what every step that read ``v`` contributes; started with :math:`w = e_i`, the adjoint of the input is the
    ``i``-th row :math:`e_i^T J`.

    Parameters
    ----------
    f : callable
        A function of NumPy code, of not more than 400 steps.
    *args
        The point: numbers, arrays, or nested structures of them.
    columns : int or sequence of int, optional
        The columns to push, counted over all inputs; all of them, or the first six, by default.
    rows : int or sequence of int, optional
        The rows to pull, counted over all outputs; all of them, or the first six, by default.
    argnums : int, str, or sequence of them, optional
        Which arguments to differentiate; all of them by default.
    digits : int
        To how many significant digits numbers are printed.

    Returns
    -------
    Trace
        It prints as two kinds of tables, as text or, in a notebook, as HTML; ``to_latex`` gives LaTeX and ``plot`` the Jacobian
        as it fills.

    Raises
    ------
    InputError
        If the run has too many steps to be read, a column or row does not exist, an input or output is complex, or an
        argument is being differentiated by an operator.

    References
    ----------
    Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapters 2 and 3, doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> def f(x):
    ...     a = x[0] * x[1]
    ...     return a * x[1]
    >>> print(dd.show(f, np.array([2.0, 3.0])))
    f: 2 inputs, 1 output, 5 steps
    <BLANKLINE>
    Dual numbers, forward: the seed e_j fills column j
    step  variable  operation  value   e_0     e_1
    ----  --------  ---------  ------  ------  ------
    x               input      [2, 3]  [1, 0]  [0, 1]
    v1              x[0]       2       1       0
    v2              x[1]       3       0       1
    v3    a         v1 * v2    6       3       2
    v4              x[1]       3       0       1
    v5              v3 * v4    18      9       12
    f               output v5  18      9       12
    <BLANKLINE>
    Adjoints, backward: the seed e_0 fills row 0
    step  variable  adjoint  contributed by
    ----  --------  -------  ----------------------------------
    v5              1        the seed at f
    v4              6        v5
    v3    a         3        v5
    v2              6        v3
    v1              9        v3
    x               [9, 12]  v4: [0, 6], v2: [0, 6], v1: [9, 0]
    """
    if type(digits) is not int or not 1 <= digits <= 17:
        raise InputError(f"digits={digits!r} must be a whole number from 1 to 17")
    call = called("dd.show", f, args, argnums)
    if any(dtype_of(x).kind == "c" for x in call.leaves):
        raise InputError(
            "dd.show fills a real Jacobian: give the real and the imaginary part as arguments of their own"
        )
    outside = set(_instructions())
    with np.errstate(all="ignore"):  # what is not finite is seen in the tables
        tape, values = record(call.problem(), replayable=True, lines=True)
    # A function of NumPy has no line of the user's: the one that called this function is not a step's.
    tape.lines = [None if noted in outside else noted for noted in tape.lines or []]
    if any(dtype_of(v).kind == "c" for v in values):
        raise InputError(
            "dd.show fills a real Jacobian: return the real and the imaginary part as results of their own"
        )
    if len(tape) > MOST_STEPS:
        raise InputError(
            f"this run has {len(tape)} steps, and a table of more than {MOST_STEPS} cannot be read. Show a smaller case, or one of the "
            "functions that this one calls"
        )
    n, m = [sum([size_of(shape_of(v)) for v in vs]) for vs in (call.leaves, values)]
    pushed = _chosen("columns", columns, n)
    pulled = _chosen("rows", rows, m)
    seeds, covectors = apiece(_units(pushed, n), call.leaves), apiece(_units(pulled, m), values)
    found = ledger(tape, call.leaves, seeds, [(s, w) for s, w in zip(tape.outputs, covectors, strict=True) if s >= 0])
    return _trace(call, tape, values, found, pushed, pulled, digits)


def _instructions() -> Iterator[tuple[CodeType, int]]:
    """Return where all the code is that is running."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame.f_code, frame.f_lasti
        frame = frame.f_back


def _units(chosen: Sequence[int], count: int) -> Any:
    """Return unit vectors, one a row."""
    rows = np.zeros((len(chosen), count))
    rows[np.arange(len(chosen)), list(chosen)] = 1
    return rows


def _trace(
    call: Call,
    tape: Tape,
    values: Sequence[Any],
    found: Ledger,
    columns: tuple[int, ...],
    rows: tuple[int, ...],
    digits: int,
) -> Trace:
    given = argument_names(call)
    letter = next((c for c in "vstwz" if not any(re.fullmatch(rf"{c}\d+", name) for name in given)), "q")
    labels = [*given, *[f"{letter}{e + 1}" for e in range(len(tape))]]
    wheres = [*[Place()] * len(given), *places(tape)]
    variables = [*[""] * len(given), *names(tape)]
    steps = []
    for slot, label in enumerate(labels):
        value = found.values[slot]
        smooth = dtype_of(value).kind in "fc" and not _is_discrete(tape, slot)
        e = tape.equation(slot - len(given)) if slot >= len(given) else None
        steps.append(
            Step(
                label=label,
                name=variables[slot],
                operation="input" if e is None else _operation(e, labels, digits),
                place=wheres[slot],
                value=value,
                tangents=_whole(found.tangents[slot], value, len(columns)) if smooth else None,
                adjoints=_whole(found.adjoints[slot], value, len(rows)) if smooth else None,
                contributions=tuple(Contribution(labels[c.reader], c.adjoint) for c in found.contributions[slot]),
                reads=() if e is None else tuple(i if i >= 0 else ~i for i in e[1] if i is not None),
            )
        )
    slots = [s if s >= 0 else None for s in tape.outputs]
    k, r = len(columns), len(rows)
    return Trace(
        function=function_name(call.f),
        steps=tuple(steps),
        columns=columns,
        rows=rows,
        inputs=tuple(_entries(given, call.leaves)),
        outputs=tuple(_entries(_output_names(call, values), values)),
        owners=tuple(s for s, v in zip(slots, values, strict=True) for _ in range(size_of(shape_of(v)))),
        value=_side_by_side([np.reshape(v, (1, -1)) for v in values], 1)[0],
        pushed=_side_by_side(
            [
                np.zeros((k, size_of(shape_of(v))))
                if s is None
                else np.reshape(steps[s].tangents, (k, size_of(shape_of(v))))
                for s, v in zip(slots, values, strict=True)
            ],
            k,
        ).T,
        pulled=_side_by_side([np.reshape(s.adjoints, (r, size_of(shape_of(s.value)))) for s in steps[: len(given)]], r),
        pattern=pattern_of(tape, values, sum([size_of(a.shape) for a in tape.inputs])),
        digits=digits,
    )


def _chosen(what: str, asked: int | Sequence[int] | None, count: int) -> tuple[int, ...]:
    """Return which columns, or rows, are shown."""
    if asked is None:
        return tuple(range(min(count, MOST_LINES)))
    try:
        numbers = [whole_number(i) for i in (asked if isinstance(asked, (Sequence, range, np.ndarray)) else (asked,))]
    except TypeError:
        raise InputError(f"{what}={asked!r} must be a whole number, or several") from None
    for i in numbers:
        if not -count <= i < count:
            raise InputError(f"{what}={asked!r}: there is no number {i}, the Jacobian has {counted(count, what[:-1])}")
    return tuple(dict.fromkeys(i % count for i in numbers))


def _operation(equation: Any, labels: Sequence[str], digits: int) -> str:
    row, ins, args, params, _, _ = equation
    operands = [
        labels[i if i >= 0 else ~i] if i is not None else "…" if type(a) is Aval else array(a, digits)
        for i, a in zip(ins, args, strict=True)
    ]
    return operation(row, operands, [len(shape_of(a)) for a in args], params)


def _is_discrete(tape: Tape, slot: int) -> bool:
    """Whether a slot holds what has no derivative, though it may be a float: a rounded number, a sign."""
    e = slot - len(tape.inputs)
    if e < 0:
        return False
    row, ins, *_ = tape.equation(e)
    return not row.differentiable or not any(i is not None and i >= 0 for i in ins)


def _whole(t: Any, value: Any, k: int) -> Any:
    """Write the zeros out that the engine leaves absent."""
    shape = (k, *shape_of(value))
    return np.zeros(shape, dtype_of(value)) if t is None else np.broadcast_to(np.asarray(t), shape)


def _side_by_side(parts: Sequence[Any], k: int) -> Any:
    return np.concatenate([np.zeros((k, 0)), *parts], axis=1)


def _output_names(call: Call, values: Sequence[Any]) -> list[str]:
    """Return what the results are called: the function, with the path inside a structure."""
    return [f"{function_name(call.f)}{path}" for path in paths(call.build_outputs(list(values)))]


def _entries(named: Sequence[str], values: Sequence[Any]) -> list[str]:
    return [
        entry(name, i, shape_of(v)) for name, v in zip(named, values, strict=True) for i in range(size_of(shape_of(v)))
    ]
