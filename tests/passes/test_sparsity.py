"""Which output depends on which input: scalar loops, fills, constants, several inputs and outputs, and how many."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import dualdiff as dd
from dualdiff.passes.sparsity import dependence
from dualdiff.testing import Subject
from dualdiff.testing.strategies import Program, programs
from dualdiff.ways.problem import record
from dualdiff.ways.program import pattern_of

X = np.linspace(0.5, 1.5, 6)
N = len(X)


def recorded(f: Any, *args: Any) -> Any:
    return record(Subject(f, args).problem, replayable=True)


def pattern(f: Any, *args: Any) -> Any:
    tape, _ = recorded(f, *args)
    found = dependence(tape)
    assert found.dtype == bool
    assert found.has_sorted_indices
    assert found.has_canonical_format
    assert found.data.all()
    return found.toarray()


def eye(k: int = 0) -> Any:
    return np.eye(N, k=k, dtype=bool)


# --------------------------------------------------------------------------------------------------
# scalar loops and fills


def loop(x: Any) -> Any:
    y = np.zeros_like(x)
    for i in range(N):
        y[i] = x[i] ** 2
        if i:
            y[i] = y[i] - x[i - 1]
    return y


def running(x: Any) -> Any:
    y = np.zeros_like(x)
    s = 0.0
    for i in range(N):
        s = s + x[i]
        y[i] = s
    return y


def stacked(x: Any) -> Any:
    return np.stack([x[i] * x[(i + 1) % N] for i in range(N)])


def overwritten(x: Any) -> Any:
    y = x * 1.0
    y[0] = 3.0
    y[1:3] = x[4]
    return y


def copied(x: Any) -> Any:
    y = np.zeros_like(x)
    y[0] = x[0]
    before = y.copy()
    y[0] = x[5]
    y[1] = x[2]
    after = y.copy()
    y[1] = 1.0
    return before, after, y, before[0] * after[1] * np.ones(2)


def kept(x: Any) -> Any:
    y = np.zeros_like(x)
    y[0] = x[0]
    before = y * 1.0
    y[0] = x[5]
    y[-1] = x[0]
    return before, y


def filled_from_itself(x: Any) -> Any:
    y = x.copy()
    for i in range(1, N):
        y[i] = y[i - 1] * 0.5
    return y


def half_constant(x: Any) -> Any:
    return np.concatenate([x[:2], np.ones(2), x[4:]])


def matrix(x: Any) -> Any:
    M = np.zeros_like(x, shape=(2, 3))
    M[1] = x[:3]
    M[:, 0] = x[5]
    M[0, 1] = x[4]
    return M


FIRST_TWO = np.zeros((2 * N, N), bool)
FIRST_TWO[0, 0] = FIRST_TWO[N, 5] = FIRST_TWO[2 * N - 1, 0] = True

EXACT: list[tuple[Any, Any]] = [
    (loop, eye() | eye(-1)),
    (running, np.tri(N, dtype=bool)),
    (stacked, eye() | np.roll(eye(), 1, axis=1)),
    (overwritten, np.array([[0] * 6, [0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 1, 0], *np.eye(6)[3:]], bool)),
    (kept, FIRST_TWO),
    (filled_from_itself, np.eye(1, N, dtype=bool).repeat(N, axis=0)),
    (half_constant, np.diag([True, True, False, False, True, True])),
    (matrix, np.eye(N, dtype=bool)[[5, 4, 0, 5, 1, 2]] & np.array([1, 1, 0, 1, 1, 1], bool)[:, None]),
    (lambda x: x, eye()),
    (lambda x: x[::-1], eye()[::-1]),
    (lambda x: np.roll(x, 2), np.roll(eye(), 2, axis=0)),
    (lambda x: x[[0, 0, 5]], eye()[[0, 0, 5]]),
    (lambda x: x[1:] * x[:-1], (eye() | eye(1))[:-1]),
    (lambda x: np.sum(x), np.ones((1, N), bool)),
    (lambda x: x[0] + x[3], np.array([[1, 0, 0, 1, 0, 0]], bool)),
    (lambda x: x[2], eye()[2:3]),
    (
        lambda x: np.outer(x[:2], x[2:4]),
        np.array([[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]], bool) @ eye()[:4],
    ),
    (lambda x: x.reshape(2, 3).sum(axis=0), eye()[:3] | eye()[3:]),
    (lambda x: x.reshape(2, 3) @ np.ones((3, 1)), np.repeat(np.eye(2, dtype=bool), 3, axis=1)),
    (lambda x: np.where(X > 1, x, x[::-1]), np.where((X > 1)[:, None], eye(), eye()[::-1]) | eye() | eye()[::-1]),
    (lambda x: np.floor(x) * 0.5 + np.sin(x), eye()),
    (lambda x: np.floor(x) * 0.5, np.zeros((N, N), bool)),
]


@pytest.mark.parametrize(("f", "expected"), EXACT, ids=range(len(EXACT)))
def test_patterns_by_hand(f: Any, expected: Any) -> None:
    tape, values = recorded(f, X)
    found = pattern_of(tape, values, N).toarray()
    np.testing.assert_array_equal(found, expected)
    J = dd.jacobian(f, mode="reverse", flat=True)(X)
    assert not (J[~found] != 0).any()


@given(programs())
def test_no_nonzero_is_missing(program: Program) -> None:
    tape, values = recorded(program, *program.point)
    J = dd.jacrev(program, tuple(range(len(program.point))), flat=True)(*program.point)
    found = pattern_of(tape, values, J.shape[1]).toarray()
    assert found.shape == J.shape
    assert not (J[~found] != 0).any()


# --------------------------------------------------------------------------------------------------
# several inputs and outputs, constants


def test_several_inputs_stand_side_by_side_and_outputs_one_under_the_other() -> None:
    def f(a: Any, b: Any, c: Any) -> Any:
        return {"y": a * b, "z": (c[::-1], b)}

    found = pattern(f, np.ones(2), 2.0, np.ones(3))
    expected = np.zeros((6, 6), bool)
    expected[0, [0, 2]] = expected[1, [1, 2]] = True
    expected[[2, 3, 4], [5, 4, 3]] = True
    expected[5, 2] = True
    np.testing.assert_array_equal(found, expected)


def test_constant_outputs_have_rows_in_the_whole_pattern_only() -> None:
    def f(x: Any) -> Any:
        return np.ones(2), x[:1], 3.0, np.zeros((2, 2)), x[1:2]

    tape, values = recorded(f, X)
    np.testing.assert_array_equal(dependence(tape).toarray(), eye()[:2])
    expected = np.zeros((9, N), bool)
    expected[2, 0] = expected[8, 1] = True
    np.testing.assert_array_equal(pattern_of(tape, values, N).toarray(), expected)
    tape, values = recorded(lambda x: np.ones(3), X)
    assert dependence(tape).shape == (0, N)
    assert pattern_of(tape, values, N).toarray().tolist() == np.zeros((3, N)).tolist()


def test_slots_are_given_in_the_order_asked_for() -> None:
    tape, _ = recorded(lambda x: np.sin(x[1:]) * x[:-1], X)
    (output,) = tape.outputs
    np.testing.assert_array_equal(dependence(tape, [0]).toarray(), eye())
    both = dependence(tape, [output, -1, 0]).toarray()
    np.testing.assert_array_equal(both, np.concatenate([(eye() | eye(1))[:-1], eye()]))


def test_the_pattern_asked_for_twice_is_nobody_elses() -> None:
    tape, _ = recorded(lambda x: x, X)
    first = dependence(tape)
    first.data[:] = False
    first.indices[:] = 0
    np.testing.assert_array_equal(dependence(tape).toarray(), eye())


def test_empty_inputs_and_outputs() -> None:
    assert pattern(lambda x: 2 * x, np.zeros(0)).shape == (0, 0)
    assert pattern(lambda x: 2 * x[:0], X).shape == (0, N)
    assert pattern(lambda x, y: np.sum(y) * x, X, np.zeros(0)).shape == (N, N)
    np.testing.assert_array_equal(pattern(lambda x: np.sum(x[:0]) + x, X), eye())


# --------------------------------------------------------------------------------------------------
# how many


def test_counts_are_the_most_inputs_of_an_entry_of_each_slot() -> None:
    def f(x: Any) -> Any:
        y = x[1:] * x[:-1]
        z = y[1:] + np.sin(y[:-1])
        return np.sum(z), np.sin(x)

    tape, _ = recorded(f, X)
    counts: list[int] = [99]  # is filled anew
    dependence(tape, counts=counts)
    assert len(counts) == len(tape.inputs) + len(tape)
    per_slot = dependence(tape, range(len(counts)))
    at = 0
    for slot, count in enumerate(counts):
        size = N if slot == 0 else int(np.prod(tape.cells[6 * (slot - 1) + 4].shape, dtype=int))
        assert count == np.diff(per_slot.indptr)[at : at + size].max(initial=0)
        at += size
    assert sorted(set(counts)) == [1, 2, 3, 6]


def test_counts_of_what_leads_nowhere_or_has_no_derivative_are_zero() -> None:
    def f(x: Any) -> Any:
        np.sin(x)
        return np.floor(x) * 0.5 + x

    tape, _ = recorded(f, X)
    counts: list[int] = []
    dependence(tape, counts=counts)
    by_name = dict(zip([row.name for row in tape.cells[0::6]], counts[1:], strict=True))
    assert by_name["np.sin"] == by_name["np.floor"] == 0
    assert by_name["np.add"] == 1


def test_memory_grows_with_the_nonzeros() -> None:
    n = 200_000
    tape, values = recorded(lambda x: x[2:] * x[1:-1] - np.roll(x, 1)[2:], np.ones(n))
    tracemalloc.start()
    try:
        found = pattern_of(tape, values, n)
        assert tracemalloc.get_traced_memory()[1] < 150 * found.nnz  # bytes; n * n would be 4e10
    finally:
        tracemalloc.stop()
    assert found.shape == (n - 2, n)
    assert found.nnz == 2 * (n - 2)


def test_copies_keep_what_was_written_before() -> None:
    expected = np.zeros((3 * N + 2, N), bool)
    expected[[0, N, 2 * N], [0, 5, 5]] = expected[N + 1, 2] = True
    expected[3 * N :, [0, 2]] = True
    assert (pattern(copied, X) == expected).all()
    assert ((dd.jacrev(copied, flat=True)(X) != 0) <= expected).all()


def test_an_entry_is_written_from_an_array_of_one() -> None:
    def f(x: Any) -> Any:
        y = x * x
        y[0:1] = np.stack([x[2] * x[3]])
        y[[5]] = np.sin(x[1:2])
        return y

    wanted = np.eye(N, dtype=bool)
    wanted[0] = wanted[5] = False
    wanted[0, [2, 3]] = wanted[5, 1] = True
    np.testing.assert_array_equal(pattern(f, X), wanted)


def test_an_array_without_axes_is_written_from_an_array_of_one() -> None:
    def f(x: Any) -> Any:
        s = np.zeros_like(x, shape=())
        s[...] = x[1:2] * x[2:3]
        s += x[0]
        s[...] = s * x[4:5]
        return np.stack([s, x[5]])

    wanted = np.zeros((2, N), dtype=bool)
    wanted[0, [0, 1, 2, 4]] = wanted[1, 5] = True
    np.testing.assert_array_equal(pattern(f, X), wanted)
