"""Minima of ``scipy.optimize``: differentiated by the conditions that hold there, with the constraints that bind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.optimize

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.operators.gradients import grad
from dualdiff.operators.minima import Bounded
from dualdiff.scipy.answers import (
    PATH,
    Arguments,
    Call,
    Result,
    absent_from,
    arguments_of,
    at_value,
    is_differentiated,
    number,
    plainly,
    solver,
    stripped,
)
from dualdiff.scipy.room import Room
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import operand, raw

ROOM = Room("scipy.optimize")

Part = tuple[Callable[[Any], Any], Any, Any]
"""A constraint: a function of the vector, and its bounds."""


def vector(x: Any) -> Any:
    """Return a point to start from as a plain vector."""
    return np.ravel(np.asarray(stripped(operand(x) if isinstance(x, (list, tuple)) else x), float))


def bounds_of(bounds: Any, n: int) -> tuple[Any, Any]:
    """Return lower and upper bounds as vectors, from whatever SciPy takes; None, None where there are none."""
    if bounds is None or (isinstance(bounds, (list, tuple)) and not len(bounds)):
        return None, None
    if isinstance(bounds, scipy.optimize.Bounds):
        return np.broadcast_to(bounds.lb, n), np.broadcast_to(bounds.ub, n)
    pairs = [(bounds[i][0], bounds[i][1]) for i in range(len(bounds))]
    ends = [[none if b is None else b for b in side] for side, none in zip(zip(*pairs), (-np.inf, np.inf))]
    lower, upper = operand(ends[0]), operand(ends[1])
    if len(pairs) == 1 and n > 1:
        return np.broadcast_to(lower, n), np.broadcast_to(upper, n)
    return lower, upper


class Minimisation:
    """One minimisation by SciPy, and the conditions at its end.

    ``objective(own)`` is the function of a vector, ``bounds(own)`` its bounds, ``parts(own)`` its constraints.
    """

    def __init__(
        self,
        call: Call,
        objective: Callable[[Arguments], Callable[[Any], Any]],
        start: Callable[[Arguments], Any],
        bounds: Callable[[Arguments, int], tuple[Any, Any]] = lambda _own, _n: (None, None),
        parts: Callable[[Arguments], Sequence[Part]] = lambda _own: (),
    ) -> None:
        self.call, self.objective, self.start, self.bounds, self.parts = call, objective, start, bounds, parts
        self.lengths: list[int] = []
        self.count = 0

    def problem(self, own: Arguments, x: Any) -> Bounded:
        """Return the mathematics of it."""
        parts = self.parts(own)
        lower, upper = self.bounds(own, len(x))
        if not parts:
            return Bounded(self.objective(own), lower, upper)
        if not self.lengths:
            self.lengths += [size_of(shape_of(operand(f(raw(x))))) for f, _, _ in parts]
        low, high = (
            np.concatenate([np.broadcast_to(operand(p[k]), m) for p, m in zip(parts, self.lengths, strict=True)])
            for k in (1, 2)
        )
        return Bounded(
            self.objective(own),
            lower,
            upper,
            lambda x: np.concatenate([np.reshape(operand(f(x)), (-1,)) for f, _, _ in parts]),
            low,
            high,
        )

    def solve(
        self, functions: Sequence[str], function: str, answer: Callable[[Any], Any], prepared: Any = None
    ) -> tuple[Any, Any] | None:
        """Return the minimiser, a vector, and the problem there; None where nothing is differentiated."""
        call = self.call

        def found(result: Any, own: Arguments) -> Any:
            x = np.array(np.atleast_1d(answer(result)), float)
            self.count = len(x)
            return self.problem(own, x).unknowns(x)

        def left(u: Any, own: Arguments) -> Any:
            return self.problem(own, u[: self.count]).conditions(u)

        def size(u: Any, own: Arguments) -> Any:
            problem = self.problem(own, u[: self.count])
            x, start = problem.parts(u)[0], self.start(own)
            return problem.sizes(u, x if start is None else start)

        def probe(result: Any, own: Arguments) -> Any:
            x = np.array(np.atleast_1d(answer(result)), float)
            return [self.objective(own)(x), *[f(x) for f, _, _ in self.parts(own)]]

        u = call.solve(functions, found, left, function, size, prepared, probe)
        if not is_differentiated(u):
            return None
        own = call.given.at(call.given.caught)
        problem = self.problem(own, u[: self.count])
        return problem.minimiser(u), problem


def _value(f: Any, args: Any, pair: bool = False) -> Callable[[Any], Any]:
    """Return an objective that returns a number, of one that returns an array of one entry, or a pair with its gradient."""

    def value(x: Any) -> Any:
        y = f(x, *args)
        return number(y[0] if pair else y)

    return value


# -- minimize ------------------------------------------------------------------------------------------


def opened(constraints: Any) -> list[Any]:
    """Return constraints as dictionaries, so that what they hold can be looked through."""
    if isinstance(constraints, dict) or not isinstance(constraints, (list, tuple)):
        constraints = [constraints]
    return [c if isinstance(c, dict) else {"kind": type(c), **_parameters(c)} for c in constraints]


def _parameters(c: Any) -> Arguments:
    return {k: getattr(c, k) for k in inspect.signature(type(c)).parameters if hasattr(c, k)}


def _closed(c: Any) -> Any:
    """Return a constraint as SciPy takes it, with plain functions."""
    if "kind" not in c:
        return {k: plainly(v) for k, v in c.items()}
    return c["kind"](
        **{k: plainly(v) if callable(v) and k in ("fun", "jac", "hess") else v for k, v in c.items() if k != "kind"}
    )


def part_of(c: Any, n: int) -> Part:
    """Return a constraint as a function and its bounds."""
    if "kind" not in c:
        f, args = c["fun"], arguments_of(c.get("args", ()))
        return lambda x: f(x, *args), 0.0, 0.0 if str(c["type"]).lower() == "eq" else np.inf
    if "A" in c:
        A = c["A"].toarray() if hasattr(c["A"], "toarray") else np.atleast_2d(c["A"])
        return lambda x: A @ x, c["lb"], c["ub"]
    return c["fun"], c["lb"], c["ub"]


def _prepared(own: Arguments) -> Arguments:
    return (
        {**own, "constraints": [_closed(c) for c in own["constraints"]]}
        if own["constraints"]
        else {**own, "constraints": ()}
    )


def finished(call: Call, x: Any, problem: Bounded, scalar: bool = False) -> Any:
    """Return SciPy's record of a search, with derivatives."""
    found = call.result
    known = ("x", "fun") if call.frozen else ("x", "fun", "jac")  # SciPy's slope may be one of differences
    absent = absent_from(found, known, call.frozen)
    bound = problem.has_bounds or problem.constraints is not None
    if "jac" in found and "jac" not in absent and (bound and np.shape(found["jac"]) != np.shape(found["x"])):
        absent["jac"] = PATH  # that of the constraints, by some methods
    new = Result(found, absent)
    new["x"] = at_value(found["x"], np.reshape(x, ()) if scalar and not np.shape(found["x"]) else x)
    new["fun"] = at_value(found["fun"], problem.objective(x))
    if "jac" in new and bound:
        new["jac"] = at_value(found["jac"], grad(problem.objective)(x))
    return new


