"""Sparse matrices whose entries are differentiated, written as SciPy's users write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as ss
import scipy.sparse.linalg as ssl
from scipy.sparse import (
    coo_array,
    coo_matrix,
    csc_array,
    csr_array,
    csr_matrix,
    dok_array,
    dok_matrix,
    lil_array,
    lil_matrix,
)
from scipy.sparse.linalg import spsolve

import dualdiff as dd
from dualdiff.errors import DerivativeError
from dualdiff.testing import check
from dualdiff.testing.laws import pattern_law

pytestmark = pytest.mark.filterwarnings(
    "ignore::dualdiff.errors.CaptureWarning", "ignore::scipy.sparse.SparseEfficiencyWarning"
)
M, N = 4, 5
I = np.array([0, 0, 1, 2, 3, 3, 1, 2])  # noqa: E741  (the places of the entries, two of them twice)
J = np.array([0, 1, 1, 2, 4, 0, 1, 2])
X = np.linspace(0.5, 1.7, 8)
RNG = np.random.default_rng(0)
D = RNG.standard_normal((M, N))
S = csr_array(D * (RNG.random((M, N)) < 0.5))
OLD = csr_matrix(S)
V5, V4, X53 = RNG.standard_normal(5), RNG.standard_normal(4), RNG.standard_normal((5, 3))


def flat(result: Any) -> Any:
    """All entries of a matrix, an array or a number, as a vector."""
    return np.reshape(result.toarray() if ss.issparse(result) else result, -1)


def slopes(f: Any, x: Any) -> Any:
    """The Jacobian of an analytic function, by complex steps of SciPy's own."""
    return np.stack([np.imag(f(x + 1e-30j * e)) / 1e-30 for e in np.eye(len(x))], axis=-1)


def agree(f: Any, x: Any = X, tol: float = 1e-12) -> None:
    """Hold values to SciPy's, and both modes to complex steps."""
    value, want = f(x), slopes(f, x)
    for operator in (dd.jacfwd, dd.jacrev):
        found = operator(f)(x)
        np.testing.assert_allclose(found, want, rtol=tol, atol=tol * np.abs(want).max())
    np.testing.assert_allclose(
        dd.jvp(f, (x,), (np.ones_like(x),))[0], value, rtol=1e-13, atol=1e-14 * np.abs(value).max()
    )


def agree_twice(f: Any, x: Any = X, tol: float = 1e-8) -> None:
    """Hold second derivatives to each other, and to differences of the first."""
    g = lambda x: np.sum(f(x) ** 2)  # noqa: E731
    H, G = dd.jacfwd(dd.jacrev(g))(x), dd.grad(g)
    want = np.stack([(G(x + 1e-5 * e) - G(x - 1e-5 * e)) / 2e-5 for e in np.eye(len(x))], axis=-1)
    np.testing.assert_allclose(H, want, rtol=tol, atol=tol * np.abs(want).max())
    for again in (dd.jacrev(dd.jacrev(g)), dd.jacfwd(dd.jacfwd(g))):
        np.testing.assert_allclose(again(x), H, rtol=1e-9, atol=1e-9 * np.abs(H).max())


# --------------------------------------------------------------------------------------------------
# operations, of every format and both families of classes


def _written(K: Any, x: Any) -> Any:
    K[1, :] = 0.0
    K[1, 1] = 1.0
    K[[0, 2], [1, 2]] = x[:2]
    K[2:4, 0:2] = np.outer(x[:2], x[:2])
    K[0, 0] = K[0, 0] * x[3]
    return K


def _with_diagonal(K: Any, x: Any) -> Any:
    K.setdiag(x[:4] ** 3)
    K.setdiag(2.0, 1)
    return K


def _scaled_in_place(K: Any, x: Any) -> Any:
    taken, turned = K[1:], K.tocsc()
    K.data *= 2.0
    K.data[:2] = x[0]
    return ss.vstack([K, taken, turned])


def _with_other_data(K: Any, x: Any) -> Any:
    K.data = K.data * x[0]
    return K


