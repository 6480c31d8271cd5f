"""What is wrong at a point: the first step that is not finite, in value, partial or adjoint, and every kink or near-kink.

Findings are data: the function, the user's line, the entries and the operands' values there. Every row says itself where
its kinks are (``Primitive.distance``) and what to write instead; nothing here knows a row.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dualdiff.errors import DegenerateDirectionError, DegenerateError, line_of
from dualdiff.kinds import CAREFUL, Sweep
from dualdiff.passes.pull import pull
from dualdiff.reach import numbers
from dualdiff.shapes import Aval, dtype_of, shape_of
from dualdiff.tape import Tape
from dualdiff.values import raw

SHOWN = 4
"""So many entries are printed."""


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One thing that is wrong, or nearly so, at one step of a function.

    Attributes
    ----------
    function : str
        What is computed there, as NumPy calls it.
    kind : {"value", "partial", "adjoint", "kink", "near-kink", "error"}
        What is not finite; or that the function has no derivative of its own there, or hardly one; or that its derivative
        raised.
    line : str
        The user's file and line.
    source : str
        The text of that line, where the file can be read.
    entries : ndarray of int, shape (count, ndim)
        Where, in the result (for a kink in the array of what may tie: neighbours in sorted order, or reduced lanes).
    values : dict of int to ndarray
        By operand, its numbers at those entries; all of them where the shapes differ and the operand is small.
    convention : str
        What is taken for the derivative at a kink.
    advice : str
        What to write instead.
    distance : float
        How far from the kink the nearest entry is; 0 at it, NaN where no kink is spoken of.
    """

    function: str
    kind: str
    line: str
    source: str
    entries: Any
    values: dict[int, Any]
    convention: str
    advice: str
    distance: float = float("nan")

    def __str__(self) -> str:
        text = [f"{self.line}: {self.function} {_WHAT[self.kind]}{_at(self.entries)}"]
        if self.source:
            text.append(f"    {self.source}")
        if self.values:
            shown = ", ".join(f"operand {k}: {_brief(v)}" for k, v in self.values.items())
            text.append(f"  {shown}")
        if self.kind == "near-kink":
            text.append(f"  distance from the kink: {self.distance:.1e}")
        if self.convention:
            text.append(f"  taken for the derivative at the kink: {self.convention}")
        if self.advice:
            text.append(f"  instead: {self.advice}")
        return "\n".join(text)


_WHAT = {
    "value": "gives a value that is not finite",
    "partial": "has a derivative that is not finite",
    "adjoint": "hands on a covector that is not finite",
    "kink": "is evaluated exactly at a kink or tie",
    "near-kink": "is evaluated next to a kink or tie",
    "error": "has no derivative here",
}


def _at(entries: Any) -> str:
    if not len(entries) or not entries.shape[1]:
        return ""
    listed = ", ".join(str(int(e[0]) if len(e) == 1 else tuple(map(int, e))) for e in entries[:SHOWN])
    more = f" and {len(entries) - SHOWN} more" if len(entries) > SHOWN else ""
    return f" at {'entry' if len(entries) == 1 else 'entries'} {listed}{more}"


