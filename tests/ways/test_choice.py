"""The choice between the ways: what it explains, what may steer it, what it remembers, and what it may spend."""

from __future__ import annotations

import dataclasses
import itertools
import json
import tracemalloc
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import dualdiff as dd
from dualdiff.coloring import BidirectionalColoring, Coloring, color_both, color_columns
from dualdiff.errors import InputError
from dualdiff.kinds.base import ALL
from dualdiff.lab.problems.chains import hourglass, layers
from dualdiff.passes import costs
from dualdiff.passes.costs import Machine, constants, machine, seconds
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.testing import Subject
from dualdiff.ways import WAYS, Columns, Forward, Program, Rows, RowSparse, Way, colored, decisions
from dualdiff.ways.mixed import Product, Pulled, Pushed
from dualdiff.ways.options import Options
from dualdiff.ways.problem import record

X = np.linspace(0.5, 1.5, 12)
HOURGLASS = hourglass(1000, 3, 1000)


def tridiagonal(x: Any) -> Any:
    y = (3 - 2 * x) * x + 1
    y[1:] -= x[:-1]
    y[:-1] -= 2 * x[1:]
    return y


def tape_of(f: Any, *args: Any) -> Any:
    return record(Subject(f, args).problem, replayable=True)[0]


def array(J: Any) -> Any:
    return J.toarray() if isinstance(J, csr_array) else J


BY_NAME = {w.name: w for w in WAYS}


def prefer(name: str) -> Any:
    def cost(tape: Any, way: Way) -> float:
        return 1e-3 if way.name == name else 1.0

    return cost


@pytest.fixture(autouse=True)
def shipped(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Choose by the shipped constants, whatever this machine has been measured to be."""
    monkeypatch.setenv("DUALDIFF_CALIBRATION", "shipped")
    machine.cache_clear()
    yield
    machine.cache_clear()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often a choice is made."""
    count: Counter[str] = Counter()
    for name in ("decide", "choose"):

        def counting(original: Any, name: str, *args: Any, **kwargs: Any) -> Any:
            count[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(decisions, name, partial(counting, getattr(decisions, name), name))
    return count


# --------------------------------------------------------------------------------------------------
# explaining


@pytest.mark.parametrize("measure", [False, True])
@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {"forward", "reverse"}),
        ({"mode": "reverse"}, {"forward", "reverse"}),
        ({"sparse": True}, {"row-sparse", "columns", "rows"}),
        ({"mode": "finite-differences"}, {"forward", "reverse", "finite-differences"}),
        ({"mode": "complex-step"}, {"forward", "reverse", "complex-step"}),
        ({"mode": "elimination"}, {"forward", "reverse", "elimination"}),
    ],
)
def test_explain_lists_every_way_with_its_costs(options: Any, names: set[str], measure: bool) -> None:
    e = dd.jacobian(tridiagonal, **options).explain(X, measure=measure)
    assert {w.name for w in e.ways} == names
    assert (e.inputs, e.outputs) == (12, 12)
    assert e.equations == len(tape_of(tridiagonal, X))
    for w in e.ways:
        assert w.sweeps >= (0 if w.name == "elimination" else 1)
        assert (w.multiplications is None) is w.way.plain
        assert w.multiplications is None or (w.multiplications.exact and w.multiplications.count > 0)
        assert w.bytes > 0
        assert 0 < w.seconds < 1
        assert (w.measured is not None) is measure
    assert e.chosen in names
    assert options.get("mode", e.chosen) == e.chosen
    text = str(e)
    head, columns, *rows = text.splitlines()
    assert head == f"Jacobian of 12 outputs by 12 inputs, {e.equations} equations"
    for word in ("way", "sweeps", "multiplications", "bytes", "est. time"):
        assert word in columns
    assert ("measured" in columns) is measure
    for w, row in zip(e.ways, rows, strict=False):
        assert row.startswith(w.name)
        assert w.multiplications is None or str(w.multiplications) in row.split()
        assert f"{w.sweeps:,}" in row.split()
        assert row.endswith("← chosen") is (w.name == e.chosen)
    assert rows[-1] == e.reason


def test_explain_counts_sweeps_and_colors() -> None:
    dense = {w.name: w.sweeps for w in dd.jacobian(tridiagonal).explain(X).ways}
    assert dense == {"forward": 12, "reverse": 12}
    sparse = {w.name: w.sweeps for w in dd.jacobian(tridiagonal, sparse=True).explain(X).ways}
    assert sparse == {"row-sparse": 1, "columns": 3, "rows": 3}
    case = hourglass(60, 2, 50)
    through = {w.name: w for w in dd.jacobian(case.function).explain(case.point).ways}
    assert through["mixed"].sweeps == 4
    assert (through["mixed"].way.columns, through["mixed"].way.rows) == (2, 2)


