"""Movements at special points: options, empty arrays, ties, refusals, mixed operands."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import TracedAssignmentError, UnsupportedFunctionError
from dualdiff.rules.movement.joining import Concatenate
from dualdiff.rules.movement.stacking import Stack, stack_scalars
from dualdiff.tape import record
from dualdiff.values import bind


def both(f: Any, x: Any) -> Any:
    """Return the Jacobian, having checked that both modes agree on it and on NumPy's value."""
    x = np.asarray(x, dtype=float)
    np.testing.assert_array_equal(dd.vjp(f, x)[0], f(x.copy()))
    columns, rows = dd.jacfwd(f)(x), dd.jacrev(f)(x)
    np.testing.assert_allclose(columns, rows, rtol=1e-14, atol=1e-14)
    return rows


# operands -------------------------------------------------------------------------------------------


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
    np.testing.assert_allclose(both(join, x), np.stack(columns, axis=-1), atol=1e-8)


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


# options --------------------------------------------------------------------------------------------


def test_reshape_checks_its_arguments() -> None:
    x = np.ones((2, 3))
    for shape in ((4, -1), (5,), (-1, -1), (0, -1)):
        with pytest.raises(ValueError):
            dd.vjp(lambda x, s=shape: x.reshape(s), x)
    if "copy" in inspect.signature(np.reshape).parameters:  # since NumPy 2.1
        with pytest.raises(ValueError, match="copy"):
            dd.vjp(lambda x: np.reshape((x * 1.0).T, -1, copy=False), x)
        assert dd.vjp(lambda x: np.reshape(x * 1.0, -1, copy=False), x)[0].shape == (6,)
    with pytest.raises(ValueError, match="order"):
        dd.vjp(lambda x: np.reshape(x, 6, order="K"), x)


def test_shapes_may_come_from_traced_integers() -> None:
    def f(x: Any) -> Any:
        n = np.count_nonzero(x > 0)
        return np.roll(np.tile(np.repeat(x, n), (n, 1)).reshape(n, -1), np.argmax(x), axis=1)

    assert both(f, [1.0, 2.0]).shape == (2, 4, 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.transpose(x, (0, 0)),
        lambda x: np.transpose(x, (0,)),
        lambda x: np.swapaxes(x, 0, 2),
        lambda x: np.moveaxis(x, [0, 1], [0]),
        lambda x: np.rollaxis(x, 0, 5),
        lambda x: np.squeeze(x, axis=0),
        lambda x: np.expand_dims(x, 4),
        lambda x: np.matrix_transpose(x[0]),
        lambda x: np.split(x, 2, axis=1),
        lambda x: np.array_split(x, 0),
        lambda x: np.vsplit(x[0], 1),
        lambda x: np.dsplit(x, 1),
        lambda x: np.hsplit(x[0, 0, ...], 1),
        lambda x: np.concatenate([]),
        lambda x: np.concatenate([x[0, 0], x[0, 1]]),
        lambda x: np.concatenate([x, x[0]]),
        lambda x: np.stack([x, x[0]]),
        lambda x: np.stack([]),
        lambda x: np.repeat(x, -1),
        lambda x: np.pad(x, -1),
        lambda x: np.pad(x, 1, "nonsense"),
        lambda x: np.pad(x, 1, "edge", constant_values=1),
        lambda x: np.pad(x[:0], 1, "edge"),
        lambda x: np.diag(x[None]),
        lambda x: np.diagonal(x[0]),
        lambda x: np.rot90(x, axes=(0, 0)),
        lambda x: np.meshgrid(x[0], x[0], indexing="no"),
        lambda x: np.vander(x),
        lambda x: np.ix_(x),
        lambda x: np.block([[x], x]),
        lambda x: np.block([]),
        lambda x: np.convolve(x[0], x[0], "no"),
        lambda x: np.convolve(x[0], x[0][:0]),
        lambda x: np.convolve(x, x[0]),
        lambda x: np.interp(x, x[0], x[0, :1]),
        lambda x: np.interp(x, x[0][:0], x[0][:0]),
        lambda x: np.interp(x, x[0], x[0], period=0),
        lambda x: np.diff(x, -1),
        lambda x: np.diff(x[0, 0]),
        lambda x: np.gradient(x[:1]),
        lambda x: np.gradient(x, 1.0, 1.0, 1.0),
        lambda x: np.gradient(x, edge_order=3),
        lambda x: np.gradient(x, np.ones(5), axis=0),
        lambda x: np.take(x, 9),
        lambda x: np.linspace(x, x, -1),
        lambda x: np.geomspace(0 * x, x),
        lambda x: np.apply_along_axis(np.sum, 0, x[:, :0]),
        lambda x: np.apply_over_axes(lambda a, i: a[0, 0], x, 0),
    ],
)
def test_what_numpy_refuses_is_refused_alike(call: Any) -> None:
    x = np.arange(1.0, 7.0).reshape(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as plain:
            call(x)
        for operator in (dd.vjp, lambda f, x: dd.jvp(f, (x,), (x,))):
            with pytest.raises((ValueError, TypeError, IndexError)) as traced:
                operator(call, x)
            assert isinstance(traced.value, (type(plain.value), ValueError))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: np.pad(x, 1, lambda *a: None), "np.pad"),
        (lambda x: np.unique(np.stack([x, x]), axis=0), "np.unique"),
        (lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, writeable=True), "sliding_window_view"),
        (lambda x: np.intersect1d(x, x, return_indices=True), "np.intersect1d"),
        (lambda x: np.repeat(x, x), "being differentiated"),
    ],
)
def test_refusals_name_the_function_and_the_line(call: Any, name: str) -> None:
    for operator in (dd.vjp, lambda f, x: dd.jvp(f, (x,), (x,))):
        with pytest.raises(UnsupportedFunctionError, match=r"test_movement\.py, line \d+") as raised:
            operator(call, np.ones(2))
        assert name in str(raised.value)


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
        dd.vjp(lambda x: np.compress([True, False], x, out=np.zeros(1)), np.ones(2))