def _brief(v: Any) -> str:
    v = np.asarray(v).reshape(-1)
    text = ", ".join(f"{x:.6g}" for x in v[:SHOWN])
    return text if v.size == 1 else f"[{text}{', …' if v.size > SHOWN else ''}]"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What :func:`dualdiff.diagnose` found, in the order in which the function ran; it prints readably.

    Attributes
    ----------
    findings : tuple of Finding
        What is not finite first, then kinks. Empty where nothing is wrong.
    finite : bool
        Whether the derivative, with all conventions, is finite: what the findings name may never reach it.
    """

    findings: tuple[Finding, ...] = field(default=())
    finite: bool = True

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, i: int) -> Finding:
        return self.findings[i]

    def __str__(self) -> str:
        if not self.findings:
            return "nothing found: every value and derivative is finite, and no kink is near"
        end = (
            "The derivative is finite: what is not does not reach it."
            if self.finite
            else "The derivative is not finite."
        )
        odd = any(f.kind in ("value", "partial", "adjoint", "error") for f in self.findings)
        return "\n".join([*map(str, self.findings), *([end] if odd else [])])

    __repr__ = __str__


def _finding(tape: Tape, e: int, kind: str, mask: Any, **more: Any) -> Finding:
    """Say what is known of an equation, with the operands at the entries of a mask."""
    row, _, args, _, _, _ = tape.equation(e)
    place = tape.lines[e] if tape.lines else None
    line, source = "an unknown line", ""
    if place:
        line = line_of(*place)
        source = linecache.getline(place[0].co_filename, int(line.rpartition(" ")[2])).strip()
    mask = np.asarray(mask)
    entries = np.argwhere(mask)
    values = {}
    for k, a in enumerate(args):
        if type(a) is Aval or dtype_of(a).kind not in "biufc":
            continue
        a = np.asarray(raw(a))
        try:
            values[k] = np.broadcast_to(a, mask.shape)[mask]
        except ValueError:
            if a.size <= 8:
                values[k] = a
    name = more.pop("name", "") or row.name
    return Finding(name, kind, line, source, entries, values, **{"convention": "", "advice": row.advice} | more)


def _mattering(tape: Tape) -> list[bool]:
    """Return for each equation whether its result has a part in an output's derivative, or in a decision.

    The norm that is only squared has none: its square is differentiated through what stood under the root.
    """
    n = len(tape.inputs)
    needed = [False] * (n + len(tape))
    for s in (*tape.outputs, *[g.slot for g in tape.guards]):
        if s >= 0 or ~s < len(needed):
            needed[s if s >= 0 else ~s] = True
    for e in range(len(tape) - 1, -1, -1):
        if needed[n + e]:
            row, ins, *_ = tape.equation(e)
            for k, i in enumerate(ins):
                if i is None:
                    continue
                alone = [_THERE if j == k else None for j in range(len(ins))]
                if i < 0 or not row.differentiable or row.passes(alone):
                    needed[i if i >= 0 else ~i] = True
    return needed[n:]


_THERE: frozenset[Any] = frozenset((0,))
"""The form of a tangent that is there."""


def kinks_of(tape: Tape, tolerance: float) -> Iterator[Finding]:
    """Find the kinks and ties that a recorded function was evaluated at, or within a tolerance of.

    Parameters
    ----------
    tape : Tape
        A recording; what was recorded with ``replayable=True`` and ``lines=True`` says most.
    tolerance : float
        The largest distance that counts as near; 0 for exactly at a kink only.
    """
    matters = _mattering(tape) if any(row.kink is not None for row in tape.rows) else []
    for e, (row, ins, args, params, out, _) in enumerate(tape.equations):
        if (
            row.kink is None
            or not matters[e]
            or not any(i is not None and i >= 0 for i in ins)
            or any(type(a) is Aval for a in args)
        ):
            continue
        with np.errstate(all="ignore"):
            distance = row.distance([raw(a) for a in args], params, raw(out) if type(out) is not Aval else out)
            near = np.asarray(distance <= tolerance)
        if near.any():
            least = float(np.min(np.asarray(distance)[near]))
            if least == 0:
                near = np.asarray(np.equal(distance, 0))
            kink = row.kink
            yield _finding(
                tape,
                e,
                "kink" if least == 0 else "near-kink",
                near,
                convention=kink.convention,
                advice=kink.advice,
                distance=least,
                name=kink.name,
            )


def _odd(x: Any) -> Any:
    """Return where a value is not finite; None where it is everywhere, or is no number."""
    if type(x) is Aval or dtype_of(x).kind not in "fc":
        return None
    mask = ~np.isfinite(np.asarray(raw(x)))
    return mask if mask.any() else None


def _first_value(tape: Tape) -> Finding | None:
    for e, (_, _, args, _, out, _) in enumerate(tape.equations):
        mask = _odd(out)
        if mask is not None and all(_odd(a) is None for a in args):
            return _finding(tape, e, "value", mask)
    return None


def _odd_partial(tape: Tape, e: int) -> Any:
    """Push a direction of ones through one step by itself; return where the result is not finite, None where it is."""
    row, ins, args, params, out, _ = tape.equation(e)
    if not row.differentiable or row.shapes_only or row.kind == "movement" or any(type(a) is Aval for a in args):
        return None
    plain = [raw(a) for a in args]
    for k, i in enumerate(ins):
        if i is not None and i >= 0:
            ones = [np.ones_like(a)[()] if j == k else None for j, a in enumerate(plain)]
            try:
                with np.errstate(all="ignore"):
                    mask = _odd(row.push(Sweep(()), ones, plain, params, raw(out)))
            except DegenerateDirectionError:  # only covectors can tell
                return None
            if mask is not None:
                return mask
    return None


def _first_partial(tape: Tape) -> Finding | None:
    matters = _mattering(tape)
    for e, (_, _, args, _, out, _) in enumerate(tape.equations):
        if matters[e] and all(_odd(v) is None for v in (out, *args)) and (mask := _odd_partial(tape, e)) is not None:
            return _finding(tape, e, "partial", mask)
    return None


def _first_adjoint(tape: Tape) -> tuple[Finding | None, bool]:
    """Pull ones from the outputs; return the first step whose covector is not finite, and whether what arrives is finite."""
    seeds = [(s, np.ones(shape_of(f := tape.form(s)), dtype_of(f))[()]) for s in tape.outputs if s >= 0]
    n = len(tape.inputs)
    passed: list[int] = []
    met: list[tuple[int, Any]] = []

    def watcher(slot: int) -> Any:
        def look(g: Any) -> Any:
            passed.append(slot)
            mask = _odd(g)
            if mask is not None:
                met.append((slot, mask))
            return g

        return look

    def swept(careful: bool) -> list[Any]:
        met.clear()
        token = CAREFUL.set(careful)
        try:
            return [numbers(c) for c in pull(tape, seeds, watch={s: watcher(s) for s in range(n, n + len(tape))})]
        finally:
            CAREFUL.reset(token)

    try:
        found = swept(False)
        if any(c is not None and _odd(c) is not None for c in found):
            found = swept(True)
    except DegenerateError as error:
        e = passed[-1] - n
        return _finding(tape, e, "error", np.zeros(shape_of(tape.equation(e)[4]), bool), advice=str(error)), False
    bad = [*met, *[(s, mask) for s, c in enumerate(found) if c is not None and (mask := _odd(c)) is not None]]
    if not bad or bad[-1][0] >= n:  # nothing of it arrives
        return None, True
    slot, mask = bad[0]
    readers = [e for e, i in enumerate(tape.operands) if slot in i]  # one at least: an output starts with ones
    e = next((e for e in reversed(readers) if _odd_partial(tape, e) is not None), readers[-1])
    return _finding(tape, e, "adjoint", mask), False


def findings_of(tape: Tape, tolerance: float) -> Diagnosis:
    """Return everything that is wrong with a recorded run: see :func:`dualdiff.diagnose`.

    Parameters
    ----------
    tape : Tape
        A recording made with ``replayable=True`` and ``lines=True``.
    tolerance : float
        How near a kink counts.
    """
    adjoint, finite = _first_adjoint(tape)
    found = [f for f in (_first_value(tape), _first_partial(tape), adjoint) if f is not None]
    return Diagnosis((*found, *kinks_of(tape, tolerance)), finite)


def first_kink(tape: Tape) -> Finding | None:
    """Return the first step that was evaluated exactly at a kink or tie."""
    return next(kinks_of(tape, 0.0), None)


__all__: Sequence[str] = ["Diagnosis", "Finding", "findings_of", "first_kink", "kinks_of"]
