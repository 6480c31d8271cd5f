"""Ways from a function to its Jacobian, and the choice between them, with its reasons."""

from dualdiff.jacobians.choice import Estimate, Explanation, Options, choose
from dualdiff.jacobians.decisions import Decisions, evaluate, explain
from dualdiff.jacobians.ways import Problem, forward, reverse

__all__ = [
    "Decisions",
    "Estimate",
    "Explanation",
    "Options",
    "Problem",
    "choose",
    "evaluate",
    "explain",
    "forward",
    "reverse",
]
