"""Products with a Jacobian that is not formed, Jacobians of the samples of a batch, and sparse Hessians."""

from __future__ import annotations

import pickle
import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator, gmres, lsqr

import dualdiff as dd
from dualdiff.coloring import color_acyclic, color_columns, color_star
from dualdiff.errors import InputError, NonScalarError
from dualdiff.operators import matrixfree, products

RNG = np.random.default_rng(0)
X = np.linspace(0.5, 1.5, 7)


def several(a: Any, b: Any, c: Any) -> Any:
    """Return results of all sorts; the last argument is not used, and the second result is constant."""
    return {"y": np.sin(a) * b, "z": (np.ones(3), np.outer(a, a)), "s": a.sum()}


SEVERAL = (RNG.normal(size=3), 2.0, np.ones((2, 2)))


def residuals(x: Any) -> Any:
    return np.concatenate([x[1:] ** 2 - x[:-1], np.cumsum(np.sin(x))])


# --------------------------------------------------------------------------------------------------
# a linear operator


@pytest.mark.filterwarnings("ignore:Calling `matvec` on 'column vectors':FutureWarning")
def test_products_from_both_sides_are_those_of_the_dense_jacobian() -> None:
    A = dd.linear_operator(several, *SEVERAL)
    J = dd.jacobian(several, (0, 1, 2), flat=True)(*SEVERAL)
    assert isinstance(A, LinearOperator)
    assert A.shape == J.shape == (16, 8)
    assert A.dtype == np.float64
    v, w = RNG.normal(size=8), RNG.normal(size=16)
    V, W = RNG.normal(size=(8, 5)), RNG.normal(size=(16, 5))
    for found, expected in (
        (A.matvec(v), J @ v),
        (A @ v, J @ v),
        (A.rmatvec(w), J.T @ w),
        (A.T @ w, J.T @ w),
        (A.H @ w, J.T @ w),
        (A.matmat(V), J @ V),
        (A @ V, J @ V),
        (A.rmatmat(W), J.T @ W),
        (A.T @ W, J.T @ W),
        (A.matvec(v[:, None]), (J @ v)[:, None]),
        ((2 * A) @ v, 2 * J @ v),
        ((A.T @ A) @ v, J.T @ (J @ v)),
        (A @ np.arange(8), J @ np.arange(8)),
        (A @ V[:, :0], np.zeros((16, 0))),
        (A.rmatmat(W[:, :0]), np.zeros((8, 0))),
    ):
        assert found.shape == expected.shape
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)


