"""Arguments by position and by name: which are differentiated, and what is said where that cannot be."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import InputError

X = np.array([1.0, 2.0])


def curve(x: Any, scale: Any = 1.0, *, shift: Any = 0.0) -> Any:
    return scale * x**2 + shift * scale


def total(x: Any, scale: Any = 1.0, *, shift: Any = 0.0) -> Any:
    return np.sum(curve(x, scale, shift=shift))


@pytest.mark.parametrize("call", [lambda g: g(X, 3.0, shift=1.0), lambda g: g(X, scale=3.0, shift=1.0)])
@pytest.mark.parametrize("argnums", ["scale", 1])
def test_a_parameter_is_found_however_it_was_passed(call: Any, argnums: Any) -> None:
    assert call(dd.grad(total, argnums=argnums)) == 7.0
    value, slope = call(dd.value_and_grad(total, argnums=argnums))
    assert (value, slope) == (21.0, 7.0)


def test_several_names_give_a_tuple_in_their_order() -> None:
    shift, x = dd.grad(total, argnums=("shift", "x"))(X, 3.0, shift=1.0)
    assert shift == 6.0
    np.testing.assert_array_equal(x, [6.0, 12.0])
    one = dd.grad(total, argnums=["shift"])(X, 3.0, shift=1.0)
    assert one == (6.0,)


@pytest.mark.parametrize("jac", [dd.jacobian, dd.jacfwd, dd.jacrev])
def test_every_jacobian_takes_names(jac: Any) -> None:
    x, scale, shift = jac(curve, argnums=("x", "scale", "shift"))(X, shift=2.0, scale=3.0)
    np.testing.assert_array_equal(x, np.diag(6 * X))
    np.testing.assert_array_equal(scale, X**2 + 2.0)
    np.testing.assert_array_equal(shift, [3.0, 3.0])
    value, by_shift = dd.value_and_jacobian(curve, "shift")(X, 3.0, shift=2.0)
    np.testing.assert_array_equal(value, 3 * X**2 + 6.0)
    np.testing.assert_array_equal(by_shift, [3.0, 3.0])


def test_sparse_jacobians_and_plans_and_batches_take_names() -> None:
    np.testing.assert_array_equal(dd.jacobian(curve, "x", sparse=True)(x=X, scale=3.0).toarray(), np.diag(6 * X))
    plan = dd.plan_jacobian(curve, X, 3.0, argnums="scale")
    np.testing.assert_array_equal(plan(2 * X, 5.0), 4 * X**2)
    np.testing.assert_array_equal(dd.batch_jacobian(curve, "x")(X[:, None], scale=3.0)[:, 0, 0], 6 * X)


def test_second_derivatives_by_name() -> None:
    (xx, xs), (sx, ss) = dd.hessian(total, argnums=("x", "scale"))(X, scale=3.0)
    np.testing.assert_array_equal(xx, 6 * np.eye(2))
    np.testing.assert_array_equal(xs, 2 * X)
    np.testing.assert_array_equal(sx, 2 * X)
    assert ss == 0.0
    assert dd.grad(dd.grad(total, "scale"), "shift")(X, scale=3.0, shift=1.0) == 2.0


def test_nested_values_by_keyword() -> None:
    def f(x: Any, *, p: Any) -> Any:
        return p["a"] * x + p["b"][0] ** 2

    assert dd.grad(f, "p")(2.0, p={"a": 3.0, "b": [4.0]}) == {"a": 2.0, "b": [8.0]}


def test_any_keyword_is_a_name() -> None:
    assert dd.grad(lambda **p: p["a"] * p["b"], ("b", "a"))(a=2.0, b=3.0) == (2.0, 3.0)


def test_arguments_by_name_that_share_memory_are_kept_apart() -> None:
    def f(x: Any, *, y: Any) -> Any:
        return np.sum(x * y)

    np.testing.assert_array_equal(dd.grad(f, "y")(X, y=X), X)
    np.testing.assert_array_equal(dd.grad(f, ("x", "y"))(X, y=X)[0], X)


@pytest.mark.parametrize(
    ("argnums", "args", "kwargs", "message"),
    [
        ("speed", (X,), {}, r"no parameter 'speed'; its parameters are x, scale, shift"),
        ("scale", (X,), {}, r"left at its default; pass it"),
        (("x", "scale"), (X,), {"shift": 1.0}, r"'scale', which this call left at its default"),
        (("x", 0), (X,), {}, "names an argument twice"),
        (2, (X, 1.0), {"shift": 1.0}, r"positional argument 2.*argnums takes names too"),
        (1, (X,), {}, "positional argument 1"),
    ],
)
def test_what_is_not_there_is_named(argnums: Any, args: Any, kwargs: Any, message: str) -> None:
    for operator in (dd.grad, dd.value_and_grad, dd.jacobian, dd.hessian):
        with pytest.raises(InputError, match=message):
            operator(total, argnums)(*args, **kwargs)


def test_a_function_of_unknown_parameters_says_so() -> None:
    class Silent:
        __signature__ = "none"

        def __call__(self, x: Any) -> Any:
            return x * x

    with pytest.raises(InputError, match="does not know the parameters"):
        dd.grad(Silent(), "x")(2.0)
    assert dd.grad(Silent(), "x")(x=2.0) == 4.0


def test_operators_by_name_pickle() -> None:
    again = pickle.loads(pickle.dumps(dd.grad(total, argnums="scale")))
    assert again(X, scale=2.0) == 5.0
