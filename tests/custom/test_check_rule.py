"""``check_rule`` finds wrong rules, one for each law, and says which law and by how much."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import InputError
from dualdiff.testing import CheckError, check_rule
from dualdiff.testing.rules import MEANINGS

X = np.array([0.3, 1.2, 2.0])
Y = np.array([0.5, -1.5, 2.5])


class Counting:
    """A rule that is another one each time."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, primals: Any, tangents: Any) -> Any:
        self.calls += 1
        return np.cos(primals[0]) * tangents[0] * (1 + 1e-3 * self.calls)


def product(x: Any, y: Any) -> Any:
    return x * y


WRONG = {
    "sign": (dd.primitive(np.sin, partials=lambda x: -np.cos(x)), (X,), "truth", "truth"),
    "factor in one operand": (
        dd.primitive(product, partials=(lambda x, y: y, lambda x, y: 2 * x)),
        (X, Y),
        "truth",
        "operand 1",
    ),
    "a term left out": (dd.primitive(product, jvp=lambda p, t: t[0] * p[1]), (X, Y), "truth", "operand 1"),
    "not linear": (dd.primitive(np.sin, jvp=lambda p, t: np.cos(p[0]) * t[0] + 1e-3), (X,), "push", "linear"),
    "not linear in the covector": (
        dd.primitive(np.sin, vjp=lambda p, w: np.cos(p[0]) * w * np.abs(w)),
        (X,),
        "push",
        "is not linear in what it is given",
    ),
    "sides that disagree": (
        dd.primitive(np.sin, jvp=lambda p, t: np.cos(p[0]) * t[0], vjp=lambda p, w: np.sin(p[0]) * w),
        (X,),
        "adjoint",
        "⟨w, Jv⟩",
    ),
    "a transpose that is none": (
        dd.primitive(lambda x: np.tri(3) @ x, rmatvec=lambda g: np.tri(3) @ g),
        (X,),
        "adjoint",
        "⟨w, Jv⟩",
    ),
    "a function that is not linear": (dd.primitive(np.sin, rmatvec=lambda g: g), (X,), "push", "linear"),
    "another one each time": (dd.primitive(np.sin, jvp=Counting()), (X,), "purity", "twice"),
    "a pattern too small": (
        dd.primitive(np.cumsum, jvp=lambda p, t: np.cumsum(t[0]), pattern="elementwise"),
        (X,),
        "pattern",
        "depends on",
    ),
    "a matrix too small": (
        dd.primitive(np.cumsum, jvp=lambda p, t: np.cumsum(t[0]), pattern=np.eye(3)),
        (X,),
        "pattern",
        "says it does not",
    ),
    "a frozen factor": (
        dd.primitive(np.sin, jvp=lambda p, t: np.cos(dd.stop_gradient(p[0])) * t[0]),
        (X,),
        "second",
        "second derivative",
    ),
    "a shape": (dd.primitive(np.sin, jvp=lambda p, t: t[0][:2]), (X,), "value", r"shape \(2,\)"),
    "a black box by the wrong step": (dd.primitive(np.exp, derivative="difference", step=0.3), (X,), "truth", "off by"),
    "custom_vjp": None,
}
wrong_vjp = dd.custom_vjp(product)
wrong_vjp.defvjp(lambda x, y: (x * y, (x, y)), lambda kept, g: (g * kept[0], g * kept[1]))
WRONG["custom_vjp"] = (wrong_vjp, (X, Y), "truth", "operand 0")


@pytest.mark.parametrize("name", WRONG)
def test_wrong_rules_are_caught_and_the_law_is_named(name: str) -> None:
    f, args, law, words = WRONG[name]
    with pytest.raises(CheckError) as caught:
        check_rule(f, *args)
    line = next(line for line in str(caught.value).split("\n") if f"({law})" in line)
    assert line.startswith(f"{f.__name__} breaks a law: {MEANINGS[law]} ({law}). ")
    assert re.search(words, line)
    assert re.search(r"\d", line)


def test_a_right_rule_has_a_line_for_every_law() -> None:
    report = check_rule(dd.primitive(np.sin, partials=np.cos), X)
    assert [line.split(":")[0] for line in report.lines] == list(MEANINGS)
    assert str(report).endswith("verdict: agree")


def test_laws_may_be_left_out_where_the_rule_is_no_derivative_on_purpose() -> None:
    through = dd.custom_vjp(np.round)
    through.defvjp(lambda x: (np.round(x), None), lambda _, g: (g,))
    with pytest.raises(CheckError, match=r"\(truth\)"):
        check_rule(through, X)
    assert check_rule(through, X, skip=("truth", "second")).verdict == "agree"
    with pytest.raises(InputError, match="skip='truths' is no law; the laws are value, push"):
        check_rule(through, X, skip="truths")


def test_near_a_kink_the_verdict_is_open() -> None:
    f = dd.primitive(np.abs, partials=np.sign)
    assert check_rule(f, np.array([0.0, 1.0]), skip="second").verdict == "inconclusive"


def test_what_cannot_be_checked_is_said() -> None:
    with pytest.raises(InputError, match="takes a function with a rule of its own"):
        check_rule(np.sin, X)
    with pytest.raises(CheckError, match="no floating-point argument"):
        check_rule(dd.primitive(np.sin, partials=np.cos), 3)


def test_an_error_of_the_function_itself_is_passed_on() -> None:
    def f(x: Any) -> Any:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        check_rule(dd.primitive(f, partials=1), X)
