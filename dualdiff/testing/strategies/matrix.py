"""Matrices with the structure that factorisations and solvers ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dualdiff.errors import InputError
from dualdiff.testing.strategies.entries import Draw, Entries, entries_of
from dualdiff.testing.strategies.grid import lengths

Make = Callable[[Draw, Entries, int, int], Any]


def _any(draw: Draw, entries: Entries, m: int, n: int) -> Any:
    return np.array(entries.several(draw, m * n)).reshape(m, n)


def _symmetric(draw: Draw, entries: Entries, n: int, _n: int) -> Any:
    A = np.zeros((n, n))
    A[np.tril_indices(n)] = entries.several(draw, n * (n + 1) // 2)
    return A + np.tril(A, -1).T


def _triangular(draw: Draw, entries: Entries, n: int, _n: int) -> Any:
    return np.tril(_dominant(draw, entries, n, n, signs=True))


def _margins(draw: Draw, n: int) -> Any:
    """Draw by how much each diagonal entry exceeds the sum of its row."""
    return np.array([draw(st.integers(1, 4)) for _ in range(n)], dtype=float)


def _signs(draw: Draw, n: int) -> Any:
    return np.array([draw(st.sampled_from([1.0, -1.0])) for _ in range(n)])


def _dominant(draw: Draw, entries: Entries, n: int, _n: int, signs: bool) -> Any:
    A = _any(draw, entries, n, n)
    np.fill_diagonal(A, 0.0)
    off = np.maximum(np.sum(abs(A), axis=0), np.sum(abs(A), axis=1))
    np.fill_diagonal(A, (_signs(draw, n) if signs else 1.0) * (off + _margins(draw, n)))
    return A


def _nonsingular(draw: Draw, entries: Entries, n: int, _n: int) -> Any:
    return _dominant(draw, entries, n, n, signs=True)[list(draw(st.permutations(range(n))))]


def _definite(draw: Draw, entries: Entries, n: int, _n: int) -> Any:
    A = _symmetric(draw, entries, n, n)
    np.fill_diagonal(A, 0.0)
    np.fill_diagonal(A, np.sum(abs(A), axis=1) + _margins(draw, n))
    return A


def _separated(draw: Draw, entries: Entries, n: int, _n: int) -> Any:
    A = _symmetric(draw, entries, n, n)
    np.fill_diagonal(A, 0.0)
    # A power of two, so that the entries stay on a grid; the discs of Gershgorin then have radii below a quarter.
    largest = np.max(np.sum(abs(A), axis=1), initial=0.0)
    A *= 2.0 ** -np.ceil(np.log2(max(4.0 * largest, 1.0)))
    order = np.array(draw(st.permutations(range(n))), dtype=float)
    np.fill_diagonal(A, order - n // 2)
    return A


def _full_rank(draw: Draw, entries: Entries, m: int, n: int) -> Any:
    A = _any(draw, entries, m, n)
    k = min(m, n)
    A[:k, :k] = _dominant(draw, entries, k, k, signs=True)
    return A[list(draw(st.permutations(range(m))))]


def _orthogonal(draw: Draw, entries: Entries, n: int, _n: int) -> Any:
    Q = np.diag(_signs(draw, n))[list(draw(st.permutations(range(n))))]
    for _ in range(2):
        v = np.array(entries.several(draw, n))
        if v.any():
            Q = Q - 2 * np.outer(v, v @ Q) / (v @ v)
    return Q


KINDS: dict[str, tuple[Make, bool]] = {
    "any": (_any, False),
    "full rank": (_full_rank, False),
    "nonsingular": (_nonsingular, True),
    "triangular": (_triangular, True),
    "symmetric": (_symmetric, True),
    "positive definite": (_definite, True),
    "distinct eigenvalues": (_separated, True),
    "orthogonal": (_orthogonal, True),
}
"""Kinds of matrices: what draws one, and whether it is square."""


def matrices(
    m: int | tuple[int, int] | st.SearchStrategy[int] = (1, 5),
    n: int | tuple[int, int] | st.SearchStrategy[int] | None = None,
    dtype: Any = float,
    *,
    kind: str = "any",
    domain: Any = "real",
    scale: float = 2.0,
    bits: int = 2,
) -> st.SearchStrategy[Any]:
    r"""Matrices, of any kind or of one that a factorisation asks for, with small condition numbers.

    "nonsingular", "triangular" (lower) and "positive definite" ones have a diagonal that exceeds the moduli of its row
    by at least one, :math:`|a_{ii}| \ge 1 + \sum_{j \ne i} |a_{ij}|`, so that :math:`\|A^{-1}\|_\infty \le 1`;
    "nonsingular" ones have their rows shuffled. "full rank" ones contain such a matrix. The eigenvalues of the symmetric
    ones with "distinct eigenvalues" lie at least a half apart, by Gershgorin's theorem. "orthogonal" ones are products
    of reflections, orthogonal to rounding; all others lie on the grid exactly.

    Parameters
    ----------
    m, n : int, (least, greatest), or a strategy of int
        Rows and columns. Square kinds take ``m`` alone; for the others ``n`` is drawn from 1 to 5 where it is left out.
    dtype : dtype
        A real floating dtype.
    kind : str
        A name of :data:`KINDS`.
    domain, scale, bits
        As of :func:`scalars`, for the entries (of structured matrices: off the diagonal).

    Returns
    -------
    hypothesis.strategies.SearchStrategy

    Raises
    ------
    InputError
        If there is no such kind, or ``n`` is given for a square one.

    References
    ----------
    Varah, "A lower bound for the smallest singular value of a matrix", Linear Algebra and its Applications 11 (1975),
    doi:10.1016/0024-3795(75)90112-3.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given
    >>> @given(matrices(3, kind="positive definite"))
    ... def test(A):
    ...     assert np.array_equal(A, A.T) and np.min(np.linalg.eigvalsh(A)) > 0.9
    >>> test()
    """
    if kind not in KINDS:
        raise InputError(f"there is no kind of matrix {kind!r}; there are {', '.join(KINDS)}")
    make, square = KINDS[kind]
    if square and n is not None:
        raise InputError(f"a matrix of kind {kind!r} is square: give its size alone, matrices({m!r}, kind={kind!r})")
    entries, dt = entries_of(domain, scale, bits, (), dtype)
    if dt.kind != "f":
        raise InputError(f"matrices are of real floating dtypes, not {dt}; arrays((m, n), dtype) draws the others")
    rows, columns = lengths(m), lengths((1, 5) if n is None else n)

    @st.composite
    def matrix(draw: Draw) -> Any:
        k = draw(rows)
        return make(draw, entries, k, k if square else draw(columns)).astype(dt)

    return matrix()