@solver(ROOM, "minimize")
def minimize(call: Call) -> Any:
    """Return the record of a search for a minimum."""
    call = Call(call.real, call.signature, {**call.arguments, "constraints": opened(call.arguments["constraints"])})
    m = Minimisation(
        call,
        lambda own: _value(own["fun"], arguments_of(own["args"]), own["jac"] is True),
        lambda own: vector(own["x0"]),
        lambda own, n: bounds_of(own["bounds"], n),
        lambda own: [part_of(c, 0) for c in own["constraints"]],
    )
    found = m.solve(("fun", "jac", "hess", "hessp", "callback"), "fun", lambda r: r.x, _prepared)
    return call.result if found is None else finished(call, *found)


# -- of one variable -----------------------------------------------------------------------------------


def _of_one(call: Call, name: str, ends: Callable[[Arguments], Any]) -> Minimisation:
    def objective(own: Arguments) -> Any:
        f, args = own[name], arguments_of(own["args"])
        return lambda v: number(f(v[0], *args))

    def bounds(own: Arguments, _: int) -> tuple[Any, Any]:
        found = ends(own)
        return (
            (None, None)
            if found is None
            else (np.reshape(operand(found[0]), (1,)), np.reshape(operand(found[1]), (1,)))
        )

    def start(own: Arguments) -> Any:
        """The far end of the bracket or the bounds tells how far the search came."""
        for known in (own.get("bracket"), own.get("brack"), ends(own)):
            if known is not None and not callable(known):
                return np.ravel(np.asarray(stripped(list(known)), float))[:1]
        return None

    return Minimisation(call, objective, start, bounds)


