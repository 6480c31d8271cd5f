"""Decisions that no operation shows, by types, errors, text and the order of keys: seen by programs and by operators, or refused."""

from __future__ import annotations

import dataclasses
import decimal
import io
import math
import statistics
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from scipy.optimize import brentq

import dualdiff as dd
from dualdiff.errors import CaptureError, CompileWarning, InputError, NoProgramError

X = np.array([0.7, 1.6, 2.4])
A, B = {"a": 1.0, "b": 1.0}, {"b": 1.0, "a": 1.0}


def factored(x: Any) -> Any:
    try:
        return np.linalg.cholesky(np.array([[x[0], 1.0], [1.0, x[1]]]))[1, 1]
    except np.linalg.LinAlgError:
        return x[0] * x[1]


def suppressed(x: Any) -> Any:
    with suppress(np.linalg.LinAlgError):
        return np.linalg.cholesky(np.array([[x[0], 1.0], [1.0, x[1]]]))[1, 1]
    return x[0] * x[1]


def factored_by_scipy(x: Any) -> Any:
    try:
        return scipy.linalg.cholesky(np.array([[x[0], 1.0], [1.0, x[1]]]))[1, 1]
    except scipy.linalg.LinAlgError:
        return x[0] * x[1]


def logarithm(x: Any) -> Any:
    try:
        return x[1] * math.log(x[0] - 1)
    except ValueError:
        return x[0] * x[1]


def ratio(x: Any) -> Any:
    try:
        return x[1] / float(np.trunc(x[0])) * x[0]
    except ZeroDivisionError:
        return x[0] * x[1]


def root(x: Any) -> Any:
    try:
        return brentq(lambda y: y * y - x[0] + 1, 0.0, 5.0) * x[1]
    except ValueError:
        return x[0] * x[1]


def loudly(x: Any) -> Any:
    with np.errstate(all="raise"):
        try:
            return np.sqrt(x[0] - 1.0) * x[1]
        except FloatingPointError:
            return x[0] * x[1]


BAD, GOOD = np.array([0.2, 0.3]), np.array([4.0, 5.0])


@pytest.mark.parametrize("f", [factored, suppressed, factored_by_scipy, logarithm, ratio, root, loudly])
def test_a_branch_that_an_error_takes_is_no_program(f: Callable[..., Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for first, then in ((BAD, GOOD), (GOOD, BAD)):
            for g in (f, dd.grad(f)):
                program = dd.compile(g)
                for _ in range(3):
                    np.testing.assert_allclose(program(first), g(first), rtol=1e-12)
                for _ in range(4):
                    np.testing.assert_allclose(program(then), g(then), rtol=1e-12)
                    np.testing.assert_allclose(program(first), g(first), rtol=1e-12)


def test_a_function_that_catches_an_error_everywhere_runs_as_it_is() -> None:
    program = dd.compile(factored)
    with pytest.raises(InputError, match="catches an error"):
        program.explain(BAD)
    points = [BAD + k * 1e-3 for k in range(10)]
    with pytest.warns(CompileWarning, match="catches errors"):
        found = [program(x) for x in points]
    assert found == [factored(x) for x in points]


@pytest.mark.parametrize("name", ["log", "log2", "log10", "log1p", "atanh", "acosh"])
def test_outside_of_the_domain_a_program_raises_as_the_function_does(name: str) -> None:
    f = getattr(math, name)
    inside, outside = (1.5, -3.0) if name != "atanh" else (0.5, 3.0)
    program = dd.compile(dd.grad(lambda x: f(x)))
    for _ in range(3):
        program(inside)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"domain|expected"):
            program(outside)


def by_decimals(x: Any) -> Any:
    try:
        return float(decimal.Decimal(x[0])) ** 2 + x[1]
    except TypeError:
        return x[1]


def by_decimals_or_nothing(x: Any) -> Any:
    with suppress(TypeError):
        return float(decimal.Decimal(x[0])) ** 2 + x[1]
    return x[1]


def by_statistics(x: Any) -> Any:
    try:
        return statistics.mean(x) * 2
    except (TypeError, AttributeError):
        return x[1]


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: np.sum(x**2) if type(x) is np.ndarray else np.sum(x), X),
        (lambda x: sum(v**2 if np.issubdtype(type(v), np.floating) else v for v in x), X),
        (lambda x: sum(v if hasattr(v, "__len__") else v**2 for v in x), X),
        (lambda x: sum(v if isinstance(v, Iterable) else v**2 for v in x), X),
        (lambda x: {np.ndarray: 2.0}.get(type(x), 1.0) * np.sum(x), X),
        (lambda t: t**2 if type(t) is float else t, 3.0),
        (lambda t: t**2 if hasattr(t, "shape") else t**3, 3.0),
        (by_decimals, X),
        (by_decimals_or_nothing, X),
        (by_statistics, X),
    ],
)
def test_a_value_that_is_another_one_where_it_is_differentiated_is_refused(f: Callable[..., Any], x: Any) -> None:
    for operator in (dd.grad, dd.jacfwd, dd.jacobian):
        with pytest.raises((CaptureError, TypeError), match=r"differentiated|isinstance"):
            operator(f)(x)


