"""Forward and reverse mode themselves: products with a Jacobian, from either side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.capture import asked
from dualdiff.kinds import Discrete
from dualdiff.operators.calls import Call, as_given, check_setting, match, own
from dualdiff.passes import push
from dualdiff.trees import flatten
from dualdiff.values import HOLDERS, Traced
from dualdiff.ways.problem import apart, pull_rows, push_columns, record, run_duals


def jvp(
    f: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    has_aux: bool = False,
    capture: Any = "auto",
    check: bool | str = "auto",
    strict: bool = False,
) -> Any:
    r"""Compute a function and its derivative along one direction, :math:`(f(x), J(x)\,v)`, in one forward run.

    Parameters
    ----------
    f : callable
        A function of ``len(primals)`` positional arguments; nested tuples, lists, dicts and dataclasses are fine.
    primals : sequence
        The point :math:`x`, one entry per argument.
    tangents : sequence
        The direction :math:`v`: the structure and shapes of ``primals``.
    has_aux : bool
        Whether ``f`` returns a pair (value, auxiliary data); a third item is then returned.
    capture : {"auto", "always", "never"} or sequence of modules
        Which modules speak with differentiated values while ``f`` runs: see :func:`capture`.
    check : {"auto", True, False}
        Hold one random direction against differences of the function: where the recording looks suspicious, always, or never.
    strict : bool
        Raise :class:`~dualdiff.errors.NoDerivativeError` where a result depends on no argument, or an argument reaches no result.

    Returns
    -------
    tuple
        The value and the directional derivative, both of the structure and shapes of ``f``'s result.

    Raises
    ------
    InputError
        If a tangent does not fit its primal.

    References
    ----------
    Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.1, doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> import dualdiff as dd
    >>> dd.jvp(lambda x: x**2, (3.0,), (1.0,))
    (9.0, 6.0)
    """
    primals = tuple(primals)
    call = Call(asked(f, capture), tuple(range(len(primals))), primals, {}, has_aux)
    directions = match("a tangent", tuple(tangents), call.leaves, call.leaves)
    check_setting(check)
    values, found = run_duals(call.problem(check, strict), directions, ())
    found = apart(found, directions)
    found = [np.zeros_like(v) if t is None else t for t, v in zip(found, values)]
    out = (call.build_outputs(values), call.build_outputs([as_given(t, v) for t, v in zip(found, values)]))
    return (*out, call.plain_aux()) if has_aux else out


def linearize(f: Callable[..., Any], *primals: Any, capture: Any = "auto") -> tuple[Any, Callable[..., Any]]:
    r"""Compute a function and keep its linearisation: :math:`(f(x),\; v \mapsto J(x)\,v)`.

    The run is recorded once; each call of the second item pushes one direction through the tape.

    Parameters
    ----------
    f : callable
        A function of ``len(primals)`` positional arguments.
    *primals
        The point.
    capture : {"auto", "always", "never"} or sequence of modules
        Which modules speak with differentiated values while ``f`` runs: see :func:`capture`.

    Returns
    -------
    value : any
        ``f(*primals)``.
    push : callable
        It takes as many tangents as there are primals, of their structure and shapes.

    Examples
    --------
    >>> import dualdiff as dd
    >>> y, push = dd.linearize(lambda x: x**3, 2.0)
    >>> y, push(1.0), push(10.0)
    (8.0, 12.0, 120.0)
    """
    call = Call(asked(f, capture), tuple(range(len(primals))), primals, {}, False)
    tape, values = record(call.problem(), replayable=True)

    def push_direction(*tangents: Any) -> Any:
        directions = match("a tangent", tangents, call.leaves, call.leaves)
        try:
            found = push_columns(tape, directions, ())
        except Exception:  # once more with the user's lines, for the message
            push(record(call.problem(), replayable=True, lines=True)[0], directions, tape.outputs)
            raise
        found = apart(found, directions)
        return call.build_outputs([np.zeros_like(v) if t is None else as_given(t, v) for t, v in zip(found, values)])

    return call.build_outputs([own(v) for v in values]), push_direction


def vjp(
    f: Callable[..., Any],
    *primals: Any,
    has_aux: bool = False,
    capture: Any = "auto",
    check: bool | str = "auto",
    strict: bool = False,
) -> Any:
    r"""Compute a function and its pullback, :math:`(f(x),\; w \mapsto J(x)^T w)`.

    The run is recorded once; each call of the second item reads the tape backwards once. The pullback is
    the adjoint under the real inner product :math:`\operatorname{Re}\sum \bar a b`, so complex values work.

    Parameters
    ----------
    f : callable
        A function of ``len(primals)`` positional arguments.
    *primals
        The point.
    has_aux : bool
        Whether ``f`` returns a pair (value, auxiliary data); a third item is then returned.
    capture : {"auto", "always", "never"} or sequence of modules
        Which modules speak with differentiated values while ``f`` runs: see :func:`capture`.
    check : {"auto", True, False}
        Hold one random direction against differences of the function: where the recording looks suspicious, always, or never.
    strict : bool
        Raise :class:`~dualdiff.errors.NoDerivativeError` where a result depends on no argument, or an argument reaches no result.

    Returns
    -------
    value : any
        ``f(*primals)``.
    pullback : callable
        It takes a cotangent of the structure and shapes of ``value`` and returns a tuple, one entry per primal.

    Raises
    ------
    InputError
        If a cotangent does not fit the value.

    Examples
    --------
    >>> import dualdiff as dd
    >>> y, pullback = dd.vjp(lambda x, y: x * y, 3.0, 4.0)
    >>> y, pullback(1.0)
    (12.0, (4.0, 3.0))
    """
    call = Call(asked(f, capture), tuple(range(len(primals))), primals, {}, has_aux)
    check_setting(check)
    problem = call.problem(check, strict)
    tape, values = record(problem)

    def pullback(cotangent: Any) -> Any:
        seeds = match("a cotangent", cotangent, values, values)
        found = apart(pull_rows(problem, tape, list(zip(tape.outputs, seeds)), ()), seeds)
        return call.build_inputs(
            [as_given(np.zeros_like(x) if c is None else c, x) for c, x in zip(found, call.leaves)]
        )

    out = (call.build_outputs([own(v) for v in values]), pullback)
    return (*out, call.plain_aux()) if has_aux else out


def _identity(x: Any) -> Any:
    return x


_stop = Discrete("stop_gradient", _identity)
_stop.on_objects = True


def stop_gradient(x: Any) -> Any:
    """Return a value that derivatives take for a constant, on purpose and at every level.

    Parameters
    ----------
    x : array or nested structure
        Traced or plain values.

    Returns
    -------
    same structure
        The same values; their derivative is zero.

    Examples
    --------
    >>> import dualdiff as dd
    >>> dd.grad(lambda x: x * dd.stop_gradient(x))(3.0)
    3.0
    """
    leaves, build = flatten(x)
    return build([_stopped(v) for v in leaves])


def _stopped(v: Any) -> Any:
    if type(v) in HOLDERS:
        of = HOLDERS[type(v)]
        return of.holding(v, _stopped(of.held(v)))
    return _stop(v) if isinstance(v, Traced) else v
