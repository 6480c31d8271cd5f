"""Functions that call a solver are captured from the start: its function may do no more than compare."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

import dualdiff as dd
from dualdiff.errors import JumpError, SingularSolutionError


def length(p: Any) -> Any:
    return scipy.integrate.quad(lambda s: 1.0 if s < p else 0.0, 0, 2)[0]


def by_a_helper(x: Any) -> Any:
    return length(x[0]) * x[1]


def itself(x: Any) -> Any:
    return scipy.integrate.solve_ivp(lambda t, y: [1.0 if t > x[0] else 0.0], (0, 2), [0.0]).y[0, -1] * x[1]


def by_a_root(x: Any) -> Any:
    return scipy.optimize.brentq(lambda s: -1.0 if s < x[0] else 1.0, 0.5, 20.0) * x[1]


class Delayed:
    def end(self, p: Any) -> Any:
        return itself(p) if p[1] < 0 else self.solved(p)

    def solved(self, p: Any) -> Any:
        return scipy.integrate.solve_ivp(lambda t, y: [1.0 if t > p[0] else 0.0], (0, 2), [0.0]).y[0, -1] * p[1]

    __call__ = end


DELAYED = Delayed()


def by_an_object(x: Any) -> Any:
    return DELAYED.solved(x)


@pytest.mark.parametrize(
    ("f", "error"),
    [
        (DELAYED, JumpError),
        (DELAYED.end, JumpError),
        (by_an_object, JumpError),
        (by_a_helper, JumpError),
        (itself, JumpError),
        (by_a_root, SingularSolutionError),
    ],
)
def test_a_value_that_a_solvers_function_only_compares_is_not_lost(f: Any, error: type[Exception]) -> None:
    for operator in (dd.jacobian, dd.jacfwd, dd.jacrev):
        with pytest.raises(error):
            operator(f)(np.array([0.7, 2.0]))
