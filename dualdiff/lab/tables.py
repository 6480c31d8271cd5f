"""Tables of text, for a terminal, a notebook, a paper: one table, many ways to write it down."""

from __future__ import annotations

import csv
import html
import importlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

try:
    import rich.console
    import rich.table
    import rich.text
except ImportError:
    rich = None  # type: ignore[assignment]

__all__ = ["Table", "Tabular", "as_html", "as_latex", "as_markdown", "drawn", "plain", "show"]


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of text under headings.

    Attributes
    ----------
    title : str
    columns : tuple of str
        The headings. The first column names its row and is aligned to the left, the others to the right.
    rows : tuple of tuple of str
    notes : tuple of str
        Sentences that stand below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


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
    return "\n".join([table.title, *(_line(cells, widths) for cells in lines), *table.notes])


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]).rstrip()


def drawn(table: Table) -> Any:
    """Return the table as one of rich's.

    Raises
    ------
    ImportError
        If rich is not installed.
    """
    if rich is None:
        raise ImportError("drawn tables need rich: pip install 'dualdiff[cli]'")
    first, *rest = table.columns
    # Text, not str: rich would take a bracket in a cell for markup.
    caption = rich.text.Text("\n".join(table.notes)) if table.notes else None
    found = rich.table.Table(
        title=rich.text.Text(table.title), title_justify="left", caption=caption, caption_justify="left"
    )
    found.add_column(first)
    for heading in rest:
        found.add_column(heading, justify="right")
    for row in table.rows:
        found.add_row(*map(rich.text.Text, row))
    return found


def show(table: Table, stream: TextIO) -> None:
    """Write the table to a stream: with rich to a terminal if it is installed, else as aligned text."""
    # What goes to a file or a pipe is read by programs and by people with other widths: no frames, no colours.
    if rich is None or not stream.isatty():
        print(plain(table), file=stream)
        return
    rich.console.Console(file=stream).print(drawn(table))


def as_markdown(table: Table) -> str:
    r"""Return the table as Markdown has it.

    Examples
    --------
    >>> print(as_markdown(Table("Areas", ("shape", "area"), (("a|b", "1.00"),))))
    **Areas**
    <BLANKLINE>
    | shape | area |
    | :-- | --: |
    | a\|b | 1.00 |
    """

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join([cell.replace("|", "\\|") for cell in cells]) + " |"

    ruler = [":--", *["--:"] * (len(table.columns) - 1)]
    lines = [f"**{table.title}**", "", line(table.columns), line(ruler), *map(line, table.rows)]
    return "\n".join([*lines, *[part for note in table.notes for part in ("", note)]])


_SPECIAL = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "µ": r"\textmu{}",
    "×": r"$\times$",
}


def as_latex(table: Table) -> str:
    r"""Return the table as LaTeX, with the rules of the package booktabs.

    Examples
    --------
    >>> print(as_latex(Table("Areas", ("shape", "area"), (("50 %", "1.00"),))))
    % Areas
    \begin{tabular}{lr}
    \toprule
    shape & area \\
    \midrule
    50 \% & 1.00 \\
    \bottomrule
    \end{tabular}
    """

    def line(cells: Sequence[str]) -> str:
        return " & ".join(["".join([_SPECIAL.get(c, c) for c in cell]) for cell in cells]) + r" \\"

    head = [f"% {table.title}", r"\begin{tabular}{l" + "r" * (len(table.columns) - 1) + "}", r"\toprule"]
    foot = [r"\bottomrule", r"\end{tabular}", *[f"% {note}" for note in table.notes]]
    return "\n".join([*head, line(table.columns), r"\midrule", *map(line, table.rows), *foot])


def as_html(table: Table) -> str:
    """Return the table as HTML.

    Examples
    --------
    >>> as_html(Table("Areas", ("shape", "area"), (("a<b", "1.00"),)))
    '<table><caption>Areas</caption><thead><tr><th>shape</th><th>area</th></tr></thead><tbody><tr><th
    scope="row">a&lt;b</th><td>1.00</td></tr></tbody></table>'
    """
    head = "".join([f"<th>{html.escape(cell)}</th>" for cell in table.columns])
    rows = [
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join([f"<td>{html.escape(cell)}</td>" for cell in row[1:]])
        + "</tr>"
        for row in table.rows
    ]
    notes = "".join([f"<p>{html.escape(note)}</p>" for note in table.notes])
    return (
        f"<table><caption>{html.escape(table.title)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{notes}"
    )


class Tabular:
    """What prints as tables and is written out in many forms: everything that the lab returns.

    A subclass says its ``tables`` (text, for people) and its ``records`` (one mapping a row, of plain numbers and strings, for
    programs), and ``document`` where there is more to say than rows.
    """

    __slots__ = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that are printed."""
        raise NotImplementedError

    def records(self) -> list[dict[str, Any]]:
        """Return one mapping a row: plain numbers, strings and None."""
        raise NotImplementedError

    def document(self) -> dict[str, Any]:
        """Return all that is known as plain mappings, lists, numbers and strings, as JSON has them."""
        return {"rows": self.records()}

    def __str__(self) -> str:
        return "\n\n".join(map(plain, self.tables))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return "\n".join(map(as_html, self.tables))

    def __rich__(self) -> Any:
        from rich.console import Group

        return Group(*map(drawn, self.tables))

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Return the tables as Markdown; write them to a file if a path is given."""
        return _kept("\n\n".join(map(as_markdown, self.tables)), path)

    def to_latex(self, path: str | Path | None = None) -> str:
        """Return the tables as LaTeX (the package booktabs is needed); write them to a file if a path is given."""
        return _kept("\n\n".join(map(as_latex, self.tables)), path)

    def to_html(self, path: str | Path | None = None) -> str:
        """Return the tables as HTML; write them to a file if a path is given."""
        return _kept(self._repr_html_(), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return the rows as comma-separated values, with numbers in full; write them to a file if a path is given."""
        rows = self.records()
        stream = io.StringIO()
        writer = csv.DictWriter(
            stream, list(dict.fromkeys([name for row in rows for name in row])), lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)
        return _kept(stream.getvalue(), path)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return everything as a JSON document (what is not finite is null); write it to a file if a path is given."""
        return _kept(json.dumps(finite(self.document()), indent=2, allow_nan=False), path)

    def to_dataframe(self) -> Any:
        """Return the rows as a pandas DataFrame.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            pandas: Any = importlib.import_module("pandas")
        except ImportError as error:
            raise ImportError("to_dataframe needs pandas: pip install 'dualdiff[lab]'") from error
        return pandas.DataFrame.from_records(self.records())


def finite(value: Any) -> Any:
    """Return plain data with None for every number that is not finite: JSON has no name for it."""
    if isinstance(value, Mapping):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if isinstance(value, float):
        return float(value) if abs(value) < float("inf") else None
    return value


def _kept(text: str, path: str | Path | None) -> str:
    if path is not None:
        Path(path).write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
    return text


def said_seconds(seconds: float) -> str:
    """Return a time with its unit, to three digits.

    Examples
    --------
    >>> said_seconds(0.0123456), said_seconds(2e-6), said_seconds(12.0)
    ('12.3 ms', '2 µs', '12 s')
    """
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def said_ratio(value: float) -> str:
    """Return a ratio to two or three digits, without an exponent.

    Examples
    --------
    >>> said_ratio(0.123), said_ratio(12.34), said_ratio(1234.5)
    ('0.12', '12.3', '1234')
    """
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
