"""Systems with triangles: substitution, and the two substitutions with a Cholesky factor."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.kinds import General, Sweep
from dualdiff.rules.linalg.matrices import adjoint, product
from dualdiff.rules.linalg.solving import columns_of, lapack, solve_
from dualdiff.rules.linalg.triangles import LARGE, below
from dualdiff.values import bind, ndarray


def one_triangle(a: Any, lower: bool, unit: bool = False) -> Any:
    """Return the entries of a triangle, without the diagonal where that is taken for 1."""
    if type(a) is ndarray and a.shape[-1] <= LARGE:
        return np.where(below(a.shape[-1], -int(unit) if lower else int(unit) - 1), *((a, 0) if lower else (0, a)))
    return np.tril(a, -int(unit)) if lower else np.triu(a, int(unit))


def _substitute(a: Any, b: Any, *, lower: bool, transposed: bool, unit: bool) -> Any:
    if not b.size:
        return np.zeros_like(b)
    trans = 2 if transposed else 0
    if not a.flags.f_contiguous and (a.dtype.kind == "f" or not transposed):
        a, lower, trans = a.T, not lower, 0 if transposed else 1  # LAPACK reads columns
    x, info = lapack("trtrs", b.dtype)(a, b, lower=lower, trans=trans, unitdiag=unit)
    if info > 0:
        raise np.linalg.LinAlgError(f"singular matrix: resolution failed at diagonal {info - 1}")
    return np.ascontiguousarray(x)


def _substitute_push(
    sweep: Sweep, ts: Any, out: Any, a: Any, b: Any, *, lower: bool, transposed: bool, unit: bool
) -> Any:
    params = {"lower": lower, "transposed": transposed, "unit": unit}
    ta, r = ts
    if ta is not None:
        ta = one_triangle(ta, lower, unit)
        c = product(adjoint(ta) if transposed else ta, out)
        r = -c if r is None else r - c
    return columns_of(lambda x: bind(triangular_, (a, x), params), r, sweep.lead)


def _substitute_pull(
    sweep: Sweep, g: Any, out: Any, a: Any, b: Any, *, lower: bool, transposed: bool, unit: bool
) -> Any:
    params = {"lower": lower, "transposed": not transposed, "unit": unit}
    gb = columns_of(lambda x: bind(triangular_, (a, x), params), g, sweep.lead)
    ga = -(out @ adjoint(gb)) if transposed else -product(gb, adjoint(out))
    return one_triangle(ga, lower, unit), gb


triangular_ = General(
    "scipy.linalg.solve_triangular",
    _substitute,
    _substitute_push,
    _substitute_pull,
    keeps=(True, (True, False)),
    joins=solve_.joins,
)
"""The solution of A x = b, or of Aᴴ x = b (``transposed``), by one triangle of A; b is a matrix."""


def over_triangle(y: Any, a: Any, lower: bool, transposed: bool = False, unit: bool = False) -> Any:
    """Return y A⁻¹, or y A⁻ᴴ (``transposed``), of a stack of matrices y and one triangle."""
    shape = np.shape(y)
    rows = np.reshape(y, (-1, shape[-1]))
    params = {"lower": lower, "transposed": not transposed, "unit": unit}
    return np.reshape(adjoint(bind(triangular_, (a, adjoint(rows)), params)), shape)


def under_triangle(y: Any, a: Any, lower: bool, transposed: bool = False, unit: bool = False) -> Any:
    """Return A⁻¹ y, or A⁻ᴴ y (``transposed``), of a stack of matrices y and one triangle."""
    params = {"lower": lower, "transposed": transposed, "unit": unit}
    return columns_of(lambda x: bind(triangular_, (a, x), params), y, np.shape(y)[:-2])


# --------------------------------------------------------------------------------------------------
# with a Cholesky factor


def _cho_solve(c: Any, b: Any, *, lower: bool) -> Any:
    if not b.size:
        return np.zeros_like(b)
    x, _ = lapack("potrs", b.dtype)(c, b, lower=lower)
    return np.ascontiguousarray(x)


def _cho_solve_push(sweep: Sweep, ts: Any, out: Any, c: Any, b: Any, *, lower: bool) -> Any:
    tc, r = ts
    if tc is not None:
        t, factor = one_triangle(tc, lower), one_triangle(c, lower)
        # A = L Lᴴ, or Uᴴ U: what A changes by, times the solution
        left, right = (t, factor) if lower else (adjoint(t), adjoint(factor))
        change = product(left, adjoint(right) @ out) + right @ (adjoint(left) @ out)
        r = -change if r is None else r - change
    return columns_of(lambda x: bind(cho_solve_, (c, x), {"lower": lower}), r, sweep.lead)


def _cho_solve_pull(sweep: Sweep, g: Any, out: Any, c: Any, b: Any, *, lower: bool) -> Any:
    gb = columns_of(lambda x: bind(cho_solve_, (c, x), {"lower": lower}), g, sweep.lead)
    factor = one_triangle(c, lower)
    if lower:
        fh = adjoint(factor)
        gc = product(gb, adjoint(fh @ out)) + out @ adjoint(fh @ gb)
    else:
        gc = (factor @ out) @ adjoint(gb) + product(factor @ gb, adjoint(out))
    return -one_triangle(gc, lower), gb


cho_solve_ = General(
    "scipy.linalg.cho_solve",
    _cho_solve,
    _cho_solve_push,
    _cho_solve_pull,
    keeps=(True, (True, False)),
    joins=solve_.joins,
)
"""The solution of L Lᴴ x = b, or of Uᴴ U x = b, by the triangle that holds the factor."""
