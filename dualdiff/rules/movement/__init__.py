"""Functions that move entries: reshaping, transposing, joining, cutting, repeating."""

from dualdiff.rules.movement import (
    broadcasting,
    cutting,
    diagonals,
    inserting,
    joining,
    layout,
    repeating,
    reshaping,
    stacking,
    transposing,
    turning,
)

__all__ = [
    "broadcasting",
    "cutting",
    "diagonals",
    "inserting",
    "joining",
    "layout",
    "repeating",
    "reshaping",
    "stacking",
    "transposing",
    "turning",
]
