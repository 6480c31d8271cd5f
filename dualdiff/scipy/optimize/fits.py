"""``least_squares`` and ``curve_fit`` with exact Jacobians."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from functools import partial, wraps
from typing import Any

import numpy as np
import scipy.optimize

from dualdiff.errors import InputError, outside
from dualdiff.scipy.optimize.derivatives import (
    Derivative,
    Values,
    columns_of,
    fill,
    of_jacobian,
    of_sparse_jacobian,
    refuse_steps,
)
from dualdiff.scipy.optimize.results import CurveFit, FitResult
from dualdiff.scipy.optimize.starts import best_of

__all__ = ["curve_fit", "least_squares"]

UNBOUNDED = (-np.inf, np.inf)
CONVERGED = (1, 2, 3, 4)
"""What ``leastsq`` returns where it found a minimum."""
MANY = 100
"""Parameters from which a look at the pattern of a Jacobian may pay."""
SPARSE = 0.05
"""The share of nonzeros below which a fit of many parameters gets a sparse Jacobian, and SciPy's iterative solver."""


def least_squares(
    fun: Callable[..., Any],
    x0: Any,
    jac: Any = None,
    bounds: Any = (-np.inf, np.inf),
    method: str = "trf",
    ftol: float | None = 1e-8,
    xtol: float | None = 1e-8,
    gtol: float | None = 1e-8,
    x_scale: Any = None,
    loss: Any = "linear",
    f_scale: float = 1.0,
    diff_step: Any = None,
    tr_solver: str | None = None,
    tr_options: Any = None,
    jac_sparsity: Any = None,
    max_nfev: int | None = None,
    verbose: int = 0,
    args: Any = (),
    kwargs: Any = None,
    callback: Any = None,
    workers: Any = None,
    *,
    starts: Iterable[Any] | None = None,
    executor: Executor | None = None,
) -> FitResult:
    r"""Minimise a sum of squares as ``scipy.optimize.least_squares`` does, with the exact Jacobian.

    Everything is SciPy's but ``jac``, which is made of ``fun`` unless it is given. A Jacobian of many parameters that is nearly
    empty is a sparse matrix, and so it is with ``tr_solver="lsmr"`` and with ``jac_sparsity``. Once its calls have paid for
    that, the Jacobian runs as a program (:func:`dualdiff.compile`), held at every call against the residuals that ``fun`` itself gave.

    Parameters
    ----------
    fun : callable
        The residuals, a function of NumPy code ``fun(x, *args, **kwargs)``.
    x0 : array_like
        The start, (n,).
    jac : callable or str, optional
        A Jacobian of your own, or the name of one of SciPy's differences. None, the default, is the exact one.
    bounds, method, ftol, xtol, gtol, x_scale, loss, f_scale, tr_solver, tr_options, max_nfev, verbose, args, kwargs, callback, workers
        SciPy's.
    diff_step, jac_sparsity
        SciPy's: the one goes with differences only, the other asks for a sparse Jacobian.
    starts : iterable of array_like, optional
        Further starts. The best fit is returned, and has all of them, that from ``x0`` first, as ``fits``.
    executor : concurrent.futures.Executor, optional
        What runs the fits from several starts: threads, processes (``fun`` has to pickle then), or another library's.

    Returns
    -------
    FitResult
        SciPy's ``OptimizeResult``, with ``covariance``, ``standard_errors`` and ``band(g)``.

    Raises
    ------
    InputError
        If an option for differences is given where none are taken.

    References
    ----------
    Branch, Coleman & Li, "A subspace, interior, and conjugate gradient method for large-scale bound-constrained minimization
    problems", SIAM Journal on Scientific Computing 21 (1999), doi:10.1137/S1064827595289108.

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff.scipy.optimize import least_squares
    >>> t = np.linspace(0.0, 4.0, 30)
    >>> y = 2.0 * np.exp(-0.7 * t) + 0.01 * np.cos(40 * t)
    >>> fit = least_squares(lambda b: b[0] * np.exp(-b[1] * t) - y, [1.0, 1.0])
    >>> print(fit.x.round(3), fit.standard_errors.round(3))
    [2.003 0.702] [0.004 0.002]
    """
    if not isinstance(args, tuple):
        args = tuple(args)
    if starts is not None:
        given = {k: v for k, v in locals().items() if k not in ("fun", "x0", "starts", "executor")}
        return best_of(partial(least_squares, fun, **given), [x0, *starts], executor)
    if executor is not None:
        raise InputError("executor= runs the fits from several starts, and there is one: give more as starts=")
    more = {"callback": callback, "workers": workers}
    passed: dict[str, Any] = {k: v for k, v in more.items() if v is not None}
    passed |= {} if x_scale is None else {"x_scale": x_scale}
    values: Any = fun
    if jac is None:
        refuse_steps({"diff_step": diff_step}, "least_squares", "jac='2-point'")
        values = Values(fun)
        sparse = method != "lm" and _is_sparse(fun, x0, args, kwargs, tr_solver, jac_sparsity)
        jac = Derivative(fun, of_sparse_jacobian if sparse else of_jacobian, values.at, values, what=sparse)
        jac_sparsity = None
    found = FitResult(
        scipy.optimize.least_squares(
            values,
            x0,
            jac=jac,
            bounds=bounds,
            method=method,
            ftol=ftol,
            xtol=xtol,
            gtol=gtol,
            loss=loss,
            f_scale=f_scale,
            diff_step=diff_step,
            tr_solver=tr_solver,
            tr_options=tr_options or {},
            jac_sparsity=jac_sparsity,
            max_nfev=max_nfev,
            verbose=verbose,
            args=args,
            kwargs=kwargs or {},
            **passed,
        )
    )
    found.__dict__["loss"] = loss
    return found