def test_more_columns_than_travel_at_once() -> None:
    A, J = dd.linear_operator(residuals, X), dd.jacfwd(residuals)(X)
    k = 2 * matrixfree.AT_ONCE + 3
    V, W = RNG.normal(size=(7, k)), RNG.normal(size=(13, k))
    np.testing.assert_allclose(A @ V, J @ V, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(A.rmatmat(W), J.T @ W, rtol=1e-12, atol=1e-13)


def test_complex_vectors() -> None:
    A, J = dd.linear_operator(residuals, X), dd.jacfwd(residuals)(X)
    v, w = RNG.normal(size=7) + 1j * RNG.normal(size=7), RNG.normal(size=13) + 1j * RNG.normal(size=13)
    np.testing.assert_allclose(A @ v, J @ v, rtol=1e-13)
    np.testing.assert_allclose(A.rmatvec(w), J.T @ w, rtol=1e-13)
    V, W = np.stack([v, 1j * v], axis=1), np.stack([w, 1j * w], axis=1)
    np.testing.assert_allclose(A @ V, J @ V, rtol=1e-13)
    np.testing.assert_allclose(A.rmatmat(W), J.T @ W, rtol=1e-13)
    # J is real, so that its adjoint is its transpose, for complex vectors too
    assert np.vdot(w, A @ v) == pytest.approx(np.vdot(A.H @ w, v))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_precisions(dtype: Any) -> None:
    x = X.astype(dtype)
    A = dd.linear_operator(lambda x, unused: (np.sin(x), np.ones(2, dtype)), x, np.ones(2, dtype))
    assert A.dtype == dtype
    for v in (np.ones(9, dtype), np.ones(9), np.ones(9, int)):
        assert (A @ v).dtype == dtype
        assert A.rmatvec(v).dtype == dtype
        assert A.matmat(v[:, None]).dtype == dtype
    np.testing.assert_allclose((A @ np.ones(9))[:7], np.cos(x), rtol=1e-6)


def test_scalars_constants_and_nothing() -> None:
    A = dd.linear_operator(lambda x: x * x, 3.0)
    assert A.shape == (1, 1)
    assert (A @ np.ones(1)).tolist() == [6.0]
    A = dd.linear_operator(lambda x: np.ones(4), np.zeros(3))
    assert (A @ np.ones(3)).tolist() == [0.0] * 4
    assert A.rmatvec(np.ones(4)).tolist() == [0.0] * 3
    assert A.matmat(np.ones((3, 2))).shape == (4, 2)
    assert dd.linear_operator(lambda x: 2 * x, np.zeros(0)).shape == (0, 0)
    A = dd.linear_operator(lambda x: x, X)
    assert (A @ X).tolist() == X.tolist() == A.rmatvec(X).tolist()
    A = dd.linear_operator(lambda p: p["b"] * p["a"], {"a": X, "b": 2.0})
    np.testing.assert_allclose(A @ np.r_[np.zeros(7), 1.0], X)


def test_solvers_of_scipy() -> None:
    A, J = dd.linear_operator(residuals, X), dd.jacfwd(residuals)(X)
    assert aslinearoperator(A) is A
    b = RNG.normal(size=13)
    np.testing.assert_allclose(lsqr(A, b, atol=1e-14, btol=1e-14)[0], np.linalg.lstsq(J, b)[0], rtol=1e-8)

    def system(x: Any) -> Any:
        return 4 * x + np.sin(np.roll(x, 1)) - 0.5 * np.cumsum(x) / len(x)

    A, b = dd.linear_operator(system, X), RNG.normal(size=7)
    found, info = gmres(A, b, rtol=1e-12)
    assert info == 0
    np.testing.assert_allclose(dd.jacfwd(system)(X) @ found, b, rtol=1e-9)


def test_strong_zeros() -> None:
    A = dd.linear_operator(np.sqrt, np.array([0.0, 1.0, 4.0]))
    v = np.array([0.0, 1.0, 1.0])
    assert (A @ v).tolist() == [0.0, 0.5, 0.25]
    assert A.rmatvec(v).tolist() == [0.0, 0.5, 0.25]
    np.testing.assert_array_equal(A @ np.eye(3), np.diag([np.inf, 0.5, 0.25]))
    np.testing.assert_array_equal(A.rmatmat(np.eye(3)), np.diag([np.inf, 0.5, 0.25]))


def test_what_was_recorded_is_the_operators_own() -> None:
    x, scale = X.copy(), np.arange(1.0, 8.0)
    A = dd.linear_operator(lambda x: scale * np.sin(x * x), x)
    expected = scale * 2 * X * np.cos(X * X)
    x[:] = 0.0
    scale[:] = 0.0
    first = A @ np.ones(7)
    np.testing.assert_allclose(first, expected)
    np.testing.assert_allclose(A.rmatvec(np.ones(7)), expected)
    first[:] = 0.0
    v = np.ones(7)
    back = A.rmatvec(v)
    back[:] = 0.0
    assert v.tolist() == [1.0] * 7
    np.testing.assert_allclose(A @ v, expected)
    identity = dd.linear_operator(lambda x: x, X)
    found = identity @ v
    found[:] = 9.0
    assert v.tolist() == [1.0] * 7  # a product shares no memory with the vector given


def test_no_jacobian_is_formed() -> None:
    n = 1_000_000
    x = np.linspace(0.0, 1.0, n)
    tracemalloc.start()
    try:
        A = dd.linear_operator(lambda x: np.cumsum(x * x), x)
        v = np.zeros(n)
        v[0] = v[-1] = 1.0
        forward, back = A @ v, A.rmatvec(v)
        assert tracemalloc.get_traced_memory()[1] < 20 * x.nbytes
    finally:
        tracemalloc.stop()
    assert A.shape == (n, n)
    assert forward[0] == 0.0
    assert forward[-1] == 2.0
    np.testing.assert_allclose(back[1:], 2 * x[1:])


def test_what_a_linear_operator_refuses() -> None:
    with pytest.raises(InputError, match="needs the point"):
        dd.linear_operator(np.sin)
    with pytest.raises(InputError, match="must be a function, not 'float'"):
        dd.linear_operator(3.0, X)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="for real functions"):
        dd.linear_operator(np.sin, X + 1j)
    with pytest.raises(InputError, match="for real functions"):
        dd.linear_operator(lambda x: 1j * x, X)
    with pytest.raises(InputError, match="cannot be differentiated"):
        dd.linear_operator(np.sin, "text")
    with pytest.raises(ValueError, match=r"[Dd]imension mismatch"):
        dd.linear_operator(np.sin, X) @ np.ones(8)
    for outer in (dd.jacfwd, dd.jacrev):
        with pytest.raises(InputError, match="cannot be differentiated itself"):
            outer(lambda x: dd.linear_operator(np.sin, x) @ np.ones(7))(X)