OPERATIONS = {
    "K @ v": lambda K, x: K @ V5,
    "K @ X": lambda K, x: K @ X53,
    "v @ K": lambda K, x: V4 @ K,
    "X @ K": lambda K, x: np.ones((3, 4)) @ K,
    "K @ x": lambda K, x: K @ x[:5],
    "x @ K": lambda K, x: x[:4] @ K,
    "K @ columns of x": lambda K, x: K @ np.outer(x[:5], [1.0, 2.0]),
    "rows of x @ K": lambda K, x: np.outer([1.0, 2.0], x[:4]) @ K,
    "dot": lambda K, x: K.dot(x[:5]),
    "K.T @ x": lambda K, x: K.T @ x[:4],
    "transpose": lambda K, x: K.transpose().dot(V4),
    "2 K": lambda K, x: 2 * K,
    "K t": lambda K, x: K * x[0],
    "t K": lambda K, x: x[0] * K,
    "K / t": lambda K, x: K / x[0],
    "-K": lambda K, x: -K,
    "K + K": lambda K, x: K + K,
    "K + S": lambda K, x: K + S,
    "S + K": lambda K, x: S + K,
    "K - S": lambda K, x: K - S,
    "S - K": lambda K, x: S - K,
    "K - 2 K": lambda K, x: K - 2 * K,
    "sum()": lambda K, x: sum([K, S, K]),
    "K @ K.T": lambda K, x: K @ K.T,
    "S.T @ K": lambda K, x: S.T @ K,
    "K.T @ S": lambda K, x: K.T @ S,
    "old.T @ K": lambda K, x: OLD.T @ K,
    "K.multiply(S)": lambda K, x: K.multiply(S),
    "S.multiply(K)": lambda K, x: S.multiply(K),
    "K.multiply(K)": lambda K, x: K.multiply(K),
    "K.multiply(D)": lambda K, x: K.multiply(D),
    "times a row": lambda K, x: K.multiply(V5),
    "times a column": lambda K, x: K.multiply(V4[:, None]),
    "times an array of x": lambda K, x: K.multiply(np.outer(x[:4], V5)),
    "times a row of x": lambda K, x: K.multiply(x[:5]),
    "a row times an array": lambda K, x: K.tocsr()[[1]].multiply(np.outer(x[:4], V5)),
    "S.multiply(x)": lambda K, x: S.multiply(x[:5]),
    "t S + K": lambda K, x: x[0] * S + K,
    "S t": lambda K, x: S * x[0],
    "S / t": lambda K, x: S / x[0],
    "sum": lambda K, x: K.sum(),
    "sum of columns": lambda K, x: np.asarray(K.sum(axis=0)).ravel(),
    "sum of rows": lambda K, x: np.array(K.sum(axis=-1)).flatten(),
    "np.sum": lambda K, x: np.sum(K),
    "mean": lambda K, x: K.mean(),
    "mean of rows": lambda K, x: np.asarray(K.mean(axis=1)).squeeze(),
    "diagonal": lambda K, x: K.diagonal(),
    "another diagonal": lambda K, x: K.diagonal(1),
    "trace": lambda K, x: K.trace(),
    "power": lambda K, x: K.tocsr().power(3),
    "sqrt": lambda K, x: K.tocsr().sqrt(),
    "data": lambda K, x: K.tocsr().data * 1.0,
    "toarray": lambda K, x: K.toarray(),
    "todense": lambda K, x: np.asarray(K.todense()),
    "plus an array": lambda K, x: np.asarray(K + D),
    "copy": lambda K, x: K.copy(),
    "row": lambda K, x: K.tocsr()[[0]],
    "columns": lambda K, x: K.tocsc()[:, 1:3],
    "slice": lambda K, x: K.tocsr()[1:, 1:],
    "entries": lambda K, x: K.tocsr()[0, 1] + K.tocsr()[3, 3],
    "pairs": lambda K, x: np.asarray(K.tocsr()[[0, 1, 3], [1, 1, 0]]).ravel(),
    "some rows twice": lambda K, x: K.tocsr()[[0, 2, 2]],
    "a mask of rows": lambda K, x: K.tocsr()[np.array([True, False, True, True])],
    "ix_": lambda K, x: K.tocsr()[np.ix_([0, 3], [0, 4, 1])],
    "reshape": lambda K, x: K.reshape((5, 4)),
    "rows one by one": lambda K, x: sum(r.sum() for r in K.tocsr()),
    "todia": lambda K, x: K.todia() @ V5,
    "tobsr": lambda K, x: K.tobsr((2, 1)) @ V5,
    "tolil": lambda K, x: K.tolil(),
    "todok": lambda K, x: K.todok(),
    "hstack": lambda K, x: ss.hstack([K, S, K]),
    "vstack": lambda K, x: ss.vstack([K, S], format="csr"),
    "bmat": lambda K, x: ss.bmat([[K, None], [None, K.T], [S, None]]),
    "block_array": lambda K, x: ss.block_array([[K, S], [S, K]]),
    "arrays among blocks": lambda K, x: ss.bmat([[K, D], [D * x[0], None]]),
    "block_diag": lambda K, x: ss.block_diag([K, np.ones((2, 2)), S]),
    "tril": lambda K, x: ss.tril(K),
    "triu": lambda K, x: ss.triu(K, 1, format="csc"),
    "find": lambda K, x: ss.find(K)[2],
    "kron": lambda K, x: ss.kron(K, S),
    "kron by blocks": lambda K, x: ss.kron(np.ones((2, 2)), K, format="csr"),
    "kron of both": lambda K, x: ss.kron(K, K),
    "kronsum": lambda K, x: ss.kronsum(K @ K.T, ss.eye(3)),
    "diagonal written": lambda K, x: _with_diagonal(K.tolil(), x),
    "written as lists": lambda K, x: _written(K.tolil(), x),
    "written as rows": lambda K, x: _written(K.tocsr(), x),
    "data written": lambda K, x: _scaled_in_place(K.tocsr(), x),
    "data assigned": lambda K, x: _with_other_data(K.tocsr(), x),
    "another class": lambda K, x: csr_matrix(K) @ V5,
    "of an array": lambda K, x: csc_array(np.outer(x[:4], V5)) @ V5,
}


