"""Derivatives with one mistake each, of the kinds that people make."""

from __future__ import annotations

from math import pi

import numpy as np
import scipy.integrate
import scipy.sparse
import scipy.special

from tests.testing.mistakes.case import Gradient, Hessian, Jacobian, Jvp, Vjp

__all__ = ["WRONG"]

rng = np.random.default_rng(20)
A, B, C = rng.standard_normal((3, 3)), rng.standard_normal((5, 3)), rng.standard_normal((3, 5))
DEFINITE = B.T @ B + np.eye(3)
five, three = rng.standard_normal(5), rng.standard_normal(3)
EYE = np.eye


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


SIGNS_FACTORS_POWERS = [
    Gradient("rosenbrock: sign of the cross term", lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
             lambda x: np.array([400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)]), np.array([-1.2, 1.0])),
    Gradient("least squares: factor 2", lambda x: 0.5 * np.sum((B @ x - five) ** 2), lambda x: 2 * B.T @ (B @ x - five), three),
    Gradient("mean of squares: 1/n forgotten", lambda x: np.mean((x - five) ** 2), lambda x: 2 * (x - five), np.arange(5.0)),
    Gradient("mean of squares: 1/n twice", lambda x: np.mean(x**2), lambda x: 2 * x / 25, five),
    Jacobian("tanh: 1 - t without the square", np.tanh, lambda x: np.diag(1 - np.tanh(x)), np.array([0.2, -0.7, 1.5])),
    Jacobian("sigmoid layer: slope from z instead of s", lambda x: sigmoid(B @ x), lambda x: ((B @ x) * (1 - B @ x))[:, None] * B, three),
    Jacobian("saturation: by K without the square", lambda p: p[0] * five**2 / (p[1] + five**2),
             lambda p: np.stack([five**2 / (p[1] + five**2), -p[0] * five**2 / (p[1] + five**2)], 1), np.array([2.0, 0.7]),
             domain="positive"),
    Gradient("normal likelihood: by sigma as if by its square", lambda s: np.sum(-np.log(s[0]) - five**2 / (2 * s[0] ** 2)),
             lambda s: np.array([-5 / (2 * s[0]) + np.sum(five**2) / (2 * s[0] ** 3)]), np.array([1.3])),
    Jacobian("gas law: the constant has four digits in the derivative", lambda x: np.array([8.31446261815324 * x[1] / x[0]]),
             lambda x: np.array([[-8.314 * x[1] / x[0] ** 2, 8.314 / x[0]]]), np.array([0.02, 300.0])),
    Jacobian("circle: pi is 3.1416 in the derivative", lambda r: pi * r**2, lambda r: np.diag(2 * 3.1416 * r), np.array([1.5, 0.2])),
    Gradient("a loss of size 1e-12: factor 2", lambda x: 1e-12 * np.sum(np.sin(x)), lambda x: 2e-12 * np.cos(x), five),
    Jacobian("cosine in degrees: pi/180 forgotten", lambda a: np.cos(np.deg2rad(a)), lambda a: np.diag(-np.sin(np.deg2rad(a))),
             np.array([30.0, 45.0, 100.0])),
    Jacobian("log10: ln 10 forgotten", np.log10, lambda x: np.diag(1 / x), np.array([2.0, 5.0]), domain="positive"),
    Jacobian("power 2^x: ln 2 forgotten", lambda x: 2**x, lambda x: np.diag(2**x), np.array([0.5, 1.5])),
    Jacobian("arccos: sign", np.arccos, lambda x: np.diag(1 / np.sqrt(1 - x**2)), np.array([0.3, -0.4]), domain=(-0.9, 0.9)),
    Jacobian("erf: 2/sqrt(pi) is 1/sqrt(pi)", scipy.special.erf, lambda x: np.diag(np.exp(-(x**2)) / np.sqrt(pi)), np.array([0.3, -0.8])),
    Jacobian("x^5: power not lowered", lambda x: x**5, lambda x: np.diag(5 * x**5), np.array([0.7, 1.3])),
    Jacobian("quotient rule: terms in the wrong order", lambda x: np.array([x[0] / x[1], x[0]]),
             lambda x: np.array([[-1 / x[1], x[0] / x[1] ** 2], [1.0, 0.0]]), np.array([2.0, 3.0])),
]  # fmt: skip

