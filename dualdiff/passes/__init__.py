"""Functions of a tape: push, pull, replay, costs."""

from dualdiff.passes.costs import Cost, cost_of
from dualdiff.passes.pull import pull
from dualdiff.passes.push import push
from dualdiff.passes.replay import replay

__all__ = ["Cost", "cost_of", "pull", "push", "replay"]