def test_the_reason_is_a_sentence_that_names_the_winner() -> None:
    for f, x, options in (
        (tridiagonal, X, {}),
        (tridiagonal, X, {"sparse": True}),
        (tridiagonal, X, {"mode": "reverse"}),
        (np.sum, X, {}),
        (np.sin, X[:2], {}),
        (HOURGLASS.function, HOURGLASS.point, {}),
    ):
        e = dd.jacobian(f, **options).explain(x)
        assert e.reason.startswith(f"{e.chosen}: ")
        assert e.reason.endswith(".")
        assert "\n" not in e.reason
    reason = dd.jacobian(tridiagonal, mode="reverse").explain(X).reason
    assert "asked for by mode='reverse'" in reason
    assert "Measured" in dd.jacobian(tridiagonal).explain(X, measure=True).reason
    e = dd.jacobian(lambda x: np.sin(x) * np.sum(x)).explain(np.ones(300))
    first, second, *_ = sorted(w.seconds for w in e.ways)
    said = f"estimated {second / first:.1f} times faster than" if second >= 1.05 * first else "about as fast as"
    assert said in e.reason


def test_an_explanation_is_frozen() -> None:
    e = dd.jacobian(tridiagonal).explain(X)
    with pytest.raises(dataclasses.FrozenInstanceError):
        e.chosen = "reverse"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        e.ways[0].seconds = 0.0  # type: ignore[misc]


def test_explaining_does_not_spoil_what_follows(counted: Counter[str]) -> None:
    J = dd.jacobian(tridiagonal, sparse=True, coloring="columns")
    J(X)
    J.explain(2 * X)
    counted.clear()
    assert J(X).shape == (12, 12)
    assert not counted


# --------------------------------------------------------------------------------------------------
# another model of cost


@pytest.mark.parametrize("name", ["forward", "reverse", "mixed"])
def test_cost_replaces_the_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = hourglass(20, 2, 15)
    J = dd.jacobian(case.function, cost=prefer(name))
    e = J.explain(case.point)
    assert e.chosen == name
    assert {w.name: w.seconds for w in e.ways} == {"forward": 1.0, "reverse": 1.0, "mixed": 1.0} | {name: 1e-3}
    went = []
    original = decisions.carry_out
    monkeypatch.setattr(decisions, "carry_out", lambda p, o, w, *r: (went.append(w.name), original(p, o, w, *r))[1])
    np.testing.assert_allclose(J(case.point), case.jacobian(case.point), rtol=1e-10, atol=1e-12)  # type: ignore[misc]
    assert went == [name]


@pytest.mark.parametrize("name", ["row-sparse", "columns", "rows"])
def test_cost_replaces_the_model_of_the_sparse_ways(name: str) -> None:
    J = dd.jacobian(tridiagonal, sparse=True, cost=prefer(name))
    assert J.explain(X).chosen == name
    np.testing.assert_allclose(J(X).toarray(), dd.jacfwd(tridiagonal)(X))


def test_cost_is_asked_with_a_tape_and_a_way() -> None:
    asked: list[tuple[Any, Way]] = []

    def cost(tape: Any, way: Way) -> float:
        asked.append((tape, way))
        return seconds(tape, way)

    assert dd.jacobian(tridiagonal, cost=cost)(X).shape == (12, 12)
    assert {way.name for _, way in asked} == {"forward", "reverse"}
    for tape, way in asked:
        assert len(tape) == len(tape_of(tridiagonal, X))
        assert (way.outputs, way.inputs, way.entries) == (12, 12, 144)
    with pytest.raises(ZeroDivisionError):
        dd.jacobian(tridiagonal, cost=lambda tape, way: 1 / 0)(X)


@pytest.mark.parametrize(
    "options", [{}, {"mode": "forward"}, {"mode": "reverse"}, {"sparse": True, "coloring": "columns"}]
)
@pytest.mark.parametrize("chunk", [1, 2, 8, 100])
def test_chunks_run_the_function_once(options: Any, chunk: int) -> None:
    runs = []

    def f(x: Any) -> Any:
        runs.append(None)
        return np.stack([x[0] * x[1], np.sin(x[2]), x[3] ** 2 * x[0], np.sum(x)])

    J = dd.jacobian(f, chunk=chunk, **options)
    for point in (X[:8], 2 * X[:8]):
        runs.clear()
        found = array(J(point))
        assert len(runs) == 1
        np.testing.assert_allclose(found, dd.jacrev(f)(point))


# --------------------------------------------------------------------------------------------------
# the model


@pytest.mark.parametrize("f", [tridiagonal, lambda x: np.tanh(np.outer(x, x)).sum(axis=0), lambda x: np.sort(x * x)])
def test_cost_grows_with_the_directions(f: Any) -> None:
    program = Program(tape_of(f, X))
    tape = program.tape
    shape = {"outputs": 12, "inputs": 12, "entries": 34}
    for name in ("reverse", "rows", "columns", "star", "finite-differences", "complex-step"):
        pulled = name in ("reverse", "rows")
        taken = [
            seconds(program, BY_NAME[name](columns=0 if pulled else k, rows=k if pulled else 0, **shape))
            for k in (1, 2, 5, 12, 100, 10_000)
        ]
        assert all(a < b for a, b in itertools.pairwise(taken)), name
    for whole in (Columns(columns=100, **shape), Rows(rows=100, **shape)):
        assert seconds(program, dataclasses.replace(whole, chunk=10)) > seconds(program, whole)
    for k, more in ((1, 2), (2, 12), (12, 100)):
        assert costs.peak(tape, k) < costs.peak(tape, more)


