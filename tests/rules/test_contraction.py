"""Products at special shapes and values: 0-d, empty, complex, views of diagonals; and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import dualdiff as dd
from dualdiff.errors import TracedAssignmentError, UnsupportedFunctionError
from dualdiff.kinds.base import ALL, Asked
from dualdiff.rules.contraction import matmul_
from dualdiff.testing.laws import forecast_law
from tests.rules.worked import MODES, both

A = np.array([[1.0, 2.0], [3.0, 4.0]])


def test_matrix_times_vector() -> None:
    both(lambda x: A @ x, [1, 1], A)
    both(lambda x: x @ A, [1, 1], A.T)
    both(lambda x: np.matmul(A, x), [1, 1], A)
    both(lambda x: x @ A @ x, [1, 2], (A + A.T) @ [1, 2])
    both(lambda x: x.dot(A), [1, 1], A.T)
    for mode in (dd.hessian, lambda f: dd.jacrev(dd.jacfwd(f))):
        assert_allclose(mode(lambda x: x @ A @ x)(np.ones(2)), A + A.T)


def test_matrix_product_by_hand() -> None:
    j = dd.jacrev(lambda x: x @ A)(A)
    assert_allclose(j[0, 1], [[2, 4], [0, 0]])
    assert_allclose(dd.jacfwd(lambda x: x @ A)(A), j)
    j = dd.jacfwd(lambda x: A @ x)(A)
    assert_allclose(j[1, 0], [[3, 0], [4, 0]])
    assert_allclose(dd.jacrev(lambda x: A @ x)(A), j)


def test_scalars_and_empty() -> None:
    both(lambda x: np.dot(x, 3.0), 2.0, 3.0)
    both(lambda x: np.dot(x, np.array([1.0, 2.0])), 2.0, [1, 2])
    both(lambda x: x @ np.zeros((0, 2)), np.zeros(0), np.zeros((2, 0)))
    both(lambda x: np.einsum("i,i->", x, np.zeros(0)), np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match=r"matmul|dimensions"):
        dd.grad(lambda x: x @ 2.0)(np.ones(2))


def test_shape_errors_are_numpys() -> None:
    for f in (
        lambda x: x @ np.ones(3),
        lambda x: np.dot(x, np.ones(3)),
        lambda x: np.inner(x, np.ones(3)),
        lambda x: np.einsum("i,i", x, np.ones(3)),
        lambda x: np.einsum("ij->i", x),
        lambda x: np.einsum("i->ii", x),
        lambda x: np.einsum("i->j", x),
        lambda x: np.tensordot(x, np.ones(3), 1),
        lambda x: np.vecdot(x, np.ones(3)),
        lambda x: np.cross(x, np.ones(4)),
    ):
        for mode in MODES:
            with pytest.raises(ValueError, match=r"."):
                mode(f)(np.ones(2))


def test_out() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        np.matmul(A, x, out=y)
        return y

    both(f, [1, 2], A)
    for g in (
        lambda x: np.matmul(A, x, out=np.zeros(2)),
        lambda x: np.dot(A, x, out=np.zeros(2)),
        lambda x: np.einsum("ij,j->i", A, x, out=np.zeros(2)),
        lambda x: np.outer(x, x, out=np.zeros((2, 2))),
        lambda x: np.trace(np.outer(x, x), out=np.zeros(())),
        lambda x: np.linalg.multi_dot([A, A, x], out=np.zeros(2)),
    ):
        for mode in MODES:
            with pytest.raises(TracedAssignmentError, match="plain array"):
                mode(dd.capture(g, "never"))(np.ones(2))


def test_in_place_product() -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        y @= A
        return y

    assert_allclose(dd.jacrev(f)(A), dd.jacrev(lambda x: x @ A)(A))


def test_a_constant_that_is_written_after_use() -> None:
    m = A.copy()

    def f(x: Any) -> Any:
        y = m @ x
        m[0, 0] = 100
        z = m @ x
        m[0, 0] = 1
        return y + z

    expected = A + np.array([[100, 2], [3, 4]])
    both(f, [1, 1], expected)


def test_complex_products_are_adjoint() -> None:
    rng = np.random.default_rng(0)
    z, w = rng.standard_normal((2, 2, 3)) + 1j * rng.standard_normal((2, 2, 3))
    for f in (
        np.vdot,
        lambda z, w: np.vecdot(z, w),
        lambda z, w: np.vecmat(z[0, :2], w) if hasattr(np, "vecmat") else z,
    ):
        value, pull = dd.vjp(f, z, w)
        g = np.asarray(rng.standard_normal(np.shape(value)) + 1j)[()]
        v = [1j * z + 1, w * 2 - 1j]
        _, t = dd.jvp(f, (z, w), tuple(v))
        lhs = np.sum(np.conj(g) * t).real
        rhs = sum(np.sum(np.conj(c) * s).real for c, s in zip(pull(g), v, strict=True))
        assert lhs == pytest.approx(rhs)


def test_real_times_complex() -> None:
    c = np.array([1 + 2j, 3 - 1j])
    value, pull = dd.vjp(lambda x: x @ c, np.ones(2))
    assert value == 4 + 1j
    (g,) = pull(1j)
    assert g.dtype == np.float64
    assert_allclose(g, [2, -1])


def test_einsum_views_can_be_written() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(np.outer(x, x))
        np.einsum("ii->i", y)[...] = x
        return y

    j = dd.jacrev(f)(np.array([1.0, 2.0]))
    assert_array_equal(j[0, 0], [1, 0])
    assert_array_equal(j[1, 1], [0, 1])
    assert j.sum() == 2
    assert_array_equal(dd.jacfwd(f)(np.array([1.0, 2.0])), j)


def test_einsum_broadcasts_axes_of_length_one() -> None:
    def f(x: Any) -> Any:
        return np.einsum("ij,ij->i", x, np.arange(6.0).reshape(2, 3))

    x = np.ones((2, 1))
    assert_allclose(dd.jacrev(f)(x)[:, :, 0], np.diag([3.0, 12.0]))
    assert_allclose(dd.jacfwd(f)(x), dd.jacrev(f)(x))


def test_einsum_of_many_operands_takes_a_cheap_order() -> None:
    n = 60
    a, b, c = (np.full((n, n), 1 / n) for _ in range(3))
    tape = dd.jacobian(lambda x: np.einsum("ij,jk,kl,l->i", a, b, c, x))  # n⁴ operations at once would take seconds
    assert_allclose(tape(np.ones(n)), a @ b @ c)


def test_einsum_dtype_and_unknown_options() -> None:
    y, _ = dd.vjp(lambda x: np.einsum("i,i", x, x, dtype=np.float64, optimize="greedy"), np.ones(2, np.float32))
    assert y.dtype == np.float64
    with pytest.raises(TypeError):
        dd.grad(lambda x: np.einsum("i,i", x, x, wrong=1))(np.ones(2))


def test_tensordot_of_everything() -> None:
    both(lambda x: np.tensordot(x, A, 2), A, A)
    both(lambda x: np.tensordot(x, x, ([0, 1], [1, 0])), A, 2 * A.T)


def test_cross_of_two_and_three_entries() -> None:
    both(lambda x: np.cross(x, np.array([1.0, 0, 0])), [0, 0, 1], [[0, 0, 0], [0, 0, 1], [0, -1, 0]])
    both(lambda x: np.cross(x, np.array([1.0, 0, 0])), [0, 1], [[0, 0], [0, 0], [0, -1]])


def test_gufunc_options() -> None:
    both(lambda x: np.vecdot(x, A, axis=0), A, dd.jacfwd(lambda x: np.sum(x * A, axis=0))(A))
    with pytest.raises(UnsupportedFunctionError, match=r"np.matmul with axes="):
        dd.grad(lambda x: np.matmul(x, A, axes=[(0, 1), (0, 1), (0, 1)]).sum())(A)


@pytest.mark.filterwarnings("ignore::dualdiff.errors.NoDerivativeWarning")  # constants among them
def test_matrix_powers() -> None:
    both(lambda x: np.linalg.matrix_power(x * A, 3), 2.0, 3 * 4 * np.linalg.matrix_power(A, 3))
    both(lambda x: np.linalg.matrix_power(x * A, -1), 2.0, -np.linalg.inv(A) / 4)
    both(lambda x: np.linalg.matrix_power(x * A, 0), 2.0, np.zeros((2, 2)))
    with pytest.raises(np.linalg.LinAlgError):
        dd.grad(lambda x: np.linalg.matrix_power(x, 2).sum())(np.ones((2, 3)))


def test_traces() -> None:
    both(np.trace, A, np.eye(2))
    both(lambda x: np.trace(x, offset=-1), A, [[0, 0], [1, 0]])
    both(lambda x: x.trace(1), A, [[0, 1], [0, 0]])


def test_float32_stays() -> None:
    x = np.ones((2, 2), np.float32)
    for f in (
        lambda x: x @ x,
        np.trace,
        lambda x: np.einsum("ij,jk->", x, x),
        lambda x: np.kron(x, x),
        lambda x: np.dot(x, x),
    ):
        for mode in MODES:
            assert mode(f)(x).dtype == np.float32


@pytest.mark.parametrize("n", [3, 60])
def test_a_matrix_times_a_vector_in_another_order(n: int) -> None:
    rng = np.random.default_rng(1)
    a, c, x = rng.standard_normal((4 * n, n)), rng.standard_normal(n), np.linspace(0.0, 0.1, n)
    order = np.roll(np.arange(n)[::-1], 1)
    placed = np.zeros_like(a)
    placed[:, order] = a
    both(lambda x: a @ x[order], x, placed)
    placed[:, order] = a * c
    both(lambda x: a @ (c * x[order]), x, placed)


@pytest.mark.parametrize("n", [3, 60])
def test_a_matrix_that_is_differentiated_around_the_run_of_its_vector(n: int) -> None:
    a, t = np.random.default_rng(2).standard_normal((2, n, n))

    def inside(a: Any) -> Any:
        return dd.jacfwd(lambda x: a @ x[::-1])(np.zeros(n))

    assert_allclose(dd.jvp(inside, (a,), (t,))[1], t[:, ::-1], atol=1e-15)
    assert_allclose(dd.vjp(inside, a)[1](t)[0], t[:, ::-1], atol=1e-15)


@pytest.mark.parametrize(
    ("s", "t"), [((4, 2, 3), (1, 3, 2)), ((1, 2, 3), (4, 3, 2)), ((1, 2, 3), (3, 2)), ((3,), (1, 3, 2))]
)
def test_stacks_of_one_matrix(s: Any, t: Any) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal(s), rng.standard_normal(t)
    eyes = [np.eye(x.size).reshape(-1, *x.shape) for x in (a, b)]
    shape = (*np.matmul(a, b).shape, -1)
    columns = np.stack([np.matmul(e, b) for e in eyes[0]], -1), np.stack([np.matmul(a, e) for e in eyes[1]], -1)
    for mode in MODES:
        found = mode(np.matmul, argnums=(0, 1))(a, b)
        for j, expected in zip(found, columns, strict=True):
            assert_allclose(j.reshape(shape), expected, atol=1e-15)


@pytest.mark.parametrize(("s", "t"), [((2, 3), (2,)), ((2,), (2, 3)), ((2, 1, 2), (3,)), ((3,), ())])
def test_kron_of_operands_with_fewer_axes(s: Any, t: Any) -> None:
    rng = np.random.default_rng(4)
    a, b, u, v = [rng.standard_normal(shape) for shape in (s, t, s, t)]
    value, tangent = dd.jvp(np.kron, (a, b), (u, v))
    assert_allclose(value, np.kron(a, b))
    assert_allclose(tangent, np.kron(u, b) + np.kron(a, v))
    w = rng.standard_normal(value.shape)
    back = dd.vjp(np.kron, a, b)[1](w)
    assert np.sum(back[0] * u) + np.sum(back[1] * v) == pytest.approx(np.sum(w * tangent))


@pytest.mark.parametrize("y", [np.eye(2), np.ones((3, 2)), np.ones(2)], ids=["square", "tall", "vector"])
def test_a_product_in_place_of_a_plain_array_is_refused_for_what_it_is(y: Any) -> None:
    def f(x: Any) -> Any:
        z = y.copy()
        z @= x
        return z

    for mode in MODES:
        with pytest.raises(TracedAssignmentError, match="plain array"):
            mode(f)(A)


def test_the_columns_of_a_large_matrix_are_forecast_as_the_array_they_are() -> None:
    a = np.arange(6.0).reshape(3, 2)
    for f in (lambda x: a @ x, lambda x: a @ (np.sin(x) * x)):
        forecast_law(f, np.ones(2), rng=np.random.default_rng(0))
    positions = frozenset([(0, 0)])
    asked = Asked([None, positions], [a, np.ones(2)], {}, np.ones(3), 500, 0)
    assert matmul_.forecast(asked) == ALL


@pytest.mark.parametrize(("axisa", "axisb", "axisc"), [(0, 1, -1), (-1, 0, 0), (1, -1, 1), (0, 2, 0)])
def test_cross_along_any_axes(axisa: int, axisb: int, axisc: int) -> None:
    rng = np.random.default_rng(6)
    a, b, s, t = rng.standard_normal((4, 3, 3, 3))
    axes = {"axisa": axisa, "axisb": axisb, "axisc": axisc}
    value, tangent = dd.jvp(lambda a, b: np.cross(a, b, **axes), (a, b), (s, t))
    assert_allclose(value, np.cross(a, b, **axes))
    assert_allclose(tangent, np.cross(s, b, **axes) + np.cross(a, t, **axes), atol=1e-14)


def test_the_cross_product_of_linear_algebra_takes_three_entries() -> None:
    a, b = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])
    assert_allclose(dd.jvp(lambda x: np.linalg.cross(x, b), (a,), (b,))[1], np.zeros(3))
    assert_allclose(dd.jvp(lambda x: np.linalg.cross(x, b), (a,), (a,))[1], np.cross(a, b))
    for f in (lambda x: np.linalg.cross(x, b[:2]), lambda x: np.linalg.cross(b[:2], x)):
        with pytest.raises(ValueError, match="3-dimensional"):
            dd.jacfwd(f)(a)
