"""Gradients against PyTorch's eager ones, on one thread: the time over that of the faster of its two ways.

The same program is written twice, name by name. A way of PyTorch starts from NumPy's arrays and ends with one, as ours does;
the arrays are shared, not copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import dualdiff as dd
from dualdiff.lab.timing import interleaved_minima

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None

Row = dict[str, Any]
RNG = np.random.default_rng(0)
LOOP = 300
"""Operations in a row where one operation is measured."""


def _ratio(what: str, ours: Callable[[], Any], theirs: dict[str, Callable[[], Any]], per: int = 1) -> Row:
    """Time ours and theirs in turns, and check that the derivatives agree."""
    expected = [np.asarray(g) for g in _flat(ours())]
    for name, call in theirs.items():
        for g, e in zip(_flat(call()), expected, strict=True):
            np.testing.assert_allclose(
                np.asarray(g), e, rtol=1e-6, atol=1e-8 * np.max(np.abs(e)), err_msg=f"{what}: {name}"
            )
    t = interleaved_minima({"ours": ours, **theirs}, rounds=15)
    best = min(theirs, key=t.__getitem__)
    return {"what": what, "us": t["ours"] / per * 1e6, "/torch": t["ours"] / t[best], "its faster way": best}


def _flat(g: Any) -> list[Any]:
    return [*g] if isinstance(g, tuple | list) else [g]


def _gradients(f: Callable[..., Any], point: tuple[Any, ...]) -> dict[str, Callable[[], Any]]:
    """Return PyTorch's two ways to the gradient of a scalar by all arguments."""
    numbers = tuple(range(len(point)))
    functional = torch.func.grad(f, argnums=numbers)

    def backward() -> Any:
        leaves = [torch.from_numpy(x).requires_grad_() for x in point]
        f(*leaves).backward()
        return [x.grad.numpy() for x in leaves]

    return {
        "backward": backward,
        "func.grad": lambda: [g.numpy() for g in functional(*[torch.from_numpy(x) for x in point])],
    }


def _gradient_row(what: str, ours: Callable[..., Any], theirs: Callable[..., Any], *point: Any) -> Row:
    gradient = dd.grad(ours, tuple(range(len(point))))
    return _ratio(what, lambda: gradient(*point), _gradients(theirs, point))


# ---------------------------------------------------------------------------------------------------- programs


def rosenbrock() -> list[Row]:
    """The vectorised function of Rosenbrock."""

    def ours(x: Any) -> Any:
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def theirs(x: Any) -> Any:
        return torch.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    return [
        _gradient_row(f"Rosenbrock, n = {n:,}", ours, theirs, RNG.standard_normal(n)) for n in (10, 1000, 1_000_000)
    ]


def wide() -> list[Row]:
    """Five sums over 5000 entries, with powers and exponentials: the Jacobian by rows."""

    def ours(x: Any) -> Any:
        e = np.exp(-x)
        return np.stack([np.sum(x**2), np.sum(x**3), np.sum(e), np.sum(x**2 * e), np.sum(np.exp(-(x**2)))])

    def theirs(x: Any) -> Any:
        e = torch.exp(-x)
        return torch.stack(
            [torch.sum(x**2), torch.sum(x**3), torch.sum(e), torch.sum(x**2 * e), torch.sum(torch.exp(-(x**2)))]
        )

    x = RNG.standard_normal(5000)
    jacobian, functional = dd.jacobian(ours), torch.func.jacrev(theirs)
    return [
        _ratio(
            "wide, 5000 -> 5",
            lambda: jacobian(x),
            {
                "func.jacrev": lambda: functional(torch.from_numpy(x)).numpy(),
                "functional.jacobian": lambda: torch.autograd.functional.jacobian(theirs, torch.from_numpy(x)).numpy(),
                "functional.jacobian, vectorised": lambda: torch.autograd.functional.jacobian(
                    theirs, torch.from_numpy(x), vectorize=True
                ).numpy(),
            },
        )
    ]


def mixture() -> list[Row]:
    """The log-likelihood of a Gaussian mixture by weights, means and the factors of the inverse covariances."""
    d = k = 10
    rows = []
    for points in (1000, 10_000):
        data = RNG.standard_normal((points, d))
        data_there = torch.from_numpy(data)

        def ours(a: Any, m: Any, s: Any, data: Any = data) -> Any:
            z = (data - m[:, np.newaxis]) @ s
            q = a[:, np.newaxis] - np.sum(z * z, axis=2) / 2
            top = np.max(q, axis=0)
            return np.sum(np.log(np.sum(np.exp(q - top), axis=0)) + top) - len(data) * np.log(np.sum(np.exp(a)))

        def theirs(a: Any, m: Any, s: Any, data: Any = data_there) -> Any:
            z = (data - m[:, None]) @ s
            q = a[:, None] - torch.sum(z * z, dim=2) / 2
            top = torch.amax(q, dim=0)
            return torch.sum(torch.log(torch.sum(torch.exp(q - top), dim=0)) + top) - len(data) * torch.log(
                torch.sum(torch.exp(a))
            )

        point = (
            RNG.standard_normal(k),
            RNG.standard_normal((k, d)),
            np.eye(d) + 0.1 * RNG.standard_normal((k, d, d)),
        )
        rows.append(_gradient_row(f"Gaussian mixture, {points:,} points, d = K = 10", ours, theirs, *point))
    return rows