# --------------------------------------------------------------------------------------------------
# Jacobians of the samples of a batch

BATCH = np.linspace(0.2, 1.7, 15).reshape(5, 3)


def per_sample(x: Any) -> Any:
    return np.tanh(x) * np.sum(x, axis=-1, keepdims=True)


def module_level(x: Any) -> Any:
    return np.stack([np.prod(x, axis=1), x[:, 0] ** 2], axis=1)


def diagonal(J: Any, outer: int = 1) -> Any:
    """Return the blocks (b, ..., b, ...) of a dense Jacobian."""
    return np.stack([J[b].take(b, axis=J[b].ndim - outer) for b in range(len(J))])


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize(
    "f",
    [
        per_sample,
        module_level,
        lambda x: np.sum(x * x, axis=1),
        lambda x: np.einsum("bi,bj->bij", x, np.sin(x)),
        lambda x: x,
        lambda x: x[:, ::-1],
        lambda x: np.tanh(x @ np.arange(6.0).reshape(3, 2)),
        lambda x: np.linalg.norm(x, axis=1) * 2.0,
        lambda x: np.where(x > 1.0, x * x, np.sin(x)),
        lambda x: np.stack([np.exp(row) * row[0] for row in x]),
    ],
)
def test_blocks_of_a_batch(f: Any, mode: Any) -> None:
    found = dd.batch_jacobian(f, mode=mode)(BATCH)
    expected = diagonal(dd.jacobian(f)(BATCH), outer=2)
    assert found.shape == (*np.shape(f(BATCH)), 3)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)
    assert found.flags.owndata or found.base.flags.owndata
    found[:] = 0.0  # the caller's own
    np.testing.assert_allclose(dd.batch_jacobian(f, mode=mode)(BATCH), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_batches_of_scalars_of_matrices_and_of_nothing(mode: Any) -> None:
    x = np.linspace(0.0, 1.0, 6)
    np.testing.assert_allclose(dd.batch_jacobian(np.sin, mode=mode)(x), np.cos(x))
    M = RNG.normal(size=(4, 2, 2)) + 3 * np.eye(2)
    found = dd.batch_jacobian(np.linalg.inv, mode=mode)(M)
    assert found.shape == (4, 2, 2, 2, 2)
    for b in range(4):
        np.testing.assert_allclose(found[b], dd.jacobian(np.linalg.inv)(M[b]), rtol=1e-12)
    J = dd.batch_jacobian(per_sample, mode=mode)
    np.testing.assert_allclose(J(BATCH[:1])[0], dd.jacobian(lambda v: per_sample(v[None])[0])(BATCH[0]))
    assert J(BATCH[:0]).shape == (0, 3, 3)
    assert J(np.zeros((4, 0))).shape == (4, 0, 0)
    constant = dd.batch_jacobian(lambda x: np.ones((5, 2)), mode=mode)(BATCH)
    assert constant.shape == (5, 2, 3)
    assert not constant.any()
    assert dd.batch_jacobian(per_sample, mode=mode)(BATCH.astype(np.float32)).dtype == np.float32
    assert dd.batch_jacobian(np.square, mode=mode)(np.arange(3)).tolist() == [0.0, 2.0, 4.0]


def test_strong_zeros_in_a_batch() -> None:
    x = np.array([[0.0, 4.0], [1.0, 0.25]])
    for mode in ("forward", "reverse"):
        found = dd.batch_jacobian(np.sqrt, mode=mode)(x)
        np.testing.assert_array_equal(found, [np.diag([np.inf, 0.25]), np.diag([0.5, 1.0])])


@pytest.mark.parametrize(
    ("f", "i", "j"),
    [
        (lambda x: x - np.mean(x, axis=0), 0, 1),
        (lambda x: x[::-1], 0, 4),
        (lambda x: x * np.roll(x, 2, axis=0), 0, 3),
        (lambda x: x / np.linalg.norm(x), 0, 1),
        (lambda x: x * x[2], 0, 2),
    ],
)
@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_mixing_samples_is_refused_by_name(f: Any, i: int, j: int, mode: Any) -> None:
    with pytest.raises(InputError, match=f"sample {i} of the result depends on sample {j} of the argument"):
        dd.batch_jacobian(f, mode=mode)(BATCH)


def test_other_arguments_and_argnums() -> None:
    def f(w: Any, x: Any, power: int = 1, *, shift: float = 0.0) -> Any:
        return np.tanh(x @ w) ** power + shift

    w = RNG.normal(size=(3, 2))
    J = dd.batch_jacobian(f, argnums=1)
    for power in (1, 3):
        expected = diagonal(dd.jacobian(f, 1)(w, BATCH, power), outer=2)
        np.testing.assert_allclose(J(w, BATCH, power, shift=2.0), expected, rtol=1e-12)
    np.testing.assert_allclose(dd.batch_jacobian(f, -1)(w, BATCH), J(w, BATCH))
    with pytest.raises(InputError, match="argnums=3"):
        dd.batch_jacobian(f, 3)(w, BATCH)


@pytest.mark.parametrize(
    ("f", "x", "message"),
    [
        (lambda x: x, 3.0, "first axis counts the samples"),
        (lambda x: x[0], (BATCH, BATCH), "first axis counts the samples"),
        (lambda x: (x, x), BATCH, r"one array with the 5 samples on its first axis, not \(5, 3\), \(5, 3\)"),
        (lambda x: np.sum(x, axis=0), BATCH, r"not \(3,\)"),
        (lambda x: x.sum(), BATCH, r"not \(\)"),
        (lambda x: 1j * x, BATCH, "for real functions"),
        (np.sin, 1j * BATCH, "plain real array"),
        (np.sin, "text", "cannot be differentiated"),
    ],
)
def test_what_a_batch_jacobian_refuses(f: Any, x: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dd.batch_jacobian(f)(x)


def test_bad_options_of_a_batch_jacobian() -> None:
    with pytest.raises(InputError, match="mode='mixed'"):
        dd.batch_jacobian(per_sample, mode="mixed")
    with pytest.raises(InputError, match="must be a function"):
        dd.batch_jacobian(3.0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"use dd\.jacobian inside other operators"):
        dd.grad(lambda x: dd.batch_jacobian(per_sample)(x).sum())(BATCH)


def test_the_check_is_made_once_and_again_when_the_program_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    count: Counter[str] = Counter()
    original = products.check_samples
    monkeypatch.setattr(products, "check_samples", lambda *args: (count.update("c"), original(*args))[1])
    at = np.arange(5)

    def f(x: Any) -> Any:
        y = x[at]
        return y * y if y[0, 0] > 0 else np.sin(y)

    J = dd.batch_jacobian(f)
    for x in (BATCH, 2 * BATCH, -BATCH, BATCH, -BATCH):
        np.testing.assert_allclose(J(x), diagonal(dd.jacobian(f)(x), outer=2), rtol=1e-13)
    assert count["c"] == 2  # a time for each side of the branch
    J(np.ones((5, 2)))
    assert count["c"] == 3
    at[:] = [0, 1, 2, 4, 3]  # the index array has changed: the samples are mixed now
    with pytest.raises(InputError, match="sample 3 of the result depends on sample 4"):
        J(BATCH)
    at[:] = np.arange(5)
    assert J(BATCH).shape == (5, 3, 3)


def test_batch_jacobians_pickle_and_nest_inside_others_data() -> None:
    J = dd.batch_jacobian(module_level)
    J(BATCH)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(J))(BATCH), J(BATCH))
    # The point is plain; what the function closes over belongs to the outer operator, and is differentiated.
    for outer in (dd.jacfwd, dd.jacrev):
        assert outer(lambda a: np.sum(dd.batch_jacobian(lambda x: a * a * x)(BATCH)))(3.0) == 6.0 * BATCH.size


