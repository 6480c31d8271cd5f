"""The contract of compiled functions: what is looked after, what is refused, and what is said of it."""

from __future__ import annotations

import gc
import io
import pickle
import sys
import tracemalloc
import warnings
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier, Event
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import CompileWarning, InputError, StaleProgramError

X = np.array([1.0, 2.0, 3.0])


class Counted:
    """A function that counts how often Python runs it."""

    def __init__(self, f: Any) -> None:
        self.f, self.calls = f, 0

    def count(self) -> None:
        self.calls += 1

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.count()  # which the call does not name itself, so that no program depends on it
        return self.f(*args, **kwargs)


def test_python_code_runs_when_it_is_recorded_and_when_it_is_checked() -> None:
    f = Counted(lambda x: x**2)
    program = dd.compile(f)
    counts = []
    for _ in range(10):
        np.testing.assert_array_equal(program(X), X**2)
        counts.append(f.calls)
    assert counts == [2, 3, 4, 4, 5, 5, 5, 5, 6, 6]  # run and recorded, then calls 1, 2, 4 and 8 of the program
    f = Counted(lambda x: x**2)
    program = dd.compile(f, check_every=None)
    for _ in range(10):
        program(X)
    assert f.calls == 2


# --------------------------------------------------------------------------------------------------
# never stale without a word


def test_a_branch_is_another_program() -> None:
    f = Counted(lambda x: np.log(x[0]) * x if x[0] > 0 else x**2)
    program = dd.compile(f, check_every=None)
    for x in (X, -X, 2 * X, -2 * X, X):
        np.testing.assert_array_equal(program(x), f.f(x))
    assert f.calls == 4


