"""Filters and time series: likelihoods that are computed step by step."""

import math

import numpy as np

RNG = np.random.default_rng(7)
Y = np.cumsum(RNG.standard_normal(25)) + 0.3 * RNG.standard_normal(25)
RETURNS = 0.01 * RNG.standard_normal(40)


class KalmanFilter:
    """The textbook's filter: matrices given once, predict and update."""

    def __init__(self, F, H, Q, R, x0, P0):
        self.F, self.H, self.Q, self.R = F, H, Q, R
        self.x, self.P = x0, P0
        self.loglik = 0.0

    def predict(self):
        self.x = self.F @ self.x
        self.P = self.F @ self.P @ self.F.T + self.Q

    def update(self, z):
        y = z - self.H @ self.x
        S = self.H @ self.P @ self.H.T + self.R
        K = self.P @ self.H.T @ np.linalg.inv(S)
        self.x = self.x + K @ y
        self.P = (np.eye(len(self.x)) - K @ self.H) @ self.P
        sign, logdet = np.linalg.slogdet(S)
        self.loglik += -0.5 * (y @ np.linalg.solve(S, y) + logdet + len(y) * math.log(2 * math.pi))


def constant_velocity(theta):
    q, r = np.exp(theta[0]), np.exp(theta[1])
    dt = 0.5
    F = np.array([[1.0, dt], [0.0, 1.0]])
    H = np.array([[1.0, 0.0]])
    Q = q * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
    kf = KalmanFilter(F, H, Q, np.array([[r]]), np.zeros(2), 10 * np.eye(2))
    for y in Y:
        kf.predict()
        kf.update(np.array([y]))
    return -kf.loglik


def local_level(theta):
    q, r = math.exp(theta[0]), math.exp(theta[1])
    a, p, ll = 0.0, 1e3, 0.0
    for t in range(len(Y)):
        p = p + q
        v, f = Y[t] - a, p + r
        k = p / f
        ll += -0.5 * (math.log(2 * math.pi * f) + v * v / f)
        a, p = a + k * v, p * (1 - k)
    return ll


def extended_kalman_filter(x):
    """A bearing and a range of a landmark, the Jacobian matrix written by hand."""
    mu = np.array(x[:3])
    P = np.diag([0.1, 0.1, 0.05])
    landmark = np.array([4.0, 3.0])
    for control, seen in [((1.0, 0.1), (4.2, 0.5)), ((1.0, -0.2), (3.3, 0.6))]:
        theta = mu[2]
        G = np.eye(3)
        G[0, 2] = -control[0] * np.sin(theta)
        G[1, 2] = control[0] * np.cos(theta)
        mu = mu + np.array([control[0] * np.cos(theta), control[0] * np.sin(theta), control[1]])
        P = G @ P @ G.T + 0.01 * np.eye(3)
        dx, dy = landmark[0] - mu[0], landmark[1] - mu[1]
        q = dx**2 + dy**2
        r = math.sqrt(q)
        predicted = np.array([r, math.atan2(dy, dx) - mu[2]])
        H = np.zeros((2, 3))
        H[0, :2] = -dx / r, -dy / r
        H[1] = [dy / q, -dx / q, -1]
        innovation = np.array(seen) - predicted
        innovation[1] = (innovation[1] + math.pi) % (2 * math.pi) - math.pi
        K = P @ H.T @ np.linalg.inv(H @ P @ H.T + x[3] * np.eye(2))
        mu = mu + K @ innovation
        P = (np.eye(3) - K @ H) @ P
    return np.concatenate((mu, np.diag(P)))


