"""Products: functions linear in each of their operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.kinds.base import Asked, Primitive, Sweep, full, weights, with_patterns
from dualdiff.kinds.local import grouped_forecast, local_terms
from dualdiff.labels import Labels
from dualdiff.shapes import align, dtype_of, shape_of
from dualdiff.values import bind, under


class Multilinear(Primitive):
    """A function linear in each operand; the row gives one transpose per operand.

    ``fn`` broadcasts leading axes (as ``matmul`` does), so a batch axis in front of one operand is one
    more of them. A transpose ``pull(g, *operands, **params)`` may leave broadcast axes to be summed.
    """

    kind = "multilinear"
    groups_terms = True
    is_product = True
    #: whether all its products are added, and none taken off
    additive = True

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        *pulls: Callable[..., Any],
        op: Callable[..., Any] | None = None,
        push: Callable[..., Any] | None = None,
        joins: Callable[..., Labels] | None = None,
        domain: Any = None,
    ) -> None:
        super().__init__(name, fn, domain)
        self.joins = joins
        self.pulls = pulls
        self.op = op or fn
        self.forward = push

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        keep = [any(on for j, on in enumerate(active) if j != i) for i in range(len(active))]
        return False, tuple(keep)

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        total = None
        if sweep.careful:
            args = with_patterns(args, tangents)
        for i, t in enumerate(tangents):
            if t is None:
                continue
            if self.forward is not None:
                c = self.forward(i, t, args, sweep.lead, **params)
            else:
                rank = max(len(shape_of(a)) for a in args)
                swapped = [*args[:i], align(t, sweep.lead, shape_of(args[i]), rank), *args[i + 1 :]]
                c = bind(self, swapped, params)
            total = c if total is None else total + c
        return full(total, sweep, out)

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        if sweep.careful:
            args = with_patterns(args, ins, g)
        return [
            rule(g, *args, **params) if i is not None and i >= 0 else None
            for i, rule in zip(ins, self.pulls, strict=True)
        ]

    def masked(self, values: Sequence[Any], masks: Sequence[Any], params: dict[str, Any]) -> tuple[Any, Any]:
        """A result is there where all factors of one of its products are."""
        there = [np.ones(shape_of(v), bool) if m is None else m for v, m in zip(values, masks, strict=True)]
        mask = self._meet(there, params)
        finite = [np.isfinite(under(v)) for v in values]
        if all(f.all() for f in finite):
            return bind(self, values, params), mask
        # What is not finite must not meet what is not there: products of finite numbers are summed, others looked up.
        out = bind(self, [np.where(f, v, 0.0) for f, v in zip(finite, values, strict=True)], params)
        plain = [under(v) for v in values]
        odd = np.zeros(shape_of(out), bool)
        for k, f in enumerate(finite):
            odd |= self._meet([~f & there[k] if j == k else there[j] for j in range(len(there))], params)
        total: Any = np.nan
        if self.additive and len(values) == 2 and all(dtype_of(v).kind == "f" for v in plain):
            a, b = [np.where(m, v, 0.0) for m, v in zip(there, plain, strict=True)]
            x, y = np.isinf(a), np.isinf(b)
            up, down = [
                self._meet([x & (a > 0), s * b > 0], params)
                | self._meet([x & (a < 0), s * b < 0], params)
                | self._meet([s * a > 0, y & (b > 0)], params)
                | self._meet([s * a < 0, y & (b < 0)], params)
                for s in (1, -1)
            ]
            none = self._meet([np.isnan(a), there[1]], params) | self._meet([there[0], np.isnan(b)], params)
            none |= self._meet([x, there[1] & (b == 0)], params) | self._meet([there[0] & (a == 0), y], params)
            total = np.where(none | (up & down), np.nan, np.where(up, np.inf, -np.inf))
        return np.where(odd, total, out), mask

    def _meet(self, masks: Sequence[Any], params: dict[str, Any]) -> Any:
        """Return where a result has a product of which all factors are in their masks."""
        return np.asarray(np.not_equal(self.fn(*map(weights, masks), **params), 0))

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        return local_terms(run, self, tangents, values, params, out)

    def forecast(self, asked: Asked) -> Any:
        return grouped_forecast(self, asked)
