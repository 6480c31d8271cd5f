"""What a fit knows beside its answer: covariance, standard errors, confidence bands."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import scipy.special

from dualdiff import trees
from dualdiff.errors import InputError, outside
from dualdiff.operators.jacobian import value_and_jacobian
from dualdiff.scipy.answers import Call, Result, at_value
from dualdiff.shapes import shape_of
from dualdiff.values import TRACED, number, operand, raw

__all__ = ["Band", "CurveFit", "FitResult", "confidence_band"]

LARGE = 10_000
"""Parameters above which a covariance, a dense matrix, is refused."""


@dataclass(frozen=True, slots=True)
class Band:
    r"""A confidence band: a function of fitted parameters, with its error.

    Attributes
    ----------
    value : ndarray
        The function at the fitted parameters.
    standard_error : ndarray
        Its standard error, the root of the diagonal of :math:`J C J^{\mathsf T}`.
    lower, upper : ndarray
        The limits between which it lies with probability ``level``, entry by entry.
    level : float
        The probability.
    """

    value: Any
    standard_error: Any
    lower: Any
    upper: Any
    level: float


def confidence_band(
    f: Callable[[Any], Any], x: Any, covariance: Any, *, level: float = 0.95, dof: float | None = None
) -> Band:
    r"""Return a function of uncertain parameters with its standard error and confidence limits, to first order.

    With the Jacobian :math:`J` of :math:`f` at :math:`x`, the covariance of :math:`f(x)` is :math:`J C J^{\mathsf T}`; its
    diagonal is computed without the matrix. The limits are :math:`f(x) \pm q\,\sigma`, with the quantile :math:`q` of
    Student's distribution, or of the normal one.

    Parameters
    ----------
    f : callable
        A function of the vector of parameters, of any shape.
    x : array_like
        The parameters, (n,).
    covariance : array_like
        Their covariance, (n, n).
    level : float
        The probability with which an entry lies between the limits.
    dof : float, optional
        The degrees of freedom from which the covariance was estimated: as many as points less parameters. None, where it is
        known, stands for infinitely many: the normal distribution.

    Returns
    -------
    Band
        With ``value``, ``standard_error``, ``lower`` and ``upper``, each of the shape of ``f(x)``.

    Raises
    ------
    InputError
        If the covariance does not belong to the parameters, or the level is no probability.

    References
    ----------
    Seber & Wild, *Nonlinear Regression*, Wiley 1989, section 5.1, doi:10.1002/0471725315.

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff.scipy.optimize import confidence_band
    >>> band = confidence_band(lambda x: x[0] * x[1], np.array([2.0, 3.0]), np.diag([0.01, 0.04]))
    >>> print(band.value, band.standard_error, (band.upper - band.value).round(3))
    6.0 0.5 0.98
    """
    x, covariance = (v if type(v) in TRACED else np.asarray(v, float) for v in (x, covariance))
    if x.ndim != 1 or covariance.shape != (x.size, x.size):
        raise InputError(
            f"the parameters have shape {x.shape} and their covariance {covariance.shape}; they must be (n,) and (n, n)"
        )
    if not 0 < level < 1:
        raise InputError(f"level={level!r} must be a probability, as 0.95")
    if dof is not None and not dof > 0:
        raise InputError(f"dof={dof!r} must be positive: there must be more points than parameters")
    value, J = value_and_jacobian(f)(x)
    is_one = not isinstance(value, dict)
    if is_one:
        value, J = operand(value), operand(J)
        is_one = shape_of(J) == (*shape_of(value), x.size)
    if not is_one:
        raise InputError("a band is drawn around a function that returns one array or number")
    error = np.sqrt(np.einsum("...i,ij,...j->...", J, covariance, J))
    q = scipy.special.ndtri(0.5 + level / 2) if dof is None else scipy.special.stdtrit(dof, 0.5 + level / 2)
    lower, upper = number(value - q * error), number(value + q * error)
    return Band(number(value), number(error), lower, upper, level)


class FitResult(scipy.optimize.OptimizeResult):
    r"""SciPy's ``OptimizeResult`` of a least-squares fit, with the errors of what was fitted.

    They are computed when they are first asked for. They belong to residuals of equal and unknown variance, which is
    estimated as :math:`s^2 = \lVert r \rVert^2 / (m - n)`.

    Attributes
    ----------
    covariance : ndarray
        :math:`s^2 (J^{\mathsf T} J)^{-1}`, (n, n): as ``curve_fit`` has it. A parameter that lies on its bound is taken for known,
        and has NaN in its row and column. Infinite, with a warning, where the data do not determine the parameters.
    unscaled_covariance : ndarray
        :math:`(J^{\mathsf T} J)^{-1}`: the covariance where the residuals were divided by their known standard deviations.
    standard_errors : ndarray
        The roots of the diagonal of ``covariance``, (n,).
    dof : int
        Degrees of freedom, m less the parameters that were free.
    """

    @property
    def dof(self) -> int:
        """Degrees of freedom."""
        return self.fun.size - int(np.sum(self.active_mask == 0))

    @property
    def unscaled_covariance(self) -> Any:
        """The inverse of JᵀJ."""
        _refuse_robust(self.__dict__)
        return _inverse_of(self.__dict__, self.jac, self.active_mask == 0)

    @property
    def covariance(self) -> Any:
        """The covariance of the parameters."""
        inverse = self.unscaled_covariance
        if self.dof <= 0:
            _warn(
                f"there are {self.fun.size} residuals for {self.x.size} parameters: their variance cannot be estimated"
            )
            return np.full_like(inverse, np.inf)
        return inverse * (2 * self.cost / self.dof)

    @property
    def standard_errors(self) -> Any:
        """The standard errors of the parameters."""
        return np.sqrt(np.diag(self.covariance))

    def band(self, g: Callable[[Any], Any], *, level: float = 0.95) -> Band:
        """Return a function of the parameters with its confidence limits: see :func:`confidence_band`.

        Parameters
        ----------
        g : callable
            A function of the vector of parameters: the model at the points where it is drawn, or any quantity that follows.
        level : float
            The probability with which an entry lies between the limits.
        """
        return confidence_band(g, self.x, self.covariance, level=level, dof=self.dof)


class DifferentiatedFit(Result, FitResult):
    """A fit inside a function that is differentiated: its fields, covariance and errors carry derivatives, or raise."""

    @property
    def unscaled_covariance(self) -> Any:
        """The inverse of JᵀJ."""
        _refuse_robust(self.__dict__)
        J, free = self.jac, np.flatnonzero(self.active_mask == 0)
        plain = _inverse_of(self.__dict__, raw(J), self.active_mask == 0)  # which warns, or refuses
        if type(J) not in TRACED or not np.isfinite(plain[np.ix_(free, free)]).all():
            return plain
        scale = np.linalg.norm(raw(J)[:, free], axis=0)
        J = J[:, free] / scale
        inverse = np.linalg.inv(J.T @ J) / np.outer(scale, scale)
        if len(free) == len(plain):
            return at_value(plain, inverse)
        whole = np.full_like(J, np.nan, shape=plain.shape)
        whole[np.ix_(free, free)] = at_value(plain[np.ix_(free, free)], inverse)
        return whole


def differentiated_fit(found: Any, call: Call) -> Any:
    """Return a fit that carries derivatives as what ``least_squares`` returns here."""
    if type(found) is not Result:
        return found
    fit = DifferentiatedFit(found, {})
    fit.__dict__.update(call.result.__dict__)
    absent = found.__dict__["_absent"]
    if fit.__dict__.pop("fits", None) is not None:
        absent = {**absent, "fits": "holds fits without derivatives, for an executor ran them; leave executor= out"}
    fit.__dict__["_absent"] = absent
    return fit


class CurveFit(tuple[Any, ...]):
    """What SciPy's ``curve_fit`` returns, with the errors of what was fitted.

    It is SciPy's tuple, ``(popt, pcov)``, or five items with ``full_output=True``, and unpacks as such.

    Attributes
    ----------
    popt, pcov : ndarray
        The parameters and their covariance, also called ``x`` and ``covariance``.
    standard_errors : ndarray
        The roots of the diagonal of the covariance.
    dof : int or None
        Degrees of freedom; None with ``absolute_sigma=True``, where no variance was estimated.
    """

    model: Callable[..., Any]
    xdata: Any
    dof: int | None

    def __new__(cls, found: Sequence[Any], model: Callable[..., Any], xdata: Any, dof: int | None) -> CurveFit:
        """Make it of SciPy's tuple, and of what was fitted where."""
        fit = super().__new__(cls, found)
        fit.model, fit.xdata, fit.dof = model, xdata, dof
        return fit

    def __reduce__(self) -> Any:
        return CurveFit, (tuple(self), self.model, self.xdata, self.dof)

    @property
    def popt(self) -> Any:
        """The parameters."""
        return self[0]

    @property
    def pcov(self) -> Any:
        """Their covariance."""
        return self[1]

    x = popt
    covariance = pcov

    @property
    def standard_errors(self) -> Any:
        """The standard errors of the parameters."""
        return np.sqrt(np.diag(self[1]))

    def band(self, xdata: Any = None, *, level: float = 0.95) -> Band:
        """Return the fitted model with its confidence limits, where it was fitted or at other points.

        Parameters
        ----------
        xdata : any, optional
            What the model takes as its first argument; by default that of the fit.
        level : float
            The probability with which the curve lies between the limits, point by point.
        """
        if xdata is None:
            xdata = self.xdata
        if isinstance(xdata, (list, tuple)):
            xdata = np.asarray(xdata, float)
        if self.dof is not None and self.dof <= 0:
            raise InputError(
                "there are no more points than parameters: their variance, and a band, cannot be estimated"
            )
        return confidence_band(lambda p: self.model(xdata, *p), self[0], self[1], level=level, dof=self.dof)


