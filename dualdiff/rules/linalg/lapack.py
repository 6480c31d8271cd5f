"""The decompositions as SciPy asks LAPACK for them: NumPy's rules, at values and signs of vectors that are SciPy's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg

from dualdiff.kinds import Discrete, General, Sweep
from dualdiff.rules.contraction import of_matrices, over_matrix
from dualdiff.rules.elementwise import cast
from dualdiff.rules.letters import conj
from dualdiff.rules.linalg.determinants import cofactors
from dualdiff.rules.linalg.eigenvalues import eig_pull, eig_push, eigh_joins, eigh_pull, eigh_push, side_by_side
from dualdiff.rules.linalg.equal_values import (
    Covector,
    are_close,
    gaps_of,
    over_gaps,
    quotient,
    scale_of,
    skew_part,
    turned,
)
from dualdiff.rules.linalg.factors import complete_pull, complete_push, qr_joins, qr_pull, qr_push
from dualdiff.rules.linalg.matrices import adjoint, as_diagonal, diagonal_of, product
from dualdiff.rules.linalg.phases import check_phases, refuse_phases
from dualdiff.rules.linalg.singular_values import packed_factors, svd_pull, svd_push
from dualdiff.rules.linalg.triangles import hermitian, hermitian_transpose
from dualdiff.shapes import dtype_of
from dualdiff.values import bind

# --------------------------------------------------------------------------------------------------
# Hermitian matrices


Subset = tuple[str, tuple[Any, ...]] | None
"""Which eigenvalues are asked for: by "index" or by "value", from and to."""


def _eigh(a: Any, lower: bool, driver: Any, subset: Subset) -> Any:
    named = {} if subset is None else {f"subset_by_{subset[0]}": subset[1]}
    return scipy.linalg.eigh(a, lower=lower, driver=driver, check_finite=False, **named)


def _selected(subset: Subset) -> dict[str, Any]:
    return {} if subset is None else {"select": subset[0][0], "select_range": subset[1]}


def _eigh_tridiagonal(a: Any, lower: bool, driver: str, tol: float, subset: Subset) -> Any:
    driver = "auto" if driver == "sterf" else driver  # which finds no vectors
    d, e = np.diagonal(a).copy(), np.diagonal(a, -1).copy()
    named = _selected(subset)
    return scipy.linalg.eigh_tridiagonal(d, e, lapack_driver=driver, tol=tol, check_finite=False, **named)


def _eigh_banded(a: Any, lower: bool, count: int, subset: Subset) -> Any:
    ab = np.zeros((count + 1, len(a)), a.dtype)
    for d in range(count + 1):
        if lower:
            ab[d, : len(a) - d] = np.diagonal(a, -d)
        else:
            ab[count - d, d:] = np.diagonal(a, d)
    return scipy.linalg.eig_banded(ab, lower=lower, check_finite=False, **_selected(subset))


_ROUTINES: dict[str, Callable[..., Any]] = {"eigh": _eigh, "tridiagonal": _eigh_tridiagonal, "banded": _eigh_banded}


def chosen(w: Any, subset: Subset) -> Any:
    """Return which eigenvalues are asked for, as an index."""
    if subset is None:
        return slice(None)
    lo, hi = subset[1]
    return slice(int(lo), int(hi) + 1) if subset[0] == "index" else np.logical_and(w > lo, w <= hi)


def _with_signs(w: Any, v: Any, dual: Any, some: tuple[Any, Any], subset: Subset) -> Any:
    """Give eigenvectors the signs or phases of those that were asked for alone, where they are the same.

    ``dual`` are the vectors whose products with these are 1 or 0.
    """
    at = np.arange(len(w))[chosen(w, subset)]
    if len(at) == len(some[0]):
        turn = np.sum(np.conjugate(dual[:, at]) * some[1], axis=0)
        same = np.abs(turn) > 0.9
        v[:, at] *= np.where(same, turn / np.where(same, np.abs(turn), 1.0), 1.0)
    return side_by_side(v, w)


def _hermitian(a: Any, *, lower: bool, vectors: bool, how: tuple[Any, ...], subset: Subset) -> Any:
    name, *options = how
    decompose = partial(_ROUTINES[name], a, lower, *options)
    if subset is None:
        w, v = decompose(subset=None)
        return side_by_side(v, w)
    some = decompose(subset=subset)
    w, v = scipy.linalg.eigh(a, lower=lower, check_finite=False)
    return _with_signs(w, v, v, some, subset)


_EIGH = {
    "eigh": "scipy.linalg.eigh",
    "tridiagonal": "scipy.linalg.eigh_tridiagonal",
    "banded": "scipy.linalg.eig_banded",
}


def _hermitian_push(
    sweep: Sweep, ts: Any, out: Any, a: Any, *, lower: bool, vectors: bool, how: Any, subset: Subset
) -> Any:
    return eigh_push(sweep, ts, out, a, lower=lower, vectors=vectors, what=_EIGH[how[0]])


def _hermitian_pull(
    sweep: Sweep, g: Any, out: Any, a: Any, *, lower: bool, vectors: bool, how: Any, subset: Subset
) -> Any:
    return eigh_pull(sweep, g, out, a, lower=lower, vectors=vectors, what=_EIGH[how[0]])


hermitian_ = General(
    "scipy.linalg.eigh", _hermitian, _hermitian_push, _hermitian_pull, keeps=(True, (False,)), joins=eigh_joins
)
"""Eigenvectors, and below them one row of eigenvalues, of a Hermitian matrix that is full, tridiagonal or banded."""


# --------------------------------------------------------------------------------------------------
# pairs of Hermitian matrices

# With M = Xᴴ dA X and N = Zᴴ dB Z the vectors change by V (S - s N / 2) and the values by the diagonal of Q = M - t N (w + wᵀ)/2,
# where S is Q over the gaps. X, Z, s and t hang on the problem: A v = w B v (1), A B v = w v (2) and B A v = w v (3), whose
# vectors have vᴴ B v = 1, or vᴴ B⁻¹ v = 1 (3); what is not V is then V⁻ᴴ.

_PAIRS = {1: (False, False, 1, 1), 2: (True, False, 1, -1), 3: (False, True, -1, -1)}
_PAIR = "scipy.linalg.eigh"


def _pair(a: Any, b: Any, *, lower: bool, vectors: bool, problem: int, driver: Any, subset: Subset) -> Any:
    def decompose(driver: Any, subset: Subset) -> Any:
        named = {} if subset is None else {f"subset_by_{subset[0]}": subset[1]}
        return scipy.linalg.eigh(a, b, lower=lower, type=problem, driver=driver, check_finite=False, **named)

    if subset is None:
        w, v = decompose(driver, None)
        return side_by_side(v, w)
    some = decompose(driver, subset)
    w, v = decompose(None, None)
    return _with_signs(w, v, np.linalg.inv(v).conj().T, some, subset)


def _bases(v: Any, problem: int) -> tuple[Any, Any, int, int]:
    first, second, s, t = _PAIRS[problem]
    dual = adjoint(np.linalg.inv(v)) if first or second else v
    return (dual if first else v), (dual if second else v), s, t


def _pair_push(
    sweep: Sweep,
    ts: Any,
    out: Any,
    a: Any,
    b: Any,
    *,
    lower: bool,
    vectors: bool,
    problem: int,
    driver: Any,
    subset: Subset,
) -> Any:
    if vectors and dtype_of(out).kind == "c":
        refuse_phases(_PAIR)
    v, w = out[..., :-1, :], np.real(out[..., -1, :])
    x, z, s, t = _bases(v, problem)
    q, turn = 0.0, 0.0
    if ts[0] is not None:
        q = product(adjoint(x) @ hermitian(ts[0], lower), x)
    if ts[1] is not None:
        n = product(adjoint(z) @ hermitian(ts[1], lower), z)
        q = q - (0.5 * t) * n * (w[..., None, :] + w[..., :, None])
        turn = (-0.5 * s) * n
    gap = gaps_of(w)
    close = are_close(gap, np.max(np.abs(w), axis=-1, initial=0.0))
    (skew,) = turned(_PAIR, close, vectors, sweep, over_gaps(q, gap, close))
    return side_by_side(v @ (skew + turn), np.real(diagonal_of(q)))


def _pair_pull(
    sweep: Sweep,
    g: Any,
    out: Any,
    a: Any,
    b: Any,
    *,
    lower: bool,
    vectors: bool,
    problem: int,
    driver: Any,
    subset: Subset,
) -> Any:
    v, w = out[..., :-1, :], np.real(out[..., -1, :])
    gv, gw = g[..., :-1, :], np.real(g[..., -1, :])
    x, z, s, t = _bases(v, problem)
    vh, gap, largest = adjoint(v), gaps_of(w), np.max(np.abs(w), axis=-1, initial=0.0)
    covector = Covector(((vh, gv),), gw, w, vectors)
    e = vh @ gv
    if dtype_of(out).kind == "c":
        check_phases(_PAIR, e, scale_of(covector))
    core = as_diagonal(gw) + quotient(_PAIR, skew_part(e), gap, are_close(gap, largest), covector)
    ga = product(x @ core, adjoint(x))
    inner = (-0.5 * t) * core * (w[..., None, :] + w[..., :, None]) - (0.5 * s) * e
    gb = product(z @ inner, adjoint(z))
    return hermitian_transpose(ga, lower), hermitian_transpose(gb, lower)


pair_ = General("scipy.linalg.eigh", _pair, _pair_push, _pair_pull, keeps=(True, (False, False)), joins=of_matrices)
"""Eigenvectors, and below them one row of eigenvalues, of two Hermitian matrices, the second positive definite."""


# --------------------------------------------------------------------------------------------------
# other matrices


def _eig(a: Any, *, vectors: bool) -> Any:
    w, v = scipy.linalg.eig(a, check_finite=False)
    return np.concatenate([v, w[None]], axis=-2).astype(np.result_type(a.dtype, np.complex64))


eigen_ = General(
    "scipy.linalg.eig",
    _eig,
    partial(eig_push, what="scipy.linalg.eig"),
    partial(eig_pull, what="scipy.linalg.eig"),
    keeps=(True, (False,)),
    joins=of_matrices,
)
"""Eigenvectors of length 1, and below them one row of eigenvalues."""


def _left_turns(u: Any, a: Any) -> Any:
    _, left = scipy.linalg.eig(a, left=True, right=False, check_finite=False)
    turn = np.sum(np.conjugate(u) * left, axis=0)
    return turn / np.where(turn == 0, 1.0, np.abs(turn))


left_turns_ = Discrete("scipy.linalg.eig", _left_turns)
"""By which signs or phases left eigenvectors of length 1 differ from those that LAPACK returns."""


def _svd(a: Any, *, vectors: bool, full: bool, driver: str) -> Any:
    return packed_factors(*scipy.linalg.svd(a, full_matrices=full, lapack_driver=driver, check_finite=False))


def _svd_push(sweep: Sweep, ts: Any, out: Any, a: Any, *, vectors: bool, full: bool, driver: str) -> Any:
    return svd_push(sweep, ts, out, a, vectors=vectors, full=full, what="scipy.linalg.svd")


def _svd_pull(sweep: Sweep, g: Any, out: Any, a: Any, *, vectors: bool, full: bool, driver: str) -> Any:
    return svd_pull(sweep, g, out, a, vectors=vectors, full=full, what="scipy.linalg.svd")


singular_ = General("scipy.linalg.svd", _svd, _svd_push, _svd_pull, joins=of_matrices)
"""U, the singular values and Vᴴ, flattened side by side."""


# --------------------------------------------------------------------------------------------------
# orthogonal factors


def _thin(a: Any) -> Any:
    return np.concatenate(scipy.linalg.qr(a, mode="economic", check_finite=False), axis=-2)


thin_ = General(
    "scipy.linalg.qr",
    _thin,
    partial(qr_push, what="scipy.linalg.qr"),
    partial(qr_pull, what="scipy.linalg.qr"),
    keeps=(True, (False,)),
    joins=qr_joins,
)
"""Q, and R below it, of matrices with at least as many rows as columns."""
square_ = General(
    "scipy.linalg.qr",
    lambda a: np.concatenate(scipy.linalg.qr(a, check_finite=False), axis=-1),
    partial(complete_push, what="scipy.linalg.qr"),
    partial(complete_pull, what="scipy.linalg.qr"),
    keeps=(True, (False,)),
    joins=of_matrices,
)
"""A square Q and, beside it, R with rows of zeros, of matrices with more rows than columns."""
column_order_ = Discrete(
    "scipy.linalg.qr", lambda a: scipy.linalg.qr(a, mode="r", pivoting=True, check_finite=False)[1].astype(np.intp)
)
"""The order in which columns are taken so that the diagonal of R does not grow."""


# --------------------------------------------------------------------------------------------------
# determinants


def _in_double(a: Any) -> Any:
    return cast(a, np.complex128 if dtype_of(a).kind == "c" else np.float64, copy=False)


def _det_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    return np.sum(bind(cofactors, (_in_double(a),), {}) * ts[0], axis=(-2, -1))


def _det_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    return (over_matrix(g) * conj(bind(cofactors, (_in_double(a),), {})),)


determinant_ = General(
    "scipy.linalg.det",
    lambda a: scipy.linalg.det(a, check_finite=False),
    _det_push,
    _det_pull,
    keeps=(False, (True,)),
    joins=of_matrices,
)
"""The determinant, in double precision whatever the matrix is in."""
