"""The careful pass writes where NumPy would, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualdiff.reach import Reach, numbers, reach_of


def reached(x: Any) -> tuple[list[float], list[bool]]:
    return numbers(x).tolist(), reach_of(x).tolist()


@pytest.mark.parametrize("index", [1, slice(1, 2), np.array([1])], ids=["integer", "slice", "array"])
def test_a_write_reaches_neither_the_seed_nor_a_copy(index: Any) -> None:
    run = Reach()
    t = np.array([2.0, 0.0, 3.0])
    x = run.seed(t)
    before, after = x.copy(), x.copy()
    x[index] = 5.0
    assert reached(x) == ([2.0, 5.0, 3.0], [True, True, True])
    assert t.tolist() == [2.0, 0.0, 3.0]
    assert reached(before) == ([2.0, 0.0, 3.0], [True, False, True])
    after[index] = run.seed(np.array([0.0]))[0]
    assert reached(after) == ([2.0, 0.0, 3.0], [True, False, True])
    assert reached(x) == ([2.0, 5.0, 3.0], [True, True, True])


def test_an_entry_overwritten_by_what_is_not_there_is_not_reached() -> None:
    run = Reach()
    x = run.seed(np.array([2.0, 1.0]))
    x[0] = run.seed(np.array([0.0, 4.0]))[0]
    with np.errstate(invalid="ignore"):
        y = x * np.array([np.inf, np.inf])
    assert reached(y) == ([0.0, np.inf], [False, True])