def _of(K: Any) -> Any:
    return lambda x: np.concatenate([flat(operation(K(x), x)) for operation in OPERATIONS.values()])


def _sizes(K: Any) -> Any:
    return np.cumsum([flat(operation(K(X), X)).size for operation in OPERATIONS.values()])[:-1]


NEW = lambda x: coo_array((x**2, (I, J)), shape=(M, N))  # noqa: E731
OF_OLD = lambda x: coo_matrix((x**2, (I, J)), shape=(M, N))  # noqa: E731


@pytest.mark.parametrize(
    ("family", "form"),
    [
        *[("array", form) for form in ("coo", "csr", "csc", "dia", "bsr", "lil", "dok")],
        ("matrix", "coo"),
        ("matrix", "csr"),
    ],
)
def test_operations(family: str, form: str) -> None:
    make = NEW if family == "array" else OF_OLD
    K = lambda x: make(x).asformat(form)  # noqa: E731
    f, sizes = _of(K), _sizes(K)
    want = np.split(slopes(f, X), sizes)
    for operator in (dd.jacfwd, dd.jacrev) if form == "csr" else (dd.jacrev,):
        found = np.split(operator(f)(X), sizes)
        wrong = [
            n for n, a, b in zip(OPERATIONS, found, want, strict=True) if not np.allclose(a, b, rtol=1e-12, atol=1e-13)
        ]
        assert not wrong


def test_what_is_not_analytic() -> None:
    for f in (
        lambda x: flat(abs(NEW(x - 1.0))),
        lambda x: ssl.norm(NEW(x)) + ssl.norm(OF_OLD(x), 1) + ssl.norm(OF_OLD(x).tocsr(), np.inf),
        lambda x: flat((NEW(x) * (1 + 2j)).conj().imag) + flat(NEW(x + 1j * x**2).T.T.conj().real),
    ):
        assert str(check(f, X)).endswith("agree")


def test_second_order() -> None:
    agree_twice(lambda x: NEW(x) @ (OF_OLD(x).T @ x[:4]))
    agree_twice(lambda x: flat(ss.kron(NEW(x), S).tocsr()[2:6] @ ss.vstack([NEW(x).T] * 5)))


@pytest.mark.parametrize(
    "maker",
    [
        lambda x: csr_array((x, np.array([0, 2, 1, 1, 0, 2, 3, 0]), np.array([0, 2, 5, 8])), shape=(3, 4)),
        lambda x: ss.csc_matrix((x, np.array([2, 0, 1, 1, 0, 2, 2, 0]), np.array([0, 2, 5, 8]))),
        lambda x: csr_matrix((x**2, (I, J)), shape=(6, 6)),
        lambda x: coo_array((x, (I, J))),
        lambda x: ss.dia_array((np.reshape(x, (2, 4)), [0, -1]), shape=(4, 4)),
        lambda x: ss.dia_matrix((x[:4], [1]), shape=(3, 4)),
        lambda x: ss.bsr_array((np.reshape(x, (2, 2, 2)), np.array([1, 0]), np.array([0, 1, 2]))),
        lambda x: csr_array(np.reshape(x, (2, 4))),
        lambda x: coo_matrix([[x[0], 0.0], [x[1] * x[2], 1.0]]),
        lambda x: lil_array(np.reshape(x, (2, 4))),
        lambda x: dok_matrix(coo_matrix((x, (I, J)))),
        lambda x: ss.diags([x[:4], -x[:3], [1.0, 2.0, 3.0]], [0, 1, -1]),
        lambda x: ss.diags([x[0], -2.0 * x[1], 1.0], [-1, 0, 1], shape=(5, 5), format="csc"),
        lambda x: ss.diags_array(x),
        lambda x: ss.diags_array([x[:3], x[3:6]], offsets=[0, -1], shape=(4, 3)),
        lambda x: ss.spdiags(np.reshape(x, (2, 4)), [0, 1], 4, 4),
    ],
)
def test_makers(maker: Any) -> None:
    agree(lambda x: flat(maker(x)))
    f = lambda x: maker(x) @ np.arange(1.0, maker(x).shape[1] + 1)  # noqa: E731
    agree(f)
    pattern_law(f, X)
    seen = []
    dd.jacrev(lambda x: (seen.append(maker(x)), flat(seen[-1]))[1])(X)
    plain = maker(X)
    for attribute in ("format", "shape", "ndim", "dtype"):
        assert getattr(seen[-1], attribute) == getattr(plain, attribute)


def test_what_it_is_to_others() -> None:
    def f(x: Any) -> Any:
        K = ss.coo_matrix((x, (I, J)), shape=(M, N))
        assert ss.issparse(K)
        assert ss.isspmatrix(K)
        assert isinstance(K, coo_matrix)
        assert isinstance(K, ss.coo_matrix)
        assert not isinstance(K, (ss.sparray, csr_matrix))
        assert ss.isspmatrix_csr(K.tocsr())
        assert K.nnz == 8
        assert K.getnnz() == 8
        assert (K.row == I).all()
        assert (K.col == J).all()
        A = csr_array(K)
        assert A.nnz == 6
        assert A.has_canonical_format
        assert A.indptr[-1] == 6
        assert A.count_nonzero() == 6
        K.sum_duplicates()
        assert K.nnz == 6
        assert [len(i) for i in K.nonzero()] == [6, 6]
        with pytest.raises(TypeError):
            len(K)
        with pytest.raises(ValueError):
            K @ np.ones(M)
        with pytest.raises(ValueError):
            A + A.T
        with pytest.raises(ValueError):
            A @ 2.0
        with pytest.raises(AttributeError):
            K.indptr
        return A.data

    assert dd.jacrev(f)(X).shape == (6, 8)
    dd.jacfwd(f)(X)


