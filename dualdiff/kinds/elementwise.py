"""Elementwise functions: one value from each broadcast group of operand entries."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.kinds.base import (
    Asked,
    Primitive,
    Step,
    Sweep,
    chosen,
    full,
    needs_of,
    nonzero,
)
from dualdiff.kinds.kinks import TIE, Kink
from dualdiff.kinds.local import grouped_forecast, local_terms
from dualdiff.labels import Labels, broadcast
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tangents import INSTEAD, ONE, Map, Terms, coefficient
from dualdiff.values import bind

Partial = Callable[..., Any] | int
"""One derivative: a function of (out, *operands), or the constant 1, -1 or 0."""


class Elementwise(Primitive):
    """One value from each broadcast group of operand entries; the row gives one partial per operand.

    ``wirtinger`` gives (∂/∂z, ∂/∂z̄) for a complex operand of a function that is not holomorphic (None: zero).
    ``singular`` says that a partial may be infinite where the value is finite; NumPy's warning about it
    is silenced, since the derivative itself shows it. ``choice`` says that a partial of 0 means an operand that was
    not chosen (``maximum``): there it is not a factor but a branch not taken, as that of ``where``; its kinks are where two
    operands tie, unless ``kink`` says otherwise.
    """

    kind = "elementwise"

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        *partials: Partial,
        op: Callable[..., Any] | None = None,
        wirtinger: tuple[Callable[..., Any] | None, Callable[..., Any]] | None = None,
        singular: bool = False,
        choice: bool = False,
        kink: Kink | None = None,
        domain: Any = None,
    ) -> None:
        super().__init__(name, fn, domain)
        self.choice = choice
        self.kink = TIE if choice and kink is None else kink
        self.partials: tuple[Any, ...] = partials
        self.op = op or fn
        self.wirtinger = wirtinger
        self.singular = singular
        self.plain = wirtinger is None and type(self) is Elementwise
        self.arithmetic = op in (operator.add, operator.sub, operator.mul, operator.truediv)
        self._needs = [needs_of(p) for p in partials]
        self.keeps_of: tuple[tuple[bool, ...], ...] = ()
        if len(partials) == 2:  # by active operands: none, the first, the second, both
            found = [self.needs(active) for active in ((False, False), (True, False), (False, True), (True, True))]
            self.keeps_of = tuple([(out, *args) for out, args in found])

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        out, args = self.wirtinger is not None, [self.wirtinger is not None] * len(active)
        for p, on in zip(self._needs, active, strict=True):
            if not on or p == ():
                continue
            if p is None:
                return True, (True,) * len(active)
            out |= p[0]
            args = [a or b for a, b in zip(args, p[1:], strict=True)]
        return out, tuple(args)

    def labels(self, k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Labels:
        return broadcast(shape_of(args[k]), shape_of(out))

    def partial(self, p: Callable[..., Any], out: Any, args: Sequence[Any]) -> Any:
        if not self.singular:
            return p(out, *args)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return p(out, *args)

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        lead = sweep.lead
        total = None
        rank = len(shape_of(out)) if lead else 0
        for p, t, a in zip(self.partials, tangents, args, strict=True):
            if t is None or p == 0:
                continue
            if lead:
                s = shape_of(a)
                if len(s) != rank:
                    t = t.reshape(lead + (1,) * (rank - len(s)) + s)
            if self.wirtinger is not None and dtype_of(a).kind == "c":
                dz, dzbar = self.wirtinger
                c = np.conjugate(t) * dzbar(out, *args)
                if dz is not None:
                    c = c + t * dz(out, *args)
            elif type(p) is int:
                c = t if p == 1 else -t
            elif self.singular:
                with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                    c = t * p(out, *args)
            elif self.choice:
                c = chosen(sweep, t, p(out, *args))
            else:
                c = t * p(out, *args)
            total = c if total is None else total + c
        if total is None:
            return None
        if dtype_of(total).kind == "c" and dtype_of(out).kind != "c":
            total = np.real(total)
        return full(total, sweep, out)

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        cotangents: list[Any] = []
        for i, p, a in zip(ins, self.partials, args, strict=True):
            if i is None or i < 0 or p == 0:
                cotangents.append(None)
            elif self.wirtinger is not None and dtype_of(a).kind == "c":
                dz, dzbar = self.wirtinger
                c = np.conjugate(g) * dzbar(out, *args)
                cotangents.append(c if dz is None else c + g * np.conjugate(dz(out, *args)))
            elif type(p) is int:
                cotangents.append(g if p == 1 else -g)
            else:
                q = p(out, *args)
                if dtype_of(q).kind == "c":
                    q = np.conjugate(q)
                cotangents.append(chosen(sweep, g, q) if self.choice else g * q)
        return cotangents

    def masked(self, values: Sequence[Any], masks: Sequence[Any], params: dict[str, Any]) -> tuple[Any, Any]:
        """A sum is there where one of its terms is, a product where all of its factors are."""
        shape = np.broadcast_shapes(*map(shape_of, values))
        if all(type(p) is int for p in self.partials):
            there = [nonzero(v) if m is None else m for v, m in zip(values, masks, strict=True)]
            return bind(self, values, params), np.broadcast_to(functools.reduce(np.logical_or, there), shape)
        mask = np.broadcast_to(functools.reduce(np.logical_and, [m for m in masks if m is not None]), shape)
        if not mask.all():
            # The other factors become 1 outside, so that derivatives of this product stay finite too.
            k = next(k for k, m in enumerate(masks) if m is not None)
            values = [np.where(mask, v, 0.0 if i == k else 1.0) for i, v in enumerate(values)]
        return bind(self, values, params), mask

    # -- terms -----------------------------------------------------------------------------------

    def terms(self, run: Any, tangents: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        if run.careful and self.choice:
            return INSTEAD  # which entries are reached is more than their maps say
        if not self.plain:
            return local_terms(run, self, tangents, values, params, out)
        return self.scaled(tangents, values, out)

    def scaled(
        self, tangents: Sequence[Any], values: Sequence[Any], out: Any, found: Any = None, mul: Any = operator.mul
    ) -> Any:
        """Push each term by itself; a partial is computed once for all of them."""
        found = Terms() if found is None else found
        shape = shape_of(out)
        for p, terms, a in zip(self.partials, tangents, values):
            if not terms or p == 0:
                continue
            q = p if type(p) is int else coefficient(self.partial(p, out, values), values, out)
            wider = shape_of(a) != shape
            for key, t in terms.items():
                if type(p) is int:
                    c = t if p == 1 else -t
                elif t is ONE:
                    c = q
                elif self.singular:
                    with np.errstate(invalid="ignore", over="ignore"):
                        c = mul(t, q)
                else:
                    c = mul(t, q)
                if wider and type(key) is Map:
                    key = Map(np.broadcast_to(key.positions, shape))
                found[key] = found[key] + c if key in found else c
        return found

    def pull_terms(
        self, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any, aligned: bool
    ) -> Any:
        if not self.plain or not aligned or self.singular:
            return INSTEAD
        return [
            None if i is None or i < 0 or p == 0 else _times(g, p, out, args)
            for i, p in zip(ins, self.partials, strict=True)
        ]

    def passes(self, sets: Sequence[Any]) -> bool:
        """Not where the partial is known to be 0."""
        return any(s is not None and p != 0 for s, p in zip(sets, self.partials))

    def forecast(self, asked: Asked) -> Any:
        if not self.plain:
            return grouped_forecast(self, asked)
        return self.scaled_forecast(asked)

    def scaled_forecast(self, asked: Asked) -> Any:
        """Say what becomes of terms that are scaled, and joined where there are several operands."""
        live = [s for p, s in zip(self.partials, asked.sets) if s is not None and p != 0]
        whole = live[0] if len(live) == 1 else live[0].union(*live[1:])
        alone = [shape_of(a) for a, s in zip(asked.args, asked.sets) if s is not None]
        if self.plain and len(alone) == 1 and (asked.is_columns or alone[0] == asked.shape):
            return whole
        return asked.few(whole)

    def step(self, active: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Step:
        size = size_of(shape_of(out))
        return Step(self.kind, active, size, size, 0)


class WithParameters(Elementwise):
    """An elementwise function whose partials take its parameters as well: off the short ways, which know of none."""

    def push(self, sweep: Sweep, tangents: Sequence[Any], args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
        return Elementwise.push(self._at(params), sweep, tangents, args, params, out)

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        return Elementwise.pull(self._at(params), sweep, g, ins, args, params, out)

    def _at(self, params: dict[str, Any]) -> Any:
        """Return the row with its partials at such parameters: for one sweep, so that it enters no register."""
        new = object.__new__(WithParameters)
        new.__dict__.update(self.__dict__)
        new.partials = tuple([functools.partial(p, **params) if callable(p) else p for p in self.partials])
        return new


def _times(g: Any, p: Any, out: Any, args: Sequence[Any]) -> Any:
    if type(p) is int:
        return Terms((key, c if p == 1 else -c) for key, c in g.items())
    q = coefficient(p(out, *args), args, out)
    return Terms((key, q if c is ONE else c * q) for key, c in g.items())
