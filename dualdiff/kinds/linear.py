"""Functions linear in one operand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.kinds.base import Asked, Primitive, Sweep, weights
from dualdiff.kinds.local import grouped_forecast, local_terms
from dualdiff.labels import Labels
from dualdiff.shapes import aval
from dualdiff.values import bind


class Linear(Primitive):
    """A linear function of one operand: its push is itself, its pull the transpose the row gives.

    ``fn`` must take its axes from the end, so that it works unchanged under a batch axis;
    ``pull(g, x, **params)`` receives ``x`` as shape and dtype only.
    """

    kind = "linear"
    groups_terms = True
    shapes_only = True

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        pull: Callable[..., Any],
        joins: Callable[..., Labels] | None = None,
        domain: Any = None,
    ) -> None:
        super().__init__(name, fn, domain)
        self.joins = joins
        self.transpose = pull

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        return False, (False,)

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        (t,) = tangents
        return bind(self, (t,), params)

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        x = args[0]
        return (self.transpose(g, aval(x) if type(x) is float else x, **params),)

    def masked(self, values: Sequence[Any], masks: Sequence[Any], params: dict[str, Any]) -> tuple[Any, Any]:
        """A result is there where one of the entries that go into it is."""
        return bind(self, values, params), np.not_equal(self.fn(weights(masks[0]), **params), 0)

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        return local_terms(run, self, tangents, values, params, out)

    def forecast(self, asked: Asked) -> Any:
        return grouped_forecast(self, asked)
