"""Times that may be divided by one another."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

__all__ = ["Times", "interleaved", "interleaved_minima"]

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Times:
    """What the clock showed for one call, in seconds.

    Attributes
    ----------
    first : float
        The first run of all: it pays for imports, recordings and caches.
    samples : tuple of float
        Seconds a run, one for each of the later turns.

    Examples
    --------
    >>> times = Times(first=9.0, samples=(1.0, 3.0, 2.0, 4.0, 5.0))
    >>> times.minimum, times.median, times.spread
    (1.0, 3.0, 2.0)
    """

    first: float
    samples: tuple[float, ...]

    @property
    def minimum(self) -> float:
        """The least time of a run: the one least disturbed by others. Of a call that had no later turn, the first."""
        return min(self.samples, default=self.first)

    @property
    def median(self) -> float:
        """The median time of a run."""
        return float(np.median(self.samples or self.first))

    @property
    def spread(self) -> float:
        """The interquartile range of the times."""
        below, above = np.percentile(self.samples or [self.first], [25, 75])
        return float(above - below)


def interleaved(
    calls: Mapping[Name, Callable[[], object]],
    *,
    rounds: int = 9,
    block: float = 2e-3,
    seconds: float = float("inf"),
    first: Mapping[Name, float] | None = None,
    clock: Callable[[], float] = perf_counter,
    progress: Callable[[Any], object] | None = None,
) -> dict[Name, Times]:
    """Time calls in turns, so that a machine that slows down slows all of them.

    Parameters
    ----------
    calls : mapping of str to callable
        What to time, without arguments.
    rounds : int
        How many turns each call gets, after one to warm up.
    block : float
        A turn repeats a short call for about this long, in seconds: the clock itself takes a few nanoseconds.
    seconds : float
        About how long all turns may take together. A call that fills its share sooner gets fewer of them.
    first : mapping of str to float, optional
        The time of the first run of each call, where that was made already.
    clock : callable
        What tells the time of a turn, in seconds; `time.process_time` does not count what others take of a busy machine.
    progress : callable, optional
        Is told the name of each call that had a turn.

    Returns
    -------
    dict of str to Times
        In the order of `calls`.

    Examples
    --------
    >>> found = interleaved({"short": lambda: sum(range(10)), "long": lambda: sum(range(10_000))}, rounds=3)
    >>> {name: len(times.samples) for name, times in found.items()}
    {'short': 3, 'long': 3}
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, not {rounds}")
    start = perf_counter()
    firsts = {name: first[name] if first is not None else _time(call, 1, clock) for name, call in calls.items()}
    # Every call has an equal share of the time, so that a slow one does not take the turns of the others.
    share = seconds / max(len(calls), 1)
    repeats: dict[Name, int] = {}
    turns: dict[Name, int] = {}
    for name, call in calls.items():
        if firsts[name] > share:
            continue
        # The first run pays for imports and caches; the second says how many fill a turn.
        again = max(_time(call, 1, clock), 1e-9)
        repeats[name] = max(1, round(block / again))
        turns[name] = round(max(1, min(rounds, share / (repeats[name] * again))))
    samples: dict[Name, list[float]] = {name: [] for name in calls}
    for turn, name in _rotated(tuple(repeats), rounds):
        if turn < turns[name] and (perf_counter() - start <= seconds or not samples[name]):
            samples[name].append(_time(calls[name], repeats[name], clock))
        if progress is not None:
            progress(name)
    return {name: Times(firsts[name], tuple(samples[name])) for name in calls}


def _rotated(names: tuple[Name, ...], rounds: int) -> Iterator[tuple[int, Name]]:
    """Yield the turn and all names in it; the order rotates: a large call leaves cold caches behind, and not always to the same one."""
    for turn in range(rounds):
        at = turn % max(len(names), 1)
        for name in names[at:] + names[:at]:
            yield turn, name


def interleaved_minima(
    calls: Mapping[str, Callable[[], object]], *, rounds: int = 9, block: float = 2e-3
) -> dict[str, float]:
    """Return for each call the least time of one run, in seconds.

    Parameters
    ----------
    calls, rounds, block
        As for `interleaved`.

    Returns
    -------
    dict of str to float
        Seconds per run, in the order of `calls`.

    Examples
    --------
    >>> times = interleaved_minima({"short": lambda: sum(range(10)), "long": lambda: sum(range(10_000))})
    >>> sorted(times)
    ['long', 'short']
    """
    return {name: times.minimum for name, times in interleaved(calls, rounds=rounds, block=block).items()}


def _time(call: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    turns = range(repeats)
    start = clock()
    for _ in turns:
        call()
    return (clock() - start) / repeats
