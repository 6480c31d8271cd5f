"""Maps as keys, and what a tape or a choice asks of tangents that are large."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.passes import costs
from dualdiff.tangents import Columns, Map, Terms, store
from dualdiff.tape import record
from dualdiff.ways import Forward, Program, RowSparse
from tests.thresholds import ALWAYS_TERMS, thresholds


def test_maps_are_keys_by_their_entries() -> None:
    at = np.array([[1, 2, 3], [0, 2, 1]])
    assert Map(at) == Map(at.copy()) == Map(at[:]) != Map(at + 1)
    assert Map(at) != Map(at.reshape(3, 2))
    assert Map(at[0]) != Map(at[:1])
    assert Map(at) != 1
    assert hash(Map(at)) == hash(Map(at.copy()))
    assert len({Map(at), Map(at.copy()), Map(at.T), 5}) == 3
    assert Map(np.zeros((0, 3), int)) == Map(np.zeros((0, 3), int))


def test_elements_beyond_the_cache_have_their_own_price(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 60
    tape, y = record(lambda x: np.sin(x) * x, np.ones(n), replayable=True)
    tape.outputs = [y.mark]
    program = Program(tape, [np.ones(n)])
    for way in (RowSparse, Forward):
        found = {}
        for cache in (1 << 17, n - 1):
            monkeypatch.setattr(costs, "CACHE", cache)
            q = (way(inputs=n, outputs=n, columns=n, entries=n)).quantities(program)
            found[cache] = q
        near, far = found[1 << 17], found[n - 1]
        assert near.get("far", 0) == 0
        assert far["far"] > 0
        assert near["element"] == far["element"] + far["far"]


@pytest.mark.parametrize("outer", [dd.jacfwd, dd.jacrev], ids=["forward", "reverse"])
def test_a_write_into_terms_that_are_differentiated_again(outer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    thresholds(monkeypatch, SMALL=0, **ALWAYS_TERMS)

    def f(x: Any) -> Any:
        y = x**3
        y[0] = x[1] * y[2]
        return np.sum(y)

    x = np.array([0.5, 2.0, 3.0])
    wanted = np.diag([0.0, 6 * x[1], 6 * x[2] * (1 + x[1])])
    wanted[1, 2] = wanted[2, 1] = 3 * x[2] ** 2
    np.testing.assert_allclose(outer(dd.jacfwd(f))(x), wanted, rtol=1e-14, atol=1e-14)


def test_traced_terms_are_written_into_plain_ones() -> None:
    def f(x: Any) -> Any:
        mine = [Terms([(Map(np.array([1, 2, 3])), np.array([4.0, 5.0, 6.0]))]), Columns([(1, x[0] * 2)])]
        ((key, c),) = store(mine, 0, np.zeros(3), 1.0).items()
        assert key.positions.tolist() == [2, 2, 3]
        return c

    value, tangent = dd.jvp(f, (np.ones(3),), (np.ones(3),))
    assert value.tolist() == [2, 5, 6]
    assert tangent.tolist() == [2, 0, 0]


def test_terms_that_are_traced_are_copied_before_they_are_written_into() -> None:
    seen = []

    def f(x: Any) -> Any:
        terms = Terms({Map(np.array([1, 2, 3])): x})
        new = store([terms, None], 0, np.zeros(3), 1.0)
        seen.append(x * 1.0)
        ((key, c),) = new.items()
        assert key.positions.tolist() == [0, 2, 3]
        return c

    _, tangent = dd.jvp(f, (np.ones(3),), (np.ones(3),))
    assert tangent.tolist() == [0, 1, 1]
    _, tangent = dd.jvp(lambda x: [f(x), seen[-1]][1], (np.ones(3),), (np.ones(3),))
    assert tangent.tolist() == [1, 1, 1]  # it is as it was
