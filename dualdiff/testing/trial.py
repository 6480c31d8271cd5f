"""A derivative under test, held against the witness at one point, and at others that are drawn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dualdiff.operators import jvp, vjp
from dualdiff.testing.claims import Claim
from dualdiff.testing.line import Line, wide
from dualdiff.testing.mistakes import kind_of
from dualdiff.testing.place import Place
from dualdiff.testing.report import CheckError, Doubt
from dualdiff.testing.verdict import Allowed, Verdict, examine, judge_entries
from dualdiff.testing.witness import SAFETY, Estimate, complex_step, differences, glance
from dualdiff.trees import flatten

__all__ = ["Held", "Options", "hold", "hold_elsewhere"]

DRAWN_RTOL = 1e-5
"""At drawn points a derivative may be off by this share.

They are there for branches and operands that the first point does not show, where a mistake is a large one; and what iterates may
converge less well there.
"""
DRAWN_DIRECTIONS = 2
"""Directions at a drawn point."""
DRAWN_EVALUATIONS = 600
"""Evaluations after which no further point is begun; as many as the first point took, if that is more."""
WHOLE = 200
"""Columns up to which a wrong Jacobian at a drawn point is computed as a whole."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a check is told.

    Attributes
    ----------
    allowed : Allowed
        What a derivative may differ by.
    directions : int or None
        Random directions in place of columns.
    limit : int or None
        Evaluations of the function.
    seed : int
        Seed of all that is drawn.
    """

    allowed: Allowed
    directions: int | None = None
    limit: int | None = None
    seed: int = 0


@dataclass(slots=True)
class Held:
    """What came of a derivative at one point: entry by entry, a column for every direction."""

    place: Place
    names: list[str | None] = field(default_factory=list)
    directions: list[Any] = field(default_factory=list)
    given: list[Any] = field(default_factory=list)
    found: list[Any] = field(default_factory=list)
    errors: list[Any] = field(default_factory=list)
    verdicts: list[Any] = field(default_factory=list)
    truths: list[Estimate] = field(default_factory=list)
    evaluations: int = 0
    spent: bool = False
    columns: int | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict on all of it."""
        if any((v == "disagree").any() for v in self.verdicts):
            return "disagree"
        return "inconclusive" if self.spent or any((v == "inconclusive").any() for v in self.verdicts) else "agree"

    @property
    def methods(self) -> str:
        """How the witness knew."""
        told = dict.fromkeys(m for t in self.truths for m in t.method.split(" and "))
        return " and ".join(sorted(told)) or "nothing"


def hold(claim: Claim, place: Place, options: Options) -> Held:
    """Hold a derivative against the witness at one point, column by column, or along random directions.

    From the first disagreement on, other columns are only glanced at, to tell what kind of mistake it is.
    """
    rng = np.random.default_rng(options.seed)
    with np.errstate(all="ignore"):
        along = claim.at(place, rng)
    held = Held(place)
    n = place.shape[1]
    seeds: list[tuple[str | None, Any]]
    if options.directions is None:
        seeds = [(place.column(j), place.unit(j)) for j in range(n)]
        held.columns = n
        if place.is_complex:
            sizes = np.concatenate([np.full(x.size, x.dtype.kind == "c") for x in place.inputs])
            seeds += [(place.column(j), place.unit(j, True)) for j in range(n) if sizes[j]]
    else:
        seeds = [(None, place.random(rng)) for _ in range(options.directions if n else 0)]
    here = place.call([wide(x)[()] for x in place.inputs]) if place.shape[1] else []
    held.evaluations += 1
    wrong = False
    for name, v in seeds:
        left = None if options.limit is None else options.limit - held.evaluations
        if left is not None and left <= 0:
            held.spent = True
            break
        line = Line(place.call, place.inputs, place.split(v), left, here)
        with np.errstate(all="ignore"):
            claims = along(v)
        step = float(np.max(np.abs(v)))
        atol = options.allowed.atol * float(np.sum(np.abs(v)))
        allowed = replace(options.allowed, atol=atol, reach=min(1.0, step))
        if wrong and name is not None:
            truth = glance(line, allowed.noise)
            verdicts = [judge_entries(c, truth, i, allowed) for i, c in enumerate(claims)]
        else:
            verdicts, truth = examine(line, claims, allowed)
        kinked = any(np.isfinite(k).any() for k in truth.kinks)
        for c, u in zip(claims, verdicts, strict=True):
            if kinked:  # where one entry has a kink the others follow a convention: of a tie, which is sorted first
                u[u == "disagree"] = "inconclusive"
            if any((w == "inconclusive").any() for w in verdicts):  # and a rule may say nan of others
                u[(u == "disagree") & ~np.isfinite(c)] = "inconclusive"
        wrong |= any((u == "disagree").any() for u in verdicts)
        size = step if name is not None else 1.0
        held.names.append(name)
        held.directions.append(v)
        held.given.append(_flat(claims) / size)
        held.found.append(_flat(truth.values) / size)
        held.errors.append(SAFETY * np.abs(_flat(truth.errors)) / size)
        held.verdicts.append(_flat(verdicts))
        held.truths.append(truth)
        held.evaluations += line.evaluations
        held.spent |= line.spent
        if wrong and name is None:
            break
    return held


