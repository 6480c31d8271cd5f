"""The usual small fit of a curve: what SciPy's ``curve_fit`` does with one, without what that asks again at every call."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
import scipy.optimize
from scipy.linalg.lapack import dtrtri

from dualdiff.errors import outside
from dualdiff.scipy.optimize.derivatives import Derivative, of_curve, of_vector
from dualdiff.scipy.optimize.results import CurveFit

__all__ = ["UNBOUNDED", "Curve", "by_rows", "infinite", "is_unbounded", "warn_of_rank"]

UNBOUNDED = (-np.inf, np.inf)
"""The bounds that ``curve_fit`` has by default."""
CONVERGED = (1, 2, 3, 4)
"""What ``leastsq`` returns where it found a minimum."""
TOLERANCE = 1.49012e-8
"""Its ``ftol`` and ``xtol`` where none are given."""
_LMDER = getattr(getattr(scipy.optimize, "_minpack", None), "_lmder", None)
"""MINPACK's Levenberg-Marquardt with a Jacobian; None in a SciPy that has it elsewhere."""


class Curve:
    """A model of float64 data without bounds, and what ``leastsq`` calls to fit it.

    The model runs once for a point, and so does its Jacobian: at the start ``leastsq`` asks twice.
    """

    def __init__(self, f: Callable[..., Any], xdata: Any, ydata: Any, start: Any, weights: Any) -> None:
        self.f, self.xdata, self.ydata, self.start, self.weights = f, xdata, ydata, start, weights
        self.derivative = Derivative(f, of_curve, self.at, None, of_vector, "parameters")
        self.last: tuple[Any, Any] = (None, None)
        self.slope: tuple[Any, Any] = (None, None)

    @classmethod
    def of(cls, f: Callable[..., Any], xdata: Any, ydata: Any, p0: Any, sigma: Any) -> Curve | None:
        """Return a fit; None for what SciPy has to look at: other kinds of data, what is not finite."""
        if not (_is_plain(xdata) and _is_plain(ydata)):
            return None
        start = np.ones(_parameters(f)) if p0 is None else np.asarray(p0)
        if start.ndim != 1 or start.dtype.kind not in "if" or ydata.ndim != 1 or not 0 < start.size <= ydata.size > 1:
            return None
        if sigma is None:
            return cls(f, xdata, ydata, start, None)
        if not _is_plain(sigma) or sigma.shape != ydata.shape or not sigma.all():
            return None
        return cls(f, xdata, ydata, start, 1.0 / sigma)

    def residuals(self, parameters: Any) -> Any:
        """Return the model less the data, in units of their errors."""
        point, value = parameters.tobytes(), self.last[1]
        if point != self.last[0]:
            value = self.f(self.xdata, *parameters)
            self.last = point, value.copy() if type(value) is np.ndarray else value
        left = value - self.ydata
        return left if self.weights is None else self.weights * left

    def at(self, args: Any, kwargs: Any) -> Any:
        """Return the model at some parameters."""
        return self.last[1] if args[0].tobytes() == self.last[0] else self.f(self.xdata, *args[0])

    def jacobian(self, parameters: Any) -> Any:
        """Return the Jacobian of the residuals."""
        point = parameters.tobytes()
        if point != self.slope[0]:
            found = by_rows(self.derivative(parameters, self.xdata), self.ydata.shape)
            self.slope = point, found if self.weights is None else self.weights[:, np.newaxis] * found
        return self.slope[1]

    def columns(self, parameters: Any) -> Any:
        """Return the Jacobian column by column, as MINPACK keeps it."""
        return self.jacobian(parameters).T

    def solved(self) -> Any:
        """Return what ``leastsq`` does with its own options, less the message; None where it has something to say.

        What it looks at around its call of MINPACK takes a tenth of a small fit, and is known here.
        """
        n = self.start.size
        start = self.start.astype(float)  # a copy, in which MINPACK writes
        if _LMDER is None or self.residuals(start).shape != self.ydata.shape or self.columns(start).shape[0] != n:
            return None
        at_most = 100 * (n + 1)
        found = _LMDER(self.residuals, self.columns, start, (), 1, 1, TOLERANCE, TOLERANCE, 0.0, at_most, 100.0, None)
        popt, told, status = found
        if status not in CONVERGED:
            return None
        inverse, singular = dtrtri(np.triu(told["fjac"].T[:n]))
        if singular:
            return popt, None, told, "", status
        order = told["ipvt"]
        inverse[order - order.min()] = inverse.copy()  # older SciPy counts from one
        return popt, inverse @ inverse.T, told, "", status

    def fit(self, absolute_sigma: bool, full_output: bool, options: dict[str, Any]) -> CurveFit:
        """Return the fit, or raise as SciPy does."""
        found = None if options or full_output else self.solved()
        if found is None:
            options = {**options, "col_deriv": True}  # says how a Jacobian lies, and this is ours
            found = scipy.optimize.leastsq(self.residuals, self.start, Dfun=self.columns, full_output=True, **options)
        popt, covariance, told, message, status = found
        if status not in CONVERGED:
            raise RuntimeError(f"Optimal parameters not found: {message}")
        left = told["fvec"]
        dof = left.size - popt.size
        if covariance is None or np.isnan(covariance).any() or not (absolute_sigma or dof > 0):
            covariance = infinite(popt.size)
        elif not absolute_sigma:
            covariance = covariance * (left.dot(left) / dof)
        found = (popt, covariance, told, message, status) if full_output else (popt, covariance)
        return CurveFit(found, self.f, self.xdata, None if absolute_sigma else dof)


def is_unbounded(bounds: Any) -> bool:
    """Whether bounds are the ones that ``curve_fit`` has by default."""
    return bounds is UNBOUNDED or (type(bounds) is tuple and {*map(type, bounds)} == {float} and bounds == UNBOUNDED)


def infinite(n: int) -> Any:
    """Return the covariance of parameters that the data do not determine, and warn, as SciPy does."""
    warnings.warn(
        "Covariance of the parameters could not be estimated", scipy.optimize.OptimizeWarning, stacklevel=outside()
    )
    return np.full((n, n), np.inf)


def warn_of_rank(J: Any) -> None:
    """Warn where a Jacobian leaves some parameters undetermined, and the pseudo-inverse that SciPy takes calls them certain."""
    m, n = J.shape
    singular = np.linalg.svd(J, compute_uv=False)
    if singular[-1] <= np.finfo(float).eps * max(m, n) * singular[0] or m < n:
        warnings.warn(
            "the data do not determine the parameters apart from each other: the covariance, SciPy's for this method, is the "
            "pseudo-inverse, and too small. Fix some of them, or fit by method='lm'",
            scipy.optimize.OptimizeWarning,
            stacklevel=outside(),
        )


def by_rows(found: Any, shape: Any) -> Any:
    """Return a Jacobian with a row for every point, where a model is one number for all of them."""
    return np.broadcast_to(found, (*shape, found.shape[1])) if found.shape[0] == 1 and shape != (1,) else found


def _parameters(f: Callable[..., Any]) -> int:
    """Return how many parameters a model of Python code has by its signature; 0 where that takes a closer look."""
    if type(f) is not FunctionType or f.__dict__ or f.__code__.co_posonlyargcount:
        return 0
    return max(f.__code__.co_argcount - 1, 0)


def _is_plain(x: Any) -> bool:
    """Whether data is an array of float64 whose sum of squares is finite, which is told in a third of the time of every number."""
    if type(x) is not np.ndarray or x.dtype != float:
        return False
    size = float(np.vdot(x, x))
    return size - size == 0.0
