"""Right derivatives of functions that are hard on a witness: by scale, noise, kinks nearby, edges, rounding, shapes and types."""

from __future__ import annotations

import numpy as np
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.optimize
import scipy.sparse
import scipy.sparse.linalg
import scipy.special

from tests.testing.mistakes.case import Gradient, Hessian, Jacobian, Jvp, Vjp

__all__ = ["NASTY"]

rng = np.random.default_rng(21)
D = np.diag
A, B, C = rng.standard_normal((3, 3)), rng.standard_normal((5, 3)), rng.standard_normal((3, 5))
five, three = rng.standard_normal(5), rng.standard_normal(3)
WIDE = 10.0 ** rng.integers(-12, 13, (4, 4)) * rng.standard_normal((4, 4))


def arrhenius(T):
    return np.exp(-np.array([1e5, 5e4, 1e3]) / (8.314 * T))


SCALE = [
    Jacobian("brown badly scaled", lambda x: np.array([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2]),
             lambda x: np.array([[1, 0], [0, 1], [x[1], x[0]]]), np.array([1e6, 2e-6])),
    Jacobian("powell badly scaled", lambda x: np.array([1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001]),
             lambda x: np.array([[1e4 * x[1], 1e4 * x[0]], [-np.exp(-x[0]), -np.exp(-x[1])]]), np.array([1.098e-5, 9.106])),
    Jacobian("arrhenius rates from 1e-18 to 1", arrhenius, lambda T: np.array([1e5, 5e4, 1e3]) / (8.314 * T**2) * arrhenius(T),
             np.float64(290.0)),
    Jacobian("results of 1e-12", lambda x: 1e-12 * np.sin(x), lambda x: D(1e-12 * np.cos(x)), three),
    Jacobian("arguments of 1e-12", np.sqrt, lambda x: D(0.5 / np.sqrt(x)), np.array([1e-12, 3e-12])),
    Jacobian("arguments of 1e12", np.log, lambda x: D(1 / x), np.array([1e12, 3e12])),
    Jacobian("coefficients from 1e-12 to 1e12", lambda x: WIDE @ x, lambda x: WIDE, np.array([1.0, -2.0, 0.5, 3.0])),
    Jacobian("log at 1e-300", np.log, lambda x: D(1 / x), np.array([1e-300, 1.0])),
    Jacobian("exp(-700)", lambda x: np.exp(-x), lambda x: D(-np.exp(-x)), np.array([700.0, 1.0])),
    Jacobian("exp(700)", np.exp, lambda x: D(np.exp(x)), np.array([700.0, 1.0])),
    Jacobian("gammaln at 1e10", scipy.special.gammaln, lambda x: D(scipy.special.digamma(x)), np.array([1e10, 2.5])),
    Jacobian("zeros, where the scale is 1e6", lambda x: np.sin(1e-6 * x), lambda x: D(1e-6 * np.cos(1e-6 * x)), np.zeros(2)),
    Jacobian("zeros, where the scale is 1e-6", lambda x: np.sin(1e6 * x), lambda x: D(1e6 * np.cos(1e6 * x)), np.zeros(2)),
    Jacobian("sin at 1e8", np.sin, lambda x: D(np.cos(x)), np.array([1e8, 1.0])),
    Gradient("a product of fifty", np.prod, lambda x: np.prod(x) / x, np.linspace(0.2, 3.0, 50), domain="nonzero"),
    Jacobian("x^100", lambda x: x**100, lambda x: D(100 * x**99), np.array([0.9, 1.1])),
    Jacobian("planck's law", lambda T: 1e-3 / np.expm1(14387.8 / (np.array([0.5, 1.0, 10.0]) * T)),
             lambda T: (lambda u: 1e-3 * np.exp(u) * u / T / np.expm1(u) ** 2)(14387.8 / (np.array([0.5, 1.0, 10.0]) * T)),
             np.float64(300.0)),
    Jacobian("kepler's law in metres and seconds", lambda a: 2 * np.pi * np.sqrt(a**3 / 1.327e20),
             lambda a: D(3 * np.pi * np.sqrt(a / 1.327e20)),
             np.array([1.5e11, 7.8e11])),
]  # fmt: skip


