"""Arguments that share memory: read as if each were alone, never written as if each were alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import TracedAssignmentError

Z = np.arange(1.0, 7.0)
MODES = pytest.mark.parametrize("mode", [dd.jacfwd, dd.jacrev, dd.jacobian, dd.grad])


def doubled(a: Any, b: Any) -> Any:
    a *= 2.0
    return np.sum(a * b)


def product(a: Any, b: Any) -> Any:
    return np.sum(a * b)


PAIRS = {
    "the same": (Z, Z),
    "overlapping": (Z[:4], Z[2:]),
    "one and its view": (Z, Z[::-1]),
    "a buffer between": (Z, np.frombuffer(memoryview(Z).toreadonly(), float)),
}
APART = {"halves": (Z[:3], Z[3:]), "interleaved": (Z[::2], Z[1::2]), "copies": (Z, Z.copy()), "empty": (Z[:0], Z[:0])}


@MODES
@pytest.mark.parametrize("argnums", [(0, 1), 0])
@pytest.mark.parametrize("args", PAIRS.values(), ids=PAIRS)
def test_a_write_into_one_of_two_that_share_memory_raises(mode: Any, argnums: Any, args: Any) -> None:
    before = Z.copy()
    with pytest.raises(TracedAssignmentError, match="shares its memory"):
        mode(doubled, argnums=argnums)(*args)
    np.testing.assert_array_equal(Z, before)


@MODES
@pytest.mark.parametrize("args", PAIRS.values(), ids=PAIRS)
def test_a_write_into_a_twin_that_is_not_differentiated_raises(mode: Any, args: Any) -> None:
    before = Z.copy()
    with pytest.raises((TracedAssignmentError, ValueError), match=r"shares its memory|read-only"):
        mode(doubled, argnums=1)(*args)
    with pytest.raises((TracedAssignmentError, ValueError), match=r"shares its memory|read-only"):
        mode(lambda x, data: doubled(data["x"], x))(args[1], {"x": args[0]})
    np.testing.assert_array_equal(Z, before)


@MODES
def test_a_write_into_one_leaf_of_two_raises(mode: Any) -> None:
    with pytest.raises(TracedAssignmentError, match="shares its memory"):
        mode(lambda p: doubled(p["a"], p["b"]))({"a": Z, "b": Z})


@MODES
@pytest.mark.parametrize("args", {**PAIRS, **APART}.values(), ids={**PAIRS, **APART})
def test_reading_is_as_if_each_were_alone(mode: Any, args: Any) -> None:
    a, b = mode(product, argnums=(0, 1))(*args)
    np.testing.assert_array_equal(a, args[1])
    np.testing.assert_array_equal(b, args[0])


@MODES
@pytest.mark.parametrize("args", APART.values(), ids=APART)
def test_parts_of_one_array_that_have_no_entry_in_common_are_written_freely(mode: Any, args: Any) -> None:
    a, b = mode(doubled, argnums=(0, 1))(*args)
    np.testing.assert_array_equal(a, 2 * args[1])
    np.testing.assert_array_equal(b, 2 * args[0])


@pytest.mark.parametrize("outer", [dd.jacfwd, dd.jacrev])
def test_traced_arguments_of_an_inner_operator_are_twins_as_plain_ones_are(outer: Any) -> None:
    def inner(select: Any) -> Any:
        return outer(lambda z: dd.grad(doubled)(*select(z)).sum())(Z)

    np.testing.assert_array_equal(inner(lambda z: (z[:3], z[3:])), [0, 0, 0, 2, 2, 2])
    for select in (lambda z: (z, z), lambda z: (z[:4], z[2:]), lambda z: (z, z.reshape(2, 3).ravel())):
        with pytest.raises(TracedAssignmentError, match="shares its memory"):
            inner(select)


def test_so_many_parts_among_each_other_that_comparing_them_would_cost_more_than_the_call() -> None:
    columns = list(np.ones((3, 60)).T)
    assert dd.grad(lambda c: sum(v.sum() for v in c))(columns)[5].tolist() == [1.0] * 3
