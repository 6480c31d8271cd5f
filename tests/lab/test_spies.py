"""Patterns with their colours: every nonzero can be read from the product that its colour names."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff import lab
from dualdiff.errors import InputError
from dualdiff.lab.problems import zoo
from dualdiff.lab.problems.case import Case

CASES = [case for case in zoo("small") if case.pattern is not None]


@pytest.mark.parametrize("coloring", ["fewest", "columns", "rows", "both"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_product_of_each_colour_holds_its_nonzeros(case: Case, coloring: str) -> None:
    found = lab.spy(case.function, case.point, coloring=coloring)
    J = dd.jacobian(case.function, flat=True)(case.point)
    grid = found.grid
    assert found.count == len(found.names)
    assert found.lower_bound <= found.count
    assert not J[grid < 0].any()
    for color, product in enumerate(found.names):
        lines = np.unique(np.nonzero(grid == color)[product == "push"])
        held = J[:, lines].sum(axis=1) if product == "push" else J[lines].sum(axis=0)
        for i, j in np.argwhere(grid == color):
            np.testing.assert_allclose(held[i if product == "push" else j], J[i, j], rtol=1e-9, atol=1e-9)


def test_the_fewest_are_taken() -> None:
    def arrow(x: Any) -> Any:
        return np.array([np.sum(x), *[x[0] * x[i] for i in range(1, 6)]])

    found = lab.spy(arrow, np.ones(6))
    assert (found.coloring, found.count, found.names) == ("both", 3, ("push", "push", "pull"))
    assert lab.spy(arrow, np.ones(6), coloring="columns").count == 6
    assert lab.spy(lambda x: x[:1] * np.sum(x), np.ones(6)).names == ("pull",)


def test_it_prints_as_a_grid() -> None:
    assert str(lab.spy(lambda x: x[1:] * x[:-1], np.ones(4))).splitlines() == [
        "f: 3 × 4, 6 nonzeros in 2 pushes, the fewest there can be",
        "01··",
        "·10·",
        "··01",
    ]
    assert str(lab.spy(lambda x: x * 2.0, np.ones(200))) == (
        "f: 200 × 200, 200 nonzeros in 1 push, the fewest there can be"
    )
    assert str(lab.spy(lambda x: np.ones(2), np.ones(2), argnums=0)).startswith("f: 2 × 2, 0 nonzeros in no product")


def test_drawings() -> None:
    found = lab.spy(lambda x: x[1:] * x[:-1], np.ones(4))
    root = ET.fromstring(found.svg())
    assert len(list(root.iter("{http://www.w3.org/2000/svg}title"))) == found.pattern.nnz
    assert "<svg" in found._repr_mimebundle_()["text/html"]
    large = lab.spy(lambda x: x * 2.0, np.ones(200))
    assert "<svg" not in large._repr_mimebundle_()["text/html"]
    with pytest.raises(InputError, match="too large to be drawn"):
        large.svg()
    pytest.importorskip("matplotlib")
    axes = large.plot()
    assert axes.get_xlim() == (-0.5, 199.5)
    assert found.plot(axes) is axes
    assert len(axes.collections[1].get_offsets()) == 6


def test_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="must be 'fewest'"):
        lab.spy(np.sin, np.ones(2), coloring="star")
    with pytest.raises(InputError, match="needs the point"):
        lab.spy(np.sin)
    with pytest.raises(InputError, match="outside of other operators"):
        dd.jacobian(lambda x: lab.spy(np.sin, x) and x)(np.ones(2))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"dualdiff\[plot\]"):
        lab.spy(np.sin, np.ones(2)).plot()