def test_types_of_numbers() -> None:
    x = np.linspace(0.5, 2, 8).astype(np.float32)
    for f in (lambda x: NEW(x) @ x[:5], lambda x: spsolve(_square(x), x[:4]), lambda x: flat(NEW(x) + NEW(x).T.T)):
        for operator in (dd.jacfwd, dd.jacrev):
            assert operator(f)(x).dtype == f(x).dtype == np.float32
    z = RNG.standard_normal(8) + 1j * RNG.standard_normal(8)
    for f in (
        lambda z: NEW(z) @ z[:5],
        lambda z: spsolve(_square(z), np.ones(4)),
        lambda z: ssl.splu(_square(z)).solve(z[:4], "T"),
    ):
        want = np.stack([(f(z + 1e-6 * e) - f(z - 1e-6 * e)) / 2e-6 for e in np.eye(8)], axis=-1)
        for operator in (dd.jacfwd, dd.jacrev):
            np.testing.assert_allclose(
                operator(f, holomorphic=True)(z), want, rtol=1e-6, atol=1e-7 * np.abs(want).max()
            )


def test_the_pattern_of_a_product_is_sparse_and_held_against_later_ones() -> None:
    n = 30
    i = np.concatenate([np.arange(n), np.arange(n - 1), np.arange(1, n)])
    j = np.concatenate([np.arange(n), np.arange(1, n), np.arange(n - 1)])
    places = [i, j]

    def residual(u: Any) -> Any:
        k = 1 + u**2
        K = coo_array((np.concatenate([2 * k, -k[:-1] * k[1:], -k[1:]]), tuple(places)), shape=(n, n))
        return K @ u - 1

    u = np.linspace(0.3, 1, n)
    jacobian, want = dd.jacobian(residual, sparse=True), slopes(residual, u)
    assert jacobian(u).nnz == 3 * n - 2
    for options in ({}, {"mode": "forward"}, {"mode": "reverse"}, {"coloring": "columns"}, {"coloring": "rows"}):
        np.testing.assert_allclose(dd.jacobian(residual, sparse=True, **options)(u).toarray(), want, atol=1e-13)
    assert dd.hessian(lambda u: np.sum(residual(u) ** 2), sparse=True)(u).nnz == 5 * n - 6
    places[1] = j[::-1].copy()
    np.testing.assert_allclose(jacobian(u).toarray(), slopes(residual, u), atol=1e-13)


def test_what_is_not_stored_multiplies_nothing() -> None:
    x = np.array([0.0, 1.0, 4.0, 9.0])  # at 0 the derivative of the root is infinite

    def f(x: Any) -> Any:
        return csr_array((x + 1, ([0, 1, 1, 2], [1, 2, 0, 3])), shape=(3, 4)) @ np.sqrt(x)

    for operator in (dd.jacfwd, dd.jacrev):
        found = operator(f)(x)
        np.testing.assert_allclose(found[[0, 2]], [[1, 0.5, 0, 0], [0, 0, 0, 3 + 10 / 6]], rtol=1e-14)
        assert found[1, 0] == np.inf


# --------------------------------------------------------------------------------------------------
# assembly


KE = np.array([[1.0, -1.0], [-1.0, 1.0]])


@pytest.mark.parametrize("make", [lil_matrix, lil_array, dok_matrix, dok_array, csr_matrix], ids=lambda c: c.__name__)
def test_assembly_by_blocks_and_by_entries(make: Any) -> None:
    n = 5

    def by_blocks(x: Any) -> Any:
        K = make((n + 1, n + 1))
        for e in range(n):
            dofs = np.array([e, e + 1])
            K[np.ix_(dofs, dofs)] += x[e] ** 2 * KE
        K = K.tocsr()
        u = np.zeros(n + 1)
        u[1:] = spsolve(K[1:, 1:], np.ones(n))
        return u

    def by_entries(x: Any) -> Any:
        K = make((n + 1, n + 1))
        for e in range(n):
            for a in range(2):
                for b in range(2):
                    K[e + a, e + b] += x[e] ** 2 * KE[a, b]
        K[0, :] = 0
        K[:, 0] = 0
        K[0, 0] = 1
        f = np.ones(n + 1)
        f[0] = 0
        return spsolve(K.tocsc(), f)

    x = np.linspace(0.5, 1.5, n)
    want = np.cumsum(np.tril(np.ones((n, n)))[::-1, ::-1] @ np.ones(n) / x**2)  # of springs in a row
    for f in (by_blocks, by_entries):
        np.testing.assert_allclose(f(x)[1:], want)
        load = np.arange(n, 0, -1)
        slope = np.vstack([np.zeros(n), np.tril(np.ones((n, n))) * (-2 * load / x**3)])
        for operator in (dd.jacfwd, dd.jacrev):
            np.testing.assert_allclose(operator(f)(x), slope, rtol=1e-11, atol=1e-12)


