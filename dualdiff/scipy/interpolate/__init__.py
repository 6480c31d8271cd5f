"""``scipy.interpolate`` of values that are being differentiated: in the argument, in the values, and in the places they stand at."""

from dualdiff.scipy.interpolate import (
    bernstein,
    cubic,
    fitpack,
    fitted,
    grids,
    linear,
    pieces,
    radial,
    scattered,
    smoothing,
    splines,
)
from dualdiff.scipy.interpolate.pieces import ROOM

__all__ = [
    "ROOM",
    "bernstein",
    "cubic",
    "fitpack",
    "fitted",
    "grids",
    "linear",
    "pieces",
    "radial",
    "scattered",
    "smoothing",
    "splines",
]
