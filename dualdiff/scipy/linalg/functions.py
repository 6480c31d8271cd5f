"""Functions of matrices: exponential, logarithm, roots, powers, sign, and what the exponential makes."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.rules.linalg.matrix_functions import expm_, frechet, logm_, power_, sign_, sqrtm_
from dualdiff.rules.linalg.solving import solve as _solve
from dualdiff.scipy.linalg.arguments import ROOM, UNSAID, check_square, default_of, inexact, over_stacks, together
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import bind, fixed, operand

_DISP = {name: default_of(name, "disp", UNSAID) for name in ("sqrtm", "logm", "signm")}
_BLOCKSIZE = default_of("sqrtm", "blocksize", UNSAID)


def _square(A: Any) -> Any:
    a = inexact(A, False)
    check_square(a, "expected square array_like input")
    return a


def _no_estimate(disp: Any, name: str) -> None:
    if disp is not _DISP[name] and not disp:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.linalg.{name} is not differentiated with disp=False, which returns an estimate of the error beside the "
            "matrix. Leave disp= out."
        )


@ROOM.function("expm", kind="general", domain="matrix")
def expm(A: Any) -> Any:
    """``scipy.linalg.expm``."""
    a = operand(A)
    if len(shape_of(a)) < 2:
        if shape_of(a) in ((), (1,)):
            return np.exp(np.reshape(a, (1, 1)))
        raise np.linalg.LinAlgError("The input array must be at least two-dimensional")
    if shape_of(a)[-1] != shape_of(a)[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    return _expm(a)


@over_stacks(a=2)
def _expm(a: Any) -> Any:
    return bind(expm_, (inexact(a, False),), {})


@ROOM.function("expm_frechet", kind="general", domain="matrix")
@over_stacks(A=2, E=2)
def expm_frechet(A: Any, E: Any, method: Any = None, compute_expm: bool = True, check_finite: bool = True) -> Any:
    """``scipy.linalg.expm_frechet``, by scaling and squaring whichever method is asked for."""
    a, e = together(A, E, check_finite=check_finite)
    check_square(a, "expected A to be a square matrix")
    check_square(e, "expected E to be a square matrix")
    if shape_of(a) != shape_of(e):
        raise ValueError("expected A and E to be the same shape")
    if method not in (None, "SPS", "blockEnlarge"):
        raise ValueError(f"Unknown implementation {method}")
    if dtype_of(a).char in "fF":
        raise UnsupportedFunctionError(
            f"{where()}: scipy.linalg.expm_frechet mixes precisions where its matrices are in single, and is not differentiated there. "
            "Pass A.astype(float) and E.astype(float)."
        )
    r, d = frechet(a, e)
    return (r, d) if compute_expm else d


@ROOM.function("sqrtm", kind="general", domain="positive definite")
@over_stacks(A=2)
def sqrtm(A: Any, disp: Any = _DISP["sqrtm"], blocksize: Any = _BLOCKSIZE) -> Any:
    """``scipy.linalg.sqrtm``."""
    _no_estimate(disp, "sqrtm")
    return bind(sqrtm_, (_square(A),), {})


@ROOM.function("logm", kind="general", domain="positive definite")
@over_stacks(A=2)
def logm(A: Any, disp: Any = _DISP["logm"]) -> Any:
    """``scipy.linalg.logm``."""
    _no_estimate(disp, "logm")
    return bind(logm_, (_square(A),), {})


@ROOM.function("fractional_matrix_power", kind="general", domain="positive definite")
@over_stacks(A=2)
def fractional_matrix_power(A: Any, t: Any) -> Any:
    """``scipy.linalg.fractional_matrix_power``, of a power that is a number."""
    t = fixed(t, "the power t of scipy.linalg.fractional_matrix_power (write expm(t * logm(A)) with scipy.linalg)")
    a = _square(A)
    return np.linalg.matrix_power(a, int(t)) if t == int(t) else bind(power_, (a,), {"t": float(t)})


@ROOM.function("signm", kind="general", domain="nonsingular")
@over_stacks(A=2)
def signm(A: Any, disp: Any = _DISP["signm"]) -> Any:
    """``scipy.linalg.signm``."""
    _no_estimate(disp, "signm")
    return bind(sign_, (_square(A),), {})


# --------------------------------------------------------------------------------------------------
# by exponentials


def _turning(a: Any) -> tuple[Any, Any]:
    """Return exp(iA) and exp(-iA)."""
    return _expm(1j * a), _expm(-1j * a)


@ROOM.function("cosm", domain="matrix")
@over_stacks(A=2)
def cosm(A: Any) -> Any:
    """``scipy.linalg.cosm``."""
    a = _square(A)
    if dtype_of(a).kind != "c":
        return np.real(_expm(1j * a))
    one, other = _turning(a)
    return 0.5 * (one + other)


@ROOM.function("sinm", domain="matrix")
@over_stacks(A=2)
def sinm(A: Any) -> Any:
    """``scipy.linalg.sinm``."""
    a = _square(A)
    if dtype_of(a).kind != "c":
        return np.imag(_expm(1j * a))
    one, other = _turning(a)
    return -0.5j * (one - other)


@ROOM.function("tanm", domain="matrix")
@over_stacks(A=2)
def tanm(A: Any) -> Any:
    """``scipy.linalg.tanm``."""
    return _solve(cosm(A), sinm(A))


@ROOM.function("coshm", domain="matrix")
@over_stacks(A=2)
def coshm(A: Any) -> Any:
    """``scipy.linalg.coshm``."""
    a = _square(A)
    return 0.5 * (_expm(a) + _expm(-a))


@ROOM.function("sinhm", domain="matrix")
@over_stacks(A=2)
def sinhm(A: Any) -> Any:
    """``scipy.linalg.sinhm``."""
    a = _square(A)
    return 0.5 * (_expm(a) - _expm(-a))


@ROOM.function("tanhm", domain="matrix")
@over_stacks(A=2)
def tanhm(A: Any) -> Any:
    """``scipy.linalg.tanhm``."""
    return _solve(coshm(A), sinhm(A))


ROOM.refused(
    "funm",
    "its derivative needs that of the function it is given, which SciPy does not ask for. Write scipy.linalg.expm, logm, sqrtm or "
    "signm where it is one of these, or (v * f(w)) @ np.linalg.inv(v) with w, v = np.linalg.eig(A)",
)
ROOM.refused(
    "expm_cond",
    "it is the norm of a derivative, found by an estimate. Write np.linalg.norm of what scipy.linalg.expm_frechet returns for the "
    "directions you need",
)