def test_matrices_that_are_filled_with_plain_numbers_are_scipys() -> None:
    def f(x: Any) -> Any:
        K = lil_matrix((3, 3))
        for i in range(3):
            K[i, i] = i + 1.0
        assert type(K.tocsr()).__module__.startswith("scipy.")
        L = lil_matrix(K)
        L[0, 2] = x[0]
        return spsolve(K.tocsr(), x[:3]) + K.T @ x[:3] + L @ x[:3] + ssl.norm(K)

    assert str(check(f, X)).endswith("agree")


def test_a_matrix_read_before_a_write_keeps_what_it_was() -> None:
    def f(x: Any) -> Any:
        K = lil_array((3, 3))
        K[0, 0] = x[0]
        K[2, 1] = x[1]
        before, rows, scaled, turned = K.tocsr(), K[0:2], 2 * K, K.T
        v = x * 1.0
        A = coo_array((v, (I, J)), shape=(M, N)).tocsr()
        shared, copied = csr_array(A), csr_array(A, copy=True)
        other, conjugate = A.T, A.conj()
        K[0, 0] = K[2, 1] * x[2]
        v[:] = 7.0
        A.data[1] = x[3]  # which what SciPy makes without a copy shows
        return np.concatenate([flat(m) for m in (before, rows, scaled, turned, K, A, shared, copied, other, conjugate)])

    assert str(check(f, X)).endswith("agree")


# --------------------------------------------------------------------------------------------------
# systems


def _square(x: Any) -> Any:
    return csc_array((x, ([0, 1, 2, 3, 0, 1, 3, 2], [0, 1, 2, 3, 1, 2, 0, 2])), shape=(4, 4))


def _springs(x: Any) -> Any:
    n = len(x)
    i = np.repeat(np.arange(n), 4) + np.tile([0, 0, 1, 1], n)
    j = np.repeat(np.arange(n), 4) + np.tile([0, 1, 0, 1], n)
    entries = (x[:, None] ** 3 * KE.ravel()).ravel()
    return coo_matrix((entries, (i, j)), shape=(n + 1, n + 1)).tocsc()[1:, 1:]


CONSTANT = _square(X)
FACTORS = ssl.splu(CONSTANT)
SOLVE = ssl.factorized(CONSTANT)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: spsolve(_square(x), x[:4]),
        lambda x: spsolve(_square(x).tocsr(), np.outer(x[:4], [1.0, 2.0])).ravel(),
        lambda x: spsolve(_square(x), x[:4, None]),
        lambda x: spsolve(_square(x), csc_array(np.ones((4, 1)))),
        lambda x: spsolve(_square(x).tocoo(), np.arange(4), permc_spec="NATURAL"),
        lambda x: spsolve(CONSTANT, x[:4] ** 2),
        lambda x: ssl.splu(_square(x)).solve(x[:4] ** 2),
        lambda x: ssl.splu(_square(x), permc_spec="MMD_AT_PLUS_A", options={"Equil": False}).solve(x[:4], "T"),
        lambda x: ssl.splu(_square(x)).solve(np.outer(x[:4], [1.0, 2.0]), trans="H").ravel(),
        lambda x: ssl.factorized(_square(x))(x[:4]),
        lambda x: ssl.splu(CONSTANT).solve(x[:4] ** 2),
        lambda x: FACTORS.solve(x[:4] ** 2),
        lambda x: FACTORS.solve(np.outer(x[:4], [1.0, 2.0]), "T").ravel(),
        lambda x: SOLVE(x[:4] ** 2),
        lambda x: ssl.spsolve_triangular(ss.tril(_springs(x), format="csr"), x),
        lambda x: ssl.spsolve_triangular(ss.triu(_springs(x), format="csr"), np.outer(x, x[:2]), lower=False).ravel(),
        lambda x: ssl.spsolve_triangular(ss.tril(_springs(x), format="csr"), x, unit_diagonal=True),
    ],
)
def test_direct_solutions(f: Any) -> None:
    assert str(check(f, X)).endswith("agree")
    agree_twice(f)


def test_compliance_of_springs_in_a_row() -> None:
    n = 20

    def compliance(x: Any) -> Any:
        return np.ones(n) @ spsolve(_springs(x), np.ones(n))

    x = np.linspace(0.5, 0.9, n)
    want = -3 * np.arange(n, 0, -1) ** 2 / x**4
    for operator in (dd.grad, dd.jacfwd):
        np.testing.assert_allclose(operator(compliance)(x), want, rtol=1e-9)
    np.testing.assert_allclose(
        dd.hessian(compliance)(x), np.diag(-4 * want / x), rtol=1e-9, atol=1e-8 * np.abs(want).max()
    )


