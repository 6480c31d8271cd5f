"""Algorithms as textbooks print them: elimination, relaxation, recurrences, quadrature."""

import math
from collections import defaultdict, deque
from dataclasses import dataclass
from functools import cache, reduce

import numpy as np

A = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 1.0], [0.5, 1.0, 5.0]])
NODES = np.linspace(0.0, 1.0, 7)


def elimination(b):
    """Gauss' method with back substitution, in place."""
    M = A.copy() + np.diag(b)
    x = np.array(b, dtype=float)
    n = len(x)
    for k in range(n):
        for i in range(k + 1, n):
            m = M[i, k] / M[k, k]
            M[i, k:] -= m * M[k, k:]
            x[i] -= m * x[k]
    for k in range(n - 1, -1, -1):
        x[k] = (x[k] - M[k, k + 1 :].dot(x[k + 1 :])) / M[k, k]
    return x


def pivoting(d):
    """L and U of a matrix whose rows change places."""
    U = A[::-1] * np.exp(d)
    n = len(U)
    L = np.eye(n)
    for k in range(n - 1):
        p = k + np.argmax(np.abs(U[k:, k]))
        if p != k:
            U[[k, p]] = U[[p, k]]
            L[[k, p], :k] = L[[p, k], :k]
        for i in range(k + 1, n):
            L[i, k] = U[i, k] / U[k, k]
            U[i] -= L[i, k] * U[k]
    return np.prod(np.diag(U)), L


def thomas(d):
    """A tridiagonal system, three arrays filled on the way down and one on the way up."""
    n = len(d)
    lower, diagonal, upper = -np.ones(n), 4 + d**2, -np.ones(n)
    c, g = np.zeros(n), np.zeros(n)
    c[0], g[0] = upper[0] / diagonal[0], d[0] / diagonal[0]
    for i in range(1, n):
        m = diagonal[i] - lower[i] * c[i - 1]
        c[i] = upper[i] / m
        g[i] = (d[i] - lower[i] * g[i - 1]) / m
    x = np.empty(n)
    x[-1] = g[-1]
    for i in reversed(range(n - 1)):
        x[i] = g[i] - c[i] * x[i + 1]
    return x


def cholesky(p):
    L = np.zeros_like(A)
    M = A + np.outer(p, p)
    for i in range(3):
        for j in range(i + 1):
            s = sum(L[i, k] * L[j, k] for k in range(j))
            L[i, j] = math.sqrt(M[i, i] - s) if i == j else (M[i, j] - s) / L[j, j]
    return L


def gram_schmidt(v):
    V = np.reshape(v, (3, 2)).copy()
    Q, R = np.zeros((3, 2)), np.zeros((2, 2))
    for j in range(2):
        w = V[:, j]
        for i in range(j):
            R[i, j] = Q[:, i].dot(V[:, j])
            w = w - R[i, j] * Q[:, i]
        R[j, j] = np.sqrt(np.dot(w, w))
        Q[:, j] = w / R[j, j]
    return {"Q": Q, "R": R}


def relaxation(edges):
    """Laplace's equation in a square by Gauss and Seidel's sweeps."""
    u = np.zeros((5, 5))
    u[0, :], u[-1, :], u[:, 0], u[:, -1] = edges[:, None] * np.ones(5)
    for _ in range(4):
        for i in range(1, 4):
            for j in range(1, 4):
                u[i, j] = 0.25 * (u[i + 1, j] + u[i - 1, j] + u[i, j + 1] + u[i, j - 1])
    return u[1:-1, 1:-1]


def power_iteration(d):
    v = np.ones(len(d))
    M = A + np.diag(d)
    before = 0.0
    while True:
        w = M.dot(v)
        v = w / np.linalg.norm(w)
        now = v.dot(M).dot(v)
        if abs(now - before) < 1e-15 * abs(now):
            return now
        before = now


def conjugate_gradients(b):
    x = np.zeros(len(b))
    r = b - A.dot(x)
    p = r.copy()
    for _ in range(len(b)):
        q = A.dot(p)
        alpha = r.dot(r) / p.dot(q)
        x += alpha * p
        new = r - alpha * q
        p = new + new.dot(new) / r.dot(r) * p
        r = new
    return x


def romberg(p):
    f = lambda t: p[0] * math.exp(-p[1] * t) / (1 + t)  # noqa: E731
    R = np.zeros((5, 5))
    h = 1.0
    R[0, 0] = 0.5 * h * (f(0.0) + f(1.0))
    for i in range(1, 5):
        h *= 0.5
        R[i, 0] = 0.5 * R[i - 1, 0] + h * sum(f((2 * k + 1) * h) for k in range(2 ** (i - 1)))
        for j in range(1, i + 1):
            R[i, j] = R[i, j - 1] + (R[i, j - 1] - R[i - 1, j - 1]) / (4**j - 1)
    return R[-1, -1]


