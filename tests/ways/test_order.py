"""An order of elimination that was found elsewhere: taken, checked, and held against later runs."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff import lab
from dualdiff.errors import InputError
from dualdiff.lab.problems import scalar
from dualdiff.passes.elimination import linearized
from dualdiff.tape import record

CASE = scalar.robot_arm()
X = np.array([1.0, 2.0])


def branched(x: Any) -> Any:
    y = np.sin(x[1])
    return x[0] * y * y if x[0] > 0 else np.cos(y) * x[0] * x[1]


def chosen(x: Any) -> Any:
    y = np.sin(x[0])
    return np.where(y > 0, np.exp(y * x[1]), y) * x[1]


def test_an_order_found_gives_the_jacobian_at_any_point() -> None:
    found = lab.graph(CASE.function, CASE.point).search(evaluations=3000)
    J = dd.jacobian(CASE.function, mode="elimination", order=found.order)
    for x in (CASE.point, CASE.point + 0.1, CASE.point - 0.05):
        np.testing.assert_allclose(J(x), CASE.jacobian(x), rtol=1e-9, atol=1e-12)  # type: ignore[misc]
    explained = J.explain(CASE.point)
    told = next(way.multiplications for way in explained.ways if way.name == "elimination")
    assert told is not None
    assert told.count == found.multiplications < 288
    assert "in the order given" in explained.reason


@pytest.mark.parametrize("order", ["forward", "reverse", "markowitz", "reverse-markowitz", "best"])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_rule_by_its_name(order: str, sparse: bool) -> None:
    J = dd.jacobian(CASE.function, mode="elimination", order=order, sparse=sparse)
    found = J(CASE.point)
    dense = found.toarray() if sparse else found
    np.testing.assert_allclose(dense, CASE.jacobian(CASE.point), rtol=1e-9, atol=1e-12)  # type: ignore[misc]
    told = J.explain(CASE.point).ways
    count = next(way.multiplications for way in told if way.name == "elimination")
    assert count is not None
    assert count.count == lab.graph(CASE.function, CASE.point).eliminate(order).multiplications


def test_arrays_and_lists_of_vertices() -> None:
    order = lab.graph(branched, X).order
    for given in (list(order), np.array(order), iter(order)):
        np.testing.assert_allclose(dd.jacobian(branched, mode="elimination", order=given)(X), dd.grad(branched)(X))


def test_another_program_is_refused_on_a_later_run() -> None:
    order = lab.graph(branched, X).order
    J = dd.jacobian(branched, mode="elimination", order=order)
    J(X)
    with pytest.raises(InputError, match="order= was given for another program"):
        J(-X)
    np.testing.assert_allclose(J(2 * X), dd.grad(branched)(2 * X))
    by_rule = dd.jacobian(branched, mode="elimination", order="reverse")
    np.testing.assert_allclose([by_rule(X), by_rule(-X)], [dd.grad(branched)(X), dd.grad(branched)(-X)])


def test_another_operand_of_where_has_other_vertices() -> None:
    order = lab.graph(chosen, X).order
    J = dd.jacobian(chosen, mode="elimination", order=order)
    np.testing.assert_allclose(J(X), dd.grad(chosen)(X))
    with pytest.raises(InputError, match=r"each of graph\.intermediates once"):
        J(np.array([-1.0, 2.0]))


def test_a_plan_keeps_its_order() -> None:
    order = lab.graph(branched, X).order
    plan = dd.plan_jacobian(branched, X, mode="elimination", order=order)
    np.testing.assert_allclose(plan(2 * X), dd.grad(branched)(2 * X))
    again = pickle.loads(pickle.dumps(plan))
    np.testing.assert_allclose(again(2 * X), dd.grad(branched)(2 * X))
    for made in (plan, again):
        with pytest.raises(InputError, match="order= was given for another program"):
            made(-X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "best"}, "give mode='elimination' as well"),
        ({"order": "best", "mode": "forward"}, "give mode='elimination' as well"),
        ({"order": "sideways", "mode": "elimination"}, "order='sideways' must be one of 'forward', .* or vertices"),
        ({"order": 3, "mode": "elimination"}, "order=3 must be the name of a rule, or a sequence"),
        ({"order": [3.5], "mode": "elimination"}, "which are whole numbers"),
    ],
)
def test_options_that_ask_for_nothing(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dd.jacobian(branched, **options)


@pytest.mark.parametrize("order", [[], [3], [1, 2], range(100)])
def test_orders_of_no_such_graph(order: Any) -> None:
    with pytest.raises(InputError, match=r"each of graph\.intermediates once"):
        dd.jacobian(branched, mode="elimination", order=order)(X)


def test_a_long_complaint_is_cut() -> None:
    with pytest.raises(InputError, match=r"names what cannot be eliminated in \[0, 1, 2.*, …\] \(\d+ in all\)"):
        dd.jacobian(branched, mode="elimination", order=range(100))(X)


def test_a_tape_without_outputs_has_no_graph() -> None:
    tape, y = record(lambda x: x * x, 3.0, replayable=True)
    with pytest.raises(InputError, match="this tape has no outputs"):
        linearized(tape)
    tape.outputs = [y.mark]
    assert linearized(tape).edges == {(1, 2): 6.0}