def test_a_matrix_is_factored_once_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    made, runs = [], []
    real = ssl.splu
    monkeypatch.setattr(ssl, "splu", lambda *args, **kwargs: (made.append(1), real(*args, **kwargs))[1])

    def f(x: Any) -> Any:
        runs.append(1)
        K = _square(x)
        return np.sum(spsolve(K, x[:4]) ** 2) + np.sum(spsolve(K, np.ones(4)))

    dd.grad(f)(X)  # finds out what is to be captured
    for operator in (dd.grad, dd.jacfwd, dd.hessian):
        made.clear()
        runs.clear()
        operator(f)(X)
        assert len(made) == len(runs) > 0


def test_factors_are_not_those_of_other_entries() -> None:
    def f(x: Any) -> Any:
        K = _square(x)
        first = spsolve(K, np.ones(4))
        K.data[0] = 5.0
        K.data *= x[1]
        return np.concatenate(
            [first, spsolve(K, np.ones(4)), spsolve(K.T, np.ones(4)), spsolve(K.tocsr().T, np.ones(4))]
        )

    assert str(check(f, X)).endswith("agree")
    entries = CONSTANT.data.copy()
    g = lambda b: spsolve(csc_array((entries, CONSTANT.indices, CONSTANT.indptr), shape=(4, 4)), b)  # noqa: E731
    first = dd.jacrev(g)(np.ones(4))
    entries *= 2
    np.testing.assert_allclose(dd.jacrev(g)(np.ones(4)), first / 2, rtol=1e-12)


SOLVERS = ("cg", "cgs", "bicg", "bicgstab", "gmres", "lgmres", "minres", "qmr", "tfqmr", "gcrotmk")


@pytest.mark.parametrize("name", SOLVERS)
def test_iterative_solutions(name: str) -> None:
    solve, A = getattr(ssl, name), _springs(X)
    options = {"rtol": 1e-11} if name == "minres" else {"rtol": 1e-11, "atol": 0.0}
    for f, g in (
        (lambda x: solve(_springs(x), x**2, **options)[0], lambda x: spsolve(_springs(x), x**2)),
        (lambda x: solve(A, x**2, **options)[0], lambda x: spsolve(A, x**2)),
    ):
        want = dd.jacrev(g)(X)
        for operator in (dd.jacfwd, dd.jacrev):
            np.testing.assert_allclose(operator(f)(X), want, rtol=1e-7, atol=1e-8 * np.abs(want).max())
    f, g = lambda x: solve(_springs(x), x**2, **options)[0][2] ** 2, lambda x: spsolve(_springs(x), x**2)[2] ** 2
    want = dd.hessian(g)(X)
    np.testing.assert_allclose(dd.hessian(f)(X), want, rtol=1e-6, atol=1e-7 * np.abs(want).max())


@pytest.mark.parametrize("name", ["cg", "gmres", "bicgstab", "minres"])
def test_errors_are_of_the_order_of_the_tolerance(name: str) -> None:
    n = 20
    solve, x, f = getattr(ssl, name), np.linspace(1, 2, n), np.ones(n)
    K = lambda x: ss.diags([2 * x + 1, -x[1:], -x[1:]], [0, 1, -1], format="csr")  # noqa: E731
    want, value = dd.jacrev(lambda x: spsolve(K(x), f))(x), spsolve(K(x), f)
    for rtol in (1e-3, 1e-6, 1e-9):
        error = np.linalg.norm(solve(K(x), f, rtol=rtol)[0] - value) / np.linalg.norm(value)
        assert error < 100 * rtol
        for operator in (dd.jacfwd, dd.jacrev):
            found = operator(lambda x, rtol=rtol: solve(K(x), f, rtol=rtol)[0])(x)
            assert np.abs(found - want).max() < 100 * rtol * np.abs(want).max()


@pytest.mark.parametrize("solve", [ssl.cg, ssl.gmres], ids=["cg", "gmres"])
def test_iterative_solutions_started_at_the_answer(solve: Any) -> None:
    K, f = _springs(X), np.ones(8)
    x0 = spsolve(K, f)

    def at_once(x: Any) -> Any:
        return solve(_springs(x), f, x0=x0, rtol=1e-10)[0]

    def from_another(x: Any) -> Any:
        return solve(_springs(x), f, x0=x[0] * at_once(x), rtol=1e-10)[0]

    want = dd.jacrev(lambda x: spsolve(_springs(x), f))(X)
    for g in (at_once, from_another):
        for operator in (dd.jacfwd, dd.jacrev):
            np.testing.assert_allclose(operator(g)(X), want, rtol=1e-6, atol=1e-6 * np.abs(want).max())


def test_preconditioners_and_operators() -> None:
    A = _springs(X)
    M = ss.diags(1 / A.diagonal())
    incomplete = ssl.spilu(A, drop_tol=0.1)
    rng = np.random.default_rng(1)
    B = csr_array(A.toarray() + 0.1 * rng.standard_normal((8, 8)))
    for f, g in (
        (lambda x: ssl.cg(_springs(x), x, M=M, rtol=1e-12)[0], lambda x: spsolve(_springs(x), x)),
        (lambda x: ssl.cg(ssl.aslinearoperator(A), x, rtol=1e-12)[0], lambda x: spsolve(A, x)),
        (
            lambda x: ssl.gmres(B, x, M=ssl.LinearOperator((8, 8), incomplete.solve), rtol=1e-12)[0],
            lambda x: spsolve(B, x),
        ),
        (lambda x: ssl.gmres(ssl.aslinearoperator(B), x, rtol=1e-12)[0], lambda x: spsolve(B, x)),
        (
            lambda x: ssl.bicgstab(B.toarray() * x[0], x, M=ss.csc_array(M), rtol=1e-13)[0],
            lambda x: spsolve(B * x[0], x),
        ),
    ):
        want = dd.jacrev(g)(X)
        for operator in (dd.jacfwd, dd.jacrev):
            np.testing.assert_allclose(operator(f)(X), want, rtol=1e-6, atol=1e-8 * np.abs(want).max())


