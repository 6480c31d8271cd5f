"""The bench: problems with known Jacobians, ways to a Jacobian side by side, and the command line."""

from dualdiff.lab.comparison import Comparison, Method, compare
from dualdiff.lab.fits import Fit, fit
from dualdiff.lab.graphs import NamedGraph, graph
from dualdiff.lab.problems import PROBLEMS, Problem
from dualdiff.lab.report import Report, report
from dualdiff.lab.spies import Spy, spy

__all__ = [
    "PROBLEMS",
    "Comparison",
    "Fit",
    "Method",
    "NamedGraph",
    "Problem",
    "Report",
    "Spy",
    "compare",
    "fit",
    "graph",
    "report",
    "spy",
]
