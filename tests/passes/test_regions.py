"""What is read where it was written, and written where nobody read."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import dualdiff as dd
from dualdiff.passes.regions import region

slices = st.builds(slice, st.none() | st.integers(-9, 9), st.none() | st.integers(-9, 9), st.none() | st.integers(1, 4))
indices = st.tuples(slices | st.integers(-7, 6), slices | st.integers(-5, 4)) | slices | st.integers(-7, 6)
SHAPE = (7, 5)


@given(indices, indices)
def test_regions_are_what_numpy_picks(a: Any, b: Any) -> None:
    entries = np.arange(35).reshape(SHAPE)
    first, second = region(a, SHAPE), region(b, SHAPE)
    assert first is not None
    assert second is not None
    assert first.shape == entries[a].shape
    inner = first.inside(second)
    if inner is not None:
        np.testing.assert_array_equal(entries[b][inner], entries[a])
    if entries[a].size:
        np.testing.assert_array_equal(entries[a][first.inside(first)], entries[a])
    if first.is_apart(second):
        assert not set(entries[a].flat) & set(entries[b].flat)
    assert (first == second) == (first.axes == second.axes and entries[a].shape == entries[b].shape)


def test_regions_in_regions_and_apart() -> None:
    entries = np.arange(35).reshape(SHAPE)
    for inner, outer in [
        ((2, 3), (slice(1, 5), slice(1, 4))),
        ((slice(2, 3), 3), (2, slice(None))),
        ((slice(1, 6, 4), 0), (slice(1, None, 2), slice(0, 1))),
    ]:
        index = region(inner, SHAPE).inside(region(outer, SHAPE))
        np.testing.assert_array_equal(entries[outer][index], entries[inner])
    for inner, outer in [(slice(0, 3), slice(1, 5)), (slice(0, 7, 3), slice(0, 7, 2)), (slice(3, 3), slice(None))]:
        assert region(inner, SHAPE).inside(region(outer, SHAPE)) is None
    assert region(slice(0, 7, 2), SHAPE).is_apart(region(slice(1, 7, 2), SHAPE))
    assert region((0, slice(0, 2)), SHAPE).is_apart(region((slice(None), slice(2, 4)), SHAPE))
    assert not region(slice(0, 7, 3), SHAPE).is_apart(region(slice(0, 7, 2), SHAPE))


def test_what_is_neither_an_ascending_slice_nor_an_integer_is_no_region() -> None:
    for index in (7, (0, -6), True, slice(None, None, -1), np.array([0, 1]), None, Ellipsis, (slice(None),) * 3):
        assert region(index, SHAPE) is None


@given(
    st.lists(st.tuples(st.sampled_from(["write", "add", "read"]), slices, slices), max_size=8), st.integers(0, 2**16)
)
def test_programs_of_reads_and_writes_are_what_numpy_makes_of_them(steps: Any, seed: int) -> None:
    def f(x: Any) -> Any:
        y, found = np.zeros_like(x), []
        for k, (what, a, b) in enumerate(steps):
            part = y[a]
            if what == "write":
                y[a] = np.sin(x[: len(part)]) * (k + 1)
            elif what == "add":
                y[a] += x[len(x) - len(part) :] * (k + 1)
            else:
                found.append(y[a][b] * 2.0)
        return y, found

    rng = np.random.default_rng(seed)
    first = rng.uniform(1, 2, 6)
    program = dd.compile(f)
    for x in (first, 2 * first, first[::-1].copy()):
        found, expected = program(x), f(x)
        np.testing.assert_array_equal(found[0], expected[0])
        for p, q in zip(found[1], expected[1], strict=True):
            np.testing.assert_array_equal(p, q)


def test_a_value_that_is_written_and_read_back_leaves_nothing_behind() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[1:] = x[:-1] * 2
        y[1:] = x[1:] * 3  # hides the write before it
        return y[1:] * y[3:5].sum()

    x = np.arange(200.0)
    program = dd.compile(f)
    np.testing.assert_array_equal(program(x), f(x))
    assert program.explain(x).steps == 5
