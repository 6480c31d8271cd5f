"""Reading and writing entries: against plain NumPy run on the same programs, with views of views of what is written."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import InputError, TracedAssignmentError
from dualdiff.rules.indexing import compose
from dualdiff.tape import record
from dualdiff.values import raw

# programs -------------------------------------------------------------------------------------------

VIEWS: list[Callable[[Any], Any]] = [
    lambda a: a[1:],
    lambda a: a[::-1],
    lambda a: a[-1] if a.ndim > 1 else a[:],
    lambda a: a[..., ::2],
    lambda a: a[..., :1],
    lambda a: a[:, None],
    lambda a: a[None],
    lambda a: a.T,
    lambda a: a.reshape(-1),
    lambda a: np.reshape(a, a.shape[::-1], order="F"),
    np.ravel,
    lambda a: np.ravel(a, order="F"),
    lambda a: np.ravel(a, order="K"),
    lambda a: np.swapaxes(a, 0, -1),
    lambda a: np.moveaxis(a, 0, -1),
    lambda a: np.expand_dims(a, -1),
    np.squeeze,
    np.flip,
    lambda a: np.rot90(a) if a.ndim > 1 else a,
    np.atleast_2d,
    lambda a: np.array_split(a, 2, axis=-1)[0],
    lambda a: a.copy(),
    lambda a: a * 1.0,
]


def some_index(a: Any, rng: np.random.Generator) -> Any:
    n = len(a)
    return [
        int(rng.integers(-n, n)),
        slice(*sorted(rng.integers(0, n + 1, 2).tolist())),
        Ellipsis,
        slice(None, None, -1),
        rng.integers(-n, n, size=rng.integers(1, 4)),
        rng.random(n) < 0.5,
        tuple(int(rng.integers(s)) for s in a.shape),
        (Ellipsis, int(rng.integers(a.shape[-1]))),
    ][rng.integers(8)]


def program(x: Any, seed: int, product: bool = True) -> list[Any]:
    """Make views of views, write through them and read them, as a seed says; return all that came up."""
    rng = np.random.default_rng(seed)
    arrays = [x * 1.0, np.zeros_like(x), x.T * 1.0]
    seen = []
    for _ in range(12):
        a = arrays[rng.integers(len(arrays))]
        kind = rng.integers(8)
        if a.size == 0 or a.ndim == 0:
            continue
        if kind <= 2:
            arrays.append(VIEWS[rng.integers(len(VIEWS))](a))
        elif kind == 3:
            i, b = some_index(a, rng), arrays[rng.integers(len(arrays))]
            shape = a[i].shape
            if 0 not in shape and b.size:
                a[i] = np.resize(b.reshape(-1), shape) * 1.5
        elif kind == 4:
            a[some_index(a, rng)] = float(rng.normal())
        elif kind == 5:
            i, v = some_index(a, rng), x.reshape(-1)[int(rng.integers(x.size))]
            if rng.integers(2) or not product:
                a[i] += v
            else:
                a[i] *= v
        elif kind == 6:
            if rng.integers(2):
                a += x.reshape(-1)[0]
            else:
                a *= 0.5
        elif len(a) > 1:
            if rng.integers(2):
                a[1:] = a[:-1]
            else:
                a[:-1] = a[1:] * (a[0] if product else 2.0)
        seen.append(np.sum(a * a) if product else np.sum(3.0 * a))
    return [*seen, *[2.0 * a for a in arrays if a.size]]


def flat(parts: Any) -> Any:
    return np.concatenate([np.ravel(p) for p in parts])


SHAPES = [(3,), (2, 3), (2, 2, 2), (1, 3), (4, 1)]


def point(seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed + 10**6)
    shape = SHAPES[seed % len(SHAPES)]
    x, v = rng.normal(size=shape), rng.normal(size=shape)
    # The memory order of an argument decides which reshapes are views.
    return (np.asfortranarray(x), np.asfortranarray(v)) if seed % 7 == 0 else (x, v)


@pytest.mark.parametrize("seed", range(60))
def test_programs_of_views_and_writes(seed: int) -> None:
    x, v = point(seed)

    def f(x: Any) -> Any:
        return flat(program(x, seed))

    expected, truth = f(x), f(x + 1e-30j * v).imag / 1e-30
    value, tangent = dd.jvp(f, (x,), (v,))
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(tangent, truth, rtol=1e-9, atol=1e-9)
    value, pullback = dd.vjp(f, x)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    w = np.random.default_rng(seed).normal(size=expected.shape)
    (g,) = pullback(w)
    assert np.sum(g * v) == pytest.approx(np.sum(w * truth), rel=1e-8, abs=1e-8 * np.sum(np.abs(w * truth)))
    _, push = dd.linearize(f, x)
    np.testing.assert_allclose(push(v), truth, rtol=1e-9, atol=1e-9)
    rows, columns = dd.jacrev(f)(x), dd.jacfwd(f)(x)
    assert type(rows) is type(columns) is np.ndarray
    np.testing.assert_allclose(rows, columns, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(24))
def test_programs_of_views_and_writes_to_second_order(seed: int) -> None:
    x, _ = point(seed)

    def f(x: Any) -> Any:
        return sum(np.sum(p * p) for p in program(x, seed))

    gradient = dd.grad(f)
    hessians = [dd.jacfwd(gradient), dd.jacrev(gradient), dd.jacrev(dd.jacfwd(f)), dd.jacfwd(dd.jacfwd(f))]
    first, *others = [h(x).reshape(x.size, x.size) for h in hessians]
    scale = np.abs(first).max()
    for h in others:
        np.testing.assert_allclose(h, first, rtol=1e-8, atol=1e-9 * scale)
    np.testing.assert_allclose(first, first.T, rtol=1e-8, atol=1e-9 * scale)
    assert type(hessians[0](x)) is np.ndarray


@pytest.mark.parametrize("seed", range(40))
def test_programs_of_views_and_writes_on_tensors(seed: int) -> None:
    x, v = point(seed)
    expected = flat(program(x, seed, product=False))
    truth = flat(program(x + 1e-30j * v, seed, product=False)).imag / 1e-30
    w = np.random.default_rng(seed).normal(size=expected.shape)
    t = dd.tensor(x, requires_grad=True)
    y = flat(program(t, seed, product=False))
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-12)
    y.backward(w)
    assert np.sum(t.grad.numpy() * v) == pytest.approx(
        np.sum(w * truth), rel=1e-8, abs=1e-8 * np.sum(np.abs(w * truth))
    )


# views ----------------------------------------------------------------------------------------------


def both(f: Callable[[Any], Any], x: Any) -> Any:
    """Return the Jacobian, having checked that both modes agree on it and on NumPy's value."""
    x = np.asarray(x, dtype=float)
    np.testing.assert_array_equal(dd.vjp(f, x)[0], f(x.copy()))
    columns, rows = dd.jacfwd(f)(x), dd.jacrev(f)(x)
    np.testing.assert_array_equal(columns, rows)
    return rows


