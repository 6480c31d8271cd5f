"""Whether two values are one but for rounding."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dualdiff.agreement import agree, is_amplified
from dualdiff.trees import flatten

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("found", "right", "want"),
    [
        ([1.0 + 1e-12], [1.0], True),
        ([1.0 + 1e-9], [1.0], False),
        ([1.0, 1e-12], [1.0, 0.0], True),  # of the largest entry
        ([1.0, INF, NAN], [1.0 + 1e-13, INF, NAN], True),
        ([1.0, INF], [1.0, -INF], False),
        ([1.0, NAN], [1.0, 1.0], False),
        ([INF, 1.0], [1.0, 1.0], False),
        ([1e300], [1e300 * (1 + 1e-12)], True),
        ([2e300], [1e300], False),
        ([1.7e308], [-1.7e308], False),
        ([1e200], [1.0], False),
        ([0.0], [1e-200], False),
        ([1e-190], [1e-200], False),
        ([1e-200 * (1 + 1e-12)], [1e-200], True),
        ([], [], True),
        ([1.0], 1.0, False),
        ([[1.0, 2.0]], [[1.0, 2.0 + 1e-12]], True),
        ([[1.0, 2.0]], [1.0, 2.0], False),
        ([1, 2], [1, 2], True),
        ([1, 2], [1, 3], False),
        ([1.0 + 1e-12], [1], True),
        (np.float64(1.7e308), -1.7e308, False),
        (1.0 + 1e-12, np.float64(1.0), True),
        (INF, -INF, False),
        (NAN, np.float64(NAN), True),
        (INF, 1.0, False),
        (1.0 + 1e-9j, 1.0 + 0j, False),
        (np.float32(1.0), np.float32(1.0 + 1e-6), True),
        (["a"], ["a"], True),
    ],
)
def test_agreement(found, right, want):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a, b = (np.array(v) if isinstance(v, list) else v for v in (found, right))
        assert agree(a, b, 1e6) is want


def logistic(x, steps=60):
    for _ in range(steps):
        x = 4 * x * (1 - x)
    return x


POINT = np.array([0.3, 0.4])


@pytest.mark.parametrize(
    ("f", "off", "want"),
    [
        (logistic, 1e-3, True),
        (lambda x: {"end": logistic(x), "name": "run", "steps": 60}, 1e-3, True),
        (lambda x: logistic(x, 20), 1e-3, False),  # a few millions of roundings are no thousandth
        (lambda x: logistic(x, 20), 1e-10, True),
        (np.sin, 1e-9, False),
        (lambda x: np.zeros(2), 1e-9, False),
        (lambda x: (logistic(x), np.sin(x)), 1e-3, False),  # of the second it is not
        (lambda x: x[:0], 1.0, True),
    ],
)
def test_what_chaos_makes_of_rounding_is_no_other_result(f, off, want):
    right = flatten(f(POINT))[0]
    found = [r + off if isinstance(r, np.ndarray) else r for r in right]
    assert is_amplified(f, POINT, found, right) is want
    assert not is_amplified(
        f, POINT, [r * np.nan if np.size(r) and not isinstance(r, str) else 2.0 for r in right], right
    )


def test_what_does_not_repeat_itself_or_cannot_be_run_beside_the_point_is_no_chaos():
    rng = np.random.default_rng(0)
    right = [rng.normal(size=2)]
    assert not is_amplified(lambda x: x * rng.normal(size=2), POINT, [right[0] + 1e-9], right)

    def only_here(x):
        if not np.array_equal(x, POINT):
            raise ValueError(x)
        return x * 2

    assert not is_amplified(only_here, POINT, [POINT * 2 + 1e-9], [POINT * 2])
    # Of integers there are no neighbours, of single precision there are its own.
    assert not is_amplified(lambda n: np.sin(n), 3, [np.sin(3) + 1e-9], [np.sin(3)])
    x = POINT.astype(np.float32)
    assert is_amplified(logistic, x, [logistic(x) + np.float32(1e-3)], [logistic(x)])
    assert not is_amplified(np.sin, x, [np.sin(x) + np.float32(1e-3)], [np.sin(x)])
    assert is_amplified(logistic, 0.3, [logistic(0.3) + 1e-3], [logistic(0.3)])
