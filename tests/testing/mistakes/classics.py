"""The thirty-five functions of J. J. Moré, B. S. Garbow and K. E. Hillstrom (1981), doi:10.1145/355934.355936.

Each is here three times: its residuals at a starting point, with the Jacobian by forward mode; half the sum of their squares at
a minimum, where the gradient is zero up to rounding; and the residuals with a Jacobian that has one mistake in it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import scipy.optimize

import dualdiff as dd
from dualdiff.lab.problems import Case as Problem
from dualdiff.lab.problems import zoo
from tests.corpus.least_squares import POINTS
from tests.testing.mistakes.case import Case, Gradient, Jacobian

__all__ = ["CLASSICS", "MISTAKEN", "ZOO", "minima"]

GAUSSIAN = np.array([9, 44, 175, 540, 1295, 2420, 3521, 3989, 3521, 2420, 1295, 540, 175, 44, 9]) / 1e4
OSBORNE_ONE = np.array([844, 908, 932, 936, 925, 908, 881, 850, 818, 784, 751, 718, 685, 658, 628, 603, 580, 558, 538, 522, 506, 490, 478,
                        467, 457, 448, 438, 431, 424, 420, 414, 411, 406]) / 1e3  # fmt: skip
OSBORNE_TWO = np.array([1366, 1191, 1112, 1013, 991, 885, 831, 847, 786, 725, 746, 679, 608, 655, 616, 606, 602, 626, 651, 724, 649, 649,
             694,
                        644, 624, 661, 612, 558, 533, 495, 500, 423, 395, 375, 372, 391, 396, 405, 428, 429, 523, 562, 607, 653, 672, 708,
                        633, 668, 645, 632, 591, 559, 597, 625, 739, 710, 729, 720, 636, 581, 428, 292, 162, 98, 54]) / 1e3  # fmt: skip


def brown_badly_scaled(x):
    return np.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


def gaussian(x):
    t = (8 - np.arange(1, 16)) / 2
    return x[0] * np.exp(-x[1] * (t - x[2]) ** 2 / 2) - GAUSSIAN


def gulf(x):
    t = np.arange(1, 11) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return np.exp(-(abs(y - x[1]) ** x[2]) / x[0]) - t


def osborne_one(x):
    t = 10.0 * np.arange(33)
    return OSBORNE_ONE - (x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4]))


def osborne_two(x):
    t = np.arange(65) / 10
    humps = sum(x[k] * np.exp(-((t - x[k + 7]) ** 2) * x[k + 4]) for k in (1, 2, 3))
    return OSBORNE_TWO - (x[0] * np.exp(-t * x[4]) + humps)


def rosenbrock_extended(x):
    odd, even = x[::2], x[1::2]
    return np.concatenate([10 * (even - odd**2), 1 - odd])


def powell_singular_extended(x):
    a, b, c, d = x[::4], x[1::4], x[2::4], x[3::4]
    return np.concatenate([a + 10 * b, np.sqrt(5) * (c - d), (b - 2 * c) ** 2, np.sqrt(10) * (a - d) ** 2])


def penalty_one(x):
    return np.concatenate([np.sqrt(1e-5) * (x - 1), np.stack([x @ x - 0.25])])


def broyden_tridiagonal(x):
    padded = np.concatenate([np.zeros(1), x, np.zeros(1)])
    return (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1


def linear_of_full_rank(x):
    mean = 2 * np.sum(x) / 8
    return np.concatenate([x - mean - 1, np.full(3, -1.0) - mean])


def linear_of_rank_one(x):
    return np.arange(1, 9) * (np.arange(1, 6) @ x) - 1


def linear_with_zeros(x):
    inner = np.arange(2, 5) @ x[1:-1]
    return np.concatenate([np.full(1, -1.0), np.arange(1, 7) * inner - 1, np.full(1, -1.0)])


FURTHER = [
    (brown_badly_scaled, [1.0, 1.0]),
    (gaussian, [0.4, 1.0, 0.1]),
    (gulf, [5.0, 2.5, 0.15]),
    (osborne_one, [0.5, 1.5, -1.0, 0.01, 0.02]),
    (osborne_two, [1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5]),
    (rosenbrock_extended, [-1.2, 1.0, -1.1, 0.9, -0.8, 1.1]),
    (powell_singular_extended, [3.0, -1.0, 0.5, 1.0, 2.0, -1.5, 0.25, 1.5]),
    (penalty_one, [1.0, 2.0, 3.0, 4.0]),
    (broyden_tridiagonal, [-1.0, -0.9, -1.1, -0.8, -0.7]),
    (linear_of_full_rank, [1.0, 0.9, 1.1, 0.8, 1.2]),
    (linear_of_rank_one, [1.0, 0.9, 1.1, 0.8, 1.2]),
    (linear_with_zeros, [1.0, 0.9, 1.1, 0.8, 1.2]),
]
FUNCTIONS = [*POINTS, *FURTHER]


def by_forward_mode(f: Callable[..., Any]) -> Callable[..., Any]:
    captured = dd.capture(f)

    def jacobian(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.stack(dd.jacfwd(captured)(np.asarray(x, float)))

    return jacobian


def column_negated(J):
    return J * np.where(np.arange(J.shape[1]) == J.shape[1] - 1, -1.0, 1.0)


def row_doubled(J):
    k = np.argmax(np.abs(J).sum(axis=1))
    return J * np.where(np.arange(J.shape[0]) == k, 2.0, 1.0)[:, None]


def entry_forgotten(J):
    found = J.copy()
    found.flat[np.argmax(np.abs(J))] = 0.0
    return found


def columns_exchanged(J):
    return J[:, ::-1]


def rows_shifted(J):
    return np.roll(J, 1, axis=0)


def times_inputs(J):
    return J * J.shape[1]


def pulled_to_the_right(J):
    return np.triu(J) if not np.allclose(np.triu(J), J) else np.tril(J)


WAYS = (
    column_negated,
    row_doubled,
    entry_forgotten,
    columns_exchanged,
    rows_shifted,
    times_inputs,
    pulled_to_the_right,
)


def mistaken(k: int, f: Callable[..., Any], start: Any) -> Case:
    jacobian = by_forward_mode(f)
    J = jacobian(start)
    for way in (*WAYS[k % len(WAYS) :], *WAYS):  # what changes nothing, of a symmetric one say, is no mistake
        if np.max(np.abs(way(J) - J)) > 1e-3 * np.max(np.abs(J)):
            break
    return Jacobian(f"{f.__name__}: {way.__name__}", f, lambda x: way(jacobian(x)), np.array(start))


CLASSICS = [Jacobian(f.__name__, f, by_forward_mode(f), np.array(start), points=3) for f, start in FUNCTIONS]
MISTAKEN = [mistaken(k, f, np.array(start)) for k, (f, start) in enumerate(FUNCTIONS)]


@cache
def minima() -> list[Case]:
    """Return the halved sums of squares, at what a solver finds for their minima."""
    found = []
    for f, start in FUNCTIONS:
        jacobian = by_forward_mode(f)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            x = scipy.optimize.least_squares(
                lambda x, f=f: np.asarray(f(x)), start, jac=jacobian, xtol=1e-15, ftol=1e-15, gtol=1e-15
            ).x
        found.append(
            Gradient(
                f"{f.__name__} at a minimum",
                lambda x, f=f: 0.5 * np.sum(np.square(f(x))),
                lambda x, f=f, jacobian=jacobian: jacobian(x).T @ np.asarray(f(x)),
                x,
                stationary=True,
                points=0,
            )
        )
    return found


def of_the_zoo(problem: Problem) -> Case:
    return Jacobian(
        problem.name, problem.function, problem.jacobian, np.array(problem.point), points=3, domain="nonzero"
    )


ZOO = [of_the_zoo(problem) for problem in zoo() if problem.jacobian is not None and problem.inputs <= 12]
"""Problems of the zoo with a Jacobian by hand."""
