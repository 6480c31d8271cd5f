"""What a problem of the zoo is: a function, a point, and what is known of the Jacobian there.

Functions are plain NumPy and know nothing of derivatives. They are module-level functions, with their data bound by
`functools.partial`, so that a case can be sent to another process.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array, csr_array

__all__ = ["Array", "Case", "Pattern", "banded", "block_diagonal_pattern", "dense", "entries", "fixed"]

Array = NDArray[np.float64]
Pattern = Callable[[], csr_array]


# Arrays have no single truth value, so two cases are equal only if they are the same one.
@dataclass(frozen=True, slots=True, eq=False)
class Case:
    r"""A function :math:`f: \mathbb{R}^n \to \mathbb{R}^m` whose Jacobian is wanted at a point.

    Attributes
    ----------
    name : str
        Lower-case words and sizes joined by hyphens, such as ``"broyden-tridiagonal-1000"``.
    title : str
        What is computed, in a few words.
    source : str
        Where the problem comes from.
    function : callable
        ``function(x)``, plain NumPy: x of shape (n,); the result has shape (m,), or () for a scalar.
    point : ndarray, shape (n,)
        Where the Jacobian is asked for; generic, so that no entry vanishes by accident. Read-only.
    jacobian : callable or None
        ``jacobian(x)``, by hand: a dense array of shape (m, n). It allocates all of it: look at the sizes first.
    pattern : callable or None
        ``pattern()``, the entries that are not zero whatever x is, as a boolean sparse array of shape (m, n).
    """

    name: str
    title: str
    source: str
    function: Callable[[Array], Array | float]
    point: Array
    jacobian: Callable[[Array], Array] | None = None
    pattern: Pattern | None = None

    @property
    def inputs(self) -> int:
        """The number of independent variables, n."""
        return self.point.size

    @property
    def outputs(self) -> int:
        """The number of dependent variables, m. Found by one evaluation."""
        return int(np.size(self.function(self.point)))


def fixed(values: ArrayLike) -> Array:
    """Return a copy that nobody can write to: a case is the same for all who use it.

    Parameters
    ----------
    values : array_like

    Returns
    -------
    ndarray

    Examples
    --------
    >>> fixed([1, 2]).flags.writeable
    False
    """
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array


def entries(rows: ArrayLike, columns: ArrayLike, shape: tuple[int, int]) -> csr_array:
    """Return the pattern with the given entries; rows and columns are broadcast, and may repeat.

    Parameters
    ----------
    rows, columns : array_like of int
    shape : tuple of int

    Returns
    -------
    scipy.sparse.csr_array of bool

    Examples
    --------
    >>> entries([0, 1], [[0], [2]], (2, 3)).toarray().astype(int)
    array([[1, 0, 1],
           [1, 0, 1]])
    """
    i, j = np.broadcast_arrays(rows, columns)
    return csr_array(coo_array((np.ones(i.size, dtype=bool), (i.ravel(), j.ravel())), shape=shape))


def banded(n: int, offsets: tuple[int, ...], *, periodic: bool = False) -> csr_array:
    """Return the pattern of n equations, each in the variables at the given offsets from it.

    Parameters
    ----------
    n : int
    offsets : tuple of int
    periodic : bool
        Whether an offset that leaves at one end comes back at the other; otherwise the entry is absent.

    Returns
    -------
    scipy.sparse.csr_array of bool, shape (n, n)

    Examples
    --------
    >>> banded(3, (0, 1)).toarray().astype(int)
    array([[1, 1, 0],
           [0, 1, 1],
           [0, 0, 1]])
    """
    rows = np.arange(n)[:, np.newaxis]
    columns = rows + np.array(offsets)
    if periodic:
        return entries(rows, columns % n, (n, n))
    inside = (columns >= 0) & (columns < n)
    return entries(np.broadcast_to(rows, columns.shape)[inside], columns[inside], (n, n))


def block_diagonal_pattern(blocks: int, rows: int, columns: int) -> csr_array:
    """Return the pattern of full blocks along the diagonal.

    Parameters
    ----------
    blocks : int
        How many.
    rows, columns : int
        The shape of each.

    Returns
    -------
    scipy.sparse.csr_array of bool, shape (blocks * rows, blocks * columns)

    Examples
    --------
    >>> block_diagonal_pattern(2, 1, 2).toarray().astype(int)
    array([[1, 1, 0, 0],
           [0, 0, 1, 1]])
    """
    block = np.arange(blocks)[:, np.newaxis, np.newaxis]
    i, j = np.arange(rows)[:, np.newaxis], np.arange(columns)
    return entries(block * rows + i, block * columns + j, (blocks * rows, blocks * columns))


def dense(m: int, n: int) -> csr_array:
    """Return the pattern without zeros.

    Parameters
    ----------
    m, n : int

    Returns
    -------
    scipy.sparse.csr_array of bool, shape (m, n)
    """
    return csr_array(np.ones((m, n), dtype=bool))
