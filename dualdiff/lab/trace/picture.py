"""A Jacobian as it fills: column by column, row by row, and colour by colour where that takes fewer passes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dualdiff.coloring import color_columns
from dualdiff.errors import InputError
from dualdiff.lab.trace.markup import COLORS
from dualdiff.lab.trace.words import MOST_LINES, array

if TYPE_CHECKING:
    from dualdiff.lab.trace.steps import Trace

__all__ = ["Filling", "figure", "fillings", "svg"]

MOST_FRAMES = 6
"""So many passes are drawn one by one; of more the last frame shows all."""
MOST_ENTRIES = 1 << 14
"""A Jacobian with more entries than this is not drawn."""
MOST_NUMBERS = 64
"""Jacobians with more entries than this are drawn without numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Filling:
    """One order in which the entries of a Jacobian are found.

    Attributes
    ----------
    title : str
    passes : ndarray of int, shape (m, n)
        The pass that finds each entry, counted from 0; -1 of an entry that none finds.
    names : tuple of str
        The seed of each pass.
    """

    title: str
    passes: Any
    names: tuple[str, ...]


def fillings(trace: Trace) -> list[Filling]:
    """Return the orders in which the Jacobian of a trace is filled, those with fewer colours than columns among them."""
    m, n = trace.shape
    whole = len(trace.columns) == n or len(trace.rows) == m  # then what the tables leave out is known as well
    found = []
    for what, act, axis, shown in (("columns", "push", 1, trace.columns), ("rows", "pull", 0, trace.rows)):
        lines = range(trace.shape[axis]) if whole and len(shown) == MOST_LINES else shown
        if lines:
            passes = np.full(trace.shape[axis], -1)
            passes[list(lines)] = np.arange(len(lines))
            every = np.broadcast_to(np.expand_dims(passes, 1 - axis), (m, n))
            names = tuple(f"$e_{{{i}}}$" for i in lines)
            found.append(Filling(f"{what}: {_passes(len(lines), act)}", every, names))
    colors = color_columns(trace.pattern)
    if 0 < colors.count < np.count_nonzero(colors.colors >= 0) and whole:
        there = trace.pattern.toarray() != 0
        names = tuple(
            " + ".join(f"$e_{{{j}}}$" for j in np.flatnonzero(colors.colors == c)) for c in range(colors.count)
        )
        passes = np.where(there, colors.colors, -1)
        found.append(Filling(f"colours: {_passes(colors.count, 'push')}", passes, names))
    return found


def _passes(count: int, act: str) -> str:
    return f"{count} {act}{'' if count == 1 else 'es' if act.endswith('h') else 's'}"


def figure(trace: Trace) -> Any:
    """Draw a row of frames for each order: in each frame what one more pass has filled.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    InputError
        If the Jacobian has too many entries for a picture of each.
    """
    m, n = trace.shape
    if not 0 < m * n <= MOST_ENTRIES:
        raise InputError(
            f"a Jacobian of shape {m, n} cannot be drawn entry by entry; show a smaller case of the function"
        )
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("the picture needs matplotlib: pip install 'dualdiff[plot]'") from None
    orders = fillings(trace)
    frames = [_frames(len(order.names)) for order in orders]
    across = max(map(len, frames), default=1)
    cell = max(0.02, min(0.32, 1.5 / max(n, 1), 2.4 / max(m, 1)))
    width, height = max(n * cell, 0.7) + 0.3, max(m * cell, 0.6) + 0.35
    drawn: Any = Figure(figsize=(across * width, max(len(orders), 1) * height), layout="constrained")
    axes = drawn.subplots(max(len(orders), 1), across, squeeze=False)
    jacobian = trace.jacobian
    for line, (order, shown) in enumerate(zip(orders, frames, strict=True)):
        for at, last in enumerate(shown):
            _frame(axes[line, at], trace, order, last, jacobian)
        axes[line, 0].set_ylabel(order.title.replace(": ", ":\n"), fontsize=7)
        for ax in axes[line, len(shown) :]:
            ax.set_axis_off()
    drawn._repr_svg_ = partial(_written, drawn)  # a notebook shows it, whether pyplot is imported there or not
    return drawn


def _frames(count: int) -> Sequence[int]:
    """Return after which passes a frame is drawn."""
    return range(count) if count <= MOST_FRAMES else [*range(MOST_FRAMES - 1), count - 1]


def _frame(ax: Any, trace: Trace, order: Filling, last: int, jacobian: Any) -> None:
    from matplotlib.colors import to_rgba

    m, n = trace.shape
    image = np.zeros((m, n, 4))
    for i, j in np.argwhere((order.passes >= 0) & (order.passes <= last)):
        p = order.passes[i, j]
        image[i, j] = to_rgba(COLORS[p % len(COLORS)], 0.85 if p == last else 0.35)
        if m * n <= MOST_NUMBERS and not np.isnan(jacobian[i, j]):
            ax.text(j, i, array(jacobian[i, j], 2), ha="center", va="center", fontsize=6)
    ax.imshow(image, aspect="equal", interpolation="none", extent=(-0.5, n - 0.5, m - 0.5, -0.5))
    ax.set_xticks(np.arange(n + 1) - 0.5, [])
    ax.set_yticks(np.arange(m + 1) - 0.5, [])
    if m * n <= 16 * MOST_NUMBERS:
        ax.grid(color="0.7", linewidth=0.5)
    ax.tick_params(length=0)
    leap = len(order.names) > MOST_FRAMES and last == len(order.names) - 1
    ax.set_title(f"… {order.names[last]}" if leap else order.names[last], fontsize=8)


def svg(trace: Trace) -> str:
    """Return the drawing as SVG, the same text for the same trace."""
    return _written(figure(trace))


def _written(drawn: Any) -> str:
    from matplotlib import rc_context

    stream = io.StringIO()
    with rc_context({"svg.hashsalt": "dualdiff", "svg.fonttype": "none"}):
        drawn.savefig(stream, format="svg", metadata={"Date": None})
    written = stream.getvalue()
    return written[written.index("<svg") :]