@pytest.mark.parametrize("name", ["forward", "reverse"])
def test_cost_of_a_dense_program_grows_with_its_size(name: str) -> None:
    taken = []
    for n in (10, 100, 400):
        W = np.ones((n, n))
        tape = tape_of(lambda x, W=W: np.tanh(W @ np.tanh(W @ x)), np.ones(n))
        directions = {"columns": n} if name == "forward" else {"rows": n}
        taken.append(seconds(Program(tape), BY_NAME[name](outputs=n, inputs=n, entries=n * n, **directions)))
    assert taken[0] < taken[1] < taken[2]


def test_multiplications_are_in_the_unit_of_elimination() -> None:
    W = np.ones((7, 5))

    def count(f: Any, way: str) -> Any:
        found = {w.name: w.multiplications for w in dd.jacobian(f, mode=way).explain(np.linspace(0.2, 0.9, 5)).ways}
        return found[way].count, found[way].exact

    assert count(lambda x: np.sin(W @ np.cos(x)), "forward") == (35 + 35, True)  # the seeds' ones are free
    assert count(lambda x: np.sin(W @ np.cos(x)), "reverse") == (35 + 35, True)
    assert count(lambda x: (W @ np.cos(x)).sum(), "reverse") == (35 + 5, True)
    assert count(np.sin, "forward") == count(lambda x: x[::-1] + 1, "reverse") == (0, True)
    assert count(lambda x: np.sin(x) * np.cos(x), "elimination") == (10, True)
    # Of more than 4096 edges a graph is not written out: the bound is the number here, and does not claim more.
    W = np.ones((900, 5))
    assert count(lambda x: np.sin(W @ np.cos(x)), "forward") == (4500 + 4500, False)
    long = dd.jacobian(lambda x: np.sum(np.cos(np.sin(x)))).explain(np.ones(30_000)).ways
    assert [str(w.multiplications) for w in long] == ["at most 60,000", "at most 60,000"]


def test_arrays_of_all_directions_are_forecast_with_their_sizes() -> None:
    W = np.ones((7, 5))
    program = Program(tape_of(lambda x: np.sin(W @ np.cos(x)) + np.floor(x[0]), np.ones(5)), [np.zeros(7)])
    assert Forward().arrays(program, 5) == [25, 35, 35, 35]
    wide = np.ones(3000)
    program = Program(tape_of(lambda x: np.cumsum(np.sin(x)), wide), [wide])
    assert Forward().arrays(program, 3000) == [3000 * 3000]  # the sine's is one term


def test_terms_that_are_joined_are_not_gathered() -> None:
    def ring(x: Any) -> Any:
        return (np.concatenate([x[1:], x[:1]]) - 2 * x + np.concatenate([x[-1:], x[:-1]])) * x

    program = Program(tape_of(ring, np.linspace(1, 2, 400)), [np.zeros(400)])
    way = RowSparse.at(program, Options(sparse=True))
    assert way is not None
    assert way.quantities(program)["group"] == 0
    assert way.quantities(program)["scatter"] == 2 * way.entries


def test_no_more_terms_are_forecast_than_an_array_has_directions() -> None:
    W = np.random.default_rng(0).normal(size=(500, 10))
    program = Program(tape_of(lambda x: np.tanh(W @ np.sin(x)), np.ones(10)), [np.zeros(500)])
    assert program.results(10, True)[1:] == [ALL, ALL]


@pytest.mark.parametrize(
    ("n", "m", "expected"),
    [(1, 50, "forward"), (50, 1, "reverse"), (400, 3, "reverse"), (4, 2000, "forward")],
)
def test_the_shape_decides_where_nothing_else_does(n: int, m: int, expected: str) -> None:
    W = np.random.default_rng(0).normal(size=(m, n))
    e = dd.jacobian(lambda x: np.tanh(W @ np.sin(x))).explain(np.ones(n))
    assert e.chosen == expected


def test_an_hourglass_is_a_product_through_its_waist() -> None:
    e = dd.jacobian(HOURGLASS.function).explain(HOURGLASS.point)
    assert e.chosen == "mixed"
    assert "waist of 3" in e.reason
    way = next(w for w in e.ways if w.name == "mixed").way
    tree = way.tree  # type: ignore[attr-defined]
    assert tree.widths == (1000, 3, 1000)
    assert (type(tree), type(tree.first), type(tree.second)) == (Product, Pulled, Pushed)
    assert (way.columns, way.rows) == (3, 3)
    found = dd.jacobian(HOURGLASS.function)(HOURGLASS.point)
    np.testing.assert_allclose(found, HOURGLASS.jacobian(HOURGLASS.point), rtol=1e-9, atol=1e-12)  # type: ignore[misc]


