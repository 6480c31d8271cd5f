"""The sparsity pattern of a Jacobian, and the colours with which few products hold all of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from dualdiff.coloring import color_both, color_columns, color_rows
from dualdiff.errors import InputError
from dualdiff.lab.shown import called, function_name
from dualdiff.lab.trace.markup import COLORS
from dualdiff.operators.calls import Argnums
from dualdiff.ways.decisions import recorded
from dualdiff.ways.options import Options

__all__ = ["Spy", "spy"]

PUSH, PULL = "push", "pull"
Colored = tuple[Any, tuple[str, ...], int]
"""The colour of every nonzero, what is done for each colour, and how many are needed at least."""
LINES, COLUMNS = 40, 100
"""The largest pattern that is written out entry by entry."""
SYMBOLS = "0123456789abcdefghijklmnopqrstuvwxyz"
CELL = 12
"""The side of an entry in the drawing, in pixels."""


def _by_columns(pattern: Any) -> Colored:
    found = color_columns(pattern)
    return found.colors[pattern.nonzero()[1]], (PUSH,) * found.count, found.lower_bound


def _by_rows(pattern: Any) -> Colored:
    found = color_rows(pattern)
    return found.colors[pattern.nonzero()[0]], (PULL,) * found.count, found.lower_bound


def _by_both(pattern: Any) -> Colored:
    found = color_both(pattern)
    i, j = pattern.nonzero()
    from_rows, _ = found.entries(pattern)
    colors = np.where(from_rows, found.column_count + found.row_colors[i], found.column_colors[j])
    return colors, (PUSH,) * found.column_count + (PULL,) * found.row_count, 0


COLORINGS = {"columns": _by_columns, "rows": _by_rows, "both": _by_both}


@dataclass(frozen=True, slots=True, eq=False)
class Spy:
    """The structural nonzeros of a Jacobian, and a colour for each of them: the product that it is read from.

    Attributes
    ----------
    function : str
    pattern : scipy.sparse.csr_array of bool, shape (m, n)
    coloring : str
        Whether columns, rows or both were coloured.
    count : int
        How many colours, and so how many products hold the whole Jacobian.
    lower_bound : int
        No colouring of this kind has fewer colours; 0 where none is known.
    colors : ndarray of int, shape (nnz,)
        The colour of each nonzero, row by row. Of both, those of rows come after those of columns.
    names : tuple of str
        What is done for each colour: ``"push"`` or ``"pull"``.
    """

    function: str
    pattern: Any
    coloring: str
    count: int
    lower_bound: int
    colors: Any
    names: tuple[str, ...]

    @property
    def grid(self) -> Any:
        """The colour of every entry as an array of shape (m, n), -1 where the Jacobian is zero."""
        found = np.full(self.pattern.shape, -1)
        i, j = self.pattern.nonzero()
        found[i, j] = self.colors
        return found

    def _head(self) -> str:
        m, n = self.pattern.shape
        pushes, pulls = [self.names.count(name) for name in (PUSH, PULL)]
        kinds = ((pushes, "push", "pushes"), (pulls, "pull", "pulls"))
        done = " and ".join([f"{k} {one if k == 1 else many}" for k, one, many in kinds if k]) or "no product"
        bound = ""
        if self.lower_bound:
            few = self.count == self.lower_bound
            bound = ", the fewest there can be" if few else f", where {self.lower_bound} are needed at least"
        return f"{self.function}: {m} × {n}, {self.pattern.nnz} nonzeros in {done}{bound}"

    def __str__(self) -> str:
        m, n = self.pattern.shape
        if m > LINES or n > COLUMNS:
            return self._head()
        lines = ["".join(["·" if c < 0 else SYMBOLS[c % len(SYMBOLS)] for c in row]) for row in self.grid.tolist()]
        return "\n".join([self._head(), *lines])

    __repr__ = __str__

    def svg(self) -> str:
        """Return a drawing, each nonzero in the colour of the product that it is read from.

        Raises
        ------
        InputError
            If the pattern is too large to be drawn entry by entry.
        """
        m, n = self.pattern.shape
        if max(m, n) > COLUMNS:
            raise InputError(f"a pattern of {m} × {n} is too large to be drawn entry by entry; use .plot()")
        cells = []
        i, j = self.pattern.nonzero()
        for row, column, c in zip(i.tolist(), j.tolist(), self.colors.tolist()):
            told = f"[{row}, {column}]: {self.names[c]} {c}"
            cells.append(
                f'<rect x="{column * CELL}" y="{row * CELL}" width="{CELL - 1}" height="{CELL - 1}" '
                f'fill="{COLORS[c % len(COLORS)]}"><title>{told}</title></rect>'
            )
        width, height = n * CELL + 1, m * CELL + 1
        size = f'viewBox="-1 -1 {width} {height}" width="{width}" style="max-width:100%;height:auto"'
        frame = f'<rect x="-1" y="-1" width="{width}" height="{height}" fill="white" stroke="#999"/>'
        return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', frame, *cells, "</svg>"])

    def plot(self, ax: Any = None) -> Any:
        """Draw the pattern into a matplotlib axes (a new one by default) and return it.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        try:
            colors: Any = importlib.import_module("matplotlib.colors")
            figure: Any = importlib.import_module("matplotlib.figure")
        except ImportError:
            raise ImportError("Spy.plot needs matplotlib: pip install 'dualdiff[plot]'") from None
        if ax is None:
            ax = figure.Figure(layout="constrained").subplots()
        m, n = self.pattern.shape
        i, j = self.pattern.nonzero()
        side = 72 * 4.0 / max(m, n, 1)
        shades = colors.ListedColormap(COLORS)
        shade = {"c": self.colors % len(COLORS), "cmap": shades, "vmin": 0, "vmax": len(COLORS) - 1}
        ax.scatter(j, i, s=max(side, 1.0) ** 2, marker="s", **shade)
        ax.set(xlim=(-0.5, n - 0.5), ylim=(m - 0.5, -0.5), aspect="equal")
        ax.set_title(self._head(), fontsize=8)
        return ax

    def _repr_html_(self) -> str:
        head = f"<pre>{escape(self._head())}</pre>"
        return head if max(self.pattern.shape) > COLUMNS else head + f"<div>{self.svg()}</div>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}


