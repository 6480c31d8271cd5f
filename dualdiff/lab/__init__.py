"""The bench: problems with known Jacobians, ways to a Jacobian side by side, and the command line."""

from dualdiff.lab.comparison import Comparison, Method, compare
from dualdiff.lab.fits import Fit, fit
from dualdiff.lab.problems import PROBLEMS, Problem
from dualdiff.lab.report import Report, report

__all__ = ["PROBLEMS", "Comparison", "Fit", "Method", "Problem", "Report", "compare", "fit", "report"]