def _flat(arrays: Sequence[Any]) -> Any:
    return np.concatenate([np.ravel(a) for a in arrays]) if arrays else np.zeros(0)


@dataclass(slots=True)
class Elsewhere:
    """What came of the drawn points."""

    agreed: int = 0
    undecided: int = 0
    outside: int = 0
    refused: int = 0
    evaluations: int = 0
    stopped: bool = False

    def __str__(self) -> str:
        parts = [f"{self.agreed} agree"]
        for count, what in (
            (self.undecided, "inconclusive"),
            (self.outside, "outside the domain"),
            (self.refused, "where the derivative raises"),
        ):
            if count:
                parts.append(f"{count} {what}")
        if self.stopped:
            parts.append("then the evaluations ran out")
        return f"drawn points: {', '.join(parts)}"


def hold_elsewhere(
    claim: Claim,
    f: Callable[..., Any],
    argnums: Sequence[int],
    points: Iterable[tuple[Any, ...]],
    options: Options,
    first: Held,
) -> Elsewhere:
    """Hold a derivative at other points, along a few directions each; raise where it is wrong."""
    __tracebackhide__ = True
    allowed = replace(options.allowed, rtol=max(options.allowed.rtol, DRAWN_RTOL))
    total = max(DRAWN_EVALUATIONS, first.evaluations) if options.limit is None else options.limit - first.evaluations
    told = Elsewhere()
    for k, args in enumerate(points):
        if told.evaluations >= total:
            told.stopped = True
            break
        try:
            with np.errstate(all="ignore"):
                place = Place(f, args, argnums)
            told.evaluations += 1
        except Exception:  # whatever the function says of a point that it does not like
            told.outside += 1
            continue
        if not all(np.isfinite(y).all() for y in place.outputs) or not place.shape[0]:
            told.outside += 1
            continue
        few = None if place.shape[1] <= DRAWN_DIRECTIONS else DRAWN_DIRECTIONS
        left = None if options.limit is None else total - told.evaluations
        asked = Options(allowed, few, left, options.seed + k + 1)
        try:
            held = hold(claim, place, asked)
        except CheckError as e:
            raise CheckError(f"{e}\nat the drawn point {place.shown()}") from None
        except Exception:  # it may not be defined where the function is
            told.refused += 1
            continue
        told.evaluations += held.evaluations
        if held.verdict == "disagree" and few is not None and place.shape[1] <= WHOLE:
            place.covectors = None
            held = hold(claim, place, Options(allowed, None, None, asked.seed))
        if held.verdict == "disagree":
            raise CheckError(complaint(claim, held, first, drawn=True))
        if held.verdict == "agree":
            told.agreed += 1
        else:
            told.undecided += 1
    return told