def hashed(x):
    return (np.sin(x * 1e9) * 43758.5453) % 1.0 - 0.5


def seventh(x):
    return np.polyval(np.poly(np.ones(7)), x)


fresh = np.random.default_rng(5)
HILBERT = scipy.linalg.hilbert(8)
NOISE = [
    Jacobian("noise of 1e-10", lambda x: np.sin(x) + 1e-10 * hashed(x), lambda x: D(np.cos(x)), three),
    Jacobian("noise of 1e-6", lambda x: np.sin(x) + 1e-6 * hashed(x), lambda x: D(np.cos(x)), three),
    Jacobian("noise of 1e-10, new in each call", lambda x: np.sin(x) + 1e-10 * fresh.standard_normal(x.shape),
             lambda x: D(np.cos(x)), three),
    Jacobian("noise of 1e-5, declared", lambda x: np.exp(x) + 1e-5 * hashed(x), lambda x: D(np.exp(x)), three, noise=1e-5),
    Jacobian("single precision inside", lambda x: np.sin(x.astype(np.float32) * 2).astype(float), lambda x: D(2 * np.cos(2 * x)), three),
    Jacobian("single precision, sums of a thousand",
             lambda x: np.sum(np.outer(np.linspace(0, 1, 1000, dtype=np.float32), x) ** 2, axis=0),
             lambda x: D(2 * x * np.float32(np.sum(np.linspace(0, 1, 1000) ** 2))), np.array([0.3, 20.0], np.float32)),
    Jacobian("half precision", lambda x: x**2, lambda x: D(2 * x), np.array([1.5, 0.25], np.float16)),
    Jacobian("rounded to six digits", lambda x: np.round(np.exp(x), 6), lambda x: D(np.exp(x)), three),
    Jacobian("rounded to nine digits", lambda x: np.round(np.sin(3 * x), 9), lambda x: D(3 * np.cos(3 * x)), three),
    Jacobian("x + 1e10 - 1e10", lambda x: (x**2 + 1e8) - 1e8, lambda x: D(2 * x), np.array([3.0, 0.7])),
    Jacobian("(x-1)^7 expanded, near 1", seventh, lambda x: D(7 * (x - 1) ** 6), np.array([1.01, 1.2])),
    Jacobian("(x-1)^7 expanded, farther", seventh, lambda x: D(7 * (x - 1) ** 6), np.array([1.5, 2.2])),
    Jacobian("hilbert system of condition 1e10", lambda b: np.linalg.solve(HILBERT, b), lambda b: np.linalg.inv(HILBERT), np.ones(8)),
    Jacobian("eigenvalues almost equal", lambda x: np.linalg.eigvalsh(np.array([[1 + x[0], x[1]], [x[1], 1 - x[0]]])),
             lambda x: np.array([[-x[0], -x[1]], [x[0], x[1]]]) / np.hypot(*x), np.array([1e-7, 2e-7])),
    Jacobian("1 - cos at 1e-4", lambda x: 1 - np.cos(x), lambda x: D(np.sin(x)), np.array([1e-4, 0.5])),
    Jacobian("quadratic formula with cancellation", lambda b: b - np.sqrt(b**2 - 1), lambda b: D(1 - b / np.sqrt(b**2 - 1)),
             np.array([1e3, 2.0])),
    Gradient("variance by the mean of squares", lambda x: np.mean(x**2) - np.mean(x) ** 2, lambda x: 2 * (x - x.mean()) / 5, five + 1e4),
]  # fmt: skip


def decay(p):
    return scipy.integrate.solve_ivp(
        lambda t, y: [-p[0] * y[0] + np.sin(5 * t)], (0, 2), [p[1]], rtol=1e-6, atol=1e-9
    ).y[:, -1]


def decay_exactly(p):
    def value(k):
        return np.exp(-2 * k) * (p[1] + 5 / (k * k + 25)) + (k * np.sin(10) - 5 * np.cos(10)) / (k * k + 25)

    return np.array([[np.imag(value(p[0] + 1e-20j)) / 1e-20, np.exp(-2 * p[0])]])


def stiff(p):
    return scipy.integrate.solve_ivp(
        lambda t, y: -p[0] * (y - 1.0), (0, 1), [3.0], method="LSODA", rtol=1e-8, atol=1e-10
    ).y[:, -1]


