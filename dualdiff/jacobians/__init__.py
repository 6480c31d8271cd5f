"""Ways from a function to its Jacobian, and the choice between them, with its reasons."""

from dualdiff.jacobians.choice import Explanation, Way, choose
from dualdiff.jacobians.ways import Problem, forward, reverse

__all__ = ["Explanation", "Problem", "Way", "choose", "forward", "reverse"]
