"""The sparsity pattern of a Jacobian, and the colours with which few products hold all of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from dualdiff.capture import asked
from dualdiff.coloring import BidirectionalColoring, color_both, color_columns, color_rows
from dualdiff.errors import InputError
from dualdiff.lab.trace.markup import COLORS
from dualdiff.operators.calls import Argnums, Call
from dualdiff.values import TRACED
from dualdiff.ways.decisions import recorded
from dualdiff.ways.options import Options

__all__ = ["Spy", "spy"]

COLORINGS: dict[str, Callable[[Any], Any]] = {"columns": color_columns, "rows": color_rows, "both": color_both}
LINES, COLUMNS = 40, 100
"""The largest pattern that is written out entry by entry."""
SYMBOLS = "0123456789abcdefghijklmnopqrstuvwxyz"
CELL = 12
"""The side of an entry in the drawing, in pixels."""


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
        pushes, pulls = self.names.count("push"), self.names.count("pull")
        done = " and ".join([f"{k} {what}" for k, what in ((pushes, "pushed"), (pulls, "pulled")) if k]) or "0"
        bound = f", and no fewer than {self.lower_bound} of this kind" if self.lower_bound else ""
        return f"{self.function}: {m} × {n}, {self.pattern.nnz} nonzeros, held by {done} instead of {min(m, n)}{bound}"

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
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 {width} {height}" width="{width}" '
                'style="max-width:100%;height:auto">',
                f'<rect x="-1" y="-1" width="{width}" height="{height}" fill="white" stroke="#999"/>',
                *cells,
                "</svg>",
            ]
        )

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
        ax.scatter(j, i, s=max(side, 1.0) ** 2, c=self.colors % len(COLORS), cmap=shades, vmin=0, vmax=len(COLORS) - 1, marker="s")  # fmt: skip
        ax.set(xlim=(-0.5, n - 0.5), ylim=(m - 0.5, -0.5), aspect="equal", title=self._head())
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
    f: 5 × 6, 10 nonzeros, held by 2 pushed instead of 5, and no fewer than 2 of this kind
    01····
    ·10···
    ··01··
    ···10·
    ····01
    """
    if coloring not in ("fewest", *COLORINGS):
        raise InputError(f"coloring={coloring!r} must be 'fewest', 'columns', 'rows' or 'both'")
    if not args:
        raise InputError("lab.spy(f, x) needs the point x")
    call = Call(asked(f, "auto"), tuple(range(len(args))) if argnums is None else argnums, args, {}, False)
    if any(type(x) in TRACED for x in call.leaves):
        raise InputError("lab.spy shows a pattern of plain numbers: call it outside of other operators")
    pattern = recorded(call.problem(), Options(sparse=True)).pattern
    kinds = COLORINGS if coloring == "fewest" else {coloring: COLORINGS[coloring]}
    found = {kind: color(pattern) for kind, color in kinds.items()}
    kind = min(found, key=lambda k: found[k].count)
    name = getattr(f, "__name__", "")
    return _spied(name if name.isidentifier() else "f", pattern, kind, found[kind])


def _spied(function: str, pattern: Any, kind: str, coloring: Any) -> Spy:
    """Put a colour to every nonzero."""
    i, j = pattern.nonzero()
    if isinstance(coloring, BidirectionalColoring):
        from_rows, _ = coloring.entries(pattern)
        colors = np.where(from_rows, coloring.column_count + coloring.row_colors[i], coloring.column_colors[j])
        names = ("push",) * coloring.column_count + ("pull",) * coloring.row_count
        return Spy(function, pattern, kind, coloring.count, 0, colors, names)
    colors = coloring.colors[j] if kind == "columns" else coloring.colors[i]
    names = ("push" if kind == "columns" else "pull",) * coloring.count
    return Spy(function, pattern, kind, coloring.count, coloring.lower_bound, colors, names)