def root(a):
    return np.array([scipy.optimize.brentq(lambda s: s - np.cos(a[0] * s), 0, 1, xtol=1e-8)])


def exact_root(a):
    s = scipy.optimize.brentq(lambda s: s - np.cos(a[0] * s), 0, 1, xtol=1e-15)
    return np.array([[-s * np.sin(a[0] * s) / (1 + a[0] * np.sin(a[0] * s))]])


def fixed_point(a):
    s = 0.5
    for _ in range(60):
        s = np.cos(s * a[0])
    return np.array([s])


def newton(a):
    x = 1.0
    for _ in range(30):
        x = x - (x**3 - a[0]) / (3 * x * x)
    return np.array([x])


def argmin(a):
    return np.array([scipy.optimize.minimize_scalar(lambda s: np.cosh(s - a[0]) + 0.1 * s * s, bounds=(-3, 3), method="bounded",
                                                    options={"xatol": 1e-10}).x])  # fmt: skip


def exact_argmin(a):
    s = scipy.optimize.brentq(lambda s: np.sinh(s - a[0]) + 0.2 * s, -3, 3, xtol=1e-15)
    return np.array([[np.cosh(s - a[0]) / (np.cosh(s - a[0]) + 0.2)]])


def conjugate_gradients(b):
    return scipy.sparse.linalg.cg(SPARSE, b, rtol=1e-10)[0]


SPARSE = scipy.sparse.diags_array([-np.ones(5), 2.5 * np.ones(6), -np.ones(5)], offsets=[-1, 0, 1]).tocsr()
SOLVERS = [
    Jacobian("ode with rtol 1e-6, not declared", decay, decay_exactly, np.array([0.7, 3.0]), points=0),
    Jacobian("ode with rtol 1e-6, declared", decay, decay_exactly, np.array([0.7, 3.0]), points=2, noise=1e-6),
    Jacobian("stiff ode, declared", stiff, lambda p: np.array([[-2 * np.exp(-p[0])]]), np.array([2.0]), points=2, noise=1e-6),
    Jacobian("root with xtol 1e-8, declared", root, exact_root, np.array([0.8]), noise=1e-7, domain=(0.5, 1.5)),
    Jacobian("root with xtol 1e-8, rtol allowed", root, exact_root, np.array([0.8]), rtol=1e-3, domain=(0.5, 1.5)),
    Jacobian("fixed point, sixty steps", fixed_point, exact_root, np.array([0.8]), domain=(0.5, 1.0)),
    Jacobian("cube root by Newton's method", newton, lambda a: np.array([[a[0] ** (-2 / 3) / 3]]), np.array([5.0]), domain=(0.5, 20.0)),
    Jacobian("minimiser of a line search, declared", argmin, exact_argmin, np.array([0.9]), noise=1e-6, points=4, domain=(0.5, 1.5)),
    Jacobian("conjugate gradients, declared", conjugate_gradients, lambda b: np.linalg.inv(SPARSE.toarray()), np.arange(1.0, 7.0),
             noise=1e-8),
    Jacobian("quadrature", lambda a: np.array([scipy.integrate.quad(lambda t: np.exp(-a[0] * t * t), 0, 1)[0]]),
             lambda a: np.array([[scipy.integrate.quad(lambda t: -t * t * np.exp(-a[0] * t * t), 0, 1)[0]]]), np.array([1.7])),
    Jacobian("spline", scipy.interpolate.CubicSpline(np.arange(6.0), [0, 1, 0, 2, 1, 3]),
             lambda x: D(scipy.interpolate.CubicSpline(np.arange(6.0), [0, 1, 0, 2, 1, 3])(x, 1)), np.array([0.5, 3.0])),
    Jacobian("table, linear between its entries", lambda x: np.interp(x, [0.0, 1.0, 2.0, 4.0], [0.0, 3.0, 2.0, 2.5]),
             lambda x: D(np.select([x < 1, x < 2], [3.0, -1.0], 0.25)), np.array([0.4, 2.5]), domain=(0.1, 3.9)),
]  # fmt: skip


