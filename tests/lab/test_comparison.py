"""The comparison tells agreement from disagreement, for functions of every form."""

import csv
import json
from typing import NamedTuple

import numpy as np
import pytest

import dualdiff as dd
from dualdiff import lab
from dualdiff.errors import InputError
from dualdiff.lab import catalogue
from dualdiff.lab.problems import BOXBOD, MICHELSON
from dualdiff.lab.problems.learning import lstm_cell
from dualdiff.lab.problems.scalar import roe_flux
from dualdiff.ways import WAYS

QUICK = {"rounds": 1, "seconds": 60.0}


class Pair(NamedTuple):
    left: object
    right: object


def lorenz(x):
    """Integrate the Lorenz system by the classical Runge-Kutta method, a scalar at a time."""

    def slope(p):
        a, b, c = p
        return np.array([10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c])

    h = 0.005
    for _ in range(20):
        k1 = slope(x)
        k2 = slope(x + h / 2 * k1)
        k3 = slope(x + h / 2 * k2)
        k4 = slope(x + h * k3)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x


W = np.random.default_rng(0).normal(size=(3, 4))

FORMS = {
    "scalar": (lambda x: np.sum(np.exp(x) * x[0]), (np.array([0.5, 1.0, 2.0]),)),
    "a number": (lambda t: np.sin(t) * t, (0.7,)),
    "matrix": (lambda x: np.outer(np.sin(x), x), (np.array([0.5, 1.0]),)),
    "of a matrix": (lambda A: np.linalg.inv(A @ A.T + 4 * np.eye(3)), (W,)),
    "nested": (lambda p: {"sum": np.sum(p["w"]) * p["b"], "two": [p["w"] * 2, p["b"]]}, ({"w": W, "b": 0.5},)),
    "named tuple": (lambda p: Pair(p.left * p.right, np.sum(p.right)), (Pair(W[0], W[1]),)),
    "two arguments": (lambda x, y: np.sin(x) @ y, (W, np.arange(4.0))),
    "two numbers": (lambda a, b: a**2 * b, (2.0, 3.0)),
    "a list": (lambda x: [x[0] * x[1], x[1] ** 2], (np.array([2.0, 3.0]),)),
    "float32": (lambda x: np.cos(x) * x[0], (np.array([0.5, 1.0], dtype=np.float32),)),
    "loop": (lorenz, (np.array([1.0, 2.0, 20.0]),)),
    "lstm": (lstm_cell(4, 5).function, (lstm_cell(4, 5).point,)),
    "roe flux": (roe_flux().function, (roe_flux().point,)),
}


@pytest.mark.parametrize("form", FORMS)
def test_functions_of_every_form_are_compared(form):
    f, args = FORMS[form]
    found = lab.compare(f, *args, **QUICK)
    # The complex step is refused where the code takes np.abs.
    assert {row.name: row.failure for row in found.rows if row.failure and row.exact} == {}
    assert found.agree, str(found)
    assert all(row.accuracy.largest < row.tolerance for row in found.rows if row.exact)
    assert all(row.times.minimum > 0 for row in found.rows if not row.failure)
    str(found), found._repr_html_(), found.to_json()


def test_every_way_of_the_register_that_applies_has_a_row():
    found = lab.compare(lambda x: x[1:] * np.sin(x[:-1]), np.arange(1.0, 31.0), methods="ways", **QUICK)
    names = {row.name for row in found.rows}
    dense = {w.name for w in WAYS if "dense" in w.asked or "sparse" in w.asked}
    assert dense - names <= {"mixed"}  # no narrow place here
    assert found.agree


@pytest.mark.parametrize("problem", [BOXBOD, MICHELSON], ids=["tall", "wide"])
def test_modes_and_the_hand_agree(problem):
    asked = {"f": "forward", "reverse": "reverse", "by hand": lambda _, b: problem.jacobian(b)}
    found = lab.compare(problem.residual, problem.start, methods=asked, **QUICK)
    assert [row.name for row in found.rows] == ["f", "reverse", "by hand"]
    assert found.agree
    assert all(row.accuracy.largest < 1e-13 for row in found.rows)
    with pytest.raises(KeyError):
        found["backwards"]


def test_a_wrong_method_disagrees_and_is_named():
    def off(f, x):
        return dd.jacfwd(f)(x) * (1 + 1e-9)

    found = lab.compare(np.sin, np.array([1.0, 2.0]), methods=["forward", off], **QUICK)
    assert not found.agree
    assert [row.name for row in found.disagreeing] == ["off"]
    assert found["off"].verdict == "DISAGREES"
    assert found["off"].accuracy.largest == pytest.approx(1e-9, rel=1e-3)
    assert found["forward"].agrees