INDICES = [
    Jacobian("rotation: transposed", lambda x: np.array([[0.6, -0.8], [0.8, 0.6]]) @ x, lambda x: np.array([[0.6, 0.8], [-0.8, 0.6]]),
             np.array([1.0, 2.0])),
    Jacobian("lotka-volterra: entries off the diagonal swapped",
             lambda y: np.array([1.1 * y[0] - 0.4 * y[0] * y[1], 0.1 * y[0] * y[1] - 0.4 * y[1]]),
             lambda y: np.array([[1.1 - 0.4 * y[1], 0.1 * y[1]], [-0.4 * y[0], 0.1 * y[0] - 0.4]]), np.array([10.0, 5.0])),
    Gradient("determinant: inverse not transposed", np.linalg.det, lambda X: np.linalg.det(X) * np.linalg.inv(X), A),
    Vjp("matrix product: pullback right for square ones only", lambda X, Y: X @ Y,
        lambda X, Y: (X @ Y, lambda W: (W @ (Y.T if Y.shape[0] == Y.shape[1] else Y.reshape(Y.shape[::-1])), X.T @ W)),
        A, EYE(3) + A, shapes="(m,k),(k,n)"),
    Vjp("outer product: cotangent transposed where n = m", np.outer,
        lambda a, b: (np.outer(a, b), lambda W: (W.T @ b if a.size == b.size else W @ b, W.T @ a)), three, five[:3]),
    Jacobian("periodic laplacian: corners forgotten", lambda x: np.roll(x, 1) - 2 * x + np.roll(x, -1) + np.sin(x),
             lambda x: np.diag(np.cos(x) - 2) + EYE(5, k=1) + EYE(5, k=-1), five),
    Vjp("cumulative sum: pullback forwards", np.cumsum, lambda x: (np.cumsum(x), lambda w: (np.cumsum(w),)), five),
    Vjp("convolution: kernel not turned in the pullback", lambda x: np.convolve(x, [1.0, 2.0, 4.0], "valid"),
        lambda x: (np.convolve(x, [1.0, 2.0, 4.0], "valid"), lambda w: (np.convolve(w, [1.0, 2.0, 4.0]),)), five),
    Jacobian("linear interpolation: slope of the next piece", lambda x: np.interp(x, [0.0, 1.0, 2.5, 4.0], [0.0, 2.0, 1.0, 5.0]),
             lambda x: np.diag(np.array([2.0, -2 / 3, 8 / 3])[np.minimum(np.searchsorted([0.0, 1.0, 2.5, 4.0], x), 2)]),
             np.array([0.4, 1.7]), domain=(0.1, 3.9)),
    Jacobian("differences: shifted by one", lambda x: np.diff(x) ** 2, lambda x: 2 * np.diff(x)[:, None] * (EYE(4, 5) - EYE(4, 5,
             k=1)), five),
    Jacobian("reversed: order kept", lambda x: x[::-1] ** 2, lambda x: np.diag(2 * x), np.array([1.0, 2.0, 4.0])),
    Jacobian("reshape by columns: laid out by rows", lambda x: np.reshape(x, (2, 3), order="F").ravel() ** 2,
             lambda x: np.diag(2 * x), np.arange(1.0, 7.0)),
    Jacobian("matrix argument: transposed in the last axes", lambda X: X @ three, lambda X: np.einsum("ij,k->ikj", EYE(2), three),
             rng.standard_normal((2, 3))),
    Jacobian("sparse Jacobian: band on the wrong side", lambda x: x[:-1] * x[1:],
             lambda x: scipy.sparse.diags_array([x[:-1], x[1:]], offsets=[0, 1], shape=(4, 5)).tocsr(), five),
    Jacobian("two arguments: Jacobians exchanged", lambda a, b: a * b**2, lambda a, b: (np.diag(2 * a * b), np.diag(b**2)),
             np.array([1.0, 2.0]), np.array([3.0, 0.5]), argnums=(0, 1)),
]  # fmt: skip


def cholesky_pullback(S):
    L = np.linalg.cholesky(S)

    def pull(W):
        P, inverse = np.tril(L.T @ W), np.linalg.inv(L)  # the diagonal should be halved
        G = inverse.T @ P @ inverse
        return ((G + G.T) / 2,)

    return L, pull


def two_layers(w):
    return np.tanh(A @ np.tanh(A * w[0] @ three)) * w[1]


