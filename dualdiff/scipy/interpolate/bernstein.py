"""Piecewise polynomials in Bernstein's basis: the coefficients of powers are linear in theirs, and are evaluated."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import interpolate as scipy_interpolate

from dualdiff.capture.active import is_active, plain_call
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.scipy.interpolate import pieces
from dualdiff.scipy.interpolate.pieces import KINKS, ROOM, carrying, column, fixed_order, inexact, real
from dualdiff.shapes import shape_of
from dualdiff.values import fixed

BPOLY, PPOLY = scipy_interpolate.BPoly, scipy_interpolate.PPoly


def _powers(n: int) -> Any:
    """Return the matrix of the coefficients of powers, the highest first, of Bernstein's polynomials of a degree on [0, 1]."""
    found = np.zeros((n + 1, n + 1))
    for a in range(n + 1):
        for s in range(a, n + 1):
            found[n - s, a] = (-1) ** (a + s) * math.comb(n, a) * math.comb(n - a, s - a)
    return found


def _scales(x: Any, n: int, rank: int) -> Any:
    """Return the powers n, …, 0 of the lengths of the intervals, shaped as coefficients of a rank."""
    return column((x[1:] - x[:-1]) ** np.arange(n, -1, -1)[:, None], rank)


def in_powers(self: Any, extrapolate: Any = None) -> Any:
    """Return the same function in the basis of powers."""
    c, x = inexact(self.c), real(self.x)
    n = shape_of(c)[0] - 1
    own = np.tensordot(_powers(n), c, 1) / _scales(x, n, len(shape_of(c)))
    return pieces.pieces(PPOLY, own, x, self.extrapolate if extrapolate is None else extrapolate, self.axis)


