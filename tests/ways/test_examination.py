"""One direction against differences, where that was asked for or where the recording looks suspicious; and strict=True."""

from __future__ import annotations

import functools
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from operator import call as called
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import DerivativeMismatch, InputError, NoDerivativeError, NoDerivativeWarning, RuleError

X = np.array([0.3, 0.7])
OPERATORS = {
    "grad": lambda f, **o: dd.grad(f, **o)(X),
    "value_and_grad": lambda f, **o: dd.value_and_grad(f, **o)(X)[1],
    "jacfwd": lambda f, **o: dd.jacfwd(f, **o)(X),
    "jacrev": lambda f, **o: dd.jacrev(f, **o)(X),
    "jacobian": lambda f, **o: dd.jacobian(f, **o)(X),
    "sparse": lambda f, **o: dd.jacobian(lambda x: np.stack([f(x)]), sparse=True, **o)(X),
    "jvp": lambda f, **o: dd.jvp(f, (X,), (X,), **o)[1],
    "vjp": lambda f, **o: dd.vjp(f, X, **o)[1](1.0)[0],
}
operators = pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)


def _wrong() -> Any:
    """Return a function whose rule, given by a user, is twice what it should be."""
    cube = dd.primitive(lambda x: x**3, partials=lambda x: 6 * x**2)
    return lambda x: np.sum(cube(x))


def _right() -> Any:
    cube = dd.primitive(lambda x: x**3, partials=lambda x: 3 * x**2)
    return lambda x: np.sum(cube(x))


WRONG = {
    "partials": {"partials": lambda x: 6 * x**2},
    "jvp": {"jvp": lambda primals, tangents: 6 * primals[0] ** 2 * tangents[0]},
    "vjp": {"vjp": lambda primals, w: (6 * primals[0] ** 2 * w,)},
    "nothing": {"vjp": lambda primals, w: (None,)},
}


@operators
@pytest.mark.parametrize("rule", WRONG.values(), ids=WRONG)
def test_a_wrong_rule_of_the_users_is_found_on_its_first_use_and_on_the_next(operator: Any, rule: Any) -> None:
    cube = dd.primitive(lambda x: x**3, **rule)
    for _ in range(2):
        with pytest.raises(DerivativeMismatch, match=r"test_examination.py, line \d+.*differences"):
            operator(lambda x: np.sum(cube(x)))


def test_and_where_compiled_code_calls_it() -> None:
    cube = dd.primitive(lambda x: x**3, partials=lambda x: 6 * x**2)
    for _ in range(2):
        with pytest.raises(DerivativeMismatch, match="differences"):
            dd.jacobian(functools.partial(called, cube))(X)


A = np.array([[1.0, 2.0], [3.0, 4.0]])


def test_sides_that_are_not_each_others_transpose_and_a_pattern_without_an_entry() -> None:
    jvp = lambda primals, tangents: A @ tangents[0]  # noqa: E731
    said = [
        ("transpose", lambda: dd.primitive(lambda x: A @ x, rmatvec=lambda g: A @ g)),
        ("transpose", lambda: dd.primitive(lambda x: A @ x, jvp=jvp, vjp=lambda primals, g: (A @ g,))),
        ("pattern", lambda: dd.primitive(lambda x: A @ x, jvp=jvp, pattern=np.eye(2))),
        ("pattern", lambda: dd.primitive(lambda x: A @ x, derivative="difference", pattern=np.tri(2))),
    ]
    for words, make in said:
        f = make()
        for operator in (dd.jacrev, dd.jacfwd, dd.jacobian):
            with pytest.raises(RuleError, match=f"test_examination.py, line .*{words}"):
                operator(f)(X)
            operator(f, check=False)(X)
    right = dd.primitive(lambda x: A @ x, jvp=jvp, vjp=lambda primals, g: (A.T @ g,), pattern=A)
    for operator in (dd.jacrev, dd.jacfwd):
        np.testing.assert_array_equal(operator(right)(X), A)


def test_it_is_found_while_another_thread_differentiates_something_else() -> None:
    wrong, called, done = _wrong(), threading.Event(), threading.Event()

    def f(x: Any) -> Any:
        y = wrong(x)
        called.set()
        assert done.wait(30)
        return y

    with ThreadPoolExecutor(1) as other:
        found = other.submit(dd.grad(f), X)
        assert called.wait(30)
        np.testing.assert_array_equal(dd.grad(lambda x: np.sum(2 * x))(X), [2, 2])
        done.set()
        with pytest.raises(DerivativeMismatch, match=r"test_examination.py, line \d+.*differences"):
            found.result()


@operators
def test_a_right_one_is_not_and_check_turns_it_on_and_off(operator: Any) -> None:
    operator(_right())
    operator(_right(), check=True)
    operator(_wrong(), check=False)
    f = _wrong()
    operator(f, check=False)
    with pytest.raises(DerivativeMismatch):
        operator(f, check=True)


