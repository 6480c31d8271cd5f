"""Functions whose result depends on how an array lies in memory, on views of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dualdiff as dd

WAYS = {
    "ravel K": lambda a: np.ravel(a, "K"),
    "ravel A": lambda a: np.ravel(a, "A"),
    "ravel F": lambda a: np.ravel(a, "F"),
    "flatten K": lambda a: a.flatten("K"),
    "reshape A": lambda a: np.reshape(a, -1, order="A"),
    "copy K, ravel K": lambda a: np.ravel(np.copy(a, "K"), "K"),
}


@st.composite
def views(draw: Any) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """Draw the shape of an array, and a view of it: axes exchanged, entries skipped or reversed, axes repeated, exchanged."""
    d = draw(st.integers(1, 4))
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=d, max_size=d)))
    cuts = st.sampled_from([slice(None), slice(None, None, -1), slice(None, None, 2)])
    index = tuple(draw(st.lists(cuts, min_size=d, max_size=d)))
    first = draw(st.permutations(range(d)))
    repeated = draw(st.lists(st.integers(1, 2), min_size=d, max_size=d))
    front = draw(st.sampled_from([(), (2,), (1, 2)]))
    last = draw(st.permutations(range(d + len(front))))
    return shape, (index, first, repeated, front, last)


def seen(x: Any, view: tuple[Any, ...]) -> Any:
    index, first, repeated, front, last = view
    y = x[index].transpose(first)
    shape = [n if n > 1 else k for n, k in zip(y.shape, repeated, strict=True)]
    return np.broadcast_to(y, (*front, *shape)).transpose(last)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("way", WAYS)
@given(drawn=views(), order=st.sampled_from("CF"))
def test_entries_come_in_numpys_order(mode: str, way: str, drawn: tuple[Any, Any], order: str) -> None:
    shape, view = drawn
    x = np.array(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), order=order)
    expected = WAYS[way](seen(x, view))
    value, slope = dd.value_and_jacobian(lambda x: WAYS[way](seen(x, view)), mode=mode)(x)
    np.testing.assert_array_equal(value, expected)
    # Entry k of the result is the entry of x that bears its number.
    np.testing.assert_array_equal(slope, expected.reshape(-1, *[1] * x.ndim) == x)
