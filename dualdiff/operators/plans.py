"""A plan: the choice made once, at an example, kept as an object that can be looked at, pickled and called."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dualdiff.errors import DocumentedWarning, InputError
from dualdiff.operators.calls import Argnums, Call
from dualdiff.operators.jacobian import Jacobian, jacobian
from dualdiff.values import TRACED
from dualdiff.ways import Decisions, Explanation, Options, Way, evaluate, explain
from dualdiff.ways.decisions import follow, key_of


class PlanChangedWarning(DocumentedWarning):
    """The function ran another program than the one a plan was made for; the plan was made again and stays right."""


@dataclass(frozen=True, eq=False)
class JacobianPlan:
    """A Jacobian planned at an example. Call it at points of the example's structure, shapes and dtypes.

    It holds what planning found (the way, the pattern, colours, seeds and the places of the nonzeros, the cuts), never a
    value. Every call runs the function. Where the plan depends on the program it is held against the new run first; if
    the function ran another program (a branch went the other way), the plan is made again for it, with one warning, and both are kept.

    Attributes
    ----------
    f : callable
        The function.
    explanation : Explanation
        The costs of all ways at the example, and the reason for the choice.
    way : Way
        The way chosen at the example, with its directions; coloured ways hold their colours and the pattern.
    """

    f: Callable[..., Any]
    argnums: int | str | tuple[int | str, ...]
    options: Options
    explanation: Explanation
    way: Way
    _jacobian: Jacobian = field(repr=False)
    _key: Any = field(repr=False)
    _structure: Any = field(repr=False)
    _decisions: Decisions = field(repr=False)
    _said: list[bool] = field(repr=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the Jacobian at a point.

        Raises
        ------
        InputError
            If the point has another structure, shape or dtype than the example.
        """
        return self._run(args, kwargs)[1]

    def value_and_jacobian(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Return the function's value and its Jacobian at a point, from one run."""
        return self._run(args, kwargs)

    def _run(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        call = Call(self.f, self.argnums, args, kwargs, False)
        problem = call.problem()
        if any(type(x) in TRACED for x in problem.inputs):
            raise InputError(
                "a plan gives plain numbers and cannot be differentiated again; use dd.jacobian inside operators"
            )
        key = key_of(problem)
        if key != self._key or call.build_inputs != self._structure:
            if key == self._key:
                made, here = "arguments nested in one way", "the same leaves nested in another"
            else:
                made, here = _described(self._key), _described(key)
            raise InputError(
                f"the plan was made for {made}, and called with {here}; make another plan for "
                "that, or use dd.jacobian, which keeps one for each"
            )
        known = self._decisions.known.get(key, (self.way,))
        answer = follow(problem, self.options, self._decisions, key, known, self._changed)
        return call.build_outputs(answer.values), self._jacobian.assemble(call, answer)

    def _changed(self) -> None:
        if not self._said:
            self._said.append(True)
            name = getattr(self.f, "__name__", "the function")
            warnings.warn(
                f"{name} ran another program here than at the plan's example (a branch, a loop or an index array differs); "
                "the plan is made again for it, which costs time, and the result is right",
                PlanChangedWarning,
                stacklevel=5,
            )

    def __str__(self) -> str:
        lines = [str(self.explanation)]
        if self.way.details:
            lines.append(self.way.details)
        return "\n".join(lines)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_decisions", "_said")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for k, v in state.items():
            object.__setattr__(self, k, v)
        decisions = Decisions()
        decisions.put(self._key, self.way)
        object.__setattr__(self, "_decisions", decisions)
        object.__setattr__(self, "_said", [])


def _described(key: Any) -> str:
    return ", ".join(f"shape {shape} and dtype {np.dtype(char).name}" for shape, char in key) or "no arrays"


def plan_jacobian(
    f: Callable[..., Any], *example: Any, argnums: Argnums = 0, measure: bool = False, **options: Any
) -> JacobianPlan:
    """Choose the way to a Jacobian once, at an example, and return the choice as an object to call.

    Parameters
    ----------
    f : callable
        A function of NumPy code.
    *example
        Its arguments at a point like those the plan will be called with: same structure, shapes and dtypes.
    argnums : int, str, or sequence of them
        Which arguments to differentiate with respect to, by position or by name; by name they may be keyword arguments.
    measure : bool
        Time the ways for the explanation (the choice stays that of the costs).
    **options
        ``mode``, ``sparse``, ``chunk``, ``max_bytes``, ``cost``, ``coloring``, ``flat``, ``holomorphic`` and ``capture`` as for
        :func:`jacobian`.

    Returns
    -------
    JacobianPlan
        Frozen; it prints the costs of all ways; it pickles where ``f`` does. ``plan(x)`` is the Jacobian,
        ``plan.value_and_jacobian(x)`` the value with it.

    Raises
    ------
    InputError
        As :func:`jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> def f(x):
    ...     return x[1:] ** 2 - x[:-1]
    >>> plan = dd.plan_jacobian(f, np.zeros(5), sparse=True)
    >>> plan(np.arange(5.0)).toarray()
    array([[-1.,  2.,  0.,  0.,  0.],
           [ 0., -1.,  4.,  0.,  0.],
           [ 0.,  0., -1.,  6.,  0.],
           [ 0.,  0.,  0., -1.,  8.]])
    >>> plan.way.entries
    8
    """
    if options.get("executor") is not None:
        raise InputError(
            "a plan runs here, and travels; use dd.jacobian(f, executor=…), which keeps its choice from call to call as well"
        )
    operator = jacobian(f, argnums, **options)
    if operator.has_aux:
        raise InputError("a plan has no has_aux; use dd.jacobian(f, has_aux=True)")
    call = Call(operator.f, operator.argnums, example, {}, False)
    problem = call.problem()
    if any(type(x) in TRACED for x in problem.inputs):
        raise InputError("dd.plan_jacobian takes plain numbers as its example; use dd.jacobian inside other operators")
    key = key_of(problem)
    decisions = Decisions()
    evaluate(problem, operator.options, decisions)
    if not decisions.known[key]:  # the ways were not compared yet
        evaluate(problem, operator.options, decisions)
    (kept,) = decisions.known[key]
    return JacobianPlan(
        operator.f,
        operator.argnums,
        operator.options,
        explain(problem, operator.options, measure, decisions.unfit.get(key, ())),
        kept,
        operator,
        key,
        call.build_inputs,
        decisions,
        [],
    )


__all__ = ["JacobianPlan", "PlanChangedWarning", "plan_jacobian"]
