"""One derivative held against what a witness knows: it agrees, it is wrong, or nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from dualdiff.errors import DerivativeError
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.testing.line import Line, wide
from dualdiff.testing.noise import noise_of
from dualdiff.testing.stencil import REACH, SPACINGS, SPREAD
from dualdiff.testing.tolerances import tolerance
from dualdiff.testing.witness import SAFETY, Estimate, read

__all__ = ["BY_HAND", "EXACT", "Allowed", "LawError", "Verdict", "bars", "demand", "examine", "judge", "judge_entries"]

Verdict = Literal["agree", "disagree", "inconclusive"]


class LawError(DerivativeError, AssertionError):
    """A derivative broke a law."""


USEFUL = 1e-2
"""An error bar wider than this share of the entry decides nothing ..."""
BESIDE = 1e-3
"""... unless it is this much smaller than the largest entry beside it."""
SMALL = 1e-6
"""... or this much smaller than the function itself, or than its steepest line."""
SHORT = 1e-3
"""Steps so short that a slope which matters may move the value by less than its rounding."""
LOST = float(np.finfo(np.float64).tiny / np.finfo(np.float64).eps)
"""Products that come to less than this may have lost their digits on the way, or vanished: nobody knows such a slope."""
ROUNDINGS = 100.0
"""Roundings of the largest entry beside it that an entry may be off by."""
BY_HAND = 64.0
"""Roundings of the function that an entry of a formula written by hand may be off by, in steps as large as the argument, or of 1.

``1 - tanh(x)**2`` knows itself to a rounding of 1. That is x roundings of the function along x, and of a function that saturates like
an exponential x is below -log(eps) = 36 where anything is left of the slope: so twice that, for both terms. An argument of 1e-15 is
not known to be on the scale of its function: a rounding of the function over so short a step would allow any slope at all.
"""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a derivative may differ by and still be called right.

    Attributes
    ----------
    rtol : float
        Relative to the entry, beyond what its precision and the error bar allow.
    atol : float
        Absolute, for the derivative along the direction that is held against the estimate.
    noise : float
        Relative noise that the function is known to have, a solver's tolerance say.
    roundings : float
        In roundings of the function's value, of the precision of the derivative: a formula loses what cancels between its terms.
    reach : float
        How far the direction goes, at most 1. Along a short one everything is small beside the function, also what matters.
    """

    rtol: float = 0.0
    atol: Any = 0.0
    noise: float = 0.0
    roundings: float = 0.0
    reach: float = 1.0


EXACT = Allowed()


def bars(derivative: Any, truth: Estimate, output: int = 0, allowed: Allowed = EXACT) -> Any:
    """Return, entry by entry, how far a derivative may be from the estimate without being wrong."""
    return _bars(wide(derivative), derivative, truth, output, truth.values[output], truth.errors[output], allowed)


def _bars(d: Any, given: Any, truth: Estimate, output: int, t: Any, error: Any, allowed: Allowed) -> Any:
    dtype = dtype_of(given)
    own = np.maximum(_finite(d), np.where(np.isfinite(error), _finite(t), 0.0))
    beside = float(np.max(own, initial=0.0))
    cancelled = np.maximum(own, truth.secants[output]) if truth.secants else own
    double = float(np.finfo(np.float64).eps)
    precision = max(float(np.finfo(dtype).eps), double) if dtype.kind in "fc" else double
    return (
        SAFETY * error
        + max(tolerance(given), tolerance(1.0)) * cancelled
        + ROUNDINGS * precision * beside
        + double * truth.sizes[output]  # what moves the value by less than its rounding
        + allowed.roundings * allowed.reach * precision * truth.sizes[output]
        + allowed.rtol * own
        + allowed.atol
        + float(np.finfo(np.float64).tiny)
    )


def judge(derivative: Any, truth: Estimate, output: int = 0, allowed: Allowed = EXACT) -> Verdict:
    """Hold one derivative against an estimate: "agree", "disagree" or "inconclusive".

    Parameters
    ----------
    derivative : array
        The directional derivative of one output.
    truth : Estimate
        What it is compared with.
    output : int
        Which output.
    allowed : Allowed
        What it may differ by beyond the error bars.

    Returns
    -------
    str
        "disagree" if an entry lies outside the error bar; otherwise "inconclusive" if a bar is too wide to
        decide anything; otherwise "agree".
    """
    verdicts = judge_entries(derivative, truth, output, allowed)
    return (
        "disagree"
        if (verdicts == "disagree").any()
        else "inconclusive"
        if (verdicts == "inconclusive").any()
        else "agree"
    )


