"""Nonlinear least squares of ``scipy.optimize``: fits differentiated by data, by errors of measurement and by whatever else enters.

The Hessian of the sum of squares is exact: it has the second derivatives of the residuals, which Gauss and Newton leave out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.operators.gradients import grad
from dualdiff.operators.jacobian import jacobian
from dualdiff.scipy.answers import (
    PATH,
    Arguments,
    Call,
    Result,
    absent_from,
    arguments_of,
    at_value,
    solver,
    stripped,
)
from dualdiff.scipy.minima import Minimisation, bounds_of, vector
from dualdiff.scipy.room import Room
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import operand, raw

ROOM = Room("scipy.optimize")

LOSSES: dict[str, Callable[[Any], Any]] = {
    "linear": lambda z: z,
    "soft_l1": lambda z: 2 * (np.sqrt(1 + z) - 1),
    "huber": lambda z: np.where(z <= 1, z, 2 * np.sqrt(np.where(z <= 1, 1.0, z)) - 1),
    "cauchy": lambda z: np.log1p(z),
    "arctan": lambda z: np.arctan(z),
}
"""What least_squares sums up of the squares of the residuals."""


def half_squares(r: Any, loss: Any = "linear", scale: Any = 1.0) -> Any:
    """Return the cost of some residuals."""
    if loss == "linear":
        return 0.5 * np.sum(r * r)
    z = (r / scale) ** 2
    return 0.5 * scale * scale * np.sum(LOSSES[loss](z) if isinstance(loss, str) else loss(z)[0])


def pair_of(bounds: Any, n: int) -> tuple[Any, Any]:
    """Return bounds that SciPy takes as a pair of numbers or arrays; None, None where nothing is bounded."""
    if isinstance(bounds, scipy.optimize.Bounds):
        return bounds_of(bounds, n)
    lower, upper = (np.broadcast_to(operand(b), (n,)) for b in bounds)
    return (lower, upper) if np.isfinite(raw(lower)).any() or np.isfinite(raw(upper)).any() else (None, None)


def _residuals(own: Arguments) -> Callable[[Any], Any]:
    f, args, kwargs = own["fun"], arguments_of(own["args"]), own["kwargs"] or {}
    return lambda x: np.reshape(operand(f(x, *args, **kwargs)), (-1,))


@solver(ROOM, "least_squares")
def least_squares(call: Call) -> Any:
    """Return the record of a search for the least sum of squares."""

    def objective(own: Arguments) -> Any:
        r = _residuals(own)
        return lambda x: half_squares(r(x), own["loss"], own["f_scale"])

    m = Minimisation(call, objective, lambda own: vector(own["x0"]), lambda own, n: pair_of(own["bounds"], n))
    solved = m.solve(("fun", "jac", "loss", "callback"), "fun", lambda r: r.x)
    if solved is None:
        return call.result
    x, problem = solved
    found, r = call.result, _residuals(call.given.at(call.given.caught))
    known = ("x", "cost", "fun") if call.frozen else ("x", "cost", "fun", "jac", "grad", "active_mask")
    absent = absent_from(found, known, call.frozen)
    plain = call.given.plain()
    if plain["loss"] != "linear" or not isinstance(found["jac"], np.ndarray):
        absent["jac"] = PATH
    new = Result(found, absent)
    new["x"] = at_value(found["x"], x)
    new["cost"] = at_value(found["cost"], problem.objective(x))
    new["fun"] = at_value(found["fun"], r(x))
    if "jac" in new:
        new["jac"] = at_value(found["jac"], jacobian(r)(x))
    if problem.has_bounds and "grad" in new:
        new["grad"] = at_value(found["grad"], grad(problem.objective)(x))
    return new


def _covariance(r: Callable[[Any], Any], x: Any) -> Any:
    rows = jacobian(r)(x)
    return np.linalg.inv(rows.T @ rows)


@solver(ROOM, "leastsq")
def leastsq(call: Call) -> Any:
    """Return where a sum of squares is least."""

    def residuals(own: Arguments) -> Callable[[Any], Any]:
        f, args = own["func"], arguments_of(own["args"])
        return lambda x: np.reshape(operand(f(x, *args)), (-1,))

    def objective(own: Arguments) -> Any:
        r = residuals(own)
        return lambda x: half_squares(r(x))

    m = Minimisation(call, objective, lambda own: vector(own["x0"]))
    solved = m.solve(("func", "Dfun"), "func", lambda found: found[0])
    if solved is None:
        return call.result
    found = call.result
    x = at_value(found[0], solved[0])
    if len(found) == 2:
        return x, found[1]
    call.refuse(("full_output", False)) if call.frozen else None
    r = residuals(call.given.at(call.given.caught))
    told = Result(found[2], dict.fromkeys(("fjac", "ipvt", "qtf"), PATH))
    told["fvec"] = at_value(found[2]["fvec"], r(x))
    return x, None if found[1] is None else at_value(found[1], _covariance(r, x)), told, *found[3:]


# -- curve_fit -----------------------------------------------------------------------------------------


def _data(x: Any) -> Any:
    return operand(x) if isinstance(x, (list, tuple, np.ndarray)) else x


def _weighted(own: Arguments) -> Callable[[Any], Any]:
    """Return the residuals that curve_fit makes small: the model less the data, in units of their errors."""
    f, xdata, y, sigma = own["f"], _data(own["xdata"]), operand(own["ydata"]), own["sigma"]
    y = y if np.issubdtype(y.dtype, np.floating) else y.astype(float)
    keep = None
    if own.get("nan_policy") == "omit":
        holes = np.isnan(stripped(y))
        if isinstance(xdata, np.ndarray) and np.size(raw(xdata)):
            lost = np.isnan(stripped(xdata))
            holes = holes | lost.any(axis=tuple(range(lost.ndim - 1)))
        if holes.any():
            keep = ~holes
            xdata, y = xdata[..., keep], y[keep]
    if sigma is None:
        return lambda x: np.reshape(f(xdata, *x), (-1,)) - y
    sigma = operand(sigma)
    if len(shape_of(sigma)) == 2:
        factor = np.linalg.cholesky(sigma if keep is None else sigma[np.ix_(keep, keep)])
        return lambda x: np.linalg.solve(factor, np.reshape(f(xdata, *x), (-1,)) - y)
    weights = 1.0 / (sigma if keep is None or not shape_of(sigma) else sigma[keep])
    return lambda x: weights * (np.reshape(f(xdata, *x), (-1,)) - y)


@solver(ROOM, "curve_fit")
def curve_fit(call: Call) -> Any:
    """Return the parameters of a model that fits data best, and their covariance."""

    def objective(own: Arguments) -> Any:
        r = _weighted(own)
        return lambda x: half_squares(r(x))

    def start(own: Arguments) -> Any:
        return None if own["p0"] is None else vector(own["p0"])

    m = Minimisation(call, objective, start, lambda own, n: pair_of(own["bounds"], n))
    solved = m.solve(("f", "jac"), "f", lambda found: found[0])
    if solved is None:
        return call.result
    if not (call.exact and np.isfinite(call.result[1]).all()):
        call.check_program("computes a covariance by differences, or finds none,")
    call.refuse(("full_output", False)) if call.frozen else None
    if call.given.plain().get("kwargs", {}).get("loss", "linear") != "linear":
        raise UnsupportedFunctionError(
            f"{where()}: curve_fit with another loss is not differentiated, since its covariance is not one of the model alone. Call "
            "least_squares with that loss."
        )
    found, own = call.result, call.given.at(call.given.caught)
    x, r = at_value(found[0], solved[0]), _weighted(own)
    covariance = found[1]
    if np.isfinite(covariance).all():
        left = r(x)
        free = size_of(shape_of(left)) - len(found[0])
        c = _covariance(r, x)
        covariance = at_value(covariance, c if own["absolute_sigma"] else c * (np.sum(left * left) / free))
    if len(found) == 2:
        return x, covariance
    told = Result(found[2], dict.fromkeys(("fjac", "ipvt", "qtf"), PATH))
    told["fvec"] = at_value(found[2]["fvec"], r(x))
    return x, covariance, told, *found[3:]


__all__ = ["ROOM"]
