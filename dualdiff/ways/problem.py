"""A function of flat leaves at a point, and what every way does with it: run it, record it, seed it, sweep, put together.

Of every operation that several ways share there is one here: running the user's function, redoing a pass the careful way,
unit seeds, directions side by side, the zeros of outputs that depend on nothing.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from contextvars import Token
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import scipy

from dualdiff.capture import Captures, RunAgain, captured_runs
from dualdiff.containers import plain
from dualdiff.dual import Dual, Pushing
from dualdiff.errors import (
    NOTES,
    DegenerateDirectionError,
    DerivativeError,
    InputError,
    NoDerivativeWarning,
    forgive,
    outside,
    raised_by_user,
    where,
)
from dualdiff.kinds import CAREFUL
from dualdiff.kinds.base import SUSPECTS
from dualdiff.passes import kinks
from dualdiff.passes.pull import pull
from dualdiff.passes.push import push
from dualdiff.reach import numbers, redone_if_not_finite
from dualdiff.shapes import aval, dtype_of, shape_of, size_of
from dualdiff.tangents import ONE, Columns, seed
from dualdiff.tape import Tape, Var, frozen
from dualdiff.values import (
    EQUAL,
    FOUND,
    HOLDERS,
    LEVELS,
    PLAIN_TYPES,
    TRACED,
    Traced,
    alive,
    native,
    packed,
    raw,
)
from dualdiff.ways.examination import check_strict, examine, is_suspicious
from dualdiff.ways.foreign import translated


@dataclass(slots=True, eq=False)  # not frozen: that would cost every call two microseconds
class Problem:
    """A function of flat, floating-point leaves that returns flat leaves. Nobody writes into one.

    ``call(leaves)`` runs the user's function and returns its flat outputs (and remembers their structure).
    """

    call: Callable[[list[Any]], list[Any]]
    inputs: list[Any]
    function: Any = None
    captures: Captures | None = None
    check: bool | str = "auto"
    strict: tuple[str, ...] | None = None
    #: whether a rule runs it inside a pass, so that the operator around it says what is to be said
    inner: bool = False
    #: what its latest run looked up, or compared, and found equal to a plain number (FOUND, EQUAL)
    found: frozenset[int] = frozenset()

    @property
    def n(self) -> int:
        """The number of inputs, counted as scalars."""
        return sum([size_of(shape_of(x)) for x in self.inputs])


_EQUALS = (FOUND, EQUAL)
"""What a run notes of differentiated values that are equal to plain ones."""


def run_user(
    problem: Problem, run: Any, leaves: list[Any], tidied: Callable[[Sequence[Any]], list[Any]] | None = None
) -> list[Any]:
    """Run the user's function, with its modules captured as far as is known, and tidy its outputs (by :func:`outputs_of`).

    Whatever the outcome, what went wrong meanwhile decides: the function may have caught our error, and NumPy wraps it in
    one of its own.

    Raises
    ------
    RunAgain
        If a traced value stumbled into code that can be captured, and is from now on.
    """
    if kinks.SETTING.get() == kinks.RAISE:
        kinks.check(kinks.unchecked(lambda: record(problem, replayable=True, lines=True))[0])
    captures, notes = problem.captures, run.notes
    tidied = tidied or outputs_of
    token = NOTES.set(notes)
    failed: Exception | None = None
    found = None
    try:
        if captures is None or not captures.anything:
            found = tidied(problem.call(leaves))
        else:
            found = captures.call(problem.function, lambda given: tidied(problem.call(given)), leaves)
    except DerivativeError as e:
        failed = e
    except Exception as e:
        outermost = token.old_value in (None, Token.MISSING)
        failed = e if notes or raised_by_user(e) else translated(e, partial(_is_plain, problem, e, outermost))
    finally:
        NOTES.reset(token)
    if notes:
        if captures is not None and captures.learn(notes, problem.function):
            raise RunAgain(next(e for e in notes if e.stumble is not None))
        if not isinstance(failed, DerivativeError) and not (failed is not None and raised_by_user(failed)):
            failed = notes[-1]
    if run.keys is not None and captures is not None:
        same = {k for k in _EQUALS if k in run.keys}
        # A derivative that is missing altogether is warned of. What was looked up may have been stored since.
        if EQUAL in same and (
            failed is not None
            or not any(type(v) in TRACED for v in found)  # type: ignore[union-attr]
            or captures.trusts(problem.function)
        ):
            same.discard(EQUAL)
        problem.found |= same
    if failed is None:
        for v in found:  # type: ignore[union-attr]
            if type(v) in TRACED and v.run is run:
                break
        else:
            warn_of_nothing(problem, run, found)  # type: ignore[arg-type]
    else:
        outer = NOTES.get()
        SUSPECTS.found.clear()  # a rule that was given and failed says so itself
        if outer is not None and isinstance(failed, DerivativeError) and failed not in outer:
            outer.append(failed)
        raise failed
    return found  # type: ignore[return-value]


def _is_plain(problem: Problem, error: Exception, outermost: bool) -> bool:
    """Whether a function raises an error on plain values as well, as of an argument that is wrong whatever it is given.

    That is known of the ``outermost`` function: one inside another operator may close over differentiated values.
    """
    if not outermost:
        return False
    call = copy.copy(problem.call)  # which remembers of the last run what its results look like
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call([np.copy(raw(x))[()] for x in problem.inputs])
    except Exception as e:
        return type(e) is type(error) and str(e) == str(error)
    return False


def warn_of_nothing(problem: Problem, run: Any, found: Sequence[Any]) -> None:
    """Warn where no result carries a derivative although the function read its argument.

    A result that is not finite says by itself that the point lies outside of the domain. A function inside another operator
    may well be constant in its own argument, and so may a derivative, which another pass computes.
    """
    if (
        NOTES.get() is not None
        or problem.inner
        or not problem.n
        or problem.function is None
        or LEVELS.here.latest != run.level
    ):
        return
    if problem.captures is not None and FOUND in problem.found and problem.check is not False:
        return  # it is held against differences, which say more
    if not found or not all(type(v) in PLAIN_TYPES and bool(np.all(np.isfinite(v))) for v in found):
        return
    if type(run) is not Tape:  # dual numbers leave no trace: a recording, once a function, says whether it was read
        captures = problem.captures
        if captures is not None and not captures.seen_constant:
            captures.seen_constant = True
            _record(problem, False, False)
    elif run.was_read:
        name = getattr(problem.function, "__name__", "the function")
        warnings.warn(
            f"no result of {name} depends on what it is differentiated by, although it read that: all derivatives are zero. Perhaps it "
            "returns a result kept from an earlier call (a cache, an attribute of the object), or one computed of plain copies, or "
            "the branch taken is constant. If the zero is meant, return dd.stop_gradient of the result; strict=True raises instead.",
            NoDerivativeWarning,
            stacklevel=outside(),
        )


def outputs_of(values: Sequence[Any]) -> list[Any]:
    """Check and tidy what a function returned: arrays of numbers, traced or constant."""
    out = []
    for v in values:
        v = alive(plain(v) if type(v) in TRACED else packed(native(v)))
        if type(v) in TRACED:
            if v.link is not None:
                v.link.refresh(v)
            if dtype_of(v).kind in "biu":
                raise InputError(_discrete(v))
        elif type(v) in HOLDERS:
            raise InputError(
                f"{where()}: the function returned a sparse matrix of numbers that are being differentiated; return its nonzeros "
                "J.data, a product J @ x, or J.toarray()"
            )
        elif isinstance(v, (str, bytes)) or not (np.isscalar(v) or hasattr(v, "dtype")):
            raise InputError(
                f"{where()}: the function returned a {type(v).__name__!r}; return numbers, arrays, or tuples, lists and dicts of them"
            )
        elif type(v) is int or type(v) is bool:
            v = float(v)
        elif dtype_of(v).kind in "biu":  # forward mode cannot tell a decision from a constant, so neither mode does
            raise InputError(_discrete(v))
        elif dtype_of(v).kind not in "fc":
            raise InputError(
                f"{where()}: the function returned an array of dtype {dtype_of(v)}, which has no derivative"
            )
        out.append(v)
    return out


def _discrete(v: Any) -> str:
    return (
        f"{where()}: the function returned a value of dtype {dtype_of(v)}: such a value has no derivative. "
        "If its zero derivative is meant, return it as a float (.astype(float))."
    )


def peel(v: Any, run: Any) -> Any:
    """Return the value under one level."""
    return v.value if isinstance(v, Traced) and v.run is run else v


def record(problem: Problem, replayable: bool = False, lines: bool = False) -> tuple[Tape, list[Any]]:
    """Write one run of a problem on a tape; return the tape and the plain outputs. ``tape.outputs`` holds their slots."""
    found = captured_runs(problem, lambda: _record(problem, replayable, lines), 1)
    if _is_to_be_looked_at(problem, problem.captures):
        _look_closer(problem, found[0], [slot < 0 for slot in found[0].outputs])
    return found


def _is_to_be_looked_at(problem: Problem, captures: Captures | None) -> bool:
    """Whether a run gives a reason to hold the function against differences, or is the first one."""
    if SUSPECTS.found or problem.found or problem.check is True or problem.strict is not None:
        return True
    return captures is not None and not captures.examined


def _look_closer(problem: Problem, tape: Tape | None, plain: Sequence[bool]) -> None:
    """Hold a function against differences where its first recording looks suspicious, or where that was asked for."""
    if NOTES.get() is not None or problem.inner or getattr(problem.call, "examined", False):
        return
    captures = problem.captures
    asked = problem.check is True or problem.strict is not None
    given = list(SUSPECTS.found)
    suspected = bool(given) and problem.check is not False
    differences = problem.check is True or not all(f.trusted for f in given)
    SUSPECTS.found.clear()
    by_key = captures is not None and bool(problem.found) and problem.check is not False
    problem.found = frozenset()
    if captures is not None and not captures.examined:
        captures.examined = True
        if problem.check is not False and any(plain) and not all(plain):
            tape = tape or captured_runs(problem, lambda: _record(problem, False, False), 1)[0]
            differences |= is_suspicious(tape)
            suspected |= differences
    if not (asked or suspected or by_key):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDerivativeWarning)  # the run that is looked at has said so
        tape, values = captured_runs(problem, lambda: _record(problem, True, False), 1)
    SUSPECTS.found.clear()
    problem.found = frozenset()
    problem.call.examined = True  # type: ignore[attr-defined]  # an operator's: others are not examined
    if problem.strict is not None:
        check_strict(tape, len(problem.inputs), problem.strict)
    if problem.check is True or suspected or by_key:
        meant = any(
            row.by_user and row.owner[0].trusted for row in tape.rows
        )  # another derivative than the function's, perhaps
        try:
            examine(problem, tape, values, differences or (by_key and not meant))
        except DerivativeError:  # it is looked at again, and found wrong again
            if captures is not None:
                captures.examined = False
            raise
    if by_key:
        captures.trust(problem.function)  # type: ignore[union-attr]


def _record(problem: Problem, replayable: bool, lines: bool) -> tuple[Tape, list[Any]]:
    tape = Tape(replayable, lines)
    try:
        results = run_user(problem, tape, [tape.add_input(x) for x in problem.inputs])
    finally:
        tape.close()
    # A constant says how many entries it has: the rows of the Jacobian after it depend on that.
    tape.outputs = [v.mark if type(v) is Var and v.run is tape else -1 - size_of(shape_of(v)) for v in results]
    return tape, [peel(v, tape) for v in results]


def apart(found: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """Return derivatives that share no memory with the seeds the user gave, nor with one another."""
    out: list[Any] = []
    for c in found:
        if type(c) is np.ndarray and any(type(o) is np.ndarray and np.may_share_memory(c, o) for o in (*given, *out)):
            c = c.copy()
        out.append(c)
    return out


def push_columns(tape: Tape, seeds: Sequence[Any], lead: tuple[int, ...]) -> list[Any]:
    """Push through a replayable tape to its outputs, and push again the careful way if the result is not finite."""
    try:
        return redone_if_not_finite(lambda: push(tape, seeds, tape.outputs, lead))
    except DegenerateDirectionError as e:
        forgive(e)
        return _pushed_by_rows(tape, seeds, lead)


def _pushed_by_rows(tape: Tape, seeds: Sequence[Any], lead: tuple[int, ...]) -> list[Any]:
    """Return what a push would, by the rows of the Jacobian: where the covectors must say whether there is a derivative."""
    found: list[Any] = []
    for slot in tape.outputs:
        total = None
        if slot >= 0:
            form = aval(tape.form(slot))
            m, shape, dtype = size_of(form.shape), form.shape, form.dtype
            unit = np.eye(m, dtype=dtype).reshape((m, *shape))
            total = _along_rows(tape, slot, unit, seeds, lead)
            if total is not None and dtype.kind == "c":
                total = total + 1j * _along_rows(tape, slot, 1j * unit, seeds, lead)
            total = None if total is None else np.reshape(total, lead + shape)
        found.append(total)
    return found


def _along_rows(tape: Tape, slot: int, covectors: Any, seeds: Sequence[Any], lead: tuple[int, ...]) -> Any:
    """Pull covectors of a slot, and return their real products with the seeds; None where nothing meets."""
    m = len(covectors)
    rows = redone_if_not_finite(lambda: pull(tape, [(slot, covectors)], (m,)))
    total = None
    for c, t, form in zip(rows, seeds, tape.inputs, strict=True):
        if c is not None and t is not None:
            n = size_of(form.shape)
            part = np.real(np.reshape(t, (*lead, n)) @ np.conjugate(np.reshape(c, (m, n))).T)
            total = part if total is None else total + part
    return total


def pull_rows(
    problem: Problem, tape: Tape, seeds: Sequence[tuple[int, Any]], lead: tuple[int, ...], at_once: bool = False
) -> list[Any]:
    """Pull, and pull again the careful way if the result is not finite; name the user's line if a rule fails.

    ``at_once`` says that the call that recorded the tape has not returned yet: what a pass inside it wrote may then be
    recorded once more, the careful way.
    """

    def anew(lines: bool = False) -> list[Any]:
        again, _ = record(problem, lines=lines)
        slot = dict(zip(tape.outputs, again.outputs, strict=True))
        return pull(again, [(slot[s], c) for s, c in seeds], lead)

    def compute() -> list[Any]:
        return anew() if at_once and tape.nested and CAREFUL.get() else pull(tape, seeds, lead)

    try:
        return redone_if_not_finite(compute)
    except Exception as error:
        failed = error
    anew(lines=True)  # fails in the same way, and names the line
    raise failed


def run_duals(
    problem: Problem,
    tangents: Sequence[Any],
    lead: tuple[int, ...],
    finish: Callable[[Any, Any, Pushing], Any] | None = None,
    most: int | None = None,
) -> tuple[list[Any], list[Any]]:
    """Run a problem on dual numbers; return its plain outputs and their tangents (None for none).

    ``finish(tangent, value, run)`` puts a tangent into the form wanted. The run is repeated the careful way if one is not finite.
    ``most`` is how many elements an array of all directions may have.
    """
    values: list[Any] = []

    def compute() -> list[Any]:
        values[:], found = _run_duals(problem, tangents, lead, finish, most)
        return found

    try:
        return values, redone_if_not_finite(compute)
    except DegenerateDirectionError as e:
        forgive(e)
        return _duals_by_rows(problem, tangents, lead, finish, most)


def _duals_by_rows(
    problem: Problem, tangents: Sequence[Any], lead: tuple[int, ...], finish: Any, most: int | None
) -> tuple[list[Any], list[Any]]:
    """Do the work of :func:`run_duals` from a tape read backwards."""
    run = Pushing(lead, most)
    tape, values = record(problem)
    seeds = [None if t is None else numbers(run.dense(t, x)) for t, x in zip(tangents, problem.inputs)]
    found = _pushed_by_rows(tape, seeds, lead)
    if finish is not None:
        found = [t if t is None else finish(t, v, run) for t, v in zip(found, values)]
    return values, found


def _run_duals(
    problem: Problem, tangents: Sequence[Any], lead: tuple[int, ...], finish: Any, most: int | None
) -> tuple[list[Any], list[Any]]:
    found = captured_runs(problem, lambda: _run_duals_once(problem, tangents, lead, finish, most), 0)
    if _is_to_be_looked_at(problem, problem.captures):
        _look_closer(problem, None, [t is None for t in found[1]])
    return found


def _run_duals_once(
    problem: Problem, tangents: Sequence[Any], lead: tuple[int, ...], finish: Any, most: int | None
) -> tuple[list[Any], list[Any]]:
    run = Pushing(lead, most)
    try:
        results = run_user(problem, run, [run.start(frozen(x), t) for x, t in zip(problem.inputs, tangents)])
    finally:
        run.close()
    values, found = [], []
    for v in results:
        if type(v) is Dual and v.run is run:
            values.append(v.value)
            t = run.finished(v)
            found.append(t if finish is None else finish(t, v.value, run))
        else:
            values.append(v)
            found.append(None)
    return values, found


# --------------------------------------------------------------------------------------------------
# seeds, and what comes back


def seeds(leaves: Sequence[Any], lo: int, hi: int, colors: Any = None) -> list[Any]:
    """Return for each leaf the directions ``lo`` to ``hi``: one where an entry has the colour, None where none has.

    Without colours every entry has its own: rows of the identity.
    """
    found: list[Any] = []
    offset, k = 0, hi - lo
    for x in leaves:
        shape, dtype = shape_of(x), dtype_of(x)
        size = size_of(shape)
        if colors is None and lo == offset and k == size:
            found.append(np.eye(size, dtype=dtype).reshape((k, *shape)))
        else:
            if colors is None:
                at = np.arange(max(lo - offset, 0), max(min(hi - offset, size), 0))
                directions = at + (offset - lo)
            else:
                mine = colors[offset : offset + size] - lo
                at = np.flatnonzero((mine >= 0) & (mine < k))
                directions = mine[at]
            if len(at):
                rows = np.zeros((k, size), dtype)
                rows[directions, at] = 1
                found.append(rows.reshape((k, *shape)))
            else:
                found.append(None)
        offset += size
    return found


def apiece(rows: Any, leaves: Sequence[Any]) -> list[Any]:
    """Cut rows of all entries, (k, entries), into a batch for each leaf."""
    parts, at = [], 0
    for x in leaves:
        size = size_of(shape_of(x))
        part = np.ascontiguousarray(rows[:, at : at + size], dtype=dtype_of(x))
        parts.append(part.reshape((len(rows), *shape_of(x))))
        at += size
    return parts


def side_by_side(found: Sequence[Any], leaves: Sequence[Any], k: int) -> Any:
    """Return tangents or cotangents of all leaves, None for zeros, as one array (k, entries)."""
    flat = [
        np.zeros((k, size_of(shape_of(a))), dtype_of(a)) if t is None else np.reshape(t, (k, size_of(shape_of(a))))
        for t, a in zip(found, leaves, strict=True)
    ]
    return flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1) if flat else np.zeros((k, 0))


def chunks(count: int, chunk: int | None) -> list[tuple[int, int]]:
    """Return where chunks of directions begin and end."""
    step = min(chunk or count, count)
    return [(a, min(a + step, count)) for a in range(0, count, step)] if count else []


@lru_cache(maxsize=32)
def directions(offset: int, shape: tuple[int, ...]) -> Any:
    """Return the directions of the identity's entries on one leaf: the same array every time, so its maps compare quickly."""
    size = size_of(shape)
    positions = np.arange(offset + 1, offset + size + 1, dtype=np.int32 if offset + size < 1 << 31 else np.int64)
    positions.flags.writeable = False
    return positions.reshape(shape)


