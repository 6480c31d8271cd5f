"""Maps as keys, and what a tape or a choice asks of tangents that are large."""

from __future__ import annotations

import numpy as np

from dualdiff.passes import costs
from dualdiff.tangents import Map
from dualdiff.tape import record
from dualdiff.ways import Forward, Program, RowSparse


def test_maps_are_keys_by_their_entries() -> None:
    at = np.array([[1, 2, 3], [0, 2, 1]])
    assert Map(at) == Map(at.copy()) == Map(at[:]) != Map(at + 1)
    assert Map(at) != Map(at.reshape(3, 2))
    assert Map(at[0]) != Map(at[:1])
    assert Map(at) != 1
    assert hash(Map(at)) == hash(Map(at.copy()))
    assert len({Map(at), Map(at.copy()), Map(at.T), 5}) == 3
    assert Map(np.zeros((0, 3), int)) == Map(np.zeros((0, 3), int))


def test_elements_beyond_the_cache_have_their_own_price(monkeypatch) -> None:  # type: ignore[no-untyped-def]
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
