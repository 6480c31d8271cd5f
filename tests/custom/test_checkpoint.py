"""Checkpoints: the same values and derivatives, and a tape that holds the arguments alone."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import RuleError
from dualdiff.tape import record

X = np.linspace(0.1, 1.0, 1000)
W = np.linspace(1.0, 2.0, 1000)


def steps(x: Any, n: int = 10) -> Any:
    for _ in range(n):
        x = x + 0.1 * np.sin(x * x)
    return x


def held(f: Any, *args: Any) -> int:
    """Return how many numbers in arrays of some size the tape of a run holds, each array once."""
    tape, _ = record(f, *args)
    found: dict[int, int] = {}
    stack: list[Any] = [*tape.arguments, *tape.results, *tape.parameters]
    while stack:
        x = stack.pop()
        if type(x) is np.ndarray:
            base = x if x.base is None else x.base
            found[id(base)] = base.size
        elif isinstance(x, (tuple, list)):
            stack.extend(x)
        elif isinstance(x, dict):
            stack.extend(x.values())
    return sum(s for s in found.values() if s >= 1000)


def test_the_tape_holds_the_arguments_alone() -> None:
    kept = dd.checkpoint(steps)

    def whole(x: Any) -> Any:
        for _ in range(10):
            x = steps(x)
        return x

    def cut(x: Any) -> Any:
        for _ in range(10):
            x = kept(x)
        return x

    assert held(cut, X) == 10 * X.size
    assert held(whole, X) >= 200 * X.size
    assert held(dd.checkpoint(cut), X) == X.size
    for f in (cut, dd.checkpoint(cut)):
        np.testing.assert_array_equal(f(X), whole(X))
        g, e = (dd.grad(lambda x, f=f: f(x).sum())(X) for f in (f, whole))
        np.testing.assert_allclose(g, e, rtol=1e-14)


def test_it_runs_again_in_the_sweep_and_not_before() -> None:
    runs = []

    @dd.checkpoint
    def f(x: Any) -> Any:
        runs.append(type(x))
        return np.sin(x)

    y, pullback = dd.vjp(f, X, check=False)
    assert len(runs) == 1
    assert runs[0] is np.ndarray
    pullback(np.ones_like(y))
    assert len(runs) == 2


@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev, dd.jacobian])
def test_every_mode_gives_the_same(jac: Any) -> None:
    x = X[:4]
    np.testing.assert_allclose(jac(dd.checkpoint(steps))(x), jac(steps)(x), rtol=1e-14)
    inner = dd.checkpoint(lambda x: np.cumsum(steps(x, 2)) * x)
    f = dd.checkpoint(lambda x: inner(inner(x)) + x)
    np.testing.assert_allclose(jac(f)(x), jac(lambda x: inner.f(inner.f(x)) + x)(x), rtol=1e-13)


def test_second_and_third_derivatives() -> None:
    f = dd.checkpoint(lambda x: np.sum(np.sin(x) * x))
    x = X[:3]
    np.testing.assert_allclose(dd.hessian(f)(x), dd.hessian(f.f)(x), rtol=1e-13)
    np.testing.assert_allclose(dd.hvp(f)(x, x), dd.hvp(f.f)(x, x), rtol=1e-13)
    np.testing.assert_allclose(dd.jacfwd(dd.hessian(f))(x), dd.jacfwd(dd.hessian(f.f))(x), rtol=1e-12)


def test_structures_keywords_and_parameters() -> None:
    @dd.checkpoint
    def f(p: Any, how: str, *, scale: Any) -> Any:
        return {"y": getattr(np, how)(p["a"]) * scale, "n": (p["b"][0] * scale,)}

    def g(p: Any, scale: Any) -> Any:
        out = f(p, "sin", scale=scale)
        return out["y"].sum() + out["n"][0]

    def plain(p: Any, scale: Any) -> Any:
        return np.sum(np.sin(p["a"]) * scale) + p["b"][0] * scale

    point = {"a": X[:3], "b": [2.0]}
    found, expected = (dd.grad(h, (0, 1))(point, 3.0) for h in (g, plain))
    np.testing.assert_allclose(found[0]["a"], expected[0]["a"], rtol=1e-14)
    assert found[0]["b"] == expected[0]["b"]
    assert found[1] == pytest.approx(expected[1], rel=1e-14)


def test_what_it_closes_over_is_differentiated() -> None:
    def f(x: Any, w: Any) -> Any:
        scaled = [2.0 * w, "kept"]

        def inner(y: Any, z: Any = scaled[0]) -> Any:
            return y * w + z

        @dd.checkpoint
        def body(x: Any) -> Any:
            return np.sin(inner(x)) * scaled[0]

        return body(x).sum() + dd.checkpoint(lambda: (w * w).sum())() + dd.checkpoint(partial(np.multiply, w))(x).sum()

    def plain(x: Any, w: Any) -> Any:
        return np.sum(np.sin(x * w + 2 * w) * 2 * w) + (w * w).sum() + (w * x).sum()

    x, w = X[:3], W[:3]
    for operator in (dd.grad, dd.jacfwd, dd.jacrev):
        for a, b in zip(operator(f, (0, 1))(x, w), operator(plain, (0, 1))(x, w), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)
    np.testing.assert_allclose(dd.hessian(lambda w: f(x, w))(w), dd.hessian(lambda w: plain(x, w))(w), rtol=1e-12)


def test_functions_that_call_themselves_or_one_another() -> None:
    def f(x: Any, w: Any, again: bool) -> Any:
        def one(n: int, v: Any) -> Any:
            return v if n == 0 else one(n - 1, np.sin(v * w))

        def even(n: int, v: Any) -> Any:
            return v if n == 0 else odd(n - 1, v + 0.0)

        def odd(n: int, v: Any) -> Any:
            return even(n - 1, np.sin(v * w))

        wrap = dd.checkpoint if again else lambda g: g
        return (wrap(one)(3, x) + wrap(even)(4, x)).sum()

    for operator in (dd.grad, dd.jacfwd):
        found, expected = (operator(f, (0, 1))(X[:3], W[:3], again) for again in (True, False))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)


def test_a_value_of_an_outer_operator_that_is_closed_over() -> None:
    def f(w: Any) -> Any:
        return dd.grad(lambda x: np.sum(dd.checkpoint(lambda x: np.sin(x * w))(x)))(X[:3]).sum()

    def plain(w: Any) -> Any:
        return dd.grad(lambda x: np.sum(np.sin(x * w)))(X[:3]).sum()

    np.testing.assert_allclose(dd.grad(f)(W[:3]), dd.grad(plain)(W[:3]), rtol=1e-13)


class Model:
    def __init__(self, w: Any) -> None:
        self.w = w

    def __call__(self, x: Any) -> Any:
        return np.sin(x) * self.w


def _closes_over(model: Model) -> Any:
    return dd.checkpoint(lambda x: np.sin(x) * model.w)


def test_a_value_that_an_object_holds_is_differentiated() -> None:
    for f in (
        lambda w: dd.checkpoint(Model(w))(w).sum(),
        lambda w: dd.checkpoint(Model(w).__call__)(w).sum(),
        lambda w: (lambda call: dd.checkpoint(lambda x: call(x)))(Model(w).__call__)(w).sum(),
        lambda w: (lambda model: dd.checkpoint(lambda x: model.w[1](x)))(Model([1.0, Model(w)]))(w).sum(),
        lambda w: _closes_over(Model(w))(w).sum(),
    ):
        for operator in (dd.grad, dd.jacfwd):
            np.testing.assert_allclose(operator(f)(W[:3]), np.sin(W[:3]) + W[:3] * np.cos(W[:3]), rtol=1e-14)
    w = dd.tensor(W[:3], requires_grad=True)
    model = Model(w)
    dd.checkpoint(model)(dd.tensor(X[:3])).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), np.sin(X[:3]), rtol=1e-14)
    assert model.w is w


HELD = Model(0.0)


def test_a_value_that_a_global_holds_is_refused_or_traced_but_never_lost() -> None:
    f = dd.checkpoint(lambda x: np.sin(x) * HELD.w)

    def held(w: Any, x: Any) -> Any:
        HELD.w = w
        return f(x).sum()

    try:
        for operator in (dd.grad, dd.jacfwd):
            with pytest.raises(RuleError, match="not among its arguments"):
                operator(lambda w: held(w, w))(W[:3])
        # Beside plain arguments there is nothing to keep, and the function is traced as any other.
        np.testing.assert_allclose(dd.grad(lambda w: held(w, X[:3]))(W[:3]), np.sin(X[:3]))
        HELD.w = dd.tensor(W[:3], requires_grad=True)
        with pytest.raises(RuleError, match="not among its arguments"):
            f(dd.tensor(X[:3], requires_grad=True))
    finally:
        HELD.w = 0.0


def test_tensors() -> None:
    f = dd.checkpoint(lambda x: np.sin(x) * x)
    x = dd.tensor(X[:3], requires_grad=True)
    w = dd.tensor(W[:3], requires_grad=True)
    y = f(x) * dd.checkpoint(lambda: w * w)()
    y.sum().backward(create_graph=True)
    np.testing.assert_allclose(
        x.grad.detach().numpy(), (np.sin(X[:3]) + X[:3] * np.cos(X[:3])) * W[:3] ** 2, rtol=1e-14
    )
    np.testing.assert_allclose(w.grad.detach().numpy(), 2 * W[:3] * np.sin(X[:3]) * X[:3], rtol=1e-14)
    (second,) = dd.gradients(x.grad.sum(), [x])
    np.testing.assert_allclose(second.numpy(), (2 * np.cos(X[:3]) - X[:3] * np.sin(X[:3])) * W[:3] ** 2, rtol=1e-13)


def test_structural_zeros_stay_zero() -> None:
    f = dd.checkpoint(lambda x: np.sqrt(x))
    with np.errstate(divide="ignore"):
        for jac in (dd.jacfwd, dd.jacrev):
            np.testing.assert_array_equal(jac(f)(np.array([0.0, 4.0])), [[np.inf, 0.0], [0.0, 0.25]])


def test_plain_calls_and_names_are_those_of_the_function() -> None:
    f = dd.checkpoint(steps)
    assert f.__name__ == "steps"
    np.testing.assert_array_equal(f(X), steps(X))
    assert f(X, n=0) is X


def test_plans_stay_valid_for_closures_made_anew() -> None:
    plan = dd.plan_jacobian(lambda x: dd.checkpoint(lambda y: np.sin(y) * 2.0)(x), X[:3])
    for x in (X[:3], X[3:6]):
        np.testing.assert_allclose(plan(x), np.diag(2 * np.cos(x)), rtol=1e-14)


def test_a_long_chain_needs_memory_for_its_square_root() -> None:
    x = np.ones(1000)
    block = dd.checkpoint(partial(steps, n=30))

    def chain(x: Any) -> Any:
        for _ in range(30):
            x = block(x)
        return x.sum()

    assert held(chain, x) <= 31 * x.size
    np.testing.assert_allclose(dd.grad(chain)(x), dd.grad(lambda x: steps(x, 900).sum())(x), rtol=1e-11)


def test_a_function_that_is_another_one_each_time_is_refused() -> None:
    rng = np.random.default_rng(0)
    noisy = dd.checkpoint(lambda x: x * rng.random())
    for operator in (dd.grad, dd.jacfwd):
        with pytest.raises(RuleError, match="returned other values when it was run again"):
            operator(lambda x: noisy(x).sum())(X[:3])
    f = dd.checkpoint(lambda x, noise: x * noise)
    np.testing.assert_array_equal(dd.grad(lambda x: f(x, 0.5).sum())(X[:3]), np.full(3, 0.5))


def test_results_that_are_not_finite_are_the_same_as_without() -> None:
    f = dd.checkpoint(lambda x: np.log(x) * 0.0)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(dd.grad(lambda x: f(x).sum())(np.array([0.0, 1.0])), [np.nan, 0.0])


@pytest.mark.parametrize("change", [lambda w: w[::-1].copy(), lambda w: -w, lambda w: w + np.array([0.0, 0.0, 1e-3])])
def test_an_array_that_is_changed_before_the_sweep_is_noticed(change: Any) -> None:
    data = W[:3].copy()
    y, pullback = dd.vjp(dd.checkpoint(lambda x: x * data), np.ones(3))
    np.testing.assert_array_equal(pullback(np.ones(3))[0], y)
    data[:] = change(data)
    with pytest.raises(RuleError, match="an array that was changed since"):
        pullback(np.ones(3))


@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev, dd.jacobian], ids=["forward", "reverse", "auto"])
def test_code_as_it_is_written_is_captured_in_the_sweep_as_well(jac: Any) -> None:
    def body(x: Any) -> Any:
        y = np.zeros(3)
        y[0] = math.sin(x[0])
        y[1:] = np.asarray(x)[1:] ** 2
        return y

    kept = dd.checkpoint(body)
    for f, g in (
        (lambda x: kept(x) * x, lambda x: body(x) * x),
        (lambda x: kept(kept(x)), lambda x: body(body(x))),
        (lambda x: dd.checkpoint(lambda y: kept(y) * x[0])(x), lambda x: body(x) * x[0]),
    ):
        np.testing.assert_allclose(jac(f)(X[:3]), jac(g)(X[:3]), rtol=1e-14)


def test_a_constant_checkpoint_says_nothing_of_its_own() -> None:
    constant = dd.checkpoint(lambda x: np.ones(3) * (x[0] > -10))
    np.testing.assert_array_equal(dd.grad(lambda x: np.sum(constant(x) * x))(X[:3]), np.ones(3))
