"""The workloads of the benchmark of programs, small: what is timed there is right, and everybody is asked for the same."""

import warnings

import numpy as np
import pytest
from scipy.optimize._numdiff import approx_derivative
from scipy.sparse import issparse

import dualdiff as dd
from dualdiff.errors import CompileWarning
from tests.benchmarks.compiled import arrays, fits, loops, scalar, sparse
from tests.benchmarks.compiled.contest import MACHINE, Outcome, difference, held, tables
from tests.benchmarks.compiled.entrants import LeftOutError, RunsEagerlyError
from tests.benchmarks.compiled.page import filled
from tests.benchmarks.compiled.translation import Symbolic, boxed, translated
from tests.benchmarks.compiled.workload import COMPILED, FLAT, LLVM, Bar, Derivative, Task, as_it_is

WORKLOADS = [w for family in (scalar, arrays, loops, sparse, fits) for w in family.workloads(tiny=True)]
DERIVATIVES = [w for w in WORKLOADS if isinstance(w, Derivative)]
TASKS = [w for w in WORKLOADS if isinstance(w, Task)]


def _named(workloads):
    return pytest.mark.parametrize("w", workloads, ids=[f"{i}: {w.name}" for i, w in enumerate(workloads)])


def _dense(x):
    return x.toarray() if issparse(x) else np.asarray(x)


@_named(DERIVATIVES)
def test_an_operator_agrees_with_differences(w):
    found = _dense(w.operator(w.x))
    f = dd.grad(w.function) if w.wanted.endswith("hessian") else w.function
    expected = approx_derivative(f, w.x, method="3-point").reshape(found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.max(np.abs(expected)))


@_named(DERIVATIVES)
def test_a_program_gives_what_its_operator_gives_there_and_elsewhere(w):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CompileWarning)  # what cannot be recorded runs as it is
        program = dd.compile(w.operator)
        for x in (w.x, w.x, w.x * (1 + 1e-3 * np.cos(np.arange(w.x.size)))):
            assert difference(program(x), w.operator(x)) < 1e-12


@_named([w for w in DERIVATIVES if w.by_hand or w.by_loops])
def test_what_is_written_by_hand_is_the_derivative(w):
    expected = w.operator(w.x)
    if w.by_hand is not None:
        assert difference(w.by_hand(w.x), expected) < w.rtol
    if w.by_loops is not None:
        found = w.by_loops(w.x, *w.data)  # as plain Python: numba is told the same
        assert difference(found if w.finished is None else w.finished(found), expected) < w.rtol


@_named(TASKS)
def test_a_task_comes_to_the_same_by_all_its_ways(w):
    results = []
    for maker in w.ways.values():
        call, read = maker()
        results.append(read(call()))
    assert all(difference(found, results[0]) < w.rtol for found in results[1:])


def test_a_function_is_run_in_other_names_with_its_own_helpers():
    names = Symbolic({"sin": lambda x: f"sin {x}"})
    assert translated(_calls_a_helper, names)(boxed(["a", "b"])).tolist() == ["sin a", "sin b"]
    assert _calls_a_helper(np.zeros(2)).tolist() == [0.0, 0.0]


def _calls_a_helper(x):
    return np.stack([_helper(entry) for entry in x])


def _helper(x):
    return np.sin(x)


def _task(**makers):
    return Task(name="task", ways=makers, bars=(Bar(2.0, "2-point"), Bar(1.0, "CasADi")))


def test_who_is_wrong_fails_or_stays_out_is_said_and_not_timed():
    def raising(error):
        def maker():
            raise error

        return maker

    def giving(x):
        return lambda: (lambda: np.array(x), as_it_is)

    outcome = held(
        _task(
            **{
                "operator": giving(1.0),
                "2-point": giving(1.0),
                "NumPy": giving(2.0),
                "numba": raising(TypeError("no")),
            },
            flat=raising(RunsEagerlyError("so")),
            CasADi=raising(LeftOutError("long")),
        )
    )
    assert set(outcome.times) == {"operator", "2-point"}
    assert outcome.words == {"NumPy": "wrong", "numba": "TypeError", "flat": "eager"}
    assert len(outcome.notes) == 4
    bars = [row for row in tables({"tasks": [outcome]}) if "bar" in row]
    assert [row["at most"] for row in bars] == ["2 × 2-point", "1 × CasADi"]
    assert bars[1]["found"] is None


def test_a_bar_is_held_against_the_best_of_ours():
    outcome = Outcome("task", (), times={"operator": 8e-6, FLAT: 4e-6, LLVM: 1e-6, "2-point": 2e-6})
    assert outcome.found(Bar(0.1, "2-point")) == 0.5
    assert outcome.found(Bar(0.1)) == 1.0
    assert outcome.found(Bar(1.0, "numba")) is None
    outcome.firsts.update({FLAT: 0.25, LLVM: 1.0})
    assert outcome.found(Bar(20, COMPILED)) is None  # it did not become machine code
    outcome.tier = MACHINE
    assert outcome.found(Bar(20, COMPILED)) == 750.0
    assert outcome.paid_back == 1_000_000


def test_results_of_other_shapes_or_patterns_differ():
    eye = sparse.tridiagonal(3).filled(np.arange(7.0))
    assert difference(eye, eye.copy()) == 0.0
    assert difference(eye, eye * 2) == 0.5
    assert difference(np.zeros(2), np.zeros((2, 1))) == np.inf
    assert not difference(np.array([np.nan]), np.array([1.0])) < np.inf


def test_measured_tables_replace_what_stands_in_the_page():
    page = "# Page\n\n<!-- loops -->\n\n| old |\n\n<!-- end of loops -->\n\nRest.\n"
    measured = (
        "Python\n\n| loops: a call, µs | flat |\n| --- | --: |\n| x | 1 |\n\n| loops: ours over theirs | ours |\n"
    )
    once = filled(page, measured)
    assert (
        once
        == "# Page\n\n<!-- loops -->\n\n| a call, µs | flat |\n| --- | --: |\n| x | 1 |\n\n<!-- end of loops -->\n\nRest.\n"
    )
    assert filled(once, measured) == once
