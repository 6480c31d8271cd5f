"""Extrema whose entries tie."""

from __future__ import annotations

import numpy as np

from tests.rules.worked import both, second


def test_ties_share_evenly() -> None:
    both(np.max, [1, 3, 3, 2], [0, 0.5, 0.5, 0])
    both(np.min, [1, 1, 1, 2], [1 / 3, 1 / 3, 1 / 3, 0])
    both(lambda x: np.max(x, axis=0), [[1, 2], [1, 0]], [[[0.5, 0], [0.5, 0]], [[0, 1], [0, 0]]])
    both(lambda x: x.max(), [[2, 2], [1, 2]], np.array([[1, 1], [0, 1]]) / 3)
    both(lambda x: np.maximum.reduce(x), [5, 5], [0.5, 0.5])
    both(np.ptp, [1, 3, 3], [-1, 0.5, 0.5])
    second(np.max, [1, 3, 3], np.zeros((3, 3)))
