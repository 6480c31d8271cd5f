"""Singular values and their vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dualdiff.errors import DegenerateError, where
from dualdiff.kinds import General, Sweep
from dualdiff.register import PHASES, Facts, composite
from dualdiff.rules.contraction import of_matrices
from dualdiff.rules.linalg.equal_values import (
    CLOSE,
    Covector,
    are_close,
    are_used,
    gaps_of,
    over_gaps,
    quotient,
    rounding,
    scale_of,
    skew_part,
    turned,
)
from dualdiff.rules.linalg.matrices import adjoint, as_diagonal, diagonal_of, product
from dualdiff.rules.linalg.phases import check_phases, pulled_complement, pushed_complement, refuse_phases
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import bind, operand


def cut(packed: Any, m: int, n: int, full: bool = False) -> tuple[Any, Any, Any]:
    """Return U, S and Vᴴ from a packed decomposition of m×n matrices."""
    k = min(m, n)
    p, q = (m, n) if full else (k, k)
    head = shape_of(packed)[:-1]
    u, s, vh = packed[..., : m * p], packed[..., m * p : m * p + k], packed[..., m * p + k :]
    return np.reshape(u, (*head, m, p)), np.real(s), np.reshape(vh, (*head, q, n))


def packed_factors(u: Any, s: Any, vh: Any) -> Any:
    """Return U, S and Vᴴ flattened, side by side."""
    head = shape_of(s)[:-1]
    parts = [np.reshape(x, (*head, size_of(shape_of(x)[len(head) :]))) for x in (u, s, vh)]
    return np.concatenate([parts[0], parts[1].astype(dtype_of(u)), parts[2]], axis=-1)


def _svd(a: Any, *, vectors: bool = True, full: bool = False) -> Any:
    return packed_factors(*np.linalg.svd(a, full_matrices=full))


def _svd_gaps(s: Any) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Return the differences and sums of pairs, where they vanish, the values, and which of them vanish.

    s[j]² - s[i]² is taken apart into difference and sum, so that no square overflows or cancels.
    """
    gap, both = gaps_of(s), s[..., None, :] + s[..., :, None]
    largest = np.max(s, axis=-1, initial=0.0)
    null = np.less_equal(s, CLOSE * shape_of(s)[-1] * np.finfo(dtype_of(s)).eps * largest[..., None])
    return gap, both, are_close(gap, largest), are_close(both, largest), s[..., None, :], null[..., None, :]


def _over_values(p: Any, s: Any, omitted: Any) -> Any:
    return np.where(omitted, 0.0, p / np.where(omitted, 1.0, s))


def svd_push(
    sweep: Sweep,
    ts: Any,
    out: Any,
    a: Any,
    *,
    vectors: bool = True,
    full: bool = False,
    what: str = "np.linalg.svd",
) -> Any:
    """Return how the three factors change."""
    m, n = shape_of(a)[-2:]
    if vectors and dtype_of(a).kind == "c":
        refuse_phases(what)
    k = min(m, n)
    whole_u, s, whole_vh = cut(out, m, n, full)
    u, vh = whole_u[..., :k], whole_vh[..., :k, :]
    t, uh, v = ts[0], adjoint(u), adjoint(vh)
    tv = product(t, v)
    p = uh @ tv
    gap, both, close, closing, row, null = _svd_gaps(s)
    null = np.logical_and(null, m != n)
    undefined = np.logical_or(close, np.logical_or(closing, null))
    ph = adjoint(p)
    plus, minus = 0.5 * over_gaps(p + ph, gap, close), 0.5 * over_gaps(p - ph, both, closing)
    left, right = turned(what, undefined, vectors, sweep, plus + minus, plus - minus)
    du, dv = u @ left, v @ right
    if dtype_of(a).kind == "c":
        du = du + u * (1j * _over_values(np.imag(diagonal_of(p))[..., None, :], row, np.equal(row, 0)))
    if m > n:
        du = du + _over_values(tv - u @ p, row, null)
    if n > m:
        dv = dv + _over_values(adjoint(t) @ u - v @ ph, row, null)
    if full and m > n:
        du = np.concatenate(
            [du, pushed_complement(f"{what} with full_matrices=True", u, du, whole_u[..., k:])], axis=-1
        )
    if full and n > m:
        dv = np.concatenate(
            [dv, pushed_complement(f"{what} with full_matrices=True", v, dv, adjoint(whole_vh[..., k:, :]))], axis=-1
        )
    return packed_factors(du, np.real(diagonal_of(p)), adjoint(dv))