def test_a_differentiated_value_that_became_plain_on_its_way() -> None:
    def f(x: Any) -> Any:
        return x[0] ** 2, float(int(1e12 * x[1])) / 1e12 * np.ones(2)

    for _ in range(2):
        with pytest.raises(DerivativeMismatch):
            dd.jacobian(f)(X)


@pytest.mark.parametrize("capture", ["auto", "always"])
@pytest.mark.filterwarnings("ignore::dualdiff.errors.CaptureWarning")
def test_one_that_became_plain_in_captured_code(capture: Any) -> None:
    def f(x: Any) -> Any:
        return math.sin(x[0]), float(int(1e12 * x[1])) / 1e12 * np.ones(2)

    with pytest.raises(DerivativeMismatch):
        dd.jacobian(f, capture=capture)(X)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.floor(1e3 * x) + x),
        lambda x: np.sum(x * np.random.default_rng().random(2)),
        lambda x: np.sum(x * dd.stop_gradient(x)),
        lambda x: np.abs(x[0] - 0.3) + x[1],
        lambda x: np.sum(np.where(x > 0.5, x**2, np.sin(x))),
        lambda x: np.sum(np.sqrt(x)) * 1e200,
        lambda x: np.log(x[0] - 0.29999) + x[1],
    ],
    ids=["floor", "random", "stop_gradient", "kink", "where", "huge", "edge"],
)
def test_it_does_not_cry_wolf(f: Any) -> None:
    for operator in (dd.grad, dd.jacfwd):
        operator(f, check=True)(X)


def test_a_straight_through_rule_is_meant() -> None:
    rounded = dd.primitive(np.round, partials=lambda x: np.ones_like(x))
    np.testing.assert_array_equal(dd.grad(lambda x: np.sum(rounded(x)))(X), np.ones(2))


@operators
def test_strict_names_what_carries_no_derivative(operator: Any) -> None:
    assert operator(lambda x: np.sum(x**2), strict=True) is not None
    with pytest.raises(NoDerivativeError, match="result 0"):
        operator(lambda x: 2.0, strict=True)


def test_strict_names_the_argument_that_reaches_nothing() -> None:
    with pytest.raises(NoDerivativeError, match=r"argument \[1\]\['b'\]"):
        dd.grad(lambda x, p: np.sum(x) * p["a"], argnums=(0, 1), strict=True)(X, {"a": 1.0, "b": 2.0})
    with pytest.raises(NoDerivativeError, match="result 1 of the function"):
        dd.jacobian(lambda x: (x, 1.0), strict=True)(X)


@pytest.mark.parametrize("operator", [dd.grad, dd.jacfwd], ids=["reverse", "forward"])
def test_a_result_without_derivative_warns(operator: Any) -> None:
    class Plant:
        x: Any = None

        def cost(self, x: Any) -> Any:
            if self.x is None or not np.array_equal(x, self.x):
                self.x, self.y = x.copy(), np.sum(x**2)
            return self.y

    plant = Plant()
    plant.cost(X)
    with pytest.warns(NoDerivativeWarning, match="cache"):
        operator(plant.cost)(X)


def test_no_warning_where_the_zero_is_honest() -> None:
    dd.grad(lambda x: 3.0)(X)  # nothing was read
    dd.grad(lambda x: -np.inf if x[0] < 1 else x[0])(X)  # outside of the domain
    dd.hessian(lambda x: np.sum(2 * x))(X)  # the second derivative of a linear function
    dd.grad(lambda x: dd.stop_gradient(x[0]) * 2.0)(X)  # on purpose


def test_settings_are_checked() -> None:
    for call in (lambda: dd.grad(np.sum, check="yes"), lambda: dd.jvp(np.sum, (X,), (X,), check=3)):
        with pytest.raises(InputError, match="check="):
            call()


@pytest.mark.parametrize("capture", ["auto", "never"])
def test_a_function_that_cannot_be_evaluated_beside_the_point_is_not_held_against_differences(capture: Any) -> None:
    def f(x: Any) -> Any:
        if not np.array_equal(dd.stop_gradient(x), X):
            raise ValueError("a table of one point")
        return np.sum(x * x)

    np.testing.assert_array_equal(dd.grad(f, check=True, capture=capture)(X), 2 * X)


def test_strict_asks_nothing_of_what_leads_nowhere() -> None:
    def f(x: Any, y: Any) -> Any:
        np.exp(y)
        return x * 2.0

    with pytest.raises(NoDerivativeError, match=r"argument \[1\] reaches no result"):
        dd.grad(f, argnums=(0, 1), strict=True)(1.0, 2.0)
    assert dd.grad(f, strict=True)(1.0, 2.0) == 2.0


