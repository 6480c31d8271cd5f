"""Vertex elimination: every order gives the Jacobian, and the counts are those one works out by hand."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dualdiff as dd
import dualdiff.numpy as dnp
from dualdiff.capture import captures_of
from dualdiff.errors import InputError
from dualdiff.lab.problems import scalar
from dualdiff.passes.elimination import ORDERS, Count, Graph, counts, eliminate, eliminated, linearization, linearized
from dualdiff.tape import Tape
from dualdiff.testing.strategies import Program, programs
from dualdiff.ways.problem import Problem, record
from tests.strategies import graphs

many = settings(max_examples=max(60, settings().max_examples))


def recorded(f: Callable[..., Any], *args: Any, replayable: bool = True) -> tuple[Tape, list[Any]]:
    """Record a function that returns one array or a tuple of them; return the tape and the values."""

    def call(leaves: list[Any]) -> list[Any]:
        found = f(*leaves)
        return list(found) if isinstance(found, tuple) else [found]

    return record(Problem(call, list(args), f, captures_of(f)), replayable=replayable)


def graph_of(f: Callable[..., Any], *args: Any) -> Graph:
    tape, values = recorded(f, *args)
    return linearized(tape, [np.shape(v) for v in values])


def by_elimination(f: Callable[..., Any], *args: Any, order: Any = "markowitz") -> Any:
    tape, values = recorded(f, *args)
    return eliminated(tape, order, [np.shape(v) for v in values])


def by_operator(operator: Any, f: Callable[..., Any], *args: Any) -> Any:
    """The Jacobian as an operator of the library gives it, as one matrix."""

    def whole(*xs: Any) -> tuple[Any, ...]:
        return found if isinstance(found := f(*xs), tuple) else (found,)

    blocks = operator(whole, tuple(range(len(args))))(*args)
    values = whole(*args)
    return np.block(
        [
            [np.reshape(b, (np.size(v), np.size(x))) for b, x in zip(row, args, strict=True)]
            for row, v in zip(blocks, values, strict=True)
        ]
    )


def agree(found: Any, wanted: Any) -> None:
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * (1 + np.max(np.abs(wanted), initial=0)))


# -- programs --------------------------------------------------------------------------------------


@many
@given(programs(max_ops=6), st.sampled_from([*ORDERS, "best"]))
def test_random_programs(program: Program, order: str) -> None:
    found = by_elimination(program, *program.point, order=order)
    agree(found, by_operator(dd.jacfwd, program, *program.point))
    agree(found, by_operator(dd.jacrev, program, *program.point))


def lorenz(x: Any, steps: int = 4, h: float = 0.01) -> Any:
    def slope(u: Any) -> Any:
        return 10.0 * (u[1] - u[0]), u[0] * (28.0 - u[2]) - u[1], u[0] * u[1] - 8 / 3 * u[2]

    u = [x[0], x[1], x[2]]
    for _ in range(steps):
        k = slope(u)
        rise = list(k)
        for weight, share in ((2.0, h / 2), (2.0, h / 2), (1.0, h)):
            k = slope([a + share * b for a, b in zip(u, k, strict=True)])
            rise = [r + weight * b for r, b in zip(rise, k, strict=True)]
        u = [a + h / 6 * r for a, r in zip(u, rise, strict=True)]
    return np.stack(u)


def filled(x: Any) -> Any:
    y = np.zeros_like(x, shape=(4,))
    for i in range(4):
        y[i] = np.sin(x[i % 3]) * x[0]
    y[1] += y[2] * y[1]
    y[3:] = 0.5
    return y


def matrices(A: Any, x: Any) -> Any:
    y = A @ x
    return np.linalg.solve(A + 3 * np.eye(3), y), np.sum(np.outer(x, y) ** 2, axis=0), np.cumsum(x)[::-1]


X = np.array([1.0, 0.7, -0.4])
HAND_MADE = {
    "lorenz": (lorenz, X),
    "filled": (filled, X),
    "matrices": (matrices, np.arange(9.0).reshape(3, 3) / 7, X),
    "one number": (lambda x: np.exp(np.sin(x) * x), 0.3),
    "nothing in between": (lambda x, y: (y, x[::-1], x), X, np.ones((2, 1))),
    "several uses": (lambda x: (z := np.sin(x[0]), np.cos(z), z, z * x[1], np.stack([z, z])), X),
    "an empty array": (lambda x: (x[:0], x * 2.0), X),
    "written into a constant": (lambda x: (y := dnp.array([1.0, 2.0]), y.__setitem__(1, x[2]), y * y)[-1], X),
    "zero-dimensional": (lambda x: np.reshape(x[0], ()) * np.sum(x), X),
    "float32": (lambda x: np.tanh(x) * np.sum(x), X.astype(np.float32)),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", HAND_MADE)
def test_hand_made_programs(name: str, order: str) -> None:
    f, *args = HAND_MADE[name]
    found = by_elimination(f, *args, order=order)
    wanted = by_operator(dd.jacfwd, f, *args)
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=1e-5 if found.dtype == np.float32 else 1e-12, atol=1e-14)


def test_local_jacobians_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = graph_of(*HAND_MADE["matrices"])
    monkeypatch.setattr(linearization, "CELLS", 7)
    edges = graph_of(*HAND_MADE["matrices"]).edges
    assert edges == {e: pytest.approx(w, rel=1e-12) for e, w in whole.edges.items()}


def test_cross_country_beats_both_modes_on_a_loop() -> None:
    graph = graph_of(lorenz, X)
    cost = {name: counts(graph, name).multiplications for name in (*ORDERS, "best")}
    assert cost["markowitz"] < 0.8 * min(cost["forward"], cost["reverse"])
    assert cost["best"] == min(cost.values())


PUBLISHED = [
    (scalar.roe_flux(shifted=False), 620, 364, 407),
    (scalar.robot_arm(), 397, 301, 288),
    (scalar.heart_dipole(), 240, 172, 194),
    (scalar.propane_combustion(), 151, 90, 111),
    # Not in print: the speed of one wave is u - a in Roe's flux, and u in the program that was compared.
    (scalar.roe_flux(), 634, 370, 409),
]


@pytest.mark.parametrize(("case", "forward", "reverse", "markowitz"), PUBLISHED, ids=lambda c: getattr(c, "name", ""))
def test_counts_of_programs_compared_in_print(case: Any, forward: int, reverse: int, markowitz: int) -> None:
    graph = graph_of(case.function, case.point)
    found = [counts(graph, order).multiplications for order in ("forward", "reverse", "markowitz")]
    assert found == [forward, reverse, markowitz]
    for order in ("forward", "reverse", "best"):
        np.testing.assert_allclose(eliminate(graph, order).jacobian(), case.jacobian(case.point), rtol=1e-9, atol=1e-12)


def test_longdouble_keeps_its_digits() -> None:
    third = 1 / np.longdouble(3)
    found = by_elimination(lambda x: x * x * x, np.array([third]))
    assert found.dtype == np.longdouble
    assert abs(found[0, 0] - third) <= np.finfo(np.longdouble).eps


# -- the graph -------------------------------------------------------------------------------------


def test_a_loop_has_the_graph_one_would_draw() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        for i in range(2):
            y[i] = x[i] * x[1 - i]
        z = np.stack([y[1], y[0]]).reshape(2, 1)
        return np.exp(z[0, 0])

    graph = graph_of(f, np.array([2.0, 3.0]))
    assert graph.inputs == (1, 2)
    assert graph.edges == {(1, 4): 3.0, (2, 4): 2.0, (4, 5): math.exp(6.0)}  # 3 is x[0] * x[1], which nobody reads
    assert graph.outputs == (5,)
    assert graph.intermediates == (4,)
    assert graph.origins[2] == ("input", "input 0", (1,))
    assert graph.origins[4] == ("elementwise", "np.multiply", ())
    assert repr(graph) == "<graph of 2 inputs, 1 intermediates, 1 outputs, 3 edges>"


def test_what_no_output_needs_is_left_out() -> None:
    def f(x: Any) -> Any:
        y = np.exp(x)
        np.sin(y)
        return y[1] * 2.0

    graph = graph_of(f, X)
    assert len(graph.vertices) == 3 + 2
    assert graph.edges.keys() == {(2, 5), (5, 7)}
    assert graph.origins[5].position == (1,)
    assert graph.origins.keys() == set(graph.vertices)


def test_a_partial_that_happens_to_be_zero_is_still_an_edge() -> None:
    graph = graph_of(lambda x: x[0] * x[1] * x[2], np.array([0.0, 0.0, 5.0]))
    assert graph.edges == {(1, 4): 0.0, (2, 4): 0.0, (4, 5): 5.0, (3, 5): 0.0}


def test_one_operand_twice_is_one_edge() -> None:
    assert graph_of(lambda x: x * x, 3.0).edges == {(1, 2): 6.0}


def test_eliminating_leaves_the_graph_alone() -> None:
    graph = graph_of(lorenz, X)
    before = graph.copy()
    eliminate(graph)
    assert graph == before
    before.predecessors[graph.intermediates[0]].clear()
    assert graph != before


@pytest.mark.parametrize(
    ("inputs", "outputs", "predecessors", "message"),
    [
        ((1, 1), (1,), {}, "listed twice"),
        ((1,), (1,), {1: {}}, "is an input"),
        ((1,), (3,), {3: {2: 1.0}, 2: {1: 1.0}}, r"predecessors \[2\] that do not stand before it"),
        ((1,), (2, 5), {2: {1: 1.0}}, r"outputs \[5\] are not vertices"),
    ],
)
def test_graphs_that_are_none(inputs: Any, outputs: Any, predecessors: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Graph(inputs, outputs, predecessors)


def test_export_to_networkx() -> None:
    networkx = pytest.importorskip("networkx")
    graph = graph_of(filled, X)
    exported = graph.to_networkx()
    assert set(exported) == set(graph.vertices)
    assert exported.nodes[1] == {"kind": "input", "name": "input 0", "position": (0,)}
    assert exported.graph["inputs"] == graph.inputs
    sums = np.zeros(graph.shape)
    for (i, y), (j, x) in itertools.product(enumerate(exported.graph["outputs"]), enumerate(graph.inputs)):
        if y is not None:
            for path in networkx.all_simple_edge_paths(exported, x, y):
                sums[i, j] += math.prod(exported.edges[e]["weight"] for e in path)
    np.testing.assert_allclose(sums, dd.jacobian(filled)(X), rtol=1e-12)
    assert set(Graph((1,), (2,), {2: {1: 1.0}}).to_networkx().edges) == {(1, 2)}  # origins are optional


def test_export_without_networkx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ImportError, match=r"pip install 'dualdiff\[graph\]'"):
        Graph((1,), (1,), {}).to_networkx()


# -- counts worked out by hand ---------------------------------------------------------------------


def layered(*sizes: int) -> Graph:
    """Layers of these sizes, each vertex connected with all of the next layer."""
    layers, start = [], 1
    for size in sizes:
        layers.append(range(start, start + size))
        start += size
    weights = itertools.count(2)
    rows = {v: {u: next(weights) for u in a} for a, b in itertools.pairwise(layers) for v in b}
    return Graph(tuple(layers[0]), tuple(layers[-1]), rows)


def cheapest(graph: Graph) -> int:
    return min(counts(graph, order).multiplications for order in itertools.permutations(graph.intermediates))


def test_hourglass() -> None:
    # 4 inputs, a waist of 5 vertices in a row, 3 outputs. Whatever goes last costs 4 × 3.
    graph = layered(4, 1, 1, 1, 1, 1, 3)
    # Forward: the first four of the waist have 4 predecessors and 1 successor, the last 4 and 3: 4·4 + 12.
    assert counts(graph, "forward").multiplications == 28
    # Reverse: 1 predecessor and 3 successors four times, then 4 and 3: 4·3 + 12.
    assert counts(graph, "reverse").multiplications == 24
    # Across: the three in the middle cost 1 each, the one before the outputs 1 × 3, and the last 4 × 3.
    assert cheapest(graph) == 3 + 3 + 12
    assert counts(graph).multiplications == 18


def test_hourglass_twice() -> None:
    graph = layered(4, 1, 3, 1, 4)
    # Forward: 4 × 3, three times 4 × 1, 4 × 4. Reverse is its mirror image.
    assert counts(graph, "forward").multiplications == 12 + 12 + 16
    assert counts(graph, "reverse").multiplications == 12 + 12 + 16
    # Across: the three in the middle cost 1 each; then 4 × 1 and 4 × 4.
    assert cheapest(graph) == 3 + 4 + 16
    for rule in ("markowitz", "reverse-markowitz", "relative-markowitz"):
        assert counts(graph, rule).multiplications == 23


def test_matrix_chain() -> None:
    # A dense layered graph is a product of matrices of 2×3, 3×4, 4×5 (transposed): forward multiplies from the
    # inputs on (2·3·4 + 2·4·5), reverse from the outputs back (3·4·5 + 2·3·5).
    graph = layered(2, 3, 4, 5)
    assert counts(graph, "forward").multiplications == 24 + 40
    assert counts(graph, "reverse").multiplications == 60 + 30


def test_speelpenning() -> None:
    n = 8
    x = np.linspace(0.5, 2.0, n)

    def product(x: Any) -> Any:
        y = x[0]
        for i in range(1, n):
            y = y * x[i]
        return y

    graph = graph_of(product, x)
    assert len(graph.intermediates) == n - 2
    # Reverse: every partial product has two predecessors and one successor.
    assert counts(graph, "reverse").multiplications == 2 * (n - 2)
    # Forward: the product of k factors depends on k inputs, for k = 2 … n - 1.
    assert counts(graph, "forward").multiplications == n * (n - 1) // 2 - 1
    # All are equally cheap for Markowitz at first: from the end on he finds the reverse mode, from the start not.
    assert counts(graph, "reverse-markowitz").multiplications == 2 * (n - 2)
    assert counts(graph, "best").multiplications == 2 * (n - 2)
    assert counts(graph, "best").rule == "reverse"
    np.testing.assert_allclose(eliminate(graph).jacobian()[0], np.prod(x) / x, rtol=1e-14)


def test_where_markowitz_is_not_best() -> None:
    graph = Graph((1, 2), (6, 7), {3: {1: 1}, 4: {2: 1}, 5: {3: 1, 4: 1}, 6: {4: 1, 5: 1}, 7: {4: 1, 5: 1}})
    # Markowitz: 3 costs 1 × 1; then 4 costs 1 × 3 and 5 costs 2 × 2, so 4 goes, and 5 still costs 2 × 2.
    for rule in ("forward", "reverse", "markowitz", "reverse-markowitz"):
        assert counts(graph, rule).multiplications == 8
    # As the last ones 4 would cost 1 × 2 and 5 would cost 2 × 2: 4 gains by waiting, 5 does not. So 5 goes first.
    assert counts(graph, "relative-markowitz").order == (3, 5, 4)
    assert counts(graph, "relative-markowitz").multiplications == 1 + 4 + 2
    assert cheapest(graph) == 7
    assert counts(graph, "best").rule == "relative-markowitz"


def test_updates_fills_and_peak() -> None:
    # 1 → 2 → 3 with a short cut 1 → 3: eliminating 2 multiplies once and adds to the short cut.
    graph = Graph((1,), (3,), {2: {1: 2.0}, 3: {2: 5.0, 1: 1.0}})
    assert counts(graph) == Count("markowitz", (2,), 1, 1, 0, 3)
    # Two inputs and two outputs around one vertex: four edges become four others.
    assert counts(layered(2, 1, 2)) == Count("markowitz", (3,), 4, 0, 4, 4)
    # Three and three: six become nine.
    assert counts(layered(3, 1, 3)).peak == 9


# -- every order -----------------------------------------------------------------------------------


def test_every_order_gives_the_same() -> None:
    graph = graph_of(lambda x: (z := x[0] * x[1], w := np.sin(z), v := w * z, np.exp(v) + w, v * x[0]), X)
    wanted = eliminate(graph, "forward").jacobian()
    orders = list(itertools.permutations(graph.intermediates))
    assert len(orders) == 24
    for order in orders:
        found = eliminate(graph, order)
        assert (found.rule, found.order) == ("given", order)
        np.testing.assert_allclose(found.jacobian(), wanted, rtol=1e-13)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ((3,), r"misses \[4\]"),
        ((3, 4, 4), r"repeats \[4\]"),
        ((3, 4, 1), r"names what cannot be eliminated in \[1\]"),
        ((3, 5), r"misses \[4\], names what cannot be eliminated in \[5\]"),
        ((), r"misses \[3, 4\]"),
        ("sideways", "there is no order 'sideways': choose from forward, reverse, markowitz"),
    ],
)
def test_wrong_orders(order: Any, message: str) -> None:
    graph = Graph((1, 2), (5,), {3: {1: 1.0}, 4: {3: 1.0, 2: 1.0}, 5: {4: 1.0}})
    for act in (counts, eliminate):
        with pytest.raises(InputError, match=message):
            act(graph, order)


def slowly(graph: Graph, order: Sequence[int]) -> tuple[Any, int, int, int]:
    """The same by matrices: Jacobian, multiplications, new edges, and the most edges."""
    size = len(graph.vertices)
    C, edge = np.zeros((size, size)), np.zeros((size, size), bool)
    for (u, v), w in graph.edges.items():
        C[v, u], edge[v, u] = w, True
    multiplications = fills = 0
    peak = edge.sum()
    for v in order:
        new = np.outer(edge[:, v], edge[v])
        multiplications += new.sum()
        fills += (new & ~edge).sum()
        C += np.outer(C[:, v], C[v])
        edge |= new
        C[:, v], edge[:, v] = 0, False
        if v not in graph.outputs:
            C[v], edge[v] = 0, False
        peak = max(peak, edge.sum())
    C += np.diag([v in graph.inputs for v in range(size)])
    rows = [np.zeros(len(graph.inputs)) if v is None else C[v, list(graph.inputs)] for v in graph.outputs]
    return np.reshape(rows, graph.shape), int(multiplications), int(fills), int(peak)


class Number:
    """A whole number that counts what is done with it."""

    products = sums = 0

    def __init__(self, value: int) -> None:
        self.value = value

    def __mul__(self, other: Number) -> Number:
        Number.products += 1
        return Number(self.value * other.value)

    def __add__(self, other: Number) -> Number:
        Number.sums += 1
        return Number(self.value + other.value)

    def __eq__(self, other: object) -> bool:
        return self.value == (other.value if isinstance(other, Number) else other)

    __hash__ = None  # type: ignore[assignment]

    def __float__(self) -> float:
        return float(self.value)


@many
@given(graphs(), st.data())
def test_random_graphs(graph: Graph, data: st.DataObject) -> None:
    order = data.draw(st.one_of(st.sampled_from([*ORDERS, "best"]), st.permutations(graph.intermediates)))
    found = eliminate(graph, order)
    wanted, multiplications, fills, peak = slowly(graph, found.order)
    np.testing.assert_array_equal(found.jacobian(), wanted)
    assert sorted(found.order) == sorted(graph.intermediates)
    assert (found.multiplications, found.fills, found.peak) == (multiplications, fills, peak)
    assert found.updates == found.multiplications - found.fills

    numbers = {v: {u: Number(w) for u, w in row.items()} for v, row in graph.predecessors.items()}
    Number.products = Number.sums = 0
    again = eliminate(Graph(graph.inputs, graph.outputs, numbers), order)
    assert (Number.products, Number.sums) == (found.multiplications, found.updates)
    np.testing.assert_array_equal(again.jacobian(), wanted)


@many
@given(graphs())
def test_the_jacobian_is_a_block_of_an_inverse(graph: Graph) -> None:
    # With C the matrix of all weights, strictly lower triangular, (I - C)⁻¹ = I + C + C² + … sums over all paths.
    size = len(graph.vertices)
    C = np.zeros((size, size))
    for (u, v), w in graph.edges.items():
        C[v, u] = w
    sums = np.linalg.inv(np.eye(size) - C)
    found = eliminate(graph).jacobian()
    for row, v in zip(found, graph.outputs, strict=True):
        np.testing.assert_allclose(row, 0 if v is None else sums[v, : len(graph.inputs)], atol=1e-9)


@many
@given(graphs(), st.sampled_from(["markowitz", "reverse-markowitz", "relative-markowitz"]))
def test_markowitz_takes_what_costs_least_now(graph: Graph, rule: str) -> None:
    left = list(graph.intermediates)
    last = dict.fromkeys(left, 0)
    if rule == "relative-markowitz":
        for v in left:
            others = [w for w in left if w != v]
            last[v] = slowly(graph, [*others, v])[1] - slowly(graph, others)[1]
    done: list[int] = []
    for v in counts(graph, rule).order:
        before = slowly(graph, done)[1]
        cost = {w: slowly(graph, [*done, w])[1] - before - last[w] for w in left}
        assert v == min(reversed(left) if rule == "reverse-markowitz" else left, key=cost.__getitem__)
        left.remove(v)
        done.append(v)


# -- zeros and infinities --------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_not_there_wins_over_infinity(order: str) -> None:
    def untaken(x: Any) -> Any:
        return np.where(x > 0, np.sqrt(x), 3 * x)

    def entry_by_entry(x: Any) -> Any:
        y = np.zeros_like(x)
        for i in range(2):
            y[i] = np.where(x[i] > 0, np.sqrt(x[i]), 3 * x[i])
        return y

    def off_the_diagonal(x: Any) -> Any:
        return np.sqrt(x) * 1.0

    x = np.array([0.0, 4.0])
    for f in (untaken, entry_by_entry):
        np.testing.assert_array_equal(by_elimination(f, x, order=order), [[3.0, 0.0], [0.0, 0.25]])
    np.testing.assert_array_equal(by_elimination(off_the_diagonal, x, order=order), [[np.inf, 0.0], [0.0, 0.25]])
    # The product of ∞ and 2 has the partials 2 and ∞: the local Jacobian is asked for column by column.
    np.testing.assert_array_equal(by_elimination(np.prod, np.array([np.inf, 2.0]), order=order), [[2.0, np.inf]])


def test_zeros_and_infinities_in_a_graph() -> None:
    for a, b in ((0.0, np.inf), (np.nan, 0.0), (-0.0, -np.inf)):
        for left, right in ((a, b), (b, a)):  # a weight is a number; what is not there has no edge
            assert np.isnan(eliminate(Graph((1,), (3,), {2: {1: left}, 3: {2: right}})).jacobian())
            assert eliminate(Graph((1, 2), (4,), {3: {1: left}, 4: {3: right, 2: 1.0}})).jacobian()[0, 1] == 1.0
    assert np.isnan(eliminate(Graph((1,), (3,), {2: {1: np.nan}, 3: {2: 2.0}})).jacobian())
    assert np.isinf(eliminate(Graph((1,), (3,), {2: {1: np.inf}, 3: {2: 2.0}})).jacobian())


# -- outputs of every sort -------------------------------------------------------------------------


def test_outputs_of_every_sort() -> None:
    def f(x: Any) -> Any:
        z = x[0] * x[1]
        w = np.sin(z)
        return z, w, w, x[2], 7.0, np.ones(2), np.stack([x[1], w, x[1]]), dnp.array([5.0, 6.0]), x

    found = by_elimination(f, X)
    np.testing.assert_allclose(found, by_operator(dd.jacrev, f, X), rtol=1e-14)
    graph = graph_of(f, X)
    assert [v is None for v in graph.outputs] == [False] * 4 + [True] * 3 + [False] * 3 + [True] * 2 + [False] * 3
    assert graph.intermediates == (4,)  # an output that another is computed from
    assert counts(graph).multiplications == 2


def test_a_constant_needs_its_shape() -> None:
    tape, values = recorded(lambda x: (x[0] * 2.0, np.ones(2)), X)
    with pytest.raises(InputError, match="output 1 is a constant"):
        linearized(tape)
    assert eliminated(tape, shapes=[np.shape(v) for v in values]).tolist() == [[2.0, 0.0, 0.0], [0.0] * 3, [0.0] * 3]


def test_constants_only() -> None:
    assert by_elimination(lambda x: 1.0, X).tolist() == [[0.0, 0.0, 0.0]]
    assert by_elimination(lambda x: (), X).shape == (0, 3)


# -- what is refused -------------------------------------------------------------------------------


def test_too_large() -> None:
    tape, _ = recorded(lambda x: np.sin(x) + x, np.ones(100))
    with pytest.raises(InputError, match=r"has 300 vertices or more, and at most 299 are allowed.*mode='forward'"):
        eliminated(tape, most=299)
    np.testing.assert_allclose(eliminated(tape, most=300), (np.cos(1) + 1) * np.eye(100))


def test_too_many_edges() -> None:
    tape, _ = recorded(np.linalg.inv, 8 * np.eye(8) + np.arange(64.0).reshape(8, 8))
    assert len(linearized(tape).edges) == 64 * 64
    tape, _ = recorded(np.linalg.inv, 16 * np.eye(16) + np.arange(256.0).reshape(16, 16))
    with pytest.raises(InputError, match="has 65536 edges or more, and at most 50000 are allowed"):
        linearized(tape, most=1000)


def test_complex_programs() -> None:
    for f, x in ((lambda x: np.real(np.exp(1j * x)), X), (lambda z: z * z, X + 1j)):
        tape, _ = recorded(f, x)
        with pytest.raises(InputError, match=r"complex numbers; use mode='forward'"):
            linearized(tape)


def test_a_tape_without_values() -> None:
    tape, _ = recorded(np.sin, X, replayable=False)
    with pytest.raises(InputError, match="replayable=True"):
        linearized(tape)


def test_nested_differentiation() -> None:
    def inner(x: Any) -> Any:
        return by_elimination(lambda y: np.sin(y) * y, x)

    expected = dd.jacobian(dd.jacobian(lambda y: np.sin(y) * y))(X)
    np.testing.assert_allclose(dd.jacfwd(inner)(X), expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(dd.jacrev(inner)(X), expected, rtol=1e-13, atol=1e-13)
    branches = dd.jacrev(lambda x: by_elimination(lambda y: np.maximum(y * y, np.sin(y)) * np.where(y > 0, y, 2.0), x))
    again = dd.jacobian(dd.jacobian(lambda y: np.maximum(y * y, np.sin(y)) * np.where(y > 0, y, 2.0)))
    np.testing.assert_allclose(branches(X), again(X), rtol=1e-13, atol=1e-13)
