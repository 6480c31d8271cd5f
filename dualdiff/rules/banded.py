"""Systems of linear equations whose matrix has few diagonals: the coefficients of splines are the solutions of such."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.kinds import General, Sweep
from dualdiff.rules.letters import conj
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind


def _solved(ab: Any, b: Any, *, lower: int, upper: int) -> Any:
    from scipy.linalg import solve_banded

    return solve_banded((lower, upper), ab, b, check_finite=False)


def _moved(x: Any, by: int) -> Any:
    """Return x[i + by] for every row i of the last axis but one, and zero where there is none."""
    if by == 0:
        return x
    n = shape_of(x)[-2]
    by = max(-n, min(n, by))
    zeros = np.zeros_like(x, shape=(*shape_of(x)[:-2], abs(by), shape_of(x)[-1]))
    if by > 0:
        return np.concatenate([x[..., by:, :], zeros], axis=-2)
    return np.concatenate([zeros, x[..., :by, :]], axis=-2)


def _product(ab: Any, x: Any, lower: int, upper: int) -> Any:
    """Multiply a matrix given by its diagonals with columns."""
    total: Any = 0.0
    for d in range(-lower, upper + 1):
        total = total + _moved(ab[..., upper - d, :, None] * x, d)
    return total


def _adjoint(ab: Any, lower: int, upper: int) -> Any:
    rows = [_moved(ab[..., upper + d, :, None], -d)[..., 0] for d in range(lower, -upper - 1, -1)]
    return conj(np.stack(rows, axis=-2))


def _many(ab: Any, b: Any, lower: int, upper: int) -> Any:
    """Solve for the columns of every direction at once."""
    *lead, n, r = shape_of(b)
    if not lead:
        return bind(solve_banded_, (ab, b), {"lower": lower, "upper": upper})
    k = lead[0]
    columns = np.reshape(np.moveaxis(b, 0, 1), (n, k * r))
    if not k * r:
        return np.zeros_like(b)
    found = bind(solve_banded_, (ab, columns), {"lower": lower, "upper": upper})
    return np.moveaxis(np.reshape(found, (n, k, r)), 1, 0)


def _push(sweep: Sweep, ts: Any, out: Any, ab: Any, b: Any, *, lower: int, upper: int) -> Any:
    change = ts[1]
    if ts[0] is not None:
        moved = _product(ts[0], out, lower, upper)
        change = -moved if change is None else change - moved
    return _many(ab, change, lower, upper)


def _pull(sweep: Sweep, g: Any, out: Any, ab: Any, b: Any, *, lower: int, upper: int) -> Any:
    w = _many(_adjoint(ab, lower, upper), g, upper, lower)
    x = conj(out)
    rows = [-np.sum(_moved(w, -d) * x, axis=-1) for d in range(upper, -lower - 1, -1)]
    by_matrix = np.stack(rows, axis=-2)
    if dtype_of(ab).kind != "c" and dtype_of(by_matrix).kind == "c":
        by_matrix = np.real(by_matrix)
    return by_matrix, w


solve_banded_ = General("scipy.linalg.solve_banded", _solved, _push, _pull)
"""The solution of A x = b, with the diagonals of A as SciPy keeps them: ``ab[upper + i - j, j] = A[i, j]``."""


def solve_banded(ab: Any, b: Any, lower: int, upper: int) -> Any:
    """Return the solutions of a system with few diagonals, for right-hand sides along the first axis."""
    shape = shape_of(b)
    columns = np.reshape(b, (shape[0], -1))
    found = bind(solve_banded_, (ab, columns), {"lower": lower, "upper": upper})
    return np.reshape(found, shape)


__all__ = ["solve_banded", "solve_banded_"]
