"""Jacobians by the workers of an executor: the operators of their own that ``executor=`` makes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from dualdiff.executors import check_executor, pool_of
from dualdiff.operators.calls import Call
from dualdiff.operators.jacobian import Jacobian
from dualdiff.operators.products import ALONE, BatchJacobian, of_samples
from dualdiff.ways import Answer, Explanation, Options, Way, explain
from dualdiff.ways.decisions import anew, evaluate, key_of
from dualdiff.ways.problem import Problem
from dualdiff.ways.program import Program
from dualdiff.ways.samples import results_of, samples_of
from dualdiff.ways.spread import Spread, choose_among_all, considered, evaluate_spread, spread_cost, told


@dataclass(frozen=True, repr=False)
class SpreadJacobian(Jacobian):
    """See :func:`dualdiff.jacobian`; what is pickled of it works without the executor, which stays where it is."""

    executor: Any = field(default=None, kw_only=True, compare=False)
    _spread: Spread = field(default=None, init=False, compare=False)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_executor(self.executor)
        object.__setattr__(self, "_spread", Spread(self.executor))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the Jacobian at the arguments."""
        call = Call(self.f, self.argnums, args, kwargs, self.has_aux)
        problem = call.problem(self.check, self.strict)

        def here(program: Program | None) -> Any:
            if program is None:
                return evaluate(problem, self.options, self._decisions)
            return anew(problem, self.options, self._decisions, key_of(problem), (), program)

        return self._result(call, evaluate_spread(problem, self.options, self._spread, here))

    def explain(self, *args: Any, measure: bool = False, **kwargs: Any) -> Explanation:
        """Record the function once and return the ways to its Jacobian with their costs, and whether the executor is used."""
        call = Call(self.f, self.argnums, args, kwargs, self.has_aux)
        problem, options = call.problem(), self.options
        pool = pool_of(self.executor)
        known, program = considered(problem, options, pool, choose_among_all)
        if program is not None:
            options = replace(options, cost=spread_cost(pool, options, known.run))
        return replace(explain(problem, options, measure, (), program), executor=told(pool, known))

    def __reduce__(self) -> Any:
        settings = {f.name: getattr(self, f.name) for f in fields(Jacobian) if f.init and f.name != "_decisions"}
        return _alone, (Jacobian, settings)


def spread_by(operator: Jacobian, executor: Any) -> SpreadJacobian:
    """Return the same operator, its directions carried by an executor."""
    settings = {f.name: getattr(operator, f.name) for f in fields(Jacobian) if f.init}
    return SpreadJacobian(**settings, executor=executor)


@dataclass(frozen=True, repr=False)
class SpreadBatchJacobian(BatchJacobian):
    """See :func:`dualdiff.batch_jacobian`."""

    executor: Any = field(default=None, kw_only=True, compare=False)
    _spread: Spread = field(default=None, init=False, compare=False)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_executor(self.executor)
        object.__setattr__(self, "_spread", Spread(self.executor))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the per-sample Jacobians at the arguments."""
        alone = super().__call__

        def here(program: Program | None) -> Answer:
            return Answer([], [[alone(*args, **kwargs)]])

        return of_samples(evaluate_spread(self._problem(args, kwargs), ALONE, self._spread, here, self._choose))

    def _choose(self, problem: Problem, options: Options, program: Program) -> Way:
        batch, n = samples_of(problem)
        return self._chosen(program, batch, n, results_of(program.values, batch), options)

    def __reduce__(self) -> Any:
        return _alone, (BatchJacobian, {"f": self.f, "argnums": self.argnums, "mode": self.mode})


def _alone(kind: Any, settings: dict[str, Any]) -> Any:
    """Make an operator without an executor."""
    return kind(**settings)
