"""What the checks make of the corpus: four numbers."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dualdiff import testing
from tests.testing.mistakes.case import Case

__all__ = ["DISTORTED", "Judged", "distorted", "judged", "powered"]

CHECKS = {
    "jacobian": lambda c, **o: testing.check_jacobian(c.f, c.derivative, *c.point, **o),
    "gradient": lambda c, **o: testing.check_gradient(c.f, c.derivative, *c.point, **o),
    "hessian": lambda c, **o: testing.check_hessian(c.f, c.derivative, *c.point, **o),
    "vjp": lambda c, **o: testing.check_vjp(c.f, c.derivative, c.point, **o),
    "jvp": lambda c, **o: testing.check_jvp(c.f, c.derivative, c.point, **o),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A case, the verdict ("agree", "inconclusive", "disagree" or "crash"), what was said, and how long it took."""

    case: Case
    verdict: str
    said: str
    seconds: float


def judged(case: Case, **options: Any) -> Judged:
    """Check one case."""
    if case.fresh is not None:
        f, derivative = case.fresh()
        case = replace(case, f=f, derivative=derivative)
    start = time.perf_counter()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            report = CHECKS[case.form](replace(case, point=copy.deepcopy(case.point)), **{**case.options, **options})
        verdict, said = report.verdict, str(report)
    except testing.CheckError as e:
        verdict, said = "disagree", str(e)
    except Exception as e:  # a crash is what is counted
        verdict, said = "crash", f"{type(e).__name__}: {e}"
    return Judged(case, verdict, said, time.perf_counter() - start)


def _scaled(derivative: Callable[..., Any], factor: float) -> Callable[..., Any]:
    return lambda *args: _times(derivative(*args), factor)


def _times(J: Any, factor: float) -> Any:
    if isinstance(J, dict):
        return {k: _times(v, factor) for k, v in J.items()}
    if isinstance(J, (tuple, list)):
        return type(J)(_times(v, factor) for v in J)
    return factor * J


def _one_entry(derivative: Callable[..., Any]) -> Callable[..., Any]:
    """Return a Jacobian with one of its entries that are not zero doubled, always the same one."""

    def wrong(*args: Any) -> Any:
        J = derivative(*args)
        J = np.array(J.toarray() if hasattr(J, "toarray") else J)
        candidates = np.flatnonzero(J)
        if candidates.size:
            k = candidates[int(np.random.default_rng(J.size).integers(candidates.size))]
            J.flat[k] *= 2
        return J

    return wrong


DISTORTED: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "doubled": lambda d: _scaled(d, 2.0),
    "1 % off": lambda d: _scaled(d, 1.01),
    "one entry doubled": _one_entry,
}
"""How right derivatives are made wrong, to see what is noticed."""


def distorted(cases: list[Case], how: str) -> Iterator[Case]:
    """Yield right cases whose derivative is made wrong; not those where there is none, or where it is zero."""
    for case in cases:
        if case.kink or case.stationary or case.form not in ("jacobian", "gradient", "hessian"):
            continue
        plain = np.size(case.point[0]) and not isinstance(case.point[0], dict) and "argnums" not in case.options
        if how == "one entry doubled" and (not plain or "linear operator" in case.name):
            continue
        yield replace(case, derivative=DISTORTED[how](case.derivative))


def powered(cases: list[Case], how: str) -> list[Judged]:
    """Check right cases that were made wrong, at their own points alone."""
    return [judged(c, points=0) for c in distorted(cases, how)]
