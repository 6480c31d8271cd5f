"""The dense ways to a Jacobian: columns by dual numbers, rows by a tape.

A :class:`Problem` is a function of flat leaves with the structure taken off; a way returns one block per
(output leaf, input leaf), of shape ``output shape + input shape``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from dualdiff.dual import Dual, Pushing
from dualdiff.errors import (
    STORED_IN_PLAIN_ARRAY,
    DerivativeError,
    InputError,
    TracedAssignmentError,
    UnsupportedFunctionError,
    line_of_traceback,
)
from dualdiff.passes import pull, push
from dualdiff.primitive import CAREFUL, TRACED, Traced, packed
from dualdiff.reach import redone_if_not_finite
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tape import DiscreteVar, Tape, Var, frozen
from dualdiff.terms import ONE, PLAIN_TYPES, Columns, Terms, scattered, seed
from dualdiff.tracer import plain

MOST_AT_ONCE = 4096
"""The most inputs whose identity is carried in one chunk without asking for the budget."""
BUDGET = 2**28
"""Bytes that the widest array of a sweep may take over all its directions before they are cut into chunks."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A function of flat, floating-point leaves that returns flat leaves.

    ``call(leaves)`` runs the user's function and returns its flat outputs (and remembers their structure).
    """

    call: Callable[[list[Any]], list[Any]]
    inputs: list[Any]
    chunk: int | None = None
    holomorphic: bool = False

    @property
    def n(self) -> int:
        """The number of inputs, counted as scalars."""
        return sum(size_of(shape_of(x)) for x in self.inputs)


def run_user(problem: Problem, leaves: list[Any]) -> list[Any]:
    """Run the user's function and tidy its outputs; raise our own error where NumPy wrapped it in one of its own."""
    try:
        return outputs_of(problem.call(leaves))
    except DerivativeError:
        raise
    except Exception as e:
        seen: BaseException | None = e
        while seen is not None:
            if isinstance(seen, DerivativeError):
                if "setting an array element" in str(e):
                    raise TracedAssignmentError(f"{str(seen).split(':')[0]}: {STORED_IN_PLAIN_ARRAY}") from e
                raise seen from None
            seen = seen.__cause__  # not __context__: what the user caught and answered with another error is the user's
        if isinstance(e, ValueError) and (
            "unsupported data types in input" in str(e) or "support dtype object" in str(e)
        ):
            raise UnsupportedFunctionError(
                f"{line_of_traceback(e)}: scipy.sparse does not let others take part in its products and solves, so it "
                "cannot carry derivatives. Write S @ x with the entries of S: with coo = S.tocoo(), y = np.zeros_like(x, "
                "shape=S.shape[0]); np.add.at(y, coo.row, coo.data * x[coo.col]); or use S.toarray() @ x if it is small."
            ) from e
        if isinstance(e, TypeError) and any(
            s in str(e) for s in ("dtype('O')", "has no callable", "does not support argument")
        ):
            raise UnsupportedFunctionError(
                f"{line_of_traceback(e)}: {e}. NumPy met an object array, which np.array([…]) of differentiated values makes; "
                "make the array with np.stack([…]) (or dualdiff.numpy.array) instead."
            ) from e
        raise


def outputs_of(values: Sequence[Any]) -> list[Any]:
    """Check and tidy what a function returned: arrays of numbers, traced or constant."""
    out = []
    for v in values:
        v = plain(packed(v))
        if type(v) in TRACED:
            if v.link is not None:
                v.link.refresh(v)
            if dtype_of(v).kind in "biu":
                raise InputError(_discrete(v))
        elif isinstance(v, (str, bytes)) or not (np.isscalar(v) or hasattr(v, "dtype")):
            raise InputError(
                f"the function returned a {type(v).__name__!r}; return numbers, arrays, or tuples, lists and dicts of them"
            )
        elif type(v) is int or type(v) is bool:
            v = float(v)
        elif dtype_of(v).kind in "biu":  # forward mode cannot tell a decision from a constant, so neither mode does
            raise InputError(_discrete(v))
        elif dtype_of(v).kind not in "fc":
            raise InputError(f"the function returned an array of dtype {dtype_of(v)}, which has no derivative")
        out.append(v)
    return out


def _discrete(v: Any) -> str:
    return (
        f"the function returned a value of dtype {dtype_of(v)}: such a value has no derivative. "
        "If its zero derivative is meant, return it as a float (.astype(float))."
    )


