"""Colourings of sparse patterns: how few products with seeds hold a whole sparse matrix. Integers only.

One seed serves several columns of a Jacobian where no row needs to tell them apart. Which columns may share a seed is a
question of graph colouring: partial distance-2 colouring for columns or rows, both together where a few of either are
full, star and acyclic colouring for symmetric matrices. Gebremedhin, Manne & Pothen (2005), "What color is your
Jacobian?", doi:10.1137/S0036144504444711, tell the whole story.
"""

from dualdiff.coloring.bidirectional import BidirectionalColoring, color_both
from dualdiff.coloring.orders import ORDERS
from dualdiff.coloring.partial import color_columns, color_rows
from dualdiff.coloring.patterns import Coloring, as_pattern, column_entries, row_entries
from dualdiff.coloring.substitution import Substitution, substitute, substitution
from dualdiff.coloring.symmetric import color_acyclic, color_star, symmetric_entries
from dualdiff.coloring.validators import (
    is_valid_acyclic,
    is_valid_bidirectional,
    is_valid_column_coloring,
    is_valid_row_coloring,
    is_valid_star,
)

__all__ = [
    "ORDERS",
    "BidirectionalColoring",
    "Coloring",
    "Substitution",
    "as_pattern",
    "color_acyclic",
    "color_both",
    "color_columns",
    "color_rows",
    "color_star",
    "column_entries",
    "is_valid_acyclic",
    "is_valid_bidirectional",
    "is_valid_column_coloring",
    "is_valid_row_coloring",
    "is_valid_star",
    "row_entries",
    "substitute",
    "substitution",
    "symmetric_entries",
]
