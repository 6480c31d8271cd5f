"""Figures of what the lab found, by Matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dualdiff.lab.comparison import Comparison
    from dualdiff.lab.stepsizes import Accuracy
    from dualdiff.lab.sweeps import Sweep

__all__ = ["plot_accuracy", "plot_comparison", "plot_sweep"]

FLOOR = 1e-20
"""What an error of zero is drawn at: below rounding in any precision that is used."""


def figure(width: float = 7.0, height: float = 4.5) -> tuple[Any, Any]:
    """Return a new figure with one pair of axes, which belongs to nobody's session of pyplot.

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
    return drawn, drawn.subplots()


def saved(drawn: Any, path: Any) -> Any:
    """Return a figure; write it to a file first if a path is given."""
    if path is not None:
        drawn.savefig(path)
    return drawn


def plot_comparison(found: Comparison, path: Any = None) -> Any:
    """Draw the methods of a comparison: time over f against the largest error, a point a method.

    Parameters
    ----------
    found : Comparison
    path : path-like, optional
        Where to write it to; the ending says in which format.

    Returns
    -------
    matplotlib.figure.Figure
    """
    drawn, axes = figure()
    places: dict[tuple[float, float], list[str]] = {}
    for row in found.rows:
        if row.accuracy is None or row.evaluations is None:
            continue
        error = max(row.accuracy.largest, FLOOR)
        axes.scatter(row.evaluations, error, marker="o" if row.exact else "s", color="C0" if row.exact else "C1", s=18)
        # One line of names for points that lie on one another.
        place = round(float(np.log10(row.evaluations)), 1), round(float(np.log10(min(error, 1e300))))
        places.setdefault(place, []).append(row.name)
        if len(places[place]) == 1:
            axes.annotate(row.name, (row.evaluations, error), xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="time, in evaluations of f",
        ylabel="largest error, relative",
        title=f"{found.function}: {found.outputs} outputs by {found.inputs} inputs",
    )
    axes.grid(alpha=0.3)
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
    drawn, axes = figure()
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
    axes.legend(fontsize=7)
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
    drawn, axes = figure()
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
