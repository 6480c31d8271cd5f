r"""Sums of many terms of ``scipy.integrate``: a series is the sum of its first terms and the integral over the rest.

.. math:: \sum_{k \ge 0} f(a + k h) \approx \sum_{k < n} f(a + k h) + \frac1h \int_{a + n h}^{\infty} f(x)\,dx + \frac{f(a + n h)}2

The value is SciPy's own. The derivatives are those of this formula, with a number n of terms after which the next is within the
tolerance, as in SciPy's; what it leaves out, the differences of derivatives of f at the first term of the rest, is left out alike.

References
----------
Apostol, "An elementary view of Euler's summation formula", Amer. Math. Monthly 106 (1999), 409–418, doi:10.2307/2589145.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.integrate

from dualdiff.capture.active import any_active, is_active, plain_call
from dualdiff.capture.closures import Fresh, lifted
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.rules.absent import missing
from dualdiff.scipy.answers import Result, at_value, stripped
from dualdiff.scipy.quadrature import guarded, quad
from dualdiff.scipy.room import Room
from dualdiff.shapes import shape_of
from dualdiff.values import fixed, operand, raw

ROOM = Room("scipy.integrate")


@dataclass(frozen=True, slots=True)
class _Series:
    """What is summed, and how far.

    Attributes
    ----------
    term, plain : callable
        The terms, and the same as a function of plain numbers alone.
    allowed : float
        A term as small as that ends the sum of the first ones.
    most : int
        So many terms are summed at most.
    """

    term: Callable[..., Any]
    plain: Callable[..., Any]
    allowed: float
    most: int

    def turned(self, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> _Series:
        return _Series(change(self.term), change(self.plain), self.allowed, self.most)

    def sum(self, a: Any, b: Any, step: Any, args: Sequence[Any]) -> Any:
        """Return the sum of the terms from a to b."""
        first, last, h = (float(raw(v)) for v in (a, b, step))
        if math.isinf(first):
            if math.isinf(last):
                return self.turned(_both_ways).sum(0.0, math.inf, step, args)
            return self.turned(_backwards).sum(-b, math.inf, step, args)
        count = math.floor((last - first) / h) if math.isfinite(last) else math.inf
        if not math.isinf(count) and any(map(is_active, (a, b, step))):
            raise UnsupportedFunctionError(
                f"{where()}: scipy.integrate.nsum of finitely many terms is not differentiated by its limits or step: they say how many "
                "terms there are, and the last one would come or go. Sum over whole numbers, nsum(lambda k: f(a + k * step), 0, n)."
            )
        if count < self.most:
            return np.sum(self.term(a + np.arange(count + 1) * step, *args))
        end = math.inf if math.isinf(count) else first + count * h
        n = self._first_ones(first, h, [float(raw(v)) for v in args])
        rest = a + n * step
        ends = self.term(rest, *args) + (0.0 if math.isinf(end) else self.term(end, *args))
        tail = quad(self.term, rest, end, tuple(args))[0] / step
        return np.sum(self.term(a + np.arange(n) * step, *args)) + tail + 0.5 * ends

    def _first_ones(self, a: float, h: float, args: Sequence[float]) -> int:
        """Return after how many terms they fall and are small."""
        n = 1
        while n < self.most:
            here, next_one = (float(self.plain(np.float64(a + k * h), *args)) for k in (n, n + 1))
            if here <= self.allowed and next_one <= here:
                return n
            n *= 2
        return self.most


def _backwards(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *args: f(-x, *args)


def _both_ways(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *args: (f(x, *args) + f(-x, *args)) * np.where(np.equal(x, 0), 0.5, 1.0)


def _without_size(size: float, f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *args: np.exp(f(x, *args) - size)


def _by_position(f: Any, count: int, names: list[str]) -> Any:
    return lambda x, *given: f(x, *given[:count], **dict(zip(names, given[count:])))


@ROOM.function("nsum", kind="general", solver=True)
def nsum(
    f: Any,
    a: Any,
    b: Any,
    *,
    step: Any = 1,
    args: Any = (),
    kwargs: Any = None,
    log: bool = False,
    maxterms: int = 2**20,
    tolerances: Any = None,
) -> Any:
    """Sum a series, as :func:`scipy.integrate.nsum`; the derivatives are those of the terms, summed alike."""
    args = args if isinstance(args, tuple) else (args,)
    if kwargs:  # of SciPy since 1.18
        f, args = _by_position(f, len(args), list(kwargs)), (*args, *kwargs.values())
    options = {"log": log, "maxterms": maxterms, "tolerances": fixed(tolerances, "the tolerances of nsum")}
    caught: list[Any] = []
    again = lifted(f, caught, settled=True)
    if not any_active((a, b, step, args, caught), {}):
        return plain_call(scipy.integrate.nsum, (guarded("nsum", f), a, b), {"step": step, "args": args, **options})
    plain = guarded("nsum", again(Fresh(stripped(caught))))
    given = [operand(v) for v in (a, b, step, *args)]
    found = scipy.integrate.nsum(
        plain, *map(raw, given[:2]), step=raw(given[2]), args=tuple(map(raw, given[3:])), **options
    )
    a, b, step, *given = np.broadcast_arrays(*given)
    shape, known = shape_of(a), options["tolerances"] or {}
    rtol, atol = known.get("rtol"), known.get("atol")
    if log:
        rtol, atol = (None if v is None else math.exp(v) for v in (rtol, atol))
    rtol = float(np.finfo(float).eps) ** 0.5 if rtol is None else rtol
    bad = ~(np.asarray(found.success) & np.isfinite(found.sum))
    sums = []
    for k in np.ndindex(shape):
        size = float(np.asarray(found.sum)[k])
        if bad[k]:
            sums.append(size)
            continue
        allowed = (atol or 0.0) * math.exp(-size) + rtol if log else (atol or 0.0) + rtol * abs(size)
        series = _Series(f, plain, allowed, int(maxterms))
        series = series.turned(partial(_without_size, size)) if log else series
        total = series.sum(a[k], b[k], step[k], [v[k] for v in given])
        sums.append(size + np.log(total) if log else total)
    whole = np.reshape(np.stack(sums), shape)[()] if sums else np.zeros(shape)
    whole = at_value(found.sum, whole)
    if bad.any():  # what SciPy could not sum to the tolerance has no derivative
        whole = missing(bad, whole, a, step, *given, *[np.sum(c) for c in caught], value=found.sum)
    return Result({**{k: v for k, v in found.items() if not k.startswith("_")}, "sum": whole}, {})


__all__ = ["ROOM", "nsum"]
