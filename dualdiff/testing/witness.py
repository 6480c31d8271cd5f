"""The outside witness: a derivative without rules, by differences and the complex step, with an error bar for every entry.

A witness may also not know: beside a kink, at the edge of a domain or in noise its error bar is wide, and the verdict is
"inconclusive" instead of a guess. ``docs/explanation/witness.md`` says how it judges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dualdiff.testing.line import Flat, Line
from dualdiff.testing.noise import noise_of
from dualdiff.testing.stencil import FIRST, SPACINGS, SPREAD, Stencil, measure
from dualdiff.ways.differenced import STEP

__all__ = ["Estimate", "Reading", "complex_step", "differences", "estimate", "glance", "read"]

SAFETY = 8.0
"""Error estimates are multiplied by this before two numbers are said to differ."""
ENOUGH = 1e-8
"""A first stencil whose error bars are this narrow is not followed by others."""
SLIGHTEST = 1e-4
"""A share of the function that counts as if it were its slope, for entries that do not change."""
BELIEVED = 1e-3
"""The complex step is believed where differences confirm it to this share of itself ..."""
NEGLIGIBLE = 1e-8
"""... or to this share of the function's own size: a derivative below it is as good as none, and the differences' word counts too."""
NEAR = (-3, -2, -1, 0, 1, 2, 3)
"""Where the complex step is taken, in steps of the spacing ``CLOSE``: its own noise is read from them."""
CLOSE = SPACINGS[2]
NOTHING_ELSE = 0.02
"""Noise of this share of the largest value of all is taken for all there is: a wave may be too short for any of the steps."""
MOSTLY = 0.1
"""The same, of the largest value within the reach of one spacing."""
CLEAR = 1e-2
"""A slope over longer steps excuses a derivative if its error bar is at most this share of it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to a derivative, entry by entry of one output: a value and how far it may be off."""

    value: Any
    error: Any


@dataclass(frozen=True, slots=True)
class Estimate:
    """A directional derivative of flat outputs, with an error for every entry, and how it was found.

    Attributes
    ----------
    values, errors : list of array
        One of each per output; an error of infinity means that nothing is known about the entry.
    sizes : list of array
        Largest magnitude of each entry itself along the line.
    secants : list of array
        Steepest line from the point to one beside it, entry by entry: the size of what may have cancelled in the derivative.
    method : str
        "complex step", "differences", or both.
    seconds : list of Reading
        The next best reading of each output. A derivative is called wrong only if this one says so as well.
    excuses : list of list of Reading
        Readings that contradict the estimate: slopes over longer steps, or a function that stands still. What they agree with is
        not called wrong.
    kinks : list of array of shape (2, ...)
        Slopes on the left and on the right where they differ; NaN elsewhere.
    evaluations : int
        How often the function was evaluated.
    spent : bool
        Whether the allowed evaluations ran out.
    """

    values: list[Any]
    errors: list[Any]
    sizes: list[Any]
    method: str
    secants: list[Any] = field(default_factory=list)
    seconds: list[Reading] = field(default_factory=list)
    excuses: list[list[Reading]] = field(default_factory=list)
    kinks: list[Any] = field(default_factory=list)
    evaluations: int = 0
    spent: bool = False


def differences(f: Flat, x: Sequence[Any], v: Sequence[Any]) -> Estimate:
    r"""Estimate :math:`\frac{d}{dt} f(x + t v)` at 0 by differences over steps from 1e-1 to 1e-12 of the direction.

    At each spacing nine points give a derivative and its error (:func:`~dualdiff.testing.stencil.measure`). A spacing counts
    only if all finer ones confirm it within the error bars of both, and of those that count the one with the
    narrowest bar is taken, entry by entry. So a slope that only long steps show, of a ripple or over a kink, is not taken for
    the derivative, and a fine step that shows nothing but noise does no harm.

    Parameters
    ----------
    f : callable
        It takes and returns flat lists of arrays.
    x, v : sequence of array
        Point and direction. Steps are fractions of ``v``, which should be about as large as ``x``.

    Returns
    -------
    Estimate

    References
    ----------
    Lepskii, "On a problem of adaptive estimation in Gaussian white noise", Theory of Probability and its Applications 35 (1991),
    doi:10.1137/1135065.

    Examples
    --------
    >>> import numpy as np
    >>> e = differences(lambda x: [np.exp(x[0])], [np.array(1.0)], [np.array(1.0)])
    >>> bool(abs(e.values[0] - np.e) <= e.errors[0] < 1e-9)
    True
    """
    line = Line(f, x, v)
    return _weighed(line, _all_stencils(line, {}, 0.0), None)


def complex_step(f: Flat, x: Sequence[Any], v: Sequence[Any]) -> Estimate | None:
    r"""Compute :math:`\operatorname{Im} f(x + i h v) / h`, exact to rounding where ``f`` is analytic; or None.

    It cannot where an input is complex, where ``f`` fails on complex numbers, drops them, or has another
    real part there. That a function *is* analytic it cannot see: :func:`estimate` asks the differences. What it is off by
    is the rounding inside ``f``, read from seven points close by.

    References
    ----------
    Squire & Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40 (1998),
    doi:10.1137/S003614459631241X.
    """
    line = Line(f, x, v)
    found = _complex_readings(line)
    if found is None:
        return None
    sizes = [abs(y) for y in line.here]
    return Estimate(
        [r.value for r in found],
        [r.error for r in found],
        sizes,
        "complex step",
        [abs(r.value) for r in found],
        evaluations=line.evaluations,
    )


def estimate(
    f: Flat,
    x: Sequence[Any],
    v: Sequence[Any],
    settled: Callable[[Estimate], bool] | None = None,
    noise: float = 0.0,
    limit: int | None = None,
) -> Estimate:
    """Estimate a directional derivative: by differences, and by the complex step where they confirm it.

    Parameters
    ----------
    f : callable
        It takes and returns flat lists of arrays.
    x, v : sequence of array
        Point and direction.
    settled : callable, optional
        Told what is known so far, it says whether that is enough. By default narrow error bars are.
    noise : float
        Relative noise that ``f`` is known to have, a solver's tolerance say.
    limit : int, optional
        How many evaluations of ``f`` are allowed.

    Returns
    -------
    Estimate
    """
    return read(Line(f, x, v, limit), settled, noise)


def read(line: Line, settled: Callable[[Estimate], bool] | None = None, noise: float = 0.0) -> Estimate:
    """Estimate the derivative along a line, as :func:`estimate` does."""
    settled = settled or is_narrow
    stencils: dict[float, list[Stencil]] = {}
    first = measure(line, SPACINGS[FIRST], noise)
    if first is not None:
        stencils[SPACINGS[FIRST]] = first
        found = _weighed(line, stencils, None)
        if is_narrow(found) and settled(found):
            return found
    analytic = _complex_readings(line, noise)
    if analytic is not None and stencils:
        found = _weighed(line, stencils, analytic)
        if is_narrow(found) and settled(found):
            return found
    return _weighed(line, _all_stencils(line, stencils, noise), analytic)


def glance(line: Line, noise: float = 0.0) -> Estimate:
    """Estimate the derivative along a line from one spacing alone."""
    first = measure(line, SPACINGS[FIRST], noise)
    return _weighed(line, {} if first is None else {SPACINGS[FIRST]: first}, None)


def is_narrow(found: Estimate) -> bool:
    """Whether error bars are so narrow that more evaluations would be wasted."""
    return all(
        bool(np.all(SAFETY * e <= ENOUGH * np.maximum(np.abs(d), np.maximum(c, SLIGHTEST * s))))
        for d, e, c, s in zip(found.values, found.errors, found.secants, found.sizes, strict=True)
    )


def _all_stencils(line: Line, stencils: dict[float, list[Stencil]], noise: float) -> dict[float, list[Stencil]]:
    found = dict(stencils)
    for s in SPACINGS:
        if s not in found:
            measured = measure(line, s, noise)
            if measured is not None:
                found[s] = measured
    return found


def _weighed(line: Line, stencils: dict[float, list[Stencil]], analytic: list[Reading] | None) -> Estimate:
    """Take the best reading of every entry."""
    ordered = [stencils[s] for s in sorted(stencils, reverse=True)]
    outputs = [
        _weigh(y, [each[i] for each in ordered], None if analytic is None else analytic[i])
        for i, y in enumerate(line.here)
    ]
    methods = dict.fromkeys(m for o in outputs for m in o.methods)
    return Estimate(
        [o.best.value for o in outputs],
        [o.best.error for o in outputs],
        [o.size for o in outputs],
        " and ".join(methods) or "nothing",
        [o.secant for o in outputs],
        [o.second for o in outputs],
        [o.excuses for o in outputs],
        [o.kink for o in outputs],
        line.evaluations,
        line.spent,
    )


@dataclass(frozen=True, slots=True)
class _Weighed:
    best: Reading
    second: Reading
    excuses: list[Reading]
    size: Any
    secant: Any
    kink: Any
    methods: list[str]


def _weigh(y: Any, stencils: list[Stencil], analytic: Reading | None) -> _Weighed:
    """Weigh the readings of one output, from the longest steps to the shortest."""
    unknown = Reading(np.full(y.shape, np.nan), np.full(y.shape, np.inf))
    size = np.abs(y)
    if not stencils or not y.size:
        return _Weighed(unknown, unknown, [], size, np.zeros(y.shape), np.full((2, *y.shape), np.nan), [])
    with np.errstate(all="ignore"):
        slopes = np.array([s.slope for s in stencils])
        errors = np.array([s.error for s in stencils])
        still = np.array([s.still for s in stencils])
        frozen = still.all(axis=1)
        # A function that stands still on one side over all longer steps as well has no slope there. If it moves on both sides,
        # it may have been rounded on the way, and a step too short to be seen knows nothing.
        flat = frozen & np.logical_and.accumulate(still, axis=0).any(axis=1)
        spacing = np.array([np.full(y.shape, s.spacing) for s in stencils])
        errors = errors + SPREAD * _hidden(np.array([s.noise for s in stencils]), frozen) / spacing
        resolution = np.finfo(float).eps * np.abs(y) / spacing
        level = np.array([s.noise for s in stencils])
        sizes = np.array([s.size for s in stencils])
        alone = (level > NOTHING_ELSE * np.max(sizes, axis=0)) | (level > MOSTLY * sizes)
        errors = np.where(alone, np.inf, errors)
        slopes = np.where(frozen, 0.0, slopes)
        errors = np.where(flat, resolution, np.where(frozen, np.inf, errors))
        bars = SAFETY * errors
        counts = np.isfinite(errors)
        for j in range(len(stencils)):
            for i in range(j + 1, len(stencils)):
                counts[j] &= ~(np.abs(slopes[j] - slopes[i]) > bars[j] + bars[i])
        ranked = np.where(counts, errors, np.inf)
        order = np.argsort(ranked, axis=0, kind="stable")
        best, second = (_taken(slopes, ranked, order[k : k + 1]) if k < len(stencils) else unknown for k in (0, 1))
        if len(stencils) == 1:  # one opinion that was enough is its own second
            second = best
        contradicted = np.isfinite(errors) & ~counts & (bars <= CLEAR * np.abs(slopes))
        excuses = [
            Reading(np.where(c, d, np.nan), np.where(c, e, 0.0))
            for c, d, e in zip(contradicted, slopes, errors, strict=True)
            if c.any()
        ]
        idle: Any = frozen & ~flat
        if idle.any():
            excuses += [
                Reading(np.where(c, 0.0, np.nan), np.where(c, e, 0.0)) for c, e in zip(idle, resolution, strict=True)
            ]
        if (
            analytic is not None
        ):  # it may see what is rounded away, in the value or in a number of the size of 1 on the way to it
            unseen = SPREAD * np.finfo(float).eps / np.take_along_axis(spacing, order[:1], 0)[0]
            hidden = np.take_along_axis(flat, order[:1], 0)[0] | (np.abs(analytic.value - best.value) <= unseen)
            excuses.append(Reading(np.where(hidden, analytic.value, np.nan), np.where(hidden, analytic.error, 0.0)))
        size = np.max([s.size for s in stencils[: FIRST + 1]], axis=0)
        secant = np.max([s.secant for s in stencils[: FIRST + 1]], axis=0)
        methods = ["differences"]
        if analytic is not None:
            bar = SAFETY * best.error
            confirmed = (np.abs(analytic.value - best.value) <= bar + SAFETY * analytic.error) & (
                bar <= np.maximum(BELIEVED * np.abs(analytic.value), NEGLIGIBLE * size)
            )
            better = confirmed & (analytic.error < best.error)
            # Confirmed, it is exact and needs no second; of a derivative as good as none the differences cannot tell the sign.
            exact = better & (bar <= BELIEVED * np.abs(analytic.value))
            second = _first_of(exact, analytic, _first_of(better, best, second))
            if better.all():
                methods = ["complex step"]
            elif better.any():
                methods = ["complex step", "differences"]
            best = _first_of(better, analytic, best)
        kink = _kink(stencils, best)
        # At a kink there is no derivative, and nothing to be known of one.
        best = Reading(best.value, np.where(np.isfinite(kink[0]), np.inf, best.error))
    return _Weighed(best, second, excuses, size, secant, kink, methods)


def _hidden(noise: Any, frozen: Any) -> Any:
    """Return the noise that a table of differences has missed, and that other steps tell of.

    What is rounded to few digits may lie on a straight line over nine points by accident. Noise over short steps is noise
    over long ones; and the shortest step over which anything moves is no less noisy than the next longer one.
    """
    shown = np.where(np.isfinite(noise) & ~frozen, noise, 0.0)
    most = np.maximum.accumulate(shown[::-1], axis=0)[::-1]
    if len(noise) > 2:
        last = ~frozen[1:-1] & frozen[2:]
        most[1:-1] = np.where(last & np.isfinite(noise[:-2]), np.fmax(most[1:-1], noise[:-2]), most[1:-1])
    return np.maximum(most - shown, 0.0)


def _first_of(where: Any, first: Reading, other: Reading) -> Reading:
    return Reading(np.where(where, first.value, other.value), np.where(where, first.error, other.error))


def _taken(slopes: Any, errors: Any, at: Any) -> Reading:
    return Reading(np.take_along_axis(slopes, at, 0)[0], np.take_along_axis(errors, at, 0)[0])


def _kink(stencils: list[Stencil], best: Reading) -> Any:
    """Return the slopes on both sides where they differ by more than noise over steps of every length."""
    if len(stencils) < 2 + FIRST:
        return np.full((2, *best.value.shape), np.nan)
    left = np.array([s.left for s in stencils[FIRST:]])
    right = np.array([s.right for s in stencils[FIRST:]])
    noise = np.array([SAFETY * 4 * np.finfo(float).eps * s.size / s.spacing for s in stencils[FIRST:]])
    apart = np.abs(right - left)
    agreed = np.abs(right - right[:1]) + np.abs(left - left[:1]) <= 0.5 * apart[:1] + noise
    kinked = ((apart > noise).sum(axis=0) >= 3) & agreed.all(axis=0)
    kinked = kinked & ((SAFETY * best.error > 0.1 * apart[0]) | ~np.isfinite(best.error))
    return np.where(kinked, np.array([left[0], right[0]]), np.nan)


def _complex_readings(line: Line, noise: float = 0.0) -> list[Reading] | None:
    """Take the complex step at the point and close to it."""
    if not line.is_real:
        return None
    near = {}
    for k in NEAR:
        there = line.at(k * CLOSE + 1j * STEP)
        if there is None or not any(z.dtype.kind == "c" for z in there):
            return None
        near[k] = there
    found = []
    for i, y in enumerate(line.here):
        at = [near[k][i] for k in NEAR]
        if y.dtype.kind == "c" or any(z.shape != y.shape for z in at):
            return None
        size = float(np.max(np.abs(y), initial=0.0, where=np.isfinite(y)))
        middle = near[0][i]
        with np.errstate(all="ignore"):
            # Of an analytic function the real part moves by the square of the step, which is all there is where the value is 0.
            moved = np.fmax(1e-12 * size, np.abs(middle.imag))
            if not np.allclose(middle.real, y, rtol=1e-8, atol=moved, equal_nan=True):
                return None
            slopes = np.array([np.imag(z) / STEP for z in at])
            slope = slopes[len(NEAR) // 2]
            error = np.maximum(noise_of(slopes), max(4 * line.rounding[i], noise) * np.abs(slope))
            found.append(Reading(slope, np.where(np.isfinite(slope), error, np.inf)))
    return found
