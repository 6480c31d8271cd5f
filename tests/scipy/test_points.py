"""A right-hand side at many points, and the steps linearised with it: what the steps carried out one by one give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq

import dualdiff as dd
from dualdiff.errors import SingularSolutionError, UnsupportedFunctionError
from dualdiff.scipy import integrals, points
from dualdiff.scipy.points import Points
from dualdiff.scipy.systems import Given
from dualdiff.scipy.trajectories import Linear

WEIGHTS = np.random.default_rng(0).normal(size=(3, 3)) / 3
P = np.array([0.7, 1.3])


def at_many(f: Callable[..., Any], y: Any, p: Any = P) -> tuple[Points, Any, Any, list[Any]]:
    """Return what is found at many states, and what is found at each by itself."""
    given = Given(lambda t, y: f(t, y, p), "a function")
    many = Points(lambda inputs: given.problem(inputs[:2], []), [0.0, y[0]], [False, True])
    times = np.linspace(0.0, 1.0, len(y))
    values, derivatives = many.at({0: times, 1: y})
    each = [dd.jacobian(lambda z, t=t: f(t, z, p))(z) for t, z in zip(times, y, strict=True)]
    np.testing.assert_allclose(values, [np.ravel(f(t, z, p)) for t, z in zip(times, y, strict=True)], rtol=1e-14)
    return many, values, derivatives, each


def decided(t: Any, y: Any, p: Any) -> Any:
    return np.array([y[1], p[0] * y[0], 0.0 * y[2]]) if y[0] > 0.5 else np.stack([y[2] * t, y[0] ** 3, p[1] * y[1]])


@pytest.mark.parametrize(
    ("f", "recordings"),
    [
        (lambda t, y, p: [y[1], p[0] * np.sin(y[0]) + t, y[2] / (1 + y[0] ** 2)], 1),
        (lambda t, y, p: np.tanh(WEIGHTS @ y) * p[1] + np.maximum(y, 0.3) - np.where(y > 0.5, y**2, np.abs(y)), 1),
        (lambda t, y, p: np.sqrt(y) * np.exp(-(y[0] ** p[0])), 1),
        (decided, 2),
        (lambda t, y, p: np.linalg.solve(np.eye(3) + WEIGHTS, y), 1),
        (lambda t, y, p: np.interp(t, [0.0, 1.0], [0.0, 2.0]) * y, 1),
    ],
)
def test_derivatives_at_many_points_are_those_at_each(f: Any, recordings: int) -> None:
    y = np.random.default_rng(1).uniform(0.1, 1.0, (20, 3))
    many, _, derivatives, each = at_many(f, y)
    np.testing.assert_allclose(derivatives, each, rtol=1e-12, atol=1e-14)
    assert many.recordings == recordings


def test_where_a_derivative_is_not_finite_the_rules_for_such_points_decide() -> None:
    y = np.array([[0.5, 1.0], [0.0, 2.0]])
    _, _, derivatives, each = at_many(lambda t, y, p: np.where(y > 0, np.sqrt(np.abs(y)), y), y)
    np.testing.assert_allclose(derivatives, each)
    assert np.isfinite(derivatives).all()


def forced(t: Any, y: Any, p: Any) -> Any:
    return [y[1], -p[0] * np.sin(y[0]) - p[1] * y[1] + (1.0 if t < 0.4 else 0.5)]


@pytest.mark.parametrize("method", ["RK23", "RK45", "DOP853", "Radau", "LSODA"])
def test_steps_linearised_at_once_are_the_steps_carried_out(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"method": method, "rtol": 1e-6, "atol": 1e-8, "dense_output": True, "max_step": 0.1}

    def f(p: Any) -> Any:
        found = solve_ivp(lambda t, y: forced(t, y, p), (0.0, 1.0), p, t_eval=[0.13, 0.4, 1.0], **options)
        return np.concatenate([found.y.ravel(), found.sol(0.77)])

    def both() -> tuple[Any, Any]:
        return dd.jacfwd(f)(P), dd.jacrev(f)(P)

    count = []
    pushed = Linear.pushed
    monkeypatch.setattr(Linear, "pushed", lambda *args: count.append(1) or pushed(*args))
    at_once = both()
    assert count
    monkeypatch.setattr("dualdiff.scipy.trajectories._AT_ONCE", 200)  # a few steps at a time
    parts = both()
    monkeypatch.setattr(points, "MOST", 0)
    monkeypatch.setattr("dualdiff.scipy.trajectories.MOST", 0)
    one_by_one = both()
    for found in (*at_once, *parts, one_by_one[1]):
        np.testing.assert_allclose(found, one_by_one[0], rtol=1e-4 if method == "LSODA" else 1e-8, atol=1e-9)


def test_a_right_hand_side_that_keeps_account_is_not_linearised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def f(p: Any) -> Any:
        calls = []

        def slope(t: Any, y: Any) -> Any:
            calls.append(t)
            return -p * y * (1.0 + 1e-5 * (len(calls) % 2))

        return solve_ivp(slope, (0.0, 1.0), [1.0], rtol=1e-6, atol=1e-8).y[0, -1]

    def refuse(*_: Any) -> None:
        raise AssertionError("its values are others than those that SciPy saw")

    monkeypatch.setattr(Linear, "pulled", refuse)
    assert abs(dd.grad(f)(1.0) + np.exp(-1)) < 1e-3


def test_points_that_the_integrand_was_not_asked_for_are_found_one_by_one_and_by_a_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def area(p: Any) -> Any:  # the derivative by p[1] is harder than the integrand
        return quad(lambda t: np.exp(-p[0] * t) * t ** (p[1] - 1.0), 0.0, 1.0, limit=200)[0]

    found = dd.jacobian(area)(np.array([1.0, 1.0]))
    for many in (1, 10**6):
        monkeypatch.setattr(integrals, "_MANY", many)
        np.testing.assert_allclose(dd.jacobian(area)(np.array([1.0, 1.0])), found, rtol=1e-12)
    np.testing.assert_allclose(found, [2 / np.e - 1, -0.7965995992970531], rtol=1e-8)


def test_one_equation_for_one_unknown() -> None:
    weights = np.array([1.0, 2.0])

    def root(p: Any) -> Any:
        return brentq(lambda x: x**3 + (weights @ p) * x - p[0] - 1, 0.0, 3.0)

    x = root(P)
    slope = 3 * x**2 + weights @ P
    exact = -(weights * x - np.array([1.0, 0.0])) / slope
    for operator in (dd.jacfwd, dd.jacrev):
        np.testing.assert_allclose(operator(root)(P), exact, rtol=1e-12)
    np.testing.assert_allclose(dd.jacfwd(dd.jacrev(root))(P), dd.jacrev(dd.jacfwd(root))(P), rtol=1e-10)
    with pytest.raises(SingularSolutionError):
        dd.grad(lambda p: brentq(lambda x: (x - p) ** 3, -1.0, 3.0))(1.0)


@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev])
def test_what_has_no_derivative_has_none_at_many_points(jac: Any) -> None:
    for f in (
        lambda p: quad(lambda x: special.jv(p, x), 0.1, 0.7)[0],
        lambda p: quad(lambda x: special.eval_gegenbauer(2.5, p, x), 0.1, 0.7)[0],  # by p for whole degrees only
        lambda p: solve_ivp(lambda t, y: special.jv(p, t) + 0 * y, (0.0, 0.5), [0.0]).y[0, -1],
    ):
        with pytest.raises(
            UnsupportedFunctionError, match=r"test_points.py, line \d+: scipy.special.* has no derivative by"
        ):
            jac(f)(1.7)
