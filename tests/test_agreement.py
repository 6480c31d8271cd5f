"""Whether two values are one but for rounding."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dualdiff.agreement import agree

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
