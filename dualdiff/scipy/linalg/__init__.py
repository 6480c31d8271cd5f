"""``scipy.linalg`` of values that are being differentiated.

Each function has SciPy's signature and returns SciPy's values. What LAPACK decides (pivots, signs of vectors) is taken as it
is; what it leaves undefined is refused with the reason. The rules stand in :mod:`dualdiff.rules.linalg`.
"""

from dualdiff.scipy.linalg import (
    banded,
    builders,
    equations,
    factors,
    functions,
    orthogonal,
    questions,
    refusals,
    solving,
    spectra,
    toeplitz,
)
from dualdiff.scipy.linalg.arguments import ROOM

__all__ = [
    "ROOM",
    "banded",
    "builders",
    "equations",
    "factors",
    "functions",
    "orthogonal",
    "questions",
    "refusals",
    "solving",
    "spectra",
    "toeplitz",
]
