"""The comparison tells agreement from disagreement, and the clock tells long from short."""

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.lab import comparison
from dualdiff.lab.comparison import Method, compare, difference
from dualdiff.lab.problems import BOXBOD, MICHELSON
from dualdiff.lab.timing import interleaved_minima


def test_difference_is_relative_to_the_column_of_a_tall_jacobian():
    R = np.array([[1.0, 1e6], [2.0, 3e6], [4.0, 2e6]])
    J = R + np.array([[0, 3], [0, 0], [0, 0]])
    assert difference(J, R) == pytest.approx(1e-6)


def test_difference_is_relative_to_the_row_of_a_wide_jacobian():
    R = np.array([[1e-6, 2e-6, 4e-6], [1.0, 2.0, 4.0]])
    J = R + np.array([[4e-8, 0, 0], [0, 0, 0]])
    assert difference(J, R) == pytest.approx(1e-2)


def test_difference_of_a_column_that_should_be_zero_is_infinite():
    R = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert difference(R, R) == 0
    assert difference(R + np.array([[0, 1e-300], [0, 0]]), R) == np.inf


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_never_agrees(bad):
    R = np.eye(2)
    J = np.array([[1, bad], [0, 1]])
    assert difference(J, R) == difference(R, J) == difference(J, J) == np.inf


def test_different_shapes_never_agree():
    assert difference(np.ones((2, 1)), np.ones((2, 2))) == np.inf


def test_no_columns_and_no_rows_agree():
    assert difference(np.ones((3, 0)), np.ones((3, 0))) == 0
    assert difference(np.ones((0, 3)), np.ones((0, 3))) == 0


def test_a_method_whose_difference_is_not_a_number_does_not_agree():
    assert not Method("auto", True, 1.0, 1.0, float("nan"), 1e-10).agrees


@pytest.mark.parametrize("problem", [BOXBOD, MICHELSON], ids=["tall", "wide"])
def test_modes_and_the_hand_agree(problem):
    found = compare(problem.residual, problem.start, by_hand=problem.jacobian, rounds=1)
    assert [method.name for method in found.methods][:4] == ["forward", "reverse", "auto", "by hand"]
    assert found.agree
    assert found["forward"].difference == 0
    assert found["reverse"].difference < 1e-13
    assert all(method.seconds > 0 for method in found.methods)
    with pytest.raises(KeyError):
        found["backwards"]


def test_the_choice_goes_both_ways():
    tall = dd.jacobian(BOXBOD.residual).explain(BOXBOD.start)
    wide = dd.jacobian(MICHELSON.residual).explain(MICHELSON.start)
    assert tall.chosen in ("forward", "duals")
    assert wide.chosen == "reverse"


def test_finite_differences_have_no_vote(monkeypatch):
    monkeypatch.setattr(comparison, "approx_derivative", lambda f, x, method, f0: np.zeros((f0.size, x.size)))
    found = compare(BOXBOD.residual, BOXBOD.start, rounds=1)
    assert not found["2-point"].agrees
    assert found.agree


def test_without_scipys_private_function_the_other_methods_stay(monkeypatch):
    monkeypatch.setattr(comparison, "approx_derivative", None)
    found = compare(BOXBOD.residual, BOXBOD.start, rounds=1)
    assert [method.name for method in found.methods] == ["forward", "reverse", "auto"]


class _Off:
    """A Jacobian that is off by a part in a thousand million, and explains itself as the right one does."""

    def __init__(self, J):
        self.J, self.explain = J, J.explain

    def __call__(self, x):
        return self.J(x) * (1 + 1e-9)


@pytest.mark.parametrize("wrong", ["reverse", "auto"])
def test_a_mode_that_differs_is_found(monkeypatch, wrong):
    right = dd.jacobian
    monkeypatch.setattr(
        comparison.dd,
        "jacobian",
        lambda f, *, mode="auto": _Off(right(f, mode=mode)) if mode == wrong else right(f, mode=mode),
    )
    found = compare(BOXBOD.residual, BOXBOD.start, rounds=1)
    assert not found.agree
    assert [method.name for method in found.methods if method.exact and not method.agrees] == [wrong]


def test_every_call_gets_its_turns():
    counts = dict.fromkeys("ab", 0)

    def count(name):
        counts[name] += 1

    times = interleaved_minima({name: lambda name=name: count(name) for name in counts}, rounds=3, block=0.0)
    # One to warm up, one to see how long it takes, three turns of one.
    assert counts == {"a": 5, "b": 5}
    assert list(times) == ["a", "b"]
    assert all(0 < seconds < 1 for seconds in times.values())


def test_no_rounds_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        interleaved_minima({}, rounds=0)