def test_after_eight_programs_the_function_runs_as_it_is() -> None:
    def f(x: Any) -> Any:
        return x * int(x[0])

    program = dd.compile(f)
    for n in range(8):
        program(X + n)
    with pytest.warns(
        CompileWarning, match=r"f runs as it is.*more than 8 different courses.*test_compiled.py, line \d+"
    ):
        program(X + 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(20):
            np.testing.assert_array_equal(program(X + n), f(X + n))


def test_a_program_that_is_slower_than_its_function_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualdiff.operators.compiled.LONG", 0.0)
    clock = iter(range(10**6))
    monkeypatch.setattr("dualdiff.operators.compiled.perf_counter", lambda: float(next(clock)))
    program = dd.compile(lambda x: x * 2, backend="numpy")
    for _ in range(20):  # as long as one another
        np.testing.assert_array_equal(program(X), X * 2)
    assert program.explain(X).tier == "scalars"
    monkeypatch.setattr("dualdiff.operators.compiled.BEHIND", 0.5)
    program = dd.compile(lambda x: x * 2, backend="numpy")
    for _ in range(4):
        np.testing.assert_array_equal(program(X), X * 2)
    with pytest.warns(CompileWarning, match="runs as it is.*takes more than 0.5 times as long"):
        program(X)
    np.testing.assert_array_equal(program(X), X * 2)


def test_threads_that_record_at_once_keep_one_program_of_each_course() -> None:
    together = Barrier(12)

    def f(x: Any) -> Any:
        if not together.broken:
            together.wait(10)  # every thread runs the function before any has a program
        return np.sum(x**3) if x[0] > 0 else np.sum(np.sin(x))

    program = dd.compile(f, check_every=None)

    def call(x: Any) -> Any:
        return program(x)

    with ThreadPoolExecutor(12) as pool, warnings.catch_warnings():
        warnings.simplefilter("error")
        points = [X, -X] * 6
        first = list(pool.map(call, points))
        together.abort()
        assert first == [f(x) for x in points]
        for n in range(20):
            assert program(X + n) == f(X + n)
            assert program(-X - n) == f(-X - n)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_a_function_that_another_thread_differentiates_meanwhile_names_what_it_named(backend: str) -> None:
    if backend == "llvm":
        pytest.importorskip("llvmlite")
    inside, go = Event(), Event()

    def filled(x: Any) -> Any:
        y = np.zeros(3)
        y[0], y[1], y[2] = x[0] * x[1], float(np.size(x)), np.sin(x[2])
        return y

    def waiting(x: Any) -> Any:
        inside.set()
        assert go.wait(10)
        return filled(x)

    jacobian = dd.jacobian(filled, capture="always")
    right = jacobian(X[:3])
    with ThreadPoolExecutor(1) as pool, warnings.catch_warnings():
        warnings.simplefilter("error")
        before, meanwhile = (dd.compile(jacobian, backend=backend, check_every=None) for _ in range(2))
        for _ in range(20):
            before(X[:3])
        other = pool.submit(dd.jacobian(waiting, capture="always"), X[:3])
        assert inside.wait(10)
        try:
            for program in (before, meanwhile):
                for _ in range(20):
                    np.testing.assert_array_equal(program(X[:3]), right)
        finally:
            go.set()
        np.testing.assert_array_equal(other.result(), right)
        for program in (before, meanwhile):
            for _ in range(20):
                np.testing.assert_array_equal(program(X[:3]), right)
            assert program._changes == 0


FACTOR, WEIGHTS, UNIT = 2.0, np.array([1.0, 2.0, 3.0]), ("m", 3)


def of_the_module(x: Any) -> Any:
    return x * FACTOR * WEIGHTS * UNIT[1]


@pytest.mark.parametrize(("name", "value"), [("FACTOR", 3.0), ("WEIGHTS", np.ones(3)), ("UNIT", ("m", 4))])
def test_what_the_code_names_is_compared_at_each_call(name: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    program, gradient = dd.compile(of_the_module), dd.compile(dd.jacobian(of_the_module))
    np.testing.assert_array_equal(program(X), of_the_module(X))
    np.testing.assert_array_equal(gradient(X), dd.jacobian(of_the_module)(X))
    monkeypatch.setitem(globals(), name, value)
    np.testing.assert_array_equal(program(X), of_the_module(X))
    np.testing.assert_array_equal(gradient(X), dd.jacobian(of_the_module)(X))


@pytest.mark.parametrize(
    ("then", "value"), [(0.0, -0.0), ((0.0, 3), (-0.0, 3)), ((1, 3), (True, 3)), (2, 2.0), (np.nan, 1.0), ("a", b"a")]
)
@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_values_are_compared_by_class_and_bits(then: Any, value: Any, backend: str, monkeypatch: Any) -> None:
    if backend == "llvm":
        pytest.importorskip("llvmlite")
    monkeypatch.setitem(globals(), "UNIT", then)

    def f(x: Any) -> Any:
        first = UNIT[0] if isinstance(UNIT, tuple) else UNIT
        return (
            np.arctan2(x * 0.0, first) if isinstance(first, float) else x * (3.0 if type(first) in (int, str) else 5.0)
        )

    program = dd.compile(f, check_every=None, backend=backend)
    for now in (then, value, then):
        monkeypatch.setitem(globals(), "UNIT", now)
        for _ in range(4):
            np.testing.assert_array_equal(program(X), f(X))


def test_cells_defaults_and_attributes_are_compared_as_well() -> None:
    scale = 2.0

    def closed(x: Any) -> Any:
        return x * scale

    def by_default(x: Any, k: float = 3.0) -> Any:
        return x * k

    @dataclass
    class Model:
        rate: float
        offset: Any

        def run(self, x: Any) -> Any:
            return x * self.rate + self.offset

        def __call__(self, x: Any) -> Any:
            return x * self.rate

    model = Model(2.0, X)
    programs = [dd.compile(f) for f in (closed, by_default, model.run, model)]
    first = [p(X) for p in programs]
    np.testing.assert_array_equal(first, [X * 2, X * 3, X * 2 + X, X * 2])
    scale = 5.0
    by_default.__defaults__ = (7.0,)
    model.rate, model.offset = 11.0, 2 * X
    np.testing.assert_array_equal([p(X) for p in programs], [X * 5, X * 7, X * 11 + 2 * X, X * 11])


def test_an_array_written_into_is_found_by_the_check_and_named() -> None:
    matrix = np.eye(3)
    program = dd.compile(lambda x: matrix @ x)
    program(X)
    matrix[0, 0] = 5.0
    with pytest.raises(
        StaleProgramError,
        match=r"its result is \[1.*by the program, \[5.*shape \(3, 3\) that test_compiled.py, line \d+ uses was written into",
    ):
        program(X)
    np.testing.assert_array_equal(program(X), matrix @ X)  # it is recorded anew


STATE = {"factor": 2.0}


def helper(x: Any) -> Any:
    return x * STATE["factor"]


def test_what_only_a_helper_sees_is_found_by_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    program = dd.compile(lambda x: helper(x), check_every=3)
    for _ in range(4):  # recorded, and calls 1 to 3
        program(X)
    monkeypatch.setitem(STATE, "factor", 3.0)
    program(X)  # call 4 of the program, which is not looked at
    program(X)
    with pytest.raises(StaleProgramError, match="outside of its arguments has changed, or is random"):
        program(X)


def test_printing_and_opening_files_is_found_at_the_first_call(tmp_path: Any, capsys: Any) -> None:
    path = tmp_path / "factor.txt"
    path.write_text("2.0")

    def prints(x: Any) -> Any:
        print("called")  # noqa: T201
        return x * 2

    def reads(x: Any) -> Any:
        return x * float(path.read_text())

    def loads(x: Any) -> Any:
        return x * np.loadtxt(path)

    stdout = sys.stdout
    for f, why in ((prints, "it prints"), (reads, "it opens .*factor.txt"), (loads, "it opens .*factor.txt")):
        program = dd.compile(f)
        with pytest.warns(CompileWarning, match=f"runs as it is.*{why}"):
            np.testing.assert_array_equal(program(X), X * 2)
        np.testing.assert_array_equal(program(X), X * 2)
    path.write_text("3.0")
    np.testing.assert_array_equal(program(X), X * 3)
    assert capsys.readouterr().out == "called\n" * 2
    assert sys.stdout is stdout
    assert open is io.open


def test_what_another_thread_prints_is_none_of_the_functions(capsys: Any) -> None:
    said, go_on = Event(), Event()

    def waits(x: Any) -> Any:
        said.set()
        go_on.wait(10)
        return x * 2

    with ThreadPoolExecutor(1) as pool, warnings.catch_warnings():
        warnings.simplefilter("error")
        waiting = pool.submit(dd.compile(waits), X)
        said.wait(10)
        print("elsewhere")  # noqa: T201
        go_on.set()
        np.testing.assert_array_equal(waiting.result(), X * 2)
    assert capsys.readouterr().out == "elsewhere\n"


def test_the_report_counts_after_each_pass() -> None:
    def f(x: Any) -> Any:
        np.exp(x)  # that nobody needs
        return np.sin(x) * np.sin(x) * 1.0

    report = dd.compile(f, backend="numpy").explain(np.array([[X]] * 50))
    assert (report.equations, report.distinct, report.steps, report.operations) == (5, 3, 2, 2)


def test_random_numbers_and_counters_do_not_pass() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(StaleProgramError, match="random"):
        dd.compile(lambda x: x * rng.normal())(X)
    calls: list[int] = []
    with pytest.raises(StaleProgramError):
        dd.compile(lambda x: x + len(calls) * (calls.append(1) is None))(X)


def test_a_chaotic_function_is_not_stale_where_its_sums_are_added_up_otherwise() -> None:
    def f(x: Any) -> Any:
        rows, y, z, sums = np.zeros((24, 3)), x, x, []
        for k in range(24):
            y = np.sin(y) * x[1]
            rows[k] = y
            sums.append(np.sum(rows))
        for s in sums:
            z = np.cos(z) * s
        return z

    x = np.array([0.3, 0.8, 0.2])
    assert np.max(np.abs(f(x * (1 + 1e-15)) - f(x))) > 1e-7
    for backend in ("numpy", "llvm"):
        program = dd.compile(f, backend=backend, check_every=1)
        for _ in range(3):
            np.testing.assert_allclose(program(x), f(x), rtol=1e-4)
    shift = np.arange(3.0)
    program = dd.compile(lambda x: f(x) + shift, check_every=1)
    program(x)
    shift[0] = 0.1
    with pytest.raises(StaleProgramError, match="was written into"):
        program(x)


def test_a_function_that_writes_into_its_argument_runs_as_it_is() -> None:
    def f(x: Any) -> Any:
        x[0] = 0.0
        return x * 2

    program = dd.compile(f)
    x = X.copy()
    with pytest.warns(CompileWarning, match="writes into an argument"):
        program(x)
    y = X.copy()
    np.testing.assert_array_equal(program(y), [0, 4, 6])
    assert y[0] == 0


def test_what_cannot_be_recorded_runs_as_it_is_and_says_why() -> None:
    program = dd.compile(dd.jacobian(lambda x: np.diff(x) ** 2, mode="finite-differences"))
    with pytest.warns(CompileWarning, match="cannot be recorded.*plain points"):
        found = program(X)
    np.testing.assert_allclose(found, dd.jacobian(lambda x: np.diff(x) ** 2)(X), rtol=1e-8, atol=1e-8)
    with pytest.raises(InputError, match="has no program for these arguments: it cannot be recorded"):
        program.explain(X)


def test_a_result_that_is_not_finite_is_the_functions() -> None:
    gradient = dd.compile(dd.grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0))))
    for x in (X, X - 1, X, X - 1):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(gradient(x), np.where(x > 0, 0.5 / np.sqrt(x), 0.0))
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert dd.compile(np.log)(np.array([0.0]))[0] == -np.inf
    with pytest.raises(InputError, match="not finite here"), np.errstate(all="ignore"):
        dd.compile(np.log).explain(np.array([0.0]))