def complaint(claim: Claim, held: Held, first: Held | None = None, drawn: bool = False) -> str:
    """Say which entry is wrong, what all witnesses say of it, and what kind of mistake the whole of the Jacobian is."""
    place = held.place
    k, i = _worst(held)
    name = held.names[k]
    given, found, error = held.given[k][i], held.found[k][i], held.errors[k][i]
    if name is None or place.covectors is not None:
        where = f"{name}" if name is not None else "a random direction"
        what = f"the derivative along {where} is {_plain(given)}"
    else:
        j = _column_of(held, k)
        what = f"{place.name(i, j)} is {_plain(given)}"
        if np.iscomplexobj(held.directions[k]) and np.imag(held.directions[k][j]) != 0:
            what = f"the derivative of {place.name(i, j)} along the imaginary axis is {_plain(given)}"
    lines = [f"{claim.name}: {what}; {', '.join(_witnesses(held, k, i, found, error))}"]
    kind = _kind(held)
    if first is not None and held is not first and _kept(first, held):
        kind = "it is the Jacobian of the first point, kept from an earlier call"
    if kind:
        lines.append(kind)
    kink = held.truths[k].kinks
    slopes = _flat_kinks(kink)[:, i] if kink else np.full(2, np.nan)
    size = _step(held, k)
    if np.isfinite(slopes).all():
        lines.append(
            f"a kink is here: the slope is {_plain(slopes[0] / size)} on the left, {_plain(slopes[1] / size)} on the right"
        )
    at = f"at the drawn point {place.shown()}" if drawn else f"at {place.shown()}"
    lines.append(at + (" (domain= says which points are meant)" if drawn else ""))
    return "\n".join(lines)


def _worst(held: Held) -> tuple[int, int]:
    """Return the first entry, among those most wrong in proportion."""
    best, at = -1.0, (0, 0)
    for k, verdicts in enumerate(held.verdicts):
        for i in np.flatnonzero(verdicts == "disagree"):
            given, found = held.given[k][i], held.found[k][i]
            share = abs(given - found) / max(abs(given), abs(found)) if np.isfinite(given) else np.inf
            if share > 2 * best or (best < 0):
                best, at = share, (k, int(i))
    return at


def _column_of(held: Held, k: int) -> int:
    return int(np.flatnonzero(held.directions[k])[0])


def _step(held: Held, k: int) -> float:
    return float(np.max(np.abs(held.directions[k]))) if held.names[k] is not None else 1.0


def _witnesses(held: Held, k: int, i: int, found: Any, error: Any) -> list[str]:
    """Return what every witness says of an entry, each by itself."""
    place, v, size = held.place, held.directions[k], _step(held, k)
    told = []
    parts = place.split(v)
    slow = differences(place.call, place.inputs, parts)
    d, e = _flat(slow.values)[i] / size, SAFETY * _flat(slow.errors)[i] / size
    told.append(
        f"by differences {_plain(d)} ± {e:.1g}" if np.isfinite(e) else f"by differences {_plain(found)} ± {error:.1g}"
    )
    quick = complex_step(place.call, place.inputs, parts)
    if quick is not None:
        told.append(f"by the complex step {_plain(_flat(quick.values)[i] / size)}")
    if place.covectors is None:
        told += _by_modes(place, parts, i, size)
    return told


def _by_modes(place: Place, parts: list[Any], i: int, size: float) -> list[str]:
    """Return what forward and reverse mode say, where the function can be differentiated by them."""

    def f(*leaves: Any) -> Any:
        return place.f(*place.arguments(leaves))

    leaves = [x.astype(float)[()] if x.dtype.kind in "iub" else x[()] for x in place.inputs]
    directions = [
        p.astype(x.dtype if x.dtype.kind in "fc" else float)[()] for p, x in zip(parts, place.inputs, strict=True)
    ]
    told = []
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tangent = [np.ravel(t) for t in flatten(jvp(f, tuple(leaves), tuple(directions))[1])[0]]
            told.append(f"by forward mode {_plain(np.concatenate(tangent)[i] / size)}")
            value, pull = vjp(f, *leaves)
            outputs, build = flatten(value)
            flat = np.zeros(sum(np.size(y) for y in outputs))
            flat[i] = 1.0
            seeds, at = [], 0
            for y in outputs:
                seeds.append(flat[at : at + np.size(y)].reshape(np.shape(y)).astype(np.asarray(y).dtype)[()])
                at += np.size(y)
            if place.is_complex or any(np.iscomplexobj(y) for y in outputs):
                return told
            row = sum(np.sum(c * d) for c, d in zip(pull(build(seeds)), directions, strict=True))
            told.append(f"by reverse mode {_plain(row / size)}")
    except Exception:  # a function that cannot be traced has the other witnesses
        return told
    return told


