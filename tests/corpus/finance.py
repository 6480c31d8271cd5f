"""Prices: formulas, trees and simulated paths."""

import math
from math import erf, exp, log, sqrt

import numpy as np
from scipy.stats import norm

NORMALS = np.random.default_rng(11).standard_normal((50, 12))


def black_scholes(p):
    S, K, r, sigma, T = p
    d1 = (np.log(S / K) + (r + 0.5 * sigma**2) * T) / (sigma * np.sqrt(T))
    d2 = d1 - sigma * np.sqrt(T)
    return S * norm.cdf(d1) - K * np.exp(-r * T) * norm.cdf(d2)


def black_scholes_by_erf(p):
    S, K, r, sigma, T = map(float, p)

    def N(x):
        return 0.5 * (1.0 + erf(x / sqrt(2.0)))

    d1 = (log(S / K) + (r + sigma * sigma / 2) * T) / (sigma * sqrt(T))
    return S * N(d1) - K * exp(-r * T) * N(d1 - sigma * sqrt(T))


def american_put(p):
    S, sigma = p[0], p[1]
    K, r, T, N = 100.0, 0.05, 1.0, 12
    dt = T / N
    u = np.exp(sigma * np.sqrt(dt))
    d = 1 / u
    q = (np.exp(r * dt) - d) / (u - d)
    V = np.zeros(N + 1)
    for i in range(N + 1):
        V[i] = max(K - S * u ** (N - i) * d**i, 0)
    for step in range(N - 1, -1, -1):
        for i in range(step + 1):
            hold = np.exp(-r * dt) * (q * V[i] + (1 - q) * V[i + 1])
            V[i] = max(hold, K - S * u ** (step - i) * d**i)
    return V[0]


def asian_option(p):
    S0, sigma, r = p
    dt = 1 / 12
    paths = np.zeros((50, 13))
    paths[:, 0] = S0
    for t in range(12):
        paths[:, t + 1] = paths[:, t] * np.exp((r - sigma**2 / 2) * dt + sigma * np.sqrt(dt) * NORMALS[:, t])
    payoff = np.maximum(paths[:, 1:].mean(axis=1) - 100, 0)
    return np.exp(-r) * payoff.mean()


def nelson_siegel(b):
    prices = []
    for maturity, coupon in [(1, 0.02), (2, 0.025), (5, 0.03)]:
        price = 0.0
        for t in range(1, maturity + 1):
            x = t / b[3]
            y = b[0] + b[1] * (1 - exp(-x)) / x + b[2] * ((1 - exp(-x)) / x - exp(-x))
            price += (coupon + (1 if t == maturity else 0)) * exp(-y * t)
        prices.append(price)
    return prices


def yield_to_maturity(cash):
    """Newton's method until it stands still."""
    price, flows = cash[0], cash[1:]
    y = 0.05
    while True:
        value = sum(c / (1 + y) ** (k + 1) for k, c in enumerate(flows)) - price
        slope = sum(-(k + 1) * c / (1 + y) ** (k + 2) for k, c in enumerate(flows))
        new = y - value / slope
        if abs(new - y) < 1e-13:
            return new
        y = new


def heston(p):
    """A call by its characteristic function and the trapezoidal rule."""
    kappa, theta, sigma, rho, v0 = p
    S, K, T = 100.0, 105.0, 1.0
    u = np.linspace(1e-3, 40, 200)

    def phi(w):
        iw = 1j * w
        d = np.sqrt((rho * sigma * iw - kappa) ** 2 + sigma**2 * (iw + w**2))
        g = (kappa - rho * sigma * iw - d) / (kappa - rho * sigma * iw + d)
        e = np.exp(-d * T)
        C = kappa * theta / sigma**2 * ((kappa - rho * sigma * iw - d) * T - 2 * np.log((1 - g * e) / (1 - g)))
        D = (kappa - rho * sigma * iw - d) / sigma**2 * (1 - e) / (1 - g * e)
        return np.exp(C + D * v0 + iw * np.log(S))

    integrand = np.real(np.exp(-1j * (u - 0.5j) * np.log(K)) * phi(u - 0.5j)) / (u**2 + 0.25)
    return S - K / np.pi * np.trapezoid(integrand, u)


def sabr(p):
    alpha, beta, rho, nu = p
    f = 0.03
    vols = np.empty(4)
    for i, K in enumerate((0.02, 0.025, 0.035, 0.04)):
        fk = (f * K) ** ((1 - beta) / 2)
        lfk = np.log(f / K)
        z = nu / alpha * fk * lfk
        x = np.log((np.sqrt(1 - 2 * rho * z + z**2) + z - rho) / (1 - rho))
        top = 1 + (
            (1 - beta) ** 2 / 24 * alpha**2 / fk**2 + rho * beta * nu * alpha / 4 / fk + (2 - 3 * rho**2) / 24 * nu**2
        )
        below = fk * (1 + (1 - beta) ** 2 / 24 * lfk**2 + (1 - beta) ** 4 / 1920 * lfk**4)
        vols[i] = alpha / below * z / x * top
    return vols


class Portfolio:
    def __init__(self, mean, cov):
        self.mean = np.array(mean)
        self.cov = np.array(cov)

    def sharpe(self, w):
        weights = np.array(w) / np.sum(w)
        ret = np.dot(weights, self.mean)
        risk = math.sqrt(np.dot(weights.T, np.dot(self.cov, weights)))
        return ret / risk


def bootstrapped_curve(swaps):
    """Discount factors one from the other."""
    factors = []
    for rate in swaps:
        factors.append((1 - rate * sum(factors)) / (1 + rate))
    return -np.log(factors) / np.arange(1, len(swaps) + 1)


POINTS = [
    (black_scholes, [100.0, 105.0, 0.03, 0.2, 0.7]),
    (black_scholes_by_erf, [100.0, 105.0, 0.03, 0.2, 0.7]),
    (american_put, [97.3, 0.23]),
    (asian_option, [101.0, 0.25, 0.03]),
    (nelson_siegel, [0.03, -0.01, 0.005, 2.0]),
    (yield_to_maturity, [95.0, 3.0, 3.0, 103.0]),
    (heston, [1.5, 0.04, 0.3, -0.6, 0.05]),
    (sabr, [0.03, 0.5, -0.2, 0.4]),
    (Portfolio([0.05, 0.08, 0.03], [[0.04, 0.01, 0.0], [0.01, 0.09, 0.02], [0.0, 0.02, 0.01]]).sharpe, [0.4, 0.3, 0.3]),
    (bootstrapped_curve, [0.01, 0.015, 0.02, 0.022]),
]
