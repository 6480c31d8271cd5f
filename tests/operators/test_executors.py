"""Jacobians by threads and processes: the bits are those of one process, what changed is sent again, and nothing is lost silently."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff import lab
from dualdiff.errors import (
    ExecutorError,
    InputError,
    NoDerivativeError,
    NoDerivativeWarning,
    NonDifferentiablePointError,
)
from dualdiff.executors import Block, carry_out, parcel, pool_of
from dualdiff.executors.blocks import Missing, work

X = np.linspace(0.4, 1.3, 11)
HOME = os.getpid()
SCALE = 2.0


def dear(program: Any, way: Any) -> float:
    """Cost any way so much that an executor pays."""
    return 1e3


def wave(x: Any) -> Any:
    y = np.sin(x) * np.roll(x, 1)
    y[1:-1] += x[2:] ** 2
    return y


def of_many(p: Any, c: Any, scale: float = 1.0) -> Any:
    return {"a": np.outer(p["u"], p["v"]) * scale, "b": (p["u"] @ c, p["v"][0] * 3.0), "k": np.ones(2)}


def scaled(x: Any) -> Any:
    return SCALE * x**2


class Recorder(Executor):
    """An executor that hands tasks on and keeps what was sent with them."""

    def __init__(self, inner: Executor) -> None:
        self.inner = inner
        self._max_workers = 2
        self.tasks: list[Any] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.tasks.append((fn, args))
        return self.inner.submit(fn, *args, **kwargs)

    @property
    def blocks(self) -> int:
        return sum(fn is work for fn, _ in self.tasks)

    @property
    def bytes(self) -> int:
        return sum(len(b) for fn, args in self.tasks if fn is work for b in args[3] if b is not None)


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.fixture(scope="module")
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture(params=["threads", "processes"])
def executor(request: pytest.FixtureRequest) -> Executor:
    return request.getfixturevalue(request.param)


def used(J: Any) -> int:
    """Return in how many calls the executor carried the blocks."""
    return sum(known.calls for known in J._spread.known.values())


def same(found: Any, expected: Any) -> None:
    """Compare bits, whatever the structure."""
    if hasattr(expected, "indices"):
        assert found.shape == expected.shape
        same([found.indptr, found.indices, found.data], [expected.indptr, expected.indices, expected.data])
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        same(list(found.values()), list(expected.values()))
    elif isinstance(expected, (list, tuple)):
        assert type(found) is type(expected)
        for a, b in zip(found, expected, strict=True):
            same(a, b)
    else:
        assert type(found) is type(expected)
        a, b = np.asarray(found), np.asarray(expected)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_blocks_of_every_way_have_the_bits_of_one_process(executor: Executor) -> None:
    for options in (
        {"mode": "forward", "chunk": 4},
        {"mode": "reverse", "chunk": 4},
        {"mode": "forward"},
        {"sparse": True, "coloring": "columns"},
        {"sparse": True, "coloring": "rows", "chunk": 2},
        {"sparse": True, "coloring": "both", "chunk": 1},
        {"mode": "finite-differences"},
        {"mode": "complex-step", "sparse": True, "chunk": 4},
    ):
        options = {k: v for k, v in options.items() if not (k == "chunk" and "step" in str(options.get("mode")))}
        J = dd.jacobian(wave, executor=executor, cost=dear, **options)  # type: ignore[arg-type]
        for x in (X, X + 0.25):
            same(J(x), dd.jacobian(wave, **options)(x))  # type: ignore[arg-type]
        assert "differences" in str(options) or "complex" in str(options) or used(J) == 2, options
    for sparse in ({}, {"sparse": True, "coloring": "star"}, {"sparse": True, "coloring": "acyclic"}):

        def energy(x: Any) -> Any:
            return np.sum(np.sin(x[1:] * x[:-1]))

        H = dd.hessian(energy, executor=executor, cost=dear, **sparse)  # type: ignore[arg-type]
        same(H(X), dd.hessian(energy, **sparse)(X))  # type: ignore[arg-type]
        assert used(H) == 1


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_structures_dtypes_and_complex_numbers_come_back_as_without_an_executor(executor: Executor, mode: str) -> None:
    p = {"u": np.arange(1.0, 4.0), "v": np.array([[0.5, 0.25, 2.0]])[0]}
    c = np.arange(6.0).reshape(3, 2)
    cases: list[tuple[Any, tuple[Any, ...], dict[str, Any], dict[str, Any]]] = [
        (of_many, (p, c), {}, {"scale": 2.0}),
        (of_many, (p, c), {"argnums": (0, "scale")}, {"scale": 2.0}),
        (lambda x: x * (1 + 2j), (X,), {}, {}),
        (lambda z: z**2 * np.roll(z, 1), (X + 1j,), {"holomorphic": True}, {}),
        (lambda x: (x[:2] ** 2, np.float32(2) * x.astype(np.float32)), (X.astype(np.float32),), {}, {}),
        (lambda a, b: a * b + b[0], (X[:4], X[:4]), {"argnums": 1}, {}),
        (lambda x: (np.sum(x * x), {"seen": x[0]}), (X,), {"has_aux": True}, {}),
        (lambda x, y: x * y, (2.0, 3.0), {"argnums": (0, 1)}, {}),
    ]
    for f, args, options, kwargs in cases:
        plain, J = (
            dd.value_and_jacobian(f, mode=mode, **options, **extra)
            for extra in ({}, {"executor": executor, "cost": dear})
        )
        expected, found = plain(*args, **kwargs), J(*args, **kwargs)
        same(found[0], expected[0])
        for a, b in zip(_leaves(found[1]), _leaves(expected[1]), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=1e-6 if a.dtype == np.float32 else 1e-14)


def _leaves(tree: Any) -> list[Any]:
    from dualdiff.trees import flatten

    return [np.asarray(leaf) for leaf in flatten(tree)[0]]


def test_blocks_may_end_inside_an_argument(executor: Executor) -> None:
    def f(a: Any, b: Any, s: Any) -> Any:
        return np.concatenate([np.outer(a, b).ravel() * s, b[::-1] ** 2])

    args = X[:5], X[3:9], 1.5
    J = dd.jacobian(f, argnums=(0, 1, 2), mode="forward", executor=executor, cost=dear)
    same(J(*args), dd.jacobian(f, argnums=(0, 1, 2), mode="forward")(*args))
    assert used(J) == 1


def test_samples_in_blocks(executor: Executor) -> None:
    batch = np.linspace(0.1, 2.0, 40).reshape(8, 5)

    def f(x: Any) -> Any:
        for _ in range(50):
            x = np.sin(x) * x[:, ::-1]
        return x

    for mode in ("forward", "reverse"):
        J = dd.batch_jacobian(f, mode=mode, executor=executor)
        expected = dd.batch_jacobian(f, mode=mode)(batch)
        J(batch)
        (known,) = J._spread.known.values()  # type: ignore[attr-defined]
        known.here, known.there = 1.0, 0.0  # as if it had been timed so
        same(J(batch), expected)
        assert used(J) >= 1
        same(
            pickle.loads(pickle.dumps(dd.batch_jacobian(wave_of_rows, executor=executor)))(batch),
            dd.batch_jacobian(wave_of_rows)(batch),
        )
    with pytest.raises(InputError, match="mixes its samples"):
        dd.batch_jacobian(lambda x: x - x.mean(0), executor=executor)(batch)


def wave_of_rows(x: Any) -> Any:
    return np.sin(x) * x[:, :1]


def test_the_function_is_sent_once_and_again_when_what_it_holds_has_changed(processes: Executor) -> None:
    recorder = Recorder(processes)
    weights = np.random.default_rng(0).normal(size=(200, 200))
    data = np.random.default_rng(1).normal(size=(1000, 40))

    def f(x: Any, data: Any) -> Any:
        return np.tanh(weights[:, :11] @ x) + data[:200, 0]

    J = dd.jacobian(f, mode="forward", chunk=1, executor=recorder, cost=dear)
    plain = dd.jacobian(f, mode="forward", chunk=1)
    sent = []
    for i in range(10):  # a worker that gets no block of the first call, on a busy machine, asks at a later one
        recorder.tasks.clear()
        same(J(X + i, data), plain(X + i, data))
        assert recorder.blocks >= 11
        sent.append(recorder.bytes)
    assert sent[0] > weights.nbytes + data.nbytes
    assert min(sent) < weights.nbytes  # points, and what has a few bytes
    weights *= 2.0  # what the workers hold is no more what this process computes with
    same(J(X, data), plain(X, data))
    data[:] = 0.5
    same(J(X, data), plain(X, data))


def test_a_worker_that_was_not_sent_a_parcel_says_so(processes: Executor) -> None:
    pool = pool_of(processes)
    assert not pool.shares
    new = parcel(np.arange(5000.0) + time.time(), "it")
    assert isinstance(processes.submit(work, "t", len, [new.digest], [None], ()).result(), Missing)
    pool.sent[new.digest] = None  # as if all workers had it
    found = {}
    carry_out(pool, total, [new], [Block(f"part {i}", (i,)) for i in range(4)], found.__setitem__)
    assert found == {i: float(np.sum(pickle.loads(new.packed)) + i) for i in range(4)}


def total(parcels: Any, i: int) -> float:
    return float(np.sum(parcels[0].once()) + i)


def test_a_worker_that_computes_another_function_is_no_wrong_jacobian(
    processes: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    J = dd.jacobian(scaled, executor=processes, cost=dear)
    same(J(X), np.diag(4.0 * X))
    monkeypatch.setitem(globals(), "SCALE", 3.0)  # which is 2 where the module is imported anew
    with pytest.raises(
        ExecutorError, match=r"scaled returned another value to a worker of ProcessPoolExecutor, in \w+ \d+ to"
    ):
        J(X)
    rng = np.random.default_rng()
    with pytest.raises(ExecutorError, match="It draws random numbers"):
        dd.jacobian(lambda x: x * rng.normal(), executor=processes, cost=dear)(X)


def test_what_a_function_raises_there_arrives_as_it_is_with_the_block_and_the_traceback(processes: Executor) -> None:
    home = os.getpid()

    def f(x: Any) -> Any:
        if os.getpid() != home:
            raise LookupError("not at home")
        return x * 2

    with pytest.raises(LookupError, match="not at home") as caught:
        dd.jacobian(f, mode="forward", chunk=4, executor=processes, cost=dear)(X)
    note = "\n".join(caught.value.__notes__)
    assert re.search(r"in columns \d+ to \d+, by a worker of ProcessPoolExecutor", note)
    assert "in f\n" in note
    assert "LookupError: not at home" in note

    class Own(Exception):  # noqa: N818
        def __init__(self, a: int, b: int) -> None:
            super().__init__(f"{a} and {b}")

    def g(x: Any) -> Any:
        if os.getpid() != home:
            raise Own(1, 2)
        return x * 2

    with pytest.raises(ExecutorError, match=r"rows \d+ to \d+: Own: 1 and 2 \(an error that cannot be sent") as said:
        dd.jacobian(g, mode="reverse", chunk=4, executor=processes, cost=dear)(X)
    assert "in g\n" in "\n".join(said.value.__notes__)


def test_what_a_function_raises_in_a_thread(threads: Executor) -> None:
    here = threading.current_thread()

    def f(x: Any) -> Any:
        if threading.current_thread() is not here:
            raise ZeroDivisionError("there")
        return x * 2

    with pytest.raises(ZeroDivisionError, match="there") as caught:
        dd.jacobian(f, mode="forward", executor=threads, cost=dear)(X)
    assert any("by a thread of ThreadPoolExecutor" in note for note in caught.value.__notes__)


def test_a_worker_that_dies_and_an_executor_that_is_shut_down() -> None:
    home = os.getpid()

    def dies(x: Any) -> Any:
        if os.getpid() != home:
            os._exit(3)
        return x * 2

    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        J = dd.jacobian(dies, mode="reverse", chunk=5, executor=executor, cost=dear)
        with pytest.raises(
            ExecutorError, match=r"did not bring back rows \d+ to \d+ \(BrokenProcessPool: .*nothing was computed"
        ):
            J(X)
        with pytest.raises(ExecutorError, match="BrokenProcessPool"):
            J(X)  # and it stays broken
    gone = ThreadPoolExecutor(2)
    J = dd.jacobian(wave, executor=gone, cost=dear)
    J(X)
    gone.shutdown()
    with pytest.raises(ExecutorError, match=r"did not bring back rows 0 to .*shutdown"):
        J(X)
    with pytest.raises(ExecutorError, match="did not run a first task"):
        dd.jacobian(wave, executor=_shut())(X)


def _shut() -> Executor:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    return executor


def test_tasks_that_are_cancelled_under_way_hang_nobody() -> None:
    begun = threading.Event()

    class Slow(ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            def run() -> Any:
                begun.set()
                time.sleep(0.1)
                return fn(*args, **kwargs)

            return super().submit(run)

    executor = Slow(2)
    pool_of(executor)  # which hands out tasks as well
    begun.clear()

    def cancel() -> None:
        begun.wait()
        executor.shutdown(wait=False, cancel_futures=True)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    # Cancelled before its turn, or not taken any more: whichever the threads come to first.
    with pytest.raises(ExecutorError, match=r"columns \d+.* \((CancelledError|RuntimeError: cannot schedule)"):
        dd.jacobian(lambda x: x * 2, mode="forward", chunk=1, executor=executor, cost=dear)(X)
    canceller.join()


def test_a_cheap_function_stays_here_and_explain_says_so(processes: Executor) -> None:
    recorder = Recorder(processes)
    J = dd.jacobian(wave, executor=recorder)
    J(X)
    J(X)
    assert recorder.blocks == 0
    said = str(J.explain(X))
    assert "executor: Recorder (" in said
    assert "is not used: " in said
    said = str(dd.jacobian(wave, mode="forward", executor=recorder, cost=dear).explain(X))
    assert "carries 4 blocks of at most 3 columns" in said or "blocks of at most" in said
    assert "is not used, since a product through a waist" in str(
        dd.jacobian(waist, mode="mixed", executor=recorder).explain(X)
    )
    assert dd.jacobian(wave).explain(X).executor == ""


def waist(x: Any) -> Any:
    return np.sin(np.sum(x)) * np.arange(1.0, 20.0)


def test_a_function_dearer_than_the_model_knows_goes_out_once_it_was_timed(processes: Executor) -> None:
    def opaque(x: Any) -> Any:
        return x**2

    def slope(primals: Any, tangents: Any) -> Any:
        time.sleep(0.2)
        return primals[0] ** 2, 2 * primals[0] * tangents[0]

    f = dd.custom_jvp(opaque)
    f.defjvp(slope)
    J = dd.jacobian(lambda x: f(x) + 0.0, mode="forward", executor=processes, check=False)
    J(X)
    (known,) = J._spread.known.values()  # type: ignore[attr-defined]
    known.here = 100 * pool_of(processes).seconds + known.estimated * 1e4  # as if the call had taken so long
    assert known.pays(known.division)
    same(J(X), np.diag(2 * X))
    assert used(J) == 1


def test_settings_of_the_caller_hold_in_the_workers(executor: Executor) -> None:
    J = dd.jacobian(lambda x: np.abs(x), mode="forward", executor=executor, cost=dear)
    x = np.array([0.0, 1.0, -1.0, 2.0])
    same(J(x), np.diag([0.0, 1.0, -1.0, 1.0]))
    with dd.kinks("raise"), pytest.raises(NonDifferentiablePointError):
        J(x)


def test_what_is_asked_for_at_every_call_is_looked_at_at_every_call(executor: Executor) -> None:
    def f(x: Any) -> Any:
        return x**2 if x[0] > 0 else np.ones(len(x))

    for options in ({"mode": "forward"}, {"mode": "reverse"}):
        J = dd.jacobian(f, strict=True, executor=executor, cost=dear, **options)  # type: ignore[arg-type]
        J(X)
        with pytest.warns(NoDerivativeWarning), pytest.raises(NoDerivativeError):
            J(-X)
        J = dd.jacobian(f, executor=executor, cost=dear, **options)  # type: ignore[arg-type]
        J(X)
        with pytest.warns(NoDerivativeWarning):
            same(J(-X), np.zeros((11, 11)))


def test_a_function_that_takes_another_branch_is_planned_anew(executor: Executor) -> None:
    def f(x: Any) -> Any:
        return x[1:] * x[:-1] if x[0] > 0 else np.sin(x[3:]) * x[:-3]

    J = dd.jacobian(f, sparse=True, coloring="columns", executor=executor, cost=dear)
    plain = dd.jacobian(f, sparse=True, coloring="columns")
    for x in (X, -X, X, -X):
        same(J(x), plain(x))
    assert used(J) == 1  # the latest plan


def test_a_function_whose_modules_are_captured(executor: Executor) -> None:
    def f(x: Any) -> Any:
        y = np.zeros(len(x))
        for i in range(len(x)):
            y[i] = math.sin(x[i]) * x[0]
        return y

    J = dd.jacobian(f, executor=executor, cost=dear)
    np.testing.assert_allclose(J(X), dd.jacobian(f)(X), rtol=1e-14)
    assert used(J) == 1


def test_inside_other_operators_and_inside_the_pool_itself_the_work_is_done_where_it_is(threads: Executor) -> None:
    J = dd.jacobian(lambda x: x**3, executor=threads, cost=dear)
    same(dd.grad(lambda x: np.sum(J(x)))(X), 6 * X)
    assert dd.grad(lambda a: np.sum(dd.jacobian(lambda x: a * x**2, executor=threads, cost=dear)(X)))(2.0) == np.sum(
        2 * X
    )
    found = list(threads.map(J, [X, X + 1, X + 2, X + 3]))
    same(found, [np.diag(3 * (X + i) ** 2) for i in range(4)])
    assert used(J) == 0


def test_an_operator_travels_without_its_executor(processes: Executor) -> None:
    J = dd.value_and_jacobian(wave, executor=processes, flat=True)
    alone = pickle.loads(pickle.dumps(J))
    assert type(alone) is type(dd.value_and_jacobian(wave))
    same(alone(X), dd.value_and_jacobian(wave, flat=True)(X))
    same(processes.submit(alone, X).result(), alone(X))


def test_what_is_no_executor_and_what_cannot_be_sent(processes: Executor) -> None:
    with pytest.raises(InputError, match="executor=2 is no concurrent"):
        dd.jacobian(wave, executor=2)  # type: ignore[arg-type]

    class Client:
        def get_executor(self) -> None: ...

    with pytest.raises(InputError, match=r"client\.get_executor\(\)"):
        dd.batch_jacobian(wave, executor=Client())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a plan runs here"):
        dd.plan_jacobian(wave, X, executor=processes)
    lock = threading.Lock()

    def f(x: Any) -> Any:
        with lock:
            return x * 2

    with pytest.raises(InputError, match=r"^f cannot be sent to another process \(TypeError"):
        dd.jacobian(f, executor=processes, cost=dear)(X)
    with pytest.raises(InputError, match="max_bytes=3000 is too small"):
        dd.jacobian(lambda x: np.outer(x, x), max_bytes=3000, executor=processes, cost=dear)(np.ones(10))


def growing(n: int) -> Any:
    A = np.random.default_rng(0).normal(size=(3, n))
    return lambda x: np.tanh(A @ x), np.ones(n)


def failing(n: int) -> Any:
    if n > 2:
        raise OverflowError("too large")
    return growing(n)


def test_sizes_of_a_sweep_go_to_workers(executor: Executor) -> None:
    settings: dict[str, Any] = {"methods": ["forward", "reverse"], "seconds": 1.0, "rounds": 1, "progress": False}
    alone = lab.sweep(growing, [2, 4, 8], **settings)
    found = lab.sweep(growing, [2, 4, 8], executor=executor, **settings)
    assert found.problem == "growing"
    assert found.agree
    for method in ("forward", "reverse"):
        same(found.values(method, "multiplications"), alone.values(method, "multiplications"))
        assert np.all(found.values(method) > 0)
    with pytest.raises(OverflowError, match="too large") as caught:
        lab.sweep(failing, [2, 4], executor=executor, **settings)
    assert "in size 4, by a" in caught.value.__notes__[-1]