def test_a_derivative_that_is_constant_is_a_program_as_well() -> None:
    matrix = np.arange(6.0).reshape(2, 3)
    jacobian = dd.compile(dd.jacobian(lambda x: matrix @ x), check_every=None)
    for n in range(40):
        np.testing.assert_array_equal(jacobian(n * X), matrix)


def test_a_result_that_is_one_expression_is_looked_at_as_well() -> None:
    f = Counted(lambda x: x[0] + x[1])
    program = dd.compile(f, check_every=None)
    program(X), program(X)
    calls = f.calls
    assert np.isnan(program(np.nan * X))
    assert f.calls == calls + 1


# --------------------------------------------------------------------------------------------------
# arguments


def test_forms_of_arguments() -> None:
    f = Counted(lambda x: x * 2)
    program = dd.compile(f, check_every=None)
    forms = [
        X,
        X[:2],
        X.reshape(3, 1),
        X.astype(np.float32),
        2.0,
        np.float64(2),
        np.array(2.0),
        1j,
        np.arange(3),
        np.eye(3).T[::2],
    ]
    for x in forms * 2:
        found, expected = program(x), f.f(x)
        assert type(found) is type(expected)
        np.testing.assert_array_equal(found, expected)
        assert np.asarray(found).dtype == np.asarray(expected).dtype
    assert f.calls == 2 * len(forms)


