"""Likelihoods of data, as they are written for a minimiser."""

import math

import numpy as np
from scipy import special, stats
from scipy.special import gammaln, logsumexp
from scipy.stats import norm

RNG = np.random.default_rng(3)
X = np.column_stack([np.ones(20), RNG.standard_normal((20, 2))])
LABELS = (RNG.random(20) < 0.5).astype(int)
COUNTS = RNG.poisson(3.0, 20)
TIMES = RNG.weibull(1.5, 20)
EVENTS = RNG.random(20) < 0.7
WAITING = RNG.gamma(2.0, 1.5, 20)


def logistic_regression(w):
    ll = 0.0
    for row, label in zip(X, LABELS):
        eta = row.dot(w)
        p = 1.0 / (1.0 + math.exp(-eta))
        if label == 1:
            ll += math.log(p)
        else:
            ll += math.log(1 - p)
    return -ll


def poisson_regression(w):
    eta = np.matmul(X, w)
    return -np.sum(COUNTS * eta - np.exp(eta) - gammaln(COUNTS + 1))


def negative_binomial(theta):
    r, p = np.exp(theta[0]), special.expit(theta[1])
    return -np.sum(gammaln(COUNTS + r) - gammaln(r) - gammaln(COUNTS + 1) + r * np.log(p) + COUNTS * np.log1p(-p))


def gamma_likelihood(theta):
    shape, scale = theta
    return -np.sum(stats.gamma.logpdf(WAITING, shape, scale=scale))


def probit(w):
    q = 2 * LABELS - 1
    return -np.sum(norm.logcdf(q * (X @ w)))


def weibull_censored(theta):
    k, lam = math.exp(theta[0]), math.exp(theta[1])
    total = 0
    for t, event in zip(TIMES, EVENTS):
        if event:
            total += math.log(k / lam) + (k - 1) * math.log(t / lam)
        total -= (t / lam) ** k
    return -total


def cox(beta):
    order = np.argsort(-TIMES)
    risk = np.asarray(X[order, 1:] @ beta)
    total = 0.0
    for i in range(len(order)):
        if EVENTS[order][i]:
            total += risk[i] - logsumexp(risk[: i + 1])
    return -total


def gaussian_mixture(theta):
    weights = special.softmax(np.append(theta[:1], 0.0))
    terms = np.empty((len(WAITING), 2))
    for k in range(2):
        mean, sd = theta[1 + k], np.exp(theta[3 + k])
        terms[:, k] = np.log(weights[k]) + norm.logpdf(WAITING, loc=mean, scale=sd)
    return -logsumexp(terms, axis=1).sum()


def student_regression(theta):
    w, sigma, nu = theta[:3], np.exp(theta[3]), np.exp(theta[4])
    z = (COUNTS - X @ w) / sigma
    return -np.sum(
        gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi) - np.log(sigma)
        - (nu + 1) / 2 * np.log1p(z**2 / nu)
    )  # fmt: skip


def multivariate_normal(theta):
    mean = theta[:2]
    L = np.zeros((2, 2))
    L[0, 0] = np.exp(theta[2])
    L[1, 0] = theta[3]
    L[1, 1] = np.exp(theta[4])
    cov = L @ L.T
    inverse = np.linalg.inv(cov)
    total = 0.0
    for x in X[:, 1:]:
        d = x - mean
        total += -0.5 * d @ inverse @ d - 0.5 * np.log(np.linalg.det(2 * np.pi * cov))
    return -total


