"""A look at one point: where a function is not finite, or has a kink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.operators.calls import Call
from dualdiff.passes.diagnosis import Diagnosis, findings_of
from dualdiff.passes.kinks import unchecked
from dualdiff.values import TRACED
from dualdiff.ways.problem import record


def diagnose(f: Callable[..., Any], *args: Any, tolerance: float = 1e-8) -> Diagnosis:
    """Look at a function at one point for what makes its derivative infinite, NaN, or a matter of convention.

    The function is run once and recorded with its lines. The tape is walked three times: forwards for the first value that is
    not finite though its operands are; step by step for the first partial derivative that is not, with a direction of
    ones; and backwards, from covectors of ones, for the first adjoint that is not. Then every kink or tie is listed that
    the point lies at, or nearer to than the tolerance.

    Parameters
    ----------
    f : callable
        The function.
    *args
        The point: arrays, or nested structures of arrays, all differentiated.
    tolerance : float
        How near a kink counts. Of two numbers that may tie it is their difference relative to the larger one, of a number
        that may be 0 its size.

    Returns
    -------
    Diagnosis
        The findings, each with the function, the user's line, the entries, the operands' values and a rewrite. It prints
        readably, and is empty where nothing was found.

    Raises
    ------
    InputError
        If an argument is being differentiated by an operator.

    Notes
    -----
    What is not finite may never reach the derivative: ``np.where(x > 0, np.log(x), 0)`` at 0 has a finite one. The last line
    says whether it does.

    References
    ----------
    Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 14, doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> found = dd.diagnose(lambda x: np.sum(np.sqrt(x)) + np.max(x), np.array([0.0, 4.0, 4.0]))
    >>> [(f.function, f.kind, f.entries.tolist()) for f in found]
    [('np.sqrt', 'partial', [[0]]), ('np.sqrt', 'adjoint', [[0]]), ('np.max', 'kink', [[1], [2]])]
    >>> found[0].advice.split(":")[0]
    'np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), 0.0)'
    """
    if not callable(f):
        raise InputError(f"the first argument must be a function, not {type(f).__name__!r}")
    if not args:
        raise InputError("dd.diagnose(f, x) needs the point x")
    call = Call(f, tuple(range(len(args))), args, {}, False)
    if any(type(x) in TRACED for x in call.leaves):
        raise InputError("dd.diagnose looks at plain numbers: call it outside of other operators")
    with np.errstate(all="ignore"):
        tape, _ = unchecked(lambda: record(call.problem(), replayable=True, lines=True))
        return findings_of(tape, tolerance)