@pytest.mark.parametrize(
    "operator",
    [
        lambda f: dd.hessian(f),
        lambda f: dd.jacobian(dd.grad(f)),
        lambda f: dd.grad(lambda y: dd.grad(f)(y)[0]),
        lambda f: dd.compile(dd.grad(f)),
    ],
    ids=["hessian", "jacobian of gradient", "inside a function", "compiled"],
)
def test_and_where_operators_stand_inside_one_another(operator: Any) -> None:
    def f(x: Any) -> Any:
        return np.sum(x**3) if type(x) is np.ndarray else np.sum(x)

    with pytest.raises(CaptureError, match="for plain numbers"):
        operator(f)(X)


def test_asking_is_allowed_where_the_answer_is_the_same() -> None:
    def f(x: Any) -> Any:
        if isinstance(x, np.ndarray) and hasattr(x, "shape") and type(x.shape) is tuple:
            return np.sum(x**2)
        try:
            return x**3
        except ValueError:
            return x

    np.testing.assert_array_equal(dd.grad(f)(X), 2 * X)
    assert dd.grad(f)(2.0) == 12


def test_apply_along_axis_makes_room_for_the_first_result() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.apply_along_axis(lambda r: 0 if r[0] < 1 else r[0] * 1.5, 1, x[:, None])) * 1.0

    value, slope = dd.value_and_grad(f)(X)
    assert value == f(X)
    np.testing.assert_array_equal(slope, np.zeros(3))


def test_keys_have_an_order() -> None:
    def of_values(p: Any) -> Any:
        return sum((i + 1) * v**2 for i, v in enumerate(p.values()))

    def of_names(x: Any, **k: Any) -> Any:
        return sum((i + 1) * v * x for i, v in enumerate(k.values()))

    by_values, by_names = dd.compile(dd.grad(of_values)), dd.compile(dd.grad(of_names))
    for _ in range(4):
        assert by_values(A) == {"a": 2, "b": 4}
        assert by_values(B) == {"b": 2, "a": 4}
        assert by_names(2.0, a=1.0, b=2.0) == 5
        assert by_names(2.0, b=2.0, a=1.0) == 4


@dataclasses.dataclass
class State:
    v: float


def test_a_function_that_writes_into_a_structure_runs_as_it_is() -> None:
    def of_object(s: Any, dt: Any) -> Any:
        s.v = s.v * (1 - dt)
        return s.v

    def of_table(p: Any, dt: Any) -> Any:
        p["v"] = p["v"] * (1 - dt)
        return p["v"]

    for f, given in ((of_object, State(1.0)), (of_table, {"v": 1.0})):
        program = dd.compile(f)
        with pytest.warns(CompileWarning, match="writes into an argument"):
            found = [float(program(given, 0.5)) for _ in range(6)]
        assert found == [0.5**k for k in range(1, 7)]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x) * {"0": 1.0, "1": 2.0, "2": 3.0}[str(np.argmax(x))],
        lambda x: np.sum(x) * {"True": 1.0, "False": 2.0}[f"{x[0] > 1}"],
        lambda x: np.sum(x) * len(f"{x[0]:.3g}"),
    ],
)
def test_a_decision_by_text_is_one(f: Callable[..., Any]) -> None:
    program = dd.compile(f)
    y = np.array([1.0, 2.125, 3.0])
    for x in (y, y, y, y[::-1].copy(), np.array([0.3333, 7.0, 1.0])):
        assert program(x) == f(x)


def test_keys_of_a_lexical_sort_may_be_lists() -> None:
    found = dd.jacrev(lambda x: np.lexsort((x, [1, 0, 1])) * x)(X)
    np.testing.assert_array_equal(found, np.diag(np.lexsort((X, [1, 0, 1])) * 1.0))


def test_what_cannot_be_recorded_is_said_without_words_too() -> None:
    def appended(found: list[Any], x: Any) -> Any:
        found.append(x * 2)
        return np.sum(x**2)

    kept: list[Any] = []
    with pytest.warns(CompileWarning):
        assert dd.compile(appended)(kept, np.ones(2)) == 2


def test_keys_have_an_order_in_files_too() -> None:
    def of_values(p: Any, *, scale: Any) -> Any:
        return scale * sum((i + 1) * v**2 for i, v in enumerate(p.values()))

    def of_names(x: Any, **k: Any) -> Any:
        return sum((i + 1) * v * x for i, v in enumerate(k.values()))

    for f, given, other in (
        (of_values, ((B,), {"scale": 2.0}), ((A,), {"scale": 2.0})),
        (of_names, ((2.0,), {"b": 2.0, "a": 1.0}), ((2.0,), {"a": 1.0, "b": 2.0})),
    ):
        program, file = dd.compile(f), io.BytesIO()
        program.save(file, *given[0], **given[1])
        loaded = dd.load_program(io.BytesIO(file.getvalue()))
        for _ in range(4):
            assert loaded(*given[0], **given[1]) == f(*given[0], **given[1])
        with pytest.raises(NoProgramError):
            loaded(*other[0], **other[1])


def test_sets_lists_in_tuples_and_the_order_of_keys_are_compared_at_every_call() -> None:
    some, pair, table = {1.0, 2.0}, (1.0, [2.0]), {"a": 1.0, "b": 2.0}
    for f, change in (
        (lambda x: x * sum(some), lambda: some.add(5.0)),
        (lambda x: x * pair[1][0], lambda: pair[1].__setitem__(0, 5.0)),
        (lambda x: x * next(iter(table.values())), lambda: table.update(a=table.pop("a"))),
    ):
        program = dd.compile(dd.grad(f))
        for _ in range(3):
            assert program(2.0) == dd.grad(f)(2.0)
        change()
        assert program(2.0) == dd.grad(f)(2.0)