def identity(leaves: Sequence[Any], lo: int = 0, hi: int | None = None) -> list[Any]:
    """Return the identity's rows on every leaf, or those from ``lo`` to ``hi``, as terms: the direction of each of its entries.

    A leaf that none of them reaches has None.
    """
    found: list[Any] = []
    offset = 0
    for x in leaves:
        shape = shape_of(x)
        size = size_of(shape)
        if hi is not None and (offset >= hi or offset + size <= lo):
            found.append(None)
        elif not shape:
            found.append(Columns(((offset - lo, ONE),)))
        elif hi is None or (lo <= offset and offset + size <= hi):
            found.append(seed(directions(offset - lo, shape)))
        else:
            found.append(seed(directions_between(offset, shape, lo, hi)))
        offset += size
    return found


@lru_cache(maxsize=32)
def directions_between(offset: int, shape: tuple[int, ...], lo: int, hi: int) -> Any:
    """Return the directions, counted from ``lo``, of those of a leaf's entries that have one below ``hi``; 0 for the others."""
    every = directions(offset, shape)
    positions = np.where((every > lo) & (every <= hi), every - lo, 0).astype(every.dtype)
    positions.flags.writeable = False
    return positions


def check_real(problem: Problem, holomorphic: bool = False) -> None:
    """Raise where a complex Jacobian is asked for without saying so."""
    complex_inputs = [x for x in problem.inputs if dtype_of(x).kind == "c"]
    if not complex_inputs and not holomorphic:
        return
    if complex_inputs and not holomorphic:
        raise InputError(
            "a Jacobian with respect to complex numbers needs holomorphic=True (the derivative ∂f/∂z of a holomorphic "
            "function); for others differentiate with respect to the real and imaginary parts"
        )
    if holomorphic and len(complex_inputs) != len(problem.inputs):
        raise InputError("holomorphic=True needs complex inputs")