@pytest.mark.parametrize("operator", [dd.grad, dd.jacfwd], ids=["reverse", "forward"])
def test_what_was_kept_for_a_plain_number_is_a_mismatch_not_a_warning(operator: Any) -> None:
    kept: dict[Any, Any] = {}

    def f(x: Any) -> Any:
        if x not in kept:
            kept[x] = x * x
        return kept[x]

    f(0.3)
    with pytest.raises(DerivativeMismatch, match="found in a cache"):
        operator(f)(0.3)


@pytest.mark.parametrize("operator", [dd.grad, dd.jacfwd], ids=["reverse", "forward"])
@pytest.mark.parametrize("key", [lambda x: x[0], tuple, lambda x: hash(tuple(x))], ids=["entry", "tuple", "hash"])
def test_what_was_kept_for_a_plain_entry_of_an_array_is_a_mismatch(operator: Any, key: Any) -> None:
    kept: dict[Any, Any] = {}

    def f(x: Any) -> Any:
        k = key(x)
        if k not in kept:
            kept[k] = np.sum(x * x)
        return kept[k] * x[1]

    f(X)
    for _ in range(2):
        with pytest.raises(DerivativeMismatch, match="found in a cache"):
            operator(f)(X)


@pytest.mark.parametrize("operator", [dd.grad, dd.jacfwd, dd.jacobian], ids=["reverse", "forward", "auto"])
@pytest.mark.parametrize(
    "same",
    [
        np.array_equal,
        np.allclose,
        lambda a, b: np.all(a == b),
        lambda a, b: (b == a).all(),
        lambda a, b: a[0] == b[0],
        lambda a, b: not (a != b).any(),
        lambda a, b: not np.any(b != a),
    ],
    ids=["array_equal", "allclose", "all", "reflected", "entry", "differs", "reflected differs"],
)
def test_a_part_of_the_result_kept_from_the_plain_call_before_is_a_mismatch(operator: Any, same: Any) -> None:
    class Plant:
        x: Any = None

        def cost(self, x: Any) -> Any:
            if self.x is None or not same(x, self.x):
                self.x, self.y = np.copy(x), np.sum(x**2)
            return self.y * x[0]

    plant = Plant()
    plant.cost(X)
    with pytest.raises(DerivativeMismatch, match="found in a cache"):
        operator(plant.cost)(X)
    operator(lambda x: 2 * np.sum(x) if same(x, X) else np.sum(2 * x))(X)


def test_a_derivative_that_is_meant_is_not_held_against_differences_where_the_argument_is_known() -> None:
    @dd.custom_vjp
    def flat(x: Any) -> Any:
        return 3 * x

    flat.defvjp(lambda x: (flat(x), None), lambda _, g: (np.clip(g, -1, 1),))
    f = lambda x: np.sum(flat(x)) * (2.0 if np.array_equal(x, X) else 1.0)  # noqa: E731
    np.testing.assert_array_equal(dd.grad(f)(X), np.ones(2))


def test_what_a_run_that_failed_looked_up_is_not_taken_for_anothers() -> None:
    cache, fail = {1.0: 1.0}, [True]

    def f(x: Any) -> Any:
        if x in cache:
            if fail[0]:
                raise ValueError(x)
            return cache[x] + x
        return x**3 + x

    with pytest.raises(ValueError, match="1"):
        dd.grad(f)(1.0)
    assert dd.grad(f)(2.0) == 13
    fail[0] = False
    for _ in range(2):
        with pytest.raises(DerivativeMismatch):
            dd.grad(f)(1.0)


def test_what_one_closure_keeps_right_another_may_not() -> None:
    def made(g: Any) -> Any:
        cache: dict[Any, Any] = {}

        def f(x: Any) -> Any:
            if x not in cache:
                cache[x] = g(x)
            return cache[x] + x

        return f

    class Kept:
        def __init__(self, g: Any) -> None:
            self.last: Any = None
            self.g = g

        def __call__(self, x: Any) -> Any:
            if self.last is None or self.last[0] != x:
                self.last = x, self.g(x)
            return self.last[1] + x

    for make in (made, Kept):
        constant, cube = make(lambda x: 5.0), make(lambda x: x**3)
        constant(1.25), cube(1.25)
        assert dd.grad(constant)(1.25) == 1
        assert dd.grad(constant)(1.25) == 1
        with pytest.raises(DerivativeMismatch):
            dd.grad(cube)(1.25)


def test_a_constant_is_told_while_another_thread_differentiates() -> None:
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            dd.grad(np.sin)(0.3)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(20):
            with pytest.warns(NoDerivativeWarning):
                dd.grad(lambda x: float(np.sign(x)) * 2.0)(1.0)
    finally:
        stop.set()
        thread.join()


def test_nothing_is_held_against_differences_of_nothing() -> None:
    assert dd.jacobian(lambda x: (), check=True)(X) == ()
    assert dd.jacobian(lambda x: (), mode="complex-step")(X) == ()