def test_several_waists_are_one_tree() -> None:
    case = layers(40, 3, 50, 2, 40)
    e = dd.jacobian(case.function, mode="mixed").explain(case.point)
    way = next(w for w in e.ways if w.name == "mixed").way
    tree = way.tree  # type: ignore[attr-defined]
    assert {3, 2} >= set(tree.between)  # one narrow place may do for all

    def leaves(tree: Any) -> list[Any]:
        return [*leaves(tree.first), *leaves(tree.second)] if isinstance(tree, Product) else [tree]

    parts = leaves(tree)  # first to last, without a gap
    assert parts[0].before.at == 0
    assert parts[-1].after.at == e.equations
    assert all(a.after == b.before for a, b in itertools.pairwise(parts))
    found = dd.jacobian(case.function, mode="mixed")(case.point)
    np.testing.assert_allclose(found, case.jacobian(case.point), rtol=1e-10, atol=1e-12)  # type: ignore[misc]


def test_a_waist_of_complex_numbers() -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2, 30)), rng.normal(size=(2, 30))

    def f(x: Any) -> Any:
        z = (A @ np.sin(x)) * np.exp(1j * np.sum(x))
        return np.real(z @ (B * (1 + 0.5j))) ** 2

    x = rng.normal(size=30)
    try:
        found = dd.jacobian(f, mode="mixed")(x)
    except InputError:  # as good an answer
        return
    np.testing.assert_allclose(found, dd.jacfwd(f)(x), rtol=1e-9)


def test_mixed_without_a_waist_is_refused() -> None:
    with pytest.raises(InputError, match="this program has none"):
        dd.jacobian(tridiagonal, mode="mixed")(X)


# --------------------------------------------------------------------------------------------------
# what is remembered


@pytest.mark.parametrize(
    "options", [{}, {"sparse": True}, {"sparse": True, "coloring": "columns"}, {"mode": "forward"}, {"flat": True}]
)
def test_planning_happens_once_for_each_input_structure(options: dict[str, Any], counted: Counter[str]) -> None:
    J = dd.jacobian(tridiagonal, **options)
    points = [np.linspace(0.5, 1.5, 300), np.ones(120), np.ones(120, np.float32), np.ones(150)]
    for i, x in enumerate(points, 1):
        J(x)
        assert counted["decide"] == i
    counted.clear()
    for x in points * 2:
        found = J(2 * x)
        assert found.dtype == x.dtype
        np.testing.assert_allclose(array(found), dense(2 * x), rtol=1e-5)
    assert not counted


def dense(x: Any) -> Any:
    """Return the Jacobian of the tridiagonal system by hand."""
    n = len(x)
    return np.diag(3 - 4 * x) - np.eye(n, k=-1, dtype=x.dtype) - 2 * np.eye(n, k=1, dtype=x.dtype)


def test_few_inputs_need_no_planning(counted: Counter[str]) -> None:
    J = dd.jacobian(np.sin)
    for n in (1, 2, 3):
        np.testing.assert_array_equal(J(np.zeros(n)), np.eye(n))
        np.testing.assert_array_equal(J(np.zeros(n)), np.eye(n))
    assert not counted


def test_the_function_runs_once_a_call() -> None:
    calls = 0

    def f(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return tridiagonal(x)

    for options in ({}, {"mode": "reverse"}, {"sparse": True}, {"sparse": True, "coloring": "columns"}):
        J = dd.jacobian(f, **options)  # type: ignore[arg-type]
        J(X)
        calls = 0
        J(2 * X)
        assert calls == 1, options


def test_what_is_remembered_is_bounded() -> None:
    J = dd.jacobian(np.sin, mode="reverse")
    for n in range(1, 101):
        J(np.zeros(n))
    assert len(J._decisions.known) == J._decisions.most == 64
    np.testing.assert_array_equal(J(np.zeros(2)), np.eye(2))


@pytest.mark.parametrize("coloring", [None, "columns", "rows", "both"])
def test_functions_that_share_their_code_share_no_decision(coloring: Any) -> None:
    def make(at: Any, weight: Any) -> Any:
        return lambda x: weight * x[at] ** 2

    for at in (np.arange(12), np.arange(12)[::-1], np.zeros(12, int)):
        for weight in (1.0, np.arange(12.0)):
            J = dd.jacobian(make(at, weight), sparse=True, coloring=coloring)
            expected = np.zeros((12, 12))
            expected[np.arange(12), at] = 2 * weight * X[at]
            np.testing.assert_allclose(J(X).toarray(), expected)
            np.testing.assert_allclose(J(X).toarray(), expected)


def test_operators_are_equal_whatever_they_remember() -> None:
    a, b = dd.jacobian(tridiagonal, sparse=True), dd.jacobian(tridiagonal, sparse=True)
    a(X)
    assert a == b
    assert a != dd.jacobian(tridiagonal)


# --------------------------------------------------------------------------------------------------
# memory


def wide(x: Any) -> Any:
    y = x
    for k in range(4):
        y = np.tanh(y + 0.1 * np.roll(y, k + 1)) * x
    return np.cumsum(y)


def waist_of_three(x: Any) -> Any:
    s = np.stack([np.sum(np.sin(x)), np.sum(x * x), np.sum(x)])
    y = np.tanh(np.repeat(s, 100)) * np.arange(1.0, 301.0)
    return y * y


def stencil(x: Any) -> Any:
    y = x * x
    return np.sin(y[2:]) * y[1:-1] - np.exp(-y[:-2]) + x[1:-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "use sparse=True if most entries are zero, or dd.linear_operator"),
        ({"mode": "forward"}, "dd.linear_operator"),
        ({"mode": "reverse"}, "dd.linear_operator"),
        ({"mode": "elimination"}, "dd.linear_operator"),
        ({"sparse": True}, "allow more, or use dd.linear_operator"),
        ({"sparse": True, "coloring": "columns"}, "allow more, or use dd.linear_operator"),
    ],
)
def test_too_little_memory_is_said_before_it_is_taken(options: dict[str, Any], message: str) -> None:
    J = dd.jacobian(tridiagonal, max_bytes=100, **options)
    for ask in (J, J.explain):
        with pytest.raises(InputError) as raised:
            ask(X)
        text = str(raised.value)
        assert text.startswith("max_bytes=100 is too small: the Jacobian of 12 outputs by 12 inputs takes ")
        assert "with one direction at a time" in text
        assert message in text