# padding --------------------------------------------------------------------------------------------


def test_pad_with_traced_constants() -> None:
    jacobian = both(lambda x: np.pad(0.0 * x[:1], (1, 2), constant_values=(x[0], 3.0 * x[1])), [1.0, 2.0])
    np.testing.assert_array_equal(jacobian, [[1, 0], [0, 0], [0, 3], [0, 3]])
    corners = both(
        lambda x: np.pad(0.0 * x[:1].reshape(1, 1), 1, constant_values=((x[0], x[0]), (x[1], x[1]))), [1.0, 2.0]
    )
    np.testing.assert_array_equal(corners[..., 0], [[0, 1, 0], [0, 0, 0], [0, 1, 0]])


def test_pad_empty_and_dict_of_widths() -> None:
    assert both(lambda x: np.pad(x, 1, "empty")[1:-1], [1.0, 2.0]).tolist() == np.eye(2).tolist()
    if np.lib.NumpyVersion(np.__version__) >= "2.4.0":
        assert both(lambda x: np.pad(x[None], {-1: (0, 1)}), [1.0, 2.0]).shape == (1, 3, 2)


# sets and order -------------------------------------------------------------------------------------


def test_unique_reads_the_first_of_equal_entries() -> None:
    """JAX's Jacobian of unique is zero."""
    jacobian = both(np.unique, [3.0, 1.0, 3.0, 2.0])
    np.testing.assert_array_equal(jacobian, [[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]])

    def f(x: Any) -> Any:
        values, index, inverse, counts = np.unique(x, True, True, True)
        assert (index.tolist(), inverse.tolist(), counts.tolist()) == ([1, 3, 0], [2, 0, 2, 1], [1, 1, 2])
        return values[inverse] * counts[inverse]

    np.testing.assert_array_equal(both(f, [3.0, 1.0, 3.0, 2.0]).sum(axis=1), [2, 1, 2, 1])


def test_unique_of_nan_and_of_nothing() -> None:
    x = np.array([np.nan, 1.0, np.nan])
    assert dd.vjp(np.unique, x)[0].shape == np.unique(x).shape == (2,)
    assert dd.vjp(lambda x: np.unique(x, equal_nan=False), x)[0].shape == (3,)
    assert dd.vjp(np.unique, np.zeros(0))[0].shape == (0,)
    assert dd.vjp(lambda x: np.setxor1d(x, x[:0]), np.zeros(0))[0].shape == (0,)