def test_a_sparse_jacobian_of_ours_inside_is_a_matrix_like_another() -> None:
    n = 6

    def residual(u: Any, p: Any) -> Any:
        return p[0] * ss.diags([u**2, -u[1:]], [0, 1]) @ u - p[1]

    def step(p: Any) -> Any:
        u = np.linspace(1, 2, n)
        return u - spsolve(dd.jacobian(lambda u: residual(u, p), sparse=True)(u), residual(u, p))

    p = np.array([2.0, 3.0])
    want = np.stack([(step(p + 1e-6 * e) - step(p - 1e-6 * e)) / 2e-6 for e in np.eye(2)], axis=-1)
    np.testing.assert_allclose(dd.jacrev(step)(p), want, rtol=1e-7, atol=1e-8)


def test_singular_matrices_are_told_as_scipy_tells_them() -> None:
    K = lambda x: csc_array((x[:2], ([0, 1], [0, 0])), shape=(2, 2))  # noqa: E731
    with pytest.warns(ssl.MatrixRankWarning):
        assert np.isnan(dd.jacrev(lambda x: spsolve(K(x), np.ones(2)))(X[:2])).all()
    with pytest.raises(RuntimeError, match="singular"):
        dd.jacrev(lambda x: ssl.splu(K(x)).solve(np.ones(2)))(X)
    with pytest.raises(ValueError, match="square"):
        dd.jacrev(lambda x: spsolve(NEW(x).tocsr(), np.ones(4)))(X)
    with pytest.raises(ValueError, match="dimension"):
        dd.jacrev(lambda x: spsolve(_square(x), np.ones(5)))(X)


def test_tensors_and_programs() -> None:
    f = lambda x: np.sum(spsolve(_square(x), x[:4]) ** 2)  # noqa: E731
    x = dd.tensor(X, requires_grad=True)
    dd.capture(f)(x).backward()
    np.testing.assert_allclose(x.grad, dd.grad(f)(X), rtol=1e-13)
    program, matrix = dd.compile(dd.grad(f)), dd.compile(lambda x: csr_array((x**2, (I, J)), shape=(M, N)))
    for scale in (1.0, 1.1, 0.7):
        np.testing.assert_allclose(program(scale * X), dd.grad(f)(scale * X), rtol=1e-13)
        np.testing.assert_allclose(matrix(scale * X).toarray(), NEW(scale * X).toarray(), rtol=1e-13)


def test_a_frozen_matrix_is_a_constant() -> None:
    for operator in (dd.jacfwd, dd.jacrev):
        found = operator(lambda x: dd.stop_gradient(NEW(x)) @ x[:5] + NEW(dd.stop_gradient(x)) @ x[:5])(X)
        np.testing.assert_allclose(found, np.hstack([2 * NEW(X).toarray(), np.zeros((M, 3))]))
        inner = operator(lambda x: dd.stop_gradient(dd.jacobian(lambda u: u * u * x, sparse=True)(x)) @ x)(X)
        np.testing.assert_allclose(inner, np.diag(2 * X**2))


def test_matrices_go_into_operators_inside_and_not_out_of_their_own() -> None:
    kept = []

    def f(x: Any) -> Any:
        A = csr_array((x, (range(8), range(8))))
        kept.append(A)
        inside = dd.jacobian(lambda u: A @ u**2)(x) + dd.jacobian(lambda u, A: A @ u**2)(x, A)
        return np.diag(inside)

    assert str(check(f, X)).endswith("agree")
    for A in kept:
        if "differentiated" in repr(A):
            with pytest.raises(dd.errors.EscapedValueError):
                A @ X


def test_operators_made_of_matrices_and_sums_of_matrices() -> None:
    A = lambda x: ss.diags([x + 2, -np.ones(7), -np.ones(7)], [0, 1, -1], format="csr")  # noqa: E731

    def accumulated(x: Any) -> Any:
        K = csr_matrix((9, 9))
        for e in range(8):
            K = K + coo_matrix((x[e] * KE.ravel(), ([e, e, e + 1, e + 1], [e, e + 1, e, e + 1])), shape=(9, 9))
        K += ss.eye(9)
        K /= 2.0
        return spsolve(K, np.ones(9))

    for f in (
        lambda x: ssl.cg(ssl.aslinearoperator(A(x)), x, rtol=1e-12)[0],
        lambda x: ssl.aslinearoperator(A(x)).matvec(x) + ssl.aslinearoperator(A(X)) @ x,
        lambda x: ssl.cg(A(x), x[:, None], rtol=1e-12)[0],
        lambda x: flat(np.float64(2) * NEW(x) + NEW(x) * np.float32(2)),
        accumulated,
    ):
        assert str(check(f, X)).endswith("agree")
        assert dd.jacrev(f)(X).shape[:-1] == f(X).shape


