"""What a row answers that says no more than its push and its pull."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.kinds import Discrete, Primitive, Sweep, base
from dualdiff.kinds.base import Asked, nonzero
from dualdiff.values import bind, operand

X = np.linspace(0.5, 1.5, 200)


class Folded(Primitive):
    """x + x[::-1]·x, by hand: a row of no kind."""

    kind = "general"

    def push(self, sweep: Sweep, tangents: Any, args: Any, params: Any, out: Any) -> Any:
        (t,), (x,) = tangents, args
        return t + t[..., ::-1] * x + x[::-1] * t

    def pull(self, sweep: Sweep, g: Any, ins: Any, args: Any, params: Any, out: Any) -> Any:
        (x,) = args
        return (g + (g * x)[..., ::-1] + g * x[::-1],)


folded = Folded("folded", lambda x: x + x[::-1] * x)


def f(x: Any) -> Any:
    return np.sin(bind(folded, (operand(2.0 * x),), {}))


def plain(x: Any) -> Any:
    return np.sin(2.0 * x + (2.0 * x)[::-1] * (2.0 * x))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "forward"},
        {"mode": "reverse"},
        {"sparse": True},
        {"sparse": True, "mode": "forward"},
        {"mode": "elimination"},
    ],
    ids=str,
)
def test_a_row_of_no_kind_goes_every_way(options: Any) -> None:
    x = X if options.get("mode") != "elimination" else X[:6]
    found = dd.jacobian(f, **options)(x)
    np.testing.assert_allclose(
        found.toarray() if options.get("sparse") else found, dd.jacrev(plain)(x), rtol=1e-12, atol=1e-14
    )


def test_a_row_of_no_kind_knows_no_links_and_declares_no_entries() -> None:
    assert folded.links(0, (X,), {}, X) is None
    assert folded.entries(0, (X,), {}, X) is None


def test_a_traced_zero_counts_as_reached() -> None:
    x = np.array([0.0, 1.0])
    np.testing.assert_array_equal(nonzero(x), [False, True])
    seen = []
    dd.jvp(lambda x: seen.append(nonzero(x)) or x, (x,), (x,))
    np.testing.assert_array_equal(seen[0], [True, True])


def test_a_pickled_row_brings_the_table_that_it_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = pickle.dumps(folded)
    assert pickle.loads(kept) is folded
    monkeypatch.delitem(base.PRIMITIVES, "folded")  # as in a process that has not imported the table
    monkeypatch.setattr(base, "later", [lambda: base.PRIMITIVES.update(folded=[folded])])
    assert pickle.loads(kept) is folded


def test_rows_of_a_family_are_made_once_and_found_by_their_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "FAMILIES", {})
    monkeypatch.setattr(base, "PRIMITIVES", {name: [*rows] for name, rows in base.PRIMITIVES.items()})

    @base.family("floors of multiples", lambda *n: len(n) == 1 and type(n[0]) is int)
    def multiples(n: int) -> tuple[Discrete, Discrete]:
        return (
            Discrete(f"floor of {n} times", lambda x: np.floor(n * x)),
            Discrete(f"ceil of {n} times", lambda x: np.ceil(n * x)),
        )

    floor, ceil = multiples(3)
    assert multiples(3)[0] is floor
    kept = pickle.dumps([floor, ceil])
    assert pickle.loads(kept) == [floor, ceil]
    known = dict(base.FAMILIES)
    base.FAMILIES.clear()  # as in a process that has not imported the table
    monkeypatch.setattr(base, "later", [lambda: base.FAMILIES.update(known)])
    assert pickle.loads(kept) == [floor, ceil]
    for number in (("floors of multiples", ("3",), 0), ("floors of multiples", (3,), 2), ("no family", (3,), 0)):
        assert base.primitive_named(floor.name, number) is None
        monkeypatch.setattr(floor, "family", number)
        with pytest.raises(pickle.UnpicklingError, match="has no row 'floor of 3 times'"):
            pickle.loads(pickle.dumps(floor))


def test_what_is_piecewise_constant_has_neither_tangent_nor_cotangent() -> None:
    row = Discrete("floor", np.floor)
    assert row.push(Sweep(()), [np.ones(2)], [np.ones(2)], {}, np.ones(2)) is None
    assert row.pull(Sweep(()), np.ones(2), [0], [np.ones(2)], {}, np.ones(2)) == [None]


def test_the_terms_of_all_operands_are_asked_about_together() -> None:
    sets = [frozenset({1, 2}), None, frozenset({2, (0, 0)})]
    assert Asked(sets, [X] * 3, {}, X, 10, 1).together == {1, 2, (0, 0)}
    assert Asked(sets[:2], [X] * 2, {}, X, 10, 1).together == {1, 2}
