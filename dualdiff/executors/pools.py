"""What an executor is: how many of its workers run at once, whether they share this memory, and what a task costs.

That is measured once an executor, with tasks that do nothing, and kept as long as the executor lives.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
from dataclasses import dataclass, field
from itertools import count
from time import monotonic, perf_counter
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from dualdiff.errors import ExecutorError, InputError

HERE = uuid4().hex
"""This interpreter: one that was started afresh has another, and one that was forked another process number."""
PAYLOAD = 1 << 20
"""Bytes that are sent there and back to learn what a byte costs."""
ROUNDS = 5
"""How often a task that does nothing is timed."""
PATIENCE = 0.5
"""Seconds after which a wait looks whether the executor is still there: not every one tells those who wait."""
UNDELIVERED, ALONE = 30.0, 120.0
"""Seconds for which a cluster may seem to have lost what it computed, or its workers or scheduler, until it counts as lost."""
_TICKETS = count()


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """An executor, and what was found out about it.

    Attributes
    ----------
    executor : concurrent.futures.Executor
        What runs tasks.
    name : str
        What it is called in messages.
    workers : int
        How many tasks run at once: on this machine no more than it has cores.
    shares : bool
        Whether its workers are threads of this process, which see the same objects.
    local : bool
        Whether they run on this machine.
    seconds : float
        A task that does nothing, there and back.
    seconds_a_byte : float
        A byte, there or back.
    sent : dict
        The digests of the parcels sent so far, the latest last.
    """

    executor: Any
    name: str
    workers: int
    shares: bool
    local: bool
    seconds: float
    seconds_a_byte: float
    sent: dict[bytes, None] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        kind = "thread" if self.shares else "process" if self.local else "worker"
        kinds = kind + ("es" if kind == "process" else "s") * (self.workers != 1)
        return f"{self.name} ({self.workers} {kinds}, {said(self.seconds)} a task)"


_KNOWN: WeakKeyDictionary[Any, Pool] = WeakKeyDictionary()
_LOCK = threading.Lock()


def check_executor(executor: Any) -> None:
    """Raise unless this is an executor."""
    from concurrent.futures import Executor

    if isinstance(executor, Executor):
        return
    if hasattr(executor, "get_executor"):
        raise InputError(
            "executor= takes a concurrent.futures.Executor; of a Dask client that is client.get_executor()"
        )
    raise InputError(
        f"executor={executor!r} is no concurrent.futures.Executor; pass a ThreadPoolExecutor, a ProcessPoolExecutor, "
        "client.get_executor() of a Dask client, or None"
    )


def is_inside(executor: Any) -> bool:
    """Whether the caller is itself a task of a pool of threads, or of a Dask cluster, which would wait for itself."""
    client = getattr(executor, "_client", None)
    if client is None or "distributed" not in sys.modules:
        return threading.current_thread() in getattr(executor, "_threads", ())
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:  # in no task
        return False
    return bool(worker.scheduler.address == getattr(client.scheduler, "address", None))


def pool_of(executor: Any) -> Pool:
    """Return what is known of an executor; at the first time it is measured.

    Raises
    ------
    ExecutorError
        If it runs no task.
    """
    with _LOCK:
        found = _KNOWN.get(executor)
    if found is None:
        found = _measured(executor)  # by two threads, perhaps: a task that waits for another one holds no lock
        with _LOCK:
            found = _KNOWN.setdefault(executor, found)
    return found


def ticket() -> str:
    """Return what no other task was given: some executors take equal calls for one."""
    return f"{HERE}-{next(_TICKETS)}"


def whereabouts(_ticket: str, payload: Any = b"", number: int = 0) -> tuple[tuple[str, int, bool], str, Any]:
    """Do nothing, in a worker: say which interpreter and process it is, whether it has the object of a number, and the machine."""
    return (HERE, os.getpid(), id(payload) == number), platform.node(), payload


def _measured(executor: Any) -> Pool:
    name = type(executor).__name__
    try:
        workers = _count(executor)
        # As many as there are workers first: a worker is started, or imports this module, when it gets its first task.
        thing = object()  # some executors send copies even from thread to thread
        first = [executor.submit(whereabouts, ticket(), thing, id(thing)) for _ in range(workers)]
        found = [_result(executor, future) for future in first]
        seconds = min([_round_trip(executor) for _ in range(ROUNDS)])
        shares = all(w[0] == (HERE, os.getpid(), True) for w in found)
        by_byte = 0.0
        if not shares:
            least = min([_round_trip(executor, bytes(PAYLOAD)) for _ in range(2)])
            by_byte = max(least - seconds, 0.0) / (2 * PAYLOAD)
    except Exception as e:  # whatever it is: the executor is of no use
        raise ExecutorError(
            f"{name} did not run a first task that does nothing ({type(e).__name__}: {e}); pass an executor that is running, "
            "whose workers can import dualdiff"
        ) from e
    local = all(w[1] == platform.node() for w in found)
    if local:
        workers = min(workers, _cores())
    return Pool(executor, name, max(workers, 1), shares, local, seconds, by_byte)


def _round_trip(executor: Any, payload: bytes = b"") -> float:
    start = perf_counter()
    _result(executor, executor.submit(whereabouts, ticket(), payload))
    return perf_counter() - start


def _result(executor: Any, future: Any) -> Any:
    """Return the result of a future, unless its executor goes before."""
    from concurrent.futures import wait

    watch = Watch(executor)
    while not future.done():
        wait([future], PATIENCE)
        if not future.done() and (reason := watch.lost()):
            raise RuntimeError(reason)
    return future.result()


def is_gone(executor: Any) -> bool:
    """Whether an executor stands for a client that was closed."""
    return getattr(getattr(executor, "_client", None), "status", "") in ("closing", "closed")


class Watch:
    """A look at an executor each time nothing came back for a while: whether anything will.

    Dask's futures of :mod:`concurrent.futures` are set by a coroutine of the client. Where that fails (what was computed is lost, or
    cannot be fetched) they are never set, and nobody is told.
    """

    def __init__(self, executor: Any) -> None:
        self.executor = executor
        self.since: dict[str, float] = {}

    def lost(self) -> str | None:
        """Return why nothing will come back; None while something may. It is asked when a wait of PATIENCE was for nothing."""
        client = getattr(self.executor, "_client", None)
        if client is None:
            return None
        if is_gone(self.executor):
            return "its client was closed"
        futures = getattr(self.executor, "_futures", None)
        signs = {
            "its tasks ended, but their results were not delivered to this process": (
                futures is not None and not any(f.status == "pending" for f in list(futures)),
                UNDELIVERED,
            ),
            "its client has no connection to the scheduler": (client.status not in ("running", "newly-created"), ALONE),
            "the cluster has no workers": (not client._scheduler_identity.get("workers", True), ALONE),
        }
        now = monotonic()
        for reason, (is_so, seconds) in signs.items():
            if not is_so:
                self.since.pop(reason, None)
            elif now - self.since.setdefault(reason, now) >= seconds:
                return f"{reason} for {seconds:g} s"
        return None


def _count(executor: Any) -> int:
    """Return how many tasks an executor runs at once, as far as it says."""
    client = getattr(executor, "_client", None)
    if client is not None and hasattr(client, "nthreads"):  # Dask's
        return max(sum(client.nthreads().values()), 1)
    for name in ("_max_workers", "num_workers"):  # the standard library's and loky's, mpi4py's
        found = getattr(executor, name, None)
        if isinstance(found, int) and found > 0:
            return found
    return _cores()


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # where the system does not say
        return os.cpu_count() or 1


def said(seconds: float) -> str:
    """Return a time with its unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
