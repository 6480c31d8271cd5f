"""Wrong answers that reviews of the library found: plain NumPy code, in both modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualdiff as dd

MODES = {"forward": dd.jacfwd, "reverse": dd.jacrev, "auto": dd.jacobian}
modes = pytest.mark.parametrize("jac", MODES.values(), ids=MODES)
P = np.array([0.5, 1.25, -0.75])


@modes
def test_a_constant_overwritten_after_a_parameter_multiplied_it(jac: Any) -> None:
    def f(p):
        t = np.linspace(0.0, 1.0, 5)
        y = p[0] * t
        t += 1.0
        return y + p[1] * t

    t = np.linspace(0.0, 1.0, 5)
    np.testing.assert_array_equal(jac(f)(P), np.stack([t, t + 1, 0 * t], axis=1))


@modes
def test_a_buffer_overwritten_after_a_parameter_multiplied_it(jac: Any) -> None:
    def f(p):
        b = np.ones_like(p)
        y = p[0] * b
        b[:] = 5.0
        return y * p[1]

    expected = np.tile([P[1], P[0], 0.0], (3, 1))
    np.testing.assert_array_equal(jac(f)(P), expected)
    np.testing.assert_array_equal(dd.jacfwd(jac(f))(P)[0], [[0, 1, 0], [1, 0, 0], [0, 0, 0]])


@modes
def test_an_array_of_an_outer_level_overwritten_after_a_parameter_multiplied_it(jac: Any) -> None:
    def f(x):
        def inner(y):
            c = x * 1.0
            z = y[0] * c
            c *= 0.0
            return z + c

        return jac(inner)(np.ones(3))[:, 0]

    np.testing.assert_array_equal(jac(f)(P), np.eye(3))


@modes
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, bool])
def test_a_parameter_times_integers_does_not_overflow(jac: Any, dtype: Any) -> None:
    image = np.array([200, 3, 0]).astype(dtype)

    def f(p):
        y = p[0] * image
        return y * image + y + y - p[1] * image

    k = image.astype(float)
    np.testing.assert_array_equal(jac(f)(P), np.stack([k * k + 2 * k, -k, 0 * k], axis=1))


@modes
def test_a_parameter_times_large_integers_does_not_overflow(jac: Any) -> None:
    n = np.int64(2**40)
    assert jac(lambda p: p[0] * n * n)(P)[0] == 2.0**80


@modes
def test_a_parameter_times_float32_keeps_the_precision_of_the_result(jac: Any) -> None:
    t = np.linspace(0.1, 1.0, 5, dtype=np.float32)
    expected = t.astype(np.float64) ** 2
    np.testing.assert_array_equal(jac(lambda p: (p[0] * t) * t)(P)[:, 0], expected)


@modes
def test_the_dtype_of_a_jacobian_is_that_of_the_result(jac: Any) -> None:
    x = P.astype(np.float32)
    assert jac(lambda p: p * np.arange(3.0))(x).dtype == np.float64
    assert jac(lambda p: p.astype(np.float32))(P).dtype == np.float32


def test_a_scalar_has_a_scalar_for_its_gradient() -> None:
    for x in (np.float64(2.0), np.float32(2.0)):
        assert type(dd.grad(lambda p: np.reshape(p, (1, 1)).sum())(x)) is type(x)
        assert type(dd.vjp(lambda p: np.reshape(p, 1), x)[1](np.ones(1, x.dtype))[0]) is type(x)


def test_a_write_at_an_index_with_unit_axes_keeps_the_shape_of_what_was_written():
    def f(p, key):
        q = p * p
        y = np.zeros_like(p)
        y[key] = q
        return y + q

    x = np.arange(4.0)
    for key in (None, (None, slice(None)), True):
        (g,) = dd.vjp(lambda p, key=key: f(p, key), x)[1](np.ones(4))
        np.testing.assert_allclose(g, 4 * x)
        np.testing.assert_allclose(dd.jacrev(f)(x, key), dd.jacfwd(f)(x, key))


def test_object_arrays_are_named_in_the_message():
    with pytest.raises(TypeError, match=r"test_reports.py, line \d+: .*np\.stack"):
        dd.jacobian(lambda p: np.sin(np.array([p[0], 1.0])), capture="never")(np.ones(2))


def test_an_error_the_user_raises_instead_of_ours_is_the_users():
    def f(x):
        try:
            return float(x[0])
        except TypeError:
            raise KeyError("mine") from None

    with pytest.raises(KeyError, match="mine"):
        dd.jacfwd(f, capture="never")(np.ones(2))
    assert dd.grad(f)(np.ones(2))[0] == 1.0


@pytest.mark.parametrize("operator", [dd.jacfwd, dd.jacrev])
def test_a_write_into_a_snapshot_is_not_lost(operator):
    """np.asarray of a traced array is, captured, the array itself; otherwise what it returns is read-only, or it raises."""

    def f(x):
        y = x * 1.0
        np.asarray(y)[0] = x[1]
        return y

    def filled(x):
        y = np.zeros_like(x)
        np.asarray(y)[0] = 5.0
        return y * x

    np.testing.assert_array_equal(operator(f)(np.ones(2)), [[0.0, 1.0], [0.0, 1.0]])
    np.testing.assert_array_equal(operator(filled)(np.ones(2)), np.diag([5.0, 0.0]))
    with pytest.raises(TypeError, match="plain array"):
        operator(f, capture="never")(np.ones(2))
    with pytest.raises(ValueError, match="read-only"):
        operator(filled, capture="never")(np.ones(2))
    np.testing.assert_array_equal(operator(lambda x: np.stack(list(np.array(x) * 2)))(np.ones(2)), 2 * np.eye(2))


def test_eager_methods_of_a_value_under_differentiation_say_what_to_do():
    for method in ("detach", "backward", "numpy"):
        with pytest.raises(TypeError, match=rf"test_reports.py, line \d+: \.{method} belongs to eager tensors"):
            dd.grad(lambda x, method=method: getattr(x, method)())(1.0)


def asarray_then_write(x):
    y = x * 1.0
    z = np.asarray(y)
    y[0] = 5.0
    return z * 1.0


def contiguous_then_write(x):
    y = x * 1.0
    z = np.ascontiguousarray(y[1:])
    y[1] = x[0]
    return z * 1.0


def asarray_of_a_container_then_write(x):
    y = np.zeros_like(x)
    z = np.asarray(y)
    y[0] = x[0]
    return z * 1.0


@pytest.mark.parametrize("f", [asarray_then_write, contiguous_then_write, asarray_of_a_container_then_write])
@pytest.mark.parametrize("way", [dd.jacfwd, dd.jacrev])
def test_memory_that_numpy_would_share_is_not_written_behind_its_back(f, way):
    x = np.array([1.0, 2.0, 4.0])
    slopes = np.stack([(f(x + e) - f(x - e)) / 2 for e in np.eye(3)], axis=1)
    np.testing.assert_allclose(way(f)(x), slopes)  # captured, there is one array
    with pytest.raises(
        (dd.errors.TracedAssignmentError, dd.errors.TracedConversionError), match=r"np\.asarray|plain array"
    ):
        way(f, capture="never")(x)


def test_what_numpy_holds_no_longer_may_be_written():
    def f(x):
        y = np.zeros_like(x)
        s = np.sum(np.asarray(y)) + np.sum(np.array(y))
        y[0] = x[0] + s
        kept = np.array(y)
        y[1] = 2 * x[1]
        return y + kept

    np.testing.assert_array_equal(dd.jacfwd(f)(np.ones(3)), np.diag([2.0, 2.0, 0.0]))
