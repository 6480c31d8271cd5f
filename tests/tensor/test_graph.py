"""What is recorded of tensors: writes, views, and the memory that they share."""

from __future__ import annotations

import copy
import gc
import threading
import weakref

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import InPlaceError, TracedAssignmentError, TracedConversionError
from tests.versions import NUMPY

# --------------------------------------------------------------------------------------------------
# in place


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
    with pytest.raises(InPlaceError, match=r"multiply \(test_graph.py, line \d+\).*last at test_graph.py, line \d+"):
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
    assert isinstance(info.value.__cause__, TracedAssignmentError)
    assert "test_graph.py, line" in str(info.value.__cause__)
    np.testing.assert_array_equal(buffer, [0.0, 0.0])


def test_augmented_assignment_keeps_the_old_value_it_needs():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    y *= x
    y *= y
    y[:1] *= x[1:]
    y.sum().backward()  # [x0**4 * x1, x1**4]
    np.testing.assert_array_equal(x.grad, [8.0, 33.0])


def test_a_copy_has_memory_of_its_own():
    x = dd.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    c = copy.copy(y)
    c *= 3
    np.testing.assert_array_equal(y.detach(), [1.0, 2.0])
    c.sum().backward()
    np.testing.assert_array_equal(x.grad, [3.0, 3.0])


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


# --------------------------------------------------------------------------------------------------
# views


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


# --------------------------------------------------------------------------------------------------
# what is recorded


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


# --------------------------------------------------------------------------------------------------
# entries of object arrays


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
    if NUMPY >= (2, 1):
        s += 1.0
        assert (kept * s).item() == 6.0
    else:  # which does not say whether it copies
        with pytest.raises(InPlaceError, match="made an entry"):
            s += 1.0


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
