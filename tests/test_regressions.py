"""Wrong answers that other systems give without a word: each must be right here, or loud, in both modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize

import dualdiff as dd
from dualdiff.errors import DerivativeError, TracedAssignmentError, UnsupportedFunctionError
from dualdiff.testing import check

MODES = {"forward": dd.jacfwd, "reverse": dd.jacrev, "auto": dd.jacobian}
modes = pytest.mark.parametrize("jac", MODES.values(), ids=MODES)
X = np.array([0.5, 1.25, -0.75])
A = np.array([[1.0, 2.0, 0.5], [0.25, -1.0, 3.0]])

#: functions after which a Jacobian of another system is all zeros (1)
ENDINGS: dict[str, Any] = {
    "concatenate": lambda x: np.concatenate([x, x * 2]),
    "stack": lambda x: np.stack([x, x * 2]),
    "hstack": lambda x: np.hstack([x, x * 2]),
    "where": lambda x: np.where(x > 0, x, 2 * x),
    "outer": lambda x: np.outer(x, x),
    "cumsum": lambda x: np.cumsum(x),
    "roll": lambda x: np.roll(x, 1),
    "diff": lambda x: np.diff(x),
    "einsum": lambda x: np.einsum("ij,j->i", A, x),
    "tile": lambda x: np.tile(x, 2),
    "clip": lambda x: np.clip(x, -0.6, 1.0),
    "array": lambda x: np.array([x[0], x[1] * x[2]]),
    "array of rows": lambda x: np.array([[x[0], 1.0], [x[1], x[2]]]),
    "concat": lambda x: getattr(np, "concat", np.concatenate)([x, x]),
    "dstack": lambda x: np.dstack([x, x * 2]),
    "vstack": lambda x: np.vstack([x, x * 2]),
    "column_stack": lambda x: np.column_stack([x, x * 2]),
    "block": lambda x: np.block([x, x * 2]),
    "multi_dot": lambda x: (
        np.linalg.multi_dot([A, x, x[:, None]]) if False else np.linalg.multi_dot([A, np.diag(x), x])
    ),
    "choose": lambda x: np.choose(np.array([0, 1, 0]), [x, 2 * x]),
}


@modes
@pytest.mark.parametrize("name", ENDINGS)
def test_a_function_may_end_in_any_of_these(name: str, jac: Any) -> None:
    f = ENDINGS[name]
    J = jac(f)(X)
    h = 1e-6
    expected = np.stack(
        [(np.asarray(f(X + h * e), float) - np.asarray(f(X - h * e), float)) / (2 * h) for e in np.eye(3)], axis=-1
    )
    np.testing.assert_allclose(J, expected, atol=1e-8)
    assert np.any(J)
    assert check(f, X).verdict == "agree"


@modes
def test_vectorize_is_right_or_loud(jac: Any) -> None:
    def f(x):
        return np.vectorize(lambda v: v * v)(x)

    try:
        J = jac(f)(X)
    except DerivativeError:
        return
    np.testing.assert_allclose(J, np.diag(2 * X), rtol=1e-15)


@modes
def test_least_squares_moves_from_its_start(jac: Any) -> None:
    t = np.linspace(0, 1, 5)
    y = 2.0 + 3.0 * t

    def residuals(p):
        return np.concatenate([p[0] + p[1] * t[:2] - y[:2], p[0] + p[1] * t[2:] - y[2:]])

    found = optimize.least_squares(residuals, [1.0, 1.0], jac=jac(residuals))
    np.testing.assert_allclose(found.x, [2.0, 3.0], rtol=1e-12)


# -- (2) special points ----------------------------------------------------------------------------


@modes
@pytest.mark.parametrize(
    ("x", "expected"),
    [([2.0, 0.0, 3.0], [0.0, 6.0, 0.0]), ([0.0, 0.0, 3.0], [0.0, 0.0, 0.0]), ([2.0, 4.0, 3.0], [12.0, 6.0, 8.0])],
)
def test_a_product_with_zeros(jac: Any, x: Any, expected: Any) -> None:
    np.testing.assert_array_equal(jac(np.prod)(np.array(x)), expected)


@modes
def test_second_derivatives_of_a_product_with_zeros(jac: Any) -> None:
    x = np.array([0.0, 0.0, 3.0])
    expected = [[0, 3, 0], [3, 0, 0], [0, 0, 0]]
    np.testing.assert_array_equal(dd.jacfwd(jac(np.prod))(x), expected)
    np.testing.assert_array_equal(dd.jacrev(jac(np.prod))(x), expected)


@modes
def test_the_infinity_norm(jac: Any) -> None:
    np.testing.assert_array_equal(
        jac(lambda x: np.linalg.norm(x, np.inf))(np.array([1.0, -3.0, 2.0])), [0.0, -1.0, 0.0]
    )


@modes
def test_norms_at_zero(jac: Any) -> None:
    np.testing.assert_array_equal(jac(np.linalg.norm)(np.zeros(3)), np.zeros(3))


@modes
def test_sinc_at_zero(jac: Any) -> None:
    x = np.array([0.0, 1.0])
    np.testing.assert_allclose(jac(np.sinc)(x), np.diag([0.0, -1.0]), atol=1e-15)
    np.testing.assert_allclose(dd.jacfwd(jac(lambda x: np.sum(np.sinc(x))))(x)[0, 0], -(np.pi**2) / 3, rtol=1e-12)


@modes
def test_functions_without_a_forward_rule_elsewhere(jac: Any) -> None:
    M = np.array([[2.0, 0.5], [0.25, 1.5]])

    def sym(m):
        return m @ m.T + np.eye(2)

    for f in (
        lambda m: np.hypot(m, m.T + 3),
        lambda m: np.linalg.solve(m, np.ones(2)),
        lambda m: np.linalg.inv(m),
        lambda m: np.linalg.det(m),
        lambda m: np.linalg.cholesky(sym(m)),
    ):
        J = jac(f)(M)
        h = 1e-6
        for i, j in np.ndindex(2, 2):
            e = np.zeros((2, 2))
            e[i, j] = h
            np.testing.assert_allclose(J[..., i, j], (f(M + e) - f(M - e)) / (2 * h), atol=1e-7)


@modes
def test_movements_unsupported_elsewhere(jac: Any) -> None:
    for f, expected in (
        (lambda x: np.broadcast_to(x, (2, 3)), np.stack([np.eye(3)] * 2)),
        (lambda x: np.flip(x), np.eye(3)[::-1]),
        (lambda x: np.take(x, [2, 0, 2]), np.eye(3)[[2, 0, 2]]),
        (lambda x: np.pad(x, 1), np.eye(5, 3, -1)),
    ):
        np.testing.assert_array_equal(jac(f)(X), expected)


@modes
def test_dictionaries_as_arguments(jac: Any) -> None:
    J = jac(lambda p: p["a"] * p["b"])({"a": X, "b": 2.0})
    np.testing.assert_array_equal(J["a"], 2 * np.eye(3))
    np.testing.assert_array_equal(J["b"], X)


# -- (3) -------------------------------------------------------------------------------------------


@modes
@pytest.mark.parametrize("matrix", [[[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 3.0]], [[0.0, 0.0], [0.0, 0.0]]])
def test_the_determinant_of_a_singular_matrix(jac: Any, matrix: Any) -> None:
    ((a, b), (c, d)) = matrix
    np.testing.assert_allclose(jac(np.linalg.det)(np.array(matrix)), [[d, -c], [-b, a]], atol=1e-12)


@modes
def test_the_determinant_of_a_singular_matrix_of_order_three(jac: Any) -> None:
    # rank 2: the matrix of cofactors is not zero
    M = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    np.testing.assert_allclose(jac(np.linalg.det)(M), [[-3, 6, -3], [6, -12, 6], [-3, 6, -3]], atol=1e-9)


@modes
def test_a_tracked_value_written_into_a_plain_array(jac: Any) -> None:
    def f(x: Any) -> Any:
        y = np.zeros(3)
        y[0] = x[0]
        return y

    np.testing.assert_array_equal(jac(f)(X), np.diag([1.0, 0.0, 0.0]))
    with pytest.raises(TracedAssignmentError, match=r"np\.zeros_like"):
        jac(dd.capture(f, "never"))(X)


# -- (4) -------------------------------------------------------------------------------------------


@modes
def test_unique_is_right_or_loud(jac: Any) -> None:
    try:
        J = jac(lambda x: np.unique(x) * 2.0)(np.array([3.0, 1.0]))
    except DerivativeError:
        return
    np.testing.assert_array_equal(J, [[0.0, 2.0], [2.0, 0.0]])


@modes
def test_arange_of_a_traced_start_is_right_or_loud(jac: Any) -> None:
    np.testing.assert_array_equal(jac(lambda x: np.arange(x, 4.0))(1.0), np.ones(3))
    with pytest.raises((DerivativeError, TypeError)):
        jac(dd.capture(lambda x: np.arange(x, 4.0), "never"))(1.0)


@modes
def test_float64_stays_float64(jac: Any) -> None:
    assert jac(np.sin)(X).dtype == np.float64
    assert abs(jac(lambda x: x * (1 + 1e-12))(1.0) - 1.0) > 0.9e-12


@modes
def test_one_nan_does_not_poison_the_other_rows(jac: Any) -> None:
    with np.errstate(invalid="ignore"):
        J = jac(lambda x: np.log(x) * 2.0)(np.array([-1.0, 2.0, np.nan, 4.0]))
    assert J[1].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert J[3].tolist() == [0.0, 0.0, 0.0, 0.5]
    with np.errstate(invalid="ignore", divide="ignore"):
        J = jac(lambda x: np.stack([np.sqrt(x[0]), x[1] * x[0] + x[1]]))(np.array([0.0, 2.0]))
    assert J[1].tolist() == [2.0, 1.0]
    assert J[0, 1] == 0.0


# -- (5) is the eager face's; what it has in common with the functional one --------------------------


def test_a_second_pullback_is_not_ignored_and_does_not_accumulate() -> None:
    _, pull = dd.vjp(lambda x: x * x, X)
    first = pull(np.ones(3))[0]
    second = pull(np.ones(3))[0]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(pull(2 * np.ones(3))[0], 2 * second)
    np.testing.assert_array_equal(first, 2 * X)


@modes
def test_an_integer_argument_is_not_silently_constant(jac: Any) -> None:
    np.testing.assert_array_equal(jac(lambda x: x * x)(np.array([1, 2])), np.diag([2.0, 4.0]))
    assert jac(lambda x: x * x)(3) == 6.0


# -- (6) -------------------------------------------------------------------------------------------


@modes
def test_functions_that_are_not_vectorised(jac: Any) -> None:
    B = np.array([[1.0, 2.0, 0.5], [0.25, -1.0, 3.0], [2.0, 0.0, 1.0]])
    np.testing.assert_allclose(jac(lambda x: B @ x + x.mean())(X), B + 1 / 3, rtol=1e-15)


# -- constants and inputs that are written to while f runs (autograd gets both wrong) -----------------


@modes
def test_constants_and_inputs_written_to(jac: Any) -> None:
    def f(x: Any) -> Any:
        M = np.zeros((3, 3))
        for k in range(3):
            M[k, k] = k + 1.0
            x = x * M[k, k] + M @ x
        return x

    assert check(f, X).verdict == "agree"
    J = np.eye(3)
    M = np.zeros((3, 3))
    for k in range(3):
        M[k, k] = k + 1.0
        J = J * M[k, k] + M @ J
    np.testing.assert_allclose(jac(f)(X), J, rtol=1e-15)


def test_what_nothing_intercepts_is_named() -> None:
    # never a fall-through: a function of NumPy's protocols that the library does not know
    with pytest.raises(UnsupportedFunctionError, match=r"np\.busday_count"):
        dd.jacfwd(lambda x: np.busday_count(x, x))(X)


@modes
def test_inverse_functions_on_their_branch_cuts(jac: Any) -> None:
    x, h = np.array([2.0, -2.0]), 1e-6
    for f in (np.arcsin, np.arccos, np.arctanh, np.arccosh, np.log, np.sqrt):
        with np.errstate(all="ignore"):
            slope = (f(x + h + 0j) - f(x - h + 0j)) / (2 * h)
            for part in (np.real, np.imag):
                got = jac(lambda x, f=f, part=part: part(f(x + 0j)))(x)
                np.testing.assert_allclose(got, np.diag(part(slope)), atol=1e-8)
