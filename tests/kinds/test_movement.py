"""Position maps: entries are picked, and added up where they came from; the rows that do it obey every law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dualdiff as dd
from dualdiff.kinds import Movement, add_runs, gather, scatter, scatter_add, sum_into
from dualdiff.kinds.base import Asked
from dualdiff.testing import LAWS
from dualdiff.values import bind, operand
from tests.test_laws import FORMS, THRESHOLDS, apply, apply_forms
from tests.thresholds import ALWAYS_TERMS, thresholds

many = settings(max_examples=max(60, settings().max_examples))
SHAPES = st.sampled_from([(), (1,), (4,), (2, 3), (3, 1, 2), (0,), (2, 0)])
LEADS = st.sampled_from([(), (1,), (3,)])


@many
@given(SHAPES, SHAPES, LEADS, st.booleans(), st.integers(0, 2**16))
def test_a_position_map_picks_and_its_transpose_adds(
    shape: tuple[int, ...], moved: tuple[int, ...], lead: tuple[int, ...], pads: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    if not size:
        pads = True  # nothing but zeros can stand in the result
    position = np.asarray(rng.integers(0 if pads else 1, size + 1, moved))
    x, g = rng.standard_normal((*lead, *shape)), rng.standard_normal((*lead, *moved))
    # As a matrix: row j has a one in the column of the entry that stands at j.
    P = (position.reshape(-1, 1) == np.arange(1, size + 1)).astype(float)
    picked = (x.reshape((*lead, size)) @ P.T).reshape((*lead, *moved))
    added = (g.reshape((*lead, position.size)) @ P).reshape((*lead, *shape))
    np.testing.assert_array_equal(gather(x, len(shape), position), picked)
    found = scatter(g, len(moved), position, shape)
    assert found.shape == added.shape
    np.testing.assert_allclose(found, added, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("size", [7, 1 << 13])
@pytest.mark.parametrize("lead", [(), (2,)])
@pytest.mark.parametrize("position", [[5], [2, 0, 6], [3, 1, 3, 3, 0, 1], []], ids=str)
def test_a_place_named_twice_takes_both(size: int, lead: tuple[int, ...], position: list[int]) -> None:
    at = np.array(position, int)
    g = np.arange(1.0, 1 + int(np.prod(lead)) * len(at)).reshape((*lead, len(at)))
    start = np.arange(float(size)) * np.ones((*lead, 1))
    expected = start.copy()
    for j, p in enumerate(position):
        expected[..., p] += g[..., j]
    out = start.copy()
    assert sum_into(out, at, g) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: add_runs(x, starts=np.array([0, 2, 3])),
        lambda x: add_runs(x, starts=np.array([0])),
        lambda x: scatter_add(x, position=np.array([2, 0, 2, 5, 1]), size=6),
        lambda x: scatter_add(x, position=np.array([4, 3, 2, 1, 0]), size=5),
    ],
)
@pytest.mark.parametrize("shape", [(5,), (2, 5)])
def test_the_rows_of_adjoints_obey_the_laws_too(f: Any, shape: tuple[int, ...]) -> None:
    apply(set(LAWS), f, (np.linspace(0.3, 1.7, int(np.prod(shape))).reshape(shape),), 1)


class Backwards(Movement):
    """The entries from the last to the first: a row that says nothing but the function."""

    pads = False


backwards = Backwards("backwards", lambda x: x[..., ::-1])


def test_a_row_that_says_nothing_but_its_function_obeys_the_laws_too() -> None:
    x = np.array([0.3, 1.7, -0.4, 2.0])

    def f(x: Any) -> Any:
        return np.sin(bind(backwards, (operand(x * x),), {}))

    apply(LAWS.keys() - set(FORMS), f, (x,), 1)
    apply_forms(f, (x,), 1, THRESHOLDS, FORMS)
    wanted = np.diag(2 * x * np.cos(x * x))[::-1]
    for jac in (dd.jacfwd, dd.jacrev):
        np.testing.assert_allclose(jac(f)(x), wanted, rtol=1e-14)


def test_directions_of_all_entries_stay_so_where_no_zeros_come_between() -> None:
    x = np.ones(4)
    columns = frozenset({1, 2})
    assert backwards.forecast(Asked([columns], [x], {}, x, 10, 1)) == columns


@pytest.mark.parametrize("terms", [False, True], ids=["arrays", "terms"])
def test_one_entry_that_fills_many_gathers_their_covectors(terms: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if terms:
        thresholds(monkeypatch, SMALL=0, **ALWAYS_TERMS)
    x = np.linspace(0.3, 1.7, 60)
    wanted = np.diag(np.sin(x[0]) * np.ones(60))
    wanted[:, 0] += np.cos(x[0]) * x
    for jac in (dd.jacfwd, dd.jacrev):
        np.testing.assert_allclose(jac(lambda x: np.broadcast_to(np.sin(x[:1]), (60,)) * x)(x), wanted, rtol=1e-14)
