"""Sweeps over the graph: what they add where, what they free, and who looks on."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

import dualdiff as dd
import dualdiff.numpy
from dualdiff.errors import GraphFreedError, InPlaceError, InputError

# --------------------------------------------------------------------------------------------------
# one sweep after another


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


# --------------------------------------------------------------------------------------------------
# hooks, and gradients kept on the way


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


def test_a_retained_gradient_follows_a_write():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    y.retain_grad()
    y[0] = x[1] * 3
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad, [0.0, 40.0])
    np.testing.assert_array_equal(y.grad, [12.0, 4.0])


# --------------------------------------------------------------------------------------------------
# gradients that can be differentiated


def test_differentiable_gradients_do_not_share_memory():
    a, b = dd.ones(2, requires_grad=True), dd.ones(2, requires_grad=True)
    (a + b).sum().backward(create_graph=True)
    a.zero_grad(set_to_none=False)
    np.testing.assert_array_equal(b.grad, [1.0, 1.0])


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


def test_values_kept_by_a_differentiable_gradient_are_watched():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    (g,) = dd.gradients((y**3).sum(), [x], create_graph=True)
    y += 10
    with pytest.raises(InPlaceError, match="overwritten"):
        g.sum().backward()


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


def test_functional_operators_over_tensors_stay_differentiable():
    w = dd.tensor([1.0, 2.0], requires_grad=True)
    slope = dd.grad(lambda z: (z**3 * w).sum())(2.0)
    slope.backward()
    np.testing.assert_allclose(w.grad, [12.0, 12.0])


# --------------------------------------------------------------------------------------------------
# several threads


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
