"""Discrete choices of ``scipy.optimize``: assignments, mixed integer programs and isotonic fits, constant until a choice changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.scipy.answers import Call, Result, absent_from, at_value, solver
from dualdiff.scipy.minima import opened, part_of
from dualdiff.scipy.programs import TIED, check_vertex
from dualdiff.scipy.room import Room
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import decided, operand, raw

ROOM = Room("scipy.optimize")


@ROOM.function("linear_sum_assignment", kind="discrete")
def linear_sum_assignment(cost_matrix: Any, maximize: bool = False) -> Any:
    """``scipy.optimize.linear_sum_assignment``: whole numbers; the cost ``C[i, j].sum()`` has a derivative."""
    return scipy.optimize.linear_sum_assignment(decided(operand(cost_matrix)), maximize)


@ROOM.function("isotonic_regression")
def isotonic_regression(y: Any, *, weights: Any = None, increasing: bool = True) -> Any:
    """``scipy.optimize.isotonic_regression``: on each block the mean of the data."""
    y = operand(y)
    w = np.ones(shape_of(y)) if weights is None else operand(weights)
    found = scipy.optimize.isotonic_regression(decided(y), weights=decided(w), increasing=increasing)
    starts = np.asarray(found.blocks)
    lengths = np.diff(starts)
    own = np.repeat(np.arange(len(lengths)), lengths)
    member = (own == np.arange(len(lengths))[:, None]).astype(float)
    sums = member @ w
    new = Result(found, {})
    new["x"] = at_value(found.x, ((member @ (w * y)) / sums)[own])
    new["weights"] = at_value(found.weights, sums)
    return new


@solver(ROOM, "milp")
def milp(call: Call) -> Any:
    """Return the record of a mixed integer program: its whole numbers stay, and the rest solves the equations of what binds."""
    given = call.arguments["constraints"]
    whole = () if given is None else (given,) if _is_one(given) else tuple(given)
    call = Call(call.real, call.signature, {**call.arguments, "constraints": opened([_constraint(c) for c in whole])})
    call.arguments["bounds"] = _pairs(call.arguments["bounds"])

    def prepared(own: dict[str, Any]) -> dict[str, Any]:
        bounds = own["bounds"]
        return {
            **own,
            "constraints": [c["kind"](c["A"], c["lb"], c["ub"]) for c in own["constraints"]] or None,
            "bounds": None if bounds is None else scipy.optimize.Bounds(*bounds),
        }

    call = Call(call.real, call.signature, call.arguments)
    found = call.run(call.given.plain(), (), prepared)
    if not call.given.caught or found.x is None:
        return found
    call.check_program("decides which constraints bind")
    own = call.given.at(call.given.caught)
    c = np.reshape(operand(own["c"]), (-1,))
    x, n = np.asarray(found.x), size_of(shape_of(c))
    counted = (
        np.zeros(n, bool) if own["integrality"] is None else np.broadcast_to(np.asarray(own["integrality"]), n) == 1
    )
    if own["integrality"] is not None and np.any(np.asarray(own["integrality"]) > 1):
        raise UnsupportedFunctionError(
            f"{where()}: scipy.optimize.milp with semi-continuous variables (integrality 2 and 3) is not differentiated."
        )
    rows, right, sides = [np.eye(n)[counted]], [np.round(x[counted])], [np.zeros(int(counted.sum()))]

    def add(A: Any, low: Any, high: Any, size: Any) -> None:
        at_low, at_high = (np.isfinite(raw(b)) & (np.abs(raw(A) @ x - raw(b)) <= TIED * size) for b in (low, high))
        equal = raw(low) == raw(high)
        for at, bound, way in ((at_low, low, 1.0), (at_high & ~equal, high, -1.0)):
            rows.append(A[at])
            right.append(bound[at])
            sides.append(np.where(equal[at], 0.0, way))

    for constraint in own["constraints"]:
        function, low, high = part_of(constraint, n)
        A = np.stack([operand(function(e)) for e in np.eye(n)], axis=1)
        m = shape_of(A)[0]
        low, high = (np.broadcast_to(operand(b), (m,)) for b in (low, high))
        add(A, low, high, np.maximum(np.abs(raw(A)) @ np.abs(x), 1.0))
    low, high = (0.0, np.inf) if own["bounds"] is None else own["bounds"]
    low, high = (np.broadcast_to(operand(b), (n,)) for b in (low, high))
    free = np.flatnonzero(~counted)
    add(np.eye(n)[free], low[free], high[free], np.maximum(np.abs(x[free]), 1.0))
    M, rhs, side = np.concatenate(rows), np.concatenate(right), np.concatenate(sides)
    check_vertex(raw(M), side, raw(c), n, "milp")
    new = Result(found, absent_from(found, ("x", "fun", "mip_dual_bound", "mip_gap")))
    new["x"] = at_value(found.x, np.linalg.solve(M, rhs))
    new["fun"] = at_value(found.fun, c @ new["x"])
    return new


def _is_one(given: Any) -> bool:
    return isinstance(given, scipy.optimize.LinearConstraint) or (
        isinstance(given, tuple) and len(given) == 3 and not any(_is_one(g) for g in given)
    )


def _constraint(c: Any) -> Any:
    return c if isinstance(c, scipy.optimize.LinearConstraint) else scipy.optimize.LinearConstraint(*c)


def _pairs(bounds: Any) -> Any:
    """Return bounds as two vectors or numbers; None for the default."""
    if bounds is None:
        return None
    if isinstance(bounds, scipy.optimize.Bounds):
        return bounds.lb, bounds.ub
    return tuple(bounds)


ROOM.refused(
    "quadratic_assignment",
    "its answer is an approximation, found by steps that depend on the matrices. Freeze them with dd.stop_gradient for the permutation "
    "found.col_ind, and compute the cost np.sum(A * B[p][:, p]) from it.",
)

__all__ = ["ROOM"]
