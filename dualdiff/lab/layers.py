"""A linearised graph as a drawing: vertices in layers from the inputs to the outputs, as SVG or as Mermaid's text.

A vertex stands one layer behind the last of its predecessors. Edges that pass layers go through places of their own, and
within a layer every place is moved towards the mean of its neighbours, to and fro: the method of Sugiyama, Tagawa and
Toda, *Methods for visual understanding of hierarchical system structures*, IEEE Trans. Syst. Man Cybern. 11 (1981),
doi:10.1109/TSMC.1981.4308636.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from statistics import fmean

from dualdiff.passes.elimination import Graph

__all__ = ["mermaid", "svg"]

Label = tuple[str, str]
"""What is written on a vertex: its name, and the operation that made it."""
Place = int | tuple[int, int, int]
"""A vertex, or where the edge (from, to) passes a layer."""

WIDE, HIGH, APART, ACROSS = 66, 30, 12, 44
"""The size of a vertex, the gap below it and the gap to the next layer, in pixels."""
SWEEPS = 12
FILLS = {"input": "#cfe3f5", "output": "#cdeccd", "between": "#f4f4f4"}


def roles(graph: Graph) -> dict[int, str]:
    """Return for every vertex whether it is an input, an output, or stands between them."""
    found = dict.fromkeys(graph.vertices, "between")
    found.update({v: "output" for v in graph.outputs if v is not None})
    return found | dict.fromkeys(graph.inputs, "input")


def mermaid(graph: Graph, labels: Mapping[int, Label]) -> str:
    """Return the graph in the language of Mermaid, which many pages and notebooks draw."""
    shapes = {"input": ("([", "])"), "output": ("[[", "]]"), "between": ("[", "]")}
    lines = ["flowchart LR"]
    for v, role in roles(graph).items():
        left, right = shapes[role]
        text = "<br>".join([escape(part, quote=False).replace('"', "#quot;") for part in labels[v] if part])
        lines.append(f'    v{v}{left}"{text}"{right}')
    lines += [f"    v{u} --> v{v}" for u, v in graph.edges]
    return "\n".join(lines)


def svg(graph: Graph, labels: Mapping[int, Label]) -> str:
    """Return the graph as an SVG element: inputs on the left, edges with their partial derivatives as tooltips."""
    layers, chains = _layers(graph)
    heights = _heights(layers, chains)
    across = {p: i * (WIDE + ACROSS) for i, layer in enumerate(layers) for p in layer}
    width = len(layers) * (WIDE + ACROSS) - ACROSS + 8
    height = max(heights.values(), default=0) + HIGH + 8
    size = f'viewBox="-4 -4 {width} {height:.0f}" width="{width}" style="max-width:100%;height:auto"'
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11" text-anchor="middle">',
        f'<rect x="-4" y="-4" width="{width}" height="{height:.0f}" fill="white"/>',
    ]
    for (u, v), weight in graph.edges.items():
        chain = chains[u, v]
        path = f"M{across[u] + WIDE} {heights[u] + HIGH / 2:.1f}"
        for one, other in pairwise(chain):
            a, b = across[one] + WIDE, across[other]
            y, z = heights[one] + HIGH / 2, heights[other] + HIGH / 2
            path += f" C{(a + b) / 2:.0f} {y:.1f} {(a + b) / 2:.0f} {z:.1f} {b} {z:.1f}"
            if other is not v:
                path += f" L{b + WIDE} {z:.1f}"
        told = f"∂{_told(labels[v])} / ∂{_told(labels[u])} = {weight:.6g}"
        drawn.append(f'<path d="{path}" fill="none" stroke="#8a8a8a"><title>{escape(told)}</title></path>')
    for v, role in roles(graph).items():
        x, y = across[v], heights[v]
        drawn.append(
            f'<rect x="{x}" y="{y:.1f}" width="{WIDE}" height="{HIGH}" rx="5" fill="{FILLS[role]}" stroke="#555"/>'
        )
        name, made = labels[v]
        lines = [part for part in (name, made) if part]
        for n, part in enumerate(lines):
            at = y + HIGH / 2 + 4 + (13 * n - 6.5 if len(lines) > 1 else 0)
            colour = "#111" if n == 0 else "#777"
            drawn.append(f'<text x="{x + WIDE / 2:.0f}" y="{at:.1f}" fill="{colour}">{escape(_cut(part))}</text>')
    return "\n".join([*drawn, "</svg>"])


def _told(label: Label) -> str:
    return label[0] or label[1]


def _cut(text: str) -> str:
    return text if len(text) <= 11 else text[:10] + "…"


def _layers(graph: Graph) -> tuple[list[list[Place]], dict[tuple[int, int], list[Place]]]:
    """Return the places of every layer, and for every edge the places it goes through, both ends included."""
    depth = dict.fromkeys(graph.inputs, 0)
    for v, row in graph.predecessors.items():
        depth[v] = 1 + max([depth[u] for u in row], default=0)
    layers: list[list[Place]] = [[] for _ in range(1 + max(depth.values(), default=0))]
    for v, at in depth.items():
        layers[at].append(v)
    chains: dict[tuple[int, int], list[Place]] = {}
    for u, v in graph.edges:
        between: list[Place] = [(u, v, at) for at in range(depth[u] + 1, depth[v])]
        for at, place in enumerate(between, depth[u] + 1):
            layers[at].append(place)
        chains[u, v] = [u, *between, v]
    return layers, chains


def _heights(layers: list[list[Place]], chains: Mapping[tuple[int, int], Sequence[Place]]) -> dict[Place, float]:
    """Return how far down every place stands: near its neighbours, and apart from the others of its layer."""
    sides: tuple[dict[Place, list[Place]], dict[Place, list[Place]]] = ({}, {})
    for chain in chains.values():
        for one, other in pairwise(chain):
            sides[0].setdefault(other, []).append(one)
            sides[1].setdefault(one, []).append(other)
    heights = {p: float(n) * (HIGH + APART) for layer in layers for n, p in enumerate(layer)}
    for sweep in range(SWEEPS):
        near = sides[sweep % 2]
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = {p: fmean([heights[q] for q in near[p]]) if p in near else heights[p] for p in layer}
            layer.sort(key=wanted.__getitem__)
            heights.update(zip(layer, _apart(layer, [wanted[p] for p in layer])))
    top = min(heights.values(), default=0.0)
    return {p: y - top for p, y in heights.items()}


def _apart(layer: Sequence[Place], wanted: Sequence[float]) -> list[float]:
    """Move places of a layer apart, as little as possible: groups that would overlap share their mean (isotonic regression)."""
    steps = [0.0]
    for one, other in pairwise(layer):
        steps.append(steps[-1] + (HIGH + APART if isinstance(one, int) or isinstance(other, int) else APART))
    groups: list[list[float]] = []
    for want, step in zip(wanted, steps):
        groups.append([want - step])
        while len(groups) > 1 and fmean(groups[-2]) > fmean(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    shifts = [fmean(group) for group in groups for _ in group]
    return [shift + step for shift, step in zip(shifts, steps)]
