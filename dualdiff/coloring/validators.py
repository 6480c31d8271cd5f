"""Slow checks of colourings, word by word from the definitions: for tests and for doubters.

They share no code with the algorithms. A pattern is made dense, and the definition is asked of every pair, path or cycle.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

__all__ = [
    "is_valid_acyclic",
    "is_valid_bidirectional",
    "is_valid_column_coloring",
    "is_valid_row_coloring",
    "is_valid_star",
]


def _dense(pattern: Any) -> list[list[bool]]:
    """The structure as nested lists; explicit zeros are part of it."""
    coo = pattern.tocoo()
    out = [[False] * coo.shape[1] for _ in range(coo.shape[0])]
    for i, j in zip(coo.row.tolist(), coo.col.tolist(), strict=True):
        out[i][j] = True
    return out


def _colors(coloring: Any) -> list[int]:
    return np.asarray(getattr(coloring, "colors", coloring)).tolist()


def is_valid_column_coloring(pattern: Any, coloring: Any) -> bool:
    """Whether no row has nonzeros in two columns of one colour, and every column with nonzeros has a colour.

    Parameters
    ----------
    pattern : sparse array, shape (m, n)
    coloring : Coloring or array_like of int, shape (n,)

    References
    ----------
    Curtis, Powell & Reid (1974), doi:10.1093/imamat/13.1.117.

    Examples
    --------
    >>> from scipy.sparse import eye_array
    >>> is_valid_column_coloring(eye_array(3), [0, 0, 0])
    True
    """
    rows, colors = _dense(pattern), _colors(coloring)
    if len(colors) != pattern.shape[1]:
        return False
    for row in rows:
        seen = [colors[j] for j in range(len(colors)) if row[j]]
        if any(c < 0 for c in seen) or len(set(seen)) < len(seen):
            return False
    return True


def is_valid_row_coloring(pattern: Any, coloring: Any) -> bool:
    """Whether no column has nonzeros in two rows of one colour, and every row with nonzeros has a colour.

    Parameters
    ----------
    pattern : sparse array, shape (m, n)
    coloring : Coloring or array_like of int, shape (m,)

    References
    ----------
    Curtis, Powell & Reid (1974), doi:10.1093/imamat/13.1.117.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> is_valid_row_coloring(csr_array(np.ones((2, 1))), [0, 0])
    False
    """
    return is_valid_column_coloring(pattern.T, coloring)


def is_valid_bidirectional(pattern: Any, row_colors: Any, column_colors: Any) -> bool:
    """Whether every nonzero stands alone: in its row among the columns of its colour, or in its column among the rows.

    Parameters
    ----------
    pattern : sparse array, shape (m, n)
    row_colors, column_colors : array_like of int, shapes (m,) and (n,)
        -1 where a row or column is in no group.

    References
    ----------
    Coleman & Verma (1998), doi:10.1137/S1064827595295325.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> is_valid_bidirectional(csr_array(np.array([[1, 1, 1], [1, 0, 0]])), [0, -1], [0, -1, -1])
    True
    """
    a, of_row, of_column = _dense(pattern), _colors(row_colors), _colors(column_colors)
    m, n = pattern.shape
    if (len(of_row), len(of_column)) != (m, n):
        return False
    for i in range(m):
        for j in range(n):
            if a[i][j]:
                by_column = of_column[j] >= 0 and sum(a[i][k] and of_column[k] == of_column[j] for k in range(n)) == 1
                by_row = of_row[i] >= 0 and sum(a[k][j] and of_row[k] == of_row[i] for k in range(m)) == 1
                if not (by_column or by_row):
                    return False
    return True


def _proper(a: list[list[bool]], colors: list[int]) -> bool:
    """Whether all vertices are coloured, and neighbours differently."""
    n = len(a)
    return (
        len(colors) == n
        and all(c >= 0 for c in colors)
        and all(not a[i][j] or colors[i] != colors[j] for i, j in combinations(range(n), 2))
    )


def is_valid_star(pattern: Any, coloring: Any) -> bool:
    """Whether neighbours differ in colour, and no path on four vertices has two colours only.

    Parameters
    ----------
    pattern : sparse array, shape (n, n)
        Structurally symmetric.
    coloring : Coloring or array_like of int, shape (n,)

    References
    ----------
    Coleman & Moré (1984), doi:10.1007/BF02612334.

    Examples
    --------
    >>> from scipy.sparse import diags_array
    >>> path = diags_array([1.0, 1.0], offsets=[-1, 1], shape=(4, 4))
    >>> is_valid_star(path, [0, 1, 0, 1]), is_valid_star(path, [0, 1, 0, 2])
    (False, True)
    """
    a, colors = _dense(pattern), _colors(coloring)
    if not _proper(a, colors):
        return False
    near = [[j for j in range(len(a)) if a[i][j] and j != i] for i in range(len(a))]
    for v in range(len(a)):
        for w in near[v]:
            for x in near[w]:
                for y in near[x]:
                    if len({v, w, x, y}) == 4 and len({colors[v], colors[w], colors[x], colors[y]}) == 2:
                        return False
    return True


def is_valid_acyclic(pattern: Any, coloring: Any) -> bool:
    """Whether neighbours differ in colour, and no cycle has two colours only.

    Parameters
    ----------
    pattern : sparse array, shape (n, n)
        Structurally symmetric.
    coloring : Coloring or array_like of int, shape (n,)

    References
    ----------
    Coleman & Cai (1986), doi:10.1137/0607026.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> square = csr_array(np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]))
    >>> is_valid_acyclic(square, [0, 1, 0, 1]), is_valid_acyclic(square, [0, 1, 0, 2])
    (False, True)
    """
    a, colors = _dense(pattern), _colors(coloring)
    if not _proper(a, colors):
        return False
    for pair in combinations(set(colors), 2):
        alive = {v for v in range(len(a)) if colors[v] in pair}
        # A graph is a forest if taking away vertices with at most one neighbour, again and again, leaves nothing.
        while ends := {v for v in alive if sum(a[v][w] for w in alive if w != v) <= 1}:
            alive -= ends
        if alive:
            return False
    return True
