"""Blocks of directions by executors of every sort: what a worker does in its process, and what is known of functions."""

from __future__ import annotations

import itertools
import pickle
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.ways.spread import Spread

X = np.linspace(0.4, 1.3, 9)


class Elsewhere(Executor):
    """Runs tasks at once, on copies of what it was given: as a worker in another process does."""

    _max_workers = 2

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        args, kwargs = pickle.loads(pickle.dumps((args, kwargs)))
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as e:
            future.set_exception(e)
        return future


def dear(program: Any, way: Any) -> float:
    """Cost any way so much that an executor pays."""
    return 1e3


def spread(f: Any, **options: Any) -> Any:
    return dd.jacobian(f, executor=Elsewhere(), cost=dear, **options)


def calls(J: Any) -> int:
    """Return how often workers carried the blocks."""
    return sum(known.calls for known in J._spread.known.values())


def wave(x: Any) -> Any:
    y = np.sin(x) * np.roll(x, 1)
    y[1:-1] += x[2:] ** 2
    return y


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "forward", "chunk": 4},
        {"mode": "reverse", "chunk": 4},
        {"mode": "finite-differences", "chunk": 4},
        {"sparse": True, "coloring": "columns", "chunk": 1},
    ],
    ids=str,
)
def test_a_worker_computes_what_this_process_does(options: Any) -> None:
    J, plain = spread(wave, **options), dd.jacobian(wave, **options)
    for k in range(4):  # more calls than a worker keeps recordings of
        found, expected = J(X + k), plain(X + k)
        if "sparse" in options:
            found, expected = found.toarray(), expected.toarray()
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=0)
    assert calls(J) == 4


def test_blocks_that_would_not_fit_together_are_carried_here() -> None:
    J = spread(wave, mode="reverse", max_bytes=5000)
    np.testing.assert_array_equal(J(X), dd.jacobian(wave, mode="reverse")(X))
    assert calls(J) == 0


def test_arguments_by_name_and_by_place_reach_the_worker() -> None:
    def f(x: Any, y: Any, *, scale: Any) -> Any:
        return x[:3] * y * scale

    found = spread(f, mode="reverse", argnums=(0, "scale"))(X, 2.0, scale=3.0)
    expected = dd.jacobian(f, mode="reverse", argnums=(0, "scale"))(X, 2.0, scale=3.0)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_branch_there_is_planned_anew() -> None:
    def f(x: Any) -> Any:
        return x[1:] * x[:-1] if x[0] > 0 else np.sin(x[3:]) * x[:-3]

    J, plain = spread(f, sparse=True, coloring="columns"), dd.jacobian(f, sparse=True, coloring="columns")
    for x in (X, -X, X):
        np.testing.assert_array_equal(J(x).toarray(), plain(x).toarray())


TURNS = itertools.count()


def turning(x: Any) -> Any:
    return x[1:] * x[:-1] if next(TURNS) % 2 else np.sin(x[3:]) * x[:-3]


def test_a_function_that_takes_another_branch_every_time_is_done_here() -> None:
    J = spread(turning, sparse=True, coloring="columns")
    found = J(X).toarray()
    assert calls(J) == 0
    both = [dd.jacobian(f)(X) for f in (lambda x: x[1:] * x[:-1], lambda x: np.sin(x[3:]) * x[:-3])]
    assert any(found.shape == b.shape and np.array_equal(found, b) for b in both)


def test_rows_of_real_results_and_of_complex_ones_come_together() -> None:
    def f(x: Any) -> Any:
        return 2 * x, x * (1 + 2j)

    with ThreadPoolExecutor(2) as threads:
        found = dd.jacobian(f, mode="reverse", chunk=9, executor=threads, cost=dear)(X)
    for a, b in zip(found, dd.jacobian(f, mode="reverse")(X), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_the_oldest_of_many_arguments_forms_is_forgotten() -> None:
    known = Spread(None, most=2)
    for key in "abc":
        known.put(key, None)  # type: ignore[arg-type]
    assert list(known.known) == ["b", "c"]