def test_the_modes_together_do_not_outvote_the_oracle(monkeypatch):
    right = dd.jacobian

    def jacobian(f, argnums=0, **options):
        J = right(f, argnums, **options)
        return lambda *args: 2 * J(*args)

    monkeypatch.setattr(catalogue.dd, "jacobian", jacobian)
    found = lab.compare(np.sin, np.array([1.0, 2.0]), methods=["forward", "reverse"], **QUICK)
    assert [row.name for row in found.disagreeing] == ["forward", "reverse"]


def test_finite_differences_have_no_vote(monkeypatch):
    monkeypatch.setattr(catalogue, "approx_derivative", lambda f, x, method, f0: np.zeros((f0.size, x.size)))
    found = lab.compare(BOXBOD.residual, BOXBOD.start, methods=["forward", "2-point"], **QUICK)
    assert found["2-point"].verdict == "inaccurate"
    assert found.agree


def test_without_scipys_private_function_the_other_methods_stay(monkeypatch):
    monkeypatch.setattr(catalogue, "approx_derivative", None)
    found = lab.compare(BOXBOD.residual, BOXBOD.start, methods="differences", **QUICK)
    assert [row.name for row in found.rows] == ["richardson"]
    asked = lab.compare(BOXBOD.residual, BOXBOD.start, methods=["forward", "2-point"], **QUICK)
    assert "SciPy" in asked["2-point"].failure


def test_a_method_that_raises_is_a_row_that_says_why():
    def broken(f, x):
        raise RuntimeError("no licence")

    found = lab.compare(np.sin, np.array([1.0, 2.0]), methods=["forward", broken], **QUICK)
    assert found["broken"].failure == "RuntimeError: no licence"
    assert found["broken"].verdict == "failed"
    assert found["broken"].agrees is None
    assert found.agree
    assert "broken: RuntimeError: no licence" in str(found)


def test_a_jacobian_of_another_shape_is_a_row_that_says_so():
    found = lab.compare(
        lambda x: x[:2] * x[2], np.arange(3.0), methods={"turned": lambda f, x: dd.jacfwd(f)(x).T}, **QUICK
    )
    assert "3x2" in found["turned"].failure
    assert "(2, 3)" in found["turned"].failure


def test_a_function_that_cannot_be_recorded_still_has_differences():

    def f(x):  # a draw with a parameter is refused by its name
        return np.random.default_rng(0).normal(x**2, 1.0)

    found = lab.compare(f, np.array([1.0, 3.0]), **QUICK)
    assert found["2-point"].agrees
    assert found["forward"].outcome == "failed"
    assert found.plan is None
    assert not found.agree  # no exact method gave a Jacobian


def test_an_infinite_entry_agrees_with_its_like():
    found = lab.compare(np.sqrt, np.array([0.0, 1.0, 4.0]), methods=["ways", "orders"], **QUICK)
    assert found.agree, str(found)
    assert found["forward"].accuracy.infinite == 1
    assert found.oracle.unknown >= 1


def test_at_a_kink_the_oracle_knows_nothing_and_says_so():
    found = lab.compare(np.abs, np.array([0.0, 1.0, -2.0]), methods=["forward", "reverse", "2-point"], **QUICK)
    assert found.agree
    assert found.oracle.unknown == 1
    assert "knows nothing of 1 entries" in str(found)


@pytest.mark.parametrize("asked", ["complex", "extended", "differences"])
def test_oracles_are_asked_for_by_name(asked):
    found = lab.compare(lambda x: np.exp(x) / x[0], np.array([1.0, 2.0]), methods=["forward"], oracle=asked, **QUICK)
    assert found.agree
    assert found["forward"].accuracy.largest < 1e-9


def test_an_oracle_may_be_given():
    J = np.diag(np.cos([1.0, 2.0]))
    for oracle in (J, lambda f, x: np.diag(np.cos(x))):
        assert lab.compare(np.sin, np.array([1.0, 2.0]), methods=["forward"], oracle=oracle, **QUICK).agree
        assert not lab.compare(np.cos, np.array([1.0, 2.0]), methods=["forward"], oracle=oracle, **QUICK).agree


def test_the_complex_step_is_not_believed_where_the_code_is_not_analytic():
    found = lab.compare(lambda x: np.abs(x) * x[0], np.array([1.0, -2.0]), methods=["forward"], **QUICK)
    assert "complex" not in found.oracle.name
    assert found.agree
    with pytest.raises(InputError, match="does not serve"):
        lab.compare(lambda x: np.abs(x) * x[0], np.array([1.0, -2.0]), methods=["forward"], oracle="complex")


