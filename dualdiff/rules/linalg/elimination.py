"""Gaussian elimination: systems solved with factors that are kept, the factors themselves, and systems solved with these."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.linalg import LinAlgWarning

from dualdiff.kinds import Discrete, General, Sweep
from dualdiff.rules.linalg.matrices import adjoint, product
from dualdiff.rules.linalg.solving import columns_of, lapack, solve_
from dualdiff.rules.linalg.substitution import over_triangle, under_triangle
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind

# --------------------------------------------------------------------------------------------------
# factors that are kept


def warn_if_ill(rcond: float, dtype: Any) -> None:
    """Warn as SciPy does where a matrix is so ill-conditioned that no digit of a solution may be right."""
    if not rcond >= np.finfo(dtype).eps:
        warnings.warn(
            f"Ill-conditioned matrix (rcond={rcond:.6g}): result may not be accurate.", LinAlgWarning, stacklevel=2
        )


def _factors(a: Any, *, definite: str) -> Any:
    n = len(a)
    size = lapack("lange", a.dtype)("1", a)
    if definite:
        packed, info = lapack("potrf", a.dtype)(a, lower=definite == "lower", clean=False)
        rcond = 0.0 if info else lapack("pocon", a.dtype)(packed, size, uplo="L" if definite == "lower" else "U")[0]
    else:
        packed = np.empty((n, n + 1), a.dtype, order="F")
        lu, piv, info = lapack("getrf", a.dtype)(a)
        packed[:, :n], packed[:, n] = lu, piv
        rcond = 0.0 if info else lapack("gecon", a.dtype)(lu, size)[0]
    if info > 0 or rcond == 0:
        raise np.linalg.LinAlgError(
            f"{info}-th leading minor not positive definite" if definite else "Matrix is singular."
        )
    warn_if_ill(rcond, a.dtype)
    return packed


def pivots_in(piv: Any, n: int) -> Any:
    """Return pivots as LAPACK takes them; raise if they lead out of the matrix, as it would follow them anywhere."""
    piv = np.real(piv).astype(np.intc)
    if not ((piv >= 0) & (piv < n)).all():
        raise ValueError("these are no factors of a matrix: a pivot is none of its rows")
    return piv


def _solve(a: Any, b: Any, factors: Any, *, transposed: bool, definite: str) -> Any:
    if definite:
        x, _ = lapack("potrs", b.dtype)(factors, b, lower=definite == "lower")
    else:
        n = len(a)
        trans = 2 if transposed else 0
        x, _ = lapack("getrs", b.dtype)(factors[:, :n], pivots_in(factors[:, n], n), b, trans=trans)
    return np.ascontiguousarray(x)


def _solve_push(
    sweep: Sweep, ts: Any, out: Any, a: Any, b: Any, factors: Any, *, transposed: bool, definite: str
) -> Any:
    params = {"transposed": transposed, "definite": definite}
    ta, r, _ = ts
    if ta is not None:
        c = product(adjoint(ta) if transposed else ta, out)
        r = -c if r is None else r - c
    return columns_of(lambda x: bind(solved_, (a, x, factors), params), r, sweep.lead)


def _solve_pull(
    sweep: Sweep, g: Any, out: Any, a: Any, b: Any, factors: Any, *, transposed: bool, definite: str
) -> Any:
    params = {"transposed": not transposed, "definite": definite}
    gb = columns_of(lambda x: bind(solved_, (a, x, factors), params), g, sweep.lead)
    return -(out @ adjoint(gb)) if transposed else -product(gb, adjoint(out)), gb, None


factored_ = Discrete("scipy.linalg.solve", _factors)
"""The factors of a matrix, without derivative: what solves with them names the matrix beside them."""
solved_ = General(
    "scipy.linalg.solve",
    _solve,
    _solve_push,
    _solve_pull,
    keeps=(True, (True, False, True)),
    joins=solve_.joins,
)
"""The solution of A x = b, or of Aᴴ x = b, with the factors of A: its derivatives, of any order, solve with them too."""


# --------------------------------------------------------------------------------------------------
# L and U


def _lu(a: Any) -> Any:
    m, n = a.shape
    packed = np.zeros((m, n + 1), a.dtype)
    packed[:, :n], piv, _ = lapack("getrf", a.dtype)(a)
    packed[: len(piv), n] = piv
    return packed


def _pivots(packed: Any, *, rows: int) -> Any:
    return pivots_in(packed[:rows, -1], len(packed))


def _permutation(piv: Any, *, rows: int, inverse: bool) -> Any:
    order = np.arange(rows)
    for i, p in enumerate(piv):
        order[i], order[p] = order[p], order[i]
    return np.argsort(order) if inverse else order


pivots_ = Discrete("scipy.linalg.lu_factor", _pivots)
"""The pivots of packed factors: row i was exchanged with row ``piv[i]``."""
permutation_ = Discrete("scipy.linalg.lu_factor", _permutation)
"""The order of rows that such exchanges make, or the one that undoes them."""


def rows_of(piv: Any, rows: int, inverse: bool = False) -> Any:
    """Return the order in which exchanges put rows, for an index."""
    return bind(permutation_, (piv,), {"rows": rows, "inverse": inverse})


def _square(x: Any, m: int, n: int, ones: bool) -> Any:
    """Return m×n matrices as square ones, with rows of the identity below or columns of it beside them."""
    lead, size = shape_of(x)[:-2], max(m, n)
    if m == n:
        return x
    wide = np.zeros_like(x, shape=(*lead, m, m - n) if m > n else (*lead, n - m, n))
    if ones:
        wide = wide + (np.eye(size, dtype=dtype_of(x))[:m, n:] if m > n else np.eye(size, dtype=dtype_of(x))[m:, :n])
    return np.concatenate([x, wide], axis=-1 if m > n else -2)


def _triangles(out: Any, m: int, n: int) -> tuple[Any, Any]:
    packed = _square(out[..., :n], m, n, ones=True)
    return np.tril(packed, -1) + np.eye(max(m, n), dtype=dtype_of(out)), np.triu(packed)


def _lu_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    m, n = shape_of(a)
    low, up = _triangles(out, m, n)
    order = rows_of(bind(pivots_, (out,), {"rows": min(m, n)}), m)
    t = _square(np.take(ts[0], order, axis=-2), m, n, ones=False)
    c = over_triangle(under_triangle(t, low, lower=True, unit=True), up, lower=False)
    change = (low @ np.tril(c, -1) + product(np.triu(c), up))[..., :m, :n]
    return np.concatenate([change, np.zeros_like(change[..., :1])], axis=-1)


def _lu_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    m, n = shape_of(a)
    low, up = _triangles(out, m, n)
    g = _square(g[..., :n], m, n, ones=False)
    c = np.tril(adjoint(low) @ np.tril(g, -1), -1) + np.triu(product(np.triu(g), adjoint(up)))
    c = over_triangle(under_triangle(c, low, lower=True, transposed=True, unit=True), up, False, transposed=True)
    order = rows_of(bind(pivots_, (out,), {"rows": min(m, n)}), m, inverse=True)
    return (np.take(c[..., :m, :n], order, axis=-2),)


lu_ = General("scipy.linalg.lu_factor", _lu, _lu_push, _lu_pull, keeps=(True, (False,)))
"""L without its diagonal and U in one matrix, and beside it one column with the pivots."""


# --------------------------------------------------------------------------------------------------
# systems with L and U


def _lu_solve(lu: Any, b: Any, piv: Any, *, transposed: bool) -> Any:
    if not b.size:
        return np.zeros_like(b)
    x, _ = lapack("getrs", b.dtype)(lu, pivots_in(piv, len(lu)), b, trans=2 if transposed else 0)
    return np.ascontiguousarray(x)


def _unpacked(lu: Any) -> tuple[Any, Any]:
    return np.tril(lu, -1) + np.eye(shape_of(lu)[-1], dtype=dtype_of(lu)), np.triu(lu)


def _lu_solve_push(sweep: Sweep, ts: Any, out: Any, lu: Any, b: Any, piv: Any, *, transposed: bool) -> Any:
    t, r, _ = ts
    if t is not None:
        n = shape_of(lu)[-1]
        low, up = _unpacked(lu)
        tl, tu = np.tril(t, -1), np.triu(t)
        if transposed:
            y = np.take(out, rows_of(piv, n), axis=-2)
            c = product(adjoint(tu), adjoint(low) @ y) + adjoint(up) @ (adjoint(tl) @ y)
        else:
            c = np.take(product(tl, up @ out) + low @ product(tu, out), rows_of(piv, n, inverse=True), axis=-2)
        r = -c if r is None else r - c
    return columns_of(lambda x: bind(lu_solve_, (lu, x, piv), {"transposed": transposed}), r, sweep.lead)


def _lu_solve_pull(sweep: Sweep, g: Any, out: Any, lu: Any, b: Any, piv: Any, *, transposed: bool) -> Any:
    gb = columns_of(lambda x: bind(lu_solve_, (lu, x, piv), {"transposed": not transposed}), g, sweep.lead)
    low, up = _unpacked(lu)
    order = rows_of(piv, shape_of(lu)[-1])
    if transposed:
        y = np.take(out, order, axis=-2)
        gl, gu = y @ adjoint(up @ gb), (adjoint(low) @ y) @ adjoint(gb)
    else:
        h = np.take(gb, order, axis=-2)
        gl, gu = product(h, adjoint(up @ out)), product(adjoint(low) @ h, adjoint(out))
    return -(np.tril(gl, -1) + np.triu(gu)), gb, None


lu_solve_ = General(
    "scipy.linalg.lu_solve",
    _lu_solve,
    _lu_solve_push,
    _lu_solve_pull,
    keeps=(True, (True, False, True)),
    joins=solve_.joins,
)
"""The solution of A x = b, or of Aᴴ x = b, by L and U and the pivots of A."""
