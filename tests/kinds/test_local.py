"""Terms group by group and link by link: who belongs to an entry of a result, and what is forecast of it, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.kinds import General
from dualdiff.kinds.base import ALL, Asked
from dualdiff.kinds.local import _members, grouped_forecast, linked_forecast
from dualdiff.labels import ALIGNED, DENSE
from dualdiff.passes.elimination import eliminated, linearized
from dualdiff.rules.contraction import matmul_
from dualdiff.rules.linalg.solving import inv_
from dualdiff.tape import record
from dualdiff.values import bind, operand
from tests.thresholds import ALWAYS_TERMS, thresholds

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
    assert said(np.zeros((n, n)), MAPPED) == set()
    assert said(np.ones((n, n)), DIRECTION) is None
    assert said(np.vstack([np.ones((n - 1, n)), np.zeros(n)]), DIRECTION) == ALL


def _along(sweep: Any, x: Any) -> Any:
    return np.reshape(x, (*np.shape(x), 1)) if sweep.lead else x


stretched = General(
    "stretched",
    lambda x, t: x * t,
    push=lambda sweep, ts, _out, x, t: (
        (0 if ts[0] is None else ts[0] * t) + (0 if ts[1] is None else _along(sweep, ts[1]) * x)
    ),
    pull=lambda _sweep, g, _out, x, t: (g * t, (g * x).sum(-1)),
    joins=lambda k, _args, _params, _out: (ALIGNED, DENSE)[k],
)
"""x·t with a number t, by hand: a row of no kind that knows more."""
steered = General(
    "steered",
    lambda x, s: x + np.floor(s),
    push=lambda _sweep, ts, _out, _x, _s: ts[0],
    pull=lambda _sweep, g, _out, _x, _s: (g, None),
    joins=lambda _k, _args, _params, _out: ALIGNED,
)
"""x + ⌊s⌋, whose second operand leaves no trace in the derivative."""
POINT = np.array([0.5, 1.25, 2.0, 3.5])


@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev], ids=["forward", "reverse"])
@pytest.mark.parametrize("terms", [False, True], ids=["arrays", "terms"])
def test_terms_of_a_number_beside_an_array(jac: Any, terms: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if terms:
        thresholds(monkeypatch, SMALL=0, **ALWAYS_TERMS)
    found = jac(lambda x: bind(stretched, (operand(np.sin(x)), operand(np.cos(x[2]))), {}))(POINT)
    wanted = np.diag(np.cos(POINT) * np.cos(2.0))
    wanted[:, 2] -= np.sin(POINT) * np.sin(2.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-14)


@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev], ids=["forward", "reverse"])
@pytest.mark.parametrize("terms", [False, True], ids=["arrays", "terms"])
def test_an_operand_through_which_nothing_passes(jac: Any, terms: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if terms:
        thresholds(monkeypatch, SMALL=0, **ALWAYS_TERMS)

    def f(x: Any) -> Any:
        return bind(steered, (operand(np.sin(x)), operand(x * x)), {})

    np.testing.assert_allclose(jac(f)(POINT), np.diag(np.cos(POINT)), rtol=1e-14)
    tape, y = record(f, POINT, replayable=True)
    tape.outputs = [y.mark]
    np.testing.assert_allclose(eliminated(tape), np.diag(np.cos(POINT)), rtol=1e-14)


def test_a_graph_has_no_edge_where_nothing_passes() -> None:
    def f(x: Any) -> Any:
        return bind(steered, (POINT, operand(x * x)), {}) + np.copysign(2.0, x) + np.sin(x)

    tape, y = record(f, POINT, replayable=True)
    tape.outputs = [y.mark]
    np.testing.assert_allclose(eliminated(tape), np.diag(np.cos(POINT)), rtol=1e-14)
    assert not any(o.name in ("steered", "np.copysign") for o in linearized(tape).origins.values())
