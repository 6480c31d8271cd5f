"""The bench: problems with known Jacobians, methods for a Jacobian side by side, and the command line."""

from dualdiff.lab import problems
from dualdiff.lab.catalogue import METHODS, Method, forget, method, methods
from dualdiff.lab.comparison import Comparison, Row, compare
from dualdiff.lab.fits import Fit, fit
from dualdiff.lab.graphs import NamedGraph, graph
from dualdiff.lab.problems import PROBLEMS, Problem
from dualdiff.lab.report import Report, report
from dualdiff.lab.spies import Spy, spy
from dualdiff.lab.stepsizes import Accuracy, accuracy
from dualdiff.lab.sweeps import Crossover, Growth, Sweep, sweep
from dualdiff.lab.verification import MethodError, verify

__all__ = [
    "compare",
    "Comparison",
    "Row",
    "sweep",
    "Sweep",
    "Growth",
    "Crossover",
    "accuracy",
    "Accuracy",
    "graph",
    "NamedGraph",
    "spy",
    "Spy",
    "method",
    "methods",
    "METHODS",
    "Method",
    "MethodError",
    "forget",
    "verify",
    "problems",
    "PROBLEMS",
    "Problem",
    "report",
    "Report",
    "fit",
    "Fit",
]
