"""The steps of one evaluation, as a textbook tabulates them: dual numbers forward, adjoints backward, and the Jacobian they fill."""

from dualdiff.lab.trace.evaluation import show
from dualdiff.lab.trace.steps import Contribution, Step, Trace

__all__ = ["Contribution", "Step", "Trace", "show"]