# --------------------------------------------------------------------------------------------------
# sparse Hessians


def banana(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2) + np.sum(np.exp(x))


def arrow(x: Any) -> Any:
    return np.sum(x[0] * x[1:] ** 3) + x[0] ** 4


def separable(x: Any) -> Any:
    return np.sum(np.sin(x) * x)


SPARSE: list[dict[str, Any]] = [
    {},
    {"coloring": "star"},
    {"coloring": "acyclic"},
    {"coloring": "columns"},
    {"mode": "forward"},
    {"mode": "reverse"},
    {"mode": "mixed"},
    {"coloring": "star", "chunk": 1},
]


@pytest.mark.parametrize("options", SPARSE)
@pytest.mark.parametrize("f", [banana, arrow, separable, lambda x: x.sum() ** 2, lambda x: x[0], lambda x: 3.0])
def test_sparse_hessians_are_the_dense_ones(f: Any, options: dict[str, Any]) -> None:
    H = dd.hessian(f, sparse=True, **options)
    for x in (X, X, -2 * X):
        found = H(x)
        expected = dd.hessian(f)(x)
        assert isinstance(found, csr_array)
        assert found.shape == (7, 7)
        np.testing.assert_allclose(found.toarray(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("f", "nonzeros"), [(banana, 3 * 40 - 2), (arrow, 3 * 40 - 2), (separable, 40)])
def test_sparse_hessians_hold_the_structural_nonzeros(f: Any, nonzeros: int) -> None:
    x = np.linspace(0.5, 1.5, 40)
    for options in SPARSE:
        assert dd.hessian(f, sparse=True, **options)(x).nnz == nonzeros, options


@pytest.mark.parametrize(
    ("f", "star", "acyclic"),
    [(banana, 3, 2), (arrow, 2, 2), (separable, 1, 1)],
)
def test_color_counts_through_explain(f: Any, star: int, acyclic: int) -> None:
    x = np.linspace(0.5, 1.5, 40)
    e = dd.hessian(f, sparse=True).explain(x)
    sweeps = {w.name: w.sweeps for w in e.ways}
    assert sweeps == {"row-sparse": 1, "star": star, "acyclic": acyclic}
    assert e.chosen in sweeps
    for name, count in (("star", star), ("acyclic", acyclic)):
        asked = dd.hessian(f, sparse=True, coloring=name).explain(x)
        assert asked.chosen == name
        assert next(w.sweeps for w in asked.ways if w.name == name) == count
    assert dd.hessian(arrow, sparse=True, coloring="columns").explain(x).reason.count("40 groups of columns") == 1


def test_auxiliary_data_comes_along() -> None:
    H, aux = dd.hessian(lambda x: (banana(x), {"twice": 2 * x}), sparse=True, has_aux=True)(X)
    np.testing.assert_allclose(H.toarray(), dd.hessian(banana)(X))
    assert type(aux["twice"]) is np.ndarray
    np.testing.assert_array_equal(aux["twice"], 2 * X)


@pytest.mark.parametrize("options", SPARSE)
def test_several_arguments_and_structures(options: dict[str, Any]) -> None:
    def f(x: Any, y: Any, p: Any) -> Any:
        return banana(x) * y + np.sum(p["a"] ** 2 * p["b"])

    args = (X, 2.0, {"a": np.arange(3.0), "b": 3.0})

    def flat(z: Any) -> Any:
        return f(z[:7], z[7], {"a": z[8:11], "b": z[11]})

    whole = dd.hessian(flat)(np.concatenate([X, [2.0], np.arange(3.0), [3.0]]))
    for argnums, at in (
        ((0, 1), [*range(8)]),
        ((1, 0), [7, *range(7)]),
        (1, [7]),
        ((1,), [7]),
        (2, [8, 9, 10, 11]),
        (-1, [8, 9, 10, 11]),
        ((0, 2), [*range(7), 8, 9, 10, 11]),
    ):
        found = dd.hessian(f, argnums, sparse=True, **options)(*args)
        np.testing.assert_allclose(found.toarray(), whole[np.ix_(at, at)], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("color", [color_columns, color_star, color_acyclic])
def test_given_colors_of_a_hessian(color: Any) -> None:
    expected = dd.hessian(banana)(X)
    H = dd.hessian(banana, sparse=True, coloring=color(csr_array(expected != 0)))
    np.testing.assert_allclose(H(X).toarray(), expected, rtol=1e-12, atol=1e-12)


def test_what_a_sparse_hessian_refuses() -> None:
    with pytest.raises(NonScalarError, match="needs one scalar"):
        dd.hessian(np.sin, sparse=True)(X)
    with pytest.raises(InputError, match="coloring='rows' must be one of 'columns', 'star', 'acyclic'"):
        dd.hessian(banana, sparse=True, coloring="rows")
    with pytest.raises(InputError, match="give sparse=True"):
        dd.hessian(banana, coloring="star")
    with pytest.raises(InputError, match="holomorphic=True"):
        dd.hessian(banana, sparse=True)(X + 1j)
    with pytest.raises(InputError, match="max_bytes=10 is too small"):
        dd.hessian(banana, sparse=True, max_bytes=10)(X)


@pytest.mark.parametrize("options", SPARSE)
def test_sparse_hessians_are_differentiated_again(options: dict[str, Any]) -> None:
    third = dd.jacobian(lambda x: dd.hessian(banana, sparse=True, **options)(x).toarray())(X)
    np.testing.assert_allclose(third, dd.jacobian(dd.hessian(banana))(X), rtol=1e-11, atol=1e-9)


def test_precision_and_ownership_of_sparse_hessians() -> None:
    for options in SPARSE:
        H = dd.hessian(banana, sparse=True, **options)
        found = H(X.astype(np.float32))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.toarray(), dd.hessian(banana)(X), rtol=1e-4, atol=1e-4)
        found.data[:] = found.indices[:] = found.indptr[:] = 0
        np.testing.assert_allclose(H(X.astype(np.float32)).toarray(), dd.hessian(banana)(X), rtol=1e-4, atol=1e-4)


def test_a_sparse_hessian_pickles() -> None:
    H = dd.hessian(banana, sparse=True, coloring="star")
    H(X)
    again = pickle.loads(pickle.dumps(H))
    np.testing.assert_array_equal(again(2 * X).toarray(), H(2 * X).toarray())