def test_too_little_memory_for_a_waist() -> None:
    with pytest.raises(InputError, match="max_bytes=2000 is too small"):
        dd.jacobian(HOURGLASS.function, mode="mixed", max_bytes=2000)(HOURGLASS.point)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_tight_memory_means_chunks_and_the_same_result(mode: Any) -> None:
    x = np.linspace(0.1, 1.0, 60)
    free = dd.jacobian(wide, mode=mode)
    need = next(w for w in free.explain(x).ways if w.name == free.explain(x).chosen)
    assert need.way.chunk is None
    tight = dd.jacobian(wide, mode=mode, max_bytes=need.bytes // 2)
    e = tight.explain(x)
    chosen = next(w for w in e.ways if w.name == e.chosen)
    assert chosen.way.chunk is not None
    assert 1 <= chosen.way.chunk < 60
    assert chosen.bytes <= need.bytes // 2
    for _ in range(2):
        np.testing.assert_allclose(tight(x), free(x), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("coloring", ["columns", "rows"])
def test_colors_travel_in_chunks_too(coloring: Any) -> None:
    x = np.linspace(0.1, 1.0, 200)

    def f(x: Any) -> Any:
        return sum(np.roll(x, k) ** 2 for k in range(12))

    J = dd.jacobian(f, sparse=True, coloring=coloring)
    need = next(w for w in J.explain(x).ways if w.name == coloring)
    tight = dd.jacobian(f, sparse=True, coloring=coloring, max_bytes=int(0.9 * need.bytes))
    chosen = next(w for w in tight.explain(x).ways if w.name == coloring)
    assert chosen.way.chunk is not None
    assert chosen.way.chunk < chosen.sweeps
    np.testing.assert_allclose(tight(x).toarray(), J(x).toarray(), rtol=1e-14)


def peak_of(J: Any, x: Any) -> int:
    J(x)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        J(x)
        return tracemalloc.get_traced_memory()[1] - before

    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("f", "n", "options", "share"),
    [
        (wide, 300, {"mode": "forward"}, 1.0),
        (wide, 300, {"mode": "forward"}, 0.7),
        (wide, 300, {"mode": "reverse"}, 1.0),
        (wide, 300, {"mode": "reverse"}, 0.5),
        (wide, 300, {}, 1.0),
        (waist_of_three, 300, {"mode": "mixed"}, 1.0),
        (stencil, 30_000, {"sparse": True, "mode": "forward"}, 1.0),
        (stencil, 30_000, {"sparse": True, "coloring": "columns"}, 1.0),
        (stencil, 30_000, {"sparse": True, "coloring": "columns"}, 0.8),
        (stencil, 30_000, {"sparse": True, "coloring": "rows"}, 1.0),
        (stencil, 30_000, {"sparse": True, "coloring": "rows"}, 0.8),
        (stencil, 30_000, {"sparse": True, "coloring": "both"}, 1.0),
        (stencil, 300, {"mode": "elimination"}, 1.0),  # nearly all of it the graph
        (
            lambda x: np.sum(np.cos(np.sin(x))),
            2000,
            {"mode": "elimination"},
            1.0,
        ),  # nearly all of it a batch of directions
        (
            lambda x: np.sin(np.ones((100, 1)) * np.sum(x)),
            100,
            {"mode": "elimination"},
            1.0,
        ),  # nearly all of it what is found
    ],
)
def test_the_peak_stays_within_what_is_allowed(f: Any, n: int, options: dict[str, Any], share: float) -> None:
    x = np.linspace(0.1, 1.0, n)
    e = dd.jacobian(f, **options).explain(x)
    limit = int(share * next(w for w in e.ways if w.name == e.chosen).bytes)
    J = dd.jacobian(f, max_bytes=limit, **options)
    if share < 1:
        assert next(w for w in J.explain(x).ways if w.name == e.chosen).way.chunk is not None
    tape = tape_of(f, x)
    own = sum(size_of(shape_of(v)) * dtype_of(v).itemsize for v in tape.cells[4::6])  # the function's own values
    python = 1 << 16  # objects, which no model counts
    assert peak_of(J, x) <= limit + own + python


@pytest.mark.parametrize("chunk", [1, 5, 12, 50, np.int64(3)])
@pytest.mark.parametrize(
    "options", [{"mode": "forward"}, {"mode": "reverse"}, {}, {"sparse": True, "coloring": "columns"}]
)
def test_chunk_overrides(chunk: Any, options: dict[str, Any]) -> None:
    J = dd.jacobian(tridiagonal, chunk=chunk, **options)
    np.testing.assert_allclose(array(J(X)), dense(X))
    np.testing.assert_allclose(array(J(X)), dense(X))
    assert all(w.way.chunk == chunk for w in J.explain(X).ways if w.name in ("forward", "reverse", "columns"))


# --------------------------------------------------------------------------------------------------
# options that make no sense


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "sideways"}, "mode='sideways' is not a way"),
        ({"mode": None}, "mode=None"),
        ({"mode": "row-sparse"}, "mode='row-sparse'"),
        ({"chunk": 0}, "chunk=0 must be a positive number of directions"),
        ({"chunk": -3}, "chunk=-3"),
        ({"chunk": 2.0}, r"chunk=2\.0"),
        ({"chunk": True}, "chunk=True"),
        ({"chunk": "3"}, "chunk='3'"),
        ({"max_bytes": 0}, "max_bytes=0 must be a positive number of bytes"),
        ({"max_bytes": -1}, "max_bytes=-1"),
        ({"max_bytes": 1e9}, "max_bytes=1000000000"),
        ({"max_bytes": True}, "max_bytes=True"),
        ({"max_bytes": "1GB"}, "max_bytes='1GB'"),
        ({"cost": 3.0}, r"cost=3\.0 must be a function"),
        ({"cost": "fast"}, "cost='fast'"),
        ({"coloring": "columns"}, "give sparse=True"),
        ({"sparse": True, "coloring": "blue"}, "coloring='blue' must be one of 'columns', 'rows', 'both'"),
        ({"sparse": True, "coloring": "star"}, "coloring='star'"),
        ({"sparse": True, "holomorphic": True}, "sparse=True is for real functions"),
    ],
)
def test_bad_options_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dd.jacobian(tridiagonal, **options)


