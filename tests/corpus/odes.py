"""Right-hand sides of stiff and of celestial test problems, and simulations by hand, in their states or their parameters."""

import math
from collections import namedtuple

import numpy as np
import scipy.sparse as sp
from scipy.integrate import cumulative_trapezoid

Rates = namedtuple("Rates", "prey eaten fed dies")


def robertson(y, k1=0.04, k2=3e7, k3=1e4):
    dydt = [0.0] * 3
    dydt[0] = -k1 * y[0] + k3 * y[1] * y[2]
    dydt[1] = k1 * y[0] - k3 * y[1] * y[2] - k2 * y[1] ** 2
    dydt[2] = k2 * y[1] ** 2
    return dydt


def hires(y):
    f = np.zeros(8)
    f[0] = -1.71 * y[0] + 0.43 * y[1] + 8.32 * y[2] + 0.0007
    f[1] = 1.71 * y[0] - 8.75 * y[1]
    f[2] = -10.03 * y[2] + 0.43 * y[3] + 0.035 * y[4]
    f[3] = 8.32 * y[1] + 1.71 * y[2] - 1.12 * y[3]
    f[4] = -1.745 * y[4] + 0.43 * y[5] + 0.43 * y[6]
    f[5] = -280.0 * y[5] * y[7] + 0.69 * y[3] + 1.71 * y[4] - 0.43 * y[5] + 0.69 * y[6]
    f[6] = 280.0 * y[5] * y[7] - 1.81 * y[6]
    f[7] = -f[6]
    return f


def oregonator(y):
    s, w, q = 77.27, 0.161, 8.375e-6
    y1, y2, y3 = y
    return np.array([s * (y2 + y1 * (1 - q * y1 - y2)), (y3 - (1 + y1) * y2) / s, w * (y1 - y3)])


def brusselator(y, a=1.0, b=3.0, alpha=0.02):
    n = len(y) // 2
    u, v = y[:n], y[n:]
    du, dv = np.zeros(n), np.zeros(n)
    c = alpha * (n + 1) ** 2
    for i in range(n):
        ul = a if i == 0 else u[i - 1]
        ur = a if i == n - 1 else u[i + 1]
        vl = b if i == 0 else v[i - 1]
        vr = b if i == n - 1 else v[i + 1]
        du[i] = a + u[i] ** 2 * v[i] - (b + 1) * u[i] + c * (ul - 2 * u[i] + ur)
        dv[i] = b * u[i] - u[i] ** 2 * v[i] + c * (vl - 2 * v[i] + vr)
    return np.concatenate([du, dv])


def pleiades(y, n=3):
    """Stars that attract each other, of masses one, two and three; positions only."""
    x, z = y[:n], y[n:]
    acceleration = np.zeros((n, 2))
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            r3 = ((x[i] - x[j]) ** 2 + (z[i] - z[j]) ** 2) ** 1.5
            acceleration[i, 0] += (j + 1) * (x[j] - x[i]) / r3
            acceleration[i, 1] += (j + 1) * (z[j] - z[i]) / r3
    return acceleration.flatten()


def arenstorf(y):
    mu = 0.012277471
    mu_ = 1 - mu
    d1 = ((y[0] + mu) ** 2 + y[1] ** 2) ** (3 / 2)
    d2 = ((y[0] - mu_) ** 2 + y[1] ** 2) ** (3 / 2)
    dy = np.empty_like(y)
    dy[0], dy[1] = y[2], y[3]
    dy[2] = y[0] + 2 * y[3] - mu_ * (y[0] + mu) / d1 - mu * (y[0] - mu_) / d2
    dy[3] = y[1] - 2 * y[2] - mu_ * y[1] / d1 - mu * y[1] / d2
    return dy


def transistor_amplifier(y, t=0.1):
    ub, uf, alpha, beta, r0 = 6.0, 0.026, 0.99, 1e-6, 1000.0
    ue = 0.1 * math.sin(200 * math.pi * t)

    def g(u):
        return beta * (math.exp(u / uf) - 1)

    f = np.zeros(5)
    f[0] = (y[0] - ue) / r0
    f[1] = 2 * y[1] / 9000 - ub / 9000 + (1 - alpha) * g(y[1] - y[2])
    f[2] = y[2] / 9000 - g(y[1] - y[2])
    f[3] = (y[3] - ub) / 9000 + alpha * g(y[1] - y[2])
    f[4] = y[4] / 9000
    return f


def runge_kutta(p):
    """Lotka and Volterra's animals, in their four rates."""
    rates = Rates(*p)

    def rhs(t, y):
        return np.array([rates.prey * y[0] - rates.eaten * y[0] * y[1], rates.fed * y[0] * y[1] - rates.dies * y[1]])

    steps, h = 20, 0.1
    ys = np.zeros((steps + 1, 2))
    ys[0] = [10.0, 5.0]
    for k in range(steps):
        t = k * h
        k1 = rhs(t, ys[k])
        k2 = rhs(t + h / 2, ys[k] + h / 2 * k1)
        k3 = rhs(t + h / 2, ys[k] + h / 2 * k2)
        k4 = rhs(t + h, ys[k] + h * k3)
        ys[k + 1] = ys[k] + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return ys


