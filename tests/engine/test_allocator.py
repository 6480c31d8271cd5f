"""Freed memory: kept after the first large tape where nobody else decides, seen by the page faults of later gradients."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import dualdiff as dd
from dualdiff import allocator
from dualdiff.errors import InputError

gnu = pytest.mark.skipif(not allocator._is_gnu(), reason="only the GNU C library can be asked")

GRADIENTS = """
import resource
import numpy as np
import dualdiff as dd
from dualdiff import allocator
{before}
def f(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
def faults():
    for _ in range(3):
        gradient(x)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        gradient(x)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 5
gradient, x = dd.grad(f), np.linspace(0.0, 1.0, 100_000)
print(faults())
{after}
"""
FEW, MANY = 100, 1000
"""Faults of one gradient whose memory is at hand, and of one whose memory (some 8 MB) is not."""


def run(before: str = "", after: str = "", **environment: str) -> list[float]:
    """Return what a fresh process prints, in an environment that says nothing about the allocator but what is given."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_", "LD_PRELOAD", "DUALDIFF_"))}
    done = subprocess.run(
        [sys.executable, "-c", GRADIENTS.format(before=before, after=after)],
        capture_output=True,
        text=True,
        check=True,
        env=plain | environment,
    )
    return [float(line) for line in done.stdout.split()]


@pytest.fixture(scope="module")
def given_back() -> None:
    """Skip where the C library's defaults cost nothing: huge pages fault in at once."""
    if run(DUALDIFF_KEEP_FREED_MEMORY="0")[0] < MANY:
        pytest.skip("this system faults little in by default")


@gnu
def test_the_first_large_tape_keeps_its_memory() -> None:
    assert run()[0] < FEW


@gnu
@pytest.mark.usefixtures("given_back")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DUALDIFF_KEEP_FREED_MEMORY", "0"),
        ("MALLOC_ARENA_MAX", "4"),
        ("GLIBC_TUNABLES", "glibc.malloc.arena_max=4"),
        ("LD_PRELOAD", "/nowhere/libjemalloc.so.2"),
    ],
)
def test_an_environment_that_decides_is_left_alone(name: str, value: str) -> None:
    assert run(**{name: value})[0] > MANY


@gnu
@pytest.mark.usefixtures("given_back")
def test_the_call_decides_in_place_of_the_default() -> None:
    assert run("dd.keep_freed_memory(0)")[0] > MANY
    assert run("dd.keep_freed_memory(2**27)", DUALDIFF_KEEP_FREED_MEMORY="0")[0] < FEW
    kept, undone, again = run(
        after="dd.keep_freed_memory(0)\nprint(faults())\ndd.keep_freed_memory()\nprint(faults())\n"
    )
    assert kept < FEW
    assert undone > MANY
    assert again < FEW


RESIDENT = """
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20
gradient(x)
before = resident()
{held} = [np.ones(2**19) for _ in range(100)]
del {held}
print(resident() - before)
"""


@gnu
def test_what_is_kept_is_bounded_and_can_be_given_back() -> None:
    *_, left = run(after=RESIDENT.format(held="many"))  # 400 MiB
    assert left < 260
    *_, left = run("dd.keep_freed_memory(2**30)", RESIDENT.format(held="many"))
    assert left > 300
    *_, left = run(
        "dd.keep_freed_memory(2**30)",
        RESIDENT.format(held="many") + "dd.keep_freed_memory(0)\nprint(resident() - before)\n",
    )
    assert left < 100


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect what the C library would be asked, from a state in which nothing was decided."""
    found: list[int] = []
    monkeypatch.setattr(allocator, "sweeps", itertools.count())
    monkeypatch.setattr(allocator, "nobody_else_decides", lambda: True)
    monkeypatch.setattr(allocator, "_set", lambda n: bool(found.append(n)) or True)
    return found


def cube(x: np.ndarray) -> np.ndarray:
    return np.sum(x * x * x)


def test_small_tapes_ask_for_nothing(asked: list[int]) -> None:
    for _ in range(3 * allocator.EVERY):
        dd.grad(cube)(np.ones(1000))
        dd.grad(lambda x: x * x)(2.0)
    assert asked == []
    assert allocator.sweeps is not None


def test_a_large_tape_asks_once_also_after_small_ones(asked: list[int]) -> None:
    for _ in range(5):
        dd.grad(cube)(np.ones(10))
    for _ in range(2 * allocator.EVERY):
        dd.grad(cube)(np.ones(10**5))
    assert asked == [allocator.KEPT]
    assert allocator.sweeps is None


def test_tensors_ask_as_functions_do(asked: list[int]) -> None:
    cube(dd.tensor(np.ones(10**5), requires_grad=True)).backward()
    assert asked == [allocator.KEPT]


def test_directions_count(asked: list[int]) -> None:
    dd.jacrev(lambda x: np.sin(x * x)[:300])(np.ones(1000))
    assert asked == [allocator.KEPT]


def test_threads_ask_once(asked: list[int]) -> None:
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        for _ in range(allocator.EVERY):
            dd.grad(cube)(np.ones(10**5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert asked == [allocator.KEPT]


def test_another_allocator_or_platform_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [k for k in os.environ if k.startswith(("MALLOC_", "GLIBC_", "LD_PRELOAD", "DUALDIFF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(allocator, "_library_of", lambda function: "libc.so.6")
    assert allocator.nobody_else_decides()
    monkeypatch.setattr(allocator, "_library_of", lambda function: "libmimalloc.so.2")
    assert not allocator.nobody_else_decides()
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert allocator._library_of("malloc") == ""
    monkeypatch.setattr(allocator, "sweeps", None)
    assert not dd.keep_freed_memory(2**20)


@gnu
def test_the_library_that_allocates_is_known() -> None:
    assert "/" not in allocator._library_of("malloc")
    assert Path(allocator._library_of("malloc")).suffix
    assert allocator._library_of("no_such_function") == ""


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(InputError, match="must not be negative"):
        dd.keep_freed_memory(-1)