def _is_sparse(fun: Any, x0: Any, args: Any, kwargs: Any, tr_solver: Any, jac_sparsity: Any) -> bool:
    """Whether a Jacobian is to be a sparse matrix: because it was asked for, or because it is large and nearly empty."""
    if tr_solver is not None or jac_sparsity is not None:
        return tr_solver != "exact"
    if columns_of(x0) < MANY:
        return False
    m, n, nonzeros = fill(fun, (np.atleast_1d(x0).astype(float), *args), kwargs)
    return nonzeros < SPARSE * m * n


def curve_fit(
    f: Callable[..., Any],
    xdata: Any,
    ydata: Any,
    p0: Any = None,
    sigma: Any = None,
    absolute_sigma: bool = False,
    check_finite: bool | None = None,
    bounds: Any = UNBOUNDED,
    method: str | None = None,
    jac: Any = None,
    *,
    full_output: bool = False,
    nan_policy: str | None = None,
    **kwargs: Any,
) -> CurveFit:
    r"""Fit a model to data as ``scipy.optimize.curve_fit`` does, with the exact Jacobian.

    Everything is SciPy's but ``jac``, which is made of ``f`` unless it is given. Once its calls have paid for that, over several
    fits of one model, the Jacobian runs as a program (:func:`dualdiff.compile`), held at every call against the model itself.

    Parameters
    ----------
    f : callable
        The model ``f(x, *parameters)``, of NumPy code.
    xdata, ydata : array_like
        What the model takes, and what was seen.
    p0, sigma, absolute_sigma, check_finite, bounds, method, full_output, nan_policy, **kwargs
        SciPy's.
    jac : callable or str, optional
        A Jacobian of your own, or the name of one of SciPy's differences. None, the default, is the exact one.

    Returns
    -------
    CurveFit
        SciPy's tuple ``(popt, pcov)``, with ``standard_errors`` and ``band(x)``.

    Raises
    ------
    InputError
        If an option for differences is given where none are taken.

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff.scipy.optimize import curve_fit
    >>> def model(t, height, rate):
    ...     return height * np.exp(-rate * t)
    >>> t = np.linspace(0.0, 4.0, 30)
    >>> fit = curve_fit(model, t, model(t, 2.0, 0.7) + 0.01 * np.cos(40 * t), p0=[1.0, 1.0])
    >>> popt, pcov = fit
    >>> print(popt.round(3), fit.standard_errors.round(3))
    [2.003 0.702] [0.004 0.002]
    >>> band = fit.band(np.array([0.0, 3.0]))
    >>> print(band.value.round(4), band.standard_error.round(4))
    [2.0031 0.2442] [0.0043 0.0014]
    """
    model: Any = f
    if jac is None:
        steps = {k: kwargs.get(k) for k in ("epsfcn", "diff_step")}
        refuse_steps(steps, "curve_fit", "scipy.optimize.curve_fit")
        if bounds is UNBOUNDED and method in (None, "lm") and sigma is None and nan_policy is None and "args" not in kwargs:
            curve = Curve.of(f, xdata, ydata, p0)
            if curve is not None:
                return curve.fit(absolute_sigma, full_output, kwargs)
        model = Values(f, place=1)
        jac = _ByParameters(f, model, None if nan_policy == "omit" else np.shape(ydata))
    policy = {} if nan_policy is None else {"nan_policy": nan_policy}
    found = scipy.optimize.curve_fit(
        model,
        xdata,
        ydata,
        p0,
        sigma,
        absolute_sigma,
        check_finite,
        bounds,
        method,
        jac,
        full_output=True,
        **policy,
        **kwargs,
    )
    dof = None if absolute_sigma else found[2]["fvec"].size - found[0].size
    return CurveFit(found if full_output else found[:2], f, xdata, dof)