def test_a_write_into_a_view_reaches_the_base_and_its_other_views() -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        row, column = y.reshape(2, 2)[0], y.reshape(2, 2).T[0]
        row[0] = 3.0 * x[3]
        return np.stack([y[0], column[0], row[0]])

    np.testing.assert_array_equal(both(f, [1.0, 2.0, 3.0, 4.0]), [[0, 0, 0, 3.0]] * 3)


def test_a_copy_does_not_follow() -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        copies = [
            y.copy(),
            np.copy(y),
            y[[0, 1]],
            y[y > 0],
            y.flatten(),
            np.ravel(y.reshape(1, 2)[:, ::-1])[::-1],
            np.tile(y, 1),
        ]
        y[0] = 5.0 * x[1]
        return np.stack([c[0] for c in copies])

    np.testing.assert_array_equal(both(f, [1.0, 2.0]), [[1.0, 0]] * 7)


@pytest.mark.parametrize(
    "view",
    [
        lambda y: np.broadcast_to(y, (2, 2)),
        lambda y: np.diagonal(y.reshape(1, 2)),
        lambda y: np.broadcast_arrays(y, y[:, None])[0],
    ],
)
def test_read_only_views_show_their_base_and_refuse_writes(view: Any) -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        v = view(y)
        y[0] = 7.0 * x[1]
        return v.reshape(-1)[0]

    np.testing.assert_array_equal(both(f, [1.0, 2.0]), [0, 7.0])
    with pytest.raises(ValueError, match="read-only"):
        dd.vjp(lambda x: view(x * 1.0).__setitem__(0, 1.0), np.ones(2))


