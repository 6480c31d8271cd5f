"""Linear programs and linear least squares of ``scipy.optimize``: their answers solve linear systems, once it is known what binds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.errors import DegenerateError, InaccurateSolutionError, UnsupportedFunctionError, where
from dualdiff.operators.systems import TOLERANCE
from dualdiff.register import Entry
from dualdiff.scipy.answers import Call, Result, absent_from, at_value, is_differentiated, solver
from dualdiff.scipy.fits import pair_of
from dualdiff.scipy.minima import bounds_of
from dualdiff.scipy.room import Room
from dualdiff.shapes import shape_of
from dualdiff.values import TRACED, operand, raw

ROOM = Room("scipy.optimize")
TIED = 1e-7
"""What counts as zero of a distance or a multiplier, in parts of their sizes."""


def _matrix(A: Any, name: str) -> Any:
    if type(A) in TRACED:
        return np.atleast_2d(A)
    if hasattr(A, "toarray"):
        return A.toarray()
    if hasattr(A, "rmatvec"):
        raise UnsupportedFunctionError(f"{where()}: {name} of a LinearOperator is not differentiated. Pass its matrix.")
    return np.atleast_2d(operand(A))


def _degenerate(what: str) -> DegenerateError:
    return DegenerateError(f"{where()}: {what}")


@solver(ROOM, "linprog")
def linprog(call: Call) -> Any:
    """Return the record of a linear program: at a vertex, x solves the equations of what binds there."""
    found = call.run(call.given.plain(), ())
    if not call.given.caught or found.x is None:
        return found
    own = call.given.at(call.given.caught)
    c = np.reshape(operand(own["c"]), (-1,))
    n = len(raw(c))
    if own["integrality"] is not None and np.any(own["integrality"]):
        raise UnsupportedFunctionError(
            f"{where()}: linprog with integrality= is not differentiated: whole numbers have no derivative. Fix them, and pass the rest."
        )
    call.check_program("decides which constraints bind")
    x = np.asarray(found.x)
    rows: list[Any] = []
    right: list[Any] = []
    sides: list[Any] = []
    for A, b, equal in ((own["A_eq"], own["b_eq"], True), (own["A_ub"], own["b_ub"], False)):
        if A is None:
            continue
        A, b = _matrix(A, "linprog"), np.reshape(operand(b), (-1,))
        size = np.maximum(np.abs(raw(A)) @ np.abs(x), np.maximum(np.abs(raw(b)), 1e-300))
        binds = np.full(len(size), True) if equal else np.abs(raw(b) - raw(A) @ x) <= TIED * size
        at = np.flatnonzero(binds)
        rows.append(A[at])
        right.append(b[at])
        sides.append(np.zeros(len(at)) if equal else np.full(len(at), -1.0))
    lower, upper = _bounds(own["bounds"], n)
    for bound, way in ((lower, 1.0), (upper, -1.0)):
        finite = np.isfinite(raw(bound))
        near = np.where(finite, raw(bound), 0.0)
        at = np.flatnonzero(finite & (np.abs(x - near) <= TIED * np.maximum(np.abs(near), 1.0)))
        if way < 0:
            at = at[raw(lower)[at] != raw(bound)[at]]
        rows.append(np.eye(n)[at])
        right.append(operand(bound)[at])
        sides.append(np.where(raw(lower)[at] == raw(upper)[at], 0.0, way))
    M, rhs, side = np.concatenate(rows), np.concatenate(right), np.concatenate(sides)
    check_vertex(raw(M), side, raw(c), n, "linprog")
    x_ = at_value(found.x, np.linalg.solve(M, rhs))
    new = Result(found, absent_from(found, ("x", "fun", "slack", "con")))
    new["x"], new["fun"] = x_, at_value(found.fun, c @ x_)
    for name, A, b in (("slack", own["A_ub"], own["b_ub"]), ("con", own["A_eq"], own["b_eq"])):
        if A is not None:
            new[name] = at_value(found[name], np.reshape(operand(b), (-1,)) - _matrix(A, "linprog") @ x_)
    return new


def check_vertex(M: Any, side: Any, c: Any, n: int, name: str) -> None:
    """Raise unless exactly as many constraints bind as there are variables, each with a multiplier that is not zero."""
    if len(M) != n or np.linalg.matrix_rank(M) < n:
        what = (
            "more than as many"
            if len(M) > n
            else "fewer than as many"
            if len(M) < n
            else "not independent ones, though as many,"
        )
        raise _degenerate(
            f"the answer of {name} is no simple vertex: {len(M)} constraints bind there, {what} as there are variables ({n}), so that a "
            "change of the parameters decides which of them hold, or it is one answer of many. Take out constraints that say the same "
            "twice, or add a small quadratic term and call minimize."
        )
    multipliers = np.linalg.solve(M.T, c)
    weak = (side != 0) & (np.abs(multipliers) <= TIED * max(float(np.max(np.abs(c), initial=0.0)), 1e-300))
    if weak.any():
        raise _degenerate(
            f"the answer of {name} is one of many: a constraint binds there whose multiplier is zero, so that the cost is the same along "
            "an edge. A small change of the cost decides between its ends."
        )


def _bounds(bounds: Any, n: int) -> tuple[Any, Any]:
    """Return the bounds of a linear program: by default 0 and infinity, one pair for all, or a pair each."""
    if bounds is None:
        return np.zeros(n), np.full(n, np.inf)
    if isinstance(bounds, np.ndarray) and bounds.ndim == 2:
        bounds = [tuple(b) for b in bounds]
    if len(bounds) == 2 and not isinstance(bounds[0], (list, tuple, np.ndarray)):
        bounds = [tuple(bounds)] * n
    return bounds_of([tuple(b) for b in bounds], n) if len(bounds) == n else bounds_of([tuple(bounds[0])] * n, n)


# -- linear least squares ------------------------------------------------------------------------------


def _least(A: Any, b: Any, free: Any, bound: Any, name: str) -> Any:
    """Return the least squares solution where some variables lie at their bounds."""
    held, there = np.flatnonzero(free), np.flatnonzero(~free)
    if len(held) and np.linalg.matrix_rank(raw(A)[:, held]) < len(held):
        raise _degenerate(
            f"the answer of {name} is one of many: the columns of the variables that no bound holds are not independent. Take some out, or "
            "add a small multiple of the identity below the matrix."
        )
    if not len(held):
        return bound + np.zeros(len(free))
    y = b if not len(there) else b - A[:, there] @ bound[there]
    x = np.linalg.lstsq(A[:, held], y, rcond=None)[0]
    if not len(there):
        return x
    return np.concatenate([x, bound[there]])[np.argsort(np.concatenate([held, there]))]


def _pressed(A: Any, b: Any, x: Any, lower: Any, upper: Any, told: Any) -> Any:
    """Return which bounds bind: those that are told, and those that a solver inside of them has come as near to as it comes.

    A free variable would move to its minimum. If a bound stands before that, it binds.
    """
    if lower is None:
        return told
    slope = A.T @ (A @ x - b)
    way = np.where(slope > 0, lower, upper) - x
    with np.errstate(invalid="ignore"):
        binds = (told == 0) & (np.abs(slope) > np.sum(A * A, axis=0) * np.abs(way))
    return np.where(binds, -np.sign(slope), told).astype(int)


def _check_multipliers(A: Any, b: Any, x: Any, free: Any, name: str) -> None:
    left = A @ x - b
    steep = np.sqrt(np.sum(A * A, axis=0)) * max(float(np.linalg.norm(b)), float(np.linalg.norm(left)), 1e-300)
    slope = np.abs(A.T @ left)
    if ((slope <= TIED * steep) & ~free).any():
        k = int(np.flatnonzero((slope <= TIED * steep) & ~free)[0])
        raise _degenerate(
            f"the answer of {name} is degenerate: variable {k} lies at its bound with a multiplier of zero, so that a change of the data "
            "decides whether the bound binds. There is a derivative from either side only."
        )


@solver(ROOM, "lsq_linear")
def lsq_linear(call: Call) -> Any:
    """Return the record of a linear least squares problem with bounds."""
    found = call.run(call.given.plain(), ())
    if not call.given.caught:
        return found
    call.check_program("decides which constraints bind")
    own = call.given.at(call.given.caught)
    A, b = _matrix(own["A"], "lsq_linear"), np.reshape(operand(own["b"]), (-1,))
    n = shape_of(A)[1]
    lower, upper = pair_of(own["bounds"], n)
    side = _pressed(raw(A), raw(b), found.x, raw(lower), raw(upper), np.asarray(found.active_mask))
    bound = np.zeros(n) if lower is None else np.where(side < 0, _where(lower, side < 0), _where(upper, side > 0))
    _check_multipliers(raw(A), raw(b), found.x, side == 0, "lsq_linear")
    x = _least(A, b, side == 0, bound, "lsq_linear")
    off = float(np.max(np.abs(raw(x) - found.x), initial=0.0))
    if off > TOLERANCE * float(np.max(np.abs(found.x), initial=0.0)):
        raise InaccurateSolutionError(
            f"{where()}: the answer of lsq_linear is too inaccurate for a derivative: with the bounds that bind, an entry of it is off by "
            f"{off:.2g}. Let it converge: a smaller tol=, or method='bvls'.",
            off,
        )
    x = at_value(found.x, x)
    left = A @ x - b
    new = Result(found, absent_from(found, ("x", "cost", "fun", "active_mask", "unbounded_sol")))
    new["x"], new["fun"] = x, at_value(found.fun, left)
    new["cost"] = at_value(found.cost, 0.5 * np.sum(left * left))
    return new


def _where(bound: Any, binds: Any) -> Any:
    return np.where(binds, bound, 0.0)


@solver(ROOM, "nnls")
def nnls(call: Call) -> Any:
    """Return the least squares solution without negative entries, and the norm of what it leaves."""
    found = call.run(call.given.plain(), ())
    if not call.given.caught:
        return found
    call.check_program("decides which constraints bind")
    own = call.given.at(call.given.caught)
    A, b = _matrix(own["A"], "nnls"), np.reshape(operand(own["b"]), (-1,))
    free = np.asarray(found[0]) > 0
    _check_multipliers(raw(A), raw(b), found[0], free, "nnls")
    x = at_value(found[0], _least(A, b, free, np.zeros(len(free)), "nnls"))
    return x, at_value(found[1], np.linalg.norm(A @ x - b))


# -- differences ---------------------------------------------------------------------------------------


_DIFFERENCES = (
    "it takes differences, whose derivative has their error divided by the step once more. Write dd.jacobian(f)(x), which is exact and is "
    "differentiated itself"
)


@solver(ROOM, "approx_fprime")
def approx_fprime(call: Call) -> Any:
    """Refuse differences of what is differentiated."""
    own = call.given.plain()
    value: Callable[..., Any] = call.arguments["f"]
    if not call.given.caught and not is_differentiated(value(own["xk"], *own["args"])):
        return call.run(own, ("f",))
    at = np.array2string(np.asarray(own["xk"], float), precision=4, threshold=8)
    raise UnsupportedFunctionError(
        f"{where()}: scipy.optimize.approx_fprime at {at} is not differentiated: {_DIFFERENCES}."
    )


ROOM.rows[-1] = Entry(ROOM.rows[-1].function, ROOM.rows[-1].name, "refused", reason=_DIFFERENCES)


__all__ = ["ROOM", "TIED", "check_vertex"]