@solver(ROOM, "minimize_scalar")
def minimize_scalar(call: Call) -> Any:
    """Return the record of a search for a minimum of a function of one number."""

    def ends(own: Arguments) -> Any:
        method = own["method"]
        bounded = own["bounds"] is not None if method is None else str(method).lower() == "bounded"
        return own["bounds"] if bounded else None

    found = _of_one(call, "fun", ends).solve(("fun",), "fun", lambda r: r.x)
    return call.result if found is None else finished(call, *found, scalar=True)


@solver(ROOM, "fminbound brent golden")
def fminbound(call: Call) -> Any:
    """Return where a function of one number is least."""
    m = _of_one(call, "func", lambda own: (own["x1"], own["x2"]) if "x1" in own else None)
    found = m.solve(("func",), "func", lambda r: r[0] if isinstance(r, tuple) else r)
    if found is None:
        return call.result
    call.refuse(("full_output", 0))
    return at_value(call.result, np.reshape(found[0], np.shape(call.result)))


# -- older functions -----------------------------------------------------------------------------------


def _first(r: Any) -> Any:
    return r[0] if isinstance(r, tuple) else r


@solver(ROOM, "fmin fmin_powell fmin_bfgs fmin_cg fmin_ncg")
def fmin(call: Call) -> Any:
    """Return where a function is least."""
    name = "func" if "func" in call.arguments else "f"
    m = Minimisation(call, lambda own: _value(own[name], arguments_of(own["args"])), lambda own: vector(own["x0"]))
    found = m.solve((name, "fprime", "fhess", "fhess_p", "callback"), name, _first)
    if found is None:
        return call.result
    call.refuse(("full_output", 0), ("retall", 0))
    return at_value(call.result, np.reshape(found[0], np.shape(call.result)))


@solver(ROOM, "fmin_l_bfgs_b fmin_tnc")
def fmin_bounded(call: Call) -> Any:
    """Return where a function is least, and what else its search tells."""

    def objective(own: Arguments) -> Any:
        return _value(own["func"], arguments_of(own["args"]), own["fprime"] is None and not own["approx_grad"])

    m = Minimisation(call, objective, lambda own: vector(own["x0"]), lambda own, n: bounds_of(own["bounds"], n))
    found = m.solve(("func", "fprime", "callback"), "func", _first)
    if found is None:
        return call.result
    call.check_program("returns counts beside the solution")
    x, problem = found
    x, rest = at_value(call.result[0], x), call.result[1:]
    if call.real is scipy.optimize.fmin_tnc:
        return (x, *rest)
    return x, at_value(rest[0], problem.objective(x)), Result(rest[1], {"grad": PATH} if problem.has_bounds else {})


