"""Functions of a tape: push, pull, replay, structure, sparsity, cuts, costs, elimination."""

from dualdiff.passes.pull import pull
from dualdiff.passes.push import push
from dualdiff.passes.replay import replay

__all__ = ["pull", "push", "replay"]
