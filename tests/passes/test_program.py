"""What of a program is the same: contents that are compared, and steps that change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualdiff.passes.program import MOST_LOOKED_AT, content
from tests.repeated import program_of_arrays

LARGE = np.zeros(MOST_LOOKED_AT + 1)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (0.0, -0.0),
        (1, 1.0),
        (1, True),
        (1 + 0j, 1.0),
        (1j, -1j),
        (np.float64(1), 1.0),
        (slice(1, 2), slice(1, 3)),
        (slice(None, np.int64(2)), slice(None, 2)),
        ((1, 2), [1, 2]),
        ({"axis": 0}, {"axis": 1}),
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2), np.zeros(2, np.float32)),
        (LARGE, LARGE.copy()),
        (np.array([None]), np.array([None])),
        (object(), object()),
    ],
)
def test_what_differs_has_another_content(a: Any, b: Any) -> None:
    assert content(a) == content(a)
    assert content(a) != content(b)


def test_nan_is_the_same_as_itself() -> None:
    assert content({"x": (float("nan"), slice(np.int64(1), None), 2j)}) == content(
        {"x": (float("nan"), slice(np.int64(1), None), 2j)}
    )


def test_what_is_written_where_it_was_read_is_no_step() -> None:
    def f(x: Any) -> Any:
        y = np.sin(x)
        y[1:3] *= 1.0
        return y * x

    program = program_of_arrays(f, np.ones(5))
    assert not any(s.row.access == "write" for s in program.steps)
