"""Names bound for the length of a call: by several users at once, at two levels, and what is left of them afterwards."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from dualdiff.capture import binding
from dualdiff.capture.maths import CONVERSIONS
from dualdiff.capture.names import EVERYTHING, MAKERS, stand_in

NONE: frozenset[str] = frozenset()


def made(level: int, names: dict[str, Any], conversions: frozenset[str] = NONE) -> binding.Names:
    return binding.of_module(names, level, conversions)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_highest_level_in_use_has_a_name_whoever_came_first_and_leaves_first(order: tuple[int, ...]) -> None:
    names = {"zeros": np.zeros, "sin": np.sin, "other": 1}
    plain = dict(names)
    makers, everything = made(MAKERS, names), made(EVERYTHING, names)
    users = [makers, everything, makers]
    in_use: list[binding.Names] = []

    def holds() -> None:
        level = max((u.level for u in in_use), default=0)
        assert names["zeros"] is (stand_in(np.zeros, level) if level else np.zeros)
        assert names["sin"] is (stand_in(np.sin, level) if level == EVERYTHING else np.sin)

    for k in range(3):
        binding.bind([users[k]])
        in_use.append(users[k])
        holds()
    for k in order:
        binding.unbind([users[k]])
        in_use.remove(users[k])
        holds()
    assert names == plain
    assert not binding._IN_USE


def test_a_name_that_the_module_changes_meanwhile_stays_changed() -> None:
    names: dict[str, Any] = {"zeros": np.zeros, "math": math, "np": np}
    makers, everything = made(MAKERS, names), made(EVERYTHING, names)
    names["math"] = "mine before"
    binding.bind([makers])
    names["zeros"] = "mine"
    binding.bind([everything])
    assert names["zeros"] == "mine"
    assert names["math"] == "mine before"
    assert names["np"] is not np
    binding.unbind([makers])
    assert names["zeros"] == "mine"
    binding.unbind([everything])
    assert names == {"zeros": "mine", "math": "mine before", "np": np}


def test_a_builtin_that_is_shadowed_for_a_call_is_none_of_the_modules_names_after_it() -> None:
    names: dict[str, Any] = {"math": math}
    shadowed = made(MAKERS, names, frozenset({"float"}))
    binding.bind([shadowed])
    assert names["float"] is CONVERSIONS["float"]
    assert made(MAKERS, names, frozenset({"float"})) is shadowed
    binding.unbind([shadowed])
    assert names == {"math": math}
    assert made(MAKERS, names, frozenset({"float"})) is shadowed  # it is looked at once
    names["zeros"] = np.zeros
    assert made(MAKERS, names, frozenset({"float"})).of.keys() == {"math", "zeros", "float"}


def test_variables_of_enclosing_functions_are_bound_and_given_back() -> None:
    def enclosing() -> Any:
        library = np

        def f() -> Any:
            return library, unset

        if library is None:
            unset = 1
        return f

    f = enclosing()
    by_name = dict(zip(f.__code__.co_freevars, f.__closure__, strict=True))
    cells = [by_name["library"], by_name["unset"]]
    found = binding.of_cells(cells, MAKERS)
    assert len(found) == 1
    binding.bind(found)
    assert by_name["library"].cell_contents is stand_in(np, MAKERS)
    again = binding.of_cells(cells, MAKERS)
    binding.bind(again)
    binding.unbind(found)
    assert by_name["library"].cell_contents is stand_in(np, MAKERS)
    del by_name["library"].cell_contents
    binding.unbind(again)
    with pytest.raises(ValueError, match="empty"):
        _ = by_name["library"].cell_contents
    assert not binding._IN_USE