def test_counts_are_exact_and_the_same_every_time():
    case = roe_flux(shifted=False)
    asked = ["forward", "reverse", "orders"]
    first = lab.compare(case.function, case.point, methods=asked, **QUICK)
    again = lab.compare(case.function, case.point, methods=asked, **QUICK)
    counts = {row.name: row.work.multiplications.count for row in first.rows}
    assert counts["forward"] == counts["elimination, forward"] == 620
    assert counts["reverse"] == counts["elimination, reverse"] == 364
    assert counts["elimination, markowitz"] == 407
    assert [row.work for row in first.rows] == [row.work for row in again.rows]


def test_what_would_take_too_long_is_not_run_and_says_so():
    def slow(x):
        for _ in range(3000):
            x = np.sin(x)
        return x

    found = lab.compare(
        slow, np.ones(60), methods=["forward", "richardson"], rounds=1, seconds=0.5, oracle=np.zeros((60, 60))
    )
    assert found["richardson"].outcome == "not run"
    assert "allow more seconds" in found["richardson"].failure


def test_argnums_choose_what_is_differentiated_by():
    def f(x, k):
        return x * k

    found = lab.compare(f, np.array([1.0, 2.0]), 3, methods=["forward", "2-point"], argnums=0, **QUICK)
    assert (found.inputs, found.agree) == (2, True)

    def own(g, x):
        return dd.jacfwd(g)(x)

    assert lab.compare(f, np.array([1.0, 2.0]), 3.0, methods=own, argnums=0, **QUICK)["own"].agrees
    by_both = lab.compare(f, np.array([1.0, 2.0]), 3.0, methods=["reverse"], **QUICK)
    assert by_both.inputs == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": "backwards"}, "there is no method 'backwards'"),
        ({"methods": 3.0}, "float"),
        ({"oracle": "delphi"}, "oracle='delphi' must be one of"),
        ({"oracle": np.zeros((3, 3))}, "oracle=: it returned 3x3"),
        ({"seconds": 0}, "seconds=0 must be"),
        ({"rounds": 0}, "rounds=0 must be"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises((InputError, TypeError), match=message):
        lab.compare(np.sin, np.array([1.0, 2.0]), **options)


def test_complex_functions_and_no_point_are_refused():
    with pytest.raises(InputError, match="real functions"):
        lab.compare(np.sin, np.array([1.0j]))
    with pytest.raises(InputError, match="no point"):
        lab.compare(np.sin)


def test_it_is_written_out_in_many_forms(tmp_path):
    found = lab.compare(np.sin, np.array([1.0, 2.0]), methods=["forward", "2-point"], **QUICK)
    assert found.to_markdown().count("| forward |") == 2
    assert found.to_latex().count(r"\begin{tabular}") == 2
    assert "<table>" in found._repr_html_()
    rows = list(csv.DictReader(found.to_csv(tmp_path / "rows.csv").splitlines()))
    assert [row["method"] for row in rows] == ["forward", "2-point"]
    assert float(rows[0]["least"]) == found["forward"].times.minimum
    assert (tmp_path / "rows.csv").read_text().startswith("method,")
    document = json.loads(found.to_json(), parse_constant=pytest.fail)
    assert document["agree"] is True
    assert document["conditions"]["seed"] == 0
    assert {"Python", "dualdiff", "NumPy", "SciPy"} <= document["conditions"]["versions"].keys()
    frame = pytest.importorskip("pandas") and found.to_dataframe()
    assert list(frame["method"]) == ["forward", "2-point"]


def test_it_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    found = lab.compare(np.sin, np.array([1.0, 2.0]), methods=["forward", "reverse", "2-point"], **QUICK)
    figure = found.plot(tmp_path / "methods.svg")
    assert figure.axes[0].get_xlabel() == "time, in evaluations of f"
    assert "<svg" in (tmp_path / "methods.svg").read_text()


def test_rich_draws_it():
    rich = pytest.importorskip("rich.console")
    found = lab.compare(np.sin, np.array([1.0, 2.0]), methods=["forward"], **QUICK)
    console = rich.Console(width=200, record=True, quiet=True)
    with console.capture():
        console.print(found)
    assert "forward" in console.export_text() or "forward" in str(found)


@pytest.mark.skipif(not lab.memory.RESET.exists(), reason="Linux alone keeps such an account")
def test_memory_is_measured_in_fresh_processes():
    def f(x):
        return np.tanh(W.T @ (W @ x)) * np.ones((200_000, 1))

    found = lab.compare(f, np.ones(4), methods=["forward"], memory=True, **QUICK)
    result = 200_000 * 4 * 4 * 8
    assert result <= found["forward"].peak < 20 * result
    assert "peak" in str(found)
