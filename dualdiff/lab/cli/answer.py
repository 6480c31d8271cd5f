"""What a command found, and how it is handed over: as tables, as JSON, as a picture, as a page."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from dualdiff.lab.cli.target import Misuse
from dualdiff.lab.conditions import conditions
from dualdiff.lab.tables import Table, as_html, finite, show

__all__ = ["AGREE", "DISAGREE", "MISUSE", "UNDECIDED", "Answer", "Command", "add_forms", "answered", "positive"]

AGREE, DISAGREE, MISUSE, UNDECIDED = 0, 1, 2, 3
"""The exit statuses."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command.

    Attributes
    ----------
    name : str
    line : str
        What it does, for the help.
    add : callable
        Adds its arguments to a parser.
    run : callable
        Runs it on the parsed arguments, and returns the exit status.
    """

    name: str
    line: str
    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found.

    Attributes
    ----------
    title : str
        What it is about.
    status : int
        The exit status.
    document : dict
        All of it as JSON has it.
    parts : sequence of Table or str
        What is printed.
    html : str
        What stands on the page; the parts by default.
    figure : callable or None
        Draws the picture, as a figure of Matplotlib.
    complaint : str
        What goes to the standard error beside it.
    """

    title: str
    status: int
    document: dict[str, Any]
    parts: Sequence[Table | str]
    html: str = ""
    figure: Callable[[], Any] | None = None
    complaint: str = ""


def add_forms(parser: argparse.ArgumentParser, plot: bool = True) -> None:
    """Add the arguments that say in which forms the answer is wanted."""
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    if plot:
        parser.add_argument("--plot", metavar="FILE", help="draw it: .svg, .png, .pdf or what else Matplotlib writes")
    parser.add_argument("--html", metavar="FILE", help="write one page with everything in it, the picture too")


def answered(find: Callable[[argparse.Namespace], Answer]) -> Callable[[argparse.Namespace], int]:
    """Return a command's run that hands over what a function finds."""

    def run(arguments: argparse.Namespace) -> int:
        with redirect_stdout(sys.stderr):  # what the user's code prints is not the answer
            found = find(arguments)
        _hand_over(found, arguments)
        return found.status

    return run


def _hand_over(found: Answer, arguments: argparse.Namespace) -> None:
    plot = getattr(arguments, "plot", None)
    if plot is not None and found.figure is not None:
        _draw(found.figure(), plot)
    if arguments.html is not None:
        _write(arguments.html, page(found))
    if arguments.json:
        print(json.dumps(finite(found.document), indent=2, allow_nan=False))
    else:
        for n, part in enumerate(found.parts):
            if n:
                print()
            if isinstance(part, Table):
                show(part, sys.stdout)
            else:
                print(part)
    if found.complaint:
        sys.stdout.flush()
        print(found.complaint, file=sys.stderr)


def _draw(figure: Any, path: str) -> None:
    formats = figure.canvas.get_supported_filetypes()
    if Path(path).suffix[1:].lower() not in formats:
        raise Misuse(f"--plot {path}: Matplotlib writes {', '.join('.' + f for f in sorted(formats))}")
    try:
        figure.savefig(path)
    except OSError as error:
        raise Misuse(f"{path} cannot be written: {error.strerror or error}") from error


def page(found: Answer) -> str:
    """Return a page with everything in it: no style sheet, no script, no font from elsewhere."""
    parts = [as_html(p) if isinstance(p, Table) else f"<pre>{escape(p)}</pre>" for p in found.parts]
    body = found.html or "\n".join(parts)
    picture = ""
    if found.figure is not None:
        try:
            picture = f"<figure>{_svg(found.figure())}</figure>"
        except ImportError:
            picture = "<p>The picture needs Matplotlib: pip install 'dualdiff[plot]'.</p>"
    complaint = f"<p><strong>{escape(found.complaint)}</strong></p>" if found.complaint else ""
    stamp = "" if "conditions" in found.document else f"<footer><p>{escape(str(conditions(0)))}</p></footer>"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(found.title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{escape(found.title)}</h1>\n{complaint}{body}\n{picture}\n{stamp}</body></html>\n"
    )


_STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:80em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0;display:block;overflow-x:auto}th,td{padding:.15em .7em;text-align:left}"
    "thead th{border-bottom:1px solid}tbody th{font-weight:normal}caption{text-align:left}pre{overflow-x:auto}"
    "figure{margin:1em 0;padding:.5em;background:#fff;overflow-x:auto}"
    "figure svg{max-width:100%;height:auto}"
)


def _svg(figure: Any) -> str:
    import io

    from matplotlib import rc_context

    stream = io.StringIO()
    with rc_context({"svg.fonttype": "none"}):
        figure.savefig(stream, format="svg")
    return stream.getvalue()[stream.getvalue().index("<svg") :]


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Misuse(f"{path} cannot be written: {error.strerror or error}") from error


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, not {text!r}")
    return int(text)
