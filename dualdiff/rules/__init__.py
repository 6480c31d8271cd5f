"""The rule tables, one file per area of NumPy: what each function is, and its derivative."""

from dualdiff.rules import (  # noqa: I001  (later tables use the rows of earlier ones)
    elementwise,
    discrete,
    movement,
    indexing,
    padding,
    selection,
    reduction,
    contraction,
    linalg,
    roots,
    creation,
    destinations,
    sampled,
    refused,
    ufuncs,
)

__all__ = [
    "contraction",
    "creation",
    "destinations",
    "discrete",
    "elementwise",
    "indexing",
    "linalg",
    "movement",
    "padding",
    "reduction",
    "refused",
    "roots",
    "sampled",
    "selection",
    "ufuncs",
]
