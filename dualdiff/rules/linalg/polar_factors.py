"""The polar decomposition, of matrices of full rank."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from dualdiff.kinds import General, Sweep
from dualdiff.rules.contraction import of_matrices
from dualdiff.rules.linalg.equations import sylvester_
from dualdiff.rules.linalg.matrices import adjoint, product
from dualdiff.shapes import shape_of
from dualdiff.values import bind

# A = U P with UᴴU = 1 and P Hermitian. dU is U S beside what leaves the space of U, with S skew and P S + S P = UᴴdA - dAᴴU.


def _parts(out: Any, a: Any) -> tuple[Any, Any]:
    m = shape_of(a)[-2]
    return out[..., :m, :], out[..., m:, :]


def _beside(u: Any, p: Any, t: Any) -> Any:
    """Return what of a matrix lies outside the space of U, times P⁻¹."""
    rest = t - u @ (adjoint(u) @ t)
    return product(rest, np.linalg.inv(p))


def _polar_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    u, p = _parts(out, a)
    inside = adjoint(u) @ ts[0]
    s = bind(sylvester_, (p, p, inside - adjoint(inside)), {})
    du = u @ s
    if shape_of(a)[-2] > shape_of(a)[-1]:
        du = du + _beside(u, p, ts[0])
    return np.concatenate([du, inside - product(s, p)], axis=-2)


def _polar_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    u, p = _parts(out, a)
    gu, gp = _parts(g, a)
    r = bind(sylvester_, (p, p, adjoint(u) @ gu - product(gp, p)), {})
    c = u @ (r - adjoint(r) + gp)
    if shape_of(a)[-2] > shape_of(a)[-1]:
        c = c + _beside(u, p, gu)
    return (c,)


polar_ = General(
    "scipy.linalg.polar",
    lambda a: np.concatenate(scipy.linalg.polar(a), axis=-2),
    _polar_push,
    _polar_pull,
    keeps=(True, (False,)),
    joins=of_matrices,
)
"""U, and below it P, of matrices with at least as many rows as columns."""
