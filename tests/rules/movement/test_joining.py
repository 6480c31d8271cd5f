"""Joins of mixed operands: traced, plain, numbers, integers; and joins into an array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import TracedAssignmentError
from dualdiff.rules.movement.joining import Concatenate
from dualdiff.rules.movement.stacking import Stack, stack_scalars
from dualdiff.tape import record
from dualdiff.values import bind
from tests.rules.worked import modes_agree


@pytest.mark.parametrize(
    "join",
    [
        lambda x: np.concatenate([x, np.arange(2.0), [1.0], x[:1]]),
        lambda x: np.hstack([x, 1.0, [2.0, 3.0], x[0]]),
        lambda x: np.append([1.0, 2.0], x),
        lambda x: np.append(x, 7.0),
        lambda x: np.insert([1.0, 2.0], 1, x),
        lambda x: np.stack([x[0], 1.0, x[1]]),
        lambda x: np.stack([x, [1.0, 2.0]], axis=-1),
        lambda x: np.vstack([[1.0, 2.0], x]),
        lambda x: np.column_stack([[1.0, 2.0], x]),
        lambda x: np.block([[x, np.ones(1)], [0.0, x]]),
        lambda x: np.concatenate([np.array([x[0], 2.0]), x]),
        lambda x: np.concatenate([[x[0], x[1] * x[0]], [3.0]]),
        lambda x: np.stack([np.array([x[0], 2.0]), x]),
        lambda x: np.array([x[0], 1.0, x[1] ** 2]) * 1.0,
        lambda x: np.array([[x[0], 1.0], [0.0, x[1]]]) @ x,
        lambda x: np.pad([x[0], x[1]], 1),
        lambda x: np.broadcast_to([x[0], 1.0], (2, 2)),
        lambda x: np.r_[x, 1.0, x[::-1]] * 1.0,
        lambda x: np.c_[x, x * 2.0] * 1.0,
        lambda x: np.meshgrid([1.0, 2.0], x)[1],
        lambda x: np.choose([1, 0], [[5.0, 6.0], x]),
        lambda x: np.interp(0.3, [0.0, 1.0], x) * np.ones(1),
        lambda x: np.convolve([1.0, 2.0], x),
    ],
)
def test_mixed_operands(join: Any) -> None:
    x, h = np.array([2.0, 3.0]), 1e-6
    columns = [(join(x + h * e) - join(x - h * e)) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(modes_agree(join, x), np.stack(columns, axis=-1), atol=1e-8)


def test_integers_join_with_differentiated_values() -> None:
    value, tangent = dd.jvp(lambda x: np.concatenate([x, np.arange(2)]), (np.float32([1, 2]),), (np.float32([1, 1]),))
    assert value.dtype == tangent.dtype == np.float64
    value, tangent = dd.jvp(lambda x: np.stack([x, x], dtype=np.float32), (np.ones(2),), (np.ones(2),))
    assert value.dtype == tangent.dtype == np.float32
    with pytest.raises(TypeError, match="same_kind"):
        dd.vjp(lambda x: np.concatenate([x, x], dtype=int), np.ones(2))


def test_inserting_into_integers_truncates_and_has_no_derivative() -> None:
    value, tangent = dd.jvp(lambda x: np.insert([1, 2], 1, x) * 1.0, (2.7,), (1.0,))
    np.testing.assert_array_equal(value, [1, 2, 2])
    np.testing.assert_array_equal(tangent, 0)


def test_many_scalars_stack_in_one_equation() -> None:
    tape, _ = record(lambda x: np.stack([x[0] for _ in range(50)] + [1.0]), np.ones(2))
    assert len(tape) == 51
    assert stack_scalars([1.0, np.array(2.0), 3, 4.0], (2, 2)).tolist() == [[1, 2], [3, 4]]
    assert isinstance(bind(Stack("s", lambda *xs: np.stack(xs)), [np.ones(2)] * 2, {}), np.ndarray)
    assert Concatenate.kind == "movement"


def test_a_stack_of_vectors_has_its_new_axis_first() -> None:
    x = np.array([1.0, 2.0, 3.0])
    value, jacobian = dd.value_and_jacobian(lambda x: np.stack([x, 2 * x]))(x)
    np.testing.assert_array_equal(value, [x, 2 * x])
    np.testing.assert_array_equal(jacobian, [np.eye(3), 2 * np.eye(3)])


def test_out_may_be_a_traced_array() -> None:
    def f(x: Any) -> Any:
        y = np.empty_like(x, shape=(4,))
        assert np.concatenate([x, 2.0 * x], out=y) is y
        z = np.zeros_like(x, shape=(2, 2))
        np.stack([x, x], axis=1, out=z)
        w = np.zeros_like(x)
        np.take(x, [1, 0], out=w)
        return y, z, w

    y, z, w = dd.jacrev(f)(np.ones(2))
    np.testing.assert_array_equal(y, np.vstack([np.eye(2), 2 * np.eye(2)]))
    np.testing.assert_array_equal(z[:, 0], np.eye(2))
    np.testing.assert_array_equal(w, np.eye(2)[::-1])
    with pytest.raises(TracedAssignmentError):
        dd.vjp(lambda x: np.compress([True, False], x, out=np.zeros(1)), np.ones(2), capture="never")
