"""Everything else: the row gives push and pull whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dualdiff.kinds.base import Asked, Primitive, Step, Sweep, full
from dualdiff.kinds.local import grouped_forecast, local_terms
from dualdiff.labels import Labels


class General(Primitive):
    """Anything else: the row gives push and pull whole.

    ``push(sweep, tangents, out, *args, **params)`` gets None for operands without tangent;
    ``pull(sweep, g, out, *args, **params)`` returns a cotangent per operand (None where it has none).
    """

    kind = "general"
    groups_terms = True

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        push: Callable[..., Any],
        pull: Callable[..., Any],
        keeps: tuple[bool, Sequence[bool]] | None = None,
        joins: Callable[..., Labels] | None = None,
        domain: Any = None,
    ) -> None:
        super().__init__(name, fn, domain)
        self.joins = joins
        self._push = push
        self._pull = pull
        self._keeps = keeps

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        if self._keeps is None:
            return True, (True,) * len(active)
        return self._keeps[0], tuple(self._keeps[1])

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        t = self._push(sweep, tangents, out, *args, **params)
        return None if t is None else full(t, sweep, out)

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        found = self._pull(sweep, g, out, *args, **params)
        return [c if i is not None and i >= 0 else None for c, i in zip(found, ins, strict=True)]

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        return local_terms(run, self, tangents, values, params, out)

    def forecast(self, asked: Asked) -> Any:
        return grouped_forecast(self, asked)

    def step(self, active: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Step:
        step = super().step(active, args, params, out)
        return step._replace(moved=4 * step.moved)
