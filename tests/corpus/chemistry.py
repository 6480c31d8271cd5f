"""Reactions and equilibria: equations of state, activities, mechanisms."""

import math

import numpy as np

R = 8.314462618


class Arrhenius:
    def __init__(self, A, Ea):
        self.A = A
        self.Ea = Ea

    def __call__(self, T):
        return self.A * math.exp(-self.Ea / (R * T))


REACTIONS = [
    {"reactants": {"A": 1}, "products": {"B": 1}, "rate": Arrhenius(1e5, 4e4)},
    {"reactants": {"B": 2}, "products": {"C": 1}, "rate": Arrhenius(1e4, 3e4)},
    {"reactants": {"B": 1, "C": 1}, "products": {"A": 1, "C": 1}, "rate": Arrhenius(1e3, 2e4)},
]


def mechanism(y):
    """Rates of change in concentrations and temperature, by names of species."""
    species = ["A", "B", "C"]
    c = dict(zip(species, y[:3]))
    dc = dict.fromkeys(species, 0.0)
    for reaction in REACTIONS:
        rate = reaction["rate"](y[3])
        for s, order in reaction["reactants"].items():
            rate *= c[s] ** order
        for s, nu in reaction["reactants"].items():
            dc[s] -= nu * rate
        for s, nu in reaction["products"].items():
            dc[s] += nu * rate
    return np.array([dc[s] for s in species] + [1e3 * dc["C"]])


def nrtl(x):
    """Activity coefficients of three liquids, double loops."""
    n = len(x)
    tau = np.array([[0.0, 0.5, 1.2], [0.8, 0.0, 0.3], [-0.2, 0.9, 0.0]])
    alpha = 0.3
    G = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            G[i, j] = np.exp(-alpha * tau[i, j])
    x = x / np.sum(x)
    ln_gamma = np.zeros(n)
    for i in range(n):
        first = sum(tau[j, i] * G[j, i] * x[j] for j in range(n)) / sum(G[k, i] * x[k] for k in range(n))
        second = 0.0
        for j in range(n):
            below = np.sum(G[:, j] * x)
            second += x[j] * G[i, j] / below * (tau[i, j] - np.sum(x * tau[:, j] * G[:, j]) / below)
        ln_gamma[i] = first + second
    return np.exp(ln_gamma)


def peng_robinson(s):
    """The compressibility of a gas, the largest real root of a cubic."""
    T, P = s
    Tc, Pc, omega = 190.6, 4.6e6, 0.011
    kappa = 0.37464 + 1.54226 * omega - 0.26992 * omega**2
    a = 0.45724 * R**2 * Tc**2 / Pc * (1 + kappa * (1 - np.sqrt(T / Tc))) ** 2
    b = 0.0778 * R * Tc / Pc
    A, B = a * P / (R * T) ** 2, b * P / (R * T)
    Z = np.roots([1, -(1 - B), A - 3 * B**2 - 2 * B, -(A * B - B**2 - B**3)])
    return max(Z[np.isreal(Z)].real)


def flash(z):
    """The vapour's share, by Newton's method on Rachford and Rice's equation."""
    K = np.array([2.5, 1.1, 0.4])
    z = z / z.sum()
    v = 0.5
    for _ in range(50):
        f = np.sum(z * (K - 1) / (1 + v * (K - 1)))
        df = -np.sum(z * (K - 1) ** 2 / (1 + v * (K - 1)) ** 2)
        dv = -f / df
        v += dv
        if abs(dv) < 1e-14:
            break
    x = z / (1 + v * (K - 1))
    return np.concatenate([[v], x, K * x])


def gibbs_energy(n):
    g = [-10.0, -20.5, -24.1]
    total = np.sum(n)
    G = 0
    for i in range(len(n)):
        G += n[i] * (g[i] + math.log(n[i] / total))
    return G


def debye_hueckel(c):
    charges = np.array([1, -1, 2, -1])
    I = 0.5 * np.sum(c * charges**2)  # noqa: E741
    log_gamma = np.zeros(len(c))
    for i, z in enumerate(charges):
        log_gamma[i] = -0.509 * z**2 * (math.sqrt(I) / (1 + math.sqrt(I)) - 0.3 * I)
    return 10**log_gamma


def nasa_polynomial(T):
    if T[0] < 1000:
        a = (3.5, -1e-4, 2e-7, 1e-10, -3e-14)
    else:
        a = (3.0, 1e-3, -4e-7, 9e-11, -7e-15)
    cp = 0
    for k in range(5):
        cp += a[k] * T[0] ** k
    h = sum(a[k] * T[0] ** (k + 1) / (k + 1) for k in range(5))
    return {"cp": R * cp, "h": R * h}


def titration(p):
    """The pH of a weak acid, as the largest root of the charge balance."""
    ka, ca = 10 ** (-p[0]), p[1]
    kw = 1e-14
    coefficients = np.zeros(4)
    coefficients[0] = 1
    coefficients[1] = ka
    coefficients[2] = -(kw + ka * ca)
    coefficients[3] = -ka * kw
    roots = np.roots(coefficients)
    return -np.log10(np.max(roots.real))


def distillation(x):
    """Stages from the top down, by a constant relative volatility; the last liquid."""
    reflux, alpha = x[0], x[1]
    xd = 0.95
    y = xd
    stages = []
    while y > 0.6:
        liquid = y / (alpha - (alpha - 1) * y)
        stages.append(liquid)
        y = reflux / (reflux + 1) * liquid + xd / (reflux + 1)
    return np.asarray(stages)


def hueckel(beta):
    """Energies of a ring of five atoms, each bond its own."""
    n = len(beta)
    H = np.zeros((n, n))
    for i in range(n):
        j = (i + 1) % n
        H[i, j] = H[j, i] = beta[i]
    return np.linalg.eigvalsh(H)


POINTS = [
    (mechanism, [1.0, 0.5, 0.2, 350.0]),
    (nrtl, [0.3, 0.5, 0.2]),
    (peng_robinson, [250.0, 3e6]),
    (flash, [0.4, 0.35, 0.25]),
    (gibbs_energy, [0.3, 0.5, 0.2]),
    (debye_hueckel, [0.01, 0.02, 0.005, 0.003]),
    (nasa_polynomial, [800.0]),
    (titration, [4.75, 0.1]),
    (distillation, [3.0, 2.4]),
    (hueckel, [-1.0, -1.1, -0.9, -1.2, -0.8]),
]