def huber(x):
    return np.sum(np.where(abs(x) < 1, x**2 / 2, abs(x) - 0.5))


def fussy(x):
    if np.any(np.real(x) <= 0.99):
        raise RuntimeError("solver diverged")
    return np.log(x)


PCHIP = scipy.interpolate.PchipInterpolator(np.arange(5.0), [0, 1, 1.5, 4, 4.1])
KINKS_AND_EDGES = [
    Jacobian("relu 1e-9 from its kink", lambda x: np.maximum(x - 1, 0), lambda x: D((x > 1) * 1.0), np.array([1 + 1e-9, 1 - 1e-9])),
    Jacobian("relu a tenth from its kink", lambda x: np.maximum(x - 1, 0), lambda x: D((x > 1) * 1.0), np.array([1.1, 0.9])),
    Gradient("maximum, tie broken by 1e-8", np.max, lambda x: (x == x.max()) * 1.0, np.array([1.0, 1.0 + 1e-8, 0.2])),
    Jacobian("absolute value at its kink", abs, lambda x: D(np.where(x >= 0, 1.0, -1.0)), np.array([0.0, 2.0]), kink=True),
    Jacobian("relu at its kink", lambda x: np.maximum(x, 0), lambda x: D((x >= 0) * 1.0), np.array([0.0, 2.0]), kink=True),
    Gradient("norm at zero", lambda x: np.sqrt(x @ x), lambda x: x / (np.sqrt(x @ x) or 1.0), np.zeros(2), kink=True),
    Gradient("maximum at a tie", np.max, lambda x: (x == x.max()) / np.sum(x == x.max()), np.array([1.0, 1.0, 0.2]), kink=True),
    Gradient("huber at its seam", huber, lambda x: np.clip(x, -1, 1), np.array([1.0, -1.0])),
    Jacobian("|x| x at zero", lambda x: abs(x) * x, lambda x: D(2 * abs(x)), np.array([0.0, 1.0])),
    Jacobian("|x|^1.5 at zero", lambda x: abs(x) ** 1.5, lambda x: D(1.5 * np.sqrt(abs(x)) * np.sign(x)), np.array([0.0, 1.0])),
    Jacobian("jump elsewhere", lambda x: np.floor(x) + x**2, lambda x: D(2 * x), np.array([0.5, 2.3])),
    Jacobian("jump 1e-12 away", lambda x: np.where(x > 1, 5.0, 0.0) + x**2, lambda x: D(2 * x), np.array([1 + 1e-12, 3.0])),
    Jacobian("sawtooth", lambda x: (7.3 * x) % 1.0, lambda x: 7.3 * np.eye(2), np.array([0.21, 0.9])),
    Jacobian("stairs", lambda x: np.floor(2 * x) + 0 * x, lambda x: np.zeros((2, 2)), np.array([0.3, 1.2]), stationary=True),
    Jacobian("sin(1e4 x)", lambda x: np.sin(1e4 * x), lambda x: D(1e4 * np.cos(1e4 * x)), np.array([1.0, 0.3])),
    Jacobian("sin(1e8 x)", lambda x: np.sin(1e8 * x), lambda x: D(1e8 * np.cos(1e8 * x)), np.array([1.0, 0.3])),
    Jacobian("ripple of 1e-3", lambda x: x + 1e-3 * np.sin(1e5 * x), lambda x: D(1 + 100 * np.cos(1e5 * x)), np.array([1.0, 0.7])),
    Jacobian("square root 8e-14 inside", lambda x: np.sqrt(x - 1), lambda x: D(0.5 / np.sqrt(x - 1)), np.array([1 + 1e-14 * 8, 2.0])),
    Jacobian("square root 1e-6 inside", lambda x: np.sqrt(x - 1), lambda x: D(0.5 / np.sqrt(x - 1)), np.array([1 + 1e-6, 2.0])),
    Jacobian("arcsin at 1", np.arcsin, lambda x: D(1 / np.sqrt((1 - x) * (1 + x))), np.array([1.0, 0.1]), kink=True),
    Jacobian("raises a little outside", fussy, lambda x: D(1 / x), np.array([1.0, 2.0])),
    Jacobian("monotone spline at a knot", PCHIP, lambda x: D(PCHIP(x, 1)), np.array([2.0, 0.4])),
    Jacobian("absolute value at 1e-300", abs, lambda x: D(np.sign(x)), np.array([1e-300, -1e-300])),
    Jacobian("clip, outside on both sides", lambda x: np.clip(x, -1, 1), lambda x: D((abs(x) < 1) * 1.0), np.array([1.5, -3.0, 0.5])),
    Jacobian("soft threshold", lambda x: np.sign(x) * np.maximum(abs(x) - 0.5, 0), lambda x: D((abs(x) > 0.5) * 1.0),
             np.array([0.3, 2.0, -0.7])),
    Jacobian("sorted", np.sort, lambda x: np.eye(3)[np.argsort(x)], np.array([3.0, 1.0, 2.0])),
]  # fmt: skip


