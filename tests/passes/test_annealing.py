"""The search for orders of elimination: its counts are exact, it never returns a worse order, it repeats; and a bound holds."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualdiff.errors import InputError
from dualdiff.lab import graph
from dualdiff.lab.problems import scalar
from dualdiff.lab.problems.learning import perceptron_loss
from dualdiff.passes.elimination import ORDERS, Graph, anneal, annealing, counts, eliminate, lower_bound
from tests.strategies import graphs


@given(graphs(), st.randoms(use_true_random=False))
def test_bits_cost_what_sets_cost(drawn: Graph, random: Any) -> None:
    vertices = drawn.intermediates
    order = random.sample(range(len(vertices)), len(vertices))
    state = annealing._bits(drawn)
    costs = [annealing._eliminate(state, v) for v in order]
    assert sum(costs) == counts(drawn, [vertices[v] for v in order]).multiplications


@given(graphs(), st.sampled_from([*ORDERS, "best"]), st.integers(0, 3))
def test_no_order_found_is_dearer_and_each_gives_the_jacobian(drawn: Graph, start: str, seed: int) -> None:
    first = counts(drawn, start)
    found = anneal(drawn, start, evaluations=60, seed=seed)
    assert found.multiplications <= found.start == first.multiplications
    assert found.multiplications == counts(drawn, found.order).multiplications
    done = eliminate(drawn, found.order)
    assert (done.multiplications, done.updates, done.fills) == (found.multiplications, found.updates, found.fills)
    assert np.array_equal(done.jacobian(), eliminate(drawn, "forward").jacobian())


@given(graphs())
def test_small_graphs_are_solved(drawn: Graph) -> None:
    if len(drawn.intermediates) > 5:
        return
    least = min(counts(drawn, order).multiplications for order in itertools.permutations(drawn.intermediates))
    assert anneal(drawn, "forward", evaluations=500).multiplications == least


def test_cost_follows_from_what_is_gone_not_from_the_order() -> None:
    case = scalar.heart_dipole()
    drawn = graph(case.function, case.point).graph
    rng = np.random.default_rng(0)
    order = rng.permutation(len(drawn.intermediates)).tolist()
    state, other = annealing._bits(drawn), annealing._bits(drawn)
    for v in order[:40]:
        annealing._eliminate(state, v)
    for v in rng.permutation(order[:40]).tolist():
        annealing._eliminate(other, v)
    for v in order[40:]:
        assert annealing._eliminate(state, v) == annealing._eliminate(other, v)


PUBLISHED = [
    (scalar.roe_flux(shifted=False), 320, 297),
    (scalar.robot_arm(), 231, 221),
    (scalar.heart_dipole(), 148, 148),
    (scalar.propane_combustion(), 88, 88),
]


@pytest.mark.parametrize(("case", "learned", "ours"), PUBLISHED, ids=lambda c: getattr(c, "name", ""))
def test_orders_are_at_or_below_the_learned_ones(case: Any, learned: int, ours: int) -> None:
    drawn = graph(case.function, case.point).graph
    found = anneal(drawn, evaluations=30_000)
    assert found.multiplications <= ours <= learned
    J = eliminate(drawn, found.order).jacobian()
    np.testing.assert_allclose(J, case.jacobian(case.point), rtol=1e-9, atol=1e-12)


def test_the_same_budget_and_seed_give_the_same_order() -> None:
    case = scalar.robot_arm()
    drawn = graph(case.function, case.point).graph
    one, again, other = (anneal(drawn, "markowitz", evaluations=2000, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one.order != other.order
    assert (one.rule, one.seed, one.start) == ("annealing", 1, 288)
    assert 2000 <= one.evaluations < 2000 + annealing.MOVES


def test_a_limit_of_time_ends_it() -> None:
    case = scalar.robot_arm()
    drawn = graph(case.function, case.point).graph
    short = anneal(drawn, "forward", seconds=0.05)
    assert 0 < short.evaluations < 1_000_000
    assert short.multiplications <= 397
    cut = anneal(drawn, "forward", evaluations=10**9, seconds=0.05)
    assert cut.evaluations < 10**9


def test_graphs_without_a_choice() -> None:
    for drawn in (Graph((1,), (1,), {}), Graph((1,), (3,), {2: {1: 2.0}, 3: {2: 1.0}})):
        found = anneal(drawn)
        assert found.order == drawn.intermediates
        assert found.evaluations == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"evaluations": 0}, "evaluations=0 must be a positive"),
        ({"seconds": 0.0}, "seconds=0.0 must be a positive"),
        ({"seconds": float("nan")}, "seconds=nan must be a positive"),
        ({"start": "sideways"}, "no order 'sideways'"),
        ({"start": (2, 2)}, r"misses \[3\], repeats \[2\]"),
    ],
)
def test_what_is_refused(options: Any, message: str) -> None:
    drawn = Graph((1,), (4,), {2: {1: 2.0}, 3: {2: 1.0}, 4: {3: 1.0}})
    with pytest.raises(InputError, match=message):
        anneal(drawn, **options)


# -- no order takes fewer --------------------------------------------------------------------------


@given(graphs())
def test_no_order_is_below_the_bound(drawn: Graph) -> None:
    if len(drawn.intermediates) > 5:
        return
    least = min(counts(drawn, order).multiplications for order in itertools.permutations(drawn.intermediates))
    assert lower_bound(drawn) <= least


@given(graphs())
def test_the_bound_is_a_maximal_flow(drawn: Graph) -> None:
    networkx: Any = pytest.importorskip("networkx")

    def flow(edges: Any, start: int, ends: set[int]) -> int:
        net = networkx.DiGraph([((u, 1), (v, 0)) for u, v in edges if u != start and v != start])
        net.add_nodes_from(["from", "to"])
        for u, v in edges:
            if u == start:
                net.add_edge("from", (v, 0))
        for v in drawn.vertices:
            if v != start:
                net.add_edge((v, 0), (v, 1), capacity=1)
        net.add_edges_from([((v, 1), "to") for v in ends])
        return networkx.maximum_flow_value(net, "from", "to")

    edges = list(drawn.edges)
    wanted = 0
    for v in drawn.intermediates:
        outputs = {y for y in drawn.outputs if y is not None} - {v}
        wanted += flow([e[::-1] for e in edges], v, set(drawn.inputs)) * flow(edges, v, outputs)
    assert lower_bound(drawn) == wanted


def test_bounds_by_hand() -> None:
    # Two inputs that meet before the waist, and two outputs behind it: nothing widens or narrows but the waist itself.
    hourglass = Graph((1, 2), (6, 7), {3: {1: 1, 2: 1}, 4: {3: 1}, 5: {4: 1}, 6: {5: 1}, 7: {5: 1}})
    assert lower_bound(hourglass) == 2 * 1 + 1 * 1 + 1 * 2
    assert anneal(hourglass, evaluations=200).multiplications == 7
    # An output that others use stays an end behind those before it: 3 leads to 4 and, past it, to 5.
    used = Graph((1,), (4, 5), {3: {1: 1}, 4: {3: 1}, 5: {3: 1, 4: 1}})
    assert lower_bound(used) == 1 * 2 + 1 * 1
    assert counts(used, "reverse").multiplications == 3


CLOSED = [
    (scalar.robot_arm(), 221),
    (scalar.heart_dipole(), 148),
    (scalar.propane_combustion(), 88),
    (perceptron_loss(), 270),
]


@pytest.mark.parametrize(("case", "least"), CLOSED, ids=lambda c: getattr(c, "name", ""))
def test_the_cheapest_orders_of_four_programs_are_known(case: Any, least: int) -> None:
    drawn = graph(case.function, case.point).graph
    assert lower_bound(drawn) == counts(drawn, "best").multiplications == least