trees.let_open(CurveFit)


def _inverse_of(known: dict[str, Any], J: Any, free: Any) -> Any:
    """Return the inverse of JᵀJ, kept beside the items of a fit, which SciPy prints."""
    if "inverse" not in known:
        known["inverse"] = _inverse(J, free)
    return known["inverse"]


def _refuse_robust(known: dict[str, Any]) -> None:
    if known.get("loss", "linear") != "linear":
        raise InputError(
            f"a robust fit (loss={known['loss']!r}) has no covariance s²(JᵀJ)⁻¹: its residuals are not of one variance. "
            "Fit once more with loss='linear' without the outliers, or resample the data (bootstrap)"
        )


def _inverse(J: Any, free: Any) -> Any:
    """Return the inverse of JᵀJ for the parameters that are free."""
    n = J.shape[1]
    if not hasattr(J, "toarray") and type(J) is not np.ndarray:
        raise InputError("the Jacobian of this fit is a linear operator; a covariance needs a matrix")
    if n > LARGE:
        raise InputError(f"a covariance of {n} parameters is a dense matrix of {n}²; there is none above {LARGE}")
    J = J[:, free]
    whole = np.full((n, n), np.nan)
    if type(J) is not np.ndarray:  # Q is not wanted: RᵀR = JᵀJ, from the sparse product
        product = (J.T @ J).toarray()
        scale = np.sqrt(np.diag(product))
        scale[scale == 0] = 1.0
        squares, vectors = np.linalg.eigh(product / np.outer(scale, scale))
        singular = np.sqrt(np.maximum(squares, 0.0))
        bar = np.sqrt(np.finfo(float).eps * max(J.shape))
    else:
        scale = np.sqrt(np.einsum("ij,ij->j", J, J))
        scale[scale == 0] = 1.0
        _, singular, rows = np.linalg.svd(J / scale, full_matrices=False)
        vectors = rows.T
        bar = np.finfo(float).eps * max(J.shape)
    if J.shape[0] < J.shape[1] or (singular.size and singular.min() <= bar * singular.max()):
        weak = np.flatnonzero(free)[np.abs(vectors[:, int(singular.argmin())]) > 0.1] if singular.size else []
        _warn(f"the residuals do not determine the parameters {', '.join(map(str, weak))} apart from each other")
        whole[:] = np.inf
        return whole
    inverse = (vectors / singular**2) @ vectors.T / np.outer(scale, scale)
    whole[np.ix_(free, free)] = inverse
    return whole


def _warn(reason: str) -> None:
    warnings.warn(
        f"the covariance of the parameters is infinite: {reason}",
        scipy.optimize.OptimizeWarning,
        stacklevel=outside(),
    )
