"""How noisy a function is, read from a table of differences."""

from __future__ import annotations

from functools import cache
from math import factorial
from typing import Any

import numpy as np
from scipy.linalg import block_diag

__all__ = ["noise_of"]

LEVEL = 10.0
"""Levels within this factor are level."""


def noise_of(values: Any) -> Any:
    r"""Estimate the standard deviation of the noise in equally spaced values, entry by entry.

    A difference of order ``k`` takes a polynomial of lower degree away and keeps noise, multiplied by
    :math:`\binom{2k}{k}^{1/2}`. So the levels

    .. math:: \sigma_k = \binom{2k}{k}^{-1/2} \Bigl(\frac{1}{n-k} \sum_i (\Delta^k f_i)^2\Bigr)^{1/2}

    fall fast with ``k`` as long as they show the smooth part, and stay level when only noise is left. The largest is taken from the
    order on after which they stay level within a factor of ten, and of the last three at least: nine values know their noise
    only roughly, and a level that is small by accident would make an error bar that is too short.

    Parameters
    ----------
    values : array of shape (n, ...)
        Values of a function at equally spaced points, along the first axis; at least four.

    Returns
    -------
    array of shape (...)

    References
    ----------
    Moré & Wild, "Estimating computational noise", SIAM Journal on Scientific Computing 33 (2011), doi:10.1137/100786125.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(9) / 256
    >>> float(noise_of(np.exp(t))) < 1e-15
    True
    >>> rough = np.exp(t) + 1e-6 * np.random.default_rng(0).standard_normal(9)
    >>> 1e-7 < float(noise_of(rough)) < 1e-5
    True
    """
    table = np.asarray(values)
    size = np.max(np.abs(table), axis=0, initial=0.0)
    size = np.where(np.isfinite(size) & (size > 0), size, 1.0)
    differences, shares = _table(len(table))
    # Less the middle value, so that nothing is rounded; by the size, so that no square over- or underflows.
    flat = ((table - table[len(table) // 2]) / size).reshape(len(table), size.size)
    level = np.sqrt(shares @ np.square(np.abs(differences @ flat))).reshape(len(table) - 1, *table.shape[1:])
    found = np.max(level[-3:], axis=0)
    falls = np.zeros(found.shape, bool)
    for k in range(len(level) - 4, 0, -1):
        falls |= ~(level[k] <= LEVEL * found)
        found = np.where(falls, found, np.maximum(found, level[k]))
    return found * size


@cache
def _table(n: int) -> tuple[Any, Any]:
    """Return the differences of all orders of ``n`` values as a matrix, and what their squares count for in each level."""
    rows, shares, step = [], [], np.eye(n)
    for k in range(1, n):
        step = step[1:] - step[:-1]
        rows.append(step)
        shares.append(np.full(len(step), factorial(k) ** 2 / factorial(2 * k) / len(step)))
    return np.concatenate(rows), block_diag(*shares)