def logistic(x):
    return 1 / (1 + np.exp(-20 * x))


MEANS = rng.standard_normal((20, 4))
AT = rng.standard_normal(4)
STATIONARY = [
    Gradient("rosenbrock at its minimum", scipy.optimize.rosen, scipy.optimize.rosen_der, np.ones(5), stationary=True),
    Gradient("least squares at their minimum", lambda x: 0.5 * np.sum((MEANS @ x - MEANS @ AT) ** 2),
             lambda x: MEANS.T @ (MEANS @ x - MEANS @ AT), AT, stationary=True),
    Gradient("normal likelihood at its maximum", lambda m: -0.5 * np.sum((five - m[0]) ** 2), lambda m: np.array([np.sum(five - m[0])]),
             np.array([five.mean()]), stationary=True),
    Hessian("rosenbrock's Hessian at its minimum", scipy.optimize.rosen, scipy.optimize.rosen_hess, np.ones(5)),
    Jacobian("sigmoid at 40 and -40", lambda x: 0.5 * (1 + np.tanh(x / 2)), lambda x: D(0.5 / (1 + np.cosh(x))),
             np.array([40.0, -40.0, 0.1])),
    Jacobian("tanh, saturated", np.tanh, lambda x: D(1 / np.cosh(x) ** 2), np.array([30.0, -12.0, 0.4])),
    Jacobian("tanh, saturated, by its own value", np.tanh, lambda x: D(1 - np.tanh(x) ** 2), np.array([30.0, -12.0, 14.4375, 0.4])),
    Jacobian("tanh, saturated, in single precision", np.tanh, lambda x: D(1 - np.tanh(x) ** 2), np.array([8.4, -5.0, 0.4], np.float32)),
    Jacobian("logistic of large numbers, by its own value", logistic, lambda x: 20 * D(logistic(x) * (1 - logistic(x))),
             np.array([0.94, 1.18, 1.41, -0.3])),
    Gradient("cosine at a crest", lambda x: np.sum(np.cos(x)), lambda x: -np.sin(x), np.array([0.0, np.pi]), stationary=True),
    Gradient("gaussian at its crest", lambda x: np.exp(-x @ x), lambda x: -2 * x * np.exp(-x @ x), np.zeros(3), stationary=True),
]  # fmt: skip
z = rng.standard_normal(3) + 1j * rng.standard_normal(3)
SHAPES_AND_TYPES = [
    Jacobian("one argument ignored", lambda x: x[:1] ** 2, lambda x: np.array([[2 * x[0], 0.0]]), np.array([1.0, 2.0])),
    Jacobian("number to number", np.exp, np.exp, np.float64(0.3)),
    Jacobian("Python's float to Python's float", lambda x: x * x, lambda x: 2 * x, 0.75),
    Jacobian("no results", lambda x: x[:0], lambda x: np.zeros((0, 2)), np.array([1.0, 2.0]), stationary=True),
    Jacobian("no arguments", lambda x: np.ones(2), lambda x: np.zeros((2, 0)), np.zeros(0), stationary=True),
    Jacobian("a constant", lambda x: np.array([1.0, 2.0]), lambda x: np.zeros((2, 3)), three, stationary=True),
    Jacobian("Jacobian in lists", lambda x: np.array([x[0] * x[1], x[0]]), lambda x: [[x[1], x[0]], [1, 0]], np.array([2.0, 3.0])),
    Jacobian("Jacobian sparse", lambda x: x**2, lambda x: scipy.sparse.diags_array(2 * x).tocsr(), np.array([2.0, 3.0])),
    Jacobian("Jacobian a linear operator", lambda x: B @ x, lambda x: scipy.sparse.linalg.aslinearoperator(B), three),
    Jacobian("function returns a list", lambda x: [x[0] * x[1], x[0] ** 2, 1.0], lambda x: np.array([[x[1], x[0]], [2 * x[0], 0], [0, 0]]),
             np.array([2.0, 3.0])),
    Jacobian("point in a list", lambda x: x[0] * x[1], lambda x: np.array([x[1], x[0]]), [2.0, 3.0]),
    Jacobian("result sparse", lambda x: scipy.sparse.diags_array(x**2), lambda x: np.einsum("ij,jk->ijk", np.eye(2), D(2 * x)),
             np.array([2.0, 3.0])),
    Jacobian("matrix to vector", lambda X: X @ np.ones(3), lambda X: np.einsum("ij,k->ijk", np.eye(2),
             np.ones(3)), rng.standard_normal((2, 3))),
    Jacobian("integers", lambda x: x**2 / 2, lambda x: D(x), np.array([2, 3])),
    Jacobian("two arguments", lambda a, b: a * b, lambda a, b: (D(b), D(a)), np.array([1.0, 2.0]), np.array([3.0, 0.5]), argnums=(0, 1)),
    Jacobian("the second argument", lambda a, b: a * b**2, lambda a, b: D(2 * a * b), np.array([1.0, 2.0]), np.array([3.0, 0.5]), argnum=1),
    Jacobian("nested argument and result", lambda p: {"y": p["k"] * p["x"], "n": p["k"] ** 2},
             lambda p: {"n": {"k": 2 * p["k"], "x": np.zeros(2)}, "y": {"k": p["x"], "x": p["k"] * np.eye(2)}}, {"k": 1.5,
             "x": np.array([1.0, 2.0])}),
    Jvp("complex square", lambda w: w**2, lambda p, t: (p[0] ** 2, 2 * p[0] * t[0]), z),
    Jacobian("complex exponential", np.exp, lambda w: D(np.exp(w)), z),
    Jvp("conjugate", np.conj, lambda p, t: (np.conj(p[0]), np.conj(t[0])), z),
    Vjp("modulus", np.abs, lambda w: (np.abs(w), lambda c: (c * w / np.abs(w),)), z),
    Jacobian("phase of a real angle", lambda x: np.exp(1j * x), lambda x: D(1j * np.exp(1j * x)), three),
    Vjp("inverse", np.linalg.inv, lambda X: (np.linalg.inv(X), lambda W: (-np.linalg.inv(X).T @ W @ np.linalg.inv(X).T,)), A),
    Vjp("matrix product", lambda X, Y: X @ Y, lambda X, Y: (X @ Y, lambda W: (W @ Y.T, X.T @ W)), B, C, shapes="(m,k),(k,n)"),
    Vjp("a hundred results", lambda x: np.outer(x, x).ravel(), lambda x: (np.outer(x, x).ravel(),
             lambda w: ((w.reshape(10, 10) + w.reshape(10, 10).T) @ x,)),
        np.linspace(0.5, 2, 10)),
    Jacobian("fifty arguments", lambda x: np.sin(np.cumsum(x)), lambda x: np.cos(np.cumsum(x))[:, None] * np.tril(np.ones((50, 50))),
             np.linspace(-1, 1, 50)),
    Gradient("determinant", np.linalg.det, lambda X: np.linalg.det(X) * np.linalg.inv(X).T, A),
    Gradient("log of a determinant", lambda X: np.linalg.slogdet(X)[1], lambda X: np.linalg.inv(X).T, B.T @ B),
    Hessian("a cubic's Hessian", lambda x: x[0] ** 2 * x[1] + x[1] ** 3, lambda x: np.array([[2 * x[1], 2 * x[0]], [2 * x[0], 6 * x[1]]]),
            np.array([1.0, 2.0])),
]  # fmt: skip

NASTY = [*SCALE, *NOISE, *SOLVERS, *KINKS_AND_EDGES, *STATIONARY, *SHAPES_AND_TYPES]
