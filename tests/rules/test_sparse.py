"""Products with a constant matrix of scipy.sparse, written as SciPy's users write them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array, csr_matrix, diags_array

import dualdiff as dd
from dualdiff.errors import DerivativeError, UnsupportedFunctionError
from dualdiff.testing.laws import pattern_law
from dualdiff.ways import RowSparse
from tests.catalogue.sparse import ENTRIES, FORMATS
from tests.versions import SCIPY

X4 = np.array([0.5, -1.0, 2.0, 1.5])
S34 = csr_array(ENTRIES)
BY_ENTRIES = SCIPY > (1, 13)
"""Whether SciPy asks an array that is multiplied entry by entry for plain numbers; 1.13 takes it for a number."""
WAYS: list[dict[str, Any]] = [
    {},
    {"mode": "forward"},
    {"mode": "reverse"},
    {"mode": "elimination"},
    {"coloring": "columns"},
    {"coloring": "rows"},
    RowSparse.options("sparse"),
]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", [csr_array, csr_matrix])
def test_the_derivative_is_the_matrix(name: str, kind: Any) -> None:
    S = kind(ENTRIES).asformat(name)
    for f, x, wanted in (
        (lambda x: S @ x, X4, ENTRIES),
        (lambda x: S.dot(x), X4, ENTRIES),
        (lambda x: S.T @ x, X4[:3], ENTRIES.T),
        (lambda x: x @ S, X4[:3], ENTRIES.T),
        (lambda x: S @ x, X4[:, None], ENTRIES.reshape(3, 1, 4, 1)),
    ):
        for operator in (dd.jacobian, dd.jacfwd, dd.jacrev):
            np.testing.assert_array_equal(operator(f)(x), wanted)
    np.testing.assert_array_equal(dd.jvp(lambda x: S @ x, (X4,), (X4,))[1], ENTRIES @ X4)


def test_the_star_of_the_old_classes_is_the_product_of_matrices() -> None:
    M = csr_matrix(ENTRIES)
    for operator in (dd.jacfwd, dd.jacrev):
        np.testing.assert_array_equal(operator(lambda x: M * x)(X4), ENTRIES)
        np.testing.assert_array_equal(operator(lambda x: x * M)(X4[:3]), ENTRIES.T)
        if BY_ENTRIES:
            found = operator(lambda x: (S34 * x).toarray())(X4)
            np.testing.assert_array_equal(found, ENTRIES[:, :, None] * np.eye(4))
        else:
            with pytest.raises(DerivativeError, match="compiled code"):
                operator(lambda x: (S34 * x).toarray())(X4)


@pytest.mark.parametrize("options", WAYS, ids=range(len(WAYS)))
def test_every_way_has_the_pattern_of_the_matrix(options: Any) -> None:
    n = 40
    T = diags_array([np.ones(n - 1), -2 * np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1])
    x = np.linspace(1, 2, n)
    J = dd.jacobian(lambda u: T @ u - u**3, **{"sparse": True} | options)(x)
    assert J.nnz == 3 * n - 2
    np.testing.assert_allclose(J.toarray(), T.toarray() - np.diag(3 * x**2), atol=1e-13)
    H = dd.hessian(lambda u: np.sum(np.exp(T @ u)), sparse=True)(x)
    assert H.nnz == 5 * n - 6


@pytest.mark.parametrize("options", WAYS, ids=range(len(WAYS)))
def test_another_matrix_has_its_own_pattern(options: Any) -> None:
    rng = np.random.default_rng(0)
    x = np.linspace(1, 2, 8)
    T = csr_array(np.eye(8))
    jacobian = dd.jacobian(lambda x: T @ (x * x), **{"sparse": True} | options)
    for k in range(9):
        dense = rng.normal(size=(8, 8)) * (rng.random((8, 8)) < (0.3, 0.9, 1.0)[k % 3])
        T = csr_array(dense).asformat(FORMATS[k % len(FORMATS)])
        J = jacobian(x)
        np.testing.assert_allclose(J.toarray(), dense * (2 * x), rtol=1e-13)
        assert J.nnz == np.count_nonzero(dense)  # though blocks store zeros


def test_zeros_that_are_stored_are_zeros_and_held_against_later_runs() -> None:
    T = csr_array(ENTRIES)
    jacobian = dd.jacobian(lambda x: T @ np.sin(x), sparse=True)
    T.data[1:] = 0.0
    assert jacobian(X4).nnz == 1
    T.data[:] = np.arange(1.0, 5.0)
    np.testing.assert_allclose(jacobian(X4).toarray(), T.toarray() * np.cos(X4))


def test_entries_written_twice_are_added_and_the_matrix_is_not_touched() -> None:
    twice = coo_array((np.array([1.0, 2.0, -4.0]), ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    doubled = csr_array((np.array([1.0, 2.0, 3.0]), np.array([1, 1, 0]), np.array([0, 3, 3])), shape=(2, 2))
    for S in (twice, doubled):
        x, before = np.ones(2), S.nnz
        J = dd.jacobian(lambda x, S=S: S @ x**2, sparse=True)(x)
        np.testing.assert_array_equal(J.toarray(), 2 * S.toarray())
        pattern_law(lambda x, S=S: S @ x, x)
        assert S.nnz == before == 3


@pytest.mark.parametrize("name", FORMATS[:5])
def test_writes_into_the_matrix_between_a_run_and_its_pull_do_not_reach_it(name: str) -> None:
    S = csr_array(ENTRIES).asformat(name)
    _, pull = dd.vjp(lambda x: S @ x, X4)
    t = dd.tensor(X4, requires_grad=True)
    y = (S @ t).sum()
    S.data[...] = 7.0
    np.testing.assert_array_equal(pull(np.ones(3))[0], ENTRIES.sum(0))
    y.backward()
    np.testing.assert_array_equal(t.grad, ENTRIES.sum(0))


def test_the_eager_face_keeps_tensors() -> None:
    t = dd.tensor(X4)
    y = S34 @ t
    assert isinstance(y, dd.Tensor)
    assert not y.requires_grad
    np.testing.assert_array_equal(y.numpy(), S34 @ X4)


def test_arrays_made_inside_stay_able_to_take_what_is_traced() -> None:
    def f(x: Any) -> Any:
        y = S34 @ np.zeros_like(x)
        y[1] = x[2] ** 2
        return y

    np.testing.assert_array_equal(dd.jacobian(f)(X4)[1], [0, 0, 4, 0])


def test_derivatives_nest() -> None:
    def f(x: Any) -> Any:
        return np.sum((S34 @ x) ** 3)

    def g(x: Any) -> Any:
        return np.sum((ENTRIES @ x) ** 3)

    np.testing.assert_allclose(dd.hessian(f)(X4), dd.hessian(g)(X4))
    np.testing.assert_allclose(dd.jacrev(dd.jacrev(dd.grad(f)))(X4), dd.jacrev(dd.jacrev(dd.grad(g)))(X4))


def test_what_the_matrix_does_not_store_multiplies_nothing() -> None:
    x = np.array([0.0, 1.0, 4.0, 9.0])  # at 0 the derivative of the root is infinite
    for operator in (dd.jacfwd, dd.jacrev, dd.jacobian):
        J = operator(lambda x: S34 @ np.sqrt(x))(x)
        np.testing.assert_array_equal(J[0], [0, 1, 0, -1 / 6])
        np.testing.assert_array_equal(J[2], [np.inf, 0, 0.75, 0])


def test_numbers_that_are_not_finite_meet_only_what_is_there() -> None:
    S = csr_array(np.array([[np.inf, 2.0], [0.0, 1.0]]))
    x = np.array([1.0, 0.0])

    def f(x: Any) -> Any:
        return S @ np.where(np.array([False, True]), np.sqrt(x), 0.0)

    for operator in (dd.jacfwd, dd.jacrev):
        J = operator(f)(x)
        np.testing.assert_array_equal(J[:, 0], [0, 0])
        np.testing.assert_array_equal(J[:, 1], [np.inf, np.inf])


def test_sparse_vectors() -> None:
    v = coo_array(ENTRIES[0])
    np.testing.assert_array_equal(dd.grad(lambda x: v @ x)(X4), ENTRIES[0])
    np.testing.assert_array_equal(dd.grad(lambda x: x @ v)(X4), ENTRIES[0])
    np.testing.assert_array_equal(dd.jacrev(lambda x: v @ x)(np.ones((4, 2)))[1, :, 1], ENTRIES[0])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: S34.maximum(x), "csr_array.maximum|Operands not compatible.*is being differentiated"),
        (lambda x: S34 * x, "returned a sparse matrix of numbers|stands where an array is meant"),
        (lambda x: np.dot(S34, x), "csr_array stands where an array is meant.*S @ x"),
        (lambda x: np.einsum("ij,j", S34, x), "csr_array stands where an array is meant"),
    ],
)
def test_what_has_no_derivative_is_refused_at_the_users_line(call: Any, name: str) -> None:
    for operator in (dd.jacfwd, dd.jacrev):
        with pytest.raises(DerivativeError, match=rf"(?s)test_sparse.py, line \d+[^:]*: .*({name})"):
            operator(call)(X4)


def test_shapes_that_do_not_fit_are_told_as_scipy_tells_them() -> None:
    for call in (lambda x: S34 @ x[:3], lambda x: x @ S34, lambda x: S34 @ np.ones((4, 2, 2)) @ x):
        with pytest.raises(ValueError, match=r"dimension"):
            dd.jacfwd(call)(X4)
    with pytest.raises(ValueError, match="only products of a matrix with a vector or a matrix"):
        dd.jacfwd(lambda x: S34 @ np.stack([x, x]).reshape(2, 2, 2))(X4)


def test_a_function_with_a_sparse_product_is_planned_and_pickled() -> None:
    jacobian = pickle.loads(pickle.dumps(dd.jacobian(_of_module, sparse=True)))
    np.testing.assert_array_equal(jacobian(X4).toarray(), ENTRIES)


def _of_module(x: Any) -> Any:
    return S34 @ x


@pytest.mark.parametrize("capture", ["auto", "never"])
@pytest.mark.parametrize(
    "call", [lambda b: S34 @ b, lambda b: csr_array(b[None]) @ np.ones(4)], ids=["product", "constructor"]
)
def test_arrays_of_objects_are_refused_at_the_users_line(call: Any, capture: Any) -> None:
    def f(x: Any) -> Any:
        box = np.empty(4, dtype=object)
        for i in range(4):
            box[i] = x[i]
        return call(box)

    for operator in (dd.jacfwd, dd.jacrev):
        with pytest.raises(
            UnsupportedFunctionError, match=r"test_sparse.py, line \d+: scipy.sparse met an array of Python objects"
        ):
            operator(f, capture=capture)(X4)
