"""Tables for a terminal: drawn by rich where it is installed, aligned text everywhere else."""

from dataclasses import dataclass
from typing import TextIO

try:
    import rich.console
    import rich.table
    import rich.text
except ImportError:
    rich = None  # type: ignore[assignment]

__all__ = ["Table", "plain", "show"]


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of text under headings.

    Attributes
    ----------
    title : str
    columns : tuple of str
        The headings. The first column names its row and is aligned to the left, the others to the right.
    rows : tuple of tuple of str
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def plain(table: Table) -> str:
    """Return the table as aligned text.

    Examples
    --------
    >>> print(plain(Table("Areas", ("shape", "area"), (("square", "1.00"), ("circle", "0.79")))))
    Areas
    shape   area
    ------  ----
    square  1.00
    circle  0.79
    """
    widths = [max(map(len, cells)) for cells in zip(table.columns, *table.rows, strict=True)]
    lines = [table.columns, tuple("-" * width for width in widths), *table.rows]
    return "\n".join([table.title, *(_line(cells, widths) for cells in lines)])


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]).rstrip()


def show(table: Table, stream: TextIO) -> None:
    """Write the table to a stream: with rich to a terminal if it is installed, else as aligned text."""
    # What goes to a file or a pipe is read by programs and by people with other widths: no frames, no colours.
    if rich is None or not stream.isatty():
        print(plain(table), file=stream)
        return
    first, *rest = table.columns
    drawn = rich.table.Table(title=table.title, title_justify="left")
    drawn.add_column(first)
    for heading in rest:
        drawn.add_column(heading, justify="right")
    for row in table.rows:
        # Text, not str: rich would take a bracket in a cell for markup.
        drawn.add_row(*map(rich.text.Text, row))
    rich.console.Console(file=stream).print(drawn)
