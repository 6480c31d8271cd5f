"""Linear programs and linear least squares of ``scipy.optimize``: vertices, bounds that bind, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize as so
import scipy.sparse

import dualdiff as dd
from dualdiff.errors import DegenerateError, InaccurateSolutionError, UnsupportedFunctionError

pytestmark = pytest.mark.filterwarnings("ignore::dualdiff.errors.CaptureWarning")

RNG = np.random.default_rng(0)
M, D = RNG.standard_normal((8, 3)), RNG.standard_normal(8)
C, A, B = np.array([-1.0, -2.0]), np.array([[1.0, 1.0], [1.0, 3.0]]), np.array([4.0, 6.0])
U = np.array([1.0, 0.3])


def slopes(f: Any, x: Any, h: float = 1e-5) -> Any:
    return np.stack([(np.asarray(f(x + h * e)) - np.asarray(f(x - h * e))) / (2 * h) for e in np.eye(len(x))], axis=-1)


COSTS = np.array([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0], [3.0, 2.0, 2.0]])
DATA = np.array([1.0, 3.0, 2.0, 4.0, 3.5])


def _assigned(C: Any) -> Any:
    i, j = so.linear_sum_assignment(C)
    return C[i, j].sum()


def _mixed(u: Any) -> Any:
    rows = so.LinearConstraint([[1.0, 1.0]], ub=1.5 * u[:1])
    return so.milp([-3.0 * u[0], -u[1]], integrality=[1, 0], constraints=rows, bounds=so.Bounds(0, 1))


CALLS = {
    "milp": lambda u: _mixed(u).x,
    "milp, its cost": lambda u: _mixed(u).fun,
    "an assignment": lambda u: _assigned(COSTS * u[0] + u[1] * np.eye(3)),
    "isotonic": lambda u: so.isotonic_regression(DATA * u[0], weights=1 + u[1] * DATA).x,
    "by the right side": lambda u: so.linprog(C, A, B + u).x,
    "by the matrix": lambda u: so.linprog(C, A * u[0] + np.eye(2) * 0.1 * u[1], [4.0, 6.0]).x,
    "the cost": lambda u: so.linprog(C * u[0], A, B + u).fun,
    "what is left": lambda u: so.linprog(C, np.vstack([A, [1, 0]]), np.append(B, 99.0) * u[0]).slack,
    "by a bound": lambda u: so.linprog(C, A, B, bounds=[(0, u[0]), (None, 9)]).x,
    "an equation": lambda u: so.linprog(C, A_eq=[[1, 1]], b_eq=[u[0]], bounds=(0, 0.7)).x,
    "a sparse matrix": lambda u: so.linprog(C, scipy.sparse.csr_array(A), B * u[0]).x,
    "lsq_linear": lambda u: so.lsq_linear(M * u[0], D + u[1]).x,
    "lsq_linear, some bounds": lambda u: so.lsq_linear(M * u[0], D + u[1], bounds=(-0.2, 0.2), method="bvls").x,
    "lsq_linear, its cost": lambda u: so.lsq_linear(M * u[0], D + u[1], bounds=(-0.2, 0.2)).cost,
    "lsq_linear, what is left": lambda u: so.lsq_linear(M * u[0], D + u[1]).fun,
    "lsq_linear by its bounds": lambda u: so.lsq_linear(M, D, bounds=(-0.1 * u[0], 0.1 * u[1]), method="bvls").x,
    "nnls": lambda u: so.nnls(M * u[0], D + u[1])[0],
    "nnls, its norm": lambda u: so.nnls(M * u[0], D + u[1])[1],
}


@pytest.mark.parametrize("f", CALLS.values(), ids=CALLS)
def test_programs(f: Any) -> None:
    J = slopes(f, U)
    value, found = dd.value_and_jacobian(f)(U)
    np.testing.assert_allclose(value, f(U), rtol=1e-14)
    np.testing.assert_allclose(found, J, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(dd.jacfwd(f)(U), found, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dd.jacfwd(dd.jacrev(f))(U), slopes(dd.jacrev(f), U), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda u: so.linprog(C, np.vstack([A, [2.0, 4.0]]), np.append(B, 10.0) * u[0]).x, "3 constraints bind"),
        (lambda u: so.linprog([-1.0, -1.0], A, B * u[0]).x, "one of many"),
        (lambda u: so.lsq_linear(np.ones((4, 2)), np.arange(4.0) * u[0]).x, "one of many"),
        (lambda u: so.nnls(np.eye(2), np.array([1.0, 0.0]) * u[0])[0], "degenerate"),
    ],
    ids=["a vertex of too many", "an edge", "columns that depend", "a multiplier of zero"],
)
def test_degenerate_answers_are_refused(f: Any, words: str) -> None:
    with pytest.raises(DegenerateError, match=words):
        dd.jacobian(f)(U)


def test_a_bound_binds_that_the_solver_comes_near_from_inside() -> None:
    """The trust region method ends before it, and its own mask says that the variable is free."""
    a, d = np.random.default_rng(1).standard_normal((5, 3)), np.arange(5.0)
    assert so.lsq_linear(a * 1.3, 0.7 * d, bounds=(-0.5, 0.5)).active_mask[2] == 0
    fit = lambda p, **how: so.lsq_linear(a * p[0], d * p[1], bounds=(-0.5, 0.5), **how).x  # noqa: E731
    p = np.array([1.3, 0.7])
    J = dd.jacobian(lambda p: fit(p, method="bvls"))(p)
    assert J[1].all()
    assert not J[[0, 2]].any()
    for tol in (1e-10, 1e-6):
        np.testing.assert_allclose(dd.jacobian(lambda p, tol=tol: fit(p, tol=tol))(p), J, rtol=1e-12)
    with pytest.raises(InaccurateSolutionError, match="off by"):
        dd.jacobian(lambda p: fit(p, max_iter=1))(p)


def test_a_program_without_answer_is_scipys() -> None:
    found = []
    dd.grad(lambda u: found.append(so.linprog(C, A, -B * u[0]).status) or u[0])(U)
    assert found[-1] == so.linprog(C, A, -B).status == 2


def test_what_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedFunctionError, match="integrality"):
        dd.jacobian(lambda u: so.linprog(C, A, B * u[0], integrality=1).x)(U)
    with pytest.raises(UnsupportedFunctionError, match="LinearOperator"):
        dd.jacobian(lambda u: so.lsq_linear(scipy.sparse.linalg.aslinearoperator(M), D * u[0]).x)(U)
    with pytest.raises(UnsupportedFunctionError, match=r"at \[1\.\s+0\.3\].*dd\.jacobian"):
        dd.jacobian(lambda u: so.approx_fprime(u, lambda x: np.sum(x**2)))(U)
    plain = dd.grad(lambda u: u[0] * so.approx_fprime(np.ones(1), lambda x: np.sum(x**2))[0])(U)
    assert plain[0] == pytest.approx(2.0, rel=1e-6)


def test_a_compiled_function_runs_as_it_is() -> None:
    f = dd.compile(lambda b: so.linprog(C, A, b).x)
    with pytest.warns(dd.errors.CompileWarning, match="which constraints bind"):
        f(B)
    for b in (B, np.array([4.0, 2.0])):
        np.testing.assert_array_equal(f(b), so.linprog(C, A, b).x)
