"""What tests draw beside the strategies that users have: graphs of elimination."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dualdiff.passes.elimination import Graph


@st.composite
def graphs(draw: Any) -> Graph:
    """Small graphs with whole numbers as weights, so that every order gives exactly the same."""
    n = draw(st.integers(1, 3))
    rows: dict[int, dict[int, int]] = {}
    for v in range(n, n + draw(st.integers(0, 7))):
        before = draw(st.lists(st.integers(0, v - 1), unique=True, max_size=3))
        rows[v] = {u: draw(st.integers(-3, 3)) for u in before}
    anyone = st.one_of(st.none(), st.integers(0, n + len(rows) - 1))
    return Graph(tuple(range(n)), tuple(draw(st.lists(anyone, max_size=4))), rows)