PATTERN = csr_array(dense(X) != 0)


@pytest.mark.parametrize(
    ("coloring", "message"),
    [
        (3, "coloring=3 must be"),
        (np.zeros(12, int), "must be 'columns'"),
        (color_columns(csr_array(np.eye(11))), "11 columns where the Jacobian has 12"),
        (color_columns(csr_array(np.eye(12))), "two columns one colour that share a row"),
        (Coloring(np.full(12, -1), 0, "natural", 0), "without a colour"),
        (color_both(csr_array(np.eye(11))), "another shape"),
    ],
)
def test_colors_that_do_not_fit_are_refused(coloring: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dd.jacobian(tridiagonal, sparse=True, coloring=coloring)(X)


def test_colors_for_another_pattern_in_both_directions_are_refused() -> None:
    with pytest.raises(InputError):
        dd.jacobian(tridiagonal, sparse=True, coloring=color_both(csr_array(np.eye(12))))(X)


@pytest.mark.parametrize("coloring", [color_columns(PATTERN), color_both(PATTERN)])
def test_colors_that_fit_are_used(coloring: Any) -> None:
    J = dd.jacobian(tridiagonal, sparse=True, coloring=coloring)
    np.testing.assert_allclose(J(X).toarray(), dense(X))
    assert J.explain(X).chosen == ("rows and columns" if isinstance(coloring, BidirectionalColoring) else "columns")


@pytest.mark.parametrize("options", [{}, {"mode": "reverse"}, {"coloring": "columns"}, {"coloring": "both"}])
def test_a_sparse_jacobian_is_differentiated_again_and_is_real(options: dict[str, Any]) -> None:
    J = dd.jacobian(tridiagonal, sparse=True, **options)
    expected = dd.jacfwd(dd.jacrev(tridiagonal))(X)
    for outer in (dd.jacfwd, dd.jacrev):
        np.testing.assert_allclose(outer(lambda x: J(x).toarray())(X), expected, rtol=1e-12, atol=1e-12)
    with pytest.raises(InputError, match="holomorphic=True"):
        J(X + 1j)
    with pytest.raises(InputError, match="sparse=True is for real functions"):
        dd.jacobian(lambda x: np.exp(1j * x), sparse=True, **options)(X)


@pytest.mark.parametrize(
    "operator",
    [
        lambda f: dd.jacobian(f, sparse=True),
        lambda f: dd.jacobian(f, sparse=True).explain,
        lambda f: dd.jacobian(f, sparse=True, mode="finite-differences"),
        lambda f: dd.jacobian(f, sparse=True, coloring="rows"),
        lambda f: dd.value_and_jacobian(f, sparse=True, mode="reverse"),
        lambda f: dd.hessian(f, sparse=True),
        lambda f: lambda x: dd.plan_jacobian(f, x, sparse=True),
    ],
)
def test_sparse_jacobians_of_float16_are_refused_before_the_function_runs(operator: Any) -> None:
    ran = []

    def f(x: Any) -> Any:
        ran.append(x)
        return (x * x).sum()

    with pytest.raises(InputError, match=r"float16.*np\.float32"):
        operator(f)(X.astype(np.float16))
    assert not ran
    with pytest.raises(InputError, match="float16"):
        dd.jacobian(lambda x: (x * x).astype(np.float16), sparse=True)(X)
    assert dd.jacobian(lambda x: x * x)(X.astype(np.float16)).dtype == np.float16


@pytest.mark.parametrize("mode", ["finite-differences", "complex-step"])
def test_ways_that_give_plain_numbers_say_so_inside_other_operators(mode: Any) -> None:
    with pytest.raises(InputError, match="outer derivative cannot see"):
        dd.jacobian(lambda x: dd.jacobian(tridiagonal, mode=mode)(x).sum())(X)


# --------------------------------------------------------------------------------------------------
# differences


def smooth(x: Any) -> Any:
    return np.stack([np.sum(np.sin(x) * x), np.exp(-x[0]), np.prod(x[:3])]) @ np.arange(1.0, 7.0).reshape(3, 2)


@pytest.mark.parametrize("options", [{}, {"sparse": True}, {"flat": True}])
def test_finite_differences_and_the_complex_step(options: dict[str, Any]) -> None:
    expected = dd.jacfwd(smooth)(X)
    near = dd.jacobian(smooth, mode="finite-differences", **options)(X)
    np.testing.assert_allclose(array(near), expected, rtol=1e-8, atol=1e-8)
    assert not np.array_equal(array(near), expected)  # they are differences
    exact = dd.jacobian(smooth, mode="complex-step", **options)(X)
    np.testing.assert_allclose(array(exact), expected, rtol=1e-14, atol=1e-14)
    assert isinstance(exact, csr_array) is bool(options.get("sparse"))


@pytest.mark.parametrize("mode", ["finite-differences", "complex-step"])
def test_differences_keep_dtype_structure_and_arguments(mode: Any) -> None:
    def f(p: Any, q: float) -> Any:
        return {"y": p["a"] ** 2 * q, "z": p["b"] * p["a"].sum()}

    a = np.array([1.0, 2.0])
    a.flags.writeable = False
    J = dd.jacobian(f, (0, 1), mode=mode)({"a": a, "b": 3.0}, 2.0)
    np.testing.assert_allclose(J["y"][0]["a"], np.diag(4 * a), atol=1e-9)
    np.testing.assert_allclose(J["y"][1], a**2, atol=1e-9)
    assert J["z"][0]["b"] == pytest.approx(3.0)
    assert dd.jacobian(np.sin, mode=mode)(np.ones(3, np.float32)).dtype == np.float32
    assert dd.jacobian(np.sin, mode=mode)(0.5) == pytest.approx(np.cos(0.5))
    assert dd.jacobian(np.sin, mode=mode)(np.zeros(0)).shape == (0, 0)


@pytest.mark.parametrize(
    "f",
    [
        np.abs,
        lambda x: np.stack([np.abs(x[0]) + x[1], x[2]]),
        lambda x: x * np.conj(x),
        lambda x: x.real * 1.0,
        lambda x: np.floor(x) * x,
        lambda x: np.linalg.norm(x - 2.0) * x,
    ],
)
def test_the_complex_step_refuses_code_that_is_not_analytic(f: Any) -> None:
    with pytest.raises(InputError, match="mode='complex-step'"):
        dd.jacobian(f, mode="complex-step")(-X)


@pytest.mark.parametrize("mode", ["finite-differences", "complex-step"])
def test_differences_are_for_real_functions(mode: Any) -> None:
    for f, x in ((np.sin, X + 1j), (lambda x: 1j * x, X)):
        if mode == "finite-differences" and x is X:
            found = dd.jacobian(f, mode=mode)(x)  # a sum of two real ones
            np.testing.assert_allclose(found, 1j * np.eye(12), atol=1e-8)
        else:
            with pytest.raises(InputError):
                dd.jacobian(f, mode=mode)(x)


@pytest.mark.parametrize("options", [{}, {"sparse": True}, {"flat": True}])
@pytest.mark.parametrize("f", [tridiagonal, np.sum, lambda x: x[0], HOURGLASS.function])
def test_differences_are_never_chosen(f: Any, options: dict[str, Any]) -> None:
    x = HOURGLASS.point if f is HOURGLASS.function and not options.get("sparse") else X
    if f is HOURGLASS.function and x is X:
        f = np.cumsum
    e = dd.jacobian(f, **options, cost=lambda tape, way: -1.0 if "-s" in way.name else 1.0).explain(x)
    assert not {w.name for w in e.ways} & {"finite-differences", "complex-step", "elimination"}
    assert e.chosen not in ("finite-differences", "complex-step", "elimination")


# --------------------------------------------------------------------------------------------------
# the constants of a machine


def test_constants_are_positive_numbers_under_known_names() -> None:
    assert constants({}) == Machine()
    found = constants({"record": 1e-6, "element": "3e-10", "unknown to this version": -1})
    assert found == dataclasses.replace(Machine(), record=1e-6, element=3e-10)
    for bad in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="positive"):
            constants({"record": bad})
    with pytest.raises(ValueError):
        constants({"record": "fast"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.record = 1.0  # type: ignore[misc]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the constants are read from."""
    path = tmp_path / "machine.json"
    monkeypatch.delenv("DUALDIFF_CALIBRATION")
    monkeypatch.setattr(costs, "file_of_constants", lambda: path)
    return path


def test_measured_constants_are_read_from_their_file(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine() == Machine()
    dear = {f.name: 1.0 for f in dataclasses.fields(Machine) if f.name.startswith("pull")}
    kept.write_text(json.dumps({"constants": dear}), encoding="utf-8")
    assert machine() == Machine()  # read once
    machine.cache_clear()
    assert machine() == dataclasses.replace(Machine(), **dear)
    # And they decide: where pulling is dear, a gradient is pushed.
    assert dd.jacobian(lambda x: np.sum(x * x)).explain(X).chosen == "forward"
    monkeypatch.setenv("DUALDIFF_CALIBRATION", "shipped")
    machine.cache_clear()
    assert machine() == Machine()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        "{}",
        '{"constants": 3}',
        '{"constants": {"record": -1}}',
        '{"constants": {"record": "x"}}',
        '{"constants": {"record": null}}',
        '{"constants": {"record": NaN}}',
        '{"constants": []}',
    ],
)
def test_a_broken_file_means_the_shipped_constants(kept: Path, text: str) -> None:
    kept.write_text(text, encoding="utf-8")
    assert machine() == Machine()


def test_a_file_that_is_no_text_means_the_shipped_constants(kept: Path) -> None:
    kept.write_bytes(b"\xff\xfe\x00\x01")
    assert machine() == Machine()
    machine.cache_clear()
    kept.unlink()
    kept.mkdir()
    assert machine() == Machine()


def test_without_platformdirs_the_shipped_constants_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUALDIFF_CALIBRATION")
    monkeypatch.setattr(costs, "file_of_constants", lambda: None)
    assert machine() == Machine()


# ------------------------------------------------------------------------------------------- reported by users


@pytest.mark.parametrize(
    ("mode", "coloring", "fits"),
    [("reverse", "columns", "forward"), ("forward", "rows", "reverse"), ("forward", "both", "mixed")],
)
def test_a_mode_and_colors_that_contradict_each_other_are_refused(mode: str, coloring: str, fits: str) -> None:
    with pytest.raises(InputError, match=f"ask for two ways.*mode='{fits}'"):
        dd.jacobian(tridiagonal, mode=mode, sparse=True, coloring=coloring)  # type: ignore[arg-type]
    found = dd.jacobian(tridiagonal, mode=fits, sparse=True, coloring=coloring)(X)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.toarray(), dd.jacfwd(tridiagonal)(X), rtol=1e-12)


