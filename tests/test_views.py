"""Memory that several values share: what NumPy holds of a traced array, and who may write into it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import TracedAssignmentError

MODES = pytest.mark.parametrize("mode", [dd.jacfwd, dd.jacrev, dd.jacobian])
X = np.array([3.0, 4.0])


def total(v: Any) -> Any:
    return np.asarray(v).sum()  # as many a helper begins


# --------------------------------------------------------------------------------------------------
# what np.asarray handed out


@MODES
def test_a_holder_that_dies_takes_no_other_holder_with_it(mode: Any) -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        kept = np.asarray(y)
        first = total(y)
        y[0] = 2.0 * x[0]
        return kept * first

    with pytest.raises(TracedAssignmentError, match=r"np\.asarray"):
        mode(f)(X)


@MODES
def test_nobody_holds_what_every_holder_has_let_go(mode: Any) -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        first = total(y) + total(y[:1])
        y[0] = 5.0 * x[1]
        return y * first

    np.testing.assert_allclose(mode(f)(X), [[2 * 20.0, 5 * 10.0 + 20.0], [8.0, 4.0 + 10.0]])


@MODES
@pytest.mark.parametrize(
    "part", [lambda a: a[1:], lambda a: a.reshape(-1, 1), memoryview], ids=["slice", "reshape", "buffer"]
)
def test_a_part_of_what_was_handed_out_holds_the_memory_as_the_whole_does(mode: Any, part: Any) -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        held = part(np.asarray(y))  # the whole dies at once
        y[1] = x[0]
        return np.asarray(held).sum() + y

    with pytest.raises(TracedAssignmentError, match=r"np\.asarray"):
        mode(f)(X)


@MODES
def test_plain_numbers_written_show_in_what_was_handed_out_of_a_plain_container(mode: Any) -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x, shape=200)
        held = np.asarray(y[2:5])  # a small part, which the engine may keep in memory of its own
        y[3] = 7.0
        return held[1] * x

    np.testing.assert_allclose(mode(f)(X), 7.0 * np.eye(2))


@MODES
def test_another_dtype_is_a_copy_and_holds_nothing(mode: Any) -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        old = np.asarray(y, dtype=np.float32)
        y[0] = x[1]
        return y + old

    np.testing.assert_allclose(mode(f)(X), [[0.0, 1.0], [0.0, 0.0]])


def test_a_tensor_without_gradient_is_never_stale() -> None:
    x = dd.tensor(X, requires_grad=True)
    for hand_out in (np.asarray, lambda t: t.numpy(), lambda t: np.asarray(t)[:1]):
        y = dd.zeros(2)
        held = hand_out(y)
        y[0] = 1.5
        assert held[0] == 1.5  # one memory, as NumPy's
        with pytest.raises(ValueError, match="read-only"):
            held[0] = 1.0
        with pytest.raises(TracedAssignmentError, match=r"np\.asarray"):
            y[0] = x[0]
        with dd.no_grad():
            y[0] = x[1]
        assert held[0] == X[1]
        del held
        y[0] = x[0]
        y.sum().backward()
    np.testing.assert_array_equal(x.grad, [3.0, 0.0])


def test_a_view_of_a_tensor_holds_the_memory_of_the_whole() -> None:
    x = dd.tensor(X, requires_grad=True)
    y = dd.zeros(3)
    held = y[1:].numpy()
    with pytest.raises(TracedAssignmentError):
        y[0] = x[0]
    assert held.tolist() == [0.0, 0.0]
