"""``least_squares`` and ``curve_fit`` with exact Jacobians."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
import scipy.optimize

from dualdiff.errors import InputError
from dualdiff.scipy.answers import Call
from dualdiff.scipy.optimize.curves import UNBOUNDED, Curve, by_rows, infinite, is_unbounded, warn_of_rank
from dualdiff.scipy.optimize.derivatives import (
    Derivative,
    Values,
    columns_of,
    fill,
    of_curve,
    of_jacobian,
    of_sparse_jacobian,
    of_vector,
    refuse_steps,
)
from dualdiff.scipy.optimize.inside import differentiated
from dualdiff.scipy.optimize.results import CurveFit, FitResult, differentiated_fit
from dualdiff.scipy.optimize.starts import best_of

__all__ = ["curve_fit", "least_squares"]

MANY = 100
"""Parameters from which a look at the pattern of a Jacobian may pay."""
SPARSE = 0.05
"""The share of nonzeros below which a fit of many parameters gets a sparse Jacobian, and SciPy's iterative solver."""


@differentiated(differentiated_fit)
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

    Inside a function that is being differentiated the fit carries derivatives by ``args``, ``kwargs`` and whatever ``fun`` closes over,
    of the conditions that hold at the minimum; so do ``covariance``, ``standard_errors`` and bands.

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
        jac_sparsity = None if method != "lm" else jac_sparsity  # which SciPy refuses there
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


def _as_curve(found: Any, call: Call) -> Any:
    """Return a fit whose parameters and covariance carry derivatives as what ``curve_fit`` returns here."""
    if type(found) is CurveFit:
        return found
    return CurveFit(found, call.arguments["f"], call.arguments["xdata"], call.result.dof)


@differentiated(_as_curve)
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

    Inside a function that is being differentiated the parameters, their covariance, the errors and bands carry derivatives by the
    data, by ``sigma`` and by whatever ``f`` closes over, of the conditions that hold at the minimum.

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
    if sigma is not None and not isinstance(jac, str) and np.size(sigma) == 1:  # which SciPy does not bring to a matrix
        sigma = np.full(np.size(ydata), np.ravel(sigma)[0])
    if jac is None:
        steps = {k: kwargs.get(k) for k in ("epsfcn", "diff_step")}
        refuse_steps(steps, "curve_fit", "scipy.optimize.curve_fit")
        if method in (None, "lm") and nan_policy is None and "args" not in kwargs and is_unbounded(bounds):
            curve = Curve.of(f, xdata, ydata, p0, sigma)
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
    popt, covariance, *rest = found
    if np.isnan(covariance).any():  # of residuals that are not numbers
        covariance = infinite(popt.size)
    elif isinstance(jac, _ByParameters) and not rest[0].keys() & {"fjac"}:
        warn_of_rank(jac.last)  # SciPy's covariance is finite then
    dof = None if absolute_sigma else rest[0]["fvec"].size - popt.size
    return CurveFit((popt, covariance, *rest) if full_output else (popt, covariance), f, xdata, dof)


class _ByParameters:
    """The Jacobian of a model by its parameters, (m, n), as ``curve_fit`` calls it."""

    __slots__ = ("derivative", "last", "shape")

    def __init__(self, f: Callable[..., Any], values: Values, shape: Any) -> None:
        self.derivative = Derivative(f, of_curve, values.at, values, of_vector, "parameters")
        self.shape = shape
        self.last: Any = None

    def __call__(self, xdata: Any, *parameters: Any) -> Any:
        found = self.derivative(np.array(parameters), xdata)
        self.last = found if self.shape is None else by_rows(found, self.shape)
        return self.last