def peel(v: Any, run: Any) -> Any:
    """Return the value under one level."""
    return v.value if isinstance(v, Traced) and v.run is run else v


def record(problem: Problem, replayable: bool = False, lines: bool = False) -> tuple[Tape, list[Any]]:
    """Write one run of a problem on a tape; return the tape and the plain outputs. ``tape.outputs`` holds their slots."""
    tape = Tape(replayable, lines)
    try:
        results = run_user(problem, [tape.add_input(x) for x in problem.inputs])
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
    return redone_if_not_finite(lambda: push(tape, seeds, tape.outputs, lead))


def pull_rows(
    problem: Problem, tape: Tape, seeds: Sequence[tuple[int, Any]], lead: tuple[int, ...], at_once: bool = False
) -> list[Any]:
    """Pull, and pull again the careful way if the result is not finite; name the user's line if a rule fails.

    ``at_once`` says that the call that recorded the tape has not returned yet: what a pass inside it wrote may then be
    recorded once more, the careful way.
    """

    def compute() -> list[Any]:
        if not (at_once and tape.nested and CAREFUL.get()):
            return pull(tape, seeds, lead)
        again, _ = record(problem)
        slot = dict(zip(tape.outputs, again.outputs, strict=True))
        return pull(again, [(slot[s], c) for s, c in seeds], lead)

    try:
        return redone_if_not_finite(compute)
    except Exception:
        if tape.lines is not None:
            raise
        again, _ = record(problem, lines=True)
        pull(again, seeds, lead)
        raise


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

    return values, redone_if_not_finite(compute)


def _run_duals(
    problem: Problem, tangents: Sequence[Any], lead: tuple[int, ...], finish: Any, most: int | None
) -> tuple[list[Any], list[Any]]:
    run = Pushing(lead, most)
    try:
        results = run_user(problem, [run.start(frozen(x), t) for x, t in zip(problem.inputs, tangents)])
    finally:
        run.open = False
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


def seed_block(start: int, stop: int, offset: int, x: Any) -> Any:
    """Return rows ``start:stop`` of the identity, restricted to the entries of one leaf that begins at ``offset``."""
    shape, dtype = shape_of(x), dtype_of(x)
    size = size_of(shape)
    k = stop - start
    if start == 0 and offset == 0 and k == size:
        return np.eye(size, dtype=dtype).reshape((k, *shape))
    if stop <= offset or start >= offset + size:
        return None
    seed = np.zeros((k, size), dtype)
    lo, hi = max(start, offset), min(stop, offset + size)
    rows = np.arange(lo - start, hi - start)
    seed[rows, rows + start - offset] = 1
    return seed.reshape((k, *shape))


