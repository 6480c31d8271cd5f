"""A least-squares fit with a given Jacobian, and how many digits of it are right."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.optimize import least_squares

import dualdiff as dd
from dualdiff.lab.problems import Problem

__all__ = ["CERTIFIED_DIGITS", "Fit", "digits", "fit"]

Array = NDArray[np.float64]

_MINPACK_KNOWS_THREE_POINTS = tuple([int(n) for n in scipy.__version__.split(".")[:2]]) >= (1, 16)

#: NIST prints its certified parameters with this many digits; no comparison with them can show more.
CERTIFIED_DIGITS = 11.0


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Where `scipy.optimize.least_squares` arrived.

    Attributes
    ----------
    jacobian : str
        Where its derivatives came from: ``"dualdiff"`` or one of SciPy's finite-difference schemes.
    method : str
        SciPy's name for the algorithm.
    parameters : ndarray, shape (n,)
    rss : float
        The residual sum of squares there.
    evaluations : int
        How often the solver asked for the residuals. SciPy does not count those made for finite differences.
    converged : bool
    digits : float
        The digits that agree with the certified parameters, or with the observations where the parameters are not
        unique and the model can meet the observations exactly.
    """

    jacobian: str
    method: str
    parameters: Array
    rss: float
    evaluations: int
    converged: bool
    digits: float


def digits(computed: Array, certified: Array) -> float:
    r"""Return the number of correct digits of the worst component.

    NIST's measure, the log relative error :math:`-\log_{10}(|b - c| / |c|)`, least over the components, but not below
    zero nor above the digits that are certified.

    Parameters
    ----------
    computed, certified : ndarray, shape (n,)
        No certified value may be zero.

    Returns
    -------
    float

    Examples
    --------
    >>> round(digits(np.array([1.0, 2.0002]), np.array([1.0, 2.0])), 6)
    4.0
    >>> digits(np.array([np.nan]), np.array([1.0]))
    0.0
    """
    error = float(np.max(np.abs(computed - certified) / np.abs(certified)))
    if not np.isfinite(error):
        return 0.0
    # Below this error there is no further digit to see, and a perfect match has no logarithm.
    return float(max(0.0, -np.log10(max(error, 10.0**-CERTIFIED_DIGITS))))


def fit(problem: Problem, jacobian: Literal["dualdiff", "2-point", "3-point"] = "dualdiff") -> Fit:
    """Fit a problem from its start with `scipy.optimize.least_squares`.

    Parameters
    ----------
    problem : Problem
    jacobian : {"dualdiff", "2-point", "3-point"}
        Exact derivatives, or SciPy's finite differences for comparison.

    Returns
    -------
    Fit
    """
    source: str | Callable[[Array], Array] = dd.jacobian(problem.residual) if jacobian == "dualdiff" else jacobian
    # MINPACK's Levenberg-Marquardt is the usual choice for curves, but wants at least as many residuals as parameters, and before
    # SciPy 1.16 it takes two-point differences where three are asked for.
    method = "lm" if problem.degrees >= 0 and (jacobian != "3-point" or _MINPACK_KNOWS_THREE_POINTS) else "trf"
    # Tolerances just above the rounding unit: the fit is to stop where the derivatives let it, not where it is told.
    found = least_squares(
        problem.residual, problem.start, jac=source, method=method, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    if problem.certified is not None:
        correct = digits(found.x, problem.certified)
    else:
        correct = digits(problem.model(found.x, problem.x), problem.y)
    return Fit(
        jacobian=jacobian,
        method=method,
        parameters=found.x,
        rss=float(found.fun @ found.fun),
        evaluations=int(found.nfev),
        converged=bool(found.success),
        digits=correct,
    )