CHAINS = [
    Gradient("log of a sum of exponentials: not normalised", lambda x: np.log(np.exp(x).sum()), np.exp, three),
    Gradient("quadratic form: matrix taken for symmetric", lambda x: x @ A @ x, lambda x: 2 * A @ x, three),
    Jacobian("unit vector: no projection", lambda q: q / np.linalg.norm(q), lambda q: EYE(4) / np.linalg.norm(q),
             np.array([1.0, 0.2, -0.3, 0.5])),
    Jacobian("standardised: deviation held constant", lambda x: (x - x.mean()) / x.std(), lambda x: (EYE(5) - 0.2) / x.std(), five),
    Jacobian("robertson: a row forgets the fast reaction",
             lambda y: np.array([-0.04 * y[0] + 1e4 * y[1] * y[2], 0.04 * y[0] - 1e4 * y[1] * y[2] - 3e7 * y[1] ** 2, 3e7 * y[1] ** 2]),
             lambda y: np.array([[-0.04, 1e4 * y[2], 1e4 * y[1]], [0.04, -1e4 * y[2] - 6e7 * y[1], -1e4 * y[1]], [0, 3e7 * y[1], 0]]),
             np.array([0.9, 2e-5, 0.1])),
    Jacobian("logistic growth: by the rate without the time", lambda p: p[0] / (1 + 9 * np.exp(-p[1] * five)),
             lambda p: np.stack([1 / (1 + 9 * np.exp(-p[1] * five)),
                                 p[0] * 9 * np.exp(-p[1] * five) / (1 + 9 * np.exp(-p[1] * five)) ** 2], 1), np.array([10.0, 0.8])),
    Vjp("bias: summed over the wrong axis of a square", lambda X, b: X + b, lambda X, b: (X + b, lambda W: (W, W.sum(axis=1))), A, three),
    Vjp("cholesky: diagonal not halved", lambda S: np.linalg.cholesky((S + S.T) / 2), cholesky_pullback, DEFINITE),
    Jacobian("softmax: outer product forgotten", lambda x: np.exp(x) / np.exp(x).sum(),
             lambda x: np.diag(np.exp(x) / np.exp(x).sum()), three),
    Jacobian("softmax: outer product added", lambda x: np.exp(x) / np.exp(x).sum(),
             lambda x: (lambda s: np.diag(s) + np.outer(s, s))(np.exp(x) / np.exp(x).sum()), three),
    Jacobian("composition: inner slope at the outer value", lambda x: np.sin(x**2), lambda x: np.diag(np.cos(x) * 2 * x),
             np.array([0.5, 1.1])),
    Jacobian("two layers: the weight inside forgotten", two_layers,
             lambda w: np.stack([np.zeros(3), np.tanh(A @ np.tanh(A * w[0] @ three))], 1), np.array([0.7, 1.2])),
    Vjp("inverse: sign", np.linalg.inv, lambda X: (np.linalg.inv(X), lambda W: (np.linalg.inv(X).T @ W @ np.linalg.inv(X).T,)), A),
    Vjp("solve: right-hand side only", np.linalg.solve,
        lambda M, b: (np.linalg.solve(M, b), lambda w: (np.zeros_like(M), np.linalg.solve(M.T, w))), A + 3 * EYE(3), three),
    Vjp("variance: mean held constant", lambda X: X.var(axis=0), lambda X: (X.var(axis=0), lambda w: (2 * X / len(X) * w,)), B),
    Gradient("entropy: + 1 forgotten", lambda p: -np.sum(p * np.log(p)), lambda p: -np.log(p), np.array([0.2, 0.3, 0.5]),
             domain="positive"),
    Jacobian("pendulum: damping forgotten", lambda y: np.array([y[1], -np.sin(y[0]) - 0.1 * y[1]]),
             lambda y: np.array([[0.0, 1.0], [-np.cos(y[0]), 0.0]]), np.array([0.4, 1.0])),
    Jacobian("pendulum: linearised at rest", lambda y: np.array([y[1], -np.sin(y[0])]), lambda y: np.array([[0.0, 1.0], [-1.0, 0.0]]),
             np.array([0.4, 1.0])),
    Jacobian("planar arm: angles not added up", lambda q: np.array([np.cos(q[0]) + np.cos(q[0] + q[1]),
             np.sin(q[0]) + np.sin(q[0] + q[1])]),
             lambda q: np.array([[-np.sin(q[0]) - np.sin(q[1]), -np.sin(q[1])], [np.cos(q[0]) + np.cos(q[1]), np.cos(q[1])]]),
             np.array([0.3, 0.9])),
    Jacobian("nested: a leaf of the argument forgotten", lambda p: p["k"] * p["x"],
             lambda p: {"k": p["x"], "x": np.zeros((2, 2))}, {"k": 1.5, "x": np.array([1.0, 2.0])}),
    Hessian("hessian: one of two equal terms", lambda x: x[0] ** 2 * x[1] + x[1] ** 3,
            lambda x: np.array([[2 * x[1], 2 * x[0]], [0.0, 6 * x[1]]]), np.array([1.0, 2.0])),
    Hessian("hessian: of Gauss and Newton", lambda x: 0.5 * np.sum(np.array([x[0] ** 2 - x[1], x[0] - 1.0]) ** 2),
            lambda x: (lambda J: J.T @ J)(np.array([[2 * x[0], -1.0], [1.0, 0.0]])), np.array([1.5, 0.3])),
]  # fmt: skip


