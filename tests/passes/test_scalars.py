"""Programs taken apart into operations on numbers: what each operation takes and gives, and what takes none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.kinds import Elementwise, Linear, Movement
from dualdiff.passes.program import Form, Program, Step
from dualdiff.passes.scalars import PREDICATES, NotScalarError, Scalars, expanded
from tests.repeated import scalars_of


def names(scalars: Scalars) -> list[Any]:
    return [o[0] for o in scalars.operations if o[0] not in ("unused", "input", "constant")]


def truths_in(scalars: Scalars) -> None:
    """Hold every operation against what it takes: logic takes truth values, everything else numbers."""
    operations = scalars.operations

    def is_truth(n: int) -> bool:
        name, *of = operations[n]
        return isinstance(of[0], bool) if name == "constant" else name in PREDICATES

    for name, *operands in operations:
        if name in ("unused", "input", "constant"):
            continue
        logic = name in ("logical_and", "logical_or", "logical_not", "logical_xor", "all", "any", "number")
        for k, n in enumerate(operands):
            assert is_truth(n) == (logic or (name == "where" and k == 0)), (name, k)


X = np.array([0.5, -1.0, 2.0, 0.0])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (x > 0) * 1.0,
        lambda x: (x > 0) * x + (x < 1),
        lambda x: np.where(x > 0, x > 1, x < -0.5),
        lambda x: np.where(x, x, 1.0),
        lambda x: np.logical_and(x, x > 1) | ~(x == 0) & ((x < 3) ^ (x > 0)),
        lambda x: np.stack([x, x > 0]),
        lambda x: (x > 0) == (x > 1),
        lambda x: np.maximum(x > 0, 0.5) - np.isfinite(x),
    ],
)  # fmt: skip
def test_truth_values_and_numbers_are_told_apart(f: Any) -> None:
    _, scalars = scalars_of(f, X)
    truths_in(scalars)
    program = dd.compile(f, check_every=None)
    for x in (X, -X, X[::-1].copy()):
        found, expected = program(x), f(x)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_what_only_moves_entries_takes_no_operation() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[1:] = x[:-1]
        z = np.concatenate([y[::-1], np.triu(np.stack([x, y]))[1]])
        return np.reshape(z, (4, 2)).T, np.broadcast_to(x, (2, 4)), np.diag(x)

    _, scalars = scalars_of(f, X)
    assert names(scalars) == []
    assert sum(len(nodes) for _, nodes in scalars.outputs) == 8 + 8 + 16


def test_equal_operations_are_one_and_dead_ones_none() -> None:
    _, scalars = scalars_of(lambda x: (np.sin(x[0]) * x[1] + np.sin(x[0]), np.cos(x)[0] * 0.0 + 1.0 * x[2])[0], X)
    assert sorted(names(scalars)) == ["add", "multiply", "sin"]
    assert (scalars.count, scalars.calls) == (3, 1)


def test_slopes_of_roots_and_of_tanh_are_operations_too() -> None:
    for f in (np.tanh, lambda x: np.hypot(x, 2.0), lambda x: np.sqrt(x @ x)):
        _, scalars = scalars_of(dd.jacobian(f), X)
        assert all(isinstance(name, str) for name in names(scalars))
        truths_in(scalars)


def test_products_of_small_arrays_are_what_they_consist_of() -> None:
    a = np.arange(6.0).reshape(2, 3)
    _, scalars = scalars_of(
        lambda x: np.einsum("ij,kj->ik", a * x, x[:1]) + np.mean(x) + np.cross(x, x[::-1])[:, :1], a + 1
    )
    assert set(names(scalars)) <= {"add", "multiply", "subtract", "divide"}


def test_a_program_of_too_many_operations_is_none_of_numbers() -> None:
    program, scalars = scalars_of(lambda x: np.cumsum(np.sin(x)), np.arange(50.0))
    assert expanded(program, 150).count == scalars.count == 99
    with pytest.raises(NotScalarError, match="too many"):
        expanded(program, 120)
    with pytest.raises(NotScalarError, match="that large"):
        expanded(program, 20)


def of_one_step(row: Any, result: tuple[int, ...] = (3,)) -> Program:
    form, given = Form(result, np.dtype(float), "array"), Form((3,), np.dtype(float), "array")
    return Program(1, {0: given, 1: form}, {}, {}, [Step(row, (0,), {}, 1, "")], [], (1,), (form,), 1, 1)


def on_objects(row: Any, says: Any = None) -> Any:
    row.on_objects, row.lower = True, says
    return row


def test_functions_say_what_they_are_on_numbers() -> None:
    def f(x: Any) -> Any:
        return -x * 2 - x

    row = on_objects(Elementwise("said on numbers", f, -3), f)
    assert names(expanded(of_one_step(row))) == ["negative", "multiply", "subtract"] * 3
    named = on_objects(Elementwise("of objects", f, -3))
    assert names(expanded(of_one_step(named))) == [f] * 3
    squared = on_objects(Elementwise("square", f, -3), lambda x: x.made("square", x.made("positive", x)))
    assert names(expanded(of_one_step(squared))) == ["multiply"] * 3


def raising(x: Any) -> Any:
    raise TypeError("not of these")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (on_objects(Elementwise("e", abs, 1), lambda x: x if x else -x), "a decision inside a step"),
        (on_objects(Elementwise("e", abs, 1), raising), "of nodes: not of these"),
        (on_objects(Linear("l", lambda x: x[:2], pull=None)), "of nodes has another shape"),
        (on_objects(Movement("m", raising)), "of nodes: not of these"),
        (on_objects(Movement("m", lambda x: 1.0 * x)), "of nodes has another shape"),
    ],
)
def test_functions_that_are_no_operations_on_numbers_are_refused(row: Any, why: str) -> None:
    with pytest.raises(NotScalarError, match=why):
        expanded(of_one_step(row))


def test_larger_of_two_truth_values_is_no_operation_on_numbers() -> None:
    with pytest.raises(NotScalarError):
        scalars_of(lambda x: np.maximum(x > 0, x < 1), X)
