"""Differences: SciPy's, as its solvers take them, and extrapolated ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from dualdiff.errors import InputError
from dualdiff.lab.catalogue.base import HALF, THIRD, Method, Work
from dualdiff.lab.oracle import evaluations
from dualdiff.lab.subject import Subject
from dualdiff.testing import differences

try:
    # SciPy's solvers compute their finite differences with this function, and offer it nowhere in public.
    from scipy.optimize._numdiff import approx_derivative
except ImportError:
    approx_derivative = None

__all__ = ["of_differences"]


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
    """Central differences in a falling sequence of steps, extrapolated to step zero, column by column."""

    group: ClassVar[str] = "differences"

    def prepared(self, subject: Subject) -> Callable[[], Any]:
        return lambda: _extrapolated(subject)

    def work(self, subject: Subject) -> Work:
        return _differenced(subject, evaluations() * subject.n)


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
        v = np.zeros_like(x)
        v[j] = abs(x[j]) or 1.0
        found = differences(lambda given: [subject.flat(given[0])], [x], [v])
        J[:, j] = found.values[0] / v[j]
    return J


def of_differences() -> Iterator[Method]:
    """Yield the methods by differences."""
    yield ByDifferences(name="2-point", scheme="2-point", times=1, exact=False, tolerance=HALF)
    yield ByDifferences(name="3-point", scheme="3-point", times=2, exact=False, tolerance=THIRD)
    yield ByExtrapolation(name="richardson", exact=False, tolerance=THIRD)
