"""What a diagnosis of a point finds, and what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import InputError
from dualdiff.passes.diagnosis import findings_of, kinks_of
from dualdiff.tape import record


def kinds(found: Any) -> list[tuple[str, str]]:
    return [(f.function, f.kind) for f in found]


@pytest.mark.parametrize(
    ("f", "x", "name", "advice"),
    [
        (np.sqrt, [0.0, 1.0], "np.sqrt", "np.where(x > 0, np.sqrt("),
        (np.cbrt, [0.0, 1.0], "np.cbrt", "np.where(x != 0, np.cbrt("),
        (lambda x: x**0.5, [0.0, 1.0], "np.power", "** p"),
        (np.arccos, [1.0, 0.5], "np.arccos", "arctan2"),
        (np.arcsin, [-1.0, 0.5], "np.arcsin", "arctan2"),
        (np.arccosh, [1.0, 1.5], "np.arccosh", "np.where(x > 1"),
    ],
)
def test_an_infinite_slope_at_a_finite_value(f: Any, x: Any, name: str, advice: str) -> None:
    found = dd.diagnose(f, np.array(x))
    assert kinds(found) == [(name, "partial"), (name, "adjoint")]
    assert found[0].entries.tolist() == [[0]]
    assert found[0].values[0].tolist() == x[:1]
    assert advice in found[0].advice
    assert not found.finite


@pytest.mark.parametrize(
    ("f", "x", "name", "advice"),
    [
        (np.log, 0.0, "np.log", "np.where(x > 0, np.log("),
        (np.log10, 0.0, "np.log10", "np.log10("),
        (np.log1p, -1.0, "np.log1p", "np.where(x > -1"),
        (lambda x: 1.0 / x, 0.0, "np.divide", "np.where(y != 0"),
        (lambda x: x / x, 0.0, "np.divide", "np.where(y != 0"),
        (np.reciprocal, 0.0, "np.reciprocal", "np.where(x != 0"),
        (np.exp, 1e3, "np.exp", "np.max"),
        (np.arctanh, 1.0, "np.arctanh", "np.where(np.abs(x) < 1"),
        (lambda x: x**-1.0, 0.0, "np.power", "exponent"),
    ],
)
def test_a_value_that_is_not_finite(f: Any, x: float, name: str, advice: str) -> None:
    found = dd.diagnose(f, np.array([2.0 if name != "np.arctanh" else 0.2, x]))
    assert kinds(found)[0] == (name, "value")
    assert found[0].entries.tolist() == [[1]]
    assert advice in found[0].advice
    assert not found.finite


def test_the_first_step_is_named_with_its_line() -> None:
    def f(x: Any) -> Any:
        y = x - 1.0
        z = np.log(y)  # here
        return np.sum(np.exp(z) + np.sqrt(z))

    found = dd.diagnose(f, np.array([1.0, 3.0]))
    assert found[0].function == "np.log"
    assert found[0].source == "z = np.log(y)  # here"
    assert f"test_diagnosis.py, line {f.__code__.co_firstlineno + 2}" == found[0].line
    assert found[0].line in str(found)
    assert "z = np.log(y)  # here" in repr(found)
    assert "The derivative is not finite." in str(found)


def test_what_does_not_reach_the_derivative_is_said_so() -> None:
    found = dd.diagnose(lambda x: np.sum(np.where(x > 0, np.log(x), 0.0)), np.array([0.0, 1.0]))
    assert kinds(found) == [("np.log", "value")]
    assert found.finite
    assert "does not reach it" in str(found)


def test_zero_times_infinity_is_an_adjoint() -> None:
    found = dd.diagnose(lambda x: np.sqrt(x @ x), np.zeros(2))
    assert kinds(found) == [("np.sqrt", "partial"), ("np.sqrt", "adjoint")]
    assert "np.linalg.norm" in found[0].advice


def test_of_several_readers_the_guilty_one_is_named() -> None:
    found = dd.diagnose(lambda x: x**0.5 + x**1.5, np.array([0.0, 1.0]))
    assert [f.values[1].tolist() for f in found] == [[0.5], [0.5]]


def test_an_overflow_on_the_way_back_is_an_adjoint() -> None:
    found = dd.diagnose(lambda x: (x * 1e200) * 1e200, 1e-300)
    assert kinds(found) == [("np.multiply", "adjoint")]
    assert not found.finite


def test_what_raises_in_its_derivative_is_named() -> None:
    def f(a: Any) -> Any:
        return np.linalg.eigh(a)[1][:, 0] @ np.arange(3.0)

    found = dd.diagnose(f, np.diag([2.0, 2.0, 5.0]))
    assert kinds(found) == [("np.linalg.eigh", "error")]
    assert "equal" in found[0].advice
    assert not found.finite
    found = dd.diagnose(lambda a: np.sum(np.linalg.eigh(a)[0]), np.diag([2.0, 2.0, 5.0]))
    assert kinds(found) == []


def test_kinks_and_near_kinks_come_with_the_convention() -> None:
    found = dd.diagnose(lambda x: np.abs(x) + np.maximum(x, 1.0), np.array([1e-12, 1.0, 5.0]))
    assert kinds(found) == [("np.abs", "near-kink"), ("np.maximum", "kink")]
    assert found[0].distance == pytest.approx(1e-12)
    assert found[0].entries.tolist() == [[0]]
    assert found[1].entries.tolist() == [[1]]
    assert "distance from the kink: 1.0e-12" in str(found[0])
    assert "one half" in str(found[1])
    assert not len(dd.diagnose(lambda x: np.abs(x), 1e-12, tolerance=1e-13))
    assert kinds(dd.diagnose(np.abs, 0.01, tolerance=0.1)) == [("np.abs", "near-kink")]


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    found = dd.diagnose(lambda p: np.sum(np.sin(p["a"]) * p["b"]), {"a": np.ones(3), "b": 2.0})
    assert len(found) == 0
    assert found.finite
    assert "nothing found" in str(found)


def test_constants_are_not_diagnosed() -> None:
    assert not len(dd.diagnose(lambda x: x * np.abs(0.0), 1.0))
    assert not len(dd.diagnose(lambda x: 1.0, 1.0))


def test_complex_numbers_and_many_entries() -> None:
    found = dd.diagnose(lambda x: np.sum(np.abs(x * (1 + 1j))), np.zeros(9))
    assert kinds(found) == [("np.abs", "kink")]
    assert "and 5 more" in str(found)
    assert found[0].entries.shape == (9, 1)


def test_what_cannot_be_looked_at_is_refused() -> None:
    with pytest.raises(InputError, match="function"):
        dd.diagnose(3.0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="point"):
        dd.diagnose(np.sin)
    with pytest.raises(InputError, match="outside"):
        dd.grad(lambda x: x * len(dd.diagnose(np.sin, x)))(1.0)


def test_a_recording_without_lines_and_values_says_less() -> None:
    x = np.array([0.0, 1.0])
    tape, y = record(np.abs, x, replayable=True)
    tape.outputs = [y.mark]
    (found,) = kinks_of(tape, 0.0)
    assert found.line == "an unknown line"
    assert "\n  taken for the derivative at the kink" in str(found)
    assert found.entries.tolist() == [[0]]
    bare = replace(found, values={}, convention="")
    assert str(bare).split("\n")[0] == str(found).split("\n")[0]
    assert "operand" not in str(bare)


def test_of_operands_that_were_not_kept_nothing_is_said() -> None:
    with np.errstate(over="ignore"):
        tape, y = record(np.exp, np.append(np.zeros(40_000), 1e3))
    tape.outputs = [y.mark]
    found = findings_of(tape, 0.0)
    assert kinds(found)[0] == ("np.exp", "value")
    assert found[0].entries.tolist() == [[40_000]]
    assert found[0].values == {}


def test_where_no_advice_is_known_none_is_given() -> None:
    found = dd.diagnose(np.square, 1e200)
    assert kinds(found)[0] == ("np.square", "value")
    assert not found[0].advice
    assert "instead:" not in str(found[0])
