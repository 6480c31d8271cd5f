"""The same Jacobians on a Dask cluster of processes: what comes back, and what is said when something does not."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest

import dualdiff as dd
from dualdiff import lab
from dualdiff.errors import ExecutorError, InputError
from dualdiff.executors import pool_of, pools

distributed = pytest.importorskip("distributed", reason="dualdiff[dask] is not installed")

X = np.linspace(0.4, 1.3, 16)


def dear(program: Any, way: Any) -> float:
    """Cost any way so much that an executor pays."""
    return 1e3


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0, "distributed.worker.daemon": True}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    with distributed.Client(cluster) as client:
        yield client


def test_a_cluster_gives_the_bits_of_one_process_and_is_sent_the_function_once(client: Any) -> None:
    weights = np.random.default_rng(0).normal(size=(100, 16))

    def f(x: Any) -> Any:
        return np.tanh(weights @ x)

    executor = client.get_executor()
    for options in ({"mode": "forward", "chunk": 4}, {"mode": "reverse", "chunk": 25}, {"sparse": True, "chunk": 8}):
        J = dd.jacobian(f, executor=executor, cost=dear, **options)
        plain = dd.jacobian(f, **options)
        for x in (X, 2 * X):
            found, expected = J(x), plain(x)
            if options.get("sparse"):
                np.testing.assert_allclose(found.toarray(), expected.toarray(), rtol=1e-13)
            else:
                np.testing.assert_array_equal(found, expected)
    assert "executor: ClientExecutor (2 processes, " in str(J.explain(X))
    with pytest.raises(InputError, match=r"of a Dask client that is client\.get_executor\(\)"):
        dd.jacobian(f, executor=client)

    def growing(n: int) -> Any:
        return lambda x: np.sin(x) * x, np.ones(n)

    found = lab.sweep(growing, [2, 4], ["forward"], seconds=0.5, rounds=1, progress=False, executor=executor)
    assert found.values("forward", "multiplications").shape == (2,)


def test_what_goes_wrong_on_a_cluster_names_the_block(client: Any) -> None:
    home = os.getpid()

    def raises(x: Any) -> Any:
        if os.getpid() != home:
            raise LookupError("not at home")
        return x * 2

    def dies(x: Any) -> Any:
        if os.getpid() != home:
            os._exit(3)
        return x * 2

    executor = client.get_executor()
    with pytest.raises(LookupError, match="not at home") as caught:
        dd.jacobian(raises, mode="forward", chunk=4, executor=executor, cost=dear)(X)
    assert "by a worker of ClientExecutor, whose traceback was:" in caught.value.__notes__[-1]
    with pytest.raises(ExecutorError, match=r"did not bring back rows \d+ to \d+ \(KilledWorker"):
        dd.jacobian(dies, mode="reverse", chunk=8, executor=executor, cost=dear)(X)
    np.testing.assert_array_equal(  # those that were started in their place
        dd.jacobian(np.sin, mode="forward", chunk=8, executor=executor, cost=dear)(X), np.diag(np.cos(X))
    )


def test_a_client_that_is_closed_under_way_hangs_nobody(cluster: Any) -> None:
    client = distributed.Client(cluster)
    executor = client.get_executor()
    home = os.getpid()

    def f(x: Any) -> Any:
        if os.getpid() != home:
            time.sleep(1.0)
        return x * 2

    pool_of(executor)
    J = dd.jacobian(f, mode="forward", chunk=4, executor=executor, cost=dear)
    closer = threading.Timer(0.3, client.close)
    closer.start()
    with pytest.raises(ExecutorError, match=r"ClientExecutor did not bring back columns \d+ to"):
        J(X)
    closer.join()
    with pytest.raises(
        ExecutorError, match=r"ClientExecutor did not bring back columns 0 to 3 \(\w+: Client is closed"
    ):
        J(X)
    with pytest.raises(ExecutorError, match="ClientExecutor did not run a first task"):
        dd.jacobian(f, executor=client.get_executor())(X)


def test_results_that_a_cluster_does_not_deliver_hang_nobody(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = client.get_executor()
    pool_of(executor)

    async def lost(*_: Any, **__: Any) -> Any:
        raise KeyError("the worker that had it is gone")

    monkeypatch.setattr(client, "_gather", lost)
    monkeypatch.setattr(pools, "UNDELIVERED", 0.1)
    with pytest.raises(ExecutorError, match="its tasks ended, but their results were not delivered"):
        dd.jacobian(np.sin, mode="forward", chunk=8, executor=executor, cost=dear)(X)


def test_a_cluster_that_has_no_workers_is_lost_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        status = "running"
        _scheduler_identity: ClassVar[dict[str, Any]] = {"workers": {}}

    class Executor:
        _client = Client()

    monkeypatch.setattr(pools, "ALONE", 0.0)
    watch = pools.Watch(Executor())
    assert watch.lost() == "the cluster has no workers for 0 s"
    monkeypatch.setattr(pools, "ALONE", 100.0)
    assert watch.lost() is None
    Client.status = "connecting"
    monkeypatch.setattr(pools, "ALONE", 0.0)
    assert "no connection to the scheduler" in str(watch.lost())
    Client.status, Client._scheduler_identity = "running", {"workers": {"a": {}}}
    assert watch.lost() is None
    assert watch.since == {}


def test_a_cluster_of_threads() -> None:
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        J = dd.jacobian(np.sin, mode="reverse", chunk=4, executor=client.get_executor(), cost=dear)
        np.testing.assert_array_equal(J(X), np.diag(np.cos(X)))
        (known,) = J._spread.known.values()  # type: ignore[attr-defined]
        assert known.calls == 1

        def inside(k: int) -> Any:  # a task that waited for tasks of its own cluster would wait for ever
            own = distributed.get_client().get_executor()
            return dd.jacobian(np.sin, mode="reverse", chunk=4, executor=own, cost=dear)(X + k)

        for k, found in enumerate(client.gather(client.map(inside, range(3)))):
            np.testing.assert_array_equal(found, np.diag(np.cos(X + k)))