def huber(x):
    return np.sum(np.where(abs(x) < 1, x**2 / 2, abs(x) - 0.5))


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


BRANCHES = [
    Gradient("huber: straight branch keeps x", huber, lambda x: x, np.array([0.3, -0.5])),
    Gradient("|x|^1.5: no sign for x < 0", lambda x: np.sum(abs(x) ** 1.5), lambda x: 1.5 * np.sqrt(abs(x)), np.array([0.5, 2.0])),
    Jacobian("clip: slope 1 outside", lambda x: np.clip(x, -1, 1) ** 2, lambda x: np.diag(2 * np.clip(x, -1, 1)), np.array([0.3, -0.8])),
    Gradient("maximum: always the first entry", np.max, lambda x: EYE(3)[0], np.array([3.0, 1.0, 2.0])),
    Gradient("arctan2: as arctan of the quotient", lambda p: np.arctan2(p[1], p[0]),
             lambda p: np.array([-p[1], p[0]]) / (p @ p) * np.sign(p[0]),
             np.array([1.0, 0.5])),
    Jacobian("sinc: slope at 0 is nan", np.sinc, lambda x: np.diag((np.cos(pi * x) - np.sinc(x)) / x), np.array([0.5, -1.2])),
    Jacobian("two powers: only the one below the border", lambda x: np.where(x > 1, x**3, x**2), lambda x: np.diag(2 * x),
             np.array([0.5, 0.7])),
    Jacobian("leaky relu: leak forgotten", lambda x: np.where(x > 0, x, 0.1 * x), lambda x: np.diag((x > 0) * 1.0), np.array([0.5, 2.0])),
    Jacobian("elu: slope of the branch below is the value", elu, lambda x: np.diag(np.where(x > 0, 1.0, elu(x))), np.array([0.7, 1.5])),
    Jacobian("absolute value: sign forgotten", lambda x: abs(x) * x, lambda x: np.diag(2 * x), np.array([0.5, 1.5])),
    Jacobian("softplus: overflow guarded in f only", lambda x: np.logaddexp(0, x), lambda x: np.diag(np.exp(x) / (1 + np.exp(x))),
             np.array([1.0, 2.0]), domain=(-800.0, 1600.0)),
    Gradient("minimum of two: the wrong one", lambda x: min(x[0] ** 2, x[1] + 5.0), lambda x: np.array([2 * x[0], 0.0]),
             np.array([1.0, 2.0]),
             domain=(-8.0, 8.0)),
    Jacobian("x^x: by the base only", lambda x: x**x, lambda x: np.diag(x * x ** (x - 1)), np.array([1.5, 2.0]), domain="positive"),
    Jacobian("sorted: as if in order already", np.sort, lambda x: EYE(3), np.array([1.0, 2.0, 3.5])),
    Jacobian("median of three: the middle position", lambda x: np.median(x), lambda x: np.array([0.0, 1.0, 0.0]),
             np.array([1.0, 2.0, 3.5])),
    Jacobian("remainder: by the divisor forgotten", lambda x: np.array([np.fmod(x[0], x[1])]), lambda x: np.array([[1.0, 0.0]]),
             np.array([0.7, 2.0]), domain=(0.25, 8.0)),
]  # fmt: skip


def stale():
    kept = {}

    def f(x):
        kept["e"] = np.exp(B @ x)
        return kept["e"] ** 2

    return f, lambda x: 2 * kept["e"][:, None] ** 2 * B


def first_kept():
    kept = []

    def jacobian(x):
        kept.append(np.diag(2 * x))
        return kept[0]

    return (lambda x: x**2), jacobian


def counting():
    calls = [0]

    def jacobian(x):
        calls[0] += 1
        return np.diag(2 * x) * (1 + 0.01 * calls[0])

    return (lambda x: x**2), jacobian


def changes_when_pulled(x):
    slope = np.cos(x)

    def pull(w):
        nonlocal slope
        found = w * slope
        slope = slope * 1.5
        return (found,)

    return np.sin(x), pull


def writes_into_cotangent(x):
    def pull(w):
        w *= np.cos(x)
        return (w,)

    return np.sin(x), pull


def writes_into_point(x):
    J = np.diag(np.exp(x))
    x += 1.0
    return J


def single(x):
    small = x.astype(np.float32)
    return np.diag((np.cos(small) * small + np.sin(small)).astype(float))


