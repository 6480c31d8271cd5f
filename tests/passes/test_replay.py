"""A recording replayed: the function at another point, or an error that says why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualdiff.errors import InputError
from dualdiff.passes.replay import BranchChangedError, replay
from dualdiff.tape import record

X = np.array([0.5, -1.0, 2.0])


def branching(x: Any) -> Any:
    return x[x > 0] * 2.0 if x[0] > 0 else np.sin(x)


def test_constants_and_slots() -> None:
    tape, y = record(lambda x: np.sin(x) * X + 1.0, X, replayable=True)
    found, nothing = replay(tape, [2 * X], [y.mark, -1])
    np.testing.assert_array_equal(found, np.sin(2 * X) * X + 1.0)
    assert nothing is None


def test_a_decision_that_would_go_the_other_way_is_an_error() -> None:
    tape, y = record(branching, X, replayable=True)
    (found,) = replay(tape, [1.5 * X], [y.mark])
    np.testing.assert_array_equal(found, branching(1.5 * X))
    for other in (-X, np.array([0.5, 1.0, 2.0])):  # the branch, the mask
        with pytest.raises(BranchChangedError, match="record the function again"):
            replay(tape, [other], [y.mark])


def test_what_a_recording_is_not_made_for() -> None:
    tape, y = record(np.sin, X, replayable=True)
    for other in (np.ones(4), np.ones(3, np.float32), 1.0):
        with pytest.raises(InputError, match="was made for shape"):
            replay(tape, [other], [y.mark])
    tape, y = record(np.sin, X)
    with pytest.raises(InputError, match="replayable=True"):
        replay(tape, [X], [y.mark])


def filled(x: Any) -> Any:
    z = np.zeros_like(x, shape=4) + 5.0
    z[1:3] = x[:2] * x[1]
    z[3] = z[0] * x[0]
    w = np.ones_like(x)
    w[0] = x[2]
    w[:] += z[1:]
    return z * w[0] + w[1]


def test_constants_that_were_written_into_are_those_before_the_write() -> None:
    tape, y = record(filled, X, replayable=True)
    for point in (X, 2 * X, -X):
        np.testing.assert_array_equal(replay(tape, [point], [y.mark])[0], filled(point))


def test_every_input_is_needed() -> None:
    tape, y = record(np.multiply, X, 2 * X, replayable=True)
    for inputs in ([X], [X, X, X]):
        with pytest.raises(ValueError):
            replay(tape, inputs, [y.mark])
