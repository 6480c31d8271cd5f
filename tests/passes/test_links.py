"""Where a constant is zero that a product multiplies by: no entry of the Jacobian, by any way, and no stale colours."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

import dualdiff as dd
from dualdiff import labels
from dualdiff.labels import contraction_links, zeros_of
from dualdiff.passes import sparsity
from dualdiff.passes.costs import forms
from dualdiff.passes.sparsity import dependence
from dualdiff.passes.structure import structure
from dualdiff.testing import Subject
from dualdiff.testing.laws import pattern_law
from dualdiff.ways import RowSparse
from dualdiff.ways.problem import record
from tests.thresholds import ALWAYS_TERMS, thresholds

WAYS: list[dict[str, Any]] = [
    {},
    {"mode": "forward"},
    {"mode": "reverse"},
    {"mode": "mixed"},
    {"mode": "elimination"},
    {"coloring": "columns"},
    {"coloring": "rows"},
    {"coloring": "both"},
    RowSparse.options("sparse"),
]
A = np.array([[1.0, 0.0, -2.0], [0.0, 0.0, 3.0], [0.0, 4.0, 0.0], [0.0, 0.0, 0.0]])


def tape_of(f: Any, x: Any) -> Any:
    return record(Subject(f, (x,)).problem, replayable=True)[0]


def banded(n: int, *offsets: int) -> Any:
    return sum([np.diag(np.linspace(1, 2, n - abs(k)), k) for k in offsets])


PRODUCTS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "matrix by vector": (lambda x: A @ x, 3),
    "vector by matrix": (lambda x: x @ A, 4),
    "matrix by matrix": (lambda x: A @ x.reshape(3, 2), 6),
    "matrices by a matrix": (lambda x: x.reshape(2, 5, 4) @ A, 40),
    "matrix by a constant vector": (lambda x: x.reshape(20, 3) @ A[0], 60),
    "stacks of matrices": (lambda x: np.stack([A, A[::-1]]) @ x.reshape(2, 3, 1), 6),
    "dot": (lambda x: np.dot(A, x.reshape(3, 2)), 6),
    "dot of many axes": (lambda x: np.dot(A, x.reshape(2, 3, 5)), 30),
    "inner": (lambda x: np.inner(x.reshape(2, 3), A), 6),
    "vdot": (lambda x: np.vdot(A, x) * np.ones(3), 12),
    "vecdot": (lambda x: np.vecdot(x.reshape(4, 3), A), 12),
    "outer": (lambda x: np.outer(A[0], x), 5),
    "tensordot": (lambda x: np.tensordot(x.reshape(3, 5, 4), A, ([2, 0], [0, 1])), 60),
    "einsum": (lambda x: np.einsum("ij,jk,kl->il", A, x.reshape(3, 4), A), 12),
    "einsum with a batch": (lambda x: np.einsum("bi,ij,bj->bi", np.ones((2, 4)), A, x.reshape(2, 3)), 6),
    "multi_dot": (lambda x: np.linalg.multi_dot([A, x.reshape(3, 4), A]), 12),
    "matrix_power beside it": (lambda x: np.linalg.matrix_power(banded(6, 0, 1), 2) @ x, 6),
    "kron": (lambda x: np.kron(A, x.reshape(2, 1)), 2),
    "kron of different ranks": (lambda x: np.kron(x, A), 3),
    "convolution": (lambda x: np.convolve(x, [1.0, 0.0, 2.0]), 30),
    "its middle": (lambda x: np.convolve([1.0, 0.0, 0.0, 2.0], x, "same"), 30),
    "its full overlap": (lambda x: np.convolve(x, [0.0, 1.0, 3.0, 0.0], "valid"), 30),
    "correlation": (lambda x: np.correlate(x, [0.0, 1.0, -2.0], "same"), 30),
    "correlation with something longer": (lambda x: np.correlate([1.0, 0.0, 0.0, 2.0], x, "full"), 3),
    "a wide band": (lambda x: banded(400, 0, 1, 3) @ np.sin(x), 400),
    "a wide band from the right": (lambda x: np.sin(x) @ banded(400, 0, 1, 3), 400),
    "two bands": (lambda x: banded(90, 0, -1) @ (x * (banded(90, 0, 2) @ x)), 90),
    "integers": (lambda x: np.array([[0, 2], [1, 0]]) @ x, 2),
    "truths": (lambda x: np.eye(3, dtype=bool) @ x, 3),
    "nothing but zeros": (lambda x: np.zeros((3, 5)) @ x, 5),
    "rows of zeros beside wide ones": (lambda p: np.concatenate([WIDE @ (p[0] * V + p[1] * V**2), p]), 40),
}
V = np.linspace(0.5, 2.0, 60)
WIDE = np.concatenate([np.ones((50, 60)), np.zeros((50, 60))])


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_way_has_the_pattern_of_the_constant(name: str) -> None:
    f, n = PRODUCTS[name]
    x = np.linspace(0.5, 1.5, n)
    dense = dd.jacrev(f)(x).reshape(-1, n)
    wanted = np.count_nonzero(dense)
    for options in WAYS:
        J = dd.jacobian(f, **{"sparse": True} | options)(x)
        np.testing.assert_allclose(J.toarray(), dense, rtol=1e-12, atol=1e-12)
        assert J.nnz == wanted, options
    pattern_law(f, x)


@pytest.mark.parametrize("name", PRODUCTS)
def test_terms_have_the_pattern_of_the_constant(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    f, n = PRODUCTS[name]
    x = np.linspace(0.5, 1.5, n)
    dense = dd.jacrev(f)(x).reshape(-1, n)
    thresholds(monkeypatch, **ALWAYS_TERMS)
    for g in (f, lambda x: f(x + np.sin(x[::-1])), lambda x: f(np.concatenate([np.ones(1), x[1:]]))):
        J = dd.jacobian(g, **RowSparse.options("sparse"))(x)
        expected = dense if g is f else dd.jacrev(g)(x).reshape(-1, n)
        np.testing.assert_allclose(J.toarray(), expected, rtol=1e-12, atol=1e-12)
        if g is f:
            assert J.nnz == np.count_nonzero(dense)


def test_hessians_too() -> None:
    T = banded(60, 0, 1)
    H = dd.hessian(lambda x: np.sum(np.sin(T @ x)), sparse=True)(np.linspace(0.5, 1.5, 60))
    assert H.nnz == 60 + 2 * 59


@given(st.data())
def test_links_are_the_jacobian_of_a_contraction(data: st.DataObject) -> None:
    letters = st.lists(st.integers(0, 3), unique=True, min_size=1, max_size=3)
    left, right = tuple(data.draw(letters)), tuple(data.draw(letters))
    # A letter of one operand alone is kept; one of both may be summed.
    kept = [c for c in {*left, *right} if c not in left or c not in right or data.draw(st.booleans())]
    result = tuple(data.draw(st.permutations(kept)))
    sizes = [2, 3, 1, 4]
    T = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.0, 1.0, -2.0]), min_size=24, max_size=24)))
    T = np.resize(T, [sizes[c] for c in right])
    x = np.linspace(1, 2, int(np.prod([sizes[c] for c in left]))).reshape([sizes[c] for c in left])
    found = contraction_links(left, x.shape, right, T, result)
    wanted = dd.jacfwd(lambda x: np.einsum(x, list(left), T, list(right), list(result)))(x).reshape(-1, x.size)
    if found is None:
        assert T.all()
    else:
        np.testing.assert_array_equal(found.toarray(), wanted)
        assert found.nnz == np.count_nonzero(wanted)
        assert found.has_canonical_format


def test_a_constant_without_zeros_has_no_links() -> None:
    assert contraction_links((0,), (2,), (1, 0), np.ones((3, 2)), (1,)) is None
    assert contraction_links((0,), (2,), (1, 0), np.full((3, 2), np.nan), (1,)) is None


def test_too_many_links_are_not_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MOST_LINKS", 3)
    assert contraction_links((0, 2), (3, 2), (1, 0), A, (1, 2)) is None
    J = dd.jacobian(lambda x: A @ x.reshape(3, 2), sparse=True, coloring="columns")(np.ones(6))
    np.testing.assert_array_equal(J.toarray(), np.kron(A, np.eye(2)))  # wider, and right


def test_nearly_full_patterns_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    T = rng.normal(size=(30, 40)) * (rng.random((30, 40)) < 0.9)
    U = rng.normal(size=(40, 20)) * (rng.random((40, 20)) < 0.05)
    tape = tape_of(lambda x: T @ np.sin(U @ x), np.ones(20))
    one = dependence(tape)
    monkeypatch.setattr(sparsity, "WORK", 0)
    other = dependence(tape)
    wanted = (T != 0).astype(int) @ (U != 0) > 0
    for found in (one, other):
        assert found.dtype == bool
        assert found.has_canonical_format
        np.testing.assert_array_equal(found.toarray(), wanted)


def test_what_is_no_constant_has_no_zeros_to_rely_on() -> None:
    x = np.array([1.0, -1.0, 2.0])

    def by_its_sign(x: Any) -> Any:
        return np.outer(x > 0, np.ones(3)) @ x

    def by_itself(x: Any) -> Any:
        y = x - np.array([1.0, 0.0, 0.0])
        return y * (y @ x)

    for f in (by_its_sign, by_itself):
        assert dependence(tape_of(f, x)).nnz == 9
        for options in WAYS:
            J = dd.jacobian(f, **{"sparse": True} | options)(x)
            np.testing.assert_allclose(J.toarray(), dd.jacfwd(f)(x), atol=1e-14)


# --------------------------------------------------------------------------------------------------
# on later runs


@pytest.mark.parametrize("options", WAYS, ids=range(len(WAYS)))
def test_another_constant_has_its_own_pattern(options: Any) -> None:
    rng = np.random.default_rng(1)
    T = np.eye(8)
    jacobian = dd.jacobian(lambda x: T @ (x * x), **{"sparse": True} | options)
    x = np.linspace(1, 2, 8)
    for k in range(12):
        T = rng.normal(size=(8, 8)) * (rng.random((8, 8)) < (0.3, 0.9, 1.0)[k % 3])
        J = jacobian(x)
        np.testing.assert_allclose(J.toarray(), T * (2 * x), rtol=1e-13)
        assert J.nnz == np.count_nonzero(T)


def test_a_constant_written_in_place_has_its_own_pattern() -> None:
    T = np.eye(6)
    jacobian = dd.jacobian(lambda x: T @ x, sparse=True, coloring="columns")
    for k in range(1, 6):
        T[0, k] = k
        J = jacobian(np.ones(6))
        np.testing.assert_array_equal(J.toarray(), T)
        assert J.nnz == 6 + k


def test_a_kernel_too() -> None:
    kernel = np.array([1.0, 0.0, 0.0])
    jacobian = dd.jacobian(lambda x: np.convolve(x, kernel), sparse=True, coloring="columns")
    x = np.ones(7)
    for kernel in np.eye(3) + 2 * np.eye(3)[::-1]:
        np.testing.assert_array_equal(jacobian(x).toarray(), dd.jacfwd(lambda x: np.convolve(x, kernel))(x))  # noqa: B023


def test_a_plan_says_that_the_zeros_are_others() -> None:
    T = np.eye(5)

    def f(x: Any) -> Any:
        return T @ np.sin(x)

    x = np.linspace(0, 1, 5)
    plan = dd.plan_jacobian(f, x, sparse=True, coloring="columns")
    T = 2 * T
    np.testing.assert_allclose(plan(x).toarray(), T * np.cos(x))
    T = T + np.eye(5, k=1)
    with pytest.warns(dd.PlanChangedWarning):
        J = plan(x)
    np.testing.assert_allclose(J.toarray(), T * np.cos(x))


def test_a_structure_holds_for_the_same_zeros_alone() -> None:
    x = np.ones(3)
    s = pickle.loads(pickle.dumps(structure(tape_of(lambda x: A @ x, x))))
    assert s.holds(tape_of(lambda x: -3 * A @ x, x))
    assert s.holds(tape_of(lambda x: np.where(A, 1e-300, -0.0) @ x, x))
    for other in (A + np.eye(4, 3, k=-3), np.where(A == 3, 0, A), np.ones((4, 3)), np.zeros((4, 3))):
        assert not s.holds(tape_of(lambda x, T=other: T @ x, x))
        assert not structure(tape_of(lambda x, T=other: T @ x, x)).holds(tape_of(lambda x: A @ x, x))


def test_zeros_by_entry() -> None:
    assert zeros_of(np.ones(3)) is None
    assert zeros_of(np.array([np.nan, np.inf, -1.0])) is None
    assert zeros_of(A) == zeros_of(np.asfortranarray(A)) == zeros_of(np.ascontiguousarray(A.T).T) != zeros_of(A[::-1])
    assert zeros_of(np.array([0.0, 1.0])) == zeros_of(np.array([-0.0, np.nan])) != zeros_of(np.array([1.0, 0.0]))


# --------------------------------------------------------------------------------------------------
# infinite derivatives


@pytest.mark.parametrize("options", [*WAYS[:3], *[{"sparse": True, **w} for w in WAYS if w.get("mode") != "mixed"]])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_zero_of_a_constant_wins_over_an_infinite_derivative(options: Any) -> None:
    S = np.array([[0.0, 1.0, 0.0], [2.0, 0.0, 0.0], [0.0, -3.0, 0.5]])
    x = np.array([0.0, 1.0, 4.0])
    kernel = np.array([1.0, 0.0, -2.0])

    def computed(f: Any) -> Any:
        J = dd.jacobian(f, **options)(x)
        return J.toarray() if isinstance(J, csr_array) else J

    np.testing.assert_array_equal(computed(lambda x: S @ np.sqrt(x)), expected(S))
    np.testing.assert_array_equal(computed(lambda x: np.sqrt(S[[1, 0]] @ x)), [[np.inf, 0, 0], [0, 0.5, 0]])
    J = np.zeros((5, 3))
    for j, slope in enumerate([np.inf, 0.5, 0.25]):
        J[j, j], J[j + 2, j] = slope, -2 * slope
    np.testing.assert_array_equal(computed(lambda x: np.convolve(np.sqrt(x), kernel)), J)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_zero_of_a_constant_wins_in_scalars_too() -> None:
    c = np.array([1.0, 0.0, 2.0])
    for f in (lambda x: np.sqrt(c @ x), lambda x: np.sqrt(np.vdot(x, c)), lambda x: np.sqrt(np.inner(c, x))):
        for operator in (dd.grad, dd.jacfwd, dd.jacrev, dd.jacobian):
            np.testing.assert_array_equal(operator(f)(np.zeros(3)), [np.inf, 0.0, np.inf])
    # Both signs of infinity, and a derivative that is not known, meet where the constant is not zero.
    T = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    J = dd.jacfwd(lambda t: T @ (np.sqrt(t) * np.array([1.0, 1.0, -1.0])))(0.0)
    np.testing.assert_array_equal(J, [np.nan, np.nan, 0.0])
    for operator in (dd.jacfwd, dd.jacrev):
        J = operator(lambda t: T @ np.stack([np.sqrt(t), -np.sqrt(t), t]))(0.0)
        np.testing.assert_array_equal(J, [np.inf, -np.inf, 0.0])


def expected(S: Any) -> Any:
    return np.where(S == 0, 0.0, np.where(S == 0, 1.0, S) * np.array([np.inf, 0.5, 0.25]))


# --------------------------------------------------------------------------------------------------
# forecasts


def test_row_sparse_duals_stay_sparse_and_are_forecast() -> None:
    n = 300
    T = banded(n, 0, 1, -1)
    tape = tape_of(lambda x: T @ np.sin(x), np.ones(n))
    widths: list[int] = []
    dependence(tape, counts=widths)
    assert len(forms(tape, n, widths)[-1]) == 3
    wide = tape_of(lambda x: (T + 1) @ np.sin(x), np.ones(n))
    dependence(wide, counts=widths)
    assert forms(wide, n, widths)[-1] == "all"


@pytest.mark.parametrize("mode", ["row-sparse", "auto"])
def test_a_program_reads_the_zeros_of_a_matrix_that_is_its_argument(mode: str) -> None:
    # A recording of one call serves another matrix where its zeros are the same, and is made anew where they are others.
    n = 300
    x, T = np.linspace(0.1, 1.0, n), banded(n, 0, 1)
    options: Any = RowSparse.options("sparse") if mode == "row-sparse" else {"sparse": True}

    def slopes(T: Any, x: Any) -> Any:
        return dd.jacobian(lambda x: np.sin(T @ x) * x, **options)(x)

    program = dd.compile(slopes)
    for A in (T, 2 * T, T + banded(n, -3), T):
        found, expected = program(A, x), dd.jacobian(lambda x, A=A: np.sin(A @ x) * x, mode="reverse")(x)
        np.testing.assert_allclose(found.toarray(), expected, rtol=1e-12, atol=1e-13)
        assert found.nnz == np.count_nonzero(A)
