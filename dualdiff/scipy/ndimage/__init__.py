"""``scipy.ndimage`` of values that are being differentiated: filters of arrays, and arrays read between their entries."""

from dualdiff.scipy.ndimage import filters, morphology, ranks, resampling
from dualdiff.scipy.ndimage.borders import ROOM

__all__ = ["ROOM", "filters", "morphology", "ranks", "resampling"]
