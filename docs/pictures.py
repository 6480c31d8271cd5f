"""The pictures of the pages, drawn from what the library computes: ``python docs/pictures.py folder``."""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "dualdiff"  # the same names in the file each time

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyBboxPatch

import dualdiff as dd
from dualdiff.coloring import color_columns

GREY, ORANGE, BLUE, GREEN = "#8c929c", "#e8830c", "#2f7fd1", "#2a9d6a"


def smear(x):
    """Map 6 numbers to 8, each of which depends on at most three neighbours."""
    return np.convolve(np.sin(x), [1.0, 2.0, 1.0])


def box(axes, x, y, size, corner, face, edge="none"):
    """Draw a square with round corners around a point."""
    style = f"round,pad=0,rounding_size={corner}"
    at = (x - size / 2, y - size / 2)
    axes.add_patch(FancyBboxPatch(at, size, size, boxstyle=style, facecolor=face, edgecolor=edge, linewidth=1.2))


def matrix(J, color_of, seeds):
    """Return a figure of a matrix, a nonzero as strong as it is large, with the seeds that fill it beside it."""
    figure, axes = plt.subplots(figsize=(2.9, 3.6))
    figure.subplots_adjust(left=0, right=1, top=1, bottom=0)
    axes.set(xlim=(-1.6, J.shape[1]), ylim=(J.shape[0] - 0.3, -1.8), aspect="equal")
    axes.axis("off")
    for (i, j), entry in np.ndenumerate(J):
        strength = 0.1 if entry == 0 else 0.35 + 0.65 * abs(entry) / abs(J).max()
        box(axes, j, i, 0.76, 0.12, to_rgba(GREY if entry == 0 else color_of(i, j), strength))
    for x, y, color, set_to_one in seeds:
        box(axes, x, y, 0.62, 0.3, color if set_to_one else "none", color)
    return figure


def fillings():
    """Yield how a run of forward mode, one of reverse mode, and one with three colours fill a Jacobian."""
    x = np.linspace(0.1, 1.0, 6)
    J = dd.jacobian(smear)(x)
    column, row, colors = 2, 4, color_columns(dd.jacobian(smear, sparse=True)(x)).colors
    pushed, pulled = dd.jvp(smear, (x,), (np.eye(6)[column],))[1], dd.vjp(smear, x)[1](np.eye(8)[row])[0]
    if not (np.allclose(J[:, column], pushed) and np.allclose(J[row], pulled) and colors.max() == 2):
        raise ValueError("the pictures would not show what the page says of them")
    paints = [(ORANGE, BLUE, GREEN)[color] for color in colors]
    yield (
        "forward",
        matrix(J, lambda i, j: ORANGE if j == column else GREY, [(j, -1.2, ORANGE, j == column) for j in range(6)]),
    )
    yield (
        "reverse",
        matrix(J, lambda i, j: BLUE if i == row else GREY, [(-1.2, i, BLUE, i == row) for i in range(8)]),
    )
    yield "colours", matrix(J, lambda i, j: paints[j], [(j, -1.2, paints[j], True) for j in range(6)])


def draw(folder):
    """Draw all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in fillings():
        figure.savefig(folder / f"{name}.svg", transparent=True, metadata={"Date": None, "Creator": None})
        plt.close(figure)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
