"""Problems with known derivatives: real measurements to fit, and a zoo of functions of every shape and sparsity."""

from dualdiff.lab.problems.case import Case
from dualdiff.lab.problems.listing import Listing, listing
from dualdiff.lab.problems.measurements import (
    BOXBOD,
    MGH09,
    MICHELSON,
    MISRA1A,
    PROBLEMS,
    THURBER,
    Problem,
    select,
)
from dualdiff.lab.problems.zoo import zoo

__all__ = [
    "listing",
    "Listing",
    "zoo",
    "Case",
    "PROBLEMS",
    "BOXBOD",
    "MGH09",
    "MICHELSON",
    "MISRA1A",
    "THURBER",
    "Problem",
    "select",
]
