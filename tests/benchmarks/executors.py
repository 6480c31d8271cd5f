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
DEAR, SMALL = 400, 200
"""Rows of the matrices that are multiplied: a column of 400 takes about 0.1 s, one of 200 an eighth of that."""


def products(n: int, m: int = 0) -> Callable[[Any], Any]:
    """Return a function of 64 numbers: row sums of twenty products of matrices of n by n; or of n, of which m come out."""
    rng = np.random.default_rng(0)
    P, Q, W = rng.normal(size=(n, COLUMNS)), rng.normal(size=(COLUMNS, n)), rng.normal(size=(n, n)) / np.sqrt(n)

    def f(x: Any) -> Any:
        y = np.tanh(W * x) if m else np.tanh((P * x) @ Q / COLUMNS)
        for _ in range(20):
            y = np.tanh(W @ y)
        return np.sum(y[: m or n], axis=1)

    return f


def loop(x: Any) -> Any:
    """Return a recurrence in plain Python: some 5 ms."""
    y = [float(v) for v in x]
    for _ in range(600):
        y = [0.5 * (a + b * (1.0 - a)) for a, b in zip(y, [y[-1], *y[:-1]], strict=True)]
    return np.array(y)


@contextmanager
def dask() -> Iterator[Executor]:
    """Yield the executor of a client of a local cluster of two processes."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client.get_executor()


def executors() -> list[Row]:
    """Jacobians by two workers, from the second call on: the time without an executor over that with it, by kind of executor."""
    x = np.linspace(0.5, 1.5, COLUMNS)
    cases: list[tuple[str, Callable[[Any], Any], dict[str, Any], Any]] = [
        ("64 columns of products of 400 by 400", products(DEAR), {}, x),
        ("64 columns of products of 200 by 200", products(SMALL), {}, x),
        ("64 rows of products of 200 by 200", products(SMALL, COLUMNS), {}, np.linspace(0.5, 1.5, SMALL)),
        ("64 differences of a loop in Python", loop, {"mode": "finite-differences"}, x / 2),
        ("64 columns of a sine", np.sin, {}, x),
    ]
    pools: dict[str, Callable[[], Any]] = {
        "processes": lambda: ProcessPoolExecutor(2, multiprocessing.get_context("spawn")),
        "threads": lambda: ThreadPoolExecutor(2),
        "Dask": dask,
    }
    times: dict[str, dict[str, float]] = {name: {"here": float("inf")} for name, *_ in cases}
    for kind, pool in pools.items():
        with pool() as executor:
            for name, f, options, x in cases:
                alone, spread = dd.jacobian(f, **options), dd.jacobian(f, executor=executor, **options)
                alone(x), spread(x)  # the choice is made, and the function is sent
                found = times[name]
                for _ in range(2):
                    found["here"] = min(found["here"], _timed(alone, x))
                    found[kind] = min(found.get(kind, float("inf")), _timed(spread, x))
                assert np.allclose(alone(x), spread(x), rtol=1e-10, atol=1e-12)
                found[kind + " used"] = sum(known.calls for known in spread._spread.known.values())  # type: ignore[attr-defined]
    return [
        {
            "case": name,
            "alone s": found["here"],
            **{f"alone/{kind}": found["here"] / found[kind] for kind in pools},
            "used by": ", ".join([kind for kind in pools if found[kind + " used"]]) or "none",
        }
        for name, found in times.items()
    ]


def _timed(f: Callable[[Any], Any], x: Any) -> float:
    start = perf_counter()
    f(x)
    return perf_counter() - start
