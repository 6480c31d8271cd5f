"""Eigenvalues, singular values, and the vectors that go with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.register import PHASES, Facts
from dualdiff.rules.linalg.lapack import (
    Subset,
    chosen,
    eigen_,
    hermitian_,
    left_turns_,
    pair_,
    singular_,
)
from dualdiff.rules.linalg.matrices import adjoint
from dualdiff.rules.linalg.singular_values import cut
from dualdiff.scipy.linalg.arguments import (
    ROOM,
    UNSAID,
    check_square,
    default_of,
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


def eigvals(
    a: Any,
    b: Any = None,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    homogeneous_eigvals: bool = False,
) -> Any:
    """``scipy.linalg.eigvals``."""
    _no_pair(b, "scipy.linalg.eigvals")
    return eig(a, None, False, False, check_finite=check_finite, homogeneous_eigvals=homogeneous_eigvals)


def _eigvals_before(
    a: Any, b: Any = None, overwrite_a: bool = False, check_finite: bool = True, homogeneous_eigvals: bool = False
) -> Any:
    """``scipy.linalg.eigvals`` before SciPy 1.18, which had one argument less."""
    return eigvals(a, b, check_finite=check_finite, homogeneous_eigvals=homogeneous_eigvals)


ROOM.function("eigvals", kind="general", domain="distinct eigenvalues")(
    _eigvals_before if default_of("eigvals", "overwrite_b", UNSAID) is UNSAID else eigvals
)


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
