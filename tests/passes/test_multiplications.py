"""How many multiplications a way takes: counted on the graph, or bounded by blocks where there is no graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualdiff.errors import InputError
from dualdiff.kinds import Primitive
from dualdiff.lab.problems import scalar
from dualdiff.passes.elimination import ORDERS, counts, linearized
from dualdiff.passes.multiplications import edges, multiplications, nonlinear
from dualdiff.passes.sparsity import dependence
from dualdiff.shapes import shape_of, size_of
from dualdiff.testing import Subject
from dualdiff.testing.strategies import Program, programs
from dualdiff.values import bind, operand
from dualdiff.ways.problem import record


def recorded(f: Any, *args: Any) -> tuple[Any, list[Any]]:
    tape, values = record(Subject(f, args).problem, replayable=True)
    return tape, [shape_of(v) for v in values]


def count(tape: Any, *args: Any, **options: Any) -> int:
    found = multiplications(tape, *args, **options)
    assert found.exact
    return found.count


@given(programs(max_ops=6))
def test_sweeps_are_orders_and_no_bound_is_below(program: Program) -> None:
    tape, shapes = recorded(program, *program.point)
    graph = linearized(tape, shapes)
    n, m = len(graph.inputs), len(graph.outputs)
    wanted = {order: counts(graph, order).multiplications for order in (*ORDERS, "best")}
    for order, exact in wanted.items():
        assert count(tape, order, shapes=shapes) == exact
    assert count(tape, columns=range(n), shapes=shapes) == wanted["forward"]
    by_rows = count(tape, rows=range(m), shapes=shapes)
    if len(set(graph.outputs)) == m:
        assert by_rows == wanted["reverse"]
    else:  # an output that is listed twice is pulled twice
        assert by_rows >= wanted["reverse"]
    assert count(tape, columns=[-1] * n, rows=[-1] * m, shapes=shapes) == 0
    if len(graph.vertices) > 1:
        widths: list[int] = []
        dependence(tape, counts=widths)
        for order in ("forward", "reverse", "best"):
            for more in (None, widths):
                bound = multiplications(tape, order, shapes=shapes, widths=more, most=0)
                assert not bound.exact
                assert bound.count >= wanted[order]
        both = multiplications(tape, columns=range(n), rows=range(m), shapes=shapes, most=0)
        assert both.count >= count(tape, columns=range(n), rows=range(m), shapes=shapes)


@given(programs(max_ops=6))
def test_sums_of_sweeps_are_those_of_orders(program: Program) -> None:
    tape, shapes = recorded(program, *program.point)
    graph = linearized(tape, shapes)
    n, m = len(graph.inputs), len(graph.outputs)
    for order in ORDERS:
        assert multiplications(tape, order, shapes=shapes).additions == counts(graph, order).updates
    forward = multiplications(tape, columns=range(n), shapes=shapes)
    assert forward.additions == counts(graph, "forward").updates
    if len(set(graph.outputs)) == m and None not in graph.outputs:
        reverse = multiplications(tape, rows=range(m), shapes=shapes)
        assert reverse.additions == counts(graph, "reverse").updates
    assert multiplications(tape, "forward", shapes=shapes, most=0).additions is None


def test_additions_by_hand() -> None:
    # y = a·b with a = x0 + x1, b = x0·x1: each of the two derivatives comes together from two edges of y.
    tape, shapes = recorded(lambda x: (x[0] + x[1]) * (x[0] * x[1]), np.array([2.0, 3.0]))
    assert multiplications(tape, "forward", shapes=shapes).additions == 2
    assert multiplications(tape, columns=[0, 1], shapes=shapes).additions == 2
    # In one direction there is a sum at each of a, b and y.
    assert multiplications(tape, columns=[0, 0], shapes=shapes).additions == 3


@pytest.mark.parametrize(
    ("f", "wanted"),
    [
        (lambda x: x[0] * x[1] + 2 * x[2] - x[0] / 3, 0),
        (lambda x: x[0] / x[1], 1),
        (lambda x: np.sin(x), 3),
        (lambda x: np.sum(np.exp(x) * x), 3),
        (lambda x: np.sin(np.ones(7)) @ np.ones(7) * x, 0),
        (lambda x: (x @ x) ** 0.5, 1),
        (lambda x: np.ones((4, 3)) @ x, 0),
    ],
)
def test_nonlinear_evaluations_are_counted_entry_by_entry(f: Any, wanted: int) -> None:
    tape, _ = recorded(f, np.array([1.0, 2.0, 3.0]))
    assert nonlinear(tape) == wanted


@given(programs(max_ops=5), st.data())
def test_groups_take_less_the_fewer_they_are(program: Program, data: st.DataObject) -> None:
    tape, shapes = recorded(program, *program.point)
    n, m = sum([a.size for a in tape.inputs]), sum(map(size_of, shapes))
    for name, size in (("columns", n), ("rows", m)):
        groups = data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
        some = count(tape, **{name: groups}, shapes=shapes)
        assert (
            count(tape, **{name: [0] * size}, shapes=shapes)
            <= some
            <= count(tape, **{name: range(size)}, shapes=shapes)
        )
        assert multiplications(tape, **{name: groups}, shapes=shapes, most=0).count >= some


def test_published_counts_in_the_same_unit() -> None:
    case = scalar.roe_flux(shifted=False)
    tape, shapes = recorded(case.function, case.point)
    assert count(tape, columns=range(6), shapes=shapes) == count(tape, "forward", shapes=shapes) == 620
    assert count(tape, rows=range(3), shapes=shapes) == count(tape, "reverse", shapes=shapes) == 364
    assert count(tape, "markowitz", shapes=shapes) == 407


def test_counts_by_hand() -> None:
    def f(x: Any) -> Any:
        y = x[1:] * x[:-1]
        return np.sin(y), y[0] * np.exp(y[1])

    tape, shapes = recorded(f, np.linspace(1, 2, 5))
    # y depends on two inputs each: four sines, an exponential, a product of y and of the exponential, of four inputs.
    assert count(tape, columns=range(5), shapes=shapes) == 4 * 2 + 2 + 2 + 2
    assert count(tape, columns=[0, 1, 0, 1, 0], shapes=shapes) == 14
    assert count(tape, columns=[0, -1, -1, -1, -1], shapes=shapes) == 1 + 1
    # Backwards: two edges into each y, times its sine, and for two of them one output more; one edge into exp.
    assert count(tape, rows=range(5), shapes=shapes) == 2 * (1 + 1 + 1 + 1 + 1 + 1) + 1
    assert count(tape, rows=[0] * 5, shapes=shapes) == 2 * 4 + 1


def test_a_bound_says_so() -> None:
    W = np.ones((300, 200))
    tape, _ = recorded(lambda x: np.tanh(W @ np.tanh(x)), np.ones(200))
    found = multiplications(tape, "forward", most=100)
    assert (found.count, found.exact) == (200 * (300 * 200 + 300), False)
    assert str(found) == "at most 12,060,000"
    assert str(multiplications(tape, "forward", widths=[1, 1, 200, 200], most=100)) == "at most 120,000"
    assert str(multiplications(tape, "reverse", most=100)) == "at most 18,060,000"
    assert multiplications(tape, "best", most=100).count == 12_060_000
    with pytest.raises(InputError, match="at most 100 are allowed"):
        multiplications(tape, "markowitz", most=100)
    complex_tape, _ = recorded(lambda z: z * np.exp(z), np.ones(3) + 1j)
    assert not multiplications(complex_tape, "forward").exact


def test_either_an_order_or_groups() -> None:
    tape, _ = recorded(np.sin, np.ones(3))
    for options in ({}, {"order": "forward", "rows": range(3)}):
        with pytest.raises(InputError, match="an order of elimination, or the groups"):
            multiplications(tape, **options)
    for options in ({"columns": [0]}, {"rows": [0] * 4}):
        with pytest.raises(InputError, match="a group for each of the 3"):
            multiplications(tape, **options)


BOUNDED: list[Any] = [
    lambda x: np.sin(x) * np.sum(x),
    lambda x: x.reshape(2, 3) @ x.reshape(3, 2),
    lambda x: np.cumsum(x * x)[::-1].reshape(2, 3).sum(axis=0),
    lambda x: np.exp(x[1:] * x[:-1]).prod() * np.ones(3),
    lambda x: np.linalg.det(np.outer(x[:2], x[2:4]) + np.eye(2)) * x,
    lambda x: np.sort(np.sin(x))[:3] + x[0],
]


@pytest.mark.parametrize("f", BOUNDED)
def test_a_bound_is_never_less_than_the_count(f: Any) -> None:
    tape, shapes = recorded(lambda x: (f(x), np.ones(2)), np.linspace(0.3, 1.2, 6))
    for order in ("forward", "reverse"):
        exact = multiplications(tape, order, shapes=shapes)
        bound = multiplications(tape, order, shapes=shapes, most=0)
        assert exact.exact
        assert not bound.exact
        assert bound.count >= exact.count
    m = int(np.size(f(np.ones(6)))) + 2
    for groups in ({"columns": [0, 1, 0, 1, 0, 1]}, {"rows": [k % 2 for k in range(m)]}):
        assert (
            multiplications(tape, shapes=shapes, most=0, **groups).count
            >= multiplications(tape, shapes=shapes, **groups).count
        )  # type: ignore[arg-type]


class Reading(Primitive):
    """Twice the sum of all entries but the third, which says so by labels."""

    kind = "general"

    def push(self, sweep, tangents, args, params, out):
        (t,) = tangents
        return 2.0 * (np.sum(t, axis=-1) - t[..., 2])

    def pull(self, sweep, g, ins, args, params, out):
        return (np.asarray(g)[..., None] * np.array([2.0, 2.0, 0.0, 2.0]),)

    def labels(self, k, args, params, out):
        return 0, np.array([0, 0, -1, 0])


def test_edges_of_labels() -> None:
    row = Reading("reading", lambda x: 2.0 * (np.sum(x) - x[2]))
    tape, _ = recorded(lambda x: bind(row, (operand(x),), {}), np.arange(4.0))
    assert edges(tape) == 3
    tape, _ = recorded(np.sin, np.arange(4.0))
    assert edges(tape) == 4
    tape, _ = recorded(lambda x: np.sum(x) * x[:2], np.arange(4.0))
    assert edges(tape) == 4 + 2 + 2