def called(self: Any, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
    """``BPoly(...)(x, nu)``, in the basis of powers."""
    return pieces.called(in_powers(self), x, nu, extrapolate)


def integrate(self: Any, a: Any, b: Any, extrapolate: Any = None) -> Any:
    """``BPoly.integrate``; an array without axes where this SciPy makes one."""
    extrapolate = self.extrapolate if extrapolate is None else extrapolate
    found = pieces.integrate(in_powers(self), a, b, extrapolate)
    return found if _is_array("periodic" if isinstance(extrapolate, str) else None) else found[()]


@cache
def _is_array(extrapolate: str | None) -> bool:
    return isinstance(BPOLY([[1.0]], [0.0, 1.0]).integrate(0.0, 1.0, extrapolate), np.ndarray)


def derivative(self: Any, nu: int = 1) -> Any:
    """``BPoly.derivative``."""
    return antiderivative(self, -nu) if nu < 0 else in_basis(pieces.derivative(in_powers(self), nu))


def antiderivative(self: Any, nu: int = 1) -> Any:
    """``BPoly.antiderivative``."""
    return derivative(self, -nu) if nu < 0 else in_basis(pieces.antiderivative(in_powers(self), nu))


class Bernstein:
    """The part of such a polynomial that carries a derivative; SciPy's class is its other parent."""

    c: Any = None
    x: Any = None
    axis: Any = 0
    extrapolate: Any = True
    __call__ = called
    derivative = derivative
    antiderivative = antiderivative
    integrate = integrate

    def extend(self, c: Any, x: Any) -> None:
        """Refuse to change the object."""
        raise UnsupportedFunctionError(
            f"{where()}: extend of a BPoly that carries a derivative is not supported. Make a new one of all coefficients."
        )


def _made(c: Any, x: Any, extrapolate: Any, axis: int = 0) -> Any:
    made: Any = object.__new__(carrying(BPOLY, Bernstein))
    made.c, made.x, made.axis = c, x, axis
    made.extrapolate = extrapolate if isinstance(extrapolate, str) else extrapolate is None or bool(extrapolate)
    return made


def in_basis(self: Any, extrapolate: Any = None) -> Any:
    """Return the same function in Bernstein's basis."""
    c, x = inexact(self.c), real(self.x)
    n = shape_of(c)[0] - 1
    own = np.tensordot(np.linalg.inv(_powers(n)), c * _scales(x, n, len(shape_of(c))), 1)
    return _made(own, x, self.extrapolate if extrapolate is None else extrapolate, self.axis)


# --------------------------------------------------------------------------------------------------
# from values and derivatives


def _of_interval(length: Any, first: Any, last: Any, degree: int) -> Any:
    """Return the coefficients of an interval of which some derivatives at both ends are given, raised to a degree.

    Those of order q at an end are the q-th differences of the coefficients there.
    """
    n = len(first) + len(last) - 1
    ends: list[list[Any]] = []
    for given, sign in ((first, 1), (last, -1)):
        found: list[Any] = []
        for q, y in enumerate(given):
            known = sum([(-1) ** (q + j) * math.comb(q, j) * c for j, c in enumerate(found)])
            found.append((sign * length) ** q * math.factorial(n - q) / math.factorial(n) * y - known)
        ends.append(found)
    own = np.stack([*ends[0], *ends[1][::-1]])
    more = degree - n
    raised = np.zeros((degree + 1, n + 1))
    for a in range(n + 1):
        for j in range(more + 1):
            raised[a + j, a] = math.comb(n, a) * math.comb(more, j) / math.comb(degree, a + j)
    return np.tensordot(raised, own, 1)


def _orders(yi: list[Any], orders: Any) -> list[tuple[int, int]]:
    """Return how many derivatives at both ends of every interval are used."""
    m = len(yi) - 1
    asked = [orders] * m if orders is None or isinstance(orders, (int, np.integer)) else list(orders)
    if any(o is not None and o <= 0 for o in asked):
        raise ValueError("Orders must be positive.")
    found = []
    for i, order in enumerate(asked):
        n1, n2 = len(yi[i]), len(yi[i + 1])
        if order is not None:
            n = order + 1
            at_end = min(n - min(n // 2, n1), n2)
            if n - at_end > n1:
                raise ValueError(
                    f"Interval {i} has {n1} derivatives at its beginning and {n2} at its end, but order {order} requested"
                )
            n1, n2 = n - at_end, at_end
        found.append((n1, n2))
    return found


@ROOM.method(BPOLY, "from_derivatives")
def from_derivatives(_kind: Any, xi: Any, yi: Any, orders: Any = None, extrapolate: Any = None) -> Any:
    """``BPoly.from_derivatives``: in the values, the derivatives and the breakpoints."""
    x, y = real(xi), [inexact(one) for one in yi]
    if shape_of(x)[0] != len(y):
        raise ValueError("xi and yi need to have the same length")
    if fixed(np.any(x[1:] <= x[:-1])):
        raise ValueError("x coordinates are not in increasing order")
    if any(not shape_of(one) for one in y):
        raise ValueError("Using a 1-D array for y? Please .reshape(-1, 1).")
    counts = _orders(y, orders)
    degree = max([len(a) + len(b) for a, b in pairwise(y)]) - 1
    if orders is not None:
        degree = max(degree, max(n1 + n2 for n1, n2 in counts) - 1)
    c = [_of_interval(x[i + 1] - x[i], y[i][:n1], y[i + 1][:n2], degree) for i, (n1, n2) in enumerate(counts)]
    return _made(np.stack(c, axis=1), x, extrapolate)


def _of_other_basis(owner: Any, name: str, part: type, changed: Any) -> None:
    """Let a class's own function change the basis of objects that carry a derivative."""
    real = getattr(owner, name)

    def change(_kind: Any, of: Any, extrapolate: Any = None) -> Any:
        if isinstance(of, part) and is_active((of.c, of.x)):  # type: ignore[attr-defined]
            return changed(of, extrapolate)
        return plain_call(real, (of, extrapolate), {})

    ROOM.method(owner, name, always=True)(change)


_of_other_basis(BPOLY, "from_power_basis", pieces.Pieces, in_basis)
_of_other_basis(PPOLY, "from_bernstein_basis", Bernstein, in_powers)


ROOM.method(BPOLY, "__call__", facts=KINKS)(called)
ROOM.method(BPOLY, "integrate")(integrate)


@ROOM.constructor(BPOLY, facts=KINKS)
def bpoly(c: Any, x: Any, extrapolate: Any = None, axis: int = 0) -> Any:
    """``scipy.interpolate.BPoly`` of coefficients or breakpoints that carry a derivative."""
    c, x = inexact(c), real(x)
    BPOLY(np.zeros(shape_of(c)), fixed_order(x), extrapolate, axis)  # raises what SciPy raises
    if axis != 0:
        c = np.moveaxis(np.moveaxis(c, axis + 1, 0), axis + 1, 0)
    return _made(c, x, extrapolate, axis)


__all__ = ["Bernstein", "bpoly", "in_basis", "in_powers"]