def test_filling_through_a_stale_view_reads_from_the_base() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x, shape=(x.size + 1,))
        v = y[1:]
        for i in range(x.size):
            v[i] = x[i] + (v[i - 1] if i else 0.0)
        return y

    np.testing.assert_array_equal(both(f, np.ones(4)), np.vstack([np.zeros(4), np.tri(4)]))
    tape, _ = record(f, np.ones(200))
    assert len(tape) < 200 * 4


def test_a_long_chain_of_views() -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        base = y
        for _ in range(3000):
            y = y[:]
        base[0] = 2.0 * x[1]
        return y

    np.testing.assert_array_equal(both(f, [1.0, 2.0]), [[0, 2.0], [0, 1]])


def test_augmented_assignment_to_a_slice_is_one_write() -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        y[1:] += x[0]
        return y

    tape, _ = record(f, np.ones(3))
    assert [e.primitive.name for e in tape].count("assignment") == 1


def test_in_place_arithmetic_keeps_the_dtype_and_refuses_what_numpy_refuses() -> None:
    def f(x: Any) -> Any:
        y = x.astype(np.float32)
        y += np.arange(2.0)
        y **= 2
        return y

    value, tangent = dd.jvp(f, (np.array([1.0, 2.0]),), (np.ones(2),))
    assert value.dtype == tangent.dtype == np.float32
    np.testing.assert_array_equal(tangent, [2, 6])

    def truncating(x: Any) -> Any:
        y = np.zeros_like(x, dtype=int)
        y += x
        return y

    with pytest.raises(TypeError, match="same_kind"):
        dd.vjp(truncating, np.ones(2))
    with pytest.raises(ValueError, match="non-broadcastable"):
        dd.vjp(lambda x: x.__iadd__(np.ones((2, 2))), np.ones(2))


def test_zero_dimensional_arrays_are_written_in_place_and_scalars_are_not() -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        cell, scalar = y[0, ...], y[0]
        cell += x[1]
        scalar += 100.0 * x[1]
        return y

    np.testing.assert_array_equal(both(f, [1.0, 2.0]), [[1, 1], [0, 1]])


def test_real_imaginary_and_flat_parts_are_stored_into() -> None:
    def f(x: Any) -> Any:
        z = x * 1j
        z.real = 2.0 * x[::-1]
        y = np.zeros_like(x)
        y.flat = x * x
        y.conj()[0] = 3.0
        y.real[1] += x[0]
        return np.concatenate([np.abs(z) ** 2, y])

    np.testing.assert_allclose(both(f, [1.0, 2.0]), [[2, 16], [8, 4], [0, 0], [1, 4]])

    def turned(x: Any) -> Any:
        z = x + 0j
        z.imag = x[::-1]
        return np.abs(z) ** 2

    np.testing.assert_allclose(both(turned, [1.0, 2.0]), [[2, 4], [2, 4]])
    with pytest.raises(TypeError, match="imaginary"):
        dd.vjp(lambda x: setattr(x, "imag", 1.0), np.ones(2))


def test_methods_that_order_in_place() -> None:
    def f(x: Any) -> Any:
        y, z = x * 2.0, x * 3.0
        y.sort()
        z.partition(1)
        return np.stack([y[0], z[1]])

    np.testing.assert_array_equal(both(f, [3.0, 1.0, 2.0]), [[0, 2, 0], [0, 0, 3]])


def test_a_copy_lies_in_memory_as_numpys_does() -> None:
    def f(x: Any) -> Any:
        y = x[::-1].copy()
        np.ravel(y)[0] = 5.0 * x[0]
        z = np.transpose(x.reshape(1, 2) * 1.0).copy()
        z.reshape(-1)[1] = 7.0 * x[0]
        return np.stack([y[0], z[1, 0]])

    np.testing.assert_array_equal(both(f, [1.0, 2.0]), [[5, 0], [7, 0]])