@pytest.mark.parametrize("found", [None, float("nan"), np.ones(2), "fast"])
def test_what_cost_returns_is_checked(found: Any) -> None:
    with pytest.raises(InputError, match=r"cost= returned .* finite number of seconds"):
        dd.jacobian(tridiagonal, cost=lambda _tape, _way: found)(X)


def test_arrays_of_differentiated_numbers_meet_scipys_sparse_matrices() -> None:
    S = csr_array(np.diag(np.arange(1.0, len(X) + 1)))
    for f in (lambda x: S @ np.array([v * 2.0 for v in x]), lambda x: S @ np.stack([v * 2.0 for v in x])):
        np.testing.assert_array_equal(dd.jacobian(f, sparse=True)(X).toarray(), 2.0 * S.toarray())


def test_both_kinds_of_colors_are_looked_for_only_where_they_may_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    both = colored.color_both
    monkeypatch.setattr(colored.Both, "color", staticmethod(lambda p: asked.append(p.shape) or both(p)))
    rng = np.random.default_rng(0)
    E = rng.integers(0, 300, (900, 2))
    dd.jacobian(lambda x: np.sin(x[E[:, 1]] - x[E[:, 0]]), sparse=True)(rng.normal(size=300))
    assert not asked
    n = 400
    arrow = dd.jacobian(lambda x: np.concatenate([[np.sum(x**2)], x[1:] * x[0]]), sparse=True)
    assert arrow.explain(np.linspace(1.0, 2.0, n)).chosen == "rows and columns"
    assert asked