def newton_polynomial(y):
    """Divided differences in place, and Horner's rule."""
    x = np.array([0.0, 0.3, 0.7, 1.0])
    c = np.array(y)
    for k in range(1, len(x)):
        c[k:] = (c[k:] - c[k - 1 : -1]) / (x[k:] - x[: len(x) - k])
    return reduce(lambda total, k: total * (0.5 - x[k]) + c[k], range(len(x) - 2, -1, -1), c[-1])


def spline(y):
    """A natural cubic spline through values at nodes, evaluated between them."""
    n = len(y) - 1
    h = np.diff(NODES[: n + 1])
    M = np.eye(n + 1)
    rhs = np.zeros(n + 1)
    for i in range(1, n):
        M[i, i - 1 : i + 2] = h[i - 1], 2 * (h[i - 1] + h[i]), h[i]
        rhs[i] = 6 * ((y[i + 1] - y[i]) / h[i] - (y[i] - y[i - 1]) / h[i - 1])
    s = np.linalg.solve(M, rhs)
    between = []
    for i in range(n):
        t = 0.4 * h[i]
        slope = (y[i + 1] - y[i]) / h[i] - h[i] * (2 * s[i] + s[i + 1]) / 6
        between.append(y[i] + t * (slope + t * (s[i] / 2 + t * (s[i + 1] - s[i]) / (6 * h[i]))))
    return between


def legendre(c):
    @cache
    def P(n, t):
        if n == 0:
            return 1.0
        if n == 1:
            return t
        return ((2 * n - 1) * t * P(n - 1, t) - (n - 1) * P(n - 2, t)) / n

    return np.array([sum(a * P(n, float(t)) for n, a in enumerate(c)) for t in NODES])


def continued_fraction(x):
    value = 0.0
    for k in range(20, 0, -1):
        value = k / (x[0] + value)
    return x[1] / (x[0] + value)


@dataclass
class Layer:
    weights: np.ndarray
    bias: np.ndarray

    def forward(self, inputs):
        return np.tanh(self.weights.dot(inputs) + self.bias)


def network(theta):
    """Two layers, their weights cut out of one vector."""
    sizes = [(3, 2), (1, 3)]
    layers = deque()
    start = 0
    for rows, columns in sizes:
        end = start + rows * columns
        layers.append(Layer(theta[start:end].reshape(rows, columns), theta[end : end + rows]))
        start = end + rows
    loss = 0.0
    for inputs, target in zip([[0.0, 1.0], [1.0, 0.5], [0.2, -0.4]], [0.3, -0.2, 0.5]):
        activation = np.array(inputs)
        for layer in layers:
            activation = layer.forward(activation)
        loss += (activation.item() - target) ** 2
    return loss / 3


def page_rank(w):
    """Weights of links, kept by node."""
    links = [(0, 1), (0, 2), (1, 2), (2, 0), (3, 2), (2, 3)]
    going = defaultdict(float)
    for (source, _), weight in zip(links, w):
        going[source] += weight
    rank = np.full(4, 0.25)
    for _ in range(8):
        new = np.full(4, 0.15 / 4)
        for (source, target), weight in zip(links, w):
            new[target] += 0.85 * rank[source] * weight / going[source]
        rank = new
    return rank


def tabulated(p):
    """A table of numbers read between its lines, by hand."""
    xs = np.r_[0.0, p[0], 2.0]
    ys = np.c_[np.zeros(3), xs * p[1]][:, 1] + 1
    total = 0.0
    for t in (0.2, 0.9, 1.6):
        k = np.searchsorted(xs, t) - 1
        total += ys[k] + (ys[k + 1] - ys[k]) * (t - xs[k]) / (xs[k + 1] - xs[k]) ** 2
    return total


POINTS = [
    (elimination, [0.3, 0.7, 1.2]),
    (pivoting, [0.3, 0.1, -0.2]),
    (thomas, [1.0, 2.0, -1.0, 0.5]),
    (cholesky, [0.3, 0.7, 1.2]),
    (gram_schmidt, [1.0, 0.2, 0.5, 1.5, -0.3, 0.8]),
    (relaxation, [1.0, 2.0, 0.5, -1.0]),
    (power_iteration, [0.3, 0.7, 1.2]),
    (conjugate_gradients, [1.0, 2.0, -1.0]),
    (romberg, [1.3, 0.8]),
    (newton_polynomial, [1.0, 0.5, -0.2, 0.8]),
    (spline, [0.0, 0.5, 0.3, -0.2, 0.4]),
    (legendre, [0.3, -0.2, 0.5, 0.1]),
    (continued_fraction, [1.5, 2.0]),
    (network, [0.1, -0.4, 0.3, 0.8, -0.6, 0.2, 0.1, 0.0, -0.1, 0.5, -0.3, 0.7, 0.2]),
    (page_rank, [1.0, 2.0, 1.5, 0.7, 1.0, 0.4]),
    (tabulated, [0.8, 1.3]),
]
