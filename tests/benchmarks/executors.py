"""Jacobians of dear functions by the workers of executors: two processes, two threads, two workers of a Dask cluster."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np

import dualdiff as dd

Row = dict[str, Any]
COLUMNS = 64
DEAR, SMALL, TINY = 400, 200, 100
"""Rows of the matrices that are multiplied: twenty products of 400 take about 0.07 s a column, of 200 an eighth of that."""
MANY = 1000
"""Products of 100 by 100 that take about 0.1 s a column: their numbers stay in a core's own cache."""


def products(n: int, m: int = 0, times: int = 20) -> Callable[[Any], Any]:
    """Return a function of 64 numbers: row sums of twenty (so many) products of matrices of n by n; or of n, of which m come out."""
    rng = np.random.default_rng(0)
    P, Q, W = rng.normal(size=(n, COLUMNS)), rng.normal(size=(COLUMNS, n)), rng.normal(size=(n, n)) / np.sqrt(n)

    def f(x: Any) -> Any:
        y = np.tanh(W * x) if m else np.tanh((P * x) @ Q / COLUMNS)
        for _ in range(times):
            y = np.tanh(W @ y)
        return np.sum(y[: m or n], axis=1)

    return f


def loop(x: Any) -> Any:
    """Return a recurrence in plain Python: some 5 ms."""
    y = [1.0 * v for v in x]
    for _ in range(200):
        y = [0.5 * (a + b * (1.0 - a)) for a, b in zip(y, [y[-1], *y[:-1]], strict=True)]
    return np.array(y)


@contextmanager
def dask() -> Iterator[Executor]:
    """Yield the executor of a client of a local cluster of two processes."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client.get_executor()


def dear(program: Any, way: Any) -> float:
    """Cost any way so much that an executor is used."""
    return 1e3


def timed(f: Callable[[Any], Any], x: Any) -> tuple[Any, float]:
    """Return what f gives for x, and how many seconds it took."""
    start = perf_counter()
    return f(x), perf_counter() - start


def executors() -> list[Row]:
    """Jacobians by two workers, the function sent already: the time without an executor over that with it, used in any case."""
    x = np.linspace(0.5, 1.5, COLUMNS)
    cases: list[tuple[str, Callable[[Any], Any], str, Any]] = [
        ("64 columns of 0.1 s, 1000 products of 100 by 100", products(TINY, times=MANY), "forward", x),
        ("64 columns of 0.07 s, 20 products of 400 by 400", products(DEAR), "forward", x),
        ("64 columns of 20 products of 200 by 200", products(SMALL), "forward", x),
        ("64 rows of 20 products of 200 by 200", products(SMALL, COLUMNS), "reverse", np.linspace(0.5, 1.5, SMALL)),
        ("64 differences of a loop in Python", loop, "finite-differences", x / 2),
        ("64 columns of a sine", np.sin, "forward", x),
    ]
    pools: dict[str, Callable[[], Any]] = {
        "processes": lambda: ProcessPoolExecutor(2, multiprocessing.get_context("spawn")),
        "threads": lambda: ThreadPoolExecutor(2),
        "Dask": dask,
    }
    rows: dict[str, Row] = {name: {"case": name} for name, *_ in cases}
    for kind, pool in pools.items():
        with pool() as executor:
            for name, f, mode, x in cases:
                alone = dd.jacobian(f, mode=mode)
                spread = dd.jacobian(f, mode=mode, executor=executor, cost=dear)
                # Two turns and no more: calls this long need neither warming nor blocks, and there are eighteen pairs.
                (J, once), (K, one) = timed(alone, x), timed(spread, x)
                assert np.allclose(J, K, rtol=1e-6, atol=1e-9)
                (_, again), (_, other) = timed(alone, x), timed(spread, x)
                rows[name].setdefault("alone s", min(once, again))
                rows[name][kind] = min(once, again) / min(one, other)
                chosen = dd.jacobian(f, mode=mode, executor=executor).explain(x).executor
                rows[name][f"chosen ({kind})"] = "is not used" not in chosen
    return list(rows.values())