def judge_entries(derivative: Any, truth: Estimate, output: int = 0, allowed: Allowed = EXACT) -> Any:
    """Return the verdict on every entry, as an array of strings."""
    d, t, error = wide(derivative), truth.values[output], truth.errors[output]
    bar = bars(derivative, truth, output, allowed)
    with np.errstate(invalid="ignore"):
        own = np.maximum(_finite(d), np.where(np.isfinite(error), _finite(t), 0.0))
        beside = np.max(own, initial=0.0)
        size = truth.sizes[output]
        scale = np.maximum(size, truth.secants[output]) if truth.secants else size
        known = np.isfinite(error) & (
            SAFETY * error <= np.maximum(np.maximum(USEFUL * own, BESIDE * beside), SMALL * allowed.reach * scale)
        )
        outside = np.isfinite(error) & ~(np.abs(d - t) <= bar)
        outside &= known | np.isfinite(d)
        doubted = np.abs(d - t) <= LOST * min(1.0, allowed.reach)
        if (
            allowed.reach < SHORT
        ):  # what moves the value by less than its rounding is not wrong then, and not right either
            known &= ~(np.abs(d - t) > bar - float(np.finfo(np.float64).eps) * size)
        if truth.seconds and outside.any():
            second = truth.seconds[output]
            near = np.abs(d - second.value) <= _bars(d, derivative, truth, output, second.value, second.error, allowed)
            sure = SAFETY * second.error <= USEFUL * own
            outside &= ~(near & sure)
            doubted |= (near & ~sure) | ~np.isfinite(second.error)
            for other in truth.excuses[output]:
                apart = np.abs(t - other.value) > SAFETY * (error + other.error)
                bar = _bars(d, derivative, truth, output, other.value, other.error, allowed)
                doubted |= apart & (np.abs(d - other.value) <= bar)
        verdicts = np.full(d.shape, "agree", dtype="<U12")
        verdicts[~known | (outside & doubted)] = "inconclusive"
        verdicts[outside & ~doubted] = "disagree"
    return verdicts


def demand(what: str, derivative: Any, truth: Estimate, output: int, verdicts: Any = None) -> str:
    """Raise if a derivative lies outside the error bar of an estimate; return "agree" or "inconclusive"."""
    if shape_of(derivative) != truth.values[output].shape:
        raise LawError(f"{what}: its shape is {shape_of(derivative)}, the value's {truth.values[output].shape}")
    if verdicts is None:
        verdicts = judge_entries(derivative, truth, output)
    if (verdicts == "disagree").any():
        at = tuple(int(i) for i in np.argwhere(verdicts == "disagree")[0])
        raise LawError(
            f"{what}: entry {list(at)} is {np.asarray(derivative)[at]:.17g}, "
            f"by {truth.method} {truth.values[output][at]:.17g} ± {SAFETY * truth.errors[output][at]:.1g}"
        )
    return "inconclusive" if (verdicts == "inconclusive").any() else "agree"


SLIGHT = 1e-4
"""A derivative off by no more than this share may be that of what an iterative solver approximates, not of its iterates."""
WIDE = 32
"""Points on either side, half the largest spacing apart, by which roughness is looked for."""


def examine(line: Line, claims: Sequence[Any], allowed: Allowed = EXACT) -> tuple[list[Any], Estimate]:
    """Hold derivatives along a line against the witness; return the verdicts on every entry of each output, and what it knows.

    Few evaluations are spent on what agrees at once. Before something is called wrong, all spacings have been tried; and where it
    is only slightly off, the function has been looked at farther away, for the small jumps that solvers leave which iterate
    until a tolerance is met.
    """

    def verdicts(truth: Estimate) -> list[Any]:
        return [judge_entries(c, truth, i, allowed) for i, c in enumerate(claims)]

    def settled(truth: Estimate) -> bool:
        return all(bool((v == "agree").all()) for v in verdicts(truth))

    truth = read(line, settled, allowed.noise)
    found = verdicts(truth)
    if line.spent:  # what would have been a finer step may say otherwise
        found = [np.where(v == "disagree", "inconclusive", v) for v in found]
    slight = [
        (v == "disagree") & (np.abs(wide(c) - t) <= SLIGHT * np.abs(t))
        for v, c, t in zip(found, claims, truth.values, strict=True)
    ]
    if any(s.any() for s in slight) and not any(
        ((v == "disagree") & ~s).any() for v, s in zip(found, slight, strict=True)
    ):
        rough = _roughness(line)
        for v, s, c, t, r, size in zip(found, slight, claims, truth.values, rough, truth.sizes, strict=True):
            slope = np.where(r <= SLIGHT * size, SAFETY * SPREAD * r / _WIDE_SPACING, 0.0)
            v[s & (np.abs(wide(c) - t) <= slope)] = "inconclusive"
        truth = replace(truth, evaluations=line.evaluations, spent=line.spent)
    return found, truth


_WIDE_SPACING = 0.5 * SPACINGS[0]


def _roughness(line: Line) -> list[Any]:
    """Return the largest noise that the table of differences shows anywhere on a long piece of the line."""
    rows = [line.at(k * _WIDE_SPACING) for k in range(-WIDE, WIDE + 1)]
    found = []
    for i, y in enumerate(line.here):
        gap = np.full(y.shape, np.nan)
        column = np.array([gap if r is None or r[i].shape != y.shape else r[i] for r in rows])
        with np.errstate(all="ignore"):
            windows = [noise_of(column[k : k + 2 * REACH + 1]) for k in range(len(column) - 2 * REACH)]
            level = np.array(windows)
            found.append(np.max(level, axis=0, where=np.isfinite(level), initial=0.0))
    return found


def _finite(x: Any) -> Any:
    size = np.abs(x)
    return np.where(np.isfinite(size), size, 0.0)
