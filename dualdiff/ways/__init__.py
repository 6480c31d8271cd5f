"""Ways from a function to its Jacobian, and the choice between them, with its reasons.

A new way is one file here and one line below; :data:`dualdiff.ways.base.WAYS` is the register that everything else goes over.
"""

from dualdiff.ways.base import WAYS, Answer, Way, register
from dualdiff.ways.choice import choose
from dualdiff.ways.colored import Acyclic, Both, Columns, Rows, Star
from dualdiff.ways.decisions import Decisions, evaluate
from dualdiff.ways.differenced import ComplexStep, FiniteDifferences
from dualdiff.ways.elimination import Elimination
from dualdiff.ways.explain import Estimate, Explanation, explain
from dualdiff.ways.forward import Forward
from dualdiff.ways.mixed import Mixed
from dualdiff.ways.options import Cost, Options
from dualdiff.ways.problem import Problem
from dualdiff.ways.program import Program
from dualdiff.ways.reverse import Reverse
from dualdiff.ways.row_sparse import RowSparse

# In the order in which they are listed.
register(
    Forward, Reverse, Mixed, RowSparse, Columns, Rows, Both, Star, Acyclic, Elimination, FiniteDifferences, ComplexStep
)

__all__ = [
    "WAYS",
    "Acyclic",
    "Answer",
    "Both",
    "Columns",
    "ComplexStep",
    "Cost",
    "Decisions",
    "Elimination",
    "Estimate",
    "Explanation",
    "FiniteDifferences",
    "Forward",
    "Mixed",
    "Options",
    "Problem",
    "Program",
    "Reverse",
    "RowSparse",
    "Rows",
    "Star",
    "Way",
    "choose",
    "evaluate",
    "explain",
    "register",
]
