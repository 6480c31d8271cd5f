"""Plans: what they hold and print, that they travel, and that they notice when the function is another program."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import threading
import warnings
from collections import Counter, namedtuple
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import dualdiff as dd
from dualdiff.coloring import color_columns
from dualdiff.errors import InputError
from dualdiff.lab.problems.chains import hourglass
from dualdiff.ways import colored, decisions

Pair = namedtuple("Pair", "a b")

X = np.linspace(0.5, 1.5, 12)
COLORED = {"sparse": True, "coloring": "columns"}


def tridiagonal(x: Any) -> Any:
    y = (3 - 2 * x) * x + 1
    y[1:] -= x[:-1]
    y[:-1] -= 2 * x[1:]
    return y


def branching(x: Any) -> Any:
    """Return products of neighbours on one side, and of entries three apart on the other."""
    if x[0] > 0:
        return x[1:] * x[:-1]
    return np.sin(x[3:]) * x[:-3]


def many_branches(x: Any) -> Any:
    shift = int(x[0])
    return x * np.roll(x, shift)


def waist(x: Any) -> Any:
    s = np.sum(x**2)
    if s > 100:
        s = s * np.sum(x)
    return np.sin(s) * np.arange(1.0, 21.0)


def of_pair(p: Any) -> Any:
    return p.a * p.b


def dense(f: Any, x: Any) -> Any:
    """Return the Jacobian, column by column: no choice, no plan."""
    return np.stack([dd.jvp(f, (x,), (e,))[1] for e in np.eye(len(x))], axis=-1)


def array(J: Any) -> Any:
    return J.toarray() if isinstance(J, csr_array) else J


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often a choice is made and a pattern coloured."""
    count: Counter[str] = Counter()

    def counting(owner: Any, attribute: str) -> None:
        original = getattr(owner, attribute)

        def counting_call(*args: Any, **kwargs: Any) -> Any:
            count[original.__name__] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, attribute, staticmethod(counting_call) if isinstance(owner, type) else counting_call)

    counting(decisions, "decide")
    counting(decisions, "choose")
    for way in (colored.Columns, colored.Rows, colored.Both, colored.Star, colored.Acyclic):
        counting(way, "color")
    return count


# --------------------------------------------------------------------------------------------------
# what a plan is


