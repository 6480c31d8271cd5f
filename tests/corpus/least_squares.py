"""Residuals of least-squares problems, after J. J. Moré, B. S. Garbow and K. E. Hillstrom (1981), doi:10.1145/355934.355936."""

import math
from math import atan, exp, pi, sqrt

import numpy as np
from numpy import zeros

BARD = [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]
KOWALIK = np.array(
    [
        [0.1957, 4.0], [0.1947, 2.0], [0.1735, 1.0], [0.1600, 0.5], [0.0844, 0.25], [0.0627, 0.167],
        [0.0456, 0.125], [0.0342, 0.1], [0.0323, 0.0833], [0.0235, 0.0714], [0.0246, 0.0625],
    ]
)  # fmt: skip
MEYER = {50: 34780, 55: 28610, 60: 23650, 65: 19630, 70: 16370, 75: 13720, 80: 11540, 85: 9744, 90: 8261, 95: 7030}


def rosenbrock(x):
    f = np.zeros(2)
    f[0] = 10 * (x[1] - x[0] ** 2)
    f[1] = 1 - x[0]
    return f


def freudenstein_roth(x):
    x1, x2 = x
    return [-13 + x1 + ((5 - x2) * x2 - 2) * x2, -29 + x1 + ((x2 + 1) * x2 - 14) * x2]


def powell_badly_scaled(x):
    fvec = np.empty(2, dtype=float)
    fvec[0] = 1e4 * x[0] * x[1] - 1.0
    fvec[1] = exp(-x[0]) + exp(-x[1]) - 1.0001
    return fvec


def beale(x):
    y = (1.5, 2.25, 2.625)
    return np.array([y[i - 1] - x[0] * (1 - x[1] ** i) for i in range(1, 4)])


def jennrich_sampson(x, m=10):
    f = zeros(m)
    for i in range(1, m + 1):
        f[i - 1] = 2 + 2 * i - (exp(i * x[0]) + exp(i * x[1]))
    return f


def helical_valley(x):
    if x[0] > 0:
        theta = atan(x[1] / x[0]) / (2 * pi)
    elif x[0] < 0:
        theta = atan(x[1] / x[0]) / (2 * pi) + 0.5
    else:
        theta = 0.25
    f = zeros((3, 1))
    f[0, 0] = 10 * (x[2] - 10 * theta)
    f[1, 0] = 10 * (sqrt(x[0] ** 2 + x[1] ** 2) - 1)
    f[2, 0] = x[2]
    return f.ravel()


def bard(x):
    f = []
    for i, y in enumerate(BARD):
        u = i + 1.0
        v = 16 - u
        w = min(u, v)
        f.append(y - (x[0] + u / (v * x[1] + w * x[2])))
    return np.array(f)


def meyer(x):
    t = np.array(list(MEYER.keys()), dtype=float)
    y = np.array(list(MEYER.values()), dtype=float)
    return x[0] * np.exp(x[1] / (t + x[2])) - y


def box_three_dimensional(x):
    t = 0.1 * np.arange(1, 11)
    f = np.zeros_like(t)
    for i in range(len(t)):
        f[i] = math.exp(-t[i] * x[0]) - math.exp(-t[i] * x[1]) - x[2] * (math.exp(-t[i]) - math.exp(-10 * t[i]))
    return f


def powell_singular(x):
    f = np.zeros(4)
    f[:] = x[0] + 10 * x[1], sqrt(5) * (x[2] - x[3]), (x[1] - 2 * x[2]) ** 2, sqrt(10) * (x[0] - x[3]) ** 2
    return f


def wood(x):
    x1, x2, x3, x4 = [float(v) for v in x]
    f = np.zeros(6)
    f[0] = 10 * (x2 - x1**2)
    f[1] = 1 - x1
    f[2] = sqrt(90) * (x4 - x3**2)
    f[3] = 1 - x3
    f[4] = sqrt(10) * (x2 + x4 - 2)
    f[5] = (x2 - x4) / sqrt(10)
    return f


def kowalik_osborne(x):
    x = np.asarray(x, dtype=np.float64)
    y, u = KOWALIK.T
    return y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def brown_dennis(x, m=20):
    t = np.arange(1, m + 1) / 5
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


def biggs_exp6(x, m=13):
    r = np.ones(m)
    for i in range(m):
        t = 0.1 * (i + 1)
        y = exp(-t) - 5 * exp(-10 * t) + 3 * exp(-4 * t)
        r[i] *= x[2] * exp(-t * x[0]) - x[3] * exp(-t * x[1]) + x[5] * exp(-t * x[4])
        r[i] -= y
    return r


def watson(x):
    n = x.size
    f = np.zeros(31)
    for i in range(29):
        t = (i + 1) / 29.0
        s1 = 0.0
        d = 1.0
        for j in range(1, n):
            s1 += j * d * x[j]
            d *= t
        s2, d = 0.0, 1.0
        for j in range(n):
            s2 = s2 + d * x[j]
            d = d * t
        f[i] = s1 - s2 * s2 - 1
    f[29] = x[0]
    f[30] = x[1] - x[0] ** 2 - 1
    return f


