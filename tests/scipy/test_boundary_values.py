"""``solve_bvp`` inside a differentiated function: closed forms, unknown parameters, the ends of the interval, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.integrate
from scipy.integrate import solve_bvp
from scipy.interpolate import PPoly

import dualdiff as dd
from dualdiff.errors import DerivativeError, UnsupportedFunctionError

MESH = np.linspace(0.0, 1.0, 5)
ZEROS = np.zeros((2, 5))


def oscillation(p: Any, **options: Any) -> Any:
    """Solve y'' = -w² y, y(0) = a, y(b) = 1, by the parameters w, a and b."""
    w, a, b = p

    def fun(x: Any, y: Any) -> Any:
        slope = np.zeros((2, x.size))
        slope[0] = y[1]
        slope[1] = -(w**2) * y[0]
        return slope

    return scipy.integrate.solve_bvp(
        fun, lambda ya, yb: np.array([ya[0] - a, yb[0] - 1]), MESH * b, ZEROS, tol=1e-9, max_nodes=9000, **options
    )


def exactly(p: Any, x: Any) -> Any:
    w, a, b = p
    return a * np.cos(w * x) + (1 - a * np.cos(w * b)) / np.sin(w * b) * np.sin(w * x)


P = np.array([1.3, 0.4, 1.1])


def test_a_solution_by_parameters_conditions_and_ends() -> None:
    at = np.array([0.2, 0.7])

    def f(p: Any) -> Any:
        found = oscillation(p)
        assert isinstance(found.sol, PPoly)
        slope = found.sol(0.2, 1)[0]
        return np.stack([*found.sol(at)[0], slope, found.sol(0.7)[0], found.yp[0, -1], found.x[-1], found.y[1, -1]])

    def exact(p: Any) -> Any:
        slope = lambda x: dd.jvp(lambda x: exactly(p, x), (x,), (1.0,))[1]  # noqa: E731
        y = exactly(p, at)
        return np.stack([*y, slope(0.2), y[1], slope(p[2]), p[2], slope(p[2])])

    forward, backward = dd.jacfwd(f)(P), dd.jacrev(f)(P)
    np.testing.assert_allclose(forward, backward, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(forward, dd.jacobian(exact)(P), atol=1e-6)
    np.testing.assert_allclose(dd.jvp(f, (P,), (P,))[0], f(P), rtol=1e-12)


def test_second_derivatives() -> None:
    def f(p: Any) -> Any:
        return solve_bvp(
            lambda x, y: np.vstack((y[1], -(p[0] ** 2) * y[0])),
            lambda ya, yb: [ya[0] - p[1], yb[0] - 1],
            MESH,
            ZEROS,
            tol=1e-4,
        ).sol(0.3)[0]

    p = P[:2]
    np.testing.assert_allclose(dd.hessian(f)(p), dd.hessian(lambda p: exactly([*p, 1.0], 0.3))(p), rtol=1e-3, atol=1e-4)


def test_an_eigenvalue() -> None:
    guess = np.array([[0, 1, 0, -1, 0], [0, 0, 0, 0, 0.0]])

    def f(q: Any) -> Any:
        fun = lambda x, y, p: np.vstack((y[1], -q * p[0] ** 2 * y[0]))  # noqa: E731
        bc = lambda ya, yb, p: np.array([ya[0], yb[0], ya[1] - p[0]])  # noqa: E731
        return scipy.integrate.solve_bvp(fun, bc, MESH, guess, p=[6.0], tol=1e-6).p[0]

    for operator in (dd.jacfwd, dd.jacrev):
        assert abs(operator(f)(1.0) + np.pi) < 1e-5


def test_jacobians_of_the_user_and_a_differentiated_guess() -> None:
    def f(p: Any) -> Any:
        return solve_bvp(
            lambda x, y: np.vstack((y[1], -p * np.exp(y[0]))),
            lambda ya, yb: np.array([ya[0], yb[0]]),
            MESH,
            ZEROS + p,
            fun_jac=lambda x, y: np.array([[0 * x, 1 + 0 * x], [-p * np.exp(y[0]), 0 * x]]),
            bc_jac=lambda ya, yb: (np.array([[1.0, 0], [0, 0]]), np.array([[0.0, 0], [1, 0]])),
            tol=1e-8,
            max_nodes=9000,
        ).y[1, 0]

    step = 1e-4
    assert abs(dd.grad(f)(1.0) - (f(1.0 + step) - f(1.0 - step)) / (2 * step)) < 1e-6


def test_a_singular_term() -> None:
    def f(p: Any) -> Any:  # y'' + q y'/x + w² y = 0, y'(0) = 0, y(b) = 1
        w, q, b = p
        found = scipy.integrate.solve_bvp(
            lambda x, y: np.vstack([y[1], -w * w * y[0]]),
            lambda ya, yb: np.array([ya[1], yb[0] - 1]),
            MESH * b,
            ZEROS,
            S=np.array([[0.0, 0.0], [0.0, -1.0]]) * q,
            tol=1e-6,
        )
        return np.array([found.y[0, 0], found.sol(0.4)[0], found.yp[1, 0]])

    def exact(w: Any, b: Any) -> Any:  # for q = 2
        scale = b / np.sin(w * b)
        return np.array([w * scale, np.sin(w * 0.4) / 0.4 * scale, -(w**3) * scale / 3])

    p, step = np.array([1.3, 2.0, 1.1]), np.array([0.0, 1e-4, 0.0])
    found = dd.jacfwd(f)(p)
    np.testing.assert_allclose(found, dd.jacrev(f)(p), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found[:, ::2], np.stack(dd.jacobian(exact, argnums=(0, 1))(1.3, 1.1), axis=1), rtol=1e-4)
    np.testing.assert_allclose(found[:, 1], (f(p + step) - f(p - step)) / 2e-4, rtol=1e-3)


def test_what_is_refused() -> None:
    with pytest.raises(UnsupportedFunctionError, match="derivative of the spline"):
        dd.grad(lambda p: oscillation([p, 0.4, 1.1]).sol.derivative()(0.1)[0])(1.3)
    with pytest.raises(UnsupportedFunctionError, match="an option of solve_bvp"):
        dd.grad(
            lambda p: solve_bvp(lambda x, y: p * y, lambda ya, yb: [ya[0] - 1], MESH, np.ones((1, 5)), tol=p).y[0, 1]
        )(1.3)
    with pytest.raises(DerivativeError, match="singular"):  # any multiple of the sine will do
        dd.grad(
            lambda p: solve_bvp(
                lambda x, y: np.vstack([y[0] * 0 + p, y[1] * 0]), lambda ya, yb: [ya[0], yb[0] - p], MESH, ZEROS
            ).y[0, 1]
        )(1.0)
