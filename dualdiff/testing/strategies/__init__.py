"""Hypothesis strategies for derivatives: numbers, arrays, matrices and programs at which differences can decide.

The numbers lie on a grid of multiples of a power of two, which floating point represents exactly: sums and differences
of them are exact, a step away from one is as long as it says, and what a failing test prints is short. Zeros, ties,
whole numbers and both signs are frequent, because mistakes hide there; subnormal and huge numbers, at which every
difference quotient is noise, are not drawn.

Needs Hypothesis: ``pip install 'dualdiff[hypothesis]'``.
"""

try:
    import hypothesis  # noqa: F401
except ImportError as error:
    raise ImportError(
        "dualdiff.testing.strategies draws with Hypothesis, which is not installed: pip install 'dualdiff[hypothesis]'"
    ) from error

from dualdiff.testing.strategies.grid import arrays, scalars, vectors
from dualdiff.testing.strategies.matrix import KINDS, matrices
from dualdiff.testing.strategies.program import Program, programs
from dualdiff.testing.strategies.vocabulary import VOCABULARIES

__all__ = [
    "scalars",
    "vectors",
    "arrays",
    "matrices",
    "programs",
    "Program",
    "KINDS",
    "VOCABULARIES",
]
