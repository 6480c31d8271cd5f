"""Times that may be divided by one another."""

from collections.abc import Callable, Mapping
from time import perf_counter

__all__ = ["interleaved_minima"]


def interleaved_minima(
    calls: Mapping[str, Callable[[], object]], *, rounds: int = 9, block: float = 2e-3
) -> dict[str, float]:
    """Return for each call the least time of one run, in seconds.

    The calls take turns, so that a machine that slows down slows all of them, and the minimum over the rounds is the
    time least disturbed by others.

    Parameters
    ----------
    calls : mapping of str to callable
        What to time, without arguments.
    rounds : int
        How many turns each call gets, after one to warm up.
    block : float
        A turn repeats a short call for about this long, in seconds: the clock itself takes a few nanoseconds.

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
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, not {rounds}")
    repeats = {}
    for name, call in calls.items():
        # The first run pays for imports and caches; the second says how many fill a turn.
        call()
        repeats[name] = max(1, round(block / max(_time(call, 1), 1e-9)))
    best = dict.fromkeys(calls, float("inf"))
    for turn in range(rounds):
        # The order rotates: a large call leaves cold caches behind, and not always to the same one.
        order = list(calls.items())
        for name, call in order[turn % len(order) :] + order[: turn % len(order)]:
            best[name] = min(best[name], _time(call, repeats[name]))
    return best


def _time(call: Callable[[], object], repeats: int) -> float:
    turns = range(repeats)
    start = perf_counter()
    for _ in turns:
        call()
    return (perf_counter() - start) / repeats
