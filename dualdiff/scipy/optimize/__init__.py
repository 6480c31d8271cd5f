"""SciPy's solvers, given the exact derivatives of what they solve: the same functions under the same names.

``from dualdiff.scipy.optimize import least_squares`` in place of ``from scipy.optimize import least_squares`` is all there is to do. Each
function takes SciPy's arguments under SciPy's names; a derivative that is given wins, and one that is not is made of the function.
"""

from dualdiff.scipy.optimize.fits import curve_fit, least_squares
from dualdiff.scipy.optimize.minima import minimize
from dualdiff.scipy.optimize.results import Band, CurveFit, FitResult, confidence_band
from dualdiff.scipy.optimize.roots import fsolve, newton, root

__all__ = [
    "least_squares",
    "curve_fit",
    "minimize",
    "root",
    "fsolve",
    "newton",
    "FitResult",
    "CurveFit",
    "Band",
    "confidence_band",
]
