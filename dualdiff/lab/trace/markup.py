"""The tables of a trace as HTML and as LaTeX."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from dualdiff.lab.trace.sheets import Sheet, sheets

if TYPE_CHECKING:
    from dualdiff.lab.trace.steps import Trace

__all__ = ["COLORS", "html", "latex", "table"]

COLORS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999")
"""Colours that people who see fewer can tell apart (Okabe & Ito 2008), for the first directions and again for further ones."""

_SUBSCRIPT = re.compile(r"\b([a-z])_?(\d+|(?<=e_)[ij])\b")
_CELL = "text-align:left;padding:0.15em 0.7em;white-space:nowrap"
_RULE = "border-bottom:1px solid currentColor"


def html(trace: Trace) -> str:
    """Return all tables of a trace as one block of HTML, seeds and results in the colour of their line of the Jacobian."""
    tables = "".join(table(sheet, trace.labels) for sheet in sheets(trace))
    return f'<div class="dualdiff-trace"><p>{escape(trace.title)}</p>{tables}</div>'


def table(sheet: Sheet, labels: frozenset[str]) -> str:
    """Return one table as HTML without a style sheet: it inherits font and colours, in light and in dark."""
    head = "".join(f'<th style="{_CELL};{_RULE}">{_html(c.heading, "label", labels)}</th>' for c in sheet.columns)
    body = ""
    for row in sheet.rows:
        cells = ""
        for n, (cell, column) in enumerate(zip(row.texts, sheet.columns, strict=True)):
            shade = f";background-color:{COLORS[row.marks[n] % len(COLORS)]}66" if n in row.marks else ""
            cells += f'<td style="{_CELL}{shade}">{_html(cell, column.kind, labels)}</td>'
        title = f' title="{escape(row.line, quote=True)}"' if row.line else ""
        body += f"<tr{title}>{cells}</tr>"
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:0.5em 0">'
        f'<caption style="text-align:left;white-space:nowrap;padding:0.3em 0">{_html(sheet.title, "label", labels)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _html(cell: str, kind: str, labels: frozenset[str]) -> str:
    written = _SUBSCRIPT.sub(
        lambda m: f"{m[1]}<sub>{m[2]}</sub>" if _is_label(m, labels) else m[0], escape(cell, quote=False)
    )
    return f"<code>{written}</code>" if kind == "code" and cell else written


def _is_label(m: re.Match[str], labels: frozenset[str]) -> bool:
    """Whether a letter with a number is a step's label or a unit vector, not a name of the user's."""
    return m[0] in labels or m[0].startswith("e_")


def latex(trace: Trace) -> str:
    r"""Return all tables of a trace as displayed LaTeX arrays, for a paper as well as for MathJax and KaTeX."""
    return "\n\n".join(_array(sheet, trace.labels) for sheet in sheets(trace))


def _array(sheet: Sheet, labels: frozenset[str]) -> str:
    lines = [" & ".join(_math(c.heading, "label", labels) for c in sheet.columns) + r" \\ \hline"]
    for row in sheet.rows:
        cells = [_math(cell, c.kind, labels) for c, cell in zip(sheet.columns, row.texts, strict=True)]
        lines.append(" & ".join(rf"\boxed{{{c}}}" if n in row.marks else c for n, c in enumerate(cells)) + r" \\")
    return "\n".join(
        (
            r"\[\begin{array}{l}",
            _math(sheet.title, "label", labels) + r" \\[1ex]",
            rf"\begin{{array}}{{{'l' * len(sheet.columns)}}}",
            *lines,
            r"\end{array}\end{array}\]",
        )
    )


def _math(cell: str, kind: str, labels: frozenset[str]) -> str:
    """Write a cell as mathematics: labels with their subscripts, names and words upright."""
    if kind == "number":
        return _escaped(cell).replace("nan", r"\mathrm{nan}").replace("inf", r"\infty")
    found, at = "", 0
    for m in _SUBSCRIPT.finditer(cell):
        if _is_label(m, labels):
            found += f"{_plain(cell[at : m.start()], kind)}{m[1]}_{{{m[2]}}}"
            at = m.end()
    return found + _plain(cell[at:], kind)


def _plain(piece: str, kind: str) -> str:
    if not re.search(r"[A-Za-z]", piece):
        return _escaped(piece)
    upright = re.sub(r"[.,:*]", r"{\g<0>}", _escaped(piece))  # in braces no spaces are put around a sign
    return rf"\mathtt{{{upright}}}" if kind == "code" else rf"\mathrm{{{upright}}}"


_SPECIAL = {
    "\\": r"\backslash ",
    "{": r"\{",
    "}": r"\}",
    "…": r"\ldots ",
    "⋮": r"\vdots ",
    **{c: rf"\{c}" for c in "_%#&$"},
}


def _escaped(plain: str) -> str:
    """Escape what LaTeX reads as its own; a blank between numbers is kept."""
    return "".join(_SPECIAL.get(c, c) for c in plain).replace(" ", r"\ ")