def test_structures_keywords_and_what_is_no_number() -> None:
    def f(x: Any, *, options: dict[str, Any], name: str, n: int) -> Any:
        return {name: [x * options["scale"], n], "sum": options["shift"][0] + n}

    program = dd.compile(f)
    for n in (1, 2, 1):
        given = {"scale": 2.0 * n, "shift": (X, None)}
        found = program(X, options=given, name="a", n=n)
        expected = f(X, options=given, name="a", n=n)
        assert found.keys() == expected.keys()
        np.testing.assert_array_equal(found["a"][0], expected["a"][0])
        assert found["a"][1] == n
        np.testing.assert_array_equal(found["sum"], expected["sum"])


def test_errors_are_those_of_the_function() -> None:
    def f(x: Any) -> Any:
        if x[0] < 0:
            raise ValueError("below zero")
        return x.reshape(3) * 2

    program = dd.compile(f)
    program(X)
    with pytest.raises(ValueError, match="below zero"):
        program(-X)
    with pytest.raises(ValueError, match="reshape"):
        program(np.ones(4))
    with pytest.raises(TypeError):
        program()


def test_misuse() -> None:
    with pytest.raises(InputError, match="must be a function"):
        dd.compile(3)  # type: ignore[arg-type]
    for wrong in (0, -1, 2.5, "often"):
        with pytest.raises(InputError, match="check_every"):
            dd.compile(np.sin, check_every=wrong)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------
# among others


def test_inside_other_operators_the_function_itself_runs() -> None:
    f = lambda x: np.sum(np.sin(x) * x)  # noqa: E731
    program = dd.compile(f)
    program(X)
    np.testing.assert_array_equal(dd.grad(program)(X), dd.grad(f)(X))
    np.testing.assert_array_equal(dd.hessian(dd.compile(f))(X), dd.hessian(f)(X))
    hessian = dd.compile(dd.jacfwd(dd.compile(dd.grad(program))))
    for x in (X, 2 * X):
        np.testing.assert_allclose(hessian(x), dd.hessian(f)(x), rtol=1e-14)