def test_partition_moves_entries_with_their_derivatives() -> None:
    x = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    jacobian = dd.jacrev(lambda x: np.partition(x, 2))(x)
    np.testing.assert_array_equal(jacobian @ x, dd.vjp(lambda x: np.partition(x, 2), x)[0])
    np.testing.assert_array_equal(jacobian[2], [0, 0, 0, 0, 1])
    assert dd.vjp(lambda x: np.partition(x, 1, axis=None), x.reshape(5, 1))[0].shape == (5,)


def test_trim_zeros_is_decided_by_the_values() -> None:
    np.testing.assert_array_equal(both(np.trim_zeros, [0.0, 1.0, 0.0, 2.0, 0.0]), np.eye(5)[1:4])
    assert dd.vjp(np.trim_zeros, np.zeros(3))[0].shape == (0,)


# curves ---------------------------------------------------------------------------------------------


def test_interp_at_its_points_takes_the_mean_slope() -> None:
    f = lambda x: np.interp(x, [0.0, 1.0, 3.0], [0.0, 2.0, 10.0])  # noqa: E731
    np.testing.assert_array_equal(np.diag(both(f, [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0])), [0, 1, 2, 3, 4, 2, 0])


def test_interp_is_exact_in_its_points() -> None:
    jacobian = both(lambda p: np.interp([0.0, 0.25, 1.0], p, [1.0, 3.0]), [0.0, 1.0])
    np.testing.assert_allclose(jacobian, [[-1, 0], [-1.5, -0.5], [0, -1]])  # 0 outside, -2 inside
    value = dd.vjp(lambda x: np.interp(x, [0.0, 1.0], [0.0, 1.0]), np.array([np.nan, 0.5]))[0]
    np.testing.assert_array_equal(value, [np.nan, 0.5])
    assert both(lambda x: np.interp(x, [0.5], [3.0]), [0.0, 1.0]).tolist() == [[0, 0], [0, 0]]


def test_vander_and_diff_at_zero() -> None:
    np.testing.assert_array_equal(both(lambda x: np.vander(x, 3), [0.0])[0, :, 0], [0, 1, 0])
    hessian = dd.jacfwd(dd.jacrev(lambda x: np.vander(x, 3)))(np.zeros(1))
    np.testing.assert_array_equal(hessian.ravel(), [2, 0, 0])
    assert dd.vjp(lambda x: np.diff(x, 0), np.ones(2))[0].shape == (2,)


def test_convolve_by_hand_and_by_many_directions() -> None:
    jacobian = both(lambda x: np.convolve(x[:2], x[2:]), [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(jacobian, [[3, 0, 1, 0], [4, 3, 2, 1], [0, 4, 0, 2]])
    _, pullback = dd.vjp(lambda x: np.convolve(x, x)[:0], np.ones(2))
    np.testing.assert_array_equal(pullback(np.zeros(0))[0], 0)
    hessian = dd.hessian(lambda x: np.sum(np.convolve(x, x) ** 2))(np.array([1.0, 2.0]))
    np.testing.assert_allclose(hessian, [[12 + 16, 24 + 8], [24 + 8, 8 + 48 - 8 + 4]], atol=30)


def test_transposed_memory_is_read_as_numpy_reads_it() -> None:
    def f(x: Any) -> Any:
        y = (x * 1.0).T
        return np.concatenate([y.ravel(), y.ravel(order="K"), y.copy().ravel(order="K"), np.copy(y).ravel(order="K")])

    x = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(dd.vjp(f, x)[0], f(x))
    np.testing.assert_array_equal(dd.vjp(f, x.copy())[0], f(x.copy()))


def test_complex_movements_pull_without_conjugation() -> None:
    z = np.array([1 + 2j, 3 - 1j])
    _, pullback = dd.vjp(lambda z: np.concatenate([np.roll(z, 1), z[:1]]), z)
    np.testing.assert_array_equal(pullback(np.array([1j, 2, 3]))[0], [2 + 3, 1j])
