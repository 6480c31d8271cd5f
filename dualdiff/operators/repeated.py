"""One operator at one point after another, as a solver asks for it: what does not change is looked at once."""

from __future__ import annotations

from typing import Any

from dualdiff.capture import captures_of
from dualdiff.operators.calls import Call
from dualdiff.operators.jacobian import Jacobian
from dualdiff.ways import Problem, evaluate

__all__ = ["Repeated"]


class Repeated:
    """The Jacobian of a function by a vector, its first argument, for a solver that goes from point to point.

    The points are vectors of one length, in memory of their own, and the other arguments are the same all along: so how they are
    built, whether they share memory and what is captured is found out at the first one.

    Parameters
    ----------
    operator : Jacobian
        What is computed at each point: a matrix, dense (``flat=True``) or sparse.
    """

    __slots__ = ("call", "captures", "operator")

    def __init__(self, operator: Jacobian) -> None:
        self.operator = operator
        self.call: Call | None = None
        self.captures: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the matrix at a point."""
        operator, call = self.operator, self.call
        if call is None:
            call = self.call = Call(operator.f, 0, args, kwargs, False)
            self.captures = captures_of(operator.f)
        else:
            call.move(args, kwargs)
        problem = Problem(call, call.leaves, operator.f, self.captures, operator.check)
        answer = evaluate(problem, operator.options, operator._decisions)
        return operator.assemble(call, answer)
