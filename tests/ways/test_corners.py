"""Ways in the corners: nested, complex, in chunks, without memory to ask for, and what each says of itself."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import dualdiff as dd
from dualdiff.coloring import color_columns
from dualdiff.dual import CrowdedError, Pushing
from dualdiff.errors import InputError, TracedConversionError
from dualdiff.kinds.base import Step
from dualdiff.passes import costs, push
from dualdiff.passes.structure import same
from dualdiff.tangents import Map, Terms
from dualdiff.tape import record
from dualdiff.ways import WAYS, Mixed, Program, RowSparse, options
from dualdiff.ways.choice import said_bytes
from dualdiff.ways.colored import Columns, Rows
from tests.ways.test_ways import X, check

WIDE = np.linspace(0.5, 1.5, 20)


@pytest.mark.parametrize("limit", [None, 1 << 16])
def test_a_jacobian_of_many_inputs_inside_another_operator(limit: int | None) -> None:
    def f(x):
        return np.stack([np.sum(np.sin(x) * x), np.prod(x), x[3] * x[4]])

    jac = dd.jacobian(f, max_bytes=limit)
    expected = dd.jacfwd(dd.jacrev(f))(WIDE)
    for outer in (dd.jacfwd, dd.jacrev, dd.jacobian):
        np.testing.assert_allclose(outer(jac)(WIDE), expected, rtol=1e-12, atol=1e-14)


def test_outputs_that_are_numbers_of_python() -> None:
    check(lambda x: (3, x * 2.0, True), X)
    check(lambda x: 3, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_the_zeros_of_a_constant_have_the_dtype_of_its_neighbours(dtype: Any) -> None:
    def f(x):
        return (x[:2] * 2.0).astype(dtype), np.ones(2, dtype)

    for mode in ("auto", "forward", "reverse"):
        for chunk in (None, 2):
            for jac in (
                dd.jacobian(f, mode=mode, chunk=chunk),
                dd.jacobian(lambda x: f(x)[::-1], mode=mode, chunk=chunk),
            ):
                assert [block.dtype for block in jac(X)] == [dtype, dtype]


def test_holomorphic_in_chunks() -> None:
    z = np.array([0.5 + 1j, -1.0 + 0.5j, 2.0 - 1j])

    def f(z):
        return np.exp(z) * z[::-1]

    expected = np.diag(np.exp(z) * z[::-1]) + np.exp(z)[:, None] * np.eye(3)[::-1]
    for mode in ("forward", "reverse"):
        for chunk in (None, 1, 2):
            jac = dd.jacobian(f, mode=mode, chunk=chunk, holomorphic=True)  # type: ignore[arg-type]
            np.testing.assert_allclose(jac(z), expected, rtol=1e-14)
            with pytest.raises(InputError, match="not holomorphic"):
                dd.jacobian(lambda z: z * np.conj(z), mode=mode, chunk=chunk, holomorphic=True)(z)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_chunk_that_does_not_fit_is_said(mode: Any) -> None:
    with pytest.raises(InputError, match="max_bytes"):
        dd.jacobian(lambda x: np.outer(x, x), mode=mode, chunk=16, max_bytes=20_000)(WIDE)


def test_elimination_is_for_real_programs() -> None:
    with pytest.raises(InputError, match="elimination"):
        dd.jacobian(lambda x: np.real(np.exp(1j * x)), mode="elimination")(X)


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(InputError, match="not a way to a sparse Hessian"):
        dd.hessian(np.sum, sparse=True, mode="complex-step")
    with pytest.raises(InputError, match="uses no colours"):
        dd.jacobian(np.sin, sparse=True, mode="elimination", coloring=color_columns(csr_array(np.eye(3))))


def test_where_the_system_does_not_tell_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> int:
        raise OSError(name)

    monkeypatch.setattr(os, "sysconf", fails)
    assert options.memory() == 1 << 33


def test_where_nothing_tells_the_place_of_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert costs.file_of_constants() is None


def test_a_plan_says_its_colours() -> None:
    x = np.linspace(0.5, 1.5, 30)
    said = {
        coloring: str(dd.plan_jacobian(lambda x: x[1:] * x[:-1], x, sparse=True, coloring=coloring))
        for coloring in ("columns", "rows")
    }
    assert "58 structural nonzeros, 2 column colours" in said["columns"]
    assert "58 structural nonzeros, 2 row colours" in said["rows"]


class Incomparable:
    def __eq__(self, other: object) -> bool:
        raise TypeError("these cannot be compared")

    __hash__ = None  # type: ignore[assignment]


def test_parameters_that_cannot_be_compared_are_not_the_same() -> None:
    one = Incomparable()
    assert same(one, one)
    assert not same(one, Incomparable())
    assert not same([one], [Incomparable()])
    assert same({"a": (1, np.arange(3))}, {"a": (1, np.arange(3))})
    assert not same({"a": (1, np.arange(3))}, {"a": (1, np.arange(3.0))})
    assert not same((1,), (1, 2))


@pytest.mark.parametrize("error", [TypeError, ValueError, AttributeError, KeyError, ZeroDivisionError])
def test_errors_of_the_function_are_its_own(error: Any) -> None:
    mine = error("an error of the function's own")

    def f(x):
        raise mine

    for mode in ("auto", "forward", "reverse", "finite-differences"):
        with pytest.raises(error) as found:
            dd.jacobian(f, mode=mode)(X)  # type: ignore[arg-type]
        assert found.value is mine


@pytest.mark.parametrize("quick", ["forward", "reverse"])
def test_what_was_measured_is_said_as_it_was(quick: str, monkeypatch: pytest.MonkeyPatch) -> None:
    room = sys.modules["dualdiff.ways.explain"]
    monkeypatch.setattr(room, "_timed", lambda p, o, way: 1e-9 if way.name == quick else 2e-9)
    found = dd.jacobian(lambda x: np.sum(np.sin(x)) * x[:3]).explain(WIDE, measure=True)
    if found.chosen == quick:
        assert "Measured, it is the fastest." in found.reason
    else:
        assert f"Measured, {quick} takes 0.50 of its time." in found.reason


def test_units() -> None:
    sizes = [said_bytes(n) for n in (0, 1023, 1024, 3 << 19, 5 << 30, 2 << 40)]
    assert sizes == ["0 B", "1023 B", "1 KiB", "1.5 MiB", "5 GiB", "2048 GiB"]
    time = sys.modules["dualdiff.ways.explain"]._time
    assert [time(s) for s in (2.5, 1.0, 0.25, 1e-3, 2e-5, 3e-9)] == [
        "2.5 s",
        "1 s",
        "250 ms",
        "1 ms",
        "20 µs",
        "0.003 µs",
    ]


def test_a_choice_among_the_ways_of_a_mode_names_the_one_taken() -> None:
    found = dd.jacobian(lambda x: x[1:] * x[:-1], sparse=True, mode="forward").explain(WIDE)
    assert found.reason.startswith(
        f"{found.chosen}: pushing" if found.chosen != "row-sparse" else "row-sparse: one run"
    )
    assert repr(found) == str(found)
    assert found.reason in repr(found)


def test_colours_that_fit_no_hessian_are_refused() -> None:
    one = color_columns(csr_array(np.eye(20)))  # all columns at once
    with pytest.raises(InputError, match="neither a star nor an acyclic"):
        dd.hessian(lambda x: np.prod(np.sin(x)), sparse=True, coloring=one)(WIDE)


@pytest.mark.parametrize("way", [w for w in WAYS if w.replayed is True], ids=lambda w: w.name)
def test_a_way_that_replays_asks_for_a_recording(way: Any) -> None:
    with pytest.raises(RuntimeError, match="recording"):
        way().run(None, None, None)


def test_what_was_not_looked_at_is_not_told() -> None:
    with pytest.raises(RuntimeError, match="tree of parts"):
        Mixed().says
    assert Columns().details == ""
    assert RowSparse(entries=1234).details == "1,234 structural nonzeros, read from the terms of each run"
    assert Columns(columns=1).says == "pushing 1 group of columns"


def test_a_program_that_turns_dense_while_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualdiff.ways.options.CROWDED", 1000)
    x = np.linspace(0.5, 1.5, 60)
    runs: list[int] = []

    def f(x):
        runs.append(0)
        return x[1:] * x[:-1] if len(runs) == 1 else np.sum(np.sin(x)) * np.sum(x) * np.ones(59)

    # The first run is written down and looked sparse: when the second one is not, what was written down still holds.
    found = dd.jacobian(f, **RowSparse.options("sparse"))(x)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.toarray(), dd.jacrev(lambda x: x[1:] * x[:-1])(x))
    runs.clear()
    said = dd.jacobian(f, **RowSparse.options("sparse")).explain(x, measure=True)  # type: ignore[arg-type]
    assert next(w.measured for w in said.ways if w.name == "row-sparse") == np.inf


def test_a_way_that_takes_ten_times_as_long_is_not_waited_for() -> None:
    def cost(tape: Any, way: Any) -> float:
        return 1e-6 if way.name == "forward" else 1e6

    found = {w.name: w.measured for w in dd.jacobian(np.sin, cost=cost).explain(WIDE, measure=True).ways}
    assert found["forward"] is not None
    assert found["reverse"] is None


def test_colours_of_one_kind_leave_the_way_to_those() -> None:
    pattern = np.array([[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1]])
    rows, columns = np.nonzero(pattern)

    def f(x):
        y = np.zeros_like(x, shape=5)
        np.add.at(y, rows, np.sin(x)[columns])
        return y

    def cost(tape: Any, way: Any) -> float:
        return 1.0 if way.name == "rows and columns" else 2.0

    J = dd.jacobian(f, sparse=True, cost=cost)
    x = np.array([0.5, 1.5, -0.7, 2.0])
    assert J.explain(x).chosen != "rows and columns"
    np.testing.assert_allclose(J(x).toarray(), pattern * np.cos(x), rtol=1e-14)


@pytest.mark.parametrize("mode", ["finite-differences", "complex-step"])
def test_differences_look_again_at_what_they_evaluate(mode: Any) -> None:
    with pytest.raises(InputError, match="is for real functions"):
        dd.jacobian(lambda z: z * z, mode=mode, holomorphic=True)(X + 1j)
    large = [False]
    J = dd.jacobian(lambda x: np.ones(1000) * x[0] if large[0] else x * 2.0, mode=mode, max_bytes=4000)
    np.testing.assert_allclose(J(X), 2 * np.eye(X.size), rtol=1e-6)
    large[0] = True
    with pytest.raises(InputError, match=f"1000 outputs by {X.size} inputs takes"):
        J(X)


def test_a_program_that_cannot_be_eliminated_has_no_count() -> None:
    found = dd.jacobian(lambda x: np.real(np.exp(1j * x)), mode="elimination").explain(X)
    assert next(w.multiplications for w in found.ways if w.name == "elimination") is None


def test_a_constant_beside_a_holomorphic_result() -> None:
    z = X + 1j
    first, second = dd.jacobian(lambda z: (np.exp(z), np.ones(2)), holomorphic=True)(z)
    np.testing.assert_allclose(first, np.diag(np.exp(z)), rtol=1e-14)
    np.testing.assert_array_equal(second, np.zeros((2, z.size)))


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_an_error_of_ours_is_found_under_one_of_the_function(mode: Any) -> None:
    def f(x):
        try:
            return np.ones(3) * float(x[0])
        except Exception as e:
            raise ValueError("mine") from e

    with pytest.raises(ValueError, match="mine") as caught:  # the user's own word, and ours under it
        dd.jacobian(f, mode=mode, capture="never")(X)
    assert isinstance(caught.value.__cause__, TracedConversionError)
    assert "test_corners.py, line" in str(caught.value.__cause__)
    np.testing.assert_allclose(dd.jacobian(f, mode=mode)(X)[:, 0], np.ones(3))  # captured, there is no error


def test_a_mode_that_colours_takes_the_colours_given() -> None:
    def f(x):
        return x[1:] * x[:-1]

    pattern = dd.jacobian(f, sparse=True)(WIDE)
    J = dd.jacobian(f, sparse=True, mode="forward", coloring=color_columns(pattern))
    np.testing.assert_array_equal(J(WIDE).toarray(), pattern.toarray())
    assert J.explain(WIDE).chosen == "columns"


def test_a_pull_that_fails_once_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    room = sys.modules["dualdiff.ways.problem"]
    pull, failed = room.pull, []

    def once(*args: Any) -> Any:
        if not failed:
            failed.append(True)
            raise FloatingPointError("once")
        return pull(*args)

    monkeypatch.setattr(room, "pull", once)
    with pytest.raises(FloatingPointError, match="once"):
        dd.grad(lambda x: np.sum(np.exp(x)))(X)


def test_a_pattern_without_entries_needs_no_group() -> None:
    nothing = csr_array((3, 4))
    for way in (Columns, Rows):
        columns, rows = way.fewest(nothing)
        found = way.compression(nothing)
        assert (columns, rows) == (0, 0) == (found.column_count, found.row_count)


@pytest.mark.parametrize("chunk", [None, 1, 4, 20])
def test_multiplications_of_products_are_as_many_in_any_chunks(chunk: int | None) -> None:
    steps = [("product", 1, 20, 10, 300), None, ("product", 2, 20, 10, 500)]
    q: dict[str, float] = {}
    costs.add_sweep(q, [s and Step(*s) for s in steps], 20, "push_", chunk)
    assert q["flop"] == 20 * (300 + 2 * 500)


def test_one_direction_is_costed_as_one_sweep() -> None:
    tape, _ = record(lambda x: np.sin(x) * x, 2.0, replayable=True)
    program = Program(tape)
    q: dict[str, float] = {}
    costs.add_run_of_duals(q, tape, program.steps, program.forms(1), 1)
    assert q["dual"] == len(tape) == 2
    assert q["push_one"] == 3.0


@pytest.mark.parametrize("mode", ["forward", "reverse", "elimination"])
def test_who_asked_for_a_way_is_told_so(mode: str) -> None:
    said = dd.jacobian(lambda x: np.sin(x) * x[::-1], mode=mode).explain(WIDE)
    assert said.reason.startswith(f"{mode}: asked for by mode={mode!r} (")


def test_a_run_that_is_too_crowded_stops_before_it_fills_its_memory() -> None:
    run = Pushing((100,), most=5000)
    terms = Terms({Map(np.arange(1, 51, dtype=np.int32)): np.ones(50)})
    np.testing.assert_array_equal(run.dense(terms, np.ones(50)), np.eye(100, 50))
    with pytest.raises(CrowdedError):
        run.dense(Terms({Map(np.arange(1, 52, dtype=np.int32)): np.ones(51)}), np.ones(51))


def test_a_tangent_that_overflows_is_infinite_without_a_word() -> None:
    tape, _ = record(lambda x: np.square(x * 1e-100), np.array([1e200, 1.0]), replayable=True)
    (found,) = push(tape, [np.eye(2) * 1e308], [len(tape.inputs) + len(tape) - 1], (2,))
    np.testing.assert_allclose(found, [[np.inf, 0.0], [0.0, 2e108]])


@pytest.mark.parametrize("n", [12, 300])
@pytest.mark.parametrize(
    "f",
    [lambda a, x: a * np.sin(x) * x, lambda a, x: np.cumsum(x) * a, lambda a, x: a * np.sin(x) * np.sum(x)],
    ids=["diagonal", "triangle", "full"],
)
def test_a_sparse_jacobian_of_a_function_that_reads_what_is_differentiated_outside(n: int, f: Any) -> None:
    x, read = np.linspace(0.1, 1.0, n), [2.0]
    inner = dd.jacobian(lambda x: f(read[0], x), **RowSparse.options("sparse"))
    inner(x)  # so that a recording of it is known

    def outer(a: Any) -> Any:
        read[0] = a
        return inner(x).toarray()

    np.testing.assert_allclose(dd.jacobian(outer)(2.0), dd.jacobian(lambda x: f(1.0, x))(x), rtol=1e-12, atol=1e-14)


def test_chunks_of_rows_of_which_some_are_constant_for_an_outer_operator() -> None:
    A, x = np.arange(18.0).reshape(3, 6) + 1, np.arange(3.0) + 1

    def f(t: Any) -> Any:
        y = A @ np.concatenate([t["a"], t["b"]])
        return y, y**2

    def inner(v: Any, **options: Any) -> Any:
        return dd.jacobian(f, sparse=True, mode="reverse", **options)({"a": x, "b": v}).toarray()

    np.testing.assert_allclose(dd.jacobian(lambda v: inner(v, chunk=1))(x), dd.jacobian(inner)(x), rtol=1e-13)


def test_the_memory_allowed_holds_inside_other_operators() -> None:
    x = np.arange(3.0)
    for mode in ("forward", "reverse", "auto"):
        with pytest.raises(InputError, match="max_bytes=1 is too small"):
            dd.jacobian(lambda y, m=mode: np.sum(dd.jacobian(np.sin, mode=m, max_bytes=1)(y)))(x)


def test_what_a_recording_holds_is_counted_once() -> None:
    def f(x: Any) -> Any:
        y = x * np.ones(20_000)
        for _ in range(50):
            y = np.sin(y)
        return np.sum(y)

    tape, _ = record(f, np.float64(0.5))
    assert Program(tape).bytes == pytest.approx(51 * 160_000, rel=0.1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_complex_steps_in_short_precision(dtype: Any) -> None:
    x = np.array([0.5, 1.5], dtype)
    for f in (lambda x: x * x, lambda x: x * dtype(1e-4), np.exp):
        found, expected = dd.jacobian(f, mode="complex-step")(x), dd.jacobian(f)(x.astype(float))
        np.testing.assert_allclose(
            found, expected, rtol=4 * float(np.finfo(np.float32 if dtype == np.float32 else dtype).eps)
        )


def test_a_way_that_does_not_fit_is_neither_compared_with_nor_timed() -> None:
    def f(x: Any) -> Any:
        y = x[0] * np.ones(1000)
        for _ in range(60):
            y = np.sin(y) * x[1]
        return np.sum(y) * x[2:]

    said = dd.jacobian(f, max_bytes=200_000).explain(np.ones(8) / 2, measure=True)
    assert said.chosen == "forward"
    reverse = next(w for w in said.ways if w.name == "reverse")
    assert reverse.bytes > 200_000
    assert reverse.measured is None
    assert "reverse" not in said.reason
