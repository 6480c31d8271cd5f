"""Memory that several values share: what NumPy holds of a traced array, and who may write into it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import TracedAssignmentError, TracedConversionError

MODES = pytest.mark.parametrize("mode", [dd.jacfwd, dd.jacrev, dd.jacobian])
X = np.array([3.0, 4.0])


def total(v: Any) -> Any:
    return np.asarray(v).sum()  # as many a helper begins


# --------------------------------------------------------------------------------------------------
# what np.asarray handed out


def slopes(f: Any, x: Any) -> Any:
    """Return the Jacobian of a function of second degree by central differences."""
    return np.stack([(f(x + e) - f(x - e)) / 2 for e in np.eye(len(x))], axis=1)


@MODES
def test_a_holder_that_dies_takes_no_other_holder_with_it(mode: Any) -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        kept = np.asarray(y)
        first = total(y)
        y[0] = 2.0 * x[0]
        return kept * first

    np.testing.assert_allclose(mode(f)(X), slopes(f, X), rtol=1e-7)  # captured, it is the array itself
    with pytest.raises(TracedConversionError, match="plain array"):
        mode(dd.capture(f, "never"))(X)


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

    if part is not memoryview:
        np.testing.assert_allclose(mode(f)(X), slopes(f, X), rtol=1e-7)
    with pytest.raises(TracedAssignmentError, match=r"np\.asarray"):
        mode(dd.capture(f, "never"))(X)


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


# --------------------------------------------------------------------------------------------------
# places without axes

ALL_WAYS = ["forward", "reverse", "elimination", "finite-differences", "complex-step"]
SPARSE = [{"coloring": "columns"}, {"coloring": "rows"}, {"coloring": "both"}, {}]


def by_every_way(f: Any, x: Any, expected: Any) -> None:
    for mode in ALL_WAYS:
        np.testing.assert_allclose(dd.jacobian(f, mode=mode)(x), expected, rtol=1e-6, atol=1e-9)
    for options in SPARSE:
        found = dd.jacobian(f, sparse=True, **options)(x).toarray()
        np.testing.assert_allclose(found, np.reshape(expected, found.shape))
    second = dd.jacfwd(dd.jacfwd(f))(x)
    for outer in (dd.jacfwd, dd.jacrev):
        np.testing.assert_allclose(outer(dd.jacrev(f))(x), second)
    value, pull = dd.vjp(f, x)  # one covector, with no axis for directions
    np.testing.assert_allclose(pull(np.ones_like(value))[0], np.sum(np.reshape(expected, (-1, *np.shape(x))), axis=0))


@pytest.mark.parametrize("index", [Ellipsis, (Ellipsis,)], ids=repr)
@pytest.mark.parametrize("part", [slice(1, 2), 1, (None, slice(1, 2))], ids=repr)
def test_one_entry_is_stored_in_a_place_without_axes(index: Any, part: Any) -> None:
    def f(x: Any) -> Any:
        s = np.zeros_like(x, shape=())
        s[index] = 3.0 * x[part] ** 2
        s += x[0]
        return np.stack([s, s * x[0]])

    by_every_way(f, X, [[1.0, 24.0], [2 * X[0] + 48.0, 72.0]])
    if part == slice(1, 2):
        index = True  # a mask, which takes one axis and no more
        by_every_way(f, X, [[1.0, 24.0], [2 * X[0] + 48.0, 72.0]])


@pytest.mark.parametrize("view", [np.atleast_1d, lambda s: s[None], lambda s: np.reshape(s, (1, 1))])
@pytest.mark.parametrize("part", [slice(0, 0), slice(0, 1), []], ids=repr)
def test_a_view_of_one_entry_may_show_it_or_nothing(view: Any, part: Any) -> None:
    def f(x: Any) -> Any:
        s = np.zeros_like(x, shape=())
        s[...] = x[0]
        view(s)[part] = 5.0 * x[1]
        return s * x

    stored = part == slice(0, 1)
    s, slope = (5.0 * X[1], [0.0, 5.0]) if stored else (X[0], [1.0, 0.0])
    by_every_way(f, X, s * np.eye(2) + np.outer(X, slope))


@pytest.mark.parametrize(
    "read",
    [lambda s: s[()], lambda s: s[...], lambda s: s[None][0], lambda s: s[None, ...].sum(), lambda s: s[True][0]],
)
def test_an_entry_is_read_by_an_index_that_names_no_axis(read: Any) -> None:
    by_every_way(lambda x: read(x) * x, np.array(3.0), 6.0)
    by_every_way(lambda x: read(np.sum(x * x)[...]) * x, X, 25.0 * np.eye(2) + 2 * np.outer(X, X))


def test_a_number_is_no_place_to_write_into() -> None:
    def f(x: Any) -> Any:
        s = x.sum()
        s[...] = 1.0
        return s

    for mode in (dd.jacfwd, dd.jacrev):
        with pytest.raises(TypeError, match="does not support item assignment"):
            mode(f)(X)


@MODES
def test_an_array_without_axes_that_is_given_has_two_names(mode: Any) -> None:
    def f(x: Any) -> Any:
        y = x
        x *= 2.0
        return y * x

    assert mode(f)(np.array(3.0)) == 24.0  # both names are of one array
    assert mode(f)(3.0) == 12.0  # a number is replaced
    for way in ALL_WAYS:
        np.testing.assert_allclose(dd.jacobian(f, mode=way)(np.array(3.0)), 24.0, rtol=1e-6)


def test_a_view_of_a_computed_tensor_without_axes_follows_it() -> None:
    x = dd.tensor(X, requires_grad=True)
    s = (x * 2.0).sum()
    v, w = s.reshape(-1), s[...]
    s += 3.0 * x[0]
    assert (v.tolist(), w.tolist()) == ([23.0], 23.0)
    (v * w).sum().backward()
    np.testing.assert_allclose(x.grad, [2 * 23.0 * 5.0, 2 * 23.0 * 2.0])


# --------------------------------------------------------------------------------------------------
# what flat gives


@MODES
def test_flat_gives_copies_and_is_read_when_gone_through(mode: Any) -> None:
    def f(x: Any) -> Any:
        y = np.outer(x, x).T
        old, entries = y.flat[1:3], iter(y.flat)
        y *= 7.0
        old[0] *= 2.0  # reaches nobody
        return np.stack([*old, *entries])

    a, b = X
    rows = np.array([[2 * a, 0], [b, a], [b, a], [0, 2 * b]])
    np.testing.assert_allclose(mode(f)(X), [2 * rows[1], rows[2], *(7 * rows)])