def filled(x: Any) -> Any:
    y = np.zeros(3)
    for i in range(3):
        y[i] = x[i] ** 2
    return y


def test_code_that_has_to_be_captured() -> None:
    for f in (filled, dd.jacobian(filled)):
        program = dd.compile(f)
        for x in (X, 2 * X):
            np.testing.assert_array_equal(program(x), f(x))


def test_methods_are_compiled_in_their_class() -> None:
    class Model:
        rate = 2.0

        @dd.compile
        def run(self, x: Any) -> Any:
            return x * self.rate

    model, other = Model(), Model()
    other.rate = 3.0
    for _ in range(3):
        np.testing.assert_array_equal(model.run(X), 2 * X)
        np.testing.assert_array_equal(other.run(X), 3 * X)
    assert model.run is model.run
    model.rate = 5.0
    np.testing.assert_array_equal(model.run(X), 5 * X)
    assert model.run.explain(X).steps == 1


def of_a_module(x: Any) -> Any:
    return np.sin(x)


def test_it_pickles_as_its_recipe() -> None:
    program = dd.compile(of_a_module, check_every=7)
    program(X)
    again = pickle.loads(pickle.dumps(program))
    assert again.check_every == 7
    np.testing.assert_array_equal(again(X), np.sin(X))
    assert program.__name__ == "of_a_module"
    assert repr(program) == "compile(of_a_module)"


def test_buffers_take_no_more_memory_than_what_lives_at_a_time() -> None:
    def shrinking(x: Any) -> Any:
        for _ in range(20):
            x = np.sin(x[1:]) * np.cos(x[:-1])
        return x

    def stacked(x: Any) -> Any:  # what is put together lives until then
        for _ in range(4):
            x = np.stack([np.sin(x), np.cos(x[::-1])]).sum(axis=0) * x
        return x

    x = np.linspace(0, 1, 1000)
    for f in (shrinking, stacked):
        program = dd.compile(f, backend="numpy", check_every=None)
        for k in range(3):
            np.testing.assert_array_equal(program(x + k), f(x + k))
        assert program.explain(x).tier == "arrays"
        assert 8000 <= program.explain(x).buffers <= 3 * 8064


def test_threads_do_not_share_buffers() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(50, 50))

    def f(x: Any) -> Any:
        return np.sum(np.tanh(matrix @ x) ** 2 * np.exp(-x))

    gradient = dd.compile(dd.grad(f), check_every=None)
    points = [rng.normal(size=50) for _ in range(40)]
    expected = [dd.grad(f)(x) for x in points]
    gradient(points[0])
    assert gradient.explain(points[0]).buffers > 0
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda k: [gradient(x) for x in points], range(16)):
                np.testing.assert_array_equal(found, expected)
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_many_calls_hold_no_memory(backend: str) -> None:
    if backend == "llvm":
        pytest.importorskip("llvmlite")
    gradient = dd.compile(dd.grad(lambda x: np.sum(np.sin(x) * x)), check_every=None, backend=backend)
    for x in (X, np.linspace(0.0, 1.0, 300)):
        held = []
        tracemalloc.start()
        try:
            for _ in range(3):
                for _ in range(2000):
                    gradient(x)
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        assert held[2] - held[1] < 1000


# --------------------------------------------------------------------------------------------------
# asking


def test_explain_says_of_what_a_program_is_made() -> None:
    weights = np.linspace(0.0, 1.0, 300)

    def f(x: Any) -> Any:
        return np.exp(x) * weights if x[0] < 5 else x

    report = dd.compile(f).explain(weights)
    assert (report.tier, report.equations, report.steps) == ("arrays", 4, 4)
    assert len(report.constants) == len(report.checks) == 1
    text = str(report)
    assert "f: 4 equations recorded, 4 of them distinct, 4 needed\nruns as 4 calls of NumPy, by arrays: " in text
    assert "float64[300]" in text
    assert "holds while: 1\n  np.less is True, test_compiled.py, line" in text
    assert report.source.startswith("def program(x0, buffers):")
    small = dd.compile(dd.grad(lambda x: x[0] * x[1])).explain(X)
    assert small.tier == "scalars"
    assert "operations on numbers" in str(small)


