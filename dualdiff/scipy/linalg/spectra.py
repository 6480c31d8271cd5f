"""Eigenvalues, singular values and the factors that go with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.register import PHASES, Facts
from dualdiff.rules.linalg.lapack import (
    Subset,
    chosen,
    column_order_,
    eigen_,
    hermitian_,
    left_turns_,
    pair_,
    singular_,
    square_,
    thin_,
)
from dualdiff.rules.linalg.matrices import adjoint
from dualdiff.rules.linalg.polar_factors import polar_
from dualdiff.rules.linalg.singular_values import cut
from dualdiff.scipy.linalg.arguments import (
    ROOM,
    UNSAID,
    VECTOR_OR_MATRIX,
    check_square,
    checked,
    inexact,
    over_stacks,
    refuse_removed,
    together,
)
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind, decided, fixed

# --------------------------------------------------------------------------------------------------
# Hermitian matrices


def _subset(index: Any, value: Any) -> Subset:
    index, value = (fixed(x, "a bound of the subset of eigenvalues") for x in (index, value))
    if index is not None and len(index) and value is not None and len(value):
        raise ValueError("Either index or value subset can be requested.")
    if index is not None:
        return "index", tuple(index)
    return None if value is None else ("value", tuple(value))


def _found(packed: Any, subset: Subset, values_only: bool) -> Any:
    """Return the eigenvalues and vectors that are asked for."""
    w = np.real(packed[-1, :])
    at = chosen(w, subset)
    at = at if type(at) is slice else decided(at)
    return w[at] if values_only else (w[at], packed[:-1][:, at])


@ROOM.function("eigh", kind="general", domain="distinct eigenvalues", facts=Facts(PHASES))
@over_stacks(a=2, b=2)
def eigh(
    a: Any,
    b: Any = None,
    *,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    type: int = 1,
    check_finite: bool = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: Any = None,
    turbo: Any = UNSAID,
    eigvals: Any = UNSAID,
) -> Any:
    """``scipy.linalg.eigh``, also of pairs: functions of the triangles it reads."""
    refuse_removed("scipy.linalg.eigh", "Write driver= and subset_by_index=", turbo=turbo, eigvals=eigvals)
    subset = _subset(subset_by_index, subset_by_value)
    lower, only = bool(lower), bool(eigvals_only)
    if b is None:
        a = inexact(a, check_finite)
        check_square(a, 'expected square "a" matrix')
        params = {"lower": lower, "vectors": not only, "how": ("eigh", driver), "subset": subset}
        return _found(bind(hermitian_, (a,), params), subset, only)
    a, b = together(a, b, check_finite=check_finite)
    check_square(a, 'expected square "a" matrix')
    check_square(b, 'expected square "b" matrix')
    if shape_of(a) != shape_of(b):
        raise ValueError(f"wrong b dimensions {shape_of(b)}, should be {shape_of(a)}")
    if type not in (1, 2, 3):
        raise ValueError('"type" keyword only accepts 1, 2, and 3.')
    params = {"lower": lower, "vectors": not only, "problem": int(type), "driver": driver, "subset": subset}
    return _found(bind(pair_, (a, b), params), subset, only)


@ROOM.function("eigvalsh", kind="general", domain="distinct eigenvalues")
def eigvalsh(
    a: Any,
    b: Any = None,
    *,
    lower: bool = True,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    type: int = 1,
    check_finite: bool = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: Any = None,
    turbo: Any = UNSAID,
    eigvals: Any = UNSAID,
) -> Any:
    """``scipy.linalg.eigvalsh``, also of pairs: functions of the triangles it reads."""
    return eigh(
        a,
        b,
        lower=lower,
        eigvals_only=True,
        type=type,
        check_finite=check_finite,
        subset_by_index=subset_by_index,
        subset_by_value=subset_by_value,
        driver=driver,
        turbo=turbo,
        eigvals=eigvals,
    )


def _selection(select: Any, select_range: Any, n: int) -> Subset:
    if isinstance(select, str):
        select = select.lower()
    if select in ("a", "all", 0):
        return None
    if select not in ("v", "value", 1, "i", "index", 2):
        raise ValueError("invalid argument for select")
    lo, hi = sorted(np.ravel(fixed(select_range, "select_range")).tolist())
    if select in ("v", "value", 1):
        return "value", (lo, hi)
    if lo < 0 or hi >= n:
        raise ValueError("select_range out of bounds")
    return "index", (int(lo), int(hi))


@ROOM.function("eigh_tridiagonal", kind="general", domain="distinct eigenvalues")
@over_stacks(d=1, e=1)
def eigh_tridiagonal(
    d: Any,
    e: Any,
    eigvals_only: bool = False,
    select: Any = "a",
    select_range: Any = None,
    check_finite: bool = True,
    tol: float = 0.0,
    lapack_driver: str = "auto",
) -> Any:
    """``scipy.linalg.eigh_tridiagonal``."""
    d, e = together(d, e, check_finite=check_finite)
    if len(shape_of(d)) != 1 or len(shape_of(e)) != 1:
        raise ValueError("expected a 1-D array")
    if dtype_of(d).kind == "c":
        raise TypeError("Only real arrays currently supported")
    n = shape_of(d)[0]
    if n != shape_of(e)[0] + 1:
        raise ValueError(f"d ({n}) must have one more element than e ({shape_of(e)[0]})")
    if lapack_driver == "sterf" and not eigvals_only:
        raise ValueError("sterf can only be used when eigvals_only is True")
    subset = _selection(select, select_range, n)
    a = np.diag(d) + np.diag(e, -1) if n > 1 else np.reshape(d, (1, 1))
    how = ("tridiagonal", lapack_driver, float(fixed(tol, "tol")))
    params = {"lower": True, "vectors": not eigvals_only, "how": how, "subset": subset}
    return _found(bind(hermitian_, (a,), params), subset, bool(eigvals_only))


@ROOM.function("eigvalsh_tridiagonal", kind="general", domain="distinct eigenvalues")
def eigvalsh_tridiagonal(
    d: Any,
    e: Any,
    select: Any = "a",
    select_range: Any = None,
    check_finite: bool = True,
    tol: float = 0.0,
    lapack_driver: str = "auto",
) -> Any:
    """``scipy.linalg.eigvalsh_tridiagonal``."""
    return eigh_tridiagonal(d, e, True, select, select_range, check_finite, tol, lapack_driver)


@ROOM.function("eig_banded", kind="general", domain="distinct eigenvalues", facts=Facts(PHASES))
@over_stacks(a_band=2)
def eig_banded(
    a_band: Any,
    lower: bool = False,
    eigvals_only: bool = False,
    overwrite_a_band: bool = False,
    select: Any = "a",
    select_range: Any = None,
    max_ev: int = 0,
    check_finite: bool = True,
) -> Any:
    """``scipy.linalg.eig_banded``: the matrix is filled in."""
    band = inexact(a_band, check_finite)
    if len(shape_of(band)) != 2:
        raise ValueError("expected a 2-D array")
    count, n = shape_of(band)[0] - 1, shape_of(band)[1]
    subset = _selection(select, select_range, n)
    diagonals = [np.diag(band[d, : n - d], -d) if lower else np.diag(band[count - d, d:], d) for d in range(count + 1)]
    a = sum(diagonals[1:], start=diagonals[0])
    params = {"lower": bool(lower), "vectors": not eigvals_only, "how": ("banded", count), "subset": subset}
    found = _found(bind(hermitian_, (a,), params), subset, bool(eigvals_only))
    if subset is not None and subset[0] == "value" and max_ev and not eigvals_only:
        return found[0][:max_ev], found[1][:, :max_ev]
    return found


@ROOM.function("eigvals_banded", kind="general", domain="distinct eigenvalues")
def eigvals_banded(
    a_band: Any,
    lower: bool = False,
    overwrite_a_band: bool = False,
    select: Any = "a",
    select_range: Any = None,
    check_finite: bool = True,
) -> Any:
    """``scipy.linalg.eigvals_banded``."""
    return eig_banded(a_band, lower, True, select=select, select_range=select_range, check_finite=check_finite)


# --------------------------------------------------------------------------------------------------
# other matrices


def _no_pair(b: Any, what: str) -> None:
    if b is not None:
        raise UnsupportedFunctionError(
            f"{where()}: {what} is not differentiated with b=. Give it scipy.linalg.solve(b, a), whose eigenvalues are the same "
            "if b is not singular, or use scipy.linalg.eigh(a, b) where both are Hermitian."
        )


def _left(v: Any, a: Any) -> Any:
    """Return the left eigenvectors that LAPACK returns, of length 1, by the right ones."""
    u = adjoint(np.linalg.inv(v))
    u = u / np.linalg.norm(u, axis=0, keepdims=True)
    return u * bind(left_turns_, (u, a), {})


@ROOM.function("eig", kind="general", domain="distinct eigenvalues", facts=Facts(PHASES))
@over_stacks(a=2, b=2)
def eig(
    a: Any,
    b: Any = None,
    left: bool = False,
    right: bool = True,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    homogeneous_eigvals: bool = False,
) -> Any:
    """``scipy.linalg.eig``: vectors of length 1, whose phases are arbitrary where they are complex."""
    _no_pair(b, "scipy.linalg.eig")
    a = inexact(a, check_finite)
    check_square(a)
    packed = bind(eigen_, (a,), {"vectors": bool(left or right)})
    v, w = packed[:-1, :], packed[-1, :]
    if dtype_of(a).kind != "c" and not bool(np.any(np.not_equal(np.imag(w), 0))):
        v = np.real(v)
    values = np.stack([w, np.ones_like(w)]) if homogeneous_eigvals else w
    found = [values, *([_left(v, a)] if left else []), *([v] if right else [])]
    return tuple(found) if len(found) > 1 else values


@ROOM.function("eigvals", kind="general", domain="distinct eigenvalues")
def eigvals(
    a: Any, b: Any = None, overwrite_a: bool = False, check_finite: bool = True, homogeneous_eigvals: bool = False
) -> Any:
    """``scipy.linalg.eigvals``."""
    _no_pair(b, "scipy.linalg.eigvals")
    return eig(a, None, False, False, check_finite=check_finite, homogeneous_eigvals=homogeneous_eigvals)


@ROOM.function("svd", kind="general", domain="distinct singular values", facts=Facts(PHASES))
@over_stacks(a=2)
def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """``scipy.linalg.svd``."""
    a = inexact(a, check_finite)
    if len(shape_of(a)) != 2:
        raise ValueError("expected matrix")
    m, n = shape_of(a)
    full = bool(full_matrices and compute_uv) and m != n
    params = {"vectors": bool(compute_uv), "full": full, "driver": lapack_driver}
    u, s, vh = cut(bind(singular_, (a,), params), m, n, full)
    return (u, s, vh) if compute_uv else s


@ROOM.function("svdvals", kind="general", domain="distinct singular values")
def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """``scipy.linalg.svdvals``."""
    return svd(a, compute_uv=False, check_finite=check_finite)


# --------------------------------------------------------------------------------------------------
# orthogonal factors


def _orthogonal(a: Any, whole: bool) -> tuple[Any, Any]:
    m, n = shape_of(a)
    if whole and m > n:
        packed = bind(square_, (a,), {})
        return packed[:, :m], packed[:, m:]
    packed = bind(thin_, (a[:, :m],), {})
    q, r = packed[:m, :], packed[m:, :]
    return q, np.concatenate([r, adjoint(q) @ a[:, m:]], axis=-1) if n > m else r


_RAW = "scipy.linalg.qr with mode='raw' returns the reflectors that LAPACK keeps, which are not differentiated. Use mode='economic'"


@ROOM.function("qr", kind="general", domain="full rank")
@over_stacks(a=2)
def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> Any:
    """``scipy.linalg.qr`` of matrices whose first columns are independent, at the order of columns that LAPACK takes."""
    if mode not in ("full", "qr", "r", "economic", "raw"):
        raise ValueError("Mode argument should be one of ['full', 'r', 'economic', 'raw']")
    if mode == "raw":
        raise UnsupportedFunctionError(f"{where()}: {_RAW}.")
    a = inexact(a, check_finite)
    if len(shape_of(a)) != 2:
        raise ValueError("expected a 2-D array")
    m, n = shape_of(a)
    order = bind(column_order_, (a,), {}) if pivoting else None
    a = a if order is None else np.take(a, order, axis=1)
    q, r = _orthogonal(a, whole=mode in ("full", "qr"))
    if mode == "r" and m > n:
        r = np.concatenate([r, np.zeros_like(r, shape=(m - n, n))])
    found = [*([] if mode == "r" else [q]), r, *([] if order is None else [order.astype(np.int32)])]
    return tuple(found)


@ROOM.function("qr_multiply", kind="general", domain="full rank")
@over_stacks(a=2, c=VECTOR_OR_MATRIX)
def qr_multiply(
    a: Any,
    c: Any,
    mode: str = "right",
    pivoting: bool = False,
    conjugate: bool = False,
    overwrite_a: bool = False,
    overwrite_c: bool = False,
) -> Any:
    """``scipy.linalg.qr_multiply``: Q c or c Q, and R."""
    if mode not in ("left", "right"):
        raise ValueError(f"Mode argument can only be 'left' or 'right' but not '{mode}'")
    if overwrite_c:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.linalg.qr_multiply is not differentiated with overwrite_c=True, which is for a c of more rows than "
            "Q has columns. Leave it out, or write q @ c with scipy.linalg.qr."
        )
    a, c = together(a, checked(c), check_finite=False)
    q, *rest = qr(a, mode="economic", pivoting=pivoting)
    q = np.conjugate(q) if conjugate else q
    rows = shape_of(c)[0] if mode == "left" else shape_of(c)[-1]
    if rows != shape_of(q)[1 if mode == "left" else 0]:
        raise ValueError(f"Array shapes are not compatible for Q and c: {shape_of(a)} vs {shape_of(c)}")
    return (q @ c if mode == "left" else c @ q, *rest)


@ROOM.function("rq", kind="general", domain="full rank")
@over_stacks(a=2)
def rq(a: Any, overwrite_a: bool = False, lwork: Any = None, mode: str = "full", check_finite: bool = True) -> Any:
    """``scipy.linalg.rq``: the other factors, of rows and columns in reverse."""
    if mode not in ("full", "r", "economic"):
        raise ValueError("Mode argument should be one of ['full', 'r', 'economic']")
    a = inexact(a, check_finite)
    if len(shape_of(a)) != 2:
        raise ValueError("expected matrix")
    m, n = shape_of(a)
    q, r = _orthogonal(adjoint(a[::-1, ::-1]), whole=mode == "full")
    q, r = adjoint(q)[::-1, ::-1], adjoint(r)[::-1, ::-1]
    if mode == "r":
        return np.concatenate([np.zeros_like(r, shape=(m, n - m)), r], axis=1) if n > m else r
    return r, q


@ROOM.function("polar", kind="general", domain="full rank")
@over_stacks(a=2)
def polar(a: Any, side: str = "right") -> Any:
    """``scipy.linalg.polar`` of matrices of full rank."""
    if side not in ("right", "left"):
        raise ValueError("`side` must be either 'right' or 'left'")
    a = inexact(a, False)
    if len(shape_of(a)) != 2:
        raise ValueError("`a` must be a 2-D array.")
    m, n = shape_of(a)
    if m < n:
        packed = bind(polar_, (adjoint(a),), {})
        u, p = adjoint(packed[:n, :]), packed[n:, :]
        return u, (p if side == "left" else adjoint(u) @ a)
    packed = bind(polar_, (a,), {})
    u, p = packed[:m, :], packed[m:, :]
    return u, (p if side == "right" else a @ adjoint(u))


@ROOM.function("orthogonal_procrustes", kind="general", domain="full rank")
@over_stacks(A=2, B=2)
def orthogonal_procrustes(A: Any, B: Any, check_finite: bool = True) -> Any:
    """``scipy.linalg.orthogonal_procrustes``: the unitary polar factor of AᴴB, and the trace of the other."""
    a, b = together(A, B, check_finite=check_finite)
    if len(shape_of(a)) != 2:
        raise ValueError(f"expected ndim to be 2, but observed {len(shape_of(a))}")
    if shape_of(a) != shape_of(b):
        raise ValueError(f"the shapes of A and B differ ({shape_of(a)} vs {shape_of(b)})")
    u, p = polar(adjoint(a) @ b)
    return u, np.real(np.trace(p))