class Curve:
    """A model of float64 data without bounds and errors: the usual small fit, which ``leastsq`` takes at once.

    It is what SciPy's ``curve_fit`` does with one, without what that asks again at every call.
    """

    def __init__(self, f: Callable[..., Any], xdata: Any, ydata: Any, start: Any) -> None:
        self.f, self.xdata, self.ydata, self.start = f, xdata, ydata, start
        self.derivative = Derivative(f, of_jacobian, self.at, None, of_vector, "parameters")
        self.last: tuple[Any, Any] = (None, None)
        self.slope: tuple[Any, Any] = (None, None)

    @classmethod
    def of(cls, f: Callable[..., Any], xdata: Any, ydata: Any, p0: Any) -> Curve | None:
        """Return a fit; None for what SciPy has to look at."""
        if type(xdata) is not np.ndarray or xdata.dtype != float or type(ydata) is not np.ndarray or ydata.dtype != float:
            return None
        start = None if p0 is None else np.asarray(p0)
        if start is None or start.ndim != 1 or start.dtype.kind not in "if" or ydata.ndim != 1:
            return None
        usual = 0 < start.size <= ydata.size > 1 and _is_finite(xdata) and _is_finite(ydata)
        return cls(f, xdata, ydata, start) if usual else None

    def residuals(self, parameters: Any) -> Any:
        """Return the model less the data."""
        point, value = parameters.tobytes(), self.last[1]
        if point != self.last[0]:
            value = self.f(self.xdata, *parameters)
            self.last = point, value
        return value - self.ydata

    def at(self, args: Any, kwargs: Any) -> Any:
        """Return the model at some parameters."""
        return self.last[1] if args[0].tobytes() == self.last[0] else self.f(self.xdata, *args[0])

    def jacobian(self, parameters: Any) -> Any:
        """Return the Jacobian of the model: the last one, if it was there, as at the start, which ``leastsq`` looks at first."""
        point = parameters.tobytes()
        if point != self.slope[0]:
            self.slope = point, by_rows(self.derivative(parameters, self.xdata), self.ydata.shape)
        return self.slope[1]

    def fit(self, absolute_sigma: bool, full_output: bool, options: dict[str, Any]) -> CurveFit:
        """Return the fit, or raise as SciPy does."""
        found = scipy.optimize.leastsq(self.residuals, self.start, Dfun=self.jacobian, full_output=True, **options)
        popt, covariance, told, message, status = found
        if status not in CONVERGED:
            raise RuntimeError(f"Optimal parameters not found: {message}")
        left = told["fvec"]
        dof = left.size - popt.size
        if covariance is None or np.isnan(covariance).any() or not (absolute_sigma or dof > 0):
            covariance = np.full((popt.size, popt.size), np.inf)
            warnings.warn(
                "Covariance of the parameters could not be estimated", scipy.optimize.OptimizeWarning, stacklevel=outside()
            )
        elif not absolute_sigma:
            covariance = covariance * (left.dot(left) / dof)
        found = (popt, covariance, told, message, status) if full_output else (popt, covariance)
        return CurveFit(found, self.f, self.xdata, None if absolute_sigma else dof)


def _is_finite(x: Any) -> bool:
    """Whether all numbers are finite, and so is the sum of their squares, which is told in a third of the time."""
    x = x.ravel()
    size = float(x.dot(x))
    return size - size == 0.0


class _ByParameters:
    """The Jacobian of a model by its parameters, (m, n), as ``curve_fit`` calls it."""

    __slots__ = ("derivative", "shape")

    def __init__(self, f: Callable[..., Any], values: Values, shape: Any) -> None:
        self.derivative = Derivative(f, of_jacobian, values.at, values, of_vector, "parameters")
        self.shape = shape

    def __call__(self, xdata: Any, *parameters: Any) -> Any:
        found = self.derivative(np.array(parameters), xdata)
        return found if self.shape is None else by_rows(found, self.shape)


def by_rows(found: Any, shape: Any) -> Any:
    """Return a Jacobian with a row for every point, where a model is one number for all of them."""
    return np.broadcast_to(found, (*shape, found.shape[1])) if found.shape[0] == 1 and shape != (1,) else found


def of_vector(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a model of separate parameters as a function of the vector of them."""

    @wraps(f)
    def model(parameters: Any, xdata: Any) -> Any:
        return f(xdata, *parameters)

    return model
