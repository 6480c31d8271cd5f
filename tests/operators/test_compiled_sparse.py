"""Sparse Jacobians and Hessians as programs: the eager matrix at every point, and no more steps for more entries."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import dualdiff as dd
from dualdiff.errors import StaleProgramError

rng = np.random.default_rng(0)


def broyden(x: Any) -> Any:
    y = (3 - 2 * x) * x + 1
    y[1:] -= x[:-1]
    y[:-1] -= 2 * x[1:]
    return y


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def with_empty_lines(x: Any) -> Any:
    y = np.zeros_like(x)
    y[1::3] = x[::3][: len(y[1::3])] ** 2
    return y


def arrow(x: Any) -> Any:
    return np.concatenate([[np.sum(np.exp(x))], x[1:] * x[0]])


def by_rows(x: Any) -> Any:
    z = x.reshape(-1, 5)
    return np.sum(z**2, axis=1) * z[:, 0]


def chosen(x: Any) -> Any:
    return np.where(x > 0, np.sqrt(np.abs(x)), x**2) * x[::-1]


FUNCTIONS = [broyden, with_empty_lines, arrow, by_rows, chosen]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"mode": "forward"},
    {"mode": "reverse"},
    {"mode": "mixed"},
    {"coloring": "columns"},
    {"coloring": "both"},
    {"chunk": 2},
]


def same(found: Any, expected: Any, rtol: float = 1e-12) -> None:
    """Hold a matrix against another in everything that users see."""
    assert type(found) is type(expected) is csr_array
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    for name in ("indices", "indptr"):
        a, b = getattr(found, name), getattr(expected, name)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert found.has_canonical_format
    np.testing.assert_allclose(
        found.data, expected.data, rtol=rtol, atol=rtol * np.max(np.abs(expected.data), initial=0)
    )


def hold(operator: Any, points: Any, rtol: float = 1e-12) -> Any:
    """Compile an operator and hold the program against it; return the program."""
    program = dd.compile(operator)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for x in points:
            same(program(x), operator(x), rtol)
    return program


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [10, 90])
def test_jacobians(f: Any, options: dict[str, Any], n: int) -> None:
    points = [rng.uniform(-2, 2, n) for _ in range(3)]
    hold(dd.jacobian(f, sparse=True, **options), points)


@pytest.mark.parametrize("coloring", [None, "star", "acyclic", "columns"])
@pytest.mark.parametrize("n", [10, 90])
def test_hessians(coloring: Any, n: int) -> None:
    points = [rng.uniform(-2, 2, n) for _ in range(3)]
    hold(dd.hessian(rosenbrock, sparse=True, coloring=coloring), points)
    program = dd.compile(dd.hessian(rosenbrock))
    for x in points:
        np.testing.assert_allclose(program(x), dd.hessian(rosenbrock)(x), rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("n", [10, 90])
def test_float32_stays_float32(n: int) -> None:
    points = [rng.uniform(-2, 2, n).astype(np.float32) for _ in range(3)]
    for options in OPTIONS:
        hold(dd.jacobian(broyden, sparse=True, **options), points, 1e-5)
    hold(dd.hessian(lambda x: np.sum(x[1:] ** 2 * x[:-1]), sparse=True), points, 1e-5)


def test_values_aux_and_structures_come_with_it() -> None:
    def f(p: Any) -> Any:
        return {"a": p["x"][1:] * p["x"][:-1], "b": p["y"] ** 2}, np.sum(p["x"])

    operator = dd.value_and_jacobian(f, sparse=True, has_aux=True)
    program = dd.compile(operator)
    for scale in (1.0, 2.0, -0.5):
        p = {"x": scale * np.arange(1.0, 6.0), "y": scale}
        (value, aux), J = program(p)
        (expected, extra), matrix = operator(p)
        same(J, matrix)
        np.testing.assert_allclose(value["a"], expected["a"])
        assert (value["b"], aux) == (expected["b"], extra)


def test_results_are_the_users_own() -> None:
    x = np.linspace(0.5, 1.5, 20)
    program = dd.compile(dd.jacobian(broyden, sparse=True), check_every=None)
    first = program(x)
    first.data[:] = 0
    first.indices[:] = 0
    first.indptr[:] = 0
    first.resize(2, 2)
    same(program(x), dd.jacobian(broyden, sparse=True)(x))


# --------------------------------------------------------------------------------------------------
# what the pattern comes from


def test_a_branch_has_its_own_pattern() -> None:
    def f(x: Any) -> Any:
        return x[1:] * x[:-1] if x[0] > 0 else x[1:] * x[0]

    program = hold(dd.jacobian(f, sparse=True), [X, -X, 2 * X, -2 * X, X])
    assert any("f(" not in c and "greater" in c for c in program.explain(X).checks)


X = np.linspace(0.5, 1.5, 12)


def test_an_array_that_is_replaced_makes_another_program() -> None:
    matrix = np.diag(np.arange(1.0, 13.0))
    operator = dd.jacobian(lambda x: np.sin(matrix @ x), sparse=True)
    program = hold(operator, [X, 2 * X])
    matrix = np.diag(np.arange(1.0, 13.0)) + np.eye(12, k=3)
    same(program(X), operator(X))


def test_an_array_that_is_written_into_is_found() -> None:
    matrix = np.diag(np.arange(1.0, 13.0))
    operator = dd.jacobian(lambda x: np.sin(matrix @ x), sparse=True)
    program = dd.compile(operator)
    program(X)
    matrix[0, 5] = 1.0
    with pytest.raises(StaleProgramError, match="was written into"):
        program(X)
    same(program(X), operator(X))


@pytest.mark.parametrize("n", [8, 60])
@pytest.mark.parametrize(
    "f",
    [
        lambda A, k, x: np.sin(A @ x) * x,
        lambda A, k, x: np.convolve(x, k, "same") ** 2,
        lambda A, k, x: np.einsum("ij,j->i", A, x) ** 2,
    ],
)
def test_the_zeros_of_an_argument_are_a_decision(f: Any, n: int) -> None:
    operator = dd.jacobian(f, 2, sparse=True)
    program = dd.compile(operator)
    A = np.diag(rng.uniform(1, 2, n)) + np.diag(rng.uniform(1, 2, n - 3), -3)
    k, x = np.array([1.0, 0.0, 2.0]), rng.uniform(0.5, 1, n)
    B = A.copy()
    B[0, 5] = 1.0
    for args in ((A, k), (2 * A, 3 * k), (B, k[::-1].copy()), (B, np.array([1.0, 4.0, 2.0])), (A, k)):
        same(program(*args, x), operator(*args, x))
    assert program.explain(A, k, x).checks


def test_zeros_that_are_computed_stay_in_the_pattern() -> None:
    operator = dd.jacobian(lambda x: x**2 * x[::-1], sparse=True)
    hold(operator, [np.zeros(6), np.ones(6), np.array([0.0, 1.0, 0.0, 2.0, 0.0, 3.0])])
    assert operator(np.zeros(6)).nnz == 12


# --------------------------------------------------------------------------------------------------
# as many steps for more entries


@pytest.mark.parametrize(
    ("operator", "sizes"),
    [
        (dd.hessian(rosenbrock), (100, 150)),
        (dd.hessian(rosenbrock, sparse=True), (10_000, 20_000)),
        (dd.hessian(rosenbrock, sparse=True, coloring="star"), (1000, 10_000)),
        (dd.jacobian(broyden, sparse=True), (10_000, 20_000)),
        (dd.jacobian(broyden, sparse=True, coloring="columns"), (1000, 10_000)),
        (dd.jacobian(broyden, sparse=True, mode="reverse"), (1000, 10_000)),
        (dd.jacobian(arrow, sparse=True), (1000, 10_000)),
        (dd.jacobian(dd.jacobian(broyden, mode="forward"), mode="forward"), (60, 80)),
        (dd.hessian(lambda x: np.sum(x**3) * np.mean(x)), (100, 150)),
        (dd.hessian(lambda x: np.sum(np.sum(np.exp(x.reshape(-1, 5)), axis=1) ** 2)), (150, 200)),
        (dd.jacobian(lambda x: np.sum(x.reshape(5, -1) ** 3, axis=1), mode="forward"), (500, 1000)),
    ],
)
def test_the_number_of_steps_does_not_grow(operator: Any, sizes: tuple[int, int]) -> None:
    counts = []
    for n in sizes:
        x = np.linspace(0.5, 1.5, n)
        program = dd.compile(operator)
        found, expected = program(1.1 * x), operator(1.1 * x)
        if hasattr(found, "toarray"):
            same(found, expected)
        else:
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-9)
        counts.append(program.explain(x).equations)
    assert counts[0] == counts[1] < 150


def test_scalar_code_takes_a_step_for_each_of_its_operations_and_one_to_collect() -> None:
    def f(x: Any) -> Any:
        a, b = x[0] * x[1], x[2]
        for i in range(len(x)):
            a, b = b * np.sin(x[i]), a + x[i]
        return np.array([a, b, a * b])

    counts = []
    for n in (20, 40):
        program = dd.compile(dd.jacobian(f, mode="forward"))
        x = np.linspace(0.1, 1, n)
        np.testing.assert_allclose(program(x), dd.jacobian(f)(x), rtol=1e-12)
        counts.append(program.explain(x).equations)
    assert counts[1] < 4.5 * counts[0]  # one that writes all directions out, number by number, would be beyond


def test_a_branch_with_more_nonzeros_than_the_one_that_was_decided_on() -> None:
    def f(x: Any) -> Any:
        return x**2 if x[0] > 0 else x * np.sum(x)

    operator = dd.jacobian(f, sparse=True, mode="forward")
    assert [operator(x).nnz for x in (X, -X, X)] == [12, 144, 12]
    program = dd.compile(operator)
    for x in (X, -X, 2 * X, -2 * X, X):
        np.testing.assert_allclose(program(x).toarray(), dd.jacobian(f)(x), rtol=1e-13)