def test_places_found_by_differentiated_values() -> None:
    f = lambda x: coo_matrix((x, (np.argsort(-x), np.arange(8))), shape=(8, 8)) @ np.arange(8.0)  # noqa: E731
    jacobian = dd.jacobian(f)
    for x in (X, X[::-1].copy(), np.roll(X, 3)):
        np.testing.assert_allclose(jacobian(x), slopes_of_real(f, x), atol=1e-8)


def slopes_of_real(f: Any, x: Any) -> Any:
    """The Jacobian by differences, of what complex numbers cannot enter."""
    return np.stack([(f(x + 1e-6 * e) - f(x - 1e-6 * e)) / 2e-6 for e in np.eye(len(x))], axis=-1)


def test_single_and_double_precision_meet_as_in_scipy() -> None:
    x = X.astype(np.float32)
    for f in (
        lambda x: spsolve(_square(x), np.ones(4)),
        lambda x: ssl.splu(_square(x)).solve(np.ones(4, np.float32)),
        lambda x: _square(x) @ np.ones(4),
    ):
        for operator in (dd.jacfwd, dd.jacrev):
            assert dd.jvp(f, (x,), (x,))[0].dtype == f(x).dtype
            np.testing.assert_allclose(operator(f)(x), operator(f)(X), rtol=1e-3, atol=1e-3)
    for numbers in (np.ones(4), np.ones(4, complex)):
        for f in (
            lambda x, b=numbers: ssl.splu(_square(x)).solve(b),
            lambda x, b=numbers: FACTORS.solve(x[:4] * b * 1j),
        ):
            with pytest.raises(TypeError, match=r"Cannot cast array data.*'safe'"):
                dd.jacrev(f)(x)


# --------------------------------------------------------------------------------------------------
# what is refused


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x: NEW(x), "returned a sparse matrix.*J.toarray"),
        (lambda x: NEW(x).tocsr().maximum(0.5), "csr_array.maximum.*not differentiated"),
        (lambda x: (NEW(x) > 0.5).toarray(), "a comparison.*K.toarray"),
        (lambda x: 1.0 / NEW(x), "division by it"),
        (lambda x: NEW(x).tolil().data[0][0], "Python objects.*tocoo"),
        (lambda x: OF_OLD(x).sum(axis=1) * 2.0, "np.matrix.*np.asarray"),
        (lambda x: np.ravel(OF_OLD(x).todense()), "np.matrix.*np.asarray"),
        (lambda x: _writes_into_plain(x), "holds plain numbers.*lil_matrix"),
        (lambda x: flat(ssl.expm(_springs(x))), "scipy.sparse.linalg.expm .*K.toarray"),
        (lambda x: flat(ssl.inv(_springs(x))), "scipy.sparse.linalg.inv .*K.toarray"),
        (lambda x: ssl.spilu(_springs(x)).solve(np.ones(8)), "spilu.*splu"),
        (lambda x: ssl.splu(_springs(x)).L.toarray(), "SuperLU.L.*order of elimination"),
        (lambda x: spsolve(_square(x), csc_array(np.eye(4))).toarray(), r"spsolve\(A, B.toarray"),
        (
            lambda x: ssl.cg(_springs(x), x, M=ssl.LinearOperator((8, 8), lambda v: v / x))[0],
            "M of scipy.sparse.linalg.cg is a LinearOperator whose function uses differentiated values",
        ),
        (lambda x: ssl.lgmres(_springs(x), x, outer_v=[])[0], "outer_v= of scipy.sparse.linalg.lgmres"),
        (lambda x: dd.checkpoint(lambda A, x: A @ x)(_springs(x), x), "not among its arguments"),
        (lambda x: ssl.cg(_springs(x), x, M=ss.diags(1 / x))[0], "M= of scipy.sparse.linalg.cg.*stop_gradient"),
        (lambda x: ssl.gmres(_springs(x), x, maxiter=1, restart=1)[0], "gmres did not converge.*spsolve"),
    ],
)
def test_what_has_no_derivative_is_refused_at_the_users_line(call: Any, says: str) -> None:
    for operator in (dd.jacfwd, dd.jacrev):
        with pytest.raises(DerivativeError, match=rf"(?s)test_sparse.py, line \d+[^:]*: .*{says}"):
            operator(call)(X)


def _writes_into_plain(x: Any) -> Any:
    K = csr_array(S).tolil()
    K[0, 0] = x[0]
    return K.toarray()


def test_nothing_of_another_library_is_silently_lost() -> None:
    for call in (
        lambda x: np.asarray(NEW(x)),
        lambda x: np.dot(V4, NEW(x)),
        lambda x: np.linalg.norm(NEW(x)),
        lambda x: ssl.onenormest(_springs(x)),
    ):
        for operator in (dd.jacfwd, dd.jacrev):
            with pytest.raises((DerivativeError, TypeError)):
                operator(call)(X)