def test_a_plan_is_frozen() -> None:
    plan = dd.plan_jacobian(tridiagonal, X)
    for name in ("f", "options", "way", "explanation", "anything"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(plan, name, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.options.mode = "reverse"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.way.columns = 3  # type: ignore[misc]
    assert plan.f is tridiagonal


def test_a_plan_prints_its_costs_and_its_reason() -> None:
    text = str(dd.plan_jacobian(tridiagonal, X, sparse=True))
    first, header, *rest = text.splitlines()
    assert first.startswith("Jacobian of 12 outputs by 12 inputs, ")
    assert header.split()[:4] == ["way", "sweeps", "multiplications", "bytes"]
    assert {line.split("  ")[0] for line in rest} >= {"row-sparse", "columns", "rows"}
    assert sum("← chosen" in line for line in rest) == 1
    assert "34 structural nonzeros" in rest[-1]
    text = str(dd.plan_jacobian(tridiagonal, X, **COLORED))
    assert "34 structural nonzeros, 3 column colours" in text
    both = str(dd.plan_jacobian(tridiagonal, X, sparse=True, coloring="both"))
    assert "34 structural nonzeros, " in both
    assert "colours" in both
    assert "measured" not in text
    assert "measured" in str(dd.plan_jacobian(tridiagonal, X, measure=True))


def test_a_plan_shows_only_what_a_reader_needs() -> None:
    text = repr(dd.plan_jacobian(tridiagonal, X))
    assert text.startswith("JacobianPlan(f=<function tridiagonal")
    assert "_said" not in text
    assert "_decisions" not in text


def test_a_plan_holds_pattern_and_colors() -> None:
    detail = dd.plan_jacobian(tridiagonal, X, **COLORED).way.colors
    assert detail is not None
    assert (detail.nonzeros, detail.column_count, detail.row_count) == (34, 3, 0)
    assert detail.shape == (12, 12)
    rows = np.repeat(np.arange(12), np.diff(detail.starts))
    assert (abs(rows - detail.columns) <= 1).all()


OPTIONS: dict[str, dict[str, Any]] = {
    "auto": {},
    "forward": {"mode": "forward"},
    "forward in chunks": {"mode": "forward", "chunk": 5},
    "reverse": {"mode": "reverse"},
    "reverse in chunks": {"mode": "reverse", "chunk": 5},
    "elimination": {"mode": "elimination"},
    "flat": {"flat": True},
    "max_bytes": {"max_bytes": 10_000},
    "sparse": {"sparse": True},
    "sparse forward": {"sparse": True, "mode": "forward"},
    "sparse reverse": {"sparse": True, "mode": "reverse"},
    "sparse mixed": {"sparse": True, "mode": "mixed"},
    "columns": {"sparse": True, "coloring": "columns"},
    "rows": {"sparse": True, "coloring": "rows"},
    "both": {"sparse": True, "coloring": "both"},
    "given": {"sparse": True, "coloring": color_columns(csr_array(np.triu(np.tril(np.ones((12, 12)), 1), -1)))},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_plan_is_the_jacobian_before_and_after_a_pickle(name: str) -> None:
    plan = dd.plan_jacobian(tridiagonal, X, **OPTIONS[name])
    again = pickle.loads(pickle.dumps(plan))
    assert str(again) == str(plan)
    for p in (plan, again):
        for point in (X, -X, X[::-1]):
            expected = dense(tridiagonal, point)
            J = p(point)
            assert isinstance(J, csr_array) is bool(OPTIONS[name].get("sparse"))
            np.testing.assert_allclose(array(J), expected, rtol=1e-14, atol=1e-14)
            value, J = p.value_and_jacobian(point)
            np.testing.assert_array_equal(value, tridiagonal(point))
            np.testing.assert_allclose(array(J), expected, rtol=1e-14, atol=1e-14)


def test_an_unpickled_plan_notices_the_other_side_of_a_branch(counted: Counter[str]) -> None:
    plan = pickle.loads(pickle.dumps(dd.plan_jacobian(branching, X, **COLORED)))
    counted.clear()
    np.testing.assert_allclose(plan(X).toarray(), dense(branching, X), rtol=1e-14)
    assert not counted  # what was decided came along
    with pytest.warns(dd.PlanChangedWarning, match="branching ran another program"):
        J = plan(-X)
    np.testing.assert_allclose(J.toarray(), dense(branching, -X), rtol=1e-14)
    # What it learnt afterwards does not travel with it, nor does that it has said so.
    again = pickle.loads(pickle.dumps(plan))
    with pytest.warns(dd.PlanChangedWarning):
        np.testing.assert_allclose(again(-X).toarray(), dense(branching, -X), rtol=1e-14)


def test_the_structure_of_arguments_and_results() -> None:
    def f(p: Any, scale: Any, power: int = 2) -> Any:
        return {"y": scale * p["a"] ** power, "z": (p["a"].sum() * p["b"],)}

    p = {"a": np.array([1.0, 2.0, 3.0]), "b": 2.0}
    plan = dd.plan_jacobian(f, p, 2.0)
    J = plan(p, 3.0, power=3)
    np.testing.assert_allclose(J["y"]["a"], np.diag(9 * p["a"] ** 2))
    np.testing.assert_array_equal(J["z"][0]["a"], [2.0, 2.0, 2.0])
    assert J["z"][0]["b"] == 6.0
    value, J = plan.value_and_jacobian(p, 3.0)
    assert value["z"] == (12.0,)
    both = dd.plan_jacobian(f, p, 2.0, argnums=(1, 0))
    np.testing.assert_array_equal(both(p, 5.0)["y"][0], p["a"] ** 2)
    assert dd.plan_jacobian(f, p, 2.0, argnums=[-1])(p, 5.0)["z"][0] == (0.0,)
    flat = dd.plan_jacobian(f, p, 2.0, flat=True, argnums=(0, 1))
    assert flat(p, 5.0).shape == (4, 5)
    assert dd.plan_jacobian(f, p, 2.0, sparse=True)(p, 5.0).shape == (4, 4)


def test_a_plan_for_a_scalar() -> None:
    plan = dd.plan_jacobian(lambda x: x**3, 2.0)
    J = plan(3.0)
    assert J == 27.0
    assert type(J) is float


def test_holomorphic_functions() -> None:
    z = X + 1j * X[::-1]
    plan = dd.plan_jacobian(lambda z: z**2, z, holomorphic=True)
    np.testing.assert_allclose(plan(2 * z), np.diag(4 * z))


@pytest.mark.parametrize("f", [lambda x: x[0] * x[1] * x[2], lambda x: np.sum(np.tanh(x)), np.sin])
@pytest.mark.parametrize("options", [{}, {"mode": "reverse"}, {"chunk": 2}])
def test_what_is_explained_is_what_is_done(f: Any, options: dict[str, Any]) -> None:
    for n in (3, 200):
        plan = dd.plan_jacobian(f, np.linspace(1.0, 2.0, n), **options)
        assert plan.explanation.chosen == plan.way.name


# --------------------------------------------------------------------------------------------------
# points that do not fit


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (np.ones(13), r"made for shape \(12,\) and dtype float64, and called with shape \(13,\)"),
        (np.ones((12, 1)), r"called with shape \(12, 1\)"),
        (np.ones(12, np.float32), "dtype float32"),
        (np.ones(12, complex), "dtype complex128"),
        ([np.ones(6), np.ones(6)], r"shape \(6,\) and dtype float64, shape \(6,\)"),
        ((np.ones(12),), "nested in another"),
        ({"x": np.ones(12)}, "nested in another"),
        (1.0, r"shape \(\)"),
        ((), "no arrays"),
        ("text", "cannot be differentiated"),
        (np.array(["a"] * 12), "cannot be differentiated"),
    ],
)
@pytest.mark.parametrize("options", [{}, COLORED])
def test_a_point_unlike_the_example_is_refused(point: Any, message: str, options: dict[str, Any]) -> None:
    plan = dd.plan_jacobian(tridiagonal, X, **options)
    with pytest.raises(InputError, match=message):
        plan(point)
    np.testing.assert_allclose(array(plan(X)), dense(tridiagonal, X))


def test_another_nesting_of_the_same_leaves_is_refused() -> None:
    plan = pickle.loads(pickle.dumps(dd.plan_jacobian(of_pair, Pair(np.ones(2), 2.0))))
    assert plan(Pair(np.ones(2), 3.0)).b.tolist() == [1.0, 1.0]
    with pytest.raises(InputError, match="nested in another"):
        plan((np.ones(2), 3.0))


def test_integers_are_promoted_as_everywhere() -> None:
    np.testing.assert_array_equal(dd.plan_jacobian(np.square, X)(np.arange(12)), np.diag(2.0 * np.arange(12)))


def test_missing_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="positional argument 0"):
        dd.plan_jacobian(tridiagonal)
    with pytest.raises(InputError, match="positional argument 0"):
        dd.plan_jacobian(tridiagonal, X)()
    with pytest.raises(TypeError, match="positional argument"):
        dd.plan_jacobian(tridiagonal, X)(X, X)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"has_aux": True}, InputError, "has_aux"),
        ({"mode": "sideways"}, InputError, "mode='sideways'"),
        ({"chunk": 0}, InputError, "chunk=0"),
        ({"max_bytes": 10}, InputError, "max_bytes=10 is too small"),
        ({"coloring": "rows"}, InputError, "sparse=True"),
        ({"argnums": 2}, InputError, "argnums=2"),
        ({"argnums": (0, 0)}, InputError, "twice"),
        ({"color": "blue"}, TypeError, "color"),
        # Flags of the operators inside are none of a plan's: they would give another matrix, or another type.
        ({"symmetric": True, "sparse": True}, TypeError, "symmetric"),
        ({"with_value": True}, TypeError, "with_value"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        dd.plan_jacobian(tridiagonal, X, **options)


def test_complex_without_holomorphic_is_refused() -> None:
    with pytest.raises(InputError, match="holomorphic=True"):
        dd.plan_jacobian(np.sin, X + 1j)
    with pytest.raises(InputError, match="needs complex inputs"):
        dd.plan_jacobian(np.sin, X, holomorphic=True)
    with pytest.raises(InputError, match="sparse=True is for real functions"):
        dd.plan_jacobian(lambda x: 1j * x, X, sparse=True)
    with pytest.raises(InputError, match="must be a function"):
        dd.plan_jacobian(3.0, X)  # type: ignore[arg-type]


def test_plans_are_not_differentiated_again() -> None:
    plan = dd.plan_jacobian(np.sin, X)
    with pytest.raises(InputError, match=r"use dd\.jacobian inside operators"):
        dd.jacobian(plan)(X)
    with pytest.raises(InputError, match=r"use dd\.jacobian inside other operators"):
        dd.jacobian(lambda x: dd.plan_jacobian(np.sin, x)(x))(X)


# --------------------------------------------------------------------------------------------------
# another program


@pytest.mark.parametrize(
    "options", [*({"sparse": True, "coloring": c} for c in ("columns", "rows", "both")), {"mode": "mixed"}]
)
def test_both_sides_of_a_branch(options: dict[str, Any], counted: Counter[str]) -> None:
    f, other = (waist, X + 10.0) if options.get("mode") else (branching, -X)
    plan = dd.plan_jacobian(f, X, **options)
    counted.clear()
    np.testing.assert_allclose(array(plan(X)), dense(f, X), rtol=1e-12)
    assert not counted
    with pytest.warns(dd.PlanChangedWarning) as told:
        np.testing.assert_allclose(array(plan(other)), dense(f, other), rtol=1e-12)
    assert len(told) == 1
    assert counted["decide"] == 1
    counted.clear()
    for point in (X, other, 1.25 * other, 1.25 * X, other):  # both are known now, and nothing more is said
        np.testing.assert_allclose(array(plan(point)), dense(f, point), rtol=1e-12)
        np.testing.assert_allclose(array(plan.value_and_jacobian(point)[1]), dense(f, point), rtol=1e-12)
    assert not counted


def row_sparse_is_cheapest(_tape: Any, way: Any) -> float:
    return float(way.name != "row-sparse")


@pytest.mark.parametrize(
    "options", [{"mode": "forward"}, {"mode": "reverse"}, {"sparse": True, "cost": row_sparse_is_cheapest}]
)
def test_ways_that_hold_for_any_program_say_nothing(options: dict[str, Any], counted: Counter[str]) -> None:
    plan = dd.plan_jacobian(branching, X, **options)
    counted.clear()
    for point in (-X, X, -X):
        np.testing.assert_allclose(array(plan(point)), dense(branching, point), rtol=1e-14)
    assert not counted


@pytest.mark.parametrize("method", ["__call__", "value_and_jacobian"])
def test_the_warning_names_the_callers_line(method: str) -> None:
    plan = dd.plan_jacobian(branching, X, **COLORED)
    call = getattr(plan, method)
    frame = inspect.currentframe()
    assert frame is not None
    line = frame.f_lineno + 2
    with pytest.warns(dd.PlanChangedWarning) as told:
        call(-X)
    assert told[0].filename == __file__
    assert told[0].lineno == line
    assert "the result is right" in str(told[0].message)


def test_where_the_warning_is_an_error_the_plan_stays_usable() -> None:
    plan = dd.plan_jacobian(branching, X, **COLORED)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(dd.PlanChangedWarning):
            plan(-X)
        for point in (-X, X):  # it has said so once
            np.testing.assert_allclose(plan(point).toarray(), dense(branching, point), rtol=1e-14)


def test_more_branches_than_are_remembered() -> None:
    x = np.linspace(0.0, 1.0, 12)
    plan = dd.plan_jacobian(many_branches, x, **COLORED)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for shift in (*range(9), *range(9), 0, 8, 3):
            point = x + shift + 0.25
            np.testing.assert_allclose(plan(point).toarray(), dense(many_branches, point), rtol=1e-14)
    assert len(told) == 1
    (known,) = plan._decisions.known.values()
    assert len(known) == decisions.BRANCHES


@pytest.mark.parametrize("coloring", ["columns", "rows", "both", None])
def test_what_the_function_closes_over_may_change(coloring: Any) -> None:
    captured: dict[str, Any] = {"weight": np.arange(1.0, 13.0), "at": np.arange(12)[::-1].copy(), "power": 2}

    def f(x: Any) -> Any:
        return captured["weight"] * x[captured["at"]] ** captured["power"]

    plan = dd.plan_jacobian(f, X, sparse=True, coloring=coloring, cost=None if coloring else row_sparse_is_cheapest)

    def check() -> None:
        np.testing.assert_allclose(plan(X).toarray(), dense(f, X), rtol=1e-14)

    check()
    captured["weight"] *= 2.0  # values only: the same program
    check()
    captured["weight"] = np.zeros(12)
    check()
    captured["weight"] = np.ones(12)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        captured["at"][:] = np.roll(
            np.arange(12), 3
        )  # written in place: what the plan has seen must not change with it
        check()
        captured["at"] = np.zeros(12, int)
        check()
        captured["power"] = 3
        check()
    assert len(told) == (0 if coloring is None else 1)


def test_results_of_another_shape_on_the_other_side() -> None:
    plan = dd.plan_jacobian(lambda x: x[x > 1.0] ** 2, X, **COLORED)
    with pytest.warns(dd.PlanChangedWarning):
        J = plan(X + 1.0)
    assert J.shape == (12, 12)
    assert plan(X).shape == (6, 12)
    assert plan(-X).shape == (0, 12)


def test_an_exception_in_the_function_leaves_the_plan_as_it_was(counted: Counter[str]) -> None:
    fail = False

    def f(x: Any) -> Any:
        y = branching(x)
        if fail:
            raise ZeroDivisionError("of the user's")
        return y

    plan = dd.plan_jacobian(f, X, **COLORED)
    counted.clear()
    for point in (X, -X):
        fail = True
        with pytest.raises(ZeroDivisionError, match="of the user's"):
            plan(point)
    fail = False
    np.testing.assert_allclose(plan(X).toarray(), dense(branching, X))
    assert not counted
    with pytest.warns(dd.PlanChangedWarning):
        np.testing.assert_allclose(plan(-X).toarray(), dense(branching, -X))


def test_the_result_is_the_callers_own() -> None:
    plan = dd.plan_jacobian(tridiagonal, X, **COLORED)
    J = plan(X)
    J.data[:] = 0
    J.indices[:] = 0
    J.indptr[:] = 0
    np.testing.assert_allclose(plan(X).toarray(), dense(tridiagonal, X))
    point = X.copy()
    value, J = plan.value_and_jacobian(point)
    point[:] = 0
    np.testing.assert_array_equal(value, tridiagonal(X))


def test_threads_share_a_plan() -> None:
    plan = dd.plan_jacobian(many_branches, X, **COLORED)
    points = [X + shift for shift in (0.0, 1.0, 2.0)]
    expected = [dense(many_branches, p) for p in points]
    barrier = threading.Barrier(4)

    def work(seed: int) -> float:
        barrier.wait(timeout=60)
        worst = 0.0
        for i in np.random.default_rng(seed).integers(0, 3, 30):
            worst = max(worst, float(abs(plan(points[i]).toarray() - expected[i]).max()))
        return worst

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dd.PlanChangedWarning)
        with ThreadPoolExecutor(4) as pool:
            assert max(pool.map(work, range(4))) < 1e-13


def test_a_plan_through_a_waist() -> None:
    case = hourglass(60, 2, 50)
    plan = dd.plan_jacobian(case.function, case.point, mode="mixed")
    assert plan.explanation.chosen == "mixed"
    assert "waist of 2" in str(plan)
    assert case.jacobian is not None
    again = pickle.loads(pickle.dumps(plan))
    for p in (plan, again):
        np.testing.assert_allclose(p(2 * case.point), case.jacobian(2 * case.point), rtol=1e-10, atol=1e-12)