class GaussianProcess:
    def __init__(self, X, y):
        self.X = np.asarray(X)
        self.y = np.asarray(y)

    def kernel(self, a, b):
        return self.amplitude**2 * np.exp(-0.5 * np.sum(((a - b) / self.lengths) ** 2))

    def marginal_likelihood(self, theta):
        self.amplitude = np.exp(theta[0])
        self.lengths = np.exp(theta[1:3])
        noise = np.exp(theta[3])
        n = len(self.X)
        K = np.zeros((n, n))
        for i in range(n):
            for j in range(i, n):
                K[i, j] = self.kernel(self.X[i], self.X[j])
                K[j, i] = K[i, j]
        K += noise**2 * np.eye(n)
        L = np.linalg.cholesky(K)
        alpha = np.linalg.solve(L.T, np.linalg.solve(L, self.y))
        return 0.5 * self.y @ alpha + np.sum(np.log(np.diag(L))) + 0.5 * n * np.log(2 * np.pi)


def von_mises(theta):
    mu, kappa = theta
    angles = np.linspace(-1, 2, 12)
    return -np.sum(kappa * np.cos(angles - mu) - np.log(2 * np.pi * special.i0(kappa)))


def beta_binomial(theta):
    a, b = np.exp(theta)
    n = 12
    return -np.sum(special.betaln(COUNTS + a, n - COUNTS + b) - special.betaln(a, b))


def item_response(theta):
    """Persons and tasks: a log likelihood with a prior, written with a dict of parameters."""
    answers = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 1], [0, 1, 0]])
    parameters = {"ability": theta[:4], "difficulty": theta[4:]}
    log_posterior = -0.5 * sum(np.sum(v**2) for v in parameters.values())
    for i in range(answers.shape[0]):
        for j in range(answers.shape[1]):
            eta = parameters["ability"][i] - parameters["difficulty"][j]
            log_posterior += answers[i, j] * eta - np.log1p(np.exp(eta))
    return log_posterior


def kernel_density(h):
    n = len(WAITING)
    scores = np.zeros(n)
    for i in range(n):
        others = np.delete(WAITING, i)
        scores[i] = np.log(
            np.mean(np.exp(-0.5 * ((WAITING[i] - others) / h[0]) ** 2)) / (h[0] * math.sqrt(2 * math.pi))
        )
    return scores.mean()


def ordered_logit(theta):
    cuts = np.sort(theta[3:])
    eta = X @ theta[:3]
    bounds = np.concatenate([[-np.inf], cuts, [np.inf]])
    level = np.digitize(COUNTS, [2, 4])
    upper = special.expit(bounds[level + 1] - eta)
    lower = special.expit(bounds[level] - eta)
    return -np.log(upper - lower).sum()


def guarded_posterior(theta):
    """What is handed to a sampler: minus infinity outside the prior."""
    sigma = theta[1]
    if sigma <= 0 or not np.all(np.isfinite(theta)):
        return -np.inf
    try:
        return float(np.sum(stats.norm(theta[0], sigma).logpdf(WAITING)))
    except (ValueError, FloatingPointError):
        return -np.inf


POINTS = [
    (logistic_regression, [0.1, -0.3, 0.5]),
    (poisson_regression, [1.0, 0.1, -0.2]),
    (negative_binomial, [0.5, 0.2]),
    (gamma_likelihood, [1.8, 1.4]),
    (probit, [0.1, -0.3, 0.5]),
    (weibull_censored, [0.3, 0.1]),
    (cox, [0.4, -0.2]),
    (gaussian_mixture, [0.3, 1.5, 4.0, -0.2, 0.3]),
    (student_regression, [2.5, 0.1, 0.2, 0.3, 1.2]),
    (multivariate_normal, [0.1, -0.1, 0.2, 0.3, -0.1]),
    (GaussianProcess(X[:6, 1:], TIMES[:6]).marginal_likelihood, [0.1, 0.2, -0.1, -0.7]),
    (von_mises, [0.4, 1.7]),
    (beta_binomial, [0.7, 1.1]),
    (item_response, [0.3, -0.2, 0.8, -0.5, 0.1, 0.4, -0.3]),
    (kernel_density, [0.8]),
    (ordered_logit, [0.2, 0.3, -0.1, -0.8, 0.9]),
    (guarded_posterior, [2.5, 1.4]),
]
