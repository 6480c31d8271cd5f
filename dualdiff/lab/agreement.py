"""How far two Jacobians are apart, and whether that is within what is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualdiff.lab.oracle import Oracle, sizes

__all__ = ["Agreement", "agreement", "difference"]

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """A Jacobian held against an oracle.

    Attributes
    ----------
    largest, mean : float
        The largest and the mean difference of an entry, relative to the size of the terms; entries below the oracle's own
        error bar in lines that are zero count as equal.
    infinite : int
        Entries that are not finite.
    apart : int
        Entries that are not finite on one side, or not known to the oracle, and not the same on the other.
    agrees : bool
        Whether every entry is within the tolerance.
    """

    largest: float
    mean: float
    infinite: int
    apart: int
    agrees: bool


def difference(jacobian: Array, reference: Array) -> float:
    r"""Return the largest difference of two Jacobians relative to the size of the terms.

    The terms along the longer side of a Jacobian share their unit: a column of a tall one is one parameter's effect on
    many observations, a row of a wide one is one quantity's gradient. So

    .. math:: \max_{ij} |J_{ij} - R_{ij}| \,/\, \max_{k} |R_{kj}| \quad (m \ge n),

    and with the row's largest entry for m < n. It does not change if a column of a tall one is scaled.

    Parameters
    ----------
    jacobian, reference : ndarray, shape (m, n)

    Returns
    -------
    float
        Infinite if the shapes differ, an entry of one of them alone is not finite, or a line that should be zero is not.

    Examples
    --------
    >>> difference(np.array([[1.0, 2e6], [2.0, 4e6]]), np.array([[1.0, 2e6], [2.0, 5e6]]))
    0.2
    >>> difference(np.array([[np.inf]]), np.array([[np.inf]])), difference(np.array([[1.0]]), np.array([[np.inf]]))
    (0.0, inf)
    """
    if jacobian.shape != reference.shape:
        return float("inf")
    finite = np.isfinite(jacobian) & np.isfinite(reference)
    if not (finite | _same(jacobian, reference)).all():
        return float("inf")
    return float(_relative(jacobian, reference, finite).max(initial=0.0))


def agreement(jacobian: Array, oracle: Oracle, others: Array, tolerance: float, exact: bool = True) -> Agreement:
    """Hold a Jacobian against an oracle, and where that knows nothing against another method's.

    Parameters
    ----------
    jacobian : ndarray, shape (m, n)
    oracle : Oracle
    others : ndarray, shape (m, n)
        What other methods say.
    tolerance : float
        Relative to the size of the terms; the oracle's error bar is added.
    exact : bool
        Whether it must also be what other methods say where the oracle knows nothing. Differences need not: at a kink they
        see the branches on both sides.

    Returns
    -------
    Agreement
    """
    J, known = jacobian[:, oracle.columns], oracle.known
    reference = np.where(known, oracle.matrix, others[:, oracle.columns])
    finite = np.isfinite(J) & np.isfinite(reference)
    apart = ~(finite | _same(J, reference))
    bars = np.where(known, oracle.bars, 0.0)
    relative = _relative(J, reference, finite, bars)
    allowed = tolerance * _finite_sizes(reference, finite) + bars
    within = np.abs(np.where(finite, J, 0) - np.where(finite, reference, 0)) <= allowed
    judged = relative[known & finite]
    wrong = apart & known
    return Agreement(
        largest=float("inf") if wrong.any() else float(judged.max(initial=0.0)),
        mean=float(judged.mean()) if judged.size else 0.0,
        infinite=int(np.sum(~np.isfinite(jacobian))),
        apart=int(np.sum(apart | (~known & ~within))),
        agrees=bool((within & ~apart)[known | exact].all()),
    )


def _same(a: Array, b: Array) -> Any:
    """Whether entries are equal, or not a number in both."""
    return (a == b) | (np.isnan(a) & np.isnan(b))


def _finite_sizes(reference: Array, finite: Any) -> Array:
    return sizes(np.where(finite, reference, 0))


def _relative(jacobian: Array, reference: Array, finite: Any, bars: Any = 0.0) -> Array:
    gap = np.abs(np.where(finite, jacobian, 0) - np.where(finite, reference, 0))
    size = _finite_sizes(reference, finite)
    return np.divide(gap, size, out=np.where(gap > bars, np.inf, 0.0).astype(gap.dtype), where=size > bars)