def network() -> list[Row]:
    """Two hidden layers of 128, a batch of 128, squared errors."""
    x, y = RNG.standard_normal((128, 64)), RNG.standard_normal((128, 10))
    x_there, y_there = torch.from_numpy(x), torch.from_numpy(y)

    def ours(w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> Any:
        h = np.tanh(np.tanh(x @ w1 + b1) @ w2 + b2)
        return np.mean((h @ w3 + b3 - y) ** 2)

    def theirs(w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> Any:
        h = torch.tanh(torch.tanh(x_there @ w1 + b1) @ w2 + b2)
        return torch.mean((h @ w3 + b3 - y_there) ** 2)

    shapes = ((64, 128), (128,), (128, 128), (128,), (128, 10), (10,))
    return [_gradient_row("MLP, 64-128-128-10, batch 128", ours, theirs, *[RNG.standard_normal(s) / 8 for s in shapes])]


def process() -> list[Row]:
    """The log marginal likelihood of a Gaussian process by its three hyperparameters."""
    t = np.sort(RNG.uniform(0, 10, 200))
    square, one, y = (t[:, None] - t) ** 2, np.eye(200), np.sin(t) + 0.1 * RNG.standard_normal(200)
    square_there, one_there, y_there = map(torch.from_numpy, (square, one, y))

    def ours(p: Any) -> Any:
        k = np.exp(p[0] - square * np.exp(-2 * p[1])) + np.exp(p[2]) * one
        return -(y @ np.linalg.solve(k, y)) / 2 - np.sum(np.log(np.diagonal(np.linalg.cholesky(k))))

    def theirs(p: Any) -> Any:
        k = torch.exp(p[0] - square_there * torch.exp(-2 * p[1])) + torch.exp(p[2]) * one_there
        return -(y_there @ torch.linalg.solve(k, y_there)) / 2 - torch.sum(
            torch.log(torch.diagonal(torch.linalg.cholesky(k)))
        )

    def factored(p: Any) -> Any:
        k = np.exp(p[0] - square * np.exp(-2 * p[1])) + np.exp(p[2]) * one
        factor = np.linalg.cholesky(k)
        z = np.linalg.solve(factor, y)
        return -(z @ z) / 2 - np.sum(np.log(np.diagonal(factor)))

    def factored_there(p: Any) -> Any:
        k = torch.exp(p[0] - square_there * torch.exp(-2 * p[1])) + torch.exp(p[2]) * one_there
        factor = torch.linalg.cholesky(k)
        z = torch.linalg.solve(factor, y_there)
        return -(z @ z) / 2 - torch.sum(torch.log(torch.diagonal(factor)))

    p = np.array([0.0, 0.1, -3.0])
    return [
        _gradient_row("Gaussian process, 200 points: solve(K, y), cholesky(K)", ours, theirs, p),
        _gradient_row("Gaussian process, 200 points: solve(cholesky(K), y)", factored, factored_there, p),
    ]


# -------------------------------------------------------------------------------------------------- operations


def _loop(step: Callable[[Any, Any], Any], total: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        y = x
        for _ in range(LOOP):
            y = step(y, x)
        return total(y)

    return run


def operations() -> list[Row]:
    """One operation, recorded and swept: 0-d arrays and arrays of 10, through every door."""
    scalar = np.float64(0.999)
    steps: dict[str, tuple[Any, Any]] = {
        "operator y * c": (lambda y, x: y * 0.999, lambda y, x: y * 0.999),
        "operator y * x": (lambda y, x: y * x, lambda y, x: y * x),
        "reflected c * y": (lambda y, x: scalar * y, lambda y, x: 0.999 * y),
        "ufunc sin": (lambda y, x: np.sin(y), lambda y, x: torch.sin(y)),
        "ufunc negative": (lambda y, x: np.negative(y), lambda y, x: torch.neg(y)),
        "array function reshape": (lambda y, x: np.reshape(y, (2, 5)), lambda y, x: torch.reshape(y, (2, 5))),
        "array function clip": (lambda y, x: np.clip(y, -1, 1), lambda y, x: torch.clip(y, -1, 1)),
        "y + x[0]": (lambda y, x: y + x[0], lambda y, x: y + x[0]),
    }
    rows = []
    for kind, x in (("0-d array", np.array(0.999)), ("10 entries", np.linspace(0.5, 0.999, 10))):
        for name, (ours, theirs) in steps.items():
            if not x.ndim and ("array function" in name or "[0]" in name):
                continue
            f, g = _loop(ours, lambda y: np.sum(y) if y.ndim else y), _loop(theirs, lambda y: y.sum())
            gradient = dd.grad(f)
            rows.append(
                _ratio(f"{name}, {kind}", lambda gradient=gradient, x=x: gradient(x), _gradients(g, (x,)), LOOP)
            )
    return rows


def torch_eager() -> list[Row]:
    """Gradients and operations against PyTorch's eager ones (one thread, the faster of its ways): ratio of the times."""
    if torch is None:
        return [{"what": "PyTorch is not installed"}]
    return [r for part in (rosenbrock, wide, mixture, network, process, operations) for r in part()]
