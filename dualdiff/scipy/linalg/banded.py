"""Banded matrices, held by their diagonals: systems and Cholesky factors."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from dualdiff.rules.letters import conj
from dualdiff.rules.linalg.bands import banded_, shifted
from dualdiff.scipy.linalg.arguments import ROOM, VECTOR_OR_MATRIX, as_columns, inexact, over_stacks, together
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import bind, fixed, raw


def _solved(ab: Any, b: Any, lower: int, upper: int, definite: bool = False) -> Any:
    params = {"lower": lower, "upper": upper, "definite": definite}
    return as_columns(lambda x: bind(banded_, (ab, x), params), b)


def _check_shapes(ab: Any, b: Any, what: str = "ab") -> None:
    if shape_of(ab)[-1] != shape_of(b)[0]:
        raise ValueError(f"shapes of {what} and b are not compatible.")


@over_stacks(ab=2, b=VECTOR_OR_MATRIX)
def _solve_banded(ab: Any, b: Any, lower: int, upper: int, check_finite: bool) -> Any:
    ab, b = together(ab, b, check_finite=check_finite)
    _check_shapes(ab, b)
    if lower + upper + 1 != shape_of(ab)[0]:
        raise ValueError(
            f"invalid values for the number of lower and upper diagonals: l+u+1 ({lower + upper + 1}) does not equal "
            f"ab.shape[0] ({shape_of(ab)[0]})"
        )
    if not size_of(shape_of(b)):
        return np.zeros_like(b)
    if shape_of(ab)[-1] == 1:
        return b / ab[upper, 0]
    return _solved(ab, b, lower, upper)


@ROOM.function("solve_banded", kind="general", domain="nonsingular")
def solve_banded(
    l_and_u: Any,
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """``scipy.linalg.solve_banded``, for one number of diagonals in all matrices of a stack."""
    lower, upper = (np.unique(fixed(k, "a number of diagonals")) for k in l_and_u)
    if len(lower) > 1 or len(upper) > 1:
        raise ValueError("the matrices of a stack have different numbers of diagonals; solve with one after the other")
    return _solve_banded(ab, b, int(lower[0]), int(upper[0]), check_finite)


def _whole(ab: Any, lower: bool) -> Any:
    """Return all diagonals of a Hermitian matrix of which one half is given."""
    count = shape_of(ab)[-2] - 1
    diagonals = [ab[d if lower else count - d] for d in range(count + 1)]
    main = np.real(diagonals[0]).astype(dtype_of(ab))
    if lower:
        below, above = diagonals[1:], [conj(shifted(x, d)) for d, x in enumerate(diagonals[1:], 1)]
    else:
        above, below = diagonals[1:], [conj(shifted(x, -d)) for d, x in enumerate(diagonals[1:], 1)]
    return np.stack([*above[::-1], main, *below])


@ROOM.function("solveh_banded", kind="general", domain="positive definite")
@over_stacks(ab=2, b=VECTOR_OR_MATRIX)
def solveh_banded(
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    lower: bool = False,
    check_finite: bool = True,
) -> Any:
    """``scipy.linalg.solveh_banded``."""
    ab, b = together(ab, b, check_finite=check_finite)
    _check_shapes(ab, b)
    if not size_of(shape_of(b)):
        return np.zeros_like(b)
    count = shape_of(ab)[-2] - 1
    return _solved(_whole(ab, bool(lower)), b, count, count, definite=True)


@ROOM.function("cholesky_banded", domain="positive definite")
@over_stacks(ab=2)
def cholesky_banded(ab: Any, overwrite_ab: bool = False, lower: bool = False, check_finite: bool = True) -> Any:
    """``scipy.linalg.cholesky_banded``, column after column."""
    ab = inexact(ab, check_finite)
    if not size_of(shape_of(ab)):
        return np.zeros_like(ab)
    scipy.linalg.cholesky_banded(raw(ab), lower=lower, check_finite=False)  # which raises where there is none
    count, n = shape_of(ab)[-2] - 1, shape_of(ab)[-1]
    a = ab if lower else _whole(ab, lower=False)[count:]
    columns: list[Any] = []
    for j in range(n):
        before = min(j, count)
        column = a[:, j]
        if before:
            last = np.stack(columns[: -before - 1 : -1])  # the newest first
            # of the column d places before, what reaches below the row of this one: shifted up by d
            reach = np.stack([shifted(last[d - 1], -d) for d in range(1, before + 1)])
            column = column - conj(reach[:, 0]) @ reach
        root = np.sqrt(np.real(column[:1]))
        columns.append(np.concatenate([root.astype(dtype_of(ab)), column[1:] / root]))
    inside = np.arange(count + 1)[:, None] + np.arange(n) < n
    factor = np.stack(columns, axis=-1)
    if not lower:
        flipped = [conj(shifted(factor[d], d)) for d in range(count, -1, -1)]
        outside = np.arange(count, -1, -1)[:, None] > np.arange(n)
        return np.where(outside, ab, np.stack(flipped))
    return np.where(inside, factor, ab)


@over_stacks(cb=2, b=VECTOR_OR_MATRIX)
def _cho_solve_banded(cb: Any, b: Any, lower: bool, check_finite: bool) -> Any:
    cb, b = together(cb, b, check_finite=check_finite)
    _check_shapes(cb, b, "cb")
    if not size_of(shape_of(b)):
        return np.zeros_like(b)
    count = shape_of(cb)[-2] - 1
    if lower:
        below, above = cb, np.stack([conj(shifted(cb[d], d)) for d in range(count, -1, -1)])
    else:
        above, below = cb, np.stack([conj(shifted(cb[count - d], -d)) for d in range(count + 1)])
    return _solved(above, _solved(below, b, count, 0), 0, count)


@ROOM.function("cho_solve_banded", domain="positive definite")
def cho_solve_banded(cb_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    """``scipy.linalg.cho_solve_banded``: two substitutions."""
    cb, lower = cb_and_lower
    return _cho_solve_banded(cb, b, bool(fixed(lower)), check_finite)
