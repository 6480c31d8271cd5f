"""Functions of whole arrays: elementwise work, sums, products of matrices, a factorisation."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from dualdiff.lab.problems import equations, fitting
from tests.benchmarks.compiled.scalar import rosenbrock_by_hand, rosenbrock_by_loops
from tests.benchmarks.compiled.workload import Bar, Derivative, Workload

JAX = "jax.jit"


# -- five sums -------------------------------------------------------------------------------------


def wide(x: Any) -> Any:
    e = np.exp(-x)
    return np.stack([np.sum(x**2), np.sum(x**3), np.sum(e), np.sum(x**2 * e), np.sum(np.exp(-(x**2)))])


def wide_by_hand(x: Any) -> Any:
    e, square = np.exp(-x), x * x
    J = np.empty((5, x.size))
    np.multiply(2, x, out=J[0])
    np.multiply(3, square, out=J[1])
    np.negative(e, out=J[2])
    np.multiply((2 - x) * x, e, out=J[3])
    np.multiply(J[0], np.exp(-square), out=J[4])
    np.negative(J[4], out=J[4])
    return J


def wide_by_loops(x: Any) -> Any:
    J = np.empty((5, x.size))
    for i in range(x.size):
        v = x[i]
        e = np.exp(-v)
        J[0, i], J[1, i], J[2, i] = 2 * v, 3 * v * v, -e
        J[3, i], J[4, i] = (2 - v) * v * e, -2 * v * np.exp(-v * v)
    return J


# -- a curve of Gaussian peaks ---------------------------------------------------------------------


def peaks_by_loops(p: Any, t: Any) -> Any:
    J = np.empty((t.size, p.size))
    for i in range(t.size):
        J[i, 0] = 1.0
        for k in range(1, p.size, 3):
            z = (t[i] - p[k + 1]) / p[k + 2]
            J[i, k] = np.exp(-z * z)
            J[i, k + 1] = J[i, k] * z * (2 * p[k] / p[k + 2])
            J[i, k + 2] = J[i, k + 1] * z
    return J


def peaks_in_casadi(case: Any) -> Any:
    """One point's row, mapped over the points, as one writes it in CasADi."""

    def made(casadi: Any) -> Any:
        t = case.function.keywords["t"]
        p, s = casadi.SX.sym("p", case.inputs), casadi.SX.sym("s")
        y = p[0]
        for k in range(1, case.inputs, 3):
            y = y + p[k] * casadi.exp(-(((s - p[k + 1]) / p[k + 2]) ** 2))
        row = casadi.Function("row", [p, s], [casadi.gradient(y, p)])
        x = casadi.MX.sym("x", case.inputs)
        return x, row.map(t.size)(x, casadi.DM(t).T)

    return made


# -- learning --------------------------------------------------------------------------------------


