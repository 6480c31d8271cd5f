"""What the rules of linear algebra say of matrices: adjoint, product, diagonal."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.kinds import Shape
from dualdiff.rules.letters import conj
from dualdiff.shapes import shape_of, size_of


def adjoint(x: Any) -> Any:
    """Return the conjugate transpose of the last two axes."""
    return conj(np.swapaxes(x, -1, -2))


def product(a: Any, b: Any) -> Any:
    """Return ``a @ b``; a stack of matrices times one matrix is one product."""
    sa, sb = shape_of(a), shape_of(b)
    if len(sa) > 2 and len(sb) == 2:
        return np.reshape(np.reshape(a, (size_of(sa[:-1]), sa[-1])) @ b, (*sa[:-1], sb[-1]))
    return a @ b


def check_square(shape: Shape) -> None:
    """Raise NumPy's error unless the last two axes are of one length."""
    if len(shape) < 2:
        raise np.linalg.LinAlgError(f"{len(shape)}-dimensional array given. Array must be at least two-dimensional")
    if shape[-1] != shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")


quiet = np.errstate(divide="ignore", invalid="ignore")
"""Factors are infinite where values coincide or vanish; the derivative itself shows whether that matters."""


def diagonal_of(p: Any) -> Any:
    """Return the diagonals of a stack of matrices."""
    return np.diagonal(p, axis1=-2, axis2=-1)


def as_diagonal(w: Any) -> Any:
    """Return the diagonal matrices of a stack of vectors."""
    return w[..., None, :] * np.eye(shape_of(w)[-1], dtype=bool)
