"""Functions nobody sees into: by differences with the error that is stated, by the complex step where it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special

import dualdiff as dd
from dualdiff.errors import InputError, RuleError
from tests.custom.flavours import compiled

X = np.array([0.3, 1.2, 2.0])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_differences_are_as_good_as_they_say(scale: float) -> None:
    def f(x: Any) -> Any:
        return np.exp(np.sin(x / scale))

    g = dd.grad(lambda x: np.sum(dd.primitive(compiled(f), derivative="difference")(x)))(X * scale)
    h = np.finfo(float).eps ** (1 / 3) * max(scale, 1.0) / scale  # in units of the function's own length
    expected = np.exp(np.sin(X)) * np.cos(X) / scale
    bound = 3 * (h**2 * 3 + 2 * np.finfo(float).eps / h) / scale * np.exp(1)  # |f'''| <= 3e, |f| <= e
    assert np.max(np.abs(g - expected)) <= bound


def test_every_entry_has_a_step_of_its_own_size() -> None:
    x = np.array([1e-2, 1.0, 1e8])
    f = dd.primitive(compiled(lambda x: np.sin(x / np.array([1e-2, 1.0, 1e8])).sum()), derivative="difference")
    np.testing.assert_allclose(dd.grad(f)(x)[1:], np.cos(1.0) / x[1:], rtol=1e-9)
    np.testing.assert_allclose(dd.grad(f)(x)[0], np.cos(1.0) / x[0], rtol=1e-5)
    mixed = dd.jvp(f, (x,), (np.array([0.0, 1.0, 1e8]),))[1]
    np.testing.assert_allclose(mixed, 2 * np.cos(1.0), rtol=1e-9)


def test_the_step_may_be_given_for_noisy_functions() -> None:
    def noisy(x: Any) -> Any:
        return float(np.float32(np.sin(x)))

    errors = [
        abs(dd.grad(dd.primitive(noisy, derivative="difference", step=step))(0.5) - np.cos(0.5))
        for step in (None, 3e-3)
    ]
    assert errors[1] < 1e-4 < errors[0]


def test_differences_cost_two_evaluations_a_direction_and_entry_by_entry_two_in_all() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(x.shape)
        return np.sin(x)

    dd.jvp(dd.primitive(f, derivative="difference"), (X,), (X,))
    assert len(calls) == 1 + 2
    calls.clear()
    dd.jacrev(dd.primitive(f, derivative="difference"))(X)
    assert len(calls) == 1 + 2 * X.size
    calls.clear()
    box = dd.primitive(f, derivative="difference", pattern="elementwise")
    J = dd.jacrev(box)(X)
    assert len(calls) == 1 + 2
    np.testing.assert_allclose(J, np.diag(np.cos(X)), rtol=1e-9)
    assert dd.jacobian(box, sparse=True)(np.linspace(0, 1, 100)).nnz == 100


def test_the_complex_step_is_right_to_rounding() -> None:
    f = dd.primitive(lambda x: np.cumsum(np.exp(x)), derivative="complex-step")
    expected = np.tril(np.exp(X) * np.ones((3, 3)))
    for jac in (dd.jacfwd, dd.jacrev):
        np.testing.assert_allclose(jac(f)(X), expected, rtol=1e-15)
    entry = dd.primitive(np.exp, derivative="complex-step", pattern="elementwise")
    np.testing.assert_allclose(dd.grad(lambda x: entry(x).sum())(X), np.exp(X), rtol=1e-15)


@pytest.mark.parametrize("pattern", [None, "elementwise"])
@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: np.abs(x), "returned real numbers for complex ones"),
        (lambda x: np.abs(x) * x, "is off its differences by"),
        (lambda x: np.where(np.imag(x) == 0, x, x + 1.0), "another value at complex numbers"),
        (lambda x: np.conj(x) * x + 0j * x if np.iscomplexobj(x) else x * x, "is off its differences by"),
    ],
)
def test_where_the_complex_step_fails_it_says_so(f: Any, message: str, pattern: Any) -> None:
    box = dd.primitive(f, derivative="complex-step", pattern=pattern)
    for jac in (dd.jacfwd, dd.jacrev):
        with pytest.raises(RuleError, match=message):
            jac(box)(X)


def test_the_complex_step_is_for_real_functions() -> None:
    with pytest.raises(RuleError, match="is for real functions"):
        dd.jvp(dd.primitive(np.exp, derivative="complex-step"), (X + 1j,), (X + 0j,))


@pytest.mark.parametrize("pattern", [None, "elementwise"])
@pytest.mark.parametrize("derivative", ["difference", "complex-step"])
def test_second_derivatives_are_refused_with_the_way_out(derivative: str, pattern: Any) -> None:
    box = dd.primitive(np.sin, derivative=derivative, pattern=pattern)
    for second in (
        lambda: dd.grad(dd.grad(box))(0.5),
        lambda: dd.jacfwd(dd.jacfwd(box))(X),
        lambda: dd.jacrev(dd.jacfwd(box))(X),
        lambda: dd.hessian(lambda x: box(x).sum())(X),
    ):
        with pytest.raises(RuleError, match=r"has no derivative of its own.*jvp=.*stop_gradient"):
            second()


def test_a_function_of_scipy_by_one_of_its_arguments() -> None:
    bessel = dd.primitive(special.jv, derivative="difference", pattern="elementwise", nondiff=0)
    g = dd.grad(lambda x: np.sum(bessel(0.5, x)))(X)
    np.testing.assert_allclose(g, special.jvp(0.5, X), rtol=1e-8)
    with pytest.raises(RuleError, match="parameter 'x1' of jv"):
        dd.grad(lambda v: bessel(v, 1.0))(0.5)
    exact = dd.primitive(special.jv, partials=lambda x, x1: special.jvp(x1, x), nondiff=0)
    np.testing.assert_allclose(dd.grad(lambda x: np.sum(exact(0.5, x)))(X), special.jvp(0.5, X), rtol=1e-14)


def test_an_elementwise_black_box_names_its_operands() -> None:
    with pytest.raises(InputError, match="let it name them"):
        dd.primitive(lambda *xs: xs[0], derivative="difference", pattern="elementwise")


def test_parameters_with_defaults_are_no_operands() -> None:
    def f(x: Any, n: int = 2) -> Any:
        return x**n

    box = dd.primitive(f, derivative="difference", pattern="elementwise")
    assert dd.grad(box)(2.0, 3) == pytest.approx(12.0)
    assert dd.grad(box)(2.0) == pytest.approx(4.0)


def test_a_black_box_of_plain_python_floats() -> None:
    import math

    box = dd.primitive(lambda x, y: math.hypot(x, y), derivative="difference")
    gx, gy = dd.grad(box, (0, 1))(3.0, 4.0)
    assert (gx, gy) == (pytest.approx(0.6, rel=1e-9), pytest.approx(0.8, rel=1e-9))
    assert dd.grad(lambda x: np.sin(box(x[0], x[1])))(np.array([3.0, 4.0])) == pytest.approx(
        np.cos(5.0) * np.array([0.6, 0.8])
    )


def test_constants_take_no_evaluations() -> None:
    calls = []

    def f(x: Any, data: Any) -> Any:
        calls.append(1)
        return np.sum(np.outer(x, data))

    data = np.ones(1000)
    for operator in (dd.grad, dd.jacrev, dd.jacfwd):
        calls.clear()
        np.testing.assert_allclose(operator(dd.primitive(f, derivative="difference"))(X, data), np.full(3, 1000.0))
        assert len(calls) <= 2 + 2 * X.size


def test_the_complex_step_of_operands_of_two_precisions() -> None:
    x, y = np.array([0.5, 1.5], np.float32), np.array([2.0, 3.0])
    box = dd.primitive(lambda x, y: np.sin(x) * y, derivative="complex-step")
    _, t = dd.jvp(lambda x: box(x, y), (x,), (np.ones_like(x),))
    np.testing.assert_allclose(t, np.cos(x.astype(float)) * y, rtol=1e-6)


def test_the_complex_step_is_that_of_the_coarsest_operand_wherever_it_stands() -> None:
    """A step for double precision is lost below the smallest number of single precision, where a slope is small."""
    x, y = np.array([0.5, 1.5], np.float32), np.array([2.0, 3.0])
    box = dd.primitive(lambda x, y: np.float32(1e-18) * np.sin(x) * (1e18 * y), derivative="complex-step")
    other = dd.primitive(lambda y, x: np.float32(1e-18) * np.sin(x) * (1e18 * y), derivative="complex-step")
    expected = np.cos(x.astype(float)) * y
    _, t = dd.jvp(lambda x: box(x, y), (x,), (np.ones_like(x),))
    np.testing.assert_allclose(t, expected, rtol=1e-6)
    _, t = dd.jvp(lambda x: other(y, x), (x,), (np.ones_like(x),))
    np.testing.assert_allclose(t, expected, rtol=1e-6)
