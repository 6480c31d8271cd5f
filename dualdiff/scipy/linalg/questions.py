"""What is asked of a matrix and answered by whole numbers: its bandwidth, and whether it is symmetric."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from dualdiff.kinds import Discrete
from dualdiff.scipy.linalg.arguments import ROOM, checked
from dualdiff.values import bind, decided, fixed

# Some SciPy ask for memory that may be written.
_bandwidth = Discrete("scipy.linalg.bandwidth", lambda a: np.array(scipy.linalg.bandwidth(a.copy())))
_is_symmetric = Discrete(
    "scipy.linalg.issymmetric", lambda a, **given: np.bool_(scipy.linalg.issymmetric(a.copy(), **given))
)
_is_hermitian = Discrete(
    "scipy.linalg.ishermitian", lambda a, **given: np.bool_(scipy.linalg.ishermitian(a.copy(), **given))
)


@ROOM.function("bandwidth", kind="discrete")
def bandwidth(a: Any) -> Any:
    """``scipy.linalg.bandwidth``."""
    lower, upper = decided(bind(_bandwidth, (checked(a, False),), {})).tolist()
    return lower, upper


def _answer(row: Discrete, a: Any, atol: Any, rtol: Any) -> bool:
    given = {"atol": fixed(atol, "atol"), "rtol": fixed(rtol, "rtol")}
    return bool(decided(bind(row, (checked(a, False),), given)))


@ROOM.function("issymmetric", kind="discrete")
def issymmetric(a: Any, atol: Any = None, rtol: Any = None) -> bool:
    """``scipy.linalg.issymmetric``."""
    return _answer(_is_symmetric, a, atol, rtol)


@ROOM.function("ishermitian", kind="discrete")
def ishermitian(a: Any, atol: Any = None, rtol: Any = None) -> bool:
    """``scipy.linalg.ishermitian``."""
    return _answer(_is_hermitian, a, atol, rtol)
