"""A primitive is one row; its kind derives the rest.

A row states a function, its partials or its transpose, and its domain. The *kind* turns the row into a
value, a push (forward mode), a pull (reverse mode), and what the analyses ask: the tangent it will make, a sparsity pattern,
a step. Only the kinds know about broadcasting
and about the batch of directions: rules count axes from the end, so a leading batch axis passes unseen.

============  ===========================  ===========================  ==========================
kind          push of directions ``dx``    pull of covectors ``g``      pattern
============  ===========================  ===========================  ==========================
elementwise   Σ pᵢ·dxᵢ                     sum-to-shape(conj(pᵢ)·g)     diagonal of the broadcast
movement      the same function            scatter by the position map  position map
linear        the same function            the transpose given          declared, else a block
multilinear   product rule                 the transposes given         contraction axes
general       given                        given                        declared, else a block
discrete      none                         none                         empty
============  ===========================  ===========================  ==========================

The names of a row's lambda parameters say what the rule needs: a parameter that begins with an
underscore is passed as a shape and dtype only, so the tape need not keep its value.
"""

from dualdiff.kinds.base import (
    CAREFUL,
    PRIMITIVES,
    Primitive,
    Shape,
    Sweep,
    chosen,
    full,
    given_to,
    nonzero,
    patterns,
    with_patterns,
)
from dualdiff.kinds.discrete import Discrete
from dualdiff.kinds.elementwise import Elementwise, Partial, WithParameters
from dualdiff.kinds.general import General
from dualdiff.kinds.linear import Linear
from dualdiff.kinds.movement import Movement, add_runs, gather, scatter, scatter_add, sum_into
from dualdiff.kinds.multilinear import Multilinear

__all__ = [
    "CAREFUL",
    "PRIMITIVES",
    "Discrete",
    "Elementwise",
    "General",
    "Linear",
    "Movement",
    "Multilinear",
    "Partial",
    "Primitive",
    "Shape",
    "Sweep",
    "WithParameters",
    "add_runs",
    "chosen",
    "full",
    "gather",
    "given_to",
    "nonzero",
    "patterns",
    "scatter",
    "scatter_add",
    "sum_into",
    "with_patterns",
]
