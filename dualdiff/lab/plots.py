"""Figures of what the lab found, by Matplotlib."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dualdiff.lab.outcome import Comparison
    from dualdiff.lab.stepsizes import Accuracy
    from dualdiff.lab.sweeps import Sweep

__all__ = ["plot_accuracy", "plot_comparison", "plot_sweep"]

FLOOR = 1e-20
"""What an error of zero is drawn at: below rounding in any precision that is used."""


def figure(width: float = 7.0, height: float = 4.5) -> Any:
    """Return a new figure, which belongs to nobody's session of pyplot, and shows itself in a notebook.

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("figures need Matplotlib: pip install 'dualdiff[plot]'") from error
    drawn = Figure(figsize=(width, height), layout="constrained")
    drawn._repr_png_ = lambda: _png(drawn)  # type: ignore[attr-defined]
    return drawn


def _png(drawn: Any) -> bytes:
    stream = io.BytesIO()
    drawn.savefig(stream, format="png", dpi=80)
    return stream.getvalue()


def saved(drawn: Any, path: Any) -> Any:
    """Return a figure; write it to a file first if a path is given."""
    if path is not None:
        drawn.savefig(path)
    return drawn


def plot_comparison(found: Comparison, path: Any = None) -> Any:
    """Draw the methods of a comparison, a line each: the time over f, and the largest error beside it.

    Parameters
    ----------
    found : Comparison
    path : path-like, optional
        Where to write it to; the ending says in which format.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = [row for row in found.rows if row.accuracy is not None and row.evaluations is not None]
    drawn = figure(9.0, 1.5 + 0.22 * len(rows))
    left, right = drawn.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for i, row in enumerate(rows):
        color = "C0" if row.exact else "C1"
        color = color if row.agrees or not row.exact else "C3"
        # From one evaluation of f: a bar on a logarithmic axis has no other foot.
        left.hlines(i, 1.0, row.evaluations, color=color, lw=5)
        right.plot(max(row.accuracy.largest if row.accuracy else 0.0, FLOOR), i, marker="o", color=color, ms=4)
    left.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    left.invert_yaxis()
    left.set(xscale="log", xlabel="time, in evaluations of f")
    right.set(xscale="log", xlabel="largest error, relative")
    for axes in (left, right):
        axes.grid(alpha=0.3, axis="x")
    drawn.suptitle(f"{found.function}: {found.outputs} outputs by {found.inputs} inputs")
    return saved(drawn, path)


def plot_sweep(found: Sweep, path: Any = None, quantity: str = "seconds") -> Any:
    """Draw a quantity over the sizes, a line a method, and where the fastest method changes.

    Parameters
    ----------
    found : Sweep
    path : path-like, optional
        Where to write it to.
    quantity : str
        As for `Sweep.values`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    drawn = figure(9.0)
    axes = drawn.subplots()
    for i, name in enumerate(found.methods):
        values = found.values(name, quantity)
        if np.isfinite(values).any():
            label = f"{name} ({found.growth(name, quantity)})"
            axes.plot(found.sizes, values, marker="osD^v"[i // 10 % 5], color=f"C{i % 10}", ms=4, lw=1, label=label)
    if quantity == "seconds":
        for turn in found.turns:
            axes.axvline(turn.size, color="grey", lw=0.8, ls=":")
    axes.set(xscale="log", yscale="log", xlabel="size", ylabel=quantity, title=found.problem)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1))
    return saved(drawn, path)


def plot_accuracy(found: Accuracy, path: Any = None) -> Any:
    """Draw the errors of differences over their step, and those of exact methods as level lines.

    Parameters
    ----------
    found : Accuracy
    path : path-like, optional
        Where to write it to.

    Returns
    -------
    matplotlib.figure.Figure
    """
    drawn = figure()
    axes = drawn.subplots()
    for i, curve in enumerate(found.curves):
        axes.plot(
            found.steps, np.maximum(curve.errors, FLOOR), marker="o", ms=3, lw=1, color=f"C{i}", label=curve.scheme
        )
        if curve.rule is not None:
            axes.axvline(curve.rule, color=f"C{i}", lw=0.8, ls=":")
    for i, (name, error) in enumerate(found.exact.items(), len(found.curves)):
        axes.axhline(max(error, FLOOR), color=f"C{i}", lw=1, ls="--", label=name)
    axes.set(
        xscale="log", yscale="log", xlabel="step, relative", ylabel="largest error, relative", title=found.function
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return saved(drawn, path)
