"""One fit from several starts, on any executor, and the best of what they end in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import Any

import numpy as np

from dualdiff.scipy.optimize.results import FitResult

__all__ = ["best_of"]


def best_of(solve: Callable[[Any], FitResult], starts: Iterable[Any], executor: Executor | None) -> FitResult:
    """Return the fit of the least cost, of those that converged if any did; with all of them, in order, as ``fits``.

    Parameters
    ----------
    solve : callable
        ``solve(x0)``; for processes it has to pickle.
    starts : iterable of array_like
        The starts.
    executor : concurrent.futures.Executor, optional
        What runs them; by default one runs after the other.
    """
    at = list(starts)
    waiting = [] if executor is None else [executor.submit(solve, x0) for x0 in at]
    fits: list[FitResult] = []
    try:
        for k, x0 in enumerate(at):
            fits.append(waiting[k].result() if waiting else solve(x0))
    except Exception as error:
        error.add_note(f"in the fit from start {len(fits)} of {len(at)}: {np.asarray(at[len(fits)])}")
        raise
    finally:
        for future in waiting[len(fits) :]:  # none if all went well
            future.cancel()
    costs = [fit.cost if np.isfinite(fit.cost) else np.inf for fit in fits]
    best = fits[min(range(len(fits)), key=lambda k: (not fits[k].success, costs[k]))]
    best.__dict__["fits"] = tuple(fits)
    return best