def svd_pull(
    sweep: Sweep,
    g: Any,
    out: Any,
    a: Any,
    *,
    vectors: bool = True,
    full: bool = False,
    what: str = "np.linalg.svd",
) -> Any:
    """Transpose :func:`svd_push`."""
    m, n = shape_of(a)[-2:]
    k = min(m, n)
    whole_u, s, whole_vh = cut(out, m, n, full)
    whole_gu, gs, whole_gvh = cut(g, m, n, full)
    u, vh = whole_u[..., :k], whole_vh[..., :k, :]
    gu, gv = whole_gu[..., :k], adjoint(whole_gvh[..., :k, :])
    uh, v = adjoint(u), adjoint(vh)
    if full and m > n:
        gu = gu + pulled_complement(f"{what} with full_matrices=True", u, whole_u[..., k:], whole_gu[..., k:])
    if full and n > m:
        gv = gv + pulled_complement(
            f"{what} with full_matrices=True", v, adjoint(whole_vh[..., k:, :]), adjoint(whole_gvh[..., k:, :])
        )
    gap, both, close, closing, row, null = _svd_gaps(s)
    eu, ev = uh @ gu, vh @ gv
    covector = Covector(((uh, gu), (vh, gv)), gs, s, vectors)
    core = (
        as_diagonal(gs)
        + quotient(what, skew_part(eu + ev), gap, close, covector)
        + quotient(what, skew_part(eu - ev), both, closing, covector)
    )
    if dtype_of(a).kind == "c":
        scale = scale_of(covector)
        check_phases(what, eu + ev, scale)
        check_phases(what, eu, scale, np.equal(s, 0))
        imaginary = np.imag(diagonal_of(eu))
        core = core + 1j * as_diagonal(
            _over_values(imaginary, s, np.logical_or(np.equal(imaginary, 0), np.equal(s, 0)))
        )
    c = product(u @ core, vh)
    if m > n:
        c = c + product(_beside(gu, u @ eu, row, null, covector, what), vh)
    if n > m:
        c = c + u @ adjoint(_beside(gv, v @ ev, row, null, covector, what))
    return (c,)


def _beside(g: Any, inside: Any, row: Any, null: Any, covector: Covector, what: str) -> Any:
    """Return what of a covector lies outside the space of the vectors, over the singular values.

    The longer vector of a vanishing one may be turned out of that space, as equal values may turn each other.
    """
    rest = g - inside
    if not bool(np.any(null)):
        return rest / row
    size, terms = [np.max(np.abs(x), axis=-2, keepdims=True, initial=0.0) for x in (rest, g)]
    n, eps = shape_of(g)[-2], np.finfo(dtype_of(row)).eps
    turned = np.logical_and(null, np.greater(size, 100 * n * eps * scale_of(covector)))
    known = np.logical_and(np.greater(size, math.sqrt(eps) * terms), np.not_equal(row, 0))
    omitted = np.logical_and(null, np.logical_not(known))
    counts = np.greater(np.abs(covector.values), rounding(covector.values))[..., None, :]
    lost = np.logical_and(omitted, np.logical_and(counts, are_used(covector)))
    if bool(np.any(np.logical_or(turned, lost))):
        raise DegenerateError(
            f"{where()}: the derivative of {what} is not defined at this matrix: it has not full rank, and the "
            "function depends on which vectors stand for the vanishing singular values. Use the matrix itself, "
            "np.linalg.svdvals, or only the vectors of the values that do not vanish."
        )
    return _over_values(rest, row, omitted)


svd_ = General("np.linalg.svd", _svd, svd_push, svd_pull, joins=of_matrices)
"""U, the singular values and Vᴴ of the thin decomposition, flattened side by side."""
_SVDResult: Any = type(np.linalg.svd(np.eye(1)))


@composite(getattr(np.linalg, "svdvals", None), status="general", domain="distinct singular values")
def svdvals(x: Any, /) -> Any:
    """``np.linalg.svdvals``."""
    x = operand(x)
    m, n = shape_of(x)[-2:]
    k = min(m, n)
    return np.real(bind(svd_, (x,), {"vectors": False})[..., m * k : m * k + k])


@composite(np.linalg.svd, status="general", domain="distinct singular values", facts=Facts(PHASES))
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """``np.linalg.svd``."""
    a = operand(a)
    if hermitian:
        return _of_hermitian(a, compute_uv)
    if not compute_uv:
        return svdvals(a)
    m, n = shape_of(a)[-2:]
    full = bool(full_matrices) and m != n
    return _SVDResult(*cut(bind(svd_, (a,), {"full": True} if full else {}), m, n, full))


def _of_hermitian(a: Any, compute_uv: bool) -> Any:
    """Decompose a Hermitian matrix by its eigenvalues, as NumPy does: sorted by their size."""
    if not compute_uv:
        return np.sort(np.abs(np.linalg.eigvalsh(a)), axis=-1)[..., ::-1]
    w, v = np.linalg.eigh(a)
    order = np.argsort(np.abs(w), axis=-1)[..., ::-1]
    w, v = np.take_along_axis(w, order, axis=-1), np.take_along_axis(v, order[..., None, :], axis=-1)
    return _SVDResult(v, np.abs(w), adjoint(v * np.sign(w)[..., None, :]))