def default_chunk(total: int, widest: int) -> int:
    """Return how many directions fit the memory budget."""
    return max(1, min(total, BUDGET // max(8 * widest, 1)))


def check_real(problem: Problem) -> None:
    """Raise where a complex Jacobian is asked for without saying so."""
    complex_inputs = [x for x in problem.inputs if dtype_of(x).kind == "c"]
    if not complex_inputs and not problem.holomorphic:
        return
    if complex_inputs and not problem.holomorphic:
        raise InputError(
            "a Jacobian with respect to complex numbers needs holomorphic=True (the derivative ∂f/∂z of a holomorphic "
            "function); for others differentiate with respect to the real and imaginary parts"
        )
    if problem.holomorphic and len(complex_inputs) != len(problem.inputs):
        raise InputError("holomorphic=True needs complex inputs")


def empty_block(v: Any, x: Any) -> Any:
    """Return the zero block of an output that does not depend on an input."""
    dtype = np.result_type(dtype_of(v), dtype_of(x)) if dtype_of(v).kind == "c" else dtype_of(v)
    return np.zeros(shape_of(v) + shape_of(x), dtype)


@lru_cache(maxsize=32)
def _directions(offset: int, shape: tuple[int, ...]) -> Any:
    """Return the directions of the identity's entries on one leaf: the same array every time, so its maps compare quickly."""
    size = size_of(shape)
    positions = np.arange(offset + 1, offset + size + 1, dtype=np.int32 if offset + size < 1 << 31 else np.int64)
    positions.flags.writeable = False
    return positions.reshape(shape)


def one_hot(start: int, stop: int, offset: int, shape: tuple[int, ...], size: int) -> Terms | Columns | None:
    """Return the identity's rows ``start:stop`` on one leaf, as the direction of each of its entries."""
    if not shape:
        return Columns(((offset - start, ONE),)) if start <= offset < stop else None
    if start <= offset and offset + size <= stop:
        return seed(_directions(offset - start, shape))
    at = np.arange(offset, offset + size)
    inside = (at >= start) & (at < stop)
    return seed(np.where(inside, at - start + 1, 0).astype(np.int32).reshape(shape)) if inside.any() else None


def columns_of(t: Any, v: Any, run: Pushing) -> Any:
    """Return a tangent of any form as an array with the batch axis last."""
    if (type(t) is Terms or type(t) is Columns) and TRACED.isdisjoint(map(type, t.values())) and type(v) in PLAIN_TYPES:
        k, shape = run.lead[0], shape_of(v)
        return scattered(t, shape, k, dtype_of(v)).reshape((*shape, k))
    return columns_last(run.dense(t, v), shape_of(v))


def columns_last(t: Any, shape: tuple[int, ...]) -> Any:
    """Move the batch axis, first in a tangent, to the end, where a Jacobian has its columns."""
    rank = len(shape)
    return t if rank == 0 else t.T if rank == 1 else t.transpose((*range(1, rank + 1), 0))


def forward(problem: Problem) -> tuple[list[Any], list[list[Any]]]:
    """Compute the Jacobian by columns: dual numbers that carry the identity, in chunks of directions."""
    inputs = problem.inputs
    if len(inputs) == 1 and problem.chunk is None and type(inputs[0]) is np.ndarray:
        x = inputs[0]
        k = x.size
        if x.ndim == 1 and x.dtype.char == "d" and 1 < k <= MOST_AT_ONCE and not problem.holomorphic:
            # The common case, a vector of parameters, in one chunk: nothing to cut or to join.
            values, found = run_duals(problem, (seed(_directions(0, (k,))),), (k,), columns_of)
            return values, [[empty_block(v, x) if t is None else t] for t, v in zip(found, values)]
    check_real(problem)
    shapes = [shape_of(x) for x in inputs]
    sizes = [size_of(s) for s in shapes]
    n = sum(sizes)
    chunk = problem.chunk or default_chunk(n, max([1, *sizes]))
    if n == 1:  # one direction needs no batch axis
        tangents: list[Any] = [
            np.ones(s, dtype_of(x))[()] if size else None for x, s, size in zip(inputs, shapes, sizes)
        ]
        values, found = run_duals(problem, tangents, ())
        whole = [None if t is None else t.reshape((*shape_of(v), 1)) for v, t in zip(values, found)]
    else:
        starts = range(0, n, chunk) if n else (0,)
        parts = []
        for start in starts:
            stop = min(start + chunk, n)
            offset = 0
            tangents = []
            for s, size in zip(shapes, sizes):
                tangents.append(one_hot(start, stop, offset, s, size))
                offset += size
            k = stop - start
            values, found = run_duals(problem, tangents, (k,), columns_of)
            parts.append(found)
        whole = [_joined([p[i] for p in parts], v, starts, n, chunk) for i, v in enumerate(values)]
    if problem.holomorphic:
        _check_cauchy_riemann(problem)
    blocks: list[list[Any]] = []
    for v, t in zip(values, whole):
        if t is None:
            blocks.append([empty_block(v, x) for x in inputs])
            continue
        head, offset, row = shape_of(v), 0, []
        for s, size in zip(shapes, sizes):
            piece = t if size == n else t[..., offset : offset + size]
            row.append(piece if len(s) == 1 else piece.reshape(head + s))
            offset += size
        blocks.append(row)
    return values, blocks


def forward_on_tape(problem: Problem, tape: Tape, values: Sequence[Any], chunk: int) -> list[list[Any]]:
    """Compute the Jacobian by columns pushed through a replayable tape: no more directions alive at once than asked for."""
    if any(type(v) in TRACED for v in values):  # the function closes over values of an outer operator
        return forward(replace(problem, chunk=chunk))[1]
    inputs = problem.inputs
    sizes = [size_of(shape_of(x)) for x in inputs]
    n = sum(sizes)
    blocks = [[np.zeros(shape_of(v) + shape_of(x), dtype_of(v)) for x in inputs] for v in values]
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        seeds, offset = [], 0
        for x, size in zip(inputs, sizes):
            seeds.append(seed_block(start, stop, offset, x))
            offset += size
        found = push_columns(tape, seeds, (stop - start,))
        for v, t, row in zip(values, found, blocks):
            if t is None:
                continue
            offset = 0
            flat = np.reshape(t, (stop - start, size_of(shape_of(v))))
            for block, size in zip(row, sizes):
                lo, hi = max(start, offset), min(stop, offset + size)
                if lo < hi:
                    whole = block.reshape(size_of(shape_of(v)), size)
                    whole[:, lo - offset : hi - offset] = flat[lo - start : hi - start].T
                offset += size
    if problem.holomorphic:
        _check_cauchy_riemann(problem)
    return blocks


def _joined(parts: list[Any], v: Any, starts: Sequence[int], n: int, chunk: int) -> Any:
    """Put the columns of all chunks side by side; None where no direction reaches this output."""
    shape = shape_of(v)
    if len(parts) == 1:
        return parts[0]
    some = next((p for p in parts if p is not None), None)
    if some is None:
        return None
    filled = [
        np.zeros_like(some, shape=(*shape, min(chunk, n - a))) if p is None else p
        for p, a in zip(parts, starts, strict=True)
    ]
    return np.concatenate(filled, axis=-1)


def _check_cauchy_riemann(problem: Problem) -> None:
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


def reverse(problem: Problem, recorded: tuple[Tape, list[Any]] | None = None) -> tuple[list[Any], list[list[Any]]]:
    """Compute the Jacobian by rows: one recording, then a pull that carries the identity, in chunks."""
    check_real(problem)
    tape, values = recorded or record(problem)
    if problem.holomorphic:
        _check_cauchy_riemann(problem)
    widest = max([1, *(size_of(shape_of(e[4])) for e in tape.equations)])
    blocks: list[list[Any]] = []
    for v, slot in zip(values, tape.outputs, strict=True):
        m = size_of(shape_of(v))
        if slot < 0 or m == 0:
            blocks.append([empty_block(v, x) for x in problem.inputs])
            continue
        rows = _rows(problem, tape, slot, v, m, problem.chunk or default_chunk(m, widest), 1)
        if problem.holomorphic:
            rows = [None if r is None else np.conjugate(r) for r in rows]
        elif dtype_of(v).kind == "c":
            imaginary = _rows(problem, tape, slot, v, m, problem.chunk or default_chunk(m, widest), 1j)
            rows = [None if r is None else r + 1j * i for r, i in zip(rows, imaginary, strict=True)]
        if len(rows) > 1:
            rows = apart(rows, ())
        blocks.append(
            [
                empty_block(v, x) if r is None else _of_dtype(r.reshape(shape_of(v) + shape_of(x)), v)
                for r, x in zip(rows, problem.inputs, strict=True)
            ]
        )
    return values, blocks


def _of_dtype(block: Any, v: Any) -> Any:
    """Return a block in the dtype of the result, as columns have it: a cotangent has that of the argument."""
    want = dtype_of(v)
    return block if dtype_of(block) == want or want.kind == "c" else block.astype(want)


def _rows(problem: Problem, tape: Tape, slot: int, v: Any, m: int, chunk: int, unit: complex) -> list[Any]:
    """Pull all unit covectors of one output; return per input an array of m rows."""
    if m == 1:
        one = np.full(shape_of(v), unit, dtype_of(v))
        found = pull_rows(problem, tape, [(slot, one[()] if shape_of(v) == () else one)], (), True)
        return [None if c is None else np.reshape(c, (1, *shape_of(c))) for c in found]
    if chunk >= m:
        if type(v) is np.ndarray and v.dtype.char == "d" and m * m > 1 << 11:
            diagonal = seed(_directions(0, shape_of(v)))
            return pull_rows(
                problem, tape, [(slot, diagonal if unit == 1 else seed_block(0, m, 0, v) * unit)], (m,), True
            )
        block = seed_block(0, m, 0, v)
        return pull_rows(problem, tape, [(slot, block if unit == 1 else unit * block)], (m,), True)
    # Chunk by chunk into place, so that no row is held twice.
    rows: list[Any] = [None] * len(problem.inputs)
    for start in range(0, m, chunk):
        stop = min(start + chunk, m)
        block = seed_block(start, stop, 0, v)
        found = pull_rows(problem, tape, [(slot, block if unit == 1 else unit * block)], (stop - start,), True)
        for i, c in enumerate(found):
            if c is None:
                continue
            if rows[i] is None:
                rows[i] = np.zeros_like(c, shape=(m, *shape_of(c)[1:]))
            rows[i][start:stop] = c
    return rows


__all__ = ["DiscreteVar", "Problem", "forward", "record", "reverse"]