# indices --------------------------------------------------------------------------------------------


def test_a_zero_dimensional_array_is_read_beside_other_uses() -> None:
    def f(x: Any) -> Any:
        return x[()] * x + x[...] * np.sin(x[()]) + x

    x = np.array(3.0)
    slope = 2 * 3.0 + np.sin(3.0) + 3.0 * np.cos(3.0) + 1.0
    for jac in (dd.jacfwd, dd.jacrev, dd.grad):
        assert jac(f)(x) == pytest.approx(slope, rel=1e-14)
    second = 2.0 + 2 * np.cos(3.0) - 3.0 * np.sin(3.0)
    for jac in (dd.jacfwd, dd.jacrev):
        assert jac(dd.grad(f))(x) == pytest.approx(second, rel=1e-14)


def test_of_repeated_indices_the_last_value_stays() -> None:
    def f(v: Any) -> Any:
        y = np.zeros_like(v, shape=(3,))
        y[[0, 2, 0]] = v
        return y

    np.testing.assert_array_equal(both(f, [1.0, 2.0, 3.0]), [[0, 0, 1], [0, 0, 0], [0, 1, 0]])

    def pairs(v: Any) -> Any:
        y = np.zeros_like(v, shape=(2, 2))
        y[[0, 0, 1], [-1, 1, 0]] = v[:, None][:, 0]
        y[:, [0, 0]] = y[:, [1, 1]] * np.array([1.0, 2.0])
        return y

    np.testing.assert_array_equal(both(pairs, [1.0, 2.0, 3.0])[0], [[0, 2, 0], [0, 1, 0]])


def test_augmented_assignment_at_repeated_indices_counts_once_as_in_numpy() -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        y[[0, 0]] += x[1]
        return y

    np.testing.assert_array_equal(both(f, [1.0, 2.0]), [[1, 1], [0, 1]])


def test_overlapping_assignment_reads_first() -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        y[1:] = y[:-1]
        y[::-1] = y
        return y

    np.testing.assert_array_equal(both(f, [1.0, 2.0, 3.0]), [[0, 1, 0], [1, 0, 0], [1, 0, 0]])


def test_traced_integers_and_masks_as_indices_are_decisions_of_the_recording() -> None:
    def f(x: Any) -> Any:
        i = np.argmax(x)
        y = x * 1.0
        y[x < 0] = 0.0
        y[i] = 2.0 * x[np.argsort(x)[0]]
        return y[: i + 1]

    x = np.array([1.0, -2.0, 3.0])
    np.testing.assert_array_equal(both(f, x), [[1, 0, 0], [0, 0, 0], [0, 2, 0]])
    tape, _ = record(f, x)
    assert tape.guards


def test_floats_are_no_indices() -> None:
    for bad in (0.5, np.array([0.5])):
        with pytest.raises(IndexError):
            dd.vjp(lambda x, i=bad: x[i], np.ones(2))
    with pytest.raises(InputError, match=r"test_indexing\.py"):
        dd.vjp(lambda x: x[x], np.ones(2))
    for operator in (dd.vjp, lambda f, x: dd.jvp(f, (x,), (x,))):
        with pytest.raises(IndexError):
            operator(lambda x: x[5], np.ones(2))
        with pytest.raises(IndexError):
            operator(lambda x: x[1:][5], np.ones(2))


def test_the_index_is_kept_as_it_was() -> None:
    index, mask = np.array([0, 1]), np.array([True, False])

    def f(x: Any) -> Any:
        y = x[index] * 2.0
        z = x[mask] * 3.0
        index[:] = 0
        mask[:] = True
        return np.concatenate([y, z])

    _, pullback = dd.vjp(f, np.ones(2))
    np.testing.assert_array_equal(pullback(np.ones(3))[0], [5, 2])


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (slice(1, None), 2),
        (slice(None, None, -2), slice(None, None, -1)),
        ((1, slice(None, None, 2)), (None, -1)),
        ((Ellipsis, 0), (slice(1, 3), slice(None, None, -1))),
        ((None, slice(2)), (0, 1)),
        (slice(3, 0, -1), slice(1, None)),
        ((slice(None), None, 1), (Ellipsis, slice(0, 0))),
    ],
)
def test_composed_indices(outer: Any, inner: Any) -> None:
    x = np.arange(60).reshape(4, 3, 5)
    at = compose(outer, inner, x.shape)
    np.testing.assert_array_equal(x[at], x[outer][inner])
    assert compose(np.array([0, 1]), 0, (3,)) is compose(slice(None), np.array([0]), (3,)) is None


