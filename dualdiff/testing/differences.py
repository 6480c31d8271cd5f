"""Derivatives without rules: extrapolated differences and the complex step, each with an error estimate.

They are the outside witness. A witness may also not know: close to a kink, at the edge of a domain or
for a noisy function the error estimate is wide, and the verdict is "inconclusive" instead of a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dualdiff.shapes import dtype_of
from dualdiff.testing.tolerances import tolerance
from dualdiff.ways.differenced import STEP

Flat = Callable[[list[Any]], list[Any]]
Verdict = Literal["agree", "disagree", "inconclusive"]

STEPS = 9
"""Step sizes tried."""
RATIO = 2**0.5 - 1
"""Each step is this fraction of the one before: far from simple fractions, so that jumps do not pass for slopes."""
FIRST_STEP = 2.0**-4
"""The largest step, as a fraction of the direction."""
SAFETY = 8.0
"""Error estimates are multiplied by this before anything is called wrong."""
USEFUL = 1e-2
"""An error bar wider than this fraction of the derivative decides nothing."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A directional derivative of flat outputs, an error estimate for every entry, and how it was found.

    Attributes
    ----------
    values, errors : list of array
        One of each per output; an error of infinity means that nothing is known about the entry.
    sizes : list of float
        Largest magnitude of each output itself.
    method : str
        "complex step" or "differences".
    """

    values: list[Any]
    errors: list[Any]
    sizes: list[float]
    method: str


def wide(x: Any) -> Any:
    """Return ``x`` in at least double precision."""
    x = np.asarray(x)
    return x.astype(np.result_type(x.dtype, np.float64)) if x.dtype.kind in "fc" else x.astype(np.float64)


def _along(f: Flat, x: Sequence[Any], v: Sequence[Any], h: Any) -> list[Any]:
    """Return f(x + h·v), with NaN in place of an error."""
    return [np.array(y) for y in f([(a + h * d)[()] for a, d in zip(x, v, strict=True)])]


def richardson(f: Flat, x: Sequence[Any], v: Sequence[Any]) -> Estimate:
    r"""Estimate :math:`\frac{d}{dh} f(x + h v)` at 0 by central differences, extrapolated to step zero.

    Central differences have an error in even powers of ``h``, which Neville's scheme removes one by one.
    For every entry the member of the scheme is taken that differs least from its two neighbours; that
    difference, and the rounding of ``f`` over the step, make the error estimate. Where the second
    difference does not shrink with the step there is a kink, and its jump is added to the error.

    Parameters
    ----------
    f : callable
        It takes and returns flat lists of arrays.
    x, v : sequence of array
        Point and direction.

    Returns
    -------
    Estimate

    References
    ----------
    Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in Engineering Software 4 (1982),
    doi:10.1016/S0141-1195(82)80057-0.

    Examples
    --------
    >>> import numpy as np
    >>> e = richardson(lambda x: [np.exp(x[0])], [np.array(1.0)], [np.array(1.0)])
    >>> bool(abs(e.values[0] - np.e) <= e.errors[0] < 1e-9)
    True
    """
    x, v = [wide(a) for a in x], [wide(d) for d in v]
    steps = [FIRST_STEP * RATIO**j for j in range(STEPS)]
    with np.errstate(all="ignore"):
        here = _along(f, x, v, 0.0)
        pairs = []
        for h in steps:
            try:
                pairs.append((_along(f, x, v, h), _along(f, x, v, -h)))
            except (ArithmeticError, ValueError, np.linalg.LinAlgError):  # the step leaves the domain
                pairs.append(([np.full(y.shape, np.nan) for y in here],) * 2)
        found = [_extrapolate(y, [p[i] for p, _ in pairs], [m[i] for _, m in pairs], steps) for i, y in enumerate(here)]
    values, errors = [d for d, _, _ in found], [e for _, e, _ in found]
    if any(jumps for _, _, jumps in found):  # another branch at the point than beside it: nothing is known
        errors = [np.full(e.shape, np.inf) for e in errors]
    return Estimate(values, errors, [_size(y) for y in here], "differences")


def _extrapolate(y: Any, plus: Sequence[Any], minus: Sequence[Any], steps: Sequence[float]) -> tuple[Any, Any, bool]:
    if y.dtype.kind not in "fc":
        y = y.astype(np.float64)
    eps = np.finfo(y.dtype).eps
    best = np.full(y.shape, np.nan, np.result_type(y.dtype, np.float64))
    error = np.full(y.shape, np.inf)
    chosen = np.ones(y.shape)
    previous: list[Any] = []
    bends = []
    for p, m, h in zip(plus, minus, steps, strict=True):
        if p.shape != y.shape or m.shape != y.shape:
            continue
        row = [(p - m) / (2 * h)]
        noise = 4 * eps * np.maximum(np.maximum(abs(p), abs(m)), abs(y)) / h
        bends.append((abs(p - 2 * y + m) / h, noise))
        for k in range(1, len(previous) + 1):
            factor = RATIO ** (-2 * k)
            row.append((factor * row[k - 1] - previous[k - 1]) / (factor - 1))
            spread = np.maximum(abs(row[k] - row[k - 1]), abs(row[k] - previous[k - 1])) + noise
            better = spread < error
            best = np.where(better, row[k], best)
            error = np.where(better, spread, error)
            chosen = np.where(better, h, chosen)
        previous = row
    if previous:
        # What the smallest step is off by is rounding inside f, which the size of f alone may hide.
        off = abs(previous[0] - best) * steps[-1] / chosen
        error = np.where(np.isfinite(off), error + off, error)
    jumps = False
    if len(bends) > 3:
        (last, noise), (before, _) = bends[-1], bends[-4]
        kink = ~(last <= np.maximum(0.5 * before, 8 * noise))
        error = np.where(kink, np.maximum(error, np.where(np.isnan(last), np.inf, last)), error)
        jumps = bool(np.any(kink & (last > 4 * before)))  # or structure finer than the steps
    return best, error, jumps


def complex_step(f: Flat, x: Sequence[Any], v: Sequence[Any]) -> Estimate | None:
    r"""Compute :math:`\operatorname{Im} f(x + i h v) / h`, exact to rounding where ``f`` is analytic; or None.

    It cannot where an input is complex, where ``f`` fails on complex numbers, drops them, or has another
    real part there. That a function *is* analytic it cannot see: :func:`estimate` asks the differences.

    References
    ----------
    Squire & Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40 (1998),
    doi:10.1137/S003614459631241X.
    """
    x, v = [wide(a) for a in x], [wide(d) for d in v]
    if any(a.dtype.kind == "c" for a in (*x, *v)):
        return None
    with np.errstate(all="ignore"):
        here = _along(f, x, v, 0.0)
        try:
            there = _along(f, x, v, 1j * STEP)
        except Exception:  # whatever it is that complex numbers met
            return None
        if not any(z.dtype.kind == "c" for z in there):
            return None
        for y, z in zip(here, there, strict=True):
            if (
                y.dtype.kind == "c"
                or z.shape != y.shape
                or not np.allclose(z.real, y, rtol=1e-8, atol=1e-12 * _size(y), equal_nan=True)
            ):
                return None
        values = [np.imag(z) / STEP for z in there]
    sizes = [_size(y) for y in here]
    errors = [np.full(d.shape, 1e-14 * max(_size(d), s)) for d, s in zip(values, sizes, strict=True)]
    return Estimate(values, errors, sizes, "complex step")


def estimate(f: Flat, x: Sequence[Any], v: Sequence[Any]) -> Estimate:
    """Estimate a directional derivative: by the complex step where the differences confirm it, otherwise by them.

    Parameters
    ----------
    f : callable
        It takes and returns flat lists of arrays.
    x, v : sequence of array
        Point and direction.

    Returns
    -------
    Estimate
    """
    slow = richardson(f, x, v)
    quick = complex_step(f, x, v)
    if quick is None:
        return slow
    if any(
        judge(d, Estimate([t], [e], [s], "")) != "agree"
        for d, t, e, s in zip(quick.values, slow.values, slow.errors, slow.sizes)
    ):
        return slow
    return quick


def judge(derivative: Any, truth: Estimate, output: int = 0) -> Verdict:
    """Hold one derivative against an estimate: "agree", "disagree" or "inconclusive".

    Parameters
    ----------
    derivative : array
        The directional derivative of one output.
    truth : Estimate
        What it is compared with.
    output : int
        Which output.

    Returns
    -------
    str
        "disagree" if an entry lies outside the error bar; otherwise "inconclusive" if a bar is too wide to
        decide anything; otherwise "agree".
    """
    verdicts = judge_entries(derivative, truth, output)
    return (
        "disagree"
        if (verdicts == "disagree").any()
        else "inconclusive"
        if (verdicts == "inconclusive").any()
        else "agree"
    )


def judge_entries(derivative: Any, truth: Estimate, output: int = 0) -> Any:
    """Return the verdict on every entry, as an array of strings."""
    d, t, error, size = wide(derivative), truth.values[output], truth.errors[output], truth.sizes[output]
    scale = max(_size(d), _size(np.where(np.isfinite(error), t, 0)))
    coarse = tolerance(dtype_of(derivative))
    bar = SAFETY * error + max(coarse, 1e-10) * scale
    off = abs(d - t)
    known = np.isfinite(error) & (bar <= max(USEFUL * scale, 1e-8 * size))
    verdicts = np.full(d.shape, "agree", dtype="<U12")
    verdicts[~known] = "inconclusive"
    verdicts[np.isfinite(error) & ~(off <= bar)] = "disagree"
    return verdicts


def _size(x: Any) -> float:
    x = abs(np.asarray(x))
    return float(np.max(x[np.isfinite(x)], initial=0.0))
