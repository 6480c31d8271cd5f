"""Tensors as users hold them: every cell of the tutorial, then PyTorch's semantics row by row."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import GraphFreedError, InputError, NonScalarError, TracedConversionError

# --------------------------------------------------------------------------------------------------
# the tutorial


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


# --------------------------------------------------------------------------------------------------
# leaving, modes, bookkeeping


def test_float_and_item_are_the_ways_out():
    x = dd.tensor(2.0, requires_grad=True)
    assert (x * 2).item() == float(x * 2) == complex(x * 2) == 4.0
    assert f"{x * 2:.1f} {x:.0f}" == "4.0 2"
    assert "%.2f" % (x * 2) == "4.00"
    with pytest.raises(ValueError, match="setting an array element"):
        np.zeros(1)[0] = x
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


def test_tensors_hash_by_identity_and_computed_numbers_refuse():
    x, p = dd.tensor([1.0, 2.0], requires_grad=True), dd.tensor(1.0, requires_grad=True)
    assert {x: "array", p: "number"}[p] == "number"
    assert len({x, p, x, x * 1, x * 1}) == 4
    for number in (x.sum(), x[0], dd.tensor(1.0)):
        with pytest.raises(TypeError, match="no key"):
            hash(number)


# --------------------------------------------------------------------------------------------------
# values where others are wrong


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