def penalty_two(x):
    n = len(x)
    a = sqrt(1e-5)
    f = np.zeros(2 * n)
    f[0] = x[0] - 0.2
    for i in range(1, n):
        y = exp((i + 1) / 10) + exp(i / 10)
        f[i] = a * (exp(x[i] / 10) + exp(x[i - 1] / 10) - y)
    f[n:-1] = a * (np.exp(x[1:] / 10) - exp(-1 / 10))
    f[-1] = sum((n - j) * x[j] ** 2 for j in range(n)) - 1
    return f


def variably_dimensioned(x):
    n = np.shape(x)[0]
    f = np.full(n + 2, -1.0)
    f[:n] += x
    f[n] = np.dot(np.arange(1, n + 1), x - 1)
    f[n + 1] = f[n] ** 2
    return f


def trigonometric(x):
    n = len(x)
    cosines = np.cos(x)
    f = np.empty(n)
    for i in range(n):
        f[i] = n - cosines.sum() + (i + 1) * (1 - cosines[i]) - math.sin(x[i])
    return f


def brown_almost_linear(x):
    n = len(x)
    f = x + np.sum(x) - (n + 1)
    f[n - 1] = np.prod(x) - 1
    return f


def discrete_boundary_value(x):
    n = len(x)
    h = 1.0 / (n + 1)
    f = np.zeros(n)
    for k in range(n):
        before = x[k - 1] if k > 0 else 0.0
        after = x[k + 1] if k < n - 1 else 0.0
        f[k] = 2 * x[k] - before - after + h**2 * (x[k] + (k + 1) * h + 1) ** 3 / 2
    return f


def discrete_integral_equation(x):
    n = len(x)
    h = 1 / (n + 1)
    t = h * np.arange(1, n + 1)
    cube = (x + t + 1) ** 3
    f = np.array(x, copy=True)
    for i in range(n):
        f[i] += (
            h / 2 * ((1 - t[i]) * np.sum(t[: i + 1] * cube[: i + 1]) + t[i] * np.sum((1 - t[i + 1 :]) * cube[i + 1 :]))
        )
    return f


def broyden_banded(x):
    n = len(x)
    f = np.zeros(n)
    for i in range(n):
        total = 0
        for j in range(max(0, i - 5), min(n, i + 2)):
            if j != i:
                total += x[j] * (1 + x[j])
        f[i] = x[i] * (2 + 5 * x[i] ** 2) + 1 - total
    return f


def chebyquad(x):
    n = len(x)
    f = np.zeros(n)
    for j in range(n):
        before, now = 1.0, 2 * x[j] - 1
        twice = 2 * now
        for i in range(n):
            f[i] += now
            before, now = now, twice * now - before
    f /= n
    sign = -1
    for i in range(n):
        if sign > 0:
            f[i] += 1 / ((i + 1) ** 2 - 1)
        sign = -sign
    return f


POINTS = [
    (rosenbrock, [-1.2, 1.0]),
    (freudenstein_roth, [0.5, -2.0]),
    (powell_badly_scaled, [0.3, 1.0]),
    (beale, [1.0, 0.8]),
    (jennrich_sampson, [0.3, 0.4]),
    (helical_valley, [-1.0, 0.5, 0.3]),
    (bard, [1.0, 1.1, 0.9]),
    (meyer, [0.02, 4000.0, 250.0]),
    (box_three_dimensional, [0.1, 10.0, 20.0]),
    (powell_singular, [3.0, -1.0, 0.5, 1.0]),
    (wood, [-3.0, -1.0, -2.0, -1.5]),
    (kowalik_osborne, [0.25, 0.39, 0.415, 0.39]),
    (brown_dennis, [25.0, 5.0, -5.0, -1.0]),
    (biggs_exp6, [1.0, 2.0, 1.0, 1.5, 0.7, 1.0]),
    (watson, [0.1, -0.2, 0.3, 0.4, 0.5, -0.1]),
    (penalty_two, [0.5, 0.4, 0.6, 0.5]),
    (variably_dimensioned, [0.75, 0.5, 0.25, 0.1]),
    (trigonometric, [0.2, 0.3, 0.4, 0.1, 0.5]),
    (brown_almost_linear, [0.5, 0.6, 0.7, 0.4, 0.9]),
    (discrete_boundary_value, [-0.1, -0.15, -0.2, -0.12, -0.07]),
    (discrete_integral_equation, [-0.1, -0.15, -0.2, -0.12]),
    (broyden_banded, [-1.0, -0.9, -1.1, -0.8, -0.7, -1.2, -1.0, -0.6]),
    (chebyquad, [0.1, 0.3, 0.55, 0.8]),
]
