"""Systems with banded matrices, held by their diagonals, and with Toeplitz matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from dualdiff.kinds import General, Sweep
from dualdiff.rules.letters import conj
from dualdiff.rules.linalg.matrices import adjoint, product
from dualdiff.rules.linalg.solving import columns_of, solve_
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import bind

# A banded matrix is held as LAPACK holds it: entry (i, j) stands in row upper + i - j of column j.


def shifted(x: Any, by: int, axis: int = -1) -> Any:
    """Return entries moved along an axis, with zeros where none comes from."""
    if by == 0:
        return x
    n = shape_of(x)[axis]
    zeros = np.zeros_like(np.take(x, range(min(abs(by), n)), axis=axis))
    kept = np.take(x, range(n - by) if by > 0 else range(-by, n), axis=axis)
    return np.concatenate([zeros, kept] if by > 0 else [kept, zeros], axis=axis)


def adjoint_of_band(ab: Any, lower: int, upper: int) -> Any:
    """Return the diagonals of the conjugate transpose, which has so many upper and lower ones."""
    rows = [conj(shifted(ab[..., upper - d, :], -d)) for d in range(-lower, upper + 1)]
    return np.stack(rows, axis=-2)


def _times(ab: Any, x: Any, lower: int, upper: int) -> Any:
    """Return A x."""
    terms = [shifted(ab[..., upper + d, :, None] * x, d, axis=-2) for d in range(-upper, lower + 1)]
    return sum(terms[1:], start=terms[0])


def _outer(g: Any, x: Any, lower: int, upper: int) -> Any:
    """Return the diagonals of g xᴴ."""
    rows = [np.sum(shifted(g, -d, axis=-2) * conj(x), axis=-1) for d in range(-upper, lower + 1)]
    return np.stack(rows, axis=-2)


def _solve_banded(ab: Any, b: Any, *, lower: int, upper: int, definite: bool) -> Any:
    if definite:
        return np.ascontiguousarray(scipy.linalg.solveh_banded(ab[: upper + 1], b, check_finite=False))
    return np.ascontiguousarray(scipy.linalg.solve_banded((lower, upper), ab, b, check_finite=False))


def _solve_push(sweep: Sweep, ts: Any, out: Any, ab: Any, b: Any, *, lower: int, upper: int, definite: bool) -> Any:
    params = {"lower": lower, "upper": upper, "definite": definite}
    ta, r = ts
    if ta is not None:
        c = _times(ta, out, lower, upper)
        r = -c if r is None else r - c
    return columns_of(lambda x: bind(banded_, (ab, x), params), r, sweep.lead)


def _solve_pull(sweep: Sweep, g: Any, out: Any, ab: Any, b: Any, *, lower: int, upper: int, definite: bool) -> Any:
    params = {"lower": upper, "upper": lower, "definite": definite}
    turned = ab if definite else adjoint_of_band(ab, lower, upper)
    gb = columns_of(lambda x: bind(banded_, (turned, x), params), g, sweep.lead)
    return -_outer(gb, out, lower, upper), gb


banded_ = General(
    "scipy.linalg.solve_banded",
    _solve_banded,
    _solve_push,
    _solve_pull,
    keeps=(True, (True, False)),
    joins=solve_.joins,
)
"""The solution of A x = b by the diagonals of A; where it is positive definite, by its Cholesky factor."""


def solve_banded(ab: Any, b: Any, lower: int, upper: int) -> Any:
    """Return the solutions of a system with few diagonals, for right-hand sides along the first axis."""
    shape = shape_of(b)
    columns = np.reshape(b, (shape[0], -1))
    return np.reshape(bind(banded_, (ab, columns), {"lower": lower, "upper": upper, "definite": False}), shape)


# --------------------------------------------------------------------------------------------------
# Toeplitz


def toeplitz_of(diagonals: Any, rows: int, columns: int) -> Any:
    """Return the matrix whose diagonals hold these values, from the last of the first row to the last of the first column."""
    at = np.arange(rows)[:, None] - np.arange(columns) + columns - 1
    return np.take(diagonals, at, axis=-1)


def _solve_toeplitz(diagonals: Any, b: Any) -> Any:
    n = len(b)
    b = np.array(b)  # SciPy before 1.15 takes no array that may not be written to
    return scipy.linalg.solve_toeplitz((diagonals[n - 1 :], diagonals[n - 1 :: -1]), b, check_finite=False)


def _toeplitz_push(sweep: Sweep, ts: Any, out: Any, diagonals: Any, b: Any) -> Any:
    ta, r = ts
    if ta is not None:
        n = shape_of(out)[-2]
        c = product(toeplitz_of(ta, n, n), out)
        r = -c if r is None else r - c
    return columns_of(lambda x: bind(toeplitz_, (diagonals, x), {}), r, sweep.lead)


def _toeplitz_pull(sweep: Sweep, g: Any, out: Any, diagonals: Any, b: Any) -> Any:
    gb = columns_of(lambda x: bind(toeplitz_, (conj(diagonals[::-1]), x), {}), g, sweep.lead)
    ga = -product(gb, adjoint(out))
    # Each row, put behind one zero less than the row above, lies with its entries below those of their diagonals.
    n = shape_of(out)[-2]
    wide = np.concatenate([ga[..., ::-1], np.zeros_like(ga)], axis=-1)
    flat = np.reshape(wide, (*sweep.lead, size_of(shape_of(wide)[-2:])))[..., :-n]
    return np.sum(np.reshape(flat, (*sweep.lead, n, 2 * n - 1)), axis=-2), gb


toeplitz_ = General(
    "scipy.linalg.solve_toeplitz",
    _solve_toeplitz,
    _toeplitz_push,
    _toeplitz_pull,
    keeps=(True, (True, False)),
    joins=solve_.joins,
)
"""The solution of T x = b by the diagonals of T, in the order of :func:`toeplitz_of`."""