# containers -----------------------------------------------------------------------------------------


def test_an_array_made_outside_the_function_raises() -> None:
    def outer(x: Any) -> Any:
        kept = np.zeros_like(x)

        def inner(z: Any) -> Any:
            kept[0] = z
            return z * z

        return dd.grad(inner)(x[0])

    for operator in (dd.grad, dd.jacfwd):
        with pytest.raises(TracedAssignmentError, match="outside the function"):
            operator(outer)(np.ones(2))


def test_a_value_of_an_outer_level_stored_inside() -> None:
    def outer(x: Any) -> Any:
        def inner(z: Any) -> Any:
            y = np.zeros_like(z)
            y[0] = x[1] * z[0]
            y[1] = x[0]
            return np.sum(y * y)

        return dd.grad(inner)(x)

    # inner = (x1 z0)² + x0², so its gradient at z = x is (2 x1² x0, 0)
    np.testing.assert_allclose(both(outer, [2.0, 3.0]), [[18.0, 24.0], [0, 0]])


def test_mutating_a_captured_value_between_use_and_pull_changes_nothing() -> None:
    def outer(x: Any) -> Any:
        y = x * 1.0
        _, pullback = dd.vjp(lambda z: y * z, np.ones(2))
        y += 9.0
        y[0] = 0.0
        return pullback(np.ones(2))[0]

    np.testing.assert_array_equal(both(outer, [2.0, 3.0]), np.eye(2))


def test_discrete_results_can_come_to_hold_differentiated_values() -> None:
    def f(x: Any) -> Any:
        y = np.floor(x)
        y[0] = x[0] * x[1]
        return y

    np.testing.assert_array_equal(both(f, [1.5, 2.5]), [[2.5, 1.5], [0, 0]])


def test_views_of_containers_follow_their_base() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        first, rest = y[:1], y[1:]
        assert float(first[0]) == 0.0
        y[0] = x[1]
        rest[0] = 2.0 * first[0]
        return y

    np.testing.assert_array_equal(both(f, [1.0, 2.0]), [[0, 1], [0, 2]])


def test_a_plain_copy_of_a_container_is_read_only() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        with pytest.raises(ValueError, match="read-only"):
            np.asarray(y)[0] = 1.0
        np.array(y)[0] = 1.0
        return y + x

    assert type(raw(dd.vjp(f, np.ones(2), capture="never")[0])) is np.ndarray


def test_containers_leave_operators_as_plain_arrays() -> None:
    def f(x: Any) -> Any:
        return np.zeros_like(x), {"a": np.ones_like(x) * 2.0}

    for value in (dd.vjp(f, np.ones(2))[0], dd.jvp(f, (np.ones(2),), (np.ones(2),))[0], dd.linearize(f, np.ones(2))[0]):
        assert type(value[0]) is type(value[1]["a"]) is np.ndarray
    rows, _ = dd.jacobian(f)(np.ones(2))
    assert type(rows) is np.ndarray


# storing functions ----------------------------------------------------------------------------------

STORES: dict[str, Callable[[Any, Any], Any]] = {
    "copyto": lambda buffer, v: np.copyto(buffer, v),
    "put": lambda buffer, v: np.put(buffer, [0], v),
    "put_along_axis": lambda buffer, v: np.put_along_axis(buffer, np.array([[0]]), v, axis=1),
    "place": lambda buffer, v: np.place(buffer, buffer == 0, v),
    "putmask": lambda buffer, v: np.putmask(buffer, buffer == 0, v),
    "fill_diagonal": lambda buffer, v: np.fill_diagonal(buffer, v),
    "full_like": lambda buffer, v: np.full_like(buffer, v),
    "concatenate": lambda buffer, v: np.concatenate([np.stack([v, v]), np.ones(2)], out=np.zeros(4)),
    "stack": lambda buffer, v: np.stack([v, v], out=np.zeros(2)),
    "take": lambda buffer, v: np.take(np.stack([v, v]), [0], out=np.zeros(1)),
}


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize(
    "operator", [dd.vjp, lambda f, x: dd.jvp(f, (x,), (1.0,)), lambda f, x: dd.jacfwd(dd.grad(f))(x)]
)
def test_plain_destinations_raise(name: str, operator: Any) -> None:
    def f(x: Any) -> Any:
        STORES[name](np.zeros((2, 2)), x * x)
        return x

    with pytest.raises(TracedAssignmentError, match=r"test_indexing\.py"):
        operator(dd.capture(f, "never"), 2.0)