def unscented_transform(x):
    n = 2
    mean = np.asarray(x[:2])
    L = np.zeros((n, n))
    L[np.tril_indices(n)] = x[2:]
    cov = L @ L.T
    kappa = 1.0
    U = np.linalg.cholesky((n + kappa) * cov)
    sigmas = np.zeros((2 * n + 1, n))
    sigmas[0] = mean
    for k in range(n):
        sigmas[k + 1] = mean + U[:, k]
        sigmas[n + k + 1] = mean - U[:, k]
    W = np.full(2 * n + 1, 0.5 / (n + kappa))
    W[0] = kappa / (n + kappa)
    ys = np.zeros_like(sigmas)
    for i, s in enumerate(sigmas):
        ys[i] = [np.hypot(s[0], s[1]), np.arctan2(s[1], s[0])]
    y_mean = np.dot(W, ys)
    P = np.zeros((n, n))
    for w, y in zip(W, ys):
        d = y - y_mean
        P += w * np.outer(d, d)
    return y_mean, P


def smoother(theta):
    """Forwards, then backwards over what was kept on the way."""
    n = 10
    a, q, r = theta
    m, P = np.zeros(n), np.zeros(n)
    mp, Pp = np.zeros(n), np.zeros(n)
    mean, var = 0.0, 1.0
    for t in range(n):
        mp[t], Pp[t] = a * mean, a**2 * var + q
        gain = Pp[t] / (Pp[t] + r)
        mean = mp[t] + gain * (Y[t] - mp[t])
        var = (1 - gain) * Pp[t]
        m[t], P[t] = mean, var
    s = m.copy()
    for t in range(n - 2, -1, -1):
        C = P[t] * a / Pp[t + 1]
        s[t] = m[t] + C * (s[t + 1] - mp[t + 1])
    return s


def garch(theta):
    omega, alpha, beta = theta
    T = len(RETURNS)
    sigma2 = np.empty(T)
    sigma2[0] = np.var(RETURNS)
    for t in range(1, T):
        sigma2[t] = omega + alpha * RETURNS[t - 1] ** 2 + beta * sigma2[t - 1]
    return 0.5 * np.sum(np.log(2 * np.pi * sigma2) + RETURNS**2 / sigma2)


def arma(theta):
    phi, ma, c = theta[0], theta[1], theta[2]
    errors = np.zeros(len(Y))
    for t in range(1, len(Y)):
        errors[t] = Y[t] - c - phi * Y[t - 1] - ma * errors[t - 1]
    return np.sum(errors**2) / (len(Y) - 1)


def hidden_markov(theta):
    """The forward algorithm, scaled at every step."""
    stay = 1 / (1 + np.exp(-theta[:2]))
    A = np.array([[stay[0], 1 - stay[0]], [1 - stay[1], stay[1]]])
    means = theta[2:4]
    alpha = np.array([0.5, 0.5])
    ll = 0
    for y in np.diff(Y):
        likelihood = np.exp(-0.5 * (y - means) ** 2) / np.sqrt(2 * np.pi)
        alpha = (alpha @ A) * likelihood
        total = alpha.sum()
        ll += np.log(total)
        alpha /= total
    return ll


def holt_winters(theta, season=4):
    alpha, beta, gamma = theta
    level, trend = Y[0], Y[1] - Y[0]
    seasonal = list(Y[:season] - np.mean(Y[:season]))
    forecasts = []
    for i in range(len(Y)):
        forecasts.append(level + trend + seasonal[i % season])
        last = level
        level = alpha * (Y[i] - seasonal[i % season]) + (1 - alpha) * (level + trend)
        trend = beta * (level - last) + (1 - beta) * trend
        seasonal[i % season] = gamma * (Y[i] - level) + (1 - gamma) * seasonal[i % season]
    return np.sqrt(np.mean((Y - np.array(forecasts)) ** 2))


POINTS = [
    (constant_velocity, [-0.5, -1.0]),
    (local_level, [-0.3, -2.0]),
    (extended_kalman_filter, [0.1, 0.2, 0.4, 0.05]),
    (unscented_transform, [2.0, 1.0, 0.3, 0.1, 0.2]),
    (smoother, [0.9, 0.8, 0.3]),
    (garch, [1e-5, 0.1, 0.8]),
    (arma, [0.8, 0.3, 0.1]),
    (hidden_markov, [1.0, 0.5, -0.8, 0.9]),
    (holt_winters, [0.4, 0.2, 0.3]),
]
