"""Every way of the register that says it nests: inside other operators, and recorded as a program."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array

import dualdiff as dd
from dualdiff.errors import CompileWarning, InputError, UnsupportedFunctionError
from dualdiff.matrices import TracedMatrix
from dualdiff.ways import WAYS, register
from dualdiff.ways.colored import Columns

X = np.array([0.5, 1.25, -0.75, 0.3, 1.5, -1.1, 0.8, 0.2])


def stencil(x: Any) -> Any:
    y = x**3 - np.sin(x)
    y[1:] += x[:-1] * x[1:]
    y[:-1] -= x[1:] ** 2
    return y


def loop(x: Any) -> Any:
    a = x[0] * x[1]
    for i in range(3):
        a = np.sin(a) * x[i] + x[i + 1]
    y = np.zeros_like(x)
    y[0], y[2], y[5] = a, a * x[4], x[7] ** 2
    return y


def waist(x: Any) -> Any:
    z = np.sin(x[:2]) * x[2:4]
    return np.outer(np.exp(z), np.arange(1.0, 6.0)).ravel() * z[0]


def arrow(x: Any) -> Any:
    y = x * x[0]
    y[0] = np.sum(x**3)
    return y


FUNCTIONS = [stencil, loop, waist, arrow]
ASKED = [(kind, way) for way in WAYS if way.nests for kind in way.asked]
IDS = [f"{kind}, {way.name}" for kind, way in ASKED]


def potential(x: Any) -> Any:
    return np.sum((x[1:] - x[:-1] ** 2) ** 2) + np.sum(np.exp(x) * x[0])


def dense(J: Any) -> Any:
    return J.toarray() if hasattr(J, "toarray") else J


def operator_of(kind: str, way: Any, f: Any) -> Callable[..., Any]:
    if kind != "symmetric":
        return dd.jacobian(f, **way.options(kind))
    options = way.options(kind)
    return dd.hessian(potential, **{name: options[name] for name in options.keys() - {"symmetric"}})


def has_no_waist(operator: Any) -> bool:
    """Whether a way does not apply, and says so: the product through a waist is the only one that may."""
    try:
        operator(X)
    except InputError as error:
        if "this program has none" not in str(error):
            raise
        return True
    return False


@pytest.mark.parametrize(("kind", "way"), ASKED, ids=IDS)
@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_inside_other_operators(kind: str, way: Any, f: Any) -> None:
    operator = operator_of(kind, way, f)
    g = dd.grad(potential) if kind == "symmetric" else f
    if has_no_waist(operator):
        return
    expected = dd.jacfwd(dd.jacrev(g))(X)
    for outer in (dd.jacfwd, dd.jacrev):
        np.testing.assert_allclose(outer(lambda x: dense(operator(x)))(X), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("kind", "way"), ASKED, ids=IDS)
@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_as_a_program(kind: str, way: Any, f: Any) -> None:
    operator = operator_of(kind, way, f)
    program = dd.compile(operator)
    if has_no_waist(operator):
        return
    for x in (X, 0.5 * X, X[::-1].copy(), X):
        expected = operator(x)
        with warnings.catch_warnings():
            warnings.simplefilter("error", CompileWarning)
            found = program(x)
        assert type(found) is type(expected)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(dense(found), dense(expected), rtol=1e-13, atol=1e-13)
        if kind != "dense":
            np.testing.assert_array_equal(found.indptr, expected.indptr)
            np.testing.assert_array_equal(found.indices, expected.indices)
            assert found.indptr.dtype == expected.indptr.dtype
            assert found.indices.dtype == expected.indices.dtype
    assert program.explain(X).steps


def test_a_program_through_a_waist_goes_through_it_in_the_program_too() -> None:
    def f(x: Any) -> Any:
        return np.cos(np.linspace(0, 1, 600).reshape(200, 3) @ np.sin(np.linspace(1, 2, 600).reshape(3, 200) @ x))

    x = np.linspace(0, 1, 200)
    operator = dd.jacobian(f)
    assert operator.explain(x).chosen == "mixed"
    program = dd.compile(operator)
    np.testing.assert_allclose(program(x), operator(x), rtol=1e-12, atol=1e-12)


# --------------------------------------------------------------------------------------------------
# what a sparse matrix of traced numbers answers


def seen_inside(look: Callable[[Any], Any], x: Any = X) -> Any:
    """Return what a function makes of a sparse Jacobian inside of another operator, where its numbers are traced."""
    found: list[Any] = []

    def f(x: Any) -> Any:
        J = dd.jacobian(stencil, sparse=True)(x)
        assert type(J) is TracedMatrix
        found.append(look(J))
        return x

    dd.jvp(f, (x,), (x,))
    return found[0]


V, W = np.linspace(-1, 1, 8), np.arange(24.0).reshape(8, 3)


@pytest.mark.parametrize(
    "look",
    [
        lambda J: J @ V,
        lambda J: V @ J,
        lambda J: J @ W,
        lambda J: W.T @ J,
        lambda J: J.T @ V,
        lambda J: J.T @ W,
        lambda J: W.T @ J.T,
        lambda J: J.dot(V),
        lambda J: J.transpose().toarray(),
        lambda J: J.T.T.toarray(),
        lambda J: (2 * J).toarray() + (J * 3.0).toarray() - (J / 4).toarray() + (-J).toarray(),
        lambda J: np.sum(J.data**2),
        lambda J: J.copy().toarray(),
        lambda J: J @ list(V),
    ],
)
def test_what_is_linear_is_what_scipy_makes_of_it(look: Any) -> None:
    def outer(x: Any) -> Any:
        return look(dd.jacobian(stencil, sparse=True)(x))

    plain = look(dd.jacobian(stencil, sparse=True)(X))
    value, tangent = dd.jvp(outer, (X,), (V,))
    np.testing.assert_allclose(value, plain, rtol=1e-13, atol=1e-13)
    h = 1e-5
    np.testing.assert_allclose(tangent, (outer(X + h * V) - outer(X - h * V)) / (2 * h), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(dd.compile(outer)(X), plain, rtol=1e-13, atol=1e-13)


def test_a_differentiated_factor_is_differentiated_too() -> None:
    def f(x: Any) -> Any:
        J = dd.jacobian(stencil, sparse=True)(x)
        return np.sum((J @ np.sin(x)) * (x @ J))

    def by_hand(x: Any) -> Any:
        J = dd.jacobian(stencil)(x)
        return np.sum((J @ np.sin(x)) * (x @ J))

    np.testing.assert_allclose(dd.grad(f)(X), dd.grad(by_hand)(X), rtol=1e-12)
    np.testing.assert_allclose(dd.hessian(f)(X), dd.hessian(by_hand)(X), rtol=1e-11, atol=1e-11)
    program = dd.compile(dd.grad(f))
    for x in (X, 2 * X):
        np.testing.assert_allclose(program(x), dd.grad(f)(x), rtol=1e-12)


def test_its_pattern_can_be_asked_for() -> None:
    J = dd.jacobian(stencil, sparse=True)(X)
    asked = seen_inside(lambda J: (J.shape, J.dtype, J.nnz, J.ndim, J.format, J.indices, J.indptr, J.T.format, repr(J)))
    assert asked[:5] == (J.shape, J.dtype, J.nnz, 2, "csr")
    np.testing.assert_array_equal(asked[5], J.indices)
    np.testing.assert_array_equal(asked[6], J.indptr)
    assert asked[7:] == ("csc", "<8x8 sparse matrix of 22 traced numbers>")


@pytest.mark.parametrize(
    ("look", "what"),
    [
        (lambda J: J[0, 1], r"indexing.*J.toarray\(\)\[i, j\]"),
        (lambda J: J + J, r"a sum.*J.toarray\(\) \+ B"),
        (lambda J: np.eye(8) - J, "a sum"),
        (lambda J: J @ J, r"two sparse matrices.*J @ B.toarray\(\)"),
        (lambda J: J @ csr_array(np.eye(8)), "two sparse matrices"),
        (lambda J: J * V, r"entry by entry.*J.toarray\(\) \* x"),
        (lambda J: np.asarray(J), r"a conversion to an array.*J.toarray\(\)"),
        (lambda J: np.linalg.norm(J), r"np.norm.*J.toarray\(\)"),
        (lambda J: J.__setitem__((0, 0), 1.0), "assignment"),
    ],
)
def test_what_it_does_not_answer_is_refused_by_name(look: Any, what: str) -> None:
    with pytest.raises(UnsupportedFunctionError, match=what):
        seen_inside(look)


def test_an_attribute_it_has_not_is_named_with_what_to_write() -> None:
    with pytest.raises(AttributeError, match=r"the attribute 'diagonal'.*J.toarray\(\).diagonal"):
        seen_inside(lambda J: J.diagonal())
    with pytest.raises(ValueError, match=r"a sparse matrix of shape \(8, 8\) times an array of shape \(3,\)"):
        seen_inside(lambda J: J @ V[:3])


def test_a_jacobian_that_is_constant_is_a_matrix_of_scipy() -> None:
    S = csr_array(np.where(np.arange(40) % 3 == 0, np.arange(1.0, 41.0), 0.0).reshape(5, 8))

    def f(x: Any) -> Any:
        J = dd.jacobian(lambda x: S @ x, sparse=True)(x)
        assert type(J) is csr_array
        return J @ x**2

    np.testing.assert_allclose(dd.jacobian(f)(X), S.toarray() * 2 * X, rtol=1e-14)


def test_a_function_that_returns_one_is_told_what_to_return() -> None:
    with pytest.raises(InputError, match=r"returned a sparse matrix.*J.data, a product J @ x, or J.toarray\(\)"):
        dd.jacobian(dd.jacobian(stencil, sparse=True))(X)


def test_programs_return_transposes_and_multiples_as_scipy_does() -> None:
    def f(x: Any) -> Any:
        J = dd.jacobian(stencil, sparse=True)(x)
        return {"T": J.T, "twice": 2 * J, "x": x**2}

    program = dd.compile(f)
    for x in (X, 2 * X):
        found, expected = program(x), f(x)
        assert type(found["T"]) is csc_array is type(expected["T"])
        for name in ("T", "twice"):
            np.testing.assert_array_equal(found[name].indices, expected[name].indices)
            np.testing.assert_allclose(found[name].data, expected[name].data, rtol=1e-14)


def test_a_sparse_jacobian_inside_is_refused_by_ways_that_only_give_numbers() -> None:
    def f(x: Any) -> Any:
        return np.sum(dd.jacobian(stencil, sparse=True, mode="finite-differences")(x).data)

    with pytest.raises(InputError, match="cannot see"):
        dd.grad(f)(X)


class Few(Columns):
    """Columns of functions with few outputs, nearly for nothing."""

    name = "few"
    asked = {"sparse": ("auto",)}  # noqa: RUF012
    most = 100

    @classmethod
    def at(cls, program: Any, options: Any, exact: bool = True) -> Any:
        return None if program.outputs > cls.most else super().at(program, options, exact)

    def quantities(self, program: Any) -> dict[str, float]:
        return {"frame": 1e-3}


@pytest.mark.parametrize("changed", [{"nests": False}, {"bound": False, "most": 7}], ids=str)
def test_a_way_that_is_known_outside_and_does_not_apply_inside_is_passed_over(
    changed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(Few)
    try:
        J = dd.jacobian(stencil, sparse=True)
        for _ in range(2):
            J(X)
        assert J.explain(X).chosen == "few"
        for name, value in changed.items():
            monkeypatch.setattr(Few, name, value)
        found = dd.grad(lambda x: np.sum(J(x).data ** 2))(X)
    finally:
        WAYS.remove(Few)
    expected = dd.grad(lambda x: np.sum(dd.jacobian(stencil, mode="forward")(x) ** 2))(X)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def two_outputs(x: Any, s: Any = 1.0) -> Any:
    at = np.arange(100)
    return s * np.sin(x) * x[np.where(at < 50, at, at - 1)], np.sum(np.sin(x) * x)


def test_rows_inside_another_operator_add_what_meets_in_one_place() -> None:
    def f(x: Any, **options: Any) -> Any:
        rows = dd.jacobian(two_outputs, **options)(x)
        return np.sum(rows.data**2) if options["mode"] == "forward" else sum(np.sum(r**2) for r in rows)

    x = np.linspace(0.3, 1.2, 100)
    found = dd.grad(lambda x: f(x, sparse=True, mode="forward"))(x)
    np.testing.assert_allclose(found, dd.grad(lambda x: f(x, mode="reverse"))(x), rtol=1e-12)


def test_a_value_of_an_outer_operator_that_comes_in_by_another_door() -> None:
    M, x = np.arange(1.0, 201.0).reshape(2, 100) / 100, np.linspace(0.3, 1.2, 100)

    def f(s: Any) -> Any:
        return np.sum(dd.jacobian(lambda x: (s * x**2, (M * s) @ np.sin(x)), sparse=True, mode="forward")(x).data ** 2)

    expected = 3.0 * (np.sum(4 * x**2) + np.sum((M * np.cos(x)) ** 2))
    np.testing.assert_allclose(dd.grad(f)(1.5), expected, rtol=1e-12)
