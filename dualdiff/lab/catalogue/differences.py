"""Differences: SciPy's, as its solvers take them, and extrapolated ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from dualdiff.errors import InputError
from dualdiff.lab.catalogue.base import HALF, THIRD, Method, Work
from dualdiff.lab.subject import Subject

try:
    # SciPy's solvers compute their finite differences with this function, and offer it nowhere in public.
    from scipy.optimize._numdiff import approx_derivative
except ImportError:
    approx_derivative = None

__all__ = ["of_differences"]

LEVELS = 8
"""Steps that an extrapolation takes."""
FIRST = 2.0**-5
"""The largest of them, relative to the variable; each is half of the one before."""


@dataclass(frozen=True, kw_only=True)
class ByDifferences(Method):
    """SciPy's finite differences, as its solvers take them: f at the point is known already."""

    scheme: Any
    times: int
    group: ClassVar[str] = "differences"

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        if approx_derivative is None:
            raise InputError("this version of SciPy does not offer its finite differences any more")
        f: Callable[[Any], Any] = subject.f if subject.is_vector else subject.flat
        value = np.asarray(subject.value, dtype=float)
        return partial(approx_derivative, f, subject.point, method=self.scheme, f0=value)

    def work(self, subject: Subject) -> Work:
        return _differenced(subject, self.times * subject.n)

    def applies(self, subject: Subject) -> bool:
        return approx_derivative is not None


@dataclass(frozen=True, kw_only=True)
class ByExtrapolation(Method):
    """Central differences in a falling sequence of steps, extrapolated to step zero, column by column.

    References
    ----------
    Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in Engineering Software 4 (1982),
    doi:10.1016/S0141-1195(82)80057-0.
    """

    group: ClassVar[str] = "differences"

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        return lambda: _extrapolated(subject)

    def work(self, subject: Subject) -> Work:
        return _differenced(subject, 2 * LEVELS * subject.n)


def _differenced(subject: Subject, evaluations: int) -> Work:
    try:
        nonlinear: int | None = evaluations * subject.nonlinear
    except Exception:  # a function that cannot be recorded has differences all the same
        nonlinear = None
    return Work(passes=subject.n, evaluations=evaluations, nonlinear=nonlinear)


def _extrapolated(subject: Subject) -> Any:
    x = subject.point
    J = np.zeros((subject.m, subject.n))
    for j in range(subject.n):
        J[:, j] = _column(subject.flat, x, j)
    return J


def _column(f: Callable[[Any], Any], x: Any, j: int) -> Any:
    """Return a column by Neville's scheme, of every entry the value that differs least from its two neighbours."""
    best: Any = None
    error: Any = np.inf
    previous: list[Any] = []
    for level in range(LEVELS):
        h = FIRST * 2.0**-level * max(1.0, abs(float(x[j])))
        above, below = x.copy(), x.copy()
        above[j] += h
        below[j] -= h
        row = [(f(above) - f(below)) / (above[j] - below[j])]
        for k, before in enumerate(previous, 1):
            row.append(row[-1] + (row[-1] - before) / (4.0**k - 1))  # the errors go by even powers of the step
            spread = np.maximum(abs(row[k] - row[k - 1]), abs(row[k] - before))
            better = spread < error
            best, error = np.where(better, row[k], row[0] if best is None else best), np.where(better, spread, error)
        previous = row
    return best


def of_differences() -> Iterator[Method]:
    """Yield the methods by differences."""
    yield ByDifferences(name="2-point", scheme="2-point", times=1, exact=False, tolerance=HALF)
    yield ByDifferences(name="3-point", scheme="3-point", times=2, exact=False, tolerance=THIRD)
    yield ByExtrapolation(name="richardson", exact=False, tolerance=THIRD)
