"""Factors of which one is orthogonal: QR, RQ, and the polar decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.rules.linalg.lapack import column_order_, square_, thin_
from dualdiff.rules.linalg.matrices import adjoint
from dualdiff.rules.linalg.polar_factors import polar_
from dualdiff.scipy.linalg.arguments import ROOM, VECTOR_OR_MATRIX, checked, inexact, over_stacks, together
from dualdiff.shapes import shape_of
from dualdiff.values import bind


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
