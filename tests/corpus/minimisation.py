"""Functions to be minimised, in the manner of CUTE and of the collections that global optimisers are compared on."""

import math

import numpy as np
from numpy import abs, arange, array, asarray, cos, exp, pi, prod, sin, sqrt, sum, zeros

HARTMANN_A = asarray(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
HARTMANN_P = 1e-4 * asarray(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
HARTMANN_C = asarray([1.0, 1.2, 3.0, 3.2])


class Benchmark:
    """What the problems of a collection have in common: bounds, and a count of evaluations."""

    def __init__(self, dimensions=2):
        self._dimensions = dimensions
        self.nfev = 0

    @property
    def N(self):
        return self._dimensions

    def fun(self, x, *args):
        raise NotImplementedError


class Ackley(Benchmark):
    def fun(self, x, *args):
        self.nfev += 1
        u = sum(x**2)
        v = sum(cos(2 * pi * x))
        return -20.0 * exp(-0.2 * sqrt(u / self.N)) - exp(v / self.N) + 20.0 + exp(1.0)


class Griewank(Benchmark):
    def fun(self, x, *args):
        self.nfev += 1
        i = arange(1.0, np.size(x) + 1.0)
        return sum(x**2 / 4000) - prod(cos(x / sqrt(i))) + 1


class Hartmann6(Benchmark):
    def fun(self, x, *args):
        self.nfev += 1
        XX = np.atleast_2d(x)
        d = sum(HARTMANN_A * (XX - HARTMANN_P) ** 2, axis=1)
        return -sum(HARTMANN_C * exp(-d))


class Shekel(Benchmark):
    def __init__(self, dimensions=4):
        Benchmark.__init__(self, dimensions)
        self.A = asarray([[4, 4, 4, 4], [1, 1, 1, 1], [8, 8, 8, 8], [6, 6, 6, 6], [3, 7, 3, 7]])
        self.C = asarray([0.1, 0.2, 0.2, 0.4, 0.4])

    def fun(self, x, *args):
        self.nfev += 1
        return -sum(1 / (sum((x - self.A) ** 2, axis=1) + self.C))


class Trid(Benchmark):
    def fun(self, x, *args):
        self.nfev += 1
        return sum((x - 1.0) ** 2) - sum(x[1:] * x[:-1])


class Michalewicz(Benchmark):
    def fun(self, x, *args):
        m = 10.0
        i = arange(1, self.N + 1)
        return -sum(sin(x) * sin(i * x**2 / pi) ** (2 * m))


def levy(x):
    w = [1 + (xi - 1) / 4 for xi in x]
    term1 = math.sin(math.pi * w[0]) ** 2
    term3 = (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)
    total = 0
    for wi in w[:-1]:
        total += (wi - 1) ** 2 * (1 + 10 * math.sin(math.pi * wi + 1) ** 2)
    return term1 + total + term3


def eggholder(x):
    return -(x[1] + 47) * sin(sqrt(abs(x[1] + x[0] / 2 + 47))) - x[0] * sin(sqrt(abs(x[0] - (x[1] + 47))))


def schwefel(x):
    return 418.9829 * len(x) - float(np.sum(x * np.sin(np.sqrt(np.abs(x)))))


def langermann(x):
    a = [3, 5, 2, 1, 7]
    b = [5, 2, 1, 4, 9]
    c = [1, 2, 5, 2, 3]
    result = 0.0
    for ai, bi, ci in zip(a, b, c):
        r = (x[0] - ai) ** 2 + (x[1] - bi) ** 2
        result -= ci * math.cos(math.pi * r) * math.exp(-r / math.pi)
    return result


def arwhead(x):
    n = x.shape[0]
    last = x[n - 1] * x[n - 1]
    f = 0.0
    for i in range(n - 1):
        f += (x[i] ** 2 + last) ** 2 - 4 * x[i] + 3
    return f


def bdqrtic(x):
    N = len(x)
    groups = zeros(2 * (N - 4))
    k = 0
    i = 0
    while i < N - 4:
        groups[k] = -4 * x[i] + 3
        groups[k + 1] = x[i] ** 2 + 2 * x[i + 1] ** 2 + 3 * x[i + 2] ** 2 + 4 * x[i + 3] ** 2 + 5 * x[N - 1] ** 2
        k += 2
        i += 1
    return np.inner(groups, groups)


def dixmaan(x, alpha=1.0, beta=0.0625, gamma=0.0625, delta=0.0625):
    x = np.array(x, dtype=float)
    n = x.size
    m = n // 3
    i = np.arange(1, n + 1)
    f = 1 + np.sum(alpha * x**2 * (i / n))
    f += np.sum(beta * x[: n - 1] ** 2 * (x[1:n] + x[1:n] ** 2) ** 2)
    f += np.sum(gamma * x[: 2 * m] ** 2 * x[m : 3 * m] ** 4)
    f += np.sum(delta * x[:m] * x[2 * m :] * (i[:m] / n))
    return f


def lennard_jones(x):
    pos = np.reshape(x, (-1, 3))
    energy = 0.0
    natoms = pos.shape[0]
    for i in range(natoms):
        for j in range(i + 1, natoms):
            r = np.linalg.norm(pos[i] - pos[j])
            sr6 = (1.0 / r) ** 6
            energy += 4 * (sr6**2 - sr6)
    return energy


def thomson(x):
    n = len(x) // 2
    p = zeros((n, 3))
    for k in range(n):
        theta, phi = x[2 * k], x[2 * k + 1]
        p[k, :] = array([math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta)])
    d = p[:, None, :] - p[None, :, :]
    i, j = np.triu_indices(n, 1)
    return (1 / sqrt((d**2).sum(-1)[i, j])).sum()


def minimal_surface(v, n=3):
    u = zeros((n + 2, n + 2))
    edge = np.linspace(0, 1, n + 2)
    u[0], u[-1] = edge**2, 1 - edge
    u[:, 0], u[:, -1] = np.sin(edge), edge * (1 - edge)
    u[1:-1, 1:-1] = v.reshape(n, n)
    h = 1 / (n + 1)
    area = 0
    for i in range(n + 1):
        for j in range(n + 1):
            a = (u[i, j] - u[i + 1, j + 1]) / h
            b = (u[i + 1, j] - u[i, j + 1]) / h
            area += h * h * math.sqrt(1 + (a * a + b * b) / 2)
    return area


def torsion(x):
    """Elastic-plastic torsion of a bar, on a grid of its own making."""
    n = int(round(math.sqrt(x.size)))
    u = np.pad(x.reshape((n, n)), 1)
    dx, dy = np.diff(u, axis=0), np.diff(u, axis=1)
    return 0.5 * (np.sum(dx**2) + np.sum(dy**2)) - 5.0 * np.sum(u) / (n + 1) ** 2


POINTS = [
    (Ackley().fun, [0.7, -1.3]),
    (Griewank(3).fun, [1.1, -2.3, 4.7]),
    (Hartmann6(6).fun, [0.3, 0.2, 0.5, 0.3, 0.4, 0.6]),
    (Shekel().fun, [3.5, 4.2, 3.8, 4.4]),
    (Trid(5).fun, [1.0, 2.0, -1.0, 0.5, 3.0]),
    (Michalewicz(3).fun, [2.1, 1.5, 1.3]),
    (levy, [0.3, 1.7, -2.1]),
    (eggholder, [212.0, 97.0]),
    (schwefel, [100.0, -250.0, 30.0]),
    (langermann, [2.1, 1.3]),
    (arwhead, [1.0, 0.5, -0.5, 0.2]),
    (bdqrtic, [1.0, 0.9, 0.8, 1.1, 1.2, 0.7, 0.6]),
    (dixmaan, [2.0, 1.9, 0.5, 0.4, -0.3, 1.2]),
    (lennard_jones, [0.0, 0.1, 0.0, 1.1, 0.0, 0.1, 0.5, 1.0, 0.0, 0.4, 0.3, 0.9]),
    (thomson, [0.3, 0.1, 1.2, 2.0, 2.2, 4.0, 1.5, 5.5]),
    (minimal_surface, [0.1, 0.2, 0.3, 0.25, 0.35, 0.4, 0.5, 0.45, 0.6]),
    (torsion, [0.1, 0.2, 0.1, 0.3, 0.5, 0.3, 0.1, 0.2, 0.15]),
]