def spy(f: Callable[..., Any], *args: Any, coloring: str = "fewest", argnums: Argnums | None = None) -> Spy:
    """Return the sparsity pattern of a Jacobian, read off one recorded run, with its colours.

    Columns of one colour share no row, so one product of the Jacobian with the sum of their unit vectors holds all their
    nonzeros side by side; and so with rows. The number of colours is the number of products that hold the whole matrix.

    Parameters
    ----------
    f : callable
        A function of NumPy code.
    *args
        The point: numbers, arrays, or nested structures of them.
    coloring : {"fewest", "columns", "rows", "both"}
        What to colour; by default the kind that takes the fewest colours, columns before rows before both.
    argnums : int, str, or sequence of them, optional
        Which arguments to differentiate; all of them by default.

    Returns
    -------
    Spy
        It prints as a grid of colours, and shows in a notebook as a drawing.

    Raises
    ------
    InputError
        If there is no such colouring, or the function works with complex numbers.

    References
    ----------
    A. H. Gebremedhin, F. Manne and A. Pothen, *What color is your Jacobian?*, SIAM Review 47 (2005),
    doi:10.1137/S0036144504444711.

    Examples
    --------
    >>> import numpy as np
    >>> print(spy(lambda x: x[1:] ** 2 - x[:-1], np.ones(6)))
    f: 5 × 6, 10 nonzeros in 2 pushes, the fewest there can be
    01····
    ·10···
    ··01··
    ···10·
    ····01
    """
    if coloring not in ("fewest", *COLORINGS):
        raise InputError(f"coloring={coloring!r} must be 'fewest', 'columns', 'rows' or 'both'")
    call = called("lab.spy", f, args, argnums)
    pattern = recorded(call.problem(), Options(sparse=True)).pattern
    kinds = COLORINGS if coloring == "fewest" else {coloring: COLORINGS[coloring]}
    found = [(kind, *color(pattern)) for kind, color in kinds.items()]
    kind, colors, names, bound = min(found, key=lambda f: len(f[2]))
    return Spy(function_name(call.f), pattern, kind, len(names), bound, colors, names)