def check_cauchy_riemann(problem: Problem) -> None:
    """Raise unless the directional derivative along iv is i times that along v."""
    rng = np.random.default_rng(0)
    v = [rng.standard_normal(shape_of(x)).astype(dtype_of(x)) for x in problem.inputs]
    _, a = run_duals(problem, v, ())
    _, b = run_duals(problem, [1j * t for t in v], ())
    for s, t in zip(a, b, strict=True):
        if s is not None and t is not None:
            scale = np.max(np.abs(s), initial=0.0)
            if np.any(np.abs(t - 1j * s) > 1e-6 * scale):
                raise InputError(
                    "the function is not holomorphic here: its derivative along iv is not i times that along v"
                )


def empty_block(v: Any, x: Any) -> Any:
    """Return the zero block of an output that does not depend on an input."""
    dtype = np.result_type(dtype_of(v), dtype_of(x)) if dtype_of(v).kind == "c" else dtype_of(v)
    return np.zeros(shape_of(v) + shape_of(x), dtype)


def with_constant_rows(whole: Any, values: Sequence[Any], tape: Tape, n: int) -> Any:
    """Return the rows of all outputs: those that depend on nothing have zeros."""
    dtype = np.result_type(*[dtype_of(v) for v in values]) if values else np.dtype(float)
    if whole.dtype != dtype:
        whole = whole.astype(dtype)
    if all(s >= 0 for s in tape.outputs):
        return whole
    parts, at = [], 0
    for v, s in zip(values, tape.outputs, strict=True):
        size = size_of(shape_of(v))
        if s < 0:
            parts.append(np.zeros((size, n), dtype))
        else:
            parts.append(whole[at : at + size])
            at += size
    return np.concatenate(parts)


# --------------------------------------------------------------------------------------------------
# sparse results


def as_asked(whole: Any, options: Any) -> Any:
    """Return a matrix sparse if that was asked for."""
    if not options.sparse:
        return whole
    return scipy.sparse.csr_array(whole)


def check_sparse(problem: Problem, values: Sequence[Any]) -> None:
    """Raise where a sparse Jacobian cannot be built."""
    if any(dtype_of(x).kind == "c" for x in (*problem.inputs, *values)):
        raise InputError("sparse=True is for real functions; use sparse=False for complex ones")
    if any(dtype_of(x).char == "e" for x in (*problem.inputs, *values)):
        raise InputError(
            "sparse=True needs float32 or wider, since scipy.sparse holds no float16; pass x.astype(np.float32), or use "
            "sparse=False"
        )
