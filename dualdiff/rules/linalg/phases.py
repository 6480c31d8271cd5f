"""Vectors that are defined up to a phase, and vectors that may be any basis of a space: what of them has a derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.errors import DegenerateDirectionError, DegenerateError, where
from dualdiff.rules.linalg.equal_values import skew_part
from dualdiff.rules.linalg.matrices import adjoint, diagonal_of
from dualdiff.shapes import dtype_of, shape_of

# A complex eigenvector or pair of singular vectors may be multiplied by any phase. What LAPACK takes is a convention, so that
# these vectors have no derivative of their own; a function that a phase leaves alone has one. A covector shows which it is:
# a phase meets the imaginary part of its product with the vector. No tangent shows it, so forward mode asks the covectors.


def refuse_phases(what: str) -> None:
    """Raise in forward mode where vectors are complex."""
    raise DegenerateDirectionError(
        f"{where()}: {what} of a complex matrix returns vectors that are defined up to a phase, so they have no derivative of "
        "their own, and forward mode alone cannot tell whether the function depends on it. Use dd.jacrev, dd.grad or dd.vjp."
    )


def check_phases(what: str, e: Any, scale: Any, some: Any = True) -> None:
    """Raise if a function depends on the phases of vectors; ``e`` is their product with their covectors, on its diagonal.

    ``some`` says which of the vectors are complex; ``scale`` is the size of the covectors: that of the largest counts, as
    one that is rounding alone shows nothing.
    """
    size = np.abs(np.imag(diagonal_of(e)))
    n, eps = shape_of(e)[-1], np.finfo(dtype_of(size)).eps
    if bool(np.any(np.logical_and(some, np.greater(size, 100 * n * eps * np.max(scale, initial=0.0))))):
        raise DegenerateError(
            f"{where()}: the derivative of {what} is not defined here: the vectors of a complex matrix are defined up to a "
            "phase, and the function depends on it. Use what no phase changes: absolute values, the projectors "
            "v[:, None] * v.conj(), products of all factors, or vectors divided by the phase of one of their entries."
        )


# --------------------------------------------------------------------------------------------------
# complements

# What full_matrices=True or mode="complete" adds to the columns of U is any orthonormal basis W of the rest of the space. As
# W stays orthogonal to U, dW = -U dUᴴ W and a turn within the rest, which nobody knows but for a single real vector.


def pushed_complement(what: str, u: Any, du: Any, w: Any) -> Any:
    """Return how the basis of the rest of the space moves with the columns of ``u``."""
    if shape_of(w)[-1] > 1 or dtype_of(w).kind == "c":
        raise DegenerateDirectionError(
            f"{where()}: {what} adds vectors that may be any basis of the rest of the space, and forward mode alone cannot "
            "tell whether the function depends on the choice of them. Use dd.jacrev, dd.grad or dd.vjp."
        )
    return -(u @ (adjoint(du) @ w))


def pulled_complement(what: str, u: Any, w: Any, gw: Any) -> Any:
    """Return what a covector of such a basis says of the columns of ``u``; raise if it depends on the choice of the basis."""
    turn = np.abs(skew_part(adjoint(w) @ gw))
    scale = np.max(np.abs(gw), initial=0.0)
    n, eps = shape_of(w)[-2], np.finfo(dtype_of(turn)).eps
    if bool(np.any(np.greater(turn, 100 * n * eps * scale))):
        raise DegenerateError(
            f"{where()}: the derivative of {what} is not defined here: the function depends on which basis of the rest of the "
            "space its further vectors are. Use the thin decomposition (full_matrices=False, mode='reduced'), or the "
            "projector w @ w.T on their whole space."
        )
    return -(w @ adjoint(adjoint(u) @ gw))
