"""Checks for users: their own functions and hand-written derivatives, held against every witness there is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.errors import DerivativeError
from dualdiff.passes.replay import BranchChangedError
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.testing.differences import Estimate, Verdict
from dualdiff.testing.laws import LawError, adjoint_law, demand, inner, replay_law, same, same_all, value_law
from dualdiff.testing.subject import Subject
from dualdiff.testing.tolerances import tolerance
from dualdiff.trees import flatten, paths

LOGGER = logging.getLogger("dualdiff.testing")
"""Hears of every report; the pytest plugin counts them there."""


class CheckError(DerivativeError, AssertionError):
    """Two witnesses disagree about a derivative."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found: one line per witness, and the verdict of the differences.

    Attributes
    ----------
    verdict : str
        "agree", or "inconclusive" where neither the differences nor the complex step could decide: close to a
        kink, at the edge of a domain, or for a noisy function. (A disagreement is raised, not reported.)
    lines : tuple of str
        What agreed with what.
    """

    verdict: Verdict
    lines: tuple[str, ...]

    def __post_init__(self) -> None:
        LOGGER.debug("%s", self, extra={"report": self})

    def __str__(self) -> str:
        return "\n".join([*self.lines, f"verdict: {self.verdict}"])


def check(f: Callable[..., Any], *args: Any, directions: int = 3, seed: int = 0) -> Report:
    r"""Hold every way to a derivative of ``f`` against the others, at one point.

    Values by both modes against NumPy's; dual numbers against the recorded tape, ⟨w, Jv⟩ = ⟨Jᵀw, v⟩; the
    replayed tape; and the derivative along random directions against the complex step or extrapolated differences.

    Parameters
    ----------
    f : callable
        A function of NumPy code.
    *args
        The point; nested tuples, lists, dicts and dataclasses are fine.
    directions : int
        How many random directions to try.
    seed : int
        Seed of the directions.

    Returns
    -------
    Report
        It prints as a few lines.

    Raises
    ------
    CheckError
        If two ways disagree; the message names the ways, the entry and both numbers.

    Examples
    --------
    >>> import numpy as np
    >>> print(check(lambda x: np.exp(x) * x, np.array([1.0, 2.0])))
    values: both modes return NumPy's
    modes: dual numbers = tape pushed = tape pulled, transposed (3 directions)
    replay: the tape run again returns the same values
    truth: complex step (3 directions)
    verdict: agree
    """
    s = Subject(f, args)
    if not s.inputs:
        raise CheckError("there is no argument to differentiate")
    rng = np.random.default_rng(seed)
    lines = []
    try:
        value_law(f, *args)
        lines.append("values: both modes return NumPy's")
        for _ in range(directions):
            adjoint_law(f, *args, rng=rng)
        lines.append(f"modes: dual numbers = tape pushed = tape pulled, transposed ({directions} directions)")
        replay_law(f, *args)
        lines.append("replay: the tape run again returns the same values")
        verdict, methods = _against_truth(s, lambda v: s.push(v)[1], directions, rng)
        lines.append(f"truth: {' and '.join(methods)} ({directions} directions)")
    except (LawError, BranchChangedError) as e:
        raise CheckError(f"{_name(f)}: {e}") from e
    return Report(verdict, tuple(lines))


def check_jvp(
    f: Callable[..., Any], f_jvp: Callable[..., Any], primals: Sequence[Any], *, directions: int = 3, seed: int = 0
) -> Report:
    """Check a hand-written directional derivative. ``f`` need not be a function that can be traced.

    Parameters
    ----------
    f : callable
        The function.
    f_jvp : callable
        ``f_jvp(primals, tangents) -> (value, tangent)``, as :func:`dualdiff.jvp` returns for ``f``.
    primals : sequence
        The point, one entry per argument.
    directions, seed : int
        How many random directions to try, and their seed.

    Returns
    -------
    Report

    Raises
    ------
    CheckError
        If the value is not ``f``'s, the tangent is not linear in the direction, or it is not the derivative.

    Examples
    --------
    >>> import numpy as np
    >>> def rule(primals, tangents):
    ...     return np.sin(primals[0]), np.cos(primals[0]) * tangents[0]
    >>> check_jvp(np.sin, rule, (np.array([0.5, 1.0]),)).verdict
    'agree'
    """
    s = Subject(f, primals)
    rng = np.random.default_rng(seed)
    expected = s.plain()

    def push(v: Sequence[Any]) -> list[Any]:
        value, tangent = f_jvp(s.build(list(s.inputs)), s.build(list(v)))
        same_all("the value", flatten(value)[0], expected)
        return flatten(tangent)[0]

    try:
        u, v = s.direction(rng), s.direction(rng)
        mixed = push([0.75 * p - 1.25 * q for p, q in zip(u, v, strict=True)])
        for got, p, q in zip(mixed, push(u), push(v), strict=True):
            same("the tangent is linear in the direction", got, 0.75 * p - 1.25 * q, scale=_size(p) + _size(q))
        verdict, methods = _against_truth(s, push, directions, rng)
    except LawError as e:
        raise CheckError(f"{_name(f_jvp)}: {e}") from e
    return Report(
        verdict, ("value: that of f", "tangent: linear", f"truth: {' and '.join(methods)} ({directions} directions)")
    )


def check_vjp(
    f: Callable[..., Any], f_vjp: Callable[..., Any], primals: Sequence[Any], *, directions: int = 3, seed: int = 0
) -> Report:
    """Check a hand-written pullback by ⟨w, Jv⟩ = ⟨Jᵀw, v⟩. ``f`` need not be a function that can be traced.

    Parameters
    ----------
    f : callable
        The function.
    f_vjp : callable
        ``f_vjp(*primals) -> (value, pullback)``, as :func:`dualdiff.vjp` returns for ``f``; the pullback takes a
        cotangent of the value and returns a tuple with one entry per argument.
    primals : sequence
        The point, one entry per argument.
    directions, seed : int
        How many random pairs of directions to try, and their seed.

    Returns
    -------
    Report

    Raises
    ------
    CheckError
        If the value is not ``f``'s, the pullback is not linear, or it is not the transpose of the derivative.

    Examples
    --------
    >>> import numpy as np
    >>> def rule(x):
    ...     return np.sin(x), lambda w: (w * np.cos(x),)
    >>> check_vjp(np.sin, rule, (np.array([0.5, 1.0]),)).verdict
    'agree'
    """
    s = Subject(f, primals)
    rng = np.random.default_rng(seed)
    expected = s.plain()
    value, pullback = f_vjp(*s.build(list(s.inputs)))
    _, build = flatten(value)

    def pull(w: Sequence[Any]) -> list[Any]:
        found = flatten(tuple(pullback(build(list(w)))))[0]
        if len(found) != len(s.inputs):
            raise LawError(f"the pullback returns {len(found)} arrays for {len(s.inputs)} arguments")
        for c, x in zip(found, s.inputs, strict=True):
            if shape_of(c) != shape_of(x):
                raise LawError(f"a cotangent has shape {shape_of(c)}, its argument {shape_of(x)}")
        return found

    verdict: Verdict = "agree"
    try:
        same_all("the value", flatten(value)[0], expected)
        w, z = s.covector(rng, expected), s.covector(rng, expected)
        mixed = pull([0.75 * p - 1.25 * q for p, q in zip(w, z, strict=True)])
        for got, p, q in zip(mixed, pull(w), pull(z), strict=True):
            same("the pullback is linear", got, 0.75 * p - 1.25 * q, scale=_size(p) + _size(q))
        names = paths(tuple(primals))
        for _ in range(directions):
            w, v = s.covector(rng, expected), s.direction(rng)
            found = pull(w)
            for i, name in enumerate(names):
                only = [d if j == i else np.zeros_like(d) for j, d in enumerate(v)]
                truth = s.truth(only)
                left = sum(inner([a], [t])[0] for a, t in zip(w, truth.values, strict=True))
                size = sum(inner([a], [t])[1] for a, t in zip(w, truth.values, strict=True))
                bar = sum(float(np.sum(np.abs(a) * e)) for a, e in zip(w, truth.errors, strict=True))
                right, other = inner([found[i]], [v[i]])
                whole = Estimate(
                    [np.array(left)], [np.array(bar + (size + other) * tolerance(s.inputs[i]))], [size], truth.method
                )
                if demand(f"⟨w, Jv⟩ = ⟨Jᵀw, v⟩ in argument {name or i}", np.array(right), whole, 0) != "agree":
                    verdict = "inconclusive"
    except LawError as e:
        raise CheckError(f"{_name(f_vjp)}: {e}") from e
    return Report(
        verdict,
        ("value: that of f", "pullback: linear", f"transpose of the derivative: {directions} pairs of directions"),
    )


def check_jacobian(f: Callable[..., Any], jacobian: Callable[..., Any], *args: Any, argnum: int = 0) -> Report:
    """Check a hand-written Jacobian, column by column. ``f`` need not be a function that can be traced.

    Parameters
    ----------
    f : callable
        A function that returns one array.
    jacobian : callable
        It takes ``f``'s arguments and returns an array of shape ``f(*args).shape + args[argnum].shape``; the shape
        (m, n) that SciPy's solvers want is the same thing for vectors.
    *args
        The point.
    argnum : int
        The argument differentiated.

    Returns
    -------
    Report

    Raises
    ------
    CheckError
        If the shape is wrong or an entry lies outside the error bar of the differences; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> def f(x):
    ...     return np.array([x[0] * x[1], x[0] ** 2])
    >>> def jac(x):
    ...     return np.array([[x[1], x[0]], [2 * x[0], 0.0]])
    >>> check_jacobian(f, jac, np.array([2.0, 3.0])).verdict
    'agree'
    """
    x = args[argnum]
    s = Subject(lambda p: f(*args[:argnum], p, *args[argnum + 1 :]), (x,))
    (y,) = s.plain()
    found = np.asarray(jacobian(*args))
    name = _name(jacobian)
    if found.shape != shape_of(y) + shape_of(x):
        raise CheckError(
            f"{name}: its shape is {found.shape}, where f(x).shape + x.shape is {shape_of(y) + shape_of(x)}"
        )
    (point,) = s.inputs
    verdict: Verdict = "agree"
    methods = []
    for j in range(size_of(shape_of(x))):
        at = np.unravel_index(j, shape_of(x))
        step = np.zeros(shape_of(x), dtype_of(point))
        step[at] = abs(np.asarray(point)[at]) or 1.0
        truth = s.truth([step])
        methods.append(truth.method)
        try:
            where = tuple(int(i) for i in at)
            if (
                demand(
                    f"column {where} times {step[at]:g}",
                    found.reshape(-1, step.size)[:, j].reshape(shape_of(y)) * step[at],
                    truth,
                    0,
                )
                != "agree"
            ):
                verdict = "inconclusive"
        except LawError as e:
            raise CheckError(f"{name}: {e}") from e
    return Report(
        verdict,
        (
            "shape: f(x).shape + x.shape",
            f"columns: {len(methods)}, by {' and '.join(dict.fromkeys(methods)) or 'nothing'}",
        ),
    )


def _against_truth(
    s: Subject, push: Callable[[Sequence[Any]], list[Any]], directions: int, rng: np.random.Generator
) -> tuple[Verdict, list[str]]:
    verdict: Verdict = "agree"
    methods: dict[str, None] = {}
    for _ in range(directions):
        v = s.direction(rng)
        truth = s.truth(v)
        methods[truth.method] = None
        for n, d in enumerate(push(v)):
            if demand(f"derivative of output {n} along a random direction", d, truth, n) != "agree":
                verdict = "inconclusive"
    return verdict, list(methods)


def _name(f: Callable[..., Any]) -> str:
    return str(getattr(f, "__name__", f))


def _size(x: Any) -> float:
    return float(np.max(np.abs(x), initial=0.0))