@solver(ROOM, "fmin_slsqp fmin_cobyla")
def fmin_constrained(call: Call) -> Any:
    """Return where a function is least under constraints."""

    def parts(own: Arguments) -> list[Part]:
        args = arguments_of(own["args"])
        if "cons" in own:
            own_args = args if own["consargs"] is None else arguments_of(own["consargs"])
            cons = own["cons"] if isinstance(own["cons"], (list, tuple)) else [own["cons"]]
            return [_part(c, own_args, np.inf) for c in cons]
        equal, open_sided = ([own[k]] if callable(own[k]) else [] for k in ("f_eqcons", "f_ieqcons"))
        return [
            *[_part(c, args, 0.0) for c in equal or own["eqcons"]],
            *[_part(c, args, np.inf) for c in open_sided or own["ieqcons"]],
        ]

    def prepared(own: Arguments) -> Arguments:
        lists = {
            k: [plainly(c) for c in own[k]]
            for k in ("cons", "eqcons", "ieqcons")
            if isinstance(own.get(k), (list, tuple))
        }
        return {**own, **lists}

    m = Minimisation(
        call,
        lambda own: _value(own["func"], arguments_of(own["args"])),
        lambda own: vector(own["x0"]),
        lambda own, n: bounds_of(own.get("bounds"), n),
        parts,
    )
    single = ("cons",) if callable(call.arguments.get("cons")) else ()
    functions = ("func", "f_eqcons", "f_ieqcons", "fprime", "fprime_eqcons", "fprime_ieqcons", "callback", *single)
    found = m.solve(functions, "func", _first, prepared)
    if found is None:
        return call.result
    call.refuse(("full_output", 0))
    return at_value(call.result, found[0])


def _part(f: Any, args: Any, high: float) -> Part:
    return lambda x: f(x, *args), 0.0, high


# -- global searches -----------------------------------------------------------------------------------


@solver(ROOM, "differential_evolution dual_annealing shgo direct")
def wide(call: Call) -> Any:
    """Return the record of a search in a whole box: its end is differentiated as a local minimum."""
    arguments = call.arguments
    if "constraints" in arguments:
        given = arguments["constraints"]
        arguments = {**arguments, "constraints": [] if given is None else opened(given)}
    call = Call(call.real, call.signature, arguments)
    m = Minimisation(
        call,
        lambda own: _value(own["func"], arguments_of(own["args"])),
        lambda own: None,
        lambda own, n: bounds_of(own["bounds"], n),
        lambda own: [part_of(c, 0) for c in own.get("constraints", ())],
    )
    found = m.solve(("func", "callback"), "func", lambda r: r.x, _prepared if "constraints" in arguments else None)
    if found is None:
        return call.result
    call.refuse(("vectorized", False), ("integrality", None))
    return finished(call, *found)


@solver(ROOM, "brute")
def brute(call: Call) -> Any:
    """Return the best point of a grid, moved by a search from there to where the function is least."""
    if call.arguments["finish"] is None and call.given.caught:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.optimize.brute with finish=None returns a point of its grid, which does not move with the parameters. Leave "
            "finish out, or use minimize."
        )
    m = Minimisation(call, lambda own: _value(own["func"], arguments_of(own["args"])), lambda own: None)
    found = m.solve(("func",), "func", _first)
    if found is None:
        return call.result
    call.refuse(("full_output", 0))
    return at_value(call.result, np.reshape(found[0], np.shape(call.result)))


@solver(ROOM, "basinhopping")
def basinhopping(call: Call) -> Any:
    """Return the record of a search from one local minimum to the next."""

    def options(own: Arguments) -> Arguments:
        return own["minimizer_kwargs"] or {}

    if call.arguments["minimizer_kwargs"] and call.arguments["minimizer_kwargs"].get("constraints"):
        raise UnsupportedFunctionError(
            f"{where()}: basinhopping with constraints is not differentiated. Pass its answer to minimize as the point to start from."
        )
    m = Minimisation(
        call,
        lambda own: _value(own["func"], arguments_of(options(own).get("args", ())), options(own).get("jac") is True),
        lambda own: vector(own["x0"]),
        lambda own, n: bounds_of(options(own).get("bounds"), n),
    )

    def prepared(own: Arguments) -> Arguments:
        return {
            **own,
            "minimizer_kwargs": {
                k: plainly(v) if k in ("jac", "hess", "hessp") else v for k, v in options(own).items()
            },
        }

    found = m.solve(("func", "callback"), "func", lambda r: r.x, prepared)
    return call.result if found is None else finished(call, *found)


__all__ = ["ROOM", "Minimisation", "bounds_of", "finished", "vector"]