def _kind(held: Held) -> str:
    """Return the kind of mistake, where all columns are there."""
    m, n = held.place.shape
    if held.columns is None or held.place.covectors is not None or len(held.given) < n:
        return ""
    if not any((v == "disagree").any() for v in held.verdicts[:n]):
        return "the derivative along the imaginary axis is wrong, that along the real one is right: is a conjugate missing?"
    given, found = np.array(held.given[:n]).T, np.array(held.found[:n]).T
    errors, wrong = np.array(held.errors[:n]).T, np.array([v == "disagree" for v in held.verdicts[:n]]).T
    with np.errstate(all="ignore"):
        return kind_of(given.reshape(m, n), found.reshape(m, n), errors.reshape(m, n), wrong.reshape(m, n))


def _kept(first: Held, held: Held) -> bool:
    """Whether the same matrix is given here as at the first point."""
    if first.columns is None or held.columns is None or first.place.shape != held.place.shape:
        return False
    n = held.place.shape[1]
    if len(first.given) < n or len(held.given) < n:
        return False
    a, b = np.array(first.given[:n]), np.array(held.given[:n])
    return bool(a.any() and np.array_equal(a, b) and not np.allclose(first.found[:n], held.found[:n], rtol=1e-6))


def _flat_kinks(kinks: Sequence[Any]) -> Any:
    return np.concatenate([np.reshape(k, (2, -1)) for k in kinks], axis=1)


def doubts_of(held: Held) -> list[Doubt]:
    """Say of every undecided entry how wide its error bar is, why, and what to do."""
    found = []
    for k, verdicts in enumerate(held.verdicts):
        truth = held.truths[k]
        for i in np.flatnonzero(verdicts == "inconclusive"):
            name = held.names[k]
            if name is None or held.place.covectors is not None:
                entry = "a random direction" if name is None else name
            else:
                entry = held.place.name(int(i), _column_of(held, k))
            why, advice = _reason(held, k, int(i), truth)
            found.append(Doubt(entry, held.given[k][i], held.found[k][i], float(held.errors[k][i]), why, advice))
    return found


def _reason(held: Held, k: int, i: int, truth: Estimate) -> tuple[str, str]:
    size = _step(held, k)
    error, value = held.errors[k][i], held.found[k][i]
    slopes = _flat_kinks(truth.kinks)[:, i] / size if truth.kinks else np.full(2, np.nan)
    if np.isfinite(slopes).all():
        return (
            f"a kink, with the slope {_plain(slopes[0])} on the left and {_plain(slopes[1])} on the right",
            "check at a point beside it",
        )
    if truth.spent:
        return "the allowed evaluations ran out", "raise max_evaluations=, or take fewer directions="
    if not np.isfinite(error):
        return "the function is not defined or not finite close by", "check at a point farther inside its domain"
    if abs(held.given[k][i] - value) > error:
        return (
            "steps of different length, or the complex step, say different things",
            "if the function iterates until a tolerance is met, give that as noise= or rtol=",
        )
    return (
        f"the function is too rough here to know the derivative to better than ± {error:.1g}",
        "give what is known of its noise as noise=, or check at a point farther from kinks and jumps",
    )


def _plain(x: Any) -> str:
    """Return a number as Python writes it."""
    return repr(complex(x)) if np.iscomplexobj(x) and np.imag(x) != 0 else repr(float(np.real(x)))