def mixture(points: int, size: int) -> tuple[Any, Any, Any]:
    """Return the log-likelihood of a mixture by weights, means and factors of the inverse covariances; its gradient; a point."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((points, size))
    ends = [size, size + size * size]

    def parts(x: Any) -> tuple[Any, Any, Any]:
        return x[: ends[0]], x[ends[0] : ends[1]].reshape(size, size), x[ends[1] :].reshape(size, size, size)

    def likelihood(x: Any) -> Any:
        a, m, s = parts(x)
        z = (data - m[:, np.newaxis]) @ s
        q = a[:, np.newaxis] - np.sum(z * z, axis=2) / 2
        top = np.max(q, axis=0)
        return np.sum(np.log(np.sum(np.exp(q - top), axis=0)) + top) - len(data) * np.log(np.sum(np.exp(a)))

    def by_hand(x: Any) -> Any:
        a, m, s = parts(x)
        apart = data - m[:, np.newaxis]
        z = apart @ s
        q = a[:, np.newaxis] - np.einsum("knd,knd->kn", z, z) / 2
        q -= q.max(axis=0)
        np.exp(q, out=q)
        q /= q.sum(axis=0)
        z *= -q[:, :, np.newaxis]
        prior = np.exp(a - a.max())
        by_mean = -np.einsum("knd,ked->ke", z, s)
        by_factor = apart.transpose(0, 2, 1) @ z
        return np.concatenate([q.sum(axis=1) - points * prior / prior.sum(), by_mean.ravel(), by_factor.ravel()])

    a, m = rng.standard_normal(size), rng.standard_normal((size, size))
    s = np.eye(size) + 0.1 * rng.standard_normal((size, size, size))
    return likelihood, by_hand, np.concatenate([a, m.ravel(), s.ravel()])


def process(points: int) -> tuple[Any, Any, Any]:
    """Return the log marginal likelihood of a Gaussian process by its three hyperparameters, its gradient, a point."""
    rng = np.random.default_rng(1)
    t = np.sort(rng.uniform(0, 10, points))
    square, one, y = (t[:, np.newaxis] - t) ** 2, np.eye(points), np.sin(t) + 0.1 * rng.standard_normal(points)

    def likelihood(p: Any) -> Any:
        k = np.exp(p[0] - square * np.exp(-2 * p[1])) + np.exp(p[2]) * one
        return -(y @ np.linalg.solve(k, y)) / 2 - np.sum(np.log(np.diagonal(np.linalg.cholesky(k))))

    def by_hand(p: Any) -> Any:
        smooth = np.exp(p[0] - square * np.exp(-2 * p[1]))
        noise = np.exp(p[2])
        inverse = np.linalg.inv(smooth + noise * one)
        a = inverse @ y
        by_k = (a[:, np.newaxis] * a - inverse) / 2
        weighted = by_k * smooth
        return np.array([weighted.sum(), 2 * np.exp(-2 * p[1]) * np.vdot(weighted, square), noise * np.trace(by_k)])

    return likelihood, by_hand, np.array([0.0, 0.1, -3.0])


def network(widths: tuple[int, ...], batch: int) -> tuple[Any, Any, Any]:
    """Return the squared error of a network of tanh layers by all its numbers, its gradient, a point."""
    rng = np.random.default_rng(2)
    inputs, target = rng.standard_normal((batch, widths[0])), rng.standard_normal((batch, widths[-1]))
    shapes = [s for n, m in pairwise(widths) for s in ((n, m), (m,))]
    ends = np.cumsum([math.prod(s) for s in shapes]).tolist()

    def parts(x: Any) -> list[Any]:
        return [x[end - math.prod(s) : end].reshape(s) for end, s in zip(ends, shapes, strict=True)]

    def loss(x: Any) -> Any:
        p = parts(x)
        h = inputs
        for k in range(0, len(p) - 2, 2):
            h = np.tanh(h @ p[k] + p[k + 1])
        return np.mean((h @ p[-2] + p[-1] - target) ** 2)

    def by_hand(x: Any) -> Any:
        p = parts(x)
        states = [inputs]
        for k in range(0, len(p) - 2, 2):
            states.append(np.tanh(states[-1] @ p[k] + p[k + 1]))
        g = 2 / target.size * (states[-1] @ p[-2] + p[-1] - target)
        found: list[Any] = []
        for k in range(len(p) - 2, -1, -2):
            h = states[k // 2]
            found = [(h.T @ g).ravel(), g.sum(axis=0), *found]
            g = (g @ p[k].T) * (1 - h * h)
        return np.concatenate(found)

    return loss, by_hand, rng.standard_normal(ends[-1]) / 8


def dense(n: int) -> tuple[Any, Any, Any]:
    """Return two dense layers as a function of their input, the Jacobian, a point."""
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, n, n)) / np.sqrt(n)

    def layers(x: Any) -> Any:
        return np.tanh(a @ np.tanh(b @ x))

    def by_hand(x: Any) -> Any:
        inner = np.tanh(b @ x)
        outer = np.tanh(a @ inner)
        return ((1 - outer * outer)[:, np.newaxis] * a) @ ((1 - inner * inner)[:, np.newaxis] * b)

    return layers, by_hand, rng.standard_normal(n)


# --------------------------------------------------------------------------------------------------


def workloads(tiny: bool = False) -> list[Workload]:
    """Return the family."""
    found: list[Workload] = []
    for n, bar, symbols in ((1000, Bar(1 / 3, JAX), True), (1_000_000, Bar(1.2, JAX), False)):
        n = 12 if tiny else n
        case = equations.rosenbrock_objective(n)
        found.append(
            Derivative(
                name=f"gradient of Rosenbrock's function, {n:,}",
                function=case.function,
                x=np.array(case.point),
                wanted="gradient",
                by_hand=rosenbrock_by_hand,
                by_loops=rosenbrock_by_loops,
                symbols=symbols,
                bars=(bar,),
            )
        )
    for points, most in ((1000, 0.5), (100_000, 0.3)):
        points = 20 if tiny else points
        case = fitting.gaussians(points, 3)
        found.append(
            Derivative(
                name=f"three Gaussian peaks, {points:,} × 10",
                function=case.function,
                x=np.array(case.point),
                by_hand=case.jacobian,
                by_loops=peaks_by_loops,
                data=(np.array(case.function.keywords["t"]),),
                in_casadi=peaks_in_casadi(case),
                differences=True,
                bars=(Bar(most, JAX),),
            )
        )
    n = 9 if tiny else 5000
    found.append(
        Derivative(
            name=f"five sums, 5 × {n}",
            function=wide,
            x=np.random.default_rng(0).standard_normal(n),
            by_hand=wide_by_hand,
            by_loops=wide_by_loops,
            bars=(Bar(0.5, JAX),),
        )
    )
    made = [
        ("gradient of a mixture of Gaussians, 1000 points", mixture(*(30, 3) if tiny else (1000, 10)), "gradient"),
        ("the same, 10,000 points", mixture(*(40, 2) if tiny else (10_000, 10)), "gradient"),
        ("gradient of a Gaussian process, 200 points", process(10 if tiny else 200), "gradient"),
        (
            "gradient of a network, 64-128-128-10",
            network(*((3, 4, 2), 5) if tiny else ((64, 128, 128, 10), 128)),
            "gradient",
        ),
        ("two dense layers, 200 × 200", dense(6 if tiny else 200), "jacobian"),
    ]
    for name, (function, by_hand, x), wanted in made:
        found.append(
            Derivative(name=name, function=function, x=x, wanted=wanted, by_hand=by_hand, bars=(Bar(1.1, JAX),))
        )
    return found