def test_storing_plain_values_in_plain_arrays_at_traced_places() -> None:
    def f(x: Any) -> Any:
        buffer = np.zeros(3)
        np.put(buffer, np.argmax(x), 5.0)
        np.copyto(buffer, 1.0, where=x < 0)
        np.putmask(buffer, x > 2, np.zeros_like(x))
        return buffer * x

    np.testing.assert_array_equal(both(f, [-1.0, 2.0, 1.0]), np.diag([1.0, 5.0, 0.0]))


def test_storing_converts_as_numpy_does() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x, dtype=np.float32)
        np.copyto(y, x)
        return y

    assert dd.jvp(f, (np.ones(2),), (np.ones(2),))[1].dtype == np.float32
    with pytest.raises(TypeError, match="same_kind"):
        dd.vjp(lambda x: np.copyto(np.zeros_like(x, dtype=int), x), np.ones(2))
    with pytest.raises(ValueError, match="empty"):
        dd.vjp(lambda x: np.place(x * 1.0, x > 0, []), np.ones(2))


# speed ----------------------------------------------------------------------------------------------


def filled(x: Any) -> Any:
    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i] = x[i] * 2.0
    return y


def filled_by_rows(x: Any) -> Any:
    y = np.zeros_like(x, shape=(len(x), 2))
    for i in range(len(x)):
        row = y[i]
        row[0] = x[i]
        y[i][1] = row[0] * 2.0
    return y[:, 1]


def stepped(x: Any) -> Any:
    y = np.zeros_like(x, shape=(len(x), 2))
    y[0] = x[:2]
    for i in range(1, len(x)):
        y[i] = y[i - 1] + 0.1 * np.sin(y[i - 1]) * x[i]
    return y[:, 0]


@pytest.mark.parametrize("f", [filled, filled_by_rows, stepped])
@pytest.mark.parametrize(
    "run",
    [lambda f, x: dd.vjp(f, x)[1](x), lambda f, x: dd.jvp(f, (x,), (x,)), lambda f, x: dd.linearize(f, x)[1](x)],
    ids=["vjp", "jvp", "linearize"],
)
def test_filling_entry_by_entry_is_linear_in_their_number(f: Any, run: Any) -> None:
    def seconds(n: int) -> float:
        x = np.ones(n)
        best = np.inf
        gc.collect()
        gc.disable()  # what its passes cost depends on all that the other tests left behind
        try:
            for _ in range(2):
                start = time.thread_time()
                run(f, x)
                best = min(best, time.thread_time() - start)
        finally:
            gc.enable()
        return best

    # A copy of the array for every entry would take 16 times as long for 4 times as many.
    assert seconds(6000) < 9 * seconds(1500)


@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_a_number_and_a_mask_apart_are_read_twice(chunk: Any) -> None:
    mask = np.array([True, False, True, True])
    x = np.linspace(0.5, 1.5, 24).reshape(2, 3, 4)

    def f(x):
        return x[1, :, mask] * x[0, :, mask] + x[1, :, mask] ** 2

    assert f(x).shape == (3, 3)
    a, b = (x[k][:, mask].T for k in (1, 0))
    expected = np.zeros((3, 3, 2, 3, 4))
    for (i, j), at in np.ndenumerate(np.array([[0, 2, 3]] * 3).T):
        expected[i, j, 1, j, at] = b[i, j] + 2 * a[i, j]
        expected[i, j, 0, j, at] = a[i, j]
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(dd.jacobian(f, mode=mode, chunk=chunk)(x), expected, rtol=1e-13)