def implicit_euler(p):
    """Van der Pol's oscillator, a Newton iteration a step, its matrix written out."""
    mu, y = p[0], np.array([p[1], 0.0])
    h = 0.05
    for _ in range(5):
        new = y.copy()
        for _ in range(20):
            residual = new - y - h * np.array([new[1], mu * (1 - new[0] ** 2) * new[1] - new[0]])
            J = np.eye(2)
            J[0, 1] = -h
            J[1, 0] = h * (2 * mu * new[0] * new[1] + 1)
            J[1, 1] -= h * mu * (1 - new[0] ** 2)
            step = np.linalg.solve(J, residual)
            new -= step
            if np.linalg.norm(step) < 1e-13:
                break
        y = new
    return y


class Epidemic:
    """Susceptible, exposed, infected, recovered; a list of daily states."""

    def __init__(self, population, days):
        self.population = population
        self.days = days
        self.history = []

    def simulate(self, beta, sigma, gamma, infected):
        state = {"S": self.population - infected, "E": 0.0, "I": infected, "R": 0.0}
        self.history = [state]
        for _ in range(self.days):
            s = dict(self.history[-1])
            new = beta * s["S"] * s["I"] / self.population
            s["S"] -= new
            s["E"] += new - sigma * s["E"]
            s["I"] += sigma * state["E"] - gamma * s["I"]
            s["R"] = self.population - s["S"] - s["E"] - s["I"]
            self.history.append(s)
            state = s
        return self.history

    def fit(self, theta):
        beta, sigma, gamma, infected = theta
        history = self.simulate(beta, sigma, gamma, np.exp(infected))
        return np.array([day["I"] for day in history[1:]])


def burgers(u):
    n = len(u)
    h = 1 / n
    flux = np.zeros(n + 1)
    flux[1:-1] = np.where(u[:-1] + u[1:] > 0, u[:-1] ** 2 / 2, u[1:] ** 2 / 2)
    flux[0] = flux[1]
    flux[-1] = flux[-2]
    lap = np.zeros(n)
    lap[1:-1] = (u[2:] - 2 * u[1:-1] + u[:-2]) / h**2
    return -(flux[1:] - flux[:-1]) / h + 0.01 * lap


def fisher(u):
    """Reaction and diffusion, the second differences a sparse matrix."""
    n = len(u)
    L = sp.diags([np.ones(n - 1), -2 * np.ones(n), np.ones(n - 1)], [-1, 0, 1], format="csr") * (n + 1) ** 2
    return 0.1 * (L @ u) + u * (1 - u)


def adaptive_heun(p):
    """Steps of two orders compared with each other; the step itself is a function of the parameters."""
    y, t, h = float(p[1]), 0.0, 0.1
    while t < 1.0:
        if t + h > 1.0:
            h = 1.0 - t
        k1 = -p[0] * y + math.cos(t)
        k2 = -p[0] * (y + h * k1) + math.cos(t + h)
        low, high = y + h * k1, y + h * (k1 + k2) / 2
        error = max(abs(high - low), 1e-12)
        if error <= 1e-2:
            t, y = t + h, high
        h = h * min(2.0, max(0.5, 0.9 * math.sqrt(1e-2 / error)))
    return y


def distance_travelled(p):
    t = np.linspace(0, 2, 41)
    a = p[0] * np.exp(-p[1] * t)
    v = cumulative_trapezoid(a, t, initial=0)
    s = cumulative_trapezoid(v, t, initial=0)
    return s[::10]


POINTS = [
    (robertson, [0.9, 2e-5, 0.1]),
    (hires, [0.7, 0.2, 0.1, 0.4, 0.3, 0.6, 0.2, 0.005]),
    (oregonator, [1.2, 2.0, 3.0]),
    (brusselator, [1.1, 1.5, 1.3, 0.9, 2.7, 3.1, 2.9, 3.2]),
    (pleiades, [3.0, -1.0, 0.5, 3.0, 2.0, -1.5]),
    (arenstorf, [0.8, 0.1, 0.05, -1.7]),
    (transistor_amplifier, [0.01, 3.0, 2.95, 6.0, 0.1]),
    (runge_kutta, [1.1, 0.1, 0.075, 1.5]),
    (implicit_euler, [2.0, 1.5]),
    (Epidemic(1000.0, 15).fit, [0.5, 0.2, 0.1, 1.0]),
    (burgers, [0.5, 0.8, 0.3, -0.2, -0.6, 0.1]),
    (fisher, [0.1, 0.4, 0.6, 0.3, 0.2]),
    (adaptive_heun, [3.0, 0.7]),
    (distance_travelled, [2.0, 0.8]),
]
