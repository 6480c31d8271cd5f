"""What an operator was asked to hold against the function itself: one direction against differences, and who reaches whom.

The engine's rules are held to differences by its tests; a rule that a user gave is not, and a function can take a plain number out
of a differentiated one by a way that nobody foresaw. So where the recording looks suspicious, one random direction is compared
with central differences at two steps. Differences decide only where the two agree with each other.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from dualdiff.errors import DerivativeMismatch, NoDerivativeError, RuleError, line_of_definition
from dualdiff.kinds import Discrete, Sweep
from dualdiff.passes.push import push
from dualdiff.reach import redone_if_not_finite
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tape import Tape
from dualdiff.values import TRACED, raw

STEP = 1e-4
"""The larger of the two steps, relative to the size of the point; the smaller is a quarter of it."""


def is_suspicious(tape: Tape) -> bool:
    """Whether a recording gives a reason to look closer.

    A result is plain beside others that are not, after a differentiated value left to Python.
    """
    plain = [slot < 0 for slot in tape.outputs]
    return any(plain) and not all(plain) and bool(tape.guards)


def _decides(tape: Tape) -> bool:
    """Whether a value that is constant but for jumps (``floor``, ``stop_gradient``) is computed with: differences see the jumps."""
    for row, ins, args, *_ in tape.equations:
        if isinstance(row, Discrete):
            continue
        for slot, a in zip(ins, args):
            if slot is not None and slot < 0 and dtype_of(a).kind in "fc":
                return True
    return False


def _entries(values: Sequence[Any]) -> Any:
    return np.concatenate([np.ravel(np.asarray(raw(v))) for v in values]) if values else np.zeros(0)


def examine(problem: Any, tape: Tape, values: Sequence[Any], differences: bool = True) -> None:
    """Compare the derivative along one random direction with central differences of the function, and a rule with what it says of itself.

    Parameters
    ----------
    problem : Problem
        The function at its point.
    tape, values
        Its recording, which can be replayed, and what it returned.
    differences : bool
        Whether the function itself is asked.

    Raises
    ------
    DerivativeMismatch
        If the differences at two steps agree with each other, and not with the derivative.
    RuleError
        If a rule that was given has two sides, and they are not each other's transpose, or a pattern without an entry that is there.
    """
    if differences:
        _compare(problem, tape, values)
    given = [equation for equation in tape.equations if equation[0].by_user]
    for row, ins, args, params, out, _ in given:
        said = None
        if not row.owner[0].examined:
            with suppress(Exception):  # a side that fails says so itself, where it is used
                said = _contradiction(row, ins, args, params, out)
        if said is not None:
            raise RuleError(f"{line_of_definition(row.owner[0].f)}: {said} check=False turns this comparison off.")
    for row, *_ in given:
        row.owner[0].examined = True  # not before: a rule that is wrong is found wrong whenever it is used


def _compare(problem: Any, tape: Tape, values: Sequence[Any]) -> None:
    """Compare the derivative along one direction with differences, unless they cannot tell."""
    if any(type(x) in TRACED for x in problem.inputs) or _decides(tape):
        return
    rng = np.random.default_rng(0)
    directions = [_direction(x, rng) for x in problem.inputs]
    try:
        tangents = redone_if_not_finite(lambda: push(tape, directions, tape.outputs, ()))
    except RuleError:  # a rule for the other mode alone, on purpose
        return
    call = copy.copy(problem.call)
    if not values:
        return
    eps = np.concatenate([np.full(size_of(shape_of(v)), np.finfo(dtype_of(v)).eps) for v in values])

    def at(h: float) -> Any:
        return _entries(call([_moved(x, v, h) for x, v in zip(problem.inputs, directions, strict=True)]))

    differences: list[Any] = []
    bars: list[Any] = []
    with suppress(Exception), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        here = at(0.0)
        if not np.array_equal(here, at(0.0), equal_nan=True):
            return  # another value at every call: differences tell nothing
        jumps = np.zeros(
            here.shape, bool
        )  # where the value here is no limit of those beside it: a branch is taken here alone
        for h in (STEP, STEP / 4):
            up, down = at(h), at(-h)
            differences.append((up - down) / (2 * h))
            jumps |= np.abs(up - 2 * here + down) > np.abs(up - down) + np.abs(here) * h
            bars.append(16 * eps * (np.abs(up) + np.abs(down)) / h)
            if np.array_equal(up, here) and np.array_equal(down, here):
                return  # steps too small to be seen, or a function that is meant to have another derivative than its own
    if len(differences) < 2:
        return  # outside of the domain
    found = _entries([np.zeros_like(v) if t is None else t for t, v in zip(tangents, values, strict=True)])
    coarse, fine = differences
    with np.errstate(all="ignore"):
        apart, bar = np.abs(coarse - fine), bars[1]
        size = np.maximum(np.abs(fine), np.abs(found))
        agree = np.isfinite(fine) & ~jumps & (apart <= 1e-3 * np.maximum(np.abs(fine), np.abs(coarse)) + bar)
        wrong = np.flatnonzero(agree & ~(np.abs(found - fine) <= 10 * apart + 10 * bar + 1e-5 * size))
    if len(wrong):
        i = int(wrong[np.argmax(np.abs(found - fine)[wrong])])
        name = getattr(problem.function, "__name__", "the function")
        raise DerivativeMismatch(
            f"{line_of_definition(problem.function)}: the derivative of {name} along a random direction is {found[i]:.9g} in entry {i} "
            f"of its results, but differences of the function give {coarse[i]:.9g} and {fine[i]:.9g}. A rule that was given is wrong "
            "(or meant to be another one), or a differentiated value became a plain one on its way: was what is kept for the plain number "
            "found in a cache? check=False turns this comparison off."
        )


LOOKS = 3
"""Rows of a declared pattern that are looked at."""


def _contradiction(row: Any, ins: Sequence[Any], args: Sequence[Any], params: Any, out: Any) -> str | None:
    """Return what is wrong where the two sides of a rule contradict each other, or the pattern that was declared of it."""
    live = [k for k, i in enumerate(ins) if i is not None and i >= 0 and dtype_of(args[k]).kind == "f"]
    if dtype_of(out).kind != "f" or any(type(x) in TRACED for x in (*args, out)):
        return None
    rng = np.random.default_rng(0)
    slack = 100 * float(np.finfo(dtype_of(out)).eps) ** 0.5  # differences of a black box have half of the digits

    def pushed(tangents: dict[int, Any]) -> Any:
        found = row.push(Sweep(()), [tangents.get(k) for k in range(len(args))], args, params, out)
        return np.zeros(shape_of(out)) if found is None else np.asarray(found)

    tangents = {k: _generic(args[k], rng) for k in live}
    if row.is_two_sided:
        w = _generic(out, rng)
        left = w * pushed(tangents)
        covectors = row.pull(Sweep(()), w, ins, args, params, out)
        right = [covectors[k] * t for k, t in tangents.items() if covectors[k] is not None]
        size = float(np.sum(np.abs(left)) + sum([np.sum(np.abs(r)) for r in right]))
        total, other = float(np.sum(left)), float(sum([np.sum(r) for r in right]))
        if abs(total - other) > slack * size:
            return (
                f"the two sides of the rule of {row.name} are not each other's transpose: the sum of w * (J v) is {total:.9g}, that of "
                f"(Jᵀ w) * v {other:.9g}, for a random v and w. One of them is wrong."
            )
    for k in live:
        pattern = row.entries(k, args, params, out)
        if pattern is None or not pattern.shape[0]:
            continue
        size = float(np.max(np.abs(pushed({k: tangents[k]})), initial=0.0))
        for i in rng.choice(pattern.shape[0], min(LOOKS, pattern.shape[0]), replace=False):
            beside = np.ones(pattern.shape[1])
            beside[pattern[[i]].nonzero()[1]] = 0.0  # all but what this entry of the result is said to depend on
            moved = np.abs(np.ravel(pushed({k: tangents[k] * np.reshape(beside, shape_of(args[k]))})))
            wrong = np.flatnonzero((pattern @ beside == 0) & (moved > slack * size))
            if len(wrong):
                return (
                    f"the pattern of {row.name} leaves entries out: entry {wrong[0]} of its result moves with entries of operand {k} that "
                    "it is not said to depend on."
                )
    return None


def _generic(x: Any, rng: Any) -> Any:
    shape = shape_of(x)
    return (rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.5, 1.5, size=shape)).astype(dtype_of(x))


def _direction(x: Any, rng: Any) -> Any:
    shape = shape_of(x)
    v = rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.5, 1.5, size=shape) * np.maximum(1.0, np.abs(x))
    return dtype_of(x).type(v) if not shape else v.astype(dtype_of(x))


def _moved(x: Any, v: Any, h: float) -> Any:
    moved = x + dtype_of(x).type(h) * v
    return float(moved) if type(x) is float else moved if shape_of(x) else np.asarray(moved, dtype_of(x))[()]


def check_strict(tape: Tape, count: int, names: Sequence[str]) -> None:
    """Raise unless every result depends on an argument, and every argument reaches a result.

    Raises
    ------
    NoDerivativeError
        If a result is a constant, or an argument reaches none.
    """
    plain = [i for i, s in enumerate(tape.outputs) if s < 0]
    if plain:
        raise NoDerivativeError(
            f"result {plain[0]} of the function (of {len(tape.outputs)}) depends on no argument that is differentiated, and strict=True "
            "was asked for. Perhaps it was kept from an earlier call, or computed of plain copies."
        )
    needed = set(tape.outputs)
    for slot, ins in reversed(list(enumerate(tape.operands, count))):
        if slot in needed:
            needed.update(s for s in ins if s is not None and s >= 0)
    lost = [names[i] for i in range(count) if i not in needed]
    if lost:
        raise NoDerivativeError(
            f"argument {lost[0]} reaches no result of the function, so its derivative is zero, and strict=True was asked for."
        )


__all__ = ["check_strict", "examine", "is_suspicious"]