def test_a_program_is_seen_in_tracebacks_and_source() -> None:
    source = dd.compile(lambda x: x[0] * x[1]).source(X)
    names: dict[str, Any] = {"float64": np.float64, "changed": RuntimeError}
    exec(source, names)
    assert names["program"](X) == (2.0,)
    with pytest.raises(InputError, match=r"plain arrays and numbers.*being differentiated"):
        dd.grad(lambda x: dd.compile(np.sum).explain(x))(X)


def test_objects_that_may_change_unseen_are_no_arguments_of_a_program() -> None:
    class Settings:
        factor = 2.0

    settings = Settings()
    program = dd.compile(lambda x, s: x * s.factor)
    with pytest.warns(CompileWarning, match="an argument is of class 'Settings'"):
        program(X, settings)
    settings.factor = 3.0
    np.testing.assert_array_equal(program(X, settings), 3 * X)
    with pytest.raises(InputError, match="hold an object of class 'Settings'"):
        program.explain(X, settings)
    by_ufunc = dd.compile(lambda x, f: f(x))
    for f in (np.sin, np.cos, np.sin):
        np.testing.assert_array_equal(by_ufunc(X, f), f(X))


def test_a_model_with_a_function_of_its_own_is_watched_all_the_same() -> None:
    class Model:
        def __init__(self) -> None:
            self.f, self.rate = np.sin, 2.0

        def __call__(self, x: Any) -> Any:
            return self.f(x) * self.rate

    model = Model()
    program = dd.compile(dd.jacobian(model))
    program(X)
    model.rate = 3.0
    np.testing.assert_array_equal(program(X), dd.jacobian(model)(X))
    outer = dd.compile(dd.compile(model))
    outer(X)
    model.rate = 4.0
    np.testing.assert_array_equal(outer(X), model(X))


def test_a_branch_on_all_entries_is_another_program_and_not_a_derivative_that_is_not_finite() -> None:
    f = Counted(lambda x: np.sum(x**2) if np.all(x > 0) else np.sum(x))
    gradient = dd.compile(dd.grad(f), check_every=None)
    for x in (X, -X, X, -X, X, -X):
        np.testing.assert_array_equal(gradient(x), dd.grad(f.f)(x))
    assert f.calls == 4


def test_what_changes_at_every_call_is_told_and_runs_as_it_is() -> None:
    step = 0.0

    def f(x: Any) -> Any:
        return x + step

    program = dd.compile(f)

    def stepped(n: int) -> Any:
        nonlocal step
        step = float(n)
        return program(X)

    for n in range(9):
        np.testing.assert_array_equal(stepped(n), X + n)
    with pytest.warns(CompileWarning, match="changes again and again"):
        stepped(9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = 100.0
        np.testing.assert_array_equal(program(X), X + 100)


def test_entries_of_lists_and_dictionaries_and_attributes_of_objects_are_compared() -> None:
    @dataclass
    class Settings:
        factor: float = 2.0

    settings, options, terms = Settings(), {"shift": 1.0}, [1.0, 2.0]

    def f(x: Any, *, power: int = 1) -> Any:
        return x**power * settings.factor + options["shift"] + sum(terms)

    program = dd.compile(f)
    for change in (
        lambda: None,
        lambda: setattr(settings, "factor", 3.0),
        lambda: options.update(shift=5.0),
        lambda: options.update(other=1.0),
        lambda: terms.append(7.0),
        lambda: terms.__setitem__(0, 0.5),
        lambda: f.__kwdefaults__.update(power=2),
    ):
        change()
        for _ in range(4):
            np.testing.assert_array_equal(program(X), f(X))


def test_objects_inside_objects_slots_and_classes_are_compared() -> None:
    @dataclass(slots=True)
    class Grid:
        width: float
        weights: list[float]

    class Model:
        scale = 1.0

        def __init__(self) -> None:
            self.grid, self.rates = Grid(2.0, [1.0]), OrderedDict(a={"b": 1.0})

    model = Model()

    def f(x: Any) -> Any:
        return x * Model.scale * model.grid.width + model.grid.weights[0] * model.rates["a"]["b"]

    program = dd.compile(f)
    for change in (
        lambda: None,
        lambda: setattr(Model, "scale", 3.0),
        lambda: setattr(model.grid, "width", 5.0),
        lambda: model.grid.weights.__setitem__(0, 0.5),
        lambda: model.rates["a"].update(b=4.0),
        lambda: model.rates.update(a={"b": 7.0}),
    ):
        change()
        for _ in range(4):
            np.testing.assert_array_equal(program(X), f(X))
