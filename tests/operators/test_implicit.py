"""Solutions of equations: first, second and third derivatives, from either side, against closed forms and differences."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import scipy.optimize as so
import scipy.sparse
import scipy.sparse.linalg

import dualdiff as dd
from dualdiff.errors import (
    DegenerateError,
    InaccurateSolutionError,
    InputError,
    SingularSolutionError,
)
from dualdiff.testing import check

RNG = np.random.default_rng(0)
A = RNG.standard_normal((4, 4)) + 4 * np.eye(4)


def cubic(x: Any, p: Any) -> Any:
    return x**3 + p * x - 1


def cubic_root(p: Any) -> Any:
    return so.brentq(cubic, 0, 1, args=(p,), xtol=1e-15)


root = dd.implicit(cubic_root, cubic)
X = cubic_root(2.0)
SLOPE = -X / (3 * X**2 + 2)
CURVATURE = -(SLOPE * (3 * X**2 + 2) - X * (6 * X * SLOPE + 1)) / (3 * X**2 + 2) ** 2


def along(f: Any) -> Any:
    return lambda p: dd.jvp(f, (p,), (1.0,))[1]


def system(x: Any, p: Any) -> Any:
    return A @ x + 0.1 * x**3 - p


solution = dd.implicit(lambda p: so.fsolve(system, np.zeros(4), args=(p,), xtol=1e-13), system)


def test_the_value_is_the_solvers() -> None:
    assert root(2.0) == X
    assert dd.value_and_grad(root)(2.0)[0] == X


@pytest.mark.parametrize("outer", [dd.grad, along], ids=["reverse", "forward"])
@pytest.mark.parametrize("inner", [dd.grad, along], ids=["reverse", "forward"])
def test_every_order_and_every_mode_over_every_other(outer: Any, inner: Any) -> None:
    assert inner(root)(2.0) == pytest.approx(SLOPE, rel=1e-12)
    second = outer(inner(root))
    assert second(2.0) == pytest.approx(CURVATURE, rel=1e-12)
    third = dd.grad(second)(2.0)
    h = 1e-4
    assert third == pytest.approx((second(2.0 + h) - second(2.0 - h)) / (2 * h), rel=1e-6)


def test_a_system_and_its_hessian() -> None:
    p = np.arange(4.0)
    J = np.linalg.inv(A + 0.3 * np.diag(solution(p) ** 2))
    for jac in (dd.jacfwd, dd.jacrev, dd.jacobian):
        np.testing.assert_allclose(jac(solution)(p), J, rtol=1e-12, atol=1e-14)
    want = np.stack([-J @ np.diag(0.6 * solution(p) * J[:, k]) @ J for k in range(4)], axis=-1)
    for f in (dd.jacfwd(dd.jacfwd(solution)), dd.jacrev(dd.jacrev(solution)), dd.jacfwd(dd.jacrev(solution))):
        np.testing.assert_allclose(f(p), want, rtol=1e-10, atol=1e-13)
    assert check(solution, p).verdict == "agree"


def test_parameters_and_solutions_are_structures() -> None:
    f = dd.implicit(
        lambda q, *, s: {"a": q["u"] ** 2, "b": np.ones(2) * q["v"] * s},
        lambda x, q, *, s: (x["a"] - q["u"] ** 2, x["b"] - q["v"] * s),
    )
    J = dd.jacobian(lambda q: f(q, s=2.0))({"u": 2.0, "v": 3.0})
    assert J["a"]["u"] == 4.0
    assert J["a"]["v"] == 0.0
    np.testing.assert_array_equal(J["b"]["v"], [2.0, 2.0])
    assert dd.grad(root, argnums="p")(2.0) == dd.grad(root)(2.0)


def test_precision_and_complex_solutions() -> None:
    halves = dd.implicit(np.sqrt, lambda x, p: x * x - p)
    J = dd.jacobian(halves)(np.array([2, 3], np.float32))
    assert J.dtype == np.float32
    np.testing.assert_allclose(J, np.diag(0.5 / np.sqrt([2, 3])), rtol=1e-6)
    z = dd.implicit(lambda p: np.sqrt(p + 0j), lambda z, p: z * z - p)
    np.testing.assert_allclose(dd.jvp(z, (-4.0,), (1.0,))[1], 1 / (2 * 2j))
    both = dd.jacobian(lambda p: z(p[0] + 1j * p[1]), mode="reverse")
    np.testing.assert_allclose(both(np.array([3.0, 4.0])), [1 / (2 * (2 + 1j)), 1j / (2 * (2 + 1j))])


def test_what_is_closed_over_is_differentiated() -> None:
    def f(p: Any) -> Any:
        def residual(x: Any) -> Any:
            return cubic(x, p)

        return dd.implicit(lambda: so.brentq(residual, 0, 1, xtol=1e-15), residual)()

    assert dd.grad(f)(2.0) == pytest.approx(SLOPE, rel=1e-12)
    assert along(dd.grad(f))(2.0) == pytest.approx(CURVATURE, rel=1e-12)


class Model:
    """A residual that reads a parameter from an attribute."""

    def __init__(self, p: Any) -> None:
        self.p = p

    def residual(self, x: Any) -> Any:
        return cubic(x, self.p)


@pytest.mark.parametrize("jac", [dd.grad, along], ids=["reverse", "forward"])
def test_what_is_hidden_in_an_object_is_found(jac: Any) -> None:
    f = lambda p: dd.implicit(lambda: X, Model(p).residual)()  # noqa: E731
    assert jac(f)(2.0) == pytest.approx(SLOPE, rel=1e-12)
    assert jac(jac(f))(2.0) == pytest.approx(CURVATURE, rel=1e-12)


def test_eager_tensors_to_the_second_order() -> None:
    p = dd.tensor(2.0, requires_grad=True)
    (first,) = dd.gradients(root(p), [p], create_graph=True)
    (second,) = dd.gradients(first, [p])
    assert first.item() == pytest.approx(SLOPE, rel=1e-12)
    assert second.item() == pytest.approx(CURVATURE, rel=1e-12)


def test_a_compiled_function_solves_again() -> None:
    value, slope = dd.compile(lambda p: 2 * root(p)), dd.compile(dd.grad(root))
    for p in (2.0, 2.0, 2.0, 3.0, 4.0):
        assert value(p) == 2 * root(p)
        assert slope(p) == dd.grad(root)(p)


CURRENT: list[Any] = [0.0]


def of_the_module(x: Any) -> Any:
    return cubic(x, CURRENT[0])


def hidden(p: Any) -> Any:
    CURRENT[0] = p
    return dd.implicit(lambda: cubic_root(float(dd.stop_gradient(p))), of_the_module)()


@pytest.mark.parametrize("jac", [dd.grad, along], ids=["reverse", "forward"])
def test_what_is_hidden_in_the_module_is_found(jac: Any) -> None:
    assert jac(hidden)(2.0) == pytest.approx(SLOPE, rel=1e-12)
    assert jac(jac(hidden))(2.0) == pytest.approx(CURVATURE, rel=1e-12)


def test_a_compiled_function_keeps_nothing_that_hides() -> None:
    f = dd.compile(hidden)
    with pytest.warns(dd.errors.CompileWarning, match="Make it an argument"):
        found = [f(2.0), f(3.0)]
    assert found == pytest.approx([cubic_root(2.0), cubic_root(3.0)])


@pytest.mark.parametrize("n", [12, 120])
@pytest.mark.parametrize("linear_solver", ["auto", "dense", "sparse", "gmres"])
def test_large_systems_by_every_linear_solver(linear_solver: str, n: int) -> None:
    L = scipy.sparse.diags([1.0, -4.0, 1.0], [-1, 0, 1], shape=(n, n)).tocsr()

    def residual(u: Any, c: Any) -> Any:
        return L @ u + c * np.exp(-u)

    def solve(c: Any) -> Any:
        u = np.zeros(n)
        for _ in range(30):
            J = (L + scipy.sparse.diags_array(np.broadcast_to(-c * np.exp(-u), n))).tocsc()
            u = u - scipy.sparse.linalg.spsolve(J, residual(u, c))
        return u

    u = solve(1.0)
    J = L.toarray() - np.diag(np.exp(-u))
    f = dd.implicit(solve, residual, linear_solver=linear_solver)
    want = -np.linalg.solve(J, np.exp(-u))
    np.testing.assert_allclose(dd.jvp(f, (1.0,), (1.0,))[1], want, rtol=1e-8)
    weights = np.linspace(0, 1, n)
    np.testing.assert_allclose(dd.grad(lambda c: weights @ f(c))(1.0), weights @ want, rtol=1e-8)
    g = dd.grad(lambda c: np.sum(weights * f(c)))(np.ones(n))
    np.testing.assert_allclose(g, -np.linalg.solve(J.T, weights) * np.exp(-u), rtol=1e-7)


#: functions of p whose derivative must be refused, and how: (error, words)
REFUSED = {
    "inaccurate": (lambda p: p + 0.1, lambda x, p: x - p, InaccurateSolutionError, "equations leave 0.1"),
    "singular": (lambda p: 1.0, lambda x, p: (x - 1) ** 2 + 0 * p, SingularSolutionError, "condition number .* inf"),
    "a double root": (
        lambda p: 1 + 1e-9,
        lambda x, p: x * x - 2 * x + 1 + 0 * p,
        SingularSolutionError,
        "multiple root",
    ),
    "too few equations": (lambda p: np.array([p, p]), lambda x, p: x[0] - p, InputError, "1 entries for 2 unknowns"),
    "no equation of x": (lambda p: p, lambda x, p: p - p, SingularSolutionError, "determine all unknowns"),
    "two that are one": (
        lambda p: np.array([p, 0.0]),
        lambda x, p: np.stack([x[0] + x[1] - p, 2 * (x[0] + x[1] - p)]),
        SingularSolutionError,
        "condition number",
    ),
    "not finite": (lambda p: -1.0, lambda x, p: np.sqrt(x) - p, InaccurateSolutionError, "not finite"),
}


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(("solve", "residual", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_derivative_is_refused_with_the_numbers(solve: Any, residual: Any, error: Any, words: str) -> None:
    f = dd.implicit(solve, residual)
    for jac in (dd.jacfwd, dd.jacrev):
        with pytest.raises(error, match=words) as caught:
            jac(f)(2.0)
        assert "test_implicit.py" in str(caught.value)
        if error is InaccurateSolutionError:
            assert caught.value.residual is not None


def test_scales_say_nothing_about_a_system() -> None:
    units = np.array([1e12, 1.0, 1e-12, 1e-6])
    f = dd.implicit(lambda p: solution(p) / units, lambda x, p: system(x * units, p) * units[::-1])
    p = np.arange(4.0)
    np.testing.assert_allclose(dd.jacobian(f)(p) * units[:, None], dd.jacobian(solution)(p), rtol=1e-8, atol=1e-12)


def test_the_error_is_of_the_order_of_the_tolerance() -> None:
    for tolerance in (3e-4, 1e-5, 1e-8):
        f = dd.implicit(lambda p, xtol=tolerance: so.bisect(cubic, 0, 1, args=(p,), xtol=xtol), cubic)
        off = abs(f(2.0) - X)
        assert off <= tolerance
        assert abs(dd.grad(f)(2.0) - SLOPE) <= 3 * off
    assert off > 0


def test_a_solver_may_write_into_what_it_is_given() -> None:
    def solve(p: Any) -> Any:
        x = np.sqrt(p)
        p[:] = 0.0
        return x

    f = dd.implicit(solve, lambda x, p: x * x - p)
    p = np.array([4.0, 9.0])
    np.testing.assert_allclose(dd.jacobian(lambda p: f(p + 0.0))(p), np.diag([1 / 4, 1 / 6]))


def test_pickles_and_threads() -> None:
    f = pickle.loads(pickle.dumps(root))
    points, compiled = np.linspace(1.0, 5.0, 40), dd.compile(root)
    with ThreadPoolExecutor(4) as pool:
        slopes, values = list(pool.map(dd.grad(f), points)), list(pool.map(compiled, points))
    assert slopes == [dd.grad(root)(p) for p in points]
    assert values == [root(p) for p in points]
    assert threading.active_count() >= 1


def test_bad_options() -> None:
    with pytest.raises(InputError, match="linear_solver"):
        dd.implicit(cubic_root, cubic, linear_solver="magic")
    with pytest.raises(InputError, match="residual must be a function"):
        dd.implicit(cubic_root, 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'str'"):
        dd.grad(dd.implicit(lambda p: "x", cubic))(2.0)


# -- fixed points ---------------------------------------------------------------------------------------


def test_fixed_points() -> None:
    f = dd.fixed_point(lambda x, p: np.cos(x) * p, 0.5)
    x = f(0.7)
    slope = np.cos(x) / (1 + 0.7 * np.sin(x))
    for start in (0.5, x):  # started at the answer as well
        g = dd.fixed_point(lambda x, p: np.cos(x) * p, start)
        assert dd.grad(g)(0.7) == pytest.approx(slope, rel=1e-11)
    two = dd.fixed_point(lambda x, p: (np.cos(x[0]) * p[0], 0.3 * x[1] + p[1]), (0.5, 0.0))
    J = dd.jacobian(two)(np.array([0.7, 0.2]))
    np.testing.assert_allclose(J[0], [slope, 0.0], rtol=1e-11)
    np.testing.assert_allclose(J[1], [0.0, 1 / 0.7], rtol=1e-11)
    with pytest.raises(InaccurateSolutionError, match="not settled after 5 steps"):
        dd.fixed_point(lambda x, p: np.cos(x) * p, 0.5, maxiter=5)(0.7)


# -- minima ---------------------------------------------------------------------------------------------


def cost(x: Any, p: Any) -> Any:
    return np.sum((x - p) ** 4 + (x - p) ** 2) + 0.1 * np.sum(x) ** 2


P = np.array([0.1, 0.5, 2.0])
START = np.full(3, 0.3)
MINIMA = {
    "free": dd.argmin(cost, START),
    "bounds": dd.argmin(cost, START, bounds=(0.0, 1.0)),
    "bounds that do not bind": dd.argmin(cost, START, bounds=([-9.0, None, None], 9.0)),
    "an equation": dd.argmin(cost, START, equality=lambda x, p: x[0] + x[1] ** 2 - 1 - p[0]),
    "both": dd.argmin(cost, START, bounds=(0.0, 1.0), equality=lambda x, p: np.sum(x) - 1.5 - p[0]),
    "by another method": dd.argmin(cost, START, method="CG", tol=1e-4),
}


@pytest.mark.parametrize("f", MINIMA.values(), ids=MINIMA)
def test_minima(f: Any) -> None:
    h, J = 1e-5, dd.jacfwd(f)(P)
    np.testing.assert_allclose(dd.jacrev(f)(P), J, rtol=1e-9, atol=1e-12)
    steps = [(f(P + h * e), f(P - h * e), dd.jacrev(f)(P + h * e), dd.jacrev(f)(P - h * e)) for e in np.eye(3)]
    np.testing.assert_allclose(J, np.stack([(a - b) / (2 * h) for a, b, _, _ in steps], axis=-1), atol=1e-8)
    want = np.stack([(c - d) / (2 * h) for _, _, c, d in steps], axis=-1)
    np.testing.assert_allclose(dd.jacfwd(dd.jacrev(f))(P), want, atol=1e-6)


def test_a_minimum_moves_with_its_bound() -> None:
    f = lambda b: dd.argmin(cost, START, bounds=(0.0, b))(P)  # noqa: E731
    np.testing.assert_array_equal(f(1.0)[[0, 2]], [0.0, 1.0])
    slope = dd.jacobian(f)(1.0)
    np.testing.assert_array_equal(slope[[0, 2]], [0.0, 1.0])
    assert slope[1] != 0.0


def test_a_structure_is_minimised() -> None:
    f = dd.argmin(lambda x, p: (x["a"] - p) ** 2 + np.sum((x["b"] - x["a"]) ** 2), {"a": 0.0, "b": np.zeros(2)})
    J = dd.jacobian(f)(3.0)
    np.testing.assert_allclose([J["a"], *J["b"]], 1.0, rtol=1e-10)


def test_degenerate_bounds_are_refused_where_they_are_differentiated() -> None:
    f = dd.argmin(lambda x, p: np.sum((x - p) ** 2), START, bounds=(0.0, 1.0))
    p = np.array([0.5, 1.0, 2.0])
    np.testing.assert_allclose(f(p), [0.5, 1.0, 1.0])
    for jac in (dd.jacfwd, dd.jacrev):
        with pytest.raises(DegenerateError, match="bound of variable 1"):
            jac(f)(p)


def test_a_minimum_that_is_not_isolated_is_refused() -> None:
    with pytest.raises(SingularSolutionError):
        dd.jacobian(dd.argmin(lambda x, p: (x[0] + x[1] - p) ** 2, np.zeros(2)))(1.0)


def test_a_search_that_ends_at_a_maximum_or_a_saddle_is_refused() -> None:
    double_well = lambda x, p: (x**2 - p) ** 2  # noqa: E731
    circle = {"equality": lambda x, p: x @ x - 2.0}
    product = lambda x, p: p * x[0] * x[1]  # noqa: E731
    for stuck in (
        dd.argmin(double_well, 0.0),
        dd.argmin(double_well, 0.0, bounds=(-5.0, 5.0)),
        dd.argmin(product, np.ones(2), **circle),
    ):
        with pytest.raises(InaccurateSolutionError, match="no minimum"):
            stuck(2.0)
    assert dd.grad(dd.argmin(double_well, 0.3))(2.0) == pytest.approx(0.5 / 2**0.5)
    np.testing.assert_allclose(dd.argmin(product, np.array([1.0, 0.8]), **circle)(2.0), [1.0, -1.0])
