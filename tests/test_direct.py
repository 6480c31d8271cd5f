"""Ten derivatives worked by hand, with no helper in between."""

from __future__ import annotations

import math

import numpy as np

import dualdiff as dd


def test_the_power_rule() -> None:
    # d/dx x³ = 3x², at 2: 12
    assert dd.grad(lambda x: x**3)(2.0) == 12.0
    assert dd.jvp(lambda x: x**3, (2.0,), (1.0,)) == (8.0, 12.0)


def test_the_product_rule() -> None:
    # d/dx x·sin x = sin x + x·cos x, at π/2: 1
    def f(x):
        return x * np.sin(x)

    assert abs(dd.grad(f)(math.pi / 2) - 1.0) < 1e-15
    assert abs(dd.jacfwd(f)(math.pi / 2) - 1.0) < 1e-15


def test_the_quotient_rule() -> None:
    # d/dx x/(1+x²) = (1−x²)/(1+x²)², at 2: −3/25
    def f(x):
        return x / (1 + x * x)

    assert abs(dd.grad(f)(2.0) + 0.12) < 1e-16
    assert abs(dd.jacfwd(f)(2.0) + 0.12) < 1e-16


def test_the_chain_rule() -> None:
    # d/dx exp(−x²) = −2x·exp(−x²), at 1: −2/e
    def f(x):
        return np.exp(-(x**2))

    assert abs(dd.grad(f)(1.0) + 2 / math.e) < 1e-15
    assert abs(dd.jacfwd(f)(1.0) + 2 / math.e) < 1e-15


def test_the_tutorials_jacobian() -> None:
    # f = 2·(x²+y, y³+x) at (3, 4): 2·[[2x, 1], [1, 3y²]] = [[12, 2], [2, 96]]
    def f(x: np.ndarray) -> np.ndarray:
        y = np.zeros_like(x)
        y[0] = x[0] ** 2 + x[1]
        y[1] = x[1] ** 3 + x[0]
        return 2 * y

    x = np.array([3.0, 4.0])
    for operator in (dd.jacfwd, dd.jacrev, dd.jacobian):
        assert operator(f)(x).tolist() == [[12.0, 2.0], [2.0, 96.0]]


def test_polar_coordinates() -> None:
    # (r cos φ, r sin φ) by (r, φ) at (2, 0): [[cos φ, −r sin φ], [sin φ, r cos φ]] = [[1, 0], [0, 2]]
    def f(p):
        return np.array([p[0] * np.cos(p[1]), p[0] * np.sin(p[1])])

    p = np.array([2.0, 0.0])
    for operator in (dd.jacfwd, dd.jacrev, dd.jacobian):
        assert operator(f)(p).tolist() == [[1.0, 0.0], [0.0, 2.0]]


def test_the_gradient_of_a_quadratic_form() -> None:
    # ∇ xᵀAx = (A + Aᵀ)x; A = [[1, 2], [3, 4]], x = (1, −1): [[2, 5], [5, 8]]·(1, −1) = (−3, −3)
    A = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert dd.grad(lambda x: x @ A @ x)(np.array([1.0, -1.0])).tolist() == [-3.0, -3.0]
    # and by A: x xᵀ = [[1, −1], [−1, 1]]
    assert dd.grad(lambda B: np.array([1.0, -1.0]) @ B @ np.array([1.0, -1.0]))(A).tolist() == [
        [1.0, -1.0],
        [-1.0, 1.0],
    ]


def test_the_gradient_of_a_mean_of_squares() -> None:
    # (3(x+2)²).mean() over four ones: 6·3/4 = 4.5 each
    assert dd.grad(lambda x: (3 * (x + 2) ** 2).mean())(np.ones((2, 2))).tolist() == [[4.5, 4.5], [4.5, 4.5]]


def test_the_hessian_of_rosenbrocks_function() -> None:
    # (1−x)² + 100(y−x²)²: [[2 − 400(y−3x²), −400x], [−400x, 200]], at (1, 1): [[802, −400], [−400, 200]]
    def f(x):
        return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

    assert dd.hessian(f)(np.array([1.0, 1.0])).tolist() == [[802.0, -400.0], [-400.0, 200.0]]


def test_a_loop_with_a_branch() -> None:
    # Newton's iteration for √a started at 1: its limit has derivative 1/(2√a), at 4: 0.25
    def root(a: float) -> float:
        x = 1.0
        while abs(x * x - a) > 1e-14:
            x = (x + a / x) / 2
        return x

    assert abs(dd.grad(root)(4.0) - 0.25) < 1e-13  # one iteration behind the value
    assert abs(dd.jacfwd(root)(4.0) - 0.25) < 1e-13


def test_the_derivative_of_a_determinant() -> None:
    # ∂det A/∂A is the matrix of cofactors; [[1, 2], [3, 4]]: [[4, −3], [−2, 1]]
    def det(A):
        return A[0, 0] * A[1, 1] - A[0, 1] * A[1, 0]

    A = np.array([[1.0, 2.0], [3.0, 4.0]])
    for operator in (dd.jacfwd, dd.jacrev, dd.jacobian):
        assert operator(det)(A).tolist() == [[4.0, -3.0], [-2.0, 1.0]]
