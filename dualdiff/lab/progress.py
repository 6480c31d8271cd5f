"""A bar that moves while something is measured: drawn by rich on a terminal, and nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress"]


@contextmanager
def progress(total: int, title: str, shown: bool | None = None) -> Iterator[Callable[[str], None]]:
    """Yield a function that is told what is done next, ``total`` times in all.

    Parameters
    ----------
    total : int
        How many steps there will be.
    title : str
        What is going on.
    shown : bool, optional
        Whether to draw; by default where the error stream is a terminal and rich is installed.
    """
    if shown is None:
        shown = sys.stderr.isatty()
    if shown:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
        except ImportError:
            shown = False
    if not shown:
        yield lambda _: None
        return
    columns = (TextColumn("{task.fields[title]}"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, title=title)
        yield lambda name: bar.update(task, advance=1, description=name)
