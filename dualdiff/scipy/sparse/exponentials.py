r"""The action of a matrix exponential on vectors, ``expm_multiply`` of ``scipy.sparse.linalg``.

:math:`e^{A} B` is the Taylor polynomial of :math:`A / s` of degree m, applied s times: as many products as in SciPy's function, and
the derivatives are those of the products.

References
----------
Al-Mohy & Higham, "Computing the action of the matrix exponential", SIAM J. Sci. Comput. 33 (2011), 488–511, doi:10.1137/100788860.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dualdiff.scipy.sparse.arithmetic import is_matrix
from dualdiff.scipy.sparse.operators import ROOM, operator_of
from dualdiff.shapes import dtype_of
from dualdiff.values import decided, fixed, operand

_RADII = {10: 0.14, 15: 0.64, 20: 1.4, 25: 2.4, 30: 3.5, 35: 4.7, 40: 6.0, 45: 7.2, 50: 8.5, 55: 9.9}
"""Up to which norm of the matrix a degree is accurate to double precision."""
_MARGIN = 5
"""How many terms more the derivative takes."""


@ROOM.function("expm_multiply", "composite")
def expm_multiply(
    A: Any, B: Any, start: Any = None, stop: Any = None, num: Any = None, endpoint: Any = None, traceA: Any = None
) -> Any:
    """``scipy.sparse.linalg.expm_multiply``, at one time or at several that lie evenly."""
    acting = operator_of(A)
    if acting.shape[0] != acting.shape[1]:
        raise ValueError("expected A to be like a square matrix")
    if is_matrix(B):
        B = B.toarray()
    B = operand(B)
    dtype = np.result_type(dtype_of(B), np.float64)
    B = B if dtype_of(B).kind in "fc" else B.astype(dtype)
    size = _norm(acting.plain(decided(acting.values)))

    def action(t: float, x: Any) -> Any:
        norm = abs(t) * size
        degree = min(_RADII, key=lambda m: (_steps(norm, m) * (m + _MARGIN), m))
        steps = _steps(norm, degree)
        for _ in range(steps):
            term = x
            for k in range(1, degree + _MARGIN + 1):
                term = acting.times(acting.values, term) * (t / (steps * k))
                x = x + term
        return x

    if all(v is None for v in (start, stop, num, endpoint)):
        return action(1.0, B)
    first, last = (fixed(v, "a time of expm_multiply") for v in (start or 0.0, 1.0 if stop is None else stop))
    times, step = np.linspace(first, last, 50 if num is None else num, endpoint is None or endpoint, retstep=True)
    found = [action(float(times[0]), B)]
    for _ in times[1:]:
        found.append(action(float(step), found[-1]))
    return np.stack(found)


def _steps(norm: float, degree: int) -> int:
    return max(1, math.ceil(norm / _RADII[degree]))


def _norm(matrix: Any) -> float:
    return float(np.max(abs(matrix).sum(axis=0), initial=0.0))


__all__ = ["expm_multiply"]
