"""Eigenvalues and eigenvectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.kinds import General, Sweep
from dualdiff.labels import Labels, only
from dualdiff.register import PHASES, Facts, composite
from dualdiff.rules.contraction import of_matrices
from dualdiff.rules.letters import conj
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
from dualdiff.rules.linalg.matrices import (
    adjoint,
    as_diagonal,
    check_square,
    diagonal_of,
    product,
    quiet,
)
from dualdiff.rules.linalg.phases import check_phases, refuse_phases
from dualdiff.rules.linalg.triangles import hermitian, hermitian_transpose
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind, operand


def _inverse_gaps(w: Any) -> Any:
    """Return 1/(w[j] - w[i]) at [i, j], 0 on the diagonal; infinite between equal values."""
    gap = w[..., None, :] - w[..., :, None]
    eye = np.eye(shape_of(w)[-1], dtype=bool)
    return np.where(eye, 0.0, 1.0 / np.where(eye, 1.0, gap))


def side_by_side(vectors: Any, values: Any) -> Any:
    """Return vectors, and below them one row of values."""
    return np.concatenate([vectors, values[..., None, :].astype(dtype_of(vectors))], axis=-2)


def _eigh(a: Any, *, lower: bool, vectors: bool = True) -> Any:
    w, v = np.linalg.eigh(a, "L" if lower else "U")
    return side_by_side(v, w)


def eigh_push(
    sweep: Sweep, ts: Any, out: Any, a: Any, *, lower: bool, vectors: bool = True, what: str = "np.linalg.eigh"
) -> Any:
    """Return how the vectors turn, and how the values change."""
    if vectors and dtype_of(out).kind == "c":
        refuse_phases(what)
    v, w = out[..., :-1, :], np.real(out[..., -1, :])
    p = product(adjoint(v) @ hermitian(ts[0], lower), v)
    gap = gaps_of(w)
    close = are_close(gap, np.max(np.abs(w), axis=-1, initial=0.0))
    (turn,) = turned(what, close, vectors, sweep, over_gaps(p, gap, close))
    return side_by_side(v @ turn, np.real(diagonal_of(p)))


def eigh_pull(
    sweep: Sweep, g: Any, out: Any, a: Any, *, lower: bool, vectors: bool = True, what: str = "np.linalg.eigh"
) -> Any:
    """Transpose :func:`eigh_push`."""
    v, w = out[..., :-1, :], np.real(out[..., -1, :])
    gv, gw = g[..., :-1, :], np.real(g[..., -1, :])
    vh, gap, largest = adjoint(v), gaps_of(w), np.max(np.abs(w), axis=-1, initial=0.0)
    covector = Covector(((vh, gv),), gw, w, vectors)
    e = vh @ gv
    if dtype_of(out).kind == "c":
        check_phases(what, e, scale_of(covector))
    turn = quotient(what, skew_part(e), gap, are_close(gap, largest), covector)
    return (hermitian_transpose(product(v @ (as_diagonal(gw) + turn), vh), lower),)


def eigh_joins(k: int, args: Any, params: dict[str, Any], out: Any) -> Labels:
    """Say which triangle is read."""
    shape = shape_of(args[0])
    result, read = of_matrices(k, args, params, out)
    lower = np.tri(shape[-1], dtype=bool)
    return result, only(read, lower if params["lower"] else lower.T, shape)


eigh_ = General(
    "np.linalg.eigh",
    _eigh,
    eigh_push,
    eigh_pull,
    keeps=(True, (False,)),
    joins=eigh_joins,
)
"""Eigenvectors, and below them one row of eigenvalues."""
_EighResult: Any = type(np.linalg.eigh(np.eye(1)))


def _triangle(uplo: str) -> dict[str, bool]:
    if uplo.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return {"lower": uplo.upper() == "L"}


@composite(np.linalg.eigh, status="general", domain="distinct eigenvalues", facts=Facts(PHASES))
def eigh(a: Any, UPLO: str = "L") -> Any:
    """``np.linalg.eigh``: a function of the triangle it reads."""
    a = operand(a)
    check_square(shape_of(a))
    packed = bind(eigh_, (a,), _triangle(UPLO))
    return _EighResult(np.real(packed[..., -1, :]), packed[..., :-1, :])


@composite(np.linalg.eigvalsh, status="general", domain="distinct eigenvalues")
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """``np.linalg.eigvalsh``: a function of the triangle it reads."""
    a = operand(a)
    check_square(shape_of(a))
    return np.real(bind(eigh_, (a,), {**_triangle(UPLO), "vectors": False})[..., -1, :])


def _eig(a: Any) -> Any:
    w, v = np.linalg.eig(a)
    return np.concatenate([v, w[..., None, :]], axis=-2).astype(np.result_type(dtype_of(a), np.complex64))


def _are_complex(v: Any) -> Any:
    """Return which of some eigenvectors are complex, so that a phase of theirs is a convention."""
    return np.any(np.not_equal(np.imag(v), 0), axis=-2)


@quiet
def eig_push(sweep: Sweep, ts: Any, out: Any, a: Any, *, vectors: bool = False, what: str = "np.linalg.eig") -> Any:
    """Return how the vectors change, which keep their length, and how the values change."""
    v, w = out[..., :-1, :], out[..., -1, :]
    if vectors and bool(np.any(_are_complex(v))):
        refuse_phases(what)
    p = product(np.linalg.inv(v) @ ts[0], v)
    turned = v @ sweep.mul(p, _inverse_gaps(w))
    if vectors:  # they keep their length
        turned = turned - v * np.sum(np.real(conj(v) * turned), axis=-2, keepdims=True)
    return side_by_side(turned, diagonal_of(p))


@quiet
def eig_pull(sweep: Sweep, g: Any, out: Any, a: Any, *, vectors: bool = False, what: str = "np.linalg.eig") -> Any:
    """Transpose :func:`eig_push`."""
    v, w = out[..., :-1, :], out[..., -1, :]
    gv, gw = g[..., :-1, :], g[..., -1, :]
    e = adjoint(v) @ gv
    if vectors:
        scale = np.max(np.abs(gv), axis=(-2, -1), keepdims=True, initial=0.0)
        check_phases(what, e, scale, _are_complex(v))
        e = adjoint(v) @ (gv - v * np.real(diagonal_of(e))[..., None, :])
    core = as_diagonal(gw) + sweep.mul(e, conj(_inverse_gaps(w)))
    return (product(adjoint(np.linalg.inv(v)) @ core, adjoint(v)),)


eig_ = General(
    "np.linalg.eigvals",
    lambda a, *, vectors=False: _eig(a),
    eig_push,
    eig_pull,
    keeps=(True, (False,)),
    joins=of_matrices,
)


_ALWAYS_COMPLEX = np.linalg.eigvals(np.eye(1)).dtype.kind == "c"  # from NumPy 2.5 on


def _is_real(a: Any, w: Any) -> bool:
    """Whether NumPy would return real eigenvalues: those of a real matrix, if all of them are."""
    return dtype_of(a).kind != "c" and not _ALWAYS_COMPLEX and not bool(np.any(np.not_equal(np.imag(w), 0)))


@composite(np.linalg.eigvals, status="general", domain="distinct eigenvalues")
def eigvals(a: Any) -> Any:
    """``np.linalg.eigvals``; real where all of them are, if NumPy's is."""
    a = operand(a)
    check_square(shape_of(a))
    w = bind(eig_, (a,), {})[..., -1, :]
    return np.real(w) if _is_real(a, w) else w


_EigResult: Any = type(np.linalg.eig(np.eye(1)))


@composite(np.linalg.eig, status="general", domain="distinct eigenvalues", facts=Facts(PHASES))
def eig(a: Any) -> Any:
    """``np.linalg.eig``: vectors of length 1, whose phases are arbitrary where they are complex."""
    a = operand(a)
    check_square(shape_of(a))
    packed = bind(eig_, (a,), {"vectors": True})
    v, w = packed[..., :-1, :], packed[..., -1, :]
    return _EigResult(np.real(w), np.real(v)) if _is_real(a, w) else _EigResult(w, v)
