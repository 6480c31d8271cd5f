"""Terms group by group and link by link: who belongs to an entry of a result, and what is forecast of it, exactly."""

from __future__ import annotations

import numpy as np

from dualdiff.kinds.base import ALL, Asked
from dualdiff.kinds.local import _members, grouped_forecast, linked_forecast
from dualdiff.rules.contraction import matmul_
from dualdiff.rules.linalg.solving import inv_

MAPPED = (0, 0)
"""A term of a forecast whose entries have directions of their own."""
DIRECTION = 7
"""A term of a forecast that is one direction of all entries."""


def test_an_entry_of_a_lane_that_no_operand_has_has_no_members() -> None:
    result, operand = np.array([0, -1, 1, 5]), np.array([1, 0, -1, 1])
    at, groups = _members(result, operand, 4, 4)
    np.testing.assert_array_equal(groups, [[1, -1], [0, 3]])
    np.testing.assert_array_equal(at, [[1, -1], [-1, -1], [0, 3], [-1, -1]])


def test_a_direction_stays_one_where_all_groups_are_of_one_size() -> None:
    a = np.ones((500, 2, 2))
    found = grouped_forecast(inv_, Asked([frozenset({MAPPED, DIRECTION})], [a], {}, a, 2000, 3))
    assert found == {DIRECTION, *[(3, j) for j in range(4)]}


def test_directions_link_by_link() -> None:
    n = 400
    even = np.eye(n) + np.eye(n, k=1) + np.eye(n, k=1 - n)  # two links in every row
    uneven = np.eye(n) + np.eye(n, k=1) + np.eye(n, k=2)  # the last rows have two and one
    lacking = np.diag([0.0, *[1.0] * (n - 1)])
    x = np.ones(n)

    def said(matrix: np.ndarray, *terms: object) -> object:
        return linked_forecast(matmul_, (None, 0), Asked([None, frozenset(terms)], [matrix, x], {}, x, 3000, 5))

    assert said(even, MAPPED) == {(5, 0), (5, 1)}
    assert said(even, MAPPED, DIRECTION) == {(5, 0), (5, 1), DIRECTION}
    assert said(uneven, MAPPED) == {(5, 0), (5, 1), (5, 2)}
    assert said(uneven, MAPPED, DIRECTION) == {*[(5, j) for j in range(5)], DIRECTION}
    assert said(lacking, DIRECTION) == {(5, 0)}
    assert said(np.ones((n, n)), DIRECTION) is None
    assert said(np.vstack([np.ones((n - 1, n)), np.zeros(n)]), DIRECTION) == ALL
