"""The eager face, case by case: every cell of the tutorial, then PyTorch's semantics row by row."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest

import dualdiff as dd
import dualdiff.numpy
from dualdiff.errors import (
    GraphFreedError,
    InPlaceError,
    InputError,
    NonScalarError,
    TracedAssignmentError,
    TracedConversionError,
)

# -- the tutorial ------------------------------------------------------------------------------------


def test_tutorial_scalar():
    x = dd.ones((2, 2), requires_grad=True)
    y = x + 2
    z = y * y * 3
    out = z.mean()
    out.backward()
    np.testing.assert_array_equal(x.grad, np.full((2, 2), 4.5))


def test_tutorial_vector_by_sum_and_by_gradient():
    for sweep in (lambda y: y.sum().backward(), lambda y: y.backward([1.0, 1.0, 1.0])):
        x = dd.arange(0, 3, requires_grad=True)
        sweep(x**2 + x * 2)
        np.testing.assert_array_equal(x.grad, [2.0, 4.0, 6.0])


def _tutorial_matrix():
    x = dd.tensor([[3.0, 4.0]], requires_grad=True)
    y = dd.zeros((1, 2))
    y[0, 0] = x[0, 0] ** 2 + x[0, 1]
    y[0, 1] = x[0, 1] ** 3 + x[0, 0]
    return x, 2 * y


def test_tutorial_item_assignment_and_rows():
    x, out = _tutorial_matrix()
    out.backward([[1.0, 1.0]], retain_graph=True)
    np.testing.assert_array_equal(x.grad, [[14.0, 98.0]])
    x.grad.zero_()
    out.backward([[1.0, 0.0]], retain_graph=True)
    g1 = copy.deepcopy(x.grad)
    x.grad.zero_()
    out.backward([[0.0, 1.0]], retain_graph=True)
    g2 = copy.deepcopy(x.grad)
    np.testing.assert_array_equal(g1, [[12.0, 2.0]])
    np.testing.assert_array_equal(np.concatenate((g1, g2), 0), [[12.0, 2.0], [2.0, 96.0]])


def test_tutorial_errors():
    x, out = _tutorial_matrix()
    with pytest.raises(NonScalarError, match=r"dd\.jacobian"):
        out.backward()
    out.backward([[1.0, 1.0]])
    with pytest.raises(GraphFreedError, match="retain_graph=True"):
        out.backward([[1.0, 1.0]])
    np.testing.assert_array_equal(x.grad, [[14.0, 98.0]])


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_tutorial_jacobian_in_one_call(mode):
    def f(x):
        y = np.zeros_like(x)
        y[0, 0] = x[0, 0] ** 2 + x[0, 1]
        y[0, 1] = x[0, 1] ** 3 + x[0, 0]
        return 2 * y

    j = dd.jacobian(f, mode=mode)(np.array([[3.0, 4.0]]))
    assert j.shape == (1, 2, 1, 2)
    np.testing.assert_array_equal(j[0, :, 0, :], [[12.0, 2.0], [2.0, 96.0]])


# -- backward ----------------------------------------------------------------------------------------


def test_retained_graph_accumulates():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = (x**2).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(x.grad, [4.0, 8.0])


def test_two_graphs_accumulate():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    (x * 3).sum().backward()
    (x * np.array([2.0, 4.0])).sum().backward()
    np.testing.assert_array_equal(x.grad, [5.0, 7.0])


def test_gradients_of_shared_leaves_do_not_share_memory():
    a, b = dd.tensor([1.0], requires_grad=True), dd.tensor([2.0], requires_grad=True)
    (a + b).backward([1.0])
    a.grad.zero_()
    np.testing.assert_array_equal(b.grad, [1.0])


def test_gradient_is_checked():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        y.backward([1.0, 1.0, 1.0])
    with pytest.raises(InputError, match="complex"):
        y.backward([1j, 1.0])
    with pytest.raises(InputError):
        y.backward([[1.0], "a"])
    y.backward([1, 1])  # integers are taken
    assert x.grad.dtype == np.float64
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])


def test_failed_backward_changes_nothing():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    z = y * 2
    z.register_hook(lambda g: np.zeros(7))
    with pytest.raises(InputError, match="hook"):
        z.backward([1.0, 1.0])
    assert x.grad is None
    y.backward([1.0, 1.0])  # nothing was freed
    np.testing.assert_array_equal(x.grad, [2.0, 4.0])


def test_create_graph_gives_second_and_third_derivatives():
    x = dd.tensor(2.0, requires_grad=True)
    (x**4).backward(create_graph=True)
    g = x.grad
    assert g.requires_grad
    x.grad = None
    g.backward(create_graph=True)
    h = x.grad
    x.grad = None
    h.backward()
    assert (g.item(), h.item(), x.grad.item()) == (32.0, 48.0, 48.0)


def test_create_graph_through_reductions_and_indexing():
    data = np.array([0.3, -1.2, 2.0])
    x = dd.tensor(data, requires_grad=True)
    y = (np.sin(x[1:] * x[:-1]) * np.exp(x[0])).sum()
    (g,) = dd.gradients(y, [x], create_graph=True)
    rows = [dd.gradients(g[i], [x], retain_graph=True)[0].numpy() for i in range(3)]
    expect = dd.hessian(lambda x: (np.sin(x[1:] * x[:-1]) * np.exp(x[0])).sum())(data)
    np.testing.assert_allclose(np.stack(rows), expect, rtol=1e-13, atol=1e-14)


def test_unused_input():
    x, z = dd.tensor(1.0, requires_grad=True), dd.tensor(1.0, requires_grad=True)
    y = x * 2
    y.backward(retain_graph=True)
    assert z.grad is None
    with pytest.raises(InputError, match="strict=False"):
        dd.gradients(y, [x, z], retain_graph=True)
    gx, gz = dd.gradients(y, [x, z], strict=False)
    assert (gx.item(), gz.item()) == (2.0, 0.0)


def test_gradients_of_a_computed_tensor():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    (g,) = dd.gradients((y**2).sum(), [y])
    np.testing.assert_array_equal(g, [6.0, 12.0])
    assert x.grad is None


# -- in place ----------------------------------------------------------------------------------------


def test_write_into_a_leaf_raises_with_two_fixes():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(InPlaceError, match=r"clone.*no_grad"):
        x[0] = 5.0
    with pytest.raises(InPlaceError):
        x += 1
    view = x[1:]
    with pytest.raises(InPlaceError):
        view[0] = 5.0
    np.testing.assert_array_equal(x.detach(), [1.0, 2.0])


def test_assignment_into_a_computed_tensor():
    x = dd.tensor([10.0, 20.0], requires_grad=True)
    y = x * 2
    y[0] = x[1] * 3
    y.backward([1.0, 0.0])
    np.testing.assert_array_equal(x.grad, [0.0, 3.0])


def test_write_through_a_view():
    x = dd.tensor([1.0, 1.0], requires_grad=True)
    y = x * 1.0
    v = y[:1]
    v *= 3
    y.backward([1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [3.0, 1.0])


def test_view_sees_a_later_write_into_its_base():
    x = dd.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 2
    v = y[1:]
    y[1] = x[0] * 7
    v.backward([1.0, 1.0])
    np.testing.assert_array_equal(v.detach(), [7.0, 6.0])
    np.testing.assert_array_equal(x.grad, [7.0, 0.0, 2.0])


def test_overwritten_saved_value_raises_with_operation_and_line():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    z = y * y
    y[0] = 0.0
    with pytest.raises(InPlaceError, match=r"multiply \(test_tensor.py, line \d+\).*last at test_tensor.py, line \d+"):
        z.backward([1.0, 1.0])


def test_overwritten_value_that_is_not_needed_is_fine():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    z = y + 1
    y[0] = 0.0
    z.backward([1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])


def test_write_through_a_detached_tensor_is_seen():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    z = y * y
    d = y.detach()
    d[0] = 9.0
    assert y[0].item() == 9.0
    with pytest.raises(InPlaceError):
        z.backward([1.0, 1.0])


def test_constants_may_change_after_use():
    c = np.array([2.0, 3.0])
    x = dd.tensor([1.0, 1.0], requires_grad=True)
    y = x * c
    c[:] = 100.0
    y.backward([1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [2.0, 3.0])


def test_no_grad_step_of_an_optimiser():
    w = dd.tensor([1.0, 2.0], requires_grad=True)
    s = dd.tensor(3.0, requires_grad=True)
    ((w * s) ** 2).sum().backward()
    with dd.no_grad():
        w -= 0.1 * w.grad
        s -= 0.1 * s.grad
    assert w.is_leaf
    assert w.requires_grad
    assert s.is_leaf
    np.testing.assert_allclose(w.detach(), [1 - 1.8, 2 - 3.6])
    np.testing.assert_allclose(s.item(), 3 - 0.1 * 30)


def test_plain_destinations_raise():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    buffer = np.zeros(2)
    with pytest.raises((TracedAssignmentError, TracedConversionError)):
        buffer += x
    with pytest.raises((TracedAssignmentError, TracedConversionError)):
        np.multiply(x, 2.0, out=buffer)
    with pytest.raises(ValueError, match="setting an array element") as info:
        buffer[0] = x[0]  # NumPy wraps our error in its own, and nothing stands between
    assert isinstance(info.value.__cause__, TracedConversionError)
    assert "test_tensor.py, line" in str(info.value.__cause__)
    np.testing.assert_array_equal(buffer, [0.0, 0.0])


# -- leaving, modes, bookkeeping ----------------------------------------------------------------------


def test_float_raises_and_item_is_the_way_out():
    x = dd.tensor(2.0, requires_grad=True)
    with pytest.raises(TracedConversionError, match=r"test_tensor.py, line \d+.*\.item\(\)"):
        float(x * 2)
    assert (x * 2).item() == 4.0
    assert float(dd.tensor(2.0)) == 2.0
    assert dd.tensor([1.0, 2.0]).tolist() == [1.0, 2.0]


def test_numpy_is_read_only_and_refuses_a_recorded_tensor():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TracedConversionError, match="detach"):
        x.numpy()
    plain = x.detach().numpy()
    assert type(plain) is np.ndarray
    with pytest.raises(ValueError, match="read-only"):
        plain[0] = 3.0


@pytest.mark.parametrize(
    ("f", "df"),
    [
        (np.sin, np.cos),
        (lambda x: np.sum(x) * np.ones(2), lambda x: np.full(2, 2.0)),
        (np.linalg.norm, lambda x: x / np.sqrt(x @ x)),
        (lambda x: np.concatenate([x, 2 * x]), lambda x: np.full(2, 3.0)),
        (lambda x: np.dot(x, np.array([1.0, 5.0])), lambda x: np.array([1.0, 5.0])),
        (lambda x: np.sort(x) * np.array([1.0, 5.0]), lambda x: np.array([5.0, 1.0])),
    ],
)
def test_numpy_functions_are_tracked(f, df):
    data = np.array([2.0, 0.5])
    x = dd.tensor(data, requires_grad=True)
    y = f(x)
    y.backward(np.ones(y.shape))
    np.testing.assert_allclose(x.grad, df(data))


def test_integers_cannot_require_a_gradient():
    with pytest.raises(InputError, match="floating-point"):
        dd.tensor([1, 2], requires_grad=True)
    assert dd.tensor([1, 2]).dtype.kind == "i"


def test_tensor_of_a_traced_value_raises():
    with pytest.raises(InputError, match="stop_gradient"):
        dd.grad(lambda x: dd.tensor(x).sum())(np.ones(2))


def test_detach_and_data_cut_the_graph():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * x.detach() * x.data
    y.backward([1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [1.0, 4.0])
    assert x.detach().is_leaf
    assert not x.detach().requires_grad


def test_leaf_bookkeeping():
    x = dd.tensor([1.0], requires_grad=True)
    y = x * 2
    assert x.is_leaf
    assert x.grad_fn is None
    assert not y.is_leaf
    assert y.grad_fn.name == "np.multiply"
    assert y.grad is None
    assert dd.zeros(2).is_leaf
    z = dd.zeros(2).requires_grad_()
    assert z.requires_grad
    with pytest.raises(InputError, match="detach"):
        y.requires_grad_(False)
    assert not z.requires_grad_(False).requires_grad
    with pytest.raises(InputError, match="does not require"):
        dd.zeros(2).sum().backward()


def test_retain_grad_and_hooks():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    y.retain_grad()
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    handle = x.register_hook(lambda g: g * 10)
    y.backward([1.0, 1.0], retain_graph=True)
    np.testing.assert_array_equal(y.grad, [1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [30.0, 30.0])
    assert seen == [[1.0, 1.0]]
    handle.remove()
    x.zero_grad()
    assert x.grad is None
    y.backward([1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [3.0, 3.0])


def test_no_grad_as_context_and_decorator():
    x = dd.tensor(1.0, requires_grad=True)

    @dd.no_grad()
    def f(x):
        return x * 2

    assert not f(x).requires_grad
    with dd.no_grad():
        assert not dd.is_grad_enabled()
        with dd.no_grad():
            pass
        assert not (x * 2).requires_grad
    assert dd.is_grad_enabled()
    assert (x * 2).requires_grad


def test_no_grad_is_per_thread():
    x = dd.tensor(1.0, requires_grad=True)
    seen = []
    with dd.no_grad():
        thread = threading.Thread(target=lambda: seen.append((x * 2).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_a_graph_nobody_holds_is_freed_at_once():
    x = dd.tensor(np.ones(1000), requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        y = np.sin(x) * x
        node = weakref.ref(y.grad_fn)
        z = y.sum()
        z.backward()
        del y, z
        assert node() is None
    finally:
        gc.enable()


def test_copies_and_pickles():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    (x**2).sum().backward()
    for again in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert again.requires_grad
        np.testing.assert_array_equal(again.grad, x.grad)
        again.grad.zero_()
        np.testing.assert_array_equal(x.grad, [2.0, 4.0])
    with pytest.raises(InputError, match="detach"):
        pickle.dumps(x * 2)
    with pytest.raises(InputError, match="clone"):
        copy.deepcopy(x * 2)


# -- values where others are wrong ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "at", "expect"),
    [
        (lambda x: np.abs(x).sum(), [0.0, -2.0], [0.0, -1.0]),
        (lambda x: np.max(x), [3.0, 3.0], [0.5, 0.5]),
        (lambda x: np.maximum(x[0], x[1]), [3.0, 3.0], [0.5, 0.5]),
        (lambda x: np.clip(x, 0.0, 1.0).sum(), [0.0, 1.0], [0.5, 0.5]),
        (lambda x: np.linalg.norm(x), [0.0, 0.0], [0.0, 0.0]),
        (lambda x: np.std(x), [2.0, 2.0], [0.0, 0.0]),
        (lambda x: np.prod(x), [0.0, 3.0], [3.0, 0.0]),
        (lambda x: np.prod(x), [0.0, 0.0], [0.0, 0.0]),
        (lambda x: np.cumprod(x)[-1], [0.0, 3.0], [3.0, 0.0]),
        (lambda x: (5 % x).sum(), [2.0, 1.5], [-2.0, -3.0]),
        (
            lambda x: np.linalg.det(np.reshape(np.concatenate([x, np.array([2.0, 4.0])]), (2, 2))),
            [1.0, 2.0],
            [4.0, -2.0],
        ),
    ],
)
def test_special_points(f, at, expect):
    x = dd.tensor(at, requires_grad=True)
    f(x).backward()
    np.testing.assert_allclose(x.grad, expect, atol=1e-14)
    np.testing.assert_allclose(dd.jacfwd(f)(np.array(at)), expect, atol=1e-14)
    np.testing.assert_allclose(dd.jacrev(f)(np.array(at)), expect, atol=1e-14)


@pytest.mark.filterwarnings("ignore:divide by zero encountered in log")
def test_where_takes_nothing_from_the_other_branch():
    x = dd.tensor([0.0, 2.0], requires_grad=True)
    np.where(x > 0, np.log(x), 0.0).backward([1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [0.0, 0.5])


def test_second_derivative_of_sinc_at_zero():
    x = dd.tensor(0.0, requires_grad=True)
    (g,) = dd.gradients(np.sinc(x), [x], create_graph=True)
    (h,) = dd.gradients(g, [x])
    np.testing.assert_allclose(h.item(), -(np.pi**2) / 3)


def test_complex_absolute_square():
    z = dd.tensor(1 + 2j, requires_grad=True)
    (np.abs(z) ** 2).backward()
    np.testing.assert_allclose(z.grad.item(), 2 + 4j)


def test_empty_jacobian():
    assert dd.jacobian(lambda x: x * 2)(np.zeros(0)).shape == (0, 0)


def test_functional_operators_over_tensors_stay_differentiable():
    w = dd.tensor([1.0, 2.0], requires_grad=True)
    slope = dd.grad(lambda z: (z**3 * w).sum())(2.0)
    slope.backward()
    np.testing.assert_allclose(w.grad, [12.0, 12.0])


def test_tensors_made_inside_a_function_receive_traced_values():
    def f(x):
        y = dd.zeros(2)
        y[0] = x[0] * x[1]
        y[1] = x[1] ** 2
        return y

    for operator in (dd.jacfwd, dd.jacrev):
        np.testing.assert_array_equal(operator(f)(np.array([2.0, 3.0])), [[3.0, 2.0], [0.0, 6.0]])
    outside = dd.zeros(2)

    def leak(x):
        outside[0] = x[0]
        return outside

    with pytest.raises(TracedAssignmentError, match="outside"):
        dd.jacfwd(leak)(np.ones(2))


# -- found by review: memory that tensors share, and values that equations keep -------------------------


def test_values_kept_by_a_differentiable_gradient_are_watched():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    (g,) = dd.gradients((y**3).sum(), [x], create_graph=True)
    y += 10
    with pytest.raises(InPlaceError, match="overwritten"):
        g.sum().backward()


def test_a_view_first_looked_at_under_no_grad_keeps_its_gradient():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    v = y[:1]
    y *= 10
    with dd.no_grad():
        v * 1
    (v * v).sum().backward()
    np.testing.assert_array_equal(x.grad, [200.0, 0.0])


def test_a_leaf_that_is_a_view_stays_one():
    flat = dd.zeros(4)
    w, b = flat[:2].requires_grad_(), flat[2:].requires_grad_()
    (w * 3 + b).sum().backward()
    flat += 1  # flat itself is a constant
    assert w.is_leaf
    assert w.requires_grad
    (w * w).sum().backward()
    np.testing.assert_array_equal(w.grad, [5.0, 5.0])
    with pytest.raises(InPlaceError, match="leaf"):
        w[0] = 1.0


def test_differentiable_gradients_do_not_share_memory():
    a, b = dd.ones(2, requires_grad=True), dd.ones(2, requires_grad=True)
    (a + b).sum().backward(create_graph=True)
    a.zero_grad(set_to_none=False)
    np.testing.assert_array_equal(b.grad, [1.0, 1.0])


def test_a_copy_has_memory_of_its_own():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    c = copy.copy(y)
    c *= 3
    np.testing.assert_array_equal(y.detach(), [1.0, 2.0])
    c.sum().backward()
    np.testing.assert_array_equal(x.grad, [3.0, 3.0])


def test_augmented_assignment_keeps_the_old_value_it_needs():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    y *= x
    y *= y
    y[:1] *= x[1:]
    y.sum().backward()  # [x0**4 * x1, x1**4]
    np.testing.assert_array_equal(x.grad, [8.0, 33.0])


def test_a_retained_gradient_follows_a_write():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    y.retain_grad()
    y[0] = x[1] * 3
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad, [0.0, 40.0])
    np.testing.assert_array_equal(y.grad, [12.0, 4.0])


def test_view_of_a_complex_tensor():
    z = dd.tensor([1 + 2j, 3.0], requires_grad=True)
    y = z * 1
    r = np.real(y)
    y *= 2
    r.sum().backward()
    np.testing.assert_array_equal(z.grad, [2.0, 2.0])


@pytest.mark.parametrize("jacobian", [dd.jacfwd, dd.jacrev])
def test_views_of_a_tensor_that_receives_traced_values(jacobian):
    def f(x):
        z = dd.zeros(3)
        v = z[:2]
        w = v[::-1]
        z[0] = x[0] * x[1]
        v[1] = x[0]
        return (w * w).sum() + v.sum()

    np.testing.assert_allclose(jacobian(f)(np.array([2.0, 3.0])), [2 * 6 * 3 + 2 * 2 + 3 + 1, 2 * 6 * 2 + 2])


def test_a_long_chain_of_stale_views():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = v = x * 1
    for _ in range(5000):
        v = v[:]
    y *= 2
    v.sum().backward()
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])


def test_third_derivative_through_assignments():
    def f(x, zeros):
        y = zeros(3)
        y[:2] = x**4
        y[2] = x[0] * y[1]
        y *= y
        return y.sum() + y[:2] @ y[1:]

    def sums(g):
        return lambda x: g(x).sum()

    a = np.array([1.0, 2.0])
    x = dd.tensor(a, requires_grad=True)
    g = f(x, dd.zeros)
    want = lambda x: f(x, dualdiff.numpy.zeros)  # noqa: E731
    for _ in range(3):
        (g,) = dd.gradients(g.sum(), [x], create_graph=True)
        want = dd.grad(sums(want))
        np.testing.assert_allclose(g.detach(), want(a))


def test_differentiable_gradients_accumulate_under_no_grad_and_integers_are_cast():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y, z = (x**3).sum(), (x**2).sum()
    with dd.no_grad():
        y.backward(create_graph=True)
        z.backward(create_graph=True)
    assert x.grad.requires_grad
    x.grad = dd.tensor([1, 1])
    x.sum().backward()
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])


# -- who else holds a number, and who writes at the same time --------------------------------------------


def _two() -> tuple[dd.Tensor, dd.Tensor]:
    x = dd.tensor([1.0, 2.0, 3.0], requires_grad=True)
    return x, x * 2


@pytest.mark.parametrize(
    "write",
    [
        lambda v: v.__imul__(3.0),
        lambda v: v.__setitem__(0, 5.0),
        lambda v: v[:1].__iadd__(1.0),
        lambda v: np.multiply(v, 3.0, out=v),
        lambda v: v.zero_(),
        lambda v: v.reshape(2, 1).fill(1.0),
    ],
    ids=["augmented", "entry", "view of the view", "out", "zero_", "fill"],
)
def test_a_view_made_under_no_grad_is_not_written_where_writes_are_recorded(write):
    x, y = _two()
    with dd.no_grad():
        v = y[1:]
    with pytest.raises(InPlaceError, match=r"made inside dd\.no_grad"):
        write(v)
    with dd.no_grad():  # neither the view nor the write is recorded: new values, the old equation
        v *= 3.0
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad, [8.0, 48.0, 72.0])


def test_a_view_made_under_no_grad_of_what_is_not_recorded_may_be_written():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = dd.zeros(2)
    with dd.no_grad():
        v = y[1:]
    v += x[:1]
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad, [2.0, 0.0])
    assert v.requires_grad


def test_a_view_made_under_no_grad_is_a_constant_where_it_is_stored():
    x, y = _two()
    with dd.no_grad():
        v = y[1:]
    y[1:] = v
    (y * y).sum().backward()
    np.testing.assert_array_equal(y, [2.0, 4.0, 6.0])
    np.testing.assert_array_equal(x.grad, [8.0, 0.0, 0.0])


def test_a_view_made_under_no_grad_follows_a_recorded_write():
    x, y = _two()
    with dd.no_grad():
        v = y[1:]
    y[1] = y[0] * 1.0
    v *= 3.0
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad, [80.0, 0.0, 216.0])


@pytest.mark.parametrize(
    "view",
    [
        lambda s: s.reshape(-1),
        lambda s: np.reshape(s, (1, 1)),
        lambda s: s[None],
        lambda s: s[...],
        lambda s: np.expand_dims(s, 0),
        lambda s: s.ravel(),
        lambda s: s.T,
        lambda s: np.atleast_1d(s),
    ],
)
def test_views_of_a_computed_number_share_its_memory(view):
    for dtype in (np.float64, np.float32, np.complex128):
        for first in (True, False):
            x = dd.tensor(np.array([1.0, 2.0], dtype), requires_grad=True)
            s = (x * 2).sum()
            v = view(s)
            if first:
                s += s.clone()
            else:
                v += v.clone()
            assert s.item() == v.item() == 12.0
            (v.sum() if first else s).backward(np.ones((), dtype))
            np.testing.assert_array_equal(x.grad, [4.0, 4.0])


def test_object_arrays_of_tensors_hold_values():
    x, y = _two()
    v = np.array(y)
    w = v.copy()
    w[0] += 10 * w[1]
    y *= 5.0
    assert [t.item() for t in v] == [2.0, 4.0, 6.0]
    (v * w).sum().backward()  # 4a² + 40ab + 4b² + 4c²
    np.testing.assert_array_equal(x.grad, [8 + 80, 40 + 16, 24.0])
    for write in (lambda t: t.zero_(), lambda t: t.__setitem__(..., 1.0), lambda t: t.reshape(1).fill(1.0)):
        with pytest.raises(TypeError, match="into a number"):
            write(v[0])

    s = x.sum()  # a list is made an array at once, of which nobody keeps an entry
    a = np.dot([s, 1.0], x[:2])
    s += 1.0
    assert (a.item(), s.item()) == (8.0, 7.0)

    s = dd.tensor(2.0, requires_grad=True) * 1.0
    kept = np.array(s)
    s += 1.0
    assert (kept * s).item() == 6.0


@pytest.mark.parametrize("make", [lambda s: np.array([s, s * 2]), lambda s: np.array([[s[...]]]), np.asarray])
def test_a_tensor_that_an_object_array_may_hold_is_not_written(make):
    s = dd.tensor([1.0, 2.0], requires_grad=True).sum()
    make(s)
    for write in (lambda: s.__iadd__(1.0), lambda: s.reshape(1).__setitem__(0, 1.0)):
        with pytest.raises(InPlaceError, match="made an entry"):
            write()
    with dd.no_grad(), pytest.raises(InPlaceError, match="made an entry"):
        s += 1.0
    assert (s + 1.0).item() == 4.0
    total = dd.zeros(())
    make(total)
    with pytest.raises(InPlaceError, match="made an entry"):
        total += s
    total += 1.0
    assert total.item() == 1.0


def test_leaves_without_axes_as_entries():
    p = dd.tensor(3.0, requires_grad=True)
    v = np.array([p, p])
    w = np.array(p).reshape(1)
    w[0] += 1.0
    (v * w).sum().backward()  # 2p (p + 1)
    assert p.grad.item() == 14.0


def test_tensors_hash_by_identity_and_computed_numbers_refuse():
    x, p = dd.tensor([1.0, 2.0], requires_grad=True), dd.tensor(1.0, requires_grad=True)
    assert {x: "array", p: "number"}[p] == "number"
    assert len({x, p, x, x * 1, x * 1}) == 4
    for number in (x.sum(), x[0], dd.tensor(1.0)):
        with pytest.raises(TypeError, match="no key"):
            hash(number)


def _in_threads(work, n=8):
    failed = []

    def safe():
        try:
            work()
        except BaseException as error:
            failed.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=safe) for _ in range(n)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(interval)
    return failed


@pytest.mark.parametrize("create_graph", [False, True])
def test_threads_that_share_a_leaf_lose_no_gradient(create_graph):
    x = dd.tensor(np.ones(2000), requires_grad=True)

    def work():
        for _ in range(30):
            (x * x).sum().backward(create_graph=create_graph)

    assert not _in_threads(work)
    np.testing.assert_array_equal(x.grad.detach(), np.full(2000, 480.0))


def test_threads_lose_no_hooks_and_no_retained_gradients():
    x = dd.tensor(np.ones(20), requires_grad=True)
    y = x * 2
    y.retain_grad()
    seen = []

    def work():
        for _ in range(30):
            y.register_hook(lambda g: None).remove()
            y.sum().backward(retain_graph=True)
            y.register_hook(seen.append)

    assert not _in_threads(work)
    np.testing.assert_array_equal(x.grad, np.full(20, 480.0))
    np.testing.assert_array_equal(y.grad, np.full(20, 240.0))
    seen.clear()
    y.sum().backward()
    assert len(seen) == 240


def test_a_function_decorated_with_no_grad_may_run_in_several_threads():
    @dd.no_grad()
    def step():
        for _ in range(20):
            assert not (dd.ones(1, requires_grad=True) * 2).requires_grad

    def work():
        for _ in range(30):
            step()
            assert dd.is_grad_enabled()

    assert not _in_threads(work)


def test_threads_that_sweep_one_graph_succeed_or_say_that_it_was_freed():
    for _ in range(10):
        x = dd.tensor(np.ones(20), requires_grad=True)
        y = np.sin(x * x).sum()
        failed = _in_threads(y.backward, 4)
        assert {type(error) for error in failed} <= {GraphFreedError}
        np.testing.assert_allclose(x.grad, (4 - len(failed)) * 2 * np.cos(1.0))
