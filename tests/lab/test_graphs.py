"""The graph of a function: results of any type, the user's names, counts, exports and drawings."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff import lab
from dualdiff.errors import InputError
from dualdiff.lab import layers
from dualdiff.lab.problems import scalar
from dualdiff.lab.problems.gas import roe_flux_3d
from dualdiff.lab.problems.greeks import black_scholes_greeks
from dualdiff.lab.problems.learning import perceptron_loss
from dualdiff.passes.elimination import Graph, counts

X = np.array([2.0, 3.0])


def of_array(x: Any) -> Any:
    a = x[0] * x[1]
    b = np.sin(a)
    return np.array([a * b, np.exp(b)])


def of_list(x: Any) -> Any:
    return [x[0] * x[1], np.sin(x)]


def of_dict(x: Any) -> Any:
    return {"sum": np.sum(x), "all": (x**2, x[1])}


def of_loop(x: Any) -> Any:
    y = np.zeros(2)
    for i in range(2):
        y[i] = x[i] * x[1 - i]
    return y


RESULTS = {
    "np.array": of_array,
    "list": of_list,
    "dict": of_dict,
    "filled": of_loop,
    "number": lambda x: x[0] * x[1],
    "constant": lambda x: (np.ones(3), x[0]),
    "the input": lambda x: x,
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_of_any_type(name: str) -> None:
    f = RESULTS[name]
    found = lab.graph(f, X)
    for order in ("forward", "reverse", found.search(evaluations=50).order):
        np.testing.assert_allclose(found.eliminate(order).jacobian(), dd.jacobian(f, flat=True)(X), rtol=1e-14)
    assert found.labels.keys() == set(found.graph.vertices)


def test_several_arguments_and_those_left_out() -> None:
    def f(a: Any, b: Any) -> Any:
        return a * b

    assert lab.graph(f, 2.0, 3.0).graph.edges == {(1, 3): 3.0, (2, 3): 2.0}
    assert lab.graph(f, 2.0, 3.0, argnums=1).graph.edges == {(1, 2): 2.0}
    assert lab.graph(f, 2.0, 3.0, argnums=1).labels[1] == ("b", "")


def test_vertices_bear_the_users_names() -> None:
    labels = lab.graph(of_array, X).labels
    assert labels == {
        1: ("x[0]", ""),
        2: ("x[1]", ""),
        3: ("a", "×"),
        4: ("b", "sin"),
        5: ("v5", "×"),
        6: ("v6", "exp"),
    }
    assert [label[0] for label in lab.graph(of_loop, X).labels.values()] == ["x[0]", "x[1]", "y[0]", "y[1]"]

    def unpacked(x: Any) -> Any:
        length, width = x
        area = length * width
        return area

    assert [label[0] for label in lab.graph(unpacked, X).labels.values()] == ["length", "width", "area"]


def test_problems_of_the_zoo_bear_their_names() -> None:
    case = scalar.roe_flux()
    names = [name for name, _ in lab.graph(case.function, case.point).labels.values()]
    assert names[:6] == ["l0", "l1", "l2", "r0", "r1", "r2"]
    assert {"weight", "density", "aa"} <= set(names)


def test_counts_and_the_cheapest() -> None:
    case = scalar.heart_dipole()
    found = lab.graph(case.function, case.point).counts()
    assert [found[name].multiplications for name in ("forward", "reverse", "markowitz")] == [240, 172, 194]
    assert found.best.multiplications == 148
    title, head, *_ = str(found).splitlines()
    assert title == "Orders of elimination"
    assert head.split() == ["order", "multiplications", "additions", "most", "edges"]
    assert found.to_csv().splitlines()[1].startswith("forward,240,20,144,9 10 11 ")
    assert "| markowitz | 194 | 20 | 144 |" in found.to_markdown()
    with pytest.raises(KeyError):
        found["sideways"]


def test_a_summary_counts_and_a_large_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = lab.graph(of_array, X)
    head, *table = str(found).splitlines()
    assert head == "of_array: 2 inputs, 2 intermediate vertices, 2 outputs, 6 edges"
    assert len(table) == 2 + 5 + 1
    assert table[-1] == "no order takes fewer than 6"
    monkeypatch.setattr(lab.graphs, "BOUNDED", 5)
    assert len(str(found).splitlines()) == 1 + 2 + 5
    monkeypatch.setattr(lab.graphs, "SUMMED_UP", 5)
    assert str(found) == head


NOTED = [
    (roe_flux_3d(), 1188, 790, 715),
    (black_scholes_greeks(), 392, 342, 250),
    (perceptron_loss(), 5796, 270, 752),
]


@pytest.mark.parametrize(("case", "forward", "reverse", "markowitz"), NOTED, ids=lambda c: getattr(c, "name", ""))
def test_counts_that_the_zoo_states(case: Any, forward: int, reverse: int, markowitz: int) -> None:
    found = lab.graph(case.function, case.point)
    assert [counts(found.graph, o).multiplications for o in ("forward", "reverse", "markowitz")] == [
        forward,
        reverse,
        markowitz,
    ]
    np.testing.assert_allclose(found.eliminate("best").jacobian(), case.jacobian(case.point), rtol=1e-9, atol=1e-12)


def test_to_networkx_has_names() -> None:
    pytest.importorskip("networkx")
    exported = lab.graph(of_array, X).to_networkx()
    assert exported.nodes[3]["label"] == "a"
    assert exported.nodes[3]["name"] == "np.multiply"
    assert exported.edges[3, 4]["weight"] == np.cos(6.0)


def test_mermaid_quotes_what_it_must() -> None:
    text = layers.mermaid(Graph((1,), (2,), {2: {1: 1.0}}), {1: ('a"<b', ""), 2: ("y", "<")})
    assert text.splitlines() == [
        "flowchart LR",
        '    v1(["a#quot;&lt;b"])',
        '    v2[["y<br>&lt;"]]',
        "    v1 --> v2",
    ]


def test_the_drawing_is_well_formed_and_no_boxes_overlap() -> None:
    case = scalar.heart_dipole()
    found = lab.graph(case.function, case.point)
    root = ET.fromstring(found.svg())
    space = "{http://www.w3.org/2000/svg}"
    boxes = [
        (float(r.get("x")), float(r.get("y"))) for r in root.iter(f"{space}rect") if r.get("width") == str(layers.WIDE)
    ]  # type: ignore[arg-type]
    assert len(boxes) == len(found.graph.vertices)
    for i, (x, y) in enumerate(boxes):
        for a, b in boxes[:i]:
            assert x != a or abs(y - b) >= layers.HIGH
    paths = [p.get("d") for p in root.iter(f"{space}path")]
    assert len(paths) == len(found.graph.edges)
    assert all(re.fullmatch(r"M[\d. ]+( [CL][\d. ]+)+", str(p)) for p in paths)
    told = next(p[0].text for p in root.iter(f"{space}path"))
    assert re.fullmatch(r"∂\w+ / ∂\w+ = -?[\d.]+(e-?\d+)?", str(told))


def test_notebooks_get_a_drawing_or_the_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    found = lab.graph(of_array, X)
    bundle = found._repr_mimebundle_()
    assert bundle["text/plain"] == str(found)
    assert "<svg" in bundle["text/html"]
    monkeypatch.setattr(lab.graphs, "DRAWN", 5)
    assert "<svg" not in found._repr_mimebundle_()["text/html"]
    with pytest.raises(InputError, match="6 vertices cannot be read, and at most 5"):
        found.svg()


def test_what_has_no_graph() -> None:
    with pytest.raises(InputError, match="must be a function"):
        lab.graph(3.0, X)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="needs the point"):
        lab.graph(of_array)
    with pytest.raises(InputError, match="complex numbers"):
        lab.graph(lambda x: np.real(np.exp(1j * x)), X)
    with pytest.raises(InputError, match="at most 3 are allowed"):
        lab.graph(of_array, X, most=3)
    with pytest.raises(InputError, match="outside of other operators"):
        dd.jacobian(lambda x: lab.graph(of_array, x) and x)(X)


def test_networkx_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ImportError, match="pip install"):
        lab.graph(of_array, X).to_networkx()