CALLS_AND_TYPES = [
    Jacobian("stale: uses the last call of f", *stale(), three / 3, fresh=stale),
    Jacobian("the first Jacobian is kept for ever", *first_kept(), np.array([1.0, 2.0]), fresh=first_kept),
    Jacobian("another answer at every call", *counting(), np.array([1.0, 2.0]), fresh=counting),
    Vjp("pullback changes when it is called", np.sin, changes_when_pulled, three),
    Vjp("pullback writes into its cotangent", np.sin, writes_into_cotangent, three),
    Jacobian("Jacobian writes into its point", np.exp, writes_into_point, three),
    Jacobian("single precision in the derivative only", lambda x: np.sin(x) * x, single, np.array([1.1, 2.3])),
    Jvp("tangent not linear in the direction", lambda x: x**2, lambda p, t: (p[0] ** 2, 2 * p[0] * abs(t[0])), np.array([1.0, 2.0])),
    Jvp("value of the rule is another function's", np.sin, lambda p, t: (np.cos(p[0]), np.cos(p[0]) * t[0]), three),
    Jvp("second operand forgotten", np.multiply, lambda p, t: (p[0] * p[1], t[0] * p[1]), three, three + 1),
    Jacobian("rounded to three digits", lambda x: np.sin(x), lambda x: np.diag(np.round(np.cos(x), 3)), np.array([0.4, 1.0])),
    Jacobian("by a difference with the step 1e-4", lambda x: np.exp(x), lambda x: np.diag((np.exp(x + 1e-4) - np.exp(x)) / 1e-4),
             np.array([0.4, 1.0])),
]  # fmt: skip

CA = rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3))
complex_three = rng.standard_normal(3) + 1j * rng.standard_normal(3)
COMPLEX = [
    Vjp("complex matrix: conjugate missing in the pullback", lambda z: CA @ z, lambda z: (CA @ z, lambda w: (CA.T @ w,)), complex_three),
    Vjp("square of a modulus: factor 2", lambda z: np.abs(z) ** 2, lambda z: (np.abs(z) ** 2, lambda w: (w * z,)), complex_three),
    Jvp("conjugate taken for holomorphic", np.conj, lambda p, t: (np.conj(p[0]), t[0]), complex_three),
    Jacobian("complex square: conjugated", lambda z: z**2, lambda z: np.diag(2 * np.conj(z)), complex_three),
    Jacobian("phase from real: real part only", lambda x: np.exp(1j * x), lambda x: np.diag(-np.sin(x) + 0j), three),
]  # fmt: skip

HIDDEN_BY_SCALE = [
    Jacobian("a small entry beside a huge one in its column", lambda x: np.array([1e8 * x[0], 1e-3 * x[0] ** 2 + x[1]]),
             lambda x: np.array([[1e8, 0], [1e-3 * x[0], 1]]), np.array([1.0, 2.0])),
    Jacobian("a small column: units of 1e-9 and 1e9", lambda x: np.array([x[0] * x[1], x[0] * 1e9 + x[1] ** 2 * 1e-9]),
             lambda x: np.array([[x[1], x[0]], [1e9, 1e-9 * x[1]]]), np.array([2e-9, 3e9])),
    Jacobian("1e-6 where zero should be", lambda x: x**2, lambda x: np.diag(2 * x) + 1e-6 * (1 - EYE(3)), np.array([1.0, 2.0, 0.5])),
    Jacobian("ode: a sensitivity without the initial value",
             lambda p: scipy.integrate.solve_ivp(lambda t, y: -p[0] * y, (0, 1), [p[1]], rtol=1e-9, atol=1e-12).y[:, -1],
             lambda p: np.array([[-np.exp(-p[0]), np.exp(-p[0])]]), np.array([0.7, 3.0]), points=3),
    Jacobian("one entry of 400 off by a thousandth", lambda x: np.sin(np.cumsum(x)),
             lambda x: np.cos(np.cumsum(x))[:, None] * np.tril(np.ones((20, 20))) * (1 + 1e-3 * np.outer(EYE(20)[7], EYE(20)[3])),
             np.linspace(-1, 1, 20)),
    Jacobian("noisy: five per cent off", lambda x: np.sin(x) + 1e-6 * np.sin(1e7 * x + 3), lambda x: np.diag(1.05 * np.cos(x)), three,
             noise=1e-5),
]  # fmt: skip

WRONG = [*SIGNS_FACTORS_POWERS, *INDICES, *CHAINS, *BRANCHES, *CALLS_AND_TYPES, *COMPLEX, *HIDDEN_BY_SCALE]
